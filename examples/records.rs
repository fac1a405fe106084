//! Records: a struct is an element, and NumPy sees its fields.
//!
//! `cargo run --release --example records [DIRECTORY]` leaves `samples.npy` behind and prints the
//! Python that reads it.

use std::path::PathBuf;

use ndarray::prelude::*;
use ndstore::{AnyStore, Be, Bytes, Datetime64, Pad, Store, record, unit};

record! {
    /// One reading of a sensor, laid out as C lays it out.
    #[derive(Debug, Default, PartialEq)]
    struct Sample {
        time: Datetime64<unit::Ms>,
        xyz: [f32; 3],
        station: Bytes<6> = "station name",
        _pad: Pad<6>,
    }

    /// A part of a file that another program wrote: big-endian, without gaps.
    #[repr(C, packed)]
    struct Foreign {
        id: u8,
        value: Be<f64>,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);
    let path = directory.join("samples.npy");

    let station = Bytes::try_from("north")?;
    let samples = Array::from_shape_fn(1000, |index| Sample {
        time: Datetime64::new(1_704_067_200_000 + 20 * index as i64),
        xyz: [0.0, 0.0, 9.81],
        station,
        ..Sample::default()
    });
    drop(Store::create_from(&path, &samples)?);

    let store = Store::<Sample, Ix1>::open(&path)?;
    println!("{}", store.dtype());
    println!("{:?}", store.get(999)?);
    drop(store);

    // Without the struct the same file still prints, and a wrong struct is refused.
    println!("{:?}", AnyStore::open(&path)?.element(&[999])?);
    let error = Store::<Foreign, Ix1>::open(&path).unwrap_err();
    println!("{error}");

    println!("\nimport numpy as np");
    println!("a = np.load({path:?}, mmap_mode='r')");
    println!("print(a['time'][-1], a['xyz'].mean(axis=0), a['station name'][0])");
    Ok(())
}
