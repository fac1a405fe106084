//! The machine's settings: what is in the page cache, how far the disk reads ahead, how much memory a process may use.
//!
//! What is changed is put back when its value is dropped, and by a process that outlives this one if it is killed.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};

use crate::common;

/// A shell that runs a script when this is dropped, or when this process is gone, whatever ended it.
struct Afterwards(Child);

impl Afterwards {
    /// `arguments` are the script's `$0`, `$1` and so on.
    fn run(script: &str, arguments: &[&Path]) -> Afterwards {
        let shell = Command::new("sh")
            .arg("-c")
            // Its input ends when the last end of the pipe is closed, and this process has the only one.
            .arg(format!("cat > /dev/null; {script}"))
            .args(arguments)
            .stdin(Stdio::piped())
            // Ctrl-C in a terminal goes to all of a group: it is to reach this process alone.
            .process_group(0)
            .spawn();
        Afterwards(shell.expect("there is a shell"))
    }
}

impl Drop for Afterwards {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if !self.0.wait().is_ok_and(|status| status.success()) {
            eprintln!("a setting of the machine was not put back: see the lines above");
        }
    }
}

/// Brings a whole file into the page cache, if it is not there.
pub(crate) fn warm(path: &Path) {
    if common::cached(path) < 1.0 {
        std::io::copy(&mut File::open(path).unwrap(), &mut std::io::sink()).unwrap();
    }
}

/// How far the disk below a directory reads ahead, until this is dropped.
pub(crate) struct ReadAhead {
    _back: Afterwards,
}

impl ReadAhead {
    /// The setting of the disk that a directory is on. The error says why there is none that can be changed.
    fn setting(directory: &Path) -> Result<(PathBuf, String), String> {
        let device = fs::metadata(directory).unwrap().dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let name = format!("/sys/dev/block/{major}:{minor}");
        let disk = fs::canonicalize(&name).map_err(|error| format!("{name}: {error}"))?;
        // A partition has the settings of its disk, which it lies below.
        let mut disks = disk.ancestors().take(2);
        let file = disks
            .find_map(|disk| Some(disk.join("queue/read_ahead_kb")).filter(|file| file.exists()));
        let file = file.ok_or_else(|| format!("{disk:?} has no queue/read_ahead_kb"))?;
        let now = fs::read_to_string(&file).map_err(|error| format!("{file:?}: {error}"))?;
        Ok((file, now.trim().to_owned()))
    }

    /// Sets it, for files that are opened from now on.
    pub(crate) fn set(directory: &Path, kib: u32) -> Result<ReadAhead, String> {
        let (file, before) = ReadAhead::setting(directory)?;
        let back = Afterwards::run("echo \"$1\" > \"$0\"", &[&file, before.as_ref()]);
        fs::write(&file, kib.to_string())
            .map_err(|error| format!("cannot set {file:?}, which takes root: {error}"))?;
        Ok(ReadAhead { _back: back })
    }
}

/// A control group with a limit on memory, the page cache included, until this is dropped.
///
/// Pages that are in the page cache when a process enters cost it nothing: drop them first.
pub(crate) struct Limit {
    group: PathBuf,
    _back: Afterwards,
}

impl Limit {
    /// The error says why there is none.
    pub(crate) fn new(nbytes: usize) -> Result<Limit, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("a limit on memory takes root".to_owned());
        }
        let (parent, file) = parent()?;
        let group = parent.join(format!("ndstore-bench-{}", process::id()));
        fs::create_dir(&group).map_err(|error| format!("cannot create {group:?}: {error}"))?;
        // A process that was killed just now may still be in it.
        let remove = "for wait in 0 0.1 0.5 2; do sleep $wait; rmdir \"$0\" 2> /dev/null && exit 0; done; rmdir \"$0\"";
        let limit = Limit {
            _back: Afterwards::run(remove, &[&group]),
            group,
        };
        limit.write(file, &nbytes.to_string())?;
        // Without this, what has no room goes to the swap.
        if limit.group.join("memory.swap.max").exists() {
            limit.write("memory.swap.max", "0")?;
        }
        Ok(limit)
    }

    fn write(&self, file: &str, text: &str) -> Result<(), String> {
        let file = self.group.join(file);
        fs::write(&file, text).map_err(|error| format!("cannot write {text} to {file:?}: {error}"))
    }

    /// A command that enters the group before it becomes `program`.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        let enter = "echo 0 > \"$0/cgroup.procs\" && exec \"$@\"";
        command.args(["-c", enter]).arg(&self.group).arg(program);
        command
    }
}

/// The group that new ones go into, and the name of the file that has their limit.
fn parent() -> Result<(PathBuf, &'static str), String> {
    let groups = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    // `12:memory:/path` in version 1, `0::/path` in version 2.
    let path_of = |controller: &str| {
        groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            (controllers.split(',').any(|found| found == controller))
                .then(|| path.trim_start_matches('/'))
        })
    };
    let first = Path::new("/sys/fs/cgroup/memory");
    if let (true, Some(path)) = (
        first.join("memory.limit_in_bytes").exists(),
        path_of("memory"),
    ) {
        // In a container the path may be one that it does not see.
        let own = Some(first.join(path)).filter(|own| own.exists());
        return Ok((
            own.unwrap_or_else(|| first.to_owned()),
            "memory.limit_in_bytes",
        ));
    }
    let second = Path::new("/sys/fs/cgroup");
    match path_of("") {
        Some(path) if second.join("cgroup.controllers").exists() => {
            let own = second.join(path);
            // A group has processes or groups with limits, not both; only the root has both.
            let parent = match path {
                "" => second,
                _ => own.parent().expect("the group is below the root"),
            };
            // Where the controller is on already this changes nothing, and where it cannot be, the limit's file is missing.
            let _ = fs::write(parent.join("cgroup.subtree_control"), "+memory");
            Ok((parent.to_owned(), "memory.max"))
        }
        _ => Err("no control group for memory is mounted at /sys/fs/cgroup".to_owned()),
    }
}
