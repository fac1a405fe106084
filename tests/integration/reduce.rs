//! Reductions against exact arithmetic and plain loops.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::prelude::*;
use ndstore::{
    AnyStore, Be, Bool8, ErrorKind, Number, Order, ReadWrite, RealNumber, Store, write_npy,
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::mapped::copy_on_write;
use super::support::Why;

/// A store of an array in this order, and the directory that it is in. Nothing waits for the disk.
pub(crate) fn stored<A: Number, D: Dimension>(
    array: &Array<A, D>,
    order: Order,
) -> (Store<A, D, ReadWrite>, TempDir) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    let laid_out = array.raw_dim().set_f(order == Order::F);
    let mut laid_out = Array::from_elem(laid_out, A::zeroed());
    laid_out.assign(array);
    write_npy(File::create(&path).unwrap(), &laid_out).unwrap();
    (Store::open_rw(&path).unwrap(), dir)
}

/// The sum of floats, rounded once: Shewchuk's expansions, whose parts add up to it exactly.
fn exact(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut parts: Vec<f64> = Vec::new();
    for mut value in values {
        let mut kept = 0;
        for index in 0..parts.len() {
            let (a, b) = (parts[index], value);
            let sum = a + b;
            let b_in_sum = sum - a;
            let lost = (a - (sum - b_in_sum)) + (b - b_in_sum);
            if lost != 0.0 {
                parts[kept] = lost;
                kept += 1;
            }
            value = sum;
        }
        parts.truncate(kept);
        parts.push(value);
    }
    parts.iter().rev().sum()
}

/// Asserts that `sum` is as close to that of `values` as promised for floats of this precision.
#[track_caller]
fn assert_sum(sum: f64, values: &[f64], epsilon: f64) {
    let error = exact(values.iter().copied().chain([-sum])).abs();
    let magnitude = exact(values.iter().map(|value| value.abs()));
    assert!(
        error <= 2.0 * epsilon * magnitude,
        "{sum} is {error} off; the magnitudes add up to {magnitude}"
    );
}

/// What is a number, as the nearest double.
trait ToF64: Copy {
    fn to_f64(self) -> f64;
}

