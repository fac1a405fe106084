//! The refusals of strings of a fixed length.

use thiserror::Error;

/// The reason why a string does not convert to or from a [`Bytes`](crate::Bytes) or
/// [`Text`](crate::Text).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextError {
    /// The string is longer than the element.
    #[error(
        "a string of {found} {unit} does not fit an element of {max}; cut it, or make the element longer"
    )]
    TooLong {
        /// The length of the string.
        found: usize,
        /// What is counted: bytes or characters.
        unit: &'static str,
        /// The length of the element.
        max: usize,
    },
    /// The text holds a number that is not a Unicode character.
    #[error("character {index} of the text is {found:#x}, which is not a Unicode character")]
    CodePoint {
        /// The position in the text.
        index: usize,
        /// The number.
        found: u32,
    },
}
