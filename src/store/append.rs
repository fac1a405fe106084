//! Grows and cuts an array along the slowest axis, in place: first the rows, then the bytes of the
//! header that name them.
//!
//! What a crash leaves is the old array or the whole new one. Bytes behind a header that is marked
//! are rows that were never published: opening leaves them alone, the next append drops them.
//! Behind any other they may be somebody's, and stay.

use std::fmt;
use std::io;

use ndarray::{ArrayRef, Dimension};

use super::array::check_size;
use super::file::ArrayFile;
use super::head::NewHeader;
use super::mode::{Growable, Opened, ReadWrite};
use super::typed::Store;
use super::write::{self, Writer};
use crate::element::Element;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::shape::{self, Order};
use crate::sys;

/// The space that is reserved behind the array at a time: this part of its size, within these
/// bounds.
const RESERVE_PART: u64 = 8;
const RESERVE_MIN: u64 = 1 << 20;
const RESERVE_MAX: u64 = 256 << 20;

impl ArrayFile {
    /// The shape with `rows` rows in place of those of the file.
    fn shape_with_rows(&self, rows: usize) -> Vec<usize> {
        let mut array = self.array.clone();
        array.set_rows(rows);
        array.shape
    }

    fn rows(&self) -> usize {
        self.array.rows()
    }

    /// Checks that rows may be published or cut off, and drops those that an earlier append left.
    pub(super) fn start_change(&mut self, op: &'static str) -> Result<()> {
        self.check_opener(op)?;
        self.check_poison(op)?;
        self.check_has_name(op)?;
        if self.unpublished > 0 {
            self.drop_rows();
        }
        Ok(())
    }

    /// Checks that the array has an axis along which it grows, and that nothing stands behind it in
    /// the file but rows that were never published, which go.
    pub(super) fn start_growth(&mut self, op: &'static str) -> Result<()> {
        self.start_change(op)?;
        let context = self.context(op);
        if self.array.shape.is_empty() {
            let reason = "a 0-d array has no axis to grow along; make it one of a higher rank";
            return Err(context.fail(ErrorKind::InvalidOption { reason }));
        }
        self.check_trailing(op)
    }

    /// Checks that nothing stands behind the array in the file but rows that were never published,
    /// or what may go.
    pub(super) fn check_trailing(&self, op: &'static str) -> Result<()> {
        let context = self.context(op);
        let len = self.file_len(op)?;
        let end = self.extent().end;
        if len > end && !self.drop_trailing && !self.is_cut && !self.is_marked(context)? {
            return Err(context.fail(ErrorKind::TrailingBytes {
                offset: end,
                found: len - end,
                remedy: match (len - end).checked_div(self.array.row_nbytes()) {
                    Some(1..) if !self.array.raw => {
                        "make rows of them with `Store::adopt_rows`, allow them to be dropped with `Options::drop_trailing`, \
                         or copy the array into a new file"
                    }
                    _ => {
                        "allow them to be dropped with `Options::drop_trailing`, or copy the array into a new file"
                    }
                },
            }));
        }
        Ok(())
    }

