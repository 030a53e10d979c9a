"""What every public attention promises, asked of each of them: the contract, in one place.

`SUBJECTS` names how each is made and which options it takes. A walk through `frugal.attention`
finds those that nobody has named.
"""

import copy
import inspect
import pkgutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import frugal.attention
from frugal.attention import pieces
from frugal.attention.alibi import AlibiAttention
from frugal.attention.contract import Attention
from frugal.attention.dynamic_span import DynamicSpan
from frugal.attention.entmax import EntmaxAttention
from frugal.attention.kernels import (
    FavorFeatures,
    KernelAttention,
    RandomFeatureAttention,
    RandomFourierFeatures,
    linear_attention,
)
from frugal.attention.kernels import naive as kernels_naive
from frugal.attention.linformer import LinformerAttention, LinformerSelfAttention
from frugal.attention.lsh import LshAttention, lsh_attention
from frugal.attention.lsh import naive as lsh_naive
from frugal.attention.lsh import rounds as lsh_rounds
from frugal.attention.patterns import (
    PatternAttention,
    blocks,
    fixed_attention,
    global_tokens,
    sliding_window_attention,
    strided_attention,
)
from frugal.attention.patterns import naive as patterns_naive
from frugal.attention.relative import RelativeAttention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.sinkhorn import naive as sinkhorn_naive
from frugal.attention.softmax import MultiHeadAttention, attention_weights, softmax_attention
from frugal.attention.span import AdaptiveSpan
from frugal.attention.swin import ShiftedWindowAttention
from frugal.checks import PROTOCOL

N_HEADS, HEAD_DIM = 2, 8
WIDTH = N_HEADS * HEAD_DIM
SHORT, LONG = 13, 150  # in one block, and in several with a rest

ALL = frozenset(PROTOCOL)
MOST = frozenset({"padding", "causal", "scale"})
SUMS = MOST - {"scale"}
"""Of linear attention whose features are not those of a softmax."""
MIXED = frozenset({"padding", "scale", "dropout"})


@dataclass(frozen=True)
class Subject:
    """How to make an attention, and what may be asked of it.

    covers: what it stands for in the library. takes: the options of the protocol that it takes.
    square: every query is a key. sees_later: a causal query reads no later value, but later
    queries and keys decide which earlier ones it reads. always_causal: without being asked.
    kind: "heads" for (q, k, v), "rows" for x, "picture" for x in two dimensions. breaks: in its
    compiled graph. unexported: why it does not export, quoted by the error.
    """

    covers: tuple[object, ...]
    make: Callable[[], Callable[..., Tensor]]
    takes: frozenset[str] = MOST
    square: bool = False
    sees_later: bool = False
    always_causal: bool = False
    kind: str = "heads"
    breaks: int = 0
    unexported: str = ""


def positive(attend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, **options: Any):
    return attend(q.exp(), k.exp(), v, **options)


