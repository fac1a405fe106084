//! Regions and elements by system calls, compared with ndarray's slices of the same array and with
//! a map, in every order and form of file.

use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndarray::{ShapeBuilder, SliceInfoElem};
use ndstore::{
    AnyStore, Bytes, Element, Error, ErrorKind, MemoryOrder, Mode, Options, Order, Store,
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::mapped::mapped;
use super::support::{Why, bytes_of};

fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    (directory, path)
}

/// The files that there are.
fn forms() -> Vec<Options> {
    let new = Options::new();
    // No element of more than a byte lies at a multiple of its size there.
    vec![new.clone(), new.clone().compact(true), new.raw(4099)]
}

/// Makes a file, and says how it is opened.
fn make<A: Element>(path: &Path, options: &Options, array: &ArrayD<A>, order: Order) -> Options {
    let options = options.clone().order(order);
    drop(options.create_from(path, array).unwrap());
    match AnyStore::open(path) {
        Ok(_) => Options::new(),
        // A raw file does not tell its shape and order.
        Err(_) => options.shape(array.raw_dim()),
    }
}

/// Slice arguments that an array of this shape has.
fn any_region(shape: Vec<usize>) -> impl Strategy<Value = Vec<SliceInfoElem>> {
    let of_axis = |len: usize| {
        let len = len as isize;
        let slice = (
            0..=len,
            0..=len,
            prop_oneof![Just(1), Just(-1), 2..4_isize, -3..-1_isize],
        );
        let slice = slice.prop_map(|(start, end, step)| SliceInfoElem::Slice {
            start,
            end: Some(end),
            step,
        });
        match len {
            0 => slice.boxed(),
            _ => prop_oneof![
                3 => slice,
                1 => Just((..).into()),
                1 => (-len..len).prop_map(SliceInfoElem::Index),
            ]
            .boxed(),
        }
    };
    let axes: Vec<_> = shape.into_iter().map(of_axis).collect();
    (axes, any::<Option<prop::sample::Index>>()).prop_map(|(mut region, new)| {
        if let Some(new) = new {
            region.insert(new.index(region.len() + 1), SliceInfoElem::NewAxis);
        }
        region
    })
}