    /// Writes `nbytes` of rows behind the array and its unpublished rows, by `write`. No header
    /// names them until [`publish`](ArrayFile::publish). After a failure none of them are left.
    pub(super) fn write_rows(
        &mut self,
        nbytes: u64,
        write: impl FnOnce(&mut Writer<'_>) -> io::Result<()>,
    ) -> Result<()> {
        let start = self.extent().end + self.unpublished;
        let needed = start.saturating_add(nbytes);
        let ready = self.make_ready(start, needed);
        if ready.is_err() {
            if self.unpublished > 0 {
                self.drop_rows();
            }
            return ready;
        }
        let written = self.reserve(start, needed).and_then(|reserved| {
            self.reserved = reserved;
            write(&mut Writer::new(self.file(), start))
        });
        match written {
            Ok(()) => {
                self.unpublished += nbytes;
                Ok(())
            }
            Err(error) => {
                let refused =
                    self.context("append to")
                        .growth(error, nbytes, sys::free_space(&self.path));
                self.drop_rows();
                Err(refused)
            }
        }
    }

    /// Checks that rows may be written from `start` to `needed`, marks them as not published, and
    /// cuts off what stands there: rows of another time that were never published.
    fn make_ready(&mut self, start: u64, needed: u64) -> Result<()> {
        let op = "append to";
        self.check_opener(op)?;
        if let Some(limit) = sys::file_size_limit().filter(|&limit| needed > limit) {
            return Err(self.context(op).fail(ErrorKind::FileTooLarge {
                needed,
                limit: Some(limit),
            }));
        }
        // Rows behind a cut would make the file as long again, and its lost bytes would read as
        // zeros without a word.
        self.check_guard(op)?;
        let found = self.file_len(op)?;
        if found < start {
            return Err(self.context(op).fail(ErrorKind::Truncated {
                expected: start,
                found,
            }));
        }
        if self.is_cut {
            // Or rows behind it would be taken for those that it lacks, published or not.
            self.cut_to(op, self.rows())?;
        }
        let was_marked = self.mark_tail(op)?;
        // Only if there are such bytes, because cutting a file at its end gives back the blocks
        // that are reserved behind it. Behind a mark that was found there may be: whoever left it
        // need not have been told that the disk lost a cut.
        if found > start || was_marked {
            // Header before data: the disk may still have a header that names these rows, of a
            // truncate that was killed.
            self.secure(op)?;
            let cut = self.file().set_len(start);
            cut.map_err(|error| self.context(op).io(error))?;
            self.tail.note_cut();
            self.reserved = 0;
        }
        Ok(())
    }

    /// Reserves blocks from `start` to at least `needed`, ahead of the rows to come, and returns
    /// their end.
    fn reserve(&self, start: u64, needed: u64) -> io::Result<u64> {
        if needed <= self.reserved.max(start) {
            return Ok(self.reserved);
        }
        // Cutting the file gives the reserved blocks back, which is safe only under its lock.
        if self.sparse || !self.locked {
            return self.check_room(needed - start);
        }
        let ahead = (needed / RESERVE_PART).clamp(RESERVE_MIN, RESERVE_MAX);
        let limit = sys::file_size_limit().unwrap_or(i64::MAX as u64);
        let file = self.file();
        let reserve = |end| sys::reserve(file, start.max(self.reserved)..end).map(|()| end);
        // A disk, or a quota, without room for later rows may still have room for these.
        match reserve(needed.saturating_add(ahead).min(limit)).or_else(|_| reserve(needed)) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.check_room(needed - start)
            }
            reserved => reserved,
        }
    }

    /// For files without a reserve: refuses at once rows for which the file system has no room, and
    /// returns the reserve.
    fn check_room(&self, nbytes: u64) -> io::Result<u64> {
        match sys::total_free(&self.path) {
            Some(free) if free < nbytes => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(self.reserved),
        }
    }

    /// Makes the `rows` written rows part of the array, durably. After a failure none of them are.
    pub(super) fn publish(&mut self, rows: usize) -> Result<()> {
        let published = self.try_publish(rows);
        if self.unpublished > 0 {
            self.drop_rows();
        }
        published
    }

    pub(super) fn try_publish(&mut self, rows: usize) -> Result<()> {
        self.check_opener("append to")?;
        self.check_poison("append to")?;
        self.check_has_name("append to")?;
        let path = self.path.clone();
        let context = Context::new(&path, "append to");
        let shape = self.shape_with_rows(self.rows() + rows);
        let nbytes = check_size(context, &shape, self.array.dtype.itemsize())?;
        let header = self.header_with(context, &shape)?;
        let end = self.extent().end;
        // Data before header: a header must never name bytes that the disk lacks.
        sys::sync_data(self.file()).map_err(|error| self.poisoned_by(context, error))?;
        self.tail.note_sync();
        self.change_shape(context, shape, nbytes, header)?;
        self.unpublished = 0;
        if self.opened == Opened::Append {
            self.hand_out(end..self.extent().end);
        }
        Ok(())
    }

    /// Keeps the first `rows` rows, durably.
    pub(super) fn truncate(&mut self, rows: usize) -> Result<()> {
        self.start_growth("truncate")?;
        let path = self.path.clone();
        let context = Context::new(&path, "truncate");
        let found = self.rows();
        if rows > found {
            return Err(context
                .step("truncate to")
                .fail(ErrorKind::RowsOutOfBounds {
                    start: 0,
                    end: rows,
                    rows: found,
                }));
        }
        self.cut_to(context.op, rows)
    }

    /// Keeps the first `rows` rows, of which there are as many, durably.
    fn cut_to(&mut self, op: &'static str, rows: usize) -> Result<()> {
        let path = self.path.clone();
        let context = Context::new(&path, op);
        let shape = self.shape_with_rows(rows);
        let nbytes = check_size(context, &shape, self.array.dtype.itemsize())?;
        self.mark_tail(op)?;
        let header = self.header_with(context, &shape)?;
        // If the header cannot be written it still names all rows: then nothing may cut the file,
        // not even to give reserved blocks back.
        self.reserved = 0;
        // Header before data here: until the file is cut the bytes behind it are merely
        // unpublished, and the mark says so.
        self.change_shape(context, shape, nbytes, header)?;
        let end = self.extent().end;
        self.file()
            .set_len(end)
            .map_err(|error| self.poisoned_by(context, error))?;
        sys::sync_data(self.file()).map_err(|error| self.poisoned_by(context, error))?;
        self.is_cut = false;
        Ok(())
    }

    /// Gives the array another shape: first the map, if there is one, then the header, durably.
    /// After a failure it has the old shape, unless the store is poisoned.
    fn change_shape(
        &mut self,
        context: Context<'_>,
        shape: Vec<usize>,
        nbytes: usize,
        header: NewHeader,
    ) -> Result<()> {
        let old_nbytes = self.array.nbytes();
        if !matches!(header, NewHeader::Rewrite) {
            self.check_alignment(context.step("map"), self.array.offset, nbytes)?;
        }
        self.resize_map(context, nbytes)?;
        let old_shape = std::mem::replace(&mut self.array.shape, shape);
        let written = self.write_header(context, header);
        if written.is_err() && self.check_poison(context.op).is_ok() {
            self.resize_map(context, old_nbytes)
                .inspect_err(|_| self.poison())?;
            self.array.shape = old_shape;
        }
        written
    }

    fn resize_map(&mut self, context: Context<'_>, nbytes: usize) -> Result<()> {
        let resized = self.map.as_mut().map_or(Ok(()), |map| map.resize(nbytes));
        resized.map_err(|error| context.step("map").not_mapped(error))
    }

    pub(super) fn poisoned_by(&self, context: Context<'_>, error: io::Error) -> Error {
        self.poison();
        context.io(error)
    }

    /// Drops the rows that were not published.
    pub(super) fn drop_rows(&mut self) {
        self.unpublished = 0;
        self.release_reserve(true);
    }

    /// Leaves nothing behind the array in the file, and no mark.
    pub(super) fn settle(&mut self) {
        let unpublished = std::mem::take(&mut self.unpublished);
        self.release_reserve(unpublished > 0);
        self.unmark_tail();
    }

    /// Gives back the unused blocks behind the array.
    fn release_reserve(&mut self, rows_too: bool) {
        if rows_too {
            // Also where the file is no longer: a write that failed may have left something all the
            // same.
            self.tail.note_cut();
        }
        if rows_too || std::mem::take(&mut self.reserved) > 0 {
            self.reserved = 0;
            // A forked child has a copy of this value, but the bytes behind the array are its
            // parent's work. Also, a file that somebody else cut must not look whole again.
            if self.file.is_ours() && self.check_faults("cut").is_ok() {
                // Cutting a file at its end frees the blocks that are reserved behind it. If this
                // fails the next writer does it.
                let _ = self.file().set_len(self.extent().end);
            }
        }
    }
}

