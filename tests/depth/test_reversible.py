"""Reversible layers: their function, gradients without stored activations, and the memory."""

import copy

import pytest
import torch
from torch import nn

from frugal.attention.kernels import FavorFeatures, KernelAttention
from frugal.attention.kernels.gate import RandomFeatureAttention
from frugal.attention.lsh import LshAttention
from frugal.depth.reversible import ReversibleStack
from frugal.measure import peak_bytes
from frugal.model import Decoder, Encoder, EncoderDecoder, TransformerConfig


def config(**options):
    options = {"d_model": 8, "n_heads": 2, "n_layers": 3, "make_stack": ReversibleStack, **options}
    return TransformerConfig(11, **options)


def stored(stack, x, **options):
    """The same function by ordinary operations, which keep everything."""
    first, second = x, x
    for layer in stack.layers:
        mix, feed = layer.mix, layer.feed_forward
        first = first + mix.sublayer(mix.norm(second), **options)
        second = second + feed.sublayer(feed.norm(first))
    return (first + second) / 2


@pytest.mark.parametrize("frozen", [False, True])
def test_value_and_gradients_are_those_of_stored_activations(generator, frozen):
    stack = Encoder(config()).double().stack
    if frozen:
        stack.layers[1].requires_grad_(False)
    x = torch.randn(2, 7, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    padding = torch.arange(7) < torch.tensor([[7], [4]])
    ours, theirs = stack(x, padding=padding), stored(stack, x, padding=padding)
    torch.testing.assert_close(ours, theirs)
    inputs = [x, *(p for p in stack.parameters() if p.requires_grad)]
    for one, other in zip(
        torch.autograd.grad(ours.square().sum(), inputs),
        torch.autograd.grad(theirs.square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_gradients_stay_right_through_many_layers_in_float32(generator):
    torch.manual_seed(0)
    stack = Encoder(config(n_layers=24)).stack
    x = torch.randn(2, 7, 8, generator=generator, requires_grad=True)
    ours = torch.autograd.grad(stack(x).square().sum(), x)[0]
    theirs = torch.autograd.grad(stored(stack, x).square().sum(), x)[0]
    assert (ours - theirs).abs().max() < 1e-3 * theirs.abs().max()


def test_dropout_and_hashing_are_replayed(generator):
    """With other random numbers the inputs would be computed wrongly, and the gradients too."""

    def make(index, config):
        return LshAttention(4, 1)

    torch.manual_seed(0)
    stack = Encoder(config(dropout=0.3, make_attend=make)).double().train().stack
    x = torch.randn(2, 32, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(5)
    ours = torch.autograd.grad(stack(x).square().sum(), x)[0]
    after = torch.get_rng_state()
    torch.manual_seed(5)
    theirs = torch.autograd.grad(stored(stack, x).square().sum(), x)[0]
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(after, torch.get_rng_state())


@pytest.mark.parametrize("redraw_every", [1, 2, 3])
@pytest.mark.parametrize(
    "attend",
    [
        lambda redraw_every: KernelAttention(FavorFeatures(4, 8, redraw_every=redraw_every)),
        lambda redraw_every: RandomFeatureAttention(2, 4, 8, redraw_every=redraw_every),
    ],
)
@pytest.mark.parametrize("shared", [False, True])
def test_random_features_are_replayed_and_counted_once(generator, attend, redraw_every, shared):
    one = attend(redraw_every)

    def make(index, config):
        return one if shared else attend(redraw_every)

    torch.manual_seed(0)
    ours = Encoder(config(make_attend=make)).double().train().stack
    theirs = copy.deepcopy(ours)
    x = torch.randn(2, 9, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    for step in range(1, 5):
        found = []
        for stack, run in ((ours, ours), (theirs, lambda x: stored(theirs, x))):
            torch.manual_seed(step)
            out = run(x)
            weights = [x, *stack.parameters()]
            grads = torch.autograd.grad(out.square().sum(), weights, allow_unused=True)
            found.append([out, *(grad for grad in grads if grad is not None)])
        assert len(found[0]) > 10
        torch.testing.assert_close(*found)
        for mine, other in zip(ours.buffers(), theirs.buffers(), strict=True):
            assert torch.equal(mine, other)
        passes = [m.passes for m in ours.modules() if hasattr(m, "passes")]
        assert passes == ([3 * step] if shared else [step] * 3)


def test_one_module_in_several_layers_gets_the_sum_of_its_gradients(generator):
    layer = Encoder(config(n_layers=1)).double().stack.layers[0]
    stack = ReversibleStack([layer, layer])
    x = torch.randn(1, 5, 8, generator=generator, dtype=torch.float64)
    weights = list(stack.parameters())
    ours = torch.autograd.grad(stack(x).square().sum(), weights)
    theirs = torch.autograd.grad(stored(stack, x).square().sum(), weights)
    torch.testing.assert_close(ours, theirs)


def training_peak(n_layers, make_stack):
    torch.manual_seed(0)
    model = Decoder(config(d_model=32, n_layers=n_layers, make_stack=make_stack, dropout=0.1))
    ids = torch.randint(11, (4, 256))

    def step():
        model.zero_grad()
        model(ids).square().sum().backward()

    step()
    return peak_bytes(step)


def test_memory_does_not_grow_with_depth():
    plain = training_peak(12, None) - training_peak(4, None)
    ours = training_peak(12, ReversibleStack) - training_peak(4, ReversibleStack)
    assert ours < 0.1 * plain


def test_the_plain_pass_and_caches_give_the_same(generator):
    model = Decoder(config()).eval()
    ids = torch.randint(11, (2, 9), generator=generator)
    with_gradients = model(ids)
    with torch.no_grad():
        torch.testing.assert_close(model(ids), with_gradients)
        caches = model.new_caches(9)
        parts = [model(ids[:, i:j], caches=caches) for i, j in ((0, 4), (4, 5), (5, 9))]
    torch.testing.assert_close(torch.cat(parts, 1), with_gradients, atol=1e-5, rtol=1e-5)


def test_mixers_get_padding_as_zeros(generator):
    class Shift(nn.Module):
        def forward(self, x):
            return x.roll(1, dims=1)

    stack = Encoder(config(norm="none", make_mixer=lambda *_: Shift())).stack
    x = torch.randn(2, 6, 8, generator=generator)
    padding = torch.arange(6) < torch.tensor([[6], [4]])
    out = stack(x, padding=padding)
    x[1, 4:] = 7.0
    torch.testing.assert_close(stack(x, padding=padding)[1, :4], out[1, :4])


def test_runs_under_autocast(generator):
    stack = Encoder(config()).stack
    x = torch.randn(2, 7, 8, generator=generator, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = stack(x)
        plain = stored(stack, x)
    ours = torch.autograd.grad(out.float().square().sum(), x)[0]
    theirs = torch.autograd.grad(plain.float().square().sum(), x)[0]
    assert (ours - theirs).abs().max() < 0.05 * theirs.abs().max()


@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence():
    with pytest.raises(ValueError, match=r"attends to a memory; [^\n]*\.$"):
        EncoderDecoder(config())
    with pytest.raises(ValueError, match=r"normalises last; [^\n]*\.$"):
        Encoder(config(norm_first=False))
    x = torch.zeros(1, 2, 8)
    with pytest.raises(ValueError, match=r"memory is given; [^\n]*\.$"):
        Encoder(config()).stack(x, x)
