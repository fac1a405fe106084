//! Checksums: every flipped bit is found and named, and a bad checksum file is reported and does no
//! harm.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{
    AnyStore, Be, ChecksumError, DType, Damage, Element, ErrorKind, Options, Order, Result, Store,
    Verification,
};
use tempfile::TempDir;

use super::allocations::largest_during;
use super::mapped::{copy_on_write, mapped};
use super::support::{Peer, Why, assert_no_drafts, mode, set_mode, trace};

/// The bytes that have one sum.
const BLOCK: u64 = 8192;

/// Where the data of a native file start.
const OFFSET: u64 = 4096;

/// Where those of a compact one start.
const COMPACT: u64 = 128;

/// An array in a directory of its own, and its checksums.
struct Summed {
    directory: TempDir,
    path: PathBuf,
}

impl Summed {
    fn new<A: Element, D: Dimension>(array: &Array<A, D>) -> Summed {
        Summed::with(&Options::new(), array)
    }

    fn with<A: Element, D: Dimension>(options: &Options, array: &Array<A, D>) -> Summed {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("array.npy");
        let store = options.create_from(&path, array).unwrap();
        store.write_checksums().unwrap();
        drop(store);
        assert_no_drafts(directory.path());
        Summed { directory, path }
    }

    fn sums(&self) -> PathBuf {
        sums_of(&self.path)
    }

    fn verify(&self) -> Result<Verification> {
        AnyStore::open(&self.path)?.verify()
    }

    fn refusal(&self) -> ChecksumError {
        refusal(self.verify(), &self.path)
    }
}

fn sums_of(path: &Path) -> PathBuf {
    let mut sums = path.as_os_str().to_owned();
    sums.push(".sums");
    sums.into()
}

#[track_caller]
fn refusal(result: Result<Verification>, array: &Path) -> ChecksumError {
    match result.why() {
        Some(ErrorKind::Checksums {
            checksums, cause, ..
        }) => {
            let path = result.as_ref().unwrap_err().path();
            assert_eq!((path, checksums), (Some(array), &sums_of(array)));
            cause.clone()
        }
        other => panic!("{other:?}"),
    }
}

/// Flips one bit of a file.
fn flip(file: &File, bit: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << (bit % 8)], bit / 8)
        .unwrap();
}

fn writable(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// A generator that gives the same in every run.
fn numbers() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(88_172_645_463_325_252_u64), |&x| {
        let x = x ^ x << 13;
        let x = x ^ x >> 7;
        Some(x ^ x << 17)
    })
}

fn ramp(rows: usize, columns: usize) -> Array2<f64> {
    Array::from_shape_fn((rows, columns), |(row, column)| {
        (row * columns + column) as f64
    })
}

#[test]
fn an_array_that_nobody_touched_is_intact() {
    let summed = Summed::new(&ramp(1000, 7));
    let found = summed.verify().unwrap();
    assert!(found.is_intact() && found.damage().is_empty() && found.header().is_none());
    assert!(found.uncovered().is_empty());
    assert_eq!(found.to_string(), "intact");
    let typed = Store::<f64, Ix2>::open(&summed.path).unwrap();
    assert_eq!(typed.verify().unwrap(), found);
}

#[test]
fn each_of_ten_thousand_flipped_bits_is_found_and_named_in_its_row() {
    // Rows of 104 bytes lie across blocks; the last block is a short one.
    let (rows, row) = (173, 13 * 8);
    let summed = Summed::with(&Options::new().compact(true), &ramp(rows, 13));
    let nbytes = rows as u64 * row;
    let file = writable(&summed.path);
    let any = AnyStore::open(&summed.path).unwrap();
    for number in numbers().take(10_000) {
        let bit = number % (nbytes * 8);
        flip(&file, COMPACT * 8 + bit);
        let found = any.verify().unwrap();
        let [Damage { bytes, rows, .. }] = found.damage() else {
            panic!("{bit}: {found:?}");
        };
        let byte = bit / 8;
        let start = byte - byte % BLOCK;
        let end = nbytes.min(start + BLOCK);
        assert_eq!(*bytes, COMPACT + start..COMPACT + end);
        assert!(rows.contains(&((byte / row) as usize)));
        assert_eq!(*rows, (start / row) as usize..end.div_ceil(row) as usize);
        assert!(!found.is_intact() && found.header().is_none());
        flip(&file, COMPACT * 8 + bit);
    }
    assert!(any.verify().unwrap().is_intact());
}

