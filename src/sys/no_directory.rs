//! `directory.rs` for platforms that cannot open a directory as a file: calls take paths, and names
//! are not synced.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::file::{self, Entry, FileId};

/// A directory, by its path.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory and the name of the file that a write to `path` would make or replace.
    pub(crate) fn find(path: &Path) -> io::Result<(Directory, OsString)> {
        match path.canonicalize() {
            Ok(path) => Directory::find_here(&path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Directory::find_here(path),
            Err(error) => Err(error),
        }
    }

    /// As [`find`](Directory::find), but a symbolic link at the end of the path is not followed.
    pub(crate) fn find_here(path: &Path) -> io::Result<(Directory, OsString)> {
        let parent = path.parent().ok_or(io::ErrorKind::IsADirectory)?;
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let path = parent.canonicalize()?;
        Ok((Directory { path }, name.to_owned()))
    }

    /// As [`find`](Directory::find), for the file `name` in this directory.
    pub(crate) fn follow(self, name: OsString) -> io::Result<(Directory, OsString)> {
        Directory::find(&self.path.join(name))
    }

    /// The same directory.
    pub(crate) fn readable(self) -> io::Result<Directory> {
        Ok(self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The entry that has the name `name`, or `None` if there is none.
    pub(crate) fn look(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        match fs::symlink_metadata(self.path.join(name)) {
            Ok(metadata) => Ok(Some(Entry::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether `name` is a name of the file `id`.
    pub(crate) fn names(&self, name: &OsStr, id: FileId) -> io::Result<bool> {
        Ok(self.look(name)?.is_some_and(|entry| entry.id == id))
    }

    /// The entry of the directory itself.
    pub(super) fn itself(&self) -> io::Result<Entry> {
        Ok(Entry::of(&fs::metadata(&self.path)?))
    }

    pub(super) fn open_file(&self, name: &OsStr, _: FileId, write: bool) -> io::Result<File> {
        file::open(&self.path.join(name), write)
    }

    /// Makes an empty file. The name must be free.
    pub(super) fn create_file(&self, name: &OsStr, _: u32) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.open(self.path.join(name))
    }

    pub(super) fn create_directory(&self, name: &OsStr) -> io::Result<Directory> {
        let path = self.path.join(name);
        fs::create_dir(&path)?;
        Ok(Directory { path })
    }

    pub(super) fn open_directory(&self, name: &OsStr) -> io::Result<Directory> {
        Ok(Directory {
            path: self.path.join(name),
        })
    }

    pub(super) fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_dir(self.path.join(name))
    }

    pub(super) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    /// The names in the directory, if there are at most `most`.
    pub(super) fn entries(&self, most: usize) -> io::Result<Option<Vec<OsString>>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name()));
        let names: Vec<_> = names.take(most + 1).collect::<io::Result<_>>()?;
        Ok(Some(names).filter(|names| names.len() <= most))
    }

    pub(super) fn rename(&self, from: &OsStr, other: &Directory, to: &OsStr) -> io::Result<()> {
        fs::rename(self.path.join(from), other.path.join(to))
    }

    /// Gives the file `from` the name `to` in another directory if that is free: otherwise
    /// `AlreadyExists`. `Unsupported` if the file system has no such call.
    pub(crate) fn rename_new(&self, from: &OsStr, other: &Directory, to: &OsStr) -> io::Result<()> {
        match fs::hard_link(self.path.join(from), other.path.join(to)) {
            // The file has its new name, whether or not the old one goes.
            Ok(()) => {
                let _ = self.remove_file(from);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            Err(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(super) fn is_mount(&self, _: &OsStr) -> bool {
        false
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// The bytes that this user may still write to the file system, and those that are free for any
    /// user.
    pub(crate) fn free_space(&self) -> Option<(u64, u64)> {
        let stats = fs2::statvfs(&self.path).ok();
        let stats = stats.filter(|stats| stats.total_space() > 0)?;
        Some((stats.available_space(), stats.free_space()))
    }
}
