//! Every element type: the files that it opens, its values, and its refusals.
#![forbid(unsafe_code)]

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{
    AnyStore, Be, Bool8, ByteOrdered, Bytes, Datetime64, Element, ErrorKind, Le, Options, Order,
    Pad, Store, Text, TextError, Timedelta64, Void, record, unit,
};
use proptest::prelude::*;
use serde_json::Value;

use super::mapped::{mapped, not_mapped};
use super::support::Why;

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/npy-vectors")
        .join(name)
}

/// The first elements of a vector in C order, as NumPy's `repr(item)` gives them.
fn values(name: &str) -> Vec<String> {
    let manifest = std::fs::read_to_string(vector("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let mut vectors = manifest["vectors"].as_array().unwrap().iter();
    let vector = vectors.find(|vector| vector["file"] == name).unwrap();
    serde_json::from_value(vector["values"].clone()).unwrap()
}

/// Opens a vector as an array of `A` and checks its first elements.
fn check<A: Element, T: PartialEq + Debug>(
    name: &str,
    value: impl Fn(A) -> T,
    expected: impl Fn(&str) -> T,
) {
    let store = Store::<A, IxDyn>::open(vector(name)).unwrap();
    let texts = values(name);
    let found: Vec<T> = store
        .read_all()
        .unwrap()
        .iter()
        .take(4)
        .copied()
        .map(value)
        .collect();
    let expected: Vec<T> = texts.iter().map(|text| expected(text)).collect();
    assert_eq!(found, expected, "{name}");
}

/// Checks a number in its own type and in both orders that have no alignment.
fn check_number<A>(name: &str, swapped: bool)
where
    A: ByteOrdered + PartialEq + Debug + std::str::FromStr<Err: Debug>,
{
    let expected = |text: &str| text.parse::<A>().unwrap();
    match (swapped, cfg!(target_endian = "little")) {
        (true, true) | (false, false) => check(name, Be::<A>::get, expected),
        (true, false) | (false, true) => check(name, Le::<A>::get, expected),
    }
    if !swapped {
        check(name, |value: A| value, expected);
    }
}

#[test]
fn numbers_of_both_byte_orders_open_in_place() {
    let big = cfg!(target_endian = "big");
    check_number::<i16>("dt_i2_le.npy", big);
    check_number::<i16>("dt_i2_be.npy", !big);
    check_number::<i16>("sh_0d_be.npy", !big);
    check_number::<i16>("sh_2x3x4_c.npy", big);
    check_number::<i16>("sh_noncontig.npy", big);
    check_number::<i32>("dt_i4_le.npy", big);
    check_number::<i32>("sh_4x6_f_be.npy", !big);
    check_number::<i64>("dt_i8_be.npy", !big);
    check_number::<u8>("sh_32d.npy", big);
    check_number::<u8>("ok_descr_one_byte_gt.npy", !big);
    check_number::<u16>("dt_u2_le.npy", big);
    check_number::<u16>("dt_u2_be.npy", !big);
    check_number::<u32>("dt_u4_le.npy", big);
    check_number::<u32>("dt_u4_be.npy", !big);
    check_number::<u64>("dt_u8_be.npy", !big);
    check_number::<f32>("dt_f4_le.npy", big);
    check_number::<f32>("dt_f4_be.npy", !big);
    check_number::<f64>("dt_f8_le.npy", big);
    check_number::<f64>("dt_f8_be.npy", !big);
    check("dt_b1.npy", Bool8::get, |text| text == "True");
    assert!(Store::<f32, Ix2>::open(vector("sh_0x3.npy")).is_ok());
    assert!(Store::<Be<i16>, Ix1>::open(vector("sh_0.npy")).is_err());
}

#[test]
#[cfg(feature = "half")]
fn halves_open_in_place() {
    let big = cfg!(target_endian = "big");
    check_number::<half::f16>("dt_f2_be.npy", !big);
}

#[test]
#[cfg(feature = "num-complex")]
fn complex_numbers_open_in_place() {
    use num_complex::Complex;

    let expected = |text: &str| match text {
        "(1+2j)" => (1.0, 2.0),
        "(-0-1.5j)" => (-0.0, -1.5),
        "infj" => (0.0, f64::INFINITY),
        "(3+0j)" => (3.0, 0.0),
        other => panic!("{other}"),
    };
    let single = |value: Complex<f32>| (value.re.into(), value.im.into());
    let double = |value: Complex<f64>| (value.re, value.im);
    check("dt_c8_le.npy", |value| single(Le::get(value)), expected);
    check("dt_c8_be.npy", |value| single(Be::get(value)), expected);
    check("dt_c16_le.npy", |value| double(Le::get(value)), expected);
}

#[test]
fn unaligned_files_are_read_and_mapped_as_what_has_no_alignment() {
    for name in [
        "ok_unaligned.npy",
        "ok_no_trailing_comma.npy",
        "ok_whitespace.npy",
        "ok_no_order_char.npy",
        "ok_f_order_1d.npy",
    ] {
        check(name, Le::<i32>::get, |text| text.parse().unwrap());
    }
    let store = Store::<i32, Ix2>::open(vector("ok_whitespace.npy")).unwrap();
    assert_eq!(store.read_all().unwrap(), array![[0, 1, 2], [3, 4, 5]]);
    let error = not_mapped(store);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot map {:?} as <i4: its data starts at byte 73, not at a multiple of 4; \
             open it as `Le<T>` of that type, which has no alignment, or read it without a map",
            vector("ok_whitespace.npy")
        )
    );
}

