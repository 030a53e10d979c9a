"""One style sheet for the site, and of the theme's icons only those that are used.

The theme brings eleven style sheets, a font of some two thousand icons and, beside it, a script of
1.5 MB that draws the same icons again; the browser paints nothing until they have arrived. Pages
load `_static/site.css` instead, which holds the sheets in their order and a font cut down to the
icons that some page shows.
"""

from __future__ import annotations

import base64
import io
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

TEMPLATES = Path(__file__).with_name("templates")
_THEME = ("styles/theme.css", "styles/pydata-sphinx-theme.css")
_ICON_FONT = "vendor/fontawesome/webfonts/fa-solid-900.ttf"
_FACE = re.compile(r"@font-face\{[^}]*?Font Awesome[^}]*\}")
_ICON = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"(\\[^"]+)"\}')
_CODE = re.compile(r'"\\(f[0-9a-f]{3})"|"([\ue000-\uf8ff])"')  # escaped, or as it is
_IMPORT = re.compile(r'@import (?:url\()?"([^"]+)"\)?;')
_OLD_FORM = re.compile(r',url\([^)]*\) ?format\("(?:woff|truetype)"\)')
_URL = re.compile(r"url\((?!\"?data:)([^)\"']+)\)")
_SHEETS = "booktools_sheets"


def use_templates(app: Sphinx, config: Config) -> None:
    """The templates here come before the theme's of the same name."""
    config.templates_path = [*config.templates_path, str(TEMPLATES)]


def leave_sheets(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Note the style sheets that a page asks for, and take them off it; scripts wait for the page.

    A script that another in the page needs at once stays as it is, as do all of the search page.
    """
    sheets = app.__dict__.setdefault(_SHEETS, dict.fromkeys(_THEME))
    for sheet in context["css_files"]:
        sheets[
            str(getattr(sheet, "filename", sheet)).partition("?")[0].removeprefix("_static/")
        ] = None
    context["css_files"] = []
    context["booktools_state"] = app.config.booktools_state
    if pagename != "search":
        context["script_files"] = [_waiting(script) for script in context["script_files"]]


def _waiting(script: Any) -> Any:
    """The script as one that waits for the page; the list's own belong to all pages."""
    name = getattr(script, "filename", None)
    if not name or "documentation_options" in str(name) or "async" in script.attributes:
        return script
    return type(script)(name, priority=script.priority, **{"defer": "defer", **script.attributes})


def write_sheet(app: Sphinx, error: Exception | None) -> None:
    """Write `site.css` when the pages are there and their icons are known."""
    if error or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    used = {
        name
        for page in Path(app.outdir).rglob("*.html")
        for name in re.findall(r"\bfa-[\w-]+", page.read_text(encoding="utf-8"))
    }
    sheets = getattr(app, _SHEETS, dict.fromkeys(_THEME))
    # every browser that runs the figures reads woff2
    text = _OLD_FORM.sub("", "\n".join(_whole(static, name) for name in sheets))
    (static / "site.css").write_text(with_icons(text, used, static / _ICON_FONT), encoding="utf-8")


def with_icons(text: str, used: set[str], font: Path) -> str:
    """The sheet with the icons `used`, in a font of those alone."""

    def keep(rule: re.Match[str]) -> str:
        names = {name.removesuffix(":before")[1:] for name in rule[1].split(",")}
        return rule[0] if names & used else ""

    text = _ICON.sub(keep, _FACE.sub("", text))
    found = _CODE.findall(text)
    codes = sorted({int(code, 16) if code else ord(icon) for code, icon in found})
    face = (
        '@font-face{font-display:block;font-family:"Font Awesome 6 Free";font-weight:900;'
        f"src:url(data:font/woff;base64,{_cut(font, codes)})}}"
    )
    return f"{face}\n{text}"


def _cut(font: Path, codes: list[int]) -> str:
    from fontTools import subset
    from fontTools.ttLib import TTFont

    logging.getLogger("fontTools").setLevel(logging.WARNING)  # or the build's log is its report
    whole = TTFont(font)
    cutter = subset.Subsetter(subset.Options(layout_features=[], notdef_outline=True))
    cutter.populate(unicodes=codes)
    cutter.subset(whole)
    whole.flavor = "woff"
    written = io.BytesIO()
    whole.save(written, reorderTables=False)
    return base64.b64encode(written.getvalue()).decode()


def _whole(static: Path, name: str) -> str:
    """A sheet with those that it imports in their places, its addresses as seen from `static`."""
    folder = posixpath.dirname(name)

    def seen(address: str) -> str:
        return posixpath.normpath(posixpath.join(folder, address))

    text = (static / name).read_text(encoding="utf-8").replace('@charset "UTF-8";', "")
    text = _URL.sub(lambda match: f"url({seen(match[1])})", text)
    return _IMPORT.sub(lambda match: _whole(static, seen(match[1])), text)
