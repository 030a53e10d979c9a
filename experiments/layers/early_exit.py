"""Who can leave early: the sure (Sledgehammer), the patient (PABEE) or the consistent (CAT)?

Six layers, with a classifier after each, find where Anna is at the end of a story of one to eight
sentences (frugal.data.journeys). The exits are trained together, once with their losses weighted by
depth (zhou2020pabee) and once with the plain sum (schwartz2020right). The rivals have fewer layers
and one classifier, and are trained alone for as many updates.

Of each model with exits: accuracy by exit, reliability before and after a temperature for each exit
that was fitted on held-out stories; accuracy and mean exit of the three rules over their dials; and
in the model that is weighted by depth the time that the rules take in batches of 64, in turns with
models of fewer layers. The judge of schuster2021cat is trained on held-out stories; its promise is
looked at over many draws of 1,000 stories for calibration and 3,000 for the test, with the stories
on which all exits agree counted and dropped.
About 50 seconds a run on one core.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frugal.data import journeys
from frugal.data.journeys import JourneyBatch
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
    reliability,
)
from frugal.depth.early_exit.consistency import agreement
from frugal.model import TransformerConfig
from frugal.training import train

SENTENCES = (1, 8)
LENGTH = 65
D_MODEL, D_FF, HEADS, LAYERS = 48, 96, 4, 6
STEPS, BATCH, RATE = 540, 32, 3e-3
N_TRAIN, N_FITTED, N_JUDGED, N_TEST = 16_000, 2000, 3000, 4000
JUDGE_STEPS, JUDGE_BATCH, JUDGE_RATE = 300, 256, 1e-2
ALONE = (1, 2, 3, 4, 6)
"""Layers of the rivals."""

THRESHOLDS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
PATIENCES = (1, 2, 3, 4)
TOLERANCES = (0.01, 0.02, 0.05, 0.1, 0.2)
N_DRAWS, N_CALIBRATION = 400, 1000
TIMED = {"confidence": (0.7, 0.9, 0.98), "patience": (1, 2, 3), "tolerance": (0.02, 0.05, 0.1)}
N_TIMED, BATCH_TIMED, ROUNDS = 512, 64, 5


def settings() -> dict[str, dict[str, Any]]:
    """Two ways to weight the exits, and models of fewer layers alone."""
    dials = {
        "thresholds": list(THRESHOLDS),
        "patiences": list(PATIENCES),
        "tolerances": list(TOLERANCES),
        "raced": raced(),
    }
    exits = {f"exits, {one}": {"weighting": one, **dials} for one in ("depth", "equal")}
    return exits | {f"{n} alone": {"layers": n} for n in ALONE}


def raced() -> list[str]:
    """What is timed, in the order of the record: models of fewer layers, and the rules."""
    rules = [f"{name} {one}" for name, dials in TIMED.items() for one in dials]
    return ["full", *(f"{n} layers" for n in range(1, LAYERS)), *rules]


def reader(n_layers: int = LAYERS) -> ExitEncoder:
    """A model with an exit after each layer; alone, only its last one is trained and used."""
    config = TransformerConfig(
        len(journeys.VOCABULARY),
        d_model=D_MODEL,
        n_heads=HEADS,
        n_layers=n_layers,
        d_ff=D_FF,
        positions="rope",
    )
    return ExitEncoder(config, len(journeys.PLACES))


def stories(n: int, seed: int) -> tuple[JourneyBatch, Tensor]:
    """Encoded stories, and how many sentences each has."""
    drawn = journeys.draw(n, sentences=SENTENCES, seed=seed)
    return (
        journeys.encode(drawn, length=LENGTH),
        torch.tensor([one.text.count(".") for one in drawn]),
    )


@torch.no_grad()
def all_said(model: ExitEncoder, data: JourneyBatch) -> Seen:
    """What all exits say of all stories."""
    model.eval()
    parts = [
        model(*part) for part in zip(data.tokens.split(250), data.padding.split(250), strict=True)
    ]
    return Seen(*(torch.cat(one) for one in zip(*parts, strict=True)))


def outcome(seen: Seen, places: Tensor, exits: Tensor) -> tuple[float, float, list[float]]:
    """Of a rule that sent each story to an exit: accuracy, mean exit, share that leaves at each."""
    taken = seen.scores.argmax(-1).gather(1, exits[:, None] - 1)[:, 0]
    shares = torch.bincount(exits - 1, minlength=seen.scores.shape[1]) / len(exits)
    right = (taken == places).double().mean().item()
    return right, exits.double().mean().item(), [round(share, 4) for share in shares.tolist()]


def trained(model: ExitEncoder, setting: dict[str, Any], seed: int, smoke: bool) -> float:
    """Train in place; CPU seconds."""
    (tokens, padding, places), _ = stories(64 if smoke else N_TRAIN, 100 * seed + 1)

    def batches(step: int, generator: torch.Generator) -> JourneyBatch:
        rows = torch.randint(len(places), (BATCH,), generator=generator)
        return JourneyBatch(tokens[rows], padding[rows], places[rows])

    def loss(model: ExitEncoder, batch: JourneyBatch) -> Tensor:
        scores = model(batch.tokens, batch.padding).scores
        if "layers" in setting:
            return F.cross_entropy(scores[:, -1], batch.places)
        return exit_loss(scores, batch.places, weighting=setting["weighting"])

    began = time.process_time()
    steps = 2 if smoke else STEPS
    train(model, batches, loss, steps=steps, lr=RATE, seed=seed, progress=False)
    return time.process_time() - began


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once, and let the stories of the test leave by every rule."""
    torch.manual_seed(seed)
    model = reader(setting.get("layers", LAYERS))
    seconds = trained(model, setting, seed, smoke)
    test, sentences = stories(200 if smoke else N_TEST, 100 * seed + 3)
    seen = all_said(model, test)
    right = (seen.scores.argmax(-1) == test.places[:, None]).double()
    found: dict[str, Any] = {
        "test stories": len(test.places),
        "right": right[:, -1].mean().item(),
        "training seconds": seconds,
        "parameters": sum(weight.numel() for weight in model.parameters()),
    }
    lengths = range(SENTENCES[0], SENTENCES[1] + 1)
    if "layers" in setting:
        by_length = [right[sentences == n, -1].mean().item() for n in lengths]
        return found | {"right by sentences": by_length}
    found["right by exit"] = right.mean(0).tolist()
    found["right by sentences"] = [right[sentences == n].mean(0).tolist() for n in lengths]

    held_out, _ = stories(100 if smoke else N_FITTED, 100 * seed + 2)
    said = all_said(model, held_out)
    temperatures = fit_temperatures(said.scores, held_out.places)
    found |= calibrated(seen, test.places, temperatures)
    found |= dials(seen, test.places, temperatures)
    judge = trained_judge(model, seed, smoke)
    found |= promises(judge, seen, test.places, seed, smoke)
    if setting["weighting"] == "depth":
        rules = timed_rules(judge, seen, temperatures)
        for name, rule in rules.items():
            exits = exits_by(rule, seen).double()
            found[f"{name}, exit by sentences"] = [
                exits[sentences == n].mean().item() for n in lengths
            ]
        found |= race(model, rules, test, smoke)
        if seed == 0 and not smoke:
            found["weights"] = model.state_dict()
            found["weights of the judge"] = dict(judge.named_parameters())
    return found


