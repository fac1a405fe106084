//! Openers that may be beside each other, and what each sees of the others: docs/locks.md.

use std::any::Any;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use ndarray::prelude::*;
use ndstore::{
    AnyStore, ErrorKind, LockHold, LockHolder, LockPolicy, Opening, Options, Order, Result, Store,
};
use tempfile::TempDir;

use super::mapped::mapped;
use super::support::{Peer, Why, end_fork, fork, wait_for};

/// A directory with an array of the rows 0, 1, 2, 3 at the path that is returned.
fn array() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("a.npy");
    Store::<f64, _>::create_from(&path, &array![0.0, 1.0, 2.0, 3.0]).unwrap();
    (dir, path)
}

/// The ways to open an array, by the order that has a peer do so.
const WAYS: [&str; 11] = [
    "open",
    "open_watch",
    "open_row 0",
    "open_row 3",
    "open_row_read 0",
    "open_row_read 3",
    "open_append",
    "open_shared",
    "open_shared_read",
    "open_rw",
    "create 4",
];

fn open(way: &str, path: &Path) -> Result<Box<dyn Any>> {
    type A = Store<f64, Ix1>;
    Ok(match way {
        "open" => Box::new(A::open(path)?),
        "open_watch" => Box::new(A::open_watch(path)?),
        "open_row 0" => Box::new(A::open_rows(path, 0..1)?),
        "open_row 3" => Box::new(A::open_rows(path, 3..4)?),
        "open_row_read 0" => Box::new(A::open_rows_read(path, 0..1)?),
        "open_row_read 3" => Box::new(A::open_rows_read(path, 3..4)?),
        "open_append" => Box::new(A::open_append(path)?),
        "open_shared" => Box::new(A::open_shared(path)?),
        "open_shared_read" => Box::new(A::open_shared_read(path)?),
        "open_rw" => Box::new(A::open_rw(path)?),
        _ => Box::new(A::create(path, 4)?),
    })
}

/// Whether the two may have the array at the same time.
fn agree(one: &str, two: &str) -> bool {
    let is_alone = |way: &str| ["open_rw", "create 4"].contains(&way);
    let shares = |way: &str| way.starts_with("open_shared");
    let row = |way: &str| way.rsplit_once(' ').map(|(_, row)| row.to_owned());
    let one_way = |one: &str, two: &str| match one {
        _ if is_alone(one) => false,
        _ if two == "open_watch" => true,
        _ if shares(one) => shares(two),
        "open_append" => two != "open_append",
        "open_row 0" | "open_row 3" => two != "open" && row(one) != row(two),
        _ => true,
    };
    let both = |one, two| one_way(one, two) || one == "open_watch" && !is_alone(two);
    both(one, two) && both(two, one)
}

#[test]
fn within_one_process_those_may_be_beside_each_other_that_the_table_says() {
    let (_dir, path) = array();
    for first in WAYS {
        for second in WAYS {
            let held = open(first, &path).unwrap();
            let opened = open(second, &path);
            match opened.why() {
                None => assert!(agree(first, second), "{second} beside {first}"),
                Some(ErrorKind::Locked { holder, .. }) => {
                    assert!(!agree(first, second), "{second} beside {first}");
                    assert_eq!(*holder, LockHolder::ThisProcess, "{second} beside {first}");
                }
                Some(other) => panic!("{second} beside {first}: {other}"),
            }
            drop(opened);
            drop(held);
            open(second, &path).unwrap();
        }
    }
}

