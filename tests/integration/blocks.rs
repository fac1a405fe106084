//! Walking over arrays block by block.

use ndarray::prelude::*;
use ndarray::{Slice, indices};
use ndstore::{AnyStore, Be, Chunk, Error, ErrorKind, Mode, Options, Order, Progress, Store};
use proptest::prelude::*;
use tempfile::TempDir;

use super::closures::Failure;
use super::mapped::{copy_on_write, mapped};
use super::support::Why;

/// An array of a shape in an order, whose elements are all different.
fn numbered(shape: &[usize], order: Order) -> ArrayD<i32> {
    let mut array = ArrayD::zeros(IxDyn(shape).set_f(order == Order::F));
    let mut next = 0;
    array.mapv_inplace(|_: i32| {
        next += 1;
        next
    });
    array
}

/// The part of `array` that starts at `start` and has the shape of a block.
fn part<A: Clone>(array: &ArrayD<A>, start: &IxDyn, shape: &[usize]) -> ArrayD<A> {
    let part = array.slice_each_axis(|axis| {
        let axis = axis.axis.index();
        Slice::from(start[axis]..start[axis] + shape[axis])
    });
    part.to_owned()
}

fn any_order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::C), Just(Order::F)]
}

fn any_chunk(ndim: usize) -> impl Strategy<Value = Chunk<IxDyn>> {
    prop_oneof![
        (1..5_usize).prop_map(Chunk::Rows),
        (0..100_usize).prop_map(Chunk::Bytes),
        prop::collection::vec(1..4_usize, ndim).prop_map(|tile| Chunk::Shape(IxDyn(&tile))),
    ]
}

fn any_case() -> impl Strategy<Value = (Vec<usize>, Order, Chunk<IxDyn>, usize)> {
    let shape = prop::collection::vec(0..6_usize, 0..4);
    shape.prop_flat_map(|shape| {
        let chunk = any_chunk(shape.len());
        (Just(shape), any_order(), chunk, 0..2000_usize)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn blocks_are_the_array_part_by_part((shape, order, chunk, memory) in any_case()) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("array.npy");
        let array = numbered(&shape, order);
        let options = Options::new().order(order);
        let store = options.create_from(&path, &array).unwrap();
        let mut seen = ArrayD::<i32>::zeros(IxDyn(&shape));
        for block in store.out_of_core().memory(memory).blocks(chunk.clone()) {
            let block = block.unwrap();
            prop_assert_eq!(&*block.view, &part(&array, &block.start, block.view.shape()));
            for index in indices(block.view.shape()) {
                let index: Vec<usize> = index.slice().iter().zip(block.start.slice()).map(|(a, b)| a + b).collect();
                seen[IxDyn(&index)] += 1;
            }
        }
        prop_assert!(seen.iter().all(|&times| times == 1));
    }

    #[test]
    fn foreign_arrays_have_the_same_blocks((shape, order, chunk, memory) in any_case()) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("array.npy");
        let array = numbered(&shape, order);
        let options = Options::new().order(order);
        drop(options.create_from(&path, &array.mapv(Be::from)).unwrap());
        let any = AnyStore::open(&path).unwrap();
        let source = || any.out_of_core::<i32, IxDyn>().unwrap().memory(memory);
        let mut count = 0;
        source().for_each_block(chunk.clone(), |block| {
            count += block.view.len();
            assert_eq!(block.view, part(&array, &block.start, block.view.shape()));
            Ok::<_, Error>(())
        }).unwrap();
        prop_assert_eq!(count, array.len());
        for block in source().blocks(chunk) {
            let block = block.unwrap();
            count -= block.view.len();
            prop_assert_eq!(&*block.view, &part(&array, &block.start, block.view.shape()));
        }
        prop_assert_eq!(count, 0);
    }

    #[test]
    fn blocks_that_are_changed_change_the_file((shape, order, chunk, memory) in any_case()) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("array.npy");
        let array = numbered(&shape, order);
        let mut store = Options::new().order(order).create_from(&path, &array).unwrap();
        let work = store.out_of_core_mut().memory(memory);
        work.for_each_block_mut(chunk, |mut block| {
            assert_eq!(block.view, part(&array, &block.start, block.view.shape()));
            block.view.mapv_inplace(|x| -x);
            Ok::<_, Error>(())
        }).unwrap();
        store.close().unwrap();
        let store = Store::<i32, IxDyn>::open(&path).unwrap();
        prop_assert_eq!(store.read_all().unwrap(), array.mapv(|x| -x));
    }
}

