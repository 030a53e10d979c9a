"""Formulas become HTML when the book is built."""

from __future__ import annotations

import subprocess
import sys

import pytest
from docutils import nodes

from booktools.formulas import _aligned, html_of


def test_a_formula_is_html_for_the_eye_and_mathml_for_the_ear() -> None:
    drawn = html_of(r"\frac{a_i}{\sqrt{d}}", display=False)
    assert '<span class="katex">' in drawn
    assert "<mfrac>" in drawn
    assert 'aria-hidden="true"' in drawn
    assert "katex-display" in html_of("a", display=True)


@pytest.mark.parametrize("tex", [r"\frac{a", r"\unknown", "a % b", "é"])
def test_what_is_no_formula_is_refused_in_one_sentence(tex) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]{5,300}$"):
        html_of(tex, display=True)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a = b", "a = b"),
        (r"a &= b \\ &= c", r"\begin{split}a &= b \\ &= c\end{split}"),
        ("a\n\nb", r"\begin{aligned}&a\\&b\end{aligned}"),
    ],
)
def test_lines_are_set_below_each_other(text, wanted) -> None:
    assert _aligned(nodes.math_block(text, text, nowrap=False)) == wanted
    html_of(wanted, display=True)


def test_a_process_that_drew_a_formula_ends() -> None:
    code = "from booktools.formulas import html_of; print(len(html_of('a', display=False)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) > 50
