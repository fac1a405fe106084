//! The header of an NPY file: bytes <-> [`Header`].
//!
//! Pure functions over byte slices: no input makes them panic or recurse without bound, and memory
//! is bounded by the length of the text. Every header that NumPy reads is read, except one with a
//! key twice (NumPy takes the last), a dict in parentheses, and spellings that no program writes,
//! which `dtype::literal` and `dtype::parse` name. Every header that NumPy refuses is refused,
//! except for line ends and blanks where Python has rules for indentation. Nothing here knows
//! whether the data are there.

mod format;
mod mark;

use std::borrow::Cow;

use crate::dtype::{DType, Literal, Reader, SyntaxError, Tuple};
use crate::error::HeaderError;
use crate::shape::{self, MAX_NDIM, Order};

pub(crate) use format::{Format, recognise};
pub(crate) use mark::{Mark, unmarked};

/// The default limit of a header in characters: NumPy's own `max_header_size`.
pub(crate) const DEFAULT_LIMIT: usize = 10_000;

/// A native header takes a whole number of such blocks, unless that makes it too long for readers.
pub(crate) const BLOCK: usize = 4096;

/// The size of a compact header is a multiple of this, as NumPy's own is.
const COMPACT_ALIGN: usize = 64;

/// A cache line: the most that a processor moves at once. Whatever it moves at once is aligned to
/// its own size.
const LINE: usize = 64;

/// The bytes that every processor moves at once.
const WORD: usize = 8;

/// The digits of the longest axis that there can be.
const MAX_DIGITS: usize = 19;

/// The characters that NumPy reserves so that the axis that grows can be rewritten in place.
const GROWTH_DIGITS: usize = 21;

/// The most bytes that an array in a file can have, on any machine.
const MAX_NBYTES: u64 = i64::MAX as u64;

pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The content of the header of an NPY file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) dtype: DType,
    pub(crate) order: Order,
    pub(crate) shape: Vec<u64>,
    /// The byte of the file at which the data start: the length of the header.
    pub(crate) offset: u64,
    pub(crate) version: (u8, u8),
}

/// The layout of a header to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Padded to whole blocks of [`BLOCK`] bytes, so that the data start on a page. If that padding
    /// alone would take the text past [`DEFAULT_LIMIT`], it is padded as the compact form is.
    /// Blanks before the number of rows bring all bytes that growth ever changes into one [`LINE`],
    /// and the last digits into one [`WORD`].
    Native,
    /// The native form of older files, without these blanks.
    Unaligned,
    /// The very bytes of `np.save`, if the order is that of [`saved_order`]. Any other order is
    /// written as it was asked for, because the array grows along its slowest axis.
    Compact,
}

/// Returns the size of the header that its first bytes claim, after checking that the claim is
/// possible.
///
/// `prefix` holds the first 12 bytes of the file, or all of a shorter one. A header of version 3.0
/// may take 4 bytes for each of the `limit` characters; [`Header::decode`] counts them.
pub(crate) fn extent(prefix: &[u8], file_len: u64, limit: usize) -> Result<u64, HeaderError> {
    let claim = Claim::read(prefix)?;
    let len = claim.start as u64 + claim.len;
    if len > file_len {
        return Err(HeaderError::Truncated {
            expected: len,
            found: file_len,
        });
    }
    let limit = limit as u64;
    let widest = if claim.version == (3, 0) { 4 } else { 1 };
    if claim.len > limit.saturating_mul(widest) {
        return Err(HeaderError::TooLong {
            found: claim.len,
            limit,
        });
    }
    Ok(len)
}

impl Header {
    /// Reads a whole header: the [`extent`] of the file.
    pub(crate) fn decode(bytes: &[u8], limit: usize) -> Result<Header, HeaderError> {
        let offset = extent(bytes, bytes.len() as u64, limit)?;
        let Claim { version, start, .. } = Claim::read(bytes)?;
        let is_latin1 = version != (3, 0);
        let encoded = &bytes[start..offset as usize];
        let trimmed = trim_blanks(encoded);
        let text = if is_latin1 {
            latin1(trimmed)
        } else {
            let text = str::from_utf8(trimmed).map_err(|error| HeaderError::Utf8 {
                offset: (start + error.valid_up_to()) as u64,
            })?;
            let found = text.chars().count() + (encoded.len() - trimmed.len());
            if found > limit {
                let (found, limit) = (found as u64, limit as u64);
                return Err(HeaderError::TooLong { found, limit });
            }
            Cow::Borrowed(text)
        };
        let header = HeaderText {
            text: &text,
            start,
            is_latin1,
        };
        let (dtype, order, shape) = header.parse()?;
        check_shape(&shape, dtype.itemsize())?;
        Ok(Header {
            dtype,
            order,
            shape,
            offset,
            version,
        })
    }

