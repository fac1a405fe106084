//! Workloads as scripts of steps, and the arrays that may be found after each step.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use ndstore::Order;

use crate::assembly;
use crate::disk::Abilities;
use crate::log::Attributes;

/// One step. What it returns as done is acknowledged, and must outlive a power cut from then on.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Somebody else's file: the shortest header there is, a mode and an owner that are to be kept.
    Foreign(usize, usize),
    /// Zeros, in place of what was there.
    Create(usize, usize),
    CreateFrom(usize, usize),
    /// From a stream.
    Receive(usize, usize),
    /// New elements through the view, which nothing promises to keep until they are flushed.
    Fill,
    Flush,
    FlushRows(Range<usize>),
    /// Starts writeback and promises nothing.
    FlushAsync,
    Append(usize),
    /// An appender that publishes so many rows, so many times.
    Log {
        rows: usize,
        flushes: usize,
    },
    /// An appender that gets so many rows and never publishes them.
    Abandon(usize),
    /// Rows that are appended beside a reader and a watcher of those that are there.
    AppendBeside(usize),
    /// Some rows that are written, and flushed, beside others that are read and an appender.
    WriteRows(Range<usize>),
    /// To so many rows, or to those that there are.
    Truncate(usize),
    Resize(usize, usize),
    /// To the shape that it has.
    ResizeToItself,
    /// The array of `assembly`: slab by slab, going on with what is there, then named.
    Assemble,
    /// Opens the file for writing, which is closed first if it was open.
    Open,
}

impl Step {
    /// Whether the array is certain to be on the disk, in its shape, when this is done.
    fn promises(&self) -> bool {
        !matches!(
            self,
            Step::Fill | Step::FlushAsync | Step::Abandon(_) | Step::Open
        )
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) order: Order,
    pub(crate) compact: bool,
    pub(crate) abilities: Abilities,
    /// How many bytes a disk writes as one, in several kinds of disk: the finest first.
    pub(crate) units: &'static [usize],
    pub(crate) steps: Vec<Step>,
    /// The number of the first step, by which its elements are told from those of the scripts
    /// before this one.
    pub(crate) first: usize,
}

/// The file that a script is about.
pub(crate) const TARGET: &str = "array.npy";

/// What a foreign file has.
pub(crate) const FOREIGN: Attributes = Attributes {
    mode: 0o640,
    uid: 1234,
    gid: 4321,
};

/// An array as it may be found. Each element is the one in `sure` or in one of `loose`.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    sure: Array2<u64>,
    /// What was written and not flushed since, the newest last.
    loose: Vec<Array2<u64>>,
    /// Whether a program sees what is newest. One that opens the file anew after it was closed
    /// without a flush need not: the disk may have refused the elements since, with nobody there to
    /// be told.
    seen: bool,
    order: Order,
    /// Where it matters.
    pub(crate) attributes: Option<Attributes>,
    /// There while the array has no name yet.
    pub(crate) making: Option<Making>,
}

/// How far an array is that has no name yet. Whoever is alone fills its slabs in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Making {
    /// So many slabs are marked.
    pub(crate) marked: usize,
    /// This one of them was seen, and never acknowledged as done: the disk need not have its mark.
    pub(crate) doubtful: Option<usize>,
}

/// The state that may be found; `None` is no file.
pub(crate) type State = Option<Expected>;

/// The states that a script makes of a state.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// What may be found after each acknowledgement, before the next step begins: the first is what
    /// was there.
    pub(crate) states: Vec<State>,
    /// The first state that is certain to be on the disk once it is acknowledged: all before it may
    /// give way to what was there.
    pub(crate) promised: usize,
    /// What was written to the view, and the state that this made.
    pub(crate) fills: Vec<(usize, Array2<u64>)>,
}

/// The elements that a step writes: no two steps, and no two places, have the same.
pub(crate) fn elements(step: usize, shape: (usize, usize)) -> Array2<u64> {
    let step = (step as u64 + 1) << 48;
    Array2::from_shape_fn(shape, |(i, j)| step | (i as u64) << 24 | j as u64)
}

/// The axis that grows.
pub(crate) fn slowest(order: Order) -> Axis {
    Axis(if order == Order::C { 0 } else { 1 })
}

/// The shape of `rows` rows to go behind an array of this shape.
pub(crate) fn rows_shape(shape: (usize, usize), rows: usize, order: Order) -> (usize, usize) {
    match order {
        Order::C => (rows, shape.1),
        Order::F => (shape.0, rows),
    }
}

