//! Blocks: parts of an array, one after the other, read into buffers that are used again.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ndarray::{Array, ArrayRef, ArrayView, ArrayViewMut, Dimension, IxDyn, ShapeBuilder};

use super::behind::Behind;
use super::grid::{Chunk, Grid};
#[cfg(feature = "rayon")]
use super::pass::{self, Pieces};
use super::source::Source;
use super::work::{Meter, OutOfCore, OutOfCoreMut, Work, reserve};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::shape::{self, Order};
use crate::store::Lattice;
use crate::sys;

/// A part of an array.
#[derive(Debug)]
#[non_exhaustive]
pub struct Block<D, V> {
    /// The start of the block in the array: its first index along each axis.
    pub start: D,
    /// Its elements.
    pub view: V,
}

/// The elements of a block, as an array of their own. Its buffer is used for another block once it
/// is dropped.
pub struct BlockArray<A, D: Dimension> {
    /// `Some` until it is dropped.
    array: Option<Array<A, D>>,
    spare: Spare<A>,
}

/// A buffer that waits for the next block, if there is one.
type Spare<A> = Arc<Mutex<Vec<A>>>;

fn lock<A>(spare: &Spare<A>) -> MutexGuard<'_, Vec<A>> {
    // A panic elsewhere leaves the buffer whole.
    spare.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<A, D: Dimension> BlockArray<A, D> {
    /// Keeps the elements.
    pub fn into_array(mut self) -> Array<A, D> {
        self.array.take().expect("only what is dropped has none")
    }
}

impl<A, D: Dimension> Deref for BlockArray<A, D> {
    type Target = ArrayRef<A, D>;

    fn deref(&self) -> &ArrayRef<A, D> {
        self.array.as_ref().expect("only what is dropped has none")
    }
}

impl<A, D: Dimension> DerefMut for BlockArray<A, D> {
    fn deref_mut(&mut self) -> &mut ArrayRef<A, D> {
        self.array.as_mut().expect("only what is dropped has none")
    }
}

impl<A, D: Dimension> Drop for BlockArray<A, D> {
    fn drop(&mut self) {
        if let Some(array) = self.array.take() {
            *lock(&self.spare) = array.into_raw_vec_and_offset().0;
        }
    }
}

