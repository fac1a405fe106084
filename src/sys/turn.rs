//! Turns: an opener that waits for the lock of a file says so, and openers that come later give
//! way.
//!
//! `flock` itself favours readers: as long as they overlap, a writer that waits never finds the
//! file free. So whoever waits holds a lock on one byte of the file, far behind its data, whose
//! offset is the time at which the wait began. Whoever wants the file looks for such locks of an
//! earlier time. A reader gives way to writers, a writer to everybody.
//!
//! These are locks of the open file for reading (`F_OFD_SETLK`), which a descriptor of either
//! access can take and any number can hold. They guard nothing, go with their process, and where
//! they are missing the file is merely not shared fairly. Locks of other programs, which may cover
//! these bytes and more, are told by their length and left alone.
//!
//! Whoever waits for rows does the same on bytes of their own, and locks others that stand for the
//! rows: only those give way that want some of them.
//!
//! A wait must not close the file to others for as long as somebody who is already in stays there.
//! It claims its turn for a while, then leaves the file to whoever comes for as long, then claims
//! it for twice as long: a writer gets in among readers that stay for any time, and readers are
//! never kept out for longer than [`LONGEST_CLAIM`].

use std::fs::File;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use super::ranges::{self, Other};

/// The bytes of those that wait for a file, by what they want of it: first the writers, then the
/// readers. No claim on rows reaches them: those end at 2^62.
const OF_FILES: u64 = 1;

/// The same of those that wait for rows.
const OF_ROWS: u64 = 3;

/// For which rows these wait: one byte stands for so many of theirs.
const WANTED: u64 = 5;
const SCALE: u64 = 4096;

/// Behind all of these bytes. Where nobody has one of them nobody waits.
pub(crate) const TURNS_END: u64 = ranges::SENTINEL + (7 << 56);

/// How long a wait claims its turn, at first and at most.
const FIRST_CLAIM: Duration = Duration::from_millis(250);
const LONGEST_CLAIM: Duration = Duration::from_secs(4);

/// The place of one opener among those that want a file.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    file: &'a File,
    writer: bool,
    /// The bytes of the rows that it wants, if not the file.
    rows: Option<Range<u64>>,
    /// When it came, in microseconds of the system's clock, which all processes share.
    came: u64,
    /// There once it waits.
    claim: Option<Claim>,
}

/// The claim of an opener that waits.
#[derive(Debug)]
struct Claim {
    /// Whether others see it now.
    made: bool,
    until: Instant,
    length: Duration,
}

impl<'a> Turn<'a> {
    pub(super) fn new(file: &'a File, writer: bool) -> Turn<'a> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let came = now.unwrap_or_default().as_micros() as u64;
        Turn::at(file, writer, came)
    }

