//! Control groups: this program once more, with little memory or few threads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A control group. Dropping it removes it.
pub(super) struct Group(PathBuf);

impl Group {
    /// A group with so many bytes of memory: pages of files that it reads and writes are charged to
    /// it, too.
    pub(super) fn of_memory(nbytes: usize) -> Group {
        Group::new("memory", "memory.limit_in_bytes", "memory.max", nbytes)
    }

    /// A group of at most so many threads.
    pub(super) fn of_threads(count: usize) -> Group {
        Group::new("pids", "pids.max", "pids.max", count)
    }

    /// By the controller and the name of its limit in version 1, or by the name in version 2.
    fn new(controller: &str, limit_1: &str, limit_2: &str, limit: usize) -> Group {
        let name = format!("ndstore-rig-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let version_1 = root.join(controller);
        let (root, file) = match version_1.is_dir() {
            true => (version_1.as_path(), limit_1),
            false => (root, limit_2),
        };
        let group = Group(root.join(name));
        fs::create_dir(&group.0).unwrap();
        fs::write(group.0.join(file), limit.to_string()).unwrap();
        group
    }

    /// Runs a test of this binary in the group, which finds `directory` by the
    /// [environment](directory).
    pub(super) fn run(&self, test: &str, directory: &Path) {
        let join = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
        let status = Command::new("sh")
            .args(["-c", join])
            .arg(&self.0)
            .arg(std::env::current_exe().unwrap())
            .args([test, "--exact", "--ignored", "--nocapture"])
            .args(["--test-threads", "1"])
            .env(DIRECTORY, directory)
            .status();
        assert!(status.unwrap().success(), "{test}");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Where a test that a group runs finds its directory.
const DIRECTORY: &str = "NDSTORE_RIG_DIRECTORY";

/// The directory to work in. `None` where the test was run by hand, or with all the rigs: a group
/// starts it where it belongs.
pub(super) fn directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}
