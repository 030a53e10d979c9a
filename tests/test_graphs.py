"""In a graph every public attention, mixer and stack is what it is outside: see `tests.graphs`.

They are tried in a process of its own, in which no checks of shapes break the graphs.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.graphs import KINDS, registry

SUBJECTS = [(kind, name) for kind in KINDS for name in registry(kind)]


@pytest.fixture(scope="module")
def try_in_a_graph(tmp_path_factory) -> Iterator[Callable[[str, str], dict]]:
    """Asks one process for one subject after the other; one that has died is started anew."""
    errors = (tmp_path_factory.mktemp("graphs") / "errors.txt").open("w+")
    started: list[subprocess.Popen] = []

    def ask(kind: str, name: str) -> dict:
        if not started or started[-1].poll() is not None:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.graphs"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join([p for p in sys.path if p])},
                )
            )
        process = started[-1]
        print(kind, name, file=process.stdin, flush=True)
        answer = process.stdout.readline()
        if not answer:
            process.wait()
            errors.seek(0)
            pytest.fail(f"{kind} {name} ended the process: {errors.read()[-2000:]}")
        return json.loads(answer)

    yield ask
    for process in started:
        process.stdin.close()
        process.stdout.close()
        process.wait()
    errors.close()


@pytest.mark.parametrize(("kind", "name"), SUBJECTS, ids=lambda one: one)
def test_exported_and_compiled_it_is_the_same(try_in_a_graph, kind, name):
    """At two lengths in a row; a reason why not is listed, and is in the error."""
    subject, tried = registry(kind)[name], try_in_a_graph(kind, name)
    assert tried["name"] == name
    assert subject.unexported in tried["export"]
    assert bool(tried["export"]) == bool(subject.unexported), tried["export"]
    assert not tried["compile"]
    assert tried["breaks"] == subject.breaks


def test_at_most_one_break_per_layer_and_none_for_most():
    broken = {key: registry(key[0])[key[1]].breaks for key in SUBJECTS}
    assert max(broken.values()) <= 1
    assert sum(map(bool, broken.values())) <= 5, "where the data force one, or a backward pass"
