//! `File`: an open file with its claims, for the classes of Python that map it.

use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use ndstore::{AnyStore, Opening, Order};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::Answer;
use crate::options::{Settings, dtype, with_bytes};

/// An array in a file, open with its claims until it is closed or given away.
#[pyclass(frozen, module = "ndstore._ndstore")]
pub(crate) struct File(Mutex<Option<AnyStore>>);

/// What an opener is called in Python.
fn opening(name: &str, rows: Option<(usize, usize)>) -> Answer<Opening> {
    Ok(match (name, rows) {
        ("read", None) => Opening::Read,
        ("read", Some((start, end))) => Opening::RowsRead(start..end),
        ("alone", None) => Opening::ReadWrite,
        ("rows", Some((start, end))) => Opening::Rows(start..end),
        ("append", None) => Opening::Append,
        ("watch", None) => Opening::Watch,
        ("shared", None) => Opening::Shared,
        ("shared_read", None) => Opening::SharedRead,
        _ => return Err(PyValueError::new_err("no such way to open a file").into()),
    })
}

/// Opens a file in one of the ways of `Opening`.
#[pyfunction]
#[pyo3(signature = (path, how, settings, rows=None))]
pub(crate) fn open(
    py: Python<'_>,
    path: PathBuf,
    how: &str,
    settings: Settings,
    rows: Option<(usize, usize)>,
) -> Answer<File> {
    let (options, opening) = (settings.options()?, opening(how, rows)?);
    let store = py.detach(|| options.open_any_as(path, opening))?;
    Ok(File::new(store))
}

/// Makes a file of zeros, in place of an old one unless `new`.
#[pyfunction]
pub(crate) fn create(
    py: Python<'_>,
    path: PathBuf,
    descr: &str,
    shape: Vec<usize>,
    new: bool,
    settings: Settings,
) -> Answer<File> {
    let (options, dtype) = (settings.options()?, dtype(descr)?);
    let store = py.detach(|| match new {
        true => options.create_new_any(path, dtype, &shape),
        false => options.create_any(path, dtype, &shape),
    })?;
    Ok(File::new(store))
}

/// Makes a file of the elements that `bytes` are, in place of an old one.
#[pyfunction]
pub(crate) fn create_from(
    py: Python<'_>,
    path: PathBuf,
    descr: &str,
    shape: Vec<usize>,
    bytes: PyBuffer<u8>,
    settings: Settings,
) -> Answer<File> {
    let (options, dtype) = (settings.options()?, dtype(descr)?);
    let store = with_bytes(py, &bytes, |bytes| {
        options.create_any_from(path, dtype, &shape, bytes)
    })??;
    Ok(File::new(store))
}

impl File {
    pub(crate) fn new(store: AnyStore) -> File {
        File(Mutex::new(Some(store)))
    }

    /// Works on the store while other threads of Python run. They may wait for it here.
    pub(crate) fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut AnyStore) -> ndstore::Result<R> + Send,
    ) -> Answer<R> {
        let done = py.detach(|| {
            let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            store.as_mut().map(work)
        });
        match done {
            Some(done) => Ok(done?),
            None => Err(closed()),
        }
    }

    fn take(&self, py: Python<'_>) -> Answer<AnyStore> {
        let take = || self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(take).ok_or_else(closed)
    }
}

fn closed() -> crate::error::Failure {
    PyValueError::new_err("the file is closed").into()
}

#[pymethods]
impl File {
    /// The descr, the shape, whether the order is Fortran's, the offset of the elements, and the
    /// absolute path.
    fn describe(&self, py: Python<'_>) -> Answer<(String, Vec<usize>, bool, u64, PathBuf)> {
        self.with(py, |store| {
            Ok((
                store.dtype().descr(),
                store.shape().to_vec(),
                store.order() == Order::F,
                store.offset(),
                store.path().to_owned(),
            ))
        })
    }

    /// A copy of the descriptor, which the caller closes. The claims go with the last copy and the
    /// last map.
    fn lend(&self, py: Python<'_>) -> Answer<i32> {
        Ok(self.with(py, |store| store.lend_fd())?.into_raw_fd())
    }

    /// The descriptor itself, with the claims. This is closed then.
    fn give(&self, py: Python<'_>) -> Answer<i32> {
        let store = self.take(py)?;
        Ok(py.detach(|| store.into_fd())?.into_raw_fd())
    }

    /// Lets others read and write a file that is open alone.
    fn share(&self, py: Python<'_>) -> Answer<File> {
        let store = self.take(py)?;
        Ok(File::new(py.detach(|| store.share())?))
    }

    fn append(&self, py: Python<'_>, rows: usize, bytes: PyBuffer<u8>) -> Answer<()> {
        with_bytes(py, &bytes, |bytes| {
            Python::attach(|py| self.with(py, |store| store.append_bytes(rows, bytes)))
        })?
    }

    fn start_appending(&self, py: Python<'_>) -> Answer<()> {
        self.with(py, |store| store.start_appending())
    }

    fn stage(&self, py: Python<'_>, rows: usize, bytes: PyBuffer<u8>) -> Answer<()> {
        with_bytes(py, &bytes, |bytes| {
            Python::attach(|py| self.with(py, |store| store.stage_bytes(rows, bytes)))
        })?
    }

    fn publish(&self, py: Python<'_>, rows: usize) -> Answer<()> {
        self.with(py, |store| store.publish(rows))
    }

    fn truncate(&self, py: Python<'_>, rows: usize) -> Answer<()> {
        self.with(py, |store| store.truncate(rows))
    }

    fn resize(&self, py: Python<'_>, shape: Vec<usize>) -> Answer<()> {
        self.with(py, |store| store.resize(&shape))
    }

    /// How many rows came.
    fn refresh(&self, py: Python<'_>) -> Answer<usize> {
        self.with(py, |store| store.refresh())
    }

    fn flush(&self, py: Python<'_>) -> Answer<()> {
        self.with(py, |store| store.flush())
    }

    fn write_checksums(&self, py: Python<'_>) -> Answer<()> {
        self.with(py, |store| store.write_checksums())
    }

    /// What is damaged: whether the header is, the damaged ranges of bytes with their rows, and the
    /// rows without a sum.
    #[expect(
        clippy::type_complexity,
        reason = "a tuple that Python unpacks at once"
    )]
    fn verify(
        &self,
        py: Python<'_>,
    ) -> Answer<(bool, Vec<((u64, u64), (usize, usize))>, (usize, usize))> {
        self.with(py, |store| {
            let found = store.verify()?;
            let damage = found.damage().iter();
            let damage = damage.map(|damage| {
                let (bytes, rows) = (&damage.bytes, &damage.rows);
                ((bytes.start, bytes.end), (rows.start, rows.end))
            });
            let uncovered = found.uncovered();
            Ok((
                found.header().is_some(),
                damage.collect(),
                (uncovered.start, uncovered.end),
            ))
        })
    }

    /// Closes the descriptor. What is not flushed stays with the system.
    fn close(&self, py: Python<'_>) {
        // It was closed before.
        let _ = self.take(py);
    }
}
