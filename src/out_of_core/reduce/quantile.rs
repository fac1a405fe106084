//! Quantiles, exact, without sorting the array.
//!
//! A quantile lies between two neighbours in the sorted array, which are found by selection over
//! passes. A pass counts the elements by the leading bits of their ranks. The counts give the
//! leading bits of the wanted elements, and the number of elements that share these bits. As soon
//! as those elements fit in the budget another pass collects them, and the wanted ones are selected
//! in memory; until then the next pass counts the elements by the following bits. That is two
//! passes over nearly every array. (Munro and Paterson, "Search and sorting with limited storage",
//! 1980.)

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ndarray::{Array, Axis, Dimension, RemoveAxis, ShapeBuilder};

use super::empty;
use super::number::RealNumber;
use super::walk::Walk;
use crate::error::{Context, ErrorKind, Result};
use crate::out_of_core::pass::{self, Pieces};
use crate::out_of_core::scan::PIECE;
use crate::out_of_core::source::Source;
use crate::out_of_core::work::{Meter, OutOfCore, Work, reserve};
use crate::shape::Order;

/// The bits that a pass counts by: a table of 2^16 counts stays in the processor's cache.
const DIGIT: u32 = 16;

/// The least number of bits of a pass, if there is little memory for many tables.
const LEAST_DIGIT: u32 = 4;

/// Quantiles, as those of NumPy's `quantile` with its method `linear`: of `n` sorted elements the
/// one at `(n - 1) * q`, and between two of them their weighted mean, computed in `f64`. NaN if any
/// element is NaN. Infinities are treated as other elements, where NumPy's formula gives NaN.
///
/// # Errors
///
/// All of them: [`Empty`](ErrorKind::Empty) if there are no elements;
/// [`InvalidOption`](ErrorKind::InvalidOption) unless each `q` is from 0 to 1;
/// [`Cancelled`](ErrorKind::Cancelled), [`Truncated`](ErrorKind::Truncated) and
/// [`Io`](ErrorKind::Io) as for the sums.
impl<A: RealNumber, D: Dimension> OutOfCore<'_, A, D> {
    /// Returns the median of all elements: the [quantile](OutOfCore::quantile) at 0.5.
    pub fn median(self) -> Result<A::Var> {
        self.quantile(0.5)
    }

    /// Returns the quantile of all elements at `q`. The array is read twice, and more often only if
    /// the memory budget does not hold the elements that are close to the quantile.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("a.npy");
    ///
    /// let store = Store::create_from(&path, &array![[3_i16, 1, 4], [1, 5, 9]])?;
    /// assert_eq!(store.out_of_core().median()?, 3.5);
    /// assert_eq!(store.out_of_core().quantiles(&[0.0, 0.9, 1.0])?, [1.0, 7.0, 9.0]);
    /// assert_eq!(store.out_of_core().median_axis(Axis(1))?, array![3.0, 5.0]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn quantile(self, q: f64) -> Result<A::Var> {
        Ok(self.quantiles(&[q])?[0])
    }

    /// Returns the quantiles of all elements at each of `qs`, by the same passes.
    pub fn quantiles(mut self, qs: &[f64]) -> Result<Vec<A::Var>> {
        let op = "take quantiles of";
        let context = self.source.context(op);
        check(context, qs)?;
        let len = self.source.len();
        if len == 0 {
            return Err(empty(context));
        }
        let between: Vec<_> = qs.iter().map(|&q| Between::new(q, len)).collect();
        let mut places: Vec<usize> = between.iter().flat_map(|between| between.places).collect();
        places.sort_unstable();
        places.dedup();
        let Some(values) = select(&self.source, &mut self.work, op, &places)? else {
            return Ok(vec![A::var_of(f64::NAN); qs.len()]);
        };
        let value = |place| values[places.partition_point(|&other| other < place)];
        Ok(between
            .iter()
            .map(|between| A::var_of(between.mean(value)))
            .collect())
    }
}

