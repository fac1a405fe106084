//! Checksums beside an array: writes them, and finds damage by them.
//!
//! The array is read with `pread`, piece by piece and never through the map, so a file that
//! somebody cut meanwhile is an error. No number that a checksum file only claims sizes an
//! allocation.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::Dimension;

use super::any::AnyStore;
use super::array::Array;
use super::file::ArrayFile;
use super::lock;
use super::mode::AccessMode;
use super::new_file::NewFile;
use super::place::Place;
use super::sums::{self, BLOCK, HEAD, Head, SUM, SUMMED_FROM};
use super::typed::Store;
use super::write::Writer;
use crate::element::Element;
use crate::error::{ChecksumError, Context, Error, ErrorKind, Result};
use crate::header::{self, DEFAULT_LIMIT, Form, Header};
use crate::shape;
use crate::sys::{self, Directory, FileId, Heir, LockedFile, Patience};

/// The suffix of a checksum file, behind the name of its array.
const SUFFIX: &str = ".sums";

/// The bytes that are read at a time: a whole number of blocks, and few enough to stay in the
/// processor's cache.
const PIECE: usize = 32 * BLOCK;

/// The most ranges of damage that are kept apart.
const MAX_DAMAGE: usize = 1 << 16;

/// The result of [`Store::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verification {
    header: Option<Range<u64>>,
    damage: Vec<Damage>,
    uncovered: Range<usize>,
}

/// A part of an array that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The bytes of the file that contain the damage: whole blocks of 8 KiB, as far as the array
    /// reaches.
    pub bytes: Range<u64>,
    /// The rows that these bytes belong to, along the slowest axis. In a record or any other large
    /// row the damage may be in one element alone.
    pub rows: Range<usize>,
}

impl Verification {
    /// Whether everything that has a checksum is unchanged.
    pub fn is_intact(&self) -> bool {
        self.header.is_none() && self.damage.is_empty()
    }

    /// The damaged part of the file's header, from its first byte to its last.
    ///
    /// After rows were appended the header is another one; then this is `None`, and only the
    /// content of the header was compared.
    pub fn header(&self) -> Option<Range<u64>> {
        self.header.clone()
    }

    /// The damaged parts of the array, from front to back. Beyond 65,536 parts, the last one covers
    /// all that follow.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The rows that have no checksum, because they were appended later.
    pub fn uncovered(&self) -> Range<usize> {
        self.uncovered.clone()
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// As many as fit on a screen.
        const SHOWN: usize = 10;
        if self.is_intact() {
            f.write_str("intact")?;
        } else {
            f.write_str("damaged:")?;
        }
        if let Some(Range { start, end }) = self.header {
            write!(f, " bytes {start}..{end} (the header)")?;
        }
        for (index, Damage { bytes, rows }) in self.damage.iter().take(SHOWN).enumerate() {
            let comma = if index > 0 || self.header.is_some() {
                ","
            } else {
                ""
            };
            write!(f, "{comma} bytes {bytes:?} (rows {rows:?})")?;
        }
        if let more @ 1.. = self.damage.len().saturating_sub(SHOWN) {
            write!(f, ", and {more} more")?;
        }
        if !self.uncovered.is_empty() {
            write!(f, "; rows {:?} have no checksums", self.uncovered)?;
        }
        Ok(())
    }
}

