//! Histograms: how many elements lie in each of some bins.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use ndarray::Dimension;

use super::number::RealNumber;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::out_of_core::source::Source;
use crate::out_of_core::work::{Meter, OutOfCore};

/// Histograms, as NumPy's `histogram` has them. A bin has its lower edge and not its upper one, the last bin has both; NaN and
/// what lies outside is in none.
///
/// # Errors
///
/// All of them: [`InvalidOption`](ErrorKind::InvalidOption); [`Cancelled`](ErrorKind::Cancelled), [`Truncated`](ErrorKind::Truncated)
/// and [`Io`](ErrorKind::Io) as for the sums.
impl<A: RealNumber, D: Dimension> OutOfCore<'_, A, D> {
    /// Counts the elements between each two of these edges, which do not decrease: there is one bin less than there are edges.
    /// Elements are compared as `f64`. The array is read once.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("a.npy");
    ///
    /// let store = Store::create_from(&path, &array![0.0, 0.5, 1.0, 1.5, 9.0])?;
    /// assert_eq!(store.out_of_core().histogram(&[0.0, 1.0, 1.5])?, [2, 2]);
    /// let (counts, edges) = store.out_of_core().histogram_bins(3)?;
    /// assert_eq!((counts, edges), (vec![4, 0, 1], vec![0.0, 3.0, 6.0, 9.0]));
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn histogram(mut self, edges: &[f64]) -> Result<Vec<u64>> {
        let op = "take a histogram of";
        let context = self.source.context(op);
        let bins = Bins::new(edges).ok_or_else(|| {
            invalid(
                context,
                "the edges of bins are at least two numbers that do not decrease; sort them",
            )
        })?;
        let mut meter = self.work.meter(context, self.source.nbytes() as u64);
        counts(&self.source, context, &mut meter, &bins)
    }

    /// Counts the elements in `bins` equally wide bins from the least element to the greatest, and returns the counts and the
    /// edges. The array is read twice.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](ErrorKind::InvalidOption) for no bins, and if an element is NaN or infinite: then give the edges.
    pub fn histogram_bins(mut self, bins: usize) -> Result<(Vec<u64>, Vec<f64>)> {
        let op = "take a histogram of";
        let context = self.source.context(op);
        if bins == 0 {
            return Err(invalid(
                context,
                "a histogram has at least one bin; ask for one or more",
            ));
        }
        let mut meter = self.work.meter(context, 2 * self.source.nbytes() as u64);
        let found = Mutex::new((u64::MAX, 0));
        let has_nan = AtomicBool::new(false);
        self.source
            .each_piece(context, &mut meter, true, |elements| {
                let start = (u64::MAX, 0, false);
                let (least, greatest, nan) =
                    elements.iter().fold(start, |(a, b, nan), &element| {
                        let rank = A::rank_of(element);
                        (a.min(rank), b.max(rank), nan | A::as_f64(element).is_nan())
                    });
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                *found = (found.0.min(least), found.1.max(greatest));
                has_nan.fetch_or(nan, Relaxed);
            })?;
        let (least, greatest) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let [first, last] = match self.source.len() {
            0 => [0.0, 1.0],
            _ => [least, greatest].map(A::of_rank),
        };
        if has_nan.into_inner() || !(last - first).is_finite() {
            return Err(invalid(
                context,
                "its elements are not between two finite numbers; give the edges with `histogram`",
            ));
        }
        let edges = evenly(first, last, bins);
        let bins = Bins::new(&edges).expect("edges from less to more");
        let counts = counts(&self.source, context, &mut meter, &bins)?;
        Ok((counts, edges))
    }
}

/// The edges of so many bins, as NumPy has them.
fn evenly(first: f64, last: f64, bins: usize) -> Vec<f64> {
    let [first, last] = match first == last {
        true => [first - 0.5, last + 0.5],
        false => [first, last],
    };
    let step = (last - first) / bins as f64;
    let mut edges: Vec<f64> = (0..bins).map(|bin| bin as f64 * step + first).collect();
    edges.push(last);
    edges
}

fn counts<A: RealNumber>(
    source: &Source<'_, A>,
    context: Context<'_>,
    meter: &mut Meter<'_>,
    bins: &Bins<'_>,
) -> Result<Vec<u64>> {
    source.tally(context, meter, true, bins.len(), |counts, elements| {
        for &element in elements {
            if let Some(bin) = bins.of(A::as_f64(element)) {
                counts[bin] += 1;
            }
        }
    })
}

/// The edges of bins.
struct Bins<'e> {
    edges: &'e [f64],
    /// How many bins there are to a distance of one, if they are all equally wide, or nearly so.
    density: Option<f64>,
}

impl<'e> Bins<'e> {
    fn new(edges: &'e [f64]) -> Option<Bins<'e>> {
        let (first, last) = (*edges.first()?, *edges.last()?);
        let bins = (edges.len() - 1) as f64;
        let density = bins / (last - first);
        let is_even =
            |(index, edge): (usize, &f64)| ((edge - first) * density - index as f64).abs() < 0.5;
        let even = density.is_finite() && edges.iter().enumerate().all(is_even);
        let sorted =
            edges.len() > 1 && edges.is_sorted() && !edges.iter().any(|edge| edge.is_nan());
        sorted.then_some(Bins {
            edges,
            density: even.then_some(density),
        })
    }

    /// How many bins there are.
    fn len(&self) -> usize {
        self.edges.len() - 1
    }

    /// The bin that a value is in.
    fn of(&self, value: f64) -> Option<usize> {
        let (first, last) = (self.edges[0], self.edges[self.len()]);
        // NaN is not.
        if !(value >= first && value <= last) {
            return None;
        }
        let most = self.len() - 1;
        let Some(density) = self.density else {
            let above = self.edges.partition_point(|&edge| edge <= value);
            return Some((above - 1).min(most));
        };
        // The edges decide, because the product is rounded, and they are.
        let mut bin = (((value - first) * density) as usize).min(most);
        while value < self.edges[bin] {
            bin -= 1;
        }
        while bin < most && value >= self.edges[bin + 1] {
            bin += 1;
        }
        Some(bin)
    }
}

fn invalid(context: Context<'_>, reason: &'static str) -> Error {
    context.fail(ErrorKind::InvalidOption { reason })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bin_has_its_lower_edge_and_the_last_one_both(
            mut edges in prop::collection::vec(-50_i32..50, 2..20),
            values in prop::collection::vec(-60_i32..60, 1..50),
            scale in prop::sample::select(vec![1.0, 0.1, 1e-300, 1e300]),
        ) {
            edges.sort_unstable();
            let edges: Vec<f64> = edges.into_iter().map(|edge| f64::from(edge) * scale).collect();
            let bins = Bins::new(&edges).unwrap();
            for value in values.into_iter().map(|value| f64::from(value) * scale) {
                let last = edges.len() - 2;
                let holds = |bin: &usize| {
                    let (low, high) = (edges[*bin], edges[*bin + 1]);
                    low <= value && (value < high || *bin == last && value == high)
                };
                let naive = (0..=last).find(holds);
                // Of bins without width the last one takes what lies on it.
                prop_assert_eq!(bins.of(value), naive);
            }
        }
    }
}
