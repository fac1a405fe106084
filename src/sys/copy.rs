//! Copying between files without the bytes passing through this process.

use std::fs::File;
use std::io;
use std::ops::Range;

#[cfg(target_os = "linux")]
use super::retry::retry;
use super::write_all_at;

/// Makes the empty file `to` a copy of `from` that shares its blocks. False if the file system
/// cannot share blocks.
pub(crate) fn clone_file(from: &File, to: &File) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::ioctl_ficlone(to, from).is_ok();
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (from, to);
        false
    }
}

/// Copies `source` of `from` to offset `target` of `to`.
///
/// The kernel copies. With `may_share` it may let both files have the same blocks; without, `to`
/// gets its own.
pub(crate) fn copy_range(
    from: &File,
    source: Range<u64>,
    to: &File,
    target: u64,
    may_share: bool,
) -> io::Result<()> {
    let mut done = 0;
    let len = source.end - source.start;
    while done < len {
        match copy_some(
            from,
            source.start + done,
            to,
            target + done,
            len - done,
            may_share,
        )? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            copied => done += copied,
        }
    }
    Ok(())
}

fn copy_some(
    from: &File,
    source: u64,
    to: &File,
    target: u64,
    len: u64,
    may_share: bool,
) -> io::Result<u64> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;
        // With 32 bits, 4 GiB would be a length of 0.
        let step = len.min(isize::MAX as u64) as usize;
        let copied = retry(|| {
            Ok(if may_share {
                rustix::fs::copy_file_range(
                    from,
                    Some(&mut { source }),
                    to,
                    Some(&mut { target }),
                    step,
                )?
            } else {
                rustix::fs::seek(to, rustix::fs::SeekFrom::Start(target))?;
                rustix::fs::sendfile(to, from, Some(&mut { source }), step)?
            })
        });
        match copied {
            Ok(copied) => return Ok(copied as u64),
            // The file system, or this pair of files, has no copy in the kernel.
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS)
                ) => {}
            Err(error) => return Err(error),
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = may_share;
    copy_buffered(from, source, to, target, len)
}

fn copy_buffered(from: &File, source: u64, to: &File, target: u64, len: u64) -> io::Result<u64> {
    let mut buffer = vec![0; len.min(1 << 20) as usize];
    let copied = super::read_at(from, &mut buffer, source)?;
    write_all_at(to, &buffer[..copied], target)?;
    Ok(copied as u64)
}

/// The parts of `range` that hold data, in order. The bytes between them read as zero and need no
/// copy.
///
/// Dirty pages must have been synced, so that every file system knows of them. If the file system
/// does not report holes, all is data.
pub(crate) fn data_ranges(file: &File, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::SeekFrom;
        use rustix::io::Errno;
        let mut ranges = Vec::new();
        let mut offset = range.start;
        while offset < range.end {
            let start = match rustix::fs::seek(file, SeekFrom::Data(offset)) {
                Ok(start) => start,
                Err(Errno::NXIO) => break,
                Err(Errno::INVAL) => return Ok(vec![range]),
                Err(error) => return Err(error.into()),
            };
            if start >= range.end {
                break;
            }
            let end = rustix::fs::seek(file, SeekFrom::Hole(start))?.min(range.end);
            ranges.push(start..end);
            offset = end;
        }
        Ok(ranges)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        Ok(vec![range])
    }
}
