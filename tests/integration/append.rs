//! Growing and cutting in place: append, push, truncate and the appender, compared with an array in
//! memory.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytemuck::{Pod, Zeroable};
use ndarray::prelude::*;
use ndarray::{RemoveAxis, Slice};
use ndstore::{
    AnyStore, Bool8, DType, Element, ErrorKind, MapOptions, Mapped, Options, Order, Store,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::allocations::largest_during;
use super::mapped::{mapped, mapped_with};
use super::resize::{Form, assert_same, element, make, numbered, prefix};
use super::support::{
    Peer, Why, assert_no_drafts, bytes_of, end_fork, fork, give_away, open_dir, set_mark, set_mode,
    trace, wait_for,
};

/// How the rows to append lie in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Standard,
    Transposed,
    Reversed,
    /// Every other element of a larger array.
    Sparse,
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize, Layout),
    Push,
    /// Keeps this part of the rows, in quarters.
    Truncate(usize),
    /// Makes the fastest axis so much longer or shorter.
    Resize(isize),
    Write,
    Flush,
    Reopen,
    /// Rows through an appender, published or not, and then some that are dropped.
    Log {
        rows: usize,
        flush: bool,
        dropped: usize,
    },
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let layout = prop::sample::select(vec![
        Layout::Standard,
        Layout::Transposed,
        Layout::Reversed,
        Layout::Sparse,
    ]);
    let step = prop_oneof![
        4 => (0..5_usize, layout).prop_map(|(rows, layout)| Step::Append(rows, layout)),
        2 => Just(Step::Push),
        2 => (0..5_usize).prop_map(Step::Truncate),
        1 => (-1..2_isize).prop_map(Step::Resize),
        1 => Just(Step::Write),
        1 => Just(Step::Flush),
        2 => Just(Step::Reopen),
        2 => (0..6_usize, any::<bool>(), 0..4_usize)
            .prop_map(|(rows, flush, dropped)| Step::Log { rows, flush, dropped }),
    ];
    prop::collection::vec(step, 1..most)
}

/// The axis along which an array grows in place.
fn slowest(ndim: usize, order: Order) -> Axis {
    match order {
        Order::C => Axis(0),
        Order::F => Axis(ndim - 1),
    }
}

/// A store and the array that it ought to be.
struct Twin<A: Element> {
    path: PathBuf,
    options: Options,
    form: Form,
    store: Option<Mapped<A, IxDyn>>,
    model: ArrayD<A>,
    /// How many elements were made.
    made: usize,
}

impl<A: Element> Twin<A> {
    fn store(&mut self) -> &mut Mapped<A, IxDyn> {
        self.store.as_mut().unwrap()
    }

    fn axis(&self) -> Axis {
        slowest(self.model.ndim(), self.store.as_ref().unwrap().order())
    }

    /// Rows that were not there before.
    fn rows(&mut self, count: usize, layout: Layout) -> ArrayD<A> {
        let mut shape = self.model.shape().to_vec();
        shape[self.axis().index()] = count;
        let mut next = || {
            self.made += 1;
            element(self.made)
        };
        match layout {
            Layout::Standard => ArrayD::from_shape_simple_fn(shape, next),
            Layout::Transposed => {
                shape.reverse();
                ArrayD::from_shape_simple_fn(shape, next).reversed_axes()
            }
            Layout::Reversed => {
                let mut rows = ArrayD::from_shape_simple_fn(shape, next);
                rows.slice_each_axis_inplace(|_| Slice::new(0, None, -1));
                rows
            }
            Layout::Sparse => {
                shape.iter_mut().for_each(|len| *len *= 2);
                let mut rows = ArrayD::from_shape_simple_fn(shape, &mut next);
                rows.slice_each_axis_inplace(|_| Slice::new(0, None, 2));
                rows
            }
        }
    }

    /// Appends rows to the model, one element after the other.
    fn grow(&mut self, rows: &ArrayD<A>) {
        let axis = self.axis().index();
        let old = self.model.shape()[axis];
        let mut shape = self.model.shape().to_vec();
        shape[axis] += rows.shape()[axis];
        self.model = ArrayD::from_shape_fn(shape, |mut index| {
            if let Some(&element) = self.model.get(&index) {
                return element;
            }
            index[axis] -= old;
            rows[index]
        });
    }

    fn step(&mut self, step: &Step) {
        let axis = self.axis();
        match *step {
            Step::Append(count, layout) => {
                let rows = self.rows(count, layout);
                self.store().append(&rows).unwrap();
                self.grow(&rows);
            }
            Step::Push => {
                let rows = self.rows(1, Layout::Standard);
                self.store().push(&rows.index_axis(axis, 0)).unwrap();
                self.grow(&rows);
            }
            Step::Truncate(quarters) => {
                let rows = self.model.len_of(axis) * quarters.min(4) / 4;
                self.store().truncate(rows).unwrap();
                self.model.slice_axis_inplace(axis, Slice::from(..rows));
            }
            Step::Resize(change) => {
                let mut shape = self.model.shape().to_vec();
                let fastest = shape.len() - 1 - axis.index();
                shape[fastest] = shape[fastest].saturating_add_signed(change);
                self.store().resize(IxDyn(&shape)).unwrap();
                let old = self.model.clone();
                self.model = ArrayD::from_shape_fn(shape, |index| {
                    old.get(index).copied().unwrap_or(A::zeroed())
                });
            }
            Step::Write => {
                let last: A = element(self.made + 1000);
                if let Some(found) = self.store().view_mut().last_mut() {
                    *found = last;
                }
                if let Some(found) = self.model.last_mut() {
                    *found = last;
                }
            }
            Step::Flush => self.store().flush().unwrap(),
            Step::Reopen => self.reopen(),
            Step::Log {
                rows,
                flush,
                dropped,
            } => {
                let published = self.rows(rows, Layout::Standard);
                let lost = self.rows(dropped, Layout::Transposed);
                let mut appender = self.store().appender().unwrap();
                for row in published.axis_iter(axis) {
                    appender.push(&row).unwrap();
                }
                if flush {
                    appender.flush().unwrap();
                }
                for row in lost.axis_iter(axis) {
                    appender.push(&row).unwrap();
                }
                if flush {
                    self.grow(&published);
                }
            }
        }
        let store = self.store.as_ref().unwrap();
        assert_same(store.read_all().unwrap().view(), &self.model);
        assert_same(store.read_all().unwrap().view(), &self.model);
    }

