//! The one error of the crate, and the refusals of the pure rooms that it wraps.
//!
//! Every message says what was asked, of which file, what stood in the way, and what to do about it. Dtypes and shapes
//! appear as the text a user would write, so that this file depends on no other room.

mod checksum;
mod context;
mod exchange;
mod header;
mod text;
mod time;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

pub(crate) use context::{Context, is_fault};

pub use checksum::ChecksumError;
pub use exchange::{ExchangeError, NpzError};
pub use header::{DescrError, HeaderError};
pub use text::TextError;
pub use time::TimeError;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on a store was refused or failed.
///
/// `path` is always the file that the operation was about and `op` what was asked of it (`open`, `create`, `resize`).
/// What has no file, bytes and streams, is [`Error::Exchange`].
/// Unless a variant says otherwise, no file has changed when it is returned.
///
/// `Debug` shows the message and not the fields, so that a `fn main` that returns a [`Result`] ends with what a user can read.
/// The message has that of its [source](std::error::Error::source) in it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file, or a directory on the way to it, does not exist.
    #[error("cannot {op} {path:?}: {what} does not exist; {remedy}")]
    NotFound {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// What is missing: the file itself, or its directory.
        what: &'static str,
        /// The way out.
        remedy: &'static str,
    },

    /// `create_new` found a file.
    #[error(
        "cannot create {path:?}: it exists; `Store::create` replaces a file, `Store::open` reads it"
    )]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },

    /// The operating system denies access to the file or to its directory.
    #[error(
        "cannot {op} {path:?}: no permission to {needed} ({source}); check the owner and mode with `ls -ld`, and its flags with `lsattr`"
    )]
    PermissionDenied {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The access that is missing.
        needed: &'static str,
        /// What the operating system said.
        source: io::Error,
    },

    /// The path leads through something that is no directory.
    #[error("cannot {op} {path:?}: {parent:?} is {found} and no directory; check the path")]
    NotADirectory {
        /// The path.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The part of the path that was to be a directory.
        parent: PathBuf,
        /// What that is.
        found: &'static str,
    },

    /// The path names a directory, a device, a FIFO or a socket.
    #[error("cannot {op} {path:?}: it is {found}; arrays live in regular files")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// What the path names.
        found: &'static str,
    },

    /// Somebody else has the file open in a way that stands in the way.
    #[error("cannot {op} {path:?}: {holder} {hold}{}; {remedy}", rows_text(rows.as_ref()))]
    Locked {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
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
    #[error("cannot {op} {path:?}: its file system has no {what} ({source}); {remedy}")]
    LockUnsupported {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// Which locks.
        what: &'static str,
        /// The way out.
        remedy: &'static str,
        /// What the operating system said.
        source: io::Error,
    },

    /// The path no longer names the file that this store has open.
    #[error(
        "cannot {op} {path:?}: the path now names another file, or none; open it again, or move the file back"
    )]
    Moved {
        /// The path.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
    },

    /// The file is mounted by itself, as containers do with single files: no other file can have
    /// its name.
    #[error(
        "cannot {op} {path:?}: it is mounted by itself, and no new file can take the name of a mount; write to it in place with `Store::open_rw`, or mount its directory instead"
    )]
    Mounted {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
    },

    /// The disk, or the user's quota on it, is full.
    #[error("cannot {op} {path:?}: {needed} bytes are needed{}; free some space, or choose another disk", free_text(*free))]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// How many bytes the operation needs.
        needed: u64,
        /// How many bytes the file system reported as free, where it did.
        free: Option<u64>,
    },

    /// The file would pass the process's or the file system's limit on a file's size.
    #[error("cannot {op} {path:?}: its {needed} bytes pass the limit on a file's size{}", limit_text(*limit))]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// How long the file would be.
        needed: u64,
        /// The process's own limit (`RLIMIT_FSIZE`); `None` where it is the file system that refused.
        limit: Option<u64>,
    },

    /// The file's header is not one that NumPy would read.
    #[error("cannot {op} {path:?}: {source}{}", raw_text(source))]
    Header {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// What is wrong with it, and at which byte.
        source: HeaderError,
    },

    /// A text does not describe a dtype.
    #[error(transparent)]
    Descr(#[from] DescrError),

    /// The file holds elements of another dtype.
    #[error("cannot {op} {path:?} as {expected}: it holds {found}; {remedy}")]
    DTypeMismatch {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The descr of the element type that was asked for.
        expected: String,
        /// The descr in the file.
        found: String,
        /// The way out.
        remedy: &'static str,
    },

    /// The array has another rank.
    #[error(
        "cannot {op} {path:?} with {}: it has {found}, shape {shape:?}; {remedy}", ndim_text(*expected)
    )]
    NdimMismatch {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The rank that was asked for.
        expected: usize,
        /// The rank in the file.
        found: usize,
        /// The shape in the file.
        shape: Vec<usize>,
        /// The way out.
        remedy: Cow<'static, str>,
    },

    /// Bytes in memory, or a stream, are not the array that was asked for, or could not be passed on.
    #[error("cannot {op}: {source}")]
    Exchange {
        /// What was asked.
        op: &'static str,
        /// What stood in the way.
        source: ExchangeError,
    },

    /// An archive, or a member of it, is refused.
    #[error("cannot {op} {path:?}: {source}")]
    Npz {
        /// The archive.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// What is wrong with it.
        source: Box<NpzError>,
    },

    /// The checksums of the file cannot tell whether it is damaged.
    #[error("cannot verify {path:?} by {checksums:?}: {source}")]
    Checksums {
        /// The file.
        path: PathBuf,
        /// The file with its checksums.
        checksums: PathBuf,
        /// What is wrong with them.
        source: ChecksumError,
    },

    /// A shape that was given does not fit the one at hand.
    #[error("cannot {op} {path:?}: {}", shapes_text(expected, found))]
    ShapeMismatch {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The shape that was asked for.
        expected: Vec<usize>,
        /// The shape that is there.
        found: Vec<usize>,
    },

    /// The array is larger than any file or address space.
    #[error(
        "cannot {op} {path:?}: shape {shape:?} of {itemsize}-byte elements is more than {} bytes; check the shape",
        isize::MAX
    )]
    ShapeTooLarge {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The shape.
        shape: Vec<u64>,
        /// The size of one element in bytes.
        itemsize: usize,
    },

    /// The file is shorter than the array in it.
    #[error(
        "cannot {op} {path:?}: its array ends at byte {expected}, but the file has {found}; it was cut or never finished, take it from a copy"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The length that the header, or the given shape and offset, ask for.
        expected: u64,
        /// The file's length.
        found: u64,
    },

    /// The elements do not lie at a multiple of their alignment, so they cannot be viewed in place.
    #[error(
        "cannot {op} {path:?} as {dtype}: its data starts at byte {offset}, not at a multiple of {align}; {remedy}"
    )]
    Misaligned {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The descr of the element type.
        dtype: String,
        /// Where the data starts.
        offset: u64,
        /// The alignment that the element type needs.
        align: usize,
        /// The way out.
        remedy: &'static str,
    },

    /// The length of a raw file is not a whole number of elements.
    #[error(
        "cannot {op} {path:?}: its {nbytes} bytes from byte {offset} are not a multiple of the {itemsize}-byte element; give the shape with `Options::shape`, or check dtype and offset"
    )]
    NotAMultiple {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The bytes behind the offset.
        nbytes: u64,
        /// The offset that was given.
        offset: u64,
        /// The size of one element in bytes.
        itemsize: usize,
    },

    /// Rows past the end of the array.
    #[error("cannot {op} rows {start}..{end} of {path:?}: it has {rows}")]
    RowsOutOfBounds {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The first row asked for.
        start: usize,
        /// One past the last row asked for.
        end: usize,
        /// How many rows there are.
        rows: usize,
    },

    /// Bytes stand behind the array that are not this crate's unpublished rows.
    #[error(
        "cannot {op} {path:?}: {found} bytes of something else follow the array at byte {offset}; allow them to be dropped with `Options::drop_trailing`, or copy the array into a new file"
    )]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// Where the array ends.
        offset: u64,
        /// How many bytes follow it.
        found: u64,
    },

    /// An earlier flush failed: the kernel reports a lost write only once, so what is on the disk is unknown.
    #[error(
        "cannot {op} {path:?}: an earlier write to it was lost; copy the array from this store to another disk, then open the file anew"
    )]
    Poisoned {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
    },

    /// This process was forked from the one that opened the store, or began the file, and has a
    /// copy of it. What changes the length of a file, or puts another in its place, is for the
    /// process that opened it: the other one would not notice, and lose rows that were
    /// acknowledged.
    #[error(
        "cannot {op} {path:?}: another process opened it, of which this one is a forked copy; leave that to the other process, or drop this copy and open the file anew once the other process has closed it"
    )]
    Forked {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
    },

    /// The progress callback asked to stop. No new file was made; what was written in place stays.
    #[error("cannot {op} {path:?}: cancelled")]
    Cancelled {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
    },

    /// A result in memory would take more than the operation may.
    #[error(
        "cannot {op} {path:?}: it takes {needed} bytes of memory, and the budget is {budget}; raise it with `OutOfCore::memory`, or work block by block"
    )]
    OverBudget {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The bytes that it takes.
        needed: u64,
        /// The bytes that it may take.
        budget: u64,
    },

    /// The elements do not fit into memory.
    #[error("cannot {op} {path:?}: the system has no {needed} bytes of memory for it; {remedy}")]
    OutOfMemory {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The bytes that it takes.
        needed: u64,
        /// The way out.
        remedy: &'static str,
    },

    /// There are no elements, and so no extreme.
    #[error("cannot {op} {path:?}: it has no elements there; check the shape")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
    },

    /// An exact sum of integers is more than its type holds.
    #[error(
        "cannot {op} {path:?}: the sum {sum} is more than {dtype} holds; take the mean, or make floats of it with `OutOfCore::astype`"
    )]
    SumOverflow {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The exact sum.
        sum: Box<i128>,
        /// The type of the result.
        dtype: &'static str,
    },

    /// The array has no such axis.
    #[error("cannot {op} {path:?}: there is no axis {axis}, it has {ndim}, counted from 0")]
    AxisOutOfBounds {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The axis that was asked for.
        axis: usize,
        /// How many axes there are.
        ndim: usize,
    },

    /// A range reaches past the end of its axis, or starts behind its own end.
    #[error("cannot {op} {path:?}: {start}..{end} is no range of axis {axis}, which has {len}")]
    RangeOutOfBounds {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
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
    #[error("cannot {op} {path:?}: {asked} is out of bounds of axis {axis}, which has {len}")]
    OutOfBounds {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// The axis.
        axis: usize,
        /// The index, or the slice as `s![]` takes it.
        asked: String,
        /// The length of the axis.
        len: usize,
    },

    /// The array has no such row.
    #[error("cannot {op} {path:?}: there is no row {index}, it has {rows}, counted from 0")]
    IndexOutOfBounds {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
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
        "cannot {op} {path:?}: {}; take what its views show for lost, see what happened to the file, and open it anew",
        fault_text(*expected, *found)
    )]
    Faulted {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// Where the array ends in the file, in bytes.
        expected: u64,
        /// The length of the file now. Not less than `expected` if its disk failed, or if it was made longer again.
        found: u64,
    },

    /// The elements that were to be written could not be read. They are in a map of some other file, which was cut or whose
    /// disk failed: [`Mapped::check_faults`](crate::Mapped::check_faults) tells of which store.
    #[error(
        "cannot {op} {path:?}: the elements to be written cannot be read ({source}): they are in a map of a file that was cut, or whose disk failed"
    )]
    Unreadable {
        /// The file that was to be written.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// What the operating system said.
        source: io::Error,
    },

    /// An option, or its combination with another, makes no sense for the call.
    #[error("cannot {op} {path:?}: {reason}")]
    InvalidOption {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// What is wrong, and what to do instead.
        reason: &'static str,
    },

    /// A mode that NumPy's memmap does not know.
    #[error("{found:?} is not a mode: use `r`, `r+`, `w+` or `c`")]
    InvalidMode {
        /// The text that was given.
        found: String,
    },

    /// The platform or the file system lacks what was asked for.
    #[error("cannot {op} {path:?}: {what} is not supported here ({source})")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What was asked.
        op: &'static str,
        /// What is lacking.
        what: &'static str,
        /// What the operating system said.
        source: io::Error,
    },

    /// Any other failure that the operating system reported.
    #[error("cannot {op} {path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was asked, in words that name the step which failed.
        op: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who holds a lock that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockHolder {
    /// Another store in this very process: drop or close it first.
    ThisProcess,
    /// The process with this id.
    Process(u32),
    /// The operating system does not tell.
    Unknown,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockHolder::ThisProcess => f.write_str("another store in this very process"),
            LockHolder::Process(id) => write!(f, "process {id}"),
            LockHolder::Unknown => f.write_str("somebody"),
        }
    }
}

