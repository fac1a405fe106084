//! The refusals of the two rooms that read foreign bytes: the header and the dtypes.
//!
//! Every reason is a variant of its own and contains the offending value. Nothing here knows how
//! the bytes were read.

use thiserror::Error;

/// The reason why a descr is refused.
///
/// The descr is the text that describes a dtype, as NumPy writes it into a header: `<f8`, or
/// `[('x', '<i4')]` for a record.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescrError {
    /// The text is not a Python literal.
    #[error("invalid descr at byte {at}: {reason}, found {}", shown(found.as_deref()))]
    Syntax {
        /// The byte of the descr at which reading stopped.
        at: usize,
        /// What was expected there.
        reason: &'static str,
        /// The word, the number or the character there, or `None` at the end of the text.
        found: Option<String>,
    },
    /// The type string names no type, or one whose size depends on the machine.
    #[error(
        "unknown type {code:?}: expected a code such as \"<f8\", \"|S5\" or \"<M8[ns]\", or a list of fields"
    )]
    UnknownType {
        /// The type string.
        code: String,
    },
    /// The dtype holds Python objects.
    #[error(
        "object dtype {code:?} is refused: its data are Python pickles, which can run code; \
         save the array with a number, string or record dtype"
    )]
    Object {
        /// The type string.
        code: String,
    },
    /// A datetime or timedelta has a unit that NumPy does not have, or a multiple outside
    /// `1..=2147483647`.
    #[error(
        "invalid time unit in {code:?}: expected one of Y M W D h m s ms us ns ps fs as, such as \"<M8[25s]\""
    )]
    TimeUnit {
        /// The type string.
        code: String,
    },
    /// One element is larger than NumPy allows.
    #[error("{descr} takes more than the 2147483647 bytes that NumPy allows for one element")]
    TooLarge {
        /// The type string, or the field or record, that is too large.
        descr: String,
    },
    /// The literal is neither a type string nor a list of fields.
    #[error("expected a type string or a list of fields, found {found}")]
    NotADescr {
        /// What was found instead.
        found: &'static str,
    },
    /// The dtype is a sub-array outside a record.
    #[error(
        "a sub-array dtype stands only in the field of a record: append its shape to the shape of the array"
    )]
    BareSubarray,
    /// An entry of a record is not `(name, descr)` or `(name, descr, shape)`.
    #[error(
        "field {index} of the record must be (name, descr) or (name, descr, shape), found {found}"
    )]
    Field {
        /// The position of the entry in its list.
        index: usize,
        /// What was found instead.
        found: &'static str,
    },
    /// The name of a field is neither a string nor `(title, name)`.
    #[error("the name of field {index} must be a string or a tuple (title, name) of strings")]
    FieldName {
        /// The position of the entry in its list.
        index: usize,
    },
    /// Two fields share a name or a title.
    #[error("{name:?} is used twice as a field name or title of one record")]
    DuplicateName {
        /// The name or title.
        name: String,
    },
    /// A field without a name would be read back as padding.
    #[error("a void or sub-array field must have a name, or it is read back as padding")]
    Nameless,
    /// A field starts before the end of the one before it.
    #[error(
        "field {name:?} starts at byte {offset}, before byte {end} where the fields before it end"
    )]
    Overlap {
        /// The name of the field.
        name: String,
        /// Where it starts.
        offset: usize,
        /// Where the fields before it end.
        end: usize,
    },
    /// A record is declared smaller than its fields.
    #[error("a record of {itemsize} bytes cannot hold fields that end at byte {end}")]
    RecordTooSmall {
        /// The declared size.
        itemsize: usize,
        /// Where the last field ends.
        end: usize,
    },
    /// The shape of a sub-array is neither an integer nor a tuple of integers.
    #[error("the shape of field {name:?} must be an integer or a tuple of integers, found {found}")]
    SubarrayShape {
        /// The name of the field.
        name: String,
        /// What was found instead.
        found: &'static str,
    },
    /// A dimension of a sub-array is negative or over 2147483647.
    #[error("a dimension of field {name:?} lies outside 0..=2147483647")]
    SubarrayDim {
        /// The name of the field.
        name: String,
    },
    /// A sub-array has too many dimensions.
    #[error("field {name:?} has {ndim} dimensions, NumPy allows 64")]
    SubarrayRank {
        /// The name of the field.
        name: String,
        /// How many it has.
        ndim: usize,
    },
    /// A sub-array of `S0`, `U0` or `V0`, which NumPy cannot read.
    #[error("field {name:?} is a sub-array of a string or void type without a size")]
    Unsized {
        /// The name of the field.
        name: String,
    },
    /// Records are nested too deeply.
    #[error("records nest deeper than the {max} levels that Python can read")]
    TooDeep {
        /// How many levels are read.
        max: usize,
    },
}

