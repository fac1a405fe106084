//! What each opener claims, and how it comes to the array: the steps of docs/locks.md, in their
//! order.
//!
//! All that is decided here is who may be beside whom. Files, locks and waiting are below, in
//! `sys`; a claim goes with the open file.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use super::array::Array;
use super::lock::lock_remedy;
use super::mode::Opened;
use crate::error::{Context, Error, ErrorKind, LockHold, LockHolder, Result};
use crate::mapping::Access;
use crate::sys::ranges::{self, Claim, Other, SENTINEL, TURN};
use crate::sys::{self, FileId, LockedFile, Patience, Pauses, TURNS_END, Turn};

/// How long somebody that is about to make way is waited for.
const MAKING_WAY: Duration = Duration::from_millis(10);

/// What shared writers claim.
const SHARED: Range<u64> = SENTINEL..SENTINEL + 1;

/// The claim that stands in the way.
#[derive(Debug)]
pub(super) struct Refused {
    /// `None` of one that waits for the same rows and came earlier.
    other: Option<Other>,
    /// Where the rows are, to tell which of them are claimed.
    array: Option<Array>,
}

impl Refused {
    /// Whether this thread would wait for a claim that it has itself, for ever.
    fn is_own(&self, file: &File, patience: Patience) -> bool {
        let other = self.other.as_ref();
        matches!(patience, Patience::Forever)
            && other.is_some_and(|other| sys::claims_some(file, &other.range))
    }
}

/// An open file whose structure is locked, and what it is opened for.
pub(super) struct Claims<'a> {
    pub(super) context: Context<'a>,
    pub(super) file: &'a File,
    pub(super) opened: Opened,
    /// The rows that are claimed, if not all of them.
    pub(super) rows: Option<Range<usize>>,
}

