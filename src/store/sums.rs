//! The bytes of a checksum file: pure functions on `&[u8]`, which know of no file. docs/format.md
//! states the format.
//!
//! The sum is CRC-32 (IEEE 802.3) and a block has 8 KiB, because up to 11,450 bytes that sum
//! *proves* something: one, two or three flipped bits always change it, wherever they are, and so
//! does any damage within 32 neighbouring bits. Any other damage goes unnoticed once in 2^32
//! blocks. A hash such as xxHash has better odds for the rest (2^64) and proves nothing about
//! flipped bits. BLAKE3 would resist damage on purpose, but takes several times as long, and an
//! attacker could write new sums as well. CRC-32 is computed faster than a disk, or the page cache,
//! delivers the bytes.

use crate::error::ChecksumError;

/// The bytes that one sum covers.
pub(super) const BLOCK: usize = 8192;

/// The bytes of a sum.
pub(super) const SUM: usize = 4;

/// The bytes before the header of the array.
pub(super) const HEAD: usize = 32;

/// The start of the bytes that the file's own sum covers: behind that sum.
pub(super) const SUMMED_FROM: usize = 12;

const MAGIC: &[u8; 7] = b"\x93NDSUMS";
const VERSION: u8 = 1;

/// The start of a checksum file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The sum of all bytes from [`SUMMED_FROM`] on.
    pub(super) sum: u32,
    /// The offset of the elements in the file of the array.
    pub(super) offset: u64,
    /// The length of the copy of the array's header.
    pub(super) header_len: u32,
    /// Whether the file of the array has no header. The copy is then an equivalent native header.
    pub(super) raw: bool,
}

impl Head {
    pub(super) fn encode(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..7].copy_from_slice(MAGIC);
        bytes[7] = VERSION;
        bytes[8..12].copy_from_slice(&self.sum.to_le_bytes());
        bytes[12..16].copy_from_slice(&(BLOCK as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.header_len.to_le_bytes());
        bytes[28] = self.raw.into();
        bytes
    }

    /// Reads the start of a file, of which `bytes` are the first [`HEAD`], or all.
    pub(super) fn decode(bytes: &[u8]) -> Result<Head, ChecksumError> {
        let found = &bytes[..bytes.len().min(MAGIC.len())];
        if !MAGIC.starts_with(found) || found.is_empty() {
            let found = found.escape_ascii().to_string();
            return Err(ChecksumError::Magic { found });
        }
        let damaged = |reason| ChecksumError::Damaged { reason };
        match bytes.get(MAGIC.len()) {
            Some(&VERSION) => {}
            Some(&found) => return Err(ChecksumError::Version { found }),
            None => return Err(damaged(CUT)),
        }
        let Some((_, rest)) = bytes.split_first_chunk::<8>() else {
            return Err(damaged(CUT));
        };
        let &[
            s0,
            s1,
            s2,
            s3,
            b0,
            b1,
            b2,
            b3,
            o0,
            o1,
            o2,
            o3,
            o4,
            o5,
            o6,
            o7,
            h0,
            h1,
            h2,
            h3,
            raw,
            0,
            0,
            0,
        ] = rest
        else {
            return Err(damaged(match rest.len() + 8 {
                HEAD => "a byte that has to be zero is not",
                _ => CUT,
            }));
        };
        if u32::from_le_bytes([b0, b1, b2, b3]) != BLOCK as u32 {
            return Err(damaged("its blocks have another size than 8192 bytes"));
        }
        Ok(Head {
            sum: u32::from_le_bytes([s0, s1, s2, s3]),
            offset: u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            header_len: u32::from_le_bytes([h0, h1, h2, h3]),
            raw: match raw {
                0 => false,
                1 => true,
                _ => return Err(damaged("it does not say whether the array has a header")),
            },
        })
    }

    /// The offset of the sums.
    pub(super) fn sums_at(self) -> u64 {
        HEAD as u64 + u64::from(self.header_len)
    }
}

/// The message about a file that ends too early.
const CUT: &str = "they end too early";

/// The bytes that the sums of `nbytes` bytes take.
pub(super) fn len(nbytes: u64) -> u64 {
    nbytes.div_ceil(BLOCK as u64) * SUM as u64
}

/// The sums of the blocks in `bytes`, which start with a block.
pub(super) fn of(bytes: &[u8]) -> impl Iterator<Item = [u8; SUM]> {
    bytes
        .chunks(BLOCK)
        .map(|block| crc32fast::hash(block).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// CRC-32 bit by bit, by its definition.
    fn naive(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |sum, &byte| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| times_x(sum))
        })
    }

    /// The remainder of a polynomial times x, the lowest power in the highest bit.
    fn times_x(sum: u32) -> u32 {
        sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
    }

    fn any_head() -> impl Strategy<Value = Head> {
        (any::<u32>(), any::<u64>(), any::<u32>(), any::<bool>()).prop_map(
            |(sum, offset, header_len, raw)| Head {
                sum,
                offset,
                header_len,
                raw,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_head_is_read_as_it_was_written(head in any_head()) {
            prop_assert_eq!(Head::decode(&head.encode()), Ok(head));
        }

        #[test]
        fn no_bytes_make_a_head_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Head::decode(&bytes);
            let whole = [&MAGIC[..], &[VERSION], &bytes].concat();
            if let Ok(head) = Head::decode(&whole) {
                prop_assert_eq!(&head.encode()[..], &whole[..]);
            }
        }

        #[test]
        fn sums_are_those_of_the_definition(bytes in prop::collection::vec(any::<u8>(), 0..3 * BLOCK)) {
            let found: Vec<_> = of(&bytes).collect();
            let expected: Vec<_> = bytes.chunks(BLOCK).map(|block| naive(block).to_le_bytes()).collect();
            prop_assert_eq!(len(bytes.len() as u64), (found.len() * SUM) as u64);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_head_that_is_cut_is_refused() {
        let head = Head {
            sum: 1,
            offset: 4096,
            header_len: 4096,
            raw: false,
        };
        for len in 0..HEAD {
            Head::decode(&head.encode()[..len]).unwrap_err();
        }
    }

    /// Flips go unnoticed if their powers of x add up to zero. Moving all of them by the same
    /// distance does not change that, so one of them may be taken for the first bit of the block.
    #[test]
    fn one_two_or_three_flipped_bits_of_a_block_or_its_sum_never_go_unnoticed() {
        let bits = 8 * (BLOCK + SUM);
        let powers: Vec<u32> = std::iter::successors(Some(1 << 31), |&power| Some(times_x(power)))
            .take(bits)
            .collect();
        let others: HashSet<u32> = powers[1..].iter().copied().collect();
        assert!(!others.contains(&0), "one");
        assert!(!others.contains(&powers[0]), "two");
        assert_eq!(others.len(), bits - 1, "two");
        let third = |second: &u32| others.contains(&(second ^ powers[0]));
        assert!(!powers[1..].iter().any(third), "three");
    }
}
