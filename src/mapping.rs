//! `Mapping`: a map of part of a file, and what keeps the file open and locked under it.
//!
//! Memory safety is decided here. A `Mapping` keeps its bytes readable, and writable where it lends
//! them so, for as long as it lives, provided that its creator's promise holds: nobody else changes
//! the file. It knows nothing of headers, dtypes or shapes.
#![allow(unsafe_code)]

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::{Mmap, MmapMut, MmapOptions};

use crate::sys::{self, Guard, LockedFile};

/// The use that a map allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading. A shared lock.
    ReadOnly,
    /// Reading and writing the file. An exclusive lock.
    ReadWrite,
    /// Reading the file and writing private copies of its pages. A shared lock.
    CopyOnWrite,
}

impl Access {
    /// Whether the file itself is written.
    pub(crate) fn writes_file(self) -> bool {
        self == Access::ReadWrite
    }
}

/// How a map will be read, so that the kernel reads ahead accordingly (`madvise`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// No known pattern: the kernel reads some pages around each one that is touched.
    #[default]
    Normal,
    /// From front to back: the kernel reads far ahead and may drop pages soon after.
    Sequential,
    /// In no order: the kernel reads just the pages that are touched.
    Random,
    /// All of it, soon: the kernel starts to read at once, as much as its read-ahead window holds,
    /// some MiB from the start.
    WillNeed,
}

enum Map {
    /// No bytes, and therefore no map: an empty array has nothing to map.
    Empty,
    ReadOnly(Mmap),
    Writable(MmapMut),
}

/// A range of a file, mapped.
///
/// # Invariants
///
/// 1. The map covers exactly the `nbytes` from `offset` that [`Mapping::new`], [`Mapping::renew`]
///    or, later, [`Mapping::resize`] was given, and the file was at least that long when it was
///    mapped.
/// 2. This crate never shortens the file to less than the map: code that shortens it resizes the
///    map first.
/// 3. `map` is dropped before `file`, of which this value is an owner: unmapped, then unlocked,
///    then closed. Fields drop in the order of their declaration.
/// 4. `guard` covers the pages of the map, or nothing: it is lifted before the map changes or goes,
///    and set again afterwards. In between this value is borrowed exclusively, so nobody can run
///    into a fault.
///
/// The caller of [`Mapping::new`] promises that nobody else shortens or changes the file meanwhile.
/// The one `unsafe` call of the crate, [`Store::map`](crate::Store::map), passes this promise on to
/// its own caller. The lock keeps it among stores. If it is broken after all, the guard keeps every
/// byte readable: zeros then stand for what the file has lost.
pub(crate) struct Mapping {
    guard: Option<Guard>,
    map: Map,
    /// The file that is mapped, if that is not `file` itself. See [`sys::reopened`].
    reopened: Option<File>,
    file: Arc<LockedFile>,
    access: Access,
    offset: u64,
    /// How the map is read.
    advice: Mutex<Advice>,
}

impl Map {
    /// Maps `nbytes`, at least one, of a file that the caller found to be that long. See
    /// [`Mapping`].
    fn new(file: &File, access: Access, offset: u64, nbytes: usize) -> io::Result<Map> {
        let mut options = MmapOptions::new();
        options.offset(offset).len(nbytes);
        Ok(match access {
            Access::ReadOnly => {
                // SAFETY: the file is long enough, by `Mapping::check_end`. It stays so, unchanged,
                // by invariant 2 and by the promise of the caller of `Mapping::new`.
                Map::ReadOnly(unsafe { options.map(file)? })
            }
            Access::ReadWrite => {
                // SAFETY: as for `ReadOnly`; writing to the map takes an exclusive borrow of it.
                Map::Writable(unsafe { options.map_mut(file)? })
            }
            Access::CopyOnWrite => {
                // SAFETY: as for `ReadOnly`; writes go to private pages.
                Map::Writable(unsafe { options.no_reserve_swap().map_copy(file)? })
            }
        })
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Map::Empty => &[],
            Map::ReadOnly(map) => map,
            Map::Writable(map) => map,
        }
    }

    fn as_bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Map::Empty | Map::ReadOnly(_) => &mut [],
            Map::Writable(map) => map,
        }
    }

    #[cfg(unix)]
    fn advise(&self, advice: Advice) -> io::Result<()> {
        let advice = match advice {
            Advice::Normal => memmap2::Advice::Normal,
            Advice::Sequential => memmap2::Advice::Sequential,
            Advice::Random => memmap2::Advice::Random,
            Advice::WillNeed => memmap2::Advice::WillNeed,
        };
        match self {
            Map::Empty => Ok(()),
            Map::ReadOnly(map) => map.advise(advice),
            Map::Writable(map) => map.advise(advice),
        }
    }

    #[cfg(not(unix))]
    fn advise(&self, _: Advice) -> io::Result<()> {
        Ok(())
    }
}

