//! `CopyOnWrite`: an array in a file whose changes stay in memory, and which is therefore always
//! mapped.

use std::fmt;
use std::path::Path;

use ndarray::{ArrayView, ArrayViewMut, Dimension};

#[cfg(doc)]
use super::map_options::MapOptions;
use super::map_options::{view, view_mut};
use super::mode::ReadOnly;
use super::typed::Store;
use crate::dtype::DType;
use crate::element::Element;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::mapping::Advice;
use crate::shape::Order;

/// An array in a file, mapped for changes that never reach the file: NumPy's mode `c`.
///
/// [`Store::open_cow`] and [`Store::map_cow`] make one. Each page that is written to is copied; the
/// file is open for reading, under a shared lock. No swap is reserved, so an array larger than
/// memory opens, but no more pages can be changed than memory holds.
///
/// It lends no [`Store`], because a store reads the file, which lacks the changes.
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::Store;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("temp.dat");
/// # drop(Store::create_from(&path, &array![1.0, 2.0])?);
///
/// // SAFETY: nobody writes to the file or cuts it without its lock while it is mapped.
/// let mut array = unsafe { Store::<f64, Ix1>::open_cow(&path)? };
/// array.view_mut()[0] = 5.0;
/// assert_eq!(array.view(), array![5.0, 2.0]);
/// assert_eq!(Store::<f64, Ix1>::open(&path)?.get(0)?, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CopyOnWrite<A, D> {
    /// It has a private map, and its elements are aligned for `A`.
    store: Store<A, D, ReadOnly>,
}

impl<A: Element, D: Dimension> CopyOnWrite<A, D> {
    /// `store` has a private map, and its elements are aligned for `A`.
    pub(super) fn new(store: Store<A, D, ReadOnly>) -> CopyOnWrite<A, D> {
        CopyOnWrite { store }
    }

    /// The array with its changes, to be read in place. The cost does not depend on the size.
    pub fn view(&self) -> ArrayView<'_, A, D> {
        view(self.as_bytes(), &self.store.dim, self.order())
    }

    /// The array with its changes, to be changed in place.
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, A, D> {
        let order = self.order();
        let Store { file, dim, .. } = &mut self.store;
        view_mut(file.mapped_bytes_mut(), dim, order)
    }

    /// The bytes of the elements with their changes, in the order of the file.
    pub fn as_bytes(&self) -> &[u8] {
        self.store.file.mapped_bytes()
    }

    pub(crate) fn store(&self) -> &Store<A, D, ReadOnly> {
        &self.store
    }

    /// Runs `read` over the view and returns its result, if all elements that it saw were in the
    /// file. See [`Mapped::guarded`](super::Mapped::guarded).
    ///
    /// # Errors
    ///
    /// As [`Mapped`](super::Mapped)'s.
    pub fn guarded<R>(&self, read: impl FnOnce(ArrayView<'_, A, D>) -> R) -> Result<R> {
        self.store.file.guarded(|| read(self.view()))
    }

    /// Says whether every element that a view showed was in the file. See
    /// [`Mapped::check_faults`](super::Mapped::check_faults).
    ///
    /// # Errors
    ///
    /// As [`Mapped`](super::Mapped)'s.
    pub fn check_faults(&self) -> Result<()> {
        self.store.file.check_faults("read")
    }

    /// Tells the kernel how the map will be read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the kernel refuses.
    pub fn advise(&self, advice: Advice) -> Result<()> {
        self.store.file.advise(advice)
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        self.store.shape()
    }

    /// The number of axes.
    pub fn ndim(&self) -> usize {
        self.store.ndim()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// The bytes of all elements.
    pub fn nbytes(&self) -> usize {
        self.store.nbytes()
    }

    /// The order of the elements in the file.
    pub fn order(&self) -> Order {
        self.store.order()
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> &DType {
        self.store.dtype()
    }

    /// The byte of the file at which the elements start.
    pub fn offset(&self) -> u64 {
        self.store.offset()
    }

    /// The absolute path by which the file was opened.
    pub fn path(&self) -> &Path {
        self.store.path()
    }
}

impl<A: Element, D: Dimension> fmt::Debug for CopyOnWrite<A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.file.describe("CopyOnWrite", f)
    }
}