    /// Closes the store, looks at the file, and opens it again.
    fn reopen(&mut self) {
        let store = self.store.take().unwrap();
        let (order, end) = (store.order(), store.offset() + store.nbytes() as u64);
        match self.made % 2 {
            0 => store.close().unwrap(),
            _ => drop(store),
        }
        assert_eq!(fs::metadata(&self.path).unwrap().len(), end);
        if let Form::Raw(offset) = self.form {
            assert_eq!(fs::read(&self.path).unwrap()[..offset], prefix(offset));
            self.options = self.options.clone().shape(self.model.raw_dim());
        } else {
            let found = AnyStore::open(&self.path).unwrap();
            assert_eq!(found.shape(), self.model.shape());
            assert_eq!(*found.dtype(), A::dtype());
            let is_both = self.model.shape().iter().filter(|&&len| len > 1).count() <= 1;
            assert!(found.order() == order || is_both || self.model.is_empty());
        }
        let store = self.options.open_rw::<A, IxDyn>(&self.path).unwrap();
        assert_same(store.read_all().unwrap().view(), &self.model);
        self.store = Some(mapped(store));
    }
}

#[derive(Clone, Debug)]
struct Case {
    shape: Vec<usize>,
    order: Order,
    form: Form,
    sparse: bool,
    steps: Vec<Step>,
}

impl Case {
    fn check<A: Element>(&self) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let model = numbered::<A>(&self.shape);
        let options = make(&path, &model, self.order, self.form).sparse(self.sparse);
        let mut twin = Twin {
            store: Some(mapped(options.open_rw::<A, IxDyn>(&path).unwrap())),
            made: model.len(),
            path,
            options,
            form: self.form,
            model,
        };
        for step in &self.steps {
            twin.step(step);
        }
        twin.reopen();
        assert_no_drafts(dir.path());
    }

    /// As [`check`](Case::check), of a file that this process makes and grows without opening it in
    /// between.
    fn check_created<A: Element>(&self) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let model = numbered::<A>(&self.shape);
        let options = Options::new().sparse(self.sparse);
        let made = match self.form {
            Form::Raw(offset) => options.clone().raw(offset as u64).order(self.order),
            Form::Native => options.clone().order(self.order),
            _ => options.clone().order(self.order).compact(true),
        };
        let mut store = made.create::<A, _>(&path, model.raw_dim()).unwrap();
        store.write_all(&model).unwrap();
        let mut twin = Twin {
            store: Some(mapped(store)),
            made: model.len(),
            path,
            options: match self.form {
                Form::Raw(_) => made,
                _ => options,
            },
            // What is before the offset of a new raw file is zero.
            form: match self.form {
                Form::Raw(_) => Form::Raw(0),
                other => other,
            },
            model,
        };
        for step in &self.steps {
            twin.step(step);
        }
        twin.reopen();
    }
}

fn case(shapes: impl Strategy<Value = Vec<usize>>, most: usize) -> impl Strategy<Value = Case> {
    let forms = prop_oneof![
        2 => Just(Form::Native),
        2 => Just(Form::Compact),
        // Aligned for every type here, though not to a page.
        1 => prop::sample::select(vec![0_usize, 16, 4096, 5008]).prop_map(Form::Raw),
        1 => Just(Form::Old),
    ];
    let orders = prop::sample::select(vec![Order::C, Order::F]);
    (shapes, orders, forms, any::<bool>(), steps(most)).prop_map(
        |(shape, order, form, sparse, steps)| Case {
            shape,
            order,
            form,
            sparse,
            steps,
        },
    )
}

/// Shapes with short axes, also empty ones.
fn small_shapes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..5_usize, 1..4)
}

