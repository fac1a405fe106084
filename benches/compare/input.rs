//! The files that the jobs read.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::{Array1, IxDyn, ShapeBuilder};
use ndstore::{Element, Error, Order, Store};

use super::cell::{Cell, for_cell};
use crate::common::HEADER;

/// What the elements of a file are, and their order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    /// A descr without its byte order.
    pub(crate) dtype: &'static str,
    pub(crate) order: Order,
    /// Whether the byte order is not this machine's.
    pub(crate) swapped: bool,
}

pub(crate) const fn format(dtype: &'static str, order: Order, swapped: bool) -> Format {
    Format {
        dtype,
        order,
        swapped,
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let swapped = if self.swapped { ", swapped" } else { "" };
        write!(f, "{}{swapped}, {:?} order", self.dtype, self.order)
    }
}

impl Format {
    pub(crate) fn itemsize(&self) -> usize {
        self.dtype[1..].parse().expect("a descr ends with a size")
    }

    fn descr(&self) -> String {
        let byte_order = if self.swapped ^ cfg!(target_endian = "big") {
            '>'
        } else {
            '<'
        };
        format!("{byte_order}{}", self.dtype)
    }
}

/// The shape of an array of so many bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Images of 640 x 512.
    Volume,
    Square,
    /// 512 long rows.
    Thin,
    /// As many rows of so many bytes, in a fraction of all bytes.
    Rows {
        nbytes: usize,
        fraction: usize,
    },
}

impl Shape {
    pub(crate) fn of(self, nbytes: usize, itemsize: usize) -> Vec<usize> {
        let len = nbytes / itemsize;
        match self {
            Shape::Volume if len > 64 * 640 * 512 => vec![len / (640 * 512), 640, 512],
            Shape::Volume => vec![len / (40 * 32), 40, 32],
            Shape::Square => vec![len.isqrt(), len.isqrt()],
            Shape::Thin => vec![512, len / 512],
            Shape::Rows {
                nbytes: row,
                fraction,
            } => vec![nbytes / fraction / row, row / itemsize],
        }
    }
}

/// A file to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) format: Format,
    pub(crate) shape: Shape,
}

impl Input {
    /// Creates it, and returns its shape.
    pub(crate) fn create(&self, path: &Path, nbytes: usize) -> Vec<usize> {
        let shape = self.shape.of(nbytes, self.format.itemsize());
        for_cell!(self.format.dtype, create(path, &shape, self.format));
        shape
    }
}

/// Creates a file of this shape, without holding more than a piece of it.
pub(crate) fn create<A: Cell>(path: &Path, shape: &[usize], format: Format) {
    match format.swapped {
        false => fill(path, shape, format.order, A::of),
        true => fill(path, shape, format.order, |value| A::of(value).swapped()),
    }
}

/// Small numbers, so that sums of thousands of them are exact in every type, and those of all of them to a few digits.
fn fill<E: Element>(path: &Path, shape: &[usize], order: Order, element: impl Fn(i16) -> E) {
    let rows = match order {
        Order::C => shape[0],
        Order::F => shape[shape.len() - 1],
    };
    let row: usize = shape.iter().product::<usize>() / rows.max(1);
    let at_a_time = ((1 << 20) / (row * size_of::<E>())).max(1);
    let mut values = (0..251)
        .map(|index| element((index * 7 % 251) - 100))
        .cycle();
    let dim = IxDyn(shape).set_f(order == Order::F);
    let store = Store::create_with(path, dim, at_a_time, |mut block| {
        let elements = block.view.as_slice_memory_order_mut();
        elements
            .expect("a block of rows is contiguous")
            .fill_with(|| values.next().expect("they never end"));
        Ok::<_, Error>(())
    });
    store.unwrap().close().unwrap();
}

/// The file beside `path` that lists rows of it.
pub(crate) fn list_of_rows(path: &Path) -> PathBuf {
    path.with_extension("rows.npy")
}

/// Lists random rows, the same in each run.
pub(crate) fn create_list(path: &Path, count: usize, rows: usize) {
    let rows: Array1<i64> = random_rows(count, rows).map(|row| row as i64).collect();
    let store = Store::create_from(list_of_rows(path), &rows);
    store.unwrap().close().unwrap();
}

pub(crate) fn read_list(path: &Path) -> Vec<usize> {
    let bytes = std::fs::read(list_of_rows(path)).unwrap();
    let rows: Vec<i64> = bytemuck::pod_collect_to_vec(&bytes[HEADER..]);
    rows.into_iter().map(|row| row as usize).collect()
}

pub(crate) fn random_rows(count: usize, rows: usize) -> impl Iterator<Item = usize> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((u128::from(state) * rows as u128) >> 64) as usize
    };
    std::iter::repeat_with(random).take(count)
}

/// Starts a new file of ndstore's layout by its header, for sides that write the elements themselves.
pub(crate) fn start_file(path: &Path, format: Format, shape: &[usize]) -> File {
    let shape: String = shape.iter().map(|len| format!("{len}, ")).collect();
    let fortran = if format.order == Order::F {
        "True"
    } else {
        "False"
    };
    let descr = format.descr();
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({shape}), }}");
    let length = HEADER - 10;
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .unwrap();
    file.write_all(b"\x93NUMPY\x01\x00").unwrap();
    file.write_all(&(length as u16).to_le_bytes()).unwrap();
    file.write_all(format!("{text:<width$}\n", width = length - 1).as_bytes())
        .unwrap();
    file
}
