//! NumPy's archives: in place and unpacked, whole or not there, and hostile ones.

use std::fs;
use std::io::Write;
use std::path::Path;

use ndarray::prelude::*;
use ndstore::{AnyStore, ErrorKind, Le, Npz, NpzWriter, Options, Order, Store, write_npy};
use proptest::prelude::*;
use tempfile::TempDir;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::allocations::largest_during;
use super::mapped::{copy_on_write, mapped, not_mapped};
use super::support::{Peer, Why, assert_no_drafts, end_fork, fork, wait_for};
use super::support_numpy::Snapshot;

/// A stored and a compressed array.
fn sample(path: &Path) -> (Array2<f64>, Array1<u16>) {
    let stored = Array::from_shape_fn((5, 7).f(), |(i, j)| i as f64 - j as f64 / 4.0);
    let deflated = Array::from_shape_fn(40_000, |i| (i / 100) as u16);
    let mut npz = NpzWriter::create(path).unwrap();
    npz.add("stored", &stored).unwrap();
    npz.add_deflated("deflated", &deflated).unwrap();
    npz.finish().unwrap();
    (stored, deflated)
}

/// An archive with these bytes as its members.
fn archive(path: &Path, method: zip::CompressionMethod, members: &[(&str, &[u8])]) {
    let mut zip = ZipWriter::new(fs::File::create(path).unwrap());
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// Where these bytes stand in the archive, each time.
fn places(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    (0..bytes.len())
        .filter(|&at| bytes[at..].starts_with(wanted))
        .collect()
}

#[test]
fn an_archive_lists_its_arrays_and_gives_them_back() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let (stored, deflated) = sample(&path);
    let npz = Npz::open(&path).unwrap();
    assert_eq!(npz.names().collect::<Vec<_>>(), ["stored", "deflated"]);
    let members: Vec<_> = npz.members().map(|member| member.unwrap()).collect();
    let seen = members.iter().map(|m| {
        (
            m.name(),
            m.dtype().name(),
            m.shape(),
            m.order(),
            m.is_compressed(),
        )
    });
    assert!(seen.eq([
        ("stored", "float64".to_owned(), &[5, 7][..], Order::F, false),
        (
            "deflated",
            "uint16".to_owned(),
            &[40_000][..],
            Order::C,
            true
        ),
    ]));
    assert_eq!(npz.read::<f64, Ix2>("stored").unwrap(), stored);
    assert_eq!(npz.read::<u16, Ix1>("deflated").unwrap(), deflated);
    let before = fs::read_dir(directory.path()).unwrap().count();
    let unpacked = npz
        .unpack::<u16, Ix1>("deflated", directory.path())
        .unwrap();
    assert_eq!(unpacked.read_all().unwrap(), deflated);
    assert_eq!(
        npz.unpack::<f64, Ix2>("stored", directory.path())
            .unwrap()
            .read_all()
            .unwrap(),
        stored
    );
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        before,
        "it has no name"
    );
    assert!(matches!(
        npz.member("other").unwrap_err().kind(),
        ErrorKind::NoMember { .. }
    ));
    assert!(matches!(
        npz.read::<f32, Ix2>("stored").unwrap_err().kind(),
        ErrorKind::DTypeMismatch { .. }
    ));
    assert!(matches!(
        npz.unpack::<u16, Ix2>("deflated", directory.path())
            .unwrap_err()
            .kind(),
        ErrorKind::NdimMismatch { .. }
    ));
    assert!(matches!(
        npz.unpack::<u16, Ix1>("deflated", directory.path().join("none"))
            .why(),
        Some(ErrorKind::NotFound { .. })
    ));
}

