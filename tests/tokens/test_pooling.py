"""The funnel against Hugging Face's with equal weights, and against sequences without padding."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from frugal.arithmetic.fewer_tokens import pooled_length
from frugal.attention.recording import recording
from frugal.attention.relative import RelativeAttention
from frugal.model import Encoder, TransformerConfig
from frugal.tokens.pooling import FunnelEncoder, FunnelStack, pool, pool_padding, upsample

CONFIG = TransformerConfig(13, d_model=8, n_heads=2, d_ff=12, activation="gelu")


def randomise(module, seed=0):
    """Weights that leave no term of the computation at zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module


def hugging_face(blocks, n_decoder_layers, keep_first, attention_type):
    pytest.importorskip("transformers")
    from transformers import FunnelConfig
    from transformers.models.funnel.modeling_funnel import FunnelDecoder
    from transformers.models.funnel.modeling_funnel import FunnelEncoder as Theirs

    config = FunnelConfig(
        block_sizes=list(blocks),
        num_decoder_layers=max(1, n_decoder_layers),
        d_model=16,
        n_head=2,
        d_head=8,
        d_inner=24,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
        attention_type=attention_type,
        separate_cls=keep_first,
        truncate_seq=False,
    )
    encoder, decoder = randomise(Theirs(config)).eval(), randomise(FunnelDecoder(config), 1).eval()
    return encoder, decoder if n_decoder_layers else None


def copy_layer(ours, theirs):
    """A Hugging Face FunnelLayer's weights in a TransformerLayer of ours."""
    heads, their_heads = ours.mix.sublayer, theirs.attention
    pairs = [
        (heads.to_k, their_heads.k_head),
        (heads.to_v, their_heads.v_head),
        (heads.to_out, their_heads.post_proj),
        (ours.mix.norm, their_heads.layer_norm),
        (ours.feed_forward.sublayer.inner, theirs.ffn.linear_1),
        (ours.feed_forward.sublayer.outer, theirs.ffn.linear_2),
        (ours.feed_forward.norm, theirs.ffn.layer_norm),
    ]
    for mine, other in pairs:
        mine.load_state_dict(other.state_dict())
    with torch.no_grad():
        heads.to_q.weight.copy_(their_heads.q_head.weight)
        heads.to_q.bias.zero_()  # theirs has none
        heads.attend.content_bias.copy_(their_heads.r_w_bias)
        heads.attend.place_bias.copy_(their_heads.r_r_bias)
        heads.attend.to_distance.copy_(their_heads.r_kernel)


def ours_and_theirs(blocks, n_decoder_layers, keep_first, attention_type="relative_shift"):
    encoder, decoder = hugging_face(blocks, n_decoder_layers, keep_first, attention_type)
    config = TransformerConfig(
        1, d_model=16, n_heads=2, d_ff=24, norm_first=False, activation="gelu"
    )
    ours = FunnelEncoder(
        config,
        blocks=blocks,
        n_decoder_layers=n_decoder_layers,
        keep_first=keep_first,
        relative=True,
    )
    for block, their_block in zip(ours.stack.blocks, encoder.blocks, strict=True):
        for layer, their_layer in zip(block, their_block, strict=True):
            copy_layer(layer, their_layer)
    for layer, their_layer in zip(
        ours.stack.decoder, decoder.layers if decoder else (), strict=True
    ):
        copy_layer(layer, their_layer)

    def theirs(x, padding):
        mask = padding.long()
        out = encoder(x, attention_mask=mask, output_hidden_states=True)
        if decoder is None:
            return out.last_hidden_state
        first = out.hidden_states[blocks[0]]
        return decoder(out.last_hidden_state, first, attention_mask=mask).last_hidden_state

    return ours, theirs


