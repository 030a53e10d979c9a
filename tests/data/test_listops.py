import re
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.data import listops

SMALL = {"max_depth": 4, "max_args": 4, "min_length": 5, "max_length": 40}


def python_value(text: str) -> int:
    """The same expression, evaluated by Python's own parser."""
    names = {"MIN": "min", "MAX": "max", "MED": "med", "SM": "sm"}
    code = re.sub(r"\[(\w+)", lambda m: f"{names[m[1]]}([", text)
    code = code.replace("]", "])").replace(" ", ",").replace("[,", "[").replace(",])", "])")
    code = re.sub(r"\(\[\(\[", "([", code)
    scope = {"min": min, "max": max, "med": lambda v: int(statistics.median(v))}
    return eval(code, scope | {"sm": lambda v: sum(v) % 10})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("[MAX 2 9 [MIN 4 7 ] 0 ]", 9),
        ("[MIN 3 [SM 5 6 ] ]", 1),
        ("[MED 1 2 9 ]", 2),
        ("[MED 1 4 ]", 2),  # 2.5 rounded down
        ("[MED 0 3 4 9 ]", 3),
        ("[SM 9 9 9 ]", 7),
        ("[SM [MAX 1 2 ] [MED 8 3 5 ] [MIN 6 4 ] ]", 1),
    ],
)
def test_values_by_hand(text, value):
    assert listops.evaluate(text) == value


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_values_agree_with_python(seed):
    for example in listops.expressions(5, seed=seed, **SMALL):
        assert example.value == listops.evaluate(example.text) == python_value(example.text)
        assert 0 <= example.value <= 9


def test_limits_are_kept():
    drawn = listops.expressions(300, **SMALL)
    assert len({e.text for e in drawn}) == 300
    lengths = [len(e.text.split()) for e in drawn]
    assert min(lengths) > 5
    assert max(lengths) < 40
    assert max(lengths) > 30
    for example in drawn:
        depth = deepest = 0
        arguments = [0]
        for word in example.text.split():
            if word.startswith("["):
                arguments[-1] += 1
                arguments.append(0)
                depth += 1
            elif word == "]":
                assert 2 <= arguments.pop() <= 4
                depth -= 1
            else:
                arguments[-1] += 1
            deepest = max(deepest, depth)
        assert example.depth == deepest <= 3
    assert {e.depth for e in drawn} == {1, 2, 3}


def test_the_distribution_is_that_of_the_arena():
    # without a lower limit on length, three draws in four are a bare digit: the ten digits are
    # soon all taken, and of the lists half the arguments of depth 1 are uniform digits
    drawn = listops.expressions(4000, max_depth=2, max_args=5, min_length=1, max_length=100, seed=3)
    words = [word for e in drawn for word in e.text.split()]
    operations = [words.count(name) / len(drawn) for name in listops.OPERATIONS]
    assert all(abs(share - 0.25) < 0.03 for share in operations)
    arguments = [len(e.text.split()) - 2 for e in drawn]
    # two arguments are drawn as often as five, but only 100 of them are different
    assert all(abs(arguments.count(n) / arguments.count(5) - 1) < 0.2 for n in (4,))
    deep = listops.expressions(2000, max_depth=3, max_args=2, min_length=3, max_length=100, seed=3)
    # 2 arguments, each a list with chance 1/4; both digits are excluded by the length
    both = sum(e.text.count("[") == 3 for e in deep) / len(deep)
    assert both == pytest.approx((1 / 16) / (1 - 9 / 16), abs=0.03)


def test_the_arenas_own_size():
    drawn = listops.expressions(3)
    assert all(500 < len(e.text.split()) < 2000 for e in drawn)
    assert all(listops.evaluate(e.text) == e.value for e in drawn)


def test_the_splits_share_nothing_and_the_seed_decides():
    parts = {
        s: {e.text for e in listops.expressions(200, s, seed=5, **SMALL)}
        for s in ("train", "valid", "test")
    }
    assert not parts["train"] & parts["test"]
    assert not parts["train"] & parts["valid"]
    assert not parts["valid"] & parts["test"]
    first, again = (listops.expressions(9, seed=5, **SMALL) for _ in range(2))
    assert first == again
    assert first == listops.expressions(9, seed=torch.Generator().manual_seed(5), **SMALL)
    assert first != listops.expressions(9, seed=6, **SMALL)


def test_encode():
    drawn = listops.expressions(6, **SMALL)
    batch = listops.encode(drawn)
    assert listops.VOCABULARY.decode(batch.tokens) == [e.text for e in drawn]
    assert batch.padding.sum(dim=1).tolist() == [len(e.text.split()) for e in drawn]
    assert batch.values.tolist() == [e.value for e in drawn]
    assert len(listops.VOCABULARY) == 4 + 15
    assert listops.encode(drawn, length=64).tokens.shape == (6, 64)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: listops.expressions(1, "dev"), "split is 'dev'"),
        (lambda: listops.expressions(0), "n is 0"),
        (lambda: listops.expressions(1, max_args=1), "max_args is 1"),
        (lambda: listops.expressions(1, max_depth=0), "max_depth is 0"),
        (lambda: listops.expressions(1, min_length=9, max_length=10), "min_length is 9"),
        (lambda: listops.expressions(1, max_depth=2, max_args=2), "hardly any tree"),
        (lambda: listops.evaluate("[MAX 1 2"), "no whole expression; it must be one"),
        (lambda: listops.evaluate("1 2"), "no whole expression; it must be one"),
        (lambda: listops.evaluate(""), "no whole expression; it must be one"),
        (lambda: listops.evaluate("[MAX ]"), "']'"),
        (lambda: listops.evaluate("[AVG 1 2 ]"), "AVG"),
        (lambda: listops.evaluate("1 ]"), "']'"),
    ],
)
def test_bad_arguments_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
