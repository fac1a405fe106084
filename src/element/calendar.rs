//! Times as NumPy prints them: ISO 8601 in the proleptic Gregorian calendar, or a count with its unit.
//!
//! All arithmetic is wide enough for any count, multiple and unit; NumPy's own wraps around for times that lie further
//! from 1970 than 64 bits of its unit reach.

use std::fmt::{self, Display, Formatter};

use crate::dtype::{Kind, TimeUnit};

/// A count of multiples of a unit: a datetime since 1970, or a timedelta.
pub(super) struct Time {
    pub(super) kind: Kind,
    pub(super) value: i64,
    pub(super) unit: TimeUnit,
    pub(super) multiple: u32,
}

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.value == i64::MIN {
            return f.write_str("NaT");
        }
        let count = i128::from(self.value) * i128::from(self.multiple);
        match self.kind {
            Kind::Datetime => write_date(f, count, self.unit),
            _ => write!(f, "{count} {}s", self.unit.word()),
        }
    }
}

fn write_date(f: &mut Formatter<'_>, count: i128, unit: TimeUnit) -> fmt::Result {
    let (per_day, decimals) = match unit {
        // Without a unit there is no date, only the count.
        TimeUnit::Generic => return write!(f, "{count}"),
        TimeUnit::Year => return write!(f, "{:04}", 1970 + count),
        TimeUnit::Month => {
            let (year, month) = (1970 + count.div_euclid(12), 1 + count.rem_euclid(12));
            return write!(f, "{year:04}-{month:02}");
        }
        TimeUnit::Week => return write_day(f, count * 7),
        TimeUnit::Day => return write_day(f, count),
        TimeUnit::Hour => (24, 0),
        TimeUnit::Minute => (24 * 60, 0),
        TimeUnit::Second => (86_400, 0),
        TimeUnit::Millisecond => (86_400 * 10_i128.pow(3), 3),
        TimeUnit::Microsecond => (86_400 * 10_i128.pow(6), 6),
        TimeUnit::Nanosecond => (86_400 * 10_i128.pow(9), 9),
        TimeUnit::Picosecond => (86_400 * 10_i128.pow(12), 12),
        TimeUnit::Femtosecond => (86_400 * 10_i128.pow(15), 15),
        TimeUnit::Attosecond => (86_400 * 10_i128.pow(18), 18),
    };
    write_day(f, count.div_euclid(per_day))?;
    let time = count.rem_euclid(per_day);
    let per_hour = per_day / 24;
    write!(f, "T{:02}", time / per_hour)?;
    if unit == TimeUnit::Hour {
        return Ok(());
    }
    let per_minute = per_hour / 60;
    write!(f, ":{:02}", time % per_hour / per_minute)?;
    if unit == TimeUnit::Minute {
        return Ok(());
    }
    let per_second = per_minute / 60;
    write!(f, ":{:02}", time % per_minute / per_second)?;
    match decimals {
        0 => Ok(()),
        _ => write!(f, ".{:0decimals$}", time % per_second),
    }
}

/// Writes the day that is `days` after the first of 1970.
///
/// Years are counted from March, so that the leap day is the last of its year, in cycles of 400 years, which all have
/// the same days: 719468 lie between the first of March of the year 0 and 1970.
fn write_day(f: &mut Formatter<'_>, days: i128) -> fmt::Result {
    const CYCLE: i128 = 146_097;
    let days = days + 719_468;
    let day = days.rem_euclid(CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, five months have 153 days: 31, 30, 31, 30, 31.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = days.div_euclid(CYCLE) * 400 + year + month / 10;
    let month = (month + 2) % 12 + 1;
    write!(f, "{year:04}-{month:02}-{day:02}")
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
        fn no_time_overflows(value: i64, unit in 0..TimeUnit::ALL.len(), multiple in 1..=i32::MAX as u32) {
            for kind in [Kind::Datetime, Kind::Timedelta] {
                let unit = TimeUnit::ALL[unit];
                let _ = Time { kind, value, unit, multiple }.to_string();
            }
        }
    }
}
