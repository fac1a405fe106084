//! The scheduler: pieces of work on all threads, begun and delivered in order.
//!
//! An operation is two closures. One works on a piece, with a buffer that its thread keeps in its
//! cache; the other takes the results one by one, in the order of the pieces. The next free thread
//! reads the next piece of the file, so the file is read in order however many threads there are,
//! and the kernel reads ahead by itself.
//!
//! No piece is begun more than a window ahead of the first that is not delivered. That bounds the
//! results that wait for a slow thread. A thread that is too far ahead does not wait, because the
//! slow thread may need it for work of its own in the same pool: it ends, and another thread is
//! started in its place when there is room.

#[cfg(feature = "rayon")]
use std::collections::VecDeque;
#[cfg(feature = "rayon")]
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::work::Meter;
use crate::error::Error;

/// The number of threads that [`run`] works with: those of the current pool of rayon, or one if no
/// pool can be started.
pub(super) fn threads() -> usize {
    #[cfg(feature = "rayon")]
    if has_pool() {
        return rayon::current_num_threads();
    }
    1
}

/// Whether this thread is in a pool, or the global pool could be started. Without a pool every call
/// of rayon would panic.
#[cfg(feature = "rayon")]
fn has_pool() -> bool {
    static GLOBAL: OnceLock<bool> = OnceLock::new();
    let start = || match rayon::ThreadPoolBuilder::new().build_global() {
        Ok(()) => true,
        // Only an error of the system has a source; any other error means that the pool was started
        // elsewhere.
        Err(error) => std::error::Error::source(&error).is_none(),
    };
    rayon::current_thread_index().is_some() || *GLOBAL.get_or_init(start)
}

/// The pieces of an operation.
pub(super) struct Pieces {
    /// The number of pieces.
    pub(super) count: usize,
    /// The number that may be begun and not delivered.
    pub(super) window: usize,
}

impl Pieces {
    /// `count` pieces that do not depend on each other.
    pub(super) fn independent(count: usize) -> Pieces {
        // A single piece needs no pool, whose threads start when it is first used.
        let window = if count > 1 { 2 * threads() } else { 1 };
        Pieces { count, window }
    }
}

/// Runs `each` on every piece, by its number, and passes the results in order to `deliver`, which
/// returns the number of bytes that this completes.
///
/// With the feature `rayon`, each thread of the current pool takes the next free piece; without it
/// they are done one after the other. `each` finds its buffer as another piece left it. The first
/// error ends the run, and is returned; a panic ends it too, and is passed on.
pub(super) fn run<B: Default + Send, T: Send, E: From<Error> + Send>(
    pieces: Pieces,
    meter: &mut Meter<'_>,
    each: impl Fn(usize, &mut B) -> Result<T, E> + Sync,
    mut deliver: impl FnMut(usize, T) -> Result<u64, E> + Send,
) -> Result<(), E> {
    assert!(pieces.window > 0, "no piece could be begun");
    let deliver = |index, result| Ok(meter.add(deliver(index, result)?)?);
    #[cfg(feature = "rayon")]
    if pieces.count > 1 && threads() > 1 {
        return on_all_threads(pieces, each, deliver);
    }
    let mut deliver = deliver;
    let mut buffer = B::default();
    (0..pieces.count).try_for_each(|index| deliver(index, each(index, &mut buffer)?))
}

#[cfg(feature = "rayon")]
fn on_all_threads<B: Default + Send, T: Send, E: Send>(
    pieces: Pieces,
    each: impl Fn(usize, &mut B) -> Result<T, E> + Sync,
    deliver: impl FnMut(usize, T) -> Result<(), E> + Send,
) -> Result<(), E> {
    let started = threads().min(pieces.count).min(pieces.window);
    let queue = Queue {
        pieces,
        begun: 0,
        delivered: 0,
        waiting: VecDeque::new(),
        buffers: Vec::new(),
        resting: 0,
        deliver,
        failed: None,
        stopped: false,
    };
    let crew = Crew {
        queue: Mutex::new(queue),
        each,
    };
    rayon::scope(|scope| {
        for _ in 0..started {
            scope.spawn(|scope| crew.work(scope));
        }
    });
    let queue = crew.queue.into_inner();
    let queue = queue.unwrap_or_else(PoisonError::into_inner);
    queue.failed.map_or(Ok(()), Err)
}

/// The state that the threads share.
#[cfg(feature = "rayon")]
struct Crew<F, G, B, T, E> {
    queue: Mutex<Queue<G, B, T, E>>,
    each: F,
}

/// The pieces that were begun and delivered, and the results that wait for earlier ones.
#[cfg(feature = "rayon")]
struct Queue<G, B, T, E> {
    pieces: Pieces,
    begun: usize,
    delivered: usize,
    /// The results from `delivered` on; the first of them has not arrived.
    waiting: VecDeque<Option<T>>,
    /// The buffers of the threads that ended.
    buffers: Vec<B>,
    /// The number of threads that ended because they were too far ahead.
    resting: usize,
    deliver: G,
    failed: Option<E>,
    /// Whether no further piece is begun, because one failed.
    stopped: bool,
}

