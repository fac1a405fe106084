//! A whole run: power cuts, flaws that have to be found, errors of the disk; and the tables of it.

use std::io;
use std::time::Instant;

use crate::check::Checker;
use crate::disk::Kind;
use crate::faults::{Failing, Outcome, inject};
use crate::log::Op;
use crate::model::Family;
use crate::numpy::Numpy;
use crate::oracle::Oracle;
use crate::power::{Cut, Tally, cut};
use crate::relay::{self, Death, How};
use crate::rig::{Ending, record};
use crate::script::Script;
use crate::toy::Flaw;
use crate::workloads;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    scripts: fn() -> Vec<Script>,
    /// Random subsets of the pending changes, at each moment and prefix of the names.
    random: usize,
    /// Images of a workload that NumPy reads, for each unit.
    numpy: usize,
    /// Sizes of a disk that gets full.
    sizes: u64,
    /// How many processes take over from one that died at some call, each in a run of its own.
    turns: usize,
    /// Runs of several processes that die at random.
    relays: u64,
}

impl Plan {
    pub(crate) const SHORT: Plan = Plan {
        scripts: workloads::short,
        random: 8,
        numpy: 50,
        sizes: 8,
        turns: 1,
        relays: 0,
    };
    pub(crate) const LONG: Plan = Plan {
        scripts: workloads::long,
        random: 32,
        numpy: 2000,
        sizes: 32,
        turns: 6,
        relays: 600,
    };
}

/// Runs everything. True if ndstore kept its promises and every flaw was found.
pub(crate) fn run(plan: Plan, numpy: Option<Numpy>) -> io::Result<bool> {
    let start = Instant::now();
    match &numpy {
        Some(numpy) => println!("NumPy {} reads a part of the images.\n", numpy.version),
        None => println!("There is no NumPy: ndstore alone reads the images.\n"),
    }
    let mut checker = Checker::new(numpy)?;
    let kept = power_cuts(plan, &mut checker)?;
    let relayed = relays(plan, &mut checker)?;
    let found = flaws(&mut checker)?;
    let lies = lying_disks(plan, &mut checker)?;
    let failures = disk_errors(plan, &mut checker)?;
    let right = kept && relayed && found && lies && failures;
    println!(
        "{} in {:.0} s",
        if right { "All is well," } else { "NOT WELL," },
        start.elapsed().as_secs_f64()
    );
    Ok(right)
}

/// The first of each kind of violation, below the row that counts them.
fn explain(tally: &Tally) {
    for (kind, (count, first)) in &tally.violations {
        println!("    {count} x {kind}; first {first}");
    }
}

fn family(plan: Plan) -> Family {
    Family {
        systematic: true,
        random: plan.random,
    }
}

fn power_cuts(plan: Plan, checker: &mut Checker) -> io::Result<bool> {
    println!(
        "| power cuts | unit | crash points | images | distinct | by NumPy | violations |\n\
         |---|---:|---:|---:|---:|---:|---:|"
    );
    let mut total = Tally::default();
    let row = |name: &str, unit: &str, tally: &Tally| {
        let Tally {
            points,
            images,
            distinct,
            numpy,
            ..
        } = tally;
        let violations = tally.violations();
        println!("| {name} | {unit} | {points} | {images} | {distinct} | {numpy} | {violations} |");
    };
    let mut right = true;
    for script in (plan.scripts)() {
        let recording = record(None, &script, None)?;
        if recording.last().ending != Ending::Finished {
            println!("    {}: {:?}", script.name, recording.last().ending);
            right = false;
            continue;
        }
        for &unit in script.units {
            checker.start(None, plan.numpy);
            let how = Cut {
                unit,
                family: family(plan),
                from: 0,
                synced: false,
                first_only: false,
            };
            let oracle = Oracle::new(std::slice::from_ref(&script));
            let tally = cut(&recording.log, oracle, how, checker)?;
            row(&script.name, &unit.to_string(), &tally);
            explain(&tally);
            total += tally;
        }
    }
    row("**all**", "", &total);
    println!();
    Ok(right && total.violations() == 0)
}

/// Processes that take over from others that died.
fn relays(plan: Plan, checker: &mut Checker) -> io::Result<bool> {
    println!(
        "| taken over from | that was | runs | crash points | images | distinct | by NumPy | violations | without the later syncs of directories | of files |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    let row = |name: &str, death: &str, outcome: &relay::Outcome| {
        let relay::Outcome {
            runs,
            tally,
            names,
            files,
        } = outcome;
        let (points, images, distinct) = (tally.points, tally.images, tally.distinct);
        let (numpy, violations) = (tally.numpy, tally.violations());
        println!(
            "| {name} | {death} | {runs} | {points} | {images} | {distinct} | {numpy} | {violations} | {} of {} caught | {} of {} |",
            names.0, names.1, files.0, files.1
        );
        explain(tally);
    };
    let mut total = relay::Outcome::default();
    let how = How {
        family: Family {
            systematic: true,
            random: plan.random / 4,
        },
        turns: plan.turns,
        numpy: plan.numpy,
    };
    // Not those whose files are large.
    let firsts = (plan.scripts)().into_iter();
    for first in firsts.filter(|script| script.units.len() > 1) {
        for death in Death::ALL {
            let outcome = relay::deaths(None, &first, death, how, checker)?;
            row(&first.name, death.name(), &outcome);
            total += outcome;
        }
    }
    let mut random = relay::Outcome::default();
    for seed in 0..plan.relays {
        random += relay::random(seed, how, checker)?;
    }
    if plan.relays > 0 {
        row("several in a row, at random", "killed", &random);
        total += random;
    }
    row("**all**", "", &total);
    println!();
    Ok(total.tally.violations() == 0 && total.names.0 > 0 && total.files.0 > 0)
}

