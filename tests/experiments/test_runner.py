import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from frugal import results

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from experiments import __main__ as command_line  # noqa: E402
from experiments import checking, runner, writing  # noqa: E402
from tests.experiments.small import small  # noqa: E402

FAKE = '''"""What is asked here?

Nothing is trained.
"""
import os, time
from pathlib import Path


def settings():
    return {"small": {"n": 1}, "large": {"n": 10}}


def run(setting, seed, smoke):
    with open(Path(__file__).parents[1] / "calls.txt", "a") as calls:
        calls.write(f"{setting['n']} {seed} {smoke}\\n")
    time.sleep(float(os.environ.get("FAKE_SECONDS", 0)))
    if os.environ.get("FAKE_FAILS") == f"{setting['n']}-{seed}":
        raise ArithmeticError("it went wrong")
    return {"value": setting["n"] + seed / 10, "process": os.getpid(), "curve": [seed, [1.5]],
            "threads": int(os.environ.get("OMP_NUM_THREADS", 0)), "bad": float("nan")}
'''


@pytest.fixture
def checkout(tmp_path):
    """A repository of its own, with the real runner and one experiment that takes no time."""
    package = tmp_path / "experiments"
    package.mkdir()
    for path in (ROOT / "experiments").glob("*.py"):
        shutil.copy(path, package)
    (package / "layers").mkdir()
    (package / "layers" / "fake.py").write_text(FAKE)
    (package / "calls.txt").touch()
    (tmp_path / "constraints.txt").write_text("torch==2\n")
    return tmp_path


def command(checkout: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "experiments", *arguments],
        cwd=checkout,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(checkout: Path, *arguments: str, fails: bool = False, **environment: str) -> str:
    """What the command said; on the error stream if it is to fail."""
    process = command(checkout, *arguments, **environment)
    out, err = process.communicate(timeout=120)
    assert (process.returncode == 1) is fails, out + err
    if fails:
        assert "Traceback" not in err
    return err if fails else out


def calls(checkout: Path) -> list[str]:
    return (checkout / "experiments" / "calls.txt").read_text().splitlines()


def recorded(checkout: Path, name: str = "fake") -> results.Result:
    return results.load(name, folder=checkout / "experiments" / "results")


def test_a_result_says_what_it_gave_and_where_it_came_from(checkout):
    subprocess.run(["git", "init", "-q"], cwd=checkout, check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "add", "experiments/layers/fake.py"], cwd=checkout, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "a"], cwd=checkout, check=True)
    out = run(checkout, "run", "fake", "--seeds", "3", "--jobs", "2")
    assert "fake.json" in out
    result = recorded(checkout)
    assert result.question == "What is asked here?"
    assert result.settings == {"small": {"n": 1}, "large": {"n": 10}}
    assert not result.smoke

    frame = result.frame()
    values = frame[frame["metric"] == "value"].set_index(["setting", "seed"])["value"]
    assert values.to_dict() == {
        ("small", 0): 1.0, ("small", 1): 1.1, ("small", 2): 1.2,
        ("large", 0): 10.0, ("large", 1): 10.1, ("large", 2): 10.2,
    }  # fmt: skip
    assert set(frame["metric"]) == {"value", "process", "threads", "bad"}
    assert frame.loc[frame["metric"] == "bad", "value"].isna().all()
    table = result.mean_std("value")
    assert table.index.tolist() == ["small", "large"]
    assert table.loc["large"].tolist() == pytest.approx([10.1, 0.1, 3])
    told = result.table({"value": "what", "threads": "with"}, {"large": "L"}, form={"threads": "g"})
    assert told.loc["L"].to_dict() == {"what": "10.10 ± 0.10", "with": "1"}
    shares = result.table({"value": "k"}, form=".0%", scale={"value": 10.0})
    assert shares["k"].to_dict() == {"small": "11% ± 1%", "large": "101% ± 1%"}
    assert result.best("value") == {"small": "small", "large": "large"}
    assert result.best("value", lambda name: "one arm") == {"one arm": "large"}
    assert result.best("value", lambda name: "one arm", lowest=True) == {"one arm": "small"}
    with pytest.raises(ValueError, match="rows has 'huge'; 'fake' has"):
        result.table({"value": "what"}, {"huge": "H"})
    assert result.values("curve")["small"] == [[0, [1.5]], [1, [1.5]], [2, [1.5]]]
    assert set(result.values("threads")["small"]) == {1}
    assert os.getpid() not in result.values("process")["small"]

    commit = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=checkout, capture_output=True, text=True
    ).stdout.strip()
    # the copied runner is not in that commit
    assert {r["commit"] for r in result.runs} == {f"{commit} with changes"}
    for part in ("3 seeds", "torch 2.", "Python 3.", commit, "run fake --seeds 3"):
        assert part in result.provenance
    assert "<code>python -m experiments run fake --seeds 3</code>" in result._repr_html_()
    folder = checkout / "experiments" / "results"
    assert [path.name for path in folder.iterdir()] == ["fake.json"]

    shown = run(checkout, "show", "fake")
    assert "What is asked here?" in shown
    assert "10.1" in shown
    listed = run(checkout, "list")
    assert "fake: What is asked here?\n    2 settings. Recorded on 20" in listed


