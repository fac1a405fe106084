//! Resize: elements keep their index and new ones are the fill, in a new file that takes the old
//! one's place.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ndarray::prelude::*;
use ndstore::{Element, ErrorKind, Options, Order, Store};
use proptest::prelude::*;
use tempfile::TempDir;

use super::mapped::mapped;
use super::support::{
    Peer, Why, assert_no_drafts, bytes_of, give_away, is_root, mode, open_dir, set_mode, trace,
};

/// How the file came to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Native,
    Compact,
    /// Without a header, behind that many bytes that are none of ours.
    Raw(usize),
    /// As old versions of NumPy wrote it: a header that is a multiple of 16 bytes long.
    Old,
}

/// Makes a file with the elements of `array` and returns the options to open it.
pub(super) fn make<A: Element>(
    path: &Path,
    array: &ArrayD<A>,
    order: Order,
    form: Form,
) -> Options {
    let logical = |array: ArrayViewD<'_, A>| bytes_of(array);
    let elements = match order {
        Order::C => logical(array.view()),
        Order::F => logical(array.t()),
    };
    let options = Options::new().order(order);
    match form {
        Form::Native => drop(options.create_from(path, array).unwrap()),
        Form::Compact => drop(
            options
                .clone()
                .compact(true)
                .create_from(path, array)
                .unwrap(),
        ),
        Form::Raw(offset) => {
            let bytes = [prefix(offset), elements].concat();
            fs::write(path, bytes).unwrap();
            return options.raw(offset as u64).shape(array.raw_dim());
        }
        Form::Old => {
            let shape: String = array
                .shape()
                .iter()
                .map(|axis| format!("{axis}, "))
                .collect();
            let fortran = if order == Order::F { "True" } else { "False" };
            let descr = A::dtype().descr();
            let mut text =
                format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({shape}), }}");
            text += &" ".repeat(15 - (10 + text.len()) % 16);
            let mut file = fs::File::create(path).unwrap();
            file.write_all(b"\x93NUMPY\x01\x00").unwrap();
            file.write_all(&(text.len() as u16 + 1).to_le_bytes())
                .unwrap();
            writeln!(file, "{text}").unwrap();
            file.write_all(&elements).unwrap();
        }
    }
    // The compact header has no order where there is but one.
    Options::new()
}

pub(super) fn prefix(len: usize) -> Vec<u8> {
    (0..len).map(|byte| (byte * 7) as u8).collect()
}

/// An element that tells which it is.
pub(super) fn element<A: Element>(number: usize) -> A {
    let mut element = A::zeroed();
    let bytes = number.wrapping_mul(2_654_435_761).to_le_bytes();
    for (byte, number) in bytemuck::bytes_of_mut(&mut element)
        .iter_mut()
        .zip(bytes.into_iter().cycle())
    {
        *byte = number | 1;
    }
    element
}

pub(super) fn numbered<A: Element>(shape: &[usize]) -> ArrayD<A> {
    let len: usize = shape.iter().product();
    Array::from_shape_vec(IxDyn(shape), (0..len).map(element).collect()).unwrap()
}

/// The model: what the array is after the resize.
fn resized<A: Element>(old: &ArrayD<A>, shape: &[usize], fill: A) -> ArrayD<A> {
    Array::from_shape_fn(IxDyn(shape), |index| {
        old.get(index).copied().unwrap_or(fill)
    })
}

#[track_caller]
pub(super) fn assert_same<A: Element>(found: ArrayViewD<'_, A>, expected: &ArrayD<A>) {
    assert_eq!(found.shape(), expected.shape());
    assert!(
        bytes_of(found) == bytes_of(expected.view()),
        "the elements differ"
    );
}

#[derive(Clone, Debug)]
struct Case {
    shapes: Vec<Vec<usize>>,
    order: Order,
    form: Form,
    sparse: bool,
    fill: bool,
}

impl Case {
    fn check<A: Element>(&self) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let mut model = numbered::<A>(&self.shapes[0]);
        let options = make(&path, &model, self.order, self.form);
        let fill = if self.fill { element(77) } else { A::zeroed() };

