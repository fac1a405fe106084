//! Checked shape arithmetic: element counts, byte counts, strides and orders.
//!
//! Element indices (`usize`) and byte offsets (`u64`) meet only here, and every product is checked.
//! This file knows nothing of files, dtypes or maps.

use std::ops::{Bound, Range, RangeBounds};

use ndarray::{Array, Dimension, Shape};

/// How many dimensions NumPy allows, of an array and of a sub-array.
pub(crate) const MAX_NDIM: usize = 64;

/// The order in which the elements of an array lie in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Row-major: the last axis varies fastest. NumPy's `'C'` and its default.
    #[default]
    C,
    /// Column-major: the first axis varies fastest. NumPy's `'F'` (`fortran_order: True`).
    F,
}

mod relayout;

pub(crate) use relayout::{Relayout, Segment};

/// The bytes that the elements of `shape` fill, or `None` if a map could not hold them.
///
/// As in NumPy and ndarray, the axes that are not zero must multiply to at most `isize::MAX`, in
/// elements and in bytes, even if another axis is zero and the array is empty.
pub(crate) fn checked_nbytes(shape: &[usize], itemsize: usize) -> Option<usize> {
    let axes = shape.iter().map(|&axis| axis as u64);
    // No step of the product exceeds the checked one, even if an axis is zero.
    fits(axes, itemsize, isize::MAX as u64).then(|| itemsize * shape.iter().product::<usize>())
}

/// Whether the axes that are not zero multiply to at most `max`, in elements and in bytes.
pub(crate) fn fits(axes: impl Iterator<Item = u64>, itemsize: usize, max: u64) -> bool {
    axes.filter(|&axis| axis != 0)
        .try_fold(itemsize.max(1) as u64, u64::checked_mul)
        .is_some_and(|nbytes| nbytes <= max)
}

/// The dimension and the order of a shape as ndarray writes it: `(3, 4)` or `(3, 4).f()`.
///
/// ndarray does not expose the order, so it is read off the strides of an array of `()`, which
/// occupies no memory. If both orders have the same strides (an axis of zero, at most one axis
/// above one) the answer is C. The shape must have passed [`checked_nbytes`].
pub(crate) fn dim_and_order<D: Dimension>(shape: Shape<D>) -> (D, Order) {
    let dim = shape.raw_dim().clone();
    let probe = Array::<(), D>::uninit(shape);
    let order = if probe.strides() == c_strides(dim.slice()) {
        Order::C
    } else {
        Order::F
    };
    (dim, order)
}

/// ndarray's strides of a C-order shape, in elements: all zero for an empty array.
fn c_strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![0; shape.len()];
    if !shape.contains(&0) {
        let mut step = 1;
        for (stride, &axis) in strides.iter_mut().zip(shape).rev() {
            *stride = step as isize;
            step *= axis;
        }
    }
    strides
}

/// The axis along which an array grows in place: 0 in C order, the last in F order; none for a 0-d
/// array.
pub(crate) fn slowest_axis(ndim: usize, order: Order) -> Option<usize> {
    match order {
        Order::C => (ndim > 0).then_some(0),
        Order::F => ndim.checked_sub(1),
    }
}

/// How many elements lie before the one at `index` in the file, or `None` if the array has no such
/// index.
pub(crate) fn position(index: &[usize], shape: &[usize], order: Order) -> Option<usize> {
    if index.len() != shape.len() {
        return None;
    }
    let mut axes = index.iter().zip(shape);
    let step = |position, (&index, &axis)| (index < axis).then(|| position * axis + index);
    match order {
        Order::C => axes.try_fold(0, step),
        Order::F => axes.rev().try_fold(0, step),
    }
}

/// The number of rows: the length of the slowest axis. A 0-d array is one row.
pub(crate) fn rows(shape: &[usize], order: Order) -> usize {
    slowest_axis(shape.len(), order).map_or(1, |axis| shape[axis])
}

/// The shape of an array of so many rows of this shape.
pub(crate) fn of_rows(row: &[usize], rows: usize, order: Order) -> Vec<usize> {
    let mut shape = row.to_vec();
    let axis = slowest_axis(row.len() + 1, order).unwrap_or(0);
    shape.insert(axis, rows);
    shape
}

/// The lengths of the axes as a header has them.
pub(crate) fn wide(shape: &[usize]) -> Vec<u64> {
    shape.iter().map(|&axis| axis as u64).collect()
}

/// The lengths of the axes that a header has, or `None` if one does not fit a `usize`.
pub(crate) fn narrow(wide: &[u64]) -> Option<Vec<usize>> {
    wide.iter().map(|&axis| axis.try_into().ok()).collect()
}