#[test]
fn a_stored_array_is_viewed_in_place() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let (stored, _) = sample(&path);
    let npz = Npz::open(&path).unwrap();
    let store = npz.open_member::<f64, Ix2>("stored").unwrap();
    assert_eq!(store.read_all().unwrap(), stored);
    let map = mapped(npz.open_member::<f64, Ix2>("stored").unwrap());
    assert_eq!(map.view(), stored);
    assert_eq!(
        map.view().as_ptr().cast(),
        map.as_bytes().as_ptr(),
        "the view stands on the map"
    );
    assert_eq!(map.as_bytes().as_ptr() as usize % 64, 0);
    let offset = store.offset() as usize;
    assert_eq!(offset % 64, 0);
    assert_eq!(
        fs::read(&path).unwrap()[offset..][..store.nbytes()],
        *map.as_bytes()
    );
    assert_eq!(store.path(), npz.path());

    // It is the file itself, not a copy: what changes there shows. (Nobody should; here it proves
    // the point.)
    let any = npz.open_member_any("stored").unwrap();
    assert_eq!((any.shape(), any.order()), (&[5, 7][..], Order::F));
    let mut private = copy_on_write(npz.open_member::<f64, Ix2>("stored").unwrap());
    private.view_mut().fill(0.0);
    assert_eq!(store.read_all().unwrap(), stored);
    drop(npz);
    assert_eq!(
        store.read_all().unwrap(),
        stored,
        "a store outlives the archive that it came from"
    );
    let mut sent = Vec::new();
    store.write_to(&mut sent).unwrap();
    let copy = Store::<f64, Ix2>::receive(&sent[..], directory.path().join("a.npy"))
        .unwrap()
        .unwrap();
    assert_eq!(copy.read_all().unwrap(), stored);

    let npz = Npz::open(&path).unwrap();
    assert!(matches!(
        npz.open_member::<u16, Ix1>("deflated").unwrap_err().kind(),
        ErrorKind::Compressed
    ));
    for (error, expected) in [
        (
            npz.open_member::<f32, Ix2>("stored").unwrap_err(),
            "its member \"stored\": expected <f4, found <f8",
        ),
        (
            npz.open_member::<f64, Ix1>("stored").unwrap_err(),
            "its member \"stored\": expected 1 dimension, found 2",
        ),
    ] {
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.path(), Some(path.as_path()));
    }
}

#[test]
fn an_array_that_lies_askew_is_read_and_mapped_as_a_type_that_views_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let mut npy = Vec::new();
    write_npy(&mut npy, &array![1.0, 2.0]).unwrap();
    archive(&path, zip::CompressionMethod::Stored, &[("ab.npy", &npy)]);
    let npz = Npz::open(&path).unwrap();
    let any = npz.open_member_any("ab").unwrap();
    assert_ne!(any.offset() % 8, 0, "30 bytes of header and the name");
    assert_eq!(any.to_bytes().unwrap(), bytemuck::bytes_of(&[1.0, 2.0]));
    let stored = npz.open_member::<f64, Ix1>("ab").unwrap();
    assert_eq!(stored.read_all().unwrap(), array![1.0, 2.0]);
    let refused = not_mapped(stored);
    assert!(
        matches!(refused.kind(), ErrorKind::Misaligned { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("Le<T>"), "{refused}");
    let askew = npz.open_member::<Le<f64>, Ix1>("ab").unwrap();
    assert_eq!(mapped(askew).view().mapv(Le::get), array![1.0, 2.0]);
    assert_eq!(npz.read::<f64, Ix1>("ab").unwrap(), array![1.0, 2.0]);
}

#[test]
fn an_archive_is_there_whole_or_not_at_all() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let nothing = Snapshot::of(&path);
    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("x", &array![1]).unwrap();
    drop(npz);
    assert_eq!(Snapshot::of(&path), nothing);
    sample(&path);
    let before = Snapshot::of(&path);
    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("x", &array![1]).unwrap();
    assert!(matches!(
        npz.add_deflated("x", &array![2]).unwrap_err().kind(),
        ErrorKind::DuplicateName { .. }
    ));
    assert!(
        matches!(
            NpzWriter::create(&path).why(),
            Some(ErrorKind::Locked { .. })
        ),
        "one writer at a time"
    );
    drop(npz);
    assert_eq!(Snapshot::of(&path), before);
    let reader = Npz::open(&path).unwrap();
    assert!(
        matches!(
            NpzWriter::create(&path).why(),
            Some(ErrorKind::Locked { .. })
        ),
        "none beside a reader"
    );
    drop(reader);
    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("y", &arr0(3)).unwrap();
    npz.add_deflated("empty", &Array2::<f32>::zeros((0, 3)))
        .unwrap();
    npz.finish().unwrap();
    let npz = Npz::open(&path).unwrap();
    assert_eq!(
        npz.open_member::<i32, Ix0>("y")
            .unwrap()
            .read_all()
            .unwrap(),
        arr0(3)
    );
    assert_eq!(npz.read::<f32, Ix2>("empty").unwrap().dim(), (0, 3));
    // An archive that was replaced meanwhile is not the one whose list was read.
    fs::rename(&path, directory.path().join("b.npz")).unwrap();
    fs::copy(directory.path().join("b.npz"), &path).unwrap();
    assert!(matches!(
        npz.open_member::<i32, Ix0>("y").why(),
        Some(ErrorKind::Moved)
    ));
}