/// Why the header of an NPY file is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The file has no bytes at all.
    #[error("it is empty: expected an NPY header; take it from where it was made")]
    Empty,
    /// The file does not start as an NPY file does.
    #[error("not an NPY file: {}", foreign_text(found, *.what, *.remedy))]
    Magic {
        /// The first bytes, escaped.
        found: String,
        /// What it is instead (`it is an HDF5 file`), if its first bytes tell.
        what: Option<&'static str>,
        /// The way to the array, if that is known.
        remedy: Option<&'static str>,
    },
    /// The version of the format is unknown.
    #[error("NPY version {major}.{minor} is unknown: expected 1.0, 2.0 or 3.0")]
    Version {
        /// The byte at offset 6.
        major: u8,
        /// The byte at offset 7.
        minor: u8,
    },
    /// The file ends inside its header.
    #[error(
        "the file ends inside its header: expected {expected} bytes, found {found}; it was cut or never finished"
    )]
    Truncated {
        /// How many bytes the header takes.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The header is longer than the caller allows.
    #[error(
        "the header takes {found} characters, over the limit of {limit}: if the file is trusted, raise it with `Options::max_header_size`"
    )]
    TooLong {
        /// Its length.
        found: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The header of a version 3.0 file is not UTF-8.
    #[error("invalid UTF-8 at byte {offset} of the file")]
    Utf8 {
        /// The first offending byte of the file.
        offset: u64,
    },
    /// The header is not the dict that NumPy writes.
    #[error("invalid header at byte {offset} of the file: {reason}, found {}", shown(found.as_deref()))]
    Syntax {
        /// The byte of the file at which reading stopped.
        offset: u64,
        /// What was expected there.
        reason: &'static str,
        /// The word, the number or the character there, or `None` at the end of the header.
        found: Option<String>,
    },
    /// A key is missing.
    #[error("the header has no '{key}': expected the keys 'descr', 'fortran_order' and 'shape'")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A key is not one of the three.
    #[error(
        "unknown key at byte {offset} of the file: expected 'descr', 'fortran_order' or 'shape', found {found}"
    )]
    UnknownKey {
        /// Where the key starts.
        offset: u64,
        /// What was found instead.
        found: String,
    },
    /// A key stands twice.
    #[error("'{key}' stands twice in the header, again at byte {offset} of the file")]
    DuplicateKey {
        /// Where it stands again.
        offset: u64,
        /// The key.
        key: &'static str,
    },
    /// The dtype is refused.
    #[error("descr at byte {offset} of the file: {reason}")]
    Descr {
        /// Where the descr starts.
        offset: u64,
        /// Why.
        reason: DescrError,
    },
    /// `fortran_order` is not a bool.
    #[error("fortran_order at byte {offset} of the file must be True or False, found {found}")]
    FortranOrder {
        /// Where the value starts.
        offset: u64,
        /// What was found instead.
        found: &'static str,
    },
    /// The shape is not a tuple of integers.
    #[error("the shape at byte {offset} of the file must be a tuple of integers, found {found}")]
    Shape {
        /// Where the shape starts.
        offset: u64,
        /// What was found instead.
        found: &'static str,
    },
    /// A dimension is negative.
    #[error("the shape at byte {offset} of the file has the negative dimension {dim}")]
    NegativeDim {
        /// Where the shape starts.
        offset: u64,
        /// The dimension.
        dim: i64,
    },
    /// A dimension lies outside `i64`.
    #[error(
        "dimension {axis} of the shape is outside the 64-bit range: at most 9223372036854775807 fits"
    )]
    DimTooLarge {
        /// The axis.
        axis: usize,
    },
    /// The array has too many dimensions.
    #[error("the shape has {ndim} dimensions, NumPy allows 64")]
    TooManyAxes {
        /// How many it has.
        ndim: usize,
    },
    /// The array takes more bytes than a file can have.
    #[error(
        "shape {shape:?} with {itemsize} bytes per element takes over 9223372036854775807 bytes (zeros left out)"
    )]
    TooBig {
        /// The shape.
        shape: Vec<u64>,
        /// The bytes per element.
        itemsize: usize,
    },
}

impl HeaderError {
    /// Returns the byte offset in the file at which the header is wrong, where there is one.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Magic { .. } => Some(0),
            Self::Version { .. } => Some(6),
            Self::TooLong { .. } => Some(8),
            Self::Utf8 { offset }
            | Self::Syntax { offset, .. }
            | Self::UnknownKey { offset, .. }
            | Self::DuplicateKey { offset, .. }
            | Self::Descr { offset, .. }
            | Self::FortranOrder { offset, .. }
            | Self::Shape { offset, .. }
            | Self::NegativeDim { offset, .. } => Some(*offset),
            Self::Truncated { found, .. } => Some(*found),
            Self::Empty
            | Self::MissingKey { .. }
            | Self::DimTooLarge { .. }
            | Self::TooManyAxes { .. }
            | Self::TooBig { .. } => None,
        }
    }
}

/// The format of a file that has another than the expected one, and the way out.
pub(super) fn foreign_text(found: &str, what: Option<&str>, remedy: Option<&str>) -> String {
    let what = what.map_or_else(|| format!("it starts with \"{found}\""), str::to_owned);
    match remedy {
        Some(remedy) => format!("{what}; {remedy}"),
        None => what,
    }
}

/// The text at which reading stopped, as a message shows it.
fn shown(found: Option<&str>) -> String {
    found.map_or_else(|| "the end".to_owned(), |found| format!("{found:?}"))
}
