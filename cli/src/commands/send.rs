//! `ndstore send`: arrays on standard output, as NPY.

use std::os::fd::AsFd;

use clap::Args;

use crate::input::{Input, RawArgs};
use crate::operand::Operand;
use crate::outcome::{Answer, Outcome};
use crate::shell::Shell;
use crate::{print::Format, units};

/// Write arrays to standard output as NPY, for `ndstore receive`
///
/// The bytes of a file go to a socket or a pipe without being copied.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore send a.npy | ssh host ndstore receive a.npy\n  \
    ndstore send a.npy b.npy | zstd > both.zst")]
pub(crate) struct Send {
    /// Arrays: a.npy, 'a.npy[1:3]', a.npz:x
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Operand>,
    #[command(flatten)]
    raw: RawArgs,
}

impl Send {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        for operand in &self.files {
            let input = Input::open(operand, &self.raw, shell)?;
            if input.region.is_whole(input.store.shape()) && shell.is_standard() {
                shell.out.flush()?;
                input.store.send(std::io::stdout().as_fd())?;
            } else {
                super::cat::print(&input, Format::Npy, shell)?;
            }
            shell.note(&format!(
                "{}: sent, {}",
                input.name,
                units::human(input.nbytes())
            ));
        }
        Ok(Answer::Yes)
    }
}
