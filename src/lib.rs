//! Memory-mapped N-dimensional arrays on disk.

mod dtype;
mod error;
mod header;
mod shape;

pub use dtype::{ByteOrder, DType, Field, Kind};
pub use error::{DescrError, HeaderError};
pub use shape::Order;
