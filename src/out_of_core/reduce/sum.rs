//! Sums: of floats with their rounding errors, of integers exactly.
//!
//! Doubles are added by Knuth's error-free addition: each lane has the plain sum and, beside it,
//! the sum of all rounding errors. Both together are as good as a sum in twice the precision: with
//! n additions to a lane the error is below n^2 2^-106 of the sum of the magnitudes, and a lane
//! never adds more than a few thousand before it is merged into a [`Twofold`], where each merge
//! costs 2^-104 more. Only the rounding of the result is left as an error. Narrower floats are
//! added as doubles, which have 29 bits to spare: a few thousand additions use 12 of them.
//!
//! An infinity or NaN among the elements makes the errors NaN; the plain sum is then that of NumPy.

use super::lanes::{Fold, Lanes, Partial, array, fold, halve};
use super::scalar::{Real, Scalar};
use super::twofold::{Twofold, two_sum};

const REALS: usize = super::lanes::WIDTH;

/// A sum of floats, by its parts: the second part is zero if the elements are real.
#[derive(Clone, Copy, Debug)]
pub struct FloatSum(pub(super) [Twofold; 2]);

impl Partial for FloatSum {
    #[inline(always)]
    fn merge(&mut self, later: &FloatSum) {
        for (sum, later) in self.0.iter_mut().zip(later.0) {
            *sum = sum.plus(later);
        }
    }
}

/// What was added up, as the nearest float.
pub trait Total {
    fn total(&self) -> f64;
}

impl Total for FloatSum {
    fn total(&self) -> f64 {
        self.0[0].value()
    }
}

impl Total for IntSum {
    fn total(&self) -> f64 {
        self.0 as f64
    }
}

/// Adds doubles, each lane with the rounding errors of its additions.
#[derive(Clone, Debug)]
pub struct Doubles {
    sum: [f64; REALS],
    lost: [f64; REALS],
}

impl<A: Scalar<Real = f64>> Lanes<A> for Doubles {
    const WIDTH: usize = REALS / A::PARTS;

    type Partial = FloatSum;

    #[inline(always)]
    fn start(_rows: &[[A; REALS]]) -> Doubles {
        Doubles {
            sum: [0.0; REALS],
            lost: [0.0; REALS],
        }
    }

    #[inline(always)]
    fn add(&mut self, row: &[A]) {
        let row: &[f64; REALS] = array(A::reals(row));
        for (lane, &element) in row.iter().enumerate() {
            let (sum, lost) = two_sum(self.sum[lane], element);
            self.sum[lane] = sum;
            self.lost[lane] += lost;
        }
    }

    #[inline(always)]
    fn partial(&self, lane: usize, _len: usize) -> FloatSum {
        let mut parts = [Twofold::default(); 2];
        for (part, lane) in (lane * A::PARTS..(lane + 1) * A::PARTS).enumerate() {
            parts[part] = Twofold::new(self.sum[lane], self.lost[lane]);
        }
        FloatSum(parts)
    }

    #[inline(always)]
    fn run(run: &[A]) -> Self::Partial {
        fold::<A, Self>(run)
    }
}

impl<A: Scalar<Real = f64>> Fold<A> for Doubles {
    #[inline(always)]
    fn total(mut self, len: usize) -> FloatSum {
        halve(A::PARTS, |lane, other| {
            let (sum, lost) = two_sum(self.sum[lane], self.sum[other]);
            self.sum[lane] = sum;
            self.lost[lane] += self.lost[other] + lost;
        });
        Lanes::<A>::partial(&self, 0, len)
    }

    #[inline(always)]
    fn neutral(_first: A) -> A {
        A::zeroed()
    }
}

/// Adds single floats as doubles.
#[derive(Clone, Debug)]
pub struct Singles([f64; REALS]);

impl<A: Scalar<Real = f32>> Lanes<A> for Singles {
    const WIDTH: usize = REALS / A::PARTS;

    type Partial = FloatSum;

    #[inline(always)]
    fn start(_rows: &[[A; REALS]]) -> Singles {
        Singles([0.0; REALS])
    }

    #[inline(always)]
    fn add(&mut self, row: &[A]) {
        let row: &[f32; REALS] = array(A::reals(row));
        for (sum, &element) in self.0.iter_mut().zip(row) {
            *sum += f64::from(element);
        }
    }

    #[inline(always)]
    fn partial(&self, lane: usize, _len: usize) -> FloatSum {
        let mut parts = [Twofold::default(); 2];
        for (part, lane) in (lane * A::PARTS..(lane + 1) * A::PARTS).enumerate() {
            parts[part] = self.0[lane].into();
        }
        FloatSum(parts)
    }

    #[inline(always)]
    fn run(run: &[A]) -> Self::Partial {
        fold::<A, Self>(run)
    }
}

impl<A: Scalar<Real = f32>> Fold<A> for Singles {
    #[inline(always)]
    fn total(mut self, len: usize) -> FloatSum {
        halve(A::PARTS, |lane, other| self.0[lane] += self.0[other]);
        Lanes::<A>::partial(&self, 0, len)
    }

    #[inline(always)]
    fn neutral(_first: A) -> A {
        A::zeroed()
    }
}

/// An exact sum, or a count. No file has enough elements to overflow it.
#[derive(Clone, Copy, Debug)]
pub struct IntSum(pub(super) i128);

