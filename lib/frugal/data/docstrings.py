"""English that ships with Python libraries: their docstrings, read from files, without an import.

Every library gives about as many characters, so that none outweighs the others. A text that mostly
repeats what came before goes, whichever module it is in; a module is in one split, whole.
Chapter: the-modification-zoo.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib.util
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from frugal.data.source import MissingSource, Source, check_split

LIBRARIES = {
    "matplotlib": "matplotlib",
    "networkx": "networkx",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "sympy": "sympy",
    "torch": "torch",
}
"""Packages whose docstrings are read, and what pip calls them."""

SOURCE = Source(
    name="docstrings",
    loader="frugal.data.docstrings.corpus",
    content="about 5 million characters of English on eight libraries, in 7,700 docstrings",
    licence="BSD-3-Clause (matplotlib: PSF-like), each library's own",
    origin="the .py files of installed packages; it differs by their versions",
    split="by module, about 80 / 10 / 10 % of each library, near-duplicates removed first",
    if_missing="pip install -c constraints.txt -e '.[book]'",
)

QUOTA = 800_000
"""Characters that a library gives, in the order of a hash of its modules' names."""
LEAST = 80
"""Characters of a text that is kept."""
STRETCH = 6
"""Words of the stretches by which texts are compared."""
SKIPPED = {"tests", "test", "testing", "conftest", "_vendor", "externals", "_external", "extern"}
GENERATED = {"version", "_version", "__config__"}
"""Modules that are written when a package is built, and differ from platform to platform."""


@dataclasses.dataclass(frozen=True)
class Docstring:
    """One docstring. library: the package. module: its dotted name. name: of what it describes.
    raw: as it is written, its indentation removed. text: its prose, on one line. defaults: the
    defaults of a function's parameters that are plain values, as they are written."""

    library: str
    module: str
    name: str
    raw: str
    text: str
    defaults: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Docstrings in three splits that share no module.

    versions: of each library. fingerprint: the first 12 hexadecimal digits of the SHA-256 of all
    texts; put it beside results, since the texts differ by version.
    """

    train: tuple[Docstring, ...]
    valid: tuple[Docstring, ...]
    test: tuple[Docstring, ...]
    versions: Mapping[str, str]
    fingerprint: str

    def split(self, name: str) -> tuple[Docstring, ...]:
        """train, valid or test."""
        check_split(name)
        return getattr(self, name)


@lru_cache
def corpus(*, quota: int = QUOTA) -> Corpus:
    """The docstrings of `LIBRARIES`. Reading them takes some seconds; later calls take no time.

    quota: characters that a library gives. Raises ValueError for a quota below 1, MissingSource
    where a library is not installed.
    """
    if quota < 1:
        raise ValueError(f"quota is {quota}; it must be 1 or more characters.")
    versions = {library: version_of(library) for library in LIBRARIES}
    found = without_repeats(one for library in LIBRARIES for one in _first(read(library), quota))
    splits: dict[str, list[Docstring]] = {"train": [], "valid": [], "test": []}
    for _, texts in itertools.groupby(found, lambda one: one.library):
        texts = list(texts)
        split = split_of(texts)
        for one in texts:
            splits[split[one.module]].append(one)
    digest = hashlib.sha256()
    for split, kept in splits.items():
        for one in kept:
            digest.update(f"{split}\0{one.module}\0{one.name}\0{one.raw}\0".encode())
    return Corpus(
        **{split: tuple(kept) for split, kept in splits.items()},
        versions=versions,
        fingerprint=digest.hexdigest()[:12],
    )


def version_of(library: str) -> str:
    """The installed version. Raises MissingSource where there is none."""
    try:
        return metadata.version(LIBRARIES[library])
    except metadata.PackageNotFoundError as error:
        raise _missing(library) from error


def read(library: str, *, root: Path | None = None) -> Iterator[Docstring]:
    """The docstrings of a library, modules in the order of a hash of their names.

    root: the package's folder, by default where it is installed. Raises MissingSource.
    """
    root = _folder(library) if root is None else root
    modules = {_module(library, root, path): path for path in root.rglob("*.py")}
    for module in sorted(modules, key=_digest):
        parts = module.split(".")
        if not SKIPPED & set(parts) and parts[-1] not in GENERATED:
            yield from of_file(library, module, modules[module])


def of_file(library: str, module: str, path: Path) -> Iterator[Docstring]:
    """The docstrings of one file, in its order. A file that does not parse has none."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        raw = ast.get_docstring(node)
        if raw and len(text := prose(raw)) >= LEAST:
            name = getattr(node, "name", module.rpartition(".")[2])
            yield Docstring(library, module, name, raw, text, defaults_of(node))


