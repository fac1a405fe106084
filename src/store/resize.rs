//! Resize by rewrite: a new file with the old elements at their indices, which then takes the old one's name.

use std::fs::File;
use std::io;

use super::create::{Layout, Place};
use super::file::{Array, ArrayFile};
use super::write::Writer;
use crate::error::{Context, Error, Result};
use crate::header::{BLOCK, Form};
use crate::shape::{self, Relayout, Segment};
use crate::sys::{self, FileId};

/// From here on the kernel copies a run; shorter ones are cheaper gathered in a buffer than copied one call each.
const KERNEL_RUN: u64 = 64 << 10;

/// How many bytes are gathered before they are written.
const GATHER: usize = 1 << 20;

impl ArrayFile {
    /// Gives the array another shape of the same rank. New elements have the bytes of `fill`.
    pub(super) fn resize(&mut self, new_shape: &[usize], fill: &[u8]) -> Result<()> {
        self.check_poison("resize")?;
        let path = self.path.clone();
        let context = Context::new(&path, "resize");
        let Array {
            dtype,
            order,
            shape,
            offset,
            raw,
        } = self.array.clone();
        if new_shape.len() != shape.len() {
            let (expected, found) = (new_shape.len(), shape.len());
            return Err(Error::NdimMismatch {
                path: context.path(),
                op: context.op,
                expected,
                found,
                shape,
            });
        }
        if new_shape == shape {
            return Ok(());
        }
        let new_shape = new_shape.to_vec();
        let layout = if raw {
            Layout::raw(context, dtype, new_shape, order, offset)?
        } else {
            let form = if offset.is_multiple_of(BLOCK as u64) {
                Form::Native
            } else {
                Form::Compact
            };
            Layout::with_header(context, dtype, new_shape, order, form)?
        };
        let place = Place::find(context)?;
        self.check_place(&place)?;
        let rewrite = Rewrite {
            old: self,
            place: &place,
            layout: &layout,
            fill,
        };
        let (mapping, name) =
            place.draft(&layout, self.locked, true, |_, file, _| rewrite.run(file))?;
        // Again, for copying may have taken hours.
        self.check_place(&place)?;
        place.replace(self.mapping.file(), &mapping, name)?;
        let synced = place.sync_directory();
        // From here on the store is on the new file, whatever else fails. The old map goes: unmapped, unlocked, closed.
        self.mapping = mapping;
        settle(self.mapping.file(), &place);
        if !self.locked {
            self.mapping.release_lock();
        }
        self.array = layout.array;
        if synced.is_err() {
            self.poison();
        }
        synced
    }

    /// Checks that the path still names this store's file.
    fn check_place(&self, place: &Place<'_>) -> Result<()> {
        let context = self.context("resize");
        let names = || sys::names(place.target(), FileId::of(&self.mapping.file().metadata()?));
        match names().map_err(|error| context.io(error))? {
            true => Ok(()),
            false => Err(Error::Moved {
                path: context.path(),
                op: context.op,
            }),
        }
    }
}

/// One rewrite, from the map of the old file into the new one.
struct Rewrite<'a> {
    old: &'a ArrayFile,
    place: &'a Place<'a>,
    layout: &'a Layout,
    fill: &'a [u8],
}

