"""Experts against a loop over tokens and against Hugging Face's Switch with equal weights."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from frugal.feedforward import experts, naive
from frugal.feedforward.dense import DenseFeedForward
from frugal.feedforward.experts import Experts, MixtureOfExperts, SwitchFeedForward, room
from frugal.feedforward.routing import BiasedRouter, update_biases
from frugal.measure import peak_bytes
from frugal.penalty import penalty
from tests.graphs import exported
from tests.launches import Launched

WIDTH, HIDDEN, N = 8, 12, 4


def tokens(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def switch(factor=1.25, *, seed=0, **options):
    torch.manual_seed(seed)
    return SwitchFeedForward(WIDTH, HIDDEN, N, factor, **options).double()


@pytest.mark.parametrize("per", ["batch", "sequence"])
@pytest.mark.parametrize("factor", [None, 0.5, 1.0, 1.25, 8])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_what_a_loop_over_tokens_gives(per, factor, bias):
    layer, x = switch(factor, per=per, bias=bias).eval(), tokens(3, 10, WIDTH)
    torch.testing.assert_close(layer(x), naive.switch(layer, x), rtol=0, atol=1e-9)
    assert (layer(x)[~layer.kept] == 0).all()


def test_the_gradients_are_those_of_the_loop():
    layer, x = switch(0.75), tokens(2, 9, WIDTH).requires_grad_()
    given = [x, *layer.parameters()]
    weight = tokens(2, 9, WIDTH, seed=1)
    fast = torch.autograd.grad((layer(x) * weight).sum(), given)
    slow = torch.autograd.grad((naive.switch(layer, x) * weight).sum(), given)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("per", ["batch", "sequence"])
def test_the_rooms_of_a_gpu_give_the_same(monkeypatch, per, bias):
    """Few tokens, so that some experts overflow and others have places left; some are padding."""
    layer, x = switch(0.75, per=per, bias=bias), tokens(3, 10, WIDTH).requires_grad_()
    padding = torch.ones(3, 10, dtype=torch.bool)
    padding[1, 6:] = False
    given, weight = [x, *layer.parameters()], tokens(3, 10, WIDTH, seed=1)
    expected = layer(x, padding=padding)
    monkeypatch.setattr(experts, "_on_cpu", lambda x: False)
    monkeypatch.setattr(Experts, "_each", None)  # the way of a CPU is not taken
    found = layer(x, padding=padding)
    assert not layer.kept[padding].all()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    grads = [torch.autograd.grad((out * weight).sum(), given) for out in (found, expected)]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


def test_rooms_need_as_many_operations_for_many_experts_as_for_few(monkeypatch):
    started = {}
    for n in (4, 32):
        layer = SwitchFeedForward(WIDTH, HIDDEN, n).double().requires_grad_(False)
        for gpu in (False, True):
            monkeypatch.setattr(experts, "_on_cpu", lambda x, gpu=gpu: not gpu)
            with Launched() as mode:
                layer(tokens(2, 64, WIDTH))
            started[gpu, n] = [name for name in mode.names if name != "_to_copy"]
    assert started[True, 4] == started[True, 32]
    assert len(started[True, 32]) < len(started[False, 32])
    assert "bincount" in started[False, 4]  # after which the numbers are asked for
    assert "bincount" not in started[True, 4]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.usefixtures("unchecked")
def test_exported_every_expert_is_asked_and_the_output_stays(strict):
    torch.manual_seed(0)
    layers = [switch(0.75).eval(), MixtureOfExperts(WIDTH, HIDDEN, N, k=2).double().eval()]
    for layer in layers:
        for length in (10, 7):
            x = tokens(3, length, WIDTH)
            out = exported(layer, [x], strict=strict)(x)
            torch.testing.assert_close(out, layer(x), rtol=0, atol=1e-9)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_it_is_hugging_faces_with_equal_weights(factor):
    from transformers import SwitchTransformersConfig
    from transformers.models.switch_transformers import modeling_switch_transformers as theirs

    length = 12
    config = SwitchTransformersConfig(
        d_model=WIDTH,
        d_ff=HIDDEN,
        num_experts=N,
        expert_capacity=int(length / N * factor),
        router_jitter_noise=0.0,
        dropout_rate=0.0,
        dense_act_fn="relu",
    )
    torch.manual_seed(0)
    peer = theirs.SwitchTransformersSparseMLP(config).eval()
    ours = SwitchFeedForward(WIDTH, HIDDEN, N, factor, per="sequence", bias=False).eval()
    with torch.no_grad():
        ours.router.weight.copy_(peer.router.classifier.weight)
        for e in range(N):
            expert = peer.experts[f"expert_{e}"]
            ours.experts.inner[e].copy_(expert.wi.weight)
            ours.experts.outer[e].copy_(expert.wo.weight)
    x = tokens(3, length, WIDTH, dtype=torch.float32)
    torch.testing.assert_close(ours(x), peer(x), rtol=0, atol=1e-5)
    logits = ours.routing.logits.view(3, length, N)
    torch.testing.assert_close(ours.z_loss, theirs.router_z_loss_func(logits))
    one = SwitchFeedForward(WIDTH, HIDDEN, N, factor, per="sequence", bias=False).eval()
    one.load_state_dict(ours.state_dict())
    one(x[:1])  # theirs counts balance in each sequence
    balance = theirs.load_balancing_loss_func(
        one.routing.scores[None], one.routing.experts.view(1, length)
    )
    torch.testing.assert_close(one.aux_loss, balance)


def test_capacity_is_counted_in_order_and_padding_takes_none():
    experts = torch.tensor([[0, 1, 0, 0, 1], [1, 1, 1, 1, 0]])
    expected = torch.tensor([[1, 1, 1, 0, 1], [1, 1, 0, 0, 1]]).bool()
    assert torch.equal(room(experts, 2, 2), expected)
    real = torch.tensor([[0, 1, 1, 1, 1], [1, 0, 1, 1, 1]]).bool()
    expected = torch.tensor([[0, 1, 1, 1, 1], [1, 0, 1, 0, 1]]).bool()
    assert torch.equal(room(experts, 2, 2, real), expected)


def test_padded_tokens_change_nothing_and_get_zeros():
    layer, x = switch(1.0, per="sequence").eval(), tokens(2, 6, WIDTH)
    padding = torch.ones(2, 6, dtype=torch.bool)
    padding[1, 4:] = False
    out, balance = layer(x, padding=padding), layer.aux_loss
    loud = x.masked_fill(~padding[..., None], 1e6)
    torch.testing.assert_close(layer(loud, padding=padding), out)
    torch.testing.assert_close(layer.aux_loss, balance)
    assert (out[1, 4:] == 0).all()


def test_a_causal_model_counts_room_per_sequence():
    """Later tokens and other sequences decide nothing; counted over the batch, others do."""
    x = tokens(2, 10, WIDTH)
    later = torch.cat([x[:, :6], tokens(2, 4, WIDTH, seed=1)], dim=1)
    other = torch.cat([tokens(1, 10, WIDTH, seed=2), x[1:]])
    alone = switch(0.5, per="sequence").eval()
    torch.testing.assert_close(alone(x)[:, :6], alone(later)[:, :6])
    torch.testing.assert_close(alone(x)[1], alone(other)[1])
    together = switch(0.5, per="batch").eval()
    assert not torch.allclose(together(x)[1], together(other)[1])


def test_the_loss_of_balance_is_1_when_even_and_more_when_not():
    layer = switch(None)
    with torch.no_grad():
        layer.router.weight.copy_(torch.eye(WIDTH)[:N])
    even = 5 * torch.eye(WIDTH, dtype=torch.float64)[:N].repeat(3, 1)[None]
    layer(even)
    assert layer.aux_loss.item() == pytest.approx(1)
    layer(even[:, :1].repeat(1, 12, 1))
    assert layer.aux_loss.item() > 3.8


def test_the_penalty_alone_evens_the_loads():
    """A router that sends nearly everything to one expert, with and without the loss."""
    torch.manual_seed(0)
    x = torch.randn(4, 64, WIDTH) + 1.0

    def share_of_the_fullest(scale):
        torch.manual_seed(1)
        layer = SwitchFeedForward(WIDTH, HIDDEN, N)
        with torch.no_grad():
            layer.router.weight[0] += 1.0
        step = torch.optim.Adam(layer.parameters(), lr=1e-2)
        for _ in range(60):
            loss = (layer(x) - x).square().mean() + scale * penalty(layer)
            step.zero_grad()
            loss.backward()
            step.step()
        return layer.routing.experts.flatten().bincount(minlength=N).max().item() / 256

    assert share_of_the_fullest(1.0) < 0.4 < 0.9 < share_of_the_fullest(0.0)


def test_penalty_joins_both_losses_and_has_a_gradient():
    layer = switch(1.0, z_weight=0.1)
    layer(tokens(2, 9, WIDTH))
    torch.testing.assert_close(penalty(layer), layer.aux_loss + 0.1 * layer.z_loss)
    penalty(layer).backward()
    assert layer.router.weight.grad.abs().sum() > 0


def test_routing_is_in_float32_and_jitters_in_training_only():
    layer = SwitchFeedForward(WIDTH, HIDDEN, N, jitter=0.3)
    x = tokens(2, 9, WIDTH, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer.eval()(x)
    assert layer.routing.logits.dtype == torch.float32
    still = layer.routing.logits
    layer(x)
    assert torch.equal(still, layer.routing.logits)
    layer.train()(x)
    assert not torch.allclose(still, layer.routing.logits)
    half = SwitchFeedForward(WIDTH, HIDDEN, N).bfloat16()
    assert half(x.bfloat16()).dtype == torch.bfloat16


def test_a_copy_begins_anew_and_checkpointing_gives_the_same():
    layer, x = switch(0.75), tokens(2, 9, WIDTH).requires_grad_()
    layer(x)
    again = copy.deepcopy(layer)
    with pytest.raises(ValueError, match="no token has been routed yet"):
        again.penalty()
    plain = torch.autograd.grad(layer(x).sum() + layer.penalty(), [*layer.parameters()])
    out = checkpoint(again, x, use_reentrant=False)
    kept = torch.autograd.grad(out.sum() + again.penalty(), [*again.parameters()])
    for one, other in zip(plain, kept, strict=True):
        torch.testing.assert_close(one, other)


def test_a_penalty_without_a_gradient_is_refused():
    layer = switch()
    with torch.no_grad():
        layer(tokens(1, 5, WIDTH))
    with pytest.raises(ValueError, match="kept no gradient; penalty must follow one that does"):
        layer.penalty()


def test_nothing_as_large_as_tokens_times_experts_times_capacity_is_made():
    torch.manual_seed(0)
    layer = SwitchFeedForward(32, 64, 16).eval()
    peaks = []
    for length in (1024, 2048):
        x = torch.randn(1, length, 32)
        with torch.no_grad():
            peaks.append(peak_bytes(lambda x=x: layer(x)))
    assert 1.8 < peaks[1] / peaks[0] < 2.2
    assert peaks[1] < 2048 * 16 * 160 * 4 / 10


# --- the second router -----------------------------------------------------------------------


def test_the_mixture_is_the_sum_over_the_chosen_experts():
    torch.manual_seed(0)
    layer = MixtureOfExperts(WIDTH, HIDDEN, N, k=2, n_shared=2, scale=2.5).double().eval()
    x = tokens(2, 7, WIDTH)
    scores = (x @ layer.router.weight.T).sigmoid()
    expected = layer.shared(x)
    for b in range(2):
        for t in range(7):
            best = sorted(range(N), key=lambda e: -scores[b, t, e])[:2]
            total = scores[b, t, best].sum()
            for e in best:
                inner = (layer.experts.inner[e] @ x[b, t] + layer.experts.inner_bias[e]).relu()
                y = layer.experts.outer[e] @ inner + layer.experts.outer_bias[e]
                expected[b, t] += 2.5 * scores[b, t, e] / total * y
    torch.testing.assert_close(layer(x), expected)


def test_the_bias_moves_the_choice_and_not_the_gates():
    torch.manual_seed(0)
    router, x = BiasedRouter(WIDTH, N, 1).double(), tokens(50, WIDTH)
    router.bias[2] = 10.0
    routing = router(x)
    assert (routing.experts == 2).all()
    torch.testing.assert_close(routing.gates, torch.ones_like(routing.gates))
    router.bias[2] = 0.0
    pair = BiasedRouter(WIDTH, N, 2).double()
    pair.weight.data.copy_(router.weight)
    gates = pair(x).gates
    pair.bias += 3.0
    torch.testing.assert_close(pair(x).gates, gates)


def test_biases_even_the_loads_without_a_loss():
    torch.manual_seed(0)
    layer = MixtureOfExperts(WIDTH, HIDDEN, N, k=1)
    with torch.no_grad():
        layer.router.weight[1] *= 3
    x = torch.randn(4, 64, WIDTH) + 0.5
    layer(x)
    before = layer.router.load.max() / layer.router.load.sum()
    for _ in range(300):
        update_biases(layer, rate=1e-2)
        layer(x)
    assert layer.router.load.max() / layer.router.load.sum() < 0.3 < 0.45 < before
    layer.eval()(x)
    counted = layer.router.load.clone()
    layer(x)
    assert torch.equal(layer.router.load, counted)  # only training counts
    assert "router.load" not in layer.state_dict()


def test_one_expert_is_a_dense_layer():
    torch.manual_seed(0)
    dense, layer = DenseFeedForward(WIDTH, HIDDEN), Experts(WIDTH, HIDDEN, 1)
    layer.inner[0].data, layer.outer[0].data = dense.inner.weight.data, dense.outer.weight.data
    x = tokens(9, WIDTH, dtype=torch.float32)
    ones = torch.ones(9, 1)
    torch.testing.assert_close(layer(x, ones.long() * 0, ones), dense(x))


def test_an_empty_batch_and_more_experts_than_tokens():
    assert switch()(tokens(0, 5, WIDTH)).shape == (0, 5, WIDTH)
    many = SwitchFeedForward(WIDTH, HIDDEN, 64, 1.0).double()
    assert many.capacity(3) == 1
    assert many(tokens(1, 3, WIDTH)).shape == (1, 3, WIDTH)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SwitchFeedForward(8, 8, 2, 0), "capacity_factor is 0; it must be above 0"),
        (lambda: SwitchFeedForward(8, 8, 2, float("inf")), "capacity_factor is inf; it must be"),
        (lambda: SwitchFeedForward(8, 8, 0), "n_experts is 0"),
        (lambda: SwitchFeedForward(8, 8, 2, per="token"), "per is 'token'; it must be one of"),
        (lambda: SwitchFeedForward(8, 8, 2, jitter=2.0), "jitter is 2.0; it must be from 0 to 1"),
        (lambda: SwitchFeedForward(8, 8, 2, activation="x"), "activation is 'x'"),
        (lambda: SwitchFeedForward(8, 8, 2)(torch.ones(2, 3, 9)), r"x has shape \(2, 3, 9\)"),
        (lambda: SwitchFeedForward(8, 8, 2).penalty(), "no token has been routed yet"),
        (lambda: MixtureOfExperts(8, 8, 2, k=3), "k is 3; it must be at most n_experts=2"),
        (lambda: MixtureOfExperts(8, 8, 2, n_shared=-1), "n_shared is -1"),
        (lambda: MixtureOfExperts(8, 8, 2)(torch.ones(2, 9)), r"x has shape \(2, 9\)"),
        (lambda: update_biases(nn.Linear(2, 2)), "model is Linear; it must have a BiasedRouter"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make()
