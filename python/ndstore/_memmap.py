"""`memmap`: an array in a file that is an `np.memmap`, with the claims on the file and a way to close it."""

from __future__ import annotations

import operator
import os
import pickle
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, SupportsIndex

import numpy as np
import numpy.typing as npt

from . import _ndstore
from ._dtypes import descr_of, shape_of
from ._map import Map, Origin, path_of, settings

_MODES = {"readonly": "r", "copyonwrite": "c", "readwrite": "r+", "write": "w+"}
_VALID = ["r", "c", "r+", "w+"]
_HOW = {"r": "shared_read", "c": "shared_read", "r+": "shared", "w+": "shared"}

_plain_getitem = np.ndarray.__getitem__


class memmap(np.memmap[Any, Any]):  # noqa: N801 (NumPy's name)
    """An array in a file without a header, as `numpy.memmap` opens or makes one.

    Parameters, attributes and results are NumPy's. Every mode takes the file's lock beside
    others that do so, so that who must be alone is kept out: `ndstore.open`, or a resize.

    Parameters
    ----------
    filename : str, path or file object
        The file.
    dtype : dtype, optional
        The type of the elements, bytes unless told otherwise.
    mode : {'r+', 'r', 'w+', 'c'}, optional
        As NumPy's. ``w+`` makes a whole new file and gives it the name, so an array that
        cannot be made leaves the old file as it was, and who has that one open keeps it.
    offset : int, optional
        Where the elements start, in bytes.
    shape : int or sequence of ints, optional
        All elements behind the offset in one dimension unless told otherwise.
    order : {'C', 'F'}, optional
        The order of the elements in the file.

    Raises
    ------
    TruncatedError
        A ``ValueError``: the file is shorter than the array. With ``r+`` NumPy makes it
        longer, and what was lost reads as zeros.
    LockedError
        A ``BlockingIOError``: somebody has the file alone.

    Examples
    --------
    >>> import ndstore as nd
    >>> with nd.memmap("points.bin", dtype="<f4", mode="w+", shape=(3, 4)) as points:
    ...     points[1] = 5
    >>> nd.memmap("points.bin", dtype="<f4", mode="r", shape=(3, 4)).sum()
    np.float32(20.0)
    """

    _mmap: Map | None

    def __new__(
        cls,
        filename: str | os.PathLike[str] | IO[bytes],
        dtype: npt.DTypeLike = np.uint8,
        mode: str = "r+",
        offset: int = 0,
        shape: SupportsIndex | Iterable[SupportsIndex] | None = None,
        order: str = "C",
    ) -> Self:
        mode = _MODES.get(mode, mode)
        if mode not in _VALID:
            raise ValueError(f"mode must be one of {_VALID + list(_MODES)!r} (got {mode!r})")
        if mode == "w+" and shape is None:
            raise ValueError("shape must be given if mode == 'w+'")
        kind = np.dtype(dtype)
        offset = _offset_of(offset)
        lengths = None if shape is None else shape_of(shape)
        fortran = order in ("F", "f")
        how = settings(
            0, raw=offset, fortran=fortran, shape=lengths, allow_trailing=lengths is not None
        )
        name: str | Path | None
        if hasattr(filename, "read"):
            path, name, named = _open_file(filename, mode, kind, offset, lengths)
        else:
            path = path_of(filename)
            named = True
            resolve = isinstance(filename, os.PathLike)
            name = Path(filename).resolve() if resolve else os.path.abspath(path)
        if mode == "w+" and lengths is not None and not hasattr(filename, "read"):
            # What NumPy makes has holes, too.
            how["sparse"] = True
            del how["shape"], how["allow_trailing"]
            made = _ndstore.create(path, descr_of(kind), lengths, False, how)
            file = made.share()
        else:
            file = _ndstore.open(path, _HOW[mode], how | {"dtype": descr_of(kind)})
        made_of = _HOW[mode] if named else None
        array: Self = _mapped(cls, file, kind, mode, name, made_of, raw=True)
        return array

    def __array_finalize__(self, obj: Any) -> None:
        found = getattr(obj, "_mmap", None)
        if found is not None and not np.may_share_memory(self, obj):
            found = None
        self._mmap = found

    @property
    def filename(self) -> Any:  # type: ignore[override]
        """The path, as it was given: a `Path` if it was one. None of a copy."""
        return getattr(self._mmap, "filename", None)

    @property
    def mode(self) -> Any:  # type: ignore[override]
        """The mode. None of a copy."""
        return getattr(self._mmap, "mode", None)

    @property
    def offset(self) -> Any:  # type: ignore[override]
        """Where the first element of the whole array is in the file. None of a copy."""
        return getattr(self._mmap, "offset", None)

    def flush(self) -> None:
        """Waits until every change of the whole map is on the disk."""
        found = self._mmap
        if found is not None and found.mode in ("r+", "w+"):
            found.flush()

    def close(self) -> None:
        """Flushes, unmaps, and gives up the claims on the file. The array is empty then.

        Raises
        ------
        BufferError
            Something else shows the elements, or names the array: it would be left without
            memory. Nothing has changed then but what was flushed.
        """
        # Before the method is looked up, which is a reference as well.
        others = sys.getrefcount(self) - _CLOSE_REFERENCES
        self._close(others)

    def _close(self, others: int) -> None:
        found = self._mmap
        if found is None:
            return
        if self.base is not found:  # type: ignore[comparison-overlap]
            raise ValueError("this is a view; close the array that it is a view of")
        if others > 0:
            views = sys.getrefcount(found) - _MAP_REFERENCES
            raise BufferError(
                f"cannot close {found.filename!r}: {max(others, views)} views of the array, or "
                "other names for it, are alive; let go of them first (`del`)"
            )
        self.flush()
        # Nothing points into the map from here on, this array neither.
        empty = (0,) * max(self.ndim, 1)
        self.__setstate__((1, empty, self.dtype, False, b""))  # type: ignore[arg-type]
        self._mmap = None
        found.close()
        found.descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        others = sys.getrefcount(self) - _EXIT_REFERENCES
        self._close(others)

    def __getitem__(self, index: Any) -> Any:
        found = _plain_getitem(self, index)
        # A copy is in memory and no map's.
        if type(found) is memmap and found._mmap is None:
            return found.view(np.ndarray)
        return found

    def __array_wrap__(
        self, array: Any, context: Any = None, return_scalar: bool = False
    ) -> Any:
        wrapped = np.ndarray.__array_wrap__(self, array, context)
        if self is wrapped or type(self) is not memmap:
            return wrapped
        return wrapped[()] if return_scalar else wrapped.view(np.ndarray)

    def __reduce__(self) -> Any:
        found = self._mmap
        if found is None or found.origin is None or found.origin.how is None:
            return self.view(np.ndarray).__reduce__()
        origin, mode = found.origin, found.mode
        if origin.how in ("alone", "rows"):
            raise pickle.PicklingError(
                f"{origin.path!r} is open alone (`r+`), so no other process can open it as well; "
                "for a file that many processes write, open it with `nd.memmap` or "
                "`nd.open_memmap`, or each its own rows with `nd.open(path, 'r+', rows=...)`"
            )
        if mode == "c" and found.has_changes():
            # They are in this process alone.
            return self.view(np.ndarray).__reduce__()
        start = found.offset - found.offset % os.sysconf("SC_PAGE_SIZE")
        place = start + int(self.__array_interface__["data"][0]) - found.address()
        mode = "r+" if mode == "w+" else mode
        where = (mode, place if self.nbytes else 0, self.shape, self.strides, self.dtype)
        return _reopened, (type(self), origin, found.offset, str(found.filename), *where)


