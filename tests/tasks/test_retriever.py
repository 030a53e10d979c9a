"""The published curves, the small retriever, and what is measured on it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from frugal.data import lost_in_the_middle as published
from frugal.data import retrieval
from frugal.data.source import MissingSource
from frugal.model import TransformerConfig
from frugal.results import mean_interval
from frugal.tasks.retriever import (
    PreviousTokenEmbedding,
    Retriever,
    accuracy_by_position,
    at_mean,
    dip,
    parts,
    retrieval_loss,
)
from frugal.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.transfer import lost_in_the_middle as experiment

CONFIG = TransformerConfig(vocab_size=1 + 16 + 8, d_model=16, n_heads=2, n_layers=1)
SIZES = {"n_keys": 16, "n_values": 8}
ARCHITECTURES = ("decoder", "bidirectional", "encoder-decoder")


# The published curves


def test_the_numbers_the_paper_prints():
    """Table 6 and Table 1, typed from the paper's text once more."""
    table = published.curves(model="GPT-3.5-Turbo (0613)", setting="standard", documents=20)
    assert table["position"].tolist() == [1, 5, 10, 15, 20]
    assert table["accuracy"].tolist() == [75.8, 57.2, 53.8, 55.4, 63.2]
    assert set(table["source"]) == {"paper Table 6 (arXiv 2307.03172v3 PDF)"}
    assert published.limits("GPT-3.5-Turbo (0613)") == {"closed_book": 56.1, "oracle": 88.3}
    pairs = published.curves(task=published.PAIRS, model="GPT-3.5-Turbo-16K (0613)", documents=300)
    assert pairs["accuracy"].tolist() == [100, 97.8, 94.8, 69.6, 45.6, 73.6, 100]
    assert published.limits("GPT-4 (0613)") == {}


def test_every_point_is_a_share_in_a_place_that_exists():
    table = published.curves()
    assert len(table) == 464
    assert table["accuracy"].between(0, 100).all()
    placed = table.dropna(subset="position")
    assert ((placed["position"] >= 1) & (placed["position"] <= placed["documents"])).all()
    assert (table["source"].str.len() > 0).all()
    # of the table it was copied from, so that a changed number shows
    assert table["accuracy"].sum() == pytest.approx(29584.98, abs=0.005)
    key = ["task", "setting", "model", "documents", "position", "source"]
    assert not table.duplicated(key).any()


def test_two_readings_of_the_same_curve_agree():
    """Figure 1 was read off its drawing, Table 6 was printed."""
    fine = published.curves(setting="standard (all 20 positions)").set_index("position")
    table = published.curves(model="GPT-3.5-Turbo (0613)", setting="standard", documents=20)
    for row in table.itertuples():
        assert fine.loc[row.position, "accuracy"] == pytest.approx(row.accuracy, abs=0.1)


def test_a_choice_that_leaves_nothing_says_what_there_is():
    with pytest.raises(ValueError, match=r"documents is 7; .* there is: .*20"):
        published.curves(documents=7)


def test_a_missing_file_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(published, "_FILE", tmp_path / "lost_in_the_middle.json")
    published.records.cache_clear()
    with pytest.raises(MissingSource, match="reinstall frugal"):
        published.records()
    published.records.cache_clear()


# The retriever


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_only_at_the_questions(architecture):
    model = Retriever(architecture, CONFIG)
    batch = retrieval.draw(3, n_pairs=5, n_queries=2, **SIZES)
    assert model(batch).shape == (3, 2, 25)
    assert retrieval_loss(model, batch).item() == pytest.approx(
        nn.functional.cross_entropy(
            model(batch).flatten(0, 1), batch.targets[:, -2:].flatten()
        ).item()
    )


def test_the_embedding_carries_the_token_before():
    embedding = PreviousTokenEmbedding(9, 4)
    ids = torch.tensor([[3, 5, 5, 8]])
    plain = embedding.table[ids] * 2  # times the root of the width
    before = torch.cat([torch.zeros(1, 1, 4), embedding.before(plain[:, :-1])], dim=1)
    torch.testing.assert_close(embedding(ids), plain + before)


