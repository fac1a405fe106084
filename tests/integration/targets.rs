//! The promises that must hold for hostile bytes. Each function takes bytes that anybody may have
//! made up, and a directory to itself. It panics if a promise is broken; a panic of the crate is
//! such a case.
//!
//! The fuzzer in `fuzz/` and the tests in `hostile.rs` run these same functions.

use ndarray::SliceInfoElem;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{
    AccessMode, AnyStore, Be, Bool8, Bytes, DType, Datetime64, Element, ErrorKind, Le, Mode,
    Options, Order, Store, Text, Void, unit,
};
use tempfile::TempDir;

use super::mapped::{copy_on_write, mapped};

/// A target: a name, and what it does with bytes.
pub(crate) type Target = (&'static str, fn(&Path, &[u8]));

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    ("descr", descr),
    ("header", header),
    ("open", open),
    ("raw", raw),
    ("stream", stream),
    ("sums", sums),
    #[cfg(feature = "npz")]
    ("npz", npz),
];

/// How the names of these directories begin: a fuzzer that is killed leaves one.
const PREFIX: &str = "ndstore-hostile-";

/// A directory for a target: in memory where there is one, for nothing here is about disks.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => TempDir::with_prefix_in(PREFIX, memory),
        false => TempDir::with_prefix(PREFIX),
    };
    made.expect("a directory can be made")
}

/// How many elements are looked at: those without bytes can be any number.
const LOOKED_AT: usize = 4096;

/// How many bytes an array may have to be copied as a whole.
const COPIED: usize = 1 << 16;

const OPENING: [Mode; 2] = [Mode::Read, Mode::ReadWrite];

