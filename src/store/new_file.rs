//! A new file that is not an array (an archive, or checksums), made as arrays are.

use std::fs::File;
use std::io;

use super::place::{Existing, Place};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::sys::{self, Draft, LockedFile, Patience};

/// A new file that is not an array. As with an array, its path has the old file or the whole new
/// one, whatever happens; dropping it unpublished leaves the old file.
pub(crate) struct NewFile {
    place: Place,
    /// The old file that it will replace, locked until then.
    old: Option<LockedFile>,
    draft: Draft,
    /// The time to wait for locks, or `None` if none is taken.
    patience: Option<Patience>,
}

impl NewFile {
    /// Makes an empty file beside its place.
    pub(super) fn at(place: Place, patience: Option<Patience>) -> Result<NewFile> {
        let old = place.find_old(Existing::Replace, patience)?;
        let draft = place.new_draft(patience.is_some(), old.is_some(), 0)?;
        Ok(NewFile {
            place,
            old,
            draft,
            patience,
        })
    }

    pub(crate) fn file(&self) -> &File {
        self.draft.file()
    }

    /// The old file that it will replace.
    pub(super) fn old(&self) -> Option<&File> {
        self.old.as_ref().map(LockedFile::file)
    }

    /// Refuses a length past the limit of this process, because the kernel would send SIGXFSZ.
    pub(crate) fn check_limit(&self, needed: u64) -> Result<()> {
        match sys::file_size_limit() {
            Some(limit) if needed > limit => {
                Err(self.growth(io::ErrorKind::FileTooLarge.into(), needed))
            }
            _ => Ok(()),
        }
    }

    /// The path that it will have, and the operation.
    pub(crate) fn context(&self) -> Context<'_> {
        self.place.context()
    }

    /// The error of a file that could not grow by `needed` bytes.
    pub(crate) fn growth(&self, error: io::Error, needed: u64) -> Error {
        match error.kind() {
            // The limit of a file system is far beyond any that a process is given.
            io::ErrorKind::FileTooLarge => self.context().fail(ErrorKind::FileTooLarge {
                needed,
                limit: sys::file_size_limit(),
            }),
            _ => self.place.growth(error, needed),
        }
    }

    /// Makes the file durable and gives it its path.
    pub(crate) fn publish(self) -> Result<()> {
        let NewFile {
            place,
            old,
            draft,
            patience,
        } = self;
        let (file, name) = draft.into_parts();
        place.publish(old, file.file(), name, Existing::Replace, patience)
    }
}