@pytest.mark.parametrize(("architecture", "changes"), [("decoder", False), ("bidirectional", True)])
def test_only_a_decoder_is_blind_to_what_follows(architecture, changes):
    model = Retriever(architecture, CONFIG).eval()
    batch = retrieval.draw(1, n_pairs=4, n_queries=2, **SIZES)
    other = batch.inputs.clone()
    other[0, -1] = other[0, 0]  # another last question
    with torch.no_grad():
        first = model(batch)[0, 0]
        again = model(batch._replace(inputs=other))[0, 0]
    assert torch.equal(first, again) != changes


def test_the_answering_half_sees_only_the_questions():
    """The encoder gets what stands before them, the decoder the rest."""
    model = Retriever("encoder-decoder", CONFIG)
    seen = {}
    for name in ("encoder", "decoder"):
        part = getattr(model.model, name)
        part.register_forward_pre_hook(lambda _, ids, name=name: seen.update({name: ids[0]}))
    batch = retrieval.draw(2, n_pairs=4, n_queries=2, query_first=True, **SIZES)
    model(batch)
    assert torch.equal(seen["encoder"], batch.inputs[:, :-3])
    assert torch.equal(seen["decoder"], batch.inputs[:, -3:])
    assert (seen["decoder"][:, 0] == retrieval.ASK).all()


def test_an_unknown_architecture(unchecked):
    with pytest.raises(ValueError, match="architecture is 'prefix'; it must be one of 'decoder'"):
        Retriever("prefix", CONFIG)


def test_a_retriever_learns_to_retrieve():
    torch.manual_seed(0)
    model = Retriever("decoder", CONFIG)

    def batch(step, generator):
        return retrieval.draw(32, n_pairs=4, n_queries=2, seed=generator, **SIZES)

    options = {"n_pairs": 4, "n_queries": 2, "examples": 100, **SIZES}
    before = accuracy_by_position(model, **options).mean()
    train(model, batch, retrieval_loss, steps=250, lr=1e-2, warmup=20, progress=False)
    after = accuracy_by_position(model, **options)
    assert before < 0.3
    assert after.min() > 0.9


# What is measured


class Knows(nn.Module):
    """Answers rightly for some places, by reading the answer off the batch."""

    def __init__(self, places):
        super().__init__()
        self.places = nn.Parameter(torch.tensor(places))

    def forward(self, batch):
        n_queries = batch.positions.shape[1]
        target = batch.targets[:, -n_queries:]
        known = (batch.positions[..., None] == self.places).any(-1)
        answer = torch.where(known, target, target % 24 + 1)
        return nn.functional.one_hot(answer, 25).float()


@pytest.mark.parametrize("n_queries", [1, 3])
def test_accuracy_stands_at_its_place(n_queries):
    model = Knows([0.0, 4.0])
    found = accuracy_by_position(model, n_pairs=6, n_queries=n_queries, examples=7, **SIZES)
    assert found.tolist() == [1, 0, 0, 0, 1, 0]


def test_accuracy_by_position_is_reproducible_and_leaves_the_mode():
    model = Retriever("decoder", CONFIG).train()
    first = accuracy_by_position(model, n_pairs=6, examples=20, seed=3, **SIZES)
    assert torch.equal(first, accuracy_by_position(model, n_pairs=6, examples=20, seed=3, **SIZES))
    assert model.training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_queries": 4}, "n_queries is 4; it must be at least 1 and divide n_pairs=6"),
        ({"examples": 0}, "examples is 0; each place is asked for at least once"),
        ({"n_keys": 3}, "n_keys is 3; 6 pairs need as many different keys"),
    ],
)
def test_accuracy_of_bad_input(options, message):
    model = Retriever("decoder", CONFIG)
    with pytest.raises(ValueError, match=message):
        accuracy_by_position(model, **({"n_pairs": 6, **SIZES} | options))


