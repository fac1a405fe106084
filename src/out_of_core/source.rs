//! `Source`: where the elements of an operation come from: read from the file, past any map, and converted.

use std::fmt;
use std::ops::{Range, RangeBounds};

use ndarray::{ArrayViewMut, Dimension, IxDyn, SliceInfoElem};

use super::cast::Cast;
use crate::dtype::Swap;
use crate::element::{Element, assert_element};
use crate::error::{Context, ErrorKind, Result};
use crate::shape::{self, Order};
use crate::store::{self, ArrayFile, Lattice};

/// An array in a file, or a part of one, whatever its elements are.
#[derive(Clone)]
pub(super) struct Part<'a> {
    pub(super) file: &'a ArrayFile,
    pub(super) shape: Vec<usize>,
    /// Where its elements are in the file.
    pub(super) lattice: Lattice,
}

impl<'a> Part<'a> {
    /// All of an array.
    pub(super) fn whole(file: &'a ArrayFile) -> Part<'a> {
        Part {
            file,
            shape: file.array.shape.clone(),
            lattice: Lattice::whole(&file.array.shape, file.array.order),
        }
    }

    pub(super) fn order(&self) -> Order {
        self.file.array.order
    }

    /// Some of its rows.
    pub(super) fn rows(mut self, rows: impl RangeBounds<usize>) -> Result<Part<'a>> {
        let op = "take rows of";
        let context = self.file.context(op);
        let Some(axis) = shape::slowest_axis(self.shape.len(), self.order()) else {
            return Err(context.fail(ErrorKind::AxisOutOfBounds { axis: 0, ndim: 0 }));
        };
        let count = self.shape[axis];
        let rows = shape::row_range(rows, count).map_err(|asked| {
            context.fail(ErrorKind::RowsOutOfBounds {
                start: asked.start,
                end: asked.end,
                rows: count,
            })
        })?;
        self.shape[axis] = rows.len();
        self.lattice = self.lattice.rows(rows);
        Ok(self)
    }

    /// What slice arguments pick of it.
    pub(super) fn region(self, arguments: &[SliceInfoElem]) -> Result<Part<'a>> {
        let op = "take a region of";
        let region = self.file.region_of(op, &self.shape, arguments)?;
        let lattice = region.of(&self.lattice, self.order());
        Ok(Part {
            lattice: lattice.ok_or_else(|| {
                self.file.context(op).fail(ErrorKind::InvalidOption {
                    reason: "an axis runs backwards, and a file is read in order; leave out the negative step",
                })
            })?,
            shape: region.shape(),
            file: self.file,
        })
    }

    /// Its shape as that of an array of so many axes.
    pub(super) fn dim<D: Dimension>(&self) -> D {
        let mut dim = D::zeros(self.shape.len());
        dim.slice_mut().copy_from_slice(&self.shape);
        dim
    }

    /// How far apart neighbours along each axis are in the file, in elements.
    pub(super) fn strides(&self) -> Vec<usize> {
        let strides: Vec<_> = self.lattice.axes().map(|(_, stride)| stride).collect();
        shape::slowest_first(&strides, self.order())
    }
}

/// The elements of an array, or of a part of one, in the order of the file, as elements of type `A`.
#[derive(Clone)]
pub struct Source<'a, A> {
    part: Part<'a>,
    /// What makes the bytes of the file those of an `A`.
    swap: Option<Swap>,
    /// What makes each of them of another number, if the file holds others.
    cast: Option<Cast<A>>,
}

