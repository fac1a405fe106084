//! Memory-mapped N-dimensional arrays on disk.

mod dtype;
mod element;
mod error;
mod header;
mod mapping;
mod shape;
mod store;
mod sys;

pub use dtype::{ByteOrder, DType, Field, Kind, TimeUnit};
pub use element::{Bool8, Element};
pub use error::{DescrError, Error, HeaderError, LockHolder, Result};
pub use mapping::Advice;
pub use shape::Order;
pub use store::{
    AccessMode, AnyStore, CopyOnWrite, DowncastError, Mode, Options, ReadOnly, ReadWrite, Store,
    Writable,
};
pub use sys::LockPolicy;
