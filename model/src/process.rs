//! What each opener does, step by step, as docs/locks.md says it: one step is one system call, or
//! several that nobody else could tell from one.

use std::ops::Range;

use crate::file::{EVERYTHING, File, Flock, Locks, ROWS, Row, SENTINEL, TURN, rows, tail};
use crate::flaw::Flaw;

/// Who opens the file, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Publishes so many rows.
    Appender(u8),
    /// Sees the rows, and so many times looks for new ones.
    Reader(u8),
    Watcher,
    RowWriter(Range<usize>),
    Shared,
    /// Puts a new file in the place of the old one.
    Replacer,
    /// Changes elements, and cuts rows off.
    Changer,
    /// Takes no lock.
    NumPy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Open,
    Flock,
    LookAtPath,
    Turn,
    ReadHeader,
    Claim,
    Relock,
    Look,
    Cut,
    WriteHalf,
    WriteWhole,
    Sync,
    Header,
    SyncHeader,
    Unlock,
    View,
    Replace,
    Close,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) kind: Kind,
    pub(crate) step: Step,
    /// The file that it has open.
    pub(crate) file: usize,
    pub(crate) locks: Locks,
    /// The rows that it knows of.
    pub(crate) known: usize,
    /// The rows that it was told will not change, and that it looks at.
    pub(crate) viewed: usize,
    /// How often it publishes, or looks for new rows, from now on.
    pub(crate) left: u8,
    /// It has all its claims, and found nobody in the way.
    pub(crate) is_settled: bool,
}

impl Process {
    pub(crate) fn new(kind: Kind) -> Process {
        let left = match kind {
            Kind::Appender(times) | Kind::Reader(times) => times,
            _ => 0,
        };
        Process {
            kind,
            step: Step::Open,
            file: 0,
            locks: Locks::default(),
            known: 0,
            viewed: 0,
            left,
            is_settled: false,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.step, Step::Open | Step::Done)
    }

    /// The kernel takes back what the process had.
    pub(crate) fn end(&mut self) {
        *self = Process {
            step: Step::Done,
            ..Process::new(self.kind.clone())
        };
        self.left = 0;
    }

    fn is_alone(&self) -> bool {
        matches!(self.kind, Kind::Replacer | Kind::Changer)
    }

    /// The rows whose elements it may change.
    fn written(&self) -> Range<usize> {
        match &self.kind {
            Kind::Appender(_) => self.known..ROWS,
            Kind::RowWriter(range) => range.clone(),
            Kind::Shared | Kind::Changer => 0..ROWS,
            _ => 0..0,
        }
    }

    /// Whether the two can never have the file at the same time, as the table in docs/locks.md
    /// says.
    fn excludes(&self, other: &Process) -> bool {
        use Kind::*;
        let overlap = |a: &Range<usize>, b: &Range<usize>| a.start.max(b.start) < a.end.min(b.end);
        let excluded = |one: &Process, two: &Process| match (&one.kind, &two.kind) {
            (NumPy, _) => false,
            (Replacer | Changer, _) => true,
            (Appender(_), Appender(_)) => true,
            (Shared, Appender(_) | Reader(_) | RowWriter(_)) => true,
            (RowWriter(a), RowWriter(b)) => overlap(a, b),
            (RowWriter(a), Reader(_)) => overlap(a, &(0..two.known)),
            // Rows that are not published yet are the appender's.
            (RowWriter(a), Appender(_)) => overlap(a, &two.written()),
            _ => false,
        };
        self.is_open()
            && other.is_open()
            && self.file == other.file
            && (excluded(self, other) || excluded(other, self))
    }
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) files: [File; 2],
    /// The file that the path names.
    pub(crate) path: usize,
    pub(crate) processes: Vec<Process>,
    pub(crate) kills: u8,
    /// Somebody was killed between writing a header and syncing it.
    pub(crate) is_orphaned: bool,
}

/// A promise that was broken.
pub(crate) type Broken = String;

/// What comes of a step.
pub(crate) enum Next {
    To(State),
    /// The process waits for another one.
    Waits,
}