    /// Writes a header in the oldest version that can express it.
    pub(crate) fn encode(
        dtype: &DType,
        order: Order,
        shape: &[u64],
        form: Form,
    ) -> Result<Vec<u8>, HeaderError> {
        check_shape(shape, dtype.itemsize())?;
        let fortran = order == Order::F;
        let mut text = match form {
            Form::Native => native_dict(dtype, fortran, shape),
            Form::Unaligned | Form::Compact => dict(dtype, fortran, shape, 0),
        };
        let growing = if fortran { shape.last() } else { shape.first() };
        if let (Form::Compact, Some(dim)) = (form, growing) {
            text.extend(std::iter::repeat_n(' ', GROWTH_DIGITS - digits(*dim)));
        }
        let latin1: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(char).ok()).collect();
        let is_latin1 = latin1.is_some();
        let chars = text.chars().count();
        let text = latin1.unwrap_or_else(|| text.into_bytes());

        let padded = |start: usize| {
            let len = start + text.len() + 1;
            let blocks = len.next_multiple_of(BLOCK);
            // NumPy adds a whole 64 spaces where none are missing.
            let compact = (len + 1).next_multiple_of(COMPACT_ALIGN);
            let is_readable =
                |padded: usize| chars + (padded - start - text.len()) <= DEFAULT_LIMIT;
            match form {
                Form::Native | Form::Unaligned if is_readable(blocks) || !is_readable(compact) => {
                    blocks
                }
                Form::Native | Form::Unaligned | Form::Compact => compact,
            }
        };
        let mut bytes = MAGIC.to_vec();
        let len = match u16::try_from(padded(10) - 10) {
            Ok(claim) if is_latin1 => {
                bytes.extend([1, 0]);
                bytes.extend(claim.to_le_bytes());
                padded(10)
            }
            _ => {
                let len = padded(12);
                let claim = u32::try_from(len - 12).map_err(|_| HeaderError::TooLong {
                    found: len as u64,
                    limit: u32::MAX.into(),
                })?;
                bytes.extend([if is_latin1 { 2 } else { 3 }, 0]);
                bytes.extend(claim.to_le_bytes());
                len
            }
        };
        bytes.extend(text);
        bytes.resize(len - 1, b' ');
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// A device writes this many bytes whole or not at all. See docs/format.md.
const SECTOR: usize = 512;

/// The bytes to write over a header so that it names another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The offset of the bytes in the file.
    pub(crate) offset: u64,
    /// The smallest aligned block that has every byte that differs; if even a line is too small,
    /// just these bytes.
    pub(crate) bytes: Vec<u8>,
}

