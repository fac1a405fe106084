//! A program without a lock cuts or overwrites the file of an open store: errors, or old or new
//! elements.
//!
//! No guard, no map and no `unsafe`: a store is sound whatever anybody does to its file.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::support::Why;
use ndarray::prelude::*;
use ndstore::{AnyStore, ErrorKind, MemoryOrder, Options, Order, Result, Store};
use tempfile::TempDir;

const HEADER: u64 = 4096;
const ROWS: usize = 1000;
const COLUMNS: usize = 300;
const NBYTES: u64 = (ROWS * COLUMNS * 8) as u64;

fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    let array = Array2::from_shape_fn((ROWS, COLUMNS), |(row, column)| {
        (row * COLUMNS + column) as f64
    });
    drop(Store::create_from(&path, &array).unwrap());
    Store::<f64, Ix2>::open(&path)
        .unwrap()
        .write_checksums()
        .unwrap();
    (directory, path)
}

/// The file as somebody has it open who knows of no lock.
fn foreign(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

#[track_caller]
fn assert_truncated<T: std::fmt::Debug>(refused: Result<T>, len: u64, name: &str) {
    match refused.why() {
        Some(ErrorKind::Truncated { found, .. }) => assert_eq!(*found, len, "{name}"),
        _ => panic!("{name}: {refused:?}"),
    }
}

#[test]
fn a_file_that_is_cut_is_an_error_of_every_call_and_no_signal() {
    // To nothing, within the header, within the elements, within the last one.
    for len in [0, 100, HEADER, HEADER + NBYTES / 2 + 3, HEADER + NBYTES - 1] {
        let (_directory, path) = place();
        let store = Store::<f64, Ix2>::open(&path).unwrap();
        let any = AnyStore::open(&path).unwrap();
        foreign(&path).set_len(len).unwrap();
        let last = [ROWS - 1, COLUMNS - 1];
        assert_truncated(store.read_all(), len, "read_all");
        assert_truncated(store.read(s![.., 7..]), len, "read");
        assert_truncated(store.read(s![..;-1, ..]), len, "read in reverse");
        let mut into = Array1::zeros(ROWS);
        assert_truncated(
            store.read_into(s![.., COLUMNS - 1], &mut into),
            len,
            "read_into",
        );
        assert_truncated(store.get(last), len, "get");
        assert_truncated(store.to_bytes(Order::F), len, "to_bytes");
        assert_truncated(store.write_to(Vec::new()), len, "write_to");
        assert_truncated(any.element(&last), len, "element");
        assert_truncated(any.to_bytes(), len, "to_bytes of any");
        assert_truncated(
            any.read_bytes(NBYTES as usize - 1, &mut [0]),
            len,
            "read_bytes",
        );
        assert_truncated(store.out_of_core().sum(), len, "sum");
        store.verify().unwrap_err();
        // What is left is what it was.
        if len > HEADER {
            assert_eq!(store.read(s![1, ..3]).unwrap(), array![300.0, 301.0, 302.0]);
        }
        drop((store, any));
        assert_eq!(fs::metadata(&path).unwrap().len(), len);

        let (_directory, path) = place();
        let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
        foreign(&path).set_len(len).unwrap();
        let zero = arr0(0.0);
        for _ in 0..2 {
            assert_truncated(store.write(s![.., 3], &zero), len, "write a column");
            assert_truncated(store.write(s![2.., ..], &zero), len, "write rows");
            assert_truncated(store.write_all(&zero), len, "write_all");
            assert_truncated(store.set(last, 0.0), len, "set");
            assert_truncated(store.append(&Array2::zeros((1, COLUMNS))), len, "append");
            assert_truncated(store.push(&Array1::zeros(COLUMNS)), len, "push");
            let scattered = store
                .out_of_core_mut()
                .scatter(&[1], &Array2::zeros((1, COLUMNS)));
            assert_truncated(scattered, len, "scatter");
            store.resize((ROWS, COLUMNS + 1)).unwrap_err();
            store.flush_async().unwrap();
            store.flush().unwrap();
        }
        drop(store);
        assert_eq!(
            fs::metadata(&path).unwrap().len(),
            len,
            "nothing made it look whole"
        );
    }
}

#[test]
fn a_cut_file_that_is_long_again_is_read_as_it_is() {
    let (_directory, path) = place();
    let store = Store::<f64, Ix2>::open(&path).unwrap();
    let file = foreign(&path);
    file.set_len(HEADER).unwrap();
    file.set_len(HEADER + NBYTES).unwrap();
    assert_eq!(
        store.read_all().unwrap(),
        Array2::<f64>::zeros((ROWS, COLUMNS))
    );
    assert!(!store.verify().unwrap().is_intact());
}

#[test]
fn elements_that_somebody_overwrites_are_the_old_ones_or_the_new_ones() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    // Bytes, because of a larger element a part may be new.
    let shape = (200, 3000);
    drop(Store::create_from(&path, &Array2::<u8>::zeros(shape)).unwrap());
    let store = Store::<u8, Ix2>::open(&path).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = foreign(&path);
            for round in 0..400 {
                let row = vec![(round % 2) as u8; 3000];
                for index in 0..200 {
                    file.write_all_at(&row, HEADER + index * 3000).unwrap();
                }
            }
            done.store(true, Relaxed);
        });
        let is_known = |&element: &u8| element < 2;
        while !done.load(Relaxed) {
            assert!(store.read_all().unwrap().iter().all(is_known));
            assert!(store.read(s![.., 17]).unwrap().iter().all(is_known));
            assert!(store.read(s![..;3, ..;-2]).unwrap().iter().all(is_known));
            assert!(is_known(&store.get([100, 100]).unwrap()));
        }
    });
    assert_eq!(store.read_all().unwrap(), Array2::<u8>::ones(shape));
}

#[test]
fn what_is_written_between_the_rows_of_somebody_without_a_lock_stays() {
    let (_directory, path) = place();
    let unlocked = Options::new().no_lock();
    let mut one = unlocked.open_rw::<f64, Ix2>(&path).unwrap();
    let mut other = unlocked.open_rw::<f64, Ix2>(&path).unwrap();
    std::thread::scope(|scope| {
        // Columns side by side: writing the bytes between them back would undo the other's work.
        scope.spawn(|| {
            for round in 1..=5 {
                one.write(s![.., ..;2], &arr0(round as f64)).unwrap();
            }
        });
        for round in 1..=5 {
            other.write(s![.., 1..;2], &arr0(-round as f64)).unwrap();
        }
    });
    let found = one.read_all().unwrap();
    assert!(
        found
            .slice(s![.., ..;2])
            .iter()
            .all(|&element| element == 5.0)
    );
    assert!(
        found
            .slice(s![.., 1..;2])
            .iter()
            .all(|&element| element == -5.0)
    );
}

#[test]
fn a_header_that_somebody_overwrites_changes_nothing_of_an_open_store() {
    let (_directory, path) = place();
    let store = Store::<f64, Ix2>::open(&path).unwrap();
    foreign(&path)
        .write_all_at(&[0xff; HEADER as usize], 0)
        .unwrap();
    assert_eq!(store.get([1, 1]).unwrap(), 301.0);
    assert_eq!(store.shape(), [ROWS, COLUMNS]);
    assert_eq!(store.to_bytes(MemoryOrder::A).unwrap().len() as u64, NBYTES);
    let mut rows = Vec::new();
    store.write_to(&mut rows).unwrap();
    assert_eq!(
        ndstore::read_npy::<f64, Ix2>(&rows[..])
            .unwrap()
            .unwrap()
            .shape(),
        [ROWS, COLUMNS]
    );
}
