"""Runs an experiment's settings and seeds in parallel, and records what they gave."""

from __future__ import annotations

import base64
import datetime
import importlib
import json
import math
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from tqdm import tqdm

from experiments import provenance, sweeps
from experiments.sweeps import SweepError
from experiments.writing import as_json, write
from frugal import results

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"
PARTS = ("foundations", "interactions", "representations", "layers", "transfer", "beyond_text")
"""The folders that hold experiments, named as the parts of the book."""
BENCH = "bench_"
"""What the names of recorded benches begin with."""
PATIENCE = 3600.0
"""Seconds in which something must finish; the longest run takes a quarter of it."""

Run = dict[str, Any]
Job = tuple[str, int]
"""The name of a setting, and a seed."""


class ExperimentError(Exception):
    """An experiment cannot be run; the message says why in a sentence."""


def names() -> list[str]:
    """The experiments there are, sorted."""
    return sorted(_files())


def _files() -> dict[str, Path]:
    found = [path for part in PARTS for path in (FOLDER / part).glob("*.py")]
    return {path.stem: path for path in found if path.stem != "__init__"}


def module_of(name: str) -> ModuleType:
    """The module of an experiment, checked for what the runner needs.

    Raises ExperimentError when there is no such experiment, or it lacks something.
    """
    if name not in names():
        raise ExperimentError(f"there is no experiment '{name}'; there are: {', '.join(names())}")
    module = importlib.import_module(f"experiments.{_files()[name].parent.name}.{name}")
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
    patience: float = PATIENCE,
    folder: Path | None = None,
    progress: bool = True,
) -> Path:
    """Run what is not done yet, write the result and give its path.

    seeds: every setting is run with seeds 0 to seeds - 1. smoke: at the size of a test; the result
    goes to a new temporary folder, never beside the recorded ones. jobs: processes on this machine,
    one thread each. scheduler: address of a Dask scheduler whose workers run the jobs instead.
    patience: seconds in which something must finish. folder: experiments/results by default.

    Finished jobs are kept, whatever happens, and the next call goes on from there, as it does from
    a result that lacks some of them; jobs that other code has finished are put aside, never mixed
    in, and a process whose files are not those of the start runs nothing. Raises ExperimentError
    when an argument is wrong, a job failed, or the cluster does not answer or stands still.
    """
    if seeds < 1 or jobs < 1 or patience <= 0:
        raise ExperimentError(
            f"seeds is {seeds}, jobs {jobs} and patience {patience}; they must be 1 or more, and "
            "patience above 0."
        )
    module = module_of(name)
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="experiments-smoke-")) if smoke else RESULTS
    elif smoke and folder.resolve() == RESULTS:
        raise ExperimentError("a smoke run does not go to experiments/results")
    folder.mkdir(parents=True, exist_ok=True)

    path = folder / f"{name}.json"
    settings, wanted = _wanted(module, seeds, smoke)
    fingerprint = fingerprint_of(name)
    partial = _Partial(folder / f"{name}.partial.jsonl", state=fingerprint + "-smoke" * smoke)
    read = {} if smoke else _data(module)
    done = _kept(path, fingerprint, wanted) | partial.read()
    done = {job: run for job, run in done.items() if job in wanted}
    todo = [
        (name, setting, seed, settings[setting], smoke, fingerprint)
        for setting, seed in wanted
        if (setting, seed) not in done
    ]
    origin = {"commit": provenance.commit(FOLDER.parent), "fingerprint": fingerprint}
    bar = tqdm(total=len(wanted), initial=len(done), desc=name, disable=not progress)
    try:
        with bar:
            for finished in _in_parallel(todo, jobs, scheduler, patience):
                done[finished["setting"], finished["seed"]] = finished | origin
                partial.write(done.values())
                bar.update()
    except SweepError as error:
        raise ExperimentError(f"experiment '{name}': {error}") from error

    write(path, as_json(_result(module, name, settings, wanted, done, seeds, smoke) | read))
    partial.path.unlink(missing_ok=True)
    return path


def keep(name: str, *, seeds: int = 5, folder: Path | None = None) -> Path:
    """Write the result with the jobs that are finished so far, to be committed, and give its path.

    `record` goes on from there, also in another checkout, as long as the code is the same. Raises
    ExperimentError when nothing is finished.
    """
    module = module_of(name)
    folder = RESULTS if folder is None else folder
    path, (settings, wanted) = folder / f"{name}.json", _wanted(module, seeds, smoke=False)
    fingerprint = fingerprint_of(name)
    partial = _Partial(folder / f"{name}.partial.jsonl", state=fingerprint)
    done = _kept(path, fingerprint, wanted) | partial.read()
    if not done:
        raise ExperimentError(f"nothing of '{name}' is finished that this code has made.")
    result = _result(module, name, settings, wanted, done, seeds, smoke=False)
    return write(path, as_json(result | _data(module)))


def _wanted(module: ModuleType, seeds: int, smoke: bool) -> tuple[dict[str, Any], list[Job]]:
    """The settings, and the jobs in the order in which they run: seed 0 of all settings first.

    An experiment may have `seeds()`, the settings that have more seeds than asked for and how many,
    and `SMOKE`, the settings that a smoke run is content with.
    """
    settings = module.settings()
    if smoke:
        settings = {name: settings[name] for name in getattr(module, "SMOKE", settings)}
    more = module.seeds() if hasattr(module, "seeds") and not smoke else {}
    counts = {setting: max(seeds, more.get(setting, 0)) for setting in settings}
    jobs = [
        (setting, seed)
        for seed in range(max(counts.values()))
        for setting, count in counts.items()
        if seed < count
    ]
    return settings, jobs


