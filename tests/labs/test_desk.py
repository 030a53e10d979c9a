"""What a teacher's desk does with a class: who, when, which attempt, how late, in which table."""

import csv
import io
import json
import os
from collections import Counter
from contextlib import nullcontext
from datetime import datetime
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest

import labtools.grade
from labtools.__main__ import main, make_parser
from labtools.autograder import write_autograder
from labtools.build import Lab, notebook_text
from labtools.duplicates import normalised, same_code
from labtools.exports import platform_tables
from labtools.grade import grade_folder
from labtools.grades import BYTE_ORDER_MARK, Grade
from labtools.marking import Desk, empty_grade
from labtools.nbgrader import nbgrader_notebook
from labtools.people import CANVAS, MOODLE, author_of, read_roster
from labtools.process import Warm, run_notebook
from labtools.rehearsal import made_up, rehearse
from labtools.running import CaseResult
from labtools.submissions import Submission
from labtools.values import SALT_VARIABLE, course_salt, integers, normal, salted
from labtools.verify import check_solution
from tests.labs.conftest import ROOT, Student, built

OWN = "id;name;email\n101;Jürgen Müller;jm@uni.example\n102;Ada Lovelace;ada@uni.example\n"
GRADE_BOOK = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Lab 1 (98765),Lab 11 (98766)\n"
    "    Points Possible,,,,,30,25\n"
    '"Müller, Jürgen",12345,u1,jm,Monday,,\n'
    '"Lovelace, Ada",12346,u2,ada,Monday,3,\n'
    '"Turing, Alan",12347,u3,alan,Monday,,\n'
)
WORKSHEET = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,"
    "Last modified (submission),Feedback comments\n"
    "Participant 777,Jürgen Müller,jm@uni.example,Submitted,,30.00,"
    '"Friday, 20 November 2026, 11:30 PM",\n'
    "Participant 778,Ada Lovelace,ada@uni.example,Submitted,4.00,30.00,"
    '"Sunday, 22 November 2026, 12:10 AM",\n'
)


def roster_of(folder: Path, text: str) -> Path:
    path = folder / "class.csv"
    path.write_text(text, encoding="utf-8")
    return path


# Names of files, as the platforms write them.


@pytest.mark.parametrize(
    ("path", "platform", "number", "name", "late", "attempt"),
    [
        ("muellerjuergen_12345_678901_lab01.ipynb", CANVAS, "12345", "muellerjuergen", False, 0),
        ("muellerjuergen_LATE_12345_678901_lab01-2.ipynb", CANVAS, "12345", "muellerjuergen", 1, 2),
        ("o-neill_7_8_my_lab.zip", CANVAS, "7", "o-neill", False, 0),
        (
            "Jürgen Müller_777_assignsubmission_file_/lab01.ipynb",
            MOODLE,
            "777",
            "Jürgen Müller",
            False,
            0,
        ),
        ("Ana_Sol_778_assignsubmission_file_lab01.ipynb", MOODLE, "778", "Ana_Sol", False, 0),
        ("lab01.ipynb", "", "", "", False, 0),
        ("lab_01_final_2.ipynb", "", "", "", False, 0),
        ("101 Jürgen Müller.ipynb", "", "", "", False, 0),
    ],
)
def test_who_a_files_name_says(path, platform, number, name, late, attempt) -> None:
    author = author_of(path)
    assert (author.platform, author.id, author.name) == (platform, number, name)
    assert author.late == bool(late)
    assert author.attempt[0] == attempt


def test_a_later_attachment_of_canvas_is_a_later_attempt() -> None:
    first, second, third = (
        author_of(f"a_1_{attachment}_lab01{again}.ipynb").attempt
        for attachment, again in (("200", ""), ("300", ""), ("150", "-1"))
    )
    assert first < second < third


