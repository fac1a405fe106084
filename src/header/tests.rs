use std::collections::BTreeSet;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::dtype::strategy::dtype;
use crate::error::DescrError;

/// A file of version 1.0 with this header and no data.
fn v1(text: &[u8]) -> Vec<u8> {
    let len = u16::try_from(text.len()).unwrap();
    [MAGIC, &[1, 0][..], &len.to_le_bytes(), text].concat()
}

/// A file of version 2.0 or 3.0 with this header and no data.
fn v2(major: u8, text: &[u8]) -> Vec<u8> {
    let len = u32::try_from(text.len()).unwrap();
    [MAGIC, &[major, 0][..], &len.to_le_bytes(), text].concat()
}

/// Reads the header of a file as an open would.
fn read(file: &[u8], limit: usize) -> Result<Header, HeaderError> {
    let len = extent(&file[..file.len().min(12)], file.len() as u64, limit)?;
    Header::decode(&file[..len as usize], limit)
}

fn decode(text: &str) -> Result<Header, HeaderError> {
    let text: Vec<u8> = text
        .chars()
        .map(|char| u8::try_from(char).unwrap())
        .collect();
    read(&v1(&text), DEFAULT_LIMIT)
}

fn encode(descr: &str, order: Order, shape: &[u64], form: Form) -> Vec<u8> {
    Header::encode(&DType::parse(descr).unwrap(), order, shape, form).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    let start = if bytes[6] == 1 { 10 } else { 12 };
    str::from_utf8(&bytes[start..]).unwrap()
}

#[test]
fn a_native_header_is_one_block() {
    let bytes = encode("<f8", Order::C, &[3, 4], Form::Native);
    assert_eq!(bytes.len(), BLOCK);
    assert_eq!(bytes[..10], *b"\x93NUMPY\x01\x00\xf6\x0f");
    let dict =
        "{'descr': '<f8', 'fortran_order': False, 'shape': (                          3, 4), }";
    assert_eq!(text(&bytes), format!("{dict:4085}\n"));
    assert_eq!(
        read(&bytes, DEFAULT_LIMIT),
        Ok(Header {
            dtype: DType::parse("<f8").unwrap(),
            order: Order::C,
            shape: vec![3, 4],
            offset: 4096,
            version: (1, 0),
        })
    );
}

#[test]
fn a_native_header_records_the_order_that_was_asked_for() {
    for shape in [&[][..], &[6], &[0, 3], &[5, 1]] {
        let bytes = encode("<f8", Order::F, shape, Form::Native);
        assert_eq!(read(&bytes, DEFAULT_LIMIT).unwrap().order, Order::F);
    }
}

#[test]
fn a_long_native_header_takes_more_blocks() {
    let record = |fields: usize| {
        let fields: Vec<_> = (0..fields)
            .map(|index| format!("('field {index:04}', '<f8')"))
            .collect();
        format!("[{}]", fields.join(", "))
    };
    for (fields, len, version) in [
        (170, 4096, 1),
        (190, 8192, 1),
        (2820, 65536, 1),
        (2860, 69632, 2),
    ] {
        let bytes = encode(&record(fields), Order::C, &[7], Form::Native);
        assert_eq!((bytes.len(), bytes[6]), (len, version), "{fields} fields");
        let header = read(&bytes, 1 << 20).unwrap();
        assert_eq!(header.dtype.fields().unwrap().len(), fields);
        assert_eq!(header.offset, len as u64);
    }
}

#[test]
fn padding_alone_makes_no_header_too_long_to_read() {
    let encode = |name: &str, len: usize| {
        let descr = format!("[('{}', '<f8')]", name.repeat(len));
        encode(&descr, Order::C, &[7], Form::Native)
    };
    let text = encode("n", 1).trim_ascii_end().len() - 1;
    for (name, version) in [("n", 1), ("é", 1), ("数", 3)] {
        let mut seen = BTreeSet::new();
        for len in [3000, 8000].into_iter().chain((9_800..10_000).step_by(9)) {
            let bytes = encode(name, len);
            assert_eq!(bytes[6], version);
            // The text, its line feed, and the blank that NumPy's padding has at least.
            let fits = text - 10 + len + 2 <= DEFAULT_LIMIT - COMPACT_ALIGN;
            let readable = read(&bytes, DEFAULT_LIMIT).is_ok();
            assert!(readable || !fits, "{name} {len}");
            let width = if bytes.len() % BLOCK == 0 {
                BLOCK
            } else {
                COMPACT_ALIGN
            };
            assert_eq!(bytes.len() % width, 0);
            seen.insert((readable, width));
        }
        assert_eq!(
            seen,
            BTreeSet::from([(true, 64), (true, BLOCK), (false, BLOCK)])
        );
    }
}

