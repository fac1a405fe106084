//! The plan of a relocation: the boxes of the new array that are assembled in memory, and the
//! pieces by which each is read.
//!
//! A disk wants long runs of bytes, and in a transposition the long runs of one side are the short
//! ones of the other. A box is a part of the new array that fits the buffer. It grows, axis by
//! axis, on the side whose runs are shortest, so that neither reads nor writes fall into tiny
//! pieces. Once all runs are long enough for the disk it grows on the side of the new array,
//! because longer writes are always better. Runs end at the ends of pages, as far as the strides
//! allow, so that hardly a page is read or written twice.
//!
//! A box is read piece by piece into a scratch buffer that stays in the cache of the processor, and
//! goes from there to its places in the box.

use std::ops::Range;

use super::layout::{Odometer, Portion, Relocation, packed};

/// Runs of this many bytes are as good as longer ones, for reading.
const LONG: usize = 64 << 10;

/// The unit of reads and writes of a disk.
pub(super) const PAGE: usize = 4096;

/// So many boxes that follow each other along their runs are written at once, so runs of the new
/// array are that much longer.
pub(super) const JOINED: usize = 2;

/// Runs of this many bytes are read straight to where they belong.
const DIRECT: usize = 4096;

/// Gaps of at most this many bytes between two runs are read along, because their page is read
/// anyway.
const GAP: usize = 4096;

/// Pieces are cut along a run so that at least this many runs fit the scratch: the width of a tile,
/// and more.
const RUNS: usize = 16;

/// How the new array is cut into boxes.
#[derive(Clone, Debug)]
pub(super) struct Plan<'a> {
    relocation: &'a Relocation,
    /// The lengths of each box except those at the ends.
    lens: Vec<usize>,
    /// The length of the first box along each axis.
    first: Vec<usize>,
    /// The bytes that are never separated.
    grain: usize,
    scratch: usize,
}

/// A part of the new array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) start: Vec<usize>,
    pub(super) lens: Vec<usize>,
}

/// A part of a box that is read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The number of the source.
    pub(super) source: usize,
    /// The offset of its first byte in the box.
    pub(super) place: usize,
    /// The lengths of its axes.
    pub(super) lens: Vec<usize>,
    /// Whether it is read into the box, and not into the scratch buffer.
    pub(super) direct: bool,
    /// The distance between neighbours along each axis in the buffer that it is read to, in bytes.
    pub(super) pitches: Vec<usize>,
    /// The offset of its first byte in the source.
    from: usize,
    /// The length of a run in the source.
    run: usize,
    /// The number of runs along each further axis, and their distances in the source and in the
    /// buffer that they are read to.
    loops: Vec<(usize, usize, usize)>,
}

