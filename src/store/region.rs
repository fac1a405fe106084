//! Regions: the elements that slice arguments pick, and the requests that fetch them from the file.
//! Pure arithmetic.
//!
//! [`Region`] checks the arguments, as ndarray's own slicing does by panics. [`Lattice`] has the
//! places of the elements in the file, and [`read`] and [`write`] cut it into pieces that are worth
//! a request each. The caller supplies the requests.

use std::ops::Range;

use ndarray::{
    ArrayBase, ArrayView, ArrayViewD, ArrayViewMut, ArrayViewMutD, Axis, IxDyn, RawData,
    ShapeBuilder, Slice, SliceInfoElem, StrideShape,
};

use super::pack;
use crate::element::Element;
use crate::shape::{self, Order};

/// The elements that slice arguments pick of an array.
pub(crate) struct Region<'a> {
    arguments: &'a [SliceInfoElem],
    /// The indices that are picked along each axis of the array.
    picks: Vec<Pick>,
}

/// Indices along one axis, in ascending order, at a distance of `step` from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pick {
    start: usize,
    len: usize,
    step: usize,
}

/// The reason why slice arguments do not fit an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// They are for this number of axes, and the array has another.
    Ndim(usize),
    /// This argument reaches past the end of its axis.
    Outside { axis: usize, asked: String },
    /// A step of 0.
    Step,
}

impl<'a> Region<'a> {
    /// The region that the arguments pick of an array of this shape: the one that ndarray picks, or
    /// a misfit where ndarray panics.
    pub(super) fn new(
        arguments: &'a [SliceInfoElem],
        shape: &[usize],
    ) -> Result<Region<'a>, Misfit> {
        let of_axes = || arguments.iter().filter(|argument| !argument.is_new_axis());
        if of_axes().count() != shape.len() {
            return Err(Misfit::Ndim(of_axes().count()));
        }
        let picks = of_axes().zip(shape).enumerate();
        let picks = picks.map(|(axis, (argument, &len))| {
            pick(argument, len)?.ok_or_else(|| Misfit::Outside {
                axis,
                asked: argument.to_string(),
            })
        });
        let picks = picks.collect::<Result<_, _>>()?;
        Ok(Region { arguments, picks })
    }

    /// The shape of an array of these elements.
    pub(crate) fn shape(&self) -> Vec<usize> {
        let mut picks = self.picks.iter();
        let mut shape = Vec::with_capacity(self.arguments.len());
        for argument in self.arguments {
            match argument {
                SliceInfoElem::NewAxis => shape.push(1),
                SliceInfoElem::Index(_) => drop(picks.next()),
                SliceInfoElem::Slice { .. } => shape.extend(picks.next().map(|pick| pick.len)),
            }
        }
        shape
    }

    /// The places of the elements in the file of the array.
    pub(super) fn lattice(&self, shape: &[usize], order: Order) -> Lattice {
        let whole = Lattice::whole(shape, order);
        let picks = shape::slowest_first(&self.picks, order);
        let of_axes = || picks.iter().zip(&whole.axes);
        let start = of_axes().map(|(pick, axis)| pick.start * axis.stride).sum();
        let axes = of_axes().map(|(pick, axis)| (pick.len, pick.step * axis.stride));
        Lattice::new(start, axes.collect())
    }

    /// The places of the picked elements of `part`, a lattice of an array in this order, with an
    /// axis for each axis of the region. `None` if an axis runs backwards.
    pub(crate) fn of(&self, part: &Lattice, order: Order) -> Option<Lattice> {
        let of_part = shape::slowest_first(&part.axes, order);
        let mut of_axes = self.picks.iter().zip(of_part);
        let mut start = part.start;
        let mut axes = Vec::with_capacity(self.arguments.len());
        for argument in self.arguments {
            match argument {
                SliceInfoElem::NewAxis => axes.push((1, 0)),
                SliceInfoElem::Slice { step, .. } if *step < 0 => return None,
                SliceInfoElem::Slice { .. } | SliceInfoElem::Index(_) => {
                    let (pick, axis) = of_axes.next()?;
                    start += pick.start * axis.stride;
                    if let SliceInfoElem::Slice { .. } = argument {
                        axes.push((pick.len, pick.step * axis.stride));
                    }
                }
            }
        }
        Some(Lattice::new(start, shape::slowest_first(&axes, order)))
    }

    /// Rearranges an array of the region's shape so that its indices are those of the
    /// [lattice](Region::lattice): an axis for each axis of the file, the slowest first, and
    /// ascending.
    pub(super) fn in_file<S: RawData>(
        &self,
        mut array: ArrayBase<S, IxDyn>,
        order: Order,
    ) -> ArrayBase<S, IxDyn> {
        let mut axis = 0;
        for argument in self.arguments {
            match argument {
                SliceInfoElem::NewAxis => {
                    array = array.index_axis_move(Axis(axis), 0);
                    continue;
                }
                SliceInfoElem::Index(_) => array = array.insert_axis(Axis(axis)),
                SliceInfoElem::Slice { step, .. } if *step < 0 => array.invert_axis(Axis(axis)),
                SliceInfoElem::Slice { .. } => {}
            }
            axis += 1;
        }
        match order {
            Order::C => array,
            Order::F => array.reversed_axes(),
        }
    }
}

