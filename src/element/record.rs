//! Structs as elements: the fields of a record, their names and their offsets come from the struct
//! itself.
#![allow(unsafe_code)]

use std::fmt::{self, Debug, Formatter};

use bytemuck::{Pod, Zeroable};

use super::Element;
use crate::dtype::{DType, Field};

/// Declares structs that are elements: NumPy's structured dtypes.
///
/// The dtype has the fields of the struct, with their names, types and offsets. A field is an
/// element, an array `[T; N]` of elements, which becomes a sub-array, or [`Pad<N>`](crate::Pad),
/// which is a gap without a name. Structs nest.
///
/// The struct is `repr(C)`: each field lies at a multiple of its alignment, as with `align=True` in
/// NumPy. `#[repr(C, packed)]` leaves no gaps, which is NumPy's default; nor do fields of
/// [`Le<T>`](crate::Le) and [`Be<T>`](crate::Be), which have no alignment. Either way, a struct
/// with padding that is not a field does not compile. The macro implements `Clone` and `Copy`;
/// derives, docs and attributes are written as on any struct.
///
/// `= "name"` after the type gives a field another name in the file; `= ("title", "name")` gives it
/// a title as well.
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::{Datetime64, Pad, Store, record, unit};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("samples.npy");
///
/// record! {
///     #[derive(Debug, PartialEq)]
///     pub struct Sample {
///         pub time: Datetime64<unit::Ns>,
///         pub xyz: [f32; 3] = "x y z",
///         _pad: Pad<4>,
///     }
/// }
///
/// let mut store = Store::<Sample, _>::create(&path, 1000)?;
/// let mut sample = store.get(2)?;
/// sample.xyz[0] = 1.5;
/// store.set(2, sample)?;
/// assert_eq!(store.dtype().descr(), "[('time', '<M8[ns]'), ('x y z', '<f4', (3,)), ('', '|V4')]");
/// # Ok::<(), ndstore::Error>(())
/// ```
///
/// Padding that is not a field is refused:
///
/// ```compile_fail,E0080
/// ndstore::record! {
///     struct Gap { small: u8, large: f64 }
/// }
/// ```
///
/// # Panics
///
/// Asking for the dtype panics if NumPy has no such record: two fields renamed to one name, a size
/// over 2 GiB, more than 64 dimensions. Opening or creating a file asks for it.
#[macro_export]
#[doc(alias = "structured")]
macro_rules! record {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis struct $record:ident {
            $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty $(= $name:expr)?),* $(,)?
        }
    )+) => {$(
        $(#[$attribute])*
        #[repr(C)]
        $visibility struct $record {
            $($(#[$field_attribute])* $field_visibility $field: $type,)*
        }

        impl $crate::__private::Clone for $record {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl $crate::__private::Copy for $record {}

        const _: () = $crate::__private::assert!(
            $crate::__private::size_of::<$record>() == 0 $(+ $crate::__private::size_of::<$type>())*,
            $crate::__private::concat!(
                "`", $crate::__private::stringify!($record), "` has padding: ",
                "add `Pad<N>` fields where it lies, or make the struct `#[repr(C, packed)]`",
            ),
        );

        // Whatever the attributes did to the struct, it has these fields, with these types, and no
        // others.
        const _: fn($record) -> ($($type,)*) = |$record { $($field,)* }| ($($field,)*);

        // SAFETY: all zeros are a value of each field, by the function above and the bound on
        // `field` below.
        unsafe impl $crate::__private::Zeroable for $record {}

        // SAFETY: the struct is `repr(C)` and `Copy`. It has no padding, by the assertion above,
        // and no fields but those listed, by the function above. Each of them is `Pod`, by the
        // bound on `field` below.
        unsafe impl $crate::__private::Pod for $record {}

        impl $crate::Element for $record {
            fn dtype() -> $crate::DType {
                // Outside of the block below, so that a name that the caller gives cannot refer to
                // the static.
                let make = || $crate::__private::record_dtype(
                    [$($crate::__private::field::<$type>(
                        $crate::__private::offset_of!($record, $field),
                        $crate::record!(@name $field $($name)?),
                    )),*],
                    $crate::__private::size_of::<$record>(),
                );
                {
                    static DTYPE: $crate::__private::OnceLock<$crate::DType> =
                        $crate::__private::OnceLock::new();
                    $crate::__private::Clone::clone(DTYPE.get_or_init(make))
                }
            }
        }
    )+};
    (@name $field:ident) => {
        $crate::__private::field_name($crate::__private::stringify!($field))
    };
    (@name $field:ident $name:expr) => {
        $name
    };
}

/// A type that a field of a [`record!`](crate::record) can have: an [`Element`], an array of
/// elements, or a [`Pad`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a record",
    note = "a field is an `Element`, an array `[T; N]` of such, or `Pad<N>`"
)]
pub trait RecordField: Pod + Send + Sync {
    /// The dtype of one element of the field and the shape of its sub-array, or `None` for a gap.
    #[doc(hidden)]
    fn layout() -> Option<(DType, Vec<usize>)>;
}

impl<A: Element> RecordField for A {
    fn layout() -> Option<(DType, Vec<usize>)> {
        Some((A::dtype(), Vec::new()))
    }
}

impl<T: RecordField, const N: usize> RecordField for [T; N] {
    fn layout() -> Option<(DType, Vec<usize>)> {
        let (dtype, mut shape) = T::layout()?;
        shape.insert(0, N);
        Some((dtype, shape))
    }
}

impl<const N: usize> RecordField for Pad<N> {
    fn layout() -> Option<(DType, Vec<usize>)> {
        None
    }
}

/// A gap of `N` bytes between the fields of a [`record!`](crate::record).
///
/// The bytes have no meaning, and other programs leave anything there, so all values are equal.
#[derive(Clone, Copy, Zeroable, Pod)]
#[repr(transparent)]
pub struct Pad<const N: usize>([u8; N]);

impl<const N: usize> Default for Pad<N> {
    fn default() -> Pad<N> {
        Pad::zeroed()
    }
}

impl<const N: usize> PartialEq for Pad<N> {
    fn eq(&self, _: &Pad<N>) -> bool {
        true
    }
}

impl<const N: usize> Eq for Pad<N> {}

impl<const N: usize> Debug for Pad<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Pad<{N}>")
    }
}