impl Drop for ArrayFile {
    fn drop(&mut self) {
        self.settle();
    }
}

impl<A: Element, D: Dimension, M: Growable> Store<A, D, M> {
    /// Appends rows along the slowest axis, in place: axis 0 in C order, the last in Fortran order.
    ///
    /// `rows` has the rank of the array and its length along every other axis. The rows are durable
    /// when this returns; a crash leaves the old array or the whole new one. Costs the bytes of the
    /// rows and two syncs, whatever the size of the array: [`appender`](Store::appender) shares
    /// them among many rows.
    ///
    /// A file that NumPy wrote grows in place as well, because its header has room for 21 digits.
    /// If a header has no room, the file is rewritten as by [`resize`](Store::resize). A raw file
    /// has no header: its length states the number of rows.
    ///
    /// # Errors
    ///
    /// - [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the rows do not fit,
    ///   [`InvalidOption`](ErrorKind::InvalidOption) for a 0-d array.
    /// - [`ShapeTooLarge`](ErrorKind::ShapeTooLarge) if no array can have so many rows.
    /// - [`TrailingBytes`](ErrorKind::TrailingBytes) if other bytes follow the array,
    ///   [`Truncated`](ErrorKind::Truncated) if somebody cut the file.
    /// - [`NoSpace`](ErrorKind::NoSpace), [`FileTooLarge`](ErrorKind::FileTooLarge): the array is
    ///   as it was.
    /// - [`Removed`](ErrorKind::Removed) if the file was removed or replaced.
    /// - [`Forked`](ErrorKind::Forked) in a child that was forked since the store was opened.
    /// - [`Io`](ErrorKind::Io) if a sync fails, which poisons the store.
    pub fn append(&mut self, rows: &ArrayRef<A, D>) -> Result<()> {
        self.file.start_growth("append to")?;
        let added = self.check_rows(rows.shape())?;
        if added == 0 {
            return Ok(());
        }
        self.write_rows(rows)?;
        self.publish(added)
    }

