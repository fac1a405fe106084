//! Carries out a plan: reads, the permutation in memory and writes at the same time, on three
//! threads.
//!
//! One thread asks for the coming pieces, a bounded number of bytes ahead, because a read that
//! nobody asked for before waits for the disk, run after run. The caller's thread reads each piece
//! and puts its bytes into their places in a box. A third thread writes the full boxes, and drops
//! the pages behind them. Two boxes are in memory, so each thread waits for the slower of the two.
//! A thread that fails closes its channels, which stops all others: see `pipeline`.

use std::io;
use std::ops::Range;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use ndarray::{ArrayView, IxDyn, ShapeBuilder};

use super::layout::{Relocation, Stretch, packed};
use super::plan::{Piece, Plan, Region, gcd};
use super::write::Writer;
use crate::dtype::Swap;
use crate::error::{Context, ErrorKind, Result};
use crate::out_of_core::behind::Behind;
use crate::out_of_core::pipeline;
use crate::out_of_core::work::{Meter, Work};
use crate::store::{ArrayFile, Target, scatter};
use crate::sys;

/// The kernel copies stretches from this length on.
const KERNEL_STRETCH: usize = 64 << 10;

/// The bytes that the kernel copies between two reports of progress.
const KERNEL_STEP: usize = 8 << 20;

/// The least memory: this much is taken even if the budget is smaller.
const LEAST: usize = 2 << 20;

/// The scratch stays in the cache of a processor.
const SCRATCH: Range<usize> = 64 << 10..1 << 20;

/// No box is larger than this, or than the array divided by `BOXES` if that is more, so that reads
/// and writes overlap.
const BOX: usize = 8 << 20;
const BOXES: usize = 8;

/// Dropping shorter runs one by one would take longer than the kernel takes to find them.
const LONG_ENOUGH: usize = 64 << 10;

/// The most bytes that are asked for ahead.
const AHEAD: usize = 32 << 20;

/// An array that a relocation reads.
pub(super) struct Input<'a> {
    pub(super) file: &'a ArrayFile,
    /// The byte swap of its elements.
    pub(super) swap: Option<Swap>,
}

impl Input<'_> {
    fn in_file(&self, bytes: Range<usize>) -> Range<u64> {
        self.file.array.in_file(bytes)
    }

    fn prefetch(&self, bytes: Range<usize>) {
        sys::prefetch(self.file.file(), self.in_file(bytes));
    }

    fn drop_cached(&self, bytes: Range<usize>) {
        sys::drop_cached(self.file.file(), self.in_file(bytes));
    }
}

/// The division of the memory.
struct Budget {
    memory: usize,
    /// The size of each of the two boxes.
    buffer: usize,
    scratch: usize,
}

impl Budget {
    fn new(memory: usize, nbytes: usize, itemsize: usize) -> Budget {
        let memory = memory.max(LEAST);
        let scratch = (memory / 16).clamp(SCRATCH.start, SCRATCH.end);
        // Items that do not fit are divided, or refused.
        let scratch = scratch.max(itemsize.min(memory / 4));
        let buffer = ((memory - scratch) / 2).min((nbytes / BOXES).max(BOX));
        Budget {
            memory,
            buffer,
            scratch,
        }
    }
}

/// A relocation under way.
pub(super) struct Run<'a> {
    relocation: &'a Relocation,
    inputs: &'a [Input<'a>],
    context: Context<'a>,
    target: &'a Target<'a>,
    /// Whether pages that were read and written are dropped from the page cache, in which they
    /// would not stay anyway.
    drop: bool,
    /// Whether the writer waits for the disk.
    throttle: bool,
}

