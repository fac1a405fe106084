//! Reads descrs: type strings such as `<f8`, and lists of fields.
//!
//! Reads whatever NumPy has ever written into a file, and the names and letters of types whose size
//! is the same everywhere. NumPy reads more that it never writes, and all of that is refused: types
//! whose size depends on the machine (`l`, `int`), types that hide a sub-array or a record in a
//! string (`4i4`, `i4,f8`), sizes with a sign or a blank (`S 5`), shapes and fields given as
//! strings, titles that are not strings, and units that are divided (`M8[s/1000]`) or zero.

use std::str::FromStr;

use super::record::is_padding;
use super::{ByteOrder, DType, Field, Kind, Literal, MAX_ITEMSIZE, Reader, SyntaxError, TimeUnit};
use crate::error::DescrError;

impl DType {
    /// Reads a descr: a type string, quoted or not, or the list of fields of a record.
    ///
    /// No byte order, `=` and `|` mean the byte order of this machine; types of single bytes have
    /// none. NumPy's names of fixed size, such as `int32` and `datetime64[ns]`, are read too.
    ///
    /// # Errors
    ///
    /// The reason of the refusal; [`DescrError`] has a variant for each. Object dtypes are always
    /// refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndstore::DType;
    ///
    /// let dtype = DType::parse("[('t', '<M8[ns]'), ('', '|V4'), ('v', '>f4', (3,))]")?;
    /// assert_eq!(dtype.itemsize(), 24);
    /// assert_eq!(dtype.fields().unwrap()[1].offset(), 12);
    /// assert!(DType::parse("|O").is_err());
    /// # Ok::<(), ndstore::DescrError>(())
    /// ```
    pub fn parse(descr: &str) -> Result<DType, DescrError> {
        if !descr.starts_with(['[', '(', '\'', '"']) {
            return from_code(descr);
        }
        let mut reader = Reader::new(descr, false);
        let literal = reader.literal()?;
        reader.end()?;
        DType::from_literal(&literal)
    }

    /// Reads a descr that stands in a header.
    pub(crate) fn from_literal(literal: &Literal<'_>) -> Result<DType, DescrError> {
        match literal {
            Literal::Str(code) => from_code(code),
            Literal::List(entries) => from_entries(entries),
            Literal::Tuple(_) => Err(DescrError::BareSubarray),
            other => Err(DescrError::NotADescr {
                found: other.noun(),
            }),
        }
    }
}

impl FromStr for DType {
    type Err = DescrError;

    fn from_str(descr: &str) -> Result<DType, DescrError> {
        DType::parse(descr)
    }
}

impl From<SyntaxError> for DescrError {
    fn from(error: SyntaxError) -> DescrError {
        let SyntaxError { at, reason, found } = error;
        DescrError::Syntax { at, reason, found }
    }
}

