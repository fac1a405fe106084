//! Work on arrays four times larger than the memory limit: right to the last byte, and within the
//! budget.
//!
//! This program runs again in a control group of its own to do the work.

use std::fs;
use std::path::Path;

use ndarray::prelude::*;
use ndstore::{Chunk, Error, Store};
use tempfile::TempDir;

use super::group::{self, Group};

/// The memory of the control group.
const LIMIT: usize = 64 << 20;

/// Of the arrays: 256 MiB.
const ROWS: usize = 1 << 15;
const COLUMNS: usize = 1 << 10;

/// What a process may take that is not the work's: the program, its stacks, the kernel's habit of
/// mapping neighbours.
const SLACK: usize = 32 << 20;

#[test]
#[ignore = "needs root and control groups"]
fn arrays_of_four_times_the_memory_are_worked_on_to_the_last_byte() {
    // On a disk: the pages of a file system in memory would be charged for good.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    Group::of_memory(LIMIT).run("memory_limit::work", dir.path());
}

/// The most memory that this process has held since `reset`, mapped pages of files included, in
/// bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().strip_suffix("kB").unwrap();
    kib.trim().parse::<usize>().unwrap() << 10
}

/// Does a piece of work, which must keep to the budget.
#[track_caller]
pub(super) fn within<T>(budget: usize, name: &str, work: impl FnOnce() -> ndstore::Result<T>) -> T {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    let done = work().unwrap();
    let (peak, limit) = (peak(), budget + SLACK);
    println!("{name}: {} KiB, {} before", peak >> 10, before >> 10);
    assert!(peak <= limit, "{name}: {peak} bytes, more than {limit}");
    done
}

/// The element at a place: different everywhere.
fn element(row: usize, column: usize) -> f64 {
    (row * COLUMNS + column) as f64
}

/// Checks every element of a file of `rows`, which is read block by block and nothing else.
#[track_caller]
fn check(path: &Path, shape: (usize, usize), expected: impl Fn(usize, usize) -> f64) {
    let store = Store::<f64, Ix2>::open(path).unwrap();
    assert_eq!(store.shape(), [shape.0, shape.1]);
    for block in store.out_of_core().blocks(Chunk::Bytes(1 << 20)) {
        let block = block.unwrap();
        for (row, elements) in (block.start[0]..).zip(block.view.rows()) {
            for (column, &found) in elements.iter().enumerate() {
                assert_eq!(found, expected(row, column), "row {row}, column {column}");
            }
        }
    }
}

#[test]
#[ignore = "run by the rig, in a control group"]
fn work() {
    let Some(directory) = group::directory() else {
        return;
    };
    let dir = TempDir::new_in(directory).unwrap();
    let [a, b, c] = ["a.npy", "b.npy", "c.npy"].map(|name| dir.path().join(name));
    let budget = LIMIT / 4;
    let shape = (ROWS, COLUMNS);

    drop(within(budget, "create_with", || {
        Store::<f64, _>::create_with(&a, shape, 100, |mut block| {
            let start = block.start[0];
            let fill = |(row, column), x: &mut f64| *x = element(start + row, column);
            block
                .view
                .indexed_iter_mut()
                .for_each(|(at, x)| fill(at, x));
            Ok::<_, Error>(())
        })
    }));
    within(budget, "blocks", || {
        check(&a, shape, element);
        Ok(())
    });
    let store = Store::<f64, Ix2>::open(&a).unwrap();
    drop(within(budget, "map", || {
        store.out_of_core().map(&b, |x: f64| 2.0 * x)
    }));
    check(&b, shape, |row, column| 2.0 * element(row, column));
    let mut doubled = Store::<f64, Ix2>::open_rw(&b).unwrap();
    within(budget, "for_each_block_mut", || {
        let work = doubled.out_of_core_mut();
        work.for_each_block_mut(Chunk::Rows(333), |mut block| {
            block.view.mapv_inplace(|x| x + 1.0);
            Ok::<_, Error>(())
        })?;
        doubled.flush()
    });
    drop(within(budget, "zip", || {
        let zip = store.out_of_core().zip(doubled.out_of_core())?;
        zip.map(&c, |(x, y): (f64, f64)| y - x)
    }));
    check(&c, shape, |row, column| element(row, column) + 1.0);
}
