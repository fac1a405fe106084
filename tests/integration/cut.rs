//! A file that is cut in the middle of a pass is an error of every operation, without a guard, and
//! no signal.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{
    AnyStore, Be, ByteOrder, Chunk, Error, ErrorKind, Mode, OutOfCore, OutOfCoreMut, Progress,
    Result, Store,
};
use tempfile::TempDir;

use super::support::assert_no_drafts;

const ROWS: usize = 1536;

/// Rows of two pages: 12 MiB in all, which no operation reads at once.
const COLUMNS: usize = 1024;

/// So much is left: a half and some bytes.
const LEFT: u64 = 4096 + (ROWS * COLUMNS * 8 / 2) as u64 + 100;

struct Place(TempDir);

impl Place {
    fn path(&self) -> PathBuf {
        self.0.path().join("array.npy")
    }

    fn new_path(&self) -> PathBuf {
        self.0.path().join("new.npy")
    }

    /// A whole file.
    fn fresh(&self) -> PathBuf {
        let array = Array2::<f64>::from_elem((ROWS, COLUMNS), 1.5);
        drop(Store::create_from(self.path(), &array).unwrap());
        self.path()
    }
}

/// Somebody who knows of no lock.
fn cut(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(LEFT).unwrap();
}

/// Cuts the file when the first part of the work is done.
fn cut_meanwhile(
    path: PathBuf,
) -> impl FnMut(Progress) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + Send {
    move |progress| {
        if progress.done < progress.total {
            cut(&path);
        }
        Ok(())
    }
}

#[track_caller]
fn assert_truncated(refused: Result<()>, name: &str) {
    match refused.expect_err(name).kind() {
        ErrorKind::Truncated {
            expected, found, ..
        } => assert_eq!(
            (*expected, *found),
            (4096 + (ROWS * COLUMNS * 8) as u64, LEFT),
            "{name}"
        ),
        error => panic!("{name}: {error:?}"),
    }
}

type Reads = fn(OutOfCore<'_, f64, Ix2>, &Path) -> Result<()>;

fn reads() -> Vec<(&'static str, Reads)> {
    /// A row of each window of the file, from front to back and over again.
    fn rows() -> Vec<usize> {
        (0..2 * ROWS).map(|row| row * 7 % ROWS).collect()
    }
    vec![
        ("blocks", |work, _| {
            let mut blocks = work.blocks(Chunk::Bytes(1 << 20));
            blocks.try_for_each(|block| block.map(drop))
        }),
        ("tiles", |work, _| {
            let tile = Chunk::shape((ROWS, 16));
            work.for_each_block(tile, |_| Ok::<_, Error>(()))
        }),
        ("for_each_block", |work, _| {
            work.for_each_block(Chunk::Bytes(1 << 20), |_| Ok::<_, Error>(()))
        }),
        #[cfg(feature = "rayon")]
        ("par_for_each_block", |work, _| {
            work.par_for_each_block(Chunk::Bytes(1 << 20), |_| {
                // Not all of them before the first is reported.
                std::thread::sleep(std::time::Duration::from_millis(2));
                Ok::<_, Error>(())
            })
        }),
        ("sum", |work, _| work.sum().map(drop)),
        ("var", |work, _| work.var(1).map(drop)),
        ("argmax", |work, _| work.argmax().map(drop)),
        ("sum_axis(0)", |work, _| work.sum_axis(Axis(0)).map(drop)),
        ("mean_axis(1)", |work, _| work.mean_axis(Axis(1)).map(drop)),
        ("nanvar_axis(0)", |work, _| {
            work.nanvar_axis(Axis(0), 1).map(drop)
        }),
        ("nanargmax", |work, _| work.nanargmax().map(drop)),
        ("describe", |work, _| work.describe().map(drop)),
        ("dot", |work, _| work.dot(&Array1::zeros(COLUMNS)).map(drop)),
        ("zip_axis", |work, new| {
            let zip = work.zip_axis(Axis(0), &Array1::<f64>::ones(COLUMNS))?;
            zip.map(new, |(a, b)| a * b).map(drop)
        }),
        ("map_blocks", |work, new| {
            let made = work.map_blocks(new, ROWS, 64, |block, mut sums: ArrayViewMut1<'_, f64>| {
                sums.assign(&block.view.sum_axis(Axis(1)));
                Ok::<_, Error>(())
            });
            made.map(drop)
        }),
        #[cfg(feature = "rayon")]
        ("par_fold", |work, _| {
            let last = |_, later| Ok::<_, Error>(later);
            work.par_fold(Chunk::Rows(16), || 0, |count, _| Ok(count + 1), last)
                .map(drop)
        }),
        ("batches", |work, _| {
            let rows = rows();
            let mut batches = work.memory(28 << 20).batches(&rows, 100);
            batches.try_for_each(|batch| batch.map(drop))
        }),
        ("gather", |work, _| {
            work.memory(28 << 20).gather(&rows()).map(drop)
        }),
        ("gather_to", |work, new| {
            work.gather_to(new, &rows()).map(drop)
        }),
        ("map", |work, new| work.map(new, |x| x + 1.0).map(drop)),
        ("astype", |work, new| work.astype::<f32>(new).map(drop)),
        ("transpose", |work, new| work.transpose(new).map(drop)),
        ("to_byte_order", |work, new| {
            work.to_byte_order(ByteOrder::Big, new).map(drop)
        }),
        ("copy_region", |work, new| {
            work.copy_region(&[1..ROWS, 1..COLUMNS], new).map(drop)
        }),
        ("concatenate", |work, new| {
            work.concatenate(&[], 0, new).map(drop)
        }),
    ]
}

