//! Checks that an array fits an element type and a rank.

use ndarray::{Dimension, IxDyn};

use super::array::Array;
use crate::dtype::{ByteOrder, DType, Kind};
use crate::element::{Element, assert_element};
use crate::error::{Context, Error, ErrorKind, Result, dimension_text};

/// Checks that an array fits `A` and `D`: for a new file, before it replaces an old one.
pub(crate) fn check_fit<A: Element, D: Dimension>(
    context: Context<'_>,
    array: &Array,
) -> Result<D> {
    assert_element::<A>();
    let dtype = A::dtype();
    if array.dtype != dtype || dtype.itemsize() != size_of::<A>() {
        return Err(dtype_mismatch(context, &dtype, &array.dtype));
    }
    dimension(context, array)
}

/// The shape of the array as a `D`.
pub(crate) fn dimension<D: Dimension>(context: Context<'_>, array: &Array) -> Result<D> {
    D::from_dimension(&IxDyn(&array.shape)).ok_or_else(|| {
        context.fail(ErrorKind::NdimMismatch {
            expected: D::NDIM.unwrap_or_default(),
            found: array.shape.len(),
            shape: array.shape.clone(),
            remedy: match array.raw {
                true => {
                    "a raw file does not tell its shape, so give it with `Options::shape`".into()
                }
                false => dimension_text(array.shape.len()).into(),
            },
        })
    })
}

/// The error for elements of dtype `found` where `expected` was asked for.
pub(crate) fn dtype_mismatch(context: Context<'_>, expected: &DType, found: &DType) -> Error {
    context.fail(ErrorKind::DTypeMismatch {
        expected: expected.descr(),
        found: found.descr(),
        remedy: mismatch_remedy(expected, found),
    })
}

/// The way out for a caller who asked for `expected` where the file has `found`.
fn mismatch_remedy(expected: &DType, found: &DType) -> &'static str {
    let [expected_big, found_big] =
        [expected, found].map(|dtype| dtype.with_byte_order(ByteOrder::Big));
    match (found.kind(), found.byte_order()) {
        _ if expected == found => "its `Element::dtype` has another size than the type; mend that",
        _ if expected_big != found_big => {
            "open it with the type for that, or with `AnyStore`, which takes any"
        }
        (Kind::Record, _) => {
            "its fields are in another byte order; declare them as `Be<T>` or `Le<T>`"
        }
        (_, ByteOrder::Big) => "its bytes are in the other order; open it as `Be<T>` of that type",
        (_, _) => "its bytes are in the other order; open it as `Le<T>` of that type",
    }
}
