//! The power fails at random moments under ext4 and xfs, and nothing that was acknowledged is lost.
//!
//! The file system is shut down without a flush of its journal, and then mounted again, which
//! replays it: the kernel's own code decides what is left.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::Command;

use ndstore::Mode;

use super::disk::{Disk, Kind as FileSystem};
use super::worker::{Moment, Worker};
use super::workload::{Job, Kind, Random};

/// How many cuts each file system gets, if not this many.
const CUTS: &str = "NDSTORE_POWER_CUTS";
const CUTS_BY_DEFAULT: u64 = 300;

const FILE_SYSTEMS: [FileSystem; 2] = [FileSystem::Ext4, FileSystem::Xfs];

fn cuts() -> u64 {
    let cuts = std::env::var(CUTS);
    cuts.map_or(CUTS_BY_DEFAULT, |cuts| cuts.parse().expect(CUTS))
}

/// What a cut was seen to do.
#[derive(Default)]
struct Seen {
    acknowledged: usize,
    /// Steps that were acknowledged too late to count.
    late: usize,
    drafts: usize,
}

/// Cuts the power at a random moment of a job, and checks what is there after a reboot.
fn cut(
    disk: &Disk,
    job: &Job,
    seed: u64,
    start: impl FnOnce(&Job) -> Worker,
) -> Result<Seen, String> {
    for entry in fs::read_dir(disk.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    // What is gone must not come back.
    rustix::fs::syncfs(File::open(disk.path()).unwrap()).unwrap();
    let mut worker = start(job);
    // What is acknowledged from now on comes too late to count: a sync that the shutdown overtakes
    // may still be told that all is well, which no power cut has time for.
    let done = worker.wait_for(Moment::random(&mut Random::new(seed)));
    disk.cut_power();
    let end = worker.kill();
    disk.remount();
    // What it was told, or the signal that it got, is that of a disk that is gone.
    let is_dead = |refusal: &String| refusal.contains("(os error 5)");
    if !end.refused.as_ref().is_none_or(is_dead) {
        return Err(format!("it ended by itself: {end:?}"));
    }
    job.check(disk.path(), done, end.acknowledged + 1, Mode::Read)?;
    Ok(Seen {
        acknowledged: done,
        late: end.acknowledged - done,
        drafts: job.go_on(disk.path(), done)?,
    })
}

/// `sudo -E cargo test --test rigs -- --ignored --nocapture power_cuts`, with another number of
/// cuts for each file system in `NDSTORE_POWER_CUTS`.
#[test]
#[ignore = "needs root and mkfs"]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    for file_system in FILE_SYSTEMS {
        let disk = Disk::new(file_system, file_system.small());
        let (mut lost, mut seen) = (Vec::new(), Seen::default());
        for seed in 0..cuts() {
            let job = Job::new(Kind::in_turn(seed), seed);
            match cut(&disk, &job, seed, |job| Worker::start(job, disk.path())) {
                Ok(cut) => {
                    seen.acknowledged += cut.acknowledged;
                    seen.late += cut.late;
                    seen.drafts += cut.drafts;
                }
                Err(error) => lost.push(format!("{job:?}: {error}")),
            }
        }
        println!(
            "{file_system:?}: {} cuts after {} acknowledged steps ({} more came too late), \
             {} drafts left and removed, {} lost",
            cuts(),
            seen.acknowledged,
            seen.late,
            seen.drafts,
            lost.len()
        );
        assert!(lost.is_empty(), "{file_system:?}: {lost:#?}");
    }
}

/// A worker whose syncs are nothing but a promise.
fn careless(job: &Job, disk: &Disk) -> Worker {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]);
    strace.args(["-e", "inject=fsync,fdatasync:retval=0"]);
    Worker::by_way_of(strace, job, disk.path())
}

/// `sudo -E cargo test --test rigs -- --ignored --nocapture power_cuts`
///
/// Shows that the rig catches the fault that it is for: this is the very library, but its syncs do
/// not reach the disk.
#[test]
#[ignore = "needs root, mkfs and strace"]
fn a_power_cut_is_caught_where_syncs_are_ignored() {
    for file_system in FILE_SYSTEMS {
        let disk = Disk::new(file_system, file_system.small());
        let mut caught = BTreeMap::new();
        for seed in 0..50 {
            let kind = Kind::in_turn(seed);
            let job = Job::new(kind, seed);
            let lost = cut(&disk, &job, seed, |job| careless(job, &disk)).is_err();
            *caught.entry(format!("{kind:?}")).or_insert(0) += u32::from(lost);
        }
        println!("{file_system:?}: caught of 5 each {caught:?}");
        let missed: Vec<_> = caught.iter().filter(|&(_, &caught)| caught == 0).collect();
        assert!(missed.is_empty(), "{file_system:?}: {missed:?}");
    }
}
