"""NumPy's side of tests/interop/reduce.rs: `reduce.py compare MANIFEST`.

Compares the saved results with NumPy's: their dtypes and shapes, and their values, which are the same but for floats that
are rounded on the way. Those are held against exact sums, and NumPy's errors are printed beside: the largest error of a sum
in units of the machine epsilon times the sum of the magnitudes, of which the promise is two.
"""

import json
import math
import sys
import warnings

import numpy as np

warnings.filterwarnings("ignore", category=RuntimeWarning)

errors = {"ours": 0.0, "numpy": 0.0}


def parts(array):
    """The real numbers that an array is made of, as doubles: one array or two."""
    if array.dtype.kind == "c":
        return [array.real.astype("f8"), array.imag.astype("f8")]
    return [array.astype("f8")]


def same(ours, theirs):
    return np.array_equal(ours, theirs, equal_nan=ours.dtype.kind in "fc")


def lanes(array, axis):
    """The elements of each result, in the order of the results."""
    if axis is None:
        return [array.ravel()]
    moved = np.moveaxis(array, axis, -1)
    return moved.reshape((-1, moved.shape[-1])) if moved.size else []


def check_sum(name, array, axis, ours, theirs, scale):
    """Sums, and means, which are `scale` elements' share of them."""
    epsilon = float(np.finfo(ours.dtype).eps)
    for values, ours, theirs in zip(parts(array), parts(ours), parts(theirs)):
        for lane, found, numpy in zip(lanes(values, axis), ours.ravel(), theirs.ravel()):
            if not np.isfinite(lane).all():
                # As NumPy's, unless its sums of narrow floats overflowed.
                expected = lane.sum() / scale
                assert found == expected or math.isnan(found) and math.isnan(expected), (name, found, expected)
                continue
            magnitude = math.fsum(abs(lane)) / scale
            if magnitude == 0:
                assert found == 0, (name, found)
                continue
            for who, value in [("ours", found), ("numpy", numpy)]:
                error = abs(math.fsum([*(lane / scale), -value])) if scale == 1 else abs(math.fsum(lane) / scale - value)
                if np.isfinite(value):
                    errors[who] = max(errors[who], error / magnitude / epsilon)
                elif who == "ours":
                    assert abs(math.fsum(lane) / scale) > float(np.finfo(array.real.dtype).max), (name, value)
    assert errors["ours"] <= 2, (name, errors)


def check_var(name, op, array, axis, ours):
    epsilon = float(np.finfo(ours.dtype).eps)
    largest = float(np.finfo(ours.dtype).max)
    found = ours.ravel()
    by_part = [lanes(values, axis) for values in parts(array)]
    for index, value in enumerate(found):
        expected = 0.0
        for part in by_part:
            lane = part[index]
            mean = math.fsum(lane) / len(lane) if np.isfinite(lane).all() else math.nan
            expected += math.fsum((lane - mean) ** 2) / len(lane) if math.isfinite(mean) else math.nan
        expected = math.sqrt(expected) if op == "std" else expected
        if expected > largest:
            assert np.isinf(value), (name, op, value, expected)
        elif math.isnan(expected):
            assert np.isnan(value), (name, op, value)
        else:
            # Rounded once from a double, which has errors of its own; half floats also below their least normal one.
            error = (2 * epsilon + 64 * 2.0**-52) * expected + 6e-8 * (epsilon > 1e-4)
            assert abs(value - expected) <= error, (name, op, value, expected)


def check_quantile(name, array, axis, ours):
    """In doubles, rounded once. NumPy makes NaN of infinities, which are in no order for its formula."""
    theirs = np.quantile(array.astype("f8"), 0.3, axis=axis)
    expected = array.dtype if array.dtype.kind == "f" else np.dtype("f8")
    assert ours.dtype == expected, (name, ours.dtype)
    assert ours.shape == theirs.shape, (name, ours.shape, theirs.shape)
    finite = np.isfinite(array).all(axis=axis)
    rounded = theirs.astype(expected)
    agree = (ours == rounded) | (np.isnan(theirs) & ~finite)
    if expected.itemsize == 2:
        # A processor makes a half float of a double by way of a float, which rounds twice.
        agree |= np.abs(ours - rounded) <= np.spacing(np.abs(rounded))
    assert np.all(agree), (name, ours, theirs)
    nan = np.isnan(array).any(axis=axis) if array.dtype.kind == "f" else False
    assert np.all(np.isnan(ours) == nan), (name, ours)


def table(array, axis):
    """A row for each result, of its elements as doubles."""
    values = array.astype("f8")
    if axis is None:
        return values.reshape((1, -1))
    moved = np.moveaxis(values, axis, -1)
    return moved.reshape((math.prod(moved.shape[:-1]), moved.shape[-1]))


