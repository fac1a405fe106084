//! `Mapped`: a store with a map of it, and the promise that this takes. Only this file and
//! `map_options.rs` have `unsafe` in this room: they pass the promise on and touch no pointer.
#![allow(unsafe_code)]

use std::fmt;
use std::ops::Deref;
use std::path::Path;

use ndarray::{ArrayRef, ArrayView, ArrayViewMut, Dimension, IntoDimension, SliceArg};

use super::any::AnyStore;
use super::append::Appender;
use super::cow::CopyOnWrite;
use super::map_options::{MapOptions, view, view_mut};
use super::mode::{AccessMode, Mappable, Opened, ReadOnly, ReadWrite, Refreshable, Writable};
use super::typed::Store;
use crate::element::Element;
use crate::error::{ErrorKind, Result};
use crate::mapping::{Access, Advice};

/// A [`Store`] with a map of its elements, which can be used as if they were in memory.
///
/// [`Store::map`] makes one. It can do all that a store can: it lends the store for methods that
/// take `&self`, and has the others itself, after which the map shows the content of the file.
/// Nobody can change the store, or exchange it for another one, under the map.
///
/// Views are as fast as memory if the file is in the page cache. If it is not, each page that is
/// touched is read by a page fault; [`MapOptions::advice`] and [`Store::out_of_core`] help with
/// that.
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::Store;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("temp.dat");
///
/// let store = Store::create_from(&path, &array![1.0, 2.0, 3.0])?;
/// // SAFETY: nobody writes to the file or cuts it without its lock while it is mapped.
/// let mut map = unsafe { store.map()? };
/// map.view_mut()[0] = 5.0;
/// assert_eq!(map.view().sum(), 10.0);
/// map.append(&array![4.0])?;
/// assert_eq!(map.view(), array![5.0, 2.0, 3.0, 4.0]);
/// map.flush()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A store that was opened for reading cannot be written to:
///
/// ```compile_fail,E0277
/// # use ndarray::Ix1;
/// # use ndstore::Mapped;
/// let mut map = unsafe { Mapped::<f64, Ix1>::open("temp.dat")? };
/// map.view_mut().fill(0.0);
/// # Ok::<(), ndstore::Error>(())
/// ```
///
/// No map gives its store away to be changed:
///
/// ```compile_fail,E0596
/// # use ndarray::Ix1;
/// # use ndstore::{Mapped, Store};
/// # fn swap(mut map: Mapped<f64, Ix1>, mut other: Store<f64, Ix1>) {
/// std::mem::swap(&mut *map, &mut other);
/// # }
/// ```
pub struct Mapped<A, D, M = ReadWrite> {
    /// It has a map, and its elements are aligned for `A`.
    store: Store<A, D, M>,
}

/// A map of a [`Store`] whose dtype and rank are known only at run time. [`AnyStore::map`] makes
/// one.
pub struct AnyMapped {
    store: AnyStore,
}

impl MapOptions {
    /// Maps a store. See [`Store::map`].
    ///
    /// # Safety
    ///
    /// As [`Store::map`].
    ///
    /// # Errors
    ///
    /// As [`Store::map`], and [`ErrorKind::Unsupported`] for a guard where there is none.
    pub unsafe fn map<A: Element, D: Dimension, M: Mappable>(
        &self,
        mut store: Store<A, D, M>,
    ) -> Result<Mapped<A, D, M>> {
        // SAFETY: by the promise of the caller.
        unsafe { store.file.map(M::OPENED.access(), align_of::<A>(), self)? };
        Ok(Mapped { store })
    }

    /// Maps a store whose changes stay in memory. See [`Store::map_cow`].
    ///
    /// # Safety
    ///
    /// As [`Store::map`].
    ///
    /// # Errors
    ///
    /// As [`map`](MapOptions::map).
    pub unsafe fn map_cow<A: Element, D: Dimension>(
        &self,
        mut store: Store<A, D, ReadOnly>,
    ) -> Result<CopyOnWrite<A, D>> {
        // SAFETY: by the promise of the caller.
        unsafe { store.file.map(Access::CopyOnWrite, align_of::<A>(), self)? };
        Ok(CopyOnWrite::new(store))
    }

