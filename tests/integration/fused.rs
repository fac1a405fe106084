//! Work that is more than one step: elements with the value for their lane, rows into rows, folds, and batches.

use std::sync::Mutex;

use ndarray::prelude::*;
#[cfg(feature = "rayon")]
use ndstore::Chunk;
use ndstore::{AnyStore, Be, Error, ErrorKind, Options, Order, Result, Store};
use proptest::prelude::*;
use tempfile::TempDir;

fn numbered(shape: &[usize], order: Order) -> ArrayD<f64> {
    let mut next = 0.0;
    ArrayD::from_shape_simple_fn(IxDyn(shape).set_f(order == Order::F), || {
        next += 1.0;
        next
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn each_element_is_taken_with_the_value_for_its_lane(
        shape in prop::collection::vec(0..7_usize, 1..4),
        order in prop_oneof![Just(Order::C), Just(Order::F)],
        axis in 0..3_usize,
    ) {
        let axis = Axis(axis % shape.len());
        let dir = TempDir::new().unwrap();
        let [path, new] = ["a.npy", "b.npy"].map(|name| dir.path().join(name));
        let array = numbered(&shape, order);
        let values = array.sum_axis(axis);
        let store = Options::new().order(order).create_from(&path, &array).unwrap();
        let zip = store.out_of_core().zip_axis(axis, &values).unwrap();
        let zip = zip.zip_axis(axis, &values.mapv(|x| x as i32)).unwrap();
        let found = zip.map(&new, |((x, sum), again)| x - sum + 0.5 * f64::from(again)).unwrap();
        let spread = values.insert_axis(axis);
        prop_assert_eq!(found.read_all().unwrap(), &array - &(&spread * 0.5));
    }
}

#[test]
fn a_table_of_many_pieces_is_standardised_in_a_line() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let [path, new] = ["a.npy", "b.npy"].map(|name| dir.path().join(name));
    // Rows that are cut by pieces, and rows longer than one.
    for shape in [(90_001, 7), (3, 200_000)] {
        let array = Array2::from_shape_fn(shape, |(row, column)| {
            ((row * 31 + column * 17) % 101) as f64
        });
        for order in [Order::C, Order::F] {
            let table = Options::new().order(order).create_from(&path, &array)?;
            let work = || table.out_of_core();
            for axis in [Axis(0), Axis(1)] {
                let (mean, std) = (work().mean_axis(axis)?, work().std_axis(axis, 0)?);
                let zip = work().zip_axis(axis, &mean)?.zip_axis(axis, &std)?;
                let made = zip.map(&new, |((x, mean), std)| (x - mean) / std)?;
                let [mean, std] = [mean, std].map(|values| values.insert_axis(axis));
                assert_eq!(made.read_all()?, (&array - &mean) / &std);
            }
        }
    }
    Ok(())
}

#[test]
fn values_of_another_shape_are_refused() {
    let dir = TempDir::new().unwrap();
    let store = Store::<f64, _>::create(dir.path().join("a.npy"), (4, 3)).unwrap();
    let refused = store.out_of_core().zip_axis(Axis(0), &array![1.0, 2.0]);
    match refused.err().unwrap().kind() {
        ErrorKind::ShapeMismatch {
            expected, found, ..
        } => assert_eq!((&expected[..], &found[..]), (&[3][..], &[2][..])),
        other => panic!("{other:?}"),
    }
    let refused = store.out_of_core().zip_axis(Axis(2), &array![1.0]);
    assert!(matches!(
        refused.err().unwrap().kind(),
        ErrorKind::AxisOutOfBounds {
            axis: 2,
            ndim: 2,
            ..
        }
    ));
}

#[test]
fn rows_become_rows_of_another_length_and_type() {
    let dir = TempDir::new().unwrap();
    let [path, new] = ["a.npy", "b.npy"].map(|name| dir.path().join(name));
    for (order, row_axis) in [(Order::C, 0), (Order::F, 2)] {
        let array = numbered(&[13, 5, 13], order);
        let store = Options::new()
            .order(order)
            .create_from(&path, &array)
            .unwrap();
        for per_block in [1, 4, 100] {
            // Two numbers for each row: its index and its sum, in the other order than the array's half of the time.
            let made = store.out_of_core().map_blocks(
                &new,
                (13, 2),
                per_block,
                |block, mut made: ArrayViewMut2<'_, f32>| {
                    let rows = block.view.axis_iter(Axis(row_axis));
                    for ((index, row), mut made) in (block.start[row_axis]..)
                        .zip(rows)
                        .zip(made.outer_iter_mut())
                    {
                        made.assign(&array![index as f32, row.sum() as f32]);
                    }
                    Ok::<_, Error>(())
                },
            );
            let made = made.unwrap().read_all().unwrap();
            for (index, row) in array.axis_iter(Axis(row_axis)).enumerate() {
                assert_eq!(made.row(index), array![index as f32, row.sum() as f32]);
            }
        }
    }
}

