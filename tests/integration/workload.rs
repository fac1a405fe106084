//! Work on an array, step after step, and the states that may be found after a sudden end.
//!
//! Each step of a [`Job`] follows from its seed. The number of completed steps therefore determines
//! the array that must be there, and the one that may be there because the next step was under way.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{Mode, Options, Order, Result, Store, write_npy};

use super::support::drafts;

/// How many elements an array may have before it is cut.
const MANY: usize = 1_500_000;

/// What a job is about. Each but the first begins with an array that it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file of its own for each array.
    New,
    Create,
    CreateFrom,
    Receive,
    /// New elements for the whole array, through the view, and a flush.
    Fill,
    Append,
    /// An appender for many rows.
    Log,
    Truncate,
    Resize,
    Mixed,
}

impl Kind {
    pub(crate) const ALL: [Kind; 10] = [
        Kind::New,
        Kind::Create,
        Kind::CreateFrom,
        Kind::Receive,
        Kind::Fill,
        Kind::Append,
        Kind::Log,
        Kind::Truncate,
        Kind::Resize,
        Kind::Mixed,
    ];

    /// One of all kinds, each as often as the others.
    pub(crate) fn in_turn(number: u64) -> Kind {
        Kind::ALL[(number % Kind::ALL.len() as u64) as usize]
    }
}

/// One step. Lengths are those of the slowest axis and of the other one.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create(usize, usize),
    CreateFrom(usize, usize),
    Receive(usize, usize),
    Fill,
    Append(usize),
    Log(usize),
    Truncate(usize),
    Resize(usize, usize),
}

/// Numbers that look random and follow from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One that is likely small, and sometimes `large`.
    fn mostly_small(&mut self, small: usize, large: usize) -> usize {
        let end = if self.below(8) == 0 { large } else { small };
        1 + self.below(end)
    }
}

/// The steps to take, without an end.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    kind: Kind,
    seed: u64,
    order: Order,
    compact: bool,
    /// Whether steps are said to be done before they are.
    hasty: bool,
}

impl Job {
    pub(crate) fn new(kind: Kind, seed: u64) -> Job {
        let mut random = Random::new(!seed);
        let (order, compact) = match random.below(3) {
            0 => (Order::C, false),
            // Not Fortran order: where a single column makes both orders one, a compact header says
            // C.
            1 => (Order::C, true),
            _ => (Order::F, false),
        };
        Job {
            kind,
            seed,
            order,
            compact,
            hasty: false,
        }
    }

    /// A job that breaks the promise, which a rig must catch.
    pub(crate) fn hasty(kind: Kind, seed: u64) -> Job {
        Job {
            hasty: true,
            ..Job::new(kind, seed)
        }
    }

    /// What [`Job::from_text`] reads.
    pub(crate) fn to_text(&self) -> String {
        format!("{:?} {} {}", self.kind, self.seed, self.hasty)
    }

    pub(crate) fn from_text(text: &str) -> Option<Job> {
        let mut words = text.split(' ');
        let kind = words.next()?;
        let mut kinds = Kind::ALL.into_iter();
        let kind = kinds.find(|known| format!("{known:?}") == kind)?;
        let job = Job::new(kind, words.next()?.parse().ok()?);
        let hasty = words.next()?.parse().ok()?;
        Some(Job { hasty, ..job })
    }

    fn options(&self) -> Options {
        Options::new().order(self.order).compact(self.compact)
    }

    /// The file of a step.
    fn path(&self, dir: &Path, step: usize) -> PathBuf {
        match self.kind {
            Kind::New => dir.join(format!("{step}.npy")),
            _ => dir.join("a.npy"),
        }
    }

    fn steps(&self) -> Steps {
        Steps {
            kind: self.kind,
            random: Random::new(self.seed),
            taken: 0,
            shape: None,
        }
    }

    /// The shape in the file.
    fn shape(&self, (rows, columns): (usize, usize)) -> (usize, usize) {
        match self.order {
            Order::C => (rows, columns),
            Order::F => (columns, rows),
        }
    }

