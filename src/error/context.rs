//! `Context`: turns errors of the operating system into an [`Error`] that names the way out.

use std::io;
use std::path::Path;

use super::{Error, ErrorKind, Inner};

/// The operation and the file: the half of every error that the failing step does not know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) path: &'a Path,
    pub(crate) op: &'static str,
}

impl<'a> Context<'a> {
    pub(crate) fn new(path: &'a Path, op: &'static str) -> Self {
        Context { path, op }
    }

    /// The error of this kind.
    pub(crate) fn fail(self, kind: ErrorKind) -> Error {
        self.fail_in(None, kind)
    }

    /// The error of this kind for an array in the archive.
    #[cfg(feature = "npz")]
    pub(crate) fn fail_at(self, member: &str, kind: ErrorKind) -> Error {
        self.fail_in(Some(member.to_owned()), kind)
    }

    fn fail_in(self, member: Option<String>, kind: ErrorKind) -> Error {
        Error(Box::new(Inner {
            path: Some(self.path.to_owned()),
            member,
            operation: self.op,
            kind,
        }))
    }

    /// The same file, with words that name a step of the operation.
    pub(crate) fn step(self, op: &'static str) -> Self {
        Context { op, ..self }
    }

    /// Turns an error of the operating system into the kind that names the way out.
    pub(crate) fn io(self, cause: io::Error) -> Error {
        match cause.kind() {
            io::ErrorKind::NotFound => self.not_found(),
            io::ErrorKind::PermissionDenied => self.denied("do that", cause),
            io::ErrorKind::IsADirectory => self.not_a_file("a directory"),
            io::ErrorKind::NotADirectory => match self.not_a_directory() {
                Some(error) => error,
                None => self.fail(ErrorKind::Io { cause }),
            },
            _ => self.fail(ErrorKind::io(cause)),
        }
    }

    /// As [`Context::io`], for a map that the system does not make.
    pub(crate) fn not_mapped(self, cause: io::Error) -> Error {
        let remedy = match cause.kind() {
            io::ErrorKind::OutOfMemory => {
                "its address space, or the number of its maps, is used up (`ulimit -v`, `vm.max_map_count`); read and write it without a map, as a `Store` does"
            }
            _ if has_no_maps(&cause) => {
                "its file system has no maps; read and write it without one, as a `Store` does"
            }
            _ => return self.io(cause),
        };
        self.fail(ErrorKind::NotMapped { remedy, cause })
    }

    /// As [`Context::io`], for a step that makes the file longer: `needed` bytes in all.
    pub(crate) fn growth(self, cause: io::Error, needed: u64, free: Option<u64>) -> Error {
        match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                self.fail(ErrorKind::NoSpace { needed, free })
            }
            io::ErrorKind::FileTooLarge => self.fail(ErrorKind::FileTooLarge {
                needed,
                limit: None,
            }),
            _ => self.io(cause),
        }
    }

    /// The error that names the part of the path that is not a directory, if one is found.
    fn not_a_directory(self) -> Option<Error> {
        let of_path = |dir: &&Path| std::fs::metadata(dir).is_ok_and(|found| !found.is_dir());
        let parent = self.path.ancestors().skip(1).find(of_path)?;
        Some(self.fail(ErrorKind::NotADirectory {
            parent: parent.to_owned(),
            found: match parent.is_file() {
                true => "a file",
                false => "a device, a FIFO or a socket",
            },
        }))
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
        self.fail(ErrorKind::NotFound { what, remedy })
    }

    pub(crate) fn denied(self, needed: &'static str, cause: io::Error) -> Error {
        self.fail(ErrorKind::PermissionDenied { needed, cause })
    }

    pub(crate) fn forked(self) -> Error {
        self.fail(ErrorKind::Forked)
    }

    pub(crate) fn not_a_file(self, found: &'static str) -> Error {
        self.fail(ErrorKind::NotAFile { found })
    }
}

/// Whether a file system reports by this error that its files cannot be mapped.
fn has_no_maps(error: &io::Error) -> bool {
    #[cfg(unix)]
    return rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::NODEV);
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}
