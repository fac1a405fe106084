//! Quantiles and histograms against sorted copies.

use ndarray::prelude::*;
use ndstore::{ErrorKind, Order, RealNumber, Store};
use proptest::prelude::*;
use tempfile::TempDir;

use super::reduce::stored;
use super::support::Why;

/// The quantile of these numbers, from a sorted copy: what NumPy's method `linear` says.
fn naive(mut values: Vec<f64>, q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() - 1) as f64 * q;
    let [a, b] = [at.floor(), at.ceil()].map(|place| values[place as usize]);
    let weight = at - at.floor();
    match (a == b, weight >= 0.5) {
        (true, _) => a,
        (false, true) => b - (b - a) * (1.0 - weight),
        (false, false) => a + (b - a) * weight,
    }
}

/// So little memory that elements are counted several times before any is collected.
const LITTLE: usize = 64;

proptest! {
    #[test]
    fn quantiles_are_those_of_a_sorted_copy_whatever_the_budget(
        values in prop::collection::vec(-1e3_f64..1e3, 1..2000),
        spread in prop::sample::select(vec![0.01, 1.0, 1e300]),
        qs in prop::collection::vec(0.0..=1.0, 1..5),
    ) {
        let values: Vec<f64> = values.into_iter().map(|value| value.round() * spread).collect();
        let (store, _dir) = stored(&Array::from(values.clone()), Order::C);
        for memory in [LITTLE, 64 << 20] {
            let found = store.out_of_core().memory(memory).quantiles(&qs).unwrap();
            let expected: Vec<f64> = qs.iter().map(|&q| naive(values.clone(), q)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn small_integers_and_floats_come_to_what_doubles_do(values in prop::collection::vec(any::<i16>(), 1..500), q in 0.0..=1.0) {
        let doubles: Vec<f64> = values.iter().copied().map(f64::from).collect();
        let expected = naive(doubles, q);
        let integers = Array::from(values);
        for memory in [LITTLE, 64 << 20] {
            let (store, _dir) = stored(&integers, Order::C);
            prop_assert_eq!(store.out_of_core().memory(memory).quantile(q).unwrap(), expected);
            let (store, _dir) = stored(&integers.mapv(f32::from), Order::C);
            let found = store.out_of_core().memory(memory).quantile(q).unwrap();
            prop_assert_eq!(found, expected as f32);
        }
    }

    #[test]
    fn quantiles_along_an_axis_are_those_of_its_lanes(
        shape in (1_usize..7, 1_usize..40, 1_usize..9),
        axis in 0_usize..3,
        q in 0.0..=1.0,
        memory in prop::sample::select(vec![4_000, 1 << 20]),
        fortran: bool,
    ) {
        let array = Array::from_shape_fn(shape, |(i, j, k)| ((i * 31 + j * 17 + k * 7) % 23) as f64);
        let (store, _dir) = stored(&array, if fortran { Order::F } else { Order::C });
        let found = store.out_of_core().memory(memory).quantile_axis(Axis(axis), q);
        let expected = array.map_axis(Axis(axis), |lane| naive(lane.to_vec(), q));
        match found {
            Ok(found) => prop_assert_eq!(found, expected),
            // Only where the results, or the elements of one, are more than that.
            Err(error) => match error.kind() {
                ErrorKind::OverBudget { needed, .. } => prop_assert!(*needed > memory as u64),
                _ => return Err(TestCaseError::fail(error.to_string())),
            },
        }
    }

    #[test]
    fn a_histogram_counts_what_lies_in_each_bin(
        values in prop::collection::vec(-100_i32..100, 0..500),
        bins in 1_usize..30,
    ) {
        let (store, _dir) = stored(&Array::from(values.clone()), Order::C);
        let (counts, edges) = store.out_of_core().histogram_bins(bins).unwrap();
        prop_assert_eq!(counts.iter().sum::<u64>(), values.len() as u64);
        prop_assert_eq!(edges.len(), bins + 1);
        for (bin, &count) in counts.iter().enumerate() {
            let holds = |value: &&i32| {
                let value = f64::from(**value);
                edges[bin] <= value && (value < edges[bin + 1] || bin + 1 == bins && value == edges[bins])
            };
            prop_assert_eq!(count, values.iter().filter(holds).count() as u64);
        }
        prop_assert_eq!(store.out_of_core().histogram(&edges).unwrap(), counts);
    }
}

#[test]
fn a_nan_makes_nan_of_the_quantiles_it_takes_part_in() {
    let array = array![[1.0, f64::NAN], [3.0, 4.0]];
    let (store, _dir) = stored(&array, Order::C);
    for memory in [LITTLE, 1 << 20] {
        let found = store.out_of_core().memory(memory).quantiles(&[0.0, 0.5]);
        assert!(found.unwrap().iter().all(|value| value.is_nan()));
    }
    let medians = store.out_of_core().median_axis(Axis(0)).unwrap();
    assert!(medians[0] == 2.0 && medians[1].is_nan());
    assert!(matches!(
        store.out_of_core().histogram_bins(3).why(),
        Some(ErrorKind::InvalidOption { .. })
    ));
    assert_eq!(store.out_of_core().histogram(&[0.0, 5.0]).unwrap(), [3]);
}

#[test]
fn infinities_are_quantiles_and_their_mean_is_what_numpy_says() {
    let (store, _dir) = stored(
        &array![f64::NEG_INFINITY, 0.0, f64::INFINITY, f64::INFINITY],
        Order::C,
    );
    let found = store
        .out_of_core()
        .quantiles(&[0.0, 1.0 / 3.0, 1.0])
        .unwrap();
    assert_eq!(found, [f64::NEG_INFINITY, 0.0, f64::INFINITY]);
    assert_eq!(store.out_of_core().quantile(0.9).unwrap(), f64::INFINITY);
}

#[test]
fn what_no_quantile_or_histogram_is_of_is_refused() {
    let dir = TempDir::new().unwrap();
    let empty = Store::<f32, _>::create(dir.path().join("empty.npy"), (0, 3)).unwrap();
    assert!(matches!(
        empty.out_of_core().median().why(),
        Some(ErrorKind::Empty)
    ));
    assert!(matches!(
        empty.out_of_core().median_axis(Axis(0)).why(),
        Some(ErrorKind::Empty)
    ));
    assert_eq!(empty.out_of_core().median_axis(Axis(1)).unwrap().len(), 0);
    assert_eq!(
        empty.out_of_core().histogram_bins(2).unwrap(),
        (vec![0, 0], vec![0.0, 0.5, 1.0])
    );
    let store = Store::<f32, _>::create(dir.path().join("a.npy"), (2, 3)).unwrap();
    for q in [-0.1, 1.1, f64::NAN, 50.0] {
        let refused = store.out_of_core().quantile(q);
        assert!(
            matches!(refused.why(), Some(ErrorKind::InvalidOption { .. })),
            "{q}"
        );
    }
    for edges in [&[][..], &[1.0], &[2.0, 1.0], &[0.0, f64::NAN, 1.0]] {
        let refused = store.out_of_core().histogram(edges);
        assert!(
            matches!(refused.why(), Some(ErrorKind::InvalidOption { .. })),
            "{edges:?}"
        );
    }
    assert!(matches!(
        store.out_of_core().histogram_bins(0).why(),
        Some(ErrorKind::InvalidOption { .. })
    ));
    assert!(matches!(
        store.out_of_core().quantile_axis(Axis(2), 0.5).why(),
        Some(ErrorKind::AxisOutOfBounds { .. })
    ));
}

#[test]
fn progress_goes_to_its_end_however_many_passes_there_are_and_can_stop_them() {
    /// The median, and the passes that the progress has counted and promised.
    fn passes<A: RealNumber<Var = f64>>(array: &Array1<A>, memory: usize) -> (f64, f64, f64) {
        let (store, _dir) = stored(array, Order::C);
        let mut last = None;
        let work = store.out_of_core().memory(memory).progress(|progress| {
            last = Some(progress);
            Ok(())
        });
        let median = work.median().unwrap();
        let pass = size_of_val(array.as_slice().unwrap()) as f64;
        let last = last.unwrap();
        (median, last.done as f64 / pass, last.total as f64 / pass)
    }
    let ramp = Array::from_shape_fn(300_000, |i| i as f64);
    assert_eq!(passes(&ramp, LITTLE << 10), (149_999.5, 2.0, 2.0));
    // All of it fits: it is collected at once.
    assert_eq!(passes(&ramp, 64 << 20), (149_999.5, 1.0, 1.0));
    // Equal elements never fit, and are told by all of their bits.
    let equal = Array::from_elem(300_000, 2.5);
    assert_eq!(passes(&equal, LITTLE << 10), (2.5, 2.0, 2.0));
    // One table counts all bits of short elements.
    let short = Array::from_shape_fn(900_000, |i| (i % 101) as u8);
    assert_eq!(passes(&short, 1 << 20), (50.0, 1.0, 1.0));

    let (store, _dir) = stored(&ramp, Order::C);
    let stopped = store.out_of_core().progress(|_| Err("enough".into()));
    assert!(matches!(
        stopped.median().why(),
        Some(ErrorKind::Cancelled { .. })
    ));
}

#[test]
fn quantiles_and_histograms_of_a_part_are_those_of_a_copy_of_it() {
    let array = Array::from_shape_fn((30, 20), |(i, j)| ((i * 7 + j * 13) % 31) as f64);
    let (store, _dir) = stored(&array, Order::C);
    let part = || store.out_of_core().rows(3..17).unwrap();
    let copy: Vec<f64> = array.slice(s![3..17, ..]).iter().copied().collect();
    let expected = naive(copy.clone(), 0.3);
    assert_eq!(part().quantile(0.3).unwrap(), expected);
    assert_eq!(part().memory(LITTLE).quantile(0.3).unwrap(), expected);
    let (counts, _) = part().histogram_bins(5).unwrap();
    assert_eq!(counts.iter().sum::<u64>(), copy.len() as u64);
}
