//! The images that a power cut can leave: at every prefix of the log, the durable effects with some
//! of the pending ones.
//!
//! Durable are the effects on a file before its last sync, and the names before the last sync of
//! the directory. A write is cut in units, of which any subset may have reached the disk, in any
//! order; the length that it gave the file is a unit of its own. Names reach the disk in order.
//! After a sync that failed nothing before it is ever taken for durable: the kernel forgets that it
//! had to write it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::log::{Attributes, Ino, Op};
use crate::rng::Rng;

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) attributes: Attributes,
}

/// A directory after a power cut.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Image {
    pub(crate) files: BTreeMap<String, Rc<Content>>,
    pub(crate) directories: BTreeSet<String>,
}

/// What a draft is called while two names are swapped, before the numbers of the files.
const SWAPPED: &str = "ndstore-draft-";

/// What stands in their place in an image, whose files have other numbers wherever it is laid out:
/// that one of them is the file's own.
pub(crate) const OWN: &str = "OWN";

/// The name of the file `ino` in an image.
fn name_in_image(name: &str, ino: Ino) -> String {
    match name.split_once(SWAPPED) {
        Some((place, numbers)) if numbers.split('-').any(|number| number == ino.to_string()) => {
            format!("{place}{SWAPPED}{OWN}")
        }
        _ => name.to_owned(),
    }
}

/// The smallest effect that a disk has or has not.
#[derive(Clone, Debug)]
enum Change {
    /// At most a unit, within one unit of the file.
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    SetLen(usize),
    /// At least this long.
    Grow(usize),
    SetAttributes(Attributes),
}

impl Change {
    fn apply(&self, content: &mut Content) {
        let bytes = &mut content.bytes;
        match self {
            Change::Write { offset, bytes: new } => {
                let end = offset + new.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(new);
            }
            Change::SetLen(len) => bytes.resize(*len, 0),
            Change::Grow(len) => bytes.resize(bytes.len().max(*len), 0),
            Change::SetAttributes(attributes) => content.attributes = *attributes,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// On the disk or not; the next sync sees to it.
    Open,
    /// On the disk or not, and no sync will change that.
    Doubtful,
    /// On the disk. It waits for doubtful changes before it, for their order matters.
    Durable,
}

#[derive(Clone, Debug)]
struct Pending {
    /// Its place in the log, to order the changes of all files.
    at: usize,
    change: Change,
    fate: Fate,
}

#[derive(Clone, Debug)]
struct FileState {
    /// What is certain.
    durable: Rc<Content>,
    /// What came after that, in order.
    pending: Vec<Pending>,
    /// How long the file is for the program.
    len: u64,
}

impl FileState {
    /// Applies the durable changes that no doubtful change precedes.
    fn settle(&mut self) {
        let mut blocked = false;
        self.pending.retain(|pending| {
            let is_data = !matches!(pending.change, Change::SetAttributes(_));
            if pending.fate == Fate::Durable && !(is_data && blocked) {
                pending.change.apply(Rc::make_mut(&mut self.durable));
                return false;
            }
            blocked |= is_data;
            true
        });
    }
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(String, Ino),
    Rename(String, String),
    Exchange(String, String),
    Remove(String),
    MakeDirectory(String),
    RemoveDirectory(String),
}

/// All names.
#[derive(Clone, Debug, Default)]
struct Names {
    files: BTreeMap<String, Ino>,
    directories: BTreeSet<String>,
}

impl Names {
    fn apply(&mut self, change: &NameChange) {
        let files = &mut self.files;
        match change {
            NameChange::Add(name, ino) => {
                files.insert(name.clone(), *ino);
            }
            NameChange::Rename(from, to) => {
                if let Some(ino) = files.remove(from) {
                    files.insert(to.clone(), ino);
                }
            }
            NameChange::Exchange(one, other) => {
                let (first, second) = (files[one], files[other]);
                files.insert(one.clone(), second);
                files.insert(other.clone(), first);
            }
            NameChange::Remove(name) => {
                files.remove(name);
            }
            NameChange::MakeDirectory(name) => {
                self.directories.insert(name.clone());
            }
            NameChange::RemoveDirectory(name) => {
                self.directories.remove(name);
            }
        }
    }
}

/// Which subsets of the pending changes become images, beside none and all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    /// Each change alone, all but each, and every prefix.
    pub(crate) systematic: bool,
    /// How many random subsets.
    pub(crate) random: usize,
}

/// The disk at one moment, as the log has it so far.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    unit: usize,
    at: usize,
    files: BTreeMap<Ino, FileState>,
    names: Names,
    pending_names: Vec<NameChange>,
}

