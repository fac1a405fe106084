//! The peak memory of each operation, on arrays of several sizes and shapes: each in a process of its own.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use ndarray::prelude::*;
use ndstore::{Block, Chunk, Error, Order, Store};

use super::input::{self, format, random_rows};
use crate::common::{self, Bench};

/// What the arguments of the process start with that is to do one operation.
const CHILD: &str = "--peak";

/// The arrays: how many times as large as the budget, and how many rows they have of so many elements.
const ARRAYS: [(&str, usize, Rows); 6] = [
    ("1 x", 1, |len| len / 512),
    ("4 x", 4, |len| len / 512),
    ("16 x", 16, |len| len / 512),
    ("16 x, 1 row", 16, |_| 1),
    ("16 x, 3 rows", 16, |_| 3),
    ("16 x, 1 column", 16, |len| len),
];

/// How many rows an array of so many elements has.
type Rows = fn(usize) -> usize;

/// How far the peak may lie above the budget: a process without any array has a few MiB.
const SLACK: u64 = 32 << 20;

/// Does an operation on the array at the path, within the budget. A new file goes to the other path. `None` where arguments
/// and result, which are the caller's, would take more than the budget by themselves.
type Operation = fn(&Path, &Path, usize) -> Option<()>;

fn open(path: &Path) -> Store<f64, Ix2, ndstore::ReadOnly> {
    Store::open(path).unwrap()
}

/// How many rows can be picked so that they and their list are a quarter of the budget.
fn pickable(shape: &[usize], budget: usize) -> Option<usize> {
    let count = budget / 4 / (shape[1] * 8 + size_of::<usize>());
    (count > 0).then_some(count.min(shape[0]))
}

const OPERATIONS: &[(&str, Operation)] = &[
    ("blocks", |path, _, budget| {
        let store = open(path);
        let mut total = 0.0;
        for block in store
            .out_of_core()
            .memory(budget)
            .blocks(Chunk::Bytes(1 << 20))
        {
            total += block.unwrap().view.sum();
        }
        std::hint::black_box(total);
        Some(())
    }),
    ("for_each_block_mut", |path, _, budget| {
        let mut store = Store::<f64, Ix2>::open_rw(path).unwrap();
        let work = store.out_of_core_mut().memory(budget);
        let done = work.for_each_block_mut(Chunk::Bytes(1 << 20), |mut block| {
            block.view.mapv_inplace(|element| element + 1.0);
            Ok::<_, Error>(())
        });
        done.unwrap();
        Some(())
    }),
    ("map", |path, new, budget| {
        open(path)
            .out_of_core()
            .memory(budget)
            .map(new, |element| element + 1.0)
            .unwrap();
        Some(())
    }),
    ("transpose", |path, new, budget| {
        open(path)
            .out_of_core()
            .memory(budget)
            .transpose(new)
            .unwrap();
        Some(())
    }),
    ("to_order", |path, new, budget| {
        open(path)
            .out_of_core()
            .memory(budget)
            .to_order(Order::F, new)
            .unwrap();
        Some(())
    }),
    ("sum and var", |path, _, budget| {
        let store = open(path);
        let work = || store.out_of_core().memory(budget);
        std::hint::black_box((work().sum().unwrap(), work().var(0).unwrap()));
        Some(())
    }),
    ("sum along axis 0", |path, _, budget| {
        sum_axis(path, budget, 0)
    }),
    ("sum along axis 1", |path, _, budget| {
        sum_axis(path, budget, 1)
    }),
    ("describe", |path, _, budget| {
        let store = open(path);
        std::hint::black_box(store.out_of_core().memory(budget).describe().unwrap());
        Some(())
    }),
    ("nanvar along axis 0", |path, _, budget| {
        let store = open(path);
        let work = store.out_of_core().memory(budget);
        (store.shape()[1] * size_of::<f64>() <= budget / 4)
            .then(|| drop(work.nanvar_axis(Axis(0), 1).unwrap()))
    }),
    ("dot with a vector", |path, _, budget| {
        let store = open(path);
        let both = store.shape().iter().sum::<usize>() * size_of::<f64>();
        let work = store.out_of_core().memory(budget);
        let multiply = || drop(work.dot(&Array1::ones(store.shape()[1])).unwrap());
        (both <= budget / 4).then(multiply)
    }),
    ("cov", |path, _, budget| {
        let store = open(path);
        let square = store.shape()[1].pow(2) * size_of::<f64>();
        let work = store.out_of_core().memory(budget);
        (square <= budget / 8).then(|| drop(work.cov(1).unwrap()))
    }),
    ("zip_axis", |path, new, budget| {
        let store = open(path);
        if store.shape()[1] * size_of::<f64>() > budget / 4 {
            return None;
        }
        let values = Array1::<f64>::ones(store.shape()[1]);
        let work = store.out_of_core().memory(budget);
        let zip = work.zip_axis(Axis(0), &values).unwrap();
        zip.map(new, |(element, value)| element * value).unwrap();
        Some(())
    }),
    ("map_blocks", |path, new, budget| {
        let store = open(path);
        let (rows, row) = (store.shape()[0], store.shape()[1] * size_of::<f64>());
        let per_block = (budget / 4 / row).min(1024);
        let work = store.out_of_core().memory(budget);
        let sum = |block: Block<Ix2, ArrayView2<'_, f64>>, mut sums: ArrayViewMut1<'_, f64>| {
            sums.assign(&block.view.sum_axis(Axis(1)));
            Ok::<_, Error>(())
        };
        (per_block > 0).then(|| drop(work.map_blocks(new, rows, per_block, sum).unwrap()))
    }),
    ("batches", |path, _, budget| {
        let store = open(path);
        let count = pickable(store.shape(), budget)?;
        let wanted: Vec<usize> = random_rows(count, store.shape()[0]).collect();
        let mut batches = store.out_of_core().memory(budget).batches(&wanted, 256);
        batches.try_for_each(|batch| batch.map(drop)).unwrap();
        Some(())
    }),
    ("gather", |path, _, budget| {
        let store = open(path);
        let count = pickable(store.shape(), budget)?;
        let wanted: Vec<usize> = random_rows(count, store.shape()[0]).collect();
        store.out_of_core().memory(budget).gather(&wanted).unwrap();
        Some(())
    }),
    ("gather_to, rows at random", |path, new, budget| {
        let store = open(path);
        let count = store.shape()[0].min(budget / 4 / size_of::<usize>());
        let wanted: Vec<usize> = random_rows(count, store.shape()[0]).collect();
        store
            .out_of_core()
            .memory(budget)
            .gather_to(new, &wanted)
            .unwrap();
        Some(())
    }),
    ("scatter", |path, _, budget| {
        let mut store = Store::<f64, Ix2>::open_rw(path).unwrap();
        let count = pickable(store.shape(), budget)?;
        let wanted: Vec<usize> = random_rows(count, store.shape()[0]).collect();
        let values = Array2::ones((count, store.shape()[1]));
        store
            .out_of_core_mut()
            .memory(budget)
            .scatter(&wanted, &values)
            .unwrap();
        Some(())
    }),
];

