//! Writes dtypes as NumPy writes them: descrs and names, with Python's `repr` for strings and
//! tuples.

use std::fmt::{self, Debug, Display, Formatter, Write};

use super::{DType, Field, Kind, Repr, TimeUnit};

impl DType {
    /// Returns the descr: NumPy's `dtype.str` such as `<f8`, or the list of fields of a record as
    /// NumPy writes it.
    ///
    /// Gaps stand in the list as `('', '|V3')`. A sub-array of sub-arrays is written as one.
    pub fn descr(&self) -> String {
        self.to_string()
    }

    /// Returns NumPy's `dtype.name`, such as `float64`, `bytes40` (bits), `datetime64[ns]`, or
    /// `void32` for a record.
    ///
    /// The name states neither byte order nor fields; [`descr`](DType::descr) does.
    pub fn name(&self) -> String {
        let word = self.kind().word();
        match &self.0 {
            Repr::Plain {
                kind: Kind::Bool, ..
            } => word.to_owned(),
            Repr::Time { unit, multiple, .. } => format!("{word}{}", Multiple(*unit, *multiple)),
            Repr::Plain { .. } | Repr::Record(_) => match self.itemsize() as u64 * 8 {
                0 => word.to_owned(),
                bits => format!("{word}{bits}"),
            },
        }
    }

    /// The descr as a Python literal: a type string stands in quotes, a list does not.
    pub(crate) fn literal(&self) -> DescrLiteral<'_> {
        DescrLiteral(self)
    }
}

impl Display for DType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Plain {
                kind,
                order,
                itemsize,
            } => {
                let size = if *kind == Kind::Text {
                    itemsize / 4
                } else {
                    *itemsize
                };
                write!(f, "{}{}{size}", order.char(), kind.letter())
            }
            Repr::Time {
                kind,
                order,
                unit,
                multiple,
            } => write!(
                f,
                "{}{}8{}",
                order.char(),
                kind.letter(),
                Multiple(*unit, *multiple)
            ),
            Repr::Record(record) => {
                let mut separator = "[";
                let mut end = 0;
                for field in &record.fields {
                    if field.offset() > end {
                        write!(f, "{separator}{}", Gap(field.offset() - end))?;
                        separator = ", ";
                    }
                    write!(f, "{separator}{}", Entry(field))?;
                    separator = ", ";
                    end = field.offset() + field.itemsize();
                }
                if record.itemsize > end {
                    write!(f, "{separator}{}", Gap(record.itemsize - end))?;
                    separator = ", ";
                }
                f.write_str(if separator == "[" { "[]" } else { "]" })
            }
        }
    }
}

impl Debug for DType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "DType({})", self.literal())
    }
}

/// See [`DType::literal`].
pub(crate) struct DescrLiteral<'a>(&'a DType);

impl Display for DescrLiteral<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.fields() {
            Some(_) => write!(f, "{}", self.0),
            None => write!(f, "'{}'", self.0),
        }
    }
}

/// A tuple of integers as Python writes it: `()`, `(3,)`, `(2, 3)`.
pub(crate) struct Tuple<'a, T>(pub(crate) &'a [T]);

impl<T: Display> Display for Tuple<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("()"),
            [only] => write!(f, "({only},)"),
            [first, others @ ..] => {
                write!(f, "({first}")?;
                others.iter().try_for_each(|item| write!(f, ", {item}"))?;
                f.write_str(")")
            }
        }
    }
}

/// The unit of a date in its brackets, or nothing for a bare count.
struct Multiple(TimeUnit, u32);

impl Display for Multiple {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Multiple(TimeUnit::Generic, _) => Ok(()),
            Multiple(unit, 1) => write!(f, "[{}]", unit.symbol()),
            Multiple(unit, multiple) => write!(f, "[{multiple}{}]", unit.symbol()),
        }
    }
}

/// The entry of a descr that stands for a gap of some bytes.
struct Gap(usize);

