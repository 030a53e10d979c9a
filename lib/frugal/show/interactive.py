"""`Interactive`: a figure that the reader moves, written once.

The picture is one small ES module after anywidget's contract, beside the Python class::

    # lever.py
    class Lever(Interactive):
        module = "lever.js"            # beside this file; `style = "lever.css"` is optional

        def picture(self):             # the still picture, where nothing can move
            figure, axes = plt.subplots()
            axes.bar(["turn"], [self.state["turn"]])
            return figure

    Lever(turn=3, alt="A lever turned three notches.")

    // lever.js
    import { slider, toolbar, element } from "../../show/controls.js";
    import { follow } from "../../show/drawing.js";
    export default {
      render({ model, el }) {
        const answer = element("output");
        el.append(toolbar(slider(model, "turn", { label: "Turn", min: 0, max: 9 })), answer);
        return follow(model, "turn", () => {       // now and at each change; gives the cleanup
          answer.textContent = model.get("turn") ** 2;
        });
      },
    };

Three renderings of that one module:

1. In JupyterLab `widget()` is an anywidget: `state` becomes traits that are synced both ways, so it
   composes with ipywidgets (`figure.widget().observe(...)`, `ipywidgets.link(...)`).
2. On the site `to_html()` runs the module on a stand-in for the model (`interactive.js`):
   get, set, on, off, save_changes. It needs no server and asks no other host for anything.
3. Elsewhere `to_png()` gives `picture()` as a PNG, and `alt` says what it shows.

In both of the first two `el` lies inside an element of class `frugal-figure`, whose JavaScript
property `model` is the model: `el.closest(".frugal-figure").model`.

What a module may rely on:

- **Imports** by a relative path are embedded (`modules.py` lists the forms), so a module can share
  code with others, and Node can import the same file in a test.
- **Controls** come from `show/controls.js`: `slider`, `select`, `segmented`, `checkbox`, `button`,
  `toolbar`, and `element`/`shape` for HTML and SVG elements. Each control is bound to a name of the
  state in both directions, has a label and works from the keyboard. `onKeys` is for other parts.
  `steps` asks a question and has a numbered button for each state that is worth seeing; `guide`
  makes them of what `guided` was given.
- **Drawing** comes from `show/drawing.js`: `svg`, `text`, numbers in words, and `follow`, which
  draws whenever the state changes. What is drawn is computed by a pure function of the state, which
  a test can call alone; a view only sets attributes.
- **Parts** of a figure that a narrow page shows one at a time: `oneAtATime` of `show/parts.js`.
- **A trained model** that runs in the page: `show/models.py` packs its weights, `show/models.js`
  unpacks them and has the parts of an encoder's forward pass.
- **Look** comes from `figure.css`: `--frugal-ink`, `--frugal-accent-1` … follow the theme of the
  site and of JupyterLab. A canvas reads them with `color(el, "--frugal-ink")` and is drawn again by
  `onThemeChange(el, draw)`; SVG and HTML follow by themselves.
"""

from __future__ import annotations

import inspect
import io
import json
import math
from abc import ABC, abstractmethod
from base64 import b64encode
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from frugal.checks import installed
from frugal.show.modules import bundle
from frugal.show.site import (
    building_site,
    digest,
    embedded_json,
    figure_style,
    shared_script,
    shared_style,
)

if TYPE_CHECKING:
    from anywidget import AnyWidget
    from matplotlib.figure import Figure

_RUNTIME = Path(__file__).with_name("interactive.js")
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

# anywidget hands over a bare element; the same wrapper as on the site goes around the module.
_WIDGET_MODULE = """\
const exported = {expression};
export default {{
  initialize: exported.default.initialize,
  async render(context) {{
    const figure = document.createElement("div");
    figure.className = "frugal-figure";
    figure.setAttribute("role", "figure");
    // Or JupyterLab's own shortcuts take the arrow keys away from a slider; it looks for this mark
    // on the very element that has the focus.
    figure.addEventListener("focusin", ({{ target }}) =>
      target.setAttribute("data-lm-suppress-shortcuts", "true"));
    figure.setAttribute("aria-label", context.model.get("alt"));
    figure.model = context.model;
    const stage = document.createElement("div");
    stage.className = "frugal-stage";
    figure.append(stage);
    context.el.append(figure);
    return exported.default.render({{ ...context, el: stage }});
  }},
}};
"""


