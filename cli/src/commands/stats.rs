//! `ndstore stats`: what the numbers of an array are like, by one pass.

use clap::Args;
use ndarray::Axis;
use ndstore::{Chunk, DType, Description, Element, Error, Kind, RealNumber};
use serde_json::{Map, Value, json};

use crate::input::{Input, RawArgs};
use crate::numbers::with_real_number;
use crate::operand::Operand;
use crate::outcome::{Answer, Outcome, fail};
use crate::print::{self, Format, Printer};
use crate::shell::Shell;
use crate::units;

/// How many parts `--approx` looks at, and how many bytes each has, or a row if that is more.
const SAMPLES: usize = 64;
const SAMPLE: usize = 1 << 20;

/// Tell min, max, mean, std and the number of NaN, infinities and zeros
///
/// NaN is counted and left out of everything else. The standard deviation is that of a population, as np.nanstd has it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore stats a.npy\n  \
    ndstore stats --axis 0 a.npy              each column of a table\n  \
    ndstore stats --approx huge.npy           64 parts of it instead of everything\n  \
    ndstore stats --json 'a.npy[1000:]' | jq .mean")]
pub(crate) struct Stats {
    /// Arrays: a.npy, 'a.npy[1:3]', a.npz:x, - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Operand>,
    /// Reduces this axis alone, and tells of each lane along it
    #[arg(
        long,
        value_name = "AXIS",
        conflicts_with = "approx",
        allow_negative_numbers = true
    )]
    axis: Option<isize>,
    /// Looks at 64 parts that lie evenly in it, and says how many elements these have
    #[arg(long)]
    approx: bool,
    #[command(flatten)]
    raw: RawArgs,
}

/// The statistics of some elements. Least and greatest are bytes, because a whole number need not fit a float.
#[derive(Clone, Debug)]
struct Stat {
    count: usize,
    nan: usize,
    inf: usize,
    zeros: usize,
    mean: f64,
    std: f64,
    ends: Option<[Vec<u8>; 2]>,
}

impl Stats {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        for operand in &self.files {
            let mut input = Input::open(operand, &self.raw, shell)?;
            input.region = input.region.ascending();
            let dtype = native(&input);
            match self.axis {
                Some(axis) => self.along(axis, &input, &dtype, shell)?,
                None => {
                    let shape = input.shape();
                    let sample = match self.approx {
                        true => sampled(&mut input, shell)?,
                        false => None,
                    };
                    let is_sampled = sample.is_some();
                    let stat = sample.map_or_else(|| describe(&input, shell), Ok)?;
                    print(&input.name, &dtype, &shape, &stat, is_sampled, shell)?;
                }
            }
        }
        Ok(Answer::Yes)
    }

    fn along(
        &self,
        axis: isize,
        input: &Input,
        dtype: &DType,
        shell: &mut Shell<'_>,
    ) -> Outcome<()> {
        let mut shape = input.shape();
        let place = if axis < 0 {
            axis + shape.len() as isize
        } else {
            axis
        };
        if !(0..shape.len() as isize).contains(&place) {
            return fail(format!(
                "{}: there is no axis {axis}, its shape is {}",
                input.name,
                units::shape(&shape)
            ));
        }
        let axis = Axis(place as usize);
        shape.remove(axis.0);
        let stats: Vec<Stat> = with_real_number!(input.store.dtype(), A => {
            let lanes = input.numbers::<A>("reading", shell)?.describe_axis(axis)?;
            lanes.iter().map(|lane| Stat::of(lane, 0)).collect()
        }, return no_numbers(input));
        if shell.is_json() {
            let lanes: Vec<_> = stats
                .iter()
                .map(|stat| stat.to_json(dtype, false))
                .collect();
            return shell.json(
                &json!({"path": input.name, "axis": axis.0, "shape": shape, "lanes": lanes}),
            );
        }
        let width = units::shape(
            &shape
                .iter()
                .map(|len| len.saturating_sub(1))
                .collect::<Vec<_>>(),
        )
        .len()
        .max(5);
        writeln!(
            shell.out,
            "{:>width$} {:>12} {:>12} {:>12} {:>12} {:>8} {:>8}",
            "index", "min", "max", "mean", "std", "nan", "zeros"
        )?;
        for (index, stat) in stats.iter().enumerate() {
            let mut place = index;
            let mut indices = vec![0; shape.len()];
            for (index, len) in indices.iter_mut().zip(&shape).rev() {
                (*index, place) = (place % len, place / len);
            }
            let index = match indices[..] {
                [index] => index.to_string(),
                _ => units::shape(&indices),
            };
            let [min, max] = stat.ends_text(dtype);
            let (mean, std) = (short(stat.mean), short(stat.std));
            writeln!(
                shell.out,
                "{index:>width$} {min:>12} {max:>12} {mean:>12} {std:>12} {:>8} {:>8}",
                stat.nan, stat.zeros
            )?;
        }
        Ok(())
    }
}