impl State {
    pub(crate) fn new(rows: usize, kinds: &[Kind], kills: u8) -> State {
        State {
            files: [File::with_rows(rows), File::with_rows(1)],
            path: 0,
            processes: kinds.iter().cloned().map(Process::new).collect(),
            kills,
            is_orphaned: false,
        }
    }

    /// The others that have the same file open.
    fn others(&self, at: usize) -> impl Iterator<Item = &Process> {
        let file = self.processes[at].file;
        let is_other = move |(index, process): &(usize, &Process)| {
            *index != at && process.is_open() && process.file == file
        };
        self.processes
            .iter()
            .enumerate()
            .filter(is_other)
            .map(|(_, process)| process)
    }

    /// Kills a process.
    pub(crate) fn kill(&self, at: usize) -> State {
        let mut next = self.clone();
        next.kills -= 1;
        let File {
            header,
            synced_header,
            ..
        } = next.files[next.processes[at].file];
        next.is_orphaned |= header > synced_header;
        // Elements that change in place are old ones and new ones then: there are no transactions
        // over them. An append is one.
        let (published, file) = (usize::from(header), next.processes[at].file);
        let halves = next.files[file].rows[..published].iter_mut();
        if !matches!(next.processes[at].kind, Kind::Appender(_)) {
            halves
                .filter(|row| **row == Row::Half)
                .for_each(|row| *row = Row::Whole(u8::MAX));
        }
        next.processes[at].end();
        next
    }

