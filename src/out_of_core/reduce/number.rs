//! `Number`: what the reductions of an array of each type are.

use std::fmt::Debug;

#[cfg(feature = "num-complex")]
use num_complex::Complex;

use self::kernels::Overflow;
use super::describe::Describing;
use super::extreme::{Extremes, Greatest, Least, Places, first_same};
use super::moments::{Distances, NumberDistances};
use super::skipping::{Cleared, GreatestNumber, LeastNumber, Nans};
use super::sum::{Doubles, FloatSum, IntSum, Narrow, Nonzeros, Singles, Wide};
#[cfg(feature = "num-complex")]
use super::twofold::Twofold;
#[cfg(feature = "half")]
use super::widened::Widened;
use crate::element::{Bool8, Element};

/// An element that can be added up: integers, floats, complex numbers and [`Bool8`].
///
/// | elements | sum | mean | variance |
/// |---|---|---|---|
/// | `i8` `i16` `i32` `i64`, [`Bool8`] | `i64` | `f64` | `f64` |
/// | `u8` `u16` `u32` `u64` | `u64` | `f64` | `f64` |
/// | `half::f16`, `f32`, `f64` | as the elements | as the elements | as the elements |
/// | `Complex<T>` | `Complex<T>` | `Complex<T>` | `T` |
///
/// These are NumPy's types. The trait is sealed.
pub trait Number: Element + kernels::Kernels {
    /// The type of a sum.
    type Sum: Copy + Debug + PartialEq + Send + Sync + 'static;

    /// The type of a mean.
    type Mean: Copy + Debug + PartialEq + Send + Sync + 'static;

    /// The type of a variance and of a standard deviation.
    type Var: Copy + Debug + PartialEq + Into<f64> + Send + Sync + 'static;

    #[doc(hidden)]
    fn sum_of(partial: Option<&Self::SumPartial>) -> Result<Self::Sum, Overflow>;

    #[doc(hidden)]
    fn mean_of(partial: Option<&Self::SumPartial>, len: usize) -> Self::Mean;

    #[doc(hidden)]
    fn var_of(var: f64) -> Self::Var;
}

/// A [`Number`] that has an order: all but complex ones.
pub trait RealNumber: Number + kernels::Ordered + kernels::Ranked + kernels::Describable {}

/// A [`RealNumber`] that may be NaN: `half::f16`, `f32` and `f64`.
pub trait FloatNumber: RealNumber + kernels::Skipping {}

pub(super) mod kernels {
    //! The lanes of each type. Public in name only, which seals the traits that stand on it.

    use crate::element::Element;
    use crate::out_of_core::reduce::describe::Described;
    use crate::out_of_core::reduce::extreme::{Extreme, Greatest, Least, Place};
    use crate::out_of_core::reduce::lanes::{Lanes, Partial};
    use crate::out_of_core::reduce::moments::Moments;
    use crate::out_of_core::reduce::scalar::{Real, Scalar};
    use crate::out_of_core::reduce::skipping::{Counted, GreatestNumber, LeastNumber};
    use crate::out_of_core::reduce::sum::{FloatSum, IntSum, Total};

    pub trait Kernels: Element {
        type SumPartial: Partial + Total;
        type SumLanes: Lanes<Self, Partial = Self::SumPartial>;
        type MomentLanes: Lanes<Self, Partial = Moments>;
        type NonzeroLanes: Lanes<Self, Partial = IntSum>;
    }

    pub trait Ordered: Element {
        /// What is compared in its place.
        type Key: Scalar<Real = Self::Key> + Real;
        type MinLanes: Lanes<Self, Partial = Extreme<Self::Key, Least>>;
        type MaxLanes: Lanes<Self, Partial = Extreme<Self::Key, Greatest>>;
        type ArgMinLanes: Lanes<Self, Partial = Place<Self::Key, Least>>;
        type ArgMaxLanes: Lanes<Self, Partial = Place<Self::Key, Greatest>>;

        fn from_key(key: Self::Key) -> Self;

        /// Where a value is first. NaN is the same as any NaN.
        fn first_same(elements: &[Self], key: Self::Key) -> Option<usize>;
    }

    /// A number as an integer that compares as it does. Which one NaN has does not matter.
    pub trait Ranked: Element {
        /// How many bits its rank has.
        const BITS: u32;

        fn rank_of(value: Self) -> u64;

        /// The number of this rank.
        fn of_rank(rank: u64) -> f64;

        /// The nearest `f64`.
        fn as_f64(value: Self) -> f64;
    }

