//! NumPy's archives of arrays: a zip file with a member `NAME.npy` for each.
//!
//! The crate `zip` handles the container; here members are arrays. A stored member is an NPY inside
//! another file, and is opened in place.

mod read;
mod reader;
mod write;

pub use read::{Npz, NpzMember};
pub use write::NpzWriter;

/// The suffix that the archive adds to the name of an array.
const SUFFIX: &str = ".npy";
