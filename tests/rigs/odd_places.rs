//! Places that lack what most have: names that cannot be swapped or linked, locks that want a file
//! open for writing, and a file that is mounted by itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use ndarray::prelude::*;
use ndstore::{Error, ErrorKind, Store};
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::disk::{Disk, Kind, run};
use super::support::{Peer, assert_no_drafts, drafts, trace};

/// A process whose calls are as in a file system that lacks some, and where its log is.
fn without(calls: &[&str], path: &Path) -> Peer {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-o"])
        .arg(path.with_extension("log"));
    for call in calls {
        strace.args(["-e", &format!("inject={call}")]);
    }
    strace.args(["-e", "trace=renameat2,renameat,rename,linkat"]);
    Peer::by_way_of(strace, path)
}

/// `sudo -E cargo test --test rigs -- --ignored odd_places`
#[test]
#[ignore = "needs strace"]
fn files_are_made_and_replaced_where_names_are_neither_swapped_nor_linked() {
    let no_flags = "renameat2:error=EINVAL";
    for calls in [&[no_flags][..], &[no_flags, "linkat:error=EPERM"]] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let mut peer = without(calls, &path);
        for order in [
            "create 5",
            "resize 7",
            "append 2",
            "drop",
            "create_from 4",
            "drop",
            "checksums",
            "checksums",
        ] {
            peer.ask(order)
                .unwrap_or_else(|error| panic!("{calls:?}, {order}: {error}"));
        }
        #[cfg(feature = "npz")]
        {
            fs::remove_file(&path).unwrap();
            peer.ask("archive 3").unwrap();
            fs::remove_file(&path).unwrap();
            peer.ask("create_from 4").unwrap();
        }
        peer.finish();
        let store = Store::<f64, Ix1>::open(&path).unwrap();
        assert_eq!(store.read_all().unwrap(), Array1::<f64>::ones(4));
        let log = fs::read_to_string(path.with_extension("log")).unwrap();
        assert!(log.contains("(INJECTED)"), "{log}");
        assert_no_drafts(dir.path());
    }
}

/// `sudo -E cargo test --test rigs -- --ignored odd_places`
#[test]
#[ignore = "needs strace"]
fn a_name_that_is_claimed_and_cannot_be_given_is_free_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let none = [
        "renameat2:error=EINVAL",
        "linkat:error=EPERM",
        "renameat:error=EIO",
        "rename:error=EIO",
    ];
    let mut peer = without(&none, &path);
    let error = peer.ask("create 5").unwrap_err();
    assert!(error.starts_with("Io {"), "{error}");
    assert!(!path.exists());
    assert_no_drafts(dir.path());
}

/// Some network file systems lock exclusively only what is open for writing.
///
/// `sudo -E cargo test --test rigs -- --ignored odd_places`
#[test]
#[ignore = "needs strace"]
fn a_stale_draft_is_open_for_writing_when_it_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let room = dir.path().join(".a.npy.ndstore-0");
    fs::create_dir(&room).unwrap();
    fs::write(room.join("ndstore-draft"), "left over").unwrap();
    let file = path.with_extension("log");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-y", "-e", "trace=openat,flock", "-o"])
        .arg(&file);
    let mut peer = Peer::by_way_of(strace, &path);
    peer.ask("create 5").unwrap();
    peer.finish();
    let log = fs::read_to_string(file).unwrap();
    let in_room = |line: &&str| line.contains(".a.npy.ndstore-0");
    let mut lines = log
        .lines()
        .filter(in_room)
        .skip_while(|line| !line.contains("\"ndstore-draft\""));
    let opened = lines.next().expect("it is opened");
    let is_open = ["O_RDWR", "O_NOFOLLOW"].map(|flag| opened.contains(flag));
    assert_eq!(is_open, [true; 2], "{opened}");
    let locked = lines.next().expect("it is locked");
    assert!(
        locked.contains("flock(") && locked.contains("LOCK_EX|LOCK_NB"),
        "{locked}"
    );
    assert_no_drafts(dir.path());
}

