//! `AnyStore`: an array in a file, whose dtype and rank are known only at run time.

use std::fmt;
use std::path::Path;

use ndarray::Dimension;

use super::file::{Array, ArrayFile};
use super::mode::{AccessMode, Mode};
use super::options::Options;
use super::typed::Store;
use crate::dtype::DType;
use crate::element::{AnyElement, Element};
use crate::error::{Error, Result};
use crate::mapping::Advice;
use crate::shape::{self, Order};

/// An N-dimensional array in a file, mapped into memory, of any dtype and rank.
///
/// It tells what the array is and gives its bytes; [`downcast`](AnyStore::downcast) makes it a typed [`Store`]. What a
/// store relies on and promises is said [there](Store).
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::{AnyStore, ReadOnly, Store};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("temp.dat");
/// # Store::<f64, _>::create(&path, (2, 3))?;
///
/// let any = AnyStore::open(&path)?;
/// println!("{} {:?}", any.dtype(), any.shape());
/// let store = any.downcast::<f64, Ix2, ReadOnly>()?;
/// assert_eq!(store.view().sum(), 0.0);
/// # Ok::<(), ndstore::Error>(())
/// ```
pub struct AnyStore {
    pub(crate) file: ArrayFile,
}

impl AnyStore {
    /// Opens an existing file for reading: NumPy's mode `r`.
    ///
    /// # Errors
    ///
    /// As [`Store::open`], less those about the type, the rank and the alignment.
    pub fn open(path: impl AsRef<Path>) -> Result<AnyStore> {
        AnyStore::open_mode(path, Mode::Read)
    }

    /// Opens an existing file for reading and writing: NumPy's mode `r+`.
    ///
    /// # Errors
    ///
    /// As [`open`](AnyStore::open).
    pub fn open_rw(path: impl AsRef<Path>) -> Result<AnyStore> {
        AnyStore::open_mode(path, Mode::ReadWrite)
    }

    /// Opens an existing file whose changes stay in memory: NumPy's mode `c`.
    ///
    /// # Errors
    ///
    /// As [`open`](AnyStore::open).
    pub fn open_cow(path: impl AsRef<Path>) -> Result<AnyStore> {
        AnyStore::open_mode(path, Mode::CopyOnWrite)
    }

    /// Opens an existing file in a mode that is known only at run time. [`Options::open_any`] does so with options.
    ///
    /// # Errors
    ///
    /// As [`open`](AnyStore::open); [`Error::InvalidOption`] for [`Mode::Write`], which needs a type and a shape.
    pub fn open_mode(path: impl AsRef<Path>, mode: Mode) -> Result<AnyStore> {
        Options::new().open_any(path, mode)
    }

    /// Makes it a typed store, without opening the file again or giving up its lock.
    ///
    /// # Errors
    ///
    /// If it is not an array of `A` and `D`, or was opened in another mode than `M`: the error has the store in it,
    /// lock and all, and turns into an [`Error`] where only the reason is of interest.
    #[expect(
        clippy::result_large_err,
        reason = "what is refused is handed back, once"
    )]
    pub fn downcast<A: Element, D: Dimension, M: AccessMode>(
        self,
    ) -> Result<Store<A, D, M>, DowncastError> {
        Store::from_file(self.file)
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> &DType {
        &self.file.array.dtype
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.file.array.shape
    }

    /// The number of axes.
    pub fn ndim(&self) -> usize {
        self.shape().len()
    }

    /// The order of the elements in the file.
    pub fn order(&self) -> Order {
        self.file.array.order
    }

    /// Where in the file the elements start, in bytes.
    pub fn offset(&self) -> u64 {
        self.file.array.offset
    }

    /// The absolute path by which the file was opened.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The mode that the file is open in.
    pub fn mode(&self) -> Mode {
        self.file.access.into()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }

    /// The bytes of all elements.
    pub fn nbytes(&self) -> usize {
        self.as_bytes().len()
    }

    /// Says whether every element that was read was in the file. See [`Store::check_faults`].
    ///
    /// # Errors
    ///
    /// As [`Store::check_faults`].
    pub fn check_faults(&self) -> Result<()> {
        self.file.check_faults("read")
    }

    /// Waits until every change is on the disk. See [`Store::flush`].
    ///
    /// # Errors
    ///
    /// As [`Store::flush`].
    pub fn flush(&self) -> Result<()> {
        self.file.flush()
    }

    /// Flushes, unmaps, unlocks and closes.
    ///
    /// # Errors
    ///
    /// As [`flush`](AnyStore::flush). The file is closed all the same.
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

    /// The element at an index, to be printed, or `None` if the array has no such index.
    ///
    /// ```
    /// use ndarray::array;
    /// use ndstore::{AnyStore, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("temp.dat");
    /// # Store::create_from(&path, &array![[1.5, 2.0], [f64::NAN, 1e20]])?.close()?;
    ///
    /// let any = AnyStore::open(&path)?;
    /// assert_eq!(any.element(&[0, 0]).unwrap().to_string(), "1.5");
    /// assert_eq!(any.element(&[1, 1]).unwrap().to_string(), "1e+20");
    /// assert!(any.element(&[2, 0]).is_none());
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn element(&self, index: &[usize]) -> Option<AnyElement<'_>> {
        let Array {
            dtype,
            order,
            shape,
            ..
        } = &self.file.array;
        let start = shape::position(index, shape, *order)? * dtype.itemsize();
        let bytes = &self.as_bytes()[start..][..dtype.itemsize()];
        Some(AnyElement::new(dtype, bytes))
    }

    /// The bytes of the elements, in the order of the file.
    pub fn as_bytes(&self) -> &[u8] {
        self.file.mapping.as_bytes()
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.describe("AnyStore", f)
    }
}

/// Why an [`AnyStore`] is not the store that was asked for, and the store itself.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct DowncastError {
    /// The store, still open and locked.
    pub store: AnyStore,
    /// What did not fit.
    #[source]
    pub error: Error,
}

impl From<DowncastError> for Error {
    fn from(refused: DowncastError) -> Error {
        refused.error
    }
}