        let mut store = mapped(
            (options.clone().sparse(self.sparse))
                .open_rw::<A, IxDyn>(&path)
                .unwrap(),
        );
        let order = store.order();
        for (step, shape) in self.shapes[1..].iter().enumerate() {
            if self.fill {
                store.resize_with(IxDyn(shape), fill).unwrap();
            } else {
                store.resize(IxDyn(shape)).unwrap();
            }
            model = resized(&model, shape, fill);
            assert_same(store.view(), &model);
            assert_same(store.read_all().unwrap().view(), &model);
            assert_eq!(store.order(), order);
            // Usable as before, and what is written last is kept by the next resize.
            if let Some(last) = store.view_mut().last_mut() {
                *last = element(1000 + step);
            }
            if let Some(last) = model.last_mut() {
                *last = element(1000 + step);
            }
        }
        store.flush().unwrap();
        let end = store.offset() + store.nbytes() as u64;
        store.close().unwrap();

        assert_eq!(fs::metadata(&path).unwrap().len(), end);
        let options = match self.form {
            Form::Raw(offset) => {
                assert_eq!(fs::read(&path).unwrap()[..offset], prefix(offset));
                options.shape(model.raw_dim())
            }
            _ => options,
        };
        let store = options.open::<A, IxDyn>(&path).unwrap();
        assert_same(store.read_all().unwrap().view(), &model);
        assert_no_drafts(dir.path());
    }
}

/// Shapes of one rank, each axis small.
fn small_shapes() -> impl Strategy<Value = Vec<Vec<usize>>> {
    (0..5_usize, 2..5_usize).prop_flat_map(|(ndim, count)| {
        let shape = prop::collection::vec(0..6_usize, ndim);
        prop::collection::vec(shape, count)
    })
}

/// Shapes of one rank whose fastest axis in C order is around the 64 KiB from which the kernel
/// copies.
fn large_shapes() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let long = prop::sample::select(vec![1_usize, 4095, 8192, 65_535, 65_536, 70_000]);
    let shape = (1..4_usize, 1..4_usize, long).prop_map(|(a, b, c)| vec![a, b, c]);
    prop::collection::vec(shape, 2..4)
}

