"""The book's colors for charts that Python draws; `figure.css` is where they are written down."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from frugal.checks import installed

_PROPERTY = re.compile(r"^\s*(--frugal-[\w-]+):\s*(#[0-9a-f]{6});", re.MULTILINE)


@cache
def light_colors() -> dict[str, str]:
    """The custom properties of the light theme: `{"--frugal-ink": "#1f2937", …}`."""
    css = Path(__file__).with_name("figure.css").read_text(encoding="utf-8")
    return dict(_PROPERTY.findall(css.partition("\n}")[0]))


def light_color(name: str) -> str:
    """One of them by its short name: `light_color("ink")`."""
    return light_colors()[f"--frugal-{name}"]


def accents() -> list[str]:
    """The six accents of the light theme, in the order in which series take them.

    They are a blue, an orange, a green, a purple, a brown and a gray.
    """
    return [value for name, value in light_colors().items() if "accent" in name]


def use_style() -> None:
    """Make matplotlib draw in the book's style from here on.

    Figures are transparent and use the palette's colors, so that `frugal.show.picture` can let
    them follow the page between light and dark. The color map `frugal_heat` is the heat ramp.
    """
    mpl = installed("matplotlib", extra="figures")
    from cycler import cycler

    colors = light_colors()
    ink, soft, line = (colors[f"--frugal-{name}"] for name in ("ink", "ink-soft", "line"))
    heat = [value for name, value in colors.items() if "heat" in name]
    if "frugal_heat" not in mpl.colormaps:
        ramp = mpl.colors.LinearSegmentedColormap.from_list("frugal_heat", heat)
        mpl.colormaps.register(ramp)
    dashes = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1))]
    mpl.rcParams.update(
        {
            "axes.axisbelow": True,
            "axes.edgecolor": soft,
            "axes.facecolor": "none",
            "axes.grid": True,
            "axes.labelcolor": ink,
            "axes.prop_cycle": cycler(color=accents(), linestyle=dashes),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlecolor": ink,
            "axes.titlesize": 12,
            "figure.autolayout": True,
            "figure.facecolor": "none",
            "figure.figsize": (6.4, 3.6),
            "font.size": 11,
            "grid.color": line,
            "grid.linewidth": 0.6,
            "image.cmap": "frugal_heat",
            "legend.frameon": False,
            "legend.labelcolor": ink,
            "lines.linewidth": 2,
            "patch.edgecolor": "none",
            "savefig.facecolor": "none",
            "svg.fonttype": "none",
            "text.color": ink,
            "xtick.color": soft,
            "xtick.labelcolor": ink,
            "ytick.color": soft,
            "ytick.labelcolor": ink,
        }
    )


def vega_config() -> dict[str, Any]:
    """A Vega-Lite config whose colors are names of custom properties, for the page to fill in."""
    ink, soft = "--frugal-ink", "--frugal-ink-soft"
    names = [name for name in light_colors() if "accent" in name]
    heat = [name for name in light_colors() if "heat" in name]
    titles = {"titleColor": ink, "labelColor": ink}
    return {
        "background": "transparent",
        "font": "--frugal-font",
        "mark": {"color": "--frugal-accent-1"},
        "text": {"color": ink},
        "rule": {"color": soft},
        "style": {"frugal-dot": {"stroke": ink, "strokeWidth": 1}, "frugal-bar": {"color": ink}},
        "title": {"color": ink, "subtitleColor": soft, "fontSize": 13, "fontWeight": "normal"},
        "axis": {
            **titles,
            "domainColor": soft,
            "tickColor": soft,
            "gridColor": "--frugal-line",
            "labelFontSize": 12,
            "titleFontSize": 13,
            "titleFontWeight": "normal",
        },
        "header": {**titles, "labelFontSize": 12, "titleFontSize": 13},
        # a mark of a legend is as strong as its words, however faint the marks of the chart
        "legend": {
            **titles,
            "symbolOpacity": 1,
            "labelFontSize": 12,
            "titleFontSize": 13,
            "titleFontWeight": "normal",
        },
        "view": {"stroke": "--frugal-line"},
        "range": {"category": names, "heatmap": heat, "ramp": heat, "ordinal": heat[2:]},
    }


def with_light_colors(config: Any) -> Any:
    """The same config with the light theme's colors in place of their names."""
    if isinstance(config, dict):
        return {key: with_light_colors(value) for key, value in config.items()}
    if isinstance(config, list):
        return [with_light_colors(value) for value in config]
    return {"--frugal-font": "sans-serif", **light_colors()}.get(config, config)
