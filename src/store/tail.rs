//! What a store knows of the bytes behind its array: whether the header says whose they are.

/// What a store has done about the [mark](crate::header::Mark) of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing yet.
    Unmarked,
    /// The disk has the mark.
    Marked,
    /// The same, and what stood behind the array was cut off, which the disk need not know.
    Cut,
    /// There is no header, or none that can have a mark.
    Unmarkable,
}

impl Tail {
    /// Notes that the file was made shorter.
    pub(super) fn note_cut(&mut self) {
        if *self == Tail::Marked {
            *self = Tail::Cut;
        }
    }

    /// Notes that the disk knows the length of the file.
    pub(super) fn note_sync(&mut self) {
        if *self == Tail::Cut {
            *self = Tail::Marked;
        }
    }
}
