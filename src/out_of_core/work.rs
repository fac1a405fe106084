//! `OutOfCore`: an array in a file, to be worked on within a memory budget, and the settings of that work.

use std::cell::OnceCell;
use std::error;
use std::fmt;
use std::ops::RangeBounds;

use ndarray::{Dimension, IxDyn, SliceArg};

use super::source::{Part, Source};
use crate::element::Element;
use crate::error::{Context, ErrorKind, Result};
use crate::shape::Order;
use crate::store::{AccessMode, AnyStore, CopyOnWrite, Mapped, Options, Store};
use crate::sys;

/// What is taken for available where the system does not tell.
const UNKNOWN: u64 = 4 << 30;

/// How far an operation has come, in bytes of the arrays that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many are done.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

type Callback<'a> = dyn FnMut(Progress) -> Result<(), Reason> + Send + 'a;

/// Why a callback ends an operation.
type Reason = Box<dyn error::Error + Send + Sync>;

/// How to work: with how much memory, who is told, and how a new file is made.
pub(super) struct Work<'a> {
    /// Asked of the system once, so that all parts of an operation go by the same number.
    memory: OnceCell<usize>,
    progress: Option<Box<Callback<'a>>>,
    options: Options,
}

impl<'a> Work<'a> {
    pub(super) fn new() -> Work<'a> {
        Work {
            memory: OnceCell::new(),
            progress: None,
            options: Options::new(),
        }
    }

    /// The budget in bytes.
    pub(super) fn memory(&self) -> usize {
        self.memory_for(usize::MAX)
    }

    /// As [`memory`](Work::memory), for an operation of which is known what it needs. Little is granted by an old answer.
    pub(super) fn memory_for(&self, needed: usize) -> usize {
        let a_quarter = || (available(needed as u64) / 4) as usize;
        *self.memory.get_or_init(a_quarter)
    }

    /// How new files are made.
    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Refuses a new file in another order than `order`, for `reason`.
    pub(super) fn check_order(
        &self,
        context: Context<'_>,
        order: Order,
        reason: &'static str,
    ) -> Result<()> {
        match self.options.order {
            Some(asked) if asked != order => Err(context.fail(ErrorKind::InvalidOption { reason })),
            _ => Ok(()),
        }
    }

    /// Counts what the operation does, of `total` bytes. Made once: it takes the callback.
    pub(super) fn meter(&mut self, context: Context<'a>, total: u64) -> Meter<'a> {
        Meter {
            progress: self.progress.take(),
            context,
            now: Progress { done: 0, total },
        }
    }
}

/// Makes room for so many elements in an empty vector, and refuses more than there is memory, whatever the budget: sizes come from
/// files, and what cannot be had must not end the process.
pub(super) fn reserve<T>(
    vector: &mut Vec<T>,
    len: usize,
    context: Context<'_>,
    budget: usize,
) -> Result<()> {
    let needed = len as u64 * size_of::<T>() as u64;
    let is_too_much = needed > budget as u64 && needed > available(needed);
    if is_too_much || vector.try_reserve_exact(len).is_err() {
        return Err(context.fail(ErrorKind::OverBudget {
            needed,
            budget: budget as u64,
        }));
    }
    Ok(())
}

/// The bytes of memory that there are, by an answer that is good enough for who needs so many. See
/// [`sys::available_memory`].
pub(super) fn available(needed: u64) -> u64 {
    sys::available_memory(needed)
        .unwrap_or(UNKNOWN)
        .min(isize::MAX as u64)
}

/// Counts the bytes that are done, tells the callback, and stops if it says so.
pub(super) struct Meter<'a> {
    progress: Option<Box<Callback<'a>>>,
    context: Context<'a>,
    now: Progress,
}

impl Meter<'_> {
    /// Counts `nbytes` more.
    pub(super) fn add(&mut self, nbytes: u64) -> Result<()> {
        self.now.done += nbytes;
        let told = self.progress.as_mut().map(|progress| progress(self.now));
        told.unwrap_or(Ok(()))
            .map_err(|cause| self.context.fail(ErrorKind::Cancelled { cause }))
    }
}

