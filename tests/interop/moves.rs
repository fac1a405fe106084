//! Moves into new files, compared with NumPy's results for the same file.

use std::path::Path;

use ndstore::{AnyStore, ByteOrder, DType, Order};
use serde_json::{Value, json};

use super::{ORDERS, letter, python};

/// Of all sizes, with an order and without.
const DTYPES: [&str; 10] = [
    "|u1",
    "<i2",
    ">f4",
    "<f8",
    ">c16",
    "|S3",
    "<U5",
    "|V7",
    "<M8[ns]",
    "[('a', '<i2'), ('b', '>f8', (2,)), ('c', '|S1')]",
];

const SHAPES: [&[usize]; 6] = [
    &[],
    &[0, 3],
    &[1000],
    &[40, 70],
    &[13, 1, 29],
    &[5, 7, 11, 3],
];

/// A file of some bytes, as `np.save` would have written it.
fn write(path: &Path, descr: &str, shape: &[usize], order: Order) {
    let len: usize = shape.iter().product::<usize>() * DType::parse(descr).unwrap().itemsize();
    let quoted = if descr.starts_with('[') {
        descr.to_owned()
    } else {
        format!("'{descr}'")
    };
    let fortran = if order == Order::F { "True" } else { "False" };
    let axes: String = shape.iter().map(|axis| format!("{axis}, ")).collect();
    let text = format!("{{'descr': {quoted}, 'fortran_order': {fortran}, 'shape': ({axes}), }}");
    let text = format!(
        "{text:<w$}\n",
        w = (text.len() + 11).next_multiple_of(64) - 11
    );
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    // No byte order mark nor surrogate in a text, and no NaN with a payload that somebody may mend:
    // small numbers.
    bytes.extend((0..len).map(|byte| {
        if byte % 4 == 0 {
            (byte / 4 % 101) as u8
        } else {
            0
        }
    }));
    std::fs::write(path, bytes).unwrap();
}

#[test]
#[ignore = "needs python3 with NumPy: cargo test --test interop -- --ignored"]
fn new_files_hold_what_numpy_makes_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let mut files: Vec<Value> = Vec::new();
    for (number, (descr, shape)) in DTYPES
        .iter()
        .flat_map(|descr| SHAPES.map(|shape| (descr, shape)))
        .enumerate()
    {
        let order = ORDERS[number % 2];
        let old = dir.path().join(format!("{number}.npy"));
        write(&old, descr, shape, order);
        let any = AnyStore::open(&old).unwrap();
        let work = || any.out_of_core_any().memory(1);
        let mut made = |op: &str, order: Order, more: Value, make: &dyn Fn(&Path) -> AnyStore| {
            let new = dir.path().join(format!("{number}-{}.npy", files.len()));
            let store = make(&new);
            assert_eq!(store.order(), order, "{op}");
            let mut entry = json!({"op": op, "old": old, "new": new, "order": letter(order)});
            entry
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            files.push(entry);
        };
        made("transpose", Order::C, json!({}), &|to| {
            work().transpose(to).unwrap()
        });
        let mut axes: Vec<usize> = (0..shape.len()).collect();
        axes.rotate_left(shape.len().min(1));
        made("permute", Order::C, json!({"axes": axes}), &|to| {
            work().permute(&axes, to).unwrap()
        });
        for order in ORDERS {
            made("to_order", order, json!({}), &|to| {
                work().to_order(order, to).unwrap()
            });
        }
        let ranges: Vec<_> = shape.iter().map(|&len| len / 3..len - len / 4).collect();
        let pairs: Vec<_> = ranges
            .iter()
            .map(|range| [range.start, range.end])
            .collect();
        made("copy_region", order, json!({"ranges": pairs}), &|to| {
            work().copy_region(&ranges, to).unwrap()
        });
        let other = match any.dtype().byte_order() {
            ByteOrder::Little => Some(ByteOrder::Big),
            ByteOrder::Big => Some(ByteOrder::Little),
            _ => None,
        };
        if let Some(other) = other {
            made("byteswap", order, json!({}), &|to| {
                work().to_byte_order(other, to).unwrap()
            });
        }
        for axis in 0..shape.len() {
            made("concatenate", order, json!({"axis": axis}), &|to| {
                work().concatenate(&[&any, &any], axis, to).unwrap()
            });
        }
    }
    let report = python("moves.py", "check", dir.path(), &files);
    assert_eq!(report["files"], files.len());
    println!("moves: {report}");
}