#[test]
fn damage_in_neighbouring_blocks_is_one_and_elsewhere_another() {
    let summed = Summed::new(&Array::<u8, _>::zeros(10 * BLOCK as usize + 5));
    let file = writable(&summed.path);
    for block in [0, 3, 4, 5, 10] {
        flip(&file, 8 * (OFFSET + block * BLOCK));
    }
    let found = summed.verify().unwrap();
    let bytes: Vec<_> = found
        .damage()
        .iter()
        .map(|damage| damage.bytes.clone())
        .collect();
    let at = |block| OFFSET + block * BLOCK;
    assert_eq!(bytes, [at(0)..at(1), at(3)..at(6), at(10)..at(10) + 5]);
    assert_eq!(
        found.damage()[1].rows,
        3 * BLOCK as usize..6 * BLOCK as usize
    );
    assert_eq!(
        found.to_string(),
        "damaged: bytes 4096..12288 (rows 0..8192), bytes 28672..53248 (rows 24576..49152), \
         bytes 86016..86021 (rows 81920..81925)"
    );
}

#[test]
fn the_rows_of_an_array_in_fortran_order_are_those_of_its_last_axis() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("array.npy");
    let mut store = Store::<i32, _>::create(&path, (100, 300).f()).unwrap();
    store.write_all(&arr0(7)).unwrap();
    store.write_checksums().unwrap();
    drop(store);
    // In column 250.
    flip(&writable(&path), 8 * (OFFSET + 250 * 400));
    let found = AnyStore::open(&path).unwrap().verify().unwrap();
    let start = 250 * 400 / BLOCK * BLOCK;
    assert_eq!(
        found.damage()[0].rows,
        (start / 400) as usize..(start + BLOCK).div_ceil(400) as usize
    );
}

#[test]
fn every_flipped_bit_of_the_header_is_refused_by_opening_or_found() {
    let summed = Summed::with(&Options::new().compact(true), &ramp(30, 4));
    let file = writable(&summed.path);
    let (mut refused, mut stale, mut found) = (0, 0, 0);
    for bit in 0..COMPACT * 8 {
        flip(&file, bit);
        match AnyStore::open(&summed.path) {
            Err(error) => match error.kind() {
                ErrorKind::Header { .. } | ErrorKind::Truncated { .. } => refused += 1,
                _ => panic!("{bit}: {error:?}"),
            },
            Ok(any) => match any.verify() {
                Ok(verified) => {
                    assert_eq!(verified.header(), Some(bit / 8..bit / 8 + 1), "{bit}");
                    assert!(!verified.is_intact() && verified.damage().is_empty());
                    assert_eq!(
                        verified.to_string(),
                        format!("damaged: bytes {}..{} (the header)", bit / 8, bit / 8 + 1)
                    );
                    found += 1;
                }
                error => {
                    let ChecksumError::Stale { expected, .. } = refusal(error, &summed.path) else {
                        panic!("{bit}");
                    };
                    assert_eq!(
                        expected,
                        "[30, 4] of <f8 in C order, from byte 128 behind a header"
                    );
                    stale += 1;
                }
            },
        }
        flip(&file, bit);
    }
    assert_eq!(refused + stale + found, COMPACT * 8);
    assert!(
        refused > 0 && stale > 0 && found > 0,
        "{refused} {stale} {found}"
    );
}

#[test]
fn damage_to_the_header_of_an_open_array_is_found_byte_by_byte() {
    let summed = Summed::with(&Options::new().compact(true), &ramp(30, 4));
    let any = AnyStore::open(&summed.path).unwrap();
    let file = writable(&summed.path);
    for bit in 0..COMPACT * 8 {
        flip(&file, bit);
        assert_eq!(any.verify().unwrap().header(), Some(bit / 8..bit / 8 + 1));
        flip(&file, bit);
    }
    flip(&file, 3);
    flip(&file, 8 * 127);
    assert_eq!(any.verify().unwrap().header(), Some(0..128));
}

