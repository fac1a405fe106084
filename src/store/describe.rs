//! Describes the array in a file: by its header, or by the options for a raw file.

use std::fs::{File, Metadata};
use std::ops::Range;

use super::array::{Array, check_size};
use super::options::{Expected, Options};
use crate::dtype::DType;
use crate::error::{Context, ErrorKind, Result};
use crate::header::{BLOCK, Header, extent};
use crate::shape;
use crate::sys;

/// The array in a file of its own.
pub(super) fn read_header(
    context: Context<'_>,
    file: &File,
    metadata: &Metadata,
    options: &Options,
    dtype: Option<DType>,
) -> Result<Array> {
    let len = metadata.len();
    match options.raw {
        Some(offset) => raw_array(context, len, offset, options, dtype),
        None => read_array(context, file, 0..len, options),
    }
}

/// The array that the header at the start of `part` describes.
pub(super) fn read_array(
    context: Context<'_>,
    file: &File,
    part: Range<u64>,
    options: &Options,
) -> Result<Array> {
    let refuse = |cause| context.fail(ErrorKind::Header { cause });
    let limit = options.max_header_size;
    let mut block = [0; BLOCK];
    let len = part.end.saturating_sub(part.start);
    let read = sys::read_at(file, &mut block, part.start)
        .map_err(|error| context.step("read the header of").io(error))?
        .min(usize::try_from(len).unwrap_or(usize::MAX));
    let header_len = extent(&block[..read], len, limit).map_err(refuse)? as usize;
    let header = if header_len <= read {
        Header::decode(&block[..header_len], limit)
    } else {
        // `extent` compares the claimed length with the limit and the length of the file, so no
        // claim sizes this allocation.
        let reading = context.step("read the header of");
        let mut bytes = sys::zeroed_vec(header_len)
            .ok_or_else(|| reading.io(std::io::ErrorKind::OutOfMemory.into()))?;
        let read = sys::read_at(file, &mut bytes, part.start)
            .map_err(|error| context.step("read the header of").io(error))?;
        if read < header_len {
            return Err(context.fail(ErrorKind::Truncated {
                expected: header_len as u64,
                found: read as u64,
            }));
        }
        Header::decode(&bytes, limit)
    };
    let Header {
        dtype,
        order,
        shape: wide,
        offset,
        ..
    } = header.map_err(refuse)?;
    let shape = shape::narrow(&wide).ok_or_else(|| {
        context.fail(ErrorKind::ShapeTooLarge {
            shape: wide,
            itemsize: dtype.itemsize(),
        })
    })?;
    let expected = options.shape.as_ref();
    if let Some(expected) = expected.and_then(|expected| expected.other_than(&shape, order)) {
        return Err(context.fail(ErrorKind::ShapeMismatch {
            expected,
            found: shape,
        }));
    }
    if options.order.is_some_and(|expected| expected != order) {
        return Err(context.fail(ErrorKind::OrderMismatch));
    }
    Ok(Array {
        dtype,
        order,
        shape,
        // No overflow, because `extent` compares the header with the length of the part.
        offset: part.start + offset,
        raw: false,
    })
}

/// The array that the options describe.
fn raw_array(
    context: Context<'_>,
    len: u64,
    offset: u64,
    options: &Options,
    dtype: Option<DType>,
) -> Result<Array> {
    let Some(dtype) = dtype else {
        let reason = "a raw file does not tell its dtype; give it with `Options::dtype`, or open a typed `Store`";
        return Err(context.fail(ErrorKind::InvalidOption { reason }));
    };
    let order = options.order.unwrap_or_default();
    let itemsize = dtype.itemsize();
    let available = || {
        len.checked_sub(offset).ok_or_else(|| {
            context.fail(ErrorKind::Truncated {
                expected: offset,
                found: len,
            })
        })
    };
    let no_bytes = |reason| context.fail(ErrorKind::InvalidOption { reason });
    // A file can have more elements than 32 bits count.
    let narrow = |found: u64| {
        usize::try_from(found).map_err(|_| {
            context.fail(ErrorKind::ShapeTooLarge {
                shape: vec![found],
                itemsize,
            })
        })
    };
    let (shape, remedy) = match &options.shape {
        Some(Expected::Shape(shape)) => (
            shape.clone(),
            "check the shape, or give that of a row with `Options::row_shape`, or leave them out with `Options::allow_trailing`",
        ),
        Some(Expected::Rows(row)) => {
            let row_nbytes = check_size(context, row, itemsize)? as u64;
            let rows = available()?.checked_div(row_nbytes).ok_or_else(|| {
                no_bytes("its rows have no bytes, so its length does not tell how many there are; give the shape with `Options::shape`")
            })?;
            (
                shape::of_rows(row, narrow(rows)?, order),
                "check the shape of a row, or leave them out with `Options::allow_trailing`",
            )
        }
        None => {
            let nbytes = available()?;
            let number = nbytes.checked_div(itemsize as u64).ok_or_else(|| {
                no_bytes("its elements have no bytes, so its length does not tell its shape; give that with `Options::shape`")
            })?;
            if number * itemsize as u64 != nbytes && !options.allow_trailing {
                return Err(context.fail(ErrorKind::NotAMultiple {
                    nbytes,
                    offset,
                    itemsize,
                }));
            }
            (vec![narrow(number)?], "")
        }
    };
    let nbytes = check_size(context, &shape, itemsize)? as u64;
    // A shorter file is refused elsewhere.
    let end = offset.checked_add(nbytes).filter(|&end| end < len);
    match end {
        Some(end) if !options.allow_trailing && !options.drop_trailing => {
            Err(context.fail(ErrorKind::TrailingBytes {
                offset: end,
                found: len - end,
                remedy,
            }))
        }
        _ => Ok(Array {
            dtype,
            order,
            shape,
            offset,
            raw: true,
        }),
    }
}
