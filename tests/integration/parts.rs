//! Operations on parts of an array: rows and regions.

use ndarray::prelude::*;
use ndarray::{SliceInfo, SliceInfoElem};
use ndstore::{AnyStore, Be, Chunk, CopyOnWrite, Error, ErrorKind, Options, Order, Store};
use proptest::prelude::*;
use tempfile::TempDir;

use super::mapped::copy_on_write;

/// An array of a shape in an order, whose elements are all different.
fn numbered(shape: &[usize], order: Order) -> ArrayD<f64> {
    let mut array = ArrayD::zeros(IxDyn(shape).set_f(order == Order::F));
    let mut next = 0.0;
    array.mapv_inplace(|_: f64| {
        next += 1.0;
        next
    });
    array
}

type Slices = SliceInfo<Vec<SliceInfoElem>, IxDyn, IxDyn>;

/// A range with a step, or a single index, of an axis of this length.
fn any_slice(len: usize) -> BoxedStrategy<SliceInfoElem> {
    let len = len as isize;
    let range = (0..=len, 0..=len, 1..4_isize).prop_map(|(a, b, step)| SliceInfoElem::Slice {
        start: a.min(b),
        end: Some(a.max(b)),
        step,
    });
    match len {
        0 => range.boxed(),
        _ => prop_oneof![4 => range, 1 => (0..len).prop_map(SliceInfoElem::Index)].boxed(),
    }
}

