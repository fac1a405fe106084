//! `Array`: the dtype, shape, order and place of the array in a file, and whether its length fits
//! the file.

use std::ops::Range;

use crate::dtype::DType;
use crate::error::{Context, ErrorKind, Result};
use crate::shape::{self, Order};

/// The dtype, shape and order of the array in a file, and its place there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Array {
    pub(crate) dtype: DType,
    pub(crate) order: Order,
    pub(crate) shape: Vec<usize>,
    /// The offset of the data.
    pub(crate) offset: u64,
    /// Whether the file has no header.
    pub(crate) raw: bool,
}

impl Array {
    /// The range of the file that has these bytes of the elements.
    pub(crate) fn in_file(&self, bytes: Range<usize>) -> Range<u64> {
        self.offset + bytes.start as u64..self.offset + bytes.end as u64
    }

    /// The range of the file that has all elements.
    pub(super) fn extent(&self) -> Range<u64> {
        self.in_file(0..self.nbytes())
    }

    /// The number of rows: indices of the slowest axis.
    pub(super) fn rows(&self) -> usize {
        shape::rows(&self.shape, self.order)
    }

    pub(super) fn set_rows(&mut self, rows: usize) {
        if let Some(axis) = shape::slowest_axis(self.shape.len(), self.order) {
            self.shape[axis] = rows;
        }
    }

    /// The bytes of a row: 0 if an axis has length 0.
    pub(super) fn row_nbytes(&self) -> u64 {
        let slowest = shape::slowest_axis(self.shape.len(), self.order);
        let axes = self.shape.iter().enumerate();
        let others = axes.filter(|&(axis, _)| Some(axis) != slowest);
        // No overflow, because the shape was checked, and an axis of length 0 excuses no other.
        others.map(|(_, &len)| len as u64).product::<u64>() * self.dtype.itemsize() as u64
    }

    /// The rows that have bytes in this part of the file, or would have if there were as many.
    pub(super) fn rows_at(&self, bytes: &Range<u64>) -> Option<Range<usize>> {
        let row = self.row_nbytes();
        let row_at = |byte: u64| byte.saturating_sub(self.offset).checked_div(row);
        let end = row_at(bytes.end.saturating_add(row.saturating_sub(1)))?;
        Some(row_at(bytes.start)? as usize..end as usize)
    }

    /// Keeps the rows that end before this byte of the file.
    pub(super) fn clip(&mut self, end: u64) {
        let row = self.row_nbytes();
        if let Some(rows) = end.saturating_sub(self.offset).checked_div(row)
            && rows < self.rows() as u64
        {
            self.set_rows(rows as usize);
        }
    }

    /// Keeps these rows alone.
    pub(super) fn keep_rows(&mut self, context: Context<'_>, kept: Range<usize>) -> Result<()> {
        let rows = self.rows();
        if kept.start > kept.end || kept.end > rows || self.shape.is_empty() {
            return Err(context.fail(ErrorKind::RowsOutOfBounds {
                start: kept.start,
                end: kept.end,
                rows,
            }));
        }
        self.offset += self.row_nbytes() * kept.start as u64;
        self.set_rows(kept.len());
        Ok(())
    }

    /// The bytes of the elements. The shape was checked, so they fit an `isize`.
    pub(crate) fn nbytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.itemsize()
    }
}

/// Refuses a file that lacks bytes of the array.
pub(super) fn check_length(context: Context<'_>, array: &Array, len: u64) -> Result<()> {
    let nbytes = check_size(context, &array.shape, array.dtype.itemsize())?;
    match array.offset.checked_add(nbytes as u64) {
        Some(end) if end <= len => Ok(()),
        end => Err(context.fail(ErrorKind::Truncated {
            expected: end.unwrap_or(u64::MAX),
            found: len,
        })),
    }
}

/// The bytes of an array, if an address space can hold them.
pub(crate) fn check_size(context: Context<'_>, shape: &[usize], itemsize: usize) -> Result<usize> {
    if shape.len() > shape::MAX_NDIM {
        return Err(context.fail(ErrorKind::InvalidOption {
            reason: "the shape has more than the 64 dimensions that NumPy allows; leave some out",
        }));
    }
    shape::checked_nbytes(shape, itemsize).ok_or_else(|| {
        context.fail(ErrorKind::ShapeTooLarge {
            shape: shape::wide(shape),
            itemsize,
        })
    })
}
