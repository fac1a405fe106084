//! `Store`: an array in a file, whose element type and rank are known at compile time.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeBounds;
use std::path::Path;

use ndarray::{ArrayRef, ArrayView, ArrayViewMut, Dimension, IntoDimension, IxDyn, ShapeBuilder};

use super::any::{AnyStore, DowncastError};
use super::file::{Array, ArrayFile};
use super::mode::{AccessMode, CopyOnWrite, Mode, ReadOnly, ReadWrite, Writable};
use super::options::Options;
use crate::dtype::{ByteOrder, DType, Kind};
use crate::element::{Element, assert_element};
use crate::error::{Context, Error, Result};
use crate::mapping::Advice;
use crate::shape::Order;

/// An N-dimensional array in a file, mapped into memory: what `np.memmap` is to Python.
///
/// `A` is the type of the elements, `D` the dimension ([`Ix2`](type@ndarray::Ix2), or [`IxDyn`](type@IxDyn) for a rank
/// known only at run time), `M` the access: [`ReadOnly`], [`ReadWrite`] or [`CopyOnWrite`]. The constructors stand on
/// `Store<A, D>` and return the access that they open. [`Options`] has more of them; [`AnyStore`](crate::AnyStore) opens
/// an array whose type is not known.
///
/// The store owns the file, its lock and its map together. Views borrow from it.
///
/// # What it relies on
///
/// A map shows the file as it is, so one thing must hold: **while a store lives, nobody changes or truncates its file
/// without taking its lock** ([`flock`]), neither another process (NumPy, `cp`) nor this one (`std::fs::write`). Stores
/// keep to that among themselves: any number of readers or one writer, in this process and all others. If somebody else
/// truncates the file, touching what is gone kills the process with SIGBUS; if somebody writes to it, elements change
/// under a reference that Rust takes for constant. Where that cannot be ruled out, [`Options::guard`] turns the SIGBUS into
/// an error (Linux): what is gone reads as zero, and the store says so from then on.
///
/// # What it promises
///
/// - Nothing in a file makes opening it unsafe: its header, its length and the element type are checked before a view
///   exists. Opening reads the header and nothing else, whatever the size of the array.
/// - A file is created and resized under another name, made durable, and then takes the place of the old one. A crash, a
///   full disk or an error on the way leaves the old file as it was, every byte, its mode and its owner.
/// - The blocks of a new file are allocated, so that a full disk is an error when it is created and not a SIGBUS when
///   it is filled; [`Options::sparse`] does without. (A file that NumPy made may have holes:
///   [`is_allocated`](Store::is_allocated) tells, [`allocate`](Store::allocate) mends.)
/// - When [`flush`](Store::flush) returns `Ok` the elements are on the disk. Until then they may reach it in any order, or
///   not at all. Dropping a store flushes nothing; what was written stays in the page cache and outlives the process, but
///   not a power cut, and nobody is told if the disk then fails to take it.
/// - After one failed write to the disk every later flush and resize is [`Error::Poisoned`].
///
/// [`flock`]: https://man7.org/linux/man-pages/man2/flock.2.html
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::Store;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("temp.dat");
///
/// let arr = array![1.0, 2.0, 3.0, 4.0];
/// let mut fp = Store::<f64, _>::create(&path, arr.dim())?;
/// fp.view_mut().assign(&arr);
/// fp.flush()?;
/// drop(fp);
/// let fp = Store::<f64, Ix1>::open(&path)?;
/// assert_eq!(fp.view(), arr);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A store that was opened for reading cannot be written to:
///
/// ```compile_fail,E0277
/// # use ndarray::Ix1;
/// # use ndstore::Store;
/// let mut fp = Store::<f64, Ix1>::open("temp.dat")?;
/// fp.view_mut().fill(0.0);
/// # Ok::<(), ndstore::Error>(())
/// ```
pub struct Store<A, D, M = ReadWrite> {
    /// Its dtype is `A::dtype()`, the rank of its shape fits `D`, its access is `M`'s, and its bytes are aligned for `A`.
    pub(crate) file: ArrayFile,
    pub(crate) dim: D,
    marker: PhantomData<(A, M)>,
}

