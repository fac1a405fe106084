//! Packing: turns the elements of an array of any strides into bytes in a given order.
//!
//! If memory has another order than the file, reading in the file's order would touch a new cache
//! line, and a new page, for each element. Such arrays are packed in tiles: short runs along the
//! axis that is contiguous in memory are read into a scratch buffer that stays in the cache, and
//! leave it as short runs of the output.

use bytemuck::Pod;
use ndarray::{ArrayRef, ArrayView, ArrayView2, ArrayViewD, Axis, Dimension, s};

use crate::element::Element;
use crate::shape::Order;
use crate::sys;

/// The bytes that are packed at a time if the output need not be whole in memory.
const SLAB: usize = 8 << 20;

/// The height of a tile: elements that are neighbours in memory.
const RUN: usize = 64;

/// The width of a tile: elements that are neighbours in the output. A cache line of `f64`.
const WIDTH: usize = 8;

/// The order of the elements as they lie in memory, by NumPy's rule: F if they are in F order and
/// not in C order, otherwise C.
pub(crate) fn memory_order<A, D: Dimension>(array: &ArrayRef<A, D>) -> Order {
    if !array.is_standard_layout() && array.t().is_standard_layout() {
        Order::F
    } else {
        Order::C
    }
}

/// The bytes of all elements in `order`. `None` if the system has too little memory, because a view
/// can repeat its elements without limit.
pub(crate) fn pack<A: Element, D: Dimension>(
    array: &ArrayRef<A, D>,
    order: Order,
) -> Option<Vec<u8>> {
    let view = slowest_first(array, order);
    let mut packed = sys::zeroed_vec(view.len().checked_mul(size_of::<A>())?)?;
    match view.as_slice() {
        Some(elements) => packed.copy_from_slice(bytemuck::cast_slice(elements)),
        None => pack_into(view.into_dyn(), &mut packed),
    }
    Some(packed)
}

/// Passes the bytes of all elements in `order` to `write`, piece by piece.
///
/// An array in that order in memory is passed as it is, in one piece; any other goes through a
/// buffer of bounded size.
pub(crate) fn for_each_piece<A: Element, D: Dimension, E>(
    array: &ArrayRef<A, D>,
    order: Order,
    mut write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let view = slowest_first(array, order);
    if let Some(elements) = view.as_slice() {
        return write(bytemuck::cast_slice(elements));
    }
    let nbytes = view.len().saturating_mul(size_of::<A>());
    let mut buffer = vec![0; SLAB.max(size_of::<A>()).min(nbytes)];
    pieces(view.into_dyn(), &mut buffer, &mut write)
}

/// The array with its slowest axis in front, so that C order of the view is `order` of the array.
fn slowest_first<A, D: Dimension>(array: &ArrayRef<A, D>, order: Order) -> ArrayView<'_, A, D> {
    match order {
        Order::C => array.view(),
        Order::F => array.t(),
    }
}

/// Packs as many whole rows at a time as the buffer holds. A row larger than the buffer is packed
/// piece by piece.
fn pieces<A: Element, E>(
    view: ArrayViewD<'_, A>,
    buffer: &mut [u8],
    write: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let nbytes = view.len() * size_of::<A>();
    if nbytes <= buffer.len() {
        let packed = &mut buffer[..nbytes];
        pack_into(view, packed);
        return write(packed);
    }
    let row = nbytes / view.len_of(Axis(0));
    if row > buffer.len() {
        return view
            .outer_iter()
            .try_for_each(|row| pieces(row, buffer, write));
    }
    view.axis_chunks_iter(Axis(0), buffer.len() / row)
        .try_for_each(|rows| pieces(rows, buffer, write))
}

/// Fills `packed` with the elements in C order.
fn pack_into<A: Element>(view: ArrayViewD<'_, A>, packed: &mut [u8]) {
    if let Some(elements) = view.as_slice() {
        packed.copy_from_slice(bytemuck::cast_slice(elements));
        return;
    }
    let mut steps: Vec<usize> = view.shape().to_vec();
    let mut step = 1;
    for axis in steps.iter_mut().rev() {
        step *= std::mem::replace(axis, step);
    }
    scatter(view, packed, &mut steps);
}

/// Puts the elements of an array that is not empty into their places in `packed`: the first in
/// front, and neighbours along each axis `steps` elements apart. Neighbours along the last axis are
/// adjacent.
pub(crate) fn scatter<A: Pod>(mut view: ArrayViewD<'_, A>, packed: &mut [u8], steps: &mut [usize]) {
    let last = view.ndim() - 1;
    debug_assert_eq!(steps[last], 1);
    let distance = |axis: &usize| view.strides()[*axis].unsigned_abs();
    let nearest = (0..last)
        .filter(|&axis| view.len_of(Axis(axis)) > 1)
        .min_by_key(distance);
    let nearest =
        nearest.filter(|axis| distance(axis) < distance(&last) && view.len_of(Axis(last)) > 1);
    let scratch = nearest.map(|nearest| {
        view.swap_axes(nearest, last - 1);
        steps.swap(nearest, last - 1);
        Vec::with_capacity(RUN * WIDTH)
    });
    let mut tiles = Tiles { scratch, packed };
    tiles.pack(view, steps, 0);
}

struct Tiles<'a, A> {
    /// `None` if the last axis is contiguous in memory, too, and rows are copied as they are.
    scratch: Option<Vec<A>>,
    packed: &'a mut [u8],
}

