"""Random values for tests, from generators of their own.

Hidden tests may be **salted**: a course that keeps `LABTOOLS_SALT` to itself draws other hidden
values than everybody who can read this repository.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

SALT_VARIABLE = "LABTOOLS_SALT"
#: Where the salt stands in a zip for Gradescope, whose environment variables are not ours.
SALT_FILE = Path(__file__).with_name("salt.txt")

_salt = ""  # of the test that runs; empty in public tests


def course_salt() -> str:
    """The salt of this course, empty where there is none."""
    if salt := os.environ.get(SALT_VARIABLE, ""):
        return salt
    return SALT_FILE.read_text(encoding="utf-8").strip() if SALT_FILE.is_file() else ""


@contextmanager
def salted(salt: str) -> Iterator[None]:
    """Mix `salt` into the seeds of `normal` and `integers`; an empty one changes none."""
    global _salt
    before, _salt = _salt, salt
    try:
        yield
    finally:
        _salt = before


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal values of `shape`; `seed` is salted in a hidden test."""
    return torch.randn(*shape, generator=_generator(seed), dtype=dtype, device="cpu")


def integers(low: int, high: int, *shape: int, seed: int) -> Tensor:
    """Integers in `[low, high)` of `shape`; `seed` is salted in a hidden test."""
    return torch.randint(low, high, shape, generator=_generator(seed), device="cpu")


def _generator(seed: int) -> torch.Generator:
    if _salt:
        digest = hashlib.sha256(f"{_salt}:{seed}".encode()).digest()
        seed = int.from_bytes(digest[:6], "big")
    return torch.Generator(device="cpu").manual_seed(seed)