#[test]
fn between_processes_those_may_be_beside_each_other_that_the_table_says() {
    let (_dir, path) = array();
    let mut peer = Peer::at(&path);
    let this = format!(": process {} ", std::process::id());
    for first in WAYS {
        for second in WAYS {
            peer.ask(first).unwrap();
            match open(second, &path).why() {
                None => assert!(agree(first, second), "{second} beside {first}"),
                Some(ErrorKind::Locked { holder, .. }) => {
                    assert!(!agree(first, second), "{second} beside {first}");
                    let expected = LockHolder::Process(peer.id());
                    assert_eq!(*holder, expected, "{second} beside {first}");
                }
                Some(other) => panic!("{second} beside {first}: {other}"),
            }
            peer.ask("drop").unwrap();

            let held = open(first, &path).unwrap();
            match peer.ask(second) {
                Ok(()) => assert!(agree(first, second), "{second} beside {first}"),
                Err(error) => {
                    assert!(!agree(first, second), "{second} beside {first}: {error}");
                    assert!(
                        error.starts_with("Locked {") && error.contains(&this),
                        "{error}"
                    );
                }
            }
            peer.ask("drop").unwrap();
            drop(held);
        }
    }
}

#[test]
fn a_claim_goes_when_its_process_is_killed() {
    let (_dir, path) = array();
    for way in WAYS {
        let mut peer = Peer::at(&path);
        peer.ask(way).unwrap();
        assert!(
            matches!(open("open_rw", &path).why(), Some(ErrorKind::Locked { .. })),
            "{way}"
        );
        peer.kill();
        open("open_rw", &path).unwrap();
    }
}

/// Opens the descriptors of this process for the file once more: what a child between fork and exec
/// has.
fn shared_descriptors(path: &Path) -> Vec<std::os::fd::OwnedFd> {
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    let found: Vec<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| fs::read_link(entry.path()).is_ok_and(|found| found == path))
        .filter_map(number)
        .collect();
    use rustix::process::{self, PidfdFlags, PidfdGetfdFlags};
    let this = process::pidfd_open(process::getpid(), PidfdFlags::empty()).unwrap();
    let share = |number| process::pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).unwrap();
    found.into_iter().map(share).collect()
}

#[test]
fn a_claim_goes_with_its_store_even_if_a_forked_child_still_has_the_file() {
    let (_dir, path) = array();
    for way in WAYS {
        let store = open(way, &path).unwrap();
        let shared = shared_descriptors(&path);
        assert_eq!(shared.len(), 1, "{way}");
        drop(store);
        open("open_rw", &path).unwrap_or_else(|error| panic!("{way}: {error}"));
    }
}

#[test]
fn a_forked_child_that_drops_its_copy_of_a_store_leaves_the_claims_to_its_parent() {
    let (_dir, path) = array();
    for way in ["open_append", "open_row 0", "open_shared", "open"] {
        let store = open(way, &path).unwrap();
        let Some(child) = fork() else {
            drop(store);
            end_fork();
        };
        wait_for(child);
        let refused = open("open_rw", &path);
        assert!(
            matches!(refused.why(), Some(ErrorKind::Locked { .. })),
            "{way}"
        );
        let refused = if way == "open_append" {
            "open_append"
        } else {
            "open_row 0"
        };
        if way != "open_shared" {
            assert!(
                matches!(open(refused, &path).why(), Some(ErrorKind::Locked { .. })),
                "{way}"
            );
        }
        drop(store);
        open("open_rw", &path).unwrap();
    }
}

#[test]
fn a_refusal_names_the_rows_and_who_has_them() {
    let (_dir, path) = array();
    let rows = Store::<f64, Ix1>::open_rows(&path, 1..3).unwrap();
    let refused = Store::<f64, Ix1>::open(&path).unwrap_err();
    let expected = format!(
        "cannot open {path:?}: another store in this very process writes some of it (rows 1..3); \
         drop or close that store first"
    );
    assert_eq!(refused.to_string(), expected);
    drop(rows);

    let mut peer = Peer::at(&path);
    let told = |way: &str| match open(way, &path).why() {
        Some(ErrorKind::Locked { hold, rows, .. }) => (*hold, rows.clone()),
        other => panic!("{way}: {other:?}"),
    };
    peer.ask("open_row_read 2").unwrap();
    let refused = Store::<f64, Ix1>::open_rows(&path, 0..4).unwrap_err();
    let ErrorKind::Locked {
        hold,
        rows,
        exclusive,
        ..
    } = refused.kind()
    else {
        panic!("{refused}");
    };
    assert_eq!(
        (*hold, rows, *exclusive),
        (LockHold::ReadsRows, &Some(2..3), false)
    );
    let behind = Store::<f64, Ix1>::open_rows(&path, 1..4);
    let named = matches!(behind.why(), Some(ErrorKind::Locked { rows, .. }) if *rows == Some(2..3));
    assert!(named, "{behind:?}");
    assert_eq!(told("open_shared"), (LockHold::ReadsRows, Some(2..3)));
    peer.ask("open_append").unwrap();
    assert_eq!(
        told("open_append"),
        (LockHold::Appends, Some(4..usize::MAX))
    );
    peer.ask("drop").unwrap();
    peer.ask("open_shared").unwrap();
    assert_eq!(told("open"), (LockHold::Shares, None));
    assert_eq!(told("open_append"), (LockHold::Shares, None));
}

