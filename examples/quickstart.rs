//! The whole of it in one go: create, assign, flush, reopen, bytes, resize, and a lock that is refused.
//!
//! `cargo run --release --example quickstart [DIRECTORY]` leaves `temp.dat` behind, which NumPy opens:
//! `np.load('temp.dat', mmap_mode='r')`.

use std::path::PathBuf;

use ndarray::prelude::*;
use ndstore::{Error, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);
    let path = directory.join("temp.dat");

    // An array goes into a new file through the map, and is on the disk when `flush` returns.
    let arr = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let mut fp = Store::<f64, _>::create(&path, arr.dim())?;
    fp.view_mut().assign(&arr);
    fp.flush()?;
    println!("wrote    {fp:?}");

    // While it is open for writing nobody else gets it, not even this process.
    match Store::<f64, Ix2>::open(&path) {
        Err(Error::Locked { .. }) => println!("locked   as it should be, while a writer has it"),
        other => return Err(format!("expected a refusal, got {other:?}").into()),
    }
    fp.close()?;

    // It comes back as it was: dtype, shape and values.
    let fp = Store::<f64, Ix2>::open(&path)?;
    assert_eq!(fp.view(), arr);
    println!("read     {} {:?}\n{}", fp.dtype(), fp.shape(), fp.view());
    println!(
        "bytes    {:02x?} ... at byte {} of the file",
        &fp.as_bytes()[..8],
        fp.offset()
    );
    drop(fp);

    // The wrong type is refused, never misread.
    let error = Store::<f32, Ix2>::open(&path).unwrap_err();
    println!("refused  {error}");

    // Any axis grows or shrinks, and elements keep their index.
    let mut fp = Store::<f64, Ix2>::open_rw(&path)?;
    fp.resize_with((3, 4), -1.0)?;
    assert_eq!(fp.view().slice(s![..2, ..3]), arr);
    println!("resized  {:?}\n{}", fp.shape(), fp.view());
    fp.close()?;

    println!("left     {}", path.display());
    Ok(())
}