@pytest.mark.parametrize(
    ("text", "kind", "ids"),
    [
        (OWN, "plain", ["101", "102"]),
        (OWN.replace(";", ","), "plain", ["101", "102"]),
        ("Student number\tFirst name\tLast name\n5\tAda\tLovelace\n", "plain", ["5"]),
        (GRADE_BOOK, CANVAS, ["12345", "12346", "12347"]),
        (WORKSHEET, MOODLE, ["777", "778"]),
        (BYTE_ORDER_MARK + WORKSHEET, MOODLE, ["777", "778"]),
    ],
)
def test_rosters(tmp_path: Path, text: str, kind: str, ids: list[str]) -> None:
    roster = read_roster(roster_of(tmp_path, text))
    assert roster.kind == kind
    assert [person.id for person in roster.people] == ids


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "name\nAda\n"])
def test_a_table_that_is_no_roster_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"roster is .*; it must have `id`"):
        read_roster(roster_of(tmp_path, text))


def test_a_roster_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    path.write_bytes("id,name\n1,Müller\n".encode("latin-1"))
    with pytest.raises(ValueError, match="must be a CSV file in UTF-8"):
        read_roster(path)
    with pytest.raises(ValueError, match="must be a CSV file in UTF-8"):
        read_roster(tmp_path / "nowhere.csv")
    endless = OWN + '103;"' + "x" * (csv.field_size_limit() + 1)
    with pytest.raises(ValueError, match=r"must be a CSV file \(field larger"):
        read_roster(roster_of(tmp_path, endless))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (OWN.replace("102", ""), "Ada Lovelace has no id there and must have one"),
        (OWN.replace("102", "101"), "the id 101 stands there 2 times; it must be one person's"),
        (WORKSHEET.replace("Participant 778", ""), "Ada Lovelace has no id there"),
    ],
)
def test_two_students_never_share_an_id(tmp_path: Path, text: str, sentence: str) -> None:
    """Their files would be taken for attempts of one student, and the earlier one not graded."""
    with pytest.raises(ValueError, match=rf"roster is .*class\.csv; {sentence}"):
        read_roster(roster_of(tmp_path, text))


def test_empty_lines_of_a_roster_are_nobody(tmp_path: Path) -> None:
    roster = read_roster(roster_of(tmp_path, OWN + ";;\n\n; ;\n"))
    assert [person.id for person in roster.people] == ["101", "102"]


def test_words_over_several_lines_come_back_as_they_were(tmp_path: Path) -> None:
    words = '"Well done.\nAnd: why\u2028so ""slow""?"\n'
    roster = read_roster(roster_of(tmp_path, WORKSHEET.removesuffix("\n") + words))
    assert [person.id for person in roster.people] == ["777", "778"]
    table = platform_tables([], roster)
    assert table == {}
    grade = Grade("a", "lab01", "graded", 30, platform=MOODLE, platform_id="777")
    assert words in platform_tables([grade], roster)["moodle-lab01.csv"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("101.ipynb", "101"),
        ("lab01 juergen müller.ipynb", None),  # ü is not ue: nobody is guessed
        ("Jurgen Muller/lab01.ipynb", "101"),
        ("Müller, Jürgen.ipynb", "101"),
        ("lab01_ada.ipynb", "102"),
        ("ada 101.ipynb", None),  # two may be meant
        ("lab01.ipynb", None),
    ],
)
def test_who_is_found_on_a_roster(tmp_path: Path, path: str, found: str | None) -> None:
    person = read_roster(roster_of(tmp_path, OWN)).find(author_of(path), path)
    assert (person.id if person else None) == found


