"""The drop-in: arrays are NumPy's memmaps, and what would lose data is an error."""

import mmap
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import ndstore as nd


def test_an_array_is_a_real_memmap_over_a_real_map() -> None:
    array = nd.memmap("x.bin", "<f4", "w+", shape=(3, 4))
    assert isinstance(array, np.memmap)
    assert isinstance(array.base, mmap.mmap)
    assert array[1:].base is array
    assert (array.filename, array.mode, array.offset) == (os.path.abspath("x.bin"), "w+", 0)


def test_pages_written_through_the_array_are_in_the_file() -> None:
    with nd.open_memmap("x.npy", "w+", dtype="<i8", shape=(5,)) as array:
        array[:] = range(5)
    assert np.load("x.npy").tolist() == list(range(5))


@pytest.mark.parametrize("name", ["zeros", "short"])
def test_r_plus_never_makes_a_file_longer(name: str) -> None:
    old = b"" if name == "zeros" else b"1234567"
    Path("x.bin").write_bytes(old)
    with pytest.raises(ValueError, match="the file has"):
        nd.memmap("x.bin", "<f4", "r+", shape=(3,))
    assert Path("x.bin").read_bytes() == old


def test_r_plus_of_a_cut_npy_is_an_error_and_leaves_it() -> None:
    nd.save("x.npy", np.arange(100.0))
    os.truncate("x.npy", 500)
    with pytest.raises(nd.TruncatedError):
        nd.open_memmap("x.npy", "r+")
    assert os.stat("x.npy").st_size == 500


@pytest.mark.parametrize(
    "arguments",
    [
        {"dtype": object, "shape": 3},
        {"shape": 1.5},
        {"shape": (2, -1)},
        {"shape": 2**62, "dtype": "<f8"},
        {"shape": None},
        {"dtype": "nonsense", "shape": 3},
        {"offset": -4, "shape": 3},
        {"offset": 1.5, "shape": 3},
    ],
)
def test_w_plus_touches_nothing_before_all_of_it_is_checked(arguments: dict[str, object]) -> None:
    Path("x.bin").write_bytes(b"precious")
    with pytest.raises((ValueError, TypeError, OverflowError, OSError)):
        nd.memmap("x.bin", mode="w+", **arguments)  # type: ignore[arg-type]
    assert Path("x.bin").read_bytes() == b"precious"


def test_w_plus_leaves_the_old_array_to_those_who_have_it() -> None:
    old = np.memmap("x.bin", "u1", "w+", shape=4)
    old[:] = 7
    nd.memmap("x.bin", "u1", "w+", shape=2)[:] = 1
    assert old.tolist() == [7, 7, 7, 7]
    assert Path("x.bin").read_bytes() == b"\1\1"


def test_two_who_say_w_plus_do_not_tear_each_other() -> None:
    first = nd.memmap("x.bin", "u1", "w+", shape=4)
    with pytest.raises(BlockingIOError):
        nd.memmap("x.bin", "u1", "w+", shape=4)
    first[0] = 1
    assert nd.memmap("x.bin", "u1", "r")[0] == 1


def test_one_writes_and_many_read_as_with_numpy() -> None:
    writer = nd.open_memmap("x.npy", "w+", dtype="<i4", shape=(4,))
    readers = [nd.open_memmap("x.npy", "r") for _ in range(3)]
    also = nd.open_memmap("x.npy", "r+")
    private = nd.open_memmap("x.npy", "c")
    private[1] = 9
    writer[2] = also[3] = 5
    assert [reader.tolist() for reader in readers] == [[0, 0, 5, 5]] * 3
    # What shares a page with its change stays as it was then.
    assert private[1] == 9
    with pytest.raises(nd.LockedError, match="shares"):
        nd.open("x.npy")


def test_a_read_only_array_refuses_and_a_private_one_keeps_it_to_itself() -> None:
    nd.save("x.npy", np.zeros(3))
    array = nd.open_memmap("x.npy", "r")
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    private = nd.open_memmap("x.npy", "c")
    private[0] = 1
    private.flush()
    assert np.load("x.npy")[0] == 0


@pytest.mark.parametrize("shape", [np.int64(3), (np.int64(3), 2), np.array([3, 2]), [3, 2], 3])
def test_odd_shapes_make_files_that_numpy_reads(shape: object) -> None:
    made = nd.open_memmap("x.npy", "w+", dtype="<f4", shape=shape)  # type: ignore[arg-type]
    assert np.load("x.npy", mmap_mode="r").shape == made.shape


def test_empty_and_0d_arrays_open_in_every_mode() -> None:
    for shape in [(0,), (0, 4), (3, 0, 2), ()]:
        nd.open_memmap("x.npy", "w+", dtype="<f8", shape=shape).close()
        nd.memmap("x.bin", "<f8", "w+", shape=shape).close()
        for mode in ["r", "r+", "c"]:
            assert nd.open_memmap("x.npy", mode).shape == shape
            assert nd.memmap("x.bin", "<f8", mode, shape=shape).shape == shape
        assert np.load("x.npy").shape == shape


