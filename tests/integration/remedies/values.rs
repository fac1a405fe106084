//! The ways out of what headers, dtypes, checksums, streams, archives and values refuse. Each is
//! taken, and the message that names it returned.

use std::fs;
use std::path::Path;

use ndarray::prelude::*;
use ndstore::{
    AnyStore, Bytes, DType, Datetime64, Le, Npz, NpzWriter, Order, Store, Text, Timedelta64,
    from_bytes, from_bytes_as, read_npy, to_bytes, to_file, unit, view_bytes, write_npy,
};

use super::{Messages, archive, beside, new, raw, refusal};

/// A file of version 1.0 with this header and elements without end.
fn saved(path: &Path, header: &str) {
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend([0; 64]);
    fs::write(path, bytes).unwrap();
}

/// Headers that are wrong in one way each, and opened once that is right.
pub(super) fn headers(place: &Path) -> Messages {
    const RIGHT: &str = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n";
    let path = place.join("a.npy");
    let mut said = Vec::new();
    for (right, wrong) in [
        ("(2,)", "(2"),
        ("(2,)", "2"),
        ("(2,)", "(-2,)"),
        ("(2,)", "(99999999999999999999,)"),
        ("(2,)", "(4611686018427387904,)"),
        ("False", "0"),
        ("'descr'", "'dtype'"),
        ("'descr': '<f8', ", ""),
        ("{'descr'", "{'descr': '<f8', 'descr'"),
        ("'<f8'", "'<f9'"),
        ("{'descr'", "{'descr"),
    ] {
        assert!(RIGHT.contains(right));
        saved(&path, &RIGHT.replace(right, wrong));
        said.push(refusal(AnyStore::open(&path)));
    }
    let ones = format!("({})", "1, ".repeat(65));
    saved(&path, &RIGHT.replace("(2,)", &ones));
    said.push(refusal(AnyStore::open(&path)));
    saved(&path, RIGHT);
    drop(AnyStore::open(&path).unwrap());

    let whole = fs::read(&path).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    // Version 3.0 is UTF-8, and has a length of 4 bytes.
    let long = [b"\x93NUMPY\x03\0\x04\0\0\0".as_slice(), b"\xff\xff\xff\n"].concat();
    for wrong in [with(6, 9), long, whole[..30].to_vec(), Vec::new()] {
        fs::write(&path, wrong).unwrap();
        said.push(refusal(AnyStore::open(&path)));
    }
    fs::write(&path, &whole).unwrap();
    drop(AnyStore::open(&path).unwrap());
    said
}

/// Descrs that are wrong in one way each, beside what the refusal asks for.
pub(super) fn descrs(_: &Path) -> Messages {
    let deep = |levels| format!("{}'<f8'{}", "[('a', ".repeat(levels), ")]".repeat(levels));
    let many = |axes| format!("[('a', '<f8', ({}))]", "1, ".repeat(axes));
    let pairs = [
        ("'<f8".to_owned(), "'<f8'".to_owned()),
        ("float".into(), "<f8".into()),
        ("|O".into(), "<f8".into()),
        ("<M8[x]".into(), "<M8[25s]".into()),
        ("|V2147483648".into(), "|V2147483647".into()),
        ("5".into(), "[('a', '<f8')]".into()),
        ("('<f8', (2,))".into(), "<f8".into()),
        ("['<f8']".into(), "[('a', '<f8')]".into()),
        ("[(5, '<f8')]".into(), "[(('title', 'a'), '<f8')]".into()),
        (
            "[('a', '<f8'), ('a', '<i4')]".into(),
            "[('a', '<f8'), ('b', '<i4')]".into(),
        ),
        ("[('a', None)]".into(), "[('a', '<f8')]".into()),
        (
            "[('a', '<f8', None)]".into(),
            "[('a', '<f8', (1, 5))]".into(),
        ),
        (
            "[('a', '<f8', (-1,))]".into(),
            "[('a', '<f8', (1,))]".into(),
        ),
        (many(65), many(64)),
        ("[('a', '|S0', (2,))]".into(), "[('a', '|S1', (2,))]".into()),
        (deep(100), deep(99)),
    ];
    let mut said = Vec::new();
    for (wrong, right) in &pairs {
        said.push(refusal(DType::parse(wrong)));
        DType::parse(right).unwrap_or_else(|error| panic!("{right}: {error}"));
    }
    said
}

