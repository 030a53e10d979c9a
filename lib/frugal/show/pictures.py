"""Still pictures by matplotlib that look right in light and in dark."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, Any

from frugal.checks import installed
from frugal.show.site import digest, figure_style, shared_style
from frugal.show.theme import light_colors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LIMIT = 400_000
_NAMED = re.compile(r'(?<![\w-])(id="|url\(#|href="#)')
# Verdana is as wide as the font that places were computed with; what is behind it never counts.
_FONT = re.compile(r"'DejaVu Sans'(?:, '[^']*')+, sans-serif")


def themed_svg(figure: Figure, *, alt: str) -> str:
    """The figure as an SVG element whose palette colors follow the page.

    Colors of the palette (`use_style`) become custom properties; other colors stay as they are.
    Text stays text. Raises ValueError for an empty `alt` and for a figure of more than 400 kB.
    """
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt is {alt!r}; it must be a sentence that says what the picture shows.")
    mpl = installed("matplotlib", extra="figures")
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "frugal"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for name, value in light_colors().items():
        svg = svg.replace(value, f"var({name}, {value})")
    svg = _FONT.sub("'DejaVu Sans', Verdana, sans-serif", svg)
    svg = _NAMED.sub(rf"\g<1>p{digest(svg)}-", svg)
    opening, _, content = svg.partition(">")
    width, height = (re.search(rf'{side}="([\d.]+)pt"', opening) for side in ("width", "height"))
    box = re.search(r'viewBox="[^"]*"', opening)
    if width is None or height is None or box is None:
        raise RuntimeError("matplotlib's SVG has no size where it used to have one.")
    pixels = float(width[1]) * 4 / 3
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'class="frugal-picture" role="img" aria-label="{escape(" ".join(alt.split()))}" '
        f'{box[0]} width="{pixels:.0f}">{content}'
    )
    if len(svg) > _LIMIT:
        raise ValueError(
            f"the figure is {len(svg) / 1000:.0f} kB as SVG; it must be at most "
            f"{_LIMIT / 1000:.0f} kB, so draw its many points with rasterized=True."
        )
    return svg


class Picture:
    """A still picture with alternative text; `picture` makes one."""

    def __init__(self, figure: Figure, *, alt: str) -> None:
        plt = installed("matplotlib.pyplot", extra="figures")
        self.alt = " ".join(str(alt).split())
        self.svg = themed_svg(figure, alt=alt)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight", facecolor="white")
        self.png = buffer.getvalue()
        plt.close(figure)  # or the notebook shows it a second time

    def to_html(self) -> str:
        """The SVG with the style sheet that its colors come from."""
        return f"{shared_style('figure', figure_style())}\n{self.svg}"

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        data = {
            "text/plain": self.alt,
            "text/html": self.to_html(),
            "image/png": b64encode(self.png).decode(),
        }
        return data, {"image/png": {"alt": self.alt}}


def picture(figure: Figure, *, alt: str) -> Picture:
    """Show a matplotlib figure that follows the page between light and dark.

    figure: drawn after `frugal.show.use_style()`. It is closed, so the cell shows it once.
    alt: what it shows, in words.
    """
    return Picture(figure, alt=alt)
