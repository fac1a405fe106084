//! Tests that need root: disks that are full, fail or lose their power, shared blocks, the system
//! calls of a commit, another user in the same directory, and many processes at one name.
//!
//! `cargo test` ignores all rigs. They need root, loop devices, FUSE and the programs that `.ci/run`
//! installs for them, and fail if something is missing:
//!
//! ```sh
//! sudo -E cargo test --test rigs -- --ignored
//! ```

mod budgets;
mod disk;
mod full_disk;
mod group;
mod guard;
#[path = "../integration/mapped.rs"]
mod mapped;
mod memory_limit;
mod namespaces;
mod no_reserve;
mod odd_places;
#[path = "../integration/parties.rs"]
mod parties;
mod power_cuts;
mod reflink;
mod replacement;
#[cfg(feature = "npz")]
mod shared_directory;
#[path = "../integration/support.rs"]
#[allow(dead_code, reason = "the rigs use some of it")]
mod support;
mod system_calls;
mod threads;
mod torn_headers;
mod two_names;
mod ways_out;
#[path = "../integration/worker.rs"]
#[allow(dead_code, reason = "the rigs use some of it")]
mod worker;
#[path = "../integration/workload.rs"]
#[allow(dead_code, reason = "the rigs use some of it")]
mod workload;
