//! Reads points in time from ISO 8601 text, as NumPy does.
//!
//! `[+-]year[-month[-day[T hour[:minute[:second[.fraction]]]]]]`, with a space or `T` before the
//! hour, then `Z` or an offset from UTC, which is subtracted. The year has any number of digits,
//! the fraction at most 18. Empty text and `NaT` are NaT. `now` and `today`, which NumPy reads off
//! the clock, are refused.

use super::calendar::{Moment, days_in, days_until};

/// Why text is no point in time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Syntax {
        at: usize,
        reason: &'static str,
    },
    /// No count reaches such a year.
    Year,
}

/// No count of 64 bits, times a multiple of 31 bits, reaches this year.
const MAX_YEAR: i128 = 1 << 96;

/// Reads a point in time. `None` is NaT.
pub(super) fn read(text: &str) -> Result<Option<Moment>, Refusal> {
    let mut reader = Reader {
        bytes: text.as_bytes(),
        at: 0,
    };
    reader.skip_blanks();
    let rest = &reader.bytes[reader.at..];
    if rest.is_empty() || rest.eq_ignore_ascii_case(b"nat") {
        return Ok(None);
    }
    reader.moment().map(Some)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn moment(&mut self) -> Result<Moment, Refusal> {
        let year = self.year()?;
        let date = |month, day| Moment {
            days: days_until(year, month, day),
            attos: 0,
        };
        if self.is_end() {
            return Ok(date(1, 1));
        }
        self.expect(b"-", "expected a `-` before the month")?;
        let month = self.two(1..=12, "expected a month from 01 to 12")?;
        if self.is_end() {
            return Ok(date(month, 1));
        }
        self.expect(b"-", "expected a `-` before the day")?;
        let day = self.two(1..=days_in(year, month), "expected a day of that month")?;
        if self.is_end() {
            return Ok(date(month, day));
        }
        self.expect(b"T ", "expected a `T` before the hour")?;
        let mut seconds = 3600 * self.two(0..=23, "expected an hour from 00 to 23")?;
        let mut attos = 0;
        if self.eat(b":") {
            seconds += 60 * self.two(0..=59, "expected a minute from 00 to 59")?;
            if self.eat(b":") {
                seconds += self.two(0..=59, "expected a second from 00 to 59")?;
                if self.eat(b".") {
                    attos = self.fraction();
                }
            }
        }
        seconds -= self.offset()?;
        self.skip_blanks();
        if !self.is_end() {
            return Err(self.refuse("expected the end"));
        }
        Ok(Moment::at(date(month, day).days * 86_400 + seconds, attos))
    }

    fn year(&mut self) -> Result<i128, Refusal> {
        let is_negative = self.bytes.get(self.at) == Some(&b'-');
        let _ = self.eat(b"+-");
        let mut year: i128 = 0;
        let start = self.at;
        while let Some(digit) = self.digit() {
            year = (10 * year + digit).min(MAX_YEAR);
        }
        match year {
            _ if self.at == start => Err(self.refuse("expected a year")),
            MAX_YEAR => Err(Refusal::Year),
            _ if is_negative => Ok(-year),
            _ => Ok(year),
        }
    }

    /// The attoseconds that the digits behind the point stand for. Digits finer than an attosecond
    /// stay unread.
    fn fraction(&mut self) -> i128 {
        let (mut attos, mut unit) = (0, 10_i128.pow(18));
        while unit > 1
            && let Some(digit) = self.digit()
        {
            unit /= 10;
            attos += digit * unit;
        }
        attos
    }

    /// The offset of local time from UTC, in seconds: 0 unless the text names one.
    fn offset(&mut self) -> Result<i128, Refusal> {
        let sign = match self.bytes.get(self.at) {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => {
                let _ = self.eat(b"Z");
                return Ok(0);
            }
        };
        self.at += 1;
        let hours = self.two(0..=23, "expected the hours of an offset from 00 to 23")?;
        let has_minutes = self.eat(b":") || self.bytes.get(self.at).is_some_and(u8::is_ascii_digit);
        let minutes = match has_minutes {
            true => self.two(0..=59, "expected the minutes of an offset from 00 to 59")?,
            false => 0,
        };
        Ok(sign * (3600 * hours + 60 * minutes))
    }

    /// A number of two digits.
    fn two(
        &mut self,
        range: std::ops::RangeInclusive<i128>,
        reason: &'static str,
    ) -> Result<i128, Refusal> {
        let start = self.at;
        let number = self.digit().zip(self.digit());
        let number = number.map(|(tens, ones)| 10 * tens + ones);
        number
            .filter(|number| range.contains(number))
            .ok_or(Refusal::Syntax { at: start, reason })
    }

    fn digit(&mut self) -> Option<i128> {
        let digit = self
            .bytes
            .get(self.at)
            .filter(|byte| byte.is_ascii_digit())?;
        self.at += 1;
        Some(i128::from(digit - b'0'))
    }

    /// Passes over the next byte if it is one of these.
    fn eat(&mut self, any_of: &[u8]) -> bool {
        let found = self.bytes.get(self.at);
        let is_one = found.is_some_and(|byte| any_of.contains(byte));
        self.at += usize::from(is_one);
        is_one
    }

    fn expect(&mut self, any_of: &[u8], reason: &'static str) -> Result<(), Refusal> {
        match self.eat(any_of) {
            true => Ok(()),
            false => Err(self.refuse(reason)),
        }
    }

    fn refuse(&self, reason: &'static str) -> Refusal {
        Refusal::Syntax {
            at: self.at,
            reason,
        }
    }

    fn skip_blanks(&mut self) {
        while self.eat(b" \t\n\r\x0b\x0c") {}
    }

    fn is_end(&self) -> bool {
        self.at == self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dtype::{Kind, TimeUnit};
    use crate::element::calendar::Time;

    /// The text as NumPy prints it with the unit `as`, or `ns` where that does not reach.
    fn shown(text: &str) -> Option<String> {
        let moment = read(text).ok()??;
        let (seconds, attos) = moment.seconds();
        let time = Time {
            kind: Kind::Datetime,
            value: i64::try_from(seconds).unwrap(),
            unit: TimeUnit::Second,
            multiple: 1,
        };
        Some(format!("{time}.{attos:018}"))
    }

    #[test]
    fn text_is_read_as_numpy_reads_it() {
        for (text, seconds, attos) in [
            ("2024", "2024-01-01T00:00:00", 0),
            ("+2024-02", "2024-02-01T00:00:00", 0),
            (" \t2024-02-29", "2024-02-29T00:00:00", 0),
            ("5", "0005-01-01T00:00:00", 0),
            ("-0000", "0000-01-01T00:00:00", 0),
            ("-5", "-005-01-01T00:00:00", 0),
            ("20240105", "20240105-01-01T00:00:00", 0),
            ("99999999999-01-01", "99999999999-01-01T00:00:00", 0),
            ("2024-01-05T06", "2024-01-05T06:00:00", 0),
            ("2024-01-05 06:07", "2024-01-05T06:07:00", 0),
            ("2024-01-05T06 ", "2024-01-05T06:00:00", 0),
            ("2024-01-05T06Z", "2024-01-05T06:00:00", 0),
            ("2024-01-05T06:07:08Z ", "2024-01-05T06:07:08", 0),
            ("2024-01-05T06:07:08+01:00", "2024-01-05T05:07:08", 0),
            ("2024-01-05T06:07+0130", "2024-01-05T04:37:00", 0),
            ("2024-01-05T06:07-00:30", "2024-01-05T06:37:00", 0),
            ("2024-01-05T06:07+01 ", "2024-01-05T05:07:00", 0),
            ("2024-01-01T00:30+01", "2023-12-31T23:30:00", 0),
            ("2024-01-05T06:07:08.", "2024-01-05T06:07:08", 0),
            ("2024-01-05T06:07:08.+01:00", "2024-01-05T05:07:08", 0),
            (
                "1969-12-31T23:59:59.9",
                "1969-12-31T23:59:59",
                9 * 10_i128.pow(17),
            ),
            (
                "2024-01-05T06:07:08.123456789012345678",
                "2024-01-05T06:07:08",
                123_456_789_012_345_678,
            ),
        ] {
            let expected = format!("{seconds}.{attos:018}");
            assert_eq!(shown(text), Some(expected), "{text:?}");
        }
        for text in ["", "  ", "NaT", "nat", " NAT"] {
            assert_eq!(read(text), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn text_that_numpy_refuses_is_refused_where_it_goes_wrong() {
        for (text, at) in [
            ("-", 1),
            ("now", 0),
            ("2024 ", 4),
            ("2024-", 5),
            ("2024-1-5", 5),
            ("2024-00", 5),
            ("2024-13", 5),
            ("2024-0105", 7),
            ("2024-01-00", 8),
            ("2023-02-29", 8),
            ("2100-02-29", 8),
            ("2024-02-30", 8),
            ("2024-01-05Z", 10),
            ("2024-01-05t06", 10),
            ("2024-01-05 ", 11),
            ("2024-01-05T6", 11),
            ("2024-01-05T24:00", 11),
            ("2024-01-05T0607", 13),
            ("2024-01-05T06.5", 13),
            ("2024-01-05T06:60", 14),
            ("2024-01-05T06:0708", 16),
            ("2024-01-05T06:07:60", 17),
            ("2024-01-05T06:07:08,5", 19),
            ("2024-01-05T06:07:08z", 19),
            ("2024-01-05T06:07:08 Z", 20),
            ("2024-01-05T06:07:08+1", 20),
            ("2024-01-05T06:07:08+24:00", 20),
            ("2024-01-05T06:07:08+01:60", 23),
            ("2024-01-05T06:07:08.1234567890123456789", 38),
            ("２０２４", 0),
        ] {
            let Err(Refusal::Syntax { at: found, .. }) = read(text) else {
                panic!("{text:?} is read");
            };
            assert_eq!(found, at, "{text:?}");
        }
        assert_eq!(read(&"9".repeat(1000)), Err(Refusal::Year));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(value in -i64::MAX.., unit in 0..TimeUnit::ALL.len() - 1, multiple in 1..=i32::MAX as u32) {
            let unit = TimeUnit::ALL[unit];
            let time = Time { kind: Kind::Datetime, value, unit, multiple };
            prop_assert_eq!(read(&time.to_string()), Ok(Moment::of(time.count().unwrap(), unit)));
        }

        #[test]
        fn no_text_makes_it_panic(text: String, digits in "[-+0-9TZ :.]{0,30}") {
            let _ = (read(&text), read(&digits));
        }
    }
}