fn from_code(code: &str) -> Result<DType, DescrError> {
    let unknown = || DescrError::UnknownType {
        code: code.to_owned(),
    };
    let (order, ordered, body) = match code.as_bytes() {
        [b'<', ..] => (ByteOrder::Little, true, &code[1..]),
        [b'>', ..] => (ByteOrder::Big, true, &code[1..]),
        [b'=' | b'|', ..] => (ByteOrder::NATIVE, true, &code[1..]),
        _ => (ByteOrder::NATIVE, false, code),
    };
    if let Some((kind, itemsize)) = number(body) {
        return Ok(DType::number(kind, itemsize, order));
    }
    if let Some((kind, itemsize)) = named(body)
        && !ordered
    {
        return Ok(DType::number(kind, itemsize, order));
    }
    if matches!(body, "O" | "O4" | "O8" | "object") {
        return Err(DescrError::Object {
            code: code.to_owned(),
        });
    }
    for (prefix, kind) in [
        ("datetime64", Kind::Datetime),
        ("timedelta64", Kind::Timedelta),
        ("M8", Kind::Datetime),
        ("m8", Kind::Timedelta),
    ] {
        if let Some(unit) = body.strip_prefix(prefix) {
            let (unit, multiple) = time_unit(unit).ok_or_else(|| DescrError::TimeUnit {
                code: code.to_owned(),
            })?;
            return Ok(DType::time(kind, unit, multiple, order));
        }
    }
    let (kind, unit) = match body.as_bytes() {
        [b'S', ..] => (Kind::Bytes, 1),
        [b'V', ..] => (Kind::Void, 1),
        [b'U', ..] => (Kind::Text, 4),
        _ => return Err(unknown()),
    };
    let digits = &body[1..];
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(unknown());
    }
    // No digits mean no size, and digits that do not fit mean too large a one.
    let len = if digits.is_empty() {
        Ok(0)
    } else {
        digits.parse()
    };
    match len {
        Ok(len) if len <= MAX_ITEMSIZE / unit => Ok(match kind {
            Kind::Bytes => DType::bytes(len),
            Kind::Void => DType::void(len),
            _ => DType::text(len, order),
        }),
        _ => Err(DescrError::TooLarge {
            descr: format!("{code:?}"),
        }),
    }
}

/// The number types of a code: a letter with a size, or a letter whose size is the same everywhere.
fn number(code: &str) -> Option<(Kind, usize)> {
    Some(match code {
        "b1" | "?" => (Kind::Bool, 1),
        "i1" | "b" => (Kind::Int, 1),
        "i2" | "h" => (Kind::Int, 2),
        "i4" | "i" => (Kind::Int, 4),
        "i8" | "q" => (Kind::Int, 8),
        "u1" | "B" => (Kind::UInt, 1),
        "u2" | "H" => (Kind::UInt, 2),
        "u4" | "I" => (Kind::UInt, 4),
        "u8" | "Q" => (Kind::UInt, 8),
        "f2" | "e" => (Kind::Float, 2),
        "f4" | "f" => (Kind::Float, 4),
        "f8" | "d" => (Kind::Float, 8),
        "f16" => (Kind::Float, 16),
        "c8" | "F" => (Kind::Complex, 8),
        "c16" | "D" => (Kind::Complex, 16),
        "c32" => (Kind::Complex, 32),
        _ => return None,
    })
}

/// The number types that have a name, which takes no byte order.
fn named(name: &str) -> Option<(Kind, usize)> {
    Some(match name {
        "bool" => (Kind::Bool, 1),
        "int8" => (Kind::Int, 1),
        "int16" => (Kind::Int, 2),
        "int32" => (Kind::Int, 4),
        "int64" => (Kind::Int, 8),
        "uint8" => (Kind::UInt, 1),
        "uint16" => (Kind::UInt, 2),
        "uint32" => (Kind::UInt, 4),
        "uint64" => (Kind::UInt, 8),
        "float16" => (Kind::Float, 2),
        "float32" => (Kind::Float, 4),
        "float64" => (Kind::Float, 8),
        "float128" => (Kind::Float, 16),
        "complex64" => (Kind::Complex, 8),
        "complex128" => (Kind::Complex, 16),
        "complex256" => (Kind::Complex, 32),
        _ => return None,
    })
}

/// Reads the unit behind `M8`: nothing, or a unit in brackets, perhaps with a multiple.
fn time_unit(text: &str) -> Option<(TimeUnit, u32)> {
    if text.is_empty() {
        return Some((TimeUnit::Generic, 1));
    }
    let text = text.strip_prefix('[')?.strip_suffix(']')?;
    let symbol = text.trim_start_matches(|char: char| char.is_ascii_digit());
    let unit = TimeUnit::ALL
        .into_iter()
        .find(|unit| unit.symbol() == symbol)?;
    let multiple = match &text[..text.len() - symbol.len()] {
        "" => 1,
        digits => digits.parse().ok()?,
    };
    (1..=i32::MAX as u32)
        .contains(&multiple)
        .then_some((unit, multiple))
}

