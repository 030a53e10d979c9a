"""No result of the book's own stands in plain words: it is a claim, a verdict, or it goes.

A sentence is caught when it speaks of what happened here ("ours", "this page", "we saw", ...) and
tells a number or a comparison, and in the sections that tell results wherever it does so. What a
claim says is in a code cell, and is not read. A caught sentence that tells no result of a run (a
definition, arithmetic, the set-up), or says once more what the claim beside it says, was read by
somebody and stands in `ALLOWED`.
"""

import re

import jupytext
import pytest

from tests.book.pages import LISTED, ROOT, prose, section

PAGES = [file for file in [*LISTED, "index"] if "references" not in file]

OURS = re.compile(
    r"\b(ours|on this page|this page's|in this book|this book's|on this machine|this run|"
    r"these runs|in our (?:run|model|data|experiment)\w*|"
    r"our (?:model|run|network|reader|result|record)\w*|"
    r"we (?:measured|saw|see|found|get|got)|of our own|the recorded|the record|here)\b",
    re.IGNORECASE,
)
NUMBER = re.compile(
    r"(?<![\w.{`#])(?:\d+(?:\.\d+)?\s?(?:%|percent|points?|times|x\b)|0\.\d+|half|twice|a (?:third|"
    r"quarter|tenth))(?![\w`}])"
)
COMPARED = re.compile(
    r"\b(?:faster|slower|better|worse|best|worst|(?:more|less) (?:accurate|often|exact)|beats?|"
    r"wins?|won|loses?|lost|ahead|behind|catch(?:es)? up|as (?:good|fast|accurate) as|outperforms?|"
    r"no difference|learns? (?:faster|sooner|more|nothing))\b"
)
NOT_RESULTS = re.compile(
    r"^(?:\||\d+\. \*\*|```|:)"  # tables, fences
    r"|\{cite"  # a paper's result, with its source
    r"|\?\s*$"  # a question to the reader
)
ALLOWED: dict[str, tuple[str, ...]] = {
    "fixed-patterns": (
        "a causal model computes half the pairs anyway",
        "A window loses while it covers most",  # of the claim above it
    ),
    "adaptive-spans": ("ours start at 0 or at half of $z_",),
    "pooling-tokens": ("whose last two layers work on half of the tokens",),  # what is timed
    "lost-in-the-middle": (
        "right once in 64 times",
        "98 % at the ends",
        "ask before the documents as well as",
        "several questions per context, which is faster",
        "crosses one half",
        "one half right on average",
    ),
    "decoding-in-parallel": (
        "a faster decoder that makes more errors is a trade",
        "here four passes win for one request",  # to remember, of two claims
        "win the first contest and lose the second",  # of the claim above it
        "starts its small matrix products 48 times",
        "The *order* is predicted better",  # opens a claim
        "a shorter text with surer letters",
        "**A pitfall.**",
    ),
    "bytes": (
        "bytes have less to lose here",  # of the claim above it, as are the next two
        "At this size pieces win",
        "Bytes lose least",
        "ours is a plain language model",
        "On a file of 64 bytes they win nothing",  # opens a claim
        "naming always the same digit",
        "equal FLOPs where the paper has equal updates",
    ),
    "pictures-and-sound": (
        "The recorded experiment asks it twice",
        "a guess is right for a",
        "what photographs and speech lose",
    ),
}
"""By page, words from sentences that were read and tell no result of a run."""


RESULTS = ("Speed", "Learn", "What the paper found, what we saw")
"""The sections that tell what happened: there every number and comparison is caught."""


def sentences(text: str) -> list[str]:
    """The sentences of the paragraphs: no solutions of exercises, no tables, no headings."""
    text = re.sub(r"(?ms)^(`{3,}|:{3,})\{dropdown\}.*?^\1", "", text)
    text = re.sub(r"(?ms)^```.*?^```", "", text)
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        if not paragraph.lstrip().startswith(("|", "#", "```", "{.")):
            words = " ".join(paragraph.split())
            found += re.split(r"(?<=[.!?:;])\s+(?=[A-Z*(\[])", words)
    return found


def tells(sentence: str) -> bool:
    """Whether a sentence tells a number or a comparison that no source and no claim carries."""
    told = NUMBER.search(sentence) or COMPARED.search(sentence)
    return bool(told) and not NOT_RESULTS.search(sentence)


def telling(file: str) -> list[str]:
    """The sentences of a page that tell a result of ours in plain words."""
    text = re.split(r"(?m)^## Exercises", prose(file))[0]
    read = {s: None for s in sentences(text) if OURS.search(s) and tells(s)}
    for name in RESULTS:
        results = section(file, name)
        for today in ("What practice uses today", "To remember"):
            results = results.replace(section(file, today) or "\0", "")
        read |= {s: None for s in sentences(results) if tells(s)}
    return list(read)


@pytest.mark.parametrize("file", PAGES)
def test_results_are_claims(file):
    allowed = ALLOWED.get(file.rpartition("/")[2], ())
    read = telling(file)
    assert [s for s in read if not any(part in s for part in allowed)] == []
    assert [part for part in allowed if not any(part in s for s in read)] == []


@pytest.mark.parametrize(
    ("sentence", "is_caught"),
    [
        ("Here the window is faster than full attention.", True),
        ("On this page the loss falls by 12 %.", True),
        ("Ours takes 0.35 of the time.", True),
        ("Longformer is faster than full attention {cite:p}`beltagy2020longformer`.", False),
        ("Here is the definition.", False),
        ("Is it better here?", False),
    ],
)
def test_the_net_has_the_right_meshes(sentence, is_caught):
    assert bool(OURS.search(sentence) and tells(sentence)) is is_caught


@pytest.mark.parametrize("file", PAGES)
def test_alt_texts_and_captions_tell_no_result(file):
    """They stand in code cells and directives, as plain strings."""
    cells = jupytext.read(ROOT / f"{file}.md").cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    told = re.findall(r"(?:alt|title|caption|description)=f?\"([^\"{}]+)\"", code)
    told += re.findall(r"(?m)^:alt: (.+)$", prose(file))
    axes = re.compile(r"from \d+ to \d+ (?:percent|%)|mean accuracy of one half")
    told = [axes.sub("", words) for words in told if "paper" not in words]
    results = [words for words in told if NUMBER.search(words)]
    assert results == []
