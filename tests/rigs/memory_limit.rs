//! Work on arrays four times larger than the memory there is: right to the last byte, and within the budget.
//!
//! The work is done by this program once more, in a control group of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::prelude::*;
use ndstore::{Chunk, Store};
use tempfile::TempDir;

/// The memory of the control group: pages of files that it reads and writes are charged to it, too.
const LIMIT: usize = 64 << 20;

/// Of the arrays: 256 MiB.
const ROWS: usize = 1 << 15;
const COLUMNS: usize = 1 << 10;

/// What a process may take that is not the work's: the program, its stacks, the kernel's habit of mapping neighbours.
const SLACK: usize = 32 << 20;

/// Where the work finds its directory.
const DIRECTORY: &str = "NDSTORE_RIG_DIRECTORY";

/// A control group with a limit on memory. Dropping it removes it.
struct Group(PathBuf);

impl Group {
    fn new() -> Group {
        let name = format!("ndstore-rig-{}", std::process::id());
        let version_1 = Path::new("/sys/fs/cgroup/memory");
        let (root, limit) = if version_1.is_dir() {
            (version_1, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let group = Group(root.join(name));
        fs::create_dir(&group.0).unwrap();
        fs::write(group.0.join(limit), LIMIT.to_string()).unwrap();
        group
    }

    /// A program in this group.
    fn command(&self, program: &Path) -> Command {
        let mut shell = Command::new("sh");
        let join = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
        shell.args(["-c", join]).arg(&self.0).arg(program);
        shell
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
#[ignore = "needs root and control groups"]
fn arrays_of_four_times_the_memory_are_worked_on_to_the_last_byte() {
    let group = Group::new();
    // On a disk: the pages of a file system in memory would be charged for good.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut command = group.command(&std::env::current_exe().unwrap());
    let status = command
        .args(["memory_limit::work", "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, dir.path())
        .status();
    assert!(status.unwrap().success());
}

/// The most memory that this process has held since `reset`, mapped pages of files included, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().strip_suffix("kB").unwrap();
    kib.trim().parse::<usize>().unwrap() << 10
}

/// Does a piece of work, which must keep to the budget.
#[track_caller]
fn within<T>(budget: usize, name: &str, work: impl FnOnce() -> ndstore::Result<T>) -> T {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    let done = work().unwrap();
    let (peak, limit) = (peak(), budget + SLACK);
    println!("{name}: {} KiB, {} before", peak >> 10, before >> 10);
    assert!(peak <= limit, "{name}: {peak} bytes, more than {limit}");
    done
}

/// The element at a place: different everywhere.
fn element(row: usize, column: usize) -> f64 {
    (row * COLUMNS + column) as f64
}

/// Checks every element of a file of `rows`, which is read block by block and nothing else.
#[track_caller]
fn check(path: &Path, shape: (usize, usize), expected: impl Fn(usize, usize) -> f64) {
    let store = Store::<f64, Ix2>::open(path).unwrap();
    assert_eq!(store.shape(), [shape.0, shape.1]);
    for block in store.out_of_core().blocks(Chunk::Bytes(1 << 20)) {
        let block = block.unwrap();
        for (row, elements) in (block.start[0]..).zip(block.view.rows()) {
            for (column, &found) in elements.iter().enumerate() {
                assert_eq!(found, expected(row, column), "row {row}, column {column}");
            }
        }
    }
}

#[test]
#[ignore = "run by the rig, in a control group"]
fn work() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        // Run by hand, or with all the rigs: the one above starts it where it belongs.
        return;
    };
    let dir = TempDir::new_in(directory).unwrap();
    let [a, b, c] = ["a.npy", "b.npy", "c.npy"].map(|name| dir.path().join(name));
    let budget = LIMIT / 4;
    let shape = (ROWS, COLUMNS);

    drop(within(budget, "create_with", || {
        Store::<f64, _>::create_with(&a, shape, 100, |mut block| {
            let start = block.start[0];
            let fill = |(row, column), x: &mut f64| *x = element(start + row, column);
            block
                .view
                .indexed_iter_mut()
                .for_each(|(at, x)| fill(at, x));
            Ok(())
        })
    }));
    within(budget, "blocks", || {
        check(&a, shape, element);
        Ok(())
    });
    let store = Store::<f64, Ix2>::open(&a).unwrap();
    drop(within(budget, "map", || {
        store.out_of_core().map(&b, |x: f64| 2.0 * x)
    }));
    check(&b, shape, |row, column| 2.0 * element(row, column));
    let mut doubled = Store::<f64, Ix2>::open_rw(&b).unwrap();
    within(budget, "for_each_block_mut", || {
        let work = doubled.out_of_core_mut();
        work.for_each_block_mut(Chunk::Rows(333), |mut block| {
            block.view.mapv_inplace(|x| x + 1.0);
            Ok(())
        })?;
        doubled.flush()
    });
    drop(within(budget, "zip", || {
        let zip = store.out_of_core().zip(doubled.out_of_core())?;
        zip.map(&c, |(x, y): (f64, f64)| y - x)
    }));
    check(&c, shape, |row, column| element(row, column) + 1.0);
}
