//! A header that is read while another one is published: the reader sees the old one or the new
//! one, byte for byte.
//!
//! No lock keeps the two apart, and no kernel promises it: it holds because what changes is an
//! aligned block, which is copied in one step, and as a rule a word.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ndarray::prelude::*;
use ndstore::Options;

use super::disk::{Disk, Kind};

/// How many headers are read on each file system, if not this many.
const READS: &str = "NDSTORE_HEADER_READS";
const READS_BY_DEFAULT: u64 = 300_000;

const HEADER: usize = 4096;

fn reads() -> u64 {
    std::env::var(READS).map_or(READS_BY_DEFAULT, |text| text.parse().unwrap())
}

/// What was seen of a header while it changed.
#[derive(Debug, Default)]
struct Seen {
    publishes: u64,
    torn: u64,
    /// Headers that are torn and read the same twice in a row.
    torn_twice: u64,
}

/// Reads the header of a file `reads` times while `publish` makes it one of `known` and then the
/// other, again and again.
fn watch(path: &Path, reads: u64, known: &[Vec<u8>; 2], mut publish: impl FnMut(usize)) -> Seen {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let file = File::open(path).unwrap();
            let mut seen = Seen::default();
            let mut last = known[0].clone();
            let mut header = vec![0; HEADER];
            for _ in 0..reads {
                file.read_exact_at(&mut header, 0).unwrap();
                if !known.contains(&header) {
                    seen.torn += 1;
                    seen.torn_twice += u64::from(last == header);
                }
                last.copy_from_slice(&header);
            }
            is_over.store(true, Ordering::Relaxed);
            seen
        });
        let mut publishes = 0;
        while !is_over.load(Ordering::Relaxed) {
            publish(1);
            publish(0);
            publishes += 2;
        }
        Seen {
            publishes,
            ..reader.join().unwrap()
        }
    })
}

fn header(path: &Path) -> Vec<u8> {
    let mut header = vec![0; HEADER];
    File::open(path)
        .unwrap()
        .read_exact_at(&mut header, 0)
        .unwrap();
    header
}

/// Where two headers differ, from the first byte to behind the last.
fn difference([old, new]: &[Vec<u8>; 2]) -> std::ops::Range<usize> {
    let differs = |at: &usize| old[*at] != new[*at];
    (0..HEADER).find(differs).unwrap()..(0..HEADER).rfind(differs).unwrap() + 1
}

/// Publishes by way of the crate, syncs and all.
fn published_by_a_store(path: &Path, rows: usize, reads: u64) -> Seen {
    let mut store = Options::new()
        .sparse(true)
        .create::<u8, _>(path, rows)
        .unwrap();
    // The mark of an append is set by the first push, and stays.
    store.push(&arr0(1)).unwrap();
    let new = header(path);
    store.truncate(rows).unwrap();
    let known = [header(path), new];
    watch(path, reads, &known, |which| match which {
        1 => store.push(&arr0(1)).unwrap(),
        _ => store.truncate(rows).unwrap(),
    })
}

/// Writes the block that a publish writes, as fast as that goes.
fn published_without_a_sync(path: &Path, rows: usize, reads: u64) -> Seen {
    let mut store = Options::new()
        .sparse(true)
        .create::<u8, _>(path, rows)
        .unwrap();
    let old = header(path);
    store.push(&arr0(1)).unwrap();
    drop(store);
    let known = [old, header(path)];
    let changed = difference(&known);
    let aligned = |unit: usize| {
        let start = changed.start / unit * unit;
        start..start + unit
    };
    let mut blocks = [8, 16, 32, 64].into_iter().map(aligned);
    let block = blocks.find(|block| block.end >= changed.end).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    watch(path, reads, &known, |which| {
        let bytes = &known[which][block.clone()];
        file.write_all_at(bytes, block.start as u64).unwrap();
    })
}

/// Writes what changes in a header as `np.save` spells it, which lies on both sides of the end of a
/// line.
fn published_across_lines(path: &Path, rows: usize, reads: u64) -> Seen {
    let known = [rows, rows + 1].map(|rows| {
        let dict = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows},), }}");
        let text = format!("{dict:width$}\n", width = HEADER - 11);
        [b"\x93NUMPY\x01\x00\xf6\x0f", text.as_bytes()].concat()
    });
    fs::write(path, &known[0]).unwrap();
    let range = difference(&known);
    assert_ne!(range.start / 64, (range.end - 1) / 64, "{range:?}");
    let file = File::options().write(true).open(path).unwrap();
    watch(path, reads, &known, |which| {
        let bytes = &known[which][range.clone()];
        file.write_all_at(bytes, range.start as u64).unwrap();
    })
}

/// For as many reads as the figure in docs/soundness.md:
/// `NDSTORE_HEADER_READS=10000000 sudo -E cargo test --release --test rigs -- --ignored --nocapture torn_headers`
#[test]
#[ignore = "needs root and loop devices"]
fn whoever_reads_a_header_beside_a_publish_reads_the_old_one_or_the_new_one() {
    let mut caught = 0;
    for kind in Kind::ALL {
        let disk = Disk::new(kind, kind.small());
        let path = disk.path().join("a.npy");
        let digits = [9, 999_999, 99_999_999];
        let part = reads() / digits.len() as u64;
        for rows in digits {
            for (how, publish) in [
                (
                    "by a store",
                    published_by_a_store as fn(&Path, usize, u64) -> Seen,
                ),
                ("without a sync", published_without_a_sync),
            ] {
                let seen = publish(&path, rows, part);
                println!("{kind:?}, {rows} rows and one more, {how}: {seen:?}");
                assert_eq!(seen.torn, 0, "{kind:?}");
                assert!(seen.publishes > 0, "{kind:?}");
            }
        }
        // How often it is caught depends on who runs when, so this goes on until it is.
        for _ in 0..30 {
            let seen = published_across_lines(&path, 999_999, part.max(300_000));
            println!("{kind:?}, across lines: {seen:?}");
            caught += seen.torn;
            if caught > 0 {
                break;
            }
        }
    }
    assert!(caught > 0, "a header that is torn was never seen");
}
