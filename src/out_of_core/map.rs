//! Mapping: one or several arrays into a new one, element by element.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use ndarray::Dimension;

use super::behind::Behind;
use super::pass::{self, Pieces};
use super::scan::PIECE;
use super::source::Source;
use super::work::{OutOfCore, Work};
use crate::element::{AsType, Element};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::shape::Order;
use crate::store::{self, Layout, Store, Target};

/// Arrays of one shape and order whose elements are combined index by index.
///
/// [`OutOfCore::zip`] makes one, with the settings of the first array.
#[must_use = "nothing is done until `map` is called"]
pub struct Zip<'a, S, D> {
    sources: S,
    pub(super) dim: D,
    pub(super) order: Order,
    pub(super) context: Context<'a>,
    work: Work<'a>,
}

/// A [`Zip`] of `S` and one more array.
pub(super) type ZipWith<'a, S, B, D> = Zip<'a, (S, Source<'a, B>), D>;

/// The arrays of a [`Zip`]: one, or several and one more.
pub trait Sources: Sync {
    /// The elements at one index: `A`, `(A, B)`, `((A, B), C)`.
    type Item;
    /// The buffers that hold elements while they are converted.
    type Scratch: Default + Send;

    /// The elements of a range of the file.
    fn read<'s>(
        &'s self,
        range: Range<usize>,
        scratch: &'s mut Self::Scratch,
    ) -> Result<impl Iterator<Item = Self::Item> + 's>;

    /// The bytes of the elements at one index.
    fn itemsize() -> usize;
}

impl<A: Element> Sources for Source<'_, A> {
    type Item = A;
    type Scratch = Vec<A>;

    fn read<'s>(
        &'s self,
        range: Range<usize>,
        scratch: &'s mut Vec<A>,
    ) -> Result<impl Iterator<Item = A> + 's> {
        scratch.resize(range.len(), A::zeroed());
        Source::read(self, self.context("read"), range, scratch)?;
        Ok(scratch.iter().copied())
    }

    fn itemsize() -> usize {
        size_of::<A>()
    }
}

impl<S: Sources, T: Sources> Sources for (S, T) {
    type Item = (S::Item, T::Item);
    type Scratch = (S::Scratch, T::Scratch);

    fn read<'s>(
        &'s self,
        range: Range<usize>,
        scratch: &'s mut Self::Scratch,
    ) -> Result<impl Iterator<Item = Self::Item> + 's> {
        let first = self.0.read(range.clone(), &mut scratch.0)?;
        let second = self.1.read(range, &mut scratch.1)?;
        Ok(first.zip(second))
    }

    fn itemsize() -> usize {
        S::itemsize() + T::itemsize()
    }
}