/// The change that gives the header `old` another shape and moves nothing else. All of it lies
/// inside one sector of the file, so one write replaces it whole. `None` if the header has no room
/// for it. A header that is marked stays marked.
///
/// `order` is the order of the array. A compact header may call it C as long as both orders are the
/// same.
pub(crate) fn with_shape(
    old: &[u8],
    order: Order,
    shape: &[u64],
) -> Result<Option<Change>, HeaderError> {
    let header = Header::decode(old, usize::MAX)?;
    check_shape(shape, header.dtype.itemsize())?;
    let Claim { version, start, .. } = Claim::read(old)?;
    let encode = |text: String| mark::encode(version, text);
    let is_marked = Mark::find(old).is_some_and(|mark| mark.is_set);
    let is_native = encode(native_dict(
        &header.dtype,
        header.order == Order::F,
        &header.shape,
    ))
    .is_some_and(|text| unmarked(old.to_vec())[start..].starts_with(&text));
    let fortran = order == Order::F;
    let text = match is_native {
        true => native_dict(&header.dtype, fortran, shape),
        false => dict(&header.dtype, fortran, shape, 0),
    };
    let Some(text) = encode(text) else {
        return Ok(None);
    };
    let mut new = old.to_vec();
    let end = start + text.len();
    if end >= new.len() {
        return Ok(None);
    }
    new[start..end].copy_from_slice(&text);
    let last = new.len() - 1;
    new[end..last].fill(b' ');
    new[last] = b'\n';
    if let Some(mark) = Mark::find(&new) {
        mark.put(&mut new, is_marked);
    }
    let differs = |at: &usize| new[*at] != old[*at];
    let first = (0..new.len()).find(differs).unwrap_or(0);
    let end = (first..new.len())
        .rfind(differs)
        .map_or(first, |last| last + 1);
    if end > (first + 1).next_multiple_of(SECTOR) {
        return Ok(None);
    }
    // A copy of seven bytes takes several steps, one of a whole word or line takes one.
    let mut units = [WORD, 2 * WORD, 4 * WORD, LINE].into_iter();
    let range = match units.find(|unit| first / unit == end.saturating_sub(1) / unit) {
        Some(unit) if end > first => {
            let start = first / unit * unit;
            start..new.len().min(start + unit)
        }
        _ => first..end,
    };
    Ok(Some(Change {
        offset: range.start as u64,
        bytes: new[range].to_vec(),
    }))
}

impl Change {
    /// Whether the change lies in one line, which other processes read whole.
    pub(crate) fn is_in_a_line(&self) -> bool {
        let last = self.offset + (self.bytes.len() as u64).saturating_sub(1);
        self.offset / LINE as u64 == last / LINE as u64
    }
}

/// Whether the number of rows in a header can always change within one line, however many rows
/// there will be.
pub(crate) fn grows_in_a_line(header: &[u8], order: Order, shape: &[u64]) -> bool {
    let Some(axis) = shape::slowest_axis(shape.len(), order) else {
        return false;
    };
    let mut grown = shape.to_vec();
    let more = (0..MAX_DIGITS as u32).map(|digits| 10_u64.pow(digits));
    more.filter(|&rows| rows > shape[axis]).all(|rows| {
        grown[axis] = rows;
        match with_shape(header, order, &grown) {
            Ok(change) => change.is_some_and(|change| change.is_in_a_line()),
            // No array has so many.
            Err(_) => true,
        }
    })
}

