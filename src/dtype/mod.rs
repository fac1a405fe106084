//! The types of elements as NumPy names them: `DType` and its text form, the descr.
//!
//! Parsing never allocates by a number that the text claims, and every size is checked against
//! NumPy's own limit, so each `DType` has an `itemsize` that fits and a descr that NumPy reads.
//! Nothing here knows of Rust types or files.

mod format;
mod kind;
mod literal;
mod parse;
mod record;
mod swap;

#[cfg(test)]
pub(crate) mod strategy;

use std::sync::Arc;

pub(crate) use format::{Quoted, Tuple};
pub use kind::{ByteOrder, Kind, TimeUnit};
pub(crate) use literal::{Literal, Reader, SyntaxError};
pub use record::Field;
use record::Record;
pub(crate) use swap::Swap;

/// The largest element, in bytes. NumPy keeps the size of an element in a C `int`.
const MAX_ITEMSIZE: usize = i32::MAX as usize;

/// The type of the elements of an array, as NumPy describes it.
///
/// A dtype is a number, a string, a date, or a record of these, in some byte order. Its text form
/// is the *descr*, NumPy's `dtype.str` (`<f8`) or the list of a record's fields (`[('x', '<i4')]`);
/// `Display`, `FromStr` and `Debug` use it. Cloning and comparing are cheap: only records allocate,
/// and clones share their fields.
///
/// # Examples
///
/// ```
/// use ndstore::{ByteOrder, DType};
///
/// let dtype = DType::parse(">f8")?;
/// assert_eq!(dtype.itemsize(), 8);
/// assert_eq!(dtype.name(), "float64");
/// assert_eq!(dtype.byte_order(), ByteOrder::Big);
///
/// let point = DType::parse("[('x', '<i4'), ('tag', '|S4')]")?;
/// assert_eq!(point.itemsize(), 8);
/// assert_eq!(point.fields().unwrap()[1].name(), "tag");
/// # Ok::<(), ndstore::DescrError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DType(Repr);

/// One-byte kinds always have `ByteOrder::NotApplicable` and the others never, so equal dtypes are
/// equal values.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Plain {
        kind: Kind,
        order: ByteOrder,
        itemsize: u32,
    },
    Time {
        kind: Kind,
        order: ByteOrder,
        unit: TimeUnit,
        multiple: u32,
    },
    Record(Arc<Record>),
}

impl DType {
    /// Returns the size of one element in bytes.
    pub fn itemsize(&self) -> usize {
        match &self.0 {
            Repr::Plain { itemsize, .. } => *itemsize as usize,
            Repr::Time { .. } => 8,
            Repr::Record(record) => record.itemsize,
        }
    }

    /// Returns the byte order: `NotApplicable` for types of single bytes, and for records, whose
    /// fields have their own.
    pub fn byte_order(&self) -> ByteOrder {
        match &self.0 {
            Repr::Plain { order, .. } | Repr::Time { order, .. } => *order,
            Repr::Record(_) => ByteOrder::NotApplicable,
        }
    }

    /// Returns the kind of the elements.
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Repr::Plain { kind, .. } | Repr::Time { kind, .. } => *kind,
            Repr::Record(_) => Kind::Record,
        }
    }

    /// Returns the fields of a record in the order of their offsets, or `None` for any other dtype.
    pub fn fields(&self) -> Option<&[Field]> {
        match &self.0 {
            Repr::Record(record) => Some(&record.fields),
            _ => None,
        }
    }

    /// Returns the unit of a datetime or timedelta and its multiple, or `None` for any other dtype.
    pub fn time_unit(&self) -> Option<(TimeUnit, u32)> {
        match &self.0 {
            Repr::Time { unit, multiple, .. } => Some((*unit, *multiple)),
            _ => None,
        }
    }

    /// Returns the same dtype in another byte order, records field by field.
    ///
    /// Types of single bytes have no order and stay as they are. `NotApplicable` leaves every dtype
    /// as it is.
    pub fn with_byte_order(&self, to: ByteOrder) -> DType {
        if to == ByteOrder::NotApplicable {
            return self.clone();
        }
        let mut dtype = self.clone();
        match &mut dtype.0 {
            Repr::Plain { order, .. } | Repr::Time { order, .. }
                if *order != ByteOrder::NotApplicable =>
            {
                *order = to
            }
            Repr::Plain { .. } | Repr::Time { .. } => {}
            Repr::Record(record) => *record = Arc::new(record.with_byte_order(to)),
        }
        dtype
    }

    /// A bool, integer, float or complex number of `itemsize` bytes.
    ///
    /// # Panics
    ///
    /// If NumPy has no such number.
    pub(crate) const fn number(kind: Kind, itemsize: usize, order: ByteOrder) -> DType {
        assert!(
            matches!(
                (kind, itemsize),
                (Kind::Bool, 1)
                    | (Kind::Int | Kind::UInt, 1 | 2 | 4 | 8)
                    | (Kind::Float, 2 | 4 | 8 | 16)
                    | (Kind::Complex, 8 | 16 | 32)
            ),
            "NumPy has no number of this kind and size"
        );
        let order = if itemsize == 1 {
            ByteOrder::NotApplicable
        } else {
            order.or_native()
        };
        Self::plain(kind, order, itemsize)
    }

    /// A byte string (`S`) of `len` bytes.
    ///
    /// # Panics
    ///
    /// If it is larger than NumPy allows.
    pub(crate) const fn bytes(len: usize) -> DType {
        Self::plain(Kind::Bytes, ByteOrder::NotApplicable, len)
    }

    /// Uninterpreted bytes (`V`).
    ///
    /// # Panics
    ///
    /// If they are larger than NumPy allows.
    pub(crate) const fn void(len: usize) -> DType {
        Self::plain(Kind::Void, ByteOrder::NotApplicable, len)
    }

    /// A text (`U`) of `len` UTF-32 code units.
    ///
    /// # Panics
    ///
    /// If it is larger than NumPy allows.
    pub(crate) const fn text(len: usize, order: ByteOrder) -> DType {
        Self::plain(Kind::Text, order.or_native(), len.saturating_mul(4))
    }

    /// A point in time, counted in multiples of a unit since 1970.
    ///
    /// # Panics
    ///
    /// If the multiple is zero or over `i32::MAX`.
    pub(crate) const fn datetime(unit: TimeUnit, multiple: u32, order: ByteOrder) -> DType {
        Self::time(Kind::Datetime, unit, multiple, order)
    }

    /// A span of time, counted in multiples of a unit.
    ///
    /// # Panics
    ///
    /// If the multiple is zero or over `i32::MAX`.
    pub(crate) const fn timedelta(unit: TimeUnit, multiple: u32, order: ByteOrder) -> DType {
        Self::time(Kind::Timedelta, unit, multiple, order)
    }

    const fn plain(kind: Kind, order: ByteOrder, itemsize: usize) -> DType {
        assert!(
            itemsize <= MAX_ITEMSIZE,
            "NumPy allows 2147483647 bytes per element"
        );
        DType(Repr::Plain {
            kind,
            order,
            itemsize: itemsize as u32,
        })
    }

    const fn time(kind: Kind, unit: TimeUnit, multiple: u32, order: ByteOrder) -> DType {
        assert!(
            multiple > 0 && multiple <= i32::MAX as u32,
            "a multiple of a time unit lies in 1..=2147483647"
        );
        DType(Repr::Time {
            kind,
            order: order.or_native(),
            unit,
            // A count without a unit has no multiple: NumPy drops it too.
            multiple: if matches!(unit, TimeUnit::Generic) {
                1
            } else {
                multiple
            },
        })
    }
}