macro_rules! to_f64 {
    ($($type:ty)*) => {$(
        impl ToF64 for $type {
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

to_f64! { i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 }

impl ToF64 for Bool8 {
    fn to_f64(self) -> f64 {
        u8::from(self.get()).into()
    }
}

#[cfg(feature = "half")]
impl ToF64 for half::f16 {
    fn to_f64(self) -> f64 {
        self.into()
    }
}

/// What the elements of a lane come to.
struct Found {
    sum: f64,
    mean: f64,
    var: f64,
    std: f64,
    min: f64,
    max: f64,
    argmin: usize,
    argmax: usize,
    nonzero: usize,
}

/// The index of the first extreme; NaN is more extreme than any number.
fn first_extreme(values: &[f64], is_better: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (index, &value) in values.iter().enumerate() {
        if !values[best].is_nan() && (value.is_nan() || is_better(value, values[best])) {
            best = index;
        }
    }
    best
}

impl Found {
    /// Compares with what plain loops find. The values are finite and small.
    #[track_caller]
    fn assert(&self, values: &[f64], ddof: usize, epsilon: f64) {
        let len = values.len() as f64;
        assert_sum(self.sum, values, epsilon);
        let magnitude: f64 = values.iter().map(|value| value.abs()).sum();
        let mean = exact(values.iter().copied()) / len;
        let error = (self.mean - mean).abs();
        assert!(
            error <= 3.0 * epsilon * magnitude / len,
            "{} {mean}",
            self.mean
        );

        let distances = values.iter().map(|value| (value - mean) * (value - mean));
        let var = exact(distances) / values.len().saturating_sub(ddof) as f64;
        let is_close = |found: f64, expected: f64| {
            (found - expected).abs() <= (8.0 * epsilon + 100.0 * f64::EPSILON) * expected.abs()
                || found == expected
                || (found.is_nan() && expected.is_nan())
                // Where all are the same, either may be a rounding error.
                || (found - expected).abs() <= 1e-25
        };
        assert!(is_close(self.var, var), "{} {var} of {values:?}", self.var);
        assert!(
            is_close(self.std, var.sqrt()) || var < 1e-25,
            "{} {var}",
            self.std
        );

        let least = first_extreme(values, |value, best| value < best);
        let greatest = first_extreme(values, |value, best| value > best);
        assert_eq!(
            (self.min, self.argmin),
            (values[least], least),
            "{values:?}"
        );
        assert_eq!(
            (self.max, self.argmax),
            (values[greatest], greatest),
            "{values:?}"
        );
        assert_eq!(
            self.nonzero,
            values.iter().filter(|&&value| value != 0.0).count()
        );
    }
}

/// Compares all reductions of an array, whole and along each axis, with plain loops.
fn check<A: RealNumber + ToF64>(array: &ArrayD<A>, order: Order, ddof: usize, epsilon: f64)
where
    A::Sum: ToF64,
    A::Mean: ToF64,
    A::Var: ToF64,
{
    let (store, _dir) = stored(array, order);
    let work = || store.out_of_core();
    let values = |elements: ArrayViewD<A>| -> Vec<f64> {
        elements.iter().map(|element| element.to_f64()).collect()
    };
    if array.is_empty() {
        assert_eq!(work().sum().unwrap().to_f64(), 0.0);
        assert!(work().mean().unwrap().to_f64().is_nan());
        assert!(work().var(ddof).unwrap().to_f64().is_nan());
        assert_eq!(work().count_nonzero().unwrap(), 0);
        assert!(matches!(work().min().why(), Some(ErrorKind::Empty)));
        assert!(matches!(work().max().why(), Some(ErrorKind::Empty)));
        assert!(matches!(work().argmin().why(), Some(ErrorKind::Empty)));
        assert!(matches!(work().argmax().why(), Some(ErrorKind::Empty)));
    } else {
        let found = Found {
            sum: work().sum().unwrap().to_f64(),
            mean: work().mean().unwrap().to_f64(),
            var: work().var(ddof).unwrap().to_f64(),
            std: work().std(ddof).unwrap().to_f64(),
            min: work().min().unwrap().to_f64(),
            max: work().max().unwrap().to_f64(),
            argmin: work().argmin().unwrap(),
            argmax: work().argmax().unwrap(),
            nonzero: work().count_nonzero().unwrap(),
        };
        found.assert(&values(array.view()), ddof, epsilon);
    }
    for axis in (0..array.ndim()).map(Axis) {
        let sum = work().sum_axis(axis).unwrap();
        let mean = work().mean_axis(axis).unwrap();
        let var = work().var_axis(axis, ddof).unwrap();
        let std = work().std_axis(axis, ddof).unwrap();
        let nonzero = work().count_nonzero_axis(axis).unwrap();
        let mut smaller = array.shape().to_vec();
        smaller.remove(axis.index());
        assert_eq!(sum.shape(), smaller);
        assert_eq!(var.shape(), smaller);
        if array.len_of(axis) == 0 {
            assert!(sum.iter().all(|sum| sum.to_f64() == 0.0));
            assert!(mean.iter().all(|mean| mean.to_f64().is_nan()));
            assert!(var.iter().all(|var| var.to_f64().is_nan()));
            assert!(nonzero.iter().all(|&count| count == 0));
            assert!(matches!(
                work().min_axis(axis).why(),
                Some(ErrorKind::Empty)
            ));
            assert!(matches!(
                work().argmax_axis(axis).why(),
                Some(ErrorKind::Empty)
            ));
            continue;
        }
        let min = work().min_axis(axis).unwrap();
        let max = work().max_axis(axis).unwrap();
        let argmin = work().argmin_axis(axis).unwrap();
        let argmax = work().argmax_axis(axis).unwrap();
        for (index, _) in sum.indexed_iter() {
            let mut lane = array.view();
            let mut at = 0;
            for k in 0..array.ndim() {
                if k != axis.index() {
                    lane.collapse_axis(Axis(k), index[at]);
                    at += 1;
                }
            }
            let found = Found {
                sum: sum[&index].to_f64(),
                mean: mean[&index].to_f64(),
                var: var[&index].to_f64(),
                std: std[&index].to_f64(),
                min: min[&index].to_f64(),
                max: max[&index].to_f64(),
                argmin: argmin[&index],
                argmax: argmax[&index],
                nonzero: nonzero[&index],
            };
            found.assert(&values(lane), ddof, epsilon);
        }
    }
}

/// Calls a check with an array of every type, in turn.
macro_rules! check_types {
    ($values:expr, $order:expr, $ddof:expr) => {{
        let (values, order, ddof): (ArrayD<i8>, Order, usize) = ($values, $order, $ddof);
        check(&values, order, ddof, f64::EPSILON);
        check(
            &values.mapv(|x| i16::from(x) * 200),
            order,
            ddof,
            f64::EPSILON,
        );
        check(
            &values.mapv(|x| i32::from(x) * 10_000_000),
            order,
            ddof,
            f64::EPSILON,
        );
        check(
            &values.mapv(|x| i64::from(x) << 32),
            order,
            ddof,
            f64::EPSILON,
        );
        check(
            &values.mapv(|x| x.unsigned_abs()),
            order,
            ddof,
            f64::EPSILON,
        );
        check(
            &values.mapv(|x| u16::from(x.unsigned_abs()) * 500),
            order,
            ddof,
            f64::EPSILON,
        );
        check(
            &values.mapv(|x| u32::from(x.unsigned_abs()) * 30_000_000),
            order,
            ddof,
            f64::EPSILON,
        );
        check(
            &values.mapv(|x| u64::from(x.unsigned_abs()) << 33),
            order,
            ddof,
            f64::EPSILON,
        );
        check(
            &values.mapv(|x| f32::from(x) / 3.0),
            order,
            ddof,
            f32::EPSILON.into(),
        );
        check(
            &values.mapv(|x| f64::from(x) / 3.0),
            order,
            ddof,
            f64::EPSILON,
        );
        check(
            &values.mapv(|x| Bool8::from(x % 2 != 0)),
            order,
            ddof,
            f64::EPSILON,
        );
        #[cfg(feature = "half")]
        {
            let halves = values.mapv(|x| half::f16::from_f32(f32::from(x) / 3.0));
            check(&halves, order, ddof, half::f16::EPSILON.into());
        }
    }};
}

/// Small values in no order, with many equal ones.
fn scattered(shape: &[usize]) -> ArrayD<i8> {
    let mut state = 1_u32;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as i8 % 50
    })
}

const ORDERS: [Order; 2] = [Order::C, Order::F];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn small_arrays_of_all_types_and_shapes_come_to_what_plain_loops_find(
        shape in prop::collection::vec(0..7_usize, 0..5),
        fortran in any::<bool>(),
        ddof in 0..3_usize,
        values in prop::collection::vec(-50..50_i8, 7 * 7 * 7 * 7),
    ) {
        let order = if fortran { Order::F } else { Order::C };
        let mut values = values.into_iter();
        check_types!(ArrayD::from_shape_simple_fn(IxDyn(&shape), || values.next().unwrap()), order, ddof);
    }

    #[test]
    fn sums_are_within_two_epsilon_of_the_magnitudes(
        floats in prop::collection::vec((any::<f64>(), -300..300_i32), 0..700),
        shift in -900.0..900.0_f64,
    ) {
        let floats: Vec<f64> = (floats.into_iter())
            .map(|(float, exponent)| (float % 1e3 + shift) * 10_f64.powi(exponent % 40))
            .collect();
        let (store, _dir) = stored(&Array1::from(floats.clone()), Order::C);
        assert_sum(store.out_of_core().sum().unwrap(), &floats, f64::EPSILON);
        let singles: Vec<f32> = floats.iter().map(|&float| float as f32).filter(|x| x.is_finite()).collect();
        let (store, _dir) = stored(&Array1::from(singles.clone()), Order::C);
        let singles: Vec<f64> = singles.into_iter().map(f64::from).collect();
        let sum: f32 = store.out_of_core().sum().unwrap();
        if sum.is_finite() {
            assert_sum(sum.into(), &singles, f32::EPSILON.into());
        }
    }
}

#[test]
fn each_way_to_walk_finds_what_plain_loops_find() {
    // Runs and rows of all lengths: gathered, joined, side by side, and in several groups.
    for shape in [
        &[1500][..],
        &[40, 130],
        &[3, 700],
        &[700, 3],
        &[90, 100],
        &[5, 300, 7],
        &[2, 50, 129],
        &[4, 3, 2, 65],
    ] {
        for order in ORDERS {
            check_types!(scattered(shape), order, 1);
        }
    }
}

#[test]
fn long_runs_are_reduced_in_groups_and_pieces() {
    let values = scattered(&[3, 150_000]);
    let floats = values.mapv(|x| f64::from(x) / 7.0);
    check(&floats, Order::C, 0, f64::EPSILON);
    check(&values.reversed_axes(), Order::F, 0, f64::EPSILON);
}

#[test]
fn narrow_columns_are_reduced_in_groups() {
    let floats = |shape: &[usize]| scattered(shape).mapv(|x| f64::from(x) / 7.0);
    check(&floats(&[60_000, 3]), Order::C, 0, f64::EPSILON);
    check(&floats(&[3, 60_000]), Order::F, 0, f64::EPSILON);
    check(&floats(&[2, 700, 200]), Order::C, 0, f64::EPSILON);
    check(&floats(&[2, 700, 200]), Order::F, 0, f64::EPSILON);
}

#[test]
fn rows_that_are_long_are_cut_into_bands() {
    // More than 128 rows of more than 128 KiB, in several bands whose last one is short.
    let values = scattered(&[131, 17_001]).mapv(|x| f64::from(x) / 7.0);
    let (store, _dir) = stored(&values, Order::C);
    for memory in [8 * 17_001, 64 << 20] {
        let work = || store.out_of_core().memory(memory);
        let sums = work().sum_axis(Axis(0)).unwrap();
        let vars = work().var_axis(Axis(0), 0).unwrap();
        let places = work().argmax_axis(Axis(0)).unwrap();
        for (column, values) in values.columns().into_iter().enumerate() {
            let values = values.to_vec();
            assert_sum(sums[column], &values, f64::EPSILON);
            let mean = exact(values.iter().copied()) / 131.0;
            let var = exact(values.iter().map(|x| (x - mean) * (x - mean))) / 131.0;
            assert!((vars[column] - var).abs() <= 1e-14 * var);
            assert_eq!(
                places[column],
                first_extreme(&values, |value, best| value > best)
            );
        }
    }
}

#[test]
fn sums_of_integers_are_exact_or_refused() {
    let (fits, _dir) = stored(&array![i64::MAX, i64::MIN, i64::MAX, -5, 5], Order::C);
    assert_eq!(fits.out_of_core().sum().unwrap(), i64::MAX - 1);

    let (too_much, _dir) = stored(&array![[i64::MAX, 1], [2, 3]], Order::C);
    let expected = i128::from(i64::MAX) + 6;
    match too_much.out_of_core().sum().why() {
        Some(ErrorKind::SumOverflow { sum, dtype, .. }) => {
            assert_eq!((*sum, *dtype), (expected, "int64"))
        }
        other => panic!("{other:?}"),
    }
    let along = too_much.out_of_core().sum_axis(Axis(0));
    assert!(matches!(along.why(), Some(ErrorKind::SumOverflow { .. })));
    let mean = too_much.out_of_core().mean().unwrap();
    assert_eq!(mean, expected as f64 / 4.0);

    let most = Array2::from_elem((70, 3), u64::MAX);
    let (too_much, _dir) = stored(&most, Order::C);
    match too_much.out_of_core().sum().why() {
        Some(ErrorKind::SumOverflow { sum, .. }) => assert_eq!(*sum, 210 * i128::from(u64::MAX)),
        other => panic!("{other:?}"),
    }
    let least = Array1::from_elem(10_000, i64::MIN / 10_000);
    let (fits, _dir) = stored(&least, Order::C);
    assert_eq!(
        fits.out_of_core().sum().unwrap(),
        i64::MIN / 10_000 * 10_000
    );
}

#[test]
fn the_widest_values_of_narrow_integers_are_added_exactly() {
    fn check<A: Number<Sum: Into<i128>> + Into<i128>>(value: A) {
        let len = 600_000;
        let (store, _dir) = stored(&Array1::from_elem(len, value), Order::C);
        let sum = store.out_of_core().sum().unwrap();
        assert_eq!(sum.into(), len as i128 * value.into());
    }
    check(i8::MIN);
    check(u8::MAX);
    check(i16::MIN);
    check(u16::MAX);
    check(i32::MIN);
    check(u32::MAX);
}

#[test]
fn what_cancels_in_a_sum_leaves_what_it_should() {
    // Large values of both signs, far apart, and small ones whose sum is all that is left.
    let large = |index: usize| (index as f64 * 0.7).sin() * 1e15;
    let mut values: Vec<f64> = (0..40_000).map(large).collect();
    values.extend((0..3000).map(|index| index as f64 * 1.237e-3));
    values.extend((0..40_000).rev().map(|index| -large(index)));
    let (store, _dir) = stored(&Array1::from(values.clone()), Order::C);
    let expected = exact(values);
    let sum = store.out_of_core().sum().unwrap();
    assert!(
        (sum - expected).abs() <= f64::EPSILON * expected,
        "{sum} {expected}"
    );
}

#[test]
fn the_variance_survives_a_mean_that_is_far_away() {
    let values = scattered(&[200, 3, 130]).mapv(|x| 1e9 + f64::from(x) * 1e-3);
    let (store, _dir) = stored(&values, Order::C);
    let is_close = |found: f64, values: ArrayViewD<f64>| {
        // The distances are exact, where the values are taken as they are.
        let near: Vec<f64> = values.iter().map(|x| x - 1e9).collect();
        let mean = exact(near.iter().copied()) / near.len() as f64;
        let var = exact(near.iter().map(|x| (x - mean) * (x - mean))) / near.len() as f64;
        assert!((found - var).abs() <= 1e-12 * var, "{found} {var}");
    };
    is_close(store.out_of_core().var(0).unwrap(), values.view());
    let along = store.out_of_core().var_axis(Axis(0), 0).unwrap();
    for ((i, j), &found) in along.into_dimensionality::<Ix2>().unwrap().indexed_iter() {
        is_close(found, values.slice(s![.., i, j]).into_dyn());
    }
}

#[test]
fn infinities_and_nan_come_out_as_in_numpy_wherever_they_lie() {
    const LEN: usize = 150;
    let (mut store, _dir) = stored(&Array1::<f64>::zeros(LEN), Order::C);
    let (mut narrow, _dir2) = stored(&Array1::<f32>::zeros(LEN), Order::C);
    let (mut square, _dir3) = stored(&Array2::<f64>::zeros((10, 15)), Order::F);
    for at in 0..LEN {
        for (first, second, sum) in [
            (f64::INFINITY, 1.0, f64::INFINITY),
            (f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY),
            (f64::INFINITY, f64::NEG_INFINITY, f64::NAN),
            (f64::NAN, f64::INFINITY, f64::NAN),
            (2.0, f64::NAN, f64::NAN),
        ] {
            let mut values = Array1::from_shape_fn(LEN, |index| (index as f64 * 0.7).sin());
            values[at] = first;
            values[(at + 67) % LEN] = second;
            let plain = values.to_vec();
            narrow.write_all(&values.mapv(|x| x as f32)).unwrap();
            let by_rows = values.view().into_shape_with_order((10, 15)).unwrap();
            square.write_all(&by_rows).unwrap();
            store.write_all(&values).unwrap();
            let is_same = |found: f64, expected: f64| {
                assert!(
                    found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()),
                    "{found}, but expected {expected}: {first} at {at}, {second}"
                );
            };
            let work = || store.out_of_core();
            is_same(work().sum().unwrap(), sum);
            is_same(work().mean().unwrap(), sum);
            is_same(work().var(0).unwrap(), f64::NAN);
            is_same(narrow.out_of_core().sum().unwrap().into(), sum);
            is_same(narrow.out_of_core().var(0).unwrap().into(), f64::NAN);
            let least = first_extreme(&plain, |value, best| value < best);
            let greatest = first_extreme(&plain, |value, best| value > best);
            is_same(work().min().unwrap(), plain[least]);
            is_same(work().max().unwrap(), plain[greatest]);
            assert_eq!(work().argmin().unwrap(), least);
            assert_eq!(work().argmax().unwrap(), greatest);
            assert_eq!(narrow.out_of_core().argmin().unwrap(), least);
            assert_eq!(square.out_of_core().argmin().unwrap(), least);
            assert_eq!(square.out_of_core().argmax().unwrap(), greatest);
            let columns = square.out_of_core().sum_axis(Axis(0)).unwrap();
            let expected = square.read_all().unwrap().sum_axis(Axis(0));
            for (&found, &expected) in columns.iter().zip(&expected) {
                if !expected.is_finite() {
                    is_same(found, expected);
                }
            }
        }
    }
}

