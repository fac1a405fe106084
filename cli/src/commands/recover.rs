//! `ndstore recover`: what is left of a file that was cut, or whose writer was killed.

use std::path::PathBuf;

use clap::Args;
use ndstore::{Inspection, Mode, Order};
use serde_json::json;

use crate::input::RawArgs;
use crate::operand::printable;
use crate::outcome::{Answer, Outcome, fail};
use crate::output::OutputArgs;
use crate::shell::Shell;
use crate::units;

/// Save the whole rows of a file that was cut, or what a killed writer left behind the array
///
/// Says what it finds and makes a new file; the old one stays as it is. Without OUT, or with --dry-run, it only says it. Exit code 1 if there is nothing to recover.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore recover cut.npy                   what is there?\n  \
    ndstore recover cut.npy saved.npy\n  \
    ndstore recover --adopt log.npy saved.npy   with the rows that no header names")]
pub(crate) struct Recover {
    /// The damaged file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The new file
    #[arg(value_name = "OUT")]
    out: Option<PathBuf>,
    /// Says what there is, and makes nothing
    #[arg(long)]
    dry_run: bool,
    /// Takes whole rows behind the array as well, which no header names
    #[arg(long)]
    adopt: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl Recover {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let raw = RawArgs {
            raw: None,
            raw_fortran: false,
        };
        let found = raw.options(shell.options()).inspect(&self.file)?;
        let name = printable(&self.file);
        let is_sound = found.is_whole() && found.trailing_nbytes() == 0;
        let rows = self.rows(&found);
        if shell.is_json() {
            shell.json(&json!({
                "path": self.file.to_string_lossy(), "sound": is_sound, "rows_named": rows_of(&found), "rows_whole": found.whole_rows(),
                "rows_behind": found.trailing_rows(), "nbytes_behind": found.trailing_nbytes(), "unpublished": found.is_unpublished(),
                "rows_saved": rows,
            }))?;
        } else {
            for line in self.report(&found) {
                writeln!(shell.out, "{name}: {line}")?;
            }
        }
        let Some(out) = self.out.as_ref().filter(|_| !self.dry_run && !is_sound) else {
            return Ok(Answer::of(!is_sound));
        };
        let output = self.output.open(out, shell)?;
        let mut shape = found.shape().to_vec();
        let axis = match found.order() {
            Order::C => 0,
            Order::F => shape.len().saturating_sub(1),
        };
        match shape.get_mut(axis) {
            Some(len) => *len = rows,
            None => {
                return fail(format!(
                    "{name} is a single element, of which nothing whole is left"
                ));
            }
        }
        // The elements as they lie in the file, whatever its header says of their number.
        let options = shell
            .options()
            .raw(found.offset())
            .dtype(found.dtype().clone())
            .order(found.order());
        let store = options
            .shape(shape.clone())
            .allow_trailing(true)
            .open_any(&self.file, Mode::Read)?;
        let ranges: Vec<_> = shape.iter().map(|&len| 0..len).collect();
        let mut work = store
            .out_of_core_any()
            .progress(shell.meter("recovering").callback());
        if let Some(memory) = shell.memory() {
            work = work.memory(memory);
        }
        let saved = work
            .output(output.options.clone())
            .copy_region(&ranges, &output.path)?;
        output.finish(saved, shell)
    }

    /// How many rows the new file gets.
    fn rows(&self, found: &Inspection) -> usize {
        let behind = usize::try_from(found.trailing_rows()).unwrap_or(usize::MAX);
        match self.adopt {
            true => found.whole_rows().saturating_add(behind),
            false => found.whole_rows(),
        }
    }

    fn report(&self, found: &Inspection) -> Vec<String> {
        let rows = |count: usize| units::counted(count as u64, "row");
        let mut lines = Vec::new();
        if !found.is_whole() {
            let lost = rows_of(found).saturating_sub(found.whole_rows());
            lines.push(format!(
                "cut: {} of {} are whole, {} lost",
                rows(found.whole_rows()),
                units::count(rows_of(found) as u64),
                rows(lost)
            ));
        }
        if found.trailing_nbytes() > 0 {
            let why = match found.is_unpublished() {
                true => "of an append that is under way or was killed",
                false => "that no header names",
            };
            let behind = rows(found.trailing_rows() as usize);
            let what = match self.adopt {
                true => "taken",
                false => "left out, --adopt takes whole rows of it",
            };
            lines.push(format!(
                "{} behind the array ({behind}) {why}: {what}",
                units::exact(found.trailing_nbytes())
            ));
        }
        match lines.is_empty() {
            true => lines.push("sound, there is nothing to recover".into()),
            false => lines.push(format!("{} to be saved", rows(self.rows(found)))),
        }
        lines
    }
}

/// How many rows the header names.
fn rows_of(found: &Inspection) -> usize {
    let axis = match found.order() {
        Order::C => found.shape().first(),
        Order::F => found.shape().last(),
    };
    axis.copied().unwrap_or(1)
}
