"""Between NumPy's dtypes and the descr that a header has."""

from __future__ import annotations

import ast
import operator
from collections.abc import Iterable
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt
from numpy.lib.format import descr_to_dtype, dtype_to_descr


def descr_of(dtype: np.dtype[Any]) -> str:
    """The descr as a header has it: ``'<f8'``, or the list of a record."""
    if dtype.hasobject:
        raise ValueError(
            "Array can't be memory-mapped: Python objects in dtype. "
            "Only their pickles have bytes, and they run code."
        )
    descr = dtype_to_descr(dtype)
    return descr if isinstance(descr, str) else repr(descr)


def dtype_of(descr: str) -> np.dtype[Any]:
    """The dtype of a descr."""
    found: Any = ast.literal_eval(descr) if descr.startswith("[") else descr
    return descr_to_dtype(found)


def shape_of(shape: SupportsIndex | Iterable[SupportsIndex]) -> tuple[int, ...]:
    """A shape as plain integers, or `TypeError` before any file is touched."""
    try:
        return (operator.index(shape),)  # type: ignore[arg-type]
    except TypeError:
        lengths = tuple(operator.index(length) for length in shape)  # type: ignore[union-attr]
    if any(length < 0 for length in lengths):
        raise ValueError("negative dimensions are not allowed")
    return lengths


def bytes_of(array: npt.NDArray[Any], fortran: bool) -> Any:
    """The elements one behind the other, in that order, as a buffer of bytes."""
    if array.nbytes == 0:
        return b""
    packed = np.ascontiguousarray(array.T if fortran else array)
    return packed.view(np.ndarray).reshape(-1).view(np.uint8)
