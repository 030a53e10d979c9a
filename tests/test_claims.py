import numpy as np
import pytest
import torch

from frugal.claims import Claim, ClaimError, claim, claims


@pytest.mark.parametrize(
    "true", [True, np.True_, torch.tensor(True), torch.tensor([True]), np.array([True])]
)
def test_a_true_claim_is_shown(true):
    made = claim("Water is wet.", true)
    assert made == Claim("Water is wet.")
    assert str(made) == repr(made) == made._repr_markdown_() == "\N{CHECK MARK} Water is wet."
    shown = made._repr_html_()
    assert shown.startswith('<p class="frugal-claim">')
    assert "Water is wet.</p>" in shown


@pytest.mark.parametrize("false", [False, np.False_, torch.tensor(False), np.array([False])])
def test_a_false_claim_stops_with_its_sentence_and_numbers(false):
    before = claims()
    with pytest.raises(ClaimError, match=r"show it: It takes 0\.70 of it\. \(ratio = 0\.7\)"):
        claim("It takes {ratio:.2f} of it.", false, ratio=0.7)
    assert claims() == before
    assert issubclass(ClaimError, AssertionError)


def test_numbers_are_filled_in():
    made = claim("{name} has {n:,} of {share:.0%}.", True, name="A", n=12345, share=0.5)
    assert made.sentence == "A has 12,345 of 50%."
    assert made.values == {"name": "A", "n": 12345, "share": 0.5}


def test_powers():
    made = claim("N^{{k:.2f}} is not N^{2}, O(N^{k}) or\n  2^{{m}}.", True, k=1.5, m=3)
    assert made.sentence == "N^{1.50} is not N^{2}, O(N^{1.5}) or 2^{3}."
    shown = made._repr_html_()
    assert "N<sup>1.50</sup> is not N<sup>2</sup>, O(N<sup>1.5</sup>) or 2<sup>3</sup>." in shown
    assert claim("N^{d} grows.", True).sentence == "N^{d} grows."


def test_html_is_escaped():
    html = claim("N^{{slope:.1f}} & <1", True, slope=2.04)._repr_html_()
    assert html == '<p class="frugal-claim">N<sup>2.0</sup> &amp; &lt;1</p>'
    shown = claim("{x} is <b>bold</b> & brave.", True, x="<script>")._repr_html_()
    assert "&lt;script&gt; is &lt;b&gt;bold&lt;/b&gt; &amp; brave." in shown
    assert "<script>" not in shown


def test_claims_are_listed_in_order():
    before = len(claims())
    first, second = claim("One.", True), claim("Two.", True)
    assert claims()[before:] == (first, second)


@pytest.mark.parametrize(
    ("sentence", "condition", "values", "named"),
    [
        ("S.", 1, {}, "condition is int"),
        ("S.", None, {}, "condition is NoneType"),
        ("S.", "yes", {}, "condition is str"),
        ("S.", torch.tensor(1), {}, "a tensor of torch.int64"),
        ("S.", torch.tensor([True, True]), {}, r"shape \(2,\)"),
        ("S.", np.array([True, True]), {}, r"shape \(2,\)"),
        ("S.", np.array([1]), {}, "an array of int64"),
        (" ", True, {}, "sentence is empty"),
        ("{a}", True, {}, r"tells \['a'\], but values has \[\]"),
        ("S.", True, {"a": 1}, r"tells \[\], but values has \['a'\]"),
        ("{a", True, {"a": 1}, r"tells \[\], but values has \['a'\]"),
        ("N^{{a}}", True, {}, r"tells \['a'\]"),
        ("{a:.2f}", True, {"a": "x"}, "cannot be filled in"),
    ],
)
def test_bad_arguments_are_named(sentence, condition, values, named):
    before = claims()
    with pytest.raises(ValueError, match=named):
        claim(sentence, condition, **values)
    assert claims() == before
