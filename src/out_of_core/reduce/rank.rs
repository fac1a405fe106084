//! Numbers as integers that compare in the same order, for selection.

use super::number::kernels::Ranked;
use super::scalar::Real;
use crate::element::Bool8;

macro_rules! ranked {
    ($($type:ty: $bits:ty, |$value:ident| $rank:expr, |$from:ident| $number:expr;)*) => {$(
        impl Ranked for $type {
            const BITS: u32 = <$bits>::BITS;

            #[inline(always)]
            fn rank_of($value: $type) -> u64 {
                let rank: $bits = $rank;
                rank.into()
            }

            fn of_rank(rank: u64) -> f64 {
                let $from = rank as $bits;
                $number
            }

            #[inline(always)]
            fn as_f64(value: $type) -> f64 {
                value.to_f64()
            }
        }
    )*};
}

/// Negative integers begin with a one bit. With that bit flipped, integers compare as unsigned
/// ones.
macro_rules! integers {
    ($($signed:ty, $unsigned:ty;)*) => {
        ranked! {$(
            $unsigned: $unsigned, |value| value, |rank| rank as f64;
            $signed: $unsigned, |value| value as $unsigned ^ (1 << (<$unsigned>::BITS - 1)), |rank| (rank ^ (1 << (<$unsigned>::BITS - 1))) as $signed as f64;
        )*}
    };
}

integers! { i8, u8; i16, u16; i32, u32; i64, u64; }

/// The bits of positive floats compare as the floats do, and those of negative floats the other way
/// round.
macro_rules! floats {
    ($($type:ty: $bits:ty;)*) => {
        ranked! {$(
            $type: $bits,
            |value| {
                let bits = value.to_bits();
                let sign = 1 << (<$bits>::BITS - 1);
                if bits & sign == 0 { bits | sign } else { !bits }
            },
            |rank| {
                let sign = 1 << (<$bits>::BITS - 1);
                <$type>::from_bits(if rank & sign == 0 { !rank } else { rank ^ sign }).into()
            };
        )*}
    };
}

floats! { f32: u32; f64: u64; }

#[cfg(feature = "half")]
floats! { half::f16: u16; }

ranked! { Bool8: u8, |value| u8::from(value.get()), |rank| f64::from(rank); }

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<A: Ranked + PartialOrd>(a: A, b: A, value: f64) {
        if a < b {
            assert!(A::rank_of(a) < A::rank_of(b));
        }
        assert!(A::rank_of(a).checked_shr(A::BITS).unwrap_or(0) == 0);
        let back = A::of_rank(A::rank_of(a));
        assert!(
            back == value || back.is_nan() && value.is_nan(),
            "{back} {value}"
        );
    }

    #[test]
    fn false_is_below_true() {
        let [low, high] = [false, true].map(|value| Bool8::rank_of(Bool8::from(value)));
        assert!(low < high);
        assert_eq!([low, high].map(Bool8::of_rank), [0.0, 1.0]);
    }

    proptest! {
        #[test]
        fn ranks_compare_as_the_numbers_do_and_give_them_back(a: u64, b: u64) {
            check(a, b, a as f64);
            check(a as i64, b as i64, a as i64 as f64);
            check(a as u32, b as u32, f64::from(a as u32));
            check(a as i32, b as i32, f64::from(a as i32));
            check(a as i16, b as i16, f64::from(a as i16));
            check(a as u8, b as u8, f64::from(a as u8));
            check(a as i8, b as i8, f64::from(a as i8));
            let [x, y] = [a, b].map(f64::from_bits);
            check(x, y, x);
            let [x, y] = [a, b].map(|bits| f32::from_bits(bits as u32));
            check(x, y, x.into());
        }
    }
}
