//! Memory: a limit on what this process and its children may use, and how much they did.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

/// A control group with a limit on memory, the page cache included, that this process is in until it is dropped.
///
/// Processes that it starts meanwhile are in it, too. Pages that are in the page cache already cost nothing there: drop them
/// first.
pub(crate) struct Limit {
    group: PathBuf,
    /// Where the process was before.
    home: PathBuf,
}

impl Limit {
    /// Enters a new group. The error says why that cannot be.
    pub(crate) fn enter(nbytes: usize) -> Result<Limit, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("a memory limit takes root".to_owned());
        }
        let (home, parent, file) = home()?;
        let group = parent.join(format!("ndstore-bench-{}", process::id()));
        fs::create_dir(&group).map_err(|error| format!("cannot create {group:?}: {error}"))?;
        let limit = Limit { group, home };
        limit.write(file, &nbytes.to_string())?;
        // Without this, what has no room goes to the swap.
        if limit.group.join("memory.swap.max").exists() {
            limit.write("memory.swap.max", "0")?;
        }
        limit.write("cgroup.procs", &process::id().to_string())?;
        Ok(limit)
    }

    fn write(&self, file: &str, text: &str) -> Result<(), String> {
        let file = self.group.join(file);
        fs::write(&file, text).map_err(|error| format!("cannot write {text} to {file:?}: {error}"))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let back = fs::write(self.home.join("cgroup.procs"), process::id().to_string());
        let removed = fs::remove_dir(&self.group);
        if let Err(error) = back.and(removed) {
            eprintln!("{:?} is left over: {error}", self.group);
        }
    }
}

/// The group that this process is in, the one that new groups go into, and the name of the file that has the limit.
fn home() -> Result<(PathBuf, PathBuf, &'static str), String> {
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
        let home = Some(first.join(path)).filter(|home| home.exists());
        let home = home.unwrap_or_else(|| first.to_owned());
        return Ok((home.clone(), home, "memory.limit_in_bytes"));
    }
    let second = Path::new("/sys/fs/cgroup");
    match path_of("") {
        Some(path) if second.join("cgroup.controllers").exists() => {
            let home = second.join(path);
            // A group has processes or groups with limits, not both; only the root has both.
            let parent = match path {
                "" => second,
                _ => home.parent().expect("the group is below the root"),
            };
            // Where the controller is on already this changes nothing, and where it cannot be, the limit's file is missing.
            let _ = fs::write(parent.join("cgroup.subtree_control"), "+memory");
            Ok((home.clone(), parent.to_owned(), "memory.max"))
        }
        _ => Err("no control group for memory is mounted at /sys/fs/cgroup".to_owned()),
    }
}

/// The most memory that this process had while `work` ran, in bytes: heap and mapped pages, from what it had before on.
pub(crate) fn peak(work: impl FnOnce()) -> u64 {
    fs::write("/proc/self/clear_refs", "5").expect("Linux 4.0 and later reset the peak");
    work();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib
        .and_then(|kib| kib.parse().ok())
        .expect("VmHWM is given in kB");
    kib << 10
}