/// Reads the entries of a record, each of which starts where the one before it ends.
fn from_entries(entries: &[Literal<'_>]) -> Result<DType, DescrError> {
    let mut fields = Vec::with_capacity(entries.len());
    let mut offset = 0_usize;
    for (index, entry) in entries.iter().enumerate() {
        let malformed = |found| DescrError::Field { index, found };
        let (Literal::Tuple(parts) | Literal::List(parts)) = entry else {
            return Err(malformed(entry.noun()));
        };
        let (name, format, shape) = match &parts[..] {
            [name, format] => (name, format, None),
            [name, format, shape] => (name, format, Some(shape)),
            _ => return Err(malformed("a tuple of another length")),
        };
        let (title, name) = match name {
            Literal::Str(name) => (None, name),
            Literal::Tuple(names) => match &names[..] {
                [Literal::Str(title), Literal::Str(name)] => (Some(title), name),
                [Literal::None, Literal::Str(name)] => (None, name),
                _ => return Err(DescrError::FieldName { index }),
            },
            _ => return Err(DescrError::FieldName { index }),
        };
        let mut dims = Vec::new();
        if let Some(shape) = shape {
            push_dims(name, shape, &mut dims)?;
        }
        let dtype = element(name, format, &mut dims)?;
        let mut field = Field::new(name, dtype, offset).with_shape(&dims)?;
        if let Some(title) = title {
            field = field.with_title(title);
        }
        // Neither term exceeds the largest element, so the sum cannot overflow.
        offset += field.itemsize();
        if offset > MAX_ITEMSIZE {
            return Err(DescrError::TooLarge {
                descr: format!("a record up to field {name:?}"),
            });
        }
        if !is_padding(name, field.title(), field.dtype(), field.shape()) {
            fields.push(field);
        }
    }
    DType::record(fields, offset)
}

/// Reads the format of a field. A sub-array `(format, shape)` adds its dimensions to those of the
/// field.
fn element(name: &str, format: &Literal<'_>, dims: &mut Vec<usize>) -> Result<DType, DescrError> {
    match format {
        Literal::Tuple(parts) => match &parts[..] {
            [format, shape] => {
                push_dims(name, shape, dims)?;
                element(name, format, dims)
            }
            _ => Err(DescrError::NotADescr {
                found: "a tuple other than (descr, shape)",
            }),
        },
        other => DType::from_literal(other),
    }
}

fn push_dims(name: &str, shape: &Literal<'_>, dims: &mut Vec<usize>) -> Result<(), DescrError> {
    let items = match shape {
        Literal::Tuple(items) | Literal::List(items) => &items[..],
        other => std::slice::from_ref(other),
    };
    for item in items {
        let Literal::Int(dim) = item else {
            return Err(DescrError::SubarrayShape {
                name: name.to_owned(),
                found: item.noun(),
            });
        };
        let dim = dim.and_then(|dim| usize::try_from(dim).ok());
        dims.push(dim.ok_or_else(|| DescrError::SubarrayDim {
            name: name.to_owned(),
        })?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::strategy::dtype;
    use super::*;

    const NATIVE: &str = if cfg!(target_endian = "big") {
        ">"
    } else {
        "<"
    };

    fn descr(text: &str) -> Result<String, DescrError> {
        DType::parse(text).map(|dtype| dtype.descr())
    }

    proptest! {
        #[test]
        fn a_dtype_in_another_byte_order_is_one_that_parses(dtype in dtype()) {
            for order in [ByteOrder::Big, ByteOrder::Little] {
                let other = dtype.with_byte_order(order);
                prop_assert_eq!(&DType::parse(&other.descr()).unwrap(), &other);
                prop_assert_eq!(other.itemsize(), dtype.itemsize());
            }
            prop_assert_eq!(&dtype.with_byte_order(ByteOrder::NotApplicable), &dtype);
        }
    }

    #[test]
    fn every_spelling_of_a_simple_dtype_is_read() {
        for (text, expected) in [
            ("<f8", "<f8"),
            (">f8", ">f8"),
            ("'<f8'", "<f8"),
            ("\"<f8\"", "<f8"),
            (">u1", "|u1"),
            ("<b1", "|b1"),
            ("?", "|b1"),
            (">S5", "|S5"),
            ("S05", "|S5"),
            ("S", "|S0"),
            ("<V", "|V0"),
            (">U", ">U0"),
            ("<c32", "<c32"),
            ("<M8", "<M8"),
            ("<M8[ns]", "<M8[ns]"),
            ("<M8[1D]", "<M8[D]"),
            ("<M8[025s]", "<M8[25s]"),
            ("<m8[2147483647as]", "<m8[2147483647as]"),
            ("<M8[generic]", "<M8"),
            ("<M8[2generic]", "<M8"),
            (">datetime64[ms]", ">M8[ms]"),
            ("U536870911", "U536870911"),
            ("f8", "f8"),
            ("=f8", "f8"),
            ("|f8", "f8"),
            ("d", "f8"),
            ("float64", "f8"),
            ("timedelta64[us]", "m8[us]"),
        ] {
            let expected = match expected.as_bytes()[0] {
                b'<' | b'>' | b'|' => expected.to_owned(),
                _ => format!("{NATIVE}{expected}"),
            };
            assert_eq!(descr(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_name_of_a_number_is_read() {
        for (prefix, code, sizes) in [
            ("int", 'i', &[1, 2, 4, 8][..]),
            ("uint", 'u', &[1, 2, 4, 8]),
            ("float", 'f', &[2, 4, 8, 16]),
            ("complex", 'c', &[8, 16, 32]),
        ] {
            for size in sizes {
                let name = format!("{prefix}{}", size * 8);
                assert_eq!(descr(&name), descr(&format!("{code}{size}")), "{name}");
                assert!(descr(&name).is_ok(), "{name}");
            }
        }
        assert_eq!(descr("bool"), descr("?"));
    }

    #[test]
    fn a_record_may_have_as_many_bytes_as_an_element() {
        let record = |nbytes: u32| descr(&format!("[('a', '|V{nbytes}'), ('b', '|V1')]"));
        assert!(record(i32::MAX as u32 - 1).is_ok());
        assert!(matches!(
            record(i32::MAX as u32),
            Err(DescrError::TooLarge { .. })
        ));
    }

    #[test]
    fn what_numpy_refuses_is_refused() {
        for text in [
            "", "<", "f3", "b4", "i16", "f12", "X4", "S-1", "S 5", "S+5", "Sx", "<i4 ", " i4",
            "<int32", "Bool", "M", "M4", "M8 [us]", "m8[ns]x", "l", "int", "4i4", "(2,)i4",
            "i4,f8", "数", "<数",
        ] {
            assert!(descr(text).is_err(), "{text:?}");
        }
        for text in [
            "M8[]",
            "M8[-1s]",
            "M8[2147483648s]",
            "M8[0s]",
            "M8[B]",
            "M8[s/1000]",
            "m8[10]",
        ] {
            assert!(
                matches!(descr(text), Err(DescrError::TimeUnit { .. })),
                "{text}"
            );
        }
        for text in ["U536870912", "S2147483648", "V99999999999999999999999"] {
            assert!(
                matches!(descr(text), Err(DescrError::TooLarge { .. })),
                "{text}"
            );
        }
        for text in ["O", "|O", "<O8", "object", "[('a', '|O')]"] {
            assert!(
                matches!(descr(text), Err(DescrError::Object { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn every_spelling_of_a_record_is_read() {
        for (text, expected) in [
            ("[]", "[]"),
            ("[('a','<i4'),]", "[('a', '<i4')]"),
            ("[['a', '<i4']]", "[('a', '<i4')]"),
            ("[('a', '<i4', 2)]", "[('a', '<i4', (2,))]"),
            ("[('a', '<i4', [2, 3])]", "[('a', '<i4', (2, 3))]"),
            ("[('a', '<i4', ())]", "[('a', '<i4')]"),
            ("[('a', '<i4', 0)]", "[('a', '<i4', (0,))]"),
            ("[('c', ('<f8', 5), (2,))]", "[('c', '<f8', (2, 5))]"),
            ("[((None, 'a'), '<i4')]", "[('a', '<i4')]"),
            ("[(('', 'a'), '<i4')]", "[(('', 'a'), '<i4')]"),
            ("[('', '<i4')]", "[('', '<i4')]"),
            ("[(('t', ''), '|V4')]", "[(('t', ''), '|V4')]"),
            (
                "[('', '<f4', (2,)), ('a', '|i1')]",
                "[('', '|V8'), ('a', '|i1')]",
            ),
            ("[('', [('a', '<i4')])]", "[('', [('a', '<i4')])]"),
            (
                "[('a', '|V3'), ('', '|V1'), ('', '|V1')]",
                "[('a', '|V3'), ('', '|V2')]",
            ),
            (r#"[("it's\n", '<i4')]"#, r#"[("it's\n", '<i4')]"#),
        ] {
            assert_eq!(descr(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn malformed_records_are_refused_for_their_reason() {
        use DescrError::*;
        let error = |text: &str| DType::parse(text).unwrap_err();
        assert_eq!(error("('<i4', (2,))"), BareSubarray);
        assert!(matches!(error("[1]"), Field { index: 0, .. }));
        assert!(matches!(
            error("[('a', '<i4'), ('b',)]"),
            Field { index: 1, .. }
        ));
        assert_eq!(error("[(1, '<i4')]"), FieldName { index: 0 });
        assert_eq!(error("[((1, 'a'), '<i4')]"), FieldName { index: 0 });
        assert!(matches!(
            error("[('a', None)]"),
            NotADescr { found: "None" }
        ));
        assert!(matches!(error("[('a', ('<i4',))]"), NotADescr { .. }));
        assert!(matches!(
            error("[('a', '<i4', (True,))]"),
            SubarrayShape { .. }
        ));
        assert!(matches!(
            error("[('a', '<i4', None)]"),
            SubarrayShape { .. }
        ));
        assert!(matches!(error("[('a', '<i4', -1)]"), SubarrayDim { .. }));
        assert!(matches!(
            error("[('a', '<i4', (2147483648,))]"),
            SubarrayDim { .. }
        ));
        assert!(matches!(
            error("[('a', '<i4', (9223372036854775808,))]"),
            SubarrayDim { .. }
        ));
        assert!(matches!(
            error("[('a', '<i4', 536870912)]"),
            TooLarge { .. }
        ));
        assert!(matches!(
            error("[('a', 'V2147483647'), ('b', 'u1')]"),
            TooLarge { .. }
        ));
        assert!(matches!(
            error("[('', 'V2147483647'), ('', 'u1', 1)]"),
            TooLarge { .. }
        ));
        assert!(matches!(
            error("[('a', '<i4'), ('a', '<i4')]"),
            DuplicateName { .. }
        ));
        assert!(matches!(
            error("[('a', '<i4'"),
            Syntax {
                at: 12,
                found: None,
                ..
            }
        ));
        assert!(matches!(error("[] x"), Syntax { at: 3, .. }));
    }

    proptest! {
        #[test]
        fn a_descr_reads_back_as_its_dtype(dtype in dtype()) {
            prop_assert_eq!(DType::parse(&dtype.descr()), Ok(dtype.clone()));
            prop_assert_eq!(DType::parse(&dtype.literal().to_string()), Ok(dtype));
        }

        #[test]
        fn no_text_panics(text in "[\\[('\"<i4,)\\]aufM8\\\\ x0-9-]{0,40}") {
            let _ = DType::parse(&text);
        }
    }
}
