//! The rows of the table: each job, what it works on, who does it as well, and the bars that ndstore is held to.
//!
//! A bar is the most that ndstore's time may be, as a multiple of the other's.

use std::fmt;

use ndstore::Order;

use super::input::{Format, Input, Shape, format};

/// The elements of a MiB of `f64`: new files are filled by so many at a time.
pub(crate) const PIECE: usize = 1 << 17;

/// The elements of a row of 1 KiB, which are appended one by one.
pub(crate) const APPENDED: usize = 128;

/// Against the best rival.
pub(crate) const RIVAL_BAR: f64 = 1.05;

/// What the files and the machine are like when a process starts.
#[derive(Clone, Copy)]
pub(crate) struct State {
    /// Whether what is read is in the page cache; of files that are only written there is nothing to say.
    pub(crate) cached: Option<bool>,
    /// Whether there is memory for a quarter of the array.
    pub(crate) quarter: bool,
    /// How far the disk reads ahead, in KiB.
    pub(crate) read_ahead: Option<u32>,
}

const fn cold(quarter: bool, read_ahead: u32) -> State {
    State {
        cached: Some(false),
        quarter,
        read_ahead: Some(read_ahead),
    }
}

const WARM: State = State {
    cached: Some(true),
    quarter: false,
    read_ahead: None,
};
const READ: &[State] = &[
    WARM,
    cold(false, 128),
    cold(false, 8192),
    cold(true, 128),
    cold(true, 8192),
];
const COLD: &[State] = &[cold(false, 128), cold(false, 8192)];
const QUARTER: &[State] = &[cold(true, 128), cold(true, 8192)];
const WRITTEN: &[State] = &[
    State {
        cached: None,
        quarter: false,
        read_ahead: None,
    },
    State {
        cached: None,
        quarter: true,
        read_ahead: None,
    },
];

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cached = match self.cached {
            Some(true) => "warm",
            Some(false) => "cold",
            None => "new file",
        };
        let memory = if self.quarter { ", 1/4" } else { "" };
        write!(f, "{cached}{memory}")?;
        self.read_ahead
            .map_or(Ok(()), |kib| write!(f, ", {kib} KiB"))
    }
}

/// One line of the table for each of its states.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) job: &'static str,
    pub(crate) argument: String,
    /// What it reads. What it writes anew otherwise has the format and the number of bytes that this would have.
    pub(crate) input: Input,
    pub(crate) states: &'static [State],
    pub(crate) rivals: &'static [&'static str],
    pub(crate) limits: &'static [&'static str],
    /// Against the fastest limit, warm and cold.
    pub(crate) limit_bars: Option<[f64; 2]>,
    /// Against sides that have to be among the rivals or limits, where the file is warm and where it is not.
    pub(crate) bars: [Option<(&'static str, f64)>; 2],
    /// How many random rows of it are listed beside the file.
    pub(crate) listed: usize,
}

impl Row {
    pub(crate) fn title(&self, state: &State) -> String {
        match state.cached {
            Some(_) => format!("{}, {}, {state}", self.name, self.input.format),
            None => format!("{}, {state}", self.name),
        }
    }

    /// All sides but ndstore, each once.
    pub(crate) fn others(&self) -> impl Iterator<Item = &'static str> {
        let limits = self
            .limits
            .iter()
            .filter(|limit| !self.rivals.contains(limit));
        self.rivals.iter().chain(limits).copied()
    }

    pub(crate) fn limit_bar(&self, state: &State) -> Option<f64> {
        self.limit_bars.map(|[warm, cold]| {
            if state.cached == Some(true) {
                warm
            } else {
                cold
            }
        })
    }

    pub(crate) fn bar(&self, state: &State) -> Option<(&'static str, f64)> {
        let [warm, cold] = self.bars;
        if state.cached == Some(true) {
            warm
        } else {
            cold
        }
    }
}

/// What reads a file in order, and goes as fast as the machine does.
const LOOPS: &[&str] = &[
    "pread, 256 KiB a thread",
    "pread, 1 MiB a thread",
    "map, all threads",
];

/// The same, where the caller's thread does the work.
const ONE_THREAD: &[&str] = &["read, 256 KiB", "read, 1 MiB", "plain map"];

/// The same, where a new file is written.
const WRITE_LOOPS: &[&str] = &["pread, 256 KiB a thread", "pread, 1 MiB a thread"];

const PLAIN: &[&str] = &["NumPy", "Dask", "plain map", "read, 1 MiB"];
const NATIVE: Format = format("f4", Order::C, false);
const DOUBLE: Format = format("f8", Order::C, false);
const FORMATS: [Format; 5] = [
    NATIVE,
    format("f4", Order::F, false),
    format("f4", Order::C, true),
    DOUBLE,
    format("i2", Order::C, false),
];

/// All rows, those that read the same file one after the other.
pub(crate) fn all(nbytes: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for format in FORMATS {
        passes(format, &mut rows);
        if format == NATIVE || format == DOUBLE {
            moves(format, &mut rows);
        }
    }
    gathers(nbytes, &mut rows);
    writes(nbytes, &mut rows);
    rows
}

