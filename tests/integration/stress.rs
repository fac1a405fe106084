//! Many processes at one path, each with random operations: only the lock keeps them apart.
//!
//! Elements check themselves, and the holder of the lock makes a marker file, which is independent
//! of the lock.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ndarray::prelude::*;
use ndstore::{AccessMode, Error, ErrorKind, LockPolicy, Options, Order, ReadOnly, Result, Store};

use super::mapped::mapped;
use super::parties::{self, PARTIES, Refused, Told, broken, places, report};
use super::support::assert_no_drafts;
use super::workload::{Random, turned};

/// How long the stress lasts, in seconds, if not this long.
const SECONDS: &str = "NDSTORE_STRESS_SECONDS";
const SECONDS_BY_DEFAULT: u64 = 2;

/// An element: which array it is of, how many rows there were when it was written, and its place.
fn element(generation: u64, rows: usize, row: usize, column: usize) -> u64 {
    generation << 44 | (rows as u64) << 28 | (row as u64) << 12 | column as u64
}

fn generation(element: u64) -> u64 {
    element >> 44
}

/// The rows of a whole array, or some that make an array of `rows` rows longer.
fn elements(generation: u64, rows: usize, (added, columns): (usize, usize)) -> Array2<u64> {
    Array2::from_shape_fn((added, columns), |(row, column)| {
        element(generation, rows + added, rows + row, column)
    })
}

/// Checks that these are the rows of one array, each append to it whole. Says where they end.
fn check(array: ArrayView2<'_, u64>) -> Result<Vec<usize>, String> {
    let wrong = |what: &str, at| Err(format!("{what} {at} of an array of {:?}", array.dim()));
    let Some(&first) = array.first() else {
        return wrong("no elements in row", 0);
    };
    if generation(first) == 0 {
        return wrong("nothing written to row", 0);
    }
    let (mut ends, mut end) = (Vec::new(), 0);
    for (at, row) in array.outer_iter().enumerate() {
        if at == end {
            end = (row[0] >> 28) as usize & 0xffff;
            ends.push(end);
        }
        let expected = |column| element(generation(first), end, at, column);
        if !(row.iter().enumerate()).all(|(column, &found)| found == expected(column)) {
            return wrong("torn row", at);
        }
    }
    match end == array.nrows() {
        true => Ok(ends),
        false => wrong("half an append: rows up to", end),
    }
}

/// A file that says who is at the array. It goes with this value.
struct Marker(PathBuf);

impl Marker {
    /// Says that somebody writes, and checks that nobody else is there.
    fn writer(dir: &Path) -> Result<Marker, String> {
        let marker = Marker::set(dir.join("writer"))?;
        let mut names = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        match names.find(|name| name.to_string_lossy().starts_with("reader")) {
            Some(reader) => Err(format!("a writer beside {reader:?}")),
            None => Ok(marker),
        }
    }

    /// Says that somebody reads, and checks that nobody writes.
    fn reader(dir: &Path, number: u64) -> Result<Marker, String> {
        let marker = Marker::set(dir.join(format!("reader{number}")))?;
        match dir.join("writer").exists() {
            true => Err("a reader beside a writer".into()),
            false => Ok(marker),
        }
    }