fn check<A: Element + PartialEq + std::fmt::Debug>(
    shape: &[usize],
    region: &[SliceInfoElem],
    order: Order,
    element: impl Fn(usize) -> A,
) {
    let (_directory, path) = place();
    let mut count = 0;
    let mut next = || {
        count += 1;
        element(count)
    };
    let mut model = ArrayD::from_shape_simple_fn(shape, &mut next);
    for form in forms() {
        let options = make(&path, &form, &model, order);
        let store = options.open_rw::<A, IxDyn>(&path).unwrap();
        let expected = model.slice(region).to_owned();
        assert_eq!(store.read(region).unwrap(), expected);
        drop(store);
        let any = options.clone().dtype(A::dtype());
        let any = any.open_any(&path, Mode::Read).unwrap();
        let bytes = any.read_region(region).unwrap();
        assert_eq!(bytes, ndstore::to_bytes(&expected, Order::C).unwrap());
        drop(any);
        let mut store = options.open_rw::<A, IxDyn>(&path).unwrap();
        // Into memory that lies otherwise.
        let mut wide = ArrayD::from_elem(expected.raw_dim().f(), element(0));
        let mut into = wide.view_mut();
        for axis in 0..into.ndim() {
            into.invert_axis(Axis(axis));
        }
        store.read_into(region, &mut into).unwrap();
        assert_eq!(into, expected);

        let values = ArrayD::from_shape_simple_fn(expected.shape(), &mut next);
        store.write(region, &values).unwrap();
        model.slice_mut(region).assign(&values);
        assert_eq!(store.read_all().unwrap(), model);
        let one = next();
        store.write(region, &arr0(one)).unwrap();
        model.slice_mut(region).fill(one);
        store.flush().unwrap();
        drop(store);
        let store = options.open::<A, IxDyn>(&path).unwrap();
        assert_eq!(store.read_all().unwrap(), model);
        for order in [Order::C, Order::F] {
            assert_eq!(
                store.to_bytes(order).unwrap(),
                ndstore::to_bytes(&model, order).unwrap()
            );
        }
        for (index, found) in model.indexed_iter() {
            assert_eq!(store.get(index).unwrap(), *found);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_region_of_any_array_is_read_and_written_as_ndarray_slices_it(
        (shape, region) in prop::collection::vec(0..6_usize, 0..5)
            .prop_flat_map(|shape| (Just(shape.clone()), any_region(shape))),
        order in prop_oneof![Just(Order::C), Just(Order::F)],
    ) {
        check(&shape, &region, order, |count| count as f64);
        check(&shape, &region, order, |count| Bytes::<3>::try_from(&(count as u32).to_le_bytes()[..3]).unwrap());
    }
}

#[test]
fn columns_tiles_and_steps_of_a_large_array_are_whole() {
    // Rows of 3 KB, holes of which are read along; of 5.6 KB, which are if they are cold; and of 40
    // KB, which are not.
    for (rows, columns) in [(900, 375), (400, 700), (70, 5000)] {
        let (_directory, path) = place();
        let array = Array2::from_shape_fn((rows, columns), |(row, column)| {
            (row * columns + column) as f64
        });
        for array in [
            array.clone(),
            array.t().as_standard_layout().into_owned().reversed_axes(),
        ] {
            let mut store = Store::create_from(&path, &array).unwrap();
            assert_eq!(store.read(s![.., 7]).unwrap(), array.slice(s![.., 7]));
            assert_eq!(store.read(s![7, ..]).unwrap(), array.slice(s![7, ..]));
            assert_eq!(
                store.read(s![3..60, 2..columns - 2]).unwrap(),
                array.slice(s![3..60, 2..columns - 2])
            );
            assert_eq!(
                store.read(s![..;-3, ..;5]).unwrap(),
                array.slice(s![..;-3, ..;5])
            );
            assert_eq!(
                store.read(s![.., ..;-1]).unwrap(),
                array.slice(s![.., ..;-1])
            );
            let mut model = array;
            for column in [0, columns - 1] {
                let values = Array::from_shape_fn(rows, |row| -((row * column) as f64));
                store.write(s![..;-1, column], &values).unwrap();
                model.slice_mut(s![..;-1, column]).assign(&values);
            }
            store
                .write(s![1..rows - 1, 5..9], &array![1.0, 2.0, 3.0, 4.0])
                .unwrap();
            model
                .slice_mut(s![1..rows - 1, 5..9])
                .assign(&array![1.0, 2.0, 3.0, 4.0]);
            assert_eq!(store.read_all().unwrap(), model);
        }
    }
}

#[test]
fn what_ndarray_would_panic_over_is_an_error_and_changes_nothing() {
    let (_directory, path) = place();
    let array = array![[1, 2, 3], [4, 5, 6]];
    let mut store = Store::create_from(&path, &array).unwrap();
    let outside = |refused: Result<(), Error>, expected: (usize, &str, usize)| match refused.why() {
        Some(ErrorKind::OutOfBounds {
            axis, asked, len, ..
        }) => {
            assert_eq!((*axis, asked.as_str(), *len), expected);
        }
        _ => panic!("{refused:?}"),
    };
    outside(store.read(s![2, ..]).map(drop), (0, "2", 2));
    outside(store.read(s![.., -4]).map(drop), (1, "-4", 3));
    outside(store.read(s![.., 1..4]).map(drop), (1, "1..4", 3));
    outside(store.get([0, 3]).map(drop), (1, "3", 3));
    outside(
        store.get([usize::MAX, 0]).map(drop),
        (0, &usize::MAX.to_string(), 2),
    );
    outside(store.set([2, 0], 9), (0, "2", 2));
    outside(store.write(s![3.., ..], &arr0(9)), (0, "3..", 2));
    let error = store.read(s![2, ..]).unwrap_err().to_string();
    assert!(
        error.ends_with("2 is out of bounds of axis 0, which has 2"),
        "{error}"
    );
    for values in [array![1, 2], array![1, 2, 3, 4]] {
        let refused = store.write(s![0, ..], &values).unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::ShapeMismatch { .. }),
            "{refused}"
        );
    }
    let refused = store
        .read_into(s![0, ..], &mut Array1::zeros(2))
        .unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::ShapeMismatch { .. }),
        "{refused}"
    );
    assert_eq!(store.read_all().unwrap(), array);
    drop(store);

    let store = Store::<i32, IxDyn>::open(&path).unwrap();
    let still = SliceInfoElem::Slice {
        start: 0,
        end: None,
        step: 0,
    };
    let refused = store.read(&[still, still][..]).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::InvalidOption { .. }),
        "{refused}"
    );
    for refused in [
        store.read(s![0]).map(drop),
        store.read(s![0, 0, 0]).map(drop),
        store.get(IxDyn(&[0])).map(drop),
    ] {
        assert!(
            matches!(
                refused.why(),
                Some(ErrorKind::NdimMismatch { found: 2, .. })
            ),
            "{refused:?}"
        );
    }
}

