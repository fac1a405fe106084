//! Arrays as bare bytes, in memory and in headerless files, by the rules of NumPy's tobytes,
//! frombuffer, tofile and fromfile.

use std::fs;

use ndarray::Slice;
use ndarray::prelude::*;
use ndstore::{
    ErrorKind, MemoryOrder, Order, Store, from_bytes, from_bytes_as, from_file, to_bytes, to_file,
    view_bytes,
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::mapped::mapped;
use super::support::Why;

/// Element by element, by index.
fn naive(view: &ArrayViewD<'_, u16>, order: Order) -> Vec<u8> {
    let view = match order {
        Order::C => view.view(),
        Order::F => view.clone().reversed_axes(),
    };
    view.iter()
        .flat_map(|element| element.to_ne_bytes())
        .collect()
}

/// NumPy's flags, computed from strides: dense in the order, neighbours one element apart. Axes of
/// one element do not count.
fn is_dense(view: &ArrayViewD<'_, u16>, order: Order) -> bool {
    let mut axes: Vec<_> = view
        .shape()
        .iter()
        .copied()
        .zip(view.strides().iter().copied())
        .collect();
    if order == Order::C {
        axes.reverse();
    }
    let mut step = 1;
    view.is_empty()
        || axes.into_iter().all(|(len, stride)| {
            let dense = len == 1 || stride == step;
            step *= len as isize;
            dense
        })
}

proptest! {
    #[test]
    fn bytes_are_those_of_every_element_in_the_order_asked_for(
        shape in prop::collection::vec(0..5_usize, 0..5),
        cuts in prop::collection::vec((0..2_usize, prop_oneof![Just(1_isize), Just(2), Just(-1)]), 4),
        rotation in 0..4_usize,
        fortran: bool,
    ) {
        let array = ArrayD::from_shape_fn(IxDyn(&shape).set_f(fortran), |index| index.slice().iter().fold(1, |flat, &i| flat * 7 + i as u16));
        let mut view = array.view();
        for (axis, &(start, step)) in cuts.iter().enumerate().take(shape.len()) {
            view.slice_axis_inplace(Axis(axis), Slice::new(start.min(shape[axis]) as isize, None, step));
        }
        for axis in 1..shape.len() {
            view.swap_axes(axis, (axis + rotation) % shape.len());
        }
        let lies_in = if is_dense(&view, Order::F) && !is_dense(&view, Order::C) { Order::F } else { Order::C };
        prop_assert_eq!(to_bytes(&view, Order::C).unwrap(), naive(&view, Order::C));
        prop_assert_eq!(to_bytes(&view, MemoryOrder::F).unwrap(), naive(&view, Order::F));
        prop_assert_eq!(to_bytes(&view, MemoryOrder::A).unwrap(), naive(&view, lies_in));
        for order in [Order::C, Order::F] {
            let back = from_bytes::<u16, _>(&to_bytes(&view, order).unwrap(), view.shape(), order).unwrap();
            prop_assert_eq!(&back, &view);
        }
    }
}

#[test]
fn a_store_gives_bytes_in_any_order_whatever_its_own() {
    let directory = TempDir::new().unwrap();
    let array = array![[1_u8, 2, 3], [4, 5, 6]];
    for fortran in [false, true] {
        let path = directory.path().join("a.npy");
        let mut store = Store::<u8, _>::create(&path, (2, 3).set_f(fortran)).unwrap();
        store.write_all(&array).unwrap();
        assert_eq!(store.to_bytes(Order::C).unwrap(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(store.to_bytes(Order::F).unwrap(), [1, 4, 2, 5, 3, 6]);
        assert_eq!(
            store.to_bytes(MemoryOrder::A).unwrap(),
            mapped(store).as_bytes()
        );
    }
}

#[test]
fn bytes_that_lie_anywhere_are_copied_and_aligned_ones_are_viewed() {
    let aligned: Vec<u64> = (0..7).collect();
    let bytes: &[u8] = bytemuck::cast_slice(&aligned);
    let view = view_bytes::<u64, _>(&bytes[8..], (2, 3), Order::F).unwrap();
    assert_eq!(view, array![[1, 3, 5], [2, 4, 6]]);
    assert_eq!(view.as_ptr(), aligned[1..].as_ptr(), "no copy");

    let odd = &bytes[3..51];
    let copy = from_bytes::<u64, _>(odd, 6, Order::C).unwrap();
    assert_eq!(to_bytes(&copy, Order::C).unwrap(), odd);
    let refused = view_bytes::<u64, _>(odd, 6, Order::C).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Misaligned { align: 8, .. }),
        "{refused}"
    );
    let text = refused.to_string();
    assert!(
        text.contains("Le<T>") && text.contains("from_bytes"),
        "{text}"
    );
    assert!(
        view_bytes::<u64, _>(&bytes[3..3], (0, 5), Order::C)
            .unwrap()
            .is_empty(),
        "nothing is aligned anywhere"
    );
}

#[test]
fn bytes_that_are_not_the_array_are_refused_with_what_is_wrong() {
    for len in [0, 1, 47, 49, 56] {
        let refused = from_bytes::<f64, _>(&vec![0; len], (2, 3), Order::C).unwrap_err();
        let ErrorKind::Length {
            expected: 48,
            found,
            ..
        } = refused.kind()
        else {
            panic!("{refused}");
        };
        assert_eq!(*found, len as u64);
    }
    for shape in [vec![usize::MAX, 2], vec![0, usize::MAX], vec![1 << 62]] {
        let refused = from_bytes::<f64, _>(&[], shape, Order::C).unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::ShapeTooLarge { .. }),
            "{refused}"
        );
    }
}