impl ArrayFile {
    fn write_checksums(&self) -> Result<()> {
        let context = self.context("write the checksums of");
        let (directory, name) = self.checksum_place(context)?;
        // Data before sums: sums must never be of bytes that the disk lacks, even if an earlier
        // writer left them there without a sync.
        self.flush()?;
        #[cfg(unix)]
        if !self.access.writes_file() {
            sys::sync_data(self.file()).map_err(|error| context.step("sync").io(error))?;
        }
        let header = self.header_to_sum(context)?;
        let path = directory.path().join(&name);
        let place = Place::at(Context::new(&path, "create"), directory, name)?;
        // If the array is open without a lock, its file system may have no locks.
        let patience = self.locked.then_some(Patience::None);
        let new = NewFile::at(place, patience)?;
        if let Some(old) = new.old() {
            check_old(context, &path, old)?;
        } else {
            // Before any byte is in the file, because users who may not read the array shall not
            // read its sums.
            sys::preserve_attributes(self.file(), new.file(), Heir::Companion)
                .map_err(|error| new.context().step("set the attributes of").io(error))?;
        }
        let extent = self.extent();
        let needed = HEAD as u64 + header.len() as u64 + sums::len(extent.end - extent.start);
        new.check_limit(needed)?;
        let growth = |error| new.growth(error, needed);
        let mut head = Head {
            sum: 0,
            offset: extent.start,
            // No header that can be opened is longer.
            header_len: header.len() as u32,
            raw: self.array.raw,
        };
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&head.encode()[SUMMED_FROM..]);
        hasher.update(&header);
        let mut writer = Writer::new(new.file(), HEAD as u64);
        writer.write(&header).map_err(growth)?;
        read_pieces(context, self.file(), extent, |_, bytes| {
            let sums: Vec<u8> = sums::of(bytes).flatten().collect();
            hasher.update(&sums);
            writer.write(&sums).map_err(growth)
        })?;
        head.sum = hasher.finalize();
        sys::write_all_at(new.file(), &head.encode(), 0).map_err(growth)?;
        new.publish()
    }

    fn verify(&self) -> Result<Verification> {
        let context = self.context("verify");
        let (directory, name) = self.checksum_place(context)?;
        let header = self.header_to_sum(context)?;
        let known = Known::open(context, (directory, name), &self.array, header.len())?;
        let uncovered = known.uncovered(&self.array)?;
        let damaged_header = match uncovered.is_empty() && !self.array.raw {
            true => difference(&header, &known.header),
            false => None,
        };
        let start = self.array.offset;
        let rows = shape::rows(&self.array.shape, self.array.order);
        let row = (self.array.nbytes() / rows.max(1)) as u64;
        let mut damage = Vec::new();
        read_pieces(
            context,
            self.file(),
            start..start + known.nbytes,
            |at, bytes| {
                let blocks = bytes.len().div_ceil(BLOCK);
                let mut expected = [0; PIECE / BLOCK * SUM];
                let expected = &mut expected[..blocks * SUM];
                known.read(expected, (at - start) / BLOCK as u64)?;
                let starts = (at..).step_by(BLOCK);
                for ((found, expected), start) in
                    sums::of(bytes).zip(expected.chunks_exact(SUM)).zip(starts)
                {
                    if found != expected {
                        let end = (start + BLOCK as u64).min(at + bytes.len() as u64);
                        add(&mut damage, start..end);
                    }
                }
                Ok(())
            },
        )?;
        let rows_of = |bytes: &Range<u64>| {
            let first = (bytes.start - start) / row;
            let last = (bytes.end - start).div_ceil(row);
            first as usize..last as usize
        };
        Ok(Verification {
            header: damaged_header,
            damage: damage
                .into_iter()
                .map(|bytes| Damage {
                    rows: rows_of(&bytes),
                    bytes,
                })
                .collect(),
            uncovered,
        })
    }

    /// The place of the array's checksums: beside its file, even if a link led there.
    fn checksum_place(&self, context: Context<'_>) -> Result<(Directory, OsString)> {
        if !self.is_whole {
            return Err(context.fail(ErrorKind::InvalidOption {
                reason: "an array in an archive has no checksums of its own; the archive has one, which `Npz::read` and `Npz::unpack` check",
            }));
        }
        let id = self.file().metadata().map(|metadata| FileId::of(&metadata));
        let found = id.and_then(|id| {
            let (directory, name) = Directory::find(&self.path)?;
            Ok((directory.names(&name, id)?, directory, name))
        });
        let (is_named, directory, mut name) = found.map_err(|error| context.io(error))?;
        if !is_named {
            return Err(context.fail(ErrorKind::Moved));
        }
        name.push(SUFFIX);
        Ok((directory, name))
    }

    /// The header of the file as it is now, or an equivalent header for a raw file.
    fn header_to_sum(&self, context: Context<'_>) -> Result<Vec<u8>> {
        let Array {
            dtype,
            order,
            shape,
            offset,
            raw,
        } = &self.array;
        if *raw {
            let header = Header::encode(dtype, *order, &shape::wide(shape), Form::Native);
            return header.map_err(|cause| context.fail(ErrorKind::Header { cause }));
        }
        let header = self.read_header(context)?;
        if (header.len() as u64) < *offset {
            return Err(cut(context, self.extent().end, header.len() as u64));
        }
        // A mark is no damage.
        Ok(header::unmarked(header))
    }
}

/// Checksums that are consistent in themselves, and the array that they were made for.
struct Known<'a> {
    context: Context<'a>,
    path: PathBuf,
    file: LockedFile,
    array: Array,
    /// The header that the array's file had.
    header: Vec<u8>,
    /// The bytes that have sums.
    nbytes: u64,
    /// The offset of the sums in the file.
    sums_at: u64,
}

