"""What runs again in the backward pass draws the same, counts once, and leaves no later penalty."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from frugal.attention.dynamic_span import DynamicSpan
from frugal.attention.lsh import LshAttention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.depth import reversible
from frugal.depth.reversible import ReversibleStack
from frugal.depth.universal import UniversalTransformer
from frugal.feedforward.experts import SwitchFeedForward
from frugal.model import Encoder, TransformerConfig
from frugal.penalty import penalty
from frugal.replays import check_draws_the_same, generators_put_back
from tests.layer_contract import same, some

WIDTH = 12


def stack(**options) -> nn.Module:
    torch.manual_seed(0)
    made = Encoder(
        TransformerConfig(11, **{"d_model": WIDTH, "n_heads": 3, "n_layers": 2} | options)
    )
    generator = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        if parameter.ndim > 1:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return made.stack


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


DRAWS = {
    "lsh": lambda: {"make_attend": lambda *_: LshAttention(4, 2, generator=seeded())},
    "sinkhorn": lambda: {
        "make_attend": lambda *_: SinkhornAttention(
            3, 4, block_size=4, max_blocks=8, generator=seeded()
        )
    },
    "jitter": lambda: {
        "make_feed_forward": lambda *_: SwitchFeedForward(
            WIDTH, 24, 4, None, jitter=0.4, generator=seeded()
        )
    },
}


def run_plainly(module: ReversibleStack, x: torch.Tensor) -> torch.Tensor:
    first, second = x, x
    for layer in module.layers:
        for turn in (reversible._mixing(layer, None, {}), reversible._feeding(layer, None)):
            first, second = second, first + turn.branch(second)
    return (first + second) / 2


def outcome(module: nn.Module, run, price: float = 0.0) -> list[torch.Tensor | None]:
    x = some(2, 9, WIDTH).requires_grad_()
    loss = run(x).square().sum()
    (loss + price * penalty(module) if price else loss).backward()
    return [x.grad, *(p.grad for p in module.parameters())]


@pytest.mark.parametrize("name", DRAWS)
def test_a_reversible_stack_puts_back_the_generators_of_its_layers(name):
    plain, forgetful = (stack(make_stack=ReversibleStack, **DRAWS[name]()) for _ in range(2))
    right = outcome(plain, partial(run_plainly, plain))
    same(outcome(forgetful, forgetful), right)
    same(outcome(forgetful, forgetful), outcome(plain, partial(run_plainly, plain)))  # goes on


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("name", DRAWS)
def test_a_checkpoint_that_would_draw_other_numbers_is_refused(name, use_reentrant):
    module = stack(**DRAWS[name]())
    out = checkpoint(module, some(2, 9, WIDTH).requires_grad_(), use_reentrant=use_reentrant)
    with pytest.raises(ValueError, match=r"a checkpoint that runs the pass again would draw other"):
        out.sum().backward()


def test_generators_go_on_where_they_stood():
    one, other = seeded(), seeded()
    start = one.get_state()
    torch.rand(5, generator=one)
    with generators_put_back({one: start}):
        check_draws_the_same(one, "numbers")
        assert torch.equal(torch.rand(5, generator=one), torch.rand(5, generator=other))
    assert torch.equal(torch.rand(2, generator=one), torch.rand(2, generator=other))


PRICED = {
    "dynamic span": {"make_attend": lambda *_: DynamicSpan(3, 4, 8, 4)},
    "switch": {"make_feed_forward": lambda *_: SwitchFeedForward(WIDTH, 24, 4, z_weight=0.1)},
    "universal": {
        "make_stack": partial(UniversalTransformer, n_steps=3, start=-1.0),
        "n_layers": 1,
    },
}


@pytest.mark.parametrize("name", PRICED)
def test_a_penalty_under_a_checkpoint_has_its_gradient_or_is_refused(name):
    plain, again = stack(**PRICED[name]), stack(**PRICED[name])
    right = outcome(plain, plain, price=0.5)
    same(outcome(again, partial(checkpoint, again, use_reentrant=False), price=0.5), right)
    with pytest.raises(ValueError, match="kept no gradient; penalty must follow one that does"):
        outcome(again, partial(checkpoint, again, use_reentrant=True), price=0.5)


@pytest.mark.parametrize("name", ["dynamic span", "switch"])
def test_a_penalty_may_follow_the_backward_pass_of_a_reversible_stack(name):
    plain, module = (stack(make_stack=ReversibleStack, **PRICED[name]) for _ in range(2))
    right = outcome(plain, partial(run_plainly, plain), price=0.5)
    x = some(2, 9, WIDTH).requires_grad_()
    module(x).square().sum().backward(retain_graph=True)
    (0.5 * penalty(module)).backward()
    same([x.grad, *(p.grad for p in module.parameters())], right)
