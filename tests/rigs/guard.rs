//! With a guard, a SIGBUS becomes an error even if no file is cut: the disk is full, or cannot be
//! read.
//!
//! Each store is in a process of its own, which must live.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use ndarray::prelude::*;
use ndstore::{Options, Store};
use rustix::fs::{Advice, fadvise};

use super::disk::{Disk, Kind, run};
use super::support::Peer;

const LEN: usize = 2 << 20;

/// `sudo -E cargo test --test rigs -- --ignored guard`
#[test]
#[ignore = "needs root and mkfs"]
fn a_sparse_array_with_a_guard_survives_a_full_disk_and_says_so() {
    for kind in Kind::ALL {
        let disk = Disk::new(kind, kind.small());
        let mut peer = Peer::at(&disk.path().join("a.npy"));
        peer.ask(&format!("create_guarded {LEN}")).unwrap();
        disk.fill();
        for order in ["overwrite 1", "overwrite 2", "append 3", "resize 4"] {
            let error = peer.ask(order).unwrap_err();
            assert!(error.starts_with("Faulted {"), "{kind:?} {order}: {error}");
        }
        peer.ask("drop").unwrap();
        peer.finish();
    }
}

/// `sudo -E cargo test --test rigs -- --ignored guard`
#[test]
#[ignore = "needs root and mkfs"]
fn a_page_that_the_disk_cannot_read_is_an_error() {
    let disk = Disk::new(Kind::Btrfs, Kind::Btrfs.small());
    let path = disk.path().join("a.npy");
    let memory = tempfile::tempdir().unwrap();
    let whole = memory.path().join("a.npy");
    let numbers = Array::from_elem(LEN, 1234.5678);
    let compact = Options::new().compact(true);
    drop(compact.create_from(&whole, &numbers).unwrap());
    // By a program that leaves btrfs its checksums.
    fs::write(&path, fs::read(&whole).unwrap()).unwrap();
    run(std::process::Command::new("sync")
        .arg("-f")
        .arg(disk.path()));
    let mut peer = Peer::at(&path);
    peer.ask("scan_guarded 0").unwrap();

    // One byte of one block on the disk, and nothing of it in memory.
    let image = disk.path().with_file_name("image");
    let bytes = fs::read(&image).unwrap();
    let block = bytemuck::cast_slice(&[1234.5678_f64; 512]);
    let at = bytes.chunks(4096).rposition(|found| found == block);
    let image = File::options().write(true).open(image).unwrap();
    image.write_all_at(&[0], 4096 * at.unwrap() as u64).unwrap();
    let file = File::open(&path).unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    drop(file);

    let error = peer.ask("scan_guarded 0").unwrap_err();
    assert!(error.starts_with("Faulted {"), "{error}");
    // As it says of a file that is as long as it was.
    assert!(error.contains("its disk failed or is full"), "{error}");
    // It lives, and so does what is whole.
    let mut other = Peer::at(&whole);
    other.ask("scan_guarded 0").unwrap();
    peer.finish();
    drop(Store::<f64, Ix1>::open(&whole).unwrap());
}

/// A full tmpfs has no page even for a hole that is only read.
///
/// `sudo -E cargo test --test rigs -- --ignored guard`
#[test]
#[ignore = "needs root"]
fn a_hole_of_a_full_tmpfs_is_read_without_a_map_and_is_an_error_under_a_guard() {
    let disk = Disk::new(Kind::Tmpfs, Kind::Tmpfs.small());
    let path = disk.path().join("a.npy");
    let mut store = Options::new()
        .sparse(true)
        .create::<f64, _>(&path, LEN)
        .unwrap();
    store.set(0, 1.0).unwrap();
    store.close().unwrap();
    disk.fill();
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(store.read_all().unwrap().sum(), 1.0);
    let mut peer = Peer::at(&path);
    let error = peer.ask("scan_guarded 0").unwrap_err();
    assert!(error.starts_with("Faulted {"), "{error}");
    assert!(error.contains("its disk failed or is full"), "{error}");
    peer.finish();
}
