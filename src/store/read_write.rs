//! Reads and writes parts of an array by system calls: any region that ndarray's slices can name,
//! or one element.

use ndarray::{
    Array, ArrayRef, ArrayViewD, ArrayViewMut, ArrayViewMutD, Dimension, IntoDimension, IxDyn,
    ShapeBuilder, SliceArg, SliceInfoElem,
};

use super::any::AnyStore;
use super::file::ArrayFile;
use super::mode::{AccessMode, Opened, Writable};
use super::region::{self, Lattice, Misfit, Region};
use super::typed::Store;
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::shape::{self, Order};
use crate::sys;

/// The size of the buffer for elements that are not contiguous.
const BUFFER: usize = 256 << 10;

/// Holes up to this size are read along, and written back, because another request would cost more.
/// Measured: at 4 KiB both ways of reading take equally long.
const HOLE: usize = 4 << 10;

/// The same for bytes that the page cache lacks: the kernel reads ahead if requests come in order,
/// and otherwise one page at a time. Measured: at 64 KiB both ways take equally long, and at 16 KiB
/// reading in order takes a sixth of the time.
const COLD_HOLE: usize = 32 << 10;

/// The operation, for errors.
const READ: &str = "read";
const WRITE: &str = "write to";

impl ArrayFile {
    /// Zeros for so many elements, or bytes, of the array.
    pub(super) fn zeroed<A: bytemuck::Zeroable>(&self, len: usize) -> Result<Vec<A>> {
        sys::zeroed_vec(len).ok_or_else(|| {
            self.context(READ).fail(ErrorKind::OutOfMemory {
                needed: (len as u64).saturating_mul(size_of::<A>() as u64),
                remedy: "read it part by part",
            })
        })
    }

    /// How many elements lie before the one at `index`.
    pub(super) fn position(&self, op: &'static str, index: &[usize]) -> Result<usize> {
        let shape = &self.array.shape;
        let position = shape::position(index, shape, self.array.order);
        position.ok_or_else(|| {
            let outside = index
                .iter()
                .zip(shape)
                .position(|(index, len)| index >= len);
            let outside = outside.filter(|_| index.len() == shape.len());
            let misfit = match outside {
                Some(axis) => Misfit::Outside {
                    axis,
                    asked: index[axis].to_string(),
                },
                None => Misfit::Ndim(index.len()),
            };
            self.misfit(op, shape, misfit)
        })
    }

    fn misfit(&self, op: &'static str, shape: &[usize], misfit: Misfit) -> Error {
        let context = self.context(op);
        match misfit {
            Misfit::Ndim(expected) => context.fail(ErrorKind::NdimMismatch {
                expected,
                found: shape.len(),
                shape: shape.to_vec(),
                remedy: "give an index or a range for each axis".into(),
            }),
            Misfit::Outside { axis, asked } => context.fail(ErrorKind::OutOfBounds {
                axis,
                asked,
                len: shape[axis],
            }),
            Misfit::Step => context.fail(ErrorKind::InvalidOption {
                reason: "a slice has a step of 0; leave it out",
            }),
        }
    }

    fn region<'a>(&self, op: &'static str, arguments: &'a [SliceInfoElem]) -> Result<Region<'a>> {
        self.region_of(op, &self.array.shape, arguments)
    }

