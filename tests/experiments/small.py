"""Experiments run once at the size of a test, for all that is asked of what they give."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments import runner
from frugal import results


@cache
def small(name: str) -> results.Result:
    """A result of every setting with one seed, which is whole and can be read."""
    with TemporaryDirectory() as folder:
        path = runner.record(name, seeds=1, smoke=True, folder=Path(folder), progress=False)
        result = results.load(name, folder=path.parent)
    assert result.smoke
    assert len(result.runs) == len(result.settings)
    assert all(run["values"] for run in result.runs)
    return result


def values_of(result: results.Result, setting: str) -> dict[str, Any]:
    """What the run of a setting gave."""
    (run,) = (run for run in result.runs if run["setting"] == setting)
    return run["values"]
