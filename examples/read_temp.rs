//! Reads the `temp.dat` that `write_temp`, or NumPy's `np.save`, wrote: its shape, dtype, values and first bytes.
//!
//! `cargo run --release --example read_temp [DIRECTORY]`

use std::path::PathBuf;

use ndarray::prelude::*;
use ndstore::{AnyStore, ReadOnly, Result};

fn main() -> Result<()> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);
    let path = directory.join("temp.dat");

    // What is in the file decides the type, not the other way round.
    let any = AnyStore::open(&path)?;
    println!("shape  {:?}, {:?} order", any.shape(), any.order());
    println!("dtype  {} ({})", any.dtype(), any.dtype().name());
    let first = &any.as_bytes()[..any.as_bytes().len().min(16)];
    println!("bytes  {first:02x?} from byte {} of the file", any.offset());

    if *any.dtype() == ndstore::DType::parse("f4")? {
        let fp = any.downcast::<f32, IxDyn, ReadOnly>()?;
        println!("values\n{}", fp.view());
    } else {
        let fp = any.downcast::<f64, IxDyn, ReadOnly>()?;
        println!("values\n{}", fp.view());
    }
    Ok(())
}
