//! Arrays over streams: one NPY after another, through any writer and from any reader.
//!
//! An NPY states its own length, so reading stops at the last element and the next array may
//! follow. A stream ends where an array would begin. Bytes are read in chunks, so a header that
//! claims more than arrives costs no memory.

use std::io::{self, Read, Write};

use ndarray::{Array, ArrayRef, Dimension, IxDyn, ShapeBuilder};

use crate::dtype::DType;
use crate::element::{Element, assert_element};
use crate::error::{Error, ErrorKind, Result, dimension_text};
use crate::header::{self, BLOCK, Form, Header};
use crate::shape::{self, Order};
use crate::store::{self, AccessMode, AnyStore, ArrayFile, Options, Store};

/// How many bytes are read, and allocated, at a time.
pub(super) const CHUNK: usize = 64 << 10;

/// The bytes that state how long the header is. No header is shorter.
const PREFIX: usize = 12;

pub(super) fn cannot_read(kind: ErrorKind) -> Error {
    Error::pathless("read an array from a stream", kind)
}

pub(super) fn cannot_write(kind: ErrorKind) -> Error {
    Error::pathless("write an array to a stream", kind)
}

/// Writes an array as NPY, byte for byte as `np.save` does.
///
/// The array may have any strides. It is written in Fortran order if it lies in Fortran order and
/// not in C order in memory. Several arrays may follow one another in a stream. The writer is not
/// flushed. To compress, wrap the writer: `ZlibEncoder` and `GzEncoder` of the crate flate2, or
/// `Encoder` of zstd.
///
/// # Errors
///
/// [`Io`](ErrorKind::Io) if the writer fails, [`Header`](ErrorKind::Header) if an NPY cannot
/// express the dtype or the shape, [`Unreadable`](ErrorKind::Unreadable) if the array turns out to
/// be a view of a file that was cut.
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::{read_npy, write_npy};
///
/// let mut stream = Vec::new();
/// write_npy(&mut stream, &array![1.0, 2.0])?;
/// write_npy(&mut stream, &array![[3_u8], [4]])?;
///
/// let mut stream = &stream[..];
/// assert_eq!(read_npy::<f64, Ix1>(&mut stream)?, Some(array![1.0, 2.0]));
/// assert_eq!(read_npy::<u8, Ix2>(&mut stream)?, Some(array![[3], [4]]));
/// assert_eq!(read_npy::<u8, Ix2>(&mut stream)?, None);
/// # Ok::<(), ndstore::Error>(())
/// ```
pub fn write_npy<A: Element, D: Dimension>(
    writer: impl Write,
    array: &ArrayRef<A, D>,
) -> Result<()> {
    write_array(writer, array).map_err(cannot_write)
}

/// Does what [`write_npy`] does, for callers that have a context of their own.
pub(super) fn write_array<A: Element, D: Dimension>(
    mut writer: impl Write,
    array: &ArrayRef<A, D>,
) -> Result<(), ErrorKind> {
    let order = store::memory_order(array);
    let header = npy_header(&A::dtype(), order, array.shape())?;
    let mut write = |bytes: &[u8]| writer.write_all(bytes).map_err(ErrorKind::io);
    write(&header)?;
    store::for_each_piece(array, order, write)
}

/// The header of `np.save` for an array.
pub(super) fn npy_header(
    dtype: &DType,
    order: Order,
    shape: &[usize],
) -> Result<Vec<u8>, ErrorKind> {
    let shape = shape::wide(shape);
    let order = header::saved_order(order, &shape);
    Header::encode(dtype, order, &shape, Form::Compact).map_err(ErrorKind::of_stream)
}

impl DType {
    /// The header of `np.save` for an array of these elements: what goes before their bytes in a stream.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Header`] if NumPy could not read it back.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{DType, Order, read_npy};
    ///
    /// let mut bytes = DType::parse("|u1")?.npy_header(&[2, 2], Order::C)?;
    /// bytes.extend([1, 2, 3, 4]);
    /// assert_eq!(read_npy::<u8, Ix2>(&bytes[..])?, Some(array![[1, 2], [3, 4]]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn npy_header(&self, shape: &[usize], order: Order) -> Result<Vec<u8>> {
        npy_header(self, order, shape).map_err(cannot_write)
    }
}

impl ArrayFile {
    /// The header of the array in a stream: that of `np.save`, whatever header the file has.
    pub(super) fn npy_header(&self) -> Result<Vec<u8>, ErrorKind> {
        npy_header(&self.array.dtype, self.array.order, &self.array.shape)
    }

    fn write_to(&self, mut writer: impl Write) -> Result<()> {
        self.check_guard("send")?;
        let failed = |cause| cannot_write(ErrorKind::io(cause));
        let mut write = |bytes: &[u8]| writer.write_all(bytes).map_err(failed);
        write(&self.npy_header().map_err(cannot_write)?)?;
        self.for_each_piece("send", write)
    }
}