def calibrated(seen: Seen, places: Tensor, temperatures: Tensor) -> dict[str, Any]:
    """How far each exit's confidence is from its accuracy, before and after its temperature."""
    found: dict[str, Any] = {"temperatures": temperatures.tolist()}
    for name, t in (("before", torch.ones_like(temperatures)), ("after", temperatures)):
        each = [reliability(seen.scores[:, k] / t[k], places, bins=10) for k in range(len(t))]
        found[f"error {name}"] = [one.error for one in each]
        found[f"bins {name}"] = [
            [[round(number, 4) for number in row.tolist()] for row in one[:3]] for one in each
        ]
        found[f"loss {name}"] = [
            F.cross_entropy(seen.scores[:, k] / t[k], places).item() for k in range(len(t))
        ]
    return found


def dials(seen: Seen, places: Tensor, temperatures: Tensor) -> dict[str, Any]:
    """Accuracy, mean exit and shares over the dials of the two rules without a judge."""
    rules: dict[str, list[Any]] = {
        "confidence": [Confidence(t, temperatures) for t in THRESHOLDS],
        "raw confidence": [Confidence(t) for t in THRESHOLDS],
        "patience": [Patience(p) for p in PATIENCES],
    }
    found: dict[str, Any] = {}
    for name, over in rules.items():
        each = [outcome(seen, places, exits_by(rule, seen)) for rule in over]
        for what, values in zip(
            ("right", "layers", "shares"), zip(*each, strict=True), strict=True
        ):
            found[f"{name} {what}"] = list(values)
    return found


def trained_judge(model: ExitEncoder, seed: int, smoke: bool) -> Consistency:
    """On stories that neither the model nor the test has."""
    asked, _ = stories(100 if smoke else N_JUDGED, 100 * seed + 4)
    said = all_said(model, asked)
    torch.manual_seed(seed)
    judge = Consistency(D_MODEL, len(journeys.PLACES), LAYERS)

    def batches(step: int, generator: torch.Generator) -> Seen:
        rows = torch.randint(len(asked.places), (JUDGE_BATCH,), generator=generator)
        return Seen(said.scores[rows], said.states[rows])

    steps = 2 if smoke else JUDGE_STEPS
    train(
        judge,
        batches,
        lambda judge, batch: judge.loss(batch),
        steps=steps,
        lr=JUDGE_RATE,
        seed=seed,
        progress=False,
    )
    return judge.eval()


