//! The Linux system calls that rustix lacks. All `unsafe` here is the call itself, over arguments
//! that the kernel checks.

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::ops::Range;
use std::os::fd::AsRawFd;

use super::retry::retry;

/// Writes a range back: `sync_file_range`, with its flags. It syncs neither the file's metadata nor
/// the disk's cache.
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
    // SAFETY: takes a descriptor, which `file` keeps open, and numbers; it touches no memory of
    // ours.
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, flags) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// One extent of a file, as `FS_IOC_FIEMAP` reports it (`struct fiemap_extent` of linux/fiemap.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    /// The offset of its start in the file.
    pub(crate) logical: u64,
    physical: u64,
    /// Its length in bytes.
    pub(crate) length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

impl Extent {
    /// Whether another file, such as a snapshot, has the same blocks.
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

/// Calls `visit` with each extent that lies in `range`, in order, until it returns false. Bytes
/// that the file system has not placed on the disk yet count as an extent, too.
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
            // SAFETY: `request` is a `struct fiemap` followed by room for `extent_count` extents,
            // which is all that the kernel writes.
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

/// The kind of a lock of an open file description: `F_RDLCK`, `F_WRLCK` or none.
#[cfg(target_pointer_width = "64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeLock {
    Read,
    Write,
    None,
}

/// `F_OFD_SETLK`, or with `ask` `F_OFD_GETLK`, which describes the lock that stands in the way: its
/// kind, its start, its length (0: up to the end of everything), and its process (-1: an open file
/// description).
#[cfg(target_pointer_width = "64")]
pub(crate) fn lock_range(
    file: &File,
    ask: bool,
    lock: RangeLock,
    start: i64,
    len: i64,
) -> io::Result<(RangeLock, i64, i64, i32)> {
    let kind = match lock {
        RangeLock::Read => libc::F_RDLCK,
        RangeLock::Write => libc::F_WRLCK,
        RangeLock::None => libc::F_UNLCK,
    };
    let mut request = libc::flock {
        l_type: kind as _,
        l_whence: libc::SEEK_SET as _,
        l_start: start,
        l_len: len,
        l_pid: 0,
    };
    let command = match ask {
        true => libc::F_OFD_GETLK,
        false => libc::F_OFD_SETLK,
    };
    retry(|| {
        // SAFETY: both commands take a `struct flock`, which `request` is, and write to nothing
        // else.
        match unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut request) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    })?;
    let lock = match i32::from(request.l_type) {
        libc::F_RDLCK => RangeLock::Read,
        libc::F_WRLCK => RangeLock::Write,
        _ => RangeLock::None,
    };
    Ok((lock, request.l_start, request.l_len, request.l_pid))
}
