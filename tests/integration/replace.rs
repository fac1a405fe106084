//! Replacing and removing files: only a locked file is replaced, only a dead process's draft is
//! removed, and nobody gets more rights than before.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{Error, ErrorKind, Store};
use rustix::fs::XattrFlags;

use super::support::{
    Peer, Why, assert_no_drafts, drafts, give_away, in_time, is_root, mode, open_dir, set_mode,
    three_elements, trace,
};

/// Creates an array while `meanwhile` is done.
fn create_while(path: &Path, mut meanwhile: impl FnMut()) -> ndstore::Result<()> {
    Store::<f64, _>::create_with(path, 3, 3, |_| {
        meanwhile();
        Ok::<_, Error>(())
    })
    .map(drop)
}

#[test]
fn a_link_that_comes_under_the_name_is_refused_and_ends_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let place = path.clone();
    let refused = in_time(move || create_while(&place, || symlink("nowhere", &place).unwrap()));
    assert!(
        matches!(
            refused.why(),
            Some(ErrorKind::NotAFile {
                found: "a symbolic link",
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(fs::read_link(&path).unwrap(), Path::new("nowhere"));
    assert_no_drafts(dir.path());
}

#[test]
fn a_link_of_somebody_else_in_a_sticky_directory_is_not_followed() {
    if !is_root() {
        return;
    }
    let (dir, path) = three_elements();
    let before = trace(&path);
    let shared = dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    set_mode(&shared, 0o1777);
    let link = shared.join("b.npy");
    symlink(&path, &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(1234), Some(1234)).unwrap();
    let error = Store::<f64, _>::create(&link, 5).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::PermissionDenied { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("is not followed"), "{error}");
    assert_eq!(trace(&path), before);
    // Of its own, or of the owner of the directory, it is; and so it is in a directory of another
    // kind.
    std::os::unix::fs::chown(&shared, Some(1234), Some(1234)).unwrap();
    Store::<f64, _>::create(&link, 5).unwrap();
    std::os::unix::fs::lchown(&link, Some(0), Some(0)).unwrap();
    Store::<f64, _>::create(&link, 6).unwrap();
    std::os::unix::fs::lchown(&link, Some(4321), Some(4321)).unwrap();
    set_mode(&shared, 0o777);
    Store::<f64, _>::create(&link, 7).unwrap();
    assert_eq!(Store::<f64, Ix1>::open(&path).unwrap().shape(), [7]);
}

#[test]
fn checksums_are_not_written_through_a_link() {
    let (dir, path) = three_elements();
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    store.write_checksums().unwrap();
    let (sums, moved) = (dir.path().join("a.npy.sums"), dir.path().join("moved"));
    fs::rename(&sums, &moved).unwrap();
    symlink(&moved, &sums).unwrap();
    let before = trace(&moved);
    assert!(store.verify().unwrap().is_intact());
    let error = store.write_checksums().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::NotAFile { .. }),
        "{error}"
    );
    assert_eq!(trace(&moved), before);
}

#[cfg(feature = "npz")]
#[test]
fn a_link_that_comes_under_the_name_of_an_archive_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npz");
    let mut npz = ndstore::NpzWriter::create(&path).unwrap();
    npz.add("x", &array![1.0]).unwrap();
    symlink("nowhere", &path).unwrap();
    let refused = in_time(move || npz.finish());
    assert!(
        matches!(refused.why(), Some(ErrorKind::NotAFile { .. })),
        "{refused:?}"
    );
    assert_no_drafts(dir.path());
}

#[test]
fn what_is_no_file_when_the_new_one_is_ready_stays() {
    type Change = fn(&Path);
    let changes: [Change; 3] = [
        |path| fs::create_dir(path).unwrap(),
        |path| symlink("/dev/null", path).unwrap(),
        |path| rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        for existing in [false, true] {
            let (dir, path) = three_elements();
            if !existing {
                fs::remove_file(&path).unwrap();
            }
            let moved = dir.path().join("moved");
            let place = path.clone();
            let refused = in_time(move || {
                create_while(&place, || {
                    if existing {
                        fs::rename(&place, &moved).unwrap();
                    }
                    change(&place);
                })
            });
            assert!(
                matches!(refused.why(), Some(ErrorKind::NotAFile { .. })),
                "{refused:?}"
            );
            let found = fs::symlink_metadata(&path).unwrap();
            assert!(!found.is_file(), "{number} was replaced");
            assert_no_drafts(dir.path());
        }
    }
}

