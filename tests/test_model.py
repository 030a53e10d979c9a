"""Layers equal torch's with equal weights; decoders cannot see ahead; the parts plug in."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from frugal.attention.linformer import LinformerSelfAttention
from frugal.attention.lsh import LshAttention
from frugal.attention.recording import recording
from frugal.attention.softmax import MultiHeadAttention, causal_mask, softmax_attention
from frugal.attention.span import AdaptiveSpan
from frugal.decoding import choose, extend, generate, translate
from frugal.embeddings import TokenEmbedding
from frugal.feedforward.dense import ACTIVATIONS, DenseFeedForward
from frugal.mixing.convolution import LightweightConv
from frugal.mixing.fourier import FourierMixing
from frugal.model import (
    Decoder,
    Encoder,
    EncoderDecoder,
    Stack,
    TransformerConfig,
    TransformerLayer,
)
from frugal.norms import NORMS, norm
from frugal.positions import KINDS

SMALL = TransformerConfig(vocab_size=11, d_model=12, n_heads=3, n_layers=2, d_ff=20, max_length=16)


def copy_attention(ours, theirs):
    parts = (ours.to_q, ours.to_k, ours.to_v)
    theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
    theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.to_out.state_dict())


def copy_layer(ours, theirs, *, cross):
    """Give torch's layer our weights, norms in the order in which both use them."""
    with torch.no_grad():
        copy_attention(ours.mix.sublayer, theirs.self_attn)
        blocks = [ours.mix, ours.feed_forward]
        if cross:
            copy_attention(ours.cross.sublayer, theirs.multihead_attn)
            blocks.insert(1, ours.cross)
        for number, block in enumerate(blocks, start=1):
            getattr(theirs, f"norm{number}").load_state_dict(block.norm.state_dict())
        theirs.linear1.load_state_dict(ours.feed_forward.sublayer.inner.state_dict())
        theirs.linear2.load_state_dict(ours.feed_forward.sublayer.outer.state_dict())


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("cross", [False, True])
def test_layer_equals_torch(generator, norm_first, activation, cross):
    torch.manual_seed(1)
    config = replace(SMALL, norm_first=norm_first, activation=activation)
    ours = TransformerLayer(config, 0, cross=cross).eval()
    for parameter in ours.parameters():  # biases and norms too, else they are 0 and 1
        nn.init.normal_(parameter, std=0.3)
    kind = nn.TransformerDecoderLayer if cross else nn.TransformerEncoderLayer
    theirs = kind(12, 3, 20, 0.0, activation, batch_first=True, norm_first=norm_first).eval()
    copy_layer(ours, theirs, cross=cross)
    x, memory = torch.randn(2, 5, 12, generator=generator), torch.randn(2, 7, 12)
    padding = torch.ones(2, 7, dtype=torch.bool)
    padding[0, 5:] = False
    with torch.no_grad():
        if cross:
            out = ours(x, memory, causal=True, memory_padding=padding)
            expected = theirs(
                x, memory, tgt_mask=~causal_mask(5, 5), memory_key_padding_mask=~padding
            )
        else:
            out = ours(memory, padding=padding)
            expected = theirs(memory, src_key_padding_mask=~padding)
            out, expected = out[padding], expected[padding]
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", KINDS)
def test_a_decoder_does_not_see_ahead(generator, positions):
    decoder = Decoder(replace(SMALL, positions=positions)).eval()
    ids = torch.randint(11, (2, 8), generator=generator)
    changed = ids.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 11
    before, after = decoder(ids), decoder(changed)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize("positions", KINDS)
def test_only_positions_tell_order(generator, positions):
    encoder = Encoder(replace(SMALL, positions=positions)).eval()
    ids = torch.tensor([[1, 2, 3, 4]])
    same = torch.allclose(encoder(ids)[0], encoder(ids.flip(1))[0].flip(0), atol=1e-5)
    assert same == (positions in ("none", "alibi"))  # |i - j| is the same both ways


