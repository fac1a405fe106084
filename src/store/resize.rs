//! Resize by rewrite: a new file with the old elements at their indices, which then takes the old
//! one's name.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::array::Array;
use super::file::ArrayFile;
use super::layout::Layout;
use super::place::{Existing, Place};
use super::tail::Tail;
use super::write::Writer;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::header::{BLOCK, Form};
use crate::mapping::Mapping;
use crate::shape::{self, Relayout, Segment};
use crate::sys::{self, FileId};

/// The kernel copies runs from this length on. It is cheaper to collect shorter runs in a buffer
/// than to copy each by a call.
const KERNEL_RUN: u64 = 64 << 10;

/// The bytes that are collected before they are written.
const BATCH: usize = 1 << 20;

impl ArrayFile {
    /// Gives the array another shape of the same rank. New elements have the bytes of `fill`.
    pub(super) fn resize(&mut self, new_shape: &[usize], fill: &[u8]) -> Result<()> {
        self.check_opener("resize")?;
        self.check_poison("resize")?;
        self.settle();
        self.check_trailing("resize")?;
        let shape = &self.array.shape;
        if new_shape.len() != shape.len() {
            return Err(self.context("resize").fail(ErrorKind::NdimMismatch {
                expected: new_shape.len(),
                found: shape.len(),
                shape: shape.clone(),
                remedy: "give a length for each axis".into(),
            }));
        }
        if new_shape == &shape[..] && !self.is_cut {
            // Another process may have given the array this shape without a sync.
            return self.secure("resize");
        }
        self.rewrite("resize", new_shape, fill, self.form())
    }

    /// Gives the file the header that this crate gives to new ones, unless it has it.
    pub(super) fn make_native(&mut self) -> Result<()> {
        let op = "rewrite";
        self.check_opener(op)?;
        self.check_poison(op)?;
        self.settle();
        self.check_trailing(op)?;
        let path = self.path.clone();
        let context = Context::new(&path, op);
        if self.array.raw {
            return Err(context.fail(ErrorKind::InvalidOption {
                reason: "a raw file has no header to be another one; `Store::create_from` makes an NPY file of its elements",
            }));
        }
        let Array {
            dtype,
            order,
            shape,
            ..
        } = self.array.clone();
        let layout = Layout::with_header(context, dtype, shape.clone(), order, Form::Native)?;
        if layout.header == self.read_header(context)? {
            return self.secure(op);
        }
        self.rewrite(op, &shape, &[], Form::Native)
    }

    /// What a rewritten file has for a header, if nothing else is asked for.
    pub(super) fn form(&self) -> Form {
        match self.array.offset.is_multiple_of(BLOCK as u64) {
            true => Form::Native,
            false => Form::Compact,
        }
    }

    /// Replaces the file by a whole new one, for a resize, or for a change of the header that has
    /// no room in place.
    pub(super) fn rewrite(
        &mut self,
        op: &'static str,
        new_shape: &[usize],
        fill: &[u8],
        form: Form,
    ) -> Result<()> {
        let path = self.path.clone();
        let context = Context::new(&path, op);
        let Array {
            dtype,
            order,
            offset,
            raw,
            ..
        } = self.array.clone();
        let new_shape = new_shape.to_vec();
        let layout = if raw {
            Layout::raw(context, dtype, new_shape, order, offset)?
        } else {
            Layout::with_header(context, dtype, new_shape, order, form)?
        };
        let place = Place::find(context, Existing::Replace)?;
        self.check_place(&place)?;
        let rewrite = Rewrite::new(self, &place, &layout, fill);
        let sparse = rewrite.sparse;
        let drafted = place.draft(&layout, self.locked, true, |_, file, _| rewrite.run(file));
        // A map may have shown zeros for bytes that the file lost, and the caller may have written
        // results of them.
        self.check_guard(context.op)?;
        let (file, mut name) = drafted?;
        let file = Arc::new(file);
        let renew = |map: &Mapping| {
            let Layout { array, nbytes, .. } = &layout;
            self.check_alignment(context.step("map"), array.offset, *nbytes)?;
            let renewed = map.renew(file.clone(), layout.array.offset, layout.nbytes);
            renewed.map_err(|error| context.step("map").not_mapped(error))
        };
        let map = self.map.as_ref().map(renew).transpose()?;
        // Copying may have taken hours.
        if !place.replace(self.file(), file.file(), &mut name)? {
            return Err(moved(context));
        }
        let synced = place.sync_directory();
        // From here on the store has the new file, whatever else fails. The old file is unmapped,
        // unlocked and closed.
        self.map = map;
        self.file = file;
        if !sparse {
            wait_until_freed(self.file(), &place);
        }
        self.reserved = 0;
        self.tail = Tail::Unmarked;
        self.is_cut = false;
        if !self.locked {
            self.file.release();
        }
        self.array = layout.array;
        match synced {
            Ok(()) => self.set_secured(),
            Err(_) => self.poison(),
        }
        synced
    }

