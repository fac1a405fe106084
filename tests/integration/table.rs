//! A table of what `np.memmap` and `np.lib.format.open_memmap` do with a file, an offset and a
//! shape, for each mode.
//!
//! If NumPy accepts a call, so does the crate, and gives an array of the same shape. If NumPy
//! raises, the crate refuses and names the file and the numbers. If NumPy lengthens a short file,
//! or empties one before it checks the arguments, the crate refuses and the file keeps every byte,
//! its length and its mode.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{Element, Error, ErrorKind, HeaderError, Mode, Options, Order, Result, Store};
use tempfile::TempDir;

use super::mapped::{copy_on_write, mapped};
use super::support_numpy::{OPENING, Seen, Snapshot, look, look_dyn, pattern};

/// The length of a native header.
const HEADER: usize = 4096;

/// What the path names before the call.
#[derive(Clone, Copy)]
enum Before {
    Missing,
    NoDirectory,
    /// This many bytes without a header.
    Bytes(usize),
    /// An NPY file of `<f4`, cut or lengthened to so many bytes behind the start of its data.
    Npy(&'static [usize], isize),
}

use Before::{Bytes, Missing, NoDirectory, Npy};

impl Before {
    fn make(self, directory: &Path) -> PathBuf {
        let path = directory.join("array");
        let bytes = match self {
            Missing => return path,
            NoDirectory => return directory.join("nowhere").join("array"),
            Bytes(len) => pattern(len),
            Npy(shape, len) => {
                drop(Store::<f32, IxDyn>::create(&path, IxDyn(shape)).unwrap());
                let mut bytes = fs::read(&path).unwrap();
                bytes.truncate(HEADER);
                bytes.extend(pattern(len.max(0).cast_unsigned()));
                bytes.truncate(HEADER.checked_add_signed(len).unwrap());
                bytes
            }
        };
        fs::write(&path, bytes).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        path
    }
}

/// What comes of a call.
enum Outcome {
    /// An array of this shape.
    Array(&'static [usize]),
    /// An error, and nothing has changed.
    Refused {
        pattern: &'static str,
        matches: fn(&Error) -> bool,
    },
}

use Outcome::Array;

macro_rules! refused {
    ($($pattern:tt)*) => {
        Outcome::Refused {
            pattern: stringify!($($pattern)*),
            matches: |error| matches!(error.kind(), $($pattern)*),
        }
    };
}

/// One line of the table.
struct Row {
    case: &'static str,
    before: Before,
    /// Where the data of a raw file start; `None` for a file with a header.
    raw: Option<u64>,
    /// The shape that is given: to expect in the modes that open a file, to make in `w+`.
    shape: Option<&'static [usize]>,
    /// What comes of `r`, `r+` and `c`, which agree: none of them makes or lengthens a file.
    opened: Outcome,
    /// What comes of `w+`; `None` where no shape is given, which the types rule out.
    created: Option<Outcome>,
}

const fn row(
    case: &'static str,
    before: Before,
    raw: Option<u64>,
    shape: Option<&'static [usize]>,
    opened: Outcome,
    created: Option<Outcome>,
) -> Row {
    Row {
        case,
        before,
        raw,
        shape,
        opened,
        created,
    }
}

/// A row about a raw file whose data start at its first byte, of which `w+` makes an array of the
/// shape that is given.
const fn raw(case: &'static str, before: Before, shape: &'static [usize], opened: Outcome) -> Row {
    row(
        case,
        before,
        Some(0),
        Some(shape),
        opened,
        Some(Array(shape)),
    )
}

/// A row about a file with a header, of which `w+` makes an array of the shape that is given.
const fn npy(case: &'static str, before: Before, shape: &'static [usize], opened: Outcome) -> Row {
    row(case, before, None, Some(shape), opened, Some(Array(shape)))
}

/// A row in which no shape is given.
const fn unshaped(case: &'static str, before: Before, raw: Option<u64>, opened: Outcome) -> Row {
    row(case, before, raw, None, opened, None)
}

const NOT_THERE: Outcome = refused!(ErrorKind::NotFound {
    what: "the file",
    ..
});
const TOO_LARGE: Outcome = refused!(ErrorKind::ShapeTooLarge { itemsize: 4, .. });

/// The rows about `<f4`.
const F4: &[Row] = &[
    raw("missing file", Missing, &[3, 4], NOT_THERE),
    row(
        "missing directory",
        NoDirectory,
        Some(0),
        Some(&[3, 4]),
        refused!(ErrorKind::NotFound {
            what: "its directory",
            ..
        }),
        Some(refused!(ErrorKind::NotFound {
            what: "its directory",
            ..
        })),
    ),
    raw("missing file, shape 0", Missing, &[0], NOT_THERE),
    raw("exact size", Bytes(48), &[3, 4], Array(&[3, 4])),
    unshaped("exact size, no shape", Bytes(48), Some(0), Array(&[12])),
    raw(
        "shorter: NumPy's r+ fills it up with zeros",
        Bytes(20),
        &[3, 4],
        refused!(ErrorKind::Truncated {
            expected: 48,
            found: 20,
            ..
        }),
    ),
    raw("longer", Bytes(60), &[3, 4], Array(&[3, 4])),
    raw(
        "empty file: NumPy's r+ fills it up with zeros",
        Bytes(0),
        &[3, 4],
        refused!(ErrorKind::Truncated {
            expected: 48,
            found: 0,
            ..
        }),
    ),
    unshaped("empty file, no shape", Bytes(0), Some(0), Array(&[0])),
    raw(
        "empty file, zero-size shape",
        Bytes(0),
        &[0, 4],
        Array(&[0, 4]),
    ),
    raw(
        "NumPy's empty array, which has a byte",
        Bytes(1),
        &[0, 4],
        Array(&[0, 4]),
    ),
    unshaped(
        "NumPy's empty array, no shape",
        Bytes(1),
        Some(0),
        refused!(ErrorKind::NotAMultiple {
            nbytes: 1,
            offset: 0,
            itemsize: 4,
            ..
        }),
    ),
    raw(
        "zero-size shape of a file that is not empty",
        Bytes(48),
        &[0, 4],
        Array(&[0, 4]),
    ),
    raw(
        "zero in the middle of the shape",
        Bytes(48),
        &[3, 0, 4],
        Array(&[3, 0, 4]),
    ),
    unshaped(
        "not a multiple, no shape",
        Bytes(50),
        Some(0),
        refused!(ErrorKind::NotAMultiple {
            nbytes: 50,
            offset: 0,
            itemsize: 4,
            ..
        }),
    ),
    raw(
        "not a multiple, shape given",
        Bytes(50),
        &[12],
        Array(&[12]),
    ),
    unshaped("offset 8, no shape", Bytes(48), Some(8), Array(&[10])),
    row(
        "offset 7, which no `f32` can lie at",
        Bytes(48),
        Some(7),
        Some(&[10]),
        Array(&[10]),
        Some(Array(&[10])),
    ),
    unshaped(
        "offset 7, no shape",
        Bytes(48),
        Some(7),
        refused!(ErrorKind::NotAMultiple {
            nbytes: 41,
            offset: 7,
            itemsize: 4,
            ..
        }),
    ),
    unshaped(
        "offset at the end, no shape",
        Bytes(48),
        Some(48),
        Array(&[0]),
    ),
    unshaped(
        "offset past the end by a multiple, no shape",
        Bytes(48),
        Some(56),
        refused!(ErrorKind::Truncated {
            expected: 56,
            found: 48,
            ..
        }),
    ),
    unshaped(
        "offset past the end by no multiple, no shape",
        Bytes(48),
        Some(55),
        refused!(ErrorKind::Truncated {
            expected: 55,
            found: 48,
            ..
        }),
    ),
    unshaped(
        "offset a page past the end, no shape",
        Bytes(48),
        Some(4096),
        refused!(ErrorKind::Truncated {
            expected: 4096,
            found: 48,
            ..
        }),
    ),
    row(
        "offset and shape past the end: NumPy's r+ fills the file up",
        Bytes(48),
        Some(100),
        Some(&[4]),
        refused!(ErrorKind::Truncated {
            expected: 116,
            found: 48,
            ..
        }),
        Some(Array(&[4])),
    ),
    unshaped(
        "offset of a page at the end, no shape",
        Bytes(4096),
        Some(4096),
        Array(&[0]),
    ),
    row(
        "offset of a page at the end, shape 0",
        Bytes(4096),
        Some(4096),
        Some(&[0]),
        Array(&[0]),
        Some(Array(&[0])),
    ),
    row(
        "offset at the end of all numbers",
        Bytes(48),
        Some(u64::MAX - 3),
        Some(&[1]),
        refused!(ErrorKind::Truncated {
            expected: u64::MAX,
            found: 48,
            ..
        }),
        Some(refused!(ErrorKind::FileTooLarge {
            needed: u64::MAX,
            ..
        })),
    ),
    row(
        "offset that no file reaches",
        Bytes(48),
        Some(1 << 63),
        Some(&[1]),
        refused!(ErrorKind::Truncated {
            expected: 0x8000_0000_0000_0004,
            found: 48,
            ..
        }),
        Some(refused!(ErrorKind::FileTooLarge {
            needed: u64::MAX,
            ..
        })),
    ),
    raw("no axes", Bytes(48), &[], Array(&[])),
    raw(
        "no axes, empty file: NumPy's r+ fills it up",
        Bytes(0),
        &[],
        refused!(ErrorKind::Truncated {
            expected: 4,
            found: 0,
            ..
        }),
    ),
    row(
        "2**62 elements, whose bytes wrap to 0: NumPy's w+ empties the file",
        Bytes(48),
        Some(0),
        Some(&[1 << 62]),
        TOO_LARGE,
        Some(TOO_LARGE),
    ),
    row(
        "2**61 elements, one byte more than `isize::MAX`",
        Bytes(48),
        Some(0),
        Some(&[1 << 61]),
        TOO_LARGE,
        Some(TOO_LARGE),
    ),
    row(
        "an empty shape whose other axes overflow",
        Bytes(48),
        Some(0),
        Some(&[0, 1 << 32, 1 << 32]),
        TOO_LARGE,
        Some(TOO_LARGE),
    ),
    raw("64 axes", Bytes(48), &[1; 64], Array(&[1; 64])),
    row(
        "65 axes: NumPy's w+ empties the file",
        Bytes(48),
        Some(0),
        Some(&[1; 65]),
        refused!(ErrorKind::InvalidOption { .. }),
        Some(refused!(ErrorKind::InvalidOption { .. })),
    ),
    npy("header: missing file", Missing, &[3, 4], NOT_THERE),
    row(
        "header: missing directory",
        NoDirectory,
        None,
        Some(&[3, 4]),
        refused!(ErrorKind::NotFound {
            what: "its directory",
            ..
        }),
        Some(refused!(ErrorKind::NotFound {
            what: "its directory",
            ..
        })),
    ),
    unshaped("header: exact size", Npy(&[3, 4], 48), None, Array(&[3, 4])),
    npy(
        "header: the shape that is there",
        Npy(&[3, 4], 48),
        &[3, 4],
        Array(&[3, 4]),
    ),
    npy(
        "header: another shape",
        Npy(&[3, 4], 48),
        &[4, 3],
        refused!(ErrorKind::ShapeMismatch { expected, found, .. } if expected == &[4, 3] && found == &[3, 4]),
    ),
    npy(
        "header: another rank",
        Npy(&[3, 4], 48),
        &[12],
        refused!(ErrorKind::ShapeMismatch { expected, found, .. } if expected == &[12] && found == &[3, 4]),
    ),
    npy(
        "header: shorter, which NumPy's r+ fills up with zeros",
        Npy(&[3, 4], 47),
        &[3, 4],
        refused!(ErrorKind::Truncated {
            expected: 4144,
            found: 4143,
            ..
        }),
    ),
    npy(
        "header: no data, which NumPy's r+ fills up with zeros",
        Npy(&[3, 4], 0),
        &[3, 4],
        refused!(ErrorKind::Truncated {
            expected: 4144,
            found: 4096,
            ..
        }),
    ),
    npy("header: longer", Npy(&[3, 4], 60), &[3, 4], Array(&[3, 4])),
    npy(
        "header: cut",
        Npy(&[3, 4], -96),
        &[3, 4],
        refused!(ErrorKind::Header {
            cause: HeaderError::Truncated {
                expected: 4096,
                found: 4000
            },
            ..
        }),
    ),
    npy(
        "header: empty file",
        Bytes(0),
        &[3, 4],
        refused!(ErrorKind::Header {
            cause: HeaderError::Empty,
            ..
        }),
    ),
    npy(
        "header: none",
        Bytes(48),
        &[3, 4],
        refused!(ErrorKind::Header {
            cause: HeaderError::Magic { .. },
            ..
        }),
    ),
    npy("header: no axes", Npy(&[], 4), &[], Array(&[])),
    npy("header: zero-size", Npy(&[0], 0), &[0], Array(&[0])),
    npy(
        "header: zero-size, two axes",
        Npy(&[0, 4], 0),
        &[0, 4],
        Array(&[0, 4]),
    ),
    npy(
        "header: zero-size, last axis",
        Npy(&[3, 0], 0),
        &[3, 0],
        Array(&[3, 0]),
    ),
    npy(
        "header: zero-size with bytes behind it",
        Npy(&[0, 4], 9),
        &[0, 4],
        Array(&[0, 4]),
    ),
    row(
        "header: 2**62 elements",
        Npy(&[3, 4], 48),
        None,
        Some(&[1 << 62]),
        refused!(ErrorKind::ShapeMismatch { .. }),
        Some(TOO_LARGE),
    ),
    npy(
        "header: 64 axes",
        Npy(&[1; 64], 4),
        &[1; 64],
        Array(&[1; 64]),
    ),
    row(
        "header: 65 axes",
        Npy(&[3, 4], 48),
        None,
        Some(&[1; 65]),
        refused!(ErrorKind::ShapeMismatch { .. }),
        Some(refused!(ErrorKind::InvalidOption { .. })),
    ),
];

/// The rows about `|u1`, the dtype that `np.memmap` takes where none is given.
const U1: &[Row] = &[
    unshaped("bytes, no shape", Bytes(48), Some(0), Array(&[48])),
    unshaped(
        "bytes from an odd offset, no shape",
        Bytes(48),
        Some(7),
        Array(&[41]),
    ),
    row(
        "bytes from an odd offset",
        Bytes(48),
        Some(7),
        Some(&[10]),
        Array(&[10]),
        Some(Array(&[10])),
    ),
    unshaped(
        "bytes, NumPy's empty array, no shape",
        Bytes(1),
        Some(0),
        Array(&[1]),
    ),
    row(
        "bytes past the end from behind a page: NumPy's r+ fills the file up",
        Bytes(48),
        Some(4097),
        Some(&[5]),
        refused!(ErrorKind::Truncated {
            expected: 4102,
            found: 48,
            ..
        }),
        Some(Array(&[5])),
    ),
    row(
        "2**80 bytes, whose number wraps to 0: NumPy's w+ empties the file",
        Bytes(48),
        Some(0),
        Some(&[1 << 40, 1 << 40]),
        refused!(ErrorKind::ShapeTooLarge { itemsize: 1, shape, .. } if shape == &[1 << 40, 1 << 40]),
        Some(
            refused!(ErrorKind::ShapeTooLarge { itemsize: 1, shape, .. } if shape == &[1 << 40, 1 << 40]),
        ),
    ),
    row(
        "2**62 bytes: NumPy's w+ empties the file",
        Bytes(48),
        Some(0),
        Some(&[1 << 62]),
        refused!(ErrorKind::Truncated {
            expected: 0x4000_0000_0000_0000,
            found: 48,
            ..
        }),
        Some(refused!(ErrorKind::NoSpace {
            needed: 0x4000_0000_0000_0000,
            free: Some(_),
            ..
        })),
    ),
    row(
        "as many bytes as an address space has",
        Bytes(48),
        Some(0),
        Some(&[isize::MAX.cast_unsigned()]),
        refused!(ErrorKind::Truncated {
            expected: 0x7fff_ffff_ffff_ffff,
            found: 48,
            ..
        }),
        Some(refused!(ErrorKind::NoSpace { .. })),
    ),
    row(
        "header: as many bytes as an address space has, and the header",
        Bytes(48),
        None,
        Some(&[isize::MAX.cast_unsigned()]),
        refused!(ErrorKind::Header {
            cause: HeaderError::Magic { .. },
            ..
        }),
        Some(refused!(ErrorKind::FileTooLarge { limit: None, .. })),
    ),
];

impl Row {
    fn options(&self) -> Options {
        let options = Options::new();
        match self.raw {
            Some(offset) => options.raw(offset),
            None => options,
        }
    }

