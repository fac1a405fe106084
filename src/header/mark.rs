//! The mark of a tail: one byte of a header that says whose the bytes behind the array are.
//!
//! A header ends with `, }`. While the comma is a blank, whatever follows the array is rows of an
//! append that was never published, and may be cut off. With the comma it may be anybody's. Both
//! are the same dict, so every reader of NPY files reads both; and the byte changes by itself, so
//! no reader meets half of it.

use super::{BACK, Claim, Header, dict, native_dict, trim_blanks};
use crate::shape::Order;

/// What stands behind the shape of a marked header.
const MARKED_BACK: &str = "  }";

/// Where the mark of a header has its place, and whether it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Where in the file.
    pub(crate) offset: u64,
    pub(crate) is_set: bool,
}

impl Mark {
    /// The byte that stands there in a header that is marked, or is not.
    pub(crate) fn byte(is_set: bool) -> u8 {
        match is_set {
            true => MARKED_BACK.as_bytes()[0],
            false => BACK.as_bytes()[0],
        }
    }

    /// The mark of a header: `None` of one that is not spelled as NumPy or this crate spells it.
    /// Then a comma that is missing says nothing.
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