fn case(shapes: impl Strategy<Value = Vec<Vec<usize>>>) -> impl Strategy<Value = Case> {
    let forms = prop_oneof![
        Just(Form::Native),
        Just(Form::Compact),
        // Aligned for every type here, though not to a page.
        prop::sample::select(vec![0_usize, 16, 4096, 5008]).prop_map(Form::Raw),
        Just(Form::Old),
    ];
    let orders = prop::sample::select(vec![Order::C, Order::F]);
    (shapes, orders, forms, any::<bool>(), any::<bool>()).prop_map(
        |(shapes, order, form, sparse, fill)| Case {
            shapes,
            order,
            form,
            sparse,
            fill,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn elements_keep_their_index_and_new_ones_are_the_fill(case in case(small_shapes()), size in 0..4_u8) {
        match size {
            0 => case.check::<u8>(),
            1 => case.check::<i16>(),
            2 => case.check::<f64>(),
            _ => case.check::<Pair>(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn long_runs_move_as_short_ones_do(case in case(large_shapes())) {
        case.check::<u8>();
    }
}

/// A directory with an array at the path that is returned.
fn array() -> (TempDir, PathBuf) {
    let dir = open_dir();
    let path = dir.path().canonicalize().unwrap().join("a.npy");
    Store::<f64, _>::create_from(&path, &array![[1.0, 2.0], [3.0, 4.0]]).unwrap();
    (dir, path)
}

/// An element of 16 bytes that no feature has to bring.
type Pair = ndstore::Void<16>;

#[test]
fn negative_zero_and_nan_are_fills_like_any_other() {
    let (_dir, path) = array();
    let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
    // Long enough that zeros would be left to the file system.
    store.resize_with((2, 20_000), -0.0).unwrap();
    assert!(store.read_all().unwrap()[[1, 19_999]].is_sign_negative());
    store.resize_with((3, 20_000), f64::NAN).unwrap();
    assert!(
        store
            .read_all()
            .unwrap()
            .row(2)
            .iter()
            .all(|element| element.is_nan())
    );
    assert_eq!(
        store.read_all().unwrap().slice(s![..2, ..2]),
        array![[1.0, 2.0], [3.0, 4.0]]
    );
}

#[test]
fn rows_that_were_cut_off_do_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let ones = Array::from_elem((50, 4000), 1.0);
    let mut store = Store::<f64, _>::create_from(&path, &ones).unwrap();
    store.resize((10, 4000)).unwrap();
    store.resize((50, 4000)).unwrap();
    assert_eq!(store.read_all().unwrap().sum(), 40_000.0);
    assert!(store.is_allocated().unwrap());
    store.resize((50, 1000)).unwrap();
    store.resize((50, 4000)).unwrap();
    assert_eq!(store.read_all().unwrap().sum(), 10_000.0);
    assert!(store.is_allocated().unwrap());
}

#[test]
fn resize_to_the_same_shape_keeps_the_file_and_its_bytes() {
    let (_dir, path) = array();
    let what_stays = || {
        let metadata = fs::metadata(&path).unwrap();
        (metadata.ino(), metadata.mode(), fs::read(&path).unwrap())
    };
    let before = what_stays();
    let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
    store.resize((2, 2)).unwrap();
    assert!(what_stays() == before);
}

#[test]
fn what_was_not_flushed_is_resized_too() {
    for shape in [(300, 1000), (100, 2000), (50, 1000), (100, 10)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        for sparse in [false, true] {
            let options = Options::new().sparse(sparse);
            let mut store = mapped(options.create::<u32, _>(&path, (100, 1000)).unwrap());
            let model = numbered::<u32>(&[100, 1000]);
            store
                .view_mut()
                .assign(&model.view().into_dimensionality::<Ix2>().unwrap());
            store.resize(shape).unwrap();
            let expected = resized(&model, &[shape.0, shape.1], 0);
            assert_same(store.view().into_dyn(), &expected);
        }
    }
}

#[test]
fn holes_stay_holes_and_data_stay_data() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let count = |bytes: &[u8]| -> usize {
        let pages = bytes.chunks(4096);
        pages
            .filter(|&page| page != &[0; 4096][..page.len()])
            .flatten()
            .filter(|&&byte| byte == 9)
            .count()
    };
    let sparse = Options::new().sparse(true);
    let mut store = sparse.create::<u8, _>(&path, (64, 1 << 20)).unwrap();
    let cells = [
        (0, 0),
        (7, 1000),
        (7, (1 << 20) - 1),
        (40, 1 << 19),
        (63, 77),
    ];
    for cell in cells {
        store.set(cell, 9).unwrap();
    }
    for shape in [(70, 1 << 20), (70, 3 << 19), (64, 3 << 19)] {
        store.resize(shape).unwrap();
        assert!(
            cells
                .iter()
                .all(|&cell| store.read_all().unwrap()[cell] == 9)
        );
        assert_eq!(count(&store.to_bytes(ndstore::MemoryOrder::A).unwrap()), 5);
        store.flush().unwrap();
        let blocks = fs::metadata(&path).unwrap().blocks() * 512;
        assert!(blocks < 1 << 20, "{shape:?}: {blocks} bytes of blocks");
    }
    // Shorter runs than the kernel copies.
    store.resize((64, 40_000)).unwrap();
    assert_eq!(count(&store.to_bytes(ndstore::MemoryOrder::A).unwrap()), 3);
}

#[test]
fn a_sparse_tebibyte_is_resized_in_no_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let sparse = Options::new().sparse(true);
    let (rows, columns) = (1 << 20, 1 << 20);
    let mut store = sparse.create::<u8, _>(&path, (rows, columns)).unwrap();
    let cells = [(0, 0), (rows / 3, 12_345), (rows - 1, columns - 1)];
    for cell in cells {
        store.set(cell, 5).unwrap();
    }
    let start = Instant::now();
    store.resize((rows + 7, columns)).unwrap();
    assert!(cells.iter().all(|&cell| store.get(cell).unwrap() == 5));
    assert_eq!(store.get([rows + 6, columns - 1]).unwrap(), 0);
    store.resize((rows / 2, columns)).unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(
        (store.get(cells[0]).unwrap(), store.get(cells[1]).unwrap()),
        (5, 5)
    );
    assert_eq!(store.shape(), [rows / 2, columns]);
}

#[test]
fn resize_keeps_mode_owner_and_symbolic_link() {
    let (dir, path) = array();
    let link = dir.path().join("link");
    symlink("a.npy", &link).unwrap();
    set_mode(&path, 0o640);
    let owner = if is_root() {
        (1234, 4321)
    } else {
        fs::metadata(&path).map(|it| (it.uid(), it.gid())).unwrap()
    };
    std::os::unix::fs::chown(&path, Some(owner.0), Some(owner.1)).unwrap();
    let mut store = Store::<f64, Ix2>::open_rw(&link).unwrap();
    store.resize((5, 2)).unwrap();
    store.resize((5, 3)).unwrap();
    drop(store);
    let found = fs::metadata(&path).unwrap();
    assert_eq!(
        (found.uid(), found.gid(), mode(&path)),
        (owner.0, owner.1, 0o640)
    );
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(Store::<f64, Ix2>::open(&path).unwrap().shape(), [5, 3]);
}

#[test]
fn other_hard_links_keep_the_old_array() {
    let (dir, path) = array();
    let other = dir.path().join("other.npy");
    fs::hard_link(&path, &other).unwrap();
    let before = fs::read(&path).unwrap();
    let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
    store.resize((5, 2)).unwrap();
    store.write_all(&arr0(8.0)).unwrap();
    store.flush().unwrap();
    assert_eq!(fs::read(&other).unwrap(), before);
}

#[test]
fn nobody_gets_in_while_a_store_is_resized() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let mut store = Store::<f64, _>::create(&path, (500, 500)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let intruder = scope.spawn(|| {
            let mut attempts = 0;
            while !done.load(Ordering::Relaxed) {
                for refused in [
                    Store::<f64, Ix2>::open(&path).map(drop),
                    Store::<f64, _>::create(&path, 1).map(drop),
                ] {
                    assert!(
                        matches!(refused.why(), Some(ErrorKind::Locked { .. })),
                        "{refused:?}"
                    );
                    attempts += 1;
                }
            }
            attempts
        });
        for round in 0..20 {
            store.resize((500, 500 - round)).unwrap();
            store.resize((500 + round, 500)).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(intruder.join().unwrap() > 40);
    });
    assert_no_drafts(dir.path());
}

#[test]
fn a_file_that_was_moved_is_not_resized() {
    let (dir, path) = array();
    let moved = dir.path().join("moved.npy");
    let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
    let before = trace(&path);
    let status = std::process::Command::new("mv")
        .arg(&path)
        .arg(&moved)
        .status();
    assert!(status.unwrap().success());
    let refuses = |store: &mut Store<f64, Ix2>| {
        let error = store.resize((9, 2)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Moved), "{error}");
        assert_eq!(error.path(), Some(path.as_path()));
        assert_eq!(store.shape(), [2, 2]);
    };
    refuses(&mut store);
    assert!(!path.exists());

    // Somebody else's file has the name now.
    Store::<f64, _>::create_from(&path, &array![7.0]).unwrap();
    let other = trace(&path);
    refuses(&mut store);
    assert_eq!((trace(&path), trace(&moved)), (other, before));
    assert_no_drafts(dir.path());

    // It is the array that it was, under the new name.
    store.set([1, 1], 5.0).unwrap();
    store.flush().unwrap();
    fs::rename(&moved, &path).unwrap();
    store.resize((1, 2)).unwrap();
    assert_eq!(store.read_all().unwrap(), array![[1.0, 2.0]]);
}

