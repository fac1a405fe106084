//! The lock that makes a map sound: `flock`, taken through fs2, held as long as the file is open.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::directory::Directory;
use super::file::{self, FileId};
use super::fork::Maker;
use super::held::{self, Held};
use super::ranges;
use super::turn::Turn;
use crate::error::{LockHold, LockHolder};

/// What to do when another store holds the lock.
///
/// Stores that wait get the file in the order in which they came, readers beside each other. On
/// Linux a store that does not wait may be refused for a while although the lock is free, because
/// others wait: so a writer gets in among readers who come and go all the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockPolicy {
    /// Fail at once with [`ErrorKind::Locked`](crate::ErrorKind::Locked).
    #[default]
    Fail,
    /// Wait until the lock is free.
    ///
    /// If it is held by a store that this very thread opened, and that is open still, the wait
    /// would have no end: that is [`ErrorKind::Locked`](crate::ErrorKind::Locked) by
    /// [`LockHolder::ThisThread`] at once. Nobody can tell whether the store was sent to another
    /// thread, which is about to close it: for that, wait with a limit.
    Wait,
    /// Wait at most this long, then fail with [`ErrorKind::Locked`](crate::ErrorKind::Locked).
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
            // A wait too long for the clock has no end.
            LockPolicy::WaitAtMost(wait) => Instant::now()
                .checked_add(wait)
                .map_or(Patience::Forever, Patience::Until),
        }
    }
}

/// The reason why a file was not opened and locked.
#[derive(Debug)]
pub(crate) enum NotLocked {
    /// The file could not be opened.
    Open(io::Error),
    /// It is not a regular file but this.
    Special(&'static str),
    /// Somebody else holds the lock.
    Held(LockHolder, LockHold),
    /// The file system has no locks.
    Unsupported(io::Error),
    /// Another call failed.
    Io(io::Error),
}

/// An open file and the lock on it.
///
/// Dropping it unlocks before it closes. A child between fork and exec still holds the open file
/// description, so closing alone would leave the lock to the child.
#[derive(Debug)]
pub(crate) struct LockedFile {
    held: Arc<Held>,
    locked: AtomicBool,
    opener: Maker,
}

impl LockedFile {
    fn new(held: Arc<Held>, locked: bool) -> LockedFile {
        LockedFile {
            held,
            locked: AtomicBool::new(locked),
            opener: Maker::this(),
        }
    }

    /// Opens the file that `path` names and locks it, exclusively if it is to be written. `None`
    /// takes no lock.
    ///
    /// Only a regular file is locked for long, or exclusively, because the lock of a device may
    /// have another meaning.
    ///
    /// The lock belongs to the inode, and the file may have been replaced before the lock was
    /// taken; then the new file is opened instead. A writer looks the path up again, because its
    /// work must not go to a file without a name. A reader that did not have to wait counts as one
    /// that came before the replacement, if the file still has a name.
    ///
    /// The metadata are read under the lock.
    pub(crate) fn open(
        path: &Path,
        write: bool,
        exclusive: bool,
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
            let open = || file::open(path, write);
            let file = without_lease(path, patience, open)?;
            let Some(patience) = patience else {
                let metadata = regular(&file)?;
                return Ok((LockedFile::unlocked(file), metadata));
            };
            let passing = !write && matches!(patience, Patience::None);
            if !passing {
                regular(&file)?;
            }
            let file = LockedFile::lock(file, exclusive, patience).map_err(|refused| {
                // Report "not a regular file" before "locked".
                special(path).map_or(refused, NotLocked::Special)
            })?;
            let metadata = regular(file.file())?;
            let current = passing && file::names_of(&metadata) > 0
                || file::names(path, FileId::of(&metadata)).map_err(NotLocked::Io)?;
            if current {
                return Ok((file, metadata));
            }
        }
        Err(NotLocked::Io(file::restless()))
    }

