//! A new file in a private directory beside its target, and the durable step that gives it the
//! target's name.
//!
//! # The room
//!
//! A draft for NAME is made in a **room**: a directory `.NAME.ndstore-N` with mode 0700. The lowest
//! free N is taken, so no directory has to be searched, however many files it holds. In the room
//! the draft is called `ndstore-draft`, and is locked from its first moment. Nobody but its owner
//! can put anything into a room, so nothing that is found there was planted, and whoever makes a
//! draft may judge what others have left.
//!
//! # The mark
//!
//! What a process leaves when it dies is removed by the next that makes a draft for the same name.
//! It must never take an array of somebody for a draft, so a draft needs a mark. A mark within the
//! file would have to go before the file gets its name, and a process that dies between the two
//! would leave a draft that nobody may remove. Attributes are not there on every file system. So
//! the mark is where the file is, and under which name:
//!
//! - A regular file is never a room, whatever it is called, nor is a directory of another owner, or
//!   one that others may write.
//! - `ndstore-draft` in a room is a draft: nothing but a draft ever has that name there.
//! - Two names are swapped to publish a draft in place of an old file. If a stranger's file has
//!   come between, it is then that file which stands in the room, although it may be a living
//!   store. So before the swap the draft becomes `ndstore-draft-NEW-OLD`, by the inode numbers of
//!   the draft and of the file that it is to replace. What is found under that name may go if it is
//!   one of these two, and nothing else ever does.
//!
//! An inode keeps its number as long as somebody has it open or it has a name, on all file systems
//! that have numbers at all. Where a file system makes them up, as some in user space do, the worst
//! is a draft that stays.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::directory::Directory;
use super::file::{Entry, FileId, owner_of};
use super::fork::Maker;
use super::lock::{LockedFile, NotLocked, Patience};

/// More creators of one file at a time than anyone has.
const MAX_DRAFTS: u32 = 1024;

/// The longest file name that common file systems take, in bytes.
const MAX_NAME: usize = 255;

/// The name of a draft in its room.
const DRAFT: &str = "ndstore-draft";

/// What a draft may read and write before it has the mode of the file that it replaces, which may
/// be private.
const PRIVATE: u32 = 0o600;

/// Waits until the name `path` of an open file is on the disk, with symbolic links followed.
///
/// Where its directory cannot be opened, because this user may not read it or because it was moved,
/// the whole file system is synced, which takes no name.
pub(crate) fn sync_name(path: &Path, named: &File) -> io::Result<()> {
    let directory = Directory::find(path).and_then(|(directory, _)| directory.readable());
    match directory {
        Ok(directory) => directory.sync(),
        #[cfg(target_os = "linux")]
        Err(_) => super::retry::retry(|| Ok(rustix::fs::syncfs(named)?)),
        #[cfg(not(target_os = "linux"))]
        Err(error) => {
            let _ = named;
            Err(error)
        }
    }
}

/// The new file. It goes away with this value unless it is published.
#[derive(Debug)]
pub(crate) struct Draft {
    file: LockedFile,
    name: Unpublished,
}

impl Draft {
    /// Makes an empty, locked file for the name `target` in `directory`. Where there are no locks,
    /// `need_lock` decides.
    ///
    /// A `private` one is for its owner alone until it gets the mode of the file that it replaces.
    pub(crate) fn new(
        directory: &Arc<Directory>,
        target: &OsStr,
        need_lock: bool,
        private: bool,
    ) -> Result<Draft, NotLocked> {
        let mut made: Option<Draft> = None;
        let mut others = Vec::new();
        for number in 0..MAX_DRAFTS {
            let name = room_name(target, number);
            if made.is_none() {
                match Draft::in_room(directory, &name, need_lock, private)? {
                    Some(draft) => made = Some(draft),
                    None => others.push(name),
                }
            } else if directory.look(&name).map_err(NotLocked::Io)?.is_some() {
                others.push(name);
            } else {
                // Numbers are taken from below: behind a free one there are hardly others.
                break;
            }
        }
        let made = made.ok_or_else(|| {
            NotLocked::Open(io::Error::other("too many temporary files stand beside it"))
        })?;
        for name in others {
            // Nobody misses them if this fails.
            let _ = clear(directory, &name, made.name.owner);
        }
        Ok(made)
    }