def hashed(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    return lsh_attention(q, v, bucket_size=4, n_hashes=2, seed=1, **options)


def with_any(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Parameters that start as zeros would hide what they do."""

    def made() -> nn.Module:
        module = make()
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.ndim > 1:
                    parameter.add_(0.3 * torch.randn(parameter.shape))
        return module

    return made


def pattern(name: str, **options: Any) -> Callable[[], PatternAttention]:
    return partial(PatternAttention, name, **options)


FAVOR = partial(FavorFeatures, HEAD_DIM, 8)
SINKHORN = partial(SinkhornAttention, N_HEADS, HEAD_DIM, block_size=4, max_blocks=40)
SUBJECTS = {
    "softmax": Subject((softmax_attention,), lambda: softmax_attention, ALL),
    "multi-head": Subject(
        (MultiHeadAttention,), partial(MultiHeadAttention, WIDTH, N_HEADS), ALL, kind="rows"
    ),
    "window": Subject((PatternAttention,), pattern("window", window=3)),
    "window of a function": Subject(
        (sliding_window_attention,), lambda: partial(sliding_window_attention, window=3)
    ),
    "window+global": Subject(
        (PatternAttention,), pattern("window+global", window=3, global_tokens=(0, 5))
    ),
    "dilated": Subject((PatternAttention,), pattern("dilated", window=2, dilation=3)),
    "strided": Subject(
        (PatternAttention, strided_attention), pattern("strided", stride=4), always_causal=True
    ),
    "fixed": Subject(
        (PatternAttention, fixed_attention),
        pattern("fixed", stride=4, summary=2),
        always_causal=True,
    ),
    "span": Subject((AdaptiveSpan,), partial(AdaptiveSpan, N_HEADS, 8, 4), ALL),
    "dynamic span": Subject(
        (DynamicSpan,), with_any(partial(DynamicSpan, N_HEADS, HEAD_DIM, 8, 4)), ALL
    ),
    "lsh": Subject(
        (LshAttention,), partial(LshAttention, 4, 2, seed=1), square=True, sees_later=True
    ),
    "lsh of a function": Subject((lsh_attention,), lambda: hashed, square=True, sees_later=True),
    "sinkhorn": Subject((SinkhornAttention,), with_any(SINKHORN), MOST | {"dropout"}, square=True),
    "sort cut": Subject(
        (SinkhornAttention,),
        with_any(partial(SINKHORN, sort_cut=2)),
        MIXED,
        square=True,
    ),
    "linear": Subject((linear_attention,), lambda: partial(positive, linear_attention), SUMS),
    "elu": Subject((KernelAttention,), KernelAttention, SUMS),
    "favor": Subject((KernelAttention,), lambda: KernelAttention(FAVOR())),
    "fourier": Subject(
        (KernelAttention,), lambda: KernelAttention(RandomFourierFeatures(HEAD_DIM, 64, floor=0.1))
    ),
    "gated": Subject(
        (RandomFeatureAttention,), partial(RandomFeatureAttention, N_HEADS, HEAD_DIM, 8), SUMS
    ),
    "linformer": Subject(
        (LinformerAttention,), partial(LinformerAttention, N_HEADS, LONG, 4), MIXED
    ),
    "linformer, mixed first": Subject(
        (LinformerSelfAttention,),
        partial(LinformerSelfAttention, WIDTH, N_HEADS, LONG, 4),
        MIXED,
        square=True,
        kind="rows",
    ),
    "entmax": Subject((EntmaxAttention,), partial(EntmaxAttention, N_HEADS), ALL),
    "entmax, learned": Subject(
        (EntmaxAttention,), partial(EntmaxAttention, N_HEADS, learned=True), ALL
    ),
    "relative": Subject(
        (RelativeAttention,), with_any(partial(RelativeAttention, N_HEADS, WIDTH)), ALL
    ),
    "alibi": Subject((AlibiAttention,), partial(AlibiAttention, N_HEADS), ALL),
    "swin": Subject(
        (ShiftedWindowAttention,),
        with_any(partial(ShiftedWindowAttention, WIDTH, N_HEADS, 4, 2)),
        frozenset(),
        kind="picture",
    ),
}
PARTS = {
    Attention,  # what they are made from
    # For tensors on a GPU, with tests of its own beside the patterns.
    blocks.block_sparse_attention,
    # What `sliding_window_attention`, the patterns and hashing are made of.
    global_tokens.attend_with_global_tokens,
    global_tokens.attend_with_constant_tokens,
    pieces.attend_by_heads,
    pieces.fused,
    pieces.fused_backward,
    lsh_rounds.attend_in_rounds,
    # The definitions, which are slow: oracles.
    kernels_naive.linear_attention,
    lsh_naive.lsh_attention,
    patterns_naive.masked_attention,
    sinkhorn_naive.sinkhorn_attention,
}


def attentions() -> set[object]:
    """Everything public in `frugal.attention` that is called so, or is called with q, k and v."""
    found = set()
    for info in pkgutil.walk_packages(frugal.attention.__path__, "frugal.attention."):
        for name, value in vars(import_module(info.name)).items():
            if getattr(value, "__module__", None) != info.name or name.startswith("_"):
                continue
            if not callable(value):
                continue
            call = getattr(value, "forward", value)
            asked = [n for n in inspect.signature(call).parameters if n != "self"][:3]
            if name.lower().endswith("attention") or asked == ["q", "k", "v"]:
                found.add(value)
    return found


def test_every_attention_is_asked():
    named = {one for subject in SUBJECTS.values() for one in subject.covers}
    missing = attentions() - named - PARTS
    assert not missing, f"SUBJECTS has no {sorted(map(str, missing))}"


# --- helpers ---------------------------------------------------------------------------------


@cache
def made(name: str) -> Callable[..., Tensor]:
    """The attention of a name, for all tests that leave it as it is; not training."""
    torch.manual_seed(0)
    attend = SUBJECTS[name].make()
    return attend.eval() if isinstance(attend, nn.Module) else attend


def fresh(name: str) -> Callable[..., Tensor]:
    """Its own copy, training."""
    attend = copy.deepcopy(made(name))
    return attend.train() if isinstance(attend, nn.Module) else attend


def given(name: str, length: int = SHORT, *, batch: int = 2, dtype=torch.float32) -> list[Tensor]:
    """What it is called with: q, k and v, or x."""
    generator = torch.Generator().manual_seed(length)
    shapes = {
        "heads": [(batch, N_HEADS, length, HEAD_DIM)] * 3,
        "rows": [(batch, length, WIDTH)],
        "picture": [(batch, 5, length, WIDTH)],
    }[SUBJECTS[name].kind]
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def called(attend: Callable[..., Tensor], tensors: list[Tensor], **options: Any) -> Tensor:
    """The output; what is drawn at random is the same every time."""
    torch.manual_seed(3)
    return attend(*tensors, **options)


def gradients(attend: Callable[..., Tensor], tensors: list[Tensor], **options: Any) -> list[Tensor]:
    """Of a sum of squares, for the tensors and the parameters; zeros where there is none."""
    tensors = [x.detach().requires_grad_() for x in tensors]
    parameters = list(attend.parameters()) if isinstance(attend, nn.Module) else []
    loss = called(attend, tensors, **options).square().sum()
    found = torch.autograd.grad(loss, [*tensors, *parameters], allow_unused=True)
    wanted = [*tensors, *parameters]
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, wanted, strict=True)]


def padded(length: int) -> Tensor:
    """In the first row the last two are not real, in the second some in the middle."""
    padding = torch.ones(2, length, dtype=torch.bool)
    padding[0, -2:] = False
    padding[1, 3:6] = False
    return padding


def same(found: Tensor | list[Tensor], expected: Tensor | list[Tensor]) -> None:
    """Equal up to roundings of the largest number, of which the others are sums."""
    largest = max([1.0, *(x.abs().max().item() for x in expected if x.numel())])
    torch.testing.assert_close(found, expected, atol=2e-5 * largest, rtol=2e-4)


every = pytest.mark.parametrize("name", SUBJECTS)
of_heads = pytest.mark.parametrize("name", [n for n, s in SUBJECTS.items() if s.kind == "heads"])
modules = pytest.mark.parametrize("name", [n for n in SUBJECTS if isinstance(made(n), nn.Module)])
either_length = pytest.mark.parametrize("length", [SHORT, LONG])
one_sentence = partial(pytest.raises, ValueError, match=r"^[^\n]*\.$")


# --- tensors of every kind -------------------------------------------------------------------


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "last axis apart": lambda x: x.mT.contiguous().mT,
    "every second number": lambda x: torch.stack([x, 9 * x], -1).flatten(-2)[..., ::2],
    "batch last": lambda x: x.movedim(0, -1).contiguous().movedim(-1, 0),
    "one row for all": lambda x: x[:1].expand_as(x),
    "one token for all": lambda x: x[..., :1, :].expand_as(x),
    "one number for all": lambda x: x[..., :1].expand_as(x),
}


@either_length
@every
def test_the_layout_in_memory_does_not_matter(name, length):
    for layout in LAYOUTS.values():
        laid_out = [layout(x) for x in given(name, length)]
        packed = [x.contiguous() for x in laid_out]
        options = {"padding": padded(length)} if "padding" in SUBJECTS[name].takes else {}
        same(called(made(name), laid_out, **options), called(made(name), packed, **options))
        ours, theirs = (gradients(made(name), x, **options) for x in (laid_out, packed))
        same(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@every
def test_the_dtype_of_the_input_is_that_of_the_output(name, dtype):
    attend = copy.deepcopy(made(name))
    exact = copy.deepcopy(made(name))
    if isinstance(attend, nn.Module):
        attend, exact = attend.to(dtype), exact.double()
    tensors = given(name, LONG, dtype=dtype)
    out = called(attend, tensors)
    assert out.dtype == dtype
    assert out.isfinite().all()
    assert all(grad.isfinite().all() for grad in gradients(attend, tensors))
    if "lsh" not in name:  # a rounding may send a token to another bucket
        right = called(exact, [x.double() for x in tensors])
        rough = {torch.float64: 1e-12, torch.bfloat16: 0.03, torch.float16: 0.004}[dtype]
        assert (out.double() - right).abs().mean() < rough * right.abs().mean().clamp(min=1)


@of_heads
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_tensor_of_heads_gets_one_sentence(name):
    q, k, v = given(name)
    for tensors in (
        (q, k.double(), v),
        (q, k, v.bfloat16()),
        (q, k, v[:, :, :-1]),
        (q, k, v[:, :1]),
        (q, k, v[:1]),
        (q[0, 0, 0], k[0, 0, 0], v[0, 0, 0]),
        (q[0, 0], k[0, 0], v[0, 0]),
        (q[0], k[0], v[0]),
        (q[None], k[None], v[None]),
        (q.long(), k.long(), v.long()),
        (q > 0, k > 0, v > 0),
        (q, k, v.long()),
        (q.cfloat(), k.cfloat(), v.cfloat()),
        (q[:, :, :0], k[:, :, :0], v[:, :, :0]),
        (q[:1], k, v),
        (q, k[:1], v[:1]),
        (q, k[:, 0], v[:, 0]),  # keys without heads
        (q[..., :-1], k, v),
        (q, k[..., :-1], v),
    ):
        unread = name == "lsh of a function" and tensors[0].shape[:3] == q.shape[:3]
        unread = unread and tensors[2] is v  # values may be wider
        wide = name == "linear" and (tensors[0] is q and tensors[1].shape == q.shape)
        if unread or (wide and tensors[2].is_floating_point() and tensors[2].shape == q.shape):
            continue  # k is not read; features of another dtype than v are meant
        with one_sentence():
            called(made(name), tensors)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", [n for n, s in SUBJECTS.items() if s.kind != "heads"])
def test_what_is_no_row_or_picture_gets_one_sentence(name):
    (x,) = given(name)
    for wrong in (x[0], x[None], x.long(), x > 0, x[..., :-1], x[..., :0, :], x.double()):
        with one_sentence():
            called(made(name), [wrong])


# --- lengths ---------------------------------------------------------------------------------


@every
def test_a_batch_of_none_is_answered(name):
    for length in (1, SHORT, LONG):
        tensors = given(name, length, batch=0)
        out = called(made(name), tensors)
        assert out.shape == tensors[0].shape
        assert [x.shape for x in gradients(fresh(name), tensors)[:1]] == [tensors[0].shape]


@every
def test_one_token_is_answered(name):
    tensors = given(name, 1)
    assert called(made(name), tensors).isfinite().all()
    if SUBJECTS[name].kind == "heads" and "causal" in SUBJECTS[name].takes:
        assert called(made(name), tensors, causal=True).isfinite().all()


@of_heads
@pytest.mark.usefixtures("unchecked")
def test_fewer_queries_are_the_last_ones_or_refused(name):
    """As with a cache: the last query stands at the last key."""
    for length, fewer in ((SHORT, 1), (SHORT, 4), (LONG, 70)):
        q, k, v = given(name, length)
        late = [q[:, :, -fewer:], k, v]
        if SUBJECTS[name].square:
            with one_sentence():
                called(made(name), late)
            continue
        options = {"causal": True} if "causal" in SUBJECTS[name].takes else {}
        whole = called(made(name), [q, k, v], **options)
        same(called(made(name), late, **options), whole[:, :, -fewer:])
        padding = {"padding": padded(length)}
        whole = called(made(name), [q, k, v], **options, **padding)
        same(called(made(name), late, **options, **padding), whole[:, :, -fewer:])


ANSWERS_MORE = {
    False: {
        "softmax",
        "relative",
        "alibi",
        "entmax",
        "entmax, learned",
        "linformer",
        "linear",
        "elu",
        "favor",
        "fourier",
        "gated",
    },
    True: {"softmax", "relative", "alibi", "entmax", "entmax, learned", "span", "dynamic span"},
}
"""By whether they are causal: the others give every query a place among the keys."""


@of_heads
@pytest.mark.usefixtures("unchecked")
def test_more_queries_than_keys_are_answered_or_refused(name):
    q, k, v = given(name)
    for options in ({}, {"causal": True}):
        if not options.keys() <= SUBJECTS[name].takes:
            continue
        shorter = [q, k[:, :, :9], v[:, :, :9]]
        if name in ANSWERS_MORE[bool(options)]:
            out = called(made(name), shorter, **options)
            assert out.shape == q.shape
            assert out.isfinite().all()
        else:
            with one_sentence():
                called(made(name), shorter, **options)


# --- copies, modes, threads, graphs ----------------------------------------------------------


@modules
def test_a_copy_and_its_state_are_the_same(name):
    tensors = given(name)
    right = called(made(name), tensors)
    assert torch.equal(called(copy.deepcopy(made(name)), tensors), right)
    torch.manual_seed(9)
    other = SUBJECTS[name].make().eval()
    other.load_state_dict(made(name).state_dict())
    assert torch.equal(called(other, tensors), right)


@pytest.mark.parametrize("use_reentrant", [True, False])
@every
def test_checkpointing_changes_no_gradient(name, use_reentrant):
    """In training, where noise and random features are drawn; two passes, as in one update."""

    def twice(attend: Callable[..., Tensor], tensors: list[Tensor], *, replay: bool = False):
        call = partial(checkpoint, attend, use_reentrant=use_reentrant) if replay else attend
        return call(*tensors) + call(*(2 * x for x in tensors))

    tensors = [x.requires_grad_() for x in given(name)]
    plain, kept = fresh(name), fresh(name)
    outs, grads = [], []
    for attend, call in ((plain, twice), (kept, partial(twice, replay=True))):
        own = list(attend.parameters()) if isinstance(attend, nn.Module) else []
        torch.manual_seed(3)
        out = call(attend, tensors)
        out.square().sum().backward()
        outs.append(out)
        grads.append([x.grad for x in [*tensors, *own] if x.grad is not None])
        for x in [*tensors, *own]:
            x.grad = None
    same(outs[1], outs[0])
    same(grads[1], grads[0])


@every
def test_inference_first_leaves_training_as_it_is(name):
    looked, other = fresh(name), fresh(name)
    tensors = given(name)
    with torch.inference_mode():
        called(looked, tensors)
        called(looked, tensors)
    with torch.no_grad():
        called(other, tensors)
        called(other, tensors)
    same(gradients(looked, tensors), gradients(other, tensors))


@every
def test_threads_do_not_disturb_each_other(name):
    lengths = (SHORT, LONG, SHORT + 1, LONG - 1)
    right = [made(name)(*given(name, length)) for length in lengths]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            found = pool.map(lambda length: made(name)(*given(name, length)), lengths)
            for one, other in zip(found, right, strict=True):
                assert torch.equal(one, other)


# --- the protocol ----------------------------------------------------------------------------


def options_of_protocol(length: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(5)
    mask = torch.rand(2, N_HEADS, length, length, generator=generator) < 0.7
    return {
        "mask": mask | torch.eye(length, dtype=torch.bool),
        "padding": padded(length),
        "causal": True,
        "bias": torch.randn(N_HEADS, length, length, generator=generator),
        "scale": 0.7,
        "dropout": 0.4,
    }


OURS = {made("linear"), made("lsh of a function")}
"""Functions of other arguments than q, k and v: these tests call them, not the heads."""


@pytest.mark.parametrize("option", sorted(ALL))
@every
@pytest.mark.usefixtures("unchecked")
def test_an_option_is_taken_or_refused_in_one_sentence(name, option):
    subject, attend = SUBJECTS[name], made(name)
    if subject.kind == "picture" or attend in OURS:
        return
    value = {option: options_of_protocol(SHORT)[option]}
    if option in subject.takes:
        assert called(attend, given(name), **value).isfinite().all()
        return
    with one_sentence():
        if subject.kind == "rows":
            called(attend, given(name), **value)
        else:
            MultiHeadAttention(WIDTH, N_HEADS, attend)(torch.randn(2, SHORT, WIDTH), **value)
    if isinstance(attend, Attention):
        with one_sentence():
            called(attend, given(name), **value)
        same(called(attend, given(name), **PROTOCOL), called(attend, given(name)))


def by_weights(name: str, tensors: list[Tensor], **options: Any) -> Tensor:
    """The output as a product of the whole matrix, which the attention itself never makes."""
    q, k, v = tensors
    torch.manual_seed(3)
    weights = getattr(made(name), "weights", None)
    if name == "window of a function":
        weights = made("window").weights
    return (attention_weights if weights is None else weights)(q, k, **options) @ v


@either_length
@pytest.mark.parametrize(
    "name",
    [n for n, s in SUBJECTS.items() if s.kind == "heads" and made(n) not in OURS],
)
def test_the_options_do_what_they_say(name, length):
    """Every set of options that it takes, against the matrix."""
    takes = SUBJECTS[name].takes - {"dropout"}
    values = options_of_protocol(length)
    sets = [(), *[(one,) for one in sorted(takes)], tuple(sorted(takes))]
    for names in sets:
        options = {one: values[one] for one in names}
        tensors = given(name, length)
        out = called(made(name), tensors, **options)
        right = by_weights(name, tensors, **options)
        if "padding" in options and SUBJECTS[name].square:  # a hashed query that is no token: zeros
            real = options["padding"][:, None, :, None]
            out, right = out * real, right * real
        torch.testing.assert_close(out, right, atol=2e-5, rtol=1e-3)


@of_heads
@pytest.mark.usefixtures("unchecked")
def test_the_scale_is_what_divides_by_the_root_of_head_dim(name):
    if "scale" not in SUBJECTS[name].takes or made(name) in OURS:
        return
    for length in (SHORT, LONG):
        plain = called(made(name), given(name, length))
        own = 1.0 if "lsh" in name else HEAD_DIM**-0.5
        same(called(made(name), given(name, length), scale=own), plain)
        assert not torch.allclose(called(made(name), given(name, length), scale=3 * own), plain)
    for wrong in (0, -1.0, float("nan"), float("inf"), True):
        with one_sentence():
            called(made(name), given(name), scale=wrong)


DROPS = [n for n, s in SUBJECTS.items() if s.kind == "heads" and "dropout" in s.takes]


@pytest.mark.parametrize("name", DROPS)
@pytest.mark.usefixtures("unchecked")
def test_dropout_drops_weights_and_keeps_their_mean(name):
    """The values are rows of the unit matrix, so that the output is the weights themselves."""
    q, k, _ = given(name, SHORT, batch=1)
    v = torch.eye(SHORT).expand(1, N_HEADS, SHORT, SHORT)
    weights = made(name)(q, k, v)
    drawn = torch.stack([made(name)(q, k, v, dropout=0.5) for _ in range(400)])
    assert (drawn.mean(0) - weights).abs().max() < 0.2
    if "sink" not in name and "sort" not in name and name != "linformer":  # these mix values
        dropped = drawn == 0
        assert 0.4 < dropped[(weights > 0).expand_as(dropped)].float().mean() < 0.6
        same(drawn[~dropped], (2 * weights).expand_as(drawn)[~dropped])
    long = given(name, LONG)
    assert not torch.allclose(made(name)(*long, dropout=0.5), made(name)(*long))
    for wrong in (1, -0.1, True):
        with one_sentence():
            made(name)(q, k, v, dropout=wrong)


@pytest.mark.parametrize("name", [n for n, s in SUBJECTS.items() if s.kind == "heads"])
def test_layers_drop_weights_in_training_alone(name):
    if made(name) in OURS:
        return
    if name not in DROPS:
        with one_sentence():
            MultiHeadAttention(WIDTH, N_HEADS, made(name), attention_dropout=0.5)
        return
    torch.manual_seed(0)
    layer = MultiHeadAttention(WIDTH, N_HEADS, copy.deepcopy(made(name)), attention_dropout=0.5)
    layer.attend.eval() if isinstance(layer.attend, nn.Module) else None  # no other noise
    x = torch.randn(2, SHORT, WIDTH)
    first, second = layer(x), layer(x)
    assert not torch.allclose(first, second)
    layer.eval()
    torch.testing.assert_close(layer(x), layer(x, dropout=0.0), atol=0, rtol=0)


@of_heads
def test_a_row_with_nothing_to_see_is_zeros(name):
    for length in (SHORT, LONG):
        padding = torch.ones(2, length, dtype=torch.bool)
        padding[1] = False
        tensors = [x.requires_grad_() for x in given(name, length)]
        out = called(made(name), tensors, padding=padding)
        assert (out[1] == 0).all()
        out.square().sum().backward()
        for x in tensors:
            if x.grad is not None:
                assert x.grad.isfinite().all()
                assert (x.grad[1] == 0).all()


@of_heads
def test_padded_keys_are_not_seen_beside_any_scores(name):
    """In every dtype, with scores up to what it can hold: what a hidden key has does not matter."""
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        attend = copy.deepcopy(made(name))
        attend = attend.to(dtype) if isinstance(attend, nn.Module) else attend
        for length in (SHORT, LONG):
            padding = padded(length)
            real = padding[:, None, :, None]
            for size in (1, 30, 300):
                q, k, v = given(name, length)
                if name == "linear" and size > 1:
                    continue  # features are not scores
                q, k = (size * q).to(dtype), (size * k).to(dtype)
                v = v.to(dtype)
                loud = v.masked_fill(~real, 3e4)
                for options in ({}, {"causal": True}):
                    if not options.keys() <= SUBJECTS[name].takes:
                        continue
                    out = called(attend, [q, k, v], padding=padding, **options)
                    again = called(attend, [q, k, loud], padding=padding, **options)
                    kept = real.expand_as(out)
                    assert torch.equal(out[kept], again[kept]), (dtype, length, size, options)
                    assert out.isfinite().all()


@of_heads
def test_the_future_does_not_change_the_past(name):
    subject = SUBJECTS[name]
    if not (subject.always_causal or "causal" in subject.takes):
        return
    options = {} if subject.always_causal else {"causal": True}
    for length, at in ((SHORT, 6), (LONG, 90)):
        tensors = given(name, length)
        later = [torch.cat([x[:, :, :at], 5 - x[:, :, at:]], 2) for x in tensors]
        if subject.sees_later:
            later = [*tensors[:2], later[2]]
        before, after = (called(made(name), x, **options)[:, :, :at] for x in (tensors, later))
        same(after, before)
        grads = [x.detach().requires_grad_() for x in tensors]
        called(made(name), grads, **options)[:, :, :at].square().sum().backward()
        for x in grads[2:] if subject.sees_later else grads:
            if x.grad is not None:
                assert (x.grad[:, :, at:] == 0).all()


@every
def test_tensors_without_numbers_are_answered(name):
    """On "meta", as one asks for shapes."""
    with torch.device("meta"):
        attend = SUBJECTS[name].make()
    attend = attend.eval() if isinstance(attend, nn.Module) else attend
    tensors = [x.to("meta") for x in given(name)]
    out = attend(*tensors)
    assert out.device.type == "meta"
    assert out.shape == tensors[0].shape


@of_heads
@pytest.mark.usefixtures("unchecked")
def test_a_flag_for_all_keys_is_no_padding(name):
    with one_sentence():
        called(made(name), given(name), padding=torch.ones(2, 1, dtype=torch.bool))


@modules
def test_a_query_of_another_dtype_than_the_weights_is_answered_or_refused(name):
    attend = copy.deepcopy(made(name)).double()
    if SUBJECTS[name].kind != "heads" or not any(True for _ in attend.parameters()):
        return
    try:
        assert called(attend, given(name)).dtype == torch.float32
    except ValueError as error:
        assert str(error).endswith("they must be one.")  # noqa: PT017
