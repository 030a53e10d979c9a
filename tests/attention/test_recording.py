"""Recording where attention draws random numbers: nothing that is drawn afterwards moves."""

import pytest
import torch

from frugal.attention.lsh import LshAttention
from frugal.attention.recording import recording
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.softmax import MultiHeadAttention


def hashed():
    return MultiHeadAttention(12, 3, LshAttention(8, 2))


def sorted_blocks():
    torch.manual_seed(1)
    attend = SinkhornAttention(2, 4, block_size=4, max_blocks=8)
    with torch.no_grad():
        for parameter in attend.parameters():  # clear preferences, and biases that matter
            parameter.copy_(2 * torch.randn(parameter.shape))
    return MultiHeadAttention(8, 2, attend)


@pytest.mark.parametrize(
    ("make", "length", "training"),
    [(hashed, 50, False), (hashed, 50, True), (sorted_blocks, 20, True)],
)
def test_recording_leaves_the_output_and_the_generator(generator, make, length, training):
    attention = make().train(training)
    x = torch.randn(2, length, attention.to_q.in_features, generator=generator)
    torch.manual_seed(3)
    first, second = attention(x), attention(x)
    torch.manual_seed(3)
    with recording(attention):
        assert torch.equal(attention(x), first)
        assert torch.equal(attention(x), second)
