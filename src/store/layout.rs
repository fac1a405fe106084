//! `Layout`: the array, header and length of a file to be written, all of it checked.

use std::path::Path;

use ndarray::{Dimension, ShapeBuilder};

use super::array::{Array, check_size};
use super::fit::check_fit;
use super::options::Options;
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Context, ErrorKind, Result};
use crate::header::{Form, Header, extent};
use crate::shape::{self, Order};
use crate::sys;

/// The array, header and length of a file to be written, all of it checked.
pub(crate) struct Layout {
    pub(crate) array: Array,
    /// Empty for a raw file.
    pub(super) header: Vec<u8>,
    pub(super) nbytes: usize,
}

impl Layout {
    /// The layout of a new file at `path`, which can be opened as a store of `A` and `D`. Nothing
    /// has been touched yet.
    pub(crate) fn of<A: Element, D: Dimension>(
        path: &Path,
        shape: &[usize],
        order: Order,
        options: &Options,
    ) -> Result<Layout> {
        let context = Context::new(path, "create");
        let layout = Layout::new(context, A::dtype(), shape.to_vec(), order, options)?;
        check_fit::<A, D>(context, &layout.array)?;
        Ok(layout)
    }

    /// The layout of a new file. Nothing has been touched yet.
    pub(crate) fn new(
        context: Context<'_>,
        dtype: DType,
        shape: Vec<usize>,
        order: Order,
        options: &Options,
    ) -> Result<Layout> {
        let expected = options.shape.as_ref();
        if let Some(expected) = expected.and_then(|expected| expected.other_than(&shape, order)) {
            return Err(context.fail(ErrorKind::ShapeMismatch {
                expected,
                found: shape,
            }));
        }
        match options.raw {
            Some(_) if options.compact => Err(context.fail(ErrorKind::InvalidOption {
                reason: "a raw file has no header to be compact; choose one of `Options::raw` and `Options::compact`",
            })),
            Some(offset) => Layout::raw(context, dtype, shape, order, offset),
            None => {
                let form = if options.compact {
                    Form::Compact
                } else {
                    Form::Native
                };
                let layout = Layout::with_header(context, dtype, shape, order, form)?;
                // A file that these very options could not open again must not be made.
                let readable = extent(&layout.header, layout.len(), options.max_header_size);
                readable.map_err(|cause| context.fail(ErrorKind::Header { cause }))?;
                Ok(layout)
            }
        }
    }

    pub(super) fn raw(
        context: Context<'_>,
        dtype: DType,
        shape: Vec<usize>,
        order: Order,
        offset: u64,
    ) -> Result<Layout> {
        let nbytes = check_size(context, &shape, dtype.itemsize())?;
        Layout {
            array: Array {
                dtype,
                order,
                shape,
                offset,
                raw: true,
            },
            header: Vec::new(),
            nbytes,
        }
        .checked(context)
    }

    pub(super) fn with_header(
        context: Context<'_>,
        dtype: DType,
        shape: Vec<usize>,
        order: Order,
        form: Form,
    ) -> Result<Layout> {
        let nbytes = check_size(context, &shape, dtype.itemsize())?;
        let wide = shape::wide(&shape);
        let header = Header::encode(&dtype, order, &wide, form)
            .map_err(|cause| context.fail(ErrorKind::Header { cause }))?;
        let offset = header.len() as u64;
        Layout {
            array: Array {
                dtype,
                order,
                shape,
                offset,
                raw: false,
            },
            header,
            nbytes,
        }
        .checked(context)
    }

    /// Checks the length of the whole file against the limit of files and that of this process.
    fn checked(self, context: Context<'_>) -> Result<Layout> {
        let too_large = |needed, limit| context.fail(ErrorKind::FileTooLarge { needed, limit });
        let Array { offset, .. } = self.array;
        let len = offset
            .checked_add(self.nbytes as u64)
            .filter(|&len| len <= i64::MAX as u64);
        let len = len.ok_or_else(|| too_large(u64::MAX, None))?;
        match sys::file_size_limit() {
            Some(limit) if len > limit => Err(too_large(len, Some(limit))),
            _ => Ok(self),
        }
    }

    /// The length of the whole file.
    pub(super) fn len(&self) -> u64 {
        self.array.offset + self.nbytes as u64
    }
}

impl Options {
    /// The dimension and the order of a new array of this shape.
    pub(crate) fn dim_and_order<D: Dimension>(
        &self,
        path: &Path,
        shape: impl ShapeBuilder<Dim = D>,
        itemsize: usize,
    ) -> Result<(D, Order)> {
        let shape = shape.into_shape_with_order();
        // Before the order is read off, which takes a shape that ndarray can hold.
        let context = Context::new(path, "create");
        check_size(context, shape.raw_dim().slice(), itemsize)?;
        let (dim, order) = shape::dim_and_order(shape);
        Ok((dim, self.order.unwrap_or(order)))
    }
}
