"""Tables that Canvas and Moodle import."""

import re
from collections.abc import Sequence

from labtools.grades import Grade, table
from labtools.people import CANVAS, MOODLE, Person, Roster, bare

_CANVAS_COLUMNS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
_MOODLE_COLUMNS = ("Identifier", "Full name", "Email address", "Grade", "Maximum Grade")


def platform_tables(grades: Sequence[Grade], roster: Roster | None) -> dict[str, str]:
    """The tables by file name: one a lab and platform, for each platform that any id is from.

    A student without a graded notebook gets no number, so that an import leaves the old one.
    """
    tables = {}
    for lab in sorted({grade.lab for grade in grades if grade.ran}):
        of_lab = [grade for grade in grades if grade.lab == lab and grade.ran]
        for platform, make in ((CANVAS, _canvas), (MOODLE, _moodle)):
            mine = [grade for grade in of_lab if grade.platform_id and grade.platform == platform]
            people = roster.people if roster is not None and roster.kind == platform else ()
            if mine or people:
                columns = roster.columns if people else ()
                tables[f"{platform}-{lab}.csv"] = make(lab, mine, people, columns)
    return tables


def _canvas(lab: str, grades: list[Grade], people: Sequence[Person], columns: Sequence[str]) -> str:
    by_id = {grade.platform_id: grade for grade in grades}
    assignment = next((name for name in columns if _names_the_lab(name, lab)), lab)
    rows = [[*_CANVAS_COLUMNS, assignment]]
    rows.append(
        ["    Points Possible", "", "", "", "", _points(grades[0].possible) if grades else ""]
    )
    if not people:
        rows += [
            [grade.student_name, grade.platform_id, "", "", "", _points(grade.points)]
            for grade in grades
        ]
    for person in people:
        grade = by_id.get(person.id)
        known = [person.row.get(column, "") for column in _CANVAS_COLUMNS]
        rows.append([*known, _points(grade.points) if grade else ""])
    return table(rows)


def _moodle(lab: str, grades: list[Grade], people: Sequence[Person], columns: Sequence[str]) -> str:
    by_id = {grade.platform_id: grade for grade in grades}
    columns = list(columns) or list(_MOODLE_COLUMNS)
    if not people:
        return table(
            [columns]
            + [
                [
                    f"Participant {grade.platform_id}",
                    grade.student_name,
                    "",
                    _points(grade.points),
                    _points(grade.possible),
                ]
                for grade in grades
            ]
        )
    rows = [columns]
    for person in people:
        row = dict(person.row)
        if grade := by_id.get(person.id):
            row["Grade"] = _points(grade.points)
        rows.append([row.get(column, "") for column in columns])
    return table(rows)


def _points(points: float) -> str:
    return f"{points:g}"


def _names_the_lab(column: str, lab: str) -> bool:
    """Whether a column of the grade book is the lab's: `Lab 1 (98765)` is that of lab01."""
    number = int(re.sub(r"\D", "", lab))
    match = re.match(r"lab0*(\d+)(?!\d)", bare(column.partition("(")[0]))
    return match is not None and int(match[1]) == number
