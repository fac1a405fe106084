//! The scheduler: pieces of work on all threads, begun and delivered in order.
//!
//! What an operation does is two closures. One works on a piece, with a buffer that its thread keeps in its cache; the other takes
//! the results, one after the other, in the order of the pieces. Pieces that follow one another in a file are read by whichever
//! thread is free, so the file is read in order however many threads there are, and the kernel reads ahead by itself.
//!
//! No piece is begun more than a window ahead of the first that is not delivered. That bounds the results that wait for a slow
//! thread. A thread that is too far ahead does not wait, because the one that is behind may need it for work of its own in the
//! same pool: it ends, and another one is started in its place when there is room.

#[cfg(feature = "rayon")]
use std::collections::VecDeque;
#[cfg(feature = "rayon")]
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::work::Meter;
use crate::error::Error;

/// How many threads [`run`] works with: those of the current pool of rayon, or one where a pool cannot be started.
pub(super) fn threads() -> usize {
    #[cfg(feature = "rayon")]
    if has_pool() {
        return rayon::current_num_threads();
    }
    1
}

/// Whether this thread is in a pool, or the global one could be started. Without it every call of rayon would panic.
#[cfg(feature = "rayon")]
fn has_pool() -> bool {
    static GLOBAL: OnceLock<bool> = OnceLock::new();
    let start = || match rayon::ThreadPoolBuilder::new().build_global() {
        Ok(()) => true,
        // Only what the system refused has a source: otherwise somebody else has started it.
        Err(error) => std::error::Error::source(&error).is_none(),
    };
    rayon::current_thread_index().is_some() || *GLOBAL.get_or_init(start)
}

/// The pieces of an operation.
pub(super) struct Pieces {
    /// How many there are.
    pub(super) count: usize,
    /// So many may be begun and not delivered.
    pub(super) window: usize,
}

impl Pieces {
    /// So many pieces, none of which depends on another one.
    pub(super) fn independent(count: usize) -> Pieces {
        // A single one needs no pool, which starts its threads when it is first asked for.
        let window = if count > 1 { 2 * threads() } else { 1 };
        Pieces { count, window }
    }
}

/// Runs `each` on every piece, by its number, and passes what it returns to `deliver`, in order, which says how many bytes are
/// done by that.
///
/// With the feature `rayon` the threads of the current pool take the pieces, each the next one that is free; without it
/// they are done one after the other. `each` finds its buffer as another piece left it. The first error ends it, and is
/// returned; so does a panic, which goes on.
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
    let line = Line {
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
        line: Mutex::new(line),
        each,
    };
    rayon::scope(|scope| {
        for _ in 0..started {
            scope.spawn(|scope| crew.work(scope));
        }
    });
    let line = crew.line.into_inner();
    let line = line.unwrap_or_else(PoisonError::into_inner);
    line.failed.map_or(Ok(()), Err)
}

/// What the threads share.
#[cfg(feature = "rayon")]
struct Crew<F, G, B, T, E> {
    line: Mutex<Line<G, B, T, E>>,
    each: F,
}

/// Which pieces are begun and which delivered, and what waits until those before it are.
#[cfg(feature = "rayon")]
struct Line<G, B, T, E> {
    pieces: Pieces,
    begun: usize,
    delivered: usize,
    /// The results from `delivered` on, of which the first is not there yet.
    waiting: VecDeque<Option<T>>,
    /// Of the threads that ended.
    buffers: Vec<B>,
    /// How many threads ended because they were too far ahead.
    resting: usize,
    deliver: G,
    failed: Option<E>,
    /// No further piece is begun, because something failed.
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
    fn lock(&self) -> MutexGuard<'_, Line<G, B, T, E>> {
        // Only a panic in `deliver` poisons it, and that goes on through the scope.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one piece after the other, as long as there is one to be begun.
    fn work<'s>(&'s self, scope: &rayon::Scope<'s>) {
        let stop = StopOnPanic(self);
        let mut line = self.lock();
        let mut buffer = line.buffers.pop().unwrap_or_default();
        while let Some(index) = line.begin() {
            drop(line);
            let result = (self.each)(index, &mut buffer);
            line = self.lock();
            for _ in 0..line.take(index, result) {
                scope.spawn(|scope| self.work(scope));
            }
        }
        line.buffers.push(buffer);
        drop(line);
        std::mem::forget(stop);
    }
}

/// Ends the work of all threads when this one panics.
#[cfg(feature = "rayon")]
struct StopOnPanic<'s, F, G, B, T, E>(&'s Crew<F, G, B, T, E>);

#[cfg(feature = "rayon")]
impl<F, G, B, T, E> Drop for StopOnPanic<'_, F, G, B, T, E> {
    fn drop(&mut self) {
        let line = self.0.line.lock();
        line.unwrap_or_else(PoisonError::into_inner).stopped = true;
    }
}

#[cfg(feature = "rayon")]
impl<G, B, T, E> Line<G, B, T, E>
where
    G: FnMut(usize, T) -> Result<(), E>,
{
    /// How many pieces there are to be begun now.
    fn ready(&self) -> usize {
        let end = self.pieces.count.min(self.delivered + self.pieces.window);
        if self.stopped { 0 } else { end - self.begun }
    }

    /// The next piece for a thread. Without one it ends.
    fn begin(&mut self) -> Option<usize> {
        if self.ready() == 0 {
            self.resting += 1;
            return None;
        }
        self.begun += 1;
        Some(self.begun - 1)
    }

    /// Takes a result and delivers what is next in line. Says how many threads are to be started, beside the one that brought
    /// it.
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