/// Quantiles along one axis, which the result lacks, each as for the whole array.
///
/// The array is read once, in panels of columns if the axis is not the fastest one. The elements
/// along the axis of one result have to fit in the memory budget.
///
/// # Errors
///
/// As for the whole array; [`AxisOutOfBounds`](ErrorKind::AxisOutOfBounds), and
/// [`OverBudget`](ErrorKind::OverBudget).
impl<A: RealNumber, D: RemoveAxis> OutOfCore<'_, A, D> {
    /// Returns the medians along an axis. See [`median`](OutOfCore::median).
    pub fn median_axis(self, axis: Axis) -> Result<Array<A::Var, D::Smaller>> {
        self.quantile_axis(axis, 0.5)
    }

    /// Returns the quantiles along an axis at `q`. See [`quantile`](OutOfCore::quantile).
    pub fn quantile_axis(mut self, axis: Axis, q: f64) -> Result<Array<A::Var, D::Smaller>> {
        let op = "take quantiles of";
        let context = self.source.context(op);
        check(context, &[q])?;
        self.check_axis(op, axis)?;
        let order = self.source.order();
        let walk = Walk::along(axis.index(), self.dim.slice(), order);
        let results = along(&self.source, &mut self.work, op, walk, q)?;
        let shape = self.dim.remove_axis(axis).set_f(order == Order::F);
        Ok(Array::from_shape_vec(shape, results)
            .expect("there is a result for each element of the smaller shape"))
    }
}

fn check(context: Context<'_>, qs: &[f64]) -> Result<()> {
    match qs.iter().all(|q| (0.0..=1.0).contains(q)) {
        true => Ok(()),
        false => Err(context.fail(ErrorKind::InvalidOption {
            reason: "a quantile is asked for at a number from 0 to 1; divide percentages by 100",
        })),
    }
}

/// The position of a quantile: two places of the sorted elements, and the distance from the first.
struct Between {
    places: [usize; 2],
    weight: f64,
}

impl Between {
    fn new(q: f64, len: usize) -> Between {
        let at = (len - 1) as f64 * q;
        // Rounding may lead past the last one.
        let first = (at.floor() as usize).min(len - 1);
        Between {
            places: [first, (first + 1).min(len - 1)],
            weight: at - first as f64,
        }
    }

    /// The quantile of these elements, which it reorders.
    fn of<A: RealNumber>(&self, elements: &mut [A]) -> f64 {
        if elements.iter().any(|&element| A::as_f64(element).is_nan()) {
            return f64::NAN;
        }
        let [first, second] = self.places;
        let a = nth(elements, first);
        let b = match second > first {
            // Elements behind the first place are no less.
            true => nth(&mut elements[second..], 0),
            false => a,
        };
        self.mean(|place| if place == first { a } else { b })
    }

    /// The weighted mean, rounded as NumPy does: computed from the nearer of the two.
    fn mean(&self, value: impl Fn(usize) -> f64) -> f64 {
        let ([a, b], weight) = (self.places.map(value), self.weight);
        let step = b - a;
        if weight == 0.0 || a == b {
            // Also for infinities, for which NumPy's formula gives NaN.
            a
        } else if step.is_infinite() {
            a * (1.0 - weight) + b * weight
        } else if weight >= 0.5 {
            b - step * (1.0 - weight)
        } else {
            a + step * weight
        }
    }
}

/// Elements that share the leading bits of their ranks, and the wanted places among them.
struct Group {
    prefix: u64,
    /// The number of elements, once they are counted.
    count: usize,
    /// The places, each with its index among all requested ones.
    places: Vec<(usize, usize)>,
}

/// The values at these places of the sorted elements, or `None` if an element is NaN.
fn select<'a, A: RealNumber>(
    source: &Source<'a, A>,
    work: &mut Work<'a>,
    op: &'static str,
    places: &[usize],
) -> Result<Option<Vec<f64>>> {
    let context = source.context(op);
    let room = work.memory() / 2;
    let mut search = Search {
        source,
        context,
        groups: vec![Group {
            prefix: 0,
            count: source.len(),
            places: places.iter().copied().zip(0..).collect(),
        }],
        unknown: A::BITS,
        has_nan: AtomicBool::new(false),
    };
    let fits = |search: &Search<'_, '_, A>| search.count() <= room / size_of::<A>();
    let digit = |search: &Search<'_, '_, A>| {
        let tables = search.groups.len() * pass::threads();
        let most = (room / tables / size_of::<u64>()).max(1).ilog2();
        most.clamp(LEAST_DIGIT, DIGIT).min(search.unknown)
    };
    // The first pass and the last one. Those between them count for nothing.
    let is_only = fits(&search) || digit(&search) == search.unknown;
    let passes = if is_only { 1 } else { 2 };
    let mut meter = work.meter(context, passes * source.nbytes() as u64);
    let mut values = vec![0.0; places.len()];
    while search.unknown > 0 {
        if fits(&search) {
            search.collect(&mut meter, &mut values)?;
            break;
        }
        let digit = digit(&search);
        let is_metered = search.unknown == A::BITS || search.unknown == digit;
        let counts = search.count_digits(&mut meter, is_metered, digit)?;
        search.refine(&counts, digit);
    }
    if search.unknown == 0 {
        for group in &search.groups {
            for &(_, index) in &group.places {
                values[index] = A::of_rank(group.prefix);
            }
        }
    }
    Ok((!search.has_nan.into_inner()).then_some(values))
}

