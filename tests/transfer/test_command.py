"""`python -m frugal.transfer`: the table of counts beside the paper's, and what it refuses."""

import re
import sys

import pytest

from frugal.transfer.__main__ import main
from frugal.transfer.counting import count


def printed(monkeypatch, capsys, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["frugal.transfer", *arguments])
    main()
    return capsys.readouterr().out


def test_the_command_prints_our_counts_beside_the_papers(monkeypatch, capsys):
    rows = ["Vanilla Transformer", "Block sharing", "Funnel Transformer"]
    text = printed(monkeypatch, capsys, *rows)
    for name in rows:
        found = count(name)
        ours = re.search(rf"^{name} +([\d.]+) +([\d.]+) .* ([\d.]+) +([\d.]+) ", text, re.MULTILINE)
        assert float(ours[1]) == pytest.approx(found.parameters, abs=0.06)
        assert float(ours[2]) == found.paper_parameters
    assert "parameters within 2% of the paper's ratio: 3 of 3 rows; ops within 5%: 2" in text
    assert "Funnel Transformer: as published, the encoder had another norm" in text
    assert f"Funnel Transformer: {count('Funnel Transformer').note}" in text


def test_the_intended_form_is_counted_on_demand(monkeypatch, capsys):
    text = printed(monkeypatch, capsys, "--repaired", "Dynamic convolution")
    repaired = count("Dynamic convolution", repaired=True)
    assert f"{repaired.parameters:.1f}" in text
    assert "as published" not in text


def test_a_row_that_there_is_not_ends_the_command_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["frugal.transfer", "GeGLUU"])
    with pytest.raises(SystemExit):
        main()
    assert "it must be one of 'GeGLU'" in capsys.readouterr().err