/// Shapes whose rows are longer than a page, and some longer than an appender's buffer.
fn large_shapes() -> impl Strategy<Value = Vec<usize>> {
    let long = prop::sample::select(vec![1000_usize, 4096, 40_000, 140_000]);
    (0..3_usize, long).prop_map(|(rows, len)| vec![rows, len])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn whatever_grows_and_cuts_a_store_it_is_the_array_that_it_would_be_in_memory(case in case(small_shapes(), 10), size in 0..5_u8) {
        match size {
            0 => case.check::<u8>(),
            1 => case.check::<i16>(),
            2 => case.check::<f64>(),
            3 => case.check::<Bool8>(),
            _ => case.check::<ndstore::Void<16>>(),
        }
    }

    #[test]
    fn a_new_store_grows_like_one_that_was_opened(case in case(small_shapes(), 8)) {
        case.check_created::<f64>();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn long_rows_grow_as_short_ones_do(mut case in case(large_shapes(), 6)) {
        if case.order == Order::F {
            case.shape.reverse();
        }
        case.check::<f64>();
    }
}

/// A path in a directory that goes with the first value.
fn place() -> (TempDir, PathBuf) {
    let dir = open_dir();
    let path = dir.path().canonicalize().unwrap().join("a.npy");
    (dir, path)
}

fn file_len(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// The bytes of the blocks that a file has.
fn block_bytes(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

/// Writes a file with this header text and these elements.
fn handmade(path: &Path, text: &str, elements: &[f64]) {
    let mut file = fs::File::create(path).unwrap();
    file.write_all(b"\x93NUMPY\x01\x00").unwrap();
    file.write_all(&(text.len() as u16).to_le_bytes()).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.write_all(bytemuck::cast_slice(elements)).unwrap();
}

/// A file of three elements whose header ends right behind the dict, and its options.
fn without_room(path: &Path) {
    // Shorter than with the blanks that NumPy leaves, so there is not even room for the same shape.
    // The data are aligned.
    let text = "{'descr':'<f8','fortran_order':False,'shape':(3,)   }\n";
    assert_eq!((text.len() + 10) % 8, 0);
    handmade(path, text, &[1.0, 2.0, 3.0]);
}

#[test]
fn the_map_grows_from_nothing_and_shrinks_to_it() {
    for order in [Order::C, Order::F] {
        let (_dir, path) = place();
        let options = Options::new().order(order);
        let shape = if order == Order::C { (0, 3) } else { (3, 0) };
        let mut store = options.create::<i32, _>(&path, shape).unwrap();
        assert!(store.to_bytes(ndstore::MemoryOrder::A).unwrap().is_empty());
        for round in 0..3 {
            store.push(&array![1, 2, 3]).unwrap();
            store.push(&array![4, 5, 6]).unwrap();
            let expected = array![[1, 2, 3], [4, 5, 6]];
            let expected = if order == Order::C {
                expected
            } else {
                expected.reversed_axes()
            };
            assert_eq!(store.read_all().unwrap(), expected, "{round}");
            store.write_all(&arr0(round)).unwrap();
            assert!(
                store
                    .read_all()
                    .unwrap()
                    .iter()
                    .all(|&element| element == round)
            );
            store.truncate(0).unwrap();
            assert!(
                store.read_all().unwrap().is_empty()
                    && store.to_bytes(ndstore::MemoryOrder::A).unwrap().is_empty()
            );
            assert_eq!(file_len(&path), 4096);
        }
    }
}

#[test]
fn a_map_that_grows_shows_what_was_written_before_and_after() {
    let (_dir, path) = place();
    let mut store = mapped(Store::<u64, _>::create(&path, (1, 1000)).unwrap());
    store.view_mut().fill(7);
    for row in 1..300 {
        store.push(&Array::from_elem(1000, row)).unwrap();
        store.view_mut()[[row as usize, 0]] += 1;
    }
    for (row, elements) in store.view().outer_iter().enumerate() {
        let expected = if row == 0 { 7 } else { row as u64 };
        assert!(elements.iter().skip(1).all(|&element| element == expected));
        assert_eq!(elements[0], expected + (row > 0) as u64);
    }
    assert!(store.is_allocated().unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn the_advice_holds_for_a_map_that_grows_from_nothing() {
    use ndstore::Advice;

    let (_dir, path) = place();
    let store = Store::<f64, _>::create(&path, 0).unwrap();
    let mut store = mapped_with(&MapOptions::new().advice(Advice::Sequential), store);
    let is_advised = || {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let map = maps.split_once(path.to_str().unwrap()).unwrap().1;
        let flags = map
            .lines()
            .find(|line| line.starts_with("VmFlags"))
            .unwrap();
        flags.split_whitespace().any(|flag| flag == "sr")
    };
    store.append(&array![1.0, 2.0]).unwrap();
    assert!(is_advised());
    store.append(&Array::zeros(100_000)).unwrap();
    assert!(is_advised());
    store.truncate(0).unwrap();
    store.append(&array![1.0, 2.0]).unwrap();
    assert!(is_advised());
}

#[test]
fn a_header_that_needs_more_digits_stays_in_its_place() {
    for compact in [false, true] {
        for order in [Order::C, Order::F] {
            for (before, after) in [(9, 10), (99, 100), (999_999, 1_000_000), (0, 12_345)] {
                let (_dir, path) = place();
                let shape = if order == Order::C {
                    (before, 2)
                } else {
                    (2, before)
                };
                let more = after - before;
                let rows = if order == Order::C {
                    (more, 2)
                } else {
                    (2, more)
                };
                let options = Options::new().compact(compact).order(order);
                let mut store = options.create::<u8, _>(&path, shape).unwrap();
                let (inode_before, offset) = (inode(&path), store.offset());
                store.append(&Array::from_elem(rows, 5)).unwrap();
                assert_eq!((inode(&path), store.offset()), (inode_before, offset));
                drop(store);

                let store = Store::<u8, Ix2>::open(&path).unwrap();
                assert_eq!((store.order(), store.offset()), (order, offset));
                assert_eq!(store.read_all().unwrap().len_of(slowest(2, order)), after);
                assert_eq!(
                    store
                        .read_all()
                        .unwrap()
                        .iter()
                        .filter(|&&byte| byte == 5)
                        .count(),
                    2 * more
                );
                assert_eq!(file_len(&path), offset + 2 * after as u64);
            }
        }
    }
}

#[test]
fn a_grown_file_is_byte_for_byte_one_that_was_written_whole() {
    for compact in [false, true] {
        for order in [Order::C, Order::F] {
            let (dir, path) = place();
            let whole = dir.path().join("whole.npy");
            let options = Options::new().compact(compact).order(order);
            let array = Array::from_shape_fn((12, 13), |(row, column)| (row * 100 + column) as u64);
            let axis = slowest(2, order);
            let (first, rest) = array.view().split_at(axis, 9);
            let mut store = options.create_from(&path, &first).unwrap();
            store.append(&rest).unwrap();
            drop(store);
            options.create_from(&whole, &array).unwrap();
            assert_eq!(fs::read(&path).unwrap(), fs::read(&whole).unwrap());
        }
    }
}

#[test]
fn a_store_grows_along_the_axis_of_the_order_it_was_made_with() {
    // `np.save` calls these shapes C-ordered.
    for shape in [(3, 0), (3, 1), (1, 4), (0, 0)] {
        for compact in [false, true] {
            let (_dir, path) = place();
            let options = Options::new().compact(compact).order(Order::F);
            drop(options.create::<f64, _>(&path, shape).unwrap());
            let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
            assert_eq!(store.order(), Order::F, "{shape:?} {compact}");
            let columns =
                Array::from_shape_fn((shape.0, 3), |(row, column)| (row * 10 + column) as f64);
            store.append(&columns).unwrap();
            let seen = store.read_all().unwrap();
            drop(store);
            let store = Store::<f64, Ix2>::open(&path).unwrap();
            assert_eq!(store.read_all().unwrap(), seen, "{shape:?} {compact}");
            assert_eq!(store.read_all().unwrap().slice(s![.., shape.1..]), columns);
        }
    }
}

#[test]
fn a_header_without_room_grows_by_a_rewrite_and_keeps_its_values() {
    for step in 0..3 {
        let (dir, path) = place();
        without_room(&path);
        let before = inode(&path);
        let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
        let expected = match step {
            0 => {
                store.append(&array![4.0, 5.0]).unwrap();
                vec![1.0, 2.0, 3.0, 4.0, 5.0]
            }
            1 => {
                store.push(&arr0(4.0)).unwrap();
                vec![1.0, 2.0, 3.0, 4.0]
            }
            _ => {
                store.truncate(2).unwrap();
                vec![1.0, 2.0]
            }
        };
        assert_eq!(store.read_all().unwrap().to_vec(), expected);
        let after = inode(&path);
        assert_ne!(after, before);
        // From now on there is room.
        store.append(&array![9.0]).unwrap();
        assert_eq!(inode(&path), after);
        let end = store.offset() + store.nbytes() as u64;
        drop(store);
        assert_eq!(file_len(&path), end);
        let store = Store::<f64, Ix1>::open(&path).unwrap();
        assert_eq!(
            store.read_all().unwrap().to_vec(),
            [expected, vec![9.0]].concat()
        );
        assert_no_drafts(dir.path());
    }
}

#[test]
fn a_rewrite_that_cannot_make_a_file_leaves_the_array_as_it_was() {
    let (dir, path) = place();
    without_room(&path);
    give_away(&path);
    let mut peer = Peer::unprivileged(&path);
    peer.ask("open_rw").unwrap();
    let before = fs::read(&path).unwrap();
    set_mode(dir.path(), 0o555);
    for order in ["append 1000", "truncate 2"] {
        let error = peer.ask(order).unwrap_err();
        assert!(error.starts_with("PermissionDenied {"), "{order}: {error}");
        assert!(fs::read(&path).unwrap() == before, "{order}");
    }
    // Not poisoned: nothing was lost.
    peer.ask("overwrite 6").unwrap();
    set_mode(dir.path(), 0o777);
    peer.ask("append 2").unwrap();
    peer.finish();
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(store.read_all().unwrap(), array![6.0, 6.0, 6.0, 0.0, 1.0]);
    assert_no_drafts(dir.path());
}

/// An element with a descr so long that `np.save` would put the digits of the shape on both sides
/// of the end of a sector.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Wordy(i64);

impl Element for Wordy {
    fn dtype() -> DType {
        DType::parse(&format!("[('{}', '<i8')]", "n".repeat(440))).unwrap()
    }
}

#[test]
fn a_shape_across_two_sectors_grows_by_a_rewrite_and_a_native_header_has_none() {
    for compact in [false, true] {
        let (dir, path) = place();
        let options = Options::new().compact(compact);
        let mut store = options.create::<Wordy, _>(&path, 0).unwrap();
        let header = fs::read(&path).unwrap();
        let mut windows = header.windows(3);
        let digit = windows.position(|found| found == b"0,)").unwrap();
        assert_eq!(digit / 512 < (digit + 5) / 512, compact, "{digit}");
        for number in 0..12 {
            let before = inode(&path);
            store.push(&arr0(Wordy(number))).unwrap();
            // Only one more digit moves what stands behind it.
            let is_rewritten = compact && number == 9;
            assert_eq!(inode(&path) != before, is_rewritten, "{number}");
        }
        store.truncate(11).unwrap();
        let end = store.offset() + store.nbytes() as u64;
        store.close().unwrap();
        assert_eq!(file_len(&path), end);
        let store = Store::<Wordy, Ix1>::open(&path).unwrap();
        assert_eq!(store.offset().is_multiple_of(4096), !compact);
        assert_eq!(
            store.read_all().unwrap().to_vec(),
            (0..11).map(Wordy).collect::<Vec<_>>()
        );
        assert_no_drafts(dir.path());
    }
}

/// Makes a native header one of an older version: without blanks before the number of rows.
fn write_as_of_old(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let text = str::from_utf8(&bytes[10..4095]).unwrap();
    let (front, shape) = text.split_once('(').unwrap();
    let old = format!("{front}({}", shape.trim_start());
    assert!(old.len() < text.len());
    let old = format!("{old:width$}", width = text.len());
    bytes[10..4095].copy_from_slice(old.as_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_native_file_of_an_older_version_grows_in_place_and_knows_its_own_rows() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &Array::from_elem((9, 2), 1.0)).unwrap());
    write_as_of_old(&path);
    set_mark(&path);
    let before = inode(&path);
    // Rows that were never published, as a crash leaves them: nobody else's bytes, so they go.
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(&[7; 16])
        .unwrap();
    let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
    store.push(&array![3.0, 4.0]).unwrap();
    drop(store);
    assert_eq!(inode(&path), before);
    let header = fs::read(&path).unwrap();
    let old = b"'shape': (10, 2)";
    assert!(header.windows(old.len()).any(|found| found == old));
    let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
    assert_eq!(store.read(s![9, ..]).unwrap(), array![3.0, 4.0]);
    // Rewritten, it is as new ones are.
    store.resize((11, 2)).unwrap();
    drop(store);
    let header = fs::read(&path).unwrap();
    let new = b"'shape': (                         11, 2)";
    assert!(header.windows(new.len()).any(|found| found == new));
}

#[test]
fn rows_that_were_never_published_are_ignored_and_then_dropped() {
    // Whole rows, and a row that was being written.
    for garbage in [16, 160, 5, 5000] {
        let (_dir, path) = place();
        Store::<f64, _>::create_from(&path, &array![[1.0, 2.0]]).unwrap();
        set_mark(&path);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&vec![0xee; garbage]).unwrap();
        drop(file);
        let before = trace(&path);
        for _ in 0..2 {
            let store = Store::<f64, Ix2>::open(&path).unwrap();
            assert_eq!(store.read_all().unwrap(), array![[1.0, 2.0]]);
        }
        drop(Store::<f64, Ix2>::open_rw(&path).unwrap());
        assert_eq!(trace(&path), before);

        let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
        store.append(&array![[3.0, 4.0]]).unwrap();
        assert_eq!(file_len(&path), 4096 + 32);
        store.close().unwrap();
        assert_eq!(file_len(&path), 4096 + 32);
        let store = Store::<f64, Ix2>::open(&path).unwrap();
        assert_eq!(store.read_all().unwrap(), array![[1.0, 2.0], [3.0, 4.0]]);
    }
}

#[test]
fn truncate_drops_rows_that_were_never_published_too() {
    let (_dir, path) = place();
    Store::<f64, _>::create_from(&path, &array![1.0, 2.0]).unwrap();
    set_mark(&path);
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&[0xee; 160]).unwrap();
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    store.truncate(1).unwrap();
    assert_eq!(file_len(&path), 4096 + 8);
    assert_eq!(store.read_all().unwrap(), array![1.0]);
}

#[test]
fn bytes_of_something_else_behind_an_array_stay_unless_they_may_go() {
    let elements = array![1.0, 2.0, 3.0];
    for raw in [false, true] {
        let (_dir, path) = place();
        let options = if raw {
            let store = Options::new().raw(8).create_from(&path, &elements);
            drop(store.unwrap());
            Options::new().raw(8).shape(3).allow_trailing(true)
        } else {
            let store = Options::new().compact(true).create_from(&path, &elements);
            drop(store.unwrap());
            Options::new()
        };
        let end = file_len(&path);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"something else").unwrap();
        drop(file);
        let before = trace(&path);
        let mut store = options.open_rw::<f64, Ix1>(&path).unwrap();
        let refusals = [
            store.append(&array![4.0]),
            store.push(&arr0(4.0)),
            store.truncate(2),
            store.truncate(3),
            store.appender().map(drop),
        ];
        for refused in refusals {
            let error = refused.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::TrailingBytes { offset, found: 14, .. } if *offset == end),
                "{error}"
            );
            assert!(
                error.to_string().contains("Options::drop_trailing"),
                "{error}"
            );
        }
        assert_eq!(store.read_all().unwrap(), elements);
        drop(store);
        assert_eq!(trace(&path), before);

        let options = options.drop_trailing(true);
        let mut store = options.open_rw::<f64, Ix1>(&path).unwrap();
        store.append(&array![4.0]).unwrap();
        assert_eq!(store.read_all().unwrap(), array![1.0, 2.0, 3.0, 4.0]);
        drop(store);
        assert_eq!(file_len(&path), end + 8);
    }
}

