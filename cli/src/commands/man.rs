//! `ndstore man`: man pages, from the same definition as the command.

use std::path::PathBuf;

use clap::Args;

use crate::outcome::{Answer, Outcome, fail};
use crate::shell::Shell;

/// Print the man page, or write those of all commands
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore man | man -l -\n  \
    ndstore man --dir /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// Writes a page for each command into this directory
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let definition = crate::definition();
        match self.dir {
            None => clap_mangen::Man::new(definition).render(&mut shell.out)?,
            Some(directory) => {
                if let Err(error) = clap_mangen::generate_to(definition, &directory) {
                    return fail(format!(
                        "cannot write man pages into {directory:?}: {error}"
                    ));
                }
            }
        }
        Ok(Answer::Yes)
    }
}
