//! Products and covariances: what linear algebra a table that is read once can take.
//!
//! A product is a sum for each row, of as many products as there are columns, and is added up in
//! `f64`: by lanes along the rows of an array in C order, and column by column in Fortran order.
//! Covariances are merged as variances are, piece by piece.

use std::ops::Range;

use ndarray::{Array, Array2, ArrayRef, ArrayViewMut2, Axis, Dimension, Ix2, ShapeBuilder};

use super::lanes::{array, vectorized};
use super::number::RealNumber;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::out_of_core::pass::{self, Pieces};
use crate::out_of_core::scan::PIECE;
use crate::out_of_core::source::Source;
use crate::out_of_core::work::{OutOfCore, Work, reserve};
use crate::shape::Order;

/// How many sums go along a row side by side.
const LANES: usize = 16;

/// The bytes of a column that are read together where columns lie one after the other, and the
/// least number of elements.
const STRIPE: usize = 256 << 10;
const LEAST_STRIPE: usize = 512;

/// Linear algebra of a matrix in a file with what fits in memory.
///
/// # Errors
///
/// All of them: [`OverBudget`](ErrorKind::OverBudget) if the result, with what it is gathered in,
/// takes more than the memory budget; [`Cancelled`](ErrorKind::Cancelled),
/// [`Truncated`](ErrorKind::Truncated) and [`Io`](ErrorKind::Io) as for the sums.
impl<A: RealNumber> OutOfCore<'_, A, Ix2> {
    /// Multiplies the matrix with a vector, or with a matrix: NumPy's `m @ other`, of as many axes
    /// as `other` has. The array is read once.
    ///
    /// Products are added up in `f64` and rounded once. Of `n` columns the result differs from the
    /// exact one by at most `n * f64::EPSILON` times the sum of the products' magnitudes, and by
    /// the rounding to its type. It is the same bit for bit whatever the budget, the number of
    /// threads and the processor.
    ///
    /// # Errors
    ///
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) unless `other` is as long along its first axis
    /// as there are columns.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("vectors.npy");
    ///
    /// let store = Store::create_from(&path, &array![[1.0_f32, 0.0], [3.0, 4.0], [0.0, 2.0]])?;
    /// assert_eq!(store.out_of_core().dot(&array![1.0, 0.5])?, array![1.0, 5.0, 1.0]);
    /// let both = array![[1.0, 0.0], [0.5, 1.0]];
    /// assert_eq!(store.out_of_core().dot(&both)?.column(1), array![0.0, 4.0, 2.0]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    #[doc(alias("matmul", "matvec"))]
    pub fn dot<E: Dimension>(mut self, other: &ArrayRef<A::Var, E>) -> Result<Array<A::Var, E>> {
        let op = "multiply";
        let context = self.source.context(op);
        let (rows, columns) = self.dim.into_pattern();
        let mut shape = other.raw_dim();
        if shape.slice().first() != Some(&columns) {
            let found = shape.slice().to_vec();
            let behind = found.get(1..).unwrap_or_default();
            let expected = [&[columns], behind].concat();
            return Err(context.fail(ErrorKind::ShapeMismatch { expected, found }));
        }
        shape[0] = rows;
        let count: usize = shape.slice()[1..].iter().product();
        let held = rows as u64 * count as u64 * size_of::<A::Var>() as u64;
        let needed = held + 2 * (columns as u64 * count as u64 * size_of::<f64>() as u64);
        check_memory(context, &self.work, needed)?;
        let mut results = Vec::new();
        reserve(&mut results, rows * count, context, self.work.memory())?;
        let vectors = Vectors::new(
            columns,
            other.iter().map(|&element| element.into()).collect(),
        );
        match self.source.order() {
            _ if self.source.len() == 0 || count == 0 => {
                results.resize(rows * count, A::var_of(0.0));
            }
            Order::C => along_rows(&self.source, &mut self.work, op, &vectors, &mut results)?,
            Order::F => down_columns(&self.source, &mut self.work, op, &vectors, &mut results)?,
        }
        Ok(Array::from_shape_vec(shape, results).expect("there is a result for each of its rows"))
    }

    /// Returns the covariances of the columns: NumPy's `cov(m, rowvar=False, ddof=ddof)`, a row and
    /// a column for each. The array is read once.
    ///
    /// Everything is added up in `f64`, of distances from the means of some rows, so a mean that is
    /// far from zero costs no accuracy: of `n` rows a result differs from the exact one by no more
    /// than about `n * EPSILON` times the product of the two standard deviations, and mostly by far
    /// less. It is the same bit for bit on any number of threads and within any budget. NaN makes
    /// NaN of what has to do with its column.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("table.npy");
    ///
    /// let store = Store::create_from(&path, &array![[1.0, 2.0], [2.0, 4.0], [3.0, 9.0]])?;
    /// assert_eq!(store.out_of_core().cov(1)?, array![[1.0, 3.5], [3.5, 13.0]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn cov(mut self, ddof: usize) -> Result<Array2<f64>> {
        let context = self.source.context("take the covariances of");
        let (rows, columns) = self.dim.into_pattern();
        let square = columns as u64 * columns as u64 * size_of::<f64>() as u64;
        // The sum, and of a piece its elements, their distances and its own sum.
        check_memory(context, &self.work, square.saturating_mul(5))?;
        let at_once = (PIECE / size_of::<f64>() / columns.max(1))
            .max(columns)
            .min(rows);
        let table = Table {
            source: &self.source,
            context,
            shape: [rows, columns],
            at_once,
        };
        let piece = at_once * columns * (size_of::<A>() + size_of::<f64>()) + square as usize;
        let room = self.work.memory().saturating_sub(2 * square as usize);
        let pieces = Pieces {
            count: rows.div_ceil(at_once.max(1)),
            window: (room / piece.max(1)).clamp(1, 2 * pass::threads()),
        };
        let mut meter = self.work.meter(context, self.source.nbytes() as u64);
        let mut total = Scatter::none(columns);
        let each = |index, buffers: &mut (Vec<A>, Vec<f64>)| table.scatter(index, buffers);
        pass::run(pieces, &mut meter, each, |index, scatter| {
            total.merge(&scatter);
            Ok::<_, Error>((table.rows(index).len() * columns * size_of::<A>()) as u64)
        })?;
        let mut covariances = total.squares / rows.saturating_sub(ddof) as f64;
        for column in 0..columns {
            for other in 0..column {
                covariances[(column, other)] = covariances[(other, column)];
            }
        }
        Ok(covariances)
    }
}

