//! Gather and scatter: rows by index, in any order.
//!
//! A row that is not in the page cache costs a request to the disk, and one after the other they cost its latency each. So
//! the rows that are wanted are sorted, those near each other become one request, thousands of requests are under way at a
//! time, and those of the next window are while the rows of this one are copied. Where everything is cached all that would
//! be in the way: a sample is asked first.

use std::ops::Range;
use std::path::Path;

use ndarray::{Array, ArrayRef, Axis, Dimension, ShapeBuilder, Slice};

use super::source::Source;
use super::work::{Meter, OutOfCore, OutOfCoreMut};
use crate::element::Element;
use crate::error::{Context, Error, Result};
use crate::shape::{self, Order};
use crate::store::{self, Array as Description, ArrayFile, Layout, Store};
use crate::sys;

/// What the page cache holds at a time: who overwrites all of it reads nothing.
const PAGE: usize = 4096;

/// Bytes between two rows that are read along: a request of its own would cost more.
const GAP: usize = 16 << 10;

/// How much of the file one window is, in requests and in bytes, if the budget has room.
const REQUESTS: usize = 2048;
const WINDOW: usize = 8 << 20;

/// How many of the rows of a batch and of the requests of a window are asked for whether they are cached.
const ROW_SAMPLE: usize = 64;
const REQUEST_SAMPLE: usize = 8;

/// The least number of rows that are sorted at a time.
const LEAST_BATCH: usize = 1024;

/// Of rows that exceed the budget so many bytes are read at a time, or more.
const PIECE: usize = 1 << 20;

/// How many bytes are copied between two reports of progress.
const REPORT: usize = 4 << 20;

