//! New files whose elements come piece by piece: one after the other, or each to its place.

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
    /// Writes the bytes of some elements, from `position` on, counted from the first element.
    pub(crate) fn write_at(&self, position: u64, bytes: &[u8]) -> Result<()> {
        let offset = self.layout.array.offset + position;
        sys::write_all_at(self.file, bytes, offset).map_err(|error| self.error(error))
    }

    /// Lets the kernel copy `source` of another file there. See [`sys::copy_range`]:
    /// `UnexpectedEof` means the other file.
    pub(crate) fn copy_at(&self, position: u64, from: &File, source: Range<u64>) -> io::Result<()> {
        let offset = self.layout.array.offset + position;
        sys::copy_range(from, source, self.file, offset, false)
    }

    /// The file, for starting the writeback of written bytes.
    pub(crate) fn file(&self) -> &File {
        self.file
    }

    /// The range of the file that has these bytes of the elements.
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

/// The elements of a new file as they come, in the order of the file.
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
/// No blocks are reserved ahead, because the number of elements is only claimed. All blocks exist
/// once the file is synced, because every byte is written.
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

/// Creates a file with the elements that `fill` writes, which replaces an old one.
pub(crate) fn create_filled(
    path: &Path,
    layout: Layout,
    options: &Options,
    fill: impl FnOnce(&mut Filler<'_>) -> Result<()>,
) -> Result<ArrayFile> {
    let fill = |place: &Place, file: &File, layout: &Layout| run(fill, place, file, layout);
    create::create(path, layout, Existing::replaced(options), options, fill)
}

/// As [`create_filled`], with the blocks reserved first, for callers that know the number of
/// elements.
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
