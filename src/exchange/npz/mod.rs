//! NumPy's archives of arrays: a zip file with a member `NAME.npy` for each.
//!
//! The container is the business of the crate `zip`; here members are arrays. One that is stored is an NPY inside another
//! file, and is mapped in place.

mod read;
mod source;
mod write;

pub use read::{Npz, NpzMember};
pub use write::NpzWriter;

/// What the name of an array has behind it in the archive.
const SUFFIX: &str = ".npy";
