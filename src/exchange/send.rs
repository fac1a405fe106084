//! Sends a file to a socket by the kernel: the bytes do not pass through this process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use ndarray::Dimension;

use super::stream::cannot_write;
use crate::element::Element;
use crate::error::{ErrorKind, Result};
use crate::store::{AccessMode, AnyStore, ArrayFile, Store};
use crate::sys;

impl ArrayFile {
    fn send(&self, to: BorrowedFd<'_>) -> Result<()> {
        self.check_guard("send")?;
        let header = self.npy_header().map_err(cannot_write)?;
        let failed = |cause| cannot_write(ErrorKind::io(cause));
        sys::send_all(to, &header).map_err(failed)?;
        let sent = sys::send_file(to, self.file(), self.array.offset, self.array.nbytes());
        sent.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.truncated("send"),
            _ => failed(error),
        })
    }
}

impl<A: Element, D: Dimension, M: AccessMode> Store<A, D, M> {
    /// Sends the array as NPY to a socket, or to anything else with a descriptor. The bytes are
    /// those of [`write_to`](Store::write_to); on Linux the kernel takes them straight from the
    /// page cache.
    ///
    /// Sends the elements as they are now, flushed or not, and no bytes behind them. Returns when
    /// the socket has taken all, even if the socket does not block; a time limit on writing
    /// ([`set_write_timeout`]) holds for each step.
    ///
    /// The socket's queue holds the pages of the file, not copies of them. Do not change the
    /// elements until the peer has them, or use `write_to`, which copies. Over loopback `write_to`
    /// is also faster, because no network card saves the other copy.
    ///
    /// [`set_write_timeout`]: std::net::TcpStream::set_write_timeout
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) if the socket fails, [`Truncated`](ErrorKind::Truncated) if the file
    /// was cut.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use ndarray::Ix2;
    /// use ndstore::Store;
    ///
    /// let socket = std::net::TcpStream::connect("[::1]:7000")?;
    /// Store::<f64, Ix2>::open("temp.dat")?.send(&socket)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&self, socket: impl AsFd) -> Result<()> {
        self.file.send(socket.as_fd())
    }
}

impl AnyStore {
    /// Sends the array as NPY to a socket. See [`Store::send`].
    ///
    /// # Errors
    ///
    /// As [`Store::send`].
    pub fn send(&self, socket: impl AsFd) -> Result<()> {
        self.file.send(socket.as_fd())
    }
}
