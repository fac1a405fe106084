//! Variance: the mean squared distance of elements from their mean, without the cancellation of the
//! textbook formula.
//!
//! Not the elements are squared, but their distances from a shift close to the mean: the mean
//! itself for a run, which is read twice while it lies in the innermost cache, and the mean of the
//! first rows for the columns of a group. The sums of the distances and of their squares are
//! corrected by the distance between shift and mean, and such moments are merged by the formula of
//! Chan, Golub and LeVeque. The means are kept in twice the precision of a double: a variance far
//! below the square of the mean would otherwise be lost in their differences.
//!
//! Where NaN is left out it lies at no distance from the shift, and is not counted.

use super::lanes::{Lanes, Partial, TILE, WIDTH, array, halve};
use super::scalar::{Real, Scalar};
use super::twofold::Twofold;

/// The bytes of a run that stay in the innermost cache while they are read twice.
const CACHED: usize = 16 << 10;

/// The number of elements, their mean, and the sum of their squared distances from it.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    len: f64,
    /// The mean, by its parts: the second part is zero if the elements are real.
    mean: [Twofold; 2],
    squares: Twofold,
}

impl Moments {
    /// The sum of the squared distances from the mean.
    pub(super) fn squares(&self) -> f64 {
        self.squares.value()
    }

    /// How many elements there are.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }
}

impl Partial for Moments {
    #[inline(always)]
    fn merge(&mut self, later: &Moments) {
        // Of no numbers there is no mean.
        if later.len == 0.0 {
            return;
        }
        if self.len == 0.0 {
            *self = *later;
            return;
        }
        let len = self.len + later.len;
        let mut square = 0.0;
        for (mean, later_mean) in self.mean.iter_mut().zip(later.mean) {
            let delta = later_mean.minus(*mean);
            *mean = mean.plus((delta * (later.len / len)).into());
            square += delta * delta;
        }
        let between = square * (self.len * (later.len / len));
        self.squares = self.squares.plus(later.squares).plus(between.into());
        self.len = len;
    }
}

/// Adds the distances from a shift, and their squares.
#[derive(Clone, Debug)]
pub struct Distances {
    shift: [f64; WIDTH],
    sum: [f64; WIDTH],
    squares: [f64; WIDTH],
}

impl Distances {
    #[inline(always)]
    fn from_shift(shift: [f64; WIDTH]) -> Distances {
        Distances {
            shift,
            sum: [0.0; WIDTH],
            squares: [0.0; WIDTH],
        }
    }

    #[inline(always)]
    fn add_real(&mut self, lane: usize, real: impl Real) {
        let distance = real.to_f64() - self.shift[lane];
        self.sum[lane] += distance;
        self.squares[lane] += distance * distance;
    }

    /// The moments of some elements of `parts` parts each, which lie in the cache.
    #[inline(always)]
    fn cached<R: Real>(reals: &[R], parts: usize) -> Moments {
        let rows = || reals.chunks_exact(WIDTH);
        let rest = rows().remainder();
        let mut sum = [0.0; WIDTH];
        for row in rows() {
            let row: &[R; WIDTH] = array(row);
            for (sum, real) in sum.iter_mut().zip(row) {
                *sum += real.to_f64();
            }
        }
        for (sum, real) in sum.iter_mut().zip(rest) {
            *sum += real.to_f64();
        }
        halve(parts, |lane, other| sum[lane] += sum[other]);
        let len = reals.len() / parts;
        let mut distances =
            Distances::from_shift(std::array::from_fn(|lane| sum[lane % parts] / len as f64));
        for row in rows() {
            let row: &[R; WIDTH] = array(row);
            for (lane, &real) in row.iter().enumerate() {
                distances.add_real(lane, real);
            }
        }
        for (lane, &real) in rest.iter().enumerate() {
            distances.add_real(lane, real);
        }
        distances.all(parts, len)
    }

    #[inline(always)]
    fn all(mut self, parts: usize, len: usize) -> Moments {
        halve(parts, |lane, other| {
            self.sum[lane] += self.sum[other];
            self.squares[lane] += self.squares[other];
        });
        self.moments(0, parts, len)
    }

    /// The moments of the parts from a lane on.
    #[inline(always)]
    fn moments(&self, lane: usize, parts: usize, len: usize) -> Moments {
        let len = len as f64;
        let mut mean = [Twofold::default(); 2];
        let mut squares = 0.0;
        for (part, mean) in mean.iter_mut().enumerate().take(parts) {
            let (sum, square) = (self.sum[lane + part], self.squares[lane + part]);
            *mean = Twofold::new(self.shift[lane + part], sum / len);
            let missed = sum * (sum / len);
            // Squares that overflow are infinite, as in NumPy; distances that are not finite are
            // not numbers.
            squares += match missed.is_finite() {
                true => (square - missed).max(0.0),
                false if sum.is_finite() => square,
                false => f64::NAN,
            };
        }
        Moments {
            len,
            mean,
            squares: squares.into(),
        }
    }
}

impl<A: Scalar> Lanes<A> for Distances {
    const WIDTH: usize = WIDTH / A::PARTS;

