//! Reading an archive: the list of its arrays, and the arrays themselves, in place or unpacked.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ndarray::{Array, Dimension};
use zip::CompressionMethod;
use zip::read::{ZipArchive, ZipFile};
use zip::result::ZipError;

use super::SUFFIX;
use super::reader::{self, ArchiveReader};
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Context, Error, ErrorKind, HeaderError, Result};
use crate::exchange::stream::{self, Incoming};
use crate::header::{self, Format};
use crate::shape::Order;
use crate::store::{self, AnyStore, ArrayFile, Options, ReadOnly, Store};
use crate::sys::FileId;

/// An archive of arrays, as `np.savez` and `np.savez_compressed` write it, open for reading.
///
/// Stored arrays are opened in place: [`open_member`](Npz::open_member) takes as long as opening a
/// file, whatever their size. Compressed arrays are [read](Npz::read) into memory or
/// [unpacked](Npz::unpack) into a temporary file. The archive is locked, shared, for as long as
/// this value or a store of it lives. [`Options::open_npz`] opens one with options.
///
/// A member is an array if its name ends in `.npy`, or if it starts as an NPY file does. The array
/// has the name of the member without `.npy`. If the members `a` and `a.npy` are both arrays, `a`
/// names the former and `a.npy` the latter, as in NumPy.
///
/// An archive is not trusted. The checksum of an array is checked when it is read or unpacked;
/// opening an array in place reads only its header.
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
    archive: ZipArchive<ArchiveReader>,
    names: Vec<String>,
    /// The options by which members are read.
    options: Options,
}

/// The description of an array in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NpzMember {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    order: Order,
    compressed: bool,
}

impl NpzMember {
    /// The name of the array: that of the member without `.npy`.
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

impl Options {
    /// Opens an archive for reading. See [`Npz::open`].
    ///
    /// [`lock`](Options::lock) and [`no_lock`](Options::no_lock) apply to the archive,
    /// [`max_header_size`](Options::max_header_size) to its arrays, and
    /// [`max_nbytes`](Options::max_nbytes) to arrays that are read or unpacked.
    ///
    /// # Errors
    ///
    /// As [`Npz::open`].
    pub fn open_npz(&self, path: impl AsRef<Path>) -> Result<Npz> {
        let path = store::absolute(path.as_ref(), "open")?;
        let context = Context::new(&path, "open");
        let (file, metadata) = store::lock(context, &path, false, false, self.patience())?;
        let (id, len) = (FileId::of(&metadata), metadata.len());
        let mut reader = ArchiveReader::new(file, len);
        let archive = ZipArchive::new(reader.clone())
            .map_err(|error| not_opened(context, &mut reader, error))?;
        if archive.has_duplicate_names() {
            let start = archive.central_directory_start();
            let name = reader.first_duplicate(start);
            let name = name.map_err(|error| context.io(error))?;
            return Err(context.fail(ErrorKind::DuplicateName { name }));
        }
        let names = names(&mut archive.clone());
        // These options describe the one array of a stream.
        let mut options = self.clone().expect_end(false);
        (options.shape, options.order) = (None, None);
        Ok(Npz {
            path,
            id,
            len,
            archive,
            names,
            options,
        })
    }
}

impl Npz {
    /// Opens an archive. Reads its list of members, and the first bytes of those whose names do not
    /// end in `.npy`.
    ///
    /// # Errors
    ///
    /// As [`Store::open`] for the file; [`NotZip`](ErrorKind::NotZip),
    /// [`Archive`](ErrorKind::Archive), [`DuplicateName`](ErrorKind::DuplicateName).
    pub fn open(path: impl AsRef<Path>) -> Result<Npz> {
        Options::new().open_npz(path)
    }

    /// The absolute path of the archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the arrays, in the order of the archive. Members that are not arrays are left
    /// out.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Describes an array. Reads its header.
    ///
    /// # Errors
    ///
    /// [`NoMember`](ErrorKind::NoMember), [`Encrypted`](ErrorKind::Encrypted),
    /// [`Method`](ErrorKind::Method), [`Archive`](ErrorKind::Archive), and
    /// [`Header`](ErrorKind::Header) if NumPy would not read its header.
    pub fn member(&self, name: &str) -> Result<NpzMember> {
        let context = self.context("read the header in");
        let mut archive = self.archive.clone();
        let mut member = self.find(&mut archive, name, context)?;
        let compressed = member.compression() != CompressionMethod::Stored;
        let incoming = self.read_header(&mut member);
        let incoming = incoming.map_err(|kind| context.fail_at(name, kind))?;
        let (dtype, shape, order) = incoming.array();
        Ok(NpzMember {
            name: name.to_owned(),
            dtype,
            shape,
            order,
            compressed,
        })
    }

    /// Describes each array. See [`member`](Npz::member).
    pub fn members(&self) -> impl ExactSizeIterator<Item = Result<NpzMember>> {
        self.names().map(|name| self.member(name))
    }

