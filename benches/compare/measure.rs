//! All rows, one after the other: their files, the state of the machine, and one figure after the other.

use super::contest;
use super::course::Course;
use super::input::{self, Input};
use super::machine::{Limit, ReadAhead};
use super::rows::{self, Row, State};
use super::table::Table;
use super::task::Task;
use crate::common::Bench;

/// The least limit on memory: what an interpreter takes by itself must fit.
const LEAST_LIMIT: usize = 192 << 20;

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