impl Rewrite<'_> {
    /// Gives the empty `file` its blocks and all bytes but the header's.
    fn run(&self, file: &File) -> Result<()> {
        let old = &self.old.array;
        let in_file = |array: &Array| shape::slowest_first(&array.shape, array.order);
        let relayout = Relayout::new(
            &in_file(old),
            &in_file(&self.layout.array),
            old.dtype.itemsize(),
        );
        let may_share = self.old.sparse || is_sole_owner(self.old.mapping.file());
        let growth = |error| self.place.growth(error, self.layout);
        match relayout
            .prefix()
            .filter(|_| may_share && self.layout.array.offset == old.offset)
        {
            Some(kept) if self.clone_prefix(file, kept).map_err(growth)? => {
                let mut gather = Gather::new(file, old.offset + kept, self.fill, self.old.sparse);
                gather
                    .fill(self.layout.nbytes as u64 - kept)
                    .and_then(|()| gather.flush())
                    .map_err(growth)
            }
            _ => {
                self.place.reserve(file, self.layout, self.old.sparse)?;
                // Runs of one extent that land apart would keep it whole, and each a second reference to it for ever.
                let may_share = may_share && (self.old.sparse || !sys::copies_on_write(file));
                self.copy(file, relayout, may_share).map_err(growth)
            }
        }
    }

    /// Lets `file` share the blocks of the old one, as far as its first `kept` bytes of data. Takes no time and no room,
    /// whatever the size. False where the file system cannot do it.
    ///
    /// The blocks are shared until the old file goes, which is when this store closes it: nobody else has it open, and it
    /// has no other name. Then they belong to the new file alone, and a write to it needs no room.
    fn clone_prefix(&self, file: &File, kept: u64) -> io::Result<bool> {
        let (kept_end, len) = (self.layout.array.offset + kept, self.layout.len());
        if !self.old.sparse {
            sys::write_in_place(file);
        }
        if !sys::clone_file(self.old.mapping.file(), file) {
            return Ok(false);
        }
        // Cut first: what is behind the kept elements must read as zero, not as what the old file has there.
        file.set_len(kept_end)?;
        if self.old.sparse {
            file.set_len(len)?;
        } else {
            // Blocks that nobody wrote to yet are no part of a clone on xfs, which leaves holes. Only these are filled, for
            // a call for the whole range would have to find room for all of it.
            let mut end = 0;
            for data in sys::data_ranges(file, 0..kept_end)? {
                sys::allocate(file, end..data.start)?;
                end = data.end;
            }
            sys::allocate(file, end..len)?;
        }
        Ok(true)
    }

    fn copy(&self, file: &File, relayout: Relayout, may_share: bool) -> io::Result<()> {
        let ArrayFile {
            mapping,
            array,
            sparse,
            ..
        } = self.old;
        let (old_file, bytes) = (mapping.file(), mapping.as_bytes());
        if *sparse {
            // Holes are looked for below, and a dirty page may lie over one that the file system still has for a hole.
            mapping.flush()?;
        }
        if array.raw {
            self.copy_run(old_file, 0..array.offset, file, 0, may_share)?;
        }
        // The old map is read once, from front to back, and then goes.
        mapping.advise(crate::mapping::Advice::Sequential)?;
        let mut gather = Gather::new(file, self.layout.array.offset, self.fill, *sparse);
        for segment in relayout {
            match segment {
                Segment::Copy { from, len } if len >= KERNEL_RUN => {
                    gather.flush()?;
                    let source = array.offset + from..array.offset + from + len;
                    self.copy_run(old_file, source, file, gather.writer.offset(), may_share)?;
                    gather.writer.skip(len);
                }
                Segment::Copy { from, len } => {
                    gather.push(&bytes[from as usize..][..len as usize])?
                }
                Segment::Fill { len } => gather.fill(len)?,
            }
        }
        gather.flush()
    }

    fn copy_run(
        &self,
        from: &File,
        source: std::ops::Range<u64>,
        to: &File,
        target: u64,
        may_share: bool,
    ) -> io::Result<()> {
        let parts = if self.old.sparse {
            sys::data_ranges(from, source.clone())?
        } else {
            vec![source.clone()]
        };
        for part in parts {
            let target = target + (part.start - source.start);
            sys::copy_range(from, part, to, target, may_share)?;
        }
        Ok(())
    }
}

/// Whether the blocks of the file are nobody else's: it has one name, and no snapshot shares them. Sharing them with a new
/// file would else last, and the first write to each could find the disk full.
fn is_sole_owner(file: &File) -> bool {
    sys::has_one_name(file) && sys::blocks(file, 0..u64::MAX).is_ok_and(|blocks| !blocks.shared)
}

/// Waits, though not for long, until the kernel has freed the old file: while the blocks are shared, a write to them takes
/// room. xfs frees files in the background; to be asked for its free space hurries it.
fn settle(new: &File, place: &Place<'_>) {
    let shared = || sys::blocks(new, 0..u64::MAX).is_ok_and(|blocks| blocks.shared);
    for _ in 0..100 {
        if !shared() {
            return;
        }
        sys::free_space(place.target());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Small pieces of the new file, gathered and written in order.
struct Gather<'a> {
    writer: Writer<'a>,
    buffer: Vec<u8>,
    /// The bytes of new elements, many of them in a row.
    pattern: Vec<u8>,
    /// Whether the pattern is zero, as is all of the new file that nobody wrote to.
    zero: bool,
    /// Whether to write no zeros at all.
    sparse: bool,
}

impl<'a> Gather<'a> {
    fn new(file: &'a File, offset: u64, element: &[u8], sparse: bool) -> Gather<'a> {
        let repeats = (KERNEL_RUN as usize)
            .checked_div(element.len())
            .unwrap_or(0)
            .max(1);
        Gather {
            writer: Writer::new(file, offset),
            buffer: Vec::with_capacity(GATHER),
            pattern: element.repeat(repeats),
            zero: element.iter().all(|&byte| byte == 0),
            sparse,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > GATHER {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends `len` bytes of new elements.
    fn fill(&mut self, mut len: u64) -> io::Result<()> {
        if self.zero && len >= KERNEL_RUN {
            self.flush()?;
            self.writer.skip(len);
            return Ok(());
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
            self.writer.skip(self.buffer.len() as u64);
        } else {
            self.writer.write(&self.buffer)?;
        }
        self.buffer.clear();
        Ok(())
    }
}
