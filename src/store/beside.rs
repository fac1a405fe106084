//! Openers that leave room for others: to append, to watch, to write some rows, to share all of it.
//!
//! docs/locks.md says who may be beside whom; `claims` sees to it.

use std::ops::{Bound, Range, RangeBounds};
use std::path::Path;

use ndarray::Dimension;

use super::any::AnyStore;
use super::array::{Array, check_length};
use super::file::ArrayFile;
use super::mode::{
    AccessMode, Append, Opened, ReadOnly, Refreshable, Rows, Shared, SharedRead, Watch,
};
use super::options::Options;
use super::typed::Store;
use super::{claims, open};
use crate::element::Element;
use crate::error::{Context, ErrorKind, Result};
use crate::header;
use crate::sys::{self, ranges::Other};

/// How to open an array whose type is known only at run time. [`Options::open_any_as`] takes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opening {
    /// As [`Store::open`].
    Read,
    /// As [`Store::open_rw`].
    ReadWrite,
    /// As [`Store::open_watch`].
    Watch,
    /// As [`Store::open_rows`].
    Rows(Range<usize>),
    /// As [`Store::open_rows_read`].
    RowsRead(Range<usize>),
    /// As [`Store::open_append`].
    Append,
    /// As [`Store::open_shared`].
    Shared,
    /// As [`Store::open_shared_read`].
    SharedRead,
}

impl Opening {
    fn parts(self) -> (Opened, Option<Range<usize>>) {
        match self {
            Opening::Read => (Opened::Read, None),
            Opening::ReadWrite => (Opened::Alone, None),
            Opening::Watch => (Opened::Watch, None),
            Opening::Rows(rows) => (Opened::Rows, Some(rows)),
            Opening::RowsRead(rows) => (Opened::Read, Some(rows)),
            Opening::Append => (Opened::Append, None),
            Opening::Shared => (Opened::Shared, None),
            Opening::SharedRead => (Opened::SharedRead, None),
        }
    }
}

impl Options {
    /// Opens a file to append rows to it, while others read those that are there. See
    /// [`Store::open_append`].
    ///
    /// # Errors
    ///
    /// As [`Store::open_append`].
    pub fn open_append<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<Store<A, D, Append>> {
        self.open_beside(path.as_ref(), Opening::Append)
    }

    /// Opens a file to read it beside everybody. See [`Store::open_watch`].
    ///
    /// # Errors
    ///
    /// As [`Store::open_watch`].
    pub fn open_watch<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<Store<A, D, Watch>> {
        self.open_beside(path.as_ref(), Opening::Watch)
    }

    /// Opens some rows of a file, to read and write them while others have the rest. See
    /// [`Store::open_rows`].
    ///
    /// # Errors
    ///
    /// As [`Store::open_rows`].
    pub fn open_rows<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
        rows: impl RangeBounds<usize>,
    ) -> Result<Store<A, D, Rows>> {
        let path = path.as_ref();
        self.open_beside(path, Opening::Rows(given(path, rows)?))
    }

    /// Opens some rows of a file for reading. See [`Store::open_rows_read`].
    ///
    /// # Errors
    ///
    /// As [`Store::open_rows_read`].
    pub fn open_rows_read<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
        rows: impl RangeBounds<usize>,
    ) -> Result<Store<A, D, ReadOnly>> {
        let path = path.as_ref();
        self.open_beside(path, Opening::RowsRead(given(path, rows)?))
    }

    /// Opens a file that others read and write as well. See [`Store::open_shared`].
    ///
    /// # Errors
    ///
    /// As [`Store::open_shared`].
    pub fn open_shared<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<Store<A, D, Shared>> {
        self.open_beside(path.as_ref(), Opening::Shared)
    }

    /// Opens a file for reading that others write. See [`Store::open_shared_read`].
    ///
    /// # Errors
    ///
    /// As [`Store::open_shared_read`].
    pub fn open_shared_read<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<Store<A, D, SharedRead>> {
        self.open_beside(path.as_ref(), Opening::SharedRead)
    }

    /// Opens a file of any dtype and rank, in a way that is known only at run time.
    ///
    /// # Errors
    ///
    /// As the opener of [`Store`] that the way is named after, less those about the type and the
    /// rank.
    pub fn open_any_as(&self, path: impl AsRef<Path>, opening: Opening) -> Result<AnyStore> {
        let file = self.open_file(path.as_ref(), opening, self.dtype.clone())?;
        Ok(AnyStore { file })
    }

    fn open_beside<A: Element, D: Dimension, M: AccessMode>(
        &self,
        path: &Path,
        opening: Opening,
    ) -> Result<Store<A, D, M>> {
        let file = self.open_file(path, opening, Some(A::dtype()))?;
        Ok(Store::from_file(file)?)
    }

    fn open_file(
        &self,
        path: &Path,
        opening: Opening,
        dtype: Option<crate::dtype::DType>,
    ) -> Result<ArrayFile> {
        let (opened, rows) = opening.parts();
        let mut file = open::open(path, opened, rows, self, dtype)?;
        if opened == Opened::Append {
            file.start_growth("append to")?;
            file.check_publishing()?;
        }
        Ok(file)
    }
}

