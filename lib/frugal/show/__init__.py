"""Figures: one figure, three renderings.

Every figure of the book is live in JupyterLab, works without a kernel on the built site, and is a
picture with alternative text everywhere else. `frugal.show.interactive` tells how.

The names below are imported on first use, so `import frugal` alone needs neither matplotlib nor
Altair nor ipywidgets.
"""

from __future__ import annotations

from frugal.lazily import on_first_use

_HOME = {
    "Interactive": "interactive",
    "bars": "plots",
    "cells": "grids",
    "building_site": "site",
    "chart": "charts",
    "dots": "benches",
    "interact": "frames",
    "lines": "charts",
    "picture": "pictures",
    "plan": "plans",
    "points": "plots",
    "use_style": "theme",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = on_first_use(__name__, _HOME)