    /// Lets a process make its next step.
    pub(crate) fn step(&self, at: usize, flaw: Option<Flaw>) -> Result<Next, Broken> {
        let has = |this: Flaw| flaw == Some(this);
        let others: Vec<Process> = self.others(at).cloned().collect();
        let mut me = self.processes[at].clone();
        let (file, kind) = (me.file, me.kind.clone());
        let mut content = self.files[file].clone();
        let mut path = self.path;
        let stay = |me: Process| {
            let mut next = self.clone();
            next.processes[at] = me;
            Ok(Next::To(next))
        };
        me.step = match me.step {
            Step::Open => {
                me.file = self.path;
                match kind {
                    Kind::NumPy => Step::ReadHeader,
                    _ => Step::Flock,
                }
            }
            Step::Flock => {
                let exclusive = me.is_alone();
                let in_the_way = |other: &Process| match exclusive {
                    true => other.locks.flock != Flock::None,
                    false => other.locks.flock == Flock::Exclusive,
                };
                if has(Flaw::UpgradedFlock) && exclusive && me.locks.flock == Flock::None {
                    if others
                        .iter()
                        .any(|other| other.locks.flock == Flock::Exclusive)
                    {
                        return self.refuse(at, "flock");
                    }
                    me.locks.flock = Flock::Shared;
                    return stay(me);
                }
                if others.iter().any(in_the_way) {
                    if has(Flaw::UpgradedFlock) && exclusive {
                        // The shared lock is gone, and it reads on as if it were not.
                        me.locks.flock = Flock::None;
                        me.known = self.files[file].header.into();
                        me.viewed = me.known;
                        me.step = Step::Close;
                        return stay(me);
                    }
                    return self.refuse(at, "flock");
                }
                me.locks.flock = if exclusive {
                    Flock::Exclusive
                } else {
                    Flock::Shared
                };
                Step::LookAtPath
            }
            Step::LookAtPath if file != self.path && !has(Flaw::NoLookAtPath) => {
                me.locks = Locks::default();
                Step::Open
            }
            Step::LookAtPath => match kind {
                Kind::Appender(_) if has(Flaw::HeaderBeforeTurn) => Step::ReadHeader,
                Kind::Appender(_) => Step::Turn,
                Kind::Shared if has(Flaw::SharedLooksFirst) => Step::Look,
                Kind::Shared | Kind::Replacer | Kind::Changer => Step::Claim,
                _ => Step::ReadHeader,
            },
            Step::Turn => {
                if others
                    .iter()
                    .any(|other| other.locks.conflicts(rows(TURN..TURN + 1), true) != 0)
                {
                    return self.refuse(at, "the turn");
                }
                me.locks.set(rows(TURN..TURN + 1), true);
                match flaw {
                    Some(Flaw::HeaderBeforeTurn) => Step::Claim,
                    _ => Step::ReadHeader,
                }
            }
            Step::ReadHeader => {
                me.known = self.files[file].header.into();
                match &kind {
                    Kind::Appender(_) if has(Flaw::HeaderBeforeTurn) => Step::Turn,
                    Kind::RowWriter(range) if range.end > me.known => {
                        return self.refuse(at, "the header");
                    }
                    Kind::Watcher if has(Flaw::WatcherWithoutClip) => Step::View,
                    Kind::Reader(_) if has(Flaw::NoClaim) => Step::View,
                    Kind::Reader(_) | Kind::RowWriter(_) if has(Flaw::RowsLookFirst) => Step::Look,
                    Kind::NumPy => Step::View,
                    _ => Step::Claim,
                }
            }
            Step::Claim => {
                let (bits, write) = match &kind {
                    Kind::Appender(_) => (tail(me.known), true),
                    Kind::Reader(_) => (rows(me.viewed..me.known), false),
                    Kind::Watcher => (rows(0..me.known), false),
                    Kind::RowWriter(range) => (rows(range.clone()), !has(Flaw::ReadClaimToWrite)),
                    Kind::Shared => (rows(SENTINEL..SENTINEL + 1), false),
                    Kind::Replacer | Kind::Changer => (EVERYTHING, true),
                    Kind::NumPy => unreachable!(),
                };
                let bits = match bits {
                    0 if has(Flaw::EmptyClaim) => EVERYTHING & !rows(0..me.known),
                    bits => bits,
                };
                let conflict = |other: &Process| other.locks.conflicts(bits, write);
                // Which of several locks the kernel names is up to it; the result is the same.
                if let Some(other) = others.iter().find(|other| conflict(other) != 0) {
                    let is_tail = other.locks.write & rows(TURN..TURN + 1) != 0;
                    let first = conflict(other).trailing_zeros() as usize;
                    let clips = match kind {
                        Kind::Reader(_) => is_tail && !has(Flaw::NoClip) || me.viewed > 0,
                        // It claims nothing, it only asks where the tail begins.
                        Kind::Watcher => true,
                        _ => false,
                    };
                    match clips {
                        true if is_tail || matches!(kind, Kind::Reader(_)) => {
                            me.known = first;
                            return stay(me);
                        }
                        true => {}
                        false => return self.refuse(at, "a claim"),
                    }
                }
                if kind != Kind::Watcher {
                    me.locks.set(bits, write);
                }
                match kind {
                    Kind::Watcher => Step::View,
                    Kind::Replacer => Step::Replace,
                    Kind::Changer => Step::WriteHalf,
                    Kind::Reader(_) | Kind::RowWriter(_) if has(Flaw::RowsLookFirst) => Step::View,
                    Kind::Shared if has(Flaw::SharedLooksFirst) => Step::View,
                    // Every shared writer saw a reader who had rows.
                    Kind::Reader(_) if me.viewed > 0 => Step::View,
                    _ => Step::Look,
                }
            }
            Step::Look => {
                let wanted = match kind {
                    Kind::Shared => rows(0..SENTINEL),
                    _ => rows(SENTINEL..SENTINEL + 1),
                };
                let mut found = others
                    .iter()
                    .filter(|other| other.locks.conflicts(wanted, true) != 0);
                let (found, any_settled) =
                    (found.clone().next(), found.any(|other| other.is_settled));
                match (found, &kind) {
                    (Some(_), Kind::Shared) => return self.refuse(at, "a claim"),
                    (Some(_), _) if !any_settled && !has(Flaw::NoPatience) => {
                        return Ok(Next::Waits);
                    }
                    (Some(_), _) => return self.refuse(at, "a shared writer"),
                    (None, Kind::Appender(_)) => Step::Cut,
                    (None, Kind::Reader(_) | Kind::RowWriter(_)) if has(Flaw::RowsLookFirst) => {
                        Step::Claim
                    }
                    (None, Kind::Shared) if has(Flaw::SharedLooksFirst) => Step::Claim,
                    (None, _) => Step::View,
                }
            }
            Step::Cut => {
                let known = me.known;
                if let Some(row) = (known..ROWS).find(|&row| is_viewed(&others, row)) {
                    return Err(format!("row {row} is cut off under a view"));
                }
                if known < self.files[file].header.into() {
                    return Err(format!("published rows are cut off from {known}"));
                }
                content.rows[known..].fill(Row::Nothing);
                match has(Flaw::HeaderBeforeRows) {
                    true => Step::Header,
                    false => {
                        me.is_settled = true;
                        Step::WriteHalf
                    }
                }
            }
            Step::WriteHalf => {
                me.is_settled = true;
                self.write(&mut content, at, &others, Row::Half)?;
                Step::WriteWhole
            }
            Step::WriteWhole => {
                let number = at as u8 + 1;
                self.write(&mut content, at, &others, Row::Whole(number))?;
                match kind {
                    Kind::Appender(_) if has(Flaw::HeaderBeforeSync) => Step::Header,
                    Kind::Appender(_) if has(Flaw::HeaderBeforeRows) => Step::Unlock,
                    Kind::Appender(_) => Step::Sync,
                    Kind::Changer => Step::Header,
                    _ => Step::Close,
                }
            }
            Step::Sync => {
                content.synced_rows = content.synced_rows.max(me.known as u8 + 1);
                Step::Header
            }
            Step::Header => match kind {
                Kind::Changer => {
                    // Who is alone may make the array shorter. It syncs before anybody is let in.
                    let shorter = &mut content;
                    shorter.header = 1;
                    shorter.rows[1..].fill(Row::Nothing);
                    (shorter.synced_rows, shorter.synced_header, shorter.seen) = (1, 1, 0);
                    Step::Close
                }
                _ => {
                    content.header = me.known as u8 + 1;
                    match flaw {
                        Some(Flaw::UnlockBeforeSync) => Step::Unlock,
                        Some(Flaw::HeaderBeforeRows) => Step::WriteHalf,
                        _ => Step::SyncHeader,
                    }
                }
            },
            Step::SyncHeader => {
                let synced = &mut content;
                synced.synced_header = synced.header;
                // The sync is of the whole file.
                synced.synced_rows = synced.synced_rows.max(synced.header);
                if has(Flaw::UnlockBeforeSync) {
                    after_publish(&mut me)
                } else {
                    Step::Unlock
                }
            }
            Step::Unlock => match flaw {
                Some(Flaw::UnlockAndLockAgain) => {
                    me.locks.unset(tail(0));
                    Step::Relock
                }
                Some(Flaw::UnlockBeforeSync) => {
                    me.locks.unset(rows(me.known..me.known + 1));
                    Step::SyncHeader
                }
                _ => {
                    me.locks.unset(rows(me.known..me.known + 1));
                    after_publish(&mut me)
                }
            },
            Step::Relock => {
                let bits = tail(me.known + 1);
                if others
                    .iter()
                    .any(|other| other.locks.conflicts(bits, true) != 0)
                {
                    return Err("an appender lost its tail".into());
                }
                me.locks.set(bits, true);
                after_publish(&mut me)
            }
            Step::View => {
                me.is_settled = true;
                let known = me.known;
                match kind {
                    Kind::RowWriter(ref range) if !range.is_empty() => Step::WriteHalf,
                    Kind::RowWriter(_) => Step::Close,
                    Kind::Shared => Step::WriteHalf,
                    _ => {
                        if self.path == file && known < me.viewed {
                            return Err("the rows became fewer".into());
                        }
                        let torn = |row: &usize| {
                            let may_be_torn = kind == Kind::Watcher || kind == Kind::NumPy;
                            let is_written = others.iter().any(|other| {
                                may_be_torn
                                    && !matches!(other.kind, Kind::Appender(_))
                                    && other.written().contains(row)
                            });
                            !is_written && !matches!(self.files[file].rows[*row], Row::Whole(_))
                        };
                        if let Some(row) = (0..known).find(torn) {
                            return Err(format!("row {row} is seen and not whole"));
                        }
                        let is_told = matches!(kind, Kind::Reader(_) | Kind::Watcher);
                        if is_told {
                            let seen = &mut content.seen;
                            *seen = (*seen).max(known as u8);
                        }
                        if matches!(kind, Kind::Reader(_)) {
                            me.viewed = known;
                        }
                        match me.left {
                            0 => Step::Close,
                            _ => {
                                me.left -= 1;
                                Step::ReadHeader
                            }
                        }
                    }
                }
            }
            Step::Replace => {
                path = 1;
                Step::Close
            }
            Step::Close => {
                me.end();
                Step::Done
            }
            Step::Done => unreachable!(),
        };
        let mut next = self.clone();
        next.processes[at] = me;
        next.files[file] = content;
        next.path = path;
        next.check(at, file)?;
        Ok(Next::To(next))
    }