impl<'a> Plan<'a> {
    /// Plans for boxes of at most `buffer` bytes and pieces of at most `scratch`, neither less than
    /// a byte.
    ///
    /// Larger items are divided if `may_part` allows it; if not, they give `None`. `data` has the
    /// offset of each array in its file: of the new one, then of the sources.
    pub(super) fn new(
        relocation: &'a Relocation,
        buffer: usize,
        scratch: usize,
        may_part: bool,
        data: (u64, &[u64]),
    ) -> Option<Plan<'a>> {
        let fits = relocation.itemsize <= buffer.min(scratch);
        if !fits && !may_part {
            return None;
        }
        let grain = if fits { relocation.itemsize } else { 1 };
        let lens = grow(relocation, buffer, grain);
        let first = lens.clone();
        let mut plan = Plan {
            relocation,
            lens,
            first,
            grain,
            scratch,
        };
        for part in &relocation.parts {
            let start = data.1[part.source] + part.offset as u64;
            plan.align(&part.nearest, &part.strides, start);
        }
        let axes: Vec<_> = (0..relocation.lens.len()).rev().collect();
        plan.fill(&axes, buffer);
        plan.align(&axes, &relocation.steps(), data.0);
        Some(plan)
    }

    /// Lets the side whose axes are these have what the others left of the buffer.
    fn fill(&mut self, axes: &[usize], buffer: usize) {
        let whole = &self.relocation.lens;
        let Some(&axis) = axes.iter().find(|&&axis| self.lens[axis] < whole[axis]) else {
            return;
        };
        let grain = self.grain_of(axis);
        let fits = buffer / (self.box_size() / self.lens[axis]) / grain * grain;
        self.lens[axis] = fits.clamp(self.lens[axis], whole[axis]);
        self.first[axis] = self.lens[axis];
    }

    /// Makes boxes end at the ends of pages, on the side with these axes, and have one size, as far
    /// as possible.
    fn align(&mut self, axes: &[usize], strides: &[usize], start: u64) {
        let whole = &self.relocation.lens;
        let Some(&axis) = axes.iter().find(|&&axis| self.lens[axis] < whole[axis]) else {
            return;
        };
        let (len, stride) = (self.lens[axis], strides[axis]);
        // Runs start so far apart: where that is no whole number of pages, not all of them can
        // start on one.
        let others = (0..whole.len()).filter(|&other| other != axis && strides[other] > stride);
        let page = others.fold(PAGE, |page, other| gcd(page, strides[other]));
        let mut unit = page / gcd(page, stride);
        if axis == whole.len() - 1 {
            unit = unit / gcd(unit, self.grain) * self.grain;
        }
        if len < unit {
            return;
        }
        let boxes = whole[axis].div_ceil(len / unit * unit);
        self.lens[axis] = whole[axis].div_ceil(boxes).next_multiple_of(unit);
        // If the data do not start on a page, the first box ends on one.
        let before = (start % page as u64) as usize;
        self.first[axis] = self.lens[axis];
        if before.is_multiple_of(stride) && (before / stride).is_multiple_of(self.grain_of(axis)) {
            self.first[axis] -= before / stride % unit;
        }
    }

    /// Boxes are a multiple of this along an axis.
    fn grain_of(&self, axis: usize) -> usize {
        match axis == self.lens.len() - 1 {
            true => self.grain,
            false => 1,
        }
    }

    pub(super) fn relocation(&self) -> &'a Relocation {
        self.relocation
    }

    /// The size of the largest box in bytes.
    pub(super) fn box_size(&self) -> usize {
        self.lens.iter().product()
    }

    /// The boxes, in the order of the new array.
    pub(super) fn boxes(&self) -> impl Iterator<Item = Region> {
        let whole = &self.relocation.lens;
        let axes = 0..whole.len();
        let counts = axes.map(|axis| {
            let rest = whole[axis].saturating_sub(self.first[axis]);
            1 + rest.div_ceil(self.lens[axis])
        });
        Odometer::new(counts.collect()).map(move |index| {
            let cut = |axis: usize, index: usize| match index {
                0 => 0,
                _ => (self.first[axis] + (index - 1) * self.lens[axis]).min(whole[axis]),
            };
            let numbered = || index.iter().enumerate();
            let start = numbered().map(|(axis, &index)| cut(axis, index));
            let lens = numbered().map(|(axis, &index)| cut(axis, index + 1) - cut(axis, index));
            Region {
                start: start.collect(),
                lens: lens.collect(),
            }
        })
    }

    /// The pieces of a box.
    pub(super) fn pieces(&self, region: &Region) -> impl Iterator<Item = Piece> {
        let steps = packed(&region.lens);
        let joined = self.relocation.joined;
        let along = region.start[joined]..region.start[joined] + region.lens[joined];
        let parts = self.relocation.parts.iter();
        let parts = parts.filter_map(move |part| {
            let start = along.start.max(part.place.start);
            let end = along.end.min(part.place.end);
            (start < end).then(|| (part, start - along.start..end - along.start))
        });
        let region = region.clone();
        parts.flat_map(move |(part, along)| {
            let mut offsets = vec![0; region.lens.len()];
            let mut lens = region.lens.clone();
            offsets[joined] = along.start;
            lens[joined] = along.len();
            let mut start = region.start.clone();
            // From here on in the coordinates of the portion.
            start[joined] = start[joined] + along.start - part.place.start;
            let cut = self.cut(part, &lens);
            let counts = lens
                .iter()
                .zip(&cut.lens)
                .map(|(len, cut)| len.div_ceil(*cut));
            let counts = Odometer::new(counts.collect());
            let steps = steps.clone();
            counts.map(move |index| {
                let skipped: Vec<_> = index
                    .iter()
                    .zip(&cut.lens)
                    .map(|(i, len)| i * len)
                    .collect();
                let far = |strides: &[usize], before: &[usize]| -> usize {
                    let index = before
                        .iter()
                        .zip(&skipped)
                        .map(|(start, skipped)| start + skipped);
                    index
                        .zip(strides)
                        .map(|(index, stride)| index * stride)
                        .sum()
                };
                let place = far(&steps, &offsets);
                let from = part.offset + far(&part.strides, &start);
                let left = lens
                    .iter()
                    .zip(&skipped)
                    .map(|(len, skipped)| len - skipped);
                let lens = left.zip(&cut.lens).map(|(left, &cut)| cut.min(left));
                cut.piece(part, place, from, lens.collect(), &steps)
            })
        })
    }

    /// The cut into pieces of a region of a portion, with these lengths.
    fn cut(&self, part: &Portion, lens: &[usize]) -> Cut {
        let last = lens.len() - 1;
        let direct = lens[last] >= DIRECT;
        let mut cut = vec![1; lens.len()];
        let mut in_run = None;
        let mut span = 1;
        for (position, &axis) in part.nearest.iter().enumerate() {
            let (len, stride) = (lens[axis], part.strides[axis]);
            if len == 1 {
                continue;
            }
            if direct && axis != last || stride.saturating_sub(span) > GAP {
                in_run.get_or_insert(position);
            }
            let further = part.nearest[position + 1..]
                .iter()
                .any(|&axis| lens[axis] > 1);
            let (step, room) = match in_run {
                Some(_) => (span, self.scratch),
                None if further && !direct => (stride, self.scratch / RUNS),
                None => (stride, self.scratch),
            };
            let fits = 1 + room.saturating_sub(span) / step;
            cut[axis] = match axis == last && fits < len {
                true => (fits / self.grain * self.grain).max(self.grain),
                false => fits.min(len),
            };
            span += (cut[axis] - 1) * step;
            if cut[axis] < len {
                in_run.get_or_insert(position + 1);
            }
        }
        Cut {
            lens: cut,
            in_run: in_run.unwrap_or(part.nearest.len()),
            direct,
        }
    }
}

