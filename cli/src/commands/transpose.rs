//! `ndstore transpose`: another order of the axes, within the memory budget.

use std::path::PathBuf;

use clap::Args;

use crate::input::{Input, RawArgs};
use crate::operand::Operand;
use crate::outcome::Outcome;
use crate::output::OutputArgs;
use crate::shell::Shell;

/// Write an array with its axes in another order
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore transpose a.npy t.npy\n  \
    ndstore transpose --axes 2,0,1 --memory 512M hwc.npy chw.npy")]
pub(crate) struct Transpose {
    /// The array
    #[arg(value_name = "FILE")]
    file: Operand,
    /// The new file, - for standard output
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Which axis goes where, as np.transpose takes it: 2,0,1. Reversed otherwise
    #[arg(long, value_name = "AXES", value_delimiter = ',')]
    axes: Option<Vec<usize>>,
    #[command(flatten)]
    raw: RawArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Transpose {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let input = Input::open(&self.file, &self.raw, shell)?;
        let output = self.output.open(&self.out, shell)?;
        let work = input.moves(&output, "transposing", shell)?;
        let store = match &self.axes {
            None => work.transpose(&output.path)?,
            Some(axes) => work.permute(axes, &output.path)?,
        };
        output.finish(store, shell)
    }
}