/// How many digits the length of an axis has.
fn digits(dim: u64) -> usize {
    dim.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// The text behind the shape.
const BACK: &str = ", }";

/// The text of a header as NumPy spells it, except for blanks before the number of rows if that is
/// shorter than `width`.
fn dict(dtype: &DType, fortran: bool, shape: &[u64], width: usize) -> String {
    let order = if fortran { Order::F } else { Order::C };
    let mut axes: Vec<_> = shape.iter().map(u64::to_string).collect();
    if let Some(axis) = shape::slowest_axis(shape.len(), order) {
        axes[axis] = format!("{:>width$}", axes[axis]);
    }
    let fortran = if fortran { "True" } else { "False" };
    format!(
        "{{'descr': {}, 'fortran_order': {fortran}, 'shape': {}{BACK}",
        dtype.literal(),
        Tuple(&axes)
    )
}

/// The text of a native header. The number of rows ends with a word of the file, and has room for
/// all its digits in one line. Its position depends on everything but the number itself.
///
/// The text is NumPy's own for an array without rows, and where blanks could make it longer than
/// NumPy reads.
fn native_dict(dtype: &DType, fortran: bool, shape: &[u64]) -> String {
    let order = if fortran { Order::F } else { Order::C };
    let plain = dict(dtype, fortran, shape, 0);
    let Some(axis) = shape::slowest_axis(shape.len(), order) else {
        return plain;
    };
    let digits = digits(shape[axis]);
    let chars = plain.chars().count();
    if chars - digits + LINE + COMPACT_ALIGN >= DEFAULT_LIMIT {
        return plain;
    }
    // A text this short is of version 1.0 or 3.0.
    let end = match plain.chars().all(|char| u8::try_from(char).is_ok()) {
        true => 10 + chars,
        false => 12 + plain.len(),
    };
    let behind = match (order, shape.len()) {
        (Order::C, _) => Tuple(shape).to_string().len() - "(".len() - digits,
        (Order::F, 1) => ",)".len(),
        (Order::F, _) => ")".len(),
    };
    let place = end - BACK.len() - behind - digits;
    let mut end = (place + MAX_DIGITS).next_multiple_of(WORD);
    if (end - MAX_DIGITS) / LINE < (end - 1) / LINE {
        end = (end - 1) / LINE * LINE + MAX_DIGITS.next_multiple_of(WORD);
    }
    dict(dtype, fortran, shape, end - place)
}

/// The claims that the first bytes of a file make about its header.
struct Claim {
    version: (u8, u8),
    /// The byte at which the text starts.
    start: usize,
    /// The bytes of the text.
    len: u64,
}

impl Claim {
    fn read(prefix: &[u8]) -> Result<Claim, HeaderError> {
        let truncated = |expected| HeaderError::Truncated {
            expected,
            found: prefix.len() as u64,
        };
        let Some((magic, rest)) = prefix.split_first_chunk::<6>() else {
            return Err(match prefix {
                [] => HeaderError::Empty,
                _ if MAGIC.starts_with(prefix) => truncated(10),
                _ => not_npy(prefix),
            });
        };
        if magic != MAGIC {
            return Err(not_npy(prefix));
        }
        let (version, start, len) = match *rest {
            [major @ 1, minor @ 0, a, b, ..] => {
                ((major, minor), 10, u16::from_le_bytes([a, b]).into())
            }
            [major @ (2 | 3), minor @ 0, a, b, c, d, ..] => {
                ((major, minor), 12, u32::from_le_bytes([a, b, c, d]).into())
            }
            [] | [_] | [1, 0, ..] => return Err(truncated(10)),
            [2 | 3, 0, ..] => return Err(truncated(12)),
            [major, minor, ..] => return Err(HeaderError::Version { major, minor }),
        };
        Ok(Claim {
            version,
            start,
            len,
        })
    }
}

/// The refusal of bytes that do not start as an NPY file does. It says what they are.
fn not_npy(start: &[u8]) -> HeaderError {
    let format = recognise(start);
    HeaderError::Magic {
        found: shown(start),
        what: format.map(Format::what),
        remedy: format.and_then(Format::remedy),
    }
}

/// The first bytes of something as a message shows them.
pub(crate) fn shown(start: &[u8]) -> String {
    let shown = &start[..start.len().min(MAGIC.len())];
    shown.escape_ascii().to_string()
}

/// Cuts the blanks off the end, in wide steps because nearly all of a native header is padding.
fn trim_blanks(text: &[u8]) -> &[u8] {
    let mut text = text.strip_suffix(b"\n").unwrap_or(text);
    while let Some((rest, line)) = text.split_last_chunk::<64>()
        && line.iter().fold(0, |other, byte| other | (byte ^ b' ')) == 0
    {
        text = rest;
    }
    text.trim_ascii_end()
}

/// Decodes Latin-1, whose bytes are the first 256 characters of Unicode.
fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// The decoded text of a header, and its place in the file.
struct HeaderText<'a> {
    text: &'a str,
    start: usize,
    is_latin1: bool,
}

