//! `Store`: an array in a file, whose element type and rank are known at compile time.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeBounds;
use std::path::Path;

use ndarray::{ArrayRef, Dimension, IntoDimension, ShapeBuilder};

use super::any::{AnyStore, DowncastError};
use super::file::ArrayFile;
use super::fit::check_fit;
use super::mode::{AccessMode, Mode, ReadOnly, ReadWrite};
use super::options::Options;
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{ErrorKind, Result};
use crate::shape::Order;

/// An N-dimensional array in a file: what `np.memmap` is to Python.
///
/// `A` is the type of the elements, `D` the dimension ([`Ix2`](type@ndarray::Ix2), or
/// [`IxDyn`](type@ndarray::IxDyn) for a rank known only at run time), `M` the access: [`ReadOnly`]
/// or [`ReadWrite`]. The constructors are called as `Store::<A, D>::open` and the like, and return
/// a store of the access that they open. [`Options`] has more of them;
/// [`AnyStore`](crate::AnyStore) opens an array whose type is not known.
///
/// A store owns the file and its lock. It reads and writes elements by system calls, in memory of
/// its own or of the caller: [`read`](Store::read), [`write`](Store::write), [`get`](Store::get),
/// [`set`](Store::set), and everything that is built on them. [`map`](Store::map) turns it into a
/// [`Mapped`](super::Mapped), which lends views of the file itself.
///
/// # Safety
///
/// **No safe call of a store can cause undefined behaviour, whatever is in the file and whatever
/// anybody does to it meanwhile.** A file that somebody cuts is an error
/// ([`ErrorKind::Truncated`]), and elements that somebody writes at the same time are old or new,
/// each byte by itself. Any number of stores read a file at a time, or one writes it, in this
/// process and all others: they take its lock ([`flock`]). NumPy, `cp` and `std::fs` take no lock.
/// Mapping is therefore `unsafe`: a view shows the file as it is, and Rust takes the memory behind
/// a reference for constant.
///
/// # What it promises
///
/// - Opening checks the header, the length of the file and the element type, and reads nothing
///   else, whatever the size of the array. No number that a file claims sizes an allocation.
/// - A file is created and resized under another name, made durable, and then takes the place of
///   the old one. A crash, a full disk or an error on the way leaves the old file as it was: every
///   byte, its mode and its owner.
/// - The blocks of a new file are allocated. A full disk is therefore an error when the file is
///   created, and not when it is filled, which through a map would be a SIGBUS. [`Options::sparse`]
///   leaves the blocks out. (A file that NumPy made may have holes:
///   [`is_allocated`](Store::is_allocated) tells, and [`allocate`](Store::allocate) fills them.)
/// - When [`flush`](Store::flush) returns `Ok` the elements are on the disk. Until then they may
///   reach it in any order, or not at all. Dropping a store flushes nothing: its writes stay in the
///   page cache and outlive the process, but not a power cut, and nobody is told if the disk then
///   fails to take them.
/// - After one failed write to the disk every later flush and resize is [`ErrorKind::Poisoned`].
///
/// [`flock`]: https://man7.org/linux/man-pages/man2/flock.2.html
///
/// # Index
///
/// | to | call |
/// |---|---|
/// | open | [`open`](Store::open), [`open_rw`](Store::open_rw), [`map_cow`](Store::map_cow); [`Options`] |
/// | open beside others | [`open_append`](Store::open_append), [`open_rows`](Store::open_rows), [`open_rows_read`](Store::open_rows_read), [`open_watch`](Store::open_watch), [`open_shared`](Store::open_shared), [`open_shared_read`](Store::open_shared_read) |
/// | see rows that others append | [`refresh`](Store::refresh), [`follow`](Store::follow), [`is_current`](Store::is_current) |
/// | create | [`create`](Store::create), [`create_new`](Store::create_new), [`create_from`](Store::create_from), [`create_with`](Store::create_with), [`into_read_only`](Store::into_read_only), [`assemble`](Store::assemble), [`receive`](Store::receive) |
/// | ask what it is | [`shape`](Store::shape), [`dtype`](Store::dtype), [`len`](Store::len), [`nbytes`](Store::nbytes), [`ndim`](Store::ndim), [`order`](Store::order), [`offset`](Store::offset), [`path`](Store::path), [`mode`](Store::mode) |
/// | read | [`read`](Store::read), [`read_into`](Store::read_into), [`read_all`](Store::read_all), [`get`](Store::get) |
/// | write | [`write`](Store::write), [`write_all`](Store::write_all), [`set`](Store::set) |
/// | make it durable | [`flush`](Store::flush), [`flush_rows`](Store::flush_rows), [`flush_async`](Store::flush_async), [`close`](Store::close) |
/// | lend views | [`map`](Store::map), then [`Mapped::view`](super::Mapped::view), [`Mapped::view_mut`](super::Mapped::view_mut) |
/// | grow and cut in place | [`append`](Store::append), [`push`](Store::push), [`appender`](Store::appender), [`truncate`](Store::truncate), [`adopt_rows`](Store::adopt_rows) |
/// | change the shape | [`resize`](Store::resize), [`resize_with`](Store::resize_with) |
/// | work on more than memory holds | [`out_of_core`](Store::out_of_core), [`out_of_core_mut`](Store::out_of_core_mut) |
/// | take it elsewhere | [`send`](Store::send), [`write_to`](Store::write_to), [`to_bytes`](Store::to_bytes) |
/// | find damage | [`write_checksums`](Store::write_checksums), [`verify`](Store::verify), [`inspect`](crate::inspect), [`trailing_nbytes`](Store::trailing_nbytes) |
/// | prepare for a full disk | [`is_allocated`](Store::is_allocated), [`allocate`](Store::allocate) |
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::Store;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("temp.dat");
///
/// let arr = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
/// let mut fp = Store::<f64, _>::create_from(&path, &arr)?;
/// fp.write(s![1, ..], &array![7.0, 8.0])?;
/// fp.flush()?;
/// drop(fp);
/// let fp = Store::<f64, Ix2>::open(&path)?;
/// assert_eq!(fp.read(s![.., 0])?, array![1.0, 7.0, 5.0]);
/// assert_eq!(fp.get([1, 1])?, 8.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A store that was opened for reading cannot be written to:
///
/// ```compile_fail,E0277
/// # use ndarray::Ix1;
/// # use ndstore::Store;
/// let mut fp = Store::<f64, Ix1>::open("temp.dat")?;
/// fp.set(0, 1.0)?;
/// # Ok::<(), ndstore::Error>(())
/// ```
///
/// There is no view without a map:
///
/// ```compile_fail,E0599
/// # use ndarray::Ix1;
/// # use ndstore::Store;
/// let fp = Store::<f64, Ix1>::open("temp.dat")?;
/// fp.view();
/// # Ok::<(), ndstore::Error>(())
/// ```
#[doc(alias = "memmap")]
pub struct Store<A, D, M = ReadWrite> {
    /// Its dtype is `A::dtype()`, the rank of its shape fits `D`, and its access is that of `M`.
    pub(crate) file: ArrayFile,
    pub(crate) dim: D,
    marker: PhantomData<(A, M)>,
}

