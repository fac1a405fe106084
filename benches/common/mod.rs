//! Shared by the benchmarks: sizes, files, and the measurement of one side against another.
//!
//! On a machine that does other things as well, two figures taken one after the other prove
//! nothing. So sides are compared in pairs: A B, B A, A B, ... in one run, the ratio of their times
//! taken within each pair, and the median of those given. The scatter of such ratios is measured
//! first, with the same side on both ends:
//!
//! ```text
//! open 4 KiB: ratio ndstore / memmap2: 1.12 (11 pairs 1.08..1.17; same against same 0.97..1.04) [9.31µs / 8.30µs]
//! ```
//!
//! A ratio is one of times: below 1, the left side is faster. In brackets, the median time of each
//! side.
//!
//! | environment | default | |
//! |---|---|---|
//! | `NDSTORE_BENCH_DIR` | `target/bench-data` | where the files lie; it must be on a disk |
//! | `NDSTORE_BENCH_MIB` | 1024 (`compare`: 2048) | the size of the arrays |
//! | `NDSTORE_BENCH_PAIRS` | 11 (`compare`: 6) | how many pairs |
//!
//! The arguments are criterion's, with the filter in front: `cargo bench --bench scan -- cold`.
//! With `--test` everything runs once over 1 MiB. NumPy takes part where `python3` has it.
#![allow(dead_code, reason = "each benchmark uses its part of this")]

mod numpy;

use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::Criterion;
use memmap2::{Mmap, MmapMut};
use ndarray::{Array1, ArrayView1, Axis, Dimension};
use ndstore::{Element, Mappable, Mapped, ReadOnly, Store};
use tempfile::TempDir;

/// The length of the header that ndstore writes, after which the elements start.
pub(crate) const HEADER: usize = 4096;

/// The smallest page that any machine has.
#[cfg(target_os = "linux")]
const PAGE: usize = 4096;

/// One way to do a job: it does a number of them in a row and returns the time that they took.
pub(crate) struct Side<'a> {
    name: &'static str,
    run: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Side<'a> {
    /// A job that is timed as a whole, including the drop of its result.
    pub(crate) fn new<T>(name: &'static str, mut job: impl FnMut() -> T + 'a) -> Side<'a> {
        let run = move |times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(job());
            }
            start.elapsed()
        };
        Side {
            name,
            run: Box::new(run),
        }
    }

    /// A job that times itself, so that its preparation and cleanup do not count.
    pub(crate) fn timed(name: &'static str, mut job: impl FnMut() -> Duration + 'a) -> Side<'a> {
        Side {
            name,
            run: Box::new(move |times| (0..times).map(|_| job()).sum()),
        }
    }

    /// The same job, with `prepare` before each run that does not count.
    pub(crate) fn after(self, mut prepare: impl FnMut() + 'a) -> Side<'a> {
        let Side { mut run, .. } = self;
        let run = move |times| {
            let one = |_| {
                prepare();
                run(1)
            };
            (0..times).map(one).sum()
        };
        Side {
            run: Box::new(run),
            ..self
        }
    }
}

/// One run of a benchmark.
pub(crate) struct Bench {
    criterion: Criterion,
    directory: TempDir,
    filter: Option<String>,
    nbytes: usize,
    /// 0 where the benchmarks are only listed.
    pairs: usize,
    smoke: bool,
}

impl Bench {
    /// Reads the arguments and the environment, and makes a directory for the files of this run.
    pub(crate) fn new() -> Bench {
        Bench::with_defaults(1024, 11)
    }

