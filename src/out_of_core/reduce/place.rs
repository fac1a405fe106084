//! Finds the first place in C order of an extreme, in a file that is in Fortran order.
//!
//! The order of the file does not decide between equal elements, so each of them counts. Of
//! neighbours along the first axis only the first one can be the result, and none that lies further
//! along this axis than one that is already known. So few are looked at, however many there are.

use super::extreme::{End, Extreme};
use super::lanes::{Lanes, vectorized};
use super::number::kernels::Ordered;
use crate::error::Result;
use crate::out_of_core::source::Source;
use crate::out_of_core::work::Work;

/// The bytes that stay in the innermost cache between finding an extreme and searching for it.
const CACHED: usize = 16 << 10;

/// The best element so far, and its index in C order.
#[derive(Clone, Copy)]
pub(super) struct Best<R> {
    pub(super) value: R,
    pub(super) index: usize,
}

/// Finds the extreme of an array of this shape, which has elements and is in Fortran order.
pub(super) fn first_in_c_order<'a, A: Ordered, E: End, K>(
    source: &Source<'a, A>,
    work: &mut Work<'a>,
    op: &'static str,
    shape: &[usize],
) -> Result<Best<A::Key>>
where
    K: Lanes<A, Partial = Extreme<A::Key, E>>,
{
    let mut best: Option<Best<A::Key>> = None;
    source.scan(
        work,
        op,
        |range, elements| {
            Ok(vectorized(
                #[inline(always)]
                || best_of::<A, E, K>(range.start, elements, shape),
            ))
        },
        |_, later| {
            best = match best {
                Some(best) if !E::keeps(best.value, later.value) => Some(later),
                // Each keeps the other only if they are the same.
                Some(best) if E::keeps(later.value, best.value) && later.index < best.index => {
                    Some(later)
                }
                Some(best) => Some(best),
                None => Some(later),
            };
            Ok(())
        },
    )?;
    Ok(best.expect("the array has elements"))
}

/// The best of some elements, the first of which is at `start` in the file.
#[inline(always)]
fn best_of<A: Ordered, E: End, K>(start: usize, elements: &[A], shape: &[usize]) -> Best<A::Key>
where
    K: Lanes<A, Partial = Extreme<A::Key, E>>,
{
    let mut best = Best {
        value: K::run(&elements[..1]).value,
        index: c_index(start, shape),
    };
    let chunk_len = CACHED / size_of::<A>();
    for (chunk_index, chunk) in elements.chunks(chunk_len).enumerate() {
        let value = K::run(chunk).value;
        if !E::keeps(best.value, value) {
            best = Best {
                value,
                index: usize::MAX,
            };
        }
        if E::keeps(value, best.value) {
            search(start + chunk_index * chunk_len, chunk, shape, &mut best);
        }
    }
    best
}

/// Looks for elements that equal the best one and come before it.
#[inline(always)]
fn search<A: Ordered>(start: usize, elements: &[A], shape: &[usize], best: &mut Best<A::Key>) {
    let first_axis = shape[0];
    let apart: usize = shape[1..].iter().product();
    let mut at = 0;
    while at < elements.len() {
        let along = (start + at) % first_axis;
        let end = elements.len().min(at + first_axis - along);
        // Elements that lie further along the first axis than the best one come after it.
        let open = (best.index / apart).saturating_add(1).saturating_sub(along);
        let run = &elements[at..end.min(at.saturating_add(open))];
        if let Some(found) = A::first_same(run, best.value) {
            best.index = best.index.min(c_index(start + at + found, shape));
        }
        at = end;
    }
}

/// The index in C order of an element whose place in Fortran order is `place`.
fn c_index(mut place: usize, shape: &[usize]) -> usize {
    let mut apart: usize = shape.iter().product();
    let mut index = 0;
    for len in shape {
        apart /= len;
        index += place % len * apart;
        place /= len;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_fortran_order_has_the_index_of_its_element() {
        let shape = [2, 3, 4];
        let f_order = (0..4).flat_map(|k| (0..3).flat_map(move |j| (0..2).map(move |i| [i, j, k])));
        for (place, [i, j, k]) in f_order.enumerate() {
            assert_eq!(c_index(place, &shape), (i * 3 + j) * 4 + k);
        }
    }
}
