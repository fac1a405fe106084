//! Two stages at once: the calling thread fills buffers, and another thread writes the full ones.
//! If the system starts no thread they take turns.
//!
//! The buffers go round, so each stage waits for the slower of the two, and memory holds no more
//! than the buffers. A stage that ends, even by an error or a panic, closes its ends of the
//! channels, which stops the other stage.

use std::panic;
use std::sync::mpsc;
use std::thread;

use crate::error::{Error, Result};

/// Calls `fill` for one of the `buffers` after the other, until it returns `None`, and `write` for
/// each of them in the same order, with the value that `fill` returned for it.
///
/// The first error ends both stages. If both fail, the error of `write` is returned.
pub(super) fn run<B: Send, C: Send, E: From<Error>>(
    buffers: impl IntoIterator<Item = B>,
    mut fill: impl FnMut(&mut B) -> Result<Option<C>, E>,
    mut write: impl FnMut(C, &B) -> Result<()> + Send,
) -> Result<(), E> {
    let mut buffers = buffers.into_iter();
    let at_once = thread::scope(|scope| {
        let (give_back, given_back) = mpsc::channel();
        let (pass, passed) = mpsc::channel();
        let (write, fill) = (&mut write, &mut fill);
        let back = give_back.clone();
        let write_all = move || {
            for (content, buffer) in passed {
                write(content, &buffer)?;
                // Nobody waits for the buffer once all are filled.
                let _ = back.send(buffer);
            }
            Ok(())
        };
        let writer = thread::Builder::new().spawn_scoped(scope, write_all).ok()?;
        for buffer in buffers.by_ref() {
            give_back.send(buffer).expect("its other end is here");
        }
        drop(give_back);
        let fill_all = move || {
            for mut buffer in given_back {
                let Some(content) = fill(&mut buffer)? else {
                    break;
                };
                if pass.send((content, buffer)).is_err() {
                    break;
                }
            }
            Ok(())
        };
        let filled = fill_all();
        let written = writer
            .join()
            .unwrap_or_else(|panicked| panic::resume_unwind(panicked));
        // If the writer failed, the other stage just stopped.
        Some(written.map_err(E::from).and(filled))
    });
    at_once.unwrap_or_else(|| in_turn(buffers, fill, write))
}

/// As [`run`], in one thread.
fn in_turn<B, C, E: From<Error>>(
    mut buffers: impl Iterator<Item = B>,
    mut fill: impl FnMut(&mut B) -> Result<Option<C>, E>,
    mut write: impl FnMut(C, &B) -> Result<()>,
) -> Result<(), E> {
    let Some(mut buffer) = buffers.next() else {
        return Ok(());
    };
    while let Some(content) = fill(&mut buffer)? {
        write(content, &buffer)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use super::*;
    use crate::error::ErrorKind;

    fn failure(of: &str) -> Error {
        let found = of.to_owned();
        Error::pathless("read a mode", ErrorKind::InvalidMode { found })
    }

    /// Runs 100 numbers through two buffers.
    fn hundred(
        filled: impl Fn(usize) -> Result<()>,
        mut written: impl FnMut(usize) -> Result<()> + Send,
    ) -> Result<Vec<(usize, usize)>> {
        let mut numbers = 0..100;
        let fill = |buffer: &mut (usize, usize)| {
            let next = numbers.next();
            if let Some(number) = next {
                filled(number)?;
                buffer.1 = number;
            }
            Ok(next)
        };
        let mut found = Vec::new();
        let write = |number, &(buffer, content): &(usize, usize)| {
            assert_eq!(content, number);
            found.push((buffer, content));
            written(number)
        };
        run::<_, _, Error>([(0, 0), (1, 0)], fill, write)?;
        Ok(found)
    }

    #[test]
    fn without_a_thread_both_stages_take_turns() {
        let mut numbers = 0..5;
        let fill = |buffer: &mut usize| {
            *buffer += 1;
            Ok(numbers.next())
        };
        let mut found = Vec::new();
        let write = |number, &times: &usize| match number {
            3 => Err(failure("write")),
            _ => {
                found.push((number, times));
                Ok(())
            }
        };
        let failed = in_turn::<_, _, Error>([0, 10].into_iter(), fill, write).unwrap_err();
        assert!(failed.to_string().contains("write"), "{failed}");
        assert_eq!(found, [(0, 1), (1, 2), (2, 3)]);
        let full = |(): &mut ()| Ok::<_, Error>(Some(()));
        in_turn([].into_iter(), full, |(), ()| Ok(())).unwrap();
    }

    #[test]
    fn buffers_go_round_and_are_written_in_order() {
        let found = hundred(|_| Ok(()), |_| Ok(())).unwrap();
        let expected: Vec<_> = (0..100).map(|number| (number % 2, number)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_error_of_either_stage_ends_both_and_that_of_the_writer_wins() {
        for at in [0, 1, 2, 50, 98, 99] {
            let fails = |of: &'static str| {
                move |number| match number == at {
                    true => Err(failure(of)),
                    false => Ok(()),
                }
            };
            let of_fill = hundred(fails("fill"), |_| Ok(())).unwrap_err();
            assert!(of_fill.to_string().contains("fill"), "{of_fill}");
            let of_write = hundred(|_| Ok(()), fails("write")).unwrap_err();
            assert!(of_write.to_string().contains("write"), "{of_write}");
            // The writer fails at a buffer that was filled before the other stage fails.
            let fill = |number| match number == at + 1 {
                true => Err(failure("fill")),
                false => Ok(()),
            };
            let of_both = hundred(fill, fails("write")).unwrap_err();
            assert!(of_both.to_string().contains("write"), "{of_both}");
        }
    }

    #[test]
    fn a_panic_of_either_stage_ends_both_and_goes_on() {
        for at in [0, 1, 50, 99] {
            let panics = |of: &'static str| {
                move |number| {
                    assert_ne!(number, at, "{of}");
                    Ok(())
                }
            };
            let of_fill = AssertUnwindSafe(|| hundred(panics("fill"), |_| Ok(())));
            let of_write = AssertUnwindSafe(|| hundred(|_| Ok(()), panics("write")));
            for panicked in [panic::catch_unwind(of_fill), panic::catch_unwind(of_write)] {
                panicked.expect_err("it panicked");
            }
        }
    }
}
