//! How long does it take to grow an array by 1 %, compared to a copy of its file?
//!
//! `cargo bench --bench resize`. Along the slowest axis the old bytes stay contiguous, so a resize
//! is a copy and little else; along the fastest one every row moves. The old file is in the page
//! cache. Giving a store its old shape back, and removing a copy, does not count.

mod common;

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use common::{Bench, Side};
use ndarray::Ix2;
use ndstore::Store;

const COLUMNS: usize = 1024;

/// 1 % more, and at least 1.
fn grown(axis: usize) -> usize {
    axis + axis.div_ceil(100)
}

fn resize<'a>(store: &'a mut Store<f64, Ix2>, shape: (usize, usize)) -> Side<'a> {
    let old = (store.shape()[0], store.shape()[1]);
    Side::timed("resize", move || {
        let start = Instant::now();
        store.resize(shape).unwrap();
        let taken = start.elapsed();
        store.resize(old).unwrap();
        taken
    })
}

fn copy<'a>(from: &'a Path, to: &'a Path) -> Side<'a> {
    Side::timed("cp + fsync", move || {
        let start = Instant::now();
        assert!(
            Command::new("cp")
                .args([from, to])
                .status()
                .unwrap()
                .success()
        );
        File::open(to).unwrap().sync_all().unwrap();
        let taken = start.elapsed();
        common::remove(to);
        taken
    })
}

fn main() {
    let bench = Bench::new();
    let (path, copied) = (bench.path("resize.npy"), bench.path("copied.npy"));
    let rows = bench.nbytes() / (COLUMNS * size_of::<f64>());
    let array = bench
        .array()
        .into_shape_with_order((rows, COLUMNS))
        .unwrap();
    let mut store = Store::create_from(&path, &array).unwrap();
    drop(array);
    for (question, shape) in [
        ("resize +1 % along the slowest axis", (grown(rows), COLUMNS)),
        ("resize +1 % along the fastest axis", (rows, grown(COLUMNS))),
    ] {
        let mut sides = vec![resize(&mut store, shape), copy(&path, &copied)];
        let (new_rows, new_columns) = (shape.0.to_string(), shape.1.to_string());
        sides.extend(Side::numpy(
            "numpy copy to a new memmap + flush",
            "resize",
            &[
                path.as_ref(),
                copied.as_ref(),
                new_rows.as_ref(),
                new_columns.as_ref(),
            ],
        ));
        bench.pairs(question, 1, &mut sides);
    }
}