#[test]
fn bytes_that_came_with_a_dtype_must_be_of_the_type() {
    let bytes = to_bytes(&array![1.5_f32, -2.0], Order::C).unwrap();
    let dtype = <f32 as ndstore::Element>::dtype().descr();
    assert_eq!(
        from_bytes_as::<f32, _>(&dtype, &bytes, 2, Order::C).unwrap(),
        array![1.5, -2.0]
    );
    for other in ["<i4", ">f4", "<f8", "|V4"] {
        let refused = from_bytes_as::<f32, _>(other, &bytes, 2, Order::C).unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::DTypeMismatch { .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains(other), "{refused}");
    }
    assert!(matches!(
        from_bytes_as::<f32, _>("float", &bytes, 2, Order::C).why(),
        Some(ErrorKind::Descr { .. })
    ));
}

#[test]
fn a_raw_file_has_the_elements_in_c_order_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("raw.bin");
    fs::write(&path, [9; 1000]).unwrap();
    let array = array![[1_u16, 2, 3], [4, 5, 6]];
    for array in [
        array.view(),
        array
            .view()
            .reversed_axes()
            .to_owned()
            .view()
            .reversed_axes(),
    ] {
        to_file(&path, &array).unwrap();
        assert_eq!(
            fs::read(&path).unwrap(),
            to_bytes(&array, Order::C).unwrap()
        );
    }
    to_file(&path, &array.slice(s![.., ..;2])).unwrap();
    assert_eq!(
        from_file::<u16>(&path, None, 0).unwrap(),
        array![1, 3, 4, 6]
    );
    to_file(&path, &Array1::<f64>::zeros(0)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    assert!(from_file::<f64>(&path, None, 0).unwrap().is_empty());
}

#[cfg(target_pointer_width = "32")]
#[test]
fn a_raw_file_with_more_elements_than_an_address_can_tell_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("raw.bin");
    let file = fs::File::create(&path).unwrap();
    for len in [1 << 31, 1 << 32, (1 << 32) + 1] {
        file.set_len(len).unwrap();
        let refused = from_file::<u8>(&path, None, 0).unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::ShapeTooLarge { shape, .. } if shape[..] == [len]),
            "{refused}"
        );
    }
}

#[test]
fn a_raw_file_is_read_from_any_byte_for_any_number_of_elements() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("raw.bin");
    let bytes: Vec<u8> = (0..19).collect();
    fs::write(&path, &bytes).unwrap();
    for offset in 0..=21 {
        for count in [
            None,
            Some(0),
            Some(1),
            Some(2),
            Some(4),
            Some(5),
            Some(usize::MAX),
        ] {
            let found = from_file::<u32>(&path, count, offset as u64);
            let rest = bytes.len().checked_sub(offset);
            let whole = rest
                .filter(|rest| rest.is_multiple_of(4))
                .map(|rest| rest / 4);
            let fits = |count: usize| {
                Some(count.checked_mul(4)? <= rest?)
                    .filter(|&fits| fits)
                    .map(|_| count)
            };
            match (count.map_or(whole, fits), found) {
                (Some(len), Ok(found)) => {
                    assert_eq!(
                        to_bytes(&found, Order::C).unwrap(),
                        bytes[offset..][..4 * len]
                    )
                }
                (None, Err(refused)) => match refused.kind() {
                    ErrorKind::NotAMultiple { .. } => assert!(count.is_none() && rest.is_some()),
                    ErrorKind::Truncated { .. } => assert!(count.is_some() || rest.is_none()),
                    ErrorKind::ShapeTooLarge { .. } => assert_eq!(count, Some(usize::MAX)),
                    _ => panic!("{offset} {count:?}: {refused}"),
                },
                (expected, found) => panic!("{offset} {count:?}: {expected:?}, {found:?}"),
            }
        }
    }
    assert!(matches!(
        from_file::<u8>(directory.path().join("none"), None, 0).why(),
        Some(ErrorKind::NotFound { .. })
    ));
    assert!(matches!(
        from_file::<u8>(directory.path(), None, 0).why(),
        Some(ErrorKind::NotAFile { .. })
    ));
}

#[test]
fn a_raw_file_that_no_memory_holds_is_an_error_and_a_part_of_it_is_read() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("raw.bin");
    let file = fs::File::create(&path).unwrap();
    file.set_len(17_000_000_000_000).unwrap();
    let refused = from_file::<f64>(&path, None, 0).unwrap_err();
    let ErrorKind::OutOfMemory { needed, .. } = refused.kind() else {
        panic!("{refused}");
    };
    assert_eq!(*needed, 17_000_000_000_000);
    assert!(refused.to_string().contains("`count`"), "{refused}");
    let part = from_file::<f64>(&path, Some(3), 16_000_000_000_000).unwrap();
    assert_eq!(part, array![0.0, 0.0, 0.0]);
}

#[test]
fn bytes_of_elements_that_a_view_repeats_beyond_all_memory_are_an_error() {
    let one = arr0(1.5_f64);
    for len in [1 << 50, isize::MAX as usize] {
        let view = one.broadcast(len).unwrap();
        for order in [Order::C, Order::F] {
            let refused = to_bytes(&view, order).unwrap_err();
            assert!(matches!(refused.kind(), ErrorKind::OutOfMemory { .. }));
        }
    }
}