#[test]
fn an_array_without_axes_does_not_grow() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &arr0(1.0)).unwrap());
    let before = trace(&path);
    let mut store = Store::<f64, IxDyn>::open_rw(&path).unwrap();
    let row = arr0(1.0).into_dyn();
    let refusals = [
        store.append(&row),
        store.push(&row),
        store.truncate(0),
        store.truncate(1),
        store.appender().map(drop),
    ];
    for refused in refusals {
        let error = refused.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::InvalidOption { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("0-d"), "{error}");
    }
    drop(store);
    assert_eq!(trace(&path), before);
}

#[test]
fn rows_of_another_shape_are_refused_with_both_shapes() {
    for (order, expected, row) in [
        (Order::C, [2, 3], 3),
        // The first axis is the one that is given.
        (Order::F, [4, 5], 4),
    ] {
        let (_dir, path) = place();
        let options = Options::new().order(order);
        drop(options.create::<f64, _>(&path, (4, 3)).unwrap());
        let before = trace(&path);
        let mut store = Store::<f64, IxDyn>::open_rw(&path).unwrap();
        let mut refuses = |rows: &[usize], expected: &[usize], push: bool| {
            let rows = ArrayD::zeros(rows);
            let refused = if push {
                store.push(&rows)
            } else {
                store.append(&rows)
            };
            let error = refused.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::ShapeMismatch { expected: e, found, .. } if e == expected && found == rows.shape()),
                "{error}"
            );
            assert!(
                error.to_string().starts_with("cannot append to "),
                "{error}"
            );
        };
        refuses(&[2, 5], &expected, false);
        refuses(
            &[row],
            &if order == Order::C { [1, 3] } else { [4, 1] },
            false,
        );
        refuses(
            &[1, 4, 3],
            &if order == Order::C { [1, 3] } else { [4, 1] },
            false,
        );
        refuses(&[], &if order == Order::C { [1, 3] } else { [4, 1] }, false);
        refuses(&[row + 1], &[row], true);
        refuses(&[1, row], &[row], true);
        refuses(&[], &[row], true);
        drop(store);
        assert_eq!(trace(&path), before);
    }
}

