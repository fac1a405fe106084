//! `ndstore cat`: elements as text, csv, tsv, JSON, bytes or NPY, within a few MiB of memory whatever their number.

use std::io::Write;

use clap::Args;
use ndstore::Order;
use serde_json::json;

use crate::input::{Input, RawArgs};
use crate::operand::Operand;
use crate::outcome::{Answer, Outcome};
use crate::print::{Format, Printer};
use crate::shell::Shell;
use crate::stream::Elements;

/// Print an array, or a part of it
///
/// Text has a line for each row, csv and tsv too; more than two axes become one row after the other. JSON has nested lists, in which NaN and infinities are strings.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore cat a.npy\n  \
    ndstore cat 'a.npy[10:20, ::-2, -1]'      NumPy's index syntax, in quotes\n  \
    ndstore cat -F csv 'a.npy[:, 3]'          column 3 as csv\n  \
    ndstore cat -F npy 'runs.npz:loss[-100:]' > last.npy")]
pub(crate) struct Cat {
    /// Arrays: a.npy, 'a.npy[1:3]', a.npz:x, - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Operand>,
    /// What to write
    #[arg(short = 'F', long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    raw: RawArgs,
}

impl Cat {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        for operand in &self.files {
            let input = Input::open(operand, &self.raw, shell)?;
            if shell.is_json() {
                print_object(&input, shell)?;
            } else {
                print(&input, self.format, shell)?;
            }
        }
        Ok(Answer::Yes)
    }
}

/// Writes the elements that were asked for to standard output.
pub(crate) fn print(input: &Input, format: Format, shell: &mut Shell<'_>) -> Outcome<()> {
    let elements = Elements::new(input, shell.memory(), shell.meter("reading"));
    write(input, format, elements, shell.out)
}

/// Writes them anywhere.
pub(crate) fn print_to(
    input: &Input,
    format: Format,
    out: &mut dyn Write,
    shell: &Shell<'_>,
) -> Outcome<()> {
    let elements = Elements::new(input, shell.memory(), shell.meter("writing"));
    write(input, format, elements, out)
}

fn write(
    input: &Input,
    format: Format,
    mut elements: Elements<'_>,
    out: &mut dyn Write,
) -> Outcome<()> {
    let shape = input.shape();
    if let Format::Raw | Format::Npy = format {
        if format == Format::Npy {
            let header = input.store.dtype().npy_header(&shape, Order::C)?;
            out.write_all(&header)?;
        }
        while let Some(bytes) = elements.next()? {
            out.write_all(&bytes)?;
        }
        return Ok(());
    }
    let mut printer = Printer::new(format, input.store.dtype(), &shape);
    printer.start(out)?;
    while let Some(bytes) = elements.next()? {
        printer.put(&bytes, out)?;
    }
    printer.end(out)?;
    if format == Format::Json {
        writeln!(out)?;
    }
    Ok(())
}

/// Writes one object with the elements, as it comes.
pub(crate) fn print_object(input: &Input, shell: &mut Shell<'_>) -> Outcome<()> {
    let head =
        json!({"path": input.name, "dtype": input.store.dtype().descr(), "shape": input.shape()});
    let head = head.to_string();
    let head = head.strip_suffix('}').unwrap_or(&head);
    write!(shell.out, "{head},\"data\":")?;
    let shape = input.shape();
    let mut printer = Printer::new(Format::Json, input.store.dtype(), &shape);
    let mut elements = Elements::new(input, shell.memory(), shell.meter("reading"));
    while let Some(bytes) = elements.next()? {
        printer.put(&bytes, shell.out)?;
    }
    printer.end(shell.out)?;
    Ok(writeln!(shell.out, "}}")?)
}