impl Partial for IntSum {
    #[inline(always)]
    fn merge(&mut self, later: &IntSum) {
        self.0 += later.0;
    }
}

/// Adds integers of up to 32 bits as wider ones, which hold 2^16 of them.
#[derive(Clone, Debug)]
pub struct Narrow<W>([W; REALS]);

macro_rules! narrow {
    ($($int:ty as $wide:ty as $total:ty,)*) => {$(
        impl Lanes<$int> for Narrow<$wide> {
            const WIDTH: usize = REALS;

            type Partial = IntSum;

            #[inline(always)]
            fn start(_rows: &[[$int; REALS]]) -> Self {
                Narrow([0; REALS])
            }

            #[inline(always)]
            fn add(&mut self, row: &[$int]) {
                let row: &[$int; REALS] = array(row);
                for (sum, &element) in self.0.iter_mut().zip(row) {
                    *sum += <$wide>::from(element);
                }
            }

            #[inline(always)]
            fn partial(&self, lane: usize, _len: usize) -> IntSum {
                IntSum(self.0[lane].into())
            }

            #[inline(always)]
            fn run(run: &[$int]) -> Self::Partial {
                fold::<$int, Self>(run)
            }
        }

        impl Fold<$int> for Narrow<$wide> {
            #[inline(always)]
            fn total(self, _len: usize) -> IntSum {
                let sum: $total = self.0.iter().map(|&sum| <$total>::from(sum)).sum();
                IntSum(sum.into())
            }

            #[inline(always)]
            fn neutral(_first: $int) -> $int {
                0
            }
        }
    )*};
}

narrow! {
    i8 as i32 as i64, i16 as i32 as i64, i32 as i64 as i64,
    u8 as u32 as u64, u16 as u32 as u64, u32 as u64 as u64,
}

/// Adds 64-bit integers in two halves, which hold 2^32 of them each.
#[derive(Clone, Debug)]
pub struct Wide<H> {
    low: [u64; REALS],
    high: [H; REALS],
}

macro_rules! wide {
    ($($int:ty,)*) => {$(
        impl Lanes<$int> for Wide<$int> {
            const WIDTH: usize = REALS;

            type Partial = IntSum;

            #[inline(always)]
            fn start(_rows: &[[$int; REALS]]) -> Self {
                Wide {
                    low: [0; REALS],
                    high: [0; REALS],
                }
            }

            #[inline(always)]
            fn add(&mut self, row: &[$int]) {
                let row: &[$int; REALS] = array(row);
                for lane in 0..REALS {
                    self.low[lane] += row[lane] as u64 & u64::from(u32::MAX);
                    self.high[lane] += row[lane] >> 32;
                }
            }

            #[inline(always)]
            fn partial(&self, lane: usize, _len: usize) -> IntSum {
                IntSum((i128::from(self.high[lane]) << 32) + i128::from(self.low[lane]))
            }

            #[inline(always)]
            fn run(run: &[$int]) -> Self::Partial {
                fold::<$int, Self>(run)
            }
        }

        impl Fold<$int> for Wide<$int> {
            #[inline(always)]
            fn total(self, len: usize) -> IntSum {
                let mut total = IntSum(0);
                for lane in 0..REALS {
                    total.merge(&self.partial(lane, len));
                }
                total
            }

            #[inline(always)]
            fn neutral(_first: $int) -> $int {
                0
            }
        }
    )*};
}

wide! { i64, u64, }

/// Counts the elements that are not zero.
///
/// `C` is an integer as wide as the element, and at least 32 bits.
#[derive(Clone, Debug)]
pub struct Nonzeros<C>([C; REALS]);

macro_rules! nonzeros {
    ($($counter:ty,)*) => {$(
        impl<A: Scalar> Lanes<A> for Nonzeros<$counter> {
            const WIDTH: usize = REALS / A::PARTS;

            type Partial = IntSum;

            #[inline(always)]
            fn start(_rows: &[[A; REALS]]) -> Self {
                Nonzeros([0; REALS])
            }

            #[inline(always)]
            fn add(&mut self, row: &[A]) {
                let row: &[A::Real; REALS] = array(A::reals(row));
                for lane in 0..REALS / A::PARTS {
                    let mut is_nonzero = row[lane * A::PARTS].is_nonzero();
                    for part in 1..A::PARTS {
                        is_nonzero |= row[lane * A::PARTS + part].is_nonzero();
                    }
                    self.0[lane] += <$counter>::from(is_nonzero);
                }
            }

            #[inline(always)]
            fn partial(&self, lane: usize, _len: usize) -> IntSum {
                IntSum(self.0[lane].into())
            }

            #[inline(always)]
            fn run(run: &[A]) -> Self::Partial {
                fold::<A, Self>(run)
            }
        }

        impl<A: Scalar> Fold<A> for Nonzeros<$counter> {
            #[inline(always)]
            fn total(self, _len: usize) -> IntSum {
                let sum: u64 = self.0.iter().map(|&count| u64::from(count)).sum();
                IntSum(sum.into())
            }

            #[inline(always)]
            fn neutral(_first: A) -> A {
                A::zeroed()
            }
        }
    )*};
}

nonzeros! { u32, u64, }
