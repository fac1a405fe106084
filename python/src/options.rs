//! What Python says of a file, as the crate's `Options`; buffers as bytes.
#![allow(unsafe_code)]

use std::time::Duration;

use ndstore::{DType, LockPolicy, Options, Order};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::Answer;

/// How a file is opened or made, as Python says it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Settings {
    /// Seconds to wait for a lock: negative ones are for ever.
    #[pyo3(item("timeout"))]
    timeout: f64,
    #[pyo3(item("lock"), default = true)]
    lock: bool,
    #[pyo3(item("raw"), default)]
    raw: Option<u64>,
    #[pyo3(item("dtype"), default)]
    dtype: Option<String>,
    #[pyo3(item("shape"), default)]
    shape: Option<Vec<usize>>,
    #[pyo3(item("fortran"), default)]
    fortran: Option<bool>,
    #[pyo3(item("compact"), default)]
    compact: bool,
    #[pyo3(item("sparse"), default)]
    sparse: bool,
    #[pyo3(item("allow_trailing"), default)]
    allow_trailing: bool,
    #[pyo3(item("max_header_size"), default)]
    max_header_size: Option<usize>,
}

impl Settings {
    pub(crate) fn options(&self) -> Answer<Options> {
        let policy = match self.timeout {
            0.0 => LockPolicy::Fail,
            seconds if seconds < 0.0 => LockPolicy::Wait,
            seconds => Duration::try_from_secs_f64(seconds)
                .map_or(LockPolicy::Wait, LockPolicy::WaitAtMost),
        };
        let mut options = Options::new()
            .lock(policy)
            .compact(self.compact)
            .sparse(self.sparse)
            .allow_trailing(self.allow_trailing);
        if !self.lock {
            options = options.no_lock();
        }
        if let Some(offset) = self.raw {
            options = options.raw(offset);
        }
        if let Some(descr) = &self.dtype {
            options = options.dtype(dtype(descr)?);
        }
        if let Some(shape) = &self.shape {
            options = options.shape(&shape[..]);
        }
        if let Some(fortran) = self.fortran {
            options = options.order(order(fortran));
        }
        if let Some(characters) = self.max_header_size {
            options = options.max_header_size(characters);
        }
        Ok(options)
    }
}

pub(crate) fn order(fortran: bool) -> Order {
    match fortran {
        true => Order::F,
        false => Order::C,
    }
}

pub(crate) fn dtype(descr: &str) -> Answer<DType> {
    DType::parse(descr).map_err(|error| PyValueError::new_err(error.to_string()).into())
}

/// Lends the bytes of a buffer to work that lets other threads of Python run.
pub(crate) fn with_bytes<R: Send>(
    py: Python<'_>,
    buffer: &PyBuffer<u8>,
    work: impl FnOnce(&[u8]) -> R + Send,
) -> Answer<R> {
    let Some(bytes) = buffer.as_slice_ptr() else {
        return Err(PyValueError::new_err("the bytes are not contiguous").into());
    };
    let (start, len) = (bytes.cast::<u8>().as_ptr().expose_provenance(), bytes.len());
    Ok(py.detach(move || {
        let start = std::ptr::with_exposed_provenance(start);
        // SAFETY: the buffer has `len` bytes there and is exported until `buffer` goes, by
        // `PyBuffer`. Another thread of Python may write to them meanwhile: they are bytes, which
        // `write` takes and nothing else looks at.
        work(unsafe { std::slice::from_raw_parts(start, len) })
    }))
}
