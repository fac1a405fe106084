//! The one table that `compare` prints: every side against ours, the bar that was set for it, and whether it was met.

use std::path::PathBuf;
use std::time::Duration;

use super::memory::Limit;
use crate::common::{Bench, Compared, Side, evict};

/// What the files and the memory are like when a job starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// In the page cache.
    Warm,
    /// Not in the page cache.
    Cold,
    /// Not in the page cache, and there is memory for a quarter of the array.
    ColdQuarter,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Warm => "warm",
            State::Cold => "cold",
            State::ColdQuarter => "cold, 1/4 memory",
        }
    }
}

/// The sides of one comparison. The first is ours.
pub(crate) struct Sides<'a> {
    sides: Vec<Side<'a>>,
    /// The most that ours may take, as a multiple of what the side does.
    bars: Vec<Option<f64>>,
    missing: Vec<String>,
}

impl<'a> Sides<'a> {
    pub(crate) fn new(ours: Side<'a>) -> Sides<'a> {
        Sides {
            sides: vec![ours],
            bars: vec![None],
            missing: Vec::new(),
        }
    }

    /// A rival. Ours is to be at least `bar` times as fast, if there is a bar: 1.5 is half as fast again, 0.8 a fifth slower.
    pub(crate) fn add(&mut self, bar: Option<f64>, side: Side<'a>) {
        self.sides.push(side);
        self.bars.push(bar.map(|factor| 1.0 / factor));
    }

    /// A rival that may be missing.
    pub(crate) fn maybe(
        &mut self,
        bar: Option<f64>,
        name: &'static str,
        start: impl FnOnce(&'static str) -> Result<Side<'a>, String>,
    ) {
        match start(name) {
            Ok(side) => self.add(bar, side),
            Err(reason) => self.missing.push(format!("{name}: {reason}")),
        }
    }
}

/// One line of the table.
struct Row {
    job: String,
    state: State,
    bar: Option<f64>,
    compared: Compared,
}

/// All comparisons of a run.
pub(crate) struct Table {
    pub(crate) bench: Bench,
    rows: Vec<Row>,
    /// What was left out, and why.
    missing: Vec<String>,
}

/// The least limit: what a process takes by itself must fit.
const LEAST_LIMIT: usize = 64 << 20;

impl Table {
    pub(crate) fn new(bench: Bench) -> Table {
        Table {
            bench,
            rows: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The memory that there is for a quarter of the array.
    pub(crate) fn quarter(&self) -> usize {
        (self.bench.nbytes() / 4).max(LEAST_LIMIT)
    }

    /// Whether the arguments ask for this job in any state.
    pub(crate) fn wants(&self, job: &str, states: &[State]) -> bool {
        let wanted = |state: &State| self.bench.wants(&title(job, *state));
        states.iter().any(wanted)
    }

    /// Measures one job. `files` are what it reads; `sides` are made under the limit, if there is one.
    pub(crate) fn run<'a>(
        &mut self,
        job: &str,
        state: State,
        files: &'a [PathBuf],
        sides: impl FnOnce() -> Sides<'a>,
    ) {
        let title = title(job, state);
        if !self.bench.wants(&title) {
            return;
        }
        let limit = match state {
            State::ColdQuarter => match Limit::enter(self.quarter()) {
                Ok(limit) => Some(limit),
                Err(reason) => return self.missing.push(format!("{title}: {reason}")),
            },
            State::Warm | State::Cold => None,
        };
        let Sides {
            sides,
            bars,
            missing,
        } = sides();
        let prepared = |side: Side<'a>| match state {
            State::Warm => side,
            State::Cold | State::ColdQuarter => {
                side.after(|| files.iter().for_each(|file| evict(file)))
            }
        };
        let mut sides: Vec<Side<'a>> = sides.into_iter().map(prepared).collect();
        let mut bars = bars.into_iter().skip(1);
        self.bench.compare(1, &mut sides, |compared| {
            eprintln!("{title}: {compared}");
            self.rows.push(Row {
                job: job.to_owned(),
                state,
                bar: bars.next().expect("each rival has a bar or none"),
                compared,
            });
        });
        let missing = missing
            .into_iter()
            .map(|reason| format!("{title}, {reason}"));
        self.missing.extend(missing);
        // The processes of the sides end before the group that they are in.
        drop(sides);
        drop(limit);
    }

    /// Prints what was found as Markdown.
    pub(crate) fn print(&self) {
        if self.bench.is_smoke() {
            println!("A smoke run: its figures mean nothing.\n");
        }
        if !self.rows.is_empty() {
            self.print_rows();
        }
        if !self.missing.is_empty() {
            println!("\nLeft out:\n");
        }
        for missing in &self.missing {
            println!("- {missing}");
        }
    }

    fn print_rows(&self) {
        let bench = &self.bench;
        println!(
            "Arrays of {} MiB; 1/4 memory: {} MiB; medians of {} pairs. A ratio is ndstore's time over the other's: below 1, ndstore is faster.\n",
            bench.nbytes() >> 20,
            self.quarter() >> 20,
            bench.number_of_pairs(),
        );
        println!(
            "| job | state | ndstore | the other side | its time | ratio (range) | same against same | bar | met |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        for Row {
            job,
            state,
            bar,
            compared,
        } in &self.rows
        {
            let ratio = compared.ratio();
            let (more, less) = match compared.cut_short {
                true => ("> ", "< "),
                false => ("", ""),
            };
            let (bar, met) = match bar {
                Some(bar) if bench.is_smoke() => (format!("<= {bar:.3}"), ""),
                Some(bar) if ratio <= *bar => (format!("<= {bar:.3}"), "yes"),
                Some(bar) => (format!("<= {bar:.3}"), "**no**"),
                None => ("".to_owned(), ""),
            };
            println!(
                "| {job} | {} | {} | {} | {more}{} | {less}{ratio:.3} ({}) | {} | {bar} | {met} |",
                state.name(),
                time(compared.subject_time),
                compared.rival,
                time(compared.rival_time),
                compared.range(),
                compared.same(),
            );
        }
    }
}

fn title(job: &str, state: State) -> String {
    format!("{job}, {}", state.name())
}

fn time(duration: Duration) -> String {
    format!("{duration:.2?}")
}
