//! `Twofold`: a sum that carries its own rounding error, so that adding costs next to no accuracy.

/// A number of twice the precision of `f64`: the unevaluated sum of a float and its error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Twofold {
    /// The float nearest to the number, or the plain sum if that is not finite.
    hi: f64,
    lo: f64,
}

impl Twofold {
    /// The sum of `hi` and of the errors `lo` that were made while adding it up.
    pub(super) fn new(hi: f64, lo: f64) -> Twofold {
        let sum = hi + lo;
        // An infinity has no error; the computed one is NaN.
        if !sum.is_finite() {
            return Twofold { hi, lo: 0.0 };
        }
        let (hi, lo) = two_sum(hi, lo);
        Twofold { hi, lo }
    }

    /// The sum, with an error of a few 2^-106 of its parts.
    pub(super) fn plus(self, other: Twofold) -> Twofold {
        let (sum, error) = two_sum(self.hi, other.hi);
        Twofold::new(sum, error + (self.lo + other.lo))
    }

    /// The difference, rounded to the precision of `f64`.
    pub(super) fn minus(self, other: Twofold) -> f64 {
        (self.hi - other.hi) + (self.lo - other.lo)
    }

    /// The nearest float.
    pub(super) fn value(self) -> f64 {
        self.hi
    }
}

impl From<f64> for Twofold {
    fn from(value: f64) -> Twofold {
        Twofold { hi: value, lo: 0.0 }
    }
}

/// The float nearest to `a + b`, and its error: exact for all finite floats that do not overflow
/// (Knuth).
#[inline(always)]
pub(super) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_in_sum = sum - a;
    let a_in_sum = sum - b_in_sum;
    (sum, (a - a_in_sum) + (b - b_in_sum))
}