# A class, graded without running a notebook: what a notebook earns stands in its first cell.


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grades are read off the notebooks, so that only the desk is tested."""

    def grade(submission: Submission, lab: Lab | None, desk: Desk, *, warm: object) -> Grade:
        given = empty_grade(submission, lab)
        if given.status != "graded":
            return given
        public, hidden = (float(points) for points in submission.cells[0].split())
        for name in lab.tests:
            given.results[name] = [CaseResult("a public rule", 1, False, False, error="Failure")]
        given.results["q1"] = [
            CaseResult("a public rule", 2, False, public > 0, error="Failure"),
            CaseResult("a hidden rule", 3, True, hidden > 0, words="expected 5, got 6"),
        ]
        given.flags = ["the notebook replaced the clock"] if "flag" in submission.name else []
        return given

    monkeypatch.setattr(labtools.grade, "grade_submission", grade)
    monkeypatch.setattr(labtools.grade, "run_control", lambda *_, **__: None)
    monkeypatch.setattr(labtools.grade, "Warm", lambda modules: nullcontext())


def notebook(lab: str, public: int, hidden: int) -> str:
    cells = [{"cell_type": "code", "source": f"{public} {hidden}"}]
    return json.dumps({"cells": cells, "metadata": {"otter": {"assignment_name": lab}}})


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Class:
    """A folder of what was handed in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "handed-in"
        self.to = self.folder / "grades"
        self.folder.mkdir()

    def hand_in(self, name: str, *, lab: str = "lab01", public=1, hidden=1, when: str = "") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(notebook(lab, public, hidden), encoding="utf-8")
        moment = seconds(when or "2026-11-20 12:00")
        os.utime(path, (moment, moment))

    def grade(self, **desk) -> dict[str, Grade]:
        if isinstance(roster := desk.get("roster"), str):
            desk["roster"] = read_roster(roster_of(self.folder.parent, roster))
        labs = {name: built(name) for name in ("lab01", "lab11")}
        grades = grade_folder(self.folder, labs, desk=Desk(**desk), say=lambda line: None)
        return {grade.submission: grade for grade in grades}

    def text(self, name: str) -> str:
        return (self.to / name).read_text(encoding="utf-8")

    def rows(self, name: str = "grades.csv") -> list[dict[str, str]]:
        assert self.text(name).startswith(BYTE_ORDER_MARK), "Excel shows MÃ¼ller without it"
        return list(csv.DictReader(self.text(name)[1:].splitlines()))

    def page(self) -> str:
        return unescape(self.text("index.html"))


@pytest.fixture
def klass(tmp_path: Path, at_once: None) -> Class:
    return Class(tmp_path)


def test_the_latest_attempt_counts_and_the_others_have_a_row(klass: Class) -> None:
    klass.hand_in("mj_12345_100_lab01.ipynb", public=1, when="2026-11-20 12:00")
    klass.hand_in("mj_12345_200_lab01-1.ipynb", public=0, when="2026-11-19 12:00")
    klass.hand_in("al_12346_150_lab01.ipynb")
    klass.hand_in("mj_12345_300_lab11.ipynb", lab="lab11")
    grades = klass.grade()
    status = {name: grade.status for name, grade in grades.items()}
    assert status == {
        "mj_12345_100_lab01.ipynb": "earlier attempt",  # whatever the file's own time says
        "mj_12345_200_lab01-1.ipynb": "graded",
        "al_12346_150_lab01.ipynb": "graded",
        "mj_12345_300_lab11.ipynb": "graded",  # another lab is no later attempt
    }
    rows = {row["submission"]: row for row in klass.rows()}
    assert rows["mj_12345_100_lab01.ipynb"]["points"] == ""
    assert "later attempt" in rows["mj_12345_100_lab01.ipynb"]["notes"]


def test_a_later_file_that_is_no_notebook_replaces_nothing(klass: Class) -> None:
    folder = "Ada Lovelace_778_assignsubmission_file_"
    klass.hand_in(f"{folder}/lab01.ipynb", when="2026-11-20 12:00")
    (klass.folder / folder / "lab01.pdf").write_bytes(b"%PDF")
    status = {name.rpartition(".")[2]: grade.status for name, grade in klass.grade().items()}
    assert status == {"ipynb": "graded", "pdf": "not a notebook"}


def test_files_of_nobody_in_particular_all_count(klass: Class) -> None:
    klass.hand_in("one/lab01.ipynb")
    klass.hand_in("other/lab01.ipynb")
    assert {grade.status for grade in klass.grade().values()} == {"graded"}


