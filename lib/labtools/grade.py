"""Grade a folder of notebooks: the control first, then each in a process of its own."""

import math
import os
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from labtools.build import Lab, imported_modules
from labtools.duplicates import answers_by_question, same_code
from labtools.exports import platform_tables
from labtools.files import write_whole
from labtools.grades import BYTE_ORDER_MARK, EARLIER, GRADED, Grade, grades_table
from labtools.handed import (
    Handed,
    accepted_files,
    latest_attempts,
    nothing_handed_in,
    read_handed,
)
from labtools.marking import (
    ControlFailed,
    Desk,
    empty_grade,
    grade_submission,
    run_control,
)
from labtools.overview import Overview, overview_page
from labtools.pages import feedback_page
from labtools.process import Warm
from labtools.submissions import find_submissions, may_be_notebook

__all__ = ["ControlFailed", "Desk", "Grade", "grade_folder"]

DAY = 86400.0


def grade_folder(
    folder: Path,
    labs: Mapping[str, Lab],
    *,
    to: Path | None = None,
    only: str | None = None,
    desk: Desk | None = None,
    say: Callable[[str], None] = print,
) -> list[Grade]:
    """Grade every file below `folder`; write tables, an overview and one page each into `to`.

    `labs` are the built labs by name; `to` is `folder/grades` if not given; `only` grades
    everything as one lab, otherwise the lab is the one the notebook names. Every file gets a row,
    also what is no notebook and what a later attempt of the same student replaces.

    Raises ValueError if there is nothing to grade, no such lab, or no folder to write in, and
    ControlFailed if a lab's own solution does not get full marks. Before the batch nothing is
    written then; after it the tables are written and not to be trusted.
    """
    if not folder.is_dir():
        raise ValueError(f"submissions is {folder}; it must be a folder.")
    if only is not None and only not in labs:
        raise ValueError(f"lab is {only!r}; it must be one of {', '.join(labs)}.")
    desk = desk or Desk()
    to = to or folder / "grades"
    _check_writable(to)
    files = find_submissions(folder, skip=to)
    if not any(may_be_notebook(path) for path in files):
        raise ValueError(f"submissions is {folder}; it must hold .ipynb or .zip files.")
    handed = [read_handed(path, folder, only, desk.roster) for path in files]
    latest = latest_attempts(handed)
    accepted = accepted_files(to, desk.accepted, handed)
    used = [labs[name] for name in sorted({one.lab for one in handed} & set(labs))]

    started = time.monotonic()
    with ExitStack() as stack:
        modules = sorted({module for lab in used for module in imported_modules(lab)})
        pool: queue.SimpleQueue[Warm] = queue.SimpleQueue()
        for _ in range(desk.jobs):
            pool.put(stack.enter_context(Warm(modules)))
        with _one_of(pool) as warm:
            for lab in used:
                run_control(lab, desk, say=say, warm=warm)

        def grade(one: Handed) -> Grade:
            with _one_of(pool) as warm:
                result = _grade_one(one, labs.get(one.lab), desk, warm, is_latest=one in latest)
            say(_line(result))
            return result

        with ThreadPoolExecutor(max_workers=desk.jobs) as workers:
            grades = list(workers.map(grade, handed))
    took = time.monotonic() - started
    for result, one in zip(grades, handed, strict=True):
        result.accepted = (one.submission.digest, one.submission.name) in accepted
    missing = nothing_handed_in(handed, desk.roster)
    _write(to, [*grades, *missing], handed, labs, desk)
    say(f"{len(grades)} files in {took:.0f} s, {took / len(grades):.1f} s each. See {to}")
    for lab in used:  # in a new process: has a submission changed what is installed?
        run_control(lab, desk, say=say, again=True)
    return grades


def _check_writable(to: Path) -> None:
    """Said before an hour of grading, not after it."""
    above = next(path for path in (to, *to.absolute().parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ValueError(f"to is {to}; it must be a folder to write in, or become one.")


@contextmanager
def _one_of(pool: "queue.SimpleQueue[Warm]") -> Iterator[Warm]:
    """A warm process for as long as the body lasts."""
    warm = pool.get()
    try:
        yield warm
    finally:
        pool.put(warm)


def _grade_one(
    one: Handed,
    lab: Lab | None,
    desk: Desk,
    warm: Warm,
    *,
    is_latest: bool,
) -> Grade:
    if is_latest:
        grade = grade_submission(one.submission, lab, desk, warm=warm)
    else:
        grade = empty_grade(one.submission, lab)
        grade.notes = [*grade.notes, "A later attempt of the same student was graded."]
        grade.status = EARLIER if grade.status == GRADED else grade.status
    grade.platform = one.author.platform or (desk.roster.kind if one.person else "")
    grade.platform_id = one.author.id or (one.person.id if one.person else "")
    grade.student_id = one.person.id if one.person else one.author.id
    grade.student_name = one.person.name if one.person else one.author.name
    grade.when = one.when or None
    if one.author.late:
        grade.notes.append("Canvas marks it as late.")
    if desk.deadline is not None and grade.ran:
        grade.days_late = max(0, math.ceil((one.when - desk.deadline) / DAY))
    return grade


def _line(grade: Grade) -> str:
    if not grade.ran:
        return f"{grade.submission}: {grade.status}"
    flag = ", look at it" if grade.flags else ""
    points = f"{grade.points:g} of {grade.possible:g}"
    return f"{grade.submission}: {points}, {grade.status}, {grade.seconds:.1f} s{flag}"


def _write(
    to: Path,
    grades: Sequence[Grade],
    handed: Sequence[Handed],
    labs: Mapping[str, Lab],
    desk: Desk,
) -> None:
    for grade in grades:
        if grade.page:
            page = feedback_page(grade, with_hidden=not desk.hide_hidden)
            write_whole(to / grade.page, page)
    tables = {"grades.csv": grades_table(grades), **platform_tables(grades, desk.roster)}
    for name, content in tables.items():
        _keep_previous(to / name)
        write_whole(to / name, BYTE_ORDER_MARK + content)
    unknown = [one.submission.name for one in handed if desk.roster and one.person is None]
    same = [pair for lab in labs.values() for pair in _same_code(lab, handed)]
    write_whole(to / "index.html", overview_page(Overview(grades, same, unknown)))


def _keep_previous(path: Path) -> None:
    """A table that a person may have edited is not overwritten without a copy."""
    if path.is_file():
        write_whole(path.with_name(f"{path.stem}.previous.csv"), path.read_bytes())


def _same_code(lab: Lab, handed: Sequence[Handed]) -> list[tuple[str, str, list[str]]]:
    blank = {cell.source for cell in lab.student.cells if cell.cell_type == "code"}
    answers = {
        one.submission.name: answers_by_question(one.submission.cells, list(lab.tests), blank)
        for one in latest_attempts(handed)
        if one.lab == lab.name
    }
    return same_code(answers, handed_out=list(blank))
