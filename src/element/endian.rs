//! `Be` and `Le`: values of a fixed byte order, at any address.

use std::cmp::Ordering;
use std::fmt::{self, Debug, Display, Formatter};
use std::hash::{Hash, Hasher};

use bytemuck::{Pod, Zeroable};

use super::Element;
use crate::dtype::{ByteOrder, DType};

/// An element whose bytes have an order: a number, a [`Text`](crate::Text) or a time, but no string
/// of bytes.
///
/// [`Be`] and [`Le`] hold these.
pub trait ByteOrdered: Element {
    /// The bytes of one value: the same size, without alignment.
    type Raw: Pod + Send + Sync;

    /// The bytes of the value in the other byte order.
    fn swap(raw: Self::Raw) -> Self::Raw;
}

macro_rules! byte_order {
    ($(#[$doc:meta])* $name:ident: $order:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Zeroable, Pod)]
        #[repr(transparent)]
        pub struct $name<T>(T::Raw)
        where
            T: ByteOrdered;

        impl<T: ByteOrdered> $name<T> {
            /// The value, in the byte order of this machine.
            pub fn get(self) -> T {
                bytemuck::cast($name::<T>::to_or_from_native(self.0))
            }

            fn to_or_from_native(raw: T::Raw) -> T::Raw {
                const {
                    assert!(
                        size_of::<T::Raw>() == size_of::<T>() && align_of::<T::Raw>() == 1,
                        "`ByteOrdered::Raw` has the size of the element and no alignment"
                    )
                };
                match $order {
                    ByteOrder::NATIVE => raw,
                    _ => T::swap(raw),
                }
            }
        }

        impl<T: ByteOrdered> From<T> for $name<T> {
            fn from(value: T) -> $name<T> {
                $name($name::<T>::to_or_from_native(bytemuck::cast(value)))
            }
        }

        impl<T: ByteOrdered> Element for $name<T> {
            fn dtype() -> DType {
                T::dtype().with_byte_order($order)
            }
        }

        impl<T: ByteOrdered + Default> Default for $name<T> {
            fn default() -> $name<T> {
                T::default().into()
            }
        }

        impl<T: ByteOrdered + Debug> Debug for $name<T> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                self.get().fmt(f)
            }
        }

        impl<T: ByteOrdered + Display> Display for $name<T> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                self.get().fmt(f)
            }
        }

        impl<T: ByteOrdered + PartialEq> PartialEq for $name<T> {
            fn eq(&self, other: &$name<T>) -> bool {
                self.get() == other.get()
            }
        }

        impl<T: ByteOrdered + PartialEq> PartialEq<T> for $name<T> {
            fn eq(&self, other: &T) -> bool {
                self.get() == *other
            }
        }

        impl<T: ByteOrdered + Eq> Eq for $name<T> {}

        impl<T: ByteOrdered + PartialOrd> PartialOrd for $name<T> {
            fn partial_cmp(&self, other: &$name<T>) -> Option<Ordering> {
                self.get().partial_cmp(&other.get())
            }
        }

        impl<T: ByteOrdered + Ord> Ord for $name<T> {
            fn cmp(&self, other: &$name<T>) -> Ordering {
                self.get().cmp(&other.get())
            }
        }

        impl<T: ByteOrdered + Hash> Hash for $name<T> {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.get().hash(state);
            }
        }
    };
}

byte_order! {
    /// A value whose most significant byte comes first: `>f8` is `Be<f64>`.
    ///
    /// It has no alignment, so a file of the other byte order, or one whose data are not aligned,
    /// can be viewed in place. It compares and prints by its value. [`get`](Be::get) returns the
    /// value, and `mapv(Be::get)` those of a whole array.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::{Be, Store};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("big.npy");
    ///
    /// let array = array![1.5, -2.0];
    /// Store::create_from(&path, &array.mapv(Be::from))?.close()?;
    /// let store = Store::<Be<f64>, Ix1>::open(&path)?;
    /// assert_eq!(store.dtype().descr(), ">f8");
    /// assert_eq!(store.read_all()?, array);
    /// assert_eq!(store.read_all()?.mapv(Be::get).sum(), -0.5);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    Be: ByteOrder::Big
}

byte_order! {
    /// A value whose least significant byte comes first: `<f8` is `Le<f64>`.
    ///
    /// In all else it is like [`Be`]. On a little-endian machine it is the type for files whose
    /// data are not aligned.
    Le: ByteOrder::Little
}
