//! A logger: an appender writes rows to a file that grows in place, durable after each flush.
//!
//! `cargo run --release --example append_log [DIRECTORY]`; run it again and the log goes on. NumPy
//! reads it when it is closed: `np.load('log.npy', mmap_mode='r')[-1]`.

use std::path::PathBuf;

use ndarray::prelude::*;
use ndstore::{ErrorKind, Result, Store};

const ROWS: u32 = 100_000;
const FLUSH_EVERY: u32 = 10_000;

fn main() -> Result<()> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);
    let path = directory.join("log.npy");

    let mut log = match Store::<f64, Ix2>::open_rw(&path) {
        // No rows of three columns yet.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => {
            Store::create_new(&path, (0, 3))?
        }
        opened => opened?,
    };
    let first = log.shape()[0];
    println!("found    {first} rows");

    let mut appender = log.appender()?;
    for step in 1..=ROWS {
        let time = f64::from(step) * 0.01;
        appender.push(&array![time, time.sin(), time.cos()])?;
        // A power cut costs at most the rows since the last flush.
        if step % FLUSH_EVERY == 0 {
            appender.flush()?;
        }
    }
    appender.flush()?;
    println!("logged   {ROWS} rows: the shape is {:?}", log.shape());
    log.close()?;

    let log = Store::<f64, Ix2>::open(&path)?;
    assert_eq!(log.shape(), [first + ROWS as usize, 3]);
    println!("last row {}", log.read(s![-1, ..])?);
    println!("left     {}", path.display());
    Ok(())
}
