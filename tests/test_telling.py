"""A printed module says what it was made with."""

import pytest
from torch import nn

from frugal.attention.kernels import elu_features
from frugal.attention.softmax import MultiHeadAttention
from frugal.telling import told
from tests.attention.test_contract import SUBJECTS
from tests.mixing.test_contract import MIXERS


def test_what_is_told():
    module = nn.Linear(2, 3)
    module.note = None
    assert told(module, "in_features", "note", "bias", inner=nn.ReLU()).startswith(
        "in_features=2, bias=Parameter"
    )
    assert (
        told(module, kind="dense", features=elu_features) == "kind='dense', features=elu_features"
    )


def test_a_layer_that_is_printed():
    printed = str(MultiHeadAttention(16, 2)).splitlines()
    assert printed[:2] == [
        "MultiHeadAttention(",
        "  n_heads=2, head_dim=8, attend=softmax_attention",
    ]


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_attention_says_what_it_was_made_with(name):
    attend = SUBJECTS[name].make()
    if isinstance(attend, nn.Module):
        assert "=" in str(attend), attend
        assert "object at 0x" not in str(attend)


@pytest.mark.parametrize("name", [name for name in MIXERS if name != "fourier"])
def test_every_mixer_says_what_it_was_made_with(name):
    assert "=" in MIXERS[name].made().extra_repr()
