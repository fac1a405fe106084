//! Writing the boxes of a relocation, and sending what they fill to the disk.
//!
//! A box has runs that are only as long as the memory allows, so those of the boxes that follow it
//! along the same runs are joined to them before they are sent. A page goes to the disk once: not
//! before it is full, because the kernel would write it again, or read it again if it had left the
//! page cache meanwhile.

use std::io;
use std::ops::Range;

use super::layout::{Odometer, Relocation};
use super::plan::{JOINED, PAGE, Plan, Region};
use crate::error::Result;
use crate::out_of_core::behind::Behind;
use crate::store::Target;
use crate::sys;

/// Writes boxes, and lets go of what lies behind them.
pub(super) struct Writer<'a> {
    relocation: &'a Relocation,
    target: &'a Target<'a>,
    /// Whether what was written leaves the page cache, where it would not stay anyway.
    drop: bool,
    /// Whether this waits for the disk.
    throttle: bool,
    behind: Behind<'a>,
    pending: Pending<'a>,
    /// What was sent to the disk last: from its first byte to its last.
    sent: Range<usize>,
    /// All bytes before are out of the page cache.
    dropped: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        plan: &Plan<'a>,
        target: &'a Target<'a>,
        drop: bool,
        throttle: bool,
        behind: Behind<'a>,
    ) -> Writer<'a> {
        Writer {
            relocation: plan.relocation(),
            target,
            drop,
            throttle,
            behind,
            pending: Pending::new(plan),
            sent: 0..0,
            dropped: 0,
        }
    }

    pub(super) fn write(&mut self, region: &Region, content: &[u8]) -> Result<()> {
        let (relocation, target) = (self.relocation, self.target);
        for (bytes, at) in runs(relocation, region) {
            target.write_at(bytes.start as u64, &content[at..at + bytes.len()])?;
        }
        let written = match is_one_run(relocation, region) {
            true => {
                let bytes = span(relocation, region);
                self.behind.reached(target.in_file(bytes).end)
            }
            false => self.let_go(region),
        };
        written.map_err(|error| target.error(error))
    }

    /// Sends what is due once a box is written. Whole slices of the slowest axis leave the page
    /// cache as soon as no box touches them any more.
    fn let_go(&mut self, region: &Region) -> io::Result<()> {
        let (relocation, target) = (self.relocation, self.target);
        for due in self.pending.add(region) {
            self.send(&due)?;
        }
        let complete = region.start[0] * relocation.steps()[0];
        if self.drop && complete > self.dropped {
            let slices = target.in_file(self.dropped..complete);
            sys::finish_writeback(target.file(), slices.clone())?;
            sys::drop_cached(target.file(), slices);
            self.dropped = complete;
        }
        Ok(())
    }

    /// Sends a region on its way to the disk, once what was sent before has arrived.
    fn send(&mut self, region: &Region) -> io::Result<()> {
        let (relocation, target) = (self.relocation, self.target);
        if self.throttle {
            let before = target.in_file(self.sent.clone());
            sys::wait_for_writeback(target.file(), before)?;
        }
        self.sent = span(relocation, region);
        for pages in full_pages(relocation, region, target.in_file(0..0).start) {
            sys::start_writeback(target.file(), pages)?;
        }
        Ok(())
    }
}

/// Boxes that are written and not sent, as one region: their runs go on in each other.
struct Pending<'a> {
    relocation: &'a Relocation,
    /// One more box is more than are joined.
    most: usize,
    region: Option<Region>,
}

