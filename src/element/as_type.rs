//! `AsType`: converts numbers to another number type.

#[cfg(feature = "half")]
use half::f16;
#[cfg(feature = "num-complex")]
use num_complex::Complex;

use super::{Bool8, Element};

/// A number that converts to `B`, as NumPy's `astype` does it.
///
/// - Integers keep their low bits, which also give the sign: `-1_i32` is `255_u8`.
/// - Floats are rounded to the nearest float, and to infinity if they are too large.
/// - A float that becomes an integer loses its fraction. A value out of range becomes the nearest
///   integer, and NaN becomes 0; in both cases NumPy's result depends on the machine.
/// - Everything but 0 is true, NaN as well.
/// - A real number becomes a complex one. There is no conversion back, because it would lose the
///   imaginary part: use `map(|z| z.re)`.
pub trait AsType<B>: Element {
    /// The number as a `B`.
    fn as_type(self) -> B;
}

macro_rules! casts {
    ($($from:ty),*) => {$( casts!(@from $from: i8, i16, i32, i64, u8, u16, u32, u64, f32, f64); )*};
    (@from $from:ty: $($to:ty),*) => {
        $(
            impl AsType<$to> for $from {
                fn as_type(self) -> $to {
                    self as $to
                }
            }
        )*

        impl AsType<Bool8> for $from {
            fn as_type(self) -> Bool8 {
                (self != <$from>::default()).into()
            }
        }

        impl AsType<$from> for Bool8 {
            fn as_type(self) -> $from {
                u8::from(self.get()) as $from
            }
        }

        #[cfg(feature = "half")]
        impl AsType<f16> for $from {
            fn as_type(self) -> f16 {
                // An integer too large for an exact `f64` is infinite as an `f16`.
                to_half(self as f64)
            }
        }

        #[cfg(feature = "half")]
        impl AsType<$from> for f16 {
            fn as_type(self) -> $from {
                self.to_f64() as $from
            }
        }

        #[cfg(feature = "num-complex")]
        impl AsType<Complex<f32>> for $from {
            fn as_type(self) -> Complex<f32> {
                (self as f32).into()
            }
        }

        #[cfg(feature = "num-complex")]
        impl AsType<Complex<f64>> for $from {
            fn as_type(self) -> Complex<f64> {
                (self as f64).into()
            }
        }
    };
}

/// Rounds to the nearest half. `f16::from_f64` ignores the lowest bits, which break a tie between
/// two halves.
///
/// An `f32` in between would lose them too, unless it is rounded to odd: its last bit then says
/// whether anything was cut off (Boldo and Melquiond, "When double rounding is odd", 2005).
#[cfg(feature = "half")]
fn to_half(x: f64) -> f16 {
    let nearest = x as f32;
    if f64::from(nearest) == x || !nearest.is_finite() {
        return f16::from_f32(nearest);
    }
    let past = u32::from(f64::from(nearest).abs() > x.abs());
    f16::from_f32(f32::from_bits((nearest.to_bits() - past) | 1))
}

casts!(i8, i16, i32, i64, u8, u16, u32, u64, f32, f64);

impl AsType<Bool8> for Bool8 {
    fn as_type(self) -> Bool8 {
        self
    }
}

#[cfg(feature = "half")]
impl AsType<f16> for f16 {
    fn as_type(self) -> f16 {
        self
    }
}

#[cfg(feature = "half")]
impl AsType<Bool8> for f16 {
    fn as_type(self) -> Bool8 {
        (self != f16::ZERO).into()
    }
}

#[cfg(feature = "half")]
impl AsType<f16> for Bool8 {
    fn as_type(self) -> f16 {
        f16::from_f32(self.as_type())
    }
}

#[cfg(feature = "num-complex")]
macro_rules! complex_casts {
    ($($from:ty: $($to:ty),*;)*) => {$($(
        impl AsType<Complex<$to>> for Complex<$from> {
            fn as_type(self) -> Complex<$to> {
                Complex::new(self.re as $to, self.im as $to)
            }
        }
    )*)*};
}

#[cfg(feature = "num-complex")]
complex_casts! { f32: f32, f64; f64: f32, f64; }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_what_numpy_makes_of_them() {
        assert_eq!(AsType::<u8>::as_type(-1_i32), 255);
        assert_eq!(AsType::<i8>::as_type(300_u16), 44);
        assert_eq!(AsType::<i64>::as_type(-2.9_f64), -2);
        assert_eq!(AsType::<f32>::as_type(1e300_f64), f32::INFINITY);
        assert_eq!(AsType::<f32>::as_type(16_777_217_i32), 16_777_216.0);
        assert_eq!(AsType::<i16>::as_type(Bool8::from(true)), 1);
        let truths = [0.0, -0.0, 0.5, f64::NAN].map(|x| AsType::<Bool8>::as_type(x).get());
        assert_eq!(truths, [false, false, true, true]);
    }

    #[cfg(feature = "half")]
    #[test]
    fn halves_are_rounded_once() {
        assert_eq!(AsType::<f16>::as_type(65_519_i32), f16::MAX);
        assert_eq!(AsType::<f16>::as_type(i64::MAX), f16::INFINITY);
        // Halfway between two halves, except for a last bit that an `f32` would lose.
        let above = 1.0 + 2f64.powi(-11) + 2f64.powi(-40);
        assert_eq!(AsType::<f16>::as_type(above).to_f64(), 1.0 + 2f64.powi(-10));
        assert_eq!(AsType::<u8>::as_type(f16::from_f32(7.9)), 7);
    }

    #[cfg(feature = "num-complex")]
    #[test]
    fn reals_become_complex() {
        assert_eq!(
            AsType::<Complex<f64>>::as_type(3_u8),
            Complex::new(3.0, 0.0)
        );
        assert_eq!(
            AsType::<Complex<f32>>::as_type(Complex::new(1.0_f64, 1e300)),
            Complex::new(1.0, f32::INFINITY)
        );
    }
}
