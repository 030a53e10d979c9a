"""LSH attention against the paper's definition, pair by pair, and against Hugging Face's layer."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.attention.cache import KeyValueCache
from frugal.attention.lsh import LshAttention, lsh_attention, lsh_visible, naive
from frugal.attention.lsh import hash as lsh_hash
from frugal.attention.lsh import rounds as lsh_rounds
from frugal.attention.lsh.hash import (
    bucket_factors,
    default_buckets,
    hash_buckets,
    random_rotations,
)
from frugal.attention.recording import recording
from frugal.attention.softmax import MultiHeadAttention
from frugal.measure import forward_backward, peak_bytes
from frugal.model import Decoder, TransformerConfig
from tests.graphs import exported
from tests.launches import Launched


def tensors(generator, batch=2, heads=3, length=40, head_dim=8, value_dim=8, **options):
    options = {"generator": generator, "dtype": torch.float64, **options}
    qk = torch.randn(batch, heads, length, head_dim, **options)
    return qk, torch.randn(batch, heads, length, value_dim, **options)


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def test_directions_of_a_seed_are_drawn_once_for_a_gpu(monkeypatch):
    """Elsewhere than on the CPU: the second call neither draws nor sends anything."""
    monkeypatch.setattr(lsh_hash, "_kept", {})
    given = {"n_hashes": 2, "n_heads": 3, "head_dim": 4}
    started = []
    for _ in range(2):
        with Launched() as mode:
            random_rotations(6, seed=1, device="meta", **given)
        started.append(mode.names)
    assert started[0]
    assert not started[1]
    with Launched() as mode:
        random_rotations(6, seed=2, device="meta", **given)
    assert mode.names == started[0]


@settings(deadline=None, max_examples=25)
@given(
    length=st.integers(1, 29),
    chunk=st.integers(1, 32),
    n_hashes=st.integers(1, 4),
    causal=st.booleans(),
    padded=st.booleans(),
    n_buckets=st.sampled_from([None, 2, 6, (2, 4)]),
    within=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_the_definition(length, chunk, n_hashes, causal, padded, n_buckets, within, seed):
    qk, v = tensors(seeded(seed), heads=2, length=length, head_dim=4, value_dim=3)
    padding = torch.rand(2, length, generator=seeded(seed)) < 0.6 if padded else None
    options = {"causal": causal, "padding": padding, "within_buckets": within}
    rotations = random_rotations(
        n_buckets or default_buckets(length, min(chunk, length)),
        n_hashes=n_hashes,
        n_heads=2,
        head_dim=4,
        generator=seeded(),
    )
    expected = naive.lsh_attention(qk, v, rotations, chunk=min(chunk, length), **options)
    out = lsh_attention(
        qk,
        v,
        bucket_size=chunk,
        n_hashes=n_hashes,
        n_buckets=n_buckets,
        generator=seeded(),
        **options,
    )
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("n_hashes", [1, 4])
def test_is_exact_when_one_bucket_holds_all(generator, causal, n_hashes):
    qk, v = tensors(generator)
    scores = qk @ F.normalize(qk, dim=-1).mT
    hides = torch.eye(40, dtype=torch.bool)
    if causal:
        hides = hides | torch.ones_like(hides).triu()
        hides[0, 0] = False
    dense = scores.masked_fill(hides, -torch.inf).softmax(-1) @ v
    for bucket_size in (40, 64):
        out = lsh_attention(qk, v, bucket_size=bucket_size, n_hashes=n_hashes, causal=causal)
        torch.testing.assert_close(out, dense)


def dense(qk, v, seen, scale=1.0):
    scores = scale * qk @ F.normalize(qk, dim=-1).mT
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    return weights.masked_fill(~seen, 0.0) @ v


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize(("length", "chunk"), [(300, 1), (96, 16), (101, 8)])
def test_gradients_are_those_of_one_softmax_over_all_pairs_seen(
    generator, causal, padded, within, length, chunk
):
    """300 chunks do not fit a byte, which counts up to 255."""
    qk, v = tensors(generator, length=length, value_dim=5, requires_grad=True)
    padding = torch.rand(2, length, generator=generator) < 0.7 if padded else None
    options = {"bucket_size": chunk, "n_hashes": 3, "causal": causal, "padding": padding}
    options["within_buckets"] = within
    seen = lsh_visible(qk, generator=seeded(), **options)
    assert 0.001 < seen.double().mean() < 0.9
    out = lsh_attention(qk, v, generator=seeded(), scale=0.7, **options)
    expected = dense(qk, v, seen, scale=0.7)
    torch.testing.assert_close(out, expected)
    target = torch.randn(out.shape, generator=generator, dtype=out.dtype)
    ours = torch.autograd.grad((out * target).sum(), (qk, v))
    theirs = torch.autograd.grad((expected * target).sum(), (qk, v))
    torch.testing.assert_close(ours, theirs)


def test_a_seed_is_a_new_generator_at_every_call(generator):
    options = {"n_hashes": 2, "n_heads": 3, "head_dim": 8}
    right = random_rotations((2, 6), generator=torch.Generator().manual_seed(5), **options)
    for _ in range(2):
        for one, other in zip(random_rotations((2, 6), seed=5, **options), right, strict=True):
            assert torch.equal(one, other)
    with pytest.raises(ValueError, match=r"^seed is given; .*generator.*\.$"):
        random_rotations(2, seed=0, generator=generator, **options)


@pytest.mark.usefixtures("unchecked")
def test_a_generator_is_no_part_of_an_exported_graph(generator):
    heads = [torch.randn(1, 2, 9, 4) for _ in "qkv"]
    with pytest.raises(ValueError, match=r"^generator is given; an exported graph [^\n]*\.$"):
        exported(LshAttention(4, 2, generator=generator), heads, strict=False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("unchecked")
def test_compiled_it_draws_what_it_draws_plainly_at_any_length():
    """Without a seed, by torch's own generator."""
    torch._dynamo.reset()
    attend = LshAttention(4, 1)
    compiled = torch.compile(attend, backend="aot_eager")
    for length in (13, 70):
        q = torch.randn(2, 2, length, 8)
        outs = []
        for call in (compiled, attend):
            torch.manual_seed(3)
            outs.append(call(q, q, q))
        torch.testing.assert_close(*outs)


