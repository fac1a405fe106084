//! The process in which a workload runs: it goes through a script on the mounted disk, and
//! acknowledges its steps.
//!
//! A process of its own, so that a signal or an abort is an exit status and not the end of the rig.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use ndarray::{Ix2, s};
use ndstore::{AnyStore, ErrorKind, ReadOnly};

use crate::assembly;
use crate::disk::{ACK, FOUND};
use crate::log::Op;
use crate::oracle::Oracle;
use crate::script::{Expected, Script, State, Step, TARGET};
use crate::subject::Subject;
use crate::toy::{Flaw, Toy};

/// Every step was done.
pub(crate) const FINISHED: u8 = 0;
/// A step failed, with an error as it should.
pub(crate) const REFUSED: u8 = 10;
/// A step failed, and the store refuses to go on.
pub(crate) const POISONED: u8 = 11;
/// After a step that failed the store does not do as it promises.
const BROKEN: u8 = 12;

/// The life of an earlier process: its script, the state that it found, and its last
/// acknowledgement.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    found: usize,
    acked: usize,
    script: String,
}

impl Past {
    pub(crate) fn new(script: &str) -> Past {
        Past {
            found: 0,
            acked: 0,
            script: script.to_owned(),
        }
    }

    /// Notes what the log has of it.
    pub(crate) fn follow(&mut self, log: &[Op]) {
        for op in log {
            match op {
                Op::Life { found } => self.found = *found,
                Op::Ack(number) => self.acked = *number,
                _ => {}
            }
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Past> {
        let mut words = word.splitn(3, '/');
        Some(Past {
            found: words.next()?.parse().ok()?,
            acked: words.next()?.parse().ok()?,
            script: words.next()?.to_owned(),
        })
    }

    pub(crate) fn script(&self) -> &str {
        &self.script
    }
}

impl fmt::Display for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.found, self.acked, self.script)
    }
}

/// Tells the disk what has been returned as done.
struct Acknowledgements<'a> {
    directory: &'a Path,
    done: usize,
}

impl Acknowledgements<'_> {
    fn next(&mut self) {
        self.done += 1;
        self.tell(ACK, self.done);
    }

    fn tell(&self, what: &str, number: usize) {
        // There is no such file: the lookup is all that is wanted.
        let _ = std::fs::symlink_metadata(self.directory.join(format!("{what}{number}")));
    }
}

/// Goes through the last of these lives, whose scripts are `scripts`, once there is no more input.
pub(crate) fn run(
    flaw: Option<Flaw>,
    lives: &[Past],
    scripts: &[Script],
    directory: &Path,
) -> ExitCode {
    if let Err(error) = io::stdin().read_to_end(&mut Vec::new()) {
        eprintln!("{error}");
        return ExitCode::from(BROKEN);
    }
    let path = directory.join(TARGET);
    let mut acknowledgements = Acknowledgements { directory, done: 0 };
    let script = scripts.last().expect("somebody lives");
    let mut state = None;
    if let [_, _, ..] = scripts {
        let left = left(lives, scripts);
        let fitting = (0..left.len())
            .rev()
            .filter(|&state| is_at(&path, &left[state]));
        // What fits two of them may be either: the earlier of those that leave the most elements
        // open.
        let Some(found) = fitting.max_by_key(|&state| left[state].as_ref().map(Expected::doubts))
        else {
            eprintln!("what is there is not what was left");
            return ExitCode::from(BROKEN);
        };
        acknowledgements.tell(FOUND, found);
        state = left[found].clone();
        if state.is_none() && matches!(script.steps[0], Step::Open) {
            return ExitCode::from(FINISHED);
        }
    }
    let code = match flaw {
        None => store(script, state, &path, &mut acknowledgements),
        Some(flaw) => toy(flaw, script, state, &path, &mut acknowledgements),
    };
    ExitCode::from(code)
}

