//! The messages of errors: the operation, the file, the cause, and the way out.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{AnyStore, Error, ErrorKind, Options, Store, read_npy};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    (directory, path)
}

/// An error says each of these.
#[track_caller]
fn assert_says(error: &Error, path: &Path, parts: &[&str]) {
    let text = error.to_string();
    for part in [&format!("{path:?}")[..]].iter().chain(parts) {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

#[test]
fn what_is_no_npy_is_called_by_its_name_with_the_way_out() {
    let (_directory, path) = place();
    let safetensors = [&[40, 0, 0, 0, 0, 0, 0, 0][..], b"{\"a\":{}}"].concat();
    for (bytes, what, remedy) in [
        (
            &b"\0\x05\x16\x07\0\x02\0\0Mac OS X        "[..],
            "AppleDouble",
            "lacks the `._`",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "Git LFS",
            "git lfs pull",
        ),
        (
            b"\n<!DOCTYPE html><title>404",
            "HTML page",
            "download the file again",
        ),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "gzip", "unpack it"),
        (b"PK\x03\x04\x14\0\0\0\0\0", "zip archive", "`Npz::open`"),
        (b"\x89HDF\r\n\x1a\n\0\0", "HDF5", "save it as NPY"),
        (b"PAR1\x15\x04\x15", "Parquet", "save it as NPY"),
        (b"\x80\x04\x95\x20\0\0\0", "pickle", "`np.save`"),
        (b"BZh91AY&SY", "bzip2", "unpack it"),
        (b"\x28\xb5\x2f\xfd\x04\x88", "zstd", "unpack it"),
        (b"MATLAB 5.0 MAT-file, Platform", "MATLAB", "save it as NPY"),
        (&safetensors, "safetensors", "save it as NPY"),
        (
            b"\xc2\x93NUMPY\x01\0v\0{'descr'",
            "as if they were text",
            "where it was made",
        ),
        (b"", "it is empty", "where it was made"),
        (b"1.5,2.5\n3.5,4.5\n", "starts with text", "`Options::raw`"),
        (&[0; 5000], "nothing but zeros", "`Options::raw`"),
        (
            b"\x01\x02\x03\x04\x05\x06\x07",
            "starts with \"\\x01\\x02\\x03\\x04\\x05\\x06\"",
            "`Options::raw`",
        ),
    ] {
        fs::write(&path, bytes).unwrap();
        for error in [
            Store::<f64, Ix1>::open(&path).unwrap_err(),
            AnyStore::open_rw(&path).unwrap_err(),
        ] {
            assert!(matches!(error.kind(), ErrorKind::Header { .. }));
            assert_says(&error, &path, &["cannot open", what, remedy]);
        }
        if bytes.is_empty() {
            continue;
        }
        // A stream has no options for files.
        let text = read_npy::<f64, Ix1>(bytes).unwrap_err().to_string();
        assert!(
            text.contains(what) && !text.contains("Options::raw"),
            "{text}"
        );
    }
}

#[test]
fn a_header_that_is_wrong_is_quoted() {
    let (_directory, path) = place();
    for (shape, found) in [
        ("(3.5,)", "expected an integer, found \"3.5\""),
        ("(2, 1e3)", "found \"1e3\""),
        ("(nan,)", "found \"nan\""),
        ("(3, 4j)", "found \"4j\""),
        ("(3 4)", "found \"4\""),
        ("(3,", "found \"}\""),
    ] {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n");
        let mut bytes = b"\x93NUMPY\x01\0".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        fs::write(&path, bytes).unwrap();
        assert_says(&AnyStore::open(&path).unwrap_err(), &path, &[found]);
    }
}

#[test]
fn shapes_of_different_ranks_are_told_with_their_ranks() {
    let (_directory, path) = place();
    let mut store = Store::<f64, IxDyn>::create_from(&path, &ArrayD::zeros(vec![5, 3])).unwrap();
    let row = ArrayD::zeros(vec![3]);
    let error = store.append(&row).unwrap_err();
    assert_says(
        &error,
        &path,
        &["expected shape [1, 3] of 2 dimensions, found [3] of 1 dimension"],
    );
    let mut appender = store.appender().unwrap();
    let rows = ArrayD::zeros(vec![1, 3]);
    let error = appender.push(&rows).unwrap_err();
    assert_says(
        &error,
        &path,
        &["expected shape [3] of 1 dimension, found [1, 3] of 2 dimensions"],
    );
    let error = appender.push(&ArrayD::zeros(vec![4])).unwrap_err();
    assert_says(&error, &path, &["expected shape [3], found [4]"]);
    drop(appender);
    let error = store.resize(vec![5]).unwrap_err();
    assert_says(
        &error,
        &path,
        &["with 1 dimension: it has 2", "a length for each axis"],
    );
    let error = store.get(IxDyn(&[1])).unwrap_err();
    assert_says(
        &error,
        &path,
        &["with 1 dimension: it has 2", "for each axis"],
    );
    let work = store.out_of_core();
    let error = work
        .copy_region(std::slice::from_ref(&(0..2)), path.with_extension("part"))
        .unwrap_err();
    assert_says(
        &error,
        &path,
        &["with 1 dimension: it has 2", "one range for each axis"],
    );
    let error = store
        .out_of_core()
        .permute(&[0], path.with_extension("part"))
        .unwrap_err();
    assert_says(
        &error,
        &path,
        &["with 1 dimension: it has 2", "each axis once"],
    );
    drop(store);
    let error = Store::<f64, Ix3>::open(&path).unwrap_err();
    assert_says(
        &error,
        &path,
        &["with 3 dimensions: it has 2", "choose `Ix2` or `IxDyn`"],
    );
}

#[test]
fn a_raw_file_without_a_shape_asks_for_it() {
    let (_directory, path) = place();
    fs::write(&path, [0; 48]).unwrap();
    let error = Options::new().raw(0).open::<f64, Ix2>(&path).unwrap_err();
    assert_says(&error, &path, &["give it with `Options::shape`"]);
    let error = Options::new().raw(1).open::<f64, Ix1>(&path).unwrap_err();
    assert_says(
        &error,
        &path,
        &["leave the rest out with `Options::allow_trailing`"],
    );
}

#[cfg(unix)]
#[test]
fn a_file_on_the_way_to_the_file_is_named() {
    let (directory, file) = place();
    fs::write(&file, b"a file").unwrap();
    let path = file.join("folder/b.npy");
    let sibling = directory.path().join("c.npy");
    let store = Store::<f64, _>::create(&sibling, (2, 2)).unwrap();
    let errors = [
        Store::<f64, Ix1>::open(&path).unwrap_err(),
        Store::<f64, Ix1>::open_rw(&path).unwrap_err(),
        Store::<f64, _>::create(&path, 3).unwrap_err(),
        Store::<f64, _>::create_new(&path, 3).unwrap_err(),
        Store::create_from(&path, &array![1.0]).unwrap_err(),
        AnyStore::open(file.join("b.npy")).unwrap_err(),
        Store::<f64, _>::create(file.join("b.npy"), 3).unwrap_err(),
        store.out_of_core().transpose(&path).map(drop).unwrap_err(),
        ndstore::to_file(&path, &array![1.0]).unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(error.kind(), ErrorKind::NotADirectory { parent, found: "a file", .. } if *parent == file),
            "{error}"
        );
        assert_says(&error, &file, &["is a file and no directory"]);
    }
    store.flush().unwrap();
}

#[test]
fn an_error_that_main_returns_reads_as_its_message() {
    let (_directory, path) = place();
    fs::write(&path, b"<html>").unwrap();
    let error = Store::<f64, Ix1>::open(&path).unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[test]
#[cfg(unix)]
fn an_array_for_which_there_is_no_address_space_is_read_without_a_map() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let (_directory, path) = place();
    let sparse = Options::new().sparse(true);
    let mut store = sparse.create::<f64, _>(&path, 1 << 40).unwrap();
    store.set(1 << 39, 5.0).unwrap();
    store.close().unwrap();
    super::support::in_fork(|| {
        let Rlimit { maximum, .. } = getrlimit(Resource::As);
        let current = Some(1 << 42);
        setrlimit(Resource::As, Rlimit { current, maximum }).unwrap();
        let store = Store::<f64, Ix1>::open(&path).unwrap();
        let refused = super::mapped::not_mapped(store);
        assert!(matches!(refused.kind(), ErrorKind::NotMapped { .. }));
        let text = refused.to_string();
        assert!(text.contains("without a map, as a `Store` does"), "{text}");
        let store = Store::<f64, Ix1>::open(&path).unwrap();
        assert_eq!(store.get(1 << 39).unwrap(), 5.0);
    });
}