impl<'a> Known<'a> {
    /// Opens the checksums of this name in a directory. The header of `array`, which they may be
    /// for, has `header_len` bytes.
    ///
    /// Lengths before bytes: a file that is longer than the sums of the array is refused before it
    /// is read.
    fn open(
        context: Context<'a>,
        (directory, name): (Directory, OsString),
        array: &Array,
        header_len: usize,
    ) -> Result<Known<'a>> {
        let found = directory.follow(name).map_err(|error| context.io(error));
        let (directory, name) = found?;
        let path = directory.path().join(&name);
        let refused = |cause| {
            context.fail(ErrorKind::Checksums {
                checksums: path.clone(),
                cause,
            })
        };
        let damaged = |reason| refused(ChecksumError::Damaged { reason });
        let reading = Context::new(&path, "read");
        // No lock, because checksum files are never changed, only replaced.
        let opened = LockedFile::open_in(&directory, &name, false, false, None);
        let opened = opened.map_err(|error| lock::refusal(reading, false, false, error))?;
        let file = opened.ok_or_else(|| refused(ChecksumError::Missing))?;
        let metadata = file.file().metadata();
        let len = metadata.map_err(|error| reading.io(error))?.len();
        let mut bytes = [0; HEAD];
        let read = sys::read_at(file.file(), &mut bytes, 0).map_err(|error| reading.io(error))?;
        let head = Head::decode(&bytes[..read]).map_err(refused)?;
        // The limit depends on the array's own header, whatever this file claims.
        let limit = DEFAULT_LIMIT.max(header_len);
        if u64::from(head.header_len) > (4 * limit + HEAD) as u64 || head.sums_at() > len {
            return Err(damaged("the header in them is too long"));
        }
        let mut header = vec![0; head.header_len as usize];
        sys::read_at(file.file(), &mut header, HEAD as u64).map_err(|error| reading.io(error))?;
        let decoded = Header::decode(&header, limit).ok();
        let decoded = decoded.filter(|decoded| decoded.offset == u64::from(head.header_len));
        let summed = decoded.and_then(|decoded| {
            Some(Array {
                shape: shape::narrow(&decoded.shape)?,
                dtype: decoded.dtype,
                order: decoded.order,
                offset: head.offset,
                raw: head.raw,
            })
        });
        let summed = summed.ok_or_else(|| damaged("the header in them is none"))?;
        let nbytes = shape::checked_nbytes(&summed.shape, summed.dtype.itemsize());
        let nbytes = nbytes.ok_or_else(|| damaged("the header in them is none"))? as u64;
        if head.sums_at() + sums::len(nbytes) != len {
            return Err(damaged("there are more or fewer than the array has blocks"));
        }
        let known = Known {
            context,
            array: summed,
            header,
            nbytes,
            sums_at: head.sums_at(),
            path,
            file,
        };
        let own = shape::checked_nbytes(&array.shape, array.dtype.itemsize());
        if own.is_none_or(|own| sums::len(own as u64) < sums::len(nbytes)) {
            return Err(known.stale(array));
        }
        known.check_sum(head.sum, len)?;
        Ok(known)
    }

    /// Compares the sum of the file itself, which is `len` bytes long, with the one that it claims.
    fn check_sum(&self, claimed: u32, len: u64) -> Result<()> {
        let reading = Context::new(&self.path, "read");
        let mut hasher = crc32fast::Hasher::new();
        read_pieces(
            reading,
            self.file.file(),
            SUMMED_FROM as u64..len,
            |_, bytes| {
                hasher.update(bytes);
                Ok(())
            },
        )?;
        if hasher.finalize() == claimed {
            return Ok(());
        }
        let reason = "they do not have the sum that they say";
        Err(self.refused(ChecksumError::Damaged { reason }))
    }

    fn refused(&self, cause: ChecksumError) -> Error {
        self.context.fail(ErrorKind::Checksums {
            checksums: self.path.clone(),
            cause,
        })
    }

    /// The rows of `array` that were appended since, if it is otherwise the same array.
    fn uncovered(&self, array: &Array) -> Result<Range<usize>> {
        let mut expected = self.array.clone();
        let known = shape::rows(&expected.shape, expected.order);
        let rows = shape::rows(&array.shape, array.order);
        if let Some(axis) = shape::slowest_axis(expected.shape.len(), expected.order) {
            expected.shape[axis] = rows;
        }
        if expected == *array && known <= rows {
            return Ok(known..rows);
        }
        Err(self.stale(array))
    }

    fn stale(&self, array: &Array) -> Error {
        self.refused(ChecksumError::Stale {
            expected: describe(&self.array),
            found: describe(array),
        })
    }

    /// Reads the sums of the blocks from the one numbered `first` on.
    fn read(&self, sums: &mut [u8], first: u64) -> Result<()> {
        let at = self.sums_at + first * SUM as u64;
        let reading = Context::new(&self.path, "read");
        let read = sys::read_at(self.file.file(), sums, at).map_err(|error| reading.io(error))?;
        if read < sums.len() {
            return Err(cut(reading, at + sums.len() as u64, at + read as u64));
        }
        Ok(())
    }
}