#[test]
fn a_block_that_fails_leaves_no_file() {
    let dir = TempDir::new().unwrap();
    let [path, new] = ["a.npy", "b.npy"].map(|name| dir.path().join(name));
    let store = Store::create_from(&path, &Array2::<f64>::ones((100, 3))).unwrap();
    let refused = store.out_of_core().map_blocks(
        &new,
        100,
        7,
        |block, _: ArrayViewMut1<'_, u8>| -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            match block.start[0] {
                49 => Err("not this one".into()),
                _ => Ok(()),
            }
        },
    );
    assert_eq!(refused.unwrap_err().to_string(), "not this one");
    let other = store
        .out_of_core()
        .map_blocks(&new, (99, 2), 7, |_, _: ArrayViewMut2<'_, u8>| {
            Ok::<_, Error>(())
        });
    match other.unwrap_err().kind() {
        ErrorKind::ShapeMismatch {
            expected, found, ..
        } => assert_eq!((&expected[..], &found[..]), (&[100, 2][..], &[99, 2][..])),
        other => panic!("{other:?}"),
    }
    assert!(!new.exists());
    // Rows of nothing become rows of zeros.
    let empty = Store::<f64, _>::create(dir.path().join("c.npy"), (5, 0)).unwrap();
    let made =
        empty
            .out_of_core()
            .map_blocks(&new, (5, 2), 2, |block, _: ArrayViewMut2<'_, i16>| {
                assert_eq!(block.view.ncols(), 0);
                Ok::<_, Error>(())
            });
    assert_eq!(
        made.unwrap().read_all().unwrap(),
        Array2::<i16>::zeros((5, 2))
    );
}

#[cfg(feature = "rayon")]
#[test]
fn blocks_are_folded_alone_and_reduced_in_the_order_of_the_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    let store = Store::create_from(&path, &numbered(&[1000, 3], Order::C)).unwrap();
    let starts = || {
        let work = store.out_of_core();
        let folded = work.par_fold(
            Chunk::Rows(7),
            Vec::new,
            |mut starts: Vec<usize>, block| {
                assert!(starts.is_empty());
                starts.push(block.start[0]);
                Ok::<_, Error>(starts)
            },
            |starts, later| Ok([starts, later].concat()),
        );
        folded.unwrap()
    };
    let expected: Vec<usize> = (0..1000).step_by(7).collect();
    for threads in [1, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        assert_eq!(pool.build().unwrap().install(starts), expected);
    }
    let work = store.out_of_core().rows(..0).unwrap();
    let none = work.par_fold(
        Chunk::Rows(7),
        || 42,
        |_, _| Ok::<_, Error>(0),
        |a, b| Ok(a + b),
    );
    assert_eq!(none.unwrap(), 42);
    let fails = store.out_of_core().par_fold(
        Chunk::Rows(7),
        || 0,
        |_, _| Ok::<_, Box<dyn std::error::Error + Send + Sync>>(1),
        |a, b| {
            if a == 3 {
                Err("three".into())
            } else {
                Ok(a + b)
            }
        },
    );
    assert_eq!(fails.unwrap_err().to_string(), "three");
}

#[test]
fn batches_are_what_is_gathered_of_their_indices() {
    let dir = TempDir::new().unwrap();
    let [path, swapped] = ["a.npy", "b.npy"].map(|name| dir.path().join(name));
    let array = numbered(&[500, 3], Order::C);
    let store = Store::create_from(&path, &array).unwrap();
    drop(Store::create_from(&swapped, &array.mapv(Be::from)).unwrap());
    let any = AnyStore::open(&swapped).unwrap();
    let indices: Vec<usize> = (0..1000).map(|index| index * 37 % 500).collect();
    let done = Mutex::new(Vec::new());
    let of_store = store.out_of_core().progress(|progress| {
        done.lock().unwrap().push(progress);
        Ok(())
    });
    let of_any = any.out_of_core::<f64, IxDyn>().unwrap();
    let owned = any.out_of_core_as::<f64, IxDyn>().unwrap();
    let batches = of_store.batches(&indices, 256);
    assert_eq!(batches.size_hint(), (1, Some(5)));
    let others = of_any.batches(&indices, 256);
    let owned = owned.batches(indices.clone(), 256);
    let mut count = 0;
    for (((batch, other), owned), rows) in batches.zip(others).zip(owned).zip(indices.chunks(256)) {
        let expected = array.select(Axis(0), rows);
        assert_eq!(batch.unwrap(), expected);
        assert_eq!(other.unwrap(), expected);
        assert_eq!(owned.unwrap(), expected);
        count += 1;
    }
    assert_eq!(count, 4);
    let done = done.into_inner().unwrap();
    let bytes: Vec<_> = done.iter().map(|progress| progress.done / 24).collect();
    assert_eq!(bytes, [256, 512, 768, 1000]);
    assert_eq!(done[0].total, 1000 * 24);
}

#[test]
fn an_error_comes_with_its_batch_and_is_the_last() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    let store = Store::<f32, _>::create(&path, (10, 2)).unwrap();
    let mut batches = store.out_of_core().batches(&[1, 2, 3, 99, 4, 5], 2);
    assert!(batches.next().unwrap().is_ok());
    let refused = batches.next().unwrap().unwrap_err();
    assert!(matches!(
        refused.kind(),
        ErrorKind::IndexOutOfBounds { index: 99, .. }
    ));
    assert!(batches.next().is_none());
    assert!(format!("{batches:?}").starts_with("Batches {"));
    let stops = store.out_of_core().progress(|_| Err("stopped".into()));
    let found: Vec<_> = stops.batches(vec![1, 2, 3], 1).collect();
    assert!(found[0].is_ok() && found.len() == 2);
    let stopped = found[1].as_ref().unwrap_err();
    assert!(matches!(stopped.kind(), ErrorKind::Cancelled { .. }));
}
