//! Checked shape arithmetic: element counts, byte counts, strides and orders.
//!
//! Element indices (`usize`) and byte offsets (`u64`) meet only here, and every product is checked. This file knows
//! nothing of files, dtypes or maps.

/// The order in which the elements of an array lie in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Row-major: the last axis varies fastest. NumPy's `'C'` and its default.
    #[default]
    C,
    /// Column-major: the first axis varies fastest. NumPy's `'F'` (`fortran_order: True`).
    F,
}
