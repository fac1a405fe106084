//! Any number of readers or one writer, in this process and all others, for exactly as long as a
//! store lives.

use std::any::Any;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ndarray::prelude::*;
use ndstore::{
    AnyStore, ErrorKind, LockHold, LockHolder, LockPolicy, Mode, Options, ReadWrite, Result, Store,
    Writable,
};

use super::mapped::copy_on_write;
use super::support::{
    Peer, Why, assert_no_drafts, end_fork, fork, three_elements, trace, wait_for, wait_until,
};

const MODES: [Mode; 4] = [Mode::Read, Mode::CopyOnWrite, Mode::ReadWrite, Mode::Write];

fn only_reads(mode: Mode) -> bool {
    matches!(mode, Mode::Read | Mode::CopyOnWrite)
}

fn open(mode: Mode, path: &Path) -> Result<Box<dyn Any>> {
    Ok(match mode {
        Mode::Read => Box::new(Store::<f64, Ix1>::open(path)?),
        Mode::CopyOnWrite => Box::new(copy_on_write(Store::<f64, Ix1>::open(path)?)),
        Mode::ReadWrite => Box::new(Store::<f64, Ix1>::open_rw(path)?),
        Mode::Write => Box::new(Store::<f64, _>::create(path, 3)?),
    })
}

/// The order that has a peer open the path in a mode.
fn order(mode: Mode) -> &'static str {
    match mode {
        Mode::Read => "open",
        Mode::CopyOnWrite => "open_cow",
        Mode::ReadWrite => "open_rw",
        Mode::Write => "create 3",
    }
}

#[track_caller]
fn assert_locked<T>(result: Result<T>, expected: &Path, writes: bool, by: LockHolder) {
    let Err(error) = result.map(drop) else {
        panic!("expected that it is locked by {by}");
    };
    match error.kind() {
        ErrorKind::Locked {
            exclusive, holder, ..
        } => assert_eq!(
            (error.path(), *exclusive, *holder),
            (Some(expected), writes, by)
        ),
        _ => panic!("expected that it is locked by {by}, found {error}"),
    }
}

#[test]
fn within_one_process_stores_of_a_file_are_many_readers_or_one_writer() {
    let (dir, path) = three_elements();
    for first in MODES {
        for second in MODES {
            let held = open(first, &path).unwrap();
            let before = trace(&path);
            let result = open(second, &path);
            if only_reads(first) && only_reads(second) {
                result.unwrap();
            } else {
                assert_locked(result, &path, !only_reads(second), LockHolder::ThisProcess);
            }
            assert_eq!(trace(&path), before, "{first} then {second}");
            drop(held);
            open(second, &path).unwrap();
        }
    }
    assert_no_drafts(dir.path());
}

#[test]
fn between_processes_stores_of_a_file_are_many_readers_or_one_writer() {
    let (dir, path) = three_elements();
    let mut peer = Peer::at(&path);
    let by_peer = LockHolder::Process(peer.id());
    for first in MODES {
        for second in MODES {
            let agree = only_reads(first) && only_reads(second);
            peer.ask(order(first)).unwrap();
            let result = open(second, &path);
            if agree {
                result.unwrap();
            } else {
                assert_locked(result, &path, !only_reads(second), by_peer);
            }
            peer.ask("drop").unwrap();

            let held = open(first, &path).unwrap();
            let answer = peer.ask(order(second));
            if agree {
                answer.unwrap();
            } else {
                let answer = answer.unwrap_err();
                let holder = format!("process {} has it open", std::process::id());
                assert!(answer.starts_with("Locked {"), "{answer}");
                assert!(answer.contains(&holder), "{answer}");
                assert!(answer.contains(path.to_str().unwrap()), "{answer}");
            }
            drop(held);
            peer.ask("drop").unwrap();
        }
    }
    assert_no_drafts(dir.path());
}

