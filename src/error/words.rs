//! Numbers, ranges and shapes as parts of a message.

use std::ops::Range;

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
