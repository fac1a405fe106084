//! Looking at a file without opening its array: what it says that it has, how much of that is
//! there, and what follows.
//!
//! It takes no lock and needs no whole array, so it works on a file that is damaged, or that others
//! write to.

use std::path::Path;

use super::array::{Array, check_size};
use super::describe::read_header;
use super::lock::{absolute, lock};
use super::options::Options;
use crate::dtype::DType;
use crate::error::{Context, Result};
use crate::header::{self, Form, Header, Mark};
use crate::shape::{self, Order};
use crate::sys;

/// What a file says that it has, and what of it is there. [`inspect`] and [`Options::inspect`] make
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Inspection {
    array: Array,
    nbytes: u64,
    header: HeaderKind,
    is_marked: bool,
    file_nbytes: u64,
}

/// Which header a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderKind {
    /// None: the file is a raw one.
    Raw,
    /// The header that this crate writes, behind which the elements start on a page.
    Native,
    /// The header that `np.save` and [`Options::compact`] write, byte for byte.
    Compact,
    /// Another one, which NumPy reads as well.
    Other,
}

impl HeaderKind {
    fn of(found: &[u8], array: &Array) -> HeaderKind {
        let wide = shape::wide(&array.shape);
        let found = header::unmarked(found.to_vec());
        let is = |order, form| {
            Header::encode(&array.dtype, order, &wide, form).is_ok_and(|header| header == found)
        };
        match () {
            () if array.raw => HeaderKind::Raw,
            () if is(array.order, Form::Native) || is(array.order, Form::Unaligned) => {
                HeaderKind::Native
            }
            () if is(array.order, Form::Compact) => HeaderKind::Compact,
            () => HeaderKind::Other,
        }
    }
}

/// Looks at a file without opening its array: what it says that it has, how much of that is there,
/// and what follows.
///
/// It takes no lock and heeds none, reads the header alone, and takes a file that was cut as it is.
/// Where somebody writes to the file meanwhile, it says what was there at that moment.
/// [`Options::inspect`] does so with options.
///
/// # Errors
///
/// As [`Store::open`](super::Store::open), less those about locks, the type and the rank, and
/// [`Truncated`](crate::ErrorKind::Truncated) only if the file ends within the header.
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::{Options, Store, inspect};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("temp.dat");
/// # Store::<f64, _>::create(&path, (10, 2))?.close()?;
///
/// // A copy that was broken off, in the middle of a row.
/// std::fs::OpenOptions::new().write(true).open(&path)?.set_len(4096 + 40)?;
/// let found = inspect(&path)?;
/// assert_eq!((found.shape(), found.is_whole(), found.whole_rows()), (&[10, 2][..], false, 2));
/// let rest = Options::new().allow_truncated(true).open::<f64, Ix2>(&path)?;
/// assert_eq!(rest.shape(), [2, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection> {
    Options::new().inspect(path)
}

impl Options {
    /// Looks at a file without opening its array. See [`inspect`].
    ///
    /// # Errors
    ///
    /// As [`inspect`]; [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption) for a raw file
    /// without [`dtype`](Options::dtype).
    pub fn inspect(&self, path: impl AsRef<Path>) -> Result<Inspection> {
        let path = absolute(path.as_ref(), "inspect")?;
        let context = Context::new(&path, "inspect");
        let (file, metadata) = lock(context, &path, false, false, None)?;
        let options = self.clone().allow_trailing(true);
        let dtype = self.dtype.clone();
        let array = read_header(context, file.file(), &metadata, &options, dtype)?;
        let nbytes = check_size(context, &array.shape, array.dtype.itemsize())? as u64;
        let mut found = match array.raw {
            true => Vec::new(),
            false => vec![0; array.offset as usize],
        };
        let read = sys::read_at(file.file(), &mut found, 0);
        found.truncate(read.map_err(|error| context.io(error))?);
        Ok(Inspection {
            header: HeaderKind::of(&found, &array),
            is_marked: Mark::find(&found).is_some_and(|mark| mark.is_set),
            array,
            nbytes,
            file_nbytes: metadata.len(),
        })
    }
}

impl Inspection {
    /// The dtype of the elements.
    pub fn dtype(&self) -> &DType {
        &self.array.dtype
    }

    /// The length of each axis, as the header names it.
    pub fn shape(&self) -> &[usize] {
        &self.array.shape
    }

    /// The order of the elements in the file.
    pub fn order(&self) -> Order {
        self.array.order
    }

    /// Where in the file the elements start, in bytes.
    pub fn offset(&self) -> u64 {
        self.array.offset
    }

    /// Which header it is.
    pub fn header(&self) -> HeaderKind {
        self.header
    }

    /// The bytes of all elements that the header names.
    pub fn nbytes(&self) -> u64 {
        self.nbytes
    }

    /// The bytes of the whole file.
    pub fn file_nbytes(&self) -> u64 {
        self.file_nbytes
    }

    /// Whether all elements are there.
    pub fn is_whole(&self) -> bool {
        self.file_nbytes >= self.end()
    }

    /// How many rows are there from their first to their last byte: of a file that was cut, fewer
    /// than the shape says. A row is an index of the slowest axis, the first in C order and the
    /// last in Fortran order.
    pub fn whole_rows(&self) -> usize {
        let mut there = self.array.clone();
        there.clip(self.file_nbytes);
        there.rows()
    }

    /// How many bytes follow the array.
    pub fn trailing_nbytes(&self) -> u64 {
        self.file_nbytes.saturating_sub(self.end())
    }

    /// How many rows the bytes that follow the array would make.
    pub fn trailing_rows(&self) -> u64 {
        let row = self.array.row_nbytes();
        self.trailing_nbytes().checked_div(row).unwrap_or(0)
    }

    /// Whether the header says that what follows the array are rows of an append that was never
    /// published: one that is under way, or was killed. The next append drops them. What follows
    /// any other header stays, because it may be somebody's.
    pub fn is_unpublished(&self) -> bool {
        self.is_marked
    }

    fn end(&self) -> u64 {
        self.array.offset.saturating_add(self.nbytes)
    }
}