#[test]
fn a_refusal_says_who_holds_the_lock_and_what_to_do() {
    let (_dir, path) = three_elements();
    let _held = Store::<f64, Ix1>::open(&path).unwrap();
    let message = Store::<f64, Ix1>::open_rw(&path).unwrap_err().to_string();
    let expected = format!(
        "cannot open {path:?}: another store in this very process has it open to read, and a writer must be alone; \
         drop or close that store first"
    );
    assert_eq!(message, expected);

    let (_dir, path) = three_elements();
    let mut peer = Peer::at(&path);
    let id = peer.id();
    for (order, has) in [
        ("open", "has it open to read, and a writer must be alone"),
        ("open_rw", "has it open to write, alone"),
    ] {
        peer.ask(order).unwrap();
        let message = Store::<f64, Ix1>::open_rw(&path).unwrap_err().to_string();
        let expected = format!(
            "cannot open {path:?}: process {id} {has}; close that store, or wait with `Options::lock`"
        );
        assert_eq!(message, expected);
        peer.ask("drop").unwrap();
    }
}

#[test]
fn one_of_two_creators_of_a_missing_file_wins_and_the_other_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..60 {
        let path = dir.path().join(format!("{round}.npy"));
        let start = Barrier::new(2);
        let create = |value: f64| {
            start.wait();
            Store::<f64, _>::create_from(&path, &array![value])
        };
        let (one, two) = thread::scope(|scope| {
            let other = scope.spawn(|| create(2.0));
            (create(1.0), other.join().unwrap())
        });
        let (winner, loser) = match (one, two) {
            (Ok(store), Err(error)) | (Err(error), Ok(store)) => (store, error),
            other => panic!("round {round}: {other:?}"),
        };
        assert!(
            matches!(
                loser.kind(),
                ErrorKind::Locked {
                    holder: LockHolder::ThisProcess,
                    ..
                }
            ),
            "{loser}"
        );
        let value = winner.read_all().unwrap()[0];
        drop(winner);
        assert_eq!(
            Store::<f64, Ix1>::open(&path).unwrap().read_all().unwrap()[0],
            value
        );
    }
    assert_no_drafts(dir.path());
}

#[test]
fn one_of_two_processes_that_create_a_missing_file_wins_and_the_other_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let mut peers = [Peer::at(&path), Peer::at(&path)];
    for round in 0..30 {
        for peer in &mut peers {
            peer.begin("create 1000");
        }
        let answers = peers.each_mut().map(Peer::answer);
        let refusals: Vec<_> = answers
            .iter()
            .filter_map(|answer| answer.as_ref().err())
            .collect();
        assert_eq!(refusals.len(), 1, "round {round}: {answers:?}");
        assert!(refusals[0].starts_with("Locked {"), "{answers:?}");
        for peer in &mut peers {
            peer.ask("drop").unwrap();
        }
        assert_no_drafts(dir.path());
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn one_of_many_create_new_wins_and_the_others_find_its_file() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = dir.path().join(format!("{round}.npy"));
        let start = Barrier::new(4);
        let create = || {
            start.wait();
            Store::<f64, _>::create_new(&path, 2)
        };
        let results = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect::<Vec<_>>()
        });
        let errors: Vec<_> = results
            .iter()
            .filter_map(|result| result.as_ref().err())
            .collect();
        assert_eq!(errors.len(), 3, "{results:?}");
        for error in errors {
            assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{error}");
        }
    }
    assert_no_drafts(dir.path());
}

#[test]
fn creators_who_wait_replace_each_other_one_after_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let start = Barrier::new(4);
    let create = |value: f64| {
        start.wait();
        for _ in 0..10 {
            let options = Options::new().lock(LockPolicy::Wait);
            let store = options
                .create_from(&path, &Array::from_elem(100, value))
                .unwrap();
            assert!(
                store
                    .read_all()
                    .unwrap()
                    .iter()
                    .all(|&found| found == value)
            );
            let other = Store::<f64, Ix1>::open(&path);
            assert_locked(other, &path, false, LockHolder::ThisProcess);
        }
    };
    thread::scope(|scope| {
        for value in 0..4 {
            scope.spawn(move || create(value.into()));
        }
    });
    assert_no_drafts(dir.path());
}