@torch.no_grad()
def promises(
    judge: Consistency, seen: Seen, places: Tensor, seed: int, smoke: bool
) -> dict[str, Any]:
    """Over draws of calibration stories: how often the rest leaves with another answer than the
    full model's, in both forms. None where too few stories are there for a tolerance."""
    table, agrees = judge.table(seen), agreement(seen)
    right = seen.scores.argmax(-1) == places[:, None]
    generator = torch.Generator().manual_seed(seed)
    n = len(table) // 4 if smoke else N_CALIBRATION
    found: dict[str, Any] = {"disagreeing": (~agrees).any(1).double().mean().item()}
    draws = [
        torch.randperm(len(table), generator=generator) for _ in range(3 if smoke else N_DRAWS)
    ]
    for form, drop in (("counted", False), ("dropped", True)):
        rows = []
        for tolerance in TOLERANCES:
            each = [one_draw(table, agrees, right, order, n, tolerance, drop) for order in draws]
            rows.append(summary([one for one in each if one is not None], tolerance))
        for what, values in zip(SUMMARY, zip(*rows, strict=True), strict=True):
            found[f"{form} {what}"] = list(values)
    return found


def one_draw(
    table: Tensor,
    agrees: Tensor,
    right: Tensor,
    order: Tensor,
    n: int,
    tolerance: float,
    drop: bool,
) -> tuple[float, float, float] | None:
    """Calibrated on the first n of an order: inconsistency, mean exit and accuracy of the rest."""
    first, rest = order[:n], order[n:]
    try:
        threshold = conformal_threshold(
            table[first], agrees[first], tolerance, drop_consistent=drop
        )
    except ValueError:
        return None
    above = table[rest] > threshold
    exits = torch.where(above.any(1), above.double().argmax(1), table.shape[1])  # from 0
    same = F.pad(agrees[rest], (0, 1), value=True).gather(1, exits[:, None])
    correct = right[rest].gather(1, exits[:, None])
    return (
        1 - same.double().mean().item(),
        exits.double().mean().item() + 1,
        correct.double().mean().item(),
    )


SUMMARY = ("inconsistent", "layers", "right", "above", "draws")


def summary(draws: list[tuple[float, float, float]], tolerance: float) -> tuple[float, ...]:
    """Means over the draws, the share of them with more inconsistency than promised, and how many
    draws had enough stories."""
    if not draws:
        return (math.nan, math.nan, math.nan, math.nan, 0)
    inconsistent, layers, right = zip(*draws, strict=True)
    above = statistics.fmean(one > tolerance for one in inconsistent)
    means = [statistics.fmean(each) for each in (inconsistent, layers, right)]
    return (*means, above, len(draws))


def timed_rules(judge: Consistency, seen: Seen, temperatures: Tensor) -> dict[str, Any]:
    """The rules that are timed; the judge is calibrated on the first stories of the test."""
    rules: dict[str, Any] = {
        f"confidence {t}": Confidence(t, temperatures) for t in TIMED["confidence"]
    }
    rules |= {f"patience {p}": Patience(p) for p in TIMED["patience"]}
    first = Seen(*(one[:N_CALIBRATION] for one in seen))
    for tolerance in TIMED["tolerance"]:
        one = Consistency(D_MODEL, len(journeys.PLACES), LAYERS)
        one.load_state_dict(judge.state_dict())
        rules[f"tolerance {tolerance}"] = one.eval().calibrate(first, tolerance)
    return rules


@torch.no_grad()
def race(
    model: ExitEncoder, rules: dict[str, Any], test: JourneyBatch, smoke: bool
) -> dict[str, list[float]]:
    """CPU time of the last stories of the test, by each rule and by models of fewer layers, as a
    share of the full model's in the same round: the median of the rounds. And the mean exit
    and accuracy of the rules there."""
    n = 64 if smoke else N_TIMED
    tokens, padding, places = (part[-n:] for part in test)
    batches = list(zip(tokens.split(BATCH_TIMED), padding.split(BATCH_TIMED), strict=True))
    runs: dict[str, Callable[..., Any]] = {"full": lambda *batch: model.encoder(*batch)}
    for layers in range(1, LAYERS):
        small = reader(layers).eval()
        runs[f"{layers} layers"] = lambda *batch, small=small: small.encoder(*batch)
    for name, rule in rules.items():
        runs[name] = lambda *batch, rule=rule: model.leave(*batch, rule=rule)
    shares: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(1 if smoke else ROUNDS + 1):
        seconds = {}
        for name, call in runs.items():
            began = time.process_time()
            for batch in batches:
                call(*batch)
            seconds[name] = time.process_time() - began
        if turn or smoke:  # the first is a warm-up
            for name, spent in seconds.items():
                shares[name].append(spent / max(seconds["full"], 1e-9))
    found: dict[str, list[float]] = {"race layers": [], "race right": []}
    found["race time"] = [statistics.median(shares[name]) for name in raced()]
    for rule in rules.values():
        left = [model.leave(*batch, rule=rule) for batch in batches]
        exits = torch.cat([one.exits for one in left])
        answers = torch.cat([one.scores.argmax(-1) for one in left])
        found["race layers"].append(exits.double().mean().item())
        found["race right"].append((answers == places).double().mean().item())
    return found
