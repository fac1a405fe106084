//! A process at work, which reports each step until it is killed.
//!
//! It runs this binary again: the test [`worker`].

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal};

use super::support::program;
use super::workload::{Job, Random, Work};

/// Where the worker finds its job, and the directory to do it in.
const JOB: &str = "NDSTORE_TEST_JOB";
const DIR: &str = "NDSTORE_TEST_JOB_DIR";

/// What the worker puts before all that it says, to tell it from what the test harness prints.
const SAYS: &str = "worker: ";
const REFUSED: &str = "refused ";

#[test]
#[ignore = "the process at work of other tests, which start it"]
fn worker() {
    let (Some(dir), Ok(job)) = (std::env::var_os(DIR), std::env::var(JOB)) else {
        return;
    };
    let mut work = Work::new(Job::from_text(&job).unwrap(), dir.into());
    // The harness has left its own line unfinished.
    println!("\n{SAYS}{}", std::process::id());
    // When nobody listens any more, a line cannot be printed, and this ends.
    let refused = loop {
        if let Err(refused) = work.go_on(|done| println!("{SAYS}{done}")) {
            break refused;
        }
    };
    println!("{SAYS}{REFUSED}{refused}");
}

/// When a worker is stopped: after so many acknowledgements, and then so much time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    acknowledgements: usize,
    pause: Duration,
}

impl Moment {
    pub(crate) fn random(random: &mut Random) -> Moment {
        let micros = match random.below(3) {
            0 => 0,
            1 => random.below(500),
            _ => random.below(10_000),
        };
        Moment {
            acknowledgements: random.below(12),
            pause: Duration::from_micros(micros as u64),
        }
    }
}

/// A process that does a job until it is killed.
pub(crate) struct Worker {
    child: Child,
    /// The process itself, which may be a child of the child.
    id: Pid,
    lines: BufReader<ChildStdout>,
    acknowledged: usize,
    refused: Option<String>,
}

/// How a worker ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) acknowledged: usize,
    /// The step that failed, and how.
    pub(crate) refused: Option<String>,
    pub(crate) status: ExitStatus,
}

impl End {
    pub(crate) fn is_killed(&self) -> bool {
        self.refused.is_none() && self.status.signal() == Some(Signal::KILL.as_raw())
    }
}

impl Worker {
    pub(crate) fn start(job: &Job, dir: &Path) -> Worker {
        Worker::run(Command::new(program()), job, dir)
    }

    /// Starts a process by way of another program, which runs the command that its last arguments
    /// are.
    pub(crate) fn by_way_of(mut command: Command, job: &Job, dir: &Path) -> Worker {
        command.arg(program());
        Worker::run(command, job, dir)
    }

    fn run(mut command: Command, job: &Job, dir: &Path) -> Worker {
        let mut child = command
            .args(["worker::worker", "--exact", "--ignored", "--nocapture"])
            .env(JOB, job.to_text())
            .env(DIR, dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let id = listen(&mut lines).expect("the worker says that it is there");
        Worker {
            child,
            id: Pid::from_raw(id.parse().unwrap()).unwrap(),
            lines,
            acknowledged: 0,
            refused: None,
        }
    }

    /// Takes in the next that it says. False at its end.
    fn listen(&mut self) -> bool {
        let Some(line) = listen(&mut self.lines) else {
            return false;
        };
        match line.strip_prefix(REFUSED) {
            Some(refusal) => self.refused = Some(refusal.to_owned()),
            None => self.acknowledged = line.parse().unwrap(),
        }
        true
    }

    /// Lets it work until a moment has come, or until it has ended. Says how many steps it has
    /// acknowledged.
    pub(crate) fn wait_for(&mut self, moment: Moment) -> usize {
        while self.acknowledged < moment.acknowledgements && self.listen() {}
        std::thread::sleep(moment.pause);
        while self.has_said_more() && self.listen() {}
        self.acknowledged
    }

    /// Whether there is something to take in. A line comes as one.
    fn has_said_more(&self) -> bool {
        let mut pipe = [PollFd::new(self.lines.get_ref(), PollFlags::IN)];
        let now = Timespec::default();
        !self.lines.buffer().is_empty() || rustix::event::poll(&mut pipe, Some(&now)).unwrap() > 0
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub(crate) fn kill(mut self) -> End {
        let _ = rustix::process::kill_process(self.id, Signal::KILL);
        let status = self.child.wait().unwrap();
        while self.listen() {}
        End {
            acknowledged: self.acknowledged,
            refused: self.refused,
            status,
        }
    }
}

/// The next that a worker says. A line that was cut off was never said.
fn listen(lines: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        if let Some(said) = line.strip_prefix(SAYS) {
            return Some(said.strip_suffix('\n')?.to_owned());
        }
    }
}