    /// Maps a store of any dtype and rank. See [`AnyStore::map`].
    ///
    /// # Safety
    ///
    /// As [`Store::map`].
    ///
    /// # Errors
    ///
    /// As [`map`](MapOptions::map), except for the alignment.
    pub unsafe fn map_any(&self, mut store: AnyStore) -> Result<AnyMapped> {
        let access = store.file.access;
        if !matches!(
            store.file.opened,
            Opened::Read | Opened::Alone | Opened::Rows
        ) {
            return Err(store.file.context("map").fail(ErrorKind::InvalidOption {
                reason: "others may change its elements; open it to read it, to write it alone, or to write some rows",
            }));
        }
        // SAFETY: by the promise of the caller.
        unsafe { store.file.map(access, 1, self)? };
        Ok(AnyMapped { store })
    }
}

impl<A: Element, D: Dimension, M: Mappable> Store<A, D, M> {
    /// Maps the array into memory: [`view`](Mapped::view) then shows it in place, without a copy.
    /// [`MapOptions`] has settings.
    ///
    /// Costs a system call, whatever the size.
    ///
    /// # Safety
    ///
    /// As long as the map lives, nobody writes to the file or cuts it without its lock: neither
    /// another process (NumPy, `cp`) nor this one (`std::fs::write`), nor a store that was opened
    /// with [`Options::no_lock`](super::Options::no_lock). All other stores respect the lock.
    ///
    /// If somebody does write, elements change under a reference that Rust takes for constant,
    /// which is undefined behaviour. If somebody cuts the file, touching the missing pages kills
    /// the process with SIGBUS, or with [`MapOptions::guard`] is an error.
    ///
    /// For a store without a lock, the caller promises that nobody writes to any of its elements
    /// while one of its views is alive, and that nobody else touches the elements that this store
    /// writes.
    ///
    /// # Errors
    ///
    /// - [`Misaligned`](ErrorKind::Misaligned) if the elements cannot be viewed in place.
    /// - [`Truncated`](ErrorKind::Truncated) if somebody cut the file.
    /// - [`NotMapped`](ErrorKind::NotMapped) if the file system has no maps, or the process has no
    ///   room for one: the file can be read without a map. [`Io`](ErrorKind::Io) if the system
    ///   refuses for another reason.
    ///
    /// After an error the store is closed.
    pub unsafe fn map(self) -> Result<Mapped<A, D, M>> {
        // SAFETY: by the promise of the caller.
        unsafe { MapOptions::new().map(self) }
    }
}

impl<A: Element, D: Dimension> Store<A, D, ReadOnly> {
    /// Maps the array into memory for changes that stay there: NumPy's mode `c`. See
    /// [`CopyOnWrite`].
    ///
    /// # Safety
    ///
    /// As [`map`](Store::map).
    ///
    /// # Errors
    ///
    /// As [`map`](Store::map).
    pub unsafe fn map_cow(self) -> Result<CopyOnWrite<A, D>> {
        // SAFETY: by the promise of the caller.
        unsafe { MapOptions::new().map_cow(self) }
    }
}

impl<A: Element, D: Dimension> Store<A, D> {
    /// Opens an existing file whose changes stay in memory, NumPy's mode `c`:
    /// [`open`](Store::open), then [`map_cow`](Store::map_cow).
    ///
    /// # Safety
    ///
    /// As [`map`](Store::map).
    ///
    /// # Errors
    ///
    /// As [`open`](Store::open) and [`map`](Store::map).
    pub unsafe fn open_cow(path: impl AsRef<Path>) -> Result<CopyOnWrite<A, D>> {
        // SAFETY: by the promise of the caller.
        unsafe { Store::open(path)?.map_cow() }
    }
}

impl AnyStore {
    /// Maps the array into memory. See [`Store::map`].
    ///
    /// # Safety
    ///
    /// As [`Store::map`].
    ///
    /// # Errors
    ///
    /// As [`Store::map`], except for the alignment.
    pub unsafe fn map(self) -> Result<AnyMapped> {
        // SAFETY: by the promise of the caller.
        unsafe { MapOptions::new().map_any(self) }
    }
}

