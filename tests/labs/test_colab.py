"""A lab opens on Colab once pyproject.toml names the repository, and says nothing of it before."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from nbformat import NotebookNode

from booktools.project import repository
from labtools.build import Lab, build_lab, notebook_text
from labtools.colab import colab_link
from labtools.grader import Grader
from labtools.source import find_sources
from tests.labs.conftest import ROOT, Student

URL = "https://github.com/someone/annotated-efficient-transformer"
NAMES = [path.stem for path in find_sources(ROOT / "solutions" / "src")]


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose pyproject.toml names its address."""
    root = tmp_path_factory.mktemp("repository")
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    before, mark, after = text.partition("[project.optional-dependencies]")
    (root / "pyproject.toml").write_text(
        f'{before}[project.urls]\nRepository = "{URL}"\n\n{mark}{after}', encoding="utf-8"
    )
    source = root / "solutions" / "src" / "lab01.md"
    source.parent.mkdir(parents=True)
    source.write_bytes((ROOT / "solutions/src/lab01.md").read_bytes())
    return root


@pytest.fixture(scope="module")
def opened(named: Path) -> NotebookNode:
    return build_lab(named / "solutions/src/lab01.md").student


def first_code(notebook: NotebookNode) -> str:
    return next(cell.source for cell in notebook.cells if cell.cell_type == "code")


def test_the_title_links_to_colab(opened: NotebookNode) -> None:
    link = f"https://colab.research.google.com/github/{URL[19:]}/blob/main/labs/lab01.ipynb"
    assert opened.cells[0].source.endswith(f"[Open in Colab]({link})")


class Ran:
    """The commands of a cell, none of which is run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, cloned: bool) -> None:
        self.commands: list[list[str]] = []
        exists = os.path.exists
        monkeypatch.setattr(subprocess, "run", self._run)
        monkeypatch.setattr(
            os.path, "exists", lambda path: cloned if path == "/content/book" else exists(path)
        )
        monkeypatch.setattr(sys, "path", list(sys.path))

    def _run(self, command: list[str], *, check: bool) -> None:
        assert check, "a step that fails must say so"
        self.commands.append(command)


@pytest.fixture
def on_colab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without the book, and the module by which Colab is known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))


@pytest.mark.usefixtures("on_colab")
def test_on_colab_the_first_cell_fetches_what_it_needs(
    opened: NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = Ran(monkeypatch, cloned=False)
    exec(first_code(opened), {})
    clone, install = ran.commands
    assert clone == ["git", "clone", "-q", "--depth", "1", URL, "/content/book"]
    assert install[:5] == [sys.executable, "-m", "pip", "install", "-q"]
    assert install[5] == "/content/book"
    needed = {requirement.partition(">")[0] for requirement in install[6:]}
    assert {"otter-grader", "jupytext", "einops", "anywidget"} <= needed
    assert not needed & {"jupyterlab", "ipywidgets", "matplotlib"}, "Colab has its own"
    assert sys.path[0] == "/content/book/lib"


@pytest.mark.usefixtures("on_colab")
def test_after_a_restart_nothing_is_fetched_again(
    opened: NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = Ran(monkeypatch, cloned=True)
    exec(first_code(opened), {})
    assert ran.commands == []
    assert sys.path[0] == "/content/book/lib"


def test_elsewhere_the_first_cell_fetches_nothing(
    opened: NotebookNode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    ran = Ran(monkeypatch, cloned=False)
    exec(first_code(opened), {})
    assert ran.commands == []
    assert sys.path == before


def test_the_tests_are_found_where_the_notebook_is_no_file(
    student: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Colab runs a notebook that lies on a drive: the tests come from the fetched repository."""
    labs, content = tmp_path / "book" / "labs", tmp_path / "content"
    labs.mkdir(parents=True)
    content.mkdir()
    (labs / "lab01.ipynb").write_text(json.dumps(student.notebook()), encoding="utf-8")
    monkeypatch.setattr("labtools.opened.LABS", labs)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.chdir(content)
    environment: dict[str, object] = {}
    exec("import torch\nfrom torch import Tensor\n" + student.solution("q1"), environment)
    assert Grader("lab01").check("q1", environment).passed
    assert [path.name for path in content.iterdir()] == [".lab01-progress.json"]
    assert [path.name for path in labs.iterdir()] == ["lab01.ipynb"], "nothing is written there"
    capsys.readouterr()
    Grader("lab01")
    assert "passed: q1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("urls", "link"),
    [
        ("", False),
        (f'[project.urls]\nRepository = "{URL}"', True),
        (f'[project.urls]\nRepository = "{URL}.git"', True),
        (f'[project.urls]\nRepository = "{URL}/"', True),
        ('[project.urls]\nRepository = "https://codeberg.org/a/b"', False),
        ('[project.urls]\nHomepage = "https://github.com/a/b"', False),
    ],
)
def test_only_what_is_on_github_opens_by_a_link(tmp_path: Path, urls: str, link: bool) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "x"\n{urls}\n')
    wanted = f"[Open in Colab](https://colab.research.google.com/github/{URL[19:]}"
    assert colab_link(tmp_path, "lab02") == (
        f"{wanted}/blob/main/labs/lab02.ipynb)" if link else ""
    )


def test_the_address_stands_in_one_place(lab: Lab) -> None:
    """Whatever pyproject.toml says of it, all labs say the same."""
    url = repository(ROOT)
    for name in NAMES:
        text = (ROOT / "labs" / f"{name}.ipynb").read_text(encoding="utf-8")
        assert ("google.colab" in text) == bool(url), "run `make labs` and commit"
        assert url in text
        source = (ROOT / "solutions" / "src" / f"{name}.md").read_text(encoding="utf-8")
        assert "colab" not in source.lower()
    assert ("google.colab" in notebook_text(lab.student)) == bool(url)
