//! Damaged and hostile bytes: the vectors, cut, flipped and spliced at random. The fuzzer in
//! `fuzz/` continues from here, with the same [targets](super::targets).

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{AnyStore, DType, Mode, Options, Store};

use super::allocations::{largest_during, total_during};
use super::targets;

/// How many inputs each target gets.
const ROUNDS: usize = 2000;

/// More than any call on these small files may allocate at once: the pieces in which they are read
/// and written.
const FRUGAL: usize = 4 << 20;

/// A generator of numbers that are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// What headers are made of, and numbers at which arithmetic breaks.
const TOKENS: &[&str] = &[
    "0",
    "1",
    "9",
    "-1",
    "9223372036854775807",
    "18446744073709551615",
    "4294967296",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    "'",
    "\"",
    "\\x41",
    "True",
    "False",
    "'descr': ",
    "'shape': (",
    "'fortran_order': ",
    "'<f8'",
    "'>i2'",
    "'|O'",
    "'|V0'",
    "'<U3'",
    "'<M8[ns]'",
    "('a', '<i4')",
    "('b', '<f4', (2, 3))",
    "[('a', '|S5'), ",
    " ",
    "\n",
    "#",
    "L",
    "\u{e9}",
];

/// Changes `bytes` here and there; `other` is another input, from which it takes a part.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len() + 1);
        // Most of a file is padding and data: what is in front matters more.
        let at = if random.below(2) == 0 {
            at.min(random.below(200))
        } else {
            at
        };
        let end = bytes.len().min(at + random.below(20));
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..end, random.of(TOKENS).bytes())),
            3 => drop(bytes.splice(at..at, random.of(TOKENS).bytes())),
            4 if !other.is_empty() => {
                let start = random.below(other.len());
                let stop = other.len().min(start + random.below(100));
                drop(bytes.splice(at..end, other[start..stop].iter().copied()));
            }
            5 => bytes[at..end].fill(random.next() as u8),
            6 if at + 4 <= bytes.len() => {
                let number = random.of(&[0_u32, 1, 0xff, 0xffff, 0x7fff_ffff, u32::MAX]);
                bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
            }
            _ if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
}

/// The files of a directory, in the order of their names, so that every run does the same. None if
/// there is no directory.
fn files(directory: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| wanted(path));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The files of the vectors.
fn vectors() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/npy-vectors");
    let vectors = files(&directory, |path| {
        path.extension().is_some_and(|extension| extension == "npy")
    });
    assert!(vectors.len() > 100);
    vectors
}

/// Runs a target on its seeds as they are, and on many mutations of them.
fn attack(name: &str) {
    let found = targets::TARGETS.iter().find(|(found, _)| *found == name);
    let (_, run) = found.expect("the target exists");
    let seeds = [seeds(name), self::found(name)].concat();
    let directory = targets::directory();
    let mut random = Random(name.bytes().map(u64::from).sum());
    let mutants = (0..ROUNDS).map(|_| {
        let mut bytes = random.of(&seeds).clone();
        let other = random.of(&seeds);
        mutate(&mut random, &mut bytes, other);
        bytes
    });
    for bytes in seeds.iter().cloned().chain(mutants) {
        let ((), largest) = largest_during(|| run(directory.path(), &bytes));
        assert!(
            largest < FRUGAL,
            "{name} allocated {largest} bytes for {}",
            bytes.escape_ascii()
        );
    }
}

/// The text of each vector's header.
fn texts() -> Vec<Vec<u8>> {
    let text = |bytes: Vec<u8>| {
        let line = bytes.get(10..)?.split(|&byte| byte == b'\n').next()?;
        Some(line.to_vec())
    };
    vectors().into_iter().filter_map(text).collect()
}

/// What the inputs of a target are made from.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    match name {
        "descr" => texts().iter().filter_map(|text| descr_in(text)).collect(),
        "header" => (0..3)
            .flat_map(|version| {
                texts()
                    .into_iter()
                    .map(move |text| [vec![version], text].concat())
            })
            .collect(),
        "open" => vectors(),
        "raw" => (0..)
            .zip(vectors())
            .map(|(index, bytes)| {
                [vec![index, index % 3, index % 4, 2, 3, 1, 0, 0], bytes].concat()
            })
            .collect(),
        "stream" => {
            let one = vectors();
            let two = one.iter().zip(&one[1..]);
            let two: Vec<_> = two.map(|(a, b)| [&a[..], b].concat()).collect();
            [one, two, claims()].concat()
        }
        "sums" => checksums(),
        "npz" => archives(),
        _ => panic!("no seeds for {name}"),
    }
}

/// The corpus of the fuzzer, if it is there.
fn found(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    files(&directory.join(name), |_| true)
}

fn descr_in(text: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once("'descr': ")?;
    let (descr, _) = rest.split_once(", 'fortran_order'")?;
    Some(descr.trim_matches('\'').as_bytes().to_vec())
}

