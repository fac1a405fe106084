//! `Relocation`: the sources of a new array's bytes, as plain numbers.
//!
//! The new array is packed in its file. It consists of portions that follow each other along one
//! axis, each of which lies in a source with strides of its own. Every move has this form; nothing
//! here knows the move or any file.

use std::ops::Range;

/// A new array and its sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relocation {
    /// The lengths of the axes, slowest first. The last one counts bytes.
    pub(super) lens: Vec<usize>,
    /// The axis along which the portions follow each other.
    pub(super) joined: usize,
    /// The portions in the order of their places, without gaps.
    pub(super) parts: Vec<Portion>,
    /// Bytes that belong together: the last axis is a whole number of them.
    pub(super) itemsize: usize,
}

/// A portion of the new array, which lies in one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Portion {
    /// The number of the source.
    pub(super) source: usize,
    /// The range of the joined axis.
    pub(super) place: Range<usize>,
    /// The offset of its first byte in the source.
    pub(super) offset: usize,
    /// The distance between neighbours along each axis in the source, in bytes.
    pub(super) strides: Vec<usize>,
    /// The axes that are longer than one, by the distance of neighbours, the shortest first.
    pub(super) nearest: Vec<usize>,
}

/// A stretch of bytes that follow each other both in the source and in the new array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The number of the source.
    pub(super) source: usize,
    /// The range in the source.
    pub(super) bytes: Range<usize>,
}

impl Relocation {
    /// A new array of `shape`, slowest axis first, whose bytes fit an `isize`. Each portion is a
    /// source, its length along the axis `joined`, the offset of its first byte, and a stride in
    /// bytes for each axis. `None` if there are no bytes.
    pub(super) fn new(
        shape: &[usize],
        itemsize: usize,
        joined: usize,
        parts: impl IntoIterator<Item = (usize, usize, usize, Vec<usize>)>,
    ) -> Option<Relocation> {
        let mut lens = shape.to_vec();
        lens.push(itemsize);
        if lens.contains(&0) {
            return None;
        }
        let mut end = 0;
        let parts = parts.into_iter().filter(|&(_, len, ..)| len > 0);
        let parts: Vec<_> = parts
            .map(|(source, len, offset, mut strides)| {
                strides.push(1);
                let place = end..end + len;
                end = place.end;
                Portion {
                    source,
                    place,
                    offset,
                    strides,
                    nearest: Vec::new(),
                }
            })
            .collect();
        debug_assert_eq!(end, lens[joined]);
        let mut relocation = Relocation {
            lens,
            joined,
            parts,
            itemsize,
        };
        relocation.merge();
        for part in &mut relocation.parts {
            let axes = 0..relocation.lens.len();
            part.nearest = axes.filter(|&axis| relocation.lens[axis] > 1).collect();
            // Of two axes with equal strides, one is no longer than one in this portion, so their
            // order does not matter.
            let strides = &part.strides;
            part.nearest.sort_by_key(|&axis| strides[axis]);
        }
        Some(relocation)
    }

    /// Drops axes of length one, and merges two axes if the slower continues where the faster ends,
    /// in each source.
    fn merge(&mut self) {
        let several = self.parts.len() > 1;
        for axis in (0..self.lens.len() - 1).rev() {
            let inner = self.lens[axis + 1];
            if self.lens[axis] > 1 {
                let goes_on = |part: &Portion| part.strides[axis] == part.strides[axis + 1] * inner;
                // No portion has all of the joined axis, so none continues behind it.
                if several && self.joined == axis + 1 || !self.parts.iter().all(goes_on) {
                    continue;
                }
                self.lens[axis + 1] *= self.lens[axis];
                if self.joined == axis {
                    for part in &mut self.parts {
                        part.place = part.place.start * inner..part.place.end * inner;
                    }
                }
            }
            self.lens.remove(axis);
            for part in &mut self.parts {
                part.strides.remove(axis);
            }
            if self.joined > axis {
                self.joined -= 1;
            }
        }
        if !several {
            self.joined = 0;
            self.parts[0].place = 0..self.lens[0];
        }
    }

