//! How long does it take to read one element of `f64`, here and there in a large array?
//!
//! `cargo bench --bench random`. The file is in the page cache and each page of the map has been
//! touched. Every read goes to a new random place, so most of them miss the processor's caches; the
//! sides in Rust follow the same sequence of places.

mod common;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use common::{Bench, HEADER, Side, sum};
use ndarray::{ArrayView1, Ix1};
use ndstore::Store;

/// How many elements are read for one sample.
const READS: u64 = 100_000;

/// Random indices below a length: the generator of George Marsaglia, scaled.
fn indices(len: usize) -> impl FnMut() -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((u128::from(state) * len as u128) >> 64) as usize
    }
}

fn offset(index: usize) -> u64 {
    (HEADER + index * size_of::<f64>()) as u64
}

fn in_memory<'a>(name: &'static str, elements: ArrayView1<'a, f64>) -> Side<'a> {
    let mut next = indices(elements.len());
    Side::new(name, move || elements[next()])
}

#[cfg(unix)]
fn pread(path: &Path, len: usize) -> Side<'static> {
    let (file, mut next) = (File::open(path).unwrap(), indices(len));
    Side::new("pread of 8 bytes", move || {
        let mut bytes = [0; size_of::<f64>()];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, offset(next())).unwrap();
        f64::from_ne_bytes(bytes)
    })
}

fn seek_and_read(path: &Path, len: usize) -> Side<'static> {
    let (mut reader, mut next) = (BufReader::new(File::open(path).unwrap()), indices(len));
    Side::new("BufReader seek and read", move || {
        let mut bytes = [0; size_of::<f64>()];
        reader.seek(SeekFrom::Start(offset(next()))).unwrap();
        reader.read_exact(&mut bytes).unwrap();
        f64::from_ne_bytes(bytes)
    })
}

fn main() {
    let mut bench = Bench::new();
    let path = bench.path("random.npy");
    let heap = bench.array();
    drop(Store::create_from(&path, &heap).unwrap());
    let map = common::mapped::<Ix1>(&path);
    assert_eq!(sum(map.view()), sum(heap.view()));
    let mut next = indices(heap.len());
    let get = || map.get(next()).unwrap();

    let mut sides = vec![
        in_memory("ndstore, mapped", map.view()),
        Side::new("ndstore, get", get),
        in_memory("heap array", heap.view()),
        seek_and_read(&path, heap.len()),
    ];
    #[cfg(unix)]
    sides.push(pread(&path, heap.len()));
    sides.extend(Side::numpy("numpy", "random_elements", &[path.as_ref()]));
    bench.pairs("random", READS, &mut sides);
    bench.criterion("random", &mut sides);
}
