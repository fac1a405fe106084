//! Scanning: all elements once, in the order of the file, in pieces.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::pass::{self, Pieces};
use super::source::Source;
use super::work::{Meter, Work};
use crate::element::Element;
use crate::error::{Context, Result};

/// The bytes of a piece: enough that the cost of each does not count, and few enough to stay in the
/// cache.
pub(super) const PIECE: usize = 1 << 20;

impl<'a, A: Element> Source<'a, A> {
    /// Calls `visit` with all elements, piece by piece, and `deliver` with the results, in the
    /// order of the file.
    ///
    /// The pieces are the same whatever the budget and the number of threads. With the feature
    /// `rayon` several are visited at a time.
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

    /// Calls `visit` with all elements, piece by piece, on all threads, for work that does not
    /// depend on their order. An operation of several passes has one `meter`, and says which passes
    /// it counts.
    pub(super) fn each_piece(
        &self,
        context: Context<'_>,
        meter: &mut Meter<'_>,
        is_metered: bool,
        visit: impl Fn(&[A]) + Sync,
    ) -> Result<()> {
        let (len, piece_len) = (self.len(), (PIECE / size_of::<A>()).max(1));
        let piece = |index: usize| index * piece_len..len.min((index + 1) * piece_len);
        let each = |index, buffer: &mut Vec<A>| {
            let range = piece(index);
            buffer.resize(range.len(), A::zeroed());
            self.read(context, range, buffer)?;
            visit(buffer);
            Ok(())
        };
        let pieces = Pieces::independent(len.div_ceil(piece_len));
        pass::run(pieces, meter, each, |index, ()| {
            let nbytes = piece(index).len() * size_of::<A>();
            Ok(if is_metered { nbytes as u64 } else { 0 })
        })
    }

    /// Goes over all elements as [`each_piece`](Source::each_piece) does, and counts them in a
    /// table of `len` numbers: `count` adds to the table of its thread.
    pub(super) fn tally(
        &self,
        context: Context<'_>,
        meter: &mut Meter<'_>,
        is_metered: bool,
        len: usize,
        count: impl Fn(&mut [u64], &[A]) + Sync,
    ) -> Result<Vec<u64>> {
        let tables: Mutex<Vec<Vec<u64>>> = Mutex::default();
        let lock = || tables.lock().unwrap_or_else(PoisonError::into_inner);
        self.each_piece(context, meter, is_metered, |elements| {
            let table = lock().pop();
            let mut table = table.unwrap_or_else(|| vec![0; len]);
            count(&mut table, elements);
            lock().push(table);
        })?;
        let tables = tables.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sum = |mut sums: Vec<u64>, table: Vec<u64>| {
            let both = sums.iter_mut().zip(table);
            both.for_each(|(sum, count)| *sum += count);
            sums
        };
        let sums = tables.into_iter().reduce(sum);
        Ok(sums.unwrap_or_else(|| vec![0; len]))
    }

    /// As [`scan`](Source::scan), in `count` pieces of the caller's choice, which follow one
    /// another and are about as long as the first.
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
        let each = |index, buffer: &mut Vec<A>| {
            let range = piece(index);
            buffer.resize(range.len(), A::zeroed());
            self.read(context, range.clone(), buffer)?;
            visit(range, buffer)
        };
        pass::run(
            Pieces::independent(count),
            &mut meter,
            each,
            |index, value| {
                let range = piece(index);
                let nbytes = range.len() * size_of::<A>();
                deliver(range, value)?;
                Ok(nbytes as u64)
            },
        )
    }
}
