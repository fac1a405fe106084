//! Sizes and counts, as people write and read them.

use std::fmt::Write;

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// `1.9 GiB`.
pub(crate) fn human(nbytes: u64) -> String {
    let mut unit = 0;
    let mut value = nbytes as f64;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{nbytes} B"),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

/// `1.9 GiB (2,000,000,128 bytes)`, and below 1 KiB `24 bytes`.
pub(crate) fn exact(nbytes: u64) -> String {
    match nbytes {
        1 => "1 byte".into(),
        ..1024 => format!("{nbytes} bytes"),
        _ => format!("{} ({} bytes)", human(nbytes), count(nbytes)),
    }
}

/// `2,000,000,128`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2,000 rows`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", count(number)),
    }
}

/// A shape as NumPy writes it: `(3, 4)`, `(3,)`, `()`.
pub(crate) fn shape(shape: &[usize]) -> String {
    let mut text = String::from("(");
    for (axis, len) in shape.iter().enumerate() {
        let separator = if axis > 0 { ", " } else { "" };
        let _ = write!(text, "{separator}{len}");
    }
    text.push_str(if shape.len() == 1 { ",)" } else { ")" });
    text
}

/// Reads `512M`, `1.5GiB`, `4096`: K, M, G, T are powers of 1024, KB, MB, GB, TB of 1000.
pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    let refused = || format!("{text:?} is no size; write 512M, 2G or 4096");
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let suffix = text[digits.len()..].to_ascii_lowercase();
    let (letter, base) = match suffix.as_bytes() {
        [] | [b'b'] => (b' ', 1024_f64),
        [letter] | [letter, b'i', b'b'] => (*letter, 1024.0),
        [letter, b'b'] => (*letter, 1000.0),
        _ => return Err(refused()),
    };
    let power = b" kmgt".iter().position(|&unit| unit == letter);
    let power = power.ok_or_else(refused)? as i32;
    let number: f64 = digits.trim().parse().map_err(|_| refused())?;
    match number * base.powi(power) {
        size if size >= 0.0 && size <= isize::MAX as f64 => Ok(size as usize),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let sizes = [
            ("0", 0),
            ("4096", 4096),
            ("2k", 2048),
            ("1.5KiB", 1536),
            ("3MB", 3_000_000),
            ("1G", 1 << 30),
        ];
        for (text, size) in sizes {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in ["", "M", "-1", "1X", "1e30T", "nan", "1 GiBs"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_counts_are_written_as_people_read_them() {
        assert_eq!(exact(1), "1 byte");
        assert_eq!(exact(1023), "1023 bytes");
        assert_eq!(exact(2_000_000_128), "1.9 GiB (2,000,000,128 bytes)");
        assert_eq!(human(u64::MAX), "16.0 EiB");
        assert_eq!(
            (count(0), count(999), count(1000)),
            ("0".into(), "999".into(), "1,000".into())
        );
        assert_eq!(
            (shape(&[]), shape(&[3]), shape(&[3, 4])),
            ("()".into(), "(3,)".into(), "(3, 4)".into())
        );
    }
}
