//! On file systems that share blocks, a resize along the slowest axis shares them, and no file
//! keeps sharing them.

use std::fs;
use std::path::Path;
use std::process::Command;

use ndarray::prelude::*;
use ndstore::Store;

use super::disk::{Disk, Kind, run};
use super::support::{Peer, assert_no_drafts};

const MIB: usize = 1 << 20;

#[track_caller]
fn assert_writable_on_a_full_disk(disk: &Disk, peer: &mut Peer) {
    disk.fill();
    // It is the second time that copying on write takes new blocks.
    for value in 1..=2 {
        peer.ask(&format!("overwrite {value}")).unwrap();
    }
    assert_no_drafts(disk.path());
}

/// Where on the disk the data of a file starts.
fn place_of_data(path: &Path) -> String {
    let listed = Command::new("filefrag")
        .args(["-v", "-b4096"])
        .arg(path)
        .output();
    let listed = String::from_utf8(listed.expect("filefrag runs").stdout).unwrap();
    // ` 1:        1..    4095:      12345..     16439:   4095: ...`, where the header may be an
    // extent of its own.
    let mut extents = listed.lines().filter_map(|line| {
        let words: Vec<u64> = line
            .split(|char: char| !char.is_ascii_digit())
            .filter(|word| !word.is_empty())
            .filter_map(|word| word.parse().ok())
            .collect();
        let [_, first, last, physical, ..] = words[..] else {
            return None;
        };
        line.trim_start()
            .starts_with(|char: char| char.is_ascii_digit())
            .then_some(())?;
        (first..=last)
            .contains(&1)
            .then(|| (physical + 1 - first).to_string())
    });
    extents
        .next_back()
        .unwrap_or_else(|| panic!("no extent in {listed}"))
}

/// `sudo -E cargo test --test rigs -- --ignored reflink`
#[test]
#[ignore = "needs root and mkfs"]
fn resize_along_the_slowest_axis_moves_no_data_and_needs_no_room_for_two() {
    for kind in Kind::REFLINK {
        // 256 MiB on a disk that has no room for them twice.
        let disk = Disk::new(kind, 480);
        let path = disk.path().join("a.npy");
        let len = 256 * MIB / 8;
        let mut peer = Peer::at(&path);
        peer.ask(&format!("create_from {len}")).unwrap();
        for new in [
            len + len / 100,
            len + len / 100 + 1,
            len / 2 + 7,
            len / 2 + MIB,
        ] {
            let before = place_of_data(&path);
            assert!((disk.free() as usize) < 256 * MIB || new < len);
            peer.ask(&format!("resize {new}")).unwrap();
            assert_eq!(place_of_data(&path), before, "{kind:?}: the data moved");
            assert_no_drafts(disk.path());
        }
        peer.ask("drop").unwrap();
        let store = Store::<f64, Ix1>::open(&path).unwrap();
        assert!(store.is_allocated().unwrap(), "{kind:?}");
        let array = store.read_all().unwrap();
        let (kept, new) = array.view().split_at(Axis(0), len / 2 + 7);
        assert_eq!(
            (kept.sum(), new.sum()),
            (kept.len() as f64, 0.0),
            "{kind:?}"
        );
        drop(store);
        peer.ask("open_rw").unwrap();
        assert_writable_on_a_full_disk(&disk, &mut peer);
    }
}

/// Makes an array, lets `keep` hold on to its blocks, resizes it and checks that they were not
/// shared.
fn resize_beside(kind: Kind, keep: impl Fn(&Disk, &Path) -> std::path::PathBuf) {
    let (len, mebibytes) = (16 * MIB / 8, 320);
    for new in [len + 77, len / 2] {
        let disk = Disk::new(kind, mebibytes);
        // On btrfs an array is not copied on write, and can share blocks only with a file that is
        // not, either.
        if kind == Kind::Btrfs {
            run(Command::new("chattr").arg("+C").arg(disk.path()));
        }
        let path = disk.path().join("a.npy");
        let mut peer = Peer::at(&path);
        peer.ask(&format!("create_from {len}")).unwrap();
        peer.ask("drop").unwrap();
        let kept = keep(&disk, &path);
        let before = fs::read(&kept).unwrap();
        peer.ask("open_rw").unwrap();
        let place = place_of_data(&path);
        peer.ask(&format!("resize {new}")).unwrap();
        assert_ne!(
            place_of_data(&path),
            place,
            "{kind:?}: the blocks are shared"
        );
        assert_writable_on_a_full_disk(&disk, &mut peer);
        assert!(fs::read(&kept).unwrap() == before, "{kind:?}");
    }
}

/// `sudo -E cargo test --test rigs -- --ignored reflink`
#[test]
#[ignore = "needs root and mkfs"]
fn resize_shares_no_block_with_a_hard_link() {
    for kind in Kind::REFLINK {
        resize_beside(kind, |disk, path| {
            let link = disk.path().join("link.npy");
            fs::hard_link(path, &link).unwrap();
            link
        });
    }
}

/// `sudo -E cargo test --test rigs -- --ignored reflink`
#[test]
#[ignore = "needs root and mkfs"]
fn resize_shares_no_block_with_a_snapshot() {
    for kind in Kind::REFLINK {
        resize_beside(kind, |disk, path| {
            let snapshot = disk.path().join("snapshot.npy");
            run(Command::new("cp")
                .arg("--reflink=always")
                .arg(path)
                .arg(&snapshot));
            let store = Store::<f64, Ix1>::open(path).unwrap();
            assert!(
                !store.is_allocated().unwrap(),
                "{kind:?}: shared blocks are not its own"
            );
            snapshot
        });
    }
}

/// `sudo -E cargo test --test rigs -- --ignored reflink`
#[test]
#[ignore = "needs root and mkfs"]
fn resize_along_another_axis_leaves_blocks_of_its_own() {
    for kind in Kind::REFLINK {
        let disk = Disk::new(kind, 320);
        let path = disk.path().join("a.npy");
        // Runs that the kernel copies, at multiples of the block size and not.
        for (old, new) in [((64, 65_536), (64, 32_768)), ((64, 65_536), (65, 65_543))] {
            let model = Array::from_shape_fn(old, |(row, column)| (row * 65_536 + column) as f64);
            let mut store = Store::create_from(&path, &model).unwrap();
            store.resize(new).unwrap();
            let columns = new.1.min(old.1);
            assert!(
                store.read_all().unwrap().slice(s![..64, ..columns])
                    == model.slice(s![.., ..columns])
            );
            assert!(store.is_allocated().unwrap(), "{kind:?}");
            drop(store);
            // Blocks that nobody wrote to are none to share.
            let mut store = Store::<f64, _>::create(&path, old).unwrap();
            store.resize(new).unwrap();
            assert!(store.is_allocated().unwrap(), "{kind:?}: holes");
            drop(store);
        }
    }
}
