//! Raw files: the given shape accounts for every byte, unless the caller allows more.

use std::fs;
use std::path::PathBuf;

use ndarray::prelude::*;
use ndstore::{AnyStore, DType, ErrorKind, Mode, Options, Order, Result, Store};
use tempfile::TempDir;

/// Ten rows of 385 channels behind eight bytes of something else.
fn recording() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("raw.bin");
    let samples: Vec<i16> = (0..10 * 385).collect();
    let bytes = [&[7; 8], bytemuck::cast_slice(&samples)].concat();
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

fn raw() -> Options {
    Options::new().raw(8).dtype(DType::parse("<i2").unwrap())
}

/// What each way of opening says: the shape, or how many bytes are left over and from where.
fn opened(options: &Options, path: &PathBuf) -> Vec<Result<Vec<usize>, (u64, u64)>> {
    let typed = |store: Result<Store<i16, IxDyn, _>>| store.map(|store| store.shape().to_vec());
    let writing = options.open_rw::<i16, IxDyn>(path);
    let any = |mode| {
        let store: Result<AnyStore> = options.open_any(path, mode);
        store.map(|store| store.shape().to_vec())
    };
    let all = [
        writing.map(|store| store.shape().to_vec()),
        typed(options.open::<i16, IxDyn>(path)),
        any(Mode::Read),
        any(Mode::ReadWrite),
    ];
    let left = |error: ndstore::Error| match error.kind() {
        &ErrorKind::TrailingBytes { offset, found, .. } => (offset, found),
        other => panic!("{other}"),
    };
    all.into_iter().map(|opened| opened.map_err(left)).collect()
}

#[test]
fn bytes_that_a_shape_does_not_account_for_are_refused_unless_they_are_allowed() {
    let (_directory, path) = recording();
    for (shape, left) in [([10, 384], 20), ([9, 385], 770), ([0, 385], 7700)] {
        let options = raw().shape(shape);
        let end = 8 + 7700 - left;
        assert_eq!(opened(&options, &path), vec![Err((end, left)); 4]);
        for allowed in [
            options.clone().allow_trailing(true),
            options.drop_trailing(true),
        ] {
            assert_eq!(opened(&allowed, &path), vec![Ok(shape.to_vec()); 4]);
        }
    }
    assert_eq!(
        opened(&raw().shape((10, 385)), &path),
        vec![Ok(vec![10, 385]); 4]
    );
    // Still an error of its own.
    let refused = raw().shape((11, 385)).open::<i16, Ix2>(&path).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Truncated { .. }));
}

#[test]
fn of_rows_of_a_given_shape_there_are_as_many_as_the_file_has() {
    let (_directory, path) = recording();
    for (options, shape) in [
        (raw().row_shape(385), vec![10, 385]),
        (raw().row_shape((5, 77)), vec![10, 5, 77]),
        (raw().row_shape(385).order(Order::F), vec![385, 10]),
        (raw().row_shape(()), vec![3850]),
        (raw().shape((1, 1)).row_shape(385), vec![10, 385]),
    ] {
        assert_eq!(opened(&options, &path), vec![Ok(shape); 4]);
    }
    let refused = raw().row_shape(384);
    assert_eq!(opened(&refused, &path), vec![Err((8 + 10 * 768, 20)); 4]);
    let allowed = refused.allow_trailing(true);
    assert_eq!(opened(&allowed, &path), vec![Ok(vec![10, 384]); 4]);
    let store = raw().row_shape(385).open::<i16, Ix2>(&path).unwrap();
    assert_eq!(store.get([9, 384]).unwrap(), 3849);
}

#[test]
fn a_raw_file_of_rows_grows_by_rows_and_is_opened_again_with_all_of_them() {
    let (_directory, path) = recording();
    let rows = raw().row_shape(385);
    let mut store = rows.open_rw::<i16, Ix2>(&path).unwrap();
    store.append(&Array::zeros((3, 385))).unwrap();
    drop(store);
    assert_eq!(opened(&rows, &path), vec![Ok(vec![13, 385]); 4]);
    fs::write(&path, [7; 8]).unwrap();
    assert_eq!(opened(&rows, &path), vec![Ok(vec![0, 385]); 4]);
}

#[test]
fn rows_that_no_length_can_count_are_refused() {
    let (_directory, path) = recording();
    let why = |options: Options| options.open::<i16, IxDyn>(&path).unwrap_err();
    let refused = why(raw().row_shape((3, 0)));
    assert!(
        refused.to_string().contains("`Options::shape`"),
        "{refused}"
    );
    let refused = why(raw().row_shape((usize::MAX, 2)));
    assert!(matches!(refused.kind(), ErrorKind::ShapeTooLarge { .. }));
    let refused = why(Options::new().raw(9000).row_shape(385));
    assert!(matches!(refused.kind(), ErrorKind::Truncated { .. }));
}

#[test]
fn a_file_with_a_header_must_have_rows_of_the_shape_that_is_given() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    for (order, row, other) in [(Order::C, 4, 3), (Order::F, 3, 4)] {
        let made = Options::new().order(order).create::<i16, _>(&path, (3, 4));
        drop(made.unwrap());
        let rows = |row| Options::new().row_shape(row).open::<i16, Ix2>(&path);
        assert_eq!(rows(row).unwrap().shape(), [3, 4]);
        let refused = rows(other).unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::ShapeMismatch { .. }));
    }
}

#[test]
fn elements_that_do_not_fill_the_file_can_be_left_out() {
    let (_directory, path) = recording();
    let odd = Options::new().raw(7);
    let refused = odd.open::<i16, Ix1>(&path).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::NotAMultiple { .. }));
    assert!(refused.to_string().contains("`Options::allow_trailing`"));
    let store = odd.allow_trailing(true).open::<i16, Ix1>(&path).unwrap();
    assert_eq!(store.shape(), [3850]);
}

#[test]
fn what_was_allowed_to_follow_never_becomes_rows() {
    let (_directory, path) = recording();
    let options = raw().shape((9, 385)).allow_trailing(true);
    let mut store = options.open::<i16, Ix2>(&path).unwrap();
    assert_eq!(store.refresh().unwrap(), 0);
    drop(store);
    let mut store = options.open_rw::<i16, Ix2>(&path).unwrap();
    let refused = store.append(&Array::zeros((1, 385))).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::TrailingBytes { .. }));
    assert_eq!(fs::metadata(&path).unwrap().len(), 8 + 7700);
}