#[test]
fn strings_compare_without_their_padding() {
    let bytes = |text: &str| text[2..text.len() - 1].to_owned();
    check::<Bytes<5>, _>("dt_S5.npy", |value| value.to_string(), bytes);
    check::<Bytes<1>, _>("dt_S1.npy", |value| value.to_string(), bytes);
    let text = |text: &str| text[1..text.len() - 1].to_owned();
    check::<Le<Text<3>>, _>("dt_le_U3.npy", |value| value.get().decode().unwrap(), text);
    check::<Be<Text<3>>, _>("dt_be_U3.npy", |value| value.get().decode().unwrap(), text);
    check::<Le<Text<2>>, _>("dt_U_nonbmp.npy", |value| value.to_string(), text);

    let store = Store::<Bytes<5>, Ix1>::open(vector("dt_S5.npy")).unwrap();
    assert_eq!(
        store.read_all().unwrap(),
        array!["ab", "cde", ""].mapv(|s| Bytes::try_from(s).unwrap())
    );
    assert!(
        store.read_all().unwrap()[0] == "ab"
            && store.read_all().unwrap()[0] == b"ab"
            && store.read_all().unwrap()[0] != "ab\0"
    );
}

#[test]
fn what_does_not_fit_a_string_is_refused() -> Result<(), TextError> {
    assert_eq!(Bytes::<3>::try_from(b"a\0\0")?.as_bytes(), b"a");
    assert_eq!(Bytes::<3>::try_from(&b"\0\0b"[..])?.as_bytes(), b"\0\0b");
    assert_eq!(
        Bytes::<3>::try_from("four").unwrap_err().to_string(),
        "a string of 4 bytes does not fit an element of 3; cut it, or make the element longer"
    );
    assert_eq!(Text::<2>::try_from("数é")?, "数é");
    assert_eq!(
        Text::<2>::try_from("数éa").unwrap_err().to_string(),
        "a string of 3 characters does not fit an element of 2; cut it, or make the element longer"
    );
    let text: Text<2> = bytemuck::cast([u32::from('a'), 0xd800]);
    assert_eq!(
        text.decode().unwrap_err().to_string(),
        "character 1 of the text is 0xd800, which is not a Unicode character"
    );
    assert_eq!(text.to_string(), "a\u{fffd}");
    assert!(text != "a\u{fffd}");
    assert_eq!(
        format!("{text:?} {:?}", Bytes::<2>::try_from("a\n")?),
        "\"a\u{fffd}\" b\"a\\n\""
    );
    assert_eq!(format!("[{:>4}]", Bytes::<2>::try_from("a")?), "[   a]");
    Ok(())
}