/// The indices that one argument picks of an axis, or `None` if the axis ends before them.
fn pick(argument: &SliceInfoElem, axis_len: usize) -> Result<Option<Pick>, Misfit> {
    // A negative index counts from the end.
    let absolute = |index: isize| match index {
        ..0 => axis_len.checked_sub(index.unsigned_abs()),
        0.. => Some(index.unsigned_abs()),
    };
    Ok(match *argument {
        SliceInfoElem::NewAxis => None,
        SliceInfoElem::Index(index) => {
            absolute(index)
                .filter(|&index| index < axis_len)
                .map(|start| Pick {
                    start,
                    len: 1,
                    step: 1,
                })
        }
        SliceInfoElem::Slice { step: 0, .. } => return Err(Misfit::Step),
        SliceInfoElem::Slice { start, end, step } => {
            let end = end.map_or(Some(axis_len), absolute);
            absolute(start).zip(end).and_then(|(start, end)| {
                let end = end.max(start);
                let (wide, apart) = (end - start, step.unsigned_abs());
                let len = wide.div_ceil(apart);
                let start = match step {
                    // The pick starts at the last index of the range and runs backwards.
                    ..0 if len > 0 => end - 1 - (len - 1) * apart,
                    _ => start,
                };
                let step = if len > 1 { apart } else { 1 };
                (end <= axis_len).then_some(Pick { start, len, step })
            })
        }
    })
}

/// Elements of a file, at equal distances along each axis. Everything is counted in elements.
#[derive(Clone, Debug)]
pub(crate) struct Lattice {
    /// The place of the first element.
    start: usize,
    /// The slowest axis first.
    axes: Vec<Level>,
}

/// One axis of a lattice.
#[derive(Clone, Copy, Debug)]
struct Level {
    len: usize,
    /// The distance between neighbours.
    stride: usize,
    /// The block of one index of all slower axes.
    block: Block,
}

impl Level {
    /// An axis of a lattice without elements.
    const NONE: Level = Level {
        len: 0,
        stride: 0,
        block: Block { span: 0, hole: 0 },
    };
}

/// A part of a lattice.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// From its first element to the end of its last.
    span: usize,
    /// The widest hole in the block.
    hole: usize,
}

impl Block {
    const ELEMENT: Block = Block { span: 1, hole: 0 };

    /// `len` of these blocks, at least one, at a distance of `stride`.
    fn repeated(self, len: usize, stride: usize) -> Block {
        match len {
            1 => self,
            _ => Block {
                span: (len - 1) * stride + self.span,
                hole: self.hole.max(stride - self.span),
            },
        }
    }
}

/// Some elements of a lattice that are close to each other.
struct Piece<'a> {
    /// The place of the first element.
    start: usize,
    /// The length up to the end of the last element.
    span: usize,
    /// Whether there is no hole between them.
    is_run: bool,
    /// The indices of the elements along each axis of the lattice.
    indices: &'a [Range<usize>],
}

