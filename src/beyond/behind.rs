//! `Behind`: what lies behind a writer who goes through a file from front to back, on its way to the disk and out of memory.

use std::io;

use super::work::Work;
use crate::mapping::Pages;
use crate::sys;

/// Writeback starts at multiples of this, so that no page is written while it is still being filled.
const STEP: u64 = 1 << 20;

/// How many bytes may be on their way to the disk before their writer waits for the first of them.
const WINDOW: usize = 32 << 20;

/// How many bytes are waited for at a time.
const BATCH: usize = 8 << 20;

/// The bytes of an array that were written, from the front to `started`.
///
/// The `Writer` of `store` starts writeback, too, and is another thing: it sends 8 MiB at a time, waits for nothing and leaves
/// all in the page cache, while to send 1 MiB at a time and wait for what is 32 MiB behind is the fastest way to fill a file
/// that is larger than memory.
pub(super) struct Behind<'a> {
    pages: Pages<'a>,
    nbytes: usize,
    /// Up to here writeback was started.
    started: usize,
    /// Up to here pages were let go of.
    finished: usize,
    /// How many bytes behind `started` they are.
    window: usize,
    /// Whether pages leave this process's memory.
    release: bool,
    /// Whether they leave the page cache, too.
    drop: bool,
}

impl<'a> Behind<'a> {
    pub(super) fn new(pages: Pages<'a>, nbytes: usize, work: &Work<'_>) -> Behind<'a> {
        Behind {
            pages,
            nbytes,
            started: 0,
            finished: 0,
            window: WINDOW.min(work.memory() / 4),
            release: nbytes > work.memory(),
            // What does not stay in the page cache anyway makes room there before the kernel has to look for some.
            drop: sys::outgrows_cache(nbytes as u64),
        }
    }

    /// Says that all bytes before `done` are written.
    pub(super) fn reached(&mut self, done: usize) -> io::Result<()> {
        let mut end = done;
        if done < self.nbytes {
            let offset = self.pages.in_file(0..done).end;
            end = done.saturating_sub((offset % STEP) as usize);
        }
        if end > self.started {
            self.pages.start_writeback(self.started..end)?;
            self.started = end;
        }
        while (self.release || self.drop) && self.started - self.finished > self.window + BATCH {
            let batch = self.finished..self.finished + BATCH;
            if self.drop {
                self.pages.finish_writeback(batch.clone())?;
            }
            self.pages.release(batch.clone());
            if self.drop {
                self.pages.drop_cached(batch.clone());
            }
            self.finished = batch.end;
        }
        Ok(())
    }
}
