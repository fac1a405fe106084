//! NumPy's archives: members that are mapped, and aligned ones that are written.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::Answer;
use crate::file::File;
use crate::options::{Settings, dtype, order, with_bytes};

/// An archive that is open for reading.
#[pyclass(frozen, module = "ndstore._ndstore")]
pub(crate) struct Npz(ndstore::Npz);

#[pymethods]
impl Npz {
    #[new]
    fn open(py: Python<'_>, path: PathBuf, settings: Settings) -> Answer<Npz> {
        let options = settings.options()?;
        Ok(Npz(py.detach(|| options.open_npz(path))?))
    }

    fn names(&self) -> Vec<String> {
        self.0.names().map(str::to_owned).collect()
    }

    /// A stored array, where it lies in the archive.
    fn member(&self, py: Python<'_>, name: &str) -> Answer<File> {
        let member = py.detach(|| self.0.open_member_any(name))?;
        Ok(File::new(member))
    }
}

/// An archive that is being written. It appears whole under its name when it is finished.
#[pyclass(frozen, module = "ndstore._ndstore")]
pub(crate) struct NpzWriter(Mutex<Option<ndstore::NpzWriter>>);

#[pymethods]
impl NpzWriter {
    #[new]
    fn create(py: Python<'_>, path: PathBuf, settings: Settings) -> Answer<NpzWriter> {
        let options = settings.options()?;
        let writer = py.detach(|| options.create_npz(path))?;
        Ok(NpzWriter(Mutex::new(Some(writer))))
    }

    /// Adds an array whose elements are `bytes`, in this order.
    fn add(
        &self,
        py: Python<'_>,
        name: &str,
        descr: &str,
        shape: Vec<usize>,
        fortran: bool,
        bytes: PyBuffer<u8>,
    ) -> Answer<()> {
        let (dtype, order) = (dtype(descr)?, order(fortran));
        let added = with_bytes(py, &bytes, |bytes| {
            let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (writer.as_mut()).map(|writer| writer.add_any(name, dtype, &shape, order, bytes))
        })?;
        Ok(added.ok_or_else(finished)??)
    }

    /// Gives the archive its name, durably.
    fn finish(&self, py: Python<'_>) -> Answer<()> {
        let take = || self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writer = py.detach(take).ok_or_else(finished)?;
        Ok(py.detach(|| writer.finish())?)
    }
}

fn finished() -> crate::error::Failure {
    PyValueError::new_err("the archive is finished").into()
}
