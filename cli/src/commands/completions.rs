//! `ndstore completions`: what a shell asks for, from the same definition as the command.

use clap::Args;
use clap_complete::Shell as Kind;

use crate::outcome::{Answer, Outcome};
use crate::shell::Shell;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore completions bash > ~/.local/share/bash-completion/completions/ndstore\n  \
    ndstore completions fish > ~/.config/fish/completions/ndstore.fish\n  \
    ndstore completions zsh > \"${fpath[1]}/_ndstore\"")]
pub(crate) struct Completions {
    /// The shell that is to complete
    #[arg(value_enum, value_name = "SHELL")]
    kind: Kind,
}

impl Completions {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let mut text = Vec::new();
        clap_complete::generate(self.kind, &mut crate::definition(), "ndstore", &mut text);
        shell.out.write_all(&text)?;
        Ok(Answer::Yes)
    }
}
