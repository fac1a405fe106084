//! The command `ndstore`: see, check, change and move arrays from a shell.
//!
//! [`main_of`] is the process: standard streams, Ctrl-C, exit code. [`run`] is the same with streams of the caller's, for tests.
//! Each command is a file in `commands/`: its arguments, and a function that does it. What they share stands beside this one:
//! `args` (options of all commands), `operand` (`a.npz:x[1:, 2]`), `input` (an open operand), `shell` (where output goes),
//! `outcome` (how a command ends), `print` (elements as text), `units` (sizes and counts).
//!
//! ```
//! let (mut out, mut err) = (Vec::new(), Vec::new());
//! let code = ndstore_cli::run(["ndstore", "info", "missing.npy"], &mut out, &mut err);
//! assert_eq!(code, 2);
//! assert_eq!(String::from_utf8(err).unwrap().lines().count(), 1);
//! ```

mod args;
mod canvas;
mod commands;
mod csv;
mod holders;
mod index;
mod input;
mod interrupt;
mod numbers;
mod operand;
mod outcome;
mod output;
mod print;
mod progress;
mod region;
mod shell;
mod stream;
mod units;
mod words;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};

use clap::{CommandFactory, Parser};

use args::Args;
use outcome::{Answer, Failure};
use shell::Shell;

/// Runs the command in this process: its streams, and Ctrl-C. Returns the exit code.
pub fn main_of(args: impl IntoIterator<Item = OsString>) -> u8 {
    interrupt::heed();
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    run_on(args, &mut out, &mut io::stderr(), true)
}

/// Runs the command on these streams. Returns the exit code: 0 for yes, 1 for a negative answer, 2 for an error, 130 after Ctrl-C.
pub fn run<S: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = S>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    run_on(args, out, err, false)
}

fn run_on<S: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = S>,
    out: &mut dyn Write,
    err: &mut dyn Write,
    is_standard: bool,
) -> u8 {
    let args = args.into_iter().map(Into::into).collect();
    let args = match Args::try_parse_from(args::with_default_command(args)) {
        Ok(args) => args,
        Err(refused) => return refuse(&refused, out, err),
    };
    let mut shell = Shell::new(args.global, out, err, is_standard);
    let ended = commands::run(args.command, &mut shell);
    let ended = ended.and_then(|answer| {
        shell.out.flush()?;
        Ok(answer)
    });
    match ended {
        Ok(Answer::Yes) | Err(Failure::BrokenPipe) => 0,
        Ok(Answer::No) => 1,
        // An operation that ends for it may say so in words of its own.
        Err(_) if interrupt::is_pressed() => 130,
        Err(Failure::Interrupted) => 130,
        Err(Failure::Told) => 2,
        Err(Failure::Failed(message)) => {
            shell.complain(&message);
            2
        }
    }
}

/// The command as clap knows it: what completions and man pages are made of.
pub fn definition() -> clap::Command {
    Args::command()
}

/// Help goes to standard output; a refusal is one line.
fn refuse(refused: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    // A reader that went away has read enough.
    if !refused.use_stderr()
        || refused.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        let text = refused.render();
        let _ = match shell::has_colour() {
            true => write!(out, "{}", text.ansi()),
            false => write!(out, "{text}"),
        };
        let _ = out.flush();
        return 0;
    }
    let text = refused.render().to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.take_while(|line| !line.starts_with("Usage:"));
    let lines = lines.filter(|line| !line.starts_with("For more information"));
    let joined = lines.collect::<Vec<_>>().join(" ");
    let message = joined.strip_prefix("error: ").unwrap_or(&joined);
    let message = message.replace(" tip: ", "; ").replace("  ", " ");
    let _ = writeln!(
        err,
        "ndstore: {message}; `ndstore help` has all commands and options"
    );
    2
}
