"""The command line: python -m experiments list | run NAME | keep NAME | check NAME | show NAME."""

from __future__ import annotations

import argparse
import sys

import joblib

from booktools.arguments import above_zero
from experiments import checking, runner
from frugal import results


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if all went well, else 1 and a sentence on the error stream."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description="Run experiments.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the experiments there are, and what is recorded")
    run = commands.add_parser("run", help="run an experiment and record what it gives")
    run.add_argument("name")
    run.add_argument("--seeds", type=int, help="seeds for each setting (5; 1 for a smoke run)")
    run.add_argument("--jobs", type=int, help="processes on this machine (one for each core)")
    run.add_argument("--scheduler", metavar="ADDRESS", help="run on a Dask cluster instead")
    run.add_argument(
        "--patience",
        type=above_zero,
        default=runner.PATIENCE,
        metavar="SECONDS",
        help="stop, and keep what is done, when nothing finishes for so long (an hour)",
    )
    run.add_argument("--smoke", action="store_true", help="at the size of a test, not recorded")
    keep = commands.add_parser("keep", help="write what is finished so far as a result to commit")
    keep.add_argument("name")
    keep.add_argument("--seeds", type=int, default=5, help="as they are asked of run (5)")
    check = commands.add_parser("check", help="run a recorded seed again and compare")
    check.add_argument("name")
    check.add_argument("--seed", type=int, default=0)
    check.add_argument(
        "--setting", action="append", default=[], help="of those recorded; all if none"
    )
    show = commands.add_parser("show", help="what is recorded: mean, std and where it came from")
    show.add_argument("name")
    options = parser.parse_args(arguments)
    try:
        commands = {"list": _list, "run": _run, "keep": _keep, "check": _check, "show": _show}
        return commands[options.command](options) or 0
    except (runner.ExperimentError, results.MissingResult, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _list(options: argparse.Namespace) -> None:
    states: dict[str, checking.State] = {}
    for name in runner.names():
        try:
            module = runner.module_of(name)
        except Exception as error:  # one that cannot be imported hides none of the others
            print(f"{name}: {type(error).__name__}: {error}")
            continue
        print(f"{name}: {runner.question_of(module)}")
        if (runner.RESULTS / f"{name}.json").is_file():
            states[name] = _tell(name, f"{len(module.settings())} settings. ")
        else:
            print(f"    {len(module.settings())} settings, not recorded yet")
    for path in sorted(runner.RESULTS.glob(f"{runner.BENCH}*.json")):
        print(path.stem)
        states[path.stem] = _tell(path.stem)
    old = [name for name, state in states.items() if not state.fits]
    if old:
        print(f"\nNot known to fit the code of this tree: {', '.join(old)}.")


def _tell(name: str, before: str = "") -> checking.State:
    """Print what is recorded, and how it stands to the code; one damaged file is told, too."""
    try:
        recorded = results.load(name, folder=runner.RESULTS)
        print(f"    {before or recorded.question + ' '}{recorded.provenance}")
        state = checking.state_of(name, recorded)
    except (ValueError, KeyError, OSError) as error:
        state = checking.State(False, f"It cannot be read: {error}")
    print(f"    {state.sentence}")
    return state


def _run(options: argparse.Namespace) -> None:
    path = runner.record(
        options.name,
        seeds=(1 if options.smoke else 5) if options.seeds is None else options.seeds,
        smoke=options.smoke,
        jobs=joblib.cpu_count() if options.jobs is None else options.jobs,
        scheduler=options.scheduler,
        patience=options.patience,
    )
    print(f"wrote {path}")


def _keep(options: argparse.Namespace) -> None:
    path = runner.keep(options.name, seeds=options.seeds)
    recorded = results.load(options.name, folder=path.parent)
    print(f"wrote {path}: {len(recorded.runs)} runs, {recorded.missing} are still to come")


def _check(options: argparse.Namespace) -> int:
    table = checking.check(options.name, seed=options.seed, settings=options.setting)
    shown = table.drop(columns=["recorded", "now"]).to_string(
        index=False, float_format="{:.3g}".format
    )
    print(shown)
    missed, exact = int((~table["held"]).sum()), int((table["apart"] == 0).sum())
    print(
        f"{len(table) - missed} of {len(table)} numbers are what is recorded, {exact} of them to "
        "the last digit"
    )
    return 1 if missed else 0


def _show(options: argparse.Namespace) -> None:
    recorded = results.load(options.name, folder=runner.RESULTS)
    print(recorded.question)
    for metric in dict.fromkeys(recorded.frame()["metric"]):
        print(f"\n{metric}\n{recorded.mean_std(metric).to_string(float_format='{:.4g}'.format)}")
    print(f"\n{recorded.provenance}")


if __name__ == "__main__":
    sys.exit(main())
