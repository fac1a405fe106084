//! Every dtype in both byte orders, and a thousand random ones: the same names, layouts and bytes
//! on both sides.
//!
//! The other side is `tests/interop/dtypes.py`.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{
    AccessMode, AnyStore, Be, Bool8, Bytes, DType, Datetime64, Element, Le, Mode, Options, Order,
    Pad, ReadOnly, ReadWrite, Text, Timedelta64, Void, record, unit,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ORDERS, letter, python};

const SHAPES: [&[usize]; 4] = [&[], &[0, 3], &[5], &[2, 3, 4]];

const MODES: [Mode; 2] = [Mode::Read, Mode::ReadWrite];

const NATIVE: char = if cfg!(target_endian = "big") {
    '>'
} else {
    '<'
};

/// A record with all that a record can have, its numbers in one byte order.
macro_rules! nested {
    ($($inner:ident, $outer:ident: $order:ident;)*) => {$(
        record! {
            struct $inner {
                flag: Bool8,
                _gap: Pad<3>,
                value: $order<f32> = ("Wert", "value"),
            }

            struct $outer {
                name: Bytes<5>,
                pair: [$inner; 2],
                _gap: Pad<2>,
                matrix: [[$order<i16>; 3]; 2] = ("値", "m 'x'"),
                time: $order<Datetime64<unit::Ns>>,
                label: $order<Text<2>>,
                void: Void<3>,
                _tail: Pad<3>,
            }
        }
    )*};
}

nested! {
    InnerLe, NestedLe: Le;
    InnerBe, NestedBe: Be;
}

/// The descr of the record of one byte order.
fn nested(order: char) -> String {
    format!(
        "[('name', '|S5'), ('pair', [('flag', '|b1'), ('', '|V3'), (('Wert', 'value'), '{order}f4')], (2,)), \
         ('', '|V2'), (('値', \"m 'x'\"), '{order}i2', (2, 3)), ('time', '{order}M8[ns]'), ('label', '{order}U2'), \
         ('void', '|V3'), ('', '|V3')]"
    )
}

/// A file that NumPy wrote, and what is in it.
struct Saved {
    path: PathBuf,
    descr: String,
    shape: Vec<usize>,
    /// What NumPy was asked for. Where both orders are one, the file says C.
    asked: Order,
    order: Order,
    /// The data as they lie in the file.
    memory: Vec<u8>,
    /// The elements in C order.
    logical: Vec<u8>,
}

impl Saved {
    /// The path of another file with the same array.
    fn sibling(&self, writer: &str) -> PathBuf {
        self.path.with_extension(format!("{writer}.npy"))
    }
}

/// A dtype, and what opens and writes a file of it by its Rust type.
struct Case {
    descr: String,
    typed: Option<fn(&Saved) -> Vec<PathBuf>>,
}

impl Case {
    fn of<A: Element>(descr: impl Into<String>) -> Case {
        let typed = Some(through::<A> as fn(&Saved) -> Vec<PathBuf>);
        let descr = descr.into();
        Case { descr, typed }
    }
}

/// Opens a file by the Rust type in each mode, writes its elements to new files, and returns the
/// paths of these.
fn through<A: Element>(saved: &Saved) -> Vec<PathBuf> {
    assert_eq!(A::dtype().descr(), saved.descr);
    let mut array = None;
    for mode in MODES {
        let any = AnyStore::open_mode(&saved.path, mode).unwrap();
        let read = match mode {
            Mode::Read => elements::<A, ReadOnly>(any),
            _ => elements::<A, ReadWrite>(any),
        };
        assert_eq!(read.shape(), saved.shape);
        let bytes: Vec<u8> = read
            .iter()
            .flat_map(|element| bytemuck::bytes_of(element).to_vec())
            .collect();
        assert_eq!(bytes, saved.logical, "{}", saved.descr);
        array = Some(read);
    }
    let array = array.unwrap();
    let write = |writer: &str| {
        let path = saved.sibling(writer);
        let compact = writer == "compact";
        // A compact header says what it is asked for as well, and is to be the one of `np.save`.
        let order = if compact { saved.order } else { saved.asked };
        let options = Options::new().order(order).compact(compact);
        options.create_from(&path, &array).unwrap().close().unwrap();
        path
    };
    vec![write("native"), write("compact")]
}

fn elements<A: Element, M: AccessMode>(any: AnyStore) -> ArrayD<A> {
    let store = any.downcast::<A, IxDyn, M>().unwrap();
    store.read_all().unwrap().to_owned()
}