    /// What is there under a path: the elements, by the slowest axis.
    fn find(&self, path: &Path, mode: Mode) -> Result<Option<Array2<u64>>, String> {
        if !path.exists() {
            return Ok(None);
        }
        let store = self.options().open_any(path, mode);
        let store = store.map_err(|error| format!("{path:?} does not open: {error:?}"))?;
        let [rows, columns] = *store.shape() else {
            return Err(format!("{path:?} has the shape {:?}", store.shape()));
        };
        let elements = bytemuck::pod_collect_to_vec(&store.to_bytes().unwrap());
        let array = Array2::from_shape_vec(self.shape((rows, columns)), elements);
        array
            .map(Some)
            .map_err(|error| format!("{path:?}: {error}"))
    }

    /// Checks what is found. None of the first `done` steps may be lost; each of those that follow,
    /// up to `begun`, may be there, whole.
    pub(crate) fn check(
        &self,
        dir: &Path,
        done: usize,
        begun: usize,
        mode: Mode,
    ) -> Result<(), String> {
        match self.kind {
            Kind::New => self.check_each(dir, done, begun, mode),
            _ => self.check_one(dir, done, begun, mode),
        }
        .map_err(|what| format!("{done} steps were done, {begun} begun: {what}"))
    }

    /// Checks the file of each step.
    fn check_each(&self, dir: &Path, done: usize, begun: usize, mode: Mode) -> Result<(), String> {
        let mut steps = self.steps();
        for step in 1..=begun {
            let new = after(None, step, steps.next());
            match self.find(&self.path(dir, step), mode)? {
                None if step > done => {}
                Some(found) if found == new => {}
                found => return Err(format!("of step {step} {}", describe(&found))),
            }
        }
        Ok(())
    }

    /// Checks the file of all steps.
    fn check_one(&self, dir: &Path, done: usize, begun: usize, mode: Mode) -> Result<(), String> {
        let found = self.find(&self.path(dir, begun), mode)?;
        let (mut steps, mut old) = (self.steps(), None);
        for step in 1..=done {
            old = Some(after(old, step, steps.next()));
        }
        for step in done + 1..=begun {
            let taken = steps.next();
            let new = after(old.clone(), step, taken);
            let is_between = match &found {
                None => old.is_none(),
                Some(found) => {
                    Some(found) == old.as_ref()
                        || *found == new
                        // Elements that are written through a view are there or not, each by
                        // itself.
                        || matches!(taken, Step::Fill)
                            && old.is_some_and(|old| is_mixed(found, &old, &new))
                }
            };
            if is_between {
                return Ok(());
            }
            old = Some(new);
        }
        Err(describe(&found))
    }

    /// Goes on with the file that was under way after `done` steps as its user would, and checks
    /// that it works and that no draft stays. Says how many there were.
    pub(crate) fn go_on(&self, dir: &Path, done: usize) -> Result<usize, String> {
        let path = self.path(dir, done + 1);
        let name = path.file_name().unwrap().to_string_lossy();
        let drafts = || {
            let mut drafts = drafts(dir);
            drafts.retain(|draft| draft.to_string_lossy().contains(&format!(".{name}.")));
            drafts
        };
        let left = drafts().len();
        let told = |error: &dyn Debug| format!("cannot go on with {path:?} of {self:?}: {error:?}");
        let expected = match self.find(&path, Mode::Read)? {
            // A file that is there is appended to and resized, or created over.
            Some(found) if self.seed.is_multiple_of(2) => {
                let mut store = self.options().open_rw::<u64, Ix2>(&path);
                let store = store.as_mut().map_err(|error| told(error))?;
                let row = elements(done + 2, (1, found.ncols()));
                let grown = ndarray::concatenate![Axis(0), found, row];
                let appended = store.append(&turned(row.view(), self.order));
                appended.map_err(|error| told(&error))?;
                let mut expected = Array2::zeros((grown.nrows() + 3, grown.ncols() + 1));
                let kept = s![..grown.nrows(), ..grown.ncols()];
                expected.slice_mut(kept).assign(&grown);
                let resized = store.resize(self.shape(expected.dim()));
                resized.map_err(|error| told(&error))?;
                expected
            }
            _ => {
                let array = elements(done + 2, (3, 5));
                let created = self
                    .options()
                    .create_from(&path, &turned(array.view(), self.order));
                created.map_err(|error| told(&error))?;
                array
            }
        };
        let (found, drafts) = (self.find(&path, Mode::Read)?, drafts());
        if found != Some(expected) {
            return Err(told(&"it holds another array"));
        }
        match &drafts[..] {
            [] => Ok(left),
            drafts => Err(told(&drafts)),
        }
    }
}

