"""The rooms of the library stand on floors: a room imports from lower floors only."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import frugal

LIBRARY = Path(frugal.__file__).parent
FLOORS = [
    {"telling", "version"},
    {"checks", "lazily", "modes", "moved", "penalty", "positions", "replays"}
    | {"arithmetic", "claims"},
    {"results"},
    {"checkpoints", "data", "embeddings", "evidence", "feedforward", "measure", "norms"},
    {"attention", "named", "training"},
    {"adapters", "mixing"},
    {"model"},
    {"depth"},
    {"decoding", "tokens"},
    {"show", "tasks", "transfer"},
    {"figures"},
]
"""From the ground up. A room is a file or a folder of `frugal`; a new one has to find its floor."""
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
OTHER_HOUSES = {"labtools", "booktools", "experiments", "tests"}


def name_of(path: Path) -> str:
    """The module's full name, a folder's own for its `__init__`."""
    parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in LIBRARY.rglob("*.py")}


def imported(statement: ast.AST) -> Iterator[str]:
    """What one statement imports, as modules where there are such, of this house and the others."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom) and statement.module:
        for alias in statement.names:
            inner = f"{statement.module}.{alias.name}"
            yield inner if inner in MODULES else statement.module


@cache
def imports(module: str, *, everywhere: bool = True) -> frozenset[str]:
    """What a module imports: everywhere in it, or only what runs when it is imported itself."""
    tree = ast.parse(MODULES[module].read_text())
    statements = ast.walk(tree) if everywhere else tree.body
    return frozenset(name for statement in statements for name in imported(statement))


def room_of(module: str) -> str:
    return module.split(".")[1]


def test_every_room_has_a_floor():
    rooms = {room_of(module) for module in MODULES if "." in module}
    assert rooms == set(FLOOR), f"FLOORS differs in {sorted(rooms ^ set(FLOOR))}"


def test_no_lower_floor_imports_a_higher_one():
    up = [
        f"{module} imports {other}"
        for module in MODULES
        for other in imports(module)
        if other.startswith("frugal.") and "." in module and room_of(module) != room_of(other)
        if FLOOR[room_of(module)] <= FLOOR[room_of(other)]
    ]
    assert not up


def test_no_module_imports_itself_by_way_of_others():
    """Inside a room, too."""
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " > ".join([*path[path.index(module) :], module])
        if module in done:
            return
        for other in sorted(imports(module, everywhere=False) & MODULES.keys()):
            if other != module:  # a package that imports from its own parts by name
                walk(other, (*path, module))
        done.add(module)

    for module in sorted(MODULES):
        walk(module, ())


def test_the_library_imports_no_other_house():
    found = {
        f"{module} imports {other}"
        for module in MODULES
        for other in imports(module)
        if other.split(".")[0] in OTHER_HOUSES
    }
    assert not found


TO_COME: set[str] = set()
"""Chapters whose part of the library stands before they do."""


def test_the_modules_of_an_attention_name_their_chapter():
    chapters = {path.stem for path in (LIBRARY.parents[1] / "chapters").rglob("*.md")}
    assert not TO_COME & chapters, "these have come"
    chapters |= TO_COME
    shared = {"frugal.attention", "frugal.attention.contract", "frugal.attention.cache"}
    for module, path in MODULES.items():
        if not module.startswith("frugal.attention") or module in shared:
            continue
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        _, found, names = said.replace("\n", " ").partition("Chapter")
        assert found, f"{module} names no chapter"
        first = names.removeprefix("s").removeprefix(": ").split(".")[0]
        assert set(first.split(", ")) <= chapters, f"{module} names {first}"
