//! The one error of the crate, and the refusals of the pure rooms that it wraps.
//!
//! Every message names the operation, the file, the cause, and the way out. Dtypes and shapes
//! appear as the text that a user would write, so this file depends on no other room.

mod checksum;
mod context;
mod header;
mod io;
mod kind;
mod lock;
mod message;
mod text;
mod time;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) use context::Context;
pub(crate) use words::dimension_text;

pub use checksum::ChecksumError;
pub use header::{DescrError, HeaderError};
pub use kind::ErrorKind;
pub use lock::{LockHold, LockHolder};
pub use text::TextError;
pub use time::TimeError;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of an operation on a file, a stream or an archive that was refused or failed.
///
/// [`kind`](Error::kind) is the cause as a value to match on; [`path`](Error::path),
/// [`member`](Error::member) and [`operation`](Error::operation) say where and when it occurred.
/// Unless the kind says otherwise, no file has changed.
///
/// **The message is complete.** It names the operation, the file, the cause and the way out, and
/// contains the words of the cause. So that the cause is not reported twice,
/// [`source`](std::error::Error::source) is not the cause itself but the error behind it, if there
/// is one. The cause as a value is a field of the kind.
///
/// `Debug` shows the message, so a `fn main` that returns a [`Result`] ends with a message that a
/// user can read. An error converts to an [`io::Error`](std::io::Error) of the fitting kind, which
/// gives it back by [`downcast`](std::io::Error::downcast).
///
/// # Examples
///
/// Match on the kind, and pass all other errors on:
///
/// ```
/// use ndarray::Ix2;
/// use ndstore::{ErrorKind, Result, Store};
///
/// fn open_or_create(path: &std::path::Path) -> Result<Store<f32, Ix2>> {
///     match Store::open_rw(path) {
///         Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => {
///             Store::create_new(path, (3, 4))
///         }
///         opened => opened,
///     }
/// }
///
/// # let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("a.npy");
/// let store = open_or_create(&path)?;
/// let refused = Store::<f32, Ix2>::open(&path).expect_err("a writer has it");
/// match refused.kind() {
///     ErrorKind::Locked { holder, .. } => println!("{holder} has {:?}", refused.path()),
///     other => panic!("it is locked, and not {other}"),
/// }
/// assert_eq!(refused.operation(), "open");
/// # drop(store);
/// # Ok::<(), ndstore::Error>(())
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    /// The file or the archive; `None` for streams, for bytes in memory and for text.
    path: Option<PathBuf>,
    /// The array in the archive.
    member: Option<String>,
    operation: &'static str,
    kind: ErrorKind,
}

impl Error {
    /// An error without a file: about a stream, bytes in memory, or a text.
    pub(crate) fn pathless(operation: &'static str, kind: ErrorKind) -> Error {
        Error(Box::new(Inner {
            path: None,
            member: None,
            operation,
            kind,
        }))
    }

    /// The file or the archive of the operation. `None` for streams, for bytes in memory and for
    /// text.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The array of the operation in the archive at [`path`](Error::path), if the archive has it.
    pub fn member(&self) -> Option<&str> {
        self.0.member.as_deref()
    }

    /// The operation, or the step of it that failed, in the words of the message behind "cannot":
    /// `open`, `create`, `read the header of`.
    ///
    /// It is for people. A program decides by the [`kind`](Error::kind).
    pub fn operation(&self) -> &str {
        self.0.operation
    }

    /// The cause.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The cause as an owned value: for example the caller's error in a
    /// [cancelled](ErrorKind::Cancelled) operation.
    pub fn into_kind(self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind().cause()?.source()
    }
}

impl From<DescrError> for Error {
    fn from(cause: DescrError) -> Error {
        Error::pathless("read a dtype", ErrorKind::Descr { cause })
    }
}
