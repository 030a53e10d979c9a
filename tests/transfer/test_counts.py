"""Parameters and operations: by hand, and beside the paper's."""

import pytest
import torch
from torch import nn

from frugal import transfer
from frugal.transfer import PAPER
from frugal.transfer.counting import (
    BATCH,
    OPERATIONS_WITHIN,
    PARAMETERS_WITHIN,
    SOURCE,
    TARGET,
    count,
    operations,
    parameters,
    published,
)
from frugal.transfer.rows.experts import grouped_operations

V, D, F, L, H, W = 32128, 768, 3072, 12, 12, 64
FEED = 2 * D * F + F + D
ATTEND = 4 * D * H * W
NORMS = 5 * L + 2
TABLE = V * D


def by_hand(*, layers=(L, L), feed=FEED, attend=ATTEND, heads=H, tables=TABLE, deep=L) -> int:
    """A model of so many separate layers per side, all of them with norms and biases."""
    encoder, decoder = layers
    blocks = encoder * (attend + feed + 4 * D) + decoder * (2 * attend + feed + 6 * D)
    return tables + blocks + 2 * 2 * D + 2 * 32 * heads


def shape(layers: int, d_ff: int, heads: int) -> int:
    feed, attend = 2 * D * d_ff + d_ff + D, 4 * D * heads * W
    return by_hand(layers=(layers, layers), feed=feed, attend=attend, heads=heads)


GATED = by_hand(feed=3 * D * 2048 + 2 * 2048 + D)
NARROW = 128 * (V + D)
CLUSTERS = 2500 * D + 256 * (6000 + D) + 64 * (23628 + D)
FOUR = (2500 + 3) * D + 256 * (6000 + D) + 64 * (23500 + D) + 128 * D
CONVOLUTION = (D * 2 * D + 2 * D) + 2 * (D * D + D)
PLACES = 2 * 512 * D


def without_attention(instead: int, *, feed=FEED, positions: int = PLACES) -> int:
    """Something else in the place of each self-attention."""
    return by_hand(feed=feed) + 2 * L * (instead - ATTEND) - 2 * 32 * H + positions


def synthesizer(*, projections: int, scores: int) -> int:
    """Eight heads of 128, and biases for eight heads."""
    return without_attention(projections * D * 1024 + scores, positions=2 * 32 * 8)


def with_experts(d_ff: int) -> int:
    experts = 32 * (D + 2 * D * d_ff + d_ff + D)
    return by_hand() + 6 * (experts - FEED)


def evolved() -> int:
    encoder = D * 2 * D + 2 * D + D * 4 * D + 3 * D * D // 2 + D // 2
    encoder += 2 * 4 * D + 9 * 4 * D + 4 * D * D // 2 + D // 2 + ATTEND + FEED + 4 * 2 * D
    decoder = 2 * ATTEND + ATTEND + 32 * 2 * H + 11 * D + 2 * D * D + 2 * D + 7 * D + D * D // 2
    decoder += D // 2 + 2 * 2 * D + 7 * 2 * D + 2 * D * D + D + 2 * ATTEND + FEED + 5 * 2 * D
    return TABLE + 6 * (encoder + decoder) + 2 * 2 * D + 2 * 32 * H


