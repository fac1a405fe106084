//! A thread does not wait for itself without end; for another thread it does.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ndarray::prelude::*;
use ndstore::{
    AnyStore, Error, ErrorKind, LockHolder, LockPolicy, Opening, Options, Result, Store,
};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    drop(Store::<f64, _>::create(&path, (4, 2)).unwrap());
    (dir, path)
}

fn waiting() -> Options {
    Options::new().lock(LockPolicy::Wait)
}

/// Runs `work` in a thread of its own, which must not take for ever.
#[track_caller]
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (send, done) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        work();
        send.send(()).unwrap();
    });
    match done.recv_timeout(Duration::from_secs(20)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it waits for itself"),
        _ => thread.join().unwrap(),
    }
}

#[track_caller]
fn assert_own<T>(result: Result<T>) {
    let error = result.err().expect("it is refused");
    let holder = match error.kind() {
        ErrorKind::Locked { holder, .. } => *holder,
        _ => panic!("{error}"),
    };
    assert_eq!(holder, LockHolder::ThisThread, "{error}");
    let message = error.to_string();
    assert!(message.contains("this very thread"), "{message}");
    assert!(!message.contains("or wait with"), "{message}");
}

#[test]
fn a_wait_without_end_for_a_store_of_the_same_thread_is_an_error_at_once() {
    in_time(|| {
        let (_dir, path) = place();
        for (has, wants) in [
            (Opening::ReadWrite, Opening::Read),
            (Opening::ReadWrite, Opening::ReadWrite),
            (Opening::ReadWrite, Opening::Watch),
            (Opening::Read, Opening::ReadWrite),
            (Opening::Watch, Opening::ReadWrite),
            (Opening::Append, Opening::Append),
            (Opening::Append, Opening::Shared),
            (Opening::Rows(0..2), Opening::Rows(1..3)),
            (Opening::Rows(0..2), Opening::Read),
            (Opening::Read, Opening::Rows(3..4)),
            (Opening::RowsRead(1..2), Opening::Rows(1..2)),
            (Opening::Shared, Opening::Read),
            (Opening::SharedRead, Opening::Append),
            (Opening::Read, Opening::Shared),
        ] {
            let held = Options::new().open_any_as(&path, has).unwrap();
            assert_own(waiting().open_any_as(&path, wants.clone()));
            drop(held);
            drop(waiting().open_any_as(&path, wants).unwrap());
        }
    });
}

#[test]
fn so_it_is_for_a_new_file_and_for_the_output_of_work_on_the_array_itself() {
    in_time(|| {
        let (_dir, path) = place();
        let source = Store::<f64, Ix2>::open(&path).unwrap();
        assert_own(waiting().create::<f64, _>(&path, 3));
        assert_own(source.out_of_core().output(waiting()).transpose(&path));
        drop(source);
        let made = Store::<f64, _>::create(&path, 3).unwrap();
        assert_own(waiting().open::<f64, Ix1>(&path));
        let reader = made.into_read_only().unwrap();
        drop(waiting().open::<f64, Ix1>(&path).unwrap());
        assert_own(waiting().open_rows::<f64, Ix1>(&path, 0..1));
        drop(reader);
        let log = Store::<f64, Ix1>::open_append(&path).unwrap();
        let beside = waiting().beside_readers(true);
        assert_own(beside.create::<f64, _>(&path, 3));
        drop(log);
        drop(beside.create::<f64, _>(&path, 3).unwrap());
    });
}

/// Opens a store in another thread, which has it for a while.
fn elsewhere(path: &Path, opening: Opening) {
    let (path, (send, opened)) = (path.to_owned(), mpsc::channel());
    std::thread::spawn(move || {
        let store = Options::new().open_any_as(&path, opening).unwrap();
        send.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        drop(store);
    });
    opened.recv().unwrap();
}

#[test]
fn another_thread_is_waited_for_whatever_this_one_has_open() {
    in_time(|| {
        let (_dir, path) = place();
        elsewhere(&path, Opening::ReadWrite);
        drop(waiting().open_any_as(&path, Opening::Read).unwrap());
        elsewhere(&path, Opening::Rows(2..3));
        // This one has rows as well, and they are not in the way.
        let first = Store::<f64, Ix2>::open_rows(&path, 0..1).unwrap();
        let started = Instant::now();
        drop(waiting().open_any_as(&path, Opening::Rows(1..4)).unwrap());
        assert!(started.elapsed() > Duration::from_millis(50));
        drop(first);
    });
}

#[test]
fn a_store_that_was_sent_away_is_waited_for_with_a_limit() {
    in_time(|| {
        let (_dir, path) = place();
        let limited = Options::new().lock(LockPolicy::WaitAtMost(Duration::from_secs(15)));
        let sent = AnyStore::open_rw(&path).unwrap();
        assert_own(waiting().open_any_as(&path, Opening::Read));
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(sent);
        });
        drop(limited.open_any_as(&path, Opening::Read).unwrap());
        other.join().unwrap();
        // Dropped there, it is gone here.
        drop(waiting().open_any_as(&path, Opening::ReadWrite).unwrap());
        let short = Options::new().lock(LockPolicy::WaitAtMost(Duration::from_millis(50)));
        let held = AnyStore::open_rw(&path).unwrap();
        let error: Error = short.open_any_as(&path, Opening::Read).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Locked {
                    holder: LockHolder::ThisProcess,
                    ..
                }
            ),
            "{error}"
        );
        drop(held);
    });
}
