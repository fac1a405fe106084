//! The four modes of `np.memmap`: as values, and as types that a [`Store`](super::Store) carries.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::mapping::Access;

/// How a store has its file open: the modes of `np.memmap`, under the same names.
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
    /// `w+`: a new file, in place of an old one. The store that comes of it reports `r+`, as
    /// NumPy's does.
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
    /// [`Error::InvalidMode`].
    fn from_str(text: &str) -> Result<Mode, Error> {
        match text {
            "r" | "readonly" => Ok(Mode::Read),
            "r+" | "readwrite" => Ok(Mode::ReadWrite),
            "w+" | "write" => Ok(Mode::Write),
            "c" | "copyonwrite" => Ok(Mode::CopyOnWrite),
            _ => Err(Error::InvalidMode {
                found: text.to_owned(),
            }),
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
    pub trait Sealed {
        const ACCESS: crate::mapping::Access;
    }
}

/// The access that a [`Store`](super::Store) has to its file: [`ReadOnly`] or [`ReadWrite`].
pub trait AccessMode: sealed::Sealed + 'static {}

/// An access with which elements can be changed: [`ReadWrite`].
#[diagnostic::on_unimplemented(
    message = "a store that is open for reading cannot be written to",
    label = "this needs a store that `Store::open_rw` opened or `Store::create` made"
)]
pub trait Writable: AccessMode {}

macro_rules! access {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl sealed::Sealed for $name {
            const ACCESS: Access = Access::$name;
        }

        impl AccessMode for $name {}
    )*};
}

access! {
    /// NumPy's `r`: the file is read; other readers may have it open as well.
    ReadOnly;
    /// NumPy's `r+`, and what `w+` gives: the file is read and written by this store alone.
    ReadWrite;
}

impl Writable for ReadWrite {}

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
                matches!(text.parse::<Mode>(), Err(Error::InvalidMode { found }) if found == text)
            );
        }
    }
}