impl<A: Element, D: Dimension, M: AccessMode> Store<A, D, M> {
    /// Writes the array as NPY, byte for byte as `np.save` does. See [`write_npy`].
    /// [`send`](Store::send) passes the same bytes to a socket without copying them.
    ///
    /// # Errors
    ///
    /// As [`write_npy`]; [`ErrorKind::Truncated`] if the file was cut.
    pub fn write_to(&self, writer: impl Write) -> Result<()> {
        self.file.write_to(writer)
    }
}

impl AnyStore {
    /// Writes the array as NPY, byte for byte as `np.save` does. See [`write_npy`].
    ///
    /// # Errors
    ///
    /// As [`write_npy`].
    pub fn write_to(&self, writer: impl Write) -> Result<()> {
        self.file.write_to(writer)
    }
}

/// Reads the next array of a stream into memory, and nothing behind its last element. `None` at the
/// end of the stream.
///
/// The bytes that have arrived bound the memory, not those that the header claims;
/// [`Options::max_nbytes`] sets a limit. [`Store::receive`] reads an array straight into a file. To
/// decompress, wrap the reader, and set [`Options::expect_end`], without which the decompressor
/// does not check its checksum.
///
/// # Errors
///
/// [`Header`](ErrorKind::Header) if the stream is not NPY, [`Truncated`](ErrorKind::Truncated) if
/// the stream ends within the array, [`DTypeMismatch`](ErrorKind::DTypeMismatch),
/// [`NdimMismatch`](ErrorKind::NdimMismatch), [`ShapeTooLarge`](ErrorKind::ShapeTooLarge),
/// [`Io`](ErrorKind::Io). The stream then stands somewhere within the array.
///
/// # Examples
///
/// See [`write_npy`].
pub fn read_npy<A: Element, D: Dimension>(reader: impl Read) -> Result<Option<Array<A, D>>> {
    Options::new().read_npy(reader)
}

impl Options {
    /// Reads the next array of a stream into memory. See [`read_npy`].
    ///
    /// [`shape`](Options::shape) and [`order`](Options::order) must be those of the array.
    /// [`max_nbytes`](Options::max_nbytes), [`max_header_size`](Options::max_header_size) and
    /// [`expect_end`](Options::expect_end) apply as well.
    ///
    /// # Errors
    ///
    /// As [`read_npy`]; [`OverLimit`](ErrorKind::OverLimit),
    /// [`ExpectedEnd`](ErrorKind::ExpectedEnd), [`ShapeMismatch`](ErrorKind::ShapeMismatch),
    /// [`OrderMismatch`](ErrorKind::OrderMismatch).
    pub fn read_npy<A: Element, D: Dimension>(
        &self,
        reader: impl Read,
    ) -> Result<Option<Array<A, D>>> {
        read_array(reader, self).map_err(cannot_read)
    }
}

/// Does what [`Options::read_npy`] does, for callers that have a context of their own.
pub(super) fn read_array<A: Element, D: Dimension>(
    mut reader: impl Read,
    options: &Options,
) -> Result<Option<Array<A, D>>, ErrorKind> {
    let Some(incoming) = Incoming::read(&mut reader, options)? else {
        return Ok(None);
    };
    let dim = incoming.check::<A, D>()?;
    let elements = incoming.read_elements(&mut reader)?;
    incoming.end(&mut reader, options)?;
    let shape = dim.set_f(incoming.order == Order::F);
    let array = Array::from_shape_vec(shape, elements);
    Ok(Some(
        array.expect("as many elements as the shape has were read"),
    ))
}

/// An array that has begun to arrive: its header was read, its elements were not.
pub(super) struct Incoming {
    pub(super) dtype: DType,
    pub(super) order: Order,
    pub(super) shape: Vec<usize>,
    pub(super) header_len: u64,
    nbytes: usize,
}

impl Incoming {
    /// Reads a header. `None` if the stream ends before its first byte.
    pub(super) fn read(
        reader: &mut impl Read,
        options: &Options,
    ) -> Result<Option<Incoming>, ErrorKind> {
        let limit = options.max_header_size;
        let mut bytes = Vec::with_capacity(BLOCK);
        let found = reader.take(PREFIX as u64).read_to_end(&mut bytes);
        let found = found.map_err(ErrorKind::io)?;
        if found == 0 {
            return Ok(None);
        }
        // The length is known only if the stream has ended.
        let len = if found < PREFIX {
            found as u64
        } else {
            u64::MAX
        };
        let header_len = header::extent(&bytes, len, limit).map_err(ErrorKind::of_stream)?;
        // No more is allocated than arrives, however high the caller's limit is.
        let rest = header_len.saturating_sub(PREFIX as u64);
        let read = reader.take(rest).read_to_end(&mut bytes);
        read.map_err(ErrorKind::io)?;
        if (bytes.len() as u64) < header_len {
            return Err(ErrorKind::Truncated {
                expected: header_len,
                found: bytes.len() as u64,
            });
        }
        let header = Header::decode(&bytes[..header_len as usize], limit);
        Incoming::new(header.map_err(ErrorKind::of_stream)?, options).map(Some)
    }