@pytest.mark.parametrize("keep_first", [False, True], ids=["pooled", "first-apart"])
@pytest.mark.parametrize("n_decoder_layers", [0, 2], ids=["encoder", "decoder"])
@pytest.mark.parametrize("length", [12, 13, 11, 7])
def test_equals_hugging_face(generator, keep_first, n_decoder_layers, length):
    ours, theirs = ours_and_theirs((2, 1, 2), n_decoder_layers, keep_first)
    x = torch.randn(2, length, 16, generator=generator, requires_grad=True)
    expected, out = theirs(x, torch.ones(2, length)), ours.encode(x)
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=0)
    grads = [torch.autograd.grad(y.sin().sum(), x)[0] for y in (out, expected)]
    torch.testing.assert_close(*grads, atol=1e-4, rtol=1e-3)


def test_equals_hugging_face_with_padding_and_its_factorised_attention(generator):
    # In theirs a pair with one real token is padding; here the padding begins between pairs.
    ours, theirs = ours_and_theirs((1, 2, 1), 1, False, "factorized")
    x = torch.randn(2, 12, 16, generator=generator)
    padding = torch.arange(12) < torch.tensor([[8], [12]])
    expected, out = theirs(x, padding), ours.encode(x, padding)
    torch.testing.assert_close(out[padding], expected[padding], atol=1e-4, rtol=0)


@pytest.mark.parametrize("keep_first", [False, True])
@pytest.mark.parametrize("length", [2, 3, 4, 9, 10])
def test_pooling_equals_hugging_face(generator, keep_first, length):
    pytest.importorskip("transformers")
    from transformers import FunnelConfig
    from transformers.models.funnel.modeling_funnel import FunnelAttentionStructure
    from transformers.models.funnel.modeling_funnel import upsample as their_upsample

    if keep_first and length < 3:
        return
    config = FunnelConfig(separate_cls=keep_first, truncate_seq=False)
    x = torch.randn(2, length, 3, generator=generator)
    pooled = pool(x, keep_first=keep_first)
    expected = FunnelAttentionStructure(config).pool_tensor(x)
    torch.testing.assert_close(pooled, expected, atol=1e-6, rtol=0)
    assert pooled.shape[1] == pooled_length(length, keep_first=keep_first)
    wide = upsample(pooled, length, factor=2, keep_first=keep_first)
    assert wide.equal(their_upsample(pooled, 2, length, separate_cls=keep_first))


def test_the_mean_is_over_real_tokens():
    x = torch.tensor([1.0, 3.0, 5.0, 100.0, 100.0, 100.0, 7.0])[None, :, None]
    padding = torch.tensor([[1, 1, 1, 0, 0, 0, 1]]).bool()
    assert pool(x, padding).flatten().tolist() == [2, 5, 0, 7]
    assert pool_padding(padding).tolist() == [[True, True, False, True]]
    assert pool(x, padding, keep_first=True).flatten().tolist() == [1, 4, 0, 7]
    assert pool_padding(padding, keep_first=True).tolist() == [[True, True, False, True]]
    assert pool(x).flatten().tolist() == [2, 52.5, 100, 7]


@settings(deadline=None, max_examples=40)
@given(
    length=st.integers(5, 14),
    extra=st.integers(1, 9),
    relative=st.booleans(),
    keep_first=st.booleans(),
    n_decoder_layers=st.integers(0, 1),
    norm_first=st.booleans(),
    seed=st.integers(0, 99),
)
def test_padding_changes_nothing(
    length, extra, relative, keep_first, n_decoder_layers, norm_first, seed
):
    config = TransformerConfig(13, d_model=8, n_heads=2, d_ff=12, norm_first=norm_first)
    encoder = FunnelEncoder(
        config,
        blocks=(1, 1, 2),
        n_decoder_layers=n_decoder_layers,
        relative=relative,
        keep_first=keep_first,
    )
    randomise(encoder, seed)
    ids = torch.randint(13, (2, length + extra), generator=torch.Generator().manual_seed(seed))
    padding = (torch.arange(length + extra) < length).repeat(2, 1)
    with torch.no_grad():
        alone, padded = encoder(ids[:, :length]), encoder(ids, padding)
    real = encoder.output_padding(padding)
    assert real.shape == padded.shape[:2]
    assert real.sum(1).tolist() == [alone.shape[1]] * 2
    torch.testing.assert_close(padded[real].view_as(alone), alone, atol=1e-5, rtol=0)