def test_late_days(klass: Class) -> None:
    for name, when in {
        "early": "2026-11-20 23:58",
        "exact": "2026-11-20 23:59",
        "minute": "2026-11-21 00:00",
        "day": "2026-11-21 23:59",
        "more": "2026-11-22 00:30",
    }.items():
        klass.hand_in(f"{name}.ipynb", when=when)
    klass.grade(deadline=seconds("2026-11-20 23:59"))
    late = {row["submission"].removesuffix(".ipynb"): row["days late"] for row in klass.rows()}
    assert late == {"early": "0", "exact": "0", "minute": "1", "day": "1", "more": "2"}
    assert klass.rows()[0]["handed in"] == "2026-11-21 23:59"
    klass.grade()
    assert {row["days late"] for row in klass.rows()} == {""}, "no deadline, no late days"


def test_what_a_platform_says_of_the_time_goes_before_the_files_own(klass: Class) -> None:
    for number, name in ((777, "Jürgen Müller"), (778, "Ada Lovelace")):
        klass.hand_in(f"{name}_{number}_assignsubmission_file_/lab01.ipynb", when="2027-01-01")
    klass.grade(roster=WORKSHEET, deadline=seconds("2026-11-20 23:59"))
    assert {row["id"]: row["days late"] for row in klass.rows()} == {"777": "0", "778": "2"}


def test_what_canvas_marks_as_late_is_said(klass: Class) -> None:
    klass.hand_in("lovelaceada_LATE_12346_150_lab01.ipynb")
    klass.hand_in("turingalan_12347_151_lab01.ipynb")
    klass.grade()
    notes = {row["id"]: row["notes"] for row in klass.rows()}
    assert notes == {"12346": "Canvas marks it as late.", "12347": ""}


def test_everybody_on_the_roster_has_a_row_and_strangers_are_named(klass: Class) -> None:
    klass.hand_in("101 lab01.ipynb")
    klass.hand_in("somebody.ipynb")
    klass.grade(roster=OWN)
    rows = [(row["submission"], row["id"], row["name"], row["status"]) for row in klass.rows()]
    assert rows == [
        ("101 lab01.ipynb", "101", "Jürgen Müller", "graded"),
        ("somebody.ipynb", "", "", "graded"),
        ("", "102", "Ada Lovelace", "not handed in"),
    ]
    assert "<h2>Not on the roster</h2>" in klass.page()
    assert "<td>somebody.ipynb</td>" in klass.page()
    assert "2 graded, 1 not handed in" in klass.page()


NAMES = {
    "markup": "<b onclick=\"x()\">Ada</b> & 'co'",
    "a formula": "=HYPERLINK(1)",
    "a minus": "-2+3",
    "an at sign": "@SUM(1)",
    "right to left": "\u202eevE",
    "an emoji": "👩\u200d💻 😺",
    "dots and spaces": " Ada . ",
    "a tab and a line": "Ada\tB\nC",
    "quotes": "\"Bob\" 'B' `C`",
    "long": "Ada " * 60,
}


def test_any_name_of_a_file_or_a_student_gets_a_row_and_harms_no_table(klass: Class) -> None:
    roster = io.StringIO()
    lines = [(100 + number, name) for number, name in enumerate(NAMES.values())]
    csv.writer(roster).writerows([("id", "name"), *lines])
    files = [f"{name.replace('/', ' ')[:80]}.ipynb" for name in NAMES.values()]
    for number, name in enumerate(files):
        klass.hand_in(f"{100 + number}/{name}")
    klass.hand_in("a/lab01.ipynb")
    klass.hand_in("A/LAB01.ipynb")
    klass.grade(roster=roster.getvalue())
    rows = list(csv.DictReader(io.StringIO(klass.text("grades.csv")[1:], newline="")))
    assert {row["status"] for row in rows} == {"graded"}
    by_id = {row["id"]: row for row in rows if row["id"]}
    assert len(rows) == len(NAMES) + 2 == len(by_id) + 2
    for number, name in lines:
        told = by_id[str(number)]["name"]
        assert told.removeprefix("'") == name.strip()
        assert told[:1] not in ("=", "+", "-", "@", "\t", "\r"), "no cell is a formula"
    page = klass.text("index.html")
    assert "<b onclick" not in page
    pages = {row["page"].lower() for row in rows}
    assert len(pages) == len(rows), "two names that differ in case alone have two pages anywhere"
    for row in rows:
        assert (klass.to / row["page"]).is_file()
        assert "<b onclick" not in klass.text(row["page"])


