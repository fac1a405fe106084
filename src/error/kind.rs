//! `ErrorKind`: what stood in the way, as a value to match on. `Error` says of which file and in which operation.
//!
//! Every kind has its own words for what is there and what to do about it. They are those for a stream, or for anything without
//! a path, where `message.rs` has others for a file.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use super::header::foreign_text;
use super::words::{fault_text, free_text, limit_text, ndim_text, rows_text, shapes_text};
use super::{ChecksumError, DescrError, HeaderError, LockHold, LockHolder};

/// Why an operation was refused or failed.
///
/// Kinds and fields may be added, so a pattern ends in `..` and a `match` has an arm for all others. Where the operating system
/// said why, that is the field `cause`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file, or a directory on the way to it, does not exist.
    #[error("{what} does not exist; {remedy}")]
    #[non_exhaustive]
    NotFound {
        /// What is missing: the file itself, or its directory.
        what: &'static str,
        /// The way out.
        remedy: &'static str,
    },

    /// `create_new` found a file.
    #[error("it exists; `Store::create` replaces a file, `Store::open` reads it")]
    AlreadyExists,

    /// The operating system denies access to the file or to its directory.
    #[error(
        "no permission to {needed} ({cause}); check the owner and mode with `ls -ld`, and its flags with `lsattr`"
    )]
    #[non_exhaustive]
    PermissionDenied {
        /// The access that is missing.
        needed: &'static str,
        /// What the operating system said.
        cause: io::Error,
    },

    /// The path leads through something that is no directory.
    #[error("{parent:?} is {found} and no directory; check the path")]
    #[non_exhaustive]
    NotADirectory {
        /// The part of the path that was to be a directory.
        parent: PathBuf,
        /// What that is.
        found: &'static str,
    },

    /// The path names a directory, a device, a FIFO or a socket.
    #[error("it is {found}; arrays live in regular files")]
    #[non_exhaustive]
    NotAFile {
        /// What the path names.
        found: &'static str,
    },

    /// Somebody else has the file open in a way that stands in the way.
    #[error("{holder} {hold}{}; {remedy}", rows_text(rows.as_ref()))]
    #[non_exhaustive]
    Locked {
        /// Whether the lock that was asked for is the exclusive one, of a writer.
        exclusive: bool,
        /// Who has it.
        holder: LockHolder,
        /// How it is had.
        hold: LockHold,
        /// Which rows, where that tells more: up to `usize::MAX` those that are appended.
        rows: Option<Range<usize>>,
        /// The way out.
        remedy: &'static str,
    },

    /// The file system has no locks.
    #[error("its file system has no {what} ({cause}); {remedy}")]
    #[non_exhaustive]
    LockUnsupported {
        /// Which locks.
        what: &'static str,
        /// The way out.
        remedy: &'static str,
        /// What the operating system said.
        cause: io::Error,
    },

    /// The path no longer names the file that this store has open.
    #[error("the path now names another file, or none; open it again, or move the file back")]
    Moved,

    /// The file is mounted by itself, as containers do with single files: no other file can have
    /// its name.
    #[error(
        "it is mounted by itself, and no new file can take the name of a mount; write to it in place with `Store::open_rw`, or mount its directory instead"
    )]
    Mounted,

    /// The disk, or the user's quota on it, is full.
    #[error("{needed} bytes are needed{}; free some space, or choose another disk", free_text(*free))]
    #[non_exhaustive]
    NoSpace {
        /// How many bytes the operation needs.
        needed: u64,
        /// How many bytes the file system reported as free, where it did.
        free: Option<u64>,
    },

    /// The file would pass the process's or the file system's limit on a file's size.
    #[error("its {needed} bytes pass the limit on a file's size{}", limit_text(*limit))]
    #[non_exhaustive]
    FileTooLarge {
        /// How long the file would be.
        needed: u64,
        /// The process's own limit (`RLIMIT_FSIZE`); `None` where it is the file system that refused.
        limit: Option<u64>,
    },

    /// What is there does not begin with a header that NumPy would read.
    #[error("{cause}")]
    #[non_exhaustive]
    Header {
        /// What is wrong with it, and at which byte.
        cause: HeaderError,
    },

    /// A text does not describe a dtype.
    #[error("{cause}")]
    #[non_exhaustive]
    Descr {
        /// What is wrong with it.
        cause: DescrError,
    },

    /// The elements are of another dtype.
    #[error("expected {expected}, found {found}; {remedy}")]
    #[non_exhaustive]
    DTypeMismatch {
        /// The descr of the element type that was asked for.
        expected: String,
        /// The descr of the elements that are there.
        found: String,
        /// The way out.
        remedy: &'static str,
    },

    /// The array has another rank.
    #[error(
        "expected {}, found {found}, shape {shape:?}; {remedy}", ndim_text(*expected)
    )]
    #[non_exhaustive]
    NdimMismatch {
        /// The rank that was asked for.
        expected: usize,
        /// The rank of the array.
        found: usize,
        /// The shape of the array.
        shape: Vec<usize>,
        /// The way out.
        remedy: Cow<'static, str>,
    },

    /// The checksums of the file cannot tell whether it is damaged.
    #[error("{cause}")]
    #[non_exhaustive]
    Checksums {
        /// The file with its checksums.
        checksums: PathBuf,
        /// What is wrong with them.
        cause: ChecksumError,
    },

    /// A shape that was given does not fit the one at hand.
    #[error("{}", shapes_text(expected, found))]
    #[non_exhaustive]
    ShapeMismatch {
        /// The shape that was asked for.
        expected: Vec<usize>,
        /// The shape that is there.
        found: Vec<usize>,
    },

    /// The array is larger than any file or address space.
    #[error(
        "shape {shape:?} of {itemsize}-byte elements is more than {} bytes; check the shape",
        isize::MAX
    )]
    #[non_exhaustive]
    ShapeTooLarge {
        /// The shape.
        shape: Vec<u64>,
        /// The size of one element in bytes.
        itemsize: usize,
    },

    /// The file, the stream or the member of an archive ends before the array in it does.
    #[error(
        "it ends after {found} of the {expected} bytes of the array; take it from where it was made"
    )]
    #[non_exhaustive]
    Truncated {
        /// The length that the header, or the given shape and offset, ask for, as far as it is known.
        expected: u64,
        /// The length that is there.
        found: u64,
    },

    /// The elements do not lie at a multiple of their alignment, so they cannot be viewed in place.
    #[error("the bytes do not start at a multiple of {align}, which {dtype} needs; {remedy}")]
    #[non_exhaustive]
    Misaligned {
        /// The descr of the element type.
        dtype: String,
        /// Where in the file the elements start. `None` for bytes in memory.
        offset: Option<u64>,
        /// The alignment that the element type needs.
        align: usize,
        /// The way out.
        remedy: &'static str,
    },

    /// The length of a raw file is not a whole number of elements.
    #[error(
        "its {nbytes} bytes from byte {offset} are not a multiple of the {itemsize}-byte element; check dtype and offset, or leave the rest out with `Options::allow_trailing`"
    )]
    #[non_exhaustive]
    NotAMultiple {
        /// The bytes behind the offset.
        nbytes: u64,
        /// The offset that was given.
        offset: u64,
        /// The size of one element in bytes.
        itemsize: usize,
    },

    /// The stream goes on behind an array that was to be its last.
    #[error("more bytes follow the array; read without `Options::expect_end` to take several")]
    ExpectedEnd,

    /// The array that a stream or an archive brings is larger than allowed.
    #[error(
        "its {nbytes} bytes are more than the {limit} allowed; raise that with `Options::max_nbytes`"
    )]
    #[non_exhaustive]
    OverLimit {
        /// The bytes of the elements, as the header claims.
        nbytes: u64,
        /// The bytes that were allowed.
        limit: u64,
    },

    /// The array has the other order than `Options::order`.
    #[error("its elements are in the other order than `Options::order` says; leave that out")]
    OrderMismatch,

    /// There are more or fewer bytes than the shape has.
    #[error(
        "shape {shape:?} of {itemsize}-byte elements takes {expected} bytes, found {found}; check shape and dtype"
    )]
    #[non_exhaustive]
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

    /// The file is no zip archive.
    #[error("not a zip archive: {}", foreign_text(found, *.what, *.remedy))]
    #[non_exhaustive]
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
    #[non_exhaustive]
    Archive {
        /// What is wrong with it.
        reason: String,
    },

    /// There is no such array in the archive.
    #[error("it has no array {name:?}; `Npz::names` lists them")]
    #[non_exhaustive]
    NoMember {
        /// The name that was asked for.
        name: String,
    },

    /// Two members have one name, so that it does not say which array is meant.
    #[error("it has two members {name:?}; write every array under a name of its own")]
    #[non_exhaustive]
    DuplicateName {
        /// The name of the members, or of the array that was to be added.
        name: String,
    },

    /// An array could not be written to the archive, which has a part of it now.
    #[error("an array could not be written to it before; begin it anew")]
    Unfinished,

    /// The member is encrypted.
    #[error("it is encrypted; unpack the archive with the tool that made it")]
    Encrypted,

    /// The member is compressed, and so cannot be viewed in place.
    #[error(
        "it is compressed; read it into memory with `Npz::read`, or into a temporary file with `Npz::unpack`"
    )]
    Compressed,

    /// The member is compressed by a method that NumPy does not write.
    #[error(
        "it is compressed by {method}, and NumPy's archives are stored or deflated; unpack it with the tool that made it"
    )]
    #[non_exhaustive]
    Method {
        /// The method.
        method: String,
    },

    /// Rows past the end of the array.
    #[error("it has {rows} rows, and not rows {start}..{end}")]
    #[non_exhaustive]
    RowsOutOfBounds {
        /// The first row asked for.
        start: usize,
        /// One past the last row asked for.
        end: usize,
        /// How many rows there are.
        rows: usize,
    },

    /// Bytes stand behind the array that are not this crate's unpublished rows.
    #[error("{found} bytes of something else follow the array at byte {offset}; {remedy}")]
    #[non_exhaustive]
    TrailingBytes {
        /// Where the array ends.
        offset: u64,
        /// How many bytes follow it.
        found: u64,
        /// The way out.
        remedy: &'static str,
    },

    /// An earlier flush failed: the kernel reports a lost write only once, so what is on the disk is unknown.
    #[error(
        "an earlier write to it was lost; copy the array from this store to another disk, then open the file anew"
    )]
    Poisoned,

    /// The file was removed, or another one has taken its place, so nobody finds what is written to
    /// it. Its elements are there until the store is dropped.
    #[error(
        "it was removed or replaced, so nobody will find what is written to it; write its elements into a new file with `Store::create_from`"
    )]
    Removed,

    /// The system does not map the file.
    #[error("the system does not map it ({cause}); {remedy}")]
    #[non_exhaustive]
    NotMapped {
        /// The way out.
        remedy: &'static str,
        /// What the operating system said.
        cause: io::Error,
    },

    /// This process was forked from the one that opened the store, or began the file, and has a
    /// copy of it. What changes the length of a file, or puts another in its place, is for the
    /// process that opened it: the other one would not notice, and lose rows that were
    /// acknowledged.
    #[error(
        "another process opened it, of which this one is a forked copy; leave that to the other process, or drop this copy and open the file anew once the other process has closed it"
    )]
    Forked,

    /// The progress callback failed. No new file was made; what was written in place stays.
    #[error("cancelled: {cause}")]
    #[non_exhaustive]
    Cancelled {
        /// The error of the callback. [`Error::into_kind`](crate::Error::into_kind) gives it back.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },

    /// A result in memory would take more than the operation may.
    #[error(
        "it takes {needed} bytes of memory, and the budget is {budget}; raise it with `OutOfCore::memory`, or work block by block"
    )]
    #[non_exhaustive]
    OverBudget {
        /// The bytes that it takes.
        needed: u64,
        /// The bytes that it may take.
        budget: u64,
    },

    /// The elements do not fit into memory.
    #[error("the system has no {needed} bytes of memory for it; {remedy}")]
    #[non_exhaustive]
    OutOfMemory {
        /// The bytes that it takes.
        needed: u64,
        /// The way out.
        remedy: &'static str,
    },

    /// There are no elements, and so no extreme.
    #[error("it has no elements there; check the shape")]
    Empty,

    /// All elements that a result is of are NaN, so none of them has the place of an extreme.
    #[error(
        "all elements are NaN at {index:?} of the result; leave such lanes out, which `count_nan_axis` tells of, or take `nanmin` or `nanmax`"
    )]
    #[non_exhaustive]
    AllNan {
        /// The index of the result: of the lane along the axis, or none for the whole array.
        index: Vec<usize>,
    },

    /// An exact sum of integers is more than its type holds.
    #[error(
        "the sum {sum} is more than {dtype} holds; take the mean, or make floats of it with `OutOfCore::astype`"
    )]
    #[non_exhaustive]
    SumOverflow {
        /// The exact sum.
        sum: i128,
        /// The type of the result.
        dtype: &'static str,
    },

    /// The array has no such axis.
    #[error("there is no axis {axis}, it has {ndim}, counted from 0")]
    #[non_exhaustive]
    AxisOutOfBounds {
        /// The axis that was asked for.
        axis: usize,
        /// How many axes there are.
        ndim: usize,
    },

    /// A range reaches past the end of its axis, or starts behind its own end.
    #[error("{start}..{end} is no range of axis {axis}, which has {len}")]
    #[non_exhaustive]
    RangeOutOfBounds {
        /// The axis.
        axis: usize,
        /// Where the range starts.
        start: usize,
        /// One past its last index.
        end: usize,
        /// The length of the axis.
        len: usize,
    },

    /// An index, or a slice, reaches past the end of its axis.
    #[error("{asked} is out of bounds of axis {axis}, which has {len}")]
    #[non_exhaustive]
    OutOfBounds {
        /// The axis.
        axis: usize,
        /// The index, or the slice as `s![]` takes it.
        asked: String,
        /// The length of the axis.
        len: usize,
    },

    /// The array has no such row.
    #[error("there is no row {index}, it has {rows}, counted from 0")]
    #[non_exhaustive]
    IndexOutOfBounds {
        /// The row that was asked for.
        index: usize,
        /// How many rows there are.
        rows: usize,
    },

    /// The file of a store was cut under its map by something that did not take its lock, or its disk failed. Views show, or
    /// showed, zeros that are not in the file; what was written to them is lost.
    ///
    /// From a store with [`MapOptions::guard`](crate::MapOptions::guard), of which nothing is written any more, or from one whose
    /// elements the operating system could not read when they were to be passed on.
    #[error(
        "{}; take what its views show for lost, see what happened to the file, and open it anew",
        fault_text(*expected, *found)
    )]
    #[non_exhaustive]
    Faulted {
        /// Where the array ends in the file, in bytes.
        expected: u64,
        /// The length of the file now. Not less than `expected` if its disk failed, or if it was made longer again.
        found: u64,
    },

    /// The elements that were to be written could not be read. They are in a map of some other file, which was cut or whose
    /// disk failed: [`Mapped::check_faults`](crate::Mapped::check_faults) tells of which store.
    #[error(
        "the elements cannot be read ({cause}): they are in a map of a file that was cut, or whose disk failed; ask the store \
         that they are from with `Mapped::check_faults`"
    )]
    #[non_exhaustive]
    Unreadable {
        /// What the operating system said.
        cause: io::Error,
    },

    /// An option, or its combination with another, makes no sense for the call.
    #[error("{reason}")]
    #[non_exhaustive]
    InvalidOption {
        /// What is wrong, and what to do instead.
        reason: &'static str,
    },

    /// A mode that NumPy's memmap does not know.
    #[error("{found:?} is not a mode: use `r`, `r+`, `w+` or `c`")]
    #[non_exhaustive]
    InvalidMode {
        /// The text that was given.
        found: String,
    },

    /// The platform or the file system lacks what was asked for.
    #[error("{what} is not supported here ({cause})")]
    #[non_exhaustive]
    Unsupported {
        /// What is lacking.
        what: &'static str,
        /// What the operating system said.
        cause: io::Error,
    },

    /// Any other failure that the operating system reported.
    #[error("{cause}")]
    #[non_exhaustive]
    Io {
        /// What the operating system said.
        cause: io::Error,
    },
}