/// The dtypes: each type whose bytes have an order in three ways.
fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::of::<Bool8>("|b1"),
        Case::of::<i8>("|i1"),
        Case::of::<u8>("|u1"),
        Case::of::<Bytes<5>>("|S5"),
        Case::of::<Void<7>>("|V7"),
        Case::of::<NestedLe>(nested('<')),
        Case::of::<NestedBe>(nested('>')),
    ];
    macro_rules! ordered {
        ($($type:ty: $code:literal;)*) => {$(
            cases.push(Case::of::<$type>(format!("{NATIVE}{}", $code)));
            cases.push(Case::of::<Le<$type>>(concat!("<", $code)));
            cases.push(Case::of::<Be<$type>>(concat!(">", $code)));
        )*};
    }
    ordered! {
        i16: "i2";
        i32: "i4";
        i64: "i8";
        u16: "u2";
        u32: "u4";
        u64: "u8";
        f32: "f4";
        f64: "f8";
        Text<3>: "U3";
        Datetime64<unit::Ns>: "M8[ns]";
        Datetime64<unit::Second, 25>: "M8[25s]";
        Timedelta64<unit::Us>: "m8[us]";
        Timedelta64<unit::Generic>: "m8";
    }
    #[cfg(feature = "half")]
    ordered! {
        half::f16: "f2";
    }
    #[cfg(feature = "num-complex")]
    ordered! {
        num_complex::Complex<f32>: "c8";
        num_complex::Complex<f64>: "c16";
    }
    // Without a Rust type.
    for code in ["f16", "c32"] {
        for order in ['<', '>'] {
            let descr = format!("{order}{code}");
            cases.push(Case { descr, typed: None });
        }
    }
    cases
}

/// How many cases there are, and how many of them have a Rust type.
const CASES: (usize, usize) = {
    let ordered = 13 + cfg!(feature = "half") as usize + 2 * cfg!(feature = "num-complex") as usize;
    (7 + 3 * ordered + 4, 7 + 3 * ordered)
};

