//! Moves into new files: NumPy's result, within any budget, or no file at all.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use ndarray::prelude::*;
use ndarray::{Slice, concatenate};
use ndstore::{
    AnyStore, Be, ByteOrder, Bytes, Element, ErrorKind, Le, LockHolder, Options, Order, ReadWrite,
    Result, Store, record,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{assert_no_drafts, bytes_of, trace};

use super::mapped::copy_on_write;
use super::support::Why;

record! {
    #[repr(C, packed)]
    #[derive(Debug, PartialEq)]
    struct Sample {
        id: u16,
        name: Bytes<3>,
        at: Be<u32>,
        value: f64,
    }
}

const ORDERS: [Order; 2] = [Order::C, Order::F];

/// An array of elements with all kinds of bytes.
fn array<A: Element>(shape: &[usize], seed: usize) -> ArrayD<A> {
    let len = shape.iter().product::<usize>() * size_of::<A>();
    let mut state = seed as u64;
    let words = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state ^ state >> 29
    });
    let words: Vec<u64> = words.take(len / 8 + 1).collect();
    let bytes: &[u8] = bytemuck::cast_slice(&words);
    let mut items = bytes.chunks_exact(size_of::<A>());
    ArrayD::from_shape_simple_fn(shape, || {
        bytemuck::pod_read_unaligned(items.next().unwrap())
    })
}

/// A file of the array in `order`.
fn stored<A: Element>(path: &Path, array: &ArrayD<A>, order: Order) -> Store<A, IxDyn> {
    let options = Options::new().order(order);
    options.create_from(path, array).unwrap()
}

/// Checks the elements of a new file, and what it says on the disk.
#[track_caller]
fn assert_is<A: Element>(store: Store<A, IxDyn>, expected: ArrayViewD<'_, A>, order: Order) {
    let path = store.path().to_owned();
    assert_eq!(store.shape(), expected.shape());
    drop(store);
    let store = Store::<A, IxDyn>::open(&path).unwrap();
    assert_eq!((store.shape(), store.order()), (expected.shape(), order));
    assert!(
        bytes_of(store.read_all().unwrap().view()) == bytes_of(expected),
        "other elements"
    );
}

/// Random sorts of a shape, for [`every_move`].
#[derive(Clone, Debug)]
struct Case {
    shape: Vec<usize>,
    order: Order,
    output: Option<Order>,
    seed: usize,
    memory: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    let shape = prop_oneof![
        4 => prop::collection::vec(1..7_usize, 0..5),
        1 => prop::collection::vec(0..3_usize, 0..5),
        1 => prop::collection::vec(10..50_usize, 3),
    ];
    let order = || prop::sample::select(ORDERS.to_vec());
    (
        shape,
        order(),
        prop::option::of(order()),
        any::<u16>(),
        0..100_000_usize,
    )
        .prop_map(|(shape, order, output, seed, memory)| Case {
            shape,
            order,
            output,
            seed: seed.into(),
            memory,
        })
}