#[test]
fn an_archive_past_the_limit_on_file_sizes_is_an_error_and_no_signal() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    sample(&path);
    let before = Snapshot::of(&path);
    // In units of 512 or of 1024 bytes, by the shell.
    let mut peer = Peer::under("ulimit -f 100", &path);
    for number in [100_000, 13_000] {
        let error = peer.ask(&format!("archive {number}")).unwrap_err();
        assert!(error.starts_with("FileTooLarge {"), "{error}");
        assert_eq!(Snapshot::of(&path), before);
    }
    assert_no_drafts(directory.path());
    peer.ask("archive 5000").unwrap();
    assert_eq!(Npz::open(&path).unwrap().names().len(), 1);
}

#[test]
fn a_writer_that_failed_once_finishes_no_archive() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    sample(&path);
    let before = Snapshot::of(&path);
    let mut peer = Peer::under("ulimit -f 100", &path);
    let error = peer.ask("archive_on 100000").unwrap_err();
    assert!(error.contains("begin it anew"), "{error}");
    assert_eq!(Snapshot::of(&path), before);
    assert_no_drafts(directory.path());
}

#[test]
fn a_name_that_is_refused_leaves_the_writer_as_it_was() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("x", &array![1_u8]).unwrap();
    let refused = npz.add("x", &array![2_u8]).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::DuplicateName { .. }));
    npz.finish().unwrap();
    let npz = Npz::open(&path).unwrap();
    assert_eq!(npz.read::<u8, Ix1>("x").unwrap(), array![1]);
}

#[test]
fn strange_members_are_refused_by_name() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let mut npy = Vec::new();
    write_npy(&mut npy, &array![1_u8, 2]).unwrap();
    let longer = [&npy[..], b"!"].concat();
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        let members: [(&str, &[u8]); 5] = [
            ("a.npy", &npy),
            ("none.npy", b""),
            ("text.npy", b"no array"),
            ("long.npy", &longer),
            ("readme.txt", b"hello"),
        ];
        archive(&path, method, &members);
        let npz = Npz::open(&path).unwrap();
        assert_eq!(
            npz.names().collect::<Vec<_>>(),
            ["a", "none", "text", "long"]
        );
        assert_eq!(npz.read::<u8, Ix1>("a").unwrap(), array![1, 2]);
        for name in ["none", "text"] {
            assert!(matches!(
                npz.member(name).unwrap_err().kind(),
                ErrorKind::Header { .. }
            ));
            assert!(npz.read::<u8, Ix1>(name).is_err());
            assert!(npz.open_member_any(name).is_err());
        }
        // As in a file: what is behind the array is not asked about.
        assert_eq!(npz.read::<u8, Ix1>("long").unwrap(), array![1, 2]);
        let unpacked = npz.unpack::<u8, Ix1>("long", directory.path()).unwrap();
        assert_eq!(unpacked.read(s![..]).unwrap(), array![1, 2]);
        if method == zip::CompressionMethod::Stored {
            let in_place = npz.open_member::<u8, Ix1>("long").unwrap();
            assert_eq!(in_place.read(s![..]).unwrap(), array![1, 2]);
        }
    }

    // The crate `zip` writes neither of these, so they are made by hand.
    archive(
        &path,
        zip::CompressionMethod::Stored,
        &[("a.npy", &npy), ("b.npy", &npy)],
    );
    let good = fs::read(&path).unwrap();
    let mut twice = good.clone();
    for at in places(&good, b"b.npy") {
        twice[at] = b'a';
    }
    fs::write(&path, &twice).unwrap();
    assert!(matches!(
        Npz::open(&path).unwrap_err().kind(),
        ErrorKind::DuplicateName { name, .. } if name == "a.npy"
    ));

    let mut encrypted = good.clone();
    for (magic, flags) in [(b"PK\x01\x02", 8), (b"PK\x03\x04", 6)] {
        encrypted[places(&good, magic)[0] + flags] |= 1;
    }
    fs::write(&path, &encrypted).unwrap();
    let npz = Npz::open(&path).unwrap();
    for error in [
        npz.read::<u8, Ix1>("a").unwrap_err(),
        npz.open_member_any("a").unwrap_err(),
        npz.member("a").unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Encrypted));
    }
    assert!(npz.read::<u8, Ix1>("b").is_ok());

    let mut unknown = good.clone();
    unknown[places(&good, b"PK\x01\x02")[0] + 10] = 14;
    drop(npz);
    fs::write(&path, &unknown).unwrap();
    let npz = Npz::open(&path).unwrap();
    assert!(matches!(
        npz.read::<u8, Ix1>("a").unwrap_err().kind(),
        ErrorKind::Method { .. }
    ));
}

