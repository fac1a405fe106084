//! Spreading: an array in memory that lacks an axis, taken together with each element along it.

use std::fmt;
use std::ops::Range;

use ndarray::{ArrayRef, Axis, Dimension, RemoveAxis};

use super::map::{Sources, Zip};
use super::source::Source;
use super::work::OutOfCore;
use crate::element::Element;
use crate::error::{ErrorKind, Result};
use crate::shape::Order;

/// The elements of an array that lacks an axis, in the order of the file.
pub struct Spread<B> {
    values: Vec<B>,
    /// How long the axis is, and how far apart neighbours along it are.
    len: usize,
    inner: usize,
}

// Not by derive: the values may be many.
impl<B> fmt::Debug for Spread<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Spread");
        shown
            .field("values", &self.values.len())
            .finish_non_exhaustive()
    }
}

/// A [`Zip`] of what `S` is and an array that lacks an axis.
pub(super) type AndSpread<'a, S, B, D> = Zip<'a, (S, Spread<B>), D>;

impl<B: Copy> Spread<B> {
    /// Finds the values for a range of the file.
    fn fill(&self, range: Range<usize>, into: &mut Vec<B>) {
        into.clear();
        let mut at = range.start;
        while at < range.end {
            let outer = at / (self.len * self.inner);
            let end = range.end.min((outer + 1) * self.len * self.inner);
            let row = &self.values[outer * self.inner..(outer + 1) * self.inner];
            // They come round again with each row: once as they are, then by ever longer copies.
            let (before, behind) = row.split_at(at % self.inner);
            let (first, count) = (into.len(), end - at);
            into.extend(behind.iter().chain(before).take(count));
            while into.len() - first < count {
                let found = into.len() - first;
                into.extend_from_within(first..first + found.min(count - found));
            }
            at = end;
        }
    }
}

impl<B: Element> Sources for Spread<B> {
    type Item = B;
    type Scratch = Vec<B>;

    fn read<'s>(
        &'s self,
        range: Range<usize>,
        scratch: &'s mut Vec<B>,
    ) -> Result<impl Iterator<Item = B> + 's> {
        self.fill(range, scratch);
        Ok(scratch.iter().copied())
    }

    /// None: nothing is read of the file.
    fn itemsize() -> usize {
        0
    }
}

impl<'a, A: Element, D: RemoveAxis> OutOfCore<'a, A, D> {
    /// Takes each element together with the value for its lane along an axis, for [`Zip::map`]:
    /// what broadcasting does with the result of a reduction along that axis.
    ///
    /// # Errors
    ///
    /// [`AxisOutOfBounds`](ErrorKind::AxisOutOfBounds); [`ShapeMismatch`](ErrorKind::ShapeMismatch)
    /// unless `values` has the shape of the array without that axis.
    ///
    /// # Examples
    ///
    /// A table is standardised:
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [path, new] = ["table.npy", "new.npy"].map(|name| dir.path().join(name));
    ///
    /// let table = Store::create_from(&path, &array![[1.0, 10.0], [3.0, 30.0]])?;
    /// let work = || table.out_of_core();
    /// let (mean, std) = (work().mean_axis(Axis(0))?, work().std_axis(Axis(0), 0)?);
    /// let zip = work().zip_axis(Axis(0), &mean)?.zip_axis(Axis(0), &std)?;
    /// let standardised = zip.map(&new, |((x, mean), std)| (x - mean) / std)?;
    /// assert_eq!(standardised.read_all()?, array![[-1.0, -1.0], [1.0, 1.0]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    #[doc(alias = "broadcast")]
    pub fn zip_axis<B: Element>(
        self,
        axis: Axis,
        values: &ArrayRef<B, D::Smaller>,
    ) -> Result<AndSpread<'a, Source<'a, A>, B, D>> {
        self.alone().zip_axis(axis, values)
    }
}

impl<'a, S: Sources, D: RemoveAxis> Zip<'a, S, D> {
    /// Takes one array more that lacks an axis. See [`OutOfCore::zip_axis`].
    ///
    /// # Errors
    ///
    /// As [`OutOfCore::zip_axis`].
    pub fn zip_axis<B: Element>(
        self,
        axis: Axis,
        values: &ArrayRef<B, D::Smaller>,
    ) -> Result<AndSpread<'a, S, B, D>> {
        let (context, shape, index) = (self.context, self.dim.slice(), axis.index());
        if index >= shape.len() {
            let ndim = shape.len();
            return Err(context.fail(ErrorKind::AxisOutOfBounds { axis: index, ndim }));
        }
        let smaller = self.dim.remove_axis(axis);
        if values.raw_dim() != smaller {
            return Err(context.fail(ErrorKind::ShapeMismatch {
                expected: smaller.slice().to_vec(),
                found: values.shape().to_vec(),
            }));
        }
        let spread = Spread {
            len: shape[index],
            inner: match self.order {
                Order::C => shape[index + 1..].iter().product(),
                Order::F => shape[..index].iter().product(),
            },
            values: match self.order {
                Order::C => values.iter().copied().collect(),
                Order::F => values.view().reversed_axes().iter().copied().collect(),
            },
        };
        Ok(self.and(spread))
    }
}
