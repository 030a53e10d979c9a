"""The measurements for a GPU run from beginning to end on a CPU, so that they cannot rot."""

import json
import os
import re
import subprocess
import sys
import time

import pytest
import torch

from experiments.gpu import __main__ as command
from experiments.gpu import callables, correctness, graphs, speed, training, workers
from experiments.gpu.__main__ import PARTS, main
from experiments.gpu.racers import CAUSAL, racers
from experiments.gpu.report import REPOSITORY, Report
from experiments.gpu.subjects import attentions, mixers
from frugal import results, transfer
from frugal.measure import GpuAnswers, GpuSpeed
from tests import test_devices
from tests.experiments.jobs import work

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    """The folder of a small run, as a reader starts it, and the seconds of processor it took."""
    folder = tmp_path_factory.mktemp("gpu")
    before = os.times().children_user
    command = [sys.executable, "-m", "experiments.gpu", "--device", "cpu", "--smoke"]
    here = {"PYTHONPATH": os.pathsep.join((str(REPOSITORY / "lib"), str(REPOSITORY)))}
    done = subprocess.run(
        [*command, "--out", str(folder)],
        cwd=REPOSITORY,
        env=os.environ | here,
        capture_output=True,
        text=True,
        timeout=550,  # a minute where nothing else runs
    )
    assert done.returncode == 0, done.stderr
    return folder, os.times().children_user - before


@pytest.fixture(scope="module")
def folder(rehearsal):
    return rehearsal[0]


def test_a_rehearsal_takes_less_than_a_minute(rehearsal):
    assert 1 < rehearsal[1] < 60


@pytest.mark.parametrize("part", PARTS)
def test_every_part_writes_a_result_that_loads(folder, part):
    result = results.load(f"gpu_{part}", folder=folder)
    assert result.smoke
    assert set(result.made) > {"card", "torch", "fingerprint", "date", "command"}
    assert {run["setting"] for run in result.runs} == set(result.settings)
    assert "on one" in result.provenance


def test_every_subject_is_compared_with_float64(folder):
    result = results.load("gpu_correctness", folder=folder)
    assert len(result.runs) == len(correctness.names(smoke=True))
    assert all(run["values"]["held"] == 1 for run in result.runs)
    # gradients too, except where whole numbers come out
    large = [run for run in result.runs if correctness.CALL not in run["setting"]]
    asked = [run["values"] for run in large if "step by step" not in run["setting"]]
    written = [values for values in asked if not {"inputs", "weights"} & set(values)]
    assert len(written) == 3


def test_every_public_callable_is_called_with_the_same_numbers(folder):
    """On one device the numbers in float32 are those in float64, but for rounding."""
    runs = results.load("gpu_correctness", folder=folder).runs
    found = {
        run["setting"].removeprefix(f"float32 | {correctness.CALL}"): run["values"]
        for run in runs
        if correctness.CALL in run["setting"]
    }
    public = {f"{one.__module__}.{one.__qualname__}" for one in test_devices.CASES}
    assert set(found) == public | {f"frugal.transfer, {name}" for name in transfer.names()}
    wrong = {
        name: values
        for name, values in found.items()
        if not max(values["output"], values.get("weights", 0)) < 1e-3
    }
    assert not wrong
    assert sum("weights" in values for values in found.values()) > 100


def test_what_cannot_be_imported_is_said_and_left_out(monkeypatch, capsys):
    def missing(name):
        raise ModuleNotFoundError(f"No module named 'pandas', for {name}")

    monkeypatch.setattr(callables, "import_module", missing)
    callables.calls.cache_clear()
    try:
        jobs = [job for job in correctness.names(smoke=True) if correctness.CALL in job]
        [_, (job, values, _, error), *_] = workers.run(
            correctness.work, jobs, "cpu", processes=0, until=float("inf")
        )
    finally:
        callables.calls.cache_clear()
    assert not values
    assert error.startswith("ModuleNotFoundError: No module named 'pandas', for tests.")
    held = {"setting": "a", "values": {"held": 1}}
    assert command.summarise_correctness([held, {"setting": job, "values": {}, "error": error}])
    assert "left out, float32 | call: tests.attention.device_cases" in capsys.readouterr().out


def test_times_and_rates(folder):
    result = results.load("gpu_speed", folder=folder)
    timed = [run["values"] for run in result.runs if "forward seconds" in run["values"]]
    assert len(timed) > 20
    assert all(values.get("training seconds", 1) > 0 for values in timed)
    errors = {run["setting"]: run["error"] for run in result.runs if "error" in run}
    assert all("not installed" in name or "is not" in errors[name] for name in errors), errors


