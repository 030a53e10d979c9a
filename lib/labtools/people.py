"""Who handed in what: names of files as learning platforms write them, and a list of the class."""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

CANVAS = "canvas"
MOODLE = "moodle"
PLAIN = "plain"

# muellerjuergen_LATE_12345_678901_lab01-2.ipynb: name, user, attachment, file, attempt
_CANVAS_FILE = re.compile(r"^([^\W_]+(?:-[^\W_]+)*)_(late_)?(\d+)_(\d+)_(.+)$", re.IGNORECASE)
_CANVAS_ATTEMPT = re.compile(r"-(\d+)\.\w+$")
# Jürgen Müller_1234567_assignsubmission_file_/lab01.ipynb: name, participant
_MOODLE_PART = re.compile(r"^(.+?)_(\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?$")
_MOODLE_TIMES = ("%A, %d %B %Y, %I:%M %p", "%A, %d %B %Y, %H:%M", "%Y-%m-%d %H:%M")

_ID_COLUMNS = ("id", "student id", "student number", "number", "matriculation number")
_EMAIL_COLUMNS = ("email", "e-mail", "email address", "mail")


@dataclass(frozen=True)
class Author:
    """Who handed a file in, as far as its name says, and which attempt it is."""

    platform: str = ""
    id: str = ""
    name: str = ""
    late: bool = False
    attempt: tuple[int, int] = (0, 0)  # later ones are larger


@dataclass(frozen=True)
class Person:
    """A line of the roster. `row` is that line, for the table that goes back to the platform."""

    id: str
    name: str
    keys: frozenset[str]
    row: dict[str, str]
    when: float | None = None


@dataclass(frozen=True)
class Roster:
    """The class: a list of one's own, Canvas's export of the grade book, or Moodle's worksheet."""

    kind: str
    columns: tuple[str, ...] = ()
    people: tuple[Person, ...] = field(default=())

    def find(self, author: Author, path: str) -> Person | None:
        """The one person who can be meant by a file at `path`; none if several can."""
        if self.kind == author.platform:
            return next((person for person in self.people if person.id == author.id), None)
        for wanted in _possible_keys(author, path):
            found = [person for person in self.people if wanted & person.keys]
            if len(found) == 1:
                return found[0]
        return None


def author_of(path: str) -> Author:
    """Read the name of a file, as `folder/file.ipynb` below the folder of submissions."""
    for part in path.split("/"):
        if match := _MOODLE_PART.match(part):
            return Author(MOODLE, id=match[2], name=match[1])
    file = path.rpartition("/")[2]
    if match := _CANVAS_FILE.match(file):
        again = _CANVAS_ATTEMPT.search(file)
        attempt = (int(again[1]) if again else 0, int(match[4]))
        return Author(CANVAS, id=match[3], name=match[1], late=bool(match[2]), attempt=attempt)
    return Author()


def read_roster(path: Path) -> Roster:
    """Read the list of a class from a CSV file.

    Columns `id` and `name`, with `email` if there is one, make a list of one's own. A grade book
    that Canvas exported has `Student` and `ID`; a worksheet of Moodle has `Identifier` and
    `Full name`.

    Raises ValueError if the file cannot be read or has none of these columns, or if somebody on it
    has no id or that of another.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"roster is {path}; it must be a CSV file in UTF-8 ({error}).") from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:  # a quoted cell may go over several lines
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        columns = tuple(reader.fieldnames or ())
        read = list(reader)
    except csv.Error as error:
        raise ValueError(f"roster is {path}; it must be a CSV file ({error}).") from error
    kind = _kind(columns)
    if not kind:
        raise ValueError(
            f"roster is {path} with the columns {', '.join(columns)}; it must have `id` and "
            "`name`, or be a grade book of Canvas or a worksheet of Moodle."
        )
    rows = [{key: value or "" for key, value in row.items() if key} for row in read]
    people = [person for row in rows if (person := _person(row, kind)) is not None]
    _check_ids(path, people)
    return Roster(kind, columns, tuple(people))


def _check_ids(path: Path, people: Sequence[Person]) -> None:
    """Each has an id of their own: files of one id are attempts of one student."""
    times = Counter(person.id for person in people)
    for person in people:
        if not person.id:
            raise ValueError(
                f"roster is {path}; {person.name or 'somebody'} has no id there and must have one."
            )
        if times[person.id] > 1:
            raise ValueError(
                f"roster is {path}; the id {person.id} stands there {times[person.id]} times; it "
                "must be one person's."
            )


def _kind(columns: tuple[str, ...]) -> str:
    lower = {column.strip().lower() for column in columns}
    if {"student", "id"} <= lower:
        return CANVAS
    if {"identifier", "full name"} <= lower:
        return MOODLE
    return PLAIN if lower & set(_ID_COLUMNS) else ""


def _person(row: dict[str, str], kind: str) -> Person | None:
    lower = {key.strip().lower(): value.strip() for key, value in row.items()}
    if kind == CANVAS:
        name, number = lower["student"], lower["id"]
        if not number or name.lower().startswith("points possible"):
            return None
        extra = (lower.get("sis user id", ""), lower.get("sis login id", ""))
    elif kind == MOODLE:
        name, number = lower["full name"], re.sub(r"\D", "", lower["identifier"])
        extra = (lower.get("id number", ""), lower.get("email address", ""))
    else:
        number = _first(lower, _ID_COLUMNS)
        both = f"{lower.get('first name', '')} {lower.get('last name', '')}"
        name = lower.get("name") or lower.get("full name") or both.strip()
        extra = (_first(lower, _EMAIL_COLUMNS),)
    if not (number or name or any(extra)):  # an empty line
        return None
    mail_names = [value.partition("@")[0] for value in extra if "@" in value]
    keys = {bare(value) for value in (number, *extra, *mail_names, *_orders(name))}
    when = _moodle_time(lower.get("last modified (submission)", ""))
    return Person(number, name, frozenset(keys - {""}), row, when)


def _first(row: dict[str, str], columns: Iterable[str]) -> str:
    return next((row[column] for column in columns if row.get(column)), "")


def _orders(name: str) -> list[str]:
    """`Ada Lovelace`, `Lovelace, Ada` and `Lovelace Ada` are one name."""
    last, comma, first = name.partition(",")
    words = f"{first} {last}".split() if comma else name.split()
    return [" ".join(words), " ".join([*words[-1:], *words[:-1]])] if words else []


def _possible_keys(author: Author, path: str) -> Iterable[set[str]]:
    """What may name a person, the surest first: the platform, each part of the path, its words."""
    if author.platform:
        yield {bare(author.id)}
        yield {bare(author.name)}
    *folders, file = path.split("/")
    parts = [*folders, file.rpartition(".")[0]]
    yield {bare(part) for part in parts} - {""}
    yield {bare(word) for part in parts for word in re.split(r"[_\s()+-]+", part)} - {""}


def bare(text: str) -> str:
    """Letters and digits alone, small and without accents: `Müller` and `muller` are one."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in plain if character.isalnum())


def _moodle_time(text: str) -> float | None:
    for form in _MOODLE_TIMES:
        try:
            return datetime.strptime(text, form).timestamp()
        except ValueError:
            continue
    return None
