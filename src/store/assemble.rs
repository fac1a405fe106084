//! An array that many processes fill in any order, and that gets its name when it is whole.
//!
//! Until then it is a file beside its place, with a mark for each slab of rows behind the elements.
//! A slab belongs to the store that claims its rows (`beside`). Its mark is written once the disk
//! has the rows, and a marked slab is never filled again, whichever process was killed.

use std::fmt;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ndarray::{Dimension, ShapeBuilder};

use super::array::Array;
use super::create;
use super::describe::read_header;
use super::layout::Layout;
use super::lock::{absolute, refusal};
use super::mode::{Opened, Rows};
use super::open;
use super::options::Options;
use super::place::{Existing, Place};
use super::typed::Store;
use crate::element::Element;
use crate::error::{Context, ErrorKind, Result};
use crate::sys::ranges::{self, Claim};
use crate::sys::{self, FileId, LockPolicy, LockedFile, NotLocked, Patience, Pauses};

/// The operation, for errors.
const OP: &str = "assemble";

/// The bytes between the elements and the marks, in front of the number of rows in a slab.
const MAGIC: [u8; 16] = *b"ndstore slabs 1\n";

/// The length of these bytes with the number.
const HEAD: usize = MAGIC.len() + size_of::<u64>();

/// The mark of a slab that is on the disk. Other marks are 0.
const DONE: u8 = 1;

/// How long `finish` waits for other processes, which by then have the file only to look for a
/// slab.
const FINISHING: Duration = Duration::from_secs(10);

/// An array in the making, whose rows many processes fill: [`Store::assemble`] makes one in each.
///
/// # Examples
///
/// Any number of processes, or threads, do this at a time. A process that is killed leaves its slab
/// to the others. If all are killed, the next run continues where they ended:
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::Store;
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("big.npy");
///
/// let mut assembly = Store::<f64, _>::assemble(&path, (1000, 3), 64)?;
/// while let Some(mut slab) = assembly.next_slab()? {
///     let first = slab.rows().start;
///     let shape = (slab.rows().len(), 3);
///     let values = Array::from_shape_fn(shape, |(row, _)| (first + row) as f64);
///     slab.write_all(&values)?;
///     slab.done()?;
/// }
/// assembly.finish()?;
/// assert_eq!(Store::<f64, Ix2>::open(&path)?.get([700, 2])?, 700.0);
/// # Ok::<(), ndstore::Error>(())
/// ```
pub struct Assembly<A, D> {
    path: PathBuf,
    /// The path until it is whole.
    draft: PathBuf,
    /// Open to look at the file, without a claim.
    file: File,
    id: FileId,
    array: Array,
    slab_rows: usize,
    marker: PhantomData<(A, D)>,
}

/// Some rows of an [`Assembly`]: a [`Store`] of rows that nobody else has. Dropping it without
/// [`done`](Slab::done) leaves the rows to the next process that asks.
#[must_use = "its rows are not counted until `done`"]
pub struct Slab<'a, A, D> {
    store: Store<A, D, Rows>,
    rows: Range<usize>,
    /// The offset of its mark.
    mark: u64,
    /// A caller that waited for a slab while it has one would wait for itself.
    assembly: PhantomData<&'a mut Assembly<A, D>>,
}

impl Options {
    /// Makes an array that many processes fill. See [`Store::assemble`].
    ///
    /// # Errors
    ///
    /// As [`Store::assemble`].
    pub fn assemble<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
        slab_rows: usize,
    ) -> Result<Assembly<A, D>> {
        let path = absolute(path.as_ref(), OP)?;
        let context = Context::new(&path, OP);
        let (dim, order) = self.dim_and_order(&path, shape, size_of::<A>())?;
        if let Some(reason) = match () {
            () if self.raw.is_some() => {
                Some("a raw file does not say what it is to become; leave out `Options::raw`")
            }
            () if self.patience().is_none() => {
                Some("without locks two would fill the same rows; leave out `Options::no_lock`")
            }
            () if slab_rows == 0 => Some("a slab needs a row at least; ask for one or more"),
            () if dim.ndim() == 0 => {
                Some("a 0-d array has no rows that many could fill; make it one of a higher rank")
            }
            () => None,
        } {
            return Err(context.fail(ErrorKind::InvalidOption { reason }));
        }
        // A process that has a slab is at work, and is not waited for.
        let options = self.clone().lock(LockPolicy::Fail);
        for _ in 0..sys::MAX_ROUNDS {
            let layout = Layout::of::<A, D>(&path, dim.slice(), order, &options)?;
            if let Some(assembly) = Assembly::join(&path, layout, slab_rows, &options)? {
                return Ok(assembly);
            }
        }
        Err(context.io(sys::restless()))
    }
}

