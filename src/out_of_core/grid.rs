//! `Grid`: an array cut into blocks, in the order in which they lie in the file. Pure arithmetic.

use ndarray::{Dimension, IntoDimension};

use crate::shape::Order;

/// The size of the blocks of an array. Blocks at its end may be smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<D> {
    /// This number of rows: indices of the slowest axis, the first in C order, the last in Fortran
    /// order.
    Rows(usize),
    /// As many rows as fill at most this number of bytes, at least one.
    Bytes(usize),
    /// A tile of this shape.
    Shape(D),
}

impl<D: Dimension> Chunk<D> {
    /// A tile of this shape: `Chunk::shape((64, 64))`.
    pub fn shape(shape: impl IntoDimension<Dim = D>) -> Chunk<D> {
        Chunk::Shape(shape.into_dimension())
    }
}

/// The blocks of an array.
#[derive(Clone, Debug)]
pub(super) struct Grid<D> {
    shape: D,
    /// The shape of each block except the last ones.
    chunk: D,
    order: Order,
    len: usize,
}

impl<D: Dimension> Grid<D> {
    /// # Panics
    ///
    /// If a block would be empty, or a tile has another rank than the array.
    pub(super) fn new(shape: &D, order: Order, itemsize: usize, chunk: &Chunk<D>) -> Grid<D> {
        let rows = |rows: usize| {
            assert!(rows > 0, "a block has at least one row");
            let mut chunk = shape.clone();
            if let Some(axis) = crate::shape::slowest_axis(shape.ndim(), order) {
                chunk[axis] = rows;
            }
            chunk
        };
        let chunk = match chunk {
            Chunk::Rows(count) => rows(*count),
            Chunk::Bytes(nbytes) => {
                let count = crate::shape::rows(shape.slice(), order);
                let row = shape.size() / count.max(1) * itemsize;
                rows((nbytes / row.max(1)).max(1))
            }
            Chunk::Shape(tile) => {
                assert_eq!(
                    tile.ndim(),
                    shape.ndim(),
                    "a tile has as many axes as the array"
                );
                assert!(
                    tile.slice().iter().all(|&axis| axis > 0),
                    "a tile has at least one element"
                );
                tile.clone()
            }
        };
        let len = if shape.size() == 0 {
            0
        } else {
            // A block has no more indices than the axis.
            let axes = shape.slice().iter().zip(chunk.slice());
            axes.map(|(&axis, &chunk)| axis.div_ceil(chunk)).product()
        };
        Grid {
            shape: shape.clone(),
            chunk,
            order,
            len,
        }
    }

    /// Leaves no blocks.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// The number of blocks.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn shape(&self) -> D {
        self.shape.clone()
    }

    /// The axes, starting with the one that varies fastest in the file.
    fn fastest_first(&self) -> impl Iterator<Item = usize> + Clone + use<D> {
        let ndim = self.shape.ndim();
        let order = self.order;
        (0..ndim).map(move |axis| match order {
            Order::C => ndim - 1 - axis,
            Order::F => axis,
        })
    }

    /// The first index of a block along each axis, and its shape.
    pub(super) fn block(&self, mut index: usize) -> (D, D) {
        let mut start = self.shape.clone();
        let mut shape = self.shape.clone();
        for axis in self.fastest_first() {
            let count = self.shape[axis].div_ceil(self.chunk[axis]);
            start[axis] = index % count * self.chunk[axis];
            shape[axis] = self.chunk[axis].min(self.shape[axis] - start[axis]);
            index /= count;
        }
        (start, shape)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, ArrayD, IxDyn, ShapeBuilder, Slice};
    use proptest::prelude::*;

    use super::*;

    /// The numbers of the elements in the order of the file, in an array of that order.
    fn numbered(shape: &[usize], order: Order) -> ArrayD<usize> {
        let shape = IxDyn(shape).set_f(order == Order::F);
        let len = shape.size();
        Array::from_shape_vec(shape, (0..len).collect()).unwrap()
    }

    proptest! {
        #[test]
        fn blocks_cover_every_element_once(
            axes in prop::collection::vec((0..7_usize, 1..5_usize), 0..5),
            fortran in any::<bool>(),
        ) {
            let (shape, tile): (Vec<_>, Vec<_>) = axes.into_iter().unzip();
            let order = if fortran { Order::F } else { Order::C };
            let numbers = numbered(&shape, order);
            let grid = Grid::new(&IxDyn(&shape), order, 8, &Chunk::Shape(IxDyn(&tile)));
            let mut seen = vec![0; numbers.len()];
            for index in 0..grid.len() {
                let (start, shape) = grid.block(index);
                let block = numbers.slice_each_axis(|axis| {
                    let start = start[axis.axis.index()];
                    Slice::from(start..start + shape[axis.axis.index()])
                });
                for &element in block {
                    seen[element] += 1;
                }
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
        }

        #[test]
        fn blocks_of_rows_follow_each_other_in_the_file(shape in prop::collection::vec(1..6_usize, 0..4), rows in 1..7_usize, fortran in any::<bool>()) {
            let order = if fortran { Order::F } else { Order::C };
            let grid = Grid::new(&IxDyn(&shape), order, 8, &Chunk::Rows(rows));
            let numbers = numbered(&shape, order);
            let mut end = 0;
            for index in 0..grid.len() {
                let (start, shape) = grid.block(index);
                prop_assert_eq!(numbers[&start], end);
                end += shape.size();
            }
            prop_assert_eq!(end, numbers.len());
        }
    }

    #[test]
    fn a_block_of_bytes_has_as_many_rows_as_fit_and_at_least_one() {
        let rows = |nbytes| Grid::new(&IxDyn(&[100, 3]), Order::C, 8, &Chunk::Bytes(nbytes)).len();
        assert_eq!(
            [rows(2400), rows(240), rows(250), rows(0)],
            [1, 10, 10, 100]
        );
    }
}
