//! `ndstore diff`: whether two arrays have the same elements, and where they have not.

use clap::Args;
use ndstore::{DType, Kind};
use serde_json::{Value, json};

use crate::input::{Input, RawArgs};
use crate::interrupt;
use crate::operand::Operand;
use crate::outcome::{Answer, Outcome};
use crate::print::{self, Format, Printer, Shown};
use crate::shell::Shell;
use crate::units;

/// How many bytes of each are compared at a time.
const PIECE: usize = 2 << 20;

/// Compare two arrays, element by element
///
/// Numbers of different types are compared by value. Exit code 0 if they are the same, 1 if they differ.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore diff a.npy b.npy\n  \
    ndstore diff --rtol 1e-5 --equal-nan old.npy new.npy\n  \
    ndstore diff -q 'a.npy[:100]' 'b.npy[:100]' && echo same")]
pub(crate) struct Diff {
    /// One array
    #[arg(value_name = "A")]
    a: Operand,
    /// The other array
    #[arg(value_name = "B")]
    b: Operand,
    /// Takes a and b for the same if |a - b| <= atol + rtol * |b|, as np.isclose does
    #[arg(long, default_value_t = 0.0, value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    rtol: f64,
    /// See --rtol
    #[arg(long, default_value_t = 0.0, value_name = "A", value_parser = tolerance, allow_negative_numbers = true)]
    atol: f64,
    /// Takes NaN for the same as NaN
    #[arg(long)]
    equal_nan: bool,
    #[command(flatten)]
    raw: RawArgs,
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 => Ok(number),
        _ => Err("a tolerance is a number that is not negative".into()),
    }
}

/// What differs.
#[derive(Default)]
struct Found {
    count: u64,
    /// The place of the first one in C order, and both elements.
    first: Option<(u64, Vec<u8>, Vec<u8>)>,
    largest: f64,
    largest_relative: f64,
    at: u64,
}

impl Diff {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let [a, b] = [&self.a, &self.b].map(|operand| Input::open(operand, &self.raw, shell));
        let (a, b) = (a?, b?);
        let (shape, dtypes) = (a.shape(), [a.store.dtype(), b.store.dtype()]);
        let kinds = dtypes.map(DType::kind);
        let is_number = |kind| matches!(kind, Kind::Bool | Kind::Int | Kind::UInt | Kind::Float);
        let are_comparable = kinds.iter().all(|&kind| is_number(kind)) || dtypes[0] == dtypes[1];
        if shape != b.shape() || !are_comparable {
            let (what, of_a, of_b) = match are_comparable {
                true => ("shape", units::shape(&shape), units::shape(&b.shape())),
                false => ("dtype", dtypes[0].descr(), dtypes[1].descr()),
            };
            match shell.is_json() {
                true => shell
                    .json(&json!({"a": a.name, "b": b.name, "same": false, "differs": what}))?,
                false => writeln!(shell.out, "the {what}s differ: {of_a} and {of_b}")?,
            }
            return Ok(Answer::No);
        }
        let found = self.compare(&a, &b, shell)?;
        let total = shape.iter().product::<usize>() as u64;
        match shell.is_json() {
            true => shell.json(&found.to_json(&a, &b, &shape, total))?,
            false if found.count > 0 => found.print(&a, &b, &shape, total, shell)?,
            false => {}
        }
        Ok(Answer::of(found.count == 0))
    }

    fn compare(&self, a: &Input, b: &Input, shell: &Shell<'_>) -> Outcome<Found> {
        let (da, db) = (a.store.dtype(), b.store.dtype());
        let (sa, sb) = (da.itemsize(), db.itemsize());
        let mut found = Found::default();
        if sa == 0 || sb == 0 {
            return Ok(found);
        }
        // Of bytes that are equal only NaN can differ from itself.
        let has_nan =
            matches!(da.kind(), Kind::Float | Kind::Complex | Kind::Record) && !self.equal_nan;
        let mut meter = shell.meter("comparing");
        let mut done = 0;
        let widest = sa.max(sb);
        for (pa, pb) in a
            .region
            .pieces(widest, PIECE)
            .zip(b.region.pieces(widest, PIECE))
        {
            interrupt::check()?;
            let bytes_a = a.store.read_region(&pa.arguments())?;
            let bytes_b = b.store.read_region(&pb.arguments())?;
            let len = (bytes_a.len() / sa) as u64;
            if da != db || has_nan || bytes_a != bytes_b {
                let pairs = bytes_a.chunks_exact(sa).zip(bytes_b.chunks_exact(sb));
                for (place, (x, y)) in (done..).zip(pairs) {
                    self.pair(da, db, x, y, place, &mut found);
                }
            }
            done += len;
            // Ctrl-C ends it before the next piece.
            let _ = meter.tell(done * sa as u64, a.nbytes());
        }
        Ok(found)
    }

    fn pair(&self, da: &DType, db: &DType, x: &[u8], y: &[u8], place: u64, found: &mut Found) {
        let (is_same, apart, size) = match (print::value(da, x), print::value(db, y)) {
            (Some(p), Some(q)) => match (print::whole(da, x), print::whole(db, y)) {
                // Whole numbers are compared as such, however large.
                (Some(i), Some(j)) => {
                    let apart = (i - j).unsigned_abs() as f64;
                    (
                        i == j || apart <= self.atol + self.rtol * q.abs(),
                        apart,
                        q.abs(),
                    )
                }
                _ => {
                    let is_close =
                        (p - q).abs() <= self.atol + self.rtol * q.abs() && q.is_finite();
                    let is_nan = p.is_nan() && q.is_nan() && self.equal_nan;
                    (p == q || is_close || is_nan, (p - q).abs(), q.abs())
                }
            },
            _ => (self.is_same_text(da, x, y), f64::NAN, f64::NAN),
        };
        if is_same {
            return;
        }
        found.count += 1;
        found
            .first
            .get_or_insert_with(|| (place, x.to_vec(), y.to_vec()));
        if apart > found.largest {
            (found.largest, found.at) = (apart, place);
        }
        if apart / size > found.largest_relative && size > 0.0 {
            found.largest_relative = apart / size;
        }
    }

    /// Elements that are no real numbers: their bytes are the same, and a complex NaN differs from itself.
    fn is_same_text(&self, dtype: &DType, x: &[u8], y: &[u8]) -> bool {
        let is_nan =
            || dtype.kind() == Kind::Complex && Shown(dtype, x).to_string().contains("nan");
        x == y && (self.equal_nan || !is_nan())
    }
}

