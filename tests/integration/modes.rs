//! The modes `r`, `r+`, `w+` and `c`, while a store lives and after it, for every type, rank and
//! order.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{
    AnyStore, Bool8, DType, Element, Error, ErrorKind, LockHolder, Mode, Options, Order, ReadOnly,
    ReadWrite, Store,
};
use tempfile::TempDir;

use super::mapped::copy_on_write;
use super::support::Why;
use super::support_numpy::{OPENING, Snapshot, look, look_dyn, pattern};

/// A directory and a path in it that names nothing yet.
fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("temp.dat");
    (directory, path)
}

#[test]
fn c_changes_never_reach_the_file() {
    let (_directory, path) = place();
    let kept = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    drop(Store::create_from(&path, &kept).unwrap());
    let before = Snapshot::of(&path);
    let mut store = copy_on_write(Store::<f64, Ix2>::open(&path).unwrap());
    store.view_mut().fill(-1.0);
    assert_eq!(Snapshot::of(&path), before, "written to");
    assert_eq!(store.view(), Array2::from_elem((2, 3), -1.0));
    assert_eq!(
        Store::<f64, Ix2>::open(&path).unwrap().read_all().unwrap(),
        kept,
        "beside a reader"
    );
    drop(store);
    assert_eq!(Snapshot::of(&path), before, "dropped");

    // Nor by way of a rank and a type that are known only at run time.
    let any = AnyStore::open(&path).unwrap();
    let mut store = copy_on_write(any.downcast::<f64, IxDyn, ReadOnly>().unwrap());
    store.view_mut().fill(-2.0);
    drop(store);
    assert_eq!(Snapshot::of(&path), before, "dropped");
}

#[test]
fn two_private_copies_do_not_see_each_other() {
    let (_directory, path) = place();
    drop(Store::create_from(&path, &array![1_u8, 2, 3]).unwrap());
    let mut one = copy_on_write(Store::<u8, Ix1>::open(&path).unwrap());
    let mut other = copy_on_write(Store::<u8, Ix1>::open(&path).unwrap());
    one.view_mut()[0] = 10;
    other.view_mut()[2] = 30;
    assert_eq!(one.view(), array![10, 2, 3]);
    assert_eq!(other.view(), array![1, 2, 30]);
}

#[test]
fn r_plus_changes_are_in_the_file_at_once_and_survive_a_drop_without_a_flush() {
    let (_directory, path) = place();
    drop(Store::create_from(&path, &array![1_u16, 2, 3]).unwrap());
    let mut store = Store::<u16, Ix1>::open_rw(&path).unwrap();
    store.set(1, 0x2a2b).unwrap();
    let data = |path: &Path| fs::read(path).unwrap()[4096..].to_vec();
    let expected: Vec<u8> = [1_u16, 0x2a2b, 3]
        .iter()
        .flat_map(|x| x.to_ne_bytes())
        .collect();
    assert_eq!(data(&path), expected, "while it is open");
    drop(store);
    assert_eq!(data(&path), expected, "after it");
    assert_eq!(
        Store::<u16, Ix1>::open(&path).unwrap().read_all().unwrap(),
        array![1, 0x2a2b, 3]
    );
}

#[test]
fn r_plus_leaves_what_surrounds_the_array_alone() {
    let (_directory, path) = place();
    fs::write(&path, pattern(60)).unwrap();
    let options = Options::new().raw(8).shape((2, 5)).allow_trailing(true);
    let mut store = options.open_rw::<f32, Ix2>(&path).unwrap();
    store.write_all(&arr0(0.0)).unwrap();
    store.close().unwrap();
    let expected = [&pattern(60)[..8], &[0; 40], &pattern(60)[48..]].concat();
    assert_eq!(fs::read(&path).unwrap(), expected);
}

#[test]
fn w_plus_gives_zeros_that_can_be_read_and_written() {
    let (_directory, path) = place();
    fs::write(&path, pattern(5000)).unwrap();
    let mut store = Store::<i32, _>::create(&path, (2, 3)).unwrap();
    assert_eq!(store.mode(), Mode::ReadWrite);
    assert_eq!(store.read_all().unwrap(), Array2::<i32>::zeros((2, 3)));
    store.set([1, 2], 7).unwrap();
    drop(store);
    assert_eq!(fs::metadata(&path).unwrap().len(), 4096 + 24);
    assert_eq!(
        Store::<i32, Ix2>::open(&path).unwrap().read_all().unwrap(),
        array![[0, 0, 0], [0, 0, 7]]
    );
}

