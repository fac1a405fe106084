//! `Options`: the builder behind every way to open or create a store.

use ndarray::{Dimension, IntoDimension};

use crate::dtype::DType;
use crate::header::DEFAULT_LIMIT;
use crate::shape::{self, Order};
use crate::sys::{LockPolicy, Patience};

/// Options to open or create a store, where the defaults of [`Store`](super::Store)'s constructors
/// do not fit.
///
/// # Examples
///
/// A headerless file, as `np.memmap('raw.bin', '<f4', 'r', offset=8, shape=(2, 3), order='F')`
/// reads it:
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::{Options, Order};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("raw.bin");
/// # std::fs::write(&path, bytemuck::bytes_of(&[0_f32; 8])).unwrap();
///
/// let store = Options::new().raw(8).shape((2, 3)).order(Order::F).open::<f32, Ix2>(&path)?;
/// assert_eq!(store.shape(), [2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(crate) order: Option<Order>,
    pub(crate) shape: Option<Expected>,
    /// `None` takes no lock.
    pub(super) lock: Option<LockPolicy>,
    pub(super) raw: Option<u64>,
    pub(super) dtype: Option<DType>,
    pub(super) compact: bool,
    pub(super) sparse: bool,
    pub(super) beside_readers: bool,
    pub(super) drop_trailing: bool,
    pub(super) allow_trailing: bool,
    pub(super) allow_truncated: bool,
    pub(crate) max_header_size: usize,
    /// The limit for an array that comes by a stream.
    pub(crate) max_nbytes: u64,
    /// Whether a stream must end behind the array.
    pub(crate) expect_end: bool,
}

/// The caller's knowledge of the shape.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    Shape(Vec<usize>),
    /// The shape of a row.
    Rows(Vec<usize>),
}

impl Expected {
    /// The expected shape, if `found` is another one.
    pub(crate) fn other_than(&self, found: &[usize], order: Order) -> Option<Vec<usize>> {
        let expected = match self {
            Expected::Shape(shape) => shape.clone(),
            Expected::Rows(row) => shape::of_rows(row, shape::rows(found, order), order),
        };
        (expected != found).then_some(expected)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            order: None,
            shape: None,
            lock: Some(LockPolicy::default()),
            raw: None,
            dtype: None,
            compact: false,
            sparse: false,
            beside_readers: false,
            drop_trailing: false,
            allow_trailing: false,
            allow_truncated: false,
            max_header_size: DEFAULT_LIMIT,
            max_nbytes: u64::MAX,
            expect_end: false,
        }
    }
}

impl Options {
    /// The defaults: C order, failure at once if the lock is taken, a header of 4096 bytes,
    /// allocated blocks.
    pub fn new() -> Options {
        Options::default()
    }

    /// Sets the order of the elements in the file. It overrides the order of the shape, and is the
    /// only way to set the order of a new array that is empty or has a single column. A file with a
    /// header must have this order.
    pub fn order(self, order: Order) -> Options {
        Options {
            order: Some(order),
            ..self
        }
    }

    /// Sets the shape to expect in a file that is opened. A raw file without it is one-dimensional,
    /// as long as the file. A file with a header must have this shape.
    ///
    /// A raw file must end with the array, unless [`allow_trailing`](Options::allow_trailing) or
    /// [`drop_trailing`](Options::drop_trailing) is given: otherwise a file of 385 channels that is
    /// opened with 384 would be read without a word, with every row but the first shifted.
    pub fn shape(self, shape: impl IntoDimension) -> Options {
        let shape = shape.into_dimension().slice().to_vec();
        Options {
            shape: Some(Expected::Shape(shape)),
            ..self
        }
    }

