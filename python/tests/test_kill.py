"""Killed at any moment, a writer leaves an array that NumPy reads, with every row that it acknowledged."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ndstore as nd

ROUNDS = 60


def acknowledged(work: Callable[[int], None], seconds: float) -> int:
    """What the work acknowledged last in a process that was killed after this time."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            work(write)
        finally:
            os._exit(1)
    os.close(write)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as pipe:
        told = np.frombuffer(pipe.read(), "<i8")
    return int(told[-1]) if told.size else -1


def append(write: int) -> None:
    with nd.open("x.npy", "a") as log:
        while True:
            log.push(np.full(64, log.shape[0]))
            os.write(write, np.int64(log.shape[0]).tobytes())


def create(write: int) -> None:
    value = 1
    while True:
        nd.save("y.npy", np.full(5000, value))
        os.write(write, np.int64(value).tobytes())
        value += 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_rows_that_were_acknowledged_outlive_a_kill() -> None:
    nd.create("x.npy", "<i8", (0, 64)).close()
    published = 0
    for _ in range(ROUNDS):
        told = acknowledged(append, random.uniform(0, 0.03))
        found = np.load("x.npy")
        assert found.shape[0] >= max(told, published)
        assert (found == np.arange(found.shape[0])[:, None]).all()
        published = found.shape[0]
    assert published > 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_file_is_the_old_one_or_the_new_one_whole_after_a_kill() -> None:
    nd.save("y.npy", np.zeros(5000, "<i8"))
    for _ in range(ROUNDS):
        told = acknowledged(create, random.uniform(0, 0.03))
        found = np.load("y.npy")
        assert found.shape == (5000,)
        assert (found == found[0]).all()
        assert told == -1 or found[0] in (told, told + 1)
    assert Path("y.npy").exists()