#[test]
fn padding_goes_up_to_the_limit() {
    let encode = |len| {
        // The longer the characters, the fewer blanks there are to the next block.
        let descr = format!("[('{}{}', '<f8')]", "n".repeat(5500), "数".repeat(len));
        encode(&descr, Order::C, &[7], Form::Native)
    };
    let whole_blocks = |bytes: &Vec<u8>| bytes.len().is_multiple_of(BLOCK);
    let first = (1100..1200).map(encode).find(whole_blocks).unwrap();
    let chars = text(&first).chars().count();
    assert!((DEFAULT_LIMIT - 1..=DEFAULT_LIMIT).contains(&chars));
}

#[test]
fn a_compact_header_is_that_of_np_save() {
    for (descr, order, shape, len, dict) in [
        (
            "<f8",
            Order::C,
            &[3, 4][..],
            128,
            "False, 'shape': (3, 4), }",
        ),
        ("<f8", Order::F, &[3, 4], 128, "True, 'shape': (3, 4), }"),
        ("<f8", Order::F, &[6], 128, "False, 'shape': (6,), }"),
        ("<f8", Order::F, &[], 128, "False, 'shape': (), }"),
        ("<f8", Order::F, &[0, 3], 128, "False, 'shape': (0, 3), }"),
        (
            "<f8",
            Order::F,
            &[1, 5, 1],
            128,
            "False, 'shape': (1, 5, 1), }",
        ),
        (
            "<f8",
            Order::F,
            &[2, 1, 2],
            128,
            "True, 'shape': (2, 1, 2), }",
        ),
    ] {
        let bytes = encode(descr, saved_order(order, shape), shape, Form::Compact);
        let dict = format!("{{'descr': '{descr}', 'fortran_order': {dict}");
        let width = len - 11;
        assert_eq!(text(&bytes), format!("{dict:width$}\n"));
    }
}

#[test]
fn a_compact_header_leaves_room_to_grow() {
    let descr = |len: usize| format!("[('{}', '<f8')]", "n".repeat(len));
    let lens: Vec<_> = (30..150)
        .map(|len| encode(&descr(len), Order::C, &[10], Form::Compact).len())
        .collect();
    let expected: Vec<_> = (30..150)
        .map(|len| {
            let dict = format!(
                "{{'descr': {}, 'fortran_order': False, 'shape': (10,), }}",
                descr(len)
            );
            // The prefix, the dict, 21 characters less the two of the 10, and the line feed.
            let least = 10 + dict.len() + 19 + 1;
            least + 64 - least % 64
        })
        .collect();
    assert_eq!(lens, expected);
}

fn apply(change: &Change, header: &[u8]) -> Vec<u8> {
    let mut new = header.to_vec();
    let start = change.offset as usize;
    new[start..start + change.bytes.len()].copy_from_slice(&change.bytes);
    new
}

/// The header `old` with another shape, if it has room for that.
fn changed(old: &[u8], order: Order, shape: &[u64]) -> Option<Vec<u8>> {
    let change = with_shape(old, order, shape).unwrap()?;
    Some(apply(&change, old))
}