/// Arrays of a tebibyte, of which little is there.
fn claims() -> Vec<Vec<u8>> {
    let claim = |descr: &&str| {
        let text = format!(
            "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}, 2), }}\n",
            1_u64 << 38
        );
        let len = (text.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &len[..], text.as_bytes(), &[7; 100]].concat()
    };
    let descrs = ["|u1", "<i4", "<f8", ">f4", "<U3"];
    descrs.iter().map(claim).collect()
}

fn checksums() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("seed.npy");
    let mut seeds = Vec::new();
    for rows in [4100, 4000, 1] {
        let store = Store::create_from(&path, &Array2::<f32>::zeros((rows, 5))).unwrap();
        store.write_checksums().unwrap();
        let sums = fs::read(directory.path().join("seed.npy.sums")).unwrap();
        seeds.extend([0, 1].map(|first| [&[first], &sums[..]].concat()));
    }
    seeds
}

#[cfg(feature = "npz")]
fn archives() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("seed.npz");
    let mut npz = ndstore::NpzWriter::create(&path).unwrap();
    npz.add("x", &array![1.0, 2.0]).unwrap();
    npz.add("bytes", &array![1_u8, 2, 3]).unwrap();
    npz.add_deflated("y", &Array2::<u8>::zeros((30, 40)))
        .unwrap();
    npz.finish().unwrap();
    vec![fs::read(path).unwrap()]
}

#[cfg(not(feature = "npz"))]
fn archives() -> Vec<Vec<u8>> {
    Vec::new()
}

/// `NDSTORE_SEEDS=fuzz/target/found cargo test --all-features --test integration seeds_for_the_fuzzer -- --ignored`
#[test]
#[ignore = "writes the seeds of the fuzzer"]
fn seeds_for_the_fuzzer() {
    let Some(directory) = std::env::var_os("NDSTORE_SEEDS").map(PathBuf::from) else {
        return;
    };
    for (name, _) in targets::TARGETS {
        fs::create_dir_all(directory.join(name)).unwrap();
        for (index, seed) in seeds(name).iter().enumerate() {
            fs::write(directory.join(name).join(format!("seed-{index:03}")), seed).unwrap();
        }
    }
}

#[test]
fn no_descr_makes_parsing_it_panic_or_allocate() {
    attack("descr");
}

#[test]
fn no_header_makes_reading_it_panic_or_allocate() {
    attack("header");
}

#[test]
fn no_file_makes_opening_it_panic_or_allocate_or_reach_past_its_end() {
    attack("open");
}

#[test]
fn no_raw_file_and_no_options_make_opening_it_panic_or_allocate() {
    attack("raw");
}

#[test]
fn no_stream_makes_reading_it_panic_or_allocate() {
    attack("stream");
}

#[test]
fn no_checksums_make_verifying_by_them_panic_or_allocate() {
    attack("sums");
}

#[cfg(feature = "npz")]
#[test]
fn no_archive_makes_reading_it_panic_or_allocate() {
    attack("npz");
}

#[test]
fn an_element_of_any_size_prints_a_bounded_text_in_bounded_memory() {
    const SIZE: usize = 200_000_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.raw");
    fs::File::create(&path)
        .unwrap()
        .set_len(SIZE as u64)
        .unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    // Strings end where the zeros begin, so these do not.
    std::os::unix::fs::FileExt::write_all_at(&file, b"\x01", SIZE as u64 - 1).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"\x01", SIZE as u64 - 4).unwrap();
    for (descr, start) in [
        (format!("|V{SIZE}"), "b'\\x00\\x00"),
        (format!("|S{SIZE}"), "b'\\x00\\x00"),
        (format!("<U{}", SIZE / 4), "'\\x00\\x00"),
        (format!("[('x', '<f8', ({},))]", SIZE / 8), "([0.0, 0.0"),
        (
            format!("[('x', '|V4'), ('y', '|i1', ({},))]", SIZE - 4),
            "(b'\\x00",
        ),
    ] {
        let options = Options::new().raw(0).dtype(DType::parse(&descr).unwrap());
        let store = options.open_any(&path, Mode::Read).unwrap();
        let element = store.element(&[0]).unwrap();
        let (text, total) = total_during(|| format!("{element} {element:?}"));
        assert!(text.starts_with(start), "{descr}: {}", &text[..100]);
        assert!(text.ends_with("... (200000000 bytes)"), "{descr}");
        assert!(text.len() < 200_000, "{descr}: {}", text.len());
        assert!(total < FRUGAL, "{descr}: {total} bytes");
    }
    // What fits is printed as it was.
    let zeros = tempfile::tempdir().unwrap();
    let path = zeros.path().join("a.npy");
    drop(Store::<ndstore::Void<16_000>, _>::create(&path, 1).unwrap());
    let store = AnyStore::open(&path).unwrap();
    let text = store.element(&[0]).unwrap().to_string();
    assert_eq!(text, format!("b'{}'", "\\x00".repeat(16_000)));
}
