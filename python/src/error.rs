//! From the crate's errors to Python's exceptions: which class, and the crate's own words.
//!
//! The classes are Python's, in `ndstore/_errors.py`, because each has two parents.

use std::path::Path;

use ndstore::ErrorKind;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A failure on the way to Python.
pub(crate) enum Failure {
    Crate(ndstore::Error),
    Python(PyErr),
}

impl From<ndstore::Error> for Failure {
    fn from(error: ndstore::Error) -> Failure {
        Failure::Crate(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Failure {
        Failure::Python(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> PyErr {
        match failure {
            Failure::Python(error) => error,
            Failure::Crate(error) => Python::attach(|py| raised(py, error)),
        }
    }
}

/// What a function that Python calls returns.
pub(crate) type Answer<T> = Result<T, Failure>;

/// The exception for an error of the crate.
fn raised(py: Python<'_>, error: ndstore::Error) -> PyErr {
    let (class, errno) = class_of(error.kind());
    let make = || {
        let path = error.path().map(Path::as_os_str);
        let message = PyString::new(py, &error.to_string());
        let errors = py.import("ndstore._errors")?;
        errors.call_method1("made", (class, errno, message, path))
    };
    make().map_or_else(|failed| failed, PyErr::from_value)
}

/// The class, and the number of the system's error where there is one that says it.
fn class_of(kind: &ErrorKind) -> (&'static str, Option<i32>) {
    match kind {
        ErrorKind::NotFound { .. } | ErrorKind::Removed => ("NotFoundError", None),
        ErrorKind::AlreadyExists => ("ExistsError", None),
        ErrorKind::PermissionDenied { .. } | ErrorKind::Mounted => ("DeniedError", None),
        ErrorKind::NotADirectory { .. } => ("NotADirectoryError", None),
        ErrorKind::NotAFile { .. } => ("NotAFileError", None),
        ErrorKind::Locked { .. } => ("LockedError", None),
        ErrorKind::NoSpace { .. } => ("NoSpaceError", None),
        ErrorKind::FileTooLarge { .. } => ("TooLargeError", None),
        ErrorKind::LockUnsupported { .. } | ErrorKind::Unsupported { .. } => {
            ("UnsupportedError", None)
        }
        ErrorKind::Truncated { .. } => ("TruncatedError", None),
        ErrorKind::Faulted { .. } => ("FaultedError", None),
        ErrorKind::Moved => ("MovedError", None),
        ErrorKind::Poisoned => ("PoisonedError", None),
        ErrorKind::Forked => ("ForkedError", None),
        ErrorKind::NoMember { .. } => ("NoMemberError", None),
        ErrorKind::OutOfMemory { .. } | ErrorKind::OverBudget { .. } => ("OutOfMemoryError", None),
        ErrorKind::IndexOutOfBounds { .. }
        | ErrorKind::OutOfBounds { .. }
        | ErrorKind::RowsOutOfBounds { .. }
        | ErrorKind::RangeOutOfBounds { .. } => ("BoundsError", None),
        ErrorKind::AxisOutOfBounds { .. } => ("AxisError", None),
        ErrorKind::SumOverflow { .. } => ("SumOverflowError", None),
        ErrorKind::DTypeMismatch { .. } => ("DTypeError", None),
        ErrorKind::Io { cause, .. }
        | ErrorKind::NotMapped { cause, .. }
        | ErrorKind::Unreadable { cause, .. } => ("SystemCallError", cause.raw_os_error()),
        _ => ("InvalidError", None),
    }
}
