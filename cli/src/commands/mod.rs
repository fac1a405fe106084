//! The commands, one file each. To add one: its file, its line in `Command`, its line in `run`, a page in `tests/cmd/`.

mod cat;
mod completions;
mod concat;
mod convert;
mod create;
mod diff;
mod gather;
mod head;
mod hist;
mod info;
mod lock;
mod man;
mod plot;
mod quantiles;
mod receive;
mod recover;
mod send;
mod shuffle;
mod slice;
mod stats;
mod sum;
mod tail;
mod transpose;
mod verify;

use clap::Subcommand;

use crate::outcome::Outcome;
use crate::shell::Shell;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Info(info::Info),
    Head(head::Head),
    Tail(tail::Tail),
    Cat(cat::Cat),
    Stats(stats::Stats),
    Hist(hist::Hist),
    Quantiles(quantiles::Quantiles),
    Plot(plot::Plot),
    Diff(diff::Diff),
    Create(create::Create),
    Convert(convert::Convert),
    Slice(slice::Slice),
    Transpose(transpose::Transpose),
    Concat(concat::Concat),
    Gather(gather::Gather),
    Shuffle(shuffle::Shuffle),
    Sum(sum::Sum),
    Verify(verify::Verify),
    Recover(recover::Recover),
    Lock(lock::Lock),
    Send(send::Send),
    Receive(receive::Receive),
    Completions(completions::Completions),
    Man(man::Man),
}

pub(crate) fn run(command: Command, shell: &mut Shell<'_>) -> Outcome {
    match command {
        Command::Info(command) => command.run(shell),
        Command::Head(command) => command.run(shell),
        Command::Tail(command) => command.run(shell),
        Command::Cat(command) => command.run(shell),
        Command::Stats(command) => command.run(shell),
        Command::Hist(command) => command.run(shell),
        Command::Quantiles(command) => command.run(shell),
        Command::Plot(command) => command.run(shell),
        Command::Diff(command) => command.run(shell),
        Command::Create(command) => command.run(shell),
        Command::Convert(command) => command.run(shell),
        Command::Slice(command) => command.run(shell),
        Command::Transpose(command) => command.run(shell),
        Command::Concat(command) => command.run(shell),
        Command::Gather(command) => command.run(shell),
        Command::Shuffle(command) => command.run(shell),
        Command::Sum(command) => command.run(shell),
        Command::Verify(command) => command.run(shell),
        Command::Recover(command) => command.run(shell),
        Command::Lock(command) => command.run(shell),
        Command::Send(command) => command.run(shell),
        Command::Receive(command) => command.run(shell),
        Command::Completions(command) => command.run(shell),
        Command::Man(command) => command.run(shell),
    }
}
