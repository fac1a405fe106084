"""NumPy's side of tests/interop/beside.rs: `beside.py load MANIFEST`.

Loads the array of the entry again and again, `loads` times, while somebody appends to it. Each load must have whole rows, as
many as the one before or more. Prints, as JSON, how many loads there were, and how many saw new rows.
"""

import json
import sys

import numpy as np


def main():
    with open(sys.argv[2], encoding="utf-8") as manifest:
        (entry,) = json.load(manifest)
    rows, grown = 0, 0
    for _ in range(entry["loads"]):
        array = np.load(entry["path"], mmap_mode="r")
        assert array.ndim == 2 and array.shape[1] == 5, array.shape
        assert len(array) >= rows, (len(array), rows)
        # What is new, and what came just before.
        new = array[max(0, rows - 1000) :]
        expected = np.arange(len(array) - len(new), len(array), dtype=array.dtype)
        assert (new == expected[:, None]).all(), (rows, len(array))
        grown += len(array) > rows
        rows = len(array)
    array = np.load(entry["path"], mmap_mode="r")
    assert (array == np.arange(len(array), dtype=array.dtype)[:, None]).all()
    print(json.dumps({"loads": entry["loads"], "grown": grown, "rows": rows}))


main()