def test_canvas_gets_its_own_grade_book_back(klass: Class) -> None:
    klass.hand_in("muellerjuergen_12345_100_lab01.ipynb")
    klass.hand_in("lovelaceada_12346_101_lab01.ipynb", hidden=0)
    klass.hand_in("turingalan_12347_102_lab11.ipynb", lab="lab11")
    klass.grade(roster=GRADE_BOOK)
    possible = sum(one.points for one in built("lab01").source.questions if not one.manual)
    assert list(csv.reader(klass.text("canvas-lab01.csv")[1:].splitlines())) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Lab 1 (98765)"],
        ["    Points Possible", "", "", "", "", f"{possible:g}"],
        ["Müller, Jürgen", "12345", "u1", "jm", "Monday", "5"],
        ["Lovelace, Ada", "12346", "u2", "ada", "Monday", "2"],
        ["Turing, Alan", "12347", "u3", "alan", "Monday", ""],  # an import leaves the old one
    ]
    other = {row["ID"]: row["Lab 11 (98766)"] for row in klass.rows("canvas-lab11.csv")}
    assert other["12347"] == "5"
    assert other["12345"] == ""


def test_canvas_without_a_grade_book_gets_ids(klass: Class) -> None:
    klass.hand_in("muellerjuergen_12345_100_lab01.ipynb")
    klass.grade()
    first, second = klass.rows("canvas-lab01.csv")
    assert first["Student"].strip() == "Points Possible"
    assert (second["Student"], second["ID"], second["lab01"]) == ("muellerjuergen", "12345", "5")


def test_moodle_gets_its_own_worksheet_back(klass: Class) -> None:
    klass.hand_in("Jürgen Müller_777_assignsubmission_file_/lab01.ipynb", hidden=0)
    klass.grade(roster=WORKSHEET)
    first, second = klass.rows("moodle-lab01.csv")
    assert list(first) == WORKSHEET.partition("\n")[0].split(",")
    assert (first["Identifier"], first["Grade"]) == ("Participant 777", "2")
    assert (second["Identifier"], second["Grade"]) == ("Participant 778", "4.00"), "as it was"
    assert not (klass.to / "canvas-lab01.csv").exists()


def test_a_lab_without_a_question_leaves_its_column_empty(klass: Class) -> None:
    klass.hand_in("a.ipynb")
    klass.hand_in("b.ipynb", lab="lab11")
    klass.grade()
    first, second = klass.rows()
    only_first = set(built("lab01").tests) - set(built("lab11").tests)
    assert only_first
    for column in first:
        if column.partition(" ")[0] in only_first and "by hand" not in column:
            assert first[column] != ""
            assert second[column] == ""


def test_the_page_of_the_class(klass: Class) -> None:
    for name, public, hidden in (("a", 1, 1), ("b", 1, 0), ("c", 1, 0), ("flag d", 0, 0)):
        klass.hand_in(f"{name}.ipynb", public=public, hidden=hidden)
    klass.grade()
    page = klass.page()
    assert (  # mean, all points, not written, public only, and what failed most often
        f"<tr><td>q1</td><td>2.25 of {worth('q1')}</td><td>1 of 4</td><td>0</td><td>2</td>"
        "<td>a hidden rule (3)</td></tr>"
    ) in page
    assert "<h2>To look at</h2>" in page
    assert "the notebook replaced the clock" in page
    for row in klass.rows():
        assert f'<a href="{row["page"]}">{row["submission"]}</a>' in page
        assert (klass.to / row["page"]).is_file()


def worth(question: str) -> str:
    questions = {one.name: one.points for one in built("lab01").source.questions}
    return f"{questions[question]:g}"


