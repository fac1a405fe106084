"""`NpzFile`: the arrays of an archive, mapped where they lie."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from . import _ndstore
from ._dtypes import dtype_of
from ._map import settings
from ._memmap import _MODES, _mapped, memmap


class NpzFile(Mapping[str, memmap]):
    """The arrays of an npz, each mapped when it is asked for.

    They keep their claims on the archive after it is closed.
    """

    def __init__(
        self, file: str | os.PathLike[str], mmap_mode: str = "r", max_header_size: int = 10_000
    ) -> None:
        self._mode = _MODES.get(mmap_mode, mmap_mode)
        if self._mode not in ("r", "c"):
            raise ValueError(
                f"an archive is mapped to be read: mmap_mode must be 'r' or 'c' (got {mmap_mode!r})"
            )
        self._path = os.path.abspath(os.fspath(file))
        how = settings(0, max_header_size=max_header_size)
        self._npz: _ndstore.Npz | None = _ndstore.Npz(self._path, how)
        #: The names of the arrays.
        self.files: list[str] = self._npz.names()

    def __getitem__(self, name: str) -> memmap:
        if self._npz is None:
            raise ValueError(f"{self._path!r} is closed")
        if name not in self.files and name.removesuffix(".npy") in self.files:
            name = name.removesuffix(".npy")
        file = self._npz.member(name)
        dtype = dtype_of(file.describe()[0])
        found: memmap = _mapped(memmap, file, dtype, self._mode, self._path, "read", raw=False)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __contains__(self, name: object) -> bool:
        return name in self.files or (isinstance(name, str) and f"{name}".removesuffix(".npy") in self.files)

    def close(self) -> None:
        """Closes the archive. Arrays that it gave stay."""
        self._npz = None

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
        return f"NpzFile {self._path!r} with keys: {', '.join(self.files)}"


