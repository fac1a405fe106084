//! The header of an open file: reads it, changes it in place, and makes sure of it.
//!
//! A header that was read need not be on the disk, nor need the name by which the file was opened.
//! Its writer may have died before the sync, or may have been the only one to learn that the sync
//! failed: then the page with the header is clean, no later sync writes it, and a power cut undoes
//! it. So a store that opened its file writes the header again and syncs file and directory, once,
//! before it cuts anything off behind that header or reports `Ok` about the file.
//!
//! No file system tells whether a name is durable, so one more sync is the test. Readers do none of
//! this, nor does a store that made its file itself.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use super::file::ArrayFile;
use super::mode::Opened;
use super::tail::Tail;
use crate::error::{Context, ErrorKind, Result};
use crate::header;
use crate::shape;
use crate::sys;

/// The change of a header when the shape changes.
pub(super) enum NewHeader {
    /// The file has no header: its length states the number of rows.
    None,
    /// The bytes that change lie in one sector.
    InPlace(header::Change),
    /// The header has no room, so the whole file is rewritten.
    Rewrite,
}

impl ArrayFile {
    /// The bytes of the file before the array.
    pub(super) fn read_header(&self, context: Context<'_>) -> Result<Vec<u8>> {
        self.header_bytes().map_err(|error| context.io(error))
    }

    fn header_bytes(&self) -> io::Result<Vec<u8>> {
        let mut header = vec![0; self.array.offset as usize];
        let read = sys::read_at(self.file(), &mut header, 0)?;
        header.truncate(read);
        Ok(header)
    }

    /// Whether the header marks the bytes behind the array as rows of an append that was never
    /// published.
    pub(super) fn is_marked(&self, context: Context<'_>) -> Result<bool> {
        Ok(self.mark(context)?.is_some_and(|mark| mark.is_set))
    }

    /// The mark of the header, if it can have one.
    fn mark(&self, context: Context<'_>) -> Result<Option<header::Mark>> {
        match self.array.raw {
            true => Ok(None),
            false => Ok(header::Mark::find(&self.read_header(context)?)),
        }
    }

    /// Marks the bytes to be written behind the array as unpublished rows, durably. A store does so
    /// once: the mark stays until it is closed. Returns whether another process had left a mark.
    pub(super) fn mark_tail(&mut self, op: &'static str) -> Result<bool> {
        if self.tail != Tail::Unmarked {
            return Ok(false);
        }
        let Some(mark) = self.mark(self.context(op))? else {
            self.tail = Tail::Unmarkable;
            return Ok(false);
        };
        // A mark that is found set need not be on the disk either.
        if !mark.is_set {
            let written = self.overwrite(&[header::Mark::byte(true)], mark.offset);
            let free = || sys::free_space(&self.path);
            written.map_err(|error| self.context(op).growth(error, 1, free()))?;
        }
        // Mark before rows: without it they would be taken for somebody else's.
        self.write_step(op, || match self.is_inherited() {
            true => self.take_over(),
            false => sys::sync_data(self.file()),
        })?;
        self.tail = Tail::Marked;
        Ok(mark.is_set)
    }

    /// Takes the mark off, if a power cut cannot bring bytes behind the array back. If this fails
    /// the next append finds the mark set and nothing to cut off.
    pub(super) fn unmark_tail(&mut self) {
        let is_clean =
            self.tail == Tail::Marked && self.file.is_ours() && self.check_poison("close").is_ok();
        if is_clean && let Ok(Some(mark)) = self.mark(self.context("close")) {
            let _ = self.overwrite(&[header::Mark::byte(false)], mark.offset);
            self.tail = Tail::Unmarked;
        }
    }

    /// The change of the header to this shape, in place if it has room.
    pub(super) fn header_with(&self, context: Context<'_>, shape: &[usize]) -> Result<NewHeader> {
        if self.array.raw {
            return Ok(NewHeader::None);
        }
        let wide = shape::wide(shape);
        let header = header::with_shape(&self.read_header(context)?, self.array.order, &wide);
        let header = header.map_err(|cause| context.fail(ErrorKind::Header { cause }))?;
        Ok(header.map_or(NewHeader::Rewrite, NewHeader::InPlace))
    }

    /// Writes the header that names the shape of the map, durably.
    pub(super) fn write_header(&mut self, context: Context<'_>, header: NewHeader) -> Result<()> {
        match header {
            NewHeader::None => self.secure_name(context)?,
            NewHeader::InPlace(header) => {
                // The name first, because a failure then leaves the array as it was.
                self.secure_name(context)?;
                self.rewrite_inherited()
                    .and_then(|()| self.overwrite(&header.bytes, header.offset))
                    .and_then(|()| sys::sync_data(self.file()))
                    .map_err(|error| self.poisoned_by(context, error))?;
            }
            NewHeader::Rewrite => {
                let shape = self.array.shape.clone();
                return self.rewrite("resize", &shape, &[], self.form());
            }
        }
        self.set_secured();
        Ok(())
    }

    /// Writes bytes of the header. By `pwrite`, never through a map, so that the changed sector
    /// goes to the disk as one. A change writes only the bytes that change, because others read the
    /// header meanwhile.
    fn overwrite(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // Past the limit the kernel would send SIGXFSZ, although the file is that long already.
        if sys::file_size_limit().is_some_and(|limit| limit < offset + bytes.len() as u64) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        sys::write_all_at(self.file(), bytes, offset)
    }

    /// Whether header and name are still those that another process left. Changes under the lock of
    /// the poison, or while the store is borrowed exclusively.
    pub(super) fn is_inherited(&self) -> bool {
        self.inherited.load(Relaxed)
    }

    /// Records that the disk has the header and the name.
    pub(super) fn set_secured(&self) {
        self.inherited.store(false, Relaxed);
    }

    /// Makes sure that the disk has the header and the name by which the file was opened.
    pub(super) fn secure(&self, op: &'static str) -> Result<()> {
        self.write_step(op, || match self.is_inherited() {
            true => self.take_over(),
            false => Ok(()),
        })
    }

    /// Writes the header again and syncs everything: header, elements, name. A part of a
    /// [step](ArrayFile::write_step).
    pub(super) fn take_over(&self) -> io::Result<()> {
        self.rewrite_inherited()?;
        self.sync_elements()?;
        sys::sync_name(&self.path, self.file())?;
        self.set_secured();
        Ok(())
    }

    /// Writes an inherited header again as it was read, because an earlier write that failed may
    /// have reached the disk in part.
    fn rewrite_inherited(&self) -> io::Result<()> {
        // Only the header of a whole file ever changes in place. A forked child leaves it to its
        // parent, which may be writing another one, and openers beside an appender leave it to the
        // appender.
        let is_its_own = matches!(self.opened, Opened::Alone | Opened::Append);
        let changes = is_its_own && self.is_whole && !self.array.raw && self.file.is_ours();
        match changes && self.is_inherited() {
            true => self.overwrite(&self.header_bytes()?, 0),
            false => Ok(()),
        }
    }

    /// Makes sure of the name alone, because the header is about to be written.
    fn secure_name(&self, context: Context<'_>) -> Result<()> {
        if !self.is_inherited() {
            return Ok(());
        }
        let synced = sys::sync_name(&self.path, self.file());
        synced.map_err(|error| self.poisoned_by(context.step("sync the directory of"), error))
    }
}
