//! Root makes arrays in a directory that an unprivileged user may write to as well. That user makes
//! links to root's files, FIFOs, set-id files and rooms of its own, again and again, under every
//! name that root will use.
//!
//! Root must not open, change or remove any of its files elsewhere, nor any file of the other user
//! except the one that it was asked to replace, and no file of root's may become one that runs as
//! root. docs/security.md has the list.
//!
//! The other user runs this binary again: the test [`intruder`].

use std::fs::{self, File};
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ndarray::prelude::*;
use ndstore::{NpzWriter, Store};
use rustix::fs::inotify;
use rustix::io::Errno;

use super::support::{set_mode, trace};
use super::workload::Random;

/// How long each directory is fought over, in seconds, if not this long.
const SECONDS: &str = "NDSTORE_SHARED_SECONDS";
const SECONDS_BY_DEFAULT: u64 = 5;

/// Where the intruder finds the directory, whether it is sticky, and what root has elsewhere.
const INTRUDER: &str = "NDSTORE_TEST_INTRUDER";

/// What the intruder puts before its report.
const REPORT: &str = "intruder: ";

const NOBODY: u32 = 65534;

/// The names that root uses: of files, and of the rooms that it makes for them.
const FILES: [&str; 4] = ["a.npy", "a.npy.sums", "b.npy", "c.npz"];

fn rooms() -> impl Iterator<Item = String> {
    let rooms = |file| (0..2).map(move |number| format!(".{file}.ndstore-{number}"));
    FILES.into_iter().flat_map(rooms)
}

/// A user without privileges.
struct Intruder {
    dir: PathBuf,
    /// A file of root's that nobody is to open, and one that nobody is to change.
    secret: PathBuf,
    linked: PathBuf,
    random: Random,
    made: u64,
    moves: u64,
    /// What it has put under the name of a room, which nobody but itself may change.
    watched: u64,
    sticky: bool,
}

impl Intruder {
    fn fresh(&mut self) -> PathBuf {
        self.made += 1;
        self.dir.join(format!("x{}", self.made))
    }

    /// Puts something into the place of a name, if that can be done.
    fn plant(&mut self, thing: &Path, name: &str) {
        self.moves += u64::from(fs::rename(thing, self.dir.join(name)).is_ok());
    }

    fn act(&mut self) -> Result<(), String> {
        let rooms: Vec<_> = rooms().collect();
        let room = &rooms[self.random.below(rooms.len())];
        let file = FILES[self.random.below(FILES.len())];
        let thing = self.fresh();
        match self.random.below(9) {
            // Under the name of a file: what must not be opened or followed there.
            0 => {
                symlink(&self.secret, &thing).unwrap();
                // Where everybody may move everything, a path is taken at its word.
                match self.sticky || file.ends_with(".sums") {
                    true => self.plant(&thing, file),
                    false => self.plant(&thing, room),
                }
            }
            1 => {
                rustix::fs::mkfifoat(rustix::fs::CWD, &thing, 0o666.into()).unwrap();
                self.plant(&thing, file);
            }
            // A program of its own, which must not become one of root's.
            2 => {
                let options = File::options()
                    .write(true)
                    .create_new(true)
                    .mode(0o6777)
                    .clone();
                drop(options.open(&thing).unwrap());
                set_mode(&thing, 0o6777);
                self.plant(&thing, file);
            }
            3 => {
                // The system may allow it or not.
                if fs::hard_link(&self.linked, &thing).is_ok() {
                    self.plant(&thing, file);
                }
            }
            // Under the name of a room: files and rooms of its own.
            4 => {
                fs::write(&thing, "mine").unwrap();
                self.plant(&thing, room);
            }
            5 => {
                fs::create_dir(&thing).unwrap();
                set_mode(&thing, 0o700);
                symlink(&self.secret, thing.join("ndstore-draft")).unwrap();
                self.plant(&thing, room);
            }
            6 => {
                fs::create_dir(&thing).unwrap();
                set_mode(&thing, [0o700, 0o777][self.random.below(2)]);
                fs::write(thing.join("ndstore-draft"), "mine").unwrap();
                self.plant(&thing, room);
            }
            // Away with what is there, also with a room that root works in.
            7 => {
                let _ = fs::rename(self.dir.join(room), &thing);
            }
            _ => {
                let _ = fs::rename(self.dir.join(file), &thing);
            }
        }
        let place = self.dir.join(room);
        if is_own(&place) {
            self.watched += 1;
            self.watch(&place)?;
        }
        self.look(file)?;
        self.clean();
        Ok(())
    }