/// Makes each move and compares it with ndarray's.
fn every_move<A: Element>(case: &Case) {
    let Case {
        shape,
        order,
        output,
        seed,
        memory,
    } = case.clone();
    let dir = tempfile::tempdir().unwrap();
    let [from, also, to] = ["from.npy", "also.npy", "to.npy"].map(|name| dir.path().join(name));
    let array = array::<A>(&shape, seed);
    let source = stored(&from, &array, order);
    let options = output.map_or_else(Options::new, |order| Options::new().order(order));
    let work = || source.out_of_core().memory(memory).output(options.clone());
    let ndim = shape.len();

    let found = work().transpose(&to).unwrap();
    assert_is(found, array.t(), output.unwrap_or(Order::C));

    let mut axes: Vec<usize> = (0..ndim).collect();
    for axis in 1..ndim {
        axes.swap(axis, seed / (axis + 1) % (axis + 1));
    }
    let found = work().permute(&axes, &to).unwrap();
    let expected = array.view().permuted_axes(IxDyn(&axes));
    assert_is(found, expected, output.unwrap_or(Order::C));

    for wanted in ORDERS {
        let found = source
            .out_of_core()
            .memory(memory)
            .to_order(wanted, &to)
            .unwrap();
        assert_is(found, array.view(), wanted);
    }

    let ranges: Vec<Range<usize>> = shape
        .iter()
        .enumerate()
        .map(|(axis, &len)| {
            let start = (seed >> axis) % (len + 1);
            start..start + (seed >> (axis + 3)) % (len - start + 1)
        })
        .collect();
    let found = work().copy_region(&ranges, &to).unwrap();
    let expected = array.slice_each_axis(|axis| Slice::from(ranges[axis.axis.index()].clone()));
    assert_is(found, expected, output.unwrap_or(order));

    if ndim > 0 {
        let axis = seed % ndim;
        let mut other = shape.clone();
        other[axis] = seed % 3;
        let other = self::array::<A>(&other, seed + 1);
        let second = stored(&also, &other, ORDERS[seed % 2]);
        let others = [second.out_of_core(), source.out_of_core()];
        let found = work().concatenate(&others, axis, &to).unwrap();
        let expected =
            concatenate(Axis(axis), &[array.view(), other.view(), array.view()]).unwrap();
        let both = if order == second.order() {
            order
        } else {
            Order::C
        };
        assert_is(found, expected.view(), output.unwrap_or(both));
    }
    assert_no_drafts(dir.path());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_move_makes_what_ndarray_makes(case in cases()) {
        every_move::<u8>(&case);
        every_move::<u16>(&case);
        every_move::<Bytes<3>>(&case);
        every_move::<f32>(&case);
        every_move::<f64>(&case);
        every_move::<Be<u64>>(&case);
        every_move::<Bytes<16>>(&case);
        every_move::<Bytes<24>>(&case);
        every_move::<Sample>(&case);
    }
}

#[test]
fn arrays_of_many_boxes_are_moved_whole_by_the_smallest_budget() {
    // Some MiB each, of which not one fits the buffers.
    let shapes: [&[usize]; 5] = [
        &[501, 603],
        &[5, 60_001],
        &[60_001, 5],
        &[61, 37, 133],
        &[50_000, 2, 3],
    ];
    for (number, shape) in shapes.into_iter().enumerate() {
        let case = |order, seed| Case {
            shape: shape.to_vec(),
            order,
            output: None,
            seed,
            memory: 1,
        };
        every_move::<f64>(&case(ORDERS[number % 2], 11_111 * number + 5));
        every_move::<Bytes<5>>(&case(ORDERS[1 - number % 2], 7_777 * number + 9));
    }
}

#[test]
fn extreme_shapes_are_moved() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to] = ["from.npy", "to.npy"].map(|name| dir.path().join(name));
    let shapes: [&[usize]; 8] = [
        &[],
        &[0],
        &[0, 1 << 40],
        &[1; 30],
        &[2; 16],
        &[1, 1 << 16, 1],
        &[1 << 20, 2, 3],
        &[2, 1 << 16, 3],
    ];
    for shape in shapes {
        let array = array::<u8>(shape, 3);
        let store = stored(&from, &array, Order::C);
        let found = store.out_of_core().memory(1).transpose(&to).unwrap();
        assert_is(found, array.t(), Order::C);
        let found = store
            .out_of_core()
            .memory(1)
            .to_order(Order::F, &to)
            .unwrap();
        assert_is(found, array.view(), Order::F);
    }
}

