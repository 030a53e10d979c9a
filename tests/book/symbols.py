"""The mathematical symbols of a page, and the table of the notation page.

A symbol is a letter, Greek or in a style of its own (`\\mathcal{L}`), with its accent, its prime,
and what stands below or above it: `d_k`, `\\hat q`, `X'`, `Z^{(0)}`. An index is a symbol of its
own, so `q_i` is `q` and `i`, unless the table has the whole as one symbol, as it has `d_k`. Words
(`\\mathrm{softmax}`, `\\text{hop}`), numbers and operators are no symbols.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from tests.book.pages import source

PAGE = "chapters/appendix/notation"


def commands(names: str) -> set[str]:
    return {f"\\{name}" for name in names.split()}


LETTERS = commands(
    """alpha beta gamma delta epsilon varepsilon zeta eta theta kappa lambda mu nu xi pi rho sigma
    tau phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell"""
)
STYLES = commands("mathcal mathbb mathbf boldsymbol mathfrak")
ACCENTS = commands("hat tilde bar vec widehat widetilde overline")
WORDS = commands("text mathrm operatorname begin end")
PLAIN = commands(
    """sum prod int frac tfrac sqrt log ln exp max min arg sin cos underbrace lfloor rfloor lceil
    rceil lvert rvert lVert rVert left right big Big bigg Bigg cdot cdots dots times le ge approx
    propto mid in infty partial top pm to longrightarrow Longrightarrow quad qquad textstyle"""
)
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[A-Za-z]|\d+|\S")


@dataclass
class Row:
    """A row of the table: what means one thing, under which names, on which pages."""

    symbols: list[str]
    meaning: str
    names: list[str]
    pages: list[str]
    everywhere: bool


@dataclass
class Symbol:
    """A letter with its accent and prime, and the symbols and the writing below and above it."""

    letter: str
    prime: str = ""
    accent: str = ""
    scripts: dict[str, tuple[str, list["Symbol"]]] = field(default_factory=dict)

    def spellings(self) -> Iterator[tuple[str, set[str]]]:
        """Ways to look it up, the fullest first, each with the scripts that it has taken in."""
        below, above = (f"{mark}{self.scripts.get(mark, ('',))[0]}" for mark in "_^")
        for head in dict.fromkeys(
            (
                f"{self.accent}{self.letter}{self.prime}",
                f"{self.letter}{self.prime}",
                f"{self.accent}{self.letter}",
                self.letter,
            )
        ):
            if "_" in self.scripts and "^" in self.scripts:
                yield head + below + above, {"_", "^"}
            if "_" in self.scripts:
                yield head + below, {"_"}
            if "^" in self.scripts:
                yield head + above, {"^"}
            yield head, set()

    def found(self, known: Collection[str]) -> Iterator[str]:
        """Its name in the table, or as it stands, and then those of its indices."""
        whole = next(self.spellings())
        name, taken = next((s for s in self.spellings() if s[0] in known), (self.letter, set()))
        yield name if name in known else whole[0]
        for mark, (_, inner) in self.scripts.items():
            if mark not in taken:
                for symbol in inner:
                    yield from symbol.found(known)


def parsed(formula: str) -> list[Symbol]:
    """The symbols of a formula in TeX. A command that this module does not know is an error."""
    tokens = TOKEN.findall(formula)
    symbols: list[Symbol] = []
    accent, place = "", 0

    def group(start: int) -> int:
        """The place behind the token or the braces that begin at `start`."""
        depth = 0
        while True:
            depth += {"{": 1, "}": -1}.get(tokens[start], 0)
            start += 1
            if depth == 0:
                return start

    while place < len(tokens):
        token = tokens[place]
        if token in WORDS:
            place = group(place + 1)
            continue
        if token in ACCENTS:
            accent, place = token, place + 1
            continue
        if token in STYLES:
            end = group(place + 1)
            letter = token + "".join(tokens[place + 1 : end])
        elif token in LETTERS or re.fullmatch("[A-Za-z]", token):
            end, letter = place + 1, token
        elif token in PLAIN or not re.match(r"\\[A-Za-z]", token):
            if token != "{":  # an accent may stand before braces
                accent = ""
            place += 1
            continue
        else:
            raise ValueError(f"{token} in {formula!r} is unknown; add it to symbols.py.")
        symbol, place = Symbol(letter, accent=accent), end
        accent = ""
        while place < len(tokens) and tokens[place] in "'_^}":
            mark = tokens[place]
            if mark == "}" and not symbol.accent:
                break
            if mark in "'}":
                symbol.prime += mark.strip("}")
                place += 1
                continue
            end = group(place + 1)
            inner = tokens[place + 1 : end]
            inner = inner[1:-1] if inner[0] == "{" else inner
            symbol.scripts[mark] = ("".join(inner), parsed(" ".join(inner)))
            place = end
        symbols.append(symbol)
    return symbols


def formulas(text: str) -> list[str]:
    """What stands in dollars and math directives: in words, tables and solutions, not in code."""
    text = re.sub(r"(?ms)^---\n.*?^---\n", "", text, count=1)
    text = re.sub(r"(?ms)^(`{3,})\{code-cell\}.*?^\1\s*$", "", text)
    found = re.findall(r"(?ms)^```\{math\}(.*?)^```", text)
    text = re.sub(r"(?ms)^```\{math\}.*?^```", "", text)
    text = re.sub(r"`[^`\n]*`", "", text.replace("```", ""))
    found += re.findall(r"(?s)\$\$(.*?)\$\$", text)
    return found + re.findall(r"\$([^$]+?)\$", re.sub(r"(?s)\$\$.*?\$\$", "", text))


def symbols_of(text: str, known: Collection[str] = ()) -> set[str]:
    """The symbols of a page, by their names in the table where it has them."""
    return {
        name
        for formula in formulas(text)
        for symbol in parsed(formula)
        for name in symbol.found(known)
    }


def rows(text: str) -> list[Row]:
    """The rows of the table: symbols, meaning, names in the code, chapters."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 4 or "$" not in cells[0]:
            continue
        symbols = [
            next(next(iter(parsed(s))).spellings())[0] for s in re.findall(r"\$(.+?)\$", cells[0])
        ]
        pages = [f"chapters/{page}" for page in re.findall(r"\]\(\.\./(.+?)\.md\)", cells[3])]
        names = re.findall(r"`([^`]+)`", cells[2])
        found.append(Row(symbols, cells[1], names, pages, cells[3] == "everywhere"))
    return found


def table() -> list[Row]:
    return rows(source(PAGE))
