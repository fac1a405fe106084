//! Sends all bytes of a range of a file to a socket or any other descriptor, however little that
//! takes at a time.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags};

use super::read_at;
use super::retry::retry;

/// Writes all of `bytes`.
pub(crate) fn send_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match when_ready(to, || rustix::io::write(to, bytes))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            sent => bytes = &bytes[sent..],
        }
    }
    Ok(())
}

/// The bytes that are copied at a time if the kernel cannot send them.
const PIECE: usize = 256 << 10;

/// Sends `len` bytes of `file` from `offset` on. `UnexpectedEof` if the file has fewer.
///
/// On Linux the kernel takes them from the page cache, dirty pages of maps included. Bytes that it
/// cannot send that way are read and written.
pub(crate) fn send_file(
    to: BorrowedFd<'_>,
    file: &File,
    offset: u64,
    len: usize,
) -> io::Result<()> {
    let mut sent = send_pages(to, file, offset, len)?;
    let mut buffer = vec![0; PIECE.min(len - sent)];
    while sent < len {
        let piece = &mut buffer[..PIECE.min(len - sent)];
        if read_at(file, piece, offset + sent as u64)? < piece.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        send_all(to, piece)?;
        sent += piece.len();
    }
    Ok(())
}

/// Makes the kernel send `len` bytes of the file. Returns how many it sent before it found that it
/// cannot send from this file system or to that descriptor.
#[cfg(target_os = "linux")]
fn send_pages(to: BorrowedFd<'_>, file: &File, offset: u64, len: usize) -> io::Result<usize> {
    use rustix::io::Errno;
    // The most bytes that one call sends.
    const STEP: usize = 0x7fff_f000;
    let mut sent = 0;
    while sent < len {
        let mut from = offset + sent as u64;
        let step = (len - sent).min(STEP);
        match when_ready(to, || rustix::fs::sendfile(to, file, Some(&mut from), step)) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(step) => sent += step,
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
                ) =>
            {
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

#[cfg(not(target_os = "linux"))]
fn send_pages(_: BorrowedFd<'_>, _: &File, _: u64, _: usize) -> io::Result<usize> {
    Ok(0)
}

/// Repeats the call, and waits while a descriptor that does not block has no room. If a blocking
/// descriptor reports "no room", its time limit (`SO_SNDTIMEO`) has run out.
fn when_ready(
    to: BorrowedFd<'_>,
    mut call: impl FnMut() -> rustix::io::Result<usize>,
) -> io::Result<usize> {
    loop {
        match retry(|| Ok(call()?)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !blocks(to)? => {
                retry(|| {
                    Ok(rustix::event::poll(
                        &mut [PollFd::new(&to, PollFlags::OUT)],
                        None,
                    )?)
                })?;
            }
            result => return result,
        }
    }
}

fn blocks(to: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(!rustix::fs::fcntl_getfl(to)?.contains(rustix::fs::OFlags::NONBLOCK))
}
