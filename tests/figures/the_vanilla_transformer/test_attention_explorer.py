"""The attention explorer in a browser: its numbers are the tensor's, and all keys work."""

import math
import re

import pytest
import torch

from frugal.figures.the_vanilla_transformer.attention_explorer import (
    AttentionExample,
    AttentionExplorer,
)
from tests.browsing import heights_of

SOURCE, TARGET = list("5 June 98"), list("1998-06")
SIZES = {"encoder": (3, 4, 9, 9), "decoder": (2, 4, 7, 7), "cross": (2, 4, 7, 9)}


def weights(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    found = {kind: 2 * torch.randn(size, generator=generator) for kind, size in SIZES.items()}
    future = torch.ones(7, 7, dtype=torch.bool).triu(1)
    found["decoder"] = found["decoder"].masked_fill(future, -torch.inf)
    return {kind: scores.softmax(-1) for kind, scores in found.items()}


FIRST, SECOND = weights(1), weights(2)


def explorer(**options) -> AttentionExplorer:
    examples = [
        AttentionExample.from_weights(one, source=SOURCE, target=TARGET, title=title)
        for one, title in ((FIRST, "first"), (SECOND, "second"))
    ]
    return AttentionExplorer(examples, **options)


def state(figure, name):
    return figure.evaluate("(it, name) => it.model.get(name)", name)


def shown_weights(figure) -> torch.Tensor:
    values = figure.locator(".attention-keys li").evaluate_all(
        "(all) => all.map((it) => +it.dataset.weight)"
    )
    return torch.tensor(values)


@pytest.mark.parametrize(("bits", "tolerance"), [(8, 0.004), (16, 2e-5)])
@pytest.mark.parametrize("kind", list(SIZES))
def test_every_weight_shown_is_the_tensors(show, kind, bits, tolerance):
    figure = show(explorer(kind=kind, bits=bits))
    layers, heads, queries, keys = SIZES[kind]
    found = figure.evaluate(
        """(it) => {
          const shown = [];
          const rows = it.querySelector(".attention-queries").children.length;
          const layers = it.querySelectorAll(".attention-layers input:enabled").length;
          const heads = it.querySelectorAll(".attention-head").length;
          for (let layer = 0; layer < layers; layer += 1)
            for (let head = 0; head < heads; head += 1)
              for (let query = 0; query < rows; query += 1) {
                it.model.set({ layer, head, query });
                for (const key of it.querySelectorAll(".attention-keys li"))
                  shown.push(Number(key.dataset.weight));
              }
          return shown;
        }"""
    )
    shown = torch.tensor(found).view(layers, heads, queries, keys)
    assert (shown - FIRST[kind]).abs().max() <= tolerance
    assert torch.equal(shown == 0, FIRST[kind] < (0.5 / (2**bits - 1)) ** 2)


def test_words_and_bands_say_what_the_tensor_says(show):
    figure = show(explorer(kind="cross", layer=1, head=2, query=4, bits=16))
    row = FIRST["cross"][1, 2, 4]
    key = int(row.argmax())
    said = figure.get_by_role("status").inner_text()
    assert said.startswith("‘-’ (token 5 of the output) gives ")
    best = re.search(r"gives (\d+) % to ‘(.)’ \(token (\d+) of the input\)", said)
    assert int(best[1]) == round(100 * row[key].item())
    assert (best[2], int(best[3])) == (SOURCE[key].replace(" ", "␣"), key + 1)
    entropy = -(row * row.log2()).sum().item()
    assert f"{2**entropy:.1f} tokens (entropy {entropy:.1f} bits)" in said
    # the band's height, in rows, is the weight (times 0.92, the part of a row that bands fill)
    band = figure.locator(f".attention-chosen path[data-key='{key}']").get_attribute("d")
    top, bottom = re.search(r"([\d.]+)V([\d.]+)", band).groups()
    assert float(bottom) - float(top) == pytest.approx(0.92 * row[key].item(), abs=1e-4)
    number = figure.locator(".attention-keys li").nth(key).locator(".attention-number")
    assert number.inner_text() == f"{round(100 * row[key].item())} %"


def test_heads_say_how_far_they_spread(show):
    figure = show(explorer(kind="encoder", layer=2, bits=16))
    row_entropy = -(FIRST["encoder"][2] * FIRST["encoder"][2].log2()).sum(-1)
    expected = [f"{mean:.1f} tokens" for mean in (2**row_entropy).mean(-1)]
    assert figure.locator(".attention-spread").all_inner_texts() == expected


def test_heat_map_is_painted_from_the_same_row(show):
    figure = show(explorer(kind="encoder", head=3))
    painted = figure.locator(".attention-cells canvas").evaluate(
        """(it) => Array.from(it.getContext("2d").getImageData(0, 0, it.width, it.height).data)"""
    )
    red = torch.tensor(painted).view(9, 9, 4)[..., 0].float()  # dark where the weight is large
    truth = FIRST["encoder"][0, 3]
    assert (red.flatten().argsort(descending=True)[-5:].sort().values).tolist() == (
        truth.flatten().argsort()[-5:].sort().values
    ).tolist()


def test_keyboard_moves_rows_heads_and_layers(show, visit):
    figure = show(explorer(kind="cross"))
    listbox = figure.get_by_role("listbox")
    listbox.focus()
    steps = [
        ("ArrowDown", "query", 1), ("End", "query", 6), ("ArrowDown", "query", 6),
        ("ArrowUp", "query", 5), ("Home", "query", 0), ("ArrowLeft", "head", 3),
        ("ArrowRight", "head", 0), ("ArrowRight", "head", 1), ("PageUp", "layer", 1),
        ("PageUp", "layer", 1), ("PageDown", "layer", 0),
    ]  # fmt: skip
    for key, name, value in steps:
        visit.page.keyboard.press(key)
        assert state(figure, name) == value, key
        layer, head, query = (state(figure, one) for one in ("layer", "head", "query"))
        assert torch.allclose(shown_weights(figure), FIRST["cross"][layer, head, query], atol=0.004)
        active = listbox.get_attribute("aria-activedescendant")
        assert figure.locator(f"[id='{active}']").get_attribute("aria-selected") == "true"
        assert figure.locator("[aria-selected=true]").count() == 1


def test_pointer_moves_rows_and_heads(show, visit):
    figure = show(explorer(kind="cross"))
    figure.locator(".attention-queries li").nth(3).hover()
    assert state(figure, "query") == 3
    figure.locator(".attention-head").nth(2).click()
    assert state(figure, "head") == 2
    cells = figure.locator(".attention-cells canvas")
    cells.scroll_into_view_if_needed()
    box = cells.bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] * 4.5 / 9, box["y"] + box["height"] * 5.5 / 7)
    assert state(figure, "query") == 5
    exact = 100 * FIRST["cross"][0, 2, 5, 4].item()
    shown = re.fullmatch(
        r"‘0’ → ‘n’: ([\d.]+) %", figure.locator(".attention-pointed").inner_text()
    )
    assert float(shown[1]) == pytest.approx(exact, abs=0.5)


