//! The promises of the crate, through its public face: one binary, one module a topic.

mod alignment;
mod allocations;
mod append;
mod assemble;
#[cfg(target_os = "linux")]
mod beside;
#[cfg(target_os = "linux")]
mod beside_readers;
mod blocks;
mod cast;
mod closures;
mod create;
mod create_with;
#[cfg(target_os = "linux")]
mod crowd;
mod cut;
mod describe;
mod dot;
mod elements;
mod error;
mod exchange;
#[cfg(target_os = "linux")]
mod follow;
#[cfg(unix)]
mod foreign;
#[cfg(unix)]
mod forked;
mod fused;
mod gather;
#[cfg(target_os = "linux")]
mod guard;
mod hostile;
#[cfg(unix)]
mod kills;
mod locks;
mod map;
mod mapped;
mod messages;
mod modes;
mod moves;
mod nan;
#[cfg(feature = "npz")]
mod npz;
#[cfg(target_os = "linux")]
mod own_lock;
#[cfg(unix)]
mod parties;
mod parts;
#[cfg(unix)]
mod paths;
#[cfg(unix)]
mod poison;
mod quantile;
#[cfg(unix)]
mod raw;
mod reduce;
mod regions;
#[cfg(feature = "npz")]
mod remedies;
#[cfg(unix)]
mod removed;
#[cfg(unix)]
mod replace;
mod resize;
#[cfg(unix)]
mod salvage;
mod stream;
#[cfg(unix)]
mod stress;
mod support;
mod support_numpy;
mod table;
#[cfg(unix)]
mod tails;
#[cfg(unix)]
mod take_over;
mod targets;
#[cfg(unix)]
mod untyped;
mod vectors;
mod verify;
#[cfg(unix)]
#[allow(dead_code, reason = "the rigs use all of it")]
mod worker;
#[cfg(unix)]
mod workload;