def prose(raw: str) -> str:
    """The sentences of a docstring on one line: no examples, tables, headings or rulers."""
    kept = []
    for block in re.split(r"\n[ \t]*\n", raw):
        lines = [line.strip() for line in block.splitlines()]
        lines = [line for line in lines if line.strip("-=~^*. ")]
        if not lines or lines[0].startswith((">>>", "...", "..", "|", "+-", "$ ")):
            continue
        text = " ".join(" ".join(lines).split())
        plain = sum(character.isalpha() or character == " " for character in text)
        if len(text.split()) > 3 and plain > 0.8 * len(text):
            kept.append(text)
    return " ".join(kept)


def defaults_of(node: ast.AST) -> dict[str, str]:
    """Parameters of a function whose default is a plain value, and the value as Python writes it.
    Of a class, those of its `__init__`."""
    if isinstance(node, ast.ClassDef):
        own = (part for part in node.body if isinstance(part, ast.FunctionDef))
        node = next((part for part in own if part.name == "__init__"), node)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {}
    given = node.args
    places = [*given.posonlyargs, *given.args]
    last = places[len(places) - len(given.defaults) :]
    named = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    pairs = [*zip(last, given.defaults, strict=True), *named]
    return {
        argument.arg: ast.unparse(value)
        for argument, value in pairs
        if isinstance(value.operand if isinstance(value, ast.UnaryOp) else value, ast.Constant)
    }


def without_repeats(texts: Iterable[Docstring]) -> Iterator[Docstring]:
    """Texts, less those of which half of all stretches of `STRETCH` words were in texts before."""
    seen: set[str] = set()
    for one in texts:
        words = re.findall(r"[a-z]+|\d", one.text.lower())
        last = max(1, len(words) - STRETCH + 1)
        stretches = {" ".join(words[at : at + STRETCH]) for at in range(last)}
        if len(stretches & seen) * 2 < len(stretches):
            seen |= stretches
            yield one


def split_of(texts: Sequence[Docstring]) -> dict[str, str]:
    """The split of each module of one library: test until that has a tenth of all characters, then
    valid until it has another, then train."""
    sizes: dict[str, int] = {}
    for one in texts:
        sizes[one.module] = sizes.get(one.module, 0) + len(one.text)
    given, found = {"test": 0, "valid": 0, "train": 0}, {}
    for module, size in sizes.items():
        wanting = (split for split in ("test", "valid") if 10 * given[split] < sum(sizes.values()))
        found[module] = next(wanting, "train")
        given[found[module]] += size
    return found


def _first(texts: Iterable[Docstring], quota: int) -> Iterator[Docstring]:
    """Texts until they have `quota` characters, the last one whole."""
    given = 0
    for one in texts:
        yield one
        given += len(one.text)
        if given >= quota:
            return


def _folder(library: str) -> Path:
    try:
        spec = importlib.util.find_spec(library)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise _missing(library)
    return Path(spec.origin).parent


def _missing(library: str) -> MissingSource:
    return MissingSource(
        f"the data set '{SOURCE.name}' needs {LIBRARIES[library]}, which is not installed here: "
        f"{SOURCE.if_missing}"
    )


def _module(library: str, root: Path, path: Path) -> str:
    parts: Sequence[str] = path.relative_to(root).with_suffix("").parts
    return ".".join([library, *(parts[:-1] if parts[-1] == "__init__" else parts)])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
