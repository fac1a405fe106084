//! Writes `temp.dat` row by row: the first half of the story that `read_temp` ends in another
//! process.
//!
//! `cargo run --release --example write_temp [DIRECTORY]`

use std::path::PathBuf;

use ndarray::prelude::*;
use ndstore::{Result, Store};

fn main() -> Result<()> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);
    let path = directory.join("temp.dat");

    let mut fp = Store::<f32, _>::create(&path, (3, 4))?;
    for row in 0..3 {
        let elements = Array::from_shape_fn(4, |column| (4 * row + column) as f32);
        fp.write(s![row, ..], &elements)?;
    }
    // Without this the bytes would still outlive the process, but not a power cut.
    fp.flush()?;
    println!(
        "wrote {} elements of {} into {}",
        fp.len(),
        fp.dtype(),
        fp.path().display()
    );
    fp.close()
}
