//! `ndstore info`: what arrays are, by their headers alone.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use ndstore::{DType, HeaderKind, Inspection, Kind, Npz, Order};
use serde_json::{Map, Value, json};

use super::lock;
use crate::holders;
use crate::input::{self, RawArgs};
use crate::operand::{Operand, printable};
use crate::outcome::{Answer, Failure, Outcome, fail};
use crate::shell::Shell;
use crate::units;

/// Tell what arrays are, by their headers
///
/// Files, npz archives with all their members, and directories with the files in them. Takes no lock and reads no element, so it takes microseconds whatever the size.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore info a.npy                        all there is to say (`ndstore a.npy` does the same)\n  \
    ndstore info *.npy runs.npz data/         a line for each array\n  \
    ndstore info --json data/ | jq -r 'select(.dtype == \"<f8\") | .path'")]
pub(crate) struct Info {
    /// Files, archives, directories
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Operand>,
    /// Looks into the directories in directories, too
    #[arg(short, long)]
    recursive: bool,
    /// Tells all about each array, also of several
    #[arg(short, long)]
    long: bool,
    #[command(flatten)]
    raw: RawArgs,
}

impl Info {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let is_one = matches!(&self.files[..], [operand] if !operand.path.is_dir());
        let mut has_failed = false;
        for operand in &self.files {
            let told = match &operand.index {
                Some(_) => fail(format!(
                    "{}: info is about whole arrays; leave the index out",
                    operand.name()
                )),
                None if operand.path.is_dir() => {
                    self.directory(&operand.path, &mut has_failed, shell)
                }
                None => self.file(operand, is_one, shell),
            };
            if let Err(failure) = told {
                has_failed = true;
                shell.go_on(failure)?;
            }
        }
        match has_failed {
            true => Err(Failure::Told),
            false => Ok(Answer::Yes),
        }
    }

    /// Tells of the NPY files and archives in a directory, in the order of their names.
    fn directory(&self, path: &Path, has_failed: &mut bool, shell: &mut Shell<'_>) -> Outcome<()> {
        let listed = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = match listed {
            Ok(entries) => entries,
            Err(error) => return fail(format!("cannot list {path:?}: {error}")),
        };
        entries.sort_unstable_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let is_array = name.as_bytes().ends_with(b".npy") || name.as_bytes().ends_with(b".npz");
            let is_directory = self.recursive && entry.file_type().is_ok_and(|kind| kind.is_dir());
            let told = match (is_directory, is_array) {
                (true, _) => self.directory(&entry.path(), has_failed, shell),
                (false, true) => {
                    let path = entry.path();
                    let given = path.clone().into_os_string();
                    self.file(
                        &Operand {
                            given,
                            path,
                            member: None,
                            index: None,
                        },
                        false,
                        shell,
                    )
                }
                (false, false) => Ok(()),
            };
            if let Err(failure) = told {
                *has_failed = true;
                shell.go_on(failure)?;
            }
        }
        Ok(())
    }

    fn file(&self, operand: &Operand, is_one: bool, shell: &mut Shell<'_>) -> Outcome<()> {
        let is_archive =
            self.raw.raw.is_none() && (operand.member.is_some() || has_archive(&operand.path));
        if !is_archive {
            let found = Found::of_file(operand, &self.raw, shell)?;
            return self.tell(&found, is_one, shell);
        }
        let archive = shell.options().open_npz(&operand.path)?;
        if let Some(name) = &operand.member {
            return self.tell(&Found::of_member(&archive, name)?, is_one, shell);
        }
        let mut has_failed = false;
        for name in archive.names() {
            match Found::of_member(&archive, name) {
                Ok(found) => self.tell(&found, false, shell)?,
                Err(failure) => {
                    has_failed = true;
                    shell.go_on(failure)?;
                }
            }
        }
        match has_failed {
            true => Err(Failure::Told),
            false => Ok(()),
        }
    }

    fn tell(&self, found: &Found, is_one: bool, shell: &mut Shell<'_>) -> Outcome<()> {
        if shell.is_json() {
            let value = found.to_json();
            return shell.json(&value);
        }
        match is_one || self.long {
            true => found.print(shell),
            false => {
                let (dtype, shape) = (short(&found.dtype), units::shape(&found.shape));
                let order = order_of(found.order);
                let size = units::human(found.nbytes);
                Ok(writeln!(
                    shell.out,
                    "{dtype:<8} {shape:<20} {order} {size:>10}  {}",
                    found.name
                )?)
            }
        }
    }
}