    /// Checks that the path still names this store's file.
    fn check_place(&self, place: &Place) -> Result<()> {
        let context = place.context();
        let metadata = self.file().metadata();
        let names = metadata.and_then(|metadata| place.names(FileId::of(&metadata)));
        match names.map_err(|error| context.io(error))? {
            true => Ok(()),
            false => Err(moved(context)),
        }
    }
}

fn moved(context: Context<'_>) -> Error {
    context.fail(ErrorKind::Moved)
}

/// One rewrite, from the old file into the new one.
struct Rewrite<'a> {
    old: &'a ArrayFile,
    place: &'a Place,
    layout: &'a Layout,
    fill: &'a [u8],
    /// Whether the new file has holes: because the options ask for them, or because the old file
    /// has them.
    sparse: bool,
    /// Whether the new file may share the blocks of the old one.
    may_share: bool,
}

impl<'a> Rewrite<'a> {
    fn new(old: &'a ArrayFile, place: &'a Place, layout: &'a Layout, fill: &'a [u8]) -> Self {
        let file = old.file();
        let blocks = sys::blocks(file, old.extent());
        let sparse = old.sparse || blocks.as_ref().is_ok_and(|blocks| !blocks.allocated);
        // A second name, or a snapshot, would keep the blocks shared, and the first write could
        // then find the disk full.
        let one_name = file
            .metadata()
            .is_ok_and(|metadata| sys::names_of(&metadata) == 1);
        let may_share = sparse || one_name && blocks.is_ok_and(|blocks| !blocks.shared);
        Rewrite {
            old,
            place,
            layout,
            fill,
            sparse,
            may_share,
        }
    }

    /// Gives the empty `file` its blocks and all bytes except the header.
    fn run(&self, file: &File) -> Result<()> {
        let old = &self.old.array;
        let in_file = |array: &Array| shape::slowest_first(&array.shape, array.order);
        let relayout = Relayout::new(
            &in_file(old),
            &in_file(&self.layout.array),
            old.dtype.itemsize(),
        );
        let growth = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.old.truncated("resize"),
            _ => self.place.growth(error, self.layout.len()),
        };
        let same_place = self.layout.array.offset == old.offset;
        match relayout.prefix().filter(|_| self.may_share && same_place) {
            Some(kept) if self.clone_prefix(file, kept).map_err(growth)? => {
                let mut batch = Batch::new(file, old.offset + kept, self.fill, true, self.sparse);
                batch
                    .fill(self.layout.nbytes as u64 - kept)
                    .and_then(|()| batch.flush())
                    .map_err(growth)
            }
            _ => {
                if self.sparse {
                    // The copy looks for holes, and a dirty page may lie over bytes that the file
                    // system still takes for a hole.
                    self.old.flush()?;
                }
                let blank = self.place.reserve(file, self.layout, self.sparse)?;
                // Runs of one extent that land apart would keep the extent whole, each with a
                // second reference to it for good.
                let may_share = self.may_share && (self.sparse || !sys::on_btrfs(file));
                self.copy(file, relayout, blank, may_share).map_err(growth)
            }
        }
    }

    /// Lets `file` share the blocks of the old one, as far as its first `kept` bytes of data. Takes
    /// no time and no space, whatever the size. False if the file system cannot do it.
    ///
    /// The blocks are shared until this store closes the old file, which then goes: nobody else has
    /// it open, and it has no other name. The blocks then belong to the new file alone, and a write
    /// to it needs no space.
    fn clone_prefix(&self, file: &File, kept: u64) -> io::Result<bool> {
        let (kept_end, len) = (self.layout.array.offset + kept, self.layout.len());
        if !self.sparse {
            sys::write_in_place(file);
        }
        if !sys::clone_file(self.old.file(), file) {
            return Ok(false);
        }
        // Cut first, because the bytes behind the kept elements must read as zero, not as the bytes
        // of the old file.
        file.set_len(kept_end)?;
        if self.sparse {
            file.set_len(len)?;
        } else {
            // On xfs a clone has holes in place of blocks that nobody wrote to yet. Only these are
            // filled, because a call for the whole range would need space for all of it.
            let mut end = 0;
            for data in sys::data_ranges(file, 0..kept_end)? {
                sys::allocate(file, end..data.start)?;
                end = data.end;
            }
            sys::allocate(file, end..len)?;
        }
        Ok(true)
    }

    /// Writes the new array into `file`. If `blank`, the file reads as zero where nothing is
    /// written.
    fn copy(
        &self,
        file: &File,
        relayout: Relayout,
        blank: bool,
        may_share: bool,
    ) -> io::Result<()> {
        let (array, old_file) = (&self.old.array, self.old.file());
        if array.raw {
            self.copy_run(
                &mut Writer::new(file, 0),
                old_file,
                0..array.offset,
                may_share,
            )?;
        }
        let mut window = Window::new(old_file);
        let mut batch = Batch::new(
            file,
            self.layout.array.offset,
            self.fill,
            blank,
            self.sparse,
        );
        for segment in relayout {
            match segment {
                Segment::Copy { from, len } if len >= KERNEL_RUN => {
                    batch.flush()?;
                    let source = array.offset + from..array.offset + from + len;
                    self.copy_run(&mut batch.writer, old_file, source, may_share)?;
                }
                Segment::Copy { from, len } => {
                    batch.push(window.bytes(array.offset + from, len as usize)?)?
                }
                Segment::Fill { len } => batch.fill(len)?,
            }
        }
        batch.flush()
    }

    fn copy_run(
        &self,
        writer: &mut Writer<'_>,
        from: &File,
        source: Range<u64>,
        may_share: bool,
    ) -> io::Result<()> {
        if !self.sparse {
            return writer.copy(from, source, may_share);
        }
        let mut offset = source.start;
        for part in sys::data_ranges(from, source.clone())? {
            writer.skip(part.start - offset)?;
            offset = part.end;
            writer.copy(from, part, may_share)?;
        }
        writer.skip(source.end - offset)
    }
}

