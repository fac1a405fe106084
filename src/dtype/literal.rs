//! Reads the Python literals that headers and descrs are made of.
//!
//! The grammar is as much of Python's as anything that writes headers uses: strings as `repr`
//! spells them, also with the prefix `u`; decimal integers, bools, `None`, tuples and lists. NumPy
//! reads more that only a hand writes, and all of that is refused: raw and adjacent strings, other
//! escapes, radix prefixes and underscores, comments and line continuations. The depth of recursion
//! is bounded, and the length of the text bounds the memory.

use std::borrow::Cow;

/// How deep brackets may nest. CPython allows 200, one of which is the brace of the header.
const MAX_DEPTH: usize = 199;

/// The most characters that an error shows of a word that is not a literal.
const MAX_FOUND: usize = 24;

/// A Python literal. Strings without escapes borrow from the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Literal<'a> {
    Str(Cow<'a, str>),
    /// `None` stands for an integer outside `i64`.
    Int(Option<i64>),
    Bool(bool),
    None,
    Tuple(Vec<Literal<'a>>),
    List(Vec<Literal<'a>>),
}

impl Literal<'_> {
    /// The kind of the literal, for messages.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Str(_) => "a string",
            Self::Int(_) => "an integer",
            Self::Bool(_) => "a bool",
            Self::None => "None",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
        }
    }
}

/// Where the text breaks the grammar, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// The offset in the text, in bytes.
    pub(crate) at: usize,
    pub(crate) reason: &'static str,
    /// The word, number or other character there; `None` at the end of the text.
    pub(crate) found: Option<String>,
}

type Result<T> = std::result::Result<T, SyntaxError>;

