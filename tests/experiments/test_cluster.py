"""Sweeps on real `dask worker` processes: what they lose when workers are killed. Nothing."""

import os
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


class Cluster:
    """A scheduler and its workers, each a process group of its own that can be killed whole."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes, self.workers = folder, [], []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.start("scheduler", "--host", self.address, "--no-dashboard")

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

    def kill(self, process: subprocess.Popen) -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                self.kill(process)


@pytest.fixture
def cluster(tmp_path) -> Iterator[Cluster]:
    package = tmp_path / "experiments"
    (package / "layers").mkdir(parents=True)
    for path in (ROOT / "experiments").glob("*.py"):
        (package / path.name).write_bytes(path.read_bytes())
    (package / "layers" / "fake.py").write_text(FAKE)
    made = Cluster(tmp_path)
    yield made
    made.close()


def sweep(cluster: Cluster, *options: str, seeds: int = 4) -> subprocess.Popen:
    command = ["run", "fake", "--seeds", str(seeds), "--scheduler", cluster.address, *options]
    return subprocess.Popen(
        [sys.executable, "-m", "experiments", *command],
        cwd=cluster.folder,
        env=os.environ | {"PYTHONPATH": str(cluster.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(cluster: Cluster) -> int:
    partial = cluster.folder / "experiments" / "results" / "fake.partial.jsonl"
    return len(partial.read_text().splitlines()) - 1 if partial.exists() else 0


@pytest.mark.parametrize("moment", ["before the first job", 0, 1, 12, 22])
def test_a_killed_worker_loses_and_doubles_nothing(cluster, moment):
    """Killed with its nanny, by SIGKILL, while it holds jobs; another worker is left."""
    cluster.add_worker()
    cluster.add_worker()
    process = sweep(cluster)
    if moment != "before the first job":
        while finished(cluster) < moment + 1:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
    cluster.kill(cluster.workers[0])
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    runs = results.load("fake", folder=cluster.folder / "experiments" / "results").runs
    jobs = Counter((run["setting"], run["seed"]) for run in runs)
    assert jobs == {(str(n), seed): 1 for n in range(6) for seed in range(4)}
    assert all(run["values"] == {"value": int(run["setting"]) + run["seed"] / 10} for run in runs)
    assert "wrote" in out


def test_a_worker_that_comes_later_takes_over_from_the_last_one(cluster):
    cluster.add_worker()
    process = sweep(cluster)
    while finished(cluster) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    cluster.kill(cluster.workers[0])
    cluster.add_worker()
    _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err


def test_a_sweep_that_stands_still_says_so_keeps_what_is_done_and_stops(cluster):
    cluster.add_worker()
    process = sweep(cluster, "--patience", "3")
    while finished(cluster) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    cluster.kill(cluster.workers[0])  # nobody is left
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "nothing finished on tcp://127.0.0.1" in err
    assert "for 3 s, with 0 workers" in err
    assert "Traceback" not in err
    kept = finished(cluster)
    assert 2 <= kept < 24
    cluster.add_worker()
    _, err = sweep(cluster).communicate(timeout=90)
    assert len(results.load("fake", folder=cluster.folder / "experiments" / "results").runs) == 24
