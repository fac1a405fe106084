"""Compares each new file with what NumPy makes of the old one, byte for byte: `moves.py check MANIFEST`."""

import json
import sys

import numpy as np


def moved(entry, old):
    op = entry["op"]
    if op == "transpose":
        return np.transpose(old)
    if op == "permute":
        return np.transpose(old, entry["axes"])
    if op == "to_order":
        # Of a 0-d array these make a 1-d one.
        return old if old.ndim == 0 else {"C": np.ascontiguousarray, "F": np.asfortranarray}[entry["order"]](old)
    if op == "byteswap":
        return old.byteswap().view(old.dtype.newbyteorder())
    if op == "concatenate":
        # NumPy's is in native byte order, whatever the arrays are.
        return np.concatenate((old, old, old), entry["axis"]).astype(old.dtype)
    if op == "copy_region":
        return old[(*(slice(start, end) for start, end in entry["ranges"]), ...)]
    raise ValueError(op)


def main():
    checks = 0
    with open(sys.argv[2]) as manifest:
        entries = json.load(manifest)
    for entry in entries:
        expected = moved(entry, np.load(entry["old"]))
        new = np.load(entry["new"], mmap_mode="r")
        assert new.dtype == expected.dtype and new.dtype.str == expected.dtype.str, entry
        assert new.shape == expected.shape, (entry, new.shape, expected.shape)
        assert new.tobytes() == expected.tobytes(), entry
        # The file has the elements in the order that was asked for, and nothing else behind its header.
        order = entry["order"]
        assert new.flags["C_CONTIGUOUS" if order == "C" else "F_CONTIGUOUS"], entry
        with open(entry["new"], "rb") as file:
            assert file.read()[4096:] == expected.tobytes(order), entry
        checks += 5
    print(json.dumps({"files": len(entries), "checks": checks}))


main()