/// An array in a file, to be worked on piece by piece within a memory budget: what to reach for when the array is larger than
/// memory, or not in the page cache.
///
/// [`Store::out_of_core`] makes one of any store, [`AnyStore::out_of_core`] also of an array that cannot be viewed in place:
/// its elements are converted while they are read; [`AnyStore::out_of_core_as`] takes whatever numbers a file holds for floats.
/// Set what is needed, then call the one operation:
///
/// | work | operations |
/// |---|---|
/// | walk over it | [`blocks`](OutOfCore::blocks), [`for_each_block`](OutOfCore::for_each_block) |
/// | compute a new array | [`map`](OutOfCore::map), [`zip`](OutOfCore::zip), [`zip_axis`](OutOfCore::zip_axis), [`map_blocks`](OutOfCore::map_blocks), [`astype`](OutOfCore::astype) |
/// | pick rows by index | [`gather`](OutOfCore::gather), [`gather_to`](OutOfCore::gather_to), [`batches`](OutOfCore::batches) |
/// | bring it into another shape | [`transpose`](OutOfCore::transpose), [`permute`](OutOfCore::permute), [`concatenate`](OutOfCore::concatenate), [`copy_region`](OutOfCore::copy_region) |
/// | bring it into another order | [`to_order`](OutOfCore::to_order), [`to_byte_order`](OutOfCore::to_byte_order) |
/// | reduce it | [`sum`](OutOfCore::sum), [`mean`](OutOfCore::mean), [`var`](OutOfCore::var), [`std`](OutOfCore::std), [`min`](OutOfCore::min), [`max`](OutOfCore::max), [`argmin`](OutOfCore::argmin), [`argmax`](OutOfCore::argmax), [`count_nonzero`](OutOfCore::count_nonzero) |
/// | leave NaN out | [`nansum`](OutOfCore::nansum), [`nanmean`](OutOfCore::nanmean), [`nanvar`](OutOfCore::nanvar), [`nanargmin`](OutOfCore::nanargmin) and their like, [`count_nan`](OutOfCore::count_nan) |
/// | see how it is spread | [`describe`](OutOfCore::describe), [`describe_axis`](OutOfCore::describe_axis), [`quantile`](OutOfCore::quantile), [`median`](OutOfCore::median), [`histogram`](OutOfCore::histogram), [`histogram_bins`](OutOfCore::histogram_bins) |
/// | linear algebra | [`dot`](OutOfCore::dot), [`cov`](OutOfCore::cov) |
/// | reduce one axis | [`sum_axis`](OutOfCore::sum_axis) and the others |
///
/// Each of them reads into buffers of its own, never through a map, and keeps to the budget whatever the size of the array:
/// what somebody cut off the file meanwhile is [`ErrorKind::Truncated`](crate::ErrorKind::Truncated); docs/out-of-core.md says which is for which job, with figures.
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::Store;
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("large.npy");
/// # Store::<f64, _>::create(&path, (1000, 100))?.close()?;
///
/// let store = Store::<f64, Ix2>::open(&path)?;
/// let mut largest = f64::MIN;
/// store
///     .out_of_core()
///     .memory(64 << 20)
///     .progress(|progress| {
///         println!("{} of {} bytes", progress.done, progress.total);
///         Ok(())
///     })
///     .for_each_block(Chunk::Rows(256), |block| {
///         largest = block.view.fold(largest, |a, &b| a.max(b));
///         Ok::<_, Error>(())
///     })?;
/// # use ndstore::{Chunk, Error};
/// # Ok::<(), ndstore::Error>(())
/// ```
#[must_use = "nothing is done until an operation is called"]
pub struct OutOfCore<'a, A, D> {
    pub(super) source: Source<'a, A>,
    pub(super) dim: D,
    pub(super) work: Work<'a>,
}

impl<'a, A: Element, D: Dimension> OutOfCore<'a, A, D> {
    pub(super) fn new(source: Source<'a, A>, dim: D) -> Self {
        OutOfCore {
            source,
            dim,
            work: Work::new(),
        }
    }