#[test]
fn readers_see_the_rows_of_an_appender_once_they_refresh_and_those_that_they_had_stay() {
    for order in [Order::C, Order::F] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let shape = if order == Order::C { (0, 3) } else { (3, 0) };
        Options::new()
            .order(order)
            .create::<i32, _>(&path, shape)
            .unwrap();
        let mut log = Store::<i32, Ix2>::open_append(&path).unwrap();
        let mut reader = Store::<i32, Ix2>::open(&path).unwrap();
        let mut watcher = Store::<i32, Ix2>::open_watch(&path).unwrap();
        let mut any = AnyStore::open(&path).unwrap();
        let mut map = mapped(Store::<i32, Ix2>::open(&path).unwrap());
        let mut expected = Array2::<i32>::zeros((0, 3));
        for round in 1..200 {
            let row = array![round, 2 * round, -round];
            let rows = row.clone().insert_axis(Axis(0));
            match round % 3 {
                0 => log.push(&row).unwrap(),
                _ if order == Order::C => log.append(&rows).unwrap(),
                _ => log.append(&rows.reversed_axes()).unwrap(),
            }
            expected.push_row(row.view()).unwrap();
            let shown = match order {
                Order::C => expected.view(),
                Order::F => expected.t(),
            };
            assert_eq!(reader.refresh().unwrap(), 1);
            assert_eq!(reader.refresh().unwrap(), 0);
            assert_eq!((watcher.refresh().unwrap(), any.refresh().unwrap()), (1, 1));
            assert_eq!(map.refresh().unwrap(), 1);
            assert_eq!(reader.shape(), shown.shape());
            assert_eq!(reader.read_all().unwrap(), shown);
            assert_eq!(watcher.read_all().unwrap(), shown);
            assert_eq!(map.view(), shown);
            assert_eq!(any.shape(), shown.shape());
            assert_eq!(log.read_all().unwrap(), shown);
            let late = Store::<i32, Ix2>::open(&path).unwrap();
            assert_eq!(late.read_all().unwrap(), shown);
        }
    }
}

#[test]
fn rows_that_an_appender_has_not_published_are_not_there_for_others() {
    let (_dir, path) = array();
    let mut log = Store::<f64, Ix1>::open_append(&path).unwrap();
    let mut reader = Store::<f64, Ix1>::open(&path).unwrap();
    let mut appender = log.appender().unwrap();
    for element in 0..300_000 {
        appender.push(&arr0(f64::from(element))).unwrap();
    }
    assert!(fs::metadata(&path).unwrap().len() > 2 << 20);
    assert_eq!(reader.refresh().unwrap(), 0);
    assert_eq!(Store::<f64, Ix1>::open(&path).unwrap().shape(), [4]);
    appender.flush().unwrap();
    assert_eq!(reader.refresh().unwrap(), 300_000);
    let late = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(late.get(300_003).unwrap(), 299_999.0);
    assert_eq!(reader.read(s![4..]).unwrap()[7], 7.0);
}

/// Makes the header name `rows` rows, as an appender does before it has synced it and given up its
/// claim on them.
fn publish_in_part(path: &Path, rows: usize) {
    let other = path.with_extension("other");
    Store::<f64, _>::create(&other, rows).unwrap();
    let header = fs::read(&other).unwrap()[..4096].to_vec();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let end = file.metadata().unwrap().len();
    file.write_all_at(&vec![0; 4096 + 8 * rows - end as usize], end)
        .unwrap();
    file.write_all_at(&header, 0).unwrap();
}

