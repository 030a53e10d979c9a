"""What a shared link shows, where a search engine looks, and what a wrong address answers.

Every page has a description (its first paragraph) and a picture with its title and first figure,
drawn when the page is written. Other hosts can only fetch a picture by its whole address: where
`pyproject.toml` says under `project.urls.Documentation` where the book will stand, the pictures are
named by it and `sitemap.xml` is written; until then they are named as seen from the page.
"""

from __future__ import annotations

import io
import re
import textwrap
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx

from booktools.assets import write_changed
from booktools.project import book_address

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST = 200
"""Characters of a description; more is cut off where links are shown."""
SIZE = (1200, 630)
_MARGIN = 60
_INK, _QUIET, _PAPER = "#1b2430", "#5b6675", "#ffffff"
_STRIPE = "#3b6fd4"
_STILL = re.compile(r'<img class="frugal-still"[^>]*src="[^"]*?(?P<name>[^"/]+)"')


def describe(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Put title, description and picture into the page's head."""
    first = pagename == app.config.root_doc
    if first:
        context["docstitle"] = ""  # the book's name once, not twice
    title = BeautifulSoup(context.get("title", ""), "html.parser").get_text()
    title = re.sub(r"^[\d.]+ ", "", title)  # a chapter's number means nothing outside the book
    book = app.config.html_title
    about = description(doctree) if doctree is not None else f"A page of {book}."
    tags = {
        "name": {"description": about, "twitter:card": "summary_large_image"},
        "property": {
            "og:title": book if first else f"{title}: {book}",
            "og:description": about,
            "og:type": "book" if first else "article",
            "og:site_name": book,
        },
    }
    base = book_address(Path(app.srcdir))
    if doctree is not None:
        name = f"_images/share-{pagename.replace('/', '-')}.png"
        picture = share_picture(
            book if first else title, "" if first else book, _first(app, context)
        )
        write_changed(Path(app.outdir) / name, picture)
        tags["property"] |= {
            "og:image": base + name if base else context["pathto"](name, 1),
            "og:image:width": str(SIZE[0]),
            "og:image:height": str(SIZE[1]),
            "og:image:alt": f"{title}: the first figure of this page",
        }
    if base:
        tags["property"]["og:url"] = f"{base}{pagename}.html"
    lines = [
        f'<meta {kind}="{name}" content="{escape(value)}" />'
        for kind, named in tags.items()
        for name, value in named.items()
    ]
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)


def description(doctree: nodes.document) -> str:
    """The first paragraph of a page's own text that has no formula, cut at a word."""
    for paragraph in doctree.findall(nodes.paragraph):
        own = isinstance(paragraph.parent, nodes.section | nodes.document)
        if own and not list(paragraph.findall(nodes.math)):
            text = " ".join(paragraph.astext().split())
            if len(text) > 40:
                return textwrap.shorten(text, LONGEST, placeholder=" …")
    return ""


def share_picture(title: str, book: str, figure: bytes | None) -> bytes:
    """A PNG of 1200 by 630: the title, the book's name, and the figure below where there is one."""
    from matplotlib import font_manager
    from PIL import Image, ImageDraw, ImageFont

    def font(size: int, weight: str) -> ImageFont.FreeTypeFont:
        properties = font_manager.FontProperties("DejaVu Sans", weight=weight)
        return ImageFont.truetype(font_manager.findfont(properties), size)

    canvas = Image.new("RGB", SIZE, _PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, SIZE[0], 14), fill=_STRIPE)
    y = _MARGIN
    size = 64 if len(title) < 24 else 50
    for line in textwrap.wrap(title, 26 if size == 64 else 36):
        draw.text((_MARGIN, y), line, _INK, font(size, "bold"))
        y += round(1.25 * size)
    if book:
        draw.text((_MARGIN, y), book, _QUIET, font(30, "normal"))
        y += 56
    if figure is not None:
        _place(canvas, Image.open(io.BytesIO(figure)).convert("RGB"), y + 10)
    written = io.BytesIO()
    canvas.quantize(64).save(written, "png", optimize=True)
    return written.getvalue()


def _place(canvas: Image, figure: Image, top: int) -> None:
    """As large as fits below `top`, in the middle."""
    width, height = SIZE[0] - 2 * _MARGIN, SIZE[1] - top - 24
    scale = min(width / figure.width, height / figure.height)
    fitted = figure.resize((round(scale * figure.width), round(scale * figure.height)))
    canvas.paste(fitted, ((SIZE[0] - fitted.width) // 2, top + (height - fitted.height) // 2))


def _first(app: Sphinx, context: dict[str, Any]) -> bytes | None:
    """The page's first still picture, which `booktools.assets` has written."""
    still = _STILL.search(context.get("body", ""))
    path = Path(app.outdir) / "_images" / still["name"] if still else None
    return path.read_bytes() if path and path.is_file() else None


def write_answers(app: Sphinx, error: Exception | None) -> None:
    """Write `404.html`, which works at any address, and `sitemap.xml`."""
    if error or app.builder.format != "html":
        return
    output = Path(app.outdir)
    base = book_address(Path(app.srcdir))
    pages = {name: app.env.titles[name].astext() for name in sorted(app.env.found_docs)}
    links = "\n".join(
        f'<li><a href="{base or "/"}{name}.html">{escape(title)}</a></li>'
        for name, title in pages.items()
    )
    book = escape(app.config.html_title)
    (output / "404.html").write_text(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>No such page: {book}</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 1rem/1.6 system-ui, sans-serif; }}
  main {{ max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }}
  li {{ padding: 0.25rem 0; }}
</style>
</head>
<body>
<main>
<h1>No such page</h1>
<p>{book} has no page at this address. These are its pages:</p>
<ul>
{links}
</ul>
</main>
</body>
</html>
""",
        encoding="utf-8",
    )
    if not base:
        return
    today = datetime.now(UTC).date().isoformat()
    urls = "".join(
        f"<url><loc>{escape(base + name)}.html</loc><lastmod>{today}</lastmod></url>\n"
        for name in pages
    )
    (output / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n',
        encoding="utf-8",
    )
