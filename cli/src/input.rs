//! `Input`: an operand that is open, whatever it is: a file, a member of an archive, a raw file, standard input.

use std::path::Path;

use clap::Args;
use ndarray::{IxDyn, SliceInfo, SliceInfoElem};
use ndstore::{
    AnyStore, DType, Element, Mode, Npz, Opening, Options, Order, OutOfCore, OutOfCoreAny,
};
use tempfile::TempDir;

use crate::index;
use crate::operand::Operand;
use crate::outcome::{Outcome, fail};
use crate::output::Output;
use crate::region::Region;
use crate::shell::Shell;
use crate::words;

/// What a file without a header has.
#[derive(Clone, Debug, Args)]
pub(crate) struct RawArgs {
    /// Takes files for raw ones, without a header: a dtype, then a shape and an offset where they are not the whole file
    ///
    /// `f4`, `f4:480,640`, `<i2:N,385` (as many rows as there are), `>f8:100,3@512` (from byte 512 on).
    #[arg(long, value_name = "DTYPE[:SHAPE][@OFFSET]", value_parser = Raw::parse, help_heading = "Input")]
    pub(crate) raw: Option<Raw>,
    /// Takes the elements of a raw file to be in Fortran order
    #[arg(long, requires = "raw", help_heading = "Input")]
    pub(crate) raw_fortran: bool,
}

/// The dtype of a raw file, and what else is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    dtype: DType,
    shape: Option<RawShape>,
    offset: u64,
}

#[derive(Clone, Debug)]
enum RawShape {
    Whole(Vec<usize>),
    Rows(Vec<usize>),
}

impl Raw {
    pub(crate) fn parse(text: &str) -> Result<Raw, String> {
        let (rest, offset) = match text.rsplit_once('@') {
            Some((rest, offset)) => (
                rest,
                offset
                    .parse()
                    .map_err(|_| format!("{offset:?} is no offset in bytes"))?,
            ),
            None => (text, 0),
        };
        // A colon in brackets or quotes belongs to the dtype of a record.
        let colon = rest
            .rfind(':')
            .filter(|&at| !rest[at..].contains([']', '\'', '"']));
        let (dtype, shape) = match colon {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let dtype = words::parse_dtype(dtype)?;
        let shape = shape.map(|shape| match shape.strip_prefix("N") {
            Some(row) => parse_shape(row.strip_prefix(',').unwrap_or(row)).map(RawShape::Rows),
            None => parse_shape(shape).map(RawShape::Whole),
        });
        Ok(Raw {
            dtype,
            shape: shape.transpose()?,
            offset,
        })
    }
}

/// Reads `480,640`, also in parentheses; nothing is the shape of a single element.
pub(crate) fn parse_shape(text: &str) -> Result<Vec<usize>, String> {
    let inside = text
        .trim()
        .trim_start_matches('(')
        .trim_end_matches(')')
        .trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Ok(Vec::new());
    }
    let axis = |axis: &str| {
        axis.trim()
            .parse()
            .map_err(|_| format!("{text:?} is no shape; write 480,640"))
    };
    inside.split(',').map(axis).collect()
}

impl RawArgs {
    /// The options that open a file by them.
    pub(crate) fn options(&self, options: Options) -> Options {
        let Some(raw) = &self.raw else {
            return options;
        };
        let order = if self.raw_fortran { Order::F } else { Order::C };
        let options = options
            .raw(raw.offset)
            .dtype(raw.dtype.clone())
            .order(order);
        match &raw.shape {
            None => options,
            Some(RawShape::Whole(shape)) => options.shape(shape.clone()),
            Some(RawShape::Rows(row)) => options.row_shape(row.clone()),
        }
    }
}

/// An array that is open to be read, and which part of it was asked for.
pub(crate) struct Input {
    pub(crate) store: AnyStore,
    pub(crate) region: Region,
    /// As it was given.
    pub(crate) name: String,
    /// Has what came by standard input, or out of a compressed archive.
    _spool: Option<TempDir>,
}

impl Input {
    pub(crate) fn open(operand: &Operand, raw: &RawArgs, shell: &Shell<'_>) -> Outcome<Input> {
        Input::open_as(operand, raw, shell, Opening::Read)
    }

    /// In a way that counts for files. What is no file of its own has no other.
    pub(crate) fn open_as(
        operand: &Operand,
        raw: &RawArgs,
        shell: &Shell<'_>,
        opening: Opening,
    ) -> Outcome<Input> {
        let options = raw.options(shell.options());
        let (store, spool) = if operand.is_stream() {
            receive(&options, raw, shell)?
        } else if raw.raw.is_none() && is_archive(&operand.path) {
            of_archive(&options, operand)?
        } else if let Some(member) = &operand.member {
            return fail(format!(
                "{:?} is no npz archive, so it has no array {member:?}",
                operand.path
            ));
        } else {
            (options.open_any_as(&operand.path, opening)?, None)
        };
        let region = match &operand.index {
            None => Region::whole(store.shape()),
            Some(text) => match index::parse(text, store.shape()) {
                Ok(region) => region,
                Err(reason) => return fail(format!("{}: {reason}", operand.name())),
            },
        };
        Ok(Input {
            store,
            region,
            name: operand.name(),
            _spool: spool,
        })
    }

