//! Mapping and zipping arrays into new files.

use std::fs;
use std::path::Path;

use ndarray::prelude::*;
use ndstore::{AnyStore, Be, Bool8, ErrorKind, Options, Order, Store};
use proptest::prelude::*;
use tempfile::TempDir;

use super::mapped::copy_on_write;

/// The names in a directory, in order.
fn names(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_mapped_array_is_that_of_ndarray(
        shape in prop::collection::vec(0..6_usize, 0..4),
        fortran in any::<bool>(),
        foreign in any::<bool>(),
        memory in 0..5000_usize,
    ) {
        let dir = TempDir::new().unwrap();
        let [from, to] = ["from.npy", "to.npy"].map(|name| dir.path().join(name));
        let mut array = ArrayD::<i32>::zeros(IxDyn(&shape).set_f(fortran));
        array.iter_mut().enumerate().for_each(|(i, x)| *x = i as i32);
        let order = if fortran { Order::F } else { Order::C };
        let options = Options::new().order(order);
        let expected = array.mapv(|x| f64::from(x) / 3.0);
        let mapped = if foreign {
            drop(options.create_from(&from, &array.mapv(Be::from)).unwrap());
            let any = AnyStore::open(&from).unwrap();
            let source = any.out_of_core::<i32, IxDyn>().unwrap();
            source.memory(memory).map(&to, |x| f64::from(x) / 3.0).unwrap()
        } else {
            let store = options.create_from(&from, &array).unwrap();
            store.out_of_core().memory(memory).map(&to, |x| f64::from(x) / 3.0).unwrap()
        };
        prop_assert_eq!(mapped.read_all().unwrap(), &expected);
        prop_assert_eq!(mapped.order(), order);
        drop(mapped);
        let mapped = Store::<f64, IxDyn>::open(&to).unwrap();
        prop_assert_eq!(mapped.read_all().unwrap(), expected);
    }
}

#[test]
fn arrays_of_many_pieces_are_mapped_and_zipped_whole() {
    let dir = TempDir::new().unwrap();
    let path = |name| dir.path().join(name);
    let a = Array2::from_shape_fn((1001, 1003), |(i, j)| (i * 1003 + j) as u32);
    let b = a.mapv(|x| f64::from(x).sqrt());
    let c = a.mapv(|x| x as u8);
    let [a_store, a_cow] = [
        Store::create_from(path("a"), &a),
        Store::create_from(path("cow"), &a),
    ]
    .map(Result::unwrap);
    let b_store = Store::create_from(path("b"), &b.mapv(Be::from)).unwrap();
    let c_store = Store::create_from(path("c"), &c).unwrap();
    drop(a_cow);
    let mut a_cow = copy_on_write(Store::<u32, Ix2>::open(path("cow")).unwrap());
    a_cow.view_mut()[(7, 7)] = 1;
    drop(b_store);
    let b_any = AnyStore::open(path("b")).unwrap();

    for memory in [0, 4 << 20, 1 << 30] {
        let zip = a_cow.out_of_core().memory(memory);
        let zip = zip.zip(b_any.out_of_core().unwrap()).unwrap();
        let zip = zip.zip(c_store.out_of_core()).unwrap();
        let sum = zip
            .map(path("sum"), |((a, b), c): ((u32, f64), u8)| {
                f64::from(a) + b + f64::from(c)
            })
            .unwrap();
        let expected = a_cow.view().mapv(f64::from) + &b + c.mapv(f64::from);
        assert_eq!(sum.read_all().unwrap(), expected);
        let doubled = a_store
            .out_of_core()
            .memory(memory)
            .map(path("2a"), |a| 2 * a);
        assert_eq!(doubled.unwrap().read_all().unwrap(), a.mapv(|a| 2 * a));
    }
}

