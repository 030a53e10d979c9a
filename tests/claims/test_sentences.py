import numpy as np
import pytest
import torch

from frugal.claims import ClaimError, claim, claims, counted


def below_half(ratio: float) -> bool:
    return ratio < 0.5


@pytest.mark.parametrize("ratio", [0.3, np.float32(0.3), torch.tensor(0.3), np.array([0.3])])
def test_a_true_claim_is_shown(ratio):
    made = claim("It takes {ratio:.2f} of it.", below_half, ratio=ratio)
    assert made.sentence == "It takes 0.30 of it."
    assert str(made) == repr(made) == made._repr_markdown_() == "✓ It takes 0.30 of it."
    assert made._repr_html_() == '<p class="frugal-claim">It takes 0.30 of it.</p>'
    assert made in claims()


def test_a_false_claim_stops_with_its_sentence_and_numbers():
    before = claims()
    with pytest.raises(ClaimError, match=r"show it: It takes 0\.70 of it\. \(ratio = 0\.7\)"):
        claim("It takes {ratio:.2f} of it.", below_half, ratio=0.7)
    assert claims() == before
    assert issubclass(ClaimError, AssertionError)


def test_the_answer_may_be_numpys_or_torchs():
    claim("It is {n}.", lambda n: np.bool_(n == 3), n=3)
    claim("It is {n}.", lambda n: torch.tensor(n == 3), n=3)


def test_a_number_that_nothing_depends_on_is_an_error():
    with pytest.raises(ValueError, match="idle can be pushed anywhere and the check holds"):
        claim("{ratio} beside {idle}.", lambda ratio, idle: ratio < 0.5, ratio=0.3, idle=7.0)


def test_a_check_that_always_holds_is_an_error():
    with pytest.raises(ValueError, match="n can be pushed anywhere"):
        claim("It is {n}.", lambda n: n == n, n=3)


def test_a_bound_far_away_on_both_sides_is_an_error():
    with pytest.raises(ValueError, match="error can be pushed anywhere"):
        claim("It differs by {error}.", lambda error: error < 1e-3, error=1e-9)
    claim("It differs by {error}.", lambda error: 0 <= error < 1e-3, error=1e-9)


def test_two_numbers_may_break_each_other():
    """Neither is bounded alone; exchanged they show that one is the larger."""
    claim("{small} against {large}.", lambda small, large: small < large, small=2.0, large=3.0)


def test_zero_is_pushed_off_zero():
    claim("{wrong} of {all} differ.", lambda wrong, all: wrong == 0 < all, wrong=0, all=3)
    with pytest.raises(ValueError, match="wrong can be pushed anywhere"):
        claim("{wrong} of {all}.", lambda wrong, all: abs(wrong) < 9 and all == 3, wrong=0, all=3)


def test_a_check_that_a_pushed_number_crashes_has_noticed():
    claim("A power of {k}.", lambda k: np.log2(4) == k and 1 / k > 0, k=2.0)


def test_a_claim_tells_what_breaks_it():
    """For the run over the whole book, which reads it off the executed pages."""
    made = claim("{a} < {b}.", lambda a, b: 0 < a < b, a=2.0, b=3.0)
    assert made.broken_by["a"] == ["to 0", "to its negative", "times 10", "to b"]
    assert made.broken_by["b"] == ["to 0", "to its negative", "over 10", "to a"]
    bundle = made._repr_mimebundle_()
    assert bundle["application/vnd.frugal.claim+json"]["broken_by"] == made.broken_by
    assert bundle["text/html"] == made._repr_html_()


@pytest.mark.parametrize("condition", [True, np.bool_(True), torch.tensor(True)])
@pytest.mark.usefixtures("unchecked")
def test_a_condition_in_place_of_a_check_is_an_error(condition):
    """Nobody could push it."""
    with pytest.raises(ValueError, match="it must be a function of the numbers"):
        claim("It is {n}.", condition, n=3)


def test_words_are_not_pushed():
    made = claim("{name} has {n}.", lambda name, n: name == "A" and n == 3, name="A", n=3)
    assert made.sentence == "A has 3."


def test_numbers_are_filled_in():
    made = claim(
        "{n:,} of {share:.0%}.", lambda n, share: n == 12345 and share == 0.5, n=12345, share=0.5
    )
    assert made.sentence == "12,345 of 50%."
    assert made.values == {"n": 12345, "share": 0.5}


def test_powers():
    made = counted("N^{{k:.2f}} is not N^{2}, O(N^{k}) or\n  2^{{m}}.", k=1.5, m=3)
    assert made.sentence == "N^{1.50} is not N^{2}, O(N^{1.5}) or 2^{3}."
    shown = made._repr_html_()
    assert "N<sup>1.50</sup> is not N<sup>2</sup>, O(N<sup>1.5</sup>) or 2<sup>3</sup>." in shown
    assert counted("N^{d} grows.").sentence == "N^{d} grows."


def test_what_is_counted_has_no_tick():
    made = counted("Four heads of {width} make {all}.", width=16, all=64)
    assert str(made) == "= Four heads of 16 make 64."
    assert 'class="frugal-counted"' in made._repr_html_()
    assert made not in claims()


def test_html_is_escaped():
    html = counted("N^{{slope:.1f}} & <1", slope=2.04)._repr_html_()
    assert html == '<p class="frugal-counted">N<sup>2.0</sup> &amp; &lt;1</p>'
    shown = counted("{x} is <b>bold</b> & brave.", x="<script>")._repr_html_()
    assert "&lt;script&gt; is &lt;b&gt;bold&lt;/b&gt; &amp; brave." in shown
    assert "<script>" not in shown


def test_names_of_code_are_code():
    html = counted("`generate` takes {n} <s.", n=2)._repr_html_()
    assert html == '<p class="frugal-counted"><code>generate</code> takes 2 &lt;s.</p>'


def test_claims_are_listed_in_order():
    before = len(claims())
    first = claim("One {n}.", lambda n: n == 1, n=1)
    second = claim("Two {n}.", lambda n: n == 2, n=2)
    assert claims()[before:] == (first, second)


@pytest.mark.parametrize(
    ("sentence", "check", "values", "named"),
    [
        ("{a}", 1, {"a": 1}, "check is int; it must be a function"),
        ("{a}", None, {"a": 1}, "check is NoneType; it must be a function"),
        ("{a}", lambda a: None, {"a": 1}, "check gives NoneType; it must give one bool"),
        ("{a}", lambda a: a, {"a": 1}, "check gives int"),
        ("{a}", lambda a: np.array([True, True]), {"a": 1}, "check gives ndarray"),
        ("S.", lambda: True, {}, "sentence tells no number"),
        ("{a}.", lambda a: True, {"a": "x"}, "sentence tells no number"),
        (" ", lambda: True, {}, "sentence is empty"),
        ("{a}", lambda: True, {}, r"tells \['a'\] and values has \[\]"),
        ("S.", lambda a: True, {"a": 1}, r"tells \[\] and values has \['a'\]"),
        ("{a", lambda a: True, {"a": 1}, r"tells \[\] and values has \['a'\]"),
        ("{a:.2f}", lambda a: True, {"a": "x"}, "cannot be filled in"),
        ("{a}", lambda a: True, {"a": float("nan")}, "a is nan; it must be a finite number"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(sentence, check, values, named):
    before = claims()
    with pytest.raises(ValueError, match=named):
        claim(sentence, check, **values)
    assert claims() == before
