//! Memory-mapped N-dimensional arrays on disk: what `np.memmap` is to Python, made safe, durable and fast for Rust.
//!
//! A [`Store`] is an array in a file, as an [`ndarray`] view over a map of it. The file is an NPY file, so NumPy opens
//! what this crate writes, and this crate opens what NumPy writes. Opening takes microseconds whatever the size, and the
//! array may be many times larger than memory: only what is touched is ever read.
//!
//! ```
//! use ndarray::prelude::*;
//! use ndstore::Store;
//! # let dir = tempfile::tempdir()?;
//! # std::env::set_current_dir(&dir)?;
//!
//! let arr = array![1.0, 2.0, 3.0, 4.0];
//! let mut fp = Store::<f64, _>::create("temp.dat", arr.dim())?; // np.memmap('temp.dat', mode='w+', ...)
//! fp.view_mut().assign(&arr); // fp[:] = arr[:]
//! fp.flush()?; // fp.flush()
//! drop(fp);
//! let fp = Store::<f64, Ix1>::open("temp.dat")?; // mode='r'
//! assert_eq!(fp.view(), arr);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A tour
//!
//! **Open** what is there with [`Store::open`] (NumPy's `r`), [`Store::open_rw`] (`r+`) or [`Store::open_cow`] (`c`:
//! changes stay in memory). The element type and the rank are part of the store's type, and a file that holds anything
//! else is refused with an [`Error`] that says what it holds. [`AnyStore`] opens a file of any dtype and rank, and
//! becomes a typed store by [`downcast`](AnyStore::downcast).
//!
//! **Create** with [`Store::create`] (`w+`: zeros), [`Store::create_new`] (never over an old file) or
//! [`Store::create_from`] (from an array, by bulk writes). Shapes are ndarray's: `(3, 4)`, or `(3, 4).f()` for Fortran
//! order. The new file appears under its name whole and durable, or not at all.
//!
//! **Work** with [`view`](Store::view) and [`view_mut`](Store::view_mut): plain ndarray views, zero-copy.
//! [`flush`](Store::flush) returns when every change is on the disk.
//!
//! **Elements** are numbers, strings, times and records: [`Element`] lists the types. A struct becomes one with
//! [`record!`]; [`Be`] and [`Le`] read the other byte order, and data that are not aligned, in place.
//!
//! **Grow** along the slowest axis in place with [`append`](Store::append), row by row with [`appender`](Store::appender), and
//! cut with [`truncate`](Store::truncate). **Resize** any axes by a rewrite with [`resize`](Store::resize) or
//! [`resize_with`](Store::resize_with): elements keep their index.
//!
//! **Beyond memory**, [`out_of_core`](Store::out_of_core) has blocks, gathers, transposes, maps and reductions that never go
//! through the map, and keep to a budget; [`create_with`](Store::create_with) makes new arrays that way.
//!
//! **Leave the file** and come back: as bytes with [`to_bytes`] and [`from_bytes`], or in headerless files with [`to_file`]
//! and [`from_file`]; over a stream with [`Store::send`], [`Store::receive`], [`write_npy`] and [`read_npy`], compressed by
//! whatever wraps the stream; in NumPy's archives with `Npz` (feature `npz`).
//!
//! **Verify** years later: [`write_checksums`](Store::write_checksums) sums the array block by block in a file beside it, and
//! [`verify`](Store::verify) says which bytes, and which rows, are not what they were.
//!
//! **Everything else** is in [`Options`]: wait for a lock, headerless files, a compact header, sparse files, the kernel's
//! read-ahead, and a guard that makes an error of the SIGBUS when somebody cuts the file.
//!
//! # Safety
//!
//! The whole face is safe Rust over one assumption, said on [`Store`]: nobody changes or truncates the file of a living
//! store without taking its lock. Stores take it themselves, shared to read and exclusive to write, so two of them never
//! get in each other's way, in one process or in many. What is in a file is never trusted.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `half` | yes | `half::f16` as an element |
//! | `num-complex` | yes | `Complex<f32>` and `Complex<f64>` as elements |
//! | `flate2` | no | the crate `flate2` with its fastest backend, for zlib and gzip streams |
//! | `zstd` | no | the crate `zstd`, for Zstandard streams |
//! | `npz` | no | `Npz`, `NpzWriter`: NumPy's archives of arrays |
//! | `rayon` | no | out-of-core work on all cores, by the crate `rayon` |
//!
//! # Platforms
//!
//! Linux is where it is measured and proven. Elsewhere the same code runs with what the platform has: without inodes a
//! replaced file is not noticed, [`Options::guard`] is refused, without `fallocate` blocks are reserved by writing zeros,
//! without `sync_file_range` [`flush_async`](Store::flush_async) is `msync(MS_ASYNC)`, and it is left to the
//! system what stays in the page cache. It compiles for macOS, FreeBSD and Windows, and for Linux of 32 bits or another byte
//! order; no test was run there yet.

mod dtype;
mod element;
mod error;
mod exchange;
mod header;
mod mapping;
mod out_of_core;
mod shape;
mod store;
mod sys;

pub use dtype::{ByteOrder, DType, Field, Kind, TimeUnit};
pub use element::{
    AnyElement, AsType, Be, Bool8, ByteOrdered, Bytes, Datetime64, Element, Le, Pad, RecordField,
    Text, Timedelta64, Void, unit,
};
pub use error::{
    ChecksumError, DescrError, Error, ExchangeError, HeaderError, LockHolder, NpzError, Result,
    TextError, TimeError,
};
pub use exchange::{
    MemoryOrder, from_bytes, from_bytes_as, from_file, read_npy, to_bytes, to_file, view_bytes,
    write_npy,
};
#[cfg(feature = "npz")]
pub use exchange::{Npz, NpzMember, NpzWriter};
pub use mapping::Advice;
pub use out_of_core::{
    Block, BlockArray, Blocks, Chunk, Number, OutOfCore, OutOfCoreAny, OutOfCoreMut, Progress,
    RealNumber, Zip,
};
pub use shape::Order;
pub use store::{
    AccessMode, AnyStore, Appender, CopyOnWrite, Damage, DowncastError, Mode, Options, ReadOnly,
    ReadWrite, Store, Verification, Writable,
};
pub use sys::LockPolicy;

pub use bytemuck;
pub use ndarray;

/// What [`record!`] expands to. Names of the crate that calls it could stand for anything, and `Pod` is asserted by their
/// answers.
#[doc(hidden)]
pub mod __private {
    pub use std::clone::Clone;
    pub use std::marker::Copy;
    pub use std::mem::{offset_of, size_of};
    pub use std::sync::OnceLock;
    pub use std::{assert, concat, stringify};

    pub use bytemuck::{Pod, Zeroable};

    pub use crate::element::{field, field_name, record_dtype};
}
#[cfg(feature = "flate2")]
pub use flate2;
#[cfg(feature = "zstd")]
pub use zstd;
