//! Arrays as bare bytes, in memory and in headerless files: NumPy's `tobytes`, `frombuffer`,
//! `tofile` and `fromfile`.
//!
//! Bare bytes state neither dtype nor shape nor order, so these must be passed on with them.

use std::path::Path;

use ndarray::{
    Array, Array1, ArrayRef, ArrayView, Dimension, IntoDimension, Ix1, ShapeBuilder, StrideShape,
};

use crate::dtype::DType;
use crate::element::{Element, assert_element};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::shape::{self, Order};
use crate::store::Opened;
use crate::store::{self, AccessMode, Options, Store};
use crate::sys;

/// The order in which [`to_bytes`] lays out elements: the `order` of NumPy's `tobytes`.
///
/// An [`Order`] converts to it, so `to_bytes(Order::F)` works too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MemoryOrder {
    /// Row-major, whatever the order in memory. The default, as in NumPy, whose `'K'` means the
    /// same here.
    #[default]
    C,
    /// Column-major, whatever the order in memory.
    F,
    /// Column-major if the array is column-major and not row-major in memory; otherwise row-major.
    A,
}

impl From<Order> for MemoryOrder {
    fn from(order: Order) -> MemoryOrder {
        match order {
            Order::C => MemoryOrder::C,
            Order::F => MemoryOrder::F,
        }
    }
}

/// Returns the bytes of all elements: NumPy's `array.tobytes(order)`.
///
/// The array may have any strides. The bytes of each element stay in the byte order of `A`. If
/// memory has another order than the result, elements move in tiles that fit the caches.
///
/// # Errors
///
/// [`OutOfMemory`](ErrorKind::OutOfMemory), because a view can repeat its elements without limit.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndstore::{MemoryOrder, Order, to_bytes};
///
/// let a = array![[1_u8, 2], [3, 4]];
/// assert_eq!(to_bytes(&a, Order::C)?, [1, 2, 3, 4]);
/// assert_eq!(to_bytes(&a, Order::F)?, [1, 3, 2, 4]);
/// assert_eq!(to_bytes(&a.t(), MemoryOrder::A)?, [1, 2, 3, 4]);
/// # Ok::<(), ndstore::Error>(())
/// ```
#[doc(alias = "tobytes")]
pub fn to_bytes<A: Element, D: Dimension>(
    array: &ArrayRef<A, D>,
    order: impl Into<MemoryOrder>,
) -> Result<Vec<u8>> {
    let order = match order.into() {
        MemoryOrder::C => Order::C,
        MemoryOrder::F => Order::F,
        MemoryOrder::A => store::memory_order(array),
    };
    let nbytes = (array.len() as u64).saturating_mul(size_of::<A>() as u64);
    store::pack(array, order).ok_or_else(|| {
        let kind = ErrorKind::OutOfMemory {
            needed: nbytes,
            remedy: "pack it part by part, or write it to a file with `to_file`",
        };
        Error::pathless("make bytes of an array", kind)
    })
}

impl<A: Element, D: Dimension, M: AccessMode> Store<A, D, M> {
    /// Reads the bytes of all elements: NumPy's `array.tobytes(order)`. See [`to_bytes`].
    ///
    /// In the order of the file, the bytes are read as they are. The other order takes twice the
    /// memory meanwhile.
    ///
    /// # Errors
    ///
    /// As [`read`](Store::read).
    pub fn to_bytes(&self, order: impl Into<MemoryOrder>) -> Result<Vec<u8>> {
        let order = match order.into() {
            MemoryOrder::C => Order::C,
            MemoryOrder::F => Order::F,
            MemoryOrder::A => self.order(),
        };
        self.read_bytes_in(order)
    }
}

