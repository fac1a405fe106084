"""`Store`: an array in a file that is open with claims of its own: to grow it, follow it, check it."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Literal, Self, SupportsIndex, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from . import _ndstore
from ._dtypes import bytes_of, descr_of, dtype_of, shape_of
from ._map import Map, settings
from ._memmap import _mapped, memmap

_Path: TypeAlias = str | os.PathLike[str]

#: What the crate calls the modes, alone and for some rows.
_HOW = {"r": "read", "r+": "alone", "c": "read", "a": "append"}
_HOW_ROWS = {"r": "read", "r+": "rows", "c": "read"}


class Verification:
    """What `Store.verify` found."""

    def __init__(
        self,
        header: bool,
        damage: list[tuple[tuple[int, int], tuple[int, int]]],
        uncovered: tuple[int, int],
    ) -> None:
        #: Whether the header is damaged.
        self.header = header
        #: The damaged parts of the file: the bytes, and the rows that have some of them.
        self.damage = [(slice(*bytes_), slice(*rows)) for bytes_, rows in damage]
        #: The rows that came after the checksums.
        self.uncovered = slice(*uncovered)

    def __bool__(self) -> bool:
        return not self.header and not self.damage

    def __repr__(self) -> str:
        rows = [f"{rows.start}:{rows.stop}" for _, rows in self.damage]
        return f"<Verification: {'intact' if self else 'damaged, rows ' + ', '.join(rows)}>"


class Store:
    """An array in a file, open with claims of its own. `ndstore.open` and `ndstore.create` make one.

    Examples
    --------
    >>> import numpy as np, ndstore as nd
    >>> with nd.create("log.npy", "<f8", (0, 2)) as log:
    ...     log.append([[1, 2], [3, 4]])
    ...     log.push([5, 6])
    ...     log.shape
    (3, 2)
    >>> np.load("log.npy")
    array([[1., 2.],
           [3., 4.],
           [5., 6.]])
    """

    def __init__(self, file: _ndstore.File, mode: str, how: str) -> None:
        self._file = file
        self._mode = mode
        self._how = how
        self._array: memmap | None = None
        self._maps: list[weakref.ref[Map]] = []
        self._described()
        self._open = True

    def _described(self) -> None:
        descr, shape, fortran, offset, path = self._file.describe()
        self._dtype = dtype_of(descr)
        self._shape = tuple(shape)
        self._fortran = fortran
        self._offset = offset
        self._path = os.fspath(path)

    @property
    def path(self) -> str:
        """The absolute path."""
        return self._path

    @property
    def mode(self) -> str:
        """The mode: ``r``, ``r+``, ``c`` or ``a``."""
        return self._mode

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self._shape, dtype=object))

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.size * self._dtype.itemsize

    @property
    def order(self) -> Literal["C", "F"]:
        """The order of the elements in the file."""
        return "F" if self._fortran else "C"

    @property
    def offset(self) -> int:
        """Where the elements start in the file."""
        return self._offset

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return not self._open

    @property
    def array(self) -> memmap:
        """The array, mapped: the newest view of it.

        When the array grows the next `array` has the new rows. Arrays that were taken before
        keep what they show.
        """
        if self._array is None or self._array.shape != self._shape:
            self._check_open()
            mode = {"r": "r", "r+": "r+", "c": "c", "a": "r"}[self._mode]
            how = "read" if self._mode == "a" else self._how
            fd = self._file.lend()
            made: memmap = _mapped(
                memmap, self._file, self._dtype, mode, self._path, how, raw=False, fd=fd
            )
            self._array = made
            self._maps = [ref for ref in self._maps if ref() is not None]
            self._maps.append(weakref.ref(cast(Map, made._mmap)))
            return made
        return self._array

    def _check_open(self) -> None:
        if not self._open:
            raise ValueError(f"{self._path!r} is closed")

    def _arrays(self) -> int:
        """How many arrays of this file are alive that the store did not keep for itself."""
        self._array = None
        alive = 0
        for ref in self._maps:
            found = ref()
            if found is not None:
                # Each array has it as `_mmap`, the first as its base, too; then `found` and the argument.
                alive += max(1, sys.getrefcount(found) - 3)
            del found
        return alive

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Any:
        return np.array(self.array, dtype=dtype, copy=copy)

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __setitem__(self, index: Any, value: npt.ArrayLike) -> None:
        self.array[index] = value

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of unsized object")
        return self._shape[0]

    def _converted(self, rows: npt.ArrayLike) -> npt.NDArray[Any]:
        array = np.asanyarray(rows)
        if array.dtype == self._dtype:
            return array
        return array.astype(self._dtype, casting="same_kind", copy=False)

    def _rows(self, rows: npt.ArrayLike) -> tuple[int, Any]:
        """How many rows these are, and their bytes."""
        array, rest = self._converted(rows), self._row_shape()
        found = array.shape[:-1] if self._fortran else array.shape[1:]
        if array.ndim != len(self._shape) or found != rest:
            raise ValueError(f"expected rows of shape {rest}, found an array of {array.shape}")
        return array.shape[-1 if self._fortran else 0], bytes_of(array, self._fortran)

    def _row(self, row: npt.ArrayLike) -> bytes:
        """The bytes of one row."""
        array, shape = self._converted(row), self._row_shape()
        if array.shape != shape:
            raise ValueError(f"expected a row of shape {shape}, found {array.shape}")
        return array.tobytes(self.order)

    def _row_shape(self) -> tuple[int, ...]:
        if not self._shape:
            raise ValueError("a 0-d array has no axis to grow along")
        return self._shape[:-1] if self._fortran else self._shape[1:]

    def append(self, rows: npt.ArrayLike) -> None:
        """Appends rows along the slowest axis, the first in C order and the last in Fortran order.

        They are durable when this returns; a crash leaves the old array or the whole new one.
        Others that have the file open see all of them or none.

        Parameters
        ----------
        rows : array_like
            An array of the same rank. It is converted as long as its kind stays the same.
        """
        count, bytes_ = self._rows(rows)
        self._file.append(count, bytes_)
        self._described()

    def push(self, row: npt.ArrayLike) -> None:
        """Appends one row: an array that lacks the slowest axis. See `append`."""
        self._file.append(1, self._row(row))
        self._described()

    def appender(self) -> Appender:
        """Gathers rows and makes them durable together: what a logger needs."""
        return Appender(self)

    def truncate(self, rows: int) -> None:
        """Keeps the first rows and cuts the file behind them, in place.

        Raises
        ------
        BufferError
            Arrays of it are alive, and would show what the file has no more.
        """
        self._check_no_arrays("truncate")
        self._file.truncate(rows)
        self._described()

    def resize(self, shape: SupportsIndex | Iterable[SupportsIndex]) -> None:
        """Gives the array another shape of the same rank: elements keep their index, new ones are zero.

        The file is written anew and takes the name. Arrays that were taken before show, and
        write to, the old one.
        """
        self._file.resize(shape_of(shape))
        self._array = None
        self._described()

    def refresh(self) -> int:
        """Looks for rows that somebody appended, and says how many there are."""
        added = self._file.refresh()
        self._described()
        return added

    def flush(self) -> None:
        """Waits until every change is on the disk."""
        self._file.flush()

    def write_checksums(self) -> None:
        """Writes checksums of the array to a file beside it, for `verify`."""
        self._file.write_checksums()

    def verify(self) -> Verification:
        """Compares the array with its checksums. True if it is what it was."""
        return Verification(*self._file.verify())

    def _check_no_arrays(self, what: str) -> None:
        alive = self._arrays()
        if alive:
            raise BufferError(
                f"cannot {what} {self._path!r}: {alive} arrays of it are alive; let go of them "
                "first (`del`)"
            )

    def close(self) -> None:
        """Flushes, closes, and gives up the claims on the file.

        Raises
        ------
        BufferError
            Arrays of it are alive. The store is closed all the same, and the claims go with the
            last of them.
        """
        if not self._open:
            return
        self._open = False
        try:
            if self._mode in ("r+", "a"):
                self._file.flush()
        finally:
            self._file.close()
        self._check_no_arrays("let go of")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "" if self._open else ", closed"
        return f"<ndstore.Store {self._path!r} {self._mode} {self._dtype} {self._shape}{state}>"


class Appender:
    """Gathers rows for a store. They are part of the array, and durable, after `flush`.

    Examples
    --------
    >>> import ndstore as nd
    >>> with nd.create("steps.npy", "<f8", (0, 3)) as log, log.appender() as rows:
    ...     for step in range(1000):
    ...         rows.push((step, 0.5, 1.5))
    >>> nd.info("steps.npy").shape
    (1000, 3)
    """

    #: How many bytes are gathered before they are written.
    _GATHER = 1 << 20

    def __init__(self, store: Store) -> None:
        self._store = store
        self._buffer = bytearray()
        self._gathered = 0
        self._staged = 0
        store._file.start_appending()

    def push(self, row: npt.ArrayLike) -> None:
        """Adds one row."""
        self._add(1, self._store._row(row))

    def append(self, rows: npt.ArrayLike) -> None:
        """Adds rows."""
        self._add(*self._store._rows(rows))

    def _add(self, rows: int, bytes_: Any) -> None:
        self._buffer += memoryview(bytes_)
        self._gathered += rows
        if len(self._buffer) >= self._GATHER:
            self._write()

    def _write(self) -> None:
        rows, buffer = self._gathered, self._buffer
        self._gathered, self._buffer = 0, bytearray()
        try:
            self._store._file.stage(rows, buffer)
        except BaseException:
            # None of those that were written before are there any more.
            self._staged = 0
            raise
        self._staged += rows

    def flush(self) -> None:
        """Makes the rows part of the array and waits until they are on the disk."""
        if self._gathered:
            self._write()
        if self._staged:
            rows, self._staged = self._staged, 0
            self._store._file.publish(rows)
            self._store._described()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What came before an error is as good as what came before a crash.
        self.flush()


def open(  # noqa: A001 (as `gzip.open`)
    path: _Path,
    mode: Literal["r", "r+", "c", "a"] = "r",
    rows: tuple[int, int] | slice | range | None = None,
    *,
    timeout: float | None = 0,
    lock: bool = True,
    max_header_size: int = 10_000,
    raw: int | None = None,
    dtype: npt.DTypeLike | None = None,
    shape: SupportsIndex | Iterable[SupportsIndex] | None = None,
    order: Literal["C", "F"] | None = None,
    allow_trailing: bool = False,
) -> Store:
    """Opens an array in a file, with claims: what it shows stays as it is.

    Parameters
    ----------
    path : str or path
        The file.
    mode : {'r', 'r+', 'c', 'a'}, optional
        ``r`` reads beside other readers and an appender; ``r+`` reads and writes alone, and
        may grow, cut and resize; ``c`` keeps changes in memory; ``a`` appends beside readers.
    rows : slice, range or pair of int, optional
        With ``r`` or ``r+`` these rows alone, beside others that have other rows.
    timeout : float or None, optional
        Seconds to wait for a lock that somebody has. `None` waits for ever.
    lock : bool, optional
        False takes no lock and heeds none.
    max_header_size : int, optional
        How many characters the header may have.
    raw : int, optional
        The offset of the elements in a file without a header, of this ``dtype``, ``shape`` and
        ``order``.
    allow_trailing : bool, optional
        Whether something else may follow the array in such a file.

    Returns
    -------
    Store

    Raises
    ------
    LockedError
        A ``BlockingIOError``: somebody else has it. The message says who.
    NotFoundError, DeniedError, TruncatedError, InvalidError
        A ``FileNotFoundError``, ``PermissionError`` or ``ValueError``.

    Examples
    --------
    >>> import numpy as np, ndstore as nd
    >>> nd.save("table.npy", np.arange(6.0).reshape(3, 2))
    >>> with nd.open("table.npy", "r+") as table:
    ...     table[0] = 9
    >>> with nd.open("table.npy") as table:
    ...     print(table[:, 1])
    [9. 3. 5.]
    """
    if mode not in _HOW:
        raise ValueError(f"mode must be one of 'r', 'r+', 'c' or 'a' (got {mode!r})")
    more: dict[str, Any] = {"max_header_size": max_header_size, "allow_trailing": allow_trailing}
    if raw is not None:
        more["raw"] = raw
    if dtype is not None:
        more["dtype"] = descr_of(np.dtype(dtype))
    if shape is not None:
        more["shape"] = shape_of(shape)
    if order is not None:
        more["fortran"] = order == "F"
    how = _HOW[mode]
    part = None
    if rows is not None:
        if mode not in _HOW_ROWS:
            raise ValueError("rows can be read or written, mode 'r', 'r+' or 'c', and not appended")
        how = _HOW_ROWS[mode]
        part = _pair(rows)
    file = _ndstore.open(os.fspath(path), how, settings(timeout, lock, **more), part)
    return Store(file, mode, how)


def _pair(rows: tuple[int, int] | slice | range) -> tuple[int, int]:
    if isinstance(rows, tuple):
        start, stop = rows
        return start, stop
    if rows.step not in (None, 1) or rows.stop is None:
        raise ValueError("rows must follow each other, and say where they end")
    return rows.start or 0, rows.stop


def create(
    path: _Path,
    dtype: npt.DTypeLike,
    shape: SupportsIndex | Iterable[SupportsIndex],
    *,
    order: Literal["C", "F"] = "C",
    new: bool = False,
    timeout: float | None = 0,
    lock: bool = True,
    compact: bool = False,
    sparse: bool = False,
    raw: int | None = None,
) -> Store:
    """Makes a file of zeros, and opens it alone. It takes the name whole and durable, or not at all.

    Parameters
    ----------
    path : str or path
        The file. An old one is replaced, unless somebody has it open.
    dtype : dtype
        The type of the elements.
    shape : int or sequence of ints
        The length of each axis.
    order : {'C', 'F'}, optional
        The order of the elements.
    new : bool, optional
        True refuses to replace an old file.
    timeout, lock
        As for `ndstore.open`.
    compact : bool, optional
        True writes the short header of `numpy.save`. Then data do not start on a page.
    sparse : bool, optional
        True leaves holes, so that a full disk is found out later.
    raw : int, optional
        The offset of the elements in a file without a header.

    Returns
    -------
    Store

    Raises
    ------
    NoSpaceError
        An ``OSError`` of ``ENOSPC``: there is no room for all elements. Nothing was touched.

    Examples
    --------
    >>> import ndstore as nd
    >>> with nd.create("frames.npy", "<u2", (0, 480, 640)) as frames:
    ...     frames
    <ndstore.Store '.../frames.npy' r+ uint16 (0, 480, 640)>
    """
    more: dict[str, Any] = {"compact": compact, "sparse": sparse, "fortran": order == "F"}
    if raw is not None:
        more["raw"] = raw
    kind, lengths = np.dtype(dtype), shape_of(shape)
    how = settings(timeout, lock, **more)
    file = _ndstore.create(os.fspath(path), descr_of(kind), lengths, new, how)
    return Store(file, "r+", "alone")


def follow(
    path: _Path, *, start: int | None = None, timeout: float | None = None
) -> Iterator[npt.NDArray[Any]]:
    """The rows that somebody appends to a file, as they are published, until nobody appends any more.

    Parameters
    ----------
    path : str or path
        The file.
    start : int, optional
        The first row to be given. Those that come from now on unless told otherwise.
    timeout : float, optional
        Seconds to wait for rows before this ends by `TimeoutError`. For ever unless told
        otherwise.

    Yields
    ------
    array
        Some rows: copies, whole and durable.

    Examples
    --------
    >>> import ndstore as nd
    >>> nd.create("events.npy", "<i8", (0,)).close()
    >>> with nd.open("events.npy", "a") as log:
    ...     rows = nd.follow("events.npy", start=0, timeout=5)
    ...     log.append([1, 2, 3])
    ...     next(rows)
    array([1, 2, 3])
    """
    file = _ndstore.open(os.fspath(path), "watch", settings(0))
    descr, shape, fortran, _, _ = file.describe()
    dtype = dtype_of(descr)
    rest = tuple(shape[:-1] if fortran else shape[1:])
    size = int(np.prod(rest, dtype=object))
    row = dtype.itemsize * size
    at = (shape[-1] if fortran else shape[0]) if start is None else start
    return _followed(_ndstore.Follow(file), at, timeout, dtype, rest, row, fortran)


def _followed(
    news: _ndstore.Follow,
    at: int,
    timeout: float | None,
    dtype: np.dtype[Any],
    rest: tuple[int, ...],
    row: int,
    fortran: bool,
) -> Iterator[npt.NDArray[Any]]:
    while True:
        what, begin, end = news.wait(at, timeout)
        if what == "ended":
            return
        if what == "nothing":
            raise TimeoutError(f"no rows within {timeout} seconds")
        bytes_ = bytearray(news.read(begin * row, (end - begin) * row))
        count = end - begin
        shape = (*rest, count) if fortran else (count, *rest)
        yield np.ndarray(shape, dtype, buffer=bytes_, order="F" if fortran else "C")
        at = end