impl Lattice {
    /// The elements from a place on, by length and stride along each axis, the slowest first. Each
    /// stride is at least the span of the faster axes.
    pub(crate) fn new(start: usize, axes: Vec<(usize, usize)>) -> Lattice {
        if axes.iter().any(|&(len, _)| len == 0) {
            let axes = axes.iter().map(|&(len, _)| Level { len, ..Level::NONE });
            return Lattice {
                start: 0,
                axes: axes.collect(),
            };
        }
        let mut block = Block::ELEMENT;
        let axes = axes.iter().rev().map(|&(len, stride)| {
            block = block.repeated(len, stride);
            Level { len, stride, block }
        });
        let mut axes: Vec<_> = axes.collect();
        axes.reverse();
        Lattice { start, axes }
    }

    /// All elements of an array.
    pub(crate) fn whole(shape: &[usize], order: Order) -> Lattice {
        let mut step = 1;
        let lens = shape::slowest_first(shape, order);
        let axes = lens.iter().rev().map(|&len| {
            let stride = step;
            step *= len;
            (len, stride)
        });
        let mut axes: Vec<_> = axes.collect();
        axes.reverse();
        Lattice::new(0, axes)
    }

    /// The elements with these indices along the first axes, and all elements along the others.
    pub(crate) fn cut(&self, indices: &[Range<usize>]) -> Lattice {
        let whole = self.axes.iter().map(|axis| 0..axis.len);
        let indices = indices.iter().cloned().chain(whole.skip(indices.len()));
        let mut start = self.start;
        let axes = indices.zip(&self.axes).map(|(indices, axis)| {
            start += indices.start * axis.stride;
            (indices.len(), axis.stride)
        });
        let axes = axes.collect();
        Lattice::new(start, axes)
    }

    /// The elements with these indices along its slowest axis.
    pub(crate) fn rows(&self, rows: Range<usize>) -> Lattice {
        self.cut(std::slice::from_ref(&rows))
    }

    /// The bytes of its elements, an axis of their own and the fastest. All is counted in bytes then.
    pub(super) fn of_bytes(&self, itemsize: usize) -> Lattice {
        let axes = self.axes().map(|(len, stride)| (len, stride * itemsize));
        let axes = axes.chain([(itemsize, 1)]).collect();
        Lattice::new(self.start * itemsize, axes)
    }