    /// Writes the rows that a process is there to write.
    fn write(
        &self,
        content: &mut File,
        at: usize,
        others: &[Process],
        row: Row,
    ) -> Result<(), Broken> {
        let me = &self.processes[at];
        let range = match &me.kind {
            Kind::Appender(_) => me.known..me.known + 1,
            Kind::RowWriter(range) => range.clone(),
            _ => 0..1,
        };
        for index in range {
            if is_viewed(others, index) {
                return Err(format!("row {index} changes under a view"));
            }
            let writes = |other: &&Process| {
                other.is_settled && other.written().contains(&index) && other.kind != Kind::Shared
            };
            if let Some(other) = others.iter().find(writes) {
                return Err(format!(
                    "row {index} is written by two, and one is {:?}",
                    other.kind
                ));
            }
            let published = index < usize::from(self.files[me.file].header);
            if published && matches!(me.kind, Kind::Appender(_)) && row == Row::Half {
                return Err(format!(
                    "an appender writes over row {index}, which is published"
                ));
            }
            content.rows[index] = row;
        }
        Ok(())
    }

    /// What holds at every moment.
    fn check(&self, at: usize, file: usize) -> Result<(), Broken> {
        let process = &self.processes[at];
        if process.is_settled && process.kind != Kind::NumPy && process.step != Step::Done {
            let named = self.path == process.file || process.kind == Kind::Replacer;
            if !named {
                return Err(format!("{:?} works at a file without a name", process.kind));
            }
        }
        let File {
            header,
            synced_rows,
            synced_header,
            seen,
            ..
        } = self.files[file];
        if header > synced_rows {
            return Err("a header names rows that a power cut would lose".into());
        }
        if seen > synced_header && !self.is_orphaned {
            return Err("rows were seen that a power cut would lose".into());
        }
        Ok(())
    }