#[test]
fn a_variance_without_freedom_is_what_numpy_says() {
    let (store, _dir) = stored(&array![1.0_f64, 2.0], Order::C);
    for ddof in [2, 3] {
        assert_eq!(store.out_of_core().var(ddof).unwrap(), f64::INFINITY);
        assert_eq!(store.out_of_core().std(ddof).unwrap(), f64::INFINITY);
    }
    let (store, _dir) = stored(&array![1.0_f64, 1.0], Order::C);
    assert!(store.out_of_core().var(2).unwrap().is_nan());
    let (store, _dir) = stored(&array![1e200_f64, -1e200], Order::C);
    assert_eq!(store.out_of_core().var(0).unwrap(), f64::INFINITY);
}

#[test]
fn equal_extremes_are_found_first_in_c_order() {
    let mut state = 7_u32;
    for shape in [
        &[2, 3][..],
        &[3, 1, 4],
        &[1, 5, 2, 3],
        &[40, 41],
        &[2, 1, 900],
        &[600, 7],
    ] {
        for kinds in [1, 2, 3] {
            let values = ArrayD::from_shape_simple_fn(IxDyn(shape), || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                match (state >> 24) % 16 {
                    0 if kinds == 3 => f32::NAN,
                    other => (other % kinds) as f32,
                }
            });
            let plain: Vec<f64> = values.iter().map(|&value| value.into()).collect();
            for order in ORDERS {
                let (store, _dir) = stored(&values, order);
                let least = first_extreme(&plain, |value, best| value < best);
                let greatest = first_extreme(&plain, |value, best| value > best);
                assert_eq!(store.out_of_core().argmin().unwrap(), least, "{shape:?}");
                assert_eq!(store.out_of_core().argmax().unwrap(), greatest, "{shape:?}");
            }
        }
    }
}

