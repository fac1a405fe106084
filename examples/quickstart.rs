//! A quick tour: create, read, map, flush, reopen, bytes, resize, and a lock that is refused.
//!
//! `cargo run --release --example quickstart [DIRECTORY]` leaves `temp.dat` behind, which NumPy
//! opens: `np.load('temp.dat', mmap_mode='r')`.

#![allow(unsafe_code, reason = "a map takes a promise")]

use std::path::PathBuf;

use ndarray::prelude::*;
use ndstore::{ErrorKind, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);
    let path = directory.join("temp.dat");

    // An array goes into a new file, durably, and parts of it are read and written as ndarray
    // slices them.
    let mut arr = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let mut fp = Store::<f64, _>::create_from(&path, &arr)?;
    assert_eq!(fp.read(s![.., 1])?, array![2.0, 5.0]);
    fp.write(s![0, 1..], &array![20.0, 30.0])?;
    println!("wrote    {fp:?}");

    // While a store is open for writing, no other opens the file, not even in this process.
    match Store::<f64, Ix2>::open(&path) {
        Err(error) if matches!(error.kind(), ErrorKind::Locked { .. }) => {
            println!("locked   as it should be, while a writer has it");
        }
        other => return Err(format!("expected a refusal, got {other:?}").into()),
    }

    // Mapped, it is a view like any other, and changes are on the disk when `flush` returns.
    // SAFETY: nobody writes to temp.dat or cuts it without its lock while it is mapped.
    let mut map = unsafe { fp.map()? };
    map.view_mut()[(1, 1)] = 50.0;
    map.close()?;
    arr.assign(&array![[1.0, 20.0, 30.0], [4.0, 50.0, 6.0]]);

    // It comes back as it was: dtype, shape and values.
    let fp = Store::<f64, Ix2>::open(&path)?;
    let found = fp.read_all()?;
    assert_eq!(found, arr);
    println!("read     {} {:?}\n{found}", fp.dtype(), fp.shape());
    println!(
        "bytes    {:02x?} ... at byte {} of the file",
        &fp.to_bytes(fp.order())?[..8],
        fp.offset()
    );
    drop(fp);

    // The wrong type is refused, never misread.
    let error = Store::<f32, Ix2>::open(&path).unwrap_err();
    println!("refused  {error}");

    // Any axis grows or shrinks, and elements keep their index.
    let mut fp = Store::<f64, Ix2>::open_rw(&path)?;
    fp.resize_with((3, 4), -1.0)?;
    assert_eq!(fp.read(s![..2, ..3])?, arr);
    println!("resized  {:?}\n{}", fp.shape(), fp.read_all()?);
    fp.close()?;

    println!("left     {}", path.display());
    Ok(())
}
