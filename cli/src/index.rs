//! NumPy's index syntax, as it stands between brackets: `10:20, ::-2, ..., None, -1`.

use crate::region::{Pick, Region};

/// One item between commas.
enum Item {
    Index(i128),
    Slice([Option<i128>; 3]),
    Ellipsis,
    New,
}

/// What the text between the brackets picks of an array of this shape, as in NumPy: slices are cut to the axis, indices must be on
/// it.
pub(crate) fn parse(text: &str, shape: &[usize]) -> Result<Region, String> {
    let items = match text.trim() {
        "" => return Err("an index is empty; write `[:]` for everything".into()),
        text => text.strip_suffix(',').unwrap_or(text).split(','),
    };
    let items = items.map(item).collect::<Result<Vec<_>, _>>()?;
    let of_axes = |item: &&Item| matches!(item, Item::Index(_) | Item::Slice(_));
    let named = items.iter().filter(of_axes).count();
    let ellipses = items
        .iter()
        .filter(|item| matches!(item, Item::Ellipsis))
        .count();
    if ellipses > 1 {
        return Err("an index has two `...`; leave one out".into());
    }
    let Some(unnamed) = shape.len().checked_sub(named) else {
        return Err(format!(
            "the index has {named} axes, and the array {}; its shape is {}",
            shape.len(),
            crate::units::shape(shape)
        ));
    };
    let mut axes = shape.iter().copied().enumerate();
    let mut picks = Vec::new();
    let rest = (ellipses == 0).then_some(Item::Ellipsis);
    for item in items.iter().chain(&rest) {
        match item {
            Item::New => picks.push(Pick::New),
            Item::Ellipsis => {
                let all = |(_, len)| Pick::Slice {
                    start: 0,
                    len,
                    step: 1,
                };
                picks.extend(axes.by_ref().take(unnamed).map(all));
            }
            Item::Index(_) | Item::Slice(_) => {
                if let Some((axis, len)) = axes.next() {
                    picks.push(pick(item, axis, len)?);
                }
            }
        }
    }
    Ok(Region::new(picks))
}

fn item(text: &str) -> Result<Item, String> {
    let text = text.trim();
    match text {
        "..." => return Ok(Item::Ellipsis),
        "None" | "newaxis" | "np.newaxis" => return Ok(Item::New),
        _ => {}
    }
    let refused = || {
        format!(
            "{text:?} is no index; write a number, `a:b:step`, `...` or `None`, with commas between them"
        )
    };
    let number = |text: &str| {
        text.trim()
            .parse::<i64>()
            .map(i128::from)
            .map_err(|_| refused())
    };
    if !text.contains(':') {
        return Ok(Item::Index(number(text)?));
    }
    let mut parts = [None; 3];
    for (index, part) in text.split(':').enumerate() {
        let place = parts.get_mut(index).ok_or_else(refused)?;
        if !part.trim().is_empty() {
            *place = Some(number(part)?);
        }
    }
    match parts[2] {
        Some(0) => Err("a slice has a step of 0; leave it out".into()),
        _ => Ok(Item::Slice(parts)),
    }
}

