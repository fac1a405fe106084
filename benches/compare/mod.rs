//! One process measures; those that it starts are measured, each doing one job once.

mod bare;
mod cell;
mod contest;
mod course;
mod input;
mod machine;
mod measure;
mod ours;
mod peak;
mod process;
mod rows;
mod statistics;
mod table;
mod task;

use crate::common::Bench;

pub(crate) fn main() {
    if process::is_child() || peak::is_child() {
        return;
    }
    let bench = Bench::with_defaults(2048, 6);
    let table = measure::all(&bench);
    let peaks = peak::measure(&bench);
    peaks.print();
    table.print();
}
