//! The system calls of a store: files, locks, blocks, copies and durable replacement.
//!
//! These functions return `io::Error` and know nothing of arrays; the rooms above add the path and
//! the operation. Linux is the measured and proven platform; elsewhere the portable half of each
//! function runs, as its docs say.

mod allocate;
mod attributes;
mod cache;
mod copy;
#[cfg(unix)]
mod directory;
#[cfg(not(unix))]
#[path = "no_directory.rs"]
mod directory;
mod draft;
mod file;
#[allow(unsafe_code)]
mod fork;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod guard;
#[cfg(not(target_os = "linux"))]
#[path = "no_guard.rs"]
mod guard;
mod held;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod linux;
mod lock;
mod memory;
mod notify;
pub(crate) mod ranges;
mod retry;
#[cfg(unix)]
mod send;
mod sync;
mod turn;

#[cfg(target_os = "linux")]
pub(crate) use allocate::unshare;
pub(crate) use allocate::{
    allocate, blocks, copies_on_write, file_size_limit, free_space, has_reserve, on_btrfs, reserve,
    total_free, write_in_place, write_zeros,
};
pub(crate) use attributes::{Heir, preserve_attributes};
pub(crate) use cache::{drop_cached, is_cached, is_hole, prefetch, read_cached};
pub(crate) use copy::{clone_file, copy_range, data_ranges};
pub(crate) use directory::Directory;
pub(crate) use draft::{Draft, Unpublished, clear_drafts, sync_name};
pub(crate) use file::{
    FileId, MAX_ROUNDS, absolute, kind_of_special, names, names_of, open as open_file, read_at,
    reopened, restless, write_all_at,
};
#[cfg(feature = "npz")]
pub(crate) use fork::Maker;
pub(crate) use guard::Guard;
pub(crate) use held::claims_some;
pub use lock::LockPolicy;
pub(crate) use lock::{LockedFile, NotLocked, Patience, Pauses};
pub(crate) use memory::{available_memory, outgrows_cache, zeroed_vec};
pub(crate) use notify::{Stop, Watcher};
pub(crate) use retry::retry;
#[cfg(unix)]
pub(crate) use send::{send_all, send_file};
pub(crate) use sync::{
    finish_writeback, start_writeback, sync_all, sync_data, touch, wait_for_writeback,
};
pub(crate) use turn::{TURNS_END, Turn};
