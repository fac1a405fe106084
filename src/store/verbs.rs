//! The ways to open and to create a store, with options.

use std::path::Path;

use ndarray::{ArrayRef, Dimension, ShapeBuilder};

use super::any::AnyStore;
use super::layout::Layout;
use super::mode::{AccessMode, Mode, Opened, ReadOnly, ReadWrite};
use super::options::Options;
use super::place::Existing;
use super::typed::Store;
use super::{create, open};
use crate::element::Element;
use crate::error::{Context, ErrorKind, Result};

impl Options {
    /// Opens a file for reading. See [`Store::open`].
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn open<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<Store<A, D, ReadOnly>> {
        self.open_as(path.as_ref())
    }

    /// Opens a file for reading and writing. See [`Store::open_rw`].
    ///
    /// # Errors
    ///
    /// As [`Store::open_rw`].
    pub fn open_rw<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<Store<A, D, ReadWrite>> {
        self.open_as(path.as_ref())
    }

    /// Opens a file of any dtype and rank. See [`AnyStore::open_mode`].
    ///
    /// # Errors
    ///
    /// As [`AnyStore::open_mode`]; [`ErrorKind::InvalidOption`] for a raw file without
    /// [`dtype`](Options::dtype).
    pub fn open_any(&self, path: impl AsRef<Path>, mode: Mode) -> Result<AnyStore> {
        let path = path.as_ref();
        let refused =
            |reason| Err(Context::new(path, "open").fail(ErrorKind::InvalidOption { reason }));
        let opened = match mode {
            Mode::Read => Opened::Read,
            Mode::ReadWrite => Opened::Alone,
            Mode::CopyOnWrite => {
                return refused(
                    "`c` is a mode of maps; open it as `r`, and map that with `Store::map_cow`",
                );
            }
            Mode::Write => {
                return refused(
                    "`w+` makes a new file, which needs a type and a shape; use `Store::create`",
                );
            }
        };
        let file = open::open(path, opened, None, self, self.dtype.clone())?;
        Ok(AnyStore { file })
    }

    fn open_as<A: Element, D: Dimension, M: AccessMode>(
        &self,
        path: &Path,
    ) -> Result<Store<A, D, M>> {
        let file = open::open(path, M::OPENED, None, self, Some(A::dtype()))?;
        Ok(Store::from_file(file)?)
    }

    /// Creates a file, which replaces an old one. See [`Store::create`].
    ///
    /// # Errors
    ///
    /// As [`Store::create`].
    pub fn create<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
    ) -> Result<Store<A, D>> {
        self.create_zeros(path.as_ref(), shape, Existing::replaced(self))
    }

    /// Creates a file that must not exist. See [`Store::create_new`].
    ///
    /// # Errors
    ///
    /// As [`Store::create_new`].
    pub fn create_new<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
    ) -> Result<Store<A, D>> {
        self.create_zeros(path.as_ref(), shape, Existing::Refuse)
    }

    /// Creates a file with the elements of `array`, which replaces an old one. See
    /// [`Store::create_from`].
    ///
    /// # Errors
    ///
    /// As [`Store::create_from`].
    pub fn create_from<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
        array: &ArrayRef<A, D>,
    ) -> Result<Store<A, D>> {
        let file = create::create_from(path.as_ref(), array, self)?;
        Ok(Store::from_file(file)?)
    }

    fn create_zeros<A: Element, D: Dimension>(
        &self,
        path: &Path,
        shape: impl ShapeBuilder<Dim = D>,
        existing: Existing,
    ) -> Result<Store<A, D>> {
        let (dim, order) = self.dim_and_order(path, shape, size_of::<A>())?;
        let layout = Layout::of::<A, D>(path, dim.slice(), order, self)?;
        let file = create::create_zeros(path, layout, existing, self)?;
        Ok(Store::from_file(file)?)
    }
}
