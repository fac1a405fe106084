//! The operations that reached the file system, in their order. All images of a power cut are made
//! from this log.

use std::fmt;

/// The number of a file, whatever it is called.
pub(crate) type Ino = u64;

/// The attributes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attributes {
    /// The permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create {
        ino: Ino,
        name: String,
        attributes: Attributes,
    },
    /// `failed` bytes were refused with an error, of which the disk may have some all the same.
    Write {
        ino: Ino,
        offset: u64,
        bytes: Vec<u8>,
        failed: bool,
    },
    SetLen {
        ino: Ino,
        len: u64,
    },
    /// Blocks up to `end`; the file gets that long unless `keep_size`.
    Allocate {
        ino: Ino,
        end: u64,
        keep_size: bool,
    },
    SetAttributes {
        ino: Ino,
        attributes: Attributes,
    },
    Link {
        ino: Ino,
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    /// Both files have the other's name now.
    Exchange {
        one: String,
        other: String,
    },
    MakeDirectory {
        name: String,
    },
    RemoveDirectory {
        name: String,
    },
    Unlink {
        name: String,
    },
    /// `fdatasync` if `data_only`, else `fsync`.
    Sync {
        ino: Ino,
        data_only: bool,
    },
    /// A sync that answered with an error.
    SyncFailed {
        ino: Ino,
    },
    SyncDirectory,
    /// Another process takes over, which found the state of this number among those that the one
    /// before it may have left.
    Life {
        found: usize,
    },
    /// The process has been told that its step with this number is done.
    Ack(usize),
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Create { ino, name, .. } => write!(f, "create {name} as {ino}"),
            Op::Write {
                ino,
                offset,
                bytes,
                failed,
            } => {
                let end = offset + bytes.len() as u64;
                let failed = if *failed { ", failed" } else { "" };
                write!(f, "write {ino} {offset}..{end}{failed}")
            }
            Op::SetLen { ino, len } => write!(f, "set the length of {ino} to {len}"),
            Op::Allocate {
                ino,
                end,
                keep_size,
            } => {
                let kind = if *keep_size { "reserve" } else { "allocate" };
                write!(f, "{kind} {ino} up to {end}")
            }
            Op::SetAttributes { ino, attributes } => {
                let Attributes { mode, uid, gid } = attributes;
                write!(f, "set the attributes of {ino} to {mode:o} {uid}:{gid}")
            }
            Op::Link { ino, name } => write!(f, "link {ino} as {name}"),
            Op::Rename { from, to } => write!(f, "rename {from} to {to}"),
            Op::Exchange { one, other } => write!(f, "exchange {one} and {other}"),
            Op::MakeDirectory { name } => write!(f, "make the directory {name}"),
            Op::RemoveDirectory { name } => write!(f, "remove the directory {name}"),
            Op::Unlink { name } => write!(f, "unlink {name}"),
            Op::Sync { ino, data_only } => {
                write!(
                    f,
                    "{} {ino}",
                    if *data_only { "fdatasync" } else { "fsync" }
                )
            }
            Op::SyncFailed { ino } => write!(f, "sync {ino}, failed"),
            Op::SyncDirectory => write!(f, "fsync the directory"),
            Op::Life { found } => write!(f, "== another process, which found state {found}"),
            Op::Ack(number) => write!(f, "== acknowledged {number}"),
        }
    }
}
