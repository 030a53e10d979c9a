"""Perceiver IO against Hugging Face's with equal weights, and what its shape promises."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.arithmetic.fewer_tokens import funnel_flops, layer_flops, perceiver_flops
from frugal.attention.recording import recording
from frugal.measure import count_flops
from frugal.model import Encoder, TransformerConfig
from frugal.tokens.latents import CrossAttention, LatentLayer, LatentStack, PerceiverIO
from frugal.tokens.pooling import FunnelEncoder


def randomise(module, seed=0):
    """Weights that leave no term of the computation at zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module


def hugging_face(residual, widening):
    """PerceiverModel, and a basic decoder that takes its queries as they are."""
    pytest.importorskip("transformers")
    from transformers import PerceiverConfig, PerceiverModel
    from transformers.models.perceiver.modeling_perceiver import PerceiverBasicDecoder

    config = PerceiverConfig(
        num_latents=5,
        d_latents=12,
        d_model=7,
        num_blocks=2,
        num_self_attends_per_block=3,
        num_self_attention_heads=3,
        num_cross_attention_heads=2,
        qk_channels=12,
        v_channels=12,
        self_attention_widening_factor=widening,
        cross_attention_widening_factor=widening,
        attention_probs_dropout_prob=0.0,
    )
    decoder = PerceiverBasicDecoder(
        config,
        output_num_channels=9,
        position_encoding_type="none",
        num_channels=9,
        qk_channels=12,
        v_channels=12,
        num_heads=2,
        widening_factor=widening,
        use_query_residual=residual,
        final_project=False,
    )
    return randomise(PerceiverModel(config)).eval(), randomise(decoder, 1).eval()


def copy_layer(ours, theirs):
    """A Hugging Face PerceiverLayer's weights in a layer of ours."""
    heads = theirs.attention.self
    pairs = [
        (ours.norm, heads.layernorm1),
        (ours.attention.to_q, heads.query),
        (ours.attention.to_k, heads.key),
        (ours.attention.to_v, heads.value),
        (ours.attention.to_out, theirs.attention.output.dense),
        (ours.feed_forward_norm, theirs.layernorm),
        (ours.feed_forward.inner, theirs.mlp.dense1),
        (ours.feed_forward.outer, theirs.mlp.dense2),
    ]
    if ours.context_norm is not None:
        pairs.append((ours.context_norm, heads.layernorm2))
    for mine, other in pairs:
        mine.load_state_dict(other.state_dict())


@pytest.mark.parametrize("residual", [True, False], ids=["residual", "no-residual"])
@pytest.mark.parametrize("widening", [1, 3])
def test_equals_hugging_face(generator, residual, widening):
    theirs, decoder = hugging_face(residual, widening)
    ours = PerceiverIO(
        7,
        12,
        5,
        d_query=9,
        n_layers=3,
        n_blocks=2,
        n_heads=3,
        n_cross_heads=2,
        widening=widening,
        query_residual=residual,
    )
    with torch.no_grad():
        ours.latents.copy_(theirs.embeddings.latents)
    copy_layer(ours.encoder, theirs.encoder.cross_attention)
    for layer, other in zip(ours.layers, theirs.encoder.self_attends, strict=True):
        copy_layer(layer, other)
    copy_layer(ours.decoder, decoder.decoding_cross_attention)

    inputs = torch.randn(2, 11, 7, generator=generator, requires_grad=True)
    queries = torch.randn(2, 4, 9, generator=generator)
    padding = torch.arange(11) < torch.tensor([[6], [11]])
    expected = theirs(inputs, attention_mask=padding.long(), output_attentions=True)
    latents = expected.last_hidden_state
    answers = decoder(queries, latents).logits
    torch.testing.assert_close(ours.encode(inputs, padding), latents, atol=1e-4, rtol=0)
    out = ours(inputs, queries, padding)
    torch.testing.assert_close(out, answers, atol=1e-4, rtol=0)
    grads = [torch.autograd.grad(y.sin().sum(), inputs)[0] for y in (out, answers)]
    torch.testing.assert_close(*grads, atol=1e-4, rtol=1e-3)
    with recording(ours) as recorder:
        ours(inputs, queries, padding)
    weights = recorder.weights["encoder.attention"]
    torch.testing.assert_close(weights, expected.cross_attentions[0], atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=25)
