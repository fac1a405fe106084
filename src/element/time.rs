//! Points and spans of time, counted in a unit that is part of the type.

mod arithmetic;
mod convert;

use std::fmt::{self, Debug, Display, Formatter};
use std::marker::PhantomData;

use bytemuck::{Pod, Zeroable};

use super::calendar::Time;
use super::{ByteOrdered, Element};
use crate::dtype::{ByteOrder, DType, Kind};

/// The units of [`Datetime64`](crate::Datetime64) and [`Timedelta64`](crate::Timedelta64), as
/// types.
pub mod unit {
    use bytemuck::{Pod, Zeroable};

    use crate::dtype::TimeUnit;

    /// A unit of time: a type without bytes.
    pub trait Unit: Pod + Send + Sync {
        /// The unit.
        const UNIT: TimeUnit;
    }

    macro_rules! units {
        ($($(#[$doc:meta])* $name:ident: $unit:ident,)*) => {$(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Zeroable, Pod)]
            #[repr(C)]
            pub struct $name;

            impl Unit for $name {
                const UNIT: TimeUnit = TimeUnit::$unit;
            }
        )*};
    }

    units! {
        /// `Y`
        Year: Year,
        /// `M`
        Month: Month,
        /// `W`
        Week: Week,
        /// `D`
        Day: Day,
        /// `h`
        Hour: Hour,
        /// `m`
        Minute: Minute,
        /// `s`
        Second: Second,
        /// `ms`
        Ms: Millisecond,
        /// `us`
        Us: Microsecond,
        /// `ns`
        Ns: Nanosecond,
        /// `ps`
        Ps: Picosecond,
        /// `fs`
        Fs: Femtosecond,
        /// `as`
        As: Attosecond,
        /// No unit: a bare count.
        Generic: Generic,
    }
}

use unit::Unit;

macro_rules! times {
    ($(#[$doc:meta])* $name:ident: $kind:ident, $dtype:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Zeroable, Pod)]
        #[repr(transparent)]
        pub struct $name<U, const MULTIPLE: u32 = 1>(i64, PhantomData<U>)
        where
            U: Unit;

        impl<U: Unit, const MULTIPLE: u32> $name<U, MULTIPLE> {
            /// Not a time: NumPy's `NaT`. It equals itself and comes after every time, as it does
            /// when NumPy sorts, so times have a total order. NumPy's `==` and `<` are false for
            /// it.
            pub const NAT: Self = Self::new(i64::MIN);

            /// The time of this count of units, or of `MULTIPLE` units each. `i64::MIN` is
            /// [`NAT`](Self::NAT).
            pub const fn new(value: i64) -> Self {
                $name(value, PhantomData)
            }

            /// The count. That of [`NAT`](Self::NAT) is `i64::MIN`.
            pub const fn value(self) -> i64 {
                self.0
            }

            /// Whether it is [`NAT`](Self::NAT).
            pub const fn is_nat(self) -> bool {
                self.0 == i64::MIN
            }

            fn time(self) -> Time {
                Time {
                    kind: Kind::$kind,
                    value: self.0,
                    unit: U::UNIT,
                    multiple: MULTIPLE,
                }
            }
        }

        impl<U: Unit, const MULTIPLE: u32> Default for $name<U, MULTIPLE> {
            fn default() -> Self {
                Self::new(0)
            }
        }

        impl<U: Unit, const MULTIPLE: u32> Debug for $name<U, MULTIPLE> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                Display::fmt(self, f)
            }
        }

        impl<U: Unit, const MULTIPLE: u32> Display for $name<U, MULTIPLE> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.pad(&self.time().to_string())
            }
        }

        impl<U: Unit, const MULTIPLE: u32> Element for $name<U, MULTIPLE> {
            fn dtype() -> DType {
                const { DType::$dtype(U::UNIT, MULTIPLE, ByteOrder::NATIVE) }
            }
        }

        impl<U: Unit, const MULTIPLE: u32> ByteOrdered for $name<U, MULTIPLE> {
            type Raw = [u8; 8];

            fn swap(raw: [u8; 8]) -> [u8; 8] {
                i64::swap(raw)
            }
        }
    };
}

times! {
    /// A point in time, counted since the start of 1970 in a unit of [`unit`](mod@unit) or a
    /// multiple of it: NumPy's `datetime64`.
    ///
    /// It is read and printed as ISO 8601, as in NumPy. It converts from and to
    /// [`SystemTime`](std::time::SystemTime), which crates for calendars and time zones understand.
    /// Spans are added and subtracted. If 64 bits do not hold a result, the operators give
    /// [`NAT`](Self::NAT), and the checked methods `None`.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use ndstore::{Datetime64, Element, Timedelta64, unit};
    ///
    /// let start: Datetime64<unit::Second> = "2024-01-01".parse()?;
    /// assert_eq!(start.value(), 1_704_067_200);
    /// let end = start + Timedelta64::new(90);
    /// assert_eq!(end.to_string(), "2024-01-01T00:01:30");
    /// assert!(Datetime64::<unit::Ns>::try_from(SystemTime::now())? > start.cast()?);
    /// assert_eq!(Datetime64::<unit::Second, 25>::dtype().name(), "datetime64[25s]");
    /// # Ok::<(), ndstore::TimeError>(())
    /// ```
    Datetime64: Datetime, datetime
}

times! {
    /// A span of time, counted in a unit of [`unit`](mod@unit) or a multiple of it: NumPy's
    /// `timedelta64`.
    ///
    /// It prints as a count with its unit, as in NumPy. Spans of one unit are added, subtracted,
    /// scaled and divided as in NumPy. If 64 bits do not hold a result, the operators give
    /// [`NAT`](Self::NAT), and the checked methods `None`. [`cast`](Timedelta64::cast) changes the
    /// unit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use ndstore::{Timedelta64, unit};
    ///
    /// let span = Timedelta64::<unit::Ms, 10>::new(5);
    /// assert_eq!(span.to_string(), "50 milliseconds");
    /// assert_eq!(Duration::try_from(span * 3)?, Duration::from_millis(150));
    /// assert_eq!(span / Timedelta64::new(2), 2.5);
    /// # Ok::<(), ndstore::TimeError>(())
    /// ```
    Timedelta64: Timedelta, timedelta
}
