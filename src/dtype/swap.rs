//! Byte order: the bytes of an element to reverse between two dtypes that differ in nothing else.

use super::{ByteOrder, DType, Kind};

/// The numbers in an element whose bytes are reversed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Swap {
    itemsize: usize,
    /// By offset, without overlap. Not empty.
    repeats: Vec<Repeat>,
}

/// `count` equal items in a row, the first at `offset` of an element. A sub-array is one such row,
/// however long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Repeat {
    offset: usize,
    count: usize,
    item: Item,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// A number of so many bytes.
    Number(usize),
    /// A record in which some numbers are reversed.
    Record(Swap),
}

impl Item {
    fn width(&self) -> usize {
        match self {
            Item::Number(width) => *width,
            Item::Record(swap) => swap.itemsize,
        }
    }
}

impl Swap {
    /// The swap from the byte order of `from` to that of `to`: `None` if they are the same. The
    /// error means that the dtypes differ in more than byte order.
    pub(crate) fn between(from: &DType, to: &DType) -> Result<Option<Swap>, ()> {
        if from.with_byte_order(ByteOrder::Big) != to.with_byte_order(ByteOrder::Big) {
            return Err(());
        }
        let mut repeats = Vec::new();
        collect(from, to, 0, &mut repeats);
        Ok((!repeats.is_empty()).then_some(Swap {
            itemsize: from.itemsize(),
            repeats,
        }))
    }

    /// Reverses the bytes of the numbers in a whole number of elements.
    pub(crate) fn apply(&self, elements: &mut [u8]) {
        if let [repeat] = &self.repeats[..]
            && repeat.item.width() * repeat.count == self.itemsize
        {
            return repeat.item.apply(elements);
        }
        for element in elements.chunks_exact_mut(self.itemsize) {
            for repeat in &self.repeats {
                let nbytes = repeat.item.width() * repeat.count;
                repeat.item.apply(&mut element[repeat.offset..][..nbytes]);
            }
        }
    }
}

impl Item {
    fn apply(&self, neighbours: &mut [u8]) {
        match self {
            Item::Number(width) => reverse(neighbours, *width),
            Item::Record(swap) => swap.apply(neighbours),
        }
    }
}

/// Reverses each number of `width` bytes.
fn reverse(numbers: &mut [u8], width: usize) {
    /// The compiler knows the length, so this becomes a vector instruction and not a loop.
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

/// Adds the repeats of an element at `offset`. The dtypes are the same except for their byte
/// orders.
fn collect(from: &DType, to: &DType, offset: usize, repeats: &mut Vec<Repeat>) {
    if let (Some(from), Some(to)) = (from.fields(), to.fields()) {
        for (from, to) in from.iter().zip(to) {
            // A header can claim any number of elements that have no bytes.
            let itemsize = from.dtype().itemsize();
            let count = from.itemsize().checked_div(itemsize).unwrap_or(0);
            let mut each = Vec::new();
            if count > 0 {
                collect(from.dtype(), to.dtype(), 0, &mut each);
            }
            let offset = offset + from.offset();
            match &each[..] {
                [] => {}
                [repeat] if repeat.item.width() * repeat.count == itemsize => {
                    add(repeats, offset, repeat.count * count, repeat.item.clone());
                }
                _ if count == 1 => {
                    for repeat in each {
                        add(repeats, offset + repeat.offset, repeat.count, repeat.item);
                    }
                }
                _ => {
                    let repeats_of_each = Swap {
                        itemsize,
                        repeats: each,
                    };
                    add(repeats, offset, count, Item::Record(repeats_of_each));
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
        add(repeats, offset, count, Item::Number(width));
    }
}

/// Adds items behind the others, to the last repeat if they continue it.
fn add(repeats: &mut Vec<Repeat>, offset: usize, count: usize, item: Item) {
    match repeats.last_mut() {
        Some(last) if last.item == item && last.offset + item.width() * last.count == offset => {
            last.count += count;
        }
        _ => repeats.push(Repeat {
            offset,
            count,
            item,
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
    fn a_long_subarray_of_numbers_is_one_repeat() {
        let descr = |order| format!("[('x', '{order}f8', (1000,))]");
        assert_eq!(swap(&descr('<'), &descr('>')).unwrap().repeats.len(), 1);
    }

    #[test]
    fn a_subarray_of_records_is_swapped_in_each_record_and_is_one_repeat() {
        let from = "[('a', '|i1'), ('b', [('c', '<i2'), ('d', '|i1'), ('e', [('f', '<i2')], (2,))], (2,))]";
        let to = from.replace('<', ">");
        let element = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
        let expected = [0, 2, 1, 3, 5, 4, 7, 6, 9, 8, 10, 12, 11, 14, 13];
        assert_eq!(
            swapped(from, &to, &[element, element].concat()),
            [expected, expected].concat()
        );
        let from = "[('a', [('x', '|u1'), ('y', '<i2'), ('z', '<i4')], (300000000,))]";
        assert_eq!(
            swap(from, &from.replace('<', ">")).unwrap().repeats.len(),
            1
        );
    }

    #[test]
    fn neighbours_alike_are_one_repeat_and_others_are_not() {
        let repeat = |offset, count, width| Repeat {
            offset,
            count,
            item: Item::Number(width),
        };
        for (from, expected) in [
            ("[('a', '<i2'), ('b', '<u2')]", vec![repeat(0, 2, 2)]),
            (
                "[('a', '<i2'), ('b', '<i4'), ('c', '<i4')]",
                vec![repeat(0, 1, 2), repeat(2, 2, 4)],
            ),
            (
                "[('a', '<i2'), ('b', '|u1'), ('c', '<i2')]",
                vec![repeat(0, 1, 2), repeat(3, 1, 2)],
            ),
            (
                "[('a', '|u1'), ('b', '<i2', (3,)), ('c', '<i2')]",
                vec![repeat(1, 4, 2)],
            ),
            // Records that hold nothing else, and a single record.
            (
                "[('a', [('x', '<i2')], (3,)), ('b', '<i2')]",
                vec![repeat(0, 4, 2)],
            ),
            (
                "[('a', '|u1'), ('b', [('x', '<i2'), ('y', '|u1')])]",
                vec![repeat(1, 1, 2)],
            ),
        ] {
            let swap = swap(from, &from.replace('<', ">")).unwrap();
            assert_eq!(swap.repeats, expected, "{from}");
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
