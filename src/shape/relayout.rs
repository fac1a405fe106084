//! How the bytes of an array move when its shape changes and every element keeps its index.
//!
//! [`Relayout`] lists the new array from its first byte to its last as segments: bytes copied from
//! the old array, and bytes that are new. It is pure arithmetic; others do the copying.

use super::wide;

/// A stretch of the new array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// `len` bytes from offset `from` in the old array.
    Copy {
        /// The offset in the old array's data.
        from: u64,
        /// The length in bytes.
        len: u64,
    },
    /// `len` bytes of new elements.
    Fill {
        /// The length in bytes.
        len: u64,
    },
}

/// The segments of a new shape, in file order.
///
/// Let k be the last axis (slowest axis first) whose length changes. Behind k both shapes agree, so
/// the unit that moves is a run along axis k: the part of it that both shapes have is copied, and
/// the rest is new. The axes before k count the runs. As soon as one of them passes its old length,
/// everything below it is new, and one segment covers it: the number of segments depends on the
/// runs that are copied, never on the size of what is added.
pub(crate) struct Relayout {
    /// Lengths of the axes before k.
    old_outer: Vec<u64>,
    new_outer: Vec<u64>,
    /// Index of the next run; `None` behind the last one.
    next: Option<Vec<u64>>,
    /// Bytes of one run along axis k.
    old_run: u64,
    new_run: u64,
    /// The rest of the run whose copied part was just returned.
    tail: u64,
}

impl Relayout {
    /// Both shapes have the slowest axis first, the same rank, and byte counts that fit an `isize`.
    pub(crate) fn new(old: &[usize], new: &[usize], itemsize: usize) -> Relayout {
        debug_assert_eq!(old.len(), new.len());
        let changed = old
            .iter()
            .zip(new)
            .rposition(|(old, new)| old != new)
            .unwrap_or(0);
        let run = |shape: &[usize]| {
            wide(&shape[changed.min(shape.len())..])
                .iter()
                .product::<u64>()
                * itemsize as u64
        };
        let empty = new.contains(&0) || itemsize == 0;
        let (old_outer, new_outer, old_run, new_run) = if old.contains(&0) {
            // With nothing to copy, the whole new array is one new run.
            (
                Vec::new(),
                Vec::new(),
                0,
                if empty {
                    0
                } else {
                    wide(new).iter().product::<u64>() * itemsize as u64
                },
            )
        } else {
            (
                wide(&old[..changed]),
                wide(&new[..changed]),
                run(old),
                if empty { 0 } else { run(new) },
            )
        };
        let next = (!empty).then(|| vec![0; new_outer.len()]);
        Relayout {
            old_outer,
            new_outer,
            next,
            old_run,
            new_run,
            tail: 0,
        }
    }

    /// The length in bytes of the longest copied segments, 0 if nothing is copied.
    pub(crate) fn run(&self) -> u64 {
        self.old_run.min(self.new_run)
    }

    /// The bytes that stay where they are, if only the slowest axis changes; `None` if bytes move.
    pub(crate) fn prefix(&self) -> Option<u64> {
        self.new_outer.is_empty().then(|| self.run())
    }

    /// Moves on from `index` to the next run, counting up from `axis`, whose faster axes start
    /// again at 0.
    fn advance(&self, mut index: Vec<u64>, axis: usize) -> Option<Vec<u64>> {
        index[axis..].fill(0);
        for axis in (0..axis).rev() {
            index[axis] += 1;
            if index[axis] < self.new_outer[axis] {
                return Some(index);
            }
            index[axis] = 0;
        }
        None
    }
}

impl Iterator for Relayout {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        if self.tail > 0 {
            return Some(Segment::Fill {
                len: std::mem::take(&mut self.tail),
            });
        }
        let index = self.next.take()?;
        let new_axis = index
            .iter()
            .zip(&self.old_outer)
            .position(|(index, old)| index >= old);
        if let Some(axis) = new_axis {
            let below: u64 = self.new_outer[axis + 1..].iter().product();
            let len = (self.new_outer[axis] - self.old_outer[axis]) * below * self.new_run;
            self.next = self.advance(index, axis);
            return Some(Segment::Fill { len });
        }
        let run = index
            .iter()
            .zip(&self.old_outer)
            .fold(0, |run, (index, axis)| run * axis + index);
        let len = self.run();
        self.next = self.advance(index, self.new_outer.len());
        if len == 0 {
            return Some(Segment::Fill { len: self.new_run });
        }
        self.tail = self.new_run - len;
        Some(Segment::Copy {
            from: run * self.old_run,
            len,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Element by element: the old offset of each element of the new array, or `None` if there is
    /// none.
    fn naive(old: &[usize], new: &[usize], itemsize: usize) -> Vec<Option<usize>> {
        let len: usize = new.iter().product();
        let source = |mut flat: usize| {
            let mut index = vec![0; new.len()];
            for axis in (0..new.len()).rev() {
                index[axis] = flat % new[axis];
                flat /= new[axis];
            }
            let kept = index.iter().zip(old).all(|(index, old)| index < old);
            kept.then(|| {
                index
                    .iter()
                    .zip(old)
                    .fold(0, |flat, (index, axis)| flat * axis + index)
            })
        };
        (0..len)
            .flat_map(|flat| {
                (0..itemsize).map(move |byte| source(flat).map(|old| old * itemsize + byte))
            })
            .collect()
    }

    fn spelled_out(segments: Relayout) -> Vec<Option<usize>> {
        segments
            .flat_map(|segment| match segment {
                Segment::Copy { from, len } => (from..from + len)
                    .map(|byte| Some(byte as usize))
                    .collect::<Vec<_>>(),
                Segment::Fill { len } => vec![None; len as usize],
            })
            .collect()
    }

    proptest! {
        #[test]
        fn segments_agree_with_moving_each_element(shapes in prop::collection::vec((0..5_usize, 0..5_usize), 0..5), itemsize in 1..4_usize) {
            let (old, new): (Vec<_>, Vec<_>) = shapes.into_iter().unzip();
            prop_assert_eq!(spelled_out(Relayout::new(&old, &new, itemsize)), naive(&old, &new, itemsize));
        }
    }

    #[test]
    fn growth_of_the_slowest_axis_is_one_copy_and_one_fill() {
        let segments: Vec<_> = Relayout::new(&[3, 4], &[5, 4], 8).collect();
        assert_eq!(
            segments,
            [
                Segment::Copy { from: 0, len: 96 },
                Segment::Fill { len: 64 }
            ]
        );
    }

    #[test]
    fn only_the_slowest_axis_leaves_the_bytes_where_they_are() {
        let prefix = |old: &[usize], new: &[usize]| Relayout::new(old, new, 8).prefix();
        assert_eq!(prefix(&[3, 4], &[5, 4]), Some(96));
        assert_eq!(prefix(&[3, 4], &[2, 4]), Some(64));
        assert_eq!(prefix(&[3, 4], &[3, 5]), None);
    }

    #[test]
    fn a_huge_addition_is_one_segment() {
        let segments: Vec<_> = Relayout::new(&[1, 1], &[1 << 30, 1 << 20], 1).collect();
        assert_eq!(segments.len(), 3);
    }
}