impl Expected {
    fn new(array: Array2<u64>, order: Order, attributes: Option<Attributes>) -> Expected {
        Expected {
            sure: array,
            loose: Vec::new(),
            seen: true,
            order,
            attributes,
            making: None,
        }
    }

    /// What the next process finds where the last step was done, and nobody was told: the mark of a slab may be seen, and not
    /// be on the disk.
    pub(crate) fn unacknowledged(&self) -> Expected {
        let making = self.making.map(|making| Making {
            doubtful: Some(making.marked - 1),
            ..making
        });
        Expected {
            making,
            ..self.clone()
        }
    }

    /// What was written last.
    pub(crate) fn newest(&self) -> &Array2<u64> {
        self.loose.last().unwrap_or(&self.sure)
    }

    /// How many other values an element may have.
    pub(crate) fn doubts(&self) -> usize {
        self.loose.len()
    }

    /// What a process finds that opens the file when another one has ended.
    fn inherited(&self) -> Expected {
        Expected {
            seen: self.loose.is_empty(),
            ..self.clone()
        }
    }

    /// After somebody who took the array for one of other rows, but found the same in each, wrote
    /// to its view.
    pub(crate) fn overwritten(&self, elements: &Array2<u64>) -> Expected {
        let mut new = self.clone();
        let axis = slowest(self.order);
        let other = Axis(1 - axis.0);
        if elements.len_of(other) == self.sure.len_of(other) {
            let mut array = self.newest().clone();
            let rows = ndarray::Slice::from(..elements.len_of(axis).min(array.len_of(axis)));
            let written = elements.slice_axis(axis, rows);
            array.slice_axis_mut(axis, rows).assign(&written);
            new.loose.push(array);
        }
        new
    }

    /// Whether this is what was found.
    pub(crate) fn matches(&self, found: ArrayView2<'_, u64>, order: Order) -> bool {
        self.making.is_none()
            && found.shape() == self.sure.shape()
            && order == self.order
            && found.indexed_iter().all(|(place, found)| {
                let mut arrays = self.loose.iter().chain([&self.sure]);
                arrays.any(|array| array[place] == *found)
            })
    }

    fn map(&self, change: impl Fn(&Array2<u64>) -> Array2<u64>) -> Expected {
        Expected {
            sure: change(&self.sure),
            loose: self.loose.iter().map(&change).collect(),
            ..self.clone()
        }
    }

    /// With these rows behind.
    fn with_rows(&self, rows: &Array2<u64>) -> Expected {
        let axis = slowest(self.order);
        self.map(|old| concatenate(axis, &[old.view(), rows.view()]).expect("the rows fit"))
    }
}

impl Script {
    /// What the script makes of what it finds.
    pub(crate) fn chain(&self, found: State) -> Chain {
        let mut chain = Chain {
            states: vec![found.as_ref().map(Expected::inherited)],
            promised: usize::MAX,
            fills: Vec::new(),
        };
        for (index, step) in self.numbered_steps() {
            if step.promises() {
                chain.promised = chain.promised.min(chain.states.len());
            }
            if chain.states.last().is_none_or(Option::is_none) && matches!(step, Step::Open) {
                // There is nothing to go on with.
                break;
            }
            self.run(index, step, &mut chain.states);
            if let (Step::Fill, Some(Some(filled))) = (step, chain.states.last()) {
                let made = chain.states.len() - 1;
                chain.fills.push((made, filled.newest().clone()));
            }
        }
        chain
    }

    /// The steps, and the number by which the elements of each are told from those of all others.
    pub(crate) fn numbered_steps(&self) -> impl Iterator<Item = (usize, &Step)> {
        (self.first..).zip(&self.steps)
    }

