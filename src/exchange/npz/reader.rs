//! The file of an archive, read as the crate `zip` reads: a few bytes at a time, in no order.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::sys::{self, LockedFile};

/// How many bytes are read at a time. The end of an archive, which lists its members, mostly fits.
pub(super) const WINDOW: usize = 4096;

/// A position in a locked file, and the bytes read around it. Clones share the file and nothing
/// else.
#[derive(Clone)]
pub(super) struct ArchiveReader {
    file: Arc<LockedFile>,
    len: u64,
    position: u64,
    window: Vec<u8>,
    /// The offset of the window in the file, a multiple of its size.
    window_start: u64,
}

impl ArchiveReader {
    pub(super) fn new(file: LockedFile, len: u64) -> ArchiveReader {
        ArchiveReader {
            file: Arc::new(file),
            len,
            position: 0,
            window: Vec::new(),
            window_start: 0,
        }
    }

    /// Fills the buffer from the start of the file on, as far as the file reaches.
    pub(super) fn read_at_start(&self, buffer: &mut [u8]) -> io::Result<usize> {
        sys::read_at(self.file.file(), buffer, 0)
    }

    /// The first duplicate name in the list of members at `start`, which is known to have one.
    pub(super) fn first_duplicate(&mut self, start: u64) -> io::Result<String> {
        /// The length of an entry without its name, extra field and comment, whose lengths start at
        /// byte 28.
        const ENTRY: usize = 46;
        let mut names = HashSet::new();
        self.seek(SeekFrom::Start(start))?;
        loop {
            let mut entry = [0; ENTRY];
            self.read_exact(&mut entry)?;
            let len = |at| u16::from_le_bytes([entry[at], entry[at + 1]]);
            let mut name = vec![0; len(28).into()];
            self.read_exact(&mut name)?;
            if let Some(twice) = names.replace(name) {
                return Ok(String::from_utf8_lossy(&twice).into_owned());
            }
            self.seek(SeekFrom::Current(i64::from(len(30)) + i64::from(len(32))))?;
        }
    }

    /// The bytes of the window from the position on; reads the next window if there are none.
    fn buffered(&mut self) -> io::Result<&[u8]> {
        let start = self.position - self.position % WINDOW as u64;
        if self.window.is_empty() || self.window_start != start {
            let mut window = std::mem::take(&mut self.window);
            window.resize(WINDOW, 0);
            let read = sys::read_at(self.file.file(), &mut window, start)?;
            window.truncate(read);
            (self.window, self.window_start) = (window, start);
        }
        let skip = (self.position - start) as usize;
        Ok(self.window.get(skip..).unwrap_or_default())
    }
}

impl Read for ArchiveReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = if buffer.len() >= WINDOW {
            sys::read_at(self.file.file(), buffer, self.position)?
        } else {
            let buffered = self.buffered()?;
            let read = buffered.len().min(buffer.len());
            buffer[..read].copy_from_slice(&buffered[..read]);
            read
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for ArchiveReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(step) => self.position.checked_add_signed(step),
            SeekFrom::End(step) => self.len.checked_add_signed(step),
        };
        self.position = position
            .filter(|&position| position <= i64::MAX as u64)
            .ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_reader_gives_the_bytes_of_the_file_at_every_position() {
        let bytes: Vec<u8> = (0..3 * WINDOW + 100).map(|i| (i / 7) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let mut reader = ArchiveReader::new(LockedFile::unlocked(file), bytes.len() as u64);
        for position in [
            0,
            1,
            WINDOW - 1,
            WINDOW,
            2 * WINDOW + 50,
            bytes.len() - 1,
            bytes.len(),
            bytes.len() + 5,
        ] {
            for len in [1, 2, 100, WINDOW, 3 * WINDOW] {
                let mut found = Vec::new();
                reader.seek(SeekFrom::Start(position as u64)).unwrap();
                (&mut reader)
                    .take(len as u64)
                    .read_to_end(&mut found)
                    .unwrap();
                let rest = bytes.get(position..).unwrap_or_default();
                assert_eq!(found, rest[..len.min(rest.len())], "{position} {len}");
            }
        }
        assert_eq!(
            reader.seek(SeekFrom::End(-3)).unwrap(),
            bytes.len() as u64 - 3
        );
        assert!(reader.seek(SeekFrom::End(i64::MIN)).is_err());
        assert!(reader.seek(SeekFrom::Start(u64::MAX)).is_err());
    }
}