/// By its name, so that a directory of many files costs nothing more; other names are looked into.
fn has_archive(path: &Path) -> bool {
    !path.as_os_str().as_bytes().ends_with(b".npy") && input::is_archive(path)
}

/// What there is to say of an array.
struct Found {
    name: String,
    path: PathBuf,
    member: Option<String>,
    dtype: DType,
    shape: Vec<usize>,
    order: Order,
    nbytes: u64,
    /// Of a file of its own.
    file: Option<OfFile>,
    is_compressed: bool,
}

struct OfFile {
    found: Inspection,
    metadata: Metadata,
}

impl Found {
    fn of_file(operand: &Operand, raw: &RawArgs, shell: &Shell<'_>) -> Outcome<Found> {
        let found = raw.options(shell.options()).inspect(&operand.path)?;
        let metadata = operand.path.metadata()?;
        Ok(Found {
            name: operand.name(),
            path: operand.path.clone(),
            member: None,
            dtype: found.dtype().clone(),
            shape: found.shape().to_vec(),
            order: found.order(),
            nbytes: found.nbytes(),
            is_compressed: false,
            file: Some(OfFile { found, metadata }),
        })
    }

    fn of_member(archive: &Npz, name: &str) -> Outcome<Found> {
        let member = archive.member(name)?;
        let elements = member.shape().iter().product::<usize>() as u64;
        Ok(Found {
            name: format!("{}:{}", printable(archive.path()), printable(name)),
            path: archive.path().to_path_buf(),
            member: Some(name.to_owned()),
            dtype: member.dtype().clone(),
            shape: member.shape().to_vec(),
            order: member.order(),
            nbytes: elements.saturating_mul(member.dtype().itemsize() as u64),
            is_compressed: member.is_compressed(),
            file: None,
        })
    }

    fn elements(&self) -> u64 {
        self.shape.iter().product::<usize>() as u64
    }

