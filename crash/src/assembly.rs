//! The array that is assembled slab by slab, and what its file without a name tells of it.
//!
//! It is read by plain calls, as docs/format.md says. Whoever assembles it fills a slab with the same elements as anybody else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ndarray::Array2;

use crate::foreign::bytes;
use crate::script::{TARGET, elements};

/// The file that becomes [`TARGET`].
pub(crate) const DRAFT: &str = "array.npy.part";

pub(crate) const SHAPE: (usize, usize) = (7, 60);
pub(crate) const SLAB: usize = 2;
pub(crate) const SLABS: usize = SHAPE.0.div_ceil(SLAB);

/// No step has this number.
const NUMBER: usize = 0xfff0;

/// Where the elements start.
const HEADER: usize = 4096;

/// What stands between elements and marks.
const HEAD: usize = 24;

pub(crate) fn array() -> Array2<u64> {
    elements(NUMBER, SHAPE)
}

/// The draft beside the array at `target`.
pub(crate) fn draft(target: &Path) -> PathBuf {
    debug_assert!(target.ends_with(TARGET));
    target.with_file_name(DRAFT)
}

/// Whether a file of this name is the draft, or what becomes it.
pub(crate) fn is_of_draft(name: &str) -> bool {
    name.contains(DRAFT)
}

/// Which slabs are marked in a draft of these bytes. Each of them must be whole.
pub(crate) fn marked(draft: &[u8]) -> Result<BTreeSet<usize>, String> {
    let whole = bytes(&array());
    let (end, row) = (HEADER + whole.len(), 8 * SHAPE.1);
    if draft.len() != end && draft.len() != end + HEAD + SLABS {
        return Err(format!("the draft has {} bytes", draft.len()));
    }
    if !draft.starts_with(b"\x93NUMPY") {
        return Err("the draft has no header".into());
    }
    // One that has no marks any more is about to get its name.
    let is_marked = |slab: &usize| draft.get(end + HEAD + slab).is_none_or(|&mark| mark == 1);
    let marked: BTreeSet<_> = (0..SLABS).filter(is_marked).collect();
    for slab in &marked {
        let rows = slab * SLAB * row..whole.len().min((slab + 1) * SLAB * row);
        if draft[HEADER..end][rows.clone()] != whole[rows] {
            return Err(format!("slab {slab} is marked and not whole"));
        }
    }
    Ok(marked)
}
