//! The texts in the code that say what is wrong and what to do about it, found by how they stand
//! there.
//!
//! Such a text stands in the `#[error(..)]` of a kind, where something is called `remedy` or
//! `reason`, or has a clause behind a semicolon or a name in backticks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// All of them, with their placeholders.
pub(super) fn all() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    visit(&source, &mut |code| found.extend(texts(code)));
    found
}

/// Passes on what is in each file before its tests.
fn visit(directory: &Path, each: &mut impl FnMut(&str)) {
    /// Hints of the compiler and tests.
    const OTHERS: [&str; 3] = ["mode.rs", "strategy.rs", "tests.rs"];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, each);
        } else if !OTHERS.contains(&path.file_name().unwrap().to_str().unwrap()) {
            let text = fs::read_to_string(&path).unwrap();
            each(text.split("#[cfg(test)]\nmod tests").next().unwrap());
        }
    }
}

/// What the bytes at a place in the code are.
enum Token<'a> {
    Comment(&'a str),
    Text(&'a str),
    Word(&'a str),
    Other(&'a str),
}

impl<'a> Token<'a> {
    fn first(code: &'a str) -> Token<'a> {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let word = code.find(|c| !is_word(c)).unwrap_or(code.len());
        if code.starts_with("//") {
            Token::Comment(&code[..code.find('\n').unwrap_or(code.len())])
        } else if code.starts_with('"') {
            Token::Text(&code[..end_of_quote(code)])
        } else if let Some(rest) = code.strip_prefix('\'') {
            // A character, or the first half of a lifetime.
            let char = rest.chars().next().map_or(0, char::len_utf8);
            match rest.starts_with('\\') || rest[char..].starts_with('\'') {
                true => Token::Other(&code[..end_of_quote(code)]),
                false => Token::Other("'"),
            }
        } else if word > 0 {
            Token::Word(&code[..word])
        } else {
            Token::Other(&code[..code.chars().next().map_or(0, char::len_utf8)])
        }
    }

    fn len(&self) -> usize {
        let (Token::Comment(code) | Token::Text(code) | Token::Word(code) | Token::Other(code)) =
            self;
        code.len()
    }
}

/// Where a literal ends that starts with its quote.
fn end_of_quote(code: &str) -> usize {
    let bytes = code.as_bytes();
    let mut at = 1;
    while bytes[at] != bytes[0] {
        at += 1 + usize::from(bytes[at] == b'\\');
    }
    at + 1
}

/// How many brackets are open since a place begins in which all texts are meant.
#[derive(Default)]
struct Inside(Option<i32>);

impl Inside {
    fn pass(&mut self, token: &str, rest: &str) {
        let Some(depth) = &mut self.0 else {
            return;
        };
        match token {
            "(" | "[" | "{" => *depth += 1,
            ")" | "]" | "}" => *depth -= 1,
            "," | ";" if *depth == 0 => self.0 = None,
            _ => {}
        }
        self.0 = match (self.0, token) {
            // `let (what, remedy) = ..`
            (Some(-1), ")") => Some(0),
            (Some(..0), _) => None,
            (Some(0), "}") if !rest.trim_start().starts_with("else") => None,
            (depth, _) => depth,
        };
    }
}

/// The texts in a piece of code.
fn texts(code: &str) -> Vec<String> {
    /// What stands before a text that is for whoever changes the code.
    const INTERNAL: [&str; 4] = ["expect(", "panic!(", "assert!(", "must_use = "];
    let mut found = Vec::new();
    let (mut meant, mut error) = (Inside::default(), Inside::default());
    let mut at = 0;
    while at < code.len() {
        let token = Token::first(&code[at..]);
        let rest = &code[at + token.len()..];
        match token {
            Token::Comment(_) => {}
            Token::Word(word) if word.contains("remedy") || word == "reason" => {
                // `#[expect(lint, reason = "..")]` is for whoever changes the code.
                let is_internal = rest.starts_with(" = ") && !code[..at].ends_with("let ");
                meant = Inside((!is_internal).then_some(0));
            }
            Token::Word("error") if code[..at].ends_with("#[") => error = Inside(Some(0)),
            Token::Word(_) => {}
            Token::Other(other) => {
                meant.pass(other, rest);
                error.pass(other, rest);
            }
            Token::Text(quoted) => {
                let text = joined(&quoted[1..quoted.len() - 1]);
                let before = code[..at].trim_end();
                let is_internal = INTERNAL.iter().any(|end| before.ends_with(end.trim_end()));
                // What a parser expected is said by the refusal around it.
                let is_meant = meant.0.is_some() && !text.starts_with("expected ")
                    || error.0.is_some()
                    || text.contains("; ")
                    || text.contains('`') && !text.starts_with("expected ");
                if text.contains(' ') && is_meant && !is_internal {
                    found.push(text);
                }
            }
        }
        at += token.len();
    }
    found
}

/// A literal as it reads: without the ends of its lines, and with its quotes.
fn joined(literal: &str) -> String {
    let mut lines = literal.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines
        .fold(first, |text, line| text + line.trim_start())
        .replace("\\\"", "\"")
}

/// Whether a message has this text, whatever stands in the places of its values.
pub(super) fn is_said(text: &str, message: &str) -> bool {
    let mut rest = message;
    fixed(text).iter().all(|part| {
        let at = rest.find(part.as_str());
        at.inspect(|at| rest = &rest[at + part.len()..]).is_some()
    })
}

/// What of a text is always the same.
fn fixed(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                parts.last_mut().unwrap().push(c);
            }
            '{' => {
                chars.by_ref().find(|&c| c == '}');
                parts.push(String::new());
            }
            _ => parts.last_mut().unwrap().push(c),
        }
    }
    parts
}

#[test]
fn texts_are_found_wherever_they_stand() {
    let code = r#"
        // remedy: "not in a comment"
        #[error("{what} is gone; {remedy}")]
        Gone { remedy: &'static str },
        #[error("never mind")]
        fn lock_remedy(hold: Hold) -> &'static str {
            match hold { Hold::A => "close it first", Hold::B => { "give it \
                back" } }
        }
        let (what, remedy) = if c { ("it", "make the thing") } else { ("a quote", '"') };
        fail("open the", Kind { remedy: "take the other", cause })
        reason: "expected a comma",
        #[expect(lint, reason = "for a reason")]
        let reason = "no such axis";
        refuse("none; say `x`").expect("in `code`; for us")
    "#;
    let expected = [
        "{what} is gone; {remedy}",
        "never mind",
        "close it first",
        "give it back",
        "make the thing",
        "a quote",
        "take the other",
        "no such axis",
        "none; say `x`",
    ];
    assert_eq!(texts(code), expected);
    assert!(is_said("{a} is {{b}}; {c:?}", "it is {b}; x"));
    assert!(!is_said("{a} is b; {c}", "b is it; c"));
}
