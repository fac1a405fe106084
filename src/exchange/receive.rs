//! Receives a stream into a new file. The array is never in memory as a whole, and the file gets
//! its name only when it is complete.

use std::io::Read;
use std::path::Path;

use ndarray::Dimension;

use super::stream::{Incoming, cannot_read};
use crate::element::Element;
use crate::error::{Context, ErrorKind, Result};
use crate::store::{self, AnyStore, Array, ArrayFile, Layout, Options, Store};

impl<A: Element, D: Dimension> Store<A, D> {
    /// Receives the next array of a stream in a new file, which replaces an old one. `None` at the
    /// end of the stream.
    ///
    /// The elements go from the reader to the disk in small pieces. The file gets its name when all
    /// of them are there and durable, as with [`create`](Store::create). A stream that breaks off
    /// leaves no file, and an old file as it was. The old file is locked meanwhile.
    /// [`Options::max_nbytes`] limits how many bytes a sender can make this write.
    ///
    /// # Errors
    ///
    /// As [`read_npy`](crate::read_npy) for faults of the stream, and as [`create`](Store::create).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Options, write_npy};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("received.npy");
    /// # let mut stream = Vec::new();
    /// # write_npy(&mut stream, &array![1.0, 2.0])?;
    /// # let socket = &stream[..];
    ///
    /// let received = Options::new().max_nbytes(1 << 30).receive::<f64, Ix1>(socket, &path)?;
    /// assert_eq!(received.expect("an array came").read_all()?, array![1.0, 2.0]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn receive(reader: impl Read, path: impl AsRef<Path>) -> Result<Option<Store<A, D>>> {
        Options::new().receive(reader, path)
    }
}

impl AnyStore {
    /// Receives the next array of a stream, of any dtype and rank. See [`Store::receive`].
    ///
    /// # Errors
    ///
    /// As [`Store::receive`], except those about the type and the rank.
    pub fn receive(reader: impl Read, path: impl AsRef<Path>) -> Result<Option<AnyStore>> {
        Options::new().receive_any(reader, path)
    }
}

impl Options {
    /// Receives the next array of a stream in a new file. See [`Store::receive`].
    ///
    /// # Errors
    ///
    /// As [`Store::receive`], and as [`Options::read_npy`].
    pub fn receive<A: Element, D: Dimension>(
        &self,
        reader: impl Read,
        path: impl AsRef<Path>,
    ) -> Result<Option<Store<A, D>>> {
        let expected = |incoming: &Incoming| incoming.check::<A, D>().map(drop);
        let fits = |context: Context<'_>, array: &Array| {
            crate::store::check_fit::<A, D>(context, array).map(drop)
        };
        match receive(reader, path.as_ref(), self, expected, fits)? {
            Some(file) => Ok(Some(Store::from_file(file)?)),
            None => Ok(None),
        }
    }

    /// Receives the next array of a stream, of any dtype and rank, in a new file. See
    /// [`AnyStore::receive`].
    ///
    /// # Errors
    ///
    /// As [`AnyStore::receive`], and as [`Options::read_npy`].
    pub fn receive_any(
        &self,
        reader: impl Read,
        path: impl AsRef<Path>,
    ) -> Result<Option<AnyStore>> {
        let file = receive(reader, path.as_ref(), self, |_| Ok(()), |_, _| Ok(()))?;
        Ok(file.map(|file| AnyStore { file }))
    }
}

fn receive(
    mut reader: impl Read,
    path: &Path,
    options: &Options,
    expected: impl FnOnce(&Incoming) -> Result<(), ErrorKind>,
    fits: impl FnOnce(Context<'_>, &Array) -> Result<()>,
) -> Result<Option<ArrayFile>> {
    let Some(incoming) = Incoming::read(&mut reader, options).map_err(cannot_read)? else {
        return Ok(None);
    };
    expected(&incoming).map_err(cannot_read)?;
    let (dtype, shape, order) = incoming.array();
    let context = Context::new(path, "create");
    let layout = Layout::new(context, dtype, shape, order, options)?;
    fits(context, &layout.array)?;
    let file = store::create_filled(path, layout, options, |filler| {
        incoming.copy(&mut reader, cannot_read, |bytes| filler.write(bytes))?;
        // Before the file gets its name, because a decompressor reports a wrong checksum only at
        // the end.
        incoming.end(&mut reader, options).map_err(cannot_read)
    })?;
    Ok(Some(file))
}
