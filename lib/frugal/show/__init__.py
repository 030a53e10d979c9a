"""Figures: one figure, three renderings.

Every figure of the book is live in JupyterLab, works without a kernel on the built site, and is a
picture with alternative text everywhere else. `frugal.show.interactive` tells how.

The names below are imported on first use, so `import frugal` alone needs neither matplotlib nor
Altair nor ipywidgets.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
