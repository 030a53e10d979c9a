"""Claims and verdicts are read off the executed chapters."""

import json

import pytest

from booktools.__main__ import main
from booktools.collected import collect, report
from frugal.claims import claim, untested, verdicts


def page(root, name, *shown):
    path = root / "_build" / "jupyter_execute" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    outputs = [{"output_type": "display_data", "data": one._repr_mimebundle_()} for one in shown]
    words = {"cell_type": "markdown", "source": "# Words"}
    path.write_text(json.dumps({"cells": [words, {"cell_type": "code", "outputs": outputs}]}))


def good():
    return claim("{a} < 3.", lambda a: 1 < a < 3, a=2)


def table():
    return verdicts(untested("It scales.", number="2", source="tay2020sinkhorn", why="Too large."))


def test_every_claim_and_verdict_is_found(tmp_path):
    page(tmp_path, "chapters/one", good(), table())
    page(tmp_path, "chapters/two")
    found = collect(tmp_path)
    assert [one["sentence"] for one in found["chapters/one"]["claims"]] == ["2 < 3."]
    assert [row["verdict"] for row in found["chapters/one"]["verdicts"]] == ["not tested here"]
    assert found["chapters/two"] == {"claims": [], "verdicts": []}


def test_the_command_prints_the_share_and_fails_below_all(tmp_path, capsys):
    page(tmp_path, "chapters/one", good(), table())
    assert main(["--root", str(tmp_path), "claims"]) == 0
    assert "the book: 1 of 1 claims can fail (100%)" in capsys.readouterr().out
    idle = good()
    idle.broken_by["a"] = []
    page(tmp_path, "chapters/two", idle)
    text, whole = report(tmp_path)
    assert not whole
    assert "chapters/two: 0 of 1 claims can fail" in text
    assert main(["--root", str(tmp_path), "claims"]) == 1


def test_without_a_build_it_says_what_to_do(tmp_path, capsys):
    with pytest.raises(ValueError, match="holds no executed chapter; run make book first"):
        collect(tmp_path)
    assert main(["--root", str(tmp_path), "claims"]) == 2
    assert "run make book first" in capsys.readouterr().err
