//! Half floats, converted to single floats many at a time, for which processors have instructions.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::lanes::{Lanes, Partial, TILE, WIDTH};

/// Reduces half floats as single floats.
#[derive(Clone, Debug)]
pub struct Widened<L>(L);

impl<L: Lanes<f32>> Lanes<f16> for Widened<L> {
    const WIDTH: usize = L::WIDTH;

    const AHEAD: usize = L::AHEAD;

    type Partial = L::Partial;

    #[inline(always)]
    fn start(rows: &[[f16; WIDTH]]) -> Self {
        let mut widened = [[0.0; WIDTH]; TILE];
        for (widened, row) in widened.iter_mut().zip(rows) {
            *widened = widen(row);
        }
        Widened(L::start(&widened[..rows.len()]))
    }

    #[inline(always)]
    fn add(&mut self, row: &[f16]) {
        self.0.add(&widen::<WIDTH>(row)[..row.len()]);
    }

    #[inline(always)]
    fn partial(&self, lane: usize, len: usize) -> L::Partial {
        self.0.partial(lane, len)
    }

    #[inline(always)]
    fn run(run: &[f16]) -> L::Partial {
        const CACHED: usize = 4096;
        let mut chunks = run.chunks(CACHED);
        let mut next = || {
            chunks
                .next()
                .map(|chunk| L::run(&widen::<CACHED>(chunk)[..chunk.len()]))
        };
        let mut partial = next().expect("a run has elements");
        while let Some(later) = next() {
            partial.merge(&later);
        }
        partial
    }
}

#[inline(always)]
fn widen<const N: usize>(elements: &[f16]) -> [f32; N] {
    let mut widened = [0.0; N];
    elements.convert_to_f32_slice(&mut widened[..elements.len()]);
    widened
}
