//! After a failed write to the disk, no byte of the file is given up.

use std::path::PathBuf;
use std::process::Command;

use ndarray::prelude::*;
use ndstore::{ErrorKind, Store};
use rustix::process::{Resource, Rlimit, setrlimit};
use tempfile::TempDir;

#[test]
fn a_truncate_that_cannot_write_its_header_cuts_nothing() {
    const CHILD: &str = "NDSTORE_TEST_NO_HEADER";
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("array.npy");
        let name = "poison::a_truncate_that_cannot_write_its_header_cuts_nothing";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, &path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let store = Store::<f64, Ix1>::open(&path).unwrap();
        assert_eq!(store.read_all().unwrap(), array![1.0, 2.0, 3.0]);
        return;
    };
    let mut store = Store::create_from(&path, &array![1.0]).unwrap();
    // Rows whose blocks were reserved together with more, which a store gives back when it is
    // dropped.
    store.append(&array![2.0, 3.0]).unwrap();
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Fsize, none).unwrap();
    let error = store.truncate(1).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io { .. }), "{error:?}");
    let error = store.flush().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Poisoned), "{error:?}");
}
