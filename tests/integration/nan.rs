//! Reductions that leave NaN out, compared with plain loops over the other elements.

use ndarray::prelude::*;
use ndstore::{ErrorKind, Options, Order, Store};
use tempfile::TempDir;

/// Numbers with NaN among them: whole rows and columns, the first and the last, every third, or
/// none.
fn element(row: usize, column: usize) -> f64 {
    match (row, column) {
        (0, _) | (5, _) | (_, 2) => f64::NAN,
        _ if (row * 7 + column).is_multiple_of(3) => f64::NAN,
        _ => ((row * 31 + column * 17) % 101) as f64 - 50.0,
    }
}

fn numbers<'a>(lane: impl IntoIterator<Item = &'a f64>) -> Vec<f64> {
    let numbers = lane.into_iter().copied();
    numbers.filter(|element| !element.is_nan()).collect()
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

fn least(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::NAN, f64::min)
}

fn greatest(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::NAN, f64::max)
}

fn variance(numbers: &[f64], ddof: usize) -> f64 {
    let mean = mean(numbers);
    let squares: f64 = numbers.iter().map(|x| (x - mean) * (x - mean)).sum();
    match numbers.len() > ddof {
        true => squares / (numbers.len() - ddof) as f64,
        false => f64::NAN,
    }
}

/// Asserts that variances are the same but for the rounding of so many sums.
#[track_caller]
fn assert_near(found: f64, expected: f64) {
    let near = (found - expected).abs() <= 1e-12 * expected;
    assert!(
        near || found.is_nan() && expected.is_nan(),
        "{found}, {expected}"
    );
}

/// Asserts that all are the same, NaN included.
#[track_caller]
fn assert_same(
    found: &Array1<f64>,
    expected: impl Fn(&[f64]) -> f64,
    array: &Array2<f64>,
    axis: Axis,
) {
    let expected = array
        .lanes(axis)
        .into_iter()
        .map(|lane| expected(&numbers(lane)));
    let expected: Vec<_> = expected.collect();
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            *found == expected || found.is_nan() && expected.is_nan(),
            "{index}: {found}, {expected}"
        );
    }
}

#[test]
fn what_is_nan_is_left_out_of_the_whole_and_of_each_axis() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    // Short rows, rows of several bands, and columns of several groups.
    for shape in [(7, 3), (40, 5), (300, 130), (11, 40_000), (30_000, 3)] {
        let array = Array2::from_shape_fn(shape, |(row, column)| element(row, column));
        for order in [Order::C, Order::F] {
            let store = Options::new()
                .order(order)
                .create_from(&path, &array)
                .unwrap();
            let work = || store.out_of_core();
            let all = numbers(&array);
            assert_eq!(work().count_nan().unwrap(), array.len() - all.len());
            assert_eq!(work().nansum().unwrap(), all.iter().sum::<f64>());
            assert_eq!(work().nanmean().unwrap(), mean(&all));
            assert_eq!(work().nanmin().unwrap(), least(&all));
            assert_eq!(work().nanmax().unwrap(), greatest(&all));
            assert!(work().max().unwrap().is_nan());
            for axis in [Axis(0), Axis(1)] {
                let sum = |numbers: &[f64]| numbers.iter().sum();
                assert_same(&work().nansum_axis(axis).unwrap(), sum, &array, axis);
                assert_same(&work().nanmean_axis(axis).unwrap(), mean, &array, axis);
                assert_same(&work().nanmin_axis(axis).unwrap(), least, &array, axis);
                assert_same(&work().nanmax_axis(axis).unwrap(), greatest, &array, axis);
                let found = work().count_nan_axis(axis).unwrap();
                let len = array.len_of(axis) as f64;
                let counted = |numbers: &[f64]| len - numbers.len() as f64;
                assert_same(&found.mapv(|count| count as f64), counted, &array, axis);
            }
        }
    }
}

#[test]
fn of_nothing_but_nan_the_sum_is_zero_and_the_rest_is_nan() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    let store = Store::create_from(&path, &Array1::from_elem(1000, f32::NAN)).unwrap();
    let work = || store.out_of_core();
    assert_eq!(work().nansum().unwrap(), 0.0);
    assert_eq!(work().count_nan().unwrap(), 1000);
    assert!(work().nanmean().unwrap().is_nan());
    assert!(work().nanmin().unwrap().is_nan());
    assert!(work().nanmax().unwrap().is_nan());
}

