//! Opening: the file is locked, its header read and everything in it checked before an element is.

use std::cell::Cell;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use super::array::check_length;
use super::claims::{Claims, claimed};
use super::describe::read_header;
use super::file::ArrayFile;
use super::lock::{absolute, lock};
use super::mode::Opened;
use super::options::Options;
use crate::dtype::DType;
use crate::error::{Context, ErrorKind, Result};
use crate::sys::{self};

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
    let is_cut = Cell::new(false);
    let read = || {
        let mut array = read_header(context, file.file(), &metadata, options, dtype.clone())?;
        match check_length(context, &array, metadata.len()) {
            // Rows may have been appended since.
            Err(error) if matches!(error.kind(), ErrorKind::Truncated { .. }) => {
                let len = file_len(context, file.file())?;
                let named = array.rows();
                if options.allow_truncated {
                    array.clip(len);
                }
                is_cut.set(array.rows() < named);
                check_length(context, &array, len)?;
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
    if let (Some(claimed), Some(_)) = (claimed(opened, &array), patience) {
        file.note_claim(claimed);
    }
    let may_cut = matches!(opened, Opened::Alone | Opened::Append) && options.lock.is_some();
    if may_cut && sys::has_reserve(file.file(), &metadata) {
        // Left by a writer that died: the claim says so. Nobody misses them if this fails.
        let _ = file.file().set_len(file_len(context, file.file())?);
    }
    let mut file = ArrayFile::new(file, array, path, opened, options);
    file.is_whole = !is_part;
    file.is_cut = is_cut.get();
    Ok(file)
}

fn file_len(context: Context<'_>, file: &File) -> Result<u64> {
    Ok(file.metadata().map_err(|error| context.io(error))?.len())
}
