//! Blocks, room and limits: a file whose blocks are its own cannot run out of disk under a map.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

#[cfg(target_os = "linux")]
use super::linux;
#[cfg(unix)]
use super::sync::retry;

/// Gives `range` of the file blocks of its own, which read as zero where nothing was written, and makes the file at least
/// that long. Bytes that are there stay.
///
/// `ErrorKind::Unsupported` where the file system cannot reserve blocks. A failure may leave the file longer than it was.
pub(crate) fn allocate(file: &File, range: Range<u64>) -> io::Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    #[cfg(unix)]
    {
        let flags = rustix::fs::FallocateFlags::empty();
        let len = range.end - range.start;
        retry(|| Ok(rustix::fs::fallocate(file, flags, range.start, len)?))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Writes zeros over `range` of a new file: what [`allocate`] promises, at the price of a write.
pub(crate) fn write_zeros(file: &File, range: Range<u64>) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut offset = range.start;
    while offset < range.end {
        let len = (range.end - offset).min(zeros.len() as u64);
        super::write_all_at(file, &zeros[..len as usize], offset)?;
        offset += len;
    }
    Ok(())
}

/// Gives `range` of the file blocks that no snapshot shares, so that writing to it needs no new ones.
#[cfg(target_os = "linux")]
pub(crate) fn unshare(file: &File, range: Range<u64>) -> io::Result<()> {
    let flags = rustix::fs::FallocateFlags::UNSHARE_RANGE;
    retry(|| {
        Ok(rustix::fs::fallocate(
            file,
            flags,
            range.start,
            range.end - range.start,
        )?)
    })
}

/// What the blocks under a range of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// Every byte of the range has a block.
    pub(crate) allocated: bool,
    /// Another file, a snapshot for instance, has some of the same blocks.
    pub(crate) shared: bool,
}

/// Looks up the blocks under `range`. Dirty pages in it are written out first.
///
/// Where the file system does not list its extents (tmpfs, for one) the count of the file's blocks has to do.
pub(crate) fn blocks(file: &File, range: Range<u64>) -> io::Result<Blocks> {
    #[cfg(target_os = "linux")]
    {
        let mut blocks = Blocks {
            allocated: true,
            shared: false,
        };
        let mut covered = range.start;
        let listed = linux::for_each_extent(file, range.clone(), |extent| {
            blocks.allocated &= extent.logical <= covered;
            blocks.shared |= extent.is_shared();
            covered = extent.logical + extent.length;
            true
        });
        match listed {
            Ok(()) => {
                blocks.allocated &= covered >= range.end;
                return Ok(blocks);
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
    }
    counted_blocks(file, range)
}

#[cfg(unix)]
fn counted_blocks(file: &File, _: Range<u64>) -> io::Result<Blocks> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata()?;
    // `st_blocks` counts units of 512 bytes, whatever the file system's own block is.
    Ok(Blocks {
        allocated: metadata.blocks().saturating_mul(512) >= metadata.len(),
        shared: false,
    })
}

#[cfg(not(unix))]
fn counted_blocks(_: &File, _: Range<u64>) -> io::Result<Blocks> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The process's own limit on a file's length (`RLIMIT_FSIZE`). Past it the kernel would send SIGXFSZ.
pub(crate) fn file_size_limit() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    #[cfg(not(unix))]
    None
}

/// The bytes that this user may still write to the file system of `path`, or `None` where it does not tell.
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    stats(path).map(|stats| stats.available_space())
}

/// The bytes that are free on the file system of `path`, for whomever, or `None` where it does not tell.
pub(crate) fn total_free(path: &Path) -> Option<u64> {
    stats(path).map(|stats| stats.free_space())
}

/// File systems that do not count their space (some in user space) report 0 of everything.
fn stats(path: &Path) -> Option<fs2::FsStats> {
    fs2::statvfs(path)
        .ok()
        .filter(|stats| stats.total_space() > 0)
}

/// Whether the file system (btrfs) copies on write any extent that has more than one reference, two in one file included.
pub(crate) fn copies_on_write(file: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        const BTRFS_SUPER_MAGIC: i64 = 0x9123_683e;
        rustix::fs::fstatfs(file).is_ok_and(|found| found.f_type == BTRFS_SUPER_MAGIC)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        false
    }
}

/// Makes writes to a new, empty file go to its own blocks on a file system that otherwise copies on write (btrfs), where
/// reserved blocks are no protection from a full disk. Elsewhere, and where it is refused, this does nothing.
pub(crate) fn write_in_place(file: &File) {
    #[cfg(target_os = "linux")]
    {
        if copies_on_write(file)
            && let Ok(flags) = rustix::fs::ioctl_getflags(file)
        {
            let _ = rustix::fs::ioctl_setflags(file, flags | rustix::fs::IFlags::NOCOW);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
