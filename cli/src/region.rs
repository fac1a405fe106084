//! Regions: what NumPy's index syntax picks of an array, and how to go over it piece by piece. Pure arithmetic.

use std::ops::Range;

use ndarray::SliceInfoElem;

/// What is picked along one axis of the array, or an axis that the array has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// One index; the axis goes.
    Index(usize),
    /// `len` indices from `start` on, each `step` behind the one before it. No step is 0.
    Slice {
        start: usize,
        len: usize,
        step: isize,
    },
    /// A new axis of length 1.
    New,
}

/// What is picked of an array: something for each of its axes, in their order, and new axes between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region(Vec<Pick>);

impl Region {
    pub(crate) fn new(picks: Vec<Pick>) -> Region {
        Region(picks)
    }

    /// All of an array.
    pub(crate) fn whole(shape: &[usize]) -> Region {
        let all = |&len| Pick::Slice {
            start: 0,
            len,
            step: 1,
        };
        Region(shape.iter().map(all).collect())
    }

    pub(crate) fn is_whole(&self, shape: &[usize]) -> bool {
        *self == Region::whole(shape)
    }

    /// The shape of what is picked.
    pub(crate) fn shape(&self) -> Vec<usize> {
        let lens = self.0.iter().filter_map(|pick| match *pick {
            Pick::Index(_) => None,
            Pick::Slice { len, .. } => Some(len),
            Pick::New => Some(1),
        });
        lens.collect()
    }

    /// As ndarray says it.
    pub(crate) fn arguments(&self) -> Vec<SliceInfoElem> {
        let arguments = self.0.iter().map(|pick| match *pick {
            Pick::Index(index) => SliceInfoElem::Index(index as isize),
            Pick::New => SliceInfoElem::NewAxis,
            Pick::Slice { len: 0, .. } => slice(0, 0, 1),
            Pick::Slice { start, len, step } => {
                let last = start.strict_add_signed((len - 1) as isize * step);
                // ndarray takes a range and goes over it from its end.
                slice(start.min(last), start.max(last) + 1, step)
            }
        });
        arguments.collect()
    }

    /// The same elements, with each axis in the order of the file.
    pub(crate) fn ascending(&self) -> Region {
        let ascend = |pick: &Pick| match *pick {
            Pick::Slice {
                start,
                len: len @ 1..,
                step: step @ ..0,
            } => Pick::Slice {
                start: start.strict_add_signed((len - 1) as isize * step),
                len,
                step: -step,
            },
            pick => pick,
        };
        Region(self.0.iter().map(ascend).collect())
    }

    /// The indices `range` of an axis of what is picked, and all of the others.
    pub(crate) fn part(&self, axis: usize, range: Range<usize>) -> Region {
        let mut picks = self.0.clone();
        let mut axes = picks
            .iter_mut()
            .filter(|pick| !matches!(pick, Pick::Index(_)));
        if let Some(Pick::Slice { start, len, step }) = axes.nth(axis) {
            if !range.is_empty() {
                *start = start.strict_add_signed(range.start as isize * *step);
            }
            *len = range.len();
        }
        Region(picks)
    }

    /// Every n-th index of an axis of what is picked, and all of the others.
    pub(crate) fn every(&self, axis: usize, n: usize) -> Region {
        let mut picks = self.0.clone();
        let mut axes = picks
            .iter_mut()
            .filter(|pick| !matches!(pick, Pick::Index(_)));
        if let Some(Pick::Slice { len, step, .. }) = axes.nth(axis) {
            *len = len.div_ceil(n);
            *step *= n as isize;
        }
        Region(picks)
    }

    /// Goes over it in C order, in pieces of at most `budget` bytes or one element. Their elements one after the other are those of
    /// the region.
    pub(crate) fn pieces(&self, itemsize: usize, budget: usize) -> Pieces {
        Pieces {
            left: vec![(self.clone(), 0)],
            most: (budget / itemsize.max(1)).max(1),
        }
    }
}

