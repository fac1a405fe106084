//! Tells which process made a value: after a fork the child has a copy of all that its parent has,
//! and must be told from it.
//!
//! A process id is not enough: in another namespace a child may have the id of its parent, and ids
//! are used again. On Linux the mark is a number in a page that the kernel clears in every child
//! (`MADV_WIPEONFORK`), however the child was made. The next number is kept beside it, in memory
//! that a child inherits, so no process has a number of its ancestors. Without such a page the mark
//! is the process id after all.

use std::process;
#[cfg(target_os = "linux")]
use std::{
    mem, ptr,
    sync::atomic::Ordering::{AcqRel, Acquire, Relaxed},
    sync::atomic::{AtomicPtr, AtomicU64},
};

/// The process that made a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Maker(u64);

impl Maker {
    /// This process.
    pub(crate) fn this() -> Maker {
        #[cfg(target_os = "linux")]
        if let Some(number) = wiped_on_fork() {
            return Maker(number_of_process(number));
        }
        Maker(process::id().into())
    }

    /// Whether this process made the value: false in a child that was forked since.
    pub(crate) fn is_this(self) -> bool {
        self == Maker::this()
    }
}

/// The number of this process, which gets one if it has none.
#[cfg(target_os = "linux")]
fn number_of_process(number: &AtomicU64) -> u64 {
    /// The last number that was given out. No number is a process id.
    static LAST: AtomicU64 = AtomicU64::new(1 << 32);
    match number.load(Relaxed) {
        0 => {
            let new = LAST.fetch_add(1, Relaxed) + 1;
            let set = number.compare_exchange(0, new, Relaxed, Relaxed);
            set.map_or_else(|other| other, |_| new)
        }
        known => known,
    }
}

/// A number that is 0 in a new process. `None` if the kernel cannot clear a page, as before Linux
/// 4.14.
///
/// Nothing here waits for another thread, because a child has no copy of the threads that were at
/// work during the fork.
#[cfg(target_os = "linux")]
fn wiped_on_fork() -> Option<&'static AtomicU64> {
    static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
    let mut page = PAGE.load(Acquire);
    if page.is_null() {
        let mut map = memmap2::MmapMut::map_anon(size_of::<AtomicU64>()).ok()?;
        let wipe = rustix::mm::Advice::LinuxWipeOnFork;
        // SAFETY: the page is this map's alone, and nothing but zeros is in it yet.
        unsafe { rustix::mm::madvise(map.as_mut_ptr().cast(), map.len(), wipe) }.ok()?;
        page = map.as_mut_ptr().cast();
        match PAGE.compare_exchange(ptr::null_mut(), page, AcqRel, Acquire) {
            Ok(_) => mem::forget(map),
            Err(other) => page = other,
        }
    }
    // SAFETY: the start of a map that was forgotten, so it stays. It can be written, is aligned to
    // a page, any bytes are an `AtomicU64`, and it is used as nothing else.
    Some(unsafe { &*page })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_of_a_process_have_the_same_mark() {
        let start = std::sync::Barrier::new(8);
        let marks = std::thread::scope(|scope| {
            let mark = || {
                start.wait();
                Maker::this()
            };
            let threads = [(); 8].map(|()| scope.spawn(mark));
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(marks, [Maker::this(); 8]);
        assert!(marks[0].is_this());
    }
}
