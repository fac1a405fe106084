//! Errors of the disk: each call of a kind fails once, in a run of its own, and the disk is full at
//! many sizes.
//!
//! Every run has to end with success or an error. Whichever it is, what was acknowledged must be
//! there, the array must be the one before the failed step or the one after it, and no draft may
//! stay. The power is cut at every moment after the fault.

use std::io;

use crate::check::{Checker, DRAFT, Violation};
use crate::disk::{Fault, Kind};
use crate::model::Family;
use crate::oracle::Oracle;
use crate::power::{Cut, Tally, cut};
use crate::rig::{Ending, Lived, Recording, record};
use crate::script::Script;
use crate::toy::Flaw;

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    Calls(Kind),
    /// The disk gets full, at so many sizes.
    Space {
        sizes: u64,
    },
}

impl Failing {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Failing::Calls(Kind::Sync) => "sync: EIO",
            Failing::Calls(Kind::Write) => "write: EIO",
            Failing::Calls(Kind::Length) => "length: EIO",
            Failing::Calls(Kind::Name) => "name: EIO",
            Failing::Space { .. } => "disk full",
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Runs that were struck.
    pub(crate) runs: u64,
    /// Of these, runs that ended with an error, and those whose store then refused to flush.
    pub(crate) refused: u64,
    pub(crate) poisoned: u64,
    pub(crate) tally: Tally,
}

/// Which images follow a fault.
const FAMILY: Family = Family {
    systematic: true,
    random: 8,
};

/// Runs `script` again and again, until the fault strikes no more.
pub(crate) fn inject(
    flaw: Option<Flaw>,
    script: &Script,
    failing: Failing,
    checker: &mut Checker,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    match failing {
        Failing::Calls(kind) => {
            for n in 1.. {
                let fault = Fault::Nth { kind, n };
                let struck = strike(flaw, script, failing, fault, checker, &mut outcome)?;
                if !struck {
                    break;
                }
            }
        }
        Failing::Space { sizes } => {
            let needed = record(flaw, script, None)?.peak;
            for size in 0..=sizes {
                // The last one is a single byte too small.
                let capacity = (needed * size / sizes).min(needed - 1);
                let fault = Fault::Full { capacity };
                strike(flaw, script, failing, fault, checker, &mut outcome)?;
            }
        }
    }
    Ok(outcome)
}

/// One run. False if the fault did not strike.
fn strike(
    flaw: Option<Flaw>,
    script: &Script,
    failing: Failing,
    fault: Fault,
    checker: &mut Checker,
    outcome: &mut Outcome,
) -> io::Result<bool> {
    let recording = record(flaw, script, Some(fault))?;
    let at = format!("{fault:?}");
    for found in broken_promises(&recording, failing) {
        outcome.tally.add_violation(found, &at);
    }
    let Lived { ending, struck, .. } = recording.last();
    let Some(struck) = *struck else {
        return Ok(false);
    };
    outcome.runs += 1;
    outcome.refused += u64::from(*ending != Ending::Finished);
    outcome.poisoned += u64::from(*ending == Ending::Poisoned);
    let how = Cut {
        unit: script.units[0],
        family: FAMILY,
        from: struck,
        synced: false,
        first_only: false,
    };
    checker.start(flaw, 0);
    let oracle = Oracle::new(std::slice::from_ref(script));
    outcome.tally += cut(&recording.log, oracle, how, checker)?;
    Ok(true)
}

/// What the run itself did wrong, whatever is on the disk.
fn broken_promises(recording: &Recording, failing: Failing) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut add = |kind, detail: &str| {
        let detail = detail.to_owned();
        found.push(Violation { kind, detail });
    };
    let Lived { ending, struck, .. } = recording.last();
    match ending {
        Ending::Failed(how) => add("it did not end well", how),
        Ending::Finished if struck.is_some() && failing == Failing::Calls(Kind::Sync) => {
            add("`Ok` after a failed sync", "every step was acknowledged");
        }
        Ending::Refused | Ending::Poisoned if struck.is_none() => {
            add("an error without a fault", "a step was refused");
        }
        _ => {}
    }
    // A draft that could not be removed stays until the next create.
    let stays = recording.names.iter().find(|name| name.contains(DRAFT));
    if let Some(name) = stays.filter(|_| failing != Failing::Calls(Kind::Name)) {
        add("a draft stays behind", name);
    }
    found
}