#[test]
fn a_lock_goes_when_its_store_is_dropped_or_closed() {
    let (_dir, path) = three_elements();
    drop(Store::<f64, Ix1>::open_rw(&path).unwrap());
    Store::<f64, Ix1>::open_rw(&path).unwrap().close().unwrap();
    drop(copy_on_write(Store::<f64, Ix1>::open(&path).unwrap()));
    Store::<f64, _>::create(&path, 2).unwrap().close().unwrap();
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    store.resize(5).unwrap();
    store.close().unwrap();
    assert_eq!(Store::<f64, Ix1>::open_rw(&path).unwrap().shape(), [5]);
}

#[test]
fn a_lock_goes_when_its_process_is_killed() {
    let (_dir, path) = three_elements();
    for mode in MODES {
        let mut peer = Peer::at(&path);
        peer.ask(order(mode)).unwrap();
        let refused = Store::<f64, Ix1>::open_rw(&path);
        assert_locked(refused, &path, true, LockHolder::Process(peer.id()));
        peer.kill();
        Store::<f64, Ix1>::open_rw(&path).unwrap();
    }
}

/// What a child between fork and exec has: the same open file as this process, which closing it
/// here does not close.
fn shared_descriptors(path: &Path) -> Vec<std::os::fd::OwnedFd> {
    use rustix::process::{self, PidfdFlags, PidfdGetfdFlags};
    let this = process::pidfd_open(process::getpid(), PidfdFlags::empty()).unwrap();
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    // All of them are found before the first is copied, or a copy may be found as well.
    let found: Vec<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| fs::read_link(entry.path()).is_ok_and(|found| found == path))
        .filter_map(number)
        .collect();
    let share = |number| process::pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).unwrap();
    found.into_iter().map(share).collect()
}

#[test]
fn a_lock_goes_with_its_store_even_if_a_forked_child_still_has_the_file() {
    let (_dir, path) = three_elements();
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    let before = shared_descriptors(&path);
    store.resize(9).unwrap();
    let after = shared_descriptors(&path);
    assert_eq!((before.len(), after.len()), (1, 1));
    drop(store);
    Store::<f64, Ix1>::open_rw(&path).unwrap();
    drop((before, after));
    for mode in [Mode::Read, Mode::CopyOnWrite, Mode::Write] {
        let store = open(mode, &path).unwrap();
        let shared = shared_descriptors(&path);
        assert_eq!(shared.len(), 1, "{mode}");
        drop(store);
        Store::<f64, Ix1>::open_rw(&path).unwrap();
    }
}

#[test]
fn a_forked_child_that_drops_its_copy_of_a_store_leaves_the_lock_to_its_parent() {
    let (_dir, path) = three_elements();
    let store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    let Some(child) = fork() else {
        drop(store);
        end_fork();
    };
    wait_for(child);
    let refused = Store::<f64, Ix1>::open(&path);
    assert!(
        matches!(refused.why(), Some(ErrorKind::Locked { .. })),
        "{refused:?}"
    );
    drop(store);
    Store::<f64, Ix1>::open_rw(&path).unwrap();
}

#[test]
fn the_lock_of_a_replaced_file_goes_even_if_a_forked_child_still_has_it() {
    let (dir, path) = three_elements();
    let old = dir.path().join("old");
    fs::hard_link(&path, &old).unwrap();
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    let _shared = shared_descriptors(&path);
    store.resize(9).unwrap();
    Store::<f64, Ix1>::open_rw(&old).unwrap();
}

#[test]
fn locks_come_and_go_while_other_threads_start_processes() {
    let (_dir, path) = three_elements();
    let end = Instant::now() + Duration::from_millis(500);
    thread::scope(|scope| {
        scope.spawn(|| {
            while Instant::now() < end {
                std::process::Command::new("true").status().unwrap();
            }
        });
        while Instant::now() < end {
            Store::<f64, Ix1>::open_rw(&path).unwrap();
        }
    });
}

