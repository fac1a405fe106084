//! The lock that makes a map sound: `flock`, taken through fs2, held for as long as the file is.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::directory::Directory;
use super::file::{self, FileId};
use crate::error::LockHolder;

/// What to do when another store holds the lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockPolicy {
    /// Fail at once with [`Error::Locked`](crate::Error::Locked).
    #[default]
    Fail,
    /// Wait until the lock is free.
    Wait,
    /// Wait at most this long, then fail with [`Error::Locked`](crate::Error::Locked).
    WaitAtMost(Duration),
}

/// A [`LockPolicy`] whose clock is running.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    None,
    Forever,
    Until(Instant),
}

impl From<LockPolicy> for Patience {
    fn from(policy: LockPolicy) -> Patience {
        match policy {
            LockPolicy::Fail => Patience::None,
            LockPolicy::Wait => Patience::Forever,
            // A wait that no clock can hold is one without an end.
            LockPolicy::WaitAtMost(wait) => Instant::now()
                .checked_add(wait)
                .map_or(Patience::Forever, Patience::Until),
        }
    }
}

/// Why a file was not opened and locked.
#[derive(Debug)]
pub(crate) enum NotLocked {
    /// The file could not be opened.
    Open(io::Error),
    /// It is no regular file but this.
    Special(&'static str),
    /// Somebody else holds the lock.
    Held(LockHolder),
    /// The file system has no locks.
    Unsupported(io::Error),
    /// A failure in between.
    Io(io::Error),
}

/// An open file and the lock on it.
///
/// Dropping it unlocks before it closes: a child between fork and exec still holds the open file description, and would
/// keep a lock that is only closed.
#[derive(Debug)]
pub(crate) struct LockedFile {
    file: File,
    locked: AtomicBool,
    /// The process that opened it.
    opener: u32,
}

impl LockedFile {
    fn new(file: File, locked: bool) -> LockedFile {
        LockedFile {
            file,
            locked: AtomicBool::new(locked),
            opener: std::process::id(),
        }
    }

    /// Opens the file that `path` names and locks it, exclusively if it is to be written. `None` takes no lock.
    ///
    /// Only a regular file is locked for long, or exclusively: the lock of a device may mean something to somebody else.
    ///
    /// The lock belongs to the inode, and the file may have been replaced before it was taken; then the new one is opened
    /// instead. A writer must be sure of that, or its work would go to a file without a name: it looks the path up again.
    /// A reader that did not have to wait may as well have come before the replacement, if the file still has a name.
    ///
    /// The metadata are read under the lock.
    pub(crate) fn open(
        path: &Path,
        write: bool,
        patience: Option<Patience>,
    ) -> Result<(LockedFile, Metadata), NotLocked> {
        let regular = |file: &File| {
            let metadata = file.metadata().map_err(NotLocked::Io)?;
            match file::kind_of_special(&metadata) {
                Some(found) => Err(NotLocked::Special(found)),
                None => Ok(metadata),
            }
        };
        for _ in 0..file::MAX_ROUNDS {
            let file = file::open(path, write).map_err(NotLocked::Open)?;
            let Some(patience) = patience else {
                let metadata = regular(&file)?;
                return Ok((LockedFile::unlocked(file), metadata));
            };
            let passing = !write && matches!(patience, Patience::None);
            if !passing {
                regular(&file)?;
            }
            let file = LockedFile::lock(file, write, patience).map_err(|refused| {
                // What it is comes before who has it.
                match std::fs::metadata(path)
                    .ok()
                    .as_ref()
                    .and_then(file::kind_of_special)
                {
                    Some(found) => NotLocked::Special(found),
                    None => refused,
                }
            })?;
            let metadata = regular(&file.file)?;
            let current = passing && file::names_of(&metadata) > 0
                || file::names(path, FileId::of(&metadata)).map_err(NotLocked::Io)?;
            if current {
                return Ok((file, metadata));
            }
        }
        Err(NotLocked::Io(file::restless()))
    }

