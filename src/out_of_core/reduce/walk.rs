//! Takes every array apart as (outer, len, inner), and puts the results together.
//!
//! Neighbours along an axis are `inner` elements apart in the file, `len` of them make a result,
//! and there are `outer` times `inner` results. That holds for each axis of an array in C order,
//! and for one in Fortran order, which is in C order if its axes are reversed. A whole array has
//! `outer` and `inner` of one.
//!
//! Rows are reduced in groups, whose results are merged in order. The starts of the groups depend
//! on the shape and the type alone, and so do the results. Groups of short rows are contiguous in
//! the file and are visited in its order. Longer rows are cut into bands of columns, which threads
//! take one after the other, a tile of rows at a time: the file is read nearly in order, and each
//! column keeps its accumulators until the last row.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::lanes::{Columns, Lanes, Partial, TILE, WIDTH, vectorized};
use crate::element::Element;
use crate::error::{ErrorKind, Result};
use crate::out_of_core::pass::{self, Pieces};
use crate::out_of_core::scan::PIECE;
use crate::out_of_core::source::Source;
use crate::out_of_core::work::{Work, reserve};
use crate::shape::Order;

/// Rows of more bytes than this are cut into bands of columns.
const LONG: usize = 128 << 10;

/// The width of a band in bytes of a row: the least is worth a read, and the most stays in the
/// cache with its accumulators.
const BAND: Range<usize> = 32 << 10..512 << 10;

/// The columns of a band, however little memory there is.
const LEAST_BAND: usize = 4096;

/// The rows of a group in a band.
const BAND_ROWS: usize = 128;

/// The places of the elements that make a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    outer: usize,
    len: usize,
    inner: usize,
}

impl Walk {
    /// A single result of `len` elements.
    pub(super) fn whole(len: usize) -> Walk {
        Walk {
            outer: 1,
            len,
            inner: 1,
        }
    }

    /// The results along an axis, which the shape has.
    pub(super) fn along(axis: usize, shape: &[usize], order: Order) -> Walk {
        let before = shape[..axis].iter().product();
        let behind = shape[axis + 1..].iter().product();
        let (outer, inner) = match order {
            Order::C => (before, behind),
            Order::F => (behind, before),
        };
        Walk {
            outer,
            len: shape[axis],
            inner,
        }
    }

    /// The number of elements that make a result.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The array as (outer, len, inner).
    pub(super) fn parts(&self) -> (usize, usize, usize) {
        (self.outer, self.len, self.inner)
    }

    /// The number of results.
    pub(super) fn results(&self) -> usize {
        self.outer * self.inner
    }

    /// The number of rows of a group, for elements of `size` bytes and `lanes` lanes.
    fn group(&self, size: usize, lanes: usize) -> usize {
        let row = self.inner * size;
        match self.inner {
            1 => PIECE / 4 / size,
            _ if self.inner < 2 * lanes => {
                let joined = self.joined(lanes);
                joined * (PIECE / 2 / (joined * row)).clamp(16, 1024)
            }
            _ => (PIECE / 2 / row).clamp(16, 256),
        }
    }

    /// The number of short rows that are treated as one.
    fn joined(&self, lanes: usize) -> usize {
        4 * lanes / self.inner
    }
}

/// Reduces the elements of each result with lanes `K`. `finish` makes a result of what the lanes
/// return, or of `None` if there are no elements.
pub(super) fn reduce<'a, A: Element, K: Lanes<A>, R: Clone + Send>(
    source: &Source<'a, A>,
    work: &mut Work<'a>,
    op: &'static str,
    walk: Walk,
    finish: impl Fn(Option<&K::Partial>) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let row = walk.inner.saturating_mul(size_of::<A>());
    let open = match row > LONG {
        true => 0,
        false => walk.inner * size_of::<K::Partial>(),
    };
    let needed = (walk.results() as u64)
        .saturating_mul(size_of::<R>() as u64)
        .saturating_add(open as u64);
    if walk.results() > 1 && needed > work.memory() as u64 {
        let context = source.context(op);
        return Err(context.fail(ErrorKind::OverBudget {
            needed,
            budget: work.memory() as u64,
        }));
    }
    let mut results = Vec::new();
    reserve(
        &mut results,
        walk.results(),
        source.context(op),
        work.memory(),
    )?;
    if walk.len == 0 {
        results.resize(walk.results(), finish(None)?);
        return Ok(results);
    }
    if row > LONG {
        by_bands::<A, K, R>(source, work, op, walk, finish, &mut results)?;
    } else if walk.results() > 0 {
        by_groups::<A, K, R>(source, work, op, walk, finish, &mut results)?;
    }
    Ok(results)
}

