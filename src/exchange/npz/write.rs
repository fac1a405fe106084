//! Writing an archive, which gets its name when it is whole and durable, or never.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::ops::{Deref, DerefMut};
use std::path::Path;

use ndarray::{ArrayRef, Dimension};
use zip::CompressionMethod;
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::SUFFIX;
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::exchange::stream;
use crate::shape::Order;
use crate::store::{NewFile, Options, check_size};
use crate::sys::{self, Maker};

/// Stored members start at multiples of this. Their headers are such a multiple long, so the
/// elements are aligned for any type.
const ALIGN: u16 = 64;

/// A member of this size needs the wide fields of zip64. A smaller one does without them.
const WIDE: u64 = (1 << 32) - (1 << 20);

/// A new archive of arrays, which NumPy's `load` reads.
///
/// It gets its name when it is [finished](NpzWriter::finish) and everything is durable, as a file
/// of [`Store::create`] does. Dropped before, it leaves no file, and an old file as it was. After a
/// failure to write an array the archive has a part of that array, so the writer takes no more and
/// does not finish.
///
/// [`Store::create`]: crate::Store::create
///
/// # Examples
///
/// See [`Npz`](crate::Npz).
#[doc(alias = "savez")]
pub struct NpzWriter {
    zip: ProcessOwned<ZipWriter<BufWriter<Bounded>>>,
    names: HashSet<String>,
    /// Whether the last array is incomplete: while it is written, and forever if that failed.
    cut: bool,
    file: NewFile,
}

impl Options {
    /// Begins an archive at `path`, which replaces an old file. See [`NpzWriter::create`].
    ///
    /// [`lock`](Options::lock) and [`no_lock`](Options::no_lock) apply.
    ///
    /// # Errors
    ///
    /// As [`NpzWriter::create`].
    pub fn create_npz(&self, path: impl AsRef<Path>) -> Result<NpzWriter> {
        NpzWriter::new(path.as_ref(), self)
    }
}

impl NpzWriter {
    /// Begins an archive at `path`, which replaces an old file.
    ///
    /// # Errors
    ///
    /// As [`Store::create`](crate::Store::create).
    pub fn create(path: impl AsRef<Path>) -> Result<NpzWriter> {
        Options::new().create_npz(path)
    }

    fn new(path: &Path, options: &Options) -> Result<NpzWriter> {
        let file = NewFile::create(path, options)?;
        let writer = file.file().try_clone();
        let writer = writer.map_err(|error| file.context().io(error))?;
        Ok(NpzWriter {
            zip: ProcessOwned::new(ZipWriter::new(BufWriter::new(Bounded {
                file: writer,
                position: 0,
            }))),
            names: HashSet::new(),
            cut: false,
            file,
        })
    }

    /// Adds an array as it is, so that it can be opened in place. Its elements start at a multiple
    /// of 64 bytes.
    ///
    /// # Errors
    ///
    /// [`DuplicateName`](ErrorKind::DuplicateName), which leaves the archive as it was;
    /// [`Unfinished`](ErrorKind::Unfinished) after another failure; [`ErrorKind::NoSpace`],
    /// [`ErrorKind::FileTooLarge`], [`ErrorKind::Io`].
    pub fn add<A: Element, D: Dimension>(
        &mut self,
        name: &str,
        array: &ArrayRef<A, D>,
    ) -> Result<()> {
        self.write(name, array, stored())
    }

    /// Adds an array of a dtype and shape that are known only at run time, as
    /// [`add`](NpzWriter::add) does. `bytes` are its elements in that order.
    ///
    /// # Errors
    ///
    /// As [`add`](NpzWriter::add); [`Length`](ErrorKind::Length) if there are more or fewer bytes
    /// than the shape has, which leaves the archive as it was.
    pub fn add_any(
        &mut self,
        name: &str,
        dtype: DType,
        shape: &[usize],
        order: Order,
        bytes: &[u8],
    ) -> Result<()> {
        let itemsize = dtype.itemsize();
        let expected = check_size(self.file.context(), shape, itemsize)? as u64;
        let found = bytes.len() as u64;
        if expected != found {
            return Err(self.file.context().fail_at(
                name,
                ErrorKind::Length {
                    shape: shape.to_vec(),
                    itemsize,
                    expected,
                    found,
                },
            ));
        }
        self.write_member(name, found, stored(), |zip| {
            let header = stream::npy_header(&dtype, order, shape)?;
            let mut write = |bytes: &[u8]| zip.write_all(bytes).map_err(ErrorKind::io);
            write(&header)?;
            write(bytes)
        })
    }

