//! `ndstore create`: new arrays, of zeros, of bytes or of csv.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ndstore::{DType, Order};

use crate::csv;
use crate::input::parse_shape;
use crate::interrupt;
use crate::outcome::{Outcome, fail};
use crate::output::OutputArgs;
use crate::shell::Shell;
use crate::words;

/// Make a new array: of zeros, or of bytes or csv from a file or standard input
///
/// Without FROM it is zeros. Whole or not at all, as every new file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore create --dtype f4 --shape 1000,3 zeros.npy\n  \
    ndstore create --dtype '<i2' --shape N,385 a.npy samples.raw\n  \
    ffmpeg ... | ndstore create --dtype u1 --shape N,480,640 frames.npy -\n  \
    ndstore create --skip 1 a.npy table.csv   the first line has names")]
pub(crate) struct Create {
    /// The new file, - for standard output
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Where the elements come from: a file, or - for standard input
    #[arg(value_name = "FROM")]
    from: Option<PathBuf>,
    /// The dtype: f4, '<i2', float64, "[('x', '<f4')]"; f8 for csv otherwise
    #[arg(short, long, value_name = "DTYPE", value_parser = words::parse_dtype)]
    dtype: Option<DType>,
    /// The shape; N is as many rows as come
    #[arg(short, long, value_name = "SHAPE")]
    shape: Option<String>,
    /// Puts the elements into Fortran order, in which bytes come, too
    #[arg(long, conflicts_with = "from_format")]
    fortran: bool,
    #[command(flatten)]
    csv: CsvArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// How text is read.
#[derive(Clone, Debug, Args)]
pub(crate) struct CsvArgs {
    /// What FROM has; by its name otherwise: .csv, .tsv and .txt are text, all else bytes
    #[arg(long = "from", value_enum, value_name = "WHAT")]
    pub(crate) from_format: Option<From>,
    /// Leaves out so many lines of text at the start
    #[arg(long, default_value_t = 0, value_name = "LINES")]
    pub(crate) skip: usize,
}

/// What elements come as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// Bytes of elements
    Raw,
    /// Comma-separated values, a line for each row
    Csv,
    /// The same with tabs
    Tsv,
    /// An NPY file
    Npy,
}

impl CsvArgs {
    pub(crate) fn format(&self, path: &Path) -> From {
        self.from_format
            .unwrap_or(match path.extension().and_then(|name| name.to_str()) {
                Some("csv") => From::Csv,
                Some("tsv" | "txt") => From::Tsv,
                Some("npy") => From::Npy,
                _ => From::Raw,
            })
    }
}

/// Opens what elements come from.
pub(crate) fn source(path: &Path, shell: &Shell<'_>) -> Outcome<Box<dyn Read>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(shell.stdin()));
    }
    match File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => fail(format!("cannot open {path:?}: {error}")),
    }
}

impl Create {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let output = self.output.open(&self.out, shell)?;
        let order = if self.fortran { Order::F } else { Order::C };
        let (has_rows, shape) = match self
            .shape
            .as_deref()
            .map(|shape| (shape, shape.strip_prefix('N')))
        {
            None => (true, None),
            Some((_, Some(row))) => (
                true,
                Some(parse_shape(row.strip_prefix(',').unwrap_or(row)).or_else(fail)?),
            ),
            Some((shape, None)) => (false, Some(parse_shape(shape).or_else(fail)?)),
        };
        let Some(from) = &self.from else {
            let (Some(dtype), Some(shape), false) = (self.dtype, shape, has_rows) else {
                return fail(
                    "an array of zeros takes --dtype and --shape, as --dtype f4 --shape 1000,3",
                );
            };
            let header = dtype.npy_header(&shape, order)?;
            let options = output.options.clone().order(order);
            let store = options.receive_any(header.chain(io::repeat(0)), &output.path)?;
            return finish(store, output, shell);
        };
        let mut reader = source(from, shell)?;
        let format = self.csv.format(from);
        if format == From::Npy {
            let store = output.options.receive_any(reader, &output.path)?;
            return finish(store, output, shell);
        }
        let options = output.options.clone().order(order).expect_end(true);
        if let (From::Raw, Some(dtype), Some(shape), false) =
            (format, &self.dtype, &shape, has_rows)
        {
            let header = dtype.npy_header(shape, order)?;
            let store = options.receive_any(header.chain(reader), &output.path)?;
            return finish(store, output, shell);
        }
        // Its length is known at its end, and the header goes before it.
        let mut spool = tempfile::tempfile_in(output.directory())?;
        let (dtype, row, nbytes) = match format {
            From::Raw => {
                let Some(dtype) = self.dtype else {
                    return fail("bytes do not tell what they are; give --dtype, as --dtype f4");
                };
                let nbytes = io::copy(&mut reader, &mut spool)?;
                (dtype, shape.unwrap_or_default(), nbytes)
            }
            _ => {
                let dtype = self
                    .dtype
                    .map_or_else(|| words::parse_dtype("f8"), Ok)
                    .or_else(fail)?;
                let separator = if format == From::Csv { ',' } else { '\t' };
                let mut lines = Lines::new(
                    BufReader::new(reader),
                    separator,
                    self.csv.skip,
                    &dtype,
                    shape.as_deref().filter(|_| has_rows),
                )?;
                let mut nbytes = 0;
                let mut writer = io::BufWriter::with_capacity(1 << 16, &mut spool);
                let mut bytes = Vec::new();
                while lines.next_row(&mut bytes)? {
                    interrupt::check()?;
                    writer.write_all(&bytes)?;
                    nbytes += bytes.len() as u64;
                    bytes.clear();
                }
                writer.flush()?;
                drop(writer);
                let row = lines.row.unwrap_or_default();
                (dtype, row, nbytes)
            }
        };
        let shape = match (&self.shape, has_rows) {
            (Some(shape), false) => parse_shape(shape).or_else(fail)?,
            _ => with_rows(&dtype, row, nbytes, order)?,
        };
        spool.rewind()?;
        let header = dtype.npy_header(&shape, order)?;
        let store = options.receive_any(header.chain(spool), &output.path)?;
        finish(store, output, shell)
    }
}