/// The states that the lives before the last may have left.
fn left(lives: &[Past], scripts: &[Script]) -> Vec<State> {
    let mut oracle = Oracle::new(scripts);
    for (position, life) in lives[..lives.len() - 1].iter().enumerate() {
        if position > 0 {
            oracle.follow(&Op::Life { found: life.found });
        }
        oracle.follow(&Op::Ack(life.acked));
    }
    oracle.allowed().to_vec()
}

/// Whether `path` has this state.
fn is_at(path: &Path, state: &State) -> bool {
    let draft = std::fs::read(assembly::draft(path)).ok();
    let marked = draft.map_or(Ok(0), |draft| {
        assembly::marked(&draft).map(|marked| marked.len())
    });
    match (AnyStore::open(path), state) {
        (
            Err(error),
            Some(Expected {
                making: Some(making),
                ..
            }),
        ) => matches!(error.kind(), ErrorKind::NotFound { .. }) && marked == Ok(making.marked),
        (Ok(store), Some(expected)) => store.downcast::<u64, Ix2, ReadOnly>().is_ok_and(|store| {
            let found = store.read(s![.., ..]);
            found.is_ok_and(|found| expected.matches(found.view(), store.order()))
        }),
        (Err(error), None) => matches!(error.kind(), ErrorKind::NotFound { .. }) && marked == Ok(0),
        _ => false,
    }
}

fn toy(
    flaw: Flaw,
    script: &Script,
    found: State,
    path: &Path,
    done: &mut Acknowledgements<'_>,
) -> u8 {
    let mut toy = Toy::new(flaw, path, found.map(|found| found.newest().clone()));
    for (index, step) in script.numbered_steps() {
        if let Err(error) = toy.run(index, step) {
            eprintln!("{step:?}: {error}");
            return REFUSED;
        }
        done.next();
    }
    FINISHED
}

fn store(script: &Script, found: State, path: &Path, done: &mut Acknowledgements<'_>) -> u8 {
    let mut subject = Subject::new(script, path);
    for (index, step) in script.numbered_steps() {
        if let Err(error) = subject.run(index, step, || done.next()) {
            eprintln!("{step:?}: {error}");
            return after_error(&subject, step, &script.chain(found).states, done);
        }
    }
    FINISHED
}

/// A step has failed. If there is still a store, it must show the array as before the step or as
/// after it, and its flush must fail, or be true: then the array that it shows counts as
/// acknowledged.
fn after_error(
    subject: &Subject<'_>,
    step: &Step,
    states: &[State],
    done: &mut Acknowledgements<'_>,
) -> u8 {
    let Some(store) = subject.store() else {
        return REFUSED;
    };
    let shows = |state: usize| {
        let expected = states.get(state).and_then(Option::as_ref);
        expected.is_some_and(|expected| expected.matches(store.view(), store.order()))
    };
    let next = shows(done.done + 1);
    if !next && !shows(done.done) {
        eprintln!("the store shows neither the old array nor the new one");
        return BROKEN;
    }
    match store.flush() {
        Ok(()) if matches!(step, Step::Flush | Step::FlushRows(_)) => {
            eprintln!("a second flush was `Ok`");
            BROKEN
        }
        Ok(()) => {
            if next {
                done.next();
            }
            REFUSED
        }
        Err(error) if matches!(error.kind(), ErrorKind::Poisoned) => POISONED,
        // Somebody else put a file in its place before the step failed: nobody finds this one.
        Err(error)
            if matches!(error.kind(), ErrorKind::Removed) && matches!(step, Step::Foreign(..)) =>
        {
            REFUSED
        }
        Err(error) => {
            eprintln!("{error}");
            match store.flush() {
                Err(error) if matches!(error.kind(), ErrorKind::Poisoned) => POISONED,
                other => {
                    eprintln!("after a failed flush another one was {other:?}");
                    BROKEN
                }
            }
        }
    }
}
