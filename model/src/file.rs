//! What the processes share: two files, of which a path names one, and the locks on them.

/// The rows that a file can have. A claim of rows is a set of bits, as is one of the two bytes
/// above them.
pub(crate) const ROWS: usize = 4;
/// The last byte below the sentinel: who has it is the one that may publish.
pub(crate) const TURN: usize = ROWS;
pub(crate) const SENTINEL: usize = ROWS + 1;

/// The bits of rows.
pub(crate) fn rows(range: std::ops::Range<usize>) -> u8 {
    range.fold(0, |bits, row| bits | 1 << row)
}

/// Everything from a row up to the sentinel.
pub(crate) fn tail(row: usize) -> u8 {
    rows(row..SENTINEL)
}

pub(crate) const EVERYTHING: u8 = (1 << (SENTINEL + 1)) - 1;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Flock {
    #[default]
    None,
    Shared,
    Exclusive,
}

/// The locks of one open file description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Locks {
    pub(crate) flock: Flock,
    pub(crate) read: u8,
    pub(crate) write: u8,
}

impl Locks {
    /// `F_OFD_SETLK`, which changes the whole range or nothing.
    pub(crate) fn set(&mut self, bits: u8, write: bool) {
        self.read &= !bits;
        self.write &= !bits;
        match write {
            true => self.write |= bits,
            false => self.read |= bits,
        }
    }

    pub(crate) fn unset(&mut self, bits: u8) {
        self.read &= !bits;
        self.write &= !bits;
    }

    /// What stands in the way of a claim of `bits`.
    pub(crate) fn conflicts(&self, bits: u8, write: bool) -> u8 {
        bits & (self.write | if write { self.read } else { 0 })
    }
}

/// What is in the place of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Row {
    #[default]
    Nothing,
    /// Some of it was written.
    Half,
    /// The number tells one content from another.
    Whole(u8),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct File {
    pub(crate) rows: [Row; ROWS],
    /// The number of rows in the header.
    pub(crate) header: u8,
    /// How many rows, from the first, are on the disk for sure.
    pub(crate) synced_rows: u8,
    /// The number of rows that the header on the disk has at least.
    pub(crate) synced_header: u8,
    /// The most rows that anybody saw who is told that they stay.
    pub(crate) seen: u8,
}

impl File {
    pub(crate) fn with_rows(count: usize) -> File {
        let mut file = File {
            header: count as u8,
            synced_rows: count as u8,
            synced_header: count as u8,
            ..File::default()
        };
        file.rows[..count].fill(Row::Whole(0));
        file
    }
}