fn check_memory(context: Context<'_>, work: &Work<'_>, needed: u64) -> Result<()> {
    let budget = work.memory() as u64;
    // What a few MiB hold is not refused.
    match needed > budget.max(4 * PIECE as u64) {
        true => Err(context.fail(ErrorKind::OverBudget { needed, budget })),
        false => Ok(()),
    }
}

/// The columns of the other matrix, one after the other.
struct Vectors {
    len: usize,
    elements: Vec<f64>,
}

impl Vectors {
    /// Of `len` rows, which lie one after the other.
    fn new(len: usize, rows: Vec<f64>) -> Vectors {
        let count = rows.len().checked_div(len).unwrap_or(0);
        let elements = match count {
            1 => rows,
            _ => (0..count)
                .flat_map(|vector| rows[vector..].iter().step_by(count))
                .copied()
                .collect(),
        };
        Vectors { len, elements }
    }

    fn count(&self) -> usize {
        self.elements.len() / self.len
    }

    fn each(&self) -> impl Iterator<Item = &[f64]> {
        self.elements.chunks_exact(self.len)
    }
}

/// Multiplies rows that lie one after the other, each with every vector. A row that is longer than
/// a piece is cut, and its parts are added up in their order.
fn along_rows<'a, A: RealNumber>(
    source: &Source<'a, A>,
    work: &mut Work<'a>,
    op: &'static str,
    vectors: &Vectors,
    results: &mut Vec<A::Var>,
) -> Result<()> {
    let (columns, count) = (vectors.len, vectors.count());
    let piece_len = PIECE / size_of::<A>();
    let parts = columns.div_ceil(piece_len);
    let rows = source.len() / columns;
    // Neither the elements nor the results of a piece are many.
    let at_once = (piece_len / columns)
        .min(PIECE / size_of::<f64>() / count)
        .max(1);
    let start = |index: usize| match parts {
        1 => (index * at_once).min(rows) * columns,
        _ => index / parts * columns + index % parts * piece_len,
    };
    let piece = |index: usize| match parts {
        1 => start(index)..start(index + 1),
        _ => start(index)..start(index + 1).min((index / parts + 1) * columns),
    };
    let pieces = match parts {
        1 => rows.div_ceil(at_once),
        _ => rows * parts,
    };
    let multiply = |range: Range<usize>, elements: &[A]| {
        let first = range.start % columns;
        let width = elements.len().min(columns);
        vectorized(
            #[inline(always)]
            || {
                let mut sums = Vec::with_capacity(elements.len() / width * count);
                for row in elements.chunks_exact(width) {
                    sums.extend(
                        vectors
                            .each()
                            .map(|vector| dot(row, &vector[first..first + width])),
                    );
                }
                Ok(sums)
            },
        )
    };
    let mut open: Vec<f64> = Vec::new();
    source.scan_pieces(work, op, pieces, piece, multiply, |range, sums| {
        match range.start % columns {
            0 => open = sums,
            _ => open
                .iter_mut()
                .zip(sums)
                .for_each(|(open, sum)| *open += sum),
        }
        if range.end % columns == 0 {
            results.extend(open.drain(..).map(A::var_of));
        }
        Ok(())
    })
}

