//! The crate and NumPy on the same files: each reads what the other wrote, in every mode.
//!
//! Needs `python3` with NumPy, and fails where they are missing:
//! `cargo test --test interop -- --ignored --nocapture`. The other side is `tests/interop/peer.py`,
//! one process a step.

mod beside;
mod dtypes;
mod gather;
#[path = "../integration/mapped.rs"]
mod mapped;
mod moves;
mod reduce;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::prelude::*;
use ndstore::{AnyStore, Bool8, Element, Mode, Options, Order, ReadOnly, ReadWrite, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use mapped::{copy_on_write, mapped};

/// The shapes that each type is tried in.
const SHAPES: [&[usize]; 6] = [&[], &[0], &[0, 3], &[5], &[3, 4], &[2, 3, 4]];

const ORDERS: [Order; 2] = [Order::C, Order::F];

/// How many types [`Types::each`] visits.
const TYPES: usize =
    11 + cfg!(feature = "half") as usize + 2 * cfg!(feature = "num-complex") as usize;

/// A type with a value for each index: the value that `peer.py` computes, too.
trait Sample: Element + PartialEq + std::fmt::Debug {
    fn sample(index: usize) -> Self;
}

/// Odd indices are negative where the type has a sign.
fn signed(index: usize) -> i8 {
    let value = i8::try_from(index + 1).unwrap();
    if index % 2 == 1 { -value } else { value }
}

macro_rules! samples {
    ($($type:ty: $index:ident => $value:expr;)*) => {$(
        impl Sample for $type {
            fn sample($index: usize) -> Self {
                $value
            }
        }
    )*};
}

samples! {
    i8: index => signed(index);
    i16: index => signed(index).into();
    i32: index => signed(index).into();
    i64: index => signed(index).into();
    u8: index => index as u8 + 1;
    u16: index => index as u16 + 1;
    u32: index => index as u32 + 1;
    u64: index => index as u64 + 1;
    f32: index => f32::from(signed(index)) / 4.0;
    f64: index => f64::from(signed(index)) / 4.0;
    Bool8: index => Bool8::from(index.is_multiple_of(3));
}

#[cfg(feature = "half")]
samples! {
    half::f16: index => half::f16::from_f32(f32::sample(index));
}

#[cfg(feature = "num-complex")]
samples! {
    num_complex::Complex<f32>: index => num_complex::Complex::new(f32::sample(index), -2.0 * f32::sample(index));
    num_complex::Complex<f64>: index => num_complex::Complex::new(f64::sample(index), -2.0 * f64::sample(index));
}

/// Something to be done for each element type.
trait Visit {
    fn visit<A: Sample>(&mut self);

    fn each(&mut self) {
        self.visit::<i8>();
        self.visit::<i16>();
        self.visit::<i32>();
        self.visit::<i64>();
        self.visit::<u8>();
        self.visit::<u16>();
        self.visit::<u32>();
        self.visit::<u64>();
        self.visit::<f32>();
        self.visit::<f64>();
        self.visit::<Bool8>();
        #[cfg(feature = "half")]
        self.visit::<half::f16>();
        #[cfg(feature = "num-complex")]
        self.visit::<num_complex::Complex<f32>>();
        #[cfg(feature = "num-complex")]
        self.visit::<num_complex::Complex<f64>>();
    }
}

/// The array of this shape whose elements are the samples in C order, from `first` on.
fn samples<A: Sample>(shape: &[usize], first: usize) -> ArrayD<A> {
    let mut indices = first..;
    ArrayD::from_shape_simple_fn(shape, || A::sample(indices.next().unwrap()))
}

fn letter(order: Order) -> &'static str {
    match order {
        Order::C => "C",
        Order::F => "F",
    }
}

/// A file, and what is in it: an entry of the manifest that both sides read.
fn entry<A: Sample>(path: &Path, shape: &[usize], order: Order, writer: &str) -> Value {
    json!({
        "path": path,
        "descr": A::dtype().descr(),
        "shape": shape,
        "order": letter(order),
        "writer": writer,
    })
}

