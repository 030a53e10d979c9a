"""What every feed-forward network must do, asked of all there are, and of experts in a model."""

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from frugal.depth.reversible import ReversibleStack
from frugal.feedforward.chunked import ChunkedFeedForward
from frugal.feedforward.dense import DenseFeedForward
from frugal.feedforward.experts import MixtureOfExperts, SwitchFeedForward
from frugal.feedforward.gated import GatedFeedForward
from frugal.feedforward.product_keys import ProductKeyMemory
from frugal.model import Encoder, TransformerConfig
from frugal.tokens.elimination import WordVectorElimination
from frugal.tokens.pooling import FunnelStack
from tests.layer_contract import public_classes, same, some

WIDTH = 12
NETWORKS = {
    "dense": partial(DenseFeedForward, WIDTH, 24),
    "gated": partial(GatedFeedForward, WIDTH, 24),
    "chunked": lambda: ChunkedFeedForward(DenseFeedForward(WIDTH, 24), 4),
    "switch": partial(SwitchFeedForward, WIDTH, 24, 4, 1.0),
    "switch, room for all": partial(SwitchFeedForward, WIDTH, 24, 4, None, per="sequence"),
    "mixture": partial(MixtureOfExperts, WIDTH, 24, 4),
    "product keys": partial(ProductKeyMemory, WIDTH, 8, heads=2, k=4, gated=True),
}
every = pytest.mark.parametrize("name", NETWORKS)


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name]()


def test_every_public_network_is_asked():
    there = {one for one in public_classes() if one.__name__.endswith(("FeedForward", "Memory"))}
    assert there - {MixtureOfExperts} <= {type(made(name)) for name in NETWORKS}


@every
@pytest.mark.usefixtures("unchecked")
def test_another_dtype_is_refused_in_one_sentence(name):
    x = some(2, 9, WIDTH)
    for wrong in (x.double(), x.half(), x.long(), x > 0):
        with pytest.raises(ValueError, match=r"^x has dtype [^\n]*\.$"):
            made(name)(wrong)


@every
def test_a_batch_of_none_and_one_token_are_answered(name):
    for shape in ((0, 9, WIDTH), (2, 1, WIDTH)):
        assert made(name)(torch.zeros(shape)).shape == shape


@every
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_checkpoint_changes_no_gradient_and_no_buffer(name, use_reentrant):
    plain, again = made(name), made(name)
    outcomes = []
    for module, call in (
        (plain, plain),
        (again, partial(checkpoint, again, use_reentrant=use_reentrant)),
    ):
        x = some(2, 9, WIDTH).requires_grad_()
        call(x).square().sum().backward()
        outcomes.append([x.grad, *(p.grad for p in module.parameters()), *module.buffers()])
    same(outcomes[1], outcomes[0])


@every
def test_a_tensor_without_numbers_is_answered(name):
    with torch.device("meta"):
        module = NETWORKS[name]()
    assert module(torch.empty(2, 9, WIDTH, device="meta")).shape == (2, 9, WIDTH)


# --- experts -----------------------------------------------------------------------------------


def test_gates_are_shares_where_all_probabilities_are_too_small_for_a_number():
    layer = MixtureOfExperts(WIDTH, 24, 4, k=2, n_shared=0)
    with torch.no_grad():
        layer.router.weight.fill_(-40.0)  # sigmoid(-480) is 0
    x = torch.ones(3, WIDTH, requires_grad=True)
    gates = layer.router(x).gates
    torch.testing.assert_close(gates, torch.full((3, 2), 0.5))
    layer(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_counts_every_token_and_moves_the_bias(dtype):
    layer = MixtureOfExperts(WIDTH, 24, 4, k=1).to(dtype)
    layer(some(1, 3000, WIDTH).to(dtype))
    load = layer.router.load
    assert load.sum() == 3000
    layer.router.bias.fill_(2.0)  # where a step of bfloat16 is 0.016
    layer.router.update_bias(1e-3)
    moved = layer.router.bias - 2.0
    torch.testing.assert_close(moved, 1e-3 * (750 - load).sign().float(), atol=1e-6, rtol=0)
    assert layer.router.weight.dtype == dtype
    assert copy.deepcopy(layer).double().router.bias.dtype == torch.float64


@pytest.mark.parametrize("factor", [None, 1.0])
@pytest.mark.parametrize("per", ["batch", "sequence"])
@pytest.mark.usefixtures("unchecked")
def test_padding_of_another_kind_is_refused_and_one_row_is_for_all(per, factor):
    layer, x = SwitchFeedForward(WIDTH, 24, 4, factor, per=per), some(2, 9, WIDTH)
    real = torch.arange(9)[None] < 5
    whole = real.expand(2, 9)
    for wrong in (whole.long(), whole.float(), whole[:, :4], whole[0], whole[None], real[:, :1]):
        with pytest.raises(ValueError, match=r"^padding has [^\n]*\.$"):
            layer(x, padding=wrong)
    assert torch.equal(layer(x, padding=real), layer(x, padding=whole))


STACKS = {
    "plain": None,
    "reversible": ReversibleStack,
    "elimination": WordVectorElimination,
    "funnel": partial(FunnelStack, blocks=(1, 1)),
}


@pytest.mark.parametrize("name", STACKS)
def test_padding_takes_no_room_in_a_model(name):
    """The first row is short: its padding would take the room of the second."""
    torch.manual_seed(0)
    options = {"make_feed_forward": "switch:4", "make_stack": STACKS[name], "positions": "none"}
    model = Encoder(TransformerConfig(11, WIDTH, 3, 2, **options)).eval()
    x = some(2, 10, WIDTH)
    real = torch.arange(10) < torch.tensor([[4], [10]])
    other = torch.where(real[..., None], x, 30 * some(2, 10, WIDTH, seed=7))
    found, changed = model.encode(x, real), model.encode(other, real)
    kept = real[:, ::2] if name == "funnel" else real
    same([changed[kept]], [found[kept]])


def test_padding_of_earlier_tokens_is_not_that_of_new_ones():
    from frugal.model import Decoder

    torch.manual_seed(0)
    options = {"make_feed_forward": "switch:4", "positions": "rope"}
    decoder = Decoder(TransformerConfig(11, WIDTH, 3, 2, **options)).eval()
    ids = torch.randint(11, (2, 8), generator=torch.Generator().manual_seed(0))
    real = torch.arange(8) >= torch.tensor([[0], [3]])
    caches = decoder.new_caches(8)
    decoder(ids[:, :7], padding=real[:, :7], caches=caches)
    step = decoder(ids[:, 7:], padding=real, caches=caches)
    assert step.isfinite().all()
    (kept,) = {tuple(layer.feed_forward.sublayer.kept.shape) for layer in decoder.stack.layers}
    assert kept == (2, 1)
