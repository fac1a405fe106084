//! Writing elements in bulk: by `write`, not by page faults, which cost more than the bytes they bring.

use std::fs::File;
use std::io;

use ndarray::{ArrayRef, Dimension};

use super::pack;
use crate::element::Element;
use crate::shape::Order;
use crate::sys;

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

/// Writes the elements of `array` in `order`.
pub(super) fn write_elements<A: Element, D: Dimension>(
    writer: &mut Writer<'_>,
    array: &ArrayRef<A, D>,
    order: Order,
) -> io::Result<()> {
    pack::for_each_piece(array, order, |bytes| writer.write(bytes))
}