#[test]
fn waiting_lasts_until_the_lock_is_free() {
    let (_dir, path) = three_elements();
    for policy in [
        LockPolicy::Wait,
        LockPolicy::WaitAtMost(Duration::from_secs(60)),
    ] {
        let pause = Duration::from_millis(80);
        for mode in [Mode::Read, Mode::ReadWrite, Mode::Write] {
            let held = open(Mode::ReadWrite, &path).unwrap();
            let waiting = Options::new().lock(policy);
            let (waited, end) = thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    match mode {
                        Mode::Read => waiting.open::<f64, Ix1>(&path).map(drop),
                        Mode::ReadWrite => waiting.open_rw::<f64, Ix1>(&path).map(drop),
                        _ => waiting.create::<f64, _>(&path, 3).map(drop),
                    }
                    .unwrap();
                    Instant::now()
                });
                thread::sleep(pause);
                let freed = Instant::now();
                drop(held);
                (waiter.join().unwrap(), freed)
            });
            assert!(waited >= end, "{mode} did not wait");
            assert!(waited - end < Duration::from_secs(5), "{mode} slept on");
        }
    }
}

#[test]
fn waiting_at_most_gives_up_at_its_limit_and_changes_nothing() {
    let (dir, path) = three_elements();
    let _held = Store::<f64, Ix1>::open(&path).unwrap();
    let before = trace(&path);
    let limit = Duration::from_millis(120);
    let waiting = Options::new().lock(LockPolicy::WaitAtMost(limit));
    let attempts: [fn(&Options, &Path) -> Result<()>; 2] = [
        |options, path| options.open_rw::<f64, Ix1>(path).map(drop),
        |options, path| options.create::<f64, _>(path, 3).map(drop),
    ];
    for attempt in attempts {
        let start = Instant::now();
        assert_locked(
            attempt(&waiting, &path),
            &path,
            true,
            LockHolder::ThisProcess,
        );
        let waited = start.elapsed();
        assert!(waited >= limit, "gave up after {waited:?}");
        assert!(waited < limit + Duration::from_secs(3), "waited {waited:?}");
    }
    waiting.open::<f64, Ix1>(&path).unwrap();
    assert_eq!(trace(&path), before);
    assert_no_drafts(dir.path());
}

/// Has a process wait for `path` while `change` happens to it, and returns its verdict once
/// `change` is over.
fn wait_through(path: &Path, change: impl FnOnce()) -> (Peer, Result<(), String>) {
    let mut peer = Peer::at(path);
    peer.begin("wait");
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    // What it claims its turn by: a lock on a byte that no file has.
    let claim = |line: &str| line.contains("OFDLCK") && line.contains(&format!(":{inode} "));
    wait_until(|| {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(claim)
    });
    change();
    let answer = peer.answer();
    (peer, answer)
}

#[test]
fn who_waited_for_a_file_that_was_replaced_gets_the_new_one() {
    for other_name in [false, true] {
        let (_dir, path) = three_elements();
        if other_name {
            fs::hard_link(&path, path.with_extension("old")).unwrap();
        }
        let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
        let (mut peer, answer) = wait_through(&path, || {
            store.resize(5).unwrap();
            drop(store);
        });
        answer.unwrap();
        peer.ask("overwrite 7").unwrap();
        peer.finish();
        let found = Store::<f64, Ix1>::open(&path).unwrap();
        assert_eq!(found.read_all().unwrap(), Array::from_elem(5, 7.0));
    }
}

#[test]
fn who_waits_with_a_limit_for_a_file_that_is_replaced_gets_the_new_one() {
    let waiting = Options::new().lock(LockPolicy::WaitAtMost(Duration::from_secs(60)));
    for other_name in [false, true] {
        let (_dir, path) = three_elements();
        if other_name {
            fs::hard_link(&path, path.with_extension("old")).unwrap();
        }
        let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| waiting.open::<f64, Ix1>(&path).unwrap().shape().to_vec());
            thread::sleep(Duration::from_millis(50));
            store.resize(5).unwrap();
            drop(store);
            assert_eq!(waiter.join().unwrap(), [5]);
        });
    }
}

