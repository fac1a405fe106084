//! The disk, mounted: FUSE requests in, calls of [`Disk`] out.
//!
//! Nothing is cached on the way but the pages of maps: the kernel asks for each name and each
//! length anew, so the log has all that a program sees done. Locks (`flock`) are the kernel's own.
//! What is not here (`copy_file_range`, extended attributes, `lseek` for holes) is answered with
//! ENOSYS, for which the kernel and the store have other ways.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};

use crate::disk::{Disk, Inode};
use crate::log::Attributes;

/// Nothing is remembered by the kernel.
const TTL: Duration = Duration::ZERO;

const BLOCK: u32 = 4096;

/// A mounted disk. Dropping it unmounts.
pub(crate) struct Mounted {
    disk: Arc<Mutex<Disk>>,
    session: BackgroundSession,
}

impl Mounted {
    pub(crate) fn new(disk: Disk, at: &Path) -> io::Result<Mounted> {
        let disk = Arc::new(Mutex::new(disk));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("ndstore-crash".to_owned())];
        let session = fuser::spawn_mount(Served(Arc::clone(&disk)), at, &config)?;
        Ok(Mounted { disk, session })
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no request panicked")
    }

    /// Unmounts, and hands the disk over.
    pub(crate) fn unmount(self) -> io::Result<Disk> {
        self.session.umount_and_join()?;
        let disk = Arc::into_inner(self.disk).ok_or(io::ErrorKind::ResourceBusy)?;
        Ok(disk.into_inner().expect("no request panicked"))
    }
}

struct Served(Arc<Mutex<Disk>>);

impl Served {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("no request panicked")
    }

    fn attr(&self, ino: INodeNo) -> Result<FileAttr, Errno> {
        if ino == INodeNo::ROOT {
            return Ok(directory());
        }
        let disk = self.disk();
        match disk.directory(ino.0) {
            Some(found) => Ok(FileAttr {
                ino,
                perm: found.attributes.mode as u16,
                uid: found.attributes.uid,
                gid: found.attributes.gid,
                ..directory()
            }),
            None => Ok(regular(ino, disk.inode(ino.0).map_err(code)?)),
        }
    }

    /// Does something to the disk with a name in a directory.
    fn with<T>(
        &self,
        parent: INodeNo,
        name: &OsStr,
        change: impl FnOnce(&mut Disk, &str) -> Result<T, rustix::io::Errno>,
    ) -> Result<T, rustix::io::Errno> {
        let mut disk = self.disk();
        let path = disk.path(parent.0, text(name))?;
        change(&mut disk, &path)
    }
}

fn code(error: rustix::io::Errno) -> Errno {
    Errno::from(io::Error::from(error))
}

/// A name of ours is text; any other does not exist.
fn text(name: &OsStr) -> &str {
    name.to_str().unwrap_or_default()
}

fn directory() -> FileAttr {
    FileAttr {
        ino: INodeNo::ROOT,
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::Directory,
        perm: 0o755,
        nlink: 2,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

fn regular(ino: INodeNo, inode: &Inode) -> FileAttr {
    FileAttr {
        ino,
        size: inode.bytes.len() as u64,
        blocks: inode.room().next_multiple_of(BLOCK.into()) / 512,
        kind: FileType::RegularFile,
        perm: inode.attributes.mode as u16,
        nlink: inode.links,
        uid: inode.attributes.uid,
        gid: inode.attributes.gid,
        ..directory()
    }
}

fn answer(reply: ReplyEmpty, result: Result<(), rustix::io::Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(code(error)),
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.with(parent, name, Disk::lookup).map_err(code);
        match found.and_then(|ino| self.attr(INodeNo(ino))) {
            Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(ino) {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = |disk: &mut Disk| {
            if let Some(len) = size {
                disk.set_len(ino.0, len)?;
            }
            if mode.is_some() || uid.is_some() || gid.is_some() {
                let old = disk.inode(ino.0)?.attributes;
                let attributes = Attributes {
                    mode: mode.map_or(old.mode, |mode| mode & 0o7777),
                    uid: uid.unwrap_or(old.uid),
                    gid: gid.unwrap_or(old.gid),
                };
                disk.set_attributes(ino.0, attributes)?;
            }
            Ok(())
        };
        let done = set(&mut self.disk()).map_err(code);
        match done.and_then(|()| self.attr(ino)) {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let attributes = Attributes {
            mode: mode & !umask & 0o7777,
            uid: request.uid(),
            gid: request.gid(),
        };
        let made = self
            .with(parent, name, |disk, path| disk.create(path, attributes))
            .map_err(code);
        match made.and_then(|ino| self.attr(INodeNo(ino))) {
            Ok(attr) => reply.created(
                &TTL,
                &attr,
                Generation(0),
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.disk().inode(ino.0) {
            Ok(Inode { bytes, .. }) => {
                let start = bytes.len().min(offset as usize);
                let end = bytes.len().min(start + size as usize);
                reply.data(&bytes[start..end]);
            }
            Err(error) => reply.error(code(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.disk().write(ino.0, offset, data) {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(code(error)),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let keep_size = match mode {
            0 => false,
            mode if mode == rustix::fs::FallocateFlags::KEEP_SIZE.bits().cast_signed() => true,
            _ => return reply.error(Errno::EOPNOTSUPP),
        };
        let done = self.disk().allocate(ino.0, offset + length, keep_size);
        answer(reply, done);
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let linked = self
            .with(parent, name, |disk, path| disk.link(ino.0, path))
            .map_err(code);
        match linked.and_then(|()| self.attr(ino)) {
            Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn rename(
        &self,
        _: &Request,
        from_parent: INodeNo,
        from: &OsStr,
        to_parent: INodeNo,
        to: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let noreplace = flags == RenameFlags::RENAME_NOREPLACE;
        let exchange = flags == RenameFlags::RENAME_EXCHANGE;
        if !noreplace && !exchange && !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let renamed = self.with(from_parent, from, |disk, from| {
            let to = disk.path(to_parent.0, text(to))?;
            match exchange {
                true => disk.exchange(from, &to),
                false => disk.rename(from, &to, noreplace),
            }
        });
        answer(reply, renamed);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.with(parent, name, Disk::unlink));
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let attributes = Attributes {
            mode: mode & !umask & 0o7777,
            uid: request.uid(),
            gid: request.gid(),
        };
        let made = self.with(parent, name, |disk, path| {
            disk.make_directory(path, attributes)
        });
        let made = made.map_err(code);
        match made.and_then(|ino| self.attr(INodeNo(ino))) {
            Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.with(parent, name, Disk::remove_directory));
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let listed = match self.disk().list(ino.0) {
            Ok(listed) => listed,
            Err(error) => return reply.error(code(error)),
        };
        for (place, (name, ino)) in (1..).zip(listed).skip(offset as usize) {
            let kind = match self.disk().directory(ino) {
                Some(_) => FileType::Directory,
                None => FileType::RegularFile,
            };
            if reply.add(INodeNo(ino), place, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, datasync: bool, reply: ReplyEmpty) {
        answer(reply, self.disk().sync(ino.0, datasync));
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(reply, self.disk().sync_directory());
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}