#[test]
fn rows_whose_header_is_not_known_to_be_on_the_disk_are_not_seen_and_keep_nobody_out() {
    let (_dir, path) = array();
    let mut before = Store::<f64, Ix1>::open(&path).unwrap();
    let mut watcher = Store::<f64, Ix1>::open_watch(&path).unwrap();
    let log = Store::<f64, Ix1>::open_append(&path).unwrap();
    publish_in_part(&path, 7);
    for way in [Opening::Read, Opening::Watch] {
        let store = Options::new().open_any_as(&path, way).unwrap();
        assert_eq!(store.shape(), [4]);
    }
    assert_eq!(
        (before.refresh().unwrap(), watcher.refresh().unwrap()),
        (0, 0)
    );
    // These rows are the appender's.
    let refused = Store::<f64, Ix1>::open_rows(&path, 4..5).unwrap_err();
    assert!(
        matches!(
            refused.kind(),
            ErrorKind::Locked {
                hold: LockHold::Appends,
                ..
            }
        ),
        "{refused}"
    );
    drop(log);
    assert_eq!(
        (before.refresh().unwrap(), watcher.refresh().unwrap()),
        (3, 3)
    );
    assert_eq!(Store::<f64, Ix1>::open(&path).unwrap().shape(), [7]);
    Store::<f64, Ix1>::open_append(&path)
        .unwrap()
        .push(&arr0(1.0))
        .unwrap();
    assert_eq!(Store::<f64, Ix1>::open(&path).unwrap().shape(), [8]);
}

#[test]
fn a_reader_that_refreshes_ends_before_rows_that_somebody_writes() {
    let (_dir, path) = array();
    let mut reader = Store::<f64, Ix1>::open(&path).unwrap();
    let mut watcher = Store::<f64, Ix1>::open_watch(&path).unwrap();
    let mut log = Store::<f64, Ix1>::open_append(&path).unwrap();
    log.append(&Array::zeros(6)).unwrap();
    let mut writer = Store::<f64, Ix1>::open_rows(&path, 6..8).unwrap();
    assert_eq!(reader.refresh().unwrap(), 2);
    assert_eq!(watcher.refresh().unwrap(), 6);
    writer.write_all(&arr0(5.0)).unwrap();
    drop(writer);
    assert_eq!(reader.refresh().unwrap(), 4);
    assert_eq!(reader.read(s![5..9]).unwrap(), array![0.0, 5.0, 5.0, 0.0]);
    // From now on they stay as they are.
    let refused = Store::<f64, Ix1>::open_rows(&path, 6..8);
    assert!(matches!(refused.why(), Some(ErrorKind::Locked { .. })));
}