#[test]
fn every_flipped_bit_of_the_checksums_is_refused() {
    let summed = Summed::with(&Options::new().compact(true), &ramp(3000, 2));
    let any = AnyStore::open(&summed.path).unwrap();
    let file = writable(&summed.sums());
    let len = file.metadata().unwrap().len();
    assert_eq!(len, 32 + 128 + 4 * 6);
    for bit in 0..len * 8 {
        flip(&file, bit);
        let refused = refusal(any.verify(), &summed.path);
        match bit / 8 {
            0..7 => assert!(
                matches!(refused, ChecksumError::Magic { .. }),
                "{bit} {refused:?}"
            ),
            7 => assert!(
                matches!(refused, ChecksumError::Version { .. }),
                "{bit} {refused:?}"
            ),
            _ => assert!(
                matches!(refused, ChecksumError::Damaged { .. }),
                "{bit} {refused:?}"
            ),
        }
        flip(&file, bit);
    }
    assert!(any.verify().unwrap().is_intact());
}

#[test]
fn checksums_that_are_cut_or_too_long_are_refused() {
    let summed = Summed::with(&Options::new().compact(true), &ramp(3000, 2));
    let whole = fs::read(summed.sums()).unwrap();
    let file = writable(&summed.sums());
    file.set_len(whole.len() as u64 + 1).unwrap();
    assert!(matches!(summed.refusal(), ChecksumError::Damaged { .. }));
    for len in (0..whole.len()).rev() {
        file.set_len(len as u64).unwrap();
        match (len, summed.refusal()) {
            (0, ChecksumError::Magic { .. }) | (1.., ChecksumError::Damaged { .. }) => {}
            (_, refused) => panic!("{len} {refused:?}"),
        }
    }
}

/// Gives a checksum file the right sum of itself, as an attacker would.
fn seal(bytes: &mut [u8]) {
    let sum = crc32fast::hash(&bytes[12..]);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn checksums_that_claim_too_much_are_refused_without_the_memory_for_it() {
    let summed = Summed::new(&ramp(3000, 2));
    let whole = fs::read(summed.sums()).unwrap();
    let shape = whole
        .windows(8)
        .position(|bytes| bytes == b"3000, 2)")
        .unwrap();
    let claims: [(usize, &[u8]); 8] = [
        (12, &0_u32.to_le_bytes()),
        (12, &u32::MAX.to_le_bytes()),
        (24, &u32::MAX.to_le_bytes()),
        (24, &4095_u32.to_le_bytes()),
        (24, &0_u32.to_le_bytes()),
        (28, &[2]),
        (31, &[1]),
        (shape, b"3999, 2)"),
    ];
    for (at, claim) in claims {
        let mut bytes = whole.clone();
        bytes[at..at + claim.len()].copy_from_slice(claim);
        seal(&mut bytes);
        fs::write(summed.sums(), &bytes).unwrap();
        let (refused, largest) = largest_during(|| summed.refusal());
        assert!(
            matches!(refused, ChecksumError::Damaged { .. }),
            "{at} {refused:?}"
        );
        assert!(largest < 1 << 20, "{at} allocated {largest} bytes");
    }
    // In a file that is as long as it claims.
    let mut bytes = whole.clone();
    bytes[24..28].copy_from_slice(&(1_u32 << 24).to_le_bytes());
    bytes.resize(32 + (1 << 24), 0);
    seal(&mut bytes);
    fs::write(summed.sums(), &bytes).unwrap();
    let (refused, largest) = largest_during(|| summed.refusal());
    assert!(
        matches!(refused, ChecksumError::Damaged { .. }),
        "{refused:?}"
    );
    assert!(largest < 1 << 20, "allocated {largest} bytes");
}

#[test]
fn an_array_without_checksums_says_so_and_how_to_make_them() {
    let summed = Summed::new(&ramp(3, 2));
    fs::remove_file(summed.sums()).unwrap();
    assert_eq!(summed.refusal(), ChecksumError::Missing);
    let text = summed.verify().unwrap_err().to_string();
    assert!(
        text.contains("array.npy.sums") && text.contains("write_checksums"),
        "{text}"
    );
    fs::create_dir(summed.sums()).unwrap();
    let refused = summed.verify().unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::NotAFile { .. }));
    assert_eq!(refused.path(), Some(summed.sums().as_path()));
}

#[test]
fn a_file_that_is_cut_under_an_open_array_is_an_error_and_no_signal() {
    let summed = Summed::new(&ramp(30_000, 2));
    let any = AnyStore::open(&summed.path).unwrap();
    let file = writable(&summed.path);
    let end = OFFSET + 480_000;
    for len in [
        end - 1,
        end - 100_000,
        OFFSET + 1,
        OFFSET,
        OFFSET - 1,
        10,
        0,
    ] {
        file.set_len(len).unwrap();
        for result in [any.verify().map(drop), any.write_checksums()] {
            assert!(
                matches!(result.why(), Some(ErrorKind::Truncated { expected, found, .. })
                    if *expected == end && *found == len),
                "{len} {result:?}"
            );
            let refused = result.unwrap_err();
            assert_eq!(refused.path(), Some(summed.path.as_path()));
        }
    }
    assert_no_drafts(summed.directory.path());
}

