//! How does ndstore do beside NumPy, Dask, plain maps, plain reads and `cp`, and how far is it from what the machine allows?
//!
//! ```text
//! cargo bench --bench compare --all-features -- [WORDS]
//! ```
//!
//! Run it as root on an otherwise idle machine; `python3` is to have NumPy, Dask (`dask[array]`) and npy-append-array. What
//! is left out otherwise is listed. The rows whose titles have all the words are measured: `-- "sum f4 warm"`, `-- gather`,
//! `-- peak`. `NDSTORE_BENCH_MIB` is the size of the arrays, `NDSTORE_BENCH_PAIRS` the least number of rounds. With
//! `-- --test` every row runs once over a MiB, in one of its states, and only has to come to the same results on all sides.
//!
//! **What is timed.** Each figure comes from a process of its own, which does the job once: from the opening of the files to
//! their closing, all threads and maps included, with the new file on the disk (`fsync`, `msync`). The start of the process
//! and Python's imports are left out on every side.
//!
//! **States.** *Warm*: the file is in the page cache. *Cold*: it is not, which `mincore` confirms before each sample; the
//! disk reads ahead as many KiB as the title says, and as many as before when the run ends, however it ends. *1/4*: the
//! process is in a control group that may use a quarter of the array's size, page cache included.
//!
//! **What is compared.** All sides are tried, the fastest rival and the fastest *limit* stay: limits are a few bare loops that
//! do as much reading, arithmetic and writing as the job needs. These two, ndstore, and ndstore once more run in rounds,
//! forwards and backwards in turn. A ratio is the median of ndstore's time over the other's, round by round, and in
//! parentheses its 95 % interval (order statistics, so no distribution is assumed). Rounds go on while an interval contains
//! a bar, up to three times their least number. A bar is missed if the interval lies above it.

mod common;
#[cfg(target_os = "linux")]
#[path = "compare/mod.rs"]
mod compare;

#[cfg(target_os = "linux")]
fn main() {
    compare::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("needs Linux: here no file can be dropped from the page cache");
}