impl Mapping {
    /// Maps `nbytes` of the file from `offset`, which need not be a multiple of the page size.
    ///
    /// `UnexpectedEof` if the file ends before that. A file opened for reading only cannot be
    /// mapped `ReadWrite`.
    ///
    /// # Safety
    ///
    /// As long as this value lives, or one that was [renewed](Mapping::renew) from it, nobody
    /// writes to its file or cuts it, except through an [`ArrayFile`](crate::store::ArrayFile) that
    /// is borrowed exclusively meanwhile.
    pub(crate) unsafe fn new(
        file: Arc<LockedFile>,
        access: Access,
        offset: u64,
        nbytes: usize,
    ) -> io::Result<Mapping> {
        let metadata = check_end(file.file(), offset, nbytes)?;
        let reopened = reopened(file.file(), &metadata, access)?;
        let map = match nbytes {
            0 => Map::Empty,
            _ => Map::new(
                reopened.as_ref().unwrap_or(file.file()),
                access,
                offset,
                nbytes,
            )?,
        };
        Ok(Mapping {
            guard: None,
            map,
            reopened,
            file,
            access,
            offset,
            advice: Mutex::default(),
        })
    }

    /// As [`new`](Mapping::new), for the file that takes the place of this one: the promise for the
    /// old file holds for the new one as well. Advice and guard are carried over.
    pub(crate) fn renew(
        &self,
        file: Arc<LockedFile>,
        offset: u64,
        nbytes: usize,
    ) -> io::Result<Mapping> {
        // SAFETY: by the promise of the caller of `new`.
        let mut renewed = unsafe { Mapping::new(file, self.access, offset, nbytes)? };
        renewed.advise(*self.advice())?;
        if self.guard.is_some() {
            renewed.guard()?;
        }
        Ok(renewed)
    }

    /// Makes the map `nbytes` long, after the file was made long enough or before it is cut. It may
    /// move.
    ///
    /// `UnexpectedEof` if the file ends before that. After a failure the map is as it was. Keeps
    /// the invariants: the length is checked against the file, and the guard goes with the map.
    pub(crate) fn resize(&mut self, nbytes: usize) -> io::Result<()> {
        let metadata = check_end(self.file.file(), self.offset, nbytes)?;
        if let Some(guard) = &mut self.guard {
            guard.lift();
        }
        let is_new = self.as_bytes().is_empty() || cfg!(not(target_os = "linux"));
        let resized = self.remap(nbytes, &metadata);
        self.protect();
        if is_new {
            // A hint that fails is no reason to give up rows.
            let _ = self.map.advise(*self.advice());
        }
        resized
    }