#[test]
fn a_file_that_is_moved_while_it_is_resized_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("a.npy"), dir.path().join("moved.npy"));
    let draft = dir.path().join(".a.npy.ndstore-0");
    // Now and then the file is moved too late, or not at all.
    let mut moved_in_time = 0;
    for _ in 0..50 {
        if moved_in_time == 3 {
            return;
        }
        let ones = Array::from_elem((2000, 400), 1.0);
        let mut store = Store::<f64, _>::create_from(&path, &ones).unwrap();
        let done = AtomicBool::new(false);
        let resized = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    if draft.exists() {
                        fs::rename(&path, &moved).unwrap();
                        fs::write(&path, "somebody else's").unwrap();
                        return;
                    }
                }
            });
            let resized = store.resize((2000, 399));
            done.store(true, Ordering::Relaxed);
            resized
        });
        if let Err(error) = resized {
            assert!(matches!(error.kind(), ErrorKind::Moved), "{error}");
            assert_eq!(store.shape(), [2000, 400]);
            assert_eq!(store.read_all().unwrap().sum(), 800_000.0);
            assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
            moved_in_time += 1;
        }
        drop(store);
        assert_no_drafts(dir.path());
        fs::remove_file(&path).unwrap();
    }
    panic!("it was refused {moved_in_time} times");
}

