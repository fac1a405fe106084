//! Stands in for the guard on systems that report a fault in other ways.

use std::fs::File;
use std::io;

/// The guard of one map. No value of it exists.
#[derive(Debug)]
pub(crate) enum Guard {}

impl Guard {
    pub(crate) fn new() -> io::Result<Guard> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// # Safety
    ///
    /// None: this cannot be called.
    #[allow(unsafe_code, reason = "its like on Linux asks for something")]
    pub(crate) unsafe fn protect(&mut self, _: &[u8], _: bool, _: &File, _: u64) {
        match *self {}
    }

    pub(crate) fn rest(&mut self) {
        match *self {}
    }

    pub(crate) fn lift(&mut self) {
        match *self {}
    }

    pub(crate) fn has_faulted(&self) -> bool {
        match *self {}
    }

    pub(crate) fn mark(&self) {
        match *self {}
    }
}
