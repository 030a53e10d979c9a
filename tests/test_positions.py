"""Positions against their equations, and the property each one is for."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.attention.alibi import AlibiAttention, alibi_bias, alibi_slopes
from frugal.positions import (
    LearnedPositions,
    RotaryPositions,
    SinusoidalPositions,
    sinusoidal_positions,
)


@given(place=st.integers(0, 5000), pair=st.integers(0, 5))
@settings(deadline=None, max_examples=30)
def test_sinusoids_are_the_equation(place, pair):
    row = sinusoidal_positions(1, 12, offset=place)[0]
    angle = place / 10000 ** (2 * pair / 12)
    assert row[2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-3)
    assert row[2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-3)


@pytest.mark.parametrize("make", [SinusoidalPositions, lambda: LearnedPositions(9, 6)])
def test_an_offset_continues_the_sequence(generator, make):
    positions, x = make(), torch.randn(2, 7, 6, generator=generator)
    late = positions(x[:, 4:], offset=4)
    torch.testing.assert_close(late, positions(x)[:, 4:])


def test_rotation_is_multiplication_by_a_complex_number(generator):
    x = torch.randn(2, 3, 5, 8, generator=generator, dtype=torch.float64)
    place = torch.arange(2, 7, dtype=torch.float64)
    speed = 10000.0 ** (-torch.arange(0, 8, 2, dtype=torch.float64) / 8)
    turn = torch.polar(torch.ones(5, 4, dtype=torch.float64), place[:, None] * speed)
    expected = torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (4, 2))) * turn)
    torch.testing.assert_close(
        RotaryPositions(8)(x, offset=2), expected.flatten(-2), atol=1e-6, rtol=0
    )


@given(shift=st.integers(0, 300))
@settings(deadline=None, max_examples=20)
def test_rotated_products_depend_on_distance_alone(shift):
    generator = torch.Generator().manual_seed(1)
    q, k = torch.randn(2, 1, 1, 6, 8, generator=generator)
    rotate = RotaryPositions(8)
    here = rotate(q) @ rotate(k).mT
    there = rotate(q, shift) @ rotate(k, shift).mT
    torch.testing.assert_close(here, there, atol=2e-4, rtol=0)


def test_alibi_slopes_and_bias():
    assert alibi_slopes(8).tolist() == [2.0**-n for n in range(1, 9)]
    bias = alibi_bias(2, 2, 4)
    assert bias.shape == (1, 2, 2, 4)
    assert bias[0, 0].tolist() == [[-2 / 16, -1 / 16, 0, -1 / 16], [-3 / 16, -2 / 16, -1 / 16, 0]]
    assert bias[0, 1, 0, 0] == -2 / 256


def test_alibi_attention_prefers_near_keys(generator):
    q = torch.zeros(1, 2, 6, 4)
    weights = AlibiAttention(2).weights(q, q, causal=True)
    last = weights[0, :, -1]
    assert (last.diff() > 0).all()
    ratio = last[0, 1:] / last[0, :-1]
    torch.testing.assert_close(ratio, torch.full((5,), math.exp(1 / 16)))


BAD = {
    "d_model is 5": lambda: sinusoidal_positions(3, 5),
    "head_dim is 3": lambda: RotaryPositions(3),
    "reaches position 11": lambda: LearnedPositions(8, 4)(torch.zeros(1, 4, 4), offset=8),
    "q has 3 heads; it must have 2": lambda: AlibiAttention(2)(*torch.zeros(3, 1, 3, 4, 8)),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence]()
    assert sentence in str(caught.value)