#[cfg(feature = "rayon")]
#[test]
fn every_block_is_visited_once_by_some_thread() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    let array = numbered(&[300, 7], Order::C);
    let store = Store::create_from(&path, &array).unwrap();
    for (chunk, count) in [
        (Chunk::Rows(1), 300),
        (Chunk::Rows(7), 43),
        (Chunk::Shape(IxDyn(&[100, 5])), 6),
    ] {
        let starts = std::sync::Mutex::new(Vec::new());
        let source = store.out_of_core().memory(0);
        source
            .par_for_each_block(chunk, |block| {
                assert_eq!(block.view, part(&array, &block.start, block.view.shape()));
                starts.lock().unwrap().push(block.start);
                Ok::<_, Error>(())
            })
            .unwrap();
        let mut starts = starts.into_inner().unwrap();
        starts.sort_by_key(|start| (start[0], start[1]));
        starts.dedup();
        assert_eq!(starts.len(), count);
    }
}

#[cfg(feature = "rayon")]
#[test]
fn the_first_error_of_any_thread_ends_the_walk() {
    let dir = TempDir::new().unwrap();
    let store = Store::<i32, _>::create(dir.path().join("array.npy"), (1000, 4)).unwrap();
    let visited = std::sync::atomic::AtomicUsize::new(0);
    let refused = store.out_of_core().par_for_each_block(Chunk::Rows(1), |_| {
        visited.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Err(Failure::Mine(0))
    });
    assert_eq!(refused, Err(Failure::Mine(0)));
    assert!(visited.into_inner() < 1000);
}

#[cfg(feature = "rayon")]
#[test]
fn a_panic_in_one_thread_ends_the_walk_of_the_others() {
    let dir = TempDir::new().unwrap();
    let store = Store::<i32, _>::create(dir.path().join("array.npy"), (1000, 4)).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let visited = std::sync::atomic::AtomicUsize::new(0);
    let walk = || {
        let source = store.out_of_core();
        source.par_for_each_block(Chunk::Rows(1), |block| {
            assert_ne!(block.start[0], 0, "the first one panics");
            visited.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(1));
            Ok::<_, Error>(())
        })
    };
    let walk = std::panic::AssertUnwindSafe(|| pool.unwrap().install(walk));
    assert!(std::panic::catch_unwind(walk).is_err());
    assert!(visited.into_inner() < 900);
}

#[test]
fn progress_counts_every_byte_and_ends_at_the_total() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::<i32, _>::create(dir.path().join("array.npy"), (10, 25)).unwrap();
    let expected = [300, 600, 900, 1000].map(|done| Progress { done, total: 1000 });
    // It is `Send`, so it collects by a channel.
    let (sender, receiver) = std::sync::mpsc::channel();
    let note = |sender: &std::sync::mpsc::Sender<Progress>| {
        let sender = sender.clone();
        move |progress| Ok(sender.send(progress)?)
    };
    let source = store.out_of_core().progress(note(&sender));
    source
        .for_each_block(Chunk::Rows(3), |_| Ok::<_, Error>(()))
        .unwrap();
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), expected);
    let source = store.out_of_core().progress(note(&sender));
    assert_eq!(source.blocks(Chunk::Rows(3)).count(), 4);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), expected);
    let source = store.out_of_core_mut().progress(note(&sender));
    source
        .for_each_block_mut(Chunk::Rows(3), |_| Ok::<_, Error>(()))
        .unwrap();
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_walk_that_is_cancelled_says_so_once_and_is_over() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::<i32, _>::create(dir.path().join("array.npy"), (10, 25)).unwrap();
    let stop = |progress: Progress| -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        match progress.done {
            600.. => Err("stopped".into()),
            _ => Ok(()),
        }
    };
    let is_cancelled = |error: &Error| {
        matches!(error.kind(), ErrorKind::Cancelled { .. }) && error.operation() == "read"
    };
    let mut visited = 0;
    let walk = store.out_of_core().progress(stop);
    let cancelled = walk.for_each_block(Chunk::Rows(3), |_| {
        visited += 1;
        Ok::<_, Error>(())
    });
    assert!(is_cancelled(&cancelled.unwrap_err()));
    assert_eq!(visited, 2);
    let mut blocks = store.out_of_core().progress(stop).blocks(Chunk::Rows(3));
    assert!(blocks.next().unwrap().is_ok() && blocks.next().unwrap().is_ok());
    assert!(is_cancelled(&blocks.next().unwrap().err().unwrap()));
    assert!(blocks.next().is_none());
    drop(blocks);
    let mut visited = 0;
    let walk = store.out_of_core_mut().progress(stop);
    let cancelled = walk.for_each_block_mut(Chunk::Rows(3), |_| {
        visited += 1;
        Ok::<_, Error>(())
    });
    let cancelled = cancelled.unwrap_err();
    assert!(matches!(cancelled.kind(), ErrorKind::Cancelled { .. }));
    assert_eq!(cancelled.operation(), "write to");
    assert_eq!(visited, 2);
}