impl<A: fmt::Debug, D: Dimension> fmt::Debug for BlockArray<A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<'a, A: Element, D: Dimension> OutOfCore<'a, A, D> {
    /// Walks over the array in blocks, in the order of the file.
    ///
    /// A block is an array of its own, whose buffer the next one is read into as soon as it is
    /// dropped: a walk takes the memory of the blocks that are kept, and of one more.
    /// [`for_each_block`](OutOfCore::for_each_block) and `par_for_each_block` (feature `rayon`)
    /// lend their blocks.
    ///
    /// # Errors
    ///
    /// Each block is a result: [`Cancelled`](crate::ErrorKind::Cancelled),
    /// [`Io`](crate::ErrorKind::Io), [`Truncated`](crate::ErrorKind::Truncated), and
    /// [`OverBudget`](crate::ErrorKind::OverBudget) for a block larger than memory. An error is the
    /// last item.
    ///
    /// # Panics
    ///
    /// If a block would have no rows or elements, or a tile has another rank than the array.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Chunk, Error, Store};
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
    pub fn blocks(mut self, chunk: Chunk<D>) -> Blocks<'a, A, D> {
        let reader = BlockReader::new(&self.source, &self.dim, &self.work, &chunk, "read");
        let nbytes = self.source.nbytes() as u64;
        Blocks {
            meter: self.work.meter(self.source.context("read"), nbytes),
            source: self.source,
            reader,
            spare: Arc::default(),
            next: 0,
        }
    }

    /// Calls `each` with one block after the other, in the order of the file. See
    /// [`blocks`](OutOfCore::blocks).
    ///
    /// # Errors
    ///
    /// As for a block, and those of `each`: of any type that an [`Error`] converts to, such as
    /// `Box<dyn Error>`. A closure that never fails ends with `Ok::<_, Error>(())`.
    ///
    /// # Panics
    ///
    /// As [`blocks`](OutOfCore::blocks).
    pub fn for_each_block<E: From<Error>>(
        mut self,
        chunk: Chunk<D>,
        mut each: impl FnMut(Block<D, ArrayView<'_, A, D>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let reader = BlockReader::new(&self.source, &self.dim, &self.work, &chunk, "read");
        let nbytes = self.source.nbytes() as u64;
        let mut meter = self.work.meter(self.source.context("read"), nbytes);
        let mut buffer = Vec::new();
        for index in 0..reader.grid.len() {
            each(reader.load(&self.source, index, &mut buffer)?.as_view())?;
            meter.add(reader.nbytes(index))?;
        }
        Ok(())
    }

    /// Calls `each` with every block, on all threads of the current rayon pool. See
    /// [`blocks`](OutOfCore::blocks).
    ///
    /// Blocks are begun in the order of the file. Each thread has one in memory at a time.
    ///
    /// # Errors
    ///
    /// As for a block, and those of `each`: the first error ends the walk.
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
    /// use ndstore::{Chunk, Error, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("large.npy");
    ///
    /// let store = Store::create_from(&path, &Array2::<f64>::ones((1000, 3)))?;
    /// let total = Mutex::new(0.0);
    /// store.out_of_core().par_for_each_block(Chunk::Bytes(8 << 20), |block| {
    ///     *total.lock().unwrap() += block.view.sum();
    ///     Ok::<_, Error>(())
    /// })?;
    /// assert_eq!(total.into_inner().unwrap(), 3000.0);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    #[cfg(feature = "rayon")]
    pub fn par_for_each_block<E: From<Error> + Send>(
        mut self,
        chunk: Chunk<D>,
        each: impl Fn(Block<D, ArrayView<'_, A, D>>) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let reader = BlockReader::new(&self.source, &self.dim, &self.work, &chunk, "read");
        let nbytes = self.source.nbytes() as u64;
        let mut meter = self.work.meter(self.source.context("read"), nbytes);
        let each =
            |index, buffer: &mut Vec<A>| each(reader.load(&self.source, index, buffer)?.as_view());
        let pieces = Pieces::independent(reader.grid.len());
        pass::run(pieces, &mut meter, each, |index, ()| {
            Ok(reader.nbytes(index))
        })
    }

    /// Folds every block into a value of its own, on all threads of the current rayon pool, and
    /// reduces these to one.
    ///
    /// Each block is folded alone, from what `init` returns, and `reduce` takes the values in the
    /// order of the file, the earlier one first. So the result depends on how the array is cut into
    /// blocks and not on the number of threads. Without blocks it is what `init` returns.
    ///
    /// # Errors
    ///
    /// As for a block, and those of `fold` and `reduce`: the first one ends it.
    ///
    /// # Panics
    ///
    /// As [`blocks`](OutOfCore::blocks).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Chunk, Error, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("large.npy");
    ///
    /// let store = Store::create_from(&path, &Array2::<f64>::ones((1000, 3)))?;
    /// let total = store.out_of_core().par_fold(
    ///     Chunk::Bytes(8 << 20),
    ///     || 0.0,
    ///     |sum, block| Ok::<_, Error>(sum + block.view.sum()),
    ///     |sum, later| Ok(sum + later),
    /// )?;
    /// assert_eq!(total, 3000.0);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    #[cfg(feature = "rayon")]
    pub fn par_fold<T: Send, E: From<Error> + Send>(
        mut self,
        chunk: Chunk<D>,
        init: impl Fn() -> T + Sync,
        fold: impl Fn(T, Block<D, ArrayView<'_, A, D>>) -> Result<T, E> + Sync,
        mut reduce: impl FnMut(T, T) -> Result<T, E> + Send,
    ) -> Result<T, E> {
        let reader = BlockReader::new(&self.source, &self.dim, &self.work, &chunk, "read");
        let nbytes = self.source.nbytes() as u64;
        let mut meter = self.work.meter(self.source.context("read"), nbytes);
        let each = |index, buffer: &mut Vec<A>| {
            let loaded = reader.load(&self.source, index, buffer)?;
            fold(init(), loaded.as_view())
        };
        let mut reduced = None;
        let pieces = Pieces::independent(reader.grid.len());
        pass::run(pieces, &mut meter, each, |index, folded| {
            reduced = Some(match reduced.take() {
                Some(earlier) => reduce(earlier, folded)?,
                None => folded,
            });
            Ok(reader.nbytes(index))
        })?;
        Ok(reduced.unwrap_or_else(init))
    }
}

impl<'a, A: Element, D: Dimension> OutOfCoreMut<'a, A, D> {
    /// Calls `each` with one block after the other, in the order of the file, and writes the
    /// changed block back.
    ///
    /// Written blocks go to the disk while `each` works on the next one, and leave the page cache
    /// if the array would not stay there. A tile of short rows costs a call for each row. A block
    /// that was never written, as in a new file, is not read: on the usual file systems of Linux it
    /// is zeros from the start.
    ///
    /// # Errors
    ///
    /// - Those of `each`, whose block is then not written.
    /// - [`Cancelled`](crate::ErrorKind::Cancelled), [`OverBudget`](crate::ErrorKind::OverBudget)
    ///   for a block larger than memory.
    /// - [`Io`](crate::ErrorKind::Io), [`NoSpace`](crate::ErrorKind::NoSpace) (in a file with
    ///   holes), [`Truncated`](crate::ErrorKind::Truncated) or
    ///   [`Faulted`](crate::ErrorKind::Faulted) if somebody cut the file. If changes do not reach
    ///   the disk the store is [`Poisoned`](crate::ErrorKind::Poisoned).
    ///
    /// # Panics
    ///
    /// As [`OutOfCore::blocks`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Chunk, Error, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("large.npy");
    ///
    /// let mut store = Store::<f64, _>::create(&path, (1000, 3))?;
    /// store.out_of_core_mut().for_each_block_mut(Chunk::Rows(256), |mut block| {
    ///     block.view.fill(block.start[0] as f64);
    ///     Ok::<_, Error>(())
    /// })?;
    /// store.flush()?;
    /// assert_eq!(store.get((600, 2))?, 512.0);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn for_each_block_mut<E: From<Error>>(
        mut self,
        chunk: Chunk<D>,
        mut each: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut meter = self.meter();
        let change = Change::new(&self, &chunk);
        let mut written = change.written(&self.work);
        let mut buffer = Vec::new();
        for index in 0..change.reader.grid.len() {
            change.visit(index, &mut buffer, true, &mut each)?;
            meter.add(written(index)?)?;
        }
        Ok(())
    }

    /// Calls `each` with every block, on all threads of the current rayon pool, and writes the
    /// changed blocks back. See [`for_each_block_mut`](OutOfCoreMut::for_each_block_mut).
    ///
    /// Blocks are begun in the order of the file. Each thread has one in memory at a time.
    ///
    /// # Errors
    ///
    /// As [`for_each_block_mut`](OutOfCoreMut::for_each_block_mut): the first error ends the walk.
    ///
    /// # Panics
    ///
    /// As [`OutOfCore::blocks`].
    #[cfg(feature = "rayon")]
    pub fn par_for_each_block_mut<E: From<Error> + Send>(
        mut self,
        chunk: Chunk<D>,
        each: impl Fn(Block<D, ArrayViewMut<'_, A, D>>) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let mut meter = self.meter();
        let change = Change::new(&self, &chunk);
        let mut written = change.written(&self.work);
        let each = |index, buffer: &mut Vec<A>| change.visit(index, buffer, false, &each);
        let pieces = Pieces::independent(change.reader.grid.len());
        pass::run(pieces, &mut meter, each, |index, ()| Ok(written(index)?))
    }

    fn meter(&mut self) -> Meter<'a> {
        let context = self.source.context(WRITE);
        self.work.meter(context, self.source.nbytes() as u64)
    }
}

/// A walk over blocks that are changed.
struct Change<'s, 'a, A, D> {
    source: &'s Source<'a, A>,
    reader: BlockReader<D>,
}

impl<'s, 'a, A: Element, D: Dimension> Change<'s, 'a, A, D> {
    fn new(mutable: &'s OutOfCoreMut<'a, A, D>, chunk: &Chunk<D>) -> Change<'s, 'a, A, D> {
        let OutOfCoreMut { source, dim, work } = mutable;
        let reader = BlockReader::new(source, dim, work, chunk, WRITE);
        Change { source, reader }
    }

    /// Reads a block, calls `each` to change it and writes it. `alone` states that no other thread
    /// writes meanwhile.
    fn visit<E: From<Error>>(
        &self,
        index: usize,
        buffer: &mut Vec<A>,
        alone: bool,
        mut each: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let lattice = self.reader.lattice(self.source, index);
        if self.is_new(&lattice) {
            self.reader.make_room(self.source, lattice.len(), buffer)?;
            buffer.fill(A::zeroed());
        } else {
            self.reader.read(self.source, index, buffer)?;
        }
        let mut loaded = self.reader.loaded(index, buffer);
        each(loaded.as_view_mut())?;
        let lens: Vec<_> = lattice.axes().map(|(len, _)| len).collect();
        let view = ArrayView::from_shape(IxDyn(&lens), &*loaded.elements);
        let view = view.expect("the block has as many elements");
        let file = self.source.file();
        Ok(file.write_lattice(&lattice, view, alone)?)
    }

    /// Whether nothing was written yet where a block is.
    fn is_new(&self, lattice: &Lattice) -> bool {
        let hull = lattice.hull();
        let bytes = hull.start * size_of::<A>()..hull.end * size_of::<A>();
        let file = self.source.file();
        bytes.len() >= ASKED && sys::is_hole(file.file(), file.array.in_file(bytes))
    }

    /// The closure to call after each block was written, in their order. It returns the bytes of
    /// the block.
    fn written(&self, work: &Work<'a>) -> impl FnMut(usize) -> Result<u64> + use<'_, 's, 'a, A, D> {
        let (file, reader) = (self.source.file(), &self.reader);
        let in_file = |elements: Range<usize>| {
            let bytes = elements.start * size_of::<A>()..elements.end * size_of::<A>();
            file.array.in_file(bytes)
        };
        let extent = in_file(self.source.part().lattice.hull());
        let mut behind = Behind::new(file.file(), extent.clone(), work);
        move |index| {
            // The rows of the next block may be those of this one.
            let done = match index + 1 < reader.grid.len() {
                true => in_file(reader.rows(self.source, index + 1).hull()).start,
                false => extent.end,
            };
            behind.reached(done).map_err(|error| {
                // The kernel reports a lost write once, and would not report it to the next flush.
                file.poison();
                file.context(WRITE).step("write back").io(error)
            })?;
            Ok(reader.nbytes(index))
        }
    }
}

/// The least bytes of a block that is not read if it was never written. To read a shorter one takes
/// no longer than to ask.
const ASKED: usize = 64 << 10;

/// The operation that errors name when blocks are changed.
const WRITE: &str = "write to";

/// Reads the blocks of an array.
struct BlockReader<D> {
    grid: Grid<D>,
    order: Order,
    itemsize: usize,
    op: &'static str,
    budget: usize,
}

/// A block in its buffer.
struct Loaded<'b, A, D> {
    start: D,
    shape: D,
    order: Order,
    elements: &'b mut [A],
}

impl<A, D: Dimension> Loaded<'_, A, D> {
    fn as_view(&self) -> Block<D, ArrayView<'_, A, D>> {
        let shape = self.shape.clone().set_f(self.order == Order::F);
        let view = ArrayView::from_shape(shape, self.elements).expect("they are that many");
        let start = self.start.clone();
        Block { start, view }
    }

    fn as_view_mut(&mut self) -> Block<D, ArrayViewMut<'_, A, D>> {
        let shape = self.shape.clone().set_f(self.order == Order::F);
        let view = ArrayViewMut::from_shape(shape, self.elements).expect("they are that many");
        let start = self.start.clone();
        Block { start, view }
    }
}

