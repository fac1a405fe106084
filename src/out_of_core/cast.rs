//! Casting: numbers of whatever type a file holds, as floats.
//!
//! Which type that is, is asked once, when the work is described. From then on there is a function
//! that makes floats of bytes, and all operations are those of an array of floats.

use ndarray::Dimension;

use super::source::Source;
use super::work::OutOfCore;
use crate::dtype::{DType, Swap};
use crate::element::{AsType, Bool8, Element};
use crate::error::{Context, ErrorKind, Result};
use crate::store::{self, AnyStore};

/// How the numbers of a file become elements of type `A`.
#[derive(Clone, Debug)]
pub struct Cast<A> {
    /// What brings them into the byte order of this machine.
    pub(super) swap: Option<Swap>,
    /// The bytes of a number in the file: 1, 2, 4 or 8.
    pub(super) itemsize: usize,
    /// Makes elements of as many numbers, whose bytes are as aligned as they are.
    pub(super) make: fn(&[u8], &mut [A]),
}

/// A float that numbers of any type can be read as: `f32` and `f64`. The trait is sealed.
///
/// What becomes of each number is said at [`AsType`].
pub trait FromNumber: Element {
    #[doc(hidden)]
    fn cast_from(found: &DType) -> Option<Cast<Self>>;
}

fn make<T: AsType<A>, A>(bytes: &[u8], into: &mut [A]) {
    for (number, into) in bytemuck::cast_slice::<u8, T>(bytes).iter().zip(into) {
        *into = number.as_type();
    }
}

macro_rules! from_numbers {
    ($($float:ty)*) => {$(
        impl FromNumber for $float {
            fn cast_from(found: &DType) -> Option<Cast<$float>> {
                #[cfg(feature = "half")]
                if let Some(cast) = cast::<half::f16, $float>(found) {
                    return Some(cast);
                }
                from_numbers!(@first found, $float: i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 Bool8)
            }
        }
    )*};
    (@first $found:ident, $float:ty: $($number:ty)*) => {
        None$(.or_else(|| cast::<$number, $float>($found)))*
    };
}

from_numbers! { f32 f64 }

fn cast<T: AsType<A>, A>(found: &DType) -> Option<Cast<A>> {
    Some(Cast {
        swap: Swap::between(found, &T::dtype()).ok()?,
        itemsize: size_of::<T>(),
        make: make::<T, A>,
    })
}

impl AnyStore {
    /// The array as something to be worked on piece by piece, as elements of type `A`, whatever
    /// numbers the file holds: integers, floats, half floats or truth values, in either byte order.
    ///
    /// They are converted while they are read, and all work is done as on a file of floats. So
    /// integers of more than 53 bits are rounded, 24 bits for `f32`;
    /// [`out_of_core`](AnyStore::out_of_core) with their own type does without. What moves the
    /// elements to a new file as they are, such as `transpose`, belongs to
    /// [`out_of_core_any`](AnyStore::out_of_core_any).
    ///
    /// # Errors
    ///
    /// [`DTypeMismatch`](ErrorKind::DTypeMismatch) if they are no real numbers,
    /// [`NdimMismatch`](ErrorKind::NdimMismatch).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{AnyStore, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("image.npy");
    ///
    /// Store::create_from(&path, &array![[1_u8, 2, 3], [4, 5, 6]])?.close()?;
    /// let any = AnyStore::open(&path)?;
    /// let work = || any.out_of_core_as::<f64, IxDyn>();
    /// assert_eq!(work()?.mean()?, 3.5);
    /// assert_eq!(work()?.quantile(0.1)?, 1.5);
    /// assert_eq!(work()?.gather(&[1])?, array![[4.0, 5.0, 6.0]].into_dyn());
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    #[doc(alias = "astype")]
    pub fn out_of_core_as<A: FromNumber, D: Dimension>(&self) -> Result<OutOfCore<'_, A, D>> {
        let context = self.file.context("read");
        let (found, expected) = (self.dtype(), A::dtype());
        if Swap::between(found, &expected).is_ok() {
            return self.out_of_core();
        }
        let cast = A::cast_from(found).ok_or_else(|| {
            context.fail(ErrorKind::DTypeMismatch {
                expected: expected.descr(),
                found: found.descr(),
                remedy: "these are no real numbers, which alone are converted; ask for the elements as they are with `AnyStore::out_of_core`",
            })
        })?;
        let dim = store::dimension(context, &self.file.array)?;
        Ok(OutOfCore::new(Source::cast(&self.file, cast), dim))
    }
}

impl<A> Cast<A> {
    /// Refuses to move elements as they are.
    pub(super) fn refuse_move(context: Context<'_>) -> crate::Error {
        context.fail(ErrorKind::InvalidOption {
            reason: "its elements are converted while they are read, and a move takes them as they are; move it with `AnyStore::out_of_core_any`, or make a file of floats with `OutOfCore::map` first",
        })
    }
}
