//! Adds, subtracts, scales and compares times of one unit, as NumPy does.
//!
//! NaT goes in and NaT comes out. Where NumPy wraps around because a count leaves its 64 bits, the
//! operators give NaT and the checked methods `None`, so no result is a wrong time.

use std::cmp::Ordering;
use std::iter::Sum;
use std::ops::{
    Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign,
};

use ndarray::ScalarOperand;

use super::unit::Unit;
use super::{Datetime64, Timedelta64};

macro_rules! ordering {
    ($name:ident) => {
        impl<U: Unit, const MULTIPLE: u32> PartialEq for $name<U, MULTIPLE> {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }

        impl<U: Unit, const MULTIPLE: u32> Eq for $name<U, MULTIPLE> {}

        impl<U: Unit, const MULTIPLE: u32> PartialOrd for $name<U, MULTIPLE> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl<U: Unit, const MULTIPLE: u32> Ord for $name<U, MULTIPLE> {
            fn cmp(&self, other: &Self) -> Ordering {
                // Moves NaT, the least count, to the end and keeps all others in their order.
                let key = |time: &Self| time.0.wrapping_sub(1);
                key(self).cmp(&key(other))
            }
        }

        impl<U: Unit, const MULTIPLE: u32> std::hash::Hash for $name<U, MULTIPLE> {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }
    };
}

ordering!(Datetime64);
ordering!(Timedelta64);

/// Applies `count` to two counts; if either is NaT, so is the result. `None` if `count` gives none.
fn propagate(a: i64, b: i64, count: impl FnOnce(i64, i64) -> Option<i64>) -> Option<i64> {
    match (a, b) {
        (i64::MIN, _) | (_, i64::MIN) => Some(i64::MIN),
        _ => count(a, b).filter(|&count| count != i64::MIN),
    }
}

impl<U: Unit, const MULTIPLE: u32> Datetime64<U, MULTIPLE> {
    /// The point in time that is `span` later, or `None` if 64 bits do not hold its count.
    /// [`NAT`](Self::NAT) if either is.
    pub fn checked_add(self, span: Timedelta64<U, MULTIPLE>) -> Option<Self> {
        propagate(self.0, span.0, i64::checked_add).map(Self::new)
    }

    /// The point in time that is `span` earlier, or `None` if 64 bits do not hold its count.
    /// [`NAT`](Self::NAT) if either is.
    pub fn checked_sub(self, span: Timedelta64<U, MULTIPLE>) -> Option<Self> {
        propagate(self.0, span.0, i64::checked_sub).map(Self::new)
    }

    /// The span from `earlier` until this, or `None` if 64 bits do not hold its count.
    /// [`NAT`](Timedelta64::NAT) if either is.
    pub fn checked_since(self, earlier: Self) -> Option<Timedelta64<U, MULTIPLE>> {
        propagate(self.0, earlier.0, i64::checked_sub).map(Timedelta64::new)
    }
}

impl<U: Unit, const MULTIPLE: u32> Timedelta64<U, MULTIPLE> {
    /// The sum, or `None` if 64 bits do not hold its count. [`NAT`](Self::NAT) if either is.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        propagate(self.0, other.0, i64::checked_add).map(Self::new)
    }

    /// The difference, or `None` if 64 bits do not hold its count. [`NAT`](Self::NAT) if either is.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        propagate(self.0, other.0, i64::checked_sub).map(Self::new)
    }

    /// The span times `factor`, or `None` if 64 bits do not hold its count.
    pub fn checked_mul(self, factor: i64) -> Option<Self> {
        if self.is_nat() {
            return Some(Self::NAT);
        }
        let count = self.0.checked_mul(factor);
        count.filter(|&count| count != i64::MIN).map(Self::new)
    }

    /// The span divided by `divisor`, rounded toward zero as in NumPy, or `None` if that is 0.
    pub fn checked_div(self, divisor: i64) -> Option<Self> {
        match self.is_nat() {
            true => Some(Self::NAT),
            false => self.0.checked_div(divisor).map(Self::new),
        }
    }

    /// How many whole times `other` fits into this span, rounded down: NumPy's `//`. `None` if
    /// either is [`NAT`](Self::NAT) or `other` is 0.
    pub fn div_floor(self, other: Self) -> Option<i64> {
        if self.is_nat() || other.is_nat() {
            return None;
        }
        let whole = self.0.checked_div(other.0)?;
        let is_rounded_up = self.0 % other.0 != 0 && (self.0 < 0) != (other.0 < 0);
        Some(whole - i64::from(is_rounded_up))
    }

    /// The span without its sign.
    pub fn abs(self) -> Self {
        // NaT, the least count, gives NaT again.
        Self::new(self.0.wrapping_abs())
    }
}

