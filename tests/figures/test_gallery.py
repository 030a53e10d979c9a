"""What is asked of every figure: that all can read it, a still picture, words for bad input."""

import re

import pytest

from tests.browsing import changes_of_height, hard_to_use, seen_by_axe
from tests.figures.gallery import FIGURES

# Values that a figure's own range or list does not have; what else it refuses its own tests say.
BAD = {
    "a_memory_of_keys": {"first": 360, "second": -1, "k": 9},
    "acting": {"cabinet": 3, "drawer": -1, "latent": 3, "color": "red", "turn": 360, "tilt": 90},
    "adaptive_spans": {"span": 65, "ramp": 0, "run": "other", "checkpoint": 2},
    "adaptive_sparsity": {"alpha": 2.5, "chosen": 6},
    "decoding_in_parallel": {"step": 5},
    "dropping_layers": {"example": 5, "start": 10},
    "dropping_tokens": {"answer": 8},
    "experts": {"run": "other", "moment": 3, "capacity_factor": 1.1, "token": 12},
    "first_page": {"part": 6},
    "fixed_patterns": {"query": 48},
    "hashing": {"n_buckets": 3, "rounds": 9, "neighbours": 24, "query": 24},
    "kernels": {"power": 9, "size": 3, "kind": "cosine"},
    "latents": {"inputs": 31, "latents": 8193, "layers": 0, "outputs": "some"},
    "leaving_early": {"rule": "luck", "threshold": 0.1, "patience": 5, "example": 5, "lowest": 1},
    "leaving_early: promise": {"tolerance": 0.4, "size": 60},
    "lost_in_the_middle": {
        "architecture": "three",
        "updates": 31,
        "gold": 30,
        "group": "40 documents",
        "model": "GPT-5",
    },
    "measuring_fairly": {
        "seeds": 11,
        "tries": 0,
        "tasks": 9,
        "effect": 6,
        "source": "luck",
        "rule": "luck",
        "told": "all",
        "chosen": "luck",
    },
    "measuring_fairly: intervals": {"seeds": 1, "effect": -1, "source": "luck"},
    "low_rank": {"matrix": "other", "rank": 25},
    "pictures_and_sound": {"modality": "smell"},
    "pooling_tokens": {"n_decoder_layers": 5},
    "one_layer_many_times": {"steps": 13},
    "running_example": {"query": 21, "shown": "other"},
    "side_by_side": {"cost": "nothing", "enough": 2},
    "sixteen_heads_or_one": {"answer": 8, "example": 20},
    "sorting": {"iterations": 13, "temperature": 0.05, "pull": 4},
    "the_modification_zoo": {
        "measure": "score",
        "family": "zoo",
        "form": "other",
        "sort": "name",
        "threshold": 11,
    },
    "the_vanilla_transformer": {"kind": "other", "layer": 3, "head": -1, "query": 9, "bits": 4},
    "where_the_cost_is": {"machine": 3},
    "windows_in_two_dimensions": {"step": "jump"},
    "writing_with_fewer_layers": {"view": "late", "text": 2, "depth": 4, "n_drafted": 0},
}


@pytest.mark.parametrize("name", FIGURES)
def test_everyone_can_read_it(show, visit, name):
    """On a phone and a wide screen, in light and dark; and touch it."""
    page = visit.page
    page.set_viewport_size({"width": 375, "height": 800})
    figure = show(FIGURES[name]())
    stage = figure.locator(".frugal-stage")
    if name == "bytes":
        figure.locator(".bt-pieces .bt-box").first.hover()  # what is pointed at has other colors
    problems = []
    for width, theme in ((375, "dark"), (768, "light"), (1440, "light")):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        excess = stage.evaluate("(it) => it.scrollWidth - it.clientWidth")
        if excess > 0:
            problems.append(f"{excess} px too wide for {width} px")
        problems += [f"{it} on {width} px" for it in hard_to_use(figure)]
        if width != 768:
            problems += seen_by_axe(page)
    assert problems == []


@pytest.mark.parametrize("width", [390, 768])  # a phone, and the column of a wide page
@pytest.mark.parametrize("name", FIGURES)
def test_it_keeps_its_height_while_it_is_used(show, visit, name, width):
    """Or what the reader looks at moves away; pages ask the same of what the book shows."""
    visit.page.set_viewport_size({"width": width, "height": 844})
    count, found = changes_of_height(show(FIGURES[name]()), turns=40)
    assert count > 40
    assert found == []


@pytest.mark.parametrize("name", FIGURES)
def test_a_still_picture_stands_in(name):
    figure = FIGURES[name]()
    png = figure.to_png()
    assert png.startswith(b"\x89PNG")
    assert 5_000 < len(png) < 400_000
    assert len(figure.alt.split()) > 9


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [(name, *one) for name, options in BAD.items() for one in options.items()],
)
@pytest.mark.usefixtures("unchecked")
def test_a_value_that_does_not_fit_gets_one_sentence(name, option, value):
    said = rf"^{option} is {re.escape(repr(value))}; it must be (from \S+ to \S+|one of .+)\.$"
    with pytest.raises(ValueError, match=said):
        FIGURES[name](**{option: value})


SHARES = {"effect", "enough", "lowest", "pull", "size", "threshold"}
"""Options that are no whole number, though a whole one is given above."""


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name, options in BAD.items()
        for option, value in options.items()
        if isinstance(value, int) and option not in SHARES
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_half_is_no_place_in_a_list(name, option):
    for value in (1.5, "1"):
        said = rf"{option} is {value!r}; it must be (a whole number|one of) .*\.$"
        with pytest.raises(ValueError, match=said):
            FIGURES[name](**{option: value})


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_list_of_the_figure_is_refused_in_one_sentence():
    for name, option, wrong in (
        ("a_memory_of_keys", "keys", (3, [], "x", (2,))),
        ("first_page", "parts", ("x", 3, None, (2,), [])),
        ("first_page", "links", ("x", 3)),
        ("fixed_patterns", "length", ("x", 0, (2,))),
        ("fixed_patterns", "n_global", ("x", 1.5, None)),
        ("adaptive_spans", "max_span", ("x", 1.5, None)),
    ):
        for value in wrong:
            with pytest.raises(ValueError, match=rf"^{option} (is|has) [^\n]*\.$"):
                FIGURES[name](**{option: value})