def test_a_curve_is_one_row_a_point():
    runs = [
        {"setting": "a", "seed": seed, "values": {
            "pairs": [[10, 0.1 * seed], [20, 0.5]], "curve": [0.1 * seed, 0.5], "moments": [10, 20],
        }}
        for seed in (1, 0)
    ]  # fmt: skip
    result = results.Result("fake", "What?", {"a": {}}, runs, {})
    points = result.curve("pairs")
    assert points["at"].tolist() == [10, 20, 10, 20]
    assert points["seed"].tolist() == [0, 0, 1, 1]
    assert points["value"].tolist() == [0.0, 0.5, 0.1, 0.5]
    assert result.curve("curve", at="moments").equals(points)
    with pytest.raises(ValueError, match="metric is 'loss'"):
        result.curve("loss")


def test_told_is_a_mean_with_its_spread_where_there_is_one():
    assert results.told([0.9, 1.0, 1.1]) == "1.00 ± 0.10"
    assert results.told([1, 1, 1], ".0%") == results.told([1], ".0%") == "100%"


def test_a_killed_run_goes_on_where_it_was(checkout):
    process = command(checkout, "run", "fake", "--seeds", "4", "--jobs", "1", FAKE_SECONDS="0.6")
    partial = checkout / "experiments" / "results" / "fake.partial.jsonl"
    while not (partial.exists() and len(partial.read_text().splitlines()) >= 3):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (partial.parent / "fake.json").exists()
    finished = len(partial.read_text().splitlines()) - 1
    assert 2 <= finished < 8
    begun = len(calls(checkout))

    lines = partial.read_text().splitlines()
    lines[1] = lines[1][:20]  # one of them was damaged since
    partial.write_text("\n".join(lines) + "\n")
    run(checkout, "run", "fake", "--seeds", "4", "--jobs", "1")
    assert len(calls(checkout)) - begun == 8 - finished + 1
    assert len(recorded(checkout).runs) == 8
    assert not partial.exists()


