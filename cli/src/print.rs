//! Elements as text: rows for people, csv, tsv and JSON. They come in C order, in pieces of any size.

use std::fmt::Write as _;
use std::io::Write;

use clap::ValueEnum;
use ndstore::{AnyElement, ByteOrder, DType, Kind};
use serde_json::Value;

use crate::outcome::Outcome;

/// What elements are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line for each row, as NumPy prints elements
    Text,
    /// Comma-separated values
    Csv,
    /// Tab-separated values
    Tsv,
    /// Nested lists; NaN and infinities are strings
    Json,
    /// The bytes alone
    Raw,
    /// An NPY file
    Npy,
}

/// Writes the elements of one array as text, whose number and shape are known.
pub(crate) struct Printer<'a> {
    format: Format,
    dtype: &'a DType,
    shape: &'a [usize],
    /// How many were written.
    done: usize,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(format: Format, dtype: &'a DType, shape: &'a [usize]) -> Printer<'a> {
        Printer {
            format,
            dtype,
            shape,
            done: 0,
        }
    }

    /// Writes what goes before the first element: the names of the fields, of records as csv.
    pub(crate) fn start(&self, out: &mut dyn Write) -> Outcome<()> {
        if let (Some(separator), Some(fields)) = (self.separator(), self.dtype.fields()) {
            let mut line = String::new();
            for field in fields.iter().filter(|field| !field.name().is_empty()) {
                if !line.is_empty() {
                    line.push(separator);
                }
                quote(&mut line, field.name(), separator);
            }
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// Writes elements that follow those before.
    pub(crate) fn put(&mut self, bytes: &[u8], out: &mut dyn Write) -> Outcome<()> {
        let mut line = String::new();
        for element in self.elements(bytes) {
            match self.format {
                Format::Json => self.put_json(element, &mut line),
                _ => self.put_text(element, &mut line),
            }
            self.done += 1;
            if line.len() >= 1 << 14 {
                out.write_all(line.as_bytes())?;
                line.clear();
            }
        }
        Ok(out.write_all(line.as_bytes())?)
    }

    /// Writes what goes behind the last element.
    pub(crate) fn end(&self, out: &mut dyn Write) -> Outcome<()> {
        if self.format == Format::Json && self.shape.contains(&0) {
            out.write_all(b"[]")?;
        }
        Ok(())
    }

    fn elements<'b>(&self, bytes: &'b [u8]) -> Box<dyn Iterator<Item = &'b [u8]> + 'b> {
        match self.dtype.itemsize() {
            // Elements without bytes leave no trace of their number.
            0 => Box::new(std::iter::empty()),
            itemsize => Box::new(bytes.chunks_exact(itemsize)),
        }
    }

    fn separator(&self) -> Option<char> {
        match self.format {
            Format::Csv => Some(','),
            Format::Tsv => Some('\t'),
            _ => None,
        }
    }

    /// The length of a row: in one dimension each element is one.
    fn row(&self) -> usize {
        match self.shape {
            [] | [_] => 1,
            [.., last] => *last,
        }
    }

    fn put_text(&self, element: &[u8], line: &mut String) {
        let (row, separator) = (self.row(), self.separator());
        let column = self.done % row;
        if column > 0 {
            line.push_str(match separator {
                Some(',') => ",",
                Some(_) => "\t",
                None => "  ",
            });
        } else if separator.is_none() {
            self.put_plane(line);
        }
        match separator {
            None => {
                let _ = write!(line, "{}", Shown(self.dtype, element));
            }
            Some(separator) => put_cell(line, self.dtype, element, separator),
        }
        if column + 1 == row {
            line.push('\n');
        }
    }

    /// Says where the plane is that starts here, in three dimensions and more.
    fn put_plane(&self, line: &mut String) {
        let [planes @ .., rows, columns] = self.shape else {
            return;
        };
        let size = rows * columns;
        if planes.is_empty() || !self.done.is_multiple_of(size) {
            return;
        }
        let mut place = self.done / size;
        let mut indices = vec![0; planes.len()];
        for (index, len) in indices.iter_mut().zip(planes).rev() {
            (*index, place) = (place % len, place / len);
        }
        let indices: String = indices.iter().map(|index| format!("{index}, ")).collect();
        let _ = writeln!(line, "# [{indices}:, :]");
    }

    fn put_json(&self, element: &[u8], line: &mut String) {
        let (mut starts, mut ends) = (0, 0);
        let mut size = 1;
        for &len in self.shape.iter().rev() {
            size *= len;
            starts += usize::from(self.done.is_multiple_of(size));
            ends += usize::from((self.done + 1).is_multiple_of(size));
        }
        if self.done > 0 {
            line.push(',');
        }
        line.extend(std::iter::repeat_n('[', starts));
        put_json(line, self.dtype, element);
        line.extend(std::iter::repeat_n(']', ends));
    }
}

/// An element as NumPy prints it.
pub(crate) struct Shown<'a>(pub(crate) &'a DType, pub(crate) &'a [u8]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match AnyElement::from_bytes(self.0, self.1) {
            Some(element) => element.fmt(f),
            None => Ok(()),
        }
    }
}

