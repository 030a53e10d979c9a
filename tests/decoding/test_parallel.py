"""Mask-Predict against a plain re-telling of its rule, and models that can only be right."""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from frugal.arithmetic.decoding import (
    TranslationShape,
    layer_calls,
    parallel_time,
    translation_flops,
    work,
)
from frugal.decoding import extend, translate
from frugal.decoding.distillation import distill
from frugal.decoding.parallel import (
    MaskedTranslator,
    hide,
    mask_predict,
    mask_predict_passes,
    masked_loss,
    target_lengths,
)
from frugal.model import Decoder, EncoderDecoder, TransformerConfig, TransformerLayer
from frugal.training import train

SMALL = TransformerConfig(vocab_size=11, d_model=12, n_heads=3, n_layers=2, d_ff=20, max_length=16)
MASK = 3


def translator(config=SMALL, longest=9, seed=0):
    torch.manual_seed(seed)
    model = MaskedTranslator(config, mask=MASK, max_target_length=longest).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.6)
    return model


@pytest.fixture
def source(generator):
    return torch.randint(4, 11, (3, 6), generator=generator)


def rows(*lengths, width=None):
    width = max(lengths) if width is None else width
    return torch.arange(width) < torch.tensor(lengths)[:, None]


def test_every_position_sees_every_other(source):
    model = translator()
    memory = model.encoder(source)
    target = torch.randint(4, 11, (3, 5))
    before = model.fill(target, memory)
    target[:, 4] = 10 - target[:, 4] + 4
    assert not torch.allclose(before[:, 0, 4:], model.fill(target, memory)[:, 0, 4:])
    causal = model.decoder(target, memory)
    target[:, 4] = 4
    assert torch.allclose(causal[:, 0], model.decoder(target, memory)[:, 0])


def test_the_mask_is_never_written(source):
    model = translator()
    with torch.no_grad():
        model.decoder.embedding.table[MASK] += 30 * model.decoder.embedding.table.mean(0)
    written = mask_predict(model, source, iterations=3)
    assert not (written.ids == MASK).any()
    assert (model(source, written.ids)[..., MASK] == -torch.inf).all()


def test_padding_changes_nothing(source):
    model = translator()
    alone = mask_predict(model, source[:, :4], iterations=3, lengths=torch.tensor([5, 5, 5]))
    padded = mask_predict(
        model,
        source,
        source_padding=rows(4, 4, 4, width=6),
        iterations=3,
        lengths=torch.tensor([5, 5, 9]),
    )
    assert torch.equal(alone.ids[:2], padded.ids[:2, :5])
    assert torch.allclose(alone.log_prob[:2], padded.log_prob[:2, :5], atol=1e-5)
    assert (padded.ids[:2, 5:] == 0).all()
    assert not padded.padding[:2, 5:].any()


def test_one_pass_writes_the_best_token_everywhere(source):
    model = translator()
    written = mask_predict(model, source, iterations=1, lengths=torch.tensor([7, 7, 7]))
    scores = model(source, torch.full((3, 7), MASK))
    assert torch.equal(written.ids, scores.argmax(-1))
    best = scores.softmax(-1).amax(-1).log()
    assert torch.allclose(written.log_prob, best, atol=1e-5)
    assert torch.allclose(written.mean_log_prob, best.mean(-1), atol=1e-5)


def retold(model, source, length, iterations):
    """One sentence, one loop, lists: the rule of ghazvininejad2019mask as it is written there."""
    memory = model.encoder(source)
    text, sure, hidden = [MASK] * length, [0.0] * length, list(range(length))
    for t in range(iterations):
        if t:
            count = max(1, math.floor(length * (iterations - t) / iterations + 1e-9))
            hidden = sorted(range(length), key=lambda i: sure[i])[:count]
        seen = [MASK if i in hidden else token for i, token in enumerate(text)]
        chance = model.fill(torch.tensor([seen]), memory).softmax(-1)[0]
        for i in hidden:
            text[i], sure[i] = int(chance[i].argmax()), float(chance[i].max())
    return text


@pytest.mark.parametrize("iterations", [1, 2, 3, 4, 7, 12])
def test_equals_the_rule_told_again(source, iterations):
    for seed in range(3):
        model = translator(seed=seed)
        lengths = torch.tensor([7, 4, 1])
        with torch.no_grad():
            written = mask_predict(model, source, iterations=iterations, lengths=lengths)
            for row, length in enumerate(lengths.tolist()):
                told = retold(model, source[row : row + 1], length, iterations)
                assert written.ids[row, :length].tolist() == told


