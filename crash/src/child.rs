//! The process in which a workload runs: it goes through a script on the mounted disk, and acknowledges.
//!
//! A process of its own, so that a signal or an abort is an exit status and not the end of the rig.

use std::path::Path;
use std::process::ExitCode;

use ndstore::Error;

use crate::disk::ACK;
use crate::script::{Script, State, Step, TARGET};
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

/// Tells the disk what has been returned as done.
struct Acknowledgements<'a> {
    directory: &'a Path,
    done: usize,
}

impl Acknowledgements<'_> {
    fn next(&mut self) {
        self.done += 1;
        // There is no such file: the lookup is all that is wanted.
        let _ = std::fs::symlink_metadata(self.directory.join(format!("{ACK}{}", self.done)));
    }
}

pub(crate) fn run(flaw: Option<Flaw>, script: &Script, directory: &Path) -> ExitCode {
    let path = directory.join(TARGET);
    let mut acknowledgements = Acknowledgements { directory, done: 0 };
    let code = match flaw {
        None => store(script, &path, &mut acknowledgements),
        Some(flaw) => toy(flaw, script, &path, &mut acknowledgements),
    };
    ExitCode::from(code)
}

fn toy(flaw: Flaw, script: &Script, path: &Path, done: &mut Acknowledgements<'_>) -> u8 {
    let mut toy = Toy::new(flaw, path);
    for (index, step) in script.steps.iter().enumerate() {
        if let Err(error) = toy.run(index, step) {
            eprintln!("{step:?}: {error}");
            return REFUSED;
        }
        done.next();
    }
    FINISHED
}

fn store(script: &Script, path: &Path, done: &mut Acknowledgements<'_>) -> u8 {
    let mut subject = Subject::new(script, path);
    for (index, step) in script.steps.iter().enumerate() {
        if let Err(error) = subject.run(index, step, || done.next()) {
            eprintln!("{step:?}: {error}");
            return after_error(&subject, step, &script.states(), done);
        }
    }
    FINISHED
}

/// A step has failed. If there is still a store, it must show the array as before the step or as after it, and its flush must
/// be refused, or true: then what it shows counts as acknowledged.
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
        Err(Error::Poisoned { .. }) => POISONED,
        Err(error) => {
            eprintln!("{error}");
            match store.flush() {
                Err(Error::Poisoned { .. }) => POISONED,
                other => {
                    eprintln!("after a failed flush another one was {other:?}");
                    BROKEN
                }
            }
        }
    }
}
