"""Writing one token at a time: in a batch as alone, with every cache, and with clear errors."""

import itertools
from dataclasses import replace

import pytest
import torch

from frugal.attention.alibi import AlibiAttention
from frugal.attention.cache import KeyValueCache
from frugal.attention.dynamic_span import DynamicSpan
from frugal.attention.entmax import EntmaxAttention
from frugal.attention.kernels import (
    FavorFeatures,
    KernelAttention,
    RandomFeatureAttention,
    RandomFourierFeatures,
)
from frugal.attention.kernels.state import KernelState
from frugal.attention.patterns import PatternAttention
from frugal.attention.relative import RelativeAttention
from frugal.attention.softmax import softmax_attention
from frugal.attention.span import AdaptiveSpan
from frugal.decoding import choose, extend, generate, translate
from frugal.depth.layerdrop import LayerDrop
from frugal.mixing.convolution import LightweightConv
from frugal.model import Decoder, EncoderDecoder, TransformerConfig
from frugal.positions import KINDS

HEADS, HEAD_DIM, VOCABULARY = 2, 8, 13
ATTENDS = {
    "softmax": lambda: softmax_attention,
    "entmax": lambda: EntmaxAttention(HEADS),
    "relative": lambda: RelativeAttention(HEADS, HEADS * HEAD_DIM),
    "span": lambda: AdaptiveSpan(HEADS, 6, 2, start=3),
    "dynamic span": lambda: DynamicSpan(HEADS, HEAD_DIM, 6, 2, start=3),
    "window": lambda: PatternAttention("window", window=3),
    "window+dilated": lambda: PatternAttention("window+dilated", window=2, dilation=3),
    "strided": lambda: PatternAttention("strided", stride=3),
    "fixed": lambda: PatternAttention("fixed", stride=3, summary=1),
    "window+global": lambda: PatternAttention("window+global", window=2, global_tokens=(0, 2)),
    "random": lambda: PatternAttention("random+window", n_random=2, window=1),
    "linear": lambda: KernelAttention(),
    "favor": lambda: KernelAttention(FavorFeatures(HEAD_DIM, 16)),
    "fourier": lambda: KernelAttention(RandomFourierFeatures(HEAD_DIM, 16)),
    "rfa": lambda: RandomFeatureAttention(HEADS, HEAD_DIM, 16, memory=4),
    "rfa without a gate": lambda: RandomFeatureAttention(HEADS, HEAD_DIM, 16, gate=False),
}
NO_BIAS = {name for name in ATTENDS if "bias" in getattr(ATTENDS[name](), "refuses", {})}
PAIRS = [
    pair
    for pair in itertools.product(KINDS, ATTENDS)
    if pair[0] != "alibi" or pair[1] not in NO_BIAS
]
FORGET = {"span": 5, "dynamic span": 5, "window": 3, "window+dilated": 6}
SUM = {"linear", "favor", "fourier", "rfa", "rfa without a gate"}
IDS = torch.tensor([[1, 2, 3, 4]])


def made(positions="rope", attend="softmax", **options) -> Decoder:
    torch.manual_seed(0)
    config = TransformerConfig(
        VOCABULARY,
        d_model=HEADS * HEAD_DIM,
        n_heads=HEADS,
        max_length=40,
        positions=positions,
        make_attend=lambda index, config: ATTENDS[attend](),
        **options,
    )
    model = Decoder(config).double().eval()
    for parameter in model.parameters():  # scores that are far from equal, so that rounding is not
        parameter.data.mul_(1.5)
    return model


def left(lengths, generator):
    """Random prompts at the right of a batch, and where their tokens are."""
    longest = max(lengths)
    prompt = torch.randint(1, VOCABULARY, (len(lengths), longest), generator=generator)
    padding = torch.arange(longest) >= longest - torch.tensor(lengths)[:, None]
    return prompt, padding


