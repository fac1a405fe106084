//! Memory-mapped N-dimensional arrays on disk.

#[allow(dead_code)]
mod dtype;
mod error;
#[allow(dead_code)]
mod header;
mod shape;

pub use dtype::{ByteOrder, DType, Field, Kind, TimeUnit};
pub use error::{DescrError, HeaderError};
pub use shape::Order;