impl<D: Dimension> BlockReader<D> {
    fn new<A: Element>(
        source: &Source<'_, A>,
        dim: &D,
        work: &Work<'_>,
        chunk: &Chunk<D>,
        op: &'static str,
    ) -> BlockReader<D> {
        let order = source.order();
        BlockReader {
            grid: Grid::new(dim, order, size_of::<A>(), chunk),
            order,
            itemsize: size_of::<A>(),
            op,
            budget: work.memory(),
        }
    }

    fn nbytes(&self, index: usize) -> u64 {
        (self.grid.block(index).1.size() * self.itemsize) as u64
    }

    /// The places of a block's elements in the file.
    fn lattice<A: Element>(&self, source: &Source<'_, A>, index: usize) -> Lattice {
        let (start, shape) = self.grid.block(index);
        let indices = start.slice().iter().zip(shape.slice());
        let indices: Vec<_> = indices.map(|(&start, &len)| start..start + len).collect();
        let indices = shape::slowest_first(&indices, self.order);
        source.part().lattice.cut(&indices)
    }

    /// The places of all elements in the rows of a block.
    fn rows<A: Element>(&self, source: &Source<'_, A>, index: usize) -> Lattice {
        let (start, shape) = self.grid.block(index);
        let axis = shape::slowest_axis(start.ndim(), self.order);
        let rows = axis.map(|axis| start[axis]..start[axis] + shape[axis]);
        source.part().lattice.cut(rows.as_slice())
    }

