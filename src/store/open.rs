//! Opening: the file is locked, its header read and everything in it checked before an element is.

use std::fs::{File, Metadata};
use std::ops::Range;
use std::path::Path;

use super::claims::Claims;
use super::file::{Array, ArrayFile};
use super::mode::Opened;
use super::options::{Expected, Options};
use crate::dtype::DType;
use crate::error::{Context, Error, ErrorKind, LockHold, LockHolder, Result};
use crate::header::{BLOCK, Header, extent};
use crate::shape;
use crate::sys::{self, LockedFile, NotLocked, Patience};

/// Opens the array in `path`, or these rows of it. `dtype` is the one of a raw file; a file with a
/// header has its own.
pub(crate) fn open(
    path: &Path,
    opened: Opened,
    rows: Option<Range<usize>>,
    options: &Options,
    dtype: Option<DType>,
) -> Result<ArrayFile> {
    let path = absolute(path, "open")?;
    let context = Context::new(&path, "open");
    let (write, exclusive) = (opened.access().writes_file(), opened == Opened::Alone);
    let patience = options.patience();
    let (file, metadata) = lock(context, &path, write, exclusive, patience)?;
    let read = || {
        let array = read_header(context, file.file(), &metadata, options, dtype.clone())?;
        match check_length(context, &array, metadata.len()) {
            // Rows may have been appended since.
            Err(error) if matches!(error.kind(), ErrorKind::Truncated { .. }) => {
                let metadata = file.file().metadata().map_err(|error| context.io(error))?;
                check_length(context, &array, metadata.len())?;
            }
            checked => checked?,
        }
        Ok(array)
    };
    let is_part = rows.is_some();
    let claims = Claims {
        context,
        file: file.file(),
        opened,
        rows,
    };
    if patience.is_some() {
        claims.check_support(&path)?;
    }
    let array = claims.take(patience, read)?;
    let may_cut = matches!(opened, Opened::Alone | Opened::Append) && options.lock.is_some();
    if may_cut && sys::has_reserve(file.file(), &metadata) {
        // Left by a writer that died: the claim says so. Nobody misses them if this fails.
        let _ = file.file().set_len(file_len(context, file.file())?);
    }
    let mut file = ArrayFile::new(file, array, path, opened, options);
    file.is_whole = !is_part;
    Ok(file)
}

fn file_len(context: Context<'_>, file: &File) -> Result<u64> {
    Ok(file.metadata().map_err(|error| context.io(error))?.len())
}

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

/// The path from the root, where it has one. See [`sys::absolute`].
pub(crate) fn absolute(path: &Path, op: &'static str) -> Result<std::path::PathBuf> {
    // Also the answer for an empty path, which names nothing.
    sys::absolute(path).map_err(|error| match path.as_os_str().is_empty() {
        true => Context::new(path, op).not_found(),
        false => Context::new(path, op).io(error),
    })
}

/// Opens and locks a regular file, and reads its metadata under the lock.
pub(crate) fn lock(
    context: Context<'_>,
    path: &Path,
    write: bool,
    exclusive: bool,
    patience: Option<Patience>,
) -> Result<(LockedFile, Metadata)> {
    LockedFile::open(path, write, exclusive, patience)
        .map_err(|refused| refusal(context, write, exclusive, refused))
}

/// Says why a file was not opened or not locked.
pub(super) fn refusal(
    context: Context<'_>,
    write: bool,
    exclusive: bool,
    refused: NotLocked,
) -> Error {
    match refused {
        NotLocked::Held(holder, hold) => context.fail(ErrorKind::Locked {
            exclusive,
            holder,
            hold,
            rows: None,
            remedy: lock_remedy(holder, hold),
        }),
        NotLocked::Unsupported(cause) => context.fail(ErrorKind::LockUnsupported {
            what: "`flock`",
            remedy: "if nobody else writes the file, open it with `Options::no_lock`",
            cause,
        }),
        NotLocked::Special(found) => context.not_a_file(found),
        NotLocked::Io(error) => context.io(error),
        NotLocked::Open(error) => match std::fs::metadata(context.path)
            .ok()
            .as_ref()
            .and_then(sys::kind_of_special)
        {
            // A directory that is opened for writing, a socket, a device without a driver.
            Some(found) => context.not_a_file(found),
            None if error.kind() == std::io::ErrorKind::PermissionDenied => context.denied(
                if write {
                    "read and write it"
                } else {
                    "read it"
                },
                error,
            ),
            None => context.io(error),
        },
    }
}

/// The way out for who met a lock. To wait for oneself would take for ever.
pub(super) fn lock_remedy(holder: LockHolder, hold: LockHold) -> &'static str {
    match (holder, hold) {
        (LockHolder::ThisProcess, _) => "drop or close that store first",
        (_, LockHold::Lease) => "it was asked to give it back: wait for that with `Options::lock`",
        (_, _) => "close that store, or wait with `Options::lock`",
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
        // `extent` holds the claimed length against the limit and the length of the file, so this is no allocation by hearsay.
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
        // No overflow: `extent` holds the header against the length of the part.
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
    // A file can have more elements than an address of 32 bits.
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
    // What is shorter is refused for that.
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

/// Refuses a file that has not all bytes of the array.
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
            reason: "the shape has more than the 64 dimensions that NumPy allows",
        }));
    }
    shape::checked_nbytes(shape, itemsize).ok_or_else(|| {
        context.fail(ErrorKind::ShapeTooLarge {
            shape: shape::wide(shape),
            itemsize,
        })
    })
}
