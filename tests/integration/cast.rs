//! Work on numbers of any type as floats, held against the same work on a file of these floats.

use std::path::Path;

use ndarray::prelude::*;
use ndstore::{
    AnyStore, AsType, Bool8, ByteOrder, Chunk, Element, Error, ErrorKind, Options, Order,
    OutOfCore, Store,
};
use tempfile::TempDir;

/// What some operations of every kind come to.
fn results<'a>(work: impl Fn() -> OutOfCore<'a, f64, IxDyn>, new: &Path) -> Vec<ArrayD<f64>> {
    let whole = |x: f64| arr0(x).into_dyn();
    let indices = |array: ArrayD<usize>| array.mapv(|index| index as f64);
    let all = work().describe().unwrap();
    let mut results = vec![
        whole(work().sum().unwrap()),
        whole(work().var(1).unwrap()),
        whole(work().max().unwrap()),
        whole(work().argmin().unwrap() as f64),
        whole(work().median().unwrap()),
        whole(all.mean),
        whole(all.zeros as f64),
        work().mean_axis(Axis(0)).unwrap(),
        work().min_axis(Axis(1)).unwrap(),
        indices(work().argmax_axis(Axis(1)).unwrap()),
        work().quantile_axis(Axis(0), 0.3).unwrap(),
        work().gather(&[3, 0, 3]).unwrap(),
        work().rows(1..4).unwrap().sum_axis(Axis(1)).unwrap(),
    ];
    let column = work().region(s![..;2, 1..3].as_ref()).unwrap();
    results.push(column.gather(&[1, 0]).unwrap());
    let mut into = ArrayD::zeros(results[11].raw_dim());
    work().gather_into(&[1, 2, 1], &mut into).unwrap();
    results.push(into);
    let written = work().gather_to(new, &[2, 2]).unwrap();
    results.push(written.read_all().unwrap());
    drop(written);
    let written = work().map(new, |x| x + 0.5).unwrap();
    results.push(written.read_all().unwrap());
    let counts = work().histogram(&[-1.0, 0.5, 3.0, 100.0]).unwrap();
    results.push(Array::from(counts).mapv(|count| count as f64).into_dyn());
    work()
        .for_each_block(Chunk::Bytes(4096), |block| {
            results.push(block.view.to_owned());
            Ok::<_, Error>(())
        })
        .unwrap();
    results
}

const SMALL: ((usize, usize), Order) = ((40, 30), Order::C);

fn check<A: AsType<f64>>(numbers: impl Fn(usize) -> A) {
    check_shapes(&[SMALL], numbers);
}

fn check_shapes<A: AsType<f64>>(shapes: &[((usize, usize), Order)], numbers: impl Fn(usize) -> A) {
    let dir = TempDir::new().unwrap();
    let path = |name| dir.path().join(name);
    let new = path("new.npy");
    for &(shape, order) in shapes {
        let mut next = 0..;
        let array = Array2::from_shape_simple_fn(shape, || numbers(next.next().unwrap()));
        let options = Options::new().order(order);
        drop(options.create_from(path("numbers.npy"), &array).unwrap());
        let floats = array.mapv(A::as_type);
        drop(options.create_from(path("floats.npy"), &floats).unwrap());
        let open = |name| AnyStore::open(path(name)).unwrap();
        let [floats, numbers] = ["floats.npy", "numbers.npy"].map(open);
        let moved = numbers.out_of_core_any();
        drop(moved.to_byte_order(ByteOrder::Big, path("swapped.npy")));
        let swapped = open("swapped.npy");
        let [expected, found, of_swapped] = [&floats, &numbers, &swapped].map(|any| {
            let work = || any.out_of_core_as().unwrap().memory(8 << 20);
            results(work, &new)
        });
        assert_eq!(found, expected);
        assert_eq!(of_swapped, expected);
    }
}

#[test]
fn numbers_of_every_type_are_worked_on_as_the_floats_that_they_are() {
    check(|index| (index * 37 % 251) as i8);
    check(|index| (index * 37 % 251) as u8);
    // Long rows, many rows, and rows that are columns.
    let shapes = [
        ((40, 30), Order::F),
        ((5, 20_000), Order::C),
        ((7000, 4), Order::C),
    ];
    check_shapes(&shapes, |index| (index * 3_701 % 60_001) as i16);
    check(|index| (index * 3_701 % 60_001) as u32);
    check(|index| index as i64 * 1_000_003 - (1 << 40));
    check(|index| (index as u64) << 40);
    check(|index| (index % 997) as f32 - 300.25);
    check(|index| Bool8::from(index % 3 == 0));
    #[cfg(feature = "half")]
    check(|index| half::f16::from_f32((index % 97) as f32 - 8.5));
}

#[test]
fn they_become_single_floats_as_well() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    drop(Store::create_from(&path, &array![[1_i64 << 60, 3], [(1 << 24) + 1, 0]]).unwrap());
    let any = AnyStore::open(&path).unwrap();
    let found = any.out_of_core_as::<f32, Ix2>().unwrap().gather(&[0, 1]);
    let expected = array![[2_f32.powi(60), 3.0], [2_f32.powi(24), 0.0]];
    assert_eq!(found.unwrap(), expected);
}

#[test]
fn what_is_no_number_is_not_converted_and_what_is_converted_is_not_moved() {
    let dir = TempDir::new().unwrap();
    let [path, new] = ["a.npy", "b.npy"].map(|name| dir.path().join(name));
    fn refused<A: Element>(path: &Path, array: &Array1<A>) -> Error {
        drop(Store::create_from(path, array).unwrap());
        let any = AnyStore::open(path).unwrap();
        any.out_of_core_as::<f64, Ix1>().err().unwrap()
    }
    let error = refused(&path, &Array1::from_elem(3, ndstore::Bytes::<4>::default()));
    assert!(
        matches!(error.kind(), ErrorKind::DTypeMismatch { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("no real numbers"), "{error}");
    drop(Store::create_from(&path, &array![[1, 2], [3, 4]]).unwrap());
    let any = AnyStore::open(&path).unwrap();
    let work = || any.out_of_core_as::<f64, Ix2>().unwrap();
    let refused = work().transpose(&new).unwrap_err();
    assert!(refused.to_string().contains("out_of_core_any"), "{refused}");
    let joined = work().concatenate(&[work()], 0, &new).unwrap_err();
    assert!(
        matches!(joined.kind(), ErrorKind::InvalidOption { .. }),
        "{joined}"
    );
    assert!(!new.exists());
    let wrong = any.out_of_core_as::<f64, Ix3>().err().unwrap();
    assert!(matches!(wrong.kind(), ErrorKind::NdimMismatch { .. }));
}