    /// Sets the memory budget in bytes: what an operation may hold at a time.
    ///
    /// A quarter of what is available unless told otherwise: of the memory that the system has left, or of the limit of the
    /// process's control group (version 1 or 2, the least of those above it). A few MiB are used however small it is.
    /// The pages of a copy-on-write store cannot be let go of and do not count. Where the system does not tell, 4 GiB are
    /// taken for what is available.
    pub fn memory(mut self, nbytes: usize) -> Self {
        self.work.memory = nbytes.into();
        self
    }

    /// Has `progress` told how far the operation is, every few MiB, from whichever thread is at work. An error
    /// ends the operation, and is the cause in [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled): a new file is then not made. To
    /// stop for no other reason, answer `Err("stopped".into())`.
    /// The other threads may wait for the answer meanwhile, so it must not wait for work of its own on their pool of rayon.
    pub fn progress(
        mut self,
        progress: impl FnMut(Progress) -> Result<(), Box<dyn error::Error + Send + Sync>> + Send + 'a,
    ) -> Self {
        self.work.progress = Some(Box::new(progress));
        self
    }

    /// Sets how a new file is made: its order, a compact header, a lock to wait for.
    pub fn output(mut self, options: Options) -> Self {
        self.work.options = options;
        self
    }

    /// Takes some rows for the whole array: `m[100:200]` before whatever is done. Rows lie along the slowest axis, the first in C
    /// order and the last in Fortran order.
    ///
    /// # Errors
    ///
    /// [`RowsOutOfBounds`](ErrorKind::RowsOutOfBounds); [`AxisOutOfBounds`](ErrorKind::AxisOutOfBounds) for a 0-d array.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("days.npy");
    ///
    /// let store = Store::create_from(&path, &array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])?;
    /// let mean = store.out_of_core().rows(1..)?.mean_axis(Axis(0))?;
    /// assert_eq!(mean, array![4.0, 5.0]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn rows(mut self, rows: impl RangeBounds<usize>) -> Result<Self> {
        self.source = self.source.map_part(|part| part.rows(rows))?;
        self.dim = self.source.part().dim();
        Ok(self)
    }

    /// Takes a region for the whole array: the crop of a volume, every second row, one column. Only what is in it is read, and
    /// the little that lies between its elements.
    ///
    /// Takes what [`Store::read`] takes, less axes that run backwards.
    ///
    /// # Errors
    ///
    /// [`NdimMismatch`](ErrorKind::NdimMismatch), [`OutOfBounds`](ErrorKind::OutOfBounds); [`InvalidOption`](ErrorKind::InvalidOption) for a
    /// step of 0, or less.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("table.npy");
    ///
    /// let store = Store::create_from(&path, &array![[1_i64, 2, 3], [4, 5, 6], [7, 8, 9]])?;
    /// assert_eq!(store.out_of_core().region(s![.., 1])?.sum()?, 15);
    /// assert_eq!(store.out_of_core().region(s![1.., ..;2])?.max_axis(Axis(0))?, array![7, 9]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn region<I: SliceArg<D>>(self, region: I) -> Result<OutOfCore<'a, A, I::OutDim>>
    where
        I::OutDim: Dimension,
    {
        let OutOfCore { source, work, .. } = self;
        let source = source.map_part(|part| part.region(region.as_ref()))?;
        Ok(OutOfCore {
            dim: source.part().dim(),
            source,
            work,
        })
    }
}

/// An array in a file, to be changed piece by piece within a memory budget.
///
/// [`Store::out_of_core_mut`] makes it. Settings are those of [`OutOfCore`].
///
/// | work | operations |
/// |---|---|
/// | walk over it and change it | [`for_each_block_mut`](OutOfCoreMut::for_each_block_mut) |
/// | overwrite rows by index | [`scatter`](OutOfCoreMut::scatter) |
///
/// What was changed is durable after the next [`flush`](Store::flush), which finds most of it written already.
#[must_use = "nothing is done until an operation is called"]
pub struct OutOfCoreMut<'a, A, D> {
    /// Of a store that is borrowed for this alone, although nothing needs it mutably: nobody else reads or writes meanwhile.
    pub(super) source: Source<'a, A>,
    pub(super) dim: D,
    pub(super) work: Work<'a>,
}