/// The cut of a region of a portion into pieces.
struct Cut {
    /// The lengths of each piece except those at the ends.
    lens: Vec<usize>,
    /// The number of axes, those with the nearest neighbours, that are read as one run together
    /// with their gaps.
    in_run: usize,
    /// Whether pieces are read into the box.
    direct: bool,
}

impl Cut {
    /// The piece at `place` of the box, which has these `steps`, and at `from` in the source.
    fn piece(
        &self,
        part: &Portion,
        place: usize,
        from: usize,
        lens: Vec<usize>,
        steps: &[usize],
    ) -> Piece {
        let mut pitches = vec![1; lens.len()];
        let mut loops = Vec::new();
        let (mut span, mut run) = (1, 1);
        for (position, &axis) in part.nearest.iter().enumerate() {
            let (len, stride) = (lens[axis], part.strides[axis]);
            let step = match position < self.in_run {
                true => stride,
                false => span,
            };
            span += (len - 1) * step;
            pitches[axis] = if self.direct { steps[axis] } else { step };
            if position < self.in_run {
                run = span;
            } else if len > 1 {
                loops.push((len, stride, pitches[axis]));
            }
        }
        // The axis with the farthest neighbours counts slowest.
        loops.reverse();
        Piece {
            source: part.source,
            place,
            lens,
            direct: self.direct,
            pitches,
            from,
            run,
            loops,
        }
    }
}

impl Piece {
    /// The runs to read: the bytes of the source, and their offset behind the first run in the
    /// buffer.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Range<usize>, usize)> {
        let counts = self.loops.iter().map(|&(count, ..)| count);
        Odometer::new(counts.collect()).map(|index| {
            let (mut from, mut to) = (self.from, 0);
            for (index, (_, stride, pitch)) in index.iter().zip(&self.loops) {
                from += index * stride;
                to += index * pitch;
            }
            (from..from + self.run, to)
        })
    }

    /// The bytes of the new array in it.
    pub(super) fn nbytes(&self) -> usize {
        self.lens.iter().product()
    }
}

