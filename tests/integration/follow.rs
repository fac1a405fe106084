//! Following an array: rows come as they are published, whole and in order, and the end is told
//! from a pause.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use ndarray::prelude::*;
use ndstore::{AnyStore, ErrorKind, News, Opening, Options, Order, Store};
use tempfile::TempDir;

use super::support::{Peer, Why};

const LONG: Duration = Duration::from_secs(60);

fn empty() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("a.npy");
    Store::<f64, _>::create(&path, 0).unwrap();
    (dir, path)
}

#[test]
fn every_row_comes_once_and_in_order_whoever_follows() {
    for order in [Order::C, Order::F] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let shape = if order == Order::C { (0, 7) } else { (7, 0) };
        let options = Options::new().order(order);
        options.create::<u32, _>(&path, shape).unwrap();
        let mut log = Store::<u32, Ix2>::open_append(&path).unwrap();
        let by_rows = |block: Array2<u32>| match order {
            Order::C => block,
            Order::F => block.reversed_axes(),
        };
        let check = |blocks: &mut dyn Iterator<Item = Array2<u32>>| {
            let mut next = 0;
            for block in blocks.map(by_rows) {
                for row in block.outer_iter() {
                    assert!(row.iter().all(|&found| found == next), "{next}: {row}");
                    next += 1;
                }
            }
            assert_eq!(next, 300);
        };
        thread::scope(|scope| {
            let [mut reader, mut late] = [(); 2].map(|()| Store::<u32, Ix2>::open(&path).unwrap());
            let mut watcher = Store::<u32, Ix2>::open_watch(&path).unwrap();
            let mut any = Options::new().open_any_as(&path, Opening::Watch).unwrap();
            scope.spawn(move || check(&mut reader.follow().map(|block| block.unwrap())));
            scope.spawn(move || check(&mut watcher.follow().map(|block| block.unwrap())));
            scope.spawn(move || {
                let (mut follow, mut next) = (any.follow(), 0);
                while let News::Rows(rows) = follow.wait(LONG).unwrap() {
                    assert_eq!(rows.start, next);
                    next = rows.end;
                    assert_eq!(follow.store().nbytes(), next * 28);
                }
                assert_eq!(next, 300);
            });
            let mut row = 0;
            for round in 0..20 {
                let mut appender = log.appender().unwrap();
                for _ in 0..15 {
                    appender.push(&Array::from_elem(7, row)).unwrap();
                    row += 1;
                }
                appender.flush().unwrap();
                thread::sleep(Duration::from_millis(round % 3));
            }
            drop(log);
            let all = late.follow().starting_at(0);
            check(&mut all.map(|block| block.unwrap()));
        });
    }
}

#[test]
fn a_pause_an_end_and_a_word_are_told_from_each_other() {
    let (_dir, path) = empty();
    let mut store = Store::<f64, Ix1>::open(&path).unwrap();
    // Nobody has begun.
    assert_eq!(store.follow().wait(LONG).unwrap(), News::Ended);

    let mut log = Store::<f64, Ix1>::open_append(&path).unwrap();
    let mut follow = store.follow();
    let start = Instant::now();
    let limit = Duration::from_millis(150);
    assert_eq!(follow.wait(limit).unwrap(), News::Nothing);
    assert!(start.elapsed() >= limit && start.elapsed() < LONG / 2);
    assert_eq!(follow.wait(Duration::ZERO).unwrap(), News::Nothing);
    log.push(&arr0(1.0)).unwrap();
    assert_eq!(
        follow.wait(Duration::ZERO).unwrap(),
        News::Rows(array![1.0])
    );
    assert_eq!(follow.wait(Duration::ZERO).unwrap(), News::Nothing);

    // What is published last is not lost to the end.
    log.push(&arr0(2.0)).unwrap();
    drop(log);
    assert_eq!(follow.wait(LONG).unwrap(), News::Rows(array![2.0]));
    assert_eq!(follow.wait(LONG).unwrap(), News::Ended);

    // Another one goes on.
    let mut log = Store::<f64, Ix1>::open_append(&path).unwrap();
    log.push(&arr0(3.0)).unwrap();
    assert_eq!(follow.wait(None).unwrap(), News::Rows(array![3.0]));
    let stopper = follow.stopper();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            stopper.stop();
        });
        assert_eq!(follow.wait(None).unwrap(), News::Stopped);
    });
    assert_eq!(follow.wait(LONG).unwrap(), News::Stopped);
    assert!(follow.next().is_none());
    log.push(&arr0(4.0)).unwrap();
    assert_eq!(follow.wait(None).unwrap(), News::Stopped);
    assert_eq!(
        store.follow().starting_at(3).wait(None).unwrap(),
        News::Rows(array![4.0])
    );
}

