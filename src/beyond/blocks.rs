//! Blocks: views of an array, one part after the other, read ahead and let go of behind.

use std::ops::Range;

use ndarray::{ArrayView, ArrayViewMut, Axis, CowArray, Dimension, ShapeBuilder, Slice};

use super::ahead::Ahead;
use super::behind::Behind;
use super::grid::{Chunk, Grid};
use super::scan::{AHEAD, Pool};
use super::source::{Source, bytes_of};
use super::work::{Meter, OutOfCore, OutOfCoreMut, Work};
use crate::element::Element;
use crate::error::{Context, Result};
use crate::shape::{self, Order};
use crate::store::{Lent, Poison, Watch};

/// Bytes between two parts of a block that are not worth a request of their own.
const GAP: usize = 64 << 10;

/// A part of an array.
#[derive(Debug)]
#[non_exhaustive]
pub struct Block<D, V> {
    /// Where it starts in the array: its first index along each axis.
    pub start: D,
    /// Its elements.
    pub view: V,
}

impl<'a, A: Element, D: Dimension> OutOfCore<'a, A, D> {
    /// Walks over the array in blocks, in the order of the file.
    ///
    /// A block is a view of the map, or an array of its own where elements have to be converted. While one is at work the
    /// next are read from the disk; those that came before are taken out of this process's memory if the array exceeds the
    /// budget. They can still be used, and cost page faults then.
    ///
    /// # Errors
    ///
    /// Each block is a result: [`Cancelled`](crate::Error::Cancelled), and [`Io`](crate::Error::Io) or
    /// [`Truncated`](crate::Error::Truncated) where elements have to be converted. With
    /// [`Options::guard`](crate::Options::guard), [`Faulted`](crate::Error::Faulted) in the place of the block after one that
    /// may have shown zeros, or of the end.
    ///
    /// # Panics
    ///
    /// If a block is to have no rows or elements, or a tile another rank than the array.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Chunk, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("large.npy");
    ///
    /// let store = Store::create_from(&path, &Array2::<f64>::ones((1000, 3)))?;
    /// let mut total = 0.0;
    /// for block in store.out_of_core().blocks(Chunk::Rows(256)) {
    ///     total += block?.view.sum();
    /// }
    /// assert_eq!(total, 3000.0);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn blocks(self, chunk: Chunk<D>) -> Blocks<'a, A, D> {
        let OutOfCore {
            source,
            dim,
            mut work,
        } = self;
        let walk = Walk::new(&source, &dim, &work, &chunk);
        let meter = work.meter(source.context("read"), source.nbytes() as u64);
        Blocks {
            source,
            walk,
            meter,
            next: 0,
        }
    }

    /// Calls `each` with one block after the other, in the order of the file. See [`blocks`](OutOfCore::blocks).
    ///
    /// Where elements have to be converted, all blocks use the same buffer.
    ///
    /// # Errors
    ///
    /// As for a block, and those of `each`.
    ///
    /// # Panics
    ///
    /// As [`blocks`](OutOfCore::blocks).
    pub fn for_each_block(
        mut self,
        chunk: Chunk<D>,
        mut each: impl FnMut(Block<D, ArrayView<'_, A, D>>) -> Result<()>,
    ) -> Result<()> {
        let walk = Walk::new(&self.source, &self.dim, &self.work, &chunk);
        let nbytes = self.source.nbytes() as u64;
        let mut meter = self.work.meter(self.source.context("read"), nbytes);
        let buffers = Pool::default();
        for index in 0..walk.grid.len() {
            walk.visit(&self.source, &buffers, index, &mut each)?;
            meter.add(walk.nbytes(index))?;
        }
        Ok(())
    }

    /// Calls `each` with every block, on all threads of the current rayon pool. See [`blocks`](OutOfCore::blocks).
    ///
    /// Blocks are begun in the order of the file. As many as there are threads are in memory at a time.
    ///
    /// # Errors
    ///
    /// As for a block, and those of `each`: the first one ends it.
    ///
    /// # Panics
    ///
    /// As [`blocks`](OutOfCore::blocks).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Mutex;
    ///
    /// use ndarray::prelude::*;
    /// use ndstore::{Chunk, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("large.npy");
    ///
    /// let store = Store::create_from(&path, &Array2::<f64>::ones((1000, 3)))?;
    /// let total = Mutex::new(0.0);
    /// store.out_of_core().par_for_each_block(Chunk::Bytes(8 << 20), |block| {
    ///     *total.lock().unwrap() += block.view.sum();
    ///     Ok(())
    /// })?;
    /// assert_eq!(total.into_inner().unwrap(), 3000.0);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    #[cfg(feature = "rayon")]
    pub fn par_for_each_block(
        mut self,
        chunk: Chunk<D>,
        each: impl Fn(Block<D, ArrayView<'_, A, D>>) -> Result<()> + Sync,
    ) -> Result<()> {
        let walk = Walk::new(&self.source, &self.dim, &self.work, &chunk);
        let nbytes = self.source.nbytes() as u64;
        let mut meter = self.work.meter(self.source.context("read"), nbytes);
        let buffers = Pool::default();
        super::parallel::in_order(
            walk.grid.len(),
            |index| walk.visit(&self.source, &buffers, index, &each),
            |index, ()| meter.add(walk.nbytes(index)),
        )
    }
}

/// The way over the blocks of an array: what to read ahead, and what to let go of.
struct Walk<D> {
    grid: Grid<D>,
    order: Order,
    itemsize: usize,
    /// How many blocks ahead to read, 0 if a block is more than may be.
    ahead: usize,
    /// Whether what was visited is let go of.
    release: bool,
}

impl<D: Dimension> Walk<D> {
    fn new<A: Element>(
        source: &Source<'_, A>,
        dim: &D,
        work: &Work<'_>,
        chunk: &Chunk<D>,
    ) -> Walk<D> {
        let order = source.array().order;
        let grid = Grid::new(dim, order, size_of::<A>(), chunk);
        let window = AHEAD.min(work.memory() / 4);
        let mean = source.nbytes() / grid.len().max(1);
        let walk = Walk {
            grid,
            order,
            itemsize: size_of::<A>(),
            ahead: (window / mean.max(1)).max(usize::from(mean <= work.memory() / 2)),
            release: source.nbytes() > work.memory(),
        };
        for index in 0..walk.ahead.min(walk.grid.len()) {
            walk.ranges(index).for_each(|range| source.prefetch(range));
        }
        walk
    }

    fn ranges(&self, index: usize) -> impl Iterator<Item = Range<usize>> + use<D> {
        self.grid.ranges(index, GAP / self.itemsize).into_iter()
    }

    fn nbytes(&self, index: usize) -> u64 {
        (self.grid.block(index).1.size() * self.itemsize) as u64
    }

    fn read_ahead<A: Element>(&self, source: &Source<'_, A>, index: usize) {
        let index = index + self.ahead;
        if self.ahead > 0 && index < self.grid.len() {
            self.ranges(index).for_each(|range| source.prefetch(range));
        }
    }

    fn let_go<A: Element>(&self, source: &Source<'_, A>, index: usize) {
        if self.release {
            self.ranges(index).for_each(|range| source.release(range));
        }
    }

    /// The block as a part of the whole array, where the map lends it.
    fn lent<'a, A: Element>(
        &self,
        source: &Source<'a, A>,
        index: usize,
    ) -> Option<Block<D, ArrayView<'a, A, D>>> {
        let (start, shape) = self.grid.block(index);
        let whole = self.grid.shape().set_f(self.order == Order::F);
        let mut view = ArrayView::from_shape(whole, source.elements()?)
            .expect("the map holds the elements of the shape, by `ArrayFile`");
        for axis in 0..start.ndim() {
            let range = start[axis]..start[axis] + shape[axis];
            view.slice_axis_inplace(Axis(axis), Slice::from(range));
        }
        Some(Block { start, view })
    }

    /// Reads and converts a block into a buffer of its size.
    fn read<A: Element>(
        &self,
        source: &Source<'_, A>,
        index: usize,
        buffer: &mut [A],
    ) -> Result<()> {
        let mut done = 0;
        for range in self.grid.ranges(index, 0) {
            let part = &mut buffer[done..done + range.len()];
            done += range.len();
            source.read(source.context("read"), range, part)?;
        }
        Ok(())
    }

    fn visit<A: Element>(
        &self,
        source: &Source<'_, A>,
        buffers: &Pool<Vec<A>>,
        index: usize,
        mut each: impl FnMut(Block<D, ArrayView<'_, A, D>>) -> Result<()>,
    ) -> Result<()> {
        self.read_ahead(source, index);
        if let Some(block) = self.lent(source, index) {
            each(block)?;
            source.check()?;
            self.let_go(source, index);
            return Ok(());
        }
        let (start, shape) = self.grid.block(index);
        buffers.lend(|buffer| {
            buffer.resize(shape.size(), A::zeroed());
            self.read(source, index, buffer)?;
            let shape = shape.set_f(self.order == Order::F);
            let view = ArrayView::from_shape(shape, &buffer[..]).expect("the buffer has that size");
            source.check()?;
            each(Block { start, view })
        })
    }
}