#[test]
fn every_way_to_flush_succeeds_and_changes_nothing_but_when() {
    for order in [Order::C, Order::F] {
        let (_directory, path) = place();
        let mut store = Options::new()
            .order(order)
            .create::<f64, _>(&path, (300, 500))
            .unwrap();
        let expected = Array2::from_shape_fn((300, 500), |(i, j)| (i * 1000 + j) as f64);
        store.write_all(&expected).unwrap();
        store.flush_async().unwrap();
        let rows = if order == Order::C { 300 } else { 500 };
        store.flush_rows(..).unwrap();
        store.flush_rows(1..2).unwrap();
        store.flush_rows(..=rows - 1).unwrap();
        store.flush_rows(7..7).unwrap();
        store.flush_rows(rows..).unwrap();
        store.flush().unwrap();
        assert_eq!(store.read_all().unwrap(), expected);
        let refused = store.flush_rows(0..rows + 1).unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::RowsOutOfBounds { start: 0, end, rows: found, .. }
                if refused.path() == Some(&path) && *end == rows + 1 && *found == rows),
            "{refused:?}"
        );
        store
            .flush()
            .expect("a range that was refused is no lost write");
        store.close().unwrap();
        assert_eq!(
            Store::<f64, Ix2>::open(&path).unwrap().read_all().unwrap(),
            expected
        );
    }
}

#[test]
fn flushing_a_read_only_store_does_nothing() {
    let (_directory, path) = place();
    drop(Store::create_from(&path, &array![1, 2, 3]).unwrap());
    let store = Store::<i32, Ix1>::open(&path).unwrap();
    store.flush().unwrap();
    store.flush_async().unwrap();
    store.flush_rows(1..).unwrap();
    assert!(matches!(
        store.flush_rows(..4).why(),
        Some(ErrorKind::RowsOutOfBounds { .. })
    ));
    store.close().unwrap();
}

#[test]
fn an_array_without_axes_is_one_element_in_every_mode() {
    for options in [
        Options::new(),
        Options::new().compact(true),
        Options::new().raw(0),
    ] {
        let (_directory, path) = place();
        let mut store = options.create::<f64, _>(&path, ()).unwrap();
        assert_eq!((store.len(), store.ndim(), store.nbytes()), (1, 0, 8));
        store.write_all(&arr0(1.5)).unwrap();
        store.flush_rows(..).unwrap();
        store.close().unwrap();
        let options = options.shape(());
        assert_eq!(
            options
                .open::<f64, Ix0>(&path)
                .unwrap()
                .read_all()
                .unwrap()
                .into_scalar(),
            1.5
        );
        let mut private = copy_on_write(options.open::<f64, Ix0>(&path).unwrap());
        private.view_mut().fill(2.5);
        assert_eq!(private.view()[()], 2.5);
        drop(private);
        let mut store = options.open_rw::<f64, Ix0>(&path).unwrap();
        assert_eq!(store.read_all().unwrap()[()], 1.5);
        store.set((), 3.5).unwrap();
        drop(store);
        assert_eq!(
            options
                .open::<f64, IxDyn>(&path)
                .unwrap()
                .read_all()
                .unwrap()[IxDyn(&[])],
            3.5
        );
    }
}

