//! Byte order: which bytes of an element change places between two dtypes that differ in nothing else.

use super::{ByteOrder, DType, Kind};

/// The numbers in an element whose bytes are reversed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Swap {
    itemsize: usize,
    /// By offset, without overlap. Not empty.
    parts: Vec<Part>,
}

/// `count` neighbours in an element, the first of which is at `offset`. However long a sub-array is, it is one part.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    offset: usize,
    count: usize,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// Numbers of so many bytes.
    Numbers(usize),
    /// Records, in each of which some numbers are reversed.
    Records(Swap),
}

impl What {
    fn width(&self) -> usize {
        match self {
            What::Numbers(width) => *width,
            What::Records(swap) => swap.itemsize,
        }
    }
}

impl Swap {
    /// What brings an element of dtype `from` into the byte order of `to`: `None` if it is in it already. The error is for
    /// dtypes that differ in more than byte order.
    pub(crate) fn between(from: &DType, to: &DType) -> Result<Option<Swap>, ()> {
        if from.with_byte_order(ByteOrder::Big) != to.with_byte_order(ByteOrder::Big) {
            return Err(());
        }
        let mut parts = Vec::new();
        collect(from, to, 0, &mut parts);
        Ok((!parts.is_empty()).then_some(Swap {
            itemsize: from.itemsize(),
            parts,
        }))
    }

    /// Reverses the bytes of the numbers in a whole number of elements.
    pub(crate) fn apply(&self, elements: &mut [u8]) {
        if let [part] = &self.parts[..]
            && part.what.width() * part.count == self.itemsize
        {
            return part.what.apply(elements);
        }
        for element in elements.chunks_exact_mut(self.itemsize) {
            for part in &self.parts {
                let nbytes = part.what.width() * part.count;
                part.what.apply(&mut element[part.offset..][..nbytes]);
            }
        }
    }
}

impl What {
    fn apply(&self, neighbours: &mut [u8]) {
        match self {
            What::Numbers(width) => reverse(neighbours, *width),
            What::Records(swap) => swap.apply(neighbours),
        }
    }
}

/// Reverses each number of `width` bytes.
fn reverse(numbers: &mut [u8], width: usize) {
    /// The length is known, so that this is a vector instruction and not a loop.
    fn each<const N: usize>(numbers: &mut [u8]) {
        for number in numbers.as_chunks_mut::<N>().0 {
            number.reverse();
        }
    }
    match width {
        2 => each::<2>(numbers),
        4 => each::<4>(numbers),
        8 => each::<8>(numbers),
        _ => numbers.chunks_exact_mut(width).for_each(<[u8]>::reverse),
    }
}

/// Adds the parts of an element at `offset`. The dtypes are the same but for their byte orders.
fn collect(from: &DType, to: &DType, offset: usize, parts: &mut Vec<Part>) {
    if let (Some(from), Some(to)) = (from.fields(), to.fields()) {
        for (from, to) in from.iter().zip(to) {
            // Of what has no bytes a header can claim any number.
            let itemsize = from.dtype().itemsize();
            let count = from.itemsize().checked_div(itemsize).unwrap_or(0);
            let mut each = Vec::new();
            if count > 0 {
                collect(from.dtype(), to.dtype(), 0, &mut each);
            }
            let offset = offset + from.offset();
            match &each[..] {
                [] => {}
                [part] if part.what.width() * part.count == itemsize => {
                    add(parts, offset, part.count * count, part.what.clone());
                }
                _ if count == 1 => {
                    for part in each {
                        add(parts, offset + part.offset, part.count, part.what);
                    }
                }
                _ => {
                    let parts_of_each = Swap {
                        itemsize,
                        parts: each,
                    };
                    add(parts, offset, count, What::Records(parts_of_each));
                }
            }
        }
        return;
    }
    if from.byte_order() == to.byte_order() {
        return;
    }
    let width = match from.kind() {
        Kind::Complex => from.itemsize() / 2,
        Kind::Text => 4,
        _ => from.itemsize(),
    };
    let count = from.itemsize().checked_div(width).unwrap_or(0);
    if count > 0 {
        add(parts, offset, count, What::Numbers(width));
    }
}