    /// As [`new`](Bench::new), with other defaults for the size in MiB and the number of pairs.
    pub(crate) fn with_defaults(mib: usize, pairs: usize) -> Bench {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        // As criterion does: only `cargo bench` passes `--bench`, `cargo test` does not.
        let smoke = has("--test") || !has("--bench");
        let (mib, pairs) = match (has("--list"), smoke) {
            (true, _) => (1, 0),
            (false, true) => (1, 1),
            (false, false) => (
                number("NDSTORE_BENCH_MIB", mib),
                number("NDSTORE_BENCH_PAIRS", pairs),
            ),
        };
        let directory = std::env::var_os("NDSTORE_BENCH_DIR").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-data"),
            PathBuf::from,
        );
        fs::create_dir_all(&directory).unwrap();
        Bench {
            // Short, for its figures only stand beside the pairs.
            criterion: Criterion::default()
                .sample_size(10)
                .warm_up_time(Duration::from_millis(300))
                .measurement_time(Duration::from_secs(1))
                .configure_from_args(),
            directory: TempDir::with_prefix_in("run-", directory).unwrap(),
            filter: arguments
                .into_iter()
                .next()
                .filter(|first| !first.starts_with('-')),
            nbytes: mib << 20,
            pairs,
            smoke,
        }
    }

    /// The path of a file of this run. It goes when the run ends.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where the files of this run are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The bytes of the large arrays.
    pub(crate) fn nbytes(&self) -> usize {
        self.nbytes
    }

    /// How many pairs are measured.
    pub(crate) fn number_of_pairs(&self) -> usize {
        self.pairs
    }

    /// Whether everything runs just to see that it does, so that the figures mean nothing.
    pub(crate) fn is_smoke(&self) -> bool {
        self.smoke
    }

    /// The array that the benchmarks write, and read back.
    pub(crate) fn array(&self) -> Array1<f64> {
        (0..self.nbytes / size_of::<f64>())
            .map(|index| index as f64)
            .collect()
    }

    /// Whether the arguments ask for this question: all words of the filter are in it.
    pub(crate) fn wants(&self, question: &str) -> bool {
        self.pairs > 0
            && self.filter.as_ref().is_none_or(|filter| {
                filter
                    .split_whitespace()
                    .all(|word| question.contains(word))
            })
    }

    /// Measures the first side against each of the others, `times` jobs to a sample, and prints a
    /// line for each.
    pub(crate) fn pairs(&self, question: &str, times: u64, sides: &mut [Side<'_>]) {
        if !self.wants(question) {
            return;
        }
        // First samples do not count, because they find caches cold and memory untouched.
        for side in &mut *sides {
            (side.run)(times);
        }
        let (subject, rivals) = sides.split_first_mut().expect("there are sides to compare");
        let same: Vec<f64> = (0..self.pairs)
            .map(|_| ratio((subject.run)(times), (subject.run)(times)))
            .collect();
        for rival in rivals {
            let mut samples = Vec::with_capacity(self.pairs);
            for pair in 0..self.pairs {
                // The order swaps, so that neither side always runs in what the other left behind.
                samples.push(if pair.is_multiple_of(2) {
                    let first = (subject.run)(times);
                    (first, (rival.run)(times))
                } else {
                    let first = (rival.run)(times);
                    ((subject.run)(times), first)
                });
            }
            let seconds = |duration: Duration| duration.as_secs_f64() / times as f64;
            let time = |seconds| Duration::from_secs_f64(median(seconds));
            let subject_time = time(samples.iter().map(|pair| seconds(pair.0)).collect());
            let rival_time = time(samples.iter().map(|pair| seconds(pair.1)).collect());
            let ratios: Vec<f64> = samples.iter().map(|&(a, b)| ratio(a, b)).collect();
            println!(
                "{question}: ratio {} / {}: {:.3} ({} pairs {}; same against same {}) [{subject_time:.2?} / {rival_time:.2?}]",
                subject.name,
                rival.name,
                median(ratios.clone()),
                ratios.len(),
                range(&ratios),
                range(&same),
            );
        }
    }

    /// Has criterion measure each side by itself.
    pub(crate) fn criterion(&mut self, question: &str, sides: &mut [Side<'_>]) {
        let mut group = self.criterion.benchmark_group(question);
        for side in sides {
            group.bench_function(side.name, |bencher| bencher.iter_custom(&mut side.run));
        }
        group.finish();
    }
}

/// The value of an environment variable, which is a number above 0.
fn number(variable: &str, default: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => match text.parse() {
            Ok(number) if number > 0 => number,
            _ => panic!("{variable} is to be a number above 0, not {text:?}"),
        },
        Err(_) => default,
    }
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        values[middle - 1].midpoint(values[middle])
    } else {
        values[middle]
    }
}

