"""What every mixer must do, asked of all there are: a new one fails until it is in `MIXERS`."""

from functools import partial

import pytest
import torch

from frugal.attention.linformer import LinformerSelfAttention
from frugal.mixing.convolution import DynamicConv, LightweightConv
from frugal.mixing.fourier import FourierMixing
from frugal.mixing.mixer import Mixer, check_mixer
from frugal.mixing.synthesizer import Synthesizer
from tests.layer_contract import LENGTH, QUESTIONS, WIDTH, Layer, public_classes, some

MIXERS = {
    "light": Layer(partial(LightweightConv, WIDTH, 3, 4, causal=False, dropconnect=0.2)),
    "light, causal": Layer(partial(LightweightConv, WIDTH, 3, 4, causal=True)),
    "dynamic": Layer(partial(DynamicConv, WIDTH, 3, 4, causal=False)),
    "dynamic, causal": Layer(partial(DynamicConv, WIDTH, 3, 40, causal=True, gated=False)),
    "fourier": Layer(FourierMixing, blind=True),
    "dense": Layer(partial(Synthesizer, WIDTH, 3, 20, kind="dense")),
    "random": Layer(partial(Synthesizer, WIDTH, 3, 20, kind="random")),
    "random plus": Layer(partial(Synthesizer, WIDTH, 3, 20, kind="random", plus=True, alpha=True)),
    "factorized, causal": Layer(partial(Synthesizer, WIDTH, 3, 20, kind="factorized", causal=True)),
    "linformer": Layer(partial(LinformerSelfAttention, WIDTH, 3, 20, 4)),
}


def test_every_public_mixer_is_asked():
    there = {one for one in public_classes() if "takes_padding" in dir(one)} - {Mixer}
    assert there == {type(layer.made()) for layer in MIXERS.values()}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", MIXERS)
@pytest.mark.usefixtures("unchecked")
def test_layer(name, question):
    QUESTIONS[question](MIXERS[name])


@pytest.mark.parametrize("name", MIXERS)
def test_it_is_causal_if_it_says_so(name):
    mixer, x = MIXERS[name].made().eval(), some(2, LENGTH, WIDTH)
    check_mixer(mixer)
    later = x.clone()
    later[:, 5:] += 1
    before, after = mixer(x)[:, :5], mixer(later)[:, :5]
    assert torch.allclose(before, after, atol=1e-5) == mixer.causal