    fn run<A: Element>(&self, mode: Mode, path: &Path) -> Result<Seen> {
        let options = self.options();
        match (mode, self.shape) {
            (Mode::Write, Some(shape)) => options
                .create::<A, IxDyn>(path, IxDyn(shape))
                .map(|store| Seen::of(&store)),
            (_, Some(shape)) => {
                // NumPy maps a part of a file without a word.
                let options = options.shape(IxDyn(shape)).allow_trailing(true);
                look_dyn::<A>(&options, path, mode)
            }
            (_, None) => look_dyn::<A>(&options, path, mode),
        }
    }

    /// Checks one cell of the table; what is wrong with it is said in words.
    fn check<A: Element>(&self, mode: Mode, expected: &Outcome) -> Result<(), String> {
        let directory = TempDir::new().unwrap();
        let path = self.before.make(directory.path());
        let before = Snapshot::of(&path);
        let result = self.run::<A>(mode, &path);
        let after = Snapshot::of(&path);
        let fail = |what: String| Err(format!("{} ({mode}): {what}", self.case));
        match (expected, result) {
            (Outcome::Refused { pattern, matches }, Err(error)) => {
                if !matches(&error) {
                    return fail(format!("expected {pattern}, found {error:?}"));
                }
                if !error.to_string().contains(&format!("{path:?}")) {
                    return fail(format!("the message does not name the file: {error}"));
                }
                if after != before {
                    return fail(format!("refused, but not left alone: {before:?} {after:?}"));
                }
                Ok(())
            }
            (Array(shape), Ok(seen)) => {
                let offset = self.raw.unwrap_or(HEADER as u64) as usize;
                let nbytes = shape.iter().product::<usize>() * size_of::<A>();
                let bytes = match mode {
                    Mode::Write => vec![0; nbytes],
                    _ => before.bytes.as_ref().unwrap()[offset..][..nbytes].to_vec(),
                };
                let expected = Seen {
                    descr: A::dtype().descr(),
                    shape: shape.to_vec(),
                    order: Order::C,
                    offset: offset as u64,
                    mode: match mode {
                        Mode::Write => Mode::ReadWrite,
                        mode => mode,
                    },
                    path,
                    c_bytes: bytes.clone(),
                    bytes,
                };
                if seen != expected {
                    return fail(format!("expected {expected:?}, found {seen:?}"));
                }
                let file = after.bytes.as_ref().unwrap();
                if mode != Mode::Write && after != before {
                    return fail("opening changed the file".to_owned());
                }
                if mode == Mode::Write
                    && (file.len() != offset + nbytes
                        || file[offset..].iter().any(|&byte| byte != 0))
                {
                    return fail(format!(
                        "expected zeros to byte {}, found {file:?}",
                        offset + nbytes
                    ));
                }
                Ok(())
            }
            (Outcome::Refused { pattern, .. }, Ok(seen)) => fail(format!(
                "expected {pattern}, found {seen:?}, left {after:?}"
            )),
            (Array(shape), Err(error)) => {
                fail(format!("expected shape {shape:?}, found {error:?}"))
            }
        }
    }
}

/// Checks every cell of a table, and that there are as many as there should be.
fn check_all<A: Element>(rows: &[Row], cells: usize) {
    let cells_of = |row: &Row| {
        let opened = OPENING.map(|mode| (mode, true));
        let created = row.created.as_ref().map(|_| (Mode::Write, false));
        opened.into_iter().chain(created).collect::<Vec<_>>()
    };
    let results: Vec<_> = rows
        .iter()
        .flat_map(|row| {
            cells_of(row).into_iter().map(move |(mode, opening)| {
                let expected = match &row.created {
                    Some(created) if !opening => created,
                    _ => &row.opened,
                };
                row.check::<A>(mode, expected)
            })
        })
        .collect();
    let wrong: Vec<_> = results
        .iter()
        .filter_map(|cell| cell.as_ref().err())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(results.len(), cells);
}

#[test]
fn every_row_about_floats_does_as_numpy_does_or_is_refused_and_leaves_the_file_alone() {
    check_all::<f32>(F4, 208);
}

#[test]
fn every_row_about_bytes_does_as_numpy_does_or_is_refused_and_leaves_the_file_alone() {
    check_all::<u8>(U1, 33);
}

#[test]
fn a_shape_is_given_in_any_way_that_ndarray_knows() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("array");
    let check = |store: Store<f32, IxDyn>, expected: &[usize]| assert_eq!(store.shape(), expected);
    let any = |dims: &[usize]| Store::create(&path, dims).unwrap();
    check(any(&[12]), &[12]);
    check(any(&[]), &[]);
    assert_eq!(Store::<f32, _>::create(&path, 12).unwrap().shape(), [12]);
    assert_eq!(Store::<f32, _>::create(&path, ()).unwrap().ndim(), 0);
    assert_eq!(
        Store::<f32, _>::create(&path, (3, 4)).unwrap().shape(),
        [3, 4]
    );
    assert_eq!(
        Store::<f32, _>::create(&path, [3, 4]).unwrap().shape(),
        [3, 4]
    );
    assert_eq!(
        Store::<f32, _>::create(&path, Ix2(3, 4)).unwrap().shape(),
        [3, 4]
    );
    let like = Array2::<u8>::zeros((3, 4));
    assert_eq!(
        Store::<f32, _>::create(&path, like.dim()).unwrap().shape(),
        [3, 4]
    );
    assert_eq!(
        Store::<f32, _>::create(&path, like.raw_dim())
            .unwrap()
            .shape(),
        [3, 4]
    );
    let raw = Options::new().raw(HEADER as u64).allow_trailing(true);
    assert_eq!(
        raw.clone()
            .shape(12)
            .open::<f32, Ix1>(&path)
            .unwrap()
            .shape(),
        [12]
    );
    assert_eq!(
        raw.clone()
            .shape((3, 4))
            .open::<f32, Ix2>(&path)
            .unwrap()
            .shape(),
        [3, 4]
    );
    assert_eq!(raw.shape(()).open::<f32, Ix0>(&path).unwrap().ndim(), 0);
}

#[test]
fn fortran_order_lays_the_elements_out_by_columns_in_every_mode() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("array");
    let values: Vec<f32> = (0..12_u8).map(f32::from).collect();
    let by_columns = Array2::from_shape_vec((3, 4).f(), values.clone()).unwrap();
    fs::write(&path, bytemuck::cast_slice(&values)).unwrap();
    let options = Options::new().raw(0).shape((3, 4)).order(Order::F);
    let c_bytes: Vec<u8> = by_columns.iter().flat_map(|x| x.to_ne_bytes()).collect();
    for mode in OPENING {
        let seen = look::<f32, Ix2>(&options, &path, mode).unwrap();
        assert_eq!((seen.order, &seen.c_bytes), (Order::F, &c_bytes), "{mode}");
    }
    let mut store = Options::new().raw(0).create(&path, (3, 4).f()).unwrap();
    assert_eq!(store.order(), Order::F);
    store.write_all(&by_columns).unwrap();
    store.close().unwrap();
    assert_eq!(
        fs::read(&path).unwrap(),
        bytemuck::cast_slice::<f32, u8>(&values)
    );
}

