"""The autograder zip holds all that Gradescope needs and grades as the batch does."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from otter.run import main as otter_run

from labtools.autograder import REQUIREMENTS, requirements, write_autograder
from labtools.build import Lab
from tests.labs.conftest import ROOT, Student


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A repository with what the zip is made of, so that the real `dist/` stays as it is."""
    root = tmp_path_factory.mktemp("repository")
    for name in ("constraints.txt", "pyproject.toml", "lib"):
        (root / name).symlink_to(ROOT / name)
    return root


@pytest.fixture(scope="module")
def autograder(lab: Lab, root: Path) -> Path:
    return write_autograder(lab, root)


def test_two_builds_give_the_same_bytes(lab: Lab, root: Path, autograder: Path) -> None:
    first = autograder.read_bytes()
    assert write_autograder(lab, root).read_bytes() == first


def test_names_python_and_every_requirement(autograder: Path) -> None:
    with zipfile.ZipFile(autograder) as archive:
        environment = yaml.safe_load(archive.read("environment.yml"))
        config = json.loads(archive.read("otter_config.json"))
    assert "python=3.11" in environment["dependencies"]
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    for name in REQUIREMENTS:
        (line,) = (line for line in pip if line.lower().startswith(f"{name}=="))
        assert line in constraints
    assert any("download.pytorch.org/whl/cpu" in line for line in pip)
    assert config["assignment_name"] == "lab01"


def test_the_packages_in_the_zip_work_by_themselves(autograder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(autograder) as archive:
        archive.extractall(tmp_path)
        names = archive.namelist()
    assert not any("__pycache__" in name for name in names)
    code = "import frugal, labtools.testing; print(frugal.__file__, labtools.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "files",
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.count(str(tmp_path / "files")) == 2


def test_tests_in_the_zip_are_the_full_ones(autograder: Path, lab: Lab) -> None:
    with zipfile.ZipFile(autograder) as archive:
        tests = {
            Path(name).stem: archive.read(name).decode()
            for name in archive.namelist()
            if re.match(r"tests/q\d+\.py$", name)
        }
    assert tests == lab.tests


def test_otter_grades_in_a_kernel_as_the_batch_does(
    autograder: Path, student: Student, lab: Lab, tmp_path: Path
) -> None:
    wrong = {"q2": "def attention(q, k, v):\n    return [][0]"}
    path = tmp_path / "lab01.ipynb"
    path.write_text(json.dumps(student.notebook(wrong, solved=True)), encoding="utf-8")
    results = otter_run(
        str(path), autograder=str(autograder), output_dir=str(tmp_path), no_logo=True
    )
    lost = {name: file.possible - file.score for name, file in results.results.items()}
    worth = {one.name: one.points for one in lab.source.questions if not one.manual}
    assert {name: points for name, points in lost.items() if points} == {"q2": worth["q2"]}
    assert results.possible == sum(worth.values())
    assert "Your code raised IndexError" in results.summary()
    gradescope = json.loads((tmp_path / "results.json").read_text())
    scored = sum(test.get("score", 0) for test in gradescope["tests"])
    assert scored == sum(worth.values()) - worth["q2"]


def test_an_unpinned_requirement_is_refused(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n")
    with pytest.raises(ValueError, match=r"constraints.txt lacks numpy, pandas"):
        requirements(tmp_path)