#[test]
fn any_byte_but_zero_is_true() {
    let bools: Vec<Bool8> = bytes_as_bools(&[5, 0, 1, 255]);
    let (store, _dir) = stored(&Array1::from(bools), Order::C);
    assert_eq!(store.out_of_core().sum().unwrap(), 3);
    assert_eq!(store.out_of_core().mean().unwrap(), 0.75);
    assert_eq!(store.out_of_core().count_nonzero().unwrap(), 3);
    assert_eq!(store.out_of_core().min().unwrap(), Bool8::from(false));
    assert_eq!(store.out_of_core().argmax().unwrap(), 0);
}

fn bytes_as_bools(bytes: &[u8]) -> Vec<Bool8> {
    ndstore::bytemuck::cast_slice(bytes).to_vec()
}

#[cfg(feature = "num-complex")]
#[test]
fn complex_numbers_have_sums_means_and_variances() {
    use num_complex::Complex;

    let values = scattered(&[90, 70, 2]).mapv(f64::from);
    for order in ORDERS {
        let parts = values.map_axis(Axis(2), |z| Complex::new(z[0] / 3.0, z[1]));
        let parts = parts.into_dimensionality::<Ix2>().unwrap();
        let (store, _dir) = stored(&parts, order);
        let (narrow, _dir) = stored(
            &parts.mapv(|z| Complex::new(z.re as f32, z.im as f32)),
            order,
        );
        let re: Vec<f64> = parts.iter().map(|z| z.re).collect();
        let im: Vec<f64> = parts.iter().map(|z| z.im).collect();
        let sum = store.out_of_core().sum().unwrap();
        assert_sum(sum.re, &re, f64::EPSILON);
        assert_sum(sum.im, &im, f64::EPSILON);
        let mean = store.out_of_core().mean().unwrap();
        assert_eq!(mean, sum / 6300.0);
        let var = store.out_of_core().var(0).unwrap();
        let expected = parts.iter().map(|z| (z - mean).norm_sqr()).sum::<f64>() / 6300.0;
        assert!(
            (var - expected).abs() < 1e-12 * expected,
            "{var} {expected}"
        );
        let narrow_var: f32 = narrow.out_of_core().var(0).unwrap();
        assert!((f64::from(narrow_var) - expected).abs() < 1e-6 * expected);
        let nonzero = parts.iter().filter(|z| **z != Complex::default()).count();
        assert_eq!(store.out_of_core().count_nonzero().unwrap(), nonzero);
        for axis in [Axis(0), Axis(1)] {
            let sums = store.out_of_core().sum_axis(axis).unwrap();
            let vars = store.out_of_core().var_axis(axis, 1).unwrap();
            for ((lane, &sum), &var) in parts.lanes(axis).into_iter().zip(&sums).zip(&vars) {
                let re: Vec<f64> = lane.iter().map(|z| z.re).collect();
                assert_sum(sum.re, &re, f64::EPSILON);
                let mean = sum / lane.len() as f64;
                let squares = lane.iter().map(|z| (z - mean).norm_sqr());
                let expected = squares.sum::<f64>() / (lane.len() - 1) as f64;
                assert!((var - expected).abs() < 1e-12 * expected);
            }
        }
    }
}

