//! The moves, for arrays whose dtype and rank are values: the new shape of each, and the places of
//! its bytes.

use std::ops::Range;
use std::path::Path;

use super::layout::Relocation;
use super::run::{Input, Run};
use crate::dtype::{ByteOrder, DType, Swap};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::out_of_core::source::Part;
use crate::out_of_core::work::Work;
use crate::shape::{self, Order};
use crate::store::{self, Array, ArrayFile, Layout};

/// An array to move, and the requirements on its new file.
pub(super) struct Moves<'a> {
    pub(super) part: Part<'a>,
    /// The byte swap of its elements.
    pub(super) swap: Option<Swap>,
    /// The dtype of the new array.
    pub(super) dtype: DType,
    pub(super) work: Work<'a>,
    /// Refuses a new file that could not be opened as the type that is returned.
    pub(super) check: fn(Context<'_>, &Array) -> Result<()>,
}

/// The new array of a move.
struct NewArray {
    op: &'static str,
    shape: Vec<usize>,
    /// The order of the file, unless the options name another.
    order: Order,
    /// The axis along which the pieces follow each other.
    joined: usize,
    /// The pieces in this array, then those in the others.
    pieces: Vec<Piece>,
}

/// A piece of a new array: a box of a source, with its axes in the order of the new array.
struct Piece {
    /// Its length along the joined axis.
    len: usize,
    /// The offset of its first byte in the source.
    offset: usize,
    /// The distance between neighbours in the source, in bytes.
    strides: Vec<usize>,
}

