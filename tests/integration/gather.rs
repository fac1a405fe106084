//! Rows by index: gathered into memory, gathered into a new file, and scattered, compared with
//! ndarray's `select`.

use std::fs;
use std::path::Path;

use ndarray::prelude::*;
use ndarray::{ArrayRef, Slice, concatenate};
use ndstore::{
    AnyStore, Be, ByteOrdered, Bytes, Element, Error, ErrorKind, Mode, Options, Order, Progress,
    ReadWrite, Store,
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::allocations::largest_during;
use super::mapped::{copy_on_write, mapped};
use super::resize::{Form, assert_same, make, numbered};
use super::support::{assert_no_drafts, bytes_of, trace};

/// An array, and rows of it.
#[derive(Clone, Debug)]
struct Case {
    shape: Vec<usize>,
    order: Order,
    form: Form,
    rows: Vec<usize>,
    /// The budget beyond what the result takes.
    memory: usize,
    /// Whether the file is dropped from the page cache first.
    cold: bool,
}

impl Case {
    fn axis(&self) -> Axis {
        Axis(match self.order {
            Order::C => 0,
            Order::F => self.shape.len() - 1,
        })
    }

    /// The memory for `nbytes` of result and the budget.
    fn memory(&self, nbytes: usize) -> usize {
        nbytes + self.memory
    }
}

/// Shapes whose rows are of no bytes up to some pages, few or many of them.
fn any_shape() -> impl Strategy<Value = Vec<usize>> {
    let row = prop_oneof![
        Just(vec![]),
        Just(vec![0]),
        Just(vec![3]),
        Just(vec![2, 5]),
        // A page of `f64`, and some more; exactly a page of them.
        Just(vec![3, 211]),
        Just(vec![512]),
    ];
    let count = prop_oneof![0..3_usize, 3..40_usize, 2000..3000_usize];
    (row, count).prop_map(|(mut row, count)| {
        let largest = if row.iter().product::<usize>() > 100 {
            40
        } else {
            count
        };
        row.insert(0, count.min(largest));
        row
    })
}

fn any_case() -> impl Strategy<Value = Case> {
    let order = prop_oneof![Just(Order::C), Just(Order::F)];
    let form = prop_oneof![Just(Form::Native), Just(Form::Compact), Just(Form::Raw(7))];
    let memory = prop_oneof![Just(0), 0..100_000_usize, Just(1 << 30)];
    let cold = prop::bool::weighted(0.3);
    (any_shape(), order, form, memory, cold).prop_flat_map(|(shape, order, form, memory, cold)| {
        let rows = match shape[0] {
            0 => Just(Vec::new()).boxed(),
            count => prop_oneof![
                1 => Just((0..count).collect()),
                1 => Just((0..count).rev().collect()),
                4 => prop::collection::vec(0..count, 0..60),
                1 => prop::collection::vec(0..count, 2000..3000),
            ]
            .boxed(),
        };
        rows.prop_map(move |rows| {
            let mut shape = shape.clone();
            if order == Order::F {
                shape.reverse();
            }
            Case {
                shape,
                order,
                form,
                rows,
                memory,
                cold,
            }
        })
    })
}

/// Drops a file from the page cache, where that is possible.
fn evict(path: &Path) {
    #[cfg(target_os = "linux")]
    {
        let file = fs::File::open(path).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = path;
}

/// Makes the file of a case, and says what gathering is to give.
fn prepare<A: Element>(path: &Path, case: &Case) -> (Options, ArrayD<A>, ArrayD<A>) {
    let array = numbered::<A>(&case.shape);
    let options = make(path, &array, case.order, case.form);
    if case.cold {
        evict(path);
    }
    let expected = array.select(case.axis(), &case.rows);
    (options, array, expected)
}

fn open_any<A: Element>(path: &Path, case: &Case, options: Options) -> AnyStore {
    let options = match case.form {
        Form::Raw(_) => options.dtype(A::dtype()),
        _ => options,
    };
    options.open_any(path, Mode::Read).unwrap()
}

fn nbytes<A>(array: &ArrayD<A>) -> usize {
    array.len() * size_of::<A>()
}

fn check_gather<A: Element>(case: &Case) {
    let dir = TempDir::new().unwrap();
    let (path, new) = (dir.path().join("array.npy"), dir.path().join("new.npy"));
    let (options, _, expected) = prepare::<A>(&path, case);
    let any = open_any::<A>(&path, case, options);
    let source = || any.out_of_core::<A, IxDyn>().unwrap();
    let found = source()
        .memory(case.memory(nbytes(&expected)))
        .gather(&case.rows)
        .unwrap();
    assert_same(found.view(), &expected);
    if !expected.is_empty() {
        let lies_as_in_the_file = match case.order {
            Order::C => found.is_standard_layout(),
            Order::F => found.t().is_standard_layout(),
        };
        assert!(lies_as_in_the_file);
    }
    let mut told = Vec::new();
    let store = source()
        .memory(case.memory)
        .progress(|progress| {
            told.push(progress);
            Ok(())
        })
        .gather_to(&new, &case.rows)
        .unwrap();
    assert_eq!(store.order(), case.order);
    assert_same(store.read_all().unwrap().view(), &expected);
    drop(store);
    assert_same(
        Store::<A, IxDyn>::open(&new)
            .unwrap()
            .read_all()
            .unwrap()
            .view(),
        &expected,
    );
    let total = nbytes(&expected) as u64;
    assert!(told.is_sorted_by(|one, next| one.done < next.done));
    assert_eq!(told.last().map_or(0, |last| last.done), total);
    assert!(told.iter().all(|progress| progress.total == total));
    assert_no_drafts(dir.path());
}

/// As [`check_gather`], of a file in the other byte order.
fn check_foreign<A: ByteOrdered>(case: &Case) {
    let dir = TempDir::new().unwrap();
    let (path, new) = (dir.path().join("array.npy"), dir.path().join("new.npy"));
    let (options, _, foreign) = prepare::<Be<A>>(&path, case);
    let expected = foreign.mapv(|element| element.get());
    let any = open_any::<Be<A>>(&path, case, options);
    let source = || any.out_of_core::<A, IxDyn>().unwrap();
    let memory = case.memory(nbytes(&expected));
    let found = source().memory(memory).gather(&case.rows).unwrap();
    assert_same(found.view(), &expected);
    let store = source().memory(case.memory).gather_to(&new, &case.rows);
    assert_same(store.unwrap().read_all().unwrap().view(), &expected);
}

/// The values in another layout than the standard one.
fn spread<A: Element>(values: &ArrayD<A>) -> ArrayD<A> {
    let axis = Axis(values.ndim() - 1);
    let twice = concatenate(axis, &[values.view(), values.view()]).unwrap();
    let mut spread = twice.clone();
    for (index, part) in values.axis_iter(axis).enumerate() {
        spread.index_axis_mut(axis, 2 * index).assign(&part);
    }
    spread
}

fn check_scatter<A: Element>(case: &Case) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    let (options, array, picked) = prepare::<A>(&path, case);
    // Other elements than those that are there.
    let mut values = picked;
    for (number, element) in values.iter_mut().enumerate() {
        *element = super::resize::element(array.len() + number);
    }
    let mut expected = array;
    for (place, &row) in case.rows.iter().enumerate() {
        let value = values.index_axis(case.axis(), place);
        expected.index_axis_mut(case.axis(), row).assign(&value);
    }
    let wide = spread(&values);
    let every_other = wide.slice_axis(Axis(wide.ndim() - 1), Slice::from(..).step_by(2));
    let transposed = values.t().as_standard_layout().into_owned();
    for values in [values.view(), every_other, transposed.t()] {
        let mut store: Store<A, IxDyn, ReadWrite> = options.open_rw(&path).unwrap();
        let zeros = store.read_all().unwrap().mapv(|_| A::zeroed());
        store
            .out_of_core_mut()
            .memory(case.memory)
            .scatter(&case.rows, &values)
            .unwrap();
        assert_same(store.read_all().unwrap().view(), &expected);
        store.flush().unwrap();
        drop(store);
        let store = options.open::<A, IxDyn>(&path).unwrap();
        assert_same(store.read_all().unwrap().view(), &expected);
        drop(store);
        // The next layout finds none of its values there already.
        let mut map = mapped(options.open_rw::<A, IxDyn>(&path).unwrap());
        for &row in &case.rows {
            let zero = zeros.index_axis(case.axis(), row);
            map.view_mut()
                .index_axis_mut(case.axis(), row)
                .assign(&zero);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn gathered_rows_are_those_that_ndarray_selects(case in any_case(), kind in 0..3) {
        match kind {
            0 => check_gather::<f64>(&case),
            1 => check_gather::<u8>(&case),
            _ => check_gather::<Bytes<3>>(&case),
        }
    }

    #[test]
    fn rows_in_the_other_byte_order_are_converted(case in any_case(), wide in any::<bool>()) {
        match wide {
            true => check_foreign::<f64>(&case),
            false => check_foreign::<i16>(&case),
        }
    }

    #[test]
    fn scattered_rows_are_in_the_file_and_the_last_one_wins(case in any_case(), kind in 0..3) {
        // The elements of a raw file may not be aligned, and then they cannot be changed in place.
        let form = match case.form {
            Form::Raw(_) => Form::Raw(16),
            form => form,
        };
        let case = Case { form, ..case };
        match kind {
            0 => check_scatter::<f64>(&case),
            1 => check_scatter::<u8>(&case),
            _ => check_scatter::<Bytes<3>>(&case),
        }
    }
}

/// A file of 40 rows of 5 `i32`, and one in whose place nothing may come.
fn fixture() -> (TempDir, Store<i32, Ix2>, Array2<i32>) {
    let dir = TempDir::new().unwrap();
    let array = Array2::from_shape_fn((40, 5), |(row, column)| (row * 10 + column) as i32);
    let store = Store::create_from(dir.path().join("array.npy"), &array).unwrap();
    (dir, store, array)
}

#[test]
fn no_rows_of_an_array_are_an_array_without_rows() {
    let (dir, mut store, array) = fixture();
    let none = store.out_of_core().gather(&[]).unwrap();
    assert_eq!(none.dim(), (0, 5));
    let new = store
        .out_of_core()
        .gather_to(dir.path().join("new.npy"), &[]);
    assert_eq!(new.unwrap().shape(), [0, 5]);
    let nothing = Array2::zeros((0, 5));
    store.out_of_core_mut().scatter(&[], &nothing).unwrap();
    assert_eq!(store.read_all().unwrap(), array);
    // Of an array without rows there are no others.
    let empty = Store::<i32, _>::create(dir.path().join("empty.npy"), (0, 5)).unwrap();
    assert_eq!(empty.out_of_core().gather(&[]).unwrap().dim(), (0, 5));
    let refused = empty.out_of_core().gather(&[0]).unwrap_err();
    assert!(matches!(
        refused.kind(),
        ErrorKind::IndexOutOfBounds {
            index: 0,
            rows: 0,
            ..
        }
    ));
}

#[test]
fn an_index_out_of_bounds_is_refused_before_anything_is_touched() {
    let (dir, mut store, array) = fixture();
    let rows = [3, 39, 40, 2];
    let out = |refused: &Error| {
        matches!(
            refused.kind(),
            ErrorKind::IndexOutOfBounds {
                index: 40,
                rows: 40,
                ..
            }
        )
    };
    let refused = store.out_of_core().gather(&rows).unwrap_err();
    assert!(out(&refused), "{refused:?}");
    assert!(
        refused
            .to_string()
            .contains("there is no row 40, it has 40"),
        "{refused}"
    );

    let new = dir.path().join("new.npy");
    fs::write(&new, "an old file").unwrap();
    let before = trace(&new);
    assert!(out(&store
        .out_of_core()
        .gather_to(&new, &rows)
        .unwrap_err()));
    assert_eq!(trace(&new), before);
    assert_no_drafts(dir.path());

    let ones = Array2::ones((4, 5));
    assert!(out(&store
        .out_of_core_mut()
        .scatter(&rows, &ones)
        .unwrap_err()));
    assert_eq!(store.read_all().unwrap(), array);
}

#[test]
fn values_of_another_shape_are_refused_before_anything_is_touched() {
    let (_dir, mut store, array) = fixture();
    for shape in [(1, 5), (3, 5), (2, 4), (2, 0)] {
        let values = Array2::ones(shape);
        let refused = store
            .out_of_core_mut()
            .scatter(&[1, 2], &values)
            .unwrap_err();
        let ErrorKind::ShapeMismatch {
            expected, found, ..
        } = refused.kind()
        else {
            panic!("{refused:?}");
        };
        assert_eq!(
            (&expected[..], &found[..]),
            (&[2, 5][..], &[shape.0, shape.1][..])
        );
    }
    assert_eq!(store.read_all().unwrap(), array);
}

#[test]
fn a_0_d_array_has_no_rows() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::create_from(dir.path().join("array.npy"), &arr0(1.5)).unwrap();
    let refused = store.out_of_core().gather(&[0]).unwrap_err();
    assert!(matches!(
        refused.kind(),
        ErrorKind::AxisOutOfBounds {
            axis: 0,
            ndim: 0,
            ..
        }
    ));
    let refused = store
        .out_of_core_mut()
        .scatter(&[0], &arr0(2.5))
        .unwrap_err();
    assert!(matches!(
        refused.kind(),
        ErrorKind::AxisOutOfBounds {
            axis: 0,
            ndim: 0,
            ..
        }
    ));
}

#[test]
fn rows_that_exceed_the_budget_are_written_to_a_file_piece_by_piece() {
    let dir = TempDir::new().unwrap();
    let [path, swapped, new] = ["a.npy", "b.npy", "new.npy"].map(|name| dir.path().join(name));
    // Pieces end within a row, and an element has no divisor in common with them.
    let array = Array2::from_shape_fn((3, 800_001), |(row, column)| {
        [row as f32, column as f32, 7.0]
    });
    let array = array.mapv(|part| Triple { part });
    let store = Store::create_from(&path, &array).unwrap();
    let memory = 4 << 20;
    let rows = [2, 0, 2];
    let work = || store.out_of_core().memory(memory);
    let (gathered, largest) = largest_during(|| work().gather_to(&new, &rows).unwrap());
    assert!(gathered.read_all().unwrap() == array.select(Axis(0), &rows));
    assert!(largest <= memory, "{largest}");
    drop(gathered);

    let big = Array2::from_shape_fn((2, 1 << 20), |(row, column)| {
        Be::from((row << 20 | column) as f64)
    });
    drop(Store::create_from(&swapped, &big).unwrap());
    let any = AnyStore::open(&swapped).unwrap();
    let work = any.out_of_core::<f64, Ix2>().unwrap().memory(0);
    let (gathered, largest) = largest_during(|| work.gather_to(&new, &[1, 1]).unwrap());
    let expected = big.mapv(Be::get);
    assert!(gathered.read_all().unwrap() == expected.select(Axis(0), &[1, 1]));
    assert!(largest <= 2 << 20, "{largest}");
}

ndstore::record! {
    #[derive(Debug, PartialEq)]
    struct Triple {
        part: [f32; 3],
    }
}

#[test]
fn a_result_that_exceeds_the_budget_is_refused_in_memory_and_written_to_a_file() {
    let (dir, store, array) = fixture();
    let rows: Vec<usize> = (0..1000).map(|row| row * 7 % 40).collect();
    let refused = store
        .out_of_core()
        .memory(19_999)
        .gather(&rows)
        .unwrap_err();
    let ErrorKind::OverBudget { needed, budget, .. } = refused.kind() else {
        panic!("{refused:?}");
    };
    assert_eq!((*needed, *budget), (20_000, 19_999));
    let fits = store.out_of_core().memory(20_000).gather(&rows).unwrap();
    assert_eq!(fits, array.select(Axis(0), &rows));
    let new = dir.path().join("new.npy");
    let written = store.out_of_core().memory(19_999).gather_to(new, &rows);
    assert_eq!(written.unwrap().read_all().unwrap(), fits);
}

#[test]
fn more_rows_than_there_are_addresses_for_are_refused() {
    let dir = TempDir::new().unwrap();
    let options = Options::new().sparse(true);
    let store = options
        .create::<u8, _>(dir.path().join("large.npy"), (1, 1 << 40))
        .unwrap();
    let refused = store.out_of_core().gather(&vec![0; 1 << 23]).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::ShapeTooLarge { .. }),
        "{refused:?}"
    );
}

