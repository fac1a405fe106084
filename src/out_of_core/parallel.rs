//! Many pieces of work on all cores, their results in order.

#[cfg(feature = "rayon")]
use std::collections::BTreeMap;
#[cfg(feature = "rayon")]
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(feature = "rayon")]
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "rayon")]
use crate::error::Error;
use crate::error::Result;

/// How many threads [`in_order`] works with.
pub(super) fn threads() -> usize {
    #[cfg(feature = "rayon")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    1
}

/// Runs `each` on every number below `count` and passes what it returns to `deliver`, in order.
///
/// With the feature `rayon` the threads of the current pool take the numbers, each the next one that is free; without it
/// they are done one after the other. The first error ends it, and is returned; so does a panic, which goes on.
pub(super) fn in_order<T: Send>(
    count: usize,
    each: impl Fn(usize) -> Result<T> + Sync,
    mut deliver: impl FnMut(usize, T) -> Result<()> + Send,
) -> Result<()> {
    #[cfg(feature = "rayon")]
    if count > 1 && threads() > 1 {
        return on_all_threads(count, each, deliver);
    }
    (0..count).try_for_each(|index| deliver(index, each(index)?))
}

#[cfg(feature = "rayon")]
fn on_all_threads<T: Send>(
    count: usize,
    each: impl Fn(usize) -> Result<T> + Sync,
    deliver: impl FnMut(usize, T) -> Result<()> + Send,
) -> Result<()> {
    let line = Mutex::new(Line {
        next: 0,
        waiting: BTreeMap::new(),
        deliver,
        failed: None,
    });
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let work = || {
        let _stop = Stop(&stop);
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            let result = each(index);
            // A panic in `deliver` goes on through the scope; what it left behind is not used again.
            let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
            if !line.take(index, result) {
                return;
            }
        }
    };
    rayon::scope(|scope| {
        for _ in 0..threads().min(count) {
            scope.spawn(|_| work());
        }
    });
    let line = line.into_inner().unwrap_or_else(PoisonError::into_inner);
    line.failed.map_or(Ok(()), Err)
}

/// Stops all threads when one of them is done: because no number is left, something failed, or it panics.
#[cfg(feature = "rayon")]
struct Stop<'a>(&'a AtomicBool);

#[cfg(feature = "rayon")]
impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Results that wait until those before them are delivered.
#[cfg(feature = "rayon")]
struct Line<T, F> {
    next: usize,
    waiting: BTreeMap<usize, T>,
    deliver: F,
    failed: Option<Error>,
}

#[cfg(feature = "rayon")]
impl<T, F: FnMut(usize, T) -> Result<()>> Line<T, F> {
    /// Delivers what is next in line. False once something failed.
    fn take(&mut self, index: usize, result: Result<T>) -> bool {
        match result {
            Ok(value) => drop(self.waiting.insert(index, value)),
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
        while self.failed.is_none()
            && let Some(value) = self.waiting.remove(&self.next)
        {
            self.failed = (self.deliver)(self.next, value).err();
            self.next += 1;
        }
        self.failed.is_none()
    }
}
