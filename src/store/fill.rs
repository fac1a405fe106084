//! New files whose elements come in piece by piece: one after the other, or each where it belongs.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::create;
use super::file::ArrayFile;
use super::layout::Layout;
use super::options::Options;
use super::place::{Existing, Place};
use super::write::Writer;
use crate::error::{Error, Result};
use crate::sys;

/// A new file, whose elements may be written in any order and by several threads.
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

    /// The file, for what was written to get on its way to the disk.
    pub(crate) fn file(&self) -> &File {
        self.file
    }

    /// Where in the file these bytes of the elements are.
    pub(crate) fn in_file(&self, bytes: Range<usize>) -> Range<u64> {
        self.layout.array.in_file(bytes)
    }

    pub(crate) fn error(&self, error: io::Error) -> Error {
        self.place.growth(error, self.layout.len())
    }

    /// Makes the file as long as the layout, whatever was written.
    fn end(&self) -> Result<()> {
        let len = self.file.set_len(self.layout.len());
        len.map_err(|error| self.error(error))
    }
}

/// The elements of a new file, in the order of the file, as they come in.
pub(crate) struct Filler<'a> {
    target: Target<'a>,
    writer: Writer<'a>,
}

impl Filler<'_> {
    /// Appends the bytes of some elements.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.writer.write(bytes);
        written.map_err(|error| self.target.error(error))
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
    let target = Target {
        place,
        file,
        layout,
    };
    let room = place.check_room(layout.len());
    room.map_err(|error| target.error(error))?;
    sys::write_in_place(file);
    let writer = Writer::new(file, layout.array.offset);
    let mut filler = Filler { target, writer };
    fill(&mut filler)?;
    filler.target.end()
}

/// Creates a file with the elements that `fill` writes, in place of an old one.
pub(crate) fn create_filled(
    path: &Path,
    layout: Layout,
    options: &Options,
    fill: impl FnOnce(&mut Filler<'_>) -> Result<()>,
) -> Result<ArrayFile> {
    let fill = |place: &Place, file: &File, layout: &Layout| run(fill, place, file, layout);
    create::create(path, layout, Existing::replaced(options), options, fill)
}

/// As [`create_filled`], with the blocks reserved first, for who knows that there will be as many elements.
pub(crate) fn create_reserved<E: From<Error>>(
    path: &Path,
    layout: Layout,
    options: &Options,
    fill: impl FnOnce(&Target<'_>) -> Result<(), E>,
) -> Result<ArrayFile, E> {
    let fill = |place: &Place, file: &File, layout: &Layout| {
        place.reserve(file, layout, options.sparse)?;
        let target = Target {
            place,
            file,
            layout,
        };
        fill(&target)?;
        Ok(target.end()?)
    };
    create::create(path, layout, Existing::replaced(options), options, fill)
}