def test_the_dip_of_curves_drawn_by_hand():
    flat, deep = torch.full((30,), 0.7), torch.zeros(30)
    deep[:6] = deep[24:] = 1
    assert dip(flat) == pytest.approx(0, abs=1e-6)
    assert dip(deep) == 1
    middle = torch.ones(30)
    middle[10:20] = 0
    assert dip(torch.stack([flat, deep, middle])).tolist() == pytest.approx([0, 1, 1], abs=1e-6)
    one_sided = torch.zeros(30)
    one_sided[24:] = 1
    assert dip(one_sided) == 0.5
    with pytest.raises(ValueError, match="accuracy has 4 places"):
        dip(torch.zeros(4))


def test_the_parts_of_a_curve():
    accuracy = torch.zeros(30)
    accuracy[:6], accuracy[10:20], accuracy[24:] = 0.5, 0.25, 1
    assert [part.item() for part in parts(accuracy)] == [0.5, 0.25, 1]
    assert parts(accuracy.expand(2, 30)).last.tolist() == [1, 1]


def test_curves_at_equal_mean_accuracy():
    """One seed passes the level between two moments, one begins above it, one never gets there."""
    passes = [[0.0, 0.2], [0.2, 0.4], [0.4, 1.0]]  # means 0.1, 0.3, 0.7
    begins = [[1.0, 0.4], [1.0, 1.0], [1.0, 1.0]]
    never = [[0.0, 0.0], [0.4, 0.4], [0.0, 0.9]]
    found = at_mean(torch.tensor([passes, begins, never], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.7], [1.0, 0.4]], dtype=torch.float64))
    assert at_mean(torch.zeros(2, 3, 4)).shape == (0, 4)


def test_an_interval_over_seeds():
    """Student's t for 5 values: 2.776 standard errors to each side."""
    values = np.array([[1.0, 0.5], [2.0, 0.5], [3.0, 0.5], [4.0, 0.5], [5.0, 0.5]])
    mean, low, high = mean_interval(values)
    reach = 2.7764451 * np.std(values[:, 0], ddof=1) / 5**0.5
    assert mean.tolist() == [3, 0.5]
    np.testing.assert_allclose(high - mean, [reach, 0], atol=1e-6)
    np.testing.assert_allclose(mean - low, [reach, 0], atol=1e-6)
    with pytest.raises(ValueError, match="values has 1 seeds"):
        mean_interval([1.0])
    with pytest.raises(ValueError, match=r"confidence is 95\.0"):
        mean_interval([1.0, 2.0], confidence=95.0)


# The experiment


def test_training_asks_where_the_setting_says():
    settings = experiment.settings()
    generator = torch.Generator().manual_seed(0)
    counts = {}
    for name in ("ends", "last", "anywhere"):
        draw = experiment.make_batches(settings[f"{name}-decoder-learned"])
        asked = torch.cat([draw(0, generator).positions.flatten() for _ in range(60)])
        counts[name] = torch.bincount(asked, minlength=30) / len(asked)
    assert counts["ends"][10:20].sum() < 0.1
    assert counts["ends"][:6].sum() > 0.25
    assert counts["ends"][24:].sum() > 0.4
    assert counts["last"][24:].sum() > 0.8
    assert (counts["anywhere"] - 1 / 30).abs().max() < 0.01
    short = experiment.make_batches(settings["short-decoder-learned"])
    pairs = {(short(0, generator).inputs.shape[1] - 4) // 2 for _ in range(200)}
    assert (min(pairs), max(pairs)) == experiment.SHORT


def test_the_questions_come_first_where_the_setting_says():
    setting = experiment.settings()["first-ends-decoder-learned"]
    batch = experiment.make_batches(setting)(0, torch.Generator().manual_seed(0))
    assert torch.equal(batch.inputs[:, :4], batch.inputs[:, -4:])
