//! Reductions of the elements that are not NaN, of a whole array and along one axis.

use ndarray::{Array, Array0, Axis, Dimension, IntoDimension, RemoveAxis, arr0};

use super::moments::Moments;
use super::number::FloatNumber;
use super::scalar::Real;
use super::skipping::{Counted, GreatestNumber, LeastNumber};
use super::sum::FloatSum;
use super::{empty, overflow, variance};
use crate::error::{Context, ErrorKind, Result};
use crate::out_of_core::work::OutOfCore;

/// The sum of the elements, and the number of those that are not NaN.
fn parts(counted: Option<&Counted<FloatSum>>) -> (Option<&FloatSum>, usize) {
    let count = counted.map_or(0, |counted| counted.count as usize);
    (counted.map(|counted| &counted.partial), count)
}

/// The variance of the numbers: NaN where there are no more than `ddof` of them, as in NumPy, whose
/// `var` has infinities there.
fn variance_of_numbers(moments: Option<&Moments>, ddof: usize) -> f64 {
    match moments {
        Some(moments) if moments.len() > ddof => variance(Some(moments), moments.len(), ddof),
        _ => f64::NAN,
    }
}

/// The place of an extreme, or `usize::MAX` where all is NaN.
fn place_of(value: impl Real, index: usize) -> usize {
    if value.is_nan() { usize::MAX } else { index }
}

/// Refuses places of which one was not found.
fn all_found<D: Dimension>(
    context: Context<'_>,
    places: Array<usize, D>,
) -> Result<Array<usize, D>> {
    let lost = places
        .indexed_iter()
        .find(|(_, place)| **place == usize::MAX);
    let lost = lost.map(|(index, _)| index.into_dimension().slice().to_vec());
    match lost {
        Some(index) => Err(context.fail(ErrorKind::AllNan { index })),
        None => Ok(places),
    }
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

    /// Returns the variance of all elements that are not NaN. See [`var`](OutOfCore::var); it is
    /// NaN if there are no more than `ddof` of them.
    pub fn nanvar(self, ddof: usize) -> Result<A::Var> {
        self.reduce::<A::NanMomentLanes, _>("take the variance of", |moments| {
            Ok(A::var_of(variance_of_numbers(moments, ddof)))
        })
    }

    /// Returns the standard deviation of all elements that are not NaN: the square root of their
    /// [variance](OutOfCore::nanvar).
    pub fn nanstd(self, ddof: usize) -> Result<A::Var> {
        self.reduce::<A::NanMomentLanes, _>("take the standard deviation of", |moments| {
            Ok(A::var_of(variance_of_numbers(moments, ddof).sqrt()))
        })
    }

    /// Returns the index of the least number: of the first one in C order if there are several. See
    /// [`argmin`](OutOfCore::argmin).
    ///
    /// # Errors
    ///
    /// [`Empty`](ErrorKind::Empty) if there is no element, [`AllNan`](ErrorKind::AllNan) if there
    /// is no number.
    pub fn nanargmin(self) -> Result<usize> {
        let op = "find the minimum of";
        let context = self.source.context(op);
        let best = self.first_place::<LeastNumber, A::NanMinLanes, A::NanArgMinLanes>(op)?;
        let place = place_of(best.value, best.index);
        all_found(context, arr0(place)).map(Array0::into_scalar)
    }

    /// Returns the index of the greatest number: of the first one in C order if there are several.
    /// See [`argmin`](OutOfCore::argmin).
    ///
    /// # Errors
    ///
    /// [`Empty`](ErrorKind::Empty) if there is no element, [`AllNan`](ErrorKind::AllNan) if there
    /// is no number.
    pub fn nanargmax(self) -> Result<usize> {
        let op = "find the maximum of";
        let context = self.source.context(op);
        let best = self.first_place::<GreatestNumber, A::NanMaxLanes, A::NanArgMaxLanes>(op)?;
        let place = place_of(best.value, best.index);
        all_found(context, arr0(place)).map(Array0::into_scalar)
    }

    /// Counts the elements that are NaN.
    pub fn count_nan(self) -> Result<usize> {
        self.reduce::<A::NanLanes, _>("count the NaN of", |count| {
            Ok(count.map_or(0, |count| count.0 as usize))
        })
    }
}

/// Reductions along one axis of the elements that are not NaN, under the same terms as those of
/// all.
impl<A: FloatNumber, D: RemoveAxis> OutOfCore<'_, A, D> {
    /// Adds up the elements along an axis that are not NaN. See [`nansum`](OutOfCore::nansum).
    pub fn nansum_axis(self, axis: Axis) -> Result<Array<A::Sum, D::Smaller>> {
        let op = "sum";
        let context = self.source.context(op);
        self.along::<A::NanSumLanes, _>(op, axis, |counted, _| {
            A::sum_of(parts(counted).0).map_err(|found| overflow(context, found))
        })
    }

    /// Returns the means along an axis of the elements that are not NaN. See
    /// [`nanmean`](OutOfCore::nanmean).
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

    /// Returns the variances along an axis of what is not NaN. See [`nanvar`](OutOfCore::nanvar).
    pub fn nanvar_axis(self, axis: Axis, ddof: usize) -> Result<Array<A::Var, D::Smaller>> {
        self.along::<A::NanMomentLanes, _>("take the variance of", axis, |moments, _| {
            Ok(A::var_of(variance_of_numbers(moments, ddof)))
        })
    }

    /// Returns the standard deviations along an axis of what is not NaN. See
    /// [`nanstd`](OutOfCore::nanstd).
    pub fn nanstd_axis(self, axis: Axis, ddof: usize) -> Result<Array<A::Var, D::Smaller>> {
        self.along::<A::NanMomentLanes, _>("take the standard deviation of", axis, |moments, _| {
            Ok(A::var_of(variance_of_numbers(moments, ddof).sqrt()))
        })
    }

    /// Returns the indices along an axis of the least numbers. See
    /// [`nanargmin`](OutOfCore::nanargmin).
    ///
    /// # Errors
    ///
    /// [`Empty`](ErrorKind::Empty) if the axis has no length; [`AllNan`](ErrorKind::AllNan) says
    /// which lane has no number, the first in C order if there are several.
    pub fn nanargmin_axis(self, axis: Axis) -> Result<Array<usize, D::Smaller>> {
        let op = "find the minimum of";
        let context = self.source.context(op);
        let places = self.along::<A::NanArgMinLanes, _>(op, axis, |least, _| {
            let least = least.ok_or_else(|| empty(context))?;
            Ok(place_of(least.value, least.index as usize))
        })?;
        all_found(context, places)
    }

    /// Returns the indices along an axis of the greatest numbers. See
    /// [`nanargmin_axis`](OutOfCore::nanargmin_axis).
    ///
    /// # Errors
    ///
    /// As [`nanargmin_axis`](OutOfCore::nanargmin_axis).
    pub fn nanargmax_axis(self, axis: Axis) -> Result<Array<usize, D::Smaller>> {
        let op = "find the maximum of";
        let context = self.source.context(op);
        let places = self.along::<A::NanArgMaxLanes, _>(op, axis, |greatest, _| {
            let greatest = greatest.ok_or_else(|| empty(context))?;
            Ok(place_of(greatest.value, greatest.index as usize))
        })?;
        all_found(context, places)
    }

    /// Counts the NaN along an axis.
    pub fn count_nan_axis(self, axis: Axis) -> Result<Array<usize, D::Smaller>> {
        self.along::<A::NanLanes, _>("count the NaN of", axis, |count, _| {
            Ok(count.map_or(0, |count| count.0 as usize))
        })
    }
}
