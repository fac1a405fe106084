//! A new file in a private directory beside its target, and the durable step that gives it the
//! target's name.
//!
//! # The room
//!
//! A draft for NAME is made in a **room**: a directory `.NAME.ndstore-N` with mode 0700. The lowest
//! free N is taken, so no directory has to be searched, however many files it holds. In the room
//! the draft is called `ndstore-draft`, and is locked from its first moment. Nobody but its owner
//! can put anything into a room, so nothing there was planted, and any process of the owner may
//! judge what others left there.
//!
//! # The mark
//!
//! A process that makes a draft removes the drafts that dead processes left for the same name. It
//! must never take somebody's array for a draft, so a draft needs a mark. A mark within the file
//! would have to go before the file gets its name, and a process that dies between the two steps
//! would leave a draft that nobody may remove. Not every file system has attributes. The place and
//! the name of the file are therefore the mark:
//!
//! - A regular file is never a room, whatever its name; nor is a directory of another owner, or one
//!   that others may write to.
//! - `ndstore-draft` in a room is a draft: nothing but a draft ever has that name there.
//! - Publishing a draft in place of an old file swaps two names. If a stranger's file took the
//!   target's name just before, the swap puts that file into the room, although it may be a living
//!   store. So before the swap the draft becomes `ndstore-draft-NEW-OLD`, by the inode numbers of
//!   the draft and of the file that it is to replace. A file of that name is removed if it is one
//!   of these two, and no other file ever is.
//!
//! An inode keeps its number as long as it is open or has a name, on all file systems that have
//! inode numbers. If a file system makes the numbers up, as some in user space do, at worst a draft
//! stays.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::directory::Directory;
use super::file::{Entry, FileId, owner_of};
use super::fork::Maker;
use super::lock::{LockedFile, NotLocked, Patience};

/// More than anybody has creators of one file at a time.
const MAX_DRAFTS: u32 = 1024;

/// The longest file name that common file systems take, in bytes.
const MAX_NAME: usize = 255;

/// The name of a draft in its room.
const DRAFT: &str = "ndstore-draft";

/// The mode of a draft before it gets that of the file that it replaces, which may be private.
const PRIVATE: u32 = 0o600;

/// Waits until the name `path` of an open file is on the disk, with symbolic links followed.
///
/// If its directory cannot be opened, because this user may not read it or because it was moved,
/// this syncs the whole file system, which takes no name.
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

/// A new file. Dropping this value removes the file unless it was published.
#[derive(Debug)]
pub(crate) struct Draft {
    file: LockedFile,
    name: Unpublished,
}

impl Draft {
    /// Makes an empty, locked file for the name `target` in `directory`. Without locks this fails
    /// if `need_lock` says so.
    ///
    /// Only its owner may use a `private` draft until it gets the mode of the file that it
    /// replaces.
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
                // The lowest free number is taken, so there are hardly any drafts behind a free
                // one.
                break;
            }
        }
        let made = made.ok_or_else(|| {
            NotLocked::Open(io::Error::other("too many temporary files stand beside it"))
        })?;
        for name in others {
            // If this fails, the old drafts stay, which does no harm.
            let _ = clear(directory, &name, made.name.owner);
        }
        Ok(made)
    }

    /// Makes the file in a room of that name. `None` if another process has the name, or took the
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
            // Other processes may have removed the room, or put something else there.
            Err(error) if matches!(error.kind(), AlreadyExists | NotFound | NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(NotLocked::Open(error)),
        };
        let mode = if private { PRIVATE } else { 0o666 };
        let file = match room.create_file(DRAFT.as_ref(), mode) {
            Ok(file) => file,
            // Before the file was made in the room, another process took the room for a stale one,
            // or another user put a room there.
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
        // Before the room was opened, others may have put a room of theirs in its place.
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
            // The same can happen before the file is locked.
            Ok(_) | Err(NotLocked::Held(..)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn file(&self) -> &File {
        self.file.file()
    }

    /// Asks the system whether this user may replace the file `target`, before there is work to
    /// lose. The user may not in a sticky directory, unless the file or the directory is theirs.
    /// Nobody can give a file the name of a mount (`ResourceBusy`).
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
        // A file never takes the place of a directory, so this rename fails; the system checks
        // first whether the file may leave its own place.
        match directory.rename(target, directory, room_name) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            _ => Ok(()),
        }
    }

    /// Separates the file, which may be mapped now, from its name.
    pub(crate) fn into_parts(self) -> (LockedFile, Unpublished) {
        (self.file, self.name)
    }
}

/// `.NAME.ndstore-N`. A NAME that is too long is cut. Two such names may then share their numbers,
/// which the locks sort out.
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

/// The name of a draft while its name and that of the old file are swapped.
#[cfg(target_os = "linux")]
fn swapped_name(new: FileId, old: FileId) -> OsString {
    format!("{DRAFT}-{}-{}", new.number(), old.number()).into()
}

