//! An array as bytes and back. The bytes state neither dtype nor shape nor order, so these are kept
//! beside them.
//!
//! `cargo run --example bytes_roundtrip`. In Python:
//! `np.frombuffer(bytes, dtype).reshape(shape, order=order)`.

use ndarray::prelude::*;
use ndstore::{Options, Order, Store, from_bytes_as, from_file, to_bytes, to_file, view_bytes};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("temp.dat");
    let data = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];

    // fp = np.memmap('temp.dat', dtype='float64', mode='w+', shape=(2, 3)); fp[:] = data;
    // fp.tobytes()
    let mut fp = Options::new().raw(0).create::<f64, _>(&path, (2, 3))?;
    fp.write_all(&data)?;
    let (bytes, dtype, shape) = (
        fp.to_bytes(Order::C)?,
        fp.dtype().descr(),
        fp.shape().to_vec(),
    );
    fp.close()?;
    println!("{} bytes of {dtype} {shape:?}", bytes.len());

    // np.frombuffer(bytes, dtype).reshape(shape): the dtype must be the one of the type.
    let back = from_bytes_as::<f64, _>(&dtype, &bytes, shape.as_slice(), Order::C)?;
    assert_eq!(back, data.clone().into_dyn());
    if let Err(error) = from_bytes_as::<f32, _>(&dtype, &bytes, shape.as_slice(), Order::C) {
        println!("refused  {error}");
    }

    // Where the bytes are aligned no copy is needed.
    let aligned: &[u8] = bytemuck::cast_slice(data.as_slice().ok_or("it is in C order")?);
    assert_eq!(view_bytes::<f64, _>(aligned, (2, 3), Order::C)?, data);

    // data.tofile(path), and np.fromfile(path, 'float64', count=2, offset=8)
    to_file(&path, &data)?;
    assert_eq!(from_file::<f64>(&path, Some(2), 8)?, array![2.0, 3.0]);

    // A file of this crate needs nothing beside it: dtype, shape and order are in its header.
    let npy = directory.path().join("temp.npy");
    drop(Store::create_from(&npy, &data.t())?);
    let store = Store::<f64, Ix2>::open(&npy)?;
    assert_eq!(to_bytes(&store.read_all()?, Order::F)?, bytes);
    println!("restored {:?}", store);
    Ok(())
}