fn slice(start: usize, end: usize, step: isize) -> SliceInfoElem {
    SliceInfoElem::Slice {
        start: start as isize,
        end: Some(end as isize),
        step,
    }
}

/// The pieces of a region. [`Region::pieces`] makes it.
pub(crate) struct Pieces {
    /// Regions that are to be cut, the next one last, and the axis from which on they may be.
    left: Vec<(Region, usize)>,
    /// How many elements a piece has at most.
    most: usize,
}

impl Iterator for Pieces {
    type Item = Region;

    fn next(&mut self) -> Option<Region> {
        loop {
            let (region, axis) = self.left.pop()?;
            let shape = region.shape();
            if shape.contains(&0) {
                continue;
            }
            let row: usize = shape.iter().skip(axis + 1).product();
            let Some(&len) = shape.get(axis) else {
                return Some(region);
            };
            let rows = (self.most / row).max(1);
            if rows < len {
                self.left.push((region.part(axis, rows..len), axis));
                self.left.push((region.part(axis, 0..rows), axis));
            } else if row > self.most {
                self.left.push((region, axis + 1));
            } else {
                return Some(region);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, Axis, IxDyn};

    use super::*;

    fn all() -> ArrayD<u32> {
        let shape = IxDyn(&[4, 1, 5, 3]);
        ArrayD::from_shape_vec(shape, (0..60).collect()).unwrap()
    }

    #[test]
    fn pieces_are_the_region_in_c_order_whatever_their_size() {
        let array = all();
        let region = Region::new(vec![
            Pick::Slice {
                start: 3,
                len: 4,
                step: -1,
            },
            Pick::Index(0),
            Pick::New,
            Pick::Slice {
                start: 4,
                len: 3,
                step: -2,
            },
            Pick::Slice {
                start: 0,
                len: 3,
                step: 1,
            },
        ]);
        let whole = array.slice_each(&region);
        assert_eq!(whole[0], 45 + 12);
        for most in 1..40 {
            let pieces: Vec<_> = region.pieces(4, 4 * most).collect();
            let elements = pieces.iter().map(|piece| array.slice_each(piece));
            let elements: Vec<_> = elements
                .inspect(|piece| assert!(piece.len() <= most))
                .flatten()
                .collect();
            assert_eq!(elements, whole, "{most}");
        }
    }

    #[test]
    fn a_region_that_ascends_has_the_same_elements() {
        let array = all();
        let region = Region::whole(array.shape()).part(2, 1..4);
        let backwards = Region::new(vec![
            Pick::Slice {
                start: 3,
                len: 4,
                step: -1,
            },
            Pick::Slice {
                start: 0,
                len: 1,
                step: 1,
            },
            Pick::Slice {
                start: 3,
                len: 3,
                step: -1,
            },
            Pick::Slice {
                start: 0,
                len: 3,
                step: 1,
            },
        ]);
        assert_eq!(backwards.ascending(), region);
        let mut elements = array.slice_each(&backwards);
        elements.sort_unstable();
        assert_eq!(elements, array.slice_each(&region));
    }

    trait SliceEach {
        fn slice_each(&self, region: &Region) -> Vec<u32>;
    }

    impl SliceEach for ArrayD<u32> {
        /// Index by index, as the picks say it.
        fn slice_each(&self, region: &Region) -> Vec<u32> {
            let mut array = self.clone();
            let mut axis = 0;
            for pick in &region.0 {
                match *pick {
                    Pick::New => array = array.insert_axis(Axis(axis)),
                    Pick::Index(index) => {
                        array = array.index_axis_move(Axis(axis), index);
                        continue;
                    }
                    Pick::Slice { start, len, step } => {
                        let indices = (0..len as isize).map(|n| start.strict_add_signed(n * step));
                        array = array.select(Axis(axis), &indices.collect::<Vec<_>>());
                    }
                }
                axis += 1;
            }
            array.iter().copied().collect()
        }
    }
}
