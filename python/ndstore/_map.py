"""`Map`: a real `mmap.mmap`, which knows the file that it is of."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

_PAGE = mmap.ALLOCATIONGRANULARITY
_ACCESS = {
    "r": mmap.ACCESS_READ,
    "r+": mmap.ACCESS_WRITE,
    "w+": mmap.ACCESS_WRITE,
    "c": mmap.ACCESS_COPY,
}


@dataclass(frozen=True, slots=True)
class Origin:
    """How another process opens the same array."""

    path: str
    #: What the crate calls the opener, or `None` of a file without a name.
    how: str | None
    #: `None` of a file with a header.
    raw: bool
    inode: int


class Map(mmap.mmap):
    """A map of part of a file. The descriptor that it has keeps the claims on the file."""

    filename: str | Path | None
    mode: str
    #: Of the first element in the file.
    offset: int
    origin: Origin | None
    #: Keeps what an empty map has none of: the claims.
    descriptor: Descriptor | None

    @classmethod
    def of(cls, fd: int, offset: int, nbytes: int, mode: str) -> tuple[Self, int]:
        """Maps ``nbytes`` behind ``offset`` and closes ``fd``. Says where in the map they start."""
        try:
            if nbytes == 0:
                # There is nothing to be mapped, and the claims have to be somewhere.
                made = cls(-1, 1)
                made.descriptor = Descriptor(os.dup(fd))
                return made, 0
            start = offset - offset % _PAGE
            length = offset - start + nbytes
            made = cls(fd, length, access=_ACCESS[mode], offset=start)
            made.descriptor = None
            return made, offset - start
        finally:
            os.close(fd)

    def address(self) -> int:
        """Where the map starts in memory."""
        one = np.ndarray((1,), np.uint8, buffer=self)
        return int(one.__array_interface__["data"][0])

    def has_changes(self) -> bool:
        """Whether a private map has pages that its file has not."""
        return _private_kilobytes(self.address()) != 0


class Descriptor:
    """An open file that is closed with this."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __del__(self) -> None:
        os.close(self._fd)


def _private_kilobytes(address: int) -> int | None:
    """How much of the map at this address the process has to itself; `None` if nobody tells."""
    try:
        with open("/proc/self/smaps", "rb") as smaps:
            found: int | None = None
            for line in smaps:
                key, _, rest = line.partition(b" ")
                if b"-" in key and not key.endswith(b":"):
                    if found is not None:
                        return found
                    start, _, end = key.partition(b"-")
                    if int(start, 16) <= address < int(end, 16):
                        found = 0
                elif found is not None and key in (b"Anonymous:", b"Swap:"):
                    found += int(rest.split()[0])
            return found
    except (OSError, ValueError):
        return None


def settings(timeout: float | None, lock: bool = True, **more: Any) -> dict[str, Any]:
    """What the module wants to know of a file; ``timeout`` of `None` waits for ever."""
    if timeout is not None and not timeout >= 0:
        raise ValueError("timeout must be a number of seconds from 0 on, or None to wait for ever")
    return {"timeout": -1.0 if timeout is None else float(timeout), "lock": lock, **more}


def path_of(file: Any) -> str:
    """The path that somebody gave who might have given an open file instead."""
    path: str = os.fspath(file)
    return path