    pub trait Skipping: Kernels<SumPartial = FloatSum> + Ordered {
        type NanSumLanes: Lanes<Self, Partial = Counted<FloatSum>>;
        type NanMinLanes: Lanes<Self, Partial = Extreme<Self::Key, LeastNumber>>;
        type NanMaxLanes: Lanes<Self, Partial = Extreme<Self::Key, GreatestNumber>>;
        type NanLanes: Lanes<Self, Partial = IntSum>;
        type NanMomentLanes: Lanes<Self, Partial = Moments>;
        type NanArgMinLanes: Lanes<Self, Partial = Place<Self::Key, LeastNumber>>;
        type NanArgMaxLanes: Lanes<Self, Partial = Place<Self::Key, GreatestNumber>>;
    }

    pub trait Describable: Kernels + Ordered {
        type DescribeLanes: Lanes<Self, Partial = Described<Self::SumPartial, Self::Key>>;
    }

    /// An exact sum that its type cannot hold.
    #[derive(Clone, Copy, Debug)]
    pub struct Overflow {
        pub sum: i128,
        pub dtype: &'static str,
    }
}

macro_rules! integers {
    ($($($type:ty)*: $lanes:ty, $count:ty, $sum:ty as $dtype:literal;)*) => {$($(
        impl kernels::Kernels for $type {
            type SumPartial = IntSum;
            type SumLanes = $lanes;
            type MomentLanes = Distances;
            type NonzeroLanes = Nonzeros<$count>;
        }

        impl Number for $type {
            type Sum = $sum;
            type Mean = f64;
            type Var = f64;

            fn sum_of(partial: Option<&IntSum>) -> Result<$sum, Overflow> {
                let sum = partial.map_or(0, |partial| partial.0);
                <$sum>::try_from(sum).map_err(|_| Overflow { sum, dtype: $dtype })
            }

            fn mean_of(partial: Option<&IntSum>, len: usize) -> f64 {
                partial.map_or(0.0, |partial| partial.0 as f64) / len as f64
            }

            fn var_of(var: f64) -> f64 {
                var
            }
        }
    )*)*};
}

integers! {
    i8: Narrow<i32>, u32, i64 as "int64";
    i16: Narrow<i32>, u32, i64 as "int64";
    i32: Narrow<i64>, u32, i64 as "int64";
    i64: Wide<i64>, u64, i64 as "int64";
    u8: Narrow<u32>, u32, u64 as "uint64";
    u16: Narrow<u32>, u32, u64 as "uint64";
    u32: Narrow<u64>, u32, u64 as "uint64";
    u64: Wide<u64>, u64, u64 as "uint64";
    Bool8: Nonzeros<u32>, u32, i64 as "int64";
}

macro_rules! floats {
    ($($type:ty: $sum:ty, $moments:ty, $count:ty, |$value:ident| $from:expr;)*) => {$(
        impl kernels::Kernels for $type {
            type SumPartial = FloatSum;
            type SumLanes = $sum;
            type MomentLanes = $moments;
            type NonzeroLanes = Nonzeros<$count>;
        }

        impl Number for $type {
            type Sum = $type;
            type Mean = $type;
            type Var = $type;

            fn sum_of(partial: Option<&FloatSum>) -> Result<$type, Overflow> {
                let $value = partial.map_or(0.0, |partial| partial.0[0].value());
                Ok($from)
            }

            fn mean_of(partial: Option<&FloatSum>, len: usize) -> $type {
                let $value = partial.map_or(0.0, |partial| partial.0[0].value()) / len as f64;
                $from
            }

            fn var_of($value: f64) -> $type {
                $from
            }
        }
    )*};
}

floats! {
    f32: Singles, Distances, u32, |value| value as f32;
    f64: Doubles, Distances, u64, |value| value;
}

#[cfg(feature = "half")]
floats! { half::f16: Widened<Singles>, Widened<Distances>, u32, |value| half::f16::from_f64(value); }

#[cfg(feature = "num-complex")]
macro_rules! complexes {
    ($($part:ty: $sum:ty, $count:ty;)*) => {$(
        impl kernels::Kernels for Complex<$part> {
            type SumPartial = FloatSum;
            type SumLanes = $sum;
            type MomentLanes = Distances;
            type NonzeroLanes = Nonzeros<$count>;
        }

        impl Number for Complex<$part> {
            type Sum = Complex<$part>;
            type Mean = Complex<$part>;
            type Var = $part;

            fn sum_of(partial: Option<&FloatSum>) -> Result<Complex<$part>, Overflow> {
                let [re, im] = partial.map_or([0.0; 2], |partial| partial.0.map(Twofold::value));
                Ok(Complex::new(re as $part, im as $part))
            }

            fn mean_of(partial: Option<&FloatSum>, len: usize) -> Complex<$part> {
                let [re, im] = partial
                    .map_or([0.0; 2], |partial| partial.0.map(Twofold::value))
                    .map(|part| part / len as f64);
                Complex::new(re as $part, im as $part)
            }

            fn var_of(var: f64) -> $part {
                var as $part
            }
        }
    )*};
}

