"""What pages load: each shared script or style once, as a file, and only where it is needed."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import struct
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

from frugal.show.site import digest, figure_style

logger = logging.getLogger(__name__)

_STATIC = Path(__file__).with_name("static")
_FOLDER = "frugal"
_SHARED = re.compile(
    r'<(script|style) data-frugal-shared="(?P<key>[\w-]+)">\n(?P<content>.*?)\n</\1>\n?', re.DOTALL
)
_STILL = re.compile(
    r'(?P<before><img class="frugal-still"[^>]*src=")data:image/png;base64,(?P<data>[^"]+)'
)
_CHART = 'data-module="chart-'
_FORBIDDEN = "widget-view+json"


def add_static_files(app: Sphinx, config: Config) -> None:
    """Serve `static/` and the files that are made here; every page has what is listed."""
    made = Path(app.outdir).parent / "booktools_static"
    (made / _FOLDER).mkdir(parents=True, exist_ok=True)
    (made / _FOLDER / "figure.css").write_text(figure_style(), encoding="utf-8")
    vega = made / _FOLDER / "vega.js"
    if not vega.is_file():
        vega.write_text(vega_script(), encoding="utf-8")
    config.html_static_path += [str(_STATIC), str(made)]
    app.add_css_file(f"{_FOLDER}/figure.css")
    app.add_css_file("katex/katex.min.css")
    app.add_css_file("book.css")
    app.add_js_file("scroll.js", loading_method="defer")
    app.add_js_file("stops.js", loading_method="defer")


def vega_script() -> str:
    """Vega, Vega-Lite and Vega-Embed as one classic script; it sets `window.vegaEmbed`."""
    import vl_convert

    return f"(() => {{\n{vl_convert.javascript_bundle()}\n}})();\n"


def share(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Move what figures have in common out of the page, and add Vega to pages with charts."""
    body = context.get("body")
    if not isinstance(body, str):
        return
    if _FORBIDDEN in body:
        logger.warning(
            "an output is a bare widget, which stays blank without a kernel; "
            "show it with frugal.show.interact",
            location=pagename,
        )
    if _CHART in body:  # fetched when the reader comes near the first chart
        vega = context["pathto"](f"_static/{_FOLDER}/vega.js", 1)
        body = f'<template id="frugal-vega" data-src="{vega}"></template>\n{body}'
    # Entries of a bibliography are not of the role that a list's children need to have.
    body = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')
    context["body"] = _lift(body, Path(app.outdir), context["pathto"])


def _lift(body: str, output: Path, pathto: Any) -> str:
    seen: set[str] = {f"figure-{digest(figure_style())}"}  # a file that every page has

    def shared(match: re.Match[str]) -> str:
        kind, key = match[1], match["key"]
        if key in seen:
            return ""
        seen.add(key)
        name = f"_static/{_FOLDER}/{key}.{'js' if kind == 'script' else 'css'}"
        write_changed(output / name, f"{match['content']}\n".encode())
        url = pathto(name, 1)
        if kind == "style":
            return f'<link rel="stylesheet" href="{url}">\n'
        return f'<script src="{url}"></script>\n'

    def still(match: re.Match[str]) -> str:
        picture = _light(base64.b64decode(match["data"]))
        name = f"_images/{_FOLDER}-{hashlib.sha256(picture).hexdigest()[:16]}.png"
        write_changed(output / name, picture)
        width, height = struct.unpack(">II", picture[16:24])  # a PNG's header says its size
        size = f'width="{width}" height="{height}" src="'
        return match["before"].removesuffix('src="') + size + pathto(name, 1)

    return _STILL.sub(still, _SHARED.sub(shared, body))


def _light(picture: bytes) -> bytes:
    """A PNG of at most 256 colors, which a drawing is not seen to lack, where that is smaller."""
    from PIL import Image

    written = io.BytesIO()
    whole = Image.open(io.BytesIO(picture)).convert("RGB")
    whole.quantize(256, dither=Image.Dither.NONE).save(written, "png", optimize=True)
    return min(picture, written.getvalue(), key=len)


def write_changed(path: Path, content: bytes) -> None:
    """Write a file unless it says this already: what is served keeps its date."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