#[test]
fn an_array_without_elements_works_in_every_mode_and_its_file_is_the_header() {
    for (options, header) in [
        (Options::new(), 4096),
        (Options::new().compact(true), 128),
        (Options::new().raw(0), 0),
        (Options::new().raw(100), 100),
    ] {
        for shape in [&[0][..], &[0, 4], &[3, 0], &[2, 0, 3]] {
            for order in [Order::C, Order::F] {
                let (_directory, path) = place();
                let options = options.clone().order(order);
                let mut store = options.create::<f64, IxDyn>(&path, IxDyn(shape)).unwrap();
                assert!(store.is_empty());
                assert!(store.to_bytes(ndstore::MemoryOrder::A).unwrap().is_empty());
                store.write_all(&arr0(1.0)).unwrap();
                store.flush_rows(..).unwrap();
                store.flush_async().unwrap();
                store.close().unwrap();
                assert_eq!(fs::metadata(&path).unwrap().len(), header, "{shape:?}");
                // The compact header calls an array Fortran-ordered only where that is not C order
                // as well.
                let options = if header == 128 {
                    Options::new()
                } else {
                    options
                };
                for mode in OPENING {
                    let seen =
                        look_dyn::<f64>(&options.clone().shape(IxDyn(shape)), &path, mode).unwrap();
                    assert_eq!(
                        (seen.shape.as_slice(), seen.bytes.len()),
                        (shape, 0),
                        "{mode}"
                    );
                }
                let mut store = copy_on_write(
                    options
                        .shape(IxDyn(shape))
                        .open::<f64, IxDyn>(&path)
                        .unwrap(),
                );
                store.view_mut().fill(1.0);
                assert_eq!(store.view().sum(), 0.0);
            }
        }
    }
}

#[test]
fn fortran_order_is_kept_and_changes_no_index() {
    let (_directory, path) = place();
    let mut store = Store::<i32, _>::create(&path, (2, 3, 4).f()).unwrap();
    assert_eq!(store.order(), Order::F);
    let expected = Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (100 * i + 10 * j + k) as i32);
    store.write_all(&expected).unwrap();
    assert_eq!(store.read_all().unwrap().strides(), [1, 2, 6]);
    drop(store);
    for mode in OPENING {
        let seen = look::<i32, Ix3>(&Options::new(), &path, mode).unwrap();
        assert_eq!(seen.order, Order::F);
        let c_bytes: Vec<u8> = expected.iter().flat_map(|x| x.to_ne_bytes()).collect();
        assert_eq!(seen.c_bytes, c_bytes);
        let f_bytes: Vec<u8> = expected.t().iter().flat_map(|x| x.to_ne_bytes()).collect();
        assert_eq!(seen.bytes, f_bytes);
    }
    let mut store = Store::<i32, Ix3>::open_rw(&path).unwrap();
    store.set([1, 2, 3], -1).unwrap();
    store.write(s![0, .., 0], &arr0(-2)).unwrap();
    drop(store);
    let store = Store::<i32, IxDyn>::open(&path).unwrap();
    assert_eq!(store.read_all().unwrap()[[1, 2, 3]], -1);
    let store = Store::<i32, Ix3>::open(&path).unwrap();
    assert_eq!(
        store.read_all().unwrap().slice(s![0, .., 0]),
        array![-2, -2, -2]
    );
    assert_eq!(store.read_all().unwrap()[[1, 2, 2]], 122);
}

/// A type with a row of values that tell its bytes apart.
trait Sample: Element + PartialEq + Debug {
    const DESCR: &str;

    fn samples() -> Vec<Self>;
}

macro_rules! samples {
    ($($type:ty, $descr:literal, $values:expr;)*) => {$(
        impl Sample for $type {
            const DESCR: &str = $descr;

            fn samples() -> Vec<Self> {
                $values.into()
            }
        }
    )*};
}

samples! {
    i8, "|i1", [i8::MIN, -1, 0, 1, i8::MAX];
    i16, "<i2", [i16::MIN, -1, 0, 0x0102, i16::MAX];
    i32, "<i4", [i32::MIN, -1, 0, 0x0102_0304, i32::MAX];
    i64, "<i8", [i64::MIN, -1, 0, 0x0102_0304_0506_0708, i64::MAX];
    u8, "|u1", [0, 1, 2, 128, u8::MAX];
    u16, "<u2", [0, 1, 0x0102, 1 << 15, u16::MAX];
    u32, "<u4", [0, 1, 0x0102_0304, 1 << 31, u32::MAX];
    u64, "<u8", [0, 1, 0x0102_0304_0506_0708, 1 << 63, u64::MAX];
    f32, "<f4", [0.0, -1.5, f32::MIN_POSITIVE, f32::INFINITY, f32::MAX];
    f64, "<f8", [0.0, -1.5, f64::MIN_POSITIVE, f64::INFINITY, f64::MAX];
    Bool8, "|b1", [true, false, true, true, false].map(Bool8::from);
}

