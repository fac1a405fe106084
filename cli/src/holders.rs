//! Who has a file, by what Linux tells of its locks. Nothing is locked to find out.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The byte that stands for all who share a file, behind those of all rows. docs/locks.md of the library says which byte means what.
const SENTINEL: u64 = 1 << 62;

/// A lock on a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lock {
    /// On bytes, and not on the whole file.
    is_range: bool,
    is_write: bool,
    process: Option<u32>,
    bytes: Range<u64>,
}

/// What somebody has of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) process: Option<u32>,
    pub(crate) hold: Hold,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Everything, to write.
    Alone,
    /// It is open to be read, or looked at.
    Open,
    /// Bytes of rows, to read.
    Reads(Range<u64>),
    /// Bytes of rows, to write.
    Writes(Range<u64>),
    /// What comes from this byte on.
    Appends(u64),
    /// All of it, with others that read and write.
    Shares,
}

/// Those who have the file, in no order that counts. Empty where the system does not tell.
pub(crate) fn of(path: &Path) -> Vec<Holder> {
    let (Ok(metadata), Ok(locks)) = (path.metadata(), fs::read_to_string("/proc/locks")) else {
        return Vec::new();
    };
    let mut locks = parse(&locks, metadata.ino());
    if locks.iter().any(|lock| lock.process.is_none()) {
        name_processes(&mut locks, metadata.ino());
    }
    holders(locks)
}

/// The locks on an inode that `/proc/locks` and the `lock:` lines of `/proc/*/fdinfo/*` name. Those who wait for one are left out.
fn parse(text: &str, inode: u64) -> Vec<Lock> {
    let lock = |line: &str| {
        let mut words = line
            .split_whitespace()
            .skip_while(|word| word.ends_with(':'));
        let kind = words.next()?;
        let _advisory = words.next()?;
        let is_write = words.next()? == "WRITE";
        let process: i64 = words.next()?.parse().ok()?;
        let found: u64 = words.next()?.rsplit(':').next()?.parse().ok()?;
        let start: u64 = words.next()?.parse().ok()?;
        let end = words
            .next()?
            .parse()
            .map_or(u64::MAX, |last: u64| last.saturating_add(1));
        let is_range = match kind {
            "OFDLCK" | "POSIX" => true,
            "FLOCK" => false,
            _ => return None,
        };
        (found == inode).then_some(Lock {
            is_range,
            is_write,
            process: u32::try_from(process).ok().filter(|&process| process > 0),
            bytes: start..end,
        })
    };
    text.lines().filter_map(lock).collect()
}

/// Looks up whose descriptors have the locks of which the kernel names no process.
fn name_processes(locks: &mut [Lock], inode: u64) {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Some(id) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let infos = fs::read_dir(process.path().join("fdinfo"))
            .into_iter()
            .flatten()
            .flatten();
        for info in infos {
            let Ok(text) = fs::read_to_string(info.path()) else {
                continue;
            };
            for held in parse(&text, inode) {
                let is_held = |lock: &&mut Lock| {
                    lock.process.is_none()
                        && Lock {
                            process: None,
                            ..held.clone()
                        } == **lock
                };
                if let Some(lock) = locks.iter_mut().find(is_held) {
                    lock.process = Some(id);
                }
            }
        }
    }
}

/// What the locks mean. `flock` is told of those alone who have no more.
fn holders(locks: Vec<Lock>) -> Vec<Holder> {
    let mut of_process: BTreeMap<Option<u32>, Vec<Hold>> = BTreeMap::new();
    for lock in &locks {
        let holds = of_process.entry(lock.process).or_default();
        let Range { start, end } = lock.bytes;
        match (lock.is_range, lock.is_write) {
            (true, _) if start > SENTINEL => {}
            (true, true) if start == 0 && end > SENTINEL => holds.push(Hold::Alone),
            (true, true) if end >= SENTINEL => holds.push(Hold::Appends(start)),
            (true, true) => holds.push(Hold::Writes(start..end)),
            (true, false) if start == SENTINEL => holds.push(Hold::Shares),
            (true, false) => holds.push(Hold::Reads(start..end)),
            (false, _) => {}
        }
    }
    for lock in locks.iter().filter(|lock| !lock.is_range) {
        let holds = of_process.entry(lock.process).or_default();
        if holds.is_empty() {
            holds.push(if lock.is_write {
                Hold::Alone
            } else {
                Hold::Open
            });
        }
    }
    let of_each = |(process, holds): (Option<u32>, Vec<Hold>)| {
        holds.into_iter().map(move |hold| Holder { process, hold })
    };
    of_process.into_iter().flat_map(of_each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_told_as_what_they_are_for() {
        let text = "\
1: FLOCK  ADVISORY  READ 71 fe:00:5 0 EOF
2: OFDLCK ADVISORY  READ -1 fe:00:5 4096 8191
2: -> FLOCK  ADVISORY  WRITE 9 fe:00:5 0 EOF
3: FLOCK  ADVISORY  WRITE 72 fe:00:6 0 EOF
4: POSIX  ADVISORY  WRITE 73 fe:00:5 8192 4611686018427387903
5: FLOCK  ADVISORY  READ 73 fe:00:5 0 EOF
6: LEASE  ACTIVE    READ 74 fe:00:5 0 EOF
garbage
";
        let is = |process, hold| Holder { process, hold };
        assert_eq!(
            holders(parse(text, 5)),
            [
                is(None, Hold::Reads(4096..8192)),
                is(Some(71), Hold::Open),
                is(Some(73), Hold::Appends(8192))
            ]
        );
        assert_eq!(holders(parse(text, 6)), [is(Some(72), Hold::Alone)]);
    }
}
