//! Creating arrays block by block.

use std::fs;

use ndarray::prelude::*;
use ndstore::{Bytes, Error, ErrorKind, Options, Order, Store};
use proptest::prelude::*;
use tempfile::TempDir;

use super::closures::Failure;
use super::support::Why;
use crate::allocations::total_during;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_array_is_created_of_any_blocks_of_rows(
        shape in prop::collection::vec(0..6_usize, 0..4),
        fortran in any::<bool>(),
        compact in any::<bool>(),
        rows in 1..7_usize,
    ) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("array.npy");
        let order = if fortran { Order::F } else { Order::C };
        let options = Options::new().order(order).compact(compact);
        let number = |index: &IxDyn| index.slice().iter().fold(1, |number, &i| number * 10 + i as u32);
        let store = options.create_with::<u32, _, Error>(&path, IxDyn(&shape), rows, |mut block| {
            assert!(block.view.iter().all(|&x| x == 0));
            for (index, element) in block.view.indexed_iter_mut() {
                let mut whole = index;
                whole.slice_mut().iter_mut().zip(block.start.slice()).for_each(|(i, start)| *i += start);
                *element = number(&whole);
            }
            Ok::<_, Error>(())
        }).unwrap();
        prop_assert_eq!(store.order(), order);
        drop(store);
        let store = Store::<u32, IxDyn>::open(&path).unwrap();
        prop_assert_eq!(store.read_all().unwrap(), ArrayD::from_shape_fn(IxDyn(&shape), |index| number(&index)));
    }
}

#[test]
fn blocks_that_end_anywhere_are_written_whole() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    // Elements that no page ends with, more than the buffers hold, blocks smaller and larger than a
    // buffer.
    for (len, rows) in [(1_300_000, 1), (1_300_000, 777_777), (1_300_000, 10_007)] {
        let store = Store::<Bytes<21>, _>::create_with(&path, len, rows, |mut block| {
            for (index, element) in (block.start[0]..).zip(&mut block.view) {
                *element = Bytes::try_from(index.to_string().as_bytes()).unwrap();
            }
            Ok::<_, Error>(())
        });
        let store = store.unwrap();
        let wrong = store
            .read_all()
            .unwrap()
            .indexed_iter()
            .position(|(index, element)| element.as_bytes() != index.to_string().as_bytes());
        assert_eq!(wrong, None, "{rows} rows");
    }
}

#[test]
fn creating_takes_three_times_the_memory_of_a_block_or_3_mib() {
    let dir = TempDir::new().unwrap();
    let mib = |count: usize| count << 17;
    // What is not for elements: paths, the header, channels and a thread.
    let else_at_most = 128 << 10;
    for (len, rows, expected) in [
        (mib(10), 1000, 3 << 20),
        // Blocks of which no whole number is a MiB, or which are larger.
        (mib(10), mib(1) / 2 + 1, 3 << 20),
        (mib(10), mib(1) + 1, 3 * (mib(1) + 1) * 8),
        (mib(20), mib(3) + 5, 3 * (mib(3) + 5) * 8),
        // Less than would fill a buffer, and a single one.
        (100, 7, 100 * 8),
        (mib(4), mib(9), mib(4) * 8),
    ] {
        let path = dir.path().join(format!("{rows}.npy"));
        let create = || Store::<f64, _>::create_with(&path, len, rows, |_| Ok::<_, Error>(()));
        let (store, total) = total_during(create);
        assert_eq!(store.unwrap().len(), len);
        assert!(total >= expected, "{len} by {rows}: {total}");
        assert!(total <= expected + else_at_most, "{len} by {rows}: {total}");
    }
}

#[test]
fn an_error_of_the_caller_leaves_no_file_and_an_old_one_as_it_was() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    fs::write(&path, "old").unwrap();
    let refused =
        Store::<f64, _>::create_with(&path, (1000, 1000), 10, |block| match block.start[0] {
            start @ 500 => Err(Failure::Mine(start)),
            _ => Ok(()),
        });
    assert_eq!(refused.unwrap_err(), Failure::Mine(500));
    let fill = |_: ndstore::Block<_, ArrayViewMut1<'_, f64>>| -> Result<(), Error> {
        panic!("by the caller")
    };
    let panicking = || Store::<f64, _>::create_with(&path, 10, 1, fill);
    assert!(std::panic::catch_unwind(panicking).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_shape_that_no_file_can_have_is_refused_before_anything_is_made() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    let shape = (usize::MAX / 16, 2);
    let refused = Store::<f64, _>::create_with(&path, shape, 1, |_| Ok::<_, Error>(()));
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::ShapeTooLarge { .. })
    ));
    assert!(!path.exists());
}
