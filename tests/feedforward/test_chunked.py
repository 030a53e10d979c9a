"""A feed-forward network in chunks: the same numbers, with less memory."""

import pytest
import torch

from frugal.feedforward.chunked import ChunkedFeedForward
from frugal.feedforward.dense import DenseFeedForward
from frugal.measure import forward_backward, peak_bytes


def both(size, dropout=0.0):
    torch.manual_seed(0)
    network = DenseFeedForward(8, 64, dropout=dropout).double()
    return network, ChunkedFeedForward(network, size)


@pytest.mark.parametrize("size", [1, 4, 10, 11, 100])
def test_outputs_and_gradients_are_those_of_the_whole(generator, size):
    network, chunked = both(size)
    x = torch.randn(2, 11, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 11, 8, generator=generator, dtype=torch.float64)
    given = [x, *network.parameters()]
    out, expected = chunked(x), network(x)
    torch.testing.assert_close(out, expected)
    ours = torch.autograd.grad((out * target).sum(), given)
    theirs = torch.autograd.grad((expected * target).sum(), given)
    torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        torch.testing.assert_close(chunked(x), expected)


def test_dropout_is_the_same_in_the_backward_pass(generator):
    _, chunked = both(3, dropout=0.5)
    x = torch.randn(2, 11, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    out = chunked(x)
    kept = out.detach() != 0
    (grad,) = torch.autograd.grad(out.sum(), chunked.network.outer.bias)
    torch.testing.assert_close(grad, 2.0 * kept.sum((0, 1)).double())


def test_training_takes_less_memory():
    network = DenseFeedForward(32, 512)
    x = torch.randn(1, 2048, 32, requires_grad=True)
    whole = peak_bytes(forward_backward(network), x)
    chunked = peak_bytes(forward_backward(ChunkedFeedForward(network, 128)), x)
    assert chunked < 0.4 * whole


def test_a_size_below_1_is_refused():
    with pytest.raises(ValueError, match=r"^size is 0; .*\.$"):
        ChunkedFeedForward(torch.nn.Identity(), 0)


def test_a_tensor_of_two_axes_is_refused(unchecked):
    """Its second axis would be taken for positions."""
    network = ChunkedFeedForward(torch.nn.Linear(8, 8), 4)
    with pytest.raises(ValueError, match=r"x has shape \(6, 8\); it must have three axes"):
        network(torch.ones(6, 8))
