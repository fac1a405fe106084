//! A file is replaced while others read it, if that is asked for; and who made it goes on as a
//! reader.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use ndarray::prelude::*;
use ndstore::{AnyStore, Error, ErrorKind, Mode, Opening, Options, Order, Store};
use tempfile::TempDir;

use super::mapped::mapped;
use super::support::{Peer, assert_no_drafts, trace};

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    drop(Store::create_from(&path, &array![1.0, 2.0, 3.0]).unwrap());
    (dir, path)
}

fn beside() -> Options {
    Options::new().beside_readers(true)
}

#[track_caller]
fn assert_locked<T>(result: Result<T, Error>) {
    let error = result.err().expect("it is refused");
    assert!(matches!(error.kind(), ErrorKind::Locked { .. }), "{error}");
}

#[test]
fn a_file_that_is_only_read_is_replaced_if_that_is_asked_for_and_readers_keep_theirs() {
    let (dir, path) = place();
    let old = array![1.0, 2.0, 3.0];
    let mut reader = Store::<f64, Ix1>::open(&path).unwrap();
    let view = mapped(Store::<f64, Ix1>::open(&path).unwrap());
    let part = Store::<f64, Ix1>::open_rows_read(&path, 1..2).unwrap();
    let watcher = AnyStore::open(&path).unwrap();
    let mut peer = Peer::at(&path);
    peer.ask("open").unwrap();
    assert_locked(Store::<f64, _>::create(&path, 5));
    for is_current in [reader.is_current(), view.is_current(), watcher.is_current()] {
        assert!(is_current.unwrap());
    }

    let new = beside().create_from(&path, &array![4.0]).unwrap();
    assert!(new.is_current().unwrap());
    // It has the new file alone.
    assert_locked(Store::<f64, Ix1>::open(&path));
    drop(new);
    assert_eq!(
        Store::<f64, Ix1>::open(&path).unwrap().read_all().unwrap(),
        array![4.0]
    );
    assert_eq!(reader.read_all().unwrap(), old);
    assert_eq!(view.view(), old);
    assert_eq!(part.read_all().unwrap(), array![2.0]);
    assert_eq!(watcher.to_bytes().unwrap().len(), 24);
    for is_current in [reader.is_current(), view.is_current(), watcher.is_current()] {
        assert!(!is_current.unwrap());
    }
    let moved = reader.refresh().unwrap_err();
    assert!(matches!(moved.kind(), ErrorKind::Moved), "{moved}");
    drop((reader, view, part, watcher));
    peer.finish();
    assert_no_drafts(dir.path());
}

#[test]
fn a_file_that_anybody_writes_to_is_not_replaced_beside_its_readers_either() {
    let (dir, path) = place();
    let before = trace(&path);
    for opening in [
        Opening::ReadWrite,
        Opening::Append,
        Opening::Rows(0..1),
        Opening::Shared,
        Opening::SharedRead,
    ] {
        let holder = Options::new().open_any_as(&path, opening.clone()).unwrap();
        assert_locked(beside().create::<f64, _>(&path, 5));
        assert_locked(beside().create_from(&path, &array![4.0]));
        drop(holder);
        assert!(trace(&path) == before, "{opening:?}");
    }
    let mut peer = Peer::at(&path);
    peer.ask("open_append").unwrap();
    let error = beside().create::<f64, _>(&path, 5).unwrap_err();
    assert!(error.to_string().contains("append"), "{error}");
    peer.finish();
    assert_no_drafts(dir.path());
}

#[test]
fn nobody_begins_to_write_to_a_file_that_is_being_replaced_beside_its_readers() {
    let (_dir, path) = place();
    let reader = Store::<f64, Ix1>::open(&path).unwrap();
    let mut asked = 0;
    let new = beside().create_with::<f64, _, Error>(&path, 4, 4, |mut block| {
        for opening in [
            Opening::ReadWrite,
            Opening::Append,
            Opening::Rows(0..1),
            Opening::Shared,
        ] {
            assert_locked(Options::new().open_any_as(&path, opening));
        }
        drop(AnyStore::open(&path)?);
        asked += 1;
        block.view.fill(7.0);
        Ok(())
    });
    assert_eq!(new.unwrap().read_all().unwrap(), Array1::from_elem(4, 7.0));
    assert!(asked > 0);
    assert_eq!(reader.read_all().unwrap(), array![1.0, 2.0, 3.0]);
}

