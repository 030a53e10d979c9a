"""Three tasks with docstrings: summarise one, name its library, tell a parameter's default.

They stand for the summaries, the classification and the questions of narang2021modifications. A
split of a task is made of the same split of the corpus. Chapter: the-modification-zoo.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from frugal.data.docstrings import LIBRARIES, Corpus, Docstring, prose

WORDS = (4, 16)
"""Of a summary line."""
BODY = 20
"""Words that a docstring has, at least, beside its summary, or a text whose library is asked."""
MASK = "it"
ALIASES = ("np", "plt", "mpl", "nx", "pd", "sp", "sklearn", "scikit-learn", "scikit", "ndarray")
ALIASES += ("DataFrame", "Tensor", "sympify", "pyplot", "Axes", "estimator")
"""Words that give a library away; they are masked together with the libraries' names."""
COMMON = 0.1
"""No answer to a question about a default is more than this share of them."""


class Example(NamedTuple):
    """`source` is to be turned into `target`."""

    source: str
    target: str


def summary(texts: Sequence[Docstring]) -> list[Example]:
    """The summary line of a docstring, from all that follows it."""
    return _mixed(one for text in texts for one in _summary(text))


def library(texts: Sequence[Docstring]) -> list[Example]:
    """Which library a text is from, its name masked. As many of each as there are of the rarest."""
    found: dict[str, list[Example]] = {name: [] for name in LIBRARIES}
    for text in sorted(texts, key=_order):
        masked = without_names(text.text)
        if len(masked.split()) >= BODY:
            found[text.library].append(Example(f"library: {masked}", text.library))
    least = min(map(len, found.values()))
    return _mixed(one for examples in found.values() for one in examples[:least])


def default(texts: Sequence[Docstring]) -> list[Example]:
    """The default of a parameter, from what the docstring says of it (in numpydoc).

    The frequent answers are thinned out until none is more than `COMMON` of all."""
    found = _mixed(one for text in texts for one in _questions(text))
    counts = Counter(one.target for one in found)
    while counts and max(counts.values()) > COMMON * sum(counts.values()):
        most = int(COMMON * sum(counts.values()))
        if most < 1 or max(counts.values()) <= most:
            break
        counts = Counter({answer: min(count, most) for answer, count in counts.items()})
    kept: Counter[str] = Counter()
    chosen = []
    for one in found:
        if kept[one.target] < counts[one.target]:
            kept[one.target] += 1
            chosen.append(one)
    return chosen


TASKS: dict[str, Callable[[Sequence[Docstring]], list[Example]]] = {
    "summary": summary,
    "library": library,
    "default": default,
}


def examples(corpus: Corpus, task: str, split: str) -> list[Example]:
    """All examples of a task in a split. Raises ValueError for a task that there is not."""
    if task not in TASKS:
        raise ValueError(f"task is {task!r}; it must be one of {', '.join(map(repr, TASKS))}.")
    return TASKS[task](corpus.split(split))


def rouge(written: str, reference: str, *, n: int = 1) -> float:
    """ROUGE-n: the F-measure of stretches of n words, upper and lower case alike (lin2004rouge)."""
    one, other = _stretches(written, n), _stretches(reference, n)
    common = sum((one & other).values())
    return 2 * common / max(1, sum(one.values()) + sum(other.values()))


def without_names(text: str) -> str:
    """A text with the names of libraries, and what gives them away, masked."""
    names = "|".join(map(re.escape, (*LIBRARIES, *ALIASES)))
    return re.sub(rf"(?i)(?<![a-z])(?:{names})s?(?![a-z])(?:\.\w+)*", MASK, text)


def _summary(text: Docstring) -> Iterator[Example]:
    first, _, rest = text.raw.partition("\n\n")
    line = " ".join(first.split())
    body = prose(rest)
    if not WORDS[0] <= len(line.split()) <= WORDS[1] or len(body.split()) < BODY:
        return
    if line.endswith(".") and line not in body:
        yield Example(f"summary: {body}", line)


PARAMETER = re.compile(r"^(\w+) ?: ?(.*)$")


def _questions(text: Docstring) -> Iterator[Example]:
    """A question for each parameter that the section "Parameters" describes."""
    _, found, section = text.raw.partition("Parameters\n---")
    if not found:
        return
    section = re.split(r"\n\w[\w ]*\n---", section)[0]
    name, said = "", []
    for line in [*section.splitlines()[1:], "end : "]:
        head = PARAMETER.match(line)
        if head is None:
            said.append(line.strip())
            continue
        answer = text.defaults.get(name, "")
        if 0 < len(answer) <= 12 and (body := " ".join(" ".join(said).split())):
            yield Example(f"default of {name}: {body}", answer)
        name, said = head[1], [head[2]]


def _stretches(text: str, n: int) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))


def _order(text: Docstring) -> str:
    return hashlib.sha256(f"{text.module} {text.name}".encode()).hexdigest()


def _mixed(found: Iterable[Example]) -> list[Example]:
    """Each once, in an order that has nothing to do with where they stand."""
    return sorted(set(found), key=lambda one: hashlib.sha256(repr(one).encode()).hexdigest())
