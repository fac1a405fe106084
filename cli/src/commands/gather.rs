//! `ndstore gather`: rows by index, into a new file.

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use ndstore::{AnyStore, Kind, Mode, Order};

use crate::input::{Input, RawArgs};
use crate::numbers::with_real_number;
use crate::operand::Operand;
use crate::outcome::{Outcome, fail};
use crate::output::{Output, OutputArgs};
use crate::shell::Shell;
use crate::stream::{self, Elements};

/// Write the rows with these indices into a new file
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore gather --rows chosen.npy a.npy some.npy\n  \
    seq 0 100 1000000 | ndstore gather --rows - a.npy every-100th.npy")]
pub(crate) struct Gather {
    /// The array
    #[arg(value_name = "FILE")]
    file: Operand,
    /// The new file, - for standard output
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Indices of rows, in this order and as often as they are there: an NPY file of whole numbers, or text with one a line
    ///
    /// Negative ones count from the end.
    #[arg(long, value_name = "FILE")]
    rows: OsString,
    #[command(flatten)]
    raw: RawArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Gather {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let input = Input::open(&self.file, &self.raw, shell)?;
        let output = self.output.open(&self.out, shell)?;
        let Some(&len) = input.shape().first() else {
            return fail(format!("{} has no rows, its shape is ()", input.name));
        };
        let rows = indices(&self.rows, len, shell)?;
        let store = gather(&input, &rows, &output, "gathering", shell)?;
        output.finish(store, shell)
    }
}

/// Writes rows along the first axis into a new file. Numbers go by the library's batches, in the order of the disk.
pub(crate) fn gather(
    input: &Input,
    rows: &[usize],
    output: &Output,
    what: &'static str,
    shell: &Shell<'_>,
) -> Outcome<AnyStore> {
    let dtype = input.store.dtype();
    let is_native = dtype.with_byte_order(ndstore::ByteOrder::NATIVE) == *dtype;
    let one_by_one = || stream::write(Elements::rows(input, rows, shell.meter(what)), output);
    let is_whole = input.region.is_whole(input.store.shape());
    if !is_native || !is_whole || input.store.order() == Order::F {
        return one_by_one();
    }
    with_real_number!(dtype, A => {
        let work = input.numbers::<A>(what, shell)?.output(output.options.clone());
        work.gather_to(&output.path, rows)?.close()?;
        Ok(shell.options().open_any(&output.path, Mode::Read)?)
    }, one_by_one())
}

/// Reads indices, which are on an axis of this length.
fn indices(from: &OsString, len: usize, shell: &Shell<'_>) -> Outcome<Vec<usize>> {
    let name = Operand::parse(from.clone()).name();
    let place = |index: i128| {
        let place = if index < 0 {
            index + len as i128
        } else {
            index
        };
        match (0..len as i128).contains(&place) {
            true => Ok(place as usize),
            false => Err(format!(
                "{name}: there is no row {index}, the array has {len}"
            )),
        }
    };
    let mut bytes = Vec::new();
    match from.to_str() {
        Some("-") => shell.stdin().read_to_end(&mut bytes)?,
        _ => match std::fs::File::open(from).and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(read) => read,
            Err(error) => return fail(format!("cannot read {name}: {error}")),
        },
    };
    let rows: Result<Vec<_>, String> = if bytes.starts_with(b"\x93NUMPY") {
        of_npy(&bytes, &name, shell)?
            .into_iter()
            .map(place)
            .collect()
    } else {
        let text = String::from_utf8_lossy(&bytes);
        let words = text
            .split(|char: char| char.is_whitespace() || char == ',')
            .filter(|word| !word.is_empty());
        let number = |word: &str| {
            word.parse()
                .map_err(|_| format!("{name}: {word:?} is no index"))
        };
        words.map(|word| number(word).and_then(place)).collect()
    };
    rows.or_else(fail)
}

fn of_npy(bytes: &[u8], name: &str, shell: &Shell<'_>) -> Outcome<Vec<i128>> {
    let spool = tempfile::tempdir()?;
    let path = spool.path().join("rows.npy");
    let Some(store) = shell.options().receive_any(bytes, &path)? else {
        return Ok(Vec::new());
    };
    let dtype = store.dtype().clone();
    if !matches!(dtype.kind(), Kind::Int | Kind::UInt) {
        return fail(format!(
            "{name} has {}, and indices are whole numbers",
            dtype.descr()
        ));
    }
    let of_bytes = |bytes: &[u8]| {
        let text = crate::print::Shown(&dtype, bytes).to_string();
        text.parse().unwrap_or(i128::MAX)
    };
    Ok(store
        .to_bytes()?
        .chunks_exact(dtype.itemsize())
        .map(of_bytes)
        .collect())
}