#[cfg(feature = "half")]
samples! {
    half::f16, "<f2", [0.0, -1.5, 6e-8, f32::INFINITY, 65504.0].map(half::f16::from_f32);
}

#[cfg(feature = "num-complex")]
samples! {
    num_complex::Complex<f32>, "<c8", [(0.0, -0.0), (1.5, -2.5), (f32::MAX, f32::MIN)].map(|(re, im)| num_complex::Complex::new(re, im));
    num_complex::Complex<f64>, "<c16", [(0.0, -0.0), (1.5, -2.5), (f64::MAX, f64::MIN)].map(|(re, im)| num_complex::Complex::new(re, im));
}

/// Writes arrays of `A` of every rank and in both orders, and reads them back in every mode.
fn round_trip<A: Sample>() {
    let (_directory, path) = place();
    let samples = A::samples();
    assert_eq!(A::dtype().descr(), A::DESCR);
    for shape in [&[][..], &[5], &[3, 4], &[2, 3, 4], &[1, 2, 1, 3], &[0, 3]] {
        let mut values = samples.iter().copied().cycle();
        let array = ArrayD::from_shape_simple_fn(shape, || values.next().unwrap());
        let c_bytes: Vec<u8> = array
            .iter()
            .flat_map(|x| bytemuck::bytes_of(x).to_vec())
            .collect();
        for order in [Order::C, Order::F] {
            for compact in [true, false] {
                let options = Options::new().order(order).compact(compact);
                let assigned = {
                    let mut store = options.create::<A, IxDyn>(&path, IxDyn(shape)).unwrap();
                    store.write_all(&array).unwrap();
                    store.close().unwrap();
                    fs::read(&path).unwrap()
                };
                options.create_from(&path, &array).unwrap().close().unwrap();
                assert_eq!(
                    fs::read(&path).unwrap(),
                    assigned,
                    "{} {shape:?} {order:?}",
                    A::DESCR
                );
                for mode in OPENING {
                    let seen = look_dyn::<A>(&Options::new(), &path, mode).unwrap();
                    assert_eq!(
                        (seen.descr.as_str(), seen.shape.as_slice()),
                        (A::DESCR, shape)
                    );
                    assert_eq!(
                        seen.c_bytes,
                        c_bytes,
                        "{} {shape:?} {order:?} {mode}",
                        A::DESCR
                    );
                }
                let store = Store::<A, IxDyn>::open(&path).unwrap();
                assert_eq!(store.read_all().unwrap(), array);
            }
        }
    }
}

#[test]
#[cfg(target_endian = "little")]
fn every_number_type_comes_back_as_it_was_in_every_rank_order_and_mode() {
    round_trip::<i8>();
    round_trip::<i16>();
    round_trip::<i32>();
    round_trip::<i64>();
    round_trip::<u8>();
    round_trip::<u16>();
    round_trip::<u32>();
    round_trip::<u64>();
    round_trip::<f32>();
    round_trip::<f64>();
    round_trip::<Bool8>();
    #[cfg(feature = "half")]
    round_trip::<half::f16>();
    #[cfg(feature = "num-complex")]
    round_trip::<num_complex::Complex<f32>>();
    #[cfg(feature = "num-complex")]
    round_trip::<num_complex::Complex<f64>>();
}

#[test]
fn nan_keeps_its_payload() {
    let (_directory, path) = place();
    let bits = [
        f64::NAN.to_bits(),
        0x7ff0_0000_0000_0001,
        0xfff8_dead_beef_0000,
    ];
    let array = Array1::from_iter(bits.map(f64::from_bits));
    drop(Store::create_from(&path, &array).unwrap());
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(
        store.read_all().unwrap().mapv(f64::to_bits),
        array![bits[0], bits[1], bits[2]]
    );
}

