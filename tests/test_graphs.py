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


FLAGGED = """
import torch
from frugal.attention.patterns import attention as patterns
from tests.graphs import breaks, same

torch.set_num_threads(1)
q, k, v = torch.randn(3, 2, 2, 140, 8)
options = {"window": 3, "causal": True, "global_tokens": (torch.arange(140) == 5).expand(2, -1)}
for of_a_gpu in (False, True):
    if of_a_gpu:
        patterns.in_pieces = lambda q: False
    torch._dynamo.reset()
    compiled, found = torch.compile(patterns.sliding_window_attention, backend="aot_eager"), []
    with torch.no_grad():
        print(breaks(lambda: found.append(compiled(q, k, v, **options))))
        same(found, [patterns.sliding_window_attention(q, k, v, **options)])
"""


def test_global_tokens_of_the_data_break_a_graph_in_one_place():
    """How many there are is in the data; on a GPU the rule of the kernel reads them.

    Torch counts the place once for each function around it. At fixed places, "window+global", there
    is none.
    """
    where = os.environ | {"PYTHONPATH": os.pathsep.join([p for p in sys.path if p])}
    command = [sys.executable, "-W", "ignore", "-c", FLAGGED]
    done = subprocess.run(command, env=where, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", "2"], done.stderr
