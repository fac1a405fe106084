//! A disk in memory, which keeps a log and can fail on demand. It knows nothing of FUSE.
//!
//! It has one directory, and in that others for files alone. The name of a file in one of those is
//! `DIRECTORY/NAME`.

use std::collections::BTreeMap;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::log::{Attributes, Ino, Op};

/// A lookup of this and a number is no lookup but an acknowledgement.
pub(crate) const ACK: &str = "ack-";

/// A lookup of this and a number says which state a process found that takes over.
pub(crate) const FOUND: &str = "found-";

/// Calls of the file system beyond the common ones. A store can do without them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abilities {
    pub(crate) fallocate: bool,
    /// `RENAME_NOREPLACE` and `RENAME_EXCHANGE`.
    pub(crate) noreplace: bool,
}

/// Calls that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `fsync` and `fdatasync` of files and of the directory.
    Sync,
    Write,
    /// `ftruncate` and `fallocate`.
    Length,
    /// Creating, linking, renaming, removing.
    Name,
}

/// The fault of a disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The `n`th call of a kind, counted from 1, is answered with EIO.
    Nth { kind: Kind, n: u32 },
    /// The disk has room for so many bytes.
    Full { capacity: u64 },
    /// The process is killed by the `n`th call that changes something, counted from 1, which is
    /// done.
    Kill { n: u32 },
}

#[derive(Debug)]
pub(crate) struct Inode {
    pub(crate) bytes: Vec<u8>,
    pub(crate) attributes: Attributes,
    pub(crate) links: u32,
    /// How far its blocks reach, where that is behind its end.
    reserved: u64,
}

impl Inode {
    /// How far its blocks reach.
    pub(crate) fn room(&self) -> u64 {
        self.reserved.max(self.bytes.len() as u64)
    }
}

#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) abilities: Abilities,
    pub(crate) log: Vec<Op>,
    /// The most bytes that its files ever had together, those that are merely reserved left out.
    pub(crate) peak: u64,
    /// How long the log was when the fault struck first.
    pub(crate) struck: Option<usize>,
    /// The process to kill.
    victim: Option<Pid>,
    fault: Option<Fault>,
    calls: u32,
    inodes: BTreeMap<Ino, Inode>,
    names: BTreeMap<String, Ino>,
    directories: BTreeMap<Ino, Directory>,
    /// How many there ever were.
    directories_made: Ino,
}

/// A directory in the one that is the root.
#[derive(Debug)]
pub(crate) struct Directory {
    name: String,
    pub(crate) attributes: Attributes,
}

/// The directory of all.
const ROOT: Ino = 1;
const FIRST_FILE: Ino = 2;
const FIRST_DIRECTORY: Ino = 1 << 32;

impl Disk {
    pub(crate) fn new(abilities: Abilities) -> Disk {
        Disk {
            abilities,
            log: Vec::new(),
            peak: 0,
            struck: None,
            victim: None,
            fault: None,
            calls: 0,
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            directories: BTreeMap::new(),
            directories_made: 0,
        }
    }

    /// From now on this goes wrong, and nothing else.
    pub(crate) fn set_fault(&mut self, fault: Option<Fault>) {
        self.fault = fault;
        self.calls = 0;
        self.struck = None;
    }

    /// From now on this process works on the disk.
    pub(crate) fn set_victim(&mut self, process: Pid) {
        self.victim = Some(process);
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let directories = self.directories.values();
        let directories = directories.map(|directory| directory.name.as_str());
        self.names.keys().map(String::as_str).chain(directories)
    }

    pub(crate) fn directory(&self, ino: Ino) -> Option<&Directory> {
        self.directories.get(&ino)
    }

    /// What a file or directory is called that has this name in a directory.
    pub(crate) fn path(&self, parent: Ino, name: &str) -> Result<String, Errno> {
        match parent {
            ROOT => Ok(name.to_owned()),
            parent => match self.directories.get(&parent) {
                Some(directory) => Ok(format!("{}/{name}", directory.name)),
                None => Err(Errno::NOENT),
            },
        }
    }

    /// The files and directories in a directory, by name.
    pub(crate) fn list(&self, parent: Ino) -> Result<Vec<(String, Ino)>, Errno> {
        let prefix = self.path(parent, "")?;
        let directories = self.directories.iter();
        let directories = directories.map(|(ino, directory)| (&directory.name, ino));
        let all = self.names.iter().chain(directories);
        let below = all.filter_map(|(name, ino)| Some((name.strip_prefix(&prefix)?, *ino)));
        Ok(below
            .filter(|(name, _)| !name.contains('/'))
            .map(|(name, ino)| (name.to_owned(), ino))
            .collect())
    }

