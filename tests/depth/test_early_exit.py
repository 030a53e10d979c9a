"""Early exit: the batch that shrinks against one example at a time, temperatures, and CAT's promise
over thousands of calibration draws."""

import math

import pytest
import torch
from torch import nn

from frugal.depth.early_exit import (
    Confidence,
    Consistency,
    ExitEncoder,
    Patience,
    Seen,
    conformal_threshold,
    exit_loss,
    exits_by,
    fit_temperatures,
    naive,
    reliability,
)
from frugal.depth.early_exit.consistency import agreement
from frugal.depth.reversible import ReversibleStack
from frugal.model import TransformerConfig
from tests.graphs import exported

CLASSES, LAYERS = 4, 6


def model(*, mix=False, **options):
    torch.manual_seed(0)
    config = {"d_model": 8, "n_heads": 2, "n_layers": LAYERS, "positions": "rope", **options}
    found = ExitEncoder(TransformerConfig(11, **config), CLASSES, mix=mix).eval()
    weight = torch.randn(CLASSES, 8)
    for classify in found.classify:  # answers that differ here and there, and not everywhere
        classify.weight.data = weight + 0.3 * torch.randn(CLASSES, 8)
    return found


def texts(n=24, length=7):
    ids = torch.randint(11, (n, length), generator=torch.Generator().manual_seed(1))
    return ids, torch.arange(length) < (3 + torch.arange(n) % (length - 2))[:, None]


TEMPERATURES = [0.5, 1.0, 2.0, 1.5, 0.8, 1.0]
RULES = {
    "confident": (
        Confidence(0.85, torch.tensor(TEMPERATURES)),
        naive.confident(0.85, TEMPERATURES),
    ),
    "patience 1": (Patience(1), naive.patient(1)),
    "patience 2": (Patience(2), naive.patient(2)),
    "patience 4": (Patience(4), naive.patient(4)),
}


@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("rule", RULES)
@torch.no_grad()
def test_a_batch_gives_what_one_example_at_a_time_gives(rule, padded, mix):
    net, (ids, padding) = model(mix=mix), texts()
    padding = padding if padded else None
    fast, slow = RULES[rule]
    ours, theirs = net.leave(ids, padding, rule=fast), naive.leave(net, ids, padding, slow)
    assert len(set(theirs.exits.tolist())) > 1  # or the test would show little
    assert torch.equal(ours.exits, theirs.exits)
    torch.testing.assert_close(ours.scores, theirs.scores, rtol=0, atol=1e-6)
    assert torch.equal(exits_by(fast, net(ids, padding)), theirs.exits)


@torch.no_grad()
def test_the_judge_decides_alike_in_a_batch_and_alone():
    net, (ids, padding) = model(), texts()
    judge = Consistency(8, CLASSES, LAYERS)
    seen = net(ids, padding)
    table = judge.table(seen)
    judge.threshold.fill_(table.median())
    ours = net.leave(ids, padding, rule=judge)
    theirs = naive.leave(
        net,
        ids,
        padding,
        lambda s, state: (
            bool(judge(torch.stack(s)[None], state[None])) if len(s) < LAYERS else True
        ),
    )
    assert len(set(theirs.exits.tolist())) > 1
    assert torch.equal(ours.exits, theirs.exits)
    assert torch.equal(exits_by(judge, seen), theirs.exits)
    torch.testing.assert_close(ours.scores, theirs.scores, rtol=0, atol=1e-6)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.usefixtures("unchecked")
