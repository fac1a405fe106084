//! The statistics of an array in a file of any size, within a memory budget.
//!
//! `cargo run --release --features rayon --example out_of_core_stats [DIRECTORY [MIB [BUDGET_MIB]]]`

use std::path::PathBuf;
use std::time::Instant;

use ndarray::Axis;
use ndstore::{Error, OutOfCore, Result, Store};

const COLUMNS: usize = 1024;

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let directory = args.next().map_or_else(PathBuf::new, PathBuf::from);
    let mut mib = |default: usize| {
        let given = args.next().and_then(|text| text.to_str()?.parse().ok());
        given.unwrap_or(default)
    };
    let (size, budget) = (mib(64), mib(16));
    let path = directory.join("stats.npy");

    let shape = (size << 18 >> 10, COLUMNS);
    let store = Store::<f32, _>::create_with(&path, shape, 256, |mut block| {
        for ((row, column), element) in block.view.indexed_iter_mut() {
            *element = ((block.start[0] + row) as f32 + 0.7 * column as f32).sin();
        }
        Ok::<_, Error>(())
    })?;
    println!("{:?}: {} MiB", store.shape(), store.nbytes() >> 20);
    println!("budget   {budget} MiB");
    let within = || -> OutOfCore<_, _> { store.out_of_core().memory(budget << 20) };

    let start = Instant::now();
    let sum = within().progress(|progress| {
        eprint!("\rsum      {} %", 100 * progress.done / progress.total);
        Ok(())
    });
    println!("\rsum      {}", sum.sum()?);
    println!("mean     {}", within().mean()?);
    println!("std      {}", within().std(0)?);
    println!("min, max {}, {}", within().min()?, within().max()?);
    let means = within().mean_axis(Axis(0))?;
    println!("means    of {} columns, from {}", means.len(), means[0]);
    let seconds = start.elapsed().as_secs_f64();
    let read = 6.0 * store.nbytes() as f64;
    println!("read     6 times at {:.1} GB/s", read / seconds / 1e9);
    Ok(())
}