impl<A: Element, D: Dimension> Store<A, D> {
    /// Makes an array of zeros that many processes fill, each a slab of `slab_rows` rows at a time,
    /// in any order. If processes already fill it, this joins them; if they ended, it continues
    /// their work.
    ///
    /// The array gets its name when every slab is [done](Slab::done) and somebody
    /// [finishes](Assembly::finish) it. Until then it is in a file of that name with `.part`
    /// appended, which NumPy reads as well; to give it up, delete that file. If the path already
    /// names such an array, nothing is left to do.
    ///
    /// # Errors
    ///
    /// - As [`create`](Store::create).
    /// - [`AlreadyExists`](ErrorKind::AlreadyExists) if the path names anything other than such an
    ///   array.
    /// - [`InvalidOption`](ErrorKind::InvalidOption) if an array of another type, shape or slab is
    ///   being made there; for a raw file; without locks; for slabs without rows.
    pub fn assemble(
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
        slab_rows: usize,
    ) -> Result<Assembly<A, D>> {
        Options::new().assemble(path, shape, slab_rows)
    }
}

/// The path of an array that is not whole.
fn draft_of(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".part");
    draft.into()
}

impl<A: Element, D: Dimension> Assembly<A, D> {
    /// Opens the finished array or the draft, or makes a draft. `None` if another process was
    /// faster in between.
    fn join(
        path: &Path,
        layout: Layout,
        slab_rows: usize,
        options: &Options,
    ) -> Result<Option<Assembly<A, D>>> {
        let context = Context::new(path, OP);
        let draft = draft_of(path);
        let array = layout.array.clone();
        let assembly = |file: File| {
            let metadata = file.metadata().map_err(|error| context.io(error))?;
            Ok(Assembly {
                path: path.to_owned(),
                draft: draft.clone(),
                id: FileId::of(&metadata),
                file,
                array: array.clone(),
                slab_rows,
                marker: PhantomData,
            })
        };
        let exists = || {
            let found = path.symlink_metadata();
            match found.map(|_| true) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                found => found.map_err(|error| context.io(error)),
            }
        };
        if exists()? {
            // The process that finished it may have it for another moment.
            let patient = options.clone().lock(LockPolicy::WaitAtMost(FINISHING));
            let found = open::open(path, Opened::Watch, None, &patient, None)?;
            let same = |found: &Array| {
                (&found.dtype, &found.shape, found.order)
                    == (&array.dtype, &array.shape, array.order)
            };
            if !same(&found.array) {
                return Err(context.fail(ErrorKind::AlreadyExists));
            }
            let file = sys::open_file(path, false).map_err(|error| context.io(error))?;
            return assembly(file).map(Some);
        }
        let fill = |place: &Place, file: &File, layout: &Layout| {
            let len = layout.len();
            let reserved = place.reserve(file, layout, options.sparse)?;
            let all = marks_end(&layout.array, slab_rows);
            let write = || {
                // Past the limit of this process the kernel would send SIGXFSZ.
                if sys::file_size_limit().is_some_and(|limit| limit < all) {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                if !reserved {
                    sys::write_zeros(file, 0..len)?;
                }
                sys::write_all_at(file, &head(slab_rows), len)?;
                file.set_len(all)
            };
            write().map_err(|error| place.growth(error, all))
        };
        let made = match create::create(&draft, layout, Existing::Refuse, options, fill) {
            Ok(made) => Some(made),
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists) => None,
            Err(error) => return Err(error),
        };
        let file = match sys::open_file(&draft, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Context::new(&draft, OP).io(error)),
        };
        // After the look at the draft: the draft gets the name of the array in one step, so a
        // process that misses the one sees the other.
        if exists()? {
            if made.is_some() {
                std::fs::remove_file(&draft).map_err(|error| context.io(error))?;
            }
            return Ok(None);
        }
        let assembly = assembly(file)?;
        assembly.check(options)?;
        Ok(Some(assembly))
    }

    /// Refuses a draft of another type, shape or slab.
    fn check(&self, options: &Options) -> Result<()> {
        let context = Context::new(&self.draft, OP);
        let metadata = self.file.metadata().map_err(|error| context.io(error))?;
        let found = read_header(context, &self.file, &metadata, options, None)?;
        let mut found_head = [0; HEAD];
        let end = self.array.extent().end;
        let read = sys::read_at(&self.file, &mut found_head, end);
        let read = read.map_err(|error| context.io(error))?;
        // The draft has no marks any more if a process was killed after it removed them from a
        // whole array.
        let is_whole = read == 0 && metadata.len() == end;
        match found == self.array && (is_whole || found_head == head(self.slab_rows)) {
            true => Ok(()),
            false => Err(context.fail(ErrorKind::InvalidOption { reason: "an array of another dtype, shape, order or slab is in the making there; finish that one, or delete the file" })),
        }
    }

    /// Whether the array has its name.
    fn is_finished(&self) -> Result<bool> {
        let names = sys::names(&self.path, self.id);
        names.map_err(|error| Context::new(&self.path, OP).io(error))
    }

    /// The marks of all slabs. `None` for a whole array, which has none.
    fn marks(&self) -> Result<Option<Vec<u8>>> {
        let context = Context::new(&self.draft, OP);
        let end = self.array.extent().end;
        let len = || self.file.metadata().map(|metadata| metadata.len());
        if len().map_err(|error| context.io(error))? == end || self.is_finished()? {
            return Ok(None);
        }
        let marks = sys::zeroed_vec(slabs(&self.array, self.slab_rows));
        let mut marks = marks.ok_or_else(|| context.io(io::ErrorKind::OutOfMemory.into()))?;
        let read = sys::read_at(&self.file, &mut marks, end + HEAD as u64);
        if read.map_err(|error| context.io(error))? == marks.len() {
            return Ok(Some(marks));
        }
        let found = len().map_err(|error| context.io(error))?;
        match found == end || self.is_finished()? {
            true => Ok(None),
            false => Err(context.fail(ErrorKind::Truncated {
                expected: marks_end(&self.array, self.slab_rows),
                found,
            })),
        }
    }

    /// The number of slabs that are done, and of all slabs.
    ///
    /// # Errors
    ///
    /// [`Truncated`](ErrorKind::Truncated) if somebody cut the file, [`Io`](ErrorKind::Io).
    pub fn progress(&self) -> Result<(usize, usize)> {
        let slabs = slabs(&self.array, self.slab_rows);
        let done = self.marks()?.map_or(slabs, |marks| {
            marks.iter().filter(|&&mark| mark == DONE).count()
        });
        Ok((done, slabs))
    }

    /// The next slab that nobody has and that is not done. If others have all remaining slabs, it
    /// waits until they are done or gone. `None` once all are done.
    ///
    /// # Errors
    ///
    /// - [`Moved`](ErrorKind::Moved) if somebody moved or deleted the file meanwhile,
    ///   [`Truncated`](ErrorKind::Truncated) if it was cut.
    /// - [`LockUnsupported`](ErrorKind::LockUnsupported) where files cannot be locked in part.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied), [`Io`](ErrorKind::Io).
    pub fn next_slab(&mut self) -> Result<Option<Slab<'_, A, D>>> {
        let mut pauses = Pauses::new(Patience::Forever);
        loop {
            let marks = self.marks()?.unwrap_or_default();
            let mut all_done = true;
            for at in (0..marks.len()).filter(|&at| marks[at] != DONE) {
                all_done = false;
                if let Some(slab) = self.claim(at)? {
                    return Ok(Some(slab));
                }
            }
            if all_done {
                return Ok(None);
            }
            std::thread::sleep(pauses.next().unwrap_or_default());
        }
    }

    /// Claims a slab, unless somebody has it, or it is done by now.
    fn claim<'a>(&self, at: usize) -> Result<Option<Slab<'a, A, D>>> {
        let context = Context::new(&self.draft, OP);
        let start = at * self.slab_rows;
        let end = self.array.rows().min(start.saturating_add(self.slab_rows));
        let mut part = self.array.clone();
        part.keep_rows(context, start..end)?;
        // Asking is cheaper than an error that names the holder.
        if let Ok(Some(_)) = ranges::in_the_way(&self.file, Claim::Write, &part.extent()) {
            return Ok(None);
        }
        let moved = || match self.is_finished()? {
            true => Ok(None),
            false => Err(context.fail(ErrorKind::Moved)),
        };
        let store = match Store::<A, D>::open_rows(&self.draft, start..end) {
            Ok(store) => store,
            Err(error) => {
                return match error.kind() {
                    ErrorKind::Locked { .. } => Ok(None),
                    ErrorKind::NotFound { .. } => moved(),
                    _ => Err(error),
                };
            }
        };
        let found = store.file.file().metadata();
        if FileId::of(&found.map_err(|error| context.io(error))?) != self.id {
            return moved();
        }
        // Look again under the claim, because its last holder may have finished it.
        let is_done = (self.marks()?).is_none_or(|marks| marks[at] == DONE);
        Ok((!is_done).then(|| Slab {
            store,
            rows: start..end,
            mark: self.array.extent().end + (HEAD + at) as u64,
            assembly: PhantomData,
        }))
    }

    /// Gives the array its name, durably, if it has none yet: every process may call this when
    /// [`next_slab`](Assembly::next_slab) has no more.
    ///
    /// # Errors
    ///
    /// - [`InvalidOption`](ErrorKind::InvalidOption) if rows are missing.
    /// - [`AlreadyExists`](ErrorKind::AlreadyExists) if somebody has put another file there
    ///   meanwhile.
    /// - [`Locked`](ErrorKind::Locked) if somebody else has the file open for long,
    ///   [`Moved`](ErrorKind::Moved), [`Io`](ErrorKind::Io).
    pub fn finish(self) -> Result<()> {
        self.give_name()?;
        // Nobody else comes by who would remove them.
        if let Ok(metadata) = self.file.metadata() {
            sys::clear_drafts(&self.draft, &metadata);
        }
        Ok(())
    }

    fn give_name(&self) -> Result<()> {
        let drafted = Context::new(&self.draft, OP);
        let patience = LockPolicy::WaitAtMost(FINISHING).into();
        let opened = LockedFile::open(&self.draft, true, true, Some(patience));
        let gone = |refused: &NotLocked| matches!(refused, NotLocked::Open(error) if error.kind() == io::ErrorKind::NotFound);
        let file = match opened {
            Ok((file, metadata)) if FileId::of(&metadata) == self.id => Some(file),
            Ok(_) => None,
            Err(refused) if gone(&refused) => None,
            Err(refused) => return Err(refusal(drafted, true, true, refused)),
        };
        let Some(file) = file else {
            return match self.is_finished()? {
                true => self.secure_name(),
                false => Err(drafted.fail(ErrorKind::Moved)),
            };
        };
        let (done, slabs) = self.progress()?;
        if done < slabs {
            return Err(drafted.fail(ErrorKind::InvalidOption {
                reason: "some of its rows are missing; take slabs of it until there is none",
            }));
        }
        let synced = file.file().set_len(self.array.extent().end);
        synced
            .and_then(|()| sys::sync_all(file.file()))
            .map_err(|error| drafted.io(error))?;
        let context = Context::new(&self.path, OP);
        if self.is_finished()? {
            // Without a rename that replaces nothing the file has both names for a moment, and
            // whoever was about to take one away was killed.
            let removed = std::fs::remove_file(&self.draft);
            removed.map_err(|error| drafted.io(error))?;
            return self.secure_name();
        }
        Place::find(context, Existing::Refuse)?.name_new(&self.draft)
    }

    /// Makes sure of a name that somebody else gave the array, and that the disk need not have.
    fn secure_name(&self) -> Result<()> {
        let synced = sys::sync_name(&self.path, &self.file);
        let context = Context::new(&self.path, OP).step("sync the directory of");
        synced.map_err(|error| context.io(error))
    }
}