    /// The place of one among those that want rows. It knows which when it has
    /// [looked](Turn::want) at the file, and until then wants none.
    pub(crate) fn of_rows(file: &'a File, writer: bool) -> Turn<'a> {
        let mut turn = Turn::new(file, writer);
        turn.rows = Some(0..0);
        turn
    }

    /// Says which bytes are wanted. What was said first counts.
    pub(crate) fn want(&mut self, bytes: Range<u64>) {
        if self.rows == Some(0..0) {
            self.rows = Some(bytes);
        }
    }

    fn at(file: &'a File, writer: bool, came: u64) -> Turn<'a> {
        Turn {
            file,
            writer,
            rows: None,
            came: came % (1 << 56),
            claim: None,
        }
    }

    /// Whether nobody who came earlier waits for the file, or for one of these rows, and stands in
    /// the way. Of two others that wait, one for other rows and one that came later, it cannot tell
    /// that they are two; then it gives way until their claims end.
    pub(crate) fn has_come(&self) -> bool {
        let waits = |writer| {
            let first = self.first_byte(writer);
            is_claimed(self.file, first..first + self.came)
                && self.wanted(writer).is_none_or(|bytes| {
                    let found = ranges::in_the_way(self.file, ranges::Claim::Write, &bytes);
                    let found = found.ok().flatten();
                    found.is_some_and(|other| other.range.start > ranges::SENTINEL)
                })
        };
        !(waits(true) || self.writer && waits(false))
    }

    /// The first of the bytes of writers, or of readers, that wait for what this one wants.
    fn first_byte(&self, writer: bool) -> u64 {
        let place = match self.rows {
            Some(_) => OF_ROWS,
            None => OF_FILES,
        };
        ranges::SENTINEL + ((place + u64::from(!writer)) << 56)
    }

    /// The bytes that stand for the rows, of writers or of readers.
    fn wanted(&self, writer: bool) -> Option<Range<u64>> {
        let first = ranges::SENTINEL + ((WANTED + u64::from(!writer)) << 56);
        let Range { start, end } = self.rows.clone()?;
        Some(first + start / SCALE..first + end.div_ceil(SCALE))
    }

    /// Takes note that the opener waits on: begins or ends its claim, if it is time to.
    pub(crate) fn wait(&mut self) {
        let now = Instant::now();
        let next = match &self.claim {
            Some(claim) if now < claim.until => return,
            Some(Claim {
                made: true, length, ..
            }) => (false, *length),
            Some(Claim { length, .. }) => (true, (2 * *length).min(LONGEST_CLAIM)),
            None => (true, FIRST_CLAIM),
        };
        let (made, length) = next;
        self.set(made);
        self.claim = Some(Claim {
            made,
            until: now + length,
            length,
        });
    }

    fn set(&self, claimed: bool) {
        let byte = self.first_byte(self.writer) + self.came;
        set_claim(self.file, byte..byte + 1, claimed);
        if let Some(bytes) = self.wanted(self.writer) {
            set_claim(self.file, bytes, claimed);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.claim.as_ref().is_some_and(|claim| claim.made) {
            self.set(false);
        }
    }
}

/// Whether somebody else claims one of these bytes, and no more than it.
fn is_claimed(file: &File, bytes: Range<u64>) -> bool {
    let found = ranges::in_the_way(file, ranges::Claim::Write, &bytes);
    let found = found.ok().flatten();
    found.is_some_and(|Other { range, .. }| {
        bytes.contains(&range.start) && range.end - range.start == 1
    })
}

/// Claims bytes, or gives them back. Does nothing where `flock` is made of such locks: a claim would
/// be as good as the lock.
fn set_claim(file: &File, bytes: Range<u64>, claimed: bool) {
    if ranges::emulate_flock(file) {
        return;
    }
    let _ = match claimed {
        true => ranges::claim(file, ranges::Claim::Read, &bytes).map(drop),
        false => ranges::release(file, &bytes),
    };
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use super::*;

    /// As many open files of one file.
    fn opened<const N: usize>() -> (tempfile::NamedTempFile, [File; N]) {
        let named = tempfile::NamedTempFile::new().unwrap();
        let files = [(); N].map(|()| File::open(named.path()).unwrap());
        (named, files)
    }

    #[test]
    fn readers_give_way_to_earlier_writers_and_writers_to_everybody_who_came_earlier() {
        let (_named, [waiting, coming]) = opened();
        for waits_to_write in [false, true] {
            let mut turn = Turn::at(&waiting, waits_to_write, 1000);
            assert!(turn.has_come());
            turn.wait();
            assert!(turn.has_come(), "nobody gives way to itself");
            for (writer, came) in [(false, 999), (false, 1001), (true, 999), (true, 1001)] {
                let gives_way = came > 1000 && (writer || waits_to_write);
                let other = Turn::at(&coming, writer, came);
                assert_eq!(other.has_come(), !gives_way, "{writer} {came}");
            }
            drop(turn);
            assert!(Turn::at(&coming, true, 1001).has_come());
        }
    }

    #[test]
    fn a_wait_claims_its_turn_ever_longer_and_leaves_the_file_to_others_in_between() {
        let (_named, [waiting, coming]) = opened();
        let mut turn = Turn::at(&waiting, true, 1000);
        let mut expected = FIRST_CLAIM;
        for _ in 0..8 {
            for made in [true, false] {
                turn.wait();
                assert_eq!(Turn::at(&coming, false, 1001).has_come(), !made);
                let claim = turn.claim.as_mut().unwrap();
                assert_eq!((claim.made, claim.length), (made, expected));
                turn.wait();
                let claim = turn.claim.as_mut().unwrap();
                assert_eq!(claim.made, made, "before its end");
                claim.until = Instant::now();
            }
            expected = (2 * expected).min(LONGEST_CLAIM);
        }
        assert_eq!(expected, LONGEST_CLAIM);
    }

    #[test]
    fn those_give_way_that_came_later_and_want_some_of_the_same_rows() {
        let (_named, [waiting, coming]) = opened();
        let of_rows = |file, writer, came, rows| {
            let mut turn = Turn::at(file, writer, came);
            turn.rows = Some(rows);
            turn
        };
        for waits_to_write in [false, true] {
            let mut turn = of_rows(&waiting, waits_to_write, 1000, 4096..20_000);
            turn.wait();
            assert!(turn.has_come(), "nobody gives way to itself");
            let rows = [0..4000, 0..4104, 19_992..30_000, 40_960..50_000, 0..1 << 62];
            for (rows, overlaps) in rows.into_iter().zip([false, true, true, false, true]) {
                for (writer, came) in [(false, 999), (false, 1001), (true, 999), (true, 1001)] {
                    let gives_way = overlaps && came > 1000 && (writer || waits_to_write);
                    let other = of_rows(&coming, writer, came, rows.clone());
                    assert_eq!(other.has_come(), !gives_way, "{rows:?} {writer} {came}");
                }
            }
            assert!(
                Turn::at(&coming, true, 1001).has_come(),
                "it wants the file"
            );
            drop(turn);
            assert!(of_rows(&coming, true, 1001, 4096..20_000).has_come());
        }
    }

    #[test]
    fn locks_of_other_programs_on_all_bytes_are_no_claims() {
        let (_named, [foreign, coming]) = opened();
        assert!(ranges::claim(&foreign, ranges::Claim::Read, &(0..i64::MAX as u64)).unwrap());
        assert!(Turn::at(&coming, true, 1001).has_come());
    }
}