/// Implements an operator, and its assigning form, by a checked method.
macro_rules! operator {
    ($trait:ident::$op:ident, $assign:ident::$op_assign:ident, $left:ident, $right:ty, $checked:ident) => {
        impl<U: Unit, const MULTIPLE: u32> $trait<$right> for $left<U, MULTIPLE> {
            type Output = $left<U, MULTIPLE>;

            fn $op(self, right: $right) -> Self {
                self.$checked(right).unwrap_or(Self::NAT)
            }
        }

        impl<U: Unit, const MULTIPLE: u32> $assign<$right> for $left<U, MULTIPLE> {
            fn $op_assign(&mut self, right: $right) {
                *self = $trait::$op(*self, right);
            }
        }
    };
}

operator!(Add::add, AddAssign::add_assign, Datetime64, Timedelta64<U, MULTIPLE>, checked_add);
operator!(Sub::sub, SubAssign::sub_assign, Datetime64, Timedelta64<U, MULTIPLE>, checked_sub);
operator!(Add::add, AddAssign::add_assign, Timedelta64, Timedelta64<U, MULTIPLE>, checked_add);
operator!(Sub::sub, SubAssign::sub_assign, Timedelta64, Timedelta64<U, MULTIPLE>, checked_sub);
operator!(
    Mul::mul,
    MulAssign::mul_assign,
    Timedelta64,
    i64,
    checked_mul
);
operator!(
    Div::div,
    DivAssign::div_assign,
    Timedelta64,
    i64,
    checked_div
);
operator!(Mul::mul, MulAssign::mul_assign, Timedelta64, f64, scaled);
operator!(Div::div, DivAssign::div_assign, Timedelta64, f64, divided);
operator!(Rem::rem, RemAssign::rem_assign, Timedelta64, Timedelta64<U, MULTIPLE>, remainder);

impl<U: Unit, const MULTIPLE: u32> Timedelta64<U, MULTIPLE> {
    fn scaled(self, factor: f64) -> Option<Self> {
        self.truncated(self.0 as f64 * factor)
    }

    fn divided(self, divisor: f64) -> Option<Self> {
        self.truncated(self.0 as f64 / divisor)
    }

    /// The span of this count without its fraction, or `None` if `self` is NaT or 64 bits do not
    /// hold the count.
    fn truncated(self, count: f64) -> Option<Self> {
        // Both bounds are powers of two, so they are exact; the lower one is NaT.
        let is_count = count > i64::MIN as f64 && count < -(i64::MIN as f64);
        (is_count && !self.is_nat()).then(|| Self::new(count as i64))
    }

    /// The rest of this span after `other` is taken away [as often as it fits](Self::div_floor): it
    /// has the sign of `other`.
    fn remainder(self, other: Self) -> Option<Self> {
        let times = self.div_floor(other)?;
        // The product may be below the least count, so it needs more than 64 bits.
        let rest = i128::from(self.0) - i128::from(times) * i128::from(other.0);
        Some(Self::new(rest as i64))
    }
}

impl<U: Unit, const MULTIPLE: u32> Sub for Datetime64<U, MULTIPLE> {
    type Output = Timedelta64<U, MULTIPLE>;

    fn sub(self, earlier: Self) -> Timedelta64<U, MULTIPLE> {
        self.checked_since(earlier).unwrap_or(Timedelta64::NAT)
    }
}

