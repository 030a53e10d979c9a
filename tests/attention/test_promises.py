"""Every "Raises ValueError" in a docstring of attention and mixing is true: one case or more each.

A walk through the docstrings finds the promises, and those for which there is no case here.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
import torch
from torch import nn

from frugal.attention import alibi, heads, linformer, relative, softmax
from frugal.attention.dynamic_span import DynamicSpan
from frugal.attention.entmax import EntmaxAttention, entmax
from frugal.attention.kernels import KernelAttention, attention, features, gate
from frugal.attention.kernels.state import KernelState
from frugal.attention.lsh import LshAttention, hash, lsh_attention
from frugal.attention.patterns import attention as patterns
from frugal.attention.patterns import masks
from frugal.attention.recording import recording
from frugal.attention.sinkhorn import BlockScores, SinkhornAttention, sinkhorn
from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.attention.span import AdaptiveSpan
from frugal.attention.swin import ShiftedWindowAttention
from frugal.feedforward.dense import DenseFeedForward
from frugal.feedforward.experts import SwitchFeedForward
from frugal.feedforward.gated import GatedFeedForward
from frugal.mixing.convolution import LightweightConv
from frugal.mixing.synthesizer import Synthesizer
from frugal.model import Encoder, TransformerConfig
from frugal.norms import norm

ROOMS = ("attention", "mixing")
Q = torch.randn(2, 2, 6, 4, generator=torch.Generator().manual_seed(0))
X = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(1))


def promises() -> Iterator[str]:
    """The full names of what promises a ValueError in its docstring."""
    for room in ROOMS:
        path = import_module(f"frugal.{room}").__path__
        for info in walk_packages(path, f"frugal.{room}."):
            for name, value in vars(import_module(info.name)).items():
                if name.startswith("_") or getattr(value, "__module__", None) != info.name:
                    continue
                parts = {name: value}
                if inspect.isclass(value):
                    own = vars(value).items()
                    parts |= {f"{name}.{n}": v for n, v in own if callable(v) and n[:2] != "__"}
                for part, thing in parts.items():
                    if "Raises ValueError" in " ".join((thing.__doc__ or "").split()):
                        yield f"{info.name}.{part}".removeprefix("frugal.")


def attends(attend: Callable[..., Any], **options: Any) -> list[Callable[[], Any]]:
    """Shapes and dtypes that do not fit, for a call with q, k and v."""
    call = partial(attend, **options)
    return [
        lambda: call(Q, Q.double(), Q),
        lambda: call(Q, Q, Q.long()),
        lambda: call(Q[0], Q[0], Q[0]),
        lambda: call(Q, Q[..., :3], Q),
        lambda: call(Q, Q, Q[:, :, :5]),
        lambda: call(Q[:1], Q, Q),
    ]


def sinkhorn_attention(**options: Any) -> SinkhornAttention:
    return SinkhornAttention(2, 4, **{"block_size": 2, "max_blocks": 3} | options)


def one_head_too_few() -> None:
    heads.head_importance(MultiHeadAttention(8, 2), lambda m, b: m(b).sum(), [X])


def masked(chosen: dict[str, list[int]]) -> None:
    with heads.masked_heads(MultiHeadAttention(8, 2), chosen):
        pass


def redrawn() -> None:
    attend, state = KernelAttention(features.FavorFeatures(4, 3)), KernelState(20)
    attend.step(Q, Q, Q, state, causal=True)
    attend.features.redraw()
    attend.step(Q, Q, Q, state, causal=True)


def through_a_state() -> None:
    v = Q.clone().requires_grad_()
    KernelAttention().step(Q, Q, v, KernelState(9), causal=True).sum().backward()


LINFORMER = linformer.LinformerAttention(2, 6, 3)
CASES: dict[str, list[Callable[[], Any]]] = {
    "attention.alibi.AlibiAttention": [
        lambda: alibi.AlibiAttention(2, KernelAttention()),
        lambda: alibi.AlibiAttention(2, patterns.PatternAttention("window", window=1)),
    ],
    "attention.dynamic_span.DynamicSpan.penalty": [lambda: DynamicSpan(2, 4, 5).penalty()],
    "attention.entmax.entmax": [
        lambda: entmax(Q, 1.0),
        lambda: entmax(Q, torch.tensor(0.5)),
        lambda: entmax(Q, dim=4),
        lambda: entmax(Q.long()),
    ],
    "attention.heads.layers_of": [lambda: heads.layers_of(nn.Linear(2, 2))],
    "attention.heads.head_importance": [
        one_head_too_few,
        lambda: heads.head_importance(MultiHeadAttention(8, 2), lambda m, b: b, []),
    ],
    "attention.heads.masked_heads": [
        lambda: masked({"other": [0]}),
        lambda: masked({"": [2]}),
    ],
    "attention.kernels.attention.linear_attention": [
        lambda: attention.linear_attention(Q.exp(), Q.exp()[:, :, :5], Q),
        lambda: attention.linear_attention(Q.exp(), Q.exp(), Q.long()),
        lambda: attention.linear_attention(Q, Q.exp(), Q),
    ],
    "attention.kernels.attention.KernelAttention.forward": [
        *attends(KernelAttention()),
        lambda: KernelAttention(lambda x: x)(Q, Q, Q),
        lambda: KernelAttention()(Q, Q, Q, scale=1.0),
    ],
    "attention.kernels.attention.KernelAttention.step": [
        lambda: KernelAttention().step(Q, Q, Q, KernelState(9), causal=False),
        lambda: KernelAttention().step(Q, Q, Q[:, :, :5], KernelState(9), causal=True),
        lambda: KernelAttention().step(Q, Q, Q, KernelState(5), causal=True),
        redrawn,
        through_a_state,
    ],
    "attention.linformer.LinformerAttention.forward": [
        *attends(LINFORMER),
        lambda: LINFORMER(Q, Q, Q, causal=True),
        lambda: LINFORMER(Q, *[torch.cat([Q, Q], 2)] * 2),
    ],
    "attention.linformer.LinformerSelfAttention.forward": [
        lambda: linformer.LinformerSelfAttention(8, 2, 6, 3)(X, causal=True),
        lambda: linformer.LinformerSelfAttention(8, 2, 5, 3)(X),
        lambda: linformer.LinformerSelfAttention(8, 2, 6, 3)(X.double()),
    ],
    "attention.lsh.attention.lsh_attention": [
        lambda: lsh_attention(Q, Q, bucket_size=0, n_hashes=1),
        lambda: lsh_attention(Q, Q, bucket_size=2, n_hashes=0),
        lambda: lsh_attention(Q, Q, bucket_size=2, n_hashes=1, n_buckets=3),
        lambda: lsh_attention(Q, Q.double(), bucket_size=2, n_hashes=1),
        lambda: lsh_attention(Q, Q[:, :, :5], bucket_size=2, n_hashes=1),
    ],
    "attention.lsh.attention.LshAttention.forward": [
        lambda: LshAttention(2, 1)(Q[:, :, -1:], Q, Q),
        *attends(LshAttention(2, 1)),
    ],
    "attention.lsh.hash.bucket_factors": [
        lambda: hash.bucket_factors(3),
        lambda: hash.bucket_factors([]),
    ],
    "attention.lsh.hash.random_rotations": [
        lambda: hash.random_rotations(3, n_hashes=1, n_heads=1, head_dim=2)
    ],
    "attention.patterns.attention.sliding_window_attention": [
        lambda: patterns.sliding_window_attention(Q, Q, Q, window=-1),
        *attends(patterns.sliding_window_attention, window=1),
    ],
    "attention.patterns.attention.strided_attention": [
        lambda: patterns.strided_attention(Q, Q, Q, stride=0),
        *attends(patterns.strided_attention, stride=2),
    ],
    "attention.patterns.attention.fixed_attention": [
        lambda: patterns.fixed_attention(Q, Q, Q, stride=0, summary=1),
        lambda: patterns.fixed_attention(Q, Q, Q, stride=2, summary=3),
        *attends(patterns.fixed_attention, stride=2, summary=1),
    ],
    "attention.patterns.attention.PatternAttention": [
        lambda: patterns.PatternAttention("window"),
        lambda: patterns.PatternAttention("strided", window=1, stride=2),
        lambda: patterns.PatternAttention("windw", window=1),
    ],
    "attention.patterns.masks.window_from_sliding_window": [
        lambda: masks.window_from_sliding_window(0)
    ],
    "attention.patterns.masks.random_seed": [lambda: masks.random_seed(1, torch.Generator())],
    "attention.patterns.masks.pattern_rule": [
        lambda: masks.pattern_rule("windw", 5, window=1),
        lambda: masks.pattern_rule("window", 5),
        lambda: masks.pattern_rule("window", 5, window=1, stride=2),
    ],
    "attention.patterns.masks.pattern_mask": [
        lambda: masks.pattern_mask("windw", 5, window=1),
        lambda: masks.pattern_mask("window", 5, windw=1),
    ],
    "attention.sinkhorn.attention.BlockScores.forward": [
        lambda: BlockScores(2, 4, 3)(Q),
    ],
    "attention.sinkhorn.attention.SinkhornAttention.forward": [
        *attends(sinkhorn_attention()),
        lambda: sinkhorn_attention()(Q[:, :1], Q[:, :1], Q[:, :1]),
        lambda: sinkhorn_attention()(Q[:, :, -1:], Q, Q),
        lambda: sinkhorn_attention(max_blocks=2)(Q, Q, Q),
        lambda: sinkhorn_attention(sort_cut=1)(Q, Q, Q, causal=True),
    ],
    "attention.sinkhorn.balance.sinkhorn": [
        lambda: sinkhorn(Q[..., :4, :], temperature=0),
        lambda: sinkhorn(Q[..., :4, :], n_iterations=-1),
        lambda: sinkhorn(Q[..., :4, :], mask=torch.ones(3, 3, dtype=torch.bool)),
        lambda: sinkhorn(Q[..., :4, :], noise=torch.zeros(3)),
    ],
    "attention.softmax.softmax_attention": [
        *attends(softmax_attention),
        lambda: softmax_attention(Q, Q, Q, scale=0.0),
        lambda: softmax_attention(Q, Q, Q, dropout=1.0),
    ],
    "attention.softmax.MultiHeadAttention.forward": [
        lambda: MultiHeadAttention(8, 2, LshAttention(2, 1))(X, mask=X > 0),
        lambda: MultiHeadAttention(8, 2)(X, pading=X[..., 0] > 0),
        lambda: MultiHeadAttention(9, 3)(X),
        lambda: MultiHeadAttention(8, 2)(X, X[..., :7]),
        lambda: MultiHeadAttention(8, 2)(X, X[:1]),
    ],
}


def test_every_promise_has_a_case():
    missing = set(promises()) - CASES.keys()
    assert not missing, f"CASES has no {sorted(missing)}"


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("unchecked")
def test_it_raises_one_sentence(name):
    for case in CASES[name]:
        with pytest.raises(ValueError, match=r"^[^\n]*\.$"):
            case()


TYPOS = {
    "positions": lambda: TransformerConfig(9, positions="rop"),
    "norm": lambda: TransformerConfig(9, norm="lyer"),
    "activation": lambda: TransformerConfig(9, activation="rellu"),
    "norm by itself": lambda: norm("rsm", 4),
    "activation of a network": lambda: DenseFeedForward(4, 8, activation="glu"),
    "gate": lambda: GatedFeedForward(4, 8, gate="sigmod"),
    "pattern": lambda: patterns.PatternAttention("windw", window=1),
    "option of a pattern": lambda: patterns.PatternAttention("window", windw=1, window=2),
    "sharing": lambda: linformer.LinformerAttention(2, 6, 3, sharing="head"),
    "balance": lambda: sinkhorn_attention(balance="row"),
    "kind": lambda: Synthesizer(8, 2, 6, kind="dens"),
    "option of a call": lambda: MultiHeadAttention(8, 2)(X, pading=X[..., 0] > 0),
}


@pytest.mark.parametrize("name", TYPOS)
@pytest.mark.usefixtures("unchecked")
def test_a_typo_is_answered_with_the_near_name(name):
    with pytest.raises(ValueError, match=r"\(did you mean '\w+'\?\)\.$"):
        TYPOS[name]()


CONSTRUCTED = {
    "a class that waits to be made": (
        lambda: MultiHeadAttention(8, 2, LshAttention),
        "attend is the class LshAttention; it must be called as attend",
    ),
    "an attention for a factory": (
        lambda: TransformerConfig(9, make_attend=patterns.PatternAttention("window", window=1)),
        r"make_attend is PatternAttention; it must be called as make_attend\(index, config\)",
    ),
    "a function for a factory": (
        lambda: TransformerConfig(9, make_attend=softmax_attention),
        "make_attend is softmax_attention; it must be called",
    ),
    "what cannot drop weights": (
        lambda: MultiHeadAttention(8, 2, LshAttention(2, 1), attention_dropout=0.1),
        "attend is LshAttention; it must be one that takes dropout: the rounds",
    ),
    "a seed and a generator": (
        lambda: LshAttention(2, 1, seed=1, generator=torch.Generator()),
        "generator is given; it must be None: seed says",
    ),
}


@pytest.mark.parametrize("name", CONSTRUCTED)
@pytest.mark.usefixtures("unchecked")
def test_what_is_made_wrongly_is_refused_at_once(name):
    make, named = CONSTRUCTED[name]
    with pytest.raises(ValueError, match=named):
        make()


MIXERS = {
    "attention": lambda: MultiHeadAttention(8, 2),
    "linformer": lambda: linformer.LinformerSelfAttention(8, 2, 6, 3),
    "convolution": lambda: LightweightConv(8, 2, 3, causal=False),
    "synthesizer": lambda: Synthesizer(8, 2, 6),
    "feed-forward": lambda: DenseFeedForward(8, 9),
    "gated": lambda: GatedFeedForward(8, 9),
}


@pytest.mark.parametrize("name", MIXERS)
@pytest.mark.usefixtures("unchecked")
def test_another_dtype_than_that_of_the_weights_is_refused_but_under_autocast(name):
    with pytest.raises(ValueError, match=r"x has dtype torch.float64; it must be torch.float32"):
        MIXERS[name]()(X.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert MIXERS[name]()(X.bfloat16()).isfinite().all()


def test_what_draws_takes_a_generator():
    """The same generator gives the same numbers, and torch's own is left alone."""
    makes = {
        "lsh": lambda g: LshAttention(2, 2, generator=g),
        "favor": lambda g: KernelAttention(features.FavorFeatures(4, 3, generator=g)),
        "fourier": lambda g: KernelAttention(
            features.RandomFourierFeatures(4, 3, generator=g, floor=0.1)
        ),
        "gated": lambda g: gate.RandomFeatureAttention(
            2, 4, 3, generator=g, redraw_every=None, gate=False
        ),
        "random": lambda g: patterns.PatternAttention("random", n_random=1, generator=g),
    }
    for name, make in makes.items():
        before = torch.get_rng_state()
        found = [make(torch.Generator().manual_seed(7))(Q, Q, Q) for _ in range(2)]
        other = make(torch.Generator().manual_seed(8))(Q, Q, Q)
        assert torch.equal(found[0], found[1]), name
        assert not torch.equal(found[0], other), name
        assert torch.equal(torch.get_rng_state(), before), name
    torch.manual_seed(0)
    noisy = [sinkhorn_attention() for _ in range(2)]
    noisy[1].load_state_dict(noisy[0].state_dict())
    for one in noisy:
        one.generator = torch.Generator().manual_seed(3)
    assert torch.equal(noisy[0](Q, Q, Q), noisy[1](Q, Q, Q))
    assert not torch.equal(noisy[0](Q, Q, Q), noisy[0](Q, Q, Q))


