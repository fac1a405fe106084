//! The library's errors in the words of the command: where a message says which call to make, this says which option to give.

use ndstore::{DType, Error, ErrorKind};

/// What the library calls a way out, and what it is here.
const WAYS_OUT: &[(&str, &str)] = &[
    (
        "open it with `Npz::open` (feature `npz`)",
        "name one of its arrays, as a.npz:x",
    ),
    (
        "open it with `Store::open` or `AnyStore::open`",
        "name it without an array",
    ),
    (
        "; read it into memory with `Npz::read`, or into a temporary file with `Npz::unpack`",
        "; `ndstore slice` unpacks it",
    ),
    (
        "; if it is elements without a header, open it with `Options::raw`",
        "; if it is elements without a header, say so by --raw DTYPE:SHAPE",
    ),
    (
        "give the shape with `Options::shape`",
        "give the shape, as --raw f4:480,640",
    ),
    (
        "give that with `Options::shape`",
        "give it, as --raw f4:480,640",
    ),
    (
        "check the shape of a row, or leave them out with `Options::allow_trailing`",
        "check the shape of a row",
    ),
    (
        "check dtype and offset, or leave the rest out with `Options::allow_trailing`",
        "check dtype and offset",
    ),
    ("`Npz::names` lists them", "`ndstore info` lists them"),
    (
        "write to it in place with `Store::open_rw`, or mount its directory instead",
        "mount its directory instead",
    ),
    (
        "raise it with `OutOfCore::memory`, or work block by block",
        "raise it with --memory",
    ),
    (
        "take the mean, or make floats of it with `OutOfCore::astype`",
        "take the mean, or make floats of it with `ndstore convert --dtype f8`",
    ),
    (
        "give the edges with `histogram`",
        "give the edges with --range",
    ),
    (
        "make it with `write_checksums`",
        "make it with `ndstore sum`",
    ),
    (
        "check the path, or make the file with `Store::create`",
        "check the path",
    ),
    (
        ": if the file is trusted, raise it with `Options::max_header_size`",
        "; NumPy refuses it as well",
    ),
    (
        "; read without `Options::expect_end` to take several",
        "; check the dtype and the shape",
    ),
    (
        "raise that with `Options::max_nbytes`",
        "raise that with --max-bytes",
    ),
    (
        "than `Options::order` says; leave that out",
        "than was asked for",
    ),
    (
        "write its elements into a new file with `Store::create_from`",
        "write a new file",
    ),
    (
        "if nobody else writes the file, open it with `Options::no_lock`",
        "copy the file to a disk of this machine",
    ),
    (
        "wait for that with `Options::lock`",
        "--wait SECONDS waits for that",
    ),
    (
        "give it with `Options::dtype`, or open a typed `Store`",
        "give it, as --raw f4",
    ),
    (
        "check the shape, or give that of a row with `Options::row_shape`, or leave them out with `Options::allow_trailing`",
        "check the shape, or give that of a row, as --raw f4:N,640",
    ),
    (
        "; the archive has one, which `Npz::read` and `Npz::unpack` check",
        "",
    ),
    (
        "open it alone, with `Store::open_rw`",
        "copy the file to a disk of this machine",
    ),
    (
        "; ask the store that they are from with `Mapped::check_faults`",
        "",
    ),
];

/// One line: what was asked, of which file, what stood in the way, and the way out.
pub(crate) fn of(error: &Error) -> String {
    let text = error.to_string();
    let of_file = |way_out: &str| {
        let path = error.path().map(|path| format!(" {path:?}"));
        format!(
            "cannot {}{}: {way_out}",
            error.operation(),
            path.unwrap_or_default()
        )
    };
    match error.kind() {
        ErrorKind::AlreadyExists => of_file("it exists; --force replaces it"),
        ErrorKind::Locked { holder, hold, .. } => {
            of_file(&format!("{holder} {hold}; --wait SECONDS waits for it"))
        }
        ErrorKind::TrailingBytes { found, offset, .. } => of_file(&format!(
            "{found} bytes of something else follow the array at byte {offset}; `ndstore recover` makes a file without them"
        )),
        ErrorKind::Truncated {
            expected, found, ..
        } if error.path().is_some() => of_file(&format!(
            "its array ends at byte {expected}, but the file has {found}; it was cut or never finished, `ndstore recover` saves the whole rows"
        )),
        _ => replace(text),
    }
}

fn replace(mut text: String) -> String {
    for (call, option) in WAYS_OUT {
        text = text.replace(call, option);
    }
    text
}

/// Reads a dtype as people write it: `f4`, `<i8`, `float32`, `[('x', '<f4')]`.
pub(crate) fn parse_dtype(text: &str) -> Result<DType, String> {
    DType::parse(text).map_err(|refused| refused.to_string())
}
