"""Which files a chapter's outputs depend on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from booktools.dependencies import dependencies, fingerprint

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "lib" / "frugal"
CHAPTERS = [ROOT / "index.md", *sorted((ROOT / "chapters").rglob("*.md"))]
SHOWN_BY_MANY = {
    *LIBRARY.glob("figures/running_example/*"),
    LIBRARY / "data" / "journeys.py",
    ROOT / "experiments" / "results" / "elimination.json",
}
"""The running example, its story and its model: each chapter about an attention shows it."""
MOST = {"the-modification-zoo": 100}
"""It builds all 52 rows of its table and counts their parameters: on 15 families of modifications
stands what it says, and on the parts of the library that these are made of."""
FILES = {
    "constraints.txt": "torch==1\n",
    "experiments/__init__.py": "",
    "experiments/results/copying.json": "{}",
    "experiments/results/dates.json": "{}",
    "lib/frugal/__init__.py": "",
    "lib/frugal/norms.py": "import torch\n",
    "lib/frugal/model.py": "from .norms import Norm\nfrom frugal.attention import softmax\n",
    "lib/frugal/attention/__init__.py": '"""Which tokens see which."""\n',
    "lib/frugal/attention/softmax.py": "",
    "lib/frugal/attention/lsh.py": "",
    "lib/frugal/show/__init__.py": '_HOME = {"chart": "charts"}\n',
    "lib/frugal/show/frames.py": "",
    "lib/frugal/data/__init__.py": "from frugal.data.source import Source\nREAL = 1\n",
    "lib/frugal/data/source.py": "",
    "lib/frugal/data/text.py": "from frugal.data import Source, REAL\n",
    "lib/frugal/data/dates.py": "",
    "lib/frugal/show/charts.py": 'import altair\nmodule = "charts.js"\n',
    "lib/frugal/show/charts.js": "",
    "lib/frugal/show/controls.js": "",
    "lib/frugal/show/unused.css": "",
    "lib/frugal/figures/__init__.py": "",
    "lib/frugal/figures/levers/__init__.py": "from frugal.figures.levers.lever import Lever\n",
    "lib/frugal/figures/levers/lever.py": 'module, style = "lever.js", "lever.css"\n',
    "lib/frugal/figures/levers/lever.css": "",
    "lib/frugal/figures/levers/other.css": "",
    "lib/frugal/figures/levers/lever.js": """\