/// Waits, though not for long, until the kernel has freed the old file: while the blocks are
/// shared, a write to them takes space. xfs frees files in the background; asking for its free
/// space hurries it.
fn wait_until_freed(new: &File, place: &Place) {
    let shared = || sys::blocks(new, 0..u64::MAX).is_ok_and(|blocks| blocks.shared);
    for _ in 0..100 {
        if !shared() {
            return;
        }
        place.free_space();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// A part of the old file, from which small runs are taken from front to back.
struct Window<'a> {
    file: &'a File,
    bytes: Vec<u8>,
    start: u64,
    /// The number of bytes that are of the file.
    len: usize,
}

impl<'a> Window<'a> {
    fn new(file: &'a File) -> Window<'a> {
        Window {
            file,
            bytes: vec![0; KERNEL_RUN as usize],
            start: 0,
            len: 0,
        }
    }

    /// Fewer than [`KERNEL_RUN`] bytes of the file. `UnexpectedEof` if it has been cut.
    fn bytes(&mut self, start: u64, len: usize) -> io::Result<&[u8]> {
        if start < self.start || start + len as u64 > self.start + self.len as u64 {
            self.len = sys::read_at(self.file, &mut self.bytes, start)?;
            self.start = start;
        }
        let skip = (start - self.start) as usize;
        let found = self.bytes[..self.len].get(skip..skip + len);
        found.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Small pieces of the new file, collected and written in order.
struct Batch<'a> {
    writer: Writer<'a>,
    buffer: Vec<u8>,
    /// The bytes of many new elements in a row.
    pattern: Vec<u8>,
    /// Whether new elements are the bytes that the file reads as where nothing is written.
    blank: bool,
    /// Whether to write no zeros at all.
    sparse: bool,
}

impl<'a> Batch<'a> {
    fn new(file: &'a File, offset: u64, element: &[u8], blank: bool, sparse: bool) -> Batch<'a> {
        let repeats = (KERNEL_RUN as usize)
            .checked_div(element.len())
            .unwrap_or(0)
            .max(1);
        Batch {
            writer: Writer::new(file, offset),
            buffer: Vec::with_capacity(BATCH),
            pattern: element.repeat(repeats),
            blank: blank && element.iter().all(|&byte| byte == 0),
            sparse,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > BATCH {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends `len` bytes of new elements.
    fn fill(&mut self, mut len: u64) -> io::Result<()> {
        if self.blank && len >= KERNEL_RUN {
            self.flush()?;
            return self.writer.skip(len);
        }
        let pattern = std::mem::take(&mut self.pattern);
        while len > 0 {
            let part = &pattern[..len.min(pattern.len() as u64) as usize];
            self.push(part)?;
            len -= part.len() as u64;
        }
        self.pattern = pattern;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.sparse && self.buffer.iter().all(|&byte| byte == 0) {
            self.writer.skip(self.buffer.len() as u64)?;
        } else {
            self.writer.write(&self.buffer)?;
        }
        self.buffer.clear();
        Ok(())
    }
}