/// A row of a job on a volume, whose rivals are those of all passes.
fn pass(job: &'static str, argument: &str, format: Format) -> Row {
    Row {
        name: job.to_owned(),
        job,
        argument: argument.to_owned(),
        input: Input {
            format,
            shape: Shape::Volume,
        },
        states: READ,
        rivals: PLAIN,
        limits: LOOPS,
        limit_bars: Some([1.3, 1.15]),
        bars: [None, None],
        listed: 0,
    }
}

fn passes(format: Format, rows: &mut Vec<Row>) {
    let faster = [Some(("NumPy", 0.6)), None];
    for job in ["max", "sum"] {
        rows.push(Row {
            bars: faster,
            ..pass(job, "", format)
        });
    }
    for (axis, name) in [("0", "mean_axis(0)"), ("2", "mean_axis(2)")] {
        let name = name.to_owned();
        rows.push(Row {
            name,
            bars: faster,
            ..pass("mean_axis", axis, format)
        });
    }
    let rivals = &["NumPy", "plain map", "read, 1 MiB"];
    rows.push(Row {
        rivals,
        limits: ONE_THREAD,
        ..pass("blocks", "", format)
    });
    rows.push(Row {
        limits: WRITE_LOOPS,
        ..pass("map", "", format)
    });
    let to = if format.dtype == "f4" { "f8" } else { "f4" };
    let name = format!("astype({to})");
    rows.push(Row {
        name,
        limits: WRITE_LOOPS,
        ..pass("astype", to, format)
    });
}

fn moves(format: Format, rows: &mut Vec<Row>) {
    let moved = |job, argument: &str, name: &str, shape, bar| Row {
        name: name.to_owned(),
        input: Input { format, shape },
        states: QUARTER,
        rivals: &["NumPy", "Dask"],
        limits: &["cp, fsync"],
        limit_bars: Some([bar, bar]),
        ..pass(job, argument, format)
    };
    for axes in ["0,2,1", "1,0,2", "1,2,0", "2,0,1", "2,1,0"] {
        let name = format!("permute({axes})");
        rows.push(moved("permute", axes, &name, Shape::Volume, 1.5));
    }
    rows.push(moved("permute", "1,0", "transpose", Shape::Square, 1.2));
    rows.push(moved("to_order", "", "to_order(F)", Shape::Square, 1.2));
    rows.push(moved(
        "permute",
        "1,0",
        "transpose of 512 rows",
        Shape::Thin,
        1.2,
    ));
}

fn gathers(nbytes: usize, rows: &mut Vec<Row>) {
    let gather = |name: &str, calls: usize, rows: usize, shape| Row {
        name: name.to_owned(),
        argument: calls.to_string(),
        input: Input {
            format: NATIVE,
            shape,
        },
        rivals: &["NumPy", "NumPy, sorted"],
        limit_bars: None,
        listed: rows,
        ..pass("gather", "", NATIVE)
    };
    let small = Shape::Rows {
        nbytes: 128,
        fraction: 2,
    };
    let calls = if nbytes < 1 << 26 { 20 } else { 2000 };
    rows.push(Row {
        states: &[WARM],
        limits: &["plain map"],
        bars: [Some(("NumPy", 1.0)), None],
        ..gather("gather 64 of 128 B, 2000 times", calls, 64 * calls, small)
    });
    // One row in 40: hardly a page is without one.
    let dense = small.of(nbytes, NATIVE.itemsize())[0] / 40;
    rows.push(Row {
        states: COLD,
        limits: &["the file in order"],
        limit_bars: Some([1.2, 1.2]),
        ..gather("gather a 40th, 128 B each", 1, dense, small)
    });
    let large = Shape::Rows {
        nbytes: 4096,
        fraction: 1,
    };
    let sparse = (large.of(nbytes, NATIVE.itemsize())[0] / 26).max(1);
    rows.push(Row {
        states: READ,
        limits: &["pread, 16 threads"],
        limit_bars: Some([1.0, 0.8]),
        bars: [None, Some(("NumPy", 0.15))],
        ..gather("gather a 26th, 4 KiB each", 1, sparse, large)
    });
}

fn writes(nbytes: usize, rows: &mut Vec<Row>) {
    let shape = Shape::Rows {
        nbytes: APPENDED * 8,
        fraction: 1,
    };
    let write = |job, number: usize| Row {
        argument: number.to_string(),
        input: Input {
            format: DOUBLE,
            shape,
        },
        states: WRITTEN,
        rivals: &["NumPy", "plain map"],
        limits: &["write, 1 MiB"],
        ..pass(job, "", DOUBLE)
    };
    rows.push(write("fill", nbytes / 8));
    rows.push(Row {
        limit_bars: None,
        ..write("fill in place", nbytes / 8)
    });
    rows.push(Row {
        name: "append rows of 1 KiB".to_owned(),
        states: &WRITTEN[..1],
        rivals: &["BufWriter, fdatasync", "npy-append-array"],
        limits: &[],
        ..write("append", nbytes / 4 / (APPENDED * 8))
    });
}
