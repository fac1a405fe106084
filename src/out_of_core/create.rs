//! Creates an array block by block: the next block is computed while the last one goes to the disk.

use std::path::Path;

use ndarray::{ArrayViewMut, Dimension, ShapeBuilder};

use super::behind::Behind;
use super::blocks::Block;
use super::grid::{Chunk, Grid};
use super::pipeline;
use super::work::Work;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::shape::Order;
use crate::store::{self, Layout, Options, Store, Target};

/// The bytes that are gathered before they are written, unless a block has more.
const GATHER: usize = 1 << 20;

/// The number of buffers: one that is filled, one that is written, and one that waits for the
/// slower of the two.
const BUFFERS: usize = 3;

impl<A: Element, D: Dimension> Store<A, D> {
    /// Creates a file whose elements `fill` computes, `rows` rows at a time. It replaces an old
    /// file.
    ///
    /// Each block is an array of zeros in memory, not in a map: it takes no page faults, and a full
    /// disk is an error. While a block is computed the earlier ones are written, and leave the page
    /// cache if the file would not stay there. Blocks come in the order of the file: a row is one
    /// index of the slowest axis, the first in C order, the last in Fortran order. Takes three
    /// times the memory of a block, or 3 MiB.
    ///
    /// The file is durable when this returns; it appears as a whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`create`](Store::create), and those of `fill`: of any type that an [`Error`] converts
    /// to, such as `Box<dyn Error>`. A closure that never fails ends with `Ok::<_, Error>(())`.
    ///
    /// # Panics
    ///
    /// If `rows` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Error, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("squares.npy");
    ///
    /// let store = Store::<f64, _>::create_with(&path, (1000, 3), 256, |mut block| {
    ///     for (row, mut elements) in (block.start[0]..).zip(block.view.outer_iter_mut()) {
    ///         elements.fill((row * row) as f64);
    ///     }
    ///     Ok::<_, Error>(())
    /// })?;
    /// assert_eq!(store.get((999, 2))?, 998_001.0);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn create_with<E: From<Error>>(
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
        rows: usize,
        fill: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<(), E>,
    ) -> Result<Store<A, D>, E> {
        Options::new().create_with(path, shape, rows, fill)
    }
}

impl Options {
    /// Creates a file whose elements `fill` computes, `rows` rows at a time. See
    /// [`Store::create_with`].
    ///
    /// # Errors
    ///
    /// As [`Store::create_with`].
    ///
    /// # Panics
    ///
    /// As [`Store::create_with`].
    pub fn create_with<A: Element, D: Dimension, E: From<Error>>(
        &self,
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
        rows: usize,
        fill: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<(), E>,
    ) -> Result<Store<A, D>, E> {
        let (dim, order) = self.dim_and_order(path.as_ref(), shape, size_of::<A>())?;
        let grid = Grid::new(&dim, order, size_of::<A>(), &Chunk::Rows(rows));
        let layout = Layout::of::<A, D>(path.as_ref(), dim.slice(), order, self)?;
        let file = store::create_reserved(path.as_ref(), layout, self, |target| {
            fill_blocks(target, &grid, order, fill)
        })?;
        let store = Store::from_file(file).map_err(Error::from)?;
        Ok(store)
    }
}

/// Collects the blocks in buffers, while full buffers are written.
fn fill_blocks<A: Element, D: Dimension, E: From<Error>>(
    target: &Target<'_>,
    grid: &Grid<D>,
    order: Order,
    mut fill: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<(), E>,
) -> Result<(), E> {
    let len = grid.shape().size();
    let mut blocks = (0..grid.len()).map(|index| grid.block(index)).peekable();
    // No block is larger than the first.
    let block = blocks.peek().map_or(0, |(_, shape)| shape.size());
    let capacity = block.max(GATHER / size_of::<A>()).min(len);
    let gather_blocks = |elements: &mut Vec<A>| {
        if blocks.peek().is_none() {
            return Ok(None);
        }
        elements.clear();
        elements.reserve_exact(capacity);
        while let Some((start, shape)) =
            blocks.next_if(|(_, shape)| elements.len() + shape.size() <= capacity)
        {
            let first = elements.len();
            elements.resize(first + shape.size(), A::zeroed());
            let shape = shape.set_f(order == Order::F);
            let view = ArrayViewMut::from_shape(shape, &mut elements[first..]);
            let view = view.expect("it is that long");
            fill(Block { start, view })?;
        }
        Ok(Some(()))
    };
    let mut behind = Behind::new(
        target.file(),
        target.in_file(0..len * size_of::<A>()),
        &Work::new(),
    );
    let mut position = 0;
    let write = |(), elements: &Vec<A>| {
        let bytes = bytemuck::cast_slice(elements);
        target.write_at(position as u64, bytes)?;
        position += bytes.len();
        let written = behind.reached(target.in_file(0..position).end);
        written.map_err(|error| target.error(error))
    };
    pipeline::run(vec![Vec::new(); BUFFERS], gather_blocks, write)
}