/// A file that another one is mounted on, as containers do. It goes with this value.
struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

/// `sudo -E cargo test --test rigs -- --ignored odd_places`
#[test]
#[ignore = "needs root"]
fn a_file_that_is_mounted_by_itself_is_refused_before_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let [path, other] = ["a.npy", "other.npy"].map(|name| dir.path().join(name));
    for path in [&path, &other] {
        drop(Store::create_from(path, &array![1.0, 2.0]).unwrap());
    }
    run(Command::new("mount").arg("--bind").arg(&other).arg(&path));
    let _mount = Mount(&path);
    let before = trace(&path);
    let refused = Store::<f64, _>::create_with(&path, 9, 1, |_| panic!("it came to work"));
    let error: Error = refused.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Mounted), "{error}");
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    let error = store.resize(9).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Mounted), "{error}");
    assert_eq!(trace(&path), before);
    assert_no_drafts(dir.path());
    // It grows in place, as the message says.
    store.append(&array![3.0]).unwrap();
    assert_eq!(store.read_all().unwrap(), array![1.0, 2.0, 3.0]);
}

/// `sudo -E cargo test --test rigs -- --ignored odd_places`
#[test]
#[ignore = "needs strace"]
fn a_file_system_without_maps_is_read_and_written_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    drop(Store::create_from(&path, &Array1::<f64>::ones(1000)).unwrap());
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-o"])
        .arg(path.with_extension("log"));
    strace.arg("-P").arg(&path);
    strace.args(["-e", "inject=mmap:error=ENODEV", "-e", "trace=mmap"]);
    let mut peer = Peer::by_way_of(strace, &path);
    let error = peer.ask("not_mapped 0").unwrap_err();
    assert!(error.starts_with("NotMapped {"), "{error}");
    assert!(error.contains("without one, as a `Store` does"), "{error}");
    peer.ask("checksums").unwrap();
    peer.finish();
}

/// A process to which the calls that concern one file fail, as on a file system without locks.
fn unlockable(call: &str, path: &Path) -> Peer {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-o"])
        .arg(path.with_extension("log"));
    strace.arg("-P").arg(path);
    strace.args(["-e", &format!("inject={call}"), "-e", "trace=flock,fcntl"]);
    Peer::by_way_of(strace, path)
}

/// `sudo -E cargo test --test rigs -- --ignored odd_places`
#[test]
#[ignore = "needs strace"]
fn where_there_are_no_locks_a_file_is_opened_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    drop(Store::create_from(&path, &Array1::<f64>::ones(3)).unwrap());
    let mut peer = unlockable("flock:error=ENOLCK", &path);
    for order in ["open", "open_rw"] {
        let error = peer.ask(order).unwrap_err();
        assert!(error.starts_with("LockUnsupported {"), "{error}");
        assert!(error.contains("open it with `Options::no_lock`"), "{error}");
    }
    peer.ask("open_unlocked").unwrap();
    peer.finish();
}

/// `sudo -E cargo test --test rigs -- --ignored odd_places`
#[test]
#[ignore = "needs strace"]
fn where_files_are_not_locked_in_part_one_is_opened_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    drop(Store::create_from(&path, &Array1::<f64>::ones(3)).unwrap());
    let mut peer = unlockable("fcntl:error=EINVAL", &path);
    for order in ["open_append", "open_row 1", "open_shared"] {
        let error = peer.ask(order).unwrap_err();
        assert!(error.starts_with("LockUnsupported {"), "{error}");
        assert!(error.contains("alone, with `Store::open_rw`"), "{error}");
    }
    peer.ask("open_rw").unwrap();
    peer.ask("append 2").unwrap();
    peer.finish();
    assert_eq!(Store::<f64, Ix1>::open(&path).unwrap().shape(), [5]);
}

