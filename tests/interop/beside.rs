//! NumPy beside an appender: `np.load` at any instant has a prefix of whole rows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ndarray::prelude::*;
use ndstore::Store;
use serde_json::json;
use tempfile::TempDir;

use super::python;

/// How often NumPy loads the array, if not so often.
const LOADS: &str = "NDSTORE_LOADS";
const LOADS_BY_DEFAULT: u64 = 5000;

/// With `NDSTORE_LOADS=100000` for longer.
#[test]
#[ignore = "needs python3 with NumPy"]
fn np_load_beside_an_appender_has_a_prefix_of_whole_rows() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.npy");
    Store::<u64, _>::create(&path, (0, 5)).unwrap();
    let loads = std::env::var(LOADS).map_or(LOADS_BY_DEFAULT, |text| text.parse().unwrap());
    let mut log = Store::<u64, Ix2>::open_append(&path).unwrap();
    let is_over = AtomicBool::new(false);
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            // Each number of digits is passed, and the rows are not too many to check.
            for count in (1..=7).cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let first = log.shape()[0];
                let rows = Array2::from_shape_fn((count, 5), |(row, _)| (first + row) as u64);
                log.append(&rows).unwrap();
                thread::sleep(Duration::from_micros(200));
            }
        });
        let entry = json!({ "path": path, "loads": loads });
        let report = thread::scope(|inner| {
            let load = || python("beside.py", "load", dir.path(), &[entry]);
            inner.spawn(load).join()
        });
        is_over.store(true, Ordering::Relaxed);
        report
    });
    let report = report.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    println!("{report}");
    assert_eq!(report["loads"], loads);
    assert!(report["grown"].as_u64().unwrap() > loads / 100, "{report}");
}
