//! The moves, of arrays whose dtype and rank are values: what each makes of the shape, and which bytes go where.

use std::ops::Range;
use std::path::Path;

use super::layout::{Relocation, packed};
use super::run::{Input, Run};
use crate::dtype::{ByteOrder, DType, Swap};
use crate::error::{Context, Error, Result};
use crate::out_of_core::work::Work;
use crate::shape::{self, Order};
use crate::store::{self, Array, ArrayFile, Layout};

/// An array that is to be moved, and what its new file has to be.
pub(super) struct Moves<'a> {
    pub(super) input: Input<'a>,
    /// The dtype of the new array.
    pub(super) dtype: DType,
    pub(super) work: Work<'a>,
    /// Refuses a new file that could not be opened as what is returned.
    pub(super) check: fn(Context<'_>, &Array) -> Result<()>,
}

/// What a move makes.
struct New {
    op: &'static str,
    shape: Vec<usize>,
    /// The order of its file, unless the options have another.
    order: Order,
    /// The axis along which the parts follow each other.
    joined: usize,
    /// In this array, then in the others.
    parts: Vec<Part>,
}

/// A part of a new array: a box of a source, its axes in the order of the new one.
struct Part {
    /// Its length along the axis along which the parts follow each other.
    len: usize,
    /// Where its first byte is among those of the source.
    offset: usize,
    /// How far apart neighbours are in the source, in bytes.
    strides: Vec<usize>,
}

