"""Linformer against its definition and the public package, and what it refuses."""

import math

import pytest
import torch

from frugal.attention.linformer import LinformerAttention, LinformerSelfAttention
from frugal.attention.recording import recording
from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.measure import count_flops, peak_bytes
from frugal.model import Decoder, Encoder, TransformerConfig


def heads(generator, length=20, n_heads=3, head_dim=4):
    return [torch.randn(2, n_heads, length, head_dim, generator=generator) for _ in range(3)]


def by_definition(attend, q, k, v, padding=None):
    """softmax(q (E K)ᵀ / √d) F V, a head and an entry at a time."""
    out = torch.zeros_like(q)
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            head = h if attend.to_keys.shape[0] > 1 else 0
            e, f = attend.to_keys[head], attend.to_values[head]
            mixed_k, mixed_v = torch.zeros(attend.rank, 4), torch.zeros(attend.rank, 4)
            for j in range(k.shape[2]):
                if padding is None or padding[b, j]:
                    mixed_k += torch.outer(e[:, j], k[b, h, j])
                    mixed_v += torch.outer(f[:, j], v[b, h, j])
            scores = q[b, h] @ mixed_k.T / math.sqrt(4)
            out[b, h] = scores.softmax(-1) @ mixed_v
    return out


@pytest.mark.parametrize("sharing", ["none", "heads", "kv", "layers"])
@pytest.mark.parametrize("length", [20, 13])
def test_equals_the_definition(generator, sharing, length):
    torch.manual_seed(0)
    attend = LinformerAttention(3, 20, 5, sharing=sharing)
    q, k, v = heads(generator, length)
    padding = torch.rand(2, length, generator=generator) < 0.6
    with torch.no_grad():
        for given in (None, padding):
            expected = by_definition(attend, q, k, v, given)
            torch.testing.assert_close(attend(q, k, v, padding=given), expected)
            weights = attend.weights(q, k, padding=given)
            torch.testing.assert_close(weights @ v, expected)


def test_full_rank_can_be_softmax_attention(generator):
    """With E = F = 1 nothing is mixed."""
    attend = LinformerAttention(3, 20, 20, sharing="kv")
    with torch.no_grad():
        attend.to_keys.copy_(torch.eye(20))
        q, k, v = heads(generator)
        torch.testing.assert_close(attend(q, k, v), softmax_attention(q, k, v))


@pytest.mark.parametrize(
    ("sharing", "matrices"), [("none", 24), ("heads", 8), ("kv", 4), ("layers", 1)]
)
def test_sharing_counts_the_papers_matrices(sharing, matrices):
    """Here 4 layers of 3 heads; the paper counts 288, 24, 12 and 1 for 12 layers of 12."""
    layers = [LinformerAttention(3, 20, 5, sharing=sharing)]
    for _ in range(3):
        like = layers[0] if sharing == "layers" else None
        layers.append(LinformerAttention(3, 20, 5, sharing=sharing, like=like))
    numbers = sum(p.numel() for p in torch.nn.ModuleList(layers).parameters())
    assert numbers == matrices * 20 * 5


@pytest.mark.parametrize("sharing", ["heads", "kv", "layers"])
def test_mixing_first_changes_nothing(generator, sharing):
    torch.manual_seed(0)
    plain = MultiHeadAttention(12, 3, LinformerAttention(3, 20, 5, sharing=sharing))
    first = LinformerSelfAttention(12, 3, 20, 5, sharing=sharing)
    first.load_state_dict(plain.state_dict())
    for layer in (first.to_k, first.to_v):
        torch.nn.init.normal_(layer.bias)  # a bias at every position has to be mixed too
    plain.load_state_dict(first.state_dict())
    x = torch.randn(2, 17, 12, generator=generator)
    padding = torch.rand(2, 17, generator=generator) < 0.6
    for given in (None, padding):
        with recording(plain) as slow, recording(first) as fast:
            ours, expected = first(x, padding=given), plain(x, padding=given)
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(fast.weights[""], slow.weights[""])
    gradients = [
        torch.autograd.grad(layer(x).square().sum(), list(layer.parameters()))
        for layer in (first, plain)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3)


def test_equals_the_public_package(generator):
    package = pytest.importorskip("linformer")
    theirs = package.LinformerSelfAttention(12, 20, k=5, heads=3)
    ours = LinformerSelfAttention(12, 3, 20, 5, bias=False)
    ours.to_out.bias = torch.nn.Parameter(torch.zeros(12))
    with torch.no_grad():
        for name in ("q", "k", "v", "out"):
            mine, other = getattr(ours, f"to_{name}"), getattr(theirs, f"to_{name}")
            mine.load_state_dict(other.state_dict())
        ours.attend.to_keys.copy_(theirs.proj_k.T)
        ours.attend.to_values.copy_(theirs.proj_v.T)
    x = torch.randn(2, 20, 12, generator=generator)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=1e-5)