    fn new(header: Header, options: &Options) -> Result<Incoming, ErrorKind> {
        let Header {
            dtype,
            order,
            shape: wide,
            offset: header_len,
            ..
        } = header;
        let shape = shape::narrow(&wide);
        let itemsize = dtype.itemsize();
        let nbytes = shape
            .as_deref()
            .and_then(|shape| shape::checked_nbytes(shape, itemsize));
        let (Some(shape), Some(nbytes)) = (shape, nbytes) else {
            return Err(ErrorKind::ShapeTooLarge {
                shape: wide,
                itemsize,
            });
        };
        if nbytes as u64 > options.max_nbytes {
            return Err(ErrorKind::OverLimit {
                nbytes: nbytes as u64,
                limit: options.max_nbytes,
            });
        }
        let expected = options.shape.as_ref();
        if let Some(expected) = expected.and_then(|expected| expected.other_than(&shape, order)) {
            return Err(ErrorKind::ShapeMismatch {
                expected,
                found: shape,
            });
        }
        if options.order.is_some_and(|expected| expected != order) {
            return Err(ErrorKind::OrderMismatch);
        }
        Ok(Incoming {
            dtype,
            order,
            shape,
            header_len,
            nbytes,
        })
    }

    /// The dtype, shape and order of the array.
    pub(super) fn array(&self) -> (DType, Vec<usize>, Order) {
        (self.dtype.clone(), self.shape.clone(), self.order)
    }

    /// The bytes of the array, header and elements.
    pub(super) fn len(&self) -> u64 {
        self.header_len + self.nbytes as u64
    }

    /// The dimension, if the elements are `A` and the rank is that of `D`.
    pub(super) fn check<A: Element, D: Dimension>(&self) -> Result<D, ErrorKind> {
        assert_element::<A>();
        let dtype = A::dtype();
        if self.dtype != dtype || dtype.itemsize() != size_of::<A>() {
            return Err(ErrorKind::DTypeMismatch {
                expected: dtype.descr(),
                found: self.dtype.descr(),
                remedy: "take it as the type for that",
            });
        }
        D::from_dimension(&IxDyn(&self.shape)).ok_or_else(|| ErrorKind::NdimMismatch {
            expected: D::NDIM.unwrap_or_default(),
            found: self.shape.len(),
            shape: self.shape.clone(),
            remedy: dimension_text(self.shape.len()).into(),
        })
    }

    fn read_elements<A: Element>(&self, reader: &mut impl Read) -> Result<Vec<A>, ErrorKind> {
        let len = self.nbytes / size_of::<A>();
        let chunk = (CHUNK / size_of::<A>()).max(1);
        let mut elements = Vec::new();
        while elements.len() < len {
            let start = elements.len();
            let end = len.min(start + chunk);
            if end > elements.capacity() {
                // At most twice what has arrived, and no more than the array will have.
                let more = len.min(2 * start).max(end) - start;
                let reserved = elements.try_reserve_exact(more);
                reserved.map_err(|_| ErrorKind::OutOfMemory {
                    needed: self.nbytes as u64,
                    remedy: "take it into a file",
                })?;
            }
            elements.resize(end, A::zeroed());
            let bytes = bytemuck::cast_slice_mut(&mut elements[start..]);
            let expected = bytes.len();
            let found = fill(reader, bytes).map_err(ErrorKind::io)?;
            if found < expected {
                return Err(self.truncated(start * size_of::<A>() + found));
            }
        }
        Ok(elements)
    }

    /// Passes the bytes of the elements on, chunk by chunk.
    pub(super) fn copy<E>(
        &self,
        reader: &mut impl Read,
        refused: impl Fn(ErrorKind) -> E,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut chunk = vec![0; CHUNK.min(self.nbytes)];
        let mut copied = 0;
        while copied < self.nbytes {
            let rest = self.nbytes - copied;
            let part = &mut chunk[..rest.min(CHUNK)];
            let expected = part.len();
            let found = fill(reader, part).map_err(|error| refused(ErrorKind::io(error)))?;
            if found < expected {
                return Err(refused(self.truncated(copied + found)));
            }
            write(part)?;
            copied += found;
        }
        Ok(())
    }

    /// Checks that the stream ends here, if the options ask for that.
    pub(super) fn end(&self, reader: &mut impl Read, options: &Options) -> Result<(), ErrorKind> {
        if !options.expect_end {
            return Ok(());
        }
        match fill(reader, &mut [0]).map_err(ErrorKind::io)? {
            0 => Ok(()),
            _ => Err(ErrorKind::ExpectedEnd),
        }
    }

    fn truncated(&self, found: usize) -> ErrorKind {
        ErrorKind::Truncated {
            expected: self.len(),
            found: self.header_len + found as u64,
        }
    }
}

/// Reads until `buffer` is full or the stream ends, and says how much it read.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
