"""The bytes-and-tokens figure: merges in the browser cut as the tokenizers library does."""

import random

import pytest

from frugal.data import text as topics
from frugal.figures.bytes.bytes_and_tokens import BytesAndTokensFigure
from frugal.tokens.byte_pairs import BytePairTokenizer, visible_bytes

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


def in_browser(formulas, merges, some, limit):
    page = formulas("byte_pairs.js", "pairs")
    return page.evaluate(
        """([merges, texts, limit]) => {
          const rank = window.pairs.ranks(merges);
          return texts.map((text) => window.pairs.pieces(text, rank, limit));
        }""",
        [[" ".join(pair) for pair in merges], some, limit],
    )


def test_pieces_equal_those_of_the_library(formulas):
    some = list(texts())
    found = in_browser(formulas, TOKENIZER.merges, some, len(TOKENIZER.merges))
    for text, pieces in zip(some, found, strict=True):
        assert [bytes(piece) for piece in pieces] == TOKENIZER.pieces(text), repr(text)


@pytest.mark.parametrize("vocab_size", [259, 300, 500])
def test_fewer_merges_are_a_smaller_vocabulary(formulas, vocab_size):
    """The slider's promise: the first merges are what a smaller training would have learned."""
    smaller = BytePairTokenizer.train(LEARNED, vocab_size=vocab_size)
    limit = len(smaller.merges)
    assert TOKENIZER.merges[:limit] == smaller.merges
    some = list(texts())[::4]
    found = in_browser(formulas, TOKENIZER.merges, some, limit)
    for text, pieces in zip(some, found, strict=True):
        assert [bytes(piece) for piece in pieces] == smaller.pieces(text), repr(text)


def test_the_alphabet_is_the_library_s(formulas):
    assert formulas("byte_pairs.js", "pairs").evaluate("pairs.VISIBLE") == visible_bytes()


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


LONG = {
    "long": "A class definition is an executable statement that defines a class object.",
    "Greek": "Η γάτα κοιμάται στον ήλιο.",
    "signs": "👩‍🚀🚀🌍 → 🌙",
}


@pytest.mark.parametrize("width", [375, 1280])
def test_its_height_stays_and_a_long_text_is_scrolled(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(BytesAndTokensFigure(TOKENIZER, LONG))
    heights, strips = {figure.bounding_box()["height"]}, figure.locator(".bt-strip")
    for name in LONG:
        figure.get_by_label("Sample").select_option(name)
        heights.add(figure.bounding_box()["height"])
        assert figure.locator(".bt-strip[tabindex]").count() == 0  # all of it is seen
    figure.get_by_label("Merges known").press("Home")
    heights.add(figure.bounding_box()["height"])
    figure.locator(".bt-pieces .bt-box").first.hover()
    heights.add(figure.bounding_box()["height"])
    box = figure.get_by_label("Your text")
    for text in ("", 240 * "東"):
        box.fill(text)
        heights.add(figure.bounding_box()["height"])
    assert strips.evaluate_all("(all) => all.map((it) => it.tabIndex)")[1] == 0
    assert len(heights) == 1


def test_steps_fill_the_box_and_know_another_text(show):
    merges = len(TOKENIZER.merges)
    tries = [
        (name, {"sample": name, "text": text, "n_merges": merges}) for name, text in LONG.items()
    ]
    figure = show(BytesAndTokensFigure(TOKENIZER, LONG).guided("Which are long?", *tries))
    current = figure.locator(".frugal-steps [aria-current]")
    assert current.inner_text() == "1 long"
    ratios = []
    for number, text in enumerate(LONG.values()):
        figure.locator(".frugal-steps button").nth(number).click()
        assert figure.get_by_label("Your text").input_value() == text
        ratios.append(len(text.encode()) / len(TOKENIZER.pieces(text)))
        said = figure.locator(".frugal-readout").inner_text()
        assert f"{ratios[-1]:.2f} times as many tokens" in said
    assert ratios[0] > ratios[1] + 0.2
    figure.get_by_label("Your text").fill("another")
    assert current.count() == 0


def test_the_still_picture_counts_the_first_sample():
    figure = BytesAndTokensFigure(TOKENIZER, SAMPLES)
    bars = [bar.get_width() for bar in figure.picture().axes[0].patches]
    text = SAMPLES["English"]
    assert bars == [len(text), len(text.encode()), len(TOKENIZER.pieces(text))]
    assert f"{len(text.encode())} bytes" in figure.alt


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ({}, "samples is empty"),
        ({"a": ""}, "0 characters under 'a'; it must have"),
        ({"a": "b" * 241}, "241"),
    ],
)
def test_bad_samples_are_named(samples, message):
    with pytest.raises(ValueError, match=message):
        BytesAndTokensFigure(TOKENIZER, samples)
