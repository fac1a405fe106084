//! `AnyStore`: an array in a file, whose dtype and rank are known only at run time.

use std::fmt;
use std::path::Path;

use super::file::ArrayFile;
use super::mode::Mode;
use super::options::Options;
use crate::dtype::DType;
use crate::element::AnyElement;
use crate::error::{Error, ErrorKind, Result};
use crate::shape::Order;

/// An N-dimensional array in a file, of any dtype and rank.
///
/// It describes the array and reads its bytes; [`downcast`](AnyStore::downcast) turns it into a
/// typed [`Store`](super::Store), whose docs state the promises of both.
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
/// assert_eq!(store.read(s![.., 0])?, array![0.0, 0.0]);
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
    /// As [`Store::open`](super::Store::open), except those about the type and the rank.
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

    /// Opens an existing file in a mode that is known only at run time. [`Options::open_any`] does
    /// so with options.
    ///
    /// # Errors
    ///
    /// As [`open`](AnyStore::open); [`ErrorKind::InvalidOption`] for [`Mode::Write`], which needs a
    /// type and a shape, and for [`Mode::CopyOnWrite`], which needs a map.
    pub fn open_mode(path: impl AsRef<Path>, mode: Mode) -> Result<AnyStore> {
        Options::new().open_any(path, mode)
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

    /// The byte of the file at which the elements start.
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
        self.file.array.nbytes()
    }

    /// Waits until every change is on the disk. See [`Store::flush`](super::Store::flush).
    ///
    /// # Errors
    ///
    /// As [`Store::flush`](super::Store::flush).
    pub fn flush(&self) -> Result<()> {
        self.file.flush()
    }

    /// Flushes, unlocks and closes.
    ///
    /// # Errors
    ///
    /// As [`flush`](AnyStore::flush). The file is closed all the same.
    pub fn close(self) -> Result<()> {
        self.file.close()
    }

    /// The element at an index, to be printed. It takes the memory of one element, which in a file
    /// of strings or void can be 2 GiB.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfBounds`], [`ErrorKind::NdimMismatch`] for an index that the array does not
    /// have; [`ErrorKind::Truncated`] if somebody cut the file, [`ErrorKind::Io`],
    /// [`ErrorKind::OutOfMemory`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use ndstore::{AnyStore, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("temp.dat");
    /// # Store::create_from(&path, &array![[1.5, 2.0], [f64::NAN, 1e20]])?.close()?;
    ///
    /// let any = AnyStore::open(&path)?;
    /// assert_eq!(any.element(&[0, 0])?.to_string(), "1.5");
    /// assert_eq!(any.element(&[1, 1])?.to_string(), "1e+20");
    /// assert!(any.element(&[2, 0]).is_err());
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn element(&self, index: &[usize]) -> Result<AnyElement<'_>> {
        let dtype = self.dtype();
        let position = self.file.position("read", index)? * dtype.itemsize();
        let mut bytes = self.file.zeroed(dtype.itemsize())?;
        self.file.read_at("read", position, &mut bytes)?;
        Ok(AnyElement::new(dtype, bytes))
    }

    /// Reads bytes of the elements, in the order of the file: from the byte at `start` on, as many
    /// as `into` holds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`] if the array has fewer bytes; [`ErrorKind::Truncated`] if
    /// somebody cut the file, [`ErrorKind::Io`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use ndstore::{AnyStore, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("temp.dat");
    /// # Store::create_from(&path, &array![[1_u8, 2], [3, 4]])?.close()?;
    ///
    /// let mut bytes = [0; 2];
    /// AnyStore::open(&path)?.read_bytes(1, &mut bytes)?;
    /// assert_eq!(bytes, [2, 3]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn read_bytes(&self, start: usize, into: &mut [u8]) -> Result<()> {
        let nbytes = self.nbytes();
        if nbytes
            .checked_sub(start)
            .is_none_or(|left| left < into.len())
        {
            return Err(self.file.context("read").fail(ErrorKind::InvalidOption {
                reason: "its elements have fewer bytes from there on; `AnyStore::nbytes` says how many",
            }));
        }
        self.file.read_at("read", start, into)
    }

    /// Reads the bytes of all elements, in the order of the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfMemory`], [`ErrorKind::Truncated`] if somebody cut the file,
    /// [`ErrorKind::Io`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = self.file.zeroed(self.nbytes())?;
        self.file.read_at("read", 0, &mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.describe("AnyStore", f)
    }
}

/// The error of an [`AnyStore`] that is not the requested store, with the store itself.
#[derive(Debug)]
pub struct DowncastError {
    /// The store, still open and locked.
    pub store: AnyStore,
    /// The mismatch.
    pub error: Error,
}

impl fmt::Display for DowncastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl std::error::Error for DowncastError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<DowncastError> for Error {
    fn from(refused: DowncastError) -> Error {
        refused.error
    }
}
