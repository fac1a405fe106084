//! What the kernels see of an element: the floats that it is made of, and how it compares.

use bytemuck::Pod;

use crate::element::{Bool8, Element};

/// A real number, or the one or two of which an element is made.
pub trait Scalar: Element {
    /// The type of the parts.
    type Real: Real;

    /// How many there are: the real number itself, or a real and an imaginary part.
    const PARTS: usize;

    /// The parts of elements, one after the other.
    #[inline(always)]
    fn reals(elements: &[Self]) -> &[Self::Real] {
        bytemuck::cast_slice(elements)
    }
}

/// A real number.
pub trait Real: Pod + Send {
    /// The nearest `f64`.
    fn to_f64(self) -> f64;

    /// Whether it is neither zero nor false. NaN is not zero.
    fn is_nonzero(self) -> bool;

    /// Whether it is less than or equal to the other. NaN is not.
    fn at_most(self, other: Self) -> bool;

    /// Whether it is no number.
    fn is_nan(self) -> bool;
}

macro_rules! reals {
    ($($type:ty: $zero:literal, |$nan:ident| $is_nan:expr;)*) => {$(
        impl Scalar for $type {
            type Real = $type;

            const PARTS: usize = 1;
        }

        impl Real for $type {
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn is_nonzero(self) -> bool {
                self != $zero
            }

            #[inline(always)]
            fn at_most(self, other: Self) -> bool {
                self <= other
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                let $nan = self;
                $is_nan
            }
        }
    )*};
}

reals! {
    i8: 0, |_x| false; i16: 0, |_x| false; i32: 0, |_x| false; i64: 0, |_x| false;
    u8: 0, |_x| false; u16: 0, |_x| false; u32: 0, |_x| false; u64: 0, |_x| false;
    f32: 0.0, |x| x.is_nan(); f64: 0.0, |x| x.is_nan();
}

impl Scalar for Bool8 {
    type Real = Bool8;

    const PARTS: usize = 1;
}

impl Real for Bool8 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self.get()))
    }

    #[inline(always)]
    fn is_nonzero(self) -> bool {
        self.get()
    }

    #[inline(always)]
    fn at_most(self, other: Self) -> bool {
        !self.get() | other.get()
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        false
    }
}

#[cfg(feature = "half")]
impl Scalar for half::f16 {
    type Real = half::f16;

    const PARTS: usize = 1;
}

#[cfg(feature = "half")]
impl Real for half::f16 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self.into()
    }

    #[inline(always)]
    fn is_nonzero(self) -> bool {
        // Both zeros have no bit but that of the sign.
        self.to_bits() << 1 != 0
    }

    #[inline(always)]
    fn at_most(self, other: Self) -> bool {
        self <= other
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        half::f16::is_nan(self)
    }
}

#[cfg(feature = "num-complex")]
impl Scalar for num_complex::Complex<f32> {
    type Real = f32;

    const PARTS: usize = 2;
}

#[cfg(feature = "num-complex")]
impl Scalar for num_complex::Complex<f64> {
    type Real = f64;

    const PARTS: usize = 2;
}
