//! Creates a whole new file beside its target, durable before it takes the target's name.

use std::fs::File;
use std::path::Path;

use ndarray::{ArrayRef, Dimension};

use super::file::ArrayFile;
use super::layout::Layout;
use super::lock::absolute;
use super::mode::Opened;
use super::options::Options;
use super::pack;
use super::place::{Existing, Place};
use super::write::{self, Writer};
use crate::element::Element;
use crate::error::{Context, Error, Result};
use crate::sys;

/// Creates a file of zeros.
pub(super) fn create_zeros(
    path: &Path,
    layout: Layout,
    existing: Existing,
    options: &Options,
) -> Result<ArrayFile> {
    create(path, layout, existing, options, |place, file, layout| {
        if !place.reserve(file, layout, options.sparse)? {
            let zeros = sys::write_zeros(file, 0..layout.len());
            zeros.map_err(|error| place.growth(error, layout.len()))?;
        }
        Ok::<_, Error>(())
    })
}

/// Creates a file with the elements of `array`.
pub(super) fn create_from<A: Element, D: Dimension>(
    path: &Path,
    array: &ArrayRef<A, D>,
    options: &Options,
) -> Result<ArrayFile> {
    let order = options.order.unwrap_or_else(|| pack::memory_order(array));
    let layout = Layout::of::<A, D>(path, array.shape(), order, options)?;
    let fill = |place: &Place, file: &File, layout: &Layout| {
        let mut writer = Writer::new(file, layout.array.offset);
        let made = match place.reserve(file, layout, options.sparse)? {
            true => Ok(()),
            // Writing an empty array extends nothing, so set the length.
            false => file.set_len(layout.len()),
        };
        made.and_then(|()| write::write_elements(&mut writer, array, order))
            .map_err(|error| place.growth(error, layout.len()))
    };
    create(path, layout, Existing::replaced(options), options, fill)
}

pub(super) fn create<E: From<Error>>(
    path: &Path,
    layout: Layout,
    existing: Existing,
    options: &Options,
    fill: impl FnOnce(&Place, &File, &Layout) -> Result<(), E>,
) -> Result<ArrayFile, E> {
    let path = absolute(path, "create")?;
    let context = Context::new(&path, "create");
    let place = Place::find(context, existing)?;
    let patience = options.patience();
    let old = place.find_old(existing, patience)?;
    let (file, name) = place.draft(&layout, options.lock.is_some(), old.is_some(), fill)?;
    place.publish(old, file.file(), name, existing, patience)?;
    if options.lock.is_none() {
        file.release();
    }
    let Layout { array, .. } = layout;
    let file = ArrayFile::new(file, array, path.clone(), Opened::Alone, options);
    file.set_secured();
    Ok(file)
}
