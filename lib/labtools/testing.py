"""What the tests of a lab are written with: expectations that fail in words, values, fakes."""

from labtools.clock import FakeClock
from labtools.expect import (
    expect,
    expect_close,
    expect_equal,
    expect_number,
    expect_pair,
    expect_raises,
    expect_tensor,
    expect_whole,
)
from labtools.failure import Failure
from labtools.fakes import Fake
from labtools.forbid import Forbidden, forbid
from labtools.values import integers, normal

__all__ = [
    "Failure",
    "Fake",
    "FakeClock",
    "Forbidden",
    "expect",
    "expect_close",
    "expect_equal",
    "expect_number",
    "expect_pair",
    "expect_raises",
    "expect_tensor",
    "expect_whole",
    "forbid",
    "integers",
    "normal",
]
