//! A new file under a temporary name beside its target, and the durable step that gives it the target's name.
//!
//! Temporary files are called `.NAME.ndstore-N` and are locked from their first moment. The lowest free N is taken; a file
//! in the way that nobody locks is the leaving of a process that died, and is removed. So no directory has to be
//! searched, however many files it holds.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::file::{self, FileId};
use super::lock::{LockedFile, NotLocked, Patience};
#[cfg(unix)]
use super::sync::sync_directory;

/// More creators of one file at a time than anyone has.
const MAX_DRAFTS: u32 = 1024;

/// The longest file name that common file systems take, in bytes.
const MAX_NAME: usize = 255;

/// The directory of a target, open so that its names can be synced.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Elsewhere a directory cannot be opened as a file, nor synced.
    #[cfg(unix)]
    handle: File,
}

impl Directory {
    /// Opens the directory in which `target` lies. It needs the right to read it.
    pub(crate) fn of(target: &Path) -> io::Result<Directory> {
        let path = target
            .parent()
            .ok_or(io::ErrorKind::IsADirectory)?
            .to_owned();
        Ok(Directory {
            #[cfg(unix)]
            handle: File::open(&path)?,
            path,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the names in the directory are on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(unix)]
        sync_directory(&self.handle)?;
        Ok(())
    }
}

/// The new file. It goes away with this value unless it is published.
#[derive(Debug)]
pub(crate) struct Draft {
    name: TempPath,
    file: LockedFile,
}

impl Draft {
    /// Makes an empty, locked file for `target` in `directory`. Where there are no locks, `need_lock` decides.
    ///
    /// A `private` one is for its owner alone until it gets the mode of the file that it replaces, which may be private.
    pub(crate) fn new(
        directory: &Directory,
        target: &Path,
        need_lock: bool,
        private: bool,
    ) -> Result<Draft, NotLocked> {
        let name = target
            .file_name()
            .ok_or_else(|| NotLocked::Open(io::ErrorKind::IsADirectory.into()))?;
        let mut made = None;
        for number in 0..MAX_DRAFTS {
            let place = directory.path.join(draft_name(name, number));
            let found = clear(&place).map_err(NotLocked::Io)?;
            if made.is_none() {
                made = Draft::at(&place, need_lock, private)?;
            } else if found == Found::Nothing {
                // Numbers are taken from below: behind a free one there are hardly others.
                break;
            }
        }
        made.ok_or_else(|| {
            NotLocked::Open(io::Error::other("too many temporary files stand beside it"))
        })
    }

    /// Makes the file at `place`, or `None` if somebody else has that name.
    fn at(place: &Path, need_lock: bool, private: bool) -> Result<Option<Draft>, NotLocked> {
        // Not `NamedTempFile`: its files are private (0600), and a new array gets 0666 less the umask, as in NumPy.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        if private {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        #[cfg(not(unix))]
        let _ = private;
        let file = match options.open(place) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(NotLocked::Open(error)),
        };
        let name = TempPath::try_from_path(place).map_err(NotLocked::Io)?;
        let id = FileId::of(&file.metadata().map_err(NotLocked::Io)?);
        let locked = match need_lock {
            true => LockedFile::lock(file, true, Patience::None),
            false => Ok(LockedFile::lock_if_possible(file)),
        };
        match locked {
            Ok(file) if file::names(place, id).map_err(NotLocked::Io)? => {
                Ok(Some(Draft { name, file }))
            }
            // Between its creation and its lock another process took the file for a stale one.
            Ok(_) | Err(NotLocked::Held(_)) => {
                let _ = name.keep();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn file(&self) -> &File {
        self.file.file()
    }

    /// Parts the file, which may be mapped now, from its name.
    pub(crate) fn into_parts(self) -> (LockedFile, Unpublished) {
        (self.file, Unpublished { name: self.name })
    }
}

/// `.NAME.ndstore-N`. Of a NAME too long for that, as much as fits: two such names may then share their numbers, which
/// the locks sort out.
fn draft_name(name: &OsStr, number: u32) -> OsString {
    let tail = format!(".ndstore-{number}");
    let room = MAX_NAME - 1 - tail.len();
    let mut draft = OsString::from(".");
    if name.len() <= room {
        draft.push(name);
    } else {
        let text = name.to_string_lossy();
        draft.push(&text[..text.floor_char_boundary(room)]);
    }
    draft.push(tail);
    draft
}

/// What stood under a temporary name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// A file that nobody locked. It is gone now.
    Stale,
    /// A file that somebody is at work on, or something that is none of ours.
    Alive,
}

/// Removes the file at `place` if it is one that nobody locks.
fn clear(place: &Path) -> io::Result<Found> {
    match std::fs::symlink_metadata(place) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(Found::Alive),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    }
    let Ok(file) = file::open(place, false) else {
        return Ok(Found::Alive);
    };
    let Ok(lock) = LockedFile::lock(file, true, Patience::None) else {
        return Ok(Found::Alive);
    };
    // Under the lock: its maker may have published it, and somebody else may have the name now.
    if !file::names(place, lock.id()?)? {
        return Ok(Found::Alive);
    }
    Ok(if std::fs::remove_file(place).is_ok() {
        Found::Stale
    } else {
        Found::Alive
    })
}

/// The temporary name of a file that is ready. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Unpublished {
    name: TempPath,
}

