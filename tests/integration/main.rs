//! The promises of the crate, through its public face: one binary, one module a topic.

mod create;
mod locks;
mod modes;
mod resize;
mod support;
mod table;
mod vectors;