/// What has been in the place of an array, and how the array is come by.
pub(super) fn other_formats(place: &Path) -> Messages {
    let path = place.join("a.npy");
    let mut stream = Vec::new();
    write_npy(&mut stream, &array![1.0, 2.0]).unwrap();
    let open = || Store::<f64, Ix1>::open(&path);
    let fetched = |found: &[u8]| {
        fs::write(&path, found).unwrap();
        let refused = refusal(open());
        fs::write(&path, &stream).unwrap();
        drop(open().unwrap());
        refused
    };
    let mut said = vec![
        fetched(b"?NUMPY\x01\0v\0"),
        fetched(b"\x01\x02\x03\x04\x05\x06\x07"),
        fetched(b"<!DOCTYPE html>"),
        fetched(b"<?xml version=\"1.0\"?>"),
    ];
    let double = place.join("._a.npy");
    fs::write(&double, b"\0\x05\x16\x07\0\x02\0\0Mac OS X").unwrap();
    said.push(refusal(AnyStore::open(&double)));
    drop(AnyStore::open(place.join("a.npy")).unwrap());

    // As it was when it was written.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &stream).unwrap();
    let packed = packed.finish().unwrap();
    fs::write(&path, &packed).unwrap();
    said.push(refusal(open()));
    let through = flate2::read::GzDecoder::new(&packed[..]);
    assert!(read_npy::<f64, Ix1>(through).unwrap().is_some());
    let unpacked = fs::File::create(beside(&path)).unwrap();
    std::io::copy(
        &mut flate2::read::GzDecoder::new(&packed[..]),
        &mut &unpacked,
    )
    .unwrap();
    drop(Store::<f64, Ix1>::open(beside(&path)).unwrap());
    let packed = zstd::encode_all(&stream[..], 1).unwrap();
    fs::write(&path, &packed).unwrap();
    said.push(refusal(open()));
    let through = zstd::Decoder::new(&packed[..]).unwrap();
    assert!(read_npy::<f64, Ix1>(through).unwrap().is_some());
    said
}

pub(super) fn checksums(place: &Path) -> Messages {
    let path = place.join("a.npy");
    let sums = path.with_added_extension("sums");
    let store = new(&path);
    let sums = match sums.exists() {
        true => sums,
        false => path.with_extension("sums"),
    };
    let mut said = vec![refusal(store.verify())];
    store.write_checksums().unwrap();
    let sums = match sums.exists() {
        true => sums,
        false => path.with_added_extension("sums"),
    };
    assert!(store.verify().unwrap().is_intact());
    let copy = fs::read(&sums).unwrap();

    let mut damaged = copy.clone();
    damaged[40] ^= 1;
    fs::write(&sums, damaged).unwrap();
    said.push(refusal(store.verify()));
    fs::write(&sums, &copy).unwrap();
    assert!(store.verify().unwrap().is_intact());

    let mut newer = copy.clone();
    newer[7] = 2;
    fs::write(&sums, newer).unwrap();
    said.push(refusal(store.verify()));

    fs::write(&sums, "notes").unwrap();
    said.push(refusal(store.verify()));
    said.push(refusal(store.write_checksums()));
    fs::rename(&sums, place.join("notes")).unwrap();
    store.write_checksums().unwrap();
    assert!(store.verify().unwrap().is_intact());
    drop(store);

    let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
    store.resize((3, 3)).unwrap();
    said.push(refusal(store.verify()));
    store.write_checksums().unwrap();
    assert!(store.verify().unwrap().is_intact());
    said
}