impl Display for Gap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "('', '|V{}')", self.0)
    }
}

/// The entry of a descr that stands for a field.
struct Entry<'a>(&'a Field);

impl Display for Entry<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Entry(field) = self;
        match field.title() {
            Some(title) => write!(f, "(({}, {}), ", Quoted(title), Quoted(field.name()))?,
            None => write!(f, "({}, ", Quoted(field.name()))?,
        }
        write!(f, "{}", field.dtype().literal())?;
        if !field.shape().is_empty() {
            write!(f, ", {}", Tuple(field.shape()))?;
        }
        f.write_str(")")
    }
}

/// A string as Python's `repr` writes it.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains('\'') && !self.0.contains('"') {
            '"'
        } else {
            '\''
        };
        f.write_char(quote)?;
        for char in self.0.chars() {
            match char {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\\' => f.write_str("\\\\")?,
                _ if char == quote => write!(f, "\\{char}")?,
                ' '..='~' => f.write_char(char)?,
                _ if is_printable(char) => f.write_char(char)?,
                '\0'..='\u{ff}' => write!(f, "\\x{:02x}", u32::from(char))?,
                '\u{100}'..='\u{ffff}' => write!(f, "\\u{:04x}", u32::from(char))?,
                _ => write!(f, "\\U{:08x}", u32::from(char))?,
            }
        }
        f.write_char(quote)
    }
}

/// Python's `str.isprintable` of one character, except for differences between versions of Unicode.
///
/// Both Python and Rust's `escape_debug` escape the categories `C*` and `Z*` except for the space.
/// Rust also escapes a combining mark at the start of a string, so a letter is put in front.
fn is_printable(char: char) -> bool {
    let text = String::from_iter(['a', char]);
    text.escape_debug().eq(text.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_numpy() {
        for (descr, name) in [
            ("|b1", "bool"),
            ("|u1", "uint8"),
            (">f8", "float64"),
            ("<f16", "float128"),
            ("<c8", "complex64"),
            ("|S5", "bytes40"),
            ("|S0", "bytes"),
            ("<U3", "str96"),
            ("<U0", "str"),
            ("|V7", "void56"),
            ("|V2147483647", "void17179869176"),
            (">M8[25s]", "datetime64[25s]"),
            ("<m8", "timedelta64"),
            ("[('a', '<i4')]", "void32"),
            ("[]", "void"),
        ] {
            let dtype = DType::parse(descr).unwrap();
            assert_eq!(dtype.name(), name);
            assert_eq!(dtype.descr(), descr);
        }
    }

    #[test]
    fn debug_shows_the_descr() {
        assert_eq!(format!("{:?}", DType::bytes(5)), "DType('|S5')");
        assert_eq!(format!("{:?}", DType::parse("[]").unwrap()), "DType([])");
    }

    #[test]
    fn strings_are_quoted_as_python_quotes_them() {
        for (string, quoted) in [
            ("", "''"),
            ("it's", "\"it's\""),
            ("\"", "'\"'"),
            ("'\"", "'\\'\"'"),
            ("a\\b\n\r\t\0\x7f", "'a\\\\b\\n\\r\\t\\x00\\x7f'"),
            ("é数😀", "'é数😀'"),
            (
                "\u{a0}\u{ad}\u{2028}\u{e000}\u{10ffff}",
                "'\\xa0\\xad\\u2028\\ue000\\U0010ffff'",
            ),
            ("\u{301}e\u{301}", "'\u{301}e\u{301}'"),
        ] {
            assert_eq!(Quoted(string).to_string(), quoted);
        }
    }

    #[test]
    fn tuples_are_written_as_python_writes_them() {
        assert_eq!(Tuple::<u64>(&[]).to_string(), "()");
        assert_eq!(Tuple(&[3]).to_string(), "(3,)");
        assert_eq!(Tuple(&[2, 3, 4]).to_string(), "(2, 3, 4)");
    }
}
