//! Makes bytes durable, or starts to.

use std::fs::File;
use std::io;
use std::ops::Range;

use super::retry::retry;

/// Waits until the file's bytes, those of shared maps included, and its length are on the disk
/// (`fdatasync`).
pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    retry(|| file.sync_data())
}

/// Waits until the file is on the disk, its owner and mode included (`fsync`).
pub(crate) fn sync_all(file: &File) -> io::Result<()> {
    retry(|| file.sync_all())
}

/// Starts to write these bytes of the file to the disk and returns at once. It makes nothing
/// durable: it only leaves less for the next sync to do.
pub(crate) fn start_writeback(file: &File, range: Range<u64>) -> io::Result<()> {
    // `msync(MS_ASYNC)` would do nothing.
    #[cfg(target_os = "linux")]
    return retry(|| {
        super::linux::sync_file_range(file, range.clone(), libc::SYNC_FILE_RANGE_WRITE)
    });
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, range);
        Ok(())
    }
}

/// Writes these bytes of the file to the disk and waits for it, so that the page cache can drop
/// them. It makes nothing durable, because that takes a sync of the disk and of the file's metadata
/// as well.
///
/// A failure is reported here and not by the next sync, so the caller must not lose it.
pub(crate) fn finish_writeback(file: &File, range: Range<u64>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
            | libc::SYNC_FILE_RANGE_WRITE
            | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        retry(|| super::linux::sync_file_range(file, range.clone(), flags))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, range);
        Ok(())
    }
}

/// Waits until the bytes of this range that are on their way to the disk have arrived, and starts
/// nothing. Failures are reported as by [`finish_writeback`].
pub(crate) fn wait_for_writeback(file: &File, range: Range<u64>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE;
        retry(|| super::linux::sync_file_range(file, range.clone(), flags))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, range);
        Ok(())
    }
}

/// Sets both times of the file to now, which notifies its watchers. A change of one time alone is
/// reported as a read or a write, of which there are many.
pub(crate) fn touch(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: now,
            last_modification: now,
        };
        Ok(rustix::fs::futimens(file, &times)?)
    }
    #[cfg(not(unix))]
    file.set_modified(std::time::SystemTime::now())
}
