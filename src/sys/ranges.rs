//! Claims on ranges of a file: locks of open file descriptions (`F_OFD_SETLK`). docs/locks.md says
//! who claims what.
//!
//! They are advisory, belong to the open file and not to the process, and nobody waits in the
//! kernel for one. Where there are none, each of these functions says `Unsupported`.

use std::fs::File;
use std::io;
use std::ops::Range;

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
use super::file::FileId;
use crate::error::LockHolder;

/// The byte that shared writers claim. Everything below it stands for rows.
pub(crate) const SENTINEL: u64 = 1 << 62;

/// The last byte below the sentinel: whoever has it is the one that may publish.
pub(crate) const TURN: u64 = SENTINEL - 1;

/// What a claim is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The bytes stay as they are. Any number of these may be on a byte.
    Read,
    /// The bytes may change. This one is alone.
    Write,
}

/// A claim of another open file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Other {
    pub(crate) range: Range<u64>,
    pub(crate) claim: Claim,
    /// The process, if the kernel tells: only of a lock of the old kind (`F_SETLK`).
    process: Option<u32>,
}

impl Other {
    /// Whether it is the tail of an appender.
    pub(crate) fn is_tail(&self) -> bool {
        self.claim == Claim::Write && self.range.contains(&TURN)
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod kernel {
    use super::*;
    use crate::sys::linux::{RangeLock, lock_range};

    impl From<Claim> for RangeLock {
        fn from(claim: Claim) -> RangeLock {
            match claim {
                Claim::Read => RangeLock::Read,
                Claim::Write => RangeLock::Write,
            }
        }
    }

    /// `None` for a range of no bytes: a length of 0 would mean "up to the end of everything".
    fn start_and_len(range: &Range<u64>) -> io::Result<Option<(i64, i64)>> {
        if range.is_empty() {
            return Ok(None);
        }
        let overflow = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let start = range.start.try_into().map_err(overflow)?;
        let len = (range.end - range.start).try_into().map_err(overflow)?;
        Ok(Some((start, len)))
    }

    /// A kernel before 3.15 does not know the command (`InvalidInput`), and not every file system
    /// has locks.
    fn unsupported(error: io::Error) -> io::Error {
        let is_unknown = error.kind() == io::ErrorKind::InvalidInput;
        match is_unknown || super::is_lockless(&error) {
            true => io::Error::new(io::ErrorKind::Unsupported, error),
            false => error,
        }
    }

    /// Claims all of `range`, or nothing: false if somebody else is in the way. What this file had
    /// claimed of it is exchanged for this claim, and kept if that fails.
    pub(crate) fn claim(file: &File, claim: Claim, range: &Range<u64>) -> io::Result<bool> {
        let Some((start, len)) = start_and_len(range)? else {
            return Ok(true);
        };
        match lock_range(file, false, claim.into(), start, len) {
            Ok(_) => Ok(true),
            Err(error) if is_held(&error) => Ok(false),
            Err(error) => Err(unsupported(error)),
        }
    }

    /// Gives back what this file claims of `range`.
    pub(crate) fn release(file: &File, range: &Range<u64>) -> io::Result<()> {
        let Some((start, len)) = start_and_len(range)? else {
            return Ok(());
        };
        lock_range(file, false, RangeLock::None, start, len).map_err(unsupported)?;
        Ok(())
    }

    /// A claim of another open file that stands in the way of this one. Of several it is any.
    pub(crate) fn in_the_way(
        file: &File,
        claim: Claim,
        range: &Range<u64>,
    ) -> io::Result<Option<Other>> {
        let Some((start, len)) = start_and_len(range)? else {
            return Ok(None);
        };
        let found = lock_range(file, true, claim.into(), start, len).map_err(unsupported)?;
        let (lock, start, len, process) = found;
        let claim = match lock {
            RangeLock::None => return Ok(None),
            RangeLock::Read => Claim::Read,
            RangeLock::Write => Claim::Write,
        };
        let start = start.cast_unsigned();
        let end = match len {
            0 => u64::MAX,
            len => start.saturating_add_signed(len),
        };
        Ok(Some(Other {
            range: start..end,
            claim,
            process: u32::try_from(process).ok().filter(|&id| id > 0),
        }))
    }

    fn is_held(error: &io::Error) -> bool {
        use rustix::io::Errno;
        // POSIX allows both.
        [Errno::AGAIN, Errno::ACCESS].contains(&Errno::from_io_error(error).unwrap_or(Errno::IO))
    }

    /// Whether the file system, or the server behind it, makes a `flock` a lock on all bytes of the
    /// file.
    pub(crate) fn emulate_flock(file: &File) -> bool {
        /// NFS, SMB (three clients of it), AFS, 9P.
        const KINDS: [u32; 6] = [
            0x6969,
            0x517b,
            0xff53_4d42,
            0xfe53_4d42,
            0x5346_414f,
            0x0102_1997,
        ];
        // The width of the field differs between architectures; the magic numbers have 32 bits.
        rustix::fs::fstatfs(file).is_ok_and(|found| KINDS.contains(&(found.f_type as u32)))
    }

    /// Whether claims on this file hold: another open file sees them and is refused, and they have
    /// nothing to do with `flock`. `again` is the same file, opened once more.
    ///
    /// To see a claim is not enough: where a server in user space keeps locks for itself as one
    /// process, the kernel tells of a claim that the server then grants a second time. Only a file
    /// that `is_writable` can try it.
    pub(crate) fn work(file: &File, again: &File, is_writable: bool) -> io::Result<bool> {
        let probe = SENTINEL + 1..SENTINEL + 2;
        if emulate_flock(file) {
            return Ok(false);
        }
        let claimed = claim(again, Claim::Read, &probe)?;
        let reads = in_the_way(file, Claim::Read, &probe)?;
        let writes = in_the_way(file, Claim::Write, &probe)?;
        let is_refused = !is_writable || !claim(file, Claim::Write, &probe)?;
        release(again, &probe)?;
        if !is_refused {
            release(file, &probe)?;
        }
        Ok(claimed && reads.is_none() && writes.is_some() && is_refused)
    }

    /// Which process has a claim, as far as `/proc` tells: those that have the file open list its
    /// locks.
    pub(crate) fn holder(file: &File, other: &Other) -> LockHolder {
        let this = std::process::id();
        let found = other.process.or_else(|| {
            let id = file.metadata().map(|metadata| FileId::of(&metadata)).ok()?;
            let all = std::fs::read_dir("/proc").ok()?;
            let all = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
            let mut all = std::iter::once(this).chain(all);
            all.find(|process| has_claim(*process, id, other))
        });
        match found {
            Some(process) if process == this => LockHolder::ThisProcess,
            Some(process) => LockHolder::Process(process),
            None => LockHolder::Unknown,
        }
    }

    /// Whether a process has the file open with this claim on it.
    fn has_claim(process: u32, id: FileId, other: &Other) -> bool {
        let Ok(files) = std::fs::read_dir(format!("/proc/{process}/fd")) else {
            return false;
        };
        files.filter_map(Result::ok).any(|entry| {
            let is_it = std::fs::metadata(entry.path()).is_ok_and(|found| FileId::of(&found) == id);
            let Some(number) = entry
                .file_name()
                .to_str()
                .filter(|_| is_it)
                .map(str::to_owned)
            else {
                return false;
            };
            let info = std::fs::read_to_string(format!("/proc/{process}/fdinfo/{number}"));
            info.is_ok_and(|info| info.lines().any(|line| is_claim(line, other)))
        })
    }

    /// Whether a line of fdinfo (`lock: 1: OFDLCK ADVISORY  WRITE -1 fe:00:359 4096 8191`) is this
    /// claim.
    pub(super) fn is_claim(line: &str, other: &Other) -> bool {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let ["lock:", _, "OFDLCK", _, kind, _, _, start, end] = words[..] else {
            return false;
        };
        let kind_fits = match other.claim {
            Claim::Read => kind == "READ",
            Claim::Write => kind == "WRITE",
        };
        let last = match end {
            "EOF" => Some(u64::MAX),
            last => last.parse().ok().map(|last: u64| last + 1),
        };
        kind_fits && start.parse() == Ok(other.range.start) && last == Some(other.range.end)
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod kernel {
    use super::*;

    fn unsupported<T>() -> io::Result<T> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Claims all of `range`, or nothing.
    pub(crate) fn claim(_: &File, _: Claim, range: &Range<u64>) -> io::Result<bool> {
        if range.is_empty() {
            Ok(true)
        } else {
            unsupported()
        }
    }

    /// Gives back what this file claims of `range`.
    pub(crate) fn release(_: &File, range: &Range<u64>) -> io::Result<()> {
        if range.is_empty() {
            Ok(())
        } else {
            unsupported()
        }
    }

    /// A claim of another open file that stands in the way of this one.
    pub(crate) fn in_the_way(_: &File, _: Claim, range: &Range<u64>) -> io::Result<Option<Other>> {
        if range.is_empty() {
            Ok(None)
        } else {
            unsupported()
        }
    }

    /// There is nothing to make it of.
    pub(crate) fn emulate_flock(_: &File) -> bool {
        false
    }

    /// There are none.
    pub(crate) fn work(_: &File, _: &File, _: bool) -> io::Result<bool> {
        Ok(false)
    }

    /// Nobody tells.
    pub(crate) fn holder(_: &File, other: &Other) -> LockHolder {
        other
            .process
            .map_or(LockHolder::Unknown, LockHolder::Process)
    }
}

pub(crate) use kernel::{claim, emulate_flock, holder, in_the_way, release, work};

/// The codes with which file systems without locks answer, beside the ones that `io::ErrorKind` knows. NFS and SMB pass `flock` on
/// to a server, which may know no locks (524), or have it be a lock on ranges, for which a file must be open for writing (EBADF).
pub(super) fn is_lockless(error: &io::Error) -> bool {
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

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use std::fs::OpenOptions;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};

    use super::kernel::is_claim;
    use super::*;

    const EVERYTHING: Range<u64> = 0..SENTINEL + 2;

    fn open(path: &Path) -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap()
    }

    /// Runs a test with a file on a disk, and with one in memory.
    fn on_each_file_system(test: impl Fn(&Path)) {
        for place in ["/dev/shm".into(), std::env::temp_dir()] {
            if let Ok(dir) = tempfile::tempdir_in(place) {
                let path = dir.path().join("claimed");
                std::fs::write(&path, [0; 100]).unwrap();
                test(&path);
            }
        }
    }

    #[track_caller]
    fn assert_found(found: io::Result<Option<Other>>, range: Range<u64>, claim: Claim) {
        let found = found.unwrap().expect("somebody is in the way");
        assert_eq!(
            (found.range, found.claim, found.process),
            (range, claim, None)
        );
    }

    #[test]
    fn two_open_files_of_one_process_exclude_each_other() {
        on_each_file_system(|path| {
            let (one, two) = (open(path), open(path));
            assert!(claim(&one, Claim::Write, &(10..20)).unwrap());
            assert!(!claim(&two, Claim::Write, &(19..30)).unwrap());
            assert!(!claim(&two, Claim::Read, &(0..11)).unwrap());
            assert!(claim(&two, Claim::Write, &(20..30)).unwrap());
            assert_found(
                in_the_way(&one, Claim::Read, &EVERYTHING),
                20..30,
                Claim::Write,
            );
            assert_found(
                in_the_way(&two, Claim::Read, &EVERYTHING),
                10..20,
                Claim::Write,
            );
            assert!(claim(&one, Claim::Read, &(40..50)).unwrap());
            assert!(claim(&two, Claim::Read, &(45..60)).unwrap());
            assert!(!claim(&two, Claim::Write, &(49..51)).unwrap());
            drop(one);
            assert_eq!(in_the_way(&two, Claim::Write, &EVERYTHING).unwrap(), None);
        });
    }

    #[test]
    fn a_prefix_is_given_back_and_the_rest_is_kept() {
        on_each_file_system(|path| {
            let (one, two) = (open(path), open(path));
            assert!(claim(&one, Claim::Write, &(10..SENTINEL)).unwrap());
            release(&one, &(10..15)).unwrap();
            assert!(claim(&two, Claim::Read, &(0..15)).unwrap());
            let tail = in_the_way(&two, Claim::Read, &(0..20)).unwrap().unwrap();
            assert_eq!((tail.range.clone(), tail.is_tail()), (15..SENTINEL, true));
            assert_eq!(
                in_the_way(&two, Claim::Write, &(SENTINEL..SENTINEL + 1)).unwrap(),
                None
            );
        });
    }

    #[test]
    fn a_claim_that_cannot_be_exchanged_is_kept() {
        on_each_file_system(|path| {
            let [one, two, three] = [open(path), open(path), open(path)];
            for file in [&one, &two] {
                assert!(claim(file, Claim::Read, &(0..10)).unwrap());
            }
            assert!(!claim(&one, Claim::Write, &(0..10)).unwrap());
            drop(two);
            assert_found(
                in_the_way(&three, Claim::Write, &(0..10)),
                0..10,
                Claim::Read,
            );
            assert!(claim(&one, Claim::Write, &(0..10)).unwrap());
        });
    }

    #[test]
    fn nothing_is_claimed_by_a_claim_of_nothing() {
        on_each_file_system(|path| {
            let (one, two) = (open(path), open(path));
            for at in [0, 50, SENTINEL] {
                assert!(claim(&one, Claim::Write, &(at..at)).unwrap());
                assert_eq!(in_the_way(&two, Claim::Write, &EVERYTHING).unwrap(), None);
                assert!(claim(&one, Claim::Write, &(7..9)).unwrap());
                release(&one, &(at..at)).unwrap();
                assert_eq!(in_the_way(&two, Claim::Write, &(at..at)).unwrap(), None);
                assert_found(
                    in_the_way(&two, Claim::Write, &EVERYTHING),
                    7..9,
                    Claim::Write,
                );
                release(&one, &EVERYTHING).unwrap();
            }
        });
    }

    #[test]
    fn a_lock_of_the_old_kind_is_in_the_way_and_up_to_the_end_of_everything() {
        on_each_file_system(|path| {
            let mut other = holding(path, "lock 0 0");
            let this = open(path);
            assert!(!claim(&this, Claim::Read, &(SENTINEL..SENTINEL + 1)).unwrap());
            let found = in_the_way(&this, Claim::Read, &EVERYTHING)
                .unwrap()
                .unwrap();
            assert_eq!(found.range, 0..u64::MAX);
            assert_eq!(holder(&this, &found), LockHolder::Process(other.id()));
            other.kill().unwrap();
            other.wait().unwrap();
        });
    }

    #[test]
    fn a_copy_of_the_descriptor_keeps_a_claim_and_another_descriptor_of_the_file_does_not_end_it() {
        on_each_file_system(|path| {
            let (one, two) = (open(path), open(path));
            assert!(claim(&one, Claim::Write, &(0..10)).unwrap());
            drop(open(path));
            let copy = one.try_clone().unwrap();
            drop(one);
            assert_found(
                in_the_way(&two, Claim::Read, &EVERYTHING),
                0..10,
                Claim::Write,
            );
            drop(copy);
            assert_eq!(in_the_way(&two, Claim::Read, &EVERYTHING).unwrap(), None);
        });
    }

    #[test]
    fn what_is_opened_for_reading_claims_to_read_and_asks_about_anything() {
        on_each_file_system(|path| {
            let (reader, writer) = (File::open(path).unwrap(), open(path));
            assert!(claim(&reader, Claim::Read, &(0..10)).unwrap());
            assert_eq!(
                in_the_way(&reader, Claim::Write, &EVERYTHING).unwrap(),
                None
            );
            assert!(claim(&reader, Claim::Write, &(0..10)).is_err());
            assert_found(
                in_the_way(&writer, Claim::Write, &EVERYTHING),
                0..10,
                Claim::Read,
            );
        });
    }

    #[test]
    fn the_holder_is_found_by_its_claim() {
        on_each_file_system(|path| {
            let this = open(path);
            let mine = open(path);
            assert!(claim(&mine, Claim::Read, &(50..60)).unwrap());
            let mut other = holding(path, "claim 10 20");
            let find = |range| in_the_way(&this, Claim::Write, &range).unwrap().unwrap();
            assert_eq!(holder(&this, &find(50..51)), LockHolder::ThisProcess);
            let theirs = find(0..20);
            assert_eq!((theirs.range.clone(), theirs.process), (10..20, None));
            assert_eq!(holder(&this, &theirs), LockHolder::Process(other.id()));
            other.kill().unwrap();
            other.wait().unwrap();
            assert_eq!(in_the_way(&this, Claim::Write, &(0..20)).unwrap(), None);
            // Never guessed: somebody who has the file open need not be the one.
            assert_eq!(holder(&this, &theirs), LockHolder::Unknown);
        });
    }

    #[test]
    fn claims_work_where_a_second_open_file_sees_them() {
        on_each_file_system(|path| {
            let (one, two) = (open(path), open(path));
            assert!(work(&one, &two, true).unwrap());
            assert!(work(&one, &two, false).unwrap());
            assert_eq!(in_the_way(&two, Claim::Write, &EVERYTHING).unwrap(), None);
            // One open file that is asked about itself sees nothing, as where locks are kept for
            // each process.
            assert!(!work(&one, &one, true).unwrap());
            assert_eq!(in_the_way(&two, Claim::Write, &EVERYTHING).unwrap(), None);
        });
    }

    #[test]
    fn a_claim_is_read_from_its_line() {
        let other = |range, claim| Other {
            range,
            claim,
            process: None,
        };
        let line = "lock:\t1: OFDLCK ADVISORY  WRITE -1 fe:00:359 4096 8191";
        assert!(is_claim(line, &other(4096..8192, Claim::Write)));
        assert!(!is_claim(line, &other(4096..8193, Claim::Write)));
        assert!(!is_claim(line, &other(4095..8192, Claim::Write)));
        assert!(!is_claim(line, &other(4096..8192, Claim::Read)));
        let line = "lock:\t1: OFDLCK ADVISORY  READ -1 fe:00:359 7 EOF";
        assert!(is_claim(line, &other(7..u64::MAX, Claim::Read)));
        let line = "lock:\t1: FLOCK  ADVISORY  READ 359 fe:00:359 7 EOF";
        assert!(!is_claim(line, &other(7..u64::MAX, Claim::Read)));
        assert!(!is_claim("flags:\t02", &other(7..9, Claim::Read)));
    }

    /// What another process is to hold: its way, and where from and to.
    const HELD: &str = "NDSTORE_TEST_HELD";

    /// A process that holds a lock by the time that this returns.
    fn holding(path: &Path, held: &str) -> Child {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([
            "sys::ranges::tests::held",
            "--exact",
            "--ignored",
            "--nocapture",
        ]);
        child.env(HELD, format!("{held} {}", path.display()));
        let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("held") {
            line.clear();
            assert!(std::io::BufRead::read_line(&mut said, &mut line).unwrap() > 0);
        }
        child
    }

    #[test]
    #[ignore = "the other process of other tests, which start it"]
    fn held() {
        let Ok(held) = std::env::var(HELD) else {
            return;
        };
        let words: Vec<_> = held.splitn(4, ' ').collect();
        let [way, start, end, path] = words[..] else {
            panic!("{held}");
        };
        let (start, end) = (start.parse().unwrap(), end.parse().unwrap());
        let file = open(&PathBuf::from(path));
        match way {
            "claim" => assert!(claim(&file, Claim::Write, &(start..end)).unwrap()),
            _ => {
                use rustix::fs::{FlockOperation, fcntl_lock};
                fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
            }
        }
        println!("\nheld");
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}
