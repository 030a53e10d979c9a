import pytest

from frugal.claims import untested, verdict, verdicts
from frugal.claims.verdicts import MIME

PAPER = {"number": "0.5 of the time", "source": "tay2020sinkhorn, table 1"}


def faster(ratio: float) -> bool:
    return 0 < ratio < 1


def test_a_verdict_is_computed_from_the_numbers():
    seen = verdict("It is faster.", here="{ratio:.2f}", check=faster, ratio=0.4, **PAPER)
    not_seen = verdict("It is faster.", here="{ratio:.2f}", check=faster, ratio=1.4, **PAPER)
    assert (seen.verdict, not_seen.verdict) == ("seen", "not seen")
    assert (seen.here, not_seen.here) == ("0.40", "1.40")


def test_what_was_not_tried_says_why():
    row = untested("It scales.", why="One core is too small.", **PAPER)
    assert row.verdict == "not tested here"
    assert row.here == "One core is too small."


@pytest.mark.parametrize("ratio", [0.4, 1.4])
def test_a_verdict_that_no_number_turns_is_an_error(ratio):
    with pytest.raises(ValueError, match="idle can be pushed anywhere"):
        verdict(
            "It is faster.",
            here="{ratio} {idle}",
            check=lambda ratio, idle: 0 < ratio < 1,
            ratio=ratio,
            idle=7.0,
            **PAPER,
        )


def test_a_verdict_rests_on_a_number():
    with pytest.raises(ValueError, match="here tells no number"):
        verdict("It is faster.", here="It is.", check=lambda: True, **PAPER)


def test_the_table_shows_and_collects_its_rows():
    table = verdicts(
        verdict("A < B.", here="{ratio:.1f}", check=faster, ratio=0.4, **PAPER),
        untested("It scales.", why="Too large.", **PAPER),
    )
    bundle = table._repr_mimebundle_()
    assert "A &lt; B." in bundle["text/html"]
    assert bundle["text/html"].count('data-verdict="') == 2
    assert [row["verdict"] for row in bundle[MIME]] == ["seen", "not tested here"]
    assert bundle[MIME][0]["values"] == {"ratio": 0.4}
    assert "not tested here: It scales." in bundle["text/plain"]


def test_an_empty_table_is_refused():
    with pytest.raises(ValueError, match="rows is empty"):
        verdicts()
