//! Files that are cut and made as long again before anybody touches the missing pages.

use super::*;

/// Whether a guard tells of what happened to its file.
fn tells(store: &Mapped<f64, Ix1, impl AccessMode>) -> bool {
    let told = store.check_faults().is_err();
    // And goes on to say so.
    assert_eq!(store.check_faults().is_err(), told);
    assert_eq!(store.guarded(|view| view.sum()).is_err(), told);
    told
}

#[test]
fn a_file_that_is_written_anew_over_its_map_is_noticed_in_every_mode() {
    survives(
        "regrown::a_file_that_is_written_anew_over_its_map_is_noticed_in_every_mode",
        || {
            let place = Place::new(4);
            let path = place.path();
            let new = vec![7; place.bytes.len()];
            // As `cp` and `std::fs` do: cut to nothing, then written.
            let store = open(&path);
            fs::write(&path, &new).unwrap();
            assert!(tells(&store));
            drop(store);

            place.file("a.npy");
            let mut store = guarded(Store::<f64, Ix1>::open_rw(&path).unwrap());
            fs::write(&path, &new).unwrap();
            assert!(tells(&store));
            assert_faulted(store.flush(), new.len());
            assert_faulted(store.append(&array![1.0]), new.len());
            assert_faulted(store.resize(5), new.len());
            drop(store);
            assert_eq!(fs::read(&path).unwrap(), new);

            place.file("a.npy");
            let mut store = open_cow(&path);
            store.view_mut()[0] = 5.0;
            store.check_faults().unwrap();
            fs::write(&path, &new).unwrap();
            assert_faulted(store.check_faults(), new.len());
        },
    );
}

#[test]
fn every_cut_to_another_page_is_noticed_however_long_the_file_is_again() {
    survives(
        "regrown::every_cut_to_another_page_is_noticed_however_long_the_file_is_again",
        || {
            let place = Place::new(4);
            for len in (0..=len_of(4)).step_by(PAGE / 4) {
                for touched in [false, true] {
                    let path = place.file("a.npy");
                    let store = open(&path);
                    if touched {
                        assert_ne!(store.view().sum(), 0.0);
                    }
                    cut(&path, len);
                    cut(&path, len_of(5));
                    fs::write(place.dir.path().join("b"), b"another file").unwrap();
                    // Of the page that the array ends in the kernel clears the rest, and nothing
                    // tells.
                    assert_eq!(tells(&store), len <= len_of(3), "{len}");
                }
            }
        },
    );
}

#[test]
fn what_a_store_does_to_its_own_file_raises_no_alarm() {
    survives(
        "regrown::what_a_store_does_to_its_own_file_raises_no_alarm",
        || {
            let place = Place::new(1);
            let path = place.path();
            let mut store = guarded(Store::<f64, Ix1>::open_rw(&path).unwrap());
            let mut state = 1;
            for round in 0..300 {
                let rows = store.len();
                match random(&mut state, 5) {
                    0 => store.truncate(random(&mut state, rows + 1)).unwrap(),
                    1 => store.resize(random(&mut state, 4 * PER_PAGE)).unwrap(),
                    2 => store.view_mut().fill(f64::from(round)),
                    3 => store.push(&arr0(1.0)).unwrap(),
                    _ => {
                        let rows = random(&mut state, 3 * PER_PAGE);
                        store.append(&Array::ones(rows)).unwrap();
                    }
                }
                assert!(!tells(&store), "round {round}, {rows} rows");
            }
            // And it is as alert as at first.
            store.resize(2 * PER_PAGE).unwrap();
            store.append(&Array::ones(PER_PAGE)).unwrap();
            cut(&path, len_of(2));
            cut(&path, len_of(3));
            assert!(tells(&store));
        },
    );
}

#[test]
fn rows_that_others_append_beside_a_guard_raise_no_alarm() {
    survives(
        "regrown::rows_that_others_append_beside_a_guard_raise_no_alarm",
        || {
            let place = Place::new(2);
            let path = place.path();
            let mut store = open(&path);
            let mut log = Store::<f64, Ix1>::open_append(&path).unwrap();
            for rows in [1, PER_PAGE, 3 * PER_PAGE + 7] {
                log.append(&Array::ones(rows)).unwrap();
                assert!(!tells(&store));
                assert_eq!(store.refresh().unwrap(), rows);
                assert!(!tells(&store));
            }
            drop(log);
            assert!(!tells(&store));
            cut(&path, len_of(3));
            cut(&path, len_of(9));
            assert!(tells(&store));
        },
    );
}