def _data(module: ModuleType) -> dict[str, Any]:
    """What the experiment says that it reads, where it has a function `data()`."""
    return {"data": module.data()} if hasattr(module, "data") else {}


def _kept(path: Path, fingerprint: str, wanted: list[Job]) -> dict[Job, Run]:
    """The jobs of a result that lacks some of those wanted; of a whole one nothing, since it is to
    be recorded anew. What other code has made does not count."""
    if not path.is_file():
        return {}
    try:
        recorded = results.load(path.stem, folder=path.parent)
    except ValueError:
        return {}
    runs = {(run["setting"], run["seed"]): run for run in recorded.runs}
    same = {job: run for job, run in runs.items() if run.get("fingerprint") == fingerprint}
    if recorded.smoke or set(wanted) <= same.keys():
        return {}
    if len(same) < len(runs) and recorded.missing:
        print(
            f"{path.name} has {len(runs) - len(same)} runs of other code: they are not taken over.",
            file=sys.stderr,
        )
    return same


def _result(
    module: ModuleType,
    name: str,
    settings: dict[str, Any],
    wanted: list[Job],
    done: dict[Job, Run],
    seeds: int,
    smoke: bool,
) -> dict[str, Any]:
    runs = [done[job] for job in wanted if job in done]
    missing = {"missing": len(wanted) - len(runs)} if len(runs) < len(wanted) else {}
    return {
        "name": name,
        "question": question_of(module),
        "settings": settings,
        "smoke": smoke,
        **missing,
        "made": {
            "command": f"python -m experiments run {name} --seeds {seeds}",
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "torch": metadata.version("torch"),
            "python": platform.python_version(),
        },
        "runs": runs,
    }


def fingerprint_of(name: str) -> str:
    """The state of the files that an experiment's or a bench's numbers depend on, in this tree."""
    if name.startswith(BENCH):
        module = FOLDER / "bench" / f"{name.removeprefix(BENCH)}.py"
    else:
        module = _files()[name]
    return provenance.fingerprint(module, FOLDER.parent)


def _code_of(module: ModuleType, name: str) -> str:
    """The same when this process first ran the experiment: the code that is in its memory."""
    if not hasattr(module, "_code"):
        module._code = fingerprint_of(name)
    return module._code


def _in_parallel(
    todo: list[tuple], jobs: int, scheduler: str | None, patience: float
) -> Iterator[Run]:
    if scheduler is None:
        return sweeps.run_here(run_job, todo, processes=jobs, patience=patience)
    return sweeps.run_on_cluster(run_job, todo, address=scheduler, patience=patience)


def run_job(
    name: str,
    setting_name: str,
    seed: int,
    setting: dict[str, Any],
    smoke: bool = False,
    fingerprint: str | None = None,
) -> Run:
    """One run, in whichever process and on whichever machine.

    fingerprint: of the files that are to make it. Raises ExperimentError when those here are
    others, or the run fails.
    """
    what = f"experiment '{name}', setting '{setting_name}', seed {seed}"
    module = module_of(name)
    if fingerprint is not None and _code_of(module, name) != fingerprint:
        raise ExperimentError(
            f"{what}: the files are {_code_of(module, name)} where it was to run "
            f"({platform.node()}); they must be {fingerprint}, as the sweep began."
        )
    began = time.perf_counter()
    try:
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
        "processor": provenance.processor(),
        "values": {key: _plain(value, f"{what}: {key}") for key, value in values.items()},
    }


def _unused(path: Path) -> Path:
    """Where to keep a partial file of other code: NAME.old.partial.jsonl, .old2, .old3 and so on,
    so that none replaces another."""
    name = path.name.partition(".")[0]
    kept = (path.with_name(f"{name}.old{n}.partial.jsonl") for n in ["", *range(2, 1000)])
    return next(place for place in kept if not place.exists())


def _plain(value: Any, what: str) -> Any:
    """Numbers and lists as JSON holds them, null for what is not finite; weights as bytes."""
    if isinstance(value, dict):
        return {name: _bytes(tensor, f"{what}: {name}") for name, tensor in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(part, what) for part in value]
    if not isinstance(value, int | float):  # bool is an int
        raise ExperimentError(
            f"{what} is {type(value).__name__}; it must be a number, a list or a state_dict."
        )
    return value if math.isfinite(value) else None


def _bytes(tensor: Any, what: str) -> dict[str, Any]:
    """A tensor in half precision: its shape and base64, as `Result.weights` reads it."""
    if not hasattr(tensor, "detach"):
        raise ExperimentError(f"{what} is {type(tensor).__name__}; it must be a tensor.")
    half = tensor.detach().cpu().half().contiguous()
    if not tensor.is_floating_point() or not half.isfinite().all():
        raise ExperimentError(f"{what} is not in the range of half precision; it must be.")
    data = base64.b64encode(half.numpy().astype("<f2").tobytes()).decode("ascii")
    return {"shape": list(half.shape), "float16": data}


class _Partial:
    """Finished jobs of a run that is not complete: a line each, after a line for what made them.

    They count only for the same state of the files. A line that cannot be read, after a full disk
    for instance, costs its own job only.
    """

    def __init__(self, path: Path, *, state: str) -> None:
        self.path = path
        self.header = json.dumps({"fingerprint": state})

    def read(self) -> dict[Job, Run]:
        if not self.path.is_file():
            return {}
        header, *lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        if header != self.header:
            aside = _unused(self.path)
            self.path.replace(aside)
            print(
                f"{self.path.name} is of other code or damaged: starting anew; it is kept as "
                f"{aside.name}.",
                file=sys.stderr,
            )
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
        write(self.path, "\n".join([self.header, *map(json.dumps, runs)]) + "\n")