@pytest.mark.parametrize(("positions", "attend"), PAIRS)
def test_a_batch_of_prompts_is_each_prompt_alone(generator, positions, attend):
    model = made(positions, attend)
    prompt, padding = left([9, 3, 6, 9, 1], generator)
    out = generate(model, prompt, padding=padding, max_new_tokens=8)
    assert torch.equal(out[:, :9], prompt)
    for row, real in enumerate(padding):
        alone = generate(model, prompt[row : row + 1, real], max_new_tokens=8, cache=False)
        assert torch.equal(out[row, 9:], alone[0, real.sum() :])


@pytest.mark.parametrize(("positions", "attend"), PAIRS)
def test_steps_with_padding_and_caches_give_the_scores_of_the_whole(generator, positions, attend):
    if attend in ("fixed", "window+global", "random"):
        pytest.skip("the pattern is one of places: generate takes each length alone")
    model = made(positions, attend)
    text, padding = left([20, 14, 18], generator)
    caches = model.new_caches(20)
    with torch.no_grad():
        steps = [
            model(text[:, i:j], caches=caches, padding=padding[:, :j])
            for i, j in ((0, 9), (9, 10), (10, 11), (11, 15), (15, 16), (16, 20))
        ]
        whole = model(text, padding=padding)
        for row, real in enumerate(padding):
            alone = model(text[row : row + 1, real])[0]
            torch.testing.assert_close(torch.cat(steps, 1)[row, real], alone, atol=2e-6, rtol=1e-6)
            torch.testing.assert_close(whole[row, real], alone, atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize("attend", ATTENDS)
def test_what_is_kept_is_what_the_attention_needs(generator, attend):
    model = made("none", attend)
    caches = model.new_caches(40)
    text = torch.randint(VOCABULARY, (2, 30), generator=generator)
    with torch.no_grad():
        for i, j in ((0, 12), (12, 13), (13, 30)):
            model(text[:, i:j], caches=caches)
    kept = caches[0].own.kept
    assert caches[0].own.length == 30
    assert isinstance(kept, KernelState) == (attend in SUM)
    if attend not in SUM:
        assert isinstance(kept, KeyValueCache)
        assert kept.reach == FORGET.get(attend)


@pytest.mark.parametrize(
    "attend", ["softmax", "window", "strided", "span", "linear", "favor", "rfa"]
)
def test_heads_that_share_their_keys_are_continued_alike(generator, attend):
    model = made("rope", attend, n_kv_heads=1)
    prompt, padding = left([9, 3, 6], generator)
    out = generate(model, prompt, padding=padding, max_new_tokens=8)
    for row, real in enumerate(padding):
        alone = generate(model, prompt[row : row + 1, real], max_new_tokens=8, cache=False)
        assert torch.equal(out[row, 9:], alone[0, real.sum() :])


def test_alibi_keeps_what_the_attention_underneath_needs():
    span = AlibiAttention(2, AdaptiveSpan(2, 6))
    assert span.new_cache(9).reach == 5
    assert AlibiAttention(2).new_cache(9).reach is None
    assert span.shifts
    assert AlibiAttention(2).shifts


def test_prompts_of_several_lengths_are_one_batch_where_distances_count(generator):
    prompt, padding = left([5, 3, 4, 2], generator)
    for attend, rows in (("softmax", 3 * [4]), ("fixed", 3 * 4 * [1])):
        model, seen = made(attend=attend), []
        keep = seen.append
        model.embedding.register_forward_hook(lambda _, ids, out, keep=keep: keep(len(out)))
        generate(model, prompt, padding=padding, max_new_tokens=3)
        assert seen == rows


def test_a_mixer_and_another_stack_write_each_length_alone(generator):
    torch.manual_seed(0)
    config = TransformerConfig(VOCABULARY, d_model=16, n_heads=2)
    mixing = replace(config, make_mixer=lambda *_: LightweightConv(16, 2, 3, causal=True))
    dropping = replace(config, make_stack=LayerDrop)
    prompt, padding = left([5, 2, 4], generator)
    for config, cache in ((mixing, False), (dropping, True)):
        model = Decoder(config).double()
        out = generate(model, prompt, padding=padding, max_new_tokens=6, cache=cache)
        for row, real in enumerate(padding):
            alone = generate(model, prompt[row : row + 1, real], max_new_tokens=6, cache=cache)
            assert torch.equal(out[row, 5:], alone[0, real.sum() :])


@pytest.mark.parametrize("positions", KINDS)
def test_a_source_may_stand_at_either_side(generator, positions):
    torch.manual_seed(0)
    config = TransformerConfig(VOCABULARY, d_model=16, n_heads=2, positions=positions)
    model = EncoderDecoder(config).double()
    source, padding = left([6, 2, 4], generator)
    ends = {"bos": 1, "eos": -1, "max_new_tokens": 7}
    out = translate(model, source, padding=padding, **ends)
    for row, real in enumerate(padding):
        alone = translate(model, source[row : row + 1, real], **ends)
        assert torch.equal(out[row], alone[0])
    right, real = source.flip(1), padding.flip(1)
    alike = translate(model, right, source_padding=real, **ends)
    assert torch.equal(alike, translate(model, right, padding=real, **ends))


def test_any_of_several_tokens_ends_a_row(generator):
    model = made()
    prompt = torch.randint(1, VOCABULARY, (6, 4), generator=generator)
    free = generate(model, prompt, max_new_tokens=10)[:, 4:]
    ends = [int(free[0, 2]), int(free[3, 1])]
    for eos in (ends, tuple(ends), set(ends)):
        out = generate(model, prompt, max_new_tokens=10, eos=eos, pad=99)[:, 4:]
        for row, whole in zip(out.tolist(), free.tolist(), strict=True):
            where = [i for i, token in enumerate(whole) if token in ends]
            end = where[0] + 1 if where else len(whole)
            assert row[:end] == whole[:end][: len(row)]
            assert set(row[end:]) <= {99}


@pytest.mark.parametrize("attend", ["softmax", "fixed"])
def test_each_step_is_told(generator, attend):
    model = made(attend=attend)
    prompt, padding = left([4, 2, 3], generator)
    told = []
    out = generate(
        model, prompt, padding=padding, max_new_tokens=6, eos=5, pad=9, on_token=told.append
    )
    assert torch.equal(torch.stack(told, 1), out[:, 4:])
    assert told[0].dtype == prompt.dtype


@pytest.mark.parametrize("attend", ["softmax", "fixed"])
def test_a_seed_fixes_the_sample_of_a_padded_batch(generator, attend):
    model = made(attend=attend)
    prompt, padding = left([4, 2, 3], generator)
    first, second = (
        generate(
            model,
            prompt,
            padding=padding,
            max_new_tokens=9,
            temperature=1.0,
            top_p=0.9,
            top_k=5,
            generator=torch.Generator().manual_seed(3),
        )
        for _ in range(2)
    )
    assert torch.equal(first, second)


def test_padding_of_true_alone_changes_nothing(generator):
    model = made()
    prompt = torch.randint(1, VOCABULARY, (2, 4), generator=generator)
    out = generate(model, prompt, max_new_tokens=5, padding=torch.ones(2, 4, dtype=torch.bool))
    assert torch.equal(out, generate(model, prompt, max_new_tokens=5))
    assert torch.equal(generate(model, prompt[:0], max_new_tokens=5), prompt[:0])


def test_learned_positions_may_be_filled_to_the_last():
    model = made("learned")
    assert generate(model, IDS, max_new_tokens=37).shape == (1, 41)  # the last is not read
    padding = torch.ones(1, 6, dtype=torch.bool)
    padding[:, :2] = False
    prompt = torch.cat([IDS[:, :2], IDS], 1)
    out = generate(model, prompt, padding=padding, max_new_tokens=37)
    assert torch.equal(out[:, 2:], generate(model, IDS, max_new_tokens=37))


def hidden_middle():
    return torch.tensor([[True, False, True, True]])


BAD = {
    "max_length=40 allows positions up to 39": lambda: generate(
        made("learned"), IDS, max_new_tokens=38
    ),
    "prompt have shape (4,); they must be (batch, length)": lambda: generate(
        made(), IDS[0], max_new_tokens=2
    ),
    "prompt have dtype torch.float32": lambda: generate(made(), IDS.float(), max_new_tokens=2),
    "model is of class EncoderDecoder; it must be a Decoder": lambda: generate(
        EncoderDecoder(made().config), IDS, max_new_tokens=2
    ),
    "model is of class str; it must be a Decoder": lambda: generate("gpt", IDS, max_new_tokens=2),
    "source have dtype torch.float32": lambda: translate(
        EncoderDecoder(made().config), IDS.float(), bos=1, eos=2, max_new_tokens=2
    ),
    "padding and source_padding are both given": lambda: translate(
        EncoderDecoder(made().config),
        IDS,
        bos=1,
        eos=2,
        max_new_tokens=2,
        padding=IDS > 0,
        source_padding=IDS > 0,
    ),
    "padding is False behind a token": lambda: generate(
        made(), IDS, max_new_tokens=2, padding=hidden_middle()
    ),
    "padding has a row of False alone": lambda: generate(
        made(), IDS, max_new_tokens=2, padding=IDS < 0
    ),
    "padding has dtype torch.int64": lambda: generate(made(), IDS, max_new_tokens=2, padding=IDS),
    "padding has shape (1, 3); it must broadcast to (1, 4)": lambda: generate(
        made(), IDS, max_new_tokens=2, padding=IDS[:, :3] > 0
    ),
    "top_k is 5; it must be None at temperature 0": lambda: generate(
        made(), IDS, max_new_tokens=2, top_k=5
    ),
    "top_p is 0.9; it must be None at temperature 0": lambda: generate(
        made(), IDS, max_new_tokens=2, top_p=0.9
    ),
    "temperature is '1'; it must be a number": lambda: generate(
        made(), IDS, max_new_tokens=2, temperature="1"
    ),
    "temperature is nan": lambda: generate(made(), IDS, max_new_tokens=2, temperature=float("nan")),
    "eos is 'stop'; it must be a token id, or several": lambda: generate(
        made(), IDS, max_new_tokens=2, eos="stop"
    ),
    "eos has 2.5; it must be a token id, or several": lambda: generate(
        made(), IDS, max_new_tokens=2, eos=[1, 2.5]
    ),
    "pad is None; it must be a whole number": lambda: generate(
        made(), IDS, max_new_tokens=2, pad=None
    ),
    "on_token is 3; it must be called with the new tokens": lambda: generate(
        made(), IDS, max_new_tokens=2, on_token=3
    ),
    "max_new_tokens is True": lambda: extend(made(), IDS, max_new_tokens=True),
    "padding has shape (1, 4); it must broadcast to (1, 5)": lambda: stepped(made()),
}


def stepped(model):
    caches = model.new_caches(8)
    model(IDS, caches=caches)
    model(IDS[:, :1], caches=caches, padding=IDS > 0)


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence]()
    assert sentence in str(caught.value)


def test_an_unknown_option_is_a_typing_error():
    with pytest.raises(TypeError, match="temprature"):
        generate(made(), IDS, max_new_tokens=2, temprature=1.0)


@pytest.mark.usefixtures("unchecked")
def test_scores_without_a_best_token_are_one_sentence():
    for bad in (float("nan"), -float("inf"), float("inf")):
        with pytest.raises(ValueError, match=r"^logits has NaN or infinity, or a row [^\n]*\.$"):
            choose(torch.full((1, 5), bad), temperature=1.0)
    with pytest.raises(ValueError, match="generator is 3; it must be a Generator"):
        choose(torch.zeros(1, 5), temperature=1.0, generator=3)
    with pytest.raises(ValueError, match="temperature is inf"):
        choose(torch.zeros(1, 5), temperature=float("inf"))
