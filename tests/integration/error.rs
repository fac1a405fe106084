//! The face of an error for programs: its kind, its place, and its cause, once.

use std::error::Error as _;
use std::io::{self, ErrorKind as Io, Read};
use std::{fmt, fs};

use ndarray::prelude::*;
use ndstore::{
    AnyStore, ByteOrder, DType, Error, ErrorKind, LockHold, Mode, Options, Result, Store,
    from_bytes, read_npy, write_npy,
};
use tempfile::TempDir;

/// A directory with an array of two elements at the path that is returned.
fn array() -> (TempDir, std::path::PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    drop(Store::create_from(&path, &array![1.0, 2.0]).unwrap());
    (directory, path)
}

#[test]
fn errors_go_to_other_threads_and_into_boxes() {
    fn holds<T: Send + Sync + 'static>() {}
    holds::<Error>();
    holds::<ErrorKind>();
    assert!(size_of::<Result<()>>() <= size_of::<usize>());
}

#[test]
fn an_error_says_where_it_happened() {
    let (directory, path) = array();
    let error = Store::<f32, Ix1>::open(&path).unwrap_err();
    assert_eq!((error.path(), error.member()), (Some(path.as_path()), None));
    assert_eq!(error.operation(), "open");
    assert_eq!(format!("{error:?}"), error.to_string());

    let mut stream = Vec::new();
    write_npy(&mut stream, &array![1.0, 2.0]).unwrap();
    let error = read_npy::<f32, Ix1>(&stream[..]).unwrap_err();
    assert_eq!((error.path(), error.member()), (None, None));
    assert_eq!(error.operation(), "read an array from a stream");

    let error = "w".parse::<Mode>().unwrap_err();
    assert_eq!((error.path(), error.operation()), (None, "read a mode"));
    let error = Error::from(DType::parse("float").unwrap_err());
    assert_eq!((error.path(), error.operation()), (None, "read a dtype"));
    drop(directory);
}

#[cfg(feature = "npz")]
#[test]
fn an_error_about_an_array_in_an_archive_names_both() {
    use ndstore::{Npz, NpzWriter};
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add_deflated("x", &array![1.0, 2.0]).unwrap();
    npz.finish().unwrap();
    let npz = Npz::open(&path).unwrap();
    for error in [
        npz.read::<f32, Ix1>("x").unwrap_err(),
        npz.open_member::<f64, Ix1>("x").unwrap_err(),
    ] {
        assert_eq!(
            (error.path(), error.member()),
            (Some(path.as_path()), Some("x"))
        );
        assert!(error.to_string().contains("its member \"x\": "), "{error}");
    }
    let error = npz.member("y").unwrap_err();
    assert_eq!((error.path(), error.member()), (Some(path.as_path()), None));
}

/// A reader whose error has a cause of its own.
struct Broken;

#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the block is damaged")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its sum is wrong")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl std::error::Error for Inner {}

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(Outer(Inner)))
    }
}

#[test]
fn no_cause_is_said_twice_along_the_sources_of_an_error() {
    let (directory, path) = array();
    fs::write(&path, b"<html>").unwrap();
    let errors = [
        Store::<f64, Ix1>::open(&path).unwrap_err(),
        Error::from(DType::parse("float").unwrap_err()),
        AnyStore::open("/dev/full/a").map(drop).unwrap_err(),
        Store::<f64, _>::create(directory.path().join("a\0b"), 1).unwrap_err(),
        read_npy::<f64, Ix1>(Broken).unwrap_err(),
    ];
    for error in errors {
        let mut texts = vec![error.to_string()];
        let mut source = error.source();
        while let Some(error) = source {
            texts.push(error.to_string());
            source = error.source();
        }
        for (at, text) in texts.iter().enumerate() {
            assert!(
                !texts[..at].iter().any(|before| before.contains(text)),
                "{texts:?}"
            );
        }
    }
    let error = read_npy::<f64, Ix1>(Broken).unwrap_err();
    assert!(
        error.to_string().ends_with("the block is damaged"),
        "{error}"
    );
    assert_eq!(error.source().unwrap().to_string(), "its sum is wrong");
    let ErrorKind::Io { cause, .. } = error.kind() else {
        panic!("{error}");
    };
    assert!(cause.get_ref().unwrap().is::<Outer>());
}

#[test]
fn an_error_becomes_the_io_error_of_its_kind_and_comes_back_out_of_it() {
    let (directory, path) = array();
    let none = directory.path().join("none");
    let page = directory.path().join("page.npy");
    fs::write(&page, b"<html>").unwrap();
    let cut = directory.path().join("cut.npy");
    fs::copy(&path, &cut).unwrap();
    fs::File::options()
        .write(true)
        .open(&cut)
        .unwrap()
        .set_len(4100)
        .unwrap();
    let mut store = Store::<f64, Ix1>::open_rw(&path).unwrap();
    let any = |error: Result<AnyStore>| error.unwrap_err();
    for (error, expected) in [
        (any(AnyStore::open(&none)), Io::NotFound),
        (any(AnyStore::open(path.join("a"))), Io::NotADirectory),
        (any(AnyStore::open(directory.path())), Io::InvalidInput),
        (any(AnyStore::open(&page)), Io::InvalidData),
        (any(AnyStore::open(&cut)), Io::UnexpectedEof),
        (any(AnyStore::open(&path)), Io::WouldBlock),
        (
            any(AnyStore::open_mode(&path, Mode::Write)),
            Io::InvalidInput,
        ),
        (
            Store::<f64, _>::create_new(&page, 1).unwrap_err(),
            Io::AlreadyExists,
        ),
        (
            Store::<f32, Ix1>::open(&cut).unwrap_err(),
            Io::UnexpectedEof,
        ),
        (
            store.write(s![..1], &array![1.0, 2.0]).unwrap_err(),
            Io::InvalidInput,
        ),
        (store.resize([usize::MAX]).unwrap_err(), Io::InvalidInput),
        (
            from_bytes::<f64, _>(&[0; 3], 1, ndstore::Order::C).unwrap_err(),
            Io::InvalidInput,
        ),
        (read_npy::<f64, Ix1>(Broken).unwrap_err(), Io::Other),
        (
            store.out_of_core().max_axis(Axis(1)).unwrap_err(),
            Io::InvalidInput,
        ),
        (
            store
                .out_of_core()
                .to_byte_order(ByteOrder::NotApplicable, &none)
                .unwrap_err(),
            Io::InvalidInput,
        ),
    ] {
        let text = error.to_string();
        let path = error.path().map(ToOwned::to_owned);
        let io = io::Error::from(error);
        assert_eq!(io.kind(), expected, "{text}");
        assert_eq!(io.to_string(), text);
        let error = io.downcast::<Error>().unwrap();
        assert_eq!(error.path(), path.as_deref());
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_function_that_returns_an_io_error_takes_them_by_question_mark() {
    fn read(path: &std::path::Path) -> io::Result<f64> {
        Ok(Store::<f64, Ix1>::open(path)?.get([0])?)
    }
    let (_directory, path) = array();
    assert_eq!(read(&path).unwrap(), 1.0);
    let _writer = Options::new().open_rw::<f64, Ix1>(&path).unwrap();
    let error = read(&path).unwrap_err();
    let kind = error
        .get_ref()
        .unwrap()
        .downcast_ref::<Error>()
        .unwrap()
        .kind();
    let ErrorKind::Locked { hold, .. } = kind else {
        panic!("{kind}");
    };
    assert!(matches!(hold, LockHold::Exclusive | LockHold::Unknown));
}
