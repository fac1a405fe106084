//! Relocation: arrays whose elements move to other places, into a new file, within a memory budget.
//!
//! `moves` says for each of them which bytes go where, `layout` has that as numbers, `plan` cuts it
//! into what fits the budget, `run` reads and `write` writes. None of them knows the type of the
//! elements. This file is the typed face and the untyped one.

mod layout;
mod moves;
mod plan;
mod run;
mod write;

use std::ops::Range;
use std::path::Path;

use ndarray::Dimension;

use self::moves::{Moves, swap};
use super::source::Part;
use super::work::{OutOfCore, OutOfCoreAny};
use crate::dtype::ByteOrder;
use crate::element::Element;
use crate::error::Result;
use crate::shape::Order;
use crate::store::{AnyStore, ArrayFile, Store};

impl<'a, A: Element, D: Dimension> OutOfCore<'a, A, D> {
    /// Makes a new file of the array with its axes reversed: `np.transpose(a)`. The result is not a
    /// view, but lies in the new file in C order, unless [`output`](OutOfCore::output) asks for the
    /// other order.
    ///
    /// Reads and writes each byte once, in runs as long as the budget allows on either side, and at
    /// the same time. The file is durable when this returns; it appears as a whole or not at all.
    /// Needs at least about 4 MiB; takes two buffers and a scratch buffer within the budget.
    ///
    /// # Errors
    ///
    /// - [`Cancelled`](crate::ErrorKind::Cancelled), and those of [`Store::create`].
    /// - [`Locked`](crate::ErrorKind::Locked) if `path` names the array itself: write to another
    ///   file.
    /// - [`Truncated`](crate::ErrorKind::Truncated) if somebody has cut the file of the array.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [rows, columns] = ["rows.npy", "columns.npy"].map(|name| dir.path().join(name));
    ///
    /// let store = Store::create_from(&rows, &array![[1, 2, 3], [4, 5, 6]])?;
    /// let transposed = store.out_of_core().memory(64 << 20).transpose(&columns)?;
    /// assert_eq!(transposed.read_all()?, array![[1, 4], [2, 5], [3, 6]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn transpose(self, path: impl AsRef<Path>) -> Result<Store<A, D>> {
        let moves = self.moves()?;
        Ok(Store::from_file(moves.transpose(path.as_ref())?)?)
    }

    /// Makes a new file of the array with its axes in another order: `np.transpose(a, axes)`. Axis
    /// `i` of the new array is axis `axes[i]` of this one.
    ///
    /// Works as [`transpose`](OutOfCore::transpose).
    ///
    /// # Errors
    ///
    /// - [`NdimMismatch`](crate::ErrorKind::NdimMismatch) for another number of axes than the array
    ///   has, [`AxisOutOfBounds`](crate::ErrorKind::AxisOutOfBounds),
    ///   [`InvalidOption`](crate::ErrorKind::InvalidOption) for an axis that is named twice.
    /// - Those of [`transpose`](OutOfCore::transpose).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [frames, pixels] = ["frames.npy", "pixels.npy"].map(|name| dir.path().join(name));
    ///
    /// // 100 frames of 4 x 5 pixels; as the course of each pixel through time.
    /// let store = Store::<u16, _>::create(&frames, (100, 4, 5))?;
    /// let courses = store.out_of_core().permute(&[1, 2, 0], &pixels)?;
    /// assert_eq!(courses.shape(), [4, 5, 100]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn permute(self, axes: &[usize], path: impl AsRef<Path>) -> Result<Store<A, D>> {
        let moves = self.moves()?;
        Ok(Store::from_file(moves.permute(axes, path.as_ref())?)?)
    }

    /// Makes a new file of the same array in `order`: `np.ascontiguousarray`, `np.asfortranarray`
    /// (which turn a 0-d array into a 1-d one; here it stays 0-d).
    ///
    /// If the array is in that order already, the kernel copies it. Otherwise this works as
    /// [`transpose`](OutOfCore::transpose).
    ///
    /// # Errors
    ///
    /// Those of [`transpose`](OutOfCore::transpose);
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) if [`output`](OutOfCore::output) asks for
    /// the other order.
    pub fn to_order(self, order: Order, path: impl AsRef<Path>) -> Result<Store<A, D>> {
        let moves = self.moves()?;
        Ok(Store::from_file(moves.in_order(order, path.as_ref())?)?)
    }

    /// Makes a new file of the same elements in another byte order:
    /// `a.astype(a.dtype.newbyteorder(order))`. The order of the elements stays that of the file,
    /// unless [`output`](OutOfCore::output) asks for the other order.
    ///
    /// The type of the new elements is not known here, so the result is an [`AnyStore`]:
    /// [`Be`](crate::Be) and [`Le`](crate::Le) view it in place. Strings and single bytes have no
    /// order, and are copied as they are.
    ///
    /// # Errors
    ///
    /// - [`InvalidOption`](crate::ErrorKind::InvalidOption) for [`ByteOrder::NotApplicable`].
    /// - [`OverBudget`](crate::ErrorKind::OverBudget) if four elements do not fit the budget, as
    ///   with records of many MiB.
    /// - Those of [`transpose`](OutOfCore::transpose).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Be, ByteOrder, ReadWrite, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [little, big] = ["little.npy", "big.npy"].map(|name| dir.path().join(name));
    ///
    /// let store = Store::create_from(&little, &array![1.5, 2.5])?;
    /// let swapped = store.out_of_core().to_byte_order(ByteOrder::Big, &big)?;
    /// assert_eq!(swapped.dtype().descr(), ">f8");
    /// let swapped = swapped.downcast::<Be<f64>, Ix1, ReadWrite>()?;
    /// assert_eq!(swapped.get(1)?.get(), 2.5);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn to_byte_order(self, order: ByteOrder, path: impl AsRef<Path>) -> Result<AnyStore> {
        let mut moves = self.moves()?;
        moves.check = |_, _| Ok(());
        any(moves.in_byte_order(order, path.as_ref()))
    }

    /// Makes a new file of this array and others, one after the other along an axis:
    /// `np.concatenate((a, b, ..), axis)`.
    ///
    /// As in NumPy, the new file is in Fortran order if all arrays are, unless
    /// [`output`](OutOfCore::output) sets an order; the settings of the others do not count. Along
    /// the slowest axis the kernel copies them.
    ///
    /// # Errors
    ///
    /// - [`AxisOutOfBounds`](crate::ErrorKind::AxisOutOfBounds),
    ///   [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the arrays differ along another
    ///   axis.
    /// - Those of [`transpose`](OutOfCore::transpose).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [a, b, joined] = ["a.npy", "b.npy", "joined.npy"].map(|name| dir.path().join(name));
    ///
    /// let a = Store::create_from(&a, &array![[1, 2], [3, 4]])?;
    /// let b = Store::create_from(&b, &array![[5], [6]])?;
    /// let joined = a.out_of_core().concatenate(&[b.out_of_core()], 1, &joined)?;
    /// assert_eq!(joined.read_all()?, array![[1, 2, 5], [3, 4, 6]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn concatenate(
        self,
        others: &[OutOfCore<'_, A, D>],
        axis: usize,
        path: impl AsRef<Path>,
    ) -> Result<Store<A, D>> {
        let others = others.iter().map(|other| other.source.movable("join"));
        let others = others.collect::<Result<_>>()?;
        let moves = self.moves()?;
        let file = moves.concatenate(others, axis, path.as_ref())?;
        Ok(Store::from_file(file)?)
    }

    /// Makes a new file of a part of the array, given by a range for each axis:
    /// `a[r0, r1, ..].copy()`. It has the order of the old file, unless
    /// [`output`](OutOfCore::output) asks for the other.
    ///
    /// Reads only that part, and bytes that share a page with it. If the part consists of long runs
    /// the kernel copies them.
    ///
    /// # Errors
    ///
    /// - [`NdimMismatch`](crate::ErrorKind::NdimMismatch) for another number of ranges than the
    ///   array has axes, [`RangeOutOfBounds`](crate::ErrorKind::RangeOutOfBounds). (NumPy cuts
    ///   ranges off at the end of the axis.)
    /// - Those of [`transpose`](OutOfCore::transpose).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [whole, part] = ["whole.npy", "part.npy"].map(|name| dir.path().join(name));
    ///
    /// let store = Store::create_from(&whole, &array![[1, 2, 3], [4, 5, 6]])?;
    /// let part = store.out_of_core().copy_region(&[0..2, 1..3], &part)?;
    /// assert_eq!(part.read_all()?, array![[2, 3], [5, 6]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn copy_region(
        self,
        ranges: &[Range<usize>],
        path: impl AsRef<Path>,
    ) -> Result<Store<A, D>> {
        let moves = self.moves()?;
        Ok(Store::from_file(moves.copy_region(ranges, path.as_ref())?)?)
    }
}