#[test]
fn astype_is_what_numpy_calls_it() {
    let dir = TempDir::new().unwrap();
    let path = |name| dir.path().join(name);
    let store = Store::create_from(path("a"), &array![[-1.5, 0.0], [2.5, f64::NAN]]).unwrap();
    let ints = store.out_of_core().astype::<i16>(path("i2")).unwrap();
    assert_eq!(ints.read_all().unwrap(), array![[-1, 0], [2, 0]]);
    let truths = store.out_of_core().astype::<Bool8>(path("b1")).unwrap();
    assert_eq!(
        truths.read_all().unwrap().mapv(Bool8::get),
        array![[true, false], [true, true]]
    );
    assert_eq!(truths.dtype().descr(), "|b1");
}

#[test]
fn the_new_file_is_made_as_the_options_say() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_from(dir.path().join("a"), &array![1.0, 2.0]).unwrap();
    let mapping = store.out_of_core().output(Options::new().compact(true));
    let mapped = mapping.map(dir.path().join("b"), |x| x).unwrap();
    assert_eq!(mapped.offset(), 128);
    let mapping = store.out_of_core().output(Options::new().order(Order::F));
    let refused = mapping.map(dir.path().join("c"), |x: f64| x).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::InvalidOption { .. }));
    assert_eq!(refused.operation(), "map");
    assert_eq!(names(dir.path()), ["a", "b"]);
}

#[test]
fn a_cancelled_map_leaves_no_file_and_an_old_one_as_it_was() {
    let dir = TempDir::new().unwrap();
    let [from, to] = ["a", "b"].map(|name| dir.path().join(name));
    let store = Store::<f64, _>::create(from, 1 << 20).unwrap();
    let cancel = |old: &[&str]| {
        let mapping = store
            .out_of_core()
            .progress(|progress| match progress.done {
                0..0x40_0000 => Ok(()),
                _ => Err("stopped".into()),
            });
        let cancelled = mapping.map(&to, |x: f64| x + 1.0).unwrap_err();
        assert!(matches!(cancelled.kind(), ErrorKind::Cancelled { .. }));
        assert_eq!(cancelled.operation(), "map");
        assert_eq!(names(dir.path()), old);
    };
    cancel(&["a"]);
    fs::write(&to, "old").unwrap();
    cancel(&["a", "b"]);
    assert_eq!(fs::read(&to).unwrap(), b"old");
}

#[test]
fn a_map_that_panics_leaves_no_file() {
    let dir = TempDir::new().unwrap();
    let store = Store::<f64, _>::create(dir.path().join("a"), 10).unwrap();
    let mapping = std::panic::AssertUnwindSafe(|| {
        let panics = |_: f64| -> f64 { panic!("by the caller's function") };
        store.out_of_core().map(dir.path().join("b"), panics)
    });
    assert!(std::panic::catch_unwind(mapping).is_err());
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn an_array_is_not_mapped_onto_itself() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a");
    let store = Store::create_from(&path, &array![1.0, 2.0]).unwrap();
    let refused = store
        .out_of_core()
        .map(&path, |x: f64| x + 1.0)
        .unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Locked { .. }));
    assert_eq!(store.read_all().unwrap(), array![1.0, 2.0]);
}

#[test]
fn arrays_of_other_shapes_or_orders_are_not_zipped() {
    let dir = TempDir::new().unwrap();
    let create = |name, order| {
        let options = Options::new().order(order);
        options
            .create::<f64, _>(dir.path().join(name), (2, 3))
            .unwrap()
    };
    let (a, f) = (create("a", Order::C), create("f", Order::F));
    let b = Store::<f64, _>::create(dir.path().join("b"), (3, 2)).unwrap();
    let refused = a.out_of_core().zip(b.out_of_core()).err().unwrap();
    assert!(matches!(refused.kind(), ErrorKind::ShapeMismatch { .. }));
    assert_eq!(refused.operation(), "zip");
    let refused = a.out_of_core().zip(f.out_of_core()).err().unwrap();
    assert!(matches!(refused.kind(), ErrorKind::InvalidOption { .. }));
    assert_eq!(refused.operation(), "zip");
}
