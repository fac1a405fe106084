//! One run of one workload: a fresh disk is mounted, a process works on it, and what it did is recorded.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::child::{FINISHED, POISONED, REFUSED};
use crate::disk::{Disk, Fault};
use crate::fs::Mounted;
use crate::log::Op;
use crate::script::Script;
use crate::toy::Flaw;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Finished,
    /// A step failed with an error.
    Refused,
    /// The same, and the store refuses every flush since.
    Poisoned,
    /// What must not happen: a signal, a panic, a broken promise, no end.
    Failed(String),
}

pub(crate) struct Recording {
    pub(crate) log: Vec<Op>,
    pub(crate) ending: Ending,
    /// How long the log was when the fault struck, if it did.
    pub(crate) struck: Option<usize>,
    /// See [`Disk::peak`].
    pub(crate) peak: u64,
    /// The names that were there in the end.
    pub(crate) names: Vec<String>,
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
    let place = tempfile::tempdir()?;
    let mounted = Mounted::new(Disk::new(script.abilities, fault), place.path())?;
    let subject = flaw.map_or(NO_TOY.to_owned(), |flaw| format!("{flaw:?}"));
    let mut child = Command::new("/proc/self/exe")
        .args(["child", &subject, &script.name])
        .arg(place.path())
        .stderr(Stdio::piped())
        .spawn()?;
    let status = wait(&mut child)?;
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said)?;
    }
    let disk = mounted.unmount()?;
    Ok(Recording {
        ending: ending(status, &said),
        struck: disk.struck,
        peak: disk.peak,
        names: disk.names().map(str::to_owned).collect(),
        log: disk.log,
    })
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

fn ending(status: Option<ExitStatus>, said: &str) -> Ending {
    let Some(status) = status else {
        return Ending::Failed("it did not end".to_owned());
    };
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
