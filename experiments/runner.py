"""Runs an experiment's settings and seeds in parallel, and records what they gave."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
from tqdm import tqdm

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"
_NOT_EXPERIMENTS = {"__init__", "__main__", "runner"}

Run = dict[str, Any]
Job = tuple[str, int]
"""The name of a setting, and a seed."""


class ExperimentError(Exception):
    """An experiment cannot be run; the message says why in a sentence."""


def names() -> list[str]:
    """The experiments there are, sorted."""
    return sorted({path.stem for path in FOLDER.glob("*.py")} - _NOT_EXPERIMENTS)


def module_of(name: str) -> ModuleType:
    """The module of an experiment, checked for what the runner needs.

    Raises:
        ExperimentError: there is no such experiment, or it lacks something.
    """
    if name not in names():
        raise ExperimentError(f"there is no experiment '{name}'; there are: {', '.join(names())}")
    module = importlib.import_module(f"experiments.{name}")
    for needed in ("settings", "run"):
        if not callable(getattr(module, needed, None)):
            raise ExperimentError(f"experiments/{name}.py has no function {needed}()")
    if not (module.__doc__ or "").strip():
        raise ExperimentError(f"experiments/{name}.py has no docstring to say what it asks")
    return module


def question_of(module: ModuleType) -> str:
    """The first line of an experiment's docstring."""
    return module.__doc__.strip().splitlines()[0]


def record(
    name: str,
    *,
    seeds: int = 5,
    smoke: bool = False,
    jobs: int = 1,
    scheduler: str | None = None,
    folder: Path | None = None,
    progress: bool = True,
) -> Path:
    """Run what is not done yet, then write the result.

    Args:
        name: of the experiment.
        seeds: every setting is run with seeds 0 to seeds - 1.
        smoke: run at the size of a test. The result goes to a new temporary folder, never beside
            the recorded ones.
        jobs: processes on this machine, one thread each.
        scheduler: address of a Dask scheduler whose workers run the jobs instead.
        folder: where to write; by default experiments/results.
        progress: show a progress bar.

    Returns:
        the path of the result.

    Raises:
        ExperimentError: an argument is wrong, a job failed, or the cluster does not answer.
            Finished jobs are kept, and the next call goes on from there.
    """
    if seeds < 1 or jobs < 1:
        raise ExperimentError(f"seeds is {seeds} and jobs {jobs}, but both must be 1 or more")
    module = module_of(name)
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="experiments-smoke-")) if smoke else RESULTS
    elif smoke and folder.resolve() == RESULTS:
        raise ExperimentError("a smoke run does not go to experiments/results")
    folder.mkdir(parents=True, exist_ok=True)

    settings = module.settings()
    wanted = [(setting, seed) for seed in range(seeds) for setting in settings]
    partial = _Partial(folder / f"{name}.partial.jsonl", fingerprint=_fingerprint(module, smoke))
    done = {job: run for job, run in partial.read().items() if job in wanted}
    todo = [job for job in wanted if job not in done]
    commit = _commit()
    bar = tqdm(total=len(wanted), initial=len(done), desc=name, disable=not progress)
    with bar, _cluster(scheduler):
        for finished in _in_parallel(name, settings, todo, smoke, jobs, scheduler):
            done[finished["setting"], finished["seed"]] = finished | {"commit": commit}
            partial.write(done.values())
            bar.update()

    result = {
        "name": name,
        "question": question_of(module),
        "settings": settings,
        "smoke": smoke,
        "made": {
            "command": f"python -m experiments run {name} --seeds {seeds}",
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "torch": metadata.version("torch"),
            "python": platform.python_version(),
        },
        "runs": [done[job] for job in wanted],
    }
    path = folder / f"{name}.json"
    _write(path, json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    partial.path.unlink(missing_ok=True)
    return path


def _in_parallel(
    name: str,
    settings: dict[str, dict[str, Any]],
    todo: list[Job],
    smoke: bool,
    jobs: int,
    scheduler: str | None,
) -> Iterator[Run]:
    calls = [joblib.delayed(_job)(name, s, settings[s], seed, smoke) for s, seed in todo]
    if scheduler:
        parallel = joblib.parallel_config("dask", wait_for_workers_timeout=60)
    else:
        parallel = joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1)
    with parallel:
        # in whatever order they finish, so that each is kept at once
        yield from joblib.Parallel(return_as="generator_unordered")(calls)


def _job(name: str, setting_name: str, setting: dict[str, Any], seed: int, smoke: bool) -> Run:
    """One run, in whichever process and on whichever machine."""
    what = f"experiment '{name}', setting '{setting_name}', seed {seed}"
    began = time.perf_counter()
    try:
        module = module_of(name)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        values = module.run(dict(setting), seed, smoke)
    except Exception as error:
        raise ExperimentError(f"{what} failed: {type(error).__name__}: {error}") from error
    if not isinstance(values, dict) or not values:
        raise ExperimentError(f"{what} gave {type(values).__name__}, but run() gives a dict")
    return {
        "setting": setting_name,
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 3),
        "processor": _processor(),
        "values": {key: _plain(value, f"{what}: {key}") for key, value in values.items()},
    }


def _plain(value: Any, what: str) -> Any:
    """Numbers and lists as JSON holds them; what is not finite becomes null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(part, what) for part in value]
    if not isinstance(value, int | float):  # bool is an int
        raise ExperimentError(f"{what} is {type(value).__name__}, but it must be a number or list")
    return value if math.isfinite(value) else None


class _Partial:
    """Finished jobs of a run that is not complete: a line each, after a line for what they are.

    They count only for the same code of the experiment. A line that cannot be read, after a full
    disk for instance, costs its own job only.
    """

    def __init__(self, path: Path, *, fingerprint: str) -> None:
        self.path = path
        self.header = json.dumps({"fingerprint": fingerprint})

    def read(self) -> dict[Job, Run]:
        if not self.path.is_file():
            return {}
        header, *lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        if header != self.header:
            print(f"{self.path.name} is of other code or damaged: starting anew", file=sys.stderr)
            return {}
        done = {}
        for line in filter(None, lines):
            try:
                run = json.loads(line)
                done[run["setting"], run["seed"]] = run
            except (ValueError, TypeError, KeyError):
                print(f"{self.path.name} has a damaged line: that job runs again", file=sys.stderr)
        return done

    def write(self, runs: Iterable[Run]) -> None:
        _write(self.path, "\n".join([self.header, *map(json.dumps, runs)]) + "\n")


def _fingerprint(module: ModuleType, smoke: bool) -> str:
    source = Path(module.__file__).read_bytes()
    return hashlib.sha256(source + bytes([smoke])).hexdigest()[:16]


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """A client of the cluster, for as long as the jobs run; nothing without an address."""
    if address is None:
        yield
        return
    from distributed import Client

    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise ExperimentError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        client.wait_for_workers(1, timeout=60)
        try:
            client.run(exec, "import experiments.runner")
        except ImportError as error:
            raise ExperimentError(
                f"the workers of {address} cannot import the experiments ({error}): "
                "start them in the repository's root with PYTHONPATH=. dask worker ..."
            ) from error
        yield


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    """The commit of the code, with a word on changes since; "unknown" outside a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(FOLDER.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "--short=10", "HEAD")
        code = ("lib/frugal", "experiments", "constraints.txt", ":!experiments/results")
        changed = git("status", "--porcelain", "--", *code)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit} with changes" if changed else commit