/// Refuses to replace a file that is neither empty nor a checksum file: it may be somebody's only
/// copy of something else.
fn check_old(context: Context<'_>, path: &Path, old: &File) -> Result<()> {
    let mut bytes = [0; HEAD];
    let reading = Context::new(path, "read");
    let read = sys::read_at(old, &mut bytes, 0).map_err(|error| reading.io(error))?;
    match Head::decode(&bytes[..read]) {
        Err(cause @ ChecksumError::Magic { .. }) if read > 0 => {
            Err(context.step("verify").fail(ErrorKind::Checksums {
                checksums: path.to_owned(),
                cause,
            }))
        }
        _ => Ok(()),
    }
}

/// A description of the array in words.
fn describe(array: &Array) -> String {
    let Array {
        dtype,
        order,
        shape,
        offset,
        raw,
    } = array;
    let header = if *raw { "without" } else { "behind" };
    format!("{shape:?} of {dtype} in {order:?} order, from byte {offset} {header} a header")
}

/// Passes on `range` of the file in pieces of [`PIECE`] bytes, each with its offset.
fn read_pieces(
    context: Context<'_>,
    file: &File,
    range: Range<u64>,
    mut each: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let len = range.end.saturating_sub(range.start);
    let mut buffer = vec![0; PIECE.min(usize::try_from(len).unwrap_or(PIECE))];
    let mut at = range.start;
    while at < range.end {
        let rest = usize::try_from(range.end - at).unwrap_or(PIECE);
        let piece = &mut buffer[..rest.min(PIECE)];
        let read = sys::read_at(file, piece, at).map_err(|error| context.io(error))?;
        if read < piece.len() {
            return Err(cut(context, range.end, at + read as u64));
        }
        each(at, piece)?;
        at += read as u64;
    }
    Ok(())
}

/// The error of a file that ends at `found`, although it was longer when it was opened.
fn cut(context: Context<'_>, expected: u64, found: u64) -> Error {
    context.fail(ErrorKind::Truncated { expected, found })
}

/// The range from the first byte that differs to the last.
fn difference(found: &[u8], expected: &[u8]) -> Option<Range<u64>> {
    let differs = |(found, expected): (&u8, &u8)| found != expected;
    let first = found.iter().zip(expected).position(differs)?;
    let last = found.iter().zip(expected).rposition(differs)?;
    Some(first as u64..last as u64 + 1)
}

/// Adds a damaged block to those before it.
fn add(damage: &mut Vec<Range<u64>>, block: Range<u64>) {
    let is_full = damage.len() >= MAX_DAMAGE;
    match damage.last_mut() {
        Some(last) if is_full || last.end == block.start => last.end = block.end,
        _ => damage.push(block),
    }
}