impl<A: Element, D: Dimension> Store<A, D> {
    /// Opens an existing file for reading: NumPy's mode `r`.
    ///
    /// Takes a shared lock: other readers may have the file open. Any NPY file will do, of any version and with a header
    /// of any length, whose dtype is `A`'s and whose data are aligned for it.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](Error::NotFound), [`PermissionDenied`](Error::PermissionDenied), [`NotAFile`](Error::NotAFile).
    /// - [`Locked`](Error::Locked) if a writer has the file open, [`LockUnsupported`](Error::LockUnsupported).
    /// - [`Header`](Error::Header) if NumPy would not read the header either, or the dtype is `object`.
    /// - [`DTypeMismatch`](Error::DTypeMismatch), [`NdimMismatch`](Error::NdimMismatch) if the array is not one of `A`
    ///   and `D`; [`Misaligned`](Error::Misaligned) if it cannot be viewed in place.
    /// - [`Truncated`](Error::Truncated) if the file ends before the array,
    ///   [`ShapeTooLarge`](Error::ShapeTooLarge) if no address space could hold it.
    pub fn open(path: impl AsRef<Path>) -> Result<Store<A, D, ReadOnly>> {
        Options::new().open(path)
    }

    /// Opens an existing file for reading and writing: NumPy's mode `r+`.
    ///
    /// Takes the exclusive lock. Unlike NumPy it never extends a file that is too short, and so never takes lost data for
    /// zeros.
    ///
    /// # Errors
    ///
    /// As [`open`](Store::open); [`Locked`](Error::Locked) if anybody has the file open.
    pub fn open_rw(path: impl AsRef<Path>) -> Result<Store<A, D, ReadWrite>> {
        Options::new().open_rw(path)
    }

    /// Opens an existing file whose changes stay in memory: NumPy's mode `c`.
    ///
    /// Takes a shared lock. Each page that is written to is copied; the file never changes. No swap is reserved, so an
    /// array larger than memory opens, of which no more can be changed than memory holds.
    ///
    /// # Errors
    ///
    /// As [`open`](Store::open).
    pub fn open_cow(path: impl AsRef<Path>) -> Result<Store<A, D, CopyOnWrite>> {
        Options::new().open_cow(path)
    }

    /// Creates a file of zeros, in place of an old one: NumPy's mode `w+`.
    ///
    /// `shape` is what ndarray takes: `(3, 4)` for C order, `(3, 4).f()` for Fortran order. Takes the exclusive lock, of
    /// the old file as well. The new file is durable when this returns; the old one keeps every byte unless it does, and
    /// hands on its mode and owner. Other hard links to it keep the old array. Costs the allocation of the blocks,
    /// a few system calls, and two syncs.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](Error::NotFound) if there is no such directory, [`PermissionDenied`](Error::PermissionDenied) if
    ///   the old file or the directory cannot be written, [`NotAFile`](Error::NotAFile).
    /// - [`Locked`](Error::Locked) if anybody has the old file open.
    /// - [`NoSpace`](Error::NoSpace), [`FileTooLarge`](Error::FileTooLarge), [`ShapeTooLarge`](Error::ShapeTooLarge).
    ///
    /// Only where the very last step failed, the sync of the directory ([`Error::Io`]), is the old file gone.
    pub fn create(
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
    ) -> Result<Store<A, D>> {
        Options::new().create(path, shape)
    }

    /// Creates a file of zeros where there is none.
    ///
    /// # Errors
    ///
    /// As [`create`](Store::create); [`AlreadyExists`](Error::AlreadyExists) if the path names anything.
    pub fn create_new(
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
    ) -> Result<Store<A, D>> {
        Options::new().create_new(path, shape)
    }

