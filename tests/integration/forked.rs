//! A process that was forked without exec has copies of its parent's stores. Only the process that
//! opened a file may change its length or replace it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{Appender, ErrorKind, Options, Result, Store, write_npy};
#[cfg(feature = "npz")]
use ndstore::{Npz, NpzWriter};
use rustix::process::Pid;
use tempfile::TempDir;

use super::support::{assert_no_drafts, end_fork_after, fork, in_fork, trace, wait_for};

fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    (directory, path)
}

/// Rows that count on from `first`.
fn rows(first: usize, number: usize) -> Array2<f64> {
    Array::from_shape_fn((number, 4), |(row, column)| {
        (4 * (first + row) + column) as f64
    })
}

/// Ten rows, acknowledged.
fn ten_rows(path: &Path, options: &Options) -> Store<f64, Ix2> {
    let mut store = options.create::<f64, _>(path, (0, 4)).unwrap();
    store.append(&rows(0, 10)).unwrap();
    store
}

#[track_caller]
fn assert_forked<T: std::fmt::Debug>(result: Result<T>) {
    let refused = result.expect_err("a forked child is refused");
    assert!(matches!(refused.kind(), ErrorKind::Forked), "{refused}");
}

#[test]
fn what_changes_length_or_inode_is_refused_in_a_forked_child_and_changes_nothing() {
    for options in [
        Options::new(),
        Options::new().raw(8),
        Options::new().no_lock(),
    ] {
        type Change = fn(&mut Store<f64, Ix2>) -> Result<()>;
        let changes: [Change; 7] = [
            |store| store.append(&rows(10, 3)),
            |store| store.push(&rows(10, 1).row(0)),
            |store| store.appender().map(drop),
            |store| store.truncate(4),
            |store| store.resize((4, 4)),
            |store| store.resize((10, 4)),
            |store| store.allocate(),
        ];
        let (directory, path) = place();
        for change in changes {
            let mut store = ten_rows(&path, &options);
            let before = trace(&path);
            let Some(child) = fork() else {
                end_fork_after(|| {
                    assert_forked(change(&mut store));
                    drop(store);
                    assert_eq!(trace(&path), before);
                    assert_no_drafts(directory.path());
                })
            };
            wait_for(child);
            assert_eq!(trace(&path), before);
            store.append(&rows(10, 3)).unwrap();
            drop(store);
            let options = options.clone().shape((13, 4));
            let store = options.open::<f64, Ix2>(&path).unwrap();
            assert_eq!(store.read_all().unwrap(), rows(0, 13));
        }
    }
}

#[test]
fn an_appender_that_crosses_a_fork_belongs_to_the_parent() {
    // Few rows wait in memory; many are in the file and not published.
    for number in [3, 100_000] {
        let (_directory, path) = place();
        let mut store = ten_rows(&path, &Options::new());
        let mut appender = store.appender().unwrap();
        let push = |appender: &mut Appender<'_, f64, Ix2>| {
            let rows = rows(10, number);
            rows.outer_iter().try_for_each(|row| appender.push(&row))
        };
        push(&mut appender).unwrap();
        let before = trace(&path);
        in_fork(|| {
            assert_forked(appender.flush());
            assert_forked(push(&mut appender).and_then(|()| appender.flush()));
            assert_eq!(trace(&path), before);
        });
        appender.flush().unwrap();
        drop(store);
        let store = Store::<f64, Ix2>::open(&path).unwrap();
        assert_eq!(store.read_all().unwrap(), rows(0, 10 + number));
    }
}

