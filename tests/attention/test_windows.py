"""How far a window reaches is counted in one way, and other libraries' counts are converted."""

import os

import pytest
import torch

from frugal.attention.patterns import (
    PatternAttention,
    pattern_mask,
    sliding_window_attention,
    window_from_sliding_window,
)
from frugal.attention.span import AdaptiveSpan

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")

LENGTH = 17


@pytest.fixture(scope="module")
def mistral():
    config = transformers.MistralConfig(
        vocab_size=11,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        sliding_window=5,
        attn_implementation="eager",
    )
    torch.manual_seed(0)
    return transformers.MistralModel(config).eval()


def test_a_window_counts_the_keys_to_each_side_and_not_the_token():
    mask = pattern_mask("window", LENGTH, window=4)
    assert mask[8].nonzero().flatten().tolist() == list(range(4, 13))
    causal = pattern_mask("window", LENGTH, window=4, causal=True)
    assert causal[8].nonzero().flatten().tolist() == [4, 5, 6, 7, 8]
    span = AdaptiveSpan(1, 5, 1, start=5)  # counts the token, as Mistral does
    seen = span.weights(*torch.randn(2, 1, 1, LENGTH, 4), causal=True)[0, 0] > 0
    assert torch.equal(seen, causal)


def test_mistral_counts_the_token_itself(mistral):
    window = window_from_sliding_window(mistral.config.sliding_window)
    assert window == 4
    ids = torch.arange(LENGTH)[None] % 11
    with torch.no_grad():
        weights = mistral(ids, output_attentions=True).attentions
    mask = pattern_mask("window", LENGTH, window=window, causal=True)
    for layer in weights:
        assert torch.equal(layer[0, 0] > 0, mask)


def test_mistral_with_our_window_is_mistral(mistral):
    def output(window: int) -> torch.Tensor:
        def forward(module, query, key, value, attention_mask, scaling=None, **_):
            out = sliding_window_attention(
                query, key, value, window=window, causal=True, scale=scaling
            )
            return out.transpose(1, 2), None

        transformers.AttentionInterface.register("frugal-test-window", forward)
        mistral.set_attn_implementation("frugal-test-window")
        try:
            with torch.no_grad():
                return mistral(ids).last_hidden_state
        finally:
            mistral.set_attn_implementation("eager")

    ids = torch.arange(LENGTH)[None] % 11
    with torch.no_grad():
        expected = mistral(ids).last_hidden_state
    torch.testing.assert_close(output(4), expected, atol=1e-5, rtol=1e-5)
    assert (output(5) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("causal", [True, False])
def test_the_rules_of_transformers_are_ours(causal):
    utilities = pytest.importorskip("transformers.masking_utils")
    kind = "causal" if causal else "bidirectional"
    theirs = getattr(utilities, f"sliding_window_{kind}_mask_function", None)
    if theirs is None:
        pytest.skip("this version of transformers counts in one way")
    sees = theirs(5)
    window = window_from_sliding_window(5, causal=causal)
    mask = pattern_mask("window", LENGTH, window=window, causal=causal)
    pairs = [
        [bool(sees(0, 0, torch.tensor(i), torch.tensor(j))) for j in range(LENGTH)]
        for i in range(LENGTH)
    ]
    assert mask.tolist() == pairs


def test_a_window_of_none_is_refused():
    with pytest.raises(ValueError, match="sliding_window is 0; it must be a whole number, 1 or"):
        window_from_sliding_window(0)


def test_a_random_pattern_is_drawn_from_a_generator_once():
    def made(seed: int) -> PatternAttention:
        generator = torch.Generator().manual_seed(seed)
        return PatternAttention("window+random", window=1, n_random=2, generator=generator)

    def mask(attend: PatternAttention) -> torch.Tensor:
        return attend.mask(LENGTH, LENGTH, causal=False, device=torch.device("cpu"))

    attend = made(3)
    assert torch.equal(mask(attend), mask(attend))
    assert torch.equal(mask(attend), mask(made(3)))
    assert not torch.equal(mask(attend), mask(made(4)))
    assert "seed=" in repr(attend)
    drawn = pattern_mask(
        "window+random", LENGTH, window=1, n_random=2, generator=torch.Generator().manual_seed(3)
    )
    assert torch.equal(drawn, mask(attend))
    plain = pattern_mask("random", LENGTH, n_random=2)
    assert torch.equal(plain, pattern_mask("random", LENGTH, n_random=2, seed=0))
    with pytest.raises(ValueError, match="generator is given; it must be None: seed says"):
        PatternAttention("random", n_random=2, seed=1, generator=torch.Generator())