    /// An array that is between two steps.
    pub(crate) fn of_spool(store: AnyStore, region: Region, name: String, spool: TempDir) -> Input {
        Input {
            store,
            region,
            name,
            _spool: Some(spool),
        }
    }

    /// The shape of the part that was asked for.
    pub(crate) fn shape(&self) -> Vec<usize> {
        self.region.shape()
    }

    /// How many bytes it has.
    pub(crate) fn nbytes(&self) -> u64 {
        let elements: usize = self.shape().iter().product();
        elements as u64 * self.store.dtype().itemsize() as u64
    }
}

fn receive(
    options: &Options,
    raw: &RawArgs,
    shell: &Shell<'_>,
) -> Outcome<(AnyStore, Option<TempDir>)> {
    let spool = tempfile::tempdir()?;
    let path = spool.path().join("stdin.npy");
    if raw.raw.is_some() {
        std::io::copy(&mut shell.stdin(), &mut std::fs::File::create(&path)?)?;
        return Ok((options.open_any(&path, Mode::Read)?, Some(spool)));
    }
    match options.receive_any(shell.stdin(), &path)? {
        Some(store) => Ok((store, Some(spool))),
        None => {
            fail("standard input is empty; give it an array, as `ndstore send FILE` writes one")
        }
    }
}

/// Whether a file starts as zip archives do. What cannot be read is not one, and opening it says why.
pub(crate) fn is_archive(path: &Path) -> bool {
    use std::os::unix::fs::FileExt;
    let mut magic = [0; 4];
    let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
    let read = is_file
        && std::fs::File::open(path).is_ok_and(|file| file.read_exact_at(&mut magic, 0).is_ok());
    read && matches!(&magic, b"PK\x03\x04" | b"PK\x05\x06")
}

fn of_archive(options: &Options, operand: &Operand) -> Outcome<(AnyStore, Option<TempDir>)> {
    let archive = options.open_npz(&operand.path)?;
    let name = match &operand.member {
        Some(name) => name.clone(),
        None => only_name(&archive)?,
    };
    if !archive.member(&name)?.is_compressed() {
        return Ok((archive.open_member_any(&name)?, None));
    }
    let spool = tempfile::tempdir()?;
    Ok((archive.unpack_any(&name, spool.path())?, Some(spool)))
}

fn only_name(archive: &Npz) -> Outcome<String> {
    let names: Vec<_> = archive.names().collect();
    match names[..] {
        [name] => Ok(name.to_owned()),
        [] => fail(format!("{:?} has no arrays", archive.path())),
        _ => {
            let path = archive.path().display();
            let shown = names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            let more = if names.len() > 5 { ", ..." } else { "" };
            fail(format!(
                "{:?} has {} arrays ({shown}{more}); name one, as {path}:{}",
                archive.path(),
                names.len(),
                names[0]
            ))
        }
    }
}

impl Input {
    /// The part that was asked for, as something to be moved into a new file.
    pub(crate) fn moves(
        &self,
        output: &Output,
        what: &'static str,
        shell: &Shell<'_>,
    ) -> Outcome<OutOfCoreAny<'_>> {
        let mut work = self.store.out_of_core_any();
        if !self.region.is_whole(self.store.shape()) {
            work = work.region(self.slices()?)?;
        }
        if let Some(memory) = shell.memory() {
            work = work.memory(memory);
        }
        Ok(work
            .progress(shell.meter(what).callback())
            .output(output.options.clone()))
    }

    /// The part that was asked for, as numbers of type `A`.
    pub(crate) fn numbers<A: Element>(
        &self,
        what: &'static str,
        shell: &Shell<'_>,
    ) -> Outcome<OutOfCore<'_, A, IxDyn>> {
        let mut work = self.store.out_of_core::<A, IxDyn>()?;
        if !self.region.is_whole(self.store.shape()) {
            work = work.region(self.slices()?)?;
        }
        if let Some(memory) = shell.memory() {
            work = work.memory(memory);
        }
        Ok(work.progress(shell.meter(what).callback()))
    }

    fn slices(&self) -> Outcome<Slices> {
        match Slices::try_from(self.region.arguments()) {
            Ok(slices) => Ok(slices),
            Err(error) => fail(format!("{}: {error}", self.name)),
        }
    }
}

type Slices = SliceInfo<Vec<SliceInfoElem>, IxDyn, IxDyn>;
