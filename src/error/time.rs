//! The refusals of times: text that is not a time, and values that a unit or another type does not
//! hold.

use thiserror::Error;

/// The reason why a value does not convert to or from a [`Datetime64`](crate::Datetime64) or
/// [`Timedelta64`](crate::Timedelta64).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeError {
    /// The text is not a time.
    #[error("{text:?} is no {expected}: {reason} at byte {at}")]
    Syntax {
        /// The text.
        text: String,
        /// The expected form, with an example.
        expected: &'static str,
        /// The byte of the text at which reading stopped.
        at: usize,
        /// What was expected there.
        reason: &'static str,
    },
    /// 64 bits of the target's unit do not reach the value, or the target holds no such values.
    #[error("{value} is outside of what {target} holds; take a coarser unit, or check the value")]
    OutOfRange {
        /// The value.
        value: String,
        /// The target type or dtype.
        target: String,
    },
    /// The value is NaT, and the target has no such value.
    #[error("NaT is no {target}; ask with `is_nat` first")]
    Nat {
        /// The target type.
        target: &'static str,
    },
    /// The unit has no fixed length of time (years, months, bare counts), and the target needs one.
    #[error("{found} and {target} do not convert: one is a fixed length of time, the other is not")]
    Unit {
        /// The type or dtype of the value.
        found: String,
        /// The target type or dtype.
        target: String,
    },
}
