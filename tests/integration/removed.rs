//! Files that lose their last name while a store is open: writes to them are not acknowledged any
//! more.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{ErrorKind, Result, Store};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    (directory, path)
}

#[track_caller]
fn assert_removed(result: Result<()>) {
    let refused = result.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Removed), "{refused}");
}

#[test]
fn nothing_that_is_written_to_a_file_without_a_name_is_acknowledged() {
    let losses: [fn(&Path); 2] = [
        |path| fs::remove_file(path).unwrap(),
        |path| {
            let other = path.with_extension("other");
            fs::write(&other, b"other").unwrap();
            fs::rename(other, path).unwrap();
        },
    ];
    for lose in losses {
        let (directory, path) = place();
        let mut store = Store::<f64, _>::create(&path, 3).unwrap();
        let mut appender = store.appender().unwrap();
        appender.push(&arr0(1.0)).unwrap();
        lose(&path);
        assert_removed(appender.flush());
        assert_removed(store.append(&array![1.0]));
        assert_removed(store.push(&arr0(1.0)));
        assert_removed(store.appender().map(drop));
        assert_removed(store.truncate(1));
        assert_removed(store.flush());
        assert_removed(store.flush_rows(..1));
        // What it has can be saved, as the message says.
        let text = store.flush().unwrap_err().to_string();
        assert!(text.contains("`Store::create_from`"), "{text}");
        let saved = directory.path().join("saved.npy");
        let copy = Store::create_from(&saved, &store.read_all().unwrap()).unwrap();
        assert_eq!(copy.read_all().unwrap(), array![0.0, 0.0, 0.0]);
        assert_removed(store.close());
    }
}

#[test]
fn a_file_that_has_another_name_is_written_on() {
    let (directory, path) = place();
    let mut store = Store::<f64, _>::create(&path, 3).unwrap();
    let moved = directory.path().join("moved.npy");
    fs::rename(&path, &moved).unwrap();
    store.append(&array![1.0]).unwrap();
    store.flush().unwrap();
    store.close().unwrap();
    assert_eq!(Store::<f64, Ix1>::open(moved).unwrap().len(), 4);
}

#[test]
fn a_reader_of_a_file_without_a_name_goes_on_to_read() {
    let (_directory, path) = place();
    drop(Store::<f64, _>::create(&path, 3).unwrap());
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(store.read_all().unwrap(), array![0.0, 0.0, 0.0]);
    store.close().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_acknowledged_that_some_rows_of_a_file_without_a_name_were_given() {
    let (_directory, path) = place();
    drop(Store::<f64, _>::create(&path, 9).unwrap());
    let mut rows = Store::<f64, Ix1>::open_rows(&path, 3..6).unwrap();
    rows.set(1, 1.0).unwrap();
    rows.flush().unwrap();
    fs::remove_file(&path).unwrap();
    rows.set(1, 2.0).unwrap();
    assert_removed(rows.flush());
    assert_removed(rows.flush_rows(1..2));
    assert_removed(rows.close());

    let mut assembly = Store::<f64, _>::assemble(&path, (4, 2), 2).unwrap();
    let mut slab = assembly.next_slab().unwrap().unwrap();
    slab.write_all(&Array2::ones((2, 2))).unwrap();
    fs::remove_file(slab.path()).unwrap();
    assert_removed(slab.done());
}
