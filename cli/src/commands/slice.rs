//! `ndstore slice`: a part of an array as an array of its own.

use std::path::PathBuf;

use clap::Args;

use crate::input::{Input, RawArgs};
use crate::operand::Operand;
use crate::outcome::Outcome;
use crate::output::OutputArgs;
use crate::shell::Shell;
use crate::stream::{self, Elements};

/// Write a part of an array into a new file
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore slice 'a.npy[100:200, ::2]' part.npy\n  \
    ndstore slice 'a.npy[::-1]' reversed.npy\n  \
    ndstore slice runs.npz:loss loss.npy      one array out of an archive")]
pub(crate) struct Slice {
    /// The part, as NumPy writes it: 'a.npy[1:3, -1]'
    #[arg(value_name = "FILE")]
    file: Operand,
    /// The new file, - for standard output
    #[arg(value_name = "OUT")]
    out: PathBuf,
    #[command(flatten)]
    raw: RawArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Slice {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let input = Input::open(&self.file, &self.raw, shell)?;
        let output = self.output.open(&self.out, shell)?;
        let store = stream::write(
            Elements::new(&input, shell.memory(), shell.meter("slicing")),
            &output,
        )?;
        output.finish(store, shell)
    }
}
