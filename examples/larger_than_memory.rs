//! An array of 1 TiB in a file that takes a few pages of disk: only pages that are touched exist.
//!
//! `cargo run --release --example larger_than_memory [DIRECTORY]`

use std::path::PathBuf;
use std::time::Instant;

use ndstore::{Options, Store};

const ROWS: usize = 1 << 20;
const COLUMNS: usize = 1 << 17;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);
    let path = directory.join("large.dat");

    // A hole instead of blocks: without `sparse` this is an error on any disk smaller than 1 TiB.
    let options = Options::new().sparse(true);
    let mut store = options.create::<f64, _>(&path, (ROWS, COLUMNS))?;
    println!("created  {:?}: {} GiB", store.shape(), store.nbytes() >> 30);

    // A fixed walk over the array (Knuth's 64-bit multiplier), so that the second pass knows what
    // to expect.
    let place = |step: u64| {
        let mixed = step.wrapping_mul(6_364_136_223_846_793_005);
        (
            (mixed >> 44) as usize % ROWS,
            (mixed >> 20) as usize % COLUMNS,
        )
    };
    let start = Instant::now();
    for step in 0..1000 {
        store.set(place(step), step as f64)?;
    }
    store.flush()?;
    println!(
        "wrote    1000 elements at random places, durable, in {:.0?}",
        start.elapsed()
    );
    store.close()?;

    let start = Instant::now();
    let store = Store::<f64, _>::open(&path)?;
    println!("opened   in {:.0?}, whatever the size", start.elapsed());
    let mut found = 0;
    for step in 0..1000 {
        found += usize::from(store.get(place(step))? == step as f64);
    }
    println!("read     {found} of 1000 elements back");
    drop(store);
    std::fs::remove_file(&path)?;
    Ok(())
}
