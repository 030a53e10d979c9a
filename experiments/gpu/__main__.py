"""The command line: python -m experiments.gpu [--device cuda|cpu] [--smoke] [--out DIR] ..."""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from booktools.arguments import above_zero
from experiments.gpu import correctness, graphs, speed, training, workers
from experiments.gpu.report import REPOSITORY, Report

MANY = max(2, min(14, (os.cpu_count() or 8) - 2))
PROCESSES = {"correctness": MANY, "speed": 1, "compile": MANY, "training": 6}
"""That share a card: several where kernels are compiled, one where they are timed."""

PARTS = {"correctness": 0.22, "speed": 0.5, "compile": 0.18, "training": 0.1}
"""In order, with the share of the minutes; what a part leaves over goes to the next."""

MODULES = {
    "correctness": correctness,
    "speed": speed,
    "compile": graphs,
    "training": training,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the parts; 0 if every comparison with the CPU held."""
    parser = argparse.ArgumentParser(prog="python -m experiments.gpu", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"among {', '.join(PARTS)}; all if none")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--smoke", action="store_true", help="at the size of a test")
    parser.add_argument("--out", type=Path, help="folder of the files; experiments/results if none")
    parser.add_argument("--more", action="store_true", help="keep what the files have, add to it")
    parser.add_argument("--minutes", type=above_zero, help="for all parts, 6 on a card if none")
    options = parser.parse_args(arguments)
    if unknown := set(options.part) - set(PARTS):
        parser.error(f"part is {min(unknown)!r}; it must be among {', '.join(PARTS)}.")
    if options.device == "cuda" and not torch.cuda.is_available():
        print("error: there is no CUDA device; try --device cpu --smoke.", file=sys.stderr)
        return 1
    if options.device == "cpu":
        torch.set_num_threads(1)
    folder = options.out
    if folder is None:
        small = options.smoke or options.device == "cpu"
        results = REPOSITORY / "experiments" / "results"
        folder = Path(tempfile.mkdtemp(prefix="gpu-")) if small else results
    folder.mkdir(parents=True, exist_ok=True)

    minutes = options.minutes or (6.0 if options.device == "cuda" else math.inf)
    chosen = [part for part in PARTS if not options.part or part in options.part]
    began, spent = time.monotonic(), 0.0
    whole = sum(PARTS[part] for part in chosen)
    held = True
    for part in chosen:
        spent += PARTS[part] / whole
        until = began + 60 * minutes * spent
        device = torch.device(options.device)
        given = {"smoke": options.smoke, "more": options.more, "until": until}
        try:
            held &= run_part(part, folder, device, **given)
        except Exception:  # the others are worth having all the same
            traceback.print_exc()
            held = False
    print(f"{time.monotonic() - began:.0f} s in all; the files are in {folder}")
    return 0 if held else 1


def run_part(
    part: str, folder: Path, device: torch.device, *, smoke: bool, until: float, more: bool = False
) -> bool:
    """Run one part until its time is over, write its file, print what matters of it."""
    module, began = MODULES[part], time.monotonic()
    question = (module.__doc__ or part).strip().splitlines()[0]
    report = Report(f"gpu_{part}", question, folder=folder, device=device, smoke=smoke)
    if more:
        report.go_on()
    report.write()
    try:
        if part == "speed" and device.type == "cuda":
            jobs = [job for job in speed.compiled(smoke) if not report.has(*_place(job, speed))]
            warm(jobs, until=began + (until - began) / 2)
        fill(report, module, device, smoke=smoke, until=until)
    finally:
        report.write()
    runs = report.result["runs"]
    print(f"\n{part}: {question} ({time.monotonic() - began:.0f} s)")
    return SUMMARIES[part](runs)


def warm(jobs: list[str], *, until: float) -> None:
    """Have the kernels compiled side by side, before they are timed one after the other."""
    for job, _, seconds, error in workers.run(
        speed.warm, jobs, "cuda", processes=PROCESSES["compile"], until=until
    ):
        if error is not None:
            print(f"  compiling {job}, {seconds:.0f} s: {error[:200]}")


def fill(
    report: Report, module: ModuleType, device: torch.device, *, smoke: bool, until: float
) -> None:
    """The jobs of a module, in processes on a card and one after the other on a CPU."""
    part = next(name for name, one in MODULES.items() if one is module)
    processes = PROCESSES[part] if device.type == "cuda" else 0
    jobs = [job for job in module.names(smoke) if not report.has(*_place(job, module))]
    for job, values, seconds, error in workers.run(
        module.work, jobs, device.type, processes=processes, until=until
    ):
        setting, seed = _place(job, module)
        report.add(setting, module.about(job), values, seconds=seconds, seed=seed, error=error)


def _place(job: str, module: ModuleType) -> tuple[str, int]:
    """The setting and the seed under which a job stands in the file."""
    setting = job.rpartition(" | ")[0]
    if module is not training:
        return setting, 0
    where, seed = setting.split(" | ")
    return where, int(seed)


def summarise_correctness(runs: list[dict[str, Any]]) -> bool:
    reached = []
    for run in without_late(runs):
        error = run.get("error", "")
        if error.startswith(("ModuleNotFoundError", "ImportError")) or "not installed" in error:
            print(f"  left out, {run['setting']}: {error[:150]}")
        else:
            reached.append(run)
    held = sum(run["values"].get("held", 0) for run in reached)
    print(f"{held:.0f} of {len(reached)} cases hold")
    for run in reached:
        if not run["values"].get("held"):
            numbers = ", ".join(f"{k} {v}" for k, v in run["values"].items())
            print(f"  {run['setting']}: {run.get('error', numbers)[:200]}")
    return held == len(reached)


def without_late(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs that time allowed; how many it did not is said in one line."""
    found = [run for run in runs if not run.get("error", "").endswith(workers.NO_TIME)]
    if len(found) < len(runs):
        print(f"  {len(runs) - len(found)} were not reached in the time given")
    return found


def summarise_speed(runs: list[dict[str, Any]]) -> bool:
    for run in without_late(runs):
        values = run["values"]
        if "error" in run:
            print(f"  {run['setting']}: {run['error'][:150]}")
            continue
        if run["setting"].startswith(speed.CEILINGS):
            rates = [values[f"{what} per second"] / 1e12 for what in ("flops", "bytes")]
            print("  {}: {:.0f} TFLOP/s, {:.2f} TB/s".format(run["setting"], *rates))
            continue
        print(
            f"  {run['setting']:42}"
            f" {1e3 * values['forward seconds']:9.3f} ms"
            f" {1e3 * values.get('training seconds', math.nan):9.3f} ms"
            f" {values.get('training peak bytes', math.nan) / 1e9:7.2f} GB"
            f" {values['forward flops per second'] / 1e12:7.1f} TFLOP/s"
        )
    return True


def summarise_compile(runs: list[dict[str, Any]]) -> bool:
    for run in without_late(runs):
        numbers = ", ".join(f"{k} {v:.2g}" for k, v in run["values"].items() if v is not None)
        print(f"  {run['setting']}: {run.get('error', numbers)[:250]}")
    return True


def summarise_training(runs: list[dict[str, Any]]) -> bool:
    complete = [run for run in runs if "error" not in run]
    for run in without_late(runs):
        if "error" in run:
            print(f"  {run['setting']}, seed {run['seed']}: {run['error'][:200]}")
    if len({run["setting"] for run in complete}) < 2:
        return False
    found = training.verdict(complete)
    print("  " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
    return found["largest distance"] <= found["largest spread"]


SUMMARIES: dict[str, Callable[[list[dict[str, Any]]], bool]] = {
    "correctness": summarise_correctness,
    "speed": summarise_speed,
    "compile": summarise_compile,
    "training": summarise_training,
}

if __name__ == "__main__":
    sys.exit(main())