/// The bits of all results that rounding could change.
fn bits(store: &Store<f64, Ix2, ReadWrite>, memory: usize) -> Vec<u64> {
    let work = || store.out_of_core().memory(memory);
    let mut bits = vec![
        work().sum().unwrap().to_bits(),
        work().mean().unwrap().to_bits(),
        work().var(1).unwrap().to_bits(),
    ];
    for axis in [Axis(0), Axis(1)] {
        bits.extend(work().sum_axis(axis).unwrap().iter().map(|x| x.to_bits()));
        bits.extend(
            work()
                .var_axis(axis, 1)
                .unwrap()
                .iter()
                .map(|x| x.to_bits()),
        );
    }
    let described = work().describe().unwrap();
    bits.extend([described.mean, described.std].map(f64::to_bits));
    bits.push(work().nanvar(1).unwrap().to_bits());
    for axis in [Axis(0), Axis(1)] {
        let variances = work().nanvar_axis(axis, 1).unwrap();
        bits.extend(variances.iter().map(|x| x.to_bits()));
        // A description takes more than a number.
        let described = work().memory(memory.max(8 << 20)).describe_axis(axis);
        let described = described.unwrap();
        bits.extend(described.iter().map(|lane| lane.std.to_bits()));
    }
    bits
}

#[test]
fn results_depend_neither_on_the_budget_nor_on_the_threads_nor_on_the_order_of_bytes() {
    for shape in [(130, 16_500), (40_000, 11), (11, 60_000), (1500, 300)] {
        let mut state = 3_u64;
        let values = Array2::from_shape_simple_fn(shape, || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 11) as f64 * 1e-9 - 4e6
        });
        let (store, dir) = stored(&values, Order::C);
        let expected = bits(&store, 1 << 30);
        assert_eq!(bits(&store, 4 << 20), expected);

        let path = dir.path().join("foreign.npy");
        drop(Store::create_from(&path, &values.mapv(Be::from)).unwrap());
        let foreign = AnyStore::open(&path).unwrap();
        let work = || foreign.out_of_core::<f64, Ix2>().unwrap();
        assert_eq!(work().sum().unwrap().to_bits(), expected[0]);
        let along = work().sum_axis(Axis(0)).unwrap();
        assert_eq!(along[0].to_bits(), expected[3]);

        #[cfg(feature = "rayon")]
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let found = pool.install(|| bits(&store, 4 << 20));
            assert_eq!(found, expected, "{threads} threads, {shape:?}");
        }
    }
}

