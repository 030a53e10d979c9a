"""How the figures' scripts are cut: small functions, one layer that draws and listens."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[2] / "lib" / "frugal"
SCRIPTS = sorted(LIBRARY.rglob("*.js"))
OPENS = re.compile(
    r"""\bfunction\b.*\{$ | =>\ [({[]*\{$  # or a method:
    | ^\s+ (?:async\ |static\ )? (?!if|for|while|switch|catch) \#?\w+\([^;]*\)\ \{$""",
    re.VERBOSE,
)
MOST_LINES = 60
BROWSERS_OWN = {"frugal.define", "frugal.start", "frugal.finish"}  # of the page's registry


def functions(script: Path):
    """Where functions begin, and of how many lines they are: to the bracket below the beginning."""
    lines = script.read_text(encoding="utf-8").splitlines()
    for start, line in enumerate(lines):
        if OPENS.search(line):
            margin = line[: len(line) - len(line.lstrip())]
            rest = enumerate(lines[start + 1 :], start=2)
            yield line.strip(), next(n for n, one in rest if re.match(rf"{margin}[}})\]]", one))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda it: it.stem)
def test_functions_are_short(script) -> None:
    found = list(functions(script))
    long = {name: lines for name, lines in found if lines > MOST_LINES}
    if script.stem == "interactive":  # a classic script: one function around everything
        del long["window.frugal ??= (() => {"]
    assert long == {}


def test_functions_are_found() -> None:
    found = dict(functions(LIBRARY / "show" / "drawing.js"))
    assert found["export function mean(values) {"] == 3
    assert len(found) > 8


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda it: it.stem)
def test_one_layer_listens_and_makes_elements(script) -> None:
    if script.parent.name == "show":
        return
    for word in ("createElement", "model.on(", "model.off("):
        assert word not in script.read_text(encoding="utf-8")


def test_scripts_name_what_the_library_has() -> None:
    """A formula says which module of the library it repeats; modules move."""
    for script in SCRIPTS:
        for name in set(re.findall(r"\bfrugal(?:\.[a-z_]+)+", script.read_text(encoding="utf-8"))):
            module, _, attribute = name.rpartition(".")
            found = hasattr(import_module(module), attribute) or find_spec(name)
            assert name in BROWSERS_OWN or found, f"{script.name} names {name}"
