//! Times as NumPy prints them (ISO 8601 in the proleptic Gregorian calendar, or a count with its
//! unit), and the arithmetic between units that this needs.
//!
//! The arithmetic holds every count, multiple and unit, or says that it does not. NumPy's wraps
//! around for times further from 1970 than 64 bits of the unit reach.

use std::fmt::{self, Display, Formatter};

use crate::dtype::{Kind, TimeUnit};

/// A count of multiples of a unit: a datetime since 1970, or a timedelta.
pub(super) struct Time {
    pub(super) kind: Kind,
    pub(super) value: i64,
    pub(super) unit: TimeUnit,
    pub(super) multiple: u32,
}

impl Time {
    /// The count in the unit itself, or `None` for NaT.
    pub(super) fn count(&self) -> Option<i128> {
        (self.value != i64::MIN).then(|| i128::from(self.value) * i128::from(self.multiple))
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.count(), self.kind) {
            (None, _) => f.write_str("NaT"),
            (Some(count), Kind::Datetime) => write_date(f, count, self.unit),
            (Some(count), _) => write!(f, "{count} {}s", self.unit.word()),
        }
    }
}

const SECOND: i128 = 10_i128.pow(18);
const DAY: i128 = 86_400 * SECOND;

/// How many attoseconds a unit takes. Years and months have no fixed length, and a bare count has
/// none at all.
pub(super) fn length(unit: TimeUnit) -> Option<i128> {
    Some(match unit {
        TimeUnit::Generic | TimeUnit::Year | TimeUnit::Month => return None,
        TimeUnit::Week => 7 * DAY,
        TimeUnit::Day => DAY,
        TimeUnit::Hour => 3600 * SECOND,
        TimeUnit::Minute => 60 * SECOND,
        TimeUnit::Second => SECOND,
        TimeUnit::Millisecond => 10_i128.pow(15),
        TimeUnit::Microsecond => 10_i128.pow(12),
        TimeUnit::Nanosecond => 10_i128.pow(9),
        TimeUnit::Picosecond => 10_i128.pow(6),
        TimeUnit::Femtosecond => 10_i128.pow(3),
        TimeUnit::Attosecond => 1,
    })
}

/// How many months a year or a month has.
pub(super) fn months(unit: TimeUnit) -> Option<i128> {
    match unit {
        TimeUnit::Year => Some(12),
        TimeUnit::Month => Some(1),
        _ => None,
    }
}

/// A point in time, exact, whatever unit it is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Days since the first of 1970.
    pub(super) days: i128,
    /// Attoseconds since the start of that day, less than a day.
    pub(super) attos: i128,
}

impl Moment {
    /// The moment that is `seconds` and `attos`, less than a second, after the start of 1970.
    pub(super) fn at(seconds: i128, attos: i128) -> Moment {
        Moment {
            days: seconds.div_euclid(86_400),
            attos: seconds.rem_euclid(86_400) * SECOND + attos,
        }
    }

    /// The seconds since the start of 1970, and the attoseconds behind them. The days are those of
    /// a [`Moment::of`].
    pub(super) fn seconds(self) -> (i128, i128) {
        (
            self.days * 86_400 + self.attos / SECOND,
            self.attos % SECOND,
        )
    }

    /// The start of the unit that begins `count` units after the start of 1970. `None` without a
    /// unit.
    ///
    /// An `i64` count times an `i32` multiple is less than 2^94 units, and so less than 2^103 days.
    pub(super) fn of(count: i128, unit: TimeUnit) -> Option<Moment> {
        if let Some(months) = months(unit) {
            let count = count * months;
            let (year, month) = (1970 + count.div_euclid(12), 1 + count.rem_euclid(12));
            return Some(Moment {
                days: days_until(year, month, 1),
                attos: 0,
            });
        }
        let length = length(unit)?;
        Some(if length >= DAY {
            Moment {
                days: count * (length / DAY),
                attos: 0,
            }
        } else {
            let per_day = DAY / length;
            Moment {
                days: count.div_euclid(per_day),
                attos: count.rem_euclid(per_day) * length,
            }
        })
    }

