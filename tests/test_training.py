import dataclasses
import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from frugal import checkpoints
from frugal.attention.kernels import FavorFeatures, KernelAttention
from frugal.attention.lsh import LshAttention
from frugal.model import Encoder, TransformerConfig
from frugal.training import History, TrainingDiverged, learning_rate_share, move, train


def make_model(seed: int = 1, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1))


def line(step: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(32, 3, generator=generator)
    return x, x.sum(dim=1, keepdim=True)


def squares(model, batch):
    x, y = batch
    return nn.functional.mse_loss(model(x), y)


def run(model=None, batches=line, loss=squares, **options) -> History:
    options = {"steps": 30, "progress": False} | options
    return train(model or make_model(), batches, loss, **options)


def test_it_learns_a_linear_map():
    history = run(steps=400, lr=1e-2)
    assert history.losses[0] > 1.0
    assert sum(history.losses[-20:]) / 20 < 0.02


def test_one_step_is_adamw_with_warmup_and_clipping():
    ours, theirs = make_model(), make_model()
    batch = line(0, torch.Generator().manual_seed(0))
    history = run(ours, [batch], steps=4, lr=0.1, warmup=2, clip=0.05, betas=(0.8, 0.9))
    optimizer = torch.optim.AdamW(theirs.parameters(), betas=(0.8, 0.9), weight_decay=0.0)
    for rate in (0.1 / 3, 0.2 / 3, 0.1, 0.1 * (0.1 + 0.9 * 0.5)):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        squares(theirs, batch).backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 0.05)
        optimizer.step()
    assert history.learning_rates == pytest.approx([0.1 / 3, 0.2 / 3, 0.1, 0.055])
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_weight_decay_leaves_vectors_alone():
    plain, decayed = make_model(), make_model()
    run(plain, steps=1, warmup=0)
    run(decayed, steps=1, warmup=0, weight_decay=0.5, lr=3e-3)
    torch.testing.assert_close(plain[0].bias, decayed[0].bias)
    start = make_model()[0].weight
    torch.testing.assert_close(plain[0].weight - decayed[0].weight, 3e-3 * 0.5 * start)


def test_the_schedule_rises_then_falls_to_a_tenth():
    shares = [learning_rate_share(s, steps=1000, warmup=100) for s in range(1001)]
    assert max(shares) == shares[100] == 1.0
    assert all(a < b for a, b in itertools.pairwise(shares[:101]))
    assert all(a > b for a, b in itertools.pairwise(shares[100:]))
    assert shares[1000] == pytest.approx(0.1)


def test_same_seed_same_history_bit_for_bit():
    first, again = run(make_model(dropout=0.3), seed=5), run(make_model(dropout=0.3), seed=5)
    other = run(make_model(dropout=0.3), seed=6)
    assert first.losses == again.losses
    assert first.losses != other.losses


def test_the_seed_drives_dropout_too():
    batch = [line(0, torch.Generator().manual_seed(0))]
    a, b = (run(make_model(dropout=0.5), batch, seed=s) for s in (1, 2))
    assert a.losses != b.losses


def test_the_callers_random_state_is_left_alone():
    model = make_model(dropout=0.3)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    run(model, seed=11)
    assert torch.equal(torch.rand(4), expected)


def test_evaluating_does_not_change_the_training():
    def noisy(model):
        assert not model.training
        assert not torch.is_grad_enabled()
        return {"noise": torch.rand(()).item()}

    without = run(make_model(dropout=0.3))
    often = run(make_model(dropout=0.3), evaluate=noisy, every=1)
    assert without.losses == often.losses
    assert len({e["noise"] for e in often.evaluations}) == 1  # the same sample every time


def test_evaluations_come_every_n_updates_and_at_the_end():
    history = run(steps=25, evaluate=lambda model: {"one": 1}, every=10)
    assert [e["step"] for e in history.evaluations] == [10, 20, 25]
    frame = history.to_frame()
    assert frame["step"].tolist() == list(range(1, 26))
    assert frame.loc[frame["step"] == 20, "one"].item() == 1.0
    assert frame["one"].notna().sum() == 3


@pytest.mark.parametrize("training", [True, False])
def test_the_model_keeps_its_mode(training):
    model = make_model().train(training)
    run(model, evaluate=lambda model: {"x": 0.0})
    assert model.training is training


