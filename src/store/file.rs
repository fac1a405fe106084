//! `ArrayFile`: an open array whose dtype and rank are values, not types. Both faces of a store
//! stand on it.

use std::fmt;
use std::fs::File;
use std::ops::{Range, RangeBounds};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::array::Array;
use super::mode::{Mode, Opened};
use super::options::Options;
use super::tail::Tail;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::mapping::{Access, Advice, Mapping};
use crate::shape::{self};
use crate::sys::{self, Guard, LockedFile};

/// An array in a file.
///
/// If there is a map it holds exactly the elements of `array`. Whoever changes one of them keeps it
/// so.
pub(crate) struct ArrayFile {
    /// There is one if somebody promised what it takes (see [`Mapping`]): in a `Mapped` and a
    /// `CopyOnWrite`, never in a store that is given away by value or can be borrowed mutably.
    pub(super) map: Option<Mapping>,
    /// What the elements in the map, once there are any, are a multiple of: by `check_alignment`.
    pub(super) map_align: usize,
    pub(super) file: Arc<LockedFile>,
    pub(crate) array: Array,
    /// Whether `path` names the file of this array and of no other: not in an archive, nor unpacked
    /// from one.
    pub(super) is_whole: bool,
    /// Absolute, as of opening: a later change of directory does not matter.
    pub(super) path: PathBuf,
    pub(crate) access: Access,
    /// What it has of the file besides.
    pub(super) opened: Opened,
    pub(super) locked: bool,
    /// Whether a rewrite leaves holes.
    pub(super) sparse: bool,
    /// Whether what stands behind the array may be dropped.
    pub(super) drop_trailing: bool,
    /// Whether what stands behind the array of a raw file is none of its rows.
    pub(super) allow_trailing: bool,
    /// Whether rows that the file has not are left out.
    pub(super) allow_truncated: bool,
    /// Whether the header names more rows than `array` has, because the file was cut.
    pub(super) is_cut: bool,
    /// Whether the header says whose the bytes behind the array are.
    pub(super) tail: Tail,
    /// Bytes of rows behind the array that no header names yet.
    pub(super) unpublished: u64,
    /// Up to here blocks were reserved, or 0.
    pub(super) reserved: u64,
    /// Whether header and name are as somebody else left them, so that the disk need not have them.
    pub(super) inherited: AtomicBool,
    poison: Poison,
}

/// How many bytes are read at a time where they all pass: few enough to stay in the processor's
/// cache.
const PIECE: usize = 256 << 10;

/// Whether a write to the disk failed. Held while one is under way: the kernel tells only one of
/// two threads that sync.
#[derive(Default)]
struct Poison(Mutex<bool>);

impl Poison {
    fn lock(&self) -> MutexGuard<'_, bool> {
        // Nothing panics while it is held, and a flag cannot be half set.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArrayFile {
    pub(super) fn new(
        file: LockedFile,
        array: Array,
        path: PathBuf,
        opened: Opened,
        options: &Options,
    ) -> ArrayFile {
        ArrayFile {
            map: None,
            map_align: 1,
            file: Arc::new(file),
            array,
            is_whole: true,
            path,
            access: opened.access(),
            opened,
            locked: options.lock.is_some(),
            sparse: options.sparse,
            drop_trailing: options.drop_trailing,
            allow_trailing: options.allow_trailing,
            allow_truncated: options.allow_truncated,
            is_cut: false,
            tail: Tail::Unmarked,
            unpublished: 0,
            reserved: 0,
            inherited: AtomicBool::new(true),
            poison: Poison::default(),
        }
    }

    /// What both faces of a store show of it for debugging.
    pub(super) fn describe(&self, face: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(face)
            .field("path", &self.path)
            .field("dtype", &self.array.dtype)
            .field("shape", &self.array.shape)
            .field("order", &self.array.order)
            .field("mode", &Mode::from(self.access))
            .finish()
    }