    /// As [`open`](LockedFile::open), for the file `name` in a directory. `None` if there is none.
    ///
    /// Only a regular file is opened, and no link is followed.
    pub(crate) fn open_in(
        directory: &Directory,
        name: &OsStr,
        write: bool,
        exclusive: bool,
        patience: Option<Patience>,
    ) -> Result<Option<LockedFile>, NotLocked> {
        for _ in 0..file::MAX_ROUNDS {
            let Some(entry) = directory.look(name).map_err(NotLocked::Io)? else {
                return Ok(None);
            };
            if let Some(found) = entry.special {
                return Err(NotLocked::Special(found));
            }
            let open = || directory.open_file(name, entry.id, write);
            let file = match without_lease(&directory.path().join(name), patience, open) {
                Ok(file) => file,
                // The file was moved away meanwhile, or a link took its name.
                Err(NotLocked::Open(_))
                    if !directory.names(name, entry.id).map_err(NotLocked::Io)? =>
                {
                    continue;
                }
                Err(refused) => return Err(refused),
            };
            let Some(patience) = patience else {
                return Ok(Some(LockedFile::unlocked(file)));
            };
            let file = LockedFile::lock(file, exclusive, patience)?;
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
        let mut turn = Turn::new(&file, exclusive);
        let mut pauses = Pauses::new(patience);
        loop {
            let has_come = turn.has_come();
            if has_come {
                let attempt = super::retry::retry(|| match exclusive {
                    true => fs2::FileExt::try_lock_exclusive(&file),
                    false => fs2::FileExt::try_lock_shared(&file),
                });
                match attempt.map_err(refusal) {
                    Ok(()) => break,
                    Err(Some(refused)) => return Err(refused),
                    Err(None) => {}
                }
            }
            if matches!(patience, Patience::Forever) && held::locks_out(&file, exclusive) {
                let (_, hold) = holder(&file);
                return Err(NotLocked::Held(LockHolder::ThisThread, hold));
            }
            // `flock` can neither wait with a limit nor give way, so this asks again at growing
            // intervals.
            let Some(pause) = pauses.next() else {
                let (holder, hold) = holder(&file);
                let in_the_way = exclusive || hold == LockHold::Exclusive;
                return Err(match has_come || in_the_way && hold != LockHold::Unknown {
                    true => NotLocked::Held(holder, hold),
                    false => NotLocked::Held(LockHolder::Unknown, LockHold::Waiting),
                });
            };
            turn.wait();
            std::thread::sleep(pause);
        }
        drop(turn);
        Ok(LockedFile::new(Held::locked(file, exclusive), true))
    }

    /// Locks an open file exclusively, if nothing stands in the way.
    pub(crate) fn lock_if_possible(file: File) -> LockedFile {
        match fs2::FileExt::try_lock_exclusive(&file) {
            Ok(()) => LockedFile::new(Held::locked(file, true), true),
            Err(_) => LockedFile::unlocked(file),
        }
    }

    /// A file without a lock, which the caller promises that nobody else touches.
    pub(crate) fn unlocked(file: File) -> LockedFile {
        LockedFile::new(Held::unlocked(file), false)
    }

    pub(crate) fn file(&self) -> &File {
        &self.held.file
    }

    /// Notes which bytes are claimed, so that its thread does not wait for them.
    pub(crate) fn note_claim(&self, bytes: std::ops::Range<u64>) {
        self.held.note_claim(bytes);
    }

    /// Makes the exclusive lock a shared one. False if somebody else had the file for longer than
    /// there was patience: the lock is lost then. In any case somebody may have had it in between.
    pub(crate) fn share(&self, patience: Patience) -> io::Result<bool> {
        let mut pauses = Pauses::new(patience);
        loop {
            match super::retry::retry(|| fs2::FileExt::try_lock_shared(self.file())) {
                Ok(()) => {
                    self.held.set_exclusive(false);
                    return Ok(true);
                }
                Err(error) => match refusal(error) {
                    None => {}
                    Some(NotLocked::Unsupported(error) | NotLocked::Io(error)) => {
                        return Err(error);
                    }
                    Some(_) => return Err(io::ErrorKind::Other.into()),
                },
            }
            let Some(pause) = pauses.next() else {
                return Ok(false);
            };
            std::thread::sleep(pause);
        }
    }

    /// Leaves the lock and the claims to a copy of the descriptor: they end with the last
    /// descriptor and the last map.
    pub(crate) fn hand_over(&self) -> io::Result<File> {
        let file = self.file().try_clone()?;
        // Unlocking would free the file under a map that somebody makes of the copy.
        self.locked.store(false, Relaxed);
        Ok(file)
    }

    /// Whether this process opened the file. In a forked child the file still belongs to the
    /// parent, and so does the lock: it belongs to the open file, which both have.
    pub(crate) fn is_ours(&self) -> bool {
        self.opener.is_this()
    }

    /// Gives the lock and all claims back, and keeps the file open.
    pub(crate) fn release(&self) {
        if self.locked.swap(false, Relaxed) && self.is_ours() {
            // Closing the file releases the lock as well, unless a forked child has the file open.
            let _ = ranges::release(self.file(), &(0..ranges::SENTINEL + 1));
            let _ = fs2::FileExt::unlock(self.file());
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

/// The pauses between attempts, each twice as long as the one before, for as long as there is
/// patience.
pub(crate) struct Pauses {
    patience: Patience,
    longest: Duration,
}

impl Pauses {
    pub(crate) fn new(patience: Patience) -> Pauses {
        let longest = FIRST_PAUSE;
        Pauses { patience, longest }
    }

    pub(crate) fn next(&mut self) -> Option<Duration> {
        let left = match self.patience {
            Patience::None => Duration::ZERO,
            Patience::Forever => LONGEST_PAUSE,
            Patience::Until(deadline) => deadline.saturating_duration_since(Instant::now()),
        };
        let pause = self.longest.min(left);
        self.longest = (2 * self.longest).min(LONGEST_PAUSE);
        (!pause.is_zero()).then_some(pause)
    }
}

/// Opens the file that `path` names. This is refused while the file is under a lease, which the
/// kernel asks its holder to give back.
fn without_lease(
    path: &Path,
    patience: Option<Patience>,
    open: impl Fn() -> io::Result<File>,
) -> Result<File, NotLocked> {
    let mut pauses = Pauses::new(patience.unwrap_or(Patience::None));
    loop {
        match open() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Some(found) = special(path) {
                    return Err(NotLocked::Special(found));
                }
                let Some(pause) = pauses.next() else {
                    return Err(leased(path));
                };
                std::thread::sleep(pause);
            }
            opened => return opened.map_err(NotLocked::Open),
        }
    }
}

/// The word for the file that the path names, if that is not a regular file.
fn special(path: &Path) -> Option<&'static str> {
    let metadata = std::fs::metadata(path).ok()?;
    file::kind_of_special(&metadata)
}

/// The reason why a file cannot be locked at all, or `None` if somebody else has the lock.
fn refusal(error: io::Error) -> Option<NotLocked> {
    use io::ErrorKind::{InvalidInput, Unsupported};
    if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() {
        return None;
    }
    let lockless =
        matches!(error.kind(), Unsupported | InvalidInput) || ranges::is_lockless(&error);
    Some(match lockless {
        true => NotLocked::Unsupported(error),
        false => NotLocked::Io(error),
    })
}

/// The holder of a lease on the file that `path` names, as far as the kernel tells.
fn leased(path: &Path) -> NotLocked {
    let known = (|| {
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::OpenOptionsExt;
            // Opened only to be looked at, which no lease hinders.
            let flags = rustix::fs::OFlags::PATH.bits().cast_signed();
            let file = std::fs::OpenOptions::new()
                .read(true)
                .custom_flags(flags)
                .open(path);
            lock_of(&file.ok()?, "LEASE").map(|(holder, _)| holder)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = path;
            None
        }
    })();
    NotLocked::Held(known.unwrap_or(LockHolder::Unknown), LockHold::Lease)
}

