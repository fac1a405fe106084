//! A forked child that has the process id of its parent, in another namespace.

use std::process::Command;

use ndarray::prelude::*;
use ndstore::{ErrorKind, Store};

use super::support::{end_fork_after, fork, program, trace, wait_for};

/// Marks the first process of its namespace.
const FIRST: &str = "NDSTORE_TEST_FIRST";

/// `sudo -E cargo test --test rigs -- --ignored namespaces`
#[test]
#[ignore = "needs root"]
fn a_forked_child_with_the_process_id_of_its_parent_is_told_from_it() {
    if std::env::var_os(FIRST).is_some() {
        return parent_and_child();
    }
    let test = "namespaces::a_forked_child_with_the_process_id_of_its_parent_is_told_from_it";
    let done = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child"])
        .arg(program())
        .args([test, "--exact", "--ignored"])
        .env(FIRST, "")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

#[allow(unsafe_code)]
fn parent_and_child() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let mut store = Store::<f64, _>::create(&path, 0).unwrap();
    store.append(&Array::ones(10)).unwrap();
    let before = trace(&path);
    assert_eq!(std::process::id(), 1);
    // SAFETY: takes a number; the children of this process are to be in a namespace of their own.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
    let Some(child) = fork() else {
        end_fork_after(|| {
            assert_eq!(std::process::id(), 1);
            let refused = store.append(&Array::ones(3)).unwrap_err();
            assert!(matches!(refused.kind(), ErrorKind::Forked), "{refused}");
            drop(store);
            assert_eq!(trace(&path), before);
        })
    };
    wait_for(child);
    store.append(&Array::ones(3)).unwrap();
    drop(store);
    let store = Store::<f64, Ix1>::open(&path).unwrap();
    assert_eq!(store.read_all().unwrap(), Array1::<f64>::ones(13));
}
