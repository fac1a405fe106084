//! The promises of the crate, through its public face: one binary, one module a topic.

mod allocations;
mod append;
mod blocks;
mod create;
mod elements;
mod exchange;
mod locks;
mod map;
mod modes;
#[cfg(feature = "npz")]
mod npz;
#[cfg(unix)]
mod paths;
#[cfg(unix)]
mod poison;
mod reduce;
mod resize;
mod stream;
mod support;
mod support_numpy;
mod table;
mod vectors;
