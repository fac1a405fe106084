//! Protocols that are wrong, to prove that the model finds out.

/// A way in which the protocol could be wrong. The model has to find each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A publish gives up the whole tail and takes the shorter one.
    UnlockAndLockAgain,
    /// The tail loses the rows before the header that names them is on the disk.
    UnlockBeforeSync,
    /// The header names rows before they are on the disk.
    HeaderBeforeSync,
    /// The header names rows before they are written.
    HeaderBeforeRows,
    /// An appender reads the header before it has its turn.
    HeaderBeforeTurn,
    /// A reader that meets the tail is refused.
    NoClip,
    /// A reader claims nothing.
    NoClaim,
    /// A watcher believes the header.
    WatcherWithoutClip,
    /// A claim of no bytes is made, which the kernel takes for one to the end of everything.
    EmptyClaim,
    /// Who changes the structure has the shared lock and asks for more.
    UpgradedFlock,
    /// The path is not looked up again under the lock.
    NoLookAtPath,
    /// A shared writer looks for claims before it has its own.
    SharedLooksFirst,
    /// Whoever claims rows looks for shared writers before it has its claim.
    RowsLookFirst,
    /// Whoever claims rows is refused by a shared writer that is about to give way.
    NoPatience,
    /// A row writer claims what it reads, and nothing against those who write.
    ReadClaimToWrite,
}

impl Flaw {
    pub(crate) const ALL: [Flaw; 15] = [
        Flaw::UnlockAndLockAgain,
        Flaw::UnlockBeforeSync,
        Flaw::HeaderBeforeSync,
        Flaw::HeaderBeforeRows,
        Flaw::HeaderBeforeTurn,
        Flaw::NoClip,
        Flaw::NoClaim,
        Flaw::WatcherWithoutClip,
        Flaw::EmptyClaim,
        Flaw::UpgradedFlock,
        Flaw::NoLookAtPath,
        Flaw::SharedLooksFirst,
        Flaw::RowsLookFirst,
        Flaw::NoPatience,
        Flaw::ReadClaimToWrite,
    ];
}
