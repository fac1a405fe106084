//! Converts times to other units, to and from the standard library's, and from text.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::unit::Unit;
use super::{Datetime64, Timedelta64};
use crate::dtype::TimeUnit;
use crate::element::Element;
use crate::element::calendar::{self, Moment};
use crate::element::iso::{self, Refusal};
use crate::error::TimeError;

const SECOND: i128 = 1_000_000_000_000_000_000;
const NANOSECOND: i128 = 1_000_000_000;

/// `count` units as a count of multiples, rounded down. `None` if 64 bits do not hold it.
fn multiples<const MULTIPLE: u32>(count: i128) -> Option<i64> {
    const { assert!(MULTIPLE > 0, "a multiple of a time unit is not 0") };
    let count = count.div_euclid(i128::from(MULTIPLE));
    i64::try_from(count).ok().filter(|&count| count != i64::MIN)
}

fn out_of_range(value: impl ToString, target: impl ToString) -> TimeError {
    TimeError::OutOfRange {
        value: value.to_string(),
        target: target.to_string(),
    }
}

fn other_unit(found: impl ToString, target: impl ToString) -> TimeError {
    TimeError::Unit {
        found: found.to_string(),
        target: target.to_string(),
    }
}

impl<U: Unit, const MULTIPLE: u32> Datetime64<U, MULTIPLE> {
    /// The same point in time in another unit, as NumPy's `astype`. It is rounded down: every point
    /// of a year becomes the start of that year. [`NAT`](Self::NAT) stays NaT.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`](TimeError::OutOfRange) if 64 bits do not hold the count (NumPy wraps around);
    /// [`Unit`](TimeError::Unit) if one of the two has no unit.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndstore::{Datetime64, unit};
    ///
    /// let time: Datetime64<unit::Ms> = "2024-05-06T07:08:09.123".parse()?;
    /// assert_eq!(time.cast::<unit::Month, 1>()?.to_string(), "2024-05");
    /// # Ok::<(), ndstore::TimeError>(())
    /// ```
    pub fn cast<V: Unit, const N: u32>(self) -> Result<Datetime64<V, N>, TimeError> {
        let Some(moment) = self.moment()? else {
            return Ok(Datetime64::NAT);
        };
        Datetime64::from_moment(moment, || self.to_string())
    }

    /// The point in time, or `None` for NaT.
    fn moment(self) -> Result<Option<Moment>, TimeError> {
        let Some(count) = self.time().count() else {
            return Ok(None);
        };
        let moment = Moment::of(count, U::UNIT);
        moment
            .map(Some)
            .ok_or_else(|| other_unit(Self::dtype().name(), "a point in time"))
    }

    /// The moment in this unit. `shown` is the value that it came from.
    fn from_moment(moment: Moment, shown: impl FnOnce() -> String) -> Result<Self, TimeError> {
        if U::UNIT == TimeUnit::Generic {
            return Err(other_unit(shown(), Self::dtype().name()));
        }
        let count = moment.count(U::UNIT).and_then(multiples::<MULTIPLE>);
        let count = count.ok_or_else(|| out_of_range(shown(), Self::dtype().name()))?;
        Ok(Self::new(count))
    }
}

impl<U: Unit, const MULTIPLE: u32> Timedelta64<U, MULTIPLE> {
    /// The same span in another unit, rounded down, as NumPy's `astype`. [`NAT`](Self::NAT) stays
    /// NaT.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`](TimeError::OutOfRange) if 64 bits do not hold the count (NumPy wraps around).
    /// [`Unit`](TimeError::Unit) between years or months, which have no fixed length, and units
    /// that have one; also if one of the two has no unit.
    pub fn cast<V: Unit, const N: u32>(self) -> Result<Timedelta64<V, N>, TimeError> {
        let Some(count) = self.time().count() else {
            return Ok(Timedelta64::NAT);
        };
        let target = || Timedelta64::<V, N>::dtype().name();
        let lengths = calendar::length(U::UNIT).zip(calendar::length(V::UNIT));
        let lengths = lengths.or(calendar::months(U::UNIT).zip(calendar::months(V::UNIT)));
        let (from, to) = lengths.ok_or_else(|| other_unit(Self::dtype().name(), target()))?;
        // Each length is a multiple of every shorter one.
        let count = match from >= to {
            true => count.checked_mul(from / to),
            false => Some(count.div_euclid(to / from)),
        };
        let count = count.and_then(multiples::<N>);
        let count = count.ok_or_else(|| out_of_range(self, target()))?;
        Ok(Timedelta64::new(count))
    }
}

