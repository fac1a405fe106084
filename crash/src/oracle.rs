//! The states that may be found: the oracle follows a log through the lives of the processes that
//! work on the file, one after the other.
//!
//! A process that takes over finds one of the states that the one before it may have left. The disk
//! may still hold any of them, until the process is told of something that is certain to be on it.

use crate::log::Op;
use crate::script::{Chain, Expected, Script, State};

#[derive(Clone, Debug)]
pub(crate) struct Oracle<'a> {
    /// The scripts of the lives to come.
    scripts: std::slice::Iter<'a, Script>,
    /// What the life before this one may have left.
    left: Vec<State>,
    chain: Chain,
    /// The last acknowledgement of this life.
    acked: usize,
    allowed: Vec<State>,
}

impl<'a> Oracle<'a> {
    /// Before the first of these lives, on an empty disk.
    pub(crate) fn new(lives: &'a [Script]) -> Oracle<'a> {
        let mut scripts = lives.iter();
        let first = scripts.next().expect("somebody lives first");
        let mut oracle = Oracle {
            scripts,
            left: vec![None],
            chain: first.chain(None),
            acked: 0,
            allowed: Vec::new(),
        };
        oracle.allow();
        oracle
    }

    /// Goes on by one operation of the log.
    pub(crate) fn follow(&mut self, op: &Op) {
        match op {
            Op::Life { found } => self.enter(*found),
            Op::Ack(number) => self.acked = *number,
            _ => return,
        }
        self.allow();
    }

    fn enter(&mut self, found: usize) {
        self.left = std::mem::take(&mut self.allowed);
        let script = self.scripts.next().expect("a script for each life");
        let state = self.left[found].as_ref();
        // The first of them is what was acknowledged.
        self.chain = script.chain(match found {
            0 => state.cloned(),
            _ => state.map(Expected::unacknowledged),
        });
        self.acked = 0;
    }

    /// The states that may be found now.
    pub(crate) fn allowed(&self) -> &[State] {
        &self.allowed
    }

    fn allow(&mut self) {
        let Chain {
            states,
            promised,
            fills,
        } = &self.chain;
        let end = states.len().min(self.acked + 2);
        self.allowed = states[self.acked..end].to_vec();
        if self.acked < *promised {
            let written = fills.iter().filter(|(made, _)| *made < end);
            let written = |old: &Expected| {
                written
                    .clone()
                    .fold(old.clone(), |old, (_, elements)| old.overwritten(elements))
            };
            let left = self.left.iter().map(|old| old.as_ref().map(&written));
            self.allowed.extend(left);
        }
    }

    /// The last acknowledgement of this life.
    pub(crate) fn acked(&self) -> usize {
        self.acked
    }
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;
    use crate::script::{Step, elements};
    use crate::workloads::script;

    #[test]
    fn what_one_process_left_is_doubtful_until_the_next_is_promised_something() {
        use Step::*;
        let lives = [
            script("a", vec![CreateFrom(3, 2), Truncate(1)]),
            Script {
                first: 10,
                ..script("b", vec![Open, Fill, Flush])
            },
        ];
        let mut oracle = Oracle::new(&lives);
        let three = elements(0, (3, 2));
        let one = three.slice(s![..1, ..]).to_owned();
        let filled = elements(11, (1, 2));
        let mut overwritten = three.clone();
        overwritten.slice_mut(s![..1, ..]).assign(&filled);
        let may_be = |oracle: &Oracle<'_>| {
            [&three, &one, &filled, &overwritten].map(|array| {
                let mut allowed = oracle.allowed().iter().flatten();
                allowed.any(|state| state.matches(array.view(), ndstore::Order::C))
            })
        };
        oracle.follow(&Op::Ack(1));
        assert_eq!(may_be(&oracle), [true, true, false, false]);
        // The first process died while it truncated, and the second one finds a single row.
        oracle.follow(&Op::Life { found: 1 });
        assert_eq!(may_be(&oracle), [true, true, false, false]);
        oracle.follow(&Op::Ack(1));
        assert_eq!(may_be(&oracle), [true; 4]);
        oracle.follow(&Op::Ack(3));
        assert_eq!(may_be(&oracle), [false, false, true, false]);
    }
}
