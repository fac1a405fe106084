//! The peak memory of each operation, on arrays of 1, 4 and 16 times its budget: each in a process of its own.

use std::path::Path;
use std::process::Command;

use ndarray::prelude::*;
use ndstore::{Chunk, Store};

use super::{COLUMNS, PIECE, create, memory, random_rows};
use crate::common::Bench;

/// What the arguments of the process start with that is to do one operation.
const CHILD: &str = "--peak";

/// How many times the budget the arrays are.
const TIMES: [usize; 3] = [1, 4, 16];

/// How far the peak may lie above the budget: a process without any array has a few MiB.
const SLACK: u64 = 32 << 20;

/// Does an operation on the array at the path, within the budget. A new file goes to the other path.
type Operation = fn(&Path, &Path, usize);

const OPERATIONS: &[(&str, Operation)] = &[
    ("blocks", |path, _, budget| {
        let store = Store::<f64, Ix2>::open(path).unwrap();
        let mut total = 0.0;
        for block in store
            .out_of_core()
            .memory(budget)
            .blocks(Chunk::Bytes(PIECE * 8))
        {
            total += block.unwrap().view.sum();
        }
        std::hint::black_box(total);
    }),
    ("for_each_block_mut", |path, _, budget| {
        let mut store = Store::<f64, Ix2>::open_rw(path).unwrap();
        let work = store.out_of_core_mut().memory(budget);
        work.for_each_block_mut(Chunk::Bytes(PIECE * 8), |mut block| {
            block.view.mapv_inplace(|element| element + 1.0);
            Ok(())
        })
        .unwrap();
    }),
    ("map", |path, new, budget| {
        let store = Store::<f64, Ix2>::open(path).unwrap();
        let work = store.out_of_core().memory(budget);
        work.map(new, |element| element + 1.0).unwrap();
    }),
    ("transpose", |path, new, budget| {
        let store = Store::<f64, Ix2>::open(path).unwrap();
        let work = store.out_of_core().memory(budget);
        work.transpose(new).unwrap();
    }),
    ("sum and var", |path, _, budget| {
        let store = Store::<f64, Ix2>::open(path).unwrap();
        let work = || store.out_of_core().memory(budget);
        std::hint::black_box((work().sum().unwrap(), work().var(0).unwrap()));
    }),
    ("sum along axis 1", |path, _, budget| {
        let store = Store::<f64, Ix2>::open(path).unwrap();
        let work = store.out_of_core().memory(budget);
        std::hint::black_box(work.sum_axis(Axis(1)).unwrap());
    }),
    ("gather half a budget of rows", |path, _, budget| {
        let store = Store::<f64, Ix2>::open(path).unwrap();
        let wanted = random_rows(budget / 2 / (COLUMNS * 8), store.shape()[0]);
        store.out_of_core().memory(budget).gather(&wanted).unwrap();
    }),
    ("gather_to, all rows at random", |path, new, budget| {
        let store = Store::<f64, Ix2>::open(path).unwrap();
        let rows = store.shape()[0];
        let wanted = random_rows(rows, rows);
        let work = store.out_of_core().memory(budget);
        work.gather_to(new, &wanted).unwrap();
    }),
    ("scatter half a budget of rows", |path, _, budget| {
        let mut store = Store::<f64, Ix2>::open_rw(path).unwrap();
        let count = budget / 2 / (COLUMNS * 8);
        let wanted = random_rows(count, store.shape()[0]);
        let values = Array2::ones((count, COLUMNS));
        let work = store.out_of_core_mut().memory(budget);
        work.scatter(&wanted, &values).unwrap();
    }),
];

/// Does what the arguments ask for, if this process was started for one operation.
pub(super) fn is_child() -> bool {
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
    println!(
        "{}",
        memory::peak(|| run(path.as_ref(), new.as_ref(), budget))
    );
    true
}

/// The peaks of all operations, in bytes, for each size of array.
pub(super) struct Peaks {
    budget: usize,
    rows: Vec<(&'static str, Vec<u64>)>,
}

pub(super) fn measure(bench: &Bench) -> Peaks {
    let largest = TIMES[TIMES.len() - 1];
    let budget = bench.nbytes() / largest;
    let wanted: Vec<_> = OPERATIONS
        .iter()
        .filter(|(name, _)| bench.wants(&format!("peak memory, {name}")))
        .collect();
    let mut rows: Vec<_> = wanted
        .iter()
        .map(|&&(name, _)| (name, Vec::new()))
        .collect();
    let (path, new) = (bench.path("peak.npy"), bench.path("peak-new.npy"));
    for times in TIMES {
        if rows.is_empty() {
            break;
        }
        create(&path, budget * times / (COLUMNS * 8), COLUMNS);
        for (name, peaks) in &mut rows {
            peaks.push(peak(name, &path, &new, budget));
            let _ = std::fs::remove_file(&new);
        }
    }
    Peaks { budget, rows }
}

fn peak(name: &str, path: &Path, new: &Path, budget: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args([CHILD, name])
        .args([path, new])
        .arg(budget.to_string());
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    let peak = text.trim().parse();
    peak.unwrap_or_else(|_| panic!("{name} failed: {error}"))
}

impl Peaks {
    /// Prints what was found as Markdown.
    pub(super) fn print(&self) {
        if self.rows.is_empty() {
            return;
        }
        let bar = self.budget as u64 + SLACK;
        println!(
            "\nPeak memory (VmHWM) of a process that does one operation with a budget of {} MiB; the bar is {} MiB.\n",
            self.budget >> 20,
            bar >> 20
        );
        let sizes: String = TIMES
            .iter()
            .map(|times| format!(" {times} x budget |"))
            .collect();
        println!("| operation |{sizes} met |");
        println!("|---|{}---|", "---|".repeat(TIMES.len()));
        for (name, peaks) in &self.rows {
            let mib: String = peaks
                .iter()
                .map(|peak| format!(" {} MiB |", peak >> 20))
                .collect();
            let met = peaks.iter().all(|&peak| peak <= bar);
            println!("| {name} |{mib} {} |", if met { "yes" } else { "**no**" });
        }
    }
}