@pytest.fixture
def here(checkout, monkeypatch):
    """The same checkout inside this process, for what needs no command line."""
    package = checkout / "experiments"
    monkeypatch.setattr(runner, "FOLDER", package)
    monkeypatch.setattr(runner, "RESULTS", package / "results")
    monkeypatch.setattr("experiments.__path__", [str(package)])
    for name in ("experiments.layers", "experiments.layers.fake"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield checkout
    for name in ("experiments.layers", "experiments.layers.fake"):
        sys.modules.pop(name, None)


def test_a_failing_job_is_named_and_the_others_are_kept(here, monkeypatch):
    monkeypatch.setenv("FAKE_FAILS", "10-1")
    with pytest.raises(
        runner.ExperimentError, match=r"'fake', setting 'large', seed 1 failed: Arith.*went wrong"
    ):
        runner.record("fake", seeds=2, progress=False)
    assert len(calls(here)) == 4
    monkeypatch.delenv("FAKE_FAILS")
    runner.record("fake", seeds=2, progress=False)
    assert calls(here)[4:] == ["10 1 False"]
    assert len(recorded(here).runs) == 4


def test_other_code_starts_anew_and_loses_nothing(here, monkeypatch, capsys):
    monkeypatch.setenv("FAKE_FAILS", "10-0")
    with pytest.raises(runner.ExperimentError):
        runner.record("fake", seeds=1, progress=False)
    monkeypatch.delenv("FAKE_FAILS")
    (here / "experiments" / "layers" / "fake.py").write_text(FAKE + "\nCHANGED = 1\n")
    sys.modules.pop("experiments.layers.fake")
    runner.record("fake", seeds=1, progress=False)
    assert "fake.partial.jsonl is of other code or damaged" in capsys.readouterr().err
    assert len(calls(here)) == 4
    aside = here / "experiments" / "results" / "fake.old.partial.jsonl"
    assert '"setting": "small"' in aside.read_text()
    # what a second change leaves behind takes no first one's place
    aside.with_name("fake.partial.jsonl").write_text("rubbish\n")
    runner.record("fake", seeds=1, progress=False)
    assert '"setting": "small"' in aside.read_text()
    assert aside.with_name("fake.old2.partial.jsonl").read_text() == "rubbish\n"


def stopped(here, monkeypatch) -> dict:
    """Three of four jobs are done, and kept as a result; what it holds."""
    monkeypatch.setenv("FAKE_FAILS", "10-1")
    with pytest.raises(runner.ExperimentError):
        runner.record("fake", seeds=2, progress=False)
    monkeypatch.delenv("FAKE_FAILS")
    return json.loads(runner.keep("fake", seeds=2).read_text())


def test_what_is_finished_is_kept_as_a_result_and_gone_on_from(here, monkeypatch):
    """A fresh checkout has what is committed, and no partial file."""
    kept = stopped(here, monkeypatch)
    assert len(kept["runs"]) == 3
    assert kept["missing"] == recorded(here).missing == 1
    said = recorded(here).provenance
    assert "1 to 2 seeds, " in said
    assert "(1 of 4 runs to come)" in said
    assert recorded(here).mean_std("value")["n"].to_dict() == {"small": 2, "large": 1}
    (here / "experiments" / "results" / "fake.partial.jsonl").unlink()
    (here / "experiments" / "layers" / "other.py").write_text('"""Nothing to do with it."""\n')
    before = len(calls(here))
    runner.record("fake", seeds=2, progress=False)
    assert calls(here)[before:] == ["10 1 False"]
    assert recorded(here).missing == 0
    assert recorded(here).runs[:3] == kept["runs"]
    before = len(calls(here))
    runner.record("fake", seeds=2, progress=False)  # a whole one is recorded anew
    assert len(calls(here)) == before + 4


def test_kept_runs_of_other_code_are_not_mixed_in(here, monkeypatch, capsys):
    kept = stopped(here, monkeypatch)
    (here / "experiments" / "layers" / "fake.py").write_text(FAKE.replace("/ 10", "/ 5"))
    sys.modules.pop("experiments.layers.fake")
    before = len(calls(here))
    with pytest.raises(runner.ExperimentError, match="nothing of 'fake' is finished that this"):
        runner.keep("fake", seeds=2)
    assert json.loads((here / "experiments" / "results" / "fake.json").read_text()) == kept
    runner.record("fake", seeds=2, progress=False)
    assert "fake.json has 3 runs of other code: they are not taken over" in capsys.readouterr().err
    assert len(calls(here)) == before + 4
    assert len({run["fingerprint"] for run in recorded(here).runs}) == 1


def test_an_experiment_may_ask_for_more_seeds_and_say_what_it_reads(here):
    more = """
SMOKE = ("large",)
def seeds():
    return {"large": 3}
def data():
    return {"versions": {"a": "1"}}
"""
    (here / "experiments" / "layers" / "fake.py").write_text(FAKE + more)
    runner.record("fake", seeds=2, progress=False)
    ran = [f"{run['setting']} {run['seed']}" for run in recorded(here).runs]
    assert ran == ["small 0", "large 0", "small 1", "large 1", "large 2"]
    assert recorded(here).data == {"versions": {"a": "1"}}
    assert recorded(here).missing == 0
    smoke = runner.record("fake", seeds=1, smoke=True, progress=False)
    assert list(results.load("fake", folder=smoke.parent).settings) == ["large"]


def test_a_partial_file_of_rubbish_starts_anew(here, capsys):
    folder = here / "experiments" / "results"
    folder.mkdir()
    (folder / "fake.partial.jsonl").write_bytes(b"\xff\x00 rubbish\n{}\n")
    runner.record("fake", seeds=1, progress=False)
    assert "damaged" in capsys.readouterr().err
    assert len(recorded(here).runs) == 2


def test_a_recorded_result_survives_smoke_runs_and_failures(here, monkeypatch):
    path = runner.record("fake", seeds=1, progress=False)
    before = path.read_bytes()
    smoke = runner.record("fake", seeds=1, smoke=True, progress=False)
    assert smoke.parent != path.parent
    assert results.load("fake", folder=smoke.parent).smoke
    assert "numbers mean nothing" in results.load("fake", folder=smoke.parent).provenance
    assert calls(here)[-1] == "10 0 True"
    with pytest.raises(runner.ExperimentError, match="smoke run does not go to"):
        runner.record("fake", smoke=True, folder=path.parent)
    monkeypatch.setattr(writing.os, "replace", lambda *_: 1 / 0)  # the disk is full
    with pytest.raises(ZeroDivisionError):
        runner.record("fake", seeds=1, progress=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ('"""Q."""\ndef settings(): return {"a": {}}\n', r"no function run\(\)"),
        ('"""Q."""\ndef run(setting, seed, smoke): return {}\n', r"no function settings\(\)"),
        (FAKE[FAKE.index("import") :], "has no docstring"),
        (FAKE.replace('return {"value"', 'return None; {"value"'), "gave NoneType"),
        (FAKE.replace("os.getpid()", "'x'"), "process is str"),
    ],
)
def test_what_is_no_experiment_is_refused(here, source, named):
    (here / "experiments" / "layers" / "fake.py").write_text(source)
    with pytest.raises(runner.ExperimentError, match=named):
        runner.record("fake", seeds=1, progress=False)