/// Rounded down to the unit.
impl<U: Unit, const MULTIPLE: u32> TryFrom<SystemTime> for Datetime64<U, MULTIPLE> {
    type Error = TimeError;

    fn try_from(time: SystemTime) -> Result<Self, TimeError> {
        let nanos = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(later) => nanos(later),
            Err(earlier) => -nanos(earlier.duration()),
        };
        let (seconds, rest) = (nanos.div_euclid(NANOSECOND), nanos.rem_euclid(NANOSECOND));
        let moment = Moment::at(seconds, rest * NANOSECOND);
        Self::from_moment(moment, || format!("{time:?}"))
    }
}

/// Rounded down to the resolution of [`SystemTime`]: nanoseconds on most systems.
impl<U: Unit, const MULTIPLE: u32> TryFrom<Datetime64<U, MULTIPLE>> for SystemTime {
    type Error = TimeError;

    fn try_from(time: Datetime64<U, MULTIPLE>) -> Result<SystemTime, TimeError> {
        const TARGET: &str = "SystemTime";
        let moment = time.moment()?.ok_or(TimeError::Nat { target: TARGET })?;
        let (seconds, attos) = moment.seconds();
        let nanos = Duration::from_nanos((attos / NANOSECOND) as u64);
        let whole = u64::try_from(seconds.unsigned_abs())
            .ok()
            .map(Duration::from_secs);
        let whole = whole.and_then(|whole| match seconds < 0 {
            true => SystemTime::UNIX_EPOCH.checked_sub(whole),
            false => SystemTime::UNIX_EPOCH.checked_add(whole),
        });
        let sum = whole.and_then(|whole| whole.checked_add(nanos));
        sum.ok_or_else(|| out_of_range(time, TARGET))
    }
}

/// Rounded down to the unit.
impl<U: Unit, const MULTIPLE: u32> TryFrom<Duration> for Timedelta64<U, MULTIPLE> {
    type Error = TimeError;

    fn try_from(span: Duration) -> Result<Self, TimeError> {
        let length = calendar::length(U::UNIT);
        let length = length.ok_or_else(|| other_unit("Duration", Self::dtype().name()))?;
        let count = nanos(span) * NANOSECOND / length;
        let count = multiples::<MULTIPLE>(count);
        let count = count.ok_or_else(|| out_of_range(format!("{span:?}"), Self::dtype().name()))?;
        Ok(Self::new(count))
    }
}

/// Rounded down to nanoseconds. A negative span is [`OutOfRange`](TimeError::OutOfRange).
impl<U: Unit, const MULTIPLE: u32> TryFrom<Timedelta64<U, MULTIPLE>> for Duration {
    type Error = TimeError;

    fn try_from(span: Timedelta64<U, MULTIPLE>) -> Result<Duration, TimeError> {
        const TARGET: &str = "Duration";
        let count = span
            .time()
            .count()
            .ok_or(TimeError::Nat { target: TARGET })?;
        let length = calendar::length(U::UNIT);
        let length =
            length.ok_or_else(|| other_unit(Timedelta64::<U, MULTIPLE>::dtype().name(), TARGET))?;
        let parts = match length >= SECOND {
            true => count
                .checked_mul(length / SECOND)
                .map(|seconds| (seconds, 0)),
            false => {
                let per_second = SECOND / length;
                let rest = count.rem_euclid(per_second) * length;
                Some((count.div_euclid(per_second), rest / NANOSECOND))
            }
        };
        let parts = parts.and_then(|(seconds, nanos)| Some((u64::try_from(seconds).ok()?, nanos)));
        let (seconds, nanos) = parts.ok_or_else(|| out_of_range(span, TARGET))?;
        Ok(Duration::new(seconds, nanos as u32))
    }
}

fn nanos(span: Duration) -> i128 {
    // 64 bits of seconds are less than 94 bits of nanoseconds.
    span.as_nanos() as i128
}

