//! A new file is whole and durable before it gets its name; until then the old file keeps every
//! byte.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

use ndarray::prelude::*;
use ndstore::{AnyStore, ErrorKind, Options, Order, Result, Store};
use proptest::prelude::*;
use rustix::fs::XattrFlags;

use super::support::{
    Peer, Why, assert_no_drafts, bytes_of, drafts, give_away, in_time, is_root, mode, set_mode,
    three_elements, trace, wait_until,
};

#[test]
fn a_refused_create_leaves_the_old_file_as_it_was() {
    let (dir, path) = three_elements();
    set_mode(&path, 0o640);
    let before = trace(&path);
    let refusals = [
        Store::<f64, _>::create(&path, (usize::MAX, 2)).map(drop),
        Store::<f64, _>::create(&path, usize::MAX).map(drop),
        Store::<u8, _>::create(&path, (isize::MAX as usize, 0, 2)).map(drop),
        Store::<u8, _>::create(&path, i64::MAX as usize).map(drop),
        Options::new()
            .shape((2, 2))
            .create::<f64, _>(&path, (2, 3))
            .map(drop),
        Options::new()
            .raw(0)
            .compact(true)
            .create::<f64, _>(&path, 3)
            .map(drop),
        Options::new()
            .raw(u64::MAX)
            .create::<f64, _>(&path, 3)
            .map(drop),
        Store::<f64, _>::create_new(&path, 3).map(drop),
        // More than the disk has.
        Store::<u8, _>::create(&path, 1 << 60).map(drop),
        Store::<u8, _>::create(path.join("below"), 3).map(drop),
        Store::<u8, _>::create(dir.path().join("none").join("a.npy"), 3).map(drop),
        Store::<u8, _>::create("", 3).map(drop),
    ];
    for (number, refusal) in refusals.into_iter().enumerate() {
        assert!(refusal.is_err(), "{number} was not refused");
        assert_eq!(trace(&path), before, "{number}");
    }
    assert_no_drafts(dir.path());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn w_plus_never_truncates_a_file_it_cannot_lock() {
    let (dir, path) = three_elements();
    let before = trace(&path);
    let _reader = Store::<f64, Ix1>::open(&path).unwrap();
    for refused in [
        Store::<f64, _>::create(&path, 9).map(drop),
        Store::<f64, _>::create_from(&path, &array![[0.0]]).map(drop),
    ] {
        assert!(
            matches!(refused.why(), Some(ErrorKind::Locked { .. })),
            "{refused:?}"
        );
        assert_eq!(trace(&path), before);
    }
    assert_no_drafts(dir.path());
}

#[test]
fn a_file_that_may_not_be_written_is_not_replaced() {
    let (dir, path) = three_elements();
    give_away(&path);
    set_mode(&path, 0o444);
    let before = trace(&path);
    let mut peer = Peer::unprivileged(&path);
    let error = peer.ask("create 9").unwrap_err();
    assert!(error.starts_with("PermissionDenied {"), "{error}");
    assert!(error.contains("read and write it"), "{error}");
    assert_eq!(trace(&path), before);
    assert_no_drafts(dir.path());
}

#[test]
fn where_no_file_can_be_made_the_old_one_stays() {
    let (dir, path) = three_elements();
    give_away(&path);
    set_mode(dir.path(), 0o555);
    let before = trace(&path);
    let mut peer = Peer::unprivileged(&path);
    for order in ["create 9", "create_from 9"] {
        let error = peer.ask(order).unwrap_err();
        assert!(error.starts_with("PermissionDenied {"), "{error}");
        assert!(error.contains("make a file in its directory"), "{error}");
    }
    // Nor does the refusal leave a lock.
    peer.ask("open_rw").unwrap();
    peer.ask("drop").unwrap();
    let mut peer = Peer::unprivileged(&dir.path().join("new.npy"));
    let error = peer.ask("create 9").unwrap_err();
    assert!(error.starts_with("PermissionDenied {"), "{error}");
    drop(peer);
    assert_eq!(trace(&path), before);
    set_mode(dir.path(), 0o777);
    assert_no_drafts(dir.path());
}

#[test]
fn a_device_stays_a_device() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("null.npy");
    symlink("/dev/null", &link).unwrap();
    for refused in [
        Store::<f64, _>::create(&link, 3).map(drop),
        Store::<f64, _>::create_from(&link, &array![1.0]).map(drop),
        Store::<f64, Ix1>::open_rw(&link).map(drop),
        Store::<f64, Ix1>::open(&link).map(drop),
    ] {
        assert!(
            matches!(
                refused.why(),
                Some(ErrorKind::NotAFile {
                    found: "a device",
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn a_fifo_is_refused_without_waiting_for_its_other_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo.npy");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let attempts: [fn(&Path) -> Result<()>; 4] = [
        |path| Store::<f64, _>::create(path, 3).map(drop),
        |path| Store::<f64, Ix1>::open(path).map(drop),
        |path| Store::<f64, Ix1>::open_rw(path).map(drop),
        |path| AnyStore::open(path).map(drop),
    ];
    for attempt in attempts {
        let place = path.clone();
        let refused = in_time(move || attempt(&place));
        assert!(
            matches!(
                refused.why(),
                Some(ErrorKind::NotAFile {
                    found: "a FIFO",
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    assert_no_drafts(dir.path());
}

#[test]
fn what_is_not_a_file_is_refused_as_such_also_when_somebody_locks_it() {
    let dir = tempfile::tempdir().unwrap();
    let locked = File::open(dir.path()).unwrap();
    fs2::FileExt::lock_exclusive(&locked).unwrap();
    for refused in [
        Store::<f64, _>::create(dir.path(), 3).map(drop),
        Store::<f64, Ix1>::open_rw(dir.path()).map(drop),
        Store::<f64, Ix1>::open(dir.path()).map(drop),
    ] {
        assert!(
            matches!(
                refused.why(),
                Some(ErrorKind::NotAFile {
                    found: "a directory",
                    ..
                })
            ),
            "{refused:?}"
        );
    }
}

#[test]
fn past_the_limit_on_file_sizes_is_an_error_and_no_signal() {
    let (dir, path) = three_elements();
    let before = trace(&path);
    // In units of 512 or of 1024 bytes, by the shell.
    let mut peer = Peer::under("ulimit -f 100", &path);
    for order in [
        "create 100000",
        "create_from 100000",
        "create_sparse 100000",
    ] {
        let error = peer.ask(order).unwrap_err();
        assert!(error.starts_with("FileTooLarge {"), "{error}");
        assert!(error.contains("its 804096 bytes"), "{error}");
        assert_eq!(trace(&path), before);
    }
    assert_no_drafts(dir.path());

    peer.ask("open_rw").unwrap();
    let error = peer.ask("resize 100000").unwrap_err();
    assert!(error.starts_with("FileTooLarge {"), "{error}");
    assert_eq!(trace(&path), before);
    peer.ask("overwrite 4").unwrap();
    peer.ask("resize 4000").unwrap();
    peer.ask("drop").unwrap();
    peer.ask("create 5000").unwrap();
    assert_no_drafts(dir.path());
}

#[test]
fn temporary_files_of_a_killed_process_go_with_the_next_create() {
    let (dir, path) = three_elements();
    let inode = || fs::metadata(&path).unwrap().ino();
    let left = loop {
        let before = inode();
        let mut peer = Peer::at(&path);
        peer.begin("create_from 4000000");
        wait_until(|| !drafts(dir.path()).is_empty() || inode() != before);
        peer.kill();
        let left = drafts(dir.path());
        if !left.is_empty() {
            break left;
        }
        // It was too fast to be caught in the middle.
        Store::<f64, _>::create_from(&path, &array![1.0, 2.0, 3.0]).unwrap();
    };
    assert_eq!(
        left,
        [dir.path().canonicalize().unwrap().join(".a.npy.ndstore-0")]
    );
    assert_eq!(
        Store::<f64, Ix1>::open(&path).unwrap().read_all().unwrap(),
        array![1.0, 2.0, 3.0]
    );
    Store::<f64, _>::create(&path, 5).unwrap();
    assert_no_drafts(dir.path());
}

#[test]
fn a_replaced_file_keeps_its_mode_and_owner() {
    let (dir, path) = three_elements();
    for wanted in [0o640, 0o600, 0o666, 0o755] {
        set_mode(&path, wanted);
        Store::<f64, _>::create(&path, 4).unwrap();
        assert_eq!(mode(&path), wanted);
        Store::<f64, _>::create_from(&path, &array![[1, 2]].mapv(f64::from)).unwrap();
        assert_eq!(mode(&path), wanted);
    }
    if is_root() {
        std::os::unix::fs::chown(&path, Some(1234), Some(4321)).unwrap();
        // A change of owner clears the set-id bits, unless they are set afterwards.
        set_mode(&path, 0o6750);
        Store::<f64, _>::create(&path, 4).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid()), (1234, 4321));
        assert_eq!(mode(&path), 0o6750);
    }
    assert_no_drafts(dir.path());
}

#[test]
fn what_replaces_a_private_file_is_private_from_the_start() {
    let (dir, path) = three_elements();
    set_mode(&path, 0o600);
    let mut peer = Peer::under("umask 0", &path);
    for order in ["create_from 4000000", "resize 8000000"] {
        let before = fs::metadata(&path).unwrap().ino();
        peer.begin(order);
        wait_until(|| {
            for draft in drafts(dir.path()) {
                // It may have its final name by now.
                if let Ok(found) = fs::metadata(draft) {
                    assert_eq!(found.mode() & 0o077, 0, "others may look while it is made");
                }
            }
            fs::metadata(&path).unwrap().ino() != before
        });
        peer.answer().unwrap();
        assert_eq!(mode(&path), 0o600);
    }
}

/// An access control list by which the user 1234 may read, as the kernel keeps it.
fn access_list() -> Vec<u8> {
    const NOBODY_IN_PARTICULAR: u32 = u32::MAX;
    let (owner, user, group, mask, other) = (0x01, 0x02, 0x04, 0x10, 0x20);
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in [
        (owner, 6, NOBODY_IN_PARTICULAR),
        (user, 4, 1234),
        (group, 0, NOBODY_IN_PARTICULAR),
        (mask, 4, NOBODY_IN_PARTICULAR),
        (other, 0, NOBODY_IN_PARTICULAR),
    ] {
        list.extend(u16::to_le_bytes(tag));
        list.extend(u16::to_le_bytes(permissions));
        list.extend(u32::to_le_bytes(id));
    }
    list
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1 << 16];
    let len = rustix::fs::getxattr(path, name, &mut value[..]).ok()?;
    value.truncate(len);
    Some(value)
}

const ACCESS_LIST: &str = "system.posix_acl_access";

#[test]
fn a_replaced_file_keeps_its_attributes_and_access_list() {
    let (_dir, path) = three_elements();
    let attributes = [
        ("user.origin", b"station 4".to_vec()),
        ("user.empty", Vec::new()),
        (ACCESS_LIST, access_list()),
    ];
    let kept: Vec<_> = attributes
        .into_iter()
        .filter(|(name, value)| {
            rustix::fs::setxattr(&path, *name, value, XattrFlags::empty()).is_ok()
        })
        .collect();
    let mode_before = mode(&path);
    let mut store = Store::<f64, _>::create(&path, 4).unwrap();
    for step in ["create", "resize"] {
        for (name, value) in &kept {
            assert_eq!(
                attribute(&path, name).as_ref(),
                Some(value),
                "{step} {name}"
            );
        }
        assert_eq!(mode(&path), mode_before, "{step}");
        store.resize(7).unwrap();
    }
}

#[test]
fn a_replaced_file_gets_no_access_list_that_it_did_not_have() {
    let (dir, path) = three_elements();
    set_mode(&path, 0o640);
    let default = rustix::fs::setxattr(
        dir.path(),
        "system.posix_acl_default",
        &access_list(),
        XattrFlags::empty(),
    );
    if default.is_err() {
        return;
    }
    let mut store = Store::<f64, _>::create(&path, 4).unwrap();
    assert_eq!((attribute(&path, ACCESS_LIST), mode(&path)), (None, 0o640));
    store.resize(5).unwrap();
    assert_eq!((attribute(&path, ACCESS_LIST), mode(&path)), (None, 0o640));
    // Unlike a fresh one.
    let fresh = dir.path().join("fresh.npy");
    Store::<f64, _>::create(&fresh, 4).unwrap();
    assert_eq!(attribute(&fresh, ACCESS_LIST), Some(access_list()));
}

#[test]
fn a_fresh_file_has_the_mode_that_the_umask_leaves() {
    let dir = tempfile::tempdir().unwrap();
    for (umask, wanted) in [
        ("umask 027", 0o640),
        ("umask 0", 0o666),
        ("umask 077", 0o600),
    ] {
        for order in ["create 3", "create_from 3", "create_sparse 3"] {
            let path = dir.path().join(format!("{umask} {order}"));
            Peer::under(umask, &path).ask(order).unwrap();
            assert_eq!(mode(&path), wanted, "{umask} {order}");
        }
    }
}

#[test]
fn symbolic_links_are_followed_and_kept() {
    let (dir, path) = three_elements();
    let [far, near, dangling] = ["far", "near", "dangling"].map(|name| dir.path().join(name));
    symlink(&path, &far).unwrap();
    symlink("far", &near).unwrap();
    symlink("elsewhere/new.npy", &dangling).unwrap();
    let elsewhere = dir.path().join("elsewhere");

    let mut store = Store::<f64, _>::create(&near, 8).unwrap();
    store.resize(9).unwrap();
    assert_eq!(store.path(), near);
    drop(store);
    assert_eq!(Store::<f64, Ix1>::open(&path).unwrap().shape(), [9]);

    let error = Store::<f64, _>::create(&dangling, 3).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::NotFound { .. }),
        "{error}"
    );
    fs::create_dir(&elsewhere).unwrap();
    Store::<f64, _>::create(&dangling, 3).unwrap();
    assert!(
        fs::symlink_metadata(elsewhere.join("new.npy"))
            .unwrap()
            .is_file()
    );
    Store::<f64, _>::create(&dangling, 4).unwrap();
    assert_eq!(Store::<f64, Ix1>::open(&dangling).unwrap().shape(), [4]);

    for link in [far, near, dangling] {
        assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    }
    assert_no_drafts(dir.path());
    assert_no_drafts(&elsewhere);
}

#[test]
fn a_circle_of_symbolic_links_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    symlink(&one, &two).unwrap();
    symlink(&two, &one).unwrap();
    let refused = in_time(move || Store::<f64, _>::create(&one, 3).map(drop));
    assert!(
        matches!(refused.why(), Some(ErrorKind::Io { .. })),
        "{refused:?}"
    );
}

#[test]
fn other_hard_links_keep_the_old_array() {
    let (dir, path) = three_elements();
    let other = dir.path().join("other.npy");
    fs::hard_link(&path, &other).unwrap();
    let before = fs::read(&other).unwrap();
    Store::<f64, _>::create(&path, 8).unwrap();
    assert_eq!(fs::read(&other).unwrap(), before);
    Store::<f64, Ix1>::open_rw(&other).unwrap();
}

#[test]
fn any_name_will_do() {
    let dir = tempfile::tempdir().unwrap();
    let mut names: Vec<OsString> = ["a b", "\n", "-", "*", ".hidden", "é", ".npy", "\\"]
        .into_iter()
        .map(OsString::from)
        .collect();
    names.push(OsStr::from_bytes(b"\xff\xfe not \x80 UTF-8").to_owned());
    names.extend([244, 245, 254, 255].map(|len| "n".repeat(len).into()));
    names.push("é".repeat(127).into());
    names.push(OsStr::from_bytes(&[0xff; 255]).to_owned());
    for name in names {
        let path = dir.path().join(&name);
        Store::<f64, _>::create(&path, 2).unwrap();
        let mut store = Store::<f64, _>::create_from(&path, &array![1.0]).unwrap();
        store.resize(3).unwrap();
        drop(store);
        let store = Store::<f64, Ix1>::open(&path).unwrap();
        assert_eq!(
            (store.read_all().unwrap(), store.path()),
            (array![1.0, 0.0, 0.0], &*path)
        );
        assert_no_drafts(dir.path());
    }
    let error = Store::<f64, _>::create(dir.path().join("n".repeat(256)), 2).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io { .. }), "{error}");
    assert_no_drafts(dir.path());
}

#[test]
fn create_new_refuses_whatever_has_the_name() {
    let (dir, path) = three_elements();
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    let before = trace(&path);
    for taken in [path.as_path(), link.as_path(), dir.path()] {
        let error = Store::<f64, _>::create_new(taken, 2).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{error}");
        assert_eq!(error.path(), Some(taken));
    }
    assert_eq!(trace(&path), before);
    Store::<f64, _>::create_new(dir.path().join("new"), 2).unwrap();
    assert_no_drafts(dir.path());
}

#[test]
fn every_element_of_a_new_file_has_its_block() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let allocated = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        found.blocks() * 512 >= found.len()
    };
    for len in [0, 1, 511, 512, 513, 1 << 20] {
        let store = Store::<f64, _>::create(&path, len).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 4096 + 8 * len as u64);
        assert!(allocated(&path) && store.is_allocated().unwrap(), "{len}");
        assert!(
            store
                .read_all()
                .unwrap()
                .iter()
                .all(|&element| element == 0.0)
        );
        drop(store);
        let store = Store::create_from(&path, &Array::from_elem(len, 1.0)).unwrap();
        assert!(allocated(&path) && store.is_allocated().unwrap(), "{len}");
    }
}