impl<'a, A: Element, D: Dimension> OutOfCoreMut<'a, A, D> {
    /// `store` is borrowed exclusively.
    fn new(store: &'a Store<A, D>) -> Self {
        OutOfCoreMut {
            source: Source::new(&store.file),
            dim: store.dim.clone(),
            work: Work::new(),
        }
    }

    /// Sets the memory budget in bytes. See [`OutOfCore::memory`].
    pub fn memory(mut self, nbytes: usize) -> Self {
        self.work.memory = nbytes.into();
        self
    }

    /// Has `progress` told how far the operation is. See [`OutOfCore::progress`]. What was changed before it ended stays
    /// changed.
    pub fn progress(
        mut self,
        progress: impl FnMut(Progress) -> Result<(), Box<dyn error::Error + Send + Sync>> + Send + 'a,
    ) -> Self {
        self.work.progress = Some(Box::new(progress));
        self
    }

    /// Takes some rows for the whole array. See [`OutOfCore::rows`].
    ///
    /// # Errors
    ///
    /// As [`OutOfCore::rows`].
    pub fn rows(mut self, rows: impl RangeBounds<usize>) -> Result<Self> {
        self.source = self.source.map_part(|part| part.rows(rows))?;
        self.dim = self.source.part().dim();
        Ok(self)
    }

    /// Takes a region for the whole array. See [`OutOfCore::region`]. Nothing else is changed.
    ///
    /// # Errors
    ///
    /// As [`OutOfCore::region`].
    pub fn region<I: SliceArg<D>>(self, region: I) -> Result<OutOfCoreMut<'a, A, I::OutDim>>
    where
        I::OutDim: Dimension,
    {
        let OutOfCoreMut { source, work, .. } = self;
        let source = source.map_part(|part| part.region(region.as_ref()))?;
        Ok(OutOfCoreMut {
            dim: source.part().dim(),
            source,
            work,
        })
    }
}

/// An array of any dtype in a file, to be moved within a memory budget: what does not take its elements for numbers.
///
/// [`AnyStore::out_of_core_any`] makes it. Settings are those of [`OutOfCore`].
///
/// | work | operations |
/// |---|---|
/// | bring it into another shape | [`transpose`](OutOfCoreAny::transpose), [`permute`](OutOfCoreAny::permute), [`concatenate`](OutOfCoreAny::concatenate), [`copy_region`](OutOfCoreAny::copy_region) |
/// | bring it into another order | [`to_order`](OutOfCoreAny::to_order), [`to_byte_order`](OutOfCoreAny::to_byte_order) |
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::{AnyStore, Store};
/// # let dir = tempfile::tempdir().unwrap();
/// # let [rows, columns] = ["rows.npy", "columns.npy"].map(|name| dir.path().join(name));
/// # Store::create_from(&rows, &array![[1, 2, 3], [4, 5, 6]])?.close()?;
///
/// let any = AnyStore::open(&rows)?;
/// let transposed = any.out_of_core_any().memory(64 << 20).transpose(&columns)?;
/// assert_eq!(transposed.shape(), [3, 2]);
/// # Ok::<(), ndstore::Error>(())
/// ```
#[must_use = "nothing is done until an operation is called"]
pub struct OutOfCoreAny<'a> {
    pub(super) part: Part<'a>,
    pub(super) work: Work<'a>,
}

impl<'a> OutOfCoreAny<'a> {
    /// Sets the memory budget in bytes. See [`OutOfCore::memory`].
    pub fn memory(mut self, nbytes: usize) -> Self {
        self.work.memory = nbytes.into();
        self
    }

    /// Has `progress` told how far the operation is. See [`OutOfCore::progress`].
    pub fn progress(
        mut self,
        progress: impl FnMut(Progress) -> Result<(), Box<dyn error::Error + Send + Sync>> + Send + 'a,
    ) -> Self {
        self.work.progress = Some(Box::new(progress));
        self
    }