#[test]
fn blocks_that_are_kept_stay_what_they_were_when_the_walk_has_moved_on() {
    let dir = TempDir::new().unwrap();
    let array = numbered(&[64, 4096], Order::C);
    let store = Store::create_from(dir.path().join("array.npy"), &array).unwrap();
    let walk = store.out_of_core().memory(0).blocks(Chunk::Rows(5));
    // Every third one is dropped, and its buffer used again.
    let blocks: Vec<_> = walk.map(Result::unwrap).collect();
    let kept: Vec<_> = blocks
        .into_iter()
        .filter(|block| block.start[0] % 3 > 0)
        .map(|block| (block.start, block.view.into_array()))
        .collect();
    drop(store);
    assert_eq!(kept.len(), 8);
    for (start, block) in kept {
        assert_eq!(block, part(&array, &start, block.shape()));
    }
}

#[test]
fn a_walk_uses_the_buffer_of_a_block_again_that_was_dropped() {
    let dir = TempDir::new().unwrap();
    let store = Store::<f64, _>::create(dir.path().join("array.npy"), (64, 4096)).unwrap();
    let mut places = std::collections::BTreeSet::new();
    for block in store.out_of_core().blocks(Chunk::Rows(4)) {
        places.insert(block.unwrap().view.as_ptr().addr());
    }
    assert_eq!(places.len(), 1);
}

#[test]
fn a_block_whose_change_fails_is_left_as_it_was() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::<i32, _>::create(dir.path().join("array.npy"), (4, 3)).unwrap();
    let work = store.out_of_core_mut();
    let refused = work.for_each_block_mut(Chunk::Rows(2), |mut block| {
        block.view.fill(7);
        match block.start[0] {
            0 => Ok(()),
            start => Err(Failure::Mine(start)),
        }
    });
    assert_eq!(refused, Err(Failure::Mine(2)));
    assert_eq!(store.read_all().unwrap().column(0).to_vec(), [7, 7, 0, 0]);
}

#[cfg(feature = "rayon")]
#[test]
fn all_threads_together_change_every_block_once() {
    let dir = TempDir::new().unwrap();
    let array = numbered(&[300, 7], Order::C);
    let mut store = Store::create_from(dir.path().join("array.npy"), &array).unwrap();
    for chunk in [Chunk::Rows(7), Chunk::Shape(IxDyn(&[100, 3]))] {
        let work = store.out_of_core_mut().memory(0);
        work.par_for_each_block_mut(chunk, |mut block| {
            block.view.mapv_inplace(|x| x * 2);
            Ok::<_, Error>(())
        })
        .unwrap();
    }
    assert_eq!(store.read_all().unwrap(), array * 4);
}

#[test]
fn what_a_copy_on_write_store_changed_is_in_its_blocks_and_stays() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    let array = numbered(&[64, 4096], Order::C);
    drop(Store::create_from(&path, &array).unwrap());
    let mut store = copy_on_write(Store::<i32, IxDyn>::open(&path).unwrap());
    store.view_mut().mapv_inplace(|x| -x);
    let walk = store.out_of_core().memory(0);
    for block in walk.blocks(Chunk::Rows(5)) {
        let block = block.unwrap();
        assert_eq!(*block.view, -part(&array, &block.start, block.view.shape()));
    }
    assert_eq!(store.view(), -&array);
    assert_eq!(
        Store::<i32, IxDyn>::open(&path)
            .unwrap()
            .read_all()
            .unwrap(),
        array
    );
}

#[test]
fn unaligned_elements_are_converted() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("raw.bin");
    let elements = [1.5_f64, -2.5, 1e300];
    let bytes = [&[7; 3], bytemuck::bytes_of(&elements)].concat();
    std::fs::write(&path, bytes).unwrap();
    let dtype = ndstore::DType::parse("<f8").unwrap();
    let options = Options::new().raw(3).dtype(dtype);
    let any = options.open_any(&path, Mode::Read).unwrap();
    let source = any.out_of_core::<f64, Ix1>().unwrap();
    let mut found: Vec<f64> = Vec::new();
    source
        .for_each_block(Chunk::Rows(2), |block| {
            found.extend(block.view);
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(found, elements);
}

#[test]
fn another_dtype_or_rank_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    drop(Store::<f64, _>::create(&path, (2, 3)).unwrap());
    let any = AnyStore::open(&path).unwrap();
    let refused = any.out_of_core::<i64, Ix2>().err().unwrap();
    assert!(matches!(refused.kind(), ErrorKind::DTypeMismatch { .. }));
    assert_eq!(refused.operation(), "read");
    assert!(matches!(
        any.out_of_core::<f64, Ix1>().err().unwrap().kind(),
        ErrorKind::NdimMismatch {
            expected: 1,
            found: 2,
            ..
        }
    ));
}