#[test]
fn a_gather_that_is_cancelled_leaves_no_file() {
    let (dir, mut store, array) = fixture();
    let new = dir.path().join("new.npy");
    let stop = |_: Progress| -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err("stopped".into())
    };
    let refused = store
        .out_of_core()
        .progress(stop)
        .gather_to(&new, &[1, 2])
        .unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Cancelled { .. }));
    assert!(!new.exists());
    assert_no_drafts(dir.path());
    let refused = store
        .out_of_core()
        .progress(stop)
        .gather(&[1, 2])
        .unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Cancelled { .. }));
    // What was scattered before it was cancelled stays.
    let ones = Array2::ones((40, 5));
    let all: Vec<usize> = (0..40).collect();
    let refused = store
        .out_of_core_mut()
        .progress(stop)
        .scatter(&all, &ones)
        .unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Cancelled { .. }));
    assert_ne!(store.read_all().unwrap(), array);
}

#[test]
fn the_output_has_the_order_of_the_array_and_the_options_that_were_given() {
    let (dir, store, array) = fixture();
    let new = dir.path().join("new.npy");
    let other = Options::new().order(Order::F);
    let refused = store
        .out_of_core()
        .output(other)
        .gather_to(&new, &[1])
        .unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::InvalidOption { .. }));
    let compact = Options::new().order(Order::C).compact(true);
    let made = store
        .out_of_core()
        .output(compact)
        .gather_to(&new, &[1])
        .unwrap();
    assert_eq!(made.offset(), 128);
    assert_eq!(made.read_all().unwrap(), array.select(Axis(0), &[1]));
}