class Interactive(ABC):
    """A figure whose state is JSON and whose picture is an ES module (see the module's text).

    alt: what the figure and its movement show, in words, for readers who do not see it.
    state: what the module reads and writes by name. Numbers, strings, booleans, None, lists and
    dicts with string keys; arrays and tensors become lists.

    Raises ValueError for an empty `alt`, a name that a widget keeps for itself, and a value that
    JSON cannot hold (NaN among them).
    """

    module: ClassVar[str | Path]
    style: ClassVar[str | Path | None] = None

    def __init__(self, *, alt: str, **state: Any) -> None:
        if not isinstance(alt, str) or not alt.strip():
            raise ValueError(
                f"alt is {alt!r}; it must be a sentence that says what the figure shows."
            )
        for name in state:
            if not name.isidentifier() or name.startswith("_") or name in _names_of_widgets():
                raise ValueError(
                    f"state has {name!r}; it must have names that no widget keeps for itself."
                )
        self.alt = " ".join(alt.split())
        self.state: dict[str, Any] = {name: _plain(value, name) for name, value in state.items()}
        self._widget: AnyWidget | None = None

    def guided(self, question: str, *tries: tuple[str, dict[str, Any]]) -> Interactive:
        """The same figure, with a question to try and a numbered button for each step.

        tries: words and the state that the step leads to, by name, as `(words, {"turn": 3})`. The
        figure's module puts them in their place with `guide` of `controls.js`.

        Raises ValueError when there is no step, or one names what the state does not have.
        """
        if not tries:
            raise ValueError("tries is empty; it must have a step or more.")
        for step in tries:
            pair = isinstance(step, tuple | list) and len(step) == 2
            if not pair or not isinstance(step[0], str) or not isinstance(step[1], dict):
                raise ValueError(f"tries has {step!r}; each must be words and a dict of the state.")
        for words, state in tries:
            if unknown := sorted(set(state) - set(self.state)):
                raise ValueError(
                    f"tries has {unknown[0]!r} ({words!r}); the state has {sorted(self.state)}."
                )
        steps = [{"words": words, "state": state} for words, state in tries]
        self.state["guide"] = _plain({"question": question, "tries": steps}, "guide")
        return self

    @abstractmethod
    def picture(self) -> Figure:
        """The still picture: a matplotlib figure of the state."""

    def widget(self) -> AnyWidget:
        """The live widget, whose traits are `state` and `alt`: the same one until it is closed.

        After `close()`, or `ipywidgets.Widget.close_all()`, there is a new one that stands where
        the old one did.
        """
        if self._widget is None or self._widget.comm is None:
            self._widget = self._new_widget(self._widget)
        return self._widget

    def _new_widget(self, closed: AnyWidget | None) -> AnyWidget:
        """A widget in the state of one that was closed, or in the first state."""
        state = {**self.state, "alt": self.alt}
        if closed is not None:
            state = {name: getattr(closed, name) for name in state}
        return _widget_class(type(self))(**state)

    def to_html(self) -> str:
        """HTML that runs the module without a kernel, a server or another host."""
        name = _name(type(self))
        expression = bundle(_beside(type(self), "module"))
        key = f"{name}-{digest(expression)}"
        parts = [
            shared_style("figure", figure_style()),
            shared_script("interactive", _RUNTIME.read_text(encoding="utf-8")),
            shared_script(name, f"frugal.define({json.dumps(key)}, {expression});"),
        ]
        if self.style is not None:
            parts.append(shared_style(name, _style(type(self))))
        fallback = b64encode(self.to_png()).decode()
        alt = escape(self.alt)
        parts.append(
            f'<div class="frugal-figure" role="figure" aria-label="{alt}" data-module="{key}">\n'
            f'<script type="application/json">{embedded_json(self.state)}</script>\n'
            f'<div class="frugal-stage"><img class="frugal-still" loading="lazy" alt="{alt}" '
            f'src="data:image/png;base64,{fallback}"></div>\n</div>\n'
            "<script>frugal.start();</script>"
        )
        return "\n".join(parts)

    def to_png(self) -> bytes:
        """`picture()` as a PNG."""
        plt = installed("matplotlib.pyplot", extra="figures")
        figure = self.picture()
        buffer = io.BytesIO()
        figure.savefig(
            buffer,
            format="png",
            dpi=120,
            bbox_inches="tight",
            facecolor="white",
            metadata={"Description": self.alt, "Software": None},
        )
        plt.close(figure)
        return buffer.getvalue()

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """On the site HTML and PNG, live the widget and PNG; never both kinds of picture."""
        data: dict[str, Any] = {
            "text/plain": self.alt,
            "image/png": b64encode(self.to_png()).decode(),
        }
        metadata = {"image/png": {"alt": self.alt}}
        if building_site():
            data["text/html"] = self.to_html()
        else:
            data[_WIDGET_VIEW] = {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.widget().model_id,
            }
        return data, metadata


@cache
def _names_of_widgets() -> frozenset[str]:
    """Methods and traits of every widget. A trait of such a name would take its place."""
    anywidget = installed("anywidget", extra="figures")
    return frozenset(dir(anywidget.AnyWidget))


def _plain(value: Any, where: str) -> Any:
    """`value` as JSON holds it, or a ValueError that says where it is not."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"state has {value} at {where}; it must be finite, for JSON.")
        return value
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"state has the key {key!r} at {where}; it must be a string.")
        return {key: _plain(item, f"{where}.{key}") for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), where)
    raise ValueError(
        f"state has {type(value).__name__} at {where}; it must be of numbers, strings, lists and "
        "dicts."
    )


def _beside(figure: type[Interactive], attribute: str) -> Path:
    """The path in a class attribute, which is next to the file of the class that sets it."""
    owner = next(base for base in figure.__mro__ if attribute in vars(base))
    return Path(inspect.getfile(owner)).parent / getattr(figure, attribute)


def _style(figure: type[Interactive]) -> str:
    return "" if figure.style is None else _beside(figure, "style").read_text(encoding="utf-8")


def _name(figure: type[Interactive]) -> str:
    return figure.__qualname__.rpartition(".")[2].lower()


def _widget_class(figure: type[Interactive]) -> type[AnyWidget]:
    """An anywidget class for the figure; its traits are made from the state's names."""
    anywidget = installed("anywidget", extra="figures")
    import traitlets

    expression = bundle(_beside(figure, "module"))

    class Widget(anywidget.AnyWidget):
        _esm = _WIDGET_MODULE.format(expression=expression)
        _css = figure_style() + _style(figure)

        def __init__(self, **state: Any) -> None:
            self.add_traits(**{name: traitlets.Any().tag(sync=True) for name in state})
            super().__init__(**state)

    Widget.__name__ = Widget.__qualname__ = figure.__name__
    Widget.__module__ = figure.__module__
    return Widget
