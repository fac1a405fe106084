//! `Ahead`: what is needed soon, on its way from the disk, asked for by a thread of its own.
//!
//! To ask is work, too: the kernel finds memory for each page before it returns. While it does, the caller computes.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use crate::mapping::Pages;
use crate::sys;

/// Reads parts of a file ahead. The thread is there once something was not in the page cache.
pub(super) struct Ahead<'a> {
    pages: Pages<'a>,
    /// `None` where there can be no thread: then the caller waits.
    thread: OnceLock<Option<Thread>>,
}

struct Thread {
    wanted: Option<Sender<Range<u64>>>,
    handle: Option<JoinHandle<()>>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(pages: Pages<'a>) -> Ahead<'a> {
        Ahead {
            pages,
            thread: OnceLock::new(),
        }
    }

    /// Has these bytes of the array read, unless they seem to be in the page cache.
    pub(super) fn want(&self, bytes: Range<usize>) {
        if self.pages.is_cached(bytes.clone()) {
            return;
        }
        let range = self.pages.in_file(bytes);
        let thread = self.thread.get_or_init(|| Thread::start(self.pages));
        let sent = thread
            .as_ref()
            .and_then(|thread| thread.wanted.as_ref()?.send(range.clone()).ok());
        if sent.is_none() {
            sys::prefetch(self.pages.file(), range);
        }
    }
}

impl Thread {
    fn start(pages: Pages<'_>) -> Option<Thread> {
        let file = pages.file().try_clone().ok()?;
        let (wanted, requests) = mpsc::channel::<Range<u64>>();
        let read = move || {
            requests
                .iter()
                .for_each(|range| sys::prefetch(&file, range))
        };
        let handle = thread::Builder::new()
            .name("ndstore ahead".into())
            .spawn(read);
        Some(Thread {
            wanted: Some(wanted),
            handle: handle.ok(),
        })
    }
}

impl Drop for Thread {
    /// Waits until the thread has let go of the file.
    fn drop(&mut self) {
        self.wanted = None;
        // It does not panic, and if it did nothing would be lost.
        let _ = self.handle.take().map(JoinHandle::join);
    }
}
