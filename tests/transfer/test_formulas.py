"""Each row's defining formula, by loops or by torch, on small numbers."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from frugal import transfer
from frugal.attention.softmax import softmax_attention
from frugal.feedforward.gated import GatedFeedForward
from frugal.transfer import BOOK, Place
from frugal.transfer.parts import Context, Heads, Layer
from frugal.transfer.relative_bias import RelativeBias, buckets
from frugal.transfer.rows import (
    convolutions,
    evolved,
    experts,
    funnel,
    memory,
    norms,
    synthesizers,
    transparent,
    universal,
    weighted,
)
from frugal.transfer.vocabulary import (
    AdaptiveEmbedding,
    AdaptiveSoftmax,
    Cluster,
    FactorizedEmbedding,
    MixtureOfSoftmaxes,
)

SMALL = BOOK.changed(
    {"vocab_size": 40, "d_model": 24, "n_heads": 3, "head_dim": 4, "d_ff": 12, "n_layers": 3}
)
PLAIN, CAUSAL = Context(causal=False), Context(causal=True)
CLUSTERS = [Cluster(5, 8), Cluster(6, 4), Cluster(3, 8)]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def x_of(length: int = 7, width: int = 24) -> torch.Tensor:
    return torch.randn(2, length, width)


def first_network(name: str) -> nn.Module:
    model = transfer.build(name, size=SMALL)
    return model.encoder.stack.layers[0].residuals[1].sublayer.network


ACTIVATIONS = {
    "Vanilla Transformer": lambda z: z.clamp(min=0),
    "GeLU": lambda z: z * 0.5 * (1 + torch.erf(z / math.sqrt(2))),
    "Swish": lambda z: z / (1 + (-z).exp()),
    "ELU": lambda z: torch.where(z > 0, z, z.exp() - 1),
    "SeLU": lambda z: 1.0507010 * torch.where(z > 0, z, 1.6732632 * (z.exp() - 1)),
    "Sigmoid": lambda z: 1 / (1 + (-z).exp()),
    "Softplus": lambda z: (1 + z.exp()).log(),
}
GATES = {
    "GLU": ACTIVATIONS["Sigmoid"],
    "GeGLU": ACTIVATIONS["GeLU"],
    "ReGLU": ACTIVATIONS["Vanilla Transformer"],
    "SwiGLU": ACTIVATIONS["Swish"],
    "LiGLU": lambda z: z,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    network, x = first_network(name), x_of()
    wanted = network.outer(ACTIVATIONS[name](network.inner(x)))
    torch.testing.assert_close(network(x), wanted)


@pytest.mark.parametrize("name", GATES)
def test_gates(name):
    network, x = first_network(name), x_of()
    assert network.inner.out_features == 8, "two thirds of d_ff"
    wanted = network.outer(GATES[name](network.to_gate(x)) * network.inner(x))
    torch.testing.assert_close(network(x), wanted)


@pytest.mark.usefixtures("unchecked")
def test_a_gated_network_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="gate is 'tanh'; it must be one of 'linear'"):
        GatedFeedForward(8, 4, gate="tanh")
    with pytest.raises(ValueError, match=r"x has shape \(2, 7, 24\); it must be \(..., 8\)"):
        GatedFeedForward(8, 4)(x_of())


@pytest.mark.parametrize(("name", "kind"), [("RMS Norm", nn.RMSNorm), ("GeLU", nn.LayerNorm)])
def test_norms_stand_before_every_sublayer_and_at_the_end(name, kind):
    model = transfer.build(name, size=SMALL)
    found = [one for one in model.modules() if isinstance(one, nn.LayerNorm | nn.RMSNorm)]
    assert len(found) == 3 * 2 + 3 * 3 + 2
    assert all(isinstance(one, kind) for one in found)


@pytest.mark.parametrize(
    ("name", "norm"),
    [("Rezero", "none"), ("Rezero + LayerNorm", "layer"), ("Rezero + RMS Norm", "rms")],
)
def test_rezero_adds_nothing_at_first_and_a_share_later(name, norm):
    stack = transfer.build(name, size=SMALL).encoder.stack
    x = x_of()
    torch.testing.assert_close(stack.run(x, PLAIN), x)
    residual = stack.layers[0].residuals[1]
    residual.share.data.fill_(0.5)
    inside = {"none": lambda z: z, "layer": lambda z: F.layer_norm(z, (24,))}
    inside["rms"] = lambda z: F.rms_norm(z, (24,), eps=1e-6)
    wanted = x + 0.5 * residual.sublayer.network(inside[norm](x))
    torch.testing.assert_close(residual(x, PLAIN), wanted)
    assert isinstance(stack.final, nn.Identity) == (norm == "none")


def test_fixup_shifts_scales_and_starts_small():
    model = transfer.build("Fixup", size=BOOK, d_ff=4000, n_layers=4)
    layer = model.decoder.stack.layers[0]
    own, cross, feed = (residual.sublayer for residual in layer.residuals)
    assert own.heads.to_out.weight.abs().max() == feed.network.outer.weight.abs().max() == 0
    assert cross.heads.to_out.weight.abs().max() > 0, "as published, it did not begin at zero"
    everywhere = transfer.build("Fixup", size=BOOK, repaired=True)
    assert everywhere.decoder.stack.layers[0].residuals[1].sublayer.heads.to_out.weight.max() == 0
    inner = feed.network.inner
    wanted = math.sqrt(2 / 48) * 20**-0.5  # 5 branches for each of the 4 pairs of layers
    assert inner.weight.std().item() == pytest.approx(wanted, rel=0.02)
    assert inner.bias is None
    residual, x = layer.residuals[1], x_of(width=48)
    residual.shift.data.fill_(0.3), residual.scale.data.fill_(2.0)
    context = Context(causal=True, memory=x_of(width=48))
    torch.testing.assert_close(residual(x, context), x + 2 * cross(x + 0.3, context))
    ends = [norms.ShiftAndScale(scaled=scaled) for scaled in (True, False)]
    for end in ends:
        end.shift.data.fill_(1.0)
    ends[0].scale.data.fill_(3.0)
    torch.testing.assert_close(ends[0](x), 3 * (x + 1))
    torch.testing.assert_close(ends[1](x), x + 1)


def test_shapes_keep_layers_times_width():
    for name, layers, d_ff, n_heads in (
        ("24 layers, d_ff=1536, H=6", 24, 1536, 6),
        ("18 layers, d_ff=2048, H=8", 18, 2048, 8),
        ("8 layers, d_ff=4608, H=18", 8, 4608, 18),
        ("6 layers, d_ff=6144, H=24", 6, 6144, 24),
    ):
        found = transfer.config_of(name, size="paper")
        assert (found.n_layers, found.d_ff, found.n_heads) == (layers, d_ff, n_heads)
        small = transfer.config_of(name, size="book")
        assert small.n_layers * small.d_ff == BOOK.n_layers * BOOK.d_ff


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("Block sharing", (1, 1)),
        ("Encoder only block sharing", (1, 3)),
        ("Decoder only block sharing", (3, 1)),
        ("GeLU", (3, 3)),
    ],
)
def test_shared_layers_are_one(name, shared):
    model = transfer.build(name, size=SMALL)
    stacks = model.encoder.stack, model.decoder.stack
    assert tuple(len(set(stack.layers)) for stack in stacks) == shared
    assert all(len(stack.layers) == 3 for stack in stacks)


@pytest.mark.parametrize(
    ("name", "inputs", "decoder"),
    [
        ("Vanilla Transformer", True, True),
        ("Tied encoder/decoder input embeddings", True, False),
        ("Tied decoder input and output embeddings", False, True),
        ("Untied embeddings", False, False),
        ("Block sharing", True, False),
        ("Factorized Embedding", True, False),
        ("Factorized & shared embeddings", True, True),
    ],
)
def test_which_tables_are_one(name, inputs, decoder):
    model = transfer.build(name, size=SMALL)
    assert (model.encoder.table is model.decoder.table) == inputs
    assert (model.decoder.table is model.decoder.output) == decoder


def test_a_factorized_table_is_a_product():
    table = FactorizedEmbedding(11, 8, 3)
    ids = torch.arange(11)[None]
    product = table.table.table @ table.widen.weight.T  # (11, 8)
    torch.testing.assert_close(table(ids)[0], product * math.sqrt(3))
    x = x_of(width=8)
    torch.testing.assert_close(table.logits(x), x @ product.T * math.sqrt(3 / 8))


def test_adaptive_embeddings_come_from_the_cluster_of_a_token():
    table = AdaptiveEmbedding(8, CLUSTERS)
    ids = torch.arange(14)[None]
    parts = [
        own(torch.arange(cluster.size)[None])
        for own, cluster in zip(table.tables, CLUSTERS, strict=True)
    ]
    torch.testing.assert_close(table(ids), torch.cat(parts, 1))
    assert table.logits(x_of(width=8)).shape == (2, 7, 14)


def test_adaptive_softmax_is_a_probability_of_the_cluster_and_one_within():
    table, x = AdaptiveSoftmax(8, CLUSTERS), x_of(width=8)
    found = table.logits(x)
    torch.testing.assert_close(found.logsumexp(-1), torch.zeros(2, 7))
    head = table.head.logits(x).softmax(-1)
    within = table.tails[0].logits(x).softmax(-1)
    torch.testing.assert_close(found[..., 3].exp(), head[..., 3])
    torch.testing.assert_close(found[..., 5 + 2].exp(), head[..., 5] * within[..., 2])
    torch.testing.assert_close(found[..., 11].exp().shape, head[..., 6].shape)


def test_losses_of_an_adaptive_softmax_and_what_overflows():
    exact, x = AdaptiveSoftmax(8, CLUSTERS), x_of(8, 8)
    labels = torch.tensor([[1, 5, 6, 13, 7, 8, 2, 9], [0, 1, 2, 3, 4, 0, 5, 11]])
    wanted = -exact.logits(x).gather(-1, labels[..., None])[..., 0]
    torch.testing.assert_close(exact.losses(x, labels), wanted)
    part = AdaptiveSoftmax(8, CLUSTERS, share=0.25)
    part.load_state_dict(exact.state_dict())
    head = -part.head.logits(x).log_softmax(-1)[..., 5]
    lost = part.losses(x, labels)
    overflow = torch.zeros(2, 8, dtype=torch.bool)
    overflow[0, [4, 5, 7]] = True  # the third, fourth and fifth label of the second cluster
    torch.testing.assert_close(lost[~overflow], wanted[~overflow])
    torch.testing.assert_close(lost[overflow], head[overflow])


def test_a_mixture_of_softmaxes_by_loops():
    table, x = MixtureOfSoftmaxes(11, 8, 3), x_of(width=8)
    h = x / math.sqrt(8)
    shares = (h @ table.to_share.weight.T).softmax(-1)
    unit = table.table.table * math.sqrt(8)  # the vectors that `forward` gives
    wanted = sum(
        shares[..., k, None] * ((h @ table.to_context[k]).tanh() @ unit.T).softmax(-1)
        for k in range(3)
    )
    torch.testing.assert_close(table.logits(x).exp(), wanted)


def test_transparent_memories_mix_all_layers():
    model = transfer.build("Transparent attention", size=SMALL)
    stack, x = model.encoder.stack, x_of()
    assert isinstance(stack, transparent.TransparentStack)
    outputs, context = [x], stack.with_bias(x, PLAIN)
    for layer in stack.layers:
        outputs.append(layer(outputs[-1], context))
    outputs[-1] = stack.final(outputs[-1])
    memory = stack(x, PLAIN)
    found = memory.unflatten(2, (3, 24)).movedim(2, 0)
    for j in range(3):
        shares = stack.shares[:, j].softmax(0)
        mixed = sum(s * h for s, h in zip(shares, outputs, strict=True))
        torch.testing.assert_close(found[j], mixed)
    cross = model.decoder.stack.layers[2].residuals[1].sublayer
    wanted = cross.heads(x, found[2])
    torch.testing.assert_close(cross(x, Context(causal=True, memory=memory)), wanted)


@pytest.mark.parametrize("kind", ["Lightweight convolution", "Dynamic convolution"])
@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_convolutions_as_published_have_a_kernel_per_channel(kind, side):
    config = transfer.config_of(kind, size=SMALL)
    block = config.self_attention(config, Place(side))
    assert isinstance(block, convolutions.Convolution)
    mixer, x = block.mixer, x_of(12)
    left, right = mixer.to_inner(x).chunk(2, -1)
    inner = left * right.sigmoid()
    kernels = mixer.kernel_scores(inner).softmax(-1)  # one for each channel: (..., 24, 9)
    kernels = kernels.expand(2, 12, 24, 9)
    back = 8 if side == "decoder" else 4
    wanted = torch.zeros(2, 12, 24)
    for place in range(12):
        for tap in range(9):
            if 0 <= (at := place + tap - back) < 12:
                wanted[:, place] += kernels[:, place, :, tap] * inner[:, at]
    wanted = block.behind(mixer.to_out(wanted))
    torch.testing.assert_close(block(x, PLAIN), wanted)
    assert config.positions == "learned"


def test_the_confounds_of_convolutions():
    published, repaired = (
        transfer.config_of("Dynamic convolution", size="paper", repaired=form)
        for form in (False, True)
    )
    assert (published.d_ff, repaired.d_ff) == (512, 3072)
    block = repaired.self_attention(repaired, Place("encoder"))
    assert block.mixer.n_heads == 12
    assert block.behind is None


def test_the_evolved_convolutions():
    encoder, x = evolved.EncoderConvolution(24), x_of(12)
    near = F.conv1d(x.mT, encoder.near.joined.weight, encoder.near.joined.bias, padding=1).mT
    hidden = F.relu(x @ encoder.wide.weight.T) + F.pad(F.relu(near), (0, 96 - 12))
    hidden = F.layer_norm(hidden, (96,), encoder.norm.weight, encoder.norm.bias)
    far = F.conv1d(hidden.mT, encoder.far.apart.weight, padding=4, groups=96)
    far = encoder.far.joined(far).mT
    torch.testing.assert_close(encoder(x, PLAIN), F.pad(far, (0, 12)))
    decoder = evolved.DecoderConvolution(24)
    assert [one.apart.kernel_size[0] for one in (decoder.wide, decoder.near, decoder.far)] == [
        11,
        7,
        7,
    ]
    later = x.clone()
    later[:, 6:] += 1
    torch.testing.assert_close(decoder(x, CAUSAL)[:, :6], decoder(later, CAUSAL)[:, :6])


def test_the_evolved_layers():
    model = transfer.build("Evolved Transformer", size=BOOK)
    assert len(model.encoder.stack.layers) == len(model.decoder.stack.layers) == 3
    first = model.decoder.stack.layers[0].residuals
    x, context = x_of(width=48), Context(causal=True, memory=x_of(9, 48))
    both = first[0].sublayer
    assert both.own.heads.n_heads == 12
    own = both.own.heads(x, causal=True, bias=both.bias(7))
    torch.testing.assert_close(both(x, context), own + both.cross.heads(x, context.memory))
    assert first[-1].sublayer.network.activation is F.silu
    assert model.encoder.stack.layers[0].residuals[-1].sublayer.network.activation is F.relu
    gated = evolved.GatedLinear(24)
    left, right = gated.both(x_of()[:1]).chunk(2, -1)
    torch.manual_seed(0)
    torch.testing.assert_close(left * right.sigmoid(), F.glu(torch.cat([left, right], -1), -1))


@pytest.mark.parametrize(("plus", "alpha"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("kind", synthesizers.KINDS)
def test_synthesized_scores_by_loops(kind, plus, alpha):
    attention = synthesizers.SynthesizedAttention(
        24, 3, 4, 9, kind=kind, plus=plus, alpha=alpha, rank=2
    )
    if alpha:
        attention.logit_of_a.data.fill_(1.0)
    x, bias = x_of(), torch.randn(1, 3, 7, 7)
    out = torch.zeros(2, 7, 12)
    for b in range(2):
        for h in range(3):
            cut = slice(4 * h, 4 * h + 4)
            v = x[b] @ attention.to_v.weight[cut].T
            if kind == "dense":
                q = x[b] @ attention.to_q.weight[cut].T
                made = q.clamp(min=0) @ attention.places[:7].T
            elif kind == "random":
                made = attention.scores[h, :7, :7]
            else:
                made = attention.rows[h, :7] @ attention.columns[h, :7].T
            if plus:
                q, k = (x[b] @ to.weight[cut].T for to in (attention.to_q, attention.to_k))
                products = q @ k.T / 2
                a = torch.tensor(1.0).sigmoid()
                made = (1 - a) * products + a * made if alpha else products + made
            out[b, :, cut] = (made + bias[0, h]).softmax(-1) @ v
    found = attention(x, Context(causal=False, bias=bias))
    torch.testing.assert_close(found, out @ attention.to_out.weight.T)


def test_synthesizers_were_a_third_wider():
    widths = []
    for repaired in (False, True):
        model = transfer.build(
            "Synthesizer (dense)", size="paper", device="meta", repaired=repaired, n_layers=1
        )
        own = model.encoder.stack.layers[0].residuals[0].sublayer
        widths.append((own.n_heads, own.head_dim))
    assert widths == [(8, 128), (12, 64)]


def test_the_published_universal_layer_runs_in_steps_and_gated():
    model = transfer.build("Universal Transformer", size=SMALL)
    for stack in (model.encoder.stack, model.decoder.stack):
        (layer,) = stack.layers
        calls = []
        layer.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        stack.run(x_of(), Context(causal=True, memory=x_of()))
        assert len(calls) == 2 + SMALL.n_steps + 2
    residual, x = layer.residuals[-1], x_of()
    y = residual.sublayer(residual.norm(x), PLAIN)
    both = torch.cat([residual.norm(x), residual.norm(y)], -1)
    u, r = residual.update(both).sigmoid(), residual.reset(both).sigmoid()
    c = residual.candidate(torch.cat([residual.norm(r * x), residual.norm(y)], -1)).sigmoid()
    torch.testing.assert_close(residual(x, PLAIN), x + (1 - u) * y + u * c)


def test_the_intended_universal_layer_halts_by_token():
    stack = transfer.build("Universal Transformer", size=SMALL, repaired=True).encoder.stack
    assert isinstance(stack, universal.HaltingStack)
    stack.halt.weight.data.normal_()
    x = x_of()
    found = stack.run(x, PLAIN)
    state, runs, total = x, torch.ones(2, 7, dtype=torch.bool), torch.zeros(2, 7)
    wanted, cost = torch.zeros_like(x), 0.0
    for index in range(SMALL.n_steps):
        new = stack.layers[0](state + stack.steps[index], PLAIN)
        state = torch.where(runs[..., None], new, state)
        for b in range(2):
            for t in range(7):
                if not runs[b, t]:
                    continue
                h = stack.halt(state[b, t]).sigmoid().item()
                cost += 1
                stops = total[b, t] + h >= 1 - universal.EPSILON or index == SMALL.n_steps - 1
                p = 1 - total[b, t].item() if stops else h
                wanted[b, t] += p * state[b, t]
                total[b, t] += p
                cost += p * bool(stops)
                runs[b, t] = not stops
    torch.testing.assert_close(total, torch.ones(2, 7))
    torch.testing.assert_close(found, wanted)
    assert stack.penalty().item() == pytest.approx(cost / 14, rel=1e-4)


def test_a_switch_has_other_room_in_the_decoder_as_published():
    for repaired, rooms in ((False, (1.2, 1.2, 1.25, 2.0)), (True, (1.2,) * 4)):
        model = transfer.build("Switch Transformer", size=BOOK, repaired=repaired)
        layers = [stack.layers[1] for stack in (model.encoder.stack, model.decoder.stack)]
        found = []
        for layer in layers:
            switch = layer.residuals[-1].sublayer
            for training in (True, False):
                switch.train(training)(x_of(width=48), PLAIN)
                found.append(switch.network.capacity_factor)
        assert tuple(found) == rooms
    places = [
        isinstance(one.residuals[-1].sublayer, experts.Switch) for one in model.encoder.stack.layers
    ]
    assert places == [False, True] * 3


def test_a_mixture_of_two_experts_by_loops():
    config = SMALL.changed({"n_experts": 3})
    mixture = experts.Mixture(config, 9.0, 9.0).eval()  # room for all
    x = x_of()
    torch.manual_seed(5)
    found = mixture(x, PLAIN)
    torch.manual_seed(5)
    drawn = torch.rand(14)
    scores = (x @ mixture.router.weight.T).softmax(-1).flatten(0, 1)
    wanted = torch.zeros(14, 24)
    for token, row in enumerate(x.flatten(0, 1)):
        (g1, g2), (e1, e2) = scores[token].topk(2)
        g1, g2 = g1 / (g1 + g2), g2 / (g1 + g2)
        for gate, expert, kept in ((g1, e1, True), (g2, e2, drawn[token] < g2 / 0.2)):
            inner = mixture.experts.inner[expert] @ row + mixture.experts.inner_bias[expert]
            out = mixture.experts.outer[expert] @ inner.relu() + mixture.experts.outer_bias[expert]
            wanted[token] += gate * out * float(kept)
    torch.testing.assert_close(found.flatten(0, 1), wanted)


def test_second_choices_stand_behind_all_first_ones_only_as_published():
    gates = torch.full((12, 2), 0.5)
    chosen = torch.tensor([[0, 1]] * 6 + [[1, 0]] * 6)  # late tokens want expert 1 first
    real = torch.ones(1, 12, dtype=torch.bool)
    config = SMALL.changed({"n_experts": 3})
    late = experts.Mixture(config, 1.5, 1.5)._room(chosen, gates, real)
    fair = experts.Mixture(config, 1.5, 1.5, in_order=True)._room(chosen, gates, real)
    assert not late[:6, 1].any(), "six later tokens have taken the room"
    assert fair[:6, 1].all()


def test_a_funnel_pools_after_the_first_attention_of_a_block():
    stack = transfer.build("Funnel Transformer", size=SMALL).encoder.stack
    x = x_of(8)
    context = stack.with_bias(x, PLAIN)
    wanted = stack.layers[0](x, context)
    for layer in list(stack.layers)[1:]:
        attention, feed = layer.residuals
        length = wanted.shape[1]
        bias = context.bias[..., :length, :length]
        wanted = attention(wanted, Context(causal=False, bias=bias))
        wanted = feed(wanted.unflatten(1, (-1, 2)).mean(2), PLAIN)
    torch.testing.assert_close(stack.run(x, context), wanted)
    assert wanted.shape == (2, 2, 24)
    assert isinstance(stack.final, nn.RMSNorm)
    repaired = transfer.build("Funnel Transformer", size=SMALL, repaired=True)
    assert isinstance(repaired.encoder.stack.final, nn.LayerNorm)
    assert isinstance(stack, funnel.FunnelStack)


def test_weighted_branches_by_loops():
    config = SMALL.changed({"positions": "learned"})
    branched, x = weighted.Branched(config, cross=False), x_of()
    heads = branched.heads
    q, k, v = (heads.split(to(x)) for to in (heads.to_q, heads.to_k, heads.to_v))
    found = softmax_attention(q, k, v)
    kappa, alpha = (w.relu() / (w.relu() + 1e-4).sum() for w in (branched.kappa, branched.alpha))
    wanted = 0.0
    for h in range(3):
        back = heads.to_out.weight[:, 4 * h : 4 * h + 4]
        wanted = wanted + alpha[h] * branched.network(kappa[h] * (found[:, h] @ back.T))
    torch.testing.assert_close(branched(x, PLAIN), wanted)
    model = transfer.build("Weighted Transformer", size=SMALL)
    assert [len(one.residuals) for one in model.decoder.stack.layers] == [2, 2, 2]
    assert model.encoder.stack.bias is None
    assert transfer.build("Weighted Transformer", size=SMALL, repaired=True).encoder.stack.bias


def test_a_memory_stands_before_the_last_layer_and_norms_half_queries():
    model = transfer.build("Product key memory", size=SMALL)
    kinds = [
        type(one.residuals[-1].sublayer.network).__name__ for one in model.decoder.stack.layers
    ]
    assert kinds == ["DenseFeedForward", "ProductKeyMemory", "DenseFeedForward"]
    network, x = model.decoder.stack.layers[1].residuals[-1].sublayer.network, x_of()
    linear = network.to_query[0]
    q = F.layer_norm(linear(x).unflatten(-1, (2, 2, 4)), (4,))  # heads, halves
    wanted = torch.zeros(2, 7, 24)
    for h in range(2):
        first, second = (q[..., h, s, :] @ network.keys[h, s].T for s in (0, 1))
        sums = (first[..., :, None] + second[..., None, :]).flatten(-2)  # all n² pairs
        best, at = sums.topk(SMALL.n_read, -1)
        wanted += (best.softmax(-1)[..., None] * network.values[at]).sum(-2)
    torch.testing.assert_close(network(x), wanted)
    assert isinstance(network.to_query[1], memory.HalfNorm)


def test_heads_may_be_of_any_width():
    heads, x = Heads(24, 5, 3), x_of()
    assert heads(x).shape == x.shape
    assert heads.to_q.weight.shape == (15, 24)
    assert heads.to_q.bias is None


def test_relative_buckets():
    far = torch.tensor([-200, -128, -40, -16, -15, -1, 0, 1, 7, 8, 40, 127, 300])
    found = buckets(far, bidirectional=False)
    assert found.tolist() == [31, 31, 23, 16, 15, 1, 0, 0, 0, 0, 0, 0, 0]
    both = buckets(far, bidirectional=True)
    assert both.tolist()[5:10] == [1, 0, 17, 23, 24]
    assert both.max() == 31
    assert len(buckets(torch.arange(-400, 400), bidirectional=True).unique()) == 31, (
        "no later key is at distance 0"
    )
    bias = RelativeBias(3, bidirectional=True)
    bias.table.data.normal_()
    made = bias(5)
    assert made.shape == (1, 3, 5, 5)
    torch.testing.assert_close(made[0, 1, 2, 4], bias.table[16 + 2, 1])
    torch.testing.assert_close(made[0, 1, 4, 2], bias.table[2, 1])


def test_relative_buckets_are_those_of_t5():
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    far = torch.arange(-300, 300)
    for bidirectional in (True, False):
        theirs = t5.T5Attention._relative_position_bucket(far, bidirectional=bidirectional)
        assert torch.equal(buckets(far, bidirectional=bidirectional), theirs)


def test_a_layer_is_sublayers_in_residuals():
    model = transfer.build("Vanilla Transformer", size=SMALL)
    layer = model.decoder.stack.layers[0]
    assert isinstance(layer, Layer)
    x, context = x_of(), Context(causal=True, memory=x_of(9))
    own, cross, feed = layer.residuals
    step = x + own.sublayer.heads(F.layer_norm(x, (24,)), causal=True)
    step = step + cross.sublayer.heads(F.layer_norm(step, (24,)), context.memory)
    step = step + feed.sublayer.network(F.layer_norm(step, (24,)))
    torch.testing.assert_close(layer(x, context), step)