#[test]
fn nobody_waits_for_the_lock_of_what_is_no_regular_file() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
    let held = File::options().read(true).write(true).open(&fifo).unwrap();
    fs2::FileExt::lock_exclusive(&held).unwrap();
    let waiting = Options::new().lock(LockPolicy::Wait);
    for refused in [
        waiting.open::<f64, Ix1>(&fifo).map(drop),
        waiting.open_rw::<f64, Ix1>(&fifo).map(drop),
        waiting.create_from(&fifo, &array![1.0]).map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::NotAFile { .. }),
            "{refused}"
        );
    }
}

#[test]
fn who_waited_for_a_file_that_was_removed_learns_that_it_is_gone() {
    let (_dir, path) = three_elements();
    let store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    let (_peer, answer) = wait_through(&path, || {
        fs::remove_file(&path).unwrap();
        drop(store);
    });
    let error = answer.unwrap_err();
    assert!(error.starts_with("NotFound {"), "{error}");
}

#[test]
fn a_failed_open_leaves_no_lock() {
    let (dir, path) = three_elements();
    Store::<f32, Ix1>::open(&path).unwrap_err();
    Store::<f64, Ix2>::open_rw(&path).unwrap_err();
    Options::new()
        .shape(4)
        .open_rw::<f64, Ix1>(&path)
        .unwrap_err();
    drop(Store::<f64, Ix1>::open_rw(&path).unwrap());

    let damaged = dir.path().join("damaged.npy");
    let whole = fs::read(&path).unwrap();
    for bytes in [&whole[..4100], &whole[..20], b"no array at all", b""] {
        fs::write(&damaged, bytes).unwrap();
        Store::<f64, Ix1>::open_rw(&damaged).unwrap_err();
        let file = File::open(&damaged).unwrap();
        fs2::FileExt::try_lock_exclusive(&file).unwrap();
        fs2::FileExt::unlock(&file).unwrap();
    }
}

#[test]
fn a_failed_create_or_resize_leaves_no_lock_or_keeps_its_own() {
    let (_dir, path) = three_elements();
    let too_large = Store::<f64, _>::create(&path, (usize::MAX, 2)).unwrap_err();
    assert!(
        matches!(too_large.kind(), ErrorKind::ShapeTooLarge { .. }),
        "{too_large}"
    );
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    store.resize(usize::MAX).unwrap_err();
    let refused = Store::<f64, Ix1>::open(&path);
    assert_locked(refused, &path, false, LockHolder::ThisProcess);
}

#[test]
fn a_refused_downcast_hands_the_store_back_with_its_lock() {
    let (_dir, path) = three_elements();
    let any = AnyStore::open_rw(&path).unwrap();
    let refused = any.downcast::<f32, Ix1, ReadWrite>().unwrap_err();
    let result = Store::<f64, Ix1>::open(&path);
    assert_locked(result, &path, false, LockHolder::ThisProcess);
    let store = refused.store.downcast::<f64, Ix1, ReadWrite>().unwrap();
    let result = Store::<f64, Ix1>::open(&path);
    assert_locked(result, &path, false, LockHolder::ThisProcess);
    drop(store);
    Store::<f64, Ix1>::open_rw(&path).unwrap();
}

#[test]
fn all_names_of_a_file_share_one_lock() {
    let (dir, path) = three_elements();
    let (hard, soft) = (dir.path().join("hard"), dir.path().join("soft"));
    fs::hard_link(&path, &hard).unwrap();
    std::os::unix::fs::symlink(&path, &soft).unwrap();
    let names = [path.as_path(), hard.as_path(), soft.as_path()];
    for first in names {
        let _held = Store::<f64, Ix1>::open_rw(first).unwrap();
        for second in names {
            let refused = Store::<f64, Ix1>::open(second);
            assert!(
                matches!(refused.why(), Some(ErrorKind::Locked { .. })),
                "{second:?}"
            );
            let refused = Store::<f64, _>::create(second, 3);
            assert!(
                matches!(refused.why(), Some(ErrorKind::Locked { .. })),
                "{second:?}"
            );
        }
    }
}

