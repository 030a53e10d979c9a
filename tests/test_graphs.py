"""In a graph every public attention, mixer and stack is what it is outside: see `tests.graphs`.

Each kind is tried by a process of its own, in which no checks of shapes break the graphs.
"""

import json
import os
import subprocess
import sys
from functools import cache

import pytest

from tests.graphs import KINDS, registry

SUBJECTS = [(kind, name) for kind in KINDS for name in registry(kind)]


@cache
def found(kind: str) -> dict[str, dict]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.graphs", kind],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([p for p in sys.path if p])},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return {line["name"]: line for line in map(json.loads, run.stdout.splitlines())}


@pytest.mark.timeout(1800)  # the first of a kind waits for all of them
@pytest.mark.parametrize(("kind", "name"), SUBJECTS, ids=lambda one: one)
def test_exported_and_compiled_it_is_the_same(kind, name):
    """At two lengths in a row; a reason why not is listed, and is in the error."""
    subject, tried = registry(kind)[name], found(kind)[name]
    assert subject.unexported in tried["export"]
    assert bool(tried["export"]) == bool(subject.unexported), tried["export"]
    assert not tried["compile"]
    assert tried["breaks"] == subject.breaks


def test_at_most_one_break_per_layer_and_none_for_most():
    broken = {key: registry(key[0])[key[1]].breaks for key in SUBJECTS}
    assert max(broken.values()) <= 1
    assert sum(map(bool, broken.values())) <= 5, "where the data force one, or a backward pass"