impl Unpublished {
    /// Gives the file the name `target`, in place of the file that has it.
    pub(crate) fn replace(self, target: &Path) -> io::Result<()> {
        self.name.persist(target).map_err(|refused| refused.error)
    }

    /// Gives the file the name `target` if nobody has it; else hands it back with `AlreadyExists`.
    pub(crate) fn publish_new(self, target: &Path) -> Result<(), (Unpublished, io::Error)> {
        self.name
            .persist_noclobber(target)
            .map_err(|refused| (Unpublished { name: refused.path }, refused.error))
    }
}

/// Gives `new` what the user set on `old`: owner, mode, ACL and extended attributes.
///
/// Each as far as this process may: only root can give a file away, and some attributes belong to the system.
#[cfg(unix)]
pub(crate) fn preserve_attributes(old: &File, new: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (from, to) = (old.metadata()?, new.metadata()?);
    if from.uid() != to.uid() || from.gid() != to.gid() {
        // The group alone is often allowed where the owner is not.
        let _ = fchown(new, Some(from.uid()), Some(from.gid()))
            .or_else(|_| fchown(new, None, Some(from.gid())));
    }
    #[cfg(target_os = "linux")]
    copy_xattrs(old, new)?;
    // Last, for a change of owner clears the set-id bits.
    new.set_permissions(from.permissions())
}

/// Gives `new` the permissions of `old`.
#[cfg(not(unix))]
pub(crate) fn preserve_attributes(old: &File, new: &File) -> io::Result<()> {
    new.set_permissions(old.metadata()?.permissions())
}

/// Gives `new` the extended attributes of `old`, POSIX ACLs among them, and takes away what it has beyond them: a directory
/// can have a default ACL, which the old file need not have.
///
/// Some attributes belong to the system, and some file systems have none: what may not be changed stays.
#[cfg(target_os = "linux")]
fn copy_xattrs(old: &File, new: &File) -> io::Result<()> {
    use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};
    use rustix::io::Errno;
    let refused = |error: &Errno| {
        matches!(
            *error,
            Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::NODATA
        )
    };
    let tolerate = |result: Result<(), Errno>| match result {
        Err(error) if !refused(&error) => Err(io::Error::from(error)),
        _ => Ok(()),
    };
    let (wanted, found) = (xattr_names(old), xattr_names(new));
    for name in found.iter().filter(|name| !wanted.contains(name)) {
        tolerate(fremovexattr(new, name.as_c_str()))?;
    }
    let mut value = vec![0; MAX_XATTR];
    for name in wanted {
        if let Ok(len) = fgetxattr(old, name.as_c_str(), &mut value[..]) {
            tolerate(fsetxattr(
                new,
                name.as_c_str(),
                &value[..len],
                XattrFlags::empty(),
            ))?;
        }
    }
    Ok(())
}

/// The kernel's own limit on the names of a file's extended attributes, and on each of their values.
#[cfg(target_os = "linux")]
const MAX_XATTR: usize = 1 << 16;

/// The names of the extended attributes; none where the file system has no such thing.
#[cfg(target_os = "linux")]
fn xattr_names(file: &File) -> Vec<std::ffi::CString> {
    let mut names = vec![0; MAX_XATTR];
    let len = rustix::fs::flistxattr(file, &mut names[..]).unwrap_or(0);
    let names = names[..len].split(|&byte| byte == 0);
    names
        .filter(|name| !name.is_empty())
        .filter_map(|name| std::ffi::CString::new(name).ok())
        .collect()
}
