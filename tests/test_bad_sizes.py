"""A size, a share or a list of layers that is none is refused in one sentence when a part is made.

Every public module that is made from numbers is tried with all of `WRONG` in place of each.
"""

import inspect
import json
import math
import re
import subprocess
import sys
import types
import typing
from pathlib import Path
from typing import Any

from torch import nn

from frugal import TransformerConfig
from frugal.attention.patterns import PatternAttention
from frugal.feedforward.dense import DenseFeedForward
from frugal.model import TransformerLayer
from tests.layer_contract import public_classes

CONFIG = TransformerConfig(vocab_size=11, d_model=16, n_heads=2, n_layers=2)
FITTING: dict[str, Any] = {
    "bucket_size": 4, "block_size": 4, "config": CONFIG, "d_ff": 32, "d_model": 16,
    "depths": (1, 1), "head_dim": 8, "kernel_size": 3, "length": 8, "mask": 0, "max_blocks": 4,
    "max_length": 16, "max_span": 8, "max_target_length": 8, "n_classes": 3, "n_experts": 4,
    "n_exits": 2, "n_features": 8, "n_hashes": 2, "n_heads": 2, "n_keys": 64, "n_latents": 3,
    "network": DenseFeedForward(16, 32), "patience": 2, "rank": 3, "size": 4, "threshold": 0.5,
    "vocab_size": 11, "width": 4, "window": 4, "n_words": 5,
}  # fmt: skip
"""Arguments that fit each other, by the name that all parts of the library give them."""
WRONG = {int: ("3", [], (2,), math.nan, 1.5, True, -1), float: ("3", [], (2,), math.nan, True)}
"""What is no number of that kind. No part of the library counts below 0."""


SAID_AS = {"layers": "layers?", "d_model": "d_(model|latent)"}
NO_LAYERS = (0, "layers", [1, 2], None)
ROOT = Path(__file__).parents[1]


def layers() -> list[nn.Module]:
    return [TransformerLayer(CONFIG, index) for index in range(2)]


def made_of(kind: Any) -> dict[str, Any] | None:
    """Arguments that make one, or None where it is made from what is not known here."""
    parameters = inspect.signature(kind).parameters.values()
    asked = [one.name for one in parameters if one.default is one.empty and one.kind in (1, 3)]
    known = FITTING | {"layers": layers()}
    return {name: known[name] for name in asked} if set(asked) <= set(known) else None


def numbers_of(kind: Any) -> dict[str, type]:
    """The parameters that are a number, and which; None may be allowed beside it."""
    found = {}
    for name, hint in typing.get_type_hints(kind.__init__).items():
        union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
        options = set(typing.get_args(hint)) if union else {hint}
        options -= {type(None)}
        if options and options <= {int, float}:
            found[name] = float if float in options else int
    return found


MADE = {
    kind.__name__: (kind, arguments)
    for kind in public_classes()
    if issubclass(kind, nn.Module) and (arguments := made_of(kind)) is not None
}
MADE["PatternAttention"] = (PatternAttention, {"name": "window", "window": 4})
CASES = [(name, parameter) for name, (kind, _) in MADE.items() for parameter in numbers_of(kind)]


def tried() -> dict[str, str]:
    """What each wrong argument was answered with, where that was no sentence about it."""
    faults = {}
    for name, (kind, arguments) in MADE.items():
        wrong = {one: WRONG[number] for one, number in numbers_of(kind).items()}
        wrong |= {"layers": NO_LAYERS} if "layers" in arguments else {}
        for parameter, value in ((one, value) for one in wrong for value in wrong[one]):
            sentence = rf"[^\n]*\b{SAID_AS.get(parameter, parameter)}\b[^\n]*\."
            try:
                kind(**arguments | {parameter: value})
                faults[f"{name}({parameter}={value!r})"] = "was taken"
            except Exception as error:
                if type(error) is not ValueError or not re.fullmatch(sentence, str(error)):
                    told = f"{type(error).__name__}: {error}"
                    faults[f"{name}({parameter}={value!r})"] = told
    return faults


def test_what_fits_is_made():
    for kind, arguments in MADE.values():
        kind(**arguments)
    assert len(MADE) > 35
    assert sum(len(numbers_of(kind)) for kind, _ in MADE.values()) > 100


def test_a_number_that_is_none_is_refused_in_one_sentence():
    """In a process of its own: the tests' own checks of types would answer first."""
    command = [sys.executable, "-m", "tests.test_bad_sizes"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == {}


if __name__ == "__main__":
    print(json.dumps(tried(), indent=1))