#[test]
fn an_array_without_axes_and_one_without_elements_are_read_and_written() {
    let (_directory, path) = place();
    let mut store = Store::create_from(&path, &arr0(7_u16)).unwrap();
    assert_eq!(
        (store.get(()).unwrap(), store.read(s![]).unwrap()),
        (7, arr0(7))
    );
    store.set((), 8).unwrap();
    store
        .write(s![], &arr0(store.get(()).unwrap() + 1))
        .unwrap();
    assert_eq!(store.read_all().unwrap(), arr0(9));
    drop(store);
    let mut store = Store::<f64, _>::create(&path, (3, 0, 2)).unwrap();
    assert_eq!(store.read(s![1, .., ..]).unwrap().shape(), [0, 2]);
    store.write(s![.., .., 1], &arr0(1.0)).unwrap();
    assert!(store.get([0, 0, 0]).is_err());
    assert!(store.to_bytes(MemoryOrder::A).unwrap().is_empty());
}

#[test]
fn a_map_and_what_goes_past_it_show_the_same() {
    let (_directory, path) = place();
    let mut map = mapped(Store::<f64, _>::create(&path, (600, 40)).unwrap());
    let mut model = Array2::<f64>::zeros((600, 40));
    for round in 1..=20 {
        let value = f64::from(round);
        map.view_mut().column_mut(round as usize).fill(value);
        model.column_mut(round as usize).fill(value);
        map.write(s![..;7, ..;-2], &arr0(-value)).unwrap();
        model.slice_mut(s![..;7, ..;-2]).fill(-value);
        map.set([5, 5], value * 2.0).unwrap();
        model[[5, 5]] = value * 2.0;
        assert_eq!(map.read_all().unwrap(), model);
        assert_eq!(map.view(), model);
        assert_eq!(map.get([5, 5]).unwrap(), value * 2.0);
    }
    map.write_all(&model.row(0)).unwrap();
    assert_eq!(map.view().row(599), model.row(0));
    // Without the map, and with another one, it is the same store.
    let mut store = map.unmap();
    assert!(matches!(
        AnyStore::open(&path).why(),
        Some(ErrorKind::Locked { .. })
    ));
    store.set([0, 0], 77.0).unwrap();
    let map = mapped(store);
    assert_eq!(map.view()[[0, 0]], 77.0);
    assert_eq!(map.as_bytes(), map.to_bytes(MemoryOrder::A).unwrap());
}

#[test]
fn flushing_rows_without_a_map_checks_them_too() {
    let (_directory, path) = place();
    let mut store = Store::<f64, _>::create(&path, (4, 2)).unwrap();
    store.write(s![1, ..], &arr0(1.0)).unwrap();
    store.flush_rows(1..2).unwrap();
    assert!(matches!(
        store.flush_rows(3..5).why(),
        Some(ErrorKind::RowsOutOfBounds { .. })
    ));
}

#[test]
fn elements_of_any_dtype_are_read_one_by_one() {
    let (_directory, path) = place();
    let array = Array2::from_shape_fn((30, 20), |(row, column)| (row * 20 + column) as f32);
    for order in [Order::C, Order::F] {
        drop(
            Options::new()
                .order(order)
                .create_from(&path, &array)
                .unwrap(),
        );
        let any = AnyStore::open(&path).unwrap();
        assert_eq!(any.element(&[29, 3]).unwrap().to_string(), "583.0");
        let mut bytes = vec![0; any.nbytes()];
        any.read_bytes(0, &mut bytes).unwrap();
        assert_eq!(bytes, any.to_bytes().unwrap());
        assert_eq!(bytes, ndstore::to_bytes(&array, order).unwrap());
        let (mut last, mut none) = ([0; 4], []);
        any.read_bytes(any.nbytes() - 4, &mut last).unwrap();
        assert_eq!(f32::from_ne_bytes(last), 599.0);
        any.read_bytes(any.nbytes(), &mut none).unwrap();
        for (start, len) in [
            (any.nbytes() - 3, 4),
            (any.nbytes() + 1, 0),
            (usize::MAX, 1),
        ] {
            let refused = any.read_bytes(start, &mut vec![0; len]).unwrap_err();
            assert!(
                matches!(refused.kind(), ErrorKind::InvalidOption { .. }),
                "{refused}"
            );
        }
        assert_eq!(
            bytes_of(
                any.downcast::<f32, Ix2, ndstore::ReadOnly>()
                    .unwrap()
                    .read_all()
                    .unwrap()
                    .view()
            ),
            bytes_of(array.view())
        );
    }
}