#[test]
fn a_wrong_sum_is_found_wherever_elements_are_read() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    sample(&path);
    let good = fs::read(&path).unwrap();
    for (name, at) in [("stored.npy", 16), ("deflated.npy", 16)] {
        let mut bad = good.clone();
        // The list of members is behind them, and has each name 46 bytes in.
        let entry = places(&good, name.as_bytes()).last().unwrap() - 46;
        bad[entry + at] ^= 1;
        fs::write(&path, &bad).unwrap();
        let npz = Npz::open(&path).unwrap();
        let unpacked = match name {
            "stored.npy" => [
                npz.read::<f64, Ix2>("stored").map(drop),
                npz.unpack::<f64, Ix2>("stored", directory.path()).map(drop),
            ],
            _ => [
                npz.read::<u16, Ix1>("deflated").map(drop),
                npz.unpack::<u16, Ix1>("deflated", directory.path())
                    .map(drop),
            ],
        };
        for result in unpacked {
            assert!(matches!(result.unwrap_err().kind(), ErrorKind::Io { .. }));
        }
    }
}

#[test]
fn sizes_that_are_only_claimed_are_never_allocated() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let mut npy = Vec::new();
    write_npy(&mut npy, &Array1::<u8>::zeros(1000)).unwrap();
    let at = places(&npy, b"(1000,)")[0];
    npy[at..at + 18].copy_from_slice(b"(1099511627776,), ");
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        archive(&path, method, &[("a.npy", &npy)]);
        let good = fs::read(&path).unwrap();
        let entry = places(&good, b"PK\x01\x02")[0];
        for sizes in [false, true] {
            let mut bytes = good.clone();
            if sizes {
                // Both sizes, in the list and before the member.
                for at in [entry + 20, entry + 24, 18, 22] {
                    bytes[at..at + 4].copy_from_slice(&0xf000_0000_u32.to_le_bytes());
                }
            }
            fs::write(&path, &bytes).unwrap();
            let npz = Npz::open(&path).unwrap();
            let (read, largest) = largest_during(|| npz.read::<u8, Ix1>("a"));
            assert!(read.is_err() && largest < 300_000, "{largest}");
            let (unpacked, largest) =
                largest_during(|| npz.unpack::<u8, Ix1>("a", directory.path()));
            assert!(unpacked.is_err() && largest < 300_000, "{largest}");
            assert!(npz.open_member_any("a").is_err());
        }
    }
    // A list that claims more members than there are bytes.
    let mut bytes = fs::read(&path).unwrap();
    let end = places(&bytes, b"PK\x05\x06")[0];
    bytes[end + 8..end + 12].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let (opened, largest) = largest_during(|| Npz::open(&path));
    assert!(opened.is_err() && largest < 1 << 20, "{largest}");
}

/// Goes through everything that an archive offers. What it gives must be an array or an error.
fn look(path: &Path, directory: &Path) {
    let Ok(npz) = Npz::open(path) else { return };
    for name in npz.names() {
        let _ = npz.member(name);
        let _ = npz.read::<u16, Ix1>(name);
        let _ = npz.unpack::<u16, Ix1>(name, directory);
        if let Ok(any) = npz.open_member_any(name) {
            assert!(
                any.offset() + any.to_bytes().unwrap().len() as u64
                    <= fs::metadata(path).unwrap().len()
            );
        }
    }
}

#[test]
fn an_archive_cut_anywhere_is_an_error() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("x", &array![1_u16, 2]).unwrap();
    npz.add_deflated("y", &array![3_u16, 4]).unwrap();
    npz.finish().unwrap();
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let refused = Npz::open(&path).unwrap_err();
        match cut {
            0..4 => assert!(
                matches!(refused.kind(), ErrorKind::NotZip { .. }),
                "{refused}"
            ),
            _ => assert!(
                matches!(refused.kind(), ErrorKind::Archive { .. }),
                "{refused}, cut at {cut}"
            ),
        }
    }
    fs::write(&path, b"\x93NUMPY").unwrap();
    assert!(matches!(
        Npz::open(directory.path()).why(),
        Some(ErrorKind::NotAFile { .. })
    ));
    assert!(matches!(
        AnyStore::open(&path).why(),
        Some(ErrorKind::Header { .. })
    ));
}

