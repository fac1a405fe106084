//! The first flush of a store that opened its file: it writes the header again and syncs the
//! directory.

use std::fs;

use ndarray::prelude::*;
use ndstore::{Options, Store};
use tempfile::TempDir;

use super::support::{Peer, give_away, is_root, open_dir, set_mode};

#[test]
fn the_first_flush_of_an_opened_file_changes_none_of_its_bytes() {
    let dir = TempDir::new().unwrap();
    let array = Array2::from_shape_fn((7, 3), |(i, j)| (10 * i + j) as f64);
    let made = |name: &str, options: Options| {
        let path = dir.path().join(name);
        options.create_from(&path, &array).unwrap().close().unwrap();
        path
    };
    let raw = || Options::new().raw(16).shape((7, 3));
    let files = [
        (made("native", Options::new()), Options::new()),
        (
            made("compact", Options::new().compact(true)),
            Options::new(),
        ),
        (made("raw", raw()), raw()),
    ];
    for (path, options) in &files {
        let before = fs::read(path).unwrap();
        let store = options.clone().open_rw::<f64, Ix2>(path).unwrap();
        store.flush().unwrap();
        store.close().unwrap();
        assert!(fs::read(path).unwrap() == before, "{path:?}");
        let store = options.clone().open_rw::<f64, Ix2>(path).unwrap();
        store.flush_rows(1..2).unwrap();
        assert!(fs::read(path).unwrap() == before, "{path:?}");
    }
}

#[test]
fn past_the_limit_on_file_sizes_the_first_flush_is_an_error_and_no_signal() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    Store::create_from(&path, &Array1::<f64>::ones(3)).unwrap();
    let mut peer = Peer::under("ulimit -f 0", &path);
    peer.ask("open_rw").unwrap();
    let refused = peer.ask("overwrite 4").unwrap_err();
    assert!(refused.starts_with("Io {"), "{refused}");
    let refused = peer.ask("overwrite 5").unwrap_err();
    assert!(refused.starts_with("Poisoned {"), "{refused}");
}

#[test]
fn an_opened_file_is_flushed_in_a_directory_that_may_be_entered_and_not_read() {
    let dir = open_dir();
    let path = dir.path().join("a.npy");
    Store::create_from(&path, &Array1::<f64>::ones(3)).unwrap();
    if is_root() {
        give_away(&path);
    }
    set_mode(dir.path(), 0o311);
    let mut peer = Peer::unprivileged(&path);
    peer.ask("open_rw").unwrap();
    peer.ask("overwrite 4").unwrap();
    peer.ask("append 2").unwrap();
    drop(peer);
    set_mode(dir.path(), 0o755);
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(store.read(s![..]).unwrap(), array![4.0, 4.0, 4.0, 0.0, 1.0]);
}

#[test]
fn a_file_that_was_moved_while_it_was_open_is_flushed() {
    let dir = TempDir::new().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    fs::create_dir(&old).unwrap();
    Store::create_from(old.join("a.npy"), &Array1::<f64>::ones(3)).unwrap();
    let mut store = Store::<f64, Ix1>::open_rw(old.join("a.npy")).unwrap();
    store.set(0, 7.0).unwrap();
    fs::rename(&old, &new).unwrap();
    store.close().unwrap();
    let store = Store::<f64, Ix1>::open(new.join("a.npy")).unwrap();
    assert_eq!(store.read(s![..]).unwrap(), array![7.0, 1.0, 1.0]);
}