impl<'a> Pending<'a> {
    fn new(plan: &Plan<'a>) -> Pending<'a> {
        Pending {
            relocation: plan.relocation(),
            most: (JOINED - 1) * plan.box_size(),
            region: None,
        }
    }

    /// Adds a box. Returns what is to be sent now.
    fn add(&mut self, region: &Region) -> impl Iterator<Item = Region> + use<> {
        let joined = |pending: &Region| joined(self.relocation, pending, region);
        let (region, before) = match self.region.as_ref().and_then(joined) {
            Some(both) => (both, None),
            None => (region.clone(), self.region.take()),
        };
        let is_due = region.lens.iter().product::<usize>() > self.most;
        self.region = (!is_due).then(|| region.clone());
        before.into_iter().chain(is_due.then_some(region))
    }
}

/// Two regions as one, if the runs of the second go on where those of the first end.
fn joined(relocation: &Relocation, first: &Region, second: &Region) -> Option<Region> {
    let axis = run_axis(relocation, first);
    let mut both = first.clone();
    both.start[axis] += first.lens[axis];
    both.lens[axis] = second.lens[axis];
    if both != *second {
        return None;
    }
    both.start[axis] = first.start[axis];
    both.lens[axis] += first.lens[axis];
    Some(both)
}

/// The pages in the file that the runs of a region fill, where the new array starts at an offset.
///
/// Two runs share the page in which one ends and the other begins. It belongs to the one that is
/// written later: the next box's, and where that begins the next row, this one's.
fn full_pages(
    relocation: &Relocation,
    region: &Region,
    data: u64,
) -> impl Iterator<Item = Range<u64>> {
    let axis = run_axis(relocation, region);
    let is_first = region.start[axis] == 0;
    let is_last = region.start[axis] + region.lens[axis] == relocation.lens[axis];
    let page = |offset: u64, up: bool| match up {
        true => offset.next_multiple_of(PAGE as u64),
        false => offset - offset % PAGE as u64,
    };
    let runs = runs(relocation, region);
    runs.map(move |(bytes, _)| {
        let (start, end) = (data + bytes.start as u64, data + bytes.end as u64);
        page(start, is_first)..page(end, is_last)
    })
}

/// The axis of a region from which on its bytes follow each other in the new array.
fn run_axis(relocation: &Relocation, region: &Region) -> usize {
    let mut partial = region.lens.iter().zip(&relocation.lens);
    let partial = partial.rposition(|(len, whole)| len < whole);
    partial.unwrap_or(0)
}

/// From the first byte of a region in the new array to its last.
fn span(relocation: &Relocation, region: &Region) -> Range<usize> {
    let mut span = 0..1;
    for ((step, start), len) in relocation
        .steps()
        .iter()
        .zip(&region.start)
        .zip(&region.lens)
    {
        span.start += step * start;
        span.end += step * (start + len - 1);
    }
    span
}

fn is_one_run(relocation: &Relocation, region: &Region) -> bool {
    let before = &region.lens[..run_axis(relocation, region)];
    before.iter().all(|&len| len == 1)
}

/// The runs of a region: which bytes of the new array, and where in the box.
pub(super) fn runs(
    relocation: &Relocation,
    region: &Region,
) -> impl Iterator<Item = (Range<usize>, usize)> {
    let axis = run_axis(relocation, region);
    let steps = relocation.steps();
    let dot = |index: &[usize], steps: &[usize]| -> usize {
        index
            .iter()
            .zip(steps)
            .map(|(index, step)| index * step)
            .sum()
    };
    let start = dot(&region.start, &steps);
    let len: usize = region.lens[axis..].iter().product();
    let outer = Odometer::new(region.lens[..axis].to_vec());
    outer.enumerate().map(move |(number, index)| {
        let start = start + dot(&index, &steps);
        (start..start + len, number * len)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Of a transposition whose rows are some pages long, in boxes whose runs are longer than
        /// one.
        #[test]
        fn a_page_is_sent_once_and_not_before_it_is_full(
            rows in 2000..6000_usize, columns in 2..60_usize, buffer in 300_000..900_000_usize, data in 0..9000_u64,
        ) {
            let part = (0, columns, 0, vec![8, 8 * columns]);
            let relocation = Relocation::new(&[columns, rows], 8, 0, [part]).unwrap();
            let plan = Plan::new(&relocation, buffer, 64 << 10, true, (data, &[data])).unwrap();
            let nbytes = relocation.nbytes();
            let pages = (data as usize + nbytes).div_ceil(PAGE);
            let (mut written, mut sent) = (vec![0; pages], vec![0; pages]);
            let mut pending = Pending::new(&plan);
            let mut early = 0;
            for region in plan.boxes().filter(|region| !is_one_run(&relocation, region)) {
                for (bytes, _) in runs(&relocation, &region) {
                    for byte in bytes {
                        written[(data as usize + byte) / PAGE] += 1;
                    }
                }
                for due in pending.add(&region) {
                    for page in full_pages(&relocation, &due, data).flat_map(|pages| {
                        pages.start as usize / PAGE..(pages.end as usize / PAGE).max(pages.start as usize / PAGE)
                    }) {
                        sent[page] += 1;
                        let of_array = (page + 1) * PAGE - (page * PAGE).max(data as usize);
                        let of_array = of_array.min(data as usize + nbytes - (page * PAGE).max(data as usize));
                        early += usize::from(written[page] < of_array);
                    }
                }
            }
            prop_assert!(sent.iter().all(|&times| times <= 1));
            // The last row of a box may end in a page that goes on in a box of other rows.
            let slabs = plan.boxes().map(|region| region.start[0]).collect::<std::collections::BTreeSet<_>>();
            prop_assert!(early <= slabs.len(), "{early} of {} were sent too early", sent.iter().sum::<usize>());
        }
    }

    #[test]
    fn boxes_are_joined_along_their_runs_and_nowhere_else() {
        let relocation = Relocation::new(&[4, 90], 8, 0, [(0, 4, 0, vec![8, 32])]).unwrap();
        let region = |start: [usize; 2], lens: [usize; 2]| Region {
            start: [start[0], start[1], 0].to_vec(),
            lens: [lens[0], lens[1], 8].to_vec(),
        };
        let first = region([0, 10], [2, 20]);
        let joined = |second| joined(&relocation, &first, &second);
        assert_eq!(
            joined(region([0, 30], [2, 5])),
            Some(region([0, 10], [2, 25]))
        );
        for second in [
            region([0, 31], [2, 5]),
            region([0, 30], [1, 5]),
            region([2, 30], [2, 5]),
            region([2, 10], [2, 20]),
        ] {
            assert_eq!(joined(second), None);
        }
    }
}