    /// Ends the attempt of a process, which is right only if it and somebody else exclude each
    /// other.
    fn refuse(&self, at: usize, by: &str) -> Result<Next, Broken> {
        let me = &self.processes[at];
        let out_of_bounds = |range: &Range<usize>| range.end > self.files[me.file].header.into();
        let is_out = matches!(&me.kind, Kind::RowWriter(range) if out_of_bounds(range));
        if !is_out && !self.others(at).any(|other| me.excludes(other)) {
            return Err(format!(
                "{:?} is refused because of {by}, and nobody is in its way",
                me.kind
            ));
        }
        // Those whom it met make way themselves: then neither would have the file.
        let is_shared = |other: &&Process| other.kind == Kind::Shared;
        if by == "a shared writer"
            && !self
                .others(at)
                .filter(is_shared)
                .any(|other| other.is_settled)
        {
            return Err(format!(
                "{:?} is refused because of one that makes way",
                me.kind
            ));
        }
        let mut next = self.clone();
        next.processes[at].end();
        Ok(Next::To(next))
    }
}

fn is_viewed(others: &[Process], row: usize) -> bool {
    others.iter().any(|other| row < other.viewed)
}

/// The row is published: on to the next one.
fn after_publish(me: &mut Process) -> Step {
    me.known += 1;
    me.left -= 1;
    match me.left > 0 && me.known < ROWS {
        true => Step::WriteHalf,
        false => Step::Close,
    }
}