def test_another_example_and_kind_fit_their_own_sizes(show):
    figure = show(explorer(kind="encoder", layer=2, query=8))
    figure.get_by_label("decoder (causal)").check()
    assert (state(figure, "layer"), state(figure, "query")) == (1, 6)  # the last there are
    assert figure.locator(".attention-layers label:visible").all_inner_texts() == ["1", "2"]
    figure.get_by_label("Example").select_option(label="second")
    assert torch.allclose(shown_weights(figure), SECOND["decoder"][1, 0, 6], atol=0.004)
    figure.locator(".attention-queries li").nth(2).click()
    masked = figure.locator(".attention-keys .attention-future")
    assert masked.count() == 4  # keys 3 … 6 are the future of query 2


@pytest.mark.parametrize("width", [390, 1280])
def test_no_choice_changes_the_height(show, visit, width):
    """Whatever the lengths of the examples and the layers of the kinds: 3, 2, 1 of them here."""
    visit.page.set_viewport_size({"width": width, "height": 900})
    long = {"encoder": (1, 4, 22, 22), "decoder": (2, 4, 11, 11), "cross": (1, 4, 11, 22)}
    given = [
        (SIZES, SOURCE, TARGET),
        (long, list("16 de octubre de 2044!"), [*"2044-10-16", "end"]),
    ]
    examples = [
        AttentionExample.from_weights(
            {kind: torch.rand(size).softmax(-1) for kind, size in sizes.items()},
            source=source,
            target=target,
        )
        for sizes, source, target in given
    ]
    figure = show(AttentionExplorer(examples))
    places = [
        {
            "example": example,
            "kind": kind,
            "layer": sizes[kind][0] - 1,
            "query": query,
            "part": part,
        }
        for example, (sizes, *_) in enumerate(given)
        for kind in SIZES
        for query in range(sizes[kind][2])
        for part in (0, 1)
    ]
    heights = heights_of(figure, places)
    changed = [p for p, h in zip(places, heights, strict=True) if abs(h - heights[0]) > 0.5]
    assert changed == []
    assert heights[0] <= (1150 if width < 500 else 1000)


def test_a_narrow_page_shows_the_token_or_the_head(show, visit):
    visit.page.set_viewport_size({"width": 390, "height": 900})
    figure = show(explorer(kind="cross"))
    token, head = figure.get_by_role("listbox"), figure.locator(".attention-cells canvas")
    assert (token.is_visible(), head.is_visible()) == (True, False)
    figure.get_by_label("the whole head").check()
    assert (token.is_visible(), head.is_visible()) == (False, True)
    head.click(position={"x": 5, "y": 5})
    assert state(figure, "query") == 0
    visit.page.set_viewport_size({"width": 1280, "height": 900})
    token.hover()
    assert (token.is_visible(), head.is_visible()) == (True, True)


def test_pure_functions(formulas):
    page = formulas("attention_maps.js", "maps")
    assert page.evaluate("maps.spread([0.25, 0.25, 0.25, 0.25])") == pytest.approx(4)
    assert page.evaluate("maps.spread([0, 1, 0])") == 1
    assert page.evaluate("maps.spread([0, 0])") == 0
    skewed = [0.5, 0.25, 0.125, 0.125]
    entropy = -sum(p * math.log2(p) for p in skewed)
    assert page.evaluate("(p) => maps.spread(p)", skewed) == pytest.approx(2**entropy)
    assert page.evaluate("maps.ranked([0.1, 0.6, 0.3, 0.6])") == [1, 3, 2, 0]
    assert page.evaluate("[0, 0.001, 0.725].map(maps.weightInWords)") == ["0 %", "<1 %", "73 %"]
    assert page.evaluate("[' ', '\\n', '', 'a b'].map(maps.visible)") == ["␣", "⏎", "∅", "a␣b"]


def test_one_layer_with_one_head_has_nothing_to_choose_there(show):
    weights = {"encoder": FIRST["encoder"][:1, :1]}
    one = AttentionExample.from_weights(weights, source=SOURCE, title="one")
    figure = show(AttentionExplorer([one]))
    assert figure.locator("input:enabled, select").count() == 0
    assert figure.locator(".attention-layers").is_hidden()
    figure.locator(".attention-queries li").nth(2).click()
    assert torch.allclose(shown_weights(figure), FIRST["encoder"][0, 0, 2], atol=0.004)