#[test]
fn the_way_out_of_a_forked_child_is_its_parent_or_a_store_of_its_own() {
    let (_directory, path) = place();
    let mut copy = ten_rows(&path, &Options::new());
    let (mut closed, close) = io::pipe().unwrap();
    let Some(child) = fork() else {
        drop(close);
        end_fork_after(|| {
            let text = copy.append(&rows(10, 1)).unwrap_err().to_string();
            for remedy in ["leave that to the other process", "open the file anew"] {
                assert!(text.contains(remedy), "{text}");
            }
            drop(copy);
            // Until the parent has closed it.
            let _ = closed.read(&mut [0]);
            let mut own = Store::<f64, Ix2>::open_rw(&path).unwrap();
            own.append(&rows(11, 2)).unwrap();
            in_fork(|| assert_forked(own.append(&rows(13, 1))));
            own.append(&rows(13, 1)).unwrap();
        })
    };
    copy.append(&rows(10, 1)).unwrap();
    copy.close().unwrap();
    drop(close);
    wait_for(child);
    let store = Store::<f64, Ix2>::open(&path).unwrap();
    assert_eq!(store.read_all().unwrap(), rows(0, 14));
}

#[test]
fn what_a_reader_claims_of_new_rows_is_left_to_the_parent() {
    let (_directory, path) = place();
    drop(ten_rows(&path, &Options::new()));
    let mut store = Store::<f64, Ix2>::open(&path).unwrap();
    let mut log = Store::<f64, Ix2>::open_append(&path).unwrap();
    log.append(&rows(10, 3)).unwrap();
    in_fork(|| {
        assert_forked(store.refresh());
        assert_eq!(store.read_all().unwrap(), rows(0, 10));
    });
    assert_eq!(store.refresh().unwrap(), 3);
    assert_eq!(store.read_all().unwrap(), rows(0, 13));
}

/// A stream that forks its process before its last bytes come, and may fail in the child.
struct Forking<'a> {
    bytes: &'a [u8],
    fails: bool,
    child: Option<Option<Pid>>,
}

impl Read for Forking<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.bytes.len() == 8 && self.child.is_none() {
            self.child = Some(fork());
        }
        match self.child {
            Some(None) if self.fails => return Err(io::ErrorKind::ConnectionReset.into()),
            Some(Some(child)) if self.bytes.len() == 8 => wait_for(child),
            _ => {}
        }
        let all_but_last = self.bytes.len().saturating_sub(8).max(8);
        let piece = into.len().min(all_but_last).min(self.bytes.len());
        self.bytes.read(&mut into[..piece])
    }
}

#[test]
fn a_forked_child_neither_publishes_nor_removes_a_file_that_its_parent_makes() {
    let (directory, path) = place();
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &rows(0, 10)).unwrap();
    for fails in [false, true] {
        fs::write(&path, b"old").unwrap();
        let mut stream = Forking {
            bytes: &bytes,
            fails,
            child: None,
        };
        let received = Store::<f64, Ix2>::receive(&mut stream, &path);
        if stream.child == Some(None) {
            end_fork_after(|| {
                match fails {
                    true => assert!(received.is_err()),
                    false => assert_forked(received),
                }
                assert_eq!(fs::read(&path).unwrap(), b"old");
            });
        }
        let store = received.unwrap().unwrap();
        assert_eq!(store.read_all().unwrap(), rows(0, 10));
        assert_no_drafts(directory.path());
    }
}

#[cfg(feature = "npz")]
#[test]
fn a_forked_child_adds_nothing_to_an_archive_of_its_parent_and_does_not_finish_it() {
    let (directory, path) = place();
    for finishes in [false, true] {
        let mut npz = NpzWriter::create(&path).unwrap();
        npz.add("first", &rows(0, 10)).unwrap();
        let Some(child) = fork() else {
            end_fork_after(|| {
                match finishes {
                    true => assert_forked(npz.finish()),
                    false => assert_forked(npz.add("second", &rows(90, 1000))),
                }
                assert!(!path.exists());
            })
        };
        wait_for(child);
        npz.add("second", &rows(10, 3)).unwrap();
        npz.finish().unwrap();
        let npz = Npz::open(&path).unwrap();
        assert_eq!(npz.read::<f64, Ix2>("first").unwrap(), rows(0, 10));
        assert_eq!(npz.read::<f64, Ix2>("second").unwrap(), rows(10, 3));
        assert_no_drafts(directory.path());
        fs::remove_file(&path).unwrap();
    }
}