    /// Creates a file with the elements of `array`, in place of an old one: NumPy's `w+` followed by `m[:] = array`, or
    /// `np.save`.
    ///
    /// The array may have any strides. The file is in Fortran order if that is how the elements lie in memory and C order
    /// is not, as with `np.save`; [`Options::order`] sets it. Elements are written in bulk, without the page
    /// faults that filling a map takes, and are durable when this returns.
    ///
    /// # Errors
    ///
    /// As [`create`](Store::create).
    pub fn create_from(path: impl AsRef<Path>, array: &ArrayRef<A, D>) -> Result<Store<A, D>> {
        Options::new().create_from(path, array)
    }
}

impl<A: Element, D: Dimension, M: AccessMode> Store<A, D, M> {
    /// Takes the file for one of `A`, `D` and `M`, or hands it back and says why it is not.
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
        if file.access != M::ACCESS {
            let reason = "the store has another access than was asked for; open it in that mode";
            return Err(Error::InvalidOption {
                path: context.path(),
                op: context.op,
                reason,
            });
        }
        Self::check_array(context, &file.array)
    }

    /// Checks that an array can be viewed as one of `A` and `D`: of a new file, before it takes the place of an old one.
    pub(crate) fn check_array(context: Context<'_>, array: &Array) -> Result<D> {
        assert_element::<A>();
        let dtype = A::dtype();
        if array.dtype != dtype || dtype.itemsize() != size_of::<A>() {
            return Err(dtype_mismatch(context, &dtype, &array.dtype));
        }
        let dim: D = dimension(context, array)?;
        // A map lies in memory as its file lies in pages.
        if dim.size() > 0 && !array.offset.is_multiple_of(align_of::<A>() as u64) {
            return Err(Error::Misaligned {
                path: context.path(),
                op: context.op,
                dtype: dtype.descr(),
                offset: array.offset,
                align: align_of::<A>(),
                remedy: match (array.dtype.kind(), array.dtype.byte_order()) {
                    _ if context.op == "create" => "choose an offset that is one",
                    (Kind::Record, _) => {
                        "declare the record as `#[repr(C, packed)]`, or its fields as `Le<T>` or `Be<T>`"
                    }
                    (_, ByteOrder::Big) => {
                        "open it as `Be<T>` of that type, which has no alignment"
                    }
                    (_, _) => "open it as `Le<T>` of that type, which has no alignment",
                },
            });
        }
        Ok(dim)
    }

    /// The array, to be read in place. Costs nothing that grows with it.
    pub fn view(&self) -> ArrayView<'_, A, D> {
        let elements = elements(&self.file).unwrap_or(&[]);
        ArrayView::from_shape(
            self.dim.clone().set_f(self.file.array.order == Order::F),
            elements,
        )
        .expect("the map holds the elements of the shape, by `ArrayFile`")
    }

    /// The array, to be read and written in place.
    ///
    /// Writing changes the map: the file, too, if the store is [`ReadWrite`], at the latest on [`flush`](Store::flush).
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, A, D>
    where
        M: Writable,
    {
        let shape = self.dim.clone().set_f(self.file.array.order == Order::F);
        let elements =
            bytemuck::try_cast_slice_mut(self.file.mapping.as_bytes_mut()).unwrap_or(&mut []);
        ArrayViewMut::from_shape(shape, elements)
            .expect("the map holds the elements of the shape, by `ArrayFile`")
    }

    /// Runs `read` over the view and returns what it returns, if all that it saw was in the file: [`view`](Store::view), then
    /// [`check_faults`](Store::check_faults), in one, for a store with [`Options::guard`].
    ///
    /// What `read` did meanwhile is done: a file that it wrote with [`create_from`](Store::create_from) may hold zeros.
    ///
    /// # Errors
    ///
    /// [`Error::Faulted`] if the file was cut, or its disk failed, at any time before `read` was done;
    /// [`InvalidOption`](Error::InvalidOption) for a store without a guard.
    pub fn guarded<R>(&self, read: impl FnOnce(ArrayView<'_, A, D>) -> R) -> Result<R> {
        self.file.guarded(|| read(self.view()))
    }

    /// Says whether every element that a view showed was in the file: whether it was cut, or its disk failed, while the store
    /// had it open. Costs one system call.
    ///
    /// With [`Options::guard`] what it says counts for all that was read before it, save for one thing: where the new end of the
    /// file is within a page, the rest of that page reads as zero without a fault, and once the file is as long again nothing
    /// tells. Without a guard it looks at the length of the file alone: whoever reads what is gone does not live to ask.
    ///
    /// # Errors
    ///
    /// [`Error::Faulted`]; [`Error::Io`] if the file system does not answer.
    pub fn check_faults(&self) -> Result<()> {
        self.file.check_faults("read")
    }

    /// Waits until every change is on the disk.
    ///
    /// On a read-only or copy-on-write store there is nothing to write and it does nothing, as in NumPy.
    ///
    /// # Errors
    ///
    /// What the disk reports, as [`Error::Io`]. The kernel reports a lost write once, so the store is then poisoned and
    /// every later flush is [`Error::Poisoned`]. With [`Options::guard`], [`Error::Faulted`] if the file was cut, or could
    /// not be read, since it was opened; so do all other calls that can fail.
    pub fn flush(&self) -> Result<()> {
        self.file.flush()
    }

    /// Starts to write every change to the disk and returns: the [`flush`](Store::flush) that follows has less to do.
    ///
    /// Makes nothing durable. On Linux it is `sync_file_range`, for `msync(MS_ASYNC)` does nothing there.
    ///
    /// # Errors
    ///
    /// As [`flush`](Store::flush).
    pub fn flush_async(&self) -> Result<()> {
        self.file.flush_async()
    }

    /// Waits until the changes to these rows are on the disk, and leaves the others alone.
    ///
    /// A row is one index of the slowest axis: the first in C order, the last in Fortran order.
    ///
    /// # Errors
    ///
    /// As [`flush`](Store::flush); [`RowsOutOfBounds`](Error::RowsOutOfBounds) for rows that the array does not have.
    pub fn flush_rows(&self, rows: impl RangeBounds<usize>) -> Result<()> {
        self.file.flush_rows(rows)
    }

    /// Flushes, unmaps, unlocks and closes. Dropping the store does the same without the flush.
    ///
    /// # Errors
    ///
    /// As [`flush`](Store::flush). The file is closed all the same.
    pub fn close(self) -> Result<()> {
        self.flush()
    }

    /// Tells the kernel how the array will be read.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the kernel refuses.
    pub fn advise(&self, advice: Advice) -> Result<()> {
        self.file.advise(advice)
    }

    /// Whether every element has a block of its own on the disk, so that writing to it needs no room: true of a new file
    /// unless it is sparse, often false of one that NumPy made or that a snapshot shares blocks with.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file system does not answer.
    pub fn is_allocated(&self) -> Result<bool> {
        self.file.is_allocated()
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
        self.as_bytes().len()
    }

    /// The order of the elements in the file.
    pub fn order(&self) -> Order {
        self.file.array.order
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> &DType {
        &self.file.array.dtype
    }

    /// Where in the file the elements start, in bytes: the length of the header.
    pub fn offset(&self) -> u64 {
        self.file.array.offset
    }

    /// The absolute path by which the file was opened.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The mode that the file is open in. A created one is open as `r+`, as in NumPy.
    pub fn mode(&self) -> Mode {
        self.file.access.into()
    }

    /// The bytes of the elements, in the order of the file.
    pub fn as_bytes(&self) -> &[u8] {
        self.file.mapping.as_bytes()
    }
}

impl<A: Element, D: Dimension> Store<A, D> {
    /// Gives the array another shape by rewriting its file. Elements keep their index; new ones are zero.
    ///
    /// Any axes may grow and shrink at the same time, as in HDF5 and Zarr and unlike `ndarray.resize` of NumPy. The new
    /// file is made beside the old one, durable, and then takes its name, mode and owner, so this needs room for both,
    /// and a failure leaves file and store as they were. Where elements stay contiguous the kernel copies them, and a file
    /// system with reflinks shares them instead. A symbolic link is followed; other hard links keep the old array.
    ///
    /// # Errors
    ///
    /// - [`NdimMismatch`](Error::NdimMismatch) if `shape` has another rank, which only [`IxDyn`](type@IxDyn) can.
    /// - [`Moved`](Error::Moved) if the path no longer names the file of this store.
    /// - [`TrailingBytes`](Error::TrailingBytes) if something else stands behind the array.
    /// - Those of [`create`](Store::create), and [`Poisoned`](Error::Poisoned).
    ///
    /// If the very last step fails, the sync of the directory ([`Error::Io`]), the store is on the new file and poisoned.
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

    /// Takes over the shape of the file, which may have changed even if an operation failed: in its last step.
    pub(super) fn update_dim(&mut self) {
        for (axis, &found) in self.dim.slice_mut().iter_mut().zip(&self.file.array.shape) {
            *axis = found;
        }
    }

    /// Gives every element a block of its own on the disk, as in a file that this crate created. Elements keep their value.
    ///
    /// # Errors
    ///
    /// - [`NoSpace`](Error::NoSpace), [`FileTooLarge`](Error::FileTooLarge).
    /// - [`Unsupported`](Error::Unsupported) if the file system cannot reserve blocks.
    pub fn allocate(&mut self) -> Result<()> {
        self.file.allocate()
    }
}

/// The shape of the array as one of `D`.
pub(crate) fn dimension<D: Dimension>(context: Context<'_>, array: &Array) -> Result<D> {
    D::from_dimension(&IxDyn(&array.shape)).ok_or_else(|| Error::NdimMismatch {
        path: context.path(),
        op: context.op,
        expected: D::NDIM.unwrap_or_default(),
        found: array.shape.len(),
        shape: array.shape.clone(),
    })
}

/// Why elements of dtype `found` are none of `expected`.
pub(crate) fn dtype_mismatch(context: Context<'_>, expected: &DType, found: &DType) -> Error {
    Error::DTypeMismatch {
        path: context.path(),
        op: context.op,
        expected: expected.descr(),
        found: found.descr(),
        remedy: mismatch_remedy(expected, found),
    }
}

/// The way out for who asked for `expected` and met `found`.
fn mismatch_remedy(expected: &DType, found: &DType) -> &'static str {
    let [expected_big, found_big] =
        [expected, found].map(|dtype| dtype.with_byte_order(ByteOrder::Big));
    match (found.kind(), found.byte_order()) {
        _ if expected == found => "its `Element::dtype` has another size than the type; mend that",
        _ if expected_big != found_big => {
            "open it with the type for that, or with `AnyStore`, which takes any"
        }
        (Kind::Record, _) => {
            "its fields are in another byte order; declare them as `Be<T>` or `Le<T>`"
        }
        (_, ByteOrder::Big) => "its bytes are in the other order; open it as `Be<T>` of that type",
        (_, _) => "its bytes are in the other order; open it as `Le<T>` of that type",
    }
}

/// The elements of the file, or `None` if its bytes are not a whole number of aligned ones.
fn elements<A: Element>(file: &ArrayFile) -> Option<&[A]> {
    bytemuck::try_cast_slice(file.mapping.as_bytes()).ok()
}

impl<A: Element, D: Dimension, M: AccessMode> fmt::Debug for Store<A, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.describe("Store", f)
    }
}
