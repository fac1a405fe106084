//! Reductions along one axis.

use ndarray::{Array, Axis, Dimension, RemoveAxis, ShapeBuilder};

use super::lanes::Lanes;
use super::number::{Number, RealNumber};
use super::walk::{self, Walk};
use super::{empty, overflow, variance};
use crate::element::Element;
use crate::error::{ErrorKind, Result};
use crate::out_of_core::work::OutOfCore;
use crate::shape::Order;

/// Reductions along one axis, which the result lacks. The result is an array in memory, in the
/// order of the file.
///
/// The array is read once, wherever the axis lies and however long its rows are. Each element of
/// the result is that of the method for a whole array, with the same promises.
///
/// # Errors
///
/// All of them: [`AxisOutOfBounds`](ErrorKind::AxisOutOfBounds);
/// [`OverBudget`](ErrorKind::OverBudget) if the result and its accumulators take more than the
/// memory budget; [`Cancelled`](ErrorKind::Cancelled), [`Truncated`](ErrorKind::Truncated) and
/// [`Io`](ErrorKind::Io) as for the whole array.
impl<A: Number, D: RemoveAxis> OutOfCore<'_, A, D> {
    /// Adds up the elements along an axis. See [`sum`](OutOfCore::sum).
    ///
    /// # Errors
    ///
    /// [`SumOverflow`](ErrorKind::SumOverflow) if a sum of integers does not fit its type.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("counts.npy");
    ///
    /// let store = Store::create_from(&path, &array![[1u8, 2, 3], [4, 5, 250]])?;
    /// assert_eq!(store.out_of_core().sum_axis(Axis(0))?, array![5u64, 7, 253]);
    /// assert_eq!(store.out_of_core().mean_axis(Axis(1))?, array![2.0, 259.0 / 3.0]);
    /// assert_eq!(store.out_of_core().max()?, 250);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn sum_axis(self, axis: Axis) -> Result<Array<A::Sum, D::Smaller>> {
        let op = "sum";
        let context = self.source.context(op);
        self.along::<A::SumLanes, _>(op, axis, |partial, _| {
            A::sum_of(partial).map_err(|found| overflow(context, found))
        })
    }

    /// Returns the means along an axis. See [`mean`](OutOfCore::mean).
    pub fn mean_axis(self, axis: Axis) -> Result<Array<A::Mean, D::Smaller>> {
        let op = "take the mean of";
        self.along::<A::SumLanes, _>(op, axis, |partial, len| Ok(A::mean_of(partial, len)))
    }

    /// Returns the variances along an axis. See [`var`](OutOfCore::var).
    pub fn var_axis(self, axis: Axis, ddof: usize) -> Result<Array<A::Var, D::Smaller>> {
        let op = "take the variance of";
        self.along::<A::MomentLanes, _>(op, axis, |moments, len| {
            Ok(A::var_of(variance(moments, len, ddof)))
        })
    }

    /// Returns the standard deviations along an axis. See [`std`](OutOfCore::std).
    pub fn std_axis(self, axis: Axis, ddof: usize) -> Result<Array<A::Var, D::Smaller>> {
        let op = "take the standard deviation of";
        self.along::<A::MomentLanes, _>(op, axis, |moments, len| {
            Ok(A::var_of(variance(moments, len, ddof).sqrt()))
        })
    }

    /// Counts the elements along an axis that are neither zero nor false. See
    /// [`count_nonzero`](OutOfCore::count_nonzero).
    pub fn count_nonzero_axis(self, axis: Axis) -> Result<Array<usize, D::Smaller>> {
        let op = "count the nonzero elements of";
        self.along::<A::NonzeroLanes, _>(op, axis, |count, _| {
            Ok(count.map_or(0, |count| count.0 as usize))
        })
    }

    pub(super) fn along<K: Lanes<A>, R: Clone + Send>(
        mut self,
        op: &'static str,
        axis: Axis,
        finish: impl Fn(Option<&K::Partial>, usize) -> Result<R> + Sync,
    ) -> Result<Array<R, D::Smaller>> {
        self.check_axis(op, axis)?;
        let order = self.source.order();
        let walk = Walk::along(axis.index(), self.dim.slice(), order);
        let finish = |partial: Option<&_>| finish(partial, walk.len());
        let results = walk::reduce::<A, K, R>(&self.source, &mut self.work, op, walk, finish)?;
        let shape = self.dim.remove_axis(axis).set_f(order == Order::F);
        Ok(Array::from_shape_vec(shape, results)
            .expect("there is a result for each element of the smaller shape"))
    }
}

impl<A: Element, D: Dimension> OutOfCore<'_, A, D> {
    /// Refuses an axis that the array lacks.
    pub(super) fn check_axis(&self, op: &'static str, axis: Axis) -> Result<()> {
        let (axis, ndim) = (axis.index(), self.dim.ndim());
        match axis < ndim {
            true => Ok(()),
            false => {
                let context = self.source.context(op);
                Err(context.fail(ErrorKind::AxisOutOfBounds { axis, ndim }))
            }
        }
    }
}

/// Extremes along one axis, under the same terms as the sums.
impl<A: RealNumber, D: RemoveAxis> OutOfCore<'_, A, D> {
    /// Returns the least elements along an axis. See [`min`](OutOfCore::min).
    ///
    /// # Errors
    ///
    /// [`Empty`](ErrorKind::Empty) if the axis has no length.
    pub fn min_axis(self, axis: Axis) -> Result<Array<A, D::Smaller>> {
        let op = "take the minimum of";
        let context = self.source.context(op);
        self.along::<A::MinLanes, _>(op, axis, |extreme, _| {
            let extreme = extreme.ok_or_else(|| empty(context))?;
            Ok(A::from_key(extreme.value))
        })
    }

    /// Returns the greatest elements along an axis. See [`max`](OutOfCore::max).
    ///
    /// # Errors
    ///
    /// [`Empty`](ErrorKind::Empty) if the axis has no length.
    pub fn max_axis(self, axis: Axis) -> Result<Array<A, D::Smaller>> {
        let op = "take the maximum of";
        let context = self.source.context(op);
        self.along::<A::MaxLanes, _>(op, axis, |extreme, _| {
            let extreme = extreme.ok_or_else(|| empty(context))?;
            Ok(A::from_key(extreme.value))
        })
    }

    /// Returns the indices along an axis of the least elements. See [`argmin`](OutOfCore::argmin).
    ///
    /// # Errors
    ///
    /// [`Empty`](ErrorKind::Empty) if the axis has no length.
    pub fn argmin_axis(self, axis: Axis) -> Result<Array<usize, D::Smaller>> {
        let op = "find the minimum of";
        let context = self.source.context(op);
        self.along::<A::ArgMinLanes, _>(op, axis, |place, _| {
            let place = place.ok_or_else(|| empty(context))?;
            Ok(place.index as usize)
        })
    }

    /// Returns the indices along an axis of the greatest elements. See
    /// [`argmax`](OutOfCore::argmax).
    ///
    /// # Errors
    ///
    /// [`Empty`](ErrorKind::Empty) if the axis has no length.
    pub fn argmax_axis(self, axis: Axis) -> Result<Array<usize, D::Smaller>> {
        let op = "find the maximum of";
        let context = self.source.context(op);
        self.along::<A::ArgMaxLanes, _>(op, axis, |place, _| {
            let place = place.ok_or_else(|| empty(context))?;
            Ok(place.index as usize)
        })
    }
}