    /// The region that slice arguments pick of a part of the array with this shape.
    pub(crate) fn region_of<'a>(
        &self,
        op: &'static str,
        shape: &[usize],
        arguments: &'a [SliceInfoElem],
    ) -> Result<Region<'a>> {
        let region = Region::new(arguments, shape);
        region.map_err(|misfit| self.misfit(op, shape, misfit))
    }

    /// Fills an array of the region's shape.
    fn read_region<A: Element>(
        &self,
        region: &Region<'_>,
        into: ArrayViewMutD<'_, A>,
    ) -> Result<()> {
        let order = self.array.order;
        let lattice = region.lattice(&self.array.shape, order);
        self.read_lattice(READ, &lattice, region.in_file(into, order))
    }

    /// Fills an array whose indices are those of the lattice.
    pub(crate) fn read_lattice<A: Element>(
        &self,
        op: &'static str,
        lattice: &Lattice,
        into: ArrayViewMutD<'_, A>,
    ) -> Result<()> {
        self.read_lattice_by(size_of::<A>(), lattice, into, |at, elements| {
            let bytes = bytemuck::cast_slice_mut(elements);
            self.read_at(op, at * size_of::<A>(), bytes)
        })
    }

    /// The same by way of `fetch`, which reads elements from a place in the file, where each has so
    /// many bytes.
    pub(crate) fn read_lattice_by<A: Element>(
        &self,
        itemsize: usize,
        lattice: &Lattice,
        into: ArrayViewMutD<'_, A>,
        fetch: impl FnMut(usize, &mut [A]) -> Result<()>,
    ) -> Result<()> {
        let hole = match self.is_cold(itemsize, lattice) {
            true => COLD_HOLE / itemsize,
            false => HOLE / itemsize,
        };
        let most = (BUFFER / size_of::<A>()).max(1);
        region::read(lattice, into, most, hole, fetch)
    }

    /// Whether the page cache lacks the elements. It is asked only if the holes are wide enough for
    /// the answer to matter.
    fn is_cold(&self, size: usize, lattice: &Lattice) -> bool {
        let is_worth_it = lattice
            .holes()
            .any(|hole| (HOLE / size + 1..=COLD_HOLE / size).contains(&hole));
        is_worth_it && {
            let places = lattice.sample();
            let mut offsets = places.map(|place| self.array.offset + (place * size) as u64);
            offsets.any(|offset| !sys::is_cached(self.file(), offset))
        }
    }

    /// Writes an array of the region's shape. The caller must have the store exclusively.
    fn write_region<A: Element>(
        &self,
        region: &Region<'_>,
        values: ArrayViewD<'_, A>,
    ) -> Result<()> {
        let order = self.array.order;
        let lattice = region.lattice(&self.array.shape, order);
        self.write_lattice(&lattice, region.in_file(values, order), true)
    }

    /// Writes an array whose indices are those of the lattice. The caller must have the store
    /// exclusively.
    ///
    /// Small holes between the elements are written back as they were read, if no other thread
    /// writes meanwhile, and only under a claim on them, because others may write there.
    pub(crate) fn write_lattice<A: Element>(
        &self,
        lattice: &Lattice,
        values: ArrayViewD<'_, A>,
        alone: bool,
    ) -> Result<()> {
        let most = (BUFFER / size_of::<A>()).max(1);
        let owned = self.locked && matches!(self.opened, Opened::Alone | Opened::Rows);
        let hole = match alone && owned {
            true => HOLE / size_of::<A>(),
            false => 0,
        };
        region::write(
            lattice,
            values,
            most,
            hole,
            |at, elements: &mut [A]| {
                let bytes = bytemuck::cast_slice_mut(elements);
                self.read_at(WRITE, at * size_of::<A>(), bytes)
            },
            |at, bytes| self.write_at(WRITE, (at * size_of::<A>()) as u64, bytes),
        )
    }

    /// Reads the bytes of a region's elements, in C order of the region.
    fn read_region_bytes(&self, region: &Region<'_>) -> Result<Vec<u8>> {
        let (order, itemsize) = (self.array.order, self.array.dtype.itemsize());
        let mut shape = region.shape();
        shape.push(itemsize);
        // Their number is at most that of the array, whose bytes can be counted.
        let mut bytes = self.zeroed::<u8>(shape.iter().product())?;
        let lattice = region.lattice(&self.array.shape, order).of_bytes(itemsize);
        let view = ArrayViewMutD::from_shape(shape, &mut bytes);
        let view = view.expect("there is room for each byte");
        // Bytes are the fastest axis of either order.
        let view = region.in_file(view, Order::C);
        let (elements, byte) = (0..view.ndim() - 1, view.ndim() - 1);
        let axes: Vec<_> = match order {
            Order::C => elements.chain([byte]).collect(),
            Order::F => elements.rev().chain([byte]).collect(),
        };
        self.read_lattice(READ, &lattice, view.permuted_axes(axes))?;
        Ok(bytes)
    }

    fn check_shape(&self, op: &'static str, expected: &[usize], found: &[usize]) -> Result<()> {
        match expected == found {
            true => Ok(()),
            false => Err(self.context(op).fail(ErrorKind::ShapeMismatch {
                expected: expected.to_vec(),
                found: found.to_vec(),
            })),
        }
    }
}