    /// The number of bytes.
    pub(super) fn nbytes(&self) -> usize {
        self.lens.iter().product()
    }

    /// The distance between neighbours along each axis in the new array, in bytes.
    pub(super) fn steps(&self) -> Vec<usize> {
        packed(&self.lens)
    }

    /// The shortest of the stretches.
    pub(super) fn stretch(&self) -> usize {
        let last = self.lens.len() - 1;
        let places = self.parts.iter().map(|part| part.place.len());
        match self.joined == last {
            true => places.min().unwrap_or(0),
            false => self.lens[last],
        }
    }

    /// The new array from its first byte to its last, in the longest stretches that both sides
    /// have.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Stretch> {
        let last = self.lens.len() - 1;
        let outer = Odometer::new(self.lens[..last].to_vec());
        outer.flat_map(move |index| {
            let row = index.get(self.joined).copied();
            let parts = self.parts.iter();
            let parts = parts.filter(move |part| row.is_none_or(|row| part.place.contains(&row)));
            parts.map(move |part| {
                let mut start = part.offset;
                for (axis, &index) in index.iter().enumerate() {
                    let before = if axis == self.joined {
                        part.place.start
                    } else {
                        0
                    };
                    start += (index - before) * part.strides[axis];
                }
                let len = match self.joined == last {
                    true => part.place.len(),
                    false => self.lens[last],
                };
                Stretch {
                    source: part.source,
                    bytes: start..start + len,
                }
            })
        })
    }
}

/// The distance between neighbours along each axis of a packed array, slowest axis first.
pub(super) fn packed(lens: &[usize]) -> Vec<usize> {
    let mut steps = lens.to_vec();
    let mut step = 1;
    for axis in steps.iter_mut().rev() {
        step *= std::mem::replace(axis, step);
    }
    steps
}

/// All indices below some lengths, the last one counting fastest.
pub(super) struct Odometer {
    lens: Vec<usize>,
    next: Option<Vec<usize>>,
}

impl Odometer {
    pub(super) fn new(lens: Vec<usize>) -> Odometer {
        let next = (!lens.contains(&0)).then(|| vec![0; lens.len()]);
        Odometer { lens, next }
    }
}

impl Iterator for Odometer {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        let index = self.next.take()?;
        let mut next = index.clone();
        for axis in (0..next.len()).rev() {
            next[axis] += 1;
            if next[axis] < self.lens[axis] {
                self.next = Some(next);
                break;
            }
            next[axis] = 0;
        }
        Some(index)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The source of each byte of the new array, one after the other.
    pub(in super::super) fn naive(relocation: &Relocation) -> Vec<(usize, usize)> {
        Odometer::new(relocation.lens.clone())
            .map(|index| {
                let along = index[relocation.joined];
                let part = relocation
                    .parts
                    .iter()
                    .find(|part| part.place.contains(&along));
                let part = part.unwrap();
                let mut index = index;
                index[relocation.joined] -= part.place.start;
                let distance: usize = index.iter().zip(&part.strides).map(|(i, s)| i * s).sum();
                (part.source, part.offset + distance)
            })
            .collect()
    }