#[test]
fn of_no_element_the_sum_is_zero_and_there_is_no_extreme() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    let store = Store::create_from(&path, &Array2::<f64>::zeros((0, 3))).unwrap();
    let work = || store.out_of_core();
    assert_eq!(work().nansum().unwrap(), 0.0);
    assert_eq!(work().count_nan().unwrap(), 0);
    assert!(work().nanmean().unwrap().is_nan());
    let empty = work().nanmin().unwrap_err();
    assert!(matches!(empty.kind(), ErrorKind::Empty), "{empty}");
    let empty = work().nanmax_axis(Axis(0)).unwrap_err();
    assert!(matches!(empty.kind(), ErrorKind::Empty), "{empty}");
}

#[test]
fn variances_are_those_of_what_is_not_nan() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    for (shape, far) in [
        ((7, 3), 0.0),
        ((300, 130), 1e9),
        ((11, 40_000), 0.0),
        ((30_000, 3), -1e9),
        ((1, 9), 0.0),
    ] {
        let array = Array2::from_shape_fn(shape, |(row, column)| match row {
            // Nothing but NaN where the first rows say where the others lie, then numbers.
            0..20 if column % 4 == 1 => f64::NAN,
            _ => element(row, column) + far,
        });
        for order in [Order::C, Order::F] {
            let options = Options::new().order(order);
            let store = options.create_from(&path, &array).unwrap();
            let work = || store.out_of_core();
            for ddof in [0, 1, 2] {
                let all = variance(&numbers(&array), ddof);
                assert_near(work().nanvar(ddof).unwrap(), all);
                assert_near(work().nanstd(ddof).unwrap(), all.sqrt());
                for axis in [Axis(0), Axis(1)] {
                    let found = work().nanvar_axis(axis, ddof).unwrap();
                    let roots = work().nanstd_axis(axis, ddof).unwrap();
                    for (index, lane) in array.lanes(axis).into_iter().enumerate() {
                        let expected = variance(&numbers(lane), ddof);
                        assert_near(found[index], expected);
                        assert_near(roots[index], expected.sqrt());
                    }
                }
            }
        }
    }
}

#[test]
fn the_place_of_the_extreme_number_is_its_first_one_in_c_order() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    for shape in [(40, 5), (300, 130), (11, 40_000), (30_000, 3)] {
        // A number at the end of each lane at least.
        let array = Array2::from_shape_fn(shape, |(row, column)| {
            match row + 1 == shape.0 || column + 1 == shape.1 {
                true => 0.0,
                false => element(row, column),
            }
        });
        let first = |lane: &[f64], end: fn(&[f64]) -> f64| {
            let extreme = end(&numbers(lane));
            lane.iter().position(|&x| x == extreme).unwrap()
        };
        for order in [Order::C, Order::F] {
            let options = Options::new().order(order);
            let store = options.create_from(&path, &array).unwrap();
            let work = || store.out_of_core();
            let all: Vec<f64> = array.iter().copied().collect();
            assert_eq!(work().nanargmin().unwrap(), first(&all, least));
            assert_eq!(work().nanargmax().unwrap(), first(&all, greatest));
            for axis in [Axis(0), Axis(1)] {
                let (low, high) = (work().nanargmin_axis(axis), work().nanargmax_axis(axis));
                let (low, high) = (low.unwrap(), high.unwrap());
                for (index, lane) in array.lanes(axis).into_iter().enumerate() {
                    assert_eq!(low[index], first(&lane.to_vec(), least));
                    assert_eq!(high[index], first(&lane.to_vec(), greatest));
                }
            }
        }
    }
}

#[test]
fn the_first_lane_without_a_number_is_named() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    let mut array = Array3::<f32>::ones((4, 5, 6));
    array.slice_mut(s![.., 2, 4]).fill(f32::NAN);
    array.slice_mut(s![.., 3, 1]).fill(f32::NAN);
    for order in [Order::C, Order::F] {
        let options = Options::new().order(order);
        let store = options.create_from(&path, &array).unwrap();
        let work = || store.out_of_core();
        for refused in [
            work().nanargmin_axis(Axis(0)),
            work().nanargmax_axis(Axis(0)),
        ] {
            let refused = refused.unwrap_err();
            assert!(
                matches!(refused.kind(), ErrorKind::AllNan { index, .. } if index == &[2, 4]),
                "{refused}"
            );
            assert!(refused.to_string().contains("[2, 4]"), "{refused}");
        }
        assert!(work().nanargmin_axis(Axis(1)).is_ok());
        let lane = work().region(s![.., 2..3, 4..5]).unwrap();
        let refused = lane.nanargmax().unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::AllNan { index, .. } if index.is_empty()),
            "{refused}"
        );
    }
}