#[test]
fn a_file_that_is_cut_under_any_reading_operation_is_an_error_and_no_signal() {
    let place = Place(TempDir::new().unwrap());
    for (name, read) in reads() {
        for before in [true, false] {
            let path = place.fresh();
            let store = Store::<f64, Ix2>::open(&path).unwrap();
            let mut work = store.out_of_core().memory(2 << 20);
            match before {
                true => cut(&path),
                false => work = work.progress(cut_meanwhile(path)),
            }
            assert_truncated(read(work, &place.new_path()), name);
            assert!(!place.new_path().exists(), "{name}");
            assert_no_drafts(place.0.path());
        }
    }
}

/// Its pieces are as many rows as there are columns: the few of this file are read at once.
#[test]
fn covariances_of_a_file_that_was_cut_are_an_error_and_no_signal() {
    let place = Place(TempDir::new().unwrap());
    let path = place.fresh();
    let store = Store::<f64, Ix2>::open(&path).unwrap();
    cut(&path);
    let work = store.out_of_core().memory(64 << 20);
    assert_truncated(work.cov(1).map(drop), "cov");
}

#[test]
fn a_file_that_is_cut_while_its_elements_are_converted_is_an_error_and_no_signal() {
    let place = Place(TempDir::new().unwrap());
    for (name, read) in reads() {
        let array = Array2::from_elem((ROWS, COLUMNS), Be::from(1.5));
        drop(Store::create_from(place.path(), &array).unwrap());
        let any = AnyStore::open(place.path()).unwrap();
        let work = any.out_of_core::<f64, Ix2>().unwrap().memory(2 << 20);
        let work = work.progress(cut_meanwhile(place.path()));
        assert_truncated(read(work, &place.new_path()), name);
    }
}

#[test]
fn a_file_that_is_cut_while_its_integers_become_floats_is_an_error_and_no_signal() {
    let place = Place(TempDir::new().unwrap());
    let moves = ["transpose", "to_byte_order", "copy_region", "concatenate"];
    for (name, read) in reads() {
        if moves.contains(&name) {
            continue;
        }
        let array = Array2::<i64>::from_elem((ROWS, COLUMNS), 3);
        drop(Store::create_from(place.path(), &array).unwrap());
        let any = AnyStore::open(place.path()).unwrap();
        let work = any.out_of_core_as::<f64, Ix2>().unwrap().memory(2 << 20);
        let work = work.progress(cut_meanwhile(place.path()));
        assert_truncated(read(work, &place.new_path()), name);
    }
}

#[test]
fn a_file_that_is_cut_while_it_is_moved_as_any_dtype_is_an_error_and_no_signal() {
    let place = Place(TempDir::new().unwrap());
    let any = AnyStore::open_mode(place.fresh(), Mode::Read).unwrap();
    let work = any.out_of_core_any().memory(2 << 20);
    let work = work.progress(cut_meanwhile(place.path()));
    assert_truncated(work.permute(&[1, 0], place.new_path()).map(drop), "permute");
}

type Writes = fn(OutOfCoreMut<'_, f64, Ix2>) -> Result<()>;

#[test]
fn a_file_that_is_cut_under_any_writing_operation_is_an_error_and_stays_cut() {
    let writes: &[(&str, Writes)] = &[
        ("for_each_block_mut", |work| {
            work.for_each_block_mut(Chunk::Bytes(1 << 20), |mut block| {
                block.view.fill(2.0);
                Ok::<_, Error>(())
            })
        }),
        #[cfg(feature = "rayon")]
        ("par_for_each_block_mut", |work| {
            work.par_for_each_block_mut(Chunk::Bytes(1 << 20), |mut block| {
                block.view.fill(2.0);
                Ok::<_, Error>(())
            })
        }),
        ("scatter", |work| {
            let rows: Vec<usize> = (0..ROWS).map(|row| row * 7 % ROWS).collect();
            work.scatter(&rows, &Array2::zeros((ROWS, COLUMNS)))
        }),
    ];
    let place = Place(TempDir::new().unwrap());
    for (name, write) in writes {
        for before in [true, false] {
            let path = place.fresh();
            let mut store = Store::<f64, Ix2>::open_rw(&path).unwrap();
            let mut work = store.out_of_core_mut().memory(2 << 20);
            match before {
                true => cut(&path),
                false => work = work.progress(cut_meanwhile(path.clone())),
            }
            assert_truncated(write(work), name);
            assert_eq!(fs::metadata(&path).unwrap().len(), LEFT, "{name}");
        }
    }
}