#[inline(always)]
fn dot<A: RealNumber>(row: &[A], vector: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (rows, vectors) = (row.chunks_exact(LANES), vector.chunks_exact(LANES));
    let rest = rows.remainder().iter().zip(vectors.remainder());
    for (row, vector) in rows.zip(vectors) {
        let (row, vector): (&[A; LANES], &[f64; LANES]) = (array(row), array(vector));
        for lane in 0..LANES {
            sums[lane] += A::as_f64(row[lane]) * vector[lane];
        }
    }
    for (sum, (&element, factor)) in sums.iter_mut().zip(rest) {
        *sum += A::as_f64(element) * factor;
    }
    let mut count = LANES;
    while count > 1 {
        count /= 2;
        for lane in 0..count {
            sums[lane] += sums[count + lane];
        }
    }
    sums[0]
}

/// Multiplies columns that lie one after the other: stripes of rows, through all columns.
fn down_columns<'a, A: RealNumber>(
    source: &Source<'a, A>,
    work: &mut Work<'a>,
    op: &'static str,
    vectors: &Vectors,
    results: &mut Vec<A::Var>,
) -> Result<()> {
    let (columns, count, context) = (vectors.len, vectors.count(), source.context(op));
    let rows = source.len() / columns;
    // No sum depends on how wide a stripe is.
    let room = work.memory() / 4 / pass::threads() / size_of::<f64>() / count;
    let width = (STRIPE / size_of::<A>())
        .min(room)
        .max(LEAST_STRIPE)
        .min(rows);
    let stripe = |index: usize| index * width..rows.min((index + 1) * width);
    let each = |index: usize, buffer: &mut Vec<A>| {
        let stripe = stripe(index);
        let mut sums = vec![0.0; stripe.len() * count];
        // Columns that are stripes by themselves lie together.
        let at_once = match stripe.len() == rows {
            true => (PIECE / size_of::<A>() / rows).max(1),
            false => 1,
        };
        for first in (0..columns).step_by(at_once) {
            let together = at_once.min(columns - first);
            let start = first * rows + stripe.start;
            buffer.resize(together * stripe.len(), A::zeroed());
            source.read(context, start..start + buffer.len(), buffer)?;
            vectorized(
                #[inline(always)]
                || {
                    for (column, elements) in (first..).zip(buffer.chunks_exact(stripe.len())) {
                        let sums = sums.chunks_exact_mut(stripe.len());
                        for (sums, vector) in sums.zip(vectors.each()) {
                            let factor = vector[column];
                            for (sum, &element) in sums.iter_mut().zip(elements) {
                                *sum += A::as_f64(element) * factor;
                            }
                        }
                    }
                },
            );
        }
        Ok(sums)
    };
    let mut meter = work.meter(context, source.nbytes() as u64);
    let pieces = Pieces {
        count: rows.div_ceil(width),
        window: pass::threads(),
    };
    pass::run(pieces, &mut meter, each, |index, sums: Vec<f64>| {
        let len = stripe(index).len();
        let by_row = (0..len).flat_map(|row| sums[row..].iter().step_by(len));
        results.extend(by_row.map(|&sum| A::var_of(sum)));
        Ok::<_, Error>((len * columns * size_of::<A>()) as u64)
    })
}

