//! Closures fail with errors of the caller's own type, which come back unchanged.

use std::fmt;
use std::io;

use ndarray::prelude::*;
use ndstore::{Chunk, Error, ErrorKind, Store};
use tempfile::TempDir;

use super::support::assert_no_drafts;

/// An error of a caller.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The closure failed, with this number.
    Mine(usize),
    /// The library did.
    Theirs(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Theirs(error)
    }
}

impl PartialEq for Failure {
    fn eq(&self, other: &Failure) -> bool {
        match (self, other) {
            (Failure::Mine(this), Failure::Mine(other)) => this == other,
            _ => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Failure {}

/// A directory with an array of a hundred rows, and the store of it.
fn hundred() -> (TempDir, Store<f64, Ix2>) {
    let directory = TempDir::new().unwrap();
    let array = Array2::from_shape_fn((100, 3), |(row, _)| row as f64);
    let store = Store::create_from(directory.path().join("a.npy"), &array).unwrap();
    (directory, store)
}

#[test]
fn an_error_of_the_closure_comes_back_from_every_walk() {
    let (_directory, mut store) = hundred();
    let fails = |start: usize| match start {
        40 => Err(Failure::Mine(start)),
        _ => Ok(()),
    };
    let chunk = || Chunk::Rows(10);
    let walk = |store: &mut Store<f64, Ix2>, number| match number {
        0 => store
            .out_of_core()
            .for_each_block(chunk(), |block| fails(block.start[0])),
        1 => store
            .out_of_core_mut()
            .for_each_block_mut(chunk(), |block| fails(block.start[0])),
        #[cfg(feature = "rayon")]
        2 => store
            .out_of_core()
            .par_for_each_block(chunk(), |block| fails(block.start[0])),
        #[cfg(feature = "rayon")]
        3 => store
            .out_of_core_mut()
            .par_for_each_block_mut(chunk(), |block| fails(block.start[0])),
        _ => Err(Failure::Mine(40)),
    };
    for number in 0..4 {
        assert_eq!(walk(&mut store, number), Err(Failure::Mine(40)), "{number}");
    }
}

#[test]
fn what_the_library_says_comes_as_the_error_of_the_caller() {
    let (directory, store) = hundred();
    let held = store.path().to_owned();
    let refused = Store::<f64, _>::create_with(&held, 3, 1, |_| Ok::<_, Failure>(()));
    let Err(Failure::Theirs(error)) = refused else {
        panic!("it is locked");
    };
    assert!(matches!(error.kind(), ErrorKind::Locked { .. }), "{error}");
    let refused = Store::<f64, _>::create_with(&held, 3, 1, |_| Ok::<_, io::Error>(()));
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_no_drafts(directory.path());
}

#[test]
fn a_map_that_fails_gives_the_error_and_leaves_no_file() {
    let (directory, store) = hundred();
    let new = directory.path().join("new.npy");
    let halve = |x: f64| match x {
        70.0 => Err(Failure::Mine(70)),
        _ => Ok(x / 2.0),
    };
    let refused = store.out_of_core().try_map(&new, halve);
    assert_eq!(refused.unwrap_err(), Failure::Mine(70));
    let both = store.out_of_core().zip(store.out_of_core()).unwrap();
    let refused = both.try_map(&new, |(x, _)| halve(x));
    assert_eq!(refused.unwrap_err(), Failure::Mine(70));
    assert!(!new.exists());
    assert_no_drafts(directory.path());
    let mapped = store
        .out_of_core()
        .try_map(&new, |x| Ok::<_, Error>(x / 2.0))
        .unwrap();
    assert_eq!(mapped.get((99, 0)).unwrap(), 49.5);
}

#[test]
fn the_error_of_a_progress_callback_is_the_cause_and_comes_back_out() {
    let (_directory, store) = hundred();
    let work = store
        .out_of_core()
        .progress(|progress| match progress.done {
            0 => Ok(()),
            done => Err(Failure::Mine(done as usize).into()),
        });
    let error = work.sum().unwrap_err();
    assert_eq!(error.path(), Some(store.path()));
    assert!(
        error.to_string().ends_with(": cancelled: Mine(2400)"),
        "{error}"
    );
    let ErrorKind::Cancelled { cause, .. } = error.into_kind() else {
        panic!("it was cancelled");
    };
    assert_eq!(*cause.downcast::<Failure>().unwrap(), Failure::Mine(2400));

    let work = store.out_of_core().progress(|_| Err("no more time".into()));
    let failed = work.for_each_block(Chunk::Rows(1), |_| Ok::<_, Failure>(()));
    let Err(Failure::Theirs(error)) = failed else {
        panic!("it was cancelled");
    };
    assert!(error.to_string().ends_with("cancelled: no more time"));
}
