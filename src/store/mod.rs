//! Arrays in files: opening, creating, resizing, and the typed and untyped faces of an open one.

mod any;
mod append;
#[cfg(feature = "npz")]
mod archive;
mod create;
mod file;
mod fill;
mod mode;
mod open;
mod options;
mod pack;
mod resize;
mod typed;
mod write;

#[cfg(feature = "npz")]
pub(crate) use archive::{NewFile, create_nameless, open_within};
pub(crate) use file::{Array, ArrayFile, Lent, Poison};
pub(crate) use fill::{Target, create_filled, create_reserved};
pub(crate) use open::open;
#[cfg(feature = "npz")]
pub(crate) use open::{absolute, lock};
pub(crate) use pack::{for_each_piece, memory_order, pack, scatter};
pub(crate) use typed::{dimension, dtype_mismatch};

pub use any::{AnyStore, DowncastError};
pub use append::Appender;
pub use mode::{AccessMode, CopyOnWrite, Mode, ReadOnly, ReadWrite, Writable};
pub use options::Options;
pub use typed::Store;
