//! Memory-mapped N-dimensional arrays on disk: what `np.memmap` is to Python, made safe, durable
//! and fast for Rust.
//!
//! A [`Store`] is an array in a file. Any region of it is read and written by [`ndarray`]'s slices;
//! [mapped](Store::map), it is an [`ndarray`] view. The file is an NPY file, so NumPy opens what
//! this crate writes, and this crate opens what NumPy writes. Opening takes microseconds, whatever
//! the size. The array may be many times larger than memory.
//!
//! **No safe call of this crate can cause undefined behaviour, whatever is in a file and whatever
//! anybody does to it meanwhile.**
//!
//! ```
//! use ndarray::prelude::*;
//! use ndstore::Store;
//! # let dir = tempfile::tempdir()?;
//! # std::env::set_current_dir(&dir)?;
//!
//! let arr = array![1.0, 2.0, 3.0, 4.0];
//! let fp = Store::<f64, _>::create_from("temp.dat", &arr)?; // safe, durable
//! let part = fp.read(s![1..3])?; // safe: a copy
//! // SAFETY: nobody writes to temp.dat or cuts it without its lock while it is mapped.
//! let mut map = unsafe { fp.map()? };
//! map.view_mut()[0] = 5.0; // in place
//! map.flush()?;
//! # assert_eq!((part, map.view().sum()), (array![2.0, 3.0], 14.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A tour
//!
//! The [cookbook] has ten whole programs, and [`Store`] an index of what it can do.
//!
//! **Open** an array with [`Store::open`] (NumPy's `r`), [`Store::open_rw`] (`r+`) or
//! [`Store::open_cow`] (`c`: changes stay in memory, in a [`CopyOnWrite`]). The element type and
//! the rank are part of the store's type, and a file of another type or rank is refused with an
//! [`Error`] that names both. [`AnyStore`] opens a file of any dtype and rank, and becomes a typed
//! store by [`downcast`](AnyStore::downcast).
//!
//! **Create** with [`Store::create`] (`w+`: zeros), [`Store::create_new`] (never over an old file)
//! or [`Store::create_from`] (from an array, by bulk writes). Shapes are ndarray's: `(3, 4)`, or
//! `(3, 4).f()` for Fortran order. The new file appears under its name whole and durable, or not at
//! all.
//!
//! **Work** with [`read`](Store::read) and [`write`](Store::write), which take ndarray's slices, or
//! one element at a time with [`get`](Store::get) and [`set`](Store::set). [`Store::map`] makes a
//! [`Mapped`], whose [`view`](Mapped::view) and [`view_mut`](Mapped::view_mut) are plain ndarray
//! views, zero-copy. [`flush`](Store::flush) returns when every change is on the disk.
//!
//! **Elements** are numbers, strings, times and records: [`Element`] lists the types. A struct
//! becomes one with [`record!`]; [`Be`] and [`Le`] read the other byte order, and data that are not
//! aligned, in place.
//!
//! **Grow** along the slowest axis in place with [`append`](Store::append), row by row with
//! [`appender`](Store::appender), and cut with [`truncate`](Store::truncate). **Resize** any axes
//! by a rewrite with [`resize`](Store::resize) or [`resize_with`](Store::resize_with): elements
//! keep their index.
//!
//! **Beyond memory**, [`out_of_core`](Store::out_of_core) has blocks, gathers, transposes, maps and
//! reductions that read and write within a memory budget, and never through the map.
//! [`create_with`](Store::create_with) makes new arrays block by block.
//!
//! **Leave the file** and come back: as bytes with [`to_bytes`] and [`from_bytes`], or in
//! headerless files with [`to_file`] and [`from_file`]; over a stream with [`Store::send`],
//! [`Store::receive`], [`write_npy`] and [`read_npy`], compressed by any crate that wraps the
//! stream; in NumPy's archives with `Npz` (feature `npz`).
//!
//! **Verify** years later: [`write_checksums`](Store::write_checksums) writes a checksum of each
//! block to a file beside the array, and [`verify`](Store::verify) names the bytes, and the rows,
//! that have changed since.
//!
//! **Everything else** is in [`Options`]: waiting for a lock, headerless files, a compact header,
//! sparse files; and in [`MapOptions`]: the kernel's read-ahead, and a guard that turns the SIGBUS
//! of a mapped file that somebody cut into an error.
//!
//! # Safety
//!
//! A [`Store`] is sound whatever anybody does to its file: it reads and writes by system calls, and
//! trusts nothing that a file says. Stores take the file's lock, shared to read and exclusive to
//! write, so two of them never get in each other's way, in one process or in many. A view is a
//! reference into a map of the file, and programs that ignore the lock (NumPy, `cp`, `std::fs`) can
//! change the memory behind it. [`Store::map`] is therefore `unsafe`, and states what the caller
//! promises.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `half` | yes | `half::f16` as an element |
//! | `num-complex` | yes | `Complex<f32>` and `Complex<f64>` as elements |
//! | `npz` | no | `Npz`, `NpzWriter`: NumPy's archives of arrays |
//! | `rayon` | no | out-of-core work on all cores, by the crate `rayon` |
//!
//! # Platforms
//!
//! The crate is measured and proven on Linux. Elsewhere the same code does with what the platform
//! has. Without inodes a replaced file is not noticed. [`MapOptions::guard`] is refused. Without
//! `fallocate`, blocks are reserved by writing zeros. Without `sync_file_range`,
//! [`flush_async`](Store::flush_async) is `msync(MS_ASYNC)`. The system alone decides what stays in
//! the page cache. The crate compiles for macOS, FreeBSD and Windows, and for Linux of 32 bits or
//! another byte order; no test was run there yet.

#[cfg(any(doc, doctest))]
pub mod cookbook;
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
    ChecksumError, DescrError, Error, ErrorKind, HeaderError, LockHold, LockHolder, Result,
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
    Batches, Block, BlockArray, Blocks, Chunk, Description, FloatNumber, FromNumber, Number,
    OutOfCore, OutOfCoreAny, OutOfCoreMut, Progress, RealNumber, Zip,
};
pub use shape::Order;
pub use store::{
    AccessMode, AnyFollow, AnyMapped, AnyStore, Append, Appender, Assembly, CopyOnWrite, Damage,
    DowncastError, Follow, Growable, HeaderKind, Inspection, MapOptions, Mappable, Mapped, Mode,
    News, Opening, Options, ReadOnly, ReadWrite, Refreshable, Rows, Shared, SharedRead, Slab,
    StopFollow, Store, Verification, Watch, Writable, inspect,
};
pub use sys::LockPolicy;

pub use bytemuck;
pub use ndarray;

/// The names that [`record!`] expands to. It asserts `Pod` by their answers, and names of the
/// calling crate could stand for anything.
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

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The programs of docs/in-your-program.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/in-your-program.md")]
struct InYourProgram;

/// The example of the page about errors, as a test.
#[cfg(doctest)]
#[doc = include_str!("../docs/errors.md")]
struct Errors;