/// A cursor over the text of a literal.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Whether integers may end with the `L` that Python 2 wrote.
    long_suffix: bool,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `text`.
    pub(crate) fn new(text: &'a str, long_suffix: bool) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            long_suffix,
        }
    }

    /// The byte at which the next token starts.
    pub(crate) fn next_at(&mut self) -> usize {
        self.skip_blanks();
        self.at
    }

    /// Takes `byte` if it is the next token.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes `byte`, or fails for `reason`.
    pub(crate) fn expect(&mut self, byte: u8, reason: &'static str) -> Result<()> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(self.error(reason))
        }
    }

    /// Fails if anything but blanks is left.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.skip_blanks();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("expected nothing more")),
        }
    }

    /// Reads the next literal.
    pub(crate) fn literal(&mut self) -> Result<Literal<'a>> {
        self.skip_blanks();
        if let Some(prefix) = self.string_prefix() {
            return Ok(Literal::Str(self.string(prefix)?));
        }
        match self.peek() {
            Some(b'(') => {
                let (mut items, comma) = self.items(b')', "expected a comma or ')'")?;
                // Without a comma the parentheses only group.
                match items.pop() {
                    Some(only) if items.is_empty() && !comma => Ok(only),
                    last => {
                        items.extend(last);
                        Ok(Literal::Tuple(items))
                    }
                }
            }
            Some(b'[') => Ok(Literal::List(
                self.items(b']', "expected a comma or ']'")?.0,
            )),
            Some(b'0'..=b'9' | b'+' | b'-') => Ok(Literal::Int(self.int()?)),
            _ => self.word(),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn error(&self, reason: &'static str) -> SyntaxError {
        self.error_at(self.at, reason)
    }

    fn error_at(&self, at: usize, reason: &'static str) -> SyntaxError {
        let rest = self.text.get(at..).unwrap_or_default();
        let is_end = |char: char| !char.is_ascii_alphanumeric() && char != '.' && char != '_';
        let word = rest.find(is_end).unwrap_or(rest.len()).min(MAX_FOUND);
        let found = match word {
            0 => rest.chars().next().map(String::from),
            word => Some(rest[..word].to_owned()),
        };
        SyntaxError { at, reason, found }
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | b'\x0c') = self.peek() {
            self.at += 1;
        }
    }

    /// Reads the items from the next bracket up to `close`, and says whether there was a comma.
    fn items(&mut self, close: u8, reason: &'static str) -> Result<(Vec<Literal<'a>>, bool)> {
        if self.depth == MAX_DEPTH {
            return Err(self.error("expected at most 200 nested brackets"));
        }
        self.depth += 1;
        self.at += 1;
        let mut items = Vec::new();
        let mut comma = false;
        while !self.eat(close) {
            items.push(self.literal()?);
            if !self.eat(b',') {
                self.expect(close, reason)?;
                break;
            }
            comma = true;
        }
        self.depth -= 1;
        Ok((items, comma))
    }

    fn word(&mut self) -> Result<Literal<'a>> {
        let rest = self.rest();
        let ends = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'_';
        let word = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
        let literal = match word {
            b"True" => Literal::Bool(true),
            b"False" => Literal::Bool(false),
            b"None" => Literal::None,
            _ => return Err(self.error("expected a string, integer, bool, tuple or list")),
        };
        self.at += word.len();
        Ok(literal)
    }

    /// Reads an integer. Only one sign may stand before it, as in `literal_eval`.
    fn int(&mut self) -> Result<Option<i64>> {
        const INTEGER: &str = "expected an integer";
        let negative = self.peek() == Some(b'-');
        if negative || self.peek() == Some(b'+') {
            self.at += 1;
            self.skip_blanks();
        }
        let start = self.at;
        let mut value = Some(0_u64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            self.at += 1;
            value = value
                .and_then(|value| value.checked_mul(10))
                .and_then(|value| value.checked_add((digit - b'0').into()));
        }
        if self.at == start {
            return Err(self.error(INTEGER));
        }
        if self.text.as_bytes()[start] == b'0' && value != Some(0) {
            return Err(self.error_at(start, "expected an integer without leading zeros"));
        }
        if self.long_suffix {
            let end = self.at;
            self.skip_blanks();
            match self.peek() {
                Some(b'L') => self.at += 1,
                _ => self.at = end,
            }
        }
        match self.peek() {
            Some(byte) if byte == b'.' || byte == b'_' || byte.is_ascii_alphanumeric() => {
                Err(self.error_at(start, INTEGER))
            }
            _ if negative => Ok(value.and_then(|value| 0_i64.checked_sub_unsigned(value))),
            _ => Ok(value.and_then(|value| i64::try_from(value).ok())),
        }
    }

    /// The length of the prefix of the string that starts here; `None` if no string does.
    fn string_prefix(&self) -> Option<usize> {
        match self.rest() {
            [b'\'' | b'"', ..] => Some(0),
            [b'u', b'\'' | b'"', ..] => Some(1),
            _ => None,
        }
    }

    /// Reads the string that starts here, behind its prefix.
    fn string(&mut self, prefix: usize) -> Result<Cow<'a, str>> {
        self.at += prefix;
        let quote = self.text.as_bytes()[self.at];
        if self.rest().starts_with(&[quote; 3]) {
            return Err(self.error("expected a string in single quotes or double quotes"));
        }
        self.at += 1;
        let mut start = self.at;
        let mut decoded = String::new();
        loop {
            let special =
                |byte: &u8| *byte == quote || matches!(byte, b'\\' | b'\n' | b'\r' | b'\0');
            let rest = self.rest();
            self.at += rest.iter().position(special).unwrap_or(rest.len());
            match self.rest() {
                [byte, ..] if *byte == quote => {
                    let tail = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(if decoded.is_empty() {
                        Cow::Borrowed(tail)
                    } else {
                        decoded.push_str(tail);
                        Cow::Owned(decoded)
                    });
                }
                [b'\\', ..] => {
                    decoded.push_str(&self.text[start..self.at]);
                    self.at += 1;
                    decoded.push(self.escape()?);
                    start = self.at;
                }
                _ => return Err(self.error("expected the quote that ends the string")),
            }
        }
    }

    /// Reads the rest of an escape, behind its backslash.
    fn escape(&mut self) -> Result<char> {
        let char = match self.peek() {
            Some(quoted @ (b'\\' | b'\'' | b'"')) => char::from(quoted),
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'x') => return self.code_point(2),
            Some(b'u') => return self.code_point(4),
            Some(b'U') => return self.code_point(8),
            _ => return Err(self.error("expected an escape as `repr` writes it")),
        };
        self.at += 1;
        Ok(char)
    }

    /// Reads the character that `count` hexadecimal digits give, behind the letter before them.
    fn code_point(&mut self, count: usize) -> Result<char> {
        let digits = self.text.get(self.at + 1..self.at + 1 + count);
        // `from_str_radix` takes a sign, which is not a digit.
        let char = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32);
        let Some(char) = char else {
            return Err(self.error("expected the digits of a Unicode scalar value"));
        };
        self.at += 1 + count;
        Ok(char)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Literal<'_>> {
        let mut reader = Reader::new(text, false);
        let literal = reader.literal()?;
        reader.end()?;
        Ok(literal)
    }

    fn string(text: &str) -> String {
        match read(text) {
            Ok(Literal::Str(string)) => string.into_owned(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn reads_strings_as_python_does() {
        assert_eq!(string("'a'"), "a");
        assert_eq!(string("''"), "");
        assert_eq!(string("u'a'"), "a");
        assert_eq!(string("\"it's\""), "it's");
        assert_eq!(
            string(r"'\\ \' \q'".replace(r"\q", "\\\"").as_str()),
            "\\ ' \""
        );
        assert_eq!(string(r"'\n\r\t'"), "\n\r\t");
        assert_eq!(string(r"'\x3ci4\u00e9\U0001F600'"), "<i4é😀");
        assert_eq!(string("'é数'"), "é数");
    }

    #[test]
    fn reads_integers_as_python_does() {
        for (text, value) in [
            ("0", 0),
            ("00", 0),
            ("17", 17),
            ("+ 1", 1),
            ("-9223372036854775808", i64::MIN),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(read(text), Ok(Literal::Int(Some(value))), "{text}");
        }
        for text in [
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999999",
        ] {
            assert_eq!(read(text), Ok(Literal::Int(None)), "{text}");
        }
    }

    #[test]
    fn reads_the_long_suffix_only_where_it_is_allowed() {
        for text in ["2L", "2 L"] {
            assert_eq!(
                Reader::new(text, true).literal(),
                Ok(Literal::Int(Some(2))),
                "{text}"
            );
            assert!(read(text).is_err(), "{text}");
        }
        assert!(Reader::new("2LL", true).literal().is_err());
        assert!(Reader::new("2l", true).literal().is_err());
    }

    #[test]
    fn reads_brackets_as_python_does() {
        let one = || Literal::Int(Some(1));
        assert_eq!(read("()"), Ok(Literal::Tuple(vec![])));
        assert_eq!(read("(1)"), Ok(one()));
        assert_eq!(read("((1,))"), Ok(Literal::Tuple(vec![one()])));
        assert_eq!(read("[ (1) , 1, ]"), Ok(Literal::List(vec![one(), one()])));
        assert_eq!(
            read("(True,None)"),
            Ok(Literal::Tuple(vec![Literal::Bool(true), Literal::None]))
        );
    }

    #[test]
    fn refuses_what_is_no_literal_here() {
        for text in [
            "",
            "(",
            "(1",
            "(,)",
            "(1,,)",
            "(1 2)",
            "(1]",
            "true",
            "Truex",
            "01",
            "0_1",
            "1_",
            "1__0",
            "_1",
            "0x2",
            "0b1",
            "0_0",
            "1_000",
            "1.0",
            "1.",
            ".5",
            "1e5",
            "1j",
            "--1",
            "+",
            "-True",
            "1+1",
            "'a",
            "'a\n'",
            "'a\"",
            "'''a'''",
            "''''",
            "b'a'",
            "f'a'",
            "r'a'",
            "U'a'",
            "ur'a'",
            "'a' 'b'",
            r"'\a'",
            r"'\q'",
            r"'\0'",
            r"'\101'",
            "'a\\\nb'",
            r"'\x3'",
            r"'\x+3'",
            r"'\xé'",
            r"'\u00e'",
            r"'\ud800'",
            r"'\U00110000'",
            r"'\N{DIGIT ONE}'",
            "{}",
            "{1: 2}",
            "1 # one",
            "1 \\\n",
            "'\0'",
            "\u{a0}1",
            "1;",
            "é",
        ] {
            assert!(read(text).is_err(), "{text:?}: {:?}", read(text));
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        let error = read(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!((error.at, error.found.as_deref()), (MAX_DEPTH, Some("[")));
        assert!(read(&"(".repeat(1_000_000)).is_err());
    }
}
