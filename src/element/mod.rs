//! Rust types as elements of an array, and the dtype of each.
//!
//! A type is an element if any bytes of its size are a value of it ([`Pod`]). [`Element::dtype`]
//! decides which files the type opens; memory safety never depends on it. An element whose type is
//! known only at run time is an [`AnyElement`]. Nothing here knows of files.

mod any;
mod as_type;
mod calendar;
mod endian;
mod float;
mod iso;
mod number;
mod record;
mod text;
mod time;

use bytemuck::Pod;

use crate::dtype::DType;

pub use any::AnyElement;
pub use as_type::AsType;
pub use endian::{Be, ByteOrdered, Le};
pub use number::Bool8;
pub use record::{Pad, RecordField, field, field_name, record_dtype};
pub use text::{Bytes, Text, Void};
pub use time::{Datetime64, Timedelta64, unit};

/// A Rust type that can be the element of a [`Store`](crate::Store).
///
/// The type must be [`Pod`]: any bytes of its size are a value, and it has no padding and no
/// references. Memory safety rests on that and on the size alone; a wrong [`dtype`](Element::dtype)
/// opens the wrong files and does no other harm.
///
/// | Rust | descr | Rust | descr |
/// |---|---|---|---|
/// | `i8` `i16` `i32` `i64` | `\|i1` `<i2` `<i4` `<i8` | [`Bytes<5>`](Bytes) | `\|S5` |
/// | `u8` `u16` `u32` `u64` | `\|u1` `<u2` `<u4` `<u8` | [`Text<5>`](Text) | `<U5` |
/// | `f32` `f64` | `<f4` `<f8` | [`Void<5>`](Void) | `\|V5` |
/// | `half::f16` | `<f2` | [`Datetime64<unit::Ns>`](Datetime64) | `<M8[ns]` |
/// | `Complex<f32>` `Complex<f64>` | `<c8` `<c16` | [`Timedelta64<unit::Second, 25>`](Timedelta64) | `<m8[25s]` |
/// | [`Bool8`] | `\|b1` | a [`record!`](crate::record) | `[('x', '<f4'), ...]` |
///
/// `<` is the byte order of this machine; on a big-endian one the same types are `>`. [`Be<T>`](Be)
/// and [`Le<T>`](Le) have the same byte order on every machine, and no alignment.
///
/// An element has at least one byte, and an alignment of at most 4096; any other type does not
/// compile:
///
/// ```compile_fail,E0080
/// # use ndarray::Ix1;
/// use ndstore::{Bytes, Store};
///
/// Store::<Bytes<0>, Ix1>::open("names.npy")?;
/// # Ok::<(), ndstore::Error>(())
/// ```
///
/// ```compile_fail,E0080
/// use ndstore::{Bytes, Order, from_bytes};
///
/// from_bytes::<Bytes<0>, _>(&[], 3, Order::C)?;
/// # Ok::<(), ndstore::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an element of an array",
    note = "structs become elements with `ndstore::record!`, `bool` is `Bool8`, strings are `Bytes<N>` or `Text<N>`"
)]
pub trait Element: Pod + Send + Sync + 'static {
    /// The dtype of one element, as a file's header states it. Its item size is the size of the
    /// type.
    fn dtype() -> DType;
}

/// Fails to compile for a type whose size or alignment no element can have.
pub(crate) const fn assert_element<A: Element>() {
    const {
        assert!(size_of::<A>() > 0, "an element has at least one byte");
        assert!(
            align_of::<A>() <= 4096,
            "a map is aligned to its pages, not more"
        );
    }
}
