"""A small figure with every kind of control, for the tests of `Interactive`."""

from __future__ import annotations

from typing import Any

from frugal.show.interactive import Interactive


class Lever(Interactive):
    module = "lever.js"
    style = "lever.css"

    def __init__(self, *, turn: int = 3, alt: str = "A lever and its square.", **more: Any) -> None:
        super().__init__(turn=turn, unit="cm", way="left", signed=False, alt=alt, **more)

    def picture(self) -> Any:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(2, 1))
        figure.subplots().barh(["turn"], [self.state["turn"]])
        return figure