#[test]
fn an_array_that_comes_under_the_name_is_replaced_unless_somebody_has_it() {
    let (dir, path) = three_elements();
    let moved = dir.path().join("moved");
    let mut living = None;
    let refused = create_while(&path, || {
        fs::rename(&path, &moved).unwrap();
        living = Some(Store::<f64, _>::create_from(&path, &array![7.0]).unwrap());
    });
    assert!(
        matches!(refused.why(), Some(ErrorKind::Locked { .. })),
        "{refused:?}"
    );
    assert_eq!(
        fs::metadata(&path).unwrap().len(),
        4096 + 8,
        "the living store was replaced"
    );
    drop(living);
    fs::remove_file(&path).unwrap();
    create_while(&path, || {
        drop(Store::<f64, _>::create_from(&path, &array![7.0]).unwrap());
    })
    .unwrap();
    assert_eq!(
        Store::<f64, Ix1>::open(&path).unwrap().read_all().unwrap(),
        array![0.0, 0.0, 0.0]
    );
    assert_no_drafts(dir.path());
}

#[test]
fn an_array_whose_name_is_that_of_a_draft_is_nobodys_to_remove() {
    let (dir, path) = three_elements();
    let name = |number: u32| dir.path().join(format!(".a.npy.ndstore-{number}"));
    let mut theirs = Vec::new();
    for number in 0..3 {
        Store::<f64, _>::create_from(name(number), &array![7.0, f64::from(number)]).unwrap();
        theirs.push(name(number));
    }
    // A link to one, an empty file, and a directory that is not of the kind.
    symlink(name(0), name(3)).unwrap();
    File::create(name(4)).unwrap();
    fs::create_dir(name(5)).unwrap();
    fs::write(name(5).join("ndstore-draft-of-mine"), "text").unwrap();
    theirs.extend([name(4), name(5).join("ndstore-draft-of-mine")]);
    let before: Vec<_> = theirs.iter().map(|path| trace(path)).collect();

    let mut store = Store::<f64, _>::create(&path, 5).unwrap();
    store.resize(6).unwrap();
    store.write_checksums().unwrap();
    let after: Vec<_> = theirs.iter().map(|path| trace(path)).collect();
    assert_eq!(after, before);
    assert!(fs::symlink_metadata(name(3)).unwrap().is_symlink());
    assert_eq!(drafts(dir.path()).len(), 6);
}

#[test]
fn what_dead_processes_left_goes_and_what_the_living_have_stays() {
    let (dir, path) = three_elements();
    let room = |number: u32| dir.path().join(format!(".a.npy.ndstore-{number}"));
    let draft = |number: u32| room(number).join("ndstore-draft");
    for number in 0..5 {
        fs::create_dir(room(number)).unwrap();
    }
    // One was killed before there was a file.
    for number in 0..4 {
        fs::write(draft(number), "left over").unwrap();
    }
    let others = dir.path().join(".b.npy.ndstore-0");
    fs::create_dir(&others).unwrap();
    fs::write(others.join("ndstore-draft"), "of another file").unwrap();
    let at_work = File::open(draft(1)).unwrap();
    fs2::FileExt::lock_exclusive(&at_work).unwrap();

    let mut store = Store::<f64, _>::create(&path, 5).unwrap();
    let left = |mut found: Vec<PathBuf>| {
        found.sort();
        found
    };
    assert_eq!(left(drafts(dir.path())), [room(1), others.clone()]);
    fs2::FileExt::unlock(&at_work).unwrap();
    store.resize(6).unwrap();
    assert_eq!(drafts(dir.path()), [others]);
}

#[test]
fn a_stale_draft_in_a_directory_that_others_may_write_is_not_judged() {
    let (dir, path) = three_elements();
    let room = dir.path().join(".a.npy.ndstore-0");
    fs::create_dir(&room).unwrap();
    fs::write(room.join("ndstore-draft"), "left over, or planted").unwrap();
    set_mode(&room, 0o777);
    Store::<f64, _>::create(&path, 5).unwrap();
    assert_eq!(drafts(dir.path()), std::slice::from_ref(&room));
    set_mode(&room, 0o700);
    if is_root() {
        give_away(&room);
        Store::<f64, _>::create(&path, 5).unwrap();
        assert_eq!(drafts(dir.path()), [room]);
    }
}

