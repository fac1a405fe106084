//! Batches: rows by index, some at a time, the next ones on their way from the disk while these are
//! used.

use std::borrow::Cow;
use std::fmt;

use ndarray::{Array, Dimension};

use super::gather;
use super::source::Source;
use super::work::{Meter, OutOfCore};
use crate::element::Element;
use crate::error::Result;

impl<'a, A: Element, D: Dimension> OutOfCore<'a, A, D> {
    /// Gathers the rows with these indices in batches of so many, the last of which has what is
    /// left: an epoch of a data loader.
    ///
    /// Each batch is what [`gather`](OutOfCore::gather) returns of its indices. When one is handed
    /// out the disk is asked for the rows of the next that the page cache lacks, so they are on
    /// their way while this one is used. The indices, and whatever they are shuffled by, are the
    /// caller's. Takes the memory of the batches that are kept and of one more.
    ///
    /// # Errors
    ///
    /// Each batch is a result: an error of `gather`, or [`Cancelled`](crate::ErrorKind::Cancelled)
    /// by the progress callback, which counts the batches that are done with. An error is the last
    /// item, and comes when its batch does.
    ///
    /// # Panics
    ///
    /// If `size` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("samples.npy");
    ///
    /// let store = Store::create_from(&path, &array![[0, 1], [10, 11], [20, 21]])?;
    /// let epoch = [2, 0, 1];
    /// let batches: Vec<_> = store.out_of_core().batches(&epoch, 2).collect::<Result<_, _>>()?;
    /// assert_eq!(batches, [array![[20, 21], [0, 1]], array![[10, 11]]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn batches<'r>(
        mut self,
        indices: impl Into<Cow<'r, [usize]>>,
        size: usize,
    ) -> Batches<'a, 'r, A, D> {
        assert!(size > 0, "a batch has no rows");
        let rows = indices.into();
        let context = self.source.context("gather rows of");
        let per_row = gather::row_len(&self.source) * size_of::<A>();
        let total = (rows.len() as u64).saturating_mul(per_row as u64);
        Batches {
            meter: self.work.meter(context, total),
            memory: self.work.memory(),
            source: self.source,
            dim: self.dim,
            per_row,
            rows,
            size,
            next: 0,
            lent: 0,
        }
    }
}

/// Rows of an array, some at a time. See [`OutOfCore::batches`].
pub struct Batches<'a, 'r, A, D> {
    source: Source<'a, A>,
    dim: D,
    memory: usize,
    meter: Meter<'a>,
    /// The bytes of a row.
    per_row: usize,
    rows: Cow<'r, [usize]>,
    size: usize,
    /// The place of the first index that no batch had yet.
    next: usize,
    /// How many rows the last batch has.
    lent: usize,
}

impl<A: Element, D: Dimension> Batches<'_, '_, A, D> {
    /// The indices of a batch, by the place of the first.
    fn batch(&self, first: usize) -> &[usize] {
        let rest = &self.rows[first..];
        &rest[..rest.len().min(self.size)]
    }

    /// Whoever asks for a batch is done with the one before.
    fn finish(&mut self) -> Result<()> {
        match std::mem::take(&mut self.lent) * self.per_row {
            0 => Ok(()),
            nbytes => self.meter.add(nbytes as u64),
        }
    }

    fn gather(&mut self) -> Result<Option<Array<A, D>>> {
        let rows = self.batch(self.next);
        if rows.is_empty() {
            return Ok(None);
        }
        let work = OutOfCore::new(self.source.clone(), self.dim.clone());
        let batch = work.memory(self.memory).gather(rows)?;
        self.lent = rows.len();
        self.next += self.lent;
        gather::ask_ahead(self.source.part(), self.batch(self.next), self.memory);
        Ok(Some(batch))
    }
}

impl<A: Element, D: Dimension> Iterator for Batches<'_, '_, A, D> {
    type Item = Result<Array<A, D>>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.finish().and_then(|()| self.gather());
        if !matches!(batch, Ok(Some(_))) {
            self.next = self.rows.len();
        }
        batch.transpose()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.rows.len() - self.next;
        // The progress callback may end it when the last one was used.
        (left.min(1), Some(left.div_ceil(self.size) + 1))
    }
}

impl<A, D: fmt::Debug> fmt::Debug for Batches<'_, '_, A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("shape", &self.dim)
            .field("rows", &self.rows.len())
            .field("size", &self.size)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