impl<A: Element, D: Dimension> Mapped<A, D> {
    /// Opens an existing file for reading and maps it: [`Store::open`], then [`Store::map`].
    ///
    /// # Safety
    ///
    /// As [`Store::map`].
    ///
    /// # Errors
    ///
    /// As [`Store::open`] and [`Store::map`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Mapped, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("temp.dat");
    /// # Store::create_from(&path, &array![[1.0, 2.0]])?;
    ///
    /// // SAFETY: nobody writes to the file or cuts it without its lock while it is mapped.
    /// let map = unsafe { Mapped::<f64, Ix2>::open(&path)? };
    /// assert_eq!(map.view().sum(), 3.0);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Mapped<A, D, ReadOnly>> {
        // SAFETY: by the promise of the caller.
        unsafe { Store::open(path)?.map() }
    }

    /// Opens an existing file for reading and writing and maps it: [`Store::open_rw`], then
    /// [`Store::map`].
    ///
    /// # Safety
    ///
    /// As [`Store::map`].
    ///
    /// # Errors
    ///
    /// As [`Store::open_rw`] and [`Store::map`].
    pub unsafe fn open_rw(path: impl AsRef<Path>) -> Result<Mapped<A, D>> {
        // SAFETY: by the promise of the caller.
        unsafe { Store::open_rw(path)?.map() }
    }
}

impl<A: Element, D: Dimension, M: AccessMode> Mapped<A, D, M> {
    /// The array, to be read in place. The cost does not depend on the size.
    pub fn view(&self) -> ArrayView<'_, A, D> {
        view(self.as_bytes(), &self.store.dim, self.order())
    }

    /// The array, to be read and written in place.
    ///
    /// Writes are in the file at the latest after a [`flush`](Store::flush).
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, A, D>
    where
        M: Writable,
    {
        let order = self.order();
        let Store { file, dim, .. } = &mut self.store;
        view_mut(file.mapped_bytes_mut(), dim, order)
    }

    /// The bytes of the elements, in the order of the file.
    pub fn as_bytes(&self) -> &[u8] {
        self.store.file.mapped_bytes()
    }

    /// Runs `read` over the view and returns its result, if all elements that it saw were in the
    /// file: [`view`](Mapped::view), then [`check_faults`](Mapped::check_faults), in one, for a map
    /// with [`MapOptions::guard`].
    ///
    /// Effects of `read` are not undone: a file that it wrote with
    /// [`create_from`](Store::create_from) may hold zeros.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Faulted`] if the file was cut, or its disk failed, at any time before `read`
    /// returned; [`InvalidOption`](ErrorKind::InvalidOption) for a map without a guard.
    pub fn guarded<R>(&self, read: impl FnOnce(ArrayView<'_, A, D>) -> R) -> Result<R> {
        self.store.file.guarded(|| read(self.view()))
    }

    /// Checks that every element that a view showed was in the file, and that the file was not cut,
    /// nor its disk failed, while it was mapped. Costs one system call.
    ///
    /// With [`MapOptions::guard`] the answer covers everything that was read before, even if the
    /// file was made as long again, as `cp` and `std::fs::write` do. It cannot see:
    ///
    /// - elements that are overwritten in place, or in which a hole is punched, without a cut;
    /// - a cut that ends within the very page of the file that the array ends in, once the file is
    ///   as long again, because the kernel merely clears the rest of that page.
    ///
    /// Without a guard it looks only at the length of the file: a program that reads missing pages
    /// does not live to ask.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Faulted`]; [`ErrorKind::Io`] if the file system does not answer.
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

    /// Gives up the map and keeps the store. Writes through the map stay written.
    pub fn unmap(self) -> Store<A, D, M> {
        let mut store = self.store;
        store.file.unmap();
        store
    }

    /// Flushes, unmaps, unlocks and closes. Dropping it does the same without the flush.
    ///
    /// # Errors
    ///
    /// As [`flush`](Store::flush). The file is closed all the same.
    pub fn close(self) -> Result<()> {
        self.store.file.close()
    }

    /// Writes a region past the map, which then shows it. See [`Store::write`].
    ///
    /// If the disk is full or the file was cut this is an error, where writing through a view is a
    /// SIGBUS.
    ///
    /// # Errors
    ///
    /// As [`Store::write`].
    pub fn write<I: SliceArg<D>, E: Dimension>(
        &mut self,
        region: I,
        values: &ArrayRef<A, E>,
    ) -> Result<()>
    where
        M: Writable,
    {
        self.store.write(region, values)
    }

    /// Writes all elements past the map, which then shows them. See [`Store::write_all`].
    ///
    /// # Errors
    ///
    /// As [`write`](Mapped::write).
    pub fn write_all<E: Dimension>(&mut self, values: &ArrayRef<A, E>) -> Result<()>
    where
        M: Writable,
    {
        self.store.write_all(values)
    }

    /// Writes an element past the map, which then shows it. See [`Store::set`].
    ///
    /// # Errors
    ///
    /// As [`Store::set`].
    pub fn set(&mut self, index: impl IntoDimension<Dim = D>, value: A) -> Result<()>
    where
        M: Writable,
    {
        self.store.set(index, value)
    }
}