def test_what_is_recorded_takes_nothing_from_the_generator():
    layers = []
    for _ in range(2):
        torch.manual_seed(0)
        attend = LshAttention(2, 1, generator=torch.Generator().manual_seed(7))
        layers.append(MultiHeadAttention(8, 2, attend))
    layers[0](X), layers[1](X)
    with recording(layers[0]) as recorder:
        layers[0](X)
    layers[1](X)
    assert recorder.weights[""].shape == (2, 2, 6, 6)
    assert torch.equal(layers[0](X), layers[1](X))


def test_experts_jitter_by_a_generator():
    def made(seed: int) -> SwitchFeedForward:
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(seed)
        return SwitchFeedForward(8, 9, 2, None, jitter=0.5, generator=generator)

    before = torch.get_rng_state()
    layers = [made(1), made(1), made(2)]
    torch.set_rng_state(before)
    outs = [layer(X) for layer in layers]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])


def test_encoders_drop_weights_in_training_alone():
    config = TransformerConfig(9, 8, 2, 1, attention_dropout=0.5)
    torch.manual_seed(0)
    encoder, ids = Encoder(config), torch.arange(6)[None]
    assert not torch.equal(encoder(ids), encoder(ids))
    encoder.eval()
    assert torch.equal(encoder(ids), encoder(ids))
    for attend in (AdaptiveSpan(2, 4, 2), EntmaxAttention(2), relative.RelativeAttention(2, 8)):
        softmax.MultiHeadAttention(8, 2, attend, attention_dropout=0.1)
    assert ShiftedWindowAttention(8, 2, 2)(X[:, :, None])[0].isfinite().all()
