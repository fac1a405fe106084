//! How long does it take to open an array, touch its first element and close it, for 4 KiB and for
//! a sparse 1 TiB?
//!
//! `cargo bench --bench open`. The file is in the page cache. Bare `memmap2` checks nothing, locks
//! nothing and knows of no dtype: it opens, asks for the length, maps, touches, unmaps and closes,
//! which is the least a map can cost.

mod common;

use std::fs::File;
use std::path::Path;

use common::{Bench, HEADER, Side};
use ndarray::{ArrayView1, Ix1};
use ndarray_npy::ViewNpyExt;
use ndstore::{Options, Store};

/// How many times a file is opened for one sample.
const TIMES: u64 = 2_000;

fn sides(path: &Path) -> Vec<Side<'_>> {
    let mut sides = vec![
        Side::new("ndstore, mapped", move || {
            common::mapped::<Ix1>(path).view()[0]
        }),
        Side::new("ndstore, read", move || {
            Store::<f64, Ix1>::open(path).unwrap().get(0).unwrap()
        }),
        Side::new("memmap2", move || {
            // `Mmap::map` asks for the length.
            common::map(&File::open(path).unwrap())[HEADER]
        }),
        Side::new("ndarray-npy over memmap2", move || {
            let map = common::map(&File::open(path).unwrap());
            ArrayView1::<f64>::view_npy(&map).unwrap()[0]
        }),
    ];
    sides.extend(Side::numpy("numpy", "open_first", &[path.as_ref()]));
    sides
}

fn main() {
    let mut bench = Bench::new();
    for (question, len) in [("open 4 KiB", 1 << 9), ("open 1 TiB", 1 << 37)] {
        let path = bench.path("open.npy");
        drop(
            Options::new()
                .sparse(true)
                .create::<f64, _>(&path, len)
                .unwrap(),
        );
        let mut sides = sides(&path);
        bench.pairs(question, TIMES, &mut sides);
        bench.criterion(question, &mut sides);
    }
}