impl ErrorKind {
    /// What the reader, the writer or the operating system said.
    pub(crate) fn io(cause: io::Error) -> ErrorKind {
        match is_fault(&cause) {
            true => ErrorKind::Unreadable { cause },
            false => ErrorKind::Io { cause },
        }
    }

    /// Why a stream does not begin with a header. One that ends within its header ends within its array.
    pub(crate) fn of_stream(cause: HeaderError) -> ErrorKind {
        match cause {
            HeaderError::Truncated { expected, found } => ErrorKind::Truncated { expected, found },
            cause => ErrorKind::Header { cause },
        }
    }

    /// The error behind this one. Its words are in the message.
    pub(super) fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ErrorKind::PermissionDenied { cause, .. }
            | ErrorKind::LockUnsupported { cause, .. }
            | ErrorKind::NotMapped { cause, .. }
            | ErrorKind::Unreadable { cause }
            | ErrorKind::Unsupported { cause, .. }
            | ErrorKind::Io { cause } => Some(cause),
            ErrorKind::Header { cause } => Some(cause),
            ErrorKind::Cancelled { cause } => Some(&**cause),
            ErrorKind::Descr { cause } => Some(cause),
            ErrorKind::Checksums { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

/// Whether the kernel could not read the memory that it was to write somewhere (`EFAULT`): a map of a file that was cut.
fn is_fault(error: &io::Error) -> bool {
    #[cfg(unix)]
    return rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::FAULT);
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}