    /// Joined portions of sources in any order of their axes, each with room around it.
    pub(in super::super) fn relocations() -> impl Strategy<Value = Relocation> {
        let shape = prop::collection::vec(1..5_usize, 1..5);
        let part = (1..6_usize, 0..3_usize, any::<u64>(), 0..3_usize);
        (
            shape,
            0..4_usize,
            1..5_usize,
            prop::collection::vec(part, 1..4),
        )
            .prop_map(|(mut shape, joined, itemsize, parts)| {
                let joined = joined % shape.len();
                shape[joined] = parts.iter().map(|part| part.0).sum();
                let parts: Vec<_> = parts
                    .iter()
                    .enumerate()
                    .map(|(source, &(len, start, shuffle, room))| {
                        let mut lens = shape.clone();
                        lens[joined] = len;
                        let mut axes: Vec<usize> = (0..lens.len()).collect();
                        for axis in 1..axes.len() {
                            axes.swap(axis, (shuffle >> (8 * axis)) as usize % (axis + 1));
                        }
                        let mut strides = vec![0; lens.len()];
                        let mut stride = itemsize;
                        for axis in axes {
                            strides[axis] = stride;
                            stride *= lens[axis] + room;
                        }
                        (source, len, start * itemsize, strides)
                    })
                    .collect();
                Relocation::new(&shape, itemsize, joined, parts).unwrap()
            })
    }

    /// The start of [`Relocation::new`], before any axes are merged.
    fn spelled_out(
        shape: &[usize],
        itemsize: usize,
        joined: usize,
        parts: &[(usize, usize, usize, Vec<usize>)],
    ) -> Vec<(usize, usize)> {
        let mut lens = shape.to_vec();
        lens.push(itemsize);
        let mut end = 0;
        let parts = parts.iter().map(|(source, len, offset, strides)| {
            end += len;
            let strides = strides.iter().copied().chain([1]).collect();
            Portion {
                source: *source,
                place: end - len..end,
                offset: *offset,
                strides,
                nearest: Vec::new(),
            }
        });
        let parts = parts.collect();
        naive(&Relocation {
            lens,
            joined,
            parts,
            itemsize,
        })
    }

    proptest! {
        #[test]
        fn merging_axes_moves_no_byte(
            shape in prop::collection::vec(1..4_usize, 1..5), itemsize in 1..4_usize, joined in 0..4_usize,
            lens in prop::collection::vec(1..4_usize, 1..4), strides in prop::collection::vec(prop::sample::select(vec![1, 2, 3, 4, 6, 9, 12, 24]), 12),
        ) {
            let mut shape = shape;
            let joined = joined % shape.len();
            shape[joined] = lens.iter().sum();
            let parts: Vec<_> = lens.iter().enumerate().map(|(source, &len)| {
                (source, len, source, strides[source..][..shape.len()].to_vec())
            }).collect();
            let relocation = Relocation::new(&shape, itemsize, joined, parts.clone()).unwrap();
            prop_assert_eq!(naive(&relocation), spelled_out(&shape, itemsize, joined, &parts));
        }

        #[test]
        fn stretches_are_the_new_array_from_front_to_back(relocation in relocations()) {
            let mut shortest = usize::MAX;
            let mut found = Vec::new();
            for Stretch { source, bytes } in relocation.stretches() {
                shortest = shortest.min(bytes.len());
                found.extend(bytes.map(|byte| (source, byte)));
            }
            prop_assert_eq!(shortest, relocation.stretch());
            prop_assert_eq!(found, naive(&relocation));
        }
    }

    #[test]
    fn what_lies_the_same_way_is_one_stretch() {
        let whole = Relocation::new(&[3, 1, 4], 8, 0, [(0, 3, 16, vec![32, 99, 8])]).unwrap();
        assert_eq!(whole.lens, [96]);
        assert_eq!(whole.stretches().count(), 1);
        // Joined along the slowest axis, each source is one.
        let parts = [(0, 3, 0, vec![32, 8]), (1, 2, 0, vec![32, 8])];
        let joined = Relocation::new(&[5, 4], 8, 0, parts).unwrap();
        let lens: Vec<_> = joined
            .stretches()
            .map(|stretch| stretch.bytes.len())
            .collect();
        assert_eq!((joined.stretch(), lens), (64, vec![96, 64]));
        assert!(Relocation::new(&[3, 0], 8, 0, [(0, 3, 0, vec![0, 8])]).is_none());
    }
}