/// A table that is taken some rows at a time.
struct Table<'s, 'a, A> {
    source: &'s Source<'a, A>,
    context: Context<'a>,
    shape: [usize; 2],
    at_once: usize,
}

/// How some rows are spread: how many they are, the means of their columns, and the sums of the
/// products of the distances from them.
struct Scatter {
    len: f64,
    means: Vec<f64>,
    squares: Array2<f64>,
}

impl Scatter {
    fn none(columns: usize) -> Scatter {
        Scatter {
            len: 0.0,
            means: vec![0.0; columns],
            squares: Array2::zeros((columns, columns)),
        }
    }

    fn merge(&mut self, later: &Scatter) {
        let len = self.len + later.len;
        let means = self.means.iter().zip(&later.means);
        let apart: Vec<f64> = means.map(|(mean, later)| later - mean).collect();
        let between = self.len * (later.len / len);
        self.squares += &later.squares;
        for (mut row, &a) in self.squares.outer_iter_mut().zip(&apart) {
            row.iter_mut()
                .zip(&apart)
                .for_each(|(square, b)| *square += a * b * between);
        }
        for (mean, apart) in self.means.iter_mut().zip(apart) {
            *mean += apart * (later.len / len);
        }
        self.len = len;
    }
}

impl<A: RealNumber> Table<'_, '_, A> {
    fn rows(&self, index: usize) -> Range<usize> {
        index * self.at_once..self.shape[0].min((index + 1) * self.at_once)
    }

    /// How the rows of a piece are spread.
    fn scatter(
        &self,
        index: usize,
        (elements, distances): &mut (Vec<A>, Vec<f64>),
    ) -> Result<Scatter> {
        let ([rows, columns], piece) = (self.shape, self.rows(index));
        elements.resize(piece.len() * columns, A::zeroed());
        let order = self.source.order();
        match order {
            Order::C => {
                let range = piece.start * columns..piece.end * columns;
                self.source.read(self.context, range, elements)?;
            }
            Order::F => {
                for (column, into) in elements.chunks_exact_mut(piece.len()).enumerate() {
                    let range = column * rows + piece.start..column * rows + piece.end;
                    self.source.read(self.context, range, into)?;
                }
            }
        }
        distances.clear();
        distances.extend(elements.iter().map(|&element| A::as_f64(element)));
        let shape = (piece.len(), columns).set_f(order == Order::F);
        let mut distances =
            ArrayViewMut2::from_shape(shape, distances).expect("they are that many");
        let len = piece.len() as f64;
        let mut means = distances.sum_axis(Axis(0)) / len;
        distances -= &means;
        // What the means are off by, which are rounded.
        let missed = distances.sum_axis(Axis(0)) / len;
        distances -= &missed;
        means += &missed;
        Ok(Scatter {
            len,
            means: means.to_vec(),
            squares: distances.t().dot(&distances),
        })
    }
}
