"""What a reader has read and done, kept in the reader's browser and nowhere else.

A chapter ends with a box to tick, the page of the labs has one for each lab, and the first page
says what is kept and forgets it. `static/progress.js` fills them in; where it cannot keep anything,
none of it is seen.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

LABS = "chapters/appendix/labs"
_LAB_LINK = re.compile(
    r'<a class="reference download internal"[^>]*?/(?P<lab>lab\d+)\.ipynb">.*?</a>'
)


def offer_progress(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Put the boxes on the pages that have them, and the script beside them."""
    body = context.get("body")
    if not isinstance(body, str) or doctree is None:
        return
    if pagename == app.config.root_doc:
        body += _KEPT
    elif pagename == LABS:
        body = _LAB_LINK.sub(lambda link: f"{link[0]}{_lab(link['lab'])}", body)
        body = body.replace('<table class="table">', '<table class="frugal-labs table">')
    elif is_chapter(pagename):
        body += _CHAPTER.format(name=pagename)
    context["body"] = body
    app.add_js_file("progress.js", loading_method="defer")


def is_chapter(pagename: str) -> bool:
    """Whether a page is one of the numbered chapters."""
    return pagename.startswith("chapters/") and "/appendix/" not in pagename


# Hidden until the script has found that it can keep something.
_CHAPTER = """
<p class="frugal-progress" data-chapter="{name}" hidden>
<label><input type="checkbox"> I have read this chapter</label>
<span data-minutes></span> <small>Kept in this browser only.</small>
</p>
"""
_KEPT = """
<p class="frugal-progress" data-kept hidden>
<span data-told></span> <small>Kept in this browser only.</small>
<button type="button" class="frugal-button">Forget it</button>
</p>
"""


def _lab(name: str) -> str:
    return (
        f'<label class="frugal-progress-lab" data-lab="{name}" data-waiting>'
        '<input type="checkbox"> done</label>'
    )