impl<U: Unit, const MULTIPLE: u32> Add<Datetime64<U, MULTIPLE>> for Timedelta64<U, MULTIPLE> {
    type Output = Datetime64<U, MULTIPLE>;

    fn add(self, start: Datetime64<U, MULTIPLE>) -> Datetime64<U, MULTIPLE> {
        start + self
    }
}

impl<U: Unit, const MULTIPLE: u32> Neg for Timedelta64<U, MULTIPLE> {
    type Output = Self;

    fn neg(self) -> Self {
        // NaT, the least count, gives NaT again.
        Self::new(self.0.wrapping_neg())
    }
}

/// The ratio of two spans: NaN if either is NaT.
impl<U: Unit, const MULTIPLE: u32> Div for Timedelta64<U, MULTIPLE> {
    type Output = f64;

    fn div(self, other: Self) -> f64 {
        match self.is_nat() || other.is_nat() {
            true => f64::NAN,
            false => self.0 as f64 / other.0 as f64,
        }
    }
}

impl<U: Unit, const MULTIPLE: u32> Sum for Timedelta64<U, MULTIPLE> {
    fn sum<I: Iterator<Item = Self>>(spans: I) -> Self {
        spans.fold(Self::default(), Add::add)
    }
}

impl<'a, U: Unit, const MULTIPLE: u32> Sum<&'a Self> for Timedelta64<U, MULTIPLE> {
    fn sum<I: Iterator<Item = &'a Self>>(spans: I) -> Self {
        spans.copied().sum()
    }
}