impl Claims<'_> {
    /// Makes sure that claims hold on this file, where more than one reader or writer may be at
    /// work by their grace alone.
    pub(super) fn check_support(&self, path: &Path) -> Result<()> {
        if matches!(self.opened, Opened::Alone | Opened::Read) && self.rows.is_none()
            || self.opened == Opened::Watch
        {
            return Ok(());
        }
        let works = || {
            let again = sys::open_file(path, false)?;
            let id = |file: &File| file.metadata().map(|metadata| FileId::of(&metadata));
            match id(&again)? == id(self.file)? {
                true => {
                    let is_writable = self.opened.access() == Access::ReadWrite;
                    ranges::work(self.file, &again, is_writable)
                }
                // It was moved away this very moment: whatever is there has the same file system.
                false => Ok(!ranges::emulate_flock(self.file)),
            }
        };
        let unsupported = |cause| {
            self.context.fail(ErrorKind::LockUnsupported {
                what: "locks on parts of a file",
                remedy: "open it alone, with `Store::open_rw`",
                cause,
            })
        };
        match works() {
            Ok(true) => Ok(()),
            Ok(false) => Err(unsupported(std::io::ErrorKind::Unsupported.into())),
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
                Err(unsupported(error))
            }
            Err(error) => Err(self.context.step("lock").io(error)),
        }
    }

    /// Claims what the opener needs, waits for it as long as there is patience, and returns the
    /// array that it may see. `read` reads the header. `None` takes no claim: the caller answers
    /// for that.
    pub(super) fn take(
        &self,
        patience: Option<Patience>,
        read: impl Fn() -> Result<Array>,
    ) -> Result<Array> {
        let Some(patience) = patience else {
            return self.asked_for(read()?);
        };
        let keeps_readers_out = matches!(
            self.opened,
            Opened::Rows | Opened::Append | Opened::Shared | Opened::SharedRead
        );
        let mut turn = Turn::of_rows(self.file, keeps_readers_out);
        match self.opened {
            Opened::Append => turn.want(TURN..SENTINEL),
            Opened::Shared | Opened::SharedRead => turn.want(0..SENTINEL),
            // The header tells where the rows are.
            _ => {}
        }
        let mut pauses = Pauses::new(patience);
        loop {
            let refused = match self.claim(&read, &mut turn)? {
                Ok(array) => return Ok(array),
                Err(refused) => refused,
            };
            let is_own = refused.is_own(self.file, patience);
            let Some(pause) = pauses.next().filter(|_| !is_own) else {
                return Err(self.refusal(refused, is_own));
            };
            turn.wait();
            std::thread::sleep(pause);
        }
    }

    /// Claims what the opener needs. After a refusal nothing is claimed.
    fn claim(
        &self,
        read: impl Fn() -> Result<Array>,
        turn: &mut Turn<'_>,
    ) -> Result<std::result::Result<Array, Refused>> {
        let claimed = match self.opened {
            Opened::Alone => self.be_alone(read),
            Opened::Watch => read().and_then(|array| Ok(Ok(self.clip(array)?))),
            Opened::Read | Opened::Rows => self.claim_rows(read, turn),
            Opened::Append => self.claim_tail(read, turn),
            Opened::Shared | Opened::SharedRead => self.share(read, turn),
        };
        if !matches!(claimed, Ok(Ok(_))) {
            self.release();
        }
        claimed
    }

    /// The rows of the array that are opened.
    fn asked_for(&self, mut array: Array) -> Result<Array> {
        if let Some(rows) = &self.rows {
            array.keep_rows(self.context, rows.clone())?;
        }
        Ok(array)
    }

    fn be_alone(
        &self,
        read: impl Fn() -> Result<Array>,
    ) -> Result<std::result::Result<Array, Refused>> {
        // The exclusive `flock` keeps everybody out; this one is for systems on which one of the
        // two is known to this machine alone.
        let everything = 0..SHARED.end;
        let claimed = ranges::claim(self.file, Claim::Write, &everything);
        if let Ok(false) = claimed
            && let Some(other) = self.in_the_way(Claim::Write, &everything)?
        {
            return Ok(Err(Refused {
                other: Some(other),
                array: None,
            }));
        }
        read().map(Ok)
    }

    /// The rows that are published: those up to the tail. A header is written before it is synced,
    /// and the tail given up only then.
    fn clip(&self, mut array: Array) -> Result<Array> {
        match tail(self.file) {
            Ok(Some(tail)) => array.clip(tail.range.start),
            Ok(None) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(error) => return Err(self.context.step("lock").io(error)),
        }
        Ok(array)
    }

    /// Claims the rows of a reader or of a row writer.
    fn claim_rows(
        &self,
        read: impl Fn() -> Result<Array>,
        turn: &mut Turn<'_>,
    ) -> Result<std::result::Result<Array, Refused>> {
        let claim = match self.opened {
            Opened::Rows => Claim::Write,
            _ => Claim::Read,
        };
        let whole = read()?;
        let mut array = self.asked_for(whole.clone())?;
        turn.want(array.extent());
        loop {
            match self.claim_bytes(claim, array.extent())? {
                None => return self.check_others(array, turn),
                Some(other) if other.is_tail() && self.rows.is_none() => {
                    // They were published a moment ago, and their sync is under way.
                    array.clip(other.range.start);
                }
                Some(other) => {
                    // The rows are counted from the first of all.
                    let array = Some(whole);
                    return Ok(Err(Refused {
                        other: Some(other),
                        array,
                    }));
                }
            }
        }
    }

    /// Gives way to those who share the file, and to those who wait for the same rows and came
    /// earlier. The rows are claimed.
    fn check_others(
        &self,
        array: Array,
        turn: &Turn<'_>,
    ) -> Result<std::result::Result<Array, Refused>> {
        // One look tells of both, and mostly there is nobody.
        if self
            .in_the_way(Claim::Write, &(SENTINEL..TURNS_END))?
            .is_none()
        {
            return Ok(Ok(array));
        }
        let other = self.shared_in_the_way()?;
        Ok(match other.is_none() && turn.has_come() {
            true => Ok(array),
            false => Err(Refused { other, array: None }),
        })
    }

    /// Claims the tail of an appender.
    fn claim_tail(
        &self,
        read: impl Fn() -> Result<Array>,
        turn: &Turn<'_>,
    ) -> Result<std::result::Result<Array, Refused>> {
        // Before the header is read: nobody publishes from here on.
        if let Some(other) = self.claim_bytes(Claim::Write, TURN..SENTINEL)? {
            let array = read().ok();
            return Ok(Err(Refused {
                other: Some(other),
                array,
            }));
        }
        let array = read()?;
        if let Some(other) = self.claim_bytes(Claim::Write, array.extent().end..SENTINEL)? {
            let array = Some(array);
            return Ok(Err(Refused {
                other: Some(other),
                array,
            }));
        }
        self.check_others(array, turn)
    }

    /// Claims what shared readers and writers do. They make way for everybody who claims rows.
    fn share(
        &self,
        read: impl Fn() -> Result<Array>,
        turn: &Turn<'_>,
    ) -> Result<std::result::Result<Array, Refused>> {
        if let Some(other) = self.claim_bytes(Claim::Read, SHARED)? {
            return Ok(Err(Refused {
                other: Some(other),
                array: None,
            }));
        }
        if let Some(other) = self.in_the_way(Claim::Write, &(0..SENTINEL))? {
            self.release();
            let array = read().ok();
            return Ok(Err(Refused {
                other: Some(other),
                array,
            }));
        }
        if !turn.has_come() {
            return Ok(Err(Refused {
                other: None,
                array: None,
            }));
        }
        read().map(Ok)
    }

    /// A shared writer that stays. One that is about to make way is waited for.
    fn shared_in_the_way(&self) -> Result<Option<Other>> {
        let until = Instant::now() + MAKING_WAY;
        loop {
            match self.in_the_way(Claim::Write, &SHARED)? {
                Some(_) if Instant::now() < until => std::thread::sleep(MAKING_WAY / 20),
                found => return Ok(found),
            }
        }
    }

    /// Claims rows behind those that a reader has: all, or a part of them. Returns the array with
    /// the rows that it has then. `tail` is that of the appender, if it was looked at: what lay
    /// before it then is published for good.
    pub(super) fn claim_more(
        &self,
        old: &Array,
        mut new: Array,
        tail: Option<&Other>,
    ) -> Result<std::result::Result<Array, Refused>> {
        match tail {
            Some(tail) => new.clip(tail.range.start),
            None => new = self.clip(new)?,
        }
        if self.opened == Opened::Watch {
            return Ok(Ok(new));
        }
        while new.extent().end > old.extent().end {
            let more = old.extent().end..new.extent().end;
            let Some(other) = self.claim_bytes(Claim::Read, more.clone())? else {
                // Every shared writer saw a reader who had rows; one who had none, nobody did.
                if old.extent().is_empty()
                    && let Some(other) = self.shared_in_the_way()?
                {
                    let _ = ranges::release(self.file, &more);
                    return Ok(Err(Refused {
                        other: Some(other),
                        array: None,
                    }));
                }
                return Ok(Ok(new));
            };
            // A prefix is as good: whoever writes the rows behind it need not be waited for.
            new.clip(other.range.start.max(old.extent().end));
        }
        Ok(Ok(new))
    }

    /// Claims these bytes, or says who is in the way.
    fn claim_bytes(&self, claim: Claim, bytes: Range<u64>) -> Result<Option<Other>> {
        if bytes.end > SENTINEL + 1 {
            return Err(self.context.fail(ErrorKind::FileTooLarge {
                needed: bytes.end,
                limit: Some(TURN),
            }));
        }
        loop {
            match ranges::claim(self.file, claim, &bytes) {
                Ok(true) => return Ok(None),
                Ok(false) => {}
                // Then nobody can claim to write, and the readers are safe.
                Err(error)
                    if error.kind() == std::io::ErrorKind::Unsupported && claim == Claim::Read =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(self.context.step("lock").io(error)),
            }
            // It may be gone by now.
            if let Some(other) = self.in_the_way(claim, &bytes)? {
                return Ok(Some(other));
            }
        }
    }

    fn in_the_way(&self, claim: Claim, bytes: &Range<u64>) -> Result<Option<Other>> {
        match ranges::in_the_way(self.file, claim, bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => Ok(None),
            found => found.map_err(|error| self.context.step("lock").io(error)),
        }
    }

    fn release(&self) {
        let _ = ranges::release(self.file, &(0..SHARED.end));
    }

    /// Says who is in the way.
    pub(super) fn refusal(&self, refused: Refused, is_own: bool) -> Error {
        let Refused { other, array } = refused;
        let Some(other) = other else {
            let (holder, hold) = (LockHolder::Unknown, LockHold::Waiting);
            return self.context.fail(ErrorKind::Locked {
                exclusive: false,
                holder,
                hold,
                rows: None,
                remedy: lock_remedy(holder, hold),
            });
        };
        let holder = match is_own {
            true => LockHolder::ThisThread,
            false => ranges::holder(self.file, &other),
        };
        let hold = match other.claim {
            _ if other.range.contains(&SENTINEL) && other.range.start == SENTINEL => {
                LockHold::Shares
            }
            Claim::Write if other.is_tail() => LockHold::Appends,
            Claim::Write => LockHold::WritesRows,
            Claim::Read => LockHold::ReadsRows,
        };
        self.context.fail(ErrorKind::Locked {
            exclusive: matches!(self.opened, Opened::Alone),
            holder,
            hold,
            rows: array
                .and_then(|array| array.rows_at(&other.range))
                .map(|rows| match other.is_tail() {
                    true => rows.start..usize::MAX,
                    false => rows,
                }),
            remedy: lock_remedy(holder, hold),
        })
    }
}

