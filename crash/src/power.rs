//! Power cuts: every image of every moment of a log, checked.

use std::collections::BTreeMap;
use std::io;
use std::ops::{AddAssign, ControlFlow};

use crate::check::{Checker, Seen, Violation};
use crate::log::Op;
use crate::model::{Family, Moment};
use crate::oracle::Oracle;
use crate::rng::Rng;

/// How to cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Writes are cut in units of so many bytes.
    pub(crate) unit: usize,
    pub(crate) family: Family,
    /// The first moment at which the power fails, as a length of the log.
    pub(crate) from: usize,
    /// Whether to cut a second time at each moment, after somebody else has synced the files.
    pub(crate) synced: bool,
    /// Whether to go no further than the first violation.
    pub(crate) first_only: bool,
}

/// The result of the cuts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) points: u64,
    pub(crate) images: u64,
    /// Images that differ from all others of the run.
    pub(crate) distinct: u64,
    pub(crate) numpy: u64,
    /// How many of each kind, and how the first of them came about.
    pub(crate) violations: BTreeMap<&'static str, (u64, String)>,
}

impl Tally {
    pub(crate) fn violations(&self) -> u64 {
        self.violations.values().map(|(count, _)| count).sum()
    }

    /// Says of which run the violations are.
    pub(crate) fn label(&mut self, run: &str) {
        for (_, first) in self.violations.values_mut() {
            *first = format!("{run}: {first}");
        }
    }

    pub(crate) fn add_violation(&mut self, found: Violation, at: &str) {
        let first = || (0, format!("{at}: {}", found.detail));
        self.violations.entry(found.kind).or_insert_with(first).0 += 1;
    }
}

impl AddAssign<Tally> for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.points += other.points;
        self.images += other.images;
        self.distinct += other.distinct;
        self.numpy += other.numpy;
        for (kind, (count, first)) in other.violations {
            self.violations.entry(kind).or_insert((0, first)).0 += count;
        }
    }
}

/// Cuts the power at every moment of `log`. What is found must be what `oracle` allows, which
/// follows the log.
pub(crate) fn cut<'a>(
    log: impl IntoIterator<Item = &'a Op>,
    mut oracle: Oracle<'_>,
    cut: Cut,
    checker: &mut Checker,
) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let mut moment = Moment::new(cut.unit);
    let mut rng = Rng::new(cut.unit as u64);
    let mut log = log.into_iter();
    let mut point = 0;
    loop {
        if point >= cut.from {
            tally.points += 1;
            let synced = cut.synced.then(|| moment.synced());
            for moment in [&moment].into_iter().chain(&synced) {
                let done = moment.images(cut.family, &mut rng, |image| {
                    tally.images += 1;
                    match checker.check(&image, oracle.allowed()) {
                        Ok(Ok(seen)) => {
                            tally.distinct += u64::from(seen != Seen::Before);
                            tally.numpy += u64::from(seen == Seen::ByNumpy);
                        }
                        Ok(Err(found)) => {
                            let at = format!("after {point} operations, {} done", oracle.acked());
                            tally.add_violation(found, &at);
                            if cut.first_only {
                                return ControlFlow::Break(Ok(()));
                            }
                        }
                        Err(error) => return ControlFlow::Break(Err(error)),
                    }
                    ControlFlow::Continue(())
                });
                if let ControlFlow::Break(result) = done {
                    return result.map(|()| tally);
                }
            }
        }
        let Some(op) = log.next() else {
            return Ok(tally);
        };
        moment.advance(op);
        oracle.follow(op);
        point += 1;
    }
}