fn file_of(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// A descr, if it is text.
pub(crate) fn descr(_: &Path, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(dtype) = DType::parse(text) {
        check_dtype(&dtype);
    }
}

fn check_dtype(dtype: &DType) {
    assert_eq!(DType::parse(&dtype.descr()).as_ref(), Ok(dtype));
    let _ = (dtype.to_string(), dtype.name(), dtype.byte_order());
    for field in dtype.fields().unwrap_or_default() {
        let end = field.offset().checked_add(field.itemsize()).unwrap();
        assert!(end <= dtype.itemsize(), "{field:?}");
        check_dtype(field.dtype());
    }
}

/// The text of a header, behind a byte that chooses its version, in a file with room for nearly
/// everything.
pub(crate) fn header(directory: &Path, bytes: &[u8]) {
    let Some((&first, text)) = bytes.split_first() else {
        return;
    };
    let version = first % 3 + 1;
    let mut file = b"\x93NUMPY".to_vec();
    file.extend([version, 0]);
    match version {
        1 => file.extend((text.len().min(usize::from(u16::MAX)) as u16).to_le_bytes()),
        _ => file.extend((text.len() as u32).to_le_bytes()),
    }
    file.extend(text);
    let path = file_of(directory, "header.npy", &file);
    // A hole: larger than most that the text can claim, and no room on the disk.
    let len = 1_u64 << 40;
    let opened = File::options().write(true).open(&path);
    if opened.unwrap().set_len(len).is_err() {
        return;
    }
    if let Ok(any) = AnyStore::open(&path) {
        check_any(&any, len);
    }
}

/// A whole file, opened as it is in every mode, and as many types.
pub(crate) fn open(directory: &Path, bytes: &[u8]) {
    let path = file_of(directory, "open.npy", bytes);
    let opened = OPENING.map(|mode| match AnyStore::open_mode(&path, mode) {
        Ok(any) => {
            check_any(&any, bytes.len() as u64);
            true
        }
        Err(_) => false,
    });
    assert!(opened.iter().all(|&same| same == opened[0]), "{opened:?}");
    if !opened[0] {
        assert!(Store::<u8, IxDyn>::open(&path).is_err());
        return;
    }
    let options = Options::new();
    typed::<u8>(&options, &path);
    typed::<i32>(&options, &path);
    typed::<f64>(&options, &path);
    typed::<Bool8>(&options, &path);
    typed::<Be<i16>>(&options, &path);
    typed::<Le<f32>>(&options, &path);
    typed::<Text<3>>(&options, &path);
    typed::<Bytes<5>>(&options, &path);
    typed::<Void<7>>(&options, &path);
    typed::<Datetime64<unit::Ns>>(&options, &path);
    assert_eq!(fs::read(&path).unwrap(), bytes, "opening changes nothing");
    grow::<i32>(&path);
    grow::<f64>(&path);
}

/// A headerless file, behind bytes that say how to take it.
pub(crate) fn raw(directory: &Path, bytes: &[u8]) {
    let Some((&[offset, order, ndim, a, b, c, unit, huge], file)) = bytes.split_first_chunk()
    else {
        return;
    };
    let path = file_of(directory, "raw.bin", file);
    let mut options = Options::new().raw(match huge {
        255 => u64::MAX - u64::from(offset),
        _ => offset.into(),
    });
    if order % 2 == 1 {
        options = options.order(Order::F);
    }
    let scale = 1_usize << (unit % 64);
    let shape = [a, b, c].map(|axis| usize::from(axis).wrapping_mul(scale));
    if let 1..=3 = ndim {
        options = options.shape(IxDyn(&shape[..ndim.into()]));
    }
    typed::<u8>(&options, &path);
    typed::<Le<i32>>(&options, &path);
    typed::<f64>(&options, &path);
    for dtype in ["<f8", "|V0", "[('a', '<i4'), ('b', 'S3')]"] {
        let options = options.clone().dtype(DType::parse(dtype).unwrap());
        if let Ok(any) = options.open_any(&path, Mode::Read) {
            check_any(&any, file.len() as u64);
        }
    }
}

/// Arrays that come by stream, one after another, into memory and into a file.
pub(crate) fn stream(directory: &Path, bytes: &[u8]) {
    read_stream::<u8>(bytes);
    read_stream::<i32>(bytes);
    read_stream::<f64>(bytes);
    read_stream::<Be<f32>>(bytes);
    read_stream::<Text<3>>(bytes);
    let path = directory.join("received.npy");
    let mut rest = bytes;
    for _ in 0..4 {
        match AnyStore::receive(&mut rest, &path) {
            Ok(Some(any)) => {
                check_any(&any, fs::metadata(&path).unwrap().len());
            }
            Ok(None) => {
                assert!(rest.is_empty());
                break;
            }
            Err(_) => break,
        }
    }
    let _ = fs::remove_file(path);
}

fn read_stream<A: Element>(bytes: &[u8]) {
    // In small steps, as a socket has them.
    let mut rest = bytes.chain(std::io::empty());
    while let Ok(Some(array)) = ndstore::read_npy::<A, IxDyn>(&mut rest) {
        let mut written = Vec::new();
        ndstore::write_npy(&mut written, &array).unwrap();
        let again = ndstore::read_npy::<A, IxDyn>(&written[..])
            .unwrap()
            .unwrap();
        assert_eq!(again.shape(), array.shape());
        assert_eq!(
            ndstore::to_bytes(&again, Order::C).unwrap(),
            ndstore::to_bytes(&array, Order::C).unwrap()
        );
    }
}

/// Checksums of a small array, behind a byte of which one bit says whether to give them the sum
/// that they ought to have.
pub(crate) fn sums(directory: &Path, bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    let path = directory.join("summed.npy");
    if !path.exists() {
        let array = Array::from_shape_fn((4100, 5), |(row, column)| (row * 7 + column) as f32);
        Store::create_from(&path, &array).unwrap();
    }
    let mut bytes = bytes.to_vec();
    if first % 2 == 1 && bytes.len() > 12 {
        let sum = crc32fast::hash(&bytes[12..]);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    }
    fs::write(directory.join("summed.npy.sums"), &bytes).unwrap();
    let any = AnyStore::open(&path).unwrap();
    let end = any.offset() + any.nbytes() as u64;
    match any.verify() {
        Ok(found) => {
            assert!(
                found
                    .header()
                    .is_none_or(|header| header.end <= any.offset())
            );
            assert!(found.uncovered().end == 4100);
            let mut last = any.offset();
            for damage in found.damage() {
                assert!(last <= damage.bytes.start && damage.bytes.start < damage.bytes.end);
                assert!(damage.bytes.end <= end && damage.rows.end <= 4100);
                assert!(damage.rows.start < damage.rows.end);
                last = damage.bytes.end;
            }
            assert_eq!(found.to_string().starts_with("intact"), found.is_intact());
        }
        Err(error) => assert!(
            matches!(error.kind(), ErrorKind::Checksums { .. }),
            "{error}"
        ),
    }
}

/// An archive.
#[cfg(feature = "npz")]
pub(crate) fn npz(directory: &Path, bytes: &[u8]) {
    use ndstore::Npz;
    let path = file_of(directory, "arrays.npz", bytes);
    let Ok(npz) = Npz::open(&path) else {
        return;
    };
    let names: Vec<_> = npz.names().take(8).map(str::to_owned).collect();
    for name in &names {
        let member = npz.member(name);
        if let Ok(any) = npz.open_member_any(name) {
            check_any(&any, bytes.len() as u64);
            // Reading the header may have come to the end, and so to the sum, which opening in
            // place leaves alone.
            if let Ok(member) = member {
                assert_eq!((member.dtype(), member.shape()), (any.dtype(), any.shape()));
            }
        }
        if let Ok(store) = npz.open_member::<Le<f64>, IxDyn>(name) {
            let private = copy_on_write(store);
            check_view(private.view(), private.as_bytes());
        }
        let read = npz.read::<u8, IxDyn>(name);
        let unpacked = npz.unpack::<u8, IxDyn>(name, directory);
        if let Ok(array) = read {
            assert_eq!(unpacked.unwrap().read_all().unwrap(), array);
            if let Ok(store) = npz.open_member::<u8, IxDyn>(name) {
                assert_eq!(store.read_all().unwrap(), array);
            }
        }
        let _ = npz.read::<f64, IxDyn>(name);
        let _ = npz.unpack::<f64, IxDyn>(name, directory);
    }
}

/// Asserts that what a file of `len` bytes was opened as lies within it and is what it says.
fn check_any(any: &AnyStore, len: u64) {
    check_dtype(any.dtype());
    assert!(any.ndim() <= 64 && any.ndim() == any.shape().len());
    let nbytes = any.len().checked_mul(any.dtype().itemsize()).unwrap();
    assert_eq!(any.nbytes(), nbytes);
    assert!(
        any.offset() + nbytes as u64 <= len,
        "{any:?} in {len} bytes"
    );
    if any.is_empty() {
        assert_eq!(any.len(), 0);
        return;
    }
    assert!(any.element(any.shape()).is_err() || any.ndim() == 0);
    let last: Vec<_> = any.shape().iter().map(|&axis| axis - 1).collect();
    let mut byte = [0];
    if nbytes > 0 {
        any.read_bytes(nbytes - 1, &mut byte).unwrap();
    }
    assert!(any.read_bytes(nbytes, &mut byte).is_err());
    // Whoever asks for an element asks for the memory that it takes.
    if any.dtype().itemsize() > COPIED {
        return;
    }
    assert_eq!(
        any.element(&last).unwrap().as_bytes().len(),
        any.dtype().itemsize()
    );
    for index in ndarray::indices(IxDyn(any.shape()))
        .into_iter()
        .take(LOOKED_AT)
    {
        let _ = any.element(index.slice()).unwrap().to_string();
        if any.nbytes() > COPIED {
            break;
        }
    }
    if nbytes <= COPIED {
        let mut written = Vec::new();
        any.write_to(&mut written).unwrap();
        assert!(written.ends_with(&any.to_bytes().unwrap()));
        let again = Options::new().read_npy::<u8, IxDyn>(&written[..]);
        if let Ok(Some(array)) = again {
            assert_eq!(array.shape(), any.shape());
        }
    }
}

fn check_view<A: Element>(view: ArrayView<'_, A, IxDyn>, bytes: &[u8]) {
    assert_eq!(size_of_val(bytes), view.len() * size_of::<A>());
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let found: u64 = view
        .iter()
        .map(|element| sum(bytemuck::bytes_of(element)))
        .sum();
    assert_eq!(found, sum(bytes));
}

/// Reads the array as a whole, and its corners by themselves.
fn check_read<A: Element, M: AccessMode>(store: &Store<A, IxDyn, M>) {
    if store.nbytes() > COPIED {
        return;
    }
    let array = store.read_all().unwrap();
    check_view(array.view(), &store.to_bytes(Order::C).unwrap());
    if store.is_empty() {
        return;
    }
    let last: Vec<_> = store.shape().iter().map(|&axis| axis - 1).collect();
    let at_last: Vec<SliceInfoElem> = last.iter().map(|&index| index.into()).collect();
    let found = store.get(IxDyn(&last)).unwrap();
    let expected = bytemuck::bytes_of(&array[IxDyn(&last)]);
    assert_eq!(bytemuck::bytes_of(&found), expected);
    let found = store.read(&at_last[..]).unwrap();
    assert_eq!(bytemuck::bytes_of(&found[IxDyn(&[])]), expected);
}

/// Opens a file as an array of `A` in every mode, and reads and writes every element.
fn typed<A: Element>(options: &Options, path: &Path) {
    let is_aligned = |offset: u64| offset.is_multiple_of(align_of::<A>() as u64);
    if let Ok(store) = options.open::<A, IxDyn>(path) {
        check_read(&store);
        if is_aligned(store.offset()) {
            let map = mapped(store);
            check_view(map.view(), map.as_bytes());
        }
    }
    if let Ok(mut store) = options.open_rw::<A, IxDyn>(path) {
        check_read(&store);
        if store.nbytes() <= COPIED {
            let kept = store.read_all().unwrap();
            store.write_all(&kept).unwrap();
        }
        if is_aligned(store.offset()) {
            let mut map = mapped(store);
            let kept: Vec<A> = map.view().iter().copied().collect();
            let mut view = map.view_mut();
            view.iter_mut()
                .zip(kept)
                .for_each(|(element, kept)| *element = kept);
        }
    }
    if let Ok(store) = options.open::<A, IxDyn>(path)
        && is_aligned(store.offset())
    {
        let mut private = copy_on_write(store);
        private.view_mut().fill(A::zeroed());
        assert!(private.as_bytes().iter().all(|&byte| byte == 0));
    }
}

/// Cuts and appends to what was opened, whose header may be any.
fn grow<A: Element>(path: &Path) {
    let options = Options::new().drop_trailing(true);
    let Ok(mut store) = options.open_rw::<A, IxDyn>(path) else {
        return;
    };
    if store.ndim() == 0 || store.nbytes() > COPIED {
        return;
    }
    let axis = Axis(match store.order() {
        Order::C => 0,
        Order::F => store.ndim() - 1,
    });
    let before = store.read_all().unwrap();
    let rows = before.len_of(axis);
    let (head, tail) = before.view().split_at(axis, rows / 2);
    store.truncate(rows / 2).unwrap();
    assert_eq!(
        store.to_bytes(Order::C).unwrap(),
        ndstore::to_bytes(&head, Order::C).unwrap()
    );
    store.append(&tail.to_owned()).unwrap();
    store.close().unwrap();
    let again = Store::<A, IxDyn>::open(path).unwrap();
    assert_eq!(
        again.to_bytes(Order::C).unwrap(),
        ndstore::to_bytes(&before, Order::C).unwrap()
    );
}