impl<'a> Moves<'a> {
    fn context(&self, op: &'static str) -> Context<'a> {
        self.part.file.context(op)
    }

    pub(super) fn transpose(self, path: &Path) -> Result<ArrayFile> {
        let axes: Vec<_> = (0..self.part.shape.len()).rev().collect();
        self.reorder("transpose", &axes, Order::C, path)
    }

    pub(super) fn permute(self, axes: &[usize], path: &Path) -> Result<ArrayFile> {
        let op = "permute";
        let (context, shape) = (self.context(op), &self.part.shape);
        let ndim = shape.len();
        if axes.len() != ndim {
            return Err(context.fail(ErrorKind::NdimMismatch {
                expected: axes.len(),
                found: ndim,
                shape: shape.clone(),
                remedy: "name each axis once".into(),
            }));
        }
        if let Some(&axis) = axes.iter().find(|&&axis| axis >= ndim) {
            return Err(out_of_bounds(context, axis, ndim));
        }
        if (1..ndim).any(|index| axes[..index].contains(&axes[index])) {
            return Err(context.fail(ErrorKind::InvalidOption {
                reason: "an axis is named twice; name each axis once",
            }));
        }
        self.reorder(op, axes, Order::C, path)
    }

    pub(super) fn in_order(self, order: Order, path: &Path) -> Result<ArrayFile> {
        let op = "reorder";
        let reason = "`Options::order` of the output asks for the other order; leave it out";
        self.work
            .check_order(Context::new(path, op), order, reason)?;
        self.same_axes(op, order, path)
    }

    pub(super) fn in_byte_order(mut self, order: ByteOrder, path: &Path) -> Result<ArrayFile> {
        let op = "change the byte order of";
        if order == ByteOrder::NotApplicable {
            return Err(Context::new(path, op).fail(ErrorKind::InvalidOption {
                reason: "`ByteOrder::NotApplicable` is no order to change to; use `Little` or `Big`",
            }));
        }
        self.dtype = self.dtype.with_byte_order(order);
        self.swap = swap(self.part.file, op, &self.dtype)?;
        let order = self.part.order();
        self.same_axes(op, order, path)
    }

    pub(super) fn copy_region(self, ranges: &[Range<usize>], path: &Path) -> Result<ArrayFile> {
        let op = "copy a region of";
        let (context, shape) = (self.context(op), &self.part.shape);
        if ranges.len() != shape.len() {
            return Err(context.fail(ErrorKind::NdimMismatch {
                expected: ranges.len(),
                found: shape.len(),
                shape: shape.clone(),
                remedy: "give one range for each axis, `0..n` for all of one that has `n`".into(),
            }));
        }
        let mut of_axes = ranges.iter().zip(shape).enumerate();
        if let Some((axis, (range, &len))) =
            of_axes.find(|(_, (range, len))| range.start > range.end || range.end > **len)
        {
            return Err(context.fail(ErrorKind::RangeOutOfBounds {
                axis,
                start: range.start,
                end: range.end,
                len,
            }));
        }
        let order = self.part.order();
        let ranges = shape::slowest_first(ranges, order);
        let shape = ranges.iter().map(Range::len).collect::<Vec<_>>();
        let part = Part {
            lattice: self.part.lattice.cut(&ranges),
            shape: shape::slowest_first(&shape, order),
            ..self.part
        };
        Moves { part, ..self }.same_axes(op, order, path)
    }

    pub(super) fn concatenate(
        self,
        others: Vec<(Part<'_>, Option<Swap>)>,
        axis: usize,
        path: &Path,
    ) -> Result<ArrayFile> {
        let op = "concatenate";
        let context = self.context(op);
        let first = &self.part;
        let ndim = first.shape.len();
        if axis >= ndim {
            return Err(out_of_bounds(context, axis, ndim));
        }
        let mut shape = first.shape.clone();
        let mut order = first.order();
        let mut pieces = vec![Piece::of(first, shape[axis], &self.dtype)];
        for (other, _) in &others {
            let mut expected = first.shape.clone();
            if let (Some(expected), Some(&found)) = (expected.get_mut(axis), other.shape.get(axis))
            {
                *expected = found;
            }
            if expected != other.shape {
                return Err(context.fail(ErrorKind::ShapeMismatch {
                    expected,
                    found: other.shape.clone(),
                }));
            }
            shape[axis] = shape[axis].saturating_add(other.shape[axis]);
            if other.order() != order {
                order = Order::C;
            }
            pieces.push(Piece::of(other, other.shape[axis], &self.dtype));
        }
        let new = NewArray {
            op,
            shape,
            order,
            joined: axis,
            pieces,
        };
        let others = others.iter().map(|(part, swap)| Input {
            file: part.file,
            swap: swap.clone(),
        });
        self.make(new, others.collect(), path)
    }

    /// Moves elements and keeps the order of the axes.
    fn same_axes(self, op: &'static str, order: Order, path: &Path) -> Result<ArrayFile> {
        let axes: Vec<_> = (0..self.part.shape.len()).collect();
        self.reorder(op, &axes, order, path)
    }

    /// Makes an array whose axes are these axes of the source.
    fn reorder(
        self,
        op: &'static str,
        axes: &[usize],
        order: Order,
        path: &Path,
    ) -> Result<ArrayFile> {
        let pick =
            |values: &[usize]| -> Vec<usize> { axes.iter().map(|&axis| values[axis]).collect() };
        let shape = pick(&self.part.shape);
        // The only axis of a 0-d array is that of its bytes.
        let len = *shape.first().unwrap_or(&self.dtype.itemsize());
        let mut of_one = Piece::of(&self.part, len, &self.dtype);
        of_one.strides = pick(&of_one.strides);
        let new = NewArray {
            op,
            shape,
            order,
            joined: 0,
            pieces: vec![of_one],
        };
        self.make(new, Vec::new(), path)
    }

    /// Makes the new file.
    fn make(mut self, new: NewArray, others: Vec<Input<'_>>, path: &Path) -> Result<ArrayFile> {
        let options = self.work.options().clone();
        let order = options.order.unwrap_or(new.order);
        let context = self.context(new.op);
        let itemsize = self.dtype.itemsize();
        let mut inputs = vec![Input {
            file: self.part.file,
            swap: self.swap,
        }];
        inputs.extend(others);
        let in_file = shape::slowest_first(&new.shape, order);
        let joined = match order {
            Order::C => new.joined,
            Order::F => in_file.len().saturating_sub(1 + new.joined),
        };
        let creating = Context::new(path, "create");
        let layout = Layout::new(creating, self.dtype, new.shape, order, &options)?;
        (self.check)(creating, &layout.array)?;
        store::create_reserved(path, layout, &options, |target| {
            let parts = new.pieces.iter().enumerate().map(|(source, part)| {
                let strides = shape::slowest_first(&part.strides, order);
                (source, part.len, part.offset, strides)
            });
            match Relocation::new(&in_file, itemsize, joined, parts) {
                Some(relocation) => {
                    Run::start(&relocation, &inputs, context, target, &mut self.work)
                }
                // No bytes.
                None => Ok(()),
            }
        })
    }
}

impl Piece {
    /// A whole part of an array as a piece, with `len` indices along the joined axis.
    fn of(part: &Part<'_>, len: usize, dtype: &DType) -> Piece {
        let itemsize = dtype.itemsize();
        let strides = part.strides();
        Piece {
            len,
            offset: part.lattice.hull().start * itemsize,
            strides: strides.iter().map(|stride| stride * itemsize).collect(),
        }
    }
}

/// The swap of a file's elements to the byte order of `dtype`.
pub(super) fn swap(file: &ArrayFile, op: &'static str, dtype: &DType) -> Result<Option<Swap>> {
    let found = &file.array.dtype;
    Swap::between(found, dtype).map_err(|()| store::dtype_mismatch(file.context(op), dtype, found))
}

fn out_of_bounds(context: Context<'_>, axis: usize, ndim: usize) -> Error {
    context.fail(ErrorKind::AxisOutOfBounds { axis, ndim })
}