def test_a_report_without_hidden_tests(klass: Class) -> None:
    klass.hand_in("a.ipynb", hidden=0)
    page = klass.grade()["a.ipynb"].page
    assert "a hidden rule" in klass.text(page)
    assert "expected 5, got 6" in klass.text(page)
    klass.grade(hide_hidden=True)
    assert "a public rule" in klass.text(page)
    assert "a hidden rule" not in klass.text(page)
    assert "expected 5" not in klass.text(page)
    assert "0 of 3 points" in klass.text(page), "how much is missing is said"


def test_what_a_teacher_accepted_stays_accepted_until_the_file_changes(klass: Class) -> None:
    klass.hand_in("flag one.ipynb")
    klass.hand_in("flag two.ipynb")
    klass.grade(accepted=("flag one.ipynb",))
    for _ in range(2):
        flags = {row["submission"]: row["flag"] for row in klass.rows()}
        assert flags["flag one.ipynb"] == "accepted"
        assert "replaced the clock" in flags["flag two.ipynb"]
        assert {row["points"] for row in klass.rows()} == {"5"}
        klass.grade()
    klass.hand_in("flag one.ipynb", hidden=0)
    klass.grade()
    assert all("replaced" in row["flag"] for row in klass.rows())
    with pytest.raises(ValueError, match=r"accept is 'flag\.ipynb'; it must be the name of"):
        klass.grade(accepted=("flag.ipynb",))


def test_a_table_that_a_person_edited_is_kept(klass: Class) -> None:
    klass.hand_in("a.ipynb")
    klass.grade()
    (klass.to / "grades.csv").write_text("with my marks", encoding="utf-8")
    klass.grade()
    assert klass.text("grades.previous.csv") == "with my marks"
    assert len(klass.rows()) == 1


# The same code.

ANSWER = """
def attention(q, k, v):
    '''Attention.'''
    scores = q @ k.mT / q.shape[-1] ** 0.5  # as in the paper
    weights = scores.softmax(-1)
    return weights @ v
"""
RENAMED = """
def attention(query: Tensor, key, value) -> Tensor:
    s = (query @ key.mT) / query.shape[-1] ** 0.5

    w = s.softmax(-1)
    return w @ value
"""


def test_names_and_layout_do_not_make_code_another() -> None:
    assert normalised(ANSWER) == normalised(RENAMED) != ""
    helper = ANSWER + "\ndef scale(x):\n    return attention(x, x, x)\n"
    assert normalised(helper) == normalised(helper.replace("scale(", "mine("))


@pytest.mark.parametrize(
    ("old", "new"),
    [("softmax", "exp"), ("0.5", "0.25"), ("weights @ v", "weights @ k"), ("-1)", "-2)")],
)
def test_what_code_does_makes_it_another(old: str, new: str) -> None:
    assert normalised(ANSWER) != normalised(ANSWER.replace(old, new))


def test_python_own_names_are_not_anybodys_choice() -> None:
    code = (
        "def f(x, y):\n    return sum(x * value for value in y) / len(y) + max(abs(x), 1, 2, 3)\n"
    )
    assert normalised(code) != ""
    assert normalised(code) != normalised(code.replace("max(", "min("))


@pytest.mark.parametrize(
    "code",
    ["", "x = 1", "def f(:", "x = " + "+".join(["1"] * 9000), "x = " + "-" * 9000 + "1", "\ud800"],
)
def test_code_that_says_nothing_about_its_author(code: str) -> None:
    assert normalised(code) == ""


def test_pairs_share_several_long_answers_that_nobody_handed_out() -> None:
    def answers(change: str) -> dict[str, str]:
        return {f"q{i}": ANSWER.replace("0.5", f"{i}").replace("-1)", change) for i in range(4)}

    mine = answers("-1)")
    copied = {name: code.replace("scores", "s") for name, code in mine.items()}
    partly = {**answers("-3)"), "q0": mine["q0"], "q1": mine["q1"]}
    everybody = {"a": mine, "b": copied, "c": partly, "d": answers("-2)")}
    assert same_code(everybody) == [("a", "b", ["q0", "q1", "q2", "q3"])]
    assert same_code(everybody, handed_out=[mine["q0"], mine["q1"]]) == []