def test_the_plain_form_for_other_devices_is_the_same(generator, monkeypatch):
    qk, v = tensors(generator, length=50, requires_grad=True, dtype=torch.float32)
    padding = torch.rand(2, 50, generator=generator) < 0.8
    options = {"bucket_size": 8, "n_hashes": 3, "causal": True, "padding": padding}
    fused = lsh_attention(qk, v, generator=seeded(), **options)

    class Elsewhere:
        """The fused form, which must not be called."""

    monkeypatch.setattr(lsh_rounds, "_InRounds", Elsewhere)
    monkeypatch.setattr(lsh_rounds, "_on_cpu", lambda tensor: False)
    plain = lsh_attention(qk, v, generator=seeded(), **options)
    torch.testing.assert_close(plain, fused, atol=1e-5, rtol=1e-5)
    ours = torch.autograd.grad(fused.square().sum(), (qk, v))
    theirs = torch.autograd.grad(plain.square().sum(), (qk, v))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("causal", [True, False])
def test_equals_the_layer_of_hugging_face_with_equal_weights(generator, causal):
    """Their first chunk looks back at the last one; the paper's, and ours, at nothing."""
    from transformers import ReformerConfig
    from transformers.models.reformer.modeling_reformer import LSHSelfAttention

    config = ReformerConfig(
        hidden_size=24,
        num_attention_heads=3,
        attention_head_size=8,
        lsh_attn_chunk_length=8,
        num_hashes=1,
        num_buckets=6,
        is_decoder=causal,
        hash_seed=7,
        lsh_attention_probs_dropout_prob=0.0,
    )
    layer = LSHSelfAttention(config, layer_idx=0).double().eval()
    x = torch.randn(2, 64, 24, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        theirs = layer(x)
    qk, v = (
        project(x).unflatten(-1, (3, 8)).transpose(1, 2)
        for project in (layer.query_key, layer.value)
    )
    torch.manual_seed(7)
    drawn = torch.randn(3, 8, 1, 3, dtype=torch.float64).permute(2, 0, 1, 3)
    buckets = hash_buckets(qk, [drawn])
    assert torch.equal(buckets, theirs.buckets)
    layout = lsh_rounds.layout_of(buckets.flatten(0, 1), chunk=8, causal=causal)
    rows = (t.reshape(-1, 8) for t in (qk, F.normalize(qk, dim=-1), v))
    ours = lsh_rounds.attend_in_rounds(*rows, layout, scale=1.0)
    ours = ours.view(2, 3, 64, 8).transpose(1, 2).flatten(2)
    order = buckets.argsort(dim=-1, stable=True)[..., :8].squeeze(2)  # the first chunks
    first = torch.zeros(2, 3, 64, dtype=torch.bool).scatter_(-1, order, True)
    compared = ~first.transpose(1, 2).repeat_interleave(8, -1)
    assert compared.double().mean() > 0.8
    difference = (ours - theirs.hidden_states)[compared]
    assert difference.abs().max() < 1e-5
    assert (ours - theirs.hidden_states)[~compared].abs().max() > 1e-2


def test_the_same_generator_gives_the_same_result(generator):
    qk, v = tensors(generator, length=128)
    run = partial(lsh_attention, qk, v, bucket_size=8, n_hashes=2)
    assert torch.equal(run(generator=seeded(3)), run(generator=seeded(3)))
    assert not torch.equal(run(generator=seeded(3)), run(generator=seeded(4)))
    before = torch.get_rng_state()
    run(generator=seeded(3))
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(run(), run())


def test_within_buckets_only_tokens_of_one_bucket_meet(generator):
    qk, _ = tensors(generator, length=64)
    options = {"bucket_size": 16, "n_hashes": 1, "n_buckets": 8}
    wide = lsh_visible(qk, generator=seeded(), **options)
    seen = lsh_visible(qk, generator=seeded(), within_buckets=True, **options)
    sizes = {"n_hashes": 1, "n_heads": 3, "head_dim": 8}
    buckets = hash_buckets(qk, random_rotations(8, **sizes, generator=seeded()))[:, :, 0]
    same = buckets[..., :, None] == buckets[..., None, :]
    itself = torch.eye(64, dtype=torch.bool)
    assert (seen & ~itself).equal(wide & same & ~itself)
    assert 0.01 < seen.double().mean() < 0.8 * wide.double().mean()


def test_causal_shows_nothing_of_the_future_within_the_same_hash(generator):
    """A later token moves others' places in the order, but is never read itself."""
    qk, v = tensors(generator, length=64)
    changed = v.clone()
    changed[:, :, 40:] = torch.nan
    run = partial(lsh_attention, qk, bucket_size=8, n_hashes=3, causal=True)
    out = run(changed, generator=seeded())
    # a NaN times a weight of 0 is NaN, so compare with finite values instead
    changed[:, :, 40:] = 1e6
    out = run(changed, generator=seeded())
    torch.testing.assert_close(out[:, :, :40], run(v, generator=seeded())[:, :, :40])
    assert not torch.allclose(out[:, :, 40:], run(v, generator=seeded())[:, :, 40:])


def test_causal_lets_the_future_choose_which_earlier_keys_are_read(generator):
    """So the output of a prefix is not the prefix of the output."""
    qk, v = tensors(generator, length=64)
    run = partial(lsh_attention, bucket_size=8, n_hashes=3, n_buckets=8, causal=True)
    whole = run(qk, v, generator=seeded())
    changed = qk.clone()
    changed[:, :, 40:] = torch.randn(qk[:, :, 40:].shape, generator=generator).double()
    assert not torch.allclose(run(changed, v, generator=seeded())[:, :, :40], whole[:, :, :40])
    prefix = run(qk[:, :, :40], v[:, :, :40], generator=seeded())
    assert not torch.allclose(prefix, whole[:, :, :40])
    exact = partial(run, bucket_size=64)  # one chunk leaves nothing to choose
    whole, prefix = (exact(qk[:, :, :n], v[:, :, :n], generator=seeded()) for n in (64, 40))
    torch.testing.assert_close(prefix, whole[:, :, :40])


def test_only_a_token_without_others_attends_to_itself(generator):
    qk, v = tensors(generator, length=64)
    seen = lsh_visible(qk, bucket_size=8, n_hashes=2, causal=True, generator=seeded())
    itself = seen.diagonal(dim1=-2, dim2=-1)
    others = seen.sum(-1) - itself.long()
    assert torch.equal(itself, others == 0)
    assert itself[:, :, 0].all()
    out = lsh_attention(qk, v, bucket_size=8, n_hashes=2, causal=True, generator=seeded())
    torch.testing.assert_close(out[:, :, 0], v[:, :, 0])


def test_padding_is_as_if_it_were_not_there(generator):
    qk, v = tensors(generator, length=60)
    padding = torch.arange(60) < torch.tensor([[60], [37]])
    options = {"bucket_size": 8, "n_hashes": 3, "n_buckets": 6}
    out = lsh_attention(qk, v, padding=padding, generator=seeded(), **options)
    short = lsh_attention(qk[1:, :, :37], v[1:, :, :37], generator=seeded(), **options)
    torch.testing.assert_close(out[1:, :, :37], short)
    assert (out[1, :, 37:] == 0).all()
    none = lsh_attention(qk, v, padding=torch.zeros_like(padding), generator=seeded(), **options)
    assert (none == 0).all()


def test_close_vectors_share_buckets_and_opposite_ones_never(generator):
    """Recall by cosine, 16 buckets and width 64: about what the chapter's figure says."""
    directions = random_rotations(16, n_hashes=2000, n_heads=1, head_dim=64, generator=generator)
    x = torch.randn(64, generator=generator)
    other = torch.randn(64, generator=generator)
    other = other - (other @ x) / (x @ x) * x
    shared = {}
    for cosine in (1.0, 0.95, 0.6, 0.0, -1.0):
        y = cosine * x / x.norm() + math.sqrt(1 - cosine**2) * other / other.norm()
        both = torch.stack([x, 100 * y])[None, None]
        buckets = hash_buckets(both, directions)[0, 0]
        shared[cosine] = (buckets[:, 0] == buckets[:, 1]).double().mean().item()
    assert shared[1.0] == 1.0
    assert shared[-1.0] == 0.0
    assert shared[0.95] == pytest.approx(0.73, abs=0.04)
    assert shared[0.6] == pytest.approx(0.29, abs=0.04)
    assert shared[0.0] == pytest.approx(1 / 16, abs=0.03)


def test_more_rounds_find_more_of_the_nearest_keys(generator):
    qk, _ = tensors(generator, length=256, head_dim=16)
    itself = torch.eye(256, dtype=torch.bool)
    cosine = F.normalize(qk, dim=-1) @ F.normalize(qk, dim=-1).mT
    nearest = cosine.masked_fill(itself, -torch.inf).argmax(-1, keepdim=True)
    found = []
    for n_hashes in (1, 2, 8):
        seen = lsh_visible(qk, bucket_size=16, n_hashes=n_hashes, generator=seeded())
        found.append(seen.gather(-1, nearest).double().mean().item())
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.7


def test_many_buckets_are_made_of_two_hashes():
    assert bucket_factors(6) == (6,)
    assert default_buckets(64, 8) == (8,)
    assert default_buckets(60, 8) == (8,)
    assert default_buckets(8, 8) == (2,)
    first, second = default_buckets(2**16, 16)
    assert 2**12 <= first * second < 1.1 * 2**12
    assert max(first, second) < 80


def test_memory_grows_with_the_length_and_not_with_its_square():
    def peak(length):
        qk, v = torch.randn(2, 1, 2, length, 16, requires_grad=True)
        return peak_bytes(
            forward_backward(partial(lsh_attention, bucket_size=32, n_hashes=2)), qk, v
        )

    assert peak(4096) < 2.2 * peak(2048)


def test_works_inside_a_model_and_records_its_weights(generator):
    attend = LshAttention(8, 2, seed=5)
    attention = MultiHeadAttention(12, 3, attend)
    x = torch.randn(2, 50, 12, generator=generator)
    padding = torch.arange(50) < torch.tensor([[50], [31]])
    with recording(attention) as recorder:
        attention(x, causal=True, padding=padding)
    q = attention.split(attention.to_q(x))
    v = attention.split(attention.to_v(x))
    out = attend(q, q, v, causal=True, padding=padding)
    torch.testing.assert_close(recorder.weights[""] @ v, out)
    model = Decoder(
        TransformerConfig(11, d_model=12, n_heads=3, make_attend=lambda *_: LshAttention(8, 2))
    )
    model(torch.randint(11, (2, 30), generator=generator)).sum().backward()
    assert model.stack.layers[0].mix.sublayer.to_q.weight.grad.abs().max() > 0


BAD = {
    "bucket_size is 0": lambda q: lsh_attention(q, q, bucket_size=0, n_hashes=1),
    "n_hashes is 0": lambda q: lsh_attention(q, q, bucket_size=2, n_hashes=0),
    "n_buckets is 5": lambda q: lsh_attention(q, q, bucket_size=2, n_hashes=1, n_buckets=5),
    "n_buckets is (2, 3)": lambda q: lsh_visible(q, bucket_size=2, n_hashes=1, n_buckets=(2, 3)),
    "scale is 0": lambda q: lsh_attention(q, q, bucket_size=2, n_hashes=1, scale=0),
    "k has length 5 and v has 4": lambda q: lsh_attention(
        q, q[:, :, :4], bucket_size=2, n_hashes=1
    ),
    "qk has shape (3, 5, 4)": lambda q: lsh_attention(q[0], q, bucket_size=2, n_hashes=1),
    "padding has shape (2, 4)": lambda q: lsh_attention(
        q, q, bucket_size=2, n_hashes=1, padding=torch.ones(2, 4, dtype=torch.bool)
    ),
    "padding has shape (5,)": lambda q: lsh_attention(
        q, q, bucket_size=2, n_hashes=1, padding=torch.ones(5, dtype=torch.bool)
    ),
    "padding has dtype": lambda q: lsh_attention(
        q, q, bucket_size=2, n_hashes=1, padding=torch.ones(2, 5)
    ),
    "n_hashes is -1": lambda q: LshAttention(2, -1),
    "no cache": lambda q: MultiHeadAttention(8, 2, LshAttention(2, 1))(
        torch.ones(1, 1, 8), cache=_filled()
    ),
}


def _filled():
    cache = KeyValueCache(9)
    cache.append(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4))
    return cache


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(generator, sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence](torch.randn(2, 3, 5, 4, generator=generator))
    assert sentence in str(caught.value)