impl<A: Element, D: Dimension> OutOfCore<'_, A, D> {
    /// Returns the rows with these indices, in the order of the indices, which may repeat: NumPy's `m[rows]`.
    ///
    /// A row is what [`append`](Store::append) appends: the rows of an array lie along its slowest axis, the first in C order
    /// and **the last in Fortran order** (`np.take(m, rows, axis=-1)`), so that each is one piece of the file. The result has
    /// the order of the array.
    ///
    /// Costs reading the rows, many at a time and in the order of the file; of rows smaller than a page, the pages that they
    /// are in. The result counts towards the budget; [`gather_to`](OutOfCore::gather_to) is for one that exceeds it.
    ///
    /// # Errors
    ///
    /// - [`IndexOutOfBounds`](Error::IndexOutOfBounds), [`AxisOutOfBounds`](Error::AxisOutOfBounds) for a 0-d array.
    /// - [`OverBudget`](Error::OverBudget), [`ShapeTooLarge`](Error::ShapeTooLarge).
    /// - [`Io`](Error::Io), [`Truncated`](Error::Truncated), [`Cancelled`](Error::Cancelled).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("m.npy");
    ///
    /// let store = Store::create_from(&path, &array![[0, 1], [10, 11], [20, 21]])?;
    /// let rows = store.out_of_core().gather(&[2, 0, 2])?;
    /// assert_eq!(rows, array![[20, 21], [0, 1], [20, 21]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    #[doc(alias = "take")]
    pub fn gather(mut self, rows: &[usize]) -> Result<Array<A, D>> {
        let context = self.source.context("gather rows of");
        let array = self.source.array();
        let Selection { shape, row, nbytes } = Selection::new::<A>(context, array, rows)?;
        let budget = self.work.memory_for(nbytes);
        let Some(spare) = budget.checked_sub(nbytes) else {
            return Err(Error::OverBudget {
                path: context.path(),
                op: context.op,
                needed: nbytes as u64,
                budget: budget as u64,
            });
        };
        let mut dim = self.dim.clone();
        dim.slice_mut().copy_from_slice(&shape);
        let mut elements: Vec<A> = bytemuck::zeroed_vec(dim.size());
        let mut meter = self.work.meter(context, nbytes as u64);
        let into = bytemuck::cast_slice_mut(&mut elements);
        read_rows(&self.source, rows, row, into, spare, &mut meter)?;
        let shape = dim.set_f(array.order == Order::F);
        Ok(Array::from_shape_vec(shape, elements).expect("they are as many as the shape has"))
    }

    /// Writes the rows with these indices to a new array, in the order of the indices, which may repeat. What
    /// [`gather`](OutOfCore::gather) says about rows and indices holds here, too.
    ///
    /// Rows are gathered in batches of half the budget, and one that exceeds it piece by piece, so it is kept however many and
    /// however long they are. Costs reading the rows and writing them; of rows smaller than a page each batch reads the
    /// pages that they are in, which may be all. The new file takes its path once it is whole and durable, as that of
    /// [`create_from`](Store::create_from) does.
    ///
    /// # Errors
    ///
    /// As for [`gather`](OutOfCore::gather), less [`OverBudget`](Error::OverBudget), and as for
    /// [`Store::create_from`]; [`InvalidOption`](Error::InvalidOption) if [`output`](OutOfCore::output) asks for another
    /// order than the array's. An old file at the path is then as it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (path, new) = (dir.path().join("m.npy"), dir.path().join("new.npy"));
    ///
    /// let store = Store::create_from(&path, &array![[0, 1], [10, 11], [20, 21]])?;
    /// let reversed = store.out_of_core().gather_to(&new, &[2, 1, 0])?;
    /// assert_eq!(reversed.read_all()?, array![[20, 21], [10, 11], [0, 1]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn gather_to(mut self, path: impl AsRef<Path>, rows: &[usize]) -> Result<Store<A, D>> {
        let context = self.source.context("gather rows of");
        let array = self.source.array();
        let Selection { shape, row, nbytes } = Selection::new::<A>(context, array, rows)?;
        let order = array.order;
        let reason =
            "rows are gathered in the order of the array; leave the order of the output out";
        self.work.check_order(context, order, reason)?;
        let budget = self.work.memory();
        let mut meter = self.work.meter(context, nbytes as u64);
        let batch = (budget / 2 / row.max(1)).max(1);
        let piece = (budget / 2).max(PIECE);
        let fill = |filler: &mut store::Filler<'_>| {
            if row > piece {
                return copy_rows(&self.source, rows, row, piece, filler, &mut meter);
            }
            let mut buffer = bytemuck::zeroed_vec(batch.min(rows.len()) * row);
            for rows in rows.chunks(batch) {
                let part = &mut buffer[..rows.len() * row];
                read_rows(&self.source, rows, row, part, budget / 2, &mut meter)?;
                filler.write(part)?;
            }
            Ok(())
        };
        let options = self.work.options();
        let layout = Layout::of::<A, D>(path.as_ref(), &shape, order, options)?;
        let file = store::create_filled(path.as_ref(), layout, options, fill)?;
        Ok(Store::from_file(file)?)
    }
}

