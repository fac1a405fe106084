//! What can still be had of a file that is not whole: a look at it, and the rows that are there.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{
    AnyStore, DType, ErrorKind, HeaderKind, Mode, Opening, Options, Order, Store, inspect,
};
use tempfile::TempDir;

use super::support::trace;

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    (dir, path)
}

fn cut(path: &Path, len: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(len).unwrap();
}

fn numbered(shape: (usize, usize)) -> Array2<f64> {
    Array::from_shape_fn(shape, |(i, j)| (10 * i + j) as f64)
}

fn salvaging() -> Options {
    Options::new().allow_truncated(true)
}

#[test]
fn a_look_at_a_file_says_what_it_is_whatever_is_missing_and_whoever_has_it() {
    let (_dir, path) = place();
    for (order, header, offset) in [
        (Order::C, HeaderKind::Native, 4096),
        (Order::F, HeaderKind::Native, 4096),
        (Order::C, HeaderKind::Compact, 128),
        (Order::F, HeaderKind::Compact, 128),
    ] {
        let options = Options::new()
            .order(order)
            .compact(header == HeaderKind::Compact);
        let store = options.create_from(&path, &numbered((6, 4))).unwrap();
        // Beside whoever is alone.
        let whole = inspect(&path).unwrap();
        assert_eq!(whole.dtype(), &DType::parse("<f8").unwrap());
        assert_eq!((whole.shape(), whole.order()), (&[6, 4][..], order));
        assert_eq!((whole.header(), whole.offset()), (header, offset));
        assert_eq!((whole.nbytes(), whole.file_nbytes()), (192, offset + 192));
        assert!(whole.is_whole() && !whole.is_unpublished());
        assert_eq!((whole.trailing_nbytes(), whole.trailing_rows()), (0, 0));
        drop(store);
        let (rows, row) = match order {
            Order::C => (6, 32),
            Order::F => (4, 48),
        };
        assert_eq!(whole.whole_rows(), rows);
        for len in [0, 1, row - 1, row, 2 * row, 191] {
            cut(&path, offset + len);
            let found = inspect(&path).unwrap();
            assert_eq!((found.shape(), found.header()), (&[6, 4][..], header));
            assert!(!found.is_whole());
            assert_eq!(found.whole_rows() as u64, len / row);
            assert_eq!(found.trailing_nbytes(), 0);
            cut(&path, offset + 192);
        }
        cut(&path, offset + 192 + 2 * row + 1);
        let found = inspect(&path).unwrap();
        assert!(found.is_whole() && found.whole_rows() == rows);
        assert_eq!(found.trailing_nbytes(), 2 * row + 1);
        assert_eq!(found.trailing_rows(), 2);
    }
}

#[test]
fn a_look_at_what_is_no_array_says_what_opening_it_says() {
    let (dir, path) = place();
    fs::write(&path, "no array").unwrap();
    assert!(matches!(
        inspect(&path).unwrap_err().kind(),
        ErrorKind::Header { .. }
    ));
    for path in [dir.path(), &dir.path().join("none")] {
        let kind = |error: ndstore::Error| std::mem::discriminant(error.kind());
        assert_eq!(
            kind(inspect(path).unwrap_err()),
            kind(AnyStore::open(path).unwrap_err())
        );
    }
    let options = Options::new().raw(2).shape((3, 2));
    assert!(matches!(
        options.inspect(&path).unwrap_err().kind(),
        ErrorKind::InvalidOption { .. }
    ));
    let found = options.dtype(DType::parse("|u1").unwrap()).inspect(&path);
    let found = found.unwrap();
    assert_eq!((found.header(), found.offset()), (HeaderKind::Raw, 2));
    assert_eq!((found.is_whole(), found.trailing_nbytes()), (true, 0));
}

