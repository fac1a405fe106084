//! A toy store that does what ndstore does, in the same order, by plain calls on the file; and the
//! flaws that the rig has to find.
//!
//! Without a flaw it passes, so the rig catches a flawed toy by its flaw.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis, concatenate, s};

use crate::foreign::{bytes, header, sync_directory};
use crate::script::{Step, elements};

/// The flaw of a toy store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    /// `append` writes the header before the rows are synced.
    UnsyncedRows,
    /// `append` returns before the header is synced.
    UnsyncedHeader,
    /// `append` makes the header name the rows before they are there.
    HeaderFirst,
    /// `truncate` cuts the file before the header says so.
    CutFirst,
    /// A new file gets its name before it is synced.
    UnsyncedRename,
    /// A new name is not synced.
    UnsyncedDirectory,
    /// `resize` moves the elements where they are.
    ResizeInPlace,
    /// The error of a sync is not looked at.
    DeafToErrors,
    /// A sync that failed is tried again.
    RetriedSync,
    /// Opening a file cuts it behind a header that need not be on the disk.
    CutBehindCache,
    /// Opening a file syncs the header before the cut, but does not write it again: a sync that
    /// failed may have left it clean.
    CutBehindCleanPage,
    /// A flush takes the header that was read for durable.
    InheritedHeader,
    /// Opening a file takes its name for durable.
    InheritedName,
}

impl Flaw {
    pub(crate) const ALL: [Flaw; 14] = [
        Flaw::Nothing,
        Flaw::UnsyncedRows,
        Flaw::UnsyncedHeader,
        Flaw::HeaderFirst,
        Flaw::CutFirst,
        Flaw::UnsyncedRename,
        Flaw::UnsyncedDirectory,
        Flaw::ResizeInPlace,
        Flaw::DeafToErrors,
        Flaw::RetriedSync,
        Flaw::CutBehindCache,
        Flaw::CutBehindCleanPage,
        Flaw::InheritedHeader,
        Flaw::InheritedName,
    ];

    /// Whether it shows only where calls fail.
    pub(crate) fn needs_fault(self) -> bool {
        matches!(self, Flaw::DeafToErrors | Flaw::RetriedSync)
    }

    /// Whether it shows only where a process takes over what another one left.
    pub(crate) fn needs_successor(self) -> bool {
        matches!(
            self,
            Flaw::CutBehindCache
                | Flaw::CutBehindCleanPage
                | Flaw::InheritedHeader
                | Flaw::InheritedName
        )
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Nothing => "nothing left out",
            Flaw::UnsyncedRows => "no sync before the header",
            Flaw::UnsyncedHeader => "no sync after the header",
            Flaw::HeaderFirst => "header before growth",
            Flaw::CutFirst => "cut before the header",
            Flaw::UnsyncedRename => "rename without sync",
            Flaw::UnsyncedDirectory => "no directory sync",
            Flaw::ResizeInPlace => "resize in place",
            Flaw::DeafToErrors => "failed sync ignored",
            Flaw::RetriedSync => "failed sync retried",
            Flaw::CutBehindCache => "cut behind a cached header",
            Flaw::CutBehindCleanPage => "cut behind a synced header",
            Flaw::InheritedHeader => "header found, not written",
            Flaw::InheritedName => "name found, not synced",
        })
    }
}

/// As long as that of ndstore, so that the data begin on a page.
const HEADER: usize = 4096;

pub(crate) struct Toy {
    flaw: Flaw,
    path: PathBuf,
    file: Option<File>,
    array: Array2<u64>,
    /// Whether header and name are those that somebody else left.
    inherited: bool,
}

impl Toy {
    /// A toy that makes a file, or opens the one with this array.
    pub(crate) fn new(flaw: Flaw, path: &Path, found: Option<Array2<u64>>) -> Toy {
        Toy {
            flaw,
            path: path.to_owned(),
            file: None,
            inherited: found.is_some(),
            array: found.unwrap_or_default(),
        }
    }

