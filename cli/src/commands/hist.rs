//! `ndstore hist`: how the numbers of an array are spread, as bars.

use clap::Args;
use serde_json::json;

use super::stats::no_numbers;
use crate::input::{Input, RawArgs};
use crate::numbers::with_real_number;
use crate::operand::Operand;
use crate::outcome::{Answer, Outcome, fail};
use crate::print;
use crate::shell::Shell;
use crate::units;

/// How many columns the longest bar has.
const BAR: u64 = 36;

/// Count the elements between edges, and draw them as bars
///
/// The last bin has its upper edge as well, as in np.histogram. Bins without a range reach from the least element to the greatest, which takes a second pass.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore hist a.npy\n  \
    ndstore hist --bins 50 --range=-1,1 a.npy     and leaves out what is outside, and NaN\n  \
    ndstore hist --json a.npy | jq -c .counts")]
pub(crate) struct Hist {
    /// The array
    #[arg(value_name = "FILE")]
    file: Operand,
    /// How many bins, of the same width
    #[arg(short, long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    bins: u32,
    /// The first edge and the last
    #[arg(
        long,
        value_name = "FROM,TO",
        value_delimiter = ',',
        num_args = 1,
        allow_negative_numbers = true
    )]
    range: Option<Vec<f64>>,
    #[command(flatten)]
    raw: RawArgs,
}

impl Hist {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let mut input = Input::open(&self.file, &self.raw, shell)?;
        input.region = input.region.ascending();
        let bins = self.bins as usize;
        let edges = match self.range.as_deref() {
            None => None,
            Some(&[from, to]) if from < to && (to - from).is_finite() => {
                let edge = |index: usize| {
                    if index == bins {
                        to
                    } else {
                        from + (to - from) * (index as f64 / bins as f64)
                    }
                };
                Some((0..=bins).map(edge).collect::<Vec<_>>())
            }
            Some(_) => return fail("a range is two numbers, the smaller first: --range=-1,1"),
        };
        let (counts, edges) = with_real_number!(input.store.dtype(), A => {
            let work = input.numbers::<A>("counting", shell)?;
            match edges {
                Some(edges) => (work.histogram(&edges)?, edges),
                None => work.histogram_bins(bins)?,
            }
        }, return no_numbers(&input));
        if shell.is_json() {
            let edges: Vec<_> = edges.iter().map(|&edge| print::json_number(edge)).collect();
            shell.json(&json!({"path": input.name, "counts": counts, "edges": edges}))?;
            return Ok(Answer::Yes);
        }
        let most = counts.iter().copied().max().unwrap_or(0).max(1);
        let texts: Vec<_> = edges.iter().map(|&edge| rounded(edge, &edges)).collect();
        let width = texts.iter().map(String::len).max().unwrap_or(0);
        let columns = units::count(most).len();
        for (count, edges) in counts.iter().zip(texts.windows(2)) {
            // In eighths of a column.
            let eighths =
                (u128::from(*count) * u128::from(8 * BAR)).div_ceil(u128::from(most)) as usize;
            let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
            let bar = format!("{}{rest}", "█".repeat(eighths / 8));
            let count = units::count(*count);
            let line = format!(
                "{:>width$} .. {:>width$} {count:>columns$} {bar}",
                edges[0], edges[1]
            );
            writeln!(shell.out, "{}", line.trim_end())?;
        }
        Ok(Answer::Yes)
    }
}

/// An edge, with as many digits as tell it from its neighbours.
fn rounded(edge: f64, edges: &[f64]) -> String {
    let step = (edges[edges.len() - 1] - edges[0]) / (edges.len() - 1) as f64;
    let digits = (2.0 - step.log10().floor()).clamp(0.0, 17.0);
    match step > 0.0 && edges.iter().all(|edge| edge.abs() < 1e12) && step > 1e-9 {
        true => {
            let text = format!("{edge:.*}", digits as usize);
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').into(),
                false => text,
            }
        }
        false => print::number(edge),
    }
}