#[test]
fn what_reads_an_array_can_be_put_in_its_place() {
    let (_dir, path) = place();
    let all = Array::from_shape_fn((30, 20), |(i, j)| (i * 20 + j) as f64);
    drop(Store::create_from(&path, &all).unwrap());
    let source = Store::<f64, Ix2>::open(&path).unwrap();
    let out = source.out_of_core().output(beside());
    let turned = out.transpose(&path).unwrap().into_read_only().unwrap();
    assert_eq!(turned.read_all().unwrap(), all.t());
    assert_eq!(source.read_all().unwrap(), all);
}

#[test]
fn whoever_made_a_file_goes_on_as_a_reader_and_lets_readers_in() {
    let (_dir, path) = place();
    let mut store = Store::<f64, _>::create(&path, (4, 2)).unwrap();
    store.write_all(&arr0(2.0)).unwrap();
    store.append(&array![[3.0, 3.0]]).unwrap();
    let read_only = store.into_read_only().unwrap();
    assert_eq!(read_only.mode(), Mode::Read);
    assert_eq!(fs::metadata(&path).unwrap().len(), 4096 + 5 * 16);
    drop(AnyStore::open(&path).unwrap());
    assert_locked(Store::<f64, Ix2>::open_rw(&path));
    assert_locked(Store::<f64, Ix2>::open_rows(&path, 4..5));
    assert_locked(Store::<f64, Ix2>::open_shared(&path));
    let mut log = Store::<f64, Ix2>::open_append(&path).unwrap();
    log.push(&array![4.0, 4.0]).unwrap();
    let mut read_only = mapped(read_only);
    assert_eq!(read_only.refresh().unwrap(), 1);
    assert_eq!(
        read_only.view().column(0),
        array![2.0, 2.0, 2.0, 2.0, 3.0, 4.0]
    );
    drop((log, read_only));

    let any = AnyStore::open_rw(&path).unwrap().into_read_only().unwrap();
    assert_eq!(any.mode(), Mode::Read);
    drop(Store::<f64, Ix2>::open(&path).unwrap());
    let refused = any.into_read_only().unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::InvalidOption { .. }));
    drop(Store::<f64, Ix2>::open_rw(&path).unwrap());

    // An array without elements claims none.
    let none = Store::<f64, _>::create(&path, (0, 2)).unwrap();
    let none = none.into_read_only().unwrap();
    drop(AnyStore::open(&path).unwrap());
    assert_locked(AnyStore::open_rw(&path));
    drop(none);
}

#[test]
fn between_writing_and_reading_nobody_changes_an_element() {
    let (_dir, path) = place();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    if let Ok(mut store) = Store::<f64, Ix1>::open_rw(&path) {
                        store.write_all(&arr0(-1.0)).unwrap();
                    }
                    std::thread::yield_now();
                }
            });
        }
        let mut rounds = 0;
        while rounds < 200 {
            let Ok(mut store) = Store::<f64, Ix1>::open_rw(&path) else {
                continue;
            };
            rounds += 1;
            let expected = Array1::from_elem(3, f64::from(rounds));
            store.write_all(&expected).unwrap();
            let store = store.into_read_only().unwrap();
            let found = store.read_all().unwrap();
            if found != expected {
                done.store(true, Relaxed);
            }
            assert_eq!(found, expected);
        }
        done.store(true, Relaxed);
    });
}

#[test]
fn the_order_and_the_mode_of_a_file_that_is_replaced_beside_readers_are_kept_as_ever() {
    let (_dir, path) = place();
    super::support::set_mode(&path, 0o640);
    let reader = Store::<f64, Ix1>::open(&path).unwrap();
    drop(
        beside()
            .order(Order::F)
            .create::<f64, _>(&path, (2, 3))
            .unwrap(),
    );
    let found = AnyStore::open(&path).unwrap();
    assert_eq!(found.order(), Order::F);
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    drop(reader);
}