impl Moment {
    /// An empty disk whose writes are cut in units of so many bytes.
    pub(crate) fn new(unit: usize) -> Moment {
        Moment {
            unit,
            at: 0,
            files: BTreeMap::new(),
            names: Names::default(),
            pending_names: Vec::new(),
        }
    }

    /// Goes on by one operation.
    pub(crate) fn advance(&mut self, op: &Op) {
        self.at += 1;
        match op {
            Op::Create {
                ino,
                name,
                attributes,
            } => {
                let empty = Content {
                    bytes: Vec::new(),
                    attributes: *attributes,
                };
                let state = FileState {
                    durable: Rc::new(empty),
                    pending: Vec::new(),
                    len: 0,
                };
                self.files.insert(*ino, state);
                self.pending_names.push(NameChange::Add(name.clone(), *ino));
            }
            Op::Link { ino, name } => self.pending_names.push(NameChange::Add(name.clone(), *ino)),
            Op::Rename { from, to } => {
                let change = NameChange::Rename(from.clone(), to.clone());
                self.pending_names.push(change);
            }
            Op::Exchange { one, other } => {
                let change = NameChange::Exchange(one.clone(), other.clone());
                self.pending_names.push(change);
            }
            Op::MakeDirectory { name } => {
                let change = NameChange::MakeDirectory(name.clone());
                self.pending_names.push(change);
            }
            Op::RemoveDirectory { name } => {
                let change = NameChange::RemoveDirectory(name.clone());
                self.pending_names.push(change);
            }
            Op::Unlink { name } => self.pending_names.push(NameChange::Remove(name.clone())),
            Op::SyncDirectory => {
                for change in self.pending_names.drain(..) {
                    self.names.apply(&change);
                }
            }
            Op::Write {
                ino,
                offset,
                bytes,
                failed,
            } => self.write(*ino, *offset, bytes, *failed),
            Op::SetLen { ino, len } => {
                self.file(*ino).len = *len;
                self.push(*ino, Change::SetLen(*len as usize), Fate::Open);
            }
            Op::Allocate {
                ino,
                end,
                keep_size,
            } => {
                if !keep_size {
                    self.grow(*ino, *end, Fate::Open);
                }
            }
            Op::SetAttributes { ino, attributes } => {
                self.push(*ino, Change::SetAttributes(*attributes), Fate::Open);
            }
            Op::Sync { ino, data_only } => {
                let file = self.file(*ino);
                for pending in &mut file.pending {
                    let covered =
                        !(*data_only && matches!(pending.change, Change::SetAttributes(_)));
                    if pending.fate == Fate::Open && covered {
                        pending.fate = Fate::Durable;
                    }
                }
                file.settle();
            }
            Op::SyncFailed { ino } => {
                // A sync of the directory that failed is not among these: its names stay open.
                if let Some(file) = self.files.get_mut(ino) {
                    for pending in &mut file.pending {
                        if pending.fate == Fate::Open {
                            pending.fate = Fate::Doubtful;
                        }
                    }
                }
            }
            Op::Life { .. } | Op::Ack(_) => {}
        }
    }

    /// The same moment, after somebody else has synced every file and no directory.
    pub(crate) fn synced(&self) -> Moment {
        let mut synced = self.clone();
        for &ino in self.files.keys() {
            synced.advance(&Op::Sync {
                ino,
                data_only: false,
            });
        }
        synced
    }

    fn file(&mut self, ino: Ino) -> &mut FileState {
        self.files.get_mut(&ino).expect("the log created it")
    }

    fn push(&mut self, ino: Ino, change: Change, fate: Fate) {
        let at = self.at;
        let pending = Pending { at, change, fate };
        self.file(ino).pending.push(pending);
    }