fn finish(
    store: Option<ndstore::AnyStore>,
    output: crate::output::Output,
    shell: &mut Shell<'_>,
) -> Outcome {
    match store {
        Some(store) => output.finish(store, shell),
        None => fail("there is no array to be read, because nothing came"),
    }
}

/// The shape of as many rows as there are bytes for.
pub(crate) fn with_rows(
    dtype: &DType,
    row: Vec<usize>,
    nbytes: u64,
    order: Order,
) -> Outcome<Vec<usize>> {
    let size = row.iter().try_fold(dtype.itemsize() as u64, |size, &len| {
        size.checked_mul(len as u64)
    });
    let Some(size @ 1..) = size else {
        return fail("rows without bytes cannot be counted; give the whole shape");
    };
    if !nbytes.is_multiple_of(size) {
        return fail(format!(
            "{nbytes} bytes came, and a row has {size}; check the dtype and the shape of a row"
        ));
    }
    let rows = (nbytes / size) as usize;
    Ok(match order {
        Order::C => [vec![rows], row].concat(),
        Order::F => [row, vec![rows]].concat(),
    })
}

/// Rows out of lines of text.
pub(crate) struct Lines<'a, R> {
    reader: R,
    separator: char,
    dtype: &'a DType,
    /// The shape of a row, once it is known.
    pub(crate) row: Option<Vec<usize>>,
    /// The number of the last line.
    line: usize,
}

impl<'a, R: BufRead> Lines<'a, R> {
    pub(crate) fn new(
        mut reader: R,
        separator: char,
        skip: usize,
        dtype: &'a DType,
        row: Option<&[usize]>,
    ) -> Outcome<Lines<'a, R>> {
        if !csv::is_supported(dtype) {
            return fail(format!(
                "text becomes numbers and strings, and not {}",
                dtype.descr()
            ));
        }
        let mut skipped = String::new();
        for _ in 0..skip {
            reader.read_line(&mut skipped)?;
            skipped.clear();
        }
        let row = row.map(<[usize]>::to_vec);
        Ok(Lines {
            reader,
            separator,
            dtype,
            row,
            line: skip,
        })
    }

    /// Adds the next row to the bytes. `false` if there is none.
    pub(crate) fn next_row(&mut self, bytes: &mut Vec<u8>) -> Outcome<bool> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Ok(false);
            }
            self.line += 1;
            if !line.trim().is_empty() {
                break;
            }
        }
        let cells = csv::cells(line.trim_end_matches(['\n', '\r']), self.separator);
        let width = csv::width(self.dtype);
        let row = self
            .row
            .get_or_insert_with(|| match cells.len() / width.max(1) {
                1 => Vec::new(),
                len => vec![len],
            });
        let expected = row.iter().product::<usize>() * width;
        if cells.len() != expected {
            return fail(format!(
                "line {} has {}, and a row {expected}",
                self.line,
                crate::units::counted(cells.len() as u64, "value")
            ));
        }
        for cells in cells.chunks(width.max(1)) {
            if let Err(reason) = csv::put(self.dtype, cells, bytes) {
                return fail(format!(
                    "line {}: {reason}; --skip {} leaves it and those before out",
                    self.line, self.line
                ));
            }
        }
        Ok(true)
    }
}
