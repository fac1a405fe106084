//! `ndstore sum`: checksums beside arrays.

use std::path::PathBuf;

use clap::Args;
use ndstore::Mode;

use crate::input::RawArgs;
use crate::outcome::{Answer, Failure, Outcome};
use crate::shell::Shell;

/// Write checksums beside arrays, for `ndstore verify`
///
/// The sums of a.npy stand in a.npy.sums, 4 bytes for each 8 KiB. They are written anew if they are there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore sum a.npy b.npy\n  \
    find /archive -name '*.npy' -exec ndstore sum {} +")]
pub(crate) struct Sum {
    /// Files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    raw: RawArgs,
}

impl Sum {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let mut has_failed = false;
        for path in &self.files {
            let opened = self.raw.options(shell.options()).open_any(path, Mode::Read);
            let summed = opened.and_then(|store| store.write_checksums());
            match summed {
                Ok(()) if shell.is_json() => {
                    shell.json(
                        &serde_json::json!({"path": path.to_string_lossy(), "sums": sums_of(path)}),
                    )?;
                }
                Ok(()) => shell.note(&format!("{}: summed", sums_of(path))),
                Err(error) => {
                    has_failed = true;
                    shell.go_on(error.into())?;
                }
            }
        }
        match has_failed {
            true => Err(Failure::Told),
            false => Ok(Answer::Yes),
        }
    }
}

fn sums_of(path: &std::path::Path) -> String {
    format!("{}.sums", path.display())
}