@given(length=st.integers(1, 9), extra=st.integers(1, 9), seed=st.integers(0, 99))
def test_padding_changes_nothing(length, extra, seed):
    model = randomise(PerceiverIO(6, 8, 3, n_layers=1, n_heads=2), seed)
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(2, length + extra, 6, generator=generator)
    queries = torch.randn(2, 2, 8, generator=generator)
    padding = torch.arange(length + extra) < length
    with torch.no_grad():
        alone = model(inputs[:, :length], queries)
        padded = model(inputs, queries, padding.expand(2, -1))
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=0)


def test_the_order_of_inputs_does_not_matter_and_that_of_queries_only_moves_answers(generator):
    model = randomise(PerceiverIO(6, 8, 3, n_layers=2, n_heads=2))
    inputs = torch.randn(1, 9, 6, generator=generator)
    queries = torch.randn(1, 5, 8, generator=generator)
    out = model(inputs, queries)
    order = torch.randperm(9, generator=generator)
    torch.testing.assert_close(model(inputs[:, order], queries), out, atol=1e-5, rtol=0)
    one_by_one = [model(inputs, queries[:, i : i + 1]) for i in range(5)]
    torch.testing.assert_close(torch.cat(one_by_one, 1), out, atol=1e-5, rtol=0)


def test_queries_of_batch_one_are_asked_of_every_example(generator):
    model = randomise(PerceiverIO(6, 8, 3, d_query=4, n_layers=1, n_heads=2))
    inputs, queries = torch.randn(3, 9, 6), torch.randn(1, 5, 4)
    out = model(inputs, queries)
    assert out.shape == (3, 5, 4)
    torch.testing.assert_close(out, model(inputs, queries.expand(3, -1, -1)), atol=0, rtol=0)


def test_blocks_run_the_same_layers_again(generator):
    once = randomise(PerceiverIO(6, 8, 3, n_layers=2, n_heads=2))
    twice = PerceiverIO(6, 8, 3, n_layers=2, n_blocks=2, n_heads=2)
    twice.load_state_dict(once.state_dict())
    inputs = torch.randn(1, 9, 6, generator=generator)
    expected = once.encode(inputs)
    for layer in once.layers:
        expected = layer(expected)
    torch.testing.assert_close(twice.encode(inputs), expected, atol=1e-6, rtol=0)


def test_latents_start_apart():
    latents = PerceiverIO(6, 8, 16).latents
    apart = torch.cdist(latents, latents) + torch.eye(16)
    assert apart.min() > 0.01


def test_an_encoder_thinks_in_latents(generator):
    config = TransformerConfig(
        13,
        d_model=8,
        n_heads=2,
        n_layers=3,
        make_stack=lambda layers: LatentStack(layers, d_model=8, n_heads=2, n_latents=4),
    )
    encoder = randomise(Encoder(config))
    ids = torch.randint(13, (2, 11), generator=generator)
    padding = (torch.arange(11) < 7).expand(2, -1)
    with recording(encoder) as recorder:
        out = encoder(ids, padding)
    assert out.shape == (2, 11, 8)
    shapes = [tuple(weights.shape[2:]) for weights in recorder.weights.values()]
    assert shapes == [(4, 11), (4, 4), (4, 4), (4, 4), (11, 4)]
    torch.testing.assert_close(out[:, :7], encoder(ids[:, :7]), atol=1e-5, rtol=0)