/// The bytes before the marks.
fn head(slab_rows: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let (magic, number) = head.split_at_mut(MAGIC.len());
    magic.copy_from_slice(&MAGIC);
    number.copy_from_slice(&(slab_rows as u64).to_le_bytes());
    head
}

/// The end of the marks, and of the file.
fn marks_end(array: &Array, slab_rows: usize) -> u64 {
    let before = array.extent().end + HEAD as u64;
    before.saturating_add(slabs(array, slab_rows) as u64)
}

/// The number of slabs.
fn slabs(array: &Array, slab_rows: usize) -> usize {
    array.rows().div_ceil(slab_rows)
}

impl<A: Element, D: Dimension> Slab<'_, A, D> {
    /// The rows of the array in this slab.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Makes the rows durable, and then marks them as done. From here on nobody gets them again.
    ///
    /// # Errors
    ///
    /// As [`Store::flush`]; [`Truncated`](ErrorKind::Truncated) if somebody cut the file.
    pub fn done(self) -> Result<()> {
        self.store.file.check_opener(OP)?;
        // Data before mark: a mark must never name rows that the disk lacks.
        self.store.flush()?;
        let file = &self.store.file;
        let context = file.context(OP);
        let found = file.file_len(OP)?;
        if found <= self.mark {
            return Err(context.fail(ErrorKind::Truncated {
                expected: self.mark + 1,
                found,
            }));
        }
        file.write_step(OP, || {
            sys::write_all_at(file.file(), &[DONE], self.mark)?;
            sys::sync_data(file.file())
        })
    }
}

impl<A, D> Deref for Slab<'_, A, D> {
    type Target = Store<A, D, Rows>;

    fn deref(&self) -> &Self::Target {
        &self.store
    }
}

impl<A, D> DerefMut for Slab<'_, A, D> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.store
    }
}

impl<A: Element, D: Dimension> fmt::Debug for Slab<'_, A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab")
            .field("store", &self.store)
            .field("rows", &self.rows)
            .finish()
    }
}

impl<A, D> fmt::Debug for Assembly<A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembly")
            .field("path", &self.path)
            .field("shape", &self.array.shape)
            .field("slab_rows", &self.slab_rows)
            .finish()
    }
}
