//! Small file systems in image files, mounted for as long as a value lives.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, ioctl, opcode};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ext4,
    Xfs,
    Btrfs,
    Tmpfs,
    /// Has neither blocks that can be reserved nor an end.
    Ramfs,
    /// In user space. Neither swaps nor links names, and keeps neither owners nor modes.
    ExFat,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Ext4, Kind::Xfs, Kind::Btrfs, Kind::Tmpfs];

    /// Those on which files can share blocks.
    pub(crate) const REFLINK: [Kind; 2] = [Kind::Xfs, Kind::Btrfs];

    /// About the smallest size in MiB that the file system takes.
    pub(crate) fn small(self) -> u64 {
        match self {
            Kind::Ext4 => 96,
            Kind::Xfs => 320,
            Kind::Btrfs => 160,
            Kind::Tmpfs | Kind::Ramfs | Kind::ExFat => 64,
        }
    }
}

/// A mounted file system of its own. Dropping it unmounts it.
pub(crate) struct Disk {
    kind: Kind,
    image: PathBuf,
    mount: PathBuf,
    _dir: TempDir,
}

impl Disk {
    /// Makes and mounts a file system of `mebibytes`.
    pub(crate) fn new(kind: Kind, mebibytes: u64) -> Disk {
        // In memory, where there is such a place: a sync then waits for no disk.
        let dir = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let (image, mount) = (dir.path().join("image"), dir.path().join("mount"));
        fs::create_dir(&mount).unwrap();
        let disk = Disk {
            kind,
            image,
            mount,
            _dir: dir,
        };
        let image = &disk.image;
        let make = match kind {
            Kind::Ext4 => ["mkfs.ext4", "-q", "-F"],
            Kind::Xfs => ["mkfs.xfs", "-q", "-f"],
            Kind::Btrfs => ["mkfs.btrfs", "-q", "-f"],
            Kind::ExFat => ["mkfs.exfat", "-c", "4K"],
            Kind::Tmpfs | Kind::Ramfs => {
                let name = if kind == Kind::Tmpfs {
                    "tmpfs"
                } else {
                    "ramfs"
                };
                let size = format!("size={mebibytes}m");
                run(Command::new("mount")
                    .args(["-t", name, "-o", &size, name])
                    .arg(&disk.mount));
                return disk;
            }
        };
        File::create(image)
            .unwrap()
            .set_len(mebibytes << 20)
            .unwrap();
        run(Command::new(make[0])
            .args(&make[1..])
            .arg(image)
            .stdout(Stdio::null())
            .stderr(Stdio::null()));
        disk.mount();
        disk
    }

    fn mount(&self) {
        let mut mount = Command::new("mount");
        if self.kind == Kind::ExFat {
            mount.args(["-t", "exfat-fuse"]);
        }
        run(mount
            .args(["-o", "loop"])
            .stdout(Stdio::null())
            .arg(&self.image)
            .arg(&self.mount));
    }

    /// Ends all writing, as a power cut does: what is not on the disk is lost. Only ext4 and xfs
    /// can do it.
    #[allow(unsafe_code)]
    pub(crate) fn cut_power(&self) {
        /// `EXT4_IOC_SHUTDOWN` and `XFS_IOC_GOINGDOWN`, which are one.
        const SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);
        /// Not even the journal is flushed.
        const NO_LOG_FLUSH: u32 = 2;
        let root = File::open(&self.mount).unwrap();
        // SAFETY: the call reads a `u32`, although its number says that it writes one.
        let shutdown = unsafe { Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH) };
        // SAFETY: what it does is to the file system, and the file descriptor is open.
        unsafe { ioctl(root, shutdown) }.unwrap();
    }

    /// Mounts it again, once nobody uses it any more: after a power cut, the journal is replayed.
    pub(crate) fn remount(&self) {
        run(Command::new("umount").arg(&self.mount));
        self.mount();
    }

    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    /// The bytes that may still be written, once all that is under way has settled.
    pub(crate) fn free(&self) -> u64 {
        run(Command::new("sync").arg("-f").arg(&self.mount));
        fs2::available_space(&self.mount).unwrap()
    }

    /// Takes every block that is left.
    pub(crate) fn fill(&self) {
        // What was promised to pages that are not written yet may come back, hence more than once.
        for round in 0..2 {
            self.free();
            let Ok(junk) = File::create(self.mount.join(format!("junk{round}"))) else {
                return;
            };
            let (mut end, mut piece) = (0, 64 << 20);
            while piece >= 4096 {
                match rustix::fs::fallocate(&junk, FallocateFlags::empty(), end, piece) {
                    Ok(()) => end += piece,
                    Err(Errno::NOSPC) => piece /= 2,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.mount).status();
        let done = done.is_ok_and(|status| status.success());
        if !done {
            let _ = Command::new("umount").arg("-l").arg(&self.mount).status();
        }
        assert!(
            done || std::thread::panicking(),
            "{:?} was in use",
            self.mount
        );
    }
}

/// Runs a command that must succeed.
#[track_caller]
pub(crate) fn run(command: &mut Command) {
    let status = command.status();
    let status = status.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