    /// Resizes a map that nothing guards, to a length that its file was found to have.
    fn remap(&mut self, nbytes: usize, metadata: &Metadata) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let (Map::Writable(map), 1..) = (&mut self.map, nbytes) {
            let options = memmap2::RemapOptions::new().may_move(true);
            // SAFETY: the file is long enough, by `check_end`, and stays so as at `Map::new`.
            // Nobody holds a reference into the map, because all of them borrow from `self`.
            return unsafe { map.remap(nbytes, options) };
        }
        let reopened = reopened(self.file.file(), metadata, self.access)?;
        let file = reopened.as_ref().unwrap_or(self.file.file());
        self.map = match nbytes {
            0 => Map::Empty,
            _ => Map::new(file, self.access, self.offset, nbytes)?,
        };
        self.reopened = reopened;
        Ok(())
    }

    /// Guards the map from now on: bytes that its file loses read as zeros, and
    /// [`Guard::has_faulted`] reports the loss.
    ///
    /// `Unsupported` where the platform has no guard.
    pub(crate) fn guard(&mut self) -> io::Result<()> {
        self.guard = Some(Guard::new()?);
        self.protect();
        Ok(())
    }

    /// Makes the guard, if there is one, cover the map as it is now. Keeps invariant 4.
    fn protect(&mut self) {
        let (bytes, writable): (&[u8], _) = match &self.map {
            Map::Empty => {
                if let Some(guard) = &mut self.guard {
                    guard.rest();
                }
                return;
            }
            Map::ReadOnly(map) => (map, false),
            Map::Writable(map) => (map, true),
        };
        let file = self.reopened.as_ref().unwrap_or(self.file.file());
        if let Some(guard) = &mut self.guard {
            // SAFETY: `map` is of that part of that file, by invariant 1, and its pages are its
            // own. By invariants 3 and 4 the guard is lifted or dropped before the map changes, and
            // the file is closed last. Whatever touches the bytes borrows from `self`.
            unsafe { guard.protect(bytes, writable, file, self.offset) };
        }
    }

    /// The guard of the map, if it has one.
    pub(crate) fn guarding(&self) -> Option<&Guard> {
        self.guard.as_ref()
    }

    /// The mapped bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.map.as_bytes()
    }

    /// The mapped bytes, to be changed. Empty for a read-only map.
    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.map.as_bytes_mut()
    }

    /// Waits until all bytes are on the disk.
    pub(crate) fn flush(&self) -> io::Result<()> {
        // On Linux `fdatasync` writes the pages of shared maps as well; elsewhere that takes an
        // `msync`.
        #[cfg(not(target_os = "linux"))]
        if let Map::Writable(map) = &self.map {
            map.flush()?;
        }
        sys::sync_data(self.file.file())
    }

    /// Waits until the bytes in `range` of the map are on the disk (`msync`).
    pub(crate) fn flush_range(&self, range: Range<usize>) -> io::Result<()> {
        match &self.map {
            Map::Writable(map) => sys::retry(|| map.flush_range(range.start, range.len())),
            Map::Empty | Map::ReadOnly(_) => Ok(()),
        }
    }

    /// Starts to write all bytes to the disk and returns at once.
    pub(crate) fn flush_async(&self) -> io::Result<()> {
        #[cfg(not(target_os = "linux"))]
        if let Map::Writable(map) = &self.map {
            map.flush_async()?;
        }
        sys::start_writeback(
            self.file.file(),
            self.offset..self.offset + self.as_bytes().len() as u64,
        )
    }

    fn advice(&self) -> MutexGuard<'_, Advice> {
        // Nothing panics while the lock is held, and a hint cannot be half set.
        self.advice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the kernel how the map will be read, now and whenever it is mapped again.
    pub(crate) fn advise(&self, advice: Advice) -> io::Result<()> {
        let mut current = self.advice();
        // The kernel needs no call for the advice that it already follows.
        if *current != advice {
            self.map.advise(advice)?;
            *current = advice;
        }
        Ok(())
    }
}

/// The file to map in place of `file`, if the system would map another one.
fn reopened(file: &File, metadata: &Metadata, access: Access) -> io::Result<Option<File>> {
    match access {
        Access::ReadOnly | Access::CopyOnWrite => sys::reopened(file, metadata),
        Access::ReadWrite => Ok(None),
    }
}