import { arm } from "../arms/arm.js";
""",
    "lib/frugal/figures/arms/arm.js": 'import { slider } from "../../show/controls.js";\n',
    "lib/frugal/figures/arms/arm.css": "",
}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def found(book: Path, code: str, prose: str = "") -> set[str]:
    chapter = book / "chapter.md"
    chapter.write_text(
        f"# Title\n\n{prose}\n\n```{{code-cell}}\n:tags: [hide-input]\n{code}\n```\n"
    )
    paths = {path.relative_to(book).as_posix() for path in dependencies(chapter, book)}
    return {path.removeprefix("lib/frugal/") for path in paths} - {"constraints.txt", "__init__.py"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import torch", set()),
        ("from frugal.norms import Norm", {"norms.py"}),
        ("import frugal.norms as norms", {"norms.py"}),
        (
            "from frugal.model import Encoder",
            {"model.py", "norms.py", "attention/softmax.py"},
        ),
        ("from frugal.attention.lsh import x", {"attention/lsh.py"}),
        ("from frugal.show import chart", {"show/__init__.py", "show/charts.py", "show/charts.js"}),
        ("from frugal.data import Source", {"data/__init__.py", "data/source.py"}),
        (
            "from frugal.data import text",
            {"data/__init__.py", "data/source.py", "data/text.py"},
        ),
        (
            "from frugal.data import found_later",
            {"data/__init__.py", "data/source.py", "data/text.py", "data/dates.py"},
        ),
        (
            "import frugal.data",
            {"data/__init__.py", "data/source.py", "data/text.py", "data/dates.py"},
        ),
        (
            "from frugal.figures.levers import Lever",
            {
                "figures/levers/__init__.py",
                "figures/levers/lever.py",
                "figures/levers/lever.css",
                "figures/levers/lever.js",
                "figures/arms/arm.js",
                "show/controls.js",
            },
        ),
        ("%matplotlib inline\nfrom frugal.norms import Norm", {"norms.py"}),
        ("if True:\n    from frugal.norms import Norm", {"norms.py"}),
    ],
)
def test_imports_are_followed(book, code, expected) -> None:
    assert found(book, code) == expected


def test_a_recorded_result_counts_when_code_that_loads_names_it(book) -> None:
    copying, dates = (f"experiments/results/{name}.json" for name in ("copying", "dates"))
    assert found(book, 'x = results.load("copying").seconds', prose="as `dates` is") == {copying}
    assert found(book, 'NAMES = ["copying", "dates"]\nx = load(NAMES[1])') == {copying, dates}
    assert found(book, 'x = "copying"') == set()
    (book / "lib/frugal/loads.py").write_text('x = load("dates")\n')
    assert found(book, "import frugal.loads") == {"loads.py", dates}


def test_a_word_that_is_also_the_name_of_a_result_is_no_result(book) -> None:
    dates = "experiments/results/dates.json"
    assert found(book, 'x = load("dates")["copying"]') == {dates}
    assert found(book, 'x = load(name="dates")["copying"]') == {dates}
    assert found(book, 'load(NAME)\nload("dates")\nNAME = "copy" + "ing"') == {dates}
    assert len(found(book, 'load(NAME)\nNAME = "copying"\nload("dates")')) == 2


def test_a_package_counts_from_its_first_line_of_code(book) -> None:
    home = book / "lib/frugal/attention/__init__.py"
    assert "attention/__init__.py" not in found(book, "import frugal.attention.lsh")
    home.write_text('"""Which tokens see which."""\n\nMOST = 3\n')
    assert "attention/__init__.py" in found(book, "import frugal.attention.lsh")


def test_a_cell_that_is_no_python_depends_on_everything(book) -> None:
    names = {name for name in FILES if name.endswith(".py") and not name.endswith("__init__.py")}
    everything = {name.removeprefix("lib/frugal/") for name in names}
    assert everything | {"data/__init__.py"} <= found(book, "this is no Python")


def test_fingerprint_changes_with_what_is_imported_and_with_nothing_else(book) -> None:
    found(book, "from frugal.norms import Norm")
    before = fingerprint(book / "chapter.md", book)
    (book / "lib/frugal/attention/lsh.py").write_text("changed = 1\n")
    assert fingerprint(book / "chapter.md", book) == before
    (book / "lib/frugal/norms.py").write_text("changed = 1\n")
    assert fingerprint(book / "chapter.md", book) != before


# The book as it stands


@pytest.fixture(scope="module")
def depends() -> dict[Path, set[Path]]:
    return {chapter: dependencies(chapter, ROOT) for chapter in CHAPTERS}


def test_the_note_of_a_check_makes_no_page_again_and_a_number_does(book) -> None:
    found(book, 'from frugal import results\nresults.load("dates")\n')
    record = book / "experiments" / "results" / "dates.json"
    chapter = book / "chapter.md"
    states = []
    for text in ('{"runs": [1]}', '{"runs": [1], "checked": {"held": true}}', '{"runs": [2]}'):
        record.write_text(text)
        states.append(fingerprint(chapter, book))
    assert states[0] == states[1] != states[2]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_depends_on_few_files(depends, chapter) -> None:
    files = depends[chapter] - SHOWN_BY_MANY
    assert len(files) <= MOST.get(chapter.stem, 80)
    assert len([path for path in files if path.suffix in {".js", ".css"}]) <= 12


@pytest.mark.parametrize("style", sorted(LIBRARY.glob("figures/*/*.css")), ids=lambda it: it.stem)
def test_a_style_sheet_touches_its_figures_chapters_alone(depends, style) -> None:
    touched = {chapter for chapter in CHAPTERS if style in depends[chapter]}
    using = f"from frugal.figures.{style.parent.name}"
    assert touched == {it for it in CHAPTERS if using in it.read_text(encoding="utf-8")}
    assert len(touched) == 1 or style in SHOWN_BY_MANY


def test_no_file_of_the_library_goes_unnoticed(depends) -> None:
    """A file whose name is put together at run time would be no dependency: spell it out."""
    files = {path for path in LIBRARY.rglob("*") if path.is_file()}
    files = {path for path in files if path.suffix not in (".pyc", ".pyi")}
    loaded = {path for path in files if path.suffix != ".py"} - {LIBRARY / "py.typed"}
    assert loaded - set().union(*depends.values()) == set()


def test_fingerprints_of_the_book_follow_one_style_sheet(tmp_path) -> None:
    for name in ("lib/frugal", "chapters", "experiments"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.pyc"))
    chapters = [next(tmp_path.rglob(f"chapters/*/{name}.md")) for name in ("acting", "bytes")]
    before = {chapter.stem: fingerprint(chapter, tmp_path) for chapter in chapters}
    with (tmp_path / "lib/frugal/figures/acting/voxel_cabinet.css").open("a") as style:
        style.write("/* a line more */\n")
    after = {chapter.stem: fingerprint(chapter, tmp_path) for chapter in chapters}
    assert [name for name in before if before[name] != after[name]] == ["acting"]
