//! Shuffles the rows of a file into a new one, within a memory budget, as for a training set before
//! each epoch.
//!
//! `cargo run --release --example shuffle_rows [DIRECTORY]`. NumPy's
//! `np.save(new, m[rng.permutation(len(m))])` holds all of it in memory.

use std::path::PathBuf;

use ndarray::prelude::*;
use ndstore::{Chunk, Error, Result, Store};

const ROWS: usize = 64_000;
const COLUMNS: usize = 512;

fn main() -> Result<()> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);

    // Each row is full of its own number.
    let mut store = Store::<f32, _>::create(directory.join("ordered.npy"), (ROWS, COLUMNS))?;
    let work = store.out_of_core_mut();
    work.for_each_block_mut(Chunk::Rows(1000), |mut block| {
        for (row, mut elements) in block.view.outer_iter_mut().enumerate() {
            elements.fill((block.start[0] + row) as f32);
        }
        Ok::<_, Error>(())
    })?;
    store.flush()?;
    let mut tenths = 0;
    let shuffled = store
        .out_of_core()
        .memory(32 << 20)
        .progress(|progress| {
            let now = 10 * progress.done / progress.total;
            if now > tenths {
                tenths = now;
                println!("shuffled {now}0 %");
            }
            Ok(())
        })
        .gather_to(directory.join("shuffled.npy"), &permutation())?;

    let numbers = shuffled.read(s![.., 0])?.mapv(f64::from);
    println!("first    {}", numbers.slice(s![..5]));
    assert_eq!(numbers.sum() as usize, ROWS * (ROWS - 1) / 2);
    Ok(())
}

/// The rows in random order (by Fisher and Yates, with Knuth's multiplier).
fn permutation() -> Vec<usize> {
    let mut rows: Vec<usize> = (0..ROWS).collect();
    let mut state = 1_u64;
    for last in (1..ROWS).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        rows.swap(last, (state >> 33) as usize % (last + 1));
    }
    rows
}
