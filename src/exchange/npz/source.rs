//! The file of an archive as the crate `zip` reads it: here and there, a few bytes at a time.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::sys::{self, LockedFile};

/// How many bytes are read at a time. The end of an archive, which lists its members, mostly fits.
pub(super) const WINDOW: usize = 4096;

/// A position in a locked file, and what was read around it. Clones share the file and nothing else.
#[derive(Clone)]
pub(super) struct Source {
    file: Arc<LockedFile>,
    len: u64,
    position: u64,
    window: Vec<u8>,
    /// Where in the file the window lies, at a multiple of its size.
    window_start: u64,
}

impl Source {
    pub(super) fn new(file: LockedFile, len: u64) -> Source {
        Source {
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

    /// The first name that stands twice in the list of members that starts at `start`, which is known to have one.
    pub(super) fn first_duplicate(&mut self, start: u64) -> io::Result<String> {
        /// An entry less its name, its extra field and its comment, whose lengths stand from byte 28 on.
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

    /// What the window has from the position on, after a read if that is nothing.
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

impl Read for Source {
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

impl Seek for Source {
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
    fn a_source_reads_what_the_file_has_at_every_position() {
        let bytes: Vec<u8> = (0..3 * WINDOW + 100).map(|i| (i / 7) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let mut source = Source::new(LockedFile::unlocked(file), bytes.len() as u64);
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
                source.seek(SeekFrom::Start(position as u64)).unwrap();
                (&mut source)
                    .take(len as u64)
                    .read_to_end(&mut found)
                    .unwrap();
                let rest = bytes.get(position..).unwrap_or_default();
                assert_eq!(found, rest[..len.min(rest.len())], "{position} {len}");
            }
        }
        assert_eq!(
            source.seek(SeekFrom::End(-3)).unwrap(),
            bytes.len() as u64 - 3
        );
        assert!(source.seek(SeekFrom::End(i64::MIN)).is_err());
        assert!(source.seek(SeekFrom::Start(u64::MAX)).is_err());
    }
}