/// What NumPy makes of these is in `tests/exchange_interop.rs`.
#[test]
fn a_member_is_an_array_by_its_name_or_by_its_bytes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let npy = |value: u8| {
        let mut bytes = Vec::new();
        write_npy(&mut bytes, &array![value]).unwrap();
        bytes
    };
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        let members: &[(&str, &[u8])] = &[
            ("a.npy", &npy(1)),
            ("a", &npy(2)),
            ("plain", &npy(3)),
            ("b", b"bytes"),
            ("b.npy", &npy(4)),
            ("c.npy.npy", &npy(5)),
            ("short", b"\x93NUM"),
            ("folder/d.npy", &npy(6)),
        ];
        archive(&path, method, members);
        let npz = Npz::open(&path).unwrap();
        assert_eq!(
            npz.names().collect::<Vec<_>>(),
            ["a.npy", "a", "plain", "b", "c.npy", "folder/d"]
        );
        for (name, value) in [
            ("a.npy", 1),
            ("a", 2),
            ("plain", 3),
            ("b", 4),
            ("b.npy", 4),
            ("c.npy", 5),
            ("folder/d", 6),
        ] {
            assert_eq!(npz.read::<u8, Ix1>(name).unwrap(), array![value], "{name}");
            assert_eq!(npz.member(name).unwrap().shape(), [1]);
            if method == zip::CompressionMethod::Stored {
                let store = npz.open_member::<u8, Ix1>(name).unwrap();
                assert_eq!(store.read(s![..]).unwrap(), array![value], "{name}");
            }
        }
        let refused = npz.read::<u8, Ix1>("short").unwrap_err().to_string();
        assert!(
            refused.contains("its member \"short\": it ends"),
            "{refused}"
        );
        assert!(matches!(
            npz.read::<u8, Ix1>("none").unwrap_err().kind(),
            ErrorKind::NoMember { name, .. } if name == "none"
        ));
    }
}

#[test]
fn errors_about_a_member_name_it_and_nothing_that_archives_lack() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let mut npy = Vec::new();
    write_npy(&mut npy, &Array1::<u8>::zeros(100)).unwrap();
    let long_header = {
        let mut store = tempfile::NamedTempFile::new().unwrap();
        let fields: Vec<_> = (0..2000).map(|i| format!("('f{i}', '|u1')")).collect();
        let text = format!(
            "{{'descr': [{}], 'fortran_order': False, 'shape': (), }}\n",
            fields.join(", ")
        );
        store.write_all(b"\x93NUMPY\x01\0").unwrap();
        store.write_all(&(text.len() as u16).to_le_bytes()).unwrap();
        store.write_all(text.as_bytes()).unwrap();
        store.write_all(&[7; 2000]).unwrap();
        fs::read(store.path()).unwrap()
    };
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        let members: &[(&str, &[u8])] = &[
            ("none.npy", b""),
            ("text.npy", b"no array"),
            ("cut.npy", &npy[..200]),
            ("head.npy", &npy[..20]),
            ("long.npy", &long_header),
        ];
        archive(&path, method, members);
        let npz = Npz::open(&path).unwrap();
        let is_stored = method == zip::CompressionMethod::Stored;
        for name in npz.names().filter(|&name| name != "long") {
            let mut refused = vec![
                npz.read::<u8, Ix1>(name).unwrap_err(),
                npz.unpack::<u8, Ix1>(name, directory.path()).unwrap_err(),
            ];
            if is_stored {
                refused.push(npz.open_member::<u8, Ix1>(name).unwrap_err());
                refused.push(npz.open_member_any(name).unwrap_err());
            }
            for error in refused {
                let text = error.to_string();
                assert!(text.contains(&format!("its member {name:?}: ")), "{text}");
                assert!(
                    !text.contains("stream") && !text.contains("Options"),
                    "{text}"
                );
                assert_eq!(error.path(), Some(path.as_path()));
            }
        }
        let refused = npz.member("long").unwrap_err().to_string();
        assert!(refused.contains("Options::max_header_size"), "{refused}");
        let options = Options::new().max_header_size(1 << 16);
        let npz = options.open_npz(&path).unwrap();
        assert_eq!(npz.member("long").unwrap().dtype().itemsize(), 2000);
        if is_stored {
            let any = npz.open_member_any("long").unwrap();
            assert_eq!(any.to_bytes().unwrap(), [7; 2000]);
        }
        drop(npz);
        let npz = Options::new().max_nbytes(99).open_npz(&path).unwrap();
        let refused = npz.unpack::<u8, Ix1>("cut", directory.path()).unwrap_err();
        assert!(matches!(
            refused.kind(),
            ErrorKind::OverLimit { nbytes: 100, .. }
        ));
        assert_eq!(npz.member("cut").unwrap().shape(), [100]);
    }
}