    fn set(path: PathBuf) -> Result<Marker, String> {
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => Ok(Marker(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(format!("two at a time: {path:?} is there"))
            }
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Read,
    Written,
    /// Somebody else was there, or nobody was.
    Refused,
}

/// One of those who work at the array.
struct Party {
    number: u64,
    dir: PathBuf,
    path: PathBuf,
    locks: bool,
    random: Random,
    generation: u64,
}

impl Party {
    fn options(&mut self) -> Options {
        if !self.locks {
            // The flaw that must be caught, in a process that may die of it.
            return Options::new().no_lock();
        }
        Options::new().lock(match self.random.below(3) {
            0 => LockPolicy::Fail,
            1 => LockPolicy::WaitAtMost(Duration::from_millis(20)),
            _ => LockPolicy::Wait,
        })
    }

    /// A new array, which nobody has written before.
    fn new_elements(&mut self) -> Array2<u64> {
        self.generation += PARTIES;
        let most = if self.random.below(8) == 0 { 120 } else { 20 };
        let shape = (1 + self.random.below(most), 1 + self.random.below(most));
        elements(self.generation, 0, shape)
    }

    /// Does something with the array. An error is a broken promise.
    fn act(&mut self) -> Result<Outcome, String> {
        let options = self.options();
        let done = match self.random.below(10) {
            0..=2 => self.read(options.open::<u64, Ix2>(&self.path)),
            3 => self.read_mapped(options.open::<u64, Ix2>(&self.path)),
            4 => {
                let (array, order) = (self.new_elements(), self.order());
                let store = options
                    .order(order)
                    .create_from(&self.path, &turned(array.view(), order));
                self.write(store, |_, store| check_store(store).map(drop))
            }
            5 => {
                let (array, order) = (self.new_elements(), self.order());
                let options = options.order(order);
                let shape = turned(array.view(), order).raw_dim();
                let store = match self.random.below(2) {
                    0 => options.create(&self.path, shape),
                    _ => options.create_new(&self.path, shape),
                };
                self.write(store, |_, store| {
                    fill(store, &array);
                    Ok(())
                })
            }
            change => {
                let store = options.open_rw(&self.path);
                self.write(store, |party, store| {
                    let ends = check_store(store)?;
                    match change {
                        6 => party.append(store),
                        7 => party.resize(store),
                        8 => {
                            let at = party.random.below(ends.len());
                            store.truncate(ends[at]).map_err(told)
                        }
                        _ => {
                            party.generation += PARTIES;
                            let dim = turned(store.read_all().unwrap().view(), store.order()).dim();
                            fill(store, &elements(party.generation, 0, dim));
                            store.flush().map_err(told)
                        }
                    }?;
                    check_store(store).map(drop)
                })
            }
        };
        done.or_else(|refused| match refused {
            Refused::Broken(what) => Err(what),
            Refused::By(error) => match error.kind() {
                ErrorKind::Locked { .. }
                | ErrorKind::NotFound { .. }
                | ErrorKind::AlreadyExists => Ok(Outcome::Refused),
                _ => Err(told(error)),
            },
        })
    }

    fn order(&mut self) -> Order {
        match self.random.below(2) {
            0 => Order::C,
            _ => Order::F,
        }
    }

    fn read<M: AccessMode>(
        &mut self,
        store: Result<Store<u64, Ix2, M>>,
    ) -> Result<Outcome, Refused> {
        let store = store?;
        let marker = Marker::reader(&self.dir, self.number)?;
        let before = check_store(&store)?;
        let first = store.read_all().unwrap()[(0, 0)];
        std::thread::sleep(Duration::from_micros(self.random.below(200) as u64));
        if check_store(&store)? != before || store.read_all().unwrap()[(0, 0)] != first {
            return Err(Refused::Broken("it changed while it was read".into()));
        }
        drop(marker);
        Ok(Outcome::Read)
    }

    /// As [`read`](Party::read), by way of a map.
    fn read_mapped(
        &mut self,
        store: Result<Store<u64, Ix2, ReadOnly>>,
    ) -> Result<Outcome, Refused> {
        let map = mapped(store?);
        let marker = Marker::reader(&self.dir, self.number)?;
        let look = || check(turned(map.view(), map.order()));
        let (before, first) = (look()?, map.view()[(0, 0)]);
        std::thread::sleep(Duration::from_micros(self.random.below(200) as u64));
        if look()? != before || map.view()[(0, 0)] != first {
            return Err(Refused::Broken("it changed while it was mapped".into()));
        }
        drop(marker);
        Ok(Outcome::Read)
    }

    fn write(
        &mut self,
        store: Result<Store<u64, Ix2>>,
        work: impl FnOnce(&mut Party, &mut Store<u64, Ix2>) -> Result<(), String>,
    ) -> Result<Outcome, Refused> {
        let mut store = store?;
        let marker = Marker::writer(&self.dir)?;
        work(self, &mut store)?;
        // Said before it is so: whoever comes next has the lock first, and looks then.
        drop(marker);
        if self.random.below(20) == 0 {
            fs::remove_file(&self.path).map_err(|error| error.to_string())?;
        }
        Ok(Outcome::Written)
    }

    /// Appends some rows, or several times some.
    fn append(&mut self, store: &mut Store<u64, Ix2>) -> Result<(), String> {
        let order = store.order();
        for _ in 0..=self.random.below(3) {
            let array = store.read_all().unwrap();
            let array = turned(array.view(), order);
            let (rows, columns) = array.dim();
            let added = 1 + self.random.below(10);
            let rows = elements(generation(array[(0, 0)]), rows, (added, columns));
            match self.random.below(2) {
                0 => store.append(&turned(rows.view(), order)).map_err(told)?,
                _ => {
                    let mut appender = store.appender().map_err(told)?;
                    for row in rows.outer_iter() {
                        appender.push(&row).map_err(told)?;
                    }
                    appender.flush().map_err(told)?;
                }
            }
        }
        Ok(())
    }

    /// Resizes, and writes another array into what it then has.
    fn resize(&mut self, store: &mut Store<u64, Ix2>) -> Result<(), String> {
        let array = self.new_elements();
        store
            .resize(turned(array.view(), store.order()).raw_dim())
            .map_err(told)?;
        fill(store, &array);
        Ok(())
    }
}

fn told(error: Error) -> String {
    format!("{error:?}")
}

fn check_store<M: AccessMode>(store: &Store<u64, Ix2, M>) -> Result<Vec<usize>, String> {
    check(turned(store.read_all().unwrap().view(), store.order()))
}

fn fill(store: &mut Store<u64, Ix2>, array: &Array2<u64>) {
    let order = store.order();
    store.write_all(&turned(array.view(), order)).unwrap();
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
        locks: !told.flawed,
        random: Random::new(told.number),
        generation: told.number + 1,
    };
    let mut done = [0; 3];
    while !told.is_over() {
        match party.act() {
            Ok(outcome) => done[outcome as usize] += 1,
            Err(what) => broken(&what),
        }
    }
    report(&done);
}

/// Lets all parties work in a directory of `place`, and says how often they read, wrote and were
/// refused.
fn stress(place: &Path, seconds: f64, locks: bool) -> Result<[u64; 3], String> {
    let dir = tempfile::tempdir_in(place).unwrap();
    let total = parties::work("stress", dir.path(), seconds, !locks)?;
    assert_no_drafts(dir.path());
    Ok(total)
}

/// With `NDSTORE_STRESS_SECONDS=300` for five minutes:
/// `cargo test --test integration -- --nocapture eight_processes_at_one_path`
#[test]
fn eight_processes_at_one_path_see_whole_arrays_and_one_writer_at_a_time() {
    let seconds = std::env::var(SECONDS).map_or(SECONDS_BY_DEFAULT, |text| text.parse().unwrap());
    let (mut read, mut written) = (0, 0);
    let places = places();
    for place in &places {
        let total = stress(place, seconds as f64 / places.len() as f64, true);
        let total = total.unwrap_or_else(|what| panic!("{place:?}: {what}"));
        println!("{place:?}: {total:?} read, written, refused");
        read += total[0];
        written += total[1];
    }
    assert!(read > 0 && written > 0, "{read} {written}");
}

/// Shows that the check catches the fault that it is for.
#[test]
fn processes_without_a_lock_are_caught() {
    stress(&places()[0], 1.0, false).expect_err("nobody got in the way of another");
}
