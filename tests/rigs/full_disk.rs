//! A full disk is an error when an array is made, and never a signal when it is written.
//!
//! Each store is in a process of its own, so that a SIGBUS is the death of that process and not the
//! end of the rig.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ndarray::prelude::*;
use ndstore::Store;

use super::disk::{Disk, Kind};
use super::support::{Peer, assert_no_drafts, drafts, trace};

const MIB: u64 = 1 << 20;

/// Elements of eight bytes in so many bytes.
fn elements(bytes: u64) -> u64 {
    bytes / 8
}

/// Asks for more than there is, and returns what the error says.
#[track_caller]
fn assert_no_space(peer: &mut Peer, order: &str, needed: u64) {
    let error = peer.ask(order).unwrap_err();
    assert!(error.starts_with("NoSpace {"), "{order}: {error}");
    assert!(
        error.contains(&format!("{needed} bytes are needed and ")),
        "{order}: {error}"
    );
}

/// `sudo -E cargo test --test rigs -- --ignored full_disk`
#[test]
#[ignore = "needs root and mkfs"]
fn an_array_larger_than_the_free_space_is_refused_and_the_old_file_stays() {
    for kind in Kind::ALL {
        let disk = Disk::new(kind, kind.small());
        let path = disk.path().join("a.npy");
        Store::create_from(&path, &Array::from_elem(100_000, 4.0)).unwrap();
        let (before, free) = (trace(&path), disk.free());
        let mut peer = Peer::at(&path);
        // One that `statvfs` tells is too large, and ones that only the allocation does, or does
        // not.
        let len = elements(free + 64 * MIB);
        for verb in ["create", "create_from"] {
            assert_no_space(&mut peer, &format!("{verb} {len}"), 4096 + 8 * len);
            assert_eq!(trace(&path), before, "{kind:?} {verb}");
            assert_no_drafts(disk.path());
        }
        peer.ask("open_rw").unwrap();
        assert_no_space(&mut peer, &format!("resize {len}"), 4096 + 8 * len);
        assert_eq!(trace(&path), before, "{kind:?}");
        assert_no_drafts(disk.path());
        peer.ask("overwrite 4").unwrap();
        peer.ask("drop").unwrap();
        let left = disk.free();
        assert!(
            left.abs_diff(free) < MIB,
            "{kind:?}: {free} bytes were free, now {left}"
        );
    }
}

/// `sudo -E cargo test --test rigs -- --ignored full_disk`
#[test]
#[ignore = "needs root and mkfs"]
fn an_array_about_as_large_as_the_free_space_is_refused_or_can_be_written() {
    for kind in Kind::ALL {
        for spare in [0, 4096, 256 << 10, 2 * MIB, 8 * MIB] {
            let disk = Disk::new(kind, kind.small());
            let path = disk.path().join("a.npy");
            Store::create_from(&path, &Array::from_elem(100_000, 4.0)).unwrap();
            let (before, free) = (trace(&path), disk.free());
            let len = elements(free - spare);
            let mut peer = Peer::at(&path);
            match peer.ask(&format!("create {len}")) {
                Ok(()) => {
                    disk.fill();
                    peer.ask("overwrite 1").unwrap();
                    peer.ask("overwrite 2").unwrap();
                }
                Err(error) => {
                    assert!(error.starts_with("NoSpace {"), "{kind:?}: {error}");
                    assert_eq!(trace(&path), before, "{kind:?}");
                    let left = disk.free();
                    assert!(
                        left.abs_diff(free) < 2 * MIB,
                        "{kind:?}: {free}, now {left}"
                    );
                }
            }
            assert_no_drafts(disk.path());
        }
    }
}

/// All that makes a file longer, with whether it needs a store that is open.
const GROWTH: [(&str, bool); 6] = [
    ("create", false),
    ("create_from", false),
    ("append", true),
    // Many small appends: some of them find room.
    ("log", true),
    ("resize", true),
    ("receive", false),
];

/// Whether a file is as it was, but for the mark of an append, which is a blank for a comma. The mark
/// stays when the append fails, because the disk need not know yet that its rows were cut off.
fn is_but_marked(before: &[u8], now: &[u8]) -> bool {
    let mut differ = before.iter().zip(now).filter(|(before, now)| before != now);
    let first = differ.next();
    before.len() == now.len()
        && differ.next().is_none()
        && first.is_none_or(|pair| pair == (&b',', &b' '))
}

/// The name of the error that a process gets if it asks for `len` elements without room for them,
/// once it is certain that the old file is unchanged, usable, and alone.
fn refusal(mut peer: Peer, path: &Path, (verb, needs_open): (&str, bool), len: u64) -> String {
    let before = fs::read(path).unwrap();
    let asked = catch_unwind(AssertUnwindSafe(|| {
        if needs_open {
            peer.ask("open_rw")?;
        }
        peer.ask(&format!("{verb} {len}"))
    }));
    let error = match asked {
        Ok(Err(error)) => error,
        Ok(Ok(())) => return "done".into(),
        Err(_) => return "died".into(),
    };
    let mut found = error.split(' ').next().unwrap_or_default().to_owned();
    let changed = |now: &[u8]| match verb {
        "append" | "log" => !is_but_marked(&before, now),
        _ => now != before,
    };
    if changed(&fs::read(path).unwrap()) {
        found += ", and changed the file";
    }
    if !drafts(path.parent().unwrap()).is_empty() {
        found += ", and left a draft";
    }
    let used = catch_unwind(AssertUnwindSafe(|| {
        peer.ask("drop")?;
        peer.ask("open_rw")?;
        peer.ask("overwrite 4")
    }));
    if !matches!(used, Ok(Ok(()))) {
        found += ", and the file was of no use";
    }
    found
}