impl<'a, A: Element, D: Dimension> OutOfCore<'a, A, D> {
    fn moves(self) -> Result<Moves<'a>> {
        let (part, swap) = self.source.movable("move")?;
        Ok(Moves {
            part,
            swap,
            dtype: A::dtype(),
            work: self.work,
            check: |context, array| crate::store::check_fit::<A, D>(context, array).map(drop),
        })
    }
}

impl<'a> OutOfCoreAny<'a> {
    /// Makes a new file of the array with its axes reversed. See [`OutOfCore::transpose`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn transpose(self, path: impl AsRef<Path>) -> Result<AnyStore> {
        any(self.moves().transpose(path.as_ref()))
    }

    /// Makes a new file of the array with its axes in another order. See [`OutOfCore::permute`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn permute(self, axes: &[usize], path: impl AsRef<Path>) -> Result<AnyStore> {
        any(self.moves().permute(axes, path.as_ref()))
    }

    /// Makes a new file of the same array in `order`. See [`OutOfCore::to_order`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn to_order(self, order: Order, path: impl AsRef<Path>) -> Result<AnyStore> {
        any(self.moves().in_order(order, path.as_ref()))
    }

    /// Makes a new file of the same elements in another byte order. See
    /// [`OutOfCore::to_byte_order`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn to_byte_order(self, order: ByteOrder, path: impl AsRef<Path>) -> Result<AnyStore> {
        any(self.moves().in_byte_order(order, path.as_ref()))
    }

    /// Makes a new file of this array and others, one after the other along an axis. See
    /// [`OutOfCore::concatenate`]. The new array has the byte order of this one (NumPy makes it
    /// native).
    ///
    /// # Errors
    ///
    /// As there; [`DTypeMismatch`](crate::ErrorKind::DTypeMismatch) if the dtypes differ in more
    /// than byte order.
    pub fn concatenate(
        self,
        others: &[&AnyStore],
        axis: usize,
        path: impl AsRef<Path>,
    ) -> Result<AnyStore> {
        let dtype = &self.part.file.array.dtype;
        let others = others.iter().map(|other| {
            let swap = swap(&other.file, "concatenate", dtype)?;
            Ok((Part::whole(&other.file), swap))
        });
        let others = others.collect::<Result<_>>()?;
        any(self.moves().concatenate(others, axis, path.as_ref()))
    }

    /// Makes a new file of a part of the array, given by a range for each axis. See
    /// [`OutOfCore::copy_region`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn copy_region(self, ranges: &[Range<usize>], path: impl AsRef<Path>) -> Result<AnyStore> {
        any(self.moves().copy_region(ranges, path.as_ref()))
    }

    fn moves(self) -> Moves<'a> {
        Moves {
            dtype: self.part.file.array.dtype.clone(),
            part: self.part,
            swap: None,
            work: self.work,
            check: |_, _| Ok(()),
        }
    }
}

fn any(made: Result<ArrayFile>) -> Result<AnyStore> {
    made.map(|file| AnyStore { file })
}