/// Runs one step of a script over all files, and returns what it reports.
fn python(script: &str, step: &str, directory: &Path, files: &[Value]) -> Value {
    let manifest = directory.join("manifest.json");
    fs::write(&manifest, serde_json::to_vec(files).unwrap()).unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    let output = Command::new("python3")
        .arg(scripts.join(script))
        .arg(step)
        .arg(&manifest)
        .output()
        .expect("this test needs `python3` on the PATH");
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`{step}` failed (it needs NumPy)\n{out}\n{err}"
    );
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("no report: {out}\n{err}"))
}

/// Runs one step of `peer.py` over all files, and returns how many checks it made.
fn peer(step: &str, directory: &Path, files: &[Value]) -> u64 {
    let report = python("peer.py", step, directory, files);
    assert_eq!(report["files"], files.len());
    println!("{step}: {report}");
    report["checks"].as_u64().unwrap()
}

/// Writes every type, shape and order under every header.
struct Write<'a> {
    directory: &'a Path,
    files: Vec<Value>,
}

impl Visit for Write<'_> {
    fn visit<A: Sample>(&mut self) {
        for shape in SHAPES {
            for order in ORDERS {
                for writer in ["native", "compact", "raw"] {
                    let path = self.directory.join(format!("{}.npy", self.files.len()));
                    let options = Options::new().order(order).compact(writer == "compact");
                    let options = if writer == "raw" {
                        options.raw(24)
                    } else {
                        options
                    };
                    let array = samples::<A>(shape, 0);
                    // Both ways to fill a new file, in turn.
                    let store = if self.files.len().is_multiple_of(2) {
                        options.create_from(&path, &array).unwrap()
                    } else {
                        let mut store = options.create::<A, IxDyn>(&path, IxDyn(shape)).unwrap();
                        store.write_all(&array).unwrap();
                        store
                    };
                    let mut entry = entry::<A>(&path, shape, order, writer);
                    entry["offset"] = store.offset().into();
                    store.close().unwrap();
                    self.files.push(entry);
                }
            }
        }
    }
}

/// Opens every file again, after NumPy has moved its samples on by `first`, and moves them on by
/// one more.
struct Reread<'a> {
    files: std::slice::Iter<'a, Value>,
    first: usize,
}

impl Visit for Reread<'_> {
    fn visit<A: Sample>(&mut self) {
        for shape in SHAPES {
            for _ in 0..ORDERS.len() * 3 {
                let entry = self.files.next().unwrap();
                let path = Path::new(entry["path"].as_str().unwrap());
                let mut options = Options::new();
                if entry["writer"] == "raw" {
                    let order = if entry["order"] == "F" {
                        Order::F
                    } else {
                        Order::C
                    };
                    options = options.raw(24).shape(IxDyn(shape)).order(order);
                }
                let store = options.open_rw::<A, IxDyn>(path).unwrap();
                assert_eq!(
                    store.read_all().unwrap(),
                    samples::<A>(shape, self.first),
                    "{entry}"
                );
                let mut map = mapped(store);
                map.view_mut().assign(&samples::<A>(shape, self.first + 1));
            }
        }
    }
}

/// NumPy loads, maps in each mode and maps by offset every file that the crate writes; a compact
/// one is `np.save`'s byte for byte; and each sees what the other changes.
///
/// `cargo test --test interop -- --ignored --nocapture`
#[test]
#[ignore = "needs python3 with NumPy"]
fn numpy_reads_and_changes_what_the_crate_writes_and_the_crate_sees_it() {
    let directory = TempDir::new().unwrap();
    let mut write = Write {
        directory: directory.path(),
        files: Vec::new(),
    };
    write.each();
    let files = write.files;
    let per_writer = TYPES * SHAPES.len() * ORDERS.len();
    assert_eq!(files.len(), per_writer * 3);

    // A raw file is mapped in three modes, a file with a header loaded and mapped in four ways
    // more; and a native one lies on a page, a compact one is `np.save`'s.
    let checks = peer("read", directory.path(), &files);
    assert_eq!(checks as usize, per_writer * (3 + 8 + 8));

    assert_eq!(
        peer("change", directory.path(), &files) as usize,
        files.len()
    );
    let mut reread = Reread {
        files: files.iter(),
        first: 1,
    };
    reread.each();
    assert!(reread.files.next().is_none());
    assert_eq!(peer("see", directory.path(), &files) as usize, files.len());
}

