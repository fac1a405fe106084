//! Arrays as streams of bytes: the elements of a region in C order, and an NPY file made of them on the way.

use std::io::{self, Read};

use ndstore::{AnyStore, Order};

use crate::input::Input;
use crate::interrupt;
use crate::outcome::{Failure, Outcome, fail};
use crate::output::Output;
use crate::progress::Meter;
use crate::region::Region;

/// How many bytes are read at a time.
const PIECE: usize = 4 << 20;

/// The bytes of the elements that were asked for, in C order, piece by piece.
pub(crate) struct Elements<'a> {
    input: &'a Input,
    /// Of all elements.
    shape: Vec<usize>,
    pieces: Box<dyn Iterator<Item = Region> + 'a>,
    meter: Meter,
    done: u64,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(input: &'a Input, memory: Option<usize>, meter: Meter) -> Elements<'a> {
        let budget = memory.map_or(PIECE, |memory| (memory / 2).min(PIECE));
        Elements {
            input,
            pieces: Box::new(input.region.pieces(input.store.dtype().itemsize(), budget)),
            shape: input.shape(),
            meter,
            done: 0,
        }
    }

    /// Rows along the first axis, in this order, instead of all of them.
    pub(crate) fn rows(input: &'a Input, rows: &'a [usize], meter: Meter) -> Elements<'a> {
        let mut shape = input.shape();
        shape[0] = rows.len();
        let itemsize = input.store.dtype().itemsize();
        let pieces = move |&row: &usize| input.region.part(0, row..row + 1).pieces(itemsize, PIECE);
        Elements {
            input,
            pieces: Box::new(rows.iter().flat_map(pieces)),
            shape,
            meter,
            done: 0,
        }
    }

    fn nbytes(&self) -> u64 {
        let elements: usize = self.shape.iter().product();
        (elements * self.input.store.dtype().itemsize()) as u64
    }

    /// The next piece.
    pub(crate) fn next(&mut self) -> Outcome<Option<Vec<u8>>> {
        interrupt::check()?;
        let Some(piece) = self.pieces.next() else {
            return Ok(None);
        };
        let bytes = self.input.store.read_region(&piece.arguments())?;
        self.done += bytes.len() as u64;
        // An error is Ctrl-C, and the next piece ends for that.
        let _ = self.meter.tell(self.done, self.nbytes());
        Ok(Some(bytes))
    }
}

/// An NPY file of the elements that were asked for, to be read.
pub(crate) struct AsNpy<'a> {
    elements: Elements<'a>,
    bytes: io::Cursor<Vec<u8>>,
}

impl<'a> AsNpy<'a> {
    pub(crate) fn new(elements: Elements<'a>) -> Outcome<AsNpy<'a>> {
        let dtype = elements.input.store.dtype();
        let header = dtype.npy_header(&elements.shape, Order::C)?;
        Ok(AsNpy {
            elements,
            bytes: io::Cursor::new(header),
        })
    }
}

impl Read for AsNpy<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.bytes.read(into)? {
                0 if !into.is_empty() => {}
                read => return Ok(read),
            }
            match self.elements.next() {
                Ok(Some(bytes)) => self.bytes = io::Cursor::new(bytes),
                Ok(None) => return Ok(0),
                Err(Failure::Failed(message)) => return Err(io::Error::other(message)),
                Err(_) => return Err(io::Error::other("interrupted")),
            }
        }
    }
}

/// Writes elements into a new file, in C order.
pub(crate) fn write(elements: Elements<'_>, output: &Output) -> Outcome<AnyStore> {
    let received = output
        .options
        .receive_any(AsNpy::new(elements)?, &output.path)?;
    received.map_or_else(|| fail("an array without a header cannot be"), Ok)
}
