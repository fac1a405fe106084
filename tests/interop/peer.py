"""NumPy's side of tests/interop/main.rs: `peer.py STEP MANIFEST`, one process for all files.

Each step goes through the files of the manifest and prints, as JSON, how many files and checks there were. A check that
fails ends the process with a traceback that names the file.

read    The crate wrote the files: load and map them in every way.
change  Move the samples of the files on by one, through a map of mode r+.
write   Write the files.
see     The crate moved the samples on to the third one: see it.
"""

import io
import json
import sys

import numpy as np

PAGE = 4096


def samples(entry, first):
    """The array whose elements are the samples in C order from `first` on: what main.rs computes, too."""
    dtype = np.dtype(entry["descr"])
    shape = tuple(entry["shape"])
    count = int(np.prod(shape, dtype=np.int64))
    index = np.arange(first, first + count)
    signed = np.where(index % 2 == 1, -(index + 1), index + 1)
    if dtype.kind == "b":
        values = index % 3 == 0
    elif dtype.kind == "u":
        values = index + 1
    elif dtype.kind == "i":
        values = signed
    elif dtype.kind == "f":
        values = signed / 4
    else:
        values = signed / 4 - 2j * (signed / 4)
    return np.asarray(values.astype(dtype).reshape(shape), order=entry["order"])


def same(array, expected, entry):
    """One check: type, shape, order and values are as expected."""
    assert array.dtype.str == entry["descr"], (entry, array.dtype)
    assert array.shape == tuple(entry["shape"]), (entry, array.shape)
    contiguous = array.flags.f_contiguous if entry["order"] == "F" else array.flags.c_contiguous
    assert contiguous, (entry, array.flags)
    assert array.tobytes() == expected.tobytes(), (entry, array)
    return 1


def mapped(entry, mode):
    """A map of the file's data that takes no notice of a header."""
    offset = entry["offset"] if "offset" in entry else PAGE
    return np.memmap(
        entry["path"], entry["descr"], mode, offset, tuple(entry["shape"]), entry["order"]
    )


def opened(entry, mode):
    """A map of the file, by its header if there is one."""
    if entry["writer"] == "raw":
        return mapped(entry, mode)
    return np.load(entry["path"], mmap_mode=mode)


def read(entry):
    expected = samples(entry, 0)
    before = open(entry["path"], "rb").read()
    checks = 0
    for mode in ("r", "r+", "c"):
        # NumPy makes no map of an empty array without a byte in the file to map, so the raw ones here have some.
        checks += same(mapped(entry, mode), expected, entry)
        if entry["writer"] != "raw":
            array = np.load(entry["path"], mmap_mode=mode)
            checks += same(array, expected, entry)
            assert array.offset == entry["offset"], (entry, array.offset)
    if entry["writer"] != "raw":
        checks += same(np.load(entry["path"]), expected, entry)
    if entry["writer"] == "native":
        address = np.load(entry["path"], mmap_mode="r").ctypes.data
        assert expected.size == 0 or address % PAGE == 0, (entry, address)
        assert entry["offset"] == PAGE
        checks += 1
    if entry["writer"] == "compact":
        saved = io.BytesIO()
        np.save(saved, expected)
        saved = saved.getvalue()
        if entry["order"] == "F" and expected.flags.c_contiguous:
            # `np.save` forgets the order where both are the same.
            assert b"'fortran_order': True" in before[: entry["offset"]], (entry, before)
        else:
            assert saved == before, (entry, saved, before)
        checks += 1
    assert open(entry["path"], "rb").read() == before, entry
    return checks


def change(entry):
    array = opened(entry, "r+")
    array[...] = samples(entry, 1)
    array.flush()
    return 1


def write(entry):
    array = samples(entry, 0)
    if entry["writer"] == "save":
        np.save(entry["path"], array)
    else:
        target = np.lib.format.open_memmap(
            entry["path"], "w+", array.dtype, array.shape, entry["order"] == "F"
        )
        target[...] = array
        target.flush()
    return 1


def see(entry):
    return same(opened(entry, "r"), samples(entry, 2), entry)


def main():
    step = {"read": read, "change": change, "write": write, "see": see}[sys.argv[1]]
    with open(sys.argv[2], encoding="utf-8") as manifest:
        entries = json.load(manifest)
    checks = sum(step(entry) for entry in entries)
    report = {"files": len(entries), "checks": checks, "numpy": np.__version__}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
