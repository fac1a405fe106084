"""NumPy's own tests, as its wheel has them, with these functions in place of NumPy's."""

import subprocess
import sys
from pathlib import Path

import numpy as np

import ndstore as nd

PROGRAM = """
import sys
import numpy, ndstore, pytest
numpy.memmap = ndstore.memmap
numpy.lib.format.open_memmap = ndstore.open_memmap
sys.exit(pytest.main(["-q", "-rA", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def outcomes(*arguments: str) -> tuple[set[str], set[str]]:
    """The tests that passed, and those that did not."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    passed, failed = set(), set()
    for line in done.stdout.splitlines():
        word, _, name = line.partition(" ")
        name = name.partition(" - ")[0].rpartition("::")[2]
        if word == "PASSED":
            passed.add(name)
        elif word in ("FAILED", "ERROR", "SKIPPED"):
            failed.add(name)
    return passed, failed


def test_all_of_numpys_tests_of_memmap_pass() -> None:
    numpy = Path(np.__file__).parent
    passed, failed = outcomes(str(numpy / "_core/tests/test_memmap.py"))
    assert not failed
    assert len(passed) >= 20


def test_numpys_tests_of_open_memmap_pass_but_for_one_spelling_of_a_dtype() -> None:
    numpy = Path(np.__file__).parent
    passed, failed = outcomes(str(numpy / "lib/tests/test_format.py"), "-k", "memmap")
    # It compares bytes of headers, and `[('c', ('<f8', (5,)), (2,))]` is written `[('c', '<f8', (2, 5))]`.
    assert failed == {"test_memmap_roundtrip"}
    assert passed == {"test_version_2_0_memmap"}


def test_that_dtype_is_the_only_one_whose_header_differs() -> None:
    from numpy.lib.tests import test_format

    different = []
    for array in test_format.basic_arrays + test_format.record_arrays:
        if array.dtype.hasobject:
            continue
        np.save("numpy.npy", array)
        nd.save("ours.npy", array)
        if Path("numpy.npy").read_bytes() != Path("ours.npy").read_bytes():
            different.append(array.dtype)
        read = np.load("ours.npy")
        assert (read.shape, read.tobytes()) == (array.shape, array.tobytes())
    assert different == [np.dtype([("c", ("<f8", (5,)), (2,))])]