#[test]
fn all_that_growth_changes_in_a_native_header_lies_in_one_line_and_mostly_in_one_word() {
    let named = |name: &str, len| format!("[('{}', '<f8')]", name.repeat(len));
    let plain = (1..=64).map(|len| named("n", len));
    let other = (1..=64)
        .step_by(9)
        .flat_map(|len| [named("é", len), named("数", len)]);
    // Where the descr alone takes more than a sector, the line is behind it.
    let long = (480..520).step_by(13).map(|len| named("n", len));
    for descr in plain.chain(other).chain(long).chain(["<f8".into()]) {
        for order in [Order::C, Order::F] {
            for others in [&[][..], &[480, 640, 3], &[1; 63]] {
                let shape = |rows: u64| match order {
                    Order::C => [&[rows], others].concat(),
                    Order::F => [others, &[rows]].concat(),
                };
                let mut header = encode(&descr, order, &shape(0), Form::Native);
                let most = i64::MAX as u64 / 921_600 / 8;
                for (rows, limit) in [(9, 8), (99_999_999, 8), (100_000_000, 64), (most, 64)] {
                    let change = with_shape(&header, order, &shape(rows)).unwrap().unwrap();
                    let len = change.bytes.len();
                    assert!(len <= limit, "{descr} {order:?} {others:?} {change:?}");
                    assert_eq!(change.offset as usize % len, 0, "{change:?}");
                    header = apply(&change, &header);
                    assert_eq!(header, encode(&descr, order, &shape(rows), Form::Native));
                }
            }
        }
    }
}

#[test]
fn an_axis_of_any_length_finds_room_in_the_line() {
    for descr in (1..=64).map(|len| format!("[('{}', '|u1')]", "n".repeat(len))) {
        let mut header = encode(&descr, Order::C, &[0], Form::Native);
        for rows in [i64::MAX as u64, 0] {
            let change = with_shape(&header, Order::C, &[rows]).unwrap().unwrap();
            assert_eq!(
                change.offset as usize / LINE,
                (change.offset as usize + change.bytes.len() - 1) / LINE
            );
            header = apply(&change, &header);
            assert_eq!(read(&header, DEFAULT_LIMIT).unwrap().shape, [rows]);
        }
    }
}

#[test]
fn a_change_is_a_whole_aligned_block_unless_none_of_a_line_has_it_or_the_header_ends() {
    let old = encode("|u1", Order::C, &[9], Form::Compact);
    // `np.save` has the digits at byte 61: the last three bytes of a line, and what follows.
    let change = with_shape(&old, Order::C, &[8]).unwrap().unwrap();
    assert_eq!((change.offset, change.bytes.len()), (56, 8));
    let change = with_shape(&old, Order::C, &[10]).unwrap().unwrap();
    assert_eq!((change.offset, change.bytes), (61, b"10,), }".to_vec()));
    let ends = v1(b"{'descr': '|u1', 'fortran_order': False, 'shape': (       9,)}\n");
    assert_eq!(ends.len(), 72 + 1);
    let change = with_shape(&ends, Order::C, &[9]).unwrap().unwrap();
    assert!(change.offset as usize + change.bytes.len() <= ends.len());
}

#[test]
fn a_native_header_without_blanks_is_known_and_stays_without_them() {
    let old = encode("<f8", Order::C, &[9, 4], Form::Unaligned);
    let dict = "{'descr': '<f8', 'fortran_order': False, 'shape': (9, 4), }";
    assert_eq!(text(&old), format!("{dict:4085}\n"));
    let new = changed(&old, Order::C, &[10, 4]).unwrap();
    assert_eq!(new, encode("<f8", Order::C, &[10, 4], Form::Unaligned));
}

#[test]
fn a_mark_is_one_byte_of_any_header_that_is_spelled_as_ours_or_as_by_numpy() {
    let shapes: &[&[u64]] = &[&[9], &[9, 4], &[0, 3], &[7, 8, 9]];
    for descr in [
        "<f8",
        "|S3",
        "[('é', '<i4')]",
        "[('数', '<i4'), ('b', '|u1')]",
    ] {
        for (order, &shape) in [Order::C, Order::F]
            .into_iter()
            .flat_map(|order| shapes.iter().map(move |shape| (order, shape)))
        {
            for form in [Form::Native, Form::Unaligned, Form::Compact] {
                let plain = encode(descr, order, shape, form);
                let mark = Mark::find(&plain).unwrap();
                assert!(!mark.is_set);
                let mut marked = plain.clone();
                marked[mark.offset as usize] = Mark::byte(true);
                assert_ne!(marked, plain);
                assert_eq!(
                    Mark::find(&marked),
                    Some(Mark {
                        is_set: true,
                        ..mark
                    })
                );
                assert_eq!(
                    read(&marked, DEFAULT_LIMIT).unwrap(),
                    read(&plain, DEFAULT_LIMIT).unwrap()
                );
                assert_eq!(unmarked(marked.clone()), plain);

                // It stays while the array grows.
                let mut grown = shape.to_vec();
                let axis = shape::slowest_axis(shape.len(), order).unwrap();
                grown[axis] = 1234;
                let plain = changed(&plain, order, &grown);
                let marked = changed(&marked, order, &grown);
                assert_eq!(marked.clone().map(unmarked), plain);
                let is_set = marked.map(|marked| Mark::find(&marked).unwrap().is_set);
                assert_eq!(is_set, plain.map(|_| true));
            }
        }
    }
}

