//! The view that kernels have of an element: the real numbers that it consists of, and their
//! comparison.

use bytemuck::Pod;

use crate::element::{Bool8, Element};

/// An element that consists of one or two real numbers.
pub trait Scalar: Element {
    /// The type of the parts.
    type Real: Real;

    /// The number of parts: the real number itself, or a real and an imaginary part.
    const PARTS: usize;

    /// The parts of the elements, one after the other.
    #[inline(always)]
    fn reals(elements: &[Self]) -> &[Self::Real] {
        bytemuck::cast_slice(elements)
    }
}

/// A real number.
pub trait Real: Pod + Send {
    /// The nearest `f64`.
    fn to_f64(self) -> f64;

    /// Whether the number is neither zero nor false. NaN is not zero.
    fn is_nonzero(self) -> bool;

    /// Whether the number is less than or equal to the other. NaN is not.
    fn at_most(self, other: Self) -> bool;

    /// Whether the number is NaN.
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
        // Both zeros have no bit but the sign.
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