@torch.no_grad()
def test_exported_everybody_leaves_where_they_do(strict):
    class Leaving(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.rule = model(), Confidence(0.85)

        def forward(self, ids, padding):
            return self.net.leave(ids, padding, rule=self.rule)

    leaving, (ids, padding) = Leaving(), texts()
    for length in (7, 5):
        given = [ids[:, :length], padding[:, :length]]
        ours, theirs = exported(leaving, given, strict=strict)(*given), leaving(*given)
        assert torch.equal(ours[1], theirs.exits)
        torch.testing.assert_close(ours[0], theirs.scores, rtol=0, atol=1e-6)


@torch.no_grad()
def test_who_has_left_is_not_computed_again():
    net, (ids, padding) = model(), texts()
    counted = []
    for layer in net.encoder.stack.layers:
        layer.register_forward_pre_hook(lambda _, given: counted.append(len(given[0])))
    exits = net.leave(ids, padding, rule=Patience(1)).exits
    assert counted == [int((exits >= k).sum()) for k in range(1, int(exits.max()) + 1)]
    assert sum(counted) == exits.sum() < LAYERS * len(ids)
    counted.clear()
    net.leave(ids, padding, rule=Confidence(0.0))
    assert counted == [len(ids)]


@torch.no_grad()
def test_patience_at_the_number_of_layers_never_exits():
    net, (ids, padding) = model(), texts()
    for patience in (LAYERS, LAYERS + 5):
        left = net.leave(ids, padding, rule=Patience(patience))
        assert (left.exits == LAYERS).all()
        torch.testing.assert_close(left.scores, net(ids, padding).scores[:, -1])


@torch.no_grad()
def test_an_uncalibrated_judge_lets_nobody_leave():
    net, (ids, padding) = model(), texts()
    assert (net.leave(ids, padding, rule=Consistency(8, CLASSES, LAYERS)).exits == LAYERS).all()


def test_the_loss_is_weighted_as_each_paper_says():
    scores = torch.randn(5, 3, CLASSES, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0])
    each = [nn.functional.cross_entropy(scores[:, k], labels).item() for k in range(3)]
    assert exit_loss(scores, labels).item() == pytest.approx(sum(each), rel=1e-5)
    expected = (each[0] + 2 * each[1] + 3 * each[2]) / 6
    assert exit_loss(scores, labels, weighting="depth").item() == pytest.approx(expected, rel=1e-5)


def test_all_weights_are_trained_and_mixes_have_length_one():
    net, (ids, padding) = model(mix=True), texts()
    exit_loss(net(ids, padding).scores, ids[:, 0] % CLASSES).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    alone = model(mix=True)
    with torch.no_grad():
        for mix in alone.mixes:
            mix.mul_(3)
        torch.testing.assert_close(net(ids, padding).scores, alone(ids, padding).scores)


# temperature


