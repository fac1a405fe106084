//! A job, as one process asks another for it, and the line that answers.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ndstore::Order;

use super::cell::Digest;
use super::input::Format;

/// What a line starts with that says how long the job took and what came of it.
pub(crate) const RESULT: &str = "took";

/// A job with all that a process has to know of it.
pub(crate) struct Task {
    pub(crate) job: String,
    pub(crate) argument: String,
    pub(crate) format: Format,
    pub(crate) shape: Vec<usize>,
    /// What is read.
    pub(crate) path: PathBuf,
    /// Where a new file goes.
    pub(crate) new: PathBuf,
}

impl Task {
    pub(crate) fn to_arguments(&self) -> [String; 6] {
        let Format {
            dtype,
            order,
            swapped,
        } = self.format;
        let order = if order == Order::F { "F" } else { "C" };
        let shape: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let path = |path: &Path| {
            path.to_str()
                .expect("the directory has a name in UTF-8")
                .to_owned()
        };
        [
            self.job.clone(),
            self.argument.clone(),
            format!("{dtype} {order} {swapped}"),
            shape.join(","),
            path(&self.path),
            path(&self.new),
        ]
    }

    pub(crate) fn from_arguments(arguments: &[String]) -> Task {
        let [job, argument, format, shape, path, new] = arguments else {
            panic!("the parent gives six arguments");
        };
        let dtypes = ["f4", "f8", "i2"].into_iter();
        let mut dtypes = dtypes.filter(|dtype| format.starts_with(dtype));
        Task {
            job: job.clone(),
            argument: argument.clone(),
            format: Format {
                dtype: dtypes.next().expect("the parent gives a type"),
                order: if format.contains('F') {
                    Order::F
                } else {
                    Order::C
                },
                swapped: format.ends_with("true"),
            },
            shape: numbers(shape).collect(),
            path: path.into(),
            new: new.into(),
        }
    }

    /// The argument, where it is a number.
    pub(crate) fn number(&self) -> usize {
        self.argument.parse().expect("the job takes a number")
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = usize> {
        numbers(&self.argument)
    }
}

fn numbers(text: &str) -> impl Iterator<Item = usize> {
    text.split(',')
        .map(|number| number.parse().expect("the parent gives numbers"))
}

/// Runs the one job of this process, and says how long it took and what came of it. What the result holds is freed later.
pub(crate) fn timed<T: Digest>(job: impl FnOnce() -> T) {
    let start = Instant::now();
    let result = black_box(job());
    let taken = start.elapsed().as_secs_f64();
    println!("{RESULT} {taken} {}", result.digest());
}