/// A compact header is `np.save`'s whatever its length, also where one more character takes another
/// 64 bytes.
///
/// `cargo test --test interop -- --ignored --nocapture`
#[test]
#[ignore = "needs python3 with NumPy"]
fn a_compact_header_of_any_length_is_the_one_that_np_save_writes() {
    let directory = TempDir::new().unwrap();
    let mut files = Vec::new();
    for ndim in 2..=32 {
        for first in [2, 10, 100] {
            for order in ORDERS {
                let mut shape = vec![1; ndim];
                (shape[0], shape[ndim - 1]) = (first, 2);
                let path = directory.path().join(format!("{}.npy", files.len()));
                let options = Options::new().order(order).compact(true);
                let store = options
                    .create_from(&path, &samples::<u8>(&shape, 0))
                    .unwrap();
                let mut entry = entry::<u8>(&path, &shape, order, "compact");
                entry["offset"] = store.offset().into();
                store.close().unwrap();
                files.push(entry);
            }
        }
    }
    assert_eq!(files.len(), 31 * 3 * 2);
    let checks = peer("read", directory.path(), &files);
    assert_eq!(checks as usize, files.len() * 8);
}

/// Asks NumPy for every type, shape and order.
struct Ask<'a> {
    directory: &'a Path,
    files: Vec<Value>,
}

impl Visit for Ask<'_> {
    fn visit<A: Sample>(&mut self) {
        for shape in SHAPES {
            for order in ORDERS {
                for writer in ["save", "open_memmap"] {
                    let path = self.directory.join(format!("{}.npy", self.files.len()));
                    self.files.push(entry::<A>(&path, shape, order, writer));
                }
            }
        }
    }
}

/// Opens every file that NumPy wrote in every mode.
struct Open<'a> {
    files: std::slice::Iter<'a, Value>,
    checks: usize,
}

impl Visit for Open<'_> {
    fn visit<A: Sample>(&mut self) {
        for shape in SHAPES {
            for order in ORDERS {
                for _ in 0..2 {
                    let entry = self.files.next().unwrap();
                    let path = PathBuf::from(entry["path"].as_str().unwrap());
                    self.open::<A>(&path, shape, order, entry);
                }
            }
        }
    }
}

impl Open<'_> {
    fn open<A: Sample>(&mut self, path: &Path, shape: &[usize], order: Order, entry: &Value) {
        let expected = samples::<A>(shape, 0);
        // Where both orders are one, `np.save` says C, and `open_memmap` what it was asked for.
        let is_both = expected.is_standard_layout() && expected.t().is_standard_layout();
        let order = match is_both && entry["writer"] == "save" {
            true => Order::C,
            false => order,
        };
        let in_file: Vec<u8> = match order {
            Order::C => expected
                .iter()
                .flat_map(|x| bytemuck::bytes_of(x).to_vec())
                .collect(),
            Order::F => expected
                .t()
                .iter()
                .flat_map(|x| bytemuck::bytes_of(x).to_vec())
                .collect(),
        };
        let before = fs::read(path).unwrap();
        for mode in [Mode::Read, Mode::ReadWrite] {
            let any = AnyStore::open_mode(path, mode).unwrap();
            assert_eq!(any.dtype().descr(), entry["descr"], "{entry}");
            assert_eq!(
                (any.shape(), any.order(), any.offset()),
                (shape, order, 128),
                "{entry}"
            );
            assert_eq!(any.to_bytes().unwrap(), in_file, "{entry}");
            match mode {
                Mode::Read => {
                    let store = any.downcast::<A, IxDyn, ReadOnly>().unwrap();
                    assert_eq!(store.read_all().unwrap(), expected);
                    let mut private = copy_on_write(store);
                    assert_eq!(private.view(), expected);
                    private.view_mut().fill(A::sample(40));
                }
                _ => assert_eq!(
                    any.downcast::<A, IxDyn, ReadWrite>()
                        .unwrap()
                        .read_all()
                        .unwrap(),
                    expected
                ),
            }
            self.checks += 1;
        }
        assert_eq!(fs::read(path).unwrap(), before, "{entry}");
        let mut store = Store::<A, IxDyn>::open_rw(path).unwrap();
        store.write_all(&samples::<A>(shape, 2)).unwrap();
    }
}

