//! Waits for a file to change without a busy loop: by inotify where there is one, and by a look now
//! and then everywhere.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The time between two looks at the file while the kernel reports changes. It does not report
/// those of other machines, and the end of a process comes before its locks go.
const PAUSE: Duration = Duration::from_millis(100);

/// The same if the kernel reports nothing.
const PAUSE_UNTOLD: Duration = Duration::from_millis(5);

/// Waits for changes of one file.
#[derive(Debug)]
pub(crate) struct Watcher {
    stop: Arc<Stop>,
    #[cfg(target_os = "linux")]
    changes: Option<rustix::fd::OwnedFd>,
}

/// Ends the waits of a [`Watcher`], from any thread and forever.
#[derive(Debug)]
pub(crate) struct Stop {
    is_told: AtomicBool,
    /// For waits without a descriptor.
    told: (Mutex<()>, Condvar),
    #[cfg(target_os = "linux")]
    wake: Option<rustix::fd::OwnedFd>,
}

impl Stop {
    pub(crate) fn tell(&self) {
        self.is_told.store(true, Ordering::SeqCst);
        #[cfg(target_os = "linux")]
        if let Some(wake) = &self.wake {
            let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
        }
        // A thread that looked before this waits by now.
        drop(self.told.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.told.1.notify_all();
    }

    pub(crate) fn is_told(&self) -> bool {
        self.is_told.load(Ordering::SeqCst)
    }
}

impl Watcher {
    pub(crate) fn new(file: &File) -> Watcher {
        #[cfg(target_os = "linux")]
        let wake = {
            use rustix::event::{EventfdFlags, eventfd};
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()
        };
        Watcher {
            #[cfg(target_os = "linux")]
            changes: wake.as_ref().and_then(|_| changes(file)),
            stop: Arc::new(Stop {
                is_told: AtomicBool::new(false),
                told: Default::default(),
                #[cfg(target_os = "linux")]
                wake,
            }),
        }
    }

    pub(crate) fn stop(&self) -> &Arc<Stop> {
        &self.stop
    }

    /// Waits until the file may have changed, the [`Stop`] is told, or `limit` is over.
    pub(crate) fn wait(&self, limit: Duration) {
        #[cfg(target_os = "linux")]
        if let (Some(changes), Some(wake)) = (&self.changes, &self.stop.wake) {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let mut descriptors = [changes, wake].map(|fd| PollFd::new(fd, PollFlags::IN));
            let limit = Timespec::try_from(limit.min(PAUSE)).ok();
            // An error is a signal, or no worse than a short wait.
            let _ = poll(&mut descriptors, limit.as_ref());
            if !descriptors[0].revents().is_empty() {
                // What is left of them is told at once.
                let mut events = [std::mem::MaybeUninit::uninit(); 4096];
                let _ = rustix::io::read(changes, &mut events[..]);
            }
            return;
        }
        let told = self
            .stop
            .told
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !self.stop.is_told() {
            let _ = self.stop.told.1.wait_timeout(told, limit.min(PAUSE_UNTOLD));
        }
    }
}

/// A descriptor that reports the changes of interest: an appender touches the file after it has
/// published, and closes it.
#[cfg(target_os = "linux")]
fn changes(file: &File) -> Option<rustix::fd::OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    use std::os::fd::AsRawFd;
    let changes = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    // This very file, even if another file has its name by now.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let what = WatchFlags::ATTRIB
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVE_SELF
        | WatchFlags::DELETE_SELF;
    add_watch(&changes, path, what).ok()?;
    Some(changes)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_wait_ends_when_it_is_told_to_and_from_then_on_at_once() {
        let file = tempfile::tempfile().unwrap();
        let watcher = Watcher::new(&file);
        let stop = watcher.stop().clone();
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                stop.tell();
            });
            while !stop.is_told() {
                watcher.wait(Duration::from_secs(60));
            }
        });
        assert!(start.elapsed() < Duration::from_secs(10));
        let start = Instant::now();
        for _ in 0..100 {
            watcher.wait(Duration::from_secs(60));
        }
        assert!(start.elapsed() < PAUSE * 50, "{:?}", start.elapsed());
    }

    #[test]
    fn a_wait_ends_at_its_limit() {
        let watcher = Watcher::new(&tempfile::tempfile().unwrap());
        let start = Instant::now();
        watcher.wait(Duration::from_millis(20));
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_touch_is_told_and_a_write_of_rows_is_not() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let watcher = Watcher::new(named.as_file());
        let wakes = |change: &dyn Fn(&File)| {
            let start = Instant::now();
            change(named.as_file());
            watcher.wait(PAUSE);
            start.elapsed() < PAUSE / 2
        };
        // Earlier events are over.
        wakes(&|_| ());
        let write = |file: &File| crate::sys::write_all_at(file, &[7; 100], 0).unwrap();
        let many = |change: &dyn Fn(&File)| (0..5).filter(|_| wakes(change)).count();
        assert!(many(&|file| crate::sys::touch(file).unwrap()) > 0);
        assert!(many(&write) < 5);
    }
}