impl<A: Element, D: Dimension> OutOfCoreMut<'_, A, D> {
    /// Overwrites the rows with these indices by those of `values`: NumPy's `m[rows] = values`. Where an index repeats, the
    /// last row wins.
    ///
    /// What is a row is said at [`gather`](OutOfCore::gather); `values` has the rank of the array, its length along every
    /// other axis, and a row for each index. Costs writing the rows to the page cache, and reading the pages that they fill
    /// only in part. They are durable after the next [`flush`](Store::flush).
    ///
    /// # Errors
    ///
    /// - [`IndexOutOfBounds`](Error::IndexOutOfBounds), [`ShapeMismatch`](Error::ShapeMismatch),
    ///   [`AxisOutOfBounds`](Error::AxisOutOfBounds) for a 0-d array: nothing was written.
    /// - [`NoSpace`](Error::NoSpace) (in a file with holes), [`Io`](Error::Io), [`Cancelled`](Error::Cancelled),
    ///   [`Truncated`](Error::Truncated) (with [`MapOptions::guard`](crate::MapOptions::guard), [`Faulted`](Error::Faulted)):
    ///   some rows were written and some not.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("m.npy");
    ///
    /// let mut store = Store::<i32, _>::create(&path, (3, 2))?;
    /// store.out_of_core_mut().scatter(&[2, 0], &array![[1, 2], [3, 4]])?;
    /// assert_eq!(store.read_all()?, array![[3, 4], [0, 0], [1, 2]]);
    /// store.flush()?;
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    #[doc(alias = "put")]
    pub fn scatter(mut self, rows: &[usize], values: &ArrayRef<A, D>) -> Result<()> {
        let (file, array) = (self.file, &self.file.array);
        let context = file.context("scatter rows into");
        let Selection { shape, row, nbytes } = Selection::new::<A>(context, array, rows)?;
        if shape != values.shape() {
            return Err(Error::ShapeMismatch {
                path: context.path(),
                op: context.op,
                expected: shape,
                found: values.shape().to_vec(),
            });
        }
        let walk = Walk {
            file,
            row,
            spare: self.work.memory(),
            cached: array.offset.is_multiple_of(PAGE as u64) && row.is_multiple_of(PAGE),
        };
        let mut meter = self.work.meter(context, nbytes as u64);
        let order = array.order;
        let axis = Axis(shape::slowest_axis(shape.len(), order).expect("there are rows"));
        walk.visit(rows, &mut meter, |range, place| {
            let places = Slice::from(place..place + range.len() / row);
            let mut position = range.start;
            store::for_each_piece(&values.slice_axis(axis, places), order, |piece| {
                file.write_at(context.op, position as u64, piece)?;
                position += piece.len();
                Ok(())
            })
        })
    }
}

/// What rows of these indices are together.
struct Selection {
    shape: Vec<usize>,
    /// The bytes of a row.
    row: usize,
    /// The bytes of all of them.
    nbytes: usize,
}

impl Selection {
    /// Checks that the array has all these rows, and that they make an array.
    fn new<A>(context: Context<'_>, array: &Description, rows: &[usize]) -> Result<Selection> {
        let mut shape = array.shape.clone();
        let Some(axis) = shape::slowest_axis(shape.len(), array.order) else {
            return Err(Error::AxisOutOfBounds {
                path: context.path(),
                op: context.op,
                axis: 0,
                ndim: 0,
            });
        };
        let count = std::mem::replace(&mut shape[axis], rows.len());
        if let Some(&index) = rows.iter().find(|&&row| row >= count) {
            return Err(Error::IndexOutOfBounds {
                path: context.path(),
                op: context.op,
                index,
                rows: count,
            });
        }
        let itemsize = size_of::<A>();
        let nbytes = store::check_size(context, &shape, itemsize)?;
        let row = nbytes.checked_div(rows.len()).unwrap_or(0);
        Ok(Selection { shape, row, nbytes })
    }
}

/// Reads rows of `row` bytes each, in the order of their indices, with `spare` bytes of memory.
fn read_rows<A: Element>(
    source: &Source<'_, A>,
    rows: &[usize],
    row: usize,
    into: &mut [u8],
    spare: usize,
    meter: &mut Meter<'_>,
) -> Result<()> {
    let context = source.context("gather rows of");
    let walk = Walk {
        file: source.file(),
        row,
        spare,
        cached: false,
    };
    walk.visit(rows, meter, |range, place| {
        let into = &mut into[place * row..][..range.len()];
        source.file().read_at(context.op, range.start, into)
    })?;
    if let Some(swap) = source.swap() {
        swap.apply(into);
    }
    Ok(())
}