impl<'a> Run<'a> {
    /// Writes all bytes of the new array.
    pub(super) fn start<'w>(
        relocation: &'a Relocation,
        inputs: &'a [Input<'a>],
        context: Context<'w>,
        target: &'a Target<'a>,
        work: &mut Work<'w>,
    ) -> Result<()>
    where
        'w: 'a,
    {
        let nbytes = relocation.nbytes();
        let run = Run {
            relocation,
            inputs,
            context,
            target,
            drop: sys::outgrows_cache(nbytes as u64),
            throttle: nbytes > work.memory(),
        };
        let behind = Behind::new(target.file(), target.in_file(0..nbytes), work);
        let mut meter = work.meter(context, nbytes as u64);
        // The kernel copies the bytes of the file, so it cannot copy the changes of a private map,
        // nor elements that need conversion.
        let as_it_is = |input: &Input| input.swap.is_none() && input.file.private_bytes().is_none();
        if relocation.stretch() >= KERNEL_STRETCH && inputs.iter().all(as_it_is) {
            return run.copy(behind, &mut meter);
        }
        let budget = Budget::new(work.memory(), nbytes, relocation.itemsize);
        let may_part = inputs.iter().all(|input| input.swap.is_none());
        let starts: Vec<_> = inputs
            .iter()
            .map(|input| input.in_file(0..0).start)
            .collect();
        let data = (target.in_file(0..0).start, &starts[..]);
        let plan = Plan::new(relocation, budget.buffer, budget.scratch, may_part, data);
        let plan = plan.ok_or_else(|| {
            context.fail(ErrorKind::OverBudget {
                // An item may take a quarter of the memory.
                needed: relocation.itemsize as u64 * 4,
                budget: budget.memory as u64,
            })
        })?;
        run.carry_out(&plan, &budget, behind, &mut meter)
    }

    /// Makes the kernel copy stretch after stretch.
    fn copy(&self, mut behind: Behind<'_>, meter: &mut Meter<'_>) -> Result<()> {
        let mut position = 0;
        for Stretch { source, bytes } in self.relocation.stretches() {
            let input = &self.inputs[source];
            for start in bytes.clone().step_by(KERNEL_STEP) {
                let piece = start..bytes.end.min(start + KERNEL_STEP);
                let from = input.file.file();
                let range = input.in_file(piece.clone());
                let copied = self.target.copy_at(position as u64, from, range);
                copied.map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => input.file.truncated(self.context.op),
                    _ => self.target.error(error),
                })?;
                position += piece.len();
                let written = behind.reached(self.target.in_file(0..position).end);
                written.map_err(|error| self.target.error(error))?;
                meter.add(piece.len() as u64)?;
                if self.drop {
                    input.drop_cached(piece);
                }
            }
        }
        Ok(())
    }

    /// Assembles box after box.
    fn carry_out(
        &self,
        plan: &Plan<'_>,
        budget: &Budget,
        behind: Behind<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<()> {
        let ahead = (budget.memory / 4).min(AHEAD) / budget.scratch;
        let (announce, announced) = mpsc::sync_channel(ahead);
        let mut scratch = vec![0; budget.scratch];
        let mut writer = Writer::new(plan, self.target, self.drop, self.throttle, behind);
        let mut last = None;
        let mut regions = plan.boxes();
        thread::scope(|scope| {
            // Without this thread, pieces come as they are read.
            let _ =
                thread::Builder::new().spawn_scoped(scope, move || self.prefetch(plan, &announce));
            // The closure owns its end of the channel, and dropping that ends the prefetching.
            let fill = move |content: &mut Vec<u8>| {
                let Some(region) = regions.next() else {
                    return Ok(None);
                };
                let steps = packed(&region.lens);
                for piece in plan.pieces(&region) {
                    // An error would be that of a thread that panicked, which the scope passes on.
                    let _ = announced.recv();
                    self.read(&piece, content, &mut scratch, &steps)?;
                    meter.add(piece.nbytes() as u64)?;
                }
                Ok(Some(region))
            };
            let write = |region, content: &Vec<u8>| {
                writer.write(&region, content)?;
                // Not those of this very box: the kernel does not drop pages that were read a
                // moment ago.
                if let Some(last) = last.replace(region) {
                    self.let_go(plan, &last);
                }
                Ok(())
            };
            let boxes = (0..2).map(|_| vec![0; plan.box_size()]);
            pipeline::run(boxes, fill, write)
        })
    }

    /// Asks for the coming pieces.
    fn prefetch(&self, plan: &Plan<'_>, announce: &SyncSender<()>) {
        for region in plan.boxes() {
            for piece in plan.pieces(&region) {
                for (bytes, _) in piece.runs() {
                    self.inputs[piece.source].prefetch(bytes);
                }
                if announce.send(()).is_err() {
                    return;
                }
            }
        }
    }

    /// Lets go of what a box was made of.
    fn let_go(&self, plan: &Plan<'_>, region: &Region) {
        let pieces = plan.pieces(region);
        for piece in pieces.filter(|_| self.drop) {
            let input = &self.inputs[piece.source];
            let long = piece.runs();
            let long = long.filter(|(bytes, _)| bytes.len() >= LONG_ENOUGH);
            long.for_each(|(bytes, _)| input.drop_cached(bytes));
        }
    }

    /// Reads a piece into its place in its box, in which neighbours are `steps` apart.
    fn read(
        &self,
        piece: &Piece,
        content: &mut [u8],
        scratch: &mut [u8],
        steps: &[usize],
    ) -> Result<()> {
        let input = &self.inputs[piece.source];
        let into = match piece.direct {
            true => &mut content[piece.place..],
            false => &mut *scratch,
        };
        for (bytes, to) in piece.runs() {
            let into = &mut into[to..to + bytes.len()];
            input.file.read_at(self.context.op, bytes.start, into)?;
            if let Some(swap) = &input.swap {
                swap.apply(into);
            }
        }
        if !piece.direct {
            place(piece, scratch, content, steps);
        }
        Ok(())
    }
}

