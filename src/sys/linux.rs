//! The Linux system calls that rustix lacks. All `unsafe` here is the call itself, over arguments that the kernel checks.

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::ops::Range;
use std::os::fd::AsRawFd;

use super::sync::retry;

/// Writes a range back: `sync_file_range`, with its flags. It syncs neither the file's metadata nor the disk's cache.
pub(crate) fn sync_file_range(file: &File, range: Range<u64>, flags: u32) -> io::Result<()> {
    let overflow = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let offset = range.start.try_into().map_err(overflow)?;
    let len = range
        .end
        .saturating_sub(range.start)
        .try_into()
        .map_err(overflow)?;
    // A length of 0 would mean "up to the end of the file".
    if len == 0 {
        return Ok(());
    }
    // SAFETY: takes a descriptor, which `file` keeps open, and numbers; touches no memory of ours.
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, flags) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Locks these bytes for reading, or unlocks them, by a lock of the open file (`F_OFD_SETLK`). An
/// error if somebody has one for writing.
#[cfg(target_pointer_width = "64")]
pub(super) fn lock_bytes(file: &File, bytes: Range<u64>, lock: bool) -> io::Result<()> {
    let kind = if lock { libc::F_RDLCK } else { libc::F_UNLCK };
    range_lock(file, libc::F_OFD_SETLK, kind, bytes).map(drop)
}

/// The bytes of a lock that another open file, or another process, has on some of these bytes
/// (`F_OFD_GETLK`).
#[cfg(target_pointer_width = "64")]
pub(super) fn locked_bytes(file: &File, bytes: Range<u64>) -> io::Result<Option<Range<u64>>> {
    // A length of 0 would mean "to the end of everything".
    if bytes.is_empty() {
        return Ok(None);
    }
    let found = range_lock(file, libc::F_OFD_GETLK, libc::F_WRLCK, bytes)?;
    let start = found.l_start as u64;
    let end = match found.l_len {
        0 => u64::MAX,
        len => start + len as u64,
    };
    Ok((i32::from(found.l_type) != libc::F_UNLCK).then_some(start..end))
}

#[cfg(target_pointer_width = "64")]
fn range_lock(file: &File, command: i32, kind: i32, bytes: Range<u64>) -> io::Result<libc::flock> {
    // SAFETY: a struct of numbers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock.l_start = bytes.start as _;
    lock.l_len = (bytes.end - bytes.start) as _;
    retry(|| {
        // SAFETY: reads and writes `lock` alone, on a descriptor that `file` keeps open.
        match unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    })?;
    Ok(lock)
}

/// One extent of a file, as `FS_IOC_FIEMAP` reports it (`struct fiemap_extent` of linux/fiemap.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    /// Where it starts in the file.
    pub(crate) logical: u64,
    physical: u64,
    /// Its length in bytes.
    pub(crate) length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

impl Extent {
    /// Whether another file, a snapshot for instance, has the same blocks.
    pub(crate) fn is_shared(&self) -> bool {
        self.flags & 0x2000 != 0
    }

    fn is_last(&self) -> bool {
        self.flags & 0x1 != 0
    }
}

const BATCH: usize = 64;

/// `struct fiemap` with room for a batch of extents.
#[repr(C)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
    extents: [Extent; BATCH],
}

/// `_IOWR('f', 11, struct fiemap)`, whose size leaves the extents out.
const FS_IOC_FIEMAP: u32 =
    rustix::ioctl::opcode::read_write::<[u8; offset_of!(Fiemap, extents)]>(b'f', 11) as u32;

/// Calls `visit` with each extent that lies in `range`, in order, until it returns false. What the file system has promised
/// a place but not given one yet counts as an extent, too.
pub(crate) fn for_each_extent(
    file: &File,
    range: Range<u64>,
    mut visit: impl FnMut(&Extent) -> bool,
) -> io::Result<()> {
    let mut start = range.start;
    while start < range.end {
        let mut request = Fiemap {
            start,
            length: range.end - start,
            flags: 0,
            mapped_extents: 0,
            extent_count: BATCH as u32,
            reserved: 0,
            extents: [Extent::default(); BATCH],
        };
        retry(|| {
            // SAFETY: `request` is a `struct fiemap` followed by room for `extent_count` extents, which is all that the
            // kernel writes.
            let result =
                unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP as _, &raw mut request) };
            if result == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        })?;
        let extents = &request.extents[..BATCH.min(request.mapped_extents as usize)];
        for extent in extents {
            if !visit(extent) || extent.is_last() {
                return Ok(());
            }
        }
        match extents.last() {
            Some(last) if last.logical + last.length > start => start = last.logical + last.length,
            _ => return Ok(()),
        }
    }
    Ok(())
}