    /// Makes the file in a room of that name, or `None` if somebody else has the name, or took the
    /// room.
    fn in_room(
        directory: &Arc<Directory>,
        name: &OsStr,
        need_lock: bool,
        private: bool,
    ) -> Result<Option<Draft>, NotLocked> {
        use io::ErrorKind::{AlreadyExists, NotADirectory, NotFound};
        let room = match directory.create_directory(name) {
            Ok(room) => room,
            // Others may have removed it, or put something else there.
            Err(error) if matches!(error.kind(), AlreadyExists | NotFound | NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(NotLocked::Open(error)),
        };
        let mode = if private { PRIVATE } else { 0o666 };
        let file = match room.create_file(DRAFT.as_ref(), mode) {
            Ok(file) => file,
            // Between its making and that of its file, another process took the room for a stale
            // one, or another user put one of its own there.
            Err(error) if matches!(error.kind(), NotFound | AlreadyExists) => return Ok(None),
            Err(error) => {
                let _ = remove_room(directory, &room, name);
                return Err(NotLocked::Open(error));
            }
        };
        let metadata = file.metadata().map_err(NotLocked::Io)?;
        let unpublished = Unpublished {
            directory: Arc::clone(directory),
            room,
            room_name: name.to_owned(),
            name: DRAFT.into(),
            id: FileId::of(&metadata),
            owner: owner_of(&metadata),
            maker: Maker::this(),
        };
        // Before it was opened, others may have put a room of theirs in its place.
        if unpublished.room.itself().map_err(NotLocked::Io)?.owner != unpublished.owner {
            return Ok(None);
        }
        let locked = match need_lock {
            true => LockedFile::lock(file, true, Patience::None),
            false => Ok(LockedFile::lock_if_possible(file)),
        };
        match locked {
            Ok(file) if unpublished.is_there().map_err(NotLocked::Io)? => Ok(Some(Draft {
                file,
                name: unpublished,
            })),
            // The same, between the making of the file and its lock.
            Ok(_) | Err(NotLocked::Held(..)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn file(&self) -> &File {
        self.file.file()
    }

    /// Asks the system whether this user may replace the file `target`, before there is any work to
    /// lose. It may not in a sticky directory, if neither the file nor the directory is its own;
    /// and nothing can be given the name of a mount (`ResourceBusy`).
    pub(crate) fn may_replace(&self, target: &OsStr) -> io::Result<()> {
        let Unpublished {
            directory,
            room_name,
            ..
        } = &self.name;
        if directory.is_mount(target) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        if !directory.itself()?.is_sticky() {
            return Ok(());
        }
        // A file never takes the place of a directory. Whether it might leave its own is checked
        // first.
        match directory.rename(target, directory, room_name) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            _ => Ok(()),
        }
    }

    /// Parts the file, which may be mapped now, from its name.
    pub(crate) fn into_parts(self) -> (LockedFile, Unpublished) {
        (self.file, self.name)
    }
}

/// `.NAME.ndstore-N`. Of a NAME too long for that, as much as fits: two such names may then share
/// their numbers, which the locks sort out.
fn room_name(name: &OsStr, number: u32) -> OsString {
    let tail = format!(".ndstore-{number}");
    let room = MAX_NAME - 1 - tail.len();
    let mut draft = OsString::from(".");
    if name.len() <= room {
        draft.push(name);
    } else {
        let text = name.to_string_lossy();
        draft.push(&text[..text.floor_char_boundary(room)]);
    }
    draft.push(tail);
    draft
}

/// What a draft is called while its name and that of the old file are swapped.
#[cfg(target_os = "linux")]
fn swapped_name(new: FileId, old: FileId) -> OsString {
    format!("{DRAFT}-{}-{}", new.number(), old.number()).into()
}

/// Whether a file that is called so in a room is a draft, or the old file that a draft has
/// replaced.
fn is_ours(name: &OsStr, entry: &Entry) -> bool {
    let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(DRAFT)) else {
        return false;
    };
    let numbers = || {
        let (new, old) = rest.strip_prefix('-')?.split_once('-')?;
        Some([new.parse().ok()?, old.parse().ok()?])
    };
    let is_named = || numbers().is_some_and(|named: [u64; 2]| named.contains(&entry.id.number()));
    entry.special.is_none() && (rest.is_empty() || is_named())
}

/// Removes the room of this name, with the draft in it, if it is `owner`'s and nobody is at work
/// there.
fn clear(directory: &Directory, name: &OsStr, owner: u32) -> io::Result<()> {
    let found = directory.look(name)?;
    let is_room =
        |entry: &Entry| entry.is_directory() && entry.owner == owner && !entry.others_may_write();
    if !found.as_ref().is_some_and(is_room) {
        return Ok(());
    }
    let room = directory.open_directory(name)?;
    // Somebody may have put another one in its place.
    if !is_room(&room.itself()?) {
        return Ok(());
    }
    // There is never more than one.
    for name in room.entries(1)?.unwrap_or_default() {
        let Some(entry) = room.look(&name)?.filter(|entry| is_ours(&name, entry)) else {
            return Ok(());
        };
        // For writing, because some network file systems lock exclusively only what is open for
        // that.
        let opened = room.open_file(&name, entry.id, true);
        let file = opened.or_else(|_| room.open_file(&name, entry.id, false))?;
        let Ok(_lock) = LockedFile::lock(file, true, Patience::None) else {
            return Ok(());
        };
        // Under the lock: its maker may have published it.
        if !room.names(&name, entry.id)? {
            return Ok(());
        }
        room.remove_file(&name)?;
    }
    remove_room(directory, &room, name)
}

/// Removes a room, if that is what still has its name.
fn remove_room(directory: &Directory, room: &Directory, name: &OsStr) -> io::Result<()> {
    match directory.names(name, room.itself()?.id)? {
        true => directory.remove_directory(name),
        false => Ok(()),
    }
}

/// The name of a file that is ready. Dropping it removes the file, and the room; not so in a forked
/// child, which has a copy of this value, while file and room are its parent's.
#[derive(Debug)]
pub(crate) struct Unpublished {
    directory: Arc<Directory>,
    room: Directory,
    room_name: OsString,
    /// What it is called in the room.
    name: OsString,
    id: FileId,
    /// Who has made it, as its file system sees it.
    owner: u32,
    maker: Maker,
}

impl Unpublished {
    /// Whether this process made the file.
    pub(crate) fn is_ours(&self) -> bool {
        self.maker.is_this()
    }

    /// Whether the file is still called so in the room.
    fn is_there(&self) -> io::Result<bool> {
        self.room.names(&self.name, self.id)
    }

    /// Gives the file the name `target` if nobody has it. False if somebody has.
    pub(crate) fn publish_new(&mut self, target: &OsStr) -> io::Result<bool> {
        match self.room.rename_new(&self.name, &self.directory, target) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.publish_claimed(target)
            }
            Err(error) => Err(error),
        }
    }

