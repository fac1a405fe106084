"""The own face: growing, following, claims and waiting."""

import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from processes import end, run, start

import ndstore as nd

HOLD = """
import sys, ndstore
held = ndstore.open(sys.argv[1], sys.argv[2])
print("ready", flush=True)
sys.stdin.read()
"""


def test_rows_are_appended_and_the_newest_array_has_them() -> None:
    with nd.create("x.npy", "<f8", (0, 2)) as store:
        store.append([[1, 2]])
        old = store.array
        store.push((3, 4))
        assert store.shape == (2, 2) == store.array.shape
        assert old.tolist() == [[1, 2]]
        assert store[1].tolist() == [3, 4]
        del old
    assert np.load("x.npy").tolist() == [[1, 2], [3, 4]]


def test_rows_in_fortran_order_are_columns() -> None:
    with nd.create("x.npy", "<i4", (2, 0), order="F") as store:
        store.push([1, 2])
        store.append(np.array([[3, 5], [4, 6]]))
        assert store.array.tolist() == [[1, 3, 5], [2, 4, 6]]
    assert np.isfortran(np.load("x.npy"))


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([[1.5, 2.5]], TypeError),
        ([[1, 2, 3]], ValueError),
        ([1, 2], ValueError),
        ([["a", "b"]], TypeError),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows: object, error: type[Exception]) -> None:
    with nd.create("x.npy", "<i4", (1, 2)) as store:
        with pytest.raises(error):
            store.append(rows)  # type: ignore[arg-type]
        assert store.shape == (1, 2)


def test_an_appender_publishes_all_of_its_rows_at_once() -> None:
    store = nd.create("x.npy", "<i8", (0, 256))
    with store.appender() as rows:
        for step in range(2000):
            rows.push(np.full(256, step))
        assert np.load("x.npy", mmap_mode="r").shape == (0, 256)
    assert store.shape == (2000, 256)
    store.close()
    assert np.load("x.npy")[:, 3].tolist() == list(range(2000))


def test_an_appender_whose_block_failed_publishes_nothing_of_the_broken_row() -> None:
    store = nd.create("x.npy", "<i8", (0, 2))
    with pytest.raises(ValueError, match="row of shape"), store.appender() as rows:
        rows.push([1, 2])
        rows.push([1, 2, 3])
    assert store.array.tolist() == [[1, 2]]


def test_truncate_refuses_while_an_array_shows_what_would_go() -> None:
    store = nd.create("x.npy", "<i8", (5,))
    kept = store.array[3:]
    with pytest.raises(BufferError, match="alive"):
        store.truncate(2)
    assert kept.tolist() == [0, 0]
    del kept
    store.truncate(2)
    assert store.array.shape == (2,)
    store.close()
    assert np.load("x.npy").shape == (2,)


def test_resize_keeps_elements_at_their_index() -> None:
    with nd.create("x.npy", "<i8", (2, 2)) as store:
        store.array[:] = [[1, 2], [3, 4]]
        store.resize((3, 3))
        assert store[:].tolist() == [[1, 2, 0], [3, 4, 0], [0, 0, 0]]


def test_a_reader_sees_what_an_appender_publishes_and_keeps_what_it_has() -> None:
    nd.create("x.npy", "<i8", (0,)).close()
    with nd.open("x.npy", "a") as log, nd.open("x.npy") as reader:
        log.append([1, 2])
        assert (reader.shape, reader.refresh(), reader.array.tolist()) == ((0,), 2, [1, 2])
        log.append([3])
        assert reader.array.tolist() == [1, 2]
        assert reader.refresh() == 1
        assert reader.array.tolist() == [1, 2, 3]
        assert log.array.tolist() == [1, 2, 3]
        with pytest.raises(ValueError, match="read-only"):
            log.array[0] = 1


def test_whoever_follows_gets_every_row_until_the_appender_goes() -> None:
    nd.create("x.npy", "<i8", (0, 2)).close()
    log = nd.open("x.npy", "a")

    def work() -> None:
        for step in range(50):
            log.push([step, -step])
        log.close()

    thread = threading.Thread(target=work)
    rows = nd.follow("x.npy", start=0, timeout=20)
    thread.start()
    found = np.concatenate(list(rows))
    thread.join()
    assert found[:, 0].tolist() == list(range(50))


def test_to_follow_somebody_silent_ends_by_a_timeout() -> None:
    nd.create("x.npy", "<i8", (0, 2)).close()
    with nd.open("x.npy", "a"), pytest.raises(TimeoutError):
        next(nd.follow("x.npy", timeout=0.05))


def test_rows_of_two_stores_do_not_overlap() -> None:
    nd.create("x.npy", "<i8", (4, 2)).close()
    top = nd.open("x.npy", "r+", rows=(0, 2))
    bottom = nd.open("x.npy", "r+", rows=slice(2, 4))
    top.array[:] = 1
    bottom[:] = 2
    with pytest.raises(nd.LockedError, match="rows"):
        nd.open("x.npy", "r+", rows=range(1, 3))
    top.close()
    bottom.close()
    assert np.load("x.npy")[:, 0].tolist() == [1, 1, 2, 2]
    with pytest.raises(ValueError, match="end"):
        nd.open("x.npy", "r+", rows=slice(2, None))
    with pytest.raises(IndexError):
        nd.open("x.npy", "r+", rows=(2, 9))


def test_who_is_alone_keeps_others_out_and_the_message_says_who() -> None:
    nd.create("x.npy", "<i8", (4,)).close()
    holder = start(HOLD, "x.npy", "r+")
    with pytest.raises(BlockingIOError, match=f"process {holder.pid}") as refused:
        nd.open("x.npy")
    assert isinstance(refused.value, nd.LockedError)
    assert refused.value.filename == os.path.abspath("x.npy")
    with pytest.raises(nd.LockedError):
        nd.memmap("x.npy", mode="r")
    assert end(holder) == 0
    nd.open("x.npy").close()