#[test]
fn rows_that_were_appended_have_no_checksums_and_the_others_keep_theirs() {
    for order in [Order::C, Order::F] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("array.npy");
        // The last block is a short one, which the new rows fill.
        let shape = if order == Order::C {
            (1000, 3)
        } else {
            (3, 1000)
        };
        let mut store = Options::new()
            .order(order)
            .create::<f64, _>(&path, shape)
            .unwrap();
        store.write_all(&arr0(1.5)).unwrap();
        store.write_checksums().unwrap();
        let more = if order == Order::C {
            (500, 3)
        } else {
            (3, 500)
        };
        store.append(&Array2::from_elem(more, 2.5)).unwrap();
        let found = store.verify().unwrap();
        assert!(found.is_intact());
        assert_eq!(found.uncovered(), 1000..1500);
        assert_eq!(
            found.to_string(),
            "intact; rows 1000..1500 have no checksums"
        );

        let file = writable(&path);
        flip(&file, 8 * (OFFSET + 1000 * 24 + 5));
        assert!(store.verify().unwrap().is_intact(), "a new row");
        flip(&file, 8 * (OFFSET + 999 * 24 + 5));
        let found = store.verify().unwrap();
        assert_eq!(found.damage().len(), 1);
        let Damage { bytes, rows, .. } = &found.damage()[0];
        assert_eq!((bytes.end, rows.end), (OFFSET + 24_000, 1000));

        store.write_checksums().unwrap();
        let found = store.verify().unwrap();
        assert!(found.is_intact() && found.uncovered().is_empty());
    }
}

#[test]
fn checksums_of_another_array_are_stale_and_say_of_which() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 6] = [
        ("fewer rows", |path| {
            Store::<f64, Ix2>::open_rw(path)
                .unwrap()
                .truncate(29)
                .unwrap()
        }),
        ("another shape", |path| {
            Store::<f64, Ix2>::open_rw(path)
                .unwrap()
                .resize((30, 5))
                .unwrap()
        }),
        ("another dtype", |path| {
            drop(Store::<i64, _>::create(path, (30, 4)).unwrap())
        }),
        ("another order", |path| {
            drop(Store::<f64, _>::create(path, (30, 4).f()).unwrap())
        }),
        ("another rank", |path| {
            drop(Store::<f64, _>::create(path, 120).unwrap())
        }),
        ("another header", |path| {
            drop(
                Options::new()
                    .compact(true)
                    .create::<f64, _>(path, (30, 4))
                    .unwrap(),
            );
        }),
    ];
    for (change, make) in changes {
        let summed = Summed::new(&ramp(30, 4));
        make(&summed.path);
        let ChecksumError::Stale { expected, found } = summed.refusal() else {
            panic!("{change}");
        };
        assert_eq!(
            expected, "[30, 4] of <f8 in C order, from byte 4096 behind a header",
            "{change}"
        );
        assert_ne!(found, expected, "{change}");
    }
}

#[test]
fn raw_files_of_any_dtype_and_order_are_verified() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raw.bin");
    fs::write(&path, vec![3; 12 + 40_000]).unwrap();
    let options = Options::new().raw(12).shape((100, 50)).order(Order::F);
    let store = options.open::<Be<f64>, Ix2>(&path).unwrap();
    store.write_checksums().unwrap();
    assert!(store.verify().unwrap().is_intact());
    flip(&writable(&path), 8 * (12 + 800 * 20));
    let found = store.verify().unwrap();
    assert_eq!(found.damage()[0].bytes, 12 + 8192..12 + 16_384);
    assert_eq!(found.damage()[0].rows, 10..21);
    // What lies before the array is none of it.
    flip(&writable(&path), 3);
    assert_eq!(store.verify().unwrap(), found);
    drop(store);

    let mut longer = File::options().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut longer, &[1; 800]).unwrap();
    let store = Options::new()
        .raw(12)
        .shape((100, 51))
        .order(Order::F)
        .open::<Be<f64>, Ix2>(&path)
        .unwrap();
    assert_eq!(store.verify().unwrap().uncovered(), 50..51);
    drop(store);

    for (what, options) in [
        ("offset", options.clone().raw(20).shape((100, 49))),
        ("order", options.clone().order(Order::C)),
        ("dtype", options.clone()),
    ] {
        let descr = if what == "dtype" { "<f8" } else { ">f8" };
        let options = options
            .dtype(DType::parse(descr).unwrap())
            .allow_trailing(true);
        let any = options.open_any(&path, ndstore::Mode::Read).unwrap();
        assert!(
            matches!(refusal(any.verify(), &path), ChecksumError::Stale { .. }),
            "{what}"
        );
    }
}

