//! The one error of the crate, and the refusals of the pure rooms that it wraps.

mod header;

pub use header::{DescrError, HeaderError};