def test_padding_changes_nothing_for_real_tokens(generator):
    model = EncoderDecoder(SMALL).eval()
    source = torch.randint(11, (2, 6), generator=generator)
    target = torch.randint(11, (2, 4), generator=generator)
    padding = torch.ones(2, 6, dtype=torch.bool)
    padding[:, 4:] = False
    cut = model(source[:, :4], target)
    torch.testing.assert_close(model(source, target, padding), cut, atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", KINDS)
@pytest.mark.parametrize("kind", ["decoder", "encoder-decoder"])
def test_cached_decoding_equals_uncached(generator, positions, kind):
    torch.manual_seed(3)
    config = replace(SMALL, positions=positions, n_decoder_layers=3, target_vocab_size=13)
    ids = torch.randint(1, 11, (3, 4), generator=generator)
    if kind == "decoder":
        decoder, memory, padding = Decoder(config).eval(), None, None
    else:
        model = EncoderDecoder(config).eval()
        decoder, padding = model.decoder, torch.tensor([[True] * 4, [True, True, False, False]])
        padding = padding[[0, 1, 0]]
        with torch.no_grad():
            memory = model.encoder(ids, padding)
    caches = decoder.new_caches(9, None if memory is None else 4)
    text = torch.randint(1, 11, (3, 9), generator=generator)
    with torch.no_grad():
        whole = decoder(text, memory, memory_padding=padding)
        steps = [
            decoder(text[:, i:j], memory, memory_padding=padding, caches=caches)
            for i, j in ((0, 4), (4, 5), (5, 6), (6, 9))
        ]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, atol=1e-5, rtol=0)
    options = {"memory_padding": padding, "max_new_tokens": 6, "pad": 0}
    cached, uncached = (
        extend(decoder, ids, memory, cache=flag, **options) for flag in (True, False)
    )
    assert torch.equal(cached, uncached)


def test_translate_stops_at_eos_and_pads(generator):
    torch.manual_seed(0)
    model = EncoderDecoder(SMALL)
    source = torch.randint(3, 11, (4, 5), generator=generator)
    free = translate(model, source, bos=1, eos=99, max_new_tokens=8)
    eos = int(free[0, 3])
    out = translate(model, source, bos=1, eos=eos, max_new_tokens=8)
    assert (out[:, 0] == 1).all()
    for row, unstopped in zip(out.tolist(), free.tolist(), strict=True):
        end = row.index(eos, 1) + 1 if eos in row[1:] else len(row)
        assert row[:end] == unstopped[:end]
        assert set(row[end:]) <= {0}
    assert model.training


@pytest.mark.parametrize("positions", KINDS)
@pytest.mark.parametrize("eos", [None, 3])
def test_prompts_of_unequal_length_are_continued_as_if_alone(generator, positions, eos):
    torch.manual_seed(0)
    model = Decoder(replace(SMALL, positions=positions))
    prompt = torch.randint(11, (5, 6), generator=generator)
    padding = torch.arange(6) >= torch.tensor([[0], [2], [0], [5], [2]])
    out = generate(model, prompt, max_new_tokens=7, padding=padding, eos=eos, pad=9)
    assert torch.equal(out[:, :6], prompt)
    alone = [
        generate(model, prompt[i : i + 1, padding[i]], max_new_tokens=7, eos=eos, pad=9)
        for i in range(5)
    ]
    news = [text[0, padding[i].sum() :].tolist() for i, text in enumerate(alone)]
    assert out.shape[1] == 6 + max(map(len, news))
    for row, new in zip(out[:, 6:].tolist(), news, strict=True):
        assert row == new + [9] * (len(row) - len(new))
    assert generate(model, prompt[:0], max_new_tokens=7, padding=padding[:0]).shape == (0, 6)


def test_a_small_temperature_takes_the_best(generator):
    logits = torch.tensor([[3.0, 80.0, 1.0]])
    assert choose(logits, temperature=1e-38, generator=generator) == 1  # 80 / 1e-38 is infinite


