//! `AnyElement`: an element whose dtype is known only at run time, printed as NumPy prints it.
//!
//! Everything that depends on a dtype at run time stands in the one match of `write`.

use std::borrow::Cow;
use std::fmt::{self, Debug, Display, Formatter, Write};

use super::calendar::Time;
use super::float::Float;
use super::text::trim;
use crate::dtype::{ByteOrder, DType, Kind, Quoted};

/// An element of an [`AnyStore`](crate::AnyStore): a dtype, and the bytes of one element.
///
/// It prints as NumPy prints the element: `1.5`, `nan`, `(1+2j)`, `True`, `b'ab'`, `'text'`,
/// `2024-01-01T00:00:00`, `50 milliseconds`, `NaT`. A record is a tuple of its fields, and a
/// sub-array nested lists. A `long double` prints its bytes, as void does, because it has another
/// format on each kind of machine.
///
/// A file can name an element of 2 GiB. Text stops after 65,536 bytes; `... (N bytes)` follows, the
/// size of the whole element.
#[derive(Clone)]
pub struct AnyElement<'a> {
    dtype: &'a DType,
    bytes: Cow<'a, [u8]>,
}

impl<'a> AnyElement<'a> {
    /// `bytes` has the item size of `dtype`.
    pub(crate) fn new(dtype: &'a DType, bytes: Vec<u8>) -> AnyElement<'a> {
        let bytes = bytes.into();
        AnyElement { dtype, bytes }
    }

    /// The element that bytes of [`AnyStore::read_region`](crate::AnyStore::read_region) are, or `None` unless there are as many
    /// as the dtype's elements have.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndstore::{AnyElement, DType};
    ///
    /// let dtype = DType::parse("<f4")?;
    /// let element = AnyElement::from_bytes(&dtype, &[0, 0, 192, 63]).unwrap();
    /// assert_eq!(element.to_string(), "1.5");
    /// assert!(AnyElement::from_bytes(&dtype, &[0, 0]).is_none());
    /// # Ok::<(), ndstore::DescrError>(())
    /// ```
    pub fn from_bytes(dtype: &'a DType, bytes: &'a [u8]) -> Option<AnyElement<'a>> {
        let bytes = bytes.into();
        let element = AnyElement { dtype, bytes };
        (element.bytes.len() == dtype.itemsize()).then_some(element)
    }

    /// The dtype of the element.
    pub fn dtype(&self) -> &'a DType {
        self.dtype
    }

    /// The bytes of the element, as the file holds them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Display for AnyElement<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut text = Bounded(String::new());
        // Writing fails only when the text has no more room.
        if write(&mut text, self.dtype, &self.bytes).is_err() {
            write!(text.0, "... ({} bytes)", self.bytes.len())?;
        }
        f.pad(&text.0)
    }
}

/// The most bytes of text that an element prints: more than a screen shows, and too few for a file
/// to do harm with.
const MOST: usize = 1 << 16;

/// A text that grows up to [`MOST`] and refuses the rest.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST - self.0.len();
        let fits = &text[..text.floor_char_boundary(room)];
        self.0.push_str(fits);
        match fits.len() == text.len() {
            true => Ok(()),
            false => Err(fmt::Error),
        }
    }
}

/// As many units as can be printed, and one more, which makes the text overflow.
fn shown<T>(units: &[T]) -> &[T] {
    &units[..units.len().min(MOST + 1)]
}

impl Debug for AnyElement<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

fn write(out: &mut Bounded, dtype: &DType, bytes: &[u8]) -> fmt::Result {
    let order = dtype.byte_order();
    match dtype.kind() {
        Kind::Bool => out.write_str(if bytes == [0] { "False" } else { "True" }),
        Kind::Int => write!(out, "{}", signed(order, bytes)),
        Kind::UInt => write!(out, "{}", unsigned(order, bytes)),
        Kind::Float => match float(order, bytes) {
            Some(float) => out.write_str(&float.text(".0")),
            None => write_void(out, bytes),
        },
        Kind::Complex => {
            let (re, im) = bytes.split_at(bytes.len() / 2);
            match (float(order, re), float(order, im)) {
                (Some(re), Some(im)) => write_complex(out, re, im),
                _ => write_void(out, bytes),
            }
        }
        kind @ (Kind::Datetime | Kind::Timedelta) => {
            let (unit, multiple) = dtype.time_unit().expect("a time has a unit");
            let value = signed(order, bytes);
            let time = Time {
                kind,
                value,
                unit,
                multiple,
            };
            write!(out, "{time}")
        }
        Kind::Bytes => write_bytes(out, shown(trim(bytes))),
        Kind::Text => write_text(out, order, bytes),
        Kind::Void => write_void(out, bytes),
        Kind::Record => write_record(out, dtype, bytes),
    }
}