    /// Waits a little, and checks that what it has put there is there.
    fn watch(&self, place: &Path) -> Result<(), String> {
        let before = fs::symlink_metadata(place).map_err(|error| error.to_string())?;
        let inner = place.join("ndstore-draft");
        let inner_before = fs::symlink_metadata(&inner).map(|found| found.ino()).ok();
        std::thread::sleep(Duration::from_micros(200));
        let after = fs::symlink_metadata(place);
        let is_same = after.is_ok_and(|after| after.ino() == before.ino());
        let inner_after = fs::symlink_metadata(&inner).map(|found| found.ino()).ok();
        match is_same && inner_after == inner_before {
            true => Ok(()),
            false => Err(format!("{place:?} was mine, and was changed or removed")),
        }
    }

    /// Checks that there is no program of root's.
    fn look(&self, file: &str) -> Result<(), String> {
        match fs::symlink_metadata(self.dir.join(file)) {
            Ok(found) if found.uid() == 0 && found.mode() & 0o6000 != 0 => {
                Err(format!("{file} of root's has set-id bits"))
            }
            _ => Ok(()),
        }
    }

    /// Removes what it has made, as far as it can, so that the directory stays small.
    fn clean(&mut self) {
        for entry in fs::read_dir(&self.dir).unwrap() {
            let path = entry.unwrap().path();
            let is_spent = path.file_name().unwrap().to_string_lossy().starts_with('x');
            if is_spent || self.random.below(6) == 0 {
                let _ = fs::remove_file(&path).or_else(|_| match is_own(&path) {
                    true => fs::remove_dir_all(&path),
                    false => Ok(()),
                });
            }
        }
    }
}

fn is_own(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.uid() == NOBODY)
}

#[test]
#[ignore = "the other user of another test, which starts it"]
fn intruder() {
    let Ok(told) = std::env::var(INTRUDER) else {
        return;
    };
    let mut words = told.splitn(4, ' ');
    let mut word = || words.next().unwrap();
    let mut intruder = Intruder {
        sticky: word().parse().unwrap(),
        dir: word().into(),
        secret: word().into(),
        linked: word().into(),
        random: Random::new(7),
        made: 0,
        moves: 0,
        watched: 0,
    };
    // Out of its own reach.
    let stop = intruder.dir.with_file_name(STOP);
    println!();
    while !stop.exists() {
        if let Err(what) = intruder.act() {
            println!("{REPORT}{what}");
            std::process::exit(1);
        }
    }
    println!(
        "{REPORT}{} things planted, {} rooms of its own watched",
        intruder.moves, intruder.watched
    );
}

/// What root makes in the directory.
struct Root {
    dir: PathBuf,
    random: Random,
    done: u64,
    refused: u64,
}

impl Root {
    fn act(&mut self) -> ndstore::Result<()> {
        // In a sticky directory nobody else could make room for a trap.
        for file in FILES {
            if self.random.below(3) == 0 {
                let _ = fs::remove_file(self.dir.join(file));
            }
        }
        std::thread::sleep(Duration::from_micros(self.random.below(300) as u64));
        let (a, b, c) = (
            self.dir.join("a.npy"),
            self.dir.join("b.npy"),
            self.dir.join("c.npz"),
        );
        let len = 1 + self.random.below(2000);
        match self.random.below(4) {
            0 => {
                let mut store = Store::<f64, _>::create(a, len)?;
                store.resize(len + 1)?;
                store.write_checksums()
            }
            1 => {
                let mut store = Store::create_from(a, &Array1::<f64>::ones(len))?;
                store.append(&Array1::ones(3))?;
                store.resize(len)
            }
            2 => Store::<f64, _>::create_new(b, len).map(drop),
            _ => {
                let mut npz = NpzWriter::create(c)?;
                npz.add("x", &Array1::<f64>::ones(len))?;
                npz.finish()
            }
        }
    }
}