def test_a_timeout_waits_for_the_lock() -> None:
    store = nd.create("x.npy", "<i8", (4,))
    began = time.monotonic()
    with pytest.raises(nd.LockedError):
        nd.open("x.npy", timeout=0.1)
    assert time.monotonic() - began >= 0.1
    timer = threading.Timer(0.1, store.close)
    timer.start()
    nd.open("x.npy", timeout=20).close()
    timer.join()
    with pytest.raises(ValueError, match="timeout"):
        nd.open("x.npy", timeout=-1)


def test_close_says_that_arrays_are_alive_and_they_keep_the_claim() -> None:
    store = nd.create("x.npy", "<i8", (4,))
    kept = store.array
    with pytest.raises(BufferError, match="1 arrays"):
        store.close()
    kept[0] = 3
    with pytest.raises(nd.LockedError):
        nd.open("x.npy")
    del kept
    assert nd.open("x.npy")[0] == 3
    store.close()
    with pytest.raises(ValueError, match="closed"):
        store.append([1])


def test_modes_keep_to_what_they_may() -> None:
    nd.create("x.npy", "<i8", (4,)).close()
    with nd.open("x.npy") as store:
        changes: list[Callable[[], None]] = [
            lambda: store.append([1]),
            lambda: store.truncate(1),
            lambda: store.resize(9),
        ]
        for change in changes:
            with pytest.raises(ValueError, match="r\\+"):
                change()
    with nd.open("x.npy", "c") as store:
        store[0] = 5
        assert store[0] == 5
    with nd.open("x.npy", "a") as store, pytest.raises(ValueError, match="alone"):
        store.truncate(1)
    assert np.load("x.npy").tolist() == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="mode"):
        nd.open("x.npy", "w+")  # type: ignore[arg-type]


def test_damage_is_found_and_placed() -> None:
    nd.save("x.npy", np.zeros((100_000, 8)))
    with nd.open("x.npy") as store:
        store.write_checksums()
        assert store.verify()
    with open("x.npy", "r+b") as file:
        file.seek(2_000_000)
        file.write(b"\1")
    with nd.open("x.npy") as store:
        found = store.verify()
    assert not found
    (_, rows), = found.damage
    assert rows.start <= 2_000_000 // 64 <= rows.stop


def test_raw_files_open_by_dtype_and_shape() -> None:
    np.arange(12, dtype="<i2").tofile("x.bin")
    with nd.open("x.bin", raw=4, dtype="<i2", shape=(5, 2), order="C") as store:
        assert store.array.tolist() == np.arange(2, 12).reshape(5, 2).tolist()
    with nd.create("y.bin", "<i2", (0,), raw=0) as store:
        store.append(np.arange(3, dtype="<i2"))
    assert np.fromfile("y.bin", "<i2").tolist() == [0, 1, 2]


def test_info_waits_for_nobody() -> None:
    with nd.create("x.npy", ">f4", (3, 4), order="F"):
        found = nd.info("x.npy")
    assert (found.dtype, found.shape, found.order) == (np.dtype(">f4"), (3, 4), "F")
    assert (found.offset, found.nbytes) == (4096, 48)


def test_errors_are_what_python_people_catch() -> None:
    with pytest.raises(FileNotFoundError) as missing:
        nd.open("none.npy")
    assert missing.value.errno == 2
    os.mkdir("folder")
    with pytest.raises(IsADirectoryError):
        nd.open("folder")
    Path("text.npy").write_text("hello, this is no array")
    with pytest.raises(ValueError, match="NPY"):
        nd.open("text.npy")
    nd.save("x.npy", np.zeros(3))
    with pytest.raises(FileExistsError):
        nd.create("x.npy", "<f8", 3, new=True)
    with pytest.raises(OSError, match="bytes") as full:
        nd.create("big.npy", "<f8", 2**50)
    assert full.value.errno in (27, 28)
    assert not Path("big.npy").exists()


def test_no_permission_is_a_permission_error() -> None:
    program = """
    import os, sys, ndstore
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        ndstore.open(sys.argv[1])
    except PermissionError as error:
        print(type(error).__name__, error.errno)
    """
    # Where everybody may go, unlike to the directories of tests.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "x.npy")
        nd.save(path, np.zeros(3))
        os.chmod(path, 0)
        assert run(program, path).split() == ["DeniedError", "13"]


def test_no_message_speaks_of_rust() -> None:
    nd.create("x.npy", "<f8", (3,)).close()
    np.save("y.npy", np.zeros((3, 3)))
    found = []

    def note(call: object) -> None:
        with pytest.raises(nd.Error) as raised:
            call()  # type: ignore[operator]
        found.append(str(raised.value))

    with nd.open("x.npy"):
        note(lambda: nd.open("x.npy", "r+"))
    with nd.open("x.npy", "r+"):
        note(lambda: nd.open("x.npy"))
        note(lambda: nd.create("x.npy", "u1", 3))
    note(lambda: nd.open("none.npy"))
    note(lambda: nd.open("x.npy", "r+", rows=(0, 9)))
    note(lambda: nd.create("x.npy", "u1", 3, new=True))
    Path("x.bin").write_bytes(b"12345")
    note(lambda: nd.memmap("x.bin", "<f4", "r"))
    note(lambda: nd.memmap("x.bin", "<f4", "r", shape=9))
    note(lambda: nd.open("x.bin", raw=0))
    note(lambda: nd.open("x.bin", raw=0, dtype="u1", shape=2))
    assert not [message for message in found if "::" in message]
