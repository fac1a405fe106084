//! Reading an archive: what is in it, and its arrays, in place or unpacked.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array, Dimension};
use zip::CompressionMethod;
use zip::read::{ZipArchive, ZipFile};
use zip::result::ZipError;

use super::SUFFIX;
use super::source::Source;
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Context, Error, ExchangeError, NpzError, Result};
use crate::exchange::stream::{self, Incoming};
use crate::shape::Order;
use crate::store::{self, AnyStore, Options, ReadOnly, Store};
use crate::sys::{FileId, Patience};

/// An archive of arrays, as `np.savez` and `np.savez_compressed` write it, open for reading.
///
/// Arrays that are stored are opened in place: [`open_member`](Npz::open_member) takes as long as for a file of their own, whatever
/// their size. Compressed ones are [read](Npz::read) into memory or [unpacked](Npz::unpack) into a temporary file. The
/// archive is locked, shared, for as long as this value or a store of it lives.
///
/// An archive is not trusted. The sum of an array is checked when it is read or unpacked; opening it in place looks at the
/// header alone.
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::{Npz, NpzWriter};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("arrays.npz");
///
/// let mut npz = NpzWriter::create(&path)?;
/// npz.add("x", &array![1.0, 2.0])?;
/// npz.add_deflated("y", &array![[3_u8, 4], [5, 6]])?;
/// npz.finish()?;
///
/// let npz = Npz::open(&path)?;
/// assert_eq!(npz.names().collect::<Vec<_>>(), ["x", "y"]);
/// assert_eq!(npz.open_member::<f64, Ix1>("x")?.read(s![..])?, array![1.0, 2.0]);
/// assert_eq!(npz.read::<u8, Ix2>("y")?, array![[3, 4], [5, 6]]);
/// # Ok::<(), ndstore::Error>(())
/// ```
pub struct Npz {
    path: PathBuf,
    id: FileId,
    len: u64,
    archive: ZipArchive<Source>,
    names: Vec<String>,
}

/// What an array in an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NpzMember {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    order: Order,
    compressed: bool,
}

impl NpzMember {
    /// The name of the array: that of the member, less `.npy`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> &DType {
        &self.dtype
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The order of the elements.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Whether the array is compressed, and so cannot be opened in place.
    pub fn is_compressed(&self) -> bool {
        self.compressed
    }
}

impl Npz {
    /// Opens an archive. Reads its list of members, and none of them.
    ///
    /// # Errors
    ///
    /// As [`Store::open`] for the file; [`Error::Npz`], as [`Archive`](NpzError::Archive) or
    /// [`DuplicateName`](NpzError::DuplicateName).
    pub fn open(path: impl AsRef<Path>) -> Result<Npz> {
        let path = store::absolute(path.as_ref(), "open")?;
        let context = Context::new(&path, "open");
        let (file, metadata) = store::lock(context, &path, false, Some(Patience::None))?;
        let (id, len) = (FileId::of(&metadata), metadata.len());
        let archive =
            ZipArchive::new(Source::new(file, len)).map_err(|error| broken(context, error))?;
        if archive.has_duplicate_names() {
            return Err(refused(context, NpzError::DuplicateName));
        }
        let names = archive.file_names().filter_map(Result::ok);
        let names = names.filter_map(|name| Some(name.strip_suffix(SUFFIX)?.to_owned()));
        let names = names.collect();
        Ok(Npz {
            path,
            id,
            len,
            archive,
            names,
        })
    }

    /// The absolute path of the archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the arrays, in the order of the archive. Members that are no arrays are left out.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Says what an array is. Reads its header.
    ///
    /// # Errors
    ///
    /// [`Error::Npz`]: [`NoMember`](NpzError::NoMember), [`Encrypted`](NpzError::Encrypted),
    /// [`Method`](NpzError::Method), [`Archive`](NpzError::Archive), or [`Member`](NpzError::Member) if its header is not one that
    /// NumPy would read.
    pub fn member(&self, name: &str) -> Result<NpzMember> {
        let context = self.context("read the header in");
        let mut archive = self.archive.clone();
        let mut member = self.find(&mut archive, name, context)?;
        let compressed = member.compression() != CompressionMethod::Stored;
        let incoming = read_header(&mut member, &Options::new());
        let Incoming {
            dtype,
            order,
            shape,
            ..
        } = incoming.map_err(|source| damaged(context, name, source))?;
        Ok(NpzMember {
            name: name.to_owned(),
            dtype,
            shape,
            order,
            compressed,
        })
    }

    /// Says what each array is. See [`member`](Npz::member).
    pub fn members(&self) -> impl ExactSizeIterator<Item = Result<NpzMember>> {
        self.names().map(|name| self.member(name))
    }

    /// Opens a stored array in place, for reading: no byte of it is copied.
    ///
    /// The store has the archive's path, and the array's offset in it. NumPy does not align the members of its archives, so
    /// elements may lie anywhere, which a store does not mind; to map them, open them as `Le<T>` or `Be<T>`.
    ///
    /// # Errors
    ///
    /// [`Error::Npz`] as [`member`](Npz::member), and as [`Compressed`](NpzError::Compressed);
    /// [`Error::Moved`] if the path no longer names this archive; for the array, as [`Store::open`].
    pub fn open_member<A: Element, D: Dimension>(
        &self,
        name: &str,
    ) -> Result<Store<A, D, ReadOnly>> {
        Ok(self.open_member_any(name)?.downcast()?)
    }