#[test]
fn an_appender_that_is_killed_leaves_what_it_published_and_another_goes_on() {
    let (_dir, path) = array();
    let mut peer = Peer::at(&path);
    peer.ask("open_append").unwrap();
    peer.ask("push 4").unwrap();
    let mut reader = Store::<f64, Ix1>::open(&path).unwrap();
    let refused = Store::<f64, Ix1>::open_append(&path).unwrap_err();
    let ErrorKind::Locked { holder, .. } = refused.kind() else {
        panic!("{refused}");
    };
    assert_eq!(*holder, LockHolder::Process(peer.id()));
    peer.kill();
    // Rows that it wrote, and none of them published.
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(&[7; 20]).unwrap();
    let mut log = Store::<f64, Ix1>::open_append(&path).unwrap();
    log.push(&arr0(5.0)).unwrap();
    assert_eq!(reader.refresh().unwrap(), 1);
    assert_eq!(
        reader.read_all().unwrap(),
        array![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    );
}

#[test]
fn a_file_that_cannot_publish_beside_readers_is_refused_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let refused = |options: &Options| match options.open_append::<f64, Ix1>(&path).why() {
        Some(ErrorKind::InvalidOption { reason, .. }) => *reason,
        other => panic!("{other:?}"),
    };
    // As `np.save` writes it.
    let compact = Options::new().compact(true);
    compact.create_from(&path, &array![1.0, 2.0]).unwrap();
    let reason = refused(&Options::new());
    assert!(
        reason.contains("`Store::open_rw`") && reason.contains("`Store::rewrite`"),
        "{reason}"
    );
    let mut alone = Store::<f64, Ix1>::open_rw(&path).unwrap();
    alone.push(&arr0(3.0)).unwrap();
    drop(alone);
    assert_eq!(refused(&Options::new()), reason);
    Store::<f64, Ix1>::open_rw(&path)
        .unwrap()
        .rewrite()
        .unwrap();
    let mut log = Store::<f64, Ix1>::open_append(&path).unwrap();
    log.push(&arr0(4.0)).unwrap();
    assert_eq!(log.read_all().unwrap(), array![1.0, 2.0, 3.0, 4.0]);
    drop(log);

    let raw = Options::new().raw(0);
    raw.create_from(&path, &array![1.0, 2.0]).unwrap();
    assert!(refused(&raw).contains("raw file"));
    assert_eq!(raw.open::<f64, Ix1>(&path).unwrap().shape(), [2]);

    Store::<f64, _>::create(&path, ()).unwrap();
    let refused = Store::<f64, Ix0>::open_append(&path);
    assert!(
        matches!(refused.why(), Some(ErrorKind::InvalidOption { .. })),
        "{refused:?}"
    );
    let missing = dir.path().join("missing.npy");
    let refused = Store::<f64, Ix1>::open_append(&missing);
    assert!(
        matches!(refused.why(), Some(ErrorKind::NotFound { .. })),
        "{refused:?}"
    );
    assert!(!missing.exists());
}

#[test]
fn rows_are_written_by_many_at_a_time_in_any_file_and_order() {
    for (order, compact) in [(Order::C, false), (Order::C, true), (Order::F, false)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let shape = if order == Order::C { (40, 5) } else { (5, 40) };
        let options = Options::new().order(order).compact(compact);
        options.create::<i16, _>(&path, shape).unwrap();
        // Rows of ten bytes: all writers share a page.
        thread::scope(|scope| {
            for first in (0..40).step_by(5) {
                let path = &path;
                scope.spawn(move || {
                    let mut rows =
                        mapped(Store::<i16, Ix2>::open_rows(path, first..first + 5).unwrap());
                    for round in 0..=first as i16 {
                        rows.view_mut().fill(round);
                    }
                    rows.set(if order == Order::C { (1, 2) } else { (2, 1) }, -7)
                        .unwrap();
                    rows.flush().unwrap();
                });
            }
        });
        let whole = Store::<i16, Ix2>::open(&path).unwrap().read_all().unwrap();
        let whole = if order == Order::C {
            whole
        } else {
            whole.reversed_axes()
        };
        for ((row, column), &found) in whole.indexed_iter() {
            let expected = match (row % 5, column) {
                (1, 2) => -7,
                _ => row as i16 / 5 * 5,
            };
            assert_eq!(found, expected, "{row} {column}");
        }
    }
}

#[test]
fn rows_that_are_not_there_and_none_at_all() {
    let (_dir, path) = array();
    let refused = Store::<f64, Ix1>::open_rows(&path, 3..5).unwrap_err();
    assert!(
        matches!(
            refused.kind(),
            ErrorKind::RowsOutOfBounds {
                start: 3,
                end: 5,
                rows: 4,
                ..
            }
        ),
        "{refused}"
    );
    let refused = Store::<f64, Ix1>::open_rows(&path, 2..).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::InvalidOption { .. }),
        "{refused}"
    );
    // No rows are in nobody's way: a claim of nothing would be one of everything.
    let none = Store::<f64, Ix1>::open_rows(&path, 2..2).unwrap();
    assert!(none.is_empty());
    let all = Store::<f64, Ix1>::open_rows(&path, ..=3).unwrap();
    let log = Store::<f64, Ix1>::open_append(&path).unwrap();
    assert_eq!(all.read_all().unwrap(), array![0.0, 1.0, 2.0, 3.0]);
    drop((none, all, log));
    Store::<f64, _>::create(&path, (5, 0)).unwrap();
    let one = Store::<f64, Ix2>::open_rows(&path, 0..3).unwrap();
    let two = Store::<f64, Ix2>::open_rows(&path, 0..3).unwrap();
    assert_eq!((one.shape(), two.shape()), (&[3, 0][..], &[3, 0][..]));
}

