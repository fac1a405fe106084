"""What NumPy, Dask and npy-append-array do: one job of `compare` in a process of its own.

    rivals.py SIDE JOB ARGUMENT FORMAT SHAPE PATH NEW

It prints how many seconds the job took, from opening its files to closing them, and a number that stands for its result.
"""

import os
import sys
import time

import numpy as np
from numpy.lib.format import open_memmap

side, job, argument, _format, _shape, path, new = sys.argv[1:]
if side == "Dask":
    import dask.array as da
if side.startswith("npy-append-array"):
    from npy_append_array import NpyAppendArray

PIECE = 8 << 20
"""The bytes that are worked on at a time where a whole array would not fit into memory."""


def mapped():
    return np.load(path, mmap_mode="r")


def pieces(*arrays):
    """Parts of arrays of one shape and order, along their slowest axis."""
    if arrays[0].flags.f_contiguous:
        arrays = [array.T for array in arrays]
    rows = max(PIECE // (arrays[0].nbytes // len(arrays[0])), 1)
    for start in range(0, len(arrays[0]), rows):
        yield [array[start : start + rows] for array in arrays]


def chunked(array):
    """Dask's array over a map, in chunks of its own choice, computed by its threads."""
    return da.from_array(array, name=False)


def create(shape, dtype, fortran=False):
    return open_memmap(new, mode="w+", dtype=dtype, shape=shape, fortran_order=fortran)


def reduced(job):
    if side == "Dask":
        return lambda: job(chunked(mapped())).compute(scheduler="threads")
    return lambda: job(mapped())


def rewritten(dtype, job):
    """A new file of the same shape and order, with what `job` makes of the elements."""

    def run():
        old = mapped()
        to = create(old.shape, dtype or old.dtype.newbyteorder("="), old.flags.f_contiguous)
        if side == "Dask":
            da.store(job(chunked(old)).astype(to.dtype), to, scheduler="threads", lock=False)
        else:
            for elements, into in pieces(old, to):
                into[...] = job(elements)
        to.flush()

    return run


def moved(move, fortran=False):
    def run():
        old = mapped()
        view = move(old)
        to = create(view.shape, old.dtype, fortran)
        if side == "Dask":
            da.store(move(chunked(old)), to, scheduler="threads", lock=False)
        else:
            to[...] = view
        to.flush()

    return run


def blocks():
    return sum(float(part.sum()) for (part,) in pieces(mapped()))


def gathered():
    calls = np.split(np.load(os.path.splitext(path)[0] + ".rows.npy"), int(argument))

    def run():
        array = mapped()
        for rows in calls:
            if side == "NumPy, sorted":
                order = np.argsort(rows)
                found = np.empty((len(rows), *array.shape[1:]), array.dtype)
                found[order] = array[rows[order]]
            else:
                found = array[rows]
        return found

    return run


def fill():
    size, piece = int(argument), np.arange(1 << 17, dtype="<f8")
    to = create((size,), "<f8")
    for start in range(0, size, piece.size):
        part = to[start : start + piece.size]
        part[:] = piece[: part.size]
    to.flush()


FEWER = 16
"""How many times fewer rows npy-append-array appends: it rewrites the header with each."""


def append():
    row = np.arange(128, dtype="<f8").reshape(1, -1)
    with NpyAppendArray(new) as array:
        for _ in range(max(int(argument) // FEWER, 1)):
            array.append(row)
    file = os.open(new, os.O_RDONLY)
    os.fdatasync(file)
    os.close(file)


JOBS = {
    "max": lambda: reduced(lambda array: array.max()),
    "sum": lambda: reduced(lambda array: array.sum()),
    "mean_axis": lambda: reduced(lambda array: array.mean(axis=int(argument))),
    "blocks": lambda: blocks,
    "map": lambda: rewritten(None, lambda elements: elements * 2 + 1),
    "astype": lambda: rewritten(argument, lambda elements: elements.astype(argument)),
    "permute": lambda: moved(lambda array: array.transpose([int(axis) for axis in argument.split(",")])),
    "to_order": lambda: moved(lambda array: array, fortran=True),
    "gather": gathered,
    "fill": lambda: fill,
    "fill in place": lambda: fill,
    "append": lambda: append,
}

run = JOBS[job]()
begun = time.perf_counter()
result = run()
taken = time.perf_counter() - begun
if job == "append":
    taken *= FEWER
if result is None:
    digest = float("nan")
elif np.ndim(result) == 0:
    digest = float(result)
else:
    elements = np.asarray(result, dtype="f8").ravel()
    digest = float((elements * (np.arange(elements.size) % 97 + 1)).sum())
print("took", taken, digest)