def test_flops_are_those_that_are_counted(generator):
    model = PerceiverIO(16, 16, 5, n_layers=3, n_heads=2, widening=2)
    counted, _ = count_flops(model, torch.randn(1, 40, 16), torch.randn(1, 7, 16))
    cost = perceiver_flops(40, 5, 7, n_layers=3, d_model=16, d_ff=32)
    assert counted == cost.total
    assert cost.process == 3 * layer_flops(5, 5, d_model=16, d_ff=32)
    config = TransformerConfig(3, d_model=16, n_heads=2, d_ff=32)
    funnel = FunnelEncoder(config, blocks=(2, 2, 1), n_decoder_layers=1)
    counted, _ = count_flops(funnel, torch.zeros(1, 39, dtype=torch.int64))
    layers = funnel_flops(39, blocks=(2, 2, 1), d_model=16, d_ff=32, n_decoder_layers=1)
    assert counted == sum(layer.flops for layer in layers)
    shapes = [(layer.block, layer.queries, layer.keys) for layer in layers]
    assert shapes == [
        (0, 39, 39), (0, 39, 39), (1, 20, 39), (1, 20, 20), (2, 10, 20), (None, 39, 39)
    ]  # fmt: skip


def some(*shape):
    return torch.randn(shape)


SMALL = {"n_layers": 1, "n_heads": 2}
BAD = {
    "inputs has shape (2, 4)": lambda: PerceiverIO(6, 8, 3, **SMALL).encode(some(2, 4)),
    "inputs has shape (2, 4, 5)": lambda: PerceiverIO(6, 8, 3, **SMALL).encode(some(2, 4, 5)),
    "inputs has shape (2, 0, 6)": lambda: PerceiverIO(6, 8, 3, **SMALL).encode(some(2, 0, 6)),
    "queries have shape (3, 1, 8)": lambda: PerceiverIO(6, 8, 3, **SMALL)(
        some(2, 4, 6), some(3, 1, 8)
    ),
    "queries have shape (2, 1, 7)": lambda: PerceiverIO(6, 8, 3, **SMALL)(
        some(2, 4, 6), some(2, 1, 7)
    ),
    "padding has shape (2, 5)": lambda: PerceiverIO(6, 8, 3, **SMALL).encode(
        some(2, 4, 6), torch.ones(2, 5).bool()
    ),
    "n_latents is 0": lambda: PerceiverIO(6, 8, 0),
    "d_input is 0": lambda: PerceiverIO(0, 8, 3),
    "n_layers is -1": lambda: PerceiverIO(6, 8, 3, n_layers=-1),
    "n_blocks is 0": lambda: PerceiverIO(6, 8, 3, n_blocks=0),
    "n_heads is 3": lambda: PerceiverIO(6, 8, 3, n_heads=3),
    "context has shape (2, 3, 5)": lambda: CrossAttention(8, 6, 8, 2)(some(2, 1, 8), some(2, 3, 5)),
    "context is None": lambda: LatentLayer(8, 2, d_context=6)(some(2, 1, 8)),
    "x has shape (2, 6, 9)": lambda: LatentLayer(8, 2)(some(2, 6, 9)),
    "context has shape (2, 6, 5)": lambda: LatentLayer(8, 2, d_context=6)(
        some(2, 3, 8), some(2, 6, 5)
    ),
    "context is given": lambda: LatentLayer(8, 2)(some(2, 1, 8), some(2, 1, 8)),
    "causal is given": lambda: LatentStack([], d_model=8, n_heads=2, n_latents=3)(
        some(2, 4, 8), causal=True
    ),
    "memory is given": lambda: LatentStack([], d_model=8, n_heads=2, n_latents=3)(
        some(2, 4, 8), some(2, 4, 8)
    ),
    "latents is 0": lambda: perceiver_flops(4, 0, 1, n_layers=1, d_model=8, d_ff=8),
    "blocks is ()": lambda: funnel_flops(4, blocks=(), d_model=8, d_ff=8),
    "length is 1": lambda: funnel_flops(2, blocks=(1, 1, 1), d_model=8, d_ff=8),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence]()
    assert sentence in str(caught.value)
