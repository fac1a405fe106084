//! Arrays that many fill in any order, and that get their name when they are whole.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use ndarray::prelude::*;
use ndstore::{Assembly, ErrorKind, Options, Order, Store};
use tempfile::TempDir;

use super::support::{Why, assert_no_drafts, program, set_mode};
use super::workload::Random;

/// Where a process finds the array that it is to fill.
const PATH: &str = "NDSTORE_TEST_ASSEMBLY";

const ROWS: usize = 500;
const SLAB: usize = 7;

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("a.npy");
    (dir, path)
}

fn draft(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".part");
    draft.into()
}

fn assemble(path: &Path) -> Assembly<u64, Ix2> {
    Store::assemble(path, (ROWS, 3), SLAB).unwrap()
}

/// Fills slabs until there is none, with the number of the row and that of the process.
fn fill(assembly: &mut Assembly<u64, Ix2>, who: u64, pause: Duration) -> usize {
    let mut filled = 0;
    while let Some(mut slab) = assembly.next_slab().unwrap() {
        let first = slab.rows().start;
        let values = Array2::from_shape_fn((slab.shape()[0], 3), |(row, column)| match column {
            0 => (first + row) as u64,
            _ => who,
        });
        slab.write_all(&values).unwrap();
        thread::sleep(pause);
        slab.done().unwrap();
        filled += 1;
    }
    filled
}

/// Checks that the array is there and whole: each slab is somebody's, all of it.
fn check(path: &Path) -> Array2<u64> {
    let found = Store::<u64, Ix2>::open(path).unwrap().read_all().unwrap();
    assert_eq!(found.dim(), (ROWS, 3));
    for (at, row) in found.outer_iter().enumerate() {
        let first = found[[at / SLAB * SLAB, 1]];
        assert_eq!(row.to_vec(), [at as u64, first, first]);
        assert_ne!(first, 0, "nobody filled row {at}");
    }
    let len = fs::metadata(path).unwrap().len();
    assert_eq!(len, 4096 + (ROWS * 3 * 8) as u64);
    assert!(!draft(path).exists());
    found
}

#[test]
fn many_fill_an_array_and_each_slab_is_filled_by_one() {
    let (_dir, path) = place();
    let slabs = thread::scope(|scope| {
        let fillers = [1, 2, 3, 4].map(|who| {
            let path = &path;
            scope.spawn(move || {
                let mut assembly = assemble(path);
                let filled = fill(&mut assembly, who, Duration::from_micros(500));
                assembly.finish().unwrap();
                filled
            })
        });
        fillers.map(|filler| filler.join().unwrap())
    });
    // One that came late may have found the whole array.
    assert_eq!(slabs.iter().sum::<usize>(), ROWS.div_ceil(SLAB));
    check(&path);
}

