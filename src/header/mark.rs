//! The mark of a tail: one byte of a header that says whether the bytes behind the array are
//! unpublished rows.
//!
//! A header ends with `, }`. While a blank replaces the comma, the bytes behind the array are rows
//! of an append that was never published, and may be cut off. With the comma they may be anybody's.
//! Both are the same dict, so every reader of NPY files reads both; and only this byte changes, so
//! no reader meets half a change.

use super::{BACK, Claim, Header, dict, native_dict, trim_blanks};
use crate::shape::Order;

/// The text behind the shape of a marked header.
const MARKED_BACK: &str = "  }";

/// The place of a header's mark, and whether it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The offset in the file.
    pub(crate) offset: u64,
    pub(crate) is_set: bool,
}

impl Mark {
    /// The byte of a mark that is set, or is not.
    pub(crate) fn byte(is_set: bool) -> u8 {
        match is_set {
            true => MARKED_BACK.as_bytes()[0],
            false => BACK.as_bytes()[0],
        }
    }

    /// The mark of a header. `None` if neither NumPy nor this crate spells it so: a missing comma
    /// then has no meaning.
    pub(crate) fn find(header: &[u8]) -> Option<Mark> {
        let decoded = Header::decode(header, usize::MAX).ok()?;
        let Claim { version, start, .. } = Claim::read(header).ok()?;
        let text = trim_blanks(&header[start..]);
        let (front, back) = text.split_at_checked(text.len().checked_sub(BACK.len())?)?;
        let is_set = match back {
            back if back == BACK.as_bytes() => false,
            back if back == MARKED_BACK.as_bytes() => true,
            _ => return None,
        };
        let fortran = decoded.order == Order::F;
        let spelled = [
            native_dict(&decoded.dtype, fortran, &decoded.shape),
            dict(&decoded.dtype, fortran, &decoded.shape, 0),
        ];
        let is_spelled = spelled.into_iter().any(|dict| {
            encode(version, dict).is_some_and(|dict| dict[..dict.len() - BACK.len()] == *front)
        });
        is_spelled.then_some(Mark {
            offset: (start + front.len()) as u64,
            is_set,
        })
    }

    /// The header with the mark set, or not.
    pub(super) fn put(self, header: &mut [u8], is_set: bool) {
        header[self.offset as usize] = Mark::byte(is_set);
    }
}

/// The header as it is without a mark.
pub(crate) fn unmarked(mut header: Vec<u8>) -> Vec<u8> {
    if let Some(mark) = Mark::find(&header) {
        mark.put(&mut header, false);
    }
    header
}

/// The bytes of a text in a header of this version, if it can have them.
pub(super) fn encode(version: (u8, u8), text: String) -> Option<Vec<u8>> {
    match version {
        (3, 0) => Some(text.into_bytes()),
        // An escape may stand for a character that Latin-1 lacks.
        _ => text.chars().map(|char| u8::try_from(char).ok()).collect(),
    }
}
