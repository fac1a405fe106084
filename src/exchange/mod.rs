//! Leaving the file: an array as bytes, over a stream, in an archive, and back as it was.
//!
//! An array leaves as NPY, which states its own type and length, or as the bare bytes of its
//! elements. Compression is a stream wrapped around it, never a format of its own. Incoming bytes
//! are not trusted: no number that they only claim sizes an allocation.

mod bytes;
#[cfg(feature = "npz")]
mod npz;
mod receive;
#[cfg(unix)]
mod send;
mod stream;

pub use bytes::{MemoryOrder, from_bytes, from_bytes_as, from_file, to_bytes, to_file, view_bytes};
#[cfg(feature = "npz")]
pub use npz::{Npz, NpzMember, NpzWriter};
pub use stream::{read_npy, write_npy};