/// The blocks of an array, in the order of the file. See [`OutOfCore::blocks`].
pub struct Blocks<'a, A, D> {
    source: Source<'a, A>,
    walk: Walk<D>,
    meter: Meter<'a>,
    next: usize,
}

impl<'a, A: Element, D: Dimension> Iterator for Blocks<'a, A, D> {
    type Item = Result<Block<D, CowArray<'a, A, D>>>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next;
        self.next += 1;
        let block = self.finish(index).and_then(|()| {
            let index = (index < self.walk.grid.len()).then_some(index);
            index.map(|index| self.block(index)).transpose()
        });
        if !matches!(block, Ok(Some(_))) {
            self.walk.grid.clear();
        }
        block.transpose()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.walk.grid.len().saturating_sub(self.next);
        (left.min(1), Some(left + 1))
    }
}

impl<'a, A: Element, D: Dimension> Blocks<'a, A, D> {
    /// Whoever asks for a block is done with the one before.
    fn finish(&mut self, index: usize) -> Result<()> {
        if index == 0 || index > self.walk.grid.len() {
            return Ok(());
        }
        self.source.check()?;
        self.walk.let_go(&self.source, index - 1);
        self.meter.add(self.walk.nbytes(index - 1))
    }

    fn block(&self, index: usize) -> Result<Block<D, CowArray<'a, A, D>>> {
        self.walk.read_ahead(&self.source, index);
        if let Some(Block { start, view }) = self.walk.lent(&self.source, index) {
            let view = view.into();
            return Ok(Block { start, view });
        }
        let (start, shape) = self.walk.grid.block(index);
        let mut elements = vec![A::zeroed(); shape.size()];
        self.walk.read(&self.source, index, &mut elements)?;
        let shape = shape.set_f(self.walk.order == Order::F);
        let view = ndarray::Array::from_shape_vec(shape, elements).expect("they are that many");
        let view = view.into();
        Ok(Block { start, view })
    }
}

