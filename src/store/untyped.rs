//! Making, growing and sharing an array whose dtype and rank are values: what a typed `Store` does
//! by its element type, by bytes.
//!
//! The bytes are those of the file: elements in its order and byte order. What an opener may not do
//! is refused here, where a typed store has no such method.

use std::path::Path;

use super::any::AnyStore;
use super::array::check_size;
use super::file::ArrayFile;
use super::layout::Layout;
use super::mode::Opened;
use super::options::Options;
use super::place::{Existing, Place};
use super::write::Writer;
use super::{claims, create};
use crate::dtype::DType;
use crate::error::{Context, Error, ErrorKind, Result};

impl Options {
    /// Creates a file of zeros, in place of an old one, of a dtype and shape that are known only at
    /// run time. See [`Store::create`](super::Store::create).
    ///
    /// # Errors
    ///
    /// As [`Store::create`](super::Store::create).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndstore::{AnyStore, DType, Options};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("temp.dat");
    ///
    /// let dtype = DType::parse("<f4")?;
    /// let mut store = Options::new().create_any(&path, dtype, &[0, 2])?;
    /// store.append_bytes(1, &[0; 8])?;
    /// assert_eq!(store.shape(), [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_any(
        &self,
        path: impl AsRef<Path>,
        dtype: DType,
        shape: &[usize],
    ) -> Result<AnyStore> {
        self.create_any_zeros(path.as_ref(), dtype, shape, Existing::Replace)
    }

    /// Creates a file of zeros that must not exist. See [`create_any`](Options::create_any).
    ///
    /// # Errors
    ///
    /// As [`Store::create_new`](super::Store::create_new).
    pub fn create_new_any(
        &self,
        path: impl AsRef<Path>,
        dtype: DType,
        shape: &[usize],
    ) -> Result<AnyStore> {
        self.create_any_zeros(path.as_ref(), dtype, shape, Existing::Refuse)
    }

    /// Creates a file with the elements that `bytes` are, in place of an old one. They lie as they
    /// are to lie in the file, in the [order](Options::order) of these options.
    ///
    /// # Errors
    ///
    /// As [`Store::create_from`](super::Store::create_from); [`Length`](ErrorKind::Length) if there
    /// are more or fewer than the shape has.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{DType, Options, Store};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("temp.dat");
    ///
    /// let dtype = DType::parse("|u1")?;
    /// let store = Options::new().create_any_from(&path, dtype, &[2, 2], &[1, 2, 3, 4])?;
    /// store.close()?;
    /// let read = Store::<u8, Ix2>::open(&path)?.read_all()?;
    /// assert_eq!(read, array![[1, 2], [3, 4]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_any_from(
        &self,
        path: impl AsRef<Path>,
        dtype: DType,
        shape: &[usize],
        bytes: &[u8],
    ) -> Result<AnyStore> {
        let path = path.as_ref();
        let itemsize = dtype.itemsize();
        let layout = self.layout_any(path, dtype, shape)?;
        if layout.nbytes != bytes.len() {
            return Err(Context::new(path, "create").fail(ErrorKind::Length {
                shape: shape.to_vec(),
                itemsize,
                expected: layout.nbytes as u64,
                found: bytes.len() as u64,
            }));
        }
        let fill = |place: &Place, file: &std::fs::File, layout: &Layout| {
            let made = match place.reserve(file, layout, self.sparse)? {
                true => Ok(()),
                // Writing no elements extends nothing, so set the length.
                false => file.set_len(layout.len()),
            };
            let mut writer = Writer::new(file, layout.array.offset);
            made.and_then(|()| writer.write(bytes))
                .map_err(|error| place.growth(error, layout.len()))
        };
        let file = create::create(path, layout, Existing::Replace, self, fill)?;
        Ok(AnyStore { file })
    }

    fn create_any_zeros(
        &self,
        path: &Path,
        dtype: DType,
        shape: &[usize],
        existing: Existing,
    ) -> Result<AnyStore> {
        let layout = self.layout_any(path, dtype, shape)?;
        let file = create::create_zeros(path, layout, existing, self)?;
        Ok(AnyStore { file })
    }

    fn layout_any(&self, path: &Path, dtype: DType, shape: &[usize]) -> Result<Layout> {
        let order = self.order.unwrap_or_default();
        Layout::new(
            Context::new(path, "create"),
            dtype,
            shape.to_vec(),
            order,
            self,
        )
    }
}

impl AnyStore {
    /// Appends rows along the slowest axis, durably: `bytes` are their elements as they are to lie
    /// in the file. See [`Store::append`](super::Store::append).
    ///
    /// # Errors
    ///
    /// As [`Store::append`](super::Store::append); [`Length`](ErrorKind::Length) if there are more
    /// or fewer bytes than `rows` have, [`InvalidOption`](ErrorKind::InvalidOption) unless the file
    /// was opened to grow.
    pub fn append_bytes(&mut self, rows: usize, bytes: &[u8]) -> Result<()> {
        self.file.start_growth_any("append to")?;
        self.file.stage(rows, bytes)?;
        self.file.publish(rows)
    }

