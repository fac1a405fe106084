//! Eight processes create, resize, rename away, move back, remove and reopen one name, and whoever
//! holds the lock of a file keeps it.
//!
//! The parties remove a file only under its lock, and moving a file does not remove it. So a file
//! that loses its last name while a store holds it was replaced by a process that had not locked
//! it. Flushed elements are noted beside the file before the lock is given back, and the next
//! opener of the file must find exactly those.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ndarray::prelude::*;
use ndstore::{AccessMode, Error, ErrorKind, LockPolicy, Options, Result, Store};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::parties::{self, Refused, Told, broken, places, report};
use super::support::drafts;
use super::workload::Random;

/// How long each place is worked at, in seconds, if not this long.
const SECONDS: &str = "NDSTORE_REPLACEMENT_SECONDS";
const SECONDS_BY_DEFAULT: u64 = 10;

/// What the parties did, by the order of these names.
const DONE: [&str; 7] = [
    "created",
    "resized",
    "flushed",
    "moved away",
    "moved back",
    "removed",
    "refused",
];

/// One of those who work at the name.
struct Party {
    number: u64,
    dir: PathBuf,
    path: PathBuf,
    careless: bool,
    random: Random,
    made: u64,
    moved: u64,
    done: [u64; DONE.len()],
}

impl Party {
    fn count(&mut self, what: &str) {
        let at = DONE.iter().position(|done| *done == what).unwrap();
        self.done[at] += 1;
    }

    fn options(&mut self) -> Options {
        Options::new().lock(match self.random.below(3) {
            0 => LockPolicy::Fail,
            1 => LockPolicy::WaitAtMost(Duration::from_millis(5)),
            _ => LockPolicy::WaitAtMost(Duration::from_millis(50)),
        })
    }

    /// Where it is written down what was last flushed of an array.
    fn ledger(&self, id: u64) -> PathBuf {
        self.dir.join("ledger").join(id.to_string())
    }

    /// Somebody may move a new file away at the very moment at which it has the name, before it is
    /// seen to stand there for another file than the old one. That is an error, and nothing is
    /// lost; but there are then two files of the array, and only one goes on.
    fn note_stray(&self, id: u64, error: &Error) {
        if is_stray(error) {
            fs::write(twofold(&self.dir, id), "").unwrap();
        }
    }

    fn note(&self, id: u64, flushed: u64) {
        fs::write(self.ledger(id), flushed.to_string()).unwrap();
    }

    /// A place for a file that is moved away.
    fn elsewhere(&mut self) -> PathBuf {
        self.moved += 1;
        self.dir
            .join("elsewhere")
            .join(format!("{}-{}", self.number, self.moved))
    }

