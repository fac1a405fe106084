//! `ndstore shuffle`: rows in an order of chance that a seed names for ever.

use std::path::PathBuf;

use clap::Args;

use super::gather::gather;
use crate::input::{Input, RawArgs};
use crate::operand::Operand;
use crate::outcome::{Outcome, fail};
use crate::output::OutputArgs;
use crate::shell::Shell;

/// Write an array with its rows in random order
///
/// The same seed gives the same order, on every machine and in every version.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore shuffle --seed 1 a.npy shuffled.npy\n  \
    ndstore shuffle --seed 1 labels.npy shuffled-labels.npy   the same order")]
pub(crate) struct Shuffle {
    /// The array
    #[arg(value_name = "FILE")]
    file: Operand,
    /// The new file, - for standard output
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Names the order
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    #[command(flatten)]
    raw: RawArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Shuffle {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let input = Input::open(&self.file, &self.raw, shell)?;
        let output = self.output.open(&self.out, shell)?;
        let Some(&len) = input.shape().first() else {
            return fail(format!("{} has no rows, its shape is ()", input.name));
        };
        // Rows without bytes may be claimed in any number.
        if len as u64 > input.nbytes() {
            return fail(format!(
                "{} has no elements whose order could change",
                input.name
            ));
        }
        let rows = permutation(len, self.seed);
        let store = gather(&input, &rows, &output, "shuffling", shell)?;
        output.finish(store, shell)
    }
}

/// All indices below `len`, in the order that the seed names: Fisher and Yates by SplitMix64.
fn permutation(len: usize, mut seed: u64) -> Vec<usize> {
    let mut rows: Vec<_> = (0..len).collect();
    for last in (1..len).rev() {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut random = seed;
        random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        random ^= random >> 31;
        // The upper half of a product of 128 bits: a number up to `last`, whose bias nobody could measure.
        let other = (u128::from(random) * (last as u128 + 1)) >> 64;
        rows.swap(last, other as usize);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::permutation;

    #[test]
    fn a_seed_names_one_order_for_ever() {
        assert_eq!(permutation(8, 1), permutation(8, 1));
        assert_ne!(permutation(100, 1), permutation(100, 2));
        let mut sorted = permutation(1000, 7);
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1000));
    }

    #[test]
    fn every_order_comes_about_as_often() {
        let mut counts = std::collections::HashMap::new();
        for seed in 0..6000_u64 {
            *counts
                .entry(permutation(3, seed.wrapping_mul(0x1234_5678_9abc_def1)))
                .or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(
            counts.values().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }
}