#[test]
fn times_are_counts_of_their_unit() {
    let count = |text: &str| match text {
        "None" => None,
        "datetime.datetime(1970, 1, 1, 0, 0)" | "datetime.timedelta(0)" => Some(0),
        "datetime.datetime(1970, 1, 1, 0, 0, 25)"
        | "datetime.timedelta(microseconds=1)"
        | "datetime.timedelta(seconds=1)" => Some(1),
        "datetime.datetime(1969, 12, 31, 23, 59, 35)"
        | "datetime.timedelta(days=-1, seconds=86399, microseconds=999999)"
        | "datetime.timedelta(days=-1, seconds=86399)" => Some(-1),
        number => Some(number.parse().unwrap()),
    };
    macro_rules! check_times {
        ($($name:literal: $order:ident<$type:ty>,)*) => {$(
            check($name, |time: $order<$type>| (!time.get().is_nat()).then_some(time.get().value()), count);
        )*};
    }
    check_times! {
        "dt_le_M8_ns.npy": Le<Datetime64<unit::Ns>>,
        "dt_be_M8_ns.npy": Be<Datetime64<unit::Ns>>,
        "dt_le_M8_25s.npy": Le<Datetime64<unit::Second, 25>>,
        "dt_le_m8_us.npy": Le<Timedelta64<unit::Us>>,
        "dt_be_m8_s.npy": Be<Timedelta64<unit::Second>>,
    }
    let [early, late, nat] = [0, 1, i64::MIN].map(Datetime64::<unit::Day>::new);
    assert!(early < late && late < nat && nat.is_nat());
}

#[test]
fn every_type_has_the_dtype_of_numpy() {
    let native = if cfg!(target_endian = "big") {
        ">"
    } else {
        "<"
    };
    macro_rules! check_descrs {
        ($($type:ty: $descr:literal,)*) => {$(
            let dtype = <$type as Element>::dtype();
            assert_eq!(dtype.descr(), $descr.replace('=', native));
            assert_eq!(dtype.itemsize(), size_of::<$type>());
        )*};
    }
    check_descrs! {
        i8: "|i1", i16: "=i2", i32: "=i4", i64: "=i8",
        u8: "|u1", u16: "=u2", u32: "=u4", u64: "=u8",
        f32: "=f4", f64: "=f8", Bool8: "|b1",
        Be<u8>: "|u1", Be<u16>: ">u2", Le<u16>: "<u2", Be<f64>: ">f8", Le<f64>: "<f8",
        Bytes<5>: "|S5", Void<5>: "|V5", Text<5>: "=U5", Be<Text<5>>: ">U5",
        Datetime64<unit::Year>: "=M8[Y]", Datetime64<unit::Month>: "=M8[M]",
        Datetime64<unit::Week>: "=M8[W]", Datetime64<unit::Day>: "=M8[D]",
        Datetime64<unit::Hour>: "=M8[h]", Datetime64<unit::Minute>: "=M8[m]",
        Datetime64<unit::Second, 25>: "=M8[25s]", Datetime64<unit::Ms>: "=M8[ms]",
        Datetime64<unit::Us>: "=M8[us]", Le<Datetime64<unit::Ns>>: "<M8[ns]",
        Datetime64<unit::Ps>: "=M8[ps]", Timedelta64<unit::Fs>: "=m8[fs]",
        Timedelta64<unit::As>: "=m8[as]", Be<Timedelta64<unit::Generic>>: ">m8",
    }
    #[cfg(feature = "half")]
    check_descrs! { half::f16: "=f2", Be<half::f16>: ">f2", }
    #[cfg(feature = "num-complex")]
    check_descrs! {
        num_complex::Complex<f32>: "=c8", num_complex::Complex<f64>: "=c16",
        Be<num_complex::Complex<f64>>: ">c16",
    }
}

record! {
    #[derive(Debug, PartialEq)]
    struct OneField { x: Le<i16> }

    #[derive(Debug, PartialEq)]
    #[repr(C, packed)]
    struct SubArray { x: [Le<i32>; 2], y: [[Le<f64>; 2]; 2], z: u8 }

    #[derive(Debug, PartialEq)]
    struct Inner { q: u8, r: Be<f32> }

    #[derive(Debug, PartialEq)]
    struct Nested { p: Inner, z: Le<Text<2>> }