impl<'a, A: Element, D: Dimension> OutOfCoreMut<'a, A, D> {
    /// Walks over the array in blocks that can be changed, in the order of the file.
    ///
    /// While one is at work the next are read, and those that came before are on their way to the disk: if the array
    /// exceeds the budget, out of memory as well. Blocks share nothing, so several can be changed at a time, also on
    /// several threads (with rayon, by `par_bridge`).
    ///
    /// # Errors
    ///
    /// Each block is a result: [`Cancelled`](crate::Error::Cancelled), and [`Io`](crate::Error::Io) if what was changed does
    /// not reach the disk, which poisons the store. With [`Options::guard`](crate::Options::guard),
    /// [`Faulted`](crate::Error::Faulted) in the place of the block after one that the file may have lost, or of the end.
    ///
    /// # Panics
    ///
    /// As [`OutOfCore::blocks`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Chunk, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("large.npy");
    ///
    /// let mut store = Store::<f64, _>::create(&path, (1000, 3))?;
    /// for block in store.out_of_core_mut().blocks_mut(Chunk::Rows(256)) {
    ///     let mut block = block?;
    ///     block.view.fill(block.start[0] as f64);
    /// }
    /// store.flush()?;
    /// assert_eq!(store.view()[(600, 2)], 512.0);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn blocks_mut(mut self, chunk: Chunk<D>) -> BlocksMut<'a, A, D> {
        let Lent {
            array,
            context,
            bytes,
            pages,
            poison,
            watch,
        } = self.lent;
        let grid = Grid::new(&self.dim, array.order, size_of::<A>(), &chunk);
        let nbytes = bytes.len();
        let elements = bytemuck::try_cast_slice_mut(bytes).unwrap_or(&mut []);
        let axes: Vec<usize> = (0..self.dim.ndim()).collect();
        let shape = self.dim.set_f(array.order == Order::F);
        let view = ArrayViewMut::from_shape(shape, elements)
            .expect("the map holds the elements of the shape, by `ArrayFile`");
        let mean = nbytes / grid.len().max(1);
        BlocksMut {
            ahead: Ahead::new(pages),
            blocks_ahead: (AHEAD.min(self.work.memory() / 4) / mean.max(1)).max(1),
            behind: Behind::new(pages, nbytes, &self.work),
            meter: self.work.meter(context, nbytes as u64),
            rest: (grid.len() > 0).then_some((view, 0)).into_iter().collect(),
            axes: shape::slowest_first(&axes, array.order),
            grid,
            poison,
            watch,
            context,
            next: 0,
            lent: 0,
        }
    }
}

