//! Creating: a whole new file beside its target, durable before it takes the target's name.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ndarray::{ArrayRef, Dimension};

use super::file::{Array, ArrayFile};
use super::open::{absolute, check_size, lock, refusal};
use super::options::Options;
use super::pack;
use super::typed::Store;
use super::write::{self, Writer};
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Context, Error, Result};
use crate::header::{Form, Header, extent};
use crate::mapping::Access;
use crate::shape::{self, Order};
use crate::sys::{self, Directory, Draft, LockedFile, Patience, Unpublished};

/// What becomes of a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Replace,
    Refuse,
}

/// A file to be written: the array, its header and its length, all of it checked.
pub(crate) struct Layout {
    pub(crate) array: Array,
    /// Empty for a raw file.
    header: Vec<u8>,
    pub(super) nbytes: usize,
}

impl Layout {
    /// The layout of a new file at `path`, which can be opened as a store of `A` and `D`. Nothing has been touched yet.
    pub(crate) fn of<A: Element, D: Dimension>(
        path: &Path,
        shape: &[usize],
        order: Order,
        options: &Options,
    ) -> Result<Layout> {
        let context = Context::new(path, "create");
        let layout = Layout::new(context, A::dtype(), shape.to_vec(), order, options)?;
        Store::<A, D>::check_array(context, &layout.array)?;
        Ok(layout)
    }

    /// The layout of a new file. Nothing has been touched yet.
    pub(crate) fn new(
        context: Context<'_>,
        dtype: DType,
        shape: Vec<usize>,
        order: Order,
        options: &Options,
    ) -> Result<Layout> {
        let Context { op, .. } = context;
        if let Some(expected) = options
            .shape
            .as_ref()
            .filter(|&expected| *expected != shape)
        {
            return Err(Error::ShapeMismatch {
                path: context.path(),
                op,
                expected: expected.clone(),
                found: shape,
            });
        }
        match options.raw {
            Some(_) if options.compact => Err(Error::InvalidOption {
                path: context.path(),
                op,
                reason: "a raw file has no header to be compact; choose one of `Options::raw` and `Options::compact`",
            }),
            Some(offset) => Layout::raw(context, dtype, shape, order, offset),
            None => {
                let form = if options.compact {
                    Form::Compact
                } else {
                    Form::Native
                };
                let layout = Layout::with_header(context, dtype, shape, order, form)?;
                // What could not be opened again by these very options must not be made.
                let readable = extent(&layout.header, layout.len(), options.max_header_size);
                readable.map_err(|source| Error::Header {
                    path: context.path(),
                    op,
                    source,
                })?;
                Ok(layout)
            }
        }
    }

    pub(super) fn raw(
        context: Context<'_>,
        dtype: DType,
        shape: Vec<usize>,
        order: Order,
        offset: u64,
    ) -> Result<Layout> {
        let nbytes = check_size(context, &shape, dtype.itemsize())?;
        Layout {
            array: Array {
                dtype,
                order,
                shape,
                offset,
                raw: true,
            },
            header: Vec::new(),
            nbytes,
        }
        .checked(context)
    }

    pub(super) fn with_header(
        context: Context<'_>,
        dtype: DType,
        shape: Vec<usize>,
        order: Order,
        form: Form,
    ) -> Result<Layout> {
        let nbytes = check_size(context, &shape, dtype.itemsize())?;
        let wide = shape::wide(&shape);
        let header =
            Header::encode(&dtype, order, &wide, form).map_err(|source| Error::Header {
                path: context.path(),
                op: context.op,
                source,
            })?;
        let offset = header.len() as u64;
        Layout {
            array: Array {
                dtype,
                order,
                shape,
                offset,
                raw: false,
            },
            header,
            nbytes,
        }
        .checked(context)
    }

    /// Checks the length of the whole file against what a file can be, and what this process may write.
    fn checked(self, context: Context<'_>) -> Result<Layout> {
        let too_large = |needed, limit| Error::FileTooLarge {
            path: context.path(),
            op: context.op,
            needed,
            limit,
        };
        let Array { offset, .. } = self.array;
        let len = offset
            .checked_add(self.nbytes as u64)
            .filter(|&len| len <= i64::MAX as u64);
        let len = len.ok_or_else(|| too_large(u64::MAX, None))?;
        match sys::file_size_limit() {
            Some(limit) if len > limit => Err(too_large(len, Some(limit))),
            _ => Ok(self),
        }
    }

