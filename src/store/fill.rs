//! New files whose elements come in piece by piece: one after the other, or each where it belongs.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::create::{self, Existing, Layout, Place};
use super::file::{Array, ArrayFile};
use super::options::Options;
use super::write::Writer;
use crate::dtype::DType;
use crate::error::{Context, Error, Result};
use crate::mapping::Pages;
use crate::shape::Order;
use crate::sys;

/// The elements of a new file, in the order of the file, as they come in.
pub(crate) struct Filler<'a> {
    place: &'a Place,
    layout: &'a Layout,
    writer: Writer<'a>,
}

impl Filler<'_> {
    /// Appends the bytes of some elements.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer
            .write(bytes)
            .map_err(|error| self.place.growth(error, self.layout.len()))
    }
}

/// Runs `fill` on the empty `file`, and makes it as long as the layout.
///
/// No blocks are reserved ahead: how many it will be is only what somebody claims. They are there once the file is synced,
/// for all of them are written.
pub(super) fn run(
    fill: impl FnOnce(&mut Filler<'_>) -> Result<()>,
    place: &Place,
    file: &File,
    layout: &Layout,
) -> Result<()> {
    let growth = |error| place.growth(error, layout.len());
    place.check_room(layout.len()).map_err(growth)?;
    sys::write_in_place(file);
    let writer = Writer::new(file, layout.array.offset);
    fill(&mut Filler {
        place,
        layout,
        writer,
    })?;
    file.set_len(layout.len()).map_err(growth)
}

/// Creates a file with the elements that `fill` writes, in place of an old one. `check` decides whether the array will do
/// before anything is made.
pub(crate) fn create_filled(
    path: &Path,
    dtype: DType,
    shape: Vec<usize>,
    order: Order,
    options: &Options,
    check: impl FnOnce(Context<'_>, &Array) -> Result<()>,
    fill: impl FnOnce(&mut Filler<'_>) -> Result<()>,
) -> Result<ArrayFile> {
    let context = Context::new(path, "create");
    let layout = Layout::new(context, dtype, shape, order, options)?;
    check(context, &layout.array)?;
    let fill = |place: &Place, file: &File, layout: &Layout| run(fill, place, file, layout);
    create::create(path, layout, Existing::Replace, options, fill)
}

/// The elements of a new file whose blocks are there already, to be written in any order, by several threads.
pub(crate) struct Target<'a> {
    place: &'a Place,
    file: &'a File,
    layout: &'a Layout,
}

impl Target<'_> {
    /// Writes the bytes of some elements, the first of which lies `position` bytes behind the first of all.
    pub(crate) fn write_at(&self, position: u64, bytes: &[u8]) -> Result<()> {
        let offset = self.layout.array.offset + position;
        sys::write_all_at(self.file, bytes, offset).map_err(|error| self.error(error))
    }

    /// Lets the kernel copy `source` of another file there. See [`sys::copy_range`]: `UnexpectedEof` is of the other file.
    pub(crate) fn copy_at(&self, position: u64, from: &File, source: Range<u64>) -> io::Result<()> {
        let offset = self.layout.array.offset + position;
        sys::copy_range(from, source, self.file, offset, false)
    }

    /// What was written, for its way to the disk.
    pub(crate) fn pages(&self) -> Pages<'_> {
        Pages::unmapped(self.file, self.layout.array.offset)
    }

    pub(crate) fn error(&self, error: io::Error) -> Error {
        self.place.growth(error, self.layout.len())
    }
}

/// As [`create_filled`], with the blocks reserved first, for who writes the elements in another order than that of the file.
pub(crate) fn create_reserved(
    path: &Path,
    dtype: DType,
    shape: Vec<usize>,
    order: Order,
    options: &Options,
    check: impl FnOnce(Context<'_>, &Array) -> Result<()>,
    fill: impl FnOnce(&Target<'_>) -> Result<()>,
) -> Result<ArrayFile> {
    let context = Context::new(path, "create");
    let layout = Layout::new(context, dtype, shape, order, options)?;
    check(context, &layout.array)?;
    let fill = |place: &Place, file: &File, layout: &Layout| {
        place.reserve(file, layout, options.sparse)?;
        fill(&Target {
            place,
            file,
            layout,
        })?;
        let len = file.set_len(layout.len());
        len.map_err(|error| place.growth(error, layout.len()))
    };
    create::create(path, layout, Existing::Replace, options, fill)
}
