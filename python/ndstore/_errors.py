"""The exceptions: each is an `Error`, and what Python people catch already."""

from __future__ import annotations

import errno
import os
import re

__all__ = [
    "BoundsError",
    "DTypeError",
    "DeniedError",
    "Error",
    "ExistsError",
    "FaultedError",
    "ForkedError",
    "InvalidError",
    "LockedError",
    "MovedError",
    "NoSpaceError",
    "NotFoundError",
    "OutOfMemoryError",
    "PoisonedError",
    "TruncatedError",
    "UnsupportedError",
]


class Error(Exception):
    """What went wrong with an array in a file, of which file, and the way out."""

    #: The words, which name the file.
    message: str

    def __str__(self) -> str:
        return getattr(self, "message", None) or super().__str__()

    def __reduce__(self) -> tuple[object, ...]:
        code = getattr(self, "errno", None)
        filename = getattr(self, "filename", None)
        return made, (type(self).__name__, code, self.message, filename)


class NotFoundError(Error, FileNotFoundError):
    """There is no such file, or it was removed while it was open."""


class ExistsError(Error, FileExistsError):
    """There is a file of that name already."""


class DeniedError(Error, PermissionError):
    """The system does not permit it."""


class NotADirectoryError(Error, NotADirectoryError):  # type: ignore[misc]
    """A part of the path is no directory."""


class NotAFileError(Error, IsADirectoryError):
    """It is a directory, or something else that is no regular file."""


class LockedError(Error, BlockingIOError):
    """Somebody else has the file, or those rows of it. ``timeout=`` waits."""


class NoSpaceError(Error, OSError):
    """The disk is full. Its ``errno`` is ``ENOSPC``, and the old file is as it was."""


class TooLargeError(Error, OSError):
    """No file may be so large."""


class SystemCallError(Error, OSError):
    """Any other failure that the system reported."""


class FaultedError(Error, OSError):
    """The file was cut under a guarded map, or its disk failed: what was read since is lost."""


class PoisonedError(Error, OSError):
    """An earlier write was lost, so nothing more is acknowledged."""


class MovedError(Error, OSError):
    """The path names another file now."""


class ForkedError(Error, RuntimeError):
    """A forked child has only a copy of what its parent opened."""


class InvalidError(Error, ValueError):
    """The file is not what was asked for, or the call makes no sense of it."""


class TruncatedError(Error, ValueError):
    """The file ends before its array does."""


class DTypeError(Error, ValueError, TypeError):
    """The file has elements of another type."""


class UnsupportedError(Error, NotImplementedError, OSError):
    """The system, or this file system, cannot do that."""


class NoMemberError(Error, KeyError):
    """There is no such array in the archive."""


class OutOfMemoryError(Error, MemoryError):
    """It takes more memory than there is, or than ``memory=`` allows."""


class BoundsError(Error, IndexError, ValueError):
    """There is no such element or row."""


class AxisError(Error, IndexError, ValueError):
    """There is no such axis."""


class SumOverflowError(Error, OverflowError):
    """An exact sum does not fit its type, where NumPy's would wrap around."""


#: The numbers of those whose class does not say them.
_NUMBERS = {
    "NotFoundError": errno.ENOENT,
    "ExistsError": errno.EEXIST,
    "DeniedError": errno.EACCES,
    "NotADirectoryError": errno.ENOTDIR,
    "NotAFileError": errno.EISDIR,
    "LockedError": errno.EWOULDBLOCK,
    "NoSpaceError": errno.ENOSPC,
    "TooLargeError": errno.EFBIG,
    "FaultedError": errno.EIO,
    "PoisonedError": errno.EIO,
    "MovedError": errno.ESTALE,
    "UnsupportedError": errno.ENOTSUP,
    "SystemCallError": errno.EIO,
}

#: The crate's messages name the way out in Rust's words.
_WORDS = (
    ("wait with `Options::lock`", "wait with `timeout=`"),
    ("wait for that with `Options::lock`", "wait for that with `timeout=`"),
    ("drop or close that store first", "close it first, and let go of its arrays"),
    ("close that store", "close it there"),
    ("`Options::no_lock`", "`lock=False`"),
    ("`Options::allow_trailing`", "`allow_trailing=True`"),
    ("`Options::drop_trailing`", "a copy of the array"),
    ("`Options::max_nbytes`", "`max_nbytes=`"),
    ("`Options::dtype`", "`dtype=`"),
    ("`Options::shape`", "`shape=`"),
    ("`Options::row_shape`", "`shape=`"),
    ("`Options::order`", "`order=`"),
    ("`OutOfCore::memory`", "`memory=`"),
    ("`OutOfCore::copy_region`", "`nd.save`"),
    ("`Store::create_from`", "`nd.save`"),
    ("`Store::create`", "`nd.create`"),
    ("`Store::open_append`", "`nd.open(path, 'a')`"),
    ("`Store::open_rows`", "`nd.open(path, 'r+', rows=...)`"),
    ("`Store::open_rw`", "`nd.open(path, 'r+')`"),
    ("`Store::open`", "`nd.open(path)`"),
    ("`Npz::names`", "`list` of the archive"),
    ("`Npz::read`", "`np.load`"),
    ("`Npz::unpack`", "`np.load`"),
    ("`OutOfCore::astype`", "`astype`"),
    ("`Mode::ReadWrite`", "`nd.open(path, 'r+')`"),
)

#: What the table lacks: a setting is an argument here, and a method has its name.
_SETTING = re.compile(r"`\w*Options::(\w+)`")
_METHOD = re.compile(r"`(?:\w+::)+(\w+)`")


def made(
    name: str, code: int | None, message: str, path: str | os.PathLike[str] | None
) -> Error:
    """The exception of a class of this module, with these words."""
    for rust, python in _WORDS:
        message = message.replace(rust, python)
    message = _METHOD.sub(r"`\1`", _SETTING.sub(r"`\1=`", message))
    kind: type[Error] = globals()[name]
    if issubclass(kind, OSError):
        number = code if code is not None else _NUMBERS.get(name, errno.EIO)
        # `OSError` picks a class by the number only if it is asked for itself.
        error: Error = kind(number, message)
        if path is not None:
            error.filename = os.fspath(path)  # type: ignore[attr-defined]
    else:
        error = kind(message)
    error.message = message
    return error