/// The blocks of an array, to be changed, in the order of the file. See [`OutOfCoreMut::blocks_mut`].
pub struct BlocksMut<'a, A, D> {
    grid: Grid<D>,
    /// The axes, the slowest one first.
    axes: Vec<usize>,
    /// What no block has been cut from yet, the nearest part last, and along how many of `axes` it is as long as a block.
    rest: Vec<(ArrayViewMut<'a, A, D>, usize)>,
    ahead: Ahead<'a>,
    /// How many blocks are read ahead.
    blocks_ahead: usize,
    behind: Behind<'a>,
    poison: &'a Poison,
    watch: Watch<'a>,
    context: Context<'a>,
    meter: Meter<'a>,
    next: usize,
    /// The bytes of the block at work.
    lent: u64,
}

impl<'a, A: Element, D: Dimension> BlocksMut<'a, A, D> {
    /// Cuts off the next block.
    fn cut(&mut self) -> Option<ArrayViewMut<'a, A, D>> {
        let chunk = self.grid.chunk();
        loop {
            let (view, depth) = self.rest.pop()?;
            let Some(&axis) = self.axes.get(depth) else {
                return Some(view);
            };
            if view.len_of(Axis(axis)) <= chunk[axis] {
                self.rest.push((view, depth + 1));
                continue;
            }
            let (near, far) = view.split_at(Axis(axis), chunk[axis]);
            self.rest.push((far, depth));
            self.rest.push((near, depth + 1));
        }
    }

    /// Whoever asks for a block is done with the one before, and with everything in the file before its rows.
    fn finish(&mut self) -> Result<()> {
        let lent = std::mem::take(&mut self.lent);
        if lent == 0 {
            return Ok(());
        }
        self.watch.check_guard(self.context)?;
        let done = self.grid.rows_before(self.next) * size_of::<A>();
        self.behind.reached(done).map_err(|error| {
            // Reported here, and not by the flush to come.
            self.poison.set();
            self.context.step("write back").io(error)
        })?;
        self.meter.add(lent)
    }

    /// Cuts off the next block, if there is one, and starts to read those to come.
    fn block(&mut self) -> Option<Block<D, ArrayViewMut<'a, A, D>>> {
        let view = self.cut()?;
        let (start, _) = self.grid.block(self.next);
        // At the start all that is to be ahead, then one block more at a time.
        let end = self.next + self.blocks_ahead + 1;
        self.prefetch(if self.next == 0 { 0 } else { end - 1 }..end);
        self.next += 1;
        self.lent = (view.len() * size_of::<A>()) as u64;
        Some(Block { start, view })
    }

    fn prefetch(&self, blocks: Range<usize>) {
        for index in blocks.start..blocks.end.min(self.grid.len()) {
            for range in self.grid.ranges(index, GAP / size_of::<A>()) {
                self.ahead.want(bytes_of::<A>(&range));
            }
        }
    }
}

impl<'a, A: Element, D: Dimension> Iterator for BlocksMut<'a, A, D> {
    type Item = Result<Block<D, ArrayViewMut<'a, A, D>>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.finish() {
            Ok(()) => self.block().map(Ok),
            Err(error) => {
                self.rest.clear();
                Some(Err(error))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.grid.len().saturating_sub(self.next);
        (left.min(1), Some(left + 1))
    }
}