#[test]
fn what_was_swapped_in_by_a_process_that_died_is_never_removed() {
    let (dir, path) = three_elements();
    let room = dir.path().join(".a.npy.ndstore-0");
    fs::create_dir(&room).unwrap();
    set_mode(&room, 0o700);
    // As a crash leaves it between two swaps: the stranger stands where the draft was, and has the
    // number of neither file.
    let place = |new: u64, old: u64| room.join(format!("ndstore-draft-{new}-{old}"));
    let stranger = place(11, 12);
    let store = Store::<f64, _>::create_from(&stranger, &array![7.0]).unwrap();
    drop(Store::<f64, _>::create(&path, 4).unwrap());
    drop(store);
    drop(Store::<f64, _>::create(&path, 4).unwrap());
    assert_eq!(
        Store::<f64, Ix1>::open(&stranger)
            .unwrap()
            .read_all()
            .unwrap(),
        array![7.0]
    );
    // The draft itself, or the file that it has replaced, may go.
    fs::rename(&stranger, dir.path().join("kept.npy")).unwrap();
    for is_draft in [true, false] {
        let file = dir.path().join("file");
        fs::write(&file, "left over").unwrap();
        let number = fs::metadata(&file).unwrap().ino();
        let left = match is_draft {
            true => place(number, 12),
            false => place(11, number),
        };
        fs::create_dir(&room).or_else(exists).unwrap();
        set_mode(&room, 0o700);
        fs::rename(file, left).unwrap();
        drop(Store::<f64, _>::create(&path, 4).unwrap());
        assert_no_drafts(dir.path());
    }
}

fn exists(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    }
}

#[test]
fn no_set_id_bit_stays_on_a_file_that_changes_its_owner() {
    if !is_root() {
        return;
    }
    let (dir, path) = three_elements();
    for wanted in [0o6777, 0o4777, 0o2777] {
        std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
        set_mode(&path, wanted);
        let mut peer = Peer::unprivileged(&path);
        peer.ask("create 4").unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_ne!((found.uid(), found.gid()), (0, 0));
        assert_eq!(mode(&path), 0o777, "{wanted:o}");
        // Nor does it come by way of a resize.
        drop(peer);
        std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
        set_mode(&path, wanted);
        let mut peer = Peer::unprivileged(&path);
        peer.ask("open_rw").unwrap();
        peer.ask("resize 9").unwrap();
        assert_eq!(mode(&path), 0o777, "{wanted:o}");
    }
    assert_no_drafts(dir.path());
}

#[test]
fn nobody_gets_the_rights_of_a_group_that_is_lost() {
    if !is_root() {
        return;
    }
    let (_dir, path) = three_elements();
    for (before, after) in [
        (0o666, 0o666),
        (0o662, 0o622),
        (0o626, 0o622),
        (0o606, 0o600),
    ] {
        std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
        set_mode(&path, before | 0o006);
        let mut peer = Peer::unprivileged(&path);
        peer.ask("open_rw").unwrap();
        set_mode(&path, before);
        peer.ask("resize 9").unwrap();
        peer.ask("resize 8").unwrap();
        assert_eq!(mode(&path), after, "{before:o}");
    }
}

#[test]
fn capabilities_are_never_handed_on() {
    let (_dir, path) = three_elements();
    const CAPABILITY: &str = "security.capability";
    // Version 2, effective: may override all permissions.
    let mut value = 0x0200_0001_u32.to_le_bytes().to_vec();
    value.extend(2_u32.to_le_bytes());
    value.extend([0; 12]);
    let mut store = Store::<f64, _>::create(&path, 4).unwrap();
    if rustix::fs::setxattr(&path, CAPABILITY, &value, XattrFlags::empty()).is_err() {
        return;
    }
    let has_it = || rustix::fs::getxattr(&path, CAPABILITY, &mut [0; 64][..]).is_ok();
    assert!(has_it());
    store.resize(5).unwrap();
    assert!(!has_it());
}

