//! The message of an `Error`: what was asked, of which file, what stood in the way, and the way out.
//!
//! The words of most kinds stand with them in `kind.rs`. Here are those that a file has of its own, because its path takes part in
//! the sentence.

use std::fmt::{self, Formatter};
use std::ops::Range;
use std::path::Path;

use super::kind::ErrorKind;
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
             from a copy"
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

/// Rows in parentheses, as a part of a message.
pub(super) fn rows_text(rows: Option<&Range<usize>>) -> String {
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

pub(super) fn ndim_text(ndim: usize) -> String {
    let s = if ndim == 1 { "" } else { "s" };
    format!("{ndim} dimension{s}")
}

/// Two shapes that differ, and their ranks if that is why.
pub(super) fn shapes_text(expected: &[usize], found: &[usize]) -> String {
    if expected.len() == found.len() {
        return format!("expected shape {expected:?}, found {found:?}");
    }
    let [expected_ndim, found_ndim] = [expected, found].map(|shape| ndim_text(shape.len()));
    format!("expected shape {expected:?} of {expected_ndim}, found {found:?} of {found_ndim}")
}

pub(super) fn fault_text(expected: u64, found: u64) -> String {
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

pub(super) fn free_text(free: Option<u64>) -> String {
    free.map_or_else(String::new, |free| {
        format!(" and {free} are free for this user")
    })
}

pub(super) fn limit_text(limit: Option<u64>) -> String {
    match limit {
        Some(limit) => format!(", {limit} bytes for this process; raise it with `ulimit -f`"),
        None => " of its file system; choose another file system".to_owned(),
    }
}