/// How a lock that was refused is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockHold {
    /// By a store that reads, in the way of writers alone.
    Shared,
    /// By a store that writes.
    Exclusive,
    /// By a lease, as file servers take on behalf of other machines, and give back when they are
    /// asked to.
    Lease,
    /// Not yet: by a store that began to wait for it earlier.
    Waiting,
    /// By a store that reads some rows, or by a reader that has yet to see that it must make way.
    ReadsRows,
    /// By a store that writes some rows.
    WritesRows,
    /// By a store that appends rows.
    Appends,
    /// By a store that shares all of it with others that read and write it.
    Shares,
    /// The operating system does not tell.
    Unknown,
}

impl fmt::Display for LockHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LockHold::Shared => "has it open to read, and a writer must be alone",
            LockHold::Exclusive => "has it open to write, alone",
            LockHold::Lease => "has a lease on it, as a file server takes (Samba, NFS)",
            LockHold::Waiting => "waits for it and comes first",
            LockHold::ReadsRows => "reads some of it",
            LockHold::WritesRows => "writes some of it",
            LockHold::Appends => "appends to it",
            LockHold::Shares => "shares it with all who read and write anywhere",
            LockHold::Unknown => "has it open",
        })
    }
}

/// Rows in parentheses, as a part of a message.
fn rows_text(rows: Option<&Range<usize>>) -> String {
    match rows {
        None => String::new(),
        Some(Range { start, end }) if *end == usize::MAX => format!(" (from row {start} on)"),
        Some(Range { start, end }) => format!(" (rows {start}..{end})"),
    }
}