    /// Opens a stored array in place, for reading: no byte of it is copied.
    ///
    /// The store has the archive's path, and the array's offset in it. NumPy does not align the
    /// members of its archives. A store reads unaligned elements all the same; to map them, open
    /// them as `Le<T>` or `Be<T>`.
    ///
    /// # Errors
    ///
    /// As [`member`](Npz::member); [`Compressed`](ErrorKind::Compressed);
    /// [`DTypeMismatch`](ErrorKind::DTypeMismatch) and [`NdimMismatch`](ErrorKind::NdimMismatch) if
    /// the array has another dtype than `A` or another rank than `D`;
    /// [`Truncated`](ErrorKind::Truncated) if the member ends before the array does;
    /// [`ErrorKind::Moved`] if the path no longer names this archive.
    pub fn open_member<A: Element, D: Dimension>(
        &self,
        name: &str,
    ) -> Result<Store<A, D, ReadOnly>> {
        let check = |incoming: &Incoming| incoming.check::<A, D>().map(drop);
        Ok(Store::from_file(self.open_in_place(name, check)?)?)
    }

    /// Opens a stored array of any dtype and rank in place, for reading.
    ///
    /// # Errors
    ///
    /// As [`open_member`](Npz::open_member), except those about the type and the rank.
    pub fn open_member_any(&self, name: &str) -> Result<AnyStore> {
        let file = self.open_in_place(name, |_| Ok(()))?;
        Ok(AnyStore { file })
    }

    /// Opens a stored array where it lies in the archive.
    fn open_in_place(
        &self,
        name: &str,
        check: impl FnOnce(&Incoming) -> Result<(), ErrorKind>,
    ) -> Result<ArrayFile> {
        let context = self.context("open");
        let failed = |kind| context.fail_at(name, kind);
        let mut archive = self.archive.clone();
        let mut member = self.find(&mut archive, name, context)?;
        if member.compression() != CompressionMethod::Stored {
            return Err(failed(ErrorKind::Compressed));
        }
        let size = member.size();
        let start = member.data_start().filter(|start| {
            let end = start.checked_add(size);
            end.is_some_and(|end| end <= self.len)
        });
        let Some(start) = start else {
            let reason = format!("the member {name:?} ends behind the end of the file");
            return Err(context.fail(ErrorKind::Archive { reason }));
        };
        let incoming = self.read_header(&mut member).map_err(failed)?;
        check(&incoming).map_err(failed)?;
        if incoming.len() > size {
            return Err(failed(ErrorKind::Truncated {
                expected: incoming.len(),
                found: size,
            }));
        }
        let (dtype, shape, order) = incoming.array();
        let offset = start + incoming.header_len;
        store::open_within(
            &self.path,
            self.id,
            (dtype, shape, order, offset),
            &self.options,
        )
    }

    /// Reads an array, stored or compressed, into memory and checks its checksum.
    ///
    /// The bytes that the archive really holds bound the memory, not those that it claims.
    ///
    /// # Errors
    ///
    /// As [`member`](Npz::member), and as [`read_npy`](crate::read_npy).
    pub fn read<A: Element, D: Dimension>(&self, name: &str) -> Result<Array<A, D>> {
        let context = self.context("read");
        let mut archive = self.archive.clone();
        let mut member = self.find(&mut archive, name, context)?;
        let array = stream::read_array(&mut member, &self.options).and_then(|array| {
            let array = array.ok_or_else(empty)?;
            check_sum(member)?;
            Ok(array)
        });
        array.map_err(|kind| context.fail_at(name, kind))
    }

    /// Unpacks an array, stored or compressed, into a temporary file in `directory`, checks its
    /// checksum and opens it for reading.
    ///
    /// The file has no name, and its space is free again when the store is dropped. To keep the
    /// array, pass the output of the store's [`write_to`](Store::write_to) to
    /// [`receive`](crate::Store::receive).
    ///
    /// # Errors
    ///
    /// As [`read`](Npz::read), and as [`Store::create`] for the file.
    pub fn unpack<A: Element, D: Dimension>(
        &self,
        name: &str,
        directory: impl AsRef<Path>,
    ) -> Result<Store<A, D, ReadOnly>> {
        let check = |incoming: &Incoming| incoming.check::<A, D>().map(drop);
        Ok(Store::from_file(self.unpack_in(
            name,
            directory.as_ref(),
            check,
        )?)?)
    }

    /// Unpacks an array of any dtype and rank. See [`unpack`](Npz::unpack).
    ///
    /// # Errors
    ///
    /// As [`unpack`](Npz::unpack), except those about the type and the rank.
    pub fn unpack_any(&self, name: &str, directory: impl AsRef<Path>) -> Result<AnyStore> {
        let file = self.unpack_in(name, directory.as_ref(), |_| Ok(()))?;
        Ok(AnyStore { file })
    }