/// `sudo -E cargo test --test rigs -- --ignored odd_places`
#[test]
#[ignore = "needs root, exfatprogs and exfat-fuse"]
fn on_exfat_files_are_made_replaced_and_grown() {
    let disk = Disk::new(Kind::ExFat, Kind::ExFat.small());
    let at = |name: &str| disk.path().join(name);
    // What it lacks.
    for name in ["one", "two"] {
        fs::write(at(name), name).unwrap();
    }
    let linked = fs::hard_link(at("one"), at("three")).unwrap_err();
    assert_eq!(linked.kind(), std::io::ErrorKind::PermissionDenied);
    for (flag, to) in [
        (RenameFlags::NOREPLACE, "three"),
        (RenameFlags::EXCHANGE, "two"),
    ] {
        let renamed = rustix::fs::renameat_with(CWD, at("one"), CWD, at(to), flag);
        assert_eq!(renamed, Err(Errno::INVAL));
    }

    let path = at("a.npy");
    let numbers = Array1::from_iter((0..30_000).map(f64::from));
    drop(Store::<f64, _>::create_new(&path, 3).unwrap());
    let refused = Store::<f64, _>::create_new(&path, 3).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::AlreadyExists),
        "{refused}"
    );
    drop(Store::create_from(&path, &numbers).unwrap());
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    // One lock for all who open it there.
    let refused = Store::<f64, Ix1>::open(&path).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Locked { .. }),
        "{refused}"
    );
    let refused = Store::<f64, _>::create(&path, 3).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Locked { .. }),
        "{refused}"
    );
    store.resize(40_000).unwrap();
    store.append(&numbers).unwrap();
    store.truncate(40_000).unwrap();
    store.set(39_999, 7.0).unwrap();
    store.write_checksums().unwrap();
    store.write_checksums().unwrap();
    store.close().unwrap();
    let made = Store::<f64, _>::create_with(at("b.npy"), 30_000, 1000, |mut block| {
        block.view.fill(1.0);
        Ok::<_, Error>(())
    });
    assert_eq!(made.unwrap().out_of_core().sum().unwrap(), 30_000.0);
    #[cfg(feature = "npz")]
    for len in [3, 5] {
        let mut npz = ndstore::NpzWriter::create(at("c.npz")).unwrap();
        npz.add("x", &numbers.slice(s![..len])).unwrap();
        npz.finish().unwrap();
        let npz = ndstore::Npz::open(at("c.npz")).unwrap();
        assert_eq!(npz.read::<f64, Ix1>("x").unwrap(), numbers.slice(s![..len]));
    }
    // Parts of a file are locked there as well.
    let mut log = Store::<f64, Ix1>::open_append(&path).unwrap();
    let mut reader = Store::<f64, Ix1>::open(&path).unwrap();
    log.append(&numbers.slice(s![..5])).unwrap();
    assert_eq!(reader.refresh().unwrap(), 5);
    let refused = Store::<f64, Ix1>::open_append(&path).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Locked { .. }),
        "{refused}"
    );
    drop((log, reader));
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    store.truncate(40_000).unwrap();
    store.close().unwrap();
    assert_no_drafts(disk.path());

    // Nothing of it was in memory alone.
    disk.remount();
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert!(store.verify().unwrap().is_intact());
    assert_eq!(store.read(s![..30_000]).unwrap(), numbers);
    assert_eq!(store.read(s![39_998..]).unwrap(), array![0.0, 7.0]);
    drop(store);

    // A draft whose process died stays: anybody may write in its room, so it is nobody's to judge.
    let mut peer = Peer::at(&path);
    peer.ask("open_rw").unwrap();
    peer.kill();
    let room = at(".a.npy.ndstore-0");
    fs::create_dir(&room).unwrap();
    fs::write(room.join("ndstore-draft"), "left over").unwrap();
    drop(Store::create_from(&path, &numbers).unwrap());
    assert_eq!(drafts(disk.path()), [room]);
}
