"""NumPy's side of tests/interop/gather.rs: `gather.py check MANIFEST`, one process for all files.

Each entry has a file `path` that the crate wrote, and the `rows` that it picked: `gathered` holds those, `scattered` is the
file after they were overwritten by `values`. In Fortran order rows lie along the last axis. Prints, as JSON, how many files
there were.
"""

import json
import sys

import numpy as np


def same(found, expected, entry):
    assert found.dtype == expected.dtype.newbyteorder("="), (entry, found.dtype)
    assert found.shape == expected.shape, (entry, found.shape)
    assert found.tobytes() == expected.astype(found.dtype).tobytes(), (entry, found, expected)


def check(entry):
    array = np.load(entry["path"], mmap_mode="r")
    rows = np.array(entry["rows"], dtype=np.intp)
    last = entry["order"] == "F"
    taken = np.take(array, rows, axis=-1 if last else 0)
    gathered = np.load(entry["gathered"])
    same(gathered, taken, entry)
    if not last:
        same(gathered, array[rows], entry)
    changed = array.copy()
    changed[(..., rows) if last else rows] = np.load(entry["values"])
    same(np.load(entry["scattered"], mmap_mode="r"), changed, entry)


def main():
    with open(sys.argv[2], encoding="utf-8") as manifest:
        entries = json.load(manifest)
    for entry in entries:
        check(entry)
    print(json.dumps({"files": len(entries), "numpy": np.__version__}))


if __name__ == "__main__":
    main()