    /// The length of the whole file.
    pub(super) fn len(&self) -> u64 {
        self.array.offset + self.nbytes as u64
    }
}

/// Creates a file of zeros.
pub(super) fn create_zeros(
    path: &Path,
    layout: Layout,
    existing: Existing,
    options: &Options,
) -> Result<ArrayFile> {
    create(path, layout, existing, options, |place, file, layout| {
        if !place.reserve(file, layout, options.sparse)? {
            let zeros = sys::write_zeros(file, 0..layout.len());
            zeros.map_err(|error| place.growth(error, layout.len()))?;
        }
        Ok(())
    })
}

/// Creates a file with the elements of `array`.
pub(super) fn create_from<A: Element, D: Dimension>(
    path: &Path,
    array: &ArrayRef<A, D>,
    options: &Options,
) -> Result<Store<A, D>> {
    let order = options.order.unwrap_or_else(|| pack::memory_order(array));
    let layout = Layout::of::<A, D>(path, array.shape(), order, options)?;
    let fill = |place: &Place, file: &File, layout: &Layout| {
        let mut writer = Writer::new(file, layout.array.offset);
        let made = match place.reserve(file, layout, options.sparse)? {
            true => Ok(()),
            // The elements do not do that if there are none.
            false => file.set_len(layout.len()),
        };
        made.and_then(|()| write::write_elements(&mut writer, array, order))
            .map_err(|error| place.growth(error, layout.len()))
    };
    let file = create(path, layout, Existing::Replace, options, fill)?;
    Ok(Store::from_file(file)?)
}

/// Where a file is to be: the name it will have, with symbolic links followed, and the directory of that name.
pub(super) struct Place {
    path: PathBuf,
    op: &'static str,
    target: PathBuf,
    directory: Directory,
    /// The bytes that this user could write there before anything was made.
    free: Option<u64>,
}

