//! The options of all commands, and what `ndstore FILE` means.

use std::ffi::OsString;

use clap::{Args as ClapArgs, CommandFactory, Parser, ValueEnum};

use crate::commands::Command;
use crate::units;

/// See, check, change and move arrays on disk
///
/// Arrays are NPY files, members of npz archives (a.npz:x), raw files (--raw) and standard input (-). A part of one is written as in NumPy, in quotes: 'a.npy[10:20, ::-2, -1]'.
#[derive(Debug, Parser)]
#[command(
    name = "ndstore",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = false,
    override_usage = "ndstore COMMAND [OPTIONS] FILE...\n       ndstore FILE...",
    after_help = "Exit code: 0 yes or done, 1 a negative answer (they differ, it is damaged), 2 an error.\n\
                  `ndstore COMMAND --help` has the options of a command, with examples."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What counts for every command.
#[derive(Debug, ClapArgs)]
pub(crate) struct Global {
    /// Writes one JSON object a line
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Says nothing but the answer and errors
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub(crate) quiet: bool,
    /// Shows how far it is, on standard error
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = When::Auto, hide_default_value = true, help_heading = "Everywhere")]
    pub(crate) progress: When,
    /// How much memory to work in, as 512M; a quarter of what is available otherwise
    #[arg(long, global = true, value_name = "SIZE", value_parser = units::parse_size, help_heading = "Everywhere")]
    pub(crate) memory: Option<usize>,
    /// Waits so long for a file that another process has
    #[arg(long, global = true, value_name = "SECONDS", value_parser = parse_seconds, help_heading = "Everywhere")]
    pub(crate) wait: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// A bar, at a terminal
    Auto,
    /// A bar
    Always,
    /// Nothing
    Never,
    /// Lines of JSON
    Json,
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // A wait that is longer than that is one for ever.
        Ok(seconds @ 0.0..=1e9) => Ok(seconds),
        _ => Err("write a number of seconds".into()),
    }
}

/// `ndstore a.npy` is `ndstore info a.npy`, where no command has that name.
pub(crate) fn with_default_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let Some(first) = args.get(1).and_then(|first| first.to_str().or(Some("/"))) else {
        return args;
    };
    let definition = Args::command();
    let is_command = definition
        .get_subcommands()
        .any(|command| command.get_name() == first);
    let is_path = first.contains(['/', '.', '[']) || std::path::Path::new(&args[1]).exists();
    if !is_command && !first.starts_with('-') && first != "help" && is_path {
        args.insert(1, "info".into());
    }
    args
}