    const AHEAD: usize = TILE;

    type Partial = Moments;

    /// The shift is the mean of the first rows, because a single row may lie too far from the
    /// others.
    #[inline(always)]
    fn start(rows: &[[A; WIDTH]]) -> Distances {
        let mut shift = [0.0; WIDTH];
        for row in rows {
            let row: &[A::Real; WIDTH] = array(A::reals(&row[..WIDTH / A::PARTS]));
            for (shift, real) in shift.iter_mut().zip(row) {
                *shift += real.to_f64() / rows.len() as f64;
            }
        }
        Distances::from_shift(shift)
    }

    #[inline(always)]
    fn add(&mut self, row: &[A]) {
        let row: &[A::Real; WIDTH] = array(A::reals(row));
        for (lane, &real) in row.iter().enumerate() {
            self.add_real(lane, real);
        }
    }

    #[inline(always)]
    fn partial(&self, lane: usize, len: usize) -> Moments {
        self.moments(lane * A::PARTS, A::PARTS, len)
    }

    #[inline(always)]
    fn run(run: &[A]) -> Moments {
        let mut chunks = run.chunks(CACHED / size_of::<A>());
        let first = chunks.next().unwrap_or_default();
        let mut moments = Distances::cached(A::reals(first), A::PARTS);
        for chunk in chunks {
            moments.merge(&Distances::cached(A::reals(chunk), A::PARTS));
        }
        moments
    }
}

/// Adds the distances of what is not NaN from a shift, and their squares.
#[derive(Clone, Debug)]
pub struct NumberDistances {
    distances: Distances,
    count: [f64; WIDTH],
}

impl NumberDistances {
    #[inline(always)]
    fn from_shift(shift: [f64; WIDTH]) -> NumberDistances {
        NumberDistances {
            distances: Distances::from_shift(shift),
            count: [0.0; WIDTH],
        }
    }

    #[inline(always)]
    fn add_real(&mut self, lane: usize, real: impl Real) {
        let Distances {
            shift,
            sum,
            squares,
        } = &mut self.distances;
        let (value, is_number) = (real.to_f64(), !real.is_nan());
        // The first number is the shift where those that it was to be made of are NaN.
        let is_first = is_number & shift[lane].is_nan() & (self.count[lane] == 0.0);
        shift[lane] = if is_first { value } else { shift[lane] };
        let distance = if is_number { value - shift[lane] } else { 0.0 };
        sum[lane] += distance;
        squares[lane] += distance * distance;
        self.count[lane] += f64::from(u8::from(is_number));
    }

    /// The moments of the numbers among some elements, which lie in the cache.
    #[inline(always)]
    fn cached<R: Real>(reals: &[R]) -> Moments {
        let [mut sum, mut count] = sums_and_counts(reals.chunks(WIDTH));
        halve(1, |lane, other| {
            sum[lane] += sum[other];
            count[lane] += count[other];
        });
        let mut numbers = NumberDistances::from_shift([sum[0] / count[0]; WIDTH]);
        for row in reals.chunks(WIDTH) {
            for (lane, &real) in row.iter().enumerate() {
                numbers.add_real(lane, real);
            }
        }
        numbers.distances.all(1, count[0] as usize)
    }
}

/// The sum of the numbers in each lane, and how many they are.
#[inline(always)]
fn sums_and_counts<'r, R: Real>(rows: impl Iterator<Item = &'r [R]>) -> [[f64; WIDTH]; 2] {
    let [mut sum, mut count] = [[0.0; WIDTH]; 2];
    for row in rows {
        for ((sum, count), &real) in sum.iter_mut().zip(&mut count).zip(row) {
            let is_number = !real.is_nan();
            *sum += if is_number { real.to_f64() } else { 0.0 };
            *count += f64::from(u8::from(is_number));
        }
    }
    [sum, count]
}

impl<A: Scalar<Real = A> + Real> Lanes<A> for NumberDistances {
    const WIDTH: usize = WIDTH;

    const AHEAD: usize = TILE;

    type Partial = Moments;

    #[inline(always)]
    fn start(rows: &[[A; WIDTH]]) -> NumberDistances {
        let [sum, count] = sums_and_counts(rows.iter().map(|row| &row[..]));
        NumberDistances::from_shift(std::array::from_fn(|lane| sum[lane] / count[lane]))
    }

    #[inline(always)]
    fn add(&mut self, row: &[A]) {
        let row: &[A; WIDTH] = array(row);
        for (lane, &real) in row.iter().enumerate() {
            self.add_real(lane, real);
        }
    }

    #[inline(always)]
    fn partial(&self, lane: usize, _len: usize) -> Moments {
        self.distances.moments(lane, 1, self.count[lane] as usize)
    }

    #[inline(always)]
    fn run(run: &[A]) -> Moments {
        let mut chunks = run.chunks(CACHED / size_of::<A>());
        let mut moments = NumberDistances::cached(chunks.next().unwrap_or_default());
        for chunk in chunks {
            moments.merge(&NumberDistances::cached(chunk));
        }
        moments
    }
}
