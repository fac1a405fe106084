//! Random dtypes for property tests: every kind, nested records, sub-arrays, titles and gaps.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{ByteOrder, DType, Field, Kind, TimeUnit};

/// Any dtype whose descr stays far below the limit of a header.
pub(crate) fn dtype() -> impl Strategy<Value = DType> {
    simple().prop_recursive(4, 24, 4, |inner| record(inner).boxed())
}

fn order() -> impl Strategy<Value = ByteOrder> {
    prop_oneof![Just(ByteOrder::Little), Just(ByteOrder::Big)]
}

fn simple() -> impl Strategy<Value = DType> {
    let numbers = vec![
        (Kind::Bool, 1),
        (Kind::Int, 1),
        (Kind::Int, 2),
        (Kind::Int, 8),
        (Kind::UInt, 1),
        (Kind::UInt, 4),
        (Kind::Float, 2),
        (Kind::Float, 8),
        (Kind::Float, 16),
        (Kind::Complex, 8),
        (Kind::Complex, 32),
    ];
    let number = proptest::sample::select(numbers);
    let unit = proptest::sample::select(&TimeUnit::ALL[..]);
    prop_oneof![
        4 => (number, order()).prop_map(|((kind, size), order)| DType::number(kind, size, order)),
        1 => (1..300_usize).prop_map(DType::bytes),
        1 => (1..300_usize).prop_map(DType::void),
        1 => (1..300_usize, order()).prop_map(|(len, order)| DType::text(len, order)),
        1 => (unit.clone(), 1..1000_u32, order()).prop_map(|(unit, multiple, order)| DType::datetime(unit, multiple, order)),
        1 => (unit, 1..1000_u32, order()).prop_map(|(unit, multiple, order)| DType::timedelta(unit, multiple, order)),
    ]
}

fn record(inner: impl Strategy<Value = DType>) -> impl Strategy<Value = DType> {
    let name = || prop_oneof![3 => "[a-z]{1,6}", 1 => "[ -~]{0,4}", 1 => any::<String>().prop_map(|name| name.chars().take(4).collect())];
    let field = (
        name(),
        option::weighted(0.2, name()),
        inner,
        vec(0..4_usize, 0..3),
        0..5_usize,
    );
    (vec(field, 0..5), 0..5_usize).prop_map(|(parts, tail)| {
        let mut fields: Vec<Field> = Vec::new();
        let mut end = 0;
        for (index, (name, title, dtype, shape, gap)) in parts.into_iter().enumerate() {
            // The number keeps names and titles distinct, and none of them empty.
            let mut field = Field::new(&format!("{name}{index}"), dtype, end + gap);
            if let Some(title) = title {
                field = field.with_title(&format!("{title}{index}t"));
            }
            field = field.with_shape(&shape).expect("the sub-array is small");
            end = field.offset() + field.itemsize();
            fields.push(field);
        }
        DType::record(fields, end + tail).expect("the record is small")
    })
}