#[test]
fn the_end_of_a_process_that_is_killed_is_told() {
    let (_dir, path) = empty();
    let mut peer = Peer::at(&path);
    peer.ask("open_append").unwrap();
    let mut store = Store::<f64, Ix1>::open(&path).unwrap();
    let mut follow = store.follow();
    peer.ask("push 5").unwrap();
    assert_eq!(follow.wait(LONG).unwrap(), News::Rows(array![5.0]));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            peer.kill();
        });
        let start = Instant::now();
        assert_eq!(follow.wait(LONG).unwrap(), News::Ended);
        assert!(start.elapsed() < LONG / 2);
    });
}

#[test]
fn who_follows_a_file_that_is_replaced_is_told_that_it_moved() {
    let (dir, path) = empty();
    let other = dir.path().join("b.npy");
    fs::copy(&path, &other).unwrap();
    let _log = Store::<f64, Ix1>::open_append(&path).unwrap();
    let mut any = AnyStore::open(&path).unwrap();
    let mut follow = any.follow();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            fs::rename(&other, &path).unwrap();
        });
        let moved = follow.wait(LONG);
        assert!(matches!(moved.why(), Some(ErrorKind::Moved)), "{moved:?}");
    });
}

#[test]
fn many_rows_come_in_blocks_that_memory_holds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let rows = (50 << 20) / 1000;
    Store::<u8, _>::create(&path, (rows, 1000)).unwrap();
    let mut store = Store::<u8, Ix2>::open(&path).unwrap();
    let blocks = store.follow().starting_at(1).map(|block| block.unwrap());
    let lens: Vec<_> = blocks.map(|block| block.len()).collect();
    assert_eq!(lens.len(), 4);
    assert!(lens.iter().all(|&len| len <= 16 << 20), "{lens:?}");
    assert_eq!(lens.iter().sum::<usize>(), (rows - 1) * 1000);
    drop(store);
    // A row that is larger than a block comes alone.
    Store::<u8, _>::create(&path, (2, 17 << 20)).unwrap();
    let mut store = Store::<u8, Ix2>::open(&path).unwrap();
    let blocks = store.follow().starting_at(0).map(|block| block.unwrap());
    assert_eq!(
        blocks.map(|block| block.nrows()).collect::<Vec<_>>(),
        [1, 1]
    );
    drop(store);
    // Rows without bytes are no more than they are.
    Store::<u8, _>::create(&path, (3, 0)).unwrap();
    let mut store = Store::<u8, Ix2>::open(&path).unwrap();
    let blocks = store.follow().starting_at(0).map(|block| block.unwrap());
    assert_eq!(blocks.map(|block| block.nrows()).collect::<Vec<_>>(), [3]);
}

/// The time for which this thread had a processor.
fn busy() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn whoever_waits_takes_no_processor() {
    let (_dir, path) = empty();
    let _log = Store::<f64, Ix1>::open_append(&path).unwrap();
    let mut store = Store::<f64, Ix1>::open_watch(&path).unwrap();
    let mut follow = store.follow();
    let (start, before) = (Instant::now(), busy());
    assert_eq!(follow.wait(Duration::from_secs(1)).unwrap(), News::Nothing);
    let (waited, took) = (start.elapsed(), busy() - before);
    assert!(took * 20 < waited, "{took:?} of {waited:?}");
}

/// The time from a publish until it is seen.
fn latencies(path: &Path, rounds: usize) -> Vec<Duration> {
    let mut log = Store::<f64, Ix1>::open_append(path).unwrap();
    let mut store = Store::<f64, Ix1>::open(path).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        let publisher = scope.spawn(move || {
            let publish = |round: usize| {
                thread::sleep(Duration::from_millis(2));
                log.push(&arr0(round as f64)).unwrap();
                start.elapsed()
            };
            (0..rounds).map(publish).collect::<Vec<_>>()
        });
        let mut seen = Vec::new();
        for block in store.follow() {
            let now = start.elapsed();
            seen.extend(block.unwrap().iter().map(|_| now));
        }
        let published = publisher.join().unwrap();
        assert_eq!(seen.len(), rounds);
        let both = seen.into_iter().zip(published);
        let mut waits: Vec<_> = both
            .map(|(seen, published)| seen.saturating_sub(published))
            .collect();
        waits.sort();
        waits
    })
}

/// For more rounds: `cargo test --release --test integration -- --ignored --nocapture
/// follow::latency`
#[test]
#[ignore = "it is about time, which other tests take"]
fn latency() {
    let (_dir, path) = empty();
    let waits = latencies(&path, 2000);
    let at = |part: usize| waits[waits.len() * part / 100];
    println!(
        "median {:?}, 90 % {:?}, 99 % {:?}, most {:?}",
        at(50),
        at(90),
        at(99),
        waits.last()
    );
    assert!(at(50) <= Duration::from_millis(2));
}

#[test]
fn a_publish_is_seen_before_long() {
    let (_dir, path) = empty();
    let waits = latencies(&path, 50);
    assert!(waits[25] < Duration::from_millis(80), "{waits:?}");
}
