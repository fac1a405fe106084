//! `Behind`: what lies behind a writer who goes through a file from front to back, on its way to the disk and out of memory.

use std::fs::File;
use std::io;
use std::ops::Range;

use super::work::Work;
use crate::sys;

/// Writeback starts at multiples of this, so that no page is written while it is still being filled.
const STEP: u64 = 1 << 20;

/// How many bytes may be on their way to the disk before their writer waits for the first of them.
const WINDOW: u64 = 32 << 20;

/// How many bytes are waited for at a time.
const BATCH: u64 = 8 << 20;

/// A part of a file that is written from front to back.
///
/// The `Writer` of `store` starts writeback, too, and is another thing: it sends 8 MiB at a time, waits for nothing and leaves
/// all in the page cache, while to send 1 MiB at a time and wait for what is 32 MiB behind is the fastest way to fill a file
/// that is larger than memory.
pub(super) struct Behind<'a> {
    file: &'a File,
    extent: Range<u64>,
    /// Up to here writeback was started.
    started: u64,
    /// Up to here the page cache let go of the pages.
    finished: u64,
    /// How many bytes behind `started` they are.
    window: u64,
    /// Whether they leave the page cache at all.
    drop: bool,
}

impl<'a> Behind<'a> {
    pub(super) fn new(file: &'a File, extent: Range<u64>, work: &Work<'_>) -> Behind<'a> {
        Behind {
            file,
            started: extent.start,
            finished: extent.start,
            window: WINDOW.min(work.memory() as u64 / 4),
            // What does not stay in the page cache anyway makes room there before the kernel has to look for some.
            drop: sys::outgrows_cache(extent.end - extent.start),
            extent,
        }
    }

    /// Says that everything before an offset is written.
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