/// Adds a part behind the others, to the last one if it goes on there.
fn add(parts: &mut Vec<Part>, offset: usize, count: usize, what: What) {
    match parts.last_mut() {
        Some(last) if last.what == what && last.offset + what.width() * last.count == offset => {
            last.count += count;
        }
        _ => parts.push(Part {
            offset,
            count,
            what,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::strategy::dtype;
    use super::*;

    /// Reverses one number after the other, wherever the orders differ.
    fn naive(from: &DType, to: &DType, element: &mut [u8]) {
        if let (Some(from), Some(to)) = (from.fields(), to.fields()) {
            for (from, to) in from.iter().zip(to) {
                let field = &mut element[from.offset()..][..from.itemsize()];
                if from.dtype().itemsize() > 0 {
                    for one in field.chunks_exact_mut(from.dtype().itemsize()) {
                        naive(from.dtype(), to.dtype(), one);
                    }
                }
            }
        } else if from.byte_order() != to.byte_order() {
            let numbers = match from.kind() {
                Kind::Complex => 2,
                Kind::Text => from.itemsize() / 4,
                _ => 1,
            };
            let width = from.itemsize() / numbers;
            element.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
    }

    proptest! {
        #[test]
        fn elements_are_swapped_as_number_by_number(from in dtype(), to_big in any::<bool>(), seed: u8) {
            let to = from.with_byte_order(if to_big { ByteOrder::Big } else { ByteOrder::Little });
            let bytes: Vec<u8> = (0..3 * from.itemsize()).map(|at| (at * 7 + at / 256) as u8 ^ seed).collect();
            let (mut found, mut expected) = (bytes.clone(), bytes);
            if let Some(swap) = Swap::between(&from, &to).unwrap() {
                swap.apply(&mut found);
            }
            if from.itemsize() > 0 {
                expected.chunks_exact_mut(from.itemsize()).for_each(|element| naive(&from, &to, element));
            }
            prop_assert_eq!(found, expected);
        }
    }

    fn swap(from: &str, to: &str) -> Option<Swap> {
        let [from, to] = [from, to].map(|descr| DType::parse(descr).unwrap());
        Swap::between(&from, &to).unwrap()
    }

    fn swapped(from: &str, to: &str, element: &[u8]) -> Vec<u8> {
        let mut element = element.to_vec();
        if let Some(swap) = swap(from, to) {
            swap.apply(&mut element);
        }
        element
    }

    #[test]
    fn the_same_order_needs_nothing() {
        for descr in [
            "<f8",
            "|S5",
            "|b1",
            "|V3",
            ">U2",
            "[('x', '<f4'), ('y', '>f4')]",
        ] {
            assert_eq!(swap(descr, descr), None, "{descr}");
        }
    }

    #[test]
    fn elements_without_bytes_need_nothing() {
        assert_eq!(swap("<U0", ">U0"), None);
    }

    #[test]
    fn numbers_are_reversed_each_by_itself() {
        assert_eq!(swapped("<i2", ">i2", &[1, 2, 3, 4]), [2, 1, 4, 3]);
        assert_eq!(swapped(">u4", "<u4", &[1, 2, 3, 4]), [4, 3, 2, 1]);
        let bytes: Vec<u8> = (0..16).collect();
        let halves = [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8];
        assert_eq!(swapped("<f8", ">f8", &bytes), halves);
        assert_eq!(swapped("<c16", ">c16", &bytes), halves);
        let reversed: Vec<u8> = (0..16).rev().collect();
        assert_eq!(swapped("<f16", ">f16", &bytes), reversed);
        assert_eq!(swapped("<U2", ">U2", &bytes[..8]), [3, 2, 1, 0, 7, 6, 5, 4]);
        assert_eq!(swapped("<M8[s]", ">M8[s]", &bytes[..8]), halves[..8]);
    }

    #[test]
    fn records_are_swapped_field_by_field() {
        let from = "[('a', '|i1'), ('b', '<i2', (2,)), ('c', '>i2'), ('d', [('e', '<i2')])]";
        let to = "[('a', '|i1'), ('b', '>i2', (2,)), ('c', '>i2'), ('d', [('e', '>i2')])]";
        let element = [0, 1, 2, 3, 4, 5, 6, 7, 8];
        let expected = [0, 2, 1, 4, 3, 5, 6, 8, 7];
        assert_eq!(
            swapped(from, to, &[element, element].concat()),
            [expected, expected].concat()
        );
    }

    #[test]
    fn a_number_among_other_bytes_is_swapped_in_each_element() {
        let descr = |order| format!("[('a', '{order}i4'), ('b', '|i1')]");
        assert_eq!(
            swapped(&descr('<'), &descr('>'), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
            [4, 3, 2, 1, 5, 9, 8, 7, 6, 10]
        );
    }

    #[test]
    fn a_long_subarray_of_numbers_is_one_part() {
        let descr = |order| format!("[('x', '{order}f8', (1000,))]");
        assert_eq!(swap(&descr('<'), &descr('>')).unwrap().parts.len(), 1);
    }

    #[test]
    fn a_subarray_of_records_is_swapped_in_each_record_and_is_one_part() {
        let from = "[('a', '|i1'), ('b', [('c', '<i2'), ('d', '|i1'), ('e', [('f', '<i2')], (2,))], (2,))]";
        let to = from.replace('<', ">");
        let element = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
        let expected = [0, 2, 1, 3, 5, 4, 7, 6, 9, 8, 10, 12, 11, 14, 13];
        assert_eq!(
            swapped(from, &to, &[element, element].concat()),
            [expected, expected].concat()
        );
        let from = "[('a', [('x', '|u1'), ('y', '<i2'), ('z', '<i4')], (300000000,))]";
        assert_eq!(swap(from, &from.replace('<', ">")).unwrap().parts.len(), 1);
    }

    #[test]
    fn neighbours_alike_are_one_part_and_others_are_not() {
        let part = |offset, count, width| Part {
            offset,
            count,
            what: What::Numbers(width),
        };
        for (from, expected) in [
            ("[('a', '<i2'), ('b', '<u2')]", vec![part(0, 2, 2)]),
            (
                "[('a', '<i2'), ('b', '<i4'), ('c', '<i4')]",
                vec![part(0, 1, 2), part(2, 2, 4)],
            ),
            (
                "[('a', '<i2'), ('b', '|u1'), ('c', '<i2')]",
                vec![part(0, 1, 2), part(3, 1, 2)],
            ),
            (
                "[('a', '|u1'), ('b', '<i2', (3,)), ('c', '<i2')]",
                vec![part(1, 4, 2)],
            ),
            // Records that hold nothing else, and a single one.
            (
                "[('a', [('x', '<i2')], (3,)), ('b', '<i2')]",
                vec![part(0, 4, 2)],
            ),
            (
                "[('a', '|u1'), ('b', [('x', '<i2'), ('y', '|u1')])]",
                vec![part(1, 1, 2)],
            ),
        ] {
            let swap = swap(from, &from.replace('<', ">")).unwrap();
            assert_eq!(swap.parts, expected, "{from}");
        }
        let from = "[('a', [('x', '<i2'), ('y', '|u1')], (2,))]";
        let found = swapped(from, &from.replace('<', ">"), &[0, 1, 2, 3, 4, 5]);
        assert_eq!(found, [1, 0, 2, 4, 3, 5]);
    }

    #[test]
    fn numbers_that_are_only_claimed_cost_nothing() {
        for descr in [
            "[('a', [], (2147483647, 2147483647, 2147483647))]",
            "[('a', [('b', '|V0')], (2147483647, 2147483647)), ('c', '<i2')]",
            "[('a', '<i2', (0, 2147483647, 2147483647, 2147483647))]",
            "[('a', '|u1', (2147483647,))]",
        ] {
            let swapped = swap(descr, &descr.replace('<', ">"));
            assert_eq!(swapped.is_some(), descr.contains("'c'"), "{descr}");
        }
    }

    #[test]
    fn other_dtypes_are_refused() {
        let dtype = |descr| DType::parse(descr).unwrap();
        assert!(Swap::between(&dtype("<f8"), &dtype(">i8")).is_err());
        assert!(Swap::between(&dtype("<f4"), &dtype(">f8")).is_err());
    }
}