/// The crate opens in every mode what `np.save` and `open_memmap` write, and NumPy sees what it
/// changes.
///
/// `cargo test --test interop -- --ignored --nocapture`
#[test]
#[ignore = "needs python3 with NumPy"]
fn the_crate_reads_and_changes_what_numpy_writes_and_numpy_sees_it() {
    let directory = TempDir::new().unwrap();
    let mut ask = Ask {
        directory: directory.path(),
        files: Vec::new(),
    };
    ask.each();
    let files = ask.files;
    assert_eq!(files.len(), TYPES * SHAPES.len() * ORDERS.len() * 2);
    assert_eq!(
        peer("write", directory.path(), &files) as usize,
        files.len()
    );
    let mut open = Open {
        files: files.iter(),
        checks: 0,
    };
    open.each();
    assert!(open.files.next().is_none());
    assert_eq!(open.checks, files.len() * 2);
    println!("open: {} checks", open.checks);
    assert_eq!(peer("see", directory.path(), &files) as usize, files.len());
}

/// A store that is open and a map of NumPy's show the same bytes at the same time, both ways.
///
/// `cargo test --test interop -- --ignored --nocapture`
#[test]
#[ignore = "needs python3 with NumPy"]
fn a_change_in_an_open_store_is_seen_by_numpy_without_a_flush() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("shared.npy");
    let mut store = Store::<i32, _>::create(&path, IxDyn(&[3, 4])).unwrap();
    store.write_all(&samples::<i32>(&[3, 4], 2)).unwrap();
    let file = entry::<i32>(&path, &[3, 4], Order::C, "native");
    assert_eq!(
        peer("see", directory.path(), std::slice::from_ref(&file)),
        1
    );
    assert_eq!(store.read_all().unwrap(), samples::<i32>(&[3, 4], 2));
}

/// Makes files whose first rows are there, and has the crate add the others.
struct Grow<'a> {
    directory: &'a Path,
    files: Vec<Value>,
}

/// How many rows there are before the growth, and after it. From 9 to 12 the header needs another
/// digit.
const GROWTH: [(usize, usize); 3] = [(0, 3), (2, 5), (9, 12)];

/// The shape with so many rows, 2 x 2 elements each.
fn shape_with_rows(rows: usize, order: Order) -> [usize; 3] {
    match order {
        Order::C => [rows, 2, 2],
        Order::F => [2, 2, rows],
    }
}

impl Visit for Grow<'_> {
    fn visit<A: Sample>(&mut self) {
        for (before, _) in GROWTH {
            for order in ORDERS {
                let shape = shape_with_rows(before, order);
                for writer in ["native", "compact", "raw", "save", "open_memmap"] {
                    let path = self.directory.join(format!("{}.npy", self.files.len()));
                    self.files.push(entry::<A>(&path, &shape, order, writer));
                }
            }
        }
    }
}

/// Grows every file to the array of the third samples.
struct Append<'a> {
    files: std::slice::IterMut<'a, Value>,
}