    #[derive(Debug, PartialEq)]
    struct Titled { value: Le<f32> = ("a title", "name") }

    #[derive(Debug, PartialEq)]
    struct Strings { s: Bytes<4>, u: Le<Text<2>>, f: Bool8 }

    #[derive(Debug, PartialEq)]
    struct Times { t: Le<Datetime64<unit::Ns>>, d: Le<Timedelta64<unit::Ms>> }

    #[derive(Debug, PartialEq)]
    struct Quoted { its: Le<i32> = "it's" }

    #[derive(Debug, PartialEq)]
    struct Latin1 { é: Le<i32> }

    #[derive(Debug, PartialEq)]
    struct Utf8 { 数: Le<i32> }

    #[derive(Debug, PartialEq)]
    struct Padded { f0: i8, _pad1: Pad<3>, f1: Le<i32>, f2: i8, _pad2: Pad<3> }

    #[derive(Debug, PartialEq)]
    struct Offsets { _pad0: Pad<1>, a: Le<i32>, _pad1: [Pad<1>; 1], b: Le<i32>, _pad2: Pad<2> }

    #[derive(Debug, PartialEq)]
    struct ShapeIsAnInteger { a: [Le<i32>; 2] }
}

fn first<A: Element>(name: &str) -> A {
    Store::<A, Ix1>::open(vector(name))
        .unwrap()
        .read_all()
        .unwrap()[0]
}

#[test]
fn records_of_numpy_open_as_structs() {
    let le = Le::<i32>::from;
    let text = |text: &str| Text::try_from(text).unwrap().into();
    assert_eq!(first::<OneField>("st_one_field.npy").x, 7);
    let record: SubArray = first("st_subarray.npy");
    assert_eq!(record.x, [1, 2].map(le));
    assert_eq!(
        record.y,
        [[1.0, 2.0], [3.0, 4.0]].map(|row| row.map(Le::from))
    );
    assert_eq!(record.z, 9);
    let p = Inner {
        q: 1,
        r: 2.5.into(),
    };
    assert_eq!(
        first::<Nested>("st_nested.npy"),
        Nested { p, z: text("ab") }
    );
    assert_eq!(first::<Titled>("st_title.npy").value, 1.5);
    let record: Strings = first("st_string_fields.npy");
    assert_eq!(record.s, "ab");
    assert_eq!((record.u, record.f.get()), (text("cd"), true));
    let record: Times = first("st_datetime.npy");
    assert_eq!((record.t.get().value(), record.d.get().value()), (1, 2));
    assert_eq!(first::<Quoted>("st_quote_in_name.npy").its, 1);
    assert_eq!(first::<Latin1>("st_latin1_name.npy").é, 1);
    assert_eq!(first::<Utf8>("st_utf8_name_v3.npy").数, 1);
    assert_eq!(first::<Utf8>("block4096_utf8_v3.npy").数, 1);
    let (_pad1, _pad2) = Default::default();
    let padded = Padded {
        f0: 0,
        _pad1,
        f1: le(258),
        f2: 0,
        _pad2,
    };
    assert_eq!(first::<Padded>("st_aligned_padding.npy"), padded);
    let record: Offsets = first("st_explicit_offsets.npy");
    assert_eq!((record.a, record.b), (le(5), le(6)));
    let record: ShapeIsAnInteger = first("ok_shape_int_subarray.npy");
    assert_eq!(record.a, [0, 1].map(le));
}

record! {
    /// In native byte order and with NumPy's `align=True`.
    #[derive(Debug, Default, PartialEq)]
    struct Sample {
        time: Datetime64<unit::Ns>,
        xyz: [f32; 3] = "x y z",
        r#type: u16,
        _pad: Pad<2>,
    }

    /// As NumPy packs a record.
    #[derive(Debug, Default, PartialEq)]
    #[repr(C, packed)]
    struct Packed {
        flag: u8,
        inner: [Sample; 2],
    }
}

