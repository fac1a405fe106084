//! Creating an array block by block: the next one is computed while the last one is on its way to the disk.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use ndarray::{ArrayViewMut, Dimension, ShapeBuilder};

use super::behind::Behind;
use super::blocks::Block;
use super::grid::{Chunk, Grid};
use super::work::Work;
use crate::element::Element;
use crate::error::Result;
use crate::shape::Order;
use crate::store::{self, Layout, Options, Store, Target};

/// The bytes that are gathered before they are written, unless a block has more.
const GATHER: usize = 1 << 20;

/// How many buffers there are: one that is filled, one that is written, and one that waits for whoever is slower.
const BUFFERS: usize = 3;

impl<A: Element, D: Dimension> Store<A, D> {
    /// Creates a file whose elements `fill` computes, `rows` rows at a time, in place of an old one.
    ///
    /// Each block is a piece of zeros in memory, not of a map: it takes no page faults, and a full disk is an error. While one is
    /// computed those before are written, and leave the page cache if the file would not stay there. Blocks come in the order
    /// of the file: a row is one index of the slowest axis, the first in C order, the last in Fortran order. Takes three times
    /// the memory of a block, or 3 MiB.
    ///
    /// The file is durable when this returns, and there as a whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`create`](Store::create), and those of `fill`.
    ///
    /// # Panics
    ///
    /// If `rows` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("squares.npy");
    ///
    /// let store = Store::<f64, _>::create_with(&path, (1000, 3), 256, |mut block| {
    ///     for (row, mut elements) in (block.start[0]..).zip(block.view.outer_iter_mut()) {
    ///         elements.fill((row * row) as f64);
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(store.view()[(999, 2)], 998_001.0);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn create_with(
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
        rows: usize,
        fill: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<()>,
    ) -> Result<Store<A, D>> {
        Options::new().create_with(path, shape, rows, fill)
    }
}

impl Options {
    /// Creates a file whose elements `fill` computes, `rows` rows at a time. See [`Store::create_with`].
    ///
    /// # Errors
    ///
    /// As [`Store::create_with`].
    ///
    /// # Panics
    ///
    /// As [`Store::create_with`].
    pub fn create_with<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
        rows: usize,
        fill: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<()>,
    ) -> Result<Store<A, D>> {
        let (dim, order) = self.dim_and_order(path.as_ref(), shape, size_of::<A>())?;
        let grid = Grid::new(&dim, order, size_of::<A>(), &Chunk::Rows(rows));
        let layout = Layout::of::<A, D>(path.as_ref(), dim.slice(), order, self)?;
        let file = store::create_reserved(path.as_ref(), layout, self, |target| {
            fill_blocks(target, &grid, order, fill)
        })?;
        Ok(Store::from_file(file)?)
    }
}

/// Has all blocks filled by the calling thread and written by another.
fn fill_blocks<A: Element, D: Dimension>(
    target: &Target<'_>,
    grid: &Grid<D>,
    order: Order,
    fill: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<()>,
) -> Result<()> {
    let (pass, passed) = mpsc::channel();
    let (give_back, given_back) = mpsc::channel();
    for _ in 0..BUFFERS {
        give_back.send(Vec::new()).expect("its other end is there");
    }
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(target, passed, give_back, grid.shape().size()));
        let filled = fill_all(grid, order, fill, given_back, pass);
        let written = writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // Where the writer failed the other stage only stopped.
        written.and(filled)
    })
}

/// Gathers the blocks in buffers and passes them on. It takes its ends of the channels along: that it is gone ends the writer.
fn fill_all<A: Element, D: Dimension>(
    grid: &Grid<D>,
    order: Order,
    mut fill: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<()>,
    given_back: Receiver<Vec<A>>,
    pass: Sender<Vec<A>>,
) -> Result<()> {
    let gather = GATHER / size_of::<A>().max(1);
    let mut blocks = (0..grid.len()).map(|index| grid.block(index)).peekable();
    while blocks.peek().is_some() {
        let Ok(mut elements) = given_back.recv() else {
            return Ok(());
        };
        elements.clear();
        while let Some((start, shape)) = blocks
            .next_if(|(_, shape)| elements.is_empty() || elements.len() + shape.size() <= gather)
        {
            let first = elements.len();
            elements.resize(first + shape.size(), A::zeroed());
            let shape = shape.set_f(order == Order::F);
            let view = ArrayViewMut::from_shape(shape, &mut elements[first..]);
            let view = view.expect("it is that long");
            fill(Block { start, view })?;
        }
        if pass.send(elements).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Writes what is passed on until there is no more, and hands the buffers back.
fn write<A: Element>(
    target: &Target<'_>,
    passed: Receiver<Vec<A>>,
    give_back: Sender<Vec<A>>,
    len: usize,
) -> Result<()> {
    let mut behind = Behind::new(target.pages(), len * size_of::<A>(), &Work::new());
    let mut position = 0;
    for elements in passed {
        let bytes = bytemuck::cast_slice(&elements);
        target.write_at(position as u64, bytes)?;
        position += bytes.len();
        let written = behind.reached(position);
        written.map_err(|error| target.error(error))?;
        // Nobody waits for it once all blocks are filled.
        let _ = give_back.send(elements);
    }
    Ok(())
}