fn unhex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    digits
        .chunks_exact(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// Receives a file of NumPy's in a native file and in a compact one, which has the same bytes.
fn receive(path: &Path, bytes: &[u8]) -> (PathBuf, PathBuf) {
    let receive = |compact| {
        let writer = if compact {
            "received-compact.npy"
        } else {
            "received.npy"
        };
        let target = path.with_extension(writer);
        let options = Options::new().compact(compact).expect_end(true);
        let any = options.receive_any(bytes, &target).unwrap().unwrap();
        any.close().unwrap();
        target
    };
    let (native, compact) = (receive(false), receive(true));
    assert_eq!(fs::read(&compact).unwrap(), bytes, "{}", path.display());
    (native, compact)
}

/// What `np.save` writes of every dtype opens in every mode with the same bytes, and what the crate
/// writes of it NumPy loads and maps in every mode; a compact file is `np.save`'s byte for byte.
///
/// `cargo test --all-features --test interop -- --ignored dtypes --nocapture`
#[test]
#[ignore = "needs python3 with NumPy"]
fn every_dtype_goes_both_ways() {
    let directory = TempDir::new().unwrap();
    let cases = cases();
    let typed = cases.iter().filter(|case| case.typed.is_some()).count();
    assert_eq!((cases.len(), typed), CASES);

    let mut asked = Vec::new();
    for case in &cases {
        for shape in SHAPES {
            for order in ORDERS {
                asked.push((case, shape, order));
            }
        }
    }
    let entry = |(index, (case, shape, order)): (usize, &(&Case, &[usize], Order))| {
        let path = directory.path().join(format!("{index}.npy"));
        json!({ "path": path, "descr": case.descr, "shape": shape, "order": letter(*order) })
    };
    let entries: Vec<Value> = asked.iter().enumerate().map(entry).collect();
    let report = python("dtypes.py", "save", directory.path(), &entries);
    let reports = report["saved"].as_array().unwrap();
    assert_eq!(reports.len(), asked.len());

    let mut written = Vec::new();
    let (mut opened, mut identical) = (0, 0);
    for ((entry, report), (case, shape, order)) in entries.iter().zip(reports).zip(asked) {
        let saved = Saved {
            path: PathBuf::from(entry["path"].as_str().unwrap()),
            descr: case.descr.clone(),
            shape: shape.to_vec(),
            asked: order,
            order: ORDERS
                .into_iter()
                .find(|order| report["order"] == letter(*order))
                .unwrap(),
            memory: unhex(&report["memory"]),
            logical: unhex(&report["logical"]),
        };
        let bytes = fs::read(&saved.path).unwrap();
        for mode in MODES {
            let any = AnyStore::open_mode(&saved.path, mode).unwrap();
            assert_eq!(any.dtype().descr(), saved.descr);
            assert_eq!(
                (any.shape(), any.order()),
                (shape, saved.order),
                "{}",
                saved.descr
            );
            let size = any.dtype().itemsize() * shape.iter().product::<usize>();
            assert_eq!(saved.memory.len(), size);
            assert_eq!(any.to_bytes().unwrap(), saved.memory, "{}", saved.descr);
            opened += 1;
        }
        let mut paths = Vec::new();
        if let Some(typed) = case.typed {
            paths = typed(&saved);
            assert_eq!(fs::read(&paths[1]).unwrap(), bytes, "{}", saved.descr);
            identical += 1;
            opened += MODES.len();
        }
        let (native, compact) = receive(&saved.path, &bytes);
        paths.extend([native, compact]);
        identical += 1;
        assert_eq!(fs::read(&saved.path).unwrap(), bytes, "{}", saved.descr);
        for path in paths {
            let mut entry = entry.clone();
            entry["path"] = json!(path);
            entry["order"] = report["order"].clone();
            entry["memory"] = report["memory"].clone();
            written.push(entry);
        }
    }
    let files = cases.len() * SHAPES.len() * ORDERS.len();
    let typed_files = typed * SHAPES.len() * ORDERS.len();
    assert_eq!(entries.len(), files);
    assert_eq!(opened, (files + typed_files) * MODES.len());
    assert_eq!(identical, files + typed_files);
    assert_eq!(written.len(), (files + typed_files) * 2);

    let loaded = python("dtypes.py", "load", directory.path(), &written);
    assert_eq!(loaded["checks"], written.len() * 4);
    println!(
        "{} dtypes, {typed} with a Rust type: {files} files of np.save's opened {opened} times, {identical} compact \
         files identical, {} files loaded {} times by NumPy {}",
        cases.len(),
        written.len(),
        loaded["checks"],
        loaded["numpy"],
    );
}

/// What [`same`] has compared.
#[derive(Default)]
struct Compared {
    records: usize,
    fields: usize,
    gaps: usize,
    titles: usize,
    sub_arrays: usize,
}

/// Compares a dtype with what NumPy says about it, field by field.
fn same(dtype: &DType, tree: &Value, compared: &mut Compared) {
    let descr = tree["descr"].as_str().unwrap();
    assert_eq!(dtype.descr(), descr);
    assert_eq!(tree["name"], dtype.name(), "{descr}");
    assert_eq!(tree["itemsize"], dtype.itemsize(), "{descr}");
    let Some(fields) = dtype.fields() else {
        assert!(tree["fields"].is_null(), "{descr}");
        return;
    };
    compared.records += 1;
    let trees = tree["fields"].as_array().unwrap();
    assert_eq!(fields.len(), trees.len(), "{descr}");
    for (field, tree) in fields.iter().zip(trees) {
        assert_eq!(tree["name"], field.name(), "{descr}");
        assert_eq!(tree["title"].as_str(), field.title(), "{descr}");
        assert_eq!(tree["offset"], field.offset(), "{descr}");
        assert_eq!(tree["itemsize"], field.itemsize(), "{descr}");
        assert_eq!(tree["shape"], json!(field.shape()), "{descr}");
        same(field.dtype(), &tree["dtype"], compared);
        compared.fields += 1;
        compared.titles += usize::from(field.title().is_some());
        compared.sub_arrays += usize::from(!field.shape().is_empty());
    }
    let used: usize = fields.iter().map(|field| field.itemsize()).sum();
    compared.gaps += usize::from(used < dtype.itemsize());
}

/// Random dtypes are to the crate what they are to NumPy, there and back: descr, name, size,
/// fields, and the file.
///
/// A sub-array of sub-arrays is not among them: the crate writes it as one.
///
/// `cargo test --all-features --test interop -- --ignored dtypes --nocapture`
#[test]
#[ignore = "needs python3 with NumPy"]
fn numpy_agrees_on_a_thousand_random_dtypes() {
    const COUNT: usize = 1000;
    let directory = TempDir::new().unwrap();
    let path = |index: usize| directory.path().join(format!("{index}.npy"));
    let asked: Vec<Value> = (0..COUNT)
        .map(|index| json!({ "path": path(index) }))
        .collect();
    let report = python("dtypes.py", "generate", directory.path(), &asked);
    let trees = report["trees"].as_array().unwrap();
    assert_eq!(trees.len(), COUNT);

    let mut compared = Compared::default();
    let mut answers = Vec::new();
    for (index, tree) in trees.iter().enumerate() {
        let dtype = DType::parse(tree["descr"].as_str().unwrap()).unwrap();
        same(&dtype, tree, &mut compared);
        let path = path(index);
        let any = AnyStore::open(&path).unwrap();
        assert_eq!(*any.dtype(), dtype);
        assert_eq!(any.shape(), [2]);
        any.close().unwrap();
        let (native, compact) = receive(&path, &fs::read(&path).unwrap());
        answers.push(json!({ "descr": dtype.descr(), "native": native, "compact": compact }));
    }
    let back = python("dtypes.py", "back", directory.path(), &answers);
    assert_eq!(back["checks"], COUNT * 3);

    let Compared {
        records,
        fields,
        gaps,
        titles,
        sub_arrays,
    } = compared;
    println!(
        "{COUNT} dtypes: {records} records, {gaps} of them with gaps, {fields} fields, {titles} titles, {sub_arrays} \
         sub-arrays; {} checks on the way back by NumPy {}",
        back["checks"], back["numpy"],
    );
    assert!(records > 700 && gaps > 300 && fields > 2000 && titles > 300 && sub_arrays > 300);
}
