//! Floats as NumPy prints them: the fewest digits that read back as the same value.

/// A float of any width.
pub(super) struct Float {
    /// Its shortest digits: `-1.5e3`, or `inf`, `-inf`, `NaN`.
    digits: String,
    /// The power of ten from which NumPy writes an exponent: the number of digits that a float of
    /// this width always keeps.
    limit: i32,
    /// Whether the value is below `1e-4`, where NumPy writes an exponent too. Its digits may round
    /// up to `1e-4`.
    small: bool,
}

impl Float {
    pub(super) fn half(bits: u16) -> Float {
        Float {
            digits: half_digits(bits),
            limit: 3,
            small: half_value(bits).abs() < 1e-4,
        }
    }

    pub(super) fn single(value: f32) -> Float {
        let is_same = |text: &str| text.parse() == Ok(value);
        Float {
            digits: even_digits(format!("{value:e}"), value.into(), is_same),
            limit: 6,
            small: f64::from(value).abs() < 1e-4,
        }
    }

    pub(super) fn double(value: f64) -> Float {
        let is_same = |text: &str| text.parse() == Ok(value);
        Float {
            digits: even_digits(format!("{value:e}"), value, is_same),
            limit: 16,
            small: value.abs() < 1e-4,
        }
    }

    /// The float as NumPy writes it. `whole` follows a float with neither decimals nor an exponent.
    pub(super) fn text(&self, whole: &str) -> String {
        let Some((digits, exponent)) = self.digits.split_once('e') else {
            return self.digits.to_lowercase();
        };
        let exponent: i32 = exponent.parse().expect("an exponent is a small integer");
        let is_zero = matches!(digits, "0" | "-0");
        if exponent >= self.limit || (self.small && !is_zero) {
            let sign = if exponent < 0 { '-' } else { '+' };
            return format!("{digits}e{sign}{:02}", exponent.abs());
        }
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", digits),
        };
        let digits = digits.replace('.', "");
        let Ok(point) = usize::try_from(exponent + 1) else {
            return format!("{sign}0.{:0<1$}{digits}", "", -exponent as usize - 1);
        };
        let digits = format!("{digits:0<point$}");
        match digits.split_at(point) {
            ("", decimals) => format!("{sign}0.{decimals}"),
            (units, "") => format!("{sign}{units}{whole}"),
            (units, decimals) => format!("{sign}{units}.{decimals}"),
        }
    }
}

/// The shortest digits of a float. If two such strings are equally near, Rust takes the upper one
/// and Python the even one; so does this function.
fn even_digits(shortest: String, value: f64, is_same: impl Fn(&str) -> bool) -> String {
    let Some((digits, _)) = shortest.split_once('e') else {
        return shortest;
    };
    let decimals = digits
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    let even = format!("{value:.decimals$e}");
    if is_same(&even) { even } else { shortest }
}

/// The value of an IEEE half.
fn half_value(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let size = match bits >> 10 & 0x1f {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) * 2_f64.powi(i32::from(exponent) - 25),
    };
    if bits >> 15 == 0 { size } else { -size }
}

/// The fewest digits that are nearer to this half than to any other.
fn half_digits(bits: u16) -> String {
    let value = half_value(bits);
    if value == 0.0 || !value.is_finite() {
        return format!("{value:e}");
    }
    let below = half_value(bits - 1);
    let above = match half_value(bits + 1) {
        next if next.is_finite() => next,
        _ => 65_536_f64.copysign(value),
    };
    let is_nearest = |text: &String| {
        let text: f64 = text.parse().expect("a float reads back");
        // A tie goes to the half whose last bit is zero.
        [below, above].iter().all(|other| {
            let (own, other) = ((text - value).abs(), (text - other).abs());
            own < other || (own == other && bits & 1 == 0)
        })
    };
    // A power of two is nearer to the half below it than to the one above, so there may be room
    // only above.
    let upwards = value + (above - value) / 4.0;
    (0..=4)
        .flat_map(|decimals| [value, upwards].map(|near| format!("{near:.decimals$e}")))
        .find(is_nearest)
        .expect("five digits tell any two halves apart")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn floats_are_those_of_numpy() {
        for (value, text) in [
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1e-4, "0.0001"),
            (9.9e-5, "9.9e-05"),
            (1e15, "1000000000000000.0"),
            (9999999999999998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (-1.5e300, "-1.5e+300"),
            (5e-324, "5e-324"),
            (188_786_121_844_773.0 + 0.125, "188786121844773.12"),
            (2_f64.powi(-25), "2.9802322387695312e-08"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(Float::double(value).text(".0"), text);
        }
        for (value, text) in [
            (0.1, "0.1"),
            (1e-4, "1e-04"),
            (999_999.0, "999999.0"),
            (1e6, "1e+06"),
            (16_777_216.0, "1.6777216e+07"),
            (343_126.0 + 0.125, "343126.12"),
            (f32::INFINITY, "inf"),
        ] {
            assert_eq!(Float::single(value).text(".0"), text);
        }
        for (bits, text) in [
            (0x2e66, "0.1"),
            (0x3e00, "1.5"),
            (0x8000, "-0.0"),
            (0x63ce, "999.0"),
            (0x63d0, "1e+03"),
            (0x7bff, "6.55e+04"),
            (0xfbff, "-6.55e+04"),
            (0x0001, "6e-08"),
            (0x2400, "0.01563"),
            (0x7c00, "inf"),
            (0xfe00, "nan"),
        ] {
            assert_eq!(Float::half(bits).text(".0"), text);
        }
        assert_eq!(Float::double(3.0).text(""), "3");
    }

    proptest! {
        #[test]
        fn texts_read_back_as_their_value(double: f64, single: f32, half: u16) {
            prop_assert_eq!(Float::double(double).text(".0").parse(), Ok(double));
            prop_assert_eq!(Float::single(single).text(".0").parse(), Ok(single));
            let value = half_value(half);
            if !value.is_nan() {
                let text: f64 = Float::half(half).text(".0").parse().unwrap();
                let spacing = (half_value(half & 0x7fff).max(2_f64.powi(-14)) * 2_f64.powi(-11)).min(16.0);
                prop_assert!(value == text || (value - text).abs() <= spacing);
            }
        }
    }
}
