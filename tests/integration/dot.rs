//! Products and covariances, held against plain loops over all elements.

use ndarray::prelude::*;
use ndstore::{ErrorKind, Options, Order, Store};
use tempfile::TempDir;

fn random(shape: impl Into<(usize, usize)>, seed: u64) -> Array2<f64> {
    let mut state = seed;
    Array2::from_shape_simple_fn(shape.into(), || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f64 / 4096.0 - 2000.0
    })
}

/// Short rows, rows longer than a piece, many rows, one row and one column.
const SHAPES: [(usize, usize); 6] = [
    (7, 3),
    (300, 130),
    (3, 300_000),
    (200_000, 2),
    (1, 70_000),
    (70_000, 1),
];

#[test]
fn a_product_is_what_plain_loops_find() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    for (rows, columns) in SHAPES {
        let array = random((rows, columns), 1).mapv(|x| x as f32);
        let other = random((columns, 2), 2).mapv(|x| x as f32);
        for order in [Order::C, Order::F] {
            let options = Options::new().order(order);
            let store = options.create_from(&path, &array).unwrap();
            let work = || store.out_of_core().memory(32 << 20);
            let both = work().dot(&other).unwrap();
            assert_eq!(both.dim(), (rows, 2));
            for (column, other) in other.axis_iter(Axis(1)).enumerate() {
                let one = work().dot(&other.to_owned()).unwrap();
                assert_eq!(one, both.column(column), "the same bits alone");
                for (row, &found) in array.outer_iter().zip(&one) {
                    let products = row.iter().zip(&other);
                    let products = products.map(|(&a, &b)| f64::from(a) * f64::from(b));
                    let (sum, magnitude) =
                        products.fold((0.0, 0.0), |(sum, all), x| (sum + x, all + x.abs()));
                    let error = f64::from(f32::EPSILON) * sum.abs();
                    let error = error + 2.0 * columns as f64 * f64::EPSILON * magnitude;
                    assert!((f64::from(found) - sum).abs() <= error, "{found}, {sum}");
                }
            }
        }
    }
}

#[test]
fn of_nothing_the_products_are_zero_and_nothing() {
    let dir = TempDir::new().unwrap();
    let [tall, wide] = ["a.npy", "b.npy"].map(|name| dir.path().join(name));
    let tall = Store::<f64, _>::create(&tall, (3, 0)).unwrap();
    let zeros = tall.out_of_core().dot(&Array1::zeros(0)).unwrap();
    assert_eq!(zeros, Array1::<f64>::zeros(3));
    let wide = Store::<f64, _>::create(&wide, (0, 3)).unwrap();
    let none = wide.out_of_core().dot(&Array2::zeros((3, 4))).unwrap();
    assert_eq!(none.dim(), (0, 4));
    assert!(
        wide.out_of_core()
            .cov(0)
            .unwrap()
            .iter()
            .all(|x| x.is_nan())
    );
    assert_eq!(tall.out_of_core().cov(0).unwrap().dim(), (0, 0));
}

/// Covariances by two passes.
fn covariances(array: &Array2<f64>, ddof: usize) -> Array2<f64> {
    let apart = array - &array.mean_axis(Axis(0)).unwrap();
    apart.t().dot(&apart) / (array.nrows() - ddof) as f64
}

#[test]
fn covariances_are_those_of_two_passes_however_far_the_means_are() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    for shape in [(9, 4), (300, 130), (200_000, 2), (70_000, 1), (40, 300)] {
        let array = random(shape, 5);
        for far in [0.0, 1e9] {
            // Small integers, which are exact however far they are.
            let whole = array.mapv(|x| (x / 64.0).round());
            let expected = covariances(&whole, 1);
            for order in [Order::C, Order::F] {
                let options = Options::new().order(order);
                let store = options.create_from(&path, &(&whole + far)).unwrap();
                let found = store.out_of_core().cov(1).unwrap();
                for (index, &found) in found.indexed_iter() {
                    let covariance = expected[index];
                    let scale =
                        (expected[(index.0, index.0)] * expected[(index.1, index.1)]).sqrt();
                    assert!(
                        (found - covariance).abs() <= 1e-11 * scale,
                        "{index:?}: {found}, {covariance}"
                    );
                }
                assert_eq!(found, found.t());
            }
        }
    }
}

#[test]
fn nan_spoils_the_covariances_of_its_column_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    let mut array = random((50, 3), 7);
    array[(20, 1)] = f64::NAN;
    let store = Store::create_from(&path, &array).unwrap();
    let found = store.out_of_core().cov(0).unwrap();
    for (index, covariance) in found.indexed_iter() {
        assert_eq!(covariance.is_nan(), index.0 == 1 || index.1 == 1);
    }
    // No degrees of freedom.
    let one = store.out_of_core().rows(..1).unwrap().cov(1).unwrap();
    assert!(one.iter().all(|covariance| covariance.is_nan()));
}

#[test]
fn products_and_covariances_have_the_same_bits_on_any_threads_and_budget() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    for (rows, columns) in [(2000, 300), (3, 300_000), (200_000, 2)] {
        let array = random((rows, columns), 3);
        let other = random((columns, 2), 4);
        for order in [Order::C, Order::F] {
            let options = Options::new().order(order);
            let store = options.create_from(&path, &array).unwrap();
            let bits = |memory| {
                let work = || store.out_of_core().memory(memory);
                let mut found: Vec<u64> = Vec::new();
                found.extend(work().dot(&other).unwrap().iter().map(|x| x.to_bits()));
                if columns < 1000 {
                    found.extend(work().cov(1).unwrap().iter().map(|x| x.to_bits()));
                }
                found
            };
            let expected = bits(1 << 30);
            assert_eq!(bits(16 << 20), expected);
            #[cfg(feature = "rayon")]
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let found = pool.build().unwrap().install(|| bits(16 << 20));
                assert_eq!(found, expected, "{threads} threads");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    let store = Store::<f64, _>::create(&path, (4, 3000)).unwrap();
    let work = || store.out_of_core().memory(1 << 20);
    let refused = work().dot(&Array1::zeros(4)).unwrap_err();
    match refused.kind() {
        ErrorKind::ShapeMismatch {
            expected, found, ..
        } => assert_eq!((&expected[..], &found[..]), (&[3000][..], &[4][..])),
        other => panic!("{other:?}"),
    }
    let refused = work().dot(&arr0(1.0)).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::ShapeMismatch { .. }));
    for refused in [
        work().dot(&Array2::zeros((3000, 100))).unwrap_err(),
        work().cov(0).unwrap_err(),
    ] {
        assert!(
            matches!(refused.kind(), ErrorKind::OverBudget { budget, .. } if *budget == 1 << 20),
            "{refused}"
        );
    }
}
