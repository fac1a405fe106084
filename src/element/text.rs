//! Strings of a fixed length, padded with zeros: bytes, text, and bytes without a meaning.

use std::fmt::{self, Debug, Display, Formatter};

use bytemuck::{Pod, Zeroable};

use super::{ByteOrdered, Element};
use crate::dtype::{ByteOrder, DType};
use crate::error::TextError;

/// A byte string of at most `N` bytes: NumPy's `S`.
///
/// A shorter string is padded with zero bytes, so zeros at the end do not count, as in NumPy. It
/// compares with bytes and with `str`. `Display` shows bytes that are not UTF-8 as U+FFFD.
///
/// ```
/// use ndstore::Bytes;
///
/// let name = Bytes::<5>::try_from("ab")?;
/// assert_eq!(name, "ab");
/// assert_eq!(name.as_bytes(), b"ab");
/// assert!(Bytes::<5>::try_from("abcdef").is_err());
/// # Ok::<(), ndstore::TextError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Zeroable, Pod)]
#[repr(transparent)]
pub struct Bytes<const N: usize>([u8; N]);

impl<const N: usize> Bytes<N> {
    /// The bytes without the zeros at the end.
    pub fn as_bytes(&self) -> &[u8] {
        trim(&self.0)
    }
}

impl<const N: usize> Default for Bytes<N> {
    fn default() -> Bytes<N> {
        Bytes::zeroed()
    }
}

impl<const N: usize> TryFrom<&[u8]> for Bytes<N> {
    type Error = TextError;

    fn try_from(bytes: &[u8]) -> Result<Bytes<N>, TextError> {
        let mut padded = Bytes::zeroed();
        let found = bytes.len();
        let room = padded.0.get_mut(..found).ok_or(TextError::TooLong {
            found,
            unit: "bytes",
            max: N,
        })?;
        room.copy_from_slice(bytes);
        Ok(padded)
    }
}

impl<const N: usize, const M: usize> TryFrom<&[u8; M]> for Bytes<N> {
    type Error = TextError;

    fn try_from(bytes: &[u8; M]) -> Result<Bytes<N>, TextError> {
        bytes[..].try_into()
    }
}

impl<const N: usize> TryFrom<&str> for Bytes<N> {
    type Error = TextError;

    fn try_from(text: &str) -> Result<Bytes<N>, TextError> {
        text.as_bytes().try_into()
    }
}

impl<const N: usize, T: AsRef<[u8]>> PartialEq<T> for Bytes<N> {
    fn eq(&self, other: &T) -> bool {
        self.as_bytes() == other.as_ref()
    }
}

impl<const N: usize> Debug for Bytes<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.as_bytes().escape_ascii())
    }
}

impl<const N: usize> Display for Bytes<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl<const N: usize> Element for Bytes<N> {
    fn dtype() -> DType {
        const { DType::bytes(not_zero(N)) }
    }
}

/// A text of at most `N` characters in UTF-32: NumPy's `U`.
///
/// A shorter text is padded with zeros, so zeros at the end do not count, as in NumPy. A file can
/// hold numbers that are not characters: [`decode`](Text::decode) refuses them and `Display` shows
/// U+FFFD. The type for the other byte order is [`Be<Text<N>>`](crate::Be).
///
/// ```
/// use ndstore::Text;
///
/// let text = Text::<3>::try_from("数é")?;
/// assert_eq!(text, "数é");
/// assert_eq!(text.decode()?, "数é");
/// assert!(Text::<3>::try_from("four").is_err());
/// # Ok::<(), ndstore::TextError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Zeroable, Pod)]
#[repr(transparent)]
pub struct Text<const N: usize>([u32; N]);

impl<const N: usize> Text<N> {
    /// The code points without the zeros at the end, as the file holds them.
    pub fn code_points(&self) -> &[u32] {
        trim(&self.0)
    }

    /// Returns the text as a string.
    ///
    /// # Errors
    ///
    /// [`TextError::CodePoint`] if one of the numbers is not a character: a surrogate, or over
    /// 0x10ffff.
    pub fn decode(&self) -> Result<String, TextError> {
        let chars = self.code_points().iter().enumerate();
        chars
            .map(|(index, &found)| {
                char::from_u32(found).ok_or(TextError::CodePoint { index, found })
            })
            .collect()
    }

    fn decode_lossy(&self) -> String {
        let chars = self.code_points().iter();
        chars
            .map(|&point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Text<N> {
        Text::zeroed()
    }
}

impl<const N: usize> TryFrom<&str> for Text<N> {
    type Error = TextError;

    fn try_from(text: &str) -> Result<Text<N>, TextError> {
        let mut padded = Text::zeroed();
        let mut room = padded.0.iter_mut();
        for char in text.chars() {
            *room.next().ok_or_else(|| TextError::TooLong {
                found: text.chars().count(),
                unit: "characters",
                max: N,
            })? = char.into();
        }
        Ok(padded)
    }
}

impl<const N: usize, T: AsRef<str>> PartialEq<T> for Text<N> {
    fn eq(&self, other: &T) -> bool {
        let chars = other.as_ref().chars().map(u32::from);
        self.code_points().iter().copied().eq(chars)
    }
}

impl<const N: usize> Debug for Text<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.decode_lossy(), f)
    }
}

impl<const N: usize> Display for Text<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(&self.decode_lossy())
    }
}

impl<const N: usize> Element for Text<N> {
    fn dtype() -> DType {
        const { DType::text(not_zero(N), ByteOrder::NATIVE) }
    }
}

impl<const N: usize> ByteOrdered for Text<N> {
    type Raw = [[u8; 4]; N];

    fn swap(raw: Self::Raw) -> Self::Raw {
        raw.map(u32::swap)
    }
}

/// `N` bytes whose meaning the file does not state: NumPy's `V`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Zeroable, Pod)]
#[repr(transparent)]
pub struct Void<const N: usize>([u8; N]);

impl<const N: usize> Void<N> {
    /// The bytes, all of them.
    pub fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> From<[u8; N]> for Void<N> {
    fn from(bytes: [u8; N]) -> Void<N> {
        Void(bytes)
    }
}

impl<const N: usize> Default for Void<N> {
    fn default() -> Void<N> {
        Void::zeroed()
    }
}

impl<const N: usize> Element for Void<N> {
    fn dtype() -> DType {
        const { DType::void(not_zero(N)) }
    }
}

/// Cuts the zeros off the end.
pub(super) fn trim<T: Zeroable + PartialEq>(units: &[T]) -> &[T] {
    let zeros = units.iter().rev().take_while(|&unit| *unit == T::zeroed());
    &units[..units.len() - zeros.count()]
}

const fn not_zero(len: usize) -> usize {
    assert!(len > 0, "an element has at least one byte");
    len
}