#[test]
fn a_sparse_file_has_no_blocks_until_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let sparse = Options::new().sparse(true);
    let mut store = sparse.create::<f64, _>(&path, 1 << 20).unwrap();
    assert!(!store.is_allocated().unwrap());
    assert!(fs::metadata(&path).unwrap().blocks() * 512 < 1 << 16);
    store.set(12345, 6.0).unwrap();
    store.allocate().unwrap();
    assert!(store.is_allocated().unwrap());
    assert_eq!(
        (
            store.read_all().unwrap()[12345],
            store.read_all().unwrap().sum()
        ),
        (6.0, 6.0)
    );
    let found = fs::metadata(&path).unwrap();
    assert_eq!(found.len(), 4096 + (8 << 20));
    assert!(found.blocks() * 512 >= found.len());
}

#[test]
fn a_store_of_no_elements_is_a_header() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let empty = Array::<f64, _>::zeros((3, 0, 2));
    let store = Store::create_from(&path, &empty).unwrap();
    assert_eq!(
        (store.read_all().unwrap(), store.nbytes()),
        (empty.clone(), 0)
    );
    assert!(store.is_allocated().unwrap());
    store.close().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 4096);
    assert_eq!(
        Store::<f64, Ix3>::open(&path).unwrap().read_all().unwrap(),
        empty
    );
}