    /// Opens and exclusively locks the file that is called `name`, to be replaced; `None` if there is none. `patience` as for
    /// [`open`](LockedFile::open).
    ///
    /// What it is is found out before it is opened, and no link is followed.
    pub(crate) fn open_in(
        directory: &Directory,
        name: &OsStr,
        patience: Option<Patience>,
    ) -> Result<Option<LockedFile>, NotLocked> {
        for _ in 0..file::MAX_ROUNDS {
            let Some(entry) = directory.look(name).map_err(NotLocked::Io)? else {
                return Ok(None);
            };
            if let Some(found) = entry.special {
                return Err(NotLocked::Special(found));
            }
            let file = match directory.open_file(name, entry.id, true) {
                Ok(file) => file,
                // It was moved away meanwhile, or a link came.
                Err(_) if !directory.names(name, entry.id).map_err(NotLocked::Io)? => continue,
                Err(error) => return Err(NotLocked::Open(error)),
            };
            let Some(patience) = patience else {
                return Ok(Some(LockedFile::unlocked(file)));
            };
            let file = LockedFile::lock(file, true, patience)?;
            if directory.names(name, entry.id).map_err(NotLocked::Io)? {
                return Ok(Some(file));
            }
        }
        Err(NotLocked::Io(file::restless()))
    }

    /// Locks an open file.
    pub(crate) fn lock(
        file: File,
        exclusive: bool,
        patience: Patience,
    ) -> Result<LockedFile, NotLocked> {
        let mut pause = FIRST_PAUSE;
        loop {
            let attempt = super::sync::retry(|| match (patience, exclusive) {
                (Patience::Forever, true) => fs2::FileExt::lock_exclusive(&file),
                (Patience::Forever, false) => fs2::FileExt::lock_shared(&file),
                (_, true) => fs2::FileExt::try_lock_exclusive(&file),
                (_, false) => fs2::FileExt::try_lock_shared(&file),
            });
            match attempt.map_err(refusal) {
                Ok(()) => return Ok(LockedFile::new(file, true)),
                Err(Some(refused)) => return Err(refused),
                Err(None) => {}
            }
            let left = match patience {
                Patience::Until(deadline) => deadline.saturating_duration_since(Instant::now()),
                Patience::None | Patience::Forever => Duration::ZERO,
            };
            if left.is_zero() {
                return Err(NotLocked::Held(holder(&file)));
            }
            // `flock` cannot wait with a limit, so this asks again, ever more rarely.
            std::thread::sleep(pause.min(left));
            pause = longer(pause);
        }
    }

    /// Locks an open file exclusively, if nothing stands in the way.
    pub(crate) fn lock_if_possible(file: File) -> LockedFile {
        let locked = fs2::FileExt::try_lock_exclusive(&file).is_ok();
        LockedFile::new(file, locked)
    }

