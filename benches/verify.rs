//! How much longer than reading a file does it take to verify it?
//!
//! `cargo bench --bench verify`. The file is in the page cache, so that the sums count and not the
//! disk. Writing the checksums is the same, and two syncs.

mod common;

use std::fs::File;
use std::io::Read;

use common::{Bench, Side};
use ndarray::Ix1;
use ndstore::Store;

fn main() {
    let bench = Bench::new();
    let path = bench.path("verify.npy");
    let store = Store::create_from(&path, &bench.array()).unwrap();
    store.write_checksums().unwrap();
    drop(store);
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut sides = [
        Side::new("verify", || {
            assert!(store.verify().unwrap().is_intact());
        }),
        Side::new("read into a reused 1 MiB buffer", || {
            let mut file = File::open(&path).unwrap();
            while file.read(&mut buffer).unwrap() > 0 {}
        }),
        Side::new("write_checksums", || store.write_checksums().unwrap()),
    ];
    bench.pairs("verify, warm", 1, &mut sides);
}