fn sum_axis(path: &Path, budget: usize, axis: usize) -> Option<()> {
    let store = open(path);
    let work = store.out_of_core().memory(budget);
    let results = store.len() / store.shape()[axis];
    (results * size_of::<f64>() <= budget / 4).then(|| drop(work.sum_axis(Axis(axis)).unwrap()))
}

/// Does what the arguments ask for, if this process was started for one operation.
pub(crate) fn is_child() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [child, operation, path, new, budget] = &arguments[..] else {
        return false;
    };
    if child != CHILD {
        return false;
    }
    let known = OPERATIONS.iter().find(|(name, _)| name == operation);
    let (_, run) = known.expect("the parent knows the operations");
    let budget = budget.parse().expect("the parent gives a number");
    // From what the process has before on.
    fs::write("/proc/self/clear_refs", "5").expect("Linux 4.0 and later reset the peak");
    match run(path.as_ref(), new.as_ref(), budget) {
        Some(()) => println!("{}", peak()),
        None => println!("none"),
    }
    true
}

/// The most memory that this process has had, in bytes: heap and mapped pages.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib = kib.and_then(|kib| kib.parse::<u64>().ok());
    kib.expect("VmHWM is given in kB") << 10
}

/// The peaks of all operations, in bytes, for each array.
pub(crate) struct Peaks {
    budget: usize,
    rows: Vec<(&'static str, Vec<Option<u64>>)>,
}

pub(crate) fn measure(bench: &Bench) -> Peaks {
    let budget = bench.nbytes() / 16;
    let wanted = OPERATIONS
        .iter()
        .filter(|(name, _)| bench.wants(&format!("peak memory, {name}")));
    let mut rows: Vec<_> = wanted.map(|&(name, _)| (name, Vec::new())).collect();
    let (path, new) = (bench.path("peak.npy"), bench.path("peak-new.npy"));
    for (_, times, rows_of) in ARRAYS {
        if rows.is_empty() {
            break;
        }
        let len = budget * times / size_of::<f64>();
        let shape = [rows_of(len), len / rows_of(len)];
        input::create::<f64>(&path, &shape, format("f8", Order::C, false));
        for (name, peaks) in &mut rows {
            peaks.push(peak_of(name, &path, &new, budget));
            if new.exists() {
                common::remove(&new);
            }
        }
    }
    Peaks { budget, rows }
}

fn peak_of(name: &str, path: &Path, new: &Path, budget: usize) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args([CHILD, name])
        .args([path, new])
        .arg(budget.to_string());
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    match text.trim() {
        "none" => None,
        peak => Some(
            peak.parse()
                .unwrap_or_else(|_| panic!("{name} failed: {error}")),
        ),
    }
}

impl fmt::Display for Peaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bar, budget) = (self.budget as u64 + SLACK, self.budget >> 20);
        let sizes: String = ARRAYS
            .iter()
            .map(|(name, ..)| format!(" {name} |"))
            .collect();
        writeln!(
            f,
            "Peak memory (VmHWM) of a process that does one operation with a budget of {budget} MiB, in MiB, on `f64` arrays of so \
             many times the budget; the bar is {} MiB.\n",
            bar >> 20
        )?;
        writeln!(f, "| operation |{sizes} |")?;
        writeln!(f, "|---|{}---|", "---|".repeat(ARRAYS.len()))?;
        for (name, peaks) in &self.rows {
            write!(f, "| {name} |")?;
            for peak in peaks {
                match peak {
                    Some(peak) => write!(f, " {} |", peak >> 20)?,
                    None => write!(f, " - |")?,
                }
            }
            let met = peaks.iter().flatten().all(|peak| *peak <= bar);
            writeln!(f, " {} |", if met { "met" } else { "**missed**" })?;
        }
        Ok(())
    }
}

impl Peaks {
    /// Prints what was found as Markdown.
    pub(crate) fn print(&self) {
        if !self.rows.is_empty() {
            println!("{self}");
        }
    }
}
