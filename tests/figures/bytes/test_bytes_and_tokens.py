"""The bytes-and-tokens figure: merges in the browser cut as the tokenizers library does."""

import random
from pathlib import Path

import pytest

from frugal.data import text as topics
from frugal.figures.bytes.bytes_and_tokens import BytesAndTokensFigure
from frugal.show.modules import bundle
from frugal.tokens.byte_pairs import BytePairTokenizer, visible_bytes

FIGURE = Path(__file__).parents[3] / "lib" / "frugal" / "figures" / "bytes"
LEARNED = topics.topics().train[:60_000]
TOKENIZER = BytePairTokenizer.train(LEARNED, vocab_size=700)
SAMPLES = {"English": "The café opens at 8, doesn’t it?", "Japanese": "東京は晴れ。"}


def texts():
    """Stretches of real text, and hostile mixtures of scripts, spaces, signs and numbers."""
    rng = random.Random(0)
    held_out = topics.topics().valid
    for _ in range(60):
        start = rng.randrange(len(held_out) - 200)
        yield held_out[start : start + rng.randrange(1, 200)]
    parts = [
        *"aéßЖ世あ한ا😀👩‍💻１²½_-'\"\t\n\r  \u00a0\u0085\u2003\u2028\u3000\ufeff\u200d\u0301",
        *(" the", "don't", "we'll", "'S", "  ", "\n\n", " 12", "x1", "...", " ∑", "__init__"),
    ]
    for _ in range(300):
        yield "".join(rng.choices(parts, k=rng.randrange(1, 25)))


def in_browser(visit, merges, some, limit):
    page = visit.page
    page.goto("about:blank")
    page.evaluate(f"window.pairs = {bundle(FIGURE / 'byte_pairs.js')}; null")
    return page.evaluate(
        """([merges, texts, limit]) => {
          const rank = window.pairs.ranks(merges);
          return texts.map((text) => window.pairs.pieces(text, rank, limit));
        }""",
        [[" ".join(pair) for pair in merges], some, limit],
    )


def test_pieces_equal_those_of_the_library(visit):
    some = list(texts())
    found = in_browser(visit, TOKENIZER.merges, some, len(TOKENIZER.merges))
    for text, pieces in zip(some, found, strict=True):
        assert [bytes(piece) for piece in pieces] == TOKENIZER.pieces(text), repr(text)


@pytest.mark.parametrize("vocab_size", [259, 300, 500])
def test_fewer_merges_are_a_smaller_vocabulary(visit, vocab_size):
    """The slider's promise: the first merges are what a smaller training would have learned."""
    smaller = BytePairTokenizer.train(LEARNED, vocab_size=vocab_size)
    limit = len(smaller.merges)
    assert TOKENIZER.merges[:limit] == smaller.merges
    some = list(texts())[::4]
    found = in_browser(visit, TOKENIZER.merges, some, limit)
    for text, pieces in zip(some, found, strict=True):
        assert [bytes(piece) for piece in pieces] == smaller.pieces(text), repr(text)


def test_the_alphabet_is_the_library_s(visit):
    in_browser(visit, [], ["a"], 0)
    assert visit.page.evaluate("window.pairs.VISIBLE") == visible_bytes()


def boxes(figure, kind):
    return figure.locator(f".bt-strip.bt-{kind} .bt-box").all_inner_texts()


def pairs(figure):
    rows = figure.locator(".bt-costs tbody tr")
    return dict(rows.evaluate_all("(all) => all.map((it) => [it.dataset.kind, +it.dataset.pairs])"))