impl Place {
    /// Finds the place that `context.path` names.
    pub(super) fn find(context: Context<'_>) -> Result<Place> {
        let text = context.path.as_os_str().as_encoded_bytes();
        if text
            .last()
            .is_some_and(|&last| std::path::is_separator(last.into()))
        {
            return Err(context.not_a_file("a directory, by the separator at its end"));
        }
        let target = sys::resolve(context.path).map_err(|error| context.io(error))?;
        let directory = Directory::of(&target).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                context.denied("read its directory, which is synced", error)
            }
            _ => context.io(error),
        })?;
        Ok(Place {
            path: context.path(),
            op: context.op,
            free: sys::free_space(directory.path()),
            target,
            directory,
        })
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context::new(&self.path, self.op)
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Makes a whole file beside the target: `fill` gives it blocks and data, then it gets its header.
    ///
    /// One that `replaces` a file is private until it has that one's mode.
    pub(super) fn draft(
        &self,
        layout: &Layout,
        locked: bool,
        replaces: bool,
        fill: impl FnOnce(&Place, &File, &Layout) -> Result<()>,
    ) -> Result<(LockedFile, Unpublished)> {
        let draft = self.new_draft(locked, replaces, layout.len())?;
        fill(self, draft.file(), layout)?;
        self.write_header(draft.file(), layout)?;
        Ok(draft.into_parts())
    }

    /// Makes an empty file beside the target, which is to be `len` bytes long.
    pub(super) fn new_draft(&self, locked: bool, replaces: bool, len: u64) -> Result<Draft> {
        let context = self.context();
        let draft = Draft::new(&self.directory, &self.target, locked, replaces);
        draft.map_err(|refused| match refused {
            sys::NotLocked::Open(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                context.denied("make a file in its directory", error)
            }
            sys::NotLocked::Open(error) => self.growth(error, len),
            refused => refusal(context, true, refused),
        })
    }

    /// Gives a file that has its data its header.
    pub(super) fn write_header(&self, file: &File, layout: &Layout) -> Result<()> {
        sys::write_all_at(file, &layout.header, 0).map_err(|error| self.growth(error, layout.len()))
    }

    /// Makes the empty `file` as long as the layout: with blocks of its own that read as zero, or with a hole.
    ///
    /// False if it is still empty, because the file system reserves no blocks: then every byte has to be written.
    pub(super) fn reserve(&self, file: &File, layout: &Layout, sparse: bool) -> Result<bool> {
        let len = layout.len();
        let reserve = || {
            if sparse {
                return file.set_len(len);
            }
            self.check_room(len)?;
            sys::write_in_place(file);
            sys::allocate(file, 0..len)
        };
        match reserve() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
            Err(error) => Err(self.growth(error, len)),
        }
    }

    /// Refuses at once what the file system has no room for.
    pub(super) fn check_room(&self, len: u64) -> io::Result<()> {
        match sys::total_free(self.directory.path()) {
            Some(free) if free < len => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    /// Says why the new file did not get as long as it was to be.
    pub(super) fn growth(&self, error: io::Error, len: u64) -> Error {
        self.context().growth(error, len, self.free)
    }

    /// Puts the draft in the place of `old`, which stays locked until then. Nothing has changed if this fails.
    pub(super) fn replace(&self, old: &File, new: &File, name: Unpublished) -> Result<()> {
        let context = self.context();
        sys::preserve_attributes(old, new)
            .map_err(|error| context.step("set the attributes of").io(error))?;
        self.sync_draft(new)?;
        name.replace(&self.target)
            .map_err(|error| context.io(error))
    }

    /// Gives the draft its name, in place of `old` if there is one, and makes that durable.
    pub(super) fn publish(
        &self,
        mut old: Option<LockedFile>,
        new: &File,
        mut name: Unpublished,
        existing: Existing,
        patience: Option<Patience>,
    ) -> Result<()> {
        loop {
            if let Some(file) = &old {
                // Again, for filling the new file may have taken hours, and only a file that is locked may be replaced.
                let current = file.id().and_then(|id| sys::names(&self.target, id));
                if current.map_err(|error| self.context().io(error))? {
                    self.replace(file.file(), new, name)?;
                    break;
                }
                old = find_old(self.context(), self, existing, patience)?;
                continue;
            }
            self.sync_draft(new)?;
            name = match name.publish_new(&self.target) {
                Ok(()) => break,
                Err((name, error)) if error.kind() == io::ErrorKind::AlreadyExists => name,
                Err((_, error)) => return Err(self.context().io(error)),
            };
            // Another creator was faster: this is an old file now like any other.
            old = find_old(self.context(), self, existing, patience)?;
        }
        drop(old);
        self.sync_directory()
    }

    /// Data before name: a name must never stand for bytes that the disk lacks.
    fn sync_draft(&self, new: &File) -> Result<()> {
        sys::sync_all(new).map_err(|error| self.context().step("sync").io(error))
    }

    /// Name before acknowledgement: what is reported as done must not be undone by a power cut.
    pub(super) fn sync_directory(&self) -> Result<()> {
        self.directory
            .sync()
            .map_err(|error| self.context().step("sync the directory of").io(error))
    }
}

pub(super) fn create(
    path: &Path,
    layout: Layout,
    existing: Existing,
    options: &Options,
    fill: impl FnOnce(&Place, &File, &Layout) -> Result<()>,
) -> Result<ArrayFile> {
    let path = absolute(path, "create")?;
    let context = Context::new(&path, "create");
    let place = Place::find(context)?;
    let patience = options.lock.map(Patience::from);
    let old = find_old(context, &place, existing, patience)?;
    let (file, name) = place.draft(&layout, options.lock.is_some(), old.is_some(), fill)?;
    place.publish(old, file.file(), name, existing, patience)?;
    if options.lock.is_none() {
        file.release();
    }
    let Layout { array, .. } = layout;
    Ok(ArrayFile::new(
        file,
        array,
        path.clone(),
        Access::ReadWrite,
        options,
    ))
}

/// The file that is to be replaced, locked, or `None` where there is none.
pub(super) fn find_old(
    context: Context<'_>,
    place: &Place,
    existing: Existing,
    patience: Option<Patience>,
) -> Result<Option<LockedFile>> {
    // A link that leads nowhere is a name that is taken.
    if existing == Existing::Refuse {
        // Asked once: a file that comes a moment later is found when the new one is to get the name.
        return match context.path.symlink_metadata() {
            Ok(_) => Err(Error::AlreadyExists {
                path: context.path(),
            }),
            Err(_) => Ok(None),
        };
    }
    if place
        .target()
        .symlink_metadata()
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    {
        return Ok(None);
    }
    match lock(context, place.target(), true, patience) {
        Ok((old, _)) => Ok(Some(old)),
        // Removed just now.
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