/// Whether the file of this name in a room is a draft, or the old file that a draft replaced.
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

/// Removes the drafts that dead processes of the owner of `made` left for the file `path`. If this
/// fails, they stay, which does no harm.
pub(crate) fn clear_drafts(path: &Path, made: &Metadata) {
    let Ok((directory, name)) = Directory::find_here(path) else {
        return;
    };
    let room = |number| room_name(&name, number);
    let is_taken = |number| {
        directory
            .look(&room(number))
            .is_ok_and(|found| found.is_some())
    };
    // One number below these may have become free.
    let taken = (0..MAX_DRAFTS).take_while(|&number| is_taken(number) || is_taken(number + 1));
    for number in taken.collect::<Vec<_>>() {
        let _ = clear(&directory, &room(number), owner_of(made));
    }
}

/// Removes the room of this name, with the draft in it, if it belongs to `owner` and no process
/// works in it.
fn clear(directory: &Directory, name: &OsStr, owner: u32) -> io::Result<()> {
    let found = directory.look(name)?;
    let is_room =
        |entry: &Entry| entry.is_directory() && entry.owner == owner && !entry.others_may_write();
    if !found.as_ref().is_some_and(is_room) {
        return Ok(());
    }
    let room = directory.open_directory(name)?;
    // Somebody may have put another directory in its place.
    if !is_room(&room.itself()?) {
        return Ok(());
    }
    // A room never has more than one file.
    for name in room.entries(1)?.unwrap_or_default() {
        let Some(entry) = room.look(&name)?.filter(|entry| is_ours(&name, entry)) else {
            return Ok(());
        };
        // Open for writing, because some network file systems lock only such files exclusively.
        let opened = room.open_file(&name, entry.id, true);
        let file = opened.or_else(|_| room.open_file(&name, entry.id, false))?;
        let Ok(_lock) = LockedFile::lock(file, true, Patience::None) else {
            return Ok(());
        };
        // Look again under the lock, because the maker of the draft may have published it.
        if !room.names(&name, entry.id)? {
            return Ok(());
        }
        room.remove_file(&name)?;
    }
    remove_room(directory, &room, name)
}

/// Removes a room, if it still has this name.
fn remove_room(directory: &Directory, room: &Directory, name: &OsStr) -> io::Result<()> {
    match directory.names(name, room.itself()?.id)? {
        true => directory.remove_directory(name),
        false => Ok(()),
    }
}

/// The name of a draft until it is published. Dropping it removes the file and the room, except in
/// a forked child, whose copy of this value does not own them.
#[derive(Debug)]
pub(crate) struct Unpublished {
    directory: Arc<Directory>,
    room: Directory,
    room_name: OsString,
    /// The name of the draft in the room.
    name: OsString,
    id: FileId,
    /// The owner of the draft, as its file system sees it.
    owner: u32,
    maker: Maker,
}

impl Unpublished {
    /// Whether this process made the file.
    pub(crate) fn is_ours(&self) -> bool {
        self.maker.is_this()
    }

    /// Whether the file still has this name in the room.
    fn is_there(&self) -> io::Result<bool> {
        self.room.names(&self.name, self.id)
    }

    /// Gives the file the name `target` if that is free. False if it is not.
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

    /// The same for file systems that have neither hard links nor a rename that replaces nothing:
    /// an empty file claims the name, and the draft replaces it. A process that dies in between
    /// leaves the empty file.
    fn publish_claimed(&mut self, target: &OsStr) -> io::Result<bool> {
        let claim = match self.directory.create_file(target, PRIVATE) {
            Ok(claim) => claim,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        };
        let id = FileId::of(&claim.metadata()?);
        // If another process holds the lock, it replaces the file.
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
    /// False, with nothing changed, if the name belongs to another file.
    ///
    /// If the file system can swap two names, the replaced file is looked at afterwards, and put
    /// back if it is not `old`. Elsewhere a moment remains between the look and the rename.
    pub(crate) fn replace(&mut self, target: &OsStr, old: FileId) -> io::Result<bool> {
        // A file of others is left alone, so that nobody sees it go and come back.
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
            // The name is free now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                self.rename_to(DRAFT.into())?;
                return Err(error);
            }
        }
        if self.room.names(&self.name, old)? {
            // If this fails, the next process that makes a draft removes it.
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
        // The draft was moved away as well. The file in the room stays there unless its name is
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
        // Not a file that was swapped with it.
        if self.is_there().is_ok_and(|is_there| is_there) {
            let _ = self.room.remove_file(&self.name);
        }
        // Nor the room of another user that it was made in by mistake.
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
        // It is an ordinary old file now.
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
                // Both files are still there, wherever they ended up, and the error says where.
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
