//! How does ndstore do beside NumPy, npy-append-array, ndarray-npy, plain reads and writes, bare `memmap2` and `cp`?
//!
//! `cargo bench --bench compare --all-features`, as root where python3 has NumPy and npy-append-array; what is left out
//! otherwise is listed. One table in Markdown goes to standard output, each comparison to standard error as it is made. A
//! filter picks jobs: `-- scan`, `-- "scan, warm"`, `-- peak`.
//!
//! Everybody reads and writes the same elements and, where files are written, is done when they are on the disk: each side
//! that writes ends with `fdatasync`, `fsync` or `msync`. Cold means that the files were dropped from the page cache before
//! each sample. With a quarter of the memory, the sides run in a control group that limits them, page cache included, to a
//! quarter of the array; what they read is dropped from the page cache first, for pages that are there cost nothing.
//!
//! Each bar is the one that was set for ndstore before it was measured, as the most that it may take compared to that side.

mod common;
#[cfg(target_os = "linux")]
#[path = "compare/mod.rs"]
mod jobs;

#[cfg(target_os = "linux")]
fn main() {
    jobs::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("needs Linux: here no file can be dropped from the page cache");
}
