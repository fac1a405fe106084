//! Arrays that are part of a file, or have no name: what archives need of this room.

use std::io;
use std::path::Path;

use super::array::{Array, check_length};
use super::claims::Claims;
use super::file::ArrayFile;
use super::fill::{self, Filler};
use super::layout::Layout;
use super::lock::{absolute, lock};
use super::mode::Opened;
use super::new_file::NewFile;
use super::options::Options;
use super::place::{Existing, Place};
use crate::dtype::DType;
use crate::error::{Context, ErrorKind, Result};
use crate::shape::Order;
use crate::sys::{FileId, LockedFile};

/// Opens an array that is a part of another file, for reading in place. `array` has its dtype,
/// shape and order and the offset of its elements.
///
/// The path must still name the file `id`, which has the array.
pub(crate) fn open_within(
    path: &Path,
    id: FileId,
    array: (DType, Vec<usize>, Order, u64),
    options: &Options,
) -> Result<ArrayFile> {
    let context = Context::new(path, "open");
    let patience = options.patience();
    let (file, metadata) = lock(context, path, false, false, patience)?;
    if FileId::of(&metadata) != id {
        return Err(context.fail(ErrorKind::Moved));
    }
    let (dtype, shape, order, offset) = array;
    let array = Array {
        dtype,
        order,
        shape,
        offset,
        raw: false,
    };
    check_length(context, &array, metadata.len())?;
    let claims = Claims {
        context,
        file: file.file(),
        opened: Opened::Read,
        rows: None,
    };
    let array = claims.take(patience, || Ok(array.clone()))?;
    let mut file = ArrayFile::new(file, array, context.path.to_owned(), Opened::Read, options);
    file.is_whole = false;
    Ok(file)
}

impl NewFile {
    /// Makes an empty file beside `path`.
    pub(crate) fn create(path: &Path, options: &Options) -> Result<NewFile> {
        let path = absolute(path, "create")?;
        let context = Context::new(&path, "create");
        NewFile::at(Place::find(context, Existing::Replace)?, options.patience())
    }
}

/// Creates a file without a name on the disk of `path`, which goes with the array, and opens it for
/// reading.
pub(crate) fn create_nameless(
    path: &Path,
    dtype: DType,
    shape: Vec<usize>,
    order: Order,
    write: impl FnOnce(&mut Filler<'_>) -> Result<()>,
) -> Result<ArrayFile> {
    let path = absolute(path, "create")?;
    let context = Context::new(&path, "create");
    // The file needs no lock, because nobody else can open a file without a name.
    let options = Options {
        lock: None,
        ..Options::new()
    };
    let layout = Layout::new(context, dtype, shape, order, &options)?;
    let place = Place::find(context, Existing::Replace)?;
    let file =
        tempfile::tempfile_in(place.directory.path()).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                context.denied("make a file in its directory", error)
            }
            _ => place.growth(error, layout.len()),
        })?;
    fill::run(write, &place, &file, &layout)?;
    place.write_header(&file, &layout)?;
    let file = LockedFile::unlocked(file);
    let Layout { array, .. } = layout;
    let mut file = ArrayFile::new(file, array, context.path.to_owned(), Opened::Read, &options);
    file.is_whole = false;
    Ok(file)
}
