//! Processes that take over from each other: one dies at any of its calls, or is told that its disk
//! failed; somebody else may sync the file, or be told instead; another process opens what was left
//! and goes on; and only then the power is cut.
//!
//! What a process reads of a file need not be on the disk, nor need its name. Whoever cuts the file
//! behind a header that it read, or says `Ok` about it, has to see to that first.

use std::io;
use std::ops::AddAssign;

use crate::check::{Checker, Violation};
use crate::disk::{Fault, Kind};
use crate::log::Op;
use crate::model::Family;
use crate::oracle::Oracle;
use crate::power::{Cut, Tally, cut};
use crate::rig::{Ending, Foreign, Life, Recording, relay};
use crate::rng::Rng;
use crate::script::Script;
use crate::toy::Flaw;
use crate::workloads;

/// How a process ends before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// It is killed by a call that changes something.
    Killed,
    /// It is told that a call of this kind failed, and ends.
    Failed(Kind),
}

impl Death {
    pub(crate) const ALL: [Death; 3] = [
        Death::Killed,
        Death::Failed(Kind::Sync),
        Death::Failed(Kind::Write),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Death::Killed => "killed",
            Death::Failed(Kind::Sync) => "sync: EIO",
            Death::Failed(_) => "write: EIO",
        }
    }

    fn at(self, n: u32) -> Fault {
        match self {
            Death::Killed => Fault::Kill { n },
            Death::Failed(kind) => Fault::Nth { kind, n },
        }
    }
}

/// How the power is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) family: Family,
    /// How many of the successors follow each death: they take turns.
    pub(crate) turns: usize,
    /// How many images of a workload NumPy reads.
    pub(crate) numpy: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) runs: u64,
    pub(crate) tally: Tally,
    /// Runs whose violations show when no sync of a directory that the later processes ask for is
    /// honoured, of so many.
    pub(crate) names: (u64, u64),
    /// The same for their syncs of files.
    pub(crate) files: (u64, u64),
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Outcome) {
        self.runs += other.runs;
        self.tally += other.tally;
        for (sum, part) in [
            (&mut self.names, other.names),
            (&mut self.files, other.files),
        ] {
            sum.0 += part.0;
            sum.1 += part.1;
        }
    }
}

/// Has `first` die at each of its calls, and others take over.
pub(crate) fn deaths(
    flaw: Option<Flaw>,
    first: &Script,
    death: Death,
    how: How,
    checker: &mut Checker,
) -> io::Result<Outcome> {
    let successors = match flaw {
        None => workloads::successors(first),
        Some(_) => workloads::toy_successors(),
    };
    let foreign = [Foreign::Nothing, Foreign::Sync, Foreign::FailedSync];
    let mut outcome = Outcome::default();
    let mut turn = 0;
    checker.start(flaw, how.numpy);
    for n in 1.. {
        for _ in 0..how.turns {
            // Numbers without a common divisor, so that each successor meets each stranger.
            let (successor, foreign) = (
                &successors[turn % successors.len()],
                foreign[turn % foreign.len()],
            );
            turn += 1;
            let lives = [(&*first.name, Some(death.at(n))), (&successor.name, None)];
            if !run(flaw, &lives, foreign, how, checker, &mut outcome)? {
                return Ok(outcome);
            }
        }
    }
    Ok(outcome)
}

/// Random lives, each of which but the last is killed, if it lives as long.
pub(crate) fn random(seed: u64, how: How, checker: &mut Checker) -> io::Result<Outcome> {
    let mut rng = Rng::new(seed);
    let first = workloads::random(seed);
    let successors = workloads::successors(&first);
    let mut lives = vec![(first.name.as_str(), kill(&mut rng, 30))];
    for _ in 0..1 + rng.below(3) {
        let successor = &successors[rng.below(successors.len())];
        lives.push((&successor.name, kill(&mut rng, 10)));
    }
    lives.push((&successors[rng.below(successors.len())].name, None));
    let foreign = [Foreign::Nothing, Foreign::Sync, Foreign::FailedSync][rng.below(3)];
    let mut outcome = Outcome::default();
    checker.start(None, how.numpy);
    run(None, &lives, foreign, how, checker, &mut outcome)?;
    Ok(outcome)
}

fn kill(rng: &mut Rng, latest: usize) -> Option<Fault> {
    let n = 1 + rng.below(latest) as u32;
    Some(Fault::Kill { n })
}

/// One run. False, and nothing is checked, if the first process lived to its end.
fn run(
    flaw: Option<Flaw>,
    lives: &[(&str, Option<Fault>)],
    foreign: Foreign,
    how: How,
    checker: &mut Checker,
    outcome: &mut Outcome,
) -> io::Result<bool> {
    let scripts = workloads::in_a_row(lives.iter().map(|(name, _)| *name));
    let scripts = scripts.ok_or(io::ErrorKind::NotFound)?;
    let faults = lives.iter().map(|(_, fault)| *fault);
    let planned: Vec<_> = scripts
        .iter()
        .zip(faults)
        .map(|(script, fault)| Life { script, fault })
        .collect();
    let recording = relay(flaw, &planned, foreign)?;
    if recording.lived[0].struck.is_none() {
        return Ok(false);
    }
    let mut tally = Tally::default();
    for found in broken_promises(&recording, lives) {
        tally.add_violation(found, "after the run");
    }
    let mut cuts = |first_only: bool, leave_out: &dyn Fn(&Op) -> bool| {
        let later = recording.lived[1].start;
        let log = recording.log.iter().enumerate();
        let log = log.filter(|&(at, op)| at < later || !leave_out(op));
        let how = Cut {
            unit: scripts[0].units[0],
            family: how.family,
            from: later,
            synced: true,
            first_only,
        };
        cut(log.map(|(_, op)| op), Oracle::new(&scripts), how, checker)
    };
    tally += cuts(false, &|_| false)?;
    if foreign == Foreign::Nothing && flaw.is_none() {
        let names = cuts(true, &|op| matches!(op, Op::SyncDirectory))?;
        outcome.names.0 += u64::from(names.violations() > 0);
        outcome.names.1 += 1;
        let files = cuts(true, &|op| matches!(op, Op::Sync { .. }))?;
        outcome.files.0 += u64::from(files.violations() > 0);
        outcome.files.1 += 1;
    }
    tally.label(&format!("{lives:?}, {foreign:?}"));
    outcome.runs += 1;
    outcome.tally += tally;
    Ok(true)
}

/// What the processes themselves did wrong, whatever is on the disk.
fn broken_promises(recording: &Recording, lives: &[(&str, Option<Fault>)]) -> Vec<Violation> {
    let failed = lives
        .iter()
        .any(|(_, fault)| matches!(fault, Some(Fault::Nth { .. })));
    let wrong = |ending: &Ending| match ending {
        Ending::Failed(_) => true,
        // An element that the disk refused is told to whom syncs next.
        Ending::Refused | Ending::Poisoned => !failed,
        Ending::Finished | Ending::Killed => false,
    };
    let wrong = recording.lived.iter().filter(|lived| wrong(&lived.ending));
    wrong
        .map(|lived| Violation {
            kind: "a process did not end well",
            detail: format!("{:?}", lived.ending),
        })
        .collect()
}
