//! `Place`: the directory and the name of a new file, and the durable replacement that create,
//! resize, archives and checksums share.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::claims;
use super::layout::Layout;
use super::lock::refusal;
use super::options::Options;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::sys::{self, Directory, Draft, FileId, Heir, LockedFile, Patience, Unpublished};

/// The fate of a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Replace,
    /// As `Replace`, also where others read it.
    ReplaceRead,
    Refuse,
}

impl Existing {
    /// How these options have a file replaced.
    pub(super) fn replaced(options: &Options) -> Existing {
        match options.beside_readers {
            true => Existing::ReplaceRead,
            false => Existing::Replace,
        }
    }
}

/// The place of a new file: the open directory, and the name in it.
pub(super) struct Place {
    path: PathBuf,
    op: &'static str,
    pub(super) directory: Arc<Directory>,
    name: OsString,
    /// The bytes that this user could write there before the draft was made.
    free: Option<u64>,
}

impl Place {
    /// Finds the place that `context.path` names. Symbolic links on the way are followed. A link at
    /// the end of the path is followed only if a file may be replaced; otherwise the link itself
    /// takes the name.
    pub(super) fn find(context: Context<'_>, existing: Existing) -> Result<Place> {
        let text = context.path.as_os_str().as_encoded_bytes();
        if text
            .last()
            .is_some_and(|&last| std::path::is_separator(last.into()))
        {
            return Err(context.not_a_file("a directory, by the separator at its end"));
        }
        let found = match existing {
            Existing::Replace | Existing::ReplaceRead => Directory::find(context.path),
            Existing::Refuse => Directory::find_here(context.path),
        };
        let (directory, name) = found.map_err(|error| context.io(error))?;
        Place::at(context, directory, name)
    }

