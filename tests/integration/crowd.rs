//! A crowd at one array: processes of every kind that may be beside each other, killed at random.
//!
//! An appender, a reader that claims its rows, two that follow, two that write rows, one that
//! replaces the file and one that reads it as `np.load` does. Rows check themselves. Published rows
//! are noted in a file beside the array, which uses no locks.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ndarray::prelude::*;
use ndstore::{Error, LockPolicy, News, Opening, Options, Result, Store};

use super::support::program;
use super::workload::Random;

/// How long it lasts, in seconds, if not this long.
const SECONDS: &str = "NDSTORE_STRESS_SECONDS";
const SECONDS_BY_DEFAULT: u64 = 3;

/// Where a process finds what it is: its kind, a seed, for how many milliseconds it waits for a lock, if it takes one, and
/// the directory.
const MEMBER: &str = "NDSTORE_TEST_MEMBER";

const KINDS: [&str; 8] = [
    "append", "read", "watch", "follow", "write", "change", "replace", "load",
];

/// Nobody waits for longer.
const STARVED: Duration = Duration::from_secs(10);

const COLUMNS: usize = 8;

/// So many rows are changed in place. Those behind them are appended, and stay as they are.
const CHANGING: usize = 64;

/// A row: which file it is of, which row, and how often it was changed, in all columns.
fn row(generation: u64, at: usize, version: u64) -> [u64; COLUMNS] {
    let mixed = generation.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (at as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
        ^ version.wrapping_mul(0x1656_67b1_9e37_79f9);
    std::array::from_fn(|column| match column {
        0 => generation,
        1 => at as u64,
        2 => version,
        _ => mixed.rotate_left(column as u32),
    })
}

fn rows(generation: u64, first: usize, count: usize) -> Array2<u64> {
    let rows: Vec<_> = (first..first + count)
        .map(|at| row(generation, at, 0))
        .collect();
    arr2(&rows)
}

/// Checks that these rows, the first of which is `first`, are whole and of one file.
fn check(found: ArrayView2<'_, u64>, first: usize, generation: u64) -> Result<(), String> {
    for (at, found) in (first..).zip(found.outer_iter()) {
        let expected = row(generation, at, found[2]);
        if found.as_slice() != Some(&expected) || at >= CHANGING && found[2] != 0 {
            return Err(format!("row {at} of file {generation} is torn: {found}"));
        }
    }
    Ok(())
}

/// What is wrong, as a text.
type Checked = Result<(), String>;

fn told(error: Error) -> String {
    error.to_string()
}

/// One of the crowd.
struct Member {
    kind: String,
    dir: PathBuf,
    path: PathBuf,
    options: Options,
    random: Random,
    /// The file of the last look, and the rows that it had.
    seen: (u64, usize),
}

impl Member {
    /// The newest file of which rows are known to be published, and how many. One word, which is
    /// read whole.
    fn published(&self) -> (u64, usize) {
        let mut word = [0; 8];
        let note = File::open(self.dir.join("published"));
        let _ = note.and_then(|note| note.read_exact_at(&mut word, 0));
        let word = u64::from_ne_bytes(word);
        (word >> 32, word as u32 as usize)
    }

    fn note_published(&self, generation: u64, rows: usize) {
        let note = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(self.dir.join("published"))
            .unwrap();
        let word = generation << 32 | rows as u64;
        note.write_all_at(&word.to_ne_bytes(), 0).unwrap();
    }

    /// Checks that no rows are missing that were published before the look, or seen before it.
    fn check_count(&mut self, before: (u64, usize), now: (u64, usize)) -> Checked {
        for earlier in [before, self.seen] {
            if earlier.0 == now.0 && earlier.1 > now.1 {
                return Err(format!("{now:?} has lost rows: there were {}", earlier.1));
            }
            if earlier.0 > now.0 {
                return Err(format!("{now:?} came back after {earlier:?}"));
            }
        }
        self.seen = now;
        Ok(())
    }

    fn pause(&mut self, millis: usize) {
        let pause = self.random.below(1000 * millis);
        thread::sleep(Duration::from_micros(pause as u64));
    }

    fn act(&mut self) -> Checked {
        match &self.kind[..] {
            "append" => self.append(),
            "read" => self.read(),
            "watch" => self.watch(),
            "follow" => self.follow(),
            "replace" => self.replace(),
            "load" => self.load(),
            "hold" => self.hold(),
            _ => self.write(),
        }
    }

    fn append(&mut self) -> Checked {
        let before = self.published();
        let store = self.options.open_append::<u64, Ix2>(&self.path);
        let mut store = store.map_err(told)?;
        let generation = store.get([0, 0]).map_err(told)?;
        self.check_count(before, (generation, store.shape()[0]))?;
        for _ in 0..self.random.below(20) {
            let (first, count) = (store.shape()[0], 1 + self.random.below(20));
            let new = rows(generation, first, count);
            match self.random.below(3) {
                0 => store.append(&new).map_err(told)?,
                1 => store.push(&new.row(0)).map_err(told)?,
                _ => {
                    let mut appender = store.appender().map_err(told)?;
                    for row in new.outer_iter() {
                        appender.push(&row).map_err(told)?;
                    }
                    appender.flush().map_err(told)?;
                }
            }
            self.note_published(generation, store.shape()[0]);
            self.seen = (generation, store.shape()[0]);
            self.pause(10);
        }
        Ok(())
    }

    /// Reads rows that nobody may change meanwhile.
    fn read(&mut self) -> Checked {
        let before = self.published();
        let store = self.options.open::<u64, Ix2>(&self.path);
        let mut store = store.map_err(told)?;
        let mut found = store.read_all().map_err(told)?;
        let generation = found[[0, 0]];
        check(found.view(), 0, generation)?;
        self.check_count(before, (generation, found.nrows()))?;
        for _ in 0..self.random.below(10) {
            self.pause(10);
            let before = self.published();
            store.refresh().map_err(told)?;
            let now = store.read_all().map_err(told)?;
            if now.slice(s![..found.nrows(), ..]) != found {
                return Err("rows changed that were claimed".into());
            }
            check(
                now.slice(s![found.nrows().., ..]),
                found.nrows(),
                generation,
            )?;
            self.check_count(before, (generation, now.nrows()))?;
            found = now;
        }
        Ok(())
    }

    /// Reads what was appended, beside everybody.
    fn watch(&mut self) -> Checked {
        let before = self.published();
        let store = self.options.open_watch::<u64, Ix2>(&self.path);
        let mut store = store.map_err(told)?;
        let generation = store.get([0, 0]).map_err(told)?;
        self.check_count(before, (generation, store.shape()[0]))?;
        for _ in 0..self.random.below(10) {
            self.pause(10);
            let before = self.published();
            store.refresh().map_err(told)?;
            let found = store.read(s![CHANGING.., ..]).map_err(told)?;
            check(found.view(), CHANGING, generation)?;
            self.check_count(before, (generation, CHANGING + found.nrows()))?;
        }
        Ok(())
    }

    fn follow(&mut self) -> Checked {
        let store = self.options.open_watch::<u64, Ix2>(&self.path);
        let mut store = store.map_err(told)?;
        let generation = store.get([0, 0]).map_err(told)?;
        let mut follow = store.follow().starting_at(CHANGING);
        let (mut next, end) = (CHANGING, Instant::now() + Duration::from_millis(200));
        while Instant::now() < end {
            match follow.wait(Duration::from_millis(20)).map_err(told)? {
                News::Rows(rows) => {
                    check(rows.view(), next, generation)?;
                    next += rows.nrows();
                }
                News::Ended => self.pause(20),
                _ => {}
            }
        }
        Ok(())
    }

    /// Changes some rows that nobody else has.
    fn write(&mut self) -> Checked {
        let first = self.random.below(CHANGING);
        let end = first + 1 + self.random.below(CHANGING - first);
        let store = self.options.open_rows::<u64, Ix2>(&self.path, first..end);
        let mut store = store.map_err(told)?;
        for _ in 0..self.random.below(5) {
            let mut rows = store.read_all().map_err(told)?;
            let generation = rows[[0, 0]];
            check(rows.view(), first, generation)?;
            for (at, mut found) in (first..).zip(rows.outer_iter_mut()) {
                let version = found[2] + 1;
                found.assign(&arr1(&row(generation, at, version)));
            }
            store.write_all(&rows).map_err(told)?;
            self.pause(5);
            if store.read_all().map_err(told)? != rows {
                return Err(format!("rows {first}..{end} have two owners"));
            }
            if self.random.below(10) == 0 {
                store.flush().map_err(told)?;
            }
        }
        Ok(())
    }

    /// Never gives rows back. The flaw that starves others.
    fn hold(&mut self) -> Checked {
        let store = self.options.open_rows::<u64, Ix2>(&self.path, 0..CHANGING);
        let _store = store.map_err(told)?;
        loop {
            thread::park();
        }
    }

    fn replace(&mut self) -> Checked {
        self.pause(500);
        let note = self.dir.join("generation");
        let generation = fs::read_to_string(&note).unwrap().parse::<u64>().unwrap() + 1;
        fs::write(&note, generation.to_string()).unwrap();
        let rows = rows(generation, 0, CHANGING + self.random.below(10));
        let made = self.options.create_from(&self.path, &rows);
        made.map(drop).map_err(told)
    }

    /// Reads the file as NumPy does, which asks nobody.
    fn load(&mut self) -> Checked {
        let before = self.published();
        let file = File::open(&self.path).map_err(|error| error.to_string())?;
        let mut header = [0; 4096];
        let read = file.read_exact_at(&mut header, 0);
        read.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&header[10..]);
        let shape = text.split_once("'shape': (").and_then(|(_, rest)| {
            let (rows, columns) = rest.split_once(')')?.0.split_once(", ")?;
            (columns == "8").then(|| rows.trim().parse().ok())?
        });
        let count: usize = shape.ok_or_else(|| format!("the header is torn: {text:.200}"))?;
        let mut found = Array2::<u64>::zeros((count, COLUMNS));
        let bytes = bytemuck::cast_slice_mut(found.as_slice_mut().unwrap());
        let read = file.read_exact_at(bytes, 4096);
        read.map_err(|error| format!("{count} rows: {error}"))?;
        let generation = found[[0, 0]];
        check(found.slice(s![CHANGING.., ..]), CHANGING, generation)?;
        self.check_count(before, (generation, count))
    }
}