    /// Length and stride along each axis, the slowest first.
    pub(crate) fn axes(
        &self,
    ) -> impl DoubleEndedIterator<Item = (usize, usize)> + ExactSizeIterator {
        self.axes.iter().map(|axis| (axis.len, axis.stride))
    }

    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.axes.iter().map(|axis| axis.len).product()
    }

    /// The range of the file from the first element to the end of the last.
    pub(crate) fn hull(&self) -> Range<usize> {
        self.start..self.start + self.block(0).span
    }

    /// Whether there are no holes.
    pub(crate) fn is_run(&self) -> bool {
        self.block(0).hole == 0
    }

    /// The elements in a range, counted in the order of the file, as lattices of their own.
    pub(crate) fn range(&self, range: Range<usize>) -> Vec<Lattice> {
        let mut parts = Vec::new();
        if self.is_run() {
            let start = self.start + range.start;
            parts.push(Lattice::new(start, vec![(range.len(), 1)]));
        } else if !range.is_empty() {
            self.collect_range(&mut Vec::new(), range, &mut parts);
        }
        parts
    }

    /// [`range`](Lattice::range) of the elements with these indices along the slowest axes.
    fn collect_range(
        &self,
        slower: &mut Vec<Range<usize>>,
        range: Range<usize>,
        into: &mut Vec<Lattice>,
    ) {
        let inner: usize = self.axes[slower.len() + 1..]
            .iter()
            .map(|axis| axis.len)
            .product();
        let mut at = range.start;
        while at < range.end {
            let (index, within) = (at / inner, at % inner);
            let whole = range.end / inner;
            if within == 0 && index < whole {
                slower.push(index..whole);
                into.push(self.cut(slower));
                at = whole * inner;
            } else {
                let end = range.end.min((index + 1) * inner);
                slower.push(index..index + 1);
                self.collect_range(slower, within..end - index * inner, into);
                at = end;
            }
            slower.pop();
        }
    }

    fn block(&self, level: usize) -> Block {
        self.axes
            .get(level)
            .map_or(Block::ELEMENT, |axis| axis.block)
    }

    /// The holes between the neighbours along each axis.
    pub(super) fn holes(&self) -> impl Iterator<Item = usize> {
        let inner = self.axes.iter().skip(1).map(|axis| axis.block.span);
        let axes = self.axes.iter().zip(inner.chain([Block::ELEMENT.span]));
        // Without elements an axis has no stride, whatever its length.
        let axes = axes.filter(|(axis, _)| axis.len > 1 && axis.stride > 0);
        axes.map(|(axis, inner)| axis.stride - inner)
    }

    /// The places of the first element, of one in the middle and of the last.
    pub(super) fn sample(&self) -> impl Iterator<Item = usize> {
        let last = self.block(0).span - 1;
        [0, last / 2, last]
            .map(|place| self.start + place)
            .into_iter()
    }

    /// Calls `each` with all elements, in the order of the file, in pieces that are as large as
    /// allowed: at most `most` elements with holes of at most `hole` between them, or any number
    /// without a hole. If `each` cannot take one of the latter, it comes again in pieces of at most
    /// `most`.
    fn pieces<E>(
        &self,
        most: usize,
        hole: usize,
        each: &mut impl FnMut(&Piece<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        if self.axes.iter().any(|axis| axis.len == 0) {
            return Ok(());
        }
        let mut indices: Vec<_> = self.axes.iter().map(|axis| 0..axis.len).collect();
        self.descend(0, self.start, &mut indices, (most, hole), each)
    }

    fn descend<E>(
        &self,
        level: usize,
        start: usize,
        indices: &mut [Range<usize>],
        (most, hole): (usize, usize),
        each: &mut impl FnMut(&Piece<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let block = self.block(level);
        let fits = block.hole <= hole && block.span <= most;
        if block.hole == 0 || fits {
            let piece = Piece {
                start,
                span: block.span,
                is_run: block.hole == 0,
                indices,
            };
            if each(&piece)? || fits {
                return Ok(());
            }
        }
        // There is such an axis, because a single element fits.
        let Level { len, stride, .. } = self.axes[level];
        let inner = self.block(level + 1);
        let together = match most.checked_sub(inner.span) {
            Some(room) if block.hole <= hole => room / stride + 1,
            _ => 1,
        };
        for first in (0..len).step_by(together) {
            let last = len.min(first + together);
            indices[level] = first..last;
            let start = start + first * stride;
            if together == 1 {
                self.descend(level + 1, start, indices, (most, hole), each)?;
                continue;
            }
            let part = inner.repeated(last - first, stride);
            each(&Piece {
                start,
                span: part.span,
                is_run: part.hole == 0,
                indices,
            })?;
        }
        indices[level] = 0..len;
        Ok(())
    }

    /// The place of each element of a piece in a buffer that holds the piece from its first element
    /// to its last.
    fn in_buffer(&self, piece: &Piece<'_>) -> StrideShape<IxDyn> {
        let lens: Vec<_> = piece.indices.iter().map(Range::len).collect();
        let strides: Vec<_> = self.axes.iter().map(|axis| axis.stride).collect();
        IxDyn(&lens).strides(IxDyn(&strides))
    }

    /// The length of a buffer of which at most `most` elements are used at a time.
    fn buffer_len(&self, most: usize) -> usize {
        self.block(0).span.min(most)
    }
}

/// Fills `into`, whose indices are those of the lattice. `fetch` reads elements from a place in the
/// file.
///
/// A piece without holes is read straight into `into`, if it is contiguous there, too. All else
/// goes through a buffer of `most` elements, with holes of up to `hole` elements read along.
pub(super) fn read<A: Element, E>(
    lattice: &Lattice,
    mut into: ArrayViewMutD<'_, A>,
    most: usize,
    hole: usize,
    mut fetch: impl FnMut(usize, &mut [A]) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer: Vec<A> = Vec::new();
    lattice.pieces(most, hole, &mut |piece| {
        let mut part = into.slice_each_axis_mut(|axis| slice(&piece.indices[axis.axis.index()]));
        if piece.is_run {
            if let Some(elements) = part.as_slice_mut() {
                fetch(piece.start, elements)?;
                return Ok(true);
            }
            if piece.span > most {
                return Ok(false);
            }
        }
        if buffer.is_empty() {
            buffer = bytemuck::zeroed_vec(lattice.buffer_len(most));
        }
        let buffer = &mut buffer[..piece.span];
        fetch(piece.start, buffer)?;
        let view = ArrayView::from_shape(lattice.in_buffer(piece), buffer).expect(IN_BUFFER);
        part.assign(&view);
        Ok(true)
    })
}

/// Writes `values`, whose indices are those of the lattice. `put` writes bytes to the place of an
/// element.
///
/// A piece without holes is written as it is. Elements with holes of up to `hole` elements between
/// them are put into the bytes that `fetch` reads, which are written back, `most` elements at a
/// time. With a `hole` of 0 only the elements themselves are written.
pub(super) fn write<A: Element, E>(
    lattice: &Lattice,
    values: ArrayViewD<'_, A>,
    most: usize,
    hole: usize,
    mut fetch: impl FnMut(usize, &mut [A]) -> Result<(), E>,
    mut put: impl FnMut(usize, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer: Vec<A> = Vec::new();
    lattice.pieces(most, hole, &mut |piece| {
        let part = values.slice_each_axis(|axis| slice(&piece.indices[axis.axis.index()]));
        if piece.is_run {
            let mut at = piece.start;
            pack::for_each_piece(&part, Order::C, |bytes| {
                put(at, bytes)?;
                at += bytes.len() / size_of::<A>();
                Ok(())
            })?;
            return Ok(true);
        }
        if buffer.is_empty() {
            buffer = bytemuck::zeroed_vec(lattice.buffer_len(most));
        }
        let buffer = &mut buffer[..piece.span];
        fetch(piece.start, buffer)?;
        ArrayViewMut::from_shape(lattice.in_buffer(piece), buffer)
            .expect(IN_BUFFER)
            .assign(&part);
        put(piece.start, bytemuck::cast_slice(buffer))?;
        Ok(true)
    })
}

/// The reason why a buffer has the elements of a piece.
const IN_BUFFER: &str = "a buffer of the piece's span has all of its elements";

fn slice(indices: &Range<usize>) -> Slice {
    Slice::from(indices.clone())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use ndarray::{Array, ArrayD, s};
    use proptest::prelude::*;

    use super::*;

    /// An array whose elements are their own places in the file.
    fn places(shape: &[usize], order: Order) -> ArrayD<u32> {
        let places = (0..shape.iter().product::<usize>() as u32).collect();
        Array::from_shape_vec(IxDyn(shape).set_f(order == Order::F), places).unwrap()
    }

    fn any_argument() -> impl Strategy<Value = SliceInfoElem> {
        let end = prop_oneof![Just(None), (-7..9_isize).prop_map(Some)];
        prop_oneof![
            1 => Just(SliceInfoElem::NewAxis),
            2 => (-6..6_isize).prop_map(SliceInfoElem::Index),
            6 => (-7..7_isize, end, prop_oneof![Just(1), -4..5_isize])
                .prop_map(|(start, end, step)| SliceInfoElem::Slice { start, end, step }),
            3 => (0..2_isize, prop_oneof![Just(1), Just(-1), Just(2)])
                .prop_map(|(start, step)| SliceInfoElem::Slice { start, end: None, step }),
        ]
    }

    fn any_order() -> impl Strategy<Value = Order> {
        prop_oneof![Just(Order::C), Just(Order::F)]
    }

    /// The elements that ndarray picks, or `None` if it panics.
    fn naive(array: &ArrayD<u32>, arguments: &[SliceInfoElem]) -> Option<ArrayD<u32>> {
        let slice = std::panic::AssertUnwindSafe(|| array.slice(arguments).to_owned());
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let picked = std::panic::catch_unwind(slice).ok();
        std::panic::set_hook(hook);
        picked
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn a_range_of_a_part_is_its_elements_one_after_the_other(
            axes in prop::collection::vec((0..6_usize, 0..6_usize, 0..6_usize, 1..3_isize), 1..4),
            order in any_order(),
            (a, b) in (0.0..1.0_f64, 0.0..1.0_f64),
        ) {
            let shape: Vec<_> = axes.iter().map(|&(len, ..)| len).collect();
            let arguments: Vec<_> = axes.iter().map(|&(len, a, b, step)| SliceInfoElem::Slice {
                start: a.min(b).min(len) as isize,
                end: Some(a.max(b).min(len) as isize),
                step,
            }).collect();
            let places = places(&shape, order);
            let region = Region::new(&arguments, &shape).unwrap();
            let part = region.of(&Lattice::whole(&shape, order), order).unwrap();
            let picked = places.slice(&arguments[..]);
            // In the order of the file they ascend.
            let mut expected: Vec<_> = picked.iter().map(|&place| place as usize).collect();
            expected.sort_unstable();
            prop_assert_eq!(part.len(), expected.len());
            let at = |share: f64| (share * (expected.len() + 1) as f64) as usize;
            let range = at(a.min(b))..at(a.max(b));
            let mut found = Vec::new();
            for lattice in part.range(range.clone()) {
                let all = lattice.pieces(1, 0, &mut |piece| {
                    found.extend(piece.start..piece.start + piece.span);
                    Ok::<_, Infallible>(true)
                });
                all.unwrap();
            }
            prop_assert_eq!(&found, &expected[range]);
            if let (Some(first), Some(last)) = (expected.first(), expected.last()) {
                prop_assert_eq!(part.hull(), *first..last + 1);
                prop_assert_eq!(part.is_run(), last + 1 - first == expected.len());
            }
        }


        #[test]
        fn a_region_is_read_and_written_as_ndarray_slices_it(
            (shape, arguments) in (0..5_usize).prop_flat_map(|ndim| (
                prop::collection::vec(0..7_usize, ndim),
                prop::collection::vec(any_argument(), ndim..ndim + 2),
            )),
            (order, into_order) in (any_order(), any_order()),
            (most, hole) in (1..40_usize, 0..12_usize),
        ) {
            let array = places(&shape, order);
            let file: Vec<u32> = (0..array.len() as u32).collect();
            let region = Region::new(&arguments, &shape);
            let expected = naive(&array, &arguments);
            prop_assert_eq!(region.is_ok(), expected.is_some(), "{:?} of {:?}", arguments, shape);
            let (Ok(region), Some(expected)) = (region, expected) else { return Ok(()) };
            prop_assert_eq!(&region.shape(), expected.shape());
            let lattice = region.lattice(&shape, order);
            let fetch = |file: &[u32], at: usize, into: &mut [u32]| {
                into.copy_from_slice(&file[at..at + into.len()]);
                Ok::<_, Infallible>(())
            };

            let mut found = ArrayD::zeros(IxDyn(&region.shape()).set_f(into_order == Order::F));
            let into = region.in_file(found.view_mut(), order);
            read(&lattice, into, most, hole, |at, into| fetch(&file, at, into)).unwrap();
            prop_assert_eq!(&found, &expected);

            let values = expected.mapv(|place| place + 1000);
            let mut sliced = array.clone();
            sliced.slice_mut(&arguments[..]).assign(&values);
            let written = std::cell::RefCell::new(file.clone());
            let put = |at: usize, bytes: &[u8]| {
                let elements = bytemuck::pod_collect_to_vec(bytes);
                let is_tight = elements.iter().all(|&element: &u32| element >= 1000);
                assert!(hole > 0 || is_tight, "a byte beside the region was written");
                written.borrow_mut()[at..at + elements.len()].copy_from_slice(&elements);
                Ok(())
            };
            let values = region.in_file(values.view(), order);
            write(&lattice, values, most, hole, |at, into| fetch(&written.borrow(), at, into), put).unwrap();
            let expected: Vec<u32> = match order {
                Order::C => sliced.iter().copied().collect(),
                Order::F => sliced.t().iter().copied().collect(),
            };
            prop_assert_eq!(written.into_inner(), expected);
        }

        #[test]
        fn pieces_have_every_element_once_in_the_order_of_the_file_within_their_limits(
            shape in prop::collection::vec(1..7_usize, 0..5),
            cuts in prop::collection::vec((0..3_usize, prop_oneof![Just(1_isize), Just(2), Just(-3)]), 4),
            order in any_order(),
            (most, hole) in (1..40_usize, 0..12_usize),
            takes in prop::collection::vec(any::<bool>(), 1..10),
        ) {
            let cuts = shape.iter().zip(cuts);
            let arguments: Vec<_> = cuts.map(|(&len, (start, step))| SliceInfoElem::Slice {
                start: start.min(len - 1) as isize,
                end: None,
                step,
            }).collect();
            let region = Region::new(&arguments, &shape).unwrap();
            let lattice = region.lattice(&shape, order);
            let mut expected: Vec<usize> = naive(&places(&shape, order), &arguments).unwrap().iter().map(|&place| place as usize).collect();
            expected.sort_unstable();
            let mut takes = takes.iter().cycle();
            let mut found = Vec::new();
            lattice.pieces(most, hole, &mut |piece| {
                if piece.span > most && !takes.next().unwrap() {
                    assert!(piece.is_run);
                    return Ok::<_, Infallible>(false);
                }
                // Element by element.
                let mut places = vec![piece.start];
                for (axis, indices) in lattice.axes.iter().zip(piece.indices) {
                    places = places.iter().flat_map(|place| (0..indices.len()).map(move |index| place + index * axis.stride)).collect();
                }
                let widest = places.windows(2).map(|pair| pair[1] - pair[0] - 1).max().unwrap_or(0);
                assert_eq!(piece.is_run, widest == 0);
                assert!(widest <= hole && (piece.is_run || piece.span <= most), "{widest}");
                assert_eq!(places[places.len() - 1] + 1 - piece.start, piece.span);
                found.extend(places);
                Ok(true)
            }).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn few_requests_go_over_the_file() {
        let requests = |shape: &[usize], arguments: &[SliceInfoElem], most, hole| {
            let region = Region::new(arguments, shape).unwrap();
            let mut into = ArrayD::<u32>::zeros(region.shape());
            let into = region.in_file(into.view_mut(), Order::C);
            let mut spans = Vec::new();
            let lattice = region.lattice(shape, Order::C);
            read(&lattice, into, most, hole, |_, into| {
                spans.push(into.len());
                Ok::<_, Infallible>(())
            })
            .unwrap();
            spans
        };
        let shape = [1000, 100];
        // Rows are read straight to their place, however many there are.
        assert_eq!(requests(&shape, s![10..910, ..].as_ref(), 64, 8), [90_000]);
        // A tile goes row by row, because the holes are wide.
        assert_eq!(requests(&shape, s![3..6, 10..70].as_ref(), 64, 8), [60; 3]);
        // A column goes in strips, because the holes are narrow: ten elements are 901 places.
        assert_eq!(requests(&shape, s![..20, 5].as_ref(), 950, 99), [901; 2]);
        assert_eq!(requests(&shape, s![..4, 5].as_ref(), 950, 98), [1; 4]);
        // Every other element, and backwards.
        assert_eq!(requests(&shape, s![0, ..;2].as_ref(), 64, 8), [63, 35]);
        assert_eq!(requests(&shape, s![0, 0..60;-1].as_ref(), 64, 8), [60]);
    }

    #[test]
    fn what_ndarray_would_panic_over_is_a_misfit() {
        let misfit = |arguments: &[SliceInfoElem]| Region::new(arguments, &[3, 4]).err();
        let outside = |axis, asked: &str| {
            let asked = asked.to_owned();
            Some(Misfit::Outside { axis, asked })
        };
        assert_eq!(misfit(s![.., 4].as_ref()), outside(1, "4"));
        assert_eq!(misfit(s![-4, ..].as_ref()), outside(0, "-4"));
        assert_eq!(misfit(s![2..5, ..].as_ref()), outside(0, "2..5"));
        assert_eq!(misfit(s![.., 5..].as_ref()), outside(1, "5.."));
        assert_eq!(
            misfit(s![isize::MIN.., 0].as_ref()),
            outside(0, &format!("{}..", isize::MIN))
        );
        assert_eq!(
            misfit(s![.., ..isize::MAX].as_ref()),
            outside(1, &format!("..{}", isize::MAX))
        );
        assert_eq!(misfit(s![..].as_ref()), Some(Misfit::Ndim(1)));
        assert_eq!(misfit(s![0, 0, 0].as_ref()), Some(Misfit::Ndim(3)));
        let still = SliceInfoElem::Slice {
            start: 0,
            end: None,
            step: 0,
        };
        assert_eq!(misfit(&[still, still]), Some(Misfit::Step));
        for steps in [isize::MIN, isize::MAX] {
            let far = SliceInfoElem::Slice {
                start: 0,
                end: None,
                step: steps,
            };
            assert_eq!(Region::new(&[far, far], &[3, 4]).unwrap().shape(), [1, 1]);
        }
    }
}