/// The holder of a lock on `file`, and its kind, as far as the kernel tells.
fn holder(file: &File) -> (LockHolder, LockHold) {
    #[cfg(target_os = "linux")]
    let known = lock_of(file, "FLOCK");
    #[cfg(not(target_os = "linux"))]
    let (known, _) = (None, file);
    known.unwrap_or((LockHolder::Unknown, LockHold::Unknown))
}

/// The holder of a lock of this kind on `file`, and whether the lock is shared: `/proc/locks` lists
/// kind, process, device and inode of each lock.
///
/// The device there is the file system's own, which on btrfs differs from the one that `stat`
/// reports, so it is looked up by the mount that the file was opened through.
#[cfg(target_os = "linux")]
fn lock_of(file: &File, kind: &str) -> Option<(LockHolder, LockHold)> {
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
        // In large reads, because a lock that goes between two reads shifts the others, and one
        // would be missed.
        let mut locks = String::with_capacity(1 << 16);
        std::io::Read::read_to_string(&mut File::open("/proc/locks").ok()?, &mut locks).ok()?;
        locks
            .lines()
            .find_map(|line| lock_in(line, kind, device, inode))
    };
    // A long list takes several reads, so look twice.
    let (process, hold) = find().or_else(find)?;
    match process == std::process::id() {
        true => Some((LockHolder::ThisProcess, hold)),
        false => Some((LockHolder::Process(process), hold)),
    }
}