#[test]
fn records_larger_than_the_buffers_are_moved() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to, back] = ["from.npy", "to.npy", "back.npy"].map(|name| dir.path().join(name));
    // 6 elements of 3 MB, in a box of less than 1 MiB.
    type Huge = Bytes<3_000_000>;
    let bytes: Vec<u8> = (0..6 * size_of::<Huge>())
        .map(|byte| (byte % 251) as u8)
        .collect();
    let mut store = Store::<Huge, _>::create(&from, (2, 3)).unwrap();
    store.flush().unwrap();
    drop(store);
    let mut file = fs::read(&from).unwrap();
    file[4096..].copy_from_slice(&bytes);
    fs::write(&from, file).unwrap();

    store = Store::open_rw(&from).unwrap();
    let moved = store.out_of_core().memory(1).transpose(&to).unwrap();
    let item = |bytes: &[u8], index: usize| bytes[index * 3_000_000..][..3_000_000].to_vec();
    for (row, column) in [(0, 0), (0, 2), (1, 0), (1, 1)] {
        let found = item(
            &moved.to_bytes(ndstore::MemoryOrder::A).unwrap(),
            column * 2 + row,
        );
        assert!(found == item(&bytes, row * 3 + column), "{row} {column}");
    }
    let moved = moved.out_of_core().memory(1).transpose(&back).unwrap();
    assert!(moved.to_bytes(ndstore::MemoryOrder::A).unwrap() == bytes);
}

#[test]
fn a_record_that_is_converted_has_to_fit_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to] = ["from.npy", "to.npy"].map(|name| dir.path().join(name));
    let descr = "{'descr': [('x', '<f8', (100000,))], 'fortran_order': False, 'shape': (2,), }";
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((descr.len() as u16).to_le_bytes());
    file.extend(descr.as_bytes());
    let start = file.len();
    file.extend((0..1_600_000_u32).map(|byte| byte as u8));
    fs::write(&from, &file).unwrap();
    let any = AnyStore::open(&from).unwrap();
    let refused = any
        .out_of_core_any()
        .memory(1)
        .to_byte_order(ByteOrder::Big, &to);
    assert!(
        matches!(
            refused.why(),
            Some(ErrorKind::OverBudget {
                needed: 3_200_000,
                ..
            })
        ),
        "{refused:?}"
    );
    assert!(!to.exists());
    assert_no_drafts(dir.path());
    let swapped = any
        .out_of_core_any()
        .memory(3_200_000)
        .to_byte_order(ByteOrder::Big, &to)
        .unwrap();
    assert_eq!(swapped.dtype().descr(), "[('x', '>f8', (100000,))]");
    for (old, new) in file[start..]
        .chunks(8)
        .zip(swapped.to_bytes().unwrap().chunks(8))
    {
        assert!(old.iter().eq(new.iter().rev()));
    }
}

#[test]
fn bytes_change_their_order_and_elements_keep_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to, back] = ["from.npy", "to.npy", "back.npy"].map(|name| dir.path().join(name));
    for order in ORDERS {
        let array = array::<f64>(&[31, 17, 5], 1);
        let store = stored(&from, &array, order);
        let big = store
            .out_of_core()
            .to_byte_order(ByteOrder::Big, &to)
            .unwrap();
        assert_eq!((big.dtype().descr().as_str(), big.order()), (">f8", order));
        let big = big.downcast::<Be<f64>, IxDyn, ReadWrite>().unwrap();
        let found = big.read_all().unwrap().mapv(Be::get);
        assert_eq!(bytes_of(found.view()), bytes_of(array.view()));
        drop(big);
        // Read as native elements, whatever the file has.
        let any = AnyStore::open(&to).unwrap();
        let native = any.out_of_core::<f64, Ix3>().unwrap();
        let moved = native.transpose(&back).unwrap();
        assert_eq!(
            bytes_of(moved.read_all().unwrap().view()),
            bytes_of(array.t())
        );
    }
    let store = stored(&from, &array::<Sample>(&[50], 2), Order::C);
    let moved = store
        .out_of_core()
        .to_byte_order(ByteOrder::Big, &to)
        .unwrap();
    let fields = "[('id', '>u2'), ('name', '|S3'), ('at', '>u4'), ('value', '>f8')]";
    assert_eq!(moved.dtype().descr(), fields);
    let refused = store
        .out_of_core()
        .to_byte_order(ByteOrder::NotApplicable, &back);
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::InvalidOption { .. })
    ));
}