#[test]
fn an_axis_that_is_not_there_is_refused() {
    let (store, _dir) = stored(&Array2::<u8>::zeros((2, 3)), Order::C);
    match store.out_of_core().sum_axis(Axis(2)).why() {
        Some(ErrorKind::AxisOutOfBounds { axis, ndim, .. }) => assert_eq!((*axis, *ndim), (2, 2)),
        other => panic!("{other:?}"),
    }
    let (store, _dir) = stored(&ArrayD::<u8>::zeros(IxDyn(&[])), Order::C);
    let along = store.out_of_core().max_axis(Axis(0));
    assert!(matches!(
        along.why(),
        Some(ErrorKind::AxisOutOfBounds { ndim: 0, .. })
    ));
}

#[test]
fn a_result_larger_than_the_budget_is_refused() {
    let (store, _dir) = stored(&Array2::<u8>::zeros((3, 1_000_000)), Order::C);
    match store.out_of_core().memory(1 << 20).mean_axis(Axis(0)).why() {
        Some(ErrorKind::OverBudget { needed, budget, .. }) => {
            assert_eq!((*needed, *budget), (8_000_000, 1 << 20));
        }
        other => panic!("{other:?}"),
    }
    let along = store.out_of_core().memory(1 << 20).mean_axis(Axis(1));
    assert_eq!(along.unwrap(), array![0.0, 0.0, 0.0]);
}

