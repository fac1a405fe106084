//! Operands: `a.npy`, `a.npz:x`, `a.npy[10:20, -1]`, `-`. A path that exists goes before every other reading of the same bytes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser, ValueParserFactory};

/// An array that a command reads, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operand {
    /// As it was given.
    pub(crate) given: OsString,
    pub(crate) path: PathBuf,
    /// The array in an archive.
    pub(crate) member: Option<String>,
    /// What stands between the brackets.
    pub(crate) index: Option<String>,
}

impl Operand {
    pub(crate) fn parse(given: OsString) -> Operand {
        let exists = |bytes: &[u8]| {
            Path::new(OsStr::from_bytes(bytes))
                .symlink_metadata()
                .is_ok()
        };
        let bytes = given.as_bytes();
        let (mut path, mut index, mut member) = (bytes, None, None);
        if !exists(bytes) {
            if let Some(inside) = bytes.strip_suffix(b"]")
                && let Some(at) = inside.iter().rposition(|&byte| byte == b'[')
            {
                path = &bytes[..at];
                index = Some(String::from_utf8_lossy(&inside[at + 1..]).into_owned());
            }
            if !exists(path)
                && let Some(at) =
                    (0..path.len()).find(|&at| path[at] == b':' && exists(&path[..at]))
            {
                member = Some(String::from_utf8_lossy(&path[at + 1..]).into_owned());
                path = &path[..at];
            }
        }
        Operand {
            path: PathBuf::from(OsString::from_vec(path.to_vec())),
            member,
            index,
            given,
        }
    }

    /// Whether it comes by standard input.
    pub(crate) fn is_stream(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    /// For messages and tables: without control characters, whatever is in the name.
    pub(crate) fn name(&self) -> String {
        printable(&self.given)
    }
}

/// A path as text for people, on one line.
pub(crate) fn printable(path: impl AsRef<OsStr>) -> String {
    let text = path.as_ref().to_string_lossy();
    match text.chars().any(char::is_control) {
        true => format!("{text:?}"),
        false => text.into_owned(),
    }
}

impl ValueParserFactory for Operand {
    type Parser = clap::builder::MapValueParser<OsStringValueParser, fn(OsString) -> Operand>;

    fn value_parser() -> Self::Parser {
        OsStringValueParser::new().map(Operand::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_exists_goes_before_members_and_indices() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).into_os_string();
        for name in ["a.npy", "b[1].npy", "c.npz", "d:e"] {
            std::fs::write(at(name), "").unwrap();
        }
        let parsed = |name: &str| {
            let Operand {
                path,
                member,
                index,
                ..
            } = Operand::parse(at(name));
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, member.unwrap_or_default(), index.unwrap_or_default())
        };
        let is = |name: &str, member: &str, index: &str| (name.into(), member.into(), index.into());
        assert_eq!(parsed("a.npy"), is("a.npy", "", ""));
        assert_eq!(parsed("a.npy[1:, 2]"), is("a.npy", "", "1:, 2"));
        assert_eq!(parsed("b[1].npy"), is("b[1].npy", "", ""));
        assert_eq!(parsed("b[1].npy[0]"), is("b[1].npy", "", "0"));
        assert_eq!(parsed("c.npz:x"), is("c.npz", "x", ""));
        assert_eq!(parsed("c.npz:x/y:z[3:4]"), is("c.npz", "x/y:z", "3:4"));
        assert_eq!(parsed("d:e"), is("d:e", "", ""));
        assert_eq!(parsed("missing.npy[0]"), is("missing.npy", "", "0"));
    }

    #[test]
    fn names_are_one_line() {
        assert_eq!(printable("a b.npy"), "a b.npy");
        assert_eq!(printable("a\nb\u{1b}[0m"), r#""a\nb\u{1b}[0m""#);
    }
}