#[test]
fn arrays_of_any_dtype_are_moved_as_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let [from, other, to] = ["from.npy", "other.npy", "to.npy"].map(|name| dir.path().join(name));
    let array = array::<Sample>(&[4, 6], 5);
    stored(&from, &array, Order::F).close().unwrap();
    let any = AnyStore::open(&from).unwrap();
    let check = |made: Result<AnyStore>, expected: ArrayViewD<'_, Sample>, order| {
        let store = made
            .unwrap()
            .downcast::<Sample, IxDyn, ReadWrite>()
            .unwrap();
        assert_is(store, expected, order);
    };
    check(any.out_of_core_any().transpose(&to), array.t(), Order::C);
    check(
        any.out_of_core_any().permute(&[0, 1], &to),
        array.view(),
        Order::C,
    );
    check(
        any.out_of_core_any().to_order(Order::C, &to),
        array.view(),
        Order::C,
    );
    let part = array.slice(s![1..3, 2..6]).into_dyn();
    check(
        any.out_of_core_any().copy_region(&[1..3, 2..6], &to),
        part,
        Order::F,
    );
    // Another byte order is brought into the first one's.
    let big = any
        .out_of_core_any()
        .to_byte_order(ByteOrder::Big, &other)
        .unwrap();
    let joined = any.out_of_core_any().concatenate(&[&big], 0, &to);
    let twice = concatenate(Axis(0), &[array.view(), array.view()]).unwrap();
    check(joined, twice.view(), Order::F);
    drop(big);
    Store::create_from(&other, &Array2::<f32>::zeros((4, 6)))
        .unwrap()
        .close()
        .unwrap();
    let floats = AnyStore::open(&other).unwrap();
    let refused = any.out_of_core_any().concatenate(&[&floats], 0, &to);
    assert!(
        matches!(refused.why(), Some(ErrorKind::DTypeMismatch { .. })),
        "{refused:?}"
    );
}

#[test]
fn changes_that_are_in_memory_alone_are_moved_too() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to] = ["from.npy", "to.npy"].map(|name| dir.path().join(name));
    Store::create_from(&from, &Array2::<f64>::zeros((600, 700)))
        .unwrap()
        .close()
        .unwrap();
    let mut store = copy_on_write(Store::<f64, Ix2>::open(&from).unwrap());
    store.view_mut()[(599, 1)] = 5.0;
    let moved = store.out_of_core().transpose(&to).unwrap();
    assert_eq!(
        (
            moved.read_all().unwrap()[(1, 599)],
            moved.read_all().unwrap().sum()
        ),
        (5.0, 5.0)
    );
    // Also where the kernel would copy.
    let moved = store.out_of_core().to_order(Order::C, &to);
    assert!(
        matches!(moved.why(), Some(ErrorKind::Locked { .. })),
        "the new store is still open"
    );
    drop((moved, store));
    let mut store = Store::<f64, Ix2>::open_rw(&from).unwrap();
    store.set((0, 1), 7.0).unwrap();
    let copy = dir.path().join("copy.npy");
    let moved = store.out_of_core().to_order(Order::C, &copy).unwrap();
    assert_eq!(moved.read_all().unwrap().sum(), 7.0);
    drop(store);
    let mut store = copy_on_write(Store::<f64, Ix2>::open(&from).unwrap());
    store.view_mut()[(5, 5)] = 1.0;
    let moved = store
        .out_of_core()
        .to_order(Order::C, dir.path().join("cow.npy"))
        .unwrap();
    assert_eq!(moved.read_all().unwrap().sum(), 8.0);
}

#[test]
fn the_output_is_made_as_the_options_say() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to] = ["from.npy", "to.npy"].map(|name| dir.path().join(name));
    let array = array::<f64>(&[300, 200], 4);
    let store = stored(&from, &array, Order::C);
    let compact = Options::new().compact(true);
    let moved = store.out_of_core().output(compact).transpose(&to).unwrap();
    assert_eq!(moved.offset(), 128);
    assert_is(moved, array.t(), Order::C);
    let raw = Options::new().raw(101).order(Order::F);
    let moved = store.out_of_core().output(raw).transpose(&to).unwrap();
    assert_eq!(
        bytes_of(moved.read_all().unwrap().view()),
        bytes_of(array.t())
    );
    let conflict = store.out_of_core().output(Options::new().order(Order::C));
    let refused = conflict.to_order(Order::F, dir.path().join("new.npy"));
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::InvalidOption { .. })
    ));
}