impl AnyStore {
    /// Reads a region into memory, of whatever elements: their bytes as the file has them, one
    /// element after the other in C order of the region.
    /// [`AnyElement::from_bytes`](crate::AnyElement::from_bytes) prints one of them.
    ///
    /// Takes what [`Store::read`] takes.
    ///
    /// # Errors
    ///
    /// As [`Store::read`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{AnyStore, Store};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("temp.dat");
    ///
    /// Store::create_from(&path, &array![[1_u8, 2, 3], [4, 5, 6]])?.close()?;
    /// let any = AnyStore::open(&path)?;
    /// assert_eq!(any.read_region(s![.., ..;-2].as_ref())?, [3, 1, 6, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_region(&self, region: &[SliceInfoElem]) -> Result<Vec<u8>> {
        let region = self.file.region(READ, region)?;
        self.file.read_region_bytes(&region)
    }
}

impl<A: Element, D: Dimension, M: AccessMode> Store<A, D, M> {
    /// Reads a region into memory: NumPy's `m[1:3, ::2, 0].copy()`, as `store.read(s![1..3, ..;2,
    /// 0])`.
    ///
    /// It takes what [`slice`](ArrayRef::slice) of ndarray takes: ranges, steps, reversed axes,
    /// single indices, new axes. The array is in the order of the file.
    ///
    /// Costs a system call for each contiguous stretch of the file. Elements less than 4 KiB apart
    /// (32 KiB if they are not in the page cache), as those of a column, are read together with the
    /// bytes between them.
    ///
    /// # Errors
    ///
    /// - [`OutOfBounds`](ErrorKind::OutOfBounds), where ndarray panics;
    ///   [`NdimMismatch`](ErrorKind::NdimMismatch), only with [`IxDyn`](type@IxDyn).
    /// - [`OutOfMemory`](ErrorKind::OutOfMemory), [`Truncated`](ErrorKind::Truncated) if somebody
    ///   cut the file, [`Io`](ErrorKind::Io).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("temp.dat");
    ///
    /// let store = Store::create_from(&path, &array![[1, 2, 3], [4, 5, 6]])?;
    /// assert_eq!(store.read(s![.., 1])?, array![2, 5]);
    /// assert_eq!(store.read(s![1.., ..;-2])?, array![[6, 4]]);
    /// assert!(store.read(s![2, ..]).is_err());
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn read<I: SliceArg<D>>(&self, region: I) -> Result<Array<A, I::OutDim>> {
        let region = self.file.region(READ, region.as_ref())?;
        let shape = region.shape();
        let dim = I::OutDim::from_dimension(&IxDyn(&shape))
            .expect("slice arguments know how many axes they leave");
        let elements = self.file.zeroed(dim.size())?;
        let array = Array::from_shape_vec(dim.set_f(self.order() == Order::F), elements);
        let mut array = array.expect("there are as many elements");
        self.file
            .read_region(&region, array.view_mut().into_dyn())?;
        Ok(array)
    }

    /// Reads all elements into memory. See [`read`](Store::read).
    ///
    /// # Errors
    ///
    /// As [`read`](Store::read).
    pub fn read_all(&self) -> Result<Array<A, D>> {
        let mut elements = self.file.zeroed(self.len())?;
        self.file
            .read_at(READ, 0, bytemuck::cast_slice_mut(&mut elements))?;
        let shape = self.dim.clone().set_f(self.order() == Order::F);
        Ok(Array::from_shape_vec(shape, elements).expect("there are as many elements"))
    }