@pytest.mark.parametrize(("iterations", "length"), [(5, 9), (10, 9), (3, 7), (49, 9), (1, 4)])
def test_the_schedule_is_linear_and_keeps_what_it_keeps(source, iterations, length):
    model = translator()
    memory = model.encoder(source)
    with torch.no_grad():
        passes = list(
            mask_predict_passes(model, memory, rows(*[length] * 3), iterations=iterations)
        )
    counts = [step.hidden.sum(-1).unique().tolist() for step in passes]
    want = [[max(1, length * (iterations - t) // iterations)] for t in range(iterations)]
    assert counts == want
    for before, after in pairwise(passes):
        kept = ~after.hidden
        assert torch.equal(before.ids[kept], after.ids[kept])
        assert torch.equal(before.log_prob[kept], after.log_prob[kept])  # not refreshed
        worst_kept = before.log_prob.masked_fill(after.hidden, torch.inf).amin(-1)
        assert (before.log_prob.masked_fill(kept, -torch.inf).amax(-1) <= worst_kept).all()


def test_candidates_are_ranked_by_mean_log_probability(source):
    model = translator()
    scores = model.length_scores(model.encoder(source))
    lengths = scores.topk(4).indices + 1
    best = mask_predict(model, source, iterations=2, n_lengths=4)
    alone = [mask_predict(model, source, iterations=2, lengths=lengths[:, i]) for i in range(4)]
    means = torch.stack([written.mean_log_prob for written in alone])
    assert torch.allclose(best.mean_log_prob, means.amax(0), atol=1e-5)
    assert len(set(means.argmax(0).tolist()) | set(best.padding.sum(-1).tolist())) > 1
    likely = mask_predict(model, source, iterations=2)
    assert torch.equal(likely.padding.sum(-1), lengths[:, 0])


def test_every_count_of_hidden_tokens_is_equally_likely():
    padding = rows(5, width=8).expand(20_000, 8)
    hidden = hide(padding, generator=torch.Generator().manual_seed(0))
    assert not (hidden & ~padding).any()
    share = hidden.sum(-1).bincount(minlength=6) / len(hidden)
    assert torch.allclose(share, torch.tensor([0, 0.2, 0.2, 0.2, 0.2, 0.2]), atol=0.015)
    assert torch.allclose(hidden[:, :5].float().mean(0), torch.full((5,), 0.6), atol=0.015)
    again = hide(padding, generator=torch.Generator().manual_seed(0))
    assert torch.equal(hidden, again)


def test_the_loss_is_of_the_hidden_tokens_and_the_length(source):
    model = translator()
    target, padding = torch.randint(4, 11, (3, 5)), rows(5, 3, 1)
    hidden = torch.zeros(3, 5, dtype=torch.bool)
    hidden[0, 2] = hidden[1, 0] = hidden[2, 0] = True
    real = rows(6, 5, 4)
    loss = masked_loss(model, source, target, hidden, source_padding=real, target_padding=padding)
    scores = model(source, target.masked_fill(hidden, MASK), real, padding)
    chance = scores.softmax(-1)
    tokens = [chance[row, place, target[row, place]].log() for row, place in hidden.nonzero()]
    length = F.log_softmax(model.length_scores(model.encoder(source, real), real), -1)
    lengths = [length[0, 4], length[1, 2], length[2, 0]]
    want = -(sum(tokens) + sum(lengths)) / 3
    assert torch.allclose(loss, want, atol=1e-5)


def test_the_length_ignores_padding(source):
    model = translator()
    memory = model.encoder(source)
    longer = torch.cat([memory, torch.randn(3, 2, 12)], dim=1)
    padded = model.length_scores(longer, rows(6, 6, 6, width=8))
    assert torch.allclose(model.length_scores(memory), padded, atol=1e-5)


def test_copying_is_learned_with_its_length():
    """One right answer: a single pass is enough, whatever the length."""
    torch.manual_seed(0)
    config = TransformerConfig(vocab_size=8, d_model=32, n_heads=4, n_layers=1)
    model = MaskedTranslator(config, mask=MASK, max_target_length=6)

    def batch(step, generator):
        padding = rows(*torch.randint(1, 7, (64,), generator=generator).tolist(), width=6)
        ids = torch.randint(4, 8, (64, 6), generator=generator) * padding
        return ids, padding, hide(padding, generator=generator)

    def loss(model, drawn):
        ids, padding, hidden = drawn
        return masked_loss(model, ids, ids, hidden, source_padding=padding, target_padding=padding)

    train(model, batch, loss, steps=250, progress=False)
    ids, padding, _ = batch(0, torch.Generator().manual_seed(9))
    written = mask_predict(model, ids, source_padding=padding, iterations=1)
    right = (F.pad(written.ids, (0, 6 - written.ids.shape[1])) == ids).all(-1)
    assert right.float().mean() > 0.95
    assert model.training


@pytest.mark.parametrize("batch_size", [2, 7])
def test_distillation_is_the_teachers_own_text(source, batch_size):
    torch.manual_seed(2)
    teacher = EncoderDecoder(SMALL)
    options = {"bos": 1, "eos": 2, "max_new_tokens": 8}
    padding = rows(6, 4, 5)
    ids = distill(teacher, source, source_padding=padding, batch_size=batch_size, **options)
    whole = translate(teacher, source, source_padding=padding, **options)[:, 1:]
    assert torch.equal(ids, whole[:, : ids.shape[1]])
    assert (whole[:, ids.shape[1] :] == 0).all()
    assert teacher.training


@pytest.mark.parametrize("shape", [(4, 1), (1, 3)])
def test_deep_and_shallow_shapes(shape):
    n_layers, n_decoder_layers = shape
    config = TransformerConfig(
        11, d_model=12, n_heads=3, n_layers=n_layers, n_decoder_layers=n_decoder_layers
    )
    for model in (
        EncoderDecoder(config),
        MaskedTranslator(config, mask=MASK, max_target_length=4),
    ):
        assert len(model.encoder.stack.layers) == n_layers
        assert len(model.decoder.stack.layers) == n_decoder_layers


class CountCalls:
    """How often a Transformer layer runs while inside."""

    def __init__(self, model):
        layers = [m for m in model.modules() if isinstance(m, TransformerLayer)]
        self.handles = [m.register_forward_hook(self.count) for m in layers]
        self.calls = 0

    def count(self, *_):
        self.calls += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()


@pytest.mark.parametrize("iterations", [None, 1, 3])
@pytest.mark.parametrize(("deep", "shallow", "source_length"), [(3, 1, 6), (1, 2, 4)])
def test_the_formulas_count_what_runs(iterations, deep, shallow, source_length):
    length = 6
    config = TransformerConfig(
        11, d_model=12, n_heads=3, n_layers=deep, n_decoder_layers=shallow, d_ff=20
    )
    source = torch.randint(4, 11, (1, source_length))
    shape = TranslationShape(
        length=length,
        n_encoder_layers=deep,
        n_decoder_layers=shallow,
        iterations=iterations,
        d_model=12,
        d_ff=20,
    )
    if iterations is None:
        model = EncoderDecoder(config)
        outside = length * 2 * 12 * 11  # scores over the vocabulary

        def write():
            translate(model, source, bos=1, eos=-1, max_new_tokens=length)
    else:
        model = MaskedTranslator(config, mask=MASK, max_target_length=length)
        outside = iterations * length * 2 * 12 * 11

        def write():
            mask_predict(model, source, iterations=iterations, lengths=torch.tensor([length]))

    # the fused kernel of the CPU is one that torch does not count
    counter = FlopCounterMode(display=False)
    with CountCalls(model) as counted, sdpa_kernel(SDPBackend.MATH), counter:
        write()
    assert counted.calls == layer_calls(shape)
    assert counter.get_total_flops() - outside == translation_flops(
        shape, source_length=source_length
    )
    if source_length == length:
        assert translation_flops(shape) == translation_flops(shape, source_length=length)


def test_the_formulas_grow_as_the_paper_says():
    def shape(length, iterations=None, deep=12, shallow=1):
        return TranslationShape(
            length=length, n_encoder_layers=deep, n_decoder_layers=shallow, iterations=iterations
        )

    assert work(shape(10)) == 13 * 100
    assert work(shape(10, 4, 6, 6)) == (6 + 24) * 100
    assert parallel_time(shape(10)) == 12 * 10 + 100
    assert parallel_time(shape(10, 4, 6, 6)) == 6 * 10 + 6 * 4 * 10
    assert parallel_time(shape(40, 4)) == 4 * parallel_time(shape(10, 4))


def test_cached_decoding_equals_uncached():
    torch.manual_seed(3)
    model = Decoder(SMALL).eval()
    prompt = torch.randint(4, 11, (2, 1))
    cached = extend(model, prompt, max_new_tokens=12)
    assert torch.equal(cached, extend(model, prompt, max_new_tokens=12, cache=False))
    caches = model.new_caches(13)
    with torch.no_grad():
        steps = [model(cached[:, i : i + 1], caches=caches) for i in range(13)]
        assert torch.allclose(torch.cat(steps, 1), model(cached), atol=1e-5)


class TestBadInput:
    def test_no_pass_and_no_length(self, source, unchecked):
        model = translator()
        with pytest.raises(ValueError, match="iterations is 0; it must be"):
            mask_predict(model, source, iterations=0)
        with pytest.raises(ValueError, match="lengths run from 0 to 3; they must be 1 to 9"):
            mask_predict(model, source, iterations=1, lengths=torch.tensor([0, 3, 2]))
        with pytest.raises(ValueError, match="lengths run from 2 to 10; they must be 1 to 9"):
            mask_predict(model, source, iterations=1, lengths=torch.tensor([10, 3, 2]))
        with pytest.raises(ValueError, match="n_lengths is 0; it must be 1 to 9"):
            mask_predict(model, source, iterations=1, n_lengths=0)
        for wrong in ("3", 1.5, True):
            with pytest.raises(ValueError, match=rf"n_lengths is {wrong!r}; it must be 1 to 9"):
                mask_predict(model, source, iterations=1, n_lengths=wrong)
        with pytest.raises(ValueError, match=r"lengths has dtype torch.float32; it must hold"):
            mask_predict(model, source, iterations=1, lengths=torch.tensor([1.0, 3.0, 2.0]))
        assert not model.training
        with pytest.raises(ValueError, match=r"lengths has shape \(2,\); it must be \(3,\)"):
            mask_predict(model, source, iterations=1, lengths=torch.tensor([3, 2]))
        with pytest.raises(ValueError, match="model is of class Linear; it must be a MaskedTrans"):
            mask_predict(torch.nn.Linear(2, 2), source, iterations=1)
        with pytest.raises(ValueError, match=r"padding has dtype torch\.int64"):
            hide(torch.ones(2, 3, dtype=torch.int64))

    @pytest.mark.parametrize("n_lengths", [1, 3])
    def test_no_source_gives_no_target(self, source, n_lengths):
        written = mask_predict(translator(), source[:0], iterations=2, n_lengths=n_lengths)
        assert written.ids.shape[0] == written.log_prob.shape[0] == 0
        nothing = distill(EncoderDecoder(SMALL), source[:0], bos=1, eos=2, max_new_tokens=3)
        assert nothing.shape[0] == 0

    def test_an_empty_target_cannot_be_learned(self, source):
        model, padding = translator(), rows(2, 0, 1)
        for learn in (hide, target_lengths):
            with pytest.raises(ValueError, match="target of length 0"):
                learn(padding)
        target = torch.ones(3, 2, dtype=torch.int64)
        real = rows(6, 6, 6)
        with pytest.raises(ValueError, match="target of length 0"):
            masked_loss(model, source, target, padding, source_padding=real, target_padding=padding)

    def test_a_target_longer_than_the_model_writes(self, source):
        model, padding = translator(longest=4), rows(5, 5, 5)
        target = torch.ones(3, 5, dtype=torch.int64)
        with pytest.raises(ValueError, match="target has 5 positions; max_target_length=4"):
            masked_loss(
                model,
                source,
                target,
                padding,
                source_padding=rows(6, 6, 6),
                target_padding=padding,
            )

    def test_a_source_longer_than_the_positions(self):
        config = TransformerConfig(11, d_model=12, n_heads=3, positions="learned", max_length=8)
        model = MaskedTranslator(config, mask=MASK, max_target_length=8)
        long = torch.ones(1, 9, dtype=torch.int64)
        with pytest.raises(ValueError, match="max_length=8 allows positions up to 7"):
            mask_predict(model, long, iterations=1)
        with pytest.raises(ValueError, match="max_target_length is 9; learned positions reach"):
            MaskedTranslator(config, mask=MASK, max_target_length=9)

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ({"mask": 11, "max_target_length": 4}, "mask is 11; the target vocabulary has 0 to 10"),
            ({"mask": 3, "max_target_length": 0}, "max_target_length is 0"),
        ],
    )
    def test_a_model_that_cannot_be(self, options, named):
        with pytest.raises(ValueError, match=named):
            MaskedTranslator(SMALL, **options)

    def test_the_rest(self, source):
        with pytest.raises(ValueError, match="batch_size is 0"):
            distill(EncoderDecoder(SMALL), source, bos=1, eos=2, max_new_tokens=3, batch_size=0)
        with pytest.raises(ValueError, match="iterations is 0"):
            TranslationShape(length=4, n_encoder_layers=1, n_decoder_layers=1, iterations=0)
        shape = TranslationShape(length=4, n_encoder_layers=1, n_decoder_layers=1)
        with pytest.raises(ValueError, match="source_length is 0"):
            translation_flops(shape, source_length=0)
        with pytest.raises(ValueError, match="length is 0"):
            TranslationShape(length=0, n_encoder_layers=1, n_decoder_layers=1)


def test_no_source_gives_no_target():
    written = mask_predict(
        MaskedTranslator(
            TransformerConfig(11, d_model=8, n_heads=2, n_layers=1), mask=10, max_target_length=4
        ),
        torch.zeros(0, 5, dtype=torch.long),
        iterations=2,
    )
    assert written.ids.shape[0] == written.padding.shape[0] == 0
