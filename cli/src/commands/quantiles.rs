//! `ndstore quantiles`: exact quantiles, whatever the size.

use std::fmt::Debug;

use clap::Args;
use serde_json::json;

use super::stats::no_numbers;
use crate::input::{Input, RawArgs};
use crate::numbers::with_real_number;
use crate::operand::Operand;
use crate::outcome::{Answer, Outcome, fail};
use crate::print;
use crate::shell::Shell;

/// Tell quantiles: the median and others, exactly
///
/// Between two elements they are interpolated, as np.quantile does it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore quantiles a.npy\n  \
    ndstore quantiles -p 0.5,0.999 'latency.npy[:, 2]'\n  \
    ndstore quantiles -p 0.5 --json a.npy | jq '.quantiles[0].value'")]
pub(crate) struct Quantiles {
    /// The array
    #[arg(value_name = "FILE")]
    file: Operand,
    /// Which ones, between 0 and 1
    #[arg(short, long, value_name = "P", value_delimiter = ',', default_values_t = [0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0])]
    p: Vec<f64>,
    #[command(flatten)]
    raw: RawArgs,
}

impl Quantiles {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let mut input = Input::open(&self.file, &self.raw, shell)?;
        input.region = input.region.ascending();
        if !self.p.iter().all(|p| (0.0..=1.0).contains(p)) {
            return fail("quantiles are between 0 and 1: 0.5 is the median");
        }
        let values: Vec<f64> = with_real_number!(input.store.dtype(), A => {
            let found = input.numbers::<A>("selecting", shell)?.quantiles(&self.p)?;
            found.iter().map(of_text).collect()
        }, return no_numbers(&input));
        let pairs = self.p.iter().zip(values);
        if shell.is_json() {
            let values: Vec<_> = pairs
                .map(|(p, value)| json!({"p": p, "value": print::json_number(value)}))
                .collect();
            shell.json(&json!({"path": input.name, "quantiles": values}))?;
            return Ok(Answer::Yes);
        }
        for (p, value) in pairs {
            writeln!(shell.out, "{p:<8} {}", print::number(value))?;
        }
        Ok(Answer::Yes)
    }
}

/// A quantile of floats is a float of their type, which is printed so that it is read back the same.
fn of_text(value: &impl Debug) -> f64 {
    format!("{value:?}").parse().unwrap_or(f64::NAN)
}
