//! The holder of a refused lock, and the kind of that lock.

use std::fmt;

/// The holder of a refused lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockHolder {
    /// A store that this very thread opened, and would have waited for.
    ThisThread,
    /// Another store in this very process: drop or close it first.
    ThisProcess,
    /// The process with this id.
    Process(u32),
    /// The operating system does not tell.
    Unknown,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockHolder::ThisThread => f.write_str("a store that this very thread opened"),
            LockHolder::ThisProcess => f.write_str("another store in this very process"),
            LockHolder::Process(id) => write!(f, "process {id}"),
            LockHolder::Unknown => f.write_str("somebody"),
        }
    }
}

/// The way in which a refused lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockHold {
    /// By a store that reads; it excludes only writers.
    Shared,
    /// By a store that writes.
    Exclusive,
    /// By a lease, which file servers take for other machines, and give back on request.
    Lease,
    /// Not yet held: a store waits for it that came earlier.
    Waiting,
    /// By a store that reads some rows, or by a reader that has not yet noticed that it must give
    /// way.
    ReadsRows,
    /// By a store that writes some rows.
    WritesRows,
    /// By a store that appends rows.
    Appends,
    /// By a store that shares all of it with others that read and write it.
    Shares,
    /// The operating system does not tell.
    Unknown,
}

impl fmt::Display for LockHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LockHold::Shared => "has it open to read, and a writer must be alone",
            LockHold::Exclusive => "has it open to write, alone",
            LockHold::Lease => "has a lease on it, as a file server takes (Samba, NFS)",
            LockHold::Waiting => "waits for it and comes first",
            LockHold::ReadsRows => "reads some of it",
            LockHold::WritesRows => "writes some of it",
            LockHold::Appends => "appends to it",
            LockHold::Shares => "shares it with all who read and write anywhere",
            LockHold::Unknown => "has it open",
        })
    }
}
