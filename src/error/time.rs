//! The refusals of times: text that is none, and values that a unit or another type does not hold.

use thiserror::Error;

/// Why a value does not become a [`Datetime64`](crate::Datetime64) or [`Timedelta64`](crate::Timedelta64), or comes out of it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeError {
    /// The text is no time.
    #[error("{text:?} is no {expected}: {reason} at byte {at}")]
    Syntax {
        /// The text.
        text: String,
        /// What it was to be, with an example.
        expected: &'static str,
        /// The byte of the text at which reading stopped.
        at: usize,
        /// What was expected there.
        reason: &'static str,
    },
    /// The target counts in a unit whose 64 bits do not reach so far, or does not hold such values.
    #[error("{value} is outside of what {target} holds; take a coarser unit, or check the value")]
    OutOfRange {
        /// The value.
        value: String,
        /// The type or dtype that it was to become.
        target: String,
    },
    /// The value is NaT, and the target has no such value.
    #[error("NaT is no {target}; ask with `is_nat` first")]
    Nat {
        /// The type that it was to become.
        target: &'static str,
    },
    /// The unit is no fixed length of time, as years, months and bare counts are not, and the target needs one.
    #[error("{found} and {target} do not convert: one is a fixed length of time, the other is not")]
    Unit {
        /// The type or dtype of the value.
        found: String,
        /// The type or dtype that it was to become.
        target: String,
    },
}