    fn grow(&mut self, ino: Ino, end: u64, fate: Fate) {
        if self.file(ino).len < end {
            self.file(ino).len = end;
            self.push(ino, Change::Grow(end as usize), fate);
        }
    }

    fn write(&mut self, ino: Ino, offset: u64, mut bytes: &[u8], failed: bool) {
        let fate = if failed { Fate::Doubtful } else { Fate::Open };
        if !failed {
            self.grow(ino, offset + bytes.len() as u64, fate);
        }
        let mut offset = offset as usize;
        while !bytes.is_empty() {
            // Units are those of the file, wherever the write began.
            let (unit, rest) = bytes.split_at(bytes.len().min(self.unit - offset % self.unit));
            let bytes_of_unit = unit.to_vec();
            self.push(
                ino,
                Change::Write {
                    offset,
                    bytes: bytes_of_unit,
                },
                fate,
            );
            offset += unit.len();
            bytes = rest;
        }
    }

    /// Visits the images of a power cut at this moment: for every prefix of the pending names,
    /// subsets of the pending changes of the files that have a name then.
    pub(crate) fn images<B>(
        &self,
        family: Family,
        rng: &mut Rng,
        mut visit: impl FnMut(Image) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut names = self.names.clone();
        for named in 0..=self.pending_names.len() {
            if let Some(change) = named.checked_sub(1).map(|last| &self.pending_names[last]) {
                names.apply(change);
            }
            let choice = Choice::new(&self.files, &names);
            let count = choice.optional.len();
            visit(choice.image(|_| false))?;
            if count == 0 {
                continue;
            }
            visit(choice.image(|_| true))?;
            if family.systematic {
                for chosen in 0..count {
                    visit(choice.image(|index| index == chosen))?;
                    visit(choice.image(|index| index != chosen))?;
                    visit(choice.image(|index| index <= chosen))?;
                }
            }
            for _ in 0..family.random {
                // From sparse to dense, one in eight to seven in eight.
                let density = 1 + rng.next() % 7;
                let kept: Vec<bool> = (0..count)
                    .map(|_| rng.below(8) < density as usize)
                    .collect();
                visit(choice.image(|index| kept[index]))?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// The files that have a name, and which of their changes may be missing.
struct Choice<'a> {
    files: BTreeMap<&'a str, (Ino, &'a FileState)>,
    directories: &'a BTreeSet<String>,
    /// In the order of the log.
    optional: Vec<(usize, Ino)>,
    /// For each pending change of a file its place in `optional`, or `None` if it is certain.
    places: BTreeMap<Ino, Vec<Option<usize>>>,
}

impl<'a> Choice<'a> {
    fn new(files: &'a BTreeMap<Ino, FileState>, names: &'a Names) -> Choice<'a> {
        let files: BTreeMap<_, _> = names
            .files
            .iter()
            .map(|(name, ino)| (name.as_str(), (*ino, &files[ino])))
            .collect();
        let mut found: BTreeMap<(usize, Ino), Vec<usize>> = BTreeMap::new();
        let mut places = BTreeMap::new();
        for &(ino, state) in files.values() {
            // A file with two names is one file.
            if places
                .insert(ino, vec![None; state.pending.len()])
                .is_some()
            {
                continue;
            }
            for (index, pending) in state.pending.iter().enumerate() {
                if pending.fate != Fate::Durable {
                    found.entry((pending.at, ino)).or_default().push(index);
                }
            }
        }
        let mut optional = Vec::new();
        for ((at, ino), indices) in found {
            let places = places.get_mut(&ino).expect("inserted above");
            for index in indices {
                places[index] = Some(optional.len());
                optional.push((at, ino));
            }
        }
        Choice {
            files,
            directories: &names.directories,
            optional,
            places,
        }
    }

    fn image(&self, keep: impl Fn(usize) -> bool) -> Image {
        let content = |ino: &Ino, state: &FileState| {
            if state.pending.is_empty() {
                return Rc::clone(&state.durable);
            }
            let mut content = Content::clone(&state.durable);
            for (pending, place) in state.pending.iter().zip(&self.places[ino]) {
                if place.is_none_or(&keep) {
                    pending.change.apply(&mut content);
                }
            }
            Rc::new(content)
        };
        Image {
            files: self
                .files
                .iter()
                .map(|(name, (ino, state))| (name_in_image(name, *ino), content(ino, state)))
                .collect(),
            directories: self.directories.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODE: Attributes = Attributes {
        mode: 0o644,
        uid: 0,
        gid: 0,
    };

    fn write(offset: u64, byte: u8, len: usize) -> Op {
        Op::Write {
            ino: 2,
            offset,
            bytes: vec![byte; len],
            failed: false,
        }
    }

    fn create() -> Op {
        Op::Create {
            ino: 2,
            name: "a".to_owned(),
            attributes: MODE,
        }
    }

    fn sync() -> Op {
        Op::Sync {
            ino: 2,
            data_only: true,
        }
    }

    /// The bytes of `a` in all images after `log`; `None` where it is missing.
    fn images(log: &[Op], unit: usize) -> Vec<Option<Vec<u8>>> {
        let mut moment = Moment::new(unit);
        log.iter().for_each(|op| moment.advance(op));
        let family = Family {
            systematic: true,
            random: 0,
        };
        let mut found = Vec::new();
        let _ = moment.images::<()>(family, &mut Rng::new(0), |image| {
            found.push(image.files.get("a").map(|content| content.bytes.clone()));
            ControlFlow::Continue(())
        });
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn what_was_synced_is_in_every_image() {
        let log = [create(), Op::SyncDirectory, write(0, 7, 4), sync()];
        assert_eq!(images(&log, 512), [Some(vec![7; 4])]);
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_missing() {
        let log = [create(), write(0, 7, 4), sync()];
        assert_eq!(images(&log, 512), [None, Some(vec![7; 4])]);
    }

    #[test]
    fn units_are_written_in_any_combination() {
        let log = [
            create(),
            write(0, 1, 4),
            sync(),
            Op::SyncDirectory,
            write(1, 2, 2),
        ];
        let found: Vec<_> = images(&log, 2).into_iter().flatten().collect();
        let expected: [[u8; 4]; 4] = [[1, 1, 1, 1], [1, 1, 2, 1], [1, 2, 1, 1], [1, 2, 2, 1]];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_may_have_grown_without_its_bytes() {
        let log = [create(), Op::SyncDirectory, write(0, 7, 2)];
        let found: Vec<_> = images(&log, 512).into_iter().flatten().collect();
        assert_eq!(found, [vec![], vec![0, 0], vec![7, 7]]);
    }

    #[test]
    fn no_later_sync_makes_up_for_one_that_failed() {
        let failed = Op::SyncFailed { ino: 2 };
        let log = [
            create(),
            Op::SyncDirectory,
            write(0, 7, 1),
            failed,
            write(1, 8, 1),
            sync(),
        ];
        let found: Vec<_> = images(&log, 1).into_iter().flatten().collect();
        assert_eq!(found, [vec![0, 8], vec![7, 8]]);
    }

    #[test]
    fn a_sync_of_somebody_else_settles_what_is_pending_and_leaves_names_alone() {
        let mut moment = Moment::new(512);
        for op in [create(), write(0, 7, 4)] {
            moment.advance(&op);
        }
        let synced = moment.synced();
        assert_eq!(synced.files[&2].durable.bytes, [7; 4]);
        assert!(synced.files[&2].pending.is_empty() && synced.names.files.is_empty());
        assert!(moment.files[&2].durable.bytes.is_empty());
    }

    #[test]
    fn attributes_wait_for_a_full_sync() {
        let private = Attributes {
            mode: 0o600,
            ..MODE
        };
        let mut moment = Moment::new(512);
        let set = Op::SetAttributes {
            ino: 2,
            attributes: private,
        };
        for op in [create(), Op::SyncDirectory, set, write(0, 7, 1), sync()] {
            moment.advance(&op);
        }
        let file = &moment.files[&2];
        assert_eq!(
            (&file.durable.bytes[..], file.durable.attributes),
            (&[7][..], MODE)
        );
        moment.advance(&Op::Sync {
            ino: 2,
            data_only: false,
        });
        assert_eq!(moment.files[&2].durable.attributes, private);
    }
}
