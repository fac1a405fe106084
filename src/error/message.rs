//! The message of an `Error`: what was asked, of which file, what stood in the way, and the way
//! out.
//!
//! The words of most kinds stand with them in `kind.rs`. Here are those that a file has of its own,
//! because its path takes part in the sentence.

use std::fmt::{self, Formatter};
use std::path::Path;

use super::kind::ErrorKind;
use super::words::ndim_text;
use super::{Error, HeaderError};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        if let ErrorKind::Descr { .. } | ErrorKind::InvalidMode { .. } = kind {
            return fmt::Display::fmt(kind, f);
        }
        write!(f, "cannot {}", self.operation())?;
        match (self.path(), self.member()) {
            (None, _) => write!(f, ": {kind}"),
            (Some(path), Some(member)) => write!(f, " {path:?}: its member {member:?}: {kind}"),
            (Some(path), None) => of_file(f, path, kind),
        }
    }
}

/// `cannot open` goes on with the path of a file and what stood in the way.
fn of_file(f: &mut Formatter<'_>, path: &Path, kind: &ErrorKind) -> fmt::Result {
    match kind {
        ErrorKind::DTypeMismatch {
            expected,
            found,
            remedy,
        } => write!(f, " {path:?} as {expected}: it holds {found}; {remedy}"),
        ErrorKind::NdimMismatch {
            expected,
            found,
            shape,
            remedy,
        } => {
            let expected = ndim_text(*expected);
            write!(
                f,
                " {path:?} with {expected}: it has {found}, shape {shape:?}; {remedy}"
            )
        }
        ErrorKind::Misaligned {
            dtype,
            offset: Some(offset),
            align,
            remedy,
        } => write!(
            f,
            " {path:?} as {dtype}: its data starts at byte {offset}, not at a multiple of {align}; {remedy}"
        ),
        ErrorKind::Truncated { expected, found } => write!(
            f,
            " {path:?}: its array ends at byte {expected}, but the file has {found}; it was cut or never finished, take it \
             from a copy, or open the rows that are there with `Options::allow_truncated`"
        ),
        ErrorKind::RowsOutOfBounds { start, end, rows } => {
            write!(f, " rows {start}..{end} of {path:?}: it has {rows}")
        }
        ErrorKind::Checksums { checksums, cause } => {
            write!(f, " {path:?} by {checksums:?}: {cause}")
        }
        ErrorKind::Header { cause } => write!(f, " {path:?}: {cause}{}", raw_text(cause)),
        kind => write!(f, " {path:?}: {kind}"),
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