    /// Adds an array compressed, as `np.savez_compressed` does: it is smaller, but cannot be opened
    /// in place.
    ///
    /// # Errors
    ///
    /// As [`add`](NpzWriter::add).
    #[doc(alias = "savez_compressed")]
    pub fn add_deflated<A: Element, D: Dimension>(
        &mut self,
        name: &str,
        array: &ArrayRef<A, D>,
    ) -> Result<()> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        self.write(name, array, options)
    }

    fn write<A: Element, D: Dimension>(
        &mut self,
        name: &str,
        array: &ArrayRef<A, D>,
        options: SimpleFileOptions,
    ) -> Result<()> {
        let nbytes = (array.len() * size_of::<A>()) as u64;
        self.write_member(name, nbytes, options, |zip| stream::write_array(zip, array))
    }

    fn write_member(
        &mut self,
        name: &str,
        nbytes: u64,
        options: SimpleFileOptions,
        write: impl FnOnce(&mut ZipWriter<BufWriter<Bounded>>) -> Result<(), ErrorKind>,
    ) -> Result<()> {
        self.check_whole()?;
        let context = self.file.context();
        if !self.names.insert(name.to_owned()) {
            let name = name.to_owned();
            return Err(context.fail(ErrorKind::DuplicateName { name }));
        }
        let options = options.large_file(nbytes >= WIDE);
        self.cut = true;
        self.zip
            .start_file(format!("{name}{SUFFIX}"), options)
            .map_err(|error| failed(&self.file, nbytes, error))?;
        write(&mut self.zip).map_err(|kind| match kind {
            ErrorKind::Io { cause } => self.file.growth(cause, nbytes),
            kind => context.fail_at(name, kind),
        })?;
        self.cut = false;
        Ok(())
    }

    /// Refuses to continue after an array was written in part, or in a process that was forked from
    /// the one that began.
    fn check_whole(&self) -> Result<()> {
        if !self.zip.maker.is_this() {
            return Err(self.file.context().forked());
        }
        match self.cut {
            true => Err(self.file.context().fail(ErrorKind::Unfinished)),
            false => Ok(()),
        }
    }

    /// Writes the list of the arrays, makes the archive durable and gives it its name.
    ///
    /// # Errors
    ///
    /// [`Unfinished`](ErrorKind::Unfinished) if an array could not be written; otherwise as
    /// [`Store::create`](crate::Store::create).
    pub fn finish(self) -> Result<()> {
        self.check_whole()?;
        let NpzWriter { zip, file, .. } = self;
        let written = zip
            .take()
            .finish()
            .map_err(|error| failed(&file, 0, error))?;
        let flushed = written.into_inner();
        flushed.map_err(|refused| file.growth(refused.into_error(), 0))?;
        file.publish()
    }
}

impl std::fmt::Debug for NpzWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NpzWriter")
            .field("path", &self.file.context().path)
            .field("names", &self.names)
            .finish()
    }
}

/// How a member is stored that is to be opened in place.
fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(ALIGN)
}

/// A new file that grows no further than this process may write: past its limit the kernel would
/// send SIGXFSZ.
struct Bounded {
    file: File,
    position: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = sys::file_size_limit().map(|limit| limit.saturating_sub(self.position));
        if room.is_some_and(|room| room < bytes.len() as u64) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.file.write(bytes)?;
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.file.seek(to)?;
        Ok(self.position)
    }
}

/// A value that belongs to the process that made it. A forked child never drops its copy, because a
/// dropped `ZipWriter` writes the list of arrays, and the child would write it to the parent's
/// file.
struct ProcessOwned<T> {
    /// `None` once it is taken.
    value: Option<T>,
    maker: Maker,
}

impl<T> ProcessOwned<T> {
    fn new(value: T) -> ProcessOwned<T> {
        ProcessOwned {
            value: Some(value),
            maker: Maker::this(),
        }
    }

    fn take(mut self) -> T {
        self.value.take().expect("it is taken once, with this")
    }
}

impl<T> Deref for ProcessOwned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is taken with this")
    }
}

impl<T> DerefMut for ProcessOwned<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it is taken with this")
    }
}

impl<T> Drop for ProcessOwned<T> {
    fn drop(&mut self) {
        if !self.maker.is_this() {
            std::mem::forget(self.value.take());
        }
    }
}

/// The reason why the crate `zip` could not write `needed` bytes.
fn failed(file: &NewFile, needed: u64, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => file.growth(error, needed),
        other => file.context().io(io::Error::other(other)),
    }
}