impl<A: Element, D: Dimension, M: Mappable + Refreshable> Mapped<A, D, M> {
    /// Looks for rows that were published since then, and maps them. See [`Store::refresh`].
    ///
    /// # Errors
    ///
    /// As [`Store::refresh`]; [`ErrorKind::Io`] if they cannot be mapped.
    pub fn refresh(&mut self) -> Result<usize> {
        self.store.refresh()
    }
}

impl<A: Element, D: Dimension> Mapped<A, D> {
    /// Gives the array another shape by rewriting its file, and maps the new one. See
    /// [`Store::resize`].
    ///
    /// # Errors
    ///
    /// As [`Store::resize`]; [`ErrorKind::Io`] if the new file cannot be mapped; it then replaces
    /// nothing.
    pub fn resize(&mut self, shape: impl IntoDimension<Dim = D>) -> Result<()> {
        self.store.resize(shape)
    }

    /// As [`resize`](Mapped::resize); new elements are `fill`.
    ///
    /// # Errors
    ///
    /// As [`resize`](Mapped::resize).
    pub fn resize_with(&mut self, shape: impl IntoDimension<Dim = D>, fill: A) -> Result<()> {
        self.store.resize_with(shape, fill)
    }

    /// Rewrites the file with a header of this crate, and maps the new one. See [`Store::rewrite`].
    ///
    /// # Errors
    ///
    /// As [`resize`](Mapped::resize); [`ErrorKind::InvalidOption`] for a raw file.
    pub fn rewrite(&mut self) -> Result<()> {
        self.store.rewrite()
    }

    /// Appends rows, and maps them. See [`Store::append`].
    ///
    /// # Errors
    ///
    /// As [`Store::append`]; [`ErrorKind::Io`] if they cannot be mapped, and
    /// [`ErrorKind::Misaligned`] if they are the first of an array whose elements cannot be viewed
    /// in place: then they are not appended.
    pub fn append(&mut self, rows: &ArrayRef<A, D>) -> Result<()> {
        self.store.append(rows)
    }

    /// Appends a row, and maps it. See [`Store::push`].
    ///
    /// # Errors
    ///
    /// As [`append`](Mapped::append).
    pub fn push(&mut self, row: &ArrayRef<A, D::Smaller>) -> Result<()> {
        self.store.push(row)
    }

    /// A writer that collects rows and publishes them together; each publish maps them. See
    /// [`Store::appender`].
    ///
    /// # Errors
    ///
    /// As [`Store::appender`].
    pub fn appender(&mut self) -> Result<Appender<'_, A, D>> {
        self.store.appender()
    }

    /// Keeps the first rows, and their map. See [`Store::truncate`].
    ///
    /// # Errors
    ///
    /// As [`Store::truncate`].
    pub fn truncate(&mut self, rows: usize) -> Result<()> {
        self.store.truncate(rows)
    }

    /// Gives every element a block of its own on the disk. See [`Store::allocate`].
    ///
    /// # Errors
    ///
    /// As [`Store::allocate`].
    pub fn allocate(&mut self) -> Result<()> {
        self.store.allocate()
    }
}

impl<A, D, M> Deref for Mapped<A, D, M> {
    type Target = Store<A, D, M>;

    fn deref(&self) -> &Store<A, D, M> {
        &self.store
    }
}

impl<A: Element, D: Dimension, M: AccessMode> fmt::Debug for Mapped<A, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.file.describe("Mapped", f)
    }
}

impl AnyMapped {
    /// The bytes of the elements, in the order of the file.
    pub fn as_bytes(&self) -> &[u8] {
        self.store.file.mapped_bytes()
    }

    /// Checks that every byte that was read was in the file. See [`Mapped::check_faults`].
    ///
    /// # Errors
    ///
    /// As [`Mapped::check_faults`].
    pub fn check_faults(&self) -> Result<()> {
        self.store.file.check_faults("read")
    }

    /// Gives up the map and keeps the store.
    pub fn unmap(self) -> AnyStore {
        let mut store = self.store;
        store.file.unmap();
        store
    }
}

impl Deref for AnyMapped {
    type Target = AnyStore;

    fn deref(&self) -> &AnyStore {
        &self.store
    }
}

impl fmt::Debug for AnyMapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.file.describe("AnyMapped", f)
    }
}