#[test]
fn a_header_that_lacks_the_comma_in_another_spelling_has_no_mark() {
    for dict in [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4) }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,4)  }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4),  }",
        "{'fortran_order': False, 'descr': '<f8', 'shape': (3, 4), }",
        "{\"descr\": '<f8', 'fortran_order': False, 'shape': (3, 4), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 4L), }",
    ] {
        assert_eq!(Mark::find(&v1(dict.as_bytes())), None, "{dict}");
    }
}

#[test]
fn nothing_is_written_over_a_header_that_says_it_already() {
    let old = encode("<f8", Order::C, &[9], Form::Native);
    assert!(
        with_shape(&old, Order::C, &[9])
            .unwrap()
            .unwrap()
            .bytes
            .is_empty()
    );
}

#[test]
fn a_header_with_another_shape_changes_in_one_sector_or_not_at_all() {
    let record = |len: usize| format!("[('{}', '<f8')]", "n".repeat(len));
    for form in [Form::Unaligned, Form::Compact] {
        for len in 1..1200 {
            let old = encode(&record(len), Order::C, &[9], form);
            // From the digit to the end of the text, which is a digit longer.
            let end = old.trim_ascii_end().len() + 1;
            let start = end - "10,), }".len();
            let fits = start / SECTOR == (end - 1) / SECTOR;
            let change = with_shape(&old, Order::C, &[10]).unwrap();
            assert_eq!(change.is_some(), fits, "{len}");
            let Some(change) = change else { continue };
            let (offset, last) = (change.offset as usize, change.bytes.len() - 1);
            assert_eq!(offset / SECTOR, (offset + last) / SECTOR);
            let new = changed(&old, Order::C, &[10]).unwrap();
            assert_eq!(read(&new, DEFAULT_LIMIT).unwrap().shape, [10]);
        }
    }
}