#[test]
fn a_converted_file_that_was_cut_meanwhile_is_an_error() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    let array = Array1::<Be<f64>>::default(100_000);
    drop(Store::create_from(&path, &array).unwrap());
    let any = AnyStore::open(&path).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(4096 + 80_000)
        .unwrap();
    let source = any.out_of_core::<f64, Ix1>().unwrap();
    let refused = source.for_each_block(Chunk::Rows(1000), |_| Ok::<_, Error>(()));
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::Truncated { found: 84_096, .. })
    ));
}

#[test]
fn a_block_larger_than_memory_is_an_error_and_no_abort() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    let sparse = Options::new().sparse(true);
    let mut store = sparse.create::<Be<f64>, _>(&path, (2, 1 << 39)).unwrap();
    let is_over = |refused: Error| match refused.kind() {
        ErrorKind::OverBudget { needed, .. } => assert_eq!(*needed, 8 << 39),
        _ => panic!("{refused:?}"),
    };
    let work = store.out_of_core_mut();
    let refused = work.for_each_block_mut(Chunk::Rows(1), |_| Ok::<_, Error>(()));
    is_over(refused.unwrap_err());
    drop(store);
    let any = AnyStore::open(&path).unwrap();
    let work = || any.out_of_core::<f64, Ix2>().unwrap().memory(1 << 20);
    let refused = work().for_each_block(Chunk::Bytes(1 << 20), |_| Ok::<_, Error>(()));
    is_over(refused.unwrap_err());
    let mut blocks = work().blocks(Chunk::Rows(1));
    is_over(blocks.next().unwrap().err().unwrap());
    assert!(blocks.next().is_none());
}

#[test]
#[should_panic = "a block has at least one row"]
fn blocks_of_no_rows_are_a_bug_of_the_caller() {
    let dir = TempDir::new().unwrap();
    let store = Store::<f64, _>::create(dir.path().join("array.npy"), 3).unwrap();
    let _ = store.out_of_core().blocks(Chunk::Rows(0));
}

/// Whether a directory is on a file system that tells what was never written to a file.
#[cfg(target_os = "linux")]
fn tells_of_holes(directory: &std::path::Path) -> bool {
    // ext4, XFS, btrfs, F2FS, tmpfs.
    let kinds = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];
    let found = rustix::fs::statfs(directory).unwrap();
    kinds.contains(&(found.f_type as u32))
}

/// How many bytes this thread has read so far, where the kernel counts them.
#[cfg(target_os = "linux")]
fn bytes_read() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    counts.lines().next()?.strip_prefix("rchar: ")?.parse().ok()
}

#[cfg(target_os = "linux")]
#[test]
fn what_was_never_written_is_not_read_to_be_changed() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::<f64, _>::create(dir.path().join("new.npy"), (64, 1 << 14)).unwrap();
    let before = bytes_read();
    let filled = store
        .out_of_core_mut()
        .for_each_block_mut(Chunk::Rows(8), |mut block| {
            assert!(block.view.iter().all(|&element| element == 0.0));
            block.view.fill(1.5);
            Ok::<_, Error>(())
        });
    filled.unwrap();
    if let (true, Some(before), Some(after)) = (tells_of_holes(dir.path()), before, bytes_read()) {
        assert!(after - before < 1 << 20, "{} bytes", after - before);
    }
    assert_eq!(
        store.read_all().unwrap(),
        Array2::from_elem((64, 1 << 14), 1.5)
    );
}

#[test]
fn what_was_written_and_not_flushed_is_read_to_be_changed() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("new.npy");
    let mut store = Store::<i32, _>::create(&path, (64, 1 << 14)).unwrap();
    store.write(s![13, 77..78], &array![5]).unwrap();
    let mut mapped = mapped(store);
    mapped.view_mut()[[40, 1]] = 6;
    let mut found = Vec::new();
    let changed = mapped
        .out_of_core_mut()
        .for_each_block_mut(Chunk::Rows(8), |mut block| {
            found.extend(block.view.iter().copied().filter(|&element| element != 0));
            block.view += 1;
            Ok::<_, Error>(())
        });
    changed.unwrap();
    assert_eq!(found, [5, 6]);
    let view = mapped.view();
    assert_eq!((view[[0, 0]], view[[13, 77]], view[[40, 1]]), (1, 6, 7));
}

#[test]
fn what_somebody_cut_off_is_no_hole() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("new.npy");
    let mut store = Store::<i32, _>::create(&path, (64, 1 << 14)).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1 << 20).unwrap();
    let changed = store
        .out_of_core_mut()
        .for_each_block_mut(Chunk::Rows(8), |_| Ok::<_, Error>(()));
    assert!(matches!(changed.why(), Some(ErrorKind::Truncated { .. })));
    assert_eq!(file.metadata().unwrap().len(), 1 << 20);
}
