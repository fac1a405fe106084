//! NPY files by plain calls: those of somebody else, and the bytes that a toy store writes.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt, fchown};
use std::path::Path;

use ndarray::Array2;

use crate::script::FOREIGN;

/// A header of `len` bytes, or the shortest one that ends at a multiple of 8, for an array in C
/// order.
pub(crate) fn header((rows, columns): (usize, usize), len: Option<usize>) -> Vec<u8> {
    let dict =
        format!("{{'descr': '<u8', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let len = len.unwrap_or_else(|| (10 + dict.len() + 1).next_multiple_of(8));
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend(((len - 10) as u16).to_le_bytes());
    header.extend(dict.bytes());
    header.resize(len - 1, b' ');
    header.push(b'\n');
    header
}

/// The elements as they lie in a file.
pub(crate) fn bytes(array: &Array2<u64>) -> Vec<u8> {
    array.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Waits until the names in the directory of `path` are on the disk.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().ok_or(io::ErrorKind::NotFound)?)?.sync_all()
}

/// Writes a file as others do, with the shortest header there is, and sees to it that it is
/// durable.
pub(crate) fn write(path: &Path, array: &Array2<u64>) -> io::Result<()> {
    let other = path.with_extension("other");
    let file = File::create_new(&other)?;
    let header = header(array.dim(), None);
    file.write_all_at(&header, 0)?;
    file.write_all_at(&bytes(array), header.len() as u64)?;
    fchown(&file, Some(FOREIGN.uid), Some(FOREIGN.gid))?;
    file.set_permissions(Permissions::from_mode(FOREIGN.mode))?;
    file.sync_all()?;
    std::fs::rename(&other, path)?;
    sync_directory(path)
}
