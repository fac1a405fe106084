//! Leaving the file: an array as bytes, over a stream, in an archive, and back as it was.
//!
//! What leaves is NPY, which says itself what it is and where it ends, or the bare bytes of the elements. Compression is
//! a stream to wrap around it, never a format of its own. What comes in is not trusted: nothing is allocated from a
//! number that it only claims.

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