/// The toy store with each flaw in turn: without one it must pass, with one it must not.
fn flaws(checker: &mut Checker) -> io::Result<bool> {
    println!("| a store with a flaw | images | violations | |\n|---|---:|---:|---|");
    let script = workloads::toy();
    let mut right = true;
    for flaw in Flaw::ALL {
        let mut tally = Tally::default();
        if flaw.needs_successor() || flaw == Flaw::Nothing {
            let how = How {
                family: family(Plan::SHORT),
                turns: 1,
                numpy: 0,
            };
            for death in Death::ALL {
                tally += relay::deaths(Some(flaw), &script, death, how, checker)?.tally;
            }
        }
        if !flaw.needs_fault() && !flaw.needs_successor() {
            let recording = record(Some(flaw), &script, None)?;
            checker.start(Some(flaw), 0);
            let how = Cut {
                unit: 512,
                family: family(Plan::SHORT),
                from: 0,
                synced: false,
                first_only: false,
            };
            let oracle = Oracle::new(std::slice::from_ref(&script));
            tally += cut(&recording.log, oracle, how, checker)?;
        }
        if flaw.needs_fault() || flaw == Flaw::Nothing {
            tally += inject(Some(flaw), &script, Failing::Calls(Kind::Sync), checker)?.tally;
        }
        let caught = tally.violations() > 0;
        let as_expected = caught == (flaw != Flaw::Nothing);
        right &= as_expected;
        let verdict = match (caught, as_expected) {
            (true, true) => "caught",
            (false, true) => "passes",
            (true, false) => "**WRONGLY CAUGHT**",
            (false, false) => "**NOT CAUGHT**",
        };
        let (images, violations) = (tally.images, tally.violations());
        println!("| {flaw} | {images} | {violations} | {verdict} |");
        if !as_expected {
            explain(&tally);
        }
    }
    println!();
    Ok(right)
}

/// ndstore itself on disks that say they have synced and have not. If that were not noticed, its
/// syncs would not be tested.
fn lying_disks(plan: Plan, checker: &mut Checker) -> io::Result<bool> {
    println!(
        "| ndstore without | files' syncs | directory's syncs | syncs, one at a time |\n|---|---|---|---:|"
    );
    let mut right = true;
    for script in (plan.scripts)() {
        let log = record(None, &script, None)?.log;
        let mut shows = |leave_out: &dyn Fn(usize, &Op) -> bool| {
            let kept = log.iter().enumerate();
            let kept = kept.filter(|&(at, op)| !leave_out(at, op));
            checker.start(None, 0);
            let how = Cut {
                unit: script.units[0],
                family: family(Plan::SHORT),
                from: 0,
                synced: false,
                first_only: true,
            };
            let oracle = Oracle::new(std::slice::from_ref(&script));
            let tally = cut(kept.map(|(_, op)| op), oracle, how, checker)?;
            io::Result::Ok(tally.violations() > 0)
        };
        let is_directory = |op: &Op| matches!(op, Op::SyncDirectory);
        let is_file = |op: &Op| matches!(op, Op::Sync { .. });
        let files = shows(&|_, op| is_file(op))?;
        let directory = shows(&|_, op| is_directory(op))?;
        let mut syncs = 0;
        let mut needed = 0;
        for (at, op) in log.iter().enumerate() {
            if is_file(op) || is_directory(op) {
                syncs += 1;
                needed += u32::from(shows(&|left_out, _| left_out == at)?);
            }
        }
        right &= files && directory;
        let word = |caught| if caught { "caught" } else { "**NOT CAUGHT**" };
        println!(
            "| {} | {} | {} | {needed} of {syncs} caught |",
            script.name,
            word(files),
            word(directory)
        );
    }
    println!();
    Ok(right)
}

fn disk_errors(plan: Plan, checker: &mut Checker) -> io::Result<bool> {
    println!(
        "| errors of the disk | what | runs | refused | then poisoned | images | violations |\n\
         |---|---|---:|---:|---:|---:|---:|"
    );
    let kinds = [Kind::Sync, Kind::Write, Kind::Length, Kind::Name];
    let failing = kinds.map(Failing::Calls).into_iter();
    let failing: Vec<_> = failing
        .chain([Failing::Space { sizes: plan.sizes }])
        .collect();
    let row = |name: &str, what: &str, outcome: &Outcome| {
        let Outcome {
            runs,
            refused,
            poisoned,
            tally,
        } = outcome;
        let (images, found) = (tally.images, tally.violations());
        println!("| {name} | {what} | {runs} | {refused} | {poisoned} | {images} | {found} |");
    };
    let mut total = Outcome::default();
    for script in (plan.scripts)() {
        for &failing in &failing {
            let outcome = inject(None, &script, failing, checker)?;
            row(&script.name, failing.name(), &outcome);
            explain(&outcome.tally);
            total.runs += outcome.runs;
            total.refused += outcome.refused;
            total.poisoned += outcome.poisoned;
            total.tally += outcome.tally;
        }
    }
    row("**all**", "", &total);
    println!();
    Ok(total.tally.violations() == 0)
}