def test_compiled_numbers_are_the_same(folder):
    result = results.load("gpu_compile", folder=folder)
    assert len(result.runs) == 2 * len(graphs.FEW)  # with padding, too
    for run in result.runs:
        assert run["values"]["graphs"] >= 1
        assert run["values"]["gradients, second length"] < 1e-5


def test_each_attention_and_mixer_is_compiled_with_padding_too():
    jobs = [job.removesuffix(" | full") for job in graphs.names(smoke=False)]
    alone = [name for name in jobs if not name.endswith(graphs.PADDED)]
    assert jobs == [*alone, *(name + graphs.PADDED for name in alone)]
    assert set(alone) == set(attentions(45)) | set(mixers(45))


def test_a_model_trains_alike_on_two_devices(folder):
    runs = results.load("gpu_training", folder=folder).runs
    assert training.verdict(runs)["largest distance"] == 0  # here both are the CPU


def test_an_error_is_seen():
    """A card that gives other numbers does not hold."""
    job = next(job for job in correctness.names(smoke=True) if "softmax: causal |" in job)
    right = correctness.outcome
    wrong = pytest.MonkeyPatch()

    def off(module, given, options, device, dtype):
        out, inputs, weights = right(module, given, options, device, dtype)
        if dtype is torch.float32:
            inputs = [1.01 * one for one in inputs]
        return out, inputs, weights

    assert correctness.work(job, "cpu")["held"] == 1
    wrong.setattr(correctness, "outcome", off)
    values = correctness.work(job, "cpu")
    wrong.undo()
    assert values["inputs"] == pytest.approx(0.01, rel=0.01)


def test_nan_does_not_hold():
    nan = [torch.full((2,), torch.nan)]
    assert not correctness.error(nan, [torch.ones(2, dtype=torch.float64)]) <= 1


def test_one_bad_job_ends_neither_the_part_nor_the_others():
    jobs = ["one", "fails", "dies", "three"]
    until = time.monotonic() + 60
    found = {}
    for name, values, _, error in workers.run(work, jobs, "cpu", processes=2, until=until):
        found[name] = values, error
    assert found["one"] == ({"length": 3.0}, None)
    assert found["three"] == ({"length": 5.0}, None)
    assert found["fails"][1].startswith("ValueError: no number.")
    assert found["dies"][1] == "its process died"
    assert time.monotonic() < until


def test_a_part_that_fails_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    def broken(smoke):
        raise RuntimeError("no names")

    monkeypatch.setattr(correctness, "names", broken)
    monkeypatch.setattr(training, "names", lambda smoke: [])
    given = ["correctness", "training", "--device", "cpu", "--smoke", "--out", str(tmp_path)]
    assert main(given) == 1
    assert "no names" in capsys.readouterr().err
    for part in ("correctness", "training"):
        assert json.loads((tmp_path / f"gpu_{part}.json").read_text())["runs"] == []


def test_more_keeps_what_the_same_code_has_measured(tmp_path):
    def report(folder=tmp_path):
        return Report("gpu_trial", "What?", folder=folder, device=CPU, smoke=True)

    first = report()
    first.add("one", {"racer": "one"}, {"number": 1.0}, seconds=0.1)
    first.add("two", {"racer": "two"}, {}, seconds=0.1, error="no time left")
    first.write()
    again = report()
    again.go_on()
    assert again.has("one")
    assert not again.has("two")
    assert list(again.result["settings"]) == ["one"]
    changed = first.result | {"made": first.result["made"] | {"fingerprint": "of other code"}}
    (tmp_path / "gpu_trial.json").write_text(json.dumps(changed))
    other = report()
    other.go_on()
    assert not other.has("one")
    nothing = report(tmp_path / "not there")
    nothing.go_on()
    assert not nothing.result["runs"]


def test_every_method_that_a_speed_section_names_is_timed():
    known = set(racers()) | {
        *("fla linear, causal", "adasplash, causal"),
        *(f"Hugging Face {name} layer" for name in ("Longformer", "Reformer", "FNet")),
    }
    for path in (REPOSITORY / "chapters").rglob("*.md"):
        for call in re.findall(r"GpuSpeed\(([^)]*)\)", path.read_text()):
            names = set(re.findall(r'"([^"]*)"', call))
            assert names <= known, f"{path.name}: {names - known}"


def test_each_speed_section_has_a_place_for_a_gpu():
    """With the racers' numbers from the file, or the sentence that there are none yet."""
    without = []
    for path in (REPOSITORY / "chapters").glob("[0-9]*/*.md"):
        _, heading, rest = path.read_text().partition("\n## Speed")
        section = rest.partition("\n## ")[0]
        if heading and not ("= GpuSpeed(" in section and ".draw()" in section):
            without.append(path.name)
    assert not without