def test_queries_are_pooled_and_keys_are_not(generator):
    encoder = randomise(FunnelEncoder(CONFIG, blocks=(1, 2, 1), n_decoder_layers=1))
    with recording(encoder) as recorder:
        out = encoder(torch.randint(13, (2, 11), generator=generator))
    assert out.shape == (2, 11, 8)
    shapes = [tuple(weights.shape[2:]) for weights in recorder.weights.values()]
    assert shapes == [(11, 11), (6, 11), (6, 6), (3, 6), (11, 11)]


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_border_by_definition(generator, norm_first):
    """Pooled queries and residual, single keys: written out for one border."""
    config = TransformerConfig(13, d_model=8, n_heads=2, norm_first=norm_first)
    encoder = randomise(FunnelEncoder(config, blocks=(1, 1)))
    x = torch.randn(2, 6, 8, generator=generator)
    layer = encoder.stack.blocks[1][0]
    shorter, _, places = encoder.stack.cross_border(layer, x, None, torch.arange(6))
    pooled = (x[:, 0::2] + x[:, 1::2]) / 2
    n, f = layer.mix.norm, layer.feed_forward
    if norm_first:
        y = pooled + layer.mix.sublayer(n(pooled), n(x))
        y = y + f.sublayer(f.norm(y))
    else:
        y = n(pooled + layer.mix.sublayer(pooled, x))
        y = f.norm(y + f.sublayer(y))
    torch.testing.assert_close(shorter, y, atol=1e-6, rtol=0)
    assert places.tolist() == [0, 2, 4]