/// The result of a piece of the array.
enum Reduced<P, R> {
    /// Results that are one group each.
    Done(Vec<R>),
    /// The results of groups, still to be merged.
    Groups(Vec<P>),
}

/// Reduces groups of rows as they come in the file, many to a piece.
fn by_groups<'a, A: Element, K: Lanes<A>, R: Send>(
    source: &Source<'a, A>,
    work: &mut Work<'a>,
    op: &'static str,
    walk: Walk,
    finish: impl Fn(Option<&K::Partial>) -> Result<R> + Sync,
    results: &mut Vec<R>,
) -> Result<()> {
    let Walk { outer, len, inner } = walk;
    let group = walk.group(size_of::<A>(), K::WIDTH).min(len);
    let groups = len.div_ceil(group);
    let start = |index: usize| {
        let row = (index / groups) * len + (index % groups) * group;
        row * inner
    };
    let at_once = (PIECE / (group * inner * size_of::<A>())).max(1);
    let piece = |index: usize| {
        let end = ((index + 1) * at_once).min(outer * groups);
        start(index * at_once)..start(end)
    };
    // The results of the current result's groups, and their number.
    let mut open: Vec<K::Partial> = Vec::new();
    let mut merged = 0;
    source.scan_pieces(
        work,
        op,
        (outer * groups).div_ceil(at_once),
        piece,
        |range, elements| {
            if groups > 1 {
                return Ok(Reduced::Groups(groups_of::<A, K>(
                    range.start,
                    elements,
                    walk,
                    group,
                )));
            }
            let mut done = Vec::with_capacity(elements.len() / len);
            // A few at a time, because accumulators may take more memory than results.
            let few = (PIECE / 16 / (len * inner)).max(1) * len * inner;
            for elements in elements.chunks(few) {
                let partials = whole_results::<A, K>(elements, walk);
                for partial in &partials {
                    done.push(finish(Some(partial))?);
                }
            }
            Ok(Reduced::Done(done))
        },
        |_, reduced| {
            let partials = match reduced {
                Reduced::Done(done) => {
                    results.extend(done);
                    return Ok(());
                }
                Reduced::Groups(partials) => partials,
            };
            for group in partials.chunks_exact(inner) {
                match merged {
                    0 => open = group.to_vec(),
                    _ => merge(&mut open, group),
                }
                merged += 1;
                if merged == groups {
                    merged = 0;
                    for partial in &open {
                        results.push(finish(Some(partial))?);
                    }
                }
            }
            Ok(())
        },
    )
}

fn merge<P: Partial>(partials: &mut [P], later: &[P]) {
    for (partial, later) in partials.iter_mut().zip(later) {
        partial.merge(later);
    }
}

/// Reduces elements of results of several groups each, from the start of a group to the end of one.
fn groups_of<A: Element, K: Lanes<A>>(
    start: usize,
    elements: &[A],
    walk: Walk,
    group: usize,
) -> Vec<K::Partial> {
    let Walk { len, inner, .. } = walk;
    vectorized(
        #[inline(always)]
        || {
            let mut partials = Vec::new();
            let mut at = 0;
            while at < elements.len() {
                let row = (start + at) / inner % len;
                let end = at + group.min(len - row) * inner;
                group_columns::<A, K>(&elements[at..end], inner, &mut partials);
                at = end;
            }
            partials
        },
    )
}

/// Reduces results that are one group each.
fn whole_results<A: Element, K: Lanes<A>>(elements: &[A], walk: Walk) -> Vec<K::Partial> {
    /// The lengths at which it pays to reduce many results together, rather than each by itself.
    const FEW: Range<usize> = 2 * WIDTH..32 * WIDTH;
    let Walk { len, inner, .. } = walk;
    let apart = len * inner;
    let few = match inner {
        1 => FEW.start,
        _ if inner < 2 * K::WIDTH => FEW.end,
        _ => 0,
    };
    let mut partials = Vec::with_capacity(elements.len() / len);
    vectorized(
        #[inline(always)]
        || match apart < few {
            true => gathered::<A, K>(elements, walk, &mut partials),
            false => elements
                .chunks_exact(apart)
                .for_each(|group| group_columns::<A, K>(group, inner, &mut partials)),
        },
    );
    partials
}