/// The right side of `=` in a [`record!`](crate::record): a name, or a title and a name.
#[derive(Debug)]
pub struct FieldName {
    title: Option<&'static str>,
    name: &'static str,
}

impl From<&'static str> for FieldName {
    fn from(name: &'static str) -> FieldName {
        FieldName { title: None, name }
    }
}

impl From<(&'static str, &'static str)> for FieldName {
    fn from((title, name): (&'static str, &'static str)) -> FieldName {
        let title = Some(title);
        FieldName { title, name }
    }
}

/// The name of a field from its identifier.
pub fn field_name(identifier: &'static str) -> &'static str {
    identifier.strip_prefix("r#").unwrap_or(identifier)
}

/// A field of the type `T`, or `None` for a gap.
pub fn field<T: RecordField>(offset: usize, name: impl Into<FieldName>) -> Option<Field> {
    let (dtype, shape) = T::layout()?;
    let FieldName { title, name } = name.into();
    let mut field = Field::new(name, dtype, offset);
    if let Some(title) = title {
        field = field.with_title(title);
    }
    match field.with_shape(&shape) {
        Ok(field) => Some(field),
        Err(error) => panic!("{error}"),
    }
}

/// The dtype of a struct of these fields.
pub fn record_dtype<const N: usize>(fields: [Option<Field>; N], itemsize: usize) -> DType {
    let fields = fields.into_iter().flatten().collect();
    match DType::record(fields, itemsize) {
        Ok(dtype) => dtype,
        Err(error) => panic!("{error}"),
    }
}
