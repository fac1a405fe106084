//! The four modes of `np.memmap`, and the access of a store beside others: as values, and as types
//! that a [`Store`](super::Store) carries.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};
use crate::mapping::Access;

/// The mode in which a store has its file open: those of `np.memmap`, under the same names.
///
/// ```
/// use ndstore::Mode;
/// assert_eq!("r+".parse::<Mode>()?, Mode::ReadWrite);
/// assert_eq!(Mode::CopyOnWrite.to_string(), "c");
/// # Ok::<(), ndstore::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// `r`: an existing file, for reading.
    Read,
    /// `r+`: an existing file, for reading and writing.
    ReadWrite,
    /// `w+`: a new file, which replaces an old one. The resulting store reports `r+`, as NumPy's
    /// does.
    Write,
    /// `c`: an existing file, whose changes stay in memory.
    CopyOnWrite,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Read => "r",
            Mode::ReadWrite => "r+",
            Mode::Write => "w+",
            Mode::CopyOnWrite => "c",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mode {
    type Err = Error;

    /// Reads NumPy's short and long names. Anything else (`w`, `a`, `rw`) is
    /// [`ErrorKind::InvalidMode`].
    fn from_str(text: &str) -> Result<Mode, Error> {
        match text {
            "r" | "readonly" => Ok(Mode::Read),
            "r+" | "readwrite" => Ok(Mode::ReadWrite),
            "w+" | "write" => Ok(Mode::Write),
            "c" | "copyonwrite" => Ok(Mode::CopyOnWrite),
            _ => Err(Error::pathless(
                "read a mode",
                ErrorKind::InvalidMode {
                    found: text.to_owned(),
                },
            )),
        }
    }
}

impl From<Access> for Mode {
    fn from(access: Access) -> Mode {
        match access {
            Access::ReadOnly => Mode::Read,
            Access::ReadWrite => Mode::ReadWrite,
            Access::CopyOnWrite => Mode::CopyOnWrite,
        }
    }
}

mod sealed {
    /// The part of its file that a store has. docs/locks.md has the table.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Opened {
        /// All of it, alone.
        Alone,
        /// Rows that stay as they are.
        Read,
        /// Nothing that keeps others from changing the file.
        Watch,
        /// Rows that nobody else has.
        Rows,
        /// The bytes behind the rows.
        Append,
        /// Elements that others read and write as well.
        Shared,
        /// Elements that others write.
        SharedRead,
    }

    pub trait Sealed {
        const OPENED: Opened;
    }
}

pub(crate) use sealed::Opened;

impl Opened {
    pub(crate) fn access(self) -> Access {
        match self {
            Opened::Alone | Opened::Rows | Opened::Append | Opened::Shared => Access::ReadWrite,
            Opened::Read | Opened::Watch | Opened::SharedRead => Access::ReadOnly,
        }
    }
}

/// The access that a [`Store`](super::Store) has to its file: [`ReadOnly`] or [`ReadWrite`]; or one
/// beside others, [`Rows`], [`Append`], [`Watch`], [`Shared`] or [`SharedRead`].
pub trait AccessMode: sealed::Sealed + 'static {}

/// An access with which elements can be changed: [`ReadWrite`], [`Rows`] and [`Shared`].
#[diagnostic::on_unimplemented(
    message = "a store that is open for reading cannot be written to",
    label = "this needs a store that `Store::open_rw` opened or `Store::create` made"
)]
pub trait Writable: AccessMode {}

/// An access under which no other store changes the elements: [`ReadOnly`], [`ReadWrite`] and
/// [`Rows`]. Under any other access, others can change the elements, and a reference to them would
/// be unsound.
#[diagnostic::on_unimplemented(
    message = "a store whose elements others may change cannot be mapped",
    label = "this needs a store that `Store::open`, `open_rw` or `open_rows` opened"
)]
pub trait Mappable: AccessMode {}

/// An access by which rows can be appended: [`ReadWrite`] and [`Append`].
#[diagnostic::on_unimplemented(
    message = "a store that was not opened to append cannot grow",
    label = "this needs a store that `Store::open_rw` or `Store::open_append` opened"
)]
pub trait Growable: AccessMode {}

/// An access that looks at rows to which others may add: [`ReadOnly`] and [`Watch`].
#[diagnostic::on_unimplemented(
    message = "nobody adds rows to this store but itself",
    label = "this needs a store that `Store::open` or `Store::open_watch` opened"
)]
pub trait Refreshable: AccessMode {}

macro_rules! access {
    ($($(#[$doc:meta])* $name:ident: $opened:ident, [$($trait:ident)*];)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl sealed::Sealed for $name {
            const OPENED: Opened = Opened::$opened;
        }

        impl AccessMode for $name {}

        $(impl $trait for $name {})*
    )*};
}

access! {
    /// NumPy's `r`: the file is read; other readers may have it open as well, and an appender.
    ReadOnly: Read, [Mappable Refreshable];
    /// NumPy's `r+`, and the result of `w+`: the file is read and written by this store alone.
    ReadWrite: Alone, [Mappable Growable Writable];
    /// Some rows of the file are read and written by this store alone, and others have the rest.
    Rows: Rows, [Mappable Writable];
    /// Rows are appended, while others read those that are there.
    Append: Append, [Growable];
    /// The file is read beside every opener that is not exclusive, writers of its rows included.
    Watch: Watch, [Refreshable];
    /// The file is read and written beside others who do the same, as NumPy does it.
    Shared: Shared, [Writable];
    /// The file is read beside others who write it.
    SharedRead: SharedRead, [];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_and_written_as_in_numpy() {
        for (mode, short, long) in [
            (Mode::Read, "r", "readonly"),
            (Mode::ReadWrite, "r+", "readwrite"),
            (Mode::Write, "w+", "write"),
            (Mode::CopyOnWrite, "c", "copyonwrite"),
        ] {
            assert_eq!(mode.to_string(), short);
            assert_eq!(short.parse::<Mode>().unwrap(), mode);
            assert_eq!(long.parse::<Mode>().unwrap(), mode);
        }
        for text in ["w", "a", "x", "rw", "R", "", "r ", "wr"] {
            assert!(
                matches!(text.parse::<Mode>().unwrap_err().kind(), ErrorKind::InvalidMode { found } if found == text)
            );
        }
    }
}