#[test]
fn any_byte_of_a_boolean_is_kept_and_all_but_zero_are_true() {
    let (_directory, path) = place();
    drop(Store::<Bool8, _>::create(&path, 4).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].copy_from_slice(&[0, 1, 5, 255]);
    fs::write(&path, &bytes).unwrap();
    let mut store = Store::<Bool8, Ix1>::open_rw(&path).unwrap();
    assert_eq!(
        store.read_all().unwrap().mapv(Bool8::get),
        array![false, true, true, true]
    );
    assert_eq!(
        store.read_all().unwrap().mapv(bool::from),
        array![false, true, true, true]
    );
    assert_eq!(store.read_all().unwrap()[2].to_byte(), 5);
    assert_eq!(store.read_all().unwrap()[1], store.read_all().unwrap()[2]);
    let copied = store.read_all().unwrap()[2];
    store.set(0, copied).unwrap();
    store.set(3, true.into()).unwrap();
    drop(store);
    assert_eq!(fs::read(&path).unwrap()[4096..], [5, 1, 5, 1]);
}

#[test]
fn an_array_of_unknown_type_tells_what_it_is_and_becomes_the_store_of_its_mode() {
    let (_directory, path) = place();
    drop(Store::create_from(&path, &array![[1_i16, 2, 3], [4, 5, 6]]).unwrap());
    for mode in [Mode::Read, Mode::ReadWrite] {
        let any = AnyStore::open_mode(&path, mode).unwrap();
        assert_eq!(*any.dtype(), DType::parse("<i2").unwrap());
        assert_eq!(
            (any.shape(), any.ndim(), any.order()),
            (&[2, 3][..], 2, Order::C)
        );
        assert_eq!(
            (any.offset(), any.mode(), any.path()),
            (4096, mode, path.as_path())
        );
        assert_eq!(any.to_bytes().unwrap().len(), 12);
        assert!(format!("{any:?}").contains("[2, 3]"));
        let sum = match mode {
            Mode::Read => any
                .downcast::<i16, Ix2, ReadOnly>()
                .unwrap()
                .read_all()
                .unwrap()
                .sum(),
            _ => any
                .downcast::<i16, Ix2, ReadWrite>()
                .unwrap()
                .read_all()
                .unwrap()
                .sum(),
        };
        assert_eq!(sum, 21);
    }
    for mode in [Mode::Write, Mode::CopyOnWrite] {
        let refused = AnyStore::open_mode(&path, mode).unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::InvalidOption { .. }),
            "{refused:?}"
        );
    }
    assert_eq!(AnyStore::open(&path).unwrap().shape(), [2, 3]);
}

#[test]
fn a_refused_downcast_hands_the_store_back_with_its_lock() {
    let (_directory, path) = place();
    drop(Store::create_from(&path, &array![[1_i16, 2, 3], [4, 5, 6]]).unwrap());
    let locked = || match AnyStore::open(&path).why() {
        Some(ErrorKind::Locked { holder, .. }) => {
            *holder == LockHolder::ThisProcess || cfg!(not(target_os = "linux"))
        }
        _ => false,
    };
    let any = AnyStore::open_rw(&path).unwrap();
    let refused = any.downcast::<u16, Ix2, ReadWrite>().unwrap_err();
    assert!(
        matches!(refused.error.kind(), ErrorKind::DTypeMismatch { expected, found, .. } if expected == "<u2" && found == "<i2")
    );
    assert!(locked());
    let refused = refused.store.downcast::<i16, Ix3, ReadWrite>().unwrap_err();
    assert!(matches!(
        refused.error.kind(),
        ErrorKind::NdimMismatch {
            expected: 3,
            found: 2,
            ..
        }
    ));
    assert!(locked());
    let refused = refused.store.downcast::<i16, Ix2, ReadOnly>().unwrap_err();
    assert!(matches!(
        refused.error.kind(),
        ErrorKind::InvalidOption { .. }
    ));
    assert_eq!(refused.error.path(), Some(path.as_path()));
    assert!(locked());
    // Its message is that of the error, which is no source of it then.
    assert!(std::error::Error::source(&refused).is_none());
    assert_eq!(refused.to_string(), refused.error.to_string());
    let mut store = refused.store.downcast::<i16, Ix2, ReadWrite>().unwrap();
    store.set([0, 0], 9).unwrap();
    assert!(locked());
    drop(store);
    let any = AnyStore::open(&path).unwrap();
    assert_eq!(any.to_bytes().unwrap()[..2], 9_i16.to_ne_bytes());
    let error: Error = any.downcast::<i16, Ix2, ReadWrite>().unwrap_err().into();
    assert!(matches!(error.kind(), ErrorKind::InvalidOption { .. }));
    // The refused store went with the error.
    Store::<i16, Ix2>::open_rw(&path).unwrap();
}

