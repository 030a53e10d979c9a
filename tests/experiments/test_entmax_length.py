"""The experiment on entmax and length: its books, its scales, equal tries."""

import math

import pytest
import torch

from experiments.layers import entmax_length as experiment
from frugal.attention.entmax import EntmaxAttention
from frugal.attention.softmax import softmax_attention
from frugal.data.sequences import IGNORE
from frugal.model import TransformerConfig
from tests.experiments.small import small, values_of

QUESTIONS = experiment.QUESTIONS


def test_a_question_has_one_entry_of_its_name_and_that_holds_the_answer():
    names, numbers, answers = experiment.book(20, 1024, torch.Generator().manual_seed(0))
    for name, number, answer in zip(names, numbers, answers, strict=True):
        assert len(set(name[QUESTIONS:].tolist())) == 1024 - QUESTIONS
        assert (number[:QUESTIONS] == 0).all()
        assert number[QUESTIONS:].min() > 0
        assert (answer[QUESTIONS:] == IGNORE).all()
        for asked, wanted in zip(name[:QUESTIONS], answer[:QUESTIONS], strict=True):
            (place,) = (name[QUESTIONS:] == asked).nonzero()[0]
            assert number[QUESTIONS + place] - 1 == wanted


def test_every_kind_gets_the_same_rates():
    rates = {}
    for one in experiment.settings().values():
        if one["task"] == "length":
            rates.setdefault(one["kind"], []).append(one["lr"])
    assert list(rates) == list(experiment.KINDS)
    assert all(tried == list(experiment.RATES) for tried in rates.values())


def test_scores_that_grow_start_as_softmax_at_the_longest_book_of_training():
    attend = experiment.ScaledAttention(softmax_attention, 2, 8, adaptive=False)
    q, k, v = torch.randn(3, 1, 2, experiment.LONGEST, 8)
    torch.testing.assert_close(attend(q, k, v), softmax_attention(q, k, v))
    twice = attend.scaled(q, experiment.LONGEST**2)
    torch.testing.assert_close(twice, 2 * q)


def test_the_adaptive_scale_is_one_and_beta_times_a_power_of_the_logarithm():
    attend = experiment.ScaledAttention(EntmaxAttention(1), 1, 4, adaptive=True)
    q = torch.randn(1, 1, 1, 4)
    beta = math.log1p(math.exp((q.flatten() @ attend.beta.flatten()).item()))
    gamma = 2 * math.tanh((q.flatten() @ attend.gamma.flatten()).item())
    expected = q * (1 + beta * math.log(500) ** gamma)
    torch.testing.assert_close(attend.scaled(q, 500), expected)


@pytest.mark.parametrize("kind", [*experiment.KINDS, "learned"])
def test_what_is_recorded_is_what_attends(kind):
    config = TransformerConfig(1, d_model=16, n_heads=2)
    attend = experiment.attend_of(kind, config)
    q, k, v = torch.randn(3, 2, 2, 30, 8)
    weights = getattr(attend, "weights", experiment.attention_weights)(q, k)
    torch.testing.assert_close(weights @ v, attend(q, k, v))


def test_the_entry_asked_for_is_what_the_weight_is_of(monkeypatch):
    model = experiment.Reader("softmax")
    looked = torch.zeros(8, 4, 64, 64)
    looked[..., range(QUESTIONS), range(QUESTIONS, 2 * QUESTIONS)] = 0.75
    looked[..., :QUESTIONS, 40] = 0.25
    monkeypatch.setattr(experiment, "attention_weights", None)
    for layer in model.encoder.stack.layers:
        monkeypatch.setattr(layer.mix.sublayer, "weights", lambda q, k, options: looked)
    found = experiment.read(model, 64, 64, seed=0)
    assert found["weight"] == pytest.approx(0.75)
    assert found["seen"] == pytest.approx(2 / 64)


@pytest.mark.parametrize("name", ["length-entmax-scaled-0.01", "dates-learned"])
def test_a_run_gives_what_the_chapter_reads(name):
    found = values_of(small("entmax_length"), name)
    if name.startswith("dates"):
        assert len(found["alphas"]) == len(found["moments"]) == 1 + len(found["curve"])
        assert len(found["alphas"][0]) == 16
        assert found["alphas"][0] == pytest.approx([1.5] * 16)
    else:
        assert len(found["right"]) == len(found["loss"]) == len(found["lengths"])
        assert found["asked"] == 64
