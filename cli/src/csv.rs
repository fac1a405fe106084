//! Elements out of csv and tsv: one line at a time into the bytes of a row.

use ndstore::{ByteOrder, DType, Kind};

/// The cells of a line. Quotes hold separators and, doubled, quotes.
pub(crate) fn cells(line: &str, separator: char) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut is_quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                cell.push('"');
                chars.next();
            }
            '"' if is_quoted || cell.trim().is_empty() => is_quoted = !is_quoted,
            char if char == separator && !is_quoted => cells.push(std::mem::take(&mut cell)),
            char => cell.push(char),
        }
    }
    cells.push(cell);
    cells
}

/// How many cells an element has: a record as many as it has fields.
pub(crate) fn width(dtype: &DType) -> usize {
    match dtype.fields() {
        None => 1,
        Some(fields) => fields
            .iter()
            .filter(|field| !field.name().is_empty())
            .map(|field| width(field.dtype()))
            .sum(),
    }
}

/// Whether cells of csv can become elements of it.
pub(crate) fn is_supported(dtype: &DType) -> bool {
    match (dtype.fields(), dtype.kind()) {
        (Some(fields), _) => fields.iter().all(|field| {
            field.shape().is_empty() && (field.name().is_empty() || is_supported(field.dtype()))
        }),
        (None, Kind::Float) => dtype.itemsize() <= 8,
        (None, kind) => matches!(
            kind,
            Kind::Bool | Kind::Int | Kind::UInt | Kind::Bytes | Kind::Text
        ),
    }
}

/// Adds an element to the bytes, out of as many cells as it is wide.
pub(crate) fn put(dtype: &DType, cells: &[String], bytes: &mut Vec<u8>) -> Result<(), String> {
    if let Some(fields) = dtype.fields() {
        let start = bytes.len();
        bytes.resize(start + dtype.itemsize(), 0);
        let mut cells = cells;
        for field in fields.iter().filter(|field| !field.name().is_empty()) {
            let (own, rest) = cells.split_at(width(field.dtype()));
            cells = rest;
            let mut value = Vec::new();
            put(field.dtype(), own, &mut value)?;
            bytes[start + field.offset()..][..value.len()].copy_from_slice(&value);
        }
        return Ok(());
    }
    let cell = &cells[0];
    let (text, size) = (cell.trim(), dtype.itemsize());
    let refused = || format!("{cell:?} is no {}", dtype.descr());
    let start = bytes.len();
    match dtype.kind() {
        Kind::Bool => bytes.push(match text {
            "True" | "true" | "1" => 1,
            "False" | "false" | "0" => 0,
            _ => return Err(refused()),
        }),
        Kind::Int | Kind::UInt => {
            let value: i128 = text.parse().map_err(|_| refused())?;
            let bits = 8 * size as u32;
            let range = match dtype.kind() {
                Kind::UInt => 0..=(1_i128 << bits) - 1,
                _ => -(1_i128 << (bits - 1))..=(1_i128 << (bits - 1)) - 1,
            };
            if !range.contains(&value) {
                return Err(refused());
            }
            bytes.extend(&value.to_le_bytes()[..size]);
        }
        Kind::Float => match size {
            2 => bytes
                .extend(half::f16::from_f64(text.parse().map_err(|_| refused())?).to_le_bytes()),
            4 => bytes.extend(text.parse::<f32>().map_err(|_| refused())?.to_le_bytes()),
            _ => bytes.extend(text.parse::<f64>().map_err(|_| refused())?.to_le_bytes()),
        },
        Kind::Bytes => bytes.extend(cell.as_bytes()),
        _ => bytes.extend(cell.chars().flat_map(|char| u32::from(char).to_le_bytes())),
    }
    let written = bytes.len() - start;
    if written > size {
        return Err(format!("{cell:?} is longer than {} holds", dtype.descr()));
    }
    bytes.resize(start + size, 0);
    if dtype.byte_order() == ByteOrder::Big {
        let unit = if dtype.kind() == Kind::Text { 4 } else { size };
        bytes[start..]
            .chunks_exact_mut(unit)
            .for_each(<[u8]>::reverse);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(dtype: &str, cells: &[&str]) -> Result<Vec<u8>, String> {
        let cells: Vec<_> = cells.iter().map(|cell| cell.to_string()).collect();
        let mut bytes = Vec::new();
        put(&DType::parse(dtype).unwrap(), &cells, &mut bytes).map(|()| bytes)
    }

    #[test]
    fn cells_are_between_separators_and_quotes_hold_them() {
        assert_eq!(cells("1,2,3", ','), ["1", "2", "3"]);
        assert_eq!(
            cells(r#""a,b","say ""no""",c"#, ','),
            ["a,b", r#"say "no""#, "c"]
        );
        assert_eq!(cells("", ','), [""]);
        assert_eq!(cells("1\t2,5", '\t'), ["1", "2,5"]);
    }

    #[test]
    fn a_cell_becomes_an_element_or_says_why_not() {
        assert_eq!(element("<i2", &[" -2 "]), Ok(vec![0xfe, 0xff]));
        assert_eq!(element(">u2", &["258"]), Ok(vec![1, 2]));
        assert_eq!(element("<f4", &["1.5"]), Ok(1.5_f32.to_le_bytes().to_vec()));
        assert_eq!(element("|S3", &["ab"]), Ok(b"ab\0".to_vec()));
        assert_eq!(element(">U2", &["é"]), Ok(vec![0, 0, 0, 0xe9, 0, 0, 0, 0]));
        assert_eq!(element("|b1", &["True"]), Ok(vec![1]));
        assert_eq!(
            element("[('a', '|u1'), ('b', '>u2')]", &["7", "1"]),
            Ok(vec![7, 0, 1])
        );
        for (dtype, cell) in [
            ("|u1", "256"),
            ("|i1", "-129"),
            ("<f8", "x"),
            ("|S1", "ab"),
            ("<i8", "1.5"),
            ("|b1", "2"),
        ] {
            assert!(element(dtype, &[cell]).is_err(), "{cell} as {dtype}");
        }
    }
}
