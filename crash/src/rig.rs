//! One run of one workload, or of several in a row: a fresh disk is mounted, processes work on it,
//! and their operations are recorded.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::assembly;
use crate::child::{FINISHED, POISONED, Past, REFUSED};
use crate::disk::{Disk, Fault, Kind};
use crate::fs::Mounted;
use crate::log::Op;
use crate::script::{Script, TARGET};
use crate::toy::Flaw;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Finished,
    /// A step failed with an error.
    Refused,
    /// The same, and the store refuses every flush since.
    Poisoned,
    /// As the fault asked for.
    Killed,
    /// A failure of the rig's promises: a signal, a panic, a broken promise, no end.
    Failed(String),
}

/// One process that works on the disk.
#[derive(Clone, Debug)]
pub(crate) struct Life<'a> {
    pub(crate) script: &'a Script,
    pub(crate) fault: Option<Fault>,
}

/// What somebody else does to the file between two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    Nothing,
    Sync,
    /// A sync that fails, and is the only one to be told.
    FailedSync,
}

/// How a process lived.
#[derive(Debug)]
pub(crate) struct Lived {
    /// How long the log was when it began.
    pub(crate) start: usize,
    pub(crate) ending: Ending,
    /// How long the log was when the fault struck, if it did.
    pub(crate) struck: Option<usize>,
}

pub(crate) struct Recording {
    pub(crate) log: Vec<Op>,
    /// One for each life.
    pub(crate) lived: Vec<Lived>,
    /// See [`Disk::peak`].
    pub(crate) peak: u64,
    /// The names that were there in the end.
    pub(crate) names: Vec<String>,
}

impl Recording {
    pub(crate) fn last(&self) -> &Lived {
        self.lived.last().expect("somebody lived")
    }
}

/// No run takes as long, unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// The word for ndstore itself where a flaw of the toy would stand.
const NO_TOY: &str = "ndstore";

/// Runs `script` by ndstore, or by the toy with a flaw.
pub(crate) fn record(
    flaw: Option<Flaw>,
    script: &Script,
    fault: Option<Fault>,
) -> io::Result<Recording> {
    relay(flaw, &[Life { script, fault }], Foreign::Nothing)
}

/// Runs one process after the other on the same disk, each of which takes over what the one before
/// it left.
pub(crate) fn relay(
    flaw: Option<Flaw>,
    lives: &[Life<'_>],
    foreign: Foreign,
) -> io::Result<Recording> {
    let place = tempfile::tempdir()?;
    let mounted = Mounted::new(Disk::new(lives[0].script.abilities), place.path())?;
    let subject = flaw.map_or(NO_TOY.to_owned(), |flaw| format!("{flaw:?}"));
    let mut past = Vec::new();
    let mut lived = Vec::new();
    for life in lives {
        if !lived.is_empty() {
            interfere(&mounted, &place.path().join(TARGET), foreign)?;
        }
        let start = mounted.disk().log.len();
        mounted.disk().set_fault(life.fault);
        past.push(Past::new(&life.script.name));
        let (status, said) = live(&mounted, &subject, &past, place.path())?;
        let disk = mounted.disk();
        lived.push(Lived {
            start,
            ending: ending(status, &said, life.fault, disk.struck),
            struck: disk.struck,
        });
        past.last_mut()
            .expect("pushed above")
            .follow(&disk.log[start..]);
    }
    let disk = mounted.unmount()?;
    Ok(Recording {
        lived,
        peak: disk.peak,
        names: disk.names().map(str::to_owned).collect(),
        log: disk.log,
    })
}

fn interfere(mounted: &Mounted, path: &Path, foreign: Foreign) -> io::Result<()> {
    let kind = Kind::Sync;
    mounted.disk().set_fault(match foreign {
        Foreign::Nothing => return Ok(()),
        Foreign::Sync => None,
        Foreign::FailedSync => Some(Fault::Nth { kind, n: 1 }),
    });
    let draft = assembly::draft(path);
    match File::open(if draft.exists() { &draft } else { path }) {
        // What it is told is nobody else's business.
        Ok(file) => drop(file.sync_all()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Has a process go through the last of these lives, and says how it ended and what it said.
fn live(
    mounted: &Mounted,
    subject: &str,
    lives: &[Past],
    directory: &Path,
) -> io::Result<(Option<ExitStatus>, String)> {
    let mut child = Command::new("/proc/self/exe")
        .args(["child", subject])
        .arg(directory)
        .args(lives.iter().map(Past::to_string))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    mounted.disk().set_victim(Pid::from_child(&child));
    // It waits for the end of its input, so that it does nothing before it can be killed.
    drop(child.stdin.take());
    let status = wait(&mut child)?;
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said)?;
    }
    Ok((status, said))
}

/// What `record` asked of this process.
pub(crate) fn subject_of(word: &str) -> Option<Flaw> {
    Flaw::ALL
        .into_iter()
        .find(|flaw| format!("{flaw:?}") == word)
}

fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    while start.elapsed() < LIMIT {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn ending(
    status: Option<ExitStatus>,
    said: &str,
    fault: Option<Fault>,
    struck: Option<usize>,
) -> Ending {
    let Some(status) = status else {
        return Ending::Failed("it did not end".to_owned());
    };
    let was_killed = matches!(fault, Some(Fault::Kill { .. })) && struck.is_some();
    if was_killed && status.signal() == Some(Signal::KILL.as_raw()) {
        return Ending::Killed;
    }
    match status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .ok_or(status.signal())
    {
        Ok(FINISHED) => Ending::Finished,
        Ok(REFUSED) => Ending::Refused,
        Ok(POISONED) => Ending::Poisoned,
        _ => Ending::Failed(format!("{status}: {}", said.trim())),
    }
}

/// Whether the machine can mount at all, with what to do if not.
pub(crate) fn check_machine() -> Result<(), String> {
    if Path::new("/dev/fuse").exists() {
        Ok(())
    } else {
        Err("there is no /dev/fuse: the rig needs FUSE, and the right to mount".to_owned())
    }
}