/// Lets a span stand beside an array in an expression: `&times + span`.
impl<U: Unit, const MULTIPLE: u32> ScalarOperand for Timedelta64<U, MULTIPLE> {}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::super::unit::{Ns, Second};
    use super::*;

    type Point = Datetime64<Second>;
    type Span = Timedelta64<Second>;

    const NAT: Span = Span::NAT;

    fn span(count: i64) -> Span {
        Span::new(count)
    }

    #[test]
    fn operators_give_what_numpy_gives() {
        assert_eq!(Point::new(5) + span(3), Point::new(8));
        assert_eq!(span(3) + Point::new(5), Point::new(8));
        assert_eq!(Point::new(5) - span(7), Point::new(-2));
        assert_eq!(Point::new(0) - Point::new(5), span(-5));
        assert_eq!(span(7) + span(-9), span(-2));
        assert_eq!(span(7) - span(9), span(-2));
        assert_eq!(span(7) * 2, span(14));
        assert_eq!(
            [span(7) / 2, span(-7) / 2, span(7) / -2],
            [span(3), span(-3), span(-3)]
        );
        assert_eq!(
            [span(7) * 2.7, span(7) * -0.5, span(7) / 2.5],
            [span(18), span(-3), span(2)]
        );
        assert_eq!([span(7) / span(2), span(7) / span(0)], [3.5, f64::INFINITY]);
        assert!(
            (span(0) / span(0)).is_nan() && (NAT / span(1)).is_nan() && (span(1) / NAT).is_nan()
        );
        assert_eq!(
            [span(7) % span(-2), span(-7) % span(3)],
            [span(-1), span(2)]
        );
        assert_eq!(
            [7, -7].map(|count| span(count).div_floor(span(2))),
            [Some(3), Some(-4)]
        );
        assert_eq!([-span(7), span(-7).abs()], [span(-7), span(7)]);
        assert_eq!([span(1), span(2)].iter().sum::<Span>(), span(3));
        let mut point = Point::new(5);
        point += span(2);
        point -= span(10);
        assert_eq!(point, Point::new(-3));
        assert_eq!(
            array![Point::new(0), Point::NAT] + span(4),
            array![Point::new(4), Point::NAT]
        );
    }

    #[test]
    fn nat_goes_in_and_comes_out_and_is_no_overflow() {
        assert!((Point::NAT + span(1)).is_nat() && (Point::new(1) - NAT).is_nat());
        assert!((Point::NAT - Point::new(0)).is_nat() && (Point::new(0) - Point::NAT).is_nat());
        for spans in [
            NAT + span(1),
            span(1) - NAT,
            NAT * 2,
            NAT / 2,
            NAT * 0.0,
            NAT / 2.0,
            NAT % span(1),
            -NAT,
            NAT.abs(),
        ] {
            assert!(spans.is_nat());
        }
        assert!([span(1), NAT].into_iter().sum::<Span>().is_nat());
        assert_eq!(Point::NAT.checked_add(span(1)), Some(Point::NAT));
        assert_eq!(NAT.checked_mul(i64::MAX), Some(NAT));
        assert_eq!(
            (NAT.checked_div(0), NAT.div_floor(span(1))),
            (Some(NAT), None)
        );
    }

    #[test]
    fn what_has_no_count_is_nat_and_never_a_wrong_time() {
        let (least, most) = (-i64::MAX, i64::MAX);
        assert!((Point::new(most) + span(1)).is_nat() && (Point::new(least) - span(1)).is_nat());
        assert!((Point::new(least) - Point::new(2)).is_nat() && (span(most) + span(2)).is_nat());
        assert_eq!(Point::new(most).checked_add(span(1)), None);
        assert_eq!(Point::new(least).checked_sub(span(1)), None);
        assert_eq!(Point::new(least).checked_since(Point::new(2)), None);
        assert_eq!(
            (
                span(most).checked_add(span(1)),
                span(least).checked_sub(span(1))
            ),
            (None, None)
        );
        assert_eq!(
            (span(1 << 62).checked_mul(-2), span(most).checked_mul(2)),
            (None, None)
        );
        assert!((span(1 << 62) * -2).is_nat() && (span(1 << 62) * 3.0).is_nat());
        assert!(
            (span(1) * f64::NAN).is_nat() && (span(7) / 0.0).is_nat() && (span(7) / 0).is_nat()
        );
        assert_eq!(
            (span(7).checked_div(0), span(7).div_floor(span(0))),
            (None, None)
        );
        assert!((span(7) % span(0)).is_nat());
        // The bounds, and the nearest floats within them.
        assert!((span(1) * 9_223_372_036_854_775_808.0).is_nat());
        assert!((span(1) * -9_223_372_036_854_775_808.0).is_nat());
        assert_eq!(
            span(1) * 9_223_372_036_854_774_784.0,
            span(9_223_372_036_854_774_784)
        );
    }

    #[test]
    fn nat_comes_last_and_equals_itself() {
        let mut points =
            [2, i64::MIN, -i64::MAX, i64::MAX, i64::MIN, -1].map(Datetime64::<Ns>::new);
        points.sort();
        assert_eq!(
            points.map(Datetime64::value),
            [-i64::MAX, -1, 2, i64::MAX, i64::MIN, i64::MIN]
        );
        assert!(points[4] == points[5] && points[3] < points[4]);
        assert_eq!(std::collections::HashSet::from(points).len(), 5);
        assert_eq!(points.iter().max(), Some(&Datetime64::NAT));
    }

    proptest! {
        /// Compares with the same arithmetic in numbers wide enough for every result.
        #[test]
        fn counts_are_those_of_wide_arithmetic(a: i64, b: i64) {
            let known = |wide: i128| match a == i64::MIN || b == i64::MIN {
                true => Some(NAT),
                false => i64::try_from(wide).ok().filter(|&count| count != i64::MIN).map(Span::new),
            };
            let [wide_a, wide_b] = [a, b].map(i128::from);
            prop_assert_eq!(span(a).checked_add(span(b)), known(wide_a + wide_b));
            prop_assert_eq!(span(a).checked_sub(span(b)), known(wide_a - wide_b));
            if b != 0 && a != i64::MIN && b != i64::MIN {
                let times = wide_a.div_euclid(wide_b) - i128::from(wide_b < 0 && wide_a.rem_euclid(wide_b) != 0);
                prop_assert_eq!(span(a).div_floor(span(b)).map(i128::from), Some(times));
                prop_assert_eq!(i128::from((span(a) % span(b)).value()), wide_a - times * wide_b);
            }
        }
    }
}
