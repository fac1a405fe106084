//! Mapping by blocks: rows of an array into as many rows of a new one, of any other length and
//! type.

use std::ops::Range;
use std::path::Path;

use ndarray::{ArrayView, ArrayViewMut, Dimension, ShapeBuilder};

use super::behind::Behind;
use super::blocks::Block;
use super::pass::{self, Pieces};
use super::work::{OutOfCore, reserve};
use crate::element::Element;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::shape::{self, Order};
use crate::store::{self, Layout, Store, Target};

impl<A: Element, D: Dimension> OutOfCore<'_, A, D> {
    /// Makes a new file of what `f` makes of each block of so many rows: a row of the new array for
    /// each row of this one.
    ///
    /// `shape` is that of the new array, with `.f()` for Fortran order. Rows of both lie along the
    /// slowest axis, the first in C order and the last in Fortran order, and there are as many. `f`
    /// gets a block of this array, and the zeros that become the rows of the new one with the same
    /// indices. With the feature `rayon` it runs on all threads of the current pool; each takes the
    /// memory of its two blocks. The file is durable when this returns, and there as a whole or not
    /// at all.
    ///
    /// # Errors
    ///
    /// - Those of `f`, of any type that an [`Error`] turns into. One that has none says
    ///   `Ok::<_, Error>(())`.
    /// - [`ShapeMismatch`](ErrorKind::ShapeMismatch) for another number of rows,
    ///   [`AxisOutOfBounds`](ErrorKind::AxisOutOfBounds) for a 0-d array,
    ///   [`OverBudget`](ErrorKind::OverBudget) for a block that is more than there is memory.
    /// - Those of [`map`](OutOfCore::map).
    ///
    /// # Panics
    ///
    /// If `rows` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Error, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [path, new] = ["table.npy", "norms.npy"].map(|name| dir.path().join(name));
    ///
    /// let table = Store::create_from(&path, &array![[3.0_f32, 4.0], [5.0, 12.0], [0.0, 1.0]])?;
    /// let norms = table.out_of_core().map_blocks(&new, 3, 1024, |block, mut norms| {
    ///     for (row, norm) in block.view.outer_iter().zip(&mut norms) {
    ///         *norm = row.fold(0.0, |sum, &x| sum + f64::from(x).powi(2)).sqrt();
    ///     }
    ///     Ok::<_, Error>(())
    /// })?;
    /// assert_eq!(norms.read_all()?, array![5.0, 13.0, 1.0]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    #[doc(alias = "apply_along_axis")]
    pub fn map_blocks<B: Element, F: Dimension, E: From<Error> + Send>(
        mut self,
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = F>,
        rows: usize,
        f: impl Fn(Block<D, ArrayView<'_, A, D>>, ArrayViewMut<'_, B, F>) -> Result<(), E> + Sync,
    ) -> Result<Store<B, F>, E> {
        assert!(rows > 0, "a block has no rows");
        let path = path.as_ref();
        let options = self.work.options().clone();
        let (dim, order) = options.dim_and_order(path, shape, size_of::<B>())?;
        let context = self.source.context("map the blocks of");
        let input = Table::new(context, self.dim.clone(), self.source.order(), rows)?;
        let output = Table::new(Context::new(path, context.op), dim, order, rows)?;
        if input.rows != output.rows {
            let expected = output.shape(0..input.rows);
            let mismatch = ErrorKind::ShapeMismatch {
                expected: expected.slice().to_vec(),
                found: output.dim.slice().to_vec(),
            };
            return Err(context.fail(mismatch).into());
        }
        let layout = Layout::of::<B, F>(path, output.dim.slice(), order, &options)?;
        let fill = |target: &Target<'_>| self.fill_rows(context, target, &input, &output, f);
        let file = store::create_reserved(path, layout, &options, fill)?;
        Ok(Store::from_file(file).map_err(Error::from)?)
    }

    fn fill_rows<B: Element, F: Dimension, E: From<Error> + Send>(
        &mut self,
        context: Context<'_>,
        target: &Target<'_>,
        input: &Table<D>,
        output: &Table<F>,
        f: impl Fn(Block<D, ArrayView<'_, A, D>>, ArrayViewMut<'_, B, F>) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let budget = self.work.memory();
        let nbytes = output.dim.size() * size_of::<B>();
        let mut behind = Behind::new(target.file(), target.in_file(0..nbytes), &self.work);
        let mut meter = self
            .work
            .meter(self.source.context(context.op), self.source.nbytes() as u64);
        let source = &self.source;
        let each = |index, (elements, made): &mut (Vec<A>, Vec<B>)| {
            let (rows, from, to) = (
                input.block(index),
                input.elements(index),
                output.elements(index),
            );
            renew(elements, from.len(), context, budget)?;
            renew(made, to.len(), context, budget)?;
            source.read(context, from, elements)?;
            let view = ArrayView::from_shape(
                input.shape(rows.clone()).set_f(input.order == Order::F),
                &*elements,
            );
            let block = Block {
                start: input.start(rows.start),
                view: view.expect("they are that many"),
            };
            let view = ArrayViewMut::from_shape(
                output.shape(rows).set_f(output.order == Order::F),
                &mut *made,
            );
            f(block, view.expect("they are that many"))?;
            let position = to.start * size_of::<B>();
            Ok(target.write_at(position as u64, bytemuck::cast_slice(made))?)
        };
        let pieces = Pieces::independent(input.rows.div_ceil(input.per_block));
        pass::run(pieces, &mut meter, each, |index, ()| {
            let end = output.elements(index).end * size_of::<B>();
            let written = behind.reached(target.in_file(0..end).end);
            written.map_err(|error| target.error(error))?;
            Ok((input.elements(index).len() * size_of::<A>()) as u64)
        })
    }
}

/// Makes a buffer one of so many zeros.
fn renew<A: Element>(
    buffer: &mut Vec<A>,
    len: usize,
    context: Context<'_>,
    budget: usize,
) -> Result<()> {
    buffer.clear();
    if buffer.capacity() < len {
        reserve(buffer, len, context, budget)?;
    }
    buffer.resize(len, A::zeroed());
    Ok(())
}

/// An array as blocks of rows.
struct Table<D> {
    dim: D,
    order: Order,
    /// Along which the rows lie.
    axis: usize,
    rows: usize,
    per_block: usize,
}

impl<D: Dimension> Table<D> {
    fn new(context: Context<'_>, dim: D, order: Order, per_block: usize) -> Result<Table<D>> {
        let Some(axis) = shape::slowest_axis(dim.ndim(), order) else {
            return Err(context.fail(ErrorKind::AxisOutOfBounds { axis: 0, ndim: 0 }));
        };
        Ok(Table {
            rows: dim[axis],
            dim,
            order,
            axis,
            per_block,
        })
    }

    fn block(&self, index: usize) -> Range<usize> {
        index * self.per_block..self.rows.min((index + 1) * self.per_block)
    }

    /// The elements of a block, in the order of the file.
    fn elements(&self, index: usize) -> Range<usize> {
        let (rows, row) = (self.block(index), self.dim.size() / self.rows);
        rows.start * row..rows.end * row
    }

    fn start(&self, row: usize) -> D {
        let mut start = D::zeros(self.dim.ndim());
        start[self.axis] = row;
        start
    }

    fn shape(&self, rows: Range<usize>) -> D {
        let mut shape = self.dim.clone();
        shape[self.axis] = rows.len();
        shape
    }
}
