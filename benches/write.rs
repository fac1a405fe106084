//! How long does it take to get an array of `f64` into a new file, durably?
//!
//! `cargo bench --bench write`. Each sample makes a file of its own, and its time ends when the
//! data are on the disk. Dropping what is open and removing the file comes after.

mod common;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use common::{Bench, HEADER, Side};
use ndarray::Array1;
use ndarray_npy::WriteNpyExt;
use ndstore::Store;

/// A side that fills the new file at `path` and returns what keeps it open.
fn fresh<'a, T>(name: &'static str, path: &'a Path, fill: impl Fn(&Path) -> T + 'a) -> Side<'a> {
    Side::timed(name, move || {
        let start = Instant::now();
        let open = fill(path);
        let taken = start.elapsed();
        drop(open);
        common::remove(path);
        taken
    })
}

fn sides<'a>(path: &'a Path, array: &'a Array1<f64>) -> Vec<Side<'a>> {
    let bytes = bytemuck::cast_slice(array.as_slice().expect("the array is contiguous"));
    let mut sides = vec![
        fresh("create_from", path, |path| {
            Store::create_from(path, array).unwrap()
        }),
        fresh("write_all + fdatasync", path, |path| {
            let mut file = File::create(path).unwrap();
            file.write_all(&[b' '; HEADER]).unwrap();
            file.write_all(bytes).unwrap();
            file.sync_data().unwrap();
            file
        }),
        fresh("create + write_all + flush", path, |path| {
            let mut store = Store::<f64, _>::create(path, array.dim()).unwrap();
            store.write_all(array).unwrap();
            store.flush().unwrap();
            store
        }),
        fresh("create + view_mut + flush", path, |path| {
            let store = Store::<f64, _>::create(path, array.dim()).unwrap();
            let mut map = common::map_store(store);
            map.view_mut().assign(array);
            map.flush().unwrap();
            map
        }),
        fresh("ndarray-npy write_npy + fsync", path, |path| {
            let file = File::create(path).unwrap();
            array.write_npy(BufWriter::new(&file)).unwrap();
            file.sync_all().unwrap();
            file
        }),
        fresh("sparse memmap2 + flush", path, |path| {
            let file = File::create_new(path).unwrap();
            file.set_len((HEADER + bytes.len()) as u64).unwrap();
            let mut map = common::map_mut(&file);
            map[HEADER..].copy_from_slice(bytes);
            map.flush().unwrap();
            map
        }),
    ];
    let nbytes = bytes.len().to_string();
    let arguments = [path.as_os_str(), nbytes.as_ref()];
    sides.extend(Side::numpy(
        "numpy memmap + flush",
        "write_memmap",
        &arguments,
    ));
    sides.extend(Side::numpy("numpy save + fsync", "write_save", &arguments));
    sides
}

fn main() {
    let bench = Bench::new();
    let (path, array) = (bench.path("write.npy"), bench.array());
    bench.pairs("write new and durable", 1, &mut sides(&path, &array));
}
