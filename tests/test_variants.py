"""The table that opens the reference says what is so."""

import pytest

from tests.variants import COLUMNS, RECORD, SUBJECTS, lines, survey, written


@pytest.fixture(scope="module")
def tried():
    return survey()


@pytest.mark.usefixtures("unchecked")
def test_the_table_in_the_book_is_what_is_found_now(tried):
    same = RECORD.read_text(encoding="utf-8") == "\n".join(lines(tried)) + "\n"
    assert written() == tried, "write it again: python -m tests.variants"
    assert same, "write it again: python -m tests.variants"


@pytest.mark.usefixtures("unchecked")
def test_what_is_tried_agrees_with_the_contract(tried):
    """The contract's tests hold each subject to what it says that it takes."""
    rows = [row for row in tried["variants"] if row["kind"] == "attention"]
    subjects = [
        subject for name, subject in SUBJECTS.items() if any(row["is"] == name for row in rows)
    ]
    assert len(rows) == len(subjects) > 20
    for row, subject in zip(rows, subjects, strict=True):
        for option in ("mask", "padding", "causal", "bias"):
            assert bool(row[option]) == (option in subject.takes or row[option] == "always"), row


def test_every_row_fills_the_columns(tried):
    for row in tried["variants"]:
        assert set(row) - {"kind", "name", "is", "import"} <= set(COLUMNS)
        assert {"causal", "padding", "export", "compile", "chapter", "parameters"} <= set(row)
