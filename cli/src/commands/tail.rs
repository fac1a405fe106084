//! `ndstore tail`: the last rows, and those that an appender publishes from now on.

use std::time::Duration;

use clap::Args;
use ndstore::{News, Opening};

use super::head::RowsArgs;
use crate::input::Input;
use crate::interrupt;
use crate::outcome::{Answer, Outcome, fail};
use crate::print::{Format, Printer};
use crate::shell::Shell;

/// How long it sleeps before it looks whether Ctrl-C was pressed.
const NAP: Duration = Duration::from_millis(100);

/// Print the last rows of arrays, and follow one that grows
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore tail -n 3 a.npy\n  \
    ndstore tail -f log.npy                   rows as they are appended, until nobody appends\n  \
    ndstore tail -f --forever -F csv log.npy | awk -F, '$2 > 0.5'")]
pub(crate) struct Tail {
    #[command(flatten)]
    rows: RowsArgs,
    /// Goes on with rows that are appended, until whoever appends is gone
    #[arg(short, long)]
    follow: bool,
    /// Waits for the next one who appends as well
    #[arg(long, requires = "follow")]
    forever: bool,
}

impl Tail {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        if !self.follow {
            return self
                .rows
                .print(shell, |len, rows| (len.saturating_sub(rows), len));
        }
        let [operand] = &self.rows.files[..] else {
            return fail(
                "one array is followed at a time; start another `ndstore tail -f` for each",
            );
        };
        let mut input = Input::open_as(operand, &self.rows.raw, shell, Opening::Watch)?;
        if operand.index.is_some() {
            return fail("whole rows are followed; leave the index out");
        }
        let format = match (shell.is_json(), self.rows.format) {
            (_, Format::Npy) => {
                return fail("an NPY file says how many rows it has; follow as raw, csv or json");
            }
            (true, _) => Format::Json,
            (false, format) => format,
        };
        let rows = match input.shape().first() {
            Some(&rows) if input.store.order() == ndstore::Order::C => rows,
            _ => {
                return fail(format!(
                    "{} has no rows that could be appended one by one",
                    input.name
                ));
            }
        };
        self.print(
            &input,
            rows.saturating_sub(self.rows.rows)..rows,
            format,
            true,
            shell,
        )?;
        let mut next = rows;
        loop {
            shell.out.flush()?;
            interrupt::check()?;
            let mut follow = input.store.follow().starting_at(next);
            match follow.wait(NAP)? {
                News::Rows(rows) => {
                    next = rows.end;
                    self.print(&input, rows, format, false, shell)?;
                }
                News::Ended if self.forever => std::thread::sleep(NAP),
                News::Ended => return Ok(Answer::Yes),
                _ => {}
            }
        }
    }

    /// Writes rows, as JSON each on a line of its own.
    fn print(
        &self,
        input: &Input,
        rows: std::ops::Range<usize>,
        format: Format,
        is_first: bool,
        shell: &mut Shell<'_>,
    ) -> Outcome<()> {
        let shape = input.store.shape();
        let whole = crate::region::Region::whole(shape);
        if is_first && format != Format::Raw {
            Printer::new(format, input.store.dtype(), &shape[..1]).start(shell.out)?;
        }
        let step = (4 << 20)
            / input
                .store
                .nbytes()
                .checked_div(shape[0])
                .unwrap_or(1)
                .max(1);
        for start in rows.clone().step_by(step.max(1)) {
            let piece = whole.part(0, start..rows.end.min(start.saturating_add(step.max(1))));
            let bytes = input.store.read_region(&piece.arguments())?;
            let piece = piece.shape();
            match format {
                Format::Raw => shell.out.write_all(&bytes)?,
                Format::Json => {
                    for row in bytes.chunks_exact((bytes.len() / piece[0]).max(1)) {
                        Printer::new(format, input.store.dtype(), &piece[1..])
                            .put(row, shell.out)?;
                        writeln!(shell.out)?;
                    }
                }
                _ => Printer::new(format, input.store.dtype(), &piece).put(&bytes, shell.out)?,
            }
        }
        Ok(())
    }
}
