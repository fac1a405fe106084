//! Goes through every interleaving of the lock protocol that docs/locks.md states, and shows that
//! it would find a wrong one.
//!
//! ```text
//! cargo run            # every scenario: the protocol holds in all, and each flaw is found in one
//! cargo run -- FLAW    # how a flaw breaks a promise, step by step
//! ```

mod file;
mod flaw;
mod process;

use std::collections::{HashMap, VecDeque};
use std::process::ExitCode;

use flaw::Flaw;
use process::{Kind, Next, State, Step};

/// Rows at first, who opens the file, and how many of them are killed.
fn scenarios() -> Vec<(usize, Vec<Kind>, u8)> {
    use Kind::*;
    vec![
        (
            1,
            vec![Appender(2), Appender(1), Reader(1), RowWriter(0..1)],
            2,
        ),
        (1, vec![Appender(2), Reader(2), Watcher, NumPy], 1),
        (1, vec![Appender(1), Appender(1), Reader(0), Reader(1)], 1),
        (
            2,
            vec![RowWriter(0..1), RowWriter(1..2), RowWriter(1..1), Reader(0)],
            2,
        ),
        (2, vec![RowWriter(0..2), RowWriter(1..2), Watcher, NumPy], 2),
        (1, vec![Shared, Shared, Reader(0), RowWriter(0..1)], 2),
        (1, vec![Shared, Appender(1), Reader(0), Watcher], 2),
        (
            1,
            vec![Replacer, Appender(1), RowWriter(0..1), Reader(0)],
            2,
        ),
        (2, vec![Changer, Reader(1), Appender(1), Shared], 2),
        (1, vec![Changer, Replacer, Watcher, Shared], 2),
        // A row writer takes rows that a reader has not seen yet.
        (0, vec![Appender(2), Reader(2), Shared, RowWriter(0..1)], 1),
        (
            1,
            vec![Appender(1), Appender(1), Reader(1), RowWriter(0..1), Shared],
            0,
        ),
        (
            1,
            vec![Appender(1), Reader(1), RowWriter(0..1), Replacer, NumPy],
            1,
        ),
    ]
}

/// A promise that is broken, and how it comes to that.
struct Fault {
    what: String,
    trace: Vec<String>,
}

/// Goes through all states that there can be, the nearest first. Says how many there are.
fn explore(first: State, flaw: Option<Flaw>) -> Result<usize, Fault> {
    let mut from: HashMap<State, Option<(State, String)>> = HashMap::new();
    let mut ahead = VecDeque::from([first.clone()]);
    from.insert(first, None);
    while let Some(state) = ahead.pop_front() {
        let fault = |what: String, last: String| {
            let mut trace = vec![last];
            let mut at = &state;
            while let Some((before, how)) = &from[at] {
                trace.push(how.clone());
                at = before;
            }
            trace.reverse();
            Fault { what, trace }
        };
        let mut found = Vec::new();
        let (mut left, mut waiting) = (0, 0);
        for (at, process) in state.processes.iter().enumerate() {
            if process.step == Step::Done {
                continue;
            }
            left += 1;
            let how = format!("{:?}: {:?}", process.kind, process.step);
            match state.step(at, flaw) {
                Ok(Next::To(next)) => found.push((next, how)),
                Ok(Next::Waits) => waiting += 1,
                Err(what) => return Err(fault(what, how)),
            }
            if state.kills > 0 && process.step != Step::Open {
                found.push((state.kill(at), format!("{:?}: killed", process.kind)));
            }
        }
        if left > 0 && waiting == left {
            return Err(fault("everybody waits".into(), String::new()));
        }
        for (next, how) in found {
            if !from.contains_key(&next) {
                from.insert(next.clone(), Some((state.clone(), how)));
                ahead.push_back(next);
            }
        }
    }
    Ok(from.len())
}

fn show(fault: &Fault) {
    println!("  {}", fault.what);
    for step in &fault.trace {
        println!("    {step}");
    }
}

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1);
    let mut is_well = true;
    if wanted.is_none() {
        let mut total = 0;
        for (rows, kinds, kills) in scenarios() {
            match explore(State::new(rows, &kinds, kills), None) {
                Ok(states) => {
                    println!("{rows} rows, {kinds:?}, {kills} killed: {states} states");
                    total += states;
                }
                Err(fault) => {
                    println!("{rows} rows, {kinds:?}, {kills} killed:");
                    show(&fault);
                    is_well = false;
                }
            }
        }
        println!("{total} states in all");
    }
    for flaw in Flaw::ALL {
        if wanted
            .as_ref()
            .is_some_and(|wanted| *wanted != format!("{flaw:?}"))
        {
            continue;
        }
        let mut attempts = scenarios().into_iter();
        let found = attempts.find_map(|(rows, kinds, kills)| {
            explore(State::new(rows, &kinds, kills), Some(flaw)).err()
        });
        match found {
            Some(fault) if wanted.is_some() => show(&fault),
            Some(fault) => println!("{flaw:?} is found: {}", fault.what),
            None => {
                println!("{flaw:?} is NOT found");
                is_well = false;
            }
        }
    }
    match is_well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
