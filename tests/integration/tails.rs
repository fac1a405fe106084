//! Whose the bytes behind an array are: somebody's, which stay, or those of an append that was
//! never published, which go.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{ErrorKind, HeaderKind, Options, Order, Store, inspect};
use tempfile::TempDir;

use super::support::{Peer, in_fork, is_marked, set_mark, trace};

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    (dir, path)
}

fn append_bytes(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Writes another number of rows into the header of a file, and nothing else.
fn name_rows(path: &Path, old: &str, new: &str) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes[..128].windows(old.len());
    let at = at
        .clone()
        .position(|found| found == old.as_bytes())
        .unwrap();
    bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn rows_that_somebody_wrote_behind_a_header_outlive_every_call_that_did_not_ask() {
    for (compact, order) in [
        (false, Order::C),
        (false, Order::F),
        (true, Order::C),
        (true, Order::F),
    ] {
        let (_dir, path) = place();
        let options = Options::new().compact(compact).order(order);
        let shape = match order {
            Order::C => (1000, 2),
            Order::F => (2, 1000),
        };
        let all = Array::from_shape_fn(shape, |(i, j)| (i * 1000 + j) as f64);
        drop(options.create_from(&path, &all).unwrap());
        name_rows(&path, "1000", " 600");
        let before = fs::read(&path).unwrap();
        let row = match order {
            Order::C => array![[0.5, 0.5]],
            Order::F => array![[0.5], [0.5]],
        };
        let mut store = options.open_rw::<f64, Ix2>(&path).unwrap();
        assert_eq!(store.trailing_nbytes().unwrap(), 400 * 16);
        for refused in [
            store.append(&row),
            store.push(&array![0.5, 0.5]),
            store.truncate(10),
            store.truncate(600),
            store.resize((3, 3)),
            store.appender().map(drop),
        ] {
            let error = refused.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::TrailingBytes { found: 6400, .. }),
                "{error}"
            );
            for way in ["Store::adopt_rows", "Options::drop_trailing", "new file"] {
                assert!(error.to_string().contains(way), "{error}");
            }
        }
        store.flush().unwrap();
        drop(store);
        assert!(fs::read(&path).unwrap() == before);
        if !compact {
            let refused = options.open_append::<f64, Ix2>(&path).unwrap_err();
            assert!(matches!(refused.kind(), ErrorKind::TrailingBytes { .. }));
            assert!(fs::read(&path).unwrap() == before);
        }

        // Both ways that were named.
        let copy = path.with_extension("copy");
        fs::copy(&path, &copy).unwrap();
        let mut store = options.open_rw::<f64, Ix2>(&path).unwrap();
        assert_eq!(store.adopt_rows().unwrap(), 400);
        assert_eq!(store.read_all().unwrap(), all);
        assert_eq!(store.adopt_rows().unwrap(), 0);
        store.append(&row).unwrap();
        assert_eq!(store.shape().iter().max(), Some(&1001));
        let options = options.drop_trailing(true);
        let mut store = options.open_rw::<f64, Ix2>(&copy).unwrap();
        store.append(&row).unwrap();
        assert_eq!(store.shape().iter().max(), Some(&601));
        drop(store);
        assert_eq!(inspect(&copy).unwrap().trailing_nbytes(), 0);
    }
}

#[test]
fn a_part_of_a_row_that_somebody_wrote_stays_too_and_is_no_row() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &array![[1.0, 2.0]]).unwrap());
    append_bytes(&path, &[7; 16 + 5]);
    let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
    assert_eq!(store.adopt_rows().unwrap(), 1);
    assert_eq!(store.trailing_nbytes().unwrap(), 5);
    let error = store.push(&array![1.0, 2.0]).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::TrailingBytes { found: 5, .. }
    ));
    assert!(!error.to_string().contains("adopt_rows"), "{error}");
    drop(store);
    assert_eq!(fs::metadata(&path).unwrap().len(), 4096 + 32 + 5);
}

#[test]
fn a_killed_appender_of_any_header_with_a_mark_starts_again_by_itself() {
    for form in [HeaderKind::Native, HeaderKind::Compact, HeaderKind::Other] {
        let (_dir, path) = place();
        let options = Options::new().compact(form != HeaderKind::Native);
        drop(options.create_from(&path, &Array1::<f64>::ones(3)).unwrap());
        if form == HeaderKind::Other {
            // As other programs write it: the shortest header, without room for digits.
            let old = fs::read(&path).unwrap();
            let dict = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }";
            let header = [b"\x93NUMPY\x01\0", &b"\x46\0"[..], dict, &[b' '; 12], b"\n"].concat();
            assert_eq!(header.len(), 80);
            fs::write(&path, [&header, &old[128..]].concat()).unwrap();
        }
        assert_eq!(inspect(&path).unwrap().header(), form);
        let mut peer = Peer::at(&path);
        peer.ask("open_rw").unwrap();
        // More than an appender gathers, and no flush.
        peer.ask("log 200000").unwrap();
        assert!(is_marked(&path));
        peer.kill();
        let found = inspect(&path).unwrap();
        assert!(found.is_unpublished() && found.trailing_rows() > 100_000);
        assert_eq!((found.shape(), found.header()), (&[3][..], form));

        let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
        store.append(&array![2.0]).unwrap();
        assert!(is_marked(&path));
        store.close().unwrap();
        assert!(!is_marked(&path));
        let store = Store::<f64, Ix1>::open(&path).unwrap();
        assert_eq!(store.read_all().unwrap(), array![1.0, 1.0, 1.0, 2.0]);
        assert_eq!(store.trailing_nbytes().unwrap(), 0);
    }
}