/// The rows that somebody asks for, who has to say which: how many there are is known later.
fn given(path: &Path, rows: impl RangeBounds<usize>) -> Result<Range<usize>> {
    let start = match rows.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match rows.end_bound() {
        Bound::Included(&end) => end.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => {
            return Err(Context::new(path, "open").fail(ErrorKind::InvalidOption {
                reason: "the last of the rows is not given; others may append while this is opened, so say where they end",
            }));
        }
    };
    Ok(start..end)
}

impl<A: Element, D: Dimension> Store<A, D> {
    /// Opens an existing file to append rows to it, while others read those that are there: `a`.
    ///
    /// [`append`](Store::append), [`push`](Store::push) and [`appender`](Store::appender) publish
    /// rows as in a file that is open alone. Readers that are open, and those that open it
    /// meanwhile, see whole rows that are on the disk and nothing else; [`refresh`](Store::refresh)
    /// and [`follow`](Store::follow) show them more. There is one appender at a time. It reads the
    /// rows that are published, which others may change by [`open_rows`](Store::open_rows), and
    /// cannot be mapped.
    ///
    /// NumPy sees the same: `np.load(path, mmap_mode='r')` has a prefix of whole rows at every
    /// moment.
    ///
    /// # Errors
    ///
    /// - As [`open_rw`](Store::open_rw); [`Locked`](ErrorKind::Locked) if somebody appends, has the
    ///   file open alone or shares all of it.
    /// - [`InvalidOption`](ErrorKind::InvalidOption) for a file whose header cannot change while others
    ///   read it: a raw file has none, and those that `np.save` writes have the number of rows
    ///   across the end of a line of 64 bytes, until [`rewrite`](Store::rewrite) gives them another.
    /// - [`TrailingBytes`](ErrorKind::TrailingBytes), and [`LockUnsupported`](ErrorKind::LockUnsupported)
    ///   where files cannot be locked in part.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("log.npy");
    ///
    /// Store::<f64, _>::create(&path, (0, 2))?.close()?;
    /// let mut log = Store::<f64, Ix2>::open_append(&path)?;
    /// let mut reader = Store::<f64, Ix2>::open(&path)?;
    /// log.push(&array![1.0, 2.0])?;
    /// assert_eq!(reader.refresh()?, 1);
    /// assert_eq!(reader.read_all()?, array![[1.0, 2.0]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn open_append(path: impl AsRef<Path>) -> Result<Store<A, D, Append>> {
        Options::new().open_append(path)
    }

    /// Opens an existing file to read it beside everybody who is not alone, those that write rows
    /// in place among them: to show it, to serve it, to follow it.
    ///
    /// It claims nothing, so the elements that it reads may be old ones or new ones, each byte by
    /// itself, where somebody writes them; and it cannot be mapped. Rows that an appender publishes
    /// are whole.
    ///
    /// # Errors
    ///
    /// As [`open`](Store::open); [`Locked`](ErrorKind::Locked) only if somebody has the file open
    /// alone.
    ///
    /// # Examples
    ///
    /// A view would be a promise that nobody gave:
    ///
    /// ```compile_fail,E0599
    /// # use ndarray::Ix1;
    /// # use ndstore::Store;
    /// let store = Store::<f64, Ix1>::open_watch("temp.dat")?;
    /// let map = unsafe { store.map()? };
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn open_watch(path: impl AsRef<Path>) -> Result<Store<A, D, Watch>> {
        Options::new().open_watch(path)
    }

    /// Opens some rows of an existing file to read and write them, while others have other rows: an
    /// array of these rows alone.
    ///
    /// A row is one index of the slowest axis: the first in C order, the last in Fortran order.
    /// Nobody else reads or writes these rows, in this process or another, but NumPy and those that
    /// [watch](Store::open_watch); so they can be mapped. [`flush`](Store::flush) makes them
    /// durable and says nothing of others. Works in any file, also in one that NumPy made. Rows of
    /// two stores may lie in one page.
    ///
    /// # Errors
    ///
    /// - As [`open_rw`](Store::open_rw); [`Locked`](ErrorKind::Locked) if somebody has some of these
    ///   rows, with the rows and who it is.
    /// - [`RowsOutOfBounds`](ErrorKind::RowsOutOfBounds), [`InvalidOption`](ErrorKind::InvalidOption) for a
    ///   range without an end.
    /// - [`LockUnsupported`](ErrorKind::LockUnsupported) where files cannot be locked in part.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{ErrorKind, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("temp.dat");
    ///
    /// Store::<f64, _>::create(&path, (4, 3))?.close()?;
    /// let mut top = Store::<f64, Ix2>::open_rows(&path, 0..2)?;
    /// let mut bottom = Store::<f64, Ix2>::open_rows(&path, 2..4)?;
    /// top.write_all(&arr0(1.0))?;
    /// bottom.write(s![1, ..], &arr0(2.0))?;
    /// let refused = Store::<f64, Ix2>::open_rows(&path, 1..3).unwrap_err();
    /// assert!(matches!(refused.kind(), ErrorKind::Locked { rows: Some(_), .. }));
    /// drop((top, bottom));
    /// assert_eq!(Store::<f64, Ix2>::open(&path)?.read(s![.., 0])?, array![1.0, 1.0, 0.0, 2.0]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn open_rows(
        path: impl AsRef<Path>,
        rows: impl RangeBounds<usize>,
    ) -> Result<Store<A, D, Rows>> {
        Options::new().open_rows(path, rows)
    }

    /// Opens some rows of an existing file for reading, while others may write other rows. See
    /// [`open_rows`](Store::open_rows).
    ///
    /// # Errors
    ///
    /// As [`open_rows`](Store::open_rows); [`Locked`](ErrorKind::Locked) if somebody writes some of
    /// these rows.
    pub fn open_rows_read(
        path: impl AsRef<Path>,
        rows: impl RangeBounds<usize>,
    ) -> Result<Store<A, D, ReadOnly>> {
        Options::new().open_rows_read(path, rows)
    }

    /// Opens an existing file that any number of others read and write anywhere, as many processes
    /// do with one `np.memmap`.
    ///
    /// Nobody is kept from an element, so what two of them write at a time comes in any order, each
    /// byte by itself; and it cannot be mapped here, where a view would be a promise.
    /// [`into_fd`](Store::into_fd) is for those who map it where none is. It keeps out all who were
    /// promised that their rows do not change, and is kept out by them.
    ///
    /// # Errors
    ///
    /// As [`open_rw`](Store::open_rw); [`Locked`](ErrorKind::Locked) unless all who have the file open
    /// share it, or watch.
    pub fn open_shared(path: impl AsRef<Path>) -> Result<Store<A, D, Shared>> {
        Options::new().open_shared(path)
    }

    /// Opens an existing file for reading that others write anywhere. See
    /// [`open_shared`](Store::open_shared).
    ///
    /// # Errors
    ///
    /// As [`open_shared`](Store::open_shared), for reading.
    pub fn open_shared_read(path: impl AsRef<Path>) -> Result<Store<A, D, SharedRead>> {
        Options::new().open_shared_read(path)
    }
}

