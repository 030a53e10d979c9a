"""The files that describe the project agree with each other."""

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml

from labtools.__main__ import make_parser

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
EXTRAS = PROJECT["optional-dependencies"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    return normal(re.match(r"[A-Za-z0-9._-]+", requirement)[0])


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    pairs = [line.split("==") for line in wanted]
    assert all(len(pair) == 2 for pair in pairs), "constraints.txt has a line that is no exact pin"
    return {normal(name): version for name, version in pairs}


def direct() -> set[str]:
    return {name_of(r) for r in [*PROJECT["dependencies"], *chain(*EXTRAS.values())]}


def test_every_direct_dependency_is_pinned():
    assert direct() <= set(pins())


def test_conda_users_get_the_same_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, rest = environment["dependencies"]
    assert python == "python=3.11"
    assert pip == "pip"
    constraint, *listed, project = rest["pip"]
    assert constraint == "--constraint constraints.txt"
    assert project == "--editable ."
    found = dict(line.split("==") for line in listed)
    assert found == {name: pins()[name] for name in direct()}


def test_the_installed_versions_are_the_pinned_ones():
    from importlib import metadata

    wanted = {name: pins()[name] for name in direct()}
    found = {name: metadata.version(name).partition("+")[0] for name in wanted}
    assert found == wanted


def test_an_installed_package_has_its_files():
    folder = ROOT / "lib" / "frugal"
    patterns = SETTINGS["tool"]["setuptools"]["package-data"]["frugal"]
    packed = {path for pattern in patterns for path in folder.glob(pattern)}
    files = {path for path in folder.rglob("*") if path.is_file()}
    assert {it for it in files - packed if it.suffix not in {".py", ".pyc", ".md"}} == set()


def test_ci_runs_the_readmes_test_command():
    script = (ROOT / ".ci/run").read_text().splitlines()
    assert script[-1] == "make test"
    assert "make test     # run every test" in (ROOT / "README.md").read_text()
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    job = workflow["jobs"]["test"]
    assert set(job["strategy"]["matrix"]["os"]) == {"ubuntu-latest", "macos-latest"}
    assert "make test" in [step.get("run") for step in job["steps"]]


@pytest.mark.parametrize("target", ["book", "serve", "test", "live", "labs", "grade", "bench"])
def test_make_knows_the_targets_that_the_readme_names(target):
    make = ["make", "--dry-run", "--question", target, "SUBMISSIONS=here"]
    run = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "No rule" not in run.stderr
    assert f"make {target}" in (ROOT / "README.md").read_text()


@pytest.fixture
def bare(tmp_path):
    """What make needs of a checkout in which nothing is installed."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def make(folder, *arguments):
    command = ["make", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["grade"], ["-j4", "grade"], ["grade", "SUBMISSIONS="]])
def test_make_grade_asks_for_a_folder_before_it_installs_anything(bare, arguments):
    run = make(bare, *arguments)
    assert run.returncode != 0
    assert "make grade SUBMISSIONS=dir" in run.stderr
    assert not (bare / ".venv").exists()


def test_make_help_needs_no_folder(bare):
    run = make(bare, "help")
    assert run.returncode == 0
    assert "make grade SUBMISSIONS=dir" in run.stdout


@pytest.fixture
def installed(bare):
    """The same with a `python` that prints its arguments, one a line."""
    python = bare / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    (bare / ".venv" / ".installed").touch()
    return bare


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ([], []),
        (["LAB=lab02", "TIMEOUT=100"], ["--lab", "lab02", "--timeout", "100"]),
        (["TO=out of here"], ["--to", "out of here"]),
        (["ROSTER=my class.csv"], ["--roster", "my class.csv"]),
        (["DEADLINE=2026-11-20 23:59"], ["--deadline", "2026-11-20 23:59"]),
        (["ACCEPT=Ana (12)/it's.zip"], ["--accept", "Ana (12)/it's.zip"]),
        (["HIDDEN=no"], ["--hide-hidden"]),
        (["OPTIONS=--memory 2 --accept 'a b'"], ["--memory", "2", "--accept", "a b"]),
    ],
)
def test_make_grade_passes_every_option_on_and_labtools_knows_it(installed, given, passed_on):
    run = make(installed, "--silent", "grade", "SUBMISSIONS=handed in", *given)
    assert run.returncode == 0, run.stderr
    arguments = run.stdout.splitlines()
    assert arguments == ["-m", "labtools", "grade", "handed in", "--jobs", "2", *passed_on]
    known = make_parser().parse_args(arguments[2:])
    assert str(known.submissions) == "handed in"


def test_teachers_read_of_every_option_of_make_grade():
    recipe = (ROOT / "Makefile").read_text().partition("\ngrade:")[2].partition("\n\n")[0]
    options = set(re.findall(r"\$\((?:if|filter no,)? ?\$?\(?([A-Z]+)\)", recipe)) - {
        "BIN",
        "STAMP",
    }
    assert {"ROSTER", "DEADLINE", "ACCEPT", "HIDDEN", "TO", "LAB", "JOBS", "OPTIONS"} <= options
    told = (ROOT / "lib/labtools/README.md").read_text()
    assert {name for name in options if f"{name}=" not in told} == set()
    page = (ROOT / "chapters/appendix/labs.md").read_text()
    for words in ("make grade", "ROSTER=", "DEADLINE=", "make book SOLUTIONS=no"):
        assert words in page
        assert words in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(("given", "variable"), [([], ""), (["SOLUTIONS=no"], "no")])
def test_make_book_passes_on_whether_solutions_are_wanted(installed, given, variable):
    python = installed / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$@: $FRUGAL_SOLUTIONS"\n')
    assert make(installed, "--silent", "book", *given).stdout.strip() == (
        f"-m booktools build: {variable}".strip()
    )


def test_the_project_speaks_of_itself_alone():
    """No paths of the machine that it was written on."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    this = Path(__file__).relative_to(ROOT).as_posix()
    found = []
    for name in filter(None, listed):
        path = ROOT / name
        if name == this or not path.is_file() or path.stat().st_size > 4_000_000:
            continue
        if re.search(rb"/(work|root|home)/[a-z]", path.read_bytes()):
            found.append(name)
    assert not found


def test_ci_installs_the_library_alone_on_every_python_that_it_names():
    """And builds what would be published, with torch at both ends of what is allowed."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/library.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["package"]["steps"]]
    assert any("python -m build" in step for step in steps)
    assert any("twine check --strict" in step for step in steps)
    matrix = workflow["jobs"]["library"]["strategy"]["matrix"]
    named = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if ":: 3." in line}
    assert set(matrix["python"]) == named
    assert matrix["torch"] == [pins()["torch"]]
    (least,) = (line.partition(">=")[2] for line in PROJECT["dependencies"] if "torch" in line)
    oldest, newest = (one["torch"] for one in matrix["include"])
    assert oldest.startswith(f"{least}.")
    assert newest == ""


def test_extras_for_the_library_are_part_of_the_books():
    """Whoever builds the book has all that the library can use there."""
    small = {name_of(line) for extra in ("figures", "data", "evidence") for line in EXTRAS[extra]}
    assert small <= {name_of(line) for line in EXTRAS["book"]}