    /// How many whole units lie between the start of 1970 and this moment. `None` without a unit,
    /// or if there are too many.
    pub(super) fn count(self, unit: TimeUnit) -> Option<i128> {
        if let Some(months) = months(unit) {
            let (year, month, _) = date(self.days);
            return Some(((year - 1970) * 12 + month - 1).div_euclid(months));
        }
        let length = length(unit)?;
        if length >= DAY {
            return Some(self.days.div_euclid(length / DAY));
        }
        let count = self.days.checked_mul(DAY / length)?;
        count.checked_add(self.attos / length)
    }
}

fn write_date(f: &mut Formatter<'_>, count: i128, unit: TimeUnit) -> fmt::Result {
    let Some(Moment { days, attos }) = Moment::of(count, unit) else {
        // Without a unit there is no date, only the count.
        return write!(f, "{count}");
    };
    let (year, month, day) = date(days);
    write!(f, "{year:04}")?;
    if unit == TimeUnit::Year {
        return Ok(());
    }
    write!(f, "-{month:02}")?;
    if unit == TimeUnit::Month {
        return Ok(());
    }
    write!(f, "-{day:02}")?;
    let decimals = match unit {
        TimeUnit::Week | TimeUnit::Day => return Ok(()),
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
        TimeUnit::Picosecond => 12,
        TimeUnit::Femtosecond => 15,
        TimeUnit::Attosecond => 18,
        _ => 0,
    };
    let (seconds, attos) = (attos / SECOND, attos % SECOND);
    write!(f, "T{:02}", seconds / 3600)?;
    if unit == TimeUnit::Hour {
        return Ok(());
    }
    write!(f, ":{:02}", seconds / 60 % 60)?;
    if unit == TimeUnit::Minute {
        return Ok(());
    }
    write!(f, ":{:02}", seconds % 60)?;
    match decimals {
        0 => Ok(()),
        _ => write!(
            f,
            ".{:0decimals$}",
            attos / 10_i128.pow(18 - decimals as u32)
        ),
    }
}

// Years are counted from March, so that the leap day is the last of its year, and in cycles of 400
// years, which all have the same number of days. 719468 days lie between the first of March of the
// year 0 and 1970. From March on, five months have 153 days: 31, 30, 31, 30, 31.

/// The days of 400 years.
const CYCLE: i128 = 146_097;
const EPOCH: i128 = 719_468;