#[test]
fn an_array_is_not_gathered_into_its_own_file() {
    let (_dir, store, array) = fixture();
    let refused = store
        .out_of_core()
        .gather_to(store.path(), &[1])
        .unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Locked { .. }),
        "{refused:?}"
    );
    assert_eq!(store.read_all().unwrap(), array);
}

#[test]
fn private_changes_are_gathered() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    // Small rows, and rows of some pages.
    for columns in [3, 3000] {
        let array = numbered::<f64>(&[50, columns]);
        Store::create_from(&path, &array).unwrap().close().unwrap();
        let mut store = copy_on_write(Store::<f64, IxDyn>::open(&path).unwrap());
        store.view_mut().index_axis_mut(Axis(0), 7).fill(-1.0);
        let rows = [8, 7, 6, 7];
        for memory in [4 * columns * 8, 1 << 30] {
            let found = store.out_of_core().memory(memory).gather(&rows).unwrap();
            let seen = store.view().select(Axis(0), &rows);
            assert_same(found.view(), &seen);
            assert_eq!(found[[1, 0]], -1.0);
            let new = dir.path().join("new.npy");
            let made = store
                .out_of_core()
                .memory(0)
                .gather_to(&new, &rows)
                .unwrap();
            assert_same(made.read_all().unwrap().view(), &seen);
        }
        // The changes are still there, and nowhere else.
        assert!(
            store
                .view()
                .index_axis(Axis(0), 7)
                .iter()
                .all(|&element| element == -1.0)
        );
        drop(store);
        assert_same(
            Store::<f64, IxDyn>::open(&path)
                .unwrap()
                .read_all()
                .unwrap()
                .view(),
            &array,
        );
    }
}