#[test]
#[ignore = "one of the processes of other tests, which start it"]
fn member() {
    let Ok(told) = std::env::var(MEMBER) else {
        return;
    };
    let words: Vec<_> = told.splitn(4, ' ').collect();
    let [kind, seed, patience, dir] = words[..] else {
        panic!("{told}");
    };
    let dir = PathBuf::from(dir);
    let options = match patience.parse().unwrap() {
        // The flaw that must be caught.
        0 => Options::new().no_lock(),
        millis => Options::new().lock(LockPolicy::WaitAtMost(Duration::from_millis(millis))),
    };
    let mut member = Member {
        kind: kind.into(),
        path: dir.join("a.npy"),
        options,
        random: Random::new(seed.parse().unwrap()),
        seen: (0, 0),
        dir,
    };
    let count = OpenOptions::new()
        .create(true)
        .append(true)
        .open(member.dir.join(kind));
    let mut count = count.unwrap();
    loop {
        if let Err(what) = member.act() {
            let _ = fs::write(member.dir.join("broken"), format!("{kind}: {what}"));
            return;
        }
        count.write_all(b".").unwrap();
    }
}

/// A process of the crowd, which does not outlive this value.
struct Running(Child);

impl Running {
    fn start(kind: &str, seed: u64, patience: Duration, dir: &Path) -> Running {
        let (patience, dir) = (patience.as_millis(), dir.display());
        let told = format!("{kind} {seed} {patience} {dir}");
        let child = Command::new(program())
            .args(["crowd::member", "--exact", "--ignored"])
            .env(MEMBER, told)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Running(child.unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets the crowd work in a directory of `place`, nobody of which waits for longer than `patience`; without any, they take no
/// locks. Says how often each kind did so, and was killed.
fn crowd(
    place: &Path,
    seconds: f64,
    patience: Duration,
    intruder: Option<&str>,
) -> Result<Vec<(usize, usize)>, String> {
    let starved = patience.max(Duration::from_secs(1));
    let dir = tempfile::tempdir_in(place).unwrap();
    let (dir, path) = (dir.path(), dir.path().join("a.npy"));
    fs::write(dir.join("generation"), "1").unwrap();
    Store::<u64, _>::create_from(&path, &rows(1, 0, CHANGING)).map_err(told)?;
    let mut seeds = 0..;
    let mut start = |kind: &str| Running::start(kind, seeds.next().unwrap(), patience, dir);
    let _intruder = intruder.map(&mut start);
    let mut crowd: Vec<_> = KINDS.iter().map(|kind| start(kind)).collect();
    let mut killed = [0; KINDS.len()];
    let mut last = [(0, Instant::now()); KINDS.len()];
    let mut random = Random::new(7);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(50 + random.below(200) as u64));
        if let Ok(what) = fs::read_to_string(dir.join("broken")) {
            return Err(what);
        }
        for (at, kind) in KINDS.iter().enumerate() {
            let count = fs::metadata(dir.join(kind)).map_or(0, |metadata| metadata.len());
            if count > last[at].0 {
                last[at] = (count, Instant::now());
            } else if last[at].1.elapsed() > starved {
                return Err(format!("{kind} did nothing for {starved:?}"));
            }
        }
        if random.below(4) > 0 {
            continue;
        }
        let at = random.below(KINDS.len());
        killed[at] += 1;
        // A process that is killed before it got anything done did not starve.
        last[at].1 = Instant::now();
        // The old one is gone before the new one comes.
        crowd.remove(at);
        crowd.insert(at, start(KINDS[at]));
    }
    drop(crowd);
    check_left(&path)?;
    let done = last.map(|(count, _)| count as usize);
    Ok(done.into_iter().zip(killed).collect())
}

/// Checks what those leave who are gone: no claim, and rows that are whole.
fn check_left(path: &Path) -> Checked {
    let store = Store::<u64, Ix2>::open_rw(path).map_err(told)?;
    let found = store.read(s![CHANGING.., ..]).map_err(told)?;
    check(found.view(), CHANGING, store.get([0, 0]).map_err(told)?)
}

/// With `NDSTORE_STRESS_SECONDS=300` for five minutes:
/// `cargo test --test integration -- --nocapture crowd::`
#[test]
fn a_crowd_of_every_kind_sees_whole_rows_and_loses_none() {
    let seconds = std::env::var(SECONDS).map_or(SECONDS_BY_DEFAULT, |text| text.parse().unwrap());
    let counts = crowd(&std::env::temp_dir(), seconds as f64, STARVED, None);
    let counts = counts.unwrap_or_else(|what| panic!("{what}"));
    for (kind, (done, killed)) in KINDS.iter().zip(counts) {
        println!("{kind}: {done} times, killed {killed} times");
        assert!(done > 0, "{kind} did nothing");
    }
}

/// Shows that the check catches the fault that it is for.
#[test]
fn a_crowd_without_locks_is_caught() {
    crowd(&std::env::temp_dir(), 10.0, Duration::ZERO, None)
        .expect_err("nobody got in the way of another");
}

/// That the check sees who starves.
#[test]
fn a_crowd_of_which_one_never_gives_its_rows_back_is_caught() {
    let patience = Duration::from_secs(1);
    let starved = crowd(&std::env::temp_dir(), 20.0, patience, Some("hold"));
    let how = starved.expect_err("nobody wanted what one had");
    assert!(
        how.contains("did nothing") || how.contains("writes some of it"),
        "{how}"
    );
}

/// That the check sees a claim that outlives its holder: here because somebody else has the descriptor.
#[test]
fn a_claim_that_survives_its_holder_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    drop(Store::create_from(&path, &rows(1, 0, CHANGING)).unwrap());
    check_left(&path).unwrap();
    let store = Options::new().open_any_as(&path, Opening::Rows(3..5));
    let descriptor = store.unwrap().into_fd().unwrap();
    let heir = Command::new("sleep").arg("60").stdin(descriptor).spawn();
    let heir = Running(heir.unwrap());
    let how = check_left(&path).expect_err("it has a claim");
    assert!(how.contains("a writer must be alone"), "{how}");
    drop(heir);
    check_left(&path).unwrap();
}
