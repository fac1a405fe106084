//! `record!` in a crate whose own names are those that a macro might reach for: `core`, `std`,
//! `Clone`, `size_of`.
//!
//! This is a crate of its own, because `extern crate .. as ..` applies to a whole crate. The macro
//! must get all names that it needs from ndstore: these here would decide whether a struct has
//! padding, and without padding it is `Pod`.

extern crate self as core;
extern crate self as std;

/// The `::core::mem` that the macro would get if it asked for one.
#[allow(dead_code, reason = "that nobody calls it is what is tested")]
pub mod mem {
    /// A size that makes any struct look as if it had no padding.
    pub const fn size_of<T>() -> usize {
        0
    }
}

/// Records among names that are not those of the prelude.
mod records {
    #[allow(dead_code, reason = "that nobody implements it is what is tested")]
    trait Clone {}

    #[allow(dead_code, reason = "that nobody implements it is what is tested")]
    trait Copy {}

    #[allow(unused_macros, reason = "that nobody calls it is what is tested")]
    macro_rules! assert {
        ($($anything:tt)*) => {
            ()
        };
    }

    /// The name of a field may be a constant, whatever that is called.
    const DTYPE: &str = "from a constant";

    ndstore::record! {
        pub(super) struct Sample {
            small: u8,
            rest: [u8; 7] = DTYPE,
            large: f64,
        }

        #[repr(packed)]
        pub(super) struct Packed {
            small: u8,
            large: f64,
        }
    }
}

#[test]
fn a_record_is_declared_by_the_names_of_ndstore_alone() {
    use ndstore::Element;
    assert_eq!(
        records::Sample::dtype().descr(),
        "[('small', '|u1'), ('from a constant', '|u1', (7,)), ('large', '<f8')]"
    );
    assert_eq!(
        records::Packed::dtype().descr(),
        "[('small', '|u1'), ('large', '<f8')]"
    );
}