impl Visit for Append<'_> {
    fn visit<A: Sample>(&mut self) {
        for (before, after) in GROWTH {
            for order in ORDERS {
                for writer in ["native", "compact", "raw", "save", "open_memmap"] {
                    let entry = self.files.next().unwrap();
                    let path = PathBuf::from(entry["path"].as_str().unwrap());
                    let old = shape_with_rows(before, order);
                    let mut store = if matches!(writer, "save" | "open_memmap") {
                        Store::<A, Ix3>::open_rw(&path).unwrap()
                    } else {
                        let options = Options::new().order(order).compact(writer == "compact");
                        let options = match writer {
                            "raw" => options.raw(24),
                            _ => options,
                        };
                        options.create::<A, _>(&path, old).unwrap()
                    };
                    // An empty array is in C order for `np.save`, and so is a row of it.
                    let axis = match store.order() {
                        Order::C => Axis(0),
                        Order::F => Axis(2),
                    };
                    let mut shape = old;
                    shape[axis.index()] = old[axis.index()] + after - before;
                    let whole = samples::<A>(&shape, 2)
                        .into_dimensionality::<Ix3>()
                        .unwrap();
                    let (first, rest) = whole.view().split_at(axis, old[axis.index()]);
                    store.write_all(&first).unwrap();
                    let (one, others) = rest.split_at(axis, 1);
                    store.append(&others).unwrap();
                    store.truncate(old[axis.index()]).unwrap();
                    store.push(&one.index_axis(axis, 0)).unwrap();
                    let mut appender = store.appender().unwrap();
                    for row in others.axis_iter(axis) {
                        appender.push(&row).unwrap();
                    }
                    appender.flush().unwrap();
                    assert_eq!(store.read_all().unwrap(), whole);
                    entry["shape"] = json!(shape);
                    entry["order"] = letter(store.order()).into();
                    entry["offset"] = store.offset().into();
                    store.close().unwrap();
                }
            }
        }
    }
}

/// Files that the crate or NumPy wrote grow here in place, and NumPy sees all of their rows.
///
/// `cargo test --test interop -- --ignored --nocapture`
#[test]
#[ignore = "needs python3 with NumPy"]
fn numpy_sees_the_rows_by_which_a_file_grew_whoever_wrote_it() {
    let directory = TempDir::new().unwrap();
    let mut grow = Grow {
        directory: directory.path(),
        files: Vec::new(),
    };
    grow.each();
    let mut files = grow.files;
    let of_numpy = |entry: &Value| matches!(entry["writer"].as_str(), Some("save" | "open_memmap"));
    let written: Vec<Value> = files
        .iter()
        .filter(|entry| of_numpy(entry))
        .cloned()
        .collect();
    assert_eq!(written.len(), TYPES * GROWTH.len() * ORDERS.len() * 2);
    peer("write", directory.path(), &written);
    let mut append = Append {
        files: files.iter_mut(),
    };
    append.each();
    assert!(append.files.next().is_none());
    assert_eq!(peer("see", directory.path(), &files) as usize, files.len());
    for entry in files.iter().filter(|entry| of_numpy(entry)) {
        // Not rewritten: the data start where NumPy put them.
        assert_eq!(entry["offset"], 128);
    }
}

#[test]
#[ignore = "needs python3 with NumPy"]
fn a_pickle_is_saved_as_an_array() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    let python = |script: &str| {
        let done = Command::new("python3")
            .args(["-c", script])
            .arg(&path)
            .status();
        assert!(done.unwrap().success(), "{script}");
    };
    python("import pickle, sys; pickle.dump([1.0, 2.0], open(sys.argv[1], 'wb'))");
    let refused = AnyStore::open(&path).unwrap_err().to_string();
    assert!(refused.contains("load it in Python if you trust it, and `np.save` the array"));
    python(
        "import numpy as np, pickle, sys; a = pickle.load(open(sys.argv[1], 'rb')); np.save(sys.argv[1], a)",
    );
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(store.read_all().unwrap(), array![1.0, 2.0]);
}
