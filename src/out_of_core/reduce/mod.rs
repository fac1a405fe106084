//! Reductions: an array, or one axis of it, to what its elements come to: sum, mean, variance, extremes, counts.
//!
//! `lanes` says what a reduction is, `sum`, `moments`, `extreme` and `skipping` are the reductions, `number` gives each type its
//! own. They know slices only. `walk` takes the array apart and puts the results together, `whole`, `axis`,
//! `nan` and `describe` are the face.
//! `quantile`, `histogram` and `dot` go over the array by themselves; `rank` is what selection goes by.
//! Nothing that comes out depends on the number of threads or on the budget: the array is always taken apart in the same way.

mod axis;
mod describe;
mod dot;
mod extreme;
mod histogram;
mod lanes;
mod moments;
mod nan;
mod number;
mod place;
mod quantile;
mod rank;
mod scalar;
mod skipping;
mod sum;
#[cfg(test)]
mod tests;
mod twofold;
mod walk;
mod whole;
#[cfg(feature = "half")]
mod widened;

use self::moments::Moments;
use self::number::kernels::Overflow;
use crate::error::{Context, Error, ErrorKind};

pub use describe::Description;
pub use number::{FloatNumber, Number, RealNumber};

/// The variance that moments of `len` elements come to.
fn variance(moments: Option<&Moments>, len: usize, ddof: usize) -> f64 {
    moments.map_or(f64::NAN, |moments| {
        moments.squares() / len.saturating_sub(ddof) as f64
    })
}

fn empty(context: Context<'_>) -> Error {
    context.fail(ErrorKind::Empty)
}

fn overflow(context: Context<'_>, found: Overflow) -> Error {
    context.fail(ErrorKind::SumOverflow {
        sum: found.sum,
        dtype: found.dtype,
    })
}