#[test]
fn a_file_of_another_order_than_expected_is_refused_in_every_mode() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("array");
    for (made, expected) in [(Order::C, Order::F), (Order::F, Order::C)] {
        drop(
            Options::new()
                .order(made)
                .create::<f32, _>(&path, (3, 4))
                .unwrap(),
        );
        let before = Snapshot::of(&path);
        for mode in OPENING {
            let error = look::<f32, Ix2>(&Options::new().order(expected), &path, mode).unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::OrderMismatch),
                "{error:?}"
            );
            assert_eq!(error.path(), Some(path.as_path()));
            assert!(look::<f32, Ix2>(&Options::new().order(made), &path, mode).is_ok());
        }
        assert_eq!(Snapshot::of(&path), before);
    }
}

#[test]
fn a_file_of_another_dtype_is_refused_in_every_mode() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("array");
    drop(Store::<f32, _>::create(&path, (3, 4)).unwrap());
    let before = Snapshot::of(&path);
    fn refuse<A: Element>(path: &Path, descr: &str) {
        for mode in OPENING {
            let error = look::<A, Ix2>(&Options::new(), path, mode).unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::DTypeMismatch { expected, found, .. }
                    if error.path() == Some(path) && expected == descr && found == "<f4"),
                "{error:?}"
            );
        }
    }
    refuse::<i32>(&path, "<i4");
    refuse::<u32>(&path, "<u4");
    refuse::<f64>(&path, "<f8");
    refuse::<u8>(&path, "|u1");
    refuse::<ndstore::Bool8>(&path, "|b1");
    assert_eq!(Snapshot::of(&path), before);
}