/// A store of 6 MB in a directory, and an old file where its moves go.
fn source_and_target() -> (TempDir, Store<f64, Ix2>, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("from.npy"), (1000, 800)).unwrap();
    let to = dir.path().join("to.npy");
    Store::create_from(&to, &array![1, 2, 3])
        .unwrap()
        .close()
        .unwrap();
    (dir, store, to)
}

#[test]
fn a_move_that_is_cancelled_leaves_the_old_file_and_no_other() {
    let (dir, store, to) = source_and_target();
    let old = trace(&to);
    for stop_at in [1, 1_000_000, 6_400_000] {
        let mut reports = Vec::new();
        let cancelled = |op: &str| {
            let work = store.out_of_core().memory(1).progress(|progress| {
                reports.push(progress.done);
                assert_eq!(progress.total, 6_400_000);
                match progress.done >= stop_at {
                    true => Err("stopped".into()),
                    false => Ok(()),
                }
            });
            match op {
                "transpose" => work.transpose(&to),
                _ => work.to_order(Order::C, &to),
            }
        };
        let mut cancelled = cancelled;
        for op in ["transpose", "copy"] {
            let refused = cancelled(op);
            assert!(
                matches!(refused.why(), Some(ErrorKind::Cancelled { .. })),
                "{refused:?}"
            );
            assert_eq!(trace(&to), old);
            assert_no_drafts(dir.path());
        }
        assert!(reports.iter().any(|&done| done >= stop_at));
    }
}

#[test]
fn progress_ends_with_all_bytes() {
    let (_dir, store, to) = source_and_target();
    let mut done = 0;
    let work = store.out_of_core().memory(1).progress(|progress| {
        assert!(progress.done > done && progress.done <= progress.total);
        done = progress.done;
        Ok(())
    });
    work.transpose(&to).unwrap();
    assert_eq!(done, 6_400_000);
}

#[test]
fn a_source_that_somebody_cuts_is_an_error_and_no_file() {
    let (dir, store, to) = source_and_target();
    let old = trace(&to);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(store.path())
        .unwrap();
    file.set_len(3_000_000).unwrap();
    let refused = store.out_of_core().memory(1).transpose(&to);
    let expected = matches!(
        refused.why(),
        Some(ErrorKind::Truncated {
            found: 3_000_000,
            ..
        })
    );
    assert!(expected, "{refused:?}");
    // What the kernel copies is cut as well, and it is the source that is.
    let refused = store.out_of_core().to_order(Order::C, &to).unwrap_err();
    let ErrorKind::Truncated {
        expected, found, ..
    } = refused.kind()
    else {
        panic!("{refused:?}");
    };
    assert_eq!(refused.path(), Some(store.path()));
    assert_eq!((*expected, *found), (4096 + 6_400_000, 3_000_000));
    assert_eq!(trace(&to), old);
    assert_no_drafts(dir.path());
    file.set_len(4096 + 6_400_000).unwrap();
}

#[test]
fn an_array_is_not_moved_onto_itself() {
    let (dir, store, _) = source_and_target();
    let path = store.path().to_owned();
    let before = trace(&path);
    let refused = store.out_of_core().transpose(&path);
    let this = matches!(
        refused.why(),
        Some(ErrorKind::Locked {
            holder: LockHolder::ThisProcess,
            ..
        })
    );
    assert!(this, "{refused:?}");
    assert!(matches!(
        store.out_of_core().to_order(Order::C, &path).why(),
        Some(ErrorKind::Locked { .. })
    ));
    assert_eq!(trace(&path), before);
    assert_no_drafts(dir.path());
}