    /// Opens a stored array of any dtype and rank in place, for reading.
    ///
    /// # Errors
    ///
    /// As [`open_member`](Npz::open_member), less those about the type and the rank.
    pub fn open_member_any(&self, name: &str) -> Result<AnyStore> {
        let part = self.part(name)?;
        let file = store::open_within(&self.path, self.id, part)?;
        Ok(AnyStore { file })
    }

    /// The bytes of the archive that are the NPY of a stored array.
    fn part(&self, name: &str) -> Result<Range<u64>> {
        let context = self.context("open");
        let mut archive = self.archive.clone();
        let member = self.find(&mut archive, name, context)?;
        if member.compression() != CompressionMethod::Stored {
            let name = name.to_owned();
            return Err(refused(context, NpzError::Compressed { name }));
        }
        let part = member.data_start().and_then(|start| {
            let end = start.checked_add(member.size())?;
            (end <= self.len).then_some(start..end)
        });
        part.ok_or_else(|| {
            let reason = format!("the member {name:?} ends behind the end of the file");
            refused(context, NpzError::Archive { reason })
        })
    }

    /// Reads an array into memory, stored or compressed, and checks its sum.
    ///
    /// The memory that it takes is bounded by what the archive really holds, not by what it claims.
    ///
    /// # Errors
    ///
    /// As [`member`](Npz::member); [`Member`](NpzError::Member) has what is wrong with the array, as for
    /// [`read_npy`](crate::read_npy).
    pub fn read<A: Element, D: Dimension>(&self, name: &str) -> Result<Array<A, D>> {
        let context = self.context("read");
        let mut archive = self.archive.clone();
        let member = self.find(&mut archive, name, context)?;
        let array = stream::read_array(member, &Options::new().expect_end(true));
        let array = array.and_then(|array| array.ok_or_else(empty));
        array.map_err(|source| damaged(context, name, source))
    }

    /// Unpacks an array, stored or compressed, into a temporary file in `directory`, checks its sum and opens it for
    /// reading.
    ///
    /// The file has no name, and its room is free again when the store goes. To keep it, [`receive`](crate::Store::receive)
    /// what [`write_to`](Store::write_to) of the store gives.
    ///
    /// # Errors
    ///
    /// As [`read`](Npz::read), and as [`Store::create`] for the file.
    pub fn unpack<A: Element, D: Dimension>(
        &self,
        name: &str,
        directory: impl AsRef<Path>,
    ) -> Result<Store<A, D, ReadOnly>> {
        let context = self.context("unpack");
        let options = Options::new().expect_end(true);
        let failed = |source| damaged(context, name, source);
        let mut archive = self.archive.clone();
        let mut member = self.find(&mut archive, name, context)?;
        let incoming = read_header(&mut member, &options).map_err(failed)?;
        incoming.check::<A, D>().map_err(failed)?;
        // A name for messages only.
        let path = directory.as_ref().join("unpacked.npy");
        let (dtype, shape, order) = incoming.array();
        let file = store::create_nameless(&path, dtype, shape, order, |filler| {
            incoming.copy(&mut member, failed, |bytes| filler.write(bytes))?;
            incoming.end(&mut member, &options).map_err(failed)
        })?;
        Ok(Store::from_file(file)?)
    }

    /// Finds a member that can be read.
    fn find<'a>(
        &self,
        archive: &'a mut ZipArchive<Source>,
        name: &str,
        context: Context<'_>,
    ) -> Result<ZipFile<'a, Source>> {
        let refuse = |source| Err(refused(context, source));
        let Some(index) = archive.index_for_name(&format!("{name}{SUFFIX}")) else {
            return refuse(NpzError::NoMember {
                name: name.to_owned(),
            });
        };
        let entry = archive
            .by_index_data(index)
            .map_err(|error| broken(context, error))?;
        if entry.encrypted() {
            return refuse(NpzError::Encrypted {
                name: name.to_owned(),
            });
        }
        match entry.compression() {
            CompressionMethod::Stored | CompressionMethod::Deflated => {}
            other => {
                let (name, method) = (name.to_owned(), other.to_string());
                return refuse(NpzError::Method { name, method });
            }
        }
        archive
            .by_index(index)
            .map_err(|error| broken(context, error))
    }

    fn context(&self, op: &'static str) -> Context<'_> {
        Context::new(&self.path, op)
    }
}

impl fmt::Debug for Npz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Npz")
            .field("path", &self.path)
            .field("names", &self.names)
            .finish()
    }
}

fn read_header(reader: &mut impl io::Read, options: &Options) -> Result<Incoming, ExchangeError> {
    Incoming::read(reader, options)?.ok_or_else(empty)
}

/// A member without a byte.
fn empty() -> ExchangeError {
    crate::error::HeaderError::Empty.into()
}

fn refused(context: Context<'_>, source: NpzError) -> Error {
    Error::Npz {
        path: context.path(),
        op: context.op,
        source,
    }
}

fn damaged(context: Context<'_>, name: &str, source: ExchangeError) -> Error {
    let name = name.to_owned();
    refused(context, NpzError::Member { name, source })
}

/// What the crate `zip` found wrong with the archive.
fn broken(context: Context<'_>, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => context.io(error),
        error => {
            let reason = error.to_string();
            refused(context, NpzError::Archive { reason })
        }
    }
}
