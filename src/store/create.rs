//! Creating: a whole new file beside its target, durable before it takes the target's name.

use std::fs::File;
use std::path::Path;

use ndarray::{ArrayRef, Dimension};

use super::file::{Array, ArrayFile};
use super::mode::Opened;
use super::open::{absolute, check_size};
use super::options::Options;
use super::pack;
use super::place::{Existing, Place};
use super::typed::Store;
use super::write::{self, Writer};
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::header::{Form, Header, extent};
use crate::shape::{self, Order};
use crate::sys;

/// A file to be written: the array, its header and its length, all of it checked.
pub(crate) struct Layout {
    pub(crate) array: Array,
    /// Empty for a raw file.
    pub(super) header: Vec<u8>,
    pub(super) nbytes: usize,
}

impl Layout {
    /// The layout of a new file at `path`, which can be opened as a store of `A` and `D`. Nothing has been touched yet.
    pub(crate) fn of<A: Element, D: Dimension>(
        path: &Path,
        shape: &[usize],
        order: Order,
        options: &Options,
    ) -> Result<Layout> {
        let context = Context::new(path, "create");
        let layout = Layout::new(context, A::dtype(), shape.to_vec(), order, options)?;
        Store::<A, D>::check_array(context, &layout.array)?;
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
                // What could not be opened again by these very options must not be made.
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

    /// Checks the length of the whole file against what a file can be, and what this process may write.
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
) -> Result<Store<A, D>> {
    let order = options.order.unwrap_or_else(|| pack::memory_order(array));
    let layout = Layout::of::<A, D>(path, array.shape(), order, options)?;
    let fill = |place: &Place, file: &File, layout: &Layout| {
        let mut writer = Writer::new(file, layout.array.offset);
        let made = match place.reserve(file, layout, options.sparse)? {
            true => Ok(()),
            // The elements do not do that if there are none.
            false => file.set_len(layout.len()),
        };
        made.and_then(|()| write::write_elements(&mut writer, array, order))
            .map_err(|error| place.growth(error, layout.len()))
    };
    let file = create(path, layout, Existing::Replace, options, fill)?;
    Ok(Store::from_file(file)?)
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
