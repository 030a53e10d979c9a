"""`python -m labtools build | verify | grade | export | rehearse`."""

import argparse
import sys
from datetime import datetime
from pathlib import Path

from booktools.arguments import above_zero
from labtools.autograder import write_autograder
from labtools.build import Lab, build_lab, write_lab
from labtools.grade import ControlFailed, grade_folder
from labtools.limits import GIGABYTE, Limits
from labtools.marking import TIMEOUT_SECONDS, Desk
from labtools.nbgrader import export_nbgrader
from labtools.people import read_roster
from labtools.process import Warm
from labtools.rehearsal import rehearse
from labtools.running import CALL_SECONDS
from labtools.source import find_sources
from labtools.verify import verify_lab


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Returns the exit status: 1 for a lab that breaks a rule, 2 for bad input."""
    options = make_parser().parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, ControlFailed) as error:
        print(f"labtools: {error}", file=sys.stderr)
        return 2


def make_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="labtools", description=__doc__)
    parser.add_argument(
        "--root", type=Path, default=Path.cwd(), help="the repository (default: this folder)"
    )
    commands = parser.add_subparsers(required=True)

    build = commands.add_parser("build", help="notebooks and autograder zips from the sources")
    build.set_defaults(run=_build)
    verify = commands.add_parser("verify", help="check every rule that a lab must keep")
    verify.set_defaults(run=_verify)
    export = commands.add_parser("export", help="a lab as nbgrader's source notebook")
    export.set_defaults(run=_export)
    export.add_argument("--to", type=Path, required=True, help="nbgrader's source folder")
    for command in (build, verify, export):
        command.add_argument("labs", nargs="*", help="lab01 ... (default: all)")

    grade = commands.add_parser("grade", help="grade a folder of notebooks")
    grade.set_defaults(run=_grade)
    grade.add_argument("submissions", type=Path)
    grade.add_argument("--lab", default=None, help="grade all as this lab")
    grade.add_argument("--to", type=Path, default=None, help="where the results go")
    grade.add_argument("--jobs", "-j", type=int, default=1, help="notebooks at the same time")
    grade.add_argument(
        "--timeout", type=above_zero, default=TIMEOUT_SECONDS, help="seconds for one notebook"
    )
    grade.add_argument(
        "--call-timeout", type=above_zero, default=CALL_SECONDS, help="seconds one call may compute"
    )
    grade.add_argument("--memory", type=above_zero, default=4, help="gigabytes for one notebook")
    grade.add_argument("--roster", type=Path, help="the class: your own list, or a platform's")
    grade.add_argument("--deadline", type=_time, help='as "2026-11-20 23:59"')
    grade.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="FILE",
        help="a submission whose flag you have looked at (repeat it for others)",
    )
    grade.add_argument(
        "--hide-hidden", action="store_true", help="feedback without the hidden tests"
    )
    rehearse = commands.add_parser("rehearse", help="how long does a class take on this machine?")
    rehearse.set_defaults(run=_rehearse)
    rehearse.add_argument("lab", nargs="?", default="lab01")
    rehearse.add_argument("--students", type=int, default=60)
    rehearse.add_argument("--jobs", "-j", type=int, default=2, help="notebooks at the same time")
    return parser


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        words = f'{text!r} is no time; write it as "2026-11-20 23:59"'
        raise argparse.ArgumentTypeError(words) from error


def _labs(options: argparse.Namespace, wanted: list[str]) -> list[Lab]:
    sources = {path.stem: path for path in find_sources(options.root / "solutions" / "src")}
    if not sources:
        raise ValueError(f"root is {options.root}; it must hold solutions/src/labNN.md.")
    unknown = [name for name in wanted if name not in sources]
    if unknown:
        raise ValueError(f"lab is {unknown[0]!r}; it must be one of {', '.join(sources)}.")
    return [build_lab(sources[name]) for name in wanted or sources]


def _build(options: argparse.Namespace) -> int:
    for lab in _labs(options, options.labs):
        for path in [*write_lab(lab, options.root), write_autograder(lab, options.root)]:
            print(path)
    return 0


def _verify(options: argparse.Namespace) -> int:
    broken = False
    with Warm() as warm:
        for lab in _labs(options, options.labs):
            problems = verify_lab(lab, warm=warm)
            broken = broken or bool(problems)
            for problem in problems or [_kept(lab)]:
                print(f"{lab.name}: {problem}")
    return int(broken)


def _kept(lab: Lab) -> str:
    points = sum(question.points for question in lab.source.questions)
    return (
        f"{len(lab.source.questions)} questions, {points:g} points, "
        f"{len(lab.source.mutants)} mutants refused; every rule holds"
    )


def _export(options: argparse.Namespace) -> int:
    for lab in _labs(options, options.labs):
        print(export_nbgrader(lab.source, options.to))
    return 0


def _grade(options: argparse.Namespace) -> int:
    wanted = [options.lab] if options.lab else []
    desk = Desk(
        jobs=options.jobs,
        seconds=options.timeout,
        call_seconds=options.call_timeout,
        limits=Limits(memory=int(options.memory * GIGABYTE)),
        roster=read_roster(options.roster) if options.roster else None,
        deadline=options.deadline,
        accepted=tuple(options.accept),
        hide_hidden=options.hide_hidden,
    )
    grade_folder(
        options.submissions,
        {lab.name: lab for lab in _labs(options, wanted)},
        to=options.to,
        only=options.lab,
        desk=desk,
        say=lambda line: print(line, flush=True),
    )
    return 0


def _rehearse(options: argparse.Namespace) -> int:
    (lab,) = _labs(options, [options.lab])
    made = rehearse(
        lab,
        students=options.students,
        jobs=options.jobs,
        say=lambda line: print(line, flush=True),
    )
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
