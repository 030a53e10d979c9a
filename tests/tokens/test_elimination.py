"""Word-vector elimination: what is kept, equality with masking, soft retention, schedules."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from frugal.arithmetic.fewer_tokens import elimination_flops
from frugal.attention.recording import recording
from frugal.attention.softmax import attention_weights
from frugal.data import journeys
from frugal.measure import count_flops
from frugal.model import Encoder, TransformerConfig
from frugal.tokens.elimination import (
    SoftRetention,
    WordVectorElimination,
    kept_positions,
    significance,
)
from frugal.tokens.elimination_schedules import (
    geometric_schedule,
    retention_schedule,
    schedule_for_accuracy,
)

VOCAB, LENGTH, LAYERS = 23, 13, 4
KEEP = (9, 9, 4, 2)


def encoder(**options):
    torch.manual_seed(0)
    config = {"d_model": 24, "n_heads": 3, "n_layers": LAYERS, "d_ff": 40, "positions": "learned"}
    made = TransformerConfig(VOCAB, **(config | {"make_stack": WordVectorElimination} | options))
    model = Encoder(made).eval()
    for parameter in model.parameters():  # norms and biases at their start hide mistakes
        nn.init.normal_(parameter, std=0.3)
    return model


def rotating(rotate):
    layers = encoder().stack.layers
    layers[1].mix.sublayer.rotate = rotate
    return WordVectorElimination(layers)


def inputs(batch=5):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(VOCAB, (batch, LENGTH), generator=generator)
    real = torch.arange(LENGTH) < torch.tensor([LENGTH, LENGTH, 7, 3, 1])[:batch, None]
    real[1, 3:5] = False  # padding may also stand in the middle
    return ids, real


def masked(model, ids, padding, keep):
    """The same by masks: nothing is removed, but dropped tokens are never read again."""
    stack = model.stack
    x = model.positions(model.embedding(ids))
    alive = torch.ones_like(ids, dtype=torch.bool)
    padding = alive if padding is None else padding
    for layer, tokens in zip(stack.layers, keep, strict=True):
        inner = layer.mix.norm(x) if layer.mix.norm_first else x
        heads = layer.mix.sublayer
        q, k = heads.split(heads.to_q(inner)), heads.split(heads.to_k(inner))
        if heads.rotate is not None:
            q, k = heads.rotate(q, 0), heads.rotate(k, 0)
        readable = alive & padding
        weights = attention_weights(q, k, padding=readable)
        queries = (weights * readable[:, None, :, None]).sum((1, 2))
        queries = queries.masked_fill(~padding, -1).masked_fill(~alive, -2)
        queries[:, 0] = torch.inf
        chosen = queries.argsort(dim=1, descending=True, stable=True)[:, :tokens]
        x = layer.mix(x, padding=readable)
        x = layer.feed_forward(x)
        alive = torch.zeros_like(alive).scatter(1, chosen, True)
    return model.norm(x), alive


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
@pytest.mark.parametrize("norm_first", [True, False], ids=["pre", "post"])
@pytest.mark.parametrize("positions", ["learned", "rope"])
@torch.no_grad()
def test_dropping_equals_masking(positions, norm_first, padded):
    model = encoder(positions=positions, norm_first=norm_first)
    ids, real = inputs()
    padding = real if padded else None
    everything = model(ids, padding)
    model.stack.keep = KEEP
    found = model(ids, padding)
    want, alive = masked(model, ids, padding, KEEP)
    assert found.shape == (5, KEEP[-1], 24)
    for row in range(5):
        n = min(KEEP[-1], int(real[row].sum())) if padded else KEEP[-1]
        places = (alive[row] & (real[row] if padded else True)).nonzero()[:, 0]
        assert len(places) == n
        assert (found[row, :n] - want[row, places]).abs().max() < 1e-5
    assert (found[:, 0] - everything[:, 0]).abs().max() > 1e-3  # dropping does change the result


@torch.no_grad()
def test_keeping_everything_is_the_plain_stack():
    plain = encoder(make_stack=None)
    for keep in (None, (LENGTH,) * LAYERS, (99,) * LAYERS):
        model = encoder()
        model.stack.keep = keep
        model.load_state_dict(plain.state_dict())
        for padding in (None, inputs()[1]):
            ids = inputs()[0]
            assert (model(ids, padding) - plain(ids, padding)).abs().max() < 1e-6


def test_significance_is_the_sum_of_columns_of_real_queries():
    weights = torch.rand(2, 3, 4, 4)
    padding = torch.tensor([[True, True, True, True], [True, True, False, False]])
    by_hand = torch.zeros(2, 4)
    for b in range(2):
        for h in range(3):
            for i in range(4):
                if padding[b, i]:
                    by_hand[b] += weights[b, h, i]
    assert torch.allclose(significance(weights, padding), by_hand)
    assert torch.allclose(significance(weights)[0], by_hand[0])


def test_the_first_token_and_the_best_are_kept_in_order():
    scores = torch.tensor([[0.0, 5.0, 1.0, 9.0, 3.0]])
    assert kept_positions(scores, 3).tolist() == [[0, 1, 3]]
    assert kept_positions(scores, 1).tolist() == [[0]]
    padding = torch.tensor([[True, True, True, False, False]])
    assert kept_positions(scores, 3, padding).tolist() == [[0, 1, 2]]


@given(st.integers(2, 12), st.data())
def test_kept_are_those_with_the_largest_scores(length, data):
    values = data.draw(
        st.lists(st.integers(-50, 50), min_size=length, max_size=length, unique=True)
    )
    keep = data.draw(st.integers(1, length))
    found = kept_positions(torch.tensor([values], dtype=torch.float32), keep)[0].tolist()
    rest = sorted(range(1, length), key=lambda place: -values[place])[: keep - 1]
    assert found == sorted([0, *rest])


@torch.no_grad()
def test_positions_of_each_layer_are_nested_and_recorded_weights_fit():
    model = encoder()
    model.stack.keep = KEEP
    ids, real = inputs()
    x = model.positions(model.embedding(ids))
    run = model.stack.run(x, real)
    assert [p.shape[1] for p in run.positions] == list(KEEP)
    outer = [set(range(LENGTH))] * 5
    for positions in run.positions:
        for row, places in enumerate(positions.tolist()):
            assert places[0] == 0
            assert places == sorted(places)
            assert set(places) <= outer[row]
        outer = [set(places) for places in positions.tolist()]
    with recording(model) as recorder:
        model(ids, real)
    assert [w.shape[-1] for w in recorder.weights.values()] == [LENGTH, *KEEP[:-1]]


@torch.no_grad()
def test_another_order_is_a_function():
    def first(weights, padding):
        return -torch.arange(weights.shape[2]).float().expand(weights.shape[0], -1)

    model = encoder(make_stack=lambda layers: WordVectorElimination(layers, keep=KEEP, score=first))
    x = model.positions(model.embedding(inputs()[0]))
    assert model.stack.run(x).positions[-1].tolist() == [[0, 1]] * 5


def test_soft_retention_gives_shares_by_rank():
    retention = SoftRetention(2, 4, gain=2)
    with torch.no_grad():
        retention.share.copy_(torch.tensor([[0.9, 0.5, 0.1], [1.4, -0.2, 0.3]]) / 2)
    scores = torch.tensor([[torch.inf, 1.0, 3.0, 2.0]])  # ranks 0, 3, 1, 2
    assert retention.eval()(scores, layer=0)[0].tolist() == pytest.approx([1.0, 0.1, 0.9, 0.5])
    assert retention(scores, layer=1)[0].tolist() == pytest.approx([1.0, 0.3, 1.0, 0.0])
    assert retention.mass().tolist() == pytest.approx([2.5, 2.3])
    assert retention.penalty().item() == pytest.approx(1 * 2.5 + 2 * 2.3)
    assert retention.schedule() == (2, 2)
    assert (retention.share > 0.5).any()
    retention.train()(scores, layer=0)
    assert retention.share.min() == 0
    assert retention.share.max() == 0.5
    retention.penalty().backward()
    assert torch.equal(retention.share.grad, torch.tensor([[2.0] * 3, [4.0] * 3]))


@pytest.mark.parametrize("positions", ["learned", "rope"])
@torch.no_grad()
def test_shares_of_nothing_are_dropping(positions):
    """With shares of 1 and 0 the soft form is the hard one, and in between it lies in between."""
    model = encoder(positions=positions)
    ids, real = inputs()
    everything = model(ids, real)[:, 0]
    retention = model.stack.soften(LENGTH)
    for layer, tokens in enumerate(KEEP):
        retention.share[layer, tokens - 1 :] = 0.0
    soft = model(ids, real)[:, 0]
    with recording(model) as recorder:
        model(ids, real)
    rows = torch.stack([w.sum(-1) for w in recorder.weights.values()])
    assert torch.allclose(rows, torch.ones_like(rows))
    assert retention.schedule() == KEEP
    model.stack.harden()
    hard = model(ids, real)[:, 0]
    assert (soft - hard).abs().max() < 1e-5
    assert (soft - everything).abs().max() > 1e-3


def test_soft_hard_and_back():
    model = encoder()
    ids, real = inputs()
    before = model(ids, real)
    retention = model.stack.soften(LENGTH)
    assert retention.share in set(model.parameters())
    assert (model(ids, real) - before).abs().max() < 1e-6  # all shares are 1
    with torch.no_grad():
        retention.share[:, 5:] = 0.0
        retention.share[2:, 2:] = 0.0
    soft = model(ids, real)
    assert soft.shape == before.shape
    soft.sum().backward()
    assert retention.share.grad.abs().sum() > 0
    assert model.stack.harden() == (6, 6, 3, 3)
    assert model.stack.retention is None
    assert retention.share not in set(model.parameters())
    assert model(ids, real).shape[1] == 3
    assert model.stack.harden((2, 1, 1, 1)) == (2, 1, 1, 1)


def test_training_softly_shrinks_the_schedule():
    torch.manual_seed(0)
    model = encoder(norm_first=False)
    retention = model.stack.soften(LENGTH)
    optimizer = torch.optim.Adam([retention.share], lr=0.05)
    model.train()
    for _ in range(12):
        optimizer.zero_grad()
        retention.penalty().backward()
        optimizer.step()
    assert max(model.stack.harden()) < LENGTH


@pytest.mark.parametrize("keep", [KEEP, (13, 13, 13, 13), (1, 1, 1, 1), (13, 7, 7, 2)])
@torch.no_grad()
def test_flops_are_those_that_are_counted(keep):
    model = encoder(norm="none")
    model.stack.keep = keep
    x = torch.randn(1, LENGTH, 24)
    counted, _ = count_flops(model.stack, x)
    assert counted == elimination_flops(keep, length=LENGTH, d_model=24, d_ff=40)


def test_schedules():
    assert geometric_schedule(64, 4, 4) == (32, 16, 8, 4)
    assert geometric_schedule(65, 3, 65) == (65, 65, 65)
    assert geometric_schedule(7, 3, 1) == (4, 2, 1)
    assert retention_schedule([9.99, 4.2, 5.8, 0.3]) == (9, 4, 4, 1)


def test_a_schedule_is_found_for_an_accuracy():
    asked = []

    def evaluate(keep):  # layer 1 must keep 8, the last one 2, the others follow
        asked.append(keep)
        return 0.9 - 0.1 * (keep[0] < 8) - 0.2 * (keep[2] < 2)

    found = schedule_for_accuracy(evaluate, length=32, n_layers=3, target=0.9, shrink=0.5)
    assert found == (8, 2, 2)
    assert asked[0] == (32, 32, 32)
    loose = schedule_for_accuracy(evaluate, length=32, n_layers=3, target=0.5, shrink=0.5)
    assert loose == (1, 1, 1)


BAD = [
    ((9, 10, 4, 2), "keep grows from 9 to 10 after layer 1"),
    ((9, 4, 2, 1, 1), "keep has 5 numbers; it must have one for each of 4 layers"),
    ((9, 4), "keep has 2 numbers"),
    ((9, 4, 2, 0), "keep has 0; each layer must keep 1"),
    ((9, 4, 2.5, 1), "keep has 2.5; it must have whole numbers"),
]


@pytest.mark.parametrize(("keep", "message"), BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_schedules_are_one_sentence(keep, message):
    stack = encoder().stack
    for give in (
        lambda: WordVectorElimination(stack.layers, keep=keep),
        lambda: stack.harden(keep),
        lambda: setattr(stack, "keep", keep),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            give()
        assert str(caught.value).count(".") - str(caught.value).count("2.5") == 1
    assert stack.keep is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kept_positions(torch.rand(1, 3), 4), "keep is 4; it must lie in 1 ... 3"),
        (lambda: kept_positions(torch.rand(1, 3), 0), "keep is 0"),
        (lambda: SoftRetention(0, 4), "n_layers is 0;"),
        (lambda: SoftRetention(2, 1), "max_length is 1;"),
        (
            lambda: SoftRetention(2, 4)(torch.rand(1, 5), layer=0),
            "scores has 5 tokens; it must have at most the 4",
        ),
        (lambda: SoftRetention(2, 4, gain=0), "gain is 0"),
        (lambda: encoder().stack.harden(), "no retention was learned"),
        (lambda: encoder().stack(torch.rand(1, 3, 24), causal=True), "causal is given"),
        (lambda: encoder().stack(torch.rand(1, 3, 24), torch.rand(1, 3, 24)), "memory is given"),
        (lambda: encoder(positions="alibi"), "layers attend by AlibiAttention"),
        (lambda: rotating(nn.Identity()), "layers rotate by Identity"),
        (lambda: encoder(make_mixer=lambda *_: nn.Identity()), "without self-attention"),
        (
            lambda: kept_positions(torch.rand(2, 4), 3, torch.ones(2, 4, dtype=torch.int64)),
            r"padding has dtype torch\.int64",
        ),
        (lambda: kept_positions(torch.rand(4), 3), r"scores has shape \(4,\)"),
        (lambda: significance(torch.rand(2, 4, 4)), r"weights has shape \(2, 4, 4\)"),
        (lambda: SoftRetention(2, 4)(torch.rand(1, 3), layer=2), "layer is 2; it must be from 0"),
        (lambda: geometric_schedule(4, 2, 5), "last is 5"),
        (lambda: geometric_schedule(4, 0, 1), "n_layers is 0"),
        (lambda: retention_schedule([2.0, float("nan")]), "masses has nan"),
        (lambda: elimination_flops((2, 3), length=4, d_model=2, d_ff=2), "keep grows"),
        (
            lambda: schedule_for_accuracy(lambda _: 0.5, length=4, n_layers=1, target=0.9),
            "target is 0.9; all tokens together reach 0.5 only",
        ),
        (
            lambda: schedule_for_accuracy(
                lambda _: 1.0, length=4, n_layers=1, target=0.9, shrink=1.0
            ),
            "shrink is 1.0",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_journeys_are_answered_by_the_last_sentence_that_counts():
    drawn = journeys.draw(200, seed=3)
    for text, place in drawn:
        assert text.startswith(journeys.START)
        assert journeys.answer(text) == journeys.PLACES[place]
    assert journeys.draw(200, seed=3) == drawn != journeys.draw(200, seed=4)
    assert journeys.answer("where? ben ran to the attic .") is None
    assert journeys.answer("anna ran to the attic . anna did not go to the office .") == "attic"
    batch = journeys.encode(drawn, length=66)
    assert batch.tokens.shape == (200, 66)
    assert len(set(batch.places.tolist())) == len(journeys.PLACES)
    longest = max(len(text.split()) for text, _ in drawn)
    assert longest == int(batch.padding.sum(1).max()) <= 65
    sentences = [text.count(" .") for text, _ in drawn]
    assert (min(sentences), max(sentences)) == (6, 8)
    for bad in (lambda: journeys.draw(0), lambda: journeys.draw(1, sentences=(3, 2))):
        with pytest.raises(ValueError, match=r"n is 0|sentences is \(3, 2\)"):
            bad()


def test_the_bench_runs_small_on_the_recorded_schedules():
    from experiments import bench
    from experiments.bench.elimination import searched

    frame, result = bench.bench("elimination", rounds=1, smoke=True)
    cheapest = ", ".join(map(str, searched()[0]))
    assert list(frame.index)[:2] == ["stories, all tokens", f"stories, keeping {cheapest}"]
    assert frame["bar"].dropna().tolist() == [pytest.approx(1 / 1.3), pytest.approx(1 / 1.8)]
    assert result["smoke"]
    with pytest.raises(ValueError, match="loss is -1; the searched schedules of elimination lose"):
        searched(loss=-1)


def test_a_hidden_token_is_not_seen_beside_large_products_of_float16():
    """A score of 40,000 is above what used to hide a token, half of the least number."""
    encoder = Encoder(
        TransformerConfig(11, 16, 2, 1, norm="none", make_stack=WordVectorElimination)
    )
    stack = encoder.stack.half().eval()
    heads = stack.layers[0].mix.sublayer
    with torch.no_grad():
        for projection in (heads.to_q, heads.to_k):
            projection.weight.copy_(torch.eye(16))
    x = torch.full((1, 6, 16), 30.0).half()
    x[:, 4:] = 600.0
    padding = torch.arange(6)[None] < 4
    stack.keep = (3,)
    found = stack.run(x, padding)
    x[:, 4:] = 0.0
    expected = stack.run(x, padding)
    assert torch.equal(found.positions[0], expected.positions[0])
    torch.testing.assert_close(found.output, expected.output)


@pytest.mark.usefixtures("unchecked")
def test_a_number_of_tokens_that_is_none_is_one_sentence():
    for keep in ("3", 1.5, True):
        with pytest.raises(ValueError, match=rf"^keep is {keep!r}; it must be a whole number"):
            kept_positions(torch.rand(1, 3), keep)
