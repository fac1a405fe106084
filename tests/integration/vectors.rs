//! The files in `tests/data/npy-vectors` and their manifest: each is opened as the manifest says,
//! or refused, in every mode.
//!
//! Nothing in a file makes the crate panic, or ask for memory that the file only claims to need.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ndarray::prelude::*;
use ndstore::{AnyStore, Element, Error, ErrorKind, HeaderError, Mode, Options, Order, Store};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::allocations::largest_during;
use super::mapped::not_mapped;
use super::support_numpy::{OPENING, look_dyn};

/// More than any call on a vector may allocate at once.
const MIB: usize = 1 << 20;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/npy-vectors")
}

/// One entry of the manifest.
struct Vector(Value);

fn vectors() -> Vec<Vector> {
    let manifest = fs::read_to_string(directory().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let vectors: Vec<_> = manifest["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .cloned()
        .map(Vector)
        .collect();
    assert_eq!(vectors.len() as u64, manifest["count"].as_u64().unwrap());
    vectors
}

/// The vectors with a header and this verdict.
fn npy(verdict: &str) -> impl Iterator<Item = Vector> {
    vectors()
        .into_iter()
        .filter(move |vector| !vector.is_raw() && vector.text("verdict") == verdict)
}

impl Vector {
    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap()
    }

    fn number(&self, key: &str) -> u64 {
        self.0[key].as_u64().unwrap()
    }

    fn is_raw(&self) -> bool {
        self.0["kind"] == "raw"
    }

    fn path(&self) -> PathBuf {
        directory().join(self.text("file"))
    }

    fn shape(&self) -> Vec<usize> {
        let dims = self.0["shape"].as_array().unwrap();
        dims.iter()
            .map(|dim| dim.as_u64().unwrap() as usize)
            .collect()
    }

    /// The descr as the crate writes it: the Python literal, less the quotes around a type string.
    fn descr(&self) -> &str {
        self.text("descr").trim_matches('\'')
    }

    /// Asserts that `bytes`, in C order, are the array's.
    fn assert_bytes(&self, bytes: &[u8]) {
        let name = self.text("file");
        assert_eq!(bytes.len() as u64, self.number("nbytes"), "{name}");
        let sum: String = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(sum, self.text("sha256"), "{name}");
        assert_eq!(
            bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>(),
            self.number("byte_sum"),
            "{name}"
        );
    }

    /// Asserts that `any` is the array that the manifest describes.
    fn assert_is(&self, any: &AnyStore) {
        let name = self.text("file");
        let order = match self.0["fortran_order"].as_bool().unwrap() {
            true => Order::F,
            false => Order::C,
        };
        assert_eq!(any.dtype().descr(), self.descr(), "{name}");
        assert_eq!(
            any.dtype().itemsize() as u64,
            self.number("itemsize"),
            "{name}"
        );
        assert_eq!(any.shape(), self.shape(), "{name}");
        assert_eq!(any.ndim(), self.shape().len(), "{name}");
        assert_eq!(any.order(), order, "{name}");
        assert_eq!(any.offset(), self.number("data_offset"), "{name}");
        self.assert_bytes(&c_bytes(any));
    }
}

/// The bytes of the elements in C order.
fn c_bytes(any: &AnyStore) -> Vec<u8> {
    // The bytes of an element are one more axis, the fastest in either order.
    let itemsize = any.dtype().itemsize();
    match any.order() {
        Order::C => any.to_bytes().unwrap(),
        Order::F => {
            let shape: Vec<_> = std::iter::once(itemsize)
                .chain(any.shape().iter().copied())
                .collect();
            let axes: Vec<_> = (1..shape.len()).chain([0]).collect();
            let array = Array::from_shape_vec(IxDyn(&shape).f(), any.to_bytes().unwrap());
            array.unwrap().permuted_axes(axes).iter().copied().collect()
        }
    }
}

/// Opens a file and holds the call to its bound on memory.
fn open_frugally(path: &Path, mode: Mode) -> Result<AnyStore, Error> {
    let (result, largest) = largest_during(|| AnyStore::open_mode(path, mode));
    assert!(largest < MIB, "{path:?} ({mode}) allocated {largest} bytes");
    result
}

/// Asserts that a refusal is about the file and not about the system that it lies on.
fn assert_refused(result: Result<AnyStore, Error>, path: &Path) {
    let error = result.expect_err(&path.to_string_lossy());
    let (ErrorKind::Header { .. } | ErrorKind::Truncated { .. } | ErrorKind::ShapeTooLarge { .. }) =
        error.kind()
    else {
        panic!("{path:?}: {error:?}");
    };
    assert_eq!(error.path(), Some(path));
    assert!(error.to_string().contains(&format!("{path:?}")), "{error}");
}

/// A copy of a vector, which may be written to.
fn copy(vector: &Vector, directory: &TempDir) -> PathBuf {
    let copy = directory.path().join(vector.text("file"));
    fs::copy(vector.path(), &copy).unwrap();
    copy
}

#[test]
fn every_vector_to_accept_is_opened_as_the_manifest_says_in_every_mode() {
    let directory = TempDir::new().unwrap();
    let mut opened = 0;
    for vector in npy("accept") {
        let copy = copy(&vector, &directory);
        for (path, mode) in [(vector.path(), Mode::Read), (copy.clone(), Mode::ReadWrite)] {
            let any = open_frugally(&path, mode).unwrap();
            vector.assert_is(&any);
            assert_eq!((any.mode(), any.path()), (mode, path.as_path()));
            opened += 1;
        }
        assert_eq!(fs::read(&copy).unwrap(), fs::read(vector.path()).unwrap());
    }
    assert_eq!(opened, 65 * 2);
}

#[test]
fn every_vector_to_reject_is_refused_in_every_mode_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let mut refused = 0;
    for vector in npy("reject") {
        let copy = copy(&vector, &directory);
        for mode in [Mode::Read, Mode::ReadWrite] {
            assert_refused(open_frugally(&copy, mode), &copy);
            refused += 1;
        }
        assert_eq!(fs::read(&copy).unwrap(), fs::read(vector.path()).unwrap());
    }
    assert_eq!(refused, 43 * 2);
}