    /// The place of the file `name` in a directory, which `context.path` names.
    pub(super) fn at(context: Context<'_>, directory: Directory, name: OsString) -> Result<Place> {
        let directory = directory.readable().map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                context.denied("read its directory, which is synced", error)
            }
            _ => context.io(error),
        })?;
        Ok(Place {
            path: context.path.to_owned(),
            op: context.op,
            free: directory.free_space().map(|(free, _)| free),
            directory: Arc::new(directory),
            name,
        })
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context::new(&self.path, self.op)
    }

    /// Whether the name is a name of the file `id`.
    pub(super) fn names(&self, id: FileId) -> io::Result<bool> {
        self.directory.names(&self.name, id)
    }

    /// The bytes that this user may write there now.
    pub(super) fn free_space(&self) -> Option<u64> {
        self.directory.free_space().map(|(free, _)| free)
    }

    /// The file that will be replaced, locked, or `None` if there is none.
    pub(super) fn find_old(
        &self,
        existing: Existing,
        patience: Option<Patience>,
    ) -> Result<Option<LockedFile>> {
        let context = self.context();
        if existing == Existing::Refuse {
            let found = self.directory.look(&self.name);
            return match found.map_err(|error| context.io(error))? {
                Some(_) => Err(context.fail(ErrorKind::AlreadyExists)),
                None => Ok(None),
            };
        }
        let exclusive = existing == Existing::Replace;
        let old = LockedFile::open_in(&self.directory, &self.name, true, exclusive, patience);
        let old = old.map_err(|refused| refusal(context, true, exclusive, refused))?;
        if let (Some(old), Some(patience), false) = (&old, patience, exclusive) {
            claims::keep_unwritten(context, old.file(), patience)?;
        }
        Ok(old)
    }

    /// Makes a whole file beside the target: `fill` gives it blocks and data, then it gets its
    /// header.
    ///
    /// A draft that `replaces` a file is private until it has the mode of that file.
    pub(super) fn draft<E: From<Error>>(
        &self,
        layout: &Layout,
        locked: bool,
        replaces: bool,
        fill: impl FnOnce(&Place, &File, &Layout) -> Result<(), E>,
    ) -> Result<(LockedFile, Unpublished), E> {
        let draft = self.new_draft(locked, replaces, layout.len())?;
        fill(self, draft.file(), layout)?;
        self.write_header(draft.file(), layout)?;
        Ok(draft.into_parts())
    }

    /// Makes an empty file beside the target, which will be `len` bytes long. Refuses at once if it
    /// could not replace the old file.
    pub(super) fn new_draft(&self, locked: bool, replaces: bool, len: u64) -> Result<Draft> {
        let context = self.context();
        let draft = Draft::new(&self.directory, &self.name, locked, replaces);
        let draft = draft.map_err(|refused| match refused {
            sys::NotLocked::Open(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                context.denied("make a file in its directory", error)
            }
            sys::NotLocked::Open(error) => self.growth(error, len),
            refused => refusal(context, true, true, refused),
        })?;
        if replaces {
            let allowed = draft.may_replace(&self.name);
            allowed.map_err(|error| self.not_replaced(error))?;
        }
        Ok(draft)
    }

    /// Writes the header of a file that has its data.
    pub(super) fn write_header(&self, file: &File, layout: &Layout) -> Result<()> {
        sys::write_all_at(file, &layout.header, 0).map_err(|error| self.growth(error, layout.len()))
    }

    /// Makes the empty `file` as long as the layout, with blocks of its own that read as zero, or
    /// as a hole.
    ///
    /// False if it is still empty, because the file system reserves no blocks: then every byte has
    /// to be written.
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

    /// Refuses at once a length for which the file system has no room.
    pub(super) fn check_room(&self, len: u64) -> io::Result<()> {
        match self.directory.free_space() {
            Some((_, free)) if free < len => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    /// The error of a new file that could not become `len` bytes long.
    pub(super) fn growth(&self, error: io::Error, len: u64) -> Error {
        self.context().growth(error, len, self.free)
    }

    /// The error of a file that could not be replaced.
    fn not_replaced(&self, error: io::Error) -> Error {
        let context = self.context();
        match error.kind() {
            io::ErrorKind::ResourceBusy => context.fail(ErrorKind::Mounted),
            io::ErrorKind::PermissionDenied => context.denied(
                "replace it, because its directory is sticky and neither of them is this user's",
                error,
            ),
            _ => context.io(error),
        }
    }

    /// Puts the draft in the place of `old`, which stays locked until then. False, with nothing
    /// changed, if the name no longer names `old`.
    pub(super) fn replace(&self, old: &File, new: &File, name: &mut Unpublished) -> Result<bool> {
        let context = self.context();
        self.check_maker(name)?;
        // All slow steps come before the look at the name.
        sys::preserve_attributes(old, new, Heir::Successor)
            .map_err(|error| context.step("set the attributes of").io(error))?;
        self.sync_draft(new)?;
        let id = old.metadata().map(|metadata| FileId::of(&metadata));
        let replaced = id.and_then(|id| name.replace(&self.name, id));
        replaced.map_err(|error| self.not_replaced(error))
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
        self.check_maker(&name)?;
        for _ in 0..sys::MAX_ROUNDS {
            // Filling the new file may have taken hours, and only a file that is locked may be
            // replaced.
            let published = match &old {
                Some(old) => self.replace(old.file(), new, &mut name)?,
                None => {
                    self.sync_draft(new)?;
                    let published = name.publish_new(&self.name);
                    published.map_err(|error| self.context().io(error))?
                }
            };
            if published {
                drop(old);
                return self.sync_directory();
            }
            // Another process was faster: there is another file now, or none.
            old = self.find_old(existing, patience)?;
        }
        Err(self.context().io(sys::restless()))
    }

    /// Refuses to give a draft its name in a process that was forked from its maker, because only
    /// one of the two could.
    fn check_maker(&self, name: &Unpublished) -> Result<()> {
        match name.is_ours() {
            true => Ok(()),
            false => Err(self.context().forked()),
        }
    }

    /// Gives this name to a whole and synced file of the same directory, and makes that durable.
    pub(super) fn name_new(&self, file: &Path) -> Result<()> {
        let context = self.context();
        let from = file.file_name().unwrap_or_default();
        let named = self.directory.rename_new(from, &self.directory, &self.name);
        named.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => context.fail(ErrorKind::AlreadyExists),
            _ => context.io(error),
        })?;
        self.sync_directory()
    }

    /// Data before name: a name must never name bytes that the disk lacks.
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
