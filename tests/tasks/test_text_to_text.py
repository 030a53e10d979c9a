"""Text to text: ids by frequency, batches, training, and what is read off a model."""

import math
from collections import Counter
from itertools import islice

import pytest
import torch

from frugal import transfer
from frugal.data.corruption import restore
from frugal.data.docstring_tasks import Example
from frugal.model import EncoderDecoder, TransformerConfig
from frugal.tasks import text_to_text
from frugal.tasks.text_to_text import EOS, PAD, Batch, Vocabulary
from tests.threads import run_beside

TEXTS = ["the cat and the dog and the cow", "the end of the tale", "an élan of the cat"] * 20


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary(TEXTS, size=300, n_sentinels=6)


def model_of(vocabulary, name="Vanilla Transformer"):
    size = transfer.BOOK.changed(
        {"vocab_size": vocabulary.size, "d_model": 24, "head_dim": 4, "d_ff": 48, "n_layers": 1}
    )
    torch.manual_seed(0)
    return transfer.build(name, size=size)


def test_text_comes_back_and_frequent_tokens_have_small_ids(vocabulary):
    for text in [*TEXTS[:3], "unseen: ßøæ 123"]:
        assert vocabulary.decode(vocabulary.encode(text)) == text
        assert all(EOS < i < 300 - 6 for i in vocabulary.encode(text))
    counts = Counter(i for text in TEXTS for i in vocabulary.encode(text))
    numbers = [counts[i] for i in range(2, 300 - 6)]
    assert numbers == sorted(numbers, reverse=True)
    assert vocabulary.sentinels == list(range(294, 300))
    the = vocabulary.encode("cow")
    assert vocabulary.decode([*the, 295, EOS, *the]) == "cow"


def test_pairs_are_cut_and_end(vocabulary):
    pairs = [Example("the cat", "the dog"), Example("and the end of the tale of the cow", "cow")]
    batch = text_to_text.encoded(pairs, vocabulary, n_source=6, n_target=4)
    assert batch.source.shape[1] <= 6
    assert batch.labels.shape[1] <= 4
    for labels, target, mask in zip(batch.labels, batch.target, batch.target_padding, strict=True):
        assert labels[mask][-1] == EOS
        assert target[0] == PAD
        assert torch.equal(target[1:], labels[:-1])
    assert len(batch.rows(torch.tensor([1, 1, 1]))) == 3


def test_windows_and_what_is_taken_out_of_them(vocabulary):
    rows = text_to_text.windows(TEXTS, vocabulary, length=20)
    assert rows.shape[1] == 20
    assert (rows == EOS).any()
    batch = text_to_text.corrupted(rows[:4], vocabulary, torch.Generator().manual_seed(0))
    for row, source, labels in zip(rows, batch.source, batch.labels, strict=False):
        assert labels[-1] == EOS
        again = restore(source.tolist(), labels[:-1].tolist(), vocabulary.sentinels)
        assert again == row.tolist()
    with pytest.raises(ValueError, match=r"texts has \d tokens; one window needs 9"):
        text_to_text.windows(["cow"], vocabulary, length=9)


def batch_of(vocabulary) -> Batch:
    pairs = [Example("the cat", "the dog"), Example("the end of the tale", "cow")]
    return text_to_text.encoded(pairs, vocabulary, n_source=12, n_target=8)


def test_updates_learn_and_what_is_written_is_what_is_read(vocabulary):
    model, batch = model_of(vocabulary), batch_of(vocabulary)
    losses = list(islice(text_to_text.updates(model, lambda: batch, lambda step: 1e-2), 80))
    assert losses[-1] < 0.1 < losses[0]
    loss, right = text_to_text.read(model, batch)
    assert loss == pytest.approx(batch.loss(model.eval()).item(), rel=1e-4)
    assert right == 1
    assert text_to_text.written(model, batch, vocabulary) == ["the dog", "cow"]
    assert text_to_text.read(model, batch, batch_size=1).loss == pytest.approx(loss, rel=1e-4)


def test_a_part_with_a_price_is_charged_for(vocabulary):
    """The price changes what is learned, and not the loss that is told."""
    found = []
    for balance in (0.0, 1.0):
        model = model_of(vocabulary, "Mixture of experts").eval()  # no noise in the routing
        steps = text_to_text.updates(
            model, lambda: batch_of(vocabulary), lambda step: 1e-2, balance=balance
        )
        found.append(list(islice(steps, 2)))
    assert found[0][0] == found[1][0]
    assert found[0][1] != found[1][1]


def test_a_loss_that_is_not_finite_ends_the_updates(vocabulary):
    model, batch = model_of(vocabulary), batch_of(vocabulary)
    steps = text_to_text.updates(model, lambda: batch, lambda step: 1e-3)
    next(steps)
    with torch.no_grad():
        next(iter(model.parameters())).fill_(math.nan)
    assert list(steps) == []


def test_the_rate_rises_and_falls_as_one_over_a_root():
    rate = text_to_text.inverse_square_root(2.0, 10)
    assert [rate(step) for step in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])
    assert rate(39) == pytest.approx(1.0)


def test_threads_that_read_leave_the_mode_of_a_model_that_trains():
    """Each reads without dropout, and the model's own dropout stays on meanwhile."""
    config = TransformerConfig(23, 16, 4, 2, dropout=0.5)
    torch.manual_seed(0)
    model, ids = EncoderDecoder(config), torch.randint(23, (2, 6))
    batch = Batch(ids, ids, ids)
    right = text_to_text.read(model.eval(), batch)
    model.train()
    wrong = []

    def read():
        for _ in range(10):
            wrong.append(text_to_text.read(model, batch) != right)

    undropped = run_beside(read, lambda: torch.equal(model(ids, ids), model(ids, ids)))
    assert wrong == [False] * 20
    assert undropped
    assert not any(undropped)
    assert all(module.training for module in model.modules())


def test_rows_of_a_batch_without_masks_are_rows():
    ids = torch.arange(12).view(2, 6)
    part = Batch(ids, ids, ids).rows(slice(0, 1))
    assert torch.equal(part.source, ids[:1])
    assert part.source_padding is None
    with pytest.raises(ValueError, match="batch has no examples"):
        text_to_text.read(EncoderDecoder(TransformerConfig(23, 16, 4, 2)), Batch(*[ids[:0]] * 3))
