"""Sweeps on real `dask worker` processes: what they lose when workers are killed. Nothing."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from frugal import results

ROOT = Path(__file__).resolve().parents[2]
FAKE = '''"""What is asked here?"""
import os, time


def settings():
    return {str(n): {"n": n} for n in range(6)}


def run(setting, seed, smoke):
    time.sleep(float(os.environ.get("FAKE_SECONDS", 0.15)))
    return {"value": setting["n"] + seed / 10}
'''
LONG = 300.0
"""Seconds after which a test no longer waits. A busy machine may take many; nothing is measured."""
HURRIED = '''
import sys, time
from pathlib import Path
from experiments import sweeps
from experiments.__main__ import main

class Clock:
    """Runs a thousand times faster once the file `hurry` is there."""
    began = None

    @classmethod
    def monotonic(cls):
        now = time.monotonic()
        if cls.began is None and Path("hurry").exists():
            cls.began = now
        return now if cls.began is None else now + 1000 * (now - cls.began)

sweeps.time, sweeps.NOTICE = Clock, 0.2
sys.exit(main(sys.argv[1:]))
'''


class Cluster:
    """A scheduler and its workers, each a process group of its own that can be killed whole."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder, self.processes, self.workers = folder, [], []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        options = ["--host", self.address, "--no-dashboard"]
        self.scheduler = self.start("scheduler", *options, **environment)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        log = open(self.folder / f"dask-{len(self.processes)}.log", "w")  # noqa: SIM115
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1"} | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def add_worker(self, **environment: str) -> None:
        options = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder)]
        self.workers.append(self.start("worker", self.address, *options, **environment))

    def freeze(self, process: subprocess.Popen) -> None:
        """Its connections stay open and nothing answers, as when a machine has gone."""
        os.killpg(process.pid, signal.SIGSTOP)

    def registered(self, worker: int) -> bool:
        said = self.folder / f"dask-{self.processes.index(self.workers[worker])}.log"
        return "Registered to" in said.read_text()

    def kill(self, process: subprocess.Popen) -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                self.kill(process)


@pytest.fixture
def cluster(tmp_path, request) -> Iterator[Cluster]:
    """A scheduler in a checkout of one experiment; a parameter adds to its environment."""
    package = tmp_path / "experiments"
    (package / "layers").mkdir(parents=True)
    for path in (ROOT / "experiments").glob("*.py"):
        (package / path.name).write_bytes(path.read_bytes())
    (package / "layers" / "fake.py").write_text(FAKE)
    made = Cluster(tmp_path, **getattr(request, "param", {}))
    yield made
    made.close()


