//! Reductions that leave out NaN: the sum, the extremes and the number of the other elements.
//!
//! A NaN is added as zero and not counted. Extremes need no lanes of their own, only ends that
//! prefer any number to it.

use std::ops::AddAssign;

use super::extreme::End;
use super::lanes::{Fold, Lanes, Partial, WIDTH, array, fold};
use super::scalar::{Real, Scalar};
use super::sum::IntSum;

/// The minimum of the numbers, NaN only if there are none.
#[derive(Clone, Debug)]
pub struct LeastNumber;

/// The maximum of the numbers, NaN only if there are none.
#[derive(Clone, Debug)]
pub struct GreatestNumber;

impl End for LeastNumber {
    #[inline(always)]
    fn keeps<R: Real>(best: R, other: R) -> bool {
        best.at_most(other) | other.is_nan()
    }
}

impl End for GreatestNumber {
    #[inline(always)]
    fn keeps<R: Real>(best: R, other: R) -> bool {
        other.at_most(best) | other.is_nan()
    }
}

/// The result of the elements that are numbers, and their number.
#[derive(Clone, Copy, Debug)]
pub struct Counted<P> {
    pub(super) partial: P,
    pub(super) count: u64,
}

impl<P: Partial> Partial for Counted<P> {
    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        self.partial.merge(&later.partial);
        self.count += later.count;
    }
}

/// A number of elements in a lane: an integer as wide as the element, and at least 32 bits.
pub trait Counter: Copy + Default + From<bool> + Into<u64> + AddAssign + Send {}

impl Counter for u32 {}
impl Counter for u64 {}

/// Counts NaN.
#[derive(Clone, Debug)]
pub struct Nans<C>([C; WIDTH]);

impl<A: Scalar<Real = A> + Real, C: Counter> Lanes<A> for Nans<C> {
    const WIDTH: usize = WIDTH;

    type Partial = IntSum;

    #[inline(always)]
    fn start(_rows: &[[A; WIDTH]]) -> Self {
        Nans([C::default(); WIDTH])
    }

    #[inline(always)]
    fn add(&mut self, row: &[A]) {
        let row: &[A; WIDTH] = array(row);
        for (count, element) in self.0.iter_mut().zip(row) {
            *count += C::from(element.is_nan());
        }
    }

    #[inline(always)]
    fn partial(&self, lane: usize, _len: usize) -> IntSum {
        IntSum(self.0[lane].into().into())
    }

    #[inline(always)]
    fn run(run: &[A]) -> IntSum {
        fold::<A, Self>(run)
    }
}

impl<A: Scalar<Real = A> + Real, C: Counter> Fold<A> for Nans<C> {
    #[inline(always)]
    fn total(self, _len: usize) -> IntSum {
        let total: u64 = self.0.iter().map(|&count| count.into()).sum();
        IntSum(total.into())
    }

    #[inline(always)]
    fn neutral(_first: A) -> A {
        A::zeroed()
    }
}

/// Lets lanes `L` add zero in place of NaN, and counts the numbers.
#[derive(Clone, Debug)]
pub struct Cleared<L, C> {
    lanes: L,
    counts: [C; WIDTH],
}

impl<A: Scalar<Real = A> + Real, L: Fold<A>, C: Counter> Lanes<A> for Cleared<L, C> {
    const WIDTH: usize = WIDTH;

    type Partial = Counted<L::Partial>;

    #[inline(always)]
    fn start(rows: &[[A; WIDTH]]) -> Self {
        const { assert!(L::WIDTH == WIDTH) };
        Cleared {
            lanes: L::start(rows),
            counts: [C::default(); WIDTH],
        }
    }

    #[inline(always)]
    fn add(&mut self, row: &[A]) {
        let row: &[A; WIDTH] = array(row);
        let mut cleared = [A::zeroed(); WIDTH];
        for lane in 0..WIDTH {
            let is_number = !row[lane].is_nan();
            cleared[lane] = if is_number { row[lane] } else { A::zeroed() };
            self.counts[lane] += C::from(is_number);
        }
        self.lanes.add(&cleared);
    }

    #[inline(always)]
    fn partial(&self, lane: usize, len: usize) -> Self::Partial {
        Counted {
            partial: self.lanes.partial(lane, len),
            count: self.counts[lane].into(),
        }
    }

    #[inline(always)]
    fn run(run: &[A]) -> Self::Partial {
        fold::<A, Self>(run)
    }
}

impl<A: Scalar<Real = A> + Real, L: Fold<A>, C: Counter> Fold<A> for Cleared<L, C> {
    #[inline(always)]
    fn total(self, len: usize) -> Self::Partial {
        let counted: u64 = self.counts.iter().map(|&count| count.into()).sum();
        // The zeros that completed the last row were counted as well.
        let padding = len.next_multiple_of(WIDTH) - len;
        Counted {
            partial: self.lanes.total(len),
            count: counted - padding as u64,
        }
    }

    #[inline(always)]
    fn neutral(_first: A) -> A {
        A::zeroed()
    }
}
