import re

import pytest
import torch

from frugal.show import cells


def squares(html):
    return [int(step) for step in re.findall(r"<rect[^>]*heat-(\d)", html)]


def test_ones_are_dark_and_are_told_in_words():
    mask = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
    shown = cells({"a <b>": mask}, rows="words", columns="places")
    html = shown.to_html()
    assert squares(html) == [7, 0, 7, 7, 0, 0, 0, 0, 7, 7, 7, 7]
    assert "<text" not in html
    assert repr(shown) == "a <b>: 3 words by 4 places. 0: 0, 2, 3; 1: none; 2: 0 to 3."
    assert 'aria-label="a &lt;b&gt;: 3 words by 4 places.' in html
    assert "words ↓ places →" in html


def test_numbers_stand_in_their_squares():
    html = cells(torch.tensor([[0.25, 1.0, 0.999]])).to_html()
    assert squares(html) == [2, 8, 8]
    assert re.findall(r">([^<]*)</text>", html) == [".25", "1", "1.00"]
    assert "1 queries by 3 keys. 0: 0.25 1.00 1.00." in html


def test_several_stand_side_by_side():
    eye = torch.eye(2)
    assert cells({"one": eye, "other": eye}).to_html().count("<svg") == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "matrices is empty; it must have one or more."),
        (torch.ones(3), r"the matrix has shape \(3,\); cells shows \(1 to 32, 1 to 32\)."),
        (torch.ones(2, 33), r"the matrix has shape \(2, 33\)"),
        (torch.ones(0, 3), r"the matrix has shape \(0, 3\)"),
        ({"x": torch.tensor([[1.5]])}, "'x' has a number beyond 0 to 1; it must have none."),
        (
            {"x": torch.tensor([[float("nan")]])},
            "'x' has a number beyond 0 to 1; it must have none.",
        ),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(given, message):
    with pytest.raises(ValueError, match=message):
        cells(given)