    /// Checks that what was last flushed is there, and says what it was.
    fn check<M: AccessMode>(&self, store: &Store<u64, Ix1, M>) -> Result<(u64, u64), Refused> {
        let (id, flushed) = (store.get(0)?, store.get(1)?);
        // It is noted right after the lock of a stray file is gone.
        let is_known = || self.ledger(id).exists() || twofold(&self.dir, id).exists();
        for _ in 0..100 {
            if is_known() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if twofold(&self.dir, id).exists() {
            return Ok((id, flushed));
        }
        let noted = fs::read_to_string(self.ledger(id));
        let noted = noted.map_err(|error| format!("array {id} was never acknowledged: {error}"))?;
        match noted == flushed.to_string() {
            true => Ok((id, flushed)),
            false => Err(format!("array {id} has {flushed}, and {noted} was flushed").into()),
        }
    }

    /// Checks that the file of the one store of this process still has its name, wherever that is
    /// now.
    fn check_name(&self) -> Result<(), Refused> {
        for entry in fs::read_dir("/proc/self/fd").unwrap() {
            let handle = entry.unwrap().path();
            let is_ours = fs::read_link(&handle).is_ok_and(|file| file.starts_with(&self.dir));
            if is_ours
                && let Ok(found) = fs::metadata(&handle)
                && found.is_file()
                && found.nlink() == 0
            {
                return Err("a file that is locked was replaced".to_owned().into());
            }
        }
        Ok(())
    }

    /// Does something at the name. An error is a broken promise.
    fn act(&mut self) -> Result<(), String> {
        let done = match self.random.below(12) {
            0..3 => self.create(),
            3..6 => self.open(),
            6 => self.read(),
            7..10 => self.move_away(),
            10 => self.move_back(),
            _ => self.remove(),
        };
        match done {
            Ok(()) => Ok(()),
            Err(Refused::Broken(what)) => Err(what),
            Err(Refused::By(error)) => match error.kind() {
                ErrorKind::Locked { .. }
                | ErrorKind::NotFound { .. }
                | ErrorKind::AlreadyExists
                | ErrorKind::Moved => {
                    self.count("refused");
                    Ok(())
                }
                _ if is_stray(&error) => {
                    self.count("refused");
                    Ok(())
                }
                _ => Err(format!("{error:?}")),
            },
        }
    }

    fn create(&mut self) -> Result<(), Refused> {
        if self.careless && self.random.below(2) == 0 {
            return self.replace_carelessly();
        }
        self.made += 1;
        let id = self.number << 32 | self.made;
        let len = 2 + self.random.below(3000);
        let options = self.options();
        let pause = Duration::from_micros(self.random.below(300) as u64);
        let store = match self.random.below(3) {
            0 => {
                let made = options.create_from(&self.path, &elements(id, len));
                made.inspect_err(|error| self.note_stray(id, error))?
            }
            1 => {
                let made = options.create_with(&self.path, len, 1000, |mut block| {
                    std::thread::sleep(pause);
                    let rows = block.start[0]..block.start[0] + block.view.len();
                    block.view.assign(&elements(id, len).slice(s![rows]));
                    Ok::<_, Error>(())
                });
                made.inspect_err(|error| self.note_stray(id, error))?
            }
            _ => {
                let mut store = options.create_new(&self.path, len)?;
                // Nobody has heard of it yet.
                self.note(0, 0);
                store.write_all(&elements(id, len))?;
                store.flush()?;
                store
            }
        };
        self.note(id, 0);
        self.count("created");
        self.work(store)
    }

    /// Opens the array that is there and works on it.
    fn open(&mut self) -> Result<(), Refused> {
        let store = self.options().open_rw::<u64, Ix1>(&self.path)?;
        self.check(&store)?;
        self.work(store)
    }

    fn read(&mut self) -> Result<(), Refused> {
        let store = self.options().open::<u64, Ix1>(&self.path)?;
        self.check(&store)?;
        self.check_name()
    }

    /// Writes to a store and resizes it, as long as it likes.
    fn work(&mut self, mut store: Store<u64, Ix1>) -> Result<(), Refused> {
        let (id, mut flushed) = self.check(&store)?;
        for _ in 0..1 + self.random.below(4) {
            self.check_name()?;
            if self.random.below(3) == 0 {
                let len = 2 + self.random.below(3000);
                match store.resize(len) {
                    Ok(()) => self.count("resized"),
                    // Somebody moved it away.
                    Err(error) if matches!(error.kind(), ErrorKind::Moved) => {}
                    Err(error) => {
                        self.note_stray(id, &error);
                        return Err(error.into());
                    }
                }
                self.check_name()?;
            }
            store.set(1, flushed + 1)?;
            store.flush()?;
            flushed += 1;
            self.note(id, flushed);
            self.count("flushed");
            std::thread::sleep(Duration::from_micros(self.random.below(200) as u64));
            self.check_name()?;
        }
        Ok(())
    }

    fn move_away(&mut self) -> Result<(), Refused> {
        let to = self.elsewhere();
        if fs::rename(&self.path, to).is_ok() {
            self.count("moved away");
        }
        Ok(())
    }

    /// Moves a file back, if the name is free.
    fn move_back(&mut self) -> Result<(), Refused> {
        if let Some(from) = self.some_moved() {
            let moved = renameat_with(CWD, from, CWD, &self.path, RenameFlags::NOREPLACE);
            if moved.is_ok() {
                self.count("moved back");
            }
        }
        Ok(())
    }

    /// Removes a file that was moved away and that nobody holds.
    fn remove(&mut self) -> Result<(), Refused> {
        let Some(path) = self.some_moved() else {
            return Ok(());
        };
        // Out of the way of those who move it back.
        let own = self.elsewhere();
        if fs::rename(path, &own).is_err() {
            return Ok(());
        }
        let Ok(file) = fs::File::open(&own) else {
            return Ok(());
        };
        // Whoever moves it back meanwhile takes its name along.
        if fs2::FileExt::try_lock_exclusive(&file).is_ok() && fs::remove_file(own).is_ok() {
            self.count("removed");
        }
        Ok(())
    }

    fn some_moved(&mut self) -> Option<PathBuf> {
        let mut entries = fs::read_dir(self.dir.join("elsewhere")).unwrap();
        let skipped = self.random.below(8);
        entries.nth(skipped).map(|entry| entry.unwrap().path())
    }

    /// The flaw that must be caught: it locks the old file, and then gives the new file a name that
    /// may belong to another file by now.
    fn replace_carelessly(&mut self) -> Result<(), Refused> {
        let Ok(old) = fs::File::options().read(true).write(true).open(&self.path) else {
            return Ok(());
        };
        if fs2::FileExt::try_lock_exclusive(&old).is_err() {
            return Ok(());
        }
        self.made += 1;
        let id = self.number << 32 | self.made;
        let draft = self.dir.join(format!("draft-{}", self.number));
        drop(Store::create_from(&draft, &elements(id, 10))?);
        self.note(id, 0);
        fs::rename(draft, &self.path).unwrap();
        Ok(())
    }
}

/// Whether others moved a new file away at the moment at which it got its name. If they put
/// another one there as well, one of two strangers' files is left where the message says.
fn is_stray(error: &Error) -> bool {
    let message = error.to_string();
    let words = [
        "others moved the new file away",
        "one of their files is now",
    ];
    words.iter().any(|words| message.contains(words))
}

/// The strangers' files that are left in rooms. No draft is.
fn strays(dir: &Path) -> Vec<PathBuf> {
    let rooms = drafts(dir).into_iter().map(|room| {
        let mut left = fs::read_dir(&room).unwrap();
        let stray = left.next().expect("an empty room is removed").unwrap();
        assert!(left.next().is_none(), "{room:?} has two files");
        // The name says which two files were to change places, and it is neither of them.
        let name = stray.file_name().into_string().unwrap();
        let inode = stray.metadata().unwrap().ino().to_string();
        let named: Vec<_> = name.split('-').skip(2).collect();
        assert!(named.len() == 2 && !named.contains(&&*inode), "{stray:?}");
        stray.path()
    });
    rooms.collect()
}

/// What says that there may be two files of an array, of which only one goes on.
fn twofold(dir: &Path, id: u64) -> PathBuf {
    dir.join("ledger").join(format!("{id}-twofold"))
}

/// The elements of a new array: who it is, how often it was flushed since it was made, and nothing
/// of interest.
fn elements(id: u64, len: usize) -> Array1<u64> {
    Array1::from_shape_fn(len, |place| if place == 1 { 0 } else { id })
}

#[test]
#[ignore = "one of the processes of other tests, which start it"]
fn party() {
    let Some(told) = Told::read() else {
        return;
    };
    let mut party = Party {
        number: told.number,
        path: told.dir.join("a.npy"),
        dir: told.dir.clone(),
        careless: told.flawed,
        random: Random::new(told.number),
        made: 0,
        moved: 0,
        done: [0; DONE.len()],
    };
    while !told.is_over() {
        if let Err(what) = party.act() {
            broken(&what);
        }
    }
    report(&party.done);
}

/// Lets all parties work in a directory of `place`, and says what they did.
fn stress(place: &Path, seconds: f64, careless: bool) -> Result<[u64; DONE.len()], String> {
    let dir = tempfile::tempdir_in(place).unwrap();
    let at = dir.path().canonicalize().unwrap();
    for inner in ["ledger", "elsewhere"] {
        fs::create_dir(at.join(inner)).unwrap();
    }
    let total = parties::work("replacement", &at, seconds, careless)?;
    // All that was flushed is found, wherever the files are now.
    let mut left = vec![at.join("a.npy")];
    let entries = fs::read_dir(at.join("elsewhere")).unwrap();
    left.extend(entries.map(|entry| entry.unwrap().path()));
    left.extend(strays(&at));
    for path in left.iter().filter(|path| path.exists()) {
        let store = Store::<u64, Ix1>::open(path).map_err(|error| error.to_string())?;
        let (id, flushed) = (store.get(0).unwrap(), store.get(1).unwrap());
        if twofold(&at, id).exists() {
            continue;
        }
        let noted = fs::read_to_string(at.join("ledger").join(id.to_string()));
        if noted.ok() != Some(flushed.to_string()) {
            return Err(format!("{path:?}: array {id} has {flushed}"));
        }
    }
    Ok(total)
}

/// `cargo test --release --test rigs -- --ignored --nocapture replacement`, with the seconds for
/// each place in `NDSTORE_REPLACEMENT_SECONDS`.
#[test]
#[ignore = "takes a while"]
fn no_store_that_is_locked_is_ever_replaced() {
    let seconds = std::env::var(SECONDS).map_or(SECONDS_BY_DEFAULT, |text| text.parse().unwrap());
    for place in places() {
        let total = stress(&place, seconds as f64, false);
        let total = total.unwrap_or_else(|what| panic!("{place:?}: {what}"));
        let told: Vec<_> = DONE
            .iter()
            .zip(total)
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        println!("{place:?}, {seconds} s: {}", told.join(", "));
        assert!(!total.contains(&0), "something was never done");
    }
}

/// Shows that the check catches the fault that it is for.
#[test]
#[ignore = "takes a while"]
fn a_careless_replacement_is_caught() {
    let caught = (0..10).any(|_| stress(&places()[0], 2.0, true).is_err());
    assert!(caught, "nobody lost a store");
}
