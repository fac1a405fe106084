//! The one `unsafe` of the tests that is about maps.
#![allow(unsafe_code)]
#![allow(
    dead_code,
    reason = "not every binary that has these needs all of them"
)]

use ndarray::Dimension;
use ndstore::{CopyOnWrite, Element, Error, MapOptions, Mappable, Mapped, ReadOnly, Store};

/// Maps a store.
pub(crate) fn mapped<A: Element, D: Dimension, M: Mappable>(
    store: Store<A, D, M>,
) -> Mapped<A, D, M> {
    mapped_with(&MapOptions::new(), store)
}

/// Maps a store in a certain way.
#[track_caller]
pub(crate) fn mapped_with<A: Element, D: Dimension, M: Mappable>(
    options: &MapOptions,
    store: Store<A, D, M>,
) -> Mapped<A, D, M> {
    // SAFETY: the files of tests are in directories of their own, where nobody but the test that
    // made them gets at them. One that cuts a file that is mapped does so to see that the guard, or
    // a signal, ends what would go wrong.
    unsafe { options.map(store) }.unwrap()
}

/// Sees to it that a store is not mapped.
#[track_caller]
pub(crate) fn not_mapped<A: Element, D: Dimension, M: Mappable>(store: Store<A, D, M>) -> Error {
    // SAFETY: as in `mapped_with`.
    unsafe { store.map() }.unwrap_err()
}

/// Maps a store for changes that stay in memory.
#[track_caller]
pub(crate) fn copy_on_write<A: Element, D: Dimension>(
    store: Store<A, D, ReadOnly>,
) -> CopyOnWrite<A, D> {
    // SAFETY: as in `mapped_with`.
    unsafe { store.map_cow() }.unwrap()
}