def test_a_seed_fixes_the_sample(generator):
    model = Decoder(SMALL)
    prompt = torch.ones(2, 1, dtype=torch.int64)
    first, second, other = (
        generate(
            model,
            prompt,
            max_new_tokens=10,
            temperature=1.5,
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (5, 5, 6)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_choose_follows_the_distribution(generator):
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().expand(4000, 4)
    drawn = choose(logits, temperature=1.0, generator=generator).bincount(minlength=4) / 4000
    torch.testing.assert_close(drawn, logits[0].exp(), atol=0.03, rtol=0)
    assert set(choose(logits, temperature=1.0, top_k=2, generator=generator).tolist()) == {0, 1}
    assert set(choose(logits, temperature=1.0, top_p=0.7, generator=generator).tolist()) == {0, 1}
    assert set(choose(logits).tolist()) == {0}


@pytest.mark.parametrize("kind", NORMS)
def test_norms_are_the_formulas(generator, kind):
    x = torch.randn(2, 3, 16, generator=generator)
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    expected = {
        "layer": (x - mean) / (variance + 1e-5).sqrt(),
        "rms": x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt(),
        "none": x,
    }[kind]
    torch.testing.assert_close(norm(kind, 16)(x), expected)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_feed_forward_is_the_formula(generator, name):
    layer = DenseFeedForward(5, 7, activation=name)
    x = torch.randn(2, 3, 5, generator=generator)
    hidden = x @ layer.inner.weight.T + layer.inner.bias
    expected = {
        "relu": hidden.clamp(min=0),
        "gelu": hidden * torch.special.ndtr(hidden),
        "swish": hidden / (1 + (-hidden).exp()),
        "elu": hidden.where(hidden > 0, hidden.exp() - 1),
        "selu": 1.0507009873554805 * hidden.where(hidden > 0, 1.6732632423543772 * hidden.expm1()),
        "sigmoid": 1 / (1 + (-hidden).exp()),
        "softplus": (1 + hidden.exp()).log(),
    }[name]
    torch.testing.assert_close(layer(x), expected @ layer.outer.weight.T + layer.outer.bias)


def test_embedding_and_tied_output_share_a_table(generator):
    embedding = TokenEmbedding(50, 64)
    x = embedding(torch.arange(50)[None])
    assert 0.9 < x.std() < 1.1
    torch.testing.assert_close(embedding.logits(x)[0, 3, 7], x[0, 3] @ embedding.table[7])


def test_parts_plug_in(generator):
    calls = []

    def make_attend(index, config):
        def attend(q, k, v, **options):
            calls.append(index)
            return softmax_attention(q, k, v, **options)

        return attend

    class Backwards(Stack):
        def forward(self, x, memory=None, *, caches=None, **options):
            for layer in reversed(self.layers):
                x = layer(x, memory, **options)
            return x

    config = replace(SMALL, make_attend=make_attend, make_stack=Backwards)
    ids = torch.randint(11, (2, 5), generator=generator)
    Encoder(config)(ids)
    assert calls == [1, 0]

    config = replace(
        SMALL,
        make_mixer=lambda index, config: nn.Identity(),
        make_feed_forward=lambda index, config: nn.Identity(),
        norm="none",
    )
    out = Encoder(config)(ids, padding=torch.ones(2, 5, dtype=torch.bool))
    plain = Encoder(config)
    expected = 16 * plain.positions(plain.embedding(ids))  # two layers double twice each
    torch.testing.assert_close(plain(ids), expected)
    assert out.shape == (2, 5, 12)


def test_a_mixer_gets_the_padding_if_it_takes_it_else_zeros(generator):
    class Plain(nn.Module):
        causal = False

        def forward(self, x):
            self.seen = x
            return x.mean(1, keepdim=True).expand_as(x)

    class Masked(Plain):
        takes_padding = True

        def forward(self, x, *, padding=None):
            self.given = padding
            return super().forward(x)

    ids = torch.randint(11, (2, 5), generator=generator)
    padding = torch.arange(5) < torch.tensor([[5], [3]])
    for kind in (Plain, Masked):
        encoder = Encoder(replace(SMALL, make_mixer=lambda index, config, kind=kind: kind()))
        torch.nn.init.ones_(encoder.stack.layers[0].mix.norm.bias)  # zeros must come after it
        encoder(ids, padding)
        mixer = encoder.stack.layers[0].mix.sublayer
        assert (mixer.seen[1, 3:] == 0).all() == (kind is Plain)
        assert (mixer.seen[1, :3] != 0).any(-1).all()
    assert mixer.given is padding


def test_a_mixer_says_what_it_takes_when_the_model_is_built():
    class Silent(nn.Module):
        def forward(self, x, *, padding=None):
            return x

    with pytest.raises(ValueError, match=r"^Silent.takes_padding is missing [^\n]*\.$"):
        Encoder(replace(SMALL, make_mixer=lambda *_: Silent()))
    Silent.takes_padding = False
    Encoder(replace(SMALL, make_mixer=lambda *_: Silent()))
    Silent.causal = "left"
    with pytest.raises(ValueError, match=r"^Silent.causal is 'left'; [^\n]*\.$"):
        Encoder(replace(SMALL, make_mixer=lambda *_: Silent()))


def test_a_decoder_refuses_a_mixer_that_sees_the_future():
    ids = torch.zeros(1, 4, dtype=torch.int64)
    decoder = Decoder(replace(SMALL, make_mixer=lambda *_: FourierMixing()))
    with pytest.raises(ValueError, match="FourierMixing does not say causal"):
        decoder(ids)
    assert decoder(ids, causal=False).shape == (1, 4, 11)
    both = Decoder(replace(SMALL, make_mixer=lambda *_: LightweightConv(12, 2, 3, causal=False)))
    with pytest.raises(ValueError, match="LightweightConv does not say causal"):
        both(ids)
    silent = Decoder(replace(SMALL, make_mixer=lambda *_: LinformerSelfAttention(12, 3, 16, 4)))
    with pytest.raises(ValueError, match="LinformerSelfAttention does not say causal"):
        silent(ids)


def test_recording_a_model_names_every_attention(generator):
    model = EncoderDecoder(SMALL).eval()
    source, target = torch.randint(11, (1, 6)), torch.randint(11, (1, 4))
    with recording(model) as recorder:
        model(source, target)
    shapes = {name: tuple(weights.shape) for name, weights in recorder.weights.items()}
    for layer in range(2):
        assert shapes[f"encoder.stack.layers.{layer}.mix.sublayer"] == (1, 3, 6, 6)
        assert shapes[f"decoder.stack.layers.{layer}.mix.sublayer"] == (1, 3, 4, 4)
        assert shapes[f"decoder.stack.layers.{layer}.cross.sublayer"] == (1, 3, 4, 6)
    assert len(shapes) == 6


IDS = torch.zeros(1, 4, dtype=torch.int64)
BAD = {
    "n_heads is 5; it must be at least 1 and divide d_model=12": lambda: replace(SMALL, n_heads=5),
    "n_layers is 0": lambda: replace(SMALL, n_layers=0),
    "positions is 'spiral'": lambda: replace(SMALL, positions="spiral"),
    "dropout is 1": lambda: replace(SMALL, dropout=1),
    "a layer takes one": lambda: replace(SMALL, make_attend=print, make_mixer=print),
    "make_attend is AdaptiveSpan; it must be called as make_attend(index, config)": lambda: replace(
        SMALL, make_attend=AdaptiveSpan(2, 8)
    ),
    "make_attend is the class LshAttention": lambda: replace(SMALL, make_attend=LshAttention),
    "attend is the class LshAttention": lambda: MultiHeadAttention(8, 2, LshAttention),
    "attend is None": lambda: MultiHeadAttention(8, 2, None),
    "attend is Identity": lambda: MultiHeadAttention(8, 2, nn.Identity()),
    "context has shape (2, 6, 4)": lambda: MultiHeadAttention(8, 2)(
        torch.ones(2, 5, 8), torch.ones(2, 6, 4)
    ),
    "norm is 'batch'": lambda: Encoder(replace(SMALL, norm="batch")),
    "activation is 'sine'": lambda: DenseFeedForward(4, 8, activation="sine"),
    "they must be from 0 to 10": lambda: Encoder(SMALL)(torch.tensor([[3, 11]])),
    "ids have shape (1, 0)": lambda: Encoder(SMALL)(torch.zeros(1, 0, dtype=torch.int64)),
    "max_length=16 allows positions up to 15": lambda: Encoder(replace(SMALL, positions="learned"))(
        torch.zeros(1, 17, dtype=torch.int64)
    ),
    "padding has dtype torch.int64": lambda: Encoder(SMALL)(
        torch.zeros(1, 4, dtype=torch.int64), torch.ones(1, 4, dtype=torch.int64)
    ),
    "memory is None": lambda: Decoder(SMALL, cross=True)(torch.zeros(1, 4, dtype=torch.int64)),
    "max_new_tokens is 0": lambda: generate(
        Decoder(SMALL), torch.zeros(1, 4, dtype=torch.int64), max_new_tokens=0
    ),
    "prompt have shape (2,)": lambda: generate(
        Decoder(SMALL), torch.tensor([1, 2]), max_new_tokens=2
    ),
    "prompt have dtype torch.float32": lambda: generate(
        Decoder(SMALL), torch.ones(1, 2), max_new_tokens=2
    ),
    "model is of class EncoderDecoder; it must be a Decoder": lambda: generate(
        EncoderDecoder(SMALL), IDS, max_new_tokens=2
    ),
    "model is of class Decoder; it must be an EncoderDecoder": lambda: translate(
        Decoder(SMALL), IDS, bos=1, eos=2, max_new_tokens=2
    ),
    "padding is False behind a token": lambda: generate(
        Decoder(SMALL), IDS, max_new_tokens=2, padding=torch.tensor([[True, True, True, False]])
    ),
    "top_k is 5; it must be None at temperature 0": lambda: generate(
        Decoder(SMALL), IDS, max_new_tokens=2, top_k=5
    ),
    "top_p is 0.5; it must be None at temperature 0": lambda: choose(torch.zeros(1, 4), top_p=0.5),
    "logits has shape (4,)": lambda: choose(torch.zeros(4)),
    "ids have dtype torch.float32": lambda: Encoder(SMALL)(torch.zeros(1, 4)),
    "ids have dtype torch.uint8": lambda: Decoder(SMALL)(IDS.byte()),
    "memory has shape (1, 3, 8)": lambda: Decoder(SMALL, cross=True)(IDS, torch.zeros(1, 3, 8)),
    "memory is given; this layer was made without cross=True": lambda: Decoder(SMALL)(
        IDS, torch.zeros(1, 3, 12)
    ),
    "memory_padding is given; this layer": lambda: Decoder(SMALL)(
        IDS, memory_padding=torch.ones(1, 3, dtype=torch.bool)
    ),
    "mask is given; this layer mixes without attention": lambda: Encoder(
        replace(SMALL, make_mixer=lambda *_: FourierMixing())
    )(IDS, mask=torch.ones(4, 4, dtype=torch.bool)),
    "caches has 1; it must have one for each of 2 layers": lambda: Decoder(SMALL)(
        IDS, caches=Decoder(SMALL).new_caches(4)[:1]
    ),
    "x has shape (1, 4, 8)": lambda: Encoder(SMALL).encode(torch.zeros(1, 4, 8)),
    "x has shape (1, 4, 9)": lambda: Encoder(SMALL).stack(torch.zeros(1, 4, 9)),
    "x has shape (1, 4, 3); it must be (..., 12)": lambda: DenseFeedForward(12, 4)(
        torch.zeros(1, 4, 3)
    ),
    "d_ff is 0": lambda: replace(SMALL, d_ff=0),
    "n_heads is 2.0": lambda: replace(SMALL, n_heads=2.0),
    "temperature is -1": lambda: choose(torch.zeros(1, 4), temperature=-1),
    "top_k is 0": lambda: choose(torch.zeros(1, 4), temperature=1.0, top_k=0),
    "top_p is 1.5": lambda: choose(torch.zeros(1, 4), temperature=1.0, top_p=1.5),
    "mixes without attention": lambda: generate(
        Decoder(replace(SMALL, make_mixer=lambda index, config: nn.Identity())),
        torch.zeros(1, 4, dtype=torch.int64),
        max_new_tokens=1,
    ),
    "padding has shape (1, 3)": lambda: Decoder(
        replace(SMALL, make_mixer=lambda *_: LightweightConv(12, 2, 3, causal=True))
    )(torch.zeros(1, 4, dtype=torch.int64), padding=torch.ones(1, 3, dtype=torch.bool)),
    "capacity is 0": lambda: Decoder(SMALL).new_caches(0),
    "vocab_size is 0": lambda: TokenEmbedding(0, 4),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence]()
    assert sentence in str(caught.value)
