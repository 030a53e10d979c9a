"""What every stack must do, asked of all there are: a new one fails until it is in `STACKS`."""

from functools import partial
from inspect import signature

import pytest
from torch import nn

from frugal.attention.kernels import FavorFeatures, KernelAttention, RandomFeatureAttention
from frugal.depth.layerdrop import LayerDrop
from frugal.depth.reversible import ReversibleStack
from frugal.depth.universal import UniversalTransformer
from frugal.mixing.convolution import LightweightConv
from frugal.model import Encoder, Stack, TransformerConfig
from frugal.tokens.elimination import WordVectorElimination
from frugal.tokens.latents import LatentStack
from frugal.tokens.pooling import FunnelStack
from tests.layer_contract import QUESTIONS, WIDTH, Layer, public_classes


def stack(make_stack, **options) -> nn.Module:
    options = {"d_model": WIDTH, "n_heads": 3, "n_layers": 2, "dropout": 0.2, **options}
    return Encoder(TransformerConfig(11, make_stack=make_stack, **options)).stack


def soft() -> nn.Module:
    made = stack(WordVectorElimination)
    made.soften(20)
    return made


def universal(layers, **options) -> nn.Module:
    made = UniversalTransformer(layers, n_steps=4, start=-1.0, **options)
    if made.halting is not None:
        nn.init.normal_(made.halting.weight)
    return made


CAUSAL = {"causal": True}
latents = partial(LatentStack, d_model=WIDTH, n_heads=3, n_latents=4)
funnel = partial(FunnelStack, blocks=(1, 1))
convolution = {"make_mixer": lambda *_: LightweightConv(WIDTH, 3, 4, causal=True)}
performer = {"make_attend": lambda *_: KernelAttention(FavorFeatures(4, 8, redraw_every=1))}
rfa = {"make_attend": lambda *_: RandomFeatureAttention(3, 4, 8)}

STACKS = {
    "plain": Layer(partial(stack, None)),
    "plain, causal, post-norm": Layer(partial(stack, None, norm_first=False), CAUSAL),
    "plain, convolution": Layer(partial(stack, None, **convolution), CAUSAL),
    "plain, Performer": Layer(partial(stack, None, **performer), CAUSAL),
    "plain, RFA": Layer(partial(stack, None, **rfa)),
    "layerdrop": Layer(partial(stack, partial(LayerDrop, p=0.5), n_layers=4)),
    "reversible": Layer(partial(stack, ReversibleStack), CAUSAL, breaks=1),
    "reversible, RFA": Layer(partial(stack, ReversibleStack, **rfa), CAUSAL, breaks=1),
    "elimination": Layer(partial(stack, partial(WordVectorElimination, keep=(6, 3))), chooses=True),
    "elimination, soft": Layer(soft, chooses=True),
    "funnel": Layer(partial(stack, funnel), shortest=2),
    "funnel, decoder": Layer(partial(stack, funnel, n_layers=3), shortest=2),
    "latents": Layer(partial(stack, latents)),
    "universal": Layer(partial(stack, universal), chooses=True, breaks=1),
    "universal, causal": Layer(partial(stack, universal), CAUSAL, chooses=True, breaks=1),
    "universal, no halting": Layer(partial(stack, partial(universal, halting=False))),
}


def test_every_public_stack_is_asked():
    there = {one for one in public_classes() if [*signature(one).parameters][:1] == ["layers"]}
    assert there == {type(layer.made()) for layer in STACKS.values()}
    assert {Stack, ReversibleStack} <= there


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", STACKS)
@pytest.mark.usefixtures("unchecked")
def test_layer(name, question):
    QUESTIONS[question](STACKS[name])
