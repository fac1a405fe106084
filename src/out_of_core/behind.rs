//! `Behind`: sends the bytes behind a writer, who goes through a file from front to back, to the
//! disk and out of memory.

use std::fs::File;
use std::io;
use std::ops::Range;

use super::work::Work;
use crate::sys;

/// Writeback starts at multiples of this, so that no page is written while it is still being
/// filled.
const STEP: u64 = 1 << 20;

/// The bytes that may be on their way to the disk before their writer waits for the first of them.
const WINDOW: u64 = 32 << 20;

/// The bytes that are waited for at a time.
const BATCH: u64 = 8 << 20;

/// A part of a file that is written from front to back.
///
/// The `Writer` of `store` starts writeback, too, but for another purpose: it sends 8 MiB at a
/// time, waits for nothing and leaves all in the page cache. The fastest way to fill a file that is
/// larger than memory is to send 1 MiB at a time and wait for the bytes 32 MiB behind.
pub(super) struct Behind<'a> {
    file: &'a File,
    extent: Range<u64>,
    /// The offset up to which writeback was started.
    started: u64,
    /// The offset up to which the page cache dropped the pages.
    finished: u64,
    /// The distance of `finished` behind `started`.
    window: u64,
    /// Whether the pages leave the page cache at all.
    drop: bool,
}

impl<'a> Behind<'a> {
    pub(super) fn new(file: &'a File, extent: Range<u64>, work: &Work<'_>) -> Behind<'a> {
        Behind {
            file,
            started: extent.start,
            finished: extent.start,
            window: WINDOW.min(work.memory() as u64 / 4),
            // Pages that would not stay in the page cache anyway make room before the kernel has to
            // look for some.
            drop: sys::outgrows_cache(extent.end - extent.start),
            extent,
        }
    }

    /// Tells that everything before an offset is written.
    pub(super) fn reached(&mut self, done: u64) -> io::Result<()> {
        let end = match done < self.extent.end {
            true => done - done % STEP,
            false => done,
        };
        if end > self.started {
            sys::start_writeback(self.file, self.started..end)?;
            self.started = end;
        }
        while self.drop && self.started - self.finished > self.window + BATCH {
            let batch = self.finished..self.finished + BATCH;
            sys::finish_writeback(self.file, batch.clone())?;
            sys::drop_cached(self.file, batch.clone());
            self.finished = batch.end;
        }
        Ok(())
    }
}
