"""Every test runs with the shapes in frugal's signatures checked at each call."""

import os
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import config, install_import_hook

install_import_hook("frugal", "beartype.beartype")  # before the first import of frugal

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)

pytest_plugins = ["tests.browsing"]


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Switch the shape checks off: what a user without them sees when the input is bad."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
