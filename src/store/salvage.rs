//! Salvages rows that a file has and its header does not name.

use ndarray::Dimension;

use super::any::AnyStore;
use super::file::ArrayFile;
use super::mode::{Opened, ReadWrite};
use super::tail::Tail;
use super::typed::Store;
use crate::element::Element;
use crate::error::{ErrorKind, Result};
use crate::sys;

impl ArrayFile {
    /// The number of bytes that follow the array in its file.
    pub(super) fn trailing_nbytes(&self) -> Result<u64> {
        match self.is_whole {
            true => Ok(self
                .file_len("look behind")?
                .saturating_sub(self.extent().end)),
            // The bytes behind a part of a file are another part of it.
            false => Ok(0),
        }
    }

    /// Names the whole rows that stand behind the array, durably.
    pub(super) fn adopt_rows(&mut self) -> Result<usize> {
        let op = "adopt rows of";
        self.start_change(op)?;
        let context = self.context(op);
        if self.array.raw || self.array.shape.is_empty() {
            let reason = match self.array.raw {
                true => "a raw file has no header to name them; open it with a shape that has them",
                false => "a 0-d array has no axis to grow along",
            };
            return Err(context.fail(ErrorKind::InvalidOption { reason }));
        }
        let is_marked = self.is_marked(context)?;
        let trailing = self.trailing_nbytes()?;
        let rows = trailing.checked_div(self.array.row_nbytes()).unwrap_or(0);
        // As many as the file has bytes for, and at most as many as an address space has.
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        if rows > 0 {
            // After a failure the rows stay where they are.
            self.try_publish(rows)?;
        }
        if is_marked {
            // The rest is less than a row, of an append that was never published.
            self.tail = Tail::Marked;
            self.drop_rows();
            self.write_step(op, || sys::sync_data(self.file()))?;
            self.tail.note_sync();
        }
        Ok(rows)
    }

    /// Refuses stores that are not open exclusively.
    pub(super) fn check_alone(&self, op: &'static str) -> Result<()> {
        match self.opened == Opened::Alone {
            true => Ok(()),
            false => Err(self.context(op).fail(ErrorKind::InvalidOption {
                reason: "it is not open alone; open it with `Mode::ReadWrite`",
            })),
        }
    }
}

impl<A: Element, D: Dimension> Store<A, D, ReadWrite> {
    /// Makes rows of the bytes that follow the array, durably, and returns their number: the header
    /// names them from then on.
    ///
    /// For a file whose header names fewer rows than it has. The rest, less than a row, stays.
    /// Where the header says that the rows are those of an append that was never published
    /// ([`Inspection::is_unpublished`](super::Inspection::is_unpublished)), they are as they were
    /// in the file when the append was killed: after a power cut some may read as zeros, or be
    /// written in part.
    ///
    /// # Errors
    ///
    /// - [`InvalidOption`](ErrorKind::InvalidOption) for a raw file and a 0-d array.
    /// - [`ShapeTooLarge`](ErrorKind::ShapeTooLarge), and those of [`flush`](Store::flush).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("temp.dat");
    ///
    /// drop(Store::create_from(&path, &array![[1.0, 2.0]])?);
    /// // Somebody writes a row, and no header.
    /// let mut file = std::fs::OpenOptions::new().append(true).open(&path)?;
    /// file.write_all(bytemuck::bytes_of(&[3.0, 4.0]))?;
    ///
    /// let mut store = Store::<f64, Ix2>::open_rw(&path)?;
    /// assert!(store.push(&array![5.0, 6.0]).is_err());
    /// assert_eq!(store.adopt_rows()?, 1);
    /// store.push(&array![5.0, 6.0])?;
    /// assert_eq!(store.read_all()?, array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adopt_rows(&mut self) -> Result<usize> {
        let adopted = self.file.adopt_rows();
        self.update_dim();
        adopted
    }
}

impl AnyStore {
    /// The number of bytes that follow the array in its file. See [`Store::trailing_nbytes`].
    ///
    /// # Errors
    ///
    /// As [`Store::trailing_nbytes`].
    pub fn trailing_nbytes(&self) -> Result<u64> {
        self.file.trailing_nbytes()
    }

    /// Makes rows of the bytes that follow the array. See [`Store::adopt_rows`].
    ///
    /// # Errors
    ///
    /// As [`Store::adopt_rows`]; [`ErrorKind::InvalidOption`] unless it is open alone.
    pub fn adopt_rows(&mut self) -> Result<usize> {
        self.file.check_alone("adopt rows of")?;
        self.file.adopt_rows()
    }

    /// Keeps the first `rows` rows and cuts the file behind them. See [`Store::truncate`].
    ///
    /// # Errors
    ///
    /// As [`Store::truncate`]; [`ErrorKind::InvalidOption`] unless it is open alone.
    pub fn truncate(&mut self, rows: usize) -> Result<()> {
        self.file.check_alone("truncate")?;
        self.file.truncate(rows)
    }
}
