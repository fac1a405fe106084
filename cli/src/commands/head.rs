//! `ndstore head`: the first rows.

use clap::Args;
use ndstore::Opening;

use super::cat;
use crate::input::{Input, RawArgs};
use crate::operand::Operand;
use crate::outcome::{Answer, Outcome};
use crate::print::Format;
use crate::shell::Shell;

/// Print the first rows of arrays
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore head a.npy\n  \
    ndstore head -n 3 -F csv a.npy b.npy\n  \
    ndstore head 'a.npy[:, :5]'               five columns")]
pub(crate) struct Head {
    #[command(flatten)]
    rows: RowsArgs,
}

/// Which files, and how many rows of each.
#[derive(Debug, Args)]
pub(crate) struct RowsArgs {
    /// Arrays: a.npy, 'a.npy[1:3]', a.npz:x, - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<Operand>,
    /// How many rows: indices of the first axis
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    pub(crate) rows: usize,
    /// What to write
    #[arg(short = 'F', long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) raw: RawArgs,
}

impl Head {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        self.rows.print(shell, |len, rows| (0, len.min(rows)))
    }
}

impl RowsArgs {
    /// Prints the rows that `pick` names by the first one and the end, of so many.
    pub(crate) fn print(
        &self,
        shell: &mut Shell<'_>,
        pick: impl Fn(usize, usize) -> (usize, usize),
    ) -> Outcome {
        for (index, operand) in self.files.iter().enumerate() {
            let mut input = Input::open_as(operand, &self.raw, shell, Opening::Watch)?;
            if let Some(&len) = input.shape().first() {
                let (start, end) = pick(len, self.rows);
                input.region = input.region.part(0, start..end);
            }
            if shell.is_json() {
                cat::print_object(&input, shell)?;
                continue;
            }
            let is_for_people = !matches!(self.format, Format::Raw | Format::Npy | Format::Json);
            if self.files.len() > 1 && is_for_people {
                let blank = if index > 0 { "\n" } else { "" };
                writeln!(shell.out, "{blank}==> {} <==", input.name)?;
            }
            cat::print(&input, self.format, shell)?;
        }
        Ok(Answer::Yes)
    }
}
