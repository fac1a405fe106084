//! Inspects a file without opening its array: the array that the header describes, the part of it
//! that is there, and the bytes behind it.
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

/// The array that a file's header describes, and the part of it that is there. [`inspect`] and
/// [`Options::inspect`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Inspection {
    array: Array,
    nbytes: u64,
    header: HeaderKind,
    is_marked: bool,
    file_nbytes: u64,
}

/// The kind of header that a file has.
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

/// Inspects a file without opening its array: the array that the header describes, the part of it
/// that is there, and the bytes behind it.
///
/// It takes no lock and ignores those of others, reads only the header, and accepts a file that was
/// cut. If somebody writes to the file meanwhile, the result is that of one moment.
/// [`Options::inspect`] takes options.
///
/// # Errors
///
/// As [`Store::open`](super::Store::open), except those about locks, the type and the rank, and
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
    /// Inspects a file without opening its array. See [`inspect`].
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

    /// The byte of the file at which the elements start.
    pub fn offset(&self) -> u64 {
        self.array.offset
    }

    /// The kind of the header.
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

    /// The number of rows that are whole in the file: fewer than the shape says if the file was
    /// cut. A row is an index of the slowest axis, the first in C order and the last in Fortran
    /// order.
    pub fn whole_rows(&self) -> usize {
        let mut there = self.array.clone();
        there.clip(self.file_nbytes);
        there.rows()
    }

    /// The number of bytes that follow the array.
    pub fn trailing_nbytes(&self) -> u64 {
        self.file_nbytes.saturating_sub(self.end())
    }

    /// The number of rows that the bytes behind the array would make.
    pub fn trailing_rows(&self) -> u64 {
        let row = self.array.row_nbytes();
        self.trailing_nbytes().checked_div(row).unwrap_or(0)
    }

    /// Whether the header marks the bytes behind the array as rows of an append that was never
    /// published: one that is under way, or was killed. The next append drops them. Bytes behind
    /// any other header stay, because they may be somebody's.
    pub fn is_unpublished(&self) -> bool {
        self.is_marked
    }

    fn end(&self) -> u64 {
        self.array.offset.saturating_add(self.nbytes)
    }
}
