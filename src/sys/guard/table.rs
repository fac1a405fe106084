//! The table of guarded pages, which owners change while a handler may read it.

use std::ops::Deref;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, fence};

/// Guarded pages, and the file and the offset that they are mapped from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) writable: bool,
    pub(super) fd: RawFd,
    pub(super) first_page: usize,
}

impl Area {
    pub(super) const NONE: Area = Area {
        start: 0,
        end: 0,
        writable: false,
        fd: -1,
        first_page: 0,
    };

    /// The address of the first page that a file of `len` bytes does not have, or the end.
    pub(super) fn end_of_file(&self, len: u64, page: usize) -> usize {
        let pages = len.div_ceil(page as u64);
        let mapped = pages.saturating_sub(self.first_page as u64);
        usize::try_from(mapped)
            .ok()
            .and_then(|mapped| self.start.checked_add(mapped.checked_mul(page)?))
            .map_or(self.end, |end| end.min(self.end))
    }
}

/// One place of the table: an [`Area`] that changes while others read it, and the mark of its map.
#[derive(Debug)]
pub(super) struct Slot {
    /// Whether a [`Guard`] has the slot.
    taken: AtomicBool,
    pub(super) faulted: AtomicBool,
    /// Odd while the area changes.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    writable: AtomicBool,
    fd: AtomicI32,
    first_page: AtomicUsize,
}

impl Slot {
    const fn new() -> Slot {
        Slot {
            taken: AtomicBool::new(false),
            faulted: AtomicBool::new(false),
            version: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            writable: AtomicBool::new(false),
            fd: AtomicI32::new(-1),
            first_page: AtomicUsize::new(0),
        }
    }

    /// Only the owner of the slot may call this: two calls at a time would mix.
    pub(super) fn set(&self, area: Area) {
        let version = self.version.load(Relaxed);
        self.version.store(version.wrapping_add(1), Relaxed);
        // The odd version before any word of the area.
        fence(Release);
        self.start.store(area.start, Relaxed);
        self.end.store(area.end, Relaxed);
        self.writable.store(area.writable, Relaxed);
        self.fd.store(area.fd, Relaxed);
        self.first_page.store(area.first_page, Relaxed);
        self.version.store(version.wrapping_add(2), Release);
    }

    /// The area, or `None` while it changes.
    fn get(&self) -> Option<Area> {
        let version = self.version.load(Acquire);
        let area = Area {
            start: self.start.load(Relaxed),
            end: self.end.load(Relaxed),
            writable: self.writable.load(Relaxed),
            fd: self.fd.load(Relaxed),
            first_page: self.first_page.load(Relaxed),
        };
        // Every word of the area before the version is read again.
        fence(Acquire);
        let unchanged = self.version.load(Relaxed) == version;
        (version.is_multiple_of(2) && unchanged).then_some(area)
    }
}

const SLOTS: usize = 64;

/// A chunk of slots. The table grows by chunks, which are never freed.
struct Slots {
    slots: [Slot; SLOTS],
    next: AtomicPtr<Slots>,
}

impl Slots {
    const fn new() -> Slots {
        Slots {
            slots: [const { Slot::new() }; SLOTS],
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    fn next(&self) -> Option<&'static Slots> {
        // SAFETY: null, or a chunk that `grow` leaked and published whole.
        unsafe { self.next.load(Acquire).as_ref() }
    }

    /// The next chunk, which is made if there is none.
    fn grow(&self) -> &'static Slots {
        let new = Box::into_raw(Box::new(Slots::new()));
        let set = self
            .next
            .compare_exchange(ptr::null_mut(), new, AcqRel, Acquire);
        if set.is_err() {
            // SAFETY: comes from `Box::into_raw` above, and no other thread has seen it.
            drop(unsafe { Box::from_raw(new) });
        }
        self.next()
            .expect("one of the two threads has set it, for good")
    }
}

static TABLE: Slots = Slots::new();

/// A slot that only its holder changes. Dropping this value gives the slot back, empty.
#[derive(Debug)]
pub(super) struct Taken(&'static Slot);

impl Taken {
    /// Takes a slot, whose area is empty and whose mark is not set.
    pub(super) fn new() -> Taken {
        let mut chunk = &TABLE;
        loop {
            for slot in &chunk.slots {
                if !slot.taken.swap(true, Acquire) {
                    slot.faulted.store(false, Relaxed);
                    return Taken(slot);
                }
            }
            chunk = chunk.next().unwrap_or_else(|| chunk.grow());
        }
    }
}

impl Deref for Taken {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        self.0
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.set(Area::NONE);
        self.taken.store(false, Release);
    }
}

/// The slot with the map of this address, and the map.
pub(super) fn find(address: usize) -> Option<(&'static Slot, Area)> {
    let mut chunk = Some(&TABLE);
    while let Some(Slots { slots, .. }) = chunk {
        for slot in slots {
            if let Some(area) = slot.get()
                && (area.start..area.end).contains(&address)
            {
                return Some((slot, area));
            }
        }
        chunk = chunk.and_then(Slots::next);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn area(seed: usize) -> Area {
        Area {
            start: seed,
            end: 3 * seed,
            writable: seed.is_multiple_of(2),
            fd: seed as RawFd,
            first_page: 7 * seed,
        }
    }

    #[test]
    fn a_reader_never_sees_parts_of_two_areas() {
        let slot = Slot::new();
        let (rounds, seen, start) = (300_000, AtomicU32::new(0), Barrier::new(3));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                (1..=rounds).for_each(|seed| slot.set(area(seed)));
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    loop {
                        let Some(found) = slot.get() else { continue };
                        if found != Area::NONE {
                            assert_eq!(found, area(found.start));
                            seen.fetch_add(1, Relaxed);
                        }
                        if found.start == rounds {
                            break;
                        }
                    }
                });
            }
        });
        assert!(seen.into_inner() >= 2);
    }

    #[test]
    fn a_slot_that_is_being_changed_is_passed_over() {
        let slot = Slot::new();
        slot.set(area(5));
        slot.version.fetch_add(1, Relaxed);
        assert_eq!(slot.get(), None);
    }

    #[test]
    fn no_two_guards_share_a_slot_however_many_there_are() {
        let start = Barrier::new(4);
        let claimed: Vec<_> = std::thread::scope(|scope| {
            let claim_many = || {
                start.wait();
                (0..8 * SLOTS).map(|_| Taken::new()).collect::<Vec<_>>()
            };
            let threads = [(); 4].map(|()| scope.spawn(claim_many));
            let claimed = threads.map(|thread| thread.join().unwrap());
            claimed.into_iter().flatten().collect()
        });
        let mut places: Vec<_> = claimed
            .iter()
            .map(|Taken(slot)| ptr::from_ref(*slot))
            .collect();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), 32 * SLOTS);
    }

    #[test]
    fn the_end_of_a_file_in_its_map_is_that_of_counting_pages() {
        let page = 4096;
        for first_page in [0, 1, 3] {
            let area = Area {
                start: 16 * page,
                end: 20 * page,
                first_page,
                ..Area::NONE
            };
            for len in (0..10 * page as u64).step_by(512).chain([u64::MAX]) {
                let has = |index: usize| ((first_page + index) * page) as u64 >= len;
                let pages = (0..4).find(|&index| has(index)).unwrap_or(4);
                let expected = area.start + pages * page;
                assert_eq!(area.end_of_file(len, page), expected, "{first_page} {len}");
            }
        }
    }
}