impl HeaderText<'_> {
    /// The byte of the file from which the byte `at` of the text was decoded.
    fn offset(&self, at: usize) -> u64 {
        let is_continuation = |byte: &&u8| **byte & 0xc0 == 0x80;
        let widened = if self.is_latin1 {
            self.text.as_bytes()[..at]
                .iter()
                .filter(is_continuation)
                .count()
        } else {
            0
        };
        (self.start + at - widened) as u64
    }

    fn syntax(&self, error: SyntaxError) -> HeaderError {
        HeaderError::Syntax {
            offset: self.offset(error.at),
            reason: error.reason,
            found: error.found,
        }
    }

    fn parse(&self) -> Result<(DType, Order, Vec<u64>), HeaderError> {
        let syntax = |error| self.syntax(error);
        // Only Python 2 wrote the suffix, and it never wrote version 3.0.
        let mut reader = Reader::new(self.text, self.is_latin1);
        reader.expect(b'{', "expected a dict").map_err(syntax)?;
        let (mut dtype, mut order, mut shape) = (None, None, None);
        while !reader.eat(b'}') {
            let key_at = reader.next_at();
            let key = reader.literal().map_err(syntax)?;
            reader.expect(b':', "expected a colon").map_err(syntax)?;
            let at = reader.next_at();
            let value = reader.literal().map_err(syntax)?;
            let Literal::Str(key) = key else {
                return Err(HeaderError::UnknownKey {
                    offset: self.offset(key_at),
                    found: key.noun().to_owned(),
                });
            };
            let twice = match &*key {
                "descr" => dtype.replace(self.dtype(at, &value)?).map(|_| "descr"),
                "fortran_order" => order
                    .replace(self.order(at, &value)?)
                    .map(|_| "fortran_order"),
                "shape" => shape.replace(self.shape(at, value)?).map(|_| "shape"),
                unknown => {
                    return Err(HeaderError::UnknownKey {
                        offset: self.offset(key_at),
                        found: format!("{unknown:?}"),
                    });
                }
            };
            if let Some(key) = twice {
                return Err(HeaderError::DuplicateKey {
                    offset: self.offset(key_at),
                    key,
                });
            }
            if !reader.eat(b',') {
                reader
                    .expect(b'}', "expected a comma or '}'")
                    .map_err(syntax)?;
                break;
            }
        }
        reader.end().map_err(syntax)?;
        let missing = |key| move || HeaderError::MissingKey { key };
        Ok((
            dtype.ok_or_else(missing("descr"))?,
            order.ok_or_else(missing("fortran_order"))?,
            shape.ok_or_else(missing("shape"))?,
        ))
    }

    fn dtype(&self, at: usize, value: &Literal<'_>) -> Result<DType, HeaderError> {
        DType::from_literal(value).map_err(|reason| HeaderError::Descr {
            offset: self.offset(at),
            reason,
        })
    }

    fn order(&self, at: usize, value: &Literal<'_>) -> Result<Order, HeaderError> {
        match value {
            Literal::Bool(true) => Ok(Order::F),
            Literal::Bool(false) => Ok(Order::C),
            other => Err(HeaderError::FortranOrder {
                offset: self.offset(at),
                found: other.noun(),
            }),
        }
    }

    fn shape(&self, at: usize, value: Literal<'_>) -> Result<Vec<u64>, HeaderError> {
        let offset = self.offset(at);
        let malformed = |found| HeaderError::Shape { offset, found };
        let Literal::Tuple(dims) = value else {
            return Err(malformed(value.noun()));
        };
        let dims = dims.into_iter().enumerate().map(|(axis, dim)| match dim {
            Literal::Int(Some(dim)) => {
                u64::try_from(dim).map_err(|_| HeaderError::NegativeDim { offset, dim })
            }
            Literal::Int(None) => Err(HeaderError::DimTooLarge { axis }),
            other => Err(malformed(other.noun())),
        });
        dims.collect()
    }
}

/// Refuses shapes that no array of NumPy has: too many dimensions, or more bytes than a file can
/// have. An axis of zero does not excuse the others, and an element without bytes counts as one
/// byte.
fn check_shape(shape: &[u64], itemsize: usize) -> Result<(), HeaderError> {
    if shape.len() > MAX_NDIM {
        return Err(HeaderError::TooManyAxes { ndim: shape.len() });
    }
    if let Some(axis) = shape.iter().position(|&dim| dim > MAX_NBYTES) {
        return Err(HeaderError::DimTooLarge { axis });
    }
    match shape::fits(shape.iter().copied(), itemsize, MAX_NBYTES) {
        true => Ok(()),
        false => Err(HeaderError::TooBig {
            shape: shape.to_vec(),
            itemsize,
        }),
    }
}

/// The order that `np.save` writes for an array: Fortran only where it differs from C.
pub(crate) fn saved_order(order: Order, shape: &[u64]) -> Order {
    match is_c_contiguous(shape) {
        true => Order::C,
        false => order,
    }
}

/// Whether an array that lies in Fortran order lies in C order too.
fn is_c_contiguous(shape: &[u64]) -> bool {
    shape.contains(&0) || shape.iter().filter(|&&dim| dim > 1).count() <= 1
}

#[cfg(test)]
mod tests;