impl<'a, A: Element, D: Dimension> OutOfCore<'a, A, D> {
    /// Makes a new file of the results of `f` for each element: ndarray's `mapv`, out of core.
    ///
    /// The new array has the same shape and order. With the feature `rayon`, `f` runs on all
    /// threads of the current pool. The file is durable when this returns; it appears as a whole or
    /// not at all.
    ///
    /// # Errors
    ///
    /// - [`Cancelled`](ErrorKind::Cancelled), and those of [`Store::create`].
    /// - [`InvalidOption`](ErrorKind::InvalidOption) if [`output`](OutOfCore::output) asks for the
    ///   other order.
    /// - [`Locked`](ErrorKind::Locked) if `path` names the array itself: write to another file.
    /// - [`Truncated`](ErrorKind::Truncated), [`Io`](ErrorKind::Io).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [celsius, fahrenheit] = ["c.npy", "f.npy"].map(|name| dir.path().join(name));
    ///
    /// let store = Store::create_from(&celsius, &array![[0.0, 25.0], [100.0, -40.0]])?;
    /// let mapped = store.out_of_core().map(&fahrenheit, |c: f64| c * 1.8 + 32.0)?;
    /// assert_eq!(mapped.read_all()?, array![[32.0, 77.0], [212.0, -40.0]]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn map<B: Element>(
        self,
        path: impl AsRef<Path>,
        f: impl Fn(A) -> B + Sync,
    ) -> Result<Store<B, D>> {
        self.alone().map(path, f)
    }

    /// Makes a new file of the results of `f` for each element. If `f` fails for one of them, no
    /// new file is made.
    ///
    /// # Errors
    ///
    /// As [`map`](OutOfCore::map), and an error of `f`; the thread that got it does not call `f`
    /// again. The error is of any type that an [`Error`] converts to, such as `Box<dyn Error>`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [wide, narrow] = ["i8.npy", "i2.npy"].map(|name| dir.path().join(name));
    ///
    /// type Refused = Box<dyn std::error::Error + Send + Sync>;
    /// let store = Store::create_from(&wide, &array![1_i64, -2, 70_000])?;
    /// let refused = store.out_of_core().try_map(&narrow, |wide: i64| -> Result<i16, Refused> {
    ///     Ok(wide.try_into()?)
    /// });
    /// assert!(refused.unwrap_err().is::<std::num::TryFromIntError>());
    /// assert!(!narrow.exists());
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn try_map<B: Element, E: From<Error> + Send>(
        self,
        path: impl AsRef<Path>,
        f: impl Fn(A) -> Result<B, E> + Sync,
    ) -> Result<Store<B, D>, E> {
        self.alone().try_map(path, f)
    }

    /// Makes a new file of the same elements converted to another type. [`AsType`] defines the
    /// conversion.
    ///
    /// # Errors
    ///
    /// As [`map`](OutOfCore::map).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [wide, narrow] = ["f8.npy", "f4.npy"].map(|name| dir.path().join(name));
    ///
    /// let store = Store::create_from(&wide, &array![1.5, 2.5])?;
    /// let halved = store.out_of_core().astype::<f32>(&narrow)?;
    /// assert_eq!(halved.dtype().descr(), "<f4");
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn astype<B: Element>(self, path: impl AsRef<Path>) -> Result<Store<B, D>>
    where
        A: AsType<B>,
    {
        self.map(path, A::as_type)
    }

    /// Combines the elements of this array with those of another one, for [`Zip::map`].
    ///
    /// # Errors
    ///
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch); [`InvalidOption`](ErrorKind::InvalidOption) if
    /// the arrays have different orders in their files, because then no piece of one matches a
    /// piece of the other.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [a, b, c] = ["a.npy", "b.npy", "c.npy"].map(|name| dir.path().join(name));
    ///
    /// let a = Store::create_from(&a, &array![1.0, 2.0])?;
    /// let b = Store::create_from(&b, &array![10, 20])?;
    /// let zip = a.out_of_core().zip(b.out_of_core())?;
    /// let c = zip.map(&c, |(a, b)| a + f64::from(b))?;
    /// assert_eq!(c.read_all()?, array![11.0, 22.0]);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn zip<B: Element>(
        self,
        other: OutOfCore<'a, B, D>,
    ) -> Result<ZipWith<'a, Source<'a, A>, B, D>> {
        self.alone().zip(other)
    }

    pub(super) fn alone(self) -> Zip<'a, Source<'a, A>, D> {
        Zip {
            order: self.source.order(),
            context: self.source.context("map"),
            sources: self.source,
            dim: self.dim,
            work: self.work,
        }
    }
}