    /// Does one step.
    pub(crate) fn run(&mut self, index: usize, step: &Step) -> io::Result<()> {
        let dim = self.array.dim();
        match *step {
            Step::Open => {
                let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
                self.file = Some(file);
                Ok(())
            }
            Step::Create(rows, columns) => self.create(Array2::zeros((rows, columns))),
            Step::CreateFrom(rows, columns) => self.create(elements(index, (rows, columns))),
            Step::Fill => {
                self.array = elements(index, dim);
                self.write_rows(0)
            }
            Step::Flush => {
                if self.inherited && self.flaw != Flaw::InheritedHeader {
                    self.write_header()?;
                }
                self.sync()?;
                self.sync_name()
            }
            Step::Append(rows) => {
                let rows = elements(index, (rows, dim.1));
                let new = concatenate![Axis(0), self.array, rows];
                self.append(new)
            }
            Step::Truncate(rows) => {
                let new = self.array.slice(s![..rows.min(dim.0), ..]).to_owned();
                self.truncate(new)
            }
            Step::Resize(rows, columns) => {
                let mut new = Array2::zeros((rows, columns));
                let kept = s![..rows.min(dim.0), ..columns.min(dim.1)];
                new.slice_mut(kept).assign(&self.array.slice(kept));
                match self.flaw {
                    Flaw::ResizeInPlace => self.resize_in_place(new),
                    _ => self.create(new),
                }
            }
            _ => unreachable!("the toy has no {step:?}"),
        }
    }

    fn create(&mut self, array: Array2<u64>) -> io::Result<()> {
        let draft = self.path.with_extension("draft");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        self.file = Some(options.open(&draft)?);
        self.array = array;
        self.write_rows(0)?;
        self.write_header()?;
        if self.flaw != Flaw::UnsyncedRename {
            self.sync()?;
        }
        std::fs::rename(&draft, &self.path)?;
        self.inherited = false;
        if self.flaw != Flaw::UnsyncedDirectory {
            sync_directory(&self.path)?;
        }
        Ok(())
    }

    /// Makes sure of a name that somebody else gave the file.
    fn sync_name(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.inherited) && self.flaw != Flaw::InheritedName {
            sync_directory(&self.path)?;
        }
        Ok(())
    }

    /// Cuts off rows that no header names: those of somebody who was killed.
    fn cut(&mut self) -> io::Result<()> {
        let end = (HEADER + self.array.len() * 8) as u64;
        if self.file().metadata()?.len() <= end {
            return Ok(());
        }
        if self.inherited {
            if !matches!(self.flaw, Flaw::CutBehindCache | Flaw::CutBehindCleanPage) {
                self.write_header()?;
            }
            if self.flaw != Flaw::CutBehindCache {
                self.sync()?;
            }
        }
        self.file().set_len(end)
    }

    fn append(&mut self, new: Array2<u64>) -> io::Result<()> {
        self.cut()?;
        let old = std::mem::replace(&mut self.array, new);
        if self.flaw == Flaw::HeaderFirst {
            self.write_header()?;
            self.sync()?;
            self.write_rows(old.nrows())?;
            return self.sync();
        }
        self.write_rows(old.nrows())?;
        if self.flaw != Flaw::UnsyncedRows {
            self.sync()?;
        }
        self.write_header()?;
        if self.flaw != Flaw::UnsyncedHeader {
            self.sync()?;
        }
        self.sync_name()
    }

    fn truncate(&mut self, new: Array2<u64>) -> io::Result<()> {
        self.array = new;
        let len = (HEADER + self.array.len() * 8) as u64;
        if self.flaw == Flaw::CutFirst {
            self.file().set_len(len)?;
            self.sync()?;
        }
        self.write_header()?;
        self.sync()?;
        self.sync_name()?;
        self.file().set_len(len)?;
        self.sync()
    }

    fn resize_in_place(&mut self, new: Array2<u64>) -> io::Result<()> {
        self.array = new;
        self.write_rows(0)?;
        self.sync()?;
        self.write_header()?;
        self.sync()
    }

    fn file(&self) -> &File {
        self.file.as_ref().expect("a script creates first")
    }

    fn write_header(&self) -> io::Result<()> {
        let header = header(self.array.dim(), Some(HEADER));
        self.file().write_all_at(&header, 0)
    }

    fn write_rows(&self, from: usize) -> io::Result<()> {
        let rows = self.array.slice(s![from.., ..]).to_owned();
        let offset = HEADER + from * self.array.ncols() * 8;
        self.file().write_all_at(&bytes(&rows), offset as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let synced = self.file().sync_all();
        match self.flaw {
            Flaw::DeafToErrors => Ok(()),
            Flaw::RetriedSync => synced.or_else(|_| self.file().sync_all()),
            _ => synced,
        }
    }
}
