"""The jobs of the benchmarks, done by NumPy.

The benchmarks start this themselves where python3 has NumPy, and measure it in pairs with ndstore:

    numpy_baseline.py JOB ARGUMENT...

It prints `ready`, or what is missing; reads how many times to do the job from each line of its input, and prints how many
seconds that took.
"""

import os
import sys
import time
import zlib

try:
    import numpy as np
except ImportError:
    print("python3 has no numpy", flush=True)
    sys.exit("numpy is not there")


def whole(job):
    """A job all of which counts."""

    def run(times):
        start = time.perf_counter()
        for _ in range(times):
            job()
        return time.perf_counter() - start

    return run


def fresh(path, fill):
    """A job that fills a new file. Removing the file does not count, nor does unmapping what `fill` returns."""

    def run(times):
        total = 0.0
        for _ in range(times):
            start = time.perf_counter()
            kept = fill(path)
            total += time.perf_counter() - start
            del kept
            os.remove(path)
            directory = os.open(os.path.dirname(path), os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)
        return total

    return run


def open_first(path):
    return whole(lambda: np.load(path, mmap_mode="r")[0])


def scan_first_pass(path):
    return whole(lambda: np.load(path, mmap_mode="r").sum())


def scan_second_pass(path):
    array = np.load(path, mmap_mode="r")
    return whole(array.sum)


def random_elements(path):
    array = np.load(path, mmap_mode="r")
    array.sum()
    rng = np.random.default_rng(1)

    def run(times):
        total = 0.0
        while times > 0:
            indices = rng.integers(array.size, size=min(times, 100_000)).tolist()
            start = time.perf_counter()
            for index in indices:
                array[index]
            total += time.perf_counter() - start
            times -= len(indices)
        return total

    return run


def write_memmap(path, nbytes):
    array = np.arange(int(nbytes) // 8, dtype="<f8")

    def fill(path):
        new = np.lib.format.open_memmap(path, mode="w+", dtype=array.dtype, shape=array.shape)
        new[:] = array
        new.flush()
        return new

    return fresh(path, fill)


def write_save(path, nbytes):
    array = np.arange(int(nbytes) // 8, dtype="<f8")

    def fill(path):
        with open(path, "wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())

    return fresh(path, fill)


def resize(path, new_path, rows, columns):
    old = np.load(path, mmap_mode="r")
    shape = int(rows), int(columns)

    def fill(path):
        new = np.lib.format.open_memmap(path, mode="w+", dtype=old.dtype, shape=shape)
        new[: old.shape[0], : old.shape[1]] = old
        new.flush()
        return new

    return fresh(new_path, fill)


def tobytes(side):
    array = np.ones((int(side), int(side)), order="F")
    return whole(lambda: array.tobytes("C"))


def zlib_compress(path, level):
    array = np.load(path)
    return whole(lambda: zlib.compress(array, int(level)))


def main(job, *arguments):
    jobs = [
        open_first,
        scan_first_pass,
        scan_second_pass,
        random_elements,
        write_memmap,
        write_save,
        resize,
        tobytes,
        zlib_compress,
    ]
    run = {job.__name__: job for job in jobs}[job](*arguments)
    print("ready", flush=True)
    for line in sys.stdin:
        print(run(int(line)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