#[cfg(feature = "num-complex")]
complexes! { f32: Singles, u32; f64: Doubles, u64; }

macro_rules! ordered {
    ($($type:ty)*) => {$(
        impl kernels::Ordered for $type {
            type Key = $type;
            type MinLanes = Extremes<$type, Least>;
            type MaxLanes = Extremes<$type, Greatest>;
            type ArgMinLanes = Places<$type, Least>;
            type ArgMaxLanes = Places<$type, Greatest>;

            fn from_key(key: $type) -> $type {
                key
            }

            #[inline(always)]
            fn first_same(elements: &[$type], key: $type) -> Option<usize> {
                first_same(elements, key)
            }
        }

        impl RealNumber for $type {}
    )*};
}

ordered! { i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 Bool8 }

#[cfg(feature = "half")]
impl kernels::Ordered for half::f16 {
    type Key = f32;
    type MinLanes = Widened<Extremes<f32, Least>>;
    type MaxLanes = Widened<Extremes<f32, Greatest>>;
    type ArgMinLanes = Widened<Places<f32, Least>>;
    type ArgMaxLanes = Widened<Places<f32, Greatest>>;

    fn from_key(key: f32) -> half::f16 {
        half::f16::from_f32(key)
    }

    #[inline(always)]
    fn first_same(elements: &[half::f16], key: f32) -> Option<usize> {
        first_same(elements, half::f16::from_f32(key))
    }
}

#[cfg(feature = "half")]
impl RealNumber for half::f16 {}

macro_rules! skipping {
    ($($type:ty: $sum:ty, $min:ty, $max:ty, $nans:ty, $moments:ty, $argmin:ty, $argmax:ty;)*) => {$(
        impl kernels::Skipping for $type {
            type NanSumLanes = $sum;
            type NanMinLanes = $min;
            type NanMaxLanes = $max;
            type NanLanes = $nans;
            type NanMomentLanes = $moments;
            type NanArgMinLanes = $argmin;
            type NanArgMaxLanes = $argmax;
        }

        impl FloatNumber for $type {}
    )*};
}

skipping! {
    f32: Cleared<Singles, u32>, Extremes<f32, LeastNumber>, Extremes<f32, GreatestNumber>, Nans<u32>,
        NumberDistances, Places<f32, LeastNumber>, Places<f32, GreatestNumber>;
    f64: Cleared<Doubles, u64>, Extremes<f64, LeastNumber>, Extremes<f64, GreatestNumber>, Nans<u64>,
        NumberDistances, Places<f64, LeastNumber>, Places<f64, GreatestNumber>;
}

#[cfg(feature = "half")]
skipping! {
    half::f16: Widened<Cleared<Singles, u32>>, Widened<Extremes<f32, LeastNumber>>,
        Widened<Extremes<f32, GreatestNumber>>, Widened<Nans<u32>>, Widened<NumberDistances>,
        Widened<Places<f32, LeastNumber>>, Widened<Places<f32, GreatestNumber>>;
}

macro_rules! describable {
    ($($type:ty: $lanes:ty;)*) => {$(
        impl kernels::Describable for $type {
            type DescribeLanes = $lanes;
        }
    )*};
}

describable! {
    i8: Describing<i8, Narrow<i32>, u32>;
    i16: Describing<i16, Narrow<i32>, u32>;
    i32: Describing<i32, Narrow<i64>, u32>;
    i64: Describing<i64, Wide<i64>, u64>;
    u8: Describing<u8, Narrow<u32>, u32>;
    u16: Describing<u16, Narrow<u32>, u32>;
    u32: Describing<u32, Narrow<u64>, u32>;
    u64: Describing<u64, Wide<u64>, u64>;
    Bool8: Describing<Bool8, Nonzeros<u32>, u32>;
    f32: Describing<f32, Singles, u32>;
    f64: Describing<f64, Doubles, u64>;
}

#[cfg(feature = "half")]
describable! { half::f16: Widened<Describing<f32, Singles, u32>>; }
