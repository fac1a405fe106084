"""Arrays in other processes: pickled by path, forked, in pools of every kind."""

import multiprocessing as mp
import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
from processes import run

import ndstore as nd

def total(array: Any) -> tuple[float, str, bool]:
    return float(array.sum()), type(array).__module__, isinstance(array.base, np.ndarray)


def fill(array: Any, value: float) -> None:
    array[:] = value


def stack() -> Any:
    array = nd.open_memmap("x.npy", "w+", dtype="<f4", shape=(100, 50, 4))
    array[:] = np.arange(20_000, dtype="<f4").reshape(array.shape)
    return array


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a[3:7],
        lambda a: a.T,
        lambda a: a[::-3, 1::2],
        lambda a: a[5, 6],
        lambda a: a[:, :0],
        lambda a: a.view("<i4"),
        lambda a: a.reshape(-1)[17:],
    ],
)
def test_a_view_costs_under_a_kilobyte_and_is_the_same_view_there(view: Any) -> None:
    array = view(stack())
    sent = pickle.dumps(array)
    again = pickle.loads(sent)
    assert len(sent) < 1024
    assert (again.shape, again.dtype) == (array.shape, array.dtype)
    assert np.array_equal(again, array)
    if array.size:
        assert again.strides == array.strides
        again[...] = 1
        assert (array == 1).all()


def test_what_is_read_by_claim_is_read_by_claim_there() -> None:
    stack().close()
    with nd.open("x.npy") as store:
        sent = pickle.dumps(store.array[2:4])
        again = pickle.loads(sent)
    with pytest.raises(nd.LockedError):
        nd.open("x.npy", "r+")
    assert again.shape == (2, 50, 4)
    assert not again.flags.writeable


def test_what_is_open_alone_says_that_it_cannot_be_sent_and_how() -> None:
    stack().close()
    with nd.open("x.npy", "r+") as store, pytest.raises(pickle.PicklingError, match="open_memmap"):
        pickle.dumps(store.array)
    with nd.open("x.npy", "r+", rows=(0, 5)) as store, pytest.raises(pickle.PicklingError):
        pickle.dumps(store.array[1:])


def test_a_private_array_is_sent_by_path_until_it_has_changes() -> None:
    stack().close()
    private = nd.open_memmap("x.npy", "c")
    assert len(pickle.dumps(private)) < 1024
    private[0] = -1
    sent = pickle.dumps(private)
    assert len(sent) > private.nbytes
    assert np.array_equal(pickle.loads(sent), private)


def test_a_file_that_was_replaced_is_not_taken_for_the_one_that_was_sent() -> None:
    array = stack()
    sent = pickle.dumps(array[:2])
    array.close()
    nd.save("x.npy", np.zeros(array.shape))
    with pytest.raises(ValueError, match="replaced"):
        pickle.loads(sent)


def test_a_member_of_an_archive_is_sent_by_path() -> None:
    nd.savez("x.npz", a=np.arange(1000.0), b=np.eye(40))
    member = nd.load("x.npz", mmap_mode="r")["b"]
    sent = pickle.dumps(member[3:])
    assert len(sent) < 1024
    assert np.array_equal(pickle.loads(sent), np.eye(40)[3:])


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_pools_read_and_write_one_array(method: str) -> None:
    array = stack()
    expected = float(array[10:].sum())
    with ProcessPoolExecutor(2, mp_context=mp.get_context(method)) as pool:
        assert pool.submit(total, array[10:]).result()[0] == expected
        list(pool.map(fill, [array[:50], array[50:]], [1.0, 2.0]))
    assert array[:, 0, 0].tolist() == [1.0] * 50 + [2.0] * 50


def test_joblib_makes_no_copy() -> None:
    array = stack()
    # More than its limit of a megabyte, so that it would dump anything but a memmap.
    big = nd.open_memmap("big.npy", "w+", dtype="<f8", shape=(400, 1000))
    results = joblib.Parallel(n_jobs=2)(
        joblib.delayed(total)(part) for part in (big, big[7:], np.asarray(big)[7:], array)
    )
    assert [result[0] for result in results[:3]] == [0, 0, 0]
    assert [module for _, module, _ in results] == ["ndstore._memmap"] * 2 + ["numpy", "ndstore._memmap"]
    joblib.Parallel(n_jobs=2)(joblib.delayed(fill)(big[row], row) for row in range(0, 400, 40))
    assert big[360, 5] == 360


def test_a_forked_child_cuts_and_unlocks_nothing_of_its_parents() -> None:
    program = """
    import gc, os, sys, numpy as np, ndstore as nd
    store = nd.create("x.npy", "<i8", (0, 2))
    store.append([[1, 2]])
    appender = store.appender()
    appender.push([3, 4])
    array = store.array
    if os.fork() == 0:
        try:
            store.append([[9, 9]])
        except RuntimeError as error:
            print(type(error).__name__, flush=True)
        del array, appender, store
        gc.collect()
        os._exit(0)
    os.wait()
    try:
        nd.open("x.npy")
    except BlockingIOError:
        print("locked", flush=True)
    appender.flush()
    print(store.array.tolist(), array.tolist())
    """
    assert run(program).splitlines() == ["ForkedError", "locked", "[[1, 2], [3, 4]] [[1, 2]]"]


def test_joblibs_own_tests_of_memmaps_pass_with_these_arrays() -> None:
    # In its workers as well as here.
    Path("sitecustomize.py").write_text("import numpy, ndstore\nnumpy.memmap = ndstore.memmap\n")
    tests = Path(joblib.__file__).parent / "test" / "test_memmapping.py"
    chosen = "reducing or pool_with_memmap or workaround or returned_as_regular or parallel_calls"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, str(tests)]
    paths = [os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 10