#[test]
fn a_refused_row_leaves_the_others_of_the_appender() {
    let (_dir, path) = place();
    let mut store = Store::<f64, _>::create(&path, (0, 2)).unwrap();
    let mut appender = store.appender().unwrap();
    appender.push(&array![1.0, 2.0]).unwrap();
    let error = appender.push(&array![1.0]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::ShapeMismatch { .. }),
        "{error}"
    );
    appender.push(&array![3.0, 4.0]).unwrap();
    appender.flush().unwrap();
    assert_eq!(store.read_all().unwrap(), array![[1.0, 2.0], [3.0, 4.0]]);
}

#[test]
fn no_more_rows_than_there_are_can_be_kept() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &array![[1.0, 2.0], [3.0, 4.0]]).unwrap());
    let before = trace(&path);
    let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
    for rows in [3, usize::MAX] {
        let error = store.truncate(rows).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::RowsOutOfBounds { end, rows: 2, .. } if *end == rows),
            "{error}"
        );
    }
    assert_eq!(trace(&path), before);
    store.truncate(2).unwrap();
    assert_eq!(store.read_all().unwrap(), array![[1.0, 2.0], [3.0, 4.0]]);
}

#[test]
fn more_rows_than_an_array_can_have_are_refused() {
    let (_dir, path) = place();
    let most = isize::MAX as usize;
    let mut store = Store::<u8, _>::create(&path, (most, 0)).unwrap();
    let before = trace(&path);
    let error = store.append(&Array::zeros((most, 0))).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::ShapeTooLarge { .. }),
        "{error}"
    );
    assert_eq!(store.shape(), [most, 0]);
    assert_eq!(trace(&path), before);
}

#[test]
fn rows_that_a_view_repeats_beyond_all_memory_are_refused_before_any_is_written() {
    let (_dir, path) = place();
    let mut store = Store::create_from(&path, &array![1.0, 2.0]).unwrap();
    let before = trace(&path);
    for many in [1 << 60, 1 << 61, isize::MAX as usize] {
        let one = array![7.0];
        let error = store.append(&one.broadcast(many).unwrap()).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::ShapeTooLarge { .. }),
            "{error}"
        );
    }
    assert_eq!(trace(&path), before);
    drop(store);
    // As many as an array can have, but no disk.
    for sparse in [false, true] {
        let options = Options::new().sparse(sparse);
        let mut store = options.open_rw::<f64, Ix1>(&path).unwrap();
        let one = array![7.0];
        store.append(&one.broadcast(1 << 59).unwrap()).unwrap_err();
        assert_eq!(store.read_all().unwrap(), array![1.0, 2.0]);
        drop(store);
        assert_eq!(file_len(&path), 4096 + 16);
    }
}

#[test]
fn no_rows_are_written_behind_what_somebody_cut() {
    let (_dir, path) = place();
    let cut = |len| {
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(len)
            .unwrap()
    };
    let row = Array::ones(1 << 17);
    let mut store = Store::<f64, _>::create(&path, (1, 1 << 17)).unwrap();
    let array_end = file_len(&path);
    // The rows that are not published, and then the array itself.
    for left in [array_end, array_end - 4096] {
        let mut appender = store.appender().unwrap();
        appender.push(&row).unwrap();
        cut(left);
        let error = appender.push(&row).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Truncated { found, .. } if *found == left),
            "{error}"
        );
        appender.flush().unwrap();
        assert_eq!(file_len(&path), left);
        assert_eq!(store.shape(), [1, 1 << 17]);
    }
    drop(store);
    assert_eq!(file_len(&path), array_end - 4096);
}

#[test]
fn no_rows_change_nothing() {
    let (_dir, path) = place();
    without_room(&path);
    let before = trace(&path);
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    store.append(&array![]).unwrap();
    store.appender().unwrap().flush().unwrap();
    drop(store);
    assert_eq!(trace(&path), before);
}

#[test]
fn a_reader_and_a_store_that_grows_keep_each_other_out() {
    let (_dir, path) = place();
    let mut store = Store::<f64, _>::create(&path, 0).unwrap();
    let mut appender = store.appender().unwrap();
    appender.push(&arr0(1.0)).unwrap();
    let refused = Store::<f64, Ix1>::open(&path);
    assert!(
        matches!(refused.why(), Some(ErrorKind::Locked { .. })),
        "{refused:?}"
    );
    appender.flush().unwrap();
    drop(store);
    let _reader = Store::<f64, Ix1>::open(&path).unwrap();
    let refused = Store::<f64, Ix1>::open_rw(&path);
    assert!(
        matches!(refused.why(), Some(ErrorKind::Locked { .. })),
        "{refused:?}"
    );
}

#[test]
fn an_unlocked_store_that_closes_cuts_off_no_rows_of_another() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &array![1.0]).unwrap());
    let options = Options::new().no_lock();
    let mut first = options.open_rw::<f64, Ix1>(&path).unwrap();
    first.append(&array![2.0]).unwrap();
    let mut second = options.open_rw::<f64, Ix1>(&path).unwrap();
    second.append(&array![3.0]).unwrap();
    drop(first);
    assert_eq!(second.read_all().unwrap(), array![1.0, 2.0, 3.0]);
    drop(second);
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(store.read_all().unwrap(), array![1.0, 2.0, 3.0]);
}

/// More than the rows of these tests and the block in which they end, less than what is reserved
/// behind them.
const SLACK: u64 = 128 << 10;

/// Whether the system reserves blocks behind the end of a file there.
#[cfg(target_os = "linux")]
fn has_reserve(path: &Path) -> bool {
    let probe = path.with_extension("probe");
    let file = fs::File::create(&probe).unwrap();
    let flags = rustix::fs::FallocateFlags::KEEP_SIZE;
    let reserved = rustix::fs::fallocate(&file, flags, 0, 2 * SLACK);
    let found = block_bytes(&probe);
    fs::remove_file(&probe).unwrap();
    reserved.is_ok() && found > SLACK
}

#[cfg(not(target_os = "linux"))]
fn has_reserve(_: &Path) -> bool {
    false
}

