//! Writing elements in bulk: by `write`, not by page faults, which cost more than the bytes they bring.

use std::fs::File;
use std::io;

use ndarray::{ArrayRef, Dimension};

use crate::element::Element;
use crate::shape::Order;
use crate::sys;

/// How many bytes of a strided array are packed at a time.
const PACK: usize = 1 << 20;

/// Writes one stretch of a file after another, while the disk already works on what lies behind.
pub(super) struct Writer<'a> {
    file: &'a File,
    offset: u64,
    /// Up to here writeback was started.
    started: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(file: &'a File, offset: u64) -> Writer<'a> {
        Writer {
            file,
            offset,
            started: offset,
        }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let step = sys::step_from(self.offset);
            let (piece, rest) = bytes.split_at(step.min(bytes.len() as u64) as usize);
            sys::write_all_at(self.file, piece, self.offset)?;
            self.offset += piece.len() as u64;
            if piece.len() as u64 == step {
                sys::start_writeback(self.file, self.started..self.offset)?;
                self.started = self.offset;
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Leaves `len` bytes as they are.
    pub(super) fn skip(&mut self, len: u64) {
        self.offset += len;
        self.started = self.offset;
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }
}

/// The order in which a file can take the elements as they lie in memory, by NumPy's rule: F if that is what they are in
/// and C is not, else C.
pub(super) fn memory_order<A, D: Dimension>(array: &ArrayRef<A, D>) -> Order {
    if !array.is_standard_layout() && array.t().is_standard_layout() {
        Order::F
    } else {
        Order::C
    }
}

/// Writes the elements of `array` in `order`.
///
/// What lies in that order in memory is written as it is; any other array is packed piece by piece into one buffer.
pub(super) fn write_elements<A: Element, D: Dimension>(
    writer: &mut Writer<'_>,
    array: &ArrayRef<A, D>,
    order: Order,
) -> io::Result<()> {
    let view = match order {
        Order::C => array.view(),
        Order::F => array.t(),
    };
    if let Some(elements) = view.as_slice() {
        return writer.write(bytemuck::cast_slice(elements));
    }
    let capacity = (PACK / size_of::<A>()).max(1);
    let mut pack = Vec::with_capacity(capacity);
    for row in view.rows() {
        for piece in row.axis_chunks_iter(ndarray::Axis(0), capacity) {
            if pack.len() + piece.len() > capacity {
                writer.write(bytemuck::cast_slice(&pack))?;
                pack.clear();
            }
            match piece.as_slice() {
                Some(elements) => pack.extend_from_slice(elements),
                None => pack.extend(piece),
            }
        }
    }
    writer.write(bytemuck::cast_slice(&pack))
}
