//! All rows, one after the other: their files, the state of the machine, and one figure after the other.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use ndstore::AnyStore;

use super::contest;
use super::input::{self, Input};
use super::machine::{self, Limit, ReadAhead};
use super::process::{self, Outcome, Task};
use super::rows::{self, Row, State};
use super::table::Table;
use crate::common::{self, Bench};

/// The least limit on memory: what an interpreter takes by itself must fit.
const LEAST_LIMIT: usize = 192 << 20;

/// How far results of floats may differ, relative to themselves: the rounding of sums.
const TOLERANCE: f64 = 1e-5;

pub(crate) fn all(bench: &Bench) -> Table {
    let mut table = Table::new(bench, quarter(bench));
    let path = bench.path("input.npy");
    let mut there: Option<(Input, Vec<usize>)> = None;
    for (index, row) in rows::all(bench.nbytes()).iter().enumerate() {
        let states = row.states.iter().enumerate();
        // A smoke run takes one state of each row, all of them in turn.
        let states = states.filter(|(at, _)| !bench.is_smoke() || index % row.states.len() == *at);
        for (_, state) in states.filter(|(_, state)| bench.wants(&row.title(state))) {
            if there.as_ref().is_none_or(|(input, _)| *input != row.input) {
                let shape = row.input.create(&path, bench.nbytes());
                there = Some((row.input, shape));
            }
            let shape = there
                .as_ref()
                .map_or(Vec::new(), |(_, shape)| shape.clone());
            if row.listed > 0 {
                input::create_list(&path, row.listed, shape[0]);
            }
            measure(bench, row, state, shape, &mut table);
        }
    }
    table
}

/// The memory that there is for a quarter of the array.
fn quarter(bench: &Bench) -> usize {
    (bench.nbytes() / 4).max(LEAST_LIMIT)
}

fn measure(bench: &Bench, row: &Row, state: &State, shape: Vec<usize>, table: &mut Table) {
    let title = row.title(state);
    let limit = state.quarter.then(|| Limit::new(quarter(bench)));
    let read_ahead = state
        .read_ahead
        .map(|kib| ReadAhead::set(bench.directory(), kib));
    // Put back when this returns.
    let (limit, _read_ahead) = match (limit.transpose(), read_ahead.transpose()) {
        (Ok(limit), Ok(read_ahead)) => (limit, read_ahead),
        (Err(reason), _) | (_, Err(reason)) => return table.leave_out(&title, &reason),
    };
    let task = Task {
        job: row.job.to_owned(),
        argument: row.argument.clone(),
        format: row.input.format,
        shape,
        path: bench.path("input.npy"),
        new: bench.path("new.npy"),
    };
    let course = Course {
        task,
        cached: state.cached,
        limit,
    };
    contest::hold(bench, &course, row, state, table);
}

/// Where the sides run.
pub(crate) struct Course {
    task: Task,
    cached: Option<bool>,
    limit: Option<Limit>,
}

/// What a side came to.
#[derive(Debug, PartialEq)]
pub(crate) enum Came {
    To(f64),
    /// To this file, as far as it is compared.
    ToFile(String),
}

impl Came {
    pub(crate) fn agrees(&self, other: &Came) -> bool {
        match (self, other) {
            (Came::To(a), Came::To(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()),
            (a, b) => a == b,
        }
    }
}

impl Course {
    /// One figure, and what the side came to; a new file is looked at if `look`, for it has to be read.
    pub(crate) fn run(
        &self,
        side: &str,
        patience: Option<Duration>,
        look: bool,
    ) -> (Outcome, Option<Came>) {
        match self.cached {
            Some(true) => machine::warm(&self.task.path),
            Some(false) => common::evict(&self.task.path),
            None => {}
        }
        let outcome = process::run(side, &self.task, self.limit.as_ref(), patience);
        let new = &self.task.new;
        let came = match outcome {
            Outcome::Done { digest, .. } if !digest.is_nan() => Some(Came::To(digest)),
            Outcome::Done { .. } if look && new.exists() => Some(Came::ToFile(describe(new))),
            _ => None,
        };
        if new.exists() {
            common::remove(new);
        }
        (outcome, came)
    }
}

/// What is compared of a file that a side has written: its shape, type and order, and its elements.
fn describe(path: &Path) -> String {
    let array = AnyStore::open(path).unwrap();
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::Start(array.offset())).unwrap();
    let mut sum = crc32fast::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => break,
            read => sum.update(&buffer[..read]),
        }
    }
    let (shape, descr, sum) = (array.shape(), array.dtype().descr(), sum.finalize());
    format!("{descr} {shape:?} {:?} {sum:08x}", array.order())
}