    /// Appends one row: [`append`](Store::append) of an array that lacks the slowest axis.
    ///
    /// # Errors
    ///
    /// As [`append`](Store::append).
    pub fn push(&mut self, row: &ArrayRef<A, D::Smaller>) -> Result<()> {
        let mut appender = self.appender()?;
        appender.push(row)?;
        appender.flush()
    }

    /// A writer that collects rows and publishes them together.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](ErrorKind::InvalidOption), [`TrailingBytes`](ErrorKind::TrailingBytes) and
    /// [`Poisoned`](ErrorKind::Poisoned), as for [`append`](Store::append).
    pub fn appender(&mut self) -> Result<Appender<'_, A, D, M>> {
        self.file.start_growth("append to")?;
        Ok(Appender {
            store: self,
            buffer: Vec::new(),
            rows: 0,
        })
    }

    /// Checks that rows of this shape fit, and returns their number.
    fn check_rows(&self, shape: &[usize]) -> Result<usize> {
        // If the rank differs, no axis can be said to count the rows.
        let added = match shape.len() == self.ndim() {
            true => shape::rows(shape, self.order()),
            false => 1,
        };
        let context = self.file.context("append to");
        let expected = self.file.shape_with_rows(added);
        if shape != expected {
            let found = shape.to_vec();
            return Err(context.fail(ErrorKind::ShapeMismatch { expected, found }));
        }
        // A view can repeat its elements, so the rows can be larger than any memory or disk.
        let grown = self.file.shape_with_rows(self.file.rows() + added);
        check_size(context, &grown, size_of::<A>())?;
        Ok(added)
    }

    /// Writes rows that fit behind the array. See [`ArrayFile::write_rows`].
    fn write_rows<E: Dimension>(&mut self, rows: &ArrayRef<A, E>) -> Result<()> {
        let (order, nbytes) = (self.order(), rows.len() * size_of::<A>());
        self.file.write_rows(nbytes as u64, |writer| {
            write::write_elements(writer, rows, order)
        })
    }

    fn publish(&mut self, rows: usize) -> Result<()> {
        let published = self.file.publish(rows);
        self.update_dim();
        published
    }
}

impl<A: Element, D: Dimension> Store<A, D> {
    /// Keeps the first `rows` rows along the slowest axis and cuts the file behind them, in place.
    ///
    /// # Errors
    ///
    /// [`RowsOutOfBounds`](ErrorKind::RowsOutOfBounds) if the array has fewer rows, and those of
    /// [`append`](Store::append).
    pub fn truncate(&mut self, rows: usize) -> Result<()> {
        let cut = self.file.truncate(rows);
        self.update_dim();
        cut
    }
}