    /// The same for file systems that have neither a rename that replaces nothing nor hard links:
    /// an empty file claims the name, and is replaced. A process that dies in between leaves that.
    fn publish_claimed(&mut self, target: &OsStr) -> io::Result<bool> {
        let claim = match self.directory.create_file(target, PRIVATE) {
            Ok(claim) => claim,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        };
        let id = FileId::of(&claim.metadata()?);
        // Whoever else locks it replaces it.
        let _locked = match LockedFile::lock(claim, true, Patience::None) {
            Err(NotLocked::Held(..)) => return Ok(false),
            locked => locked.ok(),
        };
        let replaced = self.replace(target, id);
        if replaced.is_err() && self.directory.names(target, id)? {
            self.directory.remove_file(target)?;
        }
        replaced
    }

    /// Gives the file the name `target` in place of the file `old`, which its caller has locked.
    /// False, and nothing has changed, if the name stands for something else.
    ///
    /// Where two names can be swapped, it is looked at afterwards what was replaced, and put back
    /// if that is not `old`. Elsewhere a moment is left between the look and the rename.
    pub(crate) fn replace(&mut self, target: &OsStr, old: FileId) -> io::Result<bool> {
        // What others have there is better left alone, so that nobody sees it go and come back.
        if !self.directory.names(target, old)? {
            return Ok(false);
        }
        #[cfg(target_os = "linux")]
        match self.swap(target, old) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            done => return done,
        }
        if !self.directory.names(target, old)? {
            return Ok(false);
        }
        self.room.rename(&self.name, &self.directory, target)?;
        Ok(true)
    }

    #[cfg(target_os = "linux")]
    fn swap(&mut self, target: &OsStr, old: FileId) -> io::Result<bool> {
        self.rename_to(swapped_name(self.id, old))?;
        match self.room.exchange(&self.name, &self.directory, target) {
            Ok(()) => {}
            // The name stands for nothing now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                self.rename_to(DRAFT.into())?;
                return Err(error);
            }
        }
        if self.room.names(&self.name, old)? {
            // If it cannot be removed now, the next that makes a draft does it.
            let _ = self.room.remove_file(&self.name);
            return Ok(true);
        }
        self.put_back(target)?;
        Ok(false)
    }

    #[cfg(target_os = "linux")]
    fn rename_to(&mut self, name: OsString) -> io::Result<()> {
        self.room.rename(&self.name, &self.room, &name)?;
        self.name = name;
        Ok(())
    }

    /// Gives the stranger's file in the room its name back.
    #[cfg(target_os = "linux")]
    fn put_back(&mut self, target: &OsStr) -> io::Result<()> {
        let back = self.room.exchange(&self.name, &self.directory, target);
        if back.is_ok() && self.is_there()? {
            return Ok(());
        }
        // The draft was moved away as well. What is in the room stays there unless its name is
        // free.
        let place = self.room.path().join(&self.name);
        match self.room.rename_new(&self.name, &self.directory, target) {
            Ok(()) => Err(io::Error::other(
                "others moved the new file away at the moment at which it got its name",
            )),
            Err(error) => Err(io::Error::other(format!(
                "others changed again and again what the name stands for ({error}); one of their files is now {place:?}"
            ))),
        }
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        // Not what was swapped with it.
        if self.is_there().is_ok_and(|is_there| is_there) {
            let _ = self.room.remove_file(&self.name);
        }
        // Nor a room of somebody else that it was made in by mistake.
        if (self.room.itself()).is_ok_and(|room| room.owner == self.owner) {
            let _ = remove_room(&self.directory, &self.room, &self.room_name);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const TARGET: &str = "a.npy";

    struct Scene {
        dir: tempfile::TempDir,
        directory: Arc<Directory>,
    }

    impl Scene {
        fn new() -> Scene {
            let dir = tempfile::tempdir().unwrap();
            let (directory, name) = Directory::find(&dir.path().join(TARGET)).unwrap();
            assert_eq!(name, TARGET);
            let directory = Arc::new(directory);
            Scene { dir, directory }
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.dir.path().join(name)
        }

        /// Makes a file and says which one it is.
        fn write(&self, name: &str) -> FileId {
            fs::write(self.path(name), name).unwrap();
            self.id(&self.path(name))
        }

        fn id(&self, path: &Path) -> FileId {
            FileId::of(&fs::symlink_metadata(path).unwrap())
        }

        fn draft(&self) -> (LockedFile, Unpublished) {
            let draft = Draft::new(&self.directory, TARGET.as_ref(), true, true);
            draft.unwrap().into_parts()
        }

        /// How many rooms there are.
        fn rooms(&self) -> usize {
            let entries = fs::read_dir(self.dir.path()).unwrap();
            entries
                .filter(|entry| entry.as_ref().unwrap().path().is_dir())
                .count()
        }
    }

    #[test]
    fn a_file_that_came_after_the_last_look_gets_its_name_back() {
        let scene = Scene::new();
        let (old, stranger) = (scene.write("old"), scene.write(TARGET));
        let (file, mut name) = scene.draft();
        assert!(!name.swap(TARGET.as_ref(), old).unwrap());
        assert_eq!(scene.id(&scene.path(TARGET)), stranger);
        assert!(name.is_there().unwrap());
        // It is an old file now like any other.
        assert!(name.replace(TARGET.as_ref(), stranger).unwrap());
        let new = FileId::of(&file.file().metadata().unwrap());
        assert_eq!(scene.id(&scene.path(TARGET)), new);
        drop(name);
        assert_eq!(scene.rooms(), 0);
    }

    #[test]
    fn a_name_that_was_given_up_is_free() {
        let scene = Scene::new();
        let old = scene.write("old");
        let (_file, mut name) = scene.draft();
        assert!(!name.swap(TARGET.as_ref(), old).unwrap());
        assert!(name.publish_new(TARGET.as_ref()).unwrap());
        drop(name);
        assert_eq!(scene.rooms(), 0);
        assert!(scene.path(TARGET).exists() && scene.path("old").exists());
    }

    #[test]
    fn a_process_that_dies_between_two_swaps_leaves_what_is_not_its_own() {
        for dies_with in ["the draft", "the old file", "a stranger"] {
            let scene = Scene::new();
            let old = scene.write(TARGET);
            let (file, mut name) = scene.draft();
            name.rename_to(swapped_name(name.id, old)).unwrap();
            if dies_with == "a stranger" {
                fs::rename(scene.path(TARGET), scene.path("moved")).unwrap();
                scene.write(TARGET);
            }
            if dies_with != "the draft" {
                let swapped = name
                    .room
                    .exchange(&name.name, &scene.directory, TARGET.as_ref());
                swapped.unwrap();
            }
            let left = name.room.path().join(&name.name);
            let id = scene.id(&left);
            drop(file);
            std::mem::forget(name);

            drop(scene.draft());
            match dies_with {
                "a stranger" => assert_eq!(scene.id(&left), id),
                _ => assert_eq!(scene.rooms(), 0, "{dies_with} stayed"),
            }
            assert!(scene.path(TARGET).exists());
        }
    }

    #[test]
    fn a_file_is_not_lost_when_the_draft_is_moved_away_as_well() {
        for name_is_free in [true, false] {
            let scene = Scene::new();
            let (old, stranger) = (scene.write("old"), scene.write(TARGET));
            let (_file, mut name) = scene.draft();
            name.rename_to(swapped_name(name.id, old)).unwrap();
            let swapped = name
                .room
                .exchange(&name.name, &scene.directory, TARGET.as_ref());
            swapped.unwrap();
            fs::rename(scene.path(TARGET), scene.path("moved")).unwrap();
            if !name_is_free {
                scene.write(TARGET);
            }
            let error = name.put_back(TARGET.as_ref()).unwrap_err().to_string();
            let room = name.room.path().to_owned();
            drop(name);
            if name_is_free {
                assert_eq!(scene.id(&scene.path(TARGET)), stranger);
                assert_eq!(scene.rooms(), 0);
            } else {
                // Wherever it ended up: both are there, and the error says where.
                assert!(error.contains(room.to_str().unwrap()), "{error}");
                let mut left = fs::read_dir(room).unwrap();
                let left = left.next().unwrap().unwrap().path();
                let found = [scene.id(&scene.path(TARGET)), scene.id(&left)];
                assert!(found.contains(&stranger), "{error}");
            }
        }
    }

    #[test]
    fn what_a_file_is_called_in_a_room_says_whether_it_is_ours() {
        let scene = Scene::new();
        scene.write("file");
        let entry = scene.directory.look("file".as_ref()).unwrap().unwrap();
        let number = entry.id.number();
        let ours = |name: &str| is_ours(name.as_ref(), &entry);
        assert!(ours("ndstore-draft"));
        assert!(ours(&format!("ndstore-draft-{number}-1")));
        assert!(ours(&format!("ndstore-draft-1-{number}")));
        for name in [
            "ndstore-draft-",
            "ndstore-draft-1-2",
            "ndstore-drafts",
            "a.npy",
            "",
        ] {
            assert!(!ours(name), "{name}");
        }
        assert!(!ours(&format!("ndstore-draft-{number}")));
        assert!(!ours(&format!("ndstore-draft-{number}-1-2")));
    }
}
