"""`open_memmap`, `load`, `save` and `savez`: NumPy's functions, with claims, and without loss."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Literal, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _ndstore
from ._dtypes import bytes_of, descr_of, dtype_of, shape_of
from ._errors import Error
from ._map import path_of, settings
from ._memmap import _HOW, _MODES, _VALID, _mapped, memmap
from ._npz import NpzFile

_Path: TypeAlias = str | os.PathLike[str]

#: The longest header that a file is made with. NumPy reads it if it is told `max_header_size`.
_ANY_HEADER = 1 << 30


def open_memmap(
    filename: _Path,
    mode: str = "r+",
    dtype: npt.DTypeLike | None = None,
    shape: SupportsIndex | Iterable[SupportsIndex] | None = None,
    fortran_order: bool = False,
    version: tuple[int, int] | None = None,
    *,
    max_header_size: int = 10_000,
) -> memmap:
    """Opens or makes an NPY file as an array, as `numpy.lib.format.open_memmap` does.

    Every mode takes the file's lock beside others that do so. ``w+`` makes a whole new file,
    byte for byte the one of NumPy, and gives it the name: before that nothing is touched.

    Parameters
    ----------
    filename : str or path
        The file.
    mode : {'r+', 'r', 'w+', 'c'}, optional
        As NumPy's. ``r+`` never makes a file longer that was cut.
    dtype : dtype, optional
        Of a new file; `float64` unless told otherwise.
    shape : tuple of int
        Of a new file.
    fortran_order : bool, optional
        Whether a new file is in Fortran order.
    version : tuple of int, optional
        The version of the format that a new file must fit. It has the lowest that it can have.
    max_header_size : int, optional
        How many characters the header may have.

    Returns
    -------
    memmap

    Examples
    --------
    >>> import ndstore as nd
    >>> stack = nd.open_memmap("stack.npy", "w+", dtype="<u2", shape=(10, 4, 4))
    >>> stack[3] = 7
    >>> nd.open_memmap("stack.npy", "r")[3, 0]
    memmap([7, 7, 7, 7], dtype=uint16)
    """
    if hasattr(filename, "read"):
        raise ValueError("Filename must be a string or a path. A file object has no header to find.")
    mode = _MODES.get(mode, mode)
    if mode not in _VALID:
        raise ValueError(f"mode must be one of {_VALID + list(_MODES)!r} (got {mode!r})")
    path = os.fspath(filename)
    name = Path(filename).resolve() if isinstance(filename, os.PathLike) else os.path.abspath(path)
    if mode == "w+":
        kind = np.dtype(dtype)
        descr = descr_of(kind)
        if shape is None:
            raise TypeError("shape must be given if mode == 'w+'")
        lengths = shape_of(shape)
        _check_version(version, descr, bool(fortran_order), lengths)
        how = settings(
            0, fortran=bool(fortran_order), compact=True, sparse=True, max_header_size=_ANY_HEADER
        )
        file = _ndstore.create(path, descr, lengths, False, how).share()
        mode = "r+"
    else:
        file = _ndstore.open(path, _HOW[mode], settings(0, max_header_size=max_header_size))
        kind = dtype_of(file.describe()[0])
    found: memmap = _mapped(memmap, file, kind, mode, name, _HOW[mode], raw=False)
    return found


def _check_version(
    version: tuple[int, int] | None, descr: str, fortran: bool, shape: tuple[int, ...]
) -> None:
    """Refuses a version that does not hold the header, and warns of one that old readers lack."""
    if version not in ((1, 0), (2, 0), (3, 0), None):
        raise ValueError(f"we only support format version (1,0), (2,0), and (3,0), not {version}")
    shown = descr if descr.startswith("[") else repr(descr)
    text = f"{{'descr': {shown}, 'fortran_order': {fortran}, 'shape': {shape!r}, }}"
    room = 0
    if shape:
        room = 21 - len(repr(shape[-1 if fortran else 0]))
    length = len(text) + room + 1
    length += 64 - (10 + length) % 64
    needed = (1, 0) if length <= 0xFFFF else (2, 0)
    if not _is_latin(text):
        needed = (3, 0)
    if version is None:
        if needed == (2, 0):
            warnings.warn(
                "Stored array in format 2.0. It can only be read by NumPy >= 1.9",
                UserWarning,
                stacklevel=3,
            )
        elif needed == (3, 0):
            warnings.warn(
                "Stored array in format 3.0. It can only be read by NumPy >= 1.17",
                UserWarning,
                stacklevel=3,
            )
    elif version < needed:
        raise ValueError(f"Header length {length} too big for version={version}")


def _is_latin(text: str) -> bool:
    try:
        text.encode("latin1")
    except UnicodeEncodeError:
        return False
    return True


def load(
    file: _Path | IO[bytes],
    mmap_mode: Literal["r+", "r", "w+", "c"] | None = None,
    allow_pickle: bool = False,
    fix_imports: bool = True,
    encoding: str = "ASCII",
    *,
    max_header_size: int = 10_000,
) -> Any:
    """Reads or maps an NPY or npz file, as `numpy.load` does.

    With a ``mmap_mode`` the arrays of an npz are mapped as well, where NumPy reads them into
    memory without a word; a compressed one is an error.

    Parameters
    ----------
    file : str, path or file object
        The file.
    mmap_mode : {None, 'r', 'r+', 'c'}, optional
        How to map it, or `None` to read it into memory. ``w+`` is an error: it would make a
        new file of what is to be loaded.
    allow_pickle, fix_imports, encoding, max_header_size
        As NumPy's.

    Returns
    -------
    array, or a mapping of names to arrays for an npz

    Examples
    --------
    >>> import numpy as np, ndstore as nd
    >>> nd.savez("both.npz", x=np.arange(3), y=np.eye(2))
    >>> both = nd.load("both.npz", mmap_mode="r")
    >>> both["x"]
    memmap([0, 1, 2])
    """
    if mmap_mode is not None and _MODES.get(mmap_mode, mmap_mode) == "w+":
        raise ValueError("mode 'w+' makes a new file: use `nd.open_memmap` with a dtype and a shape")
    if mmap_mode is not None and not hasattr(file, "read"):
        path: Any = file
        if _is_archive(path):
            return NpzFile(path, mmap_mode, max_header_size)
        limit = _ANY_HEADER if allow_pickle else max_header_size
        return open_memmap(path, mmap_mode, max_header_size=limit)
    claim = None if hasattr(file, "read") else _claim(file)
    try:
        return np.load(
            file,
            mmap_mode=mmap_mode,
            allow_pickle=allow_pickle,
            fix_imports=fix_imports,
            encoding=encoding,  # type: ignore[arg-type]
            max_header_size=max_header_size,
        )
    finally:
        if claim is not None:
            claim.close()


def _is_archive(path: _Path) -> bool:
    with open(path, "rb") as opened:
        return opened.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _claim(path: Any) -> _ndstore.File | None:
    """Keeps those out who would change the file while it is read. What is no NPY has no claims."""
    try:
        return _ndstore.open(os.fspath(path), "watch", settings(0, max_header_size=_ANY_HEADER))
    except BlockingIOError:
        raise
    except (Error, OSError):
        return None


def save(file: _Path | IO[bytes], arr: npt.ArrayLike, allow_pickle: bool = True) -> None:
    """Writes an array to an NPY file, byte for byte as `numpy.save` does: whole and durable, or not at all.

    Parameters
    ----------
    file : str, path or file object
        The file; ``.npy`` is added to a name that lacks it. A file object, and an array of
        Python objects, is left to NumPy.
    arr : array_like
        The array.
    allow_pickle : bool, optional
        Whether Python objects may be pickled.

    Examples
    --------
    >>> import numpy as np, ndstore as nd
    >>> nd.save("squares.npy", np.arange(4) ** 2)
    >>> np.load("squares.npy")
    array([0, 1, 4, 9])
    """
    array = np.asanyarray(arr)
    if hasattr(file, "write") or array.dtype.hasobject:
        np.save(file, array, allow_pickle=allow_pickle)
        return
    path = path_of(file)
    if not path.endswith(".npy"):
        path += ".npy"
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    descr = descr_of(array.dtype)
    _check_version(None, descr, fortran, array.shape)
    how = settings(0, fortran=fortran, compact=True, max_header_size=_ANY_HEADER)
    _ndstore.create_from(path, descr, array.shape, bytes_of(array, fortran), how).close()


def savez(
    file: _Path | IO[bytes], *args: npt.ArrayLike, allow_pickle: bool = True, **kwds: npt.ArrayLike
) -> None:
    """Writes arrays to an npz, as `numpy.savez` does, so that each of them can be mapped.

    Elements start at a multiple of 64 bytes. The archive appears whole under its name.

    Parameters
    ----------
    file : str, path or file object
        The archive; ``.npz`` is added to a name that lacks it. A file object, and arrays of
        Python objects, are left to NumPy.
    *args, **kwds
        The arrays, called ``arr_0`` and so on, or by name.
    allow_pickle : bool, optional
        Whether Python objects may be pickled.

    Examples
    --------
    >>> import numpy as np, ndstore as nd
    >>> nd.savez("pair.npz", np.zeros(2), b=np.ones(3))
    >>> sorted(np.load("pair.npz"))
    ['arr_0', 'b']
    """
    arrays = {name: np.asanyarray(array) for name, array in kwds.items()}
    for index, array in enumerate(args):
        name = f"arr_{index}"
        if name in arrays:
            raise ValueError(f"Cannot use un-named variables and keyword {name}")
        arrays[name] = np.asanyarray(array)
    if hasattr(file, "write") or any(array.dtype.hasobject for array in arrays.values()):
        np.savez(file, allow_pickle=allow_pickle, **arrays)
        return
    path = path_of(file)
    if not path.endswith(".npz"):
        path += ".npz"
    writer = _ndstore.NpzWriter(path, settings(0))
    for name, array in arrays.items():
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        descr = descr_of(array.dtype)
        writer.add(name, descr, array.shape, fortran, bytes_of(array, fortran))
    writer.finish()


