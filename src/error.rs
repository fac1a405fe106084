//! The one error of the crate, and the refusals of the pure rooms that it wraps.
//!
//! Every message says what was asked, of which file, what stood in the way, and what to do about it. Dtypes and shapes
//! appear as the text a user would write, so that this file depends on no other room.

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

/// Why an operation on a file, a stream or an archive was refused or failed.
///
/// [`kind`](Error::kind) says what stood in the way, as a value to match on; [`path`](Error::path),
/// [`member`](Error::member) and [`operation`](Error::operation) say where and when. Unless the kind says otherwise, no
/// file has changed.
///
/// **The message is whole.** It says what was asked, of which file, what stood in the way and the way out, and has the words of
/// the cause in it. So [`source`](std::error::Error::source) is not that cause, which would then be said twice, but what
/// the cause itself comes from: mostly nothing. The cause as a value is a field of the kind.
///
/// `Debug` shows the message, so that a `fn main` that returns a [`Result`] ends with what a user can read. An error turns
/// into an [`io::Error`](std::io::Error) of the fitting kind, which gives it back by [`downcast`](std::io::Error::downcast).
///
/// # Examples
///
/// Match on the kind, and leave the rest to those who can do something about it:
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
    /// An error about no file: about a stream, bytes in memory, or a text.
    pub(crate) fn pathless(operation: &'static str, kind: ErrorKind) -> Error {
        Error(Box::new(Inner {
            path: None,
            member: None,
            operation,
            kind,
        }))
    }

    /// The file, or the archive, that the operation was about. `None` for streams, for bytes in memory and for text.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The array in the archive at [`path`](Error::path) that the operation was about, if it was about one that is there.
    pub fn member(&self) -> Option<&str> {
        self.0.member.as_deref()
    }

    /// What was asked, or the step that failed, as the message says it behind "cannot": `open`, `create`,
    /// `read the header of`.
    ///
    /// It is for people. A program decides by the [`kind`](Error::kind).
    pub fn operation(&self) -> &str {
        self.0.operation
    }

    /// What stood in the way.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// What stood in the way, with its values to keep: the cause of a [cancelled](ErrorKind::Cancelled) operation, say.
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
