//! Arrays in files: opening, creating, resizing, and the typed and untyped faces of an open one.

mod any;
mod append;
mod create;
mod file;
mod mode;
mod open;
mod options;
mod resize;
mod typed;
mod write;

pub use any::{AnyStore, DowncastError};
pub use append::Appender;
pub use mode::{AccessMode, CopyOnWrite, Mode, ReadOnly, ReadWrite, Writable};
pub use options::Options;
pub use typed::Store;