#[test]
fn a_header_without_room_for_another_shape_stays_as_it_is() {
    let dict = "{'descr': '<f8', 'fortran_order': False, 'shape': (9,), }";
    for (blanks, room) in [("", false), (" ", true)] {
        let old = v1(format!("{dict}{blanks}\n").as_bytes());
        let new = with_shape(&old, Order::C, &[10]).unwrap();
        assert_eq!(new.is_some(), room);
        assert!(with_shape(&old, Order::C, &[8]).unwrap().is_some());
    }
    assert!(
        with_shape(&v1(dict.as_bytes()), Order::C, &[9])
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_name_that_only_an_escape_can_say_is_not_mangled() {
    let text = format!(
        "{{'descr': [('\\u6570', '<f8')], 'fortran_order': False, 'shape': (9,), }}{:40}\n",
        ""
    );
    let old = v1(text.as_bytes());
    assert_eq!(
        read(&old, DEFAULT_LIMIT).unwrap().dtype.fields().unwrap()[0].name(),
        "数"
    );
    assert_eq!(with_shape(&old, Order::C, &[10]), Ok(None));
    // Latin-1 itself is kept.
    let old = encode("[('é', '<f8')]", Order::C, &[9], Form::Native);
    let new = changed(&old, Order::C, &[10]).unwrap();
    assert_eq!(new, encode("[('é', '<f8')]", Order::C, &[10], Form::Native));
}

#[test]
fn a_shape_that_no_array_has_is_refused_for_an_old_header_too() {
    let old = encode("<f8", Order::C, &[9], Form::Native);
    for shape in [&[1 << 62][..], &[u64::MAX, 0], &[1; 65]] {
        assert!(with_shape(&old, Order::C, shape).is_err());
    }
}

#[test]
fn the_largest_shapes_are_those_of_numpy_and_of_a_file() {
    assert_eq!(check_shape(&[1, MAX_NBYTES], 1), Ok(()));
    assert_eq!(check_shape(&[1; MAX_NDIM], 1), Ok(()));
    assert_eq!(
        check_shape(&[1, MAX_NBYTES + 1], 0),
        Err(HeaderError::DimTooLarge { axis: 1 })
    );
}

#[test]
fn what_is_no_array_is_called_by_its_name() {
    for (bytes, name) in [(&b"PK\x03\x04"[..], "zip"), (b"\x80\x04", "pickle")] {
        assert!(not_npy(bytes).to_string().contains(name), "{name}");
    }
}

#[test]
fn what_looks_like_a_blank_in_some_of_its_bits_is_not_cut_off() {
    for byte in [b'A', b'@', b'\0', 0xdf] {
        let text = [byte; 200];
        assert_eq!(trim_blanks(&text), text);
    }
}

#[test]
fn latin_1_is_not_taken_for_utf_8() {
    assert_eq!(latin1("é".as_bytes()), "\u{c3}\u{a9}");
}

#[test]
fn the_version_is_the_oldest_that_can_say_it() {
    assert_eq!(encode("[('é', '<f8')]", Order::C, &[1], Form::Native)[6], 1);
    assert_eq!(
        encode("[('数', '<f8')]", Order::C, &[1], Form::Native)[6],
        3
    );
    let long = format!("[('{}', '<f8')]", "n".repeat(65_600));
    assert_eq!(encode(&long, Order::C, &[1], Form::Compact)[6], 2);
}

#[test]
fn every_spelling_that_a_writer_of_headers_uses_is_read() {
    let expected = decode("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }").unwrap();
    for text in [
        "{'shape': (2, 3), 'descr': '<i4', 'fortran_order': False}",
        " \t\n{\"descr\":\"<i4\",u'fortran_order':False,u'shape':(2,3)}\r\n \x0c\n",
        "{'\\x64escr': '\\x3ci4', 'fortran_order': (False), 'shape': ((2, +3,)), }",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (2L, 3 L), }",
        "\n{'descr': '<i4',\r'fortran_order':\r\nFalse, 'shape': (2, 3)}",
    ] {
        let header = decode(text).unwrap();
        assert_eq!(
            (&header.dtype, header.order, &header.shape),
            (&expected.dtype, Order::C, &expected.shape)
        );
        assert_eq!(header.offset, 10 + text.len() as u64);
    }
}

#[test]
fn every_refusal_has_its_reason_and_its_place() {
    use HeaderError::*;
    let error = |text: &str| decode(text).unwrap_err();
    let valid = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }";
    for junk in ["x", ";", "\0", valid, "\u{a0}"] {
        let error = error(&format!("{valid}{junk}"));
        assert!(
            matches!(
                error,
                Syntax {
                    reason: "expected nothing more",
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(error.offset(), Some(10 + valid.len() as u64));
    }
    assert!(matches!(
        error("\u{ef}\u{bb}\u{bf}{}"),
        Syntax { offset: 10, .. }
    ));
    assert!(matches!(
        error(""),
        Syntax {
            offset: 10,
            found: None,
            ..
        }
    ));
    assert_eq!(error("{}"), MissingKey { key: "descr" });
    assert!(matches!(error("{'a': 1}"), UnknownKey { offset: 11, .. }));
    assert!(matches!(error("{1: 1}"), UnknownKey { offset: 11, .. }));
    assert!(matches!(
        error("{'shape': (), 'shape': ()}"),
        DuplicateKey {
            offset: 24,
            key: "shape"
        }
    ));
    assert!(matches!(
        error("{'descr': '|O'}"),
        Descr {
            offset: 20,
            reason: DescrError::Object { .. }
        }
    ));
    assert!(matches!(
        error("{'fortran_order': 1}"),
        FortranOrder { offset: 28, .. }
    ));
    assert!(matches!(
        error("{'shape': [2, 3]}"),
        Shape {
            found: "a list",
            ..
        }
    ));
    assert!(matches!(
        error("{'shape': (6)}"),
        Shape {
            found: "an integer",
            ..
        }
    ));
    assert!(matches!(
        error("{'shape': (True,)}"),
        Shape {
            found: "a bool",
            ..
        }
    ));
    assert!(matches!(
        error("{'shape': (2.0,)}"),
        Syntax { offset: 21, .. }
    ));
    assert!(matches!(
        error("{'shape': (-1,)}"),
        NegativeDim { dim: -1, .. }
    ));
    assert_eq!(
        error("{'shape': (1, 9223372036854775808)}"),
        DimTooLarge { axis: 1 }
    );
    let shape = |shape: &str| {
        error(&format!(
            "{{'descr': '<i4', 'fortran_order': True, 'shape': {shape}}}"
        ))
    };
    assert!(matches!(
        shape("(0, 4611686018427387904, 8)"),
        TooBig { .. }
    ));
    assert_eq!(
        shape(&format!("({})", "1,".repeat(65))),
        TooManyAxes { ndim: 65 }
    );
}

#[test]
fn offsets_count_the_bytes_of_the_file() {
    // Before the fault stand two characters of one byte in Latin-1 and of two bytes in UTF-8.
    let text = "{'descr': [('é', '<i4')], 'é': 1}";
    assert_eq!(decode(text).unwrap_err().offset(), Some(10 + 26));
    let error = read(&v2(3, text.as_bytes()), DEFAULT_LIMIT).unwrap_err();
    assert_eq!(error.offset(), Some(12 + 27));
    let error = read(&v2(3, b"{'descr': '\xff'}"), DEFAULT_LIMIT).unwrap_err();
    assert_eq!(error, HeaderError::Utf8 { offset: 12 + 11 });
}

#[test]
fn the_first_bytes_are_checked_against_the_file_and_the_limit() {
    use HeaderError::*;
    let error = |prefix: &[u8], len| extent(prefix, len, DEFAULT_LIMIT).unwrap_err();
    assert_eq!(error(b"", 0), Empty);
    assert!(matches!(
        error(b"\x93", 1),
        Truncated {
            expected: 10,
            found: 1
        }
    ));
    assert!(matches!(
        error(b"\x93NUMPY\x01\0\x10", 9),
        Truncated { expected: 10, .. }
    ));
    assert!(matches!(
        error(b"\x93NUMPY\x02\0\x10\0\0", 11),
        Truncated { expected: 12, .. }
    ));
    assert!(matches!(
        error(b"\x93NUMPX\x01\0\x10\0\0\0", 99),
        Magic { .. }
    ));
    assert!(error(b"PK\x03\x04", 4).to_string().contains("zip"));
    assert!(matches!(
        error(b"\x93NUMPY\x04\0\x10\0\0\0", 99),
        Version { major: 4, minor: 0 }
    ));
    assert!(matches!(
        error(b"\x93NUMPY\x01\x01\x10\0\0\0", 99),
        Version { minor: 1, .. }
    ));
    let claim = b"\x93NUMPY\x02\0\xff\xff\xff\xff";
    assert!(matches!(
        error(claim, 100),
        Truncated {
            expected: 4_294_967_307,
            ..
        }
    ));
    assert!(matches!(error(claim, 1 << 40), TooLong { .. }));
    assert_eq!(extent(b"\x93NUMPY\x01\0\x10\0\0\0", 26, 16), Ok(26));
    assert!(extent(b"\x93NUMPY\x01\0\x10\0\0\0", 26, 15).is_err());
    assert_eq!(extent(b"\x93NUMPY\x03\0\x10\0\0\0", 28, 4), Ok(28));
    assert!(extent(b"\x93NUMPY\x03\0\x10\0\0\0", 28, 3).is_err());
}

#[test]
fn the_limit_counts_characters() {
    let text = "{'descr': [('数数', '<i4')], 'fortran_order': True, 'shape': ()}  \n";
    let file = v2(3, text.as_bytes());
    let chars = text.chars().count();
    assert!(text.len() > chars);
    assert!(read(&file, chars).is_ok());
    assert!(matches!(
        read(&file, chars - 1),
        Err(HeaderError::TooLong { .. })
    ));
}

#[test]
fn a_header_cut_anywhere_is_refused() {
    for descr in [
        "<f8",
        "[('数', '<i4', (2,)), ('', '|V3'), (('t', 'b'), '<M8[25s]')]",
    ] {
        let whole = encode(descr, Order::F, &[2, 3], Form::Compact);
        for len in 0..whole.len() {
            assert!(read(&whole[..len], DEFAULT_LIMIT).is_err());
            // The same with a length that claims no more than there is.
            let start = if whole[6] == 1 { 10 } else { 12 };
            if let Some(len) = len.checked_sub(start).map(|len| len as u8) {
                let mut cut = whole[..start + usize::from(len)].to_vec();
                cut[8] = len;
                let _ = read(&cut, DEFAULT_LIMIT);
            }
        }
    }
}

#[test]
fn no_flipped_bit_panics() {
    for descr in [
        "<f8",
        "[('é', '<i4', (2,)), ('', '|V3'), (('t', 'b'), '<M8[25s]')]",
        "[('数', '|S5')]",
    ] {
        let whole = encode(descr, Order::F, &[2, 3], Form::Compact);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _ = read(&flipped, DEFAULT_LIMIT);
        }
    }
}

#[test]
fn the_vectors_read_as_numpy_reads_them() {
    /// Files that are refused because of their data, which the header does not see.
    const DATA: [&str; 3] = [
        "bad_data_short_1.npy",
        "bad_data_none.npy",
        "bad_itemsize_huge.npy",
    ];

    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/npy-vectors");
    let manifest = std::fs::read_to_string(dir.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let mut seen = BTreeSet::new();
    for vector in manifest["vectors"].as_array().unwrap() {
        if vector["kind"] == "raw" {
            continue;
        }
        let name = vector["file"].as_str().unwrap();
        let file = std::fs::read(dir.join(name)).unwrap();
        let header = read(&file, DEFAULT_LIMIT);
        seen.insert(vector["verdict"].as_str().unwrap());
        let header = match vector["verdict"].as_str().unwrap() {
            "accept" => header.unwrap_or_else(|error| panic!("{name}: {error}")),
            "limit" => {
                assert!(matches!(header, Err(HeaderError::TooLong { .. })), "{name}");
                read(&file, 1 << 20).unwrap()
            }
            "either" => match header {
                Ok(header) => header,
                Err(_) => continue,
            },
            "reject" => {
                assert_eq!(header.is_ok(), DATA.contains(&name), "{name}: {header:?}");
                continue;
            }
            other => panic!("unknown verdict {other}"),
        };
        let shape: Vec<u64> = serde_json::from_value(vector["shape"].clone()).unwrap();
        let fortran = vector["fortran_order"].as_bool().unwrap();
        assert_eq!(
            header.dtype.literal().to_string(),
            vector["descr"],
            "{name}"
        );
        assert_eq!(header.dtype.itemsize() as u64, vector["itemsize"], "{name}");
        assert_eq!(header.shape, shape, "{name}");
        assert_eq!(header.order == Order::F, fortran, "{name}");
        assert_eq!(header.offset, vector["data_offset"], "{name}");
        assert_eq!(
            serde_json::json!(header.version),
            vector["version"],
            "{name}"
        );
    }
    assert_eq!(
        seen,
        BTreeSet::from(["accept", "either", "limit", "reject"])
    );
}

fn shape() -> impl Strategy<Value = Vec<u64>> {
    prop_oneof![
        4 => vec(0..1000_u64, 0..6),
        1 => vec(prop_oneof![Just(0), Just(1), any::<u64>()], 0..4),
        1 => vec(0..2_u64, 0..70),
        1 => vec((0..64_u32).prop_map(|bit| 1 << bit), 0..4),
    ]
}

/// The rule of `check_shape` in arithmetic too wide to overflow.
fn fits(shape: &[u64], itemsize: usize) -> bool {
    let mut nbytes = itemsize.max(1) as u128;
    for &dim in shape {
        if dim > i64::MAX as u64 {
            return false;
        }
        nbytes = nbytes.saturating_mul(u128::from(dim).max(1));
    }
    shape.len() <= 64 && nbytes <= i64::MAX as u128
}

/// The length of an axis, of any number of digits.
fn any_dim() -> impl Strategy<Value = u64> {
    (0..40_u32, any::<u64>()).prop_map(|(bits, dim)| dim & ((1 << bits) - 1))
}

proptest! {
    #[test]
    fn a_header_with_another_shape_is_the_one_written_for_it(
        dtype in dtype(),
        old in vec(any_dim(), 0..5),
        rows in any_dim(),
        order in prop_oneof![Just(Order::C), Just(Order::F)],
    ) {
        let mut new = old.clone();
        if let Some(axis) = shape::slowest_axis(old.len(), order) {
            new[axis] = rows;
        }
        for form in [Form::Native, Form::Unaligned, Form::Compact] {
            let [old, new] = [&old, &new].map(|shape| Header::encode(&dtype, order, shape, form));
            let (Ok(old), Ok(new)) = (old, new) else { continue };
            let decoded = read(&new, 1 << 20).unwrap();
            // A compact header calls both orders C until it has to tell them apart.
            let found = changed(&old, decoded.order, &decoded.shape);
            if form == Form::Compact && old.len() != new.len() {
                // `np.save` reserves room by the digits of one axis; a change in place may use all
                // of it.
                let found = found.map(|found| read(&found, 1 << 20).unwrap().shape);
                prop_assert!(found.is_none_or(|found| found == decoded.shape));
                continue;
            }
            let differing = |at: &usize| old[*at] != new[*at];
            let in_place = old.len() == new.len() && {
                let first = (0..new.len()).find(differing).unwrap_or(0);
                let last = (0..new.len()).rfind(differing).unwrap_or(0);
                first / SECTOR == last / SECTOR
            };
            prop_assert_eq!(found, in_place.then_some(new));
        }
    }

    #[test]
    fn a_header_reads_back_as_it_was_written(
        dtype in dtype(),
        shape in shape(),
        order in prop_oneof![Just(Order::C), Just(Order::F)],
    ) {
        for form in [Form::Native, Form::Unaligned, Form::Compact] {
            let bytes = Header::encode(&dtype, order, &shape, form);
            prop_assert_eq!(bytes.is_ok(), fits(&shape, dtype.itemsize()));
            let Ok(bytes) = bytes else { continue };
            let header = read(&bytes, 1 << 20).unwrap();
            prop_assert_eq!(&header.dtype, &dtype);
            prop_assert_eq!(&header.shape, &shape);
            prop_assert_eq!(header.offset, bytes.len() as u64);
            prop_assert_eq!(header.order, order);
            let align = match form {
                Form::Native | Form::Unaligned => BLOCK,
                Form::Compact => COMPACT_ALIGN,
            };
            prop_assert_eq!(bytes.len() % align, 0);
        }
    }

    #[test]
    fn the_size_is_checked_as_in_wider_arithmetic(shape in shape(), itemsize in 0..1000_usize) {
        prop_assert_eq!(check_shape(&shape, itemsize).is_ok(), fits(&shape, itemsize));
    }

    #[test]
    fn no_bytes_panic(version in 0..5_u8, text in vec(any::<u8>(), 0..200)) {
        let _ = read(&v1(&text), DEFAULT_LIMIT);
        let _ = read(&v2(version, &text), DEFAULT_LIMIT);
    }

    #[test]
    fn no_text_panics(text in "\\{('descr'|'shape'|'fortran_order'|[\\[\\](){}:,'\"# \n0-9Lx<i-]|True|é){0,30}\\}?") {
        let _ = read(&v2(2, text.as_bytes()), DEFAULT_LIMIT);
        let _ = read(&v2(3, text.as_bytes()), DEFAULT_LIMIT);
    }

    #[test]
    fn blanks_are_trimmed_as_by_the_byte(text in "[a \n\t]{0,10}[ ]{0,200}[ \n]{0,3}") {
        let text = text.as_bytes();
        prop_assert_eq!(trim_blanks(text), text.trim_ascii_end());
    }
}