#[test]
fn records_are_viewed_in_place() -> ndstore::Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples.npy");
    let store = Store::<Sample, _>::create(&path, (2, 3))?;
    assert_eq!(
        store.dtype().descr(),
        "[('time', '<M8[ns]'), ('x y z', '<f4', (3,)), ('type', '<u2'), ('', '|V2')]".replace(
            '<',
            if cfg!(target_endian = "big") {
                ">"
            } else {
                "<"
            }
        )
    );
    let mut store = mapped(store);
    let at = store.as_bytes().as_ptr().addr();
    let mut view = store.view_mut();
    view[(1, 2)].xyz[1] = 2.5;
    view[(1, 2)].r#type = 7;
    assert_eq!(
        std::ptr::from_ref(&view[(1, 2)].r#type).addr(),
        at + 5 * 24 + 20
    );
    store.close()?;

    let any = AnyStore::open(&path)?;
    assert_eq!(
        any.element(&[1, 2]).unwrap().to_string(),
        "(1970-01-01T00:00:00.000000000, [0.0, 2.5, 0.0], 7)"
    );
    let store = any.downcast::<Sample, Ix2, ndstore::ReadOnly>()?;
    let expected = Sample {
        xyz: [0.0, 2.5, 0.0],
        r#type: 7,
        ..Default::default()
    };
    assert_eq!(store.read_all().unwrap()[(1, 2)], expected);
    assert_eq!(store.read_all().unwrap()[(0, 0)], Sample::default());
    drop(store);

    Options::new()
        .compact(true)
        .create_from(&path, &array![Packed::default()])?;
    let packed = Store::<Packed, Ix1>::open(&path)?;
    assert_eq!(packed.dtype().itemsize(), 1 + 2 * 24);
    assert_eq!(packed.read_all().unwrap()[0], Packed::default());
    Ok(())
}

#[test]
fn an_impossible_record_panics_with_its_reason() {
    record! {
        struct Twice { a: u8, b: u8 = "a" }
    }
    let panic = std::panic::catch_unwind(Twice::dtype).unwrap_err();
    assert_eq!(
        panic.downcast_ref::<String>().unwrap(),
        "\"a\" is used twice as a field name or title of one record"
    );
}

fn refusal<A: Element, D: Dimension>(name: &str) -> String {
    let error = Store::<A, D>::open(vector(name)).unwrap_err();
    let text = error.to_string();
    let (before, after) = text.split_once(&format!("{:?}", vector(name))).unwrap();
    format!("{before}{after}")
}

#[test]
#[cfg(target_endian = "little")]
fn a_wrong_type_is_refused_with_the_right_one() {
    record! {
        #[repr(C, packed)]
        struct Native { q: u8, r: f32 }
        #[repr(C, packed)]
        struct Outer { p: Native, z: Text<2> }
        struct Aligned { a: [i32; 2] }
    }
    assert_eq!(
        refusal::<f64, Ix2>("dt_f8_be.npy"),
        "cannot open  as <f8: it holds >f8; its bytes are in the other order; open it as `Be<T>` of that type"
    );
    assert_eq!(
        refusal::<Be<f64>, Ix2>("dt_f8_le.npy"),
        "cannot open  as >f8: it holds <f8; its bytes are in the other order; open it as `Le<T>` of that type"
    );
    assert_eq!(
        refusal::<Outer, Ix1>("st_nested.npy"),
        "cannot open  as [('p', [('q', '|u1'), ('r', '<f4')]), ('z', '<U2')]: \
         it holds [('p', [('q', '|u1'), ('r', '>f4')]), ('z', '<U2')]; \
         its fields are in another byte order; declare them as `Be<T>` or `Le<T>`"
    );
    assert_eq!(
        refusal::<f32, Ix2>("dt_i4_le.npy"),
        "cannot open  as <f4: it holds <i4; open it with the type for that, or with `AnyStore`, which takes any"
    );
    assert_eq!(
        refusal::<Bytes<4>, Ix1>("dt_S5.npy"),
        "cannot open  as |S4: it holds |S5; open it with the type for that, or with `AnyStore`, which takes any"
    );
    assert_eq!(
        refusal::<Datetime64<unit::Us>, Ix1>("dt_le_M8_ns.npy"),
        "cannot open  as <M8[us]: it holds <M8[ns]; open it with the type for that, or with `AnyStore`, which takes any"
    );
    let store = Store::<Aligned, Ix1>::open(vector("ok_shape_int_subarray.npy")).unwrap();
    let error = not_mapped(store).to_string();
    assert!(
        error.ends_with(
            " as [('a', '<i4', (2,))]: its data starts at byte 78, not at a multiple of 4; \
             declare the record as `#[repr(C, packed)]`, or its fields as `Le<T>` or `Be<T>`, or read it without a map"
        ),
        "{error}"
    );
    assert_eq!(
        refusal::<i16, Ix2>("sh_2x3x4_c.npy"),
        "cannot open  with 2 dimensions: it has 3, shape [2, 3, 4]; choose `Ix3` or `IxDyn`"
    );
    assert_eq!(
        refusal::<u8, Ix1>("sh_32d.npy").split("; ").last(),
        Some("choose `IxDyn`")
    );
    let mismatch = Store::<f64, Ix2>::open(vector("dt_f8_be.npy"));
    assert!(matches!(
        mismatch.why(),
        Some(ErrorKind::DTypeMismatch { .. })
    ));
}

