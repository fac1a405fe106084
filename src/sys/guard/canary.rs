//! A private copy of the page of a file that its map ends in, with a mark: it tells whether the
//! file was cut.
//!
//! When a file is cut, the kernel takes the pages behind its new end from every map. From private
//! maps it takes even pages that were written to (`unmap_mapping_range` with `even_cows`), which
//! only a cut does. So if the mark is gone the file was cut, even if it is as long as before.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::Ordering::Relaxed;

use memmap2::{MmapMut, MmapOptions};

use super::table::{Area, Taken};

/// The mark on a page of a file.
#[derive(Debug)]
pub(super) struct Canary {
    /// The page is guarded as well, because it may be gone when it is read. The slot is given back
    /// before the map goes.
    slot: Taken,
    map: MmapMut,
    mark: u64,
    /// The open file and the number of the page.
    page: (RawFd, usize),
}

impl Canary {
    /// Marks a private copy of this page of the file, which reads the page.
    pub(super) fn new(file: &File, number: usize, page: usize) -> io::Result<Canary> {
        let mut options = MmapOptions::new();
        options.offset(number as u64 * page as u64).len(page);
        // SAFETY: the file may change at any time, because the bytes are never borrowed: each
        // access reads or writes them by a pointer, and the handler replaces a page that is gone.
        let map = unsafe { options.no_reserve_swap().map_copy(file)? };
        let start = map.as_ptr().addr();
        let slot = Taken::new();
        slot.set(Area {
            start,
            end: start + page,
            writable: true,
            fd: file.as_raw_fd(),
            first_page: number,
        });
        let mut canary = Canary {
            slot,
            map,
            mark: 0,
            page: (file.as_raw_fd(), number),
        };
        // Anybody may put any bytes into the file, but nobody knows this number.
        let random = RandomState::new().build_hasher().finish();
        canary.mark = match canary.read() == random {
            true => !random,
            false => random,
        };
        // SAFETY: the map is a page, so it has a word at its start, aligned; nobody else has the
        // map.
        unsafe {
            canary
                .map
                .as_mut_ptr()
                .cast::<u64>()
                .write_volatile(canary.mark)
        };
        Ok(canary)
    }

    /// The word at the start of the page.
    fn read(&self) -> u64 {
        // SAFETY: as in `new`. Volatile, because the kernel changes it.
        unsafe { self.map.as_ptr().cast::<u64>().read_volatile() }
    }

    /// Whether the mark is on this page of this open file.
    pub(super) fn is_over(&self, file: &File, number: usize) -> bool {
        self.page == (file.as_raw_fd(), number)
    }

    /// Whether the file was never cut since to the start of this page or to less.
    pub(super) fn is_alive(&self) -> bool {
        let there = self.read() == self.mark;
        // Zeros that the handler put in its place are not a page of the file, even if the mark was
        // set in them.
        there && !self.slot.faulted.load(Relaxed)
    }
}