#[test]
fn a_store_of_some_rows_is_an_array_of_them_that_does_not_grow() {
    let (_dir, path) = array();
    let mut rows = Store::<f64, Ix1>::open_rows_read(&path, 1..3).unwrap();
    assert_eq!(rows.read_all().unwrap(), array![1.0, 2.0]);
    assert!(rows.get(2).is_err());
    let refused = rows.refresh().unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::InvalidOption { .. }),
        "{refused}"
    );
    assert!(rows.write_checksums().is_err());
    let mut first = Store::<f64, Ix1>::open_rows(&path, 0..1).unwrap();
    first.set(0, 9.0).unwrap();
    first.close().unwrap();
    assert_eq!(rows.read_all().unwrap(), array![1.0, 2.0]);
    drop(rows);
    assert_eq!(Store::<f64, Ix1>::open(&path).unwrap().get(0).unwrap(), 9.0);
}

#[test]
fn rows_that_somebody_has_are_waited_for() {
    let (_dir, path) = array();
    let pause = Duration::from_millis(80);
    for policy in [
        LockPolicy::Wait,
        LockPolicy::WaitAtMost(Duration::from_secs(60)),
    ] {
        for (held, wanted) in [
            ("open_row 3", Opening::Read),
            ("open", Opening::Rows(0..2)),
            ("open_append", Opening::Append),
            ("open_row_read 0", Opening::Shared),
            ("open_shared", Opening::Append),
            ("open_rw", Opening::Watch),
        ] {
            let held = open(held, &path).unwrap();
            let options = Options::new().lock(policy);
            let (waited, end) = thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    options.open_any_as(&path, wanted).unwrap();
                    Instant::now()
                });
                thread::sleep(pause);
                let freed = Instant::now();
                drop(held);
                (waiter.join().unwrap(), freed)
            });
            assert!(waited >= end, "it did not wait");
            assert!(waited - end < Duration::from_secs(5), "it slept on");
        }
    }
    let held = open("open_row 1", &path).unwrap();
    let limit = Duration::from_millis(100);
    let start = Instant::now();
    let options = Options::new().lock(LockPolicy::WaitAtMost(limit));
    let refused = options.open::<f64, Ix1>(&path);
    assert!(matches!(refused.why(), Some(ErrorKind::Locked { .. })));
    assert!(start.elapsed() >= limit && start.elapsed() < limit + Duration::from_secs(3));
    drop(held);
    open("open_rw", &path).unwrap();
}