#[cfg(unix)]
#[test]
fn a_large_row_that_the_file_lost_is_an_error_and_no_signal() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    drop(Store::<f64, _>::create(&path, (10, 1000)).unwrap());
    let store = Store::<f64, Ix2>::open(&path).unwrap();
    // By a program without a lock.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(4096 + 50_000).unwrap();
    assert!(store.out_of_core().gather(&[0, 5]).is_ok());
    let refused = store.out_of_core().gather(&[0, 7]).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Truncated { .. }),
        "{refused:?}"
    );
}

#[test]
fn an_array_of_any_dtype_is_gathered_by_way_of_any_store() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("array.npy");
    let array = array![[1.5, 2.5], [3.5, 4.5], [5.5, 6.5]];
    drop(Store::create_from(&path, &array.mapv(Be::from)).unwrap());
    let any = AnyStore::open(&path).unwrap();
    let rows = any
        .out_of_core::<f64, Ix2>()
        .unwrap()
        .gather(&[2, 0])
        .unwrap();
    assert_eq!(rows, array![[5.5, 6.5], [1.5, 2.5]]);
    assert_eq!(bytes_of(rows.view().into_dyn())[..8], 5.5_f64.to_ne_bytes());
    let refused = any.out_of_core::<f32, Ix2>().err().unwrap();
    assert!(matches!(refused.kind(), ErrorKind::DTypeMismatch { .. }));
}