#[test]
fn an_archive_is_opened_with_the_lock_that_is_asked_for() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    sample(&path);
    let writer = fs::File::options().write(true).open(&path).unwrap();
    writer.lock().unwrap();
    assert!(matches!(
        Npz::open(&path).why(),
        Some(ErrorKind::Locked { .. })
    ));
    let npz = Options::new().no_lock().open_npz(&path).unwrap();
    assert_eq!(
        npz.open_member::<f64, Ix2>("stored").unwrap().shape(),
        [5, 7]
    );
}

#[test]
fn what_is_no_archive_is_called_by_its_name() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    Store::<f64, _>::create(&path, 3).unwrap();
    for (bytes, expected) in [
        (
            None,
            "not a zip archive: it is an NPY file; open it with `Store::open`",
        ),
        (Some(&b""[..]), "not a zip archive: it is empty; take it"),
        (Some(b"<html><body>404"), "it is an HTML page"),
        (
            Some(b"\x1f\x8b\x08\0"),
            "it is compressed by gzip; unpack it",
        ),
        (
            Some(b"\0\x01\x02\x03\x04\x05\x06\x07"),
            "it starts with \"\\x00\\x01\\x02\\x03\\x04\\x05\"",
        ),
        (
            Some(b"PK\x03\x04 and no end"),
            "not a sound zip archive: its list of members, at its end, is cut or damaged",
        ),
    ] {
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        let refused = Npz::open(&path).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
        assert!(!refused.to_string().contains("Options::raw"), "{refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_archives_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("a.npz");
        let mut npy = Vec::new();
        write_npy(&mut npy, &array![1_u16, 2]).unwrap();
        archive(&path, zip::CompressionMethod::Deflated, &[("x.npy", &npy), ("yy.npy", &npy)]);
        let mut bytes = fs::read(&path).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fs::write(&path, &bytes).unwrap();
        look(&path, directory.path());
    }
}

#[test]
fn a_forked_child_that_drops_the_writer_leaves_the_archive_of_its_parent_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npz");
    let (first, second) = (Array1::<u64>::ones(10), Array1::<u64>::zeros(20_000));
    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("first", &first).unwrap();
    let Some(child) = fork() else {
        drop(npz);
        end_fork();
    };
    wait_for(child);
    npz.add_deflated("second", &second).unwrap();
    npz.finish().unwrap();
    let npz = Npz::open(&path).unwrap();
    assert_eq!(npz.read::<u64, Ix1>("first").unwrap(), first);
    assert_eq!(npz.read::<u64, Ix1>("second").unwrap(), second);
    assert_eq!(npz.names().len(), 2);
}

#[test]
fn an_array_of_any_dtype_is_added_by_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npz");
    let mut npz = NpzWriter::create(&path).unwrap();
    let dtype = ndstore::DType::parse(">i2").unwrap();
    npz.add_any(
        "x",
        dtype.clone(),
        &[2, 2],
        Order::F,
        &[0, 1, 0, 3, 0, 2, 0, 4],
    )
    .unwrap();
    let refused = npz
        .add_any("y", dtype, &[2], Order::C, &[0; 3])
        .unwrap_err();
    assert!(matches!(
        refused.kind(),
        ErrorKind::Length {
            expected: 4,
            found: 3,
            ..
        }
    ));
    npz.finish().unwrap();
    let npz = Npz::open(&path).unwrap();
    assert_eq!(npz.names().collect::<Vec<_>>(), ["x"]);
    assert_eq!(npz.open_member_any("x").unwrap().offset() % 64, 0);
    let read = npz.read::<ndstore::Be<i16>, Ix2>("x").unwrap();
    assert_eq!(read.mapv(|value| value.get()), array![[1, 2], [3, 4]]);
}
