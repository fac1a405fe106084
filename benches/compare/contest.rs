//! One row: who takes part is found out first, then those that matter run in rounds.

use std::time::Duration;

use super::course::Course;
use super::process::Outcome;
use super::rows::{RIVAL_BAR, Row, State};
use super::statistics::{Estimate, Verdict};
use super::table::{Line, Other, Ratio, Table};
use crate::common::Bench;

const OURS: &str = "ndstore";

/// Rivals that take longer than so many times as long as ndstore are stopped: no round would tell more.
const PATIENCE: f64 = 3.0;

/// Runs all that there is to a row. A smoke run only finds out whether all sides come to the same results.
pub(crate) fn hold(bench: &Bench, course: &Course, row: &Row, state: &State, table: &mut Table) {
    let title = row.title(state);
    let (first, expected) = match course.run(OURS, None, true) {
        (Outcome::Done { seconds, .. }, came) => (seconds, came),
        (Outcome::Failed(reason), _) if !bench.is_smoke() => {
            return table.leave_out(&title, &format!("**ndstore failed**: {reason}"));
        }
        (outcome, _) => panic!("{title}: ndstore: {outcome:?}"),
    };
    // Where a bar is for a rival to be far behind, it has to be seen how far.
    let least = row.bar(state).map_or(1.0, |(_, bar)| bar);
    let patience = Duration::from_secs_f64(1.0 + first * PATIENCE.max(1.5 / least));
    let mut tried = Vec::new();
    for name in row.others() {
        let (outcome, came) = course.run(name, Some(patience), is_whole(name));
        if let (Some(came), Some(expected), true) = (came, &expected, is_whole(name)) {
            let agrees = came.agrees(expected);
            assert!(
                agrees,
                "{title}: {name} came to {came:?}, ndstore to {expected:?}"
            );
        }
        match outcome {
            Outcome::Done { seconds, .. } => tried.push(Tried {
                name,
                seconds,
                stopped: false,
            }),
            Outcome::Stopped { after } => tried.push(Tried {
                name,
                seconds: after,
                stopped: true,
            }),
            Outcome::Failed(reason) => table.leave_out(&title, &format!("{name}: {reason}")),
        }
    }
    if bench.is_smoke() {
        return table.count_smoke();
    }
    for kind in [row.rivals, row.limits] {
        try_again(course, kind, &mut tried);
    }

    let comparisons = [
        fastest(&tried, row.rivals).map(|side| (side, Some(RIVAL_BAR))),
        fastest(&tried, row.limits).map(|side| (side, row.limit_bar(state))),
        row.bar(state)
            .and_then(|(name, bar)| Some((fastest(&tried, &[name])?, Some(bar)))),
    ];
    let Some(rounds) = Rounds::run(course, bench.number_of_pairs(), &comparisons) else {
        return table.leave_out(&title, "**ndstore failed** in a round");
    };
    let [rival, limit, own] = comparisons.map(|comparison| {
        let (side, bar) = comparison?;
        Some(rounds.compare(side, bar))
    });
    table.add(Line {
        title,
        seconds: rounds.seconds(0),
        itself: rounds.ratio(1),
        rival,
        limit,
        own,
    });
}

/// Whether a side does all of the job, so that it comes to the same result.
fn is_whole(side: &str) -> bool {
    !matches!(side, "cp, fsync" | "the file in order" | "npy-append-array")
}

/// A side that has run once or twice.
struct Tried {
    name: &'static str,
    /// How long it took, or after how long it was stopped.
    seconds: f64,
    stopped: bool,
}

/// Runs those once more that may be the fastest of their kind: one figure alone may be unlucky.
fn try_again(course: &Course, kind: &[&str], tried: &mut [Tried]) {
    let Some(best) = fastest(tried, kind).map(|side| side.seconds) else {
        return;
    };
    for side in tried {
        if kind.contains(&side.name) && side.seconds < 2.0 * best && !side.stopped {
            side.seconds = side.seconds.min(seconds(course, side.name));
        }
    }
}

fn fastest<'a>(tried: &'a [Tried], kind: &[&str]) -> Option<&'a Tried> {
    let of_kind = tried.iter().filter(|side| kind.contains(&side.name));
    of_kind.min_by(|a, b| a.seconds.total_cmp(&b.seconds))
}

/// How long a side takes: for ever, if it fails, as what is short of memory does now and then.
fn seconds(course: &Course, side: &str) -> f64 {
    match course.run(side, None, false).0 {
        Outcome::Done { seconds, .. } => seconds,
        Outcome::Stopped { .. } | Outcome::Failed(_) => f64::INFINITY,
    }
}

/// The times of several sides, round by round. The first two are both ndstore.
struct Rounds {
    names: Vec<&'static str>,
    times: Vec<Vec<f64>>,
}

impl Rounds {
    /// Runs at least so many rounds, and up to three times as many while a bar is undecided. `None` if ndstore fails.
    fn run(
        course: &Course,
        least: usize,
        comparisons: &[Option<(&Tried, Option<f64>)>],
    ) -> Option<Rounds> {
        let mut rounds = Rounds {
            names: vec![OURS, OURS],
            times: Vec::new(),
        };
        let running = || {
            comparisons
                .iter()
                .flatten()
                .filter(|(side, _)| !side.stopped)
        };
        for (side, _) in running() {
            if !rounds.names.contains(&side.name) {
                rounds.names.push(side.name);
            }
        }
        let is_open = |rounds: &Rounds, side: &Tried, bar: &Option<f64>| {
            bar.is_some_and(|bar| rounds.ratio(rounds.place(side)).verdict(bar) == Verdict::Open)
        };
        while rounds.times.len() < least
            || rounds.times.len() < 3 * least
                && running().any(|(side, bar)| is_open(&rounds, side, bar))
        {
            let mut order: Vec<usize> = (0..rounds.names.len()).collect();
            // So that nobody always runs in what the same other one left behind.
            if rounds.times.len() % 2 == 1 {
                order.reverse();
            }
            let mut times = vec![0.0; order.len()];
            for side in order {
                times[side] = seconds(course, rounds.names[side]);
            }
            if times[0].max(times[1]).is_infinite() {
                return None;
            }
            rounds.times.push(times);
        }
        Some(rounds)
    }

    fn place(&self, side: &Tried) -> usize {
        let place = self.names.iter().position(|name| *name == side.name);
        place.expect("every side that was not stopped runs in the rounds")
    }

    /// The median time of a side.
    fn seconds(&self, side: usize) -> f64 {
        Estimate::of(self.times.iter().map(|times| times[side])).median
    }

    /// Ndstore's time over that of a side.
    fn ratio(&self, side: usize) -> Estimate {
        Estimate::of(self.times.iter().map(|times| times[0] / times[side]))
    }

    fn compare(&self, side: &Tried, bar: Option<f64>) -> Other {
        let (seconds, ratio) = match side.stopped {
            true => (side.seconds, Ratio::Below(self.seconds(0) / side.seconds)),
            false => (
                self.seconds(self.place(side)),
                Ratio::Is(self.ratio(self.place(side))),
            ),
        };
        Other {
            name: side.name,
            seconds,
            ratio,
            bar,
        }
    }
}