    /// Sets how a new file is made. See [`OutOfCore::output`].
    pub fn output(mut self, options: Options) -> Self {
        self.work.options = options;
        self
    }

    /// Takes some rows for the whole array. See [`OutOfCore::rows`].
    ///
    /// # Errors
    ///
    /// As [`OutOfCore::rows`].
    pub fn rows(mut self, rows: impl RangeBounds<usize>) -> Result<Self> {
        self.part = self.part.rows(rows)?;
        Ok(self)
    }

    /// Takes a region for the whole array. See [`OutOfCore::region`].
    ///
    /// # Errors
    ///
    /// As [`OutOfCore::region`].
    pub fn region(mut self, region: impl SliceArg<IxDyn>) -> Result<Self> {
        self.part = self.part.region(region.as_ref())?;
        Ok(self)
    }
}

impl<A: Element, D: Dimension> Store<A, D> {
    /// The array as something to be changed piece by piece, within a memory budget.
    pub fn out_of_core_mut(&mut self) -> OutOfCoreMut<'_, A, D> {
        OutOfCoreMut::new(self)
    }
}

impl<A: Element, D: Dimension> Mapped<A, D> {
    /// The array as something to be changed piece by piece, past the map. See [`Store::out_of_core_mut`].
    pub fn out_of_core_mut(&mut self) -> OutOfCoreMut<'_, A, D> {
        OutOfCoreMut::new(self)
    }
}

impl<A: Element, D: Dimension> CopyOnWrite<A, D> {
    /// The array with its changes as something to be worked on piece by piece, within a memory budget.
    pub fn out_of_core(&self) -> OutOfCore<'_, A, D> {
        self.store().out_of_core()
    }
}

impl<A: Element, D: Dimension, M: AccessMode> Store<A, D, M> {
    /// The array as something to be worked on piece by piece, within a memory budget.
    pub fn out_of_core(&self) -> OutOfCore<'_, A, D> {
        OutOfCore::new(Source::new(&self.file), self.dim.clone())
    }
}

impl AnyStore {
    /// The array as something to be worked on piece by piece, as elements of type `A`: also one whose bytes are in the other
    /// order, or not aligned.
    ///
    /// # Errors
    ///
    /// [`DTypeMismatch`](crate::ErrorKind::DTypeMismatch) if its dtype differs from `A`'s in more than the byte order,
    /// [`NdimMismatch`](crate::ErrorKind::NdimMismatch).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{AnyStore, Be, Chunk, Error, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("big.npy");
    ///
    /// Store::create_from(&path, &array![1.5, 2.5].mapv(Be::from))?.close()?;
    /// let any = AnyStore::open(&path)?;
    /// assert_eq!(any.dtype().descr(), ">f8");
    /// let mut total = 0.0;
    /// any.out_of_core::<f64, Ix1>()?.for_each_block(Chunk::Rows(1), |block| {
    ///     total += block.view.sum();
    ///     Ok::<_, Error>(())
    /// })?;
    /// assert_eq!(total, 4.0);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn out_of_core<A: Element, D: Dimension>(&self) -> Result<OutOfCore<'_, A, D>> {
        let (source, dim) = Source::converted::<D>(&self.file)?;
        Ok(OutOfCore::new(source, dim))
    }

    /// The array as something to be moved within a memory budget, whatever its elements are.
    pub fn out_of_core_any(&self) -> OutOfCoreAny<'_> {
        OutOfCoreAny {
            part: Part::whole(&self.file),
            work: Work::new(),
        }
    }
}

impl<A, D: fmt::Debug> fmt::Debug for OutOfCore<'_, A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutOfCore")
            .field("dim", &self.dim)
            .finish_non_exhaustive()
    }
}

impl<A, D: fmt::Debug> fmt::Debug for OutOfCoreMut<'_, A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutOfCoreMut")
            .field("dim", &self.dim)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OutOfCoreAny<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutOfCoreAny").finish_non_exhaustive()
    }
}
