//! The memory that this process may still take.
//!
//! Asking the system reads two dozen files, which takes as long as reading a thousand small rows.
//! So an answer is kept: for a second, and for a minute if little is asked for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Requests up to this size are little.
const LITTLE: u64 = 16 << 20;

/// The age up to which an answer serves any request.
const FRESH: Duration = Duration::from_secs(1);
const OLD: Duration = Duration::from_secs(60);

/// The bytes of memory that are available to this process, by an answer recent enough for a caller
/// who needs so many: the memory that the system has left, or the limit of the process's control
/// group or of one above it, whichever is least. `None` if the system does not tell.
pub(crate) fn available_memory(needed: u64) -> Option<u64> {
    static LAST: Mutex<Option<(Instant, Option<u64>)>> = Mutex::new(None);
    // Nothing panics while the lock is held.
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let good = if needed <= LITTLE { OLD } else { FRESH };
    match *last {
        Some((when, found)) if when.elapsed() < good => found,
        _ => last.insert((Instant::now(), look_up())).1,
    }
}

#[cfg(target_os = "linux")]
fn look_up() -> Option<u64> {
    let text = |path: &std::path::Path| std::fs::read_to_string(path).ok();
    let system = text("/proc/meminfo".as_ref()).and_then(|info| linux::available(&info));
    let limits = text("/proc/self/cgroup".as_ref())
        .zip(text("/proc/self/mountinfo".as_ref()))
        .map(|(groups, mounts)| linux::limit_files(&groups, &mounts))
        .unwrap_or_default();
    let limits = limits
        .iter()
        .filter_map(|path| text(path)?.trim().parse().ok());
    system.into_iter().chain(limits).min()
}

#[cfg(not(target_os = "linux"))]
fn look_up() -> Option<u64> {
    None
}

/// Zeros for `len` elements, or `None` if that is more than the system has: a number that a file
/// claims must not end the process.
pub(crate) fn zeroed_vec<A: bytemuck::Zeroable>(len: usize) -> Option<Vec<A>> {
    // If the kernel promises any amount (`vm.overcommit_memory`), it kills the process that uses
    // what it promised.
    #[cfg(target_os = "linux")]
    if let nbytes = len.checked_mul(size_of::<A>())? as u64
        && nbytes > LITTLE
    {
        let found = rustix::system::sysinfo();
        let units = u128::from(found.totalram) + u128::from(found.totalswap);
        if u128::from(nbytes) > units * u128::from(found.mem_unit) {
            return None;
        }
    }
    bytemuck::try_zeroed_vec(len).ok()
}

/// Whether a file of `nbytes` is too large to stay in the page cache: larger than half of the
/// available memory.
pub(crate) fn outgrows_cache(nbytes: u64) -> bool {
    available_memory(nbytes).is_some_and(|available| nbytes > available / 2)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::{Path, PathBuf};

    /// `MemAvailable` of `/proc/meminfo`, in bytes.
    pub(super) fn available(info: &str) -> Option<u64> {
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("MemAvailable:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    }

    /// The files that may hold a limit on memory: those of each control group of the process, by
    /// `/proc/self/cgroup`, and of the groups above it, up to the mount of the hierarchy, by
    /// `/proc/self/mountinfo`. Not all of them exist.
    pub(super) fn limit_files(groups: &str, mounts: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for group in groups.lines() {
            let mut parts = group.splitn(3, ':');
            let (Some(id), Some(controllers), Some(path)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let (kind, names): (_, &[&str]) = if id == "0" && controllers.is_empty() {
                ("cgroup2", &["memory.max", "memory.high"])
            } else if controllers.split(',').any(|name| name == "memory") {
                ("cgroup", &["memory.limit_in_bytes"])
            } else {
                continue;
            };
            let Some((root, mounted)) = mounts.lines().find_map(|line| mount(line, kind)) else {
                continue;
            };
            // In a container the mount may show only this group, or one that does not contain it.
            let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
            for group in inside.ancestors() {
                let directory = Path::new(mounted).join(group);
                files.extend(names.iter().map(|name| directory.join(name)));
            }
        }
        files
    }

    /// The group that is mounted and the mount point, if this line of `mountinfo` is the mount of
    /// the memory controller.
    fn mount<'a>(line: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(3);
        let mount = (front.next()?, front.next()?);
        let mut back = back.split(' ');
        let found = back.next()?;
        let options = back.nth(1)?;
        let memory = kind == "cgroup2" || options.split(',').any(|option| option == "memory");
        (found == kind && memory).then_some(mount)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const MOUNTS: &str = "\
24 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 /docker/ab /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

        fn files(groups: &str) -> Vec<String> {
            let files = limit_files(groups, MOUNTS);
            files
                .iter()
                .map(|file| file.to_str().unwrap().to_owned())
                .collect()
        }

        #[test]
        fn the_memory_that_is_available_is_read_in_kib() {
            let info = "MemTotal:       24630000 kB\nMemAvailable:   24100000 kB\nBuffers: 1 kB\n";
            assert_eq!(available(info), Some(24_100_000 * 1024));
            assert_eq!(available("MemTotal: 1 kB\n"), None);
        }

        #[test]
        fn the_limits_of_version_1_are_those_of_the_group_and_all_above_it() {
            assert_eq!(
                files("5:cpu:/x\n4:memory:/a/b\n1:name=systemd:/\n"),
                [
                    "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                    "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                ]
            );
        }

        #[test]
        fn the_limits_of_version_2_are_taken_below_what_is_mounted() {
            assert_eq!(
                files("0::/docker/ab/c\n"),
                [
                    "/sys/fs/cgroup/unified/c/memory.max",
                    "/sys/fs/cgroup/unified/c/memory.high",
                    "/sys/fs/cgroup/unified/memory.max",
                    "/sys/fs/cgroup/unified/memory.high",
                ]
            );
        }

        #[test]
        fn a_group_outside_of_the_mount_has_the_limits_at_its_top() {
            assert_eq!(
                files("0::/elsewhere\n"),
                [
                    "/sys/fs/cgroup/unified/memory.max",
                    "/sys/fs/cgroup/unified/memory.high",
                ]
            );
            assert!(files("nonsense\n").is_empty());
        }
    }
}
