//! Arrays in files: opening, creating, resizing, and the typed and untyped faces of an open one.

mod any;
mod append;
#[cfg(feature = "npz")]
mod archive;
mod array;
mod assemble;
mod beside;
mod claims;
mod cow;
mod create;
mod describe;
mod downgrade;
mod file;
mod fill;
mod fit;
mod follow;
mod head;
mod inspect;
mod layout;
mod lock;
mod map_options;
mod mapped;
mod mode;
mod new_file;
mod open;
mod options;
mod pack;
mod place;
mod read_write;
mod region;
mod resize;
mod salvage;
mod sums;
mod tail;
mod typed;
mod untyped;
mod verbs;
mod verify;
mod write;

#[cfg(feature = "npz")]
pub(crate) use archive::{create_nameless, open_within};
pub(crate) use array::{Array, check_size};
pub(crate) use file::ArrayFile;
pub(crate) use fill::{Filler, Target, create_filled, create_reserved};
pub(crate) use fit::{check_fit, dimension, dtype_mismatch};
pub(crate) use layout::Layout;
#[cfg(feature = "npz")]
pub(crate) use lock::{absolute, lock};
pub(crate) use mode::Opened;
#[cfg(feature = "npz")]
pub(crate) use new_file::NewFile;
pub(crate) use open::open;
pub(crate) use pack::{for_each_piece, memory_order, pack, scatter};
pub(crate) use region::Lattice;

pub use any::{AnyStore, DowncastError};
pub use append::Appender;
pub use assemble::{Assembly, Slab};
pub use beside::Opening;
pub use cow::CopyOnWrite;
pub use follow::{AnyFollow, Follow, News, StopFollow};
pub use inspect::{HeaderKind, Inspection, inspect};
pub use map_options::MapOptions;
pub use mapped::{AnyMapped, Mapped};
pub use mode::{
    AccessMode, Append, Growable, Mappable, Mode, ReadOnly, ReadWrite, Refreshable, Rows, Shared,
    SharedRead, Watch, Writable,
};
pub use options::Options;
pub use typed::Store;
pub use verify::{Damage, Verification};