/// Reads ISO 8601 as NumPy does: a date, or a date and a time of up to attoseconds. An offset from
/// UTC is subtracted, and the result is rounded down to the unit. Empty text and `NaT` are
/// [`NAT`](Datetime64::NAT); `now` and `today` are refused. Without a unit there is no date, and
/// the text is the count.
impl<U: Unit, const MULTIPLE: u32> FromStr for Datetime64<U, MULTIPLE> {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        if U::UNIT == TimeUnit::Generic {
            let syntax = || TimeError::Syntax {
                text: text.to_owned(),
                expected: "count without a unit, such as 12",
                at: 0,
                reason: "expected an integer",
            };
            return match is_nat(text) {
                true => Ok(Self::NAT),
                false => text.parse().map(Self::new).map_err(|_| syntax()),
            };
        }
        match iso::read(text) {
            Ok(Some(moment)) => Self::from_moment(moment, || format!("{text:?}")),
            Ok(None) => Ok(Self::NAT),
            Err(Refusal::Year) => Err(out_of_range(format!("{text:?}"), Self::dtype().name())),
            Err(Refusal::Syntax { at, reason }) => Err(TimeError::Syntax {
                text: text.to_owned(),
                expected: "time of ISO 8601, such as 2024-01-31T12:30:00",
                at,
                reason,
            }),
        }
    }
}

/// Reads a count of multiples of the unit, as NumPy does. It also reads the printed form of a span,
/// a count of units with their name, rounded down to the multiple. Empty text and `NaT` are
/// [`NAT`](Timedelta64::NAT).
impl<U: Unit, const MULTIPLE: u32> FromStr for Timedelta64<U, MULTIPLE> {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        if is_nat(text) {
            return Ok(Self::NAT);
        }
        let syntax = |at, reason| TimeError::Syntax {
            text: text.to_owned(),
            expected: "span of time, such as `50` or `50 milliseconds`",
            at,
            reason,
        };
        let (number, name) = match text.split_once(' ') {
            Some((number, name)) => (number, Some(name)),
            None => (text, None),
        };
        let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(syntax(0, "expected an integer"));
        }
        let count = number.parse::<i128>().ok();
        let count = match name {
            None => count
                .and_then(|count| i64::try_from(count).ok())
                .filter(|&count| count != i64::MIN),
            Some(name) if name.strip_suffix('s') == Some(U::UNIT.word()) => {
                count.and_then(multiples::<MULTIPLE>)
            }
            Some(_) => return Err(syntax(number.len() + 1, "expected the name of the unit")),
        };
        let count = count.ok_or_else(|| out_of_range(format!("{text:?}"), Self::dtype().name()))?;
        Ok(Self::new(count))
    }
}