fn any_case() -> impl Strategy<Value = (Vec<usize>, Order, Slices)> {
    let order = prop_oneof![Just(Order::C), Just(Order::F)];
    let shape = prop::collection::vec(0..7_usize, 1..4);
    (shape, order).prop_flat_map(|(shape, order)| {
        let slices: Vec<_> = shape.iter().map(|&len| any_slice(len)).collect();
        (Just(shape), Just(order), slices).prop_map(|(shape, order, slices)| {
            let slices = Slices::try_from(slices).unwrap();
            (shape, order, slices)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_is_done_with_a_region_is_done_with_its_elements_alone((shape, order, slices) in any_case()) {
        let dir = TempDir::new().unwrap();
        let [path, swapped, new] = ["a.npy", "b.npy", "new.npy"].map(|name| dir.path().join(name));
        let array = numbered(&shape, order);
        let options = Options::new().order(order);
        let store = options.create_from(&path, &array).unwrap();
        drop(options.create_from(&swapped, &array.mapv(Be::from)).unwrap());
        let any = AnyStore::open(&swapped).unwrap();
        let expected = array.slice(&slices);
        for converted in [false, true] {
            let work = || {
                let work = match converted {
                    true => any.out_of_core::<f64, IxDyn>().unwrap(),
                    false => store.out_of_core(),
                };
                work.region(&slices).unwrap()
            };
            prop_assert_eq!(work().sum().unwrap(), expected.sum());
            prop_assert_eq!(work().count_nonzero().unwrap(), expected.len());
            if !expected.is_empty() {
                let greatest = expected.fold(0.0, |a: f64, &b| a.max(b));
                prop_assert_eq!(work().max().unwrap(), greatest);
                let place = expected.iter().position(|&element| element == greatest);
                prop_assert_eq!(work().argmax().unwrap(), place.unwrap());
            }
            for axis in 0..expected.ndim() {
                prop_assert_eq!(work().sum_axis(Axis(axis)).unwrap(), expected.sum_axis(Axis(axis)));
            }
            for block in work().blocks(Chunk::Bytes(40)) {
                let block = block.unwrap();
                for (index, &element) in block.view.indexed_iter() {
                    let index: Vec<_> = index.slice().iter().zip(block.start.slice()).map(|(a, b)| a + b).collect();
                    prop_assert_eq!(element, expected[IxDyn(&index)]);
                }
            }
            let copied = work().map(&new, |x| -x).unwrap();
            prop_assert_eq!(copied.read_all().unwrap(), expected.mapv(|x| -x));
            drop(copied);
            let transposed = work().transpose(&new).unwrap();
            prop_assert_eq!(transposed.read_all().unwrap(), expected.t());
            drop(transposed);
            let axis = match order {
                Order::C => 0,
                Order::F => expected.ndim().saturating_sub(1),
            };
            if expected.ndim() > 0 {
                let rows: Vec<_> = (0..expected.len_of(Axis(axis))).rev().collect();
                let picked = expected.select(Axis(axis), &rows);
                prop_assert_eq!(work().gather(&rows).unwrap(), &picked);
                let written = work().gather_to(&new, &rows).unwrap();
                prop_assert_eq!(written.read_all().unwrap(), &picked);
                drop(written);
                let joined = work().concatenate(&[work()], axis, &new).unwrap();
                let twice = ndarray::concatenate![Axis(axis), expected, expected];
                prop_assert_eq!(joined.read_all().unwrap(), twice);
            }
        }
    }

    #[test]
    fn what_is_changed_in_a_region_is_changed_there_and_nowhere_else((shape, order, slices) in any_case()) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a.npy");
        let array = numbered(&shape, order);
        let mut store = Options::new().order(order).create_from(&path, &array).unwrap();
        let mut expected = array;
        let work = store.out_of_core_mut().region(&slices).unwrap();
        work.for_each_block_mut(Chunk::Rows(2), |mut block| {
            block.view.mapv_inplace(|x| -x);
            Ok::<_, Error>(())
        }).unwrap();
        expected.slice_mut(&slices).mapv_inplace(|x| -x);
        prop_assert_eq!(store.read_all().unwrap(), &expected);
        let mut part = expected.slice_mut(&slices);
        let axis = match order {
            Order::C => 0,
            Order::F => part.ndim().saturating_sub(1),
        };
        if part.ndim() > 0 && part.len_of(Axis(axis)) > 0 {
            let last = part.len_of(Axis(axis)) - 1;
            let values = part.select(Axis(axis), &[last, 0]) * 3.0;
            part.index_axis_mut(Axis(axis), last).assign(&values.index_axis(Axis(axis), 0));
            part.index_axis_mut(Axis(axis), 0).assign(&values.index_axis(Axis(axis), 1));
            let work = store.out_of_core_mut().region(&slices).unwrap();
            work.scatter(&[last, 0], &values).unwrap();
            prop_assert_eq!(store.read_all().unwrap(), &expected);
        }
    }
}

#[test]
fn a_region_of_some_rows_is_counted_from_the_first_of_them() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    let array = numbered(&[20, 30, 4], Order::C).into_dimensionality::<Ix3>();
    let array = array.unwrap();
    let store = Store::create_from(&path, &array).unwrap();
    let part = array.slice(s![5..15, .., ..]);
    let work = || store.out_of_core().rows(5..15).unwrap();
    assert_eq!(work().sum().unwrap(), part.sum());
    assert_eq!(
        work().rows(2..=3).unwrap().sum().unwrap(),
        part.slice(s![2..4, .., ..]).sum()
    );
    let crop = work().region(s![1..;3, 4..9, 2]).unwrap();
    assert_eq!(
        crop.sum_axis(Axis(1)).unwrap(),
        part.slice(s![1..;3, 4..9, 2]).sum_axis(Axis(1))
    );
    drop(store);
    let any = AnyStore::open(&path).unwrap();
    let moved = any.out_of_core_any().rows(5..15).unwrap();
    let moved = moved.region(s![.., .., 1..3]).unwrap();
    let moved = moved
        .permute(&[2, 1, 0], dir.path().join("new.npy"))
        .unwrap();
    assert_eq!(moved.shape(), [2, 30, 10]);
}

#[test]
fn the_private_changes_of_a_region_are_read() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    drop(Store::create_from(&path, &array![[1.0, 2.0], [3.0, 4.0]]).unwrap());
    let mut cow = copy_on_write(Store::<f64, Ix2>::open(&path).unwrap());
    cow.view_mut()[(1, 0)] = 30.0;
    let column = |cow: &CopyOnWrite<f64, Ix2>| cow.out_of_core().region(s![.., 0]).unwrap().sum();
    assert_eq!(column(&cow).unwrap(), 31.0);
}

#[test]
fn rows_and_regions_that_the_array_lacks_are_refused() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::<f64, _>::create(dir.path().join("a.npy"), (4, 3)).unwrap();
    let refused = store.out_of_core().rows(2..5).err().unwrap();
    assert!(
        matches!(
            refused.kind(),
            ErrorKind::RowsOutOfBounds {
                start: 2,
                end: 5,
                rows: 4,
                ..
            }
        ),
        "{refused:?}"
    );
    let refused = store.out_of_core().region(s![.., ..4]).err().unwrap();
    assert!(
        matches!(
            refused.kind(),
            ErrorKind::OutOfBounds {
                axis: 1,
                len: 3,
                ..
            }
        ),
        "{refused:?}"
    );
    let refused = store.out_of_core_mut().region(s![..;-1, ..]).err().unwrap();
    assert!(
        matches!(refused.kind(), ErrorKind::InvalidOption { .. }),
        "{refused:?}"
    );
    // Of a part, by its own length.
    let part = store.out_of_core().rows(1..3).unwrap();
    assert!(matches!(
        part.rows(..3).err().unwrap().kind(),
        ErrorKind::RowsOutOfBounds { rows: 2, .. }
    ));
    let scalar = store.out_of_core().region(s![1, 1]).unwrap();
    assert!(matches!(
        scalar.rows(..).err().unwrap().kind(),
        ErrorKind::AxisOutOfBounds { .. }
    ));
}
