import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frugal.data import IGNORE, accuracy, copying, recall, retrieval, sources
from frugal.data.source import MissingSource, Source

DRAWS = {
    "copying": lambda **o: copying.draw(4, n=5, **o),
    "recall": lambda **o: recall.draw(4, n_pairs=3, length=20, **o),
    "retrieval": lambda **o: retrieval.draw(4, n_pairs=3, n_queries=2, **o),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_the_seed_decides_and_nothing_else(draw):
    torch.manual_seed(0)
    first = draw(seed=1)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    again = draw(seed=torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.inputs, draw(seed=2).inputs)
    assert draw(seed=1, device="meta").targets.device.type == "meta"


@given(st.integers(1, 6), st.integers(1, 20), st.integers(1, 9), st.integers(0, 99))
def test_copying_repeats_what_came_before_the_mark(batch, n, n_symbols, seed):
    inputs, targets = copying.draw(batch, n=n, n_symbols=n_symbols, seed=seed)
    assert inputs.shape == targets.shape == (batch, 2 * n)
    assert (targets[:, :n] == IGNORE).all()
    assert torch.equal(targets[:, n:], inputs[:, :n])
    assert (inputs[:, n] == copying.MARK).all()
    assert torch.equal(inputs[:, n + 1 :], targets[:, n:-1])
    assert inputs[:, :n].min() >= 1
    assert inputs.max() <= n_symbols


@given(st.integers(1, 6), st.integers(0, 10), st.booleans(), st.floats(0.05, 1), st.integers(0, 99))
def test_recall_asks_each_key_once_for_its_value(n_pairs, more, noise, power, seed):
    length = 4 * n_pairs + 2 * more
    inputs, targets = recall.draw(
        8, n_pairs=n_pairs, length=length, n_symbols=16, noise=noise, power=power, seed=seed
    )
    for row, wanted in zip(inputs.tolist(), targets.tolist(), strict=True):
        pairs = dict(zip(row[0 : 2 * n_pairs : 2], row[1 : 2 * n_pairs : 2], strict=True))
        assert len(pairs) == n_pairs
        assert len(set(pairs.values())) == n_pairs
        assert all(1 <= key < 8 <= value < 16 for key, value in pairs.items())
        asked = [i for i, target in enumerate(wanted) if target != IGNORE]
        assert len(asked) == n_pairs
        assert min(asked) >= 2 * n_pairs
        assert all(i % 2 == 0 for i in asked)
        assert {row[i]: wanted[i] for i in asked} == pairs
        rest = [row[i] for i in range(2 * n_pairs, length) if i not in asked]
        assert all(1 <= r < 16 if noise else r == 0 for r in rest)


def test_a_small_power_asks_early():
    def mean_slot(power):
        _, targets = recall.draw(2000, n_pairs=1, length=42, power=power)
        return ((targets != IGNORE).int().argmax(dim=1) - 2).double().mean().item() / 2

    slots = torch.arange(1, 21, dtype=torch.float64)
    for power in (0.1, 1.0):
        weights = slots ** (power - 1)
        expected = ((slots - 1) * weights).sum() / weights.sum()
        assert mean_slot(power) == pytest.approx(expected.item(), abs=0.4)


@given(st.integers(1, 9), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_retrieval_asks_for_the_gold_pairs(n_pairs, n_queries, query_first, seed):
    n_queries = min(n_queries, n_pairs)
    batch = retrieval.draw(
        5, n_pairs=n_pairs, n_queries=n_queries, n_keys=9, n_values=4,
        query_first=query_first, seed=seed,
    )  # fmt: skip
    length = 2 * n_pairs + (1 + n_queries) * (1 + query_first)
    assert batch.inputs.shape == batch.targets.shape == (5, length)
    for inputs, targets, gold in zip(*(x.tolist() for x in batch), strict=True):
        first = (1 + n_queries) * query_first
        keys = inputs[first : first + 2 * n_pairs : 2]
        values = inputs[first + 1 : first + 2 * n_pairs : 2]
        assert len(set(keys)) == n_pairs
        assert all(1 <= key <= 9 < value <= 13 for key, value in zip(keys, values, strict=True))
        assert len(set(gold)) == n_queries
        assert inputs[-n_queries - 1] == retrieval.ASK
        assert inputs[-n_queries:] == [keys[g] for g in gold]
        assert targets == [IGNORE] * (length - n_queries) + [values[g] for g in gold]
        if query_first:
            assert inputs[: 1 + n_queries] == inputs[-1 - n_queries :]


def test_gold_positions_are_controlled():
    assert (retrieval.draw(6, n_pairs=5, positions=3).positions == 3).all()
    chosen = torch.tensor([[0, 4], [2, 1]])
    batch = retrieval.draw(2, n_pairs=5, n_queries=2, positions=chosen)
    assert torch.equal(batch.positions, chosen)
    only = torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    drawn = retrieval.draw(64, n_pairs=4, weights=only).positions
    assert set(drawn.flatten().tolist()) == {1, 3}
    uniform = retrieval.draw(4000, n_pairs=4).positions.flatten().bincount(minlength=4)
    assert (uniform > 850).all()


def test_edge_weights_are_the_shares_they_promise():
    weights = retrieval.edge_weights(30)
    assert weights.sum().item() == pytest.approx(1.0)
    assert weights[:10].sum().item() == pytest.approx(0.315 + 1 / 30, abs=0.01)
    assert weights[-10:].sum().item() == pytest.approx(0.585 + 1 / 30, abs=0.01)
    assert weights[15] < 0.01 < weights[0] < weights[-1]
    assert (weights[0] / weights[1]).item() == pytest.approx(2.718**0.5, rel=0.05)
    flat = retrieval.edge_weights(7, start=0, end=0)
    assert flat.tolist() == pytest.approx([1 / 7] * 7)


def test_accuracy_counts_only_what_was_asked():
    logits = torch.eye(4)[None, [0, 1, 2, 3]]
    targets = torch.tensor([[0, 2, IGNORE, 3]])
    assert accuracy(logits, targets) == pytest.approx(2 / 3)
    assert accuracy(logits, torch.tensor([[0, 1, 0, 3]]), ignore=0) == 1.0
    with pytest.raises(ValueError, match="targets asks nothing"):
        accuracy(logits, torch.full((1, 4), IGNORE))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: copying.draw(0, n=3), "batch_size is 0"),
        (lambda: copying.draw(1, n=0), "n is 0"),
        (lambda: recall.draw(1, n_pairs=3, length=10), "length is 10; .* 12 or more"),
        (lambda: recall.draw(1, n_pairs=3, length=13), "length is 13; .* even"),
        (lambda: recall.draw(1, n_pairs=3, length=20, power=0.0), "power is 0.0"),
        (lambda: recall.draw(1, n_pairs=3, length=20, n_symbols=7), "n_symbols is 7; .* need 8"),
        (lambda: retrieval.draw(1, n_pairs=9, n_keys=8), "n_keys is 8"),
        (lambda: retrieval.draw(1, n_pairs=2, n_queries=3), "n_queries is 3"),
        (
            lambda: retrieval.draw(1, n_pairs=2, positions=2),
            r"positions has one beyond the pairs; each must be 0 ... 1\.",
        ),
        (
            lambda: retrieval.draw(1, n_pairs=2, positions=-1),
            r"positions has one beyond the pairs; each must be 0 ... 1\.",
        ),
        (lambda: retrieval.draw(1, n_pairs=3, n_queries=2, positions=0), r"positions has shape"),
        (
            lambda: retrieval.draw(1, n_pairs=2, weights=torch.ones(3).double()),
            "weights is no list of 2 shares; it must be one",
        ),
        (
            lambda: retrieval.draw(1, n_pairs=1, positions=0, weights=torch.ones(1).double()),
            "positions and weights are both given",
        ),
        (lambda: retrieval.edge_weights(3, start=0.6, end=0.6), r"start \+ end is 1.2"),
        (lambda: retrieval.edge_weights(3, decay=0.0), "decay is 0.0"),
    ],
)
def test_bad_arguments_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


def test_the_smallest_recall_that_fits_is_accepted():
    inputs, _ = recall.draw(2, n_pairs=3, length=12, n_symbols=8)
    assert inputs.shape == (2, 12)


def test_every_source_has_a_full_card():
    cards = sources()
    assert len(cards) == 15
    assert cards.index.is_unique
    assert (cards.map(len) > 0).all().all()
    for loader in cards["loader"]:
        module, _, function = loader.rpartition(".")
        assert callable(getattr(__import__(module, fromlist=["_"]), function))


def test_a_missing_module_is_one_sentence():
    card = Source("a", "b", "c", "d", "e", "f", "pip install it", "no_such_module_here")
    with pytest.raises(MissingSource, match=r"'a' needs no_such_module_here, .*: pip install it"):
        card.load()