/// The dtype of its elements once they are read.
pub(crate) fn native(input: &Input) -> DType {
    input
        .store
        .dtype()
        .with_byte_order(ndstore::ByteOrder::NATIVE)
}

/// Refuses what has no order.
pub(crate) fn no_numbers<T>(input: &Input) -> Outcome<T> {
    fail(format!(
        "{} has {}, and this is about real numbers; `ndstore cat` prints it",
        input.name,
        input.store.dtype().name()
    ))
}

fn describe(input: &Input, shell: &Shell<'_>) -> Outcome<Stat> {
    with_real_number!(input.store.dtype(), A => {
        let found = input.numbers::<A>("reading", shell)?.describe()?;
        let mut stat = Stat::of(&found, 0);
        if stat.is_infinite(&native(input)) {
            stat.inf = infinities::<A>(input, shell)?;
        }
        Ok(stat)
    }, no_numbers(input))
}

/// Counts infinities: a pass of its own, for arrays that have some.
fn infinities<A: RealNumber>(input: &Input, shell: &Shell<'_>) -> Outcome<usize> {
    let dtype = native(input);
    let mut inf = 0;
    let work = input.numbers::<A>("counting infinities", shell)?;
    work.for_each_block(Chunk::Bytes(1 << 20), |block| {
        let is_infinite = |element: &&A| is_infinite(&dtype, ndstore::bytemuck::bytes_of(*element));
        inf += block.view.iter().filter(is_infinite).count();
        Ok::<_, Error>(())
    })?;
    Ok(inf)
}

/// Statistics of parts that lie evenly along the first axis. `None` if they were everything.
fn sampled(input: &mut Input, shell: &Shell<'_>) -> Outcome<Option<Stat>> {
    let whole = input.region.clone();
    let shape = input.shape();
    let row = shape.iter().skip(1).product::<usize>() * input.store.dtype().itemsize();
    let len = shape.first().copied().unwrap_or(1);
    let rows = (SAMPLE / row.max(1)).max(1);
    if shape.is_empty() || len / SAMPLES <= rows {
        return Ok(None);
    }
    let mut merged: Option<Stat> = None;
    let dtype = native(input);
    for sample in 0..SAMPLES {
        let start = (len - rows) / (SAMPLES - 1) * sample;
        input.region = whole.part(0, start..start + rows);
        let stat = describe(input, shell)?;
        merged = Some(match merged {
            None => stat,
            Some(before) => before.merge(stat, &dtype),
        });
    }
    input.region = whole;
    Ok(merged)
}

impl Stat {
    fn of<A: Element>(found: &Description<A>, inf: usize) -> Stat {
        let bytes = |value: A| ndstore::bytemuck::bytes_of(&value).to_vec();
        Stat {
            count: found.count,
            nan: found.nan,
            inf,
            zeros: found.zeros,
            mean: found.mean,
            std: found.std,
            ends: found
                .min
                .zip(found.max)
                .map(|(min, max)| [bytes(min), bytes(max)]),
        }
    }