def test_the_decoder_adds_the_first_block():
    """With later blocks and decoder layers silenced, the first block's output comes through."""
    encoder = randomise(FunnelEncoder(CONFIG, blocks=(1, 1), n_decoder_layers=1))
    ids = torch.arange(7)[None]
    seen = []
    encoder.stack.blocks[0][-1].register_forward_hook(lambda *call: seen.append(call[-1]))
    encoder.stack.decoder[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    encoder.stack.blocks[1][0].register_forward_hook(lambda *call: seen.append(call[-1]))
    widened = []
    border = encoder.stack.cross_border

    def remembered(*given):
        widened.append(border(*given)[0])
        return border(*given)

    encoder.stack.cross_border = remembered
    encoder(ids)
    first, entering = seen
    repeated = widened[0].repeat_interleave(2, 1)[:, :7]
    torch.testing.assert_close(entering, first + repeated, atol=1e-6, rtol=0)


def test_plugs_into_an_encoder_by_its_configuration(generator):
    config = TransformerConfig(
        13,
        d_model=8,
        n_heads=2,
        n_layers=4,
        make_stack=lambda layers: FunnelStack(layers, blocks=(1, 2)),
    )
    ids = torch.randint(13, (2, 9), generator=generator)
    encoder = Encoder(config)
    assert encoder(ids).shape == (2, 9, 8)
    same = FunnelEncoder(config, blocks=(1, 2), n_decoder_layers=1)
    same.load_state_dict(encoder.state_dict())
    assert same(ids).equal(encoder(ids))


def test_one_block_is_a_plain_encoder(generator):
    ids = torch.randint(13, (2, 9), generator=generator)
    plain, funnel = Encoder(CONFIG), FunnelEncoder(CONFIG, blocks=(2,))
    funnel.load_state_dict(
        {k.replace("stack.layers", "stack.blocks.0"): v for k, v in plain.state_dict().items()}
    )
    assert funnel(ids).equal(plain(ids))


def test_relative_scores_by_definition(generator):
    """A vector of sines and cosines for each distance, projected, times the query."""
    attend = randomise(RelativeAttention(2, 8))
    q, k, v = (torch.randn(1, 2, n, 4, generator=generator) for n in (3, 5, 5))
    query_places, key_places = torch.tensor([0, 4, 8]), torch.arange(5) * 2
    expected = torch.zeros(2, 3, 5)
    for i, here in enumerate(query_places.tolist()):
        for j, there in enumerate(key_places.tolist()):
            angle = (here - there) / 10000 ** (torch.arange(4) / 4)
            waves = torch.cat([angle.sin(), angle.cos()])
            r = torch.einsum("d,dhc->hc", waves, attend.to_distance)
            content = ((q[0, :, i] + attend.content_bias) * k[0, :, j]).sum(-1)
            expected[:, i, j] = (content + ((q[0, :, i] + attend.place_bias) * r).sum(-1)) / 2
    weights = attend.weights(q, k, query_places=query_places, key_places=key_places)
    torch.testing.assert_close(weights[0], expected.softmax(-1), atol=1e-5, rtol=0)
    out = attend(q, k, v, query_places=query_places, key_places=key_places)
    torch.testing.assert_close(out, weights @ v, atol=1e-5, rtol=0)
    # places matter by their differences alone
    moved = attend(q, k, v, query_places=query_places + 7, key_places=key_places + 7)
    torch.testing.assert_close(out, moved, atol=1e-5, rtol=0)


def rows(length):
    return torch.randn(1, length, 8)


def layers(n=3, **options):
    config = TransformerConfig(13, d_model=8, n_heads=2, n_layers=n, **options)
    return Encoder(config).stack.layers


BAD = {
    "length is 1; pooling needs at least two tokens.": lambda: pool(rows(1)),
    "length is 2; pooling needs at least two tokens beside": lambda: pool(rows(2), keep_first=True),
    "length is 1; pooling": lambda: FunnelEncoder(CONFIG, blocks=(1, 1, 1)).encode(rows(2)),
    "length is 1; pooling needs": lambda: pool_padding(torch.ones(1, 1).bool()),
    "padding has shape": lambda: pool(rows(4), torch.ones(1, 5).bool()),
    "padding has dtype torch.int64": lambda: pool_padding(torch.ones(1, 4, dtype=torch.int64)),
    "x has shape (4, 8); it must": lambda: pool(torch.ones(4, 8)),
    "factor is 2; it must be at least": lambda: upsample(rows(3), 7, factor=2),
    "blocks is ()": lambda: FunnelEncoder(CONFIG, blocks=()),
    "blocks is (2, 0)": lambda: FunnelEncoder(CONFIG, blocks=(2, 0)),
    "blocks is (2, 2), 4 layers; there are 3": lambda: FunnelStack(layers(), blocks=(2, 2)),
    "n_decoder_layers is -1": lambda: FunnelEncoder(CONFIG, n_decoder_layers=-1),
    "positions is 'rope'": lambda: FunnelStack(layers(positions="rope"), blocks=(1, 1)),
    "or 'alibi'": lambda: FunnelStack(layers(positions="alibi"), blocks=(1, 1)),
    "make_mixer is given": lambda: FunnelStack(
        layers(make_mixer=lambda *_: nn.Identity()), blocks=(1, 1)
    ),
    "causal is given": lambda: FunnelStack(layers(), blocks=(1, 1))(rows(4), causal=True),
    "memory is given": lambda: FunnelStack(layers(), blocks=(1, 1))(rows(4), rows(4)),
    "relative and make_attend": lambda: FunnelEncoder(
        TransformerConfig(13, make_attend=lambda *_: None), relative=True
    ),
    "n_heads is 3": lambda: RelativeAttention(3, 8),
    "d_model is 9": lambda: RelativeAttention(3, 9),
    "q has 2 heads of 8": lambda: RelativeAttention(2, 8)(*torch.randn(3, 1, 2, 4, 8)),
    "query_places has 3 places": lambda: RelativeAttention(2, 8)(
        *torch.randn(3, 1, 2, 4, 4), query_places=torch.arange(3)
    ),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence]()
    assert sentence in str(caught.value)