impl<A: Element, D: Dimension, M: Refreshable> Store<A, D, M> {
    /// Looks for rows that were published since the store was opened, or refreshed: the array has
    /// them from now on. Says how many.
    ///
    /// Rows that it had are as they were. Where somebody writes rows behind them in place, it ends
    /// before these.
    ///
    /// # Errors
    ///
    /// - [`Moved`](ErrorKind::Moved) if the path names another file now, or the array is not the one
    ///   that it was.
    /// - [`Truncated`](ErrorKind::Truncated) if somebody cut the file, [`Io`](ErrorKind::Io).
    /// - [`Forked`](ErrorKind::Forked) in a child that was forked since the store was opened.
    /// - [`InvalidOption`](ErrorKind::InvalidOption) for a store of some rows
    ///   ([`open_rows_read`](Store::open_rows_read)).
    pub fn refresh(&mut self) -> Result<usize> {
        let added = self.file.refresh(None);
        self.update_dim();
        added
    }
}

impl AnyStore {
    /// Looks for rows that were published since. See [`Store::refresh`].
    ///
    /// # Errors
    ///
    /// As [`Store::refresh`]; [`ErrorKind::InvalidOption`] unless it was opened to read or to watch.
    pub fn refresh(&mut self) -> Result<usize> {
        self.file.refresh(None)
    }
}

