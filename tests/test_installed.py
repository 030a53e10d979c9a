"""What someone gets who installs the wheel: the library alone, and one sentence for what is absent.

`FRUGAL_PYTHON` may name the Python of an environment that holds the built wheel and its base
dependencies alone; then the library that is imported is that one.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = (
    "IPython anywidget altair babel cycler ipywidgets jupyterlab matplotlib PIL scipy sklearn "
    "tokenizers traitlets transformers vl_convert"
).split()
"""Packages of the extras, and what those bring: a base install need not have them."""

BLOCKED = f"""\
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def run_without_extras(code: str, folder: Path) -> str:
    """What a program prints whose imports of optional packages fail, as in a base install."""
    python = os.environ.get("FRUGAL_PYTHON")
    path = {} if python else {"PYTHONPATH": str(ROOT / "lib")}
    done = subprocess.run(
        [python or sys.executable, "-W", "ignore", "-c", BLOCKED + code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "", **path},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_every_module_imports_with_the_base_dependencies(tmp_path):
    code = """
import frugal, importlib, json, pkgutil
names = [info.name for info in pkgutil.walk_packages(frugal.__path__, "frugal.")]
names = [name for name in names if not name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(json.dumps(names))
"""
    found = set(json.loads(run_without_extras(code, tmp_path)))
    files = (ROOT / "lib" / "frugal").rglob("*.py")
    parts = [path.relative_to(ROOT / "lib").with_suffix("").parts for path in files]
    expected = {".".join(p[:-1] if p[-1] == "__init__" else p) for p in parts if len(p) > 1}
    assert found == expected - {"frugal"} - {n for n in expected if n.endswith("__main__")}


NEEDING = {
    "figures": """
from frugal import results
from frugal.show import theme, charts, plots, frames, interactive, pictures
from frugal.training import History
from frugal.measure import draw
from frugal.figures.hashing import HashExplorer
import pandas as pd
frame = pd.DataFrame({"length": [1, 2], "y": [1.0, 2.0], "by": ["a", "a"]})
calls = [
    theme.use_style,
    lambda: charts.lines(frame, "length", "y", by="by", alt="Lines."),
    lambda: charts.panels(None, frame, "by"),
    lambda: charts.Chart({}, alt="A chart.").to_png(),
    lambda: charts.Chart({}, alt="A chart.").widget(),
    lambda: plots.points(frame, "y", "by", alt="Points."),
    lambda: plots.bars(frame, "y", "by", alt="Bars."),
    lambda: frames.interact(print, value=[1, 2], alt="Numbers."),
    lambda: frames.Frames(controls=[], frames=[], still="a", alt="A").to_png(),
    lambda: pictures.picture(None, alt="A picture."),
    lambda: pictures.themed_svg(None, alt="A picture."),
    lambda: History().plot(),
    lambda: draw(frame),
    lambda: HashExplorer().to_png(),
    lambda: HashExplorer().widget(),
]
""",
    "evidence": """
from frugal import evidence, results
calls = [
    lambda: evidence.difference_interval([1.0, 2.0], [2.0, 4.0]),
    lambda: evidence.mcnemar([1, 0], [0, 1]),
    lambda: evidence.power(1.0, 1.0, 5),
    lambda: evidence.detectable(1.0, 5),
    lambda: results.mean_interval([1.0, 2.0]),
]
""",
    "data": """
from frugal.data import dates, digits
calls = [lambda: dates.pairs(3, seed=0), digits.load]
""",
}


@pytest.mark.parametrize("extra", NEEDING)
def test_one_sentence_names_the_extra(tmp_path, extra):
    code = (
        NEEDING[extra]
        + """
import json
said = []
for call in calls:
    try:
        call()
        said.append("nothing was missing")
    except Exception as error:
        said.append(f"{type(error).__name__}: {error}")
print(json.dumps(said))
"""
    )
    for sentence in json.loads(run_without_extras(code, tmp_path)):
        assert f"pip install 'frugal-attention[{extra}]'" in sentence, sentence
        assert "\n" not in sentence
    assert extra in PROJECT["optional-dependencies"]


def test_importing_the_package_alone_imports_no_torch(tmp_path):
    code = """
import frugal
print(frugal.__version__, "torch" in sys.modules)
assert set(frugal.__all__) <= set(dir(frugal))
try:
    frugal.Dekoder
except AttributeError as error:
    print(error)
"""
    found = run_without_extras(code, tmp_path).splitlines()
    assert found[0].endswith(" False")
    assert found[1] == "module 'frugal' has no attribute 'Dekoder'"


def test_the_version_is_said_once():
    import frugal

    assert PROJECT["dynamic"] == ["version"]
    assert f"version: {frugal.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    first = (ROOT / "CHANGELOG.md").read_text().partition("\n## ")[2]
    assert first.startswith(frugal.__version__)


def test_every_name_of_the_package_is_the_one_of_its_module():
    import frugal

    stub = (ROOT / "lib" / "frugal" / "__init__.pyi").read_text()
    for name, home in frugal._HOME.items():
        value = getattr(frugal, name)
        assert f"from frugal.{home} import {name} as {name}\n" in stub
        if isinstance(value, type):
            assert value.__module__.startswith(f"frugal.{home}")
    assert stub.count(" as ") == len(frugal._HOME) == len(frugal.__all__)
    rooms = {path.stem for path in (ROOT / "lib" / "frugal").iterdir()}
    assert not rooms & set(frugal.__all__), "a name is hidden by a module of the same name"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy, so that nothing is left behind in the checkout."""
    folder = tmp_path_factory.mktemp("built")
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "lib", folder / "lib", ignore=ignored)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*pip, "-w", "dist", "."], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (path,) = (folder / "dist").glob("*.whl")
    return path


def test_the_wheel_holds_the_library_alone_and_is_small(wheel):
    import frugal

    assert wheel.name == f"frugal_attention-{frugal.__version__}-py3-none-any.whl"
    assert wheel.stat().st_size <= 1_000_000
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (record,) = (name for name in names if name.endswith("METADATA"))
        metadata = archive.read(record).decode()
    tops = {name.partition("/")[0] for name in names}
    assert {"frugal", f"frugal_attention-{frugal.__version__}.dist-info"} == tops
    library = ROOT / "lib" / "frugal"
    files = {f"frugal/{p.relative_to(library)}" for p in library.rglob("*") if p.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    assert {name for name in names if name.startswith("frugal/")} == files
    assert "License-Expression: BSD-3-Clause" in metadata
    assert "Description-Content-Type: text/markdown" in metadata


def test_the_page_of_the_package_index_needs_nothing_beside_it():
    """No picture and no link that leads into the checkout; and its code runs."""
    text = (ROOT / "lib" / "README.md").read_text()
    assert "](" not in text
    assert "pip install frugal-attention" in text
    assert "pip install frugal-attention" in (ROOT / "README.md").read_text()
    cells = [part.partition("```")[0] for part in text.split("```python\n")[1:]]
    assert len(cells) == 3
    for cell in cells:
        exec(compile(cell, "lib/README.md", "exec"), {})