impl<A: Element, D: Dimension> Store<A, D> {
    /// Opens an existing file for reading: NumPy's mode `r`.
    ///
    /// Takes a shared lock: other readers may have the file open. Any NPY file whose dtype is `A`'s
    /// will do, of any version and with a header of any length.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied),
    ///   [`NotAFile`](ErrorKind::NotAFile).
    /// - [`Locked`](ErrorKind::Locked) if a writer has the file open,
    ///   [`LockUnsupported`](ErrorKind::LockUnsupported).
    /// - [`Header`](ErrorKind::Header) if NumPy would not read the header either, or the dtype is
    ///   `object`.
    /// - [`DTypeMismatch`](ErrorKind::DTypeMismatch), [`NdimMismatch`](ErrorKind::NdimMismatch) if
    ///   the array has another dtype than `A` or another rank than `D`.
    /// - [`Truncated`](ErrorKind::Truncated) if the file ends before the array,
    ///   [`ShapeTooLarge`](ErrorKind::ShapeTooLarge) if no address space could hold it.
    #[doc(alias = "load")]
    pub fn open(path: impl AsRef<Path>) -> Result<Store<A, D, ReadOnly>> {
        Options::new().open(path)
    }

    /// Opens an existing file for reading and writing: NumPy's mode `r+`.
    ///
    /// Takes the exclusive lock. Unlike NumPy it never extends a file that is too short, so lost
    /// data never become zeros.
    ///
    /// # Errors
    ///
    /// As [`open`](Store::open); [`Locked`](ErrorKind::Locked) if anybody has the file open.
    pub fn open_rw(path: impl AsRef<Path>) -> Result<Store<A, D, ReadWrite>> {
        Options::new().open_rw(path)
    }