/// Reduces small results, as many at a time as there are lanes.
#[inline(always)]
fn gathered<A: Element, K: Lanes<A>>(elements: &[A], walk: Walk, into: &mut Vec<K::Partial>) {
    let Walk { len, inner, .. } = walk;
    let results = elements.len() / len;
    let (mut base, mut column) = (0, 0);
    for first in (0..results).step_by(K::WIDTH) {
        let count = K::WIDTH.min(results - first);
        let mut bases = [0; WIDTH];
        for slot in &mut bases[..count] {
            *slot = base + column;
            column += 1;
            if column == inner {
                column = 0;
                base += len * inner;
            }
        }
        let row = |row: usize| {
            let mut gathered = [A::zeroed(); WIDTH];
            for (element, base) in gathered.iter_mut().zip(&bases[..count]) {
                *element = elements[base + row * inner];
            }
            gathered
        };
        let mut ahead = [[A::zeroed(); WIDTH]; TILE];
        let seen = len.min(K::AHEAD);
        for (index, ahead) in ahead[..seen].iter_mut().enumerate() {
            *ahead = row(index);
        }
        let mut lanes = K::start(&ahead[..seen]);
        for index in 0..len {
            lanes.add(&row(index)[..K::WIDTH]);
        }
        into.extend((0..count).map(|lane| lanes.partial(lane, len)));
    }
}

/// Reduces a group of rows and appends the result of each column.
#[inline(always)]
fn group_columns<A: Element, K: Lanes<A>>(rows: &[A], inner: usize, into: &mut Vec<K::Partial>) {
    if inner == 1 {
        into.push(K::run(rows));
        return;
    }
    let walk = Walk {
        outer: 1,
        len: rows.len() / inner,
        inner,
    };
    let joined = match inner < 2 * K::WIDTH {
        true => walk.joined(K::WIDTH),
        false => 1,
    };
    let long = rows.chunks_exact(joined * inner);
    let rest = long.remainder();
    let first = into.len();
    if long.len() > 0 {
        let mut columns = Columns::<K>::new(joined * inner);
        let mut tile = [&rows[..0]; TILE];
        let mut count = 0;
        for row in long {
            tile[count] = row;
            count += 1;
            if count == TILE {
                columns.add(&tile);
                count = 0;
            }
        }
        columns.add(&tile[..count]);
        append(&columns, joined, inner, into);
    }
    if !rest.is_empty() {
        let mut columns = Columns::<K>::new(rest.len());
        columns.add(&[rest]);
        let mut partials = Vec::with_capacity(inner);
        append(&columns, rest.len() / inner, inner, &mut partials);
        match into.len() > first {
            true => merge(&mut into[first..], &partials),
            false => into.append(&mut partials),
        }
    }
}

/// Appends the results of `inner` columns; each row consists of `joined` short rows.
#[inline(always)]
fn append<A: Element, K: Lanes<A>>(
    columns: &Columns<K>,
    joined: usize,
    inner: usize,
    into: &mut Vec<K::Partial>,
) {
    for column in 0..inner {
        let mut partial = columns.partial(column).spread(0, joined);
        for at in 1..joined {
            let other = columns.partial(at * inner + column).spread(at, joined);
            partial.merge_beside(&other);
        }
        into.push(partial);
    }
}

/// Reduces bands of columns, tile by tile as they come in the file: a piece is the part of a tile
/// that is in a band.
fn by_bands<'a, A: Element, K: Lanes<A>, R: Send>(
    source: &Source<'a, A>,
    work: &mut Work<'a>,
    op: &'static str,
    walk: Walk,
    finish: impl Fn(Option<&K::Partial>) -> Result<R> + Sync,
    results: &mut Vec<R>,
) -> Result<()> {
    let Walk { len, inner, .. } = walk;
    let (size, context) = (size_of::<A>(), source.context(op));
    // The accumulators of a column, until its last row.
    let open = size_of::<K>().div_ceil(K::WIDTH) + size_of::<K::Partial>();
    let room = work
        .memory()
        .saturating_sub(walk.results() * size_of::<R>());
    let bands = Bands::new(walk, size, room / 2 / open);
    let held = (0..bands.at_once).map(|_| Mutex::new(Band::<K, K::Partial>::new()));
    let held: Vec<_> = held.collect();

    let each = |index: usize, buffer: &mut Vec<A>| {
        let piece = bands.piece(index);
        let width = piece.columns.len();
        // No other thread has the band, because the window lets this piece begin only after the
        // band's last one is done.
        let mut band = held[piece.slot]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for first in piece.rows.clone().step_by(K::AHEAD) {
            let rows = first..piece.rows.end.min(first + K::AHEAD);
            buffer.resize(rows.len() * width, A::zeroed());
            for (row, into) in rows.zip(buffer.chunks_exact_mut(width)) {
                let start = row * inner + piece.columns.start;
                source.read(context, start..start + width, into)?;
            }
            band.add(buffer.chunks_exact(width), width);
        }
        if !piece.rows.end.is_multiple_of(len) {
            return Ok(Vec::new());
        }
        let partials = band.finish().into_iter();
        partials.map(|partial| finish(Some(&partial))).collect()
    };
    let pieces = Pieces {
        count: bands.count(),
        window: bands.window(),
    };
    let mut meter = work.meter(context, source.nbytes() as u64);
    pass::run(pieces, &mut meter, each, |index, band: Vec<R>| {
        results.extend(band);
        let piece = bands.piece(index);
        Ok((piece.rows.len() * piece.columns.len() * size) as u64)
    })
}