impl<'a, A: Element> Source<'a, A> {
    /// The elements of a store of such elements.
    pub(super) fn new(file: &'a ArrayFile) -> Source<'a, A> {
        Source {
            part: Part::whole(file),
            swap: None,
            cast: None,
        }
    }

    /// The elements that numbers of another type become.
    pub(super) fn cast(file: &'a ArrayFile, cast: Cast<A>) -> Source<'a, A> {
        Source {
            part: Part::whole(file),
            swap: None,
            cast: Some(cast),
        }
    }

    /// What makes elements of the numbers in the file, if these are of another type.
    pub(super) fn as_cast(&self) -> Option<&Cast<A>> {
        self.cast.as_ref()
    }

    /// The numbers in the file as the bits that they are, of as many bytes as an `U` has.
    pub(super) fn bits<U: Element>(&self) -> Source<'a, U> {
        let cast = self.cast.as_ref();
        Source {
            part: self.part.clone(),
            swap: cast.and_then(|cast| cast.swap.clone()),
            cast: None,
        }
    }

    /// The elements of a file whose dtype may be `A`'s in the other byte order, at any address.
    pub(super) fn converted<D: Dimension>(file: &'a ArrayFile) -> Result<(Source<'a, A>, D)> {
        assert_element::<A>();
        let context = file.context("read");
        let (found, expected) = (&file.array.dtype, A::dtype());
        let swap = match Swap::between(found, &expected) {
            Ok(swap) if expected.itemsize() == size_of::<A>() => swap,
            _ => return Err(store::dtype_mismatch(context, &expected, found)),
        };
        let dim = store::dimension(context, &file.array)?;
        let part = Part::whole(file);
        let cast = None;
        Ok((Source { part, swap, cast }, dim))
    }

    /// The elements of a part of the part.
    pub(super) fn map_part(
        self,
        narrow: impl FnOnce(Part<'a>) -> Result<Part<'a>>,
    ) -> Result<Source<'a, A>> {
        let part = narrow(self.part)?;
        Ok(Source { part, ..self })
    }

    pub(super) fn part(&self) -> &Part<'a> {
        &self.part
    }

    /// What is moved as it is.
    pub(super) fn movable(&self, op: &'static str) -> Result<(Part<'a>, Option<Swap>)> {
        match self.cast {
            Some(_) => Err(Cast::<A>::refuse_move(self.context(op))),
            None => Ok((self.part.clone(), self.swap.clone())),
        }
    }

    pub(super) fn file(&self) -> &'a ArrayFile {
        self.part.file
    }

    pub(super) fn order(&self) -> Order {
        self.part.order()
    }

    pub(super) fn context(&self, op: &'static str) -> Context<'a> {
        self.file().context(op)
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        self.part.lattice.len()
    }

    /// How many bytes the elements are.
    pub(super) fn nbytes(&self) -> usize {
        self.len() * size_of::<A>()
    }

    /// Reads elements, by their place among all.
    pub(super) fn read(
        &self,
        context: Context<'_>,
        elements: Range<usize>,
        into: &mut [A],
    ) -> Result<()> {
        let lattice = &self.part.lattice;
        if lattice.is_run() {
            return self.read_run(context, lattice.hull().start + elements.start, into);
        }
        let mut done = 0;
        for lattice in lattice.range(elements) {
            let end = done + lattice.len();
            self.read_lattice(context, &lattice, &mut into[done..end])?;
            done = end;
        }
        Ok(())
    }

    /// Reads the elements of a lattice in the file.
    pub(super) fn read_lattice(
        &self,
        context: Context<'_>,
        lattice: &Lattice,
        into: &mut [A],
    ) -> Result<()> {
        let lens: Vec<_> = lattice.axes().map(|(len, _)| len).collect();
        let view = ArrayViewMut::from_shape(IxDyn(&lens), &mut *into);
        let view = view.expect("there is room for each element");
        let read = |start, into: &mut [A]| self.read_run(context, start, into);
        self.file()
            .read_lattice_by(self.itemsize(), lattice, view, read)
    }

    /// Reads elements that lie together, from a place in the file on.
    fn read_run(&self, context: Context<'_>, start: usize, into: &mut [A]) -> Result<()> {
        let itemsize = self.itemsize();
        let Some(cast) = &self.cast else {
            let into = bytemuck::cast_slice_mut(into);
            self.file().read_at(context.op, start * itemsize, into)?;
            self.convert(into);
            return Ok(());
        };
        // Not larger than what stays in the innermost cache, nor than any stack.
        let mut buffer = [0_u64; 2048];
        let buffer: &mut [u8] = bytemuck::cast_slice_mut(&mut buffer);
        let mut position = start * itemsize;
        for into in into.chunks_mut(buffer.len() / itemsize) {
            let bytes = &mut buffer[..into.len() * itemsize];
            self.file().read_at(context.op, position, bytes)?;
            if let Some(swap) = &cast.swap {
                swap.apply(bytes);
            }
            (cast.make)(bytes, into);
            position += bytes.len();
        }
        Ok(())
    }

    /// The bytes of an element in the file.
    pub(super) fn itemsize(&self) -> usize {
        self.cast
            .as_ref()
            .map_or(size_of::<A>(), |cast| cast.itemsize)
    }

    /// Makes elements of what was read.
    pub(super) fn convert(&self, bytes: &mut [u8]) {
        if let Some(swap) = &self.swap {
            swap.apply(bytes);
        }
    }
}

impl<A> fmt::Debug for Source<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}
