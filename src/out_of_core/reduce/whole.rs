//! Reductions of a whole array.

use ndarray::Dimension;

use super::extreme::{End, Extreme, Greatest, Least, Place};
use super::lanes::Lanes;
use super::number::{Number, RealNumber};
use super::place::Best;
use super::walk::{self, Walk};
use super::{empty, overflow, place, variance};
use crate::error::Result;
use crate::out_of_core::work::OutOfCore;
use crate::shape::Order;

/// Reductions of all elements, read once, in the order of the file.
///
/// They return the results of NumPy's functions of the same names, of the same types (see
/// [`Number`]). The results are the same bit for bit whatever the memory budget, the number of
/// threads and the processor. With the feature `rayon` all threads of the current pool work on
/// them.
///
/// # Errors
///
/// All of them: [`Cancelled`](crate::ErrorKind::Cancelled) by the progress callback;
/// [`Truncated`](crate::ErrorKind::Truncated) if somebody cut the file,
/// [`Io`](crate::ErrorKind::Io).
impl<A: Number, D: Dimension> OutOfCore<'_, A, D> {
    /// Adds up all elements. The sum of none is zero.
    ///
    /// Integers are added exactly. A sum of floats differs from the exact one by at most
    /// `2 * EPSILON` times the sum of their magnitudes, however many there are, and mostly by no
    /// more than the rounding of the result: `f64` is added in twice its precision, narrower floats
    /// as `f64`. Infinities and NaN give the same as in NumPy.
    ///
    /// # Errors
    ///
    /// [`SumOverflow`](crate::ErrorKind::SumOverflow) if the sum of integers does not fit its type
    /// (NumPy's wraps around).
    pub fn sum(self) -> Result<A::Sum> {
        let op = "sum";
        let context = self.source.context(op);
        self.reduce::<A::SumLanes, _>(op, |partial| {
            A::sum_of(partial).map_err(|found| overflow(context, found))
        })
    }

    /// Returns the mean of all elements: NaN if there are none.
    ///
    /// The mean of integers is their exact sum, rounded and divided.
    pub fn mean(self) -> Result<A::Mean> {
        let len = self.source.len();
        self.reduce::<A::SumLanes, _>("take the mean of", |partial| Ok(A::mean_of(partial, len)))
    }

    /// Returns the variance of all elements: the sum of their squared distances from the mean,
    /// divided by their number less `ddof`.
    ///
    /// `ddof` is 0 for the variance of a population and 1 for the estimate from a sample. As in
    /// NumPy, the variance of no elements is NaN, and that of at most `ddof` elements is infinite
    /// or NaN. The variance of complex numbers is the mean of the squared absolute distances.
    pub fn var(self, ddof: usize) -> Result<A::Var> {
        let len = self.source.len();
        self.reduce::<A::MomentLanes, _>("take the variance of", |moments| {
            Ok(A::var_of(variance(moments, len, ddof)))
        })
    }

    /// Returns the standard deviation of all elements: the square root of their
    /// [variance](OutOfCore::var).
    pub fn std(self, ddof: usize) -> Result<A::Var> {
        let len = self.source.len();
        self.reduce::<A::MomentLanes, _>("take the standard deviation of", |moments| {
            Ok(A::var_of(variance(moments, len, ddof).sqrt()))
        })
    }

    /// Counts the elements that are neither zero nor false. NaN is not zero.
    pub fn count_nonzero(self) -> Result<usize> {
        self.reduce::<A::NonzeroLanes, _>("count the nonzero elements of", |count| {
            Ok(count.map_or(0, |count| count.0 as usize))
        })
    }
}

/// Extremes of all elements, under the same terms as the sums.
impl<A: RealNumber, D: Dimension> OutOfCore<'_, A, D> {
    /// Returns the least element: NaN if any is NaN, as in NumPy.
    ///
    /// # Errors
    ///
    /// [`Empty`](crate::ErrorKind::Empty) if there is none.
    pub fn min(self) -> Result<A> {
        let op = "take the minimum of";
        let context = self.source.context(op);
        self.reduce::<A::MinLanes, _>(op, |least| {
            let least = least.ok_or_else(|| empty(context))?;
            Ok(A::from_key(least.value))
        })
    }

    /// Returns the greatest element: NaN if any is NaN, as in NumPy.
    ///
    /// # Errors
    ///
    /// [`Empty`](crate::ErrorKind::Empty) if there is none.
    pub fn max(self) -> Result<A> {
        let op = "take the maximum of";
        let context = self.source.context(op);
        self.reduce::<A::MaxLanes, _>(op, |greatest| {
            let greatest = greatest.ok_or_else(|| empty(context))?;
            Ok(A::from_key(greatest.value))
        })
    }

    /// Returns the index of the least element: of the first one in C order if there are several,
    /// and of the first NaN if there is any, as in NumPy.
    ///
    /// The index counts in C order, whatever the order of the file; `ndarray::indices` or a
    /// division by the lengths of the axes turns it into coordinates.
    ///
    /// # Errors
    ///
    /// [`Empty`](crate::ErrorKind::Empty) if there is none.
    pub fn argmin(self) -> Result<usize> {
        let best = self.first_place::<Least, A::MinLanes, A::ArgMinLanes>("find the minimum of")?;
        Ok(best.index)
    }

    /// Returns the index of the greatest element: of the first one in C order if there are several,
    /// and of the first NaN if there is any, as in NumPy.
    ///
    /// See [`argmin`](OutOfCore::argmin).
    ///
    /// # Errors
    ///
    /// [`Empty`](crate::ErrorKind::Empty) if there is none.
    pub fn argmax(self) -> Result<usize> {
        let best =
            self.first_place::<Greatest, A::MaxLanes, A::ArgMaxLanes>("find the maximum of")?;
        Ok(best.index)
    }

    /// The extreme that `V` and `P` find, and its first place in C order.
    pub(super) fn first_place<E, V, P>(mut self, op: &'static str) -> Result<Best<A::Key>>
    where
        E: End,
        V: Lanes<A, Partial = Extreme<A::Key, E>>,
        P: Lanes<A, Partial = Place<A::Key, E>>,
    {
        if self.is_reordered() {
            let shape = self.dim.slice();
            return place::first_in_c_order::<A, E, V>(&self.source, &mut self.work, op, shape);
        }
        let context = self.source.context(op);
        self.reduce::<P, _>(op, |best| {
            let best = best.ok_or_else(|| empty(context))?;
            Ok(Best {
                value: best.value,
                index: best.index as usize,
            })
        })
    }

    /// Whether the elements in the file are not in C order.
    pub(super) fn is_reordered(&self) -> bool {
        let several = self.dim.slice().iter().filter(|len| **len > 1).count() > 1;
        self.source.order() == Order::F && several && self.source.len() > 0
    }
}

impl<A: Number, D: Dimension> OutOfCore<'_, A, D> {
    pub(super) fn reduce<K: Lanes<A>, R: Clone + Send>(
        mut self,
        op: &'static str,
        finish: impl Fn(Option<&K::Partial>) -> Result<R> + Sync,
    ) -> Result<R> {
        let walk = Walk::whole(self.source.len());
        let results = walk::reduce::<A, K, R>(&self.source, &mut self.work, op, walk, finish)?;
        let [result] = <[R; 1]>::try_from(results)
            .unwrap_or_else(|_| unreachable!("a whole array comes to one result"));
        Ok(result)
    }
}