/// `sudo -E cargo test --test rigs -- --ignored --nocapture full_disk`
#[test]
#[ignore = "needs root and mkfs"]
fn nothing_that_grows_a_file_dies_or_leaves_a_trace_where_there_is_no_room() {
    let len = elements(6 * MIB);
    let mut wrong = Vec::new();
    println!(
        "{:<44}{}",
        "",
        GROWTH.map(|(verb, _)| format!("{verb:<13} ")).concat()
    );
    for kind in Kind::ALL {
        // On a disk without any room, on one that has some, and within the limit of a process.
        for (trouble, expected) in [
            ("full disk", "NoSpace"),
            ("disk with 4 MiB left", "NoSpace"),
            ("limit of 2 MiB", "FileTooLarge"),
        ] {
            let disk = Disk::new(kind, kind.small());
            let path = disk.path().join("a.npy");
            Store::create_from(&path, &Array::from_elem(100_000, 4.0)).unwrap();
            let limited = expected == "FileTooLarge";
            if !limited {
                let spare = disk.path().join("spare");
                Store::<u8, _>::create(&spare, 4 << 20).unwrap();
                disk.fill();
                if trouble != "full disk" {
                    fs::remove_file(spare).unwrap();
                    disk.free();
                }
            }
            let found = GROWTH.map(|growth| {
                let peer = match limited {
                    // In units of 512 or of 1024 bytes, by the shell.
                    true => Peer::under("ulimit -f 4096", &path),
                    false => Peer::at(&path),
                };
                refusal(peer, &path, growth, len)
            });
            let case = format!("{kind:?}, {trouble}");
            println!(
                "{case:<44}{}",
                found
                    .each_ref()
                    .map(|found| format!("{found:<13} "))
                    .concat()
            );
            if found.iter().any(|found| found != expected) {
                wrong.push((case, found));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Fills the disk under the peer's store and overwrites it three times.
#[track_caller]
fn assert_writable_on_a_full_disk(disk: &Disk, mut peer: Peer) {
    disk.fill();
    for value in 1..=3 {
        peer.ask(&format!("overwrite {value}")).unwrap();
    }
    let error = peer.ask("resize 100000000").unwrap_err();
    assert!(error.starts_with("NoSpace {"), "{error}");
    peer.ask("overwrite 4").unwrap();
    assert_no_drafts(disk.path());
}

/// `sudo -E cargo test --test rigs -- --ignored full_disk`
#[test]
#[ignore = "needs root and mkfs"]
fn an_allocated_array_can_be_written_on_a_full_disk() {
    let len = elements(16 * MIB);
    for kind in Kind::ALL {
        for orders in [
            &[format!("create {len}")][..],
            &[format!("create_from {len}")],
            // Grown, cut, and grown from a file that had no blocks.
            &[format!("create {}", len / 4), format!("resize {len}")],
            &[
                format!("create_from {len}"),
                format!("resize {}", len / 2 + 1),
            ],
            &[
                format!("create_from {}", len / 4),
                "overwrite 9".into(),
                format!("resize {len}"),
            ],
            &[
                format!("create_sparse {len}"),
                "overwrite 0".into(),
                "allocate".into(),
            ],
        ] {
            if kind == Kind::Btrfs && orders[0].starts_with("create_sparse") {
                // What is there is copied on write for ever; `allocate` promises blocks, not that.
                continue;
            }
            println!("{kind:?} {orders:?}");
            let disk = Disk::new(kind, kind.small());
            let path = disk.path().join("a.npy");
            let mut peer = Peer::at(&path);
            for order in orders {
                peer.ask(order)
                    .unwrap_or_else(|error| panic!("{kind:?} {order}: {error}"));
            }
            assert_writable_on_a_full_disk(&disk, peer);
            let found = Store::<f64, Ix1>::open(&path).unwrap();
            assert!(
                found
                    .read_all()
                    .unwrap()
                    .iter()
                    .all(|&element| element == 4.0),
                "{kind:?} {orders:?}"
            );
        }
    }
}

/// `sudo -E cargo test --test rigs -- --ignored full_disk`
///
/// Shows that the rig catches the fault that it is for: this store has no blocks of its own.
#[test]
#[ignore = "needs root and mkfs"]
fn a_sparse_array_dies_of_a_full_disk() {
    for kind in Kind::ALL {
        let disk = Disk::new(kind, kind.small());
        let mut peer = Peer::at(&disk.path().join("a.npy"));
        peer.ask(&format!("create_sparse {}", elements(16 * MIB)))
            .unwrap();
        disk.fill();
        let died = catch_unwind(AssertUnwindSafe(|| peer.ask("overwrite 1")));
        let message = died.expect_err("it dies");
        let message = message.downcast_ref::<String>().unwrap();
        assert!(message.contains("signal Some(7)"), "{kind:?}: {message}");
    }
}

/// `sudo -E cargo test --test rigs -- --ignored full_disk`
#[test]
#[ignore = "needs root and mkfs"]
fn what_the_file_system_keeps_for_root_is_free_for_root() {
    let disk = Disk::new(Kind::Ext4, Kind::Ext4.small());
    let found = rustix::fs::statvfs(disk.path()).unwrap();
    assert!(found.f_bavail < found.f_bfree);
    let free = found.f_bfree * found.f_frsize;
    let refused = Store::<f64, _>::create(disk.path().join("a.npy"), free as usize).unwrap_err();
    let text = refused.to_string();
    let told = text
        .split_once(" bytes are needed and ")
        .and_then(|(_, rest)| rest.split_once(" are free for this user"));
    let told: u64 = told.unwrap().0.parse().unwrap();
    assert!(told.abs_diff(free) < MIB, "{free} bytes are free: {text}");
}