impl<A: Pod> Tiles<'_, A> {
    /// Packs an array whose last axis is contiguous in the output. If it is not so in memory, the
    /// last but one is.
    ///
    /// Neighbours along each axis are `steps` apart in the output, and the first element goes to
    /// `start`.
    fn pack(&mut self, view: ArrayViewD<'_, A>, steps: &[usize], start: usize) {
        match view.ndim() {
            1 => self.pack_plane(planar(view.insert_axis(Axis(0))), 0, start),
            2 => self.pack_plane(planar(view), steps[0], start),
            _ => {
                for (index, part) in view.outer_iter().enumerate() {
                    self.pack(part, &steps[1..], start + index * steps[0]);
                }
            }
        }
    }

    fn pack_plane(&mut self, plane: ArrayView2<'_, A>, step: usize, start: usize) {
        if self.scratch.is_none() {
            return self.pack_rows(plane, step, start);
        }
        let (height, width) = plane.dim();
        for top in (0..height).step_by(RUN) {
            let bottom = (top + RUN).min(height);
            for left in (0..width).step_by(WIDTH) {
                let right = (left + WIDTH).min(width);
                let tile = plane.slice(s![top..bottom, left..right]);
                self.pack_tile(tile, step, start + top * step + left);
            }
        }
    }

    fn pack_rows(&mut self, plane: ArrayView2<'_, A>, step: usize, start: usize) {
        for (index, row) in plane.outer_iter().enumerate() {
            let packed = &mut self.packed[(start + index * step) * size_of::<A>()..];
            match row.as_slice() {
                Some(elements) => {
                    let bytes: &[u8] = bytemuck::cast_slice(elements);
                    packed[..bytes.len()].copy_from_slice(bytes);
                }
                None => {
                    for (element, packed) in row.iter().zip(packed.chunks_exact_mut(size_of::<A>()))
                    {
                        packed.copy_from_slice(bytemuck::bytes_of(element));
                    }
                }
            }
        }
    }

    fn pack_tile(&mut self, tile: ArrayView2<'_, A>, step: usize, start: usize) {
        let (height, width) = tile.dim();
        let scratch = self.scratch.get_or_insert_default();
        scratch.clear();
        for column in tile.columns() {
            scratch.extend(column);
        }
        for row in 0..height {
            let packed = &mut self.packed[(start + row * step) * size_of::<A>()..];
            let packed = packed.chunks_exact_mut(size_of::<A>()).take(width);
            let elements = scratch[row..].iter().step_by(height);
            for (element, packed) in elements.zip(packed) {
                packed.copy_from_slice(bytemuck::bytes_of(element));
            }
        }
    }
}

fn planar<A>(view: ArrayViewD<'_, A>) -> ArrayView2<'_, A> {
    view.into_dimensionality()
        .expect("the caller has seen that it has two axes")
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, IxDyn, Slice};
    use proptest::prelude::*;

    use super::*;

    fn naive<A: Element>(view: &ArrayViewD<'_, A>, order: Order) -> Vec<u8> {
        let view = slowest_first(view, order);
        view.iter()
            .flat_map(|element| bytemuck::bytes_of(element).to_vec())
            .collect()
    }

    /// Any strides: axes cut, skipped, reversed and permuted.
    fn cut(array: &mut ArrayViewD<'_, u32>, cuts: &[(usize, isize)], rotation: usize) {
        for (axis, &(start, step)) in cuts.iter().enumerate().take(array.ndim()) {
            let start = start.min(array.len_of(Axis(axis))) as isize;
            array.slice_axis_inplace(Axis(axis), Slice::new(start, None, step));
        }
        for axis in 1..array.ndim() {
            array.swap_axes(axis, (axis + rotation) % array.ndim());
        }
    }

    proptest! {
        #[test]
        fn packing_agrees_with_walking_element_by_element(
            shape in prop::collection::vec(0..6_usize, 0..5),
            cuts in prop::collection::vec((0..3_usize, prop_oneof![Just(1_isize), Just(-1), Just(2), Just(-3)]), 4),
            rotation in 0..4_usize,
            buffer in 1..100_usize,
        ) {
            let array = Array::from_shape_fn(IxDyn(&shape), |index| index.slice().iter().fold(0, |flat, &i| flat * 10 + i as u32));
            let mut view = array.view();
            cut(&mut view, &cuts, rotation);
            for order in [Order::C, Order::F] {
                let expected = naive(&view, order);
                prop_assert_eq!(&pack(&view, order).unwrap(), &expected);
                let mut found = Vec::new();
                for_each_piece(&view, order, |bytes| { found.extend_from_slice(bytes); Ok::<_, ()>(()) }).unwrap();
                prop_assert_eq!(&found, &expected);
                found.clear();
                let mut buffer = vec![0; buffer.max(4)];
                pieces(slowest_first(&view, order), &mut buffer, &mut |bytes: &[u8]| { found.extend_from_slice(bytes); Ok::<_, ()>(()) }).unwrap();
                prop_assert_eq!(&found, &expected);
            }
        }
    }

    #[test]
    fn arrays_larger_than_a_tile_are_packed_whole() {
        for shape in [[1, 130, 70], [3, 65, 9], [70, 2, 70], [129, 17, 1]] {
            let array = Array::from_shape_fn(IxDyn(&shape), |index| {
                (index[0] * 1_000_000 + index[1] * 1_000 + index[2]) as u32
            });
            for axes in [
                [0, 1, 2],
                [0, 2, 1],
                [1, 0, 2],
                [1, 2, 0],
                [2, 0, 1],
                [2, 1, 0],
            ] {
                let view = array.view().permuted_axes(IxDyn(&axes));
                for order in [Order::C, Order::F] {
                    assert_eq!(
                        pack(&view, order).unwrap(),
                        naive(&view, order),
                        "{shape:?} {axes:?}"
                    );
                }
            }
        }
    }
}