def logits(n=20_000, temperature=1.0, seed=0):
    """Scores whose labels are drawn from their own probabilities, times a temperature."""
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(n, CLASSES, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(z.softmax(-1), 1, generator=generator)[:, 0]
    return temperature * z, labels


def test_the_temperature_that_was_put_in_is_found():
    z, labels = logits()
    scores = torch.stack([0.5 * z, z, 3 * z], 1)
    found = fit_temperatures(scores, labels)
    assert found.tolist() == pytest.approx([0.5, 1, 3], rel=0.05)
    for k, t in enumerate(found):  # the least loss, also beside it
        loss = lambda t, k=k: nn.functional.cross_entropy(scores[:, k] / t, labels).item()  # noqa: E731
        assert loss(t) < min(loss(0.97 * t), loss(1.03 * t))


def test_temperature_mends_the_reliability_and_no_answer():
    z, labels = logits(temperature=3.0)
    before = reliability(z, labels)
    cooled = z / fit_temperatures(z[:, None], labels)
    after = reliability(cooled, labels)
    assert before.error > 0.1 > 0.02 > after.error
    assert torch.equal(cooled.argmax(-1), z.argmax(-1))
    assert before.counts.sum() == after.counts.sum() == len(labels)


def test_an_exit_without_errors_gets_the_coldest_temperature():
    scores = torch.eye(CLASSES)[:, None]
    assert fit_temperatures(scores, torch.arange(CLASSES)).item() == pytest.approx(0.01)


# the promise


def world(n, generator):
    """Scores and agreement of five exits, of which some disagree for about a fifth of examples.

    Where an exit disagrees, its score is lower on average, and no more than that.
    """
    hard = torch.rand(n, 1, generator=generator) < 0.2
    agrees = ~hard | (torch.rand(n, 5, generator=generator) < 0.15)
    scores = torch.rand(n, 5, generator=generator) + 0.4 * agrees
    return scores.double(), agrees


def inconsistent(scores, agrees, threshold):
    """The share of examples that leave at an exit which disagrees."""
    leaves = scores > threshold
    first = leaves.double().argmax(1)
    taken = agrees.gather(1, first[:, None])[:, 0]
    return (leaves.any(1) & ~taken).double().mean().item()


def over_draws(tolerance, make=conformal_threshold, draws=2500, n=200, **options):
    """Mean inconsistency over calibration draws, each with its own test examples, and its error."""
    generator = torch.Generator().manual_seed(7)
    found = []
    for _ in range(draws):
        threshold = make(*world(n, generator), tolerance, **options)
        found.append(inconsistent(*world(n, generator), threshold))
    found = torch.tensor(found)
    return found.mean().item(), found.std().item() / math.sqrt(draws)


@pytest.mark.parametrize("tolerance", [0.01, 0.05, 0.1])
def test_the_promise_holds_over_draws_and_is_tight(tolerance):
    rate, error = over_draws(tolerance)
    assert 0.6 * tolerance <= rate <= tolerance + 3 * error


@pytest.mark.parametrize("tolerance", [0.05, 0.1])
def test_without_the_consistent_examples_it_is_far_too_careful(tolerance):
    rate, _ = over_draws(tolerance, n=400, drop_consistent=True)
    assert rate < 0.4 * tolerance


def without_correction(scores, agrees, tolerance):
    """The plain quantile, which forgets that the next example is one more."""
    largest = scores.masked_fill(agrees, -math.inf).amax(1).sort().values
    return largest[math.ceil(len(largest) * (1 - tolerance)) - 1].item()


def one_exit_only(scores, agrees, tolerance):
    """A threshold from the first exit alone, used at all of them."""
    return conformal_threshold(scores[:, :1], agrees[:, :1], tolerance)


@pytest.mark.parametrize(
    ("broken", "n"), [(without_correction, 20), (one_exit_only, 200)], ids=["quantile", "one exit"]
)
def test_a_broken_promise_is_seen(broken, n):
    rate, error = over_draws(0.1, broken, n=n)
    assert rate > 0.1 + 3 * error


def test_the_threshold_is_the_one_of_the_definition():
    scores = torch.tensor([[0.9, 0.2], [0.3, 0.8], [0.7, 0.6], [0.5, 0.4], [0.1, 0.95]])
    agrees = torch.tensor(
        [[True, True], [False, True], [True, False], [False, False], [True, True]]
    )
    # m: -inf, 0.3, 0.6, 0.5, -inf
    assert conformal_threshold(scores, agrees, 1 / 6) == pytest.approx(0.6)  # the 5th of 5
    assert conformal_threshold(scores, agrees, 2 / 6) == pytest.approx(0.5)  # the 4th
    assert conformal_threshold(scores, agrees, 4 / 6) == -math.inf
    assert conformal_threshold(scores, agrees, 0.25, drop_consistent=True) == pytest.approx(0.6)
    assert conformal_threshold(scores, agrees, 0.5, drop_consistent=True) == pytest.approx(0.5)


@pytest.mark.parametrize(("tolerance", "n"), [(0.01, 99), (0.05, 19), (0.1, 9), (0.3, 3)])
def test_too_few_examples_says_how_many_are_needed(tolerance, n):
    scores = torch.rand(n, 3, generator=torch.Generator().manual_seed(0))
    agrees = torch.zeros(n, 3, dtype=torch.bool)
    assert conformal_threshold(scores, agrees, tolerance) == scores.amax(1).max().item()
    with pytest.raises(ValueError, match=rf"there are {n - 1} examples; .* at least {n}\.$"):
        conformal_threshold(scores[1:], agrees[1:], tolerance)
    agrees[0] = True
    with pytest.raises(ValueError, match=rf"there are {n - 1} examples on which .* {n}\.$"):
        conformal_threshold(scores, agrees, tolerance, drop_consistent=True)


# the judge


def test_the_judge_learns_who_agrees_and_keeps_its_promise():
    net, n = model(), 6000
    ids = torch.randint(11, (n, 7), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        seen = net(ids)
    parts = [Seen(*(one[i : i + n // 3] for one in seen)) for i in range(0, n, n // 3)]
    torch.manual_seed(0)
    judge = Consistency(8, CLASSES, LAYERS)
    optimizer = torch.optim.Adam(judge.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = judge.loss(parts[0])
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert losses[0] == pytest.approx(math.log(2), abs=0.2)
    assert losses[-1] < 0.9 * losses[0]
    rates = []
    for tolerance in (0.05, 0.2):
        judge.calibrate(parts[1], tolerance)
        with torch.no_grad():
            exits = exits_by(judge, parts[2])
        answers = parts[2].scores.argmax(-1)
        taken = answers.gather(1, exits[:, None] - 1)[:, 0]
        rates.append((taken != answers[:, -1]).double().mean().item())
        assert 0.3 * tolerance < rates[-1] < tolerance + 0.02
    judge.calibrate(parts[1], 0.05, drop_consistent=True)
    careful = exits_by(judge, parts[2]).double().mean()
    judge.calibrate(parts[1], 0.05)
    assert exits_by(judge, parts[2]).double().mean() < careful


def test_agreement_is_with_the_last_exit():
    scores = torch.eye(CLASSES)[torch.tensor([[0, 1, 1], [2, 3, 2]])]
    assert agreement(Seen(scores, scores)).tolist() == [[False, True], [True, False]]


# bad input


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: Confidence(1.5), "threshold is 1.5; "),
        (
            lambda: Confidence(0.5, torch.tensor([1.0, 0.0])),
            "is no list of positive numbers; it must have one for each exit",
        ),
        (lambda: Confidence(0.5, torch.ones(1))(torch.zeros(2, 2, 3)), "exit 2 needs one too"),
        (lambda: Patience(0), "patience is 0; "),
        (lambda: conformal_threshold(torch.zeros(9, 2), torch.ones(9, 2) > 0, 0.0), "is 0.0; "),
        (lambda: conformal_threshold(torch.zeros(9, 2), torch.ones(9, 2) > 0, 1), "is 1; "),
        (lambda: conformal_threshold(torch.zeros(9, 2), torch.ones(9, 2), 0.1), "agrees boolean"),
        (lambda: conformal_threshold(torch.zeros(9, 2), torch.ones(9, 3) > 0, 0.1), "both must"),
        (
            lambda: conformal_threshold(torch.full((9, 2), math.nan), torch.ones(9, 2) > 0, 0.1),
            "scores has NaN",
        ),
        (lambda: exit_loss(torch.zeros(2, 3, 4), torch.zeros(2).long(), weighting="x"), "'x'; "),
        (lambda: fit_temperatures(torch.zeros(2, 4), torch.zeros(2).long()), "scores has shape"),
        (lambda: model(make_stack=ReversibleStack), "config makes a ReversibleStack; "),
        (lambda: reliability(torch.zeros(2, 4), torch.zeros(2).long(), bins=0), "bins is 0; "),
        (lambda: Consistency(8, 1, 3), "n_classes is 1; "),
    ],
)
def test_bad_input_gets_one_sentence(call, told):
    with pytest.raises(ValueError, match=r"\.$") as error:
        call()
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("positions", ["sinusoidal", "rope"])
def test_a_text_that_begins_later_gets_the_same(positions):
    """Its first vector is that of its first real token, from which positions count."""
    classifier = model(positions=positions)
    ids = torch.randint(11, (2, 7), generator=torch.Generator().manual_seed(0))
    padding = torch.arange(7) >= torch.tensor([[0], [3]])
    alone = classifier(ids[1:, 3:])
    seen = classifier(ids, padding)
    torch.testing.assert_close(seen.scores[1:], alone.scores, atol=1e-5, rtol=1e-5)
    for threshold in (0.3, 0.6):
        left = classifier.leave(ids, padding, rule=Confidence(threshold))
        expected = classifier.leave(ids[1:, 3:], rule=Confidence(threshold))
        assert torch.equal(left.exits[1:], expected.exits)
        torch.testing.assert_close(left.scores[1:], expected.scores, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("unchecked")
def test_labels_that_do_not_fit_are_one_sentence():
    for ask, scores in ((reliability, torch.randn(4, 3)), (fit_temperatures, torch.randn(4, 2, 3))):
        for labels in (torch.ones(5).long(), torch.ones(4), torch.ones(0).long()):
            with pytest.raises(ValueError, match=r"^scores has shape [^\n]*\.$"):
                ask(scores, labels)
        with pytest.raises(ValueError, match=r"^scores has shape [^\n]*one example or more\.$"):
            ask(scores[:0], torch.ones(0).long())