fn is_nat(text: &str) -> bool {
    text.is_empty() || text.eq_ignore_ascii_case("nat")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::unit::*;
    use super::*;

    /// Casts a count of one unit to each of the others, and states the expected counts.
    macro_rules! casts {
        ($name:ident, $value:expr => $($unit:ty, $multiple:literal: $expected:expr,)*) => {$(
            let cast = $value.cast::<$unit, $multiple>().map(|time| time.value());
            assert_eq!(cast.ok(), $expected, "{} as {}", $value, $name::<$unit, $multiple>::dtype().name());
        )*};
    }

    #[test]
    fn casts_are_those_of_numpy_or_refused() {
        casts! { Datetime64, Datetime64::<Second>::new(-1) =>
            Year, 1: Some(-1), Month, 1: Some(-1), Week, 1: Some(-1), Day, 1: Some(-1), Hour, 7: Some(-1),
            Minute, 1: Some(-1), Second, 25: Some(-1), Ms, 1: Some(-1000), Us, 1: Some(-1_000_000),
            Ns, 1: Some(-1_000_000_000), As, 1: Some(-1_000_000_000_000_000_000), Generic, 1: None,
        }
        casts! { Datetime64, Datetime64::<Month, 3>::new(217) =>
            Year, 1: Some(54), Year, 10: Some(5), Month, 1: Some(651), Day, 1: Some(19_814), Second, 1: Some(1_711_929_600),
            Ns, 1: Some(1_711_929_600_000_000_000), Ps, 1: None, As, 1: None,
        }
        casts! { Datetime64, Datetime64::<Day>::new(1 << 62) => Second, 1: None, Week, 1: Some((1 << 62) / 7), }
        casts! { Datetime64, Datetime64::<Year, 2_147_483_647>::new(i64::MAX) => As, 2_147_483_647: None, Year, 1: None, }
        casts! { Datetime64, Datetime64::<Generic>::new(5) => Second, 1: None, }
        casts! { Timedelta64, Timedelta64::<Second, 25>::new(-5) =>
            Second, 10: Some(-13), Minute, 1: Some(-3), Week, 1: Some(-1), Ns, 1: Some(-125_000_000_000), As, 1: None,
            Month, 1: None, Generic, 1: None,
        }
        casts! { Timedelta64, Timedelta64::<Month>::new(-5) => Year, 1: Some(-1), Day, 1: None, }
        casts! { Timedelta64, Timedelta64::<Week>::new(i64::MAX) => As, 1: None, Week, 1: Some(i64::MAX), Day, 7: Some(i64::MAX), }
        assert!(Datetime64::<Day>::NAT.cast::<Ns, 1>().unwrap().is_nat());
        assert!(
            Datetime64::<Generic>::NAT
                .cast::<Generic, 1>()
                .unwrap()
                .is_nat()
        );
        assert!(Timedelta64::<Year>::NAT.cast::<Ns, 1>().unwrap().is_nat());
    }

    #[test]
    fn times_come_from_the_clock_and_go_back() {
        let at = |nanos: i64| match nanos < 0 {
            true => SystemTime::UNIX_EPOCH - Duration::from_nanos(nanos.unsigned_abs()),
            false => SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos.unsigned_abs()),
        };
        // Multiples of a hundred, which the clock of every platform holds.
        for nanos in [
            0,
            100,
            -100,
            1_704_067_200_123_456_700,
            -1_704_067_200_123_456_700,
        ] {
            let time = Datetime64::<Ns>::try_from(at(nanos)).unwrap();
            assert_eq!(time.value(), nanos);
            assert_eq!(SystemTime::try_from(time), Ok(at(nanos)));
        }
        let time = at(-1);
        assert_eq!(Datetime64::<Second>::try_from(time).unwrap().value(), -1);
        assert_eq!(
            Datetime64::<Year>::try_from(time).unwrap().to_string(),
            "1969"
        );
        assert_eq!(
            Datetime64::<As>::try_from(at(1)).unwrap().value(),
            1_000_000_000
        );
        let far = at(i64::MAX);
        assert!(matches!(
            Datetime64::<As>::try_from(far),
            Err(TimeError::OutOfRange { .. })
        ));
        assert!(matches!(
            Datetime64::<Generic>::try_from(far),
            Err(TimeError::Unit { .. })
        ));
        let month = "2024-03".parse::<Datetime64<Month>>().unwrap();
        assert_eq!(
            SystemTime::try_from(month),
            Ok(at(1_709_251_200_000_000_000))
        );
        assert_eq!(
            SystemTime::try_from(Datetime64::<Ns>::NAT),
            Err(TimeError::Nat {
                target: "SystemTime"
            })
        );
        for years in [i64::MAX, -i64::MAX] {
            let refused = SystemTime::try_from(Datetime64::<Year>::new(years));
            assert!(matches!(refused, Err(TimeError::OutOfRange { .. })));
        }
    }

    #[test]
    fn spans_come_from_durations_and_go_back() {
        let span = Duration::new(90, 1_999_999);
        assert_eq!(Timedelta64::<Ms>::try_from(span).unwrap().value(), 90_001);
        assert_eq!(
            Timedelta64::<Second, 25>::try_from(span).unwrap().value(),
            3
        );
        assert_eq!(
            Timedelta64::<Ps>::try_from(span).unwrap().value(),
            90_001_999_999_000
        );
        assert!(matches!(
            Timedelta64::<Month>::try_from(span),
            Err(TimeError::Unit { .. })
        ));
        assert!(matches!(
            Timedelta64::<As>::try_from(span),
            Err(TimeError::OutOfRange { .. })
        ));
        assert!(matches!(
            Timedelta64::<Second>::try_from(Duration::MAX),
            Err(TimeError::OutOfRange { .. })
        ));
        assert_eq!(
            Duration::try_from(Timedelta64::<Week>::new(2)),
            Ok(Duration::from_secs(1_209_600))
        );
        assert_eq!(
            Duration::try_from(Timedelta64::<Ms, 10>::new(5)),
            Ok(Duration::from_millis(50))
        );
        assert_eq!(
            Duration::try_from(Timedelta64::<Fs>::new(1_999_999)),
            Ok(Duration::from_nanos(1))
        );
        assert_eq!(
            Duration::try_from(Timedelta64::<Ns>::NAT),
            Err(TimeError::Nat { target: "Duration" })
        );
        for refused in [Timedelta64::<Ns>::new(-1), Timedelta64::new(-i64::MAX)] {
            assert!(matches!(
                Duration::try_from(refused),
                Err(TimeError::OutOfRange { .. })
            ));
        }
        assert!(matches!(
            Duration::try_from(Timedelta64::<Week>::new(i64::MAX)),
            Err(TimeError::OutOfRange { .. })
        ));
        assert!(matches!(
            Duration::try_from(Timedelta64::<Year>::new(1)),
            Err(TimeError::Unit { .. })
        ));
    }

    #[test]
    fn text_is_read_as_the_unit_that_is_asked_for() {
        let day = "2024-01-05T23:59:59.9".parse::<Datetime64<Day>>().unwrap();
        assert_eq!(day.to_string(), "2024-01-05");
        assert_eq!(
            "2024-01-05T07:30"
                .parse::<Datetime64<Hour, 7>>()
                .unwrap()
                .to_string(),
            "2024-01-05T04"
        );
        assert!("NaT".parse::<Datetime64<Day>>().unwrap().is_nat());
        assert_eq!("12".parse::<Datetime64<Generic>>(), Ok(Datetime64::new(12)));
        assert!("".parse::<Datetime64<Generic>>().unwrap().is_nat());
        let far = "12024-01-01".parse::<Datetime64<Ns>>().unwrap_err();
        assert_eq!(
            far.to_string(),
            "\"12024-01-01\" is outside of what datetime64[ns] holds; take a coarser unit, or check the value"
        );
        assert!(matches!(
            "9".repeat(99).parse::<Datetime64<Year>>(),
            Err(TimeError::OutOfRange { .. })
        ));
        let wrong = "2024-02-30".parse::<Datetime64<Day>>().unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "\"2024-02-30\" is no time of ISO 8601, such as 2024-01-31T12:30:00: expected a day of that month at byte 8"
        );
        assert_eq!(
            "-50".parse::<Timedelta64<Ms, 10>>(),
            Ok(Timedelta64::new(-50))
        );
        assert_eq!(
            "-55 milliseconds".parse::<Timedelta64<Ms, 10>>(),
            Ok(Timedelta64::new(-6))
        );
        assert!(
            "nat".parse::<Timedelta64<Ms>>().unwrap().is_nat()
                && "".parse::<Timedelta64<Ms>>().unwrap().is_nat()
        );
        for text in [
            "5 seconds",
            "5ms",
            "1_0",
            "5 ",
            "-",
            "1.5",
            " 5",
            "5 milliseconds ",
            "P1D",
        ] {
            assert!(
                matches!(
                    text.parse::<Timedelta64<Ms>>(),
                    Err(TimeError::Syntax { .. })
                ),
                "{text:?}"
            );
        }
        for text in [
            "9223372036854775808",
            "-9223372036854775808",
            "99999999999999999999999999999999999999999 milliseconds",
        ] {
            assert!(
                matches!(
                    text.parse::<Timedelta64<Ms>>(),
                    Err(TimeError::OutOfRange { .. })
                ),
                "{text:?}"
            );
        }
    }

    macro_rules! round_trips {
        ($value:ident: $($unit:ident),*) => {$(
            let time = Datetime64::<$unit, 7>::new($value);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
            let span = Timedelta64::<$unit, 7>::new($value);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            let _ = (SystemTime::try_from(time), Duration::try_from(span), time.cast::<As, 1>(), span.cast::<As, 1>());
        )*};
    }

    proptest! {
        #[test]
        fn times_and_spans_of_every_unit_are_read_as_they_are_printed(value: i64) {
            round_trips!(value: Year, Month, Week, Day, Hour, Minute, Second, Ms, Us, Ns, Ps, Fs, As);
            let span = Timedelta64::<Generic>::new(value);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            let count = Datetime64::<Generic>::new(value);
            prop_assert_eq!(count.to_string().parse(), Ok(count));
        }
    }
}