def test_a_rehearsal_has_no_limit_and_a_late_job_is_no_wrong_one(tmp_path, monkeypatch, capsys):
    given, held = {}, {"setting": "a", "values": {"held": 1}}

    def run_part(part, folder, device, **options):
        given[part] = options["until"]
        return True

    monkeypatch.setattr(command, "run_part", run_part)
    assert main(["--device", "cpu", "--smoke", "--out", str(tmp_path)]) == 0
    assert list(given) == list(PARTS)
    assert set(given.values()) == {float("inf")}
    late = {"setting": "b", "values": {}, "error": f"not begun: {workers.NO_TIME}"}
    capsys.readouterr()
    assert command.summarise_correctness([held, late])
    assert capsys.readouterr().out.split("\n")[:2] == [
        "  1 were not reached in the time given",
        "1 of 1 cases hold",
    ]
    assert not command.summarise_correctness([held, {"setting": "c", "values": {"held": 0}}])


def test_what_time_did_not_allow_is_said():
    [(_, values, _, error)] = workers.run(work, ["one"], "cpu", processes=0, until=0.0)
    assert not values
    assert "no time" in error


def test_a_result_is_whole_before_it_is_complete(tmp_path):
    report = Report("gpu_trial", "What?", folder=tmp_path, device=CPU, smoke=True)
    report.add("first", {}, {"number": 1.0, "none": float("nan")}, seconds=0.1)
    path = report.write()
    report.add("second", {}, {}, seconds=0.1, error="no.")
    assert json.loads(path.read_text())["runs"][0]["values"] == {"number": 1.0, "none": None}
    report.write()
    assert results.load("gpu_trial", folder=tmp_path).runs[1]["error"] == "no."


def test_a_speed_section_shows_what_was_measured(folder):
    speed_of = GpuSpeed("window, causal", "strided", folder=folder)
    assert speed_of.measured
    frame = speed_of.frame("forward")
    runs = {run["setting"]: run["values"] for run in results.load("gpu_speed", folder=folder).runs}
    mine, fused = (runs[f"{name} | 256"]["forward seconds"] for name in ("strided", CAUSAL))
    row = frame[frame["name"] == "strided"].iloc[0]
    assert row["ratio"] == pytest.approx(mine / fused)
    assert row["seconds"] == mine
    assert list(speed_of.table()[""]) == ["window, causal", "strided"]
    assert "window, causal" in speed_of._repr_html_()
    assert speed_of.draw() is None  # a single length makes no line
    assert GpuSpeed("strided", "ring", folder=folder).missing == ("ring",)


def test_the_appendix_tells_what_a_run_found(folder):
    text = str(GpuAnswers(folder=folder))
    assert "comparisons with the CPU's 64-bit numbers held" in text
    assert text.count("A smoke run, its numbers mean nothing.") == len(PARTS)


def test_a_speed_section_says_that_nothing_was_measured(tmp_path):
    nothing = GpuSpeed("window, causal", folder=tmp_path)
    assert not nothing.measured
    assert str(nothing).startswith("Not measured on a GPU yet")
    assert "Not measured on a GPU yet" in nothing._repr_html_()
    with pytest.raises(ValueError, match="Not measured"):
        nothing.frame()


def test_lengths_reach_from_512_to_65536():
    assert (min(speed.LENGTHS), max(speed.LENGTHS)) == (512, 65536)
    assert all(speed.TOKENS % length == 0 for length in speed.LENGTHS)
    jobs = [job.split(" | ") for job in speed.names(smoke=False)]
    at = {length for name, length, _ in jobs if name == CAUSAL}
    assert at == {str(length) for length in speed.LENGTHS}
    kernels = [job for job in speed.compiled(smoke=False) if job.startswith("strided |")]
    assert len(kernels) == len(speed.MAIN)


def test_a_message_keeps_no_path_of_the_machine(tmp_path):
    report = Report("gpu_x", "Q?", folder=tmp_path, device=torch.device("cpu"), smoke=True)
    where = "/" + "opt/torch/lib/compile.py"
    report.add("a", {}, {}, seconds=0.1, error=f"OSError: {where}, line 3: a/b is no file")
    (run,) = report.result["runs"]
    assert run["error"] == "OSError: compile.py, line 3: a/b is no file"


@pytest.mark.parametrize("minutes", ["nan", "0", "-1"])
def test_minutes_are_an_amount(minutes, capsys):
    """With none of them every part would end before it has begun, and nothing would say why."""
    with pytest.raises(SystemExit):
        main(["--device", "cpu", "--smoke", "--minutes", minutes])
    assert f"{minutes!r} is no amount; it must be a number above 0" in capsys.readouterr().err
