//! The small enums of a dtype: its kind, its byte order, its unit of time.

/// The order of the bytes of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// The least significant byte comes first: `<`.
    Little,
    /// The most significant byte comes first: `>`.
    Big,
    /// The type has no byte order, as bytes and records do not: `|`.
    NotApplicable,
}

impl ByteOrder {
    /// The byte order of this machine.
    pub const NATIVE: ByteOrder = if cfg!(target_endian = "big") {
        ByteOrder::Big
    } else {
        ByteOrder::Little
    };

    /// The character that stands for the order in a descr.
    pub(super) fn char(self) -> char {
        match self {
            ByteOrder::Little => '<',
            ByteOrder::Big => '>',
            ByteOrder::NotApplicable => '|',
        }
    }

    /// The order of a type of several bytes, for which `|` means native.
    pub(super) const fn or_native(self) -> ByteOrder {
        match self {
            ByteOrder::NotApplicable => ByteOrder::NATIVE,
            order => order,
        }
    }
}

/// The kind of the elements of a dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A truth value of one byte: `b1`.
    Bool,
    /// A signed integer: `i1` to `i8`.
    Int,
    /// An unsigned integer: `u1` to `u8`.
    UInt,
    /// A float: `f2`, `f4`, `f8`, and `f16`, the `long double` of the machine that wrote it.
    Float,
    /// A complex number, real part first: `c8`, `c16`, and `c32` of two `f16`.
    Complex,
    /// A point in time, 64 bits since 1970: `M8[ns]`.
    Datetime,
    /// A span of time of 64 bits: `m8[ns]`.
    Timedelta,
    /// A byte string of fixed length, padded with zero bytes: `S5`.
    Bytes,
    /// A text of fixed length in UTF-32, padded with zeros: `U5`.
    Text,
    /// Uninterpreted bytes: `V5`.
    Void,
    /// Named fields: `[('x', '<i4'), ('y', '<f8')]`.
    Record,
}

impl Kind {
    /// The letter of the kind in a descr. A record has none of its own: it is void with fields.
    pub(super) fn letter(self) -> char {
        match self {
            Kind::Bool => 'b',
            Kind::Int => 'i',
            Kind::UInt => 'u',
            Kind::Float => 'f',
            Kind::Complex => 'c',
            Kind::Datetime => 'M',
            Kind::Timedelta => 'm',
            Kind::Bytes => 'S',
            Kind::Text => 'U',
            Kind::Void | Kind::Record => 'V',
        }
    }

    /// NumPy's name of the kind, to which a dtype's name adds the size.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::UInt => "uint",
            Kind::Float => "float",
            Kind::Complex => "complex",
            Kind::Datetime => "datetime64",
            Kind::Timedelta => "timedelta64",
            Kind::Bytes => "bytes",
            Kind::Text => "str",
            Kind::Void | Kind::Record => "void",
        }
    }
}

/// The unit in which a datetime or timedelta counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// `Y`
    Year,
    /// `M`
    Month,
    /// `W`
    Week,
    /// `D`
    Day,
    /// `h`
    Hour,
    /// `m`
    Minute,
    /// `s`
    Second,
    /// `ms`
    Millisecond,
    /// `us`
    Microsecond,
    /// `ns`
    Nanosecond,
    /// `ps`
    Picosecond,
    /// `fs`
    Femtosecond,
    /// `as`
    Attosecond,
    /// No unit: a bare count, which takes the unit of the time that it is combined with.
    Generic,
}

impl TimeUnit {
    pub(crate) const ALL: [TimeUnit; 14] = [
        TimeUnit::Year,
        TimeUnit::Month,
        TimeUnit::Week,
        TimeUnit::Day,
        TimeUnit::Hour,
        TimeUnit::Minute,
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
        TimeUnit::Nanosecond,
        TimeUnit::Picosecond,
        TimeUnit::Femtosecond,
        TimeUnit::Attosecond,
        TimeUnit::Generic,
    ];

    /// The unit as a descr spells it.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            TimeUnit::Year => "Y",
            TimeUnit::Month => "M",
            TimeUnit::Week => "W",
            TimeUnit::Day => "D",
            TimeUnit::Hour => "h",
            TimeUnit::Minute => "m",
            TimeUnit::Second => "s",
            TimeUnit::Millisecond => "ms",
            TimeUnit::Microsecond => "us",
            TimeUnit::Nanosecond => "ns",
            TimeUnit::Picosecond => "ps",
            TimeUnit::Femtosecond => "fs",
            TimeUnit::Attosecond => "as",
            TimeUnit::Generic => "generic",
        }
    }

    /// The name of one unit as NumPy prints it; the plural adds an `s`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            TimeUnit::Year => "year",
            TimeUnit::Month => "month",
            TimeUnit::Week => "week",
            TimeUnit::Day => "day",
            TimeUnit::Hour => "hour",
            TimeUnit::Minute => "minute",
            TimeUnit::Second => "second",
            TimeUnit::Millisecond => "millisecond",
            TimeUnit::Microsecond => "microsecond",
            TimeUnit::Nanosecond => "nanosecond",
            TimeUnit::Picosecond => "picosecond",
            TimeUnit::Femtosecond => "femtosecond",
            TimeUnit::Attosecond => "attosecond",
            TimeUnit::Generic => "generic time unit",
        }
    }
}