    fn run(&self, index: usize, step: &Step, states: &mut Vec<State>) {
        let order = self.order;
        let old = states.last().cloned().flatten();
        let attributes = old.as_ref().and_then(|old| old.attributes);
        let array = || old.as_ref().expect("a script creates first");
        let dim = || array().sure.dim();
        let rows_of = |array: &Array2<u64>, rows: &Range<usize>| {
            let rows = ndarray::Slice::from(rows.clone());
            array.slice_axis(slowest(order), rows).to_owned()
        };
        let len = |array: &Array2<u64>| array.len_of(slowest(order));
        let made = |array| Expected::new(array, order, attributes);
        let new = match *step {
            Step::Foreign(rows, columns) => {
                let array = elements(index, (rows, columns));
                Expected::new(array, order, Some(FOREIGN))
            }
            Step::Create(rows, columns) => made(Array2::zeros((rows, columns))),
            Step::CreateFrom(rows, columns) | Step::Receive(rows, columns) => {
                made(elements(index, (rows, columns)))
            }
            Step::Fill => {
                let mut filled = array().clone();
                filled.loose.push(elements(index, dim()));
                filled.seen = true;
                filled
            }
            Step::Flush if array().seen => made(array().newest().clone()),
            Step::FlushRows(ref rows) if array().seen => {
                let len = len(array().newest());
                let rows = rows.start.min(len)..rows.end.min(len);
                let flushed = rows_of(array().newest(), &rows);
                array().map(|old| {
                    let mut new = old.clone();
                    let rows = ndarray::Slice::from(rows.clone());
                    new.slice_axis_mut(slowest(order), rows).assign(&flushed);
                    new
                })
            }
            Step::Flush | Step::FlushRows(_) | Step::FlushAsync | Step::Abandon(_) => {
                array().clone()
            }
            Step::Open => array().inherited(),
            Step::Append(rows) | Step::AppendBeside(rows) => {
                array().with_rows(&elements(index, rows_shape(dim(), rows, order)))
            }
            Step::Log { rows, flushes } => {
                let all = elements(index, rows_shape(dim(), rows * flushes, order));
                for flush in 1..=flushes {
                    let part = rows_of(&all, &(0..rows * flush));
                    states.push(Some(array().with_rows(&part)));
                }
                return;
            }
            Step::WriteRows(ref rows) => {
                let mut written = array().clone();
                let mut newest = written.newest().clone();
                let slice = ndarray::Slice::from(rows.clone());
                let new = rows_of(&elements(index, dim()), rows);
                newest.slice_axis_mut(slowest(order), slice).assign(&new);
                written.loose.push(newest.clone());
                written.seen = true;
                states.push(Some(written));
                made(newest)
            }
            Step::Assemble => {
                let whole = assembly::array();
                let (marked, doubtful) = match &old {
                    Some(Expected {
                        making: Some(found),
                        ..
                    }) => (found.marked, found.doubtful),
                    Some(_) => (assembly::SLABS, None),
                    None => (0, None),
                };
                for now in marked + 1..=assembly::SLABS {
                    let making = Some(Making {
                        marked: now,
                        doubtful,
                    });
                    let whole = made(whole.clone());
                    states.push(Some(Expected { making, ..whole }));
                }
                made(whole)
            }
            Step::Truncate(rows) => array().map(|old| rows_of(old, &(0..rows.min(len(old))))),
            Step::ResizeToItself => array().clone(),
            Step::Resize(rows, columns) => {
                let resized = array().map(|old| {
                    let mut new = Array2::zeros((rows, columns));
                    let kept = s![..rows.min(old.nrows()), ..columns.min(old.ncols())];
                    new.slice_mut(kept).assign(&old.slice(kept));
                    new
                });
                // A new file, with what the program sees, durable before it has the name.
                match resized.seen {
                    true => made(resized.newest().clone()),
                    false => resized,
                }
            }
        };
        states.push(Some(new));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_loose_from_fill_to_flush() {
        let script = Script {
            name: String::new(),
            order: Order::C,
            compact: false,
            abilities: Abilities {
                fallocate: true,
                noreplace: true,
            },
            units: &[],
            first: 0,
            steps: vec![
                Step::CreateFrom(2, 2),
                Step::Fill,
                Step::FlushRows(0..1),
                Step::Flush,
            ],
        };
        let states = script.chain(None).states;
        let matches = |state: usize, found: &Array2<u64>| {
            let expected: &Expected = states[state].as_ref().unwrap();
            expected.matches(found.view(), Order::C)
        };
        let (old, new) = (elements(0, (2, 2)), elements(1, (2, 2)));
        let mixed = concatenate![Axis(0), new.slice(s![..1, ..]), old.slice(s![1.., ..])];
        let accepted = |found| [1, 2, 3, 4].map(|state| matches(state, found));
        assert_eq!(accepted(&old), [true, true, false, false]);
        assert_eq!(accepted(&mixed), [false, true, true, false]);
        assert_eq!(accepted(&new), [false, true, true, true]);
    }
}