#[test]
fn a_cut_file_opens_with_the_whole_rows_that_are_there_if_that_is_asked_for() {
    for (order, row) in [(Order::C, 32), (Order::F, 48)] {
        let (_dir, path) = place();
        let all = numbered((6, 4));
        let options = Options::new().order(order);
        drop(options.create_from(&path, &all).unwrap());
        for len in [0, row - 1, row, 3 * row, 3 * row + 1] {
            cut(&path, 4096 + len);
            let before = trace(&path);
            let refused = Store::<f64, Ix2>::open(&path).unwrap_err();
            assert!(matches!(refused.kind(), ErrorKind::Truncated { .. }));
            let rows = (len / row) as usize;
            let slice = match order {
                Order::C => all.slice(s![..rows, ..]),
                Order::F => all.slice(s![.., ..rows]),
            };
            // What is there of elements; `cut` made the rest anew, as zeros.
            let is_there = |found: &Array2<f64>| found.shape() == slice.shape();
            let store = salvaging().open::<f64, Ix2>(&path).unwrap();
            assert!(is_there(&store.read_all().unwrap()));
            drop(store);
            for opening in [
                Opening::Read,
                Opening::ReadWrite,
                Opening::Watch,
                Opening::Append,
            ] {
                let any = salvaging().open_any_as(&path, opening).unwrap();
                assert_eq!(any.shape(), slice.shape());
            }
            // A look changes nothing, and neither does who may write.
            assert_eq!(trace(&path), before);
            drop(options.create_from(&path, &all).unwrap());
        }
        cut(&path, 4096 + 3 * row);
        let store = salvaging().open::<f64, Ix2>(&path).unwrap();
        let expected = match order {
            Order::C => all.slice(s![..3, ..]),
            Order::F => all.slice(s![.., ..3]),
        };
        assert_eq!(store.read_all().unwrap(), expected);
    }
}

#[test]
fn what_is_left_of_a_cut_file_becomes_a_whole_one_by_a_truncate_or_by_the_first_rows() {
    let all = numbered((6, 4));
    let kept = all.slice(s![..2, ..]);
    for way in ["truncate", "append", "resize", "any"] {
        let (_dir, path) = place();
        drop(Store::<f64, _>::create_from(&path, &all).unwrap());
        cut(&path, 4096 + 2 * 32 + 5);
        let mut store = salvaging().open_rw::<f64, Ix2>(&path).unwrap();
        match way {
            "truncate" => store.truncate(2).unwrap(),
            "append" => store.append(&all.slice(s![4.., ..])).unwrap(),
            "resize" => store.resize((2, 4)).unwrap(),
            _ => {}
        }
        drop(store);
        if way == "any" {
            let mut any = salvaging().open_any(&path, Mode::ReadWrite).unwrap();
            any.truncate(2).unwrap();
        }
        let store = Store::<f64, Ix2>::open(&path).unwrap();
        let rows = if way == "append" { 4 } else { 2 };
        assert_eq!(store.shape(), [rows, 4], "{way}");
        assert_eq!(store.read(s![..2, ..]).unwrap(), kept, "{way}");
        assert_eq!(store.trailing_nbytes().unwrap(), 0, "{way}");
        if way == "append" {
            assert_eq!(store.read(s![2.., ..]).unwrap(), all.slice(s![4.., ..]));
        }
    }
}

#[test]
fn a_reader_of_what_is_left_sees_the_rows_that_come_back() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &numbered((6, 4))).unwrap());
    cut(&path, 4096 + 2 * 32);
    let mut store = salvaging().open_watch::<f64, Ix2>(&path).unwrap();
    assert_eq!(store.refresh().unwrap(), 0);
    cut(&path, 4096 + 5 * 32 + 1);
    assert_eq!(store.refresh().unwrap(), 3);
    assert_eq!(store.shape(), [5, 4]);
}

#[test]
fn a_file_that_is_cut_in_its_header_or_has_no_rows_is_refused_all_the_same() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &arr0(1.0)).unwrap());
    cut(&path, 4096 + 3);
    let refused = salvaging().open_any(&path, Mode::Read).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Truncated { .. }));
    cut(&path, 4095);
    let refused = salvaging().open_any(&path, Mode::Read).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Header { .. }));
    assert!(matches!(
        inspect(&path).unwrap_err().kind(),
        ErrorKind::Header { .. }
    ));
}

#[test]
fn only_whoever_is_alone_adopts_and_cuts_rows() {
    let (_dir, path) = place();
    drop(Store::<f64, _>::create_from(&path, &numbered((6, 4))).unwrap());
    let before = trace(&path);
    for opening in [Opening::Read, Opening::Append, Opening::Rows(0..2)] {
        let mut any = Options::new().open_any_as(&path, opening).unwrap();
        for refused in [any.adopt_rows().map(drop), any.truncate(1)] {
            let error = refused.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidOption { .. }));
        }
    }
    assert_eq!(trace(&path), before);
}