    /// Makes a buffer as long as a block of so many elements.
    fn make_room<A: Element>(
        &self,
        source: &Source<'_, A>,
        len: usize,
        buffer: &mut Vec<A>,
    ) -> Result<()> {
        if buffer.capacity() < len {
            *buffer = Vec::new();
            reserve(buffer, len, source.context(self.op), self.budget)?;
        }
        buffer.resize(len, A::zeroed());
        Ok(())
    }

    /// Reads a block into a buffer, which becomes as long as the block.
    fn read<A: Element>(
        &self,
        source: &Source<'_, A>,
        index: usize,
        buffer: &mut Vec<A>,
    ) -> Result<()> {
        let lattice = self.lattice(source, index);
        self.make_room(source, lattice.len(), buffer)?;
        source.read_lattice(source.context(self.op), &lattice, buffer)
    }

    fn load<'b, A: Element>(
        &self,
        source: &Source<'_, A>,
        index: usize,
        buffer: &'b mut Vec<A>,
    ) -> Result<Loaded<'b, A, D>> {
        self.read(source, index, buffer)?;
        Ok(self.loaded(index, buffer))
    }

    /// A block whose elements are in the buffer.
    fn loaded<'b, A: Element>(&self, index: usize, buffer: &'b mut [A]) -> Loaded<'b, A, D> {
        let (start, shape) = self.grid.block(index);
        Loaded {
            start,
            shape,
            order: self.order,
            elements: buffer,
        }
    }
}

