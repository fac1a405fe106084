//! Descriptions: several statistics of an array, or of each lane along an axis, by one pass.

use std::fmt;

use ndarray::{Array, Axis, Dimension, RemoveAxis};

use super::extreme::{Extreme, Extremes};
use super::lanes::{Lanes, Partial, WIDTH};
use super::moments::{Moments, NumberDistances};
use super::number::RealNumber;
use super::skipping::{Cleared, Counted, GreatestNumber, LeastNumber};
use super::sum::{IntSum, Nonzeros, Total};
use super::variance;
use crate::element::Element;
use crate::error::Result;
use crate::out_of_core::work::OutOfCore;

/// Two reductions of the same elements.
#[derive(Clone, Debug)]
pub struct Both<K, L>(K, L);

impl<P: Partial, Q: Partial> Partial for Both<P, Q> {
    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        self.0.merge(&later.0);
        self.1.merge(&later.1);
    }
}

impl<A: Element, K: Lanes<A>, L: Lanes<A>> Lanes<A> for Both<K, L> {
    const WIDTH: usize = WIDTH;

    const AHEAD: usize = if K::AHEAD > L::AHEAD {
        K::AHEAD
    } else {
        L::AHEAD
    };

    type Partial = Both<K::Partial, L::Partial>;

    #[inline(always)]
    fn start(rows: &[[A; WIDTH]]) -> Self {
        const { assert!(K::WIDTH == WIDTH && L::WIDTH == WIDTH) };
        Both(K::start(rows), L::start(rows))
    }

    #[inline(always)]
    fn add(&mut self, row: &[A]) {
        self.0.add(row);
        self.1.add(row);
    }

    #[inline(always)]
    fn partial(&self, lane: usize, len: usize) -> Self::Partial {
        Both(self.0.partial(lane, len), self.1.partial(lane, len))
    }

    /// By chunks that stay in the innermost cache.
    #[inline(always)]
    fn run(run: &[A]) -> Self::Partial {
        const CACHED: usize = 16 << 10;
        let both = |chunk| Both(K::run(chunk), L::run(chunk));
        let (first, rest) = run.split_at(run.len().min(CACHED / size_of::<A>()));
        let mut partial = both(first);
        for chunk in rest.chunks(CACHED / size_of::<A>()) {
            partial.merge(&both(chunk));
        }
        partial
    }
}

/// What a description is made of, of elements of type `A` that lanes `S` add up.
pub(super) type Describing<A, S, C> = Both<
    Both<Cleared<S, C>, NumberDistances>,
    Both<Both<Extremes<A, LeastNumber>, Extremes<A, GreatestNumber>>, Nonzeros<C>>,
>;

/// What [`Describing`] comes to.
pub(super) type Described<S, K> = Both<
    Both<Counted<S>, Moments>,
    Both<Both<Extreme<K, LeastNumber>, Extreme<K, GreatestNumber>>, IntSum>,
>;

/// Several statistics of the elements of an array, or of those along an axis. NaN is counted and
/// left out of all others.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Description<A> {
    /// How many elements there are, NaN and all.
    pub count: usize,
    /// How many of them are NaN.
    pub nan: usize,
    /// How many are zero, or false.
    pub zeros: usize,
    /// The mean: NaN if there is no number.
    pub mean: f64,
    /// The standard deviation, as of a population (`ddof` 0): NaN if there is no number.
    pub std: f64,
    /// The least number, if there is one.
    pub min: Option<A>,
    /// The greatest number, if there is one.
    pub max: Option<A>,
}

impl<A: fmt::Display> fmt::Display for Description<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Description {
            count,
            nan,
            zeros,
            mean,
            std,
            min,
            max,
        } = self;
        write!(f, "{count} elements, {nan} NaN, {zeros} zero")?;
        if let (Some(min), Some(max)) = (min, max) {
            write!(f, ", from {min} to {max}, mean {mean}, std {std}")?;
        }
        Ok(())
    }
}

impl<A: RealNumber> Description<A> {
    fn new(described: Option<&Described<A::SumPartial, A::Key>>, count: usize) -> Self {
        let Some(Both(Both(sum, moments), Both(Both(least, greatest), nonzero))) = described else {
            return Description {
                count,
                nan: 0,
                zeros: 0,
                mean: f64::NAN,
                std: f64::NAN,
                min: None,
                max: None,
            };
        };
        let numbers = sum.count as usize;
        let number = |key| (numbers > 0).then(|| A::from_key(key));
        Description {
            count,
            nan: count - numbers,
            zeros: count - nonzero.0 as usize,
            mean: sum.partial.total() / numbers as f64,
            std: variance(Some(moments), numbers, 0).sqrt(),
            min: number(least.value),
            max: number(greatest.value),
        }
    }
}

/// Several statistics by one pass, each as accurate as by its own method. NaN is counted, and left
/// out of the others.
///
/// # Errors
///
/// As for the sums.
impl<A: RealNumber, D: Dimension> OutOfCore<'_, A, D> {
    /// Counts all elements, NaN and zeros among them, and takes mean, standard deviation and
    /// extremes of the numbers: the first look at a file.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("readings.npy");
    ///
    /// let store = Store::create_from(&path, &array![[0.0, f64::NAN], [2.0, 6.0]])?;
    /// let all = store.out_of_core().describe()?;
    /// assert_eq!((all.count, all.nan, all.zeros, all.max), (4, 1, 1, Some(6.0)));
    /// println!("{all}"); // 4 elements, 1 NaN, 1 zero, from 0 to 6, mean 2.66..., std 2.49...
    /// let columns = store.out_of_core().describe_axis(Axis(0))?;
    /// assert_eq!(columns.map(|column| column.mean), array![1.0, 6.0]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn describe(self) -> Result<Description<A>> {
        let len = self.source.len();
        self.reduce::<A::DescribeLanes, _>("describe", |described| {
            Ok(Description::new(described, len))
        })
    }
}

/// Several statistics along one axis by one pass, each as for the whole array.
///
/// # Errors
///
/// As for the sums along an axis.
impl<A: RealNumber, D: RemoveAxis> OutOfCore<'_, A, D> {
    /// Describes the elements along an axis. See [`describe`](OutOfCore::describe).
    pub fn describe_axis(self, axis: Axis) -> Result<Array<Description<A>, D::Smaller>> {
        self.along::<A::DescribeLanes, _>("describe", axis, |described, len| {
            Ok(Description::new(described, len))
        })
    }
}
