//! Scanning: all elements once, in the order of the file, in pieces.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::parallel;
use super::source::Source;
use super::work::Work;
use crate::element::Element;
use crate::error::Result;

/// The bytes of a piece: so many that what each costs does not count, and that a buffer of them stays in the cache.
pub(super) const PIECE: usize = 1 << 20;

impl<'a, A: Element> Source<'a, A> {
    /// Calls `visit` with all elements, piece by piece, and `deliver` with what it returns, in the order of the file.
    ///
    /// The pieces are the same whatever the budget and the number of threads. With the feature `rayon` several are visited
    /// at a time.
    pub(super) fn scan<T: Send>(
        &self,
        work: &mut Work<'a>,
        op: &'static str,
        visit: impl Fn(Range<usize>, &[A]) -> Result<T> + Sync,
        deliver: impl FnMut(Range<usize>, T) -> Result<()> + Send,
    ) -> Result<()> {
        let len = self.len();
        let piece_len = (PIECE / size_of::<A>()).max(1);
        let piece = |index: usize| index * piece_len..((index + 1) * piece_len).min(len);
        self.scan_pieces(work, op, len.div_ceil(piece_len), piece, visit, deliver)
    }

    /// As [`scan`](Source::scan), in `count` pieces of the caller's choice, which follow one another and are about as long as
    /// the first.
    pub(super) fn scan_pieces<T: Send>(
        &self,
        work: &mut Work<'a>,
        op: &'static str,
        count: usize,
        piece: impl Fn(usize) -> Range<usize> + Sync,
        visit: impl Fn(Range<usize>, &[A]) -> Result<T> + Sync,
        mut deliver: impl FnMut(Range<usize>, T) -> Result<()> + Send,
    ) -> Result<()> {
        let context = self.context(op);
        let mut meter = work.meter(context, self.nbytes() as u64);
        let buffers = Pool::default();

        parallel::in_order(
            count,
            |index| {
                let range = piece(index);
                buffers.lend(|buffer: &mut Vec<A>| {
                    buffer.resize(range.len(), A::zeroed());
                    self.read(context, range.clone(), buffer)?;
                    visit(range, buffer)
                })
            },
            |index, value| {
                let range = piece(index);
                deliver(range.clone(), value)?;
                meter.add((range.len() * size_of::<A>()) as u64)
            },
        )
    }
}

/// Buffers that are used again and again, as many as there are threads at work.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Pool<T> {
        Pool(Mutex::default())
    }
}

impl<T: Default> Pool<T> {
    /// Runs `job` with a buffer, in the state in which another job left it.
    pub(super) fn lend<R>(&self, job: impl FnOnce(&mut T) -> R) -> R {
        // A list of buffers is never half changed.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = lock().pop();
        let mut buffer = buffer.unwrap_or_default();
        let result = job(&mut buffer);
        lock().push(buffer);
        result
    }
}
