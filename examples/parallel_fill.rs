//! Worker processes fill one array, in slabs of rows and in any order; a run that is killed
//! resumes.
//!
//! `cargo run --release --example parallel_fill [DIRECTORY]`; kill it and run it again. Until the
//! array is whole it is called `table.npy.part`.

use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::prelude::*;
use ndstore::{Result, Store};

const SHAPE: (usize, usize) = (100_000, 100);
const SLAB: usize = 5_000;
const WORKERS: usize = 4;

fn work(path: &Path) -> Result<()> {
    let mut assembly = Store::<f64, _>::assemble(path, SHAPE, SLAB)?;
    let mut filled = 0;
    while let Some(mut slab) = assembly.next_slab()? {
        let first = slab.rows().start;
        let shape = (slab.shape()[0], SHAPE.1);
        let values = Array::from_shape_fn(shape, |(row, _)| ((first + row) as f64).sqrt());
        slab.write_all(&values)?;
        // On the disk from here on: no later run computes these rows again.
        slab.done()?;
        filled += 1;
    }
    println!("process {:6} filled {filled} slabs", std::process::id());
    assembly.finish()
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let directory = arguments.next().map_or_else(PathBuf::new, PathBuf::from);
    let path = directory.join("table.npy");
    if arguments.next().is_some() {
        return Ok(work(&path)?);
    }

    let start = |_| {
        Command::new(std::env::current_exe()?)
            .arg(&directory)
            .arg("worker")
            .spawn()
    };
    let workers: Vec<_> = (0..WORKERS)
        .map(start)
        .collect::<Result<_, std::io::Error>>()?;
    for mut worker in workers {
        assert!(worker.wait()?.success());
    }

    let table = Store::<f64, Ix2>::open(&path)?;
    assert_eq!(table.get([90_000, 7])?, 300.0);
    println!("left           {}: {:?}", path.display(), table.shape());
    Ok(())
}
