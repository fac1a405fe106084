//! Locks the file that a path names, and turns refusals into errors.

use std::fs::Metadata;
use std::path::Path;

use crate::error::{Context, Error, ErrorKind, LockHold, LockHolder, Result};
use crate::sys::{self, LockedFile, NotLocked, Patience};

/// The path from the root, if there is one. See [`sys::absolute`].
pub(crate) fn absolute(path: &Path, op: &'static str) -> Result<std::path::PathBuf> {
    // Also the error for an empty path, which names no file.
    sys::absolute(path).map_err(|error| match path.as_os_str().is_empty() {
        true => Context::new(path, op).not_found(),
        false => Context::new(path, op).io(error),
    })
}

/// Opens and locks a regular file, and reads its metadata under the lock.
pub(crate) fn lock(
    context: Context<'_>,
    path: &Path,
    write: bool,
    exclusive: bool,
    patience: Option<Patience>,
) -> Result<(LockedFile, Metadata)> {
    LockedFile::open(path, write, exclusive, patience)
        .map_err(|refused| refusal(context, write, exclusive, refused))
}

/// The error of a file that was not opened or not locked.
pub(super) fn refusal(
    context: Context<'_>,
    write: bool,
    exclusive: bool,
    refused: NotLocked,
) -> Error {
    match refused {
        NotLocked::Held(holder, hold) => context.fail(ErrorKind::Locked {
            exclusive,
            holder,
            hold,
            rows: None,
            remedy: lock_remedy(holder, hold),
        }),
        NotLocked::Unsupported(cause) => context.fail(ErrorKind::LockUnsupported {
            what: "`flock`",
            remedy: "if nobody else writes the file, open it with `Options::no_lock`",
            cause,
        }),
        NotLocked::Special(found) => context.not_a_file(found),
        NotLocked::Io(error) => context.io(error),
        NotLocked::Open(error) => match std::fs::metadata(context.path)
            .ok()
            .as_ref()
            .and_then(sys::kind_of_special)
        {
            // A directory that is opened for writing, a socket, a device without a driver.
            Some(found) => context.not_a_file(found),
            None if error.kind() == std::io::ErrorKind::PermissionDenied => context.denied(
                if write {
                    "read and write it"
                } else {
                    "read it"
                },
                error,
            ),
            None => context.io(error),
        },
    }
}

/// The way out for a caller who met a lock. Waiting for a lock of this process's own would take
/// forever.
pub(super) fn lock_remedy(holder: LockHolder, hold: LockHold) -> &'static str {
    match (holder, hold) {
        (LockHolder::ThisThread, _) => {
            "drop or close that store first; if another thread does, give the wait a limit with `LockPolicy::WaitAtMost`"
        }
        (LockHolder::ThisProcess, _) => "drop or close that store first",
        (_, LockHold::Lease) => "it was asked to give it back: wait for that with `Options::lock`",
        (_, _) => "close that store, or wait with `Options::lock`",
    }
}
