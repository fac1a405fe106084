"""NumPy's side of tests/interop/dtypes.rs: `dtypes.py STEP MANIFEST`, one process for all files.

Each step prints, as JSON, how many checks there were and what the other side is to compare with. A check that fails ends
the process with a traceback.

save      Write an array of random bytes to each file.
load      The crate wrote the files: load and map them in every way.
generate  Make up dtypes, describe them, and write an array of each.
back      The crate wrote the descrs and files of those: see the same dtypes and bytes.
"""

import ast
import io
import json
import random
import sys
import warnings

import numpy as np

# That a header with other letters than Latin ones is of version 3.
warnings.filterwarnings("ignore", "Stored array in format", UserWarning)

SEED = 20260
UNITS = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"]
LETTERS = "abcxyzABC0189_ .,:;'\"\\\n\t\r\0\x7f()[]{}<>é\xa0\xadßΩжשع数値한ก\u0301\u200b\u2028\ue000😀𝕏\U0010ffff"


def parsed(descr):
    """The dtype of a descr, a type string without quotes or a list."""
    return np.lib.format.descr_to_dtype(ast.literal_eval(descr) if descr[0] == "[" else descr)


def text(dtype):
    """The descr that NumPy writes, a type string without quotes."""
    descr = np.lib.format.dtype_to_descr(dtype)
    return descr if isinstance(descr, str) else repr(descr)


def filled(rng, dtype, shape, order="C"):
    """An array of random bytes, in its gaps, too; bools are 0 or 1."""
    count = int(np.prod(shape, dtype=np.int64))
    memory = bytearray(rng.randbytes(count * dtype.itemsize) or b"\0")
    if dtype.kind == "b":
        memory = bytearray(byte & 1 for byte in memory)
    return np.ndarray(shape, dtype, memory, order=order)


def in_memory(array):
    return array.tobytes("A")


def in_c_order(array):
    """The bytes of the elements in C order, moved as bytes and nothing else."""
    itemsize = array.dtype.itemsize
    memory = np.frombuffer(in_memory(array), np.uint8)
    if not array.flags.fnc:
        return memory.tobytes()
    backwards = memory.reshape(array.shape[::-1] + (itemsize,))
    axes = tuple(range(array.ndim))[::-1] + (array.ndim,)
    return backwards.transpose(axes).tobytes()


def save(entries):
    rng = random.Random(SEED)
    saved = []
    for entry in entries:
        dtype = parsed(entry["descr"])
        assert text(dtype) == entry["descr"], entry
        array = filled(rng, dtype, tuple(entry["shape"]), entry["order"])
        np.save(entry["path"], array)
        saved.append(
            {
                "order": "F" if array.flags.fnc else "C",
                "memory": in_memory(array).hex(),
                "logical": in_c_order(array).hex(),
            }
        )
    return {"checks": len(saved), "saved": saved}


def load(entries):
    checks = 0
    for entry in entries:
        before = open(entry["path"], "rb").read()
        dtype = parsed(entry["descr"])
        for mode in ("r", "r+", "c", None):
            array = np.load(entry["path"], mmap_mode=mode)
            assert isinstance(array, np.memmap) == (mode is not None), entry
            assert array.dtype == dtype, (entry, array.dtype)
            assert text(array.dtype) == entry["descr"], (entry, array.dtype)
            assert array.shape == tuple(entry["shape"]), (entry, array.shape)
            assert array.flags.fnc == (entry["order"] == "F"), (entry, array.flags)
            assert in_memory(array).hex() == entry["memory"], (entry, mode)
            del array
            checks += 1
        assert open(entry["path"], "rb").read() == before, entry
    return {"checks": checks}


def plain(rng):
    kind = rng.choice("biufcSUVMm")
    order = rng.choice("<>")
    if kind == "b":
        return np.dtype("?")
    if kind in "iu":
        return np.dtype(f"{order}{kind}{rng.choice([1, 2, 4, 8])}")
    if kind == "f":
        return np.dtype(f"{order}f{rng.choice([2, 4, 8, 16])}")
    if kind == "c":
        return np.dtype(f"{order}c{rng.choice([8, 16, 32])}")
    if kind in "SUV":
        return np.dtype(f"{order}{kind}{rng.choice([1, 2, 3, 7, 8, 40, 1000])}")
    if rng.random() < 0.1:
        return np.dtype(f"{order}{kind}8")
    multiple = rng.choice(["", "", "2", "25", "1000", "2147483647"])
    return np.dtype(f"{order}{kind}8[{multiple}{rng.choice(UNITS)}]")