/// The lengths of boxes of at most `buffer` bytes.
fn grow(relocation: &Relocation, buffer: usize, grain: usize) -> Vec<usize> {
    let whole = &relocation.lens;
    let last = whole.len() - 1;
    let mut lens = vec![1; whole.len()];
    lens[last] = grain;
    // The new array comes first, because it grows if both sides have equal runs. By how many boxes
    // are a side's runs joined?
    let mut sides: Vec<(usize, Vec<usize>)> = vec![(JOINED, (0..=last).rev().collect())];
    for part in &relocation.parts {
        if sides.iter().all(|(_, axes)| *axes != part.nearest) {
            sides.push((1, part.nearest.clone()));
        }
    }
    let partial = |(_, axes): &(usize, Vec<usize>), lens: &[usize]| {
        let mut axes = axes.iter().copied();
        axes.find(|&axis| lens[axis] < whole[axis])
    };
    let run = |(joined, axes): &(usize, Vec<usize>), lens: &[usize]| {
        let end = axes.iter().position(|&axis| lens[axis] < whole[axis]);
        let axes = &axes[..end.map_or(axes.len(), |end| end + 1)];
        axes.iter().map(|&axis| lens[axis]).product::<usize>() * joined
    };
    while let Some(shortest) =
        (0..sides.len()).min_by_key(|&side| run(&sides[side], &lens).min(LONG))
    {
        let Some(axis) = partial(&sides[shortest], &lens) else {
            sides.remove(shortest);
            continue;
        };
        let others = lens.iter().product::<usize>() / lens[axis];
        // In small steps, so that no side ends up with runs of twice the length of the other's.
        let step = (lens[axis] / 8).max(if axis == last { grain } else { 1 });
        let mut fits = (buffer / others).min(lens[axis].saturating_add(step));
        if axis == last {
            fits = fits / grain * grain;
        }
        if fits <= lens[axis] {
            sides.remove(shortest);
            continue;
        }
        lens[axis] = fits.min(whole[axis]);
    }
    lens
}