/// The date that is `days` after the first of 1970: year, month and day.
fn date(days: i128) -> (i128, i128, i128) {
    let days = days + EPOCH;
    let day = days.rem_euclid(CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = days.div_euclid(CYCLE) * 400 + year + month / 10;
    (year, (month + 2) % 12 + 1, day)
}

/// How many days after the first of 1970 a date is.
pub(super) fn days_until(year: i128, month: i128, day: i128) -> i128 {
    let year = if month < 3 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let in_cycle = year.rem_euclid(400);
    let days = 365 * in_cycle + in_cycle / 4 - in_cycle / 100 + (153 * month + 2) / 5 + day - 1;
    year.div_euclid(400) * CYCLE + days - EPOCH
}

/// How many days a month has.
pub(super) fn days_in(year: i128, month: i128) -> i128 {
    let (next_year, next) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    days_until(next_year, next, 1) - days_until(year, month, 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dtype::DType;

    fn shown(descr: &str, value: i64) -> String {
        let dtype = DType::parse(descr).unwrap();
        let (unit, multiple) = dtype.time_unit().unwrap();
        let kind = dtype.kind();
        let time = Time {
            kind,
            value,
            unit,
            multiple,
        };
        time.to_string()
    }

    #[test]
    fn times_are_those_of_numpy() {
        for (descr, value, text) in [
            ("M8[Y]", -2000, "-030"),
            ("M8[Y]", -1975, "-005"),
            ("M8[Y]", 8030, "10000"),
            ("M8[2Y]", 5, "1980"),
            ("M8[M]", -1, "1969-12"),
            ("M8[M]", i64::MAX, "768614336404566620-08"),
            ("M8[3M]", 5, "1971-04"),
            ("M8[W]", 1, "1970-01-08"),
            ("M8[D]", -1, "1969-12-31"),
            ("M8[D]", 1 << 62, "12626367463885247-04-15"),
            ("M8[h]", -1, "1969-12-31T23"),
            ("M8[m]", 1, "1970-01-01T00:01"),
            ("M8[s]", 1_704_067_199, "2023-12-31T23:59:59"),
            ("M8[s]", i64::MAX, "292277026596-12-04T15:30:07"),
            ("M8[s]", -i64::MAX, "-292277022657-01-27T08:29:53"),
            ("M8[25s]", -1, "1969-12-31T23:59:35"),
            ("M8[ms]", -1, "1969-12-31T23:59:59.999"),
            ("M8[us]", 1, "1970-01-01T00:00:00.000001"),
            ("M8[ns]", 1, "1970-01-01T00:00:00.000000001"),
            ("M8[ps]", 1, "1970-01-01T00:00:00.000000000001"),
            ("M8[fs]", 1, "1970-01-01T00:00:00.000000000000001"),
            ("M8[as]", i64::MAX, "1970-01-01T00:00:09.223372036854775807"),
            ("M8[ns]", i64::MIN, "NaT"),
            ("M8", 5, "5"),
            ("m8[ns]", -1, "-1 nanoseconds"),
            ("m8[10ms]", 5, "50 milliseconds"),
            ("m8[Y]", 1, "1 years"),
            ("m8", 5, "5 generic time units"),
            ("m8", i64::MIN, "NaT"),
        ] {
            assert_eq!(shown(descr, value), text, "{descr} {value}");
        }
    }

    /// The day after, by the rules of the calendar alone.
    fn next(date: &str) -> String {
        let mut parts = date
            .rsplitn(3, '-')
            .map(|part| part.parse::<i64>().unwrap());
        let mut part = || parts.next().unwrap();
        let (day, month, year) = (part(), part(), part());
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let (year, month, day) = match (month, day == days) {
            (_, false) => (year, month, day + 1),
            (12, true) => (year + 1, 1, 1),
            (_, true) => (year, month + 1, 1),
        };
        format!("{year:04}-{month:02}-{day:02}")
    }

    proptest! {
        #[test]
        fn days_follow_one_another(day in -2_000_000..2_000_000_i64) {
            prop_assert_eq!(shown("M8[D]", day + 1), next(&shown("M8[D]", day)));
        }

        #[test]
        fn the_days_until_a_date_lead_to_it(days in -(1_i128 << 100)..1 << 100) {
            let (year, month, day) = date(days);
            prop_assert_eq!(days_until(year, month, day), days);
            prop_assert!((1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day));
        }

        #[test]
        fn a_moment_is_in_the_unit_that_it_is_counted_in(value: i64, unit in 0..TimeUnit::ALL.len() - 1, multiple in 1..=i32::MAX as u32) {
            let (count, unit) = (i128::from(value) * i128::from(multiple), TimeUnit::ALL[unit]);
            let moment = Moment::of(count, unit).unwrap();
            prop_assert_eq!(moment.count(unit), Some(count));
            let next = Moment::of(count + 1, unit).unwrap();
            let last = match next.attos {
                0 => Moment { days: next.days - 1, attos: DAY - 1 },
                attos => Moment { attos: attos - 1, ..next },
            };
            prop_assert_eq!(last.count(unit), Some(count));
            prop_assert_eq!(Moment::of(count, TimeUnit::Generic), None);
        }

        #[test]
        fn no_time_overflows(value: i64, unit in 0..TimeUnit::ALL.len(), multiple in 1..=i32::MAX as u32) {
            for kind in [Kind::Datetime, Kind::Timedelta] {
                let unit = TimeUnit::ALL[unit];
                let _ = Time { kind, value, unit, multiple }.to_string();
            }
        }
    }
}
