//! How a command ends: with an answer, or without one. Errors of the library become the command's words here.

use std::io;

use ndstore::ErrorKind;

use crate::words;

/// What a command says by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done, or yes: exit code 0.
    Yes,
    /// No: arrays differ, a file is damaged. Exit code 1.
    No,
}

impl Answer {
    pub(crate) fn of(yes: bool) -> Answer {
        match yes {
            true => Answer::Yes,
            false => Answer::No,
        }
    }
}

/// Why a command has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The line to say, without the name of the command in front of it. Exit code 2.
    Failed(String),
    /// The same, and the lines were said already: one for each file.
    Told,
    /// Whoever reads the output has read enough. Exit code 0.
    BrokenPipe,
    /// Ctrl-C. Exit code 130.
    Interrupted,
}

pub(crate) type Outcome<T = Answer> = Result<T, Failure>;

/// Fails with a line.
pub(crate) fn fail<T>(message: impl Into<String>) -> Outcome<T> {
    Err(Failure::Failed(message.into()))
}

impl From<ndstore::Error> for Failure {
    fn from(error: ndstore::Error) -> Failure {
        match error.kind() {
            ErrorKind::Cancelled { .. } => Failure::Interrupted,
            ErrorKind::Io { cause, .. } if error.path().is_none() && is_broken_pipe(cause) => {
                Failure::BrokenPipe
            }
            _ => Failure::Failed(words::of(&error)),
        }
    }
}

/// Of standard output, and of streams: what has a path is an error of the library.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match is_broken_pipe(&error) {
            true => Failure::BrokenPipe,
            false => Failure::Failed(format!("cannot read or write a stream: {error}")),
        }
    }
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}
