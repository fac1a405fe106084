//! From a store that keeps everybody out to one that only reads, without a moment in which somebody
//! else could change the rows.

use std::time::{Duration, Instant};

use ndarray::Dimension;

use super::any::AnyStore;
use super::array::check_length;
use super::claims;
use super::file::ArrayFile;
use super::lock::refusal;
use super::mode::{Opened, ReadOnly, ReadWrite};
use super::typed::Store;
use crate::element::Element;
use crate::error::{Context, ErrorKind, LockHold, LockHolder, Result};
use crate::sys::{self, FileId, NotLocked, Patience};

/// How long somebody is waited for who got in where the kernel gives up the exclusive lock before
/// it takes the shared one.
const BETWEEN: Duration = Duration::from_secs(10);

impl ArrayFile {
    /// Whether the path still names this file.
    pub(super) fn is_current(&self) -> Result<bool> {
        let context = self.context("look up");
        let metadata = self.file().metadata().map_err(|error| context.io(error))?;
        sys::names(&self.path, FileId::of(&metadata)).map_err(|error| context.io(error))
    }

    /// See [`Store::into_read_only`].
    fn into_read_only(mut self) -> Result<ArrayFile> {
        let op = "go on reading";
        self.check_opener(op)?;
        if self.opened != Opened::Alone {
            return Err(self.context(op).fail(ErrorKind::InvalidOption {
                reason: "it is not open alone, so there is nothing to give up",
            }));
        }
        self.settle();
        self.flush()?;
        if self.locked {
            // Rows before the file: whoever gets the file in between, to be alone, finds that they
            // are read.
            claims::keep_to_read(self.file(), &self.extent());
            self.file.note_claim(self.extent());
            let shared = self.file.share(Patience::Until(Instant::now() + BETWEEN));
            if !shared.map_err(|error| self.context(op).step("lock").io(error))? {
                let held = NotLocked::Held(LockHolder::Unknown, LockHold::Exclusive);
                return Err(refusal(self.context(op), false, false, held));
            }
        }
        // Where rows cannot be claimed somebody may have been alone with them.
        let context = Context::new(&self.path, op);
        if !self.array.raw && self.read_again(context)?.as_ref() != Some(&self.array) {
            return Err(context.fail(ErrorKind::Moved));
        }
        check_length(context, &self.array, self.file_len(op)?)?;
        self.opened = Opened::Read;
        self.access = self.opened.access();
        Ok(self)
    }
}

impl<A: Element, D: Dimension> Store<A, D, ReadWrite> {
    /// Flushes, and goes on as a store that reads: others who read may open the file from now on.
    ///
    /// Nobody can change an element in between. For a file that was created or filled, and is now
    /// to be used like any other.
    ///
    /// # Errors
    ///
    /// - Those of [`flush`](Store::flush). The file is closed then.
    /// - [`Locked`](ErrorKind::Locked) if somebody got the file in between, where only the whole of
    ///   it can be locked, and keeps it.
    /// - [`Forked`](ErrorKind::Forked) in a child that was forked since the store was opened.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Options, Store};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("model.npy");
    ///
    /// let options = Options::new().beside_readers(true);
    /// let old = options.create_from(&path, &array![1.0, 2.0])?.into_read_only()?;
    /// let new = options.create_from(&path, &array![3.0, 4.0])?.into_read_only()?;
    /// assert_eq!((old.read_all()?, old.is_current()?), (array![1.0, 2.0], false));
    /// assert_eq!(Store::<f64, Ix1>::open(&path)?.read_all()?, new.read_all()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_read_only(self) -> Result<Store<A, D, ReadOnly>> {
        Ok(Store::from_file(self.file.into_read_only()?)?)
    }
}

impl AnyStore {
    /// Whether the path still names the file that this store has open. See [`Store::is_current`].
    ///
    /// # Errors
    ///
    /// As [`Store::is_current`].
    pub fn is_current(&self) -> Result<bool> {
        self.file.is_current()
    }

    /// Flushes, and goes on as a store that reads. See [`Store::into_read_only`].
    ///
    /// # Errors
    ///
    /// As [`Store::into_read_only`]; [`ErrorKind::InvalidOption`] unless it is open alone.
    pub fn into_read_only(self) -> Result<AnyStore> {
        Ok(AnyStore {
            file: self.file.into_read_only()?,
        })
    }
}
