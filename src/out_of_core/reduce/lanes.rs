//! `Lanes`: one reduction of many columns side by side, which suits a vector unit.
//!
//! A reduction is written once, as a step that adds a row of elements to a row of accumulators. The
//! accumulators are arrays of a fixed length, long enough that the compiler turns the loop over
//! them into the processor's vector instructions, rather than unrolling it. Everything is built
//! from that step: a run of elements is rows that are folded together at the end, and an axis is
//! rows as they lie.
//!
//! Results are the same on every processor, because the number of lanes does not depend on the
//! width of its vectors.

use crate::element::Element;

/// The most lanes that any reduction has.
pub(super) const WIDTH: usize = 64;

/// The rows that are taken together, while a strip of lanes is in the innermost cache.
pub(super) const TILE: usize = 8;

/// Reduces as many columns as there are lanes, row by row.
///
/// All methods are inlined into [`vectorized`], which decides which instructions are available.
pub trait Lanes<A: Element>: Clone + Send {
    /// The number of lanes: a power of two, at most [`WIDTH`].
    const WIDTH: usize;

    /// The result of one lane.
    type Partial: Partial;

    /// The number of coming rows that [`start`](Lanes::start) looks at, at most [`TILE`].
    const AHEAD: usize = 1;

    /// Lanes without elements, which will get these rows first. Only the first elements of each row
    /// count, one for each lane.
    fn start(rows: &[[A; WIDTH]]) -> Self;

    /// Adds a row: an element to every lane.
    fn add(&mut self, row: &[A]);

    /// The result of one lane, after `len` elements.
    fn partial(&self, lane: usize, len: usize) -> Self::Partial;

    /// Reduces all elements of a run, which has at least one.
    fn run(run: &[A]) -> Self::Partial;
}

/// Lanes that a run can go through, row by row, to be folded together at its end.
pub(super) trait Fold<A: Element>: Lanes<A> {
    /// The result of all lanes together, after `len` elements in all. They started from the same
    /// element.
    fn total(self, len: usize) -> Self::Partial;

    /// An element that changes nothing in lanes that started from `first`.
    fn neutral(first: A) -> A;
}

/// Reduces a run row by row.
#[inline(always)]
pub(super) fn fold<A: Element, K: Fold<A>>(run: &[A]) -> K::Partial {
    let first = run[0];
    let mut lanes = K::start(&[[first; WIDTH]]);
    let rows = run.chunks_exact(K::WIDTH);
    let rest = rows.remainder();
    for row in rows {
        lanes.add(row);
    }
    if !rest.is_empty() {
        let mut row = [K::neutral(first); WIDTH];
        row[..rest.len()].copy_from_slice(rest);
        lanes.add(&row[..K::WIDTH]);
    }
    lanes.total(run.len())
}

/// The result of some elements.
pub trait Partial: Clone + Send {
    /// Merges the result of the elements behind these.
    fn merge(&mut self, later: &Self);

    /// Rebases the result to the elements at `at`, `at + apart`, `at + 2 * apart` and so on.
    #[inline(always)]
    fn spread(self, _at: usize, _apart: usize) -> Self {
        self
    }

    /// Merges the result of elements that lie between these.
    #[inline(always)]
    fn merge_beside(&mut self, other: &Self) {
        self.merge(other);
    }
}

/// Runs `job` with the widest vectors that this processor has.
///
/// Only code that is inlined into `job` uses them.
pub(super) fn vectorized<T>(job: impl FnOnce() -> T) -> T {
    pulp::Arch::new().dispatch(job)
}

/// Merges the upper half of some lanes into the lower half, again and again, until `left` are left.
#[inline(always)]
pub(super) fn halve(left: usize, mut merge: impl FnMut(usize, usize)) {
    let mut count = WIDTH;
    while count > left {
        count /= 2;
        for lane in 0..count {
            merge(lane, count + lane);
        }
    }
}

/// A slice of the length of an array, as that array.
#[inline(always)]
pub(super) fn array<T, const N: usize>(slice: &[T]) -> &[T; N] {
    slice
        .try_into()
        .expect("a row has as many elements as there are lanes")
}

/// Rows of equal length, reduced column by column.
pub(super) struct Columns<K> {
    lanes: Vec<K>,
    width: usize,
    /// The number of rows that were added since the start.
    rows: usize,
}

impl<K> Columns<K> {
    /// For rows of `width` elements.
    pub(super) fn new(width: usize) -> Columns<K> {
        Columns {
            lanes: Vec::new(),
            width,
            rows: 0,
        }
    }

    /// Forgets all rows. The next ones have `width` elements.
    pub(super) fn restart(&mut self, width: usize) {
        self.rows = 0;
        self.width = width;
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a tile of rows.
    #[inline(always)]
    pub(super) fn add<A: Element>(&mut self, rows: &[&[A]])
    where
        K: Lanes<A>,
    {
        const STRIP: usize = 16;
        let Some(&first) = rows.first() else { return };
        if self.rows == 0 {
            self.lanes.clear();
            let starts = (0..self.width).step_by(K::WIDTH);
            self.lanes.extend(starts.map(|start| {
                let part = start..self.width.min(start + K::WIDTH);
                if K::AHEAD == 1 {
                    return K::start(&[padded(&first[part])]);
                }
                let mut ahead = [[A::zeroed(); WIDTH]; TILE];
                let count = rows.len().min(K::AHEAD);
                for (ahead, row) in ahead.iter_mut().zip(&rows[..count]) {
                    ahead[..part.len()].copy_from_slice(&row[part.clone()]);
                }
                K::start(&ahead[..count])
            }));
        }
        for (strip, lanes) in self.lanes.chunks_mut(STRIP).enumerate() {
            let start = strip * STRIP * K::WIDTH;
            let end = self.width.min(start + STRIP * K::WIDTH);
            for row in rows {
                let row = row[start..end].chunks_exact(K::WIDTH);
                let rest = row.remainder();
                for (lanes, row) in lanes.iter_mut().zip(row) {
                    lanes.add(row);
                }
                if !rest.is_empty()
                    && let Some(last) = lanes.last_mut()
                {
                    last.add(&padded(rest)[..K::WIDTH]);
                }
            }
        }
        self.rows += rows.len();
    }

    /// The result of the column.
    #[inline(always)]
    pub(super) fn partial<A: Element>(&self, column: usize) -> K::Partial
    where
        K: Lanes<A>,
    {
        self.lanes[column / K::WIDTH].partial(column % K::WIDTH, self.rows)
    }
}

/// A row for lanes of which only the first count.
#[inline(always)]
fn padded<A: Element>(row: &[A]) -> [A; WIDTH] {
    let mut padded = [A::zeroed(); WIDTH];
    padded[..row.len()].copy_from_slice(row);
    padded
}
