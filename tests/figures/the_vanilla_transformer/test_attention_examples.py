"""The attention explorer's Python side: what the page gets, from a real model, and bad input."""

import base64
import json

import numpy as np
import pytest
import torch

from frugal.attention.recording import recording
from frugal.figures.the_vanilla_transformer.attention_explorer import (
    AttentionExample,
    AttentionExplorer,
    AttentionMap,
    recorded_weights,
)
from frugal.model import Encoder, EncoderDecoder, TransformerConfig

SOURCE, TARGET = list("June 98"), list("1998")


def softmax(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator).softmax(-1)


def example(title: str = "June 98") -> AttentionExample:
    weights = {"encoder": softmax(2, 3, 7, 7), "cross": softmax(2, 3, 4, 7)}
    return AttentionExample.from_weights(weights, source=SOURCE, target=TARGET, title=title)


def decoded(stored: dict) -> np.ndarray:
    kind = np.uint8 if stored["bits"] == 8 else np.dtype("<u2")
    codes = np.frombuffer(base64.b64decode(stored["weights"]), kind).astype(float)
    return (codes / (2 ** stored["bits"] - 1)).reshape(stored["shape"]) ** 2


@pytest.mark.parametrize(("bits", "largest", "small"), [(8, 0.004, 0.0004), (16, 2e-5, 2e-6)])
def test_weights_are_stored_as_exactly_as_stated(bits, largest, small):
    weights = torch.linspace(0, 1, 7 * 101).view(1, 1, 101, 7)
    stored = AttentionMap(kind="cross", queries=["q"] * 101, keys=SOURCE, weights=weights)
    error = np.abs(decoded(stored.state(bits)) - weights.numpy())
    assert error.max() < largest
    assert error[weights.numpy() < 0.01].max() < small
    assert decoded(stored.state(bits)).flat[0] == 0
    assert decoded(stored.state(bits)).flat[-1] == 1


def test_from_a_recorded_model():
    torch.manual_seed(0)
    config = TransformerConfig(
        vocab_size=11,
        target_vocab_size=13,
        d_model=12,
        n_heads=3,
        n_layers=2,
        d_ff=20,
        max_length=9,
    )
    model = EncoderDecoder(config).eval()
    source, target = torch.randint(1, 11, (2, 7)), torch.randint(1, 13, (2, 4))
    with torch.no_grad(), recording(model) as recorder:
        model(source, target)
    found = recorded_weights(recorder.weights, sequence=1)
    assert {kind: tuple(one.shape) for kind, one in found.items()} == {
        "encoder": (2, 3, 7, 7),
        "decoder": (2, 3, 4, 4),
        "cross": (2, 3, 4, 7),
    }
    future = torch.ones(4, 4, dtype=torch.bool).triu(1)
    assert (found["decoder"][..., future] == 0).all()
    second = [tensor[1] for name, tensor in recorder.weights.items() if name.startswith("encoder.")]
    assert torch.equal(found["encoder"], torch.stack(second))
    figure = AttentionExplorer([AttentionExample.from_weights(found, source=SOURCE, target=TARGET)])
    stored = figure.state["examples"][0]["maps"]["decoder"]
    assert np.abs(decoded(stored) - found["decoder"].numpy()).max() < 0.004


def test_a_model_that_is_an_encoder_only():
    torch.manual_seed(0)
    model = Encoder(TransformerConfig(vocab_size=11, d_model=12, n_heads=3, n_layers=2, d_ff=20))
    with torch.no_grad(), recording(model.eval()) as recorder:
        model(torch.randint(1, 11, (1, 7)))
    found = recorded_weights(recorder.weights)
    assert list(found) == ["encoder"]
    assert found["encoder"].shape == (2, 3, 7, 7)
    assert list(recorded_weights(recorder.weights, alone="decoder")) == ["decoder"]


def test_padding_beyond_the_words_is_cut_off():
    weights = softmax(2, 3, 9, 12)
    part = AttentionMap(kind="cross", queries=TARGET, keys=SOURCE, weights=list(weights))
    assert torch.equal(part.weights, weights[:, :, :4, :7])


def test_alt_text_says_what_the_first_row_says():
    figure = AttentionExplorer([example()], kind="cross", layer=1, head=2, query=3)
    row = example().maps[1].weights[1, 2, 3]
    assert f"the token ‘8’ gives {row.max():.0%} of its attention to ‘{SOURCE[row.argmax()]}’" in (
        figure.alt
    )
    assert AttentionExplorer([example()], alt="Other words.").alt == "Other words."


def test_the_page_stays_small():
    one = AttentionExample.from_weights(
        {"encoder": softmax(4, 8, 30, 30)}, source=["word"] * 30, title="30 words"
    )
    size = len(json.dumps(AttentionExplorer([one]).state))
    assert size < 4 * 8 * 30 * 30 * 1.34 + 1500  # one byte a weight, base64


def test_the_still_picture_shows_every_head_and_the_chosen_row():
    figure = AttentionExplorer([example()], kind="cross", layer=1, head=2, query=3).picture()
    *heads, large = figure.axes
    weights = example().maps[1].weights
    for axes, head in zip(heads, weights[1], strict=True):
        assert np.allclose(axes.images[0].get_array(), head.sqrt())
    assert np.allclose(large.images[0].get_array(), weights[1, 2].sqrt())
    assert [text.get_text() for text in large.get_xticklabels()] == SOURCE
    assert large.patches[0].get_y() == 2.5  # the frame around row 3


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: AttentionExplorer([]), "examples is empty"),
        (lambda: AttentionExplorer([example()], kind="decoder"), "kind is 'decoder'; it must be"),
        (lambda: AttentionExample(title="", maps=[]), "one map or more"),
        (
            lambda: AttentionExample.from_weights({"self": softmax(1, 1, 7, 7)}, source=SOURCE),
            "has the kind 'self'",
        ),
        (
            lambda: AttentionMap(
                kind="encoder", queries=SOURCE, keys=SOURCE, weights=softmax(1, 1, 6, 7)
            ),
            r"shape \(1, 1, 6, 7\).*at least 7 queries",
        ),
        (
            lambda: AttentionMap(
                kind="encoder", queries=SOURCE, keys=SOURCE, weights=softmax(1, 7, 7)
            ),
            "must be .layers, heads, queries, keys",
        ),
        (
            lambda: AttentionMap(
                kind="encoder", queries=SOURCE, keys=SOURCE, weights=-softmax(1, 1, 7, 7)
            ),
            "outside 0 … 1",
        ),
        (
            lambda: AttentionMap(
                kind="encoder", queries=SOURCE, keys=SOURCE, weights=softmax(1, 1, 7, 7) * torch.nan
            ),
            "outside 0 … 1",
        ),
        (lambda: recorded_weights({}), "weights is empty"),
        (
            lambda: recorded_weights({"encoder.0": softmax(2, 1, 3, 3)}, sequence=2),
            "sequence is 2; it must be one of the 2",
        ),
        (
            lambda: AttentionExplorer(
                [
                    example(),
                    AttentionExample.from_weights({"encoder": softmax(1, 1, 7, 7)}, source=SOURCE),
                ]
            ),
            "all must have the same",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(build, words):
    with pytest.raises(ValueError, match=words):
        build()
