//! One file by two names that lead through different mounts: what its lock reaches, and what it
//! does not.

use std::fs;
use std::os::unix::fs::MetadataExt;
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

    /// The files of `other`, passed on by a server in user space.
    fn served(disk: &Disk, other: &Path, options: &[&str]) -> Mounted {
        let path = disk.path().join("served");
        fs::create_dir_all(&path).unwrap();
        run(Command::new("bindfs").args(options).arg(other).arg(&path));
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

/// A file system in user space has a lock of its own for each of its files, and a page cache of its
/// own. Whether the server passes the lock on is its affair.
///
/// `sudo -E cargo test --test rigs -- --ignored two_names`
#[test]
#[ignore = "needs root, FUSE and bindfs"]
fn a_file_system_in_user_space_and_the_files_behind_it_share_a_lock_if_the_server_passes_it_on() {
    let refused = |refused: ndstore::Error| {
        assert!(
            matches!(refused.kind(), ErrorKind::Locked { .. }),
            "{refused}"
        );
    };
    for passed_on in [false, true] {
        let (disk, lower) = lower(Kind::Tmpfs);
        let behind = lower.join("a.npy");
        let options: &[&str] = match passed_on {
            true => &["--enable-lock-forwarding", "--multithreaded"],
            false => &[],
        };
        let served = Mounted::served(&disk, &lower, options);
        let inode = |path: &Path| {
            let found = fs::metadata(path).unwrap();
            (found.dev(), found.ino())
        };
        assert_ne!(inode(&served.array()), inode(&behind));

        // By the mount alone there is one lock.
        let reader = Store::<f64, Ix1>::open(served.array()).unwrap();
        refused(Store::<f64, Ix1>::open_rw(served.array()).unwrap_err());
        assert_eq!(reader.read_all().unwrap(), numbers(LEN));
        assert_eq!(mapped(reader).view(), numbers(LEN));
        let log = Store::<f64, Ix1>::open_append(served.array());
        if passed_on {
            // This server holds all locks of ranges as one process, and so grants every one of
            // them.
            let error = log.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::LockUnsupported { .. }),
                "{error}"
            );
        } else {
            refused(Store::<f64, Ix1>::open_append(served.array()).unwrap_err());
            drop((
                log.unwrap(),
                Store::<f64, Ix1>::open(served.array()).unwrap(),
            ));
        }

        let reader = Store::<f64, Ix1>::open(served.array()).unwrap();
        let writer = Store::<f64, Ix1>::open_rw(&behind);
        if passed_on {
            refused(writer.unwrap_err());
            drop(reader);
            let _writer = Store::<f64, Ix1>::open_rw(&behind).unwrap();
            refused(Store::<f64, Ix1>::open(served.array()).unwrap_err());
            continue;
        }
        // Neither knows of the other. The reader has what its own page cache has, old or new, and
        // whoever opens the file after that has what is there.
        let mut writer = writer.unwrap();
        writer.set(0, -1.0).unwrap();
        writer.append(&numbers(3)).unwrap();
        writer.close().unwrap();
        assert!([0.0, -1.0].contains(&reader.get(0).unwrap()));
        drop(reader);
        let reader = Store::<f64, Ix1>::open(served.array()).unwrap();
        assert_eq!((reader.len(), reader.get(0).unwrap()), (LEN + 3, -1.0));
        drop(reader);
        // And the other way round.
        let mut writer = Store::<f64, Ix1>::open_rw(served.array()).unwrap();
        let _reader = Store::<f64, Ix1>::open(&behind).unwrap();
        writer.set(0, -2.0).unwrap();
        writer.close().unwrap();
        assert_eq!(
            Store::<f64, Ix1>::open(&behind).unwrap().get(0).unwrap(),
            -2.0
        );
    }
}
