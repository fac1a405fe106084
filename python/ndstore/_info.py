"""`info`: what is in a file, without reading its elements."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from . import _ndstore
from ._dtypes import dtype_of
from ._map import settings


@dataclass(frozen=True, slots=True)
class Info:
    """What array a file has."""

    path: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    #: Where the elements start, in bytes.
    offset: int
    #: The bytes of all elements.
    nbytes: int
    #: The bytes that the file takes on its disk.
    allocated: int


def info(path: str | os.PathLike[str], *, max_header_size: int = 10_000) -> Info:
    """Says what array a file has. Reads its header, takes no lock and waits for nobody.

    Parameters
    ----------
    path : str or path
        The file.
    max_header_size : int, optional
        How many characters the header may have.

    Returns
    -------
    Info

    Examples
    --------
    >>> import numpy as np, ndstore as nd
    >>> nd.save("grid.npy", np.zeros((3, 4), "<f4"))
    >>> nd.info("grid.npy").shape
    (3, 4)
    """
    how = settings(0, False, max_header_size=max_header_size)
    file = _ndstore.open(os.fspath(path), "watch", how)
    descr, shape, fortran, offset, found = file.describe()
    file.close()
    dtype = dtype_of(descr)
    return Info(
        path=os.fspath(found),
        dtype=dtype,
        shape=tuple(shape),
        order="F" if fortran else "C",
        offset=offset,
        nbytes=dtype.itemsize * int(np.prod(shape, dtype=object)),
        allocated=os.stat(found).st_blocks * 512,
    )
