//! Transposes a matrix of 1 GiB into a new file with 64 MiB of memory, and prints its progress.
//!
//! `cargo run --release --example transpose_big [DIRECTORY]`

use std::io::{Write, stderr};
use std::path::PathBuf;
use std::time::Instant;

use ndstore::{Error, Result, Store};

const ROWS: usize = 1 << 15;
const COLUMNS: usize = 1 << 12;
const BUDGET: usize = 64 << 20;

fn main() -> Result<()> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);
    let [rows, columns] = ["rows.npy", "columns.npy"].map(|name| directory.join(name));

    let store = Store::<f64, _>::create_with(&rows, (ROWS, COLUMNS), 256, |mut block| {
        for ((row, column), element) in block.view.indexed_iter_mut() {
            *element = ((block.start[0] + row) * COLUMNS + column) as f64;
        }
        Ok::<_, Error>(())
    })?;
    let start = Instant::now();
    let mut shown = u64::MAX;
    let transposed = store
        .out_of_core()
        .memory(BUDGET)
        .progress(|progress| {
            let percent = progress.done * 100 / progress.total;
            if percent != shown {
                shown = percent;
                let _ = write!(stderr(), "\rtransposing {percent:3} %");
            }
            Ok(())
        })
        .transpose(&columns)?;
    println!(
        "\rtransposed {:?} to {:?}, durable, in {:.1?} with {} MiB",
        store.shape(),
        transposed.shape(),
        start.elapsed(),
        BUDGET >> 20
    );

    let (row, column) = (ROWS - 2, COLUMNS - 3);
    assert_eq!(transposed.get((column, row))?, store.get((row, column))?);
    drop((store, transposed));
    for path in [rows, columns] {
        std::fs::remove_file(&path).expect("it was there a moment ago");
    }
    Ok(())
}