def test_errors_are_one_sentence(checkout):
    assert "no experiment 'none'; there are: fake" in run(checkout, "run", "none", fails=True)
    said = run(checkout, "show", "fake", fails=True)
    assert "run python -m experiments run fake" in said
    assert "seeds is 0" in run(checkout, "run", "fake", "--seeds", "0", fails=True)


def test_a_dask_cluster_does_the_work(checkout, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.syspath_prepend(checkout)  # workers on this machine take it over
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        run(checkout, "run", "fake", "--seeds", "3", "--scheduler", address, FAKE_SECONDS="0.1")
        workers = {worker.pid for worker in cluster.workers.values()}
    processes = recorded(checkout).values("process")
    assert set(processes["small"] + processes["large"]) <= workers
    assert len(recorded(checkout).runs) == 6
    said = run(checkout, "run", "fake", "--scheduler", "tcp://127.0.0.1:1", fails=True)
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in said


def test_chapters_find_results_from_below(here, monkeypatch):
    path = runner.record("fake", seeds=1, progress=False)
    below = here / "chapters" / "1-foundations"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    monkeypatch.delenv("FRUGAL_RESULTS", raising=False)
    assert results.load("fake").name == "fake"
    with pytest.raises(results.MissingResult, match="run python -m experiments run other in"):
        results.load("other")
    monkeypatch.setenv("FRUGAL_RESULTS", str(below))
    with pytest.raises(results.MissingResult, match=r"1-foundations/fake\.json"):
        results.load("fake")
    shutil.copy(path, below)
    assert results.load("fake").runs
    monkeypatch.delenv("FRUGAL_RESULTS")
    shutil.rmtree(here / "experiments" / "results")
    with pytest.raises(results.MissingResult, match="no folder experiments/results"):
        results.load("fake")


def test_a_metric_that_was_read_at_several_moments(tmp_path):
    provenance = {"seconds": 1.0, "processor": "p", "commit": "c", "fingerprint": "f"}
    listed = [{"moments": [5, 9], "curve": [0.1, n]} for n in (0.2, 0.4)]
    paired = [{"curve": [[5, 0.3]]}]
    runs = [
        {"setting": setting, "seed": seed, "values": values, **provenance}
        for setting, several in (("listed", listed), ("paired", paired))
        for seed, values in enumerate(several)
    ]
    made = {"command": "make", "date": "2026-01-01", "torch": "2", "python": "3"}
    result = results.Result("fake", "What?", {"listed": {}, "paired": {}}, runs, made)
    assert result.curve("curve").iloc[[1, -1]].to_numpy().tolist() == [
        ["listed", 0, 9, 0.2],
        ["paired", 0, 5, 0.3],
    ]
    assert result.mean_std("curve", at=5)["mean"].to_dict() == {"listed": 0.1, "paired": 0.3}
    assert result.mean_std("curve", at=9).loc["listed"].tolist() == pytest.approx(
        [0.3, 0.02**0.5, 2]
    )
    told = result.table({("curve", 5): "early", ("curve", 9): "late"}, form={("curve", 5): ".0%"})
    assert told["early"].to_dict() == {"listed": "10%", "paired": "30%"}
    assert told["late"].to_dict() == {"listed": "0.30 ± 0.14", "paired": ""}
    with pytest.raises(ValueError, match=r"at is 7; 'fake' has 'curve' after \[5, 9\]"):
        result.mean_std("curve", at=7)
    with pytest.raises(ValueError, match="metric is 'curve'; 'fake' does not tell where"):
        dataclasses.replace(result, runs=[{**runs[0], "values": {"curve": [0.1]}}]).curve("curve")
    with pytest.raises(ValueError, match=r"metric is 'none'; 'fake' has \['curve', 'moments'\]"):
        result.curve("none")


def test_results_that_cannot_be_read_or_lack_a_metric(here):
    path = runner.record("fake", seeds=1, progress=False)
    result = recorded(here)
    with pytest.raises(ValueError, match=r"metric is 'curve'; 'fake' has the numbers \['bad'"):
        result.mean_std("curve")
    with pytest.raises(ValueError, match="metric is 'none'"):
        result.values("none")
    assert result.mean_std("value")["std"].isna().all()  # one seed has no spread
    assert isinstance(result.frame()["value"].dtype, type(pd.Series([1.0]).dtype))
    for damaged in ("{", "[]", '{"name": "fake"}'):
        path.write_text(damaged)
        with pytest.raises(ValueError, match=r"cannot be read .*: make it again with python"):
            recorded(here)


def test_a_run_carries_the_fingerprint_of_what_made_it(here):
    """The experiment, what it imports from the repository, and the pins: each changes it."""
    runner.record("fake", seeds=1, progress=False)
    (before,) = {run["fingerprint"] for run in recorded(here).runs}
    assert before == runner.fingerprint_of("fake")
    for path, text in [
        ("constraints.txt", "torch==3\n"),
        ("experiments/layers/helper.py", "ANSWER = 1\n"),
        ("experiments/layers/fake.py", FAKE + "\nfrom experiments.layers import helper\n"),
        ("experiments/layers/helper.py", "ANSWER = 2\n"),
    ]:
        earlier = runner.fingerprint_of("fake")
        (here / path).write_text(text)
        changed = path != "experiments/layers/helper.py" or "2" in text
        assert (runner.fingerprint_of("fake") != earlier) is changed
    earlier = runner.fingerprint_of("fake")
    (here / "experiments/layers/helper.py").write_text('"""Words."""\n# and more\nANSWER = 2\n')
    assert runner.fingerprint_of("fake") == earlier


def test_list_says_which_results_other_code_made_and_check_compares(checkout):
    run(checkout, "run", "fake", "--seeds", "2", "--jobs", "1")
    assert "Made by the code of this tree." in run(checkout, "list")
    fake = checkout / "experiments" / "layers" / "fake.py"
    fake.write_text(FAKE + "\nMORE = 1\n")
    assert "Made by other code, never checked since: python -m experiments check" in run(
        checkout, "list"
    )
    fake.write_text(FAKE.replace('"process": os.getpid(), ', ""))
    run(checkout, "run", "fake", "--seeds", "2", "--jobs", "1")
    fake.write_text(fake.read_text() + "\nMORE = 1\n")
    run(checkout, "check", "fake", "--setting", "small")
    told = run(checkout, "list")
    assert "seed 0 of 1 of 2 settings: held with" in told
    assert "Not known to fit the code of this tree: fake." in told  # not by that alone
    said = run(checkout, "check", "fake", "--seed", "1")
    # a missing number stays missing
    assert "8 of 8 numbers are what is recorded, 8 of them to the last digit" in said
    assert "held with the code of this tree" in run(checkout, "list")
    fake.write_text(fake.read_text().replace("seed / 10", "seed / 2"))
    assert "held, but the code has changed since" in run(checkout, "list")
    run(checkout, "check", "fake", "--seed", "1", "--setting", "small", fails=True)
    assert "NOT held (apart by 0.36)" in run(checkout, "list")
    assert "Not known to fit the code of this tree: fake." in run(checkout, "list")
    assert "not recorded" in run(checkout, "check", "fake", "--seed", "9", fails=True)


FEW = 'return {"value": setting["n"] + seed / 10, "curve": [seed, [1.5]]}'


def of_few(here, **changes: str) -> runner.ModuleType:
    """The fake with fewer metrics, changed by hand and imported anew."""
    text = FAKE[: FAKE.index('return {"value"')] + FEW
    for old, new in changes.values():
        text = text.replace(old, new)
    (here / "experiments" / "layers" / "fake.py").write_text(text + "\n")
    sys.modules.pop("experiments.layers.fake", None)
    return runner.module_of("fake")


def test_check_compares_every_metric_within_what_the_experiment_states(here):
    of_few(here)
    runner.record("fake", seeds=1, progress=False)
    module = of_few(here, change=("[1.5]", "[1.6]"))

    def apart() -> dict[str, bool]:
        table = checking.check("fake", settings=["small"], progress=False)
        return dict(zip(table["metric"], table["held"], strict=True))

    assert apart() == {"value": True, "curve": False}  # 0.1 of 1.5
    module.TOLERANCE = {"cur*": 0.1}
    assert apart() == {"value": True, "curve": True}
    module.TOLERANCE = {"cur*": float("inf")}
    assert apart() == {"value": True}
    of_few(here, change=('"curve"', '"other"'))
    assert apart() == {"value": True, "curve": False, "other": False}
    of_few(here, change=("[seed, [1.5]]", "[seed]"))
    assert apart() == {"value": True, "curve": False}


def test_what_is_empty_or_missing_in_both_runs_is_the_same(here):
    of_few(here, change=("[seed, [1.5]]", "[], 'none': float('nan')"))
    runner.record("fake", seeds=1, progress=False)
    assert checking.check("fake", progress=False)["held"].all()
    of_few(here, change=("[seed, [1.5]]", "[]"))
    table = checking.check("fake", settings=["small", "small"], progress=False)
    assert dict(zip(table["metric"], table["held"], strict=True)) == {
        "value": True,
        "curve": True,
        "none": False,
    }


def test_check_says_that_only_times_are_there(here):
    of_few(here, change=(FEW, 'return {"seconds": 1.0}'))
    runner.record("fake", seeds=1, progress=False)
    with pytest.raises(ValueError, match="no number that a second run repeats: only times"):
        checking.check("fake", progress=False)


@pytest.mark.parametrize("seconds", ["nan", "inf", "0", "-1", "long"])
def test_patience_is_a_time(capsys, seconds):
    """Of no number it could not be said when it has ended."""
    with pytest.raises(SystemExit):
        command_line.main(["run", "fake", f"--patience={seconds}"])
    assert f"'{seconds}' is no amount; it must be a number above 0" in capsys.readouterr().err


def test_list_goes_on_behind_what_cannot_be_read(checkout):
    run(checkout, "run", "fake", "--seeds", "1", "--jobs", "1")
    results_of = checkout / "experiments" / "results"
    whole = json.loads((results_of / "fake.json").read_text())
    (results_of / "bench_a.json").write_text("{")
    (results_of / "bench_b.json").write_text(json.dumps(whole | {"runs": []}))
    layers = checkout / "experiments" / "layers"
    (layers / "aa.py").write_text('"""A question?"""\nimport nowhere_to_be_found\n')
    (layers / "bb.py").write_text(FAKE)
    (results_of / "bb.json").write_bytes(b"\xff")
    said = run(checkout, "list")
    assert "aa: ModuleNotFoundError: No module named 'nowhere_to_be_found'" in said
    assert "Made by the code of this tree." in said
    assert said.count("It cannot be read: ") == 3
    assert "Not known to fit the code of this tree: bb, bench_a, bench_b." in said


def test_check_refuses_a_setting_that_is_another_now(here):
    of_few(here)
    runner.record("fake", seeds=1, progress=False)
    of_few(here, change=('"n": 10', '"n": 11'))
    checking.check("fake", settings=["small"], progress=False)
    with pytest.raises(
        ValueError, match=r"'large' is \{'n': 11\}; it must be what is recorded, \{"
    ):
        checking.check("fake", progress=False)


def test_list_names_benches_that_other_code_made(checkout):
    bench = checkout / "experiments" / "bench"
    bench.mkdir()
    (bench / "fake.py").write_text('"""Which is faster?"""\n')
    run(checkout, "run", "fake", "--seeds", "1", "--jobs", "1")
    folder = checkout / "experiments" / "results"
    result = json.loads((folder / "fake.json").read_text())
    (folder / "bench_fake.json").write_text(json.dumps(result | {"unit": "round"}))
    said = run(checkout, "list")
    assert "never checked since: python -m experiments.bench fake --write" in said
    assert said.endswith("Not known to fit the code of this tree: bench_fake.\n")


def test_files_that_change_under_a_sweep_end_it(here, monkeypatch):
    """What a process of the sweep would import is no longer what the sweep began with."""
    module = runner.module_of("fake")
    job = ("fake", "small", 0, {"n": 1})
    runner.run_job(*job, fingerprint=runner.fingerprint_of("fake"))
    del module._code  # as in a new process
    began = runner.fingerprint_of("fake")
    (here / "experiments" / "layers" / "fake.py").write_text(FAKE + "\nCHANGED = 1\n")
    with pytest.raises(runner.ExperimentError, match=f"they must be {began}, as the sweep began"):
        runner.run_job(*job, fingerprint=began)


def test_a_process_that_dies_and_one_that_hangs_are_a_sentence_each(checkout):
    fake = checkout / "experiments" / "layers" / "fake.py"
    fake.write_text(
        FAKE.replace("    time.sleep", '    os.environ.get("DIES") and os._exit(9)\n    time.sleep')
    )
    said = run(checkout, "run", "fake", "--jobs", "2", fails=True, DIES="1")
    assert "a process died" in said
    options = ["--jobs", "2", "--patience", "2"]
    said = run(checkout, "run", "fake", *options, fails=True, FAKE_SECONDS="30")
    assert "nothing finished here for 2 s; what is done is kept" in said


def test_times_are_not_compared():
    for name in ("seconds", "training_seconds", "update_ms", "milliseconds_4-1", "one text ms"):
        assert checking.TIMES.search(name), name
    for name in ("sometimes", "exact", "items", "msa", "bits_by_rate"):
        assert not checking.TIMES.search(name), name
    shapes = runner.module_of("shapes").TOLERANCE
    assert checking.tolerance_of("rate_4-1", shapes) == float("inf")
    assert checking.tolerance_of("exact_4-1", shapes) == checking.TOLERANCE


def test_lists_of_numbers_stand_on_one_line():
    result = {"a": [1, -2.5, None], "b": [[1, 2], [3, 4]], "c": ["x", "y"], "d": [], "e": {"f": 1}}
    text = writing.as_json(result)
    assert json.loads(text) == result
    assert '"a": [1, -2.5, null]' in text
    assert "  [1, 2],\n  [3, 4]\n" in text
    assert '"x",\n' in text


def test_weights_are_kept_as_bytes_of_half_precision(here):
    import torch

    weights = '{"layer.weight": torch.tensor([[1.0, -2.5]]), "layer.bias": torch.tensor([0.1])}'
    fake = FAKE.replace("import os, time", "import os, time, torch")
    fake = fake.replace('return {"value"', f'return {{"weights": {weights}, "value"')
    (here / "experiments" / "layers" / "fake.py").write_text(fake)
    runner.record("fake", seeds=1, progress=False)
    result = recorded(here)
    found = result.weights("small")
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        "layer.weight": [[1.0, -2.5]],
        "layer.bias": [torch.tensor(0.1).half().item()],
    }
    assert "weights" not in set(result.frame()["metric"])
    with pytest.raises(ValueError, match="recorded no weights of that run"):
        result.weights("small", seed=7)
    table = checking.check("fake", settings=["small"], progress=False)
    assert table.set_index("metric").loc["weights", "apart"] == 0
    for bad in ("1e6", "float('nan')"):
        (here / "experiments" / "layers" / "fake.py").write_text(fake.replace("-2.5", bad))
        sys.modules.pop("experiments.layers.fake")
        with pytest.raises(
            runner.ExperimentError, match=r"layer\.weight is not in the range of half"
        ):
            runner.record("fake", seeds=1, progress=False)


RUN_BY_THEIR_OWN_TESTS = {
    name
    for path in Path(__file__).parent.glob("test_*.py")
    for name in re.findall(r'\bsmall\("(\w+)"\)', path.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("name", sorted({*runner.names()} - RUN_BY_THEIR_OWN_TESTS))
def test_every_experiment_runs_at_the_size_of_a_test(name):
    small(name)


# benches and measurements on a GPU are recorded beside the experiments, and have tests of their own
RECORDED = {path.stem for path in (ROOT / "experiments" / "results").glob("*.json")}


@pytest.mark.parametrize(
    "name", sorted(name for name in RECORDED if not name.startswith(("bench_", "gpu_")))
)
def test_every_recorded_result_is_of_an_experiment_there_is(name):
    result = results.load(name, folder=ROOT / "experiments" / "results")
    module = runner.module_of(name)
    assert not result.smoke
    assert json.loads(json.dumps(module.settings())) == result.settings
    ran = {r["setting"] for r in result.runs}
    assert ran == set(result.settings) or (result.missing and ran < set(result.settings))


def test_a_bench_has_rounds_in_the_place_of_seeds():
    said = results.load("bench_lsh").provenance
    assert re.search(r": \d+ rounds? on one core of ", said)
    assert "a run" not in said