#[test]
fn a_resize_that_cannot_make_a_file_leaves_the_store_usable() {
    let (dir, path) = (open_dir(), "a.npy");
    let path = dir.path().join(path);
    Store::<f64, _>::create_from(&path, &array![1.0, 2.0]).unwrap();
    give_away(&path);
    let mut peer = Peer::unprivileged(&path);
    peer.ask("open_rw").unwrap();
    set_mode(dir.path(), 0o555);
    let before = trace(&path);
    let error = peer.ask("resize 9").unwrap_err();
    assert!(error.starts_with("PermissionDenied {"), "{error}");
    assert_eq!(trace(&path), before);
    peer.ask("overwrite 6").unwrap();
    set_mode(dir.path(), 0o777);
    assert_no_drafts(dir.path());
    peer.ask("resize 3").unwrap();
    peer.finish();
    assert_eq!(
        Store::<f64, Ix1>::open(&path).unwrap().read_all().unwrap(),
        array![6.0, 6.0, 0.0]
    );
}

#[test]
fn impossible_shapes_are_refused_and_change_nothing() {
    let (dir, path) = array();
    let before = trace(&path);
    let mut store = Store::<f64, IxDyn>::open_rw(&path).unwrap();
    for shape in [&[4][..], &[1, 2, 2], &[]] {
        let error = store.resize(IxDyn(shape)).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::NdimMismatch { expected, found: 2, .. } if *expected == shape.len()),
            "{error}"
        );
    }
    for shape in [[usize::MAX, 2], [usize::MAX, 0], [1 << 40, 1 << 40]] {
        let error = store.resize(IxDyn(&shape)).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::ShapeTooLarge { .. }),
            "{error}"
        );
    }
    let error = store.resize(IxDyn(&[1 << 56, 2])).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoSpace { .. }), "{error}");
    assert_eq!((store.shape(), trace(&path)), (&[2, 2][..], before));
    assert_no_drafts(dir.path());
    store.resize(IxDyn(&[3, 1])).unwrap();
    assert_eq!(
        store.read_all().unwrap(),
        array![[1.0], [3.0], [0.0]].into_dyn()
    );
}

#[test]
fn a_resize_that_cannot_be_mapped_leaves_file_and_map_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    // So many KiB of addresses: enough for the program, and not for the array.
    let mut peer = Peer::under("ulimit -v 4000000", &path);
    peer.ask("create_sparse 1000").unwrap();
    peer.ask("overwrite 3").unwrap();
    let before = trace(&path);
    let error = peer.ask("resize 1000000000").unwrap_err();
    assert!(
        error.starts_with("NotMapped {") && error.contains("cannot map"),
        "{error}"
    );
    assert_eq!(trace(&path), before);
    assert_no_drafts(dir.path());
    peer.ask("overwrite 4").unwrap();
    peer.ask("append 2").unwrap();
    peer.finish();
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(store.shape(), [1002]);
    assert_eq!(store.read(s![998..]).unwrap(), array![4.0, 4.0, 0.0, 1.0]);
}

#[test]
fn a_rewritten_file_has_the_header_of_a_new_one_and_the_elements_and_mode_of_the_old() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    for order in [Order::C, Order::F] {
        let array = Array2::from_shape_fn((5, 3), |(row, column)| (10 * row + column) as f64);
        let native = Options::new().order(order);
        drop(native.create_from(&path, &array).unwrap());
        let expected = fs::read(&path).unwrap();
        let compact = native.compact(true);
        drop(compact.create_from(&path, &array).unwrap());
        set_mode(&path, 0o640);
        assert_ne!(fs::read(&path).unwrap(), expected);

        let mut store = mapped(Store::<f64, Ix2>::open_rw(&path).unwrap());
        store.rewrite().unwrap();
        assert_eq!(store.view(), array);
        let inode = fs::metadata(&path).unwrap().ino();
        store.rewrite().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "once is enough");
        store.view_mut()[[4, 2]] = -1.0;
        store.close().unwrap();
        let mut found = fs::read(&path).unwrap();
        assert_eq!(found[found.len() - 8..], (-1.0_f64).to_le_bytes());
        let end = found.len() - 8;
        found[end..].copy_from_slice(&42.0_f64.to_le_bytes());
        assert!(found == expected, "{order:?}");
        assert_eq!(mode(&path), 0o640);
        fs::remove_file(&path).unwrap();
    }
    let raw = Options::new().raw(0);
    let mut store = raw.create_from(&path, &array![1.0, 2.0]).unwrap();
    let refused = store.rewrite();
    assert!(
        matches!(refused.why(), Some(ErrorKind::InvalidOption { .. })),
        "{refused:?}"
    );
}
