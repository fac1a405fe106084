//! Fresh processes: one of this program or of Python for each figure.

use std::fmt::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::cell::for_cell;
use super::machine::Limit;
use super::task::{RESULT, Task};
use super::{bare, ours};

/// What the arguments of the process start with that is to do one job.
const CHILD: &str = "--side";

/// How long Python may take to start, beside the time that its job has.
const START: Duration = Duration::from_secs(10);

/// Does what the arguments ask for, if this process was started for one job.
pub(crate) fn is_child() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [child, side, task @ ..] = &arguments[..] else {
        return false;
    };
    if child != CHILD {
        return false;
    }
    let task = Task::from_arguments(task);
    let (side, task) = (side.as_str(), &task);
    match side {
        "ndstore" => {
            use ours::run;
            for_cell!(task.format.dtype, run(task));
        }
        _ => {
            use bare::run;
            for_cell!(task.format.dtype, run(side, task));
        }
    }
    true
}

/// What came of a process.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// How long the job took in seconds, and a number that its result has and hardly another; NaN if that is a file.
    Done { seconds: f64, digest: f64 },
    /// It was stopped after so many seconds.
    Stopped { after: f64 },
    /// It cannot do the job, because of this.
    Failed(String),
}

/// Has a side do the job in a process of its own, for no longer than `patience`.
pub(crate) fn run(
    side: &str,
    task: &Task,
    limit: Option<&Limit>,
    patience: Option<Duration>,
) -> Outcome {
    let (program, first) = match is_python(side) {
        true => (
            "python3".into(),
            concat!(env!("CARGO_MANIFEST_DIR"), "/benches/compare/rivals.py"),
        ),
        false => (std::env::current_exe().unwrap(), CHILD),
    };
    let mut command = match limit {
        Some(limit) => limit.command(&program),
        None => Command::new(program),
    };
    command.args([first, side]).args(task.to_arguments());
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = match command.spawn() {
        Ok(process) => process,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    // It prints less than a pipe holds, so it can end before anybody reads.
    let start = Instant::now();
    let patience = patience.map(|patience| patience + START);
    while process.try_wait().unwrap().is_none() {
        if patience.is_some_and(|patience| start.elapsed() > patience) {
            process.kill().unwrap();
            process.wait().unwrap();
            let after = (start.elapsed() - START).as_secs_f64();
            return Outcome::Stopped { after };
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = process.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text.lines().find_map(|line| line.strip_prefix(RESULT));
    let numbers: Option<Vec<f64>> = result.map(|result| {
        result
            .split_whitespace()
            .map_while(|number| number.parse().ok())
            .collect()
    });
    match numbers.as_deref() {
        Some(&[seconds, digest]) if output.status.success() => Outcome::Done { seconds, digest },
        _ => {
            let mut reason = output.status.to_string();
            let errors = String::from_utf8_lossy(&output.stderr);
            // Python says last what went wrong.
            if let Some(last) = errors.lines().rfind(|line| !line.trim().is_empty()) {
                write!(reason, ": {last}").expect("a string takes text");
            }
            Outcome::Failed(reason)
        }
    }
}

fn is_python(side: &str) -> bool {
    ["NumPy", "Dask", "npy-append-array"]
        .iter()
        .any(|name| side.starts_with(name))
}