#[test]
fn blocks_reserved_behind_the_array_are_given_back_on_close_and_drop() {
    for close in [false, true] {
        for grow in 0..3 {
            let (_dir, path) = place();
            let mut store = Store::<f64, _>::create(&path, 10).unwrap();
            match grow {
                0 => store.append(&Array::zeros(100)).unwrap(),
                1 => store.push(&arr0(1.0)).unwrap(),
                _ => {
                    store.append(&Array::zeros(100)).unwrap();
                    store.truncate(50).unwrap();
                }
            }
            if grow < 2 {
                assert_eq!(block_bytes(&path) > SLACK, has_reserve(&path));
            }
            let end = store.offset() + store.nbytes() as u64;
            assert_eq!(file_len(&path), end);
            if close {
                store.close().unwrap();
            } else {
                drop(store);
            }
            assert_eq!(file_len(&path), end);
            assert!(block_bytes(&path) < SLACK, "{}", block_bytes(&path));
        }
    }
}

#[test]
fn rows_take_the_blocks_that_are_reserved_before_more_are() {
    let (_dir, path) = place();
    let row = Array::ones((1, 1024));
    let mut store = Store::<f64, _>::create(&path, (0, 1024)).unwrap();
    store.append(&row).unwrap();
    let has_reserve = has_reserve(&path);
    let before = block_bytes(&path);
    assert_eq!(before > SLACK + 8192, has_reserve);
    for rows in 2..10 {
        store.append(&row).unwrap();
        assert!(!has_reserve || block_bytes(&path) == before, "{rows}");
    }
    assert_eq!(store.read_all().unwrap(), Array::<f64, _>::ones((9, 1024)));
}

#[test]
fn an_eighth_of_a_large_array_is_reserved_behind_it() {
    let (_dir, path) = place();
    let mut store = Store::<f64, _>::create(&path, (8 << 10, 1024)).unwrap();
    store.append(&Array::ones((1, 1024))).unwrap();
    let behind = block_bytes(&path) - file_len(&path);
    let (eighth, slack) = (file_len(&path) / 8, 64 << 10);
    let expected = if has_reserve(&path) { eighth } else { 0 };
    assert!(behind.abs_diff(expected) < slack, "{behind}");
}

#[test]
fn rows_of_a_sparse_array_that_are_not_published_go_with_their_store() {
    let (_dir, path) = place();
    let mut store = Options::new()
        .sparse(true)
        .create::<f64, _>(&path, (0, 1024))
        .unwrap();
    let before = file_len(&path);
    let mut appender = store.appender().unwrap();
    for _ in 0..200 {
        appender.push(&Array::ones(1024)).unwrap();
    }
    assert!(file_len(&path) > before);
    drop(store);
    assert_eq!(file_len(&path), before);
}

#[test]
fn blocks_that_a_killed_writer_reserved_are_given_back_by_the_next_one() {
    let (_dir, path) = place();
    let mut peer = Peer::at(&path);
    peer.ask("create 10").unwrap();
    peer.ask("append 100").unwrap();
    peer.kill();
    let has_reserve = has_reserve(&path);
    assert_eq!(block_bytes(&path) > SLACK, has_reserve);
    let before = fs::read(&path).unwrap();
    // A reader changes nothing.
    assert_eq!(Store::<f64, Ix1>::open(&path).unwrap().len(), 110);
    assert_eq!(block_bytes(&path) > SLACK, has_reserve);
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    assert!(block_bytes(&path) < SLACK);
    assert_eq!(fs::read(&path).unwrap(), before);
    store.append(&array![-1.0]).unwrap();
    assert_eq!(
        (
            store.read_all().unwrap()[109],
            store.read_all().unwrap()[110]
        ),
        (99.0, -1.0)
    );
}

#[test]
fn a_forked_child_that_drops_the_store_leaves_the_rows_of_its_parent_alone() {
    let (_dir, path) = place();
    let unlocked = Options::new().no_lock();
    for options in [Options::new(), unlocked] {
        let mut store = options.create::<f64, _>(&path, 0).unwrap();
        let mut appender = store.appender().unwrap();
        // More than an appender gathers: some are in the file, and not published.
        let rows = 200_000;
        for row in 0..rows {
            appender.push(&arr0(row as f64)).unwrap();
        }
        let before = file_len(&path);
        assert!(before > 1 << 20);
        let Some(child) = fork() else {
            // An appender has nothing to drop but its buffer; the store is what it borrows.
            let _ = appender;
            drop(store);
            end_fork();
        };
        wait_for(child);
        assert_eq!(file_len(&path), before);
        appender.flush().unwrap();
        assert_eq!(
            store.read_all().unwrap(),
            Array::from_iter((0..rows).map(|row| row as f64))
        );
    }
}

#[test]
fn a_forked_child_that_drops_the_store_late_leaves_what_its_parent_published_since() {
    let (_dir, path) = place();
    let mut store = Store::<f64, _>::create(&path, 0).unwrap();
    // From now on blocks are reserved, which dropping the store gives back.
    store.append(&Array::ones(10)).unwrap();
    let (mut wait, go) = std::io::pipe().unwrap();
    let Some(child) = fork() else {
        drop(go);
        let _ = std::io::Read::read(&mut wait, &mut [0]);
        drop(store);
        end_fork();
    };
    store.append(&Array::ones(100_000)).unwrap();
    drop(go);
    wait_for(child);
    let ones = Array1::<f64>::ones(100_010);
    // Before the view, which a shorter file would turn into a signal.
    assert_eq!(file_len(&path), 4096 + 8 * 100_010);
    assert_eq!(store.read_all().unwrap(), ones);
    drop(store);
    assert_eq!(
        Store::<f64, Ix1>::open(&path).unwrap().read_all().unwrap(),
        ones
    );
}

#[test]
fn rows_of_a_killed_appender_are_as_if_they_had_never_been() {
    let (_dir, path) = place();
    let mut peer = Peer::at(&path);
    peer.ask("create 0").unwrap();
    peer.ask("append 5").unwrap();
    // More than an appender gathers.
    peer.ask("log 200000").unwrap();
    peer.kill();
    assert!(file_len(&path) > 1 << 20);
    let expected = array![0.0, 1.0, 2.0, 3.0, 4.0];
    assert_eq!(
        Store::<f64, Ix1>::open(&path).unwrap().read_all().unwrap(),
        expected
    );
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    assert_eq!(store.read_all().unwrap(), expected);
    store.append(&array![-1.0]).unwrap();
    store.close().unwrap();
    assert_eq!(file_len(&path), 4096 + 48);
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(
        store.read_all().unwrap(),
        array![0.0, 1.0, 2.0, 3.0, 4.0, -1.0]
    );
}

