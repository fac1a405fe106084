//! Blocks, space and limits: a file that owns its blocks cannot run out of disk under a map.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::Path;

#[cfg(target_os = "linux")]
use super::linux;
#[cfg(target_os = "linux")]
use super::retry::retry;

/// Gives `range` of the file blocks of its own, which read as zero where nothing was written, and
/// makes the file at least that long. Existing bytes stay.
///
/// `ErrorKind::Unsupported` where the file system cannot reserve blocks. A failure may leave the
/// file longer than it was.
pub(crate) fn allocate(file: &File, range: Range<u64>) -> io::Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        let flags = rustix::fs::FallocateFlags::empty();
        let len = range.end - range.start;
        retry(|| Ok(rustix::fs::fallocate(file, flags, range.start, len)?))
    }
    // Elsewhere the call, if there is one, may cut the file or leave its holes.
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Reserves blocks for `range`, at the end of the file, and does not change its length.
/// `ErrorKind::Unsupported` as for [`allocate`].
pub(crate) fn reserve(file: &File, range: Range<u64>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let flags = rustix::fs::FallocateFlags::KEEP_SIZE;
        let len = range.end - range.start;
        retry(|| Ok(rustix::fs::fallocate(file, flags, range.start, len)?))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, range);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whether blocks are reserved behind the end of the file, as a process leaves them that dies while
/// it appends.
pub(crate) fn has_reserve(file: &File, metadata: &Metadata) -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        // The block that the file ends in is part of the file, whatever its size.
        const LARGEST_BLOCK: u64 = 64 << 10;
        let behind = metadata.len().next_multiple_of(LARGEST_BLOCK)..i64::MAX as u64;
        let mut found = false;
        let listed = linux::for_each_extent(file, behind.clone(), |extent| {
            found = extent.logical + extent.length > behind.start;
            !found
        });
        match listed {
            Ok(()) => found,
            // tmpfs does not list extents, and counts only data.
            Err(_) => metadata.blocks().saturating_mul(512) > behind.start,
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, metadata);
        false
    }
}

/// Writes zeros over `range` of a new file: keeps the promise of [`allocate`] at the cost of a
/// write.
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

/// Gives `range` of the file blocks that no snapshot shares, so that writing to it needs no new
/// ones.
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

/// The state of the blocks under a range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// Every byte of the range has a block.
    pub(crate) allocated: bool,
    /// Another file, such as a snapshot, has some of the same blocks.
    pub(crate) shared: bool,
}

/// Looks up the blocks under `range`.
///
/// If the file system does not list its extents (as tmpfs), the count of the file's blocks decides.
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

/// The process's own limit on a file's length (`RLIMIT_FSIZE`). Past it the kernel would send
/// SIGXFSZ.
pub(crate) fn file_size_limit() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    #[cfg(not(unix))]
    None
}

/// The bytes that this user may still write to the file system of `path`, or `None` if that does
/// not tell.
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    stats(path).map(|stats| usable(stats.available_space(), stats.free_space()))
}

/// The free bytes that this user may use, out of those for ordinary users and those for anybody.
/// Some file systems keep a part for root.
pub(super) fn usable(available: u64, free: u64) -> u64 {
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        return free;
    }
    let _ = free;
    available
}

/// The bytes that are free on the file system of `path` for any user, or `None` if that does not
/// tell.
pub(crate) fn total_free(path: &Path) -> Option<u64> {
    stats(path).map(|stats| stats.free_space())
}

/// File systems that do not count their space (some in user space) report 0 of everything.
fn stats(path: &Path) -> Option<fs2::FsStats> {
    fs2::statvfs(path)
        .ok()
        .filter(|stats| stats.total_space() > 0)
}

/// Whether each write to the file goes to a new block (btrfs), so that a reserve does not protect
/// from a full disk.
pub(crate) fn copies_on_write(file: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        on_btrfs(file)
            && !rustix::fs::ioctl_getflags(file)
                .is_ok_and(|flags| flags.contains(rustix::fs::IFlags::NOCOW))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        false
    }
}

/// Makes writes to a new, empty file go to the blocks that it has, if they otherwise would not
/// ([`copies_on_write`]). Elsewhere, or if the system refuses, this does nothing.
pub(crate) fn write_in_place(file: &File) {
    #[cfg(target_os = "linux")]
    if on_btrfs(file)
        && let Ok(flags) = rustix::fs::ioctl_getflags(file)
    {
        let _ = rustix::fs::ioctl_setflags(file, flags | rustix::fs::IFlags::NOCOW);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Whether the file is on btrfs, which copies on write any extent with more than one reference,
/// even if both are in one file.
pub(crate) fn on_btrfs(file: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        const BTRFS_SUPER_MAGIC: u32 = 0x9123_683e;
        // The width of the field differs between architectures; the magic numbers have 32 bits.
        rustix::fs::fstatfs(file).is_ok_and(|found| found.f_type as u32 == BTRFS_SUPER_MAGIC)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        false
    }
}
