"""Every test runs with the shapes in frugal's signatures checked at each call."""

import gc
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import config, install_import_hook

if find_spec("beartype") is not None:  # a machine for the GPU's tests may have little beside torch
    install_import_hook("frugal", "beartype.beartype")  # before the first import of frugal

import pytest
import torch

HERE = Path(__file__).parent

torch.set_num_threads(1)

# a machine for the GPU's tests has no browser, and needs none
pytest_plugins = ["tests.browsing"] if find_spec("playwright") else []


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Notebooks and pages have no part in `-m cuda`, and their folders need much else."""
    apart = collection_path.name in ("labs", "site") and collection_path.parent == HERE
    return True if apart and config.getoption("markexpr") == "cuda" else None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Under `-m cuda` a file whose packages are not installed is left out, and said to be.

    Everywhere else it stays an error.
    """
    report = yield
    missing = report.failed and "ModuleNotFoundError: No module named" in str(report.longrepr)
    if missing and collector.config.getoption("markexpr") == "cuda":
        why = str(report.longrepr).rpartition("ModuleNotFoundError: ")[2].splitlines()[0]
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, f"Skipped: {why}")
    return report


def pytest_collection_finish() -> None:
    _forget_and_keep()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is not None and nextitem.path != item.path:
        _forget_and_keep()


def _forget_and_keep() -> None:
    """What is imported, collected and compiled stays, and no garbage collector needs to see it.

    There are millions of such objects. A bench that collects before every call would walk through
    all of them each time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Switch the shape checks off: what a user without them sees when the input is bad."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
