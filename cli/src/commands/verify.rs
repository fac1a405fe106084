//! `ndstore verify`: whether arrays are what they were when their checksums were written.

use std::path::{Path, PathBuf};

use clap::Args;
use ndstore::{Mode, Verification};
use serde_json::{Value, json};

use crate::input::RawArgs;
use crate::operand::printable;
use crate::outcome::{Answer, Failure, Outcome};
use crate::shell::Shell;
use crate::units;

/// How many damaged parts are shown to people.
const SHOWN: usize = 10;

/// Compare arrays with their checksums
///
/// Names the damaged rows and bytes. Exit code 1 if anything is damaged, 2 if something cannot be compared.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore verify a.npy && echo intact\n  \
    ndstore verify --json *.npy | jq -r 'select(.intact | not) | .path'")]
pub(crate) struct Verify {
    /// Files that `ndstore sum` has summed
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    raw: RawArgs,
}

impl Verify {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let (mut is_intact, mut has_failed) = (true, false);
        for path in &self.files {
            let opened = self.raw.options(shell.options()).open_any(path, Mode::Read);
            match opened.and_then(|store| store.verify()) {
                Ok(found) => {
                    is_intact &= found.is_intact();
                    match shell.is_json() {
                        true => shell.json(&to_json(path, &found))?,
                        false => print(path, &found, shell)?,
                    }
                }
                Err(error) => {
                    has_failed = true;
                    shell.go_on(error.into())?;
                }
            }
        }
        match has_failed {
            true => Err(Failure::Told),
            false => Ok(Answer::of(is_intact)),
        }
    }
}

fn to_json(path: &Path, found: &Verification) -> Value {
    let damage = found.damage().iter().map(|damage| {
        json!({
            "bytes": [damage.bytes.start, damage.bytes.end],
            "rows": [damage.rows.start, damage.rows.end],
        })
    });
    json!({
        "path": path.to_string_lossy(),
        "intact": found.is_intact(),
        "header": found.header().map(|header| [header.start, header.end]),
        "damage": damage.collect::<Vec<_>>(),
        "uncovered": [found.uncovered().start, found.uncovered().end],
    })
}

fn print(path: &Path, found: &Verification, shell: &mut Shell<'_>) -> Outcome<()> {
    let name = printable(path);
    let uncovered = match found.uncovered() {
        rows if rows.is_empty() => String::new(),
        rows => format!(", but rows {}..{} have no checksums", rows.start, rows.end),
    };
    if found.is_intact() {
        return Ok(writeln!(shell.out, "{name}: intact{uncovered}")?);
    }
    writeln!(shell.out, "{name}: DAMAGED{uncovered}")?;
    if let Some(header) = found.header() {
        writeln!(
            shell.out,
            "  header      bytes {}..{}",
            header.start, header.end
        )?;
    }
    for damage in found.damage().iter().take(SHOWN) {
        let rows = format!("{}..{}", damage.rows.start, damage.rows.end);
        writeln!(
            shell.out,
            "  rows {rows:<20} bytes {}..{}",
            damage.bytes.start, damage.bytes.end
        )?;
    }
    if let more @ 1.. = found.damage().len().saturating_sub(SHOWN) {
        writeln!(
            shell.out,
            "  and {} (all of them by --json)",
            units::counted(more as u64, "more part")
        )?;
    }
    Ok(())
}