/// Passes on rows of `row` bytes each that are too long for the memory there is, in pieces of at most `piece` bytes, or of one
/// element. The kernel sees by itself that each is read in order.
fn copy_rows<A: Element>(
    source: &Source<'_, A>,
    rows: &[usize],
    row: usize,
    piece: usize,
    filler: &mut store::Filler<'_>,
    meter: &mut Meter<'_>,
) -> Result<()> {
    let len = row / size_of::<A>();
    let piece_len = (piece / size_of::<A>()).max(1);
    let mut buffer = bytemuck::zeroed_vec::<A>(piece_len.min(len));
    for row in rows {
        for start in (0..len).step_by(piece_len) {
            let elements = &mut buffer[..piece_len.min(len - start)];
            let first = row * len + start;
            let range = first..first + elements.len();
            source.read(source.context("gather rows of"), range, elements)?;
            filler.write(bytemuck::cast_slice(elements))?;
            meter.add(size_of_val(elements) as u64)?;
        }
    }
    Ok(())
}

/// A row that is wanted, and its place among those that are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    row: usize,
    place: usize,
}

/// The way to rows by index.
struct Walk<'a> {
    file: &'a ArrayFile,
    /// The bytes of a row.
    row: usize,
    /// The memory that there is, in bytes.
    spare: usize,
    /// Whether no row needs to be read from the disk, so that the page cache is not asked.
    cached: bool,
}

impl Walk<'_> {
    /// Calls `each` with the bytes of all rows and their places among `rows`. Those that lie behind each other in both come
    /// together; those with the same index in the order of their places.
    fn visit(
        &self,
        rows: &[usize],
        meter: &mut Meter<'_>,
        mut each: impl FnMut(Range<usize>, usize) -> Result<()>,
    ) -> Result<()> {
        if self.row == 0 {
            return Ok(());
        }
        let batch = (self.spare / 4 / size_of::<Wanted>()).max(LEAST_BATCH);
        for (index, part) in rows.chunks(batch).enumerate() {
            let first = index * batch;
            let wanted = part.iter().enumerate().map(|(index, &row)| Wanted {
                row,
                place: first + index,
            });
            if self.cached || self.are_cached(part) {
                self.pass(wanted, meter, &mut each)?;
                continue;
            }
            let mut sorted: Vec<Wanted> = wanted.collect();
            sorted.sort_unstable();
            self.pass_sorted(&sorted, meter, &mut each)?;
        }
        Ok(())
    }

    /// Whether the page cache holds this byte of the array.
    fn is_cached(&self, byte: usize) -> bool {
        sys::is_cached(self.file.file(), self.file.array.in_file(byte..byte).start)
    }

    /// Whether the page cache seems to hold these rows.
    fn are_cached(&self, rows: &[usize]) -> bool {
        let step = rows.len().div_ceil(ROW_SAMPLE).max(1);
        let mut sample = rows.iter().step_by(step);
        sample.all(|row| self.is_cached(row * self.row))
    }

    /// Visits rows in file order, the next window on its way from the disk while one is at work.
    fn pass_sorted(
        &self,
        mut rest: &[Wanted],
        meter: &mut Meter<'_>,
        each: &mut impl FnMut(Range<usize>, usize) -> Result<()>,
    ) -> Result<()> {
        let mut count = self.prefetch_window(rest);
        while !rest.is_empty() {
            let (now, after) = rest.split_at(count);
            count = self.prefetch_window(after);
            self.pass(now.iter().copied(), meter, each)?;
            rest = after;
        }
        Ok(())
    }

    /// Starts to read the first of these rows, and says how many of them.
    fn prefetch_window(&self, sorted: &[Wanted]) -> usize {
        let (count, window) = window(sorted, self.row, REQUESTS, WINDOW.min(self.spare / 8));
        let step = window.len().div_ceil(REQUEST_SAMPLE).max(1);
        let mut sample = window.iter().step_by(step);
        if !sample.all(|range| self.is_cached(range.start)) {
            // Of a row that is longer than a window the kernel sees by itself that it is read in order.
            for range in &window {
                let cut = range.start..range.end.min(range.start + WINDOW);
                sys::prefetch(self.file.file(), self.file.array.in_file(cut));
            }
        }
        count
    }

    /// Visits rows in the order given.
    fn pass(
        &self,
        wanted: impl Iterator<Item = Wanted>,
        meter: &mut Meter<'_>,
        each: &mut impl FnMut(Range<usize>, usize) -> Result<()>,
    ) -> Result<()> {
        let mut wanted = wanted.peekable();
        let mut done = 0;
        while let Some(Wanted { row, place }) = wanted.next() {
            let mut count = 1;
            let next = |count| Wanted {
                row: row + count,
                place: place + count,
            };
            while count * self.row < REPORT && wanted.next_if_eq(&next(count)).is_some() {
                count += 1;
            }
            each(row * self.row..(row + count) * self.row, place)?;
            done += count * self.row;
            if done >= REPORT {
                meter.add(std::mem::take(&mut done) as u64)?;
            }
        }
        if done > 0 {
            meter.add(done as u64)?;
        }
        Ok(())
    }
}