/// Makes an array of a copy of its bytes: NumPy's
/// `frombuffer(bytes, dtype).reshape(shape, order=order)`.
///
/// The bytes need no alignment. The array is in `order` in memory, too.
///
/// # Errors
///
/// [`Length`](ErrorKind::Length) if there are more or fewer bytes than `shape` takes,
/// [`ShapeTooLarge`](ErrorKind::ShapeTooLarge).
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndstore::{Order, from_bytes, to_bytes};
///
/// let a = array![[1.0, 2.0], [3.0, 4.0]];
/// let b = from_bytes::<f64, _>(&to_bytes(&a, Order::F)?, (2, 2), Order::F)?;
/// assert_eq!(a, b);
/// # Ok::<(), ndstore::Error>(())
/// ```
#[doc(alias = "frombuffer")]
pub fn from_bytes<A: Element, D: Dimension>(
    bytes: &[u8],
    shape: impl IntoDimension<Dim = D>,
    order: Order,
) -> Result<Array<A, D>> {
    let shape = check::<A, D>(bytes, shape.into_dimension(), order)?;
    let elements = match bytemuck::try_cast_slice(bytes) {
        Ok(elements) => elements.to_vec(),
        Err(_) => bytemuck::pod_collect_to_vec(bytes),
    };
    Ok(Array::from_shape_vec(shape, elements)
        .expect("the bytes are those of the shape, by `check`"))
}

/// Does what [`from_bytes`] does, for bytes that came with the name of their dtype: refuses them if
/// `A` has another dtype.
///
/// `dtype` is NumPy's `array.dtype.str`, [`DType::descr`]. It states the byte order, which
/// `dtype.name` leaves out.
///
/// # Errors
///
/// As [`from_bytes`]; [`DTypeMismatch`](ErrorKind::DTypeMismatch), and [`ErrorKind::Descr`] if the
/// text is not a dtype.
///
/// # Examples
///
/// ```
/// # use ndstore::{Order, from_bytes_as};
/// let bytes = [0, 0, 128, 63];
/// assert_eq!(from_bytes_as::<f32, _>("<f4", &bytes, 1, Order::C)?[0], 1.0);
/// assert!(from_bytes_as::<f32, _>("<i4", &bytes, 1, Order::C).is_err());
/// # Ok::<(), ndstore::Error>(())
/// ```
pub fn from_bytes_as<A: Element, D: Dimension>(
    dtype: &str,
    bytes: &[u8],
    shape: impl IntoDimension<Dim = D>,
    order: Order,
) -> Result<Array<A, D>> {
    let found = DType::parse(dtype)?;
    let expected = A::dtype();
    if found != expected {
        return Err(refused(ErrorKind::DTypeMismatch {
            expected: expected.descr(),
            found: found.descr(),
            remedy: "take it as the type for that",
        }));
    }
    from_bytes(bytes, shape, order)
}

/// Views bytes as an array, without a copy: NumPy's
/// `frombuffer(bytes, dtype).reshape(shape, order=order)`.
///
/// # Errors
///
/// As [`from_bytes`]; [`Misaligned`](ErrorKind::Misaligned) if the bytes do not lie at a multiple
/// of the alignment of `A`.
pub fn view_bytes<A: Element, D: Dimension>(
    bytes: &[u8],
    shape: impl IntoDimension<Dim = D>,
    order: Order,
) -> Result<ArrayView<'_, A, D>> {
    let shape = check::<A, D>(bytes, shape.into_dimension(), order)?;
    let elements = match bytemuck::try_cast_slice(bytes) {
        Ok(elements) => elements,
        Err(_) if bytes.is_empty() => &[],
        Err(_) => {
            return Err(refused(ErrorKind::Misaligned {
                dtype: A::dtype().descr(),
                offset: None,
                align: align_of::<A>(),
                remedy: "copy them with `from_bytes`, or view them as `Le<T>` or `Be<T>`, which lie anywhere",
            }));
        }
    };
    Ok(ArrayView::from_shape(shape, elements)
        .expect("the bytes are those of the shape, by `check`"))
}

/// The shape as ndarray takes it, if `bytes` has exactly its elements.
fn check<A: Element, D: Dimension>(bytes: &[u8], dim: D, order: Order) -> Result<StrideShape<D>> {
    assert_element::<A>();
    let itemsize = size_of::<A>();
    let nbytes = shape::checked_nbytes(dim.slice(), itemsize).ok_or_else(|| {
        refused(ErrorKind::ShapeTooLarge {
            shape: shape::wide(dim.slice()),
            itemsize,
        })
    })?;
    if bytes.len() != nbytes {
        return Err(refused(ErrorKind::Length {
            shape: dim.slice().to_vec(),
            itemsize,
            expected: nbytes as u64,
            found: bytes.len() as u64,
        }));
    }
    Ok(dim.set_f(order == Order::F).into())
}