#[test]
fn an_array_of_another_rank_is_refused_in_every_mode() {
    let directory = TempDir::new().unwrap();
    let (npy, raw) = (directory.path().join("npy"), directory.path().join("raw"));
    drop(Store::<f32, _>::create(&npy, (3, 4)).unwrap());
    fs::write(&raw, pattern(48)).unwrap();
    for (path, options) in [
        (&npy, Options::new()),
        (&raw, Options::new().raw(0).shape((3, 4))),
    ] {
        let before = Snapshot::of(path);
        for mode in OPENING {
            for (rank, result) in [
                (0, look::<f32, Ix0>(&options, path, mode)),
                (1, look::<f32, Ix1>(&options, path, mode)),
                (3, look::<f32, Ix3>(&options, path, mode)),
            ] {
                let error = result.unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::NdimMismatch { expected, found: 2, shape, .. }
                        if error.path() == Some(path) && *expected == rank && shape == &[3, 4]),
                    "{error:?}"
                );
            }
            assert!(look::<f32, Ix2>(&options, path, mode).is_ok());
        }
        assert_eq!(Snapshot::of(path), before);
    }
}

#[test]
fn options_that_contradict_each_other_are_refused_before_a_file_is_touched() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("array");
    fs::write(&path, pattern(48)).unwrap();
    let before = Snapshot::of(&path);
    let error = Options::new()
        .shape((4, 3))
        .create::<f32, _>(&path, (3, 4))
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::ShapeMismatch { expected, found, .. } if expected == &[4, 3] && found == &[3, 4]),
        "{error:?}"
    );
    let error = Options::new()
        .raw(0)
        .compact(true)
        .create::<f32, _>(&path, 12)
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::InvalidOption { .. }),
        "{error:?}"
    );
    assert_eq!(Snapshot::of(&path), before);
}

