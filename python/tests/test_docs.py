"""The examples of the docstrings and of the pages, run as they stand."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import ndstore

MODULES = ["ndstore", *(f"ndstore.{module.name}" for module in pkgutil.iter_modules(ndstore.__path__))]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", [name for name in MODULES if name != "ndstore._ndstore"])
def test_the_examples_of_the_docstrings_hold(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert found.failed == 0


def test_every_public_name_has_an_example_or_is_an_error() -> None:
    without = [
        name
        for name in ndstore.__all__
        if ">>>" not in (getattr(ndstore, name).__doc__ or "") and not name.endswith("Error")
    ]
    assert set(without) <= {"Info", "NpzFile", "Verification"}


PAGES = sorted(Path(__file__).parent.parent.glob("docs/*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_the_pages_hold(page: Path) -> None:
    found = doctest.testfile(str(page), module_relative=False, optionflags=FLAGS)
    assert found.failed == 0
    assert found.attempted > 0