    fn print(&self, shell: &mut Shell<'_>) -> Outcome<()> {
        let mut lines = vec![(
            "dtype",
            format!("{}  {}", short(&self.dtype), self.dtype.name()),
        )];
        for field in self
            .dtype
            .fields()
            .unwrap_or_default()
            .iter()
            .filter(|field| !field.name().is_empty())
        {
            let shape = if field.shape().is_empty() {
                String::new()
            } else {
                format!(" {}", units::shape(field.shape()))
            };
            lines.push((
                "",
                format!(
                    "{} {}{shape} at byte {}",
                    printable(field.name()),
                    short(field.dtype()),
                    field.offset()
                ),
            ));
        }
        lines.push(("shape", units::shape(&self.shape)));
        lines.push(("order", order_of(self.order).into()));
        lines.push(("elements", units::count(self.elements())));
        lines.push(("bytes", units::exact(self.nbytes)));
        if self.member.is_some() {
            lines.push((
                "in the archive",
                if self.is_compressed {
                    "deflated"
                } else {
                    "stored"
                }
                .into(),
            ));
        }
        if let Some(file) = &self.file {
            lines.push((
                "header",
                format!(
                    "{}, elements from byte {}",
                    file.header(),
                    units::count(file.found.offset())
                ),
            ));
            lines.push(("on the disk", units::exact(file.allocated())));
            if !file.found.is_whole() {
                let (whole, rows) = (file.found.whole_rows() as u64, file.rows());
                let whole = format!(
                    "{} of {} are whole",
                    units::counted(whole, "row"),
                    units::count(rows)
                );
                lines.push(("CUT", format!("{whole}; `ndstore recover` saves them")));
            }
            if let trailing @ 1.. = file.found.trailing_nbytes() {
                let why = match file.found.is_unpublished() {
                    true => "of an append that is under way or was killed",
                    false => "that no header names",
                };
                lines.push(("behind it", format!("{} {why}", units::exact(trailing))));
            }
            lines.push(("checksums", sums(&self.path, &file.metadata).into()));
            let holders = holders::of(&self.path);
            let first = holders.first().map_or("nobody".into(), |holder| {
                lock::sentence(holder, &file.found)
            });
            lines.push(("who has it", first));
            lines.extend(
                holders
                    .iter()
                    .skip(1)
                    .map(|holder| ("", lock::sentence(holder, &file.found))),
            );
        }
        writeln!(shell.out, "{}", self.name)?;
        for (key, value) in lines {
            writeln!(shell.out, "  {key:<15} {value}")?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        put("path", self.path.to_string_lossy().into());
        put("member", self.member.clone().into());
        put("dtype", self.dtype.descr().into());
        put("dtype_name", self.dtype.name().into());
        put(
            "fields",
            self.dtype.fields().map(|_| fields(&self.dtype)).into(),
        );
        put("shape", self.shape.clone().into());
        put("order", order_of(self.order).into());
        put("size", self.elements().into());
        put("nbytes", self.nbytes.into());
        put("compressed", self.is_compressed.into());
        if let Some(file) = &self.file {
            put("header", file.header().into());
            put("offset", file.found.offset().into());
            put("file_nbytes", file.metadata.len().into());
            put("allocated", file.allocated().into());
            put("trailing", file.found.trailing_nbytes().into());
            put("unpublished", file.found.is_unpublished().into());
            put("whole", file.found.is_whole().into());
            put("whole_rows", file.found.whole_rows().into());
            put("checksums", sums(&self.path, &file.metadata).into());
        }
        object.into()
    }
}

impl OfFile {
    fn header(&self) -> &'static str {
        match self.found.header() {
            HeaderKind::Raw => "none",
            HeaderKind::Native => "page",
            HeaderKind::Compact => "compact",
            _ => "other",
        }
    }

    /// How many rows the header names.
    fn rows(&self) -> u64 {
        let axis = match self.found.order() {
            Order::C => self.found.shape().first(),
            Order::F => self.found.shape().last(),
        };
        axis.map_or(1, |&len| len as u64)
    }

    fn allocated(&self) -> u64 {
        self.metadata.blocks() * 512
    }
}

/// Whether there are checksums, and none older than the file.
fn sums(path: &Path, metadata: &Metadata) -> &'static str {
    let mut name = path.as_os_str().to_owned();
    name.push(".sums");
    match std::fs::metadata(name) {
        Err(_) => "none",
        Ok(sums)
            if (sums.mtime(), sums.mtime_nsec()) >= (metadata.mtime(), metadata.mtime_nsec()) =>
        {
            "fresh"
        }
        Ok(_) => "stale",
    }
}

fn fields(dtype: &DType) -> Vec<Value> {
    let of_each = |field: &ndstore::Field| {
        json!({
            "name": field.name(), "dtype": field.dtype().descr(), "shape": field.shape(), "offset": field.offset(),
        })
    };
    dtype
        .fields()
        .unwrap_or_default()
        .iter()
        .filter(|field| !field.name().is_empty())
        .map(of_each)
        .collect()
}

/// A dtype in a column.
fn short(dtype: &DType) -> String {
    match dtype.kind() {
        Kind::Record => format!("V{}", dtype.itemsize()),
        _ => dtype.descr().trim_matches('\'').to_owned(),
    }
}

fn order_of(order: Order) -> &'static str {
    match order {
        Order::C => "C",
        Order::F => "F",
    }
}