    /// Both together, by the formula of Chan, Golub and LeVeque.
    fn merge(self, other: Stat, dtype: &DType) -> Stat {
        let (n, m) = (
            (self.count - self.nan) as f64,
            (other.count - other.nan) as f64,
        );
        let (mean, std) = match (n, m) {
            (0.0, _) => (other.mean, other.std),
            (_, 0.0) => (self.mean, self.std),
            _ => {
                let apart = other.mean - self.mean;
                let squares =
                    self.std.powi(2) * n + other.std.powi(2) * m + apart * apart * n * m / (n + m);
                (self.mean + apart * m / (n + m), (squares / (n + m)).sqrt())
            }
        };
        let ends = match (self.ends, other.ends) {
            (Some([a, b]), Some([c, d])) => {
                let is_less = |x: &[u8], y: &[u8]| print::value(dtype, x) < print::value(dtype, y);
                Some([
                    if is_less(&c, &a) { c } else { a },
                    if is_less(&b, &d) { d } else { b },
                ])
            }
            (mine, others) => mine.or(others),
        };
        Stat {
            count: self.count + other.count,
            nan: self.nan + other.nan,
            inf: self.inf + other.inf,
            zeros: self.zeros + other.zeros,
            mean,
            std,
            ends,
        }
    }

    fn is_infinite(&self, dtype: &DType) -> bool {
        self.ends
            .iter()
            .flatten()
            .any(|end| is_infinite(dtype, end))
    }

    fn ends_text(&self, dtype: &DType) -> [String; 2] {
        match &self.ends {
            None => ["-".into(), "-".into()],
            Some(ends) => ends
                .each_ref()
                .map(|end| print::Shown(dtype, end).to_string()),
        }
    }

    fn to_json(&self, dtype: &DType, is_sampled: bool) -> Value {
        let [min, max] = match &self.ends {
            None => [Value::Null, Value::Null],
            Some(ends) => ends.each_ref().map(|end| {
                let mut text = Vec::new();
                // A vector takes whatever is written to it.
                let _ = Printer::new(Format::Json, dtype, &[]).put(end, &mut text);
                serde_json::from_slice(&text).unwrap_or(Value::Null)
            }),
        };
        let number = |value: f64| {
            if self.ends.is_none() {
                Value::Null
            } else {
                print::json_number(value)
            }
        };
        let mut object = Map::new();
        object.insert("count".into(), self.count.into());
        object.insert("sampled".into(), is_sampled.into());
        object.insert("min".into(), min);
        object.insert("max".into(), max);
        object.insert("mean".into(), number(self.mean));
        object.insert("std".into(), number(self.std));
        object.insert("nan".into(), self.nan.into());
        object.insert("inf".into(), self.inf.into());
        object.insert("zeros".into(), self.zeros.into());
        object.into()
    }
}

fn is_infinite(dtype: &DType, bytes: &[u8]) -> bool {
    dtype.kind() == Kind::Float && print::value(dtype, bytes).is_some_and(f64::is_infinite)
}

fn print(
    name: &str,
    dtype: &DType,
    shape: &[usize],
    stat: &Stat,
    approx: bool,
    shell: &mut Shell<'_>,
) -> Outcome<()> {
    if shell.is_json() {
        let mut object = Map::new();
        object.insert("path".into(), name.into());
        object.insert("dtype".into(), dtype.descr().into());
        object.insert("shape".into(), shape.into());
        if let Value::Object(stats) = stat.to_json(dtype, approx) {
            object.extend(stats);
        }
        return shell.json(&object.into());
    }
    let [min, max] = stat.ends_text(dtype);
    let of_all = match approx {
        true => format!(
            " in a sample of {}",
            units::count(shape.iter().product::<usize>() as u64)
        ),
        false => String::new(),
    };
    let number = |value: f64| {
        if stat.ends.is_none() {
            "-".into()
        } else {
            print::number(value)
        }
    };
    writeln!(shell.out, "{name}")?;
    let lines = [
        (
            "elements",
            format!("{}{of_all}", units::count(stat.count as u64)),
        ),
        ("min", min),
        ("max", max),
        ("mean", number(stat.mean)),
        ("std", number(stat.std)),
        ("nan", units::count(stat.nan as u64)),
        ("inf", units::count(stat.inf as u64)),
        ("zeros", units::count(stat.zeros as u64)),
    ];
    for (key, value) in lines {
        writeln!(shell.out, "  {key:<10} {value}")?;
    }
    Ok(())
}

/// A number in a column.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        magnitude if (1e-3..1e7).contains(&magnitude) => format!("{value:.4}"),
        magnitude if magnitude.is_finite() => format!("{value:.4e}"),
        _ => print::number(value),
    }
}