fn pick(item: &Item, axis: usize, len: usize) -> Result<Pick, String> {
    let n = len as i128;
    let from_end = |index: i128| if index < 0 { index + n } else { index };
    match *item {
        Item::Index(index) => match from_end(index) {
            place if (0..n).contains(&place) => Ok(Pick::Index(place as usize)),
            _ => Err(format!(
                "{index} is out of bounds of axis {axis}, which has {len}"
            )),
        },
        Item::Slice([start, stop, step]) => {
            let step = step.unwrap_or(1);
            // A step is cut to the axis as well: one more than that leaves the first element alone.
            let step = step.clamp(-n - 1, n + 1);
            let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
            let (first, end) = if step > 0 { (low, high) } else { (high, low) };
            let bound = |given: Option<i128>, open| {
                given.map_or(open, |index| from_end(index).clamp(low, high))
            };
            let (start, stop) = (bound(start, first), bound(stop, end));
            let len = match step > 0 {
                true => (stop - start + step - 1) / step,
                false => (start - stop - step - 1) / -step,
            };
            let len = len.max(0) as usize;
            let start = if len > 0 { start as usize } else { 0 };
            Ok(Pick::Slice {
                start,
                len,
                step: step as isize,
            })
        }
        Item::Ellipsis | Item::New => Ok(Pick::New),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The indices that Python's `range(n)[start:stop:step]` has, one by one.
    fn naive(n: i64, start: Option<i64>, stop: Option<i64>, step: i64) -> Vec<i64> {
        let absolute = |index: i64| if index < 0 { index + n } else { index };
        let inside = |index: &i64| match step > 0 {
            true => {
                start.is_none_or(|start| *index >= absolute(start))
                    && stop.is_none_or(|stop| *index < absolute(stop))
            }
            false => {
                start.is_none_or(|start| *index <= absolute(start))
                    && stop.is_none_or(|stop| *index > absolute(stop))
            }
        };
        let indices: Vec<_> = match step > 0 {
            true => (0..n).filter(inside).collect(),
            false => (0..n).rev().filter(inside).collect(),
        };
        indices
            .into_iter()
            .step_by(step.unsigned_abs() as usize)
            .collect()
    }

    #[test]
    fn slices_pick_what_python_picks() {
        let bounds = [
            None,
            Some(-9),
            Some(-5),
            Some(-1),
            Some(0),
            Some(1),
            Some(3),
            Some(5),
            Some(8),
        ];
        for n in [0, 1, 5] {
            for (start, stop) in bounds
                .iter()
                .flat_map(|start| bounds.map(|stop| (*start, stop)))
            {
                for step in [-7, -2, -1, 1, 2, 7] {
                    let text =
                        |bound: Option<i64>| bound.map_or(String::new(), |bound| bound.to_string());
                    let text = format!("{}:{}:{step}", text(start), text(stop));
                    let region = parse(&text, &[n as usize]).unwrap();
                    let expected = naive(n, start, stop, step);
                    assert_eq!(region.shape(), [expected.len()], "{text} of {n}");
                    let each = (0..expected.len())
                        .map(|index| region.part(0, index..index + 1).arguments()[0]);
                    for (argument, place) in each.zip(expected) {
                        let ndarray::SliceInfoElem::Slice { start, .. } = argument else {
                            panic!("{argument:?}")
                        };
                        assert_eq!(start as i64, place, "{text} of {n}");
                    }
                }
            }
        }
    }

    #[test]
    fn ellipses_and_new_axes_stand_where_numpy_has_them() {
        let shape = |text: &str| parse(text, &[2, 3, 4]).map(|region| region.shape());
        assert_eq!(shape("..., 0"), Ok(vec![2, 3]));
        assert_eq!(shape("1"), Ok(vec![3, 4]));
        assert_eq!(shape("0, ..., ::2"), Ok(vec![3, 2]));
        assert_eq!(shape("None, ..., None"), Ok(vec![1, 2, 3, 4, 1]));
        assert_eq!(shape("1, 2, -1"), Ok(vec![]));
        assert_eq!(shape(":,"), Ok(vec![2, 3, 4]));
    }

    #[test]
    fn an_index_that_is_none_says_why() {
        for text in [
            "",
            ",",
            "1,,2",
            "x",
            "1:2:3:4",
            "::0",
            "2",
            "-3",
            "..., ...",
            "0, 0, 0, 0",
            "99999999999999999999",
        ] {
            assert!(parse(text, &[2, 3, 4]).is_err(), "{text:?}");
        }
        assert_eq!(
            parse("5", &[2]).unwrap_err(),
            "5 is out of bounds of axis 0, which has 2"
        );
    }
}
