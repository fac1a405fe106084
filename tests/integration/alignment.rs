//! Maps of empty arrays whose elements, once there are any, would not lie at a multiple of their
//! alignment.

use std::fs;
use std::path::Path;

use ndarray::prelude::*;
use ndstore::{Element, ErrorKind, Le, Mapped, Options, Result, Store};

use super::mapped::mapped;

/// An NPY file of shape (0, 4) whose header has `len` bytes.
fn with_header_of(len: u8, path: &Path) {
    let text = len as usize - 10;
    let dict = "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4), }";
    let start = [b"\x93NUMPY\x01\0", &(text as u16).to_le_bytes()[..]].concat();
    let text = format!("{dict:0$}\n", text - 1);
    fs::write(path, [start, text.into()].concat()).unwrap();
}

type Growth<A> = fn(&mut Mapped<A, Ix2>) -> Result<()>;

/// All that makes an array of (0, 4) one of (1, 4), of ones.
fn growths<A: Element + From<f64>>() -> [Growth<A>; 4] {
    [
        |map| map.append(&Array::from_elem((1, 4), A::from(1.0))),
        |map| map.push(&Array::from_elem(4, A::from(1.0))),
        |map| {
            let mut appender = map.appender()?;
            appender.push(&Array::from_elem(4, A::from(1.0)))?;
            appender.flush()
        },
        |map| map.resize_with((1, 4), A::from(1.0)),
    ]
}

#[test]
fn elements_that_come_to_an_empty_map_must_be_aligned_like_any() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    for (offset, options) in [
        (1, Options::new().raw(1).shape((0, 4))),
        (89, Options::new()),
    ] {
        let make = || match offset {
            1 => fs::write(&path, [7]).unwrap(),
            _ => with_header_of(89, &path),
        };
        for (at, grow) in growths::<f64>().into_iter().enumerate() {
            make();
            let before = fs::read(&path).unwrap();
            let mut map = mapped(options.open_rw::<f64, Ix2>(&path).unwrap());
            let grown = grow(&mut map);
            assert_eq!(map.view().shape(), map.shape());
            if at == 3 && offset == 89 {
                // A new file has an aligned header.
                grown.unwrap();
                assert_eq!(map.view(), Array::<f64, _>::ones((1, 4)));
                continue;
            }
            let refused = grown.unwrap_err();
            assert!(
                matches!(refused.kind(), ErrorKind::Misaligned { offset: found, align: 8, .. } if *found == Some(offset)),
                "{refused}"
            );
            map.close().unwrap();
            assert!(fs::read(&path).unwrap() == before);
            // The ways out: without a map, or by a type that needs no alignment.
            let mut store = options.open_rw::<f64, Ix2>(&path).unwrap();
            store.append(&Array::ones((1, 4))).unwrap();
            assert_eq!(store.read_all().unwrap(), Array::<f64, _>::ones((1, 4)));
        }
        for grow in growths::<Le<f64>>() {
            make();
            let mut map = mapped(options.open_rw::<Le<f64>, Ix2>(&path).unwrap());
            grow(&mut map).unwrap();
            assert_eq!(map.view(), Array::from_elem((1, 4), Le::from(1.0)));
        }
    }
}

#[test]
fn an_empty_map_whose_header_has_no_room_grows_into_an_aligned_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    with_header_of(70, &path);
    let mut map = mapped(Store::<f64, Ix2>::open_rw(&path).unwrap());
    assert_eq!(map.offset(), 70);
    map.append(&Array::ones((10, 4))).unwrap();
    assert_eq!(map.offset() % 64, 0);
    assert_eq!(map.view(), Array::<f64, _>::ones((10, 4)));
}

#[test]
fn rows_that_a_refresh_finds_behind_an_empty_map_must_be_aligned_like_any() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    with_header_of(89, &path);
    // Opened without a lock, because beside readers only aligned files grow.
    let options = Options::new().no_lock();
    let mut map = mapped(options.open::<f64, Ix2>(&path).unwrap());
    let mut free = mapped(options.open::<Le<f64>, Ix2>(&path).unwrap());
    let mut log = Store::<f64, Ix2>::open_rw(&path).unwrap();
    log.append(&Array::ones((2, 4))).unwrap();
    let refused = map.refresh().unwrap_err();
    assert!(
        matches!(
            refused.kind(),
            ErrorKind::Misaligned {
                offset: Some(89),
                align: 8,
                ..
            }
        ),
        "{refused}"
    );
    assert_eq!(map.view().shape(), map.shape());
    let mut store = map.unmap();
    assert_eq!(store.refresh().unwrap(), 2);
    assert_eq!(store.read_all().unwrap(), Array::<f64, _>::ones((2, 4)));
    assert_eq!(free.refresh().unwrap(), 2);
    assert_eq!(free.view(), Array::from_elem((2, 4), Le::from(1.0)));
}
