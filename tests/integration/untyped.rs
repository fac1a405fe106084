//! Arrays whose dtype and rank are values: made, grown, cut and shared by bytes.

use ndstore::ndarray::prelude::*;
use ndstore::{AnyStore, DType, ErrorKind, Opening, Options, Order, Store};
use tempfile::tempdir;

fn f8() -> DType {
    DType::parse("<f8").unwrap()
}

fn bytes(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[test]
fn what_is_made_of_bytes_is_the_array_that_they_are() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let options = Options::new().order(Order::F);
    let made = options.create_any_from(
        &path,
        f8(),
        &[2, 3],
        &bytes(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]),
    );
    made.unwrap().close().unwrap();
    let read = Store::<f64, Ix2>::open(&path).unwrap().read_all().unwrap();
    assert_eq!(read, array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);

    let refused = options
        .create_any_from(&path, f8(), &[2, 3], &[0; 47])
        .unwrap_err();
    assert!(matches!(
        refused.kind(),
        ErrorKind::Length {
            expected: 48,
            found: 47,
            ..
        }
    ));
    let refused = options.create_new_any(&path, f8(), &[2]).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::AlreadyExists));
    let read = Store::<f64, Ix2>::open(&path).unwrap();
    assert_eq!(read.shape(), [2, 3]);
}

#[test]
fn rows_that_are_staged_are_published_together_or_not_at_all() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let mut store = Options::new().create_any(&path, f8(), &[0, 2]).unwrap();
    store.append_bytes(1, &bytes(&[1.0, 2.0])).unwrap();
    store.start_appending().unwrap();
    store.stage_bytes(1, &bytes(&[3.0, 4.0])).unwrap();
    store.stage_bytes(2, &bytes(&[5.0, 6.0, 7.0, 8.0])).unwrap();
    assert_eq!(store.shape(), [1, 2]);
    store.publish(3).unwrap();
    assert_eq!(store.shape(), [4, 2]);

    store.stage_bytes(1, &bytes(&[9.0, 9.0])).unwrap();
    let refused = store.publish(2).unwrap_err();
    assert!(matches!(
        refused.kind(),
        ErrorKind::Length {
            expected: 32,
            found: 16,
            ..
        }
    ));
    let refused = store.append_bytes(1, &[0; 15]).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Length { .. }));
    store.truncate(3).unwrap();
    store.resize(&[3, 3]).unwrap();
    store.close().unwrap();
    let read = Store::<f64, Ix2>::open(&path).unwrap().read_all().unwrap();
    assert_eq!(
        read,
        array![[1.0, 2.0, 0.0], [3.0, 4.0, 0.0], [5.0, 6.0, 0.0]]
    );
}

#[test]
fn an_opener_does_not_what_a_typed_one_has_no_method_for() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.npy");
    Options::new()
        .create_any(&path, f8(), &[4])
        .unwrap()
        .close()
        .unwrap();
    let is_refused = |result: ndstore::Result<()>| {
        matches!(result.unwrap_err().kind(), ErrorKind::InvalidOption { .. })
    };
    for opening in [
        Opening::Read,
        Opening::Watch,
        Opening::Shared,
        Opening::SharedRead,
        Opening::Rows(0..2),
        Opening::RowsRead(0..2),
    ] {
        let mut store = Options::new().open_any_as(&path, opening).unwrap();
        assert!(is_refused(store.append_bytes(1, &[0; 8])));
        assert!(is_refused(store.start_appending()));
        assert!(is_refused(store.stage_bytes(1, &[0; 8])));
        assert!(is_refused(store.publish(0)));
        assert!(is_refused(store.truncate(1)));
        assert!(is_refused(store.resize(&[1])));
        assert!(is_refused(store.share().map(drop)));
    }
    let mut store = Options::new().open_any_as(&path, Opening::Append).unwrap();
    assert!(is_refused(store.truncate(1)));
    assert!(is_refused(store.resize(&[1])));
    store.append_bytes(1, &bytes(&[1.0])).unwrap();
    drop(store);
    assert_eq!(AnyStore::open(&path).unwrap().shape(), [5]);
}

#[test]
fn who_shares_what_it_had_alone_has_a_claim_on_it_all_the_time() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let store = Options::new().create_any(&path, f8(), &[4]).unwrap();
    assert!(Store::<f64, Ix1>::open_shared(&path).is_err());
    let shared = store.share().unwrap();
    let other = Store::<f64, Ix1>::open_shared(&path).unwrap();
    for refused in [
        AnyStore::open(&path).map(drop),
        AnyStore::open_rw(&path).map(drop),
        Options::new().open_any_as(&path, Opening::Append).map(drop),
    ] {
        assert!(matches!(
            refused.unwrap_err().kind(),
            ErrorKind::Locked { .. }
        ));
    }
    drop((shared, other));
    AnyStore::open_rw(&path).unwrap();
}

#[test]
fn nobody_gets_in_between_while_it_becomes_shared() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                // Whoever gets it alone does so before or after all of it, and then it is whole.
                if let Ok(alone) = AnyStore::open_rw(&path) {
                    assert_eq!(alone.shape(), [4]);
                }
            }
        });
        for _ in 0..200 {
            let waits = ndstore::LockPolicy::Wait;
            let store = Options::new()
                .lock(waits)
                .create_any(&path, f8(), &[4])
                .unwrap();
            let shared = store.share().unwrap();
            assert!(AnyStore::open_rw(&path).is_err());
            drop(shared);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[cfg(unix)]
#[test]
fn a_lent_descriptor_keeps_the_claims_after_the_store_is_gone() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let store = Options::new().create_any(&path, f8(), &[4]).unwrap();
    let lent = store.lend_fd().unwrap();
    drop(store);
    assert!(matches!(
        AnyStore::open(&path).unwrap_err().kind(),
        ErrorKind::Locked { .. }
    ));
    drop(lent);
    AnyStore::open(&path).unwrap();
}
