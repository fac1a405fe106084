//! Direct input and output: past the page cache, for files that would not stay in it.
//!
//! A file larger than memory pushes everything else out of the page cache and leaves little of itself there. Past it, the
//! processor has a fourth of the work, and the disk is the only thing that is waited for. Memory, offset and length must
//! lie at multiples of the device's block, for which a page will do.

use std::fs::File;
use std::io;

/// What memory, offset and length of a transfer have to be multiples of. No disk has larger blocks.
pub(crate) const BLOCK: usize = 4096;

/// A piece of memory that starts at a multiple of [`BLOCK`].
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(4096))]
pub(crate) struct Page([u8; BLOCK]);

/// As many pages of memory as hold `nbytes`, all zero.
pub(crate) fn pages(nbytes: usize) -> Vec<Page> {
    bytemuck::zeroed_vec(nbytes.div_ceil(BLOCK))
}

/// A file that is open for writing once more, past the page cache.
pub(crate) struct DirectFile(File);

impl DirectFile {
    /// `None` where the platform or the file system has no such thing.
    pub(crate) fn of(file: &File) -> Option<DirectFile> {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            use std::os::unix::fs::OpenOptionsExt;
            let mut options = File::options();
            options.write(true);
            options.custom_flags(rustix::fs::OFlags::DIRECT.bits().cast_signed());
            // The file may have no name, or another one by now.
            let direct = options.open(format!("/proc/self/fd/{}", file.as_raw_fd()));
            direct.ok().map(DirectFile)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = file;
            None
        }
    }

    /// Writes as much of `bytes` from the front as is a multiple of [`BLOCK`], if it lies as it must, and says how much that
    /// was: 0 if it does not, or if the device asks for more than that.
    ///
    /// It is no more durable than a write to the page cache: the disk has a cache, too.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let len = bytes.len() / BLOCK * BLOCK;
        let lies =
            bytes.as_ptr().addr().is_multiple_of(BLOCK) && offset.is_multiple_of(BLOCK as u64);
        if !lies || len == 0 {
            return Ok(0);
        }
        match super::write_all_at(&self.0, &bytes[..len], offset) {
            Ok(()) => Ok(len),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(0),
            Err(error) => Err(error),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_past_the_cache_is_in_the_file() {
        let file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let Some(direct) = DirectFile::of(&file) else {
            panic!("the sources lie on a file system without O_DIRECT");
        };
        let mut memory = pages(3 * BLOCK);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut memory);
        bytes
            .iter_mut()
            .enumerate()
            .for_each(|(i, byte)| *byte = i as u8 ^ (i >> 8) as u8);
        // The whole blocks, and not what lies askew.
        assert_eq!(
            direct.write_at(&bytes[..2 * BLOCK + 7], 4096).unwrap(),
            2 * BLOCK
        );
        assert_eq!(direct.write_at(&bytes[1..], 4096).unwrap(), 0);
        assert_eq!(direct.write_at(bytes, 4095).unwrap(), 0);
        assert_eq!(direct.write_at(&bytes[..BLOCK - 1], 0).unwrap(), 0);
        let mut found = vec![1; 4 * BLOCK];
        assert_eq!(
            crate::sys::read_at(&file, &mut found, 0).unwrap(),
            3 * BLOCK
        );
        assert_eq!(&found[..BLOCK], &[0; BLOCK]);
        assert_eq!(&found[BLOCK..3 * BLOCK], &bytes[..2 * BLOCK]);
    }
}
