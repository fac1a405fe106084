//! `ndstore._ndstore`: the crate for Python, by descriptors, descrs and bytes.
//!
//! Rust opens, checks, claims and writes; Python maps. Nothing here knows NumPy: arrays come as
//! buffers of bytes and go as bytes with a descr and a shape. Every call that may wait lets other
//! threads of Python run.

mod error;
mod file;
mod follow;
mod npz;
mod options;

use pyo3::prelude::*;

/// Opens, makes, grows and checks files. The package `ndstore` is the face of it.
#[pymodule(gil_used = false)]
mod _ndstore {
    #[pymodule_export]
    use super::file::{File, create, create_from, open};
    #[pymodule_export]
    use super::follow::Follow;
    #[pymodule_export]
    use super::npz::{Npz, NpzWriter};
}