#[test]
fn every_vector_to_open_or_refuse_is_opened_right_or_refused() {
    let mut seen = 0;
    for vector in npy("either") {
        match open_frugally(&vector.path(), Mode::Read) {
            Ok(any) => vector.assert_is(&any),
            refused => assert_refused(refused, &vector.path()),
        }
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn a_header_over_the_limit_is_refused_until_the_caller_raises_it() {
    let directory = TempDir::new().unwrap();
    let vector = npy("limit").next().unwrap();
    let refused = open_frugally(&vector.path(), Mode::Read).unwrap_err();
    assert!(
        matches!(
            refused.kind(),
            ErrorKind::Header {
                cause: HeaderError::TooLong {
                    found: 20_000,
                    limit: 10_000
                },
                ..
            }
        ),
        "{refused:?}"
    );
    // Its data start where no `i32` can be viewed, but read.
    let raised = Options::new().max_header_size(20_000);
    let store = raised.open::<i32, Ix2>(vector.path()).unwrap();
    assert_eq!(store.shape(), vector.shape());
    let misaligned = not_mapped(store);
    assert!(
        matches!(
            misaligned.kind(),
            ErrorKind::Misaligned {
                offset: Some(20_010),
                align: 4,
                ..
            }
        ),
        "{misaligned:?}"
    );
    let mistaken = raised.open::<u32, Ix2>(vector.path()).unwrap_err();
    assert!(
        matches!(mistaken.kind(), ErrorKind::DTypeMismatch { found, .. } if found == "<i4"),
        "{mistaken:?}"
    );

    // Six more blanks bring them into place.
    let mut bytes = fs::read(vector.path()).unwrap();
    bytes.splice(20_009..20_009, [b' '; 6]);
    bytes[8..10].copy_from_slice(&20_006_u16.to_le_bytes());
    let path = directory.path().join("aligned.npy");
    fs::write(&path, bytes).unwrap();
    for mode in OPENING {
        let options = Options::new().max_header_size(20_006);
        let (seen, largest) = largest_during(|| look_dyn::<i32>(&options, &path, mode).unwrap());
        assert!(largest < MIB);
        assert_eq!((seen.shape, seen.offset), (vector.shape(), 20_016));
        vector.assert_bytes(&seen.c_bytes);
    }
    let refused = Options::new()
        .max_header_size(20_005)
        .open::<i32, Ix2>(&path)
        .unwrap_err();
    assert!(
        matches!(
            refused.kind(),
            ErrorKind::Header {
                cause: HeaderError::TooLong {
                    found: 20_006,
                    limit: 20_005
                },
                ..
            }
        ),
        "{refused:?}"
    );
}

#[test]
fn a_raised_limit_makes_no_allocation_of_a_length_that_the_file_only_claims() {
    let path = directory().join("bad_hlen_4gib.npy");
    let options = Options::new().max_header_size(usize::MAX);
    for mode in [Mode::Read, Mode::CopyOnWrite] {
        let (result, largest) = largest_during(|| look_dyn::<i32>(&options, &path, mode));
        assert!(largest < MIB, "{mode} allocated {largest} bytes");
        let error = result.unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Header {
                    cause: HeaderError::Truncated {
                        expected: 4_294_967_307,
                        found: 96
                    },
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn every_raw_vector_is_opened_or_refused_as_the_manifest_says() {
    let (mut accepted, mut refused, mut inexpressible) = (0, 0, 0);
    for vector in vectors().into_iter().filter(Vector::is_raw) {
        let args = &vector.0["args"];
        let offset = args["offset"].as_u64().unwrap_or(0);
        let mut options = Options::new().raw(offset);
        if args["order"] == "F" {
            options = options.order(Order::F);
        }
        if let Some(dims) = args["shape"].as_array() {
            let Some(dims) = dims.iter().map(Value::as_u64).collect::<Option<Vec<_>>>() else {
                // A negative dimension, which `usize` rules out.
                assert_eq!(vector.text("verdict"), "reject");
                inexpressible += 1;
                continue;
            };
            let dims: Vec<_> = dims.into_iter().map(|dim| dim as usize).collect();
            options = options.shape(IxDyn(&dims)).allow_trailing(true);
        }
        for mode in [Mode::Read, Mode::CopyOnWrite] {
            let (result, largest) = largest_during(|| match args["dtype"].as_str() {
                Some("<f4") => look_dyn::<f32>(&options, &vector.path(), mode),
                None => look_dyn::<u8>(&options, &vector.path(), mode),
                Some(other) => panic!("no type for {other}"),
            });
            assert!(largest < MIB);
            match (vector.text("verdict"), result) {
                ("accept", result) => {
                    let seen = result.unwrap();
                    assert_eq!(
                        (seen.descr.as_str(), seen.shape),
                        (vector.descr(), vector.shape())
                    );
                    vector.assert_bytes(&seen.c_bytes);
                    accepted += 1;
                }
                ("reject", Err(error)) => {
                    let (ErrorKind::NotAMultiple { .. } | ErrorKind::Truncated { .. }) =
                        error.kind()
                    else {
                        panic!("{}: {error}", vector.0);
                    };
                    refused += 1
                }
                // The one that NumPy refuses: an empty array in an empty file.
                ("either", Ok(seen)) => assert_eq!(seen.shape, [0]),
                (verdict, result) => panic!("{}: {verdict} {result:?}", vector.0),
            }
        }
    }
    assert_eq!((accepted, refused, inexpressible), (7 * 2, 2 * 2, 1));
}

/// Opens `vector` as an array of `A` and compares elements and values. Returns whether it can be
/// viewed, too.
fn check_typed<A: Element + PartialEq + Debug>(
    vector: &Vector,
    value: impl Fn(&str) -> Option<A>,
) -> bool {
    let path = vector.path();
    let (offset, align) = (vector.number("data_offset"), align_of::<A>());
    let is_viewed = vector.number("nbytes") == 0 || offset.is_multiple_of(align as u64);
    if !is_viewed {
        let error = not_mapped(Store::<A, IxDyn>::open(&path).unwrap());
        assert!(
            matches!(error.kind(), ErrorKind::Misaligned { dtype, offset: Some(found), align: needed, .. }
                if error.path() == Some(&path) && dtype == vector.descr() && *found == offset && *needed == align),
            "{error:?}"
        );
    }
    for mode in [Mode::Read, Mode::CopyOnWrite] {
        let seen = look_dyn::<A>(&Options::new(), &path, mode).unwrap();
        assert_eq!(
            (seen.descr.as_str(), seen.shape, seen.offset),
            (vector.descr(), vector.shape(), offset)
        );
        vector.assert_bytes(&seen.c_bytes);
    }
    let store = Store::<A, IxDyn>::open(&path).unwrap();
    let elements = store.read_all().unwrap();
    for (element, text) in elements
        .iter()
        .zip(vector.0["values"].as_array().into_iter().flatten())
    {
        let text = text.as_str().unwrap();
        if let Some(value) = value(text) {
            assert_eq!(*element, value, "{path:?} {text}");
        }
    }
    is_viewed
}

fn parsed<A: FromStr>(text: &str) -> Option<A> {
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{text:?} is no value")),
    )
}

#[test]
fn every_vector_of_native_numbers_is_viewed_in_place_or_said_to_be_misaligned() {
    let (mut viewed, mut misaligned) = (0, 0);
    for vector in npy("accept") {
        let is_viewed = match vector.descr() {
            "|b1" => check_typed(&vector, |text| Some(ndstore::Bool8::from(text == "True"))),
            "|i1" => check_typed::<i8>(&vector, parsed),
            "|u1" => check_typed::<u8>(&vector, parsed),
            "<i2" => check_typed::<i16>(&vector, parsed),
            "<u2" => check_typed::<u16>(&vector, parsed),
            "<i4" => check_typed::<i32>(&vector, parsed),
            "<u4" => check_typed::<u32>(&vector, parsed),
            "<i8" => check_typed::<i64>(&vector, parsed),
            "<u8" => check_typed::<u64>(&vector, parsed),
            "<f4" => check_typed::<f32>(&vector, parsed),
            "<f8" => check_typed::<f64>(&vector, parsed),
            #[cfg(feature = "half")]
            "<f2" => check_typed::<half::f16>(&vector, parsed),
            // Python writes them in its own way: their bytes are compared, not their values.
            #[cfg(feature = "num-complex")]
            "<c8" => check_typed::<num_complex::Complex<f32>>(&vector, |_| None),
            #[cfg(feature = "num-complex")]
            "<c16" => check_typed::<num_complex::Complex<f64>>(&vector, |_| None),
            _ => continue,
        };
        *(if is_viewed {
            &mut viewed
        } else {
            &mut misaligned
        }) += 1;
    }
    assert!(viewed >= 20, "{viewed}");
    assert!(misaligned >= 4, "{misaligned}");
}

#[test]
fn a_file_of_the_other_byte_order_is_refused_as_numbers_and_says_so() {
    let path = directory().join("dt_f8_be.npy");
    let error = Store::<f64, Ix2>::open(&path).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::DTypeMismatch { expected, found, remedy, .. }
            if expected == "<f8" && found == ">f8" && remedy.contains("order")),
        "{error:?}"
    );
}

/// Asserts that what a damaged file is opened as lies within the file. Returns whether it was
/// opened.
fn check_damaged(path: &Path, bytes: &[u8]) -> bool {
    match open_frugally(path, Mode::Read) {
        Ok(any) => {
            let elements: usize = any.shape().iter().product();
            let start = usize::try_from(any.offset()).unwrap();
            assert_eq!(
                any.to_bytes().unwrap(),
                &bytes[start..][..elements * any.dtype().itemsize()]
            );
            assert_eq!(c_bytes(&any).len(), any.to_bytes().unwrap().len());
            true
        }
        refused => {
            assert_refused(refused, path);
            false
        }
    }
}

#[test]
fn a_vector_cut_at_any_byte_is_refused_unless_the_array_is_whole() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("cut.npy");
    let names = [
        "v1.npy",
        "v2.npy",
        "v3.npy",
        "st_nested.npy",
        "sh_4x6_f_be.npy",
        "sh_0x3.npy",
        "block4096_tail.npy",
    ];
    let mut cuts = 0;
    for vector in npy("accept").filter(|vector| names.contains(&vector.text("file"))) {
        let bytes = fs::read(vector.path()).unwrap();
        let end = vector.number("data_offset") + vector.number("nbytes");
        fs::write(&path, &bytes).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        for len in (0..bytes.len()).rev() {
            file.set_len(len as u64).unwrap();
            assert_eq!(
                check_damaged(&path, &bytes[..len]),
                len as u64 >= end,
                "{len} of {}",
                vector.text("file")
            );
            cuts += 1;
        }
    }
    assert_eq!(cuts, 152 + 152 + 152 + 205 + 224 + 128 + 4220);
}

#[test]
fn a_header_with_any_bit_flipped_is_refused_or_stays_within_the_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("flipped.npy");
    let (mut opened, mut refused) = (0, 0);
    for name in ["v1.npy", "st_nested.npy", "v3.npy"] {
        let mut bytes = fs::read(self::directory().join(name)).unwrap();
        let header = if name == "st_nested.npy" { 192 } else { 128 };
        for bit in 0..header * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            *(if check_damaged(&path, &bytes) {
                &mut opened
            } else {
                &mut refused
            }) += 1;
            if let Ok(store) = Store::<i32, IxDyn>::open(&path) {
                assert_eq!(
                    store.read_all().unwrap().len() * 4,
                    store.to_bytes(ndstore::MemoryOrder::A).unwrap().len()
                );
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
    assert_eq!(opened + refused, (128 + 192 + 128) * 8);
    assert!(opened > 0 && refused > opened, "{opened} {refused}");
}