    /// Reads a region into an array, or into a view of one, that has its shape, whatever its
    /// strides. See [`read`](Store::read).
    ///
    /// # Errors
    ///
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch), and as [`read`](Store::read). After an error
    /// some of the elements may have been read.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("temp.dat");
    ///
    /// let store = Store::create_from(&path, &array![[1, 2, 3], [4, 5, 6]])?;
    /// let mut columns = Array2::zeros((2, 2));
    /// store.read_into(s![.., 0], &mut columns.row_mut(0))?;
    /// store.read_into(s![.., 2], &mut columns.row_mut(1))?;
    /// assert_eq!(columns, array![[1, 4], [3, 6]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn read_into<I: SliceArg<D>>(
        &self,
        region: I,
        into: &mut ArrayRef<A, I::OutDim>,
    ) -> Result<()> {
        let region = self.file.region(READ, region.as_ref())?;
        self.file.check_shape(READ, &region.shape(), into.shape())?;
        self.file.read_region(&region, into.view_mut().into_dyn())
    }

    /// Reads the element at an index.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](ErrorKind::OutOfBounds), [`NdimMismatch`](ErrorKind::NdimMismatch),
    /// [`Truncated`](ErrorKind::Truncated) if somebody cut the file, [`Io`](ErrorKind::Io).
    pub fn get(&self, index: impl IntoDimension<Dim = D>) -> Result<A> {
        let position = self.file.position(READ, index.into_dimension().slice())?;
        let mut element = A::zeroed();
        let bytes = bytemuck::bytes_of_mut(&mut element);
        self.file.read_at(READ, position * size_of::<A>(), bytes)?;
        Ok(element)
    }

    /// Writes a region: NumPy's `m[1:3, ::2, 0] = values`, as `store.write(s![1..3, ..;2, 0],
    /// &values)`.
    ///
    /// It takes what [`read`](Store::read) takes, and values that can be
    /// [broadcast](ArrayRef::broadcast) to the region's shape: one row for all rows, `arr0(0.0)`
    /// for everything. They are durable after the next [`flush`](Store::flush).
    ///
    /// # Errors
    ///
    /// - [`OutOfBounds`](ErrorKind::OutOfBounds), [`NdimMismatch`](ErrorKind::NdimMismatch),
    ///   [`ShapeMismatch`](ErrorKind::ShapeMismatch): nothing was written.
    /// - [`NoSpace`](ErrorKind::NoSpace) (in a file with holes),
    ///   [`Truncated`](ErrorKind::Truncated) if somebody cut the file, [`Io`](ErrorKind::Io): some
    ///   elements may have been written and some not.
    /// - [`Poisoned`](ErrorKind::Poisoned).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("temp.dat");
    ///
    /// let mut store = Store::<i32, _>::create(&path, (2, 3))?;
    /// store.write(s![.., ..2], &array![1, 2])?;
    /// store.write(s![1, ..;-1], &array![7, 8, 9])?;
    /// assert_eq!(store.read_all()?, array![[1, 2, 0], [9, 8, 7]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn write<I: SliceArg<D>, E: Dimension>(
        &mut self,
        region: I,
        values: &ArrayRef<A, E>,
    ) -> Result<()>
    where
        M: Writable,
    {
        self.write_slices(region.as_ref(), values)
    }

    /// The slice arguments for all elements.
    fn whole(&self) -> Vec<SliceInfoElem> {
        vec![(..).into(); self.ndim()]
    }

    fn write_slices<E: Dimension>(
        &mut self,
        slices: &[SliceInfoElem],
        values: &ArrayRef<A, E>,
    ) -> Result<()> {
        let region = self.file.region(WRITE, slices)?;
        let shape = region.shape();
        let Some(values) = values.broadcast(IxDyn(&shape)) else {
            return self.file.check_shape(WRITE, &shape, values.shape());
        };
        self.file.write_region(&region, values)
    }

    /// Writes all elements. See [`write`](Store::write): the values can be
    /// [broadcast](ArrayRef::broadcast) here as well.
    ///
    /// # Errors
    ///
    /// As [`write`](Store::write).
    pub fn write_all<E: Dimension>(&mut self, values: &ArrayRef<A, E>) -> Result<()>
    where
        M: Writable,
    {
        let whole = self.whole();
        self.write_slices(&whole, values)
    }

    /// Writes the element at an index. It is durable after the next [`flush`](Store::flush).
    ///
    /// # Errors
    ///
    /// As [`write`](Store::write).
    pub fn set(&mut self, index: impl IntoDimension<Dim = D>, value: A) -> Result<()>
    where
        M: Writable,
    {
        let position = self.file.position(WRITE, index.into_dimension().slice())?;
        let position = (position * size_of::<A>()) as u64;
        self.file
            .write_at(WRITE, position, bytemuck::bytes_of(&value))
    }

    /// The bytes of all elements in `order`.
    pub(crate) fn read_bytes_in(&self, order: Order) -> Result<Vec<u8>> {
        let mut bytes = self.file.zeroed(self.nbytes())?;
        if order == self.order() || self.ndim() < 2 {
            self.file.read_at(READ, 0, &mut bytes)?;
            return Ok(bytes);
        }
        let mut elements = self.file.zeroed::<A>(self.len())?;
        let shape = self.dim.clone().set_f(order == Order::F);
        let into = ArrayViewMut::from_shape(shape, &mut elements);
        let into = into.expect("there are as many elements").into_dyn();
        let whole = self.whole();
        let region = self.file.region(READ, &whole)?;
        self.file.read_region(&region, into)?;
        bytes.copy_from_slice(bytemuck::cast_slice(&elements));
        Ok(bytes)
    }
}