#[test]
fn locks_are_those_of_flock() {
    let (_dir, path) = three_elements();
    let file = File::open(&path).unwrap();
    fs2::FileExt::lock_shared(&file).unwrap();
    Store::<f64, Ix1>::open(&path).unwrap();
    let refused = Store::<f64, Ix1>::open_rw(&path);
    assert_locked(refused, &path, true, LockHolder::ThisProcess);
    fs2::FileExt::unlock(&file).unwrap();
    let _store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    fs2::FileExt::try_lock_shared(&file).unwrap_err();
}

#[test]
fn without_a_lock_none_is_taken_and_none_heeded() {
    fn rows<M: Writable>(store: &mut Store<f64, Ix1, M>) {
        store.write_all(&arr0(5.0)).unwrap();
    }
    let (_dir, path) = three_elements();
    let free = Options::new().no_lock();
    let mut unlocked = free.open_rw::<f64, Ix1>(&path).unwrap();
    let locked = Store::<f64, Ix1>::open_rw(&path).unwrap();
    rows(&mut unlocked);
    drop((unlocked, locked));

    let created = free.create::<f64, _>(&path, 4).unwrap();
    let mut locked = Store::<f64, Ix1>::open_rw(&path).unwrap();
    drop(created);
    // The lock of one store is not lost when another without a lock goes.
    assert!(Store::<f64, Ix1>::open(&path).is_err());
    let mut other = free.open_rw::<f64, Ix1>(&path).unwrap();
    drop(std::mem::replace(&mut locked, free.open_rw(&path).unwrap()));
    other.resize(9).unwrap();
    assert_eq!(Store::<f64, Ix1>::open_rw(&path).unwrap().shape(), [9]);
}

/// Has `count` threads open the file again and again, each for `stay`, until `work` is done.
/// Returns how often each got in, and what `work` returned.
fn amid<R>(
    count: usize,
    stay: Duration,
    open: impl Fn() -> Option<Box<dyn Any>> + Sync,
    work: impl FnOnce() -> R,
) -> (Vec<usize>, R) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|index| {
                let (over, open) = (&over, &open);
                scope.spawn(move || {
                    // Each at another time, so that the file is never free.
                    thread::sleep(stay * index as u32 / count as u32);
                    let mut entries = 0;
                    while !over.load(Ordering::Relaxed) {
                        match open() {
                            Some(store) => {
                                entries += 1;
                                thread::sleep(stay);
                                drop(store);
                            }
                            None => thread::sleep(Duration::from_millis(1)),
                        }
                    }
                    entries
                })
            })
            .collect();
        thread::sleep(4 * stay);
        // The threads end whatever comes of it.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        let entries = threads.into_iter().map(|thread| thread.join().unwrap());
        let entries = entries.collect();
        (
            entries,
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    })
}