#[test]
fn a_file_that_was_replaced_or_is_another_array_now_is_moved() {
    let (dir, path) = array();
    let other = dir.path().join("b.npy");
    Store::<f64, _>::create_from(&other, &Array::from_elem(9, 5.0)).unwrap();
    let mut reader = Store::<f64, Ix1>::open(&path).unwrap();
    let mut any = Options::new().open_any_as(&path, Opening::Watch).unwrap();
    fs::rename(&other, &path).unwrap();
    for refused in [reader.refresh(), any.refresh()] {
        assert!(
            matches!(refused.why(), Some(ErrorKind::Moved)),
            "{refused:?}"
        );
    }
    assert_eq!(reader.read_all().unwrap(), array![0.0, 1.0, 2.0, 3.0]);

    let mut reader = Store::<f64, Ix1>::open(&path).unwrap();
    // An opener without a lock may do anything.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for shape in [(3, 3), (1, 9)] {
        Store::<f64, _>::create(&other, shape).unwrap();
        let mut header = vec![0; 4096];
        File::open(&other)
            .unwrap()
            .read_exact_at(&mut header, 0)
            .unwrap();
        file.write_all_at(&header, 0).unwrap();
        assert!(
            matches!(reader.refresh().why(), Some(ErrorKind::Moved)),
            "{shape:?}"
        );
    }
    Store::<f64, _>::create(&other, 100).unwrap();
    let mut header = vec![0; 4096];
    File::open(&other)
        .unwrap()
        .read_exact_at(&mut header, 0)
        .unwrap();
    file.write_all_at(&header, 0).unwrap();
    assert!(matches!(
        reader.refresh().why(),
        Some(ErrorKind::Truncated { .. })
    ));
    assert_eq!(reader.shape(), [9]);
    file.write_all_at(b"not an array", 0).unwrap();
    assert!(matches!(
        reader.refresh().why(),
        Some(ErrorKind::Header { .. })
    ));
    assert_eq!(reader.read(s![..2]).unwrap(), array![5.0, 5.0]);
}

#[test]
fn those_who_share_an_array_read_and_write_it_anywhere() {
    let (_dir, path) = array();
    let mut one = Store::<f64, Ix1>::open_shared(&path).unwrap();
    let mut two = Store::<f64, Ix1>::open_shared(&path).unwrap();
    let reader = Store::<f64, Ix1>::open_shared_read(&path).unwrap();
    one.set(1, 8.0).unwrap();
    two.write(s![..;3], &arr0(7.0)).unwrap();
    one.flush().unwrap();
    assert_eq!(reader.read_all().unwrap(), array![7.0, 8.0, 2.0, 7.0]);
    drop((one, two, reader));
    open("open_rw", &path).unwrap();
}

/// How often this thread reads from a file meanwhile.
fn reads_during(act: impl FnOnce()) -> u64 {
    let count = || {
        let text = fs::read_to_string("/proc/thread-self/io").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("syscr: "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let (start, end) = (count(), count());
    act();
    (count() - end) - (end - start)
}

#[test]
fn a_shared_writer_leaves_the_bytes_between_its_elements_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    Store::<u8, _>::create(&path, (64, 512)).unwrap();
    // An exclusive opener reads the bytes between the elements of a column, and writes them back.
    let mut alone = Store::<u8, Ix2>::open_rw(&path).unwrap();
    assert!(reads_during(|| alone.write(s![.., 3], &arr0(1)).unwrap()) > 0);
    drop(alone);
    let mut rows = Store::<u8, Ix2>::open_rows(&path, 8..40).unwrap();
    assert!(reads_during(|| rows.write(s![.., 3], &arr0(2)).unwrap()) > 0);
    drop(rows);
    let mut shared = Store::<u8, Ix2>::open_shared(&path).unwrap();
    let reads = reads_during(|| shared.write(s![.., 3], &arr0(3)).unwrap());
    assert_eq!(reads, 0);
    assert_eq!(shared.read(s![.., 3]).unwrap(), Array::from_elem(64, 3));
}

/// Waits until nobody has the array: a child of another test, between fork and exec, has all
/// descriptors of this process.
fn wait_for_all(path: &Path) {
    let options = Options::new().lock(LockPolicy::WaitAtMost(Duration::from_secs(60)));
    options.open_rw::<f64, Ix1>(path).unwrap();
}

#[test]
fn a_descriptor_that_was_given_away_keeps_its_claims_until_its_last_map_is_gone() {
    let (_dir, path) = array();
    let shared = Store::<f64, Ix1>::open_shared(&path).unwrap();
    let descriptor = shared.into_fd().unwrap();
    let refused = open("open", &path);
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::Locked {
            hold: LockHold::Shares,
            ..
        })
    ));
    open("open_shared", &path).unwrap();
    drop(descriptor);
    wait_for_all(&path);

    for (opening, refused) in [
        (Opening::Rows(1..2), "open"),
        (Opening::Append, "open_append"),
        (Opening::ReadWrite, "open_watch"),
        (Opening::SharedRead, "open_append"),
    ] {
        let store = Options::new().open_any_as(&path, opening.clone()).unwrap();
        let (offset, nbytes) = (store.offset(), store.nbytes());
        let file = File::from(store.into_fd().unwrap());
        assert!(nbytes > 0 && offset >= 4096);
        #[allow(unsafe_code)]
        // SAFETY: nobody changes the file while it is mapped.
        let map = unsafe { memmap2::Mmap::map(&file).unwrap() };
        drop(file);
        let found = open(refused, &path);
        assert!(
            matches!(found.why(), Some(ErrorKind::Locked { .. })),
            "{opening:?}"
        );
        drop(map);
        wait_for_all(&path);
    }
}

