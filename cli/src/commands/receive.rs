//! `ndstore receive`: arrays from standard input, as files.

use std::path::PathBuf;

use clap::Args;

use crate::outcome::{Outcome, fail};
use crate::output::OutputArgs;
use crate::shell::Shell;

/// Write an array from standard input into a file
///
/// The file is there whole or not at all. Reading stops behind the array.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ssh host ndstore send a.npy | ndstore receive a.npy\n  \
    curl -s https://example.org/a.npy | ndstore receive --max-bytes 2G a.npy")]
pub(crate) struct Receive {
    /// The new file
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Refuses an array whose elements have more bytes
    #[arg(long, value_name = "SIZE", value_parser = crate::units::parse_size)]
    max_bytes: Option<usize>,
    #[command(flatten)]
    output: OutputArgs,
}

impl Receive {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let output = self.output.open(&self.out, shell)?;
        let most = self.max_bytes.map_or(u64::MAX, |most| most as u64);
        let options = output.options.clone().max_nbytes(most);
        match options.receive_any(shell.stdin(), &output.path)? {
            Some(store) => output.finish(store, shell),
            None => fail("standard input is empty, so there is no array to receive"),
        }
    }
}
