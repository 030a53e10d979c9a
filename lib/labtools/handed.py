"""Who handed in which file, and which attempt counts."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labtools.files import write_whole
from labtools.grades import MISSING, Grade
from labtools.people import Author, Person, Roster, author_of
from labtools.submissions import Submission, read_submission

ACCEPTED_FILE = "accepted.txt"


@dataclass(frozen=True)
class Handed:
    """A submission and who handed it in."""

    submission: Submission
    author: Author
    person: Person | None
    lab: str

    @property
    def student(self) -> str:
        """Who it is, where that is certain; empty where every file may be somebody else's."""
        if self.person is not None:
            return f"roster {self.person.id}"
        return f"{self.author.platform} {self.author.id}" if self.author.platform else ""

    @property
    def when(self) -> float:
        known = self.person.when if self.person is not None else None
        return known if known is not None else self.submission.when

    @property
    def order(self) -> tuple[bool, tuple[int, int], float, str]:
        """Later attempts are larger; what cannot be read is smaller than anything."""
        readable = not self.submission.problem
        return readable, self.author.attempt, self.submission.when, self.submission.name


def read_handed(path: Path, folder: Path, only: str | None, roster: Roster | None) -> Handed:
    submission = read_submission(path, folder)
    author = author_of(submission.name)
    person = roster.find(author, submission.name) if roster is not None else None
    return Handed(submission, author, person, only or submission.lab)


def latest_attempts(handed: Sequence[Handed]) -> list[Handed]:
    """The latest attempt of each student at each lab; everything of nobody in particular."""
    attempts: dict[tuple[str, str], list[Handed]] = defaultdict(list)
    for one in handed:
        unreadable = one.submission.problem and not one.lab
        who = one.student if one.student and not unreadable else one.submission.name
        attempts[who, one.lab].append(one)
    return [max(several, key=lambda one: one.order) for several in attempts.values()]


def accepted_files(
    to: Path, named: Sequence[str], handed: Sequence[Handed]
) -> set[tuple[str, str]]:
    """Digests and names of files whose flags were accepted, now or before; kept beside the grades.

    The same file of another student is not accepted with it, nor is a changed file of that name.

    Raises ValueError if a name is none of a submission.
    """
    path = to / ACCEPTED_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    known = {one.submission.name: one.submission.digest for one in handed}
    for name in named:
        if name not in known:
            raise ValueError(f"accept is {name!r}; it must be the name of a submission.")
        line = f"{known[name]}  {name}"
        lines += [] if line in lines else [line]
    if named:
        write_whole(path, "\n".join(lines) + "\n")
    return {(digest, name) for digest, _, name in (line.partition("  ") for line in lines)}


def nothing_handed_in(handed: Sequence[Handed], roster: Roster | None) -> list[Grade]:
    """A row for everybody on the roster who handed in nothing."""
    here = {one.person.id for one in handed if one.person is not None}
    people = roster.people if roster is not None else ()
    return [
        Grade("", "", MISSING, 0, student_id=person.id, student_name=person.name)
        for person in people
        if person.id not in here
    ]