def test_a_slice_keeps_the_claim_and_the_map() -> None:
    part = nd.open_memmap("x.npy", "w+", dtype="<i4", shape=(10,))[2:4]
    part[:] = 3
    with pytest.raises(nd.LockedError):
        nd.open("x.npy", "r+")
    plain = np.asarray(part)
    del part
    assert plain.tolist() == [3, 3]
    with pytest.raises(nd.LockedError):
        nd.open("x.npy", "r+")
    del plain
    nd.open("x.npy", "r+").close()


def test_close_gives_the_file_up_and_leaves_an_empty_array() -> None:
    array = nd.open_memmap("x.npy", "w+", dtype="<i4", shape=(3, 2))
    array[:] = 1
    array.close()
    nd.open("x.npy", "r+").close()
    assert array.shape == (0, 0)
    array.close()


@pytest.mark.parametrize("view", [lambda a: a[1:], np.asarray, memoryview, lambda a: a.T])
def test_close_refuses_while_anything_shows_the_elements(view: object) -> None:
    array = nd.open_memmap("x.npy", "w+", dtype="<i4", shape=(3,))
    array[:] = 5
    kept = view(array)  # type: ignore[operator]
    with pytest.raises(BufferError, match="1 views"):
        array.close()
    assert np.asarray(kept)[-1] == 5
    del kept
    array.close()
    assert array.size == 0


def test_with_closes_and_refuses_as_close_does() -> None:
    with nd.open_memmap("x.npy", "w+", dtype="<i4", shape=(3,)) as array:
        array[:] = 5
    assert array.size == 0
    with pytest.raises(BufferError):
        with nd.open_memmap("x.npy", "r") as array:
            kept = array[1:]
    assert kept.tolist() == [5, 5]


def test_a_view_does_not_close_what_it_is_a_view_of() -> None:
    array = nd.open_memmap("x.npy", "w+", dtype="<i4", shape=(3,))
    with pytest.raises(ValueError, match="a view"):
        array[1:].close()


def test_results_are_plain_arrays_as_with_numpy() -> None:
    array = nd.open_memmap("x.npy", "w+", dtype="<f8", shape=(3, 2))
    assert type(array + 1) is np.ndarray
    assert type(array[[0, 1]]) is np.ndarray
    assert type(array.sum(axis=0)) is np.ndarray
    assert isinstance(array.sum(), np.float64)
    copy = array.copy()
    assert type(copy) is nd.memmap
    assert (copy.filename, copy.mode) == (None, None)
    array += 1
    assert type(array) is nd.memmap


def test_a_copy_is_pickled_with_its_elements() -> None:
    array = nd.open_memmap("x.npy", "w+", dtype="<f8", shape=(3, 2))
    again = pickle.loads(pickle.dumps(array + 2))
    assert again.tolist() == [[2, 2]] * 3


def test_an_archive_is_mapped_and_a_compressed_one_is_an_error() -> None:
    nd.savez("x.npz", np.arange(3), odd=np.zeros((1, 3), "u1"), b=np.eye(3, order="F"))
    archive = nd.load("x.npz", mmap_mode="r")
    assert sorted(archive) == ["arr_0", "b", "odd"]
    for name, array in archive.items():
        assert isinstance(array, np.memmap)
        assert array.offset % 64 == 0
        assert np.array_equal(array, np.load("x.npz")[name])
    np.savez_compressed("y.npz", x=np.arange(1000))
    with pytest.raises(ValueError, match="compressed"):
        nd.load("y.npz", mmap_mode="r")["x"]
    with pytest.raises(KeyError):
        archive["none"]
    np.savez("z.npz", a=np.zeros(1, "u1"), b=np.arange(5.0))
    assert nd.load("z.npz", mmap_mode="c")["b"].tolist() == [0, 1, 2, 3, 4]


def test_load_without_a_mode_is_numpys() -> None:
    nd.save("x", np.arange(4))
    assert type(nd.load("x.npy")) is np.ndarray
    nd.save("o.npy", np.array([{}], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        nd.load("o.npy")
    assert nd.load("o.npy", allow_pickle=True).tolist() == [{}]
    with pytest.raises(ValueError, match=r"w\+"):
        nd.load("x.npy", mmap_mode="w+")


def test_save_keeps_the_old_file_when_somebody_has_it() -> None:
    nd.save("x.npy", np.arange(4))
    with nd.open("x.npy"), pytest.raises(BlockingIOError):
        nd.save("x.npy", np.zeros(9))
    assert np.load("x.npy").tolist() == [0, 1, 2, 3]


def test_a_file_object_is_mapped_from_its_start() -> None:
    with open("x.bin", "w+b") as file:
        array = nd.memmap(file, "<f4", "w+", shape=(3,))
        array[1] = 2
        array.flush()
        assert array.filename == os.path.abspath("x.bin")
    assert np.fromfile("x.bin", "<f4").tolist() == [0, 2, 0]