/// A view of an array: for each axis the start, the step, and whether one element is repeated.
#[derive(Clone, Debug)]
struct Look {
    shape: Vec<usize>,
    slices: Vec<(usize, isize)>,
    repeat: Vec<bool>,
    axes: Vec<usize>,
    fortran: bool,
    order: Option<Order>,
    compact: bool,
}

fn look() -> impl Strategy<Value = Look> {
    let axis = (
        0..7_usize,
        0..7_usize,
        prop_oneof![-3..0_isize, 1..4_isize],
        0..8_u8,
    );
    let orders = prop::sample::select(vec![None, Some(Order::C), Some(Order::F)]);
    prop::collection::vec(axis, 0..5).prop_flat_map(move |axes| {
        let order: Vec<_> = (0..axes.len()).collect();
        let axes = Just(axes);
        (
            axes,
            Just(order).prop_shuffle(),
            any::<bool>(),
            orders.clone(),
            any::<bool>(),
        )
            .prop_map(|(all, axes, fortran, order, compact)| Look {
                shape: all.iter().map(|axis| axis.0).collect(),
                slices: all
                    .iter()
                    .map(|axis| (axis.1.min(axis.0), axis.2))
                    .collect(),
                repeat: all.iter().map(|axis| axis.3 == 0).collect(),
                axes,
                fortran,
                order,
                compact,
            })
    })
}

