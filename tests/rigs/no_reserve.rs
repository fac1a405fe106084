//! A file system that reserves no blocks: the same files, at the cost of a write.

use std::fs;

use ndarray::prelude::*;
use ndstore::{Error, Options, Order, Store};

use super::disk::{Disk, Kind};

/// `sudo -E cargo test --test rigs -- --ignored no_reserve`
#[test]
#[ignore = "needs root"]
fn arrays_are_made_and_grow_where_no_blocks_can_be_reserved() {
    let disk = Disk::new(Kind::Ramfs, 64);
    let path = disk.path().join("a.npy");
    let file = fs::File::create(&path).unwrap();
    let flags = rustix::fs::FallocateFlags::empty();
    let refused = rustix::fs::fallocate(&file, flags, 0, 4096).unwrap_err();
    assert_eq!(refused, rustix::io::Errno::OPNOTSUPP);

    for order in [Order::C, Order::F] {
        for raw in [None, Some(0), Some(100)] {
            let mut options = Options::new().order(order);
            if let Some(offset) = raw {
                options = options.raw(offset);
            }
            for rows in [0, 3, 70_000] {
                let shape = match order {
                    Order::C => (rows, 5),
                    Order::F => (5, rows),
                };
                let array = Array::from_shape_fn(shape, |(i, j)| (7 * i + j) as u32);
                let open = || {
                    options
                        .clone()
                        .shape(shape)
                        .open::<u32, Ix2>(&path)
                        .unwrap()
                };
                drop(options.create_from(&path, &array).unwrap());
                assert_eq!(open().read_all().unwrap(), array, "{options:?}");
                drop(options.create::<u32, _>(&path, shape).unwrap());
                assert_eq!(
                    open().read_all().unwrap(),
                    Array::zeros(shape),
                    "{options:?}"
                );
            }
        }
        let mut store = Options::new()
            .order(order)
            .create::<u32, _>(&path, (2, 2))
            .unwrap();
        store.append(&Array::ones((2, 2))).unwrap();
        store.resize((9, 9)).unwrap();
        store.truncate(3).unwrap();
        store.close().unwrap();
        assert_eq!(
            Store::<u32, Ix2>::open(&path)
                .unwrap()
                .read_all()
                .unwrap()
                .sum(),
            2
        );
    }
    let squares = Store::<u64, _>::create_with(&path, 1000, 64, |mut block| {
        for (number, element) in (block.start[0] as u64..).zip(&mut block.view) {
            *element = number * number;
        }
        Ok::<_, Error>(())
    });
    assert_eq!(squares.unwrap().read_all().unwrap()[999], 999 * 999);
}
