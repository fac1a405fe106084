//! The element types that are measured, as plain numbers, and the loops over them that everybody in Rust shares.

use std::ops::{Add, AddAssign, Mul};

use bytemuck::Pod;
use ndarray::ArrayD;
use ndstore::{AsType, Be, Element, Number, RealNumber};

/// A type of elements.
pub(crate) trait Cell:
    Number<Sum: ToF64, Mean: ToF64> + RealNumber + AsType<f32> + AsType<f64> + Pod + ToF64 + PartialOrd
{
    /// It in the byte order that this machine does not have.
    type Swapped: Element;

    /// What it is added up in, a [`RUN`] at a time.
    type Lane: Copy + Default + AddAssign + ToF64 + Send;

    const LEAST: Self;

    fn of(value: i16) -> Self;

    fn lane(self) -> Self::Lane;

    /// What `map` computes.
    fn mapped(self) -> Self;

    fn swapped(self) -> Self::Swapped;

    fn swap_bytes(self) -> Self;
}

/// So many elements at most are added up in a [`Lane`](Cell::Lane) of 32 bits.
const RUN: usize = 1 << 15;

pub(crate) trait ToF64: Copy {
    fn to_f64(self) -> f64;
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl ToF64 for $number {
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

numbers!(i16 i32 i64 f32 f64);

macro_rules! cells {
    ($($cell:ty, $lane:ty, $least:expr, $two:expr, $one:expr, $bits:ty, $add:ident, $mul:ident;)*) => {$(
        impl Cell for $cell {
            type Swapped = Be<$cell>;
            type Lane = $lane;

            const LEAST: Self = $least;

            fn of(value: i16) -> Self {
                value as $cell
            }

            #[inline(always)]
            fn lane(self) -> $lane {
                self as $lane
            }

            #[inline(always)]
            fn mapped(self) -> Self {
                self.$mul($two).$add($one)
            }

            fn swapped(self) -> Be<$cell> {
                Be::from(self)
            }

            #[inline(always)]
            fn swap_bytes(self) -> Self {
                <$cell>::from_ne_bytes(<$bits>::from_ne_bytes(self.to_ne_bytes()).swap_bytes().to_ne_bytes())
            }
        }
    )*};
}

cells! {
    i16, i32, i16::MIN, 2, 1, u16, wrapping_add, wrapping_mul;
    f32, f32, f32::NEG_INFINITY, 2.0, 1.0, u32, add, mul;
    f64, f64, f64::NEG_INFINITY, 2.0, 1.0, u64, add, mul;
}

/// Calls a function that is generic over [`Cell`] for the type that a descr without its byte order names.
macro_rules! for_cell {
    ($dtype:expr, $function:ident($($argument:expr),*)) => {
        match $dtype {
            "f4" => $function::<f32>($($argument),*),
            "f8" => $function::<f64>($($argument),*),
            "i2" => $function::<i16>($($argument),*),
            other => panic!("no side works on {other}"),
        }
    };
}
pub(crate) use for_cell;

/// The greatest of some elements.
pub(crate) fn max<A: Cell>(elements: &[A]) -> A {
    let mut lanes = [A::LEAST; 64];
    let keep = |lanes: &mut [A; 64], chunk: &[A]| {
        for (lane, &element) in lanes.iter_mut().zip(chunk) {
            *lane = if element > *lane { element } else { *lane };
        }
    };
    let mut chunks = elements.chunks_exact(64);
    for chunk in &mut chunks {
        keep(&mut lanes, chunk);
    }
    keep(&mut lanes, chunks.remainder());
    lanes
        .iter()
        .fold(A::LEAST, |a, &b| if b > a { b } else { a })
}

/// The sum of some elements.
pub(crate) fn total<A: Cell>(elements: &[A]) -> f64 {
    let run = |elements: &[A]| {
        let mut lanes = [A::Lane::default(); 32];
        let mut chunks = elements.chunks_exact(32);
        for chunk in &mut chunks {
            for (lane, &element) in lanes.iter_mut().zip(chunk) {
                *lane += element.lane();
            }
        }
        let rest: f64 = chunks
            .remainder()
            .iter()
            .map(|&element| element.to_f64())
            .sum();
        lanes.iter().map(|lane| lane.to_f64()).sum::<f64>() + rest
    };
    elements.chunks(RUN).map(run).sum()
}

/// What is compared of a result: a number that depends on every element and its place.
pub(crate) trait Digest {
    fn digest(&self) -> f64;
}

impl Digest for f64 {
    fn digest(&self) -> f64 {
        *self
    }
}

/// For jobs whose result is a file, which is looked at by itself, and for sides that only take the time of the job.
impl Digest for () {
    fn digest(&self) -> f64 {
        f64::NAN
    }
}

impl<T: ToF64> Digest for Vec<T> {
    fn digest(&self) -> f64 {
        weighed(self.iter())
    }
}

impl<T: ToF64> Digest for ArrayD<T> {
    fn digest(&self) -> f64 {
        weighed(self.iter())
    }
}

fn weighed<'a, T: ToF64 + 'a>(elements: impl Iterator<Item = &'a T>) -> f64 {
    let weighed = |(index, element): (usize, &T)| element.to_f64() * (index % 97 + 1) as f64;
    elements.enumerate().map(weighed).sum()
}