impl Look {
    /// Has `check` look at an array of numbered elements.
    fn at(&self, check: impl FnOnce(ArrayViewD<'_, i32>)) {
        let len: usize = self.shape.iter().product();
        let shape = IxDyn(&self.shape).set_f(self.fortran);
        let numbers = Array::from_shape_vec(shape, (0..len as i32).collect()).unwrap();
        let mut view = numbers.view();
        for (axis, &(start, step)) in self.slices.iter().enumerate() {
            view.slice_axis_inplace(Axis(axis), ndarray::Slice::new(start as isize, None, step));
            if self.repeat[axis] && view.len_of(Axis(axis)) > 0 {
                view.slice_axis_inplace(Axis(axis), ndarray::Slice::from(0..1));
            }
        }
        let mut shape = view.shape().to_vec();
        for (len, &repeat) in shape.iter_mut().zip(&self.repeat) {
            *len = if repeat && *len == 1 { 3 } else { *len };
        }
        let repeated = view.broadcast(IxDyn(&shape)).unwrap();
        check(repeated.permuted_axes(IxDyn(&self.axes)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn create_from_takes_an_array_of_any_strides(look in look()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        look.at(|array| {
            let mut options = Options::new().compact(look.compact);
            if let Some(order) = look.order {
                options = options.order(order);
            }
            let store = options.create_from(&path, &array).unwrap();
            assert_eq!(store.read_all().unwrap(), array);
            drop(store);
            let store = Store::<i32, IxDyn>::open(&path).unwrap();
            assert_eq!(store.read_all().unwrap(), array);
            let distinct = array.shape().iter().filter(|&&len| len > 1).count() > 1 && !array.is_empty();
            if let Some(order) = look.order && distinct {
                assert_eq!(store.order(), order);
            }
            let len = fs::metadata(&path).unwrap().len();
            assert_eq!(len, store.offset() + store.nbytes() as u64);
        });
    }
}

#[test]
fn create_from_takes_an_array_larger_than_its_buffers_in_either_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    // More than the 8 MiB that are written at once, and the 1 MiB that is packed at once.
    let array = Array::from_shape_fn((1100, 2050), |(row, column)| (row * 4099 + column) as f32);
    let views = [
        array.view(),
        array.t(),
        array.slice(s![..;-1, ..;3]),
        array.slice(s![1.., ..]),
    ];
    for view in views {
        for order in [Order::C, Order::F] {
            let store = Options::new()
                .order(order)
                .create_from(&path, &view)
                .unwrap();
            assert_eq!(store.order(), order);
            assert!(store.read_all().unwrap() == view);
        }
    }
    let row = array.slice(s![3..4, ..]);
    let repeated = row.broadcast((700, 2050)).unwrap();
    assert!(
        Store::create_from(&path, &repeated)
            .unwrap()
            .read_all()
            .unwrap()
            == repeated
    );
    let scalar = arr0(4.5);
    let store = Store::create_from(&path, &scalar).unwrap();
    assert_eq!(
        bytes_of(store.read_all().unwrap().view()),
        4.5_f64.to_ne_bytes()
    );
}

#[test]
fn create_from_keeps_the_order_that_the_elements_have_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let array = array![[1, 2, 3], [4, 5, 6]];
    assert_eq!(Store::create_from(&path, &array).unwrap().order(), Order::C);
    assert_eq!(
        Store::create_from(&path, &array.t()).unwrap().order(),
        Order::F
    );
    assert_eq!(
        Store::create_from(&path, &array.row(0)).unwrap().order(),
        Order::C
    );
    let strided = array.slice(s![.., ..;2]);
    assert_eq!(
        Store::create_from(&path, &strided).unwrap().order(),
        Order::C
    );
}
