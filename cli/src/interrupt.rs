//! Ctrl-C: a flag that operations look at, and an end for those that do not come to it.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::outcome::{Failure, Outcome};

/// How long an operation has to end by itself, and to take its draft with it.
const GRACE: Duration = Duration::from_millis(800);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ends the process with exit code 130 after Ctrl-C. New files have no name until they are whole, so none is left.
pub(crate) fn heed() {
    let on_interrupt = || {
        INTERRUPTED.store(true, Ordering::Relaxed);
        std::thread::sleep(GRACE);
        std::process::exit(130);
    };
    // A process that cannot have a handler ends by the signal itself, whose exit code the shell says to be 130 as well.
    let _ = ctrlc::set_handler(on_interrupt);
}

/// Whether somebody pressed Ctrl-C.
pub(crate) fn is_pressed() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Ends a loop of many steps after Ctrl-C.
pub(crate) fn check() -> Outcome<()> {
    match is_pressed() {
        true => Err(Failure::Interrupted),
        false => Ok(()),
    }
}

/// A stream whose reads end after Ctrl-C, so that a new file which waits for its bytes takes its draft with it.
pub(crate) struct Heeding<R>(pub(crate) R);

impl<R: Read + AsFd> Read for Heeding<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !is_pressed() {
            if has_more(self.0.as_fd())? {
                return self.0.read(into);
            }
        }
        Err(io::Error::other("interrupted"))
    }
}

/// Whether a read would not wait: there are bytes, or the end. Looks for a moment.
fn has_more(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let moment = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    match rustix::event::poll(&mut fds, Some(&moment)) {
        Ok(found) => Ok(found > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
