//! Recognises a file that is not an array by its first bytes, so that an error can name its format
//! and the way out.
//!
//! One pure function, called only after a file was refused. It never decides how a file is read.

/// The formats of files that people open in place of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Empty,
    Npy,
    GarbledNpy,
    Zip,
    Pickle,
    Hdf5,
    Matlab,
    NetCdf,
    Parquet,
    Arrow,
    Safetensors,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Zlib,
    Lz4,
    Tar,
    Image,
    AppleDouble,
    GitLfs,
    GitAnnex,
    Html,
    Xml,
    Zeros,
    Text,
}

/// The first bytes of the formats that always begin alike, longer ones before shorter ones.
const BEGINNINGS: &[(&[u8], Format)] = &[
    (b"\x93NUMPY", Format::Npy),
    (b"PK\x03\x04", Format::Zip),
    (b"PK\x05\x06", Format::Zip),
    (b"PK\x07\x08", Format::Zip),
    (b"\x89HDF\r\n\x1a\n", Format::Hdf5),
    (b"MATLAB 5.0 MAT-file", Format::Matlab),
    (b"MATLAB 7.3 MAT-file", Format::Hdf5),
    (b"CDF\x01", Format::NetCdf),
    (b"CDF\x02", Format::NetCdf),
    (b"CDF\x05", Format::NetCdf),
    (b"PAR1", Format::Parquet),
    (b"ARROW1", Format::Arrow),
    (b"FEA1", Format::Arrow),
    (b"\x1f\x8b", Format::Gzip),
    (b"BZh", Format::Bzip2),
    (b"\xfd7zXZ\0", Format::Xz),
    (b"\x28\xb5\x2f\xfd", Format::Zstd),
    (b"\x78\x01", Format::Zlib),
    (b"\x78\x5e", Format::Zlib),
    (b"\x78\x9c", Format::Zlib),
    (b"\x78\xda", Format::Zlib),
    (b"\x04\x22\x4d\x18", Format::Lz4),
    (b"\x89PNG\r\n\x1a\n", Format::Image),
    (b"\xff\xd8\xff", Format::Image),
    (b"GIF8", Format::Image),
    (b"II*\0", Format::Image),
    (b"MM\0*", Format::Image),
    (b"\0\x05\x16\x07", Format::AppleDouble),
    (b"version https://git-lfs.github.com/", Format::GitLfs),
    (b"/annex/objects/", Format::GitAnnex),
    // The protocols of pickle from 2 on, and an array in protocol 0.
    (b"\x80\x02", Format::Pickle),
    (b"\x80\x03", Format::Pickle),
    (b"\x80\x04", Format::Pickle),
    (b"\x80\x05", Format::Pickle),
    (b"cnumpy", Format::Pickle),
];

/// The most bytes that are compared: as many as are read of a stream before it is refused.
const ENOUGH: usize = 12;

/// Recognises a file by its first bytes; 12 are enough for nearly all formats. `None` if it may be
/// anything.
pub(crate) fn recognise(start: &[u8]) -> Option<Format> {
    if start.is_empty() {
        return Some(Format::Empty);
    }
    let begins = |with: &[u8]| {
        let compared = with.len().min(start.len());
        start[..compared] == with[..compared] && compared >= with.len().min(ENOUGH)
    };
    if let Some((_, format)) = BEGINNINGS.iter().find(|(with, _)| begins(with)) {
        return Some(*format);
    }
    if start.get(257..262) == Some(b"ustar") {
        return Some(Format::Tar);
    }
    // A copy in text mode, or through 7 bits, changes the first byte of an NPY file.
    if (0..=3).any(|at| start.get(at..at + 5) == Some(b"NUMPY")) {
        return Some(Format::GarbledNpy);
    }
    // The length of a header of JSON, then the JSON.
    if start.get(4..10) == Some(b"\0\0\0\0{\"") {
        return Some(Format::Safetensors);
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let text = text.trim_ascii_start();
    let has_tag = |tag: &[u8]| {
        text.get(..tag.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(tag))
    };
    match () {
        () if has_tag(b"<!doctype") || has_tag(b"<html") || has_tag(b"<head") => Some(Format::Html),
        () if has_tag(b"<?xml") => Some(Format::Xml),
        () if start.iter().all(|&byte| byte == 0) => Some(Format::Zeros),
        () if is_text(start) => Some(Format::Text),
        () => None,
    }
}

/// Whether these bytes are UTF-8 without control characters. Only the last character may be cut.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty() && !valid.contains(|char: char| char.is_control() && !char.is_whitespace())
}

