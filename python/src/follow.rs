//! `Follow`: waiting for rows that somebody appends, in slices short enough for Ctrl-C.

use std::time::{Duration, Instant};

use ndstore::News;
use pyo3::prelude::*;

use crate::error::Answer;
use crate::file::File;

/// How long Python's signals may wait.
const SLICE: Duration = Duration::from_millis(100);

/// Waits for the rows of a file that is open to read or to watch.
#[pyclass(frozen, module = "ndstore._ndstore")]
pub(crate) struct Follow(Py<File>);

#[pymethods]
impl Follow {
    #[new]
    fn new(file: Py<File>) -> Follow {
        Follow(file)
    }

    /// Waits for rows from `next` on: which they are, `"nothing"` within the seconds, or `"ended"`.
    #[pyo3(signature = (next, seconds=None))]
    fn wait(
        &self,
        py: Python<'_>,
        next: usize,
        seconds: Option<f64>,
    ) -> Answer<(&'static str, usize, usize)> {
        let until = seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
            .and_then(|wait| Instant::now().checked_add(wait));
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let slice = left.map_or(SLICE, |left| left.min(SLICE));
            let news = self
                .0
                .get()
                .with(py, |store| store.follow().starting_at(next).wait(slice))?;
            match news {
                News::Rows(rows) => return Ok(("rows", rows.start, rows.end)),
                News::Ended => return Ok(("ended", next, next)),
                _ if left.is_some_and(|left| left <= SLICE) => return Ok(("nothing", next, next)),
                _ => py.check_signals()?,
            }
        }
    }

    /// The bytes of some rows.
    fn read(&self, py: Python<'_>, start: usize, nbytes: usize) -> Answer<Vec<u8>> {
        self.0.get().with(py, |store| {
            let mut bytes = vec![0; nbytes];
            store.read_bytes(start, &mut bytes)?;
            Ok(bytes)
        })
    }
}
