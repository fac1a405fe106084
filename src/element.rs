//! Rust types as elements of an array: which dtype each one is.
//!
//! A type is an element if any bytes of its size are a value of it ([`Pod`]). What [`Element::dtype`] says decides which
//! files the type opens, never whether that is memory-safe.

use bytemuck::{Pod, Zeroable};

use crate::dtype::{ByteOrder, DType, Kind};

/// A Rust type that can be the element of a [`Store`](crate::Store).
///
/// The type must be [`Pod`]: any bytes of its size are a value, it has no padding and no references. That, and its size,
/// is all that memory safety rests on; a wrong [`dtype`](Element::dtype) opens the wrong files, and nothing worse.
///
/// | Rust | descr | Rust | descr |
/// |---|---|---|---|
/// | `i8` `i16` `i32` `i64` | `\|i1` `<i2` `<i4` `<i8` | `f32` `f64` | `<f4` `<f8` |
/// | `u8` `u16` `u32` `u64` | `\|u1` `<u2` `<u4` `<u8` | `half::f16` | `<f2` |
/// | [`Bool8`] | `\|b1` | `Complex<f32>` `Complex<f64>` | `<c8` `<c16` |
///
/// `<` is the byte order of this machine; on a big-endian one the same types are `>`.
pub trait Element: Pod + Send + Sync + 'static {
    /// The dtype of one element, as it stands in a file's header. Its item size is the size of the type.
    fn dtype() -> DType;
}

macro_rules! numbers {
    ($($type:ty: $kind:ident,)*) => {$(
        impl Element for $type {
            fn dtype() -> DType {
                DType::number(Kind::$kind, size_of::<$type>(), ByteOrder::NATIVE)
            }
        }
    )*};
}

numbers! {
    i8: Int, i16: Int, i32: Int, i64: Int,
    u8: UInt, u16: UInt, u32: UInt, u64: UInt,
    f32: Float, f64: Float,
}

#[cfg(feature = "half")]
numbers! { half::f16: Float, }

#[cfg(feature = "num-complex")]
numbers! { num_complex::Complex<f32>: Complex, num_complex::Complex<f64>: Complex, }

/// A boolean as a file holds it: one byte, 0 for false and 1 for true.
///
/// NumPy keeps any other byte and takes it for true, and so does this type: a file of booleans opens without a scan, and
/// no byte in it can break Rust's rule that a `bool` is 0 or 1.
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
        DType::number(Kind::Bool, 1, ByteOrder::NotApplicable)
    }
}
