//! How fast is the sum of a whole array of `f64`?
//!
//! `cargo bench --bench scan`. Everybody sums with the same loop. Warm means that the file is in
//! the page cache; cold, that it was dropped from it before each pass (a disk that is virtual may
//! still have it in a cache of its own).
//!
//! The sides differ in their costs: a first pass over a new map takes its page faults, a second
//! pass takes none; `read` copies every byte, into a buffer that stays in the processor's cache or
//! into memory that the kernel first has to provide.

mod common;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use common::{Bench, HEADER, Side, sum, sum_in_two};
use ndarray::{Array1, ArrayView1, Ix1, s};
use ndarray_npy::ReadNpyExt;
use ndstore::{Advice, Store};

/// How many elements the reused buffer holds: 1 MiB.
const BUFFER: usize = 1 << 17;

/// How many elements the processor's cache holds with ease: 16 MiB.
const CACHED: usize = 1 << 21;

/// A new map each time.
fn map(path: &Path) -> Side<'_> {
    Side::new("ndstore", move || sum(common::mapped::<Ix1>(path).view()))
}

/// A new map each time, announced as one to be read from front to back.
fn sequential_map(path: &Path) -> Side<'_> {
    Side::new("ndstore with Advice::Sequential", move || {
        let map = common::mapped::<Ix1>(path);
        map.advise(Advice::Sequential).unwrap();
        sum(map.view())
    })
}

/// The file, after its header.
fn elements(path: &Path) -> File {
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::Start(HEADER as u64)).unwrap();
    file
}

fn element_by_element(path: &Path, len: usize) -> Side<'_> {
    Side::new("BufReader element by element", move || {
        let mut reader = BufReader::new(elements(path));
        let mut total = 0.0;
        let mut bytes = [0; size_of::<f64>()];
        for _ in 0..len {
            reader.read_exact(&mut bytes).unwrap();
            total += f64::from_ne_bytes(bytes);
        }
        total
    })
}

fn reused_buffer(path: &Path, len: usize) -> Side<'_> {
    let mut buffer = vec![0.0; BUFFER];
    Side::new("read into a reused 1 MiB buffer", move || {
        let mut file = elements(path);
        let mut total = 0.0;
        let mut left = len;
        while left > 0 {
            let part = &mut buffer[..left.min(BUFFER)];
            file.read_exact(bytemuck::cast_slice_mut(part)).unwrap();
            total += sum(ArrayView1::from(&*part));
            left -= part.len();
        }
        total
    })
}

fn fresh_vec(path: &Path, len: usize) -> Side<'_> {
    Side::new("read into a fresh Vec", move || {
        let mut all = vec![0.0; len];
        elements(path)
            .read_exact(bytemuck::cast_slice_mut(&mut all))
            .unwrap();
        sum(ArrayView1::from(&all))
    })
}

fn read_npy(path: &Path) -> Side<'_> {
    Side::new("ndarray-npy read_npy", move || {
        sum(Array1::read_npy(File::open(path).unwrap()).unwrap().view())
    })
}

fn warm_first_pass(bench: &mut Bench, path: &Path, len: usize) {
    let question = "scan warm, first pass over a new map";
    let mut sides = vec![
        map(path),
        element_by_element(path, len),
        reused_buffer(path, len),
        fresh_vec(path, len),
        read_npy(path),
    ];
    sides.extend(Side::numpy("numpy", "scan_first_pass", &[path.as_ref()]));
    bench.pairs(question, 1, &mut sides);
    bench.criterion(question, &mut sides);
}

/// A small array stays in the processor's cache; a large one is read no faster than memory is, from
/// a map or a heap array.
fn warm_second_pass(bench: &mut Bench, question: &str, path: &Path, heap: ArrayView1<'_, f64>) {
    drop(Store::create_from(path, &heap).unwrap());
    let map = common::mapped::<Ix1>(path);
    let mut sides = vec![
        Side::new("ndstore", || sum(map.view())),
        Side::new("heap array", || sum(heap)),
        Side::new("ndstore with two threads", || sum_in_two(map.view())),
        element_by_element(path, heap.len()),
    ];
    sides.extend(Side::numpy("numpy", "scan_second_pass", &[path.as_ref()]));
    bench.pairs(question, 1, &mut sides);
    bench.criterion(question, &mut sides);
}

#[cfg(target_os = "linux")]
fn cold(bench: &Bench, path: &Path, len: usize) {
    let mut sides = vec![
        map(path),
        sequential_map(path),
        element_by_element(path, len),
        reused_buffer(path, len),
        read_npy(path),
    ];
    sides.extend(Side::numpy("numpy", "scan_first_pass", &[path.as_ref()]));
    let mut sides: Vec<_> = sides
        .into_iter()
        .map(|side| side.after(|| common::evict(path)))
        .collect();
    bench.pairs("scan cold", 1, &mut sides);
}

fn main() {
    let mut bench = Bench::new();
    let path = bench.path("scan.npy");
    let heap = bench.array();
    drop(Store::create_from(&path, &heap).unwrap());
    warm_first_pass(&mut bench, &path, heap.len());
    let small = heap.slice(s![..heap.len().min(CACHED)]);
    warm_second_pass(
        &mut bench,
        "scan 16 MiB warm, second pass over one map",
        &path,
        small,
    );
    warm_second_pass(
        &mut bench,
        "scan warm, second pass over one map",
        &path,
        heap.view(),
    );
    #[cfg(target_os = "linux")]
    cold(&bench, &path, heap.len());
}