/// The shape with its slowest axis first, which is how the elements lie in the file.
pub(crate) fn slowest_first<T: Clone>(axes: &[T], order: Order) -> Vec<T> {
    match order {
        Order::C => axes.to_vec(),
        Order::F => axes.iter().rev().cloned().collect(),
    }
}

/// Resolves any range of rows against `rows`. The error has the range that was asked for.
pub(crate) fn row_range(
    range: impl RangeBounds<usize>,
    rows: usize,
) -> Result<Range<usize>, Range<usize>> {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&end) => end.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => rows,
    };
    if start <= end && end <= rows {
        Ok(start..end)
    } else {
        Err(start..end)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{IxDyn, ShapeBuilder};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nbytes_agree_with_wide_arithmetic(shape in prop::collection::vec(prop_oneof![0..5_usize, any::<usize>(), Just(1 << 31)], 0..5), itemsize in prop_oneof![0..17_usize, any::<usize>()]) {
            let wide = |start: u128| shape.iter().filter(|&&n| n != 0).try_fold(start, |p, &n| p.checked_mul(n as u128));
            let fits = |p: Option<u128>| p.is_some_and(|p| p <= isize::MAX as u128);
            let expected = (fits(wide(1)) && fits(wide(itemsize as u128))).then(|| if shape.contains(&0) { 0 } else { wide(itemsize as u128).unwrap() as usize });
            prop_assert_eq!(checked_nbytes(&shape, itemsize), expected);
        }

        #[test]
        fn the_order_of_a_shape_is_found_wherever_its_strides_tell(shape in prop::collection::vec(1..4_usize, 0..5)) {
            let tells = shape.iter().filter(|&&n| n > 1).count() > 1;
            let (dim, order) = dim_and_order(IxDyn(&shape).into_shape_with_order());
            prop_assert_eq!((dim.slice(), order), (&shape[..], Order::C));
            let (_, order) = dim_and_order(IxDyn(&shape).f());
            prop_assert!(order == Order::F || !tells);
        }
    }

    #[test]
    fn the_order_of_a_huge_shape_costs_nothing() {
        let shape = (1 << 30, 1 << 30).f();
        assert_eq!(dim_and_order(shape).1, Order::F);
    }

    #[test]
    fn positions_count_in_the_order_of_the_file() {
        let shape = [3, 4, 5];
        let array = ndarray::Array::from_iter(0..60).into_shape_with_order((3, 4, 5));
        for (index, &place) in array.unwrap().indexed_iter() {
            let (i, j, k) = index;
            assert_eq!(position(&[i, j, k], &shape, Order::C), Some(place));
            let reversed = [5, 4, 3];
            assert_eq!(position(&[k, j, i], &reversed, Order::F), Some(place));
        }
        assert_eq!(position(&[], &[], Order::F), Some(0));
        for outside in [&[3, 0, 0][..], &[0, 4, 0], &[0, 0, 5], &[0, 0], &[0; 4]] {
            assert_eq!(position(outside, &shape, Order::C), None);
            assert_eq!(position(outside, &shape, Order::F), None);
        }
    }

    #[test]
    fn the_slowest_axis_is_the_first_or_the_last() {
        assert_eq!(slowest_first(&[3, 4, 5], Order::C), [3, 4, 5]);
        assert_eq!(slowest_first(&[3, 4, 5], Order::F), [5, 4, 3]);
        assert_eq!(rows(&[3, 4, 5], Order::C), 3);
        assert_eq!(rows(&[3, 4, 5], Order::F), 5);
        assert_eq!(rows(&[], Order::C), 1);
        assert_eq!(rows(&[], Order::F), 1);
    }

    #[test]
    fn lengths_survive_the_header() {
        let shape = [0, 7, usize::MAX];
        assert_eq!(narrow(&wide(&shape)).as_deref(), Some(&shape[..]));
    }

    #[test]
    fn row_ranges_resolve_as_slices_do() {
        assert_eq!(row_range(.., 4), Ok(0..4));
        assert_eq!(row_range(1..=2, 4), Ok(1..3));
        assert_eq!(row_range(4.., 4), Ok(4..4));
        assert_eq!(row_range(2..5, 4), Err(2..5));
        assert_eq!(row_range(..=usize::MAX, 4), Err(0..usize::MAX));
        let reversed = (Bound::Included(3), Bound::Excluded(1));
        assert!(row_range(reversed, 4).is_err());
    }
}