/// The knowledge about the wanted elements.
struct Search<'s, 'a, A> {
    source: &'s Source<'a, A>,
    context: Context<'a>,
    /// The groups, in the order of their prefixes.
    groups: Vec<Group>,
    /// The bits of a rank behind a prefix.
    unknown: u32,
    has_nan: AtomicBool,
}

impl<A: RealNumber> Search<'_, '_, A> {
    /// The number of elements in all groups.
    fn count(&self) -> usize {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// The group that an element of this rank is in.
    #[inline(always)]
    fn group_of(&self, rank: u64) -> Option<usize> {
        let prefix = rank.checked_shr(self.unknown).unwrap_or(0);
        match &self.groups[..] {
            [only] => (only.prefix == prefix).then_some(0),
            groups => groups
                .binary_search_by_key(&prefix, |group| group.prefix)
                .ok(),
        }
    }

    /// Counts the elements of each group by the next `digit` bits of their ranks: a table for each
    /// group, one after the other.
    fn count_digits(
        &self,
        meter: &mut Meter<'_>,
        is_metered: bool,
        digit: u32,
    ) -> Result<Vec<u64>> {
        let (shift, mask) = (self.unknown - digit, (1 << digit) - 1);
        let len = self.groups.len() << digit;
        let count = |counts: &mut [u64], elements: &[A]| {
            let mut has_nan = false;
            for &element in elements {
                has_nan |= A::as_f64(element).is_nan();
                let rank = A::rank_of(element);
                if let Some(group) = self.group_of(rank) {
                    counts[group << digit | (rank >> shift & mask) as usize] += 1;
                }
            }
            self.has_nan.fetch_or(has_nan, Relaxed);
        };
        self.source
            .tally(self.context, meter, is_metered, len, count)
    }

    /// Continues with the groups that have the places, by the counts of the next `digit` bits in
    /// each group.
    fn refine(&mut self, counts: &[u64], digit: u32) {
        let mut refined: Vec<Group> = Vec::new();
        for (group, counts) in self.groups.iter().zip(counts.chunks_exact(1 << digit)) {
            let (mut bits, mut before) = (0, 0);
            for &(place, index) in &group.places {
                // If somebody wrote to the file between two passes, the last one takes the rest.
                while bits + 1 < counts.len() && before + counts[bits] as usize <= place {
                    before += counts[bits] as usize;
                    bits += 1;
                }
                let prefix = group.prefix << digit | bits as u64;
                let within = (place - before, index);
                match refined.last_mut() {
                    Some(last) if last.prefix == prefix => last.places.push(within),
                    _ => refined.push(Group {
                        prefix,
                        count: counts[bits] as usize,
                        places: vec![within],
                    }),
                }
            }
        }
        self.groups = refined;
        self.unknown -= digit;
    }

    /// Collects the elements of each group, and selects among them.
    fn collect(&self, meter: &mut Meter<'_>, values: &mut [f64]) -> Result<()> {
        let mut collected = Vec::new();
        for group in &self.groups {
            let mut elements: Vec<A> = Vec::new();
            reserve(&mut elements, group.count, self.context, usize::MAX)?;
            collected.push(Mutex::new(elements));
        }
        self.source
            .each_piece(self.context, meter, true, |elements| {
                let mut found: Vec<Vec<A>> = vec![Vec::new(); self.groups.len()];
                let mut has_nan = false;
                for &element in elements {
                    has_nan |= A::as_f64(element).is_nan();
                    if let Some(group) = self.group_of(A::rank_of(element)) {
                        found[group].push(element);
                    }
                }
                self.has_nan.fetch_or(has_nan, Relaxed);
                for (into, found) in collected.iter().zip(found) {
                    // No more than were counted, even if somebody writes to the file meanwhile.
                    let mut into = locked(into);
                    let room = into.capacity() - into.len();
                    into.extend_from_slice(&found[..room.min(found.len())]);
                }
            })?;
        for (group, elements) in self.groups.iter().zip(collected) {
            let mut elements = elements
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner);
            for &(place, index) in &group.places {
                // Elements are missing only if somebody wrote to the file meanwhile.
                if let Some(last) = elements.len().checked_sub(1) {
                    values[index] = nth(&mut elements, place.min(last));
                }
            }
        }
        Ok(())
    }
}