#[test]
fn elements_of_any_dtype_print_as_in_numpy() {
    for name in [
        "dt_b1.npy",
        "dt_i2_le.npy",
        "dt_i2_be.npy",
        "dt_i4_le.npy",
        "dt_i8_be.npy",
        "dt_u2_le.npy",
        "dt_u2_be.npy",
        "dt_u4_le.npy",
        "dt_u4_be.npy",
        "dt_u8_be.npy",
        "dt_f2_be.npy",
        "dt_f4_le.npy",
        "dt_f4_be.npy",
        "dt_f8_le.npy",
        "dt_f8_be.npy",
        "dt_c8_le.npy",
        "dt_c8_be.npy",
        "dt_c16_le.npy",
        "dt_S5.npy",
        "dt_le_U3.npy",
        "dt_be_U3.npy",
        "dt_S1.npy",
        "dt_U_nonbmp.npy",
        "dt_U0.npy",
        "sh_0d_be.npy",
        "sh_2x3x4_c.npy",
        "sh_4x6_f_be.npy",
        "sh_noncontig.npy",
        "sh_32d.npy",
        "ok_unaligned.npy",
    ] {
        let any = AnyStore::open(vector(name)).unwrap();
        let all = ndarray::indices(any.shape());
        let shown: Vec<String> = all
            .into_iter()
            .take(4)
            .map(|index| any.element(index.slice()).unwrap().to_string())
            .collect();
        assert_eq!(shown, values(name), "{name}");
    }
    for (name, index, text) in [
        ("dt_be_M8_ns.npy", 2, "1969-12-31T23:59:59.999999999"),
        ("dt_le_M8_25s.npy", 2, "1969-12-31T23:59:35"),
        ("dt_le_M8_25s.npy", 3, "NaT"),
        ("dt_be_m8_s.npy", 2, "-1 seconds"),
        ("dt_le_m8_us.npy", 3, "NaT"),
        ("st_one_field.npy", 1, "(8,)"),
        (
            "st_subarray.npy",
            0,
            "([1, 2], [[1.0, 2.0], [3.0, 4.0]], 9)",
        ),
        ("st_nested.npy", 0, "((1, 2.5), 'ab')"),
        ("st_string_fields.npy", 0, "(b'ab', 'cd', True)"),
        (
            "st_datetime.npy",
            0,
            "(1970-01-01T00:00:00.000000001, 2 milliseconds)",
        ),
        ("st_aligned_padding.npy", 0, "(0, 258, 0)"),
        ("st_explicit_offsets.npy", 1, "(5, 6)"),
    ] {
        let any = AnyStore::open(vector(name)).unwrap();
        assert_eq!(any.element(&[index]).unwrap().to_string(), text, "{name}");
    }
}

#[test]
fn no_element_lies_outside_the_array() {
    let any = AnyStore::open(vector("sh_4x6_f_be.npy")).unwrap();
    assert_eq!(any.order(), Order::F);
    assert_eq!(any.element(&[3, 5]).unwrap().to_string(), "23");
    for index in [
        &[4, 0][..],
        &[0, 6],
        &[0],
        &[0, 0, 0],
        &[usize::MAX, usize::MAX],
    ] {
        assert!(any.element(index).is_err(), "{index:?}");
    }
    let any = AnyStore::open(vector("sh_0x3.npy")).unwrap();
    assert!(any.element(&[0, 0]).is_err());
}

