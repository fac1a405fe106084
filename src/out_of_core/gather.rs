//! Gather and scatter: rows by index, in any order.
//!
//! What is in the page cache is read as it is asked for, by reads that do not wait. From the first row on that they do not bring
//! each may be a request to the disk, and one after the other they cost its latency each. So those rows are sorted, those near
//! each other are read together, thousands of requests are under way at a time, and those of the next window are while the rows
//! of this one are read.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

use ndarray::{Array, ArrayRef, ArrayViewMut, Axis, Dimension, IxDyn, ShapeBuilder, Slice};

use super::cast::Cast;
use super::pass::{self, Pieces};
use super::source::{Part, Source};
use super::work::{Meter, OutOfCore, OutOfCoreMut};
use crate::element::Element;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::shape::{self, Order};
use crate::store::{self, Layout, Store};
use crate::sys;

/// What the page cache holds at a time: who overwrites all of it reads nothing.
const PAGE: usize = 4096;

/// Bytes between two rows that are read along: a request of its own would cost more.
const GAP: usize = 16 << 10;

/// How much of the file one window is, in requests and in bytes, if the budget has room.
const REQUESTS: usize = 2048;
const WINDOW: usize = 8 << 20;

/// So many bytes are read at a time for the rows in them.
const STRIP: usize = 1 << 20;

/// How many of the rows that are to be overwritten are asked for whether they are cached.
const SAMPLE: usize = 64;

/// How many rows of a batch to come are asked for that.
const FEW: usize = 4;

/// The least number of rows that are sorted at a time.
const LEAST_BATCH: usize = 1024;

