//! An open directory, and the calls on the names in it. No path is resolved twice: once the
//! directory of a file is open, every call takes its handle and a single name, whatever others do
//! to the path that led there.
//!
//! Only [`Directory::find`] follows symbolic links, and no call opens another file than the one
//! that its caller means.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fd::AsFd;
#[cfg(target_os = "linux")]
use rustix::fs::RenameFlags;
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::allocate::usable;
use super::file::{Entry, FileId, MAX_ROUNDS, restless};
use super::retry::retry;
use super::sync::sync_all;

/// How many symbolic links in a row are followed, as on Linux.
const MAX_LINKS: usize = 40;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Directory {
    handle: File,
    /// The path by which it was reached, for messages.
    path: PathBuf,
}

impl Directory {
    /// The directory and the name of the file that a write to `path` would make or replace:
    /// symbolic links are followed, even one whose target does not exist yet. It needs the right to
    /// read the directory.
    pub(crate) fn find(path: &Path) -> io::Result<(Directory, OsString)> {
        let (parent, name) = split(path)?;
        Directory::open(CWD, parent)?.follow(name)
    }

    /// As [`find`](Directory::find), but a symbolic link at the end of the path is not followed.
    pub(crate) fn find_here(path: &Path) -> io::Result<(Directory, OsString)> {
        let (parent, name) = split(path)?;
        Ok((Directory::open(CWD, parent)?, name))
    }

    /// Follows `name` from here as long as it is a symbolic link.
    ///
    /// A link of another user in a directory like `/tmp` is not followed, whatever the system's
    /// setting (`fs.protected_symlinks`), because anybody may make a link of any name there.
    pub(crate) fn follow(self, name: OsString) -> io::Result<(Directory, OsString)> {
        let (mut directory, mut name) = (self, name);
        for _ in 0..MAX_LINKS {
            let Some(target) = directory.read_link(&name)? else {
                return Ok((directory, name));
            };
            let (parent, target) = split(&target)?;
            let path = directory.path.join(parent);
            directory = Directory::open(&directory.handle, parent)?;
            (directory.path, name) = (path, target);
        }
        Err(Errno::LOOP.into())
    }

    /// Opens a directory as a base for further calls, which takes no right to read it.
    fn open(base: impl AsFd, path: &Path) -> io::Result<Directory> {
        #[cfg(target_os = "linux")]
        let access = OFlags::PATH;
        #[cfg(not(target_os = "linux"))]
        let access = OFlags::RDONLY;
        Ok(Directory {
            handle: open_directory(base, path.as_os_str(), access)?,
            path: path.to_owned(),
        })
    }

    /// The same directory, so that it can be synced. That takes the right to read it.
    pub(crate) fn readable(self) -> io::Result<Directory> {
        let handle = open_directory(&self.handle, OsStr::new("."), OFlags::RDONLY)?;
        Ok(Directory { handle, ..self })
    }