impl Format {
    /// The name of the format, as a sentence uses it.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Format::Empty => "it is empty",
            Format::Npy => "it is an NPY file",
            Format::GarbledNpy => {
                "it was an NPY file, whose bytes something changed as if they were text"
            }
            Format::Zip => "it is a zip archive, as npz is",
            Format::Pickle => "it is a Python pickle, which can run code when it is read",
            Format::Hdf5 => "it is an HDF5 file",
            Format::Matlab => "it is a MATLAB file",
            Format::NetCdf => "it is a NetCDF file",
            Format::Parquet => "it is a Parquet file",
            Format::Arrow => "it is an Arrow file",
            Format::Safetensors => "it is a safetensors file",
            Format::Gzip => "it is compressed by gzip",
            Format::Bzip2 => "it is compressed by bzip2",
            Format::Xz => "it is compressed by xz",
            Format::Zstd => "it is compressed by zstd",
            Format::Zlib => "it is compressed by zlib",
            Format::Lz4 => "it is compressed by lz4",
            Format::Tar => "it is a tar archive",
            Format::Image => "it is an image",
            Format::AppleDouble => {
                "it is an AppleDouble file, which macOS puts beside a file for its attributes"
            }
            Format::GitLfs => "it is a pointer of Git LFS and not the content",
            Format::GitAnnex => "it is a pointer of git-annex and not the content",
            Format::Html => "it is an HTML page, perhaps an error message of a download",
            Format::Xml => "it is an XML document, perhaps an error message of a download",
            Format::Zeros => {
                "it starts with nothing but zeros, as files do that were never finished"
            }
            Format::Text => "it starts with text",
        }
    }

    /// The way to the array, if the format has one. `None` if the bytes may also be elements
    /// without a header.
    pub(crate) fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Format::Zeros | Format::Text => return None,
            Format::Empty | Format::GarbledNpy => "take it from where it was made",
            Format::Npy => "open it with `Store::open` or `AnyStore::open`",
            Format::Zip => "open it with `Npz::open` (feature `npz`)",
            Format::Pickle => "load it in Python if you trust it, and `np.save` the array",
            Format::Hdf5
            | Format::Matlab
            | Format::NetCdf
            | Format::Parquet
            | Format::Arrow
            | Format::Safetensors => {
                "read the array with a library for that format, and save it as NPY"
            }
            Format::Image => "decode it with a library for images, and save the array as NPY",
            Format::Gzip
            | Format::Bzip2
            | Format::Xz
            | Format::Zstd
            | Format::Zlib
            | Format::Lz4 => "unpack it, or read it with `read_npy` through a decompressor",
            Format::Tar => "unpack it",
            Format::AppleDouble => "open the file whose name lacks the `._`",
            Format::GitLfs => "fetch the content with `git lfs pull`",
            Format::GitAnnex => "fetch the content with `git annex get`",
            Format::Html | Format::Xml => "look at it, and download the file again",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_have_in_the_place_of_an_array_is_recognised() {
        let mut tar = vec![b'a'; 4096];
        tar[257..262].copy_from_slice(b"ustar");
        let safetensors = [&[80, 3, 0, 0, 0, 0, 0, 0][..], b"{\"a\":{}}"].concat();
        for (start, format) in [
            (&b""[..], Format::Empty),
            (b"\x93NUMPY\x01\0", Format::Npy),
            (b"\xc2\x93NUMPY\x01\0", Format::GarbledNpy),
            (b"\xef\xbf\xbdNUMPY\x01", Format::GarbledNpy),
            (b"?NUMPY\x01\0v\0", Format::GarbledNpy),
            (b"PK\x03\x04-\0\0\0", Format::Zip),
            (b"PK\x05\x06\0\0", Format::Zip),
            (b"\x80\x04\x95\xa2", Format::Pickle),
            (b"cnumpy.core.multiarray\n", Format::Pickle),
            (b"\x89HDF\r\n\x1a\n\0\0", Format::Hdf5),
            (b"MATLAB 7.3 MAT-file, Platform", Format::Hdf5),
            (b"MATLAB 5.0 MAT-file, Platform", Format::Matlab),
            (b"CDF\x01\0\0", Format::NetCdf),
            (b"PAR1\x15\x04", Format::Parquet),
            (b"ARROW1\0\0", Format::Arrow),
            (&safetensors, Format::Safetensors),
            (b"\x1f\x8b\x08\0", Format::Gzip),
            (b"BZh91AY", Format::Bzip2),
            (b"\xfd7zXZ\0\0", Format::Xz),
            (b"\x28\xb5\x2f\xfd\x04", Format::Zstd),
            (b"\x78\x9c\xed", Format::Zlib),
            (b"\x04\x22\x4d\x18\x64", Format::Lz4),
            (&tar, Format::Tar),
            (b"\x89PNG\r\n\x1a\n", Format::Image),
            (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", Format::AppleDouble),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                Format::GitLfs,
            ),
            (b"/annex/objects/SHA256E-s80--a.npy\n", Format::GitAnnex),
            (b"\n<!DOCTYPE html>\n<html>", Format::Html),
            (b"\xef\xbb\xbf<html lang=\"en\">", Format::Html),
            (b"<?xml version=\"1.0\"?><Error>", Format::Xml),
            (&[0; 100], Format::Zeros),
            (b"1.5,2.5\n3,4\n", Format::Text),
            (b"P", Format::Text),
            ("größe;\u{4e2d}".as_bytes(), Format::Text),
            (&"zu viel ü".as_bytes()[..10 - 1], Format::Text),
        ] {
            assert_eq!(recognise(start), Some(format), "{}", start.escape_ascii());
            // A stream shows no more than this, and the mark of a tar file lies behind it.
            let seen = &start[..start.len().min(ENOUGH)];
            if format != Format::Tar {
                assert_eq!(recognise(seen), Some(format), "{}", seen.escape_ascii());
            }
        }
        for bytes in [
            &b"\x01\x02\x03\x04\x05\x06"[..],
            b"\x93NUM",
            b"\0\0\x80?\0\0\0@",
            b"text and \x00",
            b"\xff\xfe1\0",
        ] {
            assert_eq!(recognise(bytes), None, "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            recognise(&bytes);
        }
    }
}