#[test]
fn the_same_bytes_with_and_without_their_header_are_two_arrays() {
    let summed = Summed::new(&ramp(30, 4));
    let raw = Options::new()
        .raw(OFFSET)
        .shape((30, 4))
        .open::<f64, Ix2>(&summed.path)
        .unwrap();
    let ChecksumError::Stale { expected, found } = refusal(raw.verify(), &summed.path) else {
        panic!();
    };
    assert!(expected.ends_with("behind a header") && found.ends_with("without a header"));
}

#[test]
fn arrays_without_rows_and_without_axes_are_verified() {
    let summed = Summed::new(&Array2::<f64>::zeros((0, 3)));
    assert!(summed.verify().unwrap().is_intact());
    assert_eq!(fs::metadata(summed.sums()).unwrap().len(), 32 + 4096);
    let summed = Summed::new(&arr0(2.5_f64));
    assert!(summed.verify().unwrap().is_intact());
    flip(&writable(&summed.path), 8 * OFFSET);
    let found = summed.verify().unwrap();
    assert_eq!(
        (
            found.damage()[0].bytes.clone(),
            found.damage()[0].rows.clone()
        ),
        (4096..4104, 0..1)
    );
}

#[test]
fn what_was_written_to_the_map_is_what_is_summed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("array.npy");
    let mut store = mapped(Store::<u16, _>::create(&path, 10_000).unwrap());
    store.write_checksums().unwrap();
    store.view_mut()[9_999] = 1;
    assert_eq!(store.verify().unwrap().damage()[0].rows, 8192..10_000);
    store.write_checksums().unwrap();
    assert!(store.verify().unwrap().is_intact());
    drop(store);
    // Changes that stay in memory are none of the file.
    let mut private = copy_on_write(Store::<u16, Ix1>::open(&path).unwrap());
    private.view_mut().fill(9);
    let store = Store::<u16, Ix1>::open(&path).unwrap();
    assert!(store.verify().unwrap().is_intact());
}

#[test]
fn the_file_of_checksums_is_as_documented() {
    let elements = Array::from_shape_fn(3000, |index| index as f64);
    let summed = Summed::new(&elements);
    let header = &fs::read(&summed.path).unwrap()[..4096];
    let mut expected = b"\x93NDSUMS\x01".to_vec();
    let mut rest = Vec::new();
    rest.extend(8192_u32.to_le_bytes());
    rest.extend(4096_u64.to_le_bytes());
    rest.extend(4096_u32.to_le_bytes());
    rest.extend([0; 4]);
    rest.extend(header);
    for block in bytemuck::cast_slice::<f64, u8>(elements.as_slice().unwrap()).chunks(8192) {
        rest.extend(crc32fast::hash(block).to_le_bytes());
    }
    expected.extend(crc32fast::hash(&rest).to_le_bytes());
    expected.extend(rest);
    assert_eq!(fs::read(summed.sums()).unwrap(), expected);
}

#[test]
fn checksums_lie_beside_the_file_that_a_link_leads_to() {
    let summed = Summed::new(&ramp(30, 4));
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.npy");
    std::os::unix::fs::symlink(&summed.path, &link).unwrap();
    let any = AnyStore::open(&link).unwrap();
    assert!(any.verify().unwrap().is_intact());
    fs::remove_file(summed.sums()).unwrap();
    any.write_checksums().unwrap();
    assert!(summed.sums().exists());
    assert!(summed.verify().unwrap().is_intact());
}

#[test]
fn an_array_that_was_moved_away_is_not_held_against_the_checksums_of_another() {
    let summed = Summed::new(&ramp(30, 4));
    let any = AnyStore::open(&summed.path).unwrap();
    fs::rename(&summed.path, summed.directory.path().join("away.npy")).unwrap();
    assert!(matches!(any.verify().why(), Some(ErrorKind::Moved)));
    fs::copy(summed.directory.path().join("away.npy"), &summed.path).unwrap();
    for result in [any.verify().map(drop), any.write_checksums()] {
        assert!(matches!(result.why(), Some(ErrorKind::Moved)));
    }
}

