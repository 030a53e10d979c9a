"""A chapter's notebook runs after its first cell; buttons stand where there is an address."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from booktools.launching import (
    BRANCH,
    TAG,
    buttons,
    install_cell,
    offer_launch,
    with_install_cell,
)
from booktools.project import book_address, commit, on_github, repository
from tests.site.conftest import ROOT

PLACE = "someone/annotated-efficient-transformer"
PAGE = "chapters/2-interactions/side-by-side"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A repository whose pyproject.toml names its address."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    before, mark, after = text.partition("[project.optional-dependencies]")
    urls = f'[project.urls]\nRepository = "https://github.com/{PLACE}"\n\n'
    (tmp_path / "pyproject.toml").write_text(f"{before}{urls}{mark}{after}", encoding="utf-8")
    return tmp_path


def test_the_address_is_read_in_one_place(named: Path, tmp_path: Path) -> None:
    assert repository(named).endswith(PLACE)
    assert on_github(named) == PLACE
    assert book_address(named) == ""
    assert commit(tmp_path / "nowhere") == "main"
    readers = {
        path.name
        for folder in ("booktools", "labtools")
        for path in (REPOSITORY / "lib" / folder).glob("*.py")
        if "tomllib" in path.read_text(encoding="utf-8")
    }
    assert readers <= {"project.py", "autograder.py", "constraints.py"}


def test_buttons_open_the_page_on_colab_and_binder(named: Path, tmp_path: Path) -> None:
    colab, binder = buttons(named, PAGE)
    assert colab["url"] == (
        f"https://colab.research.google.com/github/{PLACE}/blob/{BRANCH}/{PAGE}.ipynb"
    )
    assert binder["url"].startswith(f"https://mybinder.org/v2/gh/{PLACE}/")
    assert binder["url"].endswith(f"?urlpath=lab%2Ftree%2F{PAGE.replace('/', '%2F')}.md")

    app = SimpleNamespace(srcdir=str(named))
    context = {"ipynb_source": f"{PAGE}.ipynb", "header_buttons": []}
    offer_launch(app, PAGE, "page.html", context, object())
    assert [one["text"] for one in context["header_buttons"][0]["buttons"]] == ["Colab", "Binder"]
    without = {"header_buttons": []}
    offer_launch(app, "chapters/appendix/glossary", "page.html", without, object())
    assert without["header_buttons"] == []


def test_without_an_address_nothing_is_said_of_them(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n', encoding="utf-8")
    assert buttons(tmp_path, PAGE) == []
    assert "git" not in install_cell(tmp_path)


def test_what_binder_and_colab_need_is_there() -> None:
    after = REPOSITORY / "postBuild"
    assert os.access(after, os.X_OK)
    assert "jupytext-config set-default-viewer" in after.read_text(encoding="utf-8")
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/site.yml").read_text("utf-8"))
    steps = "\n".join(step.get("run", "") for step in workflow["jobs"]["build"]["steps"])
    assert f"git init -q -b {BRANCH}" in steps
    assert "_build/html/_sources" in steps


@pytest.mark.parametrize("there", [False, True])
def test_the_first_cell_installs_what_is_missing(
    named: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    ran: list[list[str]] = []
    cell = install_cell(named)
    monkeypatch.chdir(named)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("FRUGAL_RESULTS", "")
    monkeypatch.setattr(subprocess, "run", lambda command, check: ran.append(list(command)))
    if not there:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(cell, {})
    if there:
        assert ran == []
        return
    start, fetch, checkout, install = ran
    assert start[:3] == ["git", "init", "-q"]
    assert fetch[-2:] == [f"https://github.com/{PLACE}", commit(named)]
    assert checkout[-1] == "FETCH_HEAD"
    assert install[:5] == [sys.executable, "-m", "pip", "install", "-q"]
    assert any(line.startswith("torch") for line in install)
    assert any(line.startswith("altair") for line in install)
    assert not [line for line in install if line.startswith(("jupyter", "sphinx", "mini-racer"))]
    assert sys.path[0].endswith("/lib")


def test_every_notebook_begins_with_it(html: Path) -> None:
    found = sorted(html.glob("_sources/chapters/*/*.ipynb"))
    assert len(found) > 20
    for path in found:
        first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
        assert first["metadata"]["tags"] == [TAG], path.name


def test_a_notebook_runs_from_its_first_cell_to_its_last(
    named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is said and the library is there: the first cell finds it and fetches nothing."""
    executed = ROOT / "_build" / "jupyter_execute" / f"{PAGE}.ipynb"
    whole = with_install_cell(json.loads(executed.read_text("utf-8")), install_cell(named))
    monkeypatch.setenv("FRUGAL_RESULTS", str(ROOT / "experiments" / "results"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "lib"), str(ROOT)]))
    notebook = nbformat.reads(json.dumps(whole), as_version=4)
    nbformat.validate(notebook)
    where = {"metadata": {"path": str(named)}}
    ran = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    assert ran.cells[0].execution_count == 1
    assert not [
        output
        for cell in ran.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    assert not (named / "annotated-efficient-transformer").exists()
