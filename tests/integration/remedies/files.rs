//! The ways out of what files, their names and their shapes refuse. Each is taken, and the message
//! that names it returned.

use std::fs;
use std::path::Path;

use bytemuck::{Pod, Zeroable};
use ndarray::prelude::*;
use ndstore::{
    AnyStore, Be, DType, Element, Le, LockPolicy, Mode, Opening, Options, ReadWrite, Store, Void,
    from_file, record,
};

use super::{Messages, beside, new, raw, refusal};
use crate::mapped::{mapped, not_mapped};
#[cfg(unix)]
use crate::support::{Peer, in_fork};

pub(super) fn names(place: &Path) -> Messages {
    let path = place.join("a.npy");
    let nowhere = place.join("none/a.npy");
    let mut said = vec![refusal(Store::<f64, Ix1>::open(&nowhere))];
    fs::create_dir(place.join("none")).unwrap();
    drop(Store::<f64, _>::create(&nowhere, 3).unwrap());

    // `NAME/..`, where NAME is a file.
    said.push(refusal(AnyStore::open(nowhere.join("b.npy"))));
    drop(AnyStore::open(&nowhere).unwrap());
    said.push(refusal(AnyStore::open(place)));

    #[cfg(unix)]
    {
        let (link, target) = (place.join("link"), place.join("gone/a.npy"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        said.push(refusal(Store::<f64, _>::create(&link, 3)));
        assert_eq!(fs::read_link(&link).unwrap(), target);
        fs::create_dir(place.join("gone")).unwrap();
        drop(Store::<f64, _>::create(&link, 3).unwrap());
    }

    drop(new(&path));
    let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
    fs::rename(&path, beside(&path)).unwrap();
    said.push(refusal(store.resize((3, 2))));
    fs::rename(beside(&path), &path).unwrap();
    store.resize((3, 2)).unwrap();
    fs::rename(&path, beside(&path)).unwrap();
    assert_eq!(refusal(store.resize((4, 2))), said[said.len() - 1]);
    drop(store);
    let mut store = Store::<f64, Ix2>::open_rw(beside(&path)).unwrap();
    store.resize((4, 2)).unwrap();
    drop(store);

    drop(new(&path));
    let store = Store::<f64, Ix2>::open(&path).unwrap();
    said.push(refusal(Store::<f64, Ix2>::open_rw(&path)));
    store.close().unwrap();
    drop(Store::<f64, Ix2>::open_rw(&path).unwrap());

    // Of its own store a thread waits for ever, of another thread's it need not.
    let wait = |policy| Options::new().lock(policy).open_rw::<f64, Ix2>(&path);
    let store = Store::<f64, Ix2>::open(&path).unwrap();
    said.push(refusal(wait(LockPolicy::Wait)));
    std::thread::scope(|scope| {
        let limit = std::time::Duration::from_secs(20);
        let waits = scope.spawn(move || wait(LockPolicy::WaitAtMost(limit)).map(drop));
        drop(store);
        waits.join().unwrap().unwrap();
    });

    let copy = fs::read(&path).unwrap();
    fs::write(&path, &copy[..copy.len() - 1]).unwrap();
    said.push(refusal(AnyStore::open(&path)));
    fs::write(&path, copy).unwrap();
    drop(AnyStore::open(&path).unwrap());

    said.push(refusal("w".parse::<Mode>()));
    for mode in ["r", "r+"] {
        drop(AnyStore::open_mode(&path, mode.parse().unwrap()).unwrap());
    }
    said.push(refusal(AnyStore::open_mode(&path, Mode::Write)));
    drop(Store::<f64, _>::create(&path, 3).unwrap());

    let grow = |mut store: AnyStore| store.append_bytes(1, &[0; 8]);
    said.push(refusal(grow(AnyStore::open(&path).unwrap())));
    grow(AnyStore::open_mode(&path, Mode::ReadWrite).unwrap()).unwrap();
    let appending = Options::new().open_any_as(&path, Opening::Append);
    grow(appending.unwrap()).unwrap();
    said
}

/// What a limit of the process or its address space refuses, with the commands of the shell that
/// the messages name.
#[cfg(unix)]
pub(super) fn limits(place: &Path) -> Messages {
    let path = place.join("a.npy");
    let mut said = Vec::new();
    let mut peer = Peer::under("ulimit -S -f 100", &path);
    said.push(peer.ask("create 100000").unwrap_err());
    let mut peer = Peer::under("ulimit -S -f 100 && ulimit -f unlimited", &path);
    peer.ask("create 100000").unwrap();
    peer.finish();

    let sparse = Options::new().sparse(true);
    drop(sparse.create::<f64, _>(&path, 1 << 40).unwrap());
    let mut peer = Peer::under("ulimit -S -v 10000000", &path);
    said.push(peer.ask("not_mapped").unwrap_err());
    peer.ask("drop").unwrap();
    let mut peer = Peer::under("ulimit -S -v 10000000 && ulimit -v unlimited", &path);
    peer.ask("open_rw").unwrap();
    peer.finish();

    fs::remove_file(&path).unwrap();
    let mut peer = Peer::under("ulimit -v 600000", &path);
    said.push(peer.ask("read_npy 1000000000").unwrap_err());
    peer.ask("receive 1000000").unwrap();
    drop(peer);

    // An archive that could not be written, and is begun anew.
    let mut peer = Peer::under("ulimit -S -f 100", &path);
    said.push(peer.ask("archive_on 100000").unwrap_err());
    peer.ask("archive 10").unwrap();
    drop(peer);

    // A write that is lost, and what is read after it.
    drop(Store::create_from(&path, &array![1.0, 2.0]).unwrap());
    in_fork(|| {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Fsize);
        let limit = |current| setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
        let store = Store::<f64, Ix1>::open_rw(&path).unwrap();
        limit(Some(0));
        store.flush().unwrap_err();
        let refused = refusal(store.flush());
        limit(current);
        let copy = Store::create_from(beside(&path), &store.read_all().unwrap()).unwrap();
        copy.close().unwrap();
        drop(store);
        let store = Store::<f64, Ix1>::open_rw(&path).unwrap();
        store.flush().unwrap();
        fs::write(path.with_extension("said"), refused).unwrap();
    });
    said.push(fs::read_to_string(path.with_extension("said")).unwrap());
    let copy = Store::<f64, Ix1>::open(beside(&path)).unwrap();
    assert_eq!(copy.read_all().unwrap(), array![1.0, 2.0]);
    said
}

#[cfg(not(unix))]
pub(super) fn limits(_: &Path) -> Messages {
    Vec::new()
}

pub(super) fn raw_files(place: &Path) -> Messages {
    let path = place.join("a.raw");
    let options = || Options::new().raw(0);
    let open = |options: Options| options.open::<f64, IxDyn>(&path);
    let open_rw = |options: Options| options.open_rw::<f64, Ix2>(&path).unwrap();
    raw(&path, 48);
    let mut said = vec![refusal(options().open_any(&path, Mode::Read))];
    drop(options().open::<f64, Ix1>(&path).unwrap());

    said.push(refusal(open(options().shape((2, 2)))));
    drop(open(options().shape((3, 2))).unwrap());
    drop(open(options().shape((2, 2)).allow_trailing(true)).unwrap());
    said.push(refusal(open(options().row_shape(4))));
    drop(open(options().row_shape(3)).unwrap());
    drop(open(options().row_shape(4).allow_trailing(true)).unwrap());
    said.push(refusal(open(options().row_shape((2, 0)))));
    drop(open(options().shape((3, 2, 0)).allow_trailing(true)).unwrap());
    said.push(refusal(open(options().shape((usize::MAX, 2)))));
    said.push(refusal(open(options().shape(vec![1; 65]))));
    drop(open(options().shape(vec![1; 64]).allow_trailing(true)).unwrap());
    let any = |options: Options| options.open_any(&path, Mode::Read);
    let nothing = || options().dtype(DType::parse("|V0").unwrap());
    said.push(refusal(any(nothing())));
    drop(any(nothing().shape(3).allow_trailing(true)).unwrap());

    let mut store = options().open_rw::<f64, Ix1>(&path).unwrap();
    said.push(refusal(store.rewrite()));
    let mut copy = Store::create_from(beside(&path), &store.read_all().unwrap()).unwrap();
    copy.rewrite().unwrap();
    drop((store, copy));

    let mut store = open_rw(options().shape((2, 2)).allow_trailing(true));
    said.push(refusal(store.adopt_rows()));
    drop(store);
    drop(open_rw(options().shape((3, 2))));

    // 27 bytes are no whole number of elements of 8, but of 1, and of 8 from byte 3 on.
    raw(&path, 27);
    said.push(refusal(options().open::<f64, Ix1>(&path)));
    drop(options().open::<u8, Ix1>(&path).unwrap());
    drop(Options::new().raw(3).open::<f64, Ix1>(&path).unwrap());

    said.push(refusal(options().create::<f64, _>(&path, ()).and_then(
        |mut store| store.append(&array![1.0].into_shape_with_order(()).unwrap()),
    )));
    let mut store = options().create::<f64, _>(&path, 0).unwrap();
    store.append(&array![1.0]).unwrap();
    said
}

record! {
    #[repr(C, packed)]
    struct Native { q: u8, r: f32 }
    #[repr(C, packed)]
    struct Foreign { q: u8, r: Be<f32> }
    struct Aligned { a: i32, b: i32 }
    #[repr(C, packed)]
    struct Packed { a: i32, b: i32 }
    struct Anywhere { a: Le<i32>, b: Le<i32> }
}

/// An element whose dtype is that of another size.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Wide<const SIZE: usize>([u8; SIZE]);

// SAFETY: bytes alone.
#[allow(unsafe_code)]
unsafe impl<const SIZE: usize> Zeroable for Wide<SIZE> {}
// SAFETY: bytes alone.
#[allow(unsafe_code)]
unsafe impl<const SIZE: usize> Pod for Wide<SIZE> {}

impl<const SIZE: usize> Element for Wide<SIZE> {
    fn dtype() -> DType {
        DType::parse("|V8").unwrap()
    }
}

pub(super) fn types(place: &Path) -> Messages {
    let path = place.join("a.npy");
    drop(new(&path));
    let mut said = vec![refusal(Store::<f32, Ix2>::open(&path))];
    drop(Store::<f64, Ix2>::open(&path).unwrap());
    drop(AnyStore::open(&path).unwrap());
    said.push(refusal(Store::<f64, Ix3>::open(&path)));
    drop(Store::<f64, IxDyn>::open(&path).unwrap());
    said.push(refusal(Store::<Be<f64>, Ix2>::open(&path)));
    drop(Store::<Le<f64>, Ix2>::open(&path).unwrap());
    let access = AnyStore::open(&path)
        .unwrap()
        .downcast::<f64, Ix2, ReadWrite>();
    said.push(refusal(access.map_err(|refused| refused.error)));
    let access = AnyStore::open_rw(&path)
        .unwrap()
        .downcast::<f64, Ix2, ReadWrite>();
    drop(access.unwrap());

    said.push(refusal(AnyStore::open(&path).unwrap().adopt_rows()));
    said.push(refusal(AnyStore::open(&path).unwrap().into_read_only()));
    let mut alone = AnyStore::open_mode(&path, Mode::ReadWrite).unwrap();
    alone.adopt_rows().unwrap();
    drop(alone.into_read_only().unwrap());

    let create = |shape: Vec<usize>| drop(Store::<f64, IxDyn>::create(&path, shape).unwrap());
    create(vec![1; 7]);
    said.push(refusal(Store::<f64, Ix2>::open(&path)));
    drop(Store::<f64, IxDyn>::open(&path).unwrap());
    drop(Store::<Be<f64>, _>::create(&path, 2).unwrap());
    said.push(refusal(Store::<f64, Ix1>::open(&path)));
    drop(Store::<Be<f64>, Ix1>::open(&path).unwrap());
    drop(Store::<Foreign, _>::create(&path, 2).unwrap());
    said.push(refusal(Store::<Native, Ix1>::open(&path)));
    drop(Store::<Foreign, Ix1>::open(&path).unwrap());
    drop(Store::<Void<8>, _>::create(&path, 2).unwrap());
    said.push(refusal(Store::<Wide<7>, Ix1>::open(&path)));
    drop(Store::<Wide<8>, Ix1>::open(&path).unwrap());

    // From byte 1 on.
    let odd = Options::new().raw(1).shape(2);
    drop(odd.create::<f64, _>(&path, 2).unwrap());
    said.push(refusal::<()>(Err(not_mapped(
        odd.open::<f64, Ix1>(&path).unwrap(),
    ))));
    drop(mapped(odd.open::<Le<f64>, Ix1>(&path).unwrap()));
    odd.open::<f64, Ix1>(&path).unwrap().read_all().unwrap();
    said.push(refusal::<()>(Err(not_mapped(
        odd.open::<Aligned, Ix1>(&path).unwrap(),
    ))));
    drop(mapped(odd.open::<Packed, Ix1>(&path).unwrap()));
    drop(mapped(odd.open::<Anywhere, Ix1>(&path).unwrap()));
    odd.open::<Aligned, Ix1>(&path).unwrap().read_all().unwrap();
    said
}

pub(super) fn regions(place: &Path) -> Messages {
    let path = place.join("a.npy");
    let array = array![[1.0, 2.0], [3.0, 4.0]].into_dyn();
    let mut store = Store::create_from(&path, &array).unwrap();
    let mut said = vec![refusal(store.get(IxDyn(&[1])))];
    store.get(IxDyn(&[1, 1])).unwrap();
    said.push(refusal(store.get(IxDyn(&[2, 1]))));
    // As many as it says.
    let error = store.flush_rows(0..3).unwrap_err();
    said.extend([error.to_string(), error.kind().to_string()]);
    store.flush_rows(0..2).unwrap();
    said.push(refusal(store.resize(vec![3])));
    store.resize(vec![3, 2]).unwrap();
    said.push(refusal(store.append(&ArrayD::zeros(vec![1, 3]))));
    store.append(&ArrayD::zeros(vec![1, 2])).unwrap();
    said.push(refusal(store.append(&ArrayD::zeros(vec![3]))));
    drop(store);

    let store = Store::<f64, Ix2>::open(&path).unwrap();
    let step = |step| {
        let rows = ndarray::Slice {
            start: 0,
            end: None,
            step,
        };
        let info: [ndarray::SliceInfoElem; 2] = [rows.into(), (..).into()];
        store.read(info_of(info))
    };
    said.push(refusal(step(0)));
    step(1).unwrap();
    drop(store);
    said.push(refusal(Store::<f64, Ix2>::open_rows(&path, 1..)));
    drop(Store::<f64, Ix2>::open_rows(&path, 1..2).unwrap());
    let mut some = Store::<f64, Ix2>::open_rows_read(&path, 1..2).unwrap();
    said.push(refusal(some.refresh()));
    Store::<f64, Ix2>::open(&path).unwrap().refresh().unwrap();
    Store::<f64, Ix2>::open_watch(&path)
        .unwrap()
        .refresh()
        .unwrap();
    drop(some);
    let watch = || Options::new().open_any_as(&path, ndstore::Opening::Watch);
    // SAFETY: nobody else has the file.
    #[allow(unsafe_code)]
    said.push(refusal(unsafe { watch().unwrap().map() }));
    // SAFETY: nobody else has the file.
    #[allow(unsafe_code)]
    drop(unsafe { AnyStore::open(&path).unwrap().map() }.unwrap());

    let compact = Options::new().compact(true);
    drop(compact.create_from(&path, &array![1.0]).unwrap());
    let longer = [fs::read(&path).unwrap(), vec![7; 3]].concat();
    fs::write(&path, longer).unwrap();
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    said.push(refusal(store.append(&array![2.0])));
    let mut copy = Store::create_from(beside(&path), &store.read_all().unwrap()).unwrap();
    copy.append(&array![2.0]).unwrap();
    drop(store);

    let sparse = Options::new().sparse(true);
    let store = sparse.create::<f64, _>(&path, 1 << 40).unwrap();
    said.push(refusal(store.read_all()));
    store.read(s![5..8]).unwrap();
    drop(store);
    fs::File::create(&path).unwrap().set_len(8 << 40).unwrap();
    said.push(refusal(from_file::<f64>(&path, None, 0)));
    from_file::<f64>(&path, Some(3), 16).unwrap();
    drop(Options::new().raw(0).open::<f64, Ix1>(&path).unwrap());
    said
}

/// What `read` takes where ranges are values.
fn info_of(
    elements: [ndarray::SliceInfoElem; 2],
) -> ndarray::SliceInfo<[ndarray::SliceInfoElem; 2], Ix2, Ix2> {
    ndarray::SliceInfo::try_from(elements).unwrap()
}

pub(super) fn assemblies(place: &Path) -> Messages {
    let path = place.join("a.npy");
    let assemble = |options: Options, slab| options.assemble::<f64, _>(&path, (4, 2), slab);
    let mut said = vec![
        refusal(assemble(Options::new().raw(0), 2)),
        refusal(assemble(Options::new().no_lock(), 2)),
        refusal(assemble(Options::new(), 0)),
        refusal(Store::<f64, _>::assemble(&path, (), 2)),
    ];
    let mut assembly = assemble(Options::new(), 2).unwrap();
    let error = assemble(Options::new(), 3).unwrap_err();
    said.push(error.to_string());
    while let Some(mut slab) = assembly.next_slab().unwrap() {
        slab.write_all(&Array2::ones((2, 2))).unwrap();
        slab.done().unwrap();
        if said.len() == 5 {
            said.push(refusal(assemble(Options::new(), 2).unwrap().finish()));
        }
    }
    assembly.finish().unwrap();
    fs::remove_file(&path).unwrap();
    // What is begun and given up.
    drop(assemble(Options::new(), 2).unwrap());
    assert_eq!(refusal(assemble(Options::new(), 3)), said[4]);
    fs::remove_file(error.path().unwrap()).unwrap();
    drop(assemble(Options::new(), 3).unwrap());
    said
}

/// What is cut under its map, and what was to be written out of that.
#[cfg(unix)]
pub(super) fn faults(place: &Path) -> Messages {
    let path = place.join("a.npy");
    drop(Store::create_from(&path, &Array1::<f64>::ones(100_000)).unwrap());
    let copy = fs::read(&path).unwrap();
    let map = mapped(Store::<f64, Ix1>::open(&path).unwrap());
    fs::write(&path, &copy[..10_000]).unwrap();
    let unread = refusal(Store::create_from(beside(&path), &map.view()));
    let faulted = refusal(map.check_faults());
    assert!(faulted.contains(&fs::metadata(&path).unwrap().len().to_string()));
    drop(map);
    fs::write(&path, copy).unwrap();
    mapped(Store::<f64, Ix1>::open(&path).unwrap())
        .check_faults()
        .unwrap();
    vec![unread, faulted]
}

#[cfg(not(unix))]
pub(super) fn faults(_: &Path) -> Messages {
    Vec::new()
}
