"""What someone gets who installs the wheel: the library alone, and one sentence for what is absent.

`FRUGAL_PYTHON` may name the Python of an environment that holds the built wheel and its base
dependencies alone; then the library that is imported is that one.
"""

import importlib
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
OPTIONAL = [
    *("IPython", "anywidget", "altair", "babel", "cycler", "ipywidgets", "matplotlib", "PIL"),
    *("scipy", "sklearn", "tokenizers", "traitlets", "transformers", "vl_convert"),
]
"""Packages of the extras, and what those bring: a base install need not have them."""

BLOCKED = f"""\
import sys

class WithoutExtras:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in {OPTIONAL!r}
        return None if absent else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(WithoutExtras, sys.meta_path)
"""


def run_without_extras(code: str, folder: Path) -> str:
    """What a program prints whose imports of optional packages fail, as in a base install."""
    named = os.environ.get("FRUGAL_PYTHON")
    python = str(Path(named).absolute()) if named else sys.executable
    path = {} if named else {"PYTHONPATH": str(ROOT / "lib")}
    done = subprocess.run(
        [python, "-W", "ignore", "-c", BLOCKED + code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "", **path},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


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
    lambda: plots.points(frame, "length", "y", name="by", alt="Points."),
    lambda: plots.bars(frame, "length", "y", by="by", alt="Bars."),
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
    "transformers": """
from frugal.adapters.transformers import register, use
calls = [
    lambda: register("frugal-softmax", lambda index, shape: None),
    lambda: use(None, "frugal-softmax"),
]
""",
}


ASKED = f"""
import frugal, importlib, json, pkgutil
modules = [info.name for info in pkgutil.walk_packages(frugal.__path__, "frugal.")]
modules = [name for name in modules if not name.endswith("__main__")]
for name in modules:
    importlib.import_module(name)
said = {{}}
for extra, code in {NEEDING!r}.items():
    names, said[extra] = {{}}, []
    exec(code, names)
    for call in names["calls"]:
        try:
            call()
            said[extra].append("nothing was missing")
        except Exception as error:
            said[extra].append(f"{{type(error).__name__}}: {{error}}")
print(json.dumps([modules, said]))
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> tuple[list[str], dict[str, list[str]]]:
    """Which modules a base install imports, and what calls that need more say."""
    return json.loads(run_without_extras(ASKED, tmp_path_factory.mktemp("base")))


def test_every_module_imports_with_the_base_dependencies(base):
    files = (ROOT / "lib" / "frugal").rglob("*.py")
    parts = [path.relative_to(ROOT / "lib").with_suffix("").parts for path in files]
    expected = {".".join(p[:-1] if p[-1] == "__init__" else p) for p in parts if len(p) > 1}
    expected -= {"frugal"} | {name for name in expected if name.endswith("__main__")}
    assert set(base[0]) == expected


@pytest.mark.parametrize("extra", NEEDING)
def test_one_sentence_names_the_extra(base, extra):
    for sentence in base[1][extra]:
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


@pytest.mark.parametrize("package", ["frugal", "frugal.decoding", "frugal.measure"])
def test_every_name_of_a_package_is_the_one_of_its_module(package):
    room = importlib.import_module(package)
    folder = Path(room.__file__).parent
    stub = (folder / "__init__.pyi").read_text()
    for name, home in room._HOME.items():
        value = getattr(room, name)
        assert f"from {package}.{home} import {name} as {name}\n" in stub
        if isinstance(value, type):
            assert value.__module__.startswith(f"{package}.{home}")
    assert stub.count(" as ") == len(room._HOME) == len(room.__all__)
    rooms = {path.stem for path in folder.iterdir()}
    assert not rooms & set(room.__all__), "a name is hidden by a module of the same name"


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
    assert len(cells) == 4
    for cell in cells:
        exec(compile(cell, "lib/README.md", "exec"), {})