    fn unpack_in(
        &self,
        name: &str,
        directory: &Path,
        check: impl FnOnce(&Incoming) -> Result<(), ErrorKind>,
    ) -> Result<ArrayFile> {
        let context = self.context("unpack");
        let failed = |kind| context.fail_at(name, kind);
        let mut archive = self.archive.clone();
        let mut member = self.find(&mut archive, name, context)?;
        let incoming = read_header(&mut member, &self.options).map_err(failed)?;
        check(&incoming).map_err(failed)?;
        // A name for messages only.
        let path = directory.join("unpacked.npy");
        let (dtype, shape, order) = incoming.array();
        store::create_nameless(&path, dtype, shape, order, |filler| {
            incoming.copy(&mut member, failed, |bytes| filler.write(bytes))?;
            check_sum(member).map_err(failed)
        })
    }

    /// Reads the header of an array whose elements will not be read, so their number has no limit
    /// here.
    fn read_header(&self, member: &mut ZipFile<'_, ArchiveReader>) -> Result<Incoming, ErrorKind> {
        read_header(member, &self.options.clone().max_nbytes(u64::MAX))
    }

    /// Finds a member that can be read.
    fn find<'a>(
        &self,
        archive: &'a mut ZipArchive<ArchiveReader>,
        name: &str,
        context: Context<'_>,
    ) -> Result<ZipFile<'a, ArchiveReader>> {
        let exact = archive.index_for_name(name);
        let index = match exact {
            Some(index) if is_array(archive, index) => exact,
            // If neither is an array, the error of reading the member with that very name says what
            // it is.
            _ => archive.index_for_name(&format!("{name}{SUFFIX}")).or(exact),
        };
        let Some(index) = index else {
            let name = name.to_owned();
            return Err(context.fail(ErrorKind::NoMember { name }));
        };
        let entry = archive
            .by_index_data(index)
            .map_err(|error| broken(context, error))?;
        if entry.encrypted() {
            return Err(context.fail_at(name, ErrorKind::Encrypted));
        }
        match entry.compression() {
            CompressionMethod::Stored | CompressionMethod::Deflated => {}
            other => {
                let method = other.to_string();
                return Err(context.fail_at(name, ErrorKind::Method { method }));
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

/// The names of the arrays, in the order of the archive.
fn names(archive: &mut ZipArchive<ArchiveReader>) -> Vec<String> {
    let arrays = (0..archive.len()).filter(|&index| is_array(archive, index));
    let arrays: Vec<usize> = arrays.collect();
    let name = |&index: &usize| Some(archive.name_for_index(index)?.ok()?.into_owned());
    let members: Vec<String> = arrays.iter().filter_map(name).collect();
    let known: HashSet<&str> = members.iter().map(String::as_str).collect();
    let names = members.iter().map(|member| {
        let name = member.strip_suffix(SUFFIX);
        // If so, another array has the shorter name.
        let name = name.filter(|name| !known.contains(name));
        name.unwrap_or(member).to_owned()
    });
    names.collect()
}

/// Whether a member is an array, by its name or by its first bytes. A member that cannot be read is
/// not.
fn is_array(archive: &mut ZipArchive<ArchiveReader>, index: usize) -> bool {
    let name = archive.name_for_index(index).and_then(Result::ok);
    if name.is_some_and(|name| name.ends_with(SUFFIX)) {
        return true;
    }
    let Ok(mut member) = archive.by_index(index) else {
        return false;
    };
    let mut start = [0; header::MAGIC.len()];
    member.read_exact(&mut start).is_ok() && start == *header::MAGIC
}

/// Reads the bytes behind the array, because the crate `zip` checks the sum at the end of a member.
fn check_sum(mut member: ZipFile<'_, ArchiveReader>) -> Result<(), ErrorKind> {
    let rest = io::copy(&mut member, &mut io::sink());
    rest.map(drop).map_err(ErrorKind::io)
}

fn read_header(reader: &mut impl io::Read, options: &Options) -> Result<Incoming, ErrorKind> {
    Incoming::read(reader, options)?.ok_or_else(empty)
}

/// A member without a byte.
fn empty() -> ErrorKind {
    ErrorKind::Header {
        cause: HeaderError::Empty,
    }
}

/// The reason why a file does not open as an archive: it is something else, or a damaged zip.
fn not_opened(context: Context<'_>, reader: &mut ArchiveReader, error: ZipError) -> Error {
    let error = match error {
        ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            return context.io(error);
        }
        error => error,
    };
    let mut start = [0; reader::WINDOW];
    let read = match reader.read_at_start(&mut start) {
        Ok(read) => read,
        Err(error) => return context.io(error),
    };
    let start = &start[..read];
    let format = header::recognise(start);
    if format == Some(Format::Zip) {
        let reason = format!("its list of members, at its end, is cut or damaged ({error})");
        return context.fail(ErrorKind::Archive { reason });
    }
    context.fail(ErrorKind::NotZip {
        found: header::shown(start),
        what: format.map(Format::what),
        remedy: format.and_then(Format::remedy),
    })
}

/// The fault that the crate `zip` found with a member.
fn broken(context: Context<'_>, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => context.io(error),
        error => {
            let reason = error.to_string();
            context.fail(ErrorKind::Archive { reason })
        }
    }
}