/// The bytes that stand for what an opener has claimed. They do not change while it is open.
pub(super) fn claimed(opened: Opened, array: &Array) -> Option<Range<u64>> {
    match opened {
        Opened::Read | Opened::Rows => Some(array.extent()),
        Opened::Append => Some(TURN..SENTINEL),
        Opened::Shared | Opened::SharedRead => Some(SHARED),
        Opened::Alone | Opened::Watch => None,
    }
}

/// Turns the claims of who is alone into those of a shared writer, and never has none.
pub(super) fn share(context: Context<'_>, file: &LockedFile) -> Result<()> {
    let failed = |error: std::io::Error| context.step("lock").io(error);
    // The ranges first: `flock` does not change at one blow, and meanwhile the sentinel keeps out
    // whoever wants to be alone.
    if !ranges::claim(file.file(), Claim::Read, &SHARED).map_err(failed)? {
        return Err(failed(std::io::ErrorKind::WouldBlock.into()));
    }
    ranges::release(file.file(), &(0..SENTINEL)).map_err(failed)?;
    // Somebody who gets it in between gives it back on seeing the sentinel.
    file.share(Patience::Forever).map_err(failed).map(drop)
}

/// Makes sure that nobody writes to a file while it is replaced and others read it: as a reader of
/// all rows, for as long as the file is open.
pub(super) fn keep_unwritten(context: Context<'_>, file: &File, patience: Patience) -> Result<()> {
    let claims = Claims {
        context,
        file,
        opened: Opened::Read,
        rows: None,
    };
    let mut pauses = Pauses::new(patience);
    loop {
        let other = match claims.claim_bytes(Claim::Read, 0..SENTINEL)? {
            Some(other) => other,
            None => match claims.shared_in_the_way()? {
                Some(other) => other,
                None => return Ok(()),
            },
        };
        claims.release();
        let other = Some(other);
        let refused = Refused { other, array: None };
        let is_own = refused.is_own(file, patience);
        let Some(pause) = pauses.next().filter(|_| !is_own) else {
            return Err(claims.refusal(refused, is_own));
        };
        std::thread::sleep(pause);
    }
}

/// Leaves these bytes to be read by whoever had the file alone, and everything else to others.
pub(super) fn keep_to_read(file: &File, rows: &Range<u64>) {
    // A conversion to less than there was cannot be refused. Where there are no such locks there is
    // nothing to give up.
    let _ = ranges::claim(file, Claim::Read, rows);
    let _ = ranges::release(file, &(0..rows.start));
    let _ = ranges::release(file, &(rows.end.max(rows.start)..SHARED.end));
}

/// The tail of whoever appends to the file now.
pub(super) fn tail(file: &File) -> std::io::Result<Option<Other>> {
    // Of all claims this one alone reaches so far.
    ranges::in_the_way(file, Claim::Read, &(TURN..SENTINEL))
}