/// The bytes and the rows of a piece that one thread reads out of the page cache, at most.
const PIECE: usize = 1 << 20;
const PIECE_ROWS: usize = 4096;

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
    /// - [`IndexOutOfBounds`](ErrorKind::IndexOutOfBounds), [`AxisOutOfBounds`](ErrorKind::AxisOutOfBounds) for a 0-d array.
    /// - [`OverBudget`](ErrorKind::OverBudget), [`ShapeTooLarge`](ErrorKind::ShapeTooLarge).
    /// - [`Io`](ErrorKind::Io), [`Truncated`](ErrorKind::Truncated), [`Cancelled`](ErrorKind::Cancelled).
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
        let Selection { shape, row, nbytes } = Selection::new(self.source.part(), context, rows)?;
        let mut meter = self.work.meter(context, nbytes as u64);
        // Converted elements may have more bytes than those in the file.
        let nbytes = store::check_size(context, &shape, size_of::<A>())?;
        let budget = self.work.memory_for(nbytes);
        let over_budget = || {
            context.fail(ErrorKind::OverBudget {
                needed: nbytes as u64,
                budget: budget as u64,
            })
        };
        let spare = budget.checked_sub(nbytes).ok_or_else(over_budget)?;
        let dim = self.dim_of(&shape);
        let elements = sys::zeroed_vec::<A>(dim.size());
        let mut elements = elements.ok_or_else(over_budget)?;
        read_rows(&self.source, rows, row, &mut elements, spare, &mut meter)?;
        let shape = dim.set_f(self.source.order() == Order::F);
        Ok(Array::from_shape_vec(shape, elements).expect("they are as many as the shape has"))
    }

    /// Fills an array with the rows with these indices, in the order of the indices, which may repeat: a batch for a model, into
    /// the memory of the one before.
    ///
    /// What [`gather`](OutOfCore::gather) says about rows holds here, too. The array has the rank of this one, its length along
    /// every other axis, and a row for each index. It is the caller's, so it does not count towards the budget. One that lies
    /// in the order of the file is read into; any other one is filled from what takes as much memory again.
    ///
    /// # Errors
    ///
    /// As for [`gather`](OutOfCore::gather); [`ShapeMismatch`](ErrorKind::ShapeMismatch). The array may be filled in part.
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
    /// let mut batch = Array2::zeros((2, 2));
    /// for rows in [[2, 0], [1, 1]] {
    ///     store.out_of_core().gather_into(&rows, &mut batch)?;
    /// }
    /// assert_eq!(batch, array![[10, 11], [10, 11]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn gather_into(mut self, rows: &[usize], into: &mut ArrayRef<A, D>) -> Result<()> {
        let context = self.source.context("gather rows of");
        let Selection { shape, row, nbytes } = Selection::new(self.source.part(), context, rows)?;
        if shape != into.shape() {
            return Err(context.fail(ErrorKind::ShapeMismatch {
                expected: shape,
                found: into.shape().to_vec(),
            }));
        }
        let in_file_order = match self.source.order() {
            Order::C => into.view_mut(),
            Order::F => into.view_mut().reversed_axes(),
        };
        let Some(elements) = in_file_order.into_slice() else {
            into.assign(&self.gather(rows)?);
            return Ok(());
        };
        let memory = self.work.memory_for(nbytes);
        let mut meter = self.work.meter(context, nbytes as u64);
        read_rows(&self.source, rows, row, elements, memory, &mut meter)
    }

    fn dim_of(&self, shape: &[usize]) -> D {
        let mut dim = self.dim.clone();
        dim.slice_mut().copy_from_slice(shape);
        dim
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
    /// As for [`gather`](OutOfCore::gather), less [`OverBudget`](ErrorKind::OverBudget), and as for
    /// [`Store::create_from`]; [`InvalidOption`](ErrorKind::InvalidOption) if [`output`](OutOfCore::output) asks for another
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
        let Selection { shape, row, nbytes } = Selection::new(self.source.part(), context, rows)?;
        let order = self.source.order();
        let reason =
            "rows are gathered in the order of the array; leave the order of the output out";
        self.work.check_order(context, order, reason)?;
        let budget = self.work.memory();
        let mut meter = self.work.meter(context, nbytes as u64);
        let batch = (budget / 2 / (row / self.source.itemsize() * size_of::<A>()).max(1)).max(1);
        let piece = (budget / 2).max(PIECE);
        let fill = |filler: &mut store::Filler<'_>| {
            if row > piece {
                return copy_rows(&self.source, rows, row, piece, filler, &mut meter);
            }
            let len = row / self.source.itemsize();
            let mut buffer = bytemuck::zeroed_vec::<A>(batch.min(rows.len()) * len);
            for rows in rows.chunks(batch) {
                let part = &mut buffer[..rows.len() * len];
                read_rows(&self.source, rows, row, part, budget / 2, &mut meter)?;
                filler.write(bytemuck::cast_slice(part))?;
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
    /// - [`IndexOutOfBounds`](ErrorKind::IndexOutOfBounds), [`ShapeMismatch`](ErrorKind::ShapeMismatch),
    ///   [`AxisOutOfBounds`](ErrorKind::AxisOutOfBounds) for a 0-d array: nothing was written.
    /// - [`NoSpace`](ErrorKind::NoSpace) (in a file with holes), [`Io`](ErrorKind::Io), [`Cancelled`](ErrorKind::Cancelled),
    ///   [`Truncated`](ErrorKind::Truncated) (with [`MapOptions::guard`](crate::MapOptions::guard), [`Faulted`](ErrorKind::Faulted)):
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
        let part = self.source.part();
        let file = part.file;
        let context = file.context("scatter rows into");
        let Selection { shape, row, nbytes } = Selection::new(part, context, rows)?;
        if shape != values.shape() {
            return Err(context.fail(ErrorKind::ShapeMismatch {
                expected: shape,
                found: values.shape().to_vec(),
            }));
        }
        let places = Rows::new(part, row);
        let mut meter = self.work.meter(context, nbytes as u64);
        let order = part.order();
        let axis = Axis(shape::slowest_axis(shape.len(), order).expect("there are rows"));
        let mut done = 0;
        let mut write = |Wanted { row: index, place }, count: usize| {
            let values = values.slice_axis(axis, Slice::from(place..place + count));
            if places.are_runs {
                let mut position = places.bytes(index).start as u64;
                store::for_each_piece(&values, order, |piece| {
                    file.write_at(context.op, position, piece)?;
                    position += piece.len() as u64;
                    Ok::<_, Error>(())
                })?;
            } else {
                let values = match order {
                    Order::C => values.into_dyn(),
                    Order::F => values.reversed_axes().into_dyn(),
                };
                let lattice = part.lattice.rows(index..index + count);
                file.write_lattice(&lattice, values, true)?;
            }
            done += count * row;
            match done {
                REPORT.. => meter.add(std::mem::take(&mut done) as u64),
                _ => Ok(()),
            }
        };
        let batch = batch(self.work.memory());
        for (index, rows) in rows.chunks(batch).enumerate() {
            let wanted = Wanted::all(rows, index * batch);
            if row == 0 || places.nothing_to_read() || places.are_cached(rows) {
                places.for_each_run(wanted, &mut write)?;
                continue;
            }
            let mut sorted: Vec<Wanted> = wanted.collect();
            sorted.sort_unstable();
            let each = |rows: &[Wanted]| places.for_each_run(rows.iter().copied(), &mut write);
            places.in_windows(&sorted, self.work.memory(), each)?;
        }
        match done {
            0 => Ok(()),
            _ => meter.add(done as u64),
        }
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
    fn new(part: &Part<'_>, context: Context<'_>, rows: &[usize]) -> Result<Selection> {
        let mut shape = part.shape.clone();
        let Some(axis) = shape::slowest_axis(shape.len(), part.order()) else {
            return Err(context.fail(ErrorKind::AxisOutOfBounds { axis: 0, ndim: 0 }));
        };
        let count = std::mem::replace(&mut shape[axis], rows.len());
        if let Some(&index) = rows.iter().find(|&&row| row >= count) {
            return Err(context.fail(ErrorKind::IndexOutOfBounds { index, rows: count }));
        }
        let itemsize = part.file.array.dtype.itemsize();
        let nbytes = store::check_size(context, &shape, itemsize)?;
        let row = nbytes.checked_div(rows.len()).unwrap_or(0);
        Ok(Selection { shape, row, nbytes })
    }
}

/// Asks the disk for rows that are to be gathered next, as far as they make a window, unless the page cache has them. Indices that
/// are not there are refused when they are gathered.
pub(super) fn ask_ahead(part: &Part<'_>, rows: &[usize], memory: usize) {
    let Ok(Selection { row, .. }) = Selection::new(part, part.file.context("gather"), rows) else {
        return;
    };
    let places = Rows::new(part, row);
    // What a warm file costs a loader: a few calls a batch.
    let few = rows.iter().step_by(rows.len().div_ceil(FEW).max(1));
    let few: Vec<usize> = few.copied().collect();
    if row == 0 || places.are_cached(&few) {
        return;
    }
    let mut sorted: Vec<Wanted> = Wanted::all(rows, 0).collect();
    sorted.sort_unstable();
    places.ask(&sorted, memory);
}

/// How many elements a row has.
pub(super) fn row_len<A: Element>(source: &Source<'_, A>) -> usize {
    let rows = source.part().lattice.axes().next();
    rows.map_or(0, |(count, _)| source.len().checked_div(count).unwrap_or(0))
}

/// Reads rows of `row` bytes each, in the order of their indices, with `spare` bytes of memory.
fn read_rows<A: Element>(
    source: &Source<'_, A>,
    rows: &[usize],
    row: usize,
    into: &mut [A],
    spare: usize,
    meter: &mut Meter<'_>,
) -> Result<()> {
    let context = source.context("gather rows of");
    if row == 0 {
        return Ok(());
    }
    if let Some(cast) = source.as_cast() {
        return match cast.itemsize {
            1 => read_cast::<u8, A>(source, cast, rows, row, into, spare, meter),
            2 => read_cast::<u16, A>(source, cast, rows, row, into, spare, meter),
            4 => read_cast::<u32, A>(source, cast, rows, row, into, spare, meter),
            _ => read_cast::<u64, A>(source, cast, rows, row, into, spare, meter),
        };
    }
    let into = bytemuck::cast_slice_mut(into);
    let places = Rows::new(source.part(), row);
    let batch = batch(spare);
    for (rows, into) in rows
        .chunks(batch)
        .zip(into.chunks_mut(batch.saturating_mul(row)))
    {
        let mut missing = read_cached(source, &places, rows, into, meter)?;
        missing.sort_unstable();
        let mut strip = Vec::new();
        let mut done = 0;
        places.in_windows(&missing, spare, |rows| {
            places.read_strips(context, rows, spare, &mut strip, into)?;
            done += rows.len() * row;
            match done {
                REPORT.. => meter.add(std::mem::take(&mut done) as u64),
                _ => Ok(()),
            }
        })?;
        if done > 0 {
            meter.add(done as u64)?;
        }
    }
    source.convert(into);
    Ok(())
}

/// As [`read_rows`], of numbers that have as many bytes as an `U` and become elements of type `A`.
fn read_cast<U: Element, A: Element>(
    source: &Source<'_, A>,
    cast: &Cast<A>,
    rows: &[usize],
    row: usize,
    into: &mut [A],
    spare: usize,
    meter: &mut Meter<'_>,
) -> Result<()> {
    let len = row / size_of::<U>();
    let context = source.context("gather rows of");
    if row > PIECE {
        for (row, into) in rows.iter().zip(into.chunks_mut(len)) {
            source.read(context, row * len..(row + 1) * len, into)?;
            meter.add((len * size_of::<U>()) as u64)?;
        }
        return Ok(());
    }
    let bits = source.bits::<U>();
    let at_once = ((spare / 2).min(WINDOW) / row).max(1);
    let mut buffer = bytemuck::zeroed_vec::<U>(at_once.min(rows.len()) * len);
    for (rows, into) in rows.chunks(at_once).zip(into.chunks_mut(at_once * len)) {
        let numbers = &mut buffer[..rows.len() * len];
        read_rows(&bits, rows, row, numbers, spare / 2, meter)?;
        (cast.make)(bytemuck::cast_slice(numbers), into);
    }
    Ok(())
}

/// How many rows are sorted at a time, where there is so much memory.
fn batch(memory: usize) -> usize {
    (memory / 4 / size_of::<Wanted>()).max(LEAST_BATCH)
}

/// Reads rows as long as the page cache has them, on all threads where there are many. Returns those that are left.
fn read_cached<A: Element>(
    source: &Source<'_, A>,
    places: &Rows<'_>,
    rows: &[usize],
    into: &mut [u8],
    meter: &mut Meter<'_>,
) -> Result<Vec<Wanted>> {
    let row = places.row;
    let (context, file) = (source.context("gather rows of"), source.file());
    let count = (PIECE / row).clamp(1, PIECE_ROWS);
    let parts: Vec<_> = into.chunks_mut(count * row).map(Mutex::new).collect();
    let is_cold = AtomicBool::new(false);
    let mut missing = Vec::new();
    let each = |index: usize, _: &mut ()| {
        let first = index * count;
        let rows = &rows[first..rows.len().min(first + count)];
        // Each is asked for once.
        let mut into = parts[index].lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing = Vec::new();
        places.for_each_run(Wanted::all(rows, first), |wanted, count| {
            let bytes = places.bytes(wanted.row);
            let into = &mut into[(wanted.place - first) * row..][..count * row];
            if !places.are_runs {
                let lattice = places.part.lattice.rows(wanted.row..wanted.row + count);
                let lens: Vec<_> = lattice.axes().map(|(len, _)| len).collect();
                let into = bytemuck::cast_slice_mut::<u8, A>(into);
                let view = ArrayViewMut::from_shape(IxDyn(&lens), into);
                let view = view.expect("there is room for the rows");
                return file.read_lattice(context.op, &lattice, view);
            }
            if file.private_bytes().is_some() {
                return file.read_at(context.op, bytes.start, into);
            }
            let offset = file.array.in_file(bytes).start;
            // Such a read asks the disk for what it lacks, and in this order the disk is slow.
            if is_cold.load(Relaxed) || !sys::read_cached(file.file(), into, offset) {
                is_cold.store(true, Relaxed);
                missing.extend((0..count).map(|more| wanted.and(more)));
            }
            Ok(())
        })?;
        Ok(missing)
    };
    let pieces = Pieces::independent(parts.len());
    pass::run(pieces, meter, each, |index, others: Vec<Wanted>| {
        let rows = count.min(rows.len() - index * count);
        let done = (rows - others.len()) * row;
        missing.extend(others);
        Ok::<_, Error>(done as u64)
    })?;
    Ok(missing)
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
    let len = row / source.itemsize();
    let piece_len = (piece / size_of::<A>()).max(1);
    let mut buffer = bytemuck::zeroed_vec::<A>(piece_len.min(len));
    for row in rows {
        for start in (0..len).step_by(piece_len) {
            let elements = &mut buffer[..piece_len.min(len - start)];
            let first = row * len + start;
            let range = first..first + elements.len();
            source.read(source.context("gather rows of"), range, elements)?;
            filler.write(bytemuck::cast_slice(elements))?;
            meter.add((elements.len() * source.itemsize()) as u64)?;
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

impl Wanted {
    /// These rows, of which the first has this place.
    fn all(rows: &[usize], first: usize) -> impl Iterator<Item = Wanted> {
        let places = first..;
        rows.iter()
            .zip(places)
            .map(|(&row, place)| Wanted { row, place })
    }

    /// The row so many rows further, in the place so many places further.
    fn and(self, more: usize) -> Wanted {
        Wanted {
            row: self.row + more,
            place: self.place + more,
        }
    }
}

/// Where the rows of an array are in the file.
struct Rows<'a> {
    part: &'a Part<'a>,
    /// The bytes of a row.
    row: usize,
    /// Where the first one is, and how far apart they are, in bytes.
    first: usize,
    pitch: usize,
    /// Whether the bytes of each lie together.
    are_runs: bool,
}

impl<'a> Rows<'a> {
    fn new(part: &'a Part<'a>, row: usize) -> Rows<'a> {
        let itemsize = part.file.array.dtype.itemsize();
        let (count, pitch) = part.lattice.axes().next().unwrap_or((0, 0));
        let one = part.lattice.rows(0..count.min(1));
        Rows {
            part,
            row,
            first: one.hull().start * itemsize,
            pitch: pitch * itemsize,
            are_runs: one.is_run(),
        }
    }

    /// The bytes of a row, or from its first to its last.
    fn bytes(&self, index: usize) -> Range<usize> {
        let start = self.first + index * self.pitch;
        start..start + self.row
    }

    /// Whether overwriting a row reads nothing.
    fn nothing_to_read(&self) -> bool {
        let starts = self.part.file.array.in_file(self.first..self.first).start;
        let aligned = [self.row, self.pitch]
            .iter()
            .all(|bytes| bytes.is_multiple_of(PAGE));
        self.are_runs && aligned && starts.is_multiple_of(PAGE as u64)
    }

    /// Whether the page cache seems to hold these rows.
    fn are_cached(&self, rows: &[usize]) -> bool {
        let file = self.part.file;
        let step = rows.len().div_ceil(SAMPLE).max(1);
        rows.iter().step_by(step).all(|&row| {
            let offset = file.array.in_file(self.bytes(row)).start;
            sys::is_cached(file.file(), offset)
        })
    }

    /// Calls `each` with all rows in the order given, those together that follow each other in the file and in their places, by
    /// the first and their number.
    fn for_each_run(
        &self,
        wanted: impl Iterator<Item = Wanted>,
        mut each: impl FnMut(Wanted, usize) -> Result<()>,
    ) -> Result<()> {
        let most = match self.pitch == self.row {
            true => (REPORT / self.row.max(1)).max(1),
            false => 1,
        };
        let mut wanted = wanted.peekable();
        while let Some(first) = wanted.next() {
            let mut count = 1;
            while count < most && wanted.next_if_eq(&first.and(count)).is_some() {
                count += 1;
            }
            each(first, count)?;
        }
        Ok(())
    }

    /// Calls `each` with the rows of one window after the other, those of the next on their way from the disk.
    fn in_windows(
        &self,
        mut rest: &[Wanted],
        memory: usize,
        mut each: impl FnMut(&[Wanted]) -> Result<()>,
    ) -> Result<()> {
        let mut count = self.ask(rest, memory);
        while !rest.is_empty() {
            let (now, after) = rest.split_at(count);
            count = self.ask(after, memory);
            each(now)?;
            rest = after;
        }
        Ok(())
    }

    /// Asks the disk for the first window of rows that are sorted. Returns how many these are.
    fn ask(&self, sorted: &[Wanted], memory: usize) -> usize {
        let (count, requests) = self.window(sorted, memory);
        for range in requests {
            // Of a row that is longer than a window the kernel sees by itself that it is read in order.
            let start = range.start..range.end.min(range.start + WINDOW);
            let file = self.part.file;
            sys::prefetch(file.file(), file.array.in_file(start));
        }
        count
    }

    fn window(&self, sorted: &[Wanted], memory: usize) -> (usize, Vec<Range<usize>>) {
        let bytes = |wanted: &Wanted| self.bytes(wanted.row);
        window(sorted, bytes, REQUESTS, WINDOW.min(memory / 8))
    }

    /// Reads rows that are sorted, those near each other together with what lies between them.
    fn read_strips(
        &self,
        context: Context<'_>,
        mut sorted: &[Wanted],
        memory: usize,
        strip: &mut Vec<u8>,
        into: &mut [u8],
    ) -> Result<()> {
        let row = self.row;
        while let Some(&first) = sorted.first() {
            let mut hull = self.bytes(first.row);
            let end = hull.start + STRIP.min(memory / 8);
            let near = |rows: &[Wanted]| {
                self.bytes(rows[1].row).start <= self.bytes(rows[0].row).end + GAP
            };
            let fits = |rows: &[Wanted]| self.bytes(rows[1].row).end <= end;
            let more = sorted
                .windows(2)
                .take_while(|rows| near(rows) && fits(rows));
            let (now, after) = sorted.split_at(1 + more.count());
            let read = |bytes: Range<usize>, into: &mut [u8]| {
                self.part.file.read_at(context.op, bytes.start, into)
            };
            match now {
                [one] => read(hull, &mut into[one.place * row..][..row])?,
                [.., last] => {
                    hull.end = self.bytes(last.row).end;
                    strip.resize(hull.len(), 0);
                    read(hull.clone(), strip)?;
                    for wanted in now {
                        let start = self.bytes(wanted.row).start - hull.start;
                        let bytes = &strip[start..start + row];
                        into[wanted.place * row..][..row].copy_from_slice(bytes);
                    }
                }
                [] => {}
            }
            sorted = after;
        }
        Ok(())
    }
}

/// How many of these rows make a window, and what of the array is to be read for it, in bytes: at least one row, and no more
/// than so many requests and bytes otherwise.
fn window(
    sorted: &[Wanted],
    bytes: impl Fn(&Wanted) -> Range<usize>,
    requests: usize,
    nbytes: usize,
) -> (usize, Vec<Range<usize>>) {
    let mut window: Vec<Range<usize>> = Vec::new();
    let mut total = 0;
    for (index, wanted) in sorted.iter().enumerate() {
        let range = bytes(wanted);
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
            let bytes = |wanted: &Wanted| wanted.row * row..(wanted.row + 1) * row;
            let (count, ranges) = window(&sorted, bytes, requests, nbytes);
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