#[test]
fn who_may_not_read_the_array_may_not_read_its_checksums() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("array.npy");
    let store = Store::<f64, _>::create(&path, (30, 4)).unwrap();
    set_mode(&path, 0o600);
    store.write_checksums().unwrap();
    assert_eq!(mode(&sums_of(&path)), 0o600);
    // What was set on them stays.
    set_mode(&sums_of(&path), 0o640);
    store.write_checksums().unwrap();
    assert_eq!(mode(&sums_of(&path)), 0o640);
}

#[test]
fn checksums_past_the_limit_on_file_sizes_are_an_error_and_no_signal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("array.npy");
    Store::<f64, _>::create(&path, 1 << 21).unwrap();
    // In units of 512 or of 1024 bytes, by the shell.
    let mut peer = Peer::under("ulimit -f 10", &path);
    let error = peer.ask("checksums").unwrap_err();
    assert!(error.starts_with("FileTooLarge {"), "{error}");
    assert!(error.contains("its 12320 bytes"), "{error}");
    assert!(!sums_of(&path).exists());
    assert_no_drafts(directory.path());
}

#[test]
fn checksums_never_take_the_place_of_a_file_that_is_none_of_checksums() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("array");
    let store = Store::<f64, _>::create(&path, 30).unwrap();
    // An array may have that name as well.
    Store::<f64, _>::create(sums_of(&path), 3).unwrap();
    let before = trace(&sums_of(&path));
    let refused = refusal(store.write_checksums().and(store.verify()), &path);
    let expected = ChecksumError::Magic {
        found: "\\x93NUMPY\\x01".to_owned(),
    };
    assert_eq!(refused, expected);
    assert_eq!(trace(&sums_of(&path)), before);
    assert_no_drafts(directory.path());
    // Damaged ones are checksums all the same, and so is what a crash may have left of them
    // elsewhere.
    for bytes in [&b"\x93NDSUMS\x01"[..], b""] {
        fs::write(sums_of(&path), bytes).unwrap();
        store.write_checksums().unwrap();
        assert!(store.verify().unwrap().is_intact());
    }
}

#[cfg(feature = "npz")]
#[test]
fn an_array_in_an_archive_has_no_checksums_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("arrays.npz");
    let mut npz = ndstore::NpzWriter::create(&path).unwrap();
    npz.add("x", &array![1_u8, 2]).unwrap();
    npz.finish().unwrap();
    let npz = ndstore::Npz::open(&path).unwrap();
    let member = npz.open_member::<u8, Ix1>("x").unwrap();
    let unpacked = npz.unpack::<u8, Ix1>("x", directory.path()).unwrap();
    for store in [member, unpacked] {
        for result in [store.write_checksums(), store.verify().map(drop)] {
            assert!(
                matches!(result.why(), Some(ErrorKind::InvalidOption { reason, .. }) if reason.contains("archive"))
            );
        }
    }
}

#[test]
fn checksums_that_are_too_long_for_their_array_are_refused_before_they_are_read() {
    const LONG: u64 = 64 << 30;
    let summed = Summed::new(&ramp(2, 3));
    writable(&summed.sums()).set_len(LONG).unwrap();
    let start = std::time::Instant::now();
    assert!(matches!(summed.refusal(), ChecksumError::Damaged { .. }));

    // As long as they say themselves, but for another array.
    let rows = (LONG / 4) * BLOCK / 8;
    let other = Store::<f64, _>::create(summed.path.with_extension("other"), 0).unwrap();
    let header = fs::read(other.path()).unwrap();
    let text = String::from_utf8(header[10..].to_vec()).unwrap();
    let claimed = format!("{rows},");
    let shape = text.find(" 0,)").unwrap() + 1;
    let mut text = text.into_bytes();
    text.splice(shape..shape + 2, claimed.bytes());
    text.truncate(header.len() - 11);
    text.push(b'\n');
    let sums = writable(&summed.sums());
    sums.write_all_at(&header[..10], 32).unwrap();
    sums.write_all_at(&text, 42).unwrap();
    sums.set_len(32 + OFFSET + LONG).unwrap();
    let ChecksumError::Stale { expected, .. } = summed.refusal() else {
        panic!("they are not those of this array");
    };
    assert!(expected.starts_with(&format!("[{rows}]")), "{expected}");
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