def test_the_reader_s_own_text_is_cut_three_ways(show):
    figure = show(BytesAndTokensFigure(TOKENIZER, SAMPLES))
    box = figure.get_by_label("Your text")
    for text in ("the naïve  thing", "東😀", "x"):
        box.fill(text)
        assert "".join(boxes(figure, "characters")).replace("␣", " ") == text
        hexes = "".join(boxes(figure, "bytes"))
        assert bytes.fromhex(hexes) == text.encode()
        cut = TOKENIZER.pieces(text)
        assert len(boxes(figure, "pieces")) == len(cut)
        assert pairs(figure) == {
            "characters": len(text) ** 2,
            "bytes": len(text.encode()) ** 2,
            "pieces": len(cut) ** 2,
        }
        ratio = (len(text.encode()) / len(cut)) ** 2
        assert f"compares {ratio:.1f} times" in figure.locator(".frugal-readout").inner_text()
    box.fill("")
    assert "nothing to read" in figure.locator(".frugal-readout").inner_text()
    assert pairs(figure) == {"characters": 0, "bytes": 0, "pieces": 0}


def test_without_merges_pieces_are_bytes(show):
    figure = show(BytesAndTokensFigure(TOKENIZER, SAMPLES))
    few = len(boxes(figure, "pieces"))
    slider = figure.get_by_label("Merges known")
    slider.press("Home")
    assert (
        pairs(figure)["pieces"] == pairs(figure)["bytes"] == len(SAMPLES["English"].encode()) ** 2
    )
    slider.press("End")
    assert len(boxes(figure, "pieces")) == few < len(SAMPLES["English"])


def test_samples_fill_the_box(show):
    figure = show(BytesAndTokensFigure(TOKENIZER, SAMPLES))
    figure.get_by_label("Sample").select_option("Japanese")
    assert figure.get_by_label("Your text").input_value() == SAMPLES["Japanese"]
    assert len(boxes(figure, "bytes")) == len(SAMPLES["Japanese"].encode())


def test_pointing_and_the_cursor_mark_a_character_in_all_three(show):
    figure = show(BytesAndTokensFigure(TOKENIZER, SAMPLES))
    box = figure.get_by_label("Your text")
    box.fill("aé")
    box.press("ArrowLeft")
    marked = figure.locator(".bt-on")
    assert figure.locator(".bt-characters .bt-on").all_inner_texts() == ["é"]
    assert figure.locator(".bt-bytes .bt-on").all_inner_texts() == ["C3", "A9"]
    assert "as ids 198 172" in figure.locator(".bt-detail").inner_text()
    assert marked.count() >= 4
    figure.locator(".bt-bytes .bt-box").first.hover()
    assert figure.locator(".bt-characters .bt-on").all_inner_texts() == ["a"]
    assert "as id 100" in figure.locator(".bt-detail").inner_text()


@pytest.mark.parametrize("visit", [{"viewport": {"width": 375, "height": 700}}], indirect=True)
def test_fits_a_narrow_page(show):
    figure = show(BytesAndTokensFigure(TOKENIZER, SAMPLES))
    figure.get_by_label("Your text").fill("W" * 240)
    stage = figure.locator(".frugal-stage")
    assert stage.evaluate("(it) => it.scrollWidth <= it.clientWidth")


@pytest.mark.parametrize(
    "visit", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True
)
def test_axe_finds_nothing_serious(show):
    from axe_playwright_python.sync_playwright import Axe

    figure = show(BytesAndTokensFigure(TOKENIZER, SAMPLES))
    figure.locator(".bt-pieces .bt-box").first.hover()
    found = Axe().run(figure.page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_still_picture_counts_the_first_sample():
    figure = BytesAndTokensFigure(TOKENIZER, SAMPLES)
    assert figure.to_png().startswith(b"\x89PNG")
    bars = [bar.get_width() for bar in figure.picture().axes[0].patches]
    text = SAMPLES["English"]
    assert bars == [len(text), len(text.encode()), len(TOKENIZER.pieces(text))]
    assert f"{len(text.encode())} bytes" in figure.alt


@pytest.mark.parametrize(
    ("samples", "message"),
    [({}, "samples is empty"), ({"a": ""}, "0 characters under 'a'"), ({"a": "b" * 241}, "241")],
)
def test_bad_samples_are_named(samples, message):
    with pytest.raises(ValueError, match=message):
        BytesAndTokensFigure(TOKENIZER, samples)