/// The cut of long rows into bands, and the number of bands that are reduced together: all of them,
/// unless memory does not hold their accumulators. No result depends on any of it.
struct Bands {
    walk: Walk,
    /// The columns of each band but the last.
    width: usize,
    /// The number of bands.
    bands: usize,
    /// The number of bands that go through the rows together.
    at_once: usize,
}

/// The part of a tile of rows that is in a band.
struct BandPiece {
    /// Rows of the whole array.
    rows: Range<usize>,
    columns: Range<usize>,
    /// The number of the band among those that go together.
    slot: usize,
}

impl Bands {
    /// The bands for elements of `size` bytes and memory for `columns` columns.
    fn new(walk: Walk, size: usize, columns: usize) -> Bands {
        let width = walk
            .inner
            .div_ceil(2 * pass::threads())
            .clamp(BAND.start / size, BAND.end / size)
            .min(columns)
            .max(1)
            .next_multiple_of(LEAST_BAND);
        let bands = walk.inner.div_ceil(width);
        let turns = bands.div_ceil((columns / width).max(1));
        Bands {
            walk,
            width,
            bands,
            at_once: bands.div_ceil(turns),
        }
    }

    /// The number of tiles in the rows of a result.
    fn tiles(&self) -> usize {
        self.walk.len.div_ceil(TILE)
    }

    fn count(&self) -> usize {
        self.walk.outer * self.tiles() * self.bands
    }

    /// The number of pieces that may be under way without two of the same band: as many as bands go
    /// together, even in the last turn.
    fn window(&self) -> usize {
        match self.bands % self.at_once {
            0 => self.at_once,
            rest => rest,
        }
    }

    /// The pieces go through the array once for each turn of bands, tile by tile.
    fn piece(&self, index: usize) -> BandPiece {
        let Walk { len, inner, .. } = self.walk;
        let tiles = self.tiles();
        let (outer, within) = (index / (tiles * self.bands), index % (tiles * self.bands));
        let (turn, within) = (
            within / (tiles * self.at_once),
            within % (tiles * self.at_once),
        );
        let first = turn * self.at_once;
        let together = self.at_once.min(self.bands - first);
        let (tile, slot) = (within / together, within % together);
        let rows = tile * TILE..len.min((tile + 1) * TILE);
        let start = (first + slot) * self.width;
        BandPiece {
            rows: outer * len + rows.start..outer * len + rows.end,
            columns: start..inner.min(start + self.width),
            slot,
        }
    }
}

/// The columns of a band: the rows of the current group, and the results of the groups before it.
struct Band<K, P> {
    columns: Columns<K>,
    partials: Vec<P>,
}

impl<K, P: Partial> Band<K, P> {
    fn new() -> Self {
        Band {
            columns: Columns::new(0),
            partials: Vec::new(),
        }
    }

    /// Adds a tile of rows of this width.
    fn add<'r, A: Element>(&mut self, rows: impl Iterator<Item = &'r [A]>, width: usize)
    where
        K: Lanes<A, Partial = P>,
    {
        let mut tile: [&[A]; TILE] = [&[]; TILE];
        let mut count = 0;
        for row in rows {
            tile[count] = row;
            count += 1;
        }
        if self.columns.rows() == 0 {
            self.columns.restart(width);
        }
        vectorized(
            #[inline(always)]
            || self.columns.add(&tile[..count]),
        );
        if self.columns.rows() >= BAND_ROWS {
            self.end_group();
        }
    }

    fn end_group<A: Element>(&mut self)
    where
        K: Lanes<A, Partial = P>,
    {
        let columns = (0..self.columns.width()).map(|column| self.columns.partial(column));
        match self.partials.is_empty() {
            true => self.partials.extend(columns),
            false => {
                let merged = self.partials.iter_mut().zip(columns);
                merged.for_each(|(sum, partial)| sum.merge(&partial));
            }
        }
        self.columns.restart(0);
    }

    /// The results of the columns. Resets the band.
    fn finish<A: Element>(&mut self) -> Vec<P>
    where
        K: Lanes<A, Partial = P>,
    {
        if self.columns.rows() > 0 {
            self.end_group();
        }
        std::mem::take(&mut self.partials)
    }
}
