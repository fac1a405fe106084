"""Arrays in files: what `numpy.memmap` is, made safe, durable, growable and shared.

Change one import, and the array is locked and crash-safe:

>>> import ndstore as nd
>>> stack = nd.open_memmap("stack.npy", "w+", dtype="<f4", shape=(100, 32, 32))
>>> stack[7] = 1
>>> stack.close()

`open`, `create` and the `Store` that they return do what NumPy has no word for: append, follow,
resize, wait for a lock, verify.
"""

from ._dropin import load, open_memmap, save, savez
from ._errors import (
    BoundsError,
    DeniedError,
    DTypeError,
    Error,
    ExistsError,
    FaultedError,
    ForkedError,
    InvalidError,
    LockedError,
    MovedError,
    NoSpaceError,
    NotFoundError,
    OutOfMemoryError,
    PoisonedError,
    TruncatedError,
    UnsupportedError,
)
from ._info import Info, info
from ._memmap import memmap
from ._npz import NpzFile
from ._store import Appender, Store, Verification, create, follow, open

__all__ = [
    "Appender",
    "BoundsError",
    "DTypeError",
    "DeniedError",
    "Error",
    "ExistsError",
    "FaultedError",
    "ForkedError",
    "Info",
    "InvalidError",
    "LockedError",
    "MovedError",
    "NoSpaceError",
    "NotFoundError",
    "NpzFile",
    "OutOfMemoryError",
    "PoisonedError",
    "Store",
    "TruncatedError",
    "UnsupportedError",
    "Verification",
    "create",
    "follow",
    "info",
    "load",
    "memmap",
    "open",
    "open_memmap",
    "save",
    "savez",
]
