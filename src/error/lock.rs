//! Who has a lock that was refused, and how.

use std::fmt;

/// Who holds a lock that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockHolder {
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
            LockHolder::ThisProcess => f.write_str("another store in this very process"),
            LockHolder::Process(id) => write!(f, "process {id}"),
            LockHolder::Unknown => f.write_str("somebody"),
        }
    }
}

/// How a lock that was refused is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockHold {
    /// By a store that reads, in the way of writers alone.
    Shared,
    /// By a store that writes.
    Exclusive,
    /// By a lease, as file servers take on behalf of other machines, and give back when they are
    /// asked to.
    Lease,
    /// Not yet: by a store that began to wait for it earlier.
    Waiting,
    /// By a store that reads some rows, or by a reader that has yet to see that it must make way.
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