    pub(crate) fn context(&self, op: &'static str) -> Context<'_> {
        Context::new(&self.path, op)
    }

    /// The file, to be read and written past any map.
    pub(crate) fn file(&self) -> &File {
        self.file.file()
    }

    /// The mapped bytes: all elements, if there is a map.
    pub(super) fn mapped_bytes(&self) -> &[u8] {
        self.map.as_ref().map_or(&[], Mapping::as_bytes)
    }

    /// The elements of a copy-on-write array, whose changes are in its map alone. `None` for any
    /// other.
    pub(crate) fn private_bytes(&self) -> Option<&[u8]> {
        (self.access == Access::CopyOnWrite).then(|| self.mapped_bytes())
    }

    /// Gives up the map.
    pub(super) fn unmap(&mut self) {
        if self.access.writes_file() && self.check_guard("unmap").is_err() {
            // What was written by way of it is lost.
            self.poison();
        }
        self.map = None;
        self.map_align = 1;
    }

    /// Reads bytes of the elements, from `position` bytes behind the first of all.
    pub(crate) fn read_at(&self, op: &'static str, position: usize, into: &mut [u8]) -> Result<()> {
        let bytes = position..position + into.len();
        if let Some(private) = self.private_bytes() {
            into.copy_from_slice(&private[bytes]);
            return self.check_guard(op);
        }
        let range = self.array.in_file(bytes);
        let read = sys::read_at(self.file(), into, range.start);
        match read.map_err(|error| self.context(op).io(error))? < into.len() {
            true => Err(self.truncated(op)),
            false => Ok(()),
        }
    }

    /// Passes on all bytes of the elements, piece by piece.
    pub(crate) fn for_each_piece(
        &self,
        op: &'static str,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let nbytes = self.array.nbytes();
        let mut buffer = vec![0; nbytes.min(PIECE)];
        for start in (0..nbytes).step_by(PIECE) {
            let piece = &mut buffer[..PIECE.min(nbytes - start)];
            self.read_at(op, start, piece)?;
            each(piece)?;
        }
        Ok(())
    }

    /// Refuses further writes: what the disk holds is not known any more.
    pub(crate) fn poison(&self) {
        *self.poison.lock() = true;
    }

    /// Overwrites bytes of the elements, the first of which lies `position` bytes behind the first
    /// of all. To be called by whoever has the store exclusively.
    ///
    /// A file that is cut is refused: to write behind its end would make it look whole.
    pub(crate) fn write_at(&self, op: &'static str, position: u64, bytes: &[u8]) -> Result<()> {
        self.check_poison(op)?;
        if self.file_len(op)? < self.extent().end {
            return Err(self.truncated(op));
        }
        let written = sys::write_all_at(self.file(), bytes, self.array.offset + position);
        let free = || sys::free_space(&self.path);
        written.map_err(|error| self.context(op).growth(error, bytes.len() as u64, free()))
    }

    fn guarding(&self) -> Option<&Guard> {
        self.map.as_ref()?.guarding()
    }

    pub(super) fn is_guarded(&self) -> bool {
        self.guarding().is_some()
    }

    /// Refuses to go on with a store whose guard found it faulted, or that is cut. Asks nothing of
    /// a store without a guard.
    pub(crate) fn check_guard(&self, op: &'static str) -> Result<()> {
        match self.is_guarded() {
            true => self.check_faults(op),
            false => Ok(()),
        }
    }

    /// Refuses a store whose views showed zeros that are not in the file. One that is found to be
    /// cut, also within a page, where there is no fault to tell, counts as faulted for ever if it
    /// has a guard.
    pub(crate) fn check_faults(&self, op: &'static str) -> Result<()> {
        let (found, expected) = (self.file_len(op)?, self.extent().end);
        if let (Some(guard), true) = (self.guarding(), found < expected) {
            guard.mark();
        }
        match found < expected || self.guarding().is_some_and(Guard::has_faulted) {
            true => Err(self
                .context(op)
                .fail(ErrorKind::Faulted { expected, found })),
            false => Ok(()),
        }
    }

    /// Says that the file ends before the array.
    pub(crate) fn truncated(&self, op: &'static str) -> Error {
        let truncated = |found| {
            self.context(op).fail(ErrorKind::Truncated {
                expected: self.extent().end,
                found,
            })
        };
        self.file_len(op).map_or_else(|error| error, truncated)
    }

    pub(super) fn file_len(&self, op: &'static str) -> Result<u64> {
        let metadata = self.file().metadata();
        Ok(metadata.map_err(|error| self.context(op).io(error))?.len())
    }

    /// Runs `read`, which reads the map, and refuses what it returns if the map faulted.
    pub(super) fn guarded<R>(&self, read: impl FnOnce() -> R) -> Result<R> {
        if !self.is_guarded() {
            return Err(self.context("read").fail(ErrorKind::InvalidOption {
                reason: "its map has no guard; map it with `MapOptions::guard`",
            }));
        }
        self.check_faults("read")?;
        // Everything in it is computed before the mark is looked at.
        let result = std::hint::black_box(read());
        self.check_faults("read")?;
        Ok(result)
    }

    pub(super) fn check_poison(&self, op: &'static str) -> Result<()> {
        self.check_guard(op)?;
        match *self.poison.lock() {
            true => Err(self.poison_error(op)),
            false => Ok(()),
        }
    }

    /// Refuses to change the length of the file, its blocks, or what has its name, in a process
    /// that was forked from the one that opened it: each of the two would go by a shape that the
    /// other one has changed.
    pub(super) fn check_opener(&self, op: &'static str) -> Result<()> {
        match self.file.is_ours() {
            true => Ok(()),
            false => Err(self.context(op).forked()),
        }
    }

    /// Refuses to acknowledge what was written to a file that no name leads to any more: it goes
    /// with this store.
    pub(super) fn check_has_name(&self, op: &'static str) -> Result<()> {
        let metadata = self.file().metadata();
        let metadata = metadata.map_err(|error| self.context(op).io(error))?;
        // Some file systems in user space count no names at all.
        let is_named = || sys::names(&self.path, sys::FileId::of(&metadata)).unwrap_or(false);
        // An array in an archive, or one that was unpacked, is no file of its own.
        let is_its_own = self.is_whole || self.opened == Opened::Rows;
        match is_its_own && sys::names_of(&metadata) == 0 && !is_named() {
            true => Err(self.context(op).fail(ErrorKind::Removed)),
            false => Ok(()),
        }
    }

    fn poison_error(&self, op: &'static str) -> Error {
        self.context(op).fail(ErrorKind::Poisoned)
    }

    /// Runs a step that writes to the disk. The kernel reports a lost write once, so its failure
    /// poisons the store.
    pub(super) fn write_step(
        &self,
        op: &'static str,
        step: impl FnOnce() -> std::io::Result<()>,
    ) -> Result<()> {
        self.check_guard(op)?;
        let mut poisoned = self.poison.lock();
        if *poisoned {
            return Err(self.poison_error(op));
        }
        if !self.access.writes_file() {
            return Ok(());
        }
        step().map_err(|error| {
            *poisoned = true;
            self.context(op).io(error)
        })
    }

    pub(super) fn flush(&self) -> Result<()> {
        self.flush_part(|| self.sync_elements())
    }

    /// Flushes, and drops what stands behind the array before that, so that the disk knows of it.
    pub(super) fn close(mut self) -> Result<()> {
        if self.unpublished > 0 {
            self.drop_rows();
        }
        self.flush()?;
        self.tail.note_sync();
        Ok(())
    }

    /// Waits until the disk has all elements.
    pub(super) fn sync_elements(&self) -> std::io::Result<()> {
        match &self.map {
            Some(map) => map.flush(),
            None => sys::sync_data(self.file()),
        }
    }

    /// Syncs by way of `flush`, or all there is if nothing was ever synced by this store.
    fn flush_part(&self, flush: impl FnOnce() -> std::io::Result<()>) -> Result<()> {
        self.write_step("flush", || match self.is_inherited() {
            true => self.take_over(),
            false => flush(),
        })?;
        match self.access.writes_file() {
            true => self.check_has_name("flush"),
            false => Ok(()),
        }
    }

    pub(super) fn flush_async(&self) -> Result<()> {
        self.write_step("flush", || match &self.map {
            Some(map) => map.flush_async(),
            None => sys::start_writeback(self.file(), self.extent()),
        })
    }

    pub(super) fn flush_rows(&self, range: impl RangeBounds<usize>) -> Result<()> {
        let rows = shape::rows(&self.array.shape, self.array.order);
        let range = shape::row_range(range, rows).map_err(|asked| {
            self.context("flush").fail(ErrorKind::RowsOutOfBounds {
                start: asked.start,
                end: asked.end,
                rows,
            })
        })?;
        let row = self.array.nbytes().checked_div(rows).unwrap_or(0);
        self.flush_part(|| match &self.map {
            Some(map) => map.flush_range(range.start * row..range.end * row),
            // Without a map the system makes no part of a file durable by itself.
            None => sys::sync_data(self.file()),
        })
    }

    /// Tells the kernel how the map will be read, if there is one.
    pub(super) fn advise(&self, advice: Advice) -> Result<()> {
        let op = "advise the kernel about";
        self.check_guard(op)?;
        let advised = self.map.as_ref().map_or(Ok(()), |map| map.advise(advice));
        advised.map_err(|error| self.context(op).io(error))
    }

    /// The part of the file that the array fills.
    pub(super) fn extent(&self) -> Range<u64> {
        self.array.extent()
    }

    pub(super) fn is_allocated(&self) -> Result<bool> {
        self.check_guard("look up the blocks of")?;
        let blocks = sys::blocks(self.file(), self.extent());
        let blocks = blocks.map_err(|error| self.context("look up the blocks of").io(error))?;
        Ok(blocks.allocated && !blocks.shared && !sys::copies_on_write(self.file()))
    }

    pub(super) fn allocate(&self) -> Result<()> {
        self.check_opener("allocate")?;
        // It would make a file that was cut as long again.
        self.check_guard("allocate")?;
        let context = self.context("allocate");
        let extent = self.extent();
        let needed = extent.end - extent.start;
        let refused = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::Unsupported => {
                self.context("allocate").fail(ErrorKind::Unsupported {
                    what: "giving a file blocks of its own",
                    cause: error,
                })
            }
            _ => context.growth(error, needed, sys::free_space(&self.path)),
        };
        let file = self.file();
        if sys::copies_on_write(file) {
            return Err(refused(std::io::ErrorKind::Unsupported.into()));
        }
        sys::allocate(file, extent.clone()).map_err(refused)?;
        #[cfg(target_os = "linux")]
        if sys::blocks(file, extent.clone()).is_ok_and(|blocks| blocks.shared) {
            sys::unshare(file, extent).map_err(refused)?;
        }
        Ok(())
    }
}
