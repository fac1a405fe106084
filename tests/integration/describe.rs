//! Descriptions, held against the methods that return each statistic alone.

use ndarray::prelude::*;
use ndstore::{Bool8, Description, ErrorKind, Options, Order, Store};
use tempfile::TempDir;

fn element(row: usize, column: usize) -> f64 {
    match (row, column) {
        (5, _) | (_, 2) => f64::NAN,
        _ => ((row * 31 + column * 17) % 101) as f64 - 50.0,
    }
}

/// The same but for the last bits, or none both.
#[track_caller]
fn assert_near(found: f64, expected: f64) {
    let near = (found - expected).abs() <= 1e-13 * expected.abs();
    assert!(
        near || found.is_nan() && expected.is_nan(),
        "{found}, {expected}"
    );
}

#[test]
fn a_description_is_what_each_statistic_is_by_itself() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    for shape in [(7, 3), (40, 5), (300, 130), (11, 40_000), (30_000, 3)] {
        let array = Array2::from_shape_fn(shape, |(row, column)| element(row, column));
        for order in [Order::C, Order::F] {
            let options = Options::new().order(order);
            let store = options.create_from(&path, &array).unwrap();
            let work = || store.out_of_core();
            let all = work().describe().unwrap();
            assert_eq!(all.count, array.len());
            assert_eq!(all.nan, work().count_nan().unwrap());
            assert_eq!(all.zeros, array.len() - work().count_nonzero().unwrap());
            assert_near(all.mean, work().nanmean().unwrap());
            assert_near(all.std, work().nanstd(0).unwrap());
            assert_eq!(all.min, Some(work().nanmin().unwrap()));
            assert_eq!(all.max, Some(work().nanmax().unwrap()));
            for axis in [Axis(0), Axis(1)] {
                let lanes = work().describe_axis(axis).unwrap();
                let means = work().nanmean_axis(axis).unwrap();
                let stds = work().nanstd_axis(axis, 0).unwrap();
                let least = work().nanmin_axis(axis).unwrap();
                let nan = work().count_nan_axis(axis).unwrap();
                for (index, lane) in lanes.iter().enumerate() {
                    assert_eq!((lane.count, lane.nan), (array.len_of(axis), nan[index]));
                    assert_near(lane.mean, means[index]);
                    assert_near(lane.std, stds[index]);
                    let number = Some(least[index]).filter(|least| !least.is_nan());
                    assert_eq!(lane.min, number);
                    assert_eq!(lane.max.is_some(), number.is_some());
                }
            }
        }
    }
}

#[test]
fn integers_and_truth_values_are_described_as_they_are() {
    let dir = TempDir::new().unwrap();
    let [path, other] = ["a.npy", "b.npy"].map(|name| dir.path().join(name));
    let store = Store::create_from(&path, &array![i64::MIN, 0, i64::MAX, 1]).unwrap();
    let all = store.out_of_core().describe().unwrap();
    assert_eq!((all.min, all.max), (Some(i64::MIN), Some(i64::MAX)));
    assert_eq!((all.mean, all.zeros, all.nan), (0.0, 1, 0));
    let truths = array![true, true, false, true].mapv(Bool8::from);
    let store = Store::create_from(&other, &truths).unwrap();
    let all = store.out_of_core().describe().unwrap();
    assert_eq!((all.mean, all.zeros), (0.75, 1));
    assert_eq!((all.min, all.max), (Some(false.into()), Some(true.into())));
}

#[test]
fn of_no_number_there_is_neither_a_mean_nor_an_extreme() {
    let dir = TempDir::new().unwrap();
    let [path, other] = ["a.npy", "b.npy"].map(|name| dir.path().join(name));
    let check = |all: Description<f64>, count| {
        assert_eq!((all.count, all.nan, all.zeros), (count, count, 0));
        assert!(all.mean.is_nan() && all.std.is_nan());
        assert_eq!((all.min, all.max), (None, None));
        assert_eq!(
            all.to_string(),
            format!("{count} elements, {count} NaN, 0 zero")
        );
    };
    let store = Store::create_from(&path, &Array2::<f64>::zeros((0, 2))).unwrap();
    check(store.out_of_core().describe().unwrap(), 0);
    let lanes = store.out_of_core().describe_axis(Axis(0)).unwrap();
    assert_eq!(lanes.len(), 2);
    check(lanes[1], 0);
    let store = Store::create_from(&other, &Array1::from_elem(70, f64::NAN)).unwrap();
    check(store.out_of_core().describe().unwrap(), 70);
    let refused = store.out_of_core().describe_axis(Axis(1)).unwrap_err();
    assert!(matches!(
        refused.kind(),
        ErrorKind::AxisOutOfBounds { axis: 1, .. }
    ));
}

#[test]
fn a_description_is_printed_in_a_line() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    let store = Store::create_from(&path, &array![0.0, 2.5, f64::NAN, 2.0]).unwrap();
    let all = store.out_of_core().describe().unwrap();
    let text = all.to_string();
    let expected = "4 elements, 1 NaN, 1 zero, from 0 to 2.5, mean 1.5, std 1.08";
    assert!(text.starts_with(expected), "{text}");
}