fn boxed<S: 'static>(opened: Result<S>) -> Option<Box<dyn Any>> {
    match opened {
        Ok(store) => Some(Box::new(store)),
        Err(error) if matches!(error.kind(), ErrorKind::Locked { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn a_writer_that_waits_gets_in_among_readers_that_come_all_the_time() {
    let (_dir, path) = three_elements();
    let stay = Duration::from_millis(50);
    let patient = Options::new().lock(LockPolicy::WaitAtMost(Duration::from_secs(10)));
    // Those that fail at once and try again, and those that wait themselves.
    for readers in [Options::new(), patient.clone()] {
        let (entries, waits) = amid(
            6,
            stay,
            || boxed(readers.open::<f64, Ix1>(&path)),
            || {
                [(); 3].map(|()| {
                    let start = Instant::now();
                    patient.open_rw::<f64, Ix1>(&path).unwrap();
                    start.elapsed()
                })
            },
        );
        assert!(waits.iter().all(|wait| wait.as_secs() < 5), "{waits:?}");
        assert!(entries.iter().all(|&times| times > 2), "{entries:?}");
    }
}

#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn a_reader_that_waits_gets_in_among_writers_that_come_all_the_time() {
    let (_dir, path) = three_elements();
    let stay = Duration::from_millis(10);
    let patient = Options::new().lock(LockPolicy::WaitAtMost(Duration::from_secs(10)));
    for writers in [Options::new(), patient.clone()] {
        let (entries, waits) = amid(
            6,
            stay,
            || boxed(writers.open_rw::<f64, Ix1>(&path)),
            || {
                [(); 10].map(|()| {
                    thread::sleep(2 * stay);
                    let start = Instant::now();
                    patient.open::<f64, Ix1>(&path).unwrap();
                    start.elapsed()
                })
            },
        );
        assert!(waits.iter().all(|wait| wait.as_secs() < 5), "{waits:?}");
        assert!(entries.iter().sum::<usize>() > 6, "{entries:?}");
    }
}

#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn a_writer_that_waits_for_a_reader_that_stays_does_not_keep_others_out() {
    let (_dir, path) = three_elements();
    let _stays = Store::<f64, Ix1>::open(&path).unwrap();
    let patient = Options::new().lock(LockPolicy::WaitAtMost(Duration::from_secs(2)));
    thread::scope(|scope| {
        let writer = scope.spawn(|| patient.open_rw::<f64, Ix1>(&path).map(drop));
        let mut refused = 0;
        while !writer.is_finished() {
            match Store::<f64, Ix1>::open(&path) {
                Ok(_) if refused > 0 => break,
                Ok(_) => {}
                Err(error) => {
                    let ErrorKind::Locked { hold, holder, .. } = error.kind() else {
                        panic!("{error}");
                    };
                    assert_eq!((*hold, *holder), (LockHold::Waiting, LockHolder::Unknown));
                    refused += 1;
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
        assert!(refused > 0, "the writer comes first for a while");
        assert!(!writer.is_finished(), "others come in while it waits");
        let refused = writer.join().unwrap();
        assert_locked(refused, &path, true, LockHolder::ThisProcess);
    });
    // Nothing is left of its claim.
    Store::<f64, Ix1>::open(&path).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_under_a_lease_is_waited_for_and_said_to_be_under_one() {
    let (_dir, path) = three_elements();
    let mut peer = Peer::at(&path);
    for (lease, write) in [("lease_rw", false), ("lease_rw", true), ("lease", true)] {
        let open = |options: &Options| match write {
            true => options.open_rw::<f64, Ix1>(&path).map(drop),
            false => options.open::<f64, Ix1>(&path).map(drop),
        };
        peer.ask(lease).unwrap();
        let limit = Duration::from_millis(60);
        for (options, least) in [
            (Options::new(), Duration::ZERO),
            (Options::new().lock(LockPolicy::WaitAtMost(limit)), limit),
        ] {
            let start = Instant::now();
            let refused = open(&options).unwrap_err();
            assert!(start.elapsed() >= least, "{lease}");
            let expected = format!(
                "cannot open {path:?}: process {} has a lease on it, as a file server takes (Samba, NFS); \
                 it was asked to give it back: wait for that with `Options::lock`",
                peer.id()
            );
            assert_eq!(refused.to_string(), expected, "{lease}");
        }
        for policy in [
            LockPolicy::Wait,
            LockPolicy::WaitAtMost(Duration::from_secs(20)),
        ] {
            thread::scope(|scope| {
                let waiter = scope.spawn(move || open(&Options::new().lock(policy)));
                thread::sleep(Duration::from_millis(50));
                assert!(!waiter.is_finished(), "{lease}");
                peer.ask("drop_lease").unwrap();
                waiter.join().unwrap().unwrap();
            });
            peer.ask(lease).unwrap();
        }
        peer.ask("drop_lease").unwrap();
    }
}
