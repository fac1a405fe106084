//! Regular files: opening without side effects, positioned reads and writes, and the file that a
//! path names.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Opens an existing file for reading, or for reading and writing, truncating and creating nothing.
///
/// A FIFO without a peer does not block the process, and a terminal does not take it over: the
/// caller sees from the metadata that they are not files.
pub(crate) fn open(path: &Path, write: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(write);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(path)
}

/// The word for anything that is not a regular file; `None` for a regular file.
pub(crate) fn kind_of_special(metadata: &Metadata) -> Option<&'static str> {
    #[cfg(unix)]
    return special(rustix::fs::FileType::from_raw_mode(
        std::os::unix::fs::MetadataExt::mode(metadata) as _,
    ));
    #[cfg(not(unix))]
    match metadata.file_type() {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some(DIRECTORY),
        kind if kind.is_symlink() => Some(LINK),
        _ => Some("not a regular file"),
    }
}

#[cfg(unix)]
fn special(kind: rustix::fs::FileType) -> Option<&'static str> {
    use rustix::fs::FileType;
    Some(match kind {
        FileType::RegularFile => return None,
        FileType::Directory => DIRECTORY,
        FileType::Symlink => LINK,
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "not a regular file",
    })
}

const DIRECTORY: &str = "a directory";
const LINK: &str = "a symbolic link";

/// The identity of a file, whatever its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl FileId {
    #[cfg(unix)]
    pub(crate) fn of(metadata: &Metadata) -> FileId {
        use std::os::unix::fs::MetadataExt;
        FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    #[cfg(unix)]
    fn of_stat(found: &rustix::fs::Stat) -> FileId {
        FileId {
            device: found.st_dev as _,
            inode: found.st_ino as _,
        }
    }

    /// Its number within its file system.
    pub(super) fn number(self) -> u64 {
        #[cfg(unix)]
        return self.inode;
        #[cfg(not(unix))]
        0
    }

    /// Platforms without inodes take every file for the same one, because an open file cannot be
    /// replaced there.
    #[cfg(not(unix))]
    pub(crate) fn of(_: &Metadata) -> FileId {
        FileId {}
    }
}

/// The file that a name names itself, even if that is a symbolic link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) id: FileId,
    /// The word for it, if it is not a regular file.
    pub(crate) special: Option<&'static str>,
    pub(super) owner: u32,
    /// The permission bits.
    mode: u32,
}

impl Entry {
    #[cfg(unix)]
    pub(super) fn of(found: &rustix::fs::Stat) -> Entry {
        Entry {
            id: FileId::of_stat(found),
            special: special(rustix::fs::FileType::from_raw_mode(found.st_mode)),
            owner: found.st_uid,
            mode: found.st_mode as _,
        }
    }

    /// Platforms without owners and modes give everybody every right.
    #[cfg(not(unix))]
    pub(super) fn of(metadata: &Metadata) -> Entry {
        Entry {
            id: FileId::of(metadata),
            special: kind_of_special(metadata),
            owner: owner_of(metadata),
            mode: 0,
        }
    }

    #[cfg(unix)]
    pub(super) fn is_link(&self) -> bool {
        self.special == Some(LINK)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.special == Some(DIRECTORY)
    }

    /// Whether users other than the owner may make and remove names in this directory.
    pub(super) fn others_may_write(&self) -> bool {
        self.mode & 0o022 != 0
    }

    /// Whether everybody may make names in this directory, and nobody may remove those of others.
    #[cfg(unix)]
    pub(super) fn is_like_tmp(&self) -> bool {
        self.is_sticky() && self.mode & 0o002 != 0
    }

    /// Whether only the owner of a file may remove its name in this directory.
    pub(super) fn is_sticky(&self) -> bool {
        self.mode & 0o1000 != 0
    }
}

/// The user whose file it is.
pub(super) fn owner_of(metadata: &Metadata) -> u32 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::uid(metadata);
    #[cfg(not(unix))]
    {
        let _ = metadata;
        0
    }
}

/// How often a step is repeated that other processes thwart. Each time they made, moved or removed
/// a file in the moment between a look and a call. A few times in a row are a rare chance; this
/// many mean that the name never rests.
pub(crate) const MAX_ROUNDS: usize = 100;

/// The error of a step that is not repeated once more.
pub(crate) fn restless() -> io::Error {
    io::Error::other(
        "others change again and again what this name stands for; let them finish, or choose another name",
    )
}

/// Whether `path` names the file `id`: false if it names another file, or nothing.
pub(crate) fn names(path: &Path, id: FileId) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(FileId::of(&metadata) == id),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// How many names the file has: 0 once it was replaced or removed, more than 1 if it has hard
/// links.
#[cfg(unix)]
pub(crate) fn names_of(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

/// Platforms without hard links give a file one name.
#[cfg(not(unix))]
pub(crate) fn names_of(_: &Metadata) -> u64 {
    1
}

/// The path from the root, so that it stays right when the working directory changes.
///
/// If no path leads back to the working directory (it is too long, or a directory on the way is
/// closed), this is the path as it was given, which is right until the working directory changes.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let full = match std::path::absolute(path) {
        Ok(full) => full,
        Err(_) if path.is_relative() && !path.as_os_str().is_empty() => return Ok(path.to_owned()),
        Err(error) => return Err(error),
    };
    if path.is_absolute() {
        return Ok(full);
    }
    let seen = |path: &Path| {
        let found = std::fs::symlink_metadata(path);
        found
            .map(|found| FileId::of(&found))
            .map_err(|error| error.raw_os_error())
    };
    Ok(match seen(path) == seen(&full) {
        true => full,
        false => path.to_owned(),
    })
}

/// Opens a file on overlayfs once more, to be mapped.
///
/// On overlayfs, opening a file for writing first copies it up from a lower layer to the upper one.
/// A descriptor that was opened before, for reading, then reads the copy; but a map made from it
/// shows the lower file, which is old and shorter than the descriptor says, so touching the rest is
/// a SIGBUS. A map of a descriptor that is opened now shows the bytes that can be read now.
pub(crate) fn reopened(file: &File, metadata: &Metadata) -> io::Result<Option<File>> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::MetadataExt;
        const OVERLAYFS_MAGIC: u32 = 0x794c_7630;
        // What overlayfs shows of its lower layers is on no block device, so most files need not be
        // asked what they are on.
        let is_overlay = rustix::fs::major(metadata.dev()) == 0
            && rustix::fs::fstatfs(file).is_ok_and(|found| found.f_type as u32 == OVERLAYFS_MAGIC);
        if is_overlay {
            return File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).map(Some);
        }
    }
    let _ = (file, metadata);
    Ok(None)
}

/// Reads until `buffer` is full or the file ends, and says how much it read.
pub(crate) fn read_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let wanted = buffer.len();
    while !buffer.is_empty() {
        match read_once(file, buffer, offset) {
            Ok(0) => break,
            Ok(n) => {
                buffer = &mut buffer[n..];
                offset += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(wanted - buffer.len())
}

#[cfg(unix)]
fn read_once(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_once(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Writes all of `bytes` at `offset`.
#[cfg(unix)]
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Writes all of `bytes` at `offset`.
#[cfg(windows)]
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[n..];
        offset += n as u64;
    }
    Ok(())
}