#[cfg(unix)]
impl<A: Element, D: Dimension> Store<A, D, Shared> {
    /// Gives the descriptor away, with the claim on the file: for who maps it in another language.
    /// The claim goes when the last copy of the descriptor is closed and the last map of it is
    /// gone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if this process has no descriptor left.
    pub fn into_fd(self) -> Result<std::os::fd::OwnedFd> {
        self.file.into_fd()
    }
}

#[cfg(unix)]
impl<A: Element, D: Dimension> Store<A, D, SharedRead> {
    /// Gives the descriptor away, with the claim on the file. See [`into_fd`](Store::into_fd) of
    /// one that writes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if this process has no descriptor left.
    pub fn into_fd(self) -> Result<std::os::fd::OwnedFd> {
        self.file.into_fd()
    }
}

#[cfg(unix)]
impl AnyStore {
    /// Gives the descriptor away, with the lock and the claims on the file, whatever they are: for
    /// who maps it in another language. They go when the last copy of the descriptor is closed and
    /// the last map of it is gone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if this process has no descriptor left.
    pub fn into_fd(self) -> Result<std::os::fd::OwnedFd> {
        self.file.into_fd()
    }
}

impl ArrayFile {
    /// See [`AnyStore::into_fd`].
    #[cfg(unix)]
    fn into_fd(mut self) -> Result<std::os::fd::OwnedFd> {
        // What stands behind the array goes while the claims are there.
        self.settle();
        let file = self.file.hand_over();
        Ok(file
            .map_err(|error| self.context("hand over").io(error))?
            .into())
    }

