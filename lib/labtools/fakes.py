"""Functions that a test hands to a student's code."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from labtools.failure import Failure


class Fake:
    """Stands in for a function that the question hands over, and counts its calls.

    `answer(*args)` gives what a call returns. A call too many, and one that `answer` cannot serve,
    fail in words that name the fake, not the line of the student who called it: `Fake("step",
    answer, calls=4)` says "step was called 5 times; 4 are expected." What was asked for stands in
    `asked`, a tuple of arguments a call.
    """

    def __init__(self, name: str, answer: Callable[..., Any], *, calls: int | None = None) -> None:
        self.name = name
        self.asked: list[tuple[Any, ...]] = []
        self._answer = answer
        self._expected = calls

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.asked.append((*args, *options.values()))
        if self._expected is not None and len(self.asked) > self._expected:
            raise self._miscounted()
        try:
            return self._answer(*args, **options)
        except Failure:
            raise
        except Exception as error:
            named = [f"{name}={shown(value)}" for name, value in options.items()]
            call = f"{self.name}({', '.join([*map(shown, args), *named])})"
            raise Failure(
                f"Your code called `{call}`, which the test's own {self.name} cannot answer: "
                f"{type(error).__name__}: {error}.",
                advice=False,
            ) from error

    def expect_calls(self) -> None:
        """Fail unless it was called exactly as often as it was made for."""
        if self._expected is not None and len(self.asked) != self._expected:
            raise self._miscounted()

    def _miscounted(self) -> Failure:
        often = times(len(self.asked))
        are = "is" if self._expected == 1 else "are"
        return Failure(
            f"{self.name} was called {often}; {self._expected} {are} expected.", advice=False
        )


def times(number: int) -> str:
    """`never`, `once`, `twice`, `3 times`."""
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def shown(value: Any, longest: int = 60) -> str:
    """`value` in a few characters: a large tensor by its shape."""
    if isinstance(value, Tensor) and value.numel() > 8:
        return f"a {tuple(value.shape)} tensor"
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= longest else f"{text[:longest]} ..."