/// The process in a line of `/proc/locks` (`1: FLOCK  ADVISORY  WRITE 359 fe:00:13 0 EOF`) and how
/// it holds the lock, if the line is of a lock of this kind on this file.
///
/// `device` is `major:minor` in decimal, as in mountinfo; the line has it in hexadecimal.
#[cfg(target_os = "linux")]
fn lock_in(line: &str, kind: &str, device: &str, inode: u64) -> Option<(u32, LockHold)> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let [_, found, _, access, process, place, ..] = words[..] else {
        return None;
    };
    let mut place = place.split(':');
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (major, minor) = (hex(place.next()?)?, hex(place.next()?)?);
    let this = format!("{major}:{minor}") == device && place.next()?.parse() == Ok(inode);
    let hold = match access {
        "WRITE" => LockHold::Exclusive,
        "READ" => LockHold::Shared,
        _ => LockHold::Unknown,
    };
    let process = process.parse().ok()?;
    (found == kind && this).then_some((process, hold))
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
    fn pauses_double_up_to_a_limit_for_as_long_as_there_is_patience() {
        let mut pauses = Pauses::new(Patience::Forever);
        let mut expected = FIRST_PAUSE;
        for _ in 0..10 {
            assert_eq!(pauses.next(), Some(expected));
            expected = (2 * expected).min(LONGEST_PAUSE);
        }
        assert_eq!(expected, LONGEST_PAUSE);
        assert_eq!(Pauses::new(Patience::None).next(), None);
        assert_eq!(Pauses::new(Patience::Until(Instant::now())).next(), None);
        let soon = Patience::Until(Instant::now() + Duration::from_secs(60));
        assert_eq!(Pauses::new(soon).next(), Some(FIRST_PAUSE));
    }

    #[test]
    fn the_owner_of_a_lock_is_read_from_its_line() {
        let line = "17: FLOCK  ADVISORY  WRITE 4242 fe:1f:131072 0 EOF";
        let found = |device, inode| lock_in(line, "FLOCK", device, inode);
        assert_eq!(found("254:31", 131_072), Some((4242, LockHold::Exclusive)));
        assert_eq!(found("254:31", 131_073), None);
        assert_eq!(found("254:30", 131_072), None);
        let lease = "3: LEASE  BREAKING  READ  77 fe:1f:131072 0 EOF";
        for (line, kind, expected) in [
            (lease, "LEASE", Some((77, LockHold::Shared))),
            (lease, "FLOCK", None),
            (line, "LEASE", None),
            (
                "18: -> FLOCK ADVISORY WRITE 1 fe:1f:131072 0 EOF",
                "FLOCK",
                None,
            ),
            (
                "19: POSIX  ADVISORY  WRITE 1 fe:1f:131072 0 EOF",
                "FLOCK",
                None,
            ),
            ("", "FLOCK", None),
        ] {
            assert_eq!(lock_in(line, kind, "254:31", 131_072), expected, "{line}");
        }
    }
}