/// How many calls that read this thread has made.
#[cfg(target_os = "linux")]
fn reads() -> u64 {
    let counters = fs::read_to_string("/proc/thread-self/io").unwrap();
    let mut lines = counters.lines();
    let line = lines.find_map(|line| line.strip_prefix("syscr: "));
    line.unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_small_gather_of_cached_rows_is_one_read_a_row() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.npy");
    let array = Array2::from_shape_fn((5000, 32), |(row, column)| (row * 32 + column) as f32);
    let store = Store::create_from(&path, &array).unwrap();
    let rows: Vec<_> = (0..64).map(|index| index * 997 % 5000).collect();
    let gather = || store.out_of_core().gather(&rows).unwrap();
    gather();
    let before = reads();
    let nothing = reads() - before;
    let before = reads();
    let gathered = gather();
    let calls = reads() - before - nothing;
    assert_eq!(gathered, array.select(Axis(0), &rows));
    assert_eq!(calls, 64);
}

#[test]
fn rows_are_gathered_into_an_array_of_any_layout() {
    for order in [Order::C, Order::F] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a.npy");
        let array = Array3::from_shape_fn((6, 5, 4), |(i, j, k)| (i * 20 + j * 4 + k) as f64);
        let store = Options::new()
            .order(order)
            .create_from(&path, &array)
            .unwrap();
        let (axis, rows) = match order {
            Order::C => (Axis(0), vec![5, 0, 0, 3, 2]),
            Order::F => (Axis(2), vec![3, 0, 3]),
        };
        let expected = array.select(axis, &rows);
        let shape = expected.raw_dim();
        let mut memory = Array4::from_elem((2, shape[0], shape[1], shape[2]), -1.0);
        let (mut c, mut f) = (Array3::zeros(shape), Array3::zeros(shape.f()));
        let gather = |into: &mut ArrayRef<f64, Ix3>| store.out_of_core().gather_into(&rows, into);
        gather(&mut c).unwrap();
        gather(&mut f).unwrap();
        gather(&mut memory.index_axis_mut(Axis(0), 1)).unwrap();
        assert_eq!(c, expected);
        assert_eq!(f, expected);
        assert_eq!(memory.index_axis(Axis(0), 1), expected);
        assert!(
            memory
                .index_axis(Axis(0), 0)
                .iter()
                .all(|&element| element == -1.0)
        );
        let other = gather(&mut Array3::zeros((6, 5, 1))).unwrap_err();
        assert!(
            matches!(other.kind(), ErrorKind::ShapeMismatch { .. }),
            "{other}"
        );
    }
}