def test_checkpoints_are_copies_at_their_steps():
    model = make_model()
    start = {k: v.clone() for k, v in model.state_dict().items()}
    history = run(model, steps=20, checkpoints=[0, 10, 20])
    assert sorted(history.checkpoints) == [0, 10, 20]
    assert torch.equal(history.checkpoints[0]["0.weight"], start["0.weight"])
    assert torch.equal(history.checkpoints[20]["0.weight"], model[0].weight)
    assert not torch.equal(history.checkpoints[10]["0.weight"], model[0].weight)
    with torch.no_grad():
        model[0].weight.zero_()
    assert history.checkpoints[20]["0.weight"].abs().sum() > 0


def test_a_list_starts_again_and_an_iterator_must_last():
    batches = [line(s, torch.Generator().manual_seed(s)) for s in range(3)]
    seen = []
    run(batches=batches, loss=lambda m, b: seen.append(b[0]) or squares(m, b), steps=7)
    assert all(torch.equal(seen[i], batches[i % 3][0]) for i in range(7))
    with pytest.raises(ValueError, match="batches ended after 3"):
        run(batches=iter(batches), steps=7)
    with pytest.raises(ValueError, match="batches ended after 0"):
        run(batches=[], steps=7)


def test_the_time_budget_stops_cleanly(monkeypatch):
    clock = iter(range(0, 1000, 2))  # every reading is 2 s after the last: 2 s an update
    monkeypatch.setattr("frugal.training.time.perf_counter", lambda: float(next(clock)))
    history = run(steps=50, seconds=9.0, evaluate=lambda model: {"x": 1.0}, every=100)
    assert history.stopped == "seconds"
    assert history.steps == len(history.losses) == 5
    assert history.evaluations == [{"step": 5, "x": 1.0}]
    assert history.seconds == 10.0


def test_a_loss_that_is_not_finite_stops_and_keeps_the_weights():
    model = make_model()

    def explodes(model, batch):
        explodes.calls += 1
        return squares(model, batch) * (math.inf if explodes.calls == 4 else 1.0)

    explodes.calls = 0
    with pytest.raises(TrainingDiverged, match="the loss is inf at update 4") as caught:
        run(model, loss=explodes)
    assert caught.value.history.steps == 3
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_gradient_that_is_not_finite_stops_before_the_update():
    model = make_model()

    def root_of_zero(model, batch):
        return (model(batch[0]) * 0.0).sum().sqrt()

    with pytest.raises(TrainingDiverged, match="gradient's norm is nan at update 1"):
        run(model, loss=root_of_zero)
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"lr": math.nan}, "lr is nan"),
        ({"warmup": -1}, "warmup is -1"),
        ({"clip": 0.0}, "clip is 0.0"),
        ({"seconds": 0.0}, "seconds is 0.0"),
        ({"every": 0}, "every is 0"),
        ({"checkpoints": [31]}, "checkpoints has 31"),
        ({"checkpoints": ""}, "checkpoints is ''; it must be a list of updates"),
        ({"autocast": torch.float16}, "autocast is torch.float16"),
        ({"loss": lambda m, b: 1.0}, "loss returned float"),
        ({"loss": lambda m, b: m(b[0])}, r"loss returned \(32, 1\)"),
        ({"loss": lambda m, b: torch.tensor(1.0)}, r"loss returned \(\)"),
        ({"model": nn.ReLU()}, "model has no parameter"),
        ({"accumulate": 0}, "accumulate is 0; it must be a whole number, 1 or more"),
        ({"save_every": 0}, "save_every is 0"),
        ({"resume": "no/such"}, "resume is 'no/such'; it must be a file that save= wrote"),
        ({"resume": __file__}, "torch cannot read it"),
        ({"steps": 1.5}, "steps is 1.5; it must be a whole number"),
        ({"steps": "3"}, "steps is '3'; it must be a whole number"),
        ({"every": 1.5}, "every is 1.5; it must be a whole number"),
        ({"warmup": math.nan}, "warmup is nan; it must be a whole number"),
        ({"seed": "3"}, "seed is '3'; it must be a whole number"),
        ({"lr": "3"}, "lr is '3'; it must be a number"),
        ({"lr": math.inf}, "lr is inf"),
        ({"clip": "3"}, "clip is '3'; it must be a number"),
        ({"weight_decay": -1}, "weight_decay is -1; it must be 0 or more"),
        ({"betas": 0.9}, "betas is 0.9; it must be two numbers"),
        ({"betas": (0.9, 1.5)}, r"betas is \(0.9, 1.5\); it must be two numbers"),
        ({"checkpoints": ["x"]}, "checkpoints has 'x'"),
        ({"model": 3}, "model is 3; it must be a Module"),
        ({"loss": 3}, "loss is 3; it must be a function"),
        ({"evaluate": 3}, "evaluate is 3; it must be a function"),
        ({"callback": 3}, "callback is 3; it must be a function"),
        ({"batches": 3}, "batches is 3; it must be a list, a data loader, or"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        run(**options)


@pytest.mark.usefixtures("unchecked")
def test_checkpoints_are_a_list_of_updates():
    with pytest.raises(ValueError, match=r"checkpoints is 2; it must be a list of updates\.$"):
        run(checkpoints=2)


# --- stopping and going on ---------------------------------------------------------------------


class Stopped(Exception):
    pass


def until(steps: int):
    """A callback that ends the run after so many updates, as a power cut would."""

    def callback(history):
        if history.steps == steps:
            raise Stopped

    return callback


def examples() -> TensorDataset:
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(7))
    return TensorDataset(x, x.sum(1, keepdim=True))