/// The dimension types for a rank, to choose from: those of ndarray end at 6.
pub(crate) fn dimension_text(ndim: usize) -> String {
    match ndim {
        0..=6 => format!("choose `Ix{ndim}` or `IxDyn`"),
        _ => "choose `IxDyn`".to_owned(),
    }
}

fn ndim_text(ndim: usize) -> String {
    let s = if ndim == 1 { "" } else { "s" };
    format!("{ndim} dimension{s}")
}

/// Two shapes that differ, and their ranks if that is why.
fn shapes_text(expected: &[usize], found: &[usize]) -> String {
    if expected.len() == found.len() {
        return format!("expected shape {expected:?}, found {found:?}");
    }
    let [expected_ndim, found_ndim] = [expected, found].map(|shape| ndim_text(shape.len()));
    format!("expected shape {expected:?} of {expected_ndim}, found {found:?} of {found_ndim}")
}

fn fault_text(expected: u64, found: u64) -> String {
    if found < expected {
        format!(
            "something that did not take its lock cut it to {found} bytes, and its array ends at byte {expected}"
        )
    } else {
        "some of it could not be read or written: its disk failed or is full, or something that did not take its lock cut it \
         and made it longer again"
            .to_owned()
    }
}

/// The way out for a file that is no NPY and nothing else that is known.
fn raw_text(source: &HeaderError) -> &'static str {
    match source {
        HeaderError::Magic { remedy: None, .. } => {
            "; if it is elements without a header, open it with `Options::raw`"
        }
        _ => "",
    }
}

fn free_text(free: Option<u64>) -> String {
    free.map_or_else(String::new, |free| format!(" and {free} are free"))
}

fn limit_text(limit: Option<u64>) -> String {
    match limit {
        Some(limit) => format!(", {limit} bytes for this process; raise it with `ulimit -f`"),
        None => " of its file system; choose another file system".to_owned(),
    }
}
