//! What this thread has opened and locked, so that it does not wait for itself for ever.
//!
//! A list of the thread's own: no lock is shared with another thread, or with a forked child. Files
//! leave it when they are closed, by whichever thread. Nobody can know whether a file went to
//! another thread meanwhile.

use std::cell::RefCell;
use std::fs::File;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::file::FileId;

/// A file that is locked.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) file: File,
    exclusive: AtomicBool,
    /// The bytes that are claimed, of the file and of those that stand for more than bytes.
    claims: Mutex<Vec<Range<u64>>>,
}

thread_local! {
    static HELD: RefCell<Vec<Weak<Held>>> = const { RefCell::new(Vec::new()) };
}

impl Held {
    /// A file without a lock, or one that is not this thread's alone to give back.
    pub(super) fn unlocked(file: File) -> Arc<Held> {
        Arc::new(Held {
            file,
            exclusive: AtomicBool::new(false),
            claims: Mutex::default(),
        })
    }

    /// A file that this thread has just locked.
    pub(super) fn locked(file: File, exclusive: bool) -> Arc<Held> {
        let held = Held::unlocked(file);
        held.set_exclusive(exclusive);
        // A thread that ends has no list any more, and waits for nothing.
        let _ = HELD.try_with(|list| {
            let mut list = list.borrow_mut();
            // Only when it is full: then most of those that are gone pay for the look at all.
            if list.len() == list.capacity() {
                list.retain(|held| held.strong_count() > 0);
            }
            list.push(Arc::downgrade(&held));
        });
        held
    }

    pub(super) fn set_exclusive(&self, exclusive: bool) {
        self.exclusive.store(exclusive, Relaxed);
    }

    pub(super) fn note_claim(&self, claim: Range<u64>) {
        let claims = self.claims.lock();
        claims.unwrap_or_else(PoisonError::into_inner).push(claim);
    }

    fn claims(&self, bytes: &Range<u64>) -> bool {
        let claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let overlaps = |claim: &Range<u64>| claim.start < bytes.end && bytes.start < claim.end;
        claims.iter().any(overlaps)
    }
}

/// Whether this thread has opened a file that is open still, is the same one, and stands in the way
/// of a lock.
pub(super) fn locks_out(file: &File, exclusive: bool) -> bool {
    any(file, |held| exclusive || held.exclusive.load(Relaxed))
}

/// Whether this thread has opened a file that is open still, is the same one, and claims some of
/// these bytes.
pub(crate) fn claims_some(file: &File, bytes: &Range<u64>) -> bool {
    any(file, |held| held.claims(bytes))
}

fn any(file: &File, is_in_the_way: impl Fn(&Held) -> bool) -> bool {
    let id = |file: &File| file.metadata().map(|metadata| FileId::of(&metadata)).ok();
    let Some(wanted) = id(file) else {
        return false;
    };
    let found = HELD.try_with(|list| {
        let list = list.borrow();
        let mut held = list.iter().filter_map(Weak::upgrade);
        held.any(|held| is_in_the_way(&held) && id(&held.file) == Some(wanted))
    });
    found.unwrap_or(false)
}