fn range(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{least:.2}..{most:.2}")
}

/// The one loop over the elements that all sides run: ndarray's own, not inlined, so that it is the
/// same code for all.
#[inline(never)]
pub(crate) fn sum(elements: ArrayView1<'_, f64>) -> f64 {
    elements.sum()
}

/// As [`sum`], by two threads.
pub(crate) fn sum_in_two(elements: ArrayView1<'_, f64>) -> f64 {
    let (one, two) = elements.split_at(Axis(0), elements.len() / 2);
    std::thread::scope(|scope| {
        let one = scope.spawn(move || sum(one));
        sum(two) + one.join().unwrap()
    })
}

/// A bare `memmap2` map of a whole file.
#[allow(unsafe_code)]
pub(crate) fn map(file: &File) -> Mmap {
    // SAFETY: the files of a run are its own, and none is written or cut while it is mapped for
    // reading.
    unsafe { Mmap::map(file) }.unwrap()
}

/// As [`map`], for writing.
#[allow(unsafe_code)]
pub(crate) fn map_mut(file: &File) -> MmapMut {
    // SAFETY: as in `map`; whoever writes has made the file for itself.
    unsafe { MmapMut::map_mut(file) }.unwrap()
}

/// Maps a store.
#[allow(unsafe_code)]
pub(crate) fn map_store<A: Element, D: Dimension, M: Mappable>(
    store: Store<A, D, M>,
) -> Mapped<A, D, M> {
    // SAFETY: the files of a run are its own, and nobody else writes to one or cuts it while it is
    // mapped.
    unsafe { store.map() }.unwrap()
}

/// Opens an array and maps it.
pub(crate) fn mapped<D: Dimension>(path: &Path) -> Mapped<f64, D, ReadOnly> {
    map_store(Store::open(path).unwrap())
}

/// Makes the next read of the file come from the disk. It must not be mapped.
#[cfg(target_os = "linux")]
pub(crate) fn evict(path: &Path) {
    let file = File::open(path).unwrap();
    // Only clean pages are dropped.
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let left = cached(path);
    assert!(
        left < 0.001,
        "the page cache keeps {left} of {}: set NDSTORE_BENCH_DIR to a directory on a disk",
        path.display()
    );
}

/// The part of a file that is in the page cache: 1 is all of it.
#[cfg(target_os = "linux")]
pub(crate) fn cached(path: &Path) -> f64 {
    let pages = resident(&map(&File::open(path).unwrap()));
    pages.iter().filter(|&&page| page & 1 == 1).count() as f64 / pages.len() as f64
}

/// Which pages of a map are in the page cache: the lowest bit of each byte. Unlike a probing read,
/// this brings none in.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn resident(map: &Mmap) -> Vec<u8> {
    let mut pages = vec![0; map.len().div_ceil(PAGE)];
    // SAFETY: the range is that of `map`, and `pages` has at least a byte for each page of it: none
    // is smaller than `PAGE`.
    let result = unsafe {
        libc::mincore(
            map.as_ptr().cast_mut().cast(),
            map.len(),
            pages.as_mut_ptr(),
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    pages
}

/// Removes a file and lets the disk finish with it, so that the next sample does not pay.
pub(crate) fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
    let directory = path.parent().expect("a file of the run has a directory");
    File::open(directory).unwrap().sync_all().unwrap();
}