#[test]
fn an_element_whose_dtype_has_another_size_is_refused_before_a_file_is_touched() {
    #[derive(Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
    #[repr(transparent)]
    struct Lying(u32);

    impl Element for Lying {
        fn dtype() -> ndstore::DType {
            f64::dtype()
        }
    }

    let directory = TempDir::new().unwrap();
    let path = directory.path().join("array");
    drop(Store::<f64, _>::create(&path, 4).unwrap());
    let before = Snapshot::of(&path);
    for mode in OPENING {
        assert!(
            look::<Lying, Ix1>(&Options::new(), &path, mode).is_err(),
            "{mode}"
        );
        assert!(
            look::<Lying, Ix1>(&Options::new().raw(0).shape(4), &path, mode).is_err(),
            "{mode}"
        );
    }
    assert!(Store::<Lying, _>::create(&path, 4).is_err());
    assert!(Store::<Lying, _>::create_from(&path, &array![Lying(1)]).is_err());
    assert!(Store::<Lying, _>::create_new(directory.path().join("new"), 4).is_err());
    assert_eq!(Snapshot::of(&path), before);
}

#[test]
fn a_sparse_file_may_be_larger_than_the_disk_and_opens_in_every_mode() {
    const TIB: usize = 1 << 40;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("array");
    let mut store = Options::new()
        .sparse(true)
        .create::<u8, _>(&path, 8 * TIB)
        .unwrap();
    store.set(8 * TIB - 1, 7).unwrap();
    store.close().unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().len(),
        (8 * TIB + HEADER) as u64
    );
    let last = 8 * TIB - 1;
    assert_eq!(Store::<u8, Ix1>::open(&path).unwrap().get(last).unwrap(), 7);
    let mut private = copy_on_write(Store::<u8, Ix1>::open(&path).unwrap());
    private.view_mut()[last] = 8;
    drop(private);
    let mut store = Store::<u8, Ix1>::open_rw(&path).unwrap();
    assert_eq!(store.get(last).unwrap(), 7);
    let refused = store.read_all().unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::OutOfMemory { .. }),
        "{refused}"
    );
    store.set(last, 9).unwrap();
    drop(store);
    assert_eq!(
        mapped(Store::<u8, Ix1>::open(&path).unwrap()).view()[last],
        9
    );
}

#[test]
fn a_sparse_file_that_no_file_system_or_address_space_holds_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("array");
    fs::write(&path, pattern(48)).unwrap();
    let before = Snapshot::of(&path);
    let error = Options::new()
        .sparse(true)
        .create::<u8, _>(&path, 1 << 62)
        .unwrap_err();
    // A file system that could hold it leaves it to the map.
    assert!(
        matches!(
            error.kind(),
            ErrorKind::FileTooLarge { limit: None, .. } | ErrorKind::Io { .. }
        ),
        "{error:?}"
    );
    assert_eq!(Snapshot::of(&path), before);
}