def _offset_of(offset: int) -> int:
    offset = operator.index(offset)
    if offset < 0:
        raise OverflowError("memory mapped offset must be positive")
    return offset


def _open_file(
    file: Any,
    mode: str,
    dtype: np.dtype[Any],
    offset: int,
    shape: tuple[int, ...] | None,
) -> tuple[str, str | None, bool]:
    """The path to a file that the caller has open, its name, and whether that leads to it."""
    fd = file.fileno()
    file.seek(0, os.SEEK_END)
    length = file.tell()
    if shape is not None and mode in ("r+", "w+"):
        end = offset + dtype.itemsize * int(np.prod(shape, dtype=object))
        # An empty file has nothing to lose, and `w+` says that it is a new one.
        if length < end and (length == 0 or mode == "w+"):
            os.posix_fallocate(fd, length, end - length)
    elif length == 0 and shape is not None and 0 in shape:
        raise ValueError("cannot mmap an empty file")
    name = getattr(file, "name", None)
    if not isinstance(name, str):
        return f"/proc/self/fd/{fd}", None, False
    name = os.path.abspath(name)
    try:
        named = os.path.samestat(os.stat(name), os.fstat(fd))
    except OSError:
        named = False
    return f"/proc/self/fd/{fd}", name, named


def _mapped(
    subtype: type[Any],
    file: Any,
    dtype: np.dtype[Any],
    mode: str,
    filename: str | Path | None,
    how: str | None,
    *,
    raw: bool,
    fd: int | None = None,
) -> Any:
    """The array of an open file, which is given away, or of ``fd``, a copy of its descriptor."""
    _, shape, fortran, offset, _ = file.describe()
    given: int = file.give() if fd is None else fd
    inode = os.fstat(given).st_ino
    nbytes = dtype.itemsize * int(np.prod(shape, dtype=object))
    map_, start = Map.of(given, offset, nbytes, mode)
    map_.filename = filename
    map_.mode = mode
    map_.offset = offset
    map_.origin = None if how is None else Origin(os.path.abspath(str(filename)), how, raw, inode)
    order: Any = "F" if fortran else "C"
    made = np.ndarray.__new__(subtype, shape, dtype, buffer=map_, offset=start, order=order)
    made._mmap = map_
    if mode == "r":
        made.flags.writeable = False
    return made


def _reopened(
    subtype: type[Any],
    origin: Origin,
    offset: int,
    filename: str,
    mode: str,
    place: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Any:
    """The same part of the same file, in the process that unpickles it."""
    how = settings(0, raw=0, dtype="|u1")
    file = _ndstore.open(origin.path, origin.how or "watch", how)
    _, (nbytes,), _, _, _ = file.describe()
    fd = file.give()
    if os.fstat(fd).st_ino != origin.inode:
        os.close(fd)
        raise ValueError(f"{origin.path!r} was replaced since the array was pickled")
    map_, _ = Map.of(fd, 0, nbytes, mode)
    map_.filename = filename
    map_.mode = mode
    map_.offset = offset
    map_.origin = origin
    made = np.ndarray.__new__(
        subtype, shape, dtype, buffer=map_, offset=place, strides=strides
    )
    made._mmap = map_
    if mode == "r":
        made.flags.writeable = False
    return made


class _Counted:
    """What `sys.getrefcount` says in a method that is called of the only name of a value."""

    def close(self) -> int:
        return sys.getrefcount(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        global _EXIT_REFERENCES
        _EXIT_REFERENCES = sys.getrefcount(self)


def _count() -> tuple[int, int]:
    with _Counted() as counted:
        pass
    return counted.close(), _EXIT_REFERENCES


_EXIT_REFERENCES = 0
_CLOSE_REFERENCES, _EXIT_REFERENCES = _count()
#: Of a map with one array: that array's base and its `_mmap`, the name, and the argument.
_MAP_REFERENCES = 4