/// The blocks of an array, in the order of the file. See [`OutOfCore::blocks`].
pub struct Blocks<'a, A, D> {
    source: Source<'a, A>,
    reader: BlockReader<D>,
    meter: Meter<'a>,
    spare: Spare<A>,
    next: usize,
}

impl<A: Element, D: Dimension> Iterator for Blocks<'_, A, D> {
    type Item = Result<Block<D, BlockArray<A, D>>>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next;
        self.next += 1;
        let block = self.finish(index).and_then(|()| {
            let index = (index < self.reader.grid.len()).then_some(index);
            index.map(|index| self.block(index)).transpose()
        });
        if !matches!(block, Ok(Some(_))) {
            self.reader.grid.clear();
        }
        block.transpose()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.reader.grid.len().saturating_sub(self.next);
        (left.min(1), Some(left + 1))
    }
}

impl<A: Element, D: Dimension> Blocks<'_, A, D> {
    /// A caller who asks for a block is done with the one before.
    fn finish(&mut self, index: usize) -> Result<()> {
        if index == 0 || index > self.reader.grid.len() {
            return Ok(());
        }
        self.meter.add(self.reader.nbytes(index - 1))
    }

    fn block(&self, index: usize) -> Result<Block<D, BlockArray<A, D>>> {
        let mut elements = std::mem::take(&mut *lock(&self.spare));
        self.reader.read(&self.source, index, &mut elements)?;
        let (start, shape) = self.reader.grid.block(index);
        let shape = shape.set_f(self.reader.order == Order::F);
        let array = Array::from_shape_vec(shape, elements).expect("they are that many");
        let view = BlockArray {
            array: Some(array),
            spare: Arc::clone(&self.spare),
        };
        Ok(Block { start, view })
    }
}

impl<A, D> fmt::Debug for Blocks<'_, A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").finish_non_exhaustive()
    }
}