#[test]
fn whose_elements_others_may_change_is_not_mapped_at_run_time_either() {
    let (_dir, path) = array();
    for opening in [
        Opening::Watch,
        Opening::Append,
        Opening::Shared,
        Opening::SharedRead,
    ] {
        let store = Options::new().open_any_as(&path, opening.clone()).unwrap();
        #[allow(unsafe_code)]
        // SAFETY: nobody writes to the file.
        let refused = unsafe { store.map() };
        assert!(
            matches!(refused.why(), Some(ErrorKind::InvalidOption { .. })),
            "{opening:?}"
        );
    }
}

/// Opens the array, over and over, in as many threads as there are ways, each for a while. Some of
/// them have it at any time. Says how long somebody else has to wait.
fn wait_among(others: &[(&str, Range<usize>)], wanted: (&str, Range<usize>)) -> Duration {
    let (_dir, path) = array();
    let is_over = AtomicBool::new(false);
    let open = |way: &str, rows: Range<usize>, policy| -> Result<Box<dyn Any>> {
        let options = Options::new().lock(policy);
        Ok(match way {
            "write" => Box::new(options.open_rows::<f64, Ix1>(&path, rows)?),
            "append" => Box::new(options.open_append::<f64, Ix1>(&path)?),
            "share" => Box::new(options.open_shared::<f64, Ix1>(&path)?),
            _ => Box::new(options.open_rows_read::<f64, Ix1>(&path, rows)?),
        })
    };
    thread::scope(|scope| {
        for (at, (way, rows)) in others.iter().enumerate() {
            let (open, is_over) = (&open, &is_over);
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(7 * at as u64));
                while !is_over.load(Relaxed) {
                    let held = open(way, rows.clone(), LockPolicy::Wait).unwrap();
                    thread::sleep(Duration::from_millis(30));
                    drop(held);
                }
            });
        }
        thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        let (way, rows) = wanted;
        let got = open(way, rows, LockPolicy::WaitAtMost(Duration::from_secs(8)));
        is_over.store(true, Relaxed);
        got.map(|_| start.elapsed()).unwrap()
    })
}

#[test]
fn who_waits_for_rows_gets_them_however_many_others_come_and_go() {
    let readers = [(); 5].map(|()| ("read", 0..4));
    let waited = wait_among(&readers, ("write", 1..2));
    assert!(
        waited < Duration::from_secs(5),
        "a writer waited {waited:?}"
    );
    let writers = [0, 0, 1, 1, 2, 2, 3, 3].map(|row| ("write", row..row + 1));
    let waited = wait_among(&writers, ("read", 0..4));
    assert!(
        waited < Duration::from_secs(5),
        "a reader waited {waited:?}"
    );
    let sharing = [(); 5].map(|()| ("share", 0..4));
    let appenders = [(); 3].map(|()| ("append", 0..4));
    for (others, way) in [
        (&readers[..], "share"),
        (&writers[..], "share"),
        (&sharing[..], "read"),
        (&sharing[..], "write"),
        (&sharing[..], "append"),
        (&appenders[..], "append"),
        (&appenders[..], "share"),
    ] {
        let waited = wait_among(others, (way, 1..2));
        let among = others[0].0;
        assert!(
            waited < Duration::from_secs(5),
            "to {way} among those that {among} took {waited:?}"
        );
    }
}