EXPECTED = {
    "Vanilla Transformer": by_hand(),
    **dict.fromkeys(("GeLU", "Swish", "ELU", "SeLU", "Sigmoid", "Softplus"), by_hand()),
    **dict.fromkeys(("GLU", "GeGLU", "ReGLU", "SwiGLU", "LiGLU"), GATED),
    "RMS Norm": by_hand() - NORMS * D,
    "Rezero": by_hand() - NORMS * 2 * D + 5 * L,
    "Rezero + LayerNorm": by_hand() + 5 * L,
    "Rezero + RMS Norm": by_hand() - NORMS * D + 5 * L,
    "Fixup": by_hand(feed=2 * D * F) - NORMS * 2 * D + 2 * 5 * L + 3,
    "24 layers, d_ff=1536, H=6": shape(24, 1536, 6),
    "18 layers, d_ff=2048, H=8": shape(18, 2048, 8),
    "8 layers, d_ff=4608, H=18": shape(8, 4608, 18),
    "6 layers, d_ff=6144, H=24": shape(6, 6144, 24),
    "Block sharing": by_hand(layers=(1, 1), tables=2 * TABLE),
    "Block sharing + Factorized embeddings": by_hand(layers=(1, 1), tables=TABLE + NARROW),
    "Block sharing + Factorized & shared embeddings": by_hand(layers=(1, 1), tables=NARROW),
    "Encoder only block sharing": by_hand(layers=(1, L), tables=2 * TABLE),
    "Decoder only block sharing": by_hand(layers=(L, 1), tables=2 * TABLE),
    "Factorized Embedding": by_hand(tables=TABLE + NARROW),
    "Factorized & shared embeddings": by_hand(tables=NARROW),
    "Tied encoder/decoder input embeddings": by_hand(tables=2 * TABLE),
    "Tied decoder input and output embeddings": by_hand(tables=2 * TABLE),
    "Untied embeddings": by_hand(tables=3 * TABLE),
    "Adaptive input embeddings": by_hand(tables=CLUSTERS),
    "Adaptive softmax": by_hand(tables=FOUR),
    "Adaptive softmax without projection": by_hand(tables=TABLE + 3 * D),
    "Mixture of softmaxes": by_hand(tables=TABLE + 15 * D * (D + 1)),
    "Transparent attention": by_hand() + 13 * 12,
    "Dynamic convolution": without_attention(CONVOLUTION + 9 * D * D, feed=2 * D * 512 + 512 + D),
    "Lightweight convolution": without_attention(CONVOLUTION + 9 * D),
    "Evolved Transformer": evolved(),
    "Synthesizer (dense)": synthesizer(projections=3, scores=512 * 128),
    "Synthesizer (dense plus)": synthesizer(projections=4, scores=512 * 128),
    "Synthesizer (dense plus alpha)": synthesizer(projections=4, scores=512 * 128 + 1),
    "Synthesizer (factorized)": synthesizer(projections=2, scores=2 * 16 * 8 * 512),
    "Synthesizer (random)": synthesizer(projections=2, scores=8 * 512 * 512),
    "Synthesizer (random plus)": synthesizer(projections=4, scores=8 * 512 * 512),
    "Synthesizer (random plus alpha)": synthesizer(projections=4, scores=8 * 512 * 512 + 1),
    "Universal Transformer": by_hand(layers=(1, 1), tables=2 * TABLE)
    + 5 * 3 * (2 * D * D + D)
    + 2 * 24 * D,
    "Mixture of experts": with_experts(1536),
    "Switch Transformer": with_experts(3072),
    "Funnel Transformer": by_hand() - 25 * D,
    "Weighted Transformer": by_hand() + L * FEED - 24 * 2 * D + 36 * 2 * 12 - 2 * 32 * H + PLACES,
    "Product key memory": by_hand()
    - FEED
    + 512 * 512 * D
    + D * 512
    + 512
    + 4 * 2 * 512 * 64
    + 2 * 64,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_parameters_are_those_counted_by_hand(name):
    assert parameters(transfer.build(name, device="meta")) == EXPECTED[name]


@pytest.fixture(scope="module")
def counts():
    return [count(name) for name in published()]


def test_parameters_are_within_2_percent_of_the_papers_for_50_rows(counts):
    off = {one.name for one in counts if abs(one.parameters_deviation) > PARAMETERS_WITHIN}
    assert len(counts) == 52
    assert len(off) <= 2
    assert all(transfer.row(name).parameters_note for name in off), "a row must say why"


def test_ops_are_within_5_percent_of_the_papers_or_the_row_says_why(counts):
    off = {one.name for one in counts if abs(one.operations_deviation) > OPERATIONS_WITHIN}
    assert len(off) <= 1
    assert all(transfer.row(name).ops_note for name in off), "a row must say why"
    assert counts[0].operations == pytest.approx(11.1, rel=0.005)


def test_the_rows_begin_with_those_of_the_paper_in_its_order():
    assert list(transfer.names())[:52] == list(published())
    assert set(EXPECTED) == set(published())


def test_the_operations_of_the_vanilla_model_by_hand():
    read, write = BATCH * SOURCE, BATCH * TARGET
    layer = 4 * D * D + 2 * D * F
    encoder = read * (TABLE + L * (layer + 2 * SOURCE * D))
    crossed = read * L * 2 * D * D + write * L * (2 * D * D + 2 * SOURCE * D)
    decoder = write * (2 * TABLE + L * (layer + 2 * TARGET * D))
    distances = (SOURCE**2 + TARGET**2) * 32 * H
    assert operations(transfer.build("GeLU", device="meta")) == (
        encoder + crossed + decoder + distances
    )


def test_the_published_configurations_say_the_operations_of_the_odd_rows():
    base = operations(transfer.build("Vanilla Transformer", device="meta"))
    memory = operations(transfer.build("Product key memory", device="meta"))
    write = BATCH * TARGET
    # 128 values per token, each looked up by a product with all 262,144
    instead = write * (128 * 512**2 * D + D * 512 + 4 * 2 * 512 * 64) - write * 2 * D * F
    assert memory - base == instead
    branched = operations(transfer.build("Weighted Transformer", device="meta"))
    feeds = 2 * D * F * (BATCH * SOURCE * L * (H - 1) + write * L * (2 * H - 1))
    places = (SOURCE**2 + TARGET**2) * 32 * H
    weighing = (BATCH * SOURCE * L + write * 2 * L) * H * D  # the sum over heads with α
    assert branched - base == feeds + weighing - places


def test_experts_compute_all_the_room_they_have():
    x = torch.empty(2, 512, D, device="meta")  # one group of 1,024 tokens
    room = int(1024 * 1.25 / 32)
    by_hand = 1024 * D * 32 + 2 * 1024 * 32 * room * D + 32 * room * 2 * D * F
    assert grouped_operations(x, 32, F, 1.25) == by_hand


def test_operations_need_a_model_without_memory():
    with pytest.raises(ValueError, match="it must be made with device='meta'"):
        operations(transfer.build("GeLU", size="book"))


def test_a_model_without_memory_stays_so():
    model = transfer.build("Switch Transformer", device="meta")
    assert all(one.device.type == "meta" for one in model.parameters())
    assert isinstance(model, nn.Module)
    assert model.config.vocab_size == PAPER.vocab_size