/// The steps of a job, one after another.
struct Steps {
    kind: Kind,
    random: Random,
    taken: usize,
    shape: Option<(usize, usize)>,
}

impl Steps {
    fn next(&mut self) -> Step {
        self.taken += 1;
        let Some((rows, columns)) = self.shape.filter(|_| self.kind != Kind::New) else {
            let (rows, columns) = self.new_shape();
            self.shape = Some((rows, columns));
            return match self.taken % 2 {
                0 => Step::Create(rows, columns),
                _ => Step::CreateFrom(rows, columns),
            };
        };
        let (new_rows, new_columns) = self.new_shape();
        let random = &mut self.random;
        let kind = match self.kind {
            Kind::Mixed => Kind::ALL[1 + random.below(8)],
            kind => kind,
        };
        let step = match kind {
            _ if rows * columns > MANY => Step::Truncate(random.below(5)),
            Kind::New | Kind::Mixed => unreachable!("dealt with above"),
            Kind::Create => Step::Create(new_rows, new_columns),
            Kind::CreateFrom => Step::CreateFrom(new_rows, new_columns),
            Kind::Receive => Step::Receive(new_rows, new_columns),
            Kind::Fill => Step::Fill,
            Kind::Append => Step::Append(random.mostly_small(10, 100)),
            // At times more than an appender gathers.
            Kind::Log => Step::Log(random.mostly_small(40, 200_000 / columns)),
            Kind::Truncate if rows < 10 => Step::Append(20 + random.below(40)),
            Kind::Truncate => Step::Truncate(random.below(rows)),
            Kind::Resize => match random.below(3) {
                0 => Step::Resize(rows + random.mostly_small(20, 300), columns),
                1 => Step::Resize(random.below(rows + 1), columns),
                _ => Step::Resize(rows + random.below(3), new_columns),
            },
        };
        self.shape = Some(match step {
            Step::Create(rows, columns)
            | Step::CreateFrom(rows, columns)
            | Step::Receive(rows, columns)
            | Step::Resize(rows, columns) => (rows, columns),
            Step::Fill => (rows, columns),
            Step::Append(added) | Step::Log(added) => (rows + added, columns),
            Step::Truncate(rows) => (rows, columns),
        });
        step
    }

    /// The shape of a new array, never the same twice in a row.
    fn new_shape(&mut self) -> (usize, usize) {
        let columns = 7 * self.random.mostly_small(30, 200) + self.taken % 7;
        // Of a single row, or column, a stream does not tell the order.
        (1 + self.random.mostly_small(60, 700), columns)
    }
}

/// The elements that a step writes: no two steps, and no two places, have the same.
fn elements(step: usize, shape: (usize, usize)) -> Array2<u64> {
    let step = (step as u64) << 40;
    Array2::from_shape_fn(shape, |(row, column)| {
        step | (row as u64) << 20 | column as u64
    })
}

/// The array after a step.
fn after(old: Option<Array2<u64>>, index: usize, step: Step) -> Array2<u64> {
    let old = old.unwrap_or_default();
    match step {
        Step::Create(rows, columns) => Array2::zeros((rows, columns)),
        Step::CreateFrom(rows, columns) | Step::Receive(rows, columns) => {
            elements(index, (rows, columns))
        }
        Step::Fill => elements(index, old.dim()),
        Step::Append(rows) | Step::Log(rows) => {
            let mut array = old;
            let rows = elements(index, (rows, array.ncols()));
            array.append(Axis(0), rows.view()).expect("the rows fit");
            array
        }
        Step::Truncate(rows) => old.slice(s![..rows, ..]).to_owned(),
        Step::Resize(rows, columns) => {
            let mut array = Array2::zeros((rows, columns));
            let kept = s![..rows.min(old.nrows()), ..columns.min(old.ncols())];
            array.slice_mut(kept).assign(&old.slice(kept));
            array
        }
    }
}

