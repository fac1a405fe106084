//! `MapOptions`, the map of an `ArrayFile`, and views of it. It passes the promise that a map takes
//! on to `mapping.rs` and touches no pointer.
#![allow(unsafe_code)]

use ndarray::{ArrayView, ArrayViewMut, Dimension, ShapeBuilder};

use super::array::Array;
use super::file::ArrayFile;
use crate::dtype::{ByteOrder, Kind};
use crate::element::Element;
use crate::error::{Context, ErrorKind, Result};
use crate::mapping::{Access, Advice, Mapping};
use crate::shape::Order;

/// Options to map a store, where the defaults of [`Store::map`](super::Store::map) do not fit.
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::{ErrorKind, MapOptions, Store};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("temp.dat");
/// # Store::<f64, _>::create(&path, 10_000)?;
/// # if cfg!(target_os = "linux") {
///
/// let store = Store::<f64, Ix1>::open(&path)?;
/// // SAFETY: nobody writes to the file without its lock, and a cut is an error.
/// let map = unsafe { MapOptions::new().guard(true).map(store)? };
/// assert_eq!(map.guarded(|view| view.sum())?, 0.0);
///
/// std::fs::File::options().write(true).open(&path)?.set_len(4096)?; // takes no lock
/// let refused = map.guarded(|view| view.sum()).unwrap_err();
/// assert!(matches!(refused.kind(), ErrorKind::Faulted { found: 4096, .. }));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct MapOptions {
    advice: Advice,
    guard: bool,
}

impl MapOptions {
    /// The defaults: no advice, no guard.
    pub fn new() -> MapOptions {
        MapOptions::default()
    }

    /// Sets how the map will be read.
    pub fn advice(self, advice: Advice) -> MapOptions {
        MapOptions { advice, ..self }
    }

    /// Survives a cut of the mapped file, and a disk that fails to read it or is full. Instead of a
    /// SIGBUS that kills the process, missing elements read as zero, and the store is
    /// [`ErrorKind::Faulted`] from then on. (A full tmpfs has no room even to read a hole.)
    ///
    /// A program that truncates a file without its lock breaks the promise that
    /// [`Store::map`](super::Store::map) takes; the guard makes that an error, which a long-running
    /// process can report. Ask with [`Mapped::guarded`](super::Mapped::guarded) or
    /// [`Mapped::check_faults`](super::Mapped::check_faults) before relying on what a view showed;
    /// flush, append, resize and all other calls that can fail check by themselves. A writable
    /// store then writes nothing any more, because writes to the zeros never reach the file.
    ///
    /// The first such map installs a handler of SIGBUS in the process, which stays. It passes on
    /// every SIGBUS that is not about a map with a guard: to the handler that was there before, or
    /// to the default, which kills. A handler that something else installs later must call the one
    /// that it replaces, or there is no guard. Nor is there one for a thread that blocks SIGBUS.
    /// Costs two system calls the first time, and for each map a call that maps, and reads, its
    /// last page once more; then none until a fault, and one with each flush or check.
    ///
    /// Linux only: elsewhere mapping is [`ErrorKind::Unsupported`].
    pub fn guard(self, guard: bool) -> MapOptions {
        MapOptions { guard, ..self }
    }
}

impl ArrayFile {
    /// Maps all elements, for views of a type of this alignment.
    ///
    /// # Safety
    ///
    /// As long as this value lives, nobody writes to its file or cuts it, or a file that a resize
    /// puts in its place, except through an exclusive borrow of this value.
    pub(super) unsafe fn map(
        &mut self,
        access: Access,
        align: usize,
        options: &MapOptions,
    ) -> Result<()> {
        let op = "map";
        self.map_align = align;
        self.check_alignment(self.context(op), self.array.offset, self.array.nbytes())?;
        let Array { offset, .. } = self.array;
        // SAFETY: by the promise of the caller.
        let map = unsafe { Mapping::new(self.file.clone(), access, offset, self.array.nbytes()) };
        let mut map = map.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.truncated(op),
            _ => self.context(op).not_mapped(error),
        })?;
        let advised = map.advise(options.advice);
        advised.map_err(|error| self.context("advise the kernel about").io(error))?;
        if options.guard {
            map.guard().map_err(|cause| match cause.kind() {
                std::io::ErrorKind::Unsupported => self.context(op).fail(ErrorKind::Unsupported {
                    what: "a guard against SIGBUS",
                    cause,
                }),
                _ => self.context("guard").io(cause),
            })?;
        }
        self.map = Some(map);
        self.access = access;
        Ok(())
    }

    /// Refuses a map whose elements are not aligned, as soon as it has any. An element has the same
    /// offset in its page of memory as in its page of the file.
    pub(super) fn check_alignment(
        &self,
        context: Context<'_>,
        offset: u64,
        nbytes: usize,
    ) -> Result<()> {
        let align = self.map_align;
        if nbytes == 0 || offset.is_multiple_of(align as u64) {
            return Ok(());
        }
        let dtype = &self.array.dtype;
        Err(context.fail(ErrorKind::Misaligned {
            dtype: dtype.descr(),
            offset: Some(offset),
            align,
            remedy: match (dtype.kind(), dtype.byte_order()) {
                (Kind::Record, _) => {
                    "declare the record as `#[repr(C, packed)]`, or its fields as `Le<T>` or `Be<T>`, or read it without a map"
                }
                (_, ByteOrder::Big) => {
                    "open it as `Be<T>` of that type, which has no alignment, or read it without a map"
                }
                (_, _) => {
                    "open it as `Le<T>` of that type, which has no alignment, or read it without a map"
                }
            },
        }))
    }

    /// The mapped elements, to be changed.
    pub(super) fn mapped_bytes_mut(&mut self) -> &mut [u8] {
        self.map.as_mut().map_or(&mut [], Mapping::as_bytes_mut)
    }
}

/// A view of mapped elements.
pub(super) fn view<'a, A: Element, D: Dimension>(
    bytes: &'a [u8],
    dim: &D,
    order: Order,
) -> ArrayView<'a, A, D> {
    // An empty array has no map, and therefore no address.
    let elements = bytemuck::try_cast_slice(bytes).unwrap_or(&[]);
    ArrayView::from_shape(dim.clone().set_f(order == Order::F), elements).expect(MAPPED)
}

/// A view of mapped elements, to change them.
pub(super) fn view_mut<'a, A: Element, D: Dimension>(
    bytes: &'a mut [u8],
    dim: &D,
    order: Order,
) -> ArrayViewMut<'a, A, D> {
    let elements = bytemuck::try_cast_slice_mut(bytes).unwrap_or(&mut []);
    ArrayViewMut::from_shape(dim.clone().set_f(order == Order::F), elements).expect(MAPPED)
}

/// The reason why a view has its elements.
const MAPPED: &str =
    "the map holds the elements of the shape, by `ArrayFile`, and they are aligned";