    /// Creates a file of zeros, which replaces an old one: NumPy's mode `w+`.
    ///
    /// `shape` is what ndarray takes: `(3, 4)` for C order, `(3, 4).f()` for Fortran order. Takes
    /// the exclusive lock, of the old file as well. The new file is durable when this returns `Ok`;
    /// otherwise the old file keeps every byte. The new file gets its mode and owner. Other hard
    /// links to it keep the old array. Costs the allocation of the blocks, a few system calls, and
    /// two syncs.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ErrorKind::NotFound) if there is no such directory,
    ///   [`PermissionDenied`](ErrorKind::PermissionDenied) if the old file or the directory cannot
    ///   be written, [`NotAFile`](ErrorKind::NotAFile).
    /// - [`Locked`](ErrorKind::Locked) if anybody has the old file open.
    /// - [`NoSpace`](ErrorKind::NoSpace), [`FileTooLarge`](ErrorKind::FileTooLarge),
    ///   [`ShapeTooLarge`](ErrorKind::ShapeTooLarge).
    ///
    /// The old file is gone after an error only if the very last step failed, the sync of the
    /// directory ([`ErrorKind::Io`]).
    #[doc(alias("open_memmap", "memmap"))]
    pub fn create(
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
    ) -> Result<Store<A, D>> {
        Options::new().create(path, shape)
    }

    /// Creates a file of zeros at a path that names no file.
    ///
    /// # Errors
    ///
    /// As [`create`](Store::create); [`AlreadyExists`](ErrorKind::AlreadyExists) if the path names
    /// anything.
    pub fn create_new(
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
    ) -> Result<Store<A, D>> {
        Options::new().create_new(path, shape)
    }

    /// Creates a file with the elements of `array`, which replaces an old one: NumPy's `w+`
    /// followed by `m[:] = array`, or `np.save`.
    ///
    /// The array may have any strides. The file is in Fortran order if the elements are in Fortran
    /// order and not in C order in memory, as with `np.save`; [`Options::order`] sets it. The
    /// elements are durable when this returns.
    ///
    /// # Errors
    ///
    /// As [`create`](Store::create).
    #[doc(alias = "save")]
    pub fn create_from(path: impl AsRef<Path>, array: &ArrayRef<A, D>) -> Result<Store<A, D>> {
        Options::new().create_from(path, array)
    }
}