def numbers(array, axis):
    """Of each lane without its NaN: how many elements, their sum, that of their magnitudes, and the sum of their squared
    distances from their mean. In 80 bits, summed in pairs, so that what is rounded here is far below any promise."""
    values = table(array, axis).astype(np.longdouble)
    kept = np.where(np.isnan(values), 0, values)
    count = (~np.isnan(values)).sum(axis=-1)
    total = kept.sum(axis=-1)
    distances = np.where(np.isnan(values), 0, values - (total / count)[:, None])
    return count, total, abs(kept).sum(axis=-1), (distances**2).sum(axis=-1)


def holds(name, op, truths):
    assert np.all(truths), (name, op, np.argmin(truths))


def check_without_nan(name, op, array, axis, ours):
    """Sums and means of what is left of each lane without its NaN, of which there may be nothing."""
    epsilon = float(np.finfo(ours.dtype).eps)
    count, total, magnitude, _ = numbers(array, axis)
    scale = count if op == "nanmean" else 1
    found = ours.ravel().astype(np.longdouble)
    expected = total / scale
    error = 2 * epsilon * magnitude / scale + 6e-8 * (epsilon > 1e-4)
    too_large = np.isinf(found) & (abs(expected) > float(np.finfo(ours.dtype).max))
    agree = (abs(found - expected) <= error) | too_large
    special = ~np.isfinite(expected)
    holds(name, op, np.where(special, (found == expected) | (np.isnan(found) & np.isnan(expected)), agree))


def check_var_without_nan(name, op, array, axis, ours):
    epsilon = float(np.finfo(ours.dtype).eps)
    count, total, _, squares = numbers(array, axis)
    found = ours.ravel().astype(np.longdouble)
    expected = squares / (count - 1)
    expected = np.sqrt(expected) if op == "nanstd" else expected
    error = (2 * epsilon + 64 * 2.0**-52) * expected + 6e-8 * (epsilon > 1e-4)
    too_large = np.isinf(found) & (expected > float(np.finfo(ours.dtype).max))
    agree = (abs(found - expected) <= error) | too_large
    holds(name, op, np.where((count < 2) | ~np.isfinite(total), np.isnan(found), agree))


def check_description(name, array, axis, ours):
    """Each statistic, within the promise of its own method."""
    values = table(array, axis)
    found = ours.reshape(len(values), 7)
    total, nan, zeros, mean, std, least, greatest = found.T
    count, sums, magnitude, squares = numbers(array, axis)
    holds(name, "count", total == values.shape[1])
    holds(name, "nan", nan == values.shape[1] - count)
    holds(name, "zeros", zeros == (values == 0).sum(axis=-1))
    none, infinite = count == 0, ~np.isfinite(sums)
    holds(name, "none", ~none | np.isnan(found[:, 3:]).all(axis=-1))
    if values.shape[1]:
        holds(name, "min", none | (least == np.fmin.reduce(values, axis=-1)))
        holds(name, "max", none | (greatest == np.fmax.reduce(values, axis=-1)))
    expected = sums / count
    special = (mean == expected) | (np.isnan(mean) & np.isnan(expected))
    close = abs(mean - expected) <= 4 * 2.0**-52 * magnitude / count
    holds(name, "mean", none | np.where(infinite, special, close))
    expected = np.sqrt(squares / count)
    holds(name, "std", none | np.where(infinite, np.isnan(std), abs(std - expected) <= 64 * 2.0**-52 * expected))


def compare(entry):
    name, op, axis = entry["name"], entry["op"], entry["axis"]
    array = np.load(entry["path"])
    ours = np.load(entry["result"])
    if op == "quantile":
        return check_quantile(name, array, axis, ours)
    if op == "histogram":
        counts, _ = np.histogram(array.astype("f8"), bins=7)
        return same(ours, counts.astype("u8")) or sys.exit(f"{name}: {ours} {counts}")
    if op == "count_nan":
        assert same(ours, np.isnan(array).sum(axis=axis)), (name, op, axis)
        return
    if op == "describe":
        return check_description((name, axis), array, axis, ours)
    theirs = np.asarray(getattr(np, op)(array, axis=axis))
    assert ours.dtype == theirs.dtype, (name, op, ours.dtype, theirs.dtype)
    assert ours.shape == theirs.shape, (name, op, ours.shape, theirs.shape)
    if op in ("nansum", "nanmean"):
        check_without_nan((name, axis), op, array, axis, ours)
        return
    if op in ("nanvar", "nanstd"):
        check_var_without_nan((name, axis), op, array, axis, ours)
        return
    rounded = op in ("mean", "var", "std") or op == "sum" and array.dtype.kind in "fc"
    count = array.size if axis is None else array.shape[axis]
    if not rounded or count == 0:
        assert same(ours, theirs), (name, op, axis, ours, theirs)
    elif op in ("sum", "mean"):
        check_sum((name, op, axis), array, axis, ours, theirs, 1 if op == "sum" else count)
    else:
        check_var((name, axis), op, array, axis, ours)


entries = json.load(open(sys.argv[2]))
for entry in entries:
    compare(entry)
print(json.dumps({"checks": len(entries), "errors in epsilon of the magnitudes": errors}))