/// The value at this place of the sorted elements.
fn nth<A: RealNumber>(elements: &mut [A], place: usize) -> f64 {
    let (_, found, _) = elements.select_nth_unstable_by_key(place, |element| A::rank_of(*element));
    A::of_rank(A::rank_of(*found))
}

/// Selects along an axis, in panels of as many columns as each thread's memory holds.
fn along<'a, A: RealNumber>(
    source: &Source<'a, A>,
    work: &mut Work<'a>,
    op: &'static str,
    walk: Walk,
    q: f64,
) -> Result<Vec<A::Var>> {
    let context = source.context(op);
    let mut results: Vec<A::Var> = Vec::new();
    reserve(&mut results, walk.results(), context, work.memory())?;
    let held = walk.results().saturating_mul(size_of::<A::Var>());
    let (outer, len, inner) = walk.parts();
    if walk.results() == 0 {
        return Ok(results);
    }
    if len == 0 {
        return Err(empty(context));
    }
    let room = work.memory().saturating_sub(held);
    let column = len * size_of::<A>();
    let threads = pass::threads().min(room / 2 / column).max(1);
    let width = (room / 2 / threads / column).min(inner);
    if width == 0 {
        return Err(context.fail(ErrorKind::OverBudget {
            needed: (held as u64).saturating_add(2 * column as u64),
            budget: work.memory() as u64,
        }));
    }
    // All of nearly one width, so that none is a sliver.
    let width = inner.div_ceil(inner.div_ceil(width));
    let between = Between::new(q, len);
    let panels = Panels {
        source,
        context,
        len,
        inner,
        width,
    };
    let each = |index: usize, (panel, rows): &mut (Vec<A>, Vec<A>)| {
        panels.read(index, panel, rows)?;
        let columns = panel.chunks_exact_mut(len);
        let quantiles = columns.map(|column| A::var_of(between.of(column)));
        Ok(quantiles.collect::<Vec<_>>())
    };
    let pieces = Pieces {
        count: outer * panels.count(),
        window: threads,
    };
    let mut meter = work.meter(context, source.nbytes() as u64);
    let deliver = |index, panel| {
        results.extend(panel);
        Ok((panels.columns(index).len() * column) as u64)
    };
    let done: Result<()> = pass::run(pieces, &mut meter, each, deliver);
    done.map(|()| results)
}

/// An array as panels of columns, each of `len` elements that are `inner` elements apart in the
/// file.
struct Panels<'s, 'a, A> {
    source: &'s Source<'a, A>,
    context: Context<'a>,
    len: usize,
    inner: usize,
    /// The columns of each panel but the last.
    width: usize,
}

impl<A: RealNumber> Panels<'_, '_, A> {
    /// The number of panels side by side.
    fn count(&self) -> usize {
        self.inner.div_ceil(self.width)
    }

    /// The columns of a panel, counted through all of the array.
    fn columns(&self, index: usize) -> Range<usize> {
        let start = index % self.count() * self.width;
        start..self.inner.min(start + self.width)
    }

    /// Reads a panel, column by column into `panel`, through `rows`.
    fn read(&self, index: usize, panel: &mut Vec<A>, rows: &mut Vec<A>) -> Result<()> {
        let Panels { len, inner, .. } = *self;
        let (first, columns) = (index / self.count() * len, self.columns(index));
        let width = columns.len();
        panel.resize(len * width, A::zeroed());
        if inner == 1 {
            return self.source.read(self.context, first..first + len, panel);
        }
        // Whole rows are contiguous and are read many at a time.
        let at_once = match width == inner {
            true => (PIECE / size_of::<A>() / inner).max(1),
            false => 1,
        };
        for row in (0..len).step_by(at_once) {
            let count = at_once.min(len - row);
            rows.resize(count * width, A::zeroed());
            let start = (first + row) * inner + columns.start;
            self.source
                .read(self.context, start..start + count * width, rows)?;
            for (row, elements) in (row..).zip(rows.chunks_exact(width)) {
                for (column, &element) in elements.iter().enumerate() {
                    panel[column * len + row] = element;
                }
            }
        }
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded value is whole whenever a thread panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
