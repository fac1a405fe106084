//! `ndstore concat`: arrays one after the other along an axis.

use std::path::PathBuf;

use clap::Args;
use ndstore::AnyStore;

use crate::input::{Input, RawArgs};
use crate::operand::Operand;
use crate::outcome::{Outcome, fail};
use crate::output::OutputArgs;
use crate::shell::Shell;

/// Join arrays along an axis into a new file
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore concat day1.npy day2.npy day3.npy -o all.npy\n  \
    ndstore concat --axis 1 left.npy right.npy -o wide.npy")]
pub(crate) struct Concat {
    /// Arrays of the same dtype and, but for the axis, the same shape
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Operand>,
    /// The new file, - for standard output
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,
    /// The axis
    #[arg(long, default_value_t = 0, value_name = "AXIS")]
    axis: usize,
    #[command(flatten)]
    raw: RawArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Concat {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let output = self.output.open(&self.out, shell)?;
        let inputs = self
            .files
            .iter()
            .map(|operand| Input::open(operand, &self.raw, shell));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        if let Some(part) = inputs
            .iter()
            .find(|input| !input.region.is_whole(input.store.shape()))
        {
            return fail(format!(
                "{}: whole arrays are joined; `ndstore slice` makes one of a part",
                part.name
            ));
        }
        let others: Vec<&AnyStore> = inputs[1..].iter().map(|input| &input.store).collect();
        let work = inputs[0].moves(&output, "joining", shell)?;
        let store = work.concatenate(&others, self.axis, &output.path)?;
        drop(inputs);
        output.finish(store, shell)
    }
}