fn refused(kind: ErrorKind) -> Error {
    Error::pathless("make an array of bytes", kind)
}

/// Writes the bytes of all elements in C order to a file without a header: NumPy's
/// `array.tofile(path)`.
///
/// It is [`Options::raw`] followed by [`Options::create_from`]: an old file stays until the new one
/// is whole and durable.
///
/// # Errors
///
/// As [`Store::create`].
#[doc(alias = "tofile")]
pub fn to_file<A: Element, D: Dimension>(
    path: impl AsRef<Path>,
    array: &ArrayRef<A, D>,
) -> Result<()> {
    Options::new().to_file(path, array)
}

/// Reads elements from a file without a header into memory: NumPy's
/// `fromfile(path, dtype, count, offset=offset)`.
///
/// Takes `count` elements from byte `offset`, or all up to the end of the file. To view the file in
/// place, open it with [`Options::raw`].
///
/// # Errors
///
/// - As [`Store::open`].
/// - [`ErrorKind::NotAMultiple`] if there is no `count` and the file ends within an element. NumPy
///   drops that element.
/// - [`ErrorKind::Truncated`] if the file has fewer than `count` elements, or ends before `offset`.
///   NumPy reads fewer.
/// - [`ErrorKind::OutOfMemory`] if the system has too little memory for the elements.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndstore::{from_file, to_file};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("raw.bin");
///
/// to_file(&path, &array![[1_u16, 2], [3, 4]])?;
/// assert_eq!(from_file::<u16>(&path, None, 0)?, array![1, 2, 3, 4]);
/// assert_eq!(from_file::<u16>(&path, Some(2), 2)?, array![2, 3]);
/// # Ok::<(), ndstore::Error>(())
/// ```
#[doc(alias = "fromfile")]
pub fn from_file<A: Element>(
    path: impl AsRef<Path>,
    count: Option<usize>,
    offset: u64,
) -> Result<Array1<A>> {
    Options::new().from_file(path, count, offset)
}

impl Options {
    /// Writes the bytes of all elements in C order to a file without a header. See [`to_file`].
    ///
    /// [`lock`](Options::lock) and [`no_lock`](Options::no_lock) apply.
    ///
    /// # Errors
    ///
    /// As [`to_file`].
    pub fn to_file<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
        array: &ArrayRef<A, D>,
    ) -> Result<()> {
        let options = self.of_bare_bytes().raw(0).order(Order::C);
        options.create_from(path, array).map(drop)
    }

    /// Reads elements from a file without a header into memory. See [`from_file`].
    ///
    /// [`lock`](Options::lock), [`no_lock`](Options::no_lock) and
    /// [`allow_trailing`](Options::allow_trailing) apply.
    ///
    /// # Errors
    ///
    /// As [`from_file`].
    pub fn from_file<A: Element>(
        &self,
        path: impl AsRef<Path>,
        count: Option<usize>,
        offset: u64,
    ) -> Result<Array1<A>> {
        let options = self.of_bare_bytes().raw(offset);
        let options = match count {
            Some(count) => options.shape(count).allow_trailing(true),
            None => options,
        };
        read_file(path.as_ref(), &options)
    }
}

fn read_file<A: Element>(path: &Path, options: &Options) -> Result<Array1<A>> {
    assert_element::<A>();
    // Opening checks and locks the file. Reading its bytes is then faster than a page fault for
    // each page.
    let raw = store::open(path, Opened::Read, None, options, Some(A::dtype()))?;
    let context = Context::new(path, "read");
    let elements = sys::zeroed_vec(raw.array.shape[0]);
    let mut elements: Vec<A> = elements.ok_or_else(|| {
        context.fail(ErrorKind::OutOfMemory {
            needed: raw.array.nbytes() as u64,
            remedy: "read a part of it by `count` and `offset`, or open it in place with `Options::raw`",
        })
    })?;
    let bytes = bytemuck::cast_slice_mut(&mut elements);
    raw.read_at(context.op, 0, bytes)?;
    Ok(Array::from_shape_vec(Ix1(elements.len()), elements)
        .expect("as many elements as their number"))
}