/// Prints the one element of a raw file of these bytes.
fn shown(descr: &str, bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("any.npy");
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ()}}\n");
    let len = u16::try_from(header.len()).unwrap().to_le_bytes();
    std::fs::write(
        &path,
        [b"\x93NUMPY\x01\0", &len[..], header.as_bytes(), bytes].concat(),
    )
    .unwrap();
    AnyStore::open(&path)
        .unwrap()
        .element(&[])
        .unwrap()
        .to_string()
}

#[test]
fn bytes_and_texts_print_as_python_literals() {
    assert_eq!(
        shown("'|S8'", b"a'b\"\n\x7f\xff\\"),
        "b'a\\'b\"\\n\\x7f\\xff\\\\'"
    );
    assert_eq!(shown("'|S4'", b"it's"), "b\"it's\"");
    assert_eq!(shown("'|V3'", b"ab\0"), "b'\\x61\\x62\\x00'");
    assert_eq!(shown("'<U2'", b"\0\xd8\0\0'\0\0\0"), "\"\u{fffd}'\"");
    assert_eq!(
        shown("'<f16'", &[0; 16]),
        format!("b'{}'", "\\x00".repeat(16))
    );
    assert_eq!(shown("[]", b""), "()");
    let hollow = "[('a', '<f8', (2147483647, 2147483647, 0)), ('b', [], (2147483647,))]";
    assert_eq!(shown(hollow, b""), "([], [])");
}

macro_rules! keep_their_bytes {
    ($($name:ident: $type:ident,)*) => {
        proptest! {$(
            #[test]
            fn $name(value: $type) {
                let (be, le) = (Be::from(value), Le::from(value));
                prop_assert_eq!(bytemuck::bytes_of(&be), value.to_be_bytes());
                prop_assert_eq!(bytemuck::bytes_of(&le), value.to_le_bytes());
                prop_assert_eq!(be.get().to_ne_bytes(), value.to_ne_bytes());
                prop_assert_eq!(le.get().to_ne_bytes(), value.to_ne_bytes());
                prop_assert_eq!(be.to_string(), value.to_string());
                prop_assert_eq!(be.partial_cmp(&Be::from($type::default())), value.partial_cmp(&$type::default()));
            }
        )*}
    };
}

keep_their_bytes! {
    i8_keeps_its_bytes: i8, i16_keeps_its_bytes: i16, i32_keeps_its_bytes: i32, i64_keeps_its_bytes: i64,
    u8_keeps_its_bytes: u8, u16_keeps_its_bytes: u16, u32_keeps_its_bytes: u32, u64_keeps_its_bytes: u64,
    f32_keeps_its_bytes: f32, f64_keeps_its_bytes: f64,
}

proptest! {
    #[test]
    fn compound_values_keep_their_bytes(count: i64, text in "\\PC{0,4}") {
        let time = Be::from(Datetime64::<unit::Ns>::new(count));
        prop_assert_eq!(bytemuck::bytes_of(&time), count.to_be_bytes());
        let be = Be::from(Text::<4>::try_from(&*text).unwrap());
        let units = text.chars().chain(std::iter::repeat('\0')).take(4);
        let bytes: Vec<u8> = units.flat_map(|char| u32::from(char).to_be_bytes()).collect();
        prop_assert_eq!(bytemuck::bytes_of(&be), &bytes[..]);
        prop_assert_eq!(be.get().decode().unwrap(), text.trim_end_matches('\0'));
        #[cfg(feature = "num-complex")]
        {
            let (re, im) = (count as f64, -0.5);
            let complex = Be::from(num_complex::Complex::new(re, im));
            let bytes = [re, im].map(f64::to_be_bytes).concat();
            prop_assert_eq!(bytemuck::bytes_of(&complex), &bytes[..]);
        }
        #[cfg(feature = "half")]
        {
            let half = half::f16::from_f64(count as f64);
            prop_assert_eq!(bytemuck::cast::<_, [u8; 2]>(Be::from(half)), half.to_be_bytes());
        }
    }
}
