"""`interact` for any Python function: live controls, and precomputed frames on the site."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from frugal.checks import installed
from frugal.show.interactive import Interactive
from frugal.show.pictures import themed_svg
from frugal.show.site import building_site

_MOST_FRAMES = 200
_MOST_BYTES = 1_000_000


class Frames(Interactive):
    """Results over a grid of arguments, one shown at a time; `interact` makes it.

    controls: for each argument its label, kind, values as shown, and which of them is first.
    frames: HTML for each combination, the last argument changing fastest. still: the figure or the
    text that the first combination gives. alt: what the results show.
    """

    module = "frames.js"

    def __init__(
        self, *, controls: list[dict[str, Any]], frames: list[str], still: Any, alt: str
    ) -> None:
        chosen = {f"choice_{index}": control["first"] for index, control in enumerate(controls)}
        super().__init__(controls=controls, frames=frames, alt=alt, **chosen)
        self._still = still

    def picture(self) -> Any:
        """The result that is shown first."""
        Figure = installed("matplotlib.figure", extra="figures").Figure
        if isinstance(self._still, Figure):
            return self._still
        figure = Figure(figsize=(6, 2))
        figure.text(0.02, 0.5, str(self._still), family="monospace", va="center")
        return figure


def interact(
    function: Callable[..., Any], *, alt: str | None = None, **options: Sequence[Any]
) -> Any:
    """Let the reader choose a function's arguments.

    Live, a control calls the function. On the site there is no Python, so every combination is
    computed when the book is built and the controls choose among the results.

    function: called with one value for each name in `options`. It returns what to show (a
    matplotlib figure, anything with an HTML representation, a string), draws with pyplot, or
    prints. alt: what the results show, in words; the first line of the function's docstring if
    absent. options: for each argument the values on offer: numbers (a slider), the two booleans (a
    checkbox) or others (a list to choose from). The first is shown first.

    Returns an ipywidgets `interactive` when live and a `Frames` when the site is built.

    Raises ValueError when there is nothing to choose, when `alt` is missing, when there are more
    than 200 combinations and when the results take more than 1 MB.
    """
    if not options:
        raise ValueError("options is empty; it must have one argument or more, with its values.")
    for name, values in options.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not len(values):
            raise ValueError(f"{name} is {values!r}; it must be a list of the values on offer.")
    alt = alt or (function.__doc__ or "").strip().partition("\n")[0]
    if not alt:
        raise ValueError("alt is missing; it must be given, or the function have a docstring.")
    count = math.prod(len(values) for values in options.values())
    if count > _MOST_FRAMES:
        raise ValueError(
            f"options make {count} combinations; they must make at most {_MOST_FRAMES}."
        )
    controls = [_Control.of(name, values) for name, values in options.items()]
    if not building_site():
        ipywidgets = installed("ipywidgets", extra="figures")
        return ipywidgets.interactive(function, **{c.name: c.live() for c in controls})
    return _precomputed(function, controls, alt)


@dataclass(frozen=True)
class _Control:
    name: str
    values: list[Any]
    first: int
    kind: str

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> _Control:
        booleans = [value for value in values if isinstance(value, bool)]
        if len(values) == 2 and set(booleans) == {False, True}:
            return cls(name, [False, True], int(values[0]), "checkbox")
        numbers = not booleans and all(isinstance(value, int | float) for value in values)
        return cls(name, list(values), 0, "slider" if numbers else "select")

    @property
    def label(self) -> str:
        return self.name.replace("_", " ")

    def shown(self, value: Any) -> str:
        return f"{value:g}" if isinstance(value, float) else str(value)

    def state(self) -> dict[str, Any]:
        values = [self.shown(value) for value in self.values]
        return {"label": self.label, "kind": self.kind, "values": values, "first": self.first}

    def live(self) -> Any:
        ipywidgets = installed("ipywidgets", extra="figures")
        if self.kind == "checkbox":
            return ipywidgets.Checkbox(bool(self.first), description=self.label)
        widget = {"slider": ipywidgets.SelectionSlider, "select": ipywidgets.Dropdown}[self.kind]
        pairs = [(self.shown(value), value) for value in self.values]
        return widget(options=pairs, description=self.label)


def _precomputed(function: Callable[..., Any], controls: list[_Control], alt: str) -> Frames:
    frames, still, size = [], None, 0
    for choices in itertools.product(*(range(len(control.values)) for control in controls)):
        chosen = [
            (control, control.values[choice])
            for control, choice in zip(controls, choices, strict=True)
        ]
        words = ", ".join(f"{control.label} {control.shown(value)}" for control, value in chosen)
        arguments = {control.name: value for control, value in chosen}
        html, shown = _result(function, arguments, f"{alt} ({words})")
        frames.append(html)
        if all(choice == control.first for control, choice in zip(controls, choices, strict=True)):
            still = shown
        size += len(html)
        if size > _MOST_BYTES:
            raise ValueError(
                f"the results take more than {_MOST_BYTES / 1e6:.0f} MB after {len(frames)} "
                "combinations; offer fewer values or draw less in each."
            )
    states = [control.state() for control in controls]
    return Frames(controls=states, frames=frames, still=still, alt=alt)


def _result(function: Callable[..., Any], arguments: dict[str, Any], alt: str) -> tuple[str, Any]:
    """What the function shows for the arguments: as HTML, and as a figure or text."""
    plt = installed("matplotlib.pyplot", extra="figures")
    capture_output = installed("IPython.utils.capture", extra="figures").capture_output
    Figure = installed("matplotlib.figure", extra="figures").Figure
    before = set(plt.get_fignums())
    if before:
        plt.figure()  # or pyplot would draw into a figure that is not the function's
    with capture_output(stderr=False) as captured:
        value = function(**arguments)
    drawn = [plt.figure(number) for number in plt.get_fignums() if number not in before]
    used = [figure for figure in drawn if figure.axes]
    figures = [value] if isinstance(value, Figure) else used
    parts = [f"<pre>{escape(captured.stdout)}</pre>"] if captured.stdout else []
    parts += [_html(output.data, alt) for output in captured.outputs]
    parts += [themed_svg(figure, alt=alt) for figure in figures]
    if value is not None and not isinstance(value, Figure):
        representation = getattr(value, "_repr_html_", None)
        parts.append(representation() if representation else f"<pre>{escape(str(value))}</pre>")
    for figure in drawn:
        plt.close(figure)
    return "\n".join(parts), figures[0] if figures else captured.stdout or str(value)


def _html(data: dict[str, Any], alt: str) -> str:
    """One captured output."""
    if "text/html" in data:
        return data["text/html"]
    if "image/png" in data:
        source = f"data:image/png;base64,{data['image/png']}"
        return f'<img class="frugal-still" src="{source}" alt="{escape(alt)}">'
    return f"<pre>{escape(str(data.get('text/plain', '')))}</pre>"