impl<A: Element, D: Dimension, M: AccessMode> Store<A, D, M> {
    /// Writes a checksum of every 8 KiB of the array, and a copy of its header, to the file
    /// `NAME.sums` beside it, which replaces an old one. [`verify`](Store::verify) compares with
    /// them.
    ///
    /// They are the checksums of the bytes in the file after a [`flush`](Store::flush), damaged or
    /// not: if there are older checksums, verify first. They are not kept up to date: write them
    /// when the array is finished, and again after each change.
    ///
    /// Reads the whole array and writes 0.05 % of its size, durably and whole or not at all. The
    /// new file has the owner and the mode of the array's. Takes 256 KiB of memory.
    ///
    /// # Errors
    ///
    /// - [`Moved`](ErrorKind::Moved) if the path no longer names the file of this store.
    /// - [`Truncated`](ErrorKind::Truncated) if somebody cut the file.
    /// - [`InvalidOption`](ErrorKind::InvalidOption) for an array in an archive.
    /// - [`Checksums`](ErrorKind::Checksums), as [`Magic`](ChecksumError::Magic), if a file of that
    ///   name is not a checksum file; it stays as it is.
    /// - Those of [`flush`](Store::flush), and those of [`create`](Store::create) for the file of
    ///   checksums.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("temp.npy");
    ///
    /// let store = Store::create_from(&path, &Array2::<f64>::ones((1000, 1000)))?;
    /// store.write_checksums()?; // to temp.npy.sums
    /// assert!(store.verify()?.is_intact());
    /// drop(store);
    ///
    /// // A disk that forgets.
    /// let mut bytes = std::fs::read(&path)?;
    /// bytes[4096 + 500_000 * 8] ^= 1;
    /// std::fs::write(&path, bytes)?;
    ///
    /// let found = Store::<f64, Ix2>::open(&path)?.verify()?;
    /// assert!(found.damage()[0].rows.contains(&500));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_checksums(&self) -> Result<()> {
        self.file.write_checksums()
    }

    /// Looks for damage: compares the array and its header with the checksums that
    /// [`write_checksums`](Store::write_checksums) left beside it.
    ///
    /// Any one, two or three flipped bits in 8 KiB are found, and any damage within 32 neighbouring
    /// bits; of other damage one in 2^32 blocks goes unnoticed. Rows that were appended since are
    /// told apart. An array that was changed on purpose, without new checksums, cannot be told from
    /// a damaged one; arrays are therefore verified only on request.
    ///
    /// Compares the file, not the changes of a copy-on-write store. Reads the whole array, in 256
    /// KiB of memory.
    ///
    /// # Errors
    ///
    /// - [`Checksums`](ErrorKind::Checksums): [`Missing`](ChecksumError::Missing),
    ///   [`Stale`](ChecksumError::Stale) if the dtype, the order, the offset or the shape differs
    ///   (more rows are allowed), [`Damaged`](ChecksumError::Damaged).
    /// - [`Truncated`](ErrorKind::Truncated) if somebody cut the file; [`Io`](ErrorKind::Io), also
    ///   for sectors that the disk cannot read.
    /// - [`Moved`](ErrorKind::Moved), [`InvalidOption`](ErrorKind::InvalidOption), as for
    ///   `write_checksums`.
    pub fn verify(&self) -> Result<Verification> {
        self.file.verify()
    }
}

impl AnyStore {
    /// Writes a checksum of every 8 KiB of the array to the file `NAME.sums` beside it. See
    /// [`Store::write_checksums`].
    ///
    /// # Errors
    ///
    /// As [`Store::write_checksums`].
    pub fn write_checksums(&self) -> Result<()> {
        self.file.write_checksums()
    }

    /// Looks for damage, by the checksums beside the array. See [`Store::verify`].
    ///
    /// # Errors
    ///
    /// As [`Store::verify`].
    pub fn verify(&self) -> Result<Verification> {
        self.file.verify()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_difference_reaches_from_the_first_byte_to_the_last(bytes in prop::collection::vec((0..3_u8, 0..3_u8), 0..20)) {
            let (found, expected): (Vec<_>, Vec<_>) = bytes.into_iter().unzip();
            let differing: Vec<_> = (0..found.len()).filter(|&at| found[at] != expected[at]).collect();
            let naive = differing.first().map(|&first| first as u64..differing[differing.len() - 1] as u64 + 1);
            prop_assert_eq!(difference(&found, &expected), naive);
        }

        #[test]
        fn blocks_that_touch_are_one_range_and_others_are_not(damaged in prop::collection::vec(any::<bool>(), 0..40)) {
            let mut ranges = Vec::new();
            for block in (0..damaged.len() as u64).filter(|&block| damaged[block as usize]) {
                add(&mut ranges, 10 * block..10 * block + 10);
            }
            let again: Vec<_> = (0..damaged.len() as u64)
                .map(|block| ranges.iter().any(|range| range.contains(&(10 * block))))
                .collect();
            prop_assert_eq!(again, damaged);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }

    #[test]
    fn damage_without_end_takes_bounded_memory_and_none_of_it_is_left_out() {
        let mut ranges = Vec::new();
        let last = 2 * MAX_DAMAGE as u64 + 50;
        for block in (0..=last).step_by(2) {
            add(&mut ranges, block..block + 1);
        }
        assert_eq!(ranges.len(), MAX_DAMAGE);
        let start = 2 * MAX_DAMAGE as u64 - 2;
        assert_eq!(ranges[MAX_DAMAGE - 1], start..last + 1);
    }
}