/// How many of these rows make a window, and what of the array is to be read for it, in bytes: at least one row, and no more
/// than so many requests and bytes otherwise.
fn window(
    sorted: &[Wanted],
    row: usize,
    requests: usize,
    nbytes: usize,
) -> (usize, Vec<Range<usize>>) {
    let mut window: Vec<Range<usize>> = Vec::new();
    let mut total = 0;
    for (index, wanted) in sorted.iter().enumerate() {
        let range = wanted.row * row..(wanted.row + 1) * row;
        let full = window.len() == requests;
        let near = window
            .last_mut()
            .filter(|last| range.start <= last.end + GAP);
        let more = range.end - near.as_ref().map_or(range.start, |last| last.end);
        if index > 0 && (total + more > nbytes || near.is_none() && full) {
            return (index, window);
        }
        total += more;
        match near {
            Some(last) => last.end = range.end,
            None => window.push(range),
        }
    }
    (sorted.len(), window)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn sorted(rows: &[usize]) -> Vec<Wanted> {
        let wanted = rows.iter().enumerate();
        let mut sorted: Vec<Wanted> = wanted.map(|(place, &row)| Wanted { row, place }).collect();
        sorted.sort_unstable();
        sorted
    }

    proptest! {
        #[test]
        fn a_window_reads_its_rows_and_what_lies_in_small_gaps(
            rows in prop::collection::vec(0..60_usize, 0..40),
            row in prop_oneof![1..100_usize, 1000..40_000_usize],
            requests in 1..20_usize,
            nbytes in 0..400_000_usize,
        ) {
            let sorted = sorted(&rows);
            let (count, ranges) = window(&sorted, row, requests, nbytes);
            prop_assert!(count <= sorted.len() && (count > 0 || sorted.is_empty()));
            // Row by row, without looking ahead: what is wanted, and every gap that is small.
            let rows: BTreeSet<usize> = sorted[..count].iter().map(|wanted| wanted.row).collect();
            let mut naive: Vec<Range<usize>> = Vec::new();
            for &wanted in &rows {
                match naive.last_mut() {
                    Some(last) if wanted * row - last.end <= GAP => last.end = (wanted + 1) * row,
                    _ => naive.push(wanted * row..(wanted + 1) * row),
                }
            }
            prop_assert_eq!(&ranges, &naive);
            // Within the limits, but for the first row; and one more row would pass them.
            let total = |ranges: &[Range<usize>]| ranges.iter().map(|range| range.len()).sum::<usize>();
            prop_assert!(rows.len() <= 1 || ranges.len() <= requests && total(&ranges) <= nbytes);
            if let Some(next) = sorted.get(count) {
                let near = next.row * row <= ranges.last().unwrap().end + GAP;
                let start = if near { ranges.last().unwrap().end } else { next.row * row };
                let more = (next.row + 1) * row - start;
                prop_assert!(total(&ranges) + more > nbytes || !near && ranges.len() == requests);
            }
        }
    }
}
