//! Numbers and booleans: the types that Rust and NumPy share bit for bit.

use bytemuck::{Pod, Zeroable};

use super::{ByteOrdered, Element};
use crate::dtype::{ByteOrder, DType, Kind};

macro_rules! numbers {
    ($($type:ty: $kind:ident as $bits:ty,)*) => {$(
        impl Element for $type {
            fn dtype() -> DType {
                const { DType::number(Kind::$kind, size_of::<$type>(), ByteOrder::NATIVE) }
            }
        }

        impl ByteOrdered for $type {
            type Raw = [u8; size_of::<$type>()];

            fn swap(raw: Self::Raw) -> Self::Raw {
                <$bits>::from_ne_bytes(raw).swap_bytes().to_ne_bytes()
            }
        }
    )*};
}

numbers! {
    i8: Int as u8, i16: Int as u16, i32: Int as u32, i64: Int as u64,
    u8: UInt as u8, u16: UInt as u16, u32: UInt as u32, u64: UInt as u64,
    f32: Float as u32, f64: Float as u64,
}

#[cfg(feature = "half")]
numbers! { half::f16: Float as u16, }

#[cfg(feature = "num-complex")]
macro_rules! complex {
    ($($part:ty,)*) => {$(
        impl Element for num_complex::Complex<$part> {
            fn dtype() -> DType {
                const { DType::number(Kind::Complex, size_of::<Self>(), ByteOrder::NATIVE) }
            }
        }

        impl ByteOrdered for num_complex::Complex<$part> {
            type Raw = [<$part as ByteOrdered>::Raw; 2];

            fn swap(raw: Self::Raw) -> Self::Raw {
                raw.map(<$part>::swap)
            }
        }
    )*};
}

#[cfg(feature = "num-complex")]
complex! { f32, f64, }

/// A boolean as a file holds it: one byte, 0 for false and 1 for true.
///
/// NumPy keeps any other byte and takes it for true, and so does this type. A file of booleans
/// therefore opens without a scan, and no byte in it can break Rust's rule that a `bool` is 0 or 1.
///
/// ```
/// use ndstore::Bool8;
/// assert_eq!(Bool8::from(true).get(), true);
/// ```
#[derive(Clone, Copy, Debug, Default, Zeroable, Pod)]
#[repr(transparent)]
pub struct Bool8(u8);

impl Bool8 {
    /// The value: any byte but 0 is true.
    pub fn get(self) -> bool {
        self.0 != 0
    }

    /// The byte itself.
    pub fn to_byte(self) -> u8 {
        self.0
    }
}

impl From<bool> for Bool8 {
    fn from(value: bool) -> Bool8 {
        Bool8(value.into())
    }
}

impl From<Bool8> for bool {
    fn from(value: Bool8) -> bool {
        value.get()
    }
}

impl PartialEq for Bool8 {
    /// Compares the values, not the bytes.
    fn eq(&self, other: &Bool8) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Bool8 {}

impl Element for Bool8 {
    fn dtype() -> DType {
        const { DType::number(Kind::Bool, 1, ByteOrder::NotApplicable) }
    }
}
