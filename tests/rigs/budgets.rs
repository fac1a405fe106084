//! Budgets where they are hard to keep: blocks that end within pages, tiles of short rows, holes
//! larger than any memory.
//!
//! The memory that broke such budgets was never that of the elements: neighbours that the kernel
//! mapped, a list of runs, page tables.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use ndarray::prelude::*;
use ndstore::{AnyStore, Chunk, Store};

use super::group::{self, Group};
use super::memory_limit::within;

const BUDGET: usize = 32 << 20;

/// How many calls that read this process has made.
fn reads() -> u64 {
    let counters = fs::read_to_string("/proc/self/io").unwrap();
    let line = counters
        .lines()
        .find_map(|line| line.strip_prefix("syscr: "));
    line.unwrap().parse().unwrap()
}

/// A file as `np.save` writes it, of holes behind the header.
fn saved(path: &Path, descr: &str, [rows, columns]: [u64; 2], itemsize: u64) -> File {
    let dict =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let mut file = File::create(path).unwrap();
    file.write_all(b"\x93NUMPY\x01\x00\x76\x00").unwrap();
    file.write_all(format!("{dict:<117}\n").as_bytes()).unwrap();
    file.set_len(128 + rows * columns * itemsize).unwrap();
    file
}

#[test]
#[ignore = "resets the peak of this process, and takes 256 MiB of a file system in memory"]
fn blocks_that_end_within_pages_take_no_more_than_the_budget() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = dir.path().join("a.npy");
    let (rows, columns) = (1 << 15, 1000);
    let file = saved(&path, "<f8", [rows, columns], 8);
    let ones = vec![1.0_f64; columns as usize];
    for row in 0..rows {
        let position = 128 + row * columns * 8;
        file.write_all_at(bytemuck::cast_slice(&ones), position)
            .unwrap();
    }
    let any = AnyStore::open(&path).unwrap();
    for per_block in [1, 10] {
        let mut sum = 0.0;
        within(BUDGET, "blocks that end within pages", || {
            let work = any.out_of_core::<f64, Ix2>()?.memory(BUDGET);
            work.for_each_block(Chunk::Rows(per_block), |block| {
                sum += block.view.sum();
                Ok(())
            })
        });
        assert_eq!(sum, (rows * columns) as f64);
    }
}

#[test]
#[ignore = "resets the peak of this process"]
fn a_tile_of_short_rows_takes_no_memory_beside_it_and_few_calls() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = dir.path().join("a.npy");
    let (rows, columns) = (1 << 20, 16);
    let file = saved(&path, ">f8", [rows, columns], 8);
    let last = 128 + (rows * columns - 1) * 8;
    file.write_all_at(&5.0_f64.to_be_bytes(), last).unwrap();
    let any = AnyStore::open(&path).unwrap();
    let tile = (rows * 4 * 8) as usize;
    let mut sum = 0.0;
    let before = reads();
    within(tile, "a tile of a converted array", || {
        let work = any.out_of_core::<f64, Ix2>()?.memory(BUDGET);
        work.for_each_block(Chunk::shape((rows as usize, 4)), |block| {
            sum += block.view.sum();
            Ok(())
        })
    });
    assert_eq!(sum, 5.0);
    // Each of the four tiles is read with what lies between its rows.
    let calls = reads() - before;
    assert!(calls < 8000, "{calls}");
}

#[test]
#[ignore = "needs root and control groups"]
fn holes_cost_neither_page_tables_nor_a_request_each() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    Group::of_memory(48 << 20).run("budgets::all_of_many_holes", dir.path());
    Group::of_memory(256 << 20).run("budgets::some_of_more_holes", dir.path());
}

#[test]
#[ignore = "run by the rig, in a control group"]
fn all_of_many_holes() {
    let Some(dir) = group::directory() else {
        return;
    };
    // The page tables of a map of it would take 64 MiB.
    let shape = (1 << 22, 1 << 10);
    let path = dir.join("a.npy");
    let store = ndstore::Options::new()
        .sparse(true)
        .create::<f64, _>(&path, shape)
        .unwrap();
    let mut blocks = 0;
    let work = store.out_of_core().memory(8 << 20);
    work.for_each_block(Chunk::Bytes(1 << 20), |block| {
        assert_eq!(block.view[[0, 0]], 0.0);
        blocks += 1;
        Ok::<_, ndstore::Error>(())
    })
    .unwrap();
    assert_eq!(blocks, 32 << 10);
}

#[test]
#[ignore = "run by the rig, in a control group"]
fn some_of_more_holes() {
    let Some(dir) = group::directory() else {
        return;
    };
    let rows = 1_usize << 27;
    let path = dir.join("a.npy");
    let create = ndstore::Options::new()
        .sparse(true)
        .create::<f64, _>(&path, (rows, 1 << 10));
    let store: Store<f64, _> = create.unwrap();
    let picked: Vec<usize> = (0..1_usize << 15)
        .map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15) % rows)
        .collect();
    let start = Instant::now();
    for rows in picked.chunks(1 << 12) {
        let gathered = store.out_of_core().gather(rows).unwrap();
        assert!(gathered.iter().step_by(1000).all(|&element| element == 0.0));
    }
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(30), "{taken:?}");
}