#[cfg(feature = "rayon")]
#[test]
fn a_budget_that_just_holds_the_result_will_do_for_any_number_of_threads() {
    let (store, _dir) = stored(&Array2::<f64>::ones((3, 16_500)), Order::C);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(400).build();
    let work = store.out_of_core().memory(16_500 * 8);
    let sums = pool.unwrap().install(|| work.sum_axis(Axis(0))).unwrap();
    assert_eq!(sums, Array1::from_elem(16_500, 3.0));
}

#[test]
fn progress_reaches_the_end_and_breaks_off() {
    for shape in [(9, 100_000), (100_000, 9)] {
        let (store, _dir) = stored(&Array2::<f64>::zeros(shape), Order::C);
        let last = AtomicU64::new(0);
        let watched = || {
            store.out_of_core().progress(|progress| {
                assert_eq!(progress.total, 7_200_000);
                assert!(last.swap(progress.done, Ordering::Relaxed) < progress.done);
                Ok(())
            })
        };
        watched().sum_axis(Axis(0)).unwrap();
        assert_eq!(last.swap(0, Ordering::Relaxed), 7_200_000);
        watched().argmin().unwrap();
        assert_eq!(last.load(Ordering::Relaxed), 7_200_000);
        let broken = || store.out_of_core().progress(|_| Err("stopped".into()));
        assert!(matches!(
            broken().sum().why(),
            Some(ErrorKind::Cancelled { .. })
        ));
        assert!(matches!(
            broken().sum_axis(Axis(0)).why(),
            Some(ErrorKind::Cancelled { .. })
        ));
    }
}

#[test]
fn a_copy_on_write_store_comes_to_what_it_was_changed_to() {
    let (store, dir) = stored(&Array2::<i32>::ones((100, 100)), Order::C);
    drop(store);
    let mut store = copy_on_write(Store::<i32, Ix2>::open(dir.path().join("a.npy")).unwrap());
    store.view_mut()[[7, 8]] = -3;
    assert_eq!(store.out_of_core().sum().unwrap(), 9996);
    assert_eq!(store.out_of_core().argmin().unwrap(), 708);
}
