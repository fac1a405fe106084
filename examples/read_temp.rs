//! Reads the `temp.dat` that `write_temp`, or NumPy's `np.save`, wrote: its shape, dtype, first
//! bytes and values.
//!
//! `cargo run --release --example read_temp [DIRECTORY]`

use std::path::PathBuf;

use ndarray::prelude::*;
use ndstore::{AnyStore, Element, ReadOnly, Result};

fn main() -> Result<()> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);
    let path = directory.join("temp.dat");

    // The file decides the type, not the other way round.
    let any = AnyStore::open(&path)?;
    println!("shape  {:?}, {:?} order", any.shape(), any.order());
    println!("dtype  {} ({})", any.dtype(), any.dtype().name());
    let mut first = vec![0; any.nbytes().min(16)];
    any.read_bytes(0, &mut first)?;
    println!("bytes  {first:02x?} from byte {} of the file", any.offset());
    if !any.is_empty() {
        println!("first  {}", any.element(&vec![0; any.ndim()])?);
    }

    // A file of the type that this program works with becomes an ndarray.
    if *any.dtype() == f32::dtype() {
        let fp = any.downcast::<f32, IxDyn, ReadOnly>()?;
        let array = fp.read_all()?;
        println!("sum    {}\n{array}", array.sum());
    }
    Ok(())
}
