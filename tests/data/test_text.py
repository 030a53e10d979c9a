import sys
import types

import pytest
import torch

from frugal.data import text
from frugal.data.source import MissingSource


@pytest.fixture(scope="module")
def topics():
    return text.topics()


def paragraphs(whole: str) -> list[str]:
    return [" ".join(p.split()) for p in whole.split("\n\n") if p.strip()]


def test_the_splits_cover_the_text_and_share_no_paragraph(topics):
    parts = {split: paragraphs(getattr(topics, split)) for split in ("train", "valid", "test")}
    everything = [p for part in parts.values() for p in part]
    assert len(everything) == len(set(everything))
    sizes = [len(topics.train), len(topics.valid), len(topics.test)]
    assert sum(sizes) > 300_000
    assert 0.75 < sizes[0] / sum(sizes) < 0.85
    assert min(sizes) > 25_000
    raw = {" ".join(p.split()) for t in text.SOURCE.load().topics.values() for p in t.split("\n\n")}
    assert set(everything) <= raw
    assert sum(map(len, everything)) > 0.95 * sum(map(len, raw))


def test_the_same_text_every_time(topics):
    text._pieces.cache_clear()
    again = text.topics()
    assert again == topics
    assert len(topics.fingerprint) == 12
    assert set(topics.vocabulary.symbols[4:]) == set(topics.train)


def test_tokens_decode_to_the_text(topics):
    tokens = topics.tokens("train")
    assert topics.vocabulary.decode(tokens) == topics.train


def test_batches_are_windows_of_the_split_shifted_by_one(topics):
    make = topics.batches("valid", length=50, batch_size=7)
    batch = make(0, torch.Generator().manual_seed(0))
    assert batch.inputs.shape == batch.targets.shape == (7, 50)
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    assert torch.equal(batch.inputs, make(9, torch.Generator().manual_seed(0)).inputs)
    for inputs, targets in zip(*batch, strict=True):
        window = topics.vocabulary.decode(torch.cat([inputs, targets[-1:]]))
        assert window in topics.valid or "\N{REPLACEMENT CHARACTER}" in window
    starts = {tuple(row.tolist()) for row in batch.inputs}
    assert len(starts) == 7


def test_windows_tile_the_split(topics):
    inputs, targets = topics.windows("test", length=100)
    tokens = topics.tokens("test")
    assert torch.equal(inputs.flatten()[:100], tokens[:100])
    assert torch.equal(targets[0], tokens[1:101])
    assert torch.equal(inputs[1], tokens[100:200])
    assert len(tokens) - len(inputs) * 100 <= 100


def test_passages_are_words_of_their_topic():
    train = text.passages("train", words=30, n_topics=10)
    test = text.passages("test", words=30, n_topics=10)
    library = text.SOURCE.load().topics
    assert len({p.topic for p in train}) == 10
    assert {p.topic for p in test} <= {p.topic for p in train}
    assert not {p.text for p in train} & {p.text for p in test}
    assert all(len(p.text.split()) == 30 for p in train + test)
    for passage in test:
        assert passage.text.split()[0] in library[passage.topic]


def test_python_without_its_documentation(monkeypatch):
    text._pieces.cache_clear()
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(MissingSource, match=r"'topics' needs pydoc_data.topics.*install Python"):
        text.topics()
    empty = types.ModuleType("pydoc_data.topics")
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", empty)
    with pytest.raises(MissingSource, match=r"found no topic in pydoc_data.topics"):
        text.topics()


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda t: t.tokens("dev"), "split is 'dev'"),
        (lambda t: t.batches("valid", length=0, batch_size=1), "length is 0"),
        (lambda t: t.batches("valid", length=10**6, batch_size=1), "length is 1000000"),
        (lambda t: t.batches("valid", length=10, batch_size=0), "batch_size is 0"),
        (lambda t: text.passages("dev"), "split is 'dev'"),
        (lambda t: text.passages(words=0), "words is 0"),
        (lambda t: text.passages(n_topics=500), "n_topics is 500"),
    ],
)
def test_bad_arguments_are_named(topics, call, named):
    with pytest.raises(ValueError, match=named):
        call(topics)