#[cfg(feature = "rayon")]
impl<F, G, B, T, E> Crew<F, G, B, T, E>
where
    F: Fn(usize, &mut B) -> Result<T, E> + Sync,
    G: FnMut(usize, T) -> Result<(), E> + Send,
    B: Default + Send,
    T: Send,
    E: Send,
{
    fn lock(&self) -> MutexGuard<'_, Queue<G, B, T, E>> {
        // Only a panic in `deliver` poisons the lock, and the scope passes that panic on.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on one piece after the other, as long as there are pieces to begin.
    fn work<'s>(&'s self, scope: &rayon::Scope<'s>) {
        let stop = StopOnPanic(self);
        let mut queue = self.lock();
        let mut buffer = queue.buffers.pop().unwrap_or_default();
        while let Some(index) = queue.begin() {
            drop(queue);
            let result = (self.each)(index, &mut buffer);
            queue = self.lock();
            for _ in 0..queue.take(index, result) {
                scope.spawn(|scope| self.work(scope));
            }
        }
        queue.buffers.push(buffer);
        drop(queue);
        std::mem::forget(stop);
    }
}

/// Ends the work of all threads when this one panics.
#[cfg(feature = "rayon")]
struct StopOnPanic<'s, F, G, B, T, E>(&'s Crew<F, G, B, T, E>);

#[cfg(feature = "rayon")]
impl<F, G, B, T, E> Drop for StopOnPanic<'_, F, G, B, T, E> {
    fn drop(&mut self) {
        let queue = self.0.queue.lock();
        queue.unwrap_or_else(PoisonError::into_inner).stopped = true;
    }
}

#[cfg(feature = "rayon")]
impl<G, B, T, E> Queue<G, B, T, E>
where
    G: FnMut(usize, T) -> Result<(), E>,
{
    /// The number of pieces that may be begun now.
    fn ready(&self) -> usize {
        let end = self.pieces.count.min(self.delivered + self.pieces.window);
        if self.stopped { 0 } else { end - self.begun }
    }

    /// The next piece for a thread. Without one the thread ends.
    fn begin(&mut self) -> Option<usize> {
        if self.ready() == 0 {
            self.resting += 1;
            return None;
        }
        self.begun += 1;
        Some(self.begun - 1)
    }

    /// Takes a result and delivers those that are next in the queue. Returns the number of threads
    /// to start besides the caller.
    fn take(&mut self, index: usize, result: Result<T, E>) -> usize {
        match result {
            Ok(result) => {
                let place = index - self.delivered;
                if self.waiting.len() <= place {
                    self.waiting.resize_with(place + 1, || None);
                }
                self.waiting[place] = Some(result);
            }
            Err(error) => self.fail(error),
        }
        while !self.stopped
            && let Some(Some(result)) = self.waiting.front_mut().map(Option::take)
        {
            self.waiting.pop_front();
            match (self.deliver)(self.delivered, result) {
                Ok(()) => self.delivered += 1,
                Err(error) => self.fail(error),
            }
        }
        let started = self.resting.min(self.ready().saturating_sub(1));
        self.resting -= started;
        started
    }

    fn fail(&mut self, error: E) {
        self.stopped = true;
        self.failed.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::error::{Context, Result};
    use crate::out_of_core::work::Work;

    fn meter(total: u64) -> Meter<'static> {
        Work::new().meter(Context::new("file".as_ref(), "test"), total)
    }

    #[cfg(feature = "rayon")]
    fn with_threads<T: Send>(count: usize, job: impl FnOnce() -> T + Send) -> T {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
        pool.unwrap().install(job)
    }

    #[cfg(not(feature = "rayon"))]
    fn with_threads<T>(_: usize, job: impl FnOnce() -> T) -> T {
        job()
    }

    #[test]
    fn results_come_in_order_whatever_the_window_and_the_number_of_threads() {
        for (count, window, threads) in
            [(0, 1, 2), (1, 1, 2), (100, 1, 3), (100, 2, 2), (999, 9, 8)]
        {
            let mut found = Vec::new();
            with_threads(threads, || {
                let each = |index, uses: &mut usize| {
                    if index % 7 == 3 {
                        std::thread::sleep(Duration::from_micros(50));
                    }
                    *uses += 1;
                    Ok(index)
                };
                let deliver = |index, result| {
                    assert_eq!(index, result);
                    found.push(index);
                    Ok(1)
                };
                let done: Result<()> = run(Pieces { count, window }, &mut meter(0), each, deliver);
                done.unwrap();
            });
            assert_eq!(found, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_piece_is_begun_a_window_ahead_of_one_that_is_stalled() {
        let window = 5;
        let delivered = AtomicUsize::new(0);
        with_threads(4, || {
            let each = |index, _: &mut ()| {
                assert!(index < delivered.load(Ordering::SeqCst) + window, "{index}");
                if index % 20 == 0 {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Ok(())
            };
            let deliver = |_, ()| {
                delivered.fetch_add(1, Ordering::SeqCst);
                Ok(1)
            };
            let pieces = Pieces { count: 200, window };
            let done: Result<()> = run(pieces, &mut meter(0), each, deliver);
            done.unwrap();
        });
        assert_eq!(delivered.into_inner(), 200);
    }

    #[cfg(feature = "rayon")]
    #[test]
    fn pieces_may_have_work_of_their_own_in_the_same_pool() {
        with_threads(2, || {
            let each = |index: usize, _: &mut ()| {
                let halves = rayon::join(|| index * 2, || index * 3);
                Ok(halves.0 + halves.1)
            };
            let deliver = |index, sum| {
                assert_eq!(sum, index * 5);
                Ok(1)
            };
            let pieces = Pieces {
                count: 10_000,
                window: 2,
            };
            let done: Result<()> = run(pieces, &mut meter(0), each, deliver);
            done.unwrap();
        });
    }
}
