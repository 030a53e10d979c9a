"""The reference is made from what the library says of itself."""

import json

import pytest

import frugal
from booktools.docstrings import modules, read
from booktools.imports import imported
from booktools.reference import Marked, library_names, pages, places, table
from tests.book.pages import ROOT

MODULES = modules(ROOT)
SOURCE = '''"""A room. Chapter: hashing, sorting.

    x = 1
"""

LIMIT: int = 3
"""The most that there may be."""

HIDDEN = 4


def find(q: Float[Tensor, "batch heads length head_dim"], *, window: int, causal=False) -> Tensor:
    """What `Room` finds."""


def _inner():
    """Not public."""


@dataclass(frozen=True)
class Room:
    """A room of `LIMIT`."""

    size: int
    door: str = "oak"
    kinds: ClassVar[int] = 3

    @property
    def open(self) -> bool:
        """Whether one can go in."""

    def forward(self, x: Tensor) -> Tensor:
        """Go through."""
'''


@pytest.fixture
def room(tmp_path):
    path = tmp_path / "lib" / "frugal" / "room.py"
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)
    return read(path, tmp_path)


def test_a_module_is_read_without_being_imported(room):
    assert (room.name, room.path) == ("frugal.room", "lib/frugal/room.py")
    limit, find, made = room.members
    assert (limit.signature, limit.doc) == ("LIMIT: int = 3", "The most that there may be.")
    assert find.signature.splitlines() == [
        "find(",
        "    q: Float[Tensor, 'batch heads length head_dim'],",
        "    *,",
        "    window: int,",
        "    causal=False,",
        ") -> Tensor",
    ]
    assert made.signature == "Room(size: int, door: str = 'oak')"
    assert [one.signature for one in made.members] == [
        "open: bool",
        "forward(x: Tensor) -> Tensor",
    ]


def test_every_module_has_a_page_and_says_what_it_is():
    assert {"reference/frugal", "reference/frugal.attention.lsh.attention"} <= set(pages(ROOT))
    assert len(pages(ROOT)) == len(MODULES) > 200
    assert not [name for name, one in MODULES.items() if not one.doc]


def test_the_names_of_the_package_lead_to_where_they_are_told_of():
    known = library_names(ROOT)
    assert {("frugal", name) for name in frugal._HOME if name[0] != "_"} <= set(known)
    assert places(ROOT)["LshAttention"] == (
        "reference/frugal.attention.lsh.attention.html#LshAttention"
    )


class Citation:
    citation_id = "id4"

    class bibliography_key:
        docname = "chapters/appendix/references"


class Person:
    rich_prelast_names = ()
    rich_last_names = ("Kitaev",)


class Entry:
    persons = {"author": [Person] * 3}  # noqa: RUF012
    fields = {"year": "2020"}  # noqa: RUF012


@pytest.fixture
def marked():
    made = Marked.__new__(Marked)
    made.link, made.root, made.places = (lambda place: f"../{place}"), ROOT, places(ROOT)
    made.chapters = {"hashing": ("chapters/2-interactions/hashing", "Hashing")}
    made.entries, made.listed = {"kitaev2020reformer": Entry}, {"kitaev2020reformer": Citation}
    return made


def test_a_docstring_becomes_paragraphs_with_links(marked):
    html = marked.text(
        "See `LshAttention`, `x < y` and kitaev2020reformer. Chapters: hashing, tea.\n\n"
        "    q @ k\n\n- one\n- two\n  more"
    )
    assert '<a href="../reference/frugal.attention.lsh.attention.html#LshAttention">' in html
    assert "<code>x &lt; y</code>" in html
    assert 'references.html#id4">Kitaev et al., 2020</a>' in html
    assert '<a href="../chapters/2-interactions/hashing.html">Hashing</a>, tea' in html
    assert "<pre>    q @ k</pre>" in html
    assert html.count("<li>") == 2


def test_the_table_is_read_aloud_as_words(marked):
    record = ROOT / "chapters" / "appendix" / "variants.json"
    html = table(record, marked)
    rows = json.loads(record.read_text())["variants"]
    assert html.count('scope="row"') == len(rows)
    assert 'aria-label="yes">✓' in html
    assert 'aria-label="no">–' in html
    assert all(name in html for name in ("Attentions", "Mixers", "Stacks"))


def test_a_chapter_depends_on_the_module_behind_a_name_of_the_package():
    """And on what that imports alone, not on the whole library."""
    found = {path.relative_to(ROOT / "lib").as_posix() for path in imported_by_a_cell()}
    assert found == {"frugal/__init__.py", "frugal/attention/lsh/__init__.py", "frugal/model.py"}


def imported_by_a_cell():
    return imported("from frugal import Decoder, LshAttention", ROOT, package=None)