def sweep(
    cluster: Cluster, *options: str, seeds: int = 4, hurried: bool = False
) -> subprocess.Popen:
    """hurried: by a clock that `hurry` makes fast, so that patience ends when a test says so."""
    command = ["run", "fake", "--seeds", str(seeds), "--scheduler", cluster.address, *options]
    return subprocess.Popen(
        [sys.executable, *(["-c", HURRIED] if hurried else ["-m", "experiments"]), *command],
        cwd=cluster.folder,
        env=os.environ | {"PYTHONPATH": str(cluster.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def hurry(cluster: Cluster) -> None:
    (cluster.folder / "hurry").touch()


def finished(cluster: Cluster) -> int:
    partial = cluster.folder / "experiments" / "results" / "fake.partial.jsonl"
    return len(partial.read_text().splitlines()) - 1 if partial.exists() else 0


def wait_for(cluster: Cluster, process: subprocess.Popen, jobs: int) -> None:
    """Until so many are finished."""
    while finished(cluster) < jobs:
        assert process.poll() is None, process.communicate()
        time.sleep(0.03)


@pytest.mark.parametrize("moment", ["before the first job", 0, 1, 12, 22])
def test_a_killed_worker_loses_and_doubles_nothing(cluster, moment):
    """Killed with its nanny, by SIGKILL, while it holds jobs; another worker is left."""
    cluster.add_worker()
    cluster.add_worker()
    process = sweep(cluster)
    if moment != "before the first job":
        wait_for(cluster, process, moment + 1)
    cluster.kill(cluster.workers[0])
    out, err = process.communicate(timeout=LONG)
    assert process.returncode == 0, err
    runs = results.load("fake", folder=cluster.folder / "experiments" / "results").runs
    jobs = Counter((run["setting"], run["seed"]) for run in runs)
    assert jobs == {(str(n), seed): 1 for n in range(6) for seed in range(4)}
    assert all(run["values"] == {"value": int(run["setting"]) + run["seed"] / 10} for run in runs)
    assert "wrote" in out


def test_a_worker_that_comes_later_takes_over_from_the_last_one(cluster):
    cluster.add_worker()
    process = sweep(cluster)
    wait_for(cluster, process, 3)
    cluster.kill(cluster.workers[0])
    cluster.add_worker()
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 0, err


def test_a_sweep_that_stands_still_says_so_keeps_what_is_done_and_stops(cluster):
    cluster.add_worker()
    process = sweep(cluster, "--patience", "900", hurried=True)
    wait_for(cluster, process, 2)
    cluster.kill(cluster.workers[0])  # nobody is left
    while "has no workers; waiting for one" not in (line := process.stderr.readline()):
        assert line, "it ended before it had waited"
    hurry(cluster)
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 1
    assert "nothing finished on tcp://127.0.0.1" in err
    assert "for 900 s, with 0 workers" in err
    assert "Traceback" not in err
    kept = finished(cluster)
    assert 2 <= kept < 24
    cluster.add_worker()
    _, err = sweep(cluster).communicate(timeout=LONG)
    assert len(results.load("fake", folder=cluster.folder / "experiments" / "results").runs) == 24


@pytest.mark.parametrize(
    "cluster", [{"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}], indirect=True
)
def test_a_job_that_dask_gives_up_is_submitted_again(cluster):
    """What Dask gives up does not return, and joblib's backend waits for it without end."""
    cluster.add_worker()
    cluster.add_worker()
    process = sweep(cluster)
    wait_for(cluster, process, 2)
    cluster.kill(cluster.workers[0])
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 0, err
    runs = results.load("fake", folder=cluster.folder / "experiments" / "results").runs
    assert len(runs) == 24


def test_a_worker_that_is_frozen_from_the_start_stops_no_other(cluster):
    """Asked whether it has the code, it would not answer, and the sweep stand at 0."""
    cluster.add_worker()
    cluster.add_worker()
    while not (cluster.registered(0) and cluster.registered(1)):
        time.sleep(0.05)
    cluster.freeze(cluster.workers[0])
    process = sweep(cluster, "--patience", "900", hurried=True)
    wait_for(cluster, process, 18)
    hurry(cluster)
    _, err = process.communicate(timeout=LONG)
    assert "nothing finished on tcp://127.0.0.1" in err
    assert "Traceback" not in err
    assert 18 <= finished(cluster) < 24  # all but those that the frozen one was given


def test_a_scheduler_that_goes_is_one_sentence(cluster):
    cluster.add_worker()
    process = sweep(cluster)
    wait_for(cluster, process, 2)
    cluster.kill(cluster.scheduler)
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 1
    assert "is gone; what is done is kept" in err
    assert "Traceback" not in err
    assert finished(cluster) >= 2


@pytest.mark.parametrize("cluster", [{"PYTHONPATH": "", "PYTHONSAFEPATH": "1"}], indirect=True)
def test_workers_alone_need_the_code(cluster):
    """A scheduler elsewhere does; a worker without it is one sentence."""
    cluster.add_worker(PYTHONPATH="", PYTHONSAFEPATH="1")
    _, err = sweep(cluster).communicate(timeout=LONG)
    assert "cannot import the experiments (No module named 'experiments')" in err
    assert "PYTHONPATH=. dask worker" in err
    cluster.kill(cluster.workers[0])
    cluster.add_worker()
    out, err = sweep(cluster, seeds=1).communicate(timeout=LONG)
    assert "wrote" in out, err


def test_a_worker_with_other_files_runs_nothing(cluster, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(cluster.folder / "experiments", elsewhere / "experiments")
    fake = elsewhere / "experiments" / "layers" / "fake.py"
    fake.write_text(FAKE + "\nMORE = 1\n")
    cluster.add_worker(PYTHONPATH=str(elsewhere), PYTHONSAFEPATH="1")
    process = sweep(cluster)
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 1
    assert "they must be" in err
    assert "as the sweep began" in err
    assert finished(cluster) == 0


def test_a_smoke_sweep_of_a_real_experiment_survives_a_killed_worker(tmp_path):
    """The longest one, whose sweep is the reason for all this."""
    path = os.pathsep.join([str(ROOT), str(Path(results.__file__).parents[1])])
    cluster = Cluster(tmp_path)
    try:
        for _ in range(2):
            cluster.add_worker(PYTHONPATH=path)
        options = ["--smoke", "--seeds", "1", "--scheduler", cluster.address]
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments", "run", "modifications", *options],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": path, "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not list(tmp_path.glob("experiments-smoke-*/*.partial.jsonl")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        cluster.kill(cluster.workers[0])
        out, err = process.communicate(timeout=LONG)
        assert process.returncode == 0, err
    finally:
        cluster.close()
    result = results.load("modifications", folder=Path(out.split()[-1]).parent)
    jobs = Counter((run["setting"], run["seed"]) for run in result.runs)
    assert jobs == {(setting, 0): 1 for setting in result.settings}
