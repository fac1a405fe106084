//! What depends on the element type at run time: one match over the real numbers of NumPy.

/// Evaluates an expression with the type `$A` that the elements of a dtype have, or another where they are no real numbers.
macro_rules! with_real_number {
    ($dtype:expr, $A:ident => $body:expr, $other:expr) => {
        match ($dtype.kind(), $dtype.itemsize()) {
            (ndstore::Kind::Bool, 1) => $crate::numbers::with!($A, ndstore::Bool8, $body),
            (ndstore::Kind::Int, 1) => $crate::numbers::with!($A, i8, $body),
            (ndstore::Kind::Int, 2) => $crate::numbers::with!($A, i16, $body),
            (ndstore::Kind::Int, 4) => $crate::numbers::with!($A, i32, $body),
            (ndstore::Kind::Int, 8) => $crate::numbers::with!($A, i64, $body),
            (ndstore::Kind::UInt, 1) => $crate::numbers::with!($A, u8, $body),
            (ndstore::Kind::UInt, 2) => $crate::numbers::with!($A, u16, $body),
            (ndstore::Kind::UInt, 4) => $crate::numbers::with!($A, u32, $body),
            (ndstore::Kind::UInt, 8) => $crate::numbers::with!($A, u64, $body),
            (ndstore::Kind::Float, 2) => $crate::numbers::with!($A, half::f16, $body),
            (ndstore::Kind::Float, 4) => $crate::numbers::with!($A, f32, $body),
            (ndstore::Kind::Float, 8) => $crate::numbers::with!($A, f64, $body),
            _ => $other,
        }
    };
}

macro_rules! with {
    ($A:ident, $type:ty, $body:expr) => {{
        type $A = $type;
        $body
    }};
}

pub(crate) use {with, with_real_number};