impl Found {
    fn to_json(&self, a: &Input, b: &Input, shape: &[usize], total: u64) -> Value {
        let element = |input: &Input, bytes: &[u8]| {
            let mut text = Vec::new();
            // A vector takes whatever is written to it.
            let _ = Printer::new(Format::Json, input.store.dtype(), &[]).put(bytes, &mut text);
            serde_json::from_slice::<Value>(&text).unwrap_or(Value::Null)
        };
        let first = self.first.as_ref().map(|(place, x, y)| {
            json!({"index": index(*place, shape), "a": element(a, x), "b": element(b, y)})
        });
        json!({
            "a": a.name, "b": b.name, "same": self.count == 0, "different": self.count, "size": total, "first": first,
            "max_abs": print::json_number(self.largest), "max_rel": print::json_number(self.largest_relative),
        })
    }

    fn print(
        &self,
        a: &Input,
        b: &Input,
        shape: &[usize],
        total: u64,
        shell: &mut Shell<'_>,
    ) -> Outcome<()> {
        writeln!(
            shell.out,
            "{} of {} differ{}",
            units::counted(self.count, "element"),
            units::count(total),
            if self.count == 1 { "s" } else { "" }
        )?;
        if let Some((place, x, y)) = &self.first {
            let (x, y) = (Shown(a.store.dtype(), x), Shown(b.store.dtype(), y));
            writeln!(
                shell.out,
                "  first      {:?}: {x} and {y}",
                index(*place, shape)
            )?;
        }
        if self.largest > 0.0 {
            let (largest, relative) = (
                print::number(self.largest),
                print::number(self.largest_relative),
            );
            writeln!(
                shell.out,
                "  largest    {largest} at {:?}",
                index(self.at, shape)
            )?;
            writeln!(shell.out, "  relative   {relative}")?;
        }
        Ok(())
    }
}

/// The index of the element at a place in C order.
fn index(mut place: u64, shape: &[usize]) -> Vec<u64> {
    let mut index = vec![0; shape.len()];
    for (index, &len) in index.iter_mut().zip(shape).rev() {
        (*index, place) = (place % len as u64, place / len as u64);
    }
    index
}
