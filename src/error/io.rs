//! From an `Error` to an `io::Error`, for whoever has only that to return.

use std::io;

use super::{Error, ErrorKind};

/// The whole error goes along: [`io::Error::downcast`] gives it back, and
/// [`io::Error::get_ref`] lends it.
impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(io_kind(error.kind()), error)
    }
}

fn io_kind(kind: &ErrorKind) -> io::ErrorKind {
    match kind {
        ErrorKind::NotFound { .. } | ErrorKind::NoMember { .. } | ErrorKind::Removed => {
            io::ErrorKind::NotFound
        }
        ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
        ErrorKind::PermissionDenied { .. } => io::ErrorKind::PermissionDenied,
        ErrorKind::NotADirectory { .. } => io::ErrorKind::NotADirectory,
        // As `std::fs::File::try_lock` says it.
        ErrorKind::Locked { .. } => io::ErrorKind::WouldBlock,
        ErrorKind::Mounted => io::ErrorKind::ResourceBusy,
        ErrorKind::NoSpace { .. } => io::ErrorKind::StorageFull,
        ErrorKind::FileTooLarge { .. } => io::ErrorKind::FileTooLarge,
        ErrorKind::Truncated { .. } => io::ErrorKind::UnexpectedEof,
        ErrorKind::OutOfMemory { .. } => io::ErrorKind::OutOfMemory,
        ErrorKind::LockUnsupported { .. }
        | ErrorKind::Unsupported { .. }
        | ErrorKind::Encrypted
        | ErrorKind::Compressed
        | ErrorKind::Method { .. } => io::ErrorKind::Unsupported,
        ErrorKind::Header { .. }
        | ErrorKind::Descr { .. }
        | ErrorKind::DTypeMismatch { .. }
        | ErrorKind::NdimMismatch { .. }
        | ErrorKind::OrderMismatch
        | ErrorKind::Checksums { .. }
        | ErrorKind::Misaligned { .. }
        | ErrorKind::NotAMultiple { .. }
        | ErrorKind::TrailingBytes { .. }
        | ErrorKind::ExpectedEnd
        | ErrorKind::OverLimit { .. }
        | ErrorKind::NotZip { .. }
        | ErrorKind::Archive { .. }
        | ErrorKind::DuplicateName { .. } => io::ErrorKind::InvalidData,
        ErrorKind::NotAFile { .. }
        | ErrorKind::ShapeMismatch { .. }
        | ErrorKind::ShapeTooLarge { .. }
        | ErrorKind::Length { .. }
        | ErrorKind::RowsOutOfBounds { .. }
        | ErrorKind::OverBudget { .. }
        | ErrorKind::Empty
        | ErrorKind::AllNan { .. }
        | ErrorKind::AxisOutOfBounds { .. }
        | ErrorKind::RangeOutOfBounds { .. }
        | ErrorKind::OutOfBounds { .. }
        | ErrorKind::IndexOutOfBounds { .. }
        | ErrorKind::InvalidOption { .. }
        | ErrorKind::InvalidMode { .. } => io::ErrorKind::InvalidInput,
        ErrorKind::Unreadable { cause }
        | ErrorKind::NotMapped { cause, .. }
        | ErrorKind::Io { cause } => cause.kind(),
        // Not `Interrupted`, which the readers and writers of std take for a reason to try again.
        ErrorKind::Cancelled { .. }
        | ErrorKind::Moved
        | ErrorKind::Poisoned
        | ErrorKind::Forked
        | ErrorKind::SumOverflow { .. }
        | ErrorKind::Faulted { .. }
        | ErrorKind::Unfinished => io::ErrorKind::Other,
    }
}
