"""What a student has reached, kept beside the notebook: a restart of the kernel loses nothing."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from labtools.files import write_whole
from labtools.report import Report, points_in_words


@dataclass(frozen=True)
class Reached:
    """The last check of a question whose code was there."""

    question: str
    earned: float
    possible: float
    when: str

    def __str__(self) -> str:
        points = f"{self.earned:g} of {points_in_words(self.possible, 'public')}"
        return f"{self.question}: {points} on {self.when}"


class Progress:
    """The checks of one lab in `.labNN-progress.json` beside its notebook.

    A folder that cannot be written, or a file that somebody edited, costs the memory and no more.
    """

    def __init__(self, folder: Path, lab: str) -> None:
        self._path = folder / f".{lab}-progress.json"

    def reached(self) -> dict[str, Reached]:
        """The last check of each question, by name."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            kept: dict[str, dict[str, Any]] = json.loads(self._path.read_text(encoding="utf-8"))
            return {name: Reached(name, **values) for name, values in kept.items()}
        return {}

    def note(self, report: Report) -> None:
        """Keep what came of a check, unless the code was not there."""
        if report.unwritten:
            return
        reached = self.reached()
        now = f"{datetime.now():%d %B %Y, %H:%M}"
        reached[report.question] = Reached(report.question, report.earned, report.possible, now)
        kept = {
            one.question: {"earned": one.earned, "possible": one.possible, "when": one.when}
            for one in reached.values()
        }
        with suppress(OSError):
            write_whole(self._path, json.dumps(kept, indent=1) + "\n")

    def __str__(self) -> str:
        """One line for a kernel that has just started; empty at the very start."""
        reached = self.reached().values()
        if not reached:
            return ""
        done = [one.question for one in reached if one.earned == one.possible]
        begun = [one.question for one in reached if one.earned != one.possible]
        points = points_in_words(sum(one.earned for one in reached), "public")
        parts = [f"{points} so far"]
        parts += [f"passed: {', '.join(done)}"] if done else []
        parts += [f"begun: {', '.join(begun)}"] if begun else []
        return f"{'; '.join(parts)}. Run the cells of your answers again to go on."