def test_cost_is_linear_in_length(generator):
    def one(length):
        return LinformerSelfAttention(32, 4, length, 16), torch.randn(1, length, 32)

    costs = [(count_flops(*one(n))[0], peak_bytes(*one(n))) for n in (1024, 4096)]
    assert costs[1][0] == pytest.approx(4 * costs[0][0], rel=0.05)
    assert costs[1][1] < 4.2 * costs[0][1]


def test_encoder_with_it_learns_and_decoder_refuses(generator):
    config = TransformerConfig(
        11,
        d_model=8,
        n_heads=2,
        make_attend=lambda index, config: LinformerAttention(config.n_heads, 16, 4),
    )
    ids = torch.randint(11, (2, 16), generator=generator)
    padding = torch.ones(2, 16, dtype=torch.bool)
    padding[0, 10:] = False
    model = Encoder(config)
    out = model(ids, padding)
    changed = torch.where(padding, ids, 1)
    torch.testing.assert_close(model(changed, padding)[0, :10], out[0, :10])
    out.sum().backward()
    assert model.stack.layers[0].mix.sublayer.attend.to_values.grad.abs().max() > 0
    with pytest.raises(ValueError, match="it cannot hide the future"):
        Decoder(config)(ids)


def test_a_row_without_real_keys_is_zero(generator):
    q, k, v = heads(generator)
    none = torch.zeros(2, 20, dtype=torch.bool)
    assert (LinformerAttention(3, 20, 5)(q, k, v, padding=none) == 0).all()


X = torch.randn(2, 3, 20, 4)
SELF = LinformerSelfAttention(12, 3, 20, 2)
BAD = {
    "rank is 21": lambda: LinformerAttention(3, 20, 21),
    "rank is 0": lambda: LinformerAttention(3, 20, 0),
    "n_heads is 0": lambda: LinformerAttention(0, 20, 2),
    "sharing is 'all'": lambda: LinformerAttention(3, 20, 2, sharing="all"),
    "like is given with sharing='kv'": lambda: LinformerAttention(
        3, 20, 2, sharing="kv", like=LinformerAttention(3, 20, 2)
    ),
    "like projects 20 to 3": lambda: LinformerAttention(
        3, 20, 2, sharing="layers", like=LinformerAttention(3, 20, 3, sharing="layers")
    ),
    "like has sharing='none'": lambda: LinformerAttention(
        3, 20, 2, sharing="layers", like=LinformerAttention(3, 20, 2, sharing="none")
    ),
    "sharing is 'none'; mixing first": lambda: LinformerSelfAttention(12, 3, 20, 5, sharing="none"),
    "cannot hide the future": lambda: LinformerAttention(3, 20, 2)(X, X, X, causal=True),
    "mask is given": lambda: LinformerAttention(3, 20, 2)(
        X, X, X, mask=torch.ones(20, 20, dtype=torch.bool)
    ),
    "q has 3 heads": lambda: LinformerAttention(2, 20, 2)(X, X, X),
    "k has length 20; it must be at most 19": lambda: LinformerAttention(3, 19, 2)(X, X, X),
    "k has length 20 and v has 19": lambda: LinformerAttention(3, 20, 2)(X, X, X[:, :, :19]),
    "padding has shape (2, 19)": lambda: LinformerAttention(3, 20, 2)(
        X, X, X, padding=torch.ones(2, 19, dtype=torch.bool)
    ),
    "padding has shape (20,)": lambda: LinformerAttention(3, 20, 2)(
        X, X, X, padding=torch.ones(20, dtype=torch.bool)
    ),
    "q has shape (3, 20, 4)": lambda: LinformerAttention(3, 20, 2).weights(X[0], X[0]),
    "x has shape (2, 20, 11)": lambda: SELF(torch.ones(2, 20, 11)),
    "x has shape (20, 12)": lambda: SELF(torch.ones(20, 12)),
    "padding has dtype": lambda: SELF(torch.ones(2, 20, 12), padding=torch.ones(2, 20)),
    "padding has shape (2, 18)": lambda: SELF(
        torch.ones(2, 20, 12), padding=torch.ones(2, 18, dtype=torch.bool)
    ),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence]()
    assert sentence in str(caught.value)