#[test]
fn modes_have_the_names_of_numpy_and_no_others() {
    for (mode, names) in [
        (Mode::Read, ["r", "readonly"]),
        (Mode::ReadWrite, ["r+", "readwrite"]),
        (Mode::Write, ["w+", "write"]),
        (Mode::CopyOnWrite, ["c", "copyonwrite"]),
    ] {
        assert_eq!(mode.to_string(), names[0]);
        for name in names {
            assert_eq!(name.parse::<Mode>().unwrap(), mode);
        }
    }
    for name in ["w", "a", "x", "rw", "R", "", "None", "r+b"] {
        let refused = name.parse::<Mode>().unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::InvalidMode { found, .. } if found == name));
        assert!(refused.to_string().contains(&format!("{name:?}")));
    }
}

#[test]
fn a_native_header_is_a_page_and_keeps_the_order_that_was_asked_for() {
    let (_directory, path) = place();
    for shape in [&[][..], &[0], &[5], &[5, 1], &[3, 4]] {
        for order in [Order::C, Order::F] {
            drop(
                Options::new()
                    .order(order)
                    .create::<f64, IxDyn>(&path, IxDyn(shape))
                    .unwrap(),
            );
            let header = fs::read(&path).unwrap()[..4096].to_vec();
            assert_eq!(header[..10], *b"\x93NUMPY\x01\x00\xf6\x0f");
            assert_eq!(header[4095], b'\n');
            let text = std::str::from_utf8(&header[10..4095]).unwrap();
            let fortran = if order == Order::F { "True" } else { "False" };
            let dims = match shape {
                [one] => format!("({one},)"),
                _ => format!("{shape:?}").replace('[', "(").replace(']', ")"),
            };
            let dict = format!("{{'descr': '<f8', 'fortran_order': {fortran}, 'shape': {dims}, }}");
            // The number of rows stands behind blanks.
            let words: Vec<_> = text.split_whitespace().collect();
            assert_eq!(words.join(" ").replace("( ", "("), dict);
            assert_eq!(AnyStore::open(&path).unwrap().order(), order);
        }
    }
}

/// Opens what `np.save` wrote, saves it with the compact header, and compares the two files.
fn resave<A: Element>(name: &str) {
    let (_directory, path) = place();
    let vector = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/npy-vectors")
        .join(name);
    let array = Store::<A, IxDyn>::open(&vector)
        .unwrap()
        .read_all()
        .unwrap()
        .to_owned();
    let options = Options::new().compact(true);
    options.create_from(&path, &array).unwrap().close().unwrap();
    assert_eq!(
        fs::read(&path).unwrap(),
        fs::read(&vector).unwrap(),
        "{name}"
    );
    let mut store = options.create::<A, IxDyn>(&path, array.raw_dim()).unwrap();
    store.write_all(&array).unwrap();
    store.close().unwrap();
    assert_eq!(
        fs::read(&path).unwrap(),
        fs::read(&vector).unwrap(),
        "{name}, assigned"
    );
}

#[test]
#[cfg(target_endian = "little")]
fn a_compact_file_is_the_file_that_np_save_writes() {
    resave::<i32>("v1.npy");
    resave::<i16>("sh_2x3x4_c.npy");
    resave::<i16>("sh_noncontig.npy");
    resave::<i16>("sh_0.npy");
    resave::<f32>("sh_0x3.npy");
    resave::<u8>("sh_32d.npy");
    resave::<Bool8>("dt_b1.npy");
    resave::<i16>("dt_i2_le.npy");
    resave::<i32>("dt_i4_le.npy");
    resave::<u16>("dt_u2_le.npy");
    resave::<u32>("dt_u4_le.npy");
    resave::<f32>("dt_f4_le.npy");
    resave::<f64>("dt_f8_le.npy");
    #[cfg(feature = "num-complex")]
    resave::<num_complex::Complex<f32>>("dt_c8_le.npy");
    #[cfg(feature = "num-complex")]
    resave::<num_complex::Complex<f64>>("dt_c16_le.npy");
}