/// Collects rows for a store and publishes them together, as a logger needs.
///
/// [`push`](Appender::push) costs a copy into a buffer of 1 MiB, which is written to the file when
/// it is full; rows of that size are written without a copy. Rows become part of the array, and
/// durable, on [`flush`](Appender::flush); a crash before a flush, or dropping the appender without
/// one, leaves the array with the rows of the last flush.
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::Store;
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("log.npy");
///
/// let mut log = Store::<f64, _>::create(&path, (0, 3))?;
/// let mut appender = log.appender()?;
/// for step in 0..1000 {
///     appender.push(&array![step as f64, 0.5, 1.5])?;
/// }
/// appender.flush()?;
/// assert_eq!(log.shape(), [1000, 3]);
/// # Ok::<(), ndstore::Error>(())
/// ```
#[must_use = "rows are published by `flush`"]
pub struct Appender<'a, A: Element, D: Dimension, M: Growable = ReadWrite> {
    store: &'a mut Store<A, D, M>,
    buffer: Vec<A>,
    /// Rows in the buffer and in the file that are not published.
    rows: usize,
}

/// The bytes of rows that are collected before they are written.
const GATHER: usize = 1 << 20;

impl<A: Element, D: Dimension, M: Growable> Appender<'_, A, D, M> {
    /// Adds one row, an array that lacks the slowest axis of the store.
    ///
    /// # Errors
    ///
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch), and those of writing:
    /// [`NoSpace`](ErrorKind::NoSpace), [`FileTooLarge`](ErrorKind::FileTooLarge),
    /// [`Truncated`](ErrorKind::Truncated) if somebody cut the file. After an error of writing the
    /// rows since the last flush are gone.
    pub fn push(&mut self, row: &ArrayRef<A, D::Smaller>) -> Result<()> {
        let shape = self.store.shape();
        let fits = match self.store.order() {
            Order::C => shape.get(1..) == Some(row.shape()),
            Order::F => shape
                .split_last()
                .is_some_and(|(_, rest)| rest == row.shape()),
        };
        if !fits {
            let axis = shape::slowest_axis(shape.len(), self.store.order());
            let expected = shape
                .iter()
                .enumerate()
                .filter(|&(at, _)| Some(at) != axis)
                .map(|(_, &n)| n)
                .collect();
            let found = row.shape().to_vec();
            let context = self.store.file.context("append to");
            return Err(context.fail(ErrorKind::ShapeMismatch { expected, found }));
        }
        self.rows += 1;
        if row.len() * size_of::<A>() >= GATHER {
            // All rows of an array have this length, so none of them is in the buffer.
            let written = self.store.write_rows(row);
            return self.note(written);
        }
        match (self.store.order(), row.as_slice()) {
            (Order::C, Some(elements)) => self.buffer.extend_from_slice(elements),
            (Order::C, None) => self.buffer.extend(row),
            (Order::F, _) => self.buffer.extend(row.t()),
        }
        if size_of_val(&self.buffer[..]) >= GATHER {
            self.write()?;
        }
        Ok(())
    }

    /// Writes the buffer behind the array.
    fn write(&mut self) -> Result<()> {
        let bytes = bytemuck::cast_slice(&self.buffer);
        let written = self
            .store
            .file
            .write_rows(bytes.len() as u64, |writer| writer.write(bytes));
        self.buffer.clear();
        self.note(written)
    }

    /// Resets the count after a failure, which leaves no unpublished rows in the file.
    fn note(&mut self, written: Result<()>) -> Result<()> {
        if written.is_err() {
            self.rows = 0;
        }
        written
    }

    /// Makes the rows part of the array, and waits until they are on the disk.
    ///
    /// # Errors
    ///
    /// As [`append`](Store::append). Rows that were not published are then gone.
    pub fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.write()?;
        let rows = std::mem::take(&mut self.rows);
        self.store.publish(rows)
    }
}

impl<A: Element, D: Dimension, M: Growable> fmt::Debug for Appender<'_, A, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appender")
            .field("store", self.store)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}