SUPPLIES = {
    "a function": lambda: line,
    "a list": lambda: [line(s, torch.Generator().manual_seed(s)) for s in range(5)],
    "an iterator": lambda: itertools.cycle(
        [line(s, torch.Generator().manual_seed(s)) for s in range(5)]
    ),
    "a loader": lambda: DataLoader(examples(), batch_size=6),
    "a shuffled loader": lambda: DataLoader(examples(), batch_size=6, shuffle=True),
    "a loader with a generator": lambda: DataLoader(
        examples(), batch_size=6, shuffle=True, generator=torch.Generator().manual_seed(3)
    ),
}


def equal_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


@pytest.mark.parametrize("at", [1, 8, 12])  # in a round, at the end of one, behind others
@pytest.mark.parametrize("name", SUPPLIES)
def test_a_run_goes_on_as_if_it_had_not_stopped(name, at, tmp_path):
    options = {"steps": 20, "evaluate": lambda model: {"r": torch.rand(()).item()}, "every": 4}
    options |= {"checkpoints": [0, 6, 20], "weight_decay": 0.1}
    whole, stopped, fresh = (make_model(dropout=0.3) for _ in range(3))
    expected = run(whole, SUPPLIES[name](), **options)
    file = tmp_path / "folder" / "run.pt"
    with pytest.raises(Stopped):
        run(stopped, SUPPLIES[name](), save=file, save_every=1, callback=until(at), **options)
    with torch.no_grad():
        fresh[0].weight.zero_()  # what it begins with does not matter
    found = run(fresh, SUPPLIES[name](), resume=file, **options)
    assert found.losses == expected.losses
    assert found.learning_rates == expected.learning_rates
    assert found.evaluations == expected.evaluations
    assert found.steps == 20
    assert equal_weights(fresh, whole)
    for step, weights in expected.checkpoints.items():
        for key, value in weights.items():
            assert torch.equal(found.checkpoints[step][key], value)


class Drawing(nn.Module):
    """What draws random numbers of its own: by features that are drawn anew, and by a hash."""

    def __init__(self) -> None:
        super().__init__()
        config = TransformerConfig(5, 8, 2, 2, make_attend=self.attend)
        self.encoder = Encoder(config)

    @staticmethod
    def attend(index, config):
        if index:
            return LshAttention(4, 2, generator=torch.Generator().manual_seed(5))
        return KernelAttention(FavorFeatures(4, 8, redraw_every=2))

    def forward(self, ids):
        return self.encoder(ids)