/// `UnexpectedEof` if the file has less than `nbytes` from `offset`.
fn check_end(file: &File, offset: u64, nbytes: usize) -> io::Result<Metadata> {
    let end = offset
        .checked_add(nbytes as u64)
        .ok_or(io::ErrorKind::InvalidInput)?;
    let metadata = file.metadata()?;
    match metadata.len() < end {
        true => Err(io::ErrorKind::UnexpectedEof.into()),
        false => Ok(metadata),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn map(bytes: &[u8], access: Access, offset: u64, nbytes: usize) -> io::Result<Mapping> {
        let mut file = tempfile::tempfile()?;
        file.write_all(bytes)?;
        let file = Arc::new(LockedFile::unlocked(file));
        // SAFETY: a file without a name, which this test alone has open.
        unsafe { Mapping::new(file, access, offset, nbytes) }
    }

    #[test]
    fn a_map_never_reaches_past_the_end_of_its_file() {
        for (offset, nbytes) in [
            (0, 11),
            (5, 6),
            (10, 1),
            (11, 0),
            (u64::MAX, 1),
            (u64::MAX, 0),
        ] {
            assert!(
                map(&[7; 10], Access::ReadOnly, offset, nbytes).is_err(),
                "{offset} {nbytes}"
            );
        }
    }

    #[test]
    fn a_map_holds_exactly_the_bytes_it_was_asked_for() {
        let bytes: Vec<u8> = (0..10_000).map(|i| i as u8).collect();
        for range in [
            0..10_000,
            1..2,
            4095..4097,
            9999..10_000,
            500..500,
            10_000..10_000,
        ] {
            let map = map(&bytes, Access::ReadOnly, range.start as u64, range.len()).unwrap();
            assert_eq!(map.as_bytes(), &bytes[range]);
        }
    }

    #[test]
    fn a_read_only_map_lends_nothing_to_change() {
        let mut map = map(&[7; 10], Access::ReadOnly, 0, 10).unwrap();
        assert!(map.as_bytes_mut().is_empty());
    }

    #[test]
    fn a_map_grows_and_shrinks_with_its_file() {
        let bytes: Vec<u8> = (0..50_000).map(|i| (i % 251) as u8).collect();
        for offset in [0, 100, 4096] {
            let mut map = map(&bytes, Access::ReadWrite, offset as u64, 0).unwrap();
            // From nothing over several pages, within one page, to nothing and back.
            for nbytes in [10, 20_000, 40_000, 40_001, 3, 0, 0, 4096, 1] {
                map.resize(nbytes).unwrap();
                assert_eq!(map.as_bytes(), &bytes[offset..offset + nbytes]);
            }
        }
    }

    #[test]
    fn what_is_written_to_a_map_that_grew_is_in_the_file() {
        let mut map = map(&[7; 20_000], Access::ReadWrite, 100, 10).unwrap();
        map.as_bytes_mut().fill(1);
        map.resize(19_900).unwrap();
        assert_eq!((map.as_bytes()[9], map.as_bytes()[10]), (1, 7));
        map.as_bytes_mut()[10..].fill(2);
        map.resize(5).unwrap();
        map.flush().unwrap();
        let mut found = vec![0; 20_000];
        sys::read_at(map.file.file(), &mut found, 0).unwrap();
        let expected = [vec![7; 100], vec![1; 10], vec![2; 19_890]].concat();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_map_does_not_grow_past_the_end_of_its_file_and_stays_as_it_was() {
        for nbytes in [0, 4, 8] {
            let mut map = map(&[7; 10], Access::ReadWrite, 2, nbytes).unwrap();
            for refused in [9, 4096, usize::MAX] {
                assert!(map.resize(refused).is_err(), "{refused}");
                assert_eq!(map.as_bytes(), &[7; 10][..nbytes]);
            }
            map.file.file().set_len(20).unwrap();
            map.resize(18).unwrap();
            assert_eq!(map.as_bytes(), [vec![7; 8], vec![0; 10]].concat());
        }
    }

    #[test]
    fn private_changes_stay_out_of_the_file() {
        let mut map = map(&[7; 10], Access::CopyOnWrite, 0, 10).unwrap();
        map.as_bytes_mut().fill(1);
        let mut found = [0; 10];
        sys::read_at(map.file.file(), &mut found, 0).unwrap();
        assert_eq!((map.as_bytes(), found), (&[1; 10][..], [7; 10]));
    }
}
