//! The bytes behind an array, and whether the header marks them as unpublished rows.

/// The state of the [mark](crate::header::Mark) in the header of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Not marked yet.
    Unmarked,
    /// The disk has the mark.
    Marked,
    /// The same, and the bytes behind the array were cut off, which need not be on the disk.
    Cut,
    /// The file has no header, or one that cannot have a mark.
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