def test_what_modules_draw_goes_on_too(tmp_path):
    def ids(step, generator):
        return torch.randint(5, (2, 9), generator=generator)

    def loss(model, batch):
        return model(batch).square().mean()

    made = []
    for _ in range(3):
        torch.manual_seed(1)
        made.append(Drawing())
    whole, stopped, fresh = made
    expected = run(whole, ids, loss, steps=8)
    file = tmp_path / "run.pt"
    with pytest.raises(Stopped):
        run(stopped, ids, loss, steps=8, save=file, save_every=5, callback=until(6))
    found = run(fresh, ids, loss, steps=8, resume=file, save=file)
    assert found.losses == expected.losses
    assert equal_weights(fresh, whole)
    again = run(made[1], ids, loss, steps=8, resume=file)  # it had ended: nothing is left to do
    assert again.losses == expected.losses
    assert equal_weights(made[1], whole)


def test_a_spent_budget_can_be_raised(tmp_path, monkeypatch):
    clock = itertools.count(0, 2)
    monkeypatch.setattr("frugal.training.time.perf_counter", lambda: float(next(clock)))
    file, whole, model = tmp_path / "run.pt", make_model(), make_model()
    expected = run(whole, steps=12)
    assert run(model, steps=12, seconds=9.0, save=file).stopped == "seconds"
    found = run(model, steps=12, resume=file)
    assert found.stopped == "steps"
    assert found.losses == expected.losses
    assert found.seconds == 24.0  # of both
    assert equal_weights(model, whole)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"steps": 31}, "steps is 31; it must be 30, with which the run in"),
        ({"lr": 0.5}, r"lr is 0\.5; it must be 0\.003"),
        ({"clip": None}, r"clip is None; it must be 1\.0"),
        ({"accumulate": 2}, "accumulate is 2; it must be 1"),
        ({"model": nn.Linear(3, 1)}, r"the model has 'weight'; it must be the model that"),
        (
            {"model": nn.Sequential(nn.Linear(3, 9), nn.Tanh(), nn.Tanh(), nn.Linear(9, 1))},
            r"0\.weight is \(9, 3\) torch.float32; it must be \(16, 3\) torch.float32, as in",
        ),
    ],
)
def test_another_run_is_refused(options, named, tmp_path):
    run(save=tmp_path / "run.pt")
    with pytest.raises(ValueError, match=named):
        run(**{"resume": tmp_path / "run.pt"} | options)


def test_the_file_is_one_that_torch_reads(tmp_path):
    model = make_model()
    run(model, save=tmp_path / "run.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]
    weights = torch.load(tmp_path / "run.pt")["model"]
    fresh = make_model(seed=4)
    fresh.load_state_dict(weights)
    assert equal_weights(fresh, model)
    torch.save({"other": 1}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"must be a file that save= wrote\.$"):
        run(resume=tmp_path / "other.pt")


@pytest.mark.usefixtures("unchecked")
def test_numbers_of_numpy_are_numbers(tmp_path):
    options = {"steps": np.int64(6), "lr": np.float64(1e-2), "seed": np.int64(3)}
    options |= {"weight_decay": np.float32(0.5), "clip": np.float64(1.0)}
    run(save=tmp_path / "run.pt", save_every=4, **options)
    expected = run(steps=6, lr=1e-2, seed=3, weight_decay=0.5)
    found = run(resume=tmp_path / "run.pt", **options)
    assert found.losses == expected.losses


KILLED = """
import os, signal, sys, torch
from frugal import checkpoints
from tests.test_training import line, make_model, run
slow, wrote = torch.save, []
def save(contents, file):
    wrote.append(1)
    if len(wrote) == 4:
        file.write(b"half of it")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    slow(contents, file)
torch.save = save
run(make_model(dropout=0.3), steps=12, save=sys.argv[1], save_every=2)
"""


def test_killed_while_it_writes_the_old_file_is_whole(tmp_path):
    file = tmp_path / "run.pt"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(file)], cwd=".", check=False)
    assert killed.returncode == -signal.SIGKILL
    assert checkpoints.read(file)["history"]["steps"] == 6
    whole, model = make_model(dropout=0.3), make_model(dropout=0.3)
    expected = run(whole, steps=12)
    found = run(model, steps=12, resume=file, save=file)
    assert found.losses == expected.losses
    assert equal_weights(model, whole)
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]  # what was left is used again


