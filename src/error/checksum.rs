//! The refusals of checksums that cannot tell whether a file is damaged.

use thiserror::Error;

/// The reason why the checksums of a file cannot tell whether it is damaged.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChecksumError {
    /// There are none.
    #[error("there is no such file; make it with `write_checksums`")]
    Missing,
    /// The file is not a checksum file.
    #[error(
        "it is not a checksum file: it begins with {found:?}; move it away, and make one with `write_checksums`"
    )]
    Magic {
        /// Its first bytes, escaped.
        found: String,
    },
    /// The file has checksums of a kind that is not known.
    #[error("it is of version {found}, and this crate knows version 1; use a newer one")]
    Version {
        /// The version in the file.
        found: u8,
    },
    /// The checksum file itself is damaged, and tells nothing about the array.
    #[error("the checksums themselves are damaged: {reason}; take them from a copy")]
    Damaged {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The checksums are those of another array.
    #[error(
        "they were made for {expected}, and the array is {found}; if that was changed on purpose make them anew with \
         `write_checksums`, else its header is damaged, or the checksums are those of another file"
    )]
    Stale {
        /// The array that they were made for.
        expected: String,
        /// The array that is there.
        found: String,
    },
}