/// The file that tells the intruder to end, beside the directory.
const STOP: &str = "stop";

/// A process that does not outlive this value.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `sudo -E cargo test --test rigs -- --ignored --nocapture shared_directory`, with the seconds for
/// each directory in `NDSTORE_SHARED_SECONDS`.
#[test]
#[ignore = "needs root"]
fn an_unprivileged_user_gets_nothing_out_of_root() {
    assert!(rustix::process::geteuid().is_root(), "it takes two users");
    let seconds = std::env::var(SECONDS).map_or(SECONDS_BY_DEFAULT, |text| text.parse().unwrap());
    for sticky in [true, false] {
        let told = fight(sticky, Duration::from_secs(seconds));
        println!(
            "{} directory: {told}",
            if sticky { "sticky" } else { "open" }
        );
    }
}

/// Lets the two at one directory, and says what they did.
fn fight(sticky: bool, time: Duration) -> String {
    // In memory, where a sync takes no time.
    let outer = tempfile::tempdir_in("/dev/shm").unwrap();
    set_mode(outer.path(), 0o777);
    // Reachable, so that links lead there.
    let private = outer.path().join("private");
    fs::create_dir(&private).unwrap();
    set_mode(&private, 0o711);
    let [secret, linked] = ["secret.npy", "linked.npy"].map(|name| private.join(name));
    for path in [&secret, &linked] {
        drop(Store::create_from(path, &array![1.0, 2.0]).unwrap());
        set_mode(path, 0o600);
    }
    let dir = outer.path().join("shared");
    fs::create_dir(&dir).unwrap();
    set_mode(&dir, if sticky { 0o1777 } else { 0o777 });
    let before = (trace(&secret), fs::read(&linked).unwrap());
    let program = outer.path().join("intruder");
    let copied = Command::new("cp")
        .arg(super::support::program())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());

    let watch =
        inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&watch, &secret, inotify::WatchFlags::ALL_EVENTS).unwrap();
    let told = format!(
        "{sticky} {} {} {}",
        dir.display(),
        secret.display(),
        linked.display()
    );
    let intruder = Command::new(program)
        .args([
            "shared_directory::intruder",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(INTRUDER, told)
        .uid(NOBODY)
        .gid(NOBODY)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut intruder = Reaped(intruder.unwrap());
    let mut root = Root {
        dir: dir.clone(),
        random: Random::new(3),
        done: 0,
        refused: 0,
    };
    let start = Instant::now();
    while start.elapsed() < time && intruder.0.try_wait().unwrap().is_none() {
        let begin = Instant::now();
        match root.act() {
            Ok(()) => root.done += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                root.refused += 1;
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "it was held up");
    }
    File::create(dir.with_file_name(STOP)).unwrap();
    let mut said = String::new();
    let mut stdout = intruder.0.stdout.take().unwrap();
    stdout.read_to_string(&mut said).unwrap();
    let status = intruder.0.wait().unwrap();
    let report = said.lines().find_map(|line| line.strip_prefix(REPORT));
    assert!(status.success(), "{report:?}");

    let mut buffer = [MaybeUninit::uninit(); 4096];
    let event = inotify::Reader::new(&watch, &mut buffer)
        .next()
        .map(|event| event.events());
    assert_eq!(
        event.err(),
        Some(Errno::WOULDBLOCK),
        "the secret was opened or changed"
    );
    assert_eq!((trace(&secret), fs::read(&linked).unwrap()), before);
    // Some of it has to come through, or nothing was shown.
    assert!(root.done > 20, "root did {} things", root.done);
    format!(
        "root did {} things and was refused {}; {}",
        root.done,
        root.refused,
        report.unwrap()
    )
}