def test_killed_at_any_time_the_run_goes_on(tmp_path):
    file = tmp_path / "run.pt"
    code = (
        "import sys; from tests.test_training import make_model, run\n"
        "run(make_model(dropout=0.3), steps=600, save=sys.argv[1], save_every=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(file)])
    try:
        while not file.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    steps = checkpoints.read(file)["history"]["steps"]
    assert 1 <= steps < 600
    whole, model = make_model(dropout=0.3), make_model(dropout=0.3)
    expected = run(whole, steps=600, callback=None)
    found = run(model, steps=600, resume=file)
    assert found.losses == expected.losses
    assert equal_weights(model, whole)


def test_accumulated_batches_are_one_large_batch():
    batches = [line(s, torch.Generator().manual_seed(s)) for s in range(8)]
    pairs = [tuple(map(torch.cat, zip(*batches[i : i + 2], strict=True))) for i in range(0, 8, 2)]
    one, other = make_model(), make_model()
    found = run(one, batches, steps=4, accumulate=2)
    expected = run(other, pairs, steps=4)
    assert found.losses == pytest.approx(expected.losses, rel=1e-5)
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4)


def test_the_callback_is_told_every_update():
    seen = []
    run(
        steps=3,
        evaluate=lambda model: {"x": 1},
        every=2,
        callback=lambda h: seen.append((h.steps, len(h.losses), len(h.evaluations))),
    )
    assert seen == [(1, 1, 0), (2, 2, 1), (3, 3, 2)]


def test_autocast_computes_in_bfloat16():
    seen = []

    def loss(model, batch):
        y = model(batch[0])
        seen.append(y.dtype)
        return nn.functional.mse_loss(y.float(), batch[1])

    history = run(loss=loss, steps=3, autocast=torch.bfloat16)
    assert seen == [torch.bfloat16] * 3
    assert all(map(math.isfinite, history.losses))


def test_move_walks_every_container():
    @dataclasses.dataclass(frozen=True)
    class Pair:
        x: torch.Tensor
        name: str

    Named = namedtuple("Named", "a b")
    one = torch.ones(2)
    moved = move({"d": Pair(one, "p"), "n": Named(one, 3), "l": [one, (one,)]}, "meta")
    assert moved["d"].x.device.type == "meta"
    assert moved["d"].name == "p"
    assert isinstance(moved["n"], Named)
    assert moved["n"].a.device.type == "meta"
    assert moved["n"].b == 3
    assert moved["l"][1][0].device.type == "meta"
    assert one.device.type == "cpu"


@pytest.mark.parametrize("disabled", ["", "1"])
def test_the_progress_bar_can_be_switched_off_from_outside(disabled):
    """As the build of the site does, which sets the variable before a chapter begins."""
    code = (
        "import torch; from frugal.training import train; model = torch.nn.Linear(1, 1)\n"
        "train(model, [torch.ones(1, 1)], lambda m, x: m(x).sum(), steps=2)"
    )
    environment = os.environ | {"TQDM_DISABLE": disabled}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ("training" in done.stderr) is not bool(disabled)
    run(progress=False)


def test_a_drawing_without_altair_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(
        ImportError, match=r"altair is not .* pip install 'frugal-attention\[figures\]'"
    ):
        run(steps=2).plot()


def test_plot_shows_the_loss_and_each_metric():
    chart = run(evaluate=lambda model: {"accuracy": 0.5, "bits": 2.0}, every=10).plot().to_dict()
    assert "30 updates" in chart["description"]
    *_, evaluated = chart["layer"]
    rows = chart["datasets"][evaluated["data"]["name"]]
    assert {r["metric"] for r in rows} == {"accuracy", "bits"}
    assert chart["resolve"]["scale"]["y"] == "independent"
    assert "resolve" not in run().plot().to_dict()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_goes_on_on_cuda(tmp_path):
    options = {"steps": 12, "device": "cuda", "save": tmp_path / "run.pt", "save_every": 1}
    whole, stopped, fresh = (make_model(dropout=0.3) for _ in range(3))
    expected = run(whole, **options)
    with pytest.raises(Stopped):
        run(stopped, callback=until(7), **options)
    found = run(fresh, resume=tmp_path / "run.pt", **options)
    assert found.losses == expected.losses
    assert equal_weights(fresh, whole)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_trains_on_cuda():
    model = make_model()
    history = run(model, steps=200, lr=1e-2, device="cuda", autocast=torch.bfloat16)
    assert next(model.parameters()).is_cuda
    assert history.losses[-1] < history.losses[0]
