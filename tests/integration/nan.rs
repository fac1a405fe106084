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
