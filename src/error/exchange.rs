//! The refusals of the rooms that take arrays from outside files: bytes in memory, streams, and archives.
//!
//! Nothing here knows where the bytes came from; [`Error`](super::Error) says what was asked.

use std::io;

use thiserror::Error;

use super::header::foreign_text;
use super::{HeaderError, dimension_text, is_fault, ndim_text, shapes_text};

/// Why bytes, or a stream of them, are not the array that was asked for, or could not be passed on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The stream does not begin with a header that NumPy would read.
    #[error(transparent)]
    Header(HeaderError),
    /// The stream, or the member of an archive, ended within an array.
    #[error(
        "it ends after {found} of the {expected} bytes of the array; take it from where it was made"
    )]
    Truncated {
        /// The bytes of the array, its header included, as far as they were known.
        expected: u64,
        /// The bytes that came.
        found: u64,
    },
    /// The stream goes on behind an array that was to be its last.
    #[error("more bytes follow the array; read without `Options::expect_end` to take several")]
    Trailing,
    /// The array is larger than allowed.
    #[error("its {nbytes} bytes are more than the {limit} that `Options::max_nbytes` allows")]
    OverLimit {
        /// The bytes of the elements, as the header claims.
        nbytes: u64,
        /// The bytes that were allowed.
        limit: u64,
    },
    /// The elements do not fit into memory.
    #[error("the system has no {needed} bytes of memory for it; take it into a file")]
    OutOfMemory {
        /// The bytes of the elements.
        needed: u64,
    },
    /// The elements are of another dtype.
    #[error("expected {expected}, found {found}; take it as the type for that")]
    DTypeMismatch {
        /// The descr of the element type that was asked for.
        expected: String,
        /// The descr that was given.
        found: String,
    },
    /// The array has another rank.
    #[error(
        "expected {}, found {found}, shape {shape:?}; {}", ndim_text(*expected), dimension_text(*found)
    )]
    NdimMismatch {
        /// The rank that was asked for.
        expected: usize,
        /// The rank of the array.
        found: usize,
        /// The shape of the array.
        shape: Vec<usize>,
    },
    /// The array has another shape than `Options::shape`.
    #[error("{}", shapes_text(expected, found))]
    ShapeMismatch {
        /// The shape that was asked for.
        expected: Vec<usize>,
        /// The shape of the array.
        found: Vec<usize>,
    },
    /// The array has the other order than `Options::order`.
    #[error("its elements are in the other order than `Options::order` says; leave that out")]
    OrderMismatch,
    /// The array is larger than any address space.
    #[error(
        "shape {shape:?} of {itemsize}-byte elements is more than {} bytes; check the shape",
        isize::MAX
    )]
    TooLarge {
        /// The shape.
        shape: Vec<u64>,
        /// The size of one element in bytes.
        itemsize: usize,
    },
    /// There are more or fewer bytes than the shape has.
    #[error(
        "shape {shape:?} of {itemsize}-byte elements takes {expected} bytes, found {found}; check shape and dtype"
    )]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// The size of one element in bytes.
        itemsize: usize,
        /// The bytes that the shape takes.
        expected: u64,
        /// The bytes that were given.
        found: u64,
    },
    /// The bytes do not lie at a multiple of the alignment of their elements, so they cannot be viewed in place.
    #[error(
        "the bytes do not start at a multiple of {align}, which {dtype} needs; copy them with `from_bytes`, or view \
         them as `Le<T>` or `Be<T>`, which lie anywhere"
    )]
    Misaligned {
        /// The descr of the element type.
        dtype: String,
        /// The alignment that the element type needs.
        align: usize,
    },
    /// The elements could not be read. They are in a map of a file that was cut, or whose disk failed.
    #[error(
        "the elements cannot be read ({0}): they are in a map of a file that was cut, or whose disk failed; ask the store \
         that they are from with `Mapped::check_faults`"
    )]
    Unreadable(#[source] io::Error),
    /// The reader or the writer failed.
    #[error("{0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> ExchangeError {
        match is_fault(&error) {
            true => ExchangeError::Unreadable(error),
            false => ExchangeError::Io(error),
        }
    }
}

impl From<HeaderError> for ExchangeError {
    fn from(refused: HeaderError) -> ExchangeError {
        match refused {
            HeaderError::Truncated { expected, found } => {
                ExchangeError::Truncated { expected, found }
            }
            refused => ExchangeError::Header(refused),
        }
    }
}

/// Why an archive, or a member of it, is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NpzError {
    /// The file is no zip archive.
    #[error("not a zip archive: {}", foreign_text(found, *.what, *.remedy))]
    NotZip {
        /// The first bytes, escaped.
        found: String,
        /// What it is instead (`it is an NPY file`), if its first bytes tell.
        what: Option<&'static str>,
        /// The way to the array, if that is known.
        remedy: Option<&'static str>,
    },
    /// The file is a damaged zip archive.
    #[error("it is not a sound zip archive: {reason}; take it from a copy")]
    Archive {
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such array in the archive.
    #[error("it has no array {name:?}; `Npz::names` lists them")]
    NoMember {
        /// The name that was asked for.
        name: String,
    },
    /// Two members have one name, so that it does not say which array is meant.
    #[error("it has two members {name:?}; write every array under a name of its own")]
    DuplicateName {
        /// The name of the members, or of the array that was to be added.
        name: String,
    },
    /// An array could not be written to the archive, which has a part of it now.
    #[error("an array could not be written to it before; begin it anew")]
    Unfinished,
    /// The member is encrypted.
    #[error("its member {name:?} is encrypted; unpack the archive with the tool that made it")]
    Encrypted {
        /// The name of the array.
        name: String,
    },
    /// The member is compressed, and so cannot be viewed in place.
    #[error(
        "its member {name:?} is compressed; read it into memory with `Npz::read`, or into a temporary file with `Npz::unpack`"
    )]
    Compressed {
        /// The name of the array.
        name: String,
    },
    /// The member is compressed by a method that NumPy does not write.
    #[error(
        "its member {name:?} is compressed by {method}; NumPy's archives are stored or deflated"
    )]
    Method {
        /// The name of the array.
        name: String,
        /// The method.
        method: String,
    },
    /// The content of the member is not the array that was asked for, or is damaged.
    #[error("its member {name:?}: {source}")]
    Member {
        /// The name of the array.
        name: String,
        /// What is wrong with it.
        source: ExchangeError,
    },
}