impl<A: Element, D: Dimension, M: AccessMode> Store<A, D, M> {
    /// The store of a file of `A`, `D` and `M`; any other file is handed back with the reason.
    #[expect(
        clippy::result_large_err,
        reason = "what is refused is handed back, once"
    )]
    pub(crate) fn from_file(file: ArrayFile) -> Result<Self, DowncastError> {
        match Self::check(&file) {
            Ok(dim) => Ok(Store {
                file,
                dim,
                marker: PhantomData,
            }),
            Err(error) => Err(DowncastError {
                store: AnyStore { file },
                error,
            }),
        }
    }

    fn check(file: &ArrayFile) -> Result<D> {
        let context = file.context("open");
        if file.opened != M::OPENED {
            let reason = "the store has another access than was asked for; open it in that mode";
            return Err(context.fail(ErrorKind::InvalidOption { reason }));
        }
        check_fit::<A, D>(context, &file.array)
    }

    /// Waits until every change is on the disk.
    ///
    /// That includes changes through a map: a [`Mapped`](super::Mapped) lends its store for this,
    /// too, and if the system does not write the pages of a map with those of its file, this call
    /// does. On a read-only store it does nothing, as in NumPy.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the disk reports an error. The kernel reports a lost write once, so the
    /// store is then poisoned and every later flush is [`ErrorKind::Poisoned`]. With
    /// [`MapOptions::guard`](super::MapOptions::guard), [`ErrorKind::Faulted`] if the file was cut,
    /// or could not be read, since it was mapped, as from all other calls that can fail.
    /// [`ErrorKind::Removed`] if the file no longer has a name: its elements exist until the store
    /// is dropped, and nobody will find them.
    pub fn flush(&self) -> Result<()> {
        self.file.flush()
    }

    /// Starts to write every change to the disk and returns: the [`flush`](Store::flush) that
    /// follows has less to do.
    ///
    /// Makes nothing durable. On Linux it is `sync_file_range`, because `msync(MS_ASYNC)` does
    /// nothing there.
    ///
    /// # Errors
    ///
    /// As [`flush`](Store::flush).
    pub fn flush_async(&self) -> Result<()> {
        self.file.flush_async()
    }

    /// Waits until the changes to these rows are on the disk. With a [`Mapped`](super::Mapped) it
    /// writes only these; without a map the system writes the others as well.
    ///
    /// A row is one index of the slowest axis: the first in C order, the last in Fortran order.
    ///
    /// # Errors
    ///
    /// As [`flush`](Store::flush); [`RowsOutOfBounds`](ErrorKind::RowsOutOfBounds) for rows that
    /// the array does not have.
    pub fn flush_rows(&self, rows: impl RangeBounds<usize>) -> Result<()> {
        self.file.flush_rows(rows)
    }

    /// Flushes, unlocks and closes. Dropping the store does the same without the flush.
    ///
    /// # Errors
    ///
    /// As [`flush`](Store::flush). The file is closed all the same.
    pub fn close(self) -> Result<()> {
        self.file.close()
    }

    /// Whether every element has a block of its own on the disk, so that writing to it needs no
    /// space: true for a new file unless it is sparse, often false for a file that NumPy made or
    /// that shares blocks with a snapshot.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file system does not answer.
    pub fn is_allocated(&self) -> Result<bool> {
        self.file.is_allocated()
    }

    /// Takes over the shape of the file, which may have changed even if the last step of an
    /// operation failed.
    pub(super) fn update_dim(&mut self) {
        for (axis, &found) in self.dim.slice_mut().iter_mut().zip(&self.file.array.shape) {
            *axis = found;
        }
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        self.dim.slice()
    }

    /// The number of axes.
    pub fn ndim(&self) -> usize {
        self.dim.ndim()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.dim.size()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of all elements.
    pub fn nbytes(&self) -> usize {
        self.file.array.nbytes()
    }

    /// The order of the elements in the file.
    pub fn order(&self) -> Order {
        self.file.array.order
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> &DType {
        &self.file.array.dtype
    }

    /// The byte of the file at which the elements start: the length of the header.
    pub fn offset(&self) -> u64 {
        self.file.array.offset
    }

    /// The absolute path by which the file was opened.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Whether the path still names the file that this store has open. Whoever replaces a file
    /// leaves the old one to those who have it open, so a reader that wants the new one asks, and
    /// opens it again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file system does not answer.
    pub fn is_current(&self) -> Result<bool> {
        self.file.is_current()
    }

    /// How many bytes follow the array in its file: rows of an append that is under way or was
    /// killed, or what somebody else wrote there, which [`adopt_rows`](Store::adopt_rows) makes
    /// rows of. None in a store of some rows, or in an archive.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file system does not answer.
    pub fn trailing_nbytes(&self) -> Result<u64> {
        self.file.trailing_nbytes()
    }

    /// The mode that the file is open in. A created one is open as `r+`, as in NumPy.
    pub fn mode(&self) -> Mode {
        self.file.access.into()
    }
}

impl<A: Element, D: Dimension> Store<A, D> {
    /// Gives the array another shape by rewriting its file. Elements keep their index; new ones are
    /// zero.
    ///
    /// Any axes may grow and shrink at the same time, as in HDF5 and Zarr and unlike
    /// `ndarray.resize` of NumPy. The new file is made beside the old one, durable, and then takes
    /// its name, mode and owner, so this needs space for both, and a failure leaves file and store
    /// as they were. The kernel copies elements that stay contiguous; a file system with reflinks
    /// shares them instead. A symbolic link is followed; other hard links keep the old array.
    ///
    /// # Errors
    ///
    /// - [`NdimMismatch`](ErrorKind::NdimMismatch) if `shape` has another rank, only with
    ///   [`IxDyn`](type@ndarray::IxDyn).
    /// - [`Moved`](ErrorKind::Moved) if the path no longer names the file of this store.
    /// - [`TrailingBytes`](ErrorKind::TrailingBytes) if other bytes follow the array.
    /// - Those of [`create`](Store::create), [`Poisoned`](ErrorKind::Poisoned), and
    ///   [`Forked`](ErrorKind::Forked) in a child that was forked since the store was opened.
    ///
    /// If the very last step fails, the sync of the directory ([`ErrorKind::Io`]), the store has
    /// the new file and is poisoned.
    pub fn resize(&mut self, shape: impl IntoDimension<Dim = D>) -> Result<()> {
        self.resize_with(shape, A::zeroed())
    }

    /// Gives the array another shape, as [`resize`](Store::resize) does; new elements are `fill`.
    ///
    /// # Errors
    ///
    /// As [`resize`](Store::resize).
    pub fn resize_with(&mut self, shape: impl IntoDimension<Dim = D>, fill: A) -> Result<()> {
        let dim = shape.into_dimension();
        let resized = self.file.resize(dim.slice(), bytemuck::bytes_of(&fill));
        self.update_dim();
        resized
    }

    /// Rewrites a file that NumPy made, or [`Options::compact`](super::Options::compact), so that
    /// it has the header of one that this crate makes. Elements, name, mode and owner stay.
    ///
    /// The number of rows then changes at once for whoever reads the header, which
    /// [`open_append`](Store::open_append) takes, and the elements start on a page, so that any can
    /// be viewed in place. Costs what a [`resize`](Store::resize) does, once: a file with such a
    /// header is left alone.
    ///
    /// # Errors
    ///
    /// As [`resize`](Store::resize); [`InvalidOption`](ErrorKind::InvalidOption) for a raw file.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Options, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("saved.npy");
    ///
    /// // The bytes of `np.save`.
    /// Options::new().compact(true).create_from(&path, &array![1.0, 2.0])?;
    /// assert!(Store::<f64, Ix1>::open_append(&path).is_err());
    /// Store::<f64, Ix1>::open_rw(&path)?.rewrite()?;
    /// Store::<f64, Ix1>::open_append(&path)?.push(&arr0(3.0))?;
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn rewrite(&mut self) -> Result<()> {
        self.file.make_native()
    }

    /// Gives every element a block of its own on the disk, as in a file that this crate created.
    /// Elements keep their value.
    ///
    /// # Errors
    ///
    /// - [`NoSpace`](ErrorKind::NoSpace), [`FileTooLarge`](ErrorKind::FileTooLarge).
    /// - [`Unsupported`](ErrorKind::Unsupported) if the file system cannot reserve blocks,
    ///   [`Forked`](ErrorKind::Forked) in a child that was forked since the store was opened.
    pub fn allocate(&mut self) -> Result<()> {
        self.file.allocate()
    }
}

impl<A: Element, D: Dimension, M: AccessMode> fmt::Debug for Store<A, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.describe("Store", f)
    }
}

impl AnyStore {
    /// Turns it into a typed store, without opening the file again or giving up its lock.
    ///
    /// # Errors
    ///
    /// If the array has another dtype than `A`, another rank than `D`, or was opened in another
    /// mode than `M`. The error contains the store with its lock, and converts to an
    /// [`Error`](crate::Error) for callers who need only the reason.
    #[expect(
        clippy::result_large_err,
        reason = "what is refused is handed back, once"
    )]
    pub fn downcast<A: Element, D: Dimension, M: AccessMode>(
        self,
    ) -> Result<Store<A, D, M>, DowncastError> {
        Store::from_file(self.file)
    }
}