    /// Begins to gather rows, as [`Store::appender`](super::Store::appender) does:
    /// [`stage_bytes`](AnyStore::stage_bytes) writes them and [`publish`](AnyStore::publish) makes
    /// them part of the array.
    ///
    /// # Errors
    ///
    /// As [`Store::appender`](super::Store::appender); [`InvalidOption`](ErrorKind::InvalidOption)
    /// unless it was opened to grow.
    pub fn start_appending(&mut self) -> Result<()> {
        self.file.start_growth_any("append to")
    }

    /// Writes rows behind the array and those that were staged before. They are no part of it until
    /// [`publish`](AnyStore::publish), and go if that is not called.
    ///
    /// # Errors
    ///
    /// As [`append_bytes`](AnyStore::append_bytes). Then all that were staged are gone.
    pub fn stage_bytes(&mut self, rows: usize, bytes: &[u8]) -> Result<()> {
        self.file.check_grows("append to")?;
        self.file.stage(rows, bytes)
    }

    /// Makes `rows` rows, all that were [staged](AnyStore::stage_bytes), part of the array, and
    /// waits until they are on the disk.
    ///
    /// # Errors
    ///
    /// As [`append_bytes`](AnyStore::append_bytes); [`Length`](ErrorKind::Length) if as many were
    /// not staged. Then all that were staged are gone.
    pub fn publish(&mut self, rows: usize) -> Result<()> {
        self.file.check_grows("append to")?;
        let staged = self.file.unpublished;
        if self.file.bytes_of(rows)? != staged {
            self.file.drop_rows();
            return Err(self.file.wrong_length(rows, staged));
        }
        self.file.publish(rows)
    }

    /// Gives the array another shape of the same rank; new elements are zero. See
    /// [`Store::resize`](super::Store::resize).
    ///
    /// # Errors
    ///
    /// As [`Store::resize`](super::Store::resize); [`InvalidOption`](ErrorKind::InvalidOption)
    /// unless the file is open alone.
    pub fn resize(&mut self, shape: &[usize]) -> Result<()> {
        self.file.check_alone("resize")?;
        let fill = vec![0; self.file.array.dtype.itemsize()];
        self.file.resize(shape, &fill)
    }

    /// Lets others read and write a file that is open alone, as if
    /// [`Store::open_shared`](super::Store::open_shared) had opened it. Nobody gets in between:
    /// there is a claim on it all the time.
    ///
    /// # Errors
    ///
    /// [`LockUnsupported`](ErrorKind::LockUnsupported) where files cannot be locked in part, and
    /// the file is closed; [`InvalidOption`](ErrorKind::InvalidOption) unless it is open alone.
    pub fn share(mut self) -> Result<AnyStore> {
        self.file.check_alone("share")?;
        self.file.settle();
        if self.file.locked {
            claims::share(self.file.context("share"), &self.file.file)?;
        }
        self.file.opened = Opened::Shared;
        Ok(self)
    }

    /// A copy of the descriptor, for who maps it in another language. From now on the lock and the
    /// claims are not given back before the last copy is closed and the last map of it is gone, so
    /// that none of them shows what nobody guards.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if this process has no descriptor left.
    #[cfg(unix)]
    pub fn lend_fd(&self) -> Result<std::os::fd::OwnedFd> {
        let file = self.file.file.hand_over();
        Ok(file
            .map_err(|error| self.file.context("hand over").io(error))?
            .into())
    }
}

impl ArrayFile {
    fn start_growth_any(&mut self, op: &'static str) -> Result<()> {
        self.check_grows(op)?;
        self.start_growth(op)
    }

    fn check_grows(&self, op: &'static str) -> Result<()> {
        match self.opened {
            Opened::Alone | Opened::Append if self.is_whole => Ok(()),
            _ => Err(self.context(op).fail(ErrorKind::InvalidOption {
                reason: "it was not opened to grow; open it alone (`r+`), or to append (`a`)",
            })),
        }
    }

    /// Writes rows that no header names yet.
    fn stage(&mut self, rows: usize, bytes: &[u8]) -> Result<()> {
        if self.bytes_of(rows)? != bytes.len() as u64 {
            return Err(self.wrong_length(rows, bytes.len() as u64));
        }
        // With those that are there already it must be an array that there can be.
        let mut grown = self.array.clone();
        let staged = self
            .unpublished
            .checked_div(grown.row_nbytes())
            .unwrap_or(0) as usize;
        grown.set_rows(grown.rows().saturating_add(staged).saturating_add(rows));
        check_size(
            self.context("append to"),
            &grown.shape,
            grown.dtype.itemsize(),
        )?;
        self.write_rows(bytes.len() as u64, |writer| writer.write(bytes))
    }

    /// How many bytes so many rows have.
    fn bytes_of(&self, rows: usize) -> Result<u64> {
        let mut part = self.array.clone();
        part.set_rows(rows);
        let nbytes = check_size(
            self.context("append to"),
            &part.shape,
            part.dtype.itemsize(),
        )?;
        Ok(nbytes as u64)
    }

    fn wrong_length(&self, rows: usize, found: u64) -> Error {
        let mut part = self.array.clone();
        part.set_rows(rows);
        self.context("append to").fail(ErrorKind::Length {
            expected: part.nbytes() as u64,
            itemsize: part.dtype.itemsize(),
            shape: part.shape,
            found,
        })
    }
}
