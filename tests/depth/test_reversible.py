"""Reversible layers: their function, gradients without stored activations, and the memory."""

import copy
import gc
import weakref
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from frugal.attention.kernels import FavorFeatures, KernelAttention
from frugal.attention.kernels.gate import RandomFeatureAttention
from frugal.attention.lsh import LshAttention
from frugal.attention.softmax import softmax_attention
from frugal.depth.replay import Replay
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


class Sharpened(nn.Module):
    """Attention with a tensor that is no parameter, and one that belongs to somebody else."""

    def __init__(self, hidden, foreign):
        super().__init__()
        self.tensors = [hidden, foreign]  # a list is not registered

    def forward(self, q, k, v, *, bias=None, **options):
        hidden, foreign = self.tensors
        return softmax_attention(q * hidden.exp(), k * foreign, v, bias=bias, **options)


def gradients_by_every_way(run):
    """Of a loss through a learned bias given as an option, a closed-over parameter and a computed
    tensor in a plain attribute, to a function of which the layers' weights contribute nothing."""
    torch.manual_seed(0)
    bias = torch.randn(1, 2, 7, 7, dtype=torch.float64, requires_grad=True)
    hidden = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    base = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    foreign = base * base  # has a history of its own
    stack = Encoder(config(make_attend=lambda *_: Sharpened(hidden, foreign))).double().stack
    x = torch.randn(2, 7, 8, dtype=torch.float64, requires_grad=True)
    out = run(stack, x, bias=bias)
    leaves = [bias, hidden, base, x, *stack.parameters()]
    return out, leaves


@pytest.mark.parametrize("way", ["grad", "backward", "twice"])
def test_every_tensor_that_a_layer_uses_gets_its_gradient(way):
    found = []
    for run in (lambda stack, x, **options: stack(x, **options), stored):
        out, leaves = gradients_by_every_way(run)
        loss = out.square().sum()
        if way == "grad":
            found.append(torch.autograd.grad(loss, leaves))
        else:
            for again in range(2 if way == "twice" else 1):
                loss.backward(retain_graph=way == "twice" and not again)
            found.append([leaf.grad for leaf in leaves])
    for mine, expected in zip(*found, strict=True):
        assert expected.abs().max() > 0
        torch.testing.assert_close(mine, expected)


def test_second_derivatives_are_those_of_stored_activations():
    found = []
    for run in (lambda stack, x, **options: stack(x, **options), stored):
        out, leaves = gradients_by_every_way(run)
        first = torch.autograd.grad(out.tanh().sum(), leaves[:4], create_graph=True)
        loss = sum(grad.square().sum() for grad in first)
        found.append(torch.autograd.grad(loss, leaves[:4]))
    torch.testing.assert_close(*found)


class Counting(nn.Module):
    """A mixer whose output depends on buffers: one is changed in place, one is replaced."""

    causal = True

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x):
        self.calls += 1
        self.mean = 0.5 * self.mean + 0.5 * x.detach().mean((0, 1))
        return (x - self.mean) * self.calls.clone()


@pytest.mark.parametrize("shared", [False, True])
def test_all_buffers_are_put_back_for_the_replay(generator, shared):
    one = Counting()
    make = (lambda *_: one) if shared else (lambda *_: Counting())
    ours = Encoder(config(make_mixer=make)).double().stack
    theirs = copy.deepcopy(ours)
    x = torch.randn(2, 9, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    for _ in range(3):
        found = []
        for run in (ours, lambda x: stored(theirs, x)):
            out = run(x)
            found.append([out, *torch.autograd.grad(out.square().sum(), x)])
        torch.testing.assert_close(*found)
        for mine, other in zip(ours.buffers(), theirs.buffers(), strict=True):
            torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("where", ["around", "inside"])
def test_checkpoints_around_it_and_inside_of_it(generator, use_reentrant, where):
    """With all that is drawn and counted: dropout and random features."""

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = RandomFeatureAttention(2, 4, 8)

        def forward(self, *qkv, **options):
            if where == "around":
                return self.attend(*qkv, **options)
            return checkpoint(self.attend, *qkv, use_reentrant=use_reentrant, **options)

    torch.manual_seed(0)
    ours = Encoder(config(dropout=0.2, make_attend=lambda *_: Checkpointed())).double().stack
    theirs = copy.deepcopy(ours)
    x = torch.randn(2, 9, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    around = partial(checkpoint, ours, use_reentrant=use_reentrant)
    found = []
    for stack, run in (
        (ours, around if where == "around" else ours),
        (theirs, lambda x: stored(theirs, x)),
    ):
        torch.manual_seed(5)
        out = run(x)
        x.grad = None
        out.square().sum().backward()
        found.append([out, x.grad, *(p.grad for p in stack.parameters())])
    for mine, expected in zip(*found, strict=True):
        torch.testing.assert_close(mine, expected)
    for mine, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        assert torch.equal(mine, other)


def test_a_weight_changed_before_the_backward_pass_is_an_error(generator):
    stack = Encoder(config()).stack
    loss = stack(torch.randn(1, 5, 8, generator=generator)).square().sum()
    with torch.no_grad():
        stack.layers[0].feed_forward.sublayer.inner.weight.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_nothing_is_left_behind_without_the_garbage_collector(generator, monkeypatch):
    made = []

    def watched():
        replay = Replay()
        made.append(weakref.ref(replay))
        return replay

    monkeypatch.setattr("frugal.depth.reversible.Replay", watched)
    stack = Encoder(config()).stack
    x = torch.randn(1, 5, 8, generator=generator)
    gc.collect()
    gc.disable()
    try:
        out = stack(x)
        assert made[0]() is not None
        out.sum().backward()
        assert made[0]() is None
    finally:
        gc.enable()


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
