//! Where the sides of a contest run: the job, the state of its input, the memory; and what a side came to.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use ndstore::AnyStore;

use super::machine::{self, Limit};
use super::process::{self, Outcome};
use super::task::Task;
use crate::common;

/// How far results of floats may differ, relative to themselves: the rounding of sums.
const TOLERANCE: f64 = 1e-5;

/// Where the sides run.
pub(crate) struct Course {
    pub(crate) task: Task,
    pub(crate) cached: Option<bool>,
    pub(crate) limit: Option<Limit>,
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