fn unsigned(order: ByteOrder, bytes: &[u8]) -> u64 {
    let push = |value, &byte| value << 8 | u64::from(byte);
    match order {
        ByteOrder::Little => bytes.iter().rev().fold(0, push),
        ByteOrder::Big | ByteOrder::NotApplicable => bytes.iter().fold(0, push),
    }
}

fn signed(order: ByteOrder, bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * bytes.len();
    (unsigned(order, bytes) << unused) as i64 >> unused
}

/// `None` for a `long double`.
fn float(order: ByteOrder, bytes: &[u8]) -> Option<Float> {
    let bits = unsigned(order, bytes);
    match bytes.len() {
        2 => Some(Float::half(bits as u16)),
        4 => Some(Float::single(f32::from_bits(bits as u32))),
        8 => Some(Float::double(f64::from_bits(bits))),
        _ => None,
    }
}

fn write_complex(out: &mut Bounded, re: Float, im: Float) -> fmt::Result {
    let (re, im) = (re.text(""), im.text(""));
    if re == "0" {
        return write!(out, "{im}j");
    }
    let sign = if im.starts_with('-') { "" } else { "+" };
    write!(out, "({re}{sign}{im}j)")
}

fn write_bytes(out: &mut Bounded, bytes: &[u8]) -> fmt::Result {
    // Python's quotes: single ones, unless only they would need a backslash.
    let quote = match bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        true => b'"',
        false => b'\'',
    };
    write!(out, "b{}", char::from(quote))?;
    for &byte in bytes {
        match byte {
            b'\'' | b'"' if byte != quote => out.write_char(byte.into())?,
            _ => write!(out, "{}", byte.escape_ascii())?,
        }
    }
    out.write_char(quote.into())
}

fn write_text(out: &mut Bounded, order: ByteOrder, bytes: &[u8]) -> fmt::Result {
    let (points, _) = bytes.as_chunks::<4>();
    let text: String = shown(trim(points))
        .iter()
        .map(|point| char::from_u32(unsigned(order, point) as u32))
        .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    write!(out, "{}", Quoted(&text))
}

fn write_void(out: &mut Bounded, bytes: &[u8]) -> fmt::Result {
    out.write_str("b'")?;
    bytes
        .iter()
        .try_for_each(|byte| write!(out, "\\x{byte:02X}"))?;
    out.write_char('\'')
}

fn write_record(out: &mut Bounded, dtype: &DType, bytes: &[u8]) -> fmt::Result {
    let fields = dtype.fields().unwrap_or_default();
    out.write_char('(')?;
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.write_str(", ")?;
        }
        let bytes = &bytes[field.offset()..][..field.itemsize()];
        write_sub_array(out, field.dtype(), field.shape(), bytes)?;
    }
    // A single field takes the comma of Python's one-tuples.
    out.write_str(if fields.len() == 1 { ",)" } else { ")" })
}

fn write_sub_array(out: &mut Bounded, dtype: &DType, shape: &[usize], bytes: &[u8]) -> fmt::Result {
    let Some((&len, shape)) = shape.split_first() else {
        return write(out, dtype, bytes);
    };
    // Without bytes behind them the lengths are only claims, and may be huge.
    if bytes.is_empty() {
        return out.write_str("[]");
    }
    let size = bytes.len() / len;
    out.write_char('[')?;
    for index in 0..len {
        if index > 0 {
            out.write_str(", ")?;
        }
        write_sub_array(out, dtype, shape, &bytes[index * size..][..size])?;
    }
    out.write_char(']')
}
