//! Arrays through zlib, gzip and other wrappers of a stream, as NPY, so that dtype and shape come
//! back, too.
//!
//! `cargo run --release --example compress [DIRECTORY]` leaves two files behind, which Python
//! reads:
//!
//! ```python
//! np.load(gzip.open('temp.npy.gz'))
//! np.frombuffer(zlib.decompress(open('temp.zlib', 'rb').read()), '<f8').reshape(300, 400)
//! ```

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use flate2::{Compression, read, write};
use ndarray::prelude::*;
use ndstore::{Options, Order, from_bytes, to_bytes, write_npy};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);
    let (gz, zlib) = (directory.join("temp.npy.gz"), directory.join("temp.zlib"));
    let array = Array::from_shape_fn((300, 400), |(i, j)| (i + j) as f64);

    // A whole NPY, as `gzip temp.npy` makes it.
    let file = BufWriter::new(File::create(&gz)?);
    let mut encoder = write::GzEncoder::new(file, Compression::default());
    write_npy(&mut encoder, &array)?;
    encoder.finish()?.flush()?;

    // The checksum of the stream is checked at its end, so the reader expects the end.
    let decoder = read::GzDecoder::new(BufReader::new(File::open(&gz)?));
    let options = Options::new().expect_end(true).max_nbytes(1 << 30);
    let back = options.read_npy::<f64, Ix2>(decoder)?;
    assert_eq!(back.ok_or("the file is empty")?, array);

    // The bare bytes: zlib.compress(array.tobytes()), and back.
    let mut encoder = write::ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&to_bytes(&array, Order::C)?)?;
    fs::write(&zlib, encoder.finish()?)?;
    let mut bytes = Vec::new();
    read::ZlibDecoder::new(&fs::read(&zlib)?[..]).read_to_end(&mut bytes)?;
    assert_eq!(from_bytes::<f64, _>(&bytes, (300, 400), Order::C)?, array);

    for path in [gz, zlib] {
        println!(
            "{} of {} bytes in {}",
            fs::metadata(&path)?.len(),
            bytes.len(),
            path.display()
        );
    }
    Ok(())
}