impl Moves<'_> {
    fn array(&self) -> &Array {
        &self.input.file.array
    }

    pub(super) fn transpose(self, path: &Path) -> Result<ArrayFile> {
        let axes: Vec<_> = (0..self.array().shape.len()).rev().collect();
        self.reorder("transpose", &axes, Order::C, path)
    }

    pub(super) fn permute(self, axes: &[usize], path: &Path) -> Result<ArrayFile> {
        let op = "permute";
        let (context, shape) = (self.input.file.context(op), &self.array().shape);
        let ndim = shape.len();
        if axes.len() != ndim {
            return Err(Error::NdimMismatch {
                path: context.path(),
                op,
                expected: axes.len(),
                found: ndim,
                shape: shape.clone(),
                remedy: "name each axis once".into(),
            });
        }
        if let Some(&axis) = axes.iter().find(|&&axis| axis >= ndim) {
            return Err(out_of_bounds(context, axis, ndim));
        }
        if (1..ndim).any(|index| axes[..index].contains(&axes[index])) {
            return Err(Error::InvalidOption {
                path: context.path(),
                op,
                reason: "an axis is named twice; name each axis once",
            });
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
            return Err(Error::InvalidOption {
                path: path.to_owned(),
                op,
                reason: "`ByteOrder::NotApplicable` is no order to change to; use `Little` or `Big`",
            });
        }
        self.dtype = self.dtype.with_byte_order(order);
        self.input.swap = swap(self.input.file, op, &self.dtype)?;
        let order = self.array().order;
        self.same_axes(op, order, path)
    }

    pub(super) fn copy_region(self, ranges: &[Range<usize>], path: &Path) -> Result<ArrayFile> {
        let op = "copy a region of";
        let (context, array) = (self.input.file.context(op), self.array());
        if ranges.len() != array.shape.len() {
            return Err(Error::NdimMismatch {
                path: context.path(),
                op,
                expected: ranges.len(),
                found: array.shape.len(),
                shape: array.shape.clone(),
                remedy: "give one range for each axis, `0..n` for all of one that has `n`".into(),
            });
        }
        let mut of_axes = ranges.iter().zip(&array.shape).enumerate();
        if let Some((axis, (range, &len))) =
            of_axes.find(|(_, (range, len))| range.start > range.end || range.end > **len)
        {
            return Err(Error::RangeOutOfBounds {
                path: context.path(),
                op,
                axis,
                start: range.start,
                end: range.end,
                len,
            });
        }
        let shape: Vec<_> = ranges.iter().map(Range::len).collect();
        let strides = strides(array);
        let starts = ranges.iter().zip(&strides);
        // An empty region may start behind the end, where there is nothing to be found.
        let offset = match shape.contains(&0) {
            true => 0,
            false => starts.map(|(range, stride)| range.start * stride).sum(),
        };
        let order = array.order;
        let new = New::of_one(op, shape, order, offset, strides, &self.dtype);
        self.make(new, Vec::new(), path)
    }

    pub(super) fn concatenate(
        self,
        others: Vec<Input<'_>>,
        axis: usize,
        path: &Path,
    ) -> Result<ArrayFile> {
        let op = "concatenate";
        let (context, first) = (self.input.file.context(op), self.array());
        let ndim = first.shape.len();
        if axis >= ndim {
            return Err(out_of_bounds(context, axis, ndim));
        }
        let mut shape = first.shape.clone();
        let mut order = first.order;
        let mut parts = vec![Part {
            len: shape[axis],
            offset: 0,
            strides: strides(first),
        }];
        for other in &others {
            let other = &other.file.array;
            let mut expected = first.shape.clone();
            if let (Some(expected), Some(&found)) = (expected.get_mut(axis), other.shape.get(axis))
            {
                *expected = found;
            }
            if expected != other.shape {
                return Err(Error::ShapeMismatch {
                    path: context.path(),
                    op,
                    expected,
                    found: other.shape.clone(),
                });
            }
            shape[axis] = shape[axis].saturating_add(other.shape[axis]);
            if other.order != order {
                order = Order::C;
            }
            parts.push(Part {
                len: other.shape[axis],
                offset: 0,
                strides: strides(other),
            });
        }
        let new = New {
            op,
            shape,
            order,
            joined: axis,
            parts,
        };
        self.make(new, others, path)
    }

    /// Moves elements and leaves each axis where it is.
    fn same_axes(self, op: &'static str, order: Order, path: &Path) -> Result<ArrayFile> {
        let axes: Vec<_> = (0..self.array().shape.len()).collect();
        self.reorder(op, &axes, order, path)
    }

    /// Makes an array whose axes are these ones of the source.
    fn reorder(
        self,
        op: &'static str,
        axes: &[usize],
        order: Order,
        path: &Path,
    ) -> Result<ArrayFile> {
        let array = self.array();
        let pick =
            |values: &[usize]| -> Vec<usize> { axes.iter().map(|&axis| values[axis]).collect() };
        let (shape, strides) = (pick(&array.shape), pick(&strides(array)));
        let new = New::of_one(op, shape, order, 0, strides, &self.dtype);
        self.make(new, Vec::new(), path)
    }

    /// Makes the new file.
    fn make(mut self, new: New, others: Vec<Input<'_>>, path: &Path) -> Result<ArrayFile> {
        let options = self.work.options().clone();
        let order = options.order.unwrap_or(new.order);
        let context = self.input.file.context(new.op);
        let itemsize = self.dtype.itemsize();
        let mut inputs = vec![self.input];
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
            let parts = new.parts.iter().enumerate().map(|(source, part)| {
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

impl New {
    /// An array that is a box of one other.
    fn of_one(
        op: &'static str,
        shape: Vec<usize>,
        order: Order,
        offset: usize,
        strides: Vec<usize>,
        dtype: &DType,
    ) -> New {
        // A 0-d array has no axis but that of its bytes.
        let len = *shape.first().unwrap_or(&dtype.itemsize());
        let part = Part {
            len,
            offset,
            strides,
        };
        New {
            op,
            shape,
            order,
            joined: 0,
            parts: vec![part],
        }
    }
}

/// What brings the elements of a file into the byte order of `dtype`.
pub(super) fn swap(file: &ArrayFile, op: &'static str, dtype: &DType) -> Result<Option<Swap>> {
    let found = &file.array.dtype;
    Swap::between(found, dtype).map_err(|()| store::dtype_mismatch(file.context(op), dtype, found))
}

fn out_of_bounds(context: Context<'_>, axis: usize, ndim: usize) -> Error {
    Error::AxisOutOfBounds {
        path: context.path(),
        op: context.op,
        axis,
        ndim,
    }
}

/// How far apart neighbours along each axis are in the file, in bytes.
fn strides(array: &Array) -> Vec<usize> {
    let itemsize = array.dtype.itemsize();
    let steps = packed(&shape::slowest_first(&array.shape, array.order));
    let strides: Vec<_> = steps.iter().map(|step| step * itemsize).collect();
    shape::slowest_first(&strides, array.order)
}