pub(super) fn bytes_and_streams(place: &Path) -> Messages {
    let path = place.join("a.npy");
    let bytes = bytemuck::bytes_of(&[1.0_f64, 2.0]).to_vec();
    let mut said = vec![refusal(from_bytes::<f64, _>(&bytes, 3, Order::C))];
    from_bytes::<f64, _>(&bytes, 2, Order::C).unwrap();
    from_bytes::<f32, _>(&bytes, 4, Order::C).unwrap();
    said.push(refusal(from_bytes_as::<f32, _>("<f8", &bytes, 2, Order::C)));
    from_bytes_as::<f64, _>("<f8", &bytes, 2, Order::C).unwrap();

    // One of the two starts lies askew.
    let longer = [&[0; 1][..], &bytes, &[0; 1]].concat();
    let at = usize::from(longer.as_ptr().addr() % 8 == 7);
    let askew = &longer[1 - at..][..16];
    said.push(refusal(view_bytes::<f64, _>(askew, 2, Order::C)));
    from_bytes::<f64, _>(askew, 2, Order::C).unwrap();
    view_bytes::<Le<f64>, _>(askew, 2, Order::C).unwrap();

    let one = arr0(1.5);
    let most = one.broadcast(1 << 50).unwrap();
    said.push(refusal(to_bytes(&most, Order::C)));
    to_bytes(&most.slice(s![..9]), Order::C).unwrap();
    to_file(&path, &most.slice(s![..9])).unwrap();

    let mut stream = Vec::new();
    write_npy(&mut stream, &array![1.0, 2.0]).unwrap();
    said.push(refusal(read_npy::<f32, Ix1>(&stream[..])));
    said.push(refusal(read_npy::<f64, Ix2>(&stream[..])));
    said.push(refusal(read_npy::<f64, Ix1>(&stream[..stream.len() - 1])));
    read_npy::<f64, Ix1>(&stream[..]).unwrap();
    said
}

pub(super) fn archives(place: &Path) -> Messages {
    let path = place.join("a.npz");
    let npz = archive(&path);
    let member = npz.open_member::<f64, Ix1>("x").unwrap();
    let mut said = vec![refusal(member.write_checksums())];
    npz.read::<f64, Ix1>("x").unwrap();
    drop((member, npz));
    let copy = fs::read(&path).unwrap();
    fs::write(&path, &copy[..copy.len() - 30]).unwrap();
    said.push(refusal(Npz::open(&path)));
    fs::write(&path, &copy).unwrap();
    drop(Npz::open(&path).unwrap());
    raw(&path, 20);
    said.push(refusal(Npz::open(&path)));

    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("x", &array![1.0]).unwrap();
    said.push(refusal(npz.add("x", &array![2.0])));
    npz.add("y", &array![2.0]).unwrap();
    npz.finish().unwrap();
    said
}

pub(super) fn texts_and_times(_: &Path) -> Messages {
    type Days = Datetime64<unit::Day>;
    let mut said = vec![refusal(Bytes::<2>::try_from("abc"))];
    Bytes::<2>::try_from("ab").unwrap();
    Bytes::<3>::try_from("abc").unwrap();
    let surrogate: Text<1> = bytemuck::cast(0xd800_u32);
    said.push(refusal(surrogate.decode()));
    said.push(refusal("2024-13-01".parse::<Days>()));
    "2024-12-01".parse::<Days>().unwrap();
    said.push(refusal("50 parsecs".parse::<Timedelta64<unit::Second>>()));
    "50".parse::<Timedelta64<unit::Second>>().unwrap();
    let late = "9999-01-01".parse::<Days>().unwrap();
    said.push(refusal(late.cast::<unit::Ns, 1>()));
    late.cast::<unit::Second, 1>().unwrap();
    let nat = Days::NAT;
    said.push(refusal(std::time::SystemTime::try_from(nat)));
    assert!(nat.is_nat());
    let months = Timedelta64::<unit::Month>::new(3);
    said.push(refusal(months.cast::<unit::Second, 1>()));
    months.cast::<unit::Year, 1>().unwrap();
    said
}