#[test]
fn past_the_limit_on_file_sizes_nothing_is_appended() {
    let (dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &array![1.0, 2.0]).unwrap());
    // In units of 512 or of 1024 bytes, by the shell.
    let mut peer = Peer::under("ulimit -f 2000", &path);
    peer.ask("open_rw").unwrap();
    let before = trace(&path);
    let error = peer.ask("append 1000000").unwrap_err();
    assert!(error.starts_with("FileTooLarge {"), "{error}");
    assert!(
        error.contains("its 8004112 bytes") && error.contains("for this process"),
        "{error}"
    );
    assert_eq!(trace(&path), before);
    let error = peer.ask("log 1000000").unwrap_err();
    assert!(error.starts_with("FileTooLarge {"), "{error}");
    // As before, and of use.
    peer.ask("append 3").unwrap();
    peer.finish();
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(store.read_all().unwrap(), array![1.0, 2.0, 0.0, 1.0, 2.0]);
    assert_eq!(file_len(&path), 4096 + 40);
    assert_no_drafts(dir.path());
}

#[test]
fn rows_that_a_limit_refused_are_not_published_with_later_ones() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &array![1.0, 2.0]).unwrap());
    let mut peer = Peer::under("ulimit -f 4000", &path);
    peer.ask("open_rw").unwrap();
    // Some of them were in the file when the limit came.
    let error = peer.ask("log_on 1000000").unwrap_err();
    assert!(error.starts_with("FileTooLarge {"), "{error}");
    peer.finish();
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    let found = store.read_all().unwrap().slice(s![..3]).to_owned();
    assert_eq!(found, array![1.0, 2.0, store.read_all().unwrap()[2]]);
    let last = store.read_all().unwrap().slice(s![-3..]).to_owned();
    assert_eq!(last, array![-1.0, -2.0, -3.0]);
    assert!(store.len() < 1_000_000);
}

#[test]
fn a_file_as_long_as_the_limit_allows_is_filled_to_the_end() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &array![1.0, 2.0]).unwrap());
    let mut peer = Peer::under("ulimit -f 16", &path);
    peer.ask("open_rw").unwrap();
    let error = peer.ask("append 10000").unwrap_err();
    let limit = error.split("a file's size, ").nth(1).unwrap();
    let limit: u64 = limit.split(' ').next().unwrap().parse().unwrap();
    let room = (limit - file_len(&path)) / 8;
    assert!(peer.ask(&format!("append {}", room + 1)).is_err());
    peer.ask(&format!("append {room}")).unwrap();
    peer.ask("append 0").unwrap();
    assert!(peer.ask("append 1").is_err());
    peer.finish();
    assert_eq!(file_len(&path), limit);
    assert_eq!(
        Store::<f64, Ix1>::open(&path).unwrap().len() as u64,
        room + 2
    );
}

/// Fills an appender with more than it gathers and drops it.
fn log_in_vain<D: Dimension + RemoveAxis>(store: &mut Store<f64, D>, row: &ArrayD<f64>) {
    let row = row.view().into_dimensionality::<D::Smaller>().unwrap();
    let mut appender = store.appender().unwrap();
    for _ in 0..(3 << 20) / (8 * row.len()) {
        appender.push(&row).unwrap();
    }
}

#[test]
fn an_appender_that_is_dropped_without_flush_leaves_the_array_as_it_was() {
    let elements = array![[1.0, 2.0], [3.0, 4.0]];
    let row = array![8.0, 9.0].into_dyn();
    for form in [Form::Native, Form::Compact, Form::Raw(16), Form::Old] {
        for next in 0..5 {
            let (dir, path) = place();
            let options = make(&path, &elements.clone().into_dyn(), Order::C, form);
            let len = file_len(&path);
            let mut store = options.open_rw::<f64, Ix2>(&path).unwrap();
            log_in_vain(&mut store, &row);
            assert_eq!(store.read_all().unwrap(), elements);
            let expected = match next {
                0 => elements.clone(),
                1 => {
                    store.append(&array![[5.0, 6.0]]).unwrap();
                    array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
                }
                2 => {
                    store.truncate(1).unwrap();
                    array![[1.0, 2.0]]
                }
                3 => {
                    store.resize((2, 3)).unwrap();
                    array![[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]]
                }
                _ => {
                    let mut appender = store.appender().unwrap();
                    appender.push(&array![5.0, 6.0]).unwrap();
                    appender.flush().unwrap();
                    array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
                }
            };
            assert_eq!(store.read_all().unwrap(), expected, "{form:?} {next}");
            let end = store.offset() + store.nbytes() as u64;
            store.close().unwrap();
            assert_eq!(file_len(&path), end, "{form:?} {next}");
            assert!(next > 0 || end == len);
            let options = match form {
                Form::Raw(_) => options.shape(expected.dim()),
                _ => options,
            };
            let store = options.open::<f64, Ix2>(&path).unwrap();
            assert_eq!(store.read_all().unwrap(), expected, "{form:?} {next}");
            assert_no_drafts(dir.path());
        }
    }
}

#[test]
fn an_appender_gathers_rows_before_it_writes_them() {
    let (_dir, path) = place();
    let mut store = Store::<f64, _>::create(&path, (0, 128)).unwrap();
    let before = file_len(&path);
    let row = Array::ones(128);
    let mut appender = store.appender().unwrap();
    // Each has 1 KiB.
    for _ in 0..1023 {
        appender.push(&row).unwrap();
    }
    assert_eq!(file_len(&path), before);
    appender.push(&row).unwrap();
    assert_eq!(file_len(&path), before + (1 << 20));
}

#[test]
fn rows_as_large_as_the_buffer_are_written_without_a_copy() {
    for order in [Order::C, Order::F] {
        let (_dir, path) = place();
        let rows: Vec<Array2<f64>> = (0..3)
            .map(|row| {
                Array::from_shape_fn((300, 500), |(i, j)| (row * 1_000_000 + i * 1000 + j) as f64)
            })
            .collect();
        let nbytes = 300 * 500 * 8;
        let shape = match order {
            Order::C => (0, 300, 500),
            Order::F => (300, 500, 0),
        };
        let options = Options::new().order(order);
        let mut store = options.create::<f64, _>(&path, shape).unwrap();
        let before = file_len(&path);
        let mut appender = store.appender().unwrap();
        for (number, row) in rows.iter().enumerate() {
            let (pushed, largest) = largest_during(|| appender.push(row));
            pushed.unwrap();
            assert!(order == Order::F || largest < nbytes, "{largest}");
            assert_eq!(file_len(&path), before + ((number + 1) * nbytes) as u64);
        }
        appender.flush().unwrap();
        let axis = slowest(3, order);
        for (row, found) in rows.iter().zip(store.read_all().unwrap().axis_iter(axis)) {
            assert_eq!(row, found, "{order:?}");
        }
        assert_eq!(store.read_all().unwrap().len_of(axis), 3);
    }
}

#[test]
fn an_appender_publishes_only_what_came_before_the_last_flush() {
    let (_dir, path) = place();
    let mut store = Store::<f64, _>::create(&path, 0).unwrap();
    let mut appender = store.appender().unwrap();
    for element in 0..200_000 {
        appender.push(&arr0(element.into())).unwrap();
        if element % 70_000 == 0 {
            appender.flush().unwrap();
        }
    }
    drop(store);
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(
        store.read_all().unwrap(),
        Array::from_iter((0..=140_000).map(f64::from))
    );
}