/// The text of a string element, without the zeros behind it.
fn text_of(dtype: &DType, bytes: &[u8]) -> Option<String> {
    match dtype.kind() {
        Kind::Bytes => Some(String::from_utf8_lossy(bytes).trim_end_matches('\0').into()),
        Kind::Text => {
            let point = |bytes: &[u8; 4]| match dtype.byte_order() {
                ByteOrder::Big => u32::from_be_bytes(*bytes),
                _ => u32::from_le_bytes(*bytes),
            };
            let points = bytes.as_chunks::<4>().0.iter().map(point);
            let chars =
                points.map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER));
            Some(chars.collect::<String>().trim_end_matches('\0').into())
        }
        _ => None,
    }
}

fn put_cell(line: &mut String, dtype: &DType, bytes: &[u8], separator: char) {
    if let Some(fields) = dtype.fields() {
        let mut is_first = true;
        for field in fields.iter().filter(|field| !field.name().is_empty()) {
            if !is_first {
                line.push(separator);
            }
            is_first = false;
            let bytes = &bytes[field.offset()..][..field.itemsize()];
            match field.shape() {
                [] => put_cell(line, field.dtype(), bytes, separator),
                shape => quote(line, &nested(field.dtype(), shape, bytes), separator),
            }
        }
    } else if let Some(text) = text_of(dtype, bytes) {
        quote(line, &text, separator);
    } else {
        quote(line, &Shown(dtype, bytes).to_string(), separator);
    }
}

/// A value of a csv, in quotes where it would be taken for something else.
fn quote(line: &mut String, value: &str, separator: char) {
    match value.contains([separator, '"', '\n', '\r']) {
        true => {
            let _ = write!(line, "\"{}\"", value.replace('"', "\"\""));
        }
        false => line.push_str(value),
    }
}

fn put_json(line: &mut String, dtype: &DType, bytes: &[u8]) {
    if let Some(fields) = dtype.fields() {
        line.push('{');
        for (index, field) in fields
            .iter()
            .filter(|field| !field.name().is_empty())
            .enumerate()
        {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(line, "{comma}{}:", Value::from(field.name()));
            let bytes = &bytes[field.offset()..][..field.itemsize()];
            match field.shape() {
                [] => put_json(line, field.dtype(), bytes),
                shape => line.push_str(&nested(field.dtype(), shape, bytes)),
            }
        }
        line.push('}');
        return;
    }
    let text = Shown(dtype, bytes).to_string();
    let _ = match dtype.kind() {
        Kind::Bool => write!(line, "{}", text == "True"),
        Kind::Int | Kind::UInt => write!(line, "{text}"),
        // `inf`, `nan` and the bytes of a long double are no numbers of JSON.
        Kind::Float
            if text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e')) =>
        {
            write!(line, "{text}")
        }
        Kind::Bytes | Kind::Text => write!(
            line,
            "{}",
            Value::from(text_of(dtype, bytes).unwrap_or_default())
        ),
        _ => write!(line, "{}", Value::from(text)),
    };
}

/// A sub-array of a record, as JSON.
fn nested(dtype: &DType, shape: &[usize], bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut printer = Printer::new(Format::Json, dtype, shape);
    for element in printer.elements(bytes) {
        printer.put_json(element, &mut text);
        printer.done += 1;
    }
    if text.is_empty() {
        text.push_str("[]");
    }
    text
}

/// A number as JSON: NaN and infinities are strings.
pub(crate) fn json_number(value: f64) -> Value {
    match value {
        value if value.is_nan() => "nan".into(),
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        value => value.into(),
    }
}

/// A number as people read it: as many digits as it takes to read it back, without an exponent where that is short.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude.is_nan() => "nan".into(),
        0.0 => "0".into(),
        magnitude if magnitude.is_infinite() || (1e-4..1e16).contains(&magnitude) => {
            value.to_string()
        }
        _ => format!("{value:e}"),
    }
}

/// A real number as a float: exactly, but for whole numbers beyond 2^53. `None` for other elements.
pub(crate) fn value(dtype: &DType, bytes: &[u8]) -> Option<f64> {
    fn padded<const N: usize>(dtype: &DType, bytes: &[u8]) -> Option<[u8; N]> {
        let mut bytes: [u8; N] = bytes.try_into().ok()?;
        if dtype.byte_order() == ByteOrder::Big {
            bytes.reverse();
        }
        Some(bytes)
    }
    match (dtype.kind(), dtype.itemsize()) {
        (Kind::Float, 2) => Some(half::f16::from_le_bytes(padded(dtype, bytes)?).to_f64()),
        (Kind::Float, 4) => Some(f32::from_le_bytes(padded(dtype, bytes)?).into()),
        (Kind::Float, 8) => Some(f64::from_le_bytes(padded(dtype, bytes)?)),
        (Kind::Bool, 1) => Some(f64::from(u8::from(bytes != [0]))),
        (Kind::Int | Kind::UInt, _) => whole(dtype, bytes).map(|whole| whole as f64),
        _ => None,
    }
}

/// A whole number. `None` for other elements.
pub(crate) fn whole(dtype: &DType, bytes: &[u8]) -> Option<i128> {
    let push = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
    let value = match dtype.byte_order() {
        ByteOrder::Big => bytes.iter().fold(0, push),
        _ => bytes.iter().rev().fold(0, push),
    };
    let unused = 64_u32
        .checked_sub(8 * bytes.len() as u32)
        .filter(|&unused| unused < 64)?;
    match dtype.kind() {
        Kind::UInt => Some(value.into()),
        Kind::Int => Some((((value << unused) as i64) >> unused).into()),
        _ => None,
    }
}