    /// A file that its caller promises to be the only one to touch.
    pub(crate) fn unlocked(file: File) -> LockedFile {
        LockedFile::new(file, false)
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Whether this process opened it. In a forked child it is still the parent's, and the lock as well: that belongs to the
    /// open file, which both have.
    pub(crate) fn is_ours(&self) -> bool {
        self.opener == std::process::id()
    }

    /// Gives the lock back and keeps the file.
    pub(crate) fn release(&self) {
        if self.locked.swap(false, Relaxed) && self.is_ours() {
            // Closing the file releases the lock as well, just not in the presence of a fork.
            let _ = fs2::FileExt::unlock(&self.file);
        }
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        self.release();
    }
}

/// How long to sleep between two attempts to get a lock, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// Why a file cannot be locked at all, or `None` if somebody else has the lock.
fn refusal(error: io::Error) -> Option<NotLocked> {
    use io::ErrorKind::{InvalidInput, Unsupported};
    if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() {
        return None;
    }
    let lockless = matches!(error.kind(), Unsupported | InvalidInput) || is_lockless(&error);
    Some(match lockless {
        true => NotLocked::Unsupported(error),
        false => NotLocked::Io(error),
    })
}

/// The codes with which file systems without locks answer, beside the ones that `io::ErrorKind` knows. NFS and SMB pass `flock` on
/// to a server, which may know no locks (524), or have it be a lock on ranges, for which a file must be open for writing (EBADF).
fn is_lockless(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        /// `ENOTSUPP`, which the kernel means to keep to itself: not the `ENOTSUP` of user space.
        const KERNEL_NOTSUPP: Errno = Errno::from_raw_os_error(524);
        // Two of them are one on Linux, where `io::ErrorKind` knows it; elsewhere it need not know the other.
        const CODES: [Errno; 6] = [
            Errno::NOLCK,
            Errno::NOSYS,
            Errno::OPNOTSUPP,
            Errno::NOTSUP,
            Errno::BADF,
            KERNEL_NOTSUPP,
        ];
        Errno::from_io_error(error).is_some_and(|errno| CODES.contains(&errno))
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// Who holds a lock on `file`, as far as the kernel tells.
#[cfg(not(target_os = "linux"))]
fn holder(_: &File) -> LockHolder {
    LockHolder::Unknown
}

/// Who holds a lock on `file`, as far as the kernel tells: `/proc/locks` lists process, device and inode of each.
///
/// The device there is the file system's own, which on btrfs is not the one that `stat` reports, so it is looked up by way
/// of the mount that the file was opened through.
#[cfg(target_os = "linux")]
fn holder(file: &File) -> LockHolder {
    let find = || {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::MetadataExt;
        let inode = file.metadata().ok()?.ino();
        let fdinfo =
            std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
        let mount = fdinfo
            .lines()
            .find_map(|line| line.strip_prefix("mnt_id:"))?
            .trim();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let device = mounts.lines().find_map(|line| {
            let mut words = line.split(' ');
            (words.next()? == mount).then(|| words.nth(1))?
        })?;
        // In large reads: between two of them a lock that goes shifts the others, and one would be passed over.
        let mut locks = String::with_capacity(1 << 16);
        std::io::Read::read_to_string(&mut File::open("/proc/locks").ok()?, &mut locks).ok()?;
        locks
            .lines()
            .find_map(|line| lock_owner(line, device, inode))
    };
    // Long lists take several reads, so a second look.
    match find().or_else(find) {
        Some(id) if id == std::process::id() => LockHolder::ThisProcess,
        Some(id) => LockHolder::Process(id),
        None => LockHolder::Unknown,
    }
}

/// The process in a line of `/proc/locks` (`1: FLOCK  ADVISORY  WRITE 359 fe:00:13 0 EOF`), if it is a lock on this file.
///
/// `device` is `major:minor` in decimal, as in mountinfo; the line has it in hexadecimal.
#[cfg(target_os = "linux")]
fn lock_owner(line: &str, device: &str, inode: u64) -> Option<u32> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let [_, "FLOCK", _, _, process, place, ..] = words[..] else {
        return None;
    };
    let mut place = place.split(':');
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (major, minor) = (hex(place.next()?)?, hex(place.next()?)?);
    let this = format!("{major}:{minor}") == device && place.next()?.parse() == Ok(inode);
    this.then(|| process.parse().ok()).flatten()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_is_told_from_a_held_lock_and_from_a_failure() {
        use rustix::io::Errno;
        let refused = |errno: Errno| refusal(errno.into());
        assert!(refused(Errno::WOULDBLOCK).is_none());
        for errno in [
            Errno::INVAL,
            Errno::NOLCK,
            Errno::NOSYS,
            Errno::OPNOTSUPP,
            Errno::BADF,
            Errno::from_raw_os_error(524),
        ] {
            let refused = refused(errno);
            assert!(
                matches!(refused, Some(NotLocked::Unsupported(_))),
                "{errno}"
            );
        }
        assert!(matches!(refused(Errno::IO), Some(NotLocked::Io(_))));
    }

    #[test]
    fn pauses_double_up_to_a_limit() {
        let mut pause = FIRST_PAUSE;
        for _ in 0..6 {
            assert_eq!(longer(pause), pause + pause);
            pause = longer(pause);
        }
        assert_eq!(longer(pause), LONGEST_PAUSE);
        assert_eq!(longer(LONGEST_PAUSE), LONGEST_PAUSE);
    }

    #[test]
    fn the_owner_of_a_lock_is_read_from_its_line() {
        let line = "17: FLOCK  ADVISORY  WRITE 4242 fe:1f:131072 0 EOF";
        assert_eq!(lock_owner(line, "254:31", 131_072), Some(4242));
        assert_eq!(lock_owner(line, "254:31", 131_073), None);
        assert_eq!(lock_owner(line, "254:30", 131_072), None);
        assert_eq!(
            lock_owner(
                "18: -> FLOCK ADVISORY WRITE 1 fe:1f:131072 0 EOF",
                "254:31",
                131_072
            ),
            None
        );
        assert_eq!(
            lock_owner(
                "19: POSIX  ADVISORY  WRITE 1 fe:1f:131072 0 EOF",
                "254:31",
                131_072
            ),
            None
        );
        assert_eq!(lock_owner("", "254:31", 131_072), None);
    }
}