    pub(crate) fn lookup(&mut self, name: &str) -> Result<Ino, Errno> {
        let number = |prefix| name.strip_prefix(prefix)?.parse().ok();
        if let Some(number) = number(ACK) {
            self.log.push(Op::Ack(number));
        }
        if let Some(found) = number(FOUND) {
            self.log.push(Op::Life { found });
        }
        let file = self.names.get(name).copied();
        file.or_else(|| self.directory_called(name))
            .ok_or(Errno::NOENT)
    }

    fn directory_called(&self, name: &str) -> Option<Ino> {
        let mut directories = self.directories.iter();
        let found = directories.find(|(_, directory)| directory.name == name);
        found.map(|(ino, _)| *ino)
    }

    pub(crate) fn inode(&self, ino: Ino) -> Result<&Inode, Errno> {
        self.inodes.get(&ino).ok_or(Errno::NOENT)
    }

    fn inode_mut(&mut self, ino: Ino) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&ino).ok_or(Errno::NOENT)
    }

    /// Counts a call, and fails if it is its turn.
    fn call(&mut self, called: Kind) -> Result<(), Errno> {
        match self.fault {
            Some(Fault::Nth { kind, n }) if kind == called => {
                self.calls += 1;
                if self.calls == n {
                    self.strike();
                    return Err(Errno::IO);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Logs what was done, and kills who did it if it is time. A process that is killed in a call
    /// sees no more of it: it is gone when the call is answered.
    fn done(&mut self, op: Op) {
        self.log.push(op);
        if let (Some(Fault::Kill { n }), Some(victim)) = (self.fault, self.victim) {
            self.calls += 1;
            if self.calls == n && kill_process(victim, Signal::KILL).is_ok() {
                self.strike();
            }
        }
    }

    fn strike(&mut self) {
        self.struck.get_or_insert(self.log.len());
    }

    /// The bytes that `ino` may reach, if it is to reach `end`: fewer on a full disk.
    fn room_up_to(&mut self, ino: Ino, end: u64) -> Result<u64, Errno> {
        let own = self.inode(ino)?.room();
        let linked = self.inodes.values().filter(|inode| inode.links > 0);
        let used: u64 = linked.map(Inode::room).sum();
        let more = end.saturating_sub(own);
        let granted = match self.fault {
            Some(Fault::Full { capacity }) if used + more > capacity => {
                self.strike();
                capacity.saturating_sub(used)
            }
            _ => more,
        };
        Ok(end.min(own + granted))
    }

    /// Makes a file at least as long as `end`.
    fn grow(&mut self, ino: Ino, end: u64) -> Result<&mut Inode, Errno> {
        let inode = self.inode_mut(ino)?;
        let len = inode.bytes.len().max(end as usize);
        inode.bytes.resize(len, 0);
        let linked = self.inodes.values().filter(|inode| inode.links > 0);
        let used = linked.map(|inode| inode.bytes.len() as u64).sum();
        self.peak = self.peak.max(used);
        self.inode_mut(ino)
    }

    pub(crate) fn create(&mut self, name: &str, attributes: Attributes) -> Result<Ino, Errno> {
        if self.names.contains_key(name) {
            return Err(Errno::EXIST);
        }
        self.call(Kind::Name)?;
        let ino = FIRST_FILE + self.inodes.len() as Ino;
        self.inodes.insert(
            ino,
            Inode {
                bytes: Vec::new(),
                attributes,
                links: 1,
                reserved: 0,
            },
        );
        self.names.insert(name.to_owned(), ino);
        self.done(Op::Create {
            ino,
            name: name.to_owned(),
            attributes,
        });
        Ok(ino)
    }

    pub(crate) fn write(&mut self, ino: Ino, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let failed = self.call(Kind::Write).is_err();
        let end = offset + bytes.len() as u64;
        if !failed {
            if self.room_up_to(ino, end)? < end {
                return Err(Errno::NOSPC);
            }
            let inode = self.grow(ino, end)?;
            inode.bytes[offset as usize..end as usize].copy_from_slice(bytes);
        }
        self.done(Op::Write {
            ino,
            offset,
            bytes: bytes.to_vec(),
            failed,
        });
        if failed { Err(Errno::IO) } else { Ok(()) }
    }

    pub(crate) fn set_len(&mut self, ino: Ino, len: u64) -> Result<(), Errno> {
        self.call(Kind::Length)?;
        let inode = self.inode_mut(ino)?;
        inode.bytes.resize(len as usize, 0);
        inode.reserved = 0;
        self.done(Op::SetLen { ino, len });
        Ok(())
    }

    /// Like ext4, a full disk leaves the file as long as it got.
    pub(crate) fn allocate(&mut self, ino: Ino, end: u64, keep_size: bool) -> Result<(), Errno> {
        if !self.abilities.fallocate {
            return Err(Errno::OPNOTSUPP);
        }
        self.call(Kind::Length)?;
        let granted = self.room_up_to(ino, end)?;
        let inode = self.inode_mut(ino)?;
        inode.reserved = inode.reserved.max(granted);
        if !keep_size {
            self.grow(ino, granted)?;
        }
        self.done(Op::Allocate {
            ino,
            end: granted,
            keep_size,
        });
        if granted < end {
            Err(Errno::NOSPC)
        } else {
            Ok(())
        }
    }

    pub(crate) fn set_attributes(&mut self, ino: Ino, attributes: Attributes) -> Result<(), Errno> {
        self.inode_mut(ino)?.attributes = attributes;
        self.done(Op::SetAttributes { ino, attributes });
        Ok(())
    }

    pub(crate) fn link(&mut self, ino: Ino, name: &str) -> Result<(), Errno> {
        if self.names.contains_key(name) {
            return Err(Errno::EXIST);
        }
        self.call(Kind::Name)?;
        self.inode_mut(ino)?.links += 1;
        self.names.insert(name.to_owned(), ino);
        self.done(Op::Link {
            ino,
            name: name.to_owned(),
        });
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str, noreplace: bool) -> Result<(), Errno> {
        if noreplace && !self.abilities.noreplace {
            return Err(Errno::INVAL);
        }
        let ino = *self.names.get(from).ok_or(Errno::NOENT)?;
        if noreplace && self.names.contains_key(to) {
            return Err(Errno::EXIST);
        }
        self.call(Kind::Name)?;
        self.names.remove(from);
        if let Some(replaced) = self.names.insert(to.to_owned(), ino) {
            self.inode_mut(replaced)?.links -= 1;
        }
        self.done(Op::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        });
        Ok(())
    }

    pub(crate) fn exchange(&mut self, one: &str, other: &str) -> Result<(), Errno> {
        if !self.abilities.noreplace {
            return Err(Errno::INVAL);
        }
        let inode = |name| self.names.get(name).copied().ok_or(Errno::NOENT);
        let (first, second) = (inode(one)?, inode(other)?);
        self.call(Kind::Name)?;
        self.names.insert(one.to_owned(), second);
        self.names.insert(other.to_owned(), first);
        self.log.push(Op::Exchange {
            one: one.to_owned(),
            other: other.to_owned(),
        });
        Ok(())
    }

    pub(crate) fn make_directory(
        &mut self,
        name: &str,
        attributes: Attributes,
    ) -> Result<Ino, Errno> {
        if self.names().any(|taken| taken == name) {
            return Err(Errno::EXIST);
        }
        self.call(Kind::Name)?;
        let ino = FIRST_DIRECTORY + self.directories_made;
        self.directories_made += 1;
        let name = name.to_owned();
        self.log.push(Op::MakeDirectory { name: name.clone() });
        self.directories.insert(ino, Directory { name, attributes });
        Ok(ino)
    }

    pub(crate) fn remove_directory(&mut self, name: &str) -> Result<(), Errno> {
        let ino = self.directory_called(name).ok_or(Errno::NOENT)?;
        if !self.list(ino)?.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        self.call(Kind::Name)?;
        self.directories.remove(&ino);
        self.log.push(Op::RemoveDirectory {
            name: name.to_owned(),
        });
        Ok(())
    }

    pub(crate) fn unlink(&mut self, name: &str) -> Result<(), Errno> {
        let ino = *self.names.get(name).ok_or(Errno::NOENT)?;
        self.call(Kind::Name)?;
        self.names.remove(name);
        self.inode_mut(ino)?.links -= 1;
        self.done(Op::Unlink {
            name: name.to_owned(),
        });
        Ok(())
    }

    pub(crate) fn sync(&mut self, ino: Ino, data_only: bool) -> Result<(), Errno> {
        self.call(Kind::Sync)
            .inspect_err(|_| self.log.push(Op::SyncFailed { ino }))?;
        self.done(Op::Sync { ino, data_only });
        Ok(())
    }

    pub(crate) fn sync_directory(&mut self) -> Result<(), Errno> {
        self.call(Kind::Sync)?;
        self.done(Op::SyncDirectory);
        Ok(())
    }
}
