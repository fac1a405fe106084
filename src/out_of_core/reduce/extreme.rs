//! Minimum and maximum, and their places: NaN counts as more extreme than any number, as in NumPy.

use std::marker::PhantomData;

use super::lanes::{Fold, Lanes, Partial, WIDTH, array, fold, halve};
use super::scalar::{Real, Scalar};

/// The end that is looked for.
pub trait End: Clone + Send + 'static {
    /// Whether `best` stays the best if `other` comes after it.
    fn keeps<R: Real>(best: R, other: R) -> bool;
}

/// The minimum.
#[derive(Clone, Debug)]
pub struct Least;

/// The maximum.
#[derive(Clone, Debug)]
pub struct Greatest;

impl End for Least {
    #[inline(always)]
    fn keeps<R: Real>(best: R, other: R) -> bool {
        best.at_most(other) | best.is_nan()
    }
}

impl End for Greatest {
    #[inline(always)]
    fn keeps<R: Real>(best: R, other: R) -> bool {
        other.at_most(best) | best.is_nan()
    }
}

/// The most extreme of some elements.
#[derive(Clone, Copy, Debug)]
pub struct Extreme<A, E> {
    pub(super) value: A,
    end: PhantomData<E>,
}

impl<A: Scalar<Real = A> + Real, E: End> Partial for Extreme<A, E> {
    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        if !E::keeps(self.value, later.value) {
            self.value = later.value;
        }
    }
}

/// Keeps the most extreme element of each lane.
#[derive(Clone, Debug)]
pub struct Extremes<A, E> {
    best: [A; WIDTH],
    end: PhantomData<E>,
}

impl<A: Scalar<Real = A> + Real, E: End> Lanes<A> for Extremes<A, E> {
    const WIDTH: usize = WIDTH;

    type Partial = Extreme<A, E>;

    #[inline(always)]
    fn start(rows: &[[A; WIDTH]]) -> Self {
        Extremes {
            best: rows[0],
            end: PhantomData,
        }
    }

    #[inline(always)]
    fn add(&mut self, row: &[A]) {
        let row: &[A; WIDTH] = array(row);
        for (best, &element) in self.best.iter_mut().zip(row) {
            *best = if E::keeps(*best, element) {
                *best
            } else {
                element
            };
        }
    }

    #[inline(always)]
    fn partial(&self, lane: usize, _len: usize) -> Self::Partial {
        Extreme {
            value: self.best[lane],
            end: PhantomData,
        }
    }

    #[inline(always)]
    fn run(run: &[A]) -> Self::Partial {
        fold::<A, Self>(run)
    }
}

impl<A: Scalar<Real = A> + Real, E: End> Fold<A> for Extremes<A, E> {
    #[inline(always)]
    fn total(mut self, len: usize) -> Self::Partial {
        halve(1, |lane, other| {
            if !E::keeps(self.best[lane], self.best[other]) {
                self.best[lane] = self.best[other];
            }
        });
        self.partial(0, len)
    }

    #[inline(always)]
    fn neutral(first: A) -> A {
        first
    }
}

/// The most extreme of some elements, and its first place.
#[derive(Clone, Copy, Debug)]
pub struct Place<A, E> {
    pub(super) value: A,
    pub(super) index: u64,
    len: u64,
    end: PhantomData<E>,
}

impl<A: Scalar<Real = A> + Real, E: End> Partial for Place<A, E> {
    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        if !E::keeps(self.value, later.value) {
            self.value = later.value;
            self.index = self.len + later.index;
        }
        self.len += later.len;
    }

    #[inline(always)]
    fn spread(self, at: usize, apart: usize) -> Self {
        Place {
            index: self.index * apart as u64 + at as u64,
            ..self
        }
    }

    #[inline(always)]
    fn merge_beside(&mut self, other: &Self) {
        if !E::keeps(self.value, other.value) {
            self.value = other.value;
            self.index = other.index;
        } else if E::keeps(other.value, self.value) {
            self.index = self.index.min(other.index);
        }
        self.len += other.len;
    }
}

/// Keeps the most extreme element of each lane, and its row.
#[derive(Clone, Debug)]
pub struct Places<A, E> {
    best: [A; WIDTH],
    index: [u64; WIDTH],
    row: u64,
    end: PhantomData<E>,
}

impl<A: Scalar<Real = A> + Real, E: End> Lanes<A> for Places<A, E> {
    const WIDTH: usize = WIDTH;

    type Partial = Place<A, E>;

    #[inline(always)]
    fn start(rows: &[[A; WIDTH]]) -> Self {
        Places {
            best: rows[0],
            index: [0; WIDTH],
            row: 0,
            end: PhantomData,
        }
    }

    #[inline(always)]
    fn add(&mut self, row: &[A]) {
        let row: &[A; WIDTH] = array(row);
        for (lane, &element) in row.iter().enumerate() {
            let keeps = E::keeps(self.best[lane], element);
            self.best[lane] = if keeps { self.best[lane] } else { element };
            self.index[lane] = if keeps { self.index[lane] } else { self.row };
        }
        self.row += 1;
    }

    #[inline(always)]
    fn partial(&self, lane: usize, len: usize) -> Self::Partial {
        Place {
            value: self.best[lane],
            index: self.index[lane],
            len: len as u64,
            end: PhantomData,
        }
    }

    /// Finds the most extreme element of a chunk, and searches the chunk for it only if it is the
    /// best so far.
    #[inline(always)]
    fn run(run: &[A]) -> Self::Partial {
        const CACHED: usize = 16 << 10;
        let mut best = Place {
            value: run[0],
            index: 0,
            len: run.len() as u64,
            end: PhantomData,
        };
        let chunk_len = CACHED / size_of::<A>();
        for (chunk_index, chunk) in run.chunks(chunk_len).enumerate() {
            let Extreme { value, .. } = Extremes::<A, E>::run(chunk);
            if !E::keeps(best.value, value) {
                best.value = value;
                best.index = (chunk_index * chunk_len + position(chunk, value)) as u64;
            }
        }
        best
    }
}

/// The first place of a value, among elements that have it.
#[inline(always)]
pub(super) fn position<A: Real>(elements: &[A], value: A) -> usize {
    first_same(elements, value).expect("the elements have the extreme that was found among them")
}

/// The first place of a value. All NaN are the same.
#[inline(always)]
pub(super) fn first_same<A: Real>(elements: &[A], value: A) -> Option<usize> {
    let is_same = |element: &A| {
        (element.at_most(value) & value.at_most(*element)) | (element.is_nan() & value.is_nan())
    };
    // Blocks are compared as vectors; then the matching block is searched.
    let mut blocks = elements.chunks(WIDTH);
    let block = blocks.position(|block| {
        block
            .iter()
            .fold(false, |any, element| any | is_same(element))
    })?;
    let within = elements[block * WIDTH..].iter().position(is_same)?;
    Some(block * WIDTH + within)
}