def test_the_same_code_stands_on_the_page_of_the_class(
    klass: Class, student: Student, lab: Lab
) -> None:
    """A copy with other names is found; what was handed out is nobody's, and so no copy."""
    solved = json.dumps(student.notebook(solved=True))
    for name, text in {
        "one": solved,
        "other": solved.replace("# ", "#  "),
        "blank": json.dumps(student.notebook()),
        "empty": json.dumps(student.notebook()),
    }.items():
        (klass.folder / f"{name}.ipynb").write_text(
            text.replace('"source": "', '"source": "1 1\\n', 1), encoding="utf-8"
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            labtools.grade, "grade_submission", lambda one, lab, *_, **__: empty_grade(one, lab)
        )
        klass.grade()
    same = klass.page().partition("<h2>The same code</h2>")[2].partition("</section>")[0]
    assert "<td>one.ipynb</td><td>other.ipynb</td>" in same
    assert "blank" not in same
    assert "empty" not in same


# The salt of a course.

DRAWS = """
from otter.test_files import test_case
OK_FORMAT = False
name, points = "q1", 2

@test_case(points=1, hidden=False, success_message="public")
def test_public():
    from labtools.testing import normal
    return f"{normal(1, seed=3).item():.6f}"

@test_case(points=1, hidden=True, success_message="hidden")
def test_hidden():
    from labtools.testing import normal
    return f"{normal(1, seed=3).item():.6f}"
"""
UNSALTED_ONLY = DRAWS.replace(
    'return f"{normal(1, seed=3).item():.6f}"',
    f'assert f"{{normal(1, seed=3).item():.6f}}" == "{normal(1, seed=3).item():.6f}"',
)


def told(warm: Warm, salt: str) -> list[str]:
    outcome = run_notebook([], {"q1": DRAWS}, seconds=60, salt=salt, warm=warm)
    assert outcome.finished
    return [case.told for case in outcome.results["q1"]]


def test_hidden_tests_of_another_course_draw_other_values(warm: Warm) -> None:
    public, unsalted = told(warm, "")
    assert public == unsalted, "the same seed"
    assert told(warm, "one course") == told(warm, "one course")
    assert told(warm, "one course")[0] == public, "what students see is the same everywhere"
    assert len({unsalted, told(warm, "one course")[1], told(warm, "other")[1]}) == 3


def test_the_salt_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SALT_VARIABLE, raising=False)
    assert course_salt() == Desk().salt == ""
    monkeypatch.setenv(SALT_VARIABLE, "a word of mine")
    assert course_salt() == Desk().salt == "a word of mine"


def test_salted_integers_stay_in_range_and_the_salt_ends() -> None:
    before = integers(2, 5, 40, seed=1)
    with salted("x"):
        inside = integers(2, 5, 40, seed=1)
    assert set(inside.tolist()) == {2, 3, 4}
    assert inside.tolist() != before.tolist()
    assert integers(2, 5, 40, seed=1).tolist() == before.tolist()


def test_verify_names_a_hidden_test_that_holds_for_one_seed_only(warm: Warm, lab: Lab) -> None:
    outcome = run_notebook([], {"q1": UNSALTED_ONLY}, seconds=60, salts=("another",), warm=warm)
    assert outcome.finished
    assert [case.passed for case in outcome.results["q1"]] == [True, True]
    (problem,) = check_solution(lab, outcome)
    assert "fails q1 with salt another: hidden" in problem