#[test]
fn a_slab_that_was_done_a_moment_ago_is_not_filled_again() {
    // Where syncs cost nothing a slab is done between a look at its mark and the claim.
    let shared_memory = Path::new("/dev/shm");
    let dir = match shared_memory.is_dir() {
        true => tempfile::tempdir_in(shared_memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let path = dir.path().join("a.npy");
    const SLABS: usize = 1000;
    let filled = thread::scope(|scope| {
        let fillers = [(); 4].map(|()| {
            scope.spawn(|| {
                let mut assembly = Store::<u64, _>::assemble(&path, (SLABS, 1), 1).unwrap();
                let mut filled = 0;
                while let Some(slab) = assembly.next_slab().unwrap() {
                    slab.done().unwrap();
                    filled += 1;
                }
                filled
            })
        });
        fillers.map(|filler| filler.join().unwrap())
    });
    assert_eq!(filled.iter().sum::<usize>(), SLABS);
}

#[test]
fn an_array_has_no_name_before_it_is_whole_and_keeps_the_slabs_that_are_done() {
    let (_dir, path) = place();
    let mut assembly = assemble(&path);
    let mut slab = assembly.next_slab().unwrap().unwrap();
    assert_eq!(slab.rows(), 0..SLAB);
    slab.write_all(&arr0(9)).unwrap();
    slab.done().unwrap();
    // It is not done, so it is lost with the process that had it.
    let slab = assembly.next_slab().unwrap().unwrap();
    assert_eq!(slab.rows(), SLAB..2 * SLAB);
    drop(slab);
    assert_eq!(assembly.progress().unwrap(), (1, ROWS.div_ceil(SLAB)));
    assert!(!path.exists());
    let refused = assembly.finish();
    assert!(matches!(
        refused.why(),
        Some(ErrorKind::InvalidOption { .. })
    ));

    let mut again = assemble(&path);
    assert_eq!(again.progress().unwrap().0, 1);
    assert_eq!(again.next_slab().unwrap().unwrap().rows(), SLAB..2 * SLAB);
    assert_eq!(fill(&mut again, 5, Duration::ZERO), ROWS.div_ceil(SLAB) - 1);
    again.finish().unwrap();
    let found = Store::<u64, Ix2>::open(&path).unwrap().read_all().unwrap();
    assert_eq!(
        found.column(1).to_vec()[..SLAB + 1],
        [9, 9, 9, 9, 9, 9, 9, 5]
    );

    // A process that comes now has nothing to do.
    let mut late = assemble(&path);
    assert!(late.next_slab().unwrap().is_none());
    late.finish().unwrap();
    assert!(!draft(&path).exists());
}

#[test]
fn a_slab_that_somebody_has_is_waited_for_until_it_is_done_or_left() {
    let (_dir, path) = place();
    let shape = (2 * SLAB, 3);
    for is_done in [false, true] {
        let mut first = Store::<u64, _>::assemble(&path, shape, SLAB).unwrap();
        let held = first.next_slab().unwrap().unwrap();
        let mut second = Store::<u64, _>::assemble(&path, shape, SLAB).unwrap();
        let other = second.next_slab().unwrap().unwrap();
        assert_eq!(other.rows(), SLAB..2 * SLAB);
        other.done().unwrap();
        thread::scope(|scope| {
            let next = scope.spawn(|| second.next_slab().unwrap().map(|slab| slab.rows()));
            thread::sleep(Duration::from_millis(100));
            assert!(!next.is_finished());
            match is_done {
                true => held.done().unwrap(),
                false => drop(held),
            }
            let expected = (!is_done).then_some(0..SLAB);
            assert_eq!(next.join().unwrap(), expected);
        });
        fs::remove_file(draft(&path)).unwrap();
    }
}

#[test]
fn the_rows_of_an_array_in_fortran_order_are_its_columns() {
    let (_dir, path) = place();
    let mut assembly = Options::new()
        .order(Order::F)
        .assemble::<u64, _>(&path, (3, 10), 4)
        .unwrap();
    while let Some(mut slab) = assembly.next_slab().unwrap() {
        let value = slab.rows().start as u64;
        slab.write_all(&arr0(value)).unwrap();
        slab.done().unwrap();
    }
    assembly.finish().unwrap();
    let found = Store::<u64, Ix2>::open(&path).unwrap().read_all().unwrap();
    assert_eq!(found.row(2).to_vec(), [0, 0, 0, 0, 4, 4, 4, 4, 8, 8]);
}

#[test]
fn an_array_that_is_meant_otherwise_is_refused_and_left_alone() {
    let (_dir, path) = place();
    let none = assemble(&path);
    let other_slab = Store::<u64, _>::assemble(&path, (ROWS, 3), SLAB + 1);
    let other_shape = Store::<u64, _>::assemble(&path, (ROWS, 4), SLAB);
    for refused in [other_slab, other_shape] {
        assert!(matches!(
            refused.why(),
            Some(ErrorKind::InvalidOption { .. })
        ));
    }
    let other_type = Store::<f64, _>::assemble(&path, (ROWS, 3), SLAB);
    assert!(matches!(
        other_type.why(),
        Some(ErrorKind::InvalidOption { .. })
    ));
    assert_eq!(none.progress().unwrap().0, 0);
    for refused in [
        Options::new()
            .raw(0)
            .assemble::<u64, _>(&path, (ROWS, 3), 1),
        Options::new().no_lock().assemble(&path, (ROWS, 3), 1),
        Options::new().assemble(&path, (ROWS, 3), 0),
    ] {
        assert!(matches!(
            refused.why(),
            Some(ErrorKind::InvalidOption { .. })
        ));
    }

    Store::<u64, _>::create(&path, (ROWS, 4)).unwrap();
    let refused = Store::<u64, _>::assemble(&path, (ROWS, 3), SLAB);
    assert!(matches!(refused.why(), Some(ErrorKind::AlreadyExists)));
    assert_eq!(Store::<u64, Ix2>::open(&path).unwrap().shape(), [ROWS, 4]);
}

#[test]
fn a_file_that_came_to_be_there_meanwhile_is_not_replaced() {
    let (_dir, path) = place();
    let mut assembly = assemble(&path);
    fill(&mut assembly, 1, Duration::ZERO);
    fs::write(&path, "precious").unwrap();
    let refused = assembly.finish();
    assert!(matches!(refused.why(), Some(ErrorKind::AlreadyExists)));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    // Its marks are gone by now, and it is whole.
    fs::remove_file(&path).unwrap();
    let mut again = assemble(&path);
    assert!(again.next_slab().unwrap().is_none());
    again.finish().unwrap();
    check(&path);
}

#[test]
fn a_file_that_is_cut_moved_or_deleted_meanwhile_is_an_error() {
    let (_dir, path) = place();
    let mut assembly = assemble(&path);
    let slab = assembly.next_slab().unwrap().unwrap();
    let file = File::options().write(true).open(draft(&path)).unwrap();
    let len = file.metadata().unwrap().len();
    file.set_len(len - ROWS.div_ceil(SLAB) as u64).unwrap();
    assert!(matches!(
        slab.done().why(),
        Some(ErrorKind::Truncated { .. })
    ));
    assert!(matches!(
        assembly.next_slab().why(),
        Some(ErrorKind::Truncated { .. })
    ));
    file.set_len(len).unwrap();
    assert!(assembly.next_slab().unwrap().is_some());
    fs::rename(draft(&path), path.with_extension("away")).unwrap();
    assert!(matches!(assembly.next_slab().why(), Some(ErrorKind::Moved)));
    assert!(matches!(assembly.finish().why(), Some(ErrorKind::Moved)));
    assert!(!path.exists());
}

#[test]
fn an_array_that_has_both_names_loses_the_first() {
    let (_dir, path) = place();
    let mut assembly = assemble(&path);
    fill(&mut assembly, 1, Duration::ZERO);
    // As if it was killed in the middle, where no rename replaces nothing.
    let file = File::options().write(true).open(draft(&path)).unwrap();
    file.set_len(4096 + (ROWS * 3 * 8) as u64).unwrap();
    fs::hard_link(draft(&path), &path).unwrap();
    let mut late = assemble(&path);
    assert!(late.next_slab().unwrap().is_none());
    late.finish().unwrap();
    assembly.finish().unwrap();
    check(&path);
}

#[test]
fn who_finishes_removes_what_dead_processes_left() {
    let (dir, path) = place();
    let mut assembly = assemble(&path);
    // The rooms of two that were killed before the draft had its name.
    let rooms = [1, 2].map(|number| dir.path().join(format!(".a.npy.part.ndstore-{number}")));
    for room in &rooms {
        fs::create_dir(room).unwrap();
        set_mode(room, 0o700);
        fs::write(room.join("ndstore-draft"), "half").unwrap();
    }
    fill(&mut assembly, 1, Duration::ZERO);
    assembly.finish().unwrap();
    assert_no_drafts(dir.path());
    check(&path);
}

#[test]
fn marks_that_nobody_made_count_for_nothing() {
    let (_dir, path) = place();
    let mut assembly = assemble(&path);
    let file = File::options().write(true).open(draft(&path)).unwrap();
    let end = 4096 + (ROWS * 3 * 8) as u64;
    file.write_all_at(&[7; 24], end + 24).unwrap();
    assert_eq!(assembly.progress().unwrap().0, 0);
    assert_eq!(assembly.next_slab().unwrap().unwrap().rows(), 0..SLAB);
}

#[test]
#[ignore = "a process that fills an array in other tests, which start it"]
fn filler() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    let mut assembly = assemble(path.as_ref());
    fill(
        &mut assembly,
        std::process::id().into(),
        Duration::from_millis(2),
    );
    assembly.finish().unwrap();
}

fn start_filler(path: &Path) -> Child {
    start("assemble::filler", path)
}

fn start(what: &str, path: &Path) -> Child {
    Command::new(program())
        .args([what, "--exact", "--ignored"])
        .env(PATH, path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_run_that_is_killed_again_and_again_goes_on_where_it_ended() {
    let (_dir, path) = place();
    // Whatever was done before stays done, so this comes to an end.
    let mut done = 0;
    for round in 0.. {
        let mut fillers = [(); 3].map(|()| start_filler(&path));
        thread::sleep(Duration::from_millis(30 + 40 * round));
        for filler in &mut fillers {
            filler.kill().unwrap();
            filler.wait().unwrap();
        }
        let assembly = assemble(&path);
        let (now, slabs) = assembly.progress().unwrap();
        assert!(now >= done, "{now} of {done} slabs are still done");
        done = now;
        if done == slabs {
            assembly.finish().unwrap();
            break;
        }
        assert!(!path.exists());
    }
    check(&path);
}

/// 2 GiB of elements, in slabs of 8 MiB.
const LARGE: (usize, usize) = (1 << 16, 1 << 12);
const LARGE_SLAB: usize = 256;

fn large_rows(first: usize, count: usize) -> Array2<u64> {
    Array2::from_shape_fn((count, LARGE.1), |(row, column)| {
        ((first + row) * LARGE.1 + column) as u64 ^ 0x5555_0000_0000
    })
}

#[test]
#[ignore = "a process that fills an array in another test, which starts it"]
fn large_filler() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    let mut assembly = Store::<u64, _>::assemble(Path::new(&path), LARGE, LARGE_SLAB).unwrap();
    while let Some(mut slab) = assembly.next_slab().unwrap() {
        let rows = slab.rows();
        slab.write_all(&large_rows(rows.start, rows.len())).unwrap();
        slab.done().unwrap();
    }
    assembly.finish().unwrap();
}

/// `cargo test --release --all-features --test integration two_gibibytes -- --ignored --nocapture`
#[test]
#[ignore = "writes 2 GiB"]
fn two_gibibytes_that_eight_fill_and_are_killed_at_random_are_as_expected() {
    let (_dir, path) = place();
    let mut random = Random::new(14);
    let mut fillers: Vec<_> = (0..8)
        .map(|_| start("assemble::large_filler", &path))
        .collect();
    let (mut killed, mut together) = (0, 0);
    loop {
        thread::sleep(Duration::from_millis(20 + random.below(150) as u64));
        if fillers
            .iter_mut()
            .all(|filler| filler.try_wait().unwrap().is_some())
        {
            break;
        }
        // Mostly one of them, and now and then all: then the run itself is resumed.
        let all = random.below(10) == 0;
        together += usize::from(all);
        let chosen = random.below(fillers.len());
        for at in (0..fillers.len()).filter(|&at| all || at == chosen) {
            killed += usize::from(fillers[at].try_wait().unwrap().is_none());
            fillers[at].kill().unwrap();
            fillers[at].wait().unwrap();
            fillers[at] = start("assemble::large_filler", &path);
        }
    }
    println!("{killed} processes were killed, {together} times all at once");
    assert!(killed > 8, "nothing was in the way");
    for mut filler in fillers {
        assert!(filler.wait().unwrap().success());
    }
    assert!(!draft(&path).exists());
    let store = Store::<u64, Ix2>::open(&path).unwrap();
    assert_eq!(store.shape(), [LARGE.0, LARGE.1]);
    for first in (0..LARGE.0).step_by(LARGE_SLAB) {
        let found = store.read(s![first..first + LARGE_SLAB, ..]).unwrap();
        assert!(
            found == large_rows(first, LARGE_SLAB),
            "rows from {first} on"
        );
    }
}