/// An access list by which the user 1234 may read and write, and the group of the file nothing, as
/// the kernel keeps it.
fn list() -> Vec<u8> {
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in [
        (0x01, 6, u32::MAX),
        (0x02, 6, 1234),
        (0x04, 0, u32::MAX),
        (0x10, 6, u32::MAX),
        (0x20, 6, u32::MAX),
    ] {
        list.extend(u16::to_le_bytes(tag));
        list.extend(u16::to_le_bytes(permissions));
        list.extend(u32::to_le_bytes(id));
    }
    list
}

#[test]
fn an_access_list_goes_with_its_owner_and_leaves_its_group_no_rights() {
    const LIST: &str = "system.posix_acl_access";
    let (_dir, path) = three_elements();
    let set = rustix::fs::setxattr(&path, LIST, &list(), XattrFlags::empty());
    if !is_root() || set.is_err() {
        return;
    }
    assert_eq!(mode(&path), 0o666);
    let mut peer = Peer::unprivileged(&path);
    peer.ask("create 4").unwrap();
    assert!(rustix::fs::getxattr(&path, LIST, &mut [0; 256][..]).is_err());
    // The bits of the group were the most that the list allowed to anybody, and its own rights
    // none.
    assert_eq!(mode(&path), 0o606);
}

#[test]
fn a_file_in_a_sticky_directory_is_refused_before_the_work() {
    if !is_root() {
        return;
    }
    let (dir, path) = three_elements();
    set_mode(&path, 0o666);
    set_mode(dir.path(), 0o1777);
    let before = trace(&path);
    let mut peer = Peer::unprivileged(&path);
    let error = peer.ask("create_at_once 9").unwrap_err();
    assert!(error.starts_with("PermissionDenied {"), "{error}");
    assert!(error.contains("sticky"), "{error}");
    peer.ask("open_rw").unwrap();
    let error = peer.ask("resize 9").unwrap_err();
    assert!(error.contains("sticky"), "{error}");
    assert_eq!(trace(&path), before);
    assert_no_drafts(dir.path());
    // What is its own, it may replace there.
    let own = dir.path().join("own.npy");
    let mut peer = Peer::unprivileged(&own);
    peer.ask("create 9").unwrap();
    peer.ask("drop").unwrap();
    peer.ask("create 5").unwrap();
    assert_no_drafts(dir.path());
}

#[test]
fn checksums_are_read_in_a_directory_that_may_not_be() {
    let (dir, path) = three_elements();
    set_mode(&path, 0o666);
    Store::<f64, Ix1>::open(&path)
        .unwrap()
        .write_checksums()
        .unwrap();
    set_mode(dir.path(), 0o311);
    let mut peer = Peer::unprivileged(&path);
    peer.ask("verify").unwrap();
    let error = peer.ask("checksums").unwrap_err();
    assert!(error.contains("read its directory"), "{error}");
    set_mode(dir.path(), 0o700);
}

/// Everything that goes by a path, in a working directory of its own.
fn go_through(peer: &mut Peer) {
    for order in [
        "create 3",
        "resize 5",
        "append 2",
        "drop",
        "create_from 4",
        "drop",
        "checksums",
        "checksums",
        "open",
        "drop",
        "open_rw",
        "resize 2",
        "drop",
    ] {
        peer.ask(order)
            .unwrap_or_else(|error| panic!("{order}: {error}"));
    }
    #[cfg(feature = "npz")]
    peer.ask("archive 3").unwrap();
}

#[test]
fn a_relative_path_needs_no_way_from_the_root() {
    let dir = open_dir();
    let closed = dir.path().join("closed");
    let inner = closed.join("inner");
    fs::create_dir_all(&inner).unwrap();
    give_away(&inner);
    let mut peer = Peer::unprivileged_in(&inner, Path::new("a.npy"));
    if is_root() {
        set_mode(&closed, 0o700);
    } else {
        set_mode(&closed, 0o000);
    }
    go_through(&mut peer);
    set_mode(&closed, 0o700);
    assert_no_drafts(&inner);
}

#[test]
fn a_relative_path_may_begin_deeper_than_any_path_goes() {
    let dir = open_dir();
    let mut peer = Peer::unprivileged_in(dir.path(), Path::new("a.npy"));
    for depth in [19, 3] {
        peer.ask(&format!("burrow {depth}")).unwrap();
        go_through(&mut peer);
    }
}