#[test]
fn rows_of_a_killed_appender_can_be_adopted_instead() {
    let (_dir, path) = place();
    let mut peer = Peer::at(&path);
    peer.ask("create 0").unwrap();
    peer.ask("log 200000").unwrap();
    peer.kill();
    let found = inspect(&path).unwrap();
    // What the system had of them when it was killed, and less than a row besides.
    append_bytes(&path, &[7; 3]);
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    let adopted = store.adopt_rows().unwrap();
    assert_eq!(adopted as u64, found.trailing_rows());
    assert_eq!(store.read(s![-1]).unwrap(), arr0((adopted - 1) as f64));
    store.append(&array![0.5]).unwrap();
    drop(store);
    assert!(!is_marked(&path));
    assert_eq!(inspect(&path).unwrap().shape(), [adopted + 1]);
}

#[test]
fn a_header_is_marked_from_the_first_row_to_the_end_of_the_store_and_then_as_it_was() {
    for compact in [false, true] {
        let (_dir, path) = place();
        let options = Options::new().compact(compact);
        let first = options.create_from(&path, &array![[1.0, 2.0]]).unwrap();
        assert!(!is_marked(&path));
        drop(first);
        let mut store = options.open_rw::<f64, Ix2>(&path).unwrap();
        assert!(!is_marked(&path));
        store.append(&array![[3.0, 4.0]]).unwrap();
        assert!(is_marked(&path));
        // Whoever reads it meanwhile.
        assert_eq!(inspect(&path).unwrap().shape(), [2, 2]);
        store.write_checksums().unwrap();
        for row in 0..20 {
            store.push(&array![f64::from(row), 0.0]).unwrap();
        }
        store.truncate(2).unwrap();
        assert!(is_marked(&path));
        assert!(store.verify().unwrap().is_intact());
        drop(store);
        let expected = path.with_extension("expected");
        drop(options.create_from(&expected, &array![[1.0, 2.0], [3.0, 4.0]]));
        assert_eq!(fs::read(&path).unwrap(), fs::read(&expected).unwrap());
        let store = options.open_rw::<f64, Ix2>(&path).unwrap();
        assert!(store.verify().unwrap().is_intact());
    }
}

#[test]
fn readers_beside_an_appender_read_a_marked_header() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create(&path, (0, 2)).unwrap());
    let mut reader = Store::<f64, Ix2>::open(&path).unwrap();
    let mut log = Store::<f64, Ix2>::open_append(&path).unwrap();
    log.push(&array![1.0, 2.0]).unwrap();
    assert!(is_marked(&path));
    assert_eq!(reader.refresh().unwrap(), 1);
    let late = Store::<f64, Ix2>::open(&path).unwrap();
    assert_eq!(late.read_all().unwrap(), array![[1.0, 2.0]]);
    drop(log);
    assert!(!is_marked(&path));
    assert_eq!(reader.refresh().unwrap(), 0);
}

#[test]
fn what_an_appender_gave_up_is_cut_off_and_a_close_takes_the_mark_away() {
    let rows = Array2::<f64>::zeros((200_000, 2));
    for close in [false, true] {
        let (_dir, path) = place();
        let mut store = Store::<f64, _>::create(&path, (1, 2)).unwrap();
        let before = fs::read(&path).unwrap();
        let mut appender = store.appender().unwrap();
        for row in rows.rows() {
            appender.push(&row).unwrap();
        }
        drop(appender);
        match close {
            true => store.close().unwrap(),
            false => drop(store),
        }
        assert_eq!(fs::metadata(&path).unwrap().len(), before.len() as u64);
        // Until the disk knows that they are gone, a power cut could bring them back.
        assert_eq!(is_marked(&path), !close);
        drop(Store::<f64, Ix2>::open_rw(&path).unwrap());
        let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
        store.push(&array![1.0, 2.0]).unwrap();
        drop(store);
        assert!(!is_marked(&path));
    }
}

#[test]
fn a_forked_child_leaves_the_mark_to_its_parent() {
    let (_dir, path) = place();
    let mut store = Store::<f64, _>::create(&path, 0).unwrap();
    store.append(&array![1.0]).unwrap();
    let mut store = Some(store);
    in_fork(|| drop(store.take()));
    assert!(is_marked(&path));
    drop(store);
    assert!(!is_marked(&path));
}

#[test]
fn a_mark_of_old_rows_costs_nothing_where_none_follow() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &array![1.0, 2.0]).unwrap());
    set_mark(&path);
    let before = trace(&path);
    drop(Store::<f64, Ix1>::open(&path).unwrap());
    drop(Store::<f64, Ix1>::open_rw(&path).unwrap());
    assert_eq!(trace(&path), before);
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    store.truncate(1).unwrap();
    drop(store);
    assert_eq!(fs::metadata(&path).unwrap().len(), 4096 + 8);
    assert!(!is_marked(&path));
}