def test_what_is_made_for_gradescope_and_nbgrader_carries_the_salt(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zipfile

    for name in ("constraints.txt", "pyproject.toml", "lib"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.setenv(SALT_VARIABLE, "a word of mine")
    with zipfile.ZipFile(write_autograder(lab, tmp_path)) as archive:
        assert archive.read("files/labtools/salt.txt") == b"a word of mine"
    hidden = [
        cell.source
        for cell in nbgrader_notebook(lab.source).cells
        if "### BEGIN HIDDEN TESTS" in cell.source
    ]
    assert hidden
    assert all("salt='a word of mine'" in source for source in hidden)
    monkeypatch.delenv(SALT_VARIABLE)
    with zipfile.ZipFile(write_autograder(lab, tmp_path)) as archive:
        assert "files/labtools/salt.txt" not in archive.namelist()


# The command.


def test_the_command_fills_the_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = SimpleNamespace()

    def grade(folder: Path, labs: dict[str, Lab], *, to: Path, only: str, desk: Desk, say) -> None:
        kept.folder, kept.to, kept.only, kept.desk = folder, to, only, desk

    monkeypatch.setattr("labtools.__main__.grade_folder", grade)
    options = "--lab lab01 --jobs 3 --timeout 9 --call-timeout 2 --memory 1.5 --hide-hidden"
    arguments = [*options.split(), "--to", "out", "--accept", "a b", "--accept", "c"]
    arguments += ["--deadline", "2026-11-20 23:59", "--roster", str(roster_of(tmp_path, OWN))]
    assert main(["--root", str(ROOT), "grade", "here", *arguments]) == 0
    desk = kept.desk
    assert (kept.folder, kept.to, kept.only) == (Path("here"), Path("out"), "lab01")
    assert (desk.jobs, desk.seconds, desk.call_seconds, desk.hide_hidden) == (3, 9, 2, True)
    assert desk.limits.memory == 1.5 * 2**30
    assert desk.accepted == ("a b", "c")
    assert desk.deadline == seconds("2026-11-20 23:59")
    assert [person.id for person in desk.roster.people] == ["101", "102"]


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(["grade", "here", "--deadline", "tomorrow"])
    assert "'tomorrow' is no time; write it as \"2026-11-20 23:59\"" in capsys.readouterr().err
    for amount in ("0", "-1", "nan", "inf", "much"):
        for option in ("--timeout", "--call-timeout", "--memory"):
            with pytest.raises(SystemExit):
                make_parser().parse_args(["grade", "here", f"{option}={amount}"])
            assert f"{amount!r} is no amount" in capsys.readouterr().err
    assert main(["--root", str(ROOT), "grade", str(tmp_path), "--jobs", "0"]) == 2
    assert "labtools: jobs is 0; it must be 1 or more." in capsys.readouterr().err
    wrong = ["--roster", str(tmp_path / "nowhere.csv")]
    assert main(["--root", str(ROOT), "grade", str(tmp_path), *wrong]) == 2
    assert "labtools: roster is" in capsys.readouterr().err


# A class that never was, to know how long a real one takes.


def test_a_made_up_class_is_graded_and_timed(lab: Lab) -> None:
    said: list[str] = []
    took = rehearse(lab, students=2, jobs=2, say=said.append)
    assert took.statuses == ("graded", "graded")
    assert took.seconds > 0
    assert took.cpu_seconds > 1, "what the notebooks' own processes computed is in it"
    words = f"2 notebooks of lab01 with 2 jobs: {took.seconds:.0f} s on the clock, "
    assert str(took).startswith(words)
    assert sum(line.startswith("control") for line in said) == 2


def test_a_made_up_class_holds_right_wrong_and_missing_answers(lab: Lab) -> None:
    notebooks = [made_up(lab, number) for number in range(60)]
    kinds = Counter()
    for notebook in notebooks:
        sources = {cell.source for cell in notebook.cells}
        kinds["right"] += sum(cell.source in sources for cell in lab.solved.cells)
        kinds["wrong"] += sum(mutant.code in sources for mutant in lab.source.mutants)
        kinds["missing"] += sum("raise NotImplementedError" in source for source in sources)
    assert min(kinds.values()) > 60
    assert len({notebook_text(notebook) for notebook in notebooks}) == 60
    assert notebook_text(made_up(lab, 7)) == notebook_text(notebooks[7])