#[test]
fn nan_and_negative_zero_keep_their_bytes() {
    let (_dir, path) = place();
    let payload = f64::from_bits(0x7ff4_dead_beef_0001);
    let rows = array![
        [-0.0, f64::NAN],
        [payload, -f64::NAN],
        [f64::MIN_POSITIVE / 2.0, 0.0]
    ];
    let mut store = Store::<f64, _>::create(&path, (0, 2)).unwrap();
    store.append(&rows).unwrap();
    store.append(&rows.slice(s![..;-1, ..])).unwrap();
    store.push(&rows.row(1)).unwrap();
    let expected = ndarray::concatenate![
        Axis(0),
        rows,
        rows.slice(s![..;-1, ..]),
        rows.slice(s![1..2, ..])
    ];
    assert_eq!(
        bytes_of(store.read_all().unwrap().view()),
        bytes_of(expected.view())
    );
    drop(store);
    let store = Store::<f64, Ix2>::open(&path).unwrap();
    assert_eq!(
        bytes_of(store.read_all().unwrap().view()),
        bytes_of(expected.view())
    );
}

#[test]
fn rows_of_any_strides_are_appended_in_their_logical_order() {
    let cube = Array::from_shape_fn((6, 6, 6), |(a, b, c)| (a * 100 + b * 10 + c) as i32);
    let broadcast = array![1, 2, 3, 4, 5, 6];
    let rows = [
        cube.view(),
        cube.view().reversed_axes(),
        cube.view().permuted_axes([1, 2, 0]),
        cube.slice(s![..;-1, .., ..;-1]),
        cube.slice(s![1..;2, .., ..]),
        broadcast.broadcast((2, 6, 6)).unwrap(),
    ];
    for order in [Order::C, Order::F] {
        let axis = slowest(3, order);
        for rows in &rows {
            if (0..3).any(|at| Axis(at) != axis && rows.len_of(Axis(at)) != 6) {
                continue;
            }
            let (_dir, path) = place();
            let options = Options::new().order(order);
            let mut store = options.create_from(&path, &cube).unwrap();
            store.append(rows).unwrap();
            let row = rows.index_axis(axis, 1);
            store.push(&row).unwrap();
            let expected = ndarray::concatenate![axis, cube, *rows, row.insert_axis(axis)];
            assert_eq!(store.read_all().unwrap(), expected);
            drop(store);
            assert_eq!(
                Store::<i32, Ix3>::open(&path).unwrap().read_all().unwrap(),
                expected
            );
        }
    }
}

#[test]
fn what_was_written_and_not_flushed_is_there_after_growth() {
    let (_dir, path) = place();
    let mut store = Store::<u16, _>::create(&path, (3, 5000)).unwrap();
    for round in 1..20 {
        store.write_all(&arr0(round)).unwrap();
        store.append(&Array::from_elem((1, 5000), round)).unwrap();
        assert!(
            store
                .read_all()
                .unwrap()
                .iter()
                .all(|&element| element == round)
        );
    }
    store.truncate(10).unwrap();
    drop(store);
    let store = Store::<u16, Ix2>::open(&path).unwrap();
    assert_eq!(store.shape(), [10, 5000]);
    assert!(
        store
            .read_all()
            .unwrap()
            .iter()
            .all(|&element| element == 19)
    );
}

#[test]
fn rows_that_were_cut_off_do_not_come_back() {
    let (_dir, path) = place();
    let mut store = Store::<u8, _>::create_from(&path, &Array::from_elem((100, 100), 7)).unwrap();
    store.truncate(33).unwrap();
    assert_eq!(file_len(&path), 4096 + 3300);
    store.append(&Array::zeros((67, 100))).unwrap();
    assert_eq!(
        store
            .read_all()
            .unwrap()
            .iter()
            .filter(|&&byte| byte == 7)
            .count(),
        3300
    );
    store.truncate(33).unwrap();
    store.resize((100, 100)).unwrap();
    assert_eq!(
        store
            .read_all()
            .unwrap()
            .iter()
            .filter(|&&byte| byte == 7)
            .count(),
        3300
    );
}

#[test]
fn hard_links_and_a_new_name_see_the_rows_of_an_append_in_place() {
    let (dir, path) = place();
    let other = dir.path().join("other.npy");
    let moved = dir.path().join("moved.npy");
    let mut store = Store::<f64, _>::create_from(&path, &array![1.0]).unwrap();
    fs::hard_link(&path, &other).unwrap();
    fs::rename(&path, &moved).unwrap();
    store.append(&array![2.0]).unwrap();
    drop(store);
    for path in [other, moved] {
        let store = Store::<f64, Ix1>::open(&path).unwrap();
        assert_eq!(store.read_all().unwrap(), array![1.0, 2.0]);
    }
}

#[test]
fn a_file_that_another_name_keeps_has_nothing_behind_its_array() {
    let (dir, path) = place();
    let other = dir.path().join("other.npy");
    let mut store = Store::<f64, _>::create(&path, 4).unwrap();
    fs::hard_link(&path, &other).unwrap();
    store.append(&array![1.0]).unwrap();
    log_in_vain(&mut store, &arr0(7.0).into_dyn());
    store.resize(2).unwrap();
    assert_eq!(file_len(&other), 4096 + 40);
    assert!(block_bytes(&other) < SLACK);
}

/// The vectors that NumPy wrote, of every version, byte order and shape.
fn numpy_files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/npy-vectors");
    let files = fs::read_dir(directory).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

/// Doubles each array of `A` in those files, and says how many there were.
fn double<A: Element>() -> usize {
    let (_dir, path) = place();
    let options = Options::new().drop_trailing(true);
    let mut doubled = 0;
    for file in numpy_files() {
        fs::copy(&file, &path).unwrap();
        set_mode(&path, 0o644);
        let Ok(mut store) = options.open_rw::<A, IxDyn>(&path) else {
            continue;
        };
        if store.ndim() == 0 {
            continue;
        }
        let array = store.read_all().unwrap();
        let axis = slowest(store.ndim(), store.order());
        store.append(&array).unwrap();
        let expected = ndarray::concatenate![axis, array, array];
        assert_same(store.read_all().unwrap().view(), &expected);
        let end = store.offset() + store.nbytes() as u64;
        drop(store);
        assert_eq!(file_len(&path), end, "{file:?}");
        let store = options.open::<A, IxDyn>(&path).unwrap();
        assert_same(store.read_all().unwrap().view(), &expected);
        doubled += 1;
    }
    doubled
}

#[test]
fn files_that_numpy_wrote_grow() {
    let doubled = [
        double::<f64>(),
        double::<i32>(),
        double::<u8>(),
        double::<ndstore::Be<f64>>(),
        double::<ndstore::Datetime64<ndstore::unit::Ns>>(),
        double::<ndstore::Bytes<5>>(),
    ];
    assert!(doubled.iter().sum::<usize>() > 15, "{doubled:?}");
    assert!(doubled.iter().all(|&count| count > 0), "{doubled:?}");
}