    /// Sets the shape of a row of a raw file. The array has as many rows as the file, which must
    /// end with the last one: `row_shape(385)` is NumPy's `np.fromfile(f).reshape(-1, 385)`. Rows
    /// follow each other along the slowest axis, which is the first in C order and the last in
    /// Fortran order.
    ///
    /// The rows of a file with a header must have this shape. It replaces
    /// [`shape`](Options::shape).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{ErrorKind, Options};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("raw.bin");
    /// std::fs::write(&path, bytemuck::bytes_of(&[7_i16; 2 * 385]))?;
    ///
    /// let store = Options::new().raw(0).row_shape(385).open::<i16, Ix2>(&path)?;
    /// assert_eq!(store.shape(), [2, 385]);
    /// let refused = Options::new().raw(0).row_shape(384).open::<i16, Ix2>(&path);
    /// assert!(matches!(refused.unwrap_err().kind(), ErrorKind::TrailingBytes { found: 4, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn row_shape(self, shape: impl IntoDimension) -> Options {
        let shape = shape.into_dimension().slice().to_vec();
        Options {
            shape: Some(Expected::Rows(shape)),
            ..self
        }
    }

    /// Sets what to do when another store holds the lock.
    pub fn lock(self, policy: LockPolicy) -> Options {
        Options {
            lock: Some(policy),
            ..self
        }
    }

    /// The defaults, with those of these options that apply to a file of bare bytes.
    pub(crate) fn of_bare_bytes(&self) -> Options {
        Options {
            lock: self.lock,
            allow_trailing: self.allow_trailing,
            ..Options::new()
        }
    }

    /// The time to wait for a lock, or `None` if none is taken.
    pub(crate) fn patience(&self) -> Option<Patience> {
        self.lock.map(Patience::from)
    }

    /// Takes no lock, and ignores those of others: for writers of disjoint rows in several
    /// processes, a common use of `np.memmap`.
    ///
    /// Writes of another process are seen whole or in part. The caller who maps such a store
    /// promises what the lock ensures among other stores.
    pub fn no_lock(self) -> Options {
        Options { lock: None, ..self }
    }

    /// Opens or creates a raw file: no header, the data start at byte `offset`. The dtype is that
    /// of the element type.
    pub fn raw(self, offset: u64) -> Options {
        Options {
            raw: Some(offset),
            ..self
        }
    }

    /// Sets the dtype of a raw file that [`open_any`](Options::open_any) opens. A typed store has
    /// the dtype of its element type.
    pub fn dtype(self, dtype: DType) -> Options {
        Options {
            dtype: Some(dtype),
            ..self
        }
    }

    /// Writes the header as `np.save` does: as short as possible (mostly 128 bytes) instead of
    /// 4096, for readers that cannot take more. The data then do not start on a page.
    pub fn compact(self, compact: bool) -> Options {
        Options { compact, ..self }
    }

    /// Leaves holes in a new file, as NumPy does, instead of allocating its blocks: an array may
    /// then be larger than the disk. Writing into a hole of a full disk is an error, or through a
    /// map a SIGBUS that kills the process. A file that has holes keeps them when it is resized.
    pub fn sparse(self, sparse: bool) -> Options {
        Options { sparse, ..self }
    }

    /// Lets a new file take the place of one that others read, who keep the old one:
    /// [`is_current`](super::Store::is_current) tells them, and [`refresh`](super::Store::refresh)
    /// is [`ErrorKind::Moved`](crate::ErrorKind::Moved). One that anybody writes or appends to, or
    /// shares, is [`Locked`](crate::ErrorKind::Locked) as ever.
    ///
    /// [`into_read_only`](super::Store::into_read_only) then lets readers in to the new one.
    pub fn beside_readers(self, beside: bool) -> Options {
        Options {
            beside_readers: beside,
            ..self
        }
    }

    /// Lets [`append`](super::Store::append), [`truncate`](super::Store::truncate) and
    /// [`resize`](super::Store::resize) drop the bytes behind the array, whoever wrote them. Rows
    /// of an append that was killed are dropped anyway, if the header is marked (docs/format.md).
    /// [`adopt_rows`](super::Store::adopt_rows) makes rows of them instead.
    pub fn drop_trailing(self, drop: bool) -> Options {
        Options {
            drop_trailing: drop,
            ..self
        }
    }

    /// Opens a raw file even if other bytes follow the array, and leaves them alone. Appending
    /// needs [`drop_trailing`](Options::drop_trailing).
    pub fn allow_trailing(self, allow: bool) -> Options {
        Options {
            allow_trailing: allow,
            ..self
        }
    }

    /// Opens also a file that ends before the array, with the rows that are there from their first
    /// to their last byte, if there are fewer than the header names: what is left of a copy that
    /// was broken off.
    ///
    /// The file stays as it is until the store [truncates](super::Store::truncate) it to the rows
    /// that it has, or appends rows to it.
    pub fn allow_truncated(self, allow: bool) -> Options {
        Options {
            allow_truncated: allow,
            ..self
        }
    }

    /// Sets how many characters a header may have. The default is 10,000, as in NumPy; only records
    /// with hundreds of fields need more.
    pub fn max_header_size(self, characters: usize) -> Options {
        Options {
            max_header_size: characters,
            ..self
        }
    }

    /// Sets how many bytes the elements of an array that comes by a stream may have. The default is
    /// no limit.
    pub fn max_nbytes(self, nbytes: u64) -> Options {
        Options {
            max_nbytes: nbytes,
            ..self
        }
    }

    /// Expects the stream to end with the array: any byte behind its last element is an error.
    ///
    /// Decompressors check their checksum at the end of the stream, so this option makes the check
    /// count. Without it reading stops at the last element, and another array may follow.
    pub fn expect_end(self, expect_end: bool) -> Options {
        Options { expect_end, ..self }
    }
}
