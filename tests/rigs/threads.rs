//! If the system starts no thread, the calling thread does all work.

use ndarray::prelude::*;
use ndstore::{Chunk, Error, Order, Store};

use super::group::{self, Group};

#[test]
#[ignore = "needs root and control groups"]
fn work_out_of_core_needs_no_second_thread() {
    for threads in [1, 2] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Group::of_threads(threads).run("threads::work", dir.path());
    }
}

#[test]
#[ignore = "run by the rig, in a control group"]
fn work() {
    let Some(dir) = group::directory() else {
        return;
    };
    let [a, b, c] = ["a.npy", "b.npy", "c.npy"].map(|name| dir.join(name));
    // Several pieces, in long rows and in short ones.
    let shape = (30, 300_000);
    let array = Array2::from_shape_fn(shape, |(row, column)| (row * column % 1000) as f64);
    let store = Store::<f64, _>::create_with(&a, shape, 7, |mut block| {
        let rows = block.start[0]..block.start[0] + block.view.nrows();
        block.view.assign(&array.slice(ndarray::s![rows, ..]));
        Ok::<_, Error>(())
    });
    let store = store.unwrap();
    let work = || store.out_of_core().memory(4 << 20);
    assert_eq!(work().sum().unwrap(), array.sum());
    assert_eq!(work().max().unwrap(), 999.0);
    let sums = store.out_of_core().sum_axis(Axis(0)).unwrap();
    assert_eq!(sums, array.sum_axis(Axis(0)));
    assert_eq!(work().sum_axis(Axis(1)).unwrap(), array.sum_axis(Axis(1)));
    let rows = [29, 3, 3, 17];
    let gathered = store.out_of_core().gather(&rows).unwrap();
    assert_eq!(gathered, array.select(Axis(0), &rows));
    let mapped = work().map(&b, |x| x + 1.0).unwrap();
    assert_eq!(mapped.read(s![.., ..]).unwrap(), &array + 1.0);
    let transposed = work().transpose(&c).unwrap();
    assert_eq!(transposed.read(s![.., ..]).unwrap(), array.t());
    drop((mapped, transposed));
    drop(work().to_order(Order::F, &b).unwrap());
    let store = Store::<f64, Ix2>::open(&b).unwrap();
    let sums = store.out_of_core().sum_axis(Axis(1)).unwrap();
    assert_eq!(sums, array.sum_axis(Axis(1)));
    let mut seen = 0;
    let blocks = store.out_of_core().blocks(Chunk::Bytes(1 << 20));
    blocks.for_each(|block| seen += block.unwrap().view.len());
    assert_eq!(seen, array.len());
    #[cfg(feature = "rayon")]
    {
        let seen = std::sync::atomic::AtomicUsize::new(0);
        let each = |block: ndstore::Block<Ix2, ArrayView2<'_, f64>>| {
            seen.fetch_add(block.view.len(), std::sync::atomic::Ordering::Relaxed);
            Ok::<_, Error>(())
        };
        let work = store.out_of_core();
        work.par_for_each_block(Chunk::Bytes(1 << 20), each)
            .unwrap();
        assert_eq!(seen.into_inner(), array.len());
    }
}