#[test]
fn axes_and_ranges_that_the_array_lacks_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [from, other, to] = ["from.npy", "other.npy", "to.npy"].map(|name| dir.path().join(name));
    let store = stored(&from, &array::<u16>(&[3, 4], 0), Order::C);
    let other = stored(&other, &array::<u16>(&[3, 5], 0), Order::C);
    let work = || store.out_of_core();
    let refused = work().permute(&[0], &to);
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::NdimMismatch {
            expected: 1,
            found: 2,
            ..
        })
    ));
    let refused = work().permute(&[0, 2], &to);
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::AxisOutOfBounds {
            axis: 2,
            ndim: 2,
            ..
        })
    ));
    let refused = work().permute(&[1, 1], &to);
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::InvalidOption { .. })
    ));
    for (ranges, axis) in [
        ([0..4, 0..1], 0),
        ([0..1, Range { start: 2, end: 1 }], 1),
        ([0..1, 0..usize::MAX], 1),
    ] {
        let refused = work().copy_region(&ranges, &to);
        assert!(
            matches!(refused.why(), Some(ErrorKind::RangeOutOfBounds { axis: found, .. }) if *found == axis)
        );
    }
    let refused = work().copy_region(&[], &to);
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::NdimMismatch { .. })
    ));
    let refused = work().concatenate(&[other.out_of_core()], 0, &to);
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::ShapeMismatch { .. })
    ));
    let refused = work().concatenate(&[other.out_of_core()], 2, &to);
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::AxisOutOfBounds { .. })
    ));
    assert!(!to.exists());
    assert_no_drafts(dir.path());
    let joined = work().concatenate(&[other.out_of_core()], 1, &to).unwrap();
    assert_eq!(joined.shape(), [3, 9]);
}

#[test]
fn a_part_that_shares_its_element_type_with_the_file_stays_aligned_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to] = ["from.npy", "to.npy"].map(|name| dir.path().join(name));
    let array = array::<Le<f32>>(&[7, 9], 8);
    let store = stored(&from, &array, Order::C);
    let part = store.out_of_core().copy_region(&[2..7, 1..2], &to).unwrap();
    assert_is(part, array.slice(s![2..7, 1..2]).into_dyn(), Order::C);
}

/// Where [`a_budget_is_kept`] runs in a process of its own: the path, the rows, and the operation.
const ORDER: &str = "NDSTORE_TEST_MOVES";

const MEMORY: usize = 16 << 20;

#[test]
#[cfg(target_os = "linux")]
fn memory_stays_within_the_budget_whatever_the_size() {
    let dir = tempfile::tempdir().unwrap();
    for mib in [16, 64, 256] {
        // Rows of 32 KiB.
        let path = dir.path().join(format!("{mib}.npy"));
        Store::<f64, _>::create(&path, (mib << 5, 4096))
            .unwrap()
            .close()
            .unwrap();
        for op in ["transpose", "swap", "copy"] {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args([
                "moves::a_budget_is_kept",
                "--exact",
                "--ignored",
                "--nocapture",
            ]);
            child.env(ORDER, format!("{op} {}", path.display()));
            let output = child.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{text}");
            let peak = text.split("peak: ").nth(1).expect("it says so");
            let peak: usize = peak.split_whitespace().next().unwrap().parse().unwrap();
            assert!(
                peak << 10 <= MEMORY + (32 << 20),
                "{op} of {mib} MiB: {peak} KiB"
            );
        }
        fs::remove_file(&path).unwrap();
    }
}

#[test]
#[ignore = "the second process of another test, which starts it"]
fn a_budget_is_kept() {
    let Ok(order) = std::env::var(ORDER) else {
        return;
    };
    let (op, path) = order.split_once(' ').unwrap();
    let to = Path::new(path).with_extension("moved");
    let store = Store::<f64, Ix2>::open(path).unwrap();
    // What was the peak before does not count.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let work = store.out_of_core().memory(MEMORY);
    match op {
        "transpose" => drop(work.transpose(&to).unwrap()),
        "swap" => drop(work.to_byte_order(ByteOrder::Big, &to).unwrap()),
        _ => drop(work.to_order(Order::C, &to).unwrap()),
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("\npeak: {}", peak.unwrap().trim());
    fs::remove_file(to).unwrap();
}