    /// The path by which it was reached.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The text of a symbolic link that may be followed, or `None` for anything else.
    fn read_link(&self, name: &OsStr) -> io::Result<Option<PathBuf>> {
        for _ in 0..MAX_ROUNDS {
            let before = self.look(name)?;
            let Some(link) = before.filter(Entry::is_link) else {
                return Ok(None);
            };
            let directory = self.itself()?;
            let users = [rustix::process::geteuid().as_raw(), directory.owner];
            if directory.is_like_tmp() && !users.contains(&link.owner) {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "a symbolic link of somebody else in a sticky directory is not followed",
                ));
            }
            match rustix::fs::readlinkat(&self.handle, name, Vec::new()) {
                // A link never changes, so this is the text of the link that was looked at.
                Ok(text) if self.names(name, link.id)? => {
                    return Ok(Some(OsString::from_vec(text.into_bytes()).into()));
                }
                Ok(_) | Err(Errno::INVAL | Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(restless())
    }

    /// The entry that has the name `name`, or `None` if there is none.
    pub(crate) fn look(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(Entry::of(&found))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `name` is a name of the file `id`.
    pub(crate) fn names(&self, name: &OsStr, id: FileId) -> io::Result<bool> {
        Ok(self.look(name)?.is_some_and(|entry| entry.id == id))
    }

    /// The entry of the directory itself.
    pub(super) fn itself(&self) -> io::Result<Entry> {
        Ok(Entry::of(&rustix::fs::fstat(&self.handle)?))
    }

    /// Opens `name`, if that is a name of the file `id`.
    pub(super) fn open_file(&self, name: &OsStr, id: FileId, write: bool) -> io::Result<File> {
        let access = if write { OFlags::RDWR } else { OFlags::RDONLY };
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = retry(|| {
            let opened = rustix::fs::openat(&self.handle, name, flags, Mode::empty());
            Ok(File::from(opened?))
        })?;
        match FileId::of(&file.metadata()?) == id {
            true => Ok(file),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Makes an empty file of mode `mode`, less the umask. The name must be free.
    pub(super) fn create_file(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode as _);
        retry(|| Ok(rustix::fs::openat(&self.handle, name, flags, mode)?.into()))
    }

    /// Makes a directory for its owner alone, and opens it.
    pub(super) fn create_directory(&self, name: &OsStr) -> io::Result<Directory> {
        rustix::fs::mkdirat(&self.handle, name, Mode::RWXU)?;
        self.open_directory(name)
    }

    pub(super) fn open_directory(&self, name: &OsStr) -> io::Result<Directory> {
        let access = OFlags::RDONLY | OFlags::NOFOLLOW;
        Ok(Directory {
            handle: open_directory(&self.handle, name, access)?,
            path: self.path.join(name),
        })
    }

    /// Removes the directory of this name, which must be empty.
    pub(super) fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(
            &self.handle,
            name,
            AtFlags::REMOVEDIR,
        )?)
    }

    /// Removes the name of a file.
    pub(super) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    /// The names in the directory, if there are at most `most`.
    pub(super) fn entries(&self, most: usize) -> io::Result<Option<Vec<OsString>>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if names.len() == most {
                return Ok(None);
            }
            names.push(OsStr::from_bytes(name).to_owned());
        }
        Ok(Some(names))
    }

    /// Gives the file `from` the name `to` in another directory, in place of the file that has it.
    pub(super) fn rename(&self, from: &OsStr, other: &Directory, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.handle, from, &other.handle, to)?)
    }

    /// Gives the file `from` the name `to` in another directory if that is free: otherwise
    /// `AlreadyExists`. `Unsupported` if the file system has no such call.
    pub(crate) fn rename_new(&self, from: &OsStr, other: &Directory, to: &OsStr) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        match self.rename_with(from, other, to, RenameFlags::NOREPLACE) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            done => return done,
        }
        match rustix::fs::linkat(&self.handle, from, &other.handle, to, AtFlags::empty()) {
            Ok(()) => {
                // The file has its new name, whether or not the old one goes.
                let _ = self.remove_file(from);
                Ok(())
            }
            // The errors of file systems without hard links.
            Err(
                Errno::PERM
                | Errno::NOSYS
                | Errno::OPNOTSUPP
                | Errno::INVAL
                | Errno::MLINK
                | Errno::XDEV,
            ) => Err(io::ErrorKind::Unsupported.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Swaps two names, both of which must exist. `Unsupported` if the file system has no such
    /// call.
    #[cfg(target_os = "linux")]
    pub(super) fn exchange(&self, from: &OsStr, other: &Directory, to: &OsStr) -> io::Result<()> {
        self.rename_with(from, other, to, RenameFlags::EXCHANGE)
    }

    #[cfg(target_os = "linux")]
    fn rename_with(
        &self,
        from: &OsStr,
        other: &Directory,
        to: &OsStr,
        flags: RenameFlags,
    ) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.handle, from, &other.handle, to, flags) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            done => Ok(done?),
        }
    }

    /// Whether a file system, or a single file from elsewhere, is mounted on the name. No other
    /// file can take such a name.
    pub(super) fn is_mount(&self, name: &OsStr) -> bool {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{StatxAttributes, StatxFlags, statx};
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            let found = statx(&self.handle, name, flags, StatxFlags::TYPE);
            found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = name;
            false
        }
    }

    /// Waits until the names in the directory are on the disk.
    ///
    /// Some file systems cannot sync a directory (EINVAL). They offer no better way, so that is not
    /// an error.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match sync_all(&self.handle) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }

    /// The bytes that this user may still write to the file system, and those that are free for any
    /// user. `None` if it does not count them: some file systems in user space report 0 of
    /// everything.
    pub(crate) fn free_space(&self) -> Option<(u64, u64)> {
        let stats = rustix::fs::fstatvfs(&self.handle).ok();
        let stats = stats.filter(|stats| stats.f_blocks > 0)?;
        let [available, free] =
            [stats.f_bavail, stats.f_bfree].map(|blocks| blocks.saturating_mul(stats.f_frsize));
        Some((usable(available, free), free))
    }
}

fn open_directory(base: impl AsFd, path: &OsStr, access: OFlags) -> io::Result<File> {
    let flags = access | OFlags::DIRECTORY | OFlags::CLOEXEC;
    retry(|| Ok(rustix::fs::openat(&base, path, flags, Mode::empty())?.into()))
}

/// The directory of a path, and the name in it.
fn split(path: &Path) -> io::Result<(&Path, OsString)> {
    let text = path.as_os_str().as_bytes();
    // `Path` drops these endings, although they say that the path names a directory.
    if text.ends_with(b"/") || text.ends_with(b"/.") {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    Ok((parent.unwrap_or(Path::new(".")), name.to_owned()))
}
