//! The kernels against plain loops, over runs and columns of every length.

use proptest::prelude::*;

use super::extreme::{Greatest, Least, Places};
use super::lanes::{Columns, Lanes, Partial, WIDTH, vectorized};
use super::moments::Distances;
use super::sum::{Doubles, Narrow, Nonzeros, Singles, Wide};
use super::twofold::{Twofold, two_sum};
use crate::element::Element;

fn run<A: Element, K: Lanes<A>>(elements: &[A]) -> K::Partial {
    vectorized(
        #[inline(always)]
        || K::run(elements),
    )
}

/// The result of each of `width` columns, if their rows come a few at a time.
fn columns<A: Element, K: Lanes<A>>(elements: &[A], width: usize, tile: usize) -> Vec<K::Partial> {
    let rows: Vec<&[A]> = elements.chunks_exact(width).collect();
    let mut columns = Columns::<K>::new(width);
    rows.chunks(tile).for_each(|rows| {
        vectorized(
            #[inline(always)]
            || columns.add(rows),
        )
    });
    (0..width).map(|column| columns.partial(column)).collect()
}

/// The indices of the first least and the first greatest element.
fn places(elements: &[f32]) -> (u64, u64) {
    let (mut least, mut greatest) = (0, 0);
    for (index, &element) in elements.iter().enumerate() {
        let is_first_nan = |best: usize| element.is_nan() && !elements[best].is_nan();
        if element < elements[least] || is_first_nan(least) {
            least = index;
        }
        if element > elements[greatest] || is_first_nan(greatest) {
            greatest = index;
        }
    }
    (least as u64, greatest as u64)
}

#[test]
fn runs_of_every_length_come_to_what_plain_loops_find() {
    let elements: Vec<i64> = (0..3 * WIDTH as i64)
        .map(|x| (x * x * 7919) % 1000 - 400)
        .collect();
    for len in 1..elements.len() {
        let elements = &elements[..len];
        let sum: i64 = elements.iter().sum();
        assert_eq!(run::<i64, Wide<i64>>(elements).0, sum.into());
        let narrow: Vec<i16> = elements.iter().map(|&x| x as i16).collect();
        assert_eq!(run::<i16, Narrow<i32>>(&narrow).0, sum.into());
        let doubles: Vec<f64> = elements.iter().map(|&x| x as f64).collect();
        assert_eq!(run::<f64, Doubles>(&doubles).0[0].value(), sum as f64);
        let singles: Vec<f32> = elements.iter().map(|&x| x as f32).collect();
        assert_eq!(run::<f32, Singles>(&singles).0[0].value(), sum as f64);
        let nonzeros = elements.iter().filter(|&&x| x != 0).count();
        assert_eq!(run::<f32, Nonzeros<u32>>(&singles).0, nonzeros as i128);
        let (least, greatest) = places(&singles);
        assert_eq!(run::<f32, Places<f32, Least>>(&singles).index, least);
        assert_eq!(run::<f32, Places<f32, Greatest>>(&singles).index, greatest);
        let mean = sum as f64 / len as f64;
        let squares: f64 = doubles.iter().map(|x| (x - mean) * (x - mean)).sum();
        let found = run::<f64, Distances>(&doubles).squares();
        assert!(
            (found - squares).abs() <= 1e-13 * squares,
            "{found} {squares}"
        );
    }
}

proptest! {
    #[test]
    fn columns_come_to_what_runs_of_their_elements_do(
        width in 1..3 * WIDTH,
        tile in 1..9_usize,
        values in prop::collection::vec(-100..100_i16, 0..5000),
    ) {
        prop_assume!(values.len() >= width);
        let singles: Vec<f32> = values.iter().map(|&x| if x == 99 { f32::NAN } else { x.into() }).collect();
        let sums = columns::<i16, Narrow<i32>>(&values, width, tile);
        let places = columns::<f32, Places<f32, Least>>(&singles, width, tile);
        let moments = columns::<i16, Distances>(&values, width, tile);
        let rows = values.len() / width * width;
        for column in 0..width {
            let lane: Vec<i16> = values[..rows].iter().skip(column).step_by(width).copied().collect();
            prop_assert_eq!(sums[column].0, run::<i16, Narrow<i32>>(&lane).0);
            let squares = run::<i16, Distances>(&lane).squares();
            prop_assert!((moments[column].squares() - squares).abs() <= 1e-12 * squares);
            let lane: Vec<f32> = singles[..rows].iter().skip(column).step_by(width).copied().collect();
            prop_assert_eq!(places[column].index, run::<f32, Places<f32, Least>>(&lane).index);
        }
    }

    #[test]
    fn parts_merge_to_what_the_whole_comes_to(
        values in prop::collection::vec(-1000..1000_i32, 2..700),
        cut in 1..700_usize,
    ) {
        let doubles: Vec<f64> = values.iter().map(|&x| x.into()).collect();
        let (head, tail) = doubles.split_at(cut.min(doubles.len() - 1));
        let mut sum = run::<f64, Doubles>(head);
        sum.merge(&run::<f64, Doubles>(tail));
        prop_assert_eq!(sum.0[0].value(), f64::from(values.iter().sum::<i32>()));
        let mut moments = run::<f64, Distances>(head);
        moments.merge(&run::<f64, Distances>(tail));
        let squares = run::<f64, Distances>(&doubles).squares();
        prop_assert!((moments.squares() - squares).abs() <= 1e-12 * squares);
        let mut place = run::<f64, Places<f64, Greatest>>(head);
        place.merge(&run::<f64, Places<f64, Greatest>>(tail));
        prop_assert_eq!(place.index, run::<f64, Places<f64, Greatest>>(&doubles).index);
    }

    #[test]
    fn nothing_is_lost_when_two_floats_are_added(a in -1e200..1e200_f64, b in -1e-10..1e-10_f64) {
        let (sum, lost) = two_sum(a, b);
        prop_assert_eq!(sum, a + b);
        // Subtracting a value from itself leaves nothing.
        let twofold = Twofold::new(sum, lost);
        let rest = twofold.plus((-a).into()).plus((-b).into());
        prop_assert_eq!(rest.value(), 0.0);
    }
}

#[test]
fn a_sum_that_is_not_finite_stays_so() {
    let infinite = Twofold::new(f64::INFINITY, f64::NAN);
    assert_eq!(infinite.value(), f64::INFINITY);
    assert_eq!(infinite.plus(1.0.into()).value(), f64::INFINITY);
    assert!(infinite.plus(f64::NEG_INFINITY.into()).value().is_nan());
}
