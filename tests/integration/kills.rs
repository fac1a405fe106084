//! A writer that is killed leaves a free lock, the old array or the whole new one, and nothing that
//! stays.

use ndstore::Mode;

use super::worker::{Moment, Worker};
use super::workload::{Job, Kind, Random};

/// Kills the worker of a job at a random moment, and checks what is left. Returns the number of
/// drafts.
fn kill(job: &Job, seed: u64) -> Result<usize, String> {
    let dir = tempfile::tempdir().unwrap();
    let moment = Moment::random(&mut Random::new(seed));
    let mut worker = Worker::start(job, dir.path());
    worker.wait_for(moment);
    let end = worker.kill();
    if !end.is_killed() {
        return Err(format!("it ended by itself: {end:?}"));
    }
    // At once, and by whoever opens it first.
    let mode = if seed.is_multiple_of(3) {
        Mode::Read
    } else {
        Mode::ReadWrite
    };
    let done = end.acknowledged;
    job.check(dir.path(), done, done + 1, mode)?;
    job.go_on(dir.path(), done)
}

/// Kills `count` writers, of every kind in turn, and returns the number of drafts that they left.
#[track_caller]
fn kill_writers(count: u64) -> usize {
    let killed = (0..count).map(|seed| {
        let job = Job::new(Kind::in_turn(seed), seed);
        kill(&job, seed).unwrap_or_else(|error| panic!("{job:?}: {error}"))
    });
    killed.sum()
}

#[test]
fn a_killed_writer_leaves_a_free_lock_and_a_whole_array() {
    kill_writers(40);
}

/// Shows that the check catches the fault that it is for.
#[test]
fn a_killed_writer_that_acknowledged_too_early_is_caught() {
    let caught = (0..40).any(|seed| kill(&Job::hasty(Kind::in_turn(seed), seed), seed).is_err());
    assert!(caught, "nobody was");
}

/// `cargo test --test integration -- --ignored --nocapture a_thousand_killed_writers`
#[test]
#[ignore = "takes a minute"]
fn a_thousand_killed_writers_leave_free_locks_whole_arrays_and_no_drafts() {
    let drafts = kill_writers(1000);
    println!("1000 killed, {drafts} drafts left and removed by the next writer");
    assert!(
        drafts > 0,
        "nobody was killed while a file was in the making"
    );
}