/// Puts the bytes of a piece into their places in its box, in which neighbours are `steps` apart.
fn place(piece: &Piece, scratch: &[u8], content: &mut [u8], steps: &[usize]) {
    let last = piece.lens.len() - 1;
    let long = || (0..last).filter(|&axis| piece.lens[axis] > 1);
    let unit = long().fold(piece.lens[last], |unit, axis| {
        gcd(gcd(unit, piece.pitches[axis]), steps[axis])
    });
    let content = &mut content[piece.place..];
    macro_rules! of_size {
        ($($size:literal)*) => {
            match unit {
                $(_ if unit.is_multiple_of($size) => place_units::<$size>(piece, scratch, content, steps),)*
                _ => unreachable!("every number is a multiple of one"),
            }
        };
    }
    of_size!(32 24 16 12 10 8 7 6 5 4 3 2 1);
}

/// As [`place`], with `N` bytes at a time; all lengths are multiples of `N`.
fn place_units<const N: usize>(piece: &Piece, scratch: &[u8], content: &mut [u8], steps: &[usize]) {
    let last = piece.lens.len() - 1;
    let mut axes: Vec<_> = (0..last).filter(|&axis| piece.lens[axis] > 1).collect();
    // The last axis is left out if it is one unit, and those along the axis before it are
    // contiguous.
    if piece.lens[last] > N || axes.last().is_none_or(|&axis| steps[axis] != N) {
        axes.push(last);
    }
    let of = |axis: &usize, values: &[usize]| match *axis == last {
        true => 1,
        false => values[*axis] / N,
    };
    let len = |axis: &usize| match *axis == last {
        true => piece.lens[last] / N,
        false => piece.lens[*axis],
    };
    let lens: Vec<_> = axes.iter().map(len).collect();
    let pitches: Vec<_> = axes.iter().map(|axis| of(axis, &piece.pitches)).collect();
    let mut steps: Vec<_> = axes.iter().map(|axis| of(axis, steps)).collect();
    let (units, _) = scratch.as_chunks::<N>();
    let view = ArrayView::from_shape(IxDyn(&lens).strides(IxDyn(&pitches)), units)
        .expect("a piece fits the scratch, by `Plan`");
    scatter(view, content, &mut steps);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::layout::tests::{naive, relocations};
    use super::super::write::runs;
    use super::*;

    /// Assembles the new array in memory from sources whose bytes are random, with the reads and
    /// writes of a run.
    fn assembled(
        plan: &Plan<'_>,
        relocation: &Relocation,
        source: impl Fn(usize, usize) -> u8,
    ) -> Vec<u8> {
        let mut found = vec![0; relocation.nbytes()];
        for region in plan.boxes() {
            let steps = packed(&region.lens);
            let mut content = vec![0; region.lens.iter().product()];
            for piece in plan.pieces(&region) {
                let mut scratch = vec![0; 700];
                let into = match piece.direct {
                    true => &mut content[piece.place..],
                    false => &mut scratch[..],
                };
                for (bytes, to) in piece.runs() {
                    for (behind, byte) in bytes.enumerate() {
                        into[to + behind] = source(piece.source, byte);
                    }
                }
                if !piece.direct {
                    place(&piece, &scratch, &mut content, &steps);
                }
            }
            let mut covered = 0;
            for (bytes, at) in runs(relocation, &region) {
                covered += bytes.len();
                found[bytes.clone()].copy_from_slice(&content[at..at + bytes.len()]);
            }
            assert_eq!(covered, content.len());
        }
        found
    }

    proptest! {
        #[test]
        fn a_plan_that_is_carried_out_makes_the_new_array(relocation in relocations(), buffer in 1..600_usize, scratch in 1..700_usize) {
            let source = |source: usize, byte: usize| (source * 31 + byte * 7 + byte / 256) as u8;
            let data = vec![0; relocation.parts.len()];
            let plan = Plan::new(&relocation, buffer, scratch, true, (0, &data)).unwrap();
            let expected: Vec<_> = naive(&relocation).into_iter().map(|(of, byte)| source(of, byte)).collect();
            prop_assert_eq!(assembled(&plan, &relocation, source), expected);
        }
    }

    #[test]
    fn the_buffers_of_any_budget_stay_within_it() {
        for memory in [0, 1, LEAST, 16 << 20, 64 << 20, 1 << 40] {
            for nbytes in [1, 1 << 20, 1 << 30, 1 << 45] {
                for itemsize in [1, 8, 1 << 20, 1 << 30] {
                    let budget = Budget::new(memory, nbytes, itemsize);
                    assert!(2 * budget.buffer + budget.scratch <= memory.max(LEAST));
                    assert!(budget.buffer >= 1 && budget.scratch >= SCRATCH.start);
                }
            }
        }
    }
}