fn is_mixed(found: &Array2<u64>, old: &Array2<u64>, new: &Array2<u64>) -> bool {
    let mut both = old.iter().zip(new);
    found.dim() == new.dim()
        && found.iter().all(|found| {
            both.next()
                .is_some_and(|(old, new)| found == old || found == new)
        })
}

/// What was found, by the steps that wrote it.
fn describe(found: &Option<Array2<u64>>) -> String {
    let Some(array) = found else {
        return "no file is there".into();
    };
    let mut steps = BTreeMap::new();
    for element in array {
        *steps.entry(element >> 40).or_insert(0) += 1;
    }
    let shape = array.dim();
    format!("an array of {shape:?} is there, with so many elements of each step: {steps:?}")
}

/// The array with its axes as they are in a file of this order.
pub(crate) fn turned(array: ArrayView2<'_, u64>, order: Order) -> ArrayView2<'_, u64> {
    match order {
        Order::C => array,
        Order::F => array.reversed_axes(),
    }
}

/// A job that is being done.
pub(crate) struct Work {
    job: Job,
    steps: Steps,
    dir: PathBuf,
    store: Option<Store<u64, Ix2>>,
}

impl Work {
    pub(crate) fn new(job: Job, dir: PathBuf) -> Work {
        Work {
            steps: job.steps(),
            job,
            dir,
            store: None,
        }
    }

    /// Takes the next step, and says that so many are done.
    pub(crate) fn go_on(&mut self, mut acknowledge: impl FnMut(usize)) -> Result<(), String> {
        let step = self.steps.next();
        let index = self.steps.taken;
        if self.job.hasty {
            acknowledge(index);
        }
        let taken = self.take(index, step);
        taken.map_err(|error| format!("{step:?}: {error:?}"))?;
        acknowledge(index);
        Ok(())
    }

    fn take(&mut self, index: usize, step: Step) -> Result<()> {
        let (job, path) = (&self.job, self.job.path(&self.dir, index));
        let made = match step {
            Step::Create(rows, columns) => {
                self.store = None;
                job.options().create(&path, job.shape((rows, columns)))?
            }
            Step::CreateFrom(rows, columns) => {
                self.store = None;
                let array = elements(index, (rows, columns));
                job.options()
                    .create_from(&path, &turned(array.view(), job.order))?
            }
            Step::Receive(rows, columns) => {
                self.store = None;
                let array = elements(index, (rows, columns));
                let mut stream = Vec::new();
                write_npy(&mut stream, &turned(array.view(), job.order))?;
                let received = Options::new()
                    .compact(job.compact)
                    .receive(&stream[..], &path)?;
                received.expect("an array came")
            }
            _ => return self.change(index, step),
        };
        self.store = Some(made);
        Ok(())
    }

    /// Takes a step that goes on with the array.
    fn change(&mut self, index: usize, step: Step) -> Result<()> {
        let job = &self.job;
        let store = self.store.as_mut().expect("a job creates first");
        let columns = turned(store.read_all().unwrap().view(), job.order).ncols();
        match step {
            Step::Append(rows) => {
                let rows = elements(index, (rows, columns));
                store.append(&turned(rows.view(), job.order))
            }
            Step::Log(rows) => {
                let rows = elements(index, (rows, columns));
                let mut appender = store.appender()?;
                rows.outer_iter().try_for_each(|row| appender.push(&row))?;
                appender.flush()
            }
            Step::Truncate(rows) => store.truncate(rows),
            Step::Resize(rows, columns) => store.resize(job.shape((rows, columns))),
            _ => {
                let array = elements(
                    index,
                    turned(store.read_all().unwrap().view(), job.order).dim(),
                );
                store.write_all(&turned(array.view(), job.order)).unwrap();
                store.flush()
            }
        }
    }
}