def sub_array(rng, dtype):
    dims = rng.choice([(1,), (2,), (3,), (0,), (2, 3), (1, 1, 2), (2, 0, 3)])
    return np.dtype((dtype, dims))


def names(rng, count):
    """So many names or titles, each another."""
    found = set()
    while len(found) < count:
        found.add("".join(rng.choices(LETTERS, k=rng.randint(1, 6))))
    return rng.sample(sorted(found), count)


def record(rng, depth):
    count = rng.choice([0, 1, 1, 2, 2, 3, 3, 4, 6])
    words = names(rng, 2 * count)
    formats = []
    for _ in range(count):
        part = record(rng, depth - 1) if depth and rng.random() < 0.25 else plain(rng)
        if rng.random() < 0.25:
            part = sub_array(rng, part)
        elif part.kind in "SU" and rng.random() < 0.1:
            part = np.dtype(f"{part.kind}0")
        formats.append(part)
    fields = words[:count]
    titles = [title if rng.random() < 0.25 else None for title in words[count:]]
    if count and rng.random() < 0.05 and formats[0].kind not in "V":
        fields[0] = ""
    how = rng.choice(["list", "packed", "aligned", "offsets", "offsets"])
    if count == 0 or how == "packed":
        layout = {"names": fields, "formats": formats, "titles": titles}
        return np.dtype(layout)
    if how == "list" and "" not in fields:
        heads = [name if title is None else (title, name) for name, title in zip(fields, titles)]
        return np.dtype(list(zip(heads, formats)))
    if how != "offsets":
        return np.dtype({"names": fields, "formats": formats, "titles": titles}, align=True)
    offsets, end = [], 0
    for part in formats:
        offsets.append(end + rng.choice([0, 0, 1, 3, 8]))
        end = offsets[-1] + part.itemsize
    size = end + rng.choice([0, 1, 5])
    return np.dtype(
        {"names": fields, "formats": formats, "titles": titles, "offsets": offsets, "itemsize": size}
    )


def generated(count):
    """So many dtypes, of which four in five are records, each with an array of it: the same ones every time."""
    rng = random.Random(SEED)
    made = []
    while len(made) < count:
        dtype = plain(rng) if rng.random() < 0.2 else record(rng, 3)
        array = filled(rng, dtype, (2,))
        assert array.dtype == dtype
        # What `np.load` takes for granted.
        if len(text(dtype)) < 8000:
            made.append((dtype, array))
    return made


def tree(dtype):
    fields = []
    for name in dtype.names or ():
        part, offset, *title = dtype.fields[name]
        fields.append(
            {
                "name": name,
                "title": title[0] if title else None,
                "offset": offset,
                "itemsize": part.itemsize,
                "shape": part.shape,
                "dtype": tree(part.base),
            }
        )
    return {
        "descr": text(dtype),
        "name": dtype.name,
        "itemsize": dtype.itemsize,
        "fields": None if dtype.names is None else fields,
    }


def generate(entries):
    trees = []
    for entry, (dtype, array) in zip(entries, generated(len(entries)), strict=True):
        with open(entry["path"], "wb") as file:
            np.save(file, array)
        trees.append(tree(dtype))
    return {"checks": len(trees), "trees": trees}


def back(entries):
    checks = 0
    for entry, (dtype, array) in zip(entries, generated(len(entries)), strict=True):
        again = parsed(entry["descr"])
        assert again == dtype, (entry, dtype)
        assert tree(again) == tree(dtype), (entry, dtype)
        for path in (entry["native"], entry["compact"]):
            # `np.fromfile`, by which files are loaded, refuses elements without a byte.
            with open(path, "rb") as file:
                loaded = np.load(file if dtype.itemsize else io.BytesIO(file.read()))
            assert loaded.dtype == dtype, (entry, loaded.dtype)
            assert tree(loaded.dtype) == tree(dtype), (entry, loaded.dtype)
            assert loaded.shape == array.shape, (entry, loaded.shape)
            assert in_memory(loaded) == in_memory(array), entry
            checks += 1
        checks += 1
    return {"checks": checks}


def main():
    step = {"save": save, "load": load, "generate": generate, "back": back}[sys.argv[1]]
    with open(sys.argv[2], encoding="utf-8") as manifest:
        entries = json.load(manifest)
    report = step(entries)
    report["numpy"] = np.__version__
    print(json.dumps(report))


if __name__ == "__main__":
    main()
