//! The page cache: asks for pages before they are needed, and lets go of those that are no longer
//! needed.
//!
//! All of it is advice. It changes no byte, and a failure costs only time, so nothing here reports
//! an error.

use std::fs::File;
use std::ops::Range;

/// The kernel cuts a request off at the read-ahead window of the device; this is a common one.
#[cfg(target_os = "linux")]
const REQUEST: usize = 128 << 10;

/// Starts to read `range` of the file into the page cache and returns before it is there. Holes,
/// and blocks that were never written, are skipped: their zeros cost less when they are needed.
pub(crate) fn prefetch(file: &File, range: Range<u64>) {
    #[cfg(target_os = "linux")]
    {
        let data = rustix::fs::seek(file, rustix::fs::SeekFrom::Data(range.start));
        let start = match data {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => range.end,
            Err(_) => range.start,
        };
        for start in (start..range.end).step_by(REQUEST) {
            let len = std::num::NonZero::new((range.end - start).min(REQUEST as u64));
            let _ = rustix::fs::fadvise(file, start, len, rustix::fs::Advice::WillNeed);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, range);
}

/// Lets the page cache drop the clean pages that lie in `range` of the file.
pub(crate) fn drop_cached(file: &File, range: Range<u64>) {
    #[cfg(target_os = "linux")]
    if let Some(len) = std::num::NonZero::new(range.end.saturating_sub(range.start)) {
        let _ = rustix::fs::fadvise(file, range.start, Some(len), rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, range);
}

/// Whether the file has all of `range` and nothing was ever written there. To read the zeros would
/// fill pages of the cache with them first.
///
/// False on file systems that may not know of bytes that are in the page cache alone.
pub(crate) fn is_hole(file: &File, range: Range<u64>) -> bool {
    #[cfg(target_os = "linux")]
    {
        /// ext4, XFS, btrfs, F2FS, tmpfs.
        const KINDS: [u32; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];
        let data = rustix::fs::seek(file, rustix::fs::SeekFrom::Data(range.start));
        let nothing = match data {
            Ok(data) => data >= range.end,
            Err(error) => error == rustix::io::Errno::NXIO,
        };
        // The width of the field differs between architectures; the magic numbers have 32 bits.
        let is_known =
            || rustix::fs::fstatfs(file).is_ok_and(|found| KINDS.contains(&(found.f_type as u32)));
        // Behind the end of a file there is no data either.
        let is_there = || file.metadata().is_ok_and(|found| found.len() >= range.end);
        nothing && is_known() && is_there()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, range);
        false
    }
}

/// Fills `buffer` if the page cache has all of it, and says whether it has. This waits for nothing.
///
/// False on platforms without such a read.
pub(crate) fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> bool {
    #[cfg(target_os = "linux")]
    {
        let wanted = buffer.len();
        let mut buffer = [std::io::IoSliceMut::new(buffer)];
        let flags = rustix::io::ReadWriteFlags::NOWAIT;
        rustix::io::preadv2(file, &mut buffer, offset, flags) == Ok(wanted)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, buffer, offset);
        false
    }
}

/// Whether the byte at `offset` is in the page cache. False if the system does not tell.
///
/// It tries a read that must not wait. Unlike `mincore`, such a read tells the truth also to users
/// who do not own the file.
pub(crate) fn is_cached(file: &File, offset: u64) -> bool {
    read_cached(file, &mut [0], offset)
}
