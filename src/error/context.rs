//! `Context`: how the rooms make an [`Error`] of what the operating system said, so that it says what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::Error;

/// Whether the kernel could not read the memory that it was to write somewhere (`EFAULT`): a map of a file that was cut.
pub(crate) fn is_fault(error: &io::Error) -> bool {
    #[cfg(unix)]
    return rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::FAULT);
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// What was asked, and of which file: the half of every error that the failing step does not know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) path: &'a Path,
    pub(crate) op: &'static str,
}

impl<'a> Context<'a> {
    pub(crate) fn new(path: &'a Path, op: &'static str) -> Self {
        Context { path, op }
    }

    /// Why an operation ends that the progress callback broke off.
    pub(crate) fn cancelled(self) -> Error {
        Error::Cancelled {
            path: self.path(),
            op: self.op,
        }
    }

    /// The same file, with words that name a step of the operation.
    pub(crate) fn step(self, op: &'static str) -> Self {
        Context { op, ..self }
    }

    pub(crate) fn path(self) -> PathBuf {
        self.path.to_owned()
    }

    /// Turns what the operating system said into the variant that says what to do about it.
    pub(crate) fn io(self, source: io::Error) -> Error {
        let Context { op, .. } = self;
        let path = self.path();
        match source.kind() {
            io::ErrorKind::NotFound => self.not_found(),
            io::ErrorKind::PermissionDenied => self.denied("do that", source),
            io::ErrorKind::IsADirectory => self.not_a_file("a directory"),
            io::ErrorKind::NotADirectory => match self.not_a_directory() {
                Some(error) => error,
                None => Error::Io { path, op, source },
            },
            _ if is_fault(&source) => Error::Unreadable { path, op, source },
            _ => Error::Io { path, op, source },
        }
    }

    /// As [`Context::io`], for a step that makes the file longer: `needed` bytes in all.
    pub(crate) fn growth(self, source: io::Error, needed: u64, free: Option<u64>) -> Error {
        let Context { op, .. } = self;
        let path = self.path();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoSpace {
                path,
                op,
                needed,
                free,
            },
            io::ErrorKind::FileTooLarge => Error::FileTooLarge {
                path,
                op,
                needed,
                limit: None,
            },
            _ => self.io(source),
        }
    }

    /// Says which part of the path is no directory, if one is found.
    fn not_a_directory(self) -> Option<Error> {
        let of_path = |dir: &&Path| std::fs::metadata(dir).is_ok_and(|found| !found.is_dir());
        let parent = self.path.ancestors().skip(1).find(of_path)?;
        Some(Error::NotADirectory {
            path: self.path(),
            op: self.op,
            parent: parent.to_owned(),
            found: match parent.is_file() {
                true => "a file",
                false => "a device, a FIFO or a socket",
            },
        })
    }

    pub(crate) fn not_found(self) -> Error {
        let parent = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let (what, remedy) = if parent.is_some_and(|dir| !dir.exists()) {
            ("its directory", "check the path, or make the directory")
        } else if self.op == "open" {
            (
                "the file",
                "check the path, or make the file with `Store::create`",
            )
        } else {
            (
                "the file, or the directory that a link leads to,",
                "check the path and what it links to",
            )
        };
        Error::NotFound {
            path: self.path(),
            op: self.op,
            what,
            remedy,
        }
    }

    pub(crate) fn denied(self, needed: &'static str, source: io::Error) -> Error {
        Error::PermissionDenied {
            path: self.path(),
            op: self.op,
            needed,
            source,
        }
    }

    pub(crate) fn forked(self) -> Error {
        Error::Forked {
            path: self.path(),
            op: self.op,
        }
    }

    pub(crate) fn not_a_file(self, found: &'static str) -> Error {
        Error::NotAFile {
            path: self.path(),
            op: self.op,
            found,
        }
    }
}