/// The greatest common divisor.
pub(super) fn gcd(a: usize, b: usize) -> usize {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::layout::tests::{naive, relocations};
    use super::*;

    /// Assembles the new array box by box, as `run` does, from sources whose bytes are their
    /// places.
    fn carried_out(plan: &Plan<'_>, buffer: usize, scratch: usize) -> Vec<(usize, usize)> {
        let relocation = plan.relocation;
        let whole = relocation.steps();
        let mut found = vec![None; relocation.nbytes()];
        for region in plan.boxes() {
            let steps = packed(&region.lens);
            let mut content = vec![None; region.lens.iter().product()];
            assert!(content.len() <= plan.box_size() && plan.box_size() <= buffer);
            for piece in plan.pieces(&region) {
                let mut read = vec![None; if piece.direct { content.len() } else { scratch }];
                for (bytes, to) in piece.runs() {
                    for (behind, byte) in bytes.enumerate() {
                        read[to + behind] = Some((piece.source, byte));
                    }
                }
                for index in Odometer::new(piece.lens.clone()) {
                    let far = |steps: &[usize]| -> usize {
                        index
                            .iter()
                            .zip(steps)
                            .map(|(index, step)| index * step)
                            .sum()
                    };
                    let place = &mut content[piece.place + far(&steps)];
                    assert_eq!(*place, None, "every byte is written once");
                    *place = read[far(&piece.pitches)];
                }
            }
            for (index, byte) in Odometer::new(region.lens.clone()).zip(content) {
                let at = index
                    .iter()
                    .zip(&region.start)
                    .map(|(index, start)| index + start);
                let at: usize = at.zip(&whole).map(|(index, step)| index * step).sum();
                assert_eq!(found[at], None, "boxes do not overlap");
                found[at] = byte;
            }
        }
        found.into_iter().map(Option::unwrap).collect()
    }

    proptest! {
        #[test]
        fn a_plan_puts_every_byte_where_the_relocation_does(relocation in relocations(), buffer in 1..600_usize, scratch in 1..300_usize, start in 0..9_u64) {
            let data = vec![start; relocation.parts.len()];
            let plan = Plan::new(&relocation, buffer, scratch, true, (start, &data)).unwrap();
            prop_assert_eq!(carried_out(&plan, buffer, scratch), naive(&relocation));
            let whole = Plan::new(&relocation, buffer, scratch, false, (start, &data));
            prop_assert_eq!(whole.is_some(), relocation.itemsize <= buffer.min(scratch));
        }

        #[test]
        fn a_plan_with_long_runs_does_so_too(rows in 1..3_usize, columns in 1..3_usize, itemsize in 3000..6000_usize, buffer in 5000..20_000_usize, start in 0..5000_u64) {
            let part = (0, columns, 3, vec![itemsize + 7, columns * (itemsize + 7)]);
            let relocation = Relocation::new(&[columns, rows], itemsize, 0, [part]).unwrap();
            let plan = Plan::new(&relocation, buffer, 5000, true, (start, &[start])).unwrap();
            prop_assert_eq!(carried_out(&plan, buffer, 5000), naive(&relocation));
        }
    }

    /// The transposition of `rows` x `columns` numbers of 8 bytes, whose data start on a page.
    fn transposition(rows: usize, columns: usize) -> Relocation {
        let strides = vec![8, 8 * columns];
        Relocation::new(&[columns, rows], 8, 0, [(0, columns, 0, strides)]).unwrap()
    }

    fn box_lens(relocation: &Relocation, buffer: usize) -> Vec<usize> {
        let plan = Plan::new(relocation, buffer, 2 << 20, true, (4096, &[4096])).unwrap();
        plan.lens
    }

    #[test]
    fn a_square_is_cut_so_that_both_sides_have_runs_of_whole_pages() {
        let [columns, rows, 8] = box_lens(&transposition(16384, 16384), 56 << 20)[..] else {
            panic!()
        };
        assert!(
            columns * 8 >= 16 << 10 && rows * 8 >= 16 << 10,
            "{columns} {rows}"
        );
        assert_eq!((columns * 8 % PAGE, rows * 8 % PAGE), (0, 0));
    }

    #[test]
    fn rows_that_start_anywhere_leave_the_boxes_as_large_as_the_buffer() {
        let relocation = transposition(8191, 8191);
        let [columns, rows, 8] = box_lens(&relocation, 16 << 20)[..] else {
            panic!()
        };
        assert!(columns * rows * 8 >= 14 << 20, "{columns} {rows}");
    }

    #[test]
    fn what_is_thin_is_read_or_written_in_one_run() {
        // Short rows are read as they follow each other.
        let tall = box_lens(&transposition(524_288, 512), 56 << 20);
        assert_eq!(tall[0], 512);
        assert!(tall[1] * 8 >= 64 << 10);
        // Short columns are written as they follow each other.
        let wide = transposition(512, 524_288);
        assert_eq!(box_lens(&wide, 56 << 20)[1], 512);
    }

    #[test]
    fn small_gaps_are_read_along_and_large_ones_are_not() {
        for (row, runs) in [(80, 1), (80_000, 100)] {
            let relocation =
                Relocation::new(&[100, 3], 8, 0, [(0, 100, 16, vec![row, 8])]).unwrap();
            let plan = Plan::new(&relocation, 1 << 20, 1 << 20, true, (0, &[0])).unwrap();
            let region = plan.boxes().next().unwrap();
            let pieces: Vec<_> = plan.pieces(&region).collect();
            assert_eq!(pieces.len(), 1);
            assert_eq!(pieces[0].runs().count(), runs);
        }
    }

    #[test]
    fn boxes_end_where_pages_do_also_if_the_data_do_not_start_on_one() {
        let relocation = transposition(1 << 14, 1 << 14);
        let plan = Plan::new(&relocation, 8 << 20, 1 << 20, true, (128, &[128])).unwrap();
        let boxes: Vec<_> = plan.boxes().collect();
        for region in &boxes {
            let [column, row, 0] = region.start[..] else {
                panic!()
            };
            assert!(column == 0 || (128 + column * 8) % PAGE == 0, "{region:?}");
            assert!(row == 0 || (128 + row * 8) % PAGE == 0, "{region:?}");
        }
    }
}
