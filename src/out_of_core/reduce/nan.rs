//! Reductions of what is not NaN, of a whole array and along one axis.

use ndarray::{Array, Axis, Dimension, RemoveAxis};

use super::number::FloatNumber;
use super::skipping::Counted;
use super::sum::FloatSum;
use super::{empty, overflow};
use crate::error::Result;
use crate::out_of_core::work::OutOfCore;

/// What is added of the elements, and how many of them are numbers.
fn parts(counted: Option<&Counted<FloatSum>>) -> (Option<&FloatSum>, usize) {
    let count = counted.map_or(0, |counted| counted.count as usize);
    (counted.map(|counted| &counted.partial), count)
}

/// Reductions of the elements that are not NaN, under the same terms as those of all.
impl<A: FloatNumber, D: Dimension> OutOfCore<'_, A, D> {
    /// Adds up all elements that are not NaN. The sum of none is zero. See [`sum`](OutOfCore::sum).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("readings.npy");
    ///
    /// let store = Store::create_from(&path, &array![[1.0, f64::NAN], [2.0, 6.0]])?;
    /// assert_eq!(store.out_of_core().nansum()?, 9.0);
    /// assert_eq!(store.out_of_core().nanmean_axis(Axis(0))?, array![1.5, 6.0]);
    /// assert_eq!(store.out_of_core().count_nan()?, 1);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn nansum(self) -> Result<A::Sum> {
        let op = "sum";
        let context = self.source.context(op);
        self.reduce::<A::NanSumLanes, _>(op, |counted| {
            A::sum_of(parts(counted).0).map_err(|found| overflow(context, found))
        })
    }

    /// Returns the mean of all elements that are not NaN: NaN if there are none.
    pub fn nanmean(self) -> Result<A::Mean> {
        self.reduce::<A::NanSumLanes, _>("take the mean of", |counted| {
            let (sum, count) = parts(counted);
            Ok(A::mean_of(sum, count))
        })
    }

    /// Returns the least number: NaN if all elements are NaN.
    ///
    /// # Errors
    ///
    /// [`Empty`](crate::ErrorKind::Empty) if there is no element.
    pub fn nanmin(self) -> Result<A> {
        let op = "take the minimum of";
        let context = self.source.context(op);
        self.reduce::<A::NanMinLanes, _>(op, |least| {
            let least = least.ok_or_else(|| empty(context))?;
            Ok(A::from_key(least.value))
        })
    }

    /// Returns the greatest number: NaN if all elements are NaN.
    ///
    /// # Errors
    ///
    /// [`Empty`](crate::ErrorKind::Empty) if there is no element.
    pub fn nanmax(self) -> Result<A> {
        let op = "take the maximum of";
        let context = self.source.context(op);
        self.reduce::<A::NanMaxLanes, _>(op, |greatest| {
            let greatest = greatest.ok_or_else(|| empty(context))?;
            Ok(A::from_key(greatest.value))
        })
    }

    /// Counts the elements that are NaN.
    pub fn count_nan(self) -> Result<usize> {
        self.reduce::<A::NanLanes, _>("count the NaN of", |count| {
            Ok(count.map_or(0, |count| count.0 as usize))
        })
    }
}

/// Reductions along one axis of the elements that are not NaN, under the same terms as those of all.
impl<A: FloatNumber, D: RemoveAxis> OutOfCore<'_, A, D> {
    /// Adds up the elements along an axis that are not NaN. See [`nansum`](OutOfCore::nansum).
    pub fn nansum_axis(self, axis: Axis) -> Result<Array<A::Sum, D::Smaller>> {
        let op = "sum";
        let context = self.source.context(op);
        self.along::<A::NanSumLanes, _>(op, axis, |counted, _| {
            A::sum_of(parts(counted).0).map_err(|found| overflow(context, found))
        })
    }

    /// Returns the means along an axis of what is not NaN. See [`nanmean`](OutOfCore::nanmean).
    pub fn nanmean_axis(self, axis: Axis) -> Result<Array<A::Mean, D::Smaller>> {
        self.along::<A::NanSumLanes, _>("take the mean of", axis, |counted, _| {
            let (sum, count) = parts(counted);
            Ok(A::mean_of(sum, count))
        })
    }

    /// Returns the least numbers along an axis. See [`nanmin`](OutOfCore::nanmin).
    ///
    /// # Errors
    ///
    /// [`Empty`](crate::ErrorKind::Empty) if the axis has no length.
    pub fn nanmin_axis(self, axis: Axis) -> Result<Array<A, D::Smaller>> {
        let op = "take the minimum of";
        let context = self.source.context(op);
        self.along::<A::NanMinLanes, _>(op, axis, |least, _| {
            let least = least.ok_or_else(|| empty(context))?;
            Ok(A::from_key(least.value))
        })
    }

    /// Returns the greatest numbers along an axis. See [`nanmax`](OutOfCore::nanmax).
    ///
    /// # Errors
    ///
    /// [`Empty`](crate::ErrorKind::Empty) if the axis has no length.
    pub fn nanmax_axis(self, axis: Axis) -> Result<Array<A, D::Smaller>> {
        let op = "take the maximum of";
        let context = self.source.context(op);
        self.along::<A::NanMaxLanes, _>(op, axis, |greatest, _| {
            let greatest = greatest.ok_or_else(|| empty(context))?;
            Ok(A::from_key(greatest.value))
        })
    }

    /// Counts the NaN along an axis.
    pub fn count_nan_axis(self, axis: Axis) -> Result<Array<usize, D::Smaller>> {
        self.along::<A::NanLanes, _>("count the NaN of", axis, |count, _| {
            Ok(count.map_or(0, |count| count.0 as usize))
        })
    }
}