impl<'a, S: Sources, D: Dimension> Zip<'a, S, D> {
    /// Adds another array.
    ///
    /// # Errors
    ///
    /// As [`OutOfCore::zip`].
    pub fn zip<B: Element>(self, other: OutOfCore<'a, B, D>) -> Result<ZipWith<'a, S, B, D>> {
        let context = other.source.context("zip");
        if self.dim != other.dim {
            return Err(context.fail(ErrorKind::ShapeMismatch {
                expected: self.dim.slice().to_vec(),
                found: other.dim.slice().to_vec(),
            }));
        }
        if self.order != other.source.order() {
            return Err(context.fail(ErrorKind::InvalidOption {
                reason: "the arrays lie in different orders in their files; bring one into the other's with `OutOfCore::to_order`",
            }));
        }
        Ok(self.and(other.source))
    }

    /// Takes the elements of `other` as well.
    pub(super) fn and<T>(self, other: T) -> Zip<'a, (S, T), D> {
        Zip {
            sources: (self.sources, other),
            dim: self.dim,
            order: self.order,
            context: self.context,
            work: self.work,
        }
    }

    /// Makes a new file of the results of `f` for the elements at each index: `(a, b)`, or
    /// `((a, b), c)` for three arrays.
    ///
    /// # Errors
    ///
    /// As [`OutOfCore::map`].
    pub fn map<B: Element>(
        self,
        path: impl AsRef<Path>,
        f: impl Fn(S::Item) -> B + Sync,
    ) -> Result<Store<B, D>> {
        self.try_map(path, |item| Ok(f(item)))
    }

    /// As [`map`](Zip::map), with an `f` that can fail. See [`OutOfCore::try_map`].
    ///
    /// # Errors
    ///
    /// As [`OutOfCore::try_map`].
    pub fn try_map<B: Element, E: From<Error> + Send>(
        mut self,
        path: impl AsRef<Path>,
        f: impl Fn(S::Item) -> Result<B, E> + Sync,
    ) -> Result<Store<B, D>, E> {
        let order = self.order;
        let context = Context::new(path.as_ref(), self.context.op);
        let reason =
            "the new array has the order of the old one; change it with `OutOfCore::to_order`";
        self.work.check_order(context, order, reason)?;
        let options = self.work.options().clone();
        let layout = Layout::of::<B, D>(path.as_ref(), self.dim.slice(), order, &options)?;
        let fill = |target: &Target<'_>| self.fill(target, f);
        let file = store::create_reserved(path.as_ref(), layout, &options, fill)?;
        Ok(Store::from_file(file).map_err(Error::from)?)
    }

    fn fill<B: Element, E: From<Error> + Send>(
        &mut self,
        target: &Target<'_>,
        f: impl Fn(S::Item) -> Result<B, E> + Sync,
    ) -> Result<(), E> {
        let len = self.dim.size();
        let nbytes = len * size_of::<B>();
        let piece_len = (PIECE / S::itemsize().max(size_of::<B>())).max(1);
        let count = len.div_ceil(piece_len);
        let piece = |index: usize| index * piece_len..((index + 1) * piece_len).min(len);
        let mut behind = Behind::new(target.file(), target.in_file(0..nbytes), &self.work);
        let mut meter = self.work.meter(self.context, (len * S::itemsize()) as u64);
        let sources = &self.sources;
        let each = |index, (scratch, output): &mut (S::Scratch, Vec<B>)| {
            let range = piece(index);
            let position = range.start * size_of::<B>();
            output.clear();
            // All of them without a check in between, so that a loop that cannot fail has no branch
            // for each element.
            let mut failed = None;
            output.extend(sources.read(range, scratch)?.map(|item| {
                if failed.is_some() {
                    return B::zeroed();
                }
                f(item).unwrap_or_else(|error| {
                    failed = Some(error);
                    B::zeroed()
                })
            }));
            match failed {
                Some(error) => Err(error),
                None => Ok(target.write_at(position as u64, bytemuck::cast_slice(output))?),
            }
        };
        pass::run(Pieces::independent(count), &mut meter, each, |index, ()| {
            let range = piece(index);
            let written = behind.reached(target.in_file(0..range.end * size_of::<B>()).end);
            written.map_err(|error| target.error(error))?;
            Ok((range.len() * S::itemsize()) as u64)
        })
    }
}

impl<S, D: fmt::Debug> fmt::Debug for Zip<'_, S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zip")
            .field("dim", &self.dim)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}
