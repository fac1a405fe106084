//! `Shell`: the options of all commands, and where output goes. Answers go to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Read, Write};
use std::time::Duration;

use ndstore::{LockPolicy, Options};
use serde_json::Value;

use crate::args::{Global, When};
use crate::interrupt;
use crate::outcome::{Failure, Outcome};
use crate::progress::{Meter, Style};

pub(crate) struct Shell<'a> {
    pub(crate) out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    global: Global,
    is_standard: bool,
}

impl<'a> Shell<'a> {
    pub(crate) fn new(
        global: Global,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        is_standard: bool,
    ) -> Shell<'a> {
        Shell {
            out,
            err,
            global,
            is_standard,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.global.json
    }

    /// Writes one object on a line of its own.
    pub(crate) fn json(&mut self, value: &Value) -> Outcome<()> {
        Ok(writeln!(self.out, "{value}")?)
    }

    /// One line about what went wrong.
    pub(crate) fn complain(&mut self, message: &str) {
        let message = message.replace(['\n', '\r'], " ");
        // Nobody is left to be told where this fails.
        let _ = writeln!(self.err, "ndstore: {message}");
    }

    /// Goes on with the next file after one that failed, unless nobody wants to hear more.
    pub(crate) fn go_on(&mut self, failure: Failure) -> Outcome<()> {
        match failure {
            Failure::Failed(message) => {
                self.out.flush()?;
                self.complain(&message);
                Ok(())
            }
            Failure::Told => Ok(()),
            failure => Err(failure),
        }
    }

    /// One line about what was done, for people who watch.
    pub(crate) fn note(&mut self, message: &str) {
        if !self.global.quiet && io::stderr().is_terminal() {
            let _ = writeln!(self.err, "{message}");
        }
    }

    /// The memory budget of an operation, if one was given.
    pub(crate) fn memory(&self) -> Option<usize> {
        self.global.memory
    }

    /// How to open and create files.
    pub(crate) fn options(&self) -> Options {
        let policy = match self.global.wait {
            None => LockPolicy::default(),
            Some(seconds) => LockPolicy::WaitAtMost(Duration::from_secs_f64(seconds)),
        };
        Options::new().lock(policy)
    }

    /// What tells how far an operation is.
    pub(crate) fn meter(&self, what: &'static str) -> Meter {
        let style = match self.global.progress {
            _ if self.global.quiet => Style::None,
            When::Json => Style::Json,
            When::Always => Style::Bar,
            When::Never => Style::None,
            When::Auto if io::stderr().is_terminal() => Style::Bar,
            When::Auto => Style::None,
        };
        Meter::new(what, style)
    }

    /// Whether the answer goes to the standard output of this process, past which nothing was buffered.
    pub(crate) fn is_standard(&self) -> bool {
        self.is_standard
    }

    pub(crate) fn stdin(&self) -> impl Read + use<> {
        interrupt::Heeding(io::stdin().lock())
    }
}

/// Whether help is in colour.
pub(crate) fn has_colour() -> bool {
    let is_unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    is_unset("NO_COLOR") && !is_dumb && io::stdout().is_terminal()
}