    /// Refuses a file whose header cannot name more rows while others read it.
    fn check_publishing(&self) -> Result<()> {
        let context = self.context("append to");
        let refused = |reason| Err(context.fail(ErrorKind::InvalidOption { reason }));
        if self.array.raw {
            return refused(
                "a raw file has no header to tell others of new rows; append to it alone, with `Store::open_rw`",
            );
        }
        let header = self.read_header(context)?;
        let fits = header::grows_in_a_line(
            &header,
            self.array.order,
            &crate::shape::wide(&self.array.shape),
        );
        match fits {
            true => Ok(()),
            false => refused(
                "its header, as that of a file which `np.save` wrote, has no place for the number of rows to change at once; \
                 give it one that has, with `Store::rewrite`, or append to it alone, with `Store::open_rw`",
            ),
        }
    }

    /// Gives up the claim on rows that were published, and lets those know who wait for them.
    pub(super) fn hand_out(&self, published: Range<u64>) {
        // If it fails the claim goes with the file.
        let _ = sys::ranges::release(self.file(), &published);
        // The header was written before: who was told of that and looked found the claim.
        let _ = sys::touch(self.file());
    }

    /// See [`Store::refresh`]. `tail` is that of the appender, if it was looked at.
    pub(super) fn refresh(&mut self, tail: Option<&Other>) -> Result<usize> {
        let op = "refresh";
        // A claim is given back and made by both, for it is the open file's.
        self.check_opener(op)?;
        self.check_guard(op)?;
        let context = Context::new(&self.path, op);
        if !matches!(self.opened, Opened::Read | Opened::Watch) || !self.is_whole {
            return Err(context.fail(ErrorKind::InvalidOption {
                reason: "it does not grow by what others append; open the whole file to read or to watch it",
            }));
        }
        let moved = || context.fail(ErrorKind::Moved);
        let new = self.read_again(context)?.ok_or_else(moved)?;
        let claims = claims::Claims {
            context,
            file: self.file(),
            opened: self.opened,
            rows: None,
        };
        let new = match self.locked {
            true => match claims.claim_more(&self.array, new, tail)? {
                Ok(new) => new,
                Err(refused) => return Err(claims.refusal(refused, false)),
            },
            false => new,
        };
        // Behind the claim: rows were written before it could be made.
        let metadata = self.file().metadata().map_err(|error| context.io(error))?;
        let id = sys::FileId::of(&metadata);
        if !sys::names(&self.path, id).map_err(|error| context.io(error))? {
            return Err(moved());
        }
        check_length(context, &new, metadata.len())?;
        self.check_alignment(context.step("map"), new.offset, new.nbytes())?;
        let added = new.rows().saturating_sub(self.array.rows());
        let grown = self
            .map
            .as_mut()
            .map_or(Ok(()), |map| map.resize(new.nbytes()));
        grown.map_err(|error| Context::new(&self.path, op).step("map").not_mapped(error))?;
        self.array = new;
        Ok(added)
    }

    /// The array as the header names it now; `None` if it is another one.
    pub(super) fn read_again(&self, context: Context<'_>) -> Result<Option<Array>> {
        let old = &self.array;
        let rows = match old.raw {
            true if self.allow_trailing => old.rows(),
            true => {
                let nbytes = self.file_len(context.op)?.saturating_sub(old.offset);
                let rows = nbytes.checked_div(old.row_nbytes());
                rows.map_or(old.rows(), |rows| rows as usize)
            }
            false => {
                let header = self.read_header(context)?;
                let decoded = header::Header::decode(&header, usize::MAX);
                let found = decoded.map_err(|cause| context.fail(ErrorKind::Header { cause }))?;
                let shape = crate::shape::narrow(&found.shape).unwrap_or_default();
                let rows = crate::shape::rows(&shape, old.order);
                let mut same = old.clone();
                same.set_rows(rows);
                // One axis lies in both orders alike, and a header may come to call it by either.
                let same_order = found.order == old.order || shape.len() < 2;
                if found.dtype != old.dtype || same.shape != shape || !same_order {
                    return Ok(None);
                }
                rows
            }
        };
        let mut new = old.clone();
        new.set_rows(rows);
        if self.allow_truncated {
            new.clip(self.file_len(context.op)?);
        }
        Ok((new.rows() >= old.rows()).then_some(new))
    }
}
