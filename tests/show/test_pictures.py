"""Still pictures that follow the theme, and the style they are drawn in."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import matplotlib
import pytest

from frugal.show import picture, use_style
from frugal.show.pictures import themed_svg
from frugal.show.theme import accents, light_colors

matplotlib.use("agg")

from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        use_style()
        yield
    plt.close("all")


def drawn(points: int = 3):
    figure, axes = plt.subplots()
    axes.plot(range(points), label="one")
    axes.plot(range(points), range(points, 0, -1), color="#123456")
    axes.set_xlabel("$N$")
    axes.legend()
    return figure


def test_palette_colors_follow_the_page_and_others_stay() -> None:
    svg = themed_svg(drawn(), alt="Two lines.")
    assert "var(--frugal-accent-1, " in svg
    assert "var(--frugal-ink, " in svg
    assert "#123456" in svg
    assert "'DejaVu Sans', Verdana, sans-serif" in svg
    assert "'Bitstream Vera Sans'" not in svg
    unnamed = re.sub(r"var\([^)]*\)", "", svg)
    assert not [color for color in accents() if color in unnamed]
    assert not re.search(r"fill: ?#ffffff", svg), "the background lets the page through"


def test_svg_is_well_formed_and_named() -> None:
    root = ElementTree.fromstring(themed_svg(drawn(), alt='Two "lines" & more'))
    assert root.get("aria-label") == 'Two "lines" & more'
    assert root.get("role") == "img"
    assert float(root.get("width", "0")) > 300


def test_ids_of_different_pictures_differ_and_are_used() -> None:
    one, other = (themed_svg(drawn(points), alt="Lines.") for points in (3, 4))
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, own in zip((one, other), ids, strict=True):
        used = re.findall(r'(?:url\(#|href="#)([^")]+)', svg)
        assert used
        assert set(used) <= own


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert themed_svg(drawn(), alt="Lines.") == themed_svg(drawn(), alt="Lines.")


def test_picture_has_html_and_png_and_closes_its_figure(monkeypatch) -> None:
    for site in ("", "1"):
        monkeypatch.setenv("FRUGAL_SITE", site)
        data, metadata = picture(drawn(), alt="Two lines.")._repr_mimebundle_()
        assert set(data) == {"text/plain", "text/html", "image/png"}
        assert metadata["image/png"]["alt"] == "Two lines."
    assert not plt.get_fignums()


def test_heavy_and_wordless_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="alt is ''"):
        picture(drawn(), alt="")
    figure, axes = plt.subplots()
    axes.scatter(range(6000), range(6000))
    axes.plot([(at * 7919) % 1000 for at in range(60_000)])
    with pytest.raises(ValueError, match="rasterized=True"):
        picture(figure, alt="Many points.")


def luminance(color: str) -> float:
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_text_colors_have_contrast_in_light_and_dark() -> None:
    from frugal.show.site import figure_style

    light = light_colors()
    dark_block = figure_style().partition('html[data-theme="dark"]')[2].partition("\n}")[0]
    dark = dict(re.findall(r"(--frugal-[\w-]+): (#[0-9a-f]{6});", dark_block))
    text = re.compile(r"ink|accent|good|bad")
    for colors, papers in ((light, ("#ffffff", light["--frugal-panel"])), (dark, ("#121212",))):
        for name in filter(text.search, colors):
            for paper in papers:
                assert contrast(colors[name], paper) >= 4.5, (name, paper)


def test_heat_ramp_only_gets_darker_in_light_and_lighter_in_dark() -> None:
    from frugal.show.site import figure_style

    for block, order in zip(figure_style().split("\n}")[:2], (-1, 1), strict=True):
        ramp = re.findall(r"--frugal-heat-\d: (#[0-9a-f]{6});", block)
        assert len(ramp) == 9
        steps = [order * (luminance(b) - luminance(a)) for a, b in pairwise(ramp)]
        assert min(steps) > 0
