//! Writes elements in bulk: by `write`, not by page faults, which cost more than the bytes that
//! they bring.

use std::fs::File;
use std::io;
use std::ops::Range;

use ndarray::{ArrayRef, Dimension};

use super::pack;
use crate::element::Element;
use crate::shape::Order;
use crate::sys;

/// The bytes to write before their writeback is started: enough for the disk to work at full speed,
/// and few enough that it starts soon and works while the rest is written.
///
/// Steps end at round offsets of the file. If a step ended in the middle of a page (or of the
/// larger unit that the page cache keeps), the next write would wait until that page was on the
/// disk: measured, half as fast.
const STEP: u64 = 8 << 20;

/// Writes one stretch of a file after another, while the disk already works on earlier ones.
pub(super) struct Writer<'a> {
    file: &'a File,
    offset: u64,
    /// The offset up to which writeback was started.
    started: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(file: &'a File, offset: u64) -> Writer<'a> {
        Writer {
            file,
            offset,
            started: offset,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.in_steps(bytes.len() as u64, |file, done, offset| {
            let piece = &bytes[done.start as usize..done.end as usize];
            sys::write_all_at(file, piece, offset)
        })
    }

    /// Lets the kernel copy `source` of another file. See [`sys::copy_range`].
    pub(super) fn copy(
        &mut self,
        from: &File,
        source: Range<u64>,
        may_share: bool,
    ) -> io::Result<()> {
        self.in_steps(source.end - source.start, |file, done, offset| {
            let piece = source.start + done.start..source.start + done.end;
            sys::copy_range(from, piece, file, offset, may_share)
        })
    }

    /// Leaves `len` bytes as they are.
    pub(super) fn skip(&mut self, len: u64) -> io::Result<()> {
        self.in_steps(len, |_, _, _| Ok(()))
    }

    /// Cuts `len` bytes of the file into pieces that end with its steps, and starts the writeback
    /// of each complete step.
    fn in_steps(
        &mut self,
        len: u64,
        mut each: impl FnMut(&File, Range<u64>, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        while done < len {
            let step = STEP - self.offset % STEP;
            let piece = step.min(len - done);
            each(self.file, done..done + piece, self.offset)?;
            self.offset += piece;
            done += piece;
            if piece == step {
                sys::start_writeback(self.file, self.started..self.offset)?;
                self.started = self.offset;
            }
        }
        Ok(())
    }
}

/// Writes the elements of `array` in `order`.
pub(super) fn write_elements<A: Element, D: Dimension>(
    writer: &mut Writer<'_>,
    array: &ArrayRef<A, D>,
    order: Order,
) -> io::Result<()> {
    pack::for_each_piece(array, order, |bytes| writer.write(bytes))
}
