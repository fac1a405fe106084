//! `ndstore convert`: the same elements in another dtype, order, byte order, header or container.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ndstore::{AnyStore, AsType, ByteOrder, DType, Element, Mode, Order};
use tempfile::TempDir;

use super::{cat, stats::no_numbers};
use crate::input::{Input, RawArgs};
use crate::numbers::with_real_number;
use crate::operand::Operand;
use crate::outcome::{Answer, Outcome, fail};
use crate::output::{Output, OutputArgs};
use crate::print::Format;
use crate::region::Region;
use crate::shell::Shell;
use crate::words;

/// Write an array with another dtype, order, byte order, header or container
///
/// Numbers become others as by a cast in Rust: floats towards zero and up to the ends of whole numbers, NaN to 0.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore convert --dtype f4 a.npy small.npy\n  \
    ndstore convert --order C --byte-order little --compact odd.npy plain.npy\n  \
    ndstore convert a.npy a.csv               by the name: .npy, .raw, .bin, .csv, .tsv, .json\n  \
    ndstore convert --raw '<i2:N,385' samples.bin samples.npy")]
pub(crate) struct Convert {
    /// The array
    #[arg(value_name = "FILE")]
    file: Operand,
    /// The new file, - for standard output
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Another type of numbers: f4, i8, bool
    #[arg(short, long, value_name = "DTYPE", value_parser = words::parse_dtype)]
    dtype: Option<DType>,
    /// The order of the elements
    #[arg(long, value_enum, value_name = "ORDER", ignore_case = true)]
    order: Option<NewOrder>,
    /// The order of the bytes
    #[arg(long, value_enum, value_name = "ORDER")]
    byte_order: Option<NewByteOrder>,
    /// What to write; by the name of OUT otherwise
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: Option<Format>,
    #[command(flatten)]
    raw: RawArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NewOrder {
    /// The last axis is the fastest
    #[value(name = "C")]
    C,
    /// The first axis is the fastest
    #[value(name = "F")]
    F,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NewByteOrder {
    Little,
    Big,
}

impl Convert {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let to = self.to.unwrap_or_else(|| by_name(&self.out));
        let mut input = Input::open(&self.file, &self.raw, shell)?;
        let mut output = self.output.open(&self.out, shell)?;
        if to == Format::Raw {
            output.options = output.options.raw(0);
        }
        // Each step but the last one goes into a file that vanishes.
        let mut steps = Vec::new();
        if !input.region.is_whole(input.store.shape()) {
            steps.push(Step::Part);
        }
        let found = input.store.dtype();
        let mut order = self.byte_order.map(|order| match order {
            NewByteOrder::Little => ByteOrder::Little,
            NewByteOrder::Big => ByteOrder::Big,
        });
        if let Some(asked) = &self.dtype {
            let has_order = asked.byte_order() != ByteOrder::NATIVE
                && asked.byte_order() != ByteOrder::NotApplicable;
            order = order.or(has_order.then_some(asked.byte_order()));
            let native = |dtype: &DType| dtype.with_byte_order(ByteOrder::NATIVE);
            if native(asked) != native(found) {
                steps.push(Step::DType(native(asked)));
            } else if asked != found {
                order = order.or(Some(asked.byte_order()));
            }
        }
        match self.order {
            Some(NewOrder::C) if input.store.order() == Order::F => {
                steps.push(Step::Order(Order::C))
            }
            Some(NewOrder::F) => steps.push(Step::Order(Order::F)),
            _ => {}
        }
        if let Some(order) = order {
            steps.push(Step::ByteOrder(order));
        }
        if let Format::Text | Format::Csv | Format::Tsv | Format::Json = to {
            input = apply_all(&steps, input, &output, shell)?;
            return write_text(&input, to, &output, &self.out, shell);
        }
        let last = steps.pop().unwrap_or(Step::Copy);
        let input = apply_all(&steps, input, &output, shell)?;
        let store = last.apply(&input, &output, shell)?;
        output.finish(store, shell)
    }
}

fn by_name(path: &Path) -> Format {
    match path.extension().and_then(|name| name.to_str()) {
        Some("raw" | "bin") => Format::Raw,
        Some("csv") => Format::Csv,
        Some("tsv") => Format::Tsv,
        Some("txt") => Format::Text,
        Some("json") => Format::Json,
        _ => Format::Npy,
    }
}

/// One way in which the new array differs.
enum Step {
    Copy,
    Part,
    DType(DType),
    Order(Order),
    ByteOrder(ByteOrder),
}

impl Step {
    fn apply(&self, input: &Input, output: &Output, shell: &Shell<'_>) -> Outcome<AnyStore> {
        let path = &output.path;
        match self {
            Step::Copy => {
                let ranges: Vec<_> = input.shape().iter().map(|&len| 0..len).collect();
                Ok(input
                    .moves(output, "copying", shell)?
                    .copy_region(&ranges, path)?)
            }
            Step::Part => {
                let elements =
                    crate::stream::Elements::new(input, shell.memory(), shell.meter("slicing"));
                crate::stream::write(elements, output)
            }
            Step::DType(dtype) => cast(input, dtype, output, shell),
            Step::Order(order) => Ok(input
                .moves(output, "reordering", shell)?
                .to_order(*order, path)?),
            Step::ByteOrder(order) => Ok(input
                .moves(output, "converting", shell)?
                .to_byte_order(*order, path)?),
        }
    }
}

/// Applies steps through files beside the new one, which have gone when it is there.
fn apply_all(
    steps: &[Step],
    mut input: Input,
    output: &Output,
    shell: &Shell<'_>,
) -> Outcome<Input> {
    for step in steps {
        let spool = TempDir::new_in(output.directory())?;
        let between = Output::between(spool.path().join("step.npy"), shell);
        let store = step.apply(&input, &between, shell)?;
        let region = Region::whole(store.shape());
        input = Input::of_spool(store, region, input.name, spool);
    }
    Ok(input)
}

fn cast(input: &Input, dtype: &DType, output: &Output, shell: &Shell<'_>) -> Outcome<AnyStore> {
    with_real_number!(input.store.dtype(), A => cast_from::<A>(input, dtype, output, shell), no_numbers(input))
}

fn cast_from<A>(
    input: &Input,
    dtype: &DType,
    output: &Output,
    shell: &Shell<'_>,
) -> Outcome<AnyStore>
where
    A: Element
        + AsType<ndstore::Bool8>
        + AsType<half::f16>
        + AsType<f32>
        + AsType<f64>
        + AsType<i8>
        + AsType<i16>
        + AsType<i32>
        + AsType<i64>
        + AsType<u8>
        + AsType<u16>
        + AsType<u32>
        + AsType<u64>,
{
    let no_type = || {
        fail(format!(
            "numbers do not become {}; name a type of numbers, as f4",
            dtype.name()
        ))
    };
    with_real_number!(dtype, B => {
        let work = input.numbers::<A>("converting", shell)?.output(output.options.clone());
        let made = work.astype::<B>(&output.path)?;
        made.close()?;
        let options = output.reading(dtype, &input.shape(), input.store.order());
        Ok(options.open_any(&output.path, Mode::Read)?)
    }, no_type())
}

/// Writes text, under a name that it gets when it is whole.
fn write_text(
    input: &Input,
    to: Format,
    output: &Output,
    out: &Path,
    shell: &mut Shell<'_>,
) -> Outcome {
    if out.as_os_str() == "-" {
        cat::print(input, to, shell)?;
        return Ok(Answer::Yes);
    }
    let draft = output.draft()?;
    let mut writer = BufWriter::with_capacity(1 << 16, draft.as_file());
    cat::print_to(input, to, &mut writer, shell)?;
    writer.flush()?;
    drop(writer);
    output.publish(draft)
}
