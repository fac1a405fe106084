//! One file by two names that lead through different mounts: what its lock reaches, and what it
//! does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::prelude::*;
use ndstore::{ErrorKind, Options, Store};

use super::disk::{Disk, Kind, run};
use super::mapped::mapped;
use super::support::in_fork;

const LEN: usize = 10_000;

/// A directory that shows the files of another one. It is unmounted with this value.
struct Mounted(PathBuf);

impl Mounted {
    /// The files of `lower`, with an upper layer for those that are changed.
    fn overlay(disk: &Disk, lower: &Path) -> Mounted {
        let [upper, work, merged] = ["upper", "work", "merged"].map(|name| {
            let path = disk.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        });
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            upper.display(),
            work.display()
        );
        run(Command::new("mount")
            .args(["-t", "overlay", "-o", &options, "overlay"])
            .arg(&merged));
        Mounted(merged)
    }

    fn bind(disk: &Disk, other: &Path) -> Mounted {
        let path = disk.path().join("bound");
        fs::create_dir(&path).unwrap();
        run(Command::new("mount").arg("--bind").arg(other).arg(&path));
        Mounted(path)
    }

    fn array(&self) -> PathBuf {
        self.0.join("a.npy")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run(Command::new("umount").arg(&self.0));
    }
}

fn numbers(len: usize) -> Array1<f64> {
    Array::from_iter((0..len).map(|number| number as f64))
}

/// A file system, and a directory in it with an array.
fn lower(kind: Kind) -> (Disk, PathBuf) {
    let disk = Disk::new(kind, kind.small());
    let lower = disk.path().join("lower");
    fs::create_dir(&lower).unwrap();
    drop(Store::create_from(lower.join("a.npy"), &numbers(LEN)).unwrap());
    (disk, lower)
}

/// `sudo -E cargo test --test rigs -- --ignored two_names`
#[test]
#[ignore = "needs root and mkfs"]
fn by_one_mount_of_overlayfs_a_file_has_one_lock_also_when_it_is_copied_up() {
    for kind in [Kind::Tmpfs, Kind::Ext4] {
        let (disk, lower) = lower(kind);
        let merged = Mounted::overlay(&disk, &lower);
        let reader = Store::<f64, Ix1>::open(merged.array()).unwrap();
        // Opening it copies it up, before the lock is asked for.
        let refused = Store::<f64, Ix1>::open_rw(merged.array()).unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::Locked { .. }),
            "{refused}"
        );
        assert!(disk.path().join("upper/a.npy").exists());
        assert_eq!(reader.read_all().unwrap(), numbers(LEN));
        assert_eq!(mapped(reader).view(), numbers(LEN));
        let mut writer = Store::<f64, Ix1>::open_rw(merged.array()).unwrap();
        let refused = Store::<f64, Ix1>::open(merged.array()).unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::Locked { .. }),
            "{refused}"
        );
        writer.append(&numbers(3)).unwrap();
    }
}

/// What touches a page that is not there dies, so each store is in a process of its own.
///
/// `sudo -E cargo test --test rigs -- --ignored two_names`
#[test]
#[ignore = "needs root and mkfs"]
fn a_map_shows_the_rows_that_were_appended_after_its_file_was_copied_up() {
    for kind in [Kind::Tmpfs, Kind::Ext4] {
        for maps_late in [false, true] {
            let (disk, lower) = lower(kind);
            let merged = Mounted::overlay(&disk, &lower);
            in_fork(|| {
                let mut reader = Store::<f64, Ix1>::open(merged.array()).unwrap();
                let mut log = Store::<f64, Ix1>::open_append(merged.array());
                let log = log.as_mut().unwrap();
                if maps_late {
                    log.append(&numbers(LEN)).unwrap();
                    assert_eq!(reader.refresh().unwrap(), LEN);
                }
                let mut map = mapped(reader);
                log.append(&numbers(LEN)).unwrap();
                assert_eq!(map.refresh().unwrap(), LEN);
                for part in map.view().exact_chunks(LEN) {
                    assert_eq!(part, numbers(LEN));
                }
            });
        }
    }
}

/// The lock is that of an inode, and a layer has another one than the mount that is made of it:
/// this is what docs/soundness.md warns of.
///
/// `sudo -E cargo test --test rigs -- --ignored two_names`
#[test]
#[ignore = "needs root and mkfs"]
fn a_layer_and_the_overlay_that_is_made_of_it_know_nothing_of_each_others_locks() {
    let (disk, lower) = lower(Kind::Tmpfs);
    let merged = Mounted::overlay(&disk, &lower);
    let reader = Store::<f64, Ix1>::open(merged.array()).unwrap();
    let mut writer = Store::<f64, Ix1>::open_rw(lower.join("a.npy")).unwrap();
    writer.set(0, -1.0).unwrap();
    assert_eq!(reader.get(0).unwrap(), -1.0);
}

/// `sudo -E cargo test --test rigs -- --ignored two_names`
#[test]
#[ignore = "needs root and mkfs"]
fn a_file_has_one_lock_by_all_bind_mounts() {
    for kind in [Kind::Tmpfs, Kind::Ext4] {
        let (disk, lower) = lower(kind);
        let bound = Mounted::bind(&disk, &lower);
        let paths = [lower.join("a.npy"), bound.array()];
        for (one, other) in [(0, 1), (1, 0)] {
            let reader = Store::<f64, Ix1>::open(&paths[one]).unwrap();
            let refused = Store::<f64, Ix1>::open_rw(&paths[other]).unwrap_err();
            assert!(
                matches!(refused.kind(), ErrorKind::Locked { .. }),
                "{refused}"
            );
            drop(reader);
            let _writer = Options::new().open_rw::<f64, Ix1>(&paths[one]).unwrap();
            let refused = Store::<f64, Ix1>::open(&paths[other]).unwrap_err();
            assert!(
                matches!(refused.kind(), ErrorKind::Locked { .. }),
                "{refused}"
            );
        }
    }
}
